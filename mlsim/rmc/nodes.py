"""Pair sums kept on equally spaced nodes, exactly.

A sum over pairs of a function that contains no wave faster than sin(Qmax r) is a sum over nodes:

    sum_pairs f(r) = sum_n H_n F_n,    H_n = sum_pairs B8(r/h − n)

with the B-spline B8 of eighth order (eight nodes per pair) and F the least-squares spline of f. With Qmax h = 1.5 the
error of sin(Qr) is below 1e-4 at Qmax and falls as Q⁸. Spline weights are tabulated in steps of h/1024 and rounded to
multiples of 2⁻¹⁸, so that sums of them in float32 and float64 are exact: taking a pair away undoes adding it, bit by
bit, and H carries no drift however long the run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.linalg import solveh_banded
from scipy.sparse import csr_array

__all__ = ["ORDER", "ROWS", "node_step", "sinc_on_nodes", "spline_weights"]

Floats = NDArray[np.float64]

ORDER = 8
ROWS = 1024
"""Rows of the table of weights: steps of a node distance."""

_GRAIN = 2.0**-18
_STEP_TIMES_Q = 1.5
_OVERSAMPLING = 8
_BEYOND = 10
_RIDGE = 1e-12


def node_step(q_max: float, r_end: float) -> float:
    """Return the distance of the nodes in Å for functions up to `q_max` in 1/Å.

    The end of the pair sums is an edge of the table: else the pairs of up to h/1024 before it would be missing, where
    the uniform density already counts them.
    """
    edges = np.ceil(r_end * ROWS * q_max / _STEP_TIMES_Q)
    return float(r_end * ROWS / edges)


def spline_weights() -> NDArray[np.float32]:
    """Return the eight weights of a pair by where it lies between two nodes, shape (ROWS, ORDER); rows sum to one.

    Row k belongs to the middle of its interval, (k + 1/2)/ROWS.
    """
    weights = _basis((np.arange(ROWS) + 0.5) / ROWS)
    rounded = np.rint(weights / _GRAIN) * _GRAIN
    rounded[np.arange(ROWS), np.argmax(weights, axis=1)] += 1 - rounded.sum(axis=1)
    return rounded.astype(np.float32)


def sinc_on_nodes(q: Floats, r_end: float, step: float) -> Floats:
    """Return the least-squares splines of sin(Qr)/(Qr) on 0 to `r_end`, shape (node, Q).

    A pair at r puts its weights on the nodes floor(r/step) to floor(r/step) + 7.
    """
    end = r_end + _BEYOND * step
    r = (np.arange(0, int(end / step) * _OVERSAMPLING) + 0.5) * step / _OVERSAMPLING
    node = (r / step).astype(np.int64)
    columns = (node[:, None] + np.arange(ORDER)).ravel()
    rows = np.repeat(np.arange(len(r)), ORDER)
    design = csr_array((_basis(r / step - node).ravel(), (rows, columns)))
    banded = np.zeros((ORDER, design.shape[1]))  # upper form of the normal equations
    normal = (design.T @ design).toarray()
    for k in range(ORDER):
        banded[ORDER - 1 - k, k:] = np.diagonal(normal, k)
    banded[-1] += _RIDGE * banded[-1].max()  # the outermost nodes take part in hardly any pair
    right: Floats = np.asarray(design.T @ np.sinc(np.multiply.outer(r, q) / np.pi))
    used = int(np.ceil(r_end / step)) + ORDER
    return np.asarray(solveh_banded(banded, right)[:used])


def _basis(t: Floats) -> Floats:
    """The eight B-splines that do not vanish at t, 0 <= t < 1, shape (t, ORDER)."""
    result = np.empty((len(t), ORDER))
    for k in range(ORDER):
        knots = np.arange(ORDER + 1) - (ORDER - 1) + k
        result[:, k] = BSpline.basis_element(knots, extrapolate=False)(t)
    return np.asarray(np.nan_to_num(result))
