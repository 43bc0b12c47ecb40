"""Bonds of one frame with the periodic image of each neighbour, and what is counted from them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.geometry import neighbour_pairs

__all__ = ["Bonds", "bonds_of", "links_between", "neighbour_counts", "polyhedra_of"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]


class Bonds(NamedTuple):
    """Pairs of atoms closer than the cut-off of their elements, each in both directions.

    Attributes
    ----------
    symbols
        Chemical symbols, shape (atom,).
    first, second
        Atom indices, shape (bond,).
    images
        Cell of the second atom when the first is at home, in cell vectors, shape (bond, 3).
    distances
        Å, shape (bond,).
    """

    symbols: NDArray[np.str_]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    images: NDArray[np.int64]
    distances: Floats


def bonds_of(atoms: Atoms, cutoffs_A: Mapping[Pair, float]) -> Bonds:
    """Return the bonds of a frame; pairs of elements without a cut-off have none.

    Parameters
    ----------
    atoms
        One periodic frame, wrapped or not; any cell, also one thinner than the cut-offs.
    cutoffs_A
        By sorted pair of elements, Å.
    """
    symbols = np.array(atoms.get_chemical_symbols())
    elements, species = np.unique(symbols, return_inverse=True)
    limit = np.zeros((len(elements), len(elements)))
    for i, a in enumerate(elements):
        for j, b in enumerate(elements):
            limit[i, j] = cutoffs_A.get((min(a, b), max(a, b)), 0.0)
    cell = atoms.cell.array
    found = neighbour_pairs(atoms.positions, cell, max(float(limit.max()), 1e-3))
    kept = found.distances < limit[species[found.first], species[found.second]]
    first, second = found.first[kept], found.second[kept]
    offset = found.vectors[kept] - (atoms.positions[second] - atoms.positions[first])
    images = np.rint(np.linalg.solve(cell.T, offset.T).T).astype(np.int64)
    return Bonds(symbols, first, second, images, found.distances[kept])


def neighbour_counts(bonds: Bonds, of: str, by: str) -> NDArray[np.int64]:
    """Return how many neighbours of element `by` each atom of element `of` has, shape (atom of that element,)."""
    chosen = (bonds.symbols[bonds.first] == of) & (bonds.symbols[bonds.second] == by)
    counts = np.bincount(bonds.first[chosen], minlength=len(bonds.symbols))
    return np.asarray(counts[bonds.symbols == of], dtype=np.int64)


def polyhedra_of(bonds: Bonds, center: str, anions: Sequence[str]) -> Counter[tuple[int, ...]]:
    """Return how many centres have (a, b, ...) neighbours of each of the anions."""
    counts = np.stack([neighbour_counts(bonds, center, anion) for anion in anions], axis=1)
    return Counter(tuple(int(n) for n in row) for row in counts)


def links_between(bonds: Bonds, center: str, anions: Sequence[str]) -> Counter[tuple[str, ...]]:
    """Return the linked pairs of centres in one cell, counted by the elements of the anions that they share.

    A link is a pair of centres and images with at least one common anion; the same two atoms linked through different
    images are different links, and each is counted once per cell.

    Returns
    -------
    Counter
        ``("O",)`` a corner through O, ``("Cl", "O")`` an edge, ``("Cl", "Cl", "Cl")`` a face, and so on; sorted.
    """
    bridging = np.isin(bonds.symbols[bonds.first], list(anions)) & (bonds.symbols[bonds.second] == center)
    centres: dict[int, list[tuple[int, tuple[int, ...]]]] = defaultdict(list)
    for anion, atom, image in zip(
        bonds.first[bridging].tolist(), bonds.second[bridging].tolist(), bonds.images[bridging].tolist(), strict=True
    ):
        centres[anion].append((atom, tuple(image)))
    shared: dict[tuple[int, int, tuple[int, ...]], list[str]] = defaultdict(list)
    for anion, neighbours in centres.items():
        for one, other in combinations(neighbours, 2):
            shared[_link(one, other)].append(str(bonds.symbols[anion]))
    return Counter(tuple(sorted(elements)) for elements in shared.values())


def _link(one: tuple[int, tuple[int, ...]], other: tuple[int, tuple[int, ...]]) -> tuple[int, int, tuple[int, ...]]:
    """Two atoms and the image of the second as seen from the first, the same from either end."""
    apart = tuple(b - a for a, b in zip(one[1], other[1], strict=True))
    back = tuple(-d for d in apart)
    return min((one[0], other[0], apart), (other[0], one[0], back))
