"""The ends of a total scattering curve, which tell what it is: low Q, low r, first peak, and what was filled in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray

__all__ = [
    "NEAR_LIMIT",
    "Line",
    "Peak",
    "bond_range",
    "filled_points",
    "first_contact",
    "first_peak",
    "line_through_origin",
    "low_q",
    "low_q_deviation",
]

Floats = NDArray[np.float64]

_SHORTEST_BOND_A = 1.0
_STRONG = 0.5
_BOND_RANGE = (0.75, 1.3)
NEAR_LIMIT = 0.12
"""A low-Q value further from its limit, as share of it, cannot tell a normalisation with confidence."""


class Line(NamedTuple):
    """Slope of a straight line through the origin and its standard error."""

    slope: float
    error: float


class Peak(NamedTuple):
    """Position and full width at half maximum of a peak."""

    position: float
    width: float


def first_contact(r: Floats, y: Floats) -> float | None:
    """Return the r where the first peak of a function of r begins, Å, or None where there is no peak.

    The first peak is the first maximum at r >= 1 Å of at least half the height of the highest one; it begins at the
    minimum before it. What lies below is no structure: −4 π ρ r in G_PDF(r), and the errors of the reduction.
    """
    beyond = np.flatnonzero(r >= _SHORTEST_BOND_A)
    if len(beyond) < 3 or y[beyond].max() <= 0:
        return None
    inner = beyond[1:-1]
    top = inner[(y[inner] > y[inner - 1]) & (y[inner] >= y[inner + 1]) & (y[inner] >= _STRONG * y[beyond].max())]
    if not len(top):
        return None
    k = int(top[0])
    while k > 0 and y[k - 1] <= y[k]:
        k -= 1
    return float(r[k])


def first_peak(x: Floats, y: Floats, *, start: float, smooth: float) -> Peak | None:
    """Return the first maximum above `start` of at least half the height of the highest, or None.

    Parameters
    ----------
    x, y
        Curve; heights count from zero.
    start
        Smallest x of a peak.
    smooth
        Width of the running mean that is taken first, in units of x.
    """
    even = np.arange(x[0], x[-1], max(float(np.median(np.diff(x))), (x[-1] - x[0]) / 20000))
    values = np.interp(even, x, y)
    width = max(1, round(smooth / (even[1] - even[0]))) if len(even) > 1 else 1
    values = np.convolve(values, np.ones(width) / width, mode="same")
    inner = np.flatnonzero(even >= start)[1:-1]
    if not len(inner) or values[inner].max() <= 0:
        return None
    tops = inner[
        (values[inner] > values[inner - 1])
        & (values[inner] >= values[inner + 1])
        & (values[inner] >= _STRONG * values[inner].max())
    ]
    if not len(tops):
        return None
    top = int(tops[0])
    half = values[top] / 2
    left = right = top
    while left > 0 and values[left] > half:
        left -= 1
    while right < len(values) - 1 and values[right] > half:
        right += 1
    return Peak(float(even[top]), float(even[right] - even[left]))


def line_through_origin(x: Floats, y: Floats) -> Line:
    """Return the slope of y = slope x by least squares.

    The error counts one independent deviation per two changes of sign, since ripples are no noise.
    """
    slope = float((x @ y) / (x @ x))
    rest = y - slope * x
    independent = max(1.0, float((np.diff(np.sign(rest)) != 0).sum()) / 2)
    variance = float(rest @ rest) / len(x)
    return Line(slope, float(np.sqrt(variance / (x @ x / len(x)) / independent)))


def filled_points(x: Floats, y: Floats) -> int:
    """Return how many points at the start lie exactly on a constant or a straight line: filled in, not measured.

    0 unless there are at least six of them.
    """
    slopes = np.diff(y) / np.diff(x)
    span = float(np.ptp(y)) or 1.0
    same = np.abs(slopes - slopes[0]) <= 1e-4 * span / (x[-1] - x[0])
    count = len(same) if same.all() else int(np.argmin(same))
    return count + 1 if count >= 5 else 0


def low_q(q: Floats, y: Floats) -> NDArray[np.bool_]:
    """Return which points lie below the first peak, near the limit of S(Q); none if the data begin too late.

    Taken from the curve as it is, so that every function is judged by the same points.
    """
    peak = first_peak(q, y - y.min(), start=0.3, smooth=0.2)
    end = min(1.2, 0.5 * peak.position) if peak is not None else 1.0
    return np.asarray(q <= end) if (q <= end).sum() >= 3 else np.zeros(len(q), dtype=bool)


def low_q_deviation(seen: float, q: Floats, y: Floats) -> float:
    """Return the deviation of (S − 1) <f>²/<f²> from −1 at low Q, in units of its tolerance.

    A value that a program filled in is exact. A measured one may lie above the limit, by a prepeak or by clusters, so
    that alone decides nothing; below it the intensity would be negative.
    """
    if filled_points(q, y):
        return abs(seen + 1) / 0.02
    return min((seen + 1) / 0.35, 1.2) if seen > -1 else -(seen + 1) / NEAR_LIMIT


def bond_range(elements: Iterable[str]) -> tuple[float, float]:
    """Return the shortest and the longest bond in Å that these elements may have, from their covalent radii."""
    radii = [float(covalent_radii[atomic_numbers[e]]) for e in elements]
    return _BOND_RANGE[0] * 2 * min(radii), _BOND_RANGE[1] * 2 * max(radii)
