"""Candidate pairs with a skin, in an order that does not depend on when they were found."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlsim.compiled import compiled
from mlsim.errors import DataError

__all__ = ["SHIFT_BITS", "Candidates"]

Floats = NDArray[np.float64]
MARGIN = 1e-9  # Å, for rounding in the test that the list is still complete
SHIFT_BITS = 24
LARGEST_BITS = 38  # of the number of shifts: a neighbour's number needs the other bits of an int64
DENSE = 4096  # up to here all shifts of the box are kept, whether a pair has them or not
FURTHEST = 1e9  # cells


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

    def find(self, positions: Floats, cell: Floats, pbc: NDArray[np.bool_], each: Callable[[Any], list[Any]]) -> None:
        """Make the list anew; directions that are not periodic need some cell vector too.

        `each` returns the results of tasks (function, arguments), which it may run at the same time.
        """
        self.pairs = self.pairs[:0]  # before the search, which needs the memory
        bins = Bins.of(positions, cell, pbc, self.cutoff_A + self.skin_A)
        total = shift_count(bins.span)
        stride = 1 << SHIFT_BITS if total <= DENSE else total
        self.first = np.zeros(len(positions) + 1, np.int64)
        marks = np.linspace(0, len(positions), self.threads + 1).astype(np.int64).tolist()
        found = each(
            [(pairs_of_atoms, (lo, hi, bins, stride, self.first)) for lo, hi in itertools.pairwise(marks) if lo < hi]
        )
        np.cumsum(self.first, out=self.first)
        pairs = found[0] if len(found) == 1 else np.concatenate([np.zeros(0, np.int64), *found])
        codes = np.arange(total if total <= DENSE else 0)
        if total > DENSE:
            codes = np.unique(pairs % total)
            if len(codes) >= 1 << SHIFT_BITS:
                raise DataError(f"neighbours by {len(codes)} different lattice vectors: wrap the atoms into the cell")
            pairs = ((pairs // total) << SHIFT_BITS) + np.searchsorted(codes, pairs % total)
        self.pairs = pairs
        span = 2 * bins.span + 1
        self._lattice = np.stack(np.unravel_index(codes, tuple(span)), axis=1) - bins.span.astype(float)
        self.shifts, self._shifts_cell = lattice_vectors(self._lattice, cell), cell.copy()
        self._positions, self._cell, self._pbc = positions.copy(), cell.copy(), tuple(pbc)
        self.n_built += 1


class Bins(NamedTuple):
    """Atoms sorted into parallelepipeds about half as wide as the reach."""

    reach: float  # Å
    cell: Floats  # Å, rows are the vectors
    periodic: NDArray[np.bool_]  # (3,)
    shape: NDArray[np.int64]  # (3,): bins along each cell vector
    width: NDArray[np.int64]  # (3,): how many bins away a neighbour can be
    span: NDArray[np.int64]  # (3,): largest lattice shift between two neighbours
    home: NDArray[np.int64]  # (atom, 3): cell in which the atom lies
    place: NDArray[np.int64]  # (atom, 3): its bin
    starts: NDArray[np.int64]  # (bin + 1,): first row of each bin in the two arrays below
    atoms: NDArray[np.int64]  # (row,): numbers of the atoms, bin after bin
    points: Floats  # (row, 3): Å, their positions put back into the cell

    @classmethod
    def of(cls, positions: Floats, cell: Floats, pbc: NDArray[np.bool_], reach: float) -> Bins:
        """Return the bins of a structure."""
        n = len(positions)
        fractional = positions @ np.linalg.inv(cell)
        whole = np.floor(fractional) * pbc
        if n and float(np.abs(whole).max()) > FURTHEST:
            raise DataError(f"atoms lie up to {np.abs(whole).max():.0f} cells away: they have left all bounds")
        home = whole.astype(np.int64)
        inside = fractional - whole
        low = np.where(pbc, 0.0, inside.min(axis=0, initial=np.inf)) if n else np.zeros(3)
        length = np.where(pbc, 1.0, np.maximum(inside.max(axis=0, initial=-np.inf) - low, 1e-9)) if n else np.ones(3)
        heights = length / np.linalg.norm(np.linalg.inv(cell), axis=0)
        shape = np.maximum(2 * heights / (reach * (1 + 1e-9)), 1).clip(max=1024).astype(np.int64)
        while shape.prod() > 8 * n + 64:  # a few atoms in a large box
            shape[np.argmax(shape)] //= 2
        width = np.ceil(reach * (1 + 1e-9) * shape / heights)
        width = np.where(pbc, width, np.minimum(width, shape)).astype(np.int64)
        place = np.clip(((inside - low) / length * shape).astype(np.int64), 0, shape - 1)
        flat = (place[:, 0] * shape[1] + place[:, 1]) * shape[2] + place[:, 2]
        atoms = np.argsort(flat, kind="stable")
        starts = np.searchsorted(flat[atoms], np.arange(shape.prod() + 1))
        images = np.where(pbc, (shape - 1 + width) // shape, 0)
        span = images + (np.ptp(home, axis=0) if n else 0)
        points = positions[atoms] - whole[atoms] @ cell
        return cls(reach, cell, pbc.copy(), shape, width, span, home, place, starts, atoms, points)


def lattice_vectors(lattice: Floats, cell: Floats) -> Floats:
    """Return lattice @ cell, each row by the same operations (BLAS may round rows of a larger product otherwise)."""
    vectors: Floats = lattice[:, :1] * cell[0] + lattice[:, 1:2] * cell[1] + lattice[:, 2:] * cell[2]
    return vectors


def shift_count(span: NDArray[np.int64]) -> int:
    """Return how many lattice shifts there are between -span and span.

    Examples
    --------
    >>> shift_count(np.array([1, 1, 0]))
    9
    """
    if np.log2(2.0 * span + 1).sum() > LARGEST_BITS:
        raise DataError(f"neighbours lie up to {int(span.max())} cells apart: the atoms have left all bounds")
    return int((2 * span + 1).prod())


@compiled
def pairs_of_atoms(lo: Any, hi: Any, bins: Any, stride: Any, first: Any) -> Any:
    """Return the pairs of atoms lo to hi, sorted by atom, neighbour and lattice shift; write their number to `first`.

    A pair is the number of the neighbour times `stride` plus the place of the shift in the box from -span to span.
    """
    shape, width, starts, place = bins.shape, bins.width, bins.starts, bins.place
    row_of = np.empty(len(bins.atoms), np.int64)
    for row in range(len(row_of)):
        row_of[bins.atoms[row]] = row
    pairs, k = np.empty(64 * (hi - lo) + 1024, np.int64), 0
    for i in range(lo, hi):
        begin = k
        for bx in range(place[i, 0] - width[0], place[i, 0] + width[0] + 1):
            ax = bx // shape[0]
            for by in range(place[i, 1] - width[1], place[i, 1] + width[1] + 1):
                ay = by // shape[1]
                if (ax != 0 and not bins.periodic[0]) or (ay != 0 and not bins.periodic[1]):
                    continue
                column = ((bx - ax * shape[0]) * shape[1] + by - ay * shape[1]) * shape[2]
                bz, end = place[i, 2] - width[2], place[i, 2] + width[2] + 1
                while bz < end:  # bins one after the other along z, as far as they share the image
                    az = bz // shape[2]
                    left = min(end, (az + 1) * shape[2]) - az * shape[2]
                    low, high = starts[column + bz - az * shape[2]], starts[column + left]
                    bz = az * shape[2] + left
                    if az == 0 or bins.periodic[2]:
                        pairs = with_room(pairs, k, high - low)
                        k = add_pairs(i, row_of[i], low, high, ax, ay, az, bins, stride, pairs, k)
        first[i + 1] = k - begin
        sort(pairs, begin, k)
    return pairs[:k].copy()


@compiled
def with_room(pairs: Any, used: Any, more: Any) -> Any:
    """Return the array, or a longer one with the same beginning, so that `more` fit behind the used ones."""
    if used + more <= len(pairs):
        return pairs
    longer = np.empty(2 * len(pairs) + more, np.int64)
    longer[:used] = pairs[:used]
    return longer


@compiled
def add_pairs(
    i: Any, own: Any, low: Any, high: Any, ax: Any, ay: Any, az: Any, bins: Any, stride: Any, pairs: Any, k: Any
) -> Any:
    """Write the pairs of atom i with rows low to high, shifted by the lattice vector a; return their new end."""
    cell, home, span, points, limit = bins.cell, bins.home, bins.span, bins.points, bins.reach * bins.reach
    x0 = points[own, 0] - (ax * cell[0, 0] + ay * cell[1, 0] + az * cell[2, 0])
    y0 = points[own, 1] - (ax * cell[0, 1] + ay * cell[1, 1] + az * cell[2, 1])
    z0 = points[own, 2] - (ax * cell[0, 2] + ay * cell[1, 2] + az * cell[2, 2])
    here = ax == 0 and ay == 0 and az == 0
    for row in range(low, high):
        x, y, z = points[row, 0] - x0, points[row, 1] - y0, points[row, 2] - z0
        if x * x + y * y + z * z < limit and not (here and row == own):
            j = bins.atoms[row]
            cx = ax + home[i, 0] - home[j, 0] + span[0]
            cy = ay + home[i, 1] - home[j, 1] + span[1]
            cz = az + home[i, 2] - home[j, 2] + span[2]
            pairs[k] = j * stride + (cx * (2 * span[1] + 1) + cy) * (2 * span[2] + 1) + cz
            k += 1
    return k


@compiled
def sort(keys: Any, begin: Any, end: Any) -> None:
    """Sort some keys in place by insertion: they are few and partly in order."""
    for k in range(begin + 1, end):
        key, at = keys[k], k
        while at > begin and keys[at - 1] > key:
            keys[at] = keys[at - 1]
            at -= 1
        keys[at] = key
