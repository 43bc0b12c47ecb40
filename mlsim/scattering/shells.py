"""Positions of peaks and running coordination numbers over independent glasses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from mlsim.curve import Curve, Estimate, estimate_over
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.scattering.partials import partial_g_of_r

__all__ = ["peak_position", "peak_positions", "running_coordination"]

Floats = NDArray[np.float64]

_BIN_A = 0.005


def peak_position(curve: Curve, low: float, high: float) -> float:
    """Return where a curve is highest between two x, from a parabola through the three highest points.

    Parameters
    ----------
    curve
        Any function.
    low, high
        Range of x, 1/Å or Å.

    Raises
    ------
    DataError
        When the highest point lies at an end of the range, where it is no peak.

    Examples
    --------
    >>> from mlsim.curve import Quantity
    >>> x = np.linspace(1, 3, 41)
    >>> round(peak_position(Curve(Quantity.G_OF_R, x, 5 - (x - 2.013) ** 2), 1.5, 2.5), 6)
    2.013
    """
    part = curve.between(low, high)
    k = int(part.y.argmax())
    if k in (0, len(part.x) - 1):
        raise DataError(
            f"peak of {curve.quantity} between {low:g} and {high:g}: highest at the end, {part.x[k]:g}; "
            "widen the range or choose one that holds a maximum"
        )
    x, y = part.x[k - 1 : k + 2], part.y[k - 1 : k + 2]
    curvature, slope, _ = np.polyfit(x - x[1], y, 2)
    return float(x[1] - slope / (2 * curvature)) if curvature < 0 else float(x[1])


def peak_positions(curves: Sequence[Curve], low: float, high: float) -> Estimate:
    """Return the position of a peak over independent glasses: one curve for each.

    Parameters
    ----------
    curves
        The same function of each glass.
    low, high
        Range of x that holds the peak.
    """
    if not len(curves):
        raise DataError("position of a peak: no curves given")
    unit = "1/Å" if curves[0].quantity.of_q else "Å"
    return estimate_over([peak_position(curve, low, high) for curve in curves], unit)


def running_coordination(
    ensembles: Sequence[Sequence[Atoms]], center: str, neighbour: str, r: ArrayLike
) -> list[Estimate]:
    """Return how many atoms of one element surround one of another within a radius, over independent glasses.

    n_ij(r) = 4 π ρ c_j ∫_0^r g_ij(r') r'² dr'

    Parameters
    ----------
    ensembles
        Frames of each glass.
    center, neighbour
        Elements i and j.
    r
        Radii in Å, shape (radius,); counted in bins of 0.005 Å.

    Returns
    -------
    list of Estimate
        One per radius; beyond half the box the neighbours are images.

    Examples
    --------
    >>> from ase.build import bulk
    >>> crystal = bulk("LiCl", "rocksalt", a=5.13)
    >>> [round(n.value, 3) for n in running_coordination([[crystal]], "Li", "Cl", [2.0, 3.0, 4.6])]
    [0.0, 6.0, 14.0]
    """
    radii = np.atleast_1d(np.asarray(r, dtype=float))
    if radii.ndim != 1 or not np.isfinite(radii).all() or (radii < 0).any():
        raise SettingsError("running coordination number: radii must be finite and not negative, in Å")
    found = []
    for frames in ensembles:
        elements = set(frames[0].get_chemical_symbols()) if len(frames) else set()
        for element in (center, neighbour):
            if element not in elements:
                raise SettingsError(f"running coordination number of {element}: {did_you_mean(element, elements)}")
        pair = (min(center, neighbour), max(center, neighbour))
        g = partial_g_of_r(frames, r_max_A=float(radii.max()) + 2 * _BIN_A, r_step_A=_BIN_A)[pair]
        density = float(np.mean([a.get_chemical_symbols().count(neighbour) / a.get_volume() for a in frames]))
        edges = np.arange(len(g.x) + 1) * _BIN_A
        counts = np.concatenate([[0.0], np.cumsum(4 / 3 * np.pi * np.diff(edges**3) * density * g.y)])
        found.append(np.interp(radii, edges, counts))
    return [estimate_over(values, "1") for values in np.array(found).T]
