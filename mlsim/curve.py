"""Curves that name what they are, measurements, and numbers with their errors.

The names follow one table, so that no curve is ever a bare "F(Q)" or "G(r)"
(D. A. Keen, J. Appl. Cryst. 34, 172 (2001), doi:10.1107/S0021889800019993;
P. F. Peterson et al., J. Appl. Cryst. 54, 317 (2021), doi:10.1107/S1600576720015630):

==========================  =====================================================================
`Quantity.S_OF_Q`           S(Q) = [I_coh − <f²>]/<f>² + 1; tends to 1
`Quantity.I_OF_Q`           S(Q) − 1
`Quantity.QI_OF_Q`          Q [S(Q) − 1], 1/Å; "F(Q)" of PDFgetX3
`Quantity.F2_OF_Q`          [I_coh − <f²>]/<f²> = (S − 1) <f>²/<f²>; "F(Q)" of RMCProfile for X-rays
`Quantity.G_PDF`            (2/π) ∫ Q [S − 1] M(Q) sin(Qr) dQ = 4 π ρ r [g(r) − 1], 1/Å²; "G(r)" of PDFgetX3
`Quantity.G_OF_R`           g(r); tends to 1
`Quantity.T_OF_R`           4 π ρ r g(r) = G_PDF + 4 π ρ r, 1/Å²
`Quantity.F_KEEN`           sum c_i c_j b_i b_j [A_ij − 1] = <b>² [S − 1], barn; "F(Q)" of Keen, neutrons only
`Quantity.G_KEEN`           sum c_i c_j b_i b_j [g_ij − 1] = <b>² [g − 1], barn; "G(r)" of Keen, RMCProfile's too
`Quantity.D_KEEN`           4 π ρ r G_KEEN = <b>² G_PDF, barn/Å²
`Quantity.T_KEEN`           D_KEEN + 4 π ρ r <b>² = <b>² T_OF_R, barn/Å²
==========================  =====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import DataError

__all__ = ["Curve", "Estimate", "Measurement", "Quantity", "chi_squared", "estimate_over", "weighted_profile_r"]

Floats = NDArray[np.float64]
Radiation = Literal["xray", "neutron"]


class Quantity(StrEnum):
    """Which function a curve is; see the table at the top of this module."""

    S_OF_Q = "s_of_q"
    I_OF_Q = "i_of_q"
    QI_OF_Q = "qi_of_q"
    F2_OF_Q = "f2_of_q"
    G_PDF = "g_pdf"
    G_OF_R = "g_of_r"
    T_OF_R = "t_of_r"
    F_KEEN = "f_keen"
    G_KEEN = "g_keen"
    D_KEEN = "d_keen"
    T_KEEN = "t_keen"

    @property
    def of_q(self) -> bool:
        """True for a function of Q (1/Å), false for a function of r (Å)."""
        return self in (Quantity.S_OF_Q, Quantity.I_OF_Q, Quantity.QI_OF_Q, Quantity.F2_OF_Q, Quantity.F_KEEN)

    @property
    def of_neutrons(self) -> bool:
        """True for the functions of D. A. Keen in barn, which Q-dependent form factors do not have."""
        return self.value.endswith("_keen")

    @property
    def unit(self) -> str:
        """Unit of the values, "1" for a pure number."""
        return _UNITS.get(self.value, "1")


_UNITS = {
    "qi_of_q": "1/Å",
    "g_pdf": "1/Å2",
    "t_of_r": "1/Å2",
    "f_keen": "barn",
    "g_keen": "barn",
    "d_keen": "barn/Å2",
    "t_keen": "barn/Å2",
}


@dataclass(frozen=True, eq=False)
class Curve:
    """One function on a grid; arrays are read-only.

    Attributes
    ----------
    quantity
        Which function it is.
    x
        Q in 1/Å or r in Å, strictly increasing, shape (point,).
    y
        Values, shape (point,).
    sigma
        Standard errors of y, shape (point,), or None when unknown.
    """

    quantity: Quantity
    x: Floats
    y: Floats
    sigma: Floats | None = None

    def __post_init__(self) -> None:
        x, y = np.array(self.x, dtype=float), np.array(self.y, dtype=float)
        sigma = None if self.sigma is None else np.array(self.sigma, dtype=float)
        if x.ndim != 1 or y.shape != x.shape or (sigma is not None and sigma.shape != x.shape):
            raise DataError(f"curve {self.quantity}: x, y and sigma must be equally long, got {x.shape} and {y.shape}")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise DataError(f"curve {self.quantity}: holds values that are not finite")
        if len(x) > 1 and not (np.diff(x) > 0).all():
            raise DataError(f"curve {self.quantity}: x must increase strictly")
        for name, array in (("x", x), ("y", y), ("sigma", sigma)):
            if array is not None:
                array.flags.writeable = False
            object.__setattr__(self, name, array)

    def between(self, low: float, high: float) -> Curve:
        """Return the points with low <= x <= high."""
        inside = (self.x >= low) & (self.x <= high)
        if not inside.any():
            span = f"it spans {self.x[0]:g} to {self.x[-1]:g}"
            raise DataError(f"curve {self.quantity}: no point between {low:g} and {high:g}; {span}")
        sigma = None if self.sigma is None else self.sigma[inside]
        return Curve(self.quantity, self.x[inside], self.y[inside], sigma)


@dataclass(frozen=True, eq=False)
class Measurement:
    """A measured curve and where it comes from. A computed curve is never a Measurement.

    Attributes
    ----------
    curve
        The points.
    radiation
        ``xray`` or ``neutron``.
    sample, source
        What was measured, and where the file comes from.
    notes
        What was left out of the file, repaired or found odd, one sentence each.
    """

    curve: Curve
    radiation: Radiation
    sample: str
    source: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate:
    """A number that leaves the program.

    Attributes
    ----------
    value
        The number, in `unit`.
    standard_error
        Standard error of `value` over independent glasses or runs; None where a single one gives no error.
    n_independent
        How many independent glasses or runs it rests on.
    unit
        Unit as text; "1" for a pure number.
    """

    value: float
    standard_error: float | None
    n_independent: int
    unit: str

    def __str__(self) -> str:
        unit = "" if self.unit == "1" else f" {self.unit}"
        if self.standard_error is None or not math.isfinite(self.standard_error):
            return f"{self.value:.4g}{unit} (n = {self.n_independent}, no error)"
        return f"{_rounded_pair(self.value, self.standard_error)}{unit} (n = {self.n_independent})"

    def difference_in_standard_errors(self, value: float, standard_error: float | None) -> float | None:
        """Return (own value − other value) / sqrt(sum of the squared errors); None without an own error."""
        if self.standard_error is None:
            return None
        spread = math.hypot(self.standard_error, standard_error or 0.0)
        return (self.value - value) / spread if spread > 0 else None

    @property
    def log_error(self) -> float | None:
        """Standard error s of ln x of a skewed number x whose error is half of its 68 % interval: asinh(error / x).

        The interval x exp(−s) to x exp(s) is 2 x sinh(s) wide. None without an error, or for x that has no logarithm.
        """
        error = self.standard_error
        if error is None or not math.isfinite(error) or not self.value > 0:
            return None
        return math.asinh(error / self.value)


def estimate_over(values: Sequence[float], unit: str) -> Estimate:
    """Return mean and standard error of the mean over independent glasses or runs: s / sqrt(n), s with n − 1.

    Examples
    --------
    >>> str(estimate_over([2.0, 2.2, 2.1], "g/cm3"))
    '2.100 ± 0.058 g/cm3 (n = 3)'
    >>> str(estimate_over([2.0], "g/cm3"))
    '2 g/cm3 (n = 1, no error)'
    """
    if not len(values):
        raise DataError("estimate: no values to average")
    numbers = np.asarray(values, dtype=float)
    error = float(numbers.std(ddof=1) / math.sqrt(len(numbers))) if len(numbers) > 1 else None
    if error is not None and error < 1e-14 * float(np.abs(numbers).max()):
        error = 0.0  # equal numbers: what is left is rounding
    return Estimate(float(numbers.mean()), error, len(numbers), unit)


def weighted_profile_r(model: Curve, data: Curve) -> float:
    """Return Rw = sqrt( sum w (y_data − y_model)² / sum w y_data² ), w = 1/sigma² of the data, or 1 without sigma.

    The model is interpolated linearly onto the grid of the data, which it must cover.
    """
    y = _on_grid_of(model, data)
    weight = np.ones_like(y) if data.sigma is None else data.sigma**-2
    if not data.y.any():
        raise DataError(f"Rw of {data.quantity}: the data are zero throughout; choose another range")
    return float(np.sqrt((weight * (data.y - y) ** 2).sum() / (weight * data.y**2).sum()))


def chi_squared(model: Curve, data: Curve) -> float:
    """Return the mean of ((y_data − y_model)/sigma)² over the points of the data; needs the sigma of the data."""
    if data.sigma is None:
        raise DataError(f"chi squared of {data.quantity}: the data carry no sigma")
    return float(np.mean(((data.y - _on_grid_of(model, data)) / data.sigma) ** 2))


def _on_grid_of(model: Curve, data: Curve) -> Floats:
    if model.quantity != data.quantity:
        raise DataError(f"comparison: model is {model.quantity}, data are {data.quantity}; convert one of them first")
    slack = 1e-9 * max(1.0, float(abs(data.x[-1])))
    if model.x[0] > data.x[0] + slack or model.x[-1] < data.x[-1] - slack:
        raise DataError(
            f"comparison of {data.quantity}: model spans {model.x[0]:g} to {model.x[-1]:g}, "
            f"data {data.x[0]:g} to {data.x[-1]:g}; cut the data to the model's range"
        )
    return np.asarray(np.interp(data.x, model.x, model.y))


def _rounded_pair(value: float, error: float) -> str:
    """Value and error with two significant digits of the error."""
    if error == 0:
        return f"{value:g} ± 0"
    exponent = math.floor(math.log10(abs(error)))
    if -5 < exponent < 4:
        digits = max(0, 1 - exponent)
        return f"{value:.{digits}f} ± {error:.{digits}f}"
    scale = math.floor(math.log10(max(abs(value), abs(error))))
    digits = max(0, scale - exponent + 1)
    return f"({value / 10**scale:.{digits}f} ± {error / 10**scale:.{digits}f})e{scale:+d}"
