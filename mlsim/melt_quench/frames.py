"""Frames of a run and who takes them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Frame", "FrameRecorder"]


class Frame(NamedTuple):
    """What one moment of a run looks like; the arrays are copies.

    Attributes
    ----------
    step
        Time steps since the start of the run.
    time_ps
        Time since the start of the run, ps.
    positions
        Å, shape (atom, 3), never wrapped during a run.
    cell
        Å, rows are the vectors, shape (3, 3).
    temperature_K
        From the kinetic energy, K.
    potential_energy_eV
        Of the whole cell, eV.
    pressure_GPa
        Virial and kinetic part, GPa.
    committee_deviation_eV_A
        Largest disagreement on the force of an atom between the members of a committee, eV/Å; nan without one.
    """

    step: int
    time_ps: float
    positions: NDArray[np.float64]
    cell: NDArray[np.float64]
    temperature_K: float
    potential_energy_eV: float
    pressure_GPa: float
    committee_deviation_eV_A: float = float("nan")


class FrameRecorder(Protocol):
    """Takes frames of a run, and can forget those that came after its last checkpoint."""

    def append(self, frame: Frame) -> None:
        """Take one frame; it may stay in memory until `commit`."""

    def commit(self) -> int:
        """Make everything appended so far durable; return the number of durable frames."""

    def rewind(self, n_frames: int) -> None:
        """Forget all frames after the first `n_frames`."""
