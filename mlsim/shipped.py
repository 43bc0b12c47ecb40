"""Where the files that come with mlsim lie: potentials, published data, studies."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

__all__ = ["DEFAULT_POTENTIAL", "shipped_folder"]

DEFAULT_POTENTIAL: Final = "lzoc-1"
"""Potential of the single commands; a study names its own."""

_PACKAGE = Path(__file__).resolve().parent


def shipped_folder(name: Literal["potentials", "data", "workflows"]) -> Path:
    """Return the folder of shipped files: beside the package in a checkout, inside it in an installed wheel."""
    installed = _PACKAGE / "_shipped" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
