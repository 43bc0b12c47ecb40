"""Mean squared displacement of single ions, and of the charge that they carry together.

Positions are those of `Trajectory`: unwrapped, in any cell. Where the cell changes with time (NPT), an ion at the
fractional position s(t) is followed at u(t) = s(t) <h>, with <h> the mean cell: the breathing of the box, which would
add a spurious displacement proportional to the distance from the origin, drops out
(problem and other remedies: doi:10.1021/acs.jctc.3c00308).

A thermostat with random forces lets the whole cell drift (diffusivity kT/(M γ), about 1e-6 cm²/s for a hundred
atoms), so displacements are taken against a reference that is written into the result:

=============  ======================================================================================
`"framework"`  centre of mass of all atoms but the element in question: what an electrode sees
`"cell"`       centre of mass of all atoms
`"none"`       no reference: positions as given
`"auto"`       the framework where there is one, else none (a trajectory that holds only the element)
=============  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.trajectory import Trajectory

__all__ = [
    "Drift",
    "MeanSquaredDisplacement",
    "charge_displacement",
    "displacement_paths",
    "lag_grid",
    "mean_squared_displacement",
    "path_products",
    "tracer_and_charge",
    "weighted_path",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Drift = Literal["auto", "framework", "cell", "none"]

_DRIFTS = ("auto", "framework", "cell", "none")
_CHUNK_BYTES = 12e6
_READ_TOGETHER = 8  # chunks: a frame's row is touched once for all of them
_FEWEST_FRAMES = 4


@dataclass(frozen=True, eq=False)
class MeanSquaredDisplacement:
    """Mean squared displacement over all time origins, against lag; arrays are read-only.

    Attributes
    ----------
    lag_ps
        Lags, ps, shape (lag,); all of them for short trajectories, spaced evenly in their logarithm for long ones.
    per_walker_A2
        Mean over time origins, Å², shape (walker, lag). A walker is one ion; or, for the displacement of charge,
        one whole trajectory, divided by `n_ions` so that uncorrelated ions give the same curve as the tracer.
    n_ions
        Ions in one trajectory.
    interval_ps
        Time between frames, ps.
    n_frames
        Frames of the trajectory (of the shortest, when several are pooled).
    drift
        The reference that was taken: "framework", "cell" or "none".
    label
        What moves, for tables and plots: "Li", or "charge of Li".
    """

    lag_ps: Floats
    per_walker_A2: Floats
    n_ions: int
    interval_ps: float
    n_frames: int
    drift: str
    label: str

    def __post_init__(self) -> None:
        for name in ("lag_ps", "per_walker_A2"):
            view = np.asarray(getattr(self, name), dtype=float).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)

    @property
    def msd_A2(self) -> Floats:
        """Mean over walkers, Å², shape (lag,); tends to 6 D t."""
        return np.asarray(self.per_walker_A2.mean(axis=0))

    @property
    def sigma_A2(self) -> Floats | None:
        """Standard error of the mean over walkers, Å², shape (lag,); None for a single walker."""
        n = len(self.per_walker_A2)
        return np.asarray(self.per_walker_A2.std(axis=0, ddof=1) / np.sqrt(n)) if n > 1 else None

    @property
    def lag_frames(self) -> Ints:
        """Lags counted in frames, shape (lag,)."""
        return np.rint(self.lag_ps / self.interval_ps).astype(np.int64)


def mean_squared_displacement(
    trajectory: Trajectory, element: str, *, drift: Drift = "auto", lags: NDArray[np.integer] | None = None
) -> MeanSquaredDisplacement:
    r"""Return the mean squared displacement of the ions of one element.

    .. math:: \mathrm{MSD}_i(t) = \langle |u_i(t_0 + t) - u_i(t_0)|^2 \rangle_{t_0}

    Parameters
    ----------
    trajectory
        Unwrapped positions; the cell may change with time.
    element
        Chemical symbol of the ions.
    drift
        Reference of the displacement, see the table at the top of this module.
    lags
        Lags in frames, ascending; by default `lag_grid` up to half of the trajectory.

    Returns
    -------
    MeanSquaredDisplacement
        One walker per ion.

    Raises
    ------
    DataError
        If the element is missing, frames are too few or the reference has no atoms.

    Notes
    -----
    By FFT (doi:10.1051/sfn/201112010), time n log n; ions are taken in chunks of some 12 MB. Taking off the drift
    of N ions of equal mass that carry all the mass lowers their MSD by 1/N.
    """
    return tracer_and_charge(trajectory, element, drift=drift, lags=lags)[0]


def tracer_and_charge(
    trajectory: Trajectory, element: str, *, drift: Drift = "auto", lags: NDArray[np.integer] | None = None
) -> tuple[MeanSquaredDisplacement, MeanSquaredDisplacement]:
    """Return the mean squared displacement of the ions of one element, and of their sum, reading positions once.

    The first is that of `mean_squared_displacement`, the second that of `charge_displacement` for one element.
    """
    grid = _checked_lags(trajectory, lags)
    ions = trajectory.atoms_of(element)
    reference = _resolved(trajectory, drift, {element})
    shift = _drift_path(trajectory, reference, {element})
    per_ion = np.empty((len(ions), len(grid)))
    total = np.zeros((3, trajectory.n_frames))
    for done, paths in _paths_of(trajectory, ions):
        if shift is not None:
            paths -= shift
        total += paths.sum(axis=0)
        per_ion[done : done + len(paths)] = _squared_displacements(paths, grid)
    together = _squared_displacements(total[None], grid) / len(ions)

    def curve(walkers: Floats, label: str) -> MeanSquaredDisplacement:
        interval, n_frames = trajectory.interval_ps, trajectory.n_frames
        lag = np.asarray(grid * interval, dtype=float)
        return MeanSquaredDisplacement(lag, walkers, len(ions), interval, n_frames, reference, label)

    return curve(per_ion, element), curve(together, f"charge of {element}")


def charge_displacement(
    trajectory: Trajectory,
    charges: Mapping[str, float] | str,
    *,
    drift: Drift = "auto",
    lags: NDArray[np.integer] | None = None,
) -> MeanSquaredDisplacement:
    r"""Return the mean squared displacement of the charge that all ions carry together.

    .. math:: \langle |\sum_i z_i [u_i(t_0 + t) - u_i(t_0)]|^2 \rangle_{t_0} / \sum_i z_i^2

    Its slope is 6 D_sigma; for ions that move independently it is the mean squared displacement of one ion.

    Parameters
    ----------
    trajectory
        Unwrapped positions; the cell may change with time.
    charges
        Charge of each element that carries current, e; one symbol means charge 1 on that element alone. If all
        elements of a neutral cell are given, the choice of `drift` does not matter.
    drift
        Reference of the displacement; "framework" is all elements that are not in `charges`.
    lags
        Lags in frames, ascending; by default `lag_grid` up to half of the trajectory.

    Returns
    -------
    MeanSquaredDisplacement
        A single walker: one trajectory holds one path of the charge, so its curve is far noisier than the tracer's.
    """
    carried = {charges: 1.0} if isinstance(charges, str) else dict(charges)
    if not carried or any(z == 0 for z in carried.values()):
        raise SettingsError(f"charge displacement: expected a charge other than 0 for each element, got {carried}")
    grid = _checked_lags(trajectory, lags)
    reference = _resolved(trajectory, drift, carried)
    ions = np.concatenate([trajectory.atoms_of(element) for element in carried])
    charge = np.array([carried[trajectory.elements[i]] for i in ions])
    path = weighted_path(trajectory, ions, charge)
    shift = _drift_path(trajectory, reference, carried)
    if shift is not None:
        path -= charge.sum() * shift
    squared = _squared_displacements(path[None], grid) / np.square(charge).sum()
    return MeanSquaredDisplacement(
        np.asarray(grid * trajectory.interval_ps, dtype=float),
        squared,
        len(ions),
        trajectory.interval_ps,
        trajectory.n_frames,
        reference,
        f"charge of {', '.join(carried)}",
    )


def displacement_paths(trajectory: Trajectory, element: str, drift: Drift = "auto") -> Floats:
    """Return displacements of the ions of one element since the first frame, Å, shape (ion, xyz, frame)."""
    reference = _resolved(trajectory, drift, {element})
    shift = _drift_path(trajectory, reference, {element})
    paths = np.concatenate([p for _, p in _paths_of(trajectory, trajectory.atoms_of(element))])
    return paths if shift is None else paths - shift


def lag_grid(n_frames: int, *, longest: int | None = None, n_lags: int = 200) -> Ints:
    """Return at most `n_lags` lags in frames, from 1 to half of the frames, evenly spaced in their logarithm.

    Examples
    --------
    >>> lag_grid(12)
    array([1, 2, 3, 4, 5])
    >>> len(lag_grid(20000)), int(lag_grid(20000)[-1])
    (154, 9999)
    """
    last = (n_frames - 1) // 2 if longest is None else longest
    if n_frames < _FEWEST_FRAMES or not 1 <= last < n_frames:
        raise DataError(f"mean squared displacement: {n_frames} frames are too few, at least {_FEWEST_FRAMES} needed")
    if last <= n_lags:
        return np.arange(1, last + 1)
    return np.unique(np.rint(np.geomspace(1, last, n_lags)).astype(np.int64))


def _checked_lags(trajectory: Trajectory, lags: NDArray[np.integer] | None) -> Ints:
    if lags is None:
        return lag_grid(trajectory.n_frames)
    grid = np.asarray(lags, dtype=np.int64)
    if grid.ndim != 1 or not len(grid) or grid[0] < 0 or (np.diff(grid) <= 0).any():
        raise DataError("mean squared displacement: lags must be ascending numbers of frames from 0 on")
    if grid[-1] >= trajectory.n_frames:
        raise DataError(
            f"mean squared displacement: lag of {grid[-1]} frames in a trajectory of {trajectory.n_frames}; "
            "take shorter lags"
        )
    return grid


def _resolved(trajectory: Trajectory, drift: str, mobile: Collection[str]) -> str:
    """Return the reference that `drift` means here."""
    if drift not in _DRIFTS:
        raise SettingsError(f"drift: unknown choice '{drift}'; {did_you_mean(str(drift), _DRIFTS)}")
    has_framework = not set(trajectory.elements) <= set(mobile)
    if drift == "framework" and not has_framework:
        names = ", ".join(sorted(mobile))
        raise DataError(f"drift: the trajectory holds nothing but {names}, so no framework; take 'cell' or 'none'")
    if drift == "auto":
        return "framework" if has_framework else "none"
    return drift


def _drift_path(trajectory: Trajectory, reference: str, mobile: Collection[str]) -> Floats | None:
    """Path of the centre of mass that displacements are taken against, Å, shape (xyz, frame)."""
    if reference == "none":
        return None
    kept = [i for i, e in enumerate(trajectory.elements) if reference == "cell" or e not in mobile]
    masses = trajectory.masses[kept]
    return weighted_path(trajectory, np.array(kept), masses / masses.sum())


def weighted_path(trajectory: Trajectory, atoms: NDArray[np.integer], weights: Floats) -> Floats:
    """Return the sum of weight times displacement since the first frame, Å, shape (xyz, frame)."""
    if trajectory.cell.ndim == 3:
        total = np.zeros((3, trajectory.n_frames))
        for done, paths in _paths_of(trajectory, atoms):
            total += np.einsum("a,axf->xf", weights[done : done + len(paths)], paths)
        return total
    # at constant cell the sum needs no path of a single atom: frame by frame is the order of the file
    path = np.empty((trajectory.n_frames, 3))
    every = np.zeros(trajectory.n_atoms)
    every[atoms] = weights
    block = max(1, int(_CHUNK_BYTES / (24 * trajectory.n_atoms)))
    for start in range(0, trajectory.n_frames, block):
        frames = np.asarray(trajectory.positions[start : start + block], dtype=float)
        path[start : start + block] = np.tensordot(frames, every, axes=(1, 0))
    return np.ascontiguousarray((path - path[0]).T)


def _paths_of(trajectory: Trajectory, atoms: NDArray[np.integer]) -> Iterator[tuple[int, Floats]]:
    """Yield displacements since the first frame at the mean cell, Å, (atom, xyz, frame), a few atoms at a time."""
    per_atom = trajectory.n_frames * 3 * 8 * 5  # path, padded path and spectrum
    size = max(1, int(_CHUNK_BYTES / per_atom))
    to_mean_cell = None
    if trajectory.cell.ndim == 3:
        to_mean_cell = np.linalg.solve(trajectory.cell, trajectory.cell.mean(axis=0)[None])
    for begin in range(0, len(atoms), _READ_TOGETHER * size):
        chunk = atoms[begin : begin + _READ_TOGETHER * size]
        first, last = int(chunk[0]), int(chunk[-1])
        together = last - first == len(chunk) - 1 and (np.diff(chunk) == 1).all()
        picked = trajectory.positions[:, first : last + 1] if together else trajectory.positions[:, chunk]
        if to_mean_cell is not None:
            picked = np.einsum("fax,fxy->fay", np.asarray(picked, dtype=float), to_mean_cell)
        turned = np.ascontiguousarray(picked.transpose(1, 2, 0))
        for start in range(0, len(chunk), size):
            paths = turned[start : start + size].astype(float)
            paths -= paths[:, :, :1].copy()
            yield begin + start, paths


def _squared_displacements(paths: Floats, lags: Ints) -> Floats:
    """Mean squared displacement of each path at each lag, from shape (walker, xyz, frame) to (walker, lag).

    sum |u(t0 + t) - u(t0)|² = sum |u(t0 + t)|² + sum |u(t0)|² - 2 sum u(t0 + t) u(t0); the last by FFT.
    """
    n_frames = paths.shape[2]
    padded = np.zeros((*paths.shape[:2], fft.next_fast_len(n_frames + int(lags[-1]), real=True)))
    centred = padded[:, :, :n_frames]
    np.subtract(paths, paths.mean(axis=2, keepdims=True), out=centred)
    squares = np.zeros((len(paths), n_frames + 1))
    np.cumsum(np.einsum("axf,axf->af", centred, centred), axis=-1, out=squares[:, 1:])
    spectrum = fft.rfft(padded, axis=-1)
    power = np.einsum("axf,axf->af", spectrum.real, spectrum.real)
    power += np.einsum("axf,axf->af", spectrum.imag, spectrum.imag)
    products = fft.irfft(power, n=padded.shape[2], axis=-1)[:, lags]
    sums = squares[:, n_frames - lags] + squares[:, -1:] - squares[:, lags]
    return np.asarray(np.maximum(sums - 2.0 * products, 0.0) / (n_frames - lags))


def path_products(first: Floats, second: Floats, lags: Ints) -> Floats:
    """Return the mean of [a(t0 + t) − a(t0)] · [b(t0 + t) − b(t0)] over time origins, Å², shape (lag,).

    Paths have shape (xyz, frame). By polarisation: |a + b|² − |a − b|² = 4 a · b.
    """
    squares = _squared_displacements(np.stack([first + second, first - second]), lags)
    return np.asarray((squares[0] - squares[1]) / 4.0)
