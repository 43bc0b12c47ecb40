"""What a run starts from, and when it takes its frames."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError, SettingsError
from mlsim.melt_quench.frames import FrameRecorder

__all__ = ["check_start", "frame_is_due", "frame_stride", "start_sha256"]


def check_start(atoms: Atoms, seed: int) -> None:
    """Raise SettingsError or DataError if MD cannot start from these atoms."""
    if not len(atoms):
        raise SettingsError("run: the start has no atoms")
    if not bool(np.all(atoms.pbc)):
        raise SettingsError(f"run: the start is periodic along {list(map(bool, atoms.pbc))}, expected all three")
    if len(atoms.constraints):
        raise SettingsError("run: the start has constraints, which a melt cannot keep; remove them")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(np.asarray(atoms.cell)).all()):
        raise DataError("run: positions or cell of the start are not finite")
    if abs(atoms.cell.volume) < 1e-6:
        raise DataError("run: the cell of the start has no volume")
    if seed < 0:
        raise SettingsError(f"run: seed is {seed}, expected 0 or more")


def frame_stride(interval_ps: float | None, timestep_fs: float, recorder: FrameRecorder | None) -> int:
    """Return the time steps between two frames; 0 without frames."""
    if (interval_ps is None) != (recorder is None):
        raise SettingsError("run: recorder and frame_interval_ps belong together; give both or none")
    if interval_ps is None:
        return 0
    steps = interval_ps * 1e3 / timestep_fs
    whole = round(steps)
    if whole < 1 or abs(steps - whole) > 1e-6 * whole:
        step_ps = timestep_fs * 1e-3
        nearest = max(1, whole) * step_ps
        raise SettingsError(
            f"run: frame_interval_ps is {interval_ps:g}, expected a multiple of the time step {step_ps:g} ps; "
            f"use {nearest:g}"
        )
    return whole


def frame_is_due(recorded: Sequence[bool], ends: NDArray[np.int64], step: int, stride: int) -> bool:
    """Return whether a frame is taken after `step`: each `stride` steps from where recording began.

    Parameters
    ----------
    recorded, ends
        Of each segment: whether it is recorded, and its last step.
    """
    index = int(np.searchsorted(ends, step, side="left"))
    if not recorded[index]:  # the moment at which a recorded segment begins belongs to it
        at_end = step == ends[index]
        return bool(at_end and index + 1 < len(recorded) and recorded[index + 1])
    while index > 0 and recorded[index - 1]:
        index -= 1
    begin = int(ends[index - 1]) if index else 0
    return (step - begin) % stride == 0


def start_sha256(atoms: Atoms) -> str:
    """Return the hash of elements, positions, cell and masses."""
    digest = hashlib.sha256()
    for array in (atoms.numbers.astype(np.int64), atoms.positions, np.asarray(atoms.cell), atoms.get_masses()):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
