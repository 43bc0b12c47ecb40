"""Whether a refinement has settled: judged from its trace, not assumed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Convergence", "judged"]

Floats = NDArray[np.float64]

_FEWEST = 8
_PARTS = 8
_SMALL = 0.03
_SIGNIFICANT = 2.0
_LEAST_ACCEPTANCE = 0.01


@dataclass(frozen=True)
class Convergence:
    """The verdict on one run.

    Attributes
    ----------
    converged
        Whether the misfit has stopped falling while moves are still accepted.
    reason
        What decided, in words.
    fall
        Relative fall of the misfit from the third to the last quarter of the run.
    """

    converged: bool
    reason: str
    fall: float


def judged(chi_squared: Floats, acceptance: float) -> Convergence:
    """Return the verdict on a trace of the misfit.

    The mean over the last quarter is compared with the mean over the quarter before. A fall of more than 3 % that is
    also more than two standard errors (from the spread of eight parts of each quarter) means that the run goes on.

    Parameters
    ----------
    chi_squared
        Misfit after each block of moves, all blocks alike and at full weight, shape (block,).
    acceptance
        Share of the proposals accepted over the last blocks.

    Examples
    --------
    >>> judged(100 * 0.9 ** np.arange(200.0) + 1, 0.3).converged
    True
    >>> judged(100 * 0.99 ** np.arange(80.0) + 1, 0.3).reason
    'chi squared still fell by 22 % from the third quarter of the run to the last; make more moves'
    """
    if len(chi_squared) < _FEWEST:
        reason = f"only {len(chi_squared)} blocks of moves; {_FEWEST} are needed to judge"
        return Convergence(False, reason, np.nan)
    quarter = len(chi_squared) // 4
    before, last = chi_squared[-2 * quarter : -quarter], chi_squared[-quarter:]
    if last.mean() <= 0:
        return Convergence(True, "no misfit", 0.0)
    fall = float((before.mean() - last.mean()) / last.mean())
    error = float(np.hypot(_error(before), _error(last)) / last.mean())
    if acceptance < _LEAST_ACCEPTANCE:
        return Convergence(False, f"only {acceptance:.1%} of the moves were accepted: frozen, not settled", fall)
    if fall > _SMALL and fall > _SIGNIFICANT * error:
        share = f"{100 * fall:.0f} %"
        reason = f"chi squared still fell by {share} from the third quarter of the run to the last; make more moves"
        return Convergence(False, reason, fall)
    return Convergence(True, f"chi squared changed by {-100 * fall:+.1f} % from the third quarter to the last", fall)


def _error(values: Floats) -> float:
    """Standard error of the mean of a correlated series, from parts long enough to be independent."""
    parts = np.array([part.mean() for part in np.array_split(values, min(_PARTS, len(values)))])
    return float(parts.std(ddof=1) / np.sqrt(len(parts)))
