r"""Van Hove functions and the non-Gaussian parameter: how far ions go, and into whose place.

================  ==================================================================================================
self              4 pi r² G_s(r, t): distribution of the distances that ions move in time t; its integral is 1
distinct          G_d(r, t)/rho: density at distance r from where an ion was, of the others a time t later; tends to
                  1; at t = 0 it is g(r), and a peak that grows at r = 0 is an ion taking the place of another
non-Gaussian      alpha_2(t) = 3 <r⁴>/(5 <r²>²) − 1: 0 for diffusion, positive where few ions move and many rest
================  ==================================================================================================

L. Van Hove, doi:10.1103/PhysRev.95.249; A. Rahman, doi:10.1103/PhysRev.136.A405.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.geometry import largest_exact_radius, minimum_image
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import Drift, displacement_paths, lag_grid

__all__ = ["VanHove", "non_gaussian_parameter", "van_hove"]

Floats: TypeAlias = NDArray[np.float64]

_STEP_A = 0.1
_ORIGINS = 40
_LAGS = 40


@dataclass(frozen=True, eq=False)
class VanHove:
    """Both functions at one lag.

    Attributes
    ----------
    lag_ps
        Time between the two moments, ps.
    r_A
        Centres of the bins, Å, shape (bin,).
    self_per_A
        4 pi r² G_s, 1/Å, shape (bin,).
    distinct
        G_d over the density of the element, shape (bin,).
    """

    lag_ps: float
    r_A: Floats
    self_per_A: Floats
    distinct: Floats


def van_hove(
    trajectory: Trajectory,
    element: str,
    lags_ps: Sequence[float],
    *,
    r_max_A: float | None = None,
    drift: Drift = "auto",
) -> list[VanHove]:
    """Return the van Hove functions of one element at several lags.

    Parameters
    ----------
    trajectory, element, drift
        As for `mlsim.transport.mean_squared_displacement`.
    lags_ps
        Lags, ps; rounded to frames.
    r_max_A
        End of the functions, Å; by default, and at most, half the shortest lattice vector of the mean cell.

    Notes
    -----
    Averages over some 40 time origins. Distances are taken in the mean cell.
    """
    cell = trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell.mean(axis=0)
    reach = largest_exact_radius(cell)
    end = reach if r_max_A is None else min(r_max_A, reach)
    edges = np.arange(0.0, end + _STEP_A / 2, _STEP_A)
    centres = (edges[1:] + edges[:-1]) / 2
    shells = 4 * np.pi / 3 * np.diff(edges**3)
    start = trajectory.positions[0][trajectory.atoms_of(element)].astype(float)
    if trajectory.cell.ndim == 3:
        start = start @ np.linalg.solve(trajectory.cell[0], cell)
    paths = displacement_paths(trajectory, element, drift).transpose(2, 0, 1)
    n = paths.shape[1]
    found = []
    for lag in lags_ps:
        frames = round(lag / trajectory.interval_ps)
        if not 0 <= frames < trajectory.n_frames:
            raise DataError(f"van Hove: lag of {lag:g} ps in a trajectory of {trajectory.duration_ps:.3g} ps")
        origins = np.unique(np.linspace(0, trajectory.n_frames - 1 - frames, _ORIGINS).astype(int))
        moved = np.linalg.norm(paths[origins + frames] - paths[origins], axis=-1)
        own = np.histogram(moved, edges)[0] / (moved.size * _STEP_A)
        others = np.zeros(len(centres))
        for origin in origins:
            apart = (start + paths[origin + frames])[None, :] - (start + paths[origin])[:, None]
            pairs = minimum_image(apart[~np.eye(n, dtype=bool)], cell)
            others += np.histogram(np.linalg.norm(pairs, axis=-1), edges)[0]
        density = n / abs(np.linalg.det(cell))
        distinct = others / (len(origins) * n * density * shells) if n > 1 else others
        found.append(VanHove(frames * trajectory.interval_ps, centres, own, distinct))
    return found


def non_gaussian_parameter(trajectory: Trajectory, element: str, *, drift: Drift = "auto") -> tuple[Floats, Floats]:
    """Return lags (ps) and alpha_2 at some 40 lags up to half of the trajectory, arrays of shape (lag,)."""
    lags = lag_grid(trajectory.n_frames, n_lags=_LAGS)
    if len(lags) > _LAGS:
        lags = np.unique(np.rint(np.geomspace(1, lags[-1], _LAGS)).astype(np.int64))
    paths = displacement_paths(trajectory, element, drift)
    alpha = np.empty(len(lags))
    for k, lag in enumerate(lags):
        stride = max(1, int(lag) // 10)
        squares = ((paths[:, :, lag:] - paths[:, :, :-lag])[:, :, ::stride] ** 2).sum(axis=1)
        alpha[k] = 3 * (squares**2).mean() / (5 * squares.mean() ** 2) - 1 if squares.any() else 0.0
    return np.asarray(lags * trajectory.interval_ps, dtype=float), alpha
