"""Rules about files that every command keeps."""

from __future__ import annotations

from pathlib import Path

from mlsim.errors import SettingsError

__all__ = ["require_absent"]


def require_absent(path: Path, force: bool) -> None:
    """Refuse to replace a file unless asked to."""
    if path.is_dir():
        raise SettingsError(f"{path}: is a folder; name a file with -o")
    if path.exists() and not force:
        raise SettingsError(f"{path}: is there already; choose another name or add --force to replace it")
