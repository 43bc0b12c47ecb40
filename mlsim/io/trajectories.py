"""Trajectories: our own HDF5 file, written so that a killed run loses nothing, and the formats that ASE reads.

`trajectory.h5` (F frames, N atoms):

=======================  ==========  =====================================================================
positions                (F, N, 3)   float32, Å, unwrapped
cell                     (F, 3, 3)   float64, Å, rows are the vectors
step                     (F,)        int64, time steps since the start of the run
time_ps, temperature_K,  (F,)        float64
potential_energy_eV,
pressure_GPa,
committee_deviation_eV_A             the last one is nan without a committee of potentials
attributes                           format, version, elements, interval_ps, temperature_K (if known), units
=======================  ==========  =====================================================================
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.geometry import unwrapped
from mlsim.io.lammps import lammps_columns, lammps_frames, lammps_is_unwrapped
from mlsim.io.recorder import FORMAT, MERGED_NAME, VERSION, TrajectoryRecorder
from mlsim.io.structures import checked_file, problem_of, reading
from mlsim.trajectory import Trajectory

__all__ = ["MERGED_NAME", "TrajectoryRecorder", "read_trajectory"]

Floats: TypeAlias = NDArray[np.float64]

_BLOCK = 256
_BLOCK_VALUES = 100_000  # coordinates of frames that are read at a time
_LONGEST_STEP = 0.45
_SAME_K = 0.5


def read_trajectory(
    path: str | os.PathLike[str],
    *,
    interval_ps: float | None = None,
    temperature_K: float | None = None,
    first: int = 0,
    last: int | None = None,
    stride: int = 1,
    wrapped: bool | None = None,
) -> Trajectory:
    """Return a trajectory with unwrapped positions.

    Parameters
    ----------
    path
        Our HDF5, or anything ASE reads: extended XYZ, ASE .traj, LAMMPS text dump (with an element column), XDATCAR.
        Positions stay on disk (foreign ones in a temporary file), so the file may be larger than memory; of XDATCAR
        ASE holds all frames.
    interval_ps
        Time between neighbouring frames of the file, ps. Our own files carry it; others need it, unless each frame
        says `time_ps` in its comment line.
    temperature_K
        Temperature, K; our own files carry it, and refuse another.
    first, last, stride
        Takes the frames first <= i < last of the file, each `stride`-th of them; `last` is the end by default.
    wrapped
        False: positions of a foreign file are taken as they stand. True or None: an atom that jumps by more than
        half a cell from one frame to the next was put back into the cell, and is followed. LAMMPS coordinates that
        are unwrapped (xu, xsu) or come with image flags (ix iy iz) are recognised and need no following.

    Raises
    ------
    DataError
        One line with the path: unknown type, missing time step, changing atoms, no cell, frames too far apart.

    Notes
    -----
    Frames are followed through all of the file's frames from `first` on, so `stride` costs no accuracy.
    """
    import h5py

    if stride < 1 or first < 0 or (last is not None and last <= first):
        raise DataError(f"{path}: frames from {first} to {last} in steps of {stride}; expected 0 <= first < last")
    if interval_ps is not None and not (math.isfinite(interval_ps) and interval_ps > 0):
        raise DataError(f"{path}: interval of {interval_ps} ps, expected a positive time")
    file = checked_file(path)
    frames = slice(first, last, stride)
    if h5py.is_hdf5(file):
        return _read_own(file, frames, interval_ps, temperature_K)
    return _read_foreign(file, frames, interval_ps, temperature_K, wrapped)


def _read_own(file: Path, frames: slice, interval_ps: float | None, temperature_K: float | None) -> Trajectory:
    import h5py

    with reading(file, "a trajectory of mlsim"), h5py.File(file, "r") as store:
        if store.attrs.get("format") != FORMAT:
            raise DataError(f"{file}: is HDF5 but not a trajectory of mlsim")
        if int(store.attrs["version"]) > VERSION:
            raise DataError(f"{file}: written by a newer mlsim (format {store.attrs['version']}); update mlsim")
        start, stop, stride = frames.indices(len(store["positions"]))
        if stop <= start:
            raise DataError(f"{file}: no frame from {frames.start} on, it holds {len(store['positions'])}")
        positions = _mapped(file, store["positions"])
        positions = (
            _strided(store["positions"], start, stop, stride) if positions is None else positions[start:stop:stride]
        )
        energy = np.asarray(_strided(store["potential_energy_eV"], start, stop, stride), dtype=float)
        cell = np.asarray(_strided(store["cell"], start, stop, stride), dtype=float)
        elements = tuple(str(e) for e in store.attrs["elements"])
        interval = float(store.attrs["interval_ps"])
        held = store.attrs.get("temperature_K")
    if interval_ps is not None and not math.isclose(interval_ps, interval, rel_tol=1e-6):
        raise DataError(f"{file}: frames are {interval:g} ps apart, not {interval_ps:g}; leave the interval out")
    differs = temperature_K is not None and held is not None and abs(temperature_K - float(held)) > _SAME_K
    if differs:
        raise DataError(f"{file}: is a run at {float(held):g} K, not {temperature_K:g}; leave the temperature out")
    temperature = temperature_K if temperature_K is not None else (None if held is None else float(held))
    return Trajectory(positions, _one_cell_if_constant(cell), elements, interval * stride, temperature, energy)


def _mapped(file: Path, dataset: Any) -> NDArray[np.floating] | None:
    """Map a dataset that lies in the file as one plain block, so that it may exceed memory; None if it does not."""
    offset = dataset.id.get_offset()
    if offset is None or not dataset.size:
        return None
    return np.memmap(file, dataset.dtype, "r", offset, dataset.shape)


def _strided(dataset: Any, start: int, stop: int, stride: int) -> NDArray[np.floating]:
    """Read every `stride`-th frame block by block; HDF5 itself is slow with large strides."""
    blocks = []
    step = _BLOCK * stride
    for begin in range(start, stop, step):
        blocks.append(dataset[begin : min(begin + step, stop)][::stride])
    return np.concatenate(blocks)


def _one_cell_if_constant(cell: Floats) -> Floats:
    return cell[0] if (cell == cell[0]).all() else cell


def _read_foreign(
    file: Path, frames: slice, interval_ps: float | None, temperature_K: float | None, wrapped: bool | None
) -> Trajectory:
    cells: list[Floats] = []
    times: list[float | None] = []
    steps: list[int | None] = []
    first = None
    with reading(file, "a trajectory"), tempfile.TemporaryFile() as spool:
        columns = lammps_columns(file)
        follow = _Follower(file, as_they_stand=wrapped is False or lammps_is_unwrapped(columns))
        for number, block in _blocks(_frames(file, columns, frames.start, frames.stop)):
            first = first or block[0]
            for offset, atoms in enumerate(block):
                _check_frame(file, frames.start + number + offset, atoms, first)
            cell = np.array([atoms.cell.array for atoms in block])
            chosen = slice(-number % frames.step, None, frames.step)
            follow(np.array([atoms.positions for atoms in block]), cell)[chosen].astype(float).tofile(spool)
            cells.append(cell[chosen])
            times.extend(atoms.info.get("time_ps") for atoms in block)
            steps.extend(atoms.info.get("timestep") for atoms in block)
        if first is None:
            raise DataError(f"{file}: holds no frame from {frames.start} on")
        spool.flush()
        positions = np.memmap(spool, np.float64, "r", shape=(sum(map(len, cells)), len(first), 3))
    interval = _interval(file, interval_ps, times, steps)
    cell = _one_cell_if_constant(np.concatenate(cells))
    return Trajectory(positions, cell, tuple(first.get_chemical_symbols()), interval * frames.step, temperature_K)


def _frames(file: Path, columns: frozenset[str], start: int, stop: int | None) -> Iterator[Atoms]:
    """Yield frames one after the other; ASE's readers of extended XYZ, .traj and LAMMPS dumps hold one at a time."""
    from ase.io import iread

    if columns:
        return lammps_frames(file, columns, start, stop)
    frames: Iterator[Atoms] = iread(file, index=f"{start}:{'' if stop is None else stop}")
    return frames


