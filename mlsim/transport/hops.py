"""Hops of ions from cage to cage: when, how far, how often, and whether back.

A glass has no lattice of sites, so a site is wherever an ion stays. With a path averaged over a short time (some
vibrations), an ion has hopped when it has moved further than a threshold from the mean of its present stay, and is
still that far away after the averaging time; excursions that return at once are no hops.

==================  =============================================================================
rate                hops / (ions × time)
residence time      from one hop of an ion to its next; its mean without censoring is 1/rate
back hops           share of hops that lead back to within the threshold of the site before last
correlation factor  f = 6 D / (rate × <|hop|²>): 1 for hops that know nothing of each other
==================  =============================================================================

Similar definitions: R. Candelier et al., doi:10.1103/PhysRevLett.105.135702; A. S. Keys et al.,
doi:10.1103/PhysRevX.1.021013.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import Drift, displacement_paths

__all__ = ["HopStatistics", "Hops", "hop_statistics", "hops_of"]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

AVERAGED_PS = 0.6
"""Time over which paths are averaged: several vibrations of Li, far less than a stay."""

THRESHOLD_A = 1.25
"""Half the distance between neighbouring sites of Li."""


@dataclass(frozen=True, eq=False)
class Hops:
    """Hops in one trajectory, in the order of time.

    Attributes
    ----------
    ion
        Number of the ion among those of its element, shape (hop,).
    frame
        Frame in which it leaves, shape (hop,).
    vector_A
        From the mean of the stay before to the mean of the stay after, Å, shape (hop, 3).
    n_ions, n_frames, interval_ps
        Of the trajectory.
    threshold_A
        Distance that makes a hop, Å.
    """

    ion: Ints
    frame: Ints
    vector_A: Floats
    n_ions: int
    n_frames: int
    interval_ps: float
    threshold_A: float

    def __len__(self) -> int:
        return len(self.ion)

    @property
    def rate_per_ps(self) -> float:
        """Hops per ion and ps."""
        return len(self) / (self.n_ions * self.n_frames * self.interval_ps)

    @property
    def residence_ps(self) -> Floats:
        """Times between one hop of an ion and its next, ps; stays cut off by the ends of the run are not among them."""
        return np.concatenate([np.diff(f) for f, _ in self._by_ion()] or [np.empty(0)]) * self.interval_ps

    def _by_ion(self) -> list[tuple[Ints, Floats]]:
        return [(self.frame[self.ion == i], self.vector_A[self.ion == i]) for i in np.unique(self.ion)]

    def pairs_of_successive(self) -> tuple[Floats, Floats]:
        """Return each hop and the next one of the same ion, Å, shapes (pair, 3)."""
        vectors = [v for _, v in self._by_ion() if len(v) > 1]
        if not vectors:
            return np.empty((0, 3)), np.empty((0, 3))
        return np.concatenate([v[:-1] for v in vectors]), np.concatenate([v[1:] for v in vectors])


@dataclass(frozen=True)
class HopStatistics:
    """Hops over glasses.

    Attributes
    ----------
    rate_per_ps, length_A
        Hops per ion and ps; root mean square length, Å.
    median_residence_ps
        Median time between hops of an ion, ps.
    successive_cosine
        Mean cosine of the angle between a hop and the next of the same ion; -1 if all lead back.
    back_fraction
        Share of hops that are followed by one back to the site before.
    correlation_factor
        f, see the top of this module; None where no diffusivity was given.
    n_hops
        Hops counted in all.
    """

    rate_per_ps: Estimate
    length_A: Estimate
    median_residence_ps: Estimate
    successive_cosine: Estimate
    back_fraction: Estimate
    correlation_factor: Estimate | None
    n_hops: int


def hops_of(
    trajectory: Trajectory,
    element: str,
    *,
    threshold_A: float = THRESHOLD_A,
    averaged_ps: float = AVERAGED_PS,
    drift: Drift = "auto",
) -> Hops:
    """Return the hops of the ions of one element.

    Parameters
    ----------
    trajectory
        Unwrapped positions, frames at most `averaged_ps` / 2 apart.
    element
        Chemical symbol of the ions.
    threshold_A
        Distance from the mean of a stay that makes a hop, Å.
    averaged_ps
        Time over which paths are averaged, ps.
    drift
        Reference of the displacement, see `mlsim.transport.displacement`.

    Raises
    ------
    DataError
        If frames are too far apart or the trajectory is too short.
    """
    width = round(averaged_ps / trajectory.interval_ps)
    if width < 2 or trajectory.n_frames < 4 * width:
        raise DataError(
            f"hops: {trajectory.n_frames} frames {trajectory.interval_ps:g} ps apart; expected at most "
            f"{averaged_ps / 2:g} ps between frames and at least {4 * averaged_ps:g} ps in all"
        )
    path = uniform_filter1d(displacement_paths(trajectory, element, drift), width, axis=2, mode="nearest")
    n_ions, _, n_frames = path.shape
    site, count = path[:, :, 0].copy(), np.ones(n_ions)
    ions, frames, stays = [], [], []
    everyone = np.arange(n_ions)
    waiting = np.zeros(n_ions, dtype=int)  # frames that a stay is too young to end
    for t in range(n_frames - width):
        here, later = path[:, :, t], path[:, :, t + width]
        left = (np.linalg.norm(here - site, axis=1) > threshold_A) & (waiting <= 0)
        left &= np.linalg.norm(later - site, axis=1) > threshold_A
        for i in everyone[left]:
            ions.append(int(i))
            frames.append(t)
            stays.append(site[i].copy())
            site[i], count[i], waiting[i] = later[i], 1.0, width
        staying = waiting <= 0
        count += staying
        site += np.where(staying, 1.0 / count, 0.0)[:, None] * (here - site)
        waiting -= 1
    return _with_vectors(trajectory, ions, frames, stays, site, threshold_A)


def _with_vectors(
    trajectory: Trajectory,
    ions: list[int],
    frames: list[int],
    stays: list[Floats],
    last: Floats,
    threshold_A: float,
) -> Hops:
    """Hops from stay to stay: the stay after a hop is the one that the next hop of that ion leaves."""
    vectors = np.zeros((len(ions), 3))
    following = {i: last[i] for i in range(len(last))}
    for k in range(len(ions) - 1, -1, -1):
        vectors[k] = following[ions[k]] - stays[k]
        following[ions[k]] = stays[k]
    return Hops(
        np.array(ions, dtype=np.int64),
        np.array(frames, dtype=np.int64),
        vectors,
        len(last),
        trajectory.n_frames,
        trajectory.interval_ps,
        threshold_A,
    )


def hop_statistics(glasses: Sequence[Hops], diffusivities_A2_ps: Sequence[float] = ()) -> HopStatistics:
    """Return rate, length, residence and memory of hops over glasses; those without two hops of one ion do not count.

    Parameters
    ----------
    glasses
        Hops of each glass.
    diffusivities_A2_ps
        D of each glass, Å²/ps, in the same order, for the correlation factor; none leaves it out.

    Raises
    ------
    DataError
        If no glass has an ion that hopped twice, or D is not given for each glass.
    """
    if len(diffusivities_A2_ps) not in (0, len(glasses)):
        raise DataError(f"hops: {len(diffusivities_A2_ps)} diffusivities for {len(glasses)} glasses; give one for each")
    told = [g for g in glasses if len(g.pairs_of_successive()[0])]
    if not told:
        raise DataError(f"hops: no ion hopped twice in {len(glasses)} trajectories; run longer or hotter")
    mean_square = [float((g.vector_A**2).sum(axis=1).mean()) for g in told]
    factor = None
    if len(diffusivities_A2_ps):
        diffusing = [d for g, d in zip(glasses, diffusivities_A2_ps, strict=True) if g in told]
        each = zip(told, diffusing, mean_square, strict=True)
        factor = estimate_over([6 * d / (g.rate_per_ps * m) for g, d, m in each], "1")
    return HopStatistics(
        estimate_over([g.rate_per_ps for g in glasses], "1/ps"),
        estimate_over([math.sqrt(m) for m in mean_square], "A"),
        estimate_over([float(np.median(g.residence_ps)) for g in told], "ps"),
        estimate_over([_cosine(g) for g in told], "1"),
        estimate_over([_back(g) for g in told], "1"),
        factor,
        sum(len(g) for g in glasses),
    )


def _cosine(hops: Hops) -> float:
    first, second = hops.pairs_of_successive()
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / lengths).mean())


def _back(hops: Hops) -> float:
    first, second = hops.pairs_of_successive()
    return float((np.linalg.norm(first + second, axis=1) < hops.threshold_A).mean())
