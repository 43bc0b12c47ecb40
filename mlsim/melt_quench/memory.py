"""What a melt still knows of the packing that it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.geometry import neighbour_pairs

__all__ = ["ElementMemory", "melt_memory"]

Floats = NDArray[np.float64]

SITE_RADIUS_A = 1.0
_FORGOTTEN = 3.0  # standard deviations that an overlap may exceed zero by; several elements are looked at
_NOT_ITSELF_A = 1e-7  # shifts the sites, since a pair at distance 0 counts as an atom and itself


@dataclass(frozen=True)
class ElementMemory:
    """How much the atoms of one element remember of where they started.

    Attributes
    ----------
    displacement_A
        Mean distance moved, Å.
    overlap
        1: an atom of the element sits within 1 Å of every place where one was at the start. 0: no more often than
        at random.
    overlap_error
        Standard deviation of the overlap of independent random places.
    """

    displacement_A: float
    overlap: float
    overlap_error: float

    @property
    def forgotten(self) -> bool:
        """Whether the overlap is that of random places, within three standard deviations."""
        return self.overlap <= _FORGOTTEN * self.overlap_error


def melt_memory(start: Atoms, now: Atoms) -> Mapping[str, ElementMemory]:
    """Return by element how far its atoms moved and how many of their places are still theirs.

    With f the share of the start's places with an atom of the same element within a = 1 Å, and f0 that of places in
    a random gas of the same density, f0 = 1 − exp(−4π a³ n / 3V)::

        overlap = (f − f0) / (1 − f0),   standard deviation sqrt(f0 / (1 − f0) / n)

    Parameters
    ----------
    start, now
        The same atoms in the same order, unwrapped in `now`. The start is strained to the cell of `now`, and the
        motion of the centre of mass is taken out.

    Raises
    ------
    DataError
        If they are not the same atoms.

    Notes
    -----
    Places are compared by element, not by atom: two atoms that changed places have forgotten nothing of the packing.
    """
    if not np.array_equal(start.numbers, now.numbers):
        raise DataError("melt memory: the two structures are not the same atoms in the same order")
    cell = np.asarray(now.cell)
    places = start.cell.scaled_positions(start.positions) @ cell
    moved = now.positions - places
    drift = np.average(moved, axis=0, weights=now.get_masses())
    moved, places = moved - drift, places + drift
    symbols = np.array(now.get_chemical_symbols())
    result = {}
    for element in sorted(set(symbols.tolist())):
        own = symbols == element
        n = int(own.sum())
        chance = 1 - np.exp(-4 / 3 * np.pi * SITE_RADIUS_A**3 * n / abs(float(now.cell.volume)))
        overlap = (_share_occupied(places[own], now.positions[own], cell) - chance) / (1 - chance)
        error = np.sqrt(chance / (1 - chance) / n)
        displacement = float(np.linalg.norm(moved[own], axis=1).mean())
        result[element] = ElementMemory(displacement, float(overlap), float(error))
    return result


def _share_occupied(places: Floats, points: Floats, cell: Floats) -> float:
    """Share of the places that have a point within the radius of a site."""
    both = np.concatenate([places + _NOT_ITSELF_A, points])
    pairs = neighbour_pairs(both, cell, SITE_RADIUS_A)
    n = len(places)
    occupied = np.unique(pairs.first[(pairs.first < n) & (pairs.second >= n)])
    return len(occupied) / n
