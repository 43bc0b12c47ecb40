"""From one trajectory format to another, a block of frames at a time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.atomic import atomic_path
from mlsim.errors import SettingsError, did_you_mean
from mlsim.io.recorder import MERGED_NAME, TrajectoryRecorder
from mlsim.io.trajectories import read_trajectory
from mlsim.melt_quench import Frame
from mlsim.progress import Progress, SilentProgress
from mlsim.trajectory import Trajectory

__all__ = ["WRITTEN_SUFFIXES", "convert_trajectory"]

Floats: TypeAlias = NDArray[np.float64]

_SERIES: Final = ("temperature_K", "potential_energy_eV", "pressure_GPa", "committee_deviation_eV_A")
_BLOCK_VALUES: Final = 50_000  # coordinates between two commits of our own format


def convert_trajectory(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    interval_ps: float | None = None,
    temperature_K: float | None = None,
    first: int = 0,
    last: int | None = None,
    stride: int = 1,
    progress: Progress | None = None,
) -> int:
    """Write a trajectory in another format and return the number of its frames.

    Parameters
    ----------
    source
        Whatever `read_trajectory` reads: our HDF5, extended XYZ, ASE's .traj, LAMMPS text dumps.
    target
        File to write; its suffix says what: .h5 (ours), .extxyz or .xyz, .traj (ASE), .lammpstrj or .dump. Positions
        are unwrapped in all of them. Temperature, energy, pressure and committee deviation of our files go along
        into extended XYZ.
    interval_ps, temperature_K, first, last, stride
        As in `read_trajectory`.
    progress
        Told how many frames are written.

    Raises
    ------
    SettingsError
        If the suffix is unknown.
    DataError
        If the source cannot be read or the target cannot be written; nothing is left behind then.

    Notes
    -----
    Memory holds some frames, whatever the length of the trajectory.
    """
    path = Path(target)
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        hint = did_you_mean(path.suffix, list(_WRITERS))
        raise SettingsError(f"{path}: do not know how to write '{path.suffix}'; {hint}")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise SettingsError(f"{path}: is the trajectory to convert; name another file")
    trajectory = read_trajectory(
        source, interval_ps=interval_ps, temperature_K=temperature_K, first=first, last=last, stride=stride
    )
    series = _series_of(Path(source), slice(first, last, stride), trajectory)
    tell = progress if progress is not None else SilentProgress()
    with atomic_path(path) as temporary:
        writer(temporary, trajectory, series, lambda done: tell("convert", done, trajectory.n_frames))
    return trajectory.n_frames


Told: TypeAlias = Callable[[int], None]
Series: TypeAlias = Mapping[str, Floats]


def _series_of(source: Path, frames: slice, trajectory: Trajectory) -> Series:
    """What our own files say about each frame besides positions; step numbers of others count frames."""
    import h5py

    steps = {"step": np.arange(trajectory.n_frames, dtype=float)}
    if not h5py.is_hdf5(source):
        return steps
    with h5py.File(source, "r") as store:
        chosen = slice(*frames.indices(len(store["positions"])))
        found = {name: np.asarray(store[name][chosen.start : chosen.stop]) for name in _SERIES if name in store}
        found["step"] = np.asarray(store["step"][chosen.start : chosen.stop])
    return {name: values[:: chosen.step] for name, values in found.items()}


def _frame(trajectory: Trajectory, number: int) -> Atoms:
    cell = trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell[number]
    return Atoms(trajectory.elements, positions=trajectory.positions[number], cell=cell, pbc=True)


def _write_extxyz(path: Path, trajectory: Trajectory, series: Series, tell: Told) -> None:
    from ase.io.extxyz import write_extxyz

    with path.open("w", encoding="utf-8") as stream:
        for number in range(trajectory.n_frames):
            atoms = _frame(trajectory, number)
            atoms.info["time_ps"] = round(number * trajectory.interval_ps, 9)
            atoms.info |= {n: float(v[number]) for n, v in series.items() if n != "step" and np.isfinite(v[number])}
            write_extxyz(stream, [atoms])
            tell(number + 1)


def _write_traj(path: Path, trajectory: Trajectory, series: Series, tell: Told) -> None:
    from ase.io.trajectory import TrajectoryWriter

    with TrajectoryWriter(str(path), "w") as writer:
        for number in range(trajectory.n_frames):
            atoms = _frame(trajectory, number)
            atoms.info["time_ps"] = round(number * trajectory.interval_ps, 9)
            writer.write(atoms)
            tell(number + 1)


def _write_lammps(path: Path, trajectory: Trajectory, series: Series, tell: Told) -> None:
    """LAMMPS text dump; cells are turned into its form: a along x, b in the xy plane."""
    labels = [f"{k} {element}" for k, element in enumerate(trajectory.elements, 1)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(trajectory.n_frames):
            atoms = _frame(trajectory, number)
            box, _ = atoms.cell.standard_form()
            points = atoms.cell.scaled_positions(atoms.positions) @ np.asarray(box)
            stream.write(f"ITEM: TIMESTEP\n{int(series['step'][number])}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n")
            _write_box(stream, np.asarray(box))
            stream.write("ITEM: ATOMS id element xu yu zu\n")
            rows = zip(labels, points.tolist(), strict=True)
            stream.writelines(f"{label} {x:.6f} {y:.6f} {z:.6f}\n" for label, (x, y, z) in rows)
            tell(number + 1)


def _write_box(stream: IO[str], box: Floats) -> None:
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = box.tolist()
    if max(abs(xy), abs(xz), abs(yz)) < 1e-9:
        stream.write(f"ITEM: BOX BOUNDS pp pp pp\n0 {lx:.9f}\n0 {ly:.9f}\n0 {lz:.9f}\n")
        return
    x_low, x_high = min(0.0, xy, xz, xy + xz), lx + max(0.0, xy, xz, xy + xz)
    stream.write("ITEM: BOX BOUNDS xy xz yz pp pp pp\n")
    stream.write(f"{x_low:.9f} {x_high:.9f} {xy:.9f}\n{min(0.0, yz):.9f} {ly + max(0.0, yz):.9f} {xz:.9f}\n")
    stream.write(f"0 {lz:.9f} {yz:.9f}\n")


def _write_own(path: Path, trajectory: Trajectory, series: Series, tell: Told) -> None:
    unknown = np.full(trajectory.n_frames, np.nan)
    rows = {name: series.get(name, unknown) for name in _SERIES}
    if "potential_energy_eV" not in series and trajectory.potential_energy_eV is not None:
        rows["potential_energy_eV"] = trajectory.potential_energy_eV
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".convert-") as folder:
        recorder = TrajectoryRecorder(folder, trajectory.elements, trajectory.interval_ps, trajectory.temperature_K)
        block = max(1, _BLOCK_VALUES // (3 * trajectory.n_atoms))
        for number in range(trajectory.n_frames):
            cell = trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell[number]
            facts: dict[str, Any] = {name: float(values[number]) for name, values in rows.items()}
            time_ps = number * trajectory.interval_ps
            step = int(series["step"][number])
            recorder.append(Frame(step, time_ps, np.asarray(trajectory.positions[number], float), cell, **facts))
            if (number + 1) % block == 0:
                recorder.commit()
                tell(number + 1)
        recorder.finish()
        (Path(folder) / MERGED_NAME).replace(path)
    tell(trajectory.n_frames)


_WRITERS: Final = {
    ".h5": _write_own,
    ".extxyz": _write_extxyz,
    ".xyz": _write_extxyz,
    ".traj": _write_traj,
    ".lammpstrj": _write_lammps,
    ".dump": _write_lammps,
}
WRITTEN_SUFFIXES: Final = tuple(_WRITERS)
