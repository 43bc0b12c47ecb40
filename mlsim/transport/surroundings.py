"""Which anions ions meet, and whether those near one kind move more slowly than those near the other only.

Every ion is looked at each half picosecond: it is *near O* with at least one O inside the cut-off of the pair, else
*near Cl only*. Hops are charged to the class of the stay that they end, looked at one averaging time before the ion
is half way, so each class has a rate: hops per time spent in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import DataError
from mlsim.geometry import neighbour_pairs
from mlsim.trajectory import Trajectory
from mlsim.transport.hops import AVERAGED_PS, Hops
from mlsim.transport.over_glasses import error_over_glasses

__all__ = ["SurroundingsMobility", "anion_counts", "mobility_by_surroundings"]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

_SAMPLED_PS = 0.5


@dataclass(frozen=True)
class SurroundingsMobility:
    """Mobility of ions near one anion against those that are not, over glasses.

    Attributes
    ----------
    near
        The anion, such as O.
    time_fraction
        Share of time that an ion spends near it.
    rate_near_per_ps, rate_away_per_ps
        Hops per ion and ps that begin near it, and away from it.
    rate_ratio
        The first over the second: below one where the anion slows the ions down.
    anion_share_resting, anion_share_hopping
        Share of it among the anion neighbours of all ions at all times, and of ions in the middle of a hop.
    changes
        Share of hops by class before and after: ("near", "away") and so on; they add up to one.
    """

    near: str
    time_fraction: Estimate
    rate_near_per_ps: Estimate
    rate_away_per_ps: Estimate
    rate_ratio: Estimate
    anion_share_resting: Estimate
    anion_share_hopping: Estimate
    changes: Mapping[tuple[str, str], Estimate]


def anion_counts(trajectory: Trajectory, element: str, cutoffs_A: Mapping[str, float], frames: Ints) -> dict[str, Ints]:
    """Return the neighbours of each ion in some frames, by anion, shape (frame, ion).

    Parameters
    ----------
    trajectory
        Unwrapped positions.
    element
        Chemical symbol of the ions.
    cutoffs_A
        Length of the bond to each anion, Å, such as {"O": 2.7, "Cl": 3.2}.
    frames
        Frames to look at, shape (frame,).
    """
    ions = trajectory.atoms_of(element)
    kinds = {anion: np.isin(np.arange(trajectory.n_atoms), trajectory.atoms_of(anion)) for anion in cutoffs_A}
    number = np.full(trajectory.n_atoms, -1)
    number[ions] = np.arange(len(ions))
    found = {anion: np.zeros((len(frames), len(ions)), dtype=np.int64) for anion in cutoffs_A}
    longest = max(cutoffs_A.values())
    for k, frame in enumerate(frames):
        cell = trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell[frame]
        pairs = neighbour_pairs(trajectory.positions[frame], cell, longest)
        of_ion = number[pairs.first] >= 0
        for anion, cutoff in cutoffs_A.items():
            bound = of_ion & kinds[anion][pairs.second] & (pairs.distances < cutoff)
            np.add.at(found[anion][k], number[pairs.first[bound]], 1)
    return found


def mobility_by_surroundings(
    trajectories: Sequence[Trajectory],
    hops: Sequence[Hops],
    element: str,
    cutoffs_A: Mapping[str, float],
    *,
    near: str = "O",
) -> SurroundingsMobility:
    """Return how ions near one anion move against those that have only the others around them.

    Parameters
    ----------
    trajectories, hops
        One of each per glass.
    element
        Chemical symbol of the ions.
    cutoffs_A
        Length of the bond to each anion, Å; all anions that count.
    near
        The anion in question.

    Raises
    ------
    DataError
        If no hop begins in one of the two classes.

    Notes
    -----
    Hops are counted, so their error within a glass is that of Poisson; over glasses see `mlsim.transport.over_glasses`.
    Ions near O sit in other places than the rest: a ratio says that mobility goes with O, not that O causes it.
    """
    if near not in cutoffs_A:
        raise DataError(f"surroundings: no cut-off for {near}; got {', '.join(sorted(cutoffs_A))}")
    glasses = [_one_glass(t, h, element, cutoffs_A, near) for t, h in zip(trajectories, hops, strict=True)]
    hopped = np.array([[g["n_near"], g["n_away"]] for g in glasses])
    if (hopped.sum(axis=0) == 0).any():
        side = near if hopped[:, 0].sum() == 0 else "the other anions only"
        raise DataError(f"surroundings: no hop begins near {side} in {len(glasses)} trajectories; run longer or hotter")
    usable = [g for g in glasses if g["n_near"] and g["n_away"]]
    ln_ratio = np.array([math.log(g["rate_near"] / g["rate_away"]) for g in usable])
    poisson = np.array([math.sqrt(1 / g["n_near"] + 1 / g["n_away"]) for g in usable])
    ratio = math.exp(float(ln_ratio.mean()))
    changes = [(a, b) for a in ("near", "away") for b in ("near", "away")]
    return SurroundingsMobility(
        near,
        estimate_over([g["time"] for g in glasses], "1"),
        estimate_over([g["rate_near"] for g in glasses], "1/ps"),
        estimate_over([g["rate_away"] for g in glasses], "1/ps"),
        Estimate(ratio, ratio * error_over_glasses(ln_ratio, poisson, 1.0), len(usable), "1"),
        estimate_over([g["resting"] for g in glasses], "1"),
        estimate_over([g["hopping"] for g in glasses], "1"),
        {pair: estimate_over([g["_".join(pair)] for g in glasses], "1") for pair in changes},
    )


def _one_glass(
    trajectory: Trajectory, hops: Hops, element: str, cutoffs_A: Mapping[str, float], near: str
) -> dict[str, float]:
    """Times, hops and neighbours of one glass by class."""
    stride = max(1, round(_SAMPLED_PS / trajectory.interval_ps))
    width = round(AVERAGED_PS / trajectory.interval_ps)
    sampled = np.arange(0, trajectory.n_frames, stride)
    resting = anion_counts(trajectory, element, cutoffs_A, sampled)
    is_near = resting[near] > 0
    last = len(sampled) - 1
    # at hops.frame the ion is half way to the next site and may have left the anion that it sat beside
    before = is_near[np.maximum(hops.frame - width, 0) // stride, hops.ion]
    after = is_near[np.minimum((hops.frame + 2 * width) // stride, last), hops.ion]
    middle, where = np.unique(hops.frame + width // 2, return_inverse=True)
    hopping = anion_counts(trajectory, element, cutoffs_A, middle)
    met = {anion: counts[where, hops.ion].sum() for anion, counts in hopping.items()}
    spent = is_near.sum() * stride * trajectory.interval_ps
    total = is_near.size * stride * trajectory.interval_ps
    n = max(1, len(hops))
    values = {
        "time": float(is_near.mean()),
        "n_near": float(before.sum()),
        "n_away": float((~before).sum()),
        "rate_near": float(before.sum() / spent) if spent else 0.0,
        "rate_away": float((~before).sum() / (total - spent)) if total > spent else 0.0,
        "resting": float(resting[near].sum() / max(1, sum(c.sum() for c in resting.values()))),
        "hopping": float(met[near] / max(1, sum(met.values()))),
    }
    for name, first in (("near", before), ("away", ~before)):
        values[f"{name}_near"] = float((first & after).sum() / n)
        values[f"{name}_away"] = float((first & ~after).sum() / n)
    return values
