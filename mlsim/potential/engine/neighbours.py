"""Candidate pairs with a skin, in an order that does not depend on when they were found."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsim.compiled import compiled
from mlsim.errors import DataError
from mlsim.geometry import vesin_without_torch

__all__ = ["SHIFT_BITS", "Candidates"]

Floats = NDArray[np.float64]
MARGIN = 1e-9  # Å, for rounding in the test that the list is still complete
SHIFT_BITS = 24
DENSE = 4096


class Candidates:
    """All pairs closer than cut-off + skin; found again when a pair outside could have come inside the cut-off.

    The pairs of an atom are sorted by neighbour and lattice shift. Sums over the pairs inside the cut-off therefore
    run in an order that only depends on the positions, not on when the list was made.

    Parameters
    ----------
    cutoff_A
        Cut-off of the potential, Å.
    skin_A
        How much further the list reaches, Å.
    threads
        Threads of the search.

    Attributes
    ----------
    first, pairs
        Neighbours of atom i are pairs[first[i] : first[i + 1]], each the number of the neighbour shifted left by
        `SHIFT_BITS` plus the row in `shifts`.
    shifts
        Lattice vectors of the present cell, Å; shape (shift, 3).
    n_built
        How often the list was made.
    """

    def __init__(self, cutoff_A: float, skin_A: float, threads: int = 1) -> None:
        self.cutoff_A = cutoff_A
        self.skin_A = skin_A
        self.threads = threads
        self.first = np.zeros(1, np.int64)
        self.pairs = np.zeros(0, np.int64)
        self.shifts = np.zeros((0, 3))
        self.n_built = 0
        self._positions = np.zeros((0, 3))
        self._cell = np.zeros((3, 3))
        self._shifts_cell = self._cell
        self._pbc: tuple[bool, ...] = ()
        self._lattice = np.zeros((0, 3))

    def complete(self, positions: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> bool:
        """Return whether the list holds every pair inside the cut-off; shifts then belong to the present cell.

        With the deformation F of the cell since the list was made and displacements u beyond it, a pair outside of the
        list at d is now at r = d F + u_j - u_i, so |r| >= s_min(F) (cut-off + skin) - 2 max |u|.
        """
        if not self.n_built or positions.shape != self._positions.shape or tuple(pbc) != self._pbc:
            return False
        shrunk, start = 1.0, self._positions
        same = np.array_equal(cell, self._cell)
        if not same:
            deformation = np.linalg.solve(self._cell, cell)
            shrunk = float(np.linalg.svd(deformation, compute_uv=False)[-1])
            start = start @ deformation
        moved = positions - start
        furthest = float(np.sqrt(np.einsum("ij,ij->i", moved, moved).max(initial=0.0)))
        if (self.cutoff_A + self.skin_A) * shrunk - 2 * furthest < self.cutoff_A + MARGIN:
            return False
        if not np.array_equal(cell, self._shifts_cell):
            self.shifts, self._shifts_cell = lattice_vectors(self._lattice, cell), cell.copy()
        return True

    def find(self, positions: Floats, cell: Floats, pbc: NDArray[np.bool_]) -> None:
        """Make the list anew; directions that are not periodic need some cell vector too."""
        reach = self.cutoff_A + self.skin_A
        self.pairs = self.pairs[:0]
        finder = vesin_without_torch().NeighborList(cutoff=reach, full_list=False, n_threads=self.threads)
        # views of the finder's memory, which ends with it
        i, j, S = finder.compute(points=positions, box=cell, periodic=pbc, quantities="ijS", copy=False)
        span, codes = shift_codes(S)
        self.first = np.zeros(len(positions) + 1, np.int64)
        self.pairs = np.empty(2 * len(i), np.int64)
        sorted_pairs(i.view(np.int64), j.view(np.int64), S, span, codes, self.first, self.pairs)
        self._lattice = np.stack(np.unravel_index(codes, tuple(span)), axis=1) - (span - 1.0) / 2
        self.shifts, self._shifts_cell = lattice_vectors(self._lattice, cell), cell.copy()
        self._positions, self._cell, self._pbc = positions.copy(), cell.copy(), tuple(pbc)
        self.n_built += 1


def lattice_vectors(lattice: Floats, cell: Floats) -> Floats:
    """Return lattice @ cell, each row by the same operations (BLAS may round rows of a larger product otherwise)."""
    vectors: Floats = lattice[:, :1] * cell[0] + lattice[:, 1:2] * cell[1] + lattice[:, 2:] * cell[2]
    return vectors


def shift_codes(S: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many values each component of the shifts S and -S spans, and the sorted codes of the shifts.

    The code of a shift is its place in the box of that span; codes sort like shifts. While the box is small, it is
    taken whole, and the code is the place in the result as well.

    Examples
    --------
    >>> shift_codes(np.array([[0, 0, 0], [1, 0, 0]], np.int32))
    (array([3, 1, 1]), array([0, 1, 2]))
    """
    largest = np.array([max(-int(column.min()), int(column.max())) if len(S) else 0 for column in S.T])
    span = 2 * largest + 1
    if np.log2(span).sum() > 62:
        raise DataError(f"neighbours lie up to {int(largest.max())} cells apart: the atoms have left all bounds")
    total = int(span.prod())
    if total <= DENSE:
        return span, np.arange(total)
    there = ((S[:, 0] + largest[0]) * span[1] + S[:, 1] + largest[1]) * span[2] + S[:, 2] + largest[2]
    there = np.unique(there)
    codes = np.unique(np.concatenate([there, total - 1 - there]))
    if len(codes) >= 1 << SHIFT_BITS:
        raise DataError(f"neighbours by {len(codes)} different lattice vectors: wrap the atoms into the cell")
    return span, codes


@compiled
def sorted_pairs(i: Any, j: Any, S: Any, span: Any, codes: Any, first: Any, pairs: Any) -> None:
    """Write both directions of every pair, by atom and then sorted by neighbour and shift."""
    n, total = len(first) - 1, span[0] * span[1] * span[2]
    for k in range(len(i)):
        first[i[k] + 1] += 1
        first[j[k] + 1] += 1
    for a in range(n):
        first[a + 1] += first[a]
    fill = first[:n].copy()
    for k in range(len(i)):
        there = (np.int64(S[k, 0]) * span[1] + S[k, 1]) * span[2] + S[k, 2] + (total - 1) // 2
        back = total - 1 - there
        if len(codes) < total:
            there, back = np.searchsorted(codes, there), np.searchsorted(codes, back)
        pairs[fill[i[k]]] = (j[k] << SHIFT_BITS) + there
        fill[i[k]] += 1
        pairs[fill[j[k]]] = (i[k] << SHIFT_BITS) + back
        fill[j[k]] += 1
    for a in range(n):
        for k in range(first[a] + 1, first[a + 1]):
            key, place = pairs[k], k
            while place > first[a] and pairs[place - 1] > key:
                pairs[place] = pairs[place - 1]
                place -= 1
            pairs[place] = key
