"""Between distances and momentum transfers: pair sums to S(Q), and S(Q) to G_PDF(r) within a finite range of Q."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import spherical_jn

from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, SettingsError, did_you_mean

__all__ = ["Window", "g_pdf_of", "sine_sums", "uniform_sphere", "window_function"]

Floats = NDArray[np.float64]
Window = Literal["step", "lorch"]

_BLOCK = 2_000_000
"""Entries of a table of sines held at once."""


def sine_sums(node_weights: Floats, radii: Floats, q: Floats) -> Floats:
    """Return sum_n W_pn sin(Q r_n)/(Q r_n), shape (pair, Q).

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
    rows = max(1, _BLOCK // len(radii))
    for start in range(0, len(q), rows):
        table = np.sinc(np.multiply.outer(radii, q[start : start + rows]) / np.pi)
        sums[:, start : start + rows] = node_weights @ table
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
    grid = np.asarray(r, dtype=float)
    if len(q) < 2:
        raise DataError(f"G_PDF of {curve.quantity}: {len(q)} point, expected at least two")
    longest = np.pi / float(np.diff(q).max())
    if grid.ndim != 1 or not len(grid) or grid[-1] > longest:
        raise SettingsError(
            f"G_PDF: r up to {grid.max(initial=0.0):g} Å, expected at most π/dQ = {longest:g} Å; "
            "use a finer grid of Q or a shorter range of r"
        )
    step = np.zeros_like(q)
    step[:-1] += np.diff(q) / 2
    step[1:] += np.diff(q) / 2
    integrand = reduced * window_function(q, float(q[-1]), window) * step
    values = np.empty_like(grid)
    rows = max(1, _BLOCK // len(q))
    for start in range(0, len(grid), rows):
        values[start : start + rows] = np.sin(np.multiply.outer(grid[start : start + rows], q)) @ integrand
    return Curve(Quantity.G_PDF, grid, 2 / np.pi * values)


def _reduced(curve: Curve) -> Floats:
    """Q [S − 1] of a curve."""
    if curve.quantity == Quantity.QI_OF_Q:
        return curve.y
    if curve.quantity == Quantity.I_OF_Q:
        return np.asarray(curve.x * curve.y)
    if curve.quantity == Quantity.S_OF_Q:
        return np.asarray(curve.x * (curve.y - 1))
    raise DataError(f"G_PDF of {curve.quantity}: expected s_of_q, i_of_q or qi_of_q; convert it first")
