"""Which model files are loaded without asking: a MACE model file is a pickle, and loading one can run any code in it.

Trusted are the files whose sha256 a shipped `potential.json` lists, those that `mlsim potential train` wrote on this
machine, and those that the user named once with ``--trust``; the latter two are remembered by sha256 in the user's
cache folder. Compiled files (.npz) hold arrays only and are always safe to read.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

from mlsim.errors import SettingsError
from mlsim.shipped import shipped_folder

__all__ = ["cache_folder", "remember_trusted", "require_trusted"]


def cache_folder() -> Path:
    """Return the folder of what is kept between runs: $MLSIM_CACHE, or mlsim in the user's cache folder."""
    base = os.environ.get("MLSIM_CACHE") or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "mlsim"
    return Path(base)


def remember_trusted(sha256: str, path: Path) -> None:
    """Load files with this sha256 without asking from now on; `path` is noted for the reader of the list."""
    if sha256 in _listed():
        return
    try:
        _list().parent.mkdir(parents=True, exist_ok=True)
        with _list().open("a") as stream:
            stream.write(f"{sha256} {path.resolve()}\n")
    except OSError as error:  # it is trusted this time all the same
        warnings.warn(
            f"{path}: trusted now, but not remembered: {_list()} cannot be written ({error.strerror}); set MLSIM_CACHE",
            stacklevel=2,
        )


def require_trusted(path: Path, sha256: str) -> None:
    """Raise SettingsError, which says why and what to do, unless files with this sha256 are trusted."""
    if sha256 in _listed() or any(
        json.loads(card.read_text())["sha256"] == sha256
        for card in shipped_folder("potentials").glob("*/potential.json")
    ):
        return
    raise SettingsError(
        f"{path}: is not on the list of trusted model files (sha256 {sha256[:12]}...); a MACE model file is a pickle, "
        f"and loading it can run any code that is in it. If you trust its origin: mlsim potential info {path} --trust"
    )


def _list() -> Path:
    return cache_folder() / "trusted-models.txt"


def _listed() -> set[str]:
    if not _list().exists():
        return set()
    return {line.split()[0] for line in _list().read_text().splitlines() if line.strip()}
