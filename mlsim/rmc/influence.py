"""What the data constrain: each number beside what it would be without the data, and from another start."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Estimate, estimate_over

__all__ = ["Influence", "Verdict", "influences"]

Floats = NDArray[np.float64]
Verdict = Literal["set by the data", "set by the starting model", "set by constraints"]

_CONFIDENCE = 0.95
_FEWEST = 2


@dataclass(frozen=True)
class Influence:
    """One number in three ensembles.

    Attributes
    ----------
    name
        Of the number.
    start
        Its value in the start; None where the start does not define it.
    fitted
        Over runs from the start to the data.
    free
        Over runs from the start with the same constraints and no data.
    refitted
        Over runs from the ends of the free runs to the data.
    spread_ratio
        Standard deviation among fitted runs over that among free runs: below one where the data narrow the number.
    shift_ratio
        |fitted − refitted| / |fitted − free|: 0 where the data lead to one value from either start, 1 where the
        second start leads nowhere near; inf where fitted and free agree.
    verdict
        See `influences`.
    """

    name: str
    start: float | None
    fitted: Estimate
    free: Estimate
    refitted: Estimate
    spread_ratio: float
    shift_ratio: float
    verdict: Verdict


def influences(
    start: Mapping[str, float],
    fitted: Sequence[Mapping[str, float]],
    free: Sequence[Mapping[str, float]],
    refitted: Sequence[Mapping[str, float]],
    units: Mapping[str, str],
) -> list[Influence]:
    """Return the verdict on every number that at least two runs of each ensemble define.

    Means are compared by Welch's t test at 95 %:

    - fitted and refitted differ: the answer depends on where the run began, *set by the starting model*;
    - else fitted and free differ: *set by the data*;
    - else: the data add nothing that shows, *set by constraints* (and by whatever the free runs remember of the start).

    Parameters
    ----------
    start
        Numbers of the start, by name.
    fitted, free, refitted
        Numbers of each run of the three ensembles.
    units
        By name.

    Notes
    -----
    Where neither ensemble has any spread, as counts of few atoms may, there is no t: the two orders in which all runs
    of one come before all of the other must be less than 5 % of all orders, which takes four runs of each.

    With few runs a difference must be large to show. A number that 20 runs call set by the data may be set by
    constraints for all that 3 runs can tell.
    """
    result = []
    for name in units:
        a, b, c = (np.array([run[name] for run in runs if name in run]) for runs in (fitted, free, refitted))
        if min(len(a), len(b), len(c)) < _FEWEST:
            continue
        remembers, moved = _differ(a, c), _differ(a, b)
        verdict: Verdict = "set by constraints"
        if remembers:
            verdict = "set by the starting model"
        elif moved:
            verdict = "set by the data"
        apart, gap = abs(float(a.mean() - c.mean())), abs(float(a.mean() - b.mean()))
        spread = float(b.std(ddof=1))
        fit, free_, again = (estimate_over(list(values), units[name]) for values in (a, b, c))
        ratio = float(a.std(ddof=1)) / spread if spread > 0 else math.inf
        shift = apart / gap if gap > 0 else math.inf
        result.append(Influence(name, start.get(name), fit, free_, again, ratio, shift, verdict))
    return result


def _differ(a: Floats, b: Floats) -> bool:
    """Whether two samples have different means, by Welch's t test."""
    from scipy.stats import t

    part_a, part_b = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    apart = abs(float(a.mean() - b.mean()))
    if part_a + part_b <= (1e-12 * max(abs(float(a.mean())), abs(float(b.mean())))) ** 2:
        # no spread to compare with (counts of few atoms): all of a on one side of all of b, by chance of ordering alone
        distinct = apart > 1e-9 * max(abs(float(a.mean())), abs(float(b.mean())))
        return distinct and 2 / math.comb(len(a) + len(b), len(a)) < 1 - _CONFIDENCE
    freedom = (part_a + part_b) ** 2 / (part_a**2 / (len(a) - 1) + part_b**2 / (len(b) - 1))
    return apart > float(t.ppf(0.5 + _CONFIDENCE / 2, freedom)) * float(np.sqrt(part_a + part_b))
