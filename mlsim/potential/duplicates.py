"""Structures that are the same whatever the order of their atoms, their origin, their orientation or their cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

__all__ = ["shared_structures"]

Floats = NDArray[np.float64]
# Atoms that move by 0.01 Å change a distance by up to twice as much; sorting never makes the largest change larger.
_SAME_A = 0.02


@dataclass(frozen=True)
class _Distances:
    """What stays when atoms change places or the whole moves, Å: each value moves no more than the distances do."""

    few: Floats  # cell lengths and the mean distance of each pair of elements: enough to tell most structures apart
    all: NDArray[np.float32]  # each distance, sorted within each pair of elements


def shared_structures(first: Sequence[Atoms], second: Sequence[Atoms]) -> list[tuple[int, int]]:
    """Return the pairs of indices of structures that agree to 0.01 Å, with atoms in any order, shifted or turned.

    Compared are composition, reduced cell, volume, and for each pair of elements all distances to the nearest image,
    sorted; a mirror image counts as the same.

    Notes
    -----
    Frames whose composition is on both sides cost 3 ms each at 100 atoms, as the square of the number of atoms.
    """
    sides = [_by_composition(first), _by_composition(second)]
    pairs = []
    for composition in sides[0].keys() & sides[1].keys():
        mine, others = (side[composition] for side in sides)
        found = [_distances(second[j]) for j in others]
        few, every = np.array([d.few for d in found]), np.array([d.all for d in found])
        for i in mine:
            own = _distances(first[i])
            near = np.flatnonzero(np.abs(few - own.few).max(axis=1) < _SAME_A)
            same = near[np.abs(every[near] - own.all).max(axis=1, initial=0.0) < _SAME_A]
            pairs += [(i, others[k]) for k in same]
    return sorted(pairs)


def _by_composition(frames: Sequence[Atoms]) -> dict[bytes, list[int]]:
    groups: dict[bytes, list[int]] = {}
    for index, frame in enumerate(frames):
        groups.setdefault(np.sort(frame.numbers).tobytes(), []).append(index)
    return groups


def _distances(atoms: Atoms) -> _Distances:
    cell = minkowski_reduce(atoms.cell[:])[0]
    shape = np.append(np.sort(np.linalg.norm(cell, axis=1)), abs(np.linalg.det(cell)) ** (1 / 3))
    i, j = np.triu_indices(len(atoms), 1)
    if not len(i):
        return _Distances(shape, np.zeros(0, dtype=np.float32))
    lengths = _nearest_image_distances(atoms.positions[j] - atoms.positions[i], cell)
    low, high = np.minimum(atoms.numbers[i], atoms.numbers[j]), np.maximum(atoms.numbers[i], atoms.numbers[j])
    order = np.lexsort((lengths, high, low))
    change = np.diff(low[order]) | np.diff(high[order])
    starts = np.append(0, np.flatnonzero(change) + 1)
    means = np.add.reduceat(lengths[order], starts) / np.diff(np.append(starts, len(order)))
    return _Distances(np.concatenate([shape, means]), lengths[order].astype(np.float32))


def _nearest_image_distances(vectors: Floats, reduced_cell: Floats) -> Floats:
    """Return the lengths of the shortest images of vectors, Å; ten times as fast as keeping the images themselves."""
    inside = vectors @ np.linalg.inv(reduced_cell)
    inside -= np.round(inside)
    wrapped = inside @ reduced_cell
    # in a Minkowski-reduced cell the nearest image of a wrapped vector is at most one cell away
    images = np.array(list(product((-1, 0, 1), repeat=3))) @ reduced_cell
    squares = wrapped @ (2 * images.T)
    squares += np.sum(images**2, axis=1)
    nearest: Floats = np.min(squares, axis=1) + np.sum(wrapped**2, axis=1)
    return np.sqrt(np.maximum(nearest, 0.0))
