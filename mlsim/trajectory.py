"""Trajectory: positions of the same atoms at equal time steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import DataError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Trajectory"]

_BLOCK_VALUES = 1_000_000


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Positions of the same atoms at equal time steps; arrays are read-only.

    Attributes
    ----------
    positions
        Unwrapped, Å, shape (frame, atom, 3): no atom jumps by a cell vector between frames
        (`mlsim.geometry.unwrapped` makes them so).
    cell
        Å, rows are the vectors; shape (3, 3), or (frame, 3, 3) when the cell changes.
    elements
        Chemical symbols, one per atom.
    interval_ps
        Time from one frame to the next, ps.
    temperature_K
        Temperature that the thermostat held, K; None when unknown.
    potential_energy_eV
        Of the cell, eV, shape (frame,); None when unknown. It tells when a run has settled.

    Notes
    -----
    Positions may be a map of a file (`numpy.memmap`), so that a trajectory can be larger than memory; what reads it
    takes a few atoms or a few frames at a time.
    """

    positions: NDArray[np.floating]
    cell: NDArray[np.float64]
    elements: tuple[str, ...]
    interval_ps: float
    temperature_K: float | None = field(default=None)
    potential_energy_eV: NDArray[np.float64] | None = field(default=None)

    def __post_init__(self) -> None:
        positions = np.asarray(self.positions)
        cell = np.asarray(self.cell, dtype=float)
        if positions.ndim != 3 or positions.shape[2] != 3:
            raise DataError(f"trajectory: positions of shape {positions.shape}, expected (frame, atom, 3)")
        if positions.shape[1] != len(self.elements):
            raise DataError(f"trajectory: {positions.shape[1]} atoms but {len(self.elements)} elements")
        if cell.shape not in ((3, 3), (len(positions), 3, 3)):
            raise DataError(f"trajectory: cell of shape {cell.shape}, expected (3, 3) or ({len(positions)}, 3, 3)")
        if not self.interval_ps > 0:
            raise DataError(f"trajectory: interval of {self.interval_ps} ps, expected a positive time")
        if not (_all_finite(positions) and np.isfinite(cell).all()):
            raise DataError("trajectory: positions or cell hold values that are not finite")
        energy = self.potential_energy_eV
        if energy is not None and np.shape(energy) != (len(positions),):
            raise DataError(
                f"trajectory: {np.shape(energy)} energies, expected one for each of {len(positions)} frames"
            )
        for name, array in (("positions", positions), ("cell", cell), ("potential_energy_eV", energy)):
            if array is not None:
                view = np.asarray(array).view()
                view.flags.writeable = False
                object.__setattr__(self, name, view)
        object.__setattr__(self, "elements", tuple(self.elements))

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return int(self.positions.shape[0])

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return int(self.positions.shape[1])

    @property
    def duration_ps(self) -> float:
        """Time from the first frame to the last, ps."""
        return (self.n_frames - 1) * self.interval_ps

    @property
    def mean_volume(self) -> float:
        """Volume of the cell averaged over frames, Å3."""
        return float(np.mean(np.abs(np.linalg.det(self.cell))))

    @property
    def masses(self) -> NDArray[np.float64]:
        """Masses, u, shape (atom,)."""
        from ase.data import atomic_masses, atomic_numbers

        return np.array([atomic_masses[atomic_numbers[e]] for e in self.elements])

    def atoms_of(self, element: str) -> NDArray[np.intp]:
        """Return the indices of the atoms of one element, shape (atom of that element,)."""
        found = np.flatnonzero(np.array(self.elements) == element)
        if not len(found):
            raise DataError(f"trajectory: holds no {element}; it has {', '.join(sorted(set(self.elements)))}")
        return found

    def frames(self, first: int = 0) -> Iterator[Atoms]:
        """Yield the frames from `first` on as structures."""
        from ase import Atoms

        for number in range(first, self.n_frames):
            cell = self.cell if self.cell.ndim == 2 else self.cell[number]
            yield Atoms(self.elements, positions=self.positions[number], cell=cell, pbc=True)

    def between(self, start: int, stop: int) -> Trajectory:
        """Return the frames `start` to `stop` (exclusive) as a trajectory."""
        cell = self.cell if self.cell.ndim == 2 else self.cell[start:stop]
        energy = None if self.potential_energy_eV is None else self.potential_energy_eV[start:stop]
        return Trajectory(self.positions[start:stop], cell, self.elements, self.interval_ps, self.temperature_K, energy)


def _all_finite(positions: NDArray[np.floating]) -> bool:
    """True if no value is nan or infinite, looking at a few frames at a time."""
    block = max(1, _BLOCK_VALUES // max(1, positions[:1].size))
    starts = range(0, len(positions), block)
    return all(bool(np.isfinite(positions[start : start + block]).all()) for start in starts)
