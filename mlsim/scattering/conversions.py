"""From one function of total scattering to any other: the table of `mlsim.curve` as code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlsim.curve import Curve, Quantity, Radiation
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.scattering.form_factors import mean_length_squared, mean_square_ratio
from mlsim.scattering.probe import Probe
from mlsim.scattering.transforms import Window, g_pdf_of, qi_of_q_of

__all__ = ["checked_quantity", "converted", "linear_factor", "offset"]

Floats = NDArray[np.float64]
_SAME_DENSITY = ({Quantity.G_PDF, Quantity.D_KEEN}, {Quantity.T_OF_R, Quantity.T_KEEN})


def converted(
    curve: Curve,
    quantity: Quantity | str,
    *,
    fractions: Mapping[str, float] | None = None,
    radiation: Radiation | Probe = "xray",
    number_density: float | None = None,
    grid: ArrayLike | None = None,
    window: Window = "step",
) -> Curve:
    """Return a total scattering function as another one.

    Within Q or within r the two differ by a factor and an offset at each point, so a round trip is exact. Between Q
    and r stands the sine transform: exact to the window, see `g_pdf_of` and `qi_of_q_of`.

    Parameters
    ----------
    curve
        What is at hand, of a model or of a measurement.
    quantity
        What is wanted.
    fractions
        Number fraction of each element; needed by the <f²> normalisation and the functions of Keen.
    radiation
        ``xray``, ``neutron`` or a `Probe`.
    number_density
        Atoms per Å3; needed by g(r), T(r) and Keen's G and T.
    grid
        Points of the result where the transform is needed, Q in 1/Å or r in Å.
    window
        Of the transform from Q to r.

    Returns
    -------
    Curve
        With the sigma of the curve, scaled, where no transform was needed; without sigma after one.

    Raises
    ------
    SettingsError
        When fractions, density or grid are needed and missing.
    DataError
        When a point at Q = 0 or r = 0 would be 0/0.

    Examples
    --------
    >>> s = Curve(Quantity.S_OF_Q, [1.0, 2.0], [0.5, 1.5], [0.1, 0.1])
    >>> reduced = converted(s, "qi_of_q")
    >>> reduced.y, reduced.sigma
    (array([-0.5,  1. ]), array([0.1, 0.2]))
    """
    wanted = checked_quantity(quantity)
    probe = Probe.of(radiation)
    hub = Quantity.QI_OF_Q if curve.quantity.of_q else Quantity.G_PDF
    if wanted.of_q == curve.quantity.of_q:
        return _between(curve, wanted, fractions, probe, number_density)
    if grid is None:
        raise SettingsError(f"{curve.quantity} to {wanted}: goes through a sine transform; give the grid of the result")
    points = np.asarray(grid, dtype=float)
    reduced = _between(curve, hub, fractions, probe, number_density)
    transformed = g_pdf_of(reduced, points, window=window) if curve.quantity.of_q else qi_of_q_of(reduced, points)
    return _between(transformed, wanted, fractions, probe, number_density)


def linear_factor(
    quantity: Quantity,
    x: Floats,
    fractions: Mapping[str, float] | None,
    probe: Probe,
    number_density: float | None,
) -> Floats:
    """Return a(x) of y = a(x) u + offset(x), with u = S − 1 for a function of Q and u = g − 1 for one of r.

    Raises
    ------
    SettingsError
        When the quantity needs fractions or a density and there are none.
    """
    if quantity == Quantity.QI_OF_Q:
        return x
    if quantity == Quantity.F2_OF_Q:
        return 1 / mean_square_ratio(_needed(fractions, quantity), x, probe)
    factor = np.ones_like(x)
    if quantity in (Quantity.G_PDF, Quantity.T_OF_R, Quantity.D_KEEN, Quantity.T_KEEN):
        factor = 4 * np.pi * _density(number_density, quantity) * x
    return factor * mean_length_squared(_needed(fractions, quantity), probe) if quantity.of_neutrons else factor


def offset(
    quantity: Quantity,
    x: Floats,
    fractions: Mapping[str, float] | None,
    probe: Probe,
    number_density: float | None,
) -> Floats:
    """Return what the quantity tends to where S = 1 or g = 1, shape of x."""
    if quantity in (Quantity.S_OF_Q, Quantity.G_OF_R):
        return np.ones_like(x)
    if quantity in (Quantity.T_OF_R, Quantity.T_KEEN):
        return linear_factor(quantity, x, fractions, probe, number_density)
    return np.zeros_like(x)


def checked_quantity(quantity: Quantity | str) -> Quantity:
    """Return the quantity of a name, or say which are known."""
    try:
        return Quantity(quantity)
    except ValueError:
        hint = did_you_mean(str(quantity), [str(k) for k in Quantity])
        raise SettingsError(f"quantity '{quantity}': {hint}") from None


def _between(
    curve: Curve, wanted: Quantity, fractions: Mapping[str, float] | None, probe: Probe, number_density: float | None
) -> Curve:
    """Convert within Q or within r; the density cancels between a function and its own form in barn."""
    if wanted == curve.quantity:
        return curve
    x = curve.x
    both = {wanted, curve.quantity}
    if number_density is None and any(both <= alike for alike in _SAME_DENSITY):
        number_density = 1.0
    have = linear_factor(curve.quantity, x, fractions, probe, number_density)
    want = linear_factor(wanted, x, fractions, probe, number_density)
    ratio = np.divide(want, have, out=np.full_like(x, np.nan), where=have != 0)
    if have[0] == 0 and want[0] == 0:
        ratio[0] = ratio[1] if len(x) > 1 else 1.0  # both are proportional to x
    if not np.isfinite(ratio).all():
        name, unit = ("Q", "1/Å") if wanted.of_q else ("r", "Å")
        raise DataError(
            f"{curve.quantity} to {wanted}: {name} starts at {x[0]:g} {unit}, where it is 0/0; cut the curve first"
        )
    start = offset(curve.quantity, x, fractions, probe, number_density)
    y = (curve.y - start) * ratio + offset(wanted, x, fractions, probe, number_density)
    return Curve(wanted, x, y, None if curve.sigma is None else curve.sigma * np.abs(ratio))


def _needed(fractions: Mapping[str, float] | None, quantity: Quantity) -> Mapping[str, float]:
    if not fractions:
        raise SettingsError(f"{quantity}: depends on the composition; give the number fractions of the elements")
    return fractions


def _density(number_density: float | None, quantity: Quantity) -> float:
    if number_density is None or not (np.isfinite(number_density) and number_density > 0):
        raise SettingsError(f"{quantity}: depends on the number density, got {number_density}; give it in atoms per Å3")
    return float(number_density)
