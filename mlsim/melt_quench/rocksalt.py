"""Rocksalt domains: has a glass begun to crystallise, or to separate into its salts?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import SettingsError
from mlsim.geometry import neighbour_pairs

__all__ = ["RocksaltDomains", "rocksalt_domains"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

REACH_A = 4.5  # holds the six neighbours of rocksalt with bonds up to 3.6 Å (NaBr, KCl) and their vibration
STRAIGHT = -np.cos(np.radians(30.0))
SQUARE = np.sin(np.radians(30.0))
FEWEST_CENTRES = 4
_SIX = 6


@dataclass(frozen=True, eq=False)
class RocksaltDomains:
    """Domains of rocksalt in one structure.

    Attributes
    ----------
    fraction
        Atoms in domains, their surface included, over all atoms.
    sizes
        Atoms in each domain, largest first.
    members
        Whether an atom is in a domain, shape (atom,).
    """

    fraction: float
    sizes: tuple[int, ...]
    members: NDArray[np.bool_]


def rocksalt_domains(atoms: Atoms, cation: str = "Li", anion: str = "Cl") -> RocksaltDomains:
    """Return the rocksalt domains of one salt.

    A cation or anion is a centre when its six nearest atoms are all of the other kind and form an octahedron: each
    has one partner opposite (angle above 150°) and stands at 60° to 120° to the four others. Centres that are
    neighbours belong to one domain; a domain has at least four of them, and its surface, the neighbours that are
    no centres themselves, belongs to it.

    Parameters
    ----------
    atoms
        Periodic structure, at rest or at a temperature well below melting: vibration breaks octahedra.
    cation, anion
        Chemical symbols of the salt.

    Raises
    ------
    SettingsError
        If both are the same element.

    Notes
    -----
    In a crystal the fraction is 1; the glass of Li3ZrCl4O1.5 has chloride bound to zirconium, whose surroundings
    are no octahedra of lithium.

    Examples
    --------
    >>> from ase.build import bulk
    >>> rocksalt_domains(bulk("LiCl", "rocksalt", 5.13, cubic=True) * (2, 2, 2)).fraction
    1.0
    """
    if cation == anion:
        raise SettingsError(f"rocksalt domains: cation and anion are both {cation}, expected two elements")
    symbols = np.array(atoms.get_chemical_symbols())
    kinds = np.where(symbols == cation, 1, np.where(symbols == anion, -1, 0))
    members = np.zeros(len(atoms), dtype=bool)
    centres, nearest = _octahedra(atoms, kinds)
    sizes = []
    for domain in _connected(centres, nearest, len(atoms)):
        inside = np.unique(np.concatenate([centres[domain], nearest[domain].ravel()]))
        sizes.append(len(inside))
        members[inside] = True
    return RocksaltDomains(float(members.mean()) if len(atoms) else 0.0, tuple(sorted(sizes, reverse=True)), members)


def _octahedra(atoms: Atoms, kinds: Indices) -> tuple[Indices, Indices]:
    """Atoms that are centres, and their six neighbours: shapes (centre,) and (centre, 6)."""
    pairs = neighbour_pairs(atoms.positions, np.asarray(atoms.cell), REACH_A)
    order = np.lexsort((pairs.distances, pairs.first))
    first, second = pairs.first[order], pairs.second[order]
    counts = np.bincount(first, minlength=len(atoms))
    begins = np.cumsum(counts) - counts
    centres = np.flatnonzero((counts >= _SIX) & (kinds != 0))
    rows = begins[centres][:, None] + np.arange(_SIX)
    right = (kinds[second[rows]] == -kinds[centres][:, None]).all(axis=1)
    centres, rows = centres[right], rows[right]
    vectors = pairs.vectors[order][rows] / pairs.distances[order][rows][..., None]
    cosines = np.einsum("nax,nbx->nab", vectors, vectors)
    opposite = (cosines < STRAIGHT).sum(axis=2) == 1
    beside = (np.abs(cosines) < SQUARE).sum(axis=2) == _SIX - 2
    good = (opposite & beside).all(axis=1)
    return centres[good], second[rows[good]]


def _connected(centres: Indices, nearest: Indices, n_atoms: int) -> list[Indices]:
    """Rows of the centres of each domain."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row_of = np.full(n_atoms, -1)
    row_of[centres] = np.arange(len(centres))
    others = row_of[nearest]
    rows, columns = np.nonzero(others >= 0)
    bonds = coo_array((np.ones(len(rows)), (rows, others[rows, columns])), shape=(len(centres), len(centres)))
    count, labels = connected_components(bonds, directed=False)
    domains = [np.flatnonzero(labels == label) for label in range(count)]
    return [domain for domain in domains if len(domain) >= FEWEST_CENTRES]