def _blocks(frames: Iterator[Atoms]) -> Iterator[tuple[int, list[Atoms]]]:
    """Yield blocks of frames, the fewer the more atoms they have, with the number of frames that came before."""
    number = 0
    size = 1
    while block := list(islice(frames, size)):
        yield number, block
        number += len(block)
        size = max(1, min(_BLOCK, _BLOCK_VALUES // (3 * max(1, len(block[0])))))


def _check_frame(file: Path, number: int, atoms: Atoms, first: Atoms) -> None:
    problem = problem_of(atoms)
    if problem is None and (len(atoms) != len(first) or (atoms.numbers != first.numbers).any()):
        problem = (
            "atoms differ from those of the first frame in number, element or order; each frame must list the same"
        )
    if problem is None and abs(atoms.cell.volume) < 1e-6:
        problem = "no cell in three dimensions; transport needs one (Lattice= in extended XYZ)"
    if problem:
        raise DataError(f"{file}: frame {number}: {problem}")


class _Follower:
    """Follows atoms through blocks of frames, keeping the last frame of the block before."""

    def __init__(self, file: Path, as_they_stand: bool) -> None:
        self._file = file
        self._as_they_stand = as_they_stand
        self._last: tuple[Floats, Floats] | None = None

    def __call__(self, positions: Floats, cells: Floats) -> Floats:
        if self._as_they_stand:
            return positions
        if self._last is not None:
            positions = np.concatenate([self._last[0], positions])
            cells = np.concatenate([self._last[1], cells])
        path = unwrapped(positions, cells)
        fractional = np.swapaxes(np.linalg.solve(np.swapaxes(cells, 1, 2), np.swapaxes(path, 1, 2)), 1, 2)
        longest = float(np.abs(np.diff(fractional, axis=0)).max()) if len(path) > 1 else 0.0
        if longest > _LONGEST_STEP:
            raise DataError(
                f"{self._file}: an atom moves by {longest:.2f} of the cell from one frame to the next, too far to be "
                "followed through the boundary; store frames more often, or say if they are unwrapped (wrapped=False, "
                "--unwrapped)"
            )
        new = path if self._last is None else path[1:]
        self._last = (path[-1:], cells[-1:])
        return new


def _interval(file: Path, given_ps: float | None, times_ps: list[float | None], steps: list[int | None]) -> float:
    """Time between frames from the caller or the file, after checking that frames are equally far apart."""
    marks = next((m for m in (times_ps, steps) if None not in m and len(m) > 1), None)
    if marks is not None:
        gaps = np.diff(np.array(marks, dtype=float))
        if gaps.min() <= 0 or gaps.max() > gaps.min() * 1.01 + 1e-9:
            raise DataError(
                f"{file}: frames are not equally far apart in time: gaps of {gaps.min():g} to {gaps.max():g}"
            )
    carried = (times_ps[-1] - times_ps[0]) / (len(times_ps) - 1) if marks is times_ps else None  # type: ignore[operator]
    if given_ps is None and carried is None:
        raise DataError(f"{file}: does not say the time between frames; give interval_ps (--interval-ps)")
    if given_ps is not None and carried is not None and not math.isclose(given_ps, carried, rel_tol=1e-3):
        raise DataError(f"{file}: frames are {carried:g} ps apart, not {given_ps:g}; leave the interval out")
    return float(given_ps if given_ps is not None else carried)  # type: ignore[arg-type]
