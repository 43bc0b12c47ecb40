"""Checkpoints: everything that the rest of a run depends on, in one npz file that is whole or not there."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.atomic import atomic_path, remove_leftovers
from mlsim.errors import DataError, SettingsError

__all__ = [
    "Checkpoint",
    "check_settings",
    "read_checkpoint",
    "settings_sha256",
    "write_checkpoint",
    "write_stopped",
]

FILE_NAME = "checkpoint.npz"
STOPPED_NAME = "stopped.extxyz"
_FORMAT = "mlsim checkpoint 1"
_SHOWN = 4  # differences in one error line


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a run between two time steps.

    Attributes
    ----------
    settings
        What makes the run what it is (schedule, seed, potential, start), as JSON data.
    step
        Time steps done.
    n_frames
        Frames that the recorder had made durable.
    generator
        State of the random number generator, as JSON data.
    melt_memory
        As in `Glass`, as JSON data; empty before the end of the melt.
    arrays
        Positions, momenta and cell; answers of the potential; state of the integrator; rows of the log.
    """

    settings: Mapping[str, Any]
    step: int
    n_frames: int
    generator: Mapping[str, Any]
    melt_memory: Mapping[str, Mapping[str, float]]
    arrays: Mapping[str, NDArray[Any]]


def write_checkpoint(directory: Path, checkpoint: Checkpoint) -> None:
    """Write `directory/checkpoint.npz`: at every moment either the old file or the new one is there, whole.

    Raises
    ------
    DataError
        If the file cannot be written, for instance on a full disk; the previous one is intact then.
    """
    path = directory / FILE_NAME
    facts = {
        "format": _FORMAT,
        "settings": checkpoint.settings,
        "settings_sha256": settings_sha256(checkpoint.settings),
        "step": checkpoint.step,
        "n_frames": checkpoint.n_frames,
        "generator": checkpoint.generator,
        "melt_memory": checkpoint.melt_memory,
    }
    text = np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)
    try:
        with atomic_path(path) as temporary:
            np.savez(temporary, facts=text, **checkpoint.arrays)  # type: ignore[arg-type]
    except DataError as error:
        raise DataError(f"{error}; the last checkpoint is intact") from None


def write_stopped(directory: Path, atoms: Atoms) -> None:
    """Write the structure at which a guard stopped a run to `directory/stopped.extxyz`; not if it is not finite."""
    from ase.io import write

    if not (np.isfinite(atoms.positions).all() and np.isfinite(np.asarray(atoms.cell)).all()):
        return
    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    with atomic_path(directory / STOPPED_NAME) as temporary:
        write(temporary, plain, format="extxyz")


def read_checkpoint(directory: Path) -> Checkpoint | None:
    """Return the checkpoint of a folder, None if there is none; remove halves that a killed run left behind.

    Raises
    ------
    DataError
        If the file is damaged or not ours.
    """
    path = directory / FILE_NAME
    remove_leftovers(directory, FILE_NAME)
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        facts = json.loads(arrays.pop("facts").tobytes().decode())
        if facts["format"] != _FORMAT:
            raise ValueError(f"format '{facts['format']}', expected '{_FORMAT}'")
        if facts["settings_sha256"] != settings_sha256(facts["settings"]):
            raise ValueError("its settings do not match their hash")
        return Checkpoint(
            settings=facts["settings"],
            step=int(facts["step"]),
            n_frames=int(facts["n_frames"]),
            generator=facts["generator"],
            melt_memory=facts.get("melt_memory", {}),
            arrays=arrays,
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        reason = f"no '{error.args[0]}' in it" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise DataError(
            f"{path}: damaged or no checkpoint of mlsim ({reason}); delete it to start this run from its beginning"
        ) from None


def check_settings(directory: Path, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Raise SettingsError with the differences if a checkpoint belongs to another run."""
    before, now = _flat(found), _flat(wanted)
    missing = "nothing"
    changes = [
        f"{key} was {_short(before.get(key, missing))}, is {_short(now.get(key, missing))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key, missing) != now.get(key, missing)
    ]
    if not changes:
        return
    more = f"; and {len(changes) - _SHOWN} more" if len(changes) > _SHOWN else ""
    raise SettingsError(
        f"{directory / FILE_NAME}: made with other settings: {'; '.join(changes[:_SHOWN])}{more}; "
        "restore them, or use another folder"
    )


def settings_sha256(settings: Mapping[str, Any]) -> str:
    """Return the hash of settings as sorted JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Leaves of nested JSON data by their path, such as schedule.segments[1].rate_K_per_ps."""
    if isinstance(value, Mapping):
        parts = [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        parts = [(f"{path}[{i}]", item) for i, item in enumerate(value)]
    else:
        return {path: value}
    return {key: leaf for name, item in parts for key, leaf in _flat(item, name).items()}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 24 else text[:12] + "…"
