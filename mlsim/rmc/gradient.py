"""Gradient of the misfit with respect to positions: for refinement by gradients and for dynamics driven by data.

The misfit depends on positions through pair sums only, so that its gradient is that of a pair potential:

    d chi²/d x_i = sum_j phi'_ab(r_ij) (x_i − x_j)/r_ij,     phi_ab(r) = sum_n (d chi²/d H_ab,n) B8(r/h − n)

which costs one pass over the pairs within R, as much as the misfit itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.compiled import compiled
from mlsim.rmc.cells import bins_of, box_of, grid_positions, near_bins, square
from mlsim.rmc.cost import cost_of
from mlsim.rmc.data import DataSet
from mlsim.rmc.nodes import ORDER
from mlsim.rmc.refine import pair_sum_end_A
from mlsim.rmc.settings import RefineSettings
from mlsim.rmc.state import State

__all__ = ["misfit_and_gradient"]

Floats = NDArray[np.float64]

_SHORTEST_A = 0.3


def misfit_and_gradient(atoms: Atoms, data: Sequence[DataSet], *, r_end_A: float | None = None) -> tuple[float, Floats]:
    """Return chi² of data sets and its gradient with respect to the positions.

    chi² = sum_d sum_p ((model − data)/sigma)²

    Parameters
    ----------
    atoms
        Periodic, any cell.
    data
        From `data_set`; scales are not fitted here.
    r_end_A
        Where the pair sums end, Å; as in `RefineSettings`.

    Returns
    -------
    float
        chi².
    array
        Its gradient, 1/Å, shape (atom, 3); the force of data at temperature kT is −kT/2 times it.

    Notes
    -----
    chi² itself jumps when a pair crosses R, by an amount that falls with the size of the box; the gradient is that
    between jumps.
    """
    settings = RefineSettings(r_end_A=r_end_A)
    r_end = pair_sum_end_A(atoms, data, settings)
    cost = cost_of(data, atoms, r_end, _SHORTEST_A)
    none = dict.fromkeys(cost.pairs, 0.0)
    state = State(atoms, cost, none, settings, np.random.Generator(np.random.PCG64(0)))
    F = state.waves()
    ones = np.ones(len(data))
    by_F = np.zeros_like(F)
    for m in cost.mapped:
        by_F[m.channel] += 2 * (m.square @ F[m.channel] - m.mixed)
    by_node = np.einsum("ck,cpk,nk->pn", by_F, cost.weight, cost.sinc, optimize=True)
    n = len(cost.elements)
    index = np.zeros((n, n), dtype=np.int64)
    for k, (i, j) in enumerate(zip(*np.triu_indices(n), strict=True)):
        index[i, j] = index[j, i] = k
    cell = np.ascontiguousarray(atoms.cell.array, dtype=float)
    box = box_of(cell, len(atoms), 1.0)
    bins = bins_of(grid_positions(np.asarray(atoms.positions, dtype=float), cell), state.kind, box)
    gradient = np.zeros((len(atoms), 3))
    found = np.zeros(len(bins.count), dtype=np.int64)
    _pair_gradient(box, bins, r_end, 1 / cost.step_A, index, by_node, found, gradient)
    return float(cost.chi_squared(F, ones).sum()), gradient


@compiled
def _pair_gradient(
    box: Any, bins: Any, r_end: Any, per_step: Any, pair: Any, by_node: Any, found: Any, gradient: Any
) -> None:
    s = box.step
    slopes = np.empty(ORDER)
    for i in range(bins.where.shape[0]):
        p = bins.where[i]
        n = near_bins(box, p[0], p[1], p[2], r_end, found)
        for f in range(n):
            h = found[f]
            for k in range(bins.count[h]):
                j = bins.atom[h, k]
                u, v, w = np.int32(p[0] - bins.x[h, k]), np.int32(p[1] - bins.y[h, k]), np.int32(p[2] - bins.z[h, k])
                r = np.sqrt(square(box, u, v, w))
                if j == i or r >= r_end or r <= 0:
                    continue
                x = r * per_step
                node = np.int64(x)
                _slopes(x - node, slopes)
                row = pair[bins.kind[i], bins.kind[j]]
                slope = 0.0
                for m in range(ORDER):
                    slope += slopes[m] * by_node[row, node + m]
                slope *= per_step / r
                for c in range(3):
                    gradient[i, c] += slope * (u * s[0, c] + v * s[1, c] + w * s[2, c])


@compiled
def _slopes(t: Any, slopes: Any) -> None:
    """Derivatives of the eight B-splines of eighth order at 0 <= t < 1: differences of those of seventh order."""
    lower = np.zeros(ORDER)
    lower[0] = 1.0
    for order in range(2, ORDER):  # Cox and de Boor, cardinal: `order` splines after each pass
        for m in range(order - 1, -1, -1):
            left = lower[m - 1] * (t + order - 1 - m) if m > 0 else 0.0
            right = lower[m] * (m + 1 - t) if m < order - 1 else 0.0
            lower[m] = (left + right) / (order - 1)
    for m in range(ORDER):
        before = lower[m - 1] if m > 0 else 0.0
        after = lower[m] if m < ORDER - 1 else 0.0
        slopes[m] = before - after
