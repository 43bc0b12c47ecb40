"""Geometry of periodic cells on plain arrays: heights, minimum image, unwrapping, neighbour pairs.

Cell vectors are the rows of a (3, 3) array; lengths in Å.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import NamedTuple

import numpy as np
from ase.geometry import find_mic, minkowski_reduce
from numpy.typing import ArrayLike, NDArray

from mlsim.errors import DataError

__all__ = [
    "NeighbourPairs",
    "cell_heights",
    "largest_exact_radius",
    "minimum_image",
    "neighbour_pairs",
    "unwrapped",
    "vesin_without_torch",
]

Floats = NDArray[np.float64]


class NeighbourPairs(NamedTuple):
    """Pairs of atoms closer than a cut-off, each pair in both directions (i, j) and (j, i).

    Attributes
    ----------
    first, second
        Atom indices, shape (pair,).
    vectors
        From the first atom to the image of the second, Å, shape (pair, 3).
    distances
        Lengths of the vectors, Å, shape (pair,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    vectors: Floats
    distances: Floats


def cell_heights(cell: ArrayLike) -> Floats:
    """Return the three distances between opposite faces of a cell, in Å: h_a = V / |b × c|.

    Examples
    --------
    >>> cell_heights(np.diag([2.0, 3.0, 4.0]))
    array([2., 3., 4.])
    """
    vectors = _checked_cell(cell)
    volume = abs(float(np.linalg.det(vectors)))
    faces = np.cross(np.roll(vectors, -1, axis=0), np.roll(vectors, -2, axis=0))
    return np.asarray(volume / np.linalg.norm(faces, axis=1))


def largest_exact_radius(cell: ArrayLike) -> float:
    """Return half the shortest lattice vector in Å: below it each pair has at most one image.

    A sphere of this radius meets no periodic copy of itself, in a cell of any shape.
    """
    reduced, _ = minkowski_reduce(_checked_cell(cell))
    return float(np.linalg.norm(reduced, axis=1).min() / 2)


def minimum_image(vectors: ArrayLike, cell: ArrayLike) -> Floats:
    """Return the shortest periodic images of vectors, in any cell shape.

    Parameters
    ----------
    vectors
        Å, shape (..., 3).
    cell
        Rows are the cell vectors, Å, shape (3, 3).
    """
    given = np.asarray(vectors, dtype=float)
    shortest, _ = find_mic(given.reshape(-1, 3), _checked_cell(cell), pbc=True)
    return np.asarray(shortest, dtype=float).reshape(given.shape)


def unwrapped(positions: ArrayLike, cell: ArrayLike) -> Floats:
    """Return positions in which no atom jumps by a cell vector from one frame to the next.

    Works in fractional coordinates, so a cell that changes with time (NPT) scales the path as a whole.

    Parameters
    ----------
    positions
        Wrapped or not, Å, shape (frame, atom, 3).
    cell
        One cell (3, 3) or one per frame (frame, 3, 3), Å.

    Notes
    -----
    An atom that moves more than half a cell between two stored frames cannot be followed.
    """
    path = np.asarray(positions, dtype=float)
    cells = np.broadcast_to(np.asarray(cell, dtype=float), (len(path), 3, 3))
    fractional = np.linalg.solve(np.swapaxes(cells, 1, 2), np.swapaxes(path, 1, 2))
    fractional = np.swapaxes(fractional, 1, 2)
    steps = np.diff(fractional, axis=0)
    images = np.round(steps)
    np.cumsum(images, axis=0, out=images)
    fractional[1:] -= images
    return np.asarray(fractional @ cells)


def neighbour_pairs(positions: ArrayLike, cell: ArrayLike, cutoff: float, *, periodic: bool = True) -> NeighbourPairs:
    """Return all pairs with 0 < distance < `cutoff`, in both directions, also in cells thinner than the cut-off.

    Parameters
    ----------
    positions
        Å, shape (atom, 3).
    cell
        Å, shape (3, 3); ignored when not periodic.
    cutoff
        Å.
    periodic
        Periodic along all three vectors, or along none.

    Notes
    -----
    Cost and memory are linear in the number of atoms. The list comes from vesin (doi:10.21105/joss.07865).
    """
    points = np.ascontiguousarray(positions, dtype=float)
    if not np.isfinite(points).all():
        raise DataError("positions hold values that are not finite; cannot search neighbours")
    box = _checked_cell(cell) if periodic else np.zeros((3, 3))
    search = vesin_without_torch().NeighborList(cutoff=float(cutoff), full_list=True)
    first, second, vectors, distances = search.compute(points, box, periodic, quantities="ijDd")
    return NeighbourPairs(
        np.asarray(first, dtype=np.int64),
        np.asarray(second, dtype=np.int64),
        np.asarray(vectors),
        np.asarray(distances),
    )


def vesin_without_torch() -> ModuleType:
    """Return vesin, imported such that it does not import torch.

    It would load all of torch (seconds) to recognise tensors, where torch is installed. We only give it arrays.
    """
    if "vesin" not in sys.modules and "torch" not in sys.modules:
        sys.modules["torch"] = None  # type: ignore[assignment]  # makes `import torch` an ImportError
        try:
            importlib.import_module("vesin")
        finally:
            del sys.modules["torch"]
    return importlib.import_module("vesin")


def _checked_cell(cell: ArrayLike) -> Floats:
    vectors = np.asarray(cell, dtype=float)
    if vectors.shape != (3, 3) or not np.isfinite(vectors).all() or abs(np.linalg.det(vectors)) < 1e-9:
        raise DataError(f"cell: expected three independent vectors of finite length in Å, got {vectors.tolist()}")
    return vectors
