"""What a study folder was made with, so that it is only ever continued with the same settings.

`study.json` in the folder holds the settings, the hash of the potential and the version of mlsim. A lock keeps
two runs from working in one folder at once; the system drops it when its process dies, however it dies.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mlsim import __version__
from mlsim.atomic import atomic_write_text
from mlsim.errors import DataError, SettingsError
from mlsim.io.studies import settings_difference
from mlsim.study.settings import StudySettings

__all__ = ["MANIFEST", "folder_lock", "manifest_of", "open_folder", "settings_difference"]

MANIFEST: Final = "study.json"
_POSIX: Final = os.name == "posix"


def open_folder(directory: Path, settings: StudySettings, potential_sha256: str) -> bool:
    """Write the manifest of a new study folder, or check that of one that is there.

    Returns
    -------
    bool
        True when the settings of the analysis differ from those of the last time (or there was none): the
        trajectories hold, the analysis must be made again.

    Raises
    ------
    SettingsError
        When the folder belongs to other settings, with the difference; or holds files but is no study folder.
    """
    path = directory / MANIFEST
    wanted = {
        "mlsim": __version__,
        "potential": settings.potential,
        "potential_sha256": potential_sha256,
        "simulation": settings.simulation,
        "analysis": settings.analysis,
    }
    wanted = json.loads(json.dumps(wanted))
    if not path.exists():
        if directory.is_dir() and any(not item.name.startswith(".") for item in directory.iterdir()):
            raise SettingsError(f"{directory}: holds files but no {MANIFEST}; choose another folder with --out")
        atomic_write_text(path, json.dumps(wanted, indent=2) + "\n")
        return True
    found = _read(path)
    before = {**found["simulation"], "potential_sha256": found["potential_sha256"]}
    now = {**wanted["simulation"], "potential_sha256": potential_sha256}
    differences = settings_difference(before, now)
    if differences and not any(directory.glob("glass-*/*/")):
        for packed in directory.glob("glass-*/packed.extxyz"):
            packed.unlink()  # nothing was computed yet: only the packing that the new settings replace
        atomic_write_text(path, json.dumps(wanted, indent=2) + "\n")
        return True
    if differences:
        raise SettingsError(
            f"{directory}: began with other settings: {'; '.join(differences)}; "
            "go back to the old settings or choose another folder with --out"
        )
    if found["analysis"] != wanted["analysis"]:
        atomic_write_text(path, json.dumps({**wanted, "mlsim": found["mlsim"]}, indent=2) + "\n")
        return True
    return False


def manifest_of(directory: Path) -> dict[str, Any] | None:
    """Return what a study folder says about its settings, or None where it has no manifest."""
    path = directory / MANIFEST
    return _read(path) if path.exists() else None


@contextlib.contextmanager
def folder_lock(directory: Path, *, wait_s: float = 0.0) -> Iterator[int | None]:
    """Hold the lock of a folder while the block runs; gives its file descriptor where there are such locks.

    Parameters
    ----------
    wait_s
        How long to wait for another process that holds it, s.

    Raises
    ------
    SettingsError
        When another process still holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not _POSIX:  # no such lock there
        yield None
        return
    import fcntl

    with (directory / ".lock").open("w") as stream:
        end = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise SettingsError(
                        f"{directory}: another mlsim run is working in this folder; wait for it or choose another --out"
                    ) from None
                time.sleep(0.1)
        yield stream.fileno()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if {"mlsim", "potential_sha256", "simulation", "analysis"} <= set(content):
            return dict(content)
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, OSError):
        pass
    raise DataError(f"{path}: not the manifest of a study; move the folder away or choose another with --out")
