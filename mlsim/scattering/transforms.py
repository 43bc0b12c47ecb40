"""Between distances and momentum transfers: pair sums to S(Q), and S(Q) to G_PDF(r) within a finite range of Q."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import spherical_jn

from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.scattering.instrument import IDEAL, Instrument

__all__ = ["Window", "box_truncated", "g_pdf_of", "qi_of_q_of", "sine_sums", "uniform_sphere", "window_function"]

Floats = NDArray[np.float64]
Window = Literal["step", "lorch"]

_BLOCK = 2_000_000
"""Entries of a table of sines held at once."""


def sine_sums(node_weights: Floats, radii: Floats, q: Floats, instrument: Instrument = IDEAL) -> Floats:
    """Return sum_n W_pn sin(Q r_n)/(Q r_n) E(Q, r_n), shape (pair, Q).

    E = exp(−(r Qdamp)²/2 − (Q r Qbroad)²/2) is the resolution of the instrument, 1 for an ideal one.

    Parameters
    ----------
    node_weights
        Shape (pair, node).
    radii
        Å, shape (node,).
    q
        1/Å, shape (Q,).
    """
    sums = np.empty((len(node_weights), len(q)))
    damped = node_weights * instrument.envelope(radii)
    rows = max(1, _BLOCK // len(radii))
    for start in range(0, len(q), rows):
        product = np.multiply.outer(radii, q[start : start + rows])
        table = np.sinc(product / np.pi)
        if instrument.q_broad > 0:
            table *= np.exp(-((product * instrument.q_broad) ** 2) / 2)
        sums[:, start : start + rows] = damped @ table
    return sums


def uniform_sphere(q: Floats, radius: float) -> Floats:
    """Return ∫_0^R 4 π r² sin(Qr)/(Qr) dr = 4 π R³ j1(QR)/(QR) in Å3: what a uniform density puts into a pair sum.

    Parameters
    ----------
    q
        1/Å, shape (Q,); may hold 0.
    radius
        R in Å.

    Examples
    --------
    >>> uniform_sphere(np.array([0.0, 1e-6]), 2.0) / (4 / 3 * np.pi * 2.0**3)
    array([1., 1.])
    """
    x = np.asarray(q, dtype=float) * radius
    ratio = np.full(x.shape, 1 / 3)
    np.divide(spherical_jn(1, x), x, out=ratio, where=x > 0)
    return np.asarray(4 * np.pi * radius**3 * ratio)


def window_function(q: Floats, q_max: float, window: Window) -> Floats:
    """Return M(Q): 1 for ``step``, sin(π Q/Qmax)/(π Q/Qmax) for ``lorch``.

    References
    ----------
    E. Lorch, J. Phys. C 2, 229 (1969), doi:10.1088/0022-3719/2/2/305.
    """
    if window == "step":
        return np.ones_like(q)
    if window == "lorch":
        return np.asarray(np.sinc(q / q_max))
    raise SettingsError(f"window '{window}': {did_you_mean(str(window), ['step', 'lorch'])}")


def g_pdf_of(curve: Curve, r: NDArray[np.float64], *, window: Window = "step") -> Curve:
    """Return G_PDF(r) of a curve over Q, with the curve's own grid, Qmin and Qmax.

    G_PDF(r) = (2/π) ∫_Qmin^Qmax Q [S(Q) − 1] M(Q) sin(Qr) dQ, by the trapezoidal rule on the points of the curve.
    Qmin is the first Q, or 0 where that is no further from 0 than one step.

    Parameters
    ----------
    curve
        S(Q), S(Q) − 1 or Q [S(Q) − 1], of a model or of a measurement: both go through this one function.
        Cut it with `Curve.between` for another range of Q.
    r
        Å, strictly increasing, shape (r,).
    window
        ``step`` or ``lorch``; Qmax of the window is the last Q of the curve.

    Returns
    -------
    Curve
        G_PDF in 1/Å², without sigma: errors at different r are correlated through the transform.

    Notes
    -----
    Right for r well below π/dQ, with dQ the distance of the points; beyond, the sum repeats itself, and r > π/dQ is
    refused.
    """
    q = curve.x
    reduced = _reduced(curve)
    grid = _checked_grid(r, q, "G_PDF", "r", "Å")
    integrand = reduced * window_function(q, float(q[-1]), window) * _trapezoid(q)
    return Curve(Quantity.G_PDF, grid, 2 / np.pi * _sine_sum(grid, q, integrand))


def qi_of_q_of(curve: Curve, q: NDArray[np.float64]) -> Curve:
    """Return Q [S − 1] of a G_PDF(r), with the curve's own range of r.

    Q [S(Q) − 1] = ∫_Rmin^Rmax G_PDF(r) sin(Qr) dr, by the trapezoidal rule on the points of the curve.

    Parameters
    ----------
    curve
        G_PDF(r).
    q
        1/Å, strictly increasing, shape (Q,).

    Returns
    -------
    Curve
        Q [S − 1] in 1/Å, without sigma. It still holds the window that made G_PDF: nothing beyond its Qmax, and
        M(Q) Q [S − 1] with a Lorch window. The finite Rmax makes every peak π/Rmax wide.

    Notes
    -----
    With Q = π k / Rmax up to Qmax and r = π n / Qmax up to Rmax, this and `g_pdf_of` are exact inverses.
    """
    if curve.quantity != Quantity.G_PDF:
        raise DataError(f"Q [S - 1] of {curve.quantity}: expected g_pdf; convert it first")
    grid = _checked_grid(q, curve.x, "Q [S - 1]", "Q", "1/Å")
    return Curve(Quantity.QI_OF_Q, grid, _sine_sum(grid, curve.x, curve.y * _trapezoid(curve.x)))


def box_truncated(curve: Curve, r_max_A: float) -> Curve:
    """Return S(Q), S(Q) − 1 or Q [S − 1] as a box would show it that knows g(r) only below a radius.

        Q [S − 1] -> (1/π) ∫_Qmin^Qmax Q' [S(Q') − 1] [sin((Q − Q')R)/(Q − Q') − sin((Q + Q')R)/(Q + Q')] dQ'

    It is what the sine transform to r, a cut at R and the transform back give. Put data and model through it alike:
    then both have the resolution of the box, and both lack what lies outside of the range of Q.

    Parameters
    ----------
    curve
        Function of Q, of a model or of a measurement, on one grid.
    r_max_A
        R in Å: where the pair sum of the model ends, half the shortest lattice vector by default there.

    Returns
    -------
    Curve
        Same quantity and grid, without sigma: neighbouring points are correlated.
    """
    if not (np.isfinite(r_max_A) and r_max_A > 0):
        raise SettingsError(f"truncation by the box: r_max_A is {r_max_A:g}, expected a positive length in Å")
    q = curve.x
    if curve.quantity not in (Quantity.S_OF_Q, Quantity.I_OF_Q, Quantity.QI_OF_Q):
        raise DataError(f"truncation of {curve.quantity}: expected s_of_q, i_of_q or qi_of_q; convert it first")
    reduced = _reduced(curve)
    _checked_grid(np.array([r_max_A]), q, "truncation by the box", "r", "Å")
    if curve.quantity != Quantity.QI_OF_Q and q[0] <= 0:
        raise DataError(f"truncation of {curve.quantity}: Q starts at {q[0]:g} 1/Å, expected Q > 0; cut the curve")
    integrand = reduced * _trapezoid(q) * r_max_A / np.pi
    values = np.empty_like(q)
    rows = max(1, _BLOCK // len(q))
    for start in range(0, len(q), rows):
        here = q[start : start + rows, None]
        kernel = np.sinc((here - q) * r_max_A / np.pi) - np.sinc((here + q) * r_max_A / np.pi)
        values[start : start + rows] = kernel @ integrand
    if curve.quantity == Quantity.QI_OF_Q:
        return Curve(curve.quantity, q, values)
    return Curve(curve.quantity, q, values / q + (curve.quantity == Quantity.S_OF_Q))


def _checked_grid(wanted: NDArray[np.float64], given: Floats, what: str, name: str, unit: str) -> Floats:
    """Refuse a grid that reaches beyond where the sum over the given points repeats itself."""
    grid = np.asarray(wanted, dtype=float)
    if len(given) < 2:
        raise DataError(f"{what}: made of {len(given)} point, expected at least two")
    longest = np.pi / float(np.diff(given).max())
    if grid.ndim != 1 or not len(grid) or grid[-1] > longest * (1 + 1e-9):
        step = "π/dQ" if name == "r" else "π/dr"
        raise SettingsError(
            f"{what}: {name} up to {grid.max(initial=0.0):g} {unit}, expected at most {step} = {longest:g} {unit}; "
            f"use a finer grid of the data or a shorter range of {name}"
        )
    return grid


def _trapezoid(x: Floats) -> Floats:
    """Weights of the trapezoidal rule; a grid that starts within one step of 0 is taken from 0, where both are 0."""
    steps = np.diff(x)
    weight = np.zeros_like(x)
    weight[:-1] += steps / 2
    weight[1:] += steps / 2
    if 0 < x[0] <= steps[0] * (1 + 1e-9):
        weight[0] += x[0] / 2
    return weight


def _sine_sum(wanted: Floats, given: Floats, integrand: Floats) -> Floats:
    """Return sum_n sin(wanted x_n) integrand_n, in blocks."""
    values = np.empty_like(wanted)
    rows = max(1, _BLOCK // len(given))
    for start in range(0, len(wanted), rows):
        values[start : start + rows] = np.sin(np.multiply.outer(wanted[start : start + rows], given)) @ integrand
    return values


def _reduced(curve: Curve) -> Floats:
    """Q [S − 1] of a curve."""
    if curve.quantity == Quantity.QI_OF_Q:
        return curve.y
    if curve.quantity == Quantity.I_OF_Q:
        return np.asarray(curve.x * curve.y)
    if curve.quantity == Quantity.S_OF_Q:
        return np.asarray(curve.x * (curve.y - 1))
    raise DataError(f"G_PDF of {curve.quantity}: expected s_of_q, i_of_q or qi_of_q; convert it first")
