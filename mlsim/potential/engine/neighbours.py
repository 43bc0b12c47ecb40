"""Candidate pairs with a skin, in an order that does not depend on when they were found."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from vesin import NeighborList

__all__ = ["Candidates"]

MARGIN = 1e-9  # Å, for rounding in the test that the list is still complete


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

    Attributes
    ----------
    first, neighbour, shift_index
        Neighbours of atom i are those from first[i] to first[i + 1]; each with a row of `shifts`.
    shifts
        Lattice vectors of the present cell, Å; shape (shift, 3).
    n_built
        How often the list was made.
    """

    def __init__(self, cutoff_A: float, skin_A: float) -> None:
        self.cutoff_A = cutoff_A
        self.skin_A = skin_A
        self.first = np.zeros(1, np.int64)
        self.neighbour = np.zeros(0, np.int32)
        self.shift_index = np.zeros(0, np.int32)
        self.shifts = np.zeros((0, 3))
        self.n_built = 0
        self._positions = np.zeros((0, 3))
        self._cell = np.zeros((3, 3))
        self._pbc: tuple[bool, ...] = ()
        self._lattice = np.zeros((0, 3))

    def update(self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> bool:
        """Make the list fit; return whether it was made anew."""
        if self._complete(positions, cell, pbc):
            return False
        self._find(positions, cell, pbc)
        return True

    def _complete(self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> bool:
        if not self.n_built or positions.shape != self._positions.shape or tuple(pbc) != self._pbc:
            return False
        if np.array_equal(cell, self._cell):
            moved = positions - self._positions
            shrunk = 1.0
        else:
            if not pbc.all():
                return False
            # r = d F + u_j - u_i with the deformation F of the cell: |r| >= s_min(F) |d| - 2 max |u|
            deformation = np.linalg.solve(self._cell, cell)
            shrunk = float(np.linalg.svd(deformation, compute_uv=False)[-1])
            moved = positions - self._positions @ deformation
        furthest = float(np.sqrt(np.einsum("ij,ij->i", moved, moved).max(initial=0.0)))
        if (self.cutoff_A + self.skin_A) * shrunk - 2 * furthest < self.cutoff_A + MARGIN:
            return False
        if shrunk != 1.0:
            self.shifts = self._lattice @ cell
        return True

    def _find(self, positions: NDArray[np.float64], cell: NDArray[np.float64], pbc: NDArray[np.bool_]) -> None:
        n = len(positions)
        finder = NeighborList(cutoff=self.cutoff_A + self.skin_A, full_list=True)
        i, j, S = finder.compute(points=positions, box=cell, periodic=pbc, quantities="ijS")
        S = S.astype(np.int64)
        low = S.min(axis=0, initial=0)
        span = S.max(axis=0, initial=0) - low + 1
        code = ((S[:, 0] - low[0]) * span[1] + S[:, 1] - low[1]) * span[2] + S[:, 2] - low[2]
        order = np.argsort((i.astype(np.int64) * n + j.astype(np.int64)) * int(span.prod()) + code, kind="stable")
        codes, index = np.unique(code, return_inverse=True)
        self._lattice = np.stack(np.unravel_index(codes, span), axis=1) + low
        self.shifts = self._lattice @ cell
        self.first = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(i.astype(np.int64), minlength=n), out=self.first[1:])
        self.neighbour = j[order].astype(np.int32)
        self.shift_index = index[order].astype(np.int32)
        self._positions, self._cell, self._pbc = positions.copy(), cell.copy(), tuple(pbc)
        self.n_built += 1
