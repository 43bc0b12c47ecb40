r"""Error of a mean over glasses whose own errors are known: do the glasses differ, or only appear to?

Values y_g = mu + (what glass g is) + (error within the run); the first has the variance tau², the second sigma² is
known. The spread of two to five values says little about tau, and taking it for the error fails in both directions. So
tau is integrated over, given the sum of squares S of the n values about their mean:

.. math:: p(\tau | S) \propto p(\tau) (\sigma^2 + \tau^2)^{-(n-1)/2} \exp[-S / 2(\sigma^2 + \tau^2)]

with a prior that knows two things: runs may be alike (tau = 0, as those of a crystal are; one half), or differ as
cells of a few hundred atoms of a glass do, by some 15 % (the other half; half-Cauchy, whose tail allows any spread:
A. Gelman, doi:10.1214/06-BA117A). The error is the standard deviation of mu, so that the mean square of
(estimate − truth)/error is one over all that the prior holds likely.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["USUAL_SPREAD", "error_over_glasses", "variance_between"]

Floats: TypeAlias = NDArray[np.float64]

USUAL_SPREAD = 0.15
"""By how much glasses that differ usually differ, relative to the value."""

_ALIKE = 0.5
_TAU = np.geomspace(0.01, 3.0, 80)  # in units of the scale
_PRIOR = _TAU / (1.0 + (_TAU / USUAL_SPREAD) ** 2)  # of ln tau
_PRIOR *= (1.0 - _ALIKE) / _PRIOR.sum()


def variance_between(values: Floats, errors: Floats, scale: float | None = None) -> float:
    """Return the expected variance between glasses, tau², from values and errors within glasses, shapes (glass,).

    Parameters
    ----------
    values, errors
        One of each per glass.
    scale
        What differences are relative to; by default the mean of the values, and at least the errors.
    """
    n = len(values)
    within = float(np.mean(errors**2))
    if n < 2:
        return 0.0
    squares = float(((values - values.mean()) ** 2).sum())
    unit = max(abs(float(values.mean())) if scale is None else scale, math.sqrt(within))
    if unit == 0.0:
        return 0.0
    tau2 = np.concatenate([[0.0], (unit * _TAU) ** 2])
    total = np.maximum(within + tau2, (1e-9 * unit) ** 2)
    log_likelihood = -(n - 1) / 2 * np.log(total) - squares / (2 * total)
    posterior = np.concatenate([[_ALIKE], _PRIOR]) * np.exp(log_likelihood - log_likelihood.max())
    return float(posterior @ tau2 / posterior.sum())


def error_over_glasses(values: Floats, errors: Floats, scale: float | None = None) -> float:
    """Return the standard error of the mean over glasses; parameters are those of `variance_between`.

    Examples
    --------
    >>> from numpy import array
    >>> round(error_over_glasses(array([1.0, 1.02, 0.98, 1.0]), array([0.02] * 4)), 3)  # alike: the errors over root n
    0.012
    >>> round(error_over_glasses(array([1.0, 1.4, 0.7, 0.9]), array([0.02] * 4)), 2)  # 0.15 by the spread alone
    0.19
    """
    return math.sqrt((float(np.mean(errors**2)) + variance_between(values, errors, scale)) / len(values))
