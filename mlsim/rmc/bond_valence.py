"""Bond-valence sums: what each atom's bonds add up to, beside its formal charge.

V_i = sum_j exp[(R_ij − r_ij)/b], b = 0.37 Å, over neighbours of opposite charge. A sum far from the formal charge
marks a structure that chemistry would not make, whatever the scattering says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.geometry import neighbour_pairs
from mlsim.rmc.soft import VALENCE_SOFTNESS_A

__all__ = ["BOND_VALENCE_LENGTHS_A", "bond_valence_sums", "expected_valences"]

Floats = NDArray[np.float64]

BOND_VALENCE_LENGTHS_A: Mapping[tuple[str, str], float] = MappingProxyType(
    {
        ("Cl", "Li"): 1.91,
        ("Cl", "Mg"): 2.08,
        ("Cl", "Si"): 2.03,
        ("Cl", "Zr"): 2.33,
        ("Li", "O"): 1.466,
        ("Mg", "O"): 1.693,
        ("O", "Si"): 1.624,
        ("O", "Zr"): 1.937,
    }
)
"""R of a bond of valence one, Å (b = 0.37 Å), by sorted pair, for Li(I), Mg(II), Si(IV), Zr(IV).

N. E. Brese, M. O'Keeffe, Acta Cryst. B47, 192 (1991), doi:10.1107/S0108768190011041; Li–O and Mg–O there are those of
I. D. Brown, D. Altermatt, Acta Cryst. B41, 244 (1985), doi:10.1107/S0108768185002063.
"""

VALENCE_RADIUS_A = 4.0
"""Bonds beyond this are left out, Å: the longest R here gives 0.011 there."""


def bond_valence_sums(atoms: Atoms) -> Floats:
    """Return the bond-valence sum of every atom, shape (atom,).

    Parameters
    ----------
    atoms
        Periodic; cations and anions of `BOND_VALENCE_LENGTHS_A`.

    Examples
    --------
    >>> from ase.build import bulk
    >>> bond_valence_sums(bulk("LiCl", "rocksalt", a=5.13)).round(2)
    array([1.02, 1.02])
    """
    lengths = bond_lengths(atoms.get_chemical_symbols())
    elements, kind = np.unique(atoms.get_chemical_symbols(), return_inverse=True)
    table = np.zeros((len(elements), len(elements)))
    for (a, b), value in lengths.items():
        i, j = np.searchsorted(elements, [a, b])
        table[i, j] = table[j, i] = value
    found = neighbour_pairs(atoms.positions, atoms.cell.array, VALENCE_RADIUS_A)
    length = table[kind[found.first], kind[found.second]]
    valence = np.where(length > 0, np.exp((length - found.distances) / VALENCE_SOFTNESS_A), 0.0)
    return np.asarray(np.bincount(found.first, valence, len(atoms)))


def expected_valences(symbols: list[str]) -> dict[str, float]:
    """Return the size of the formal charge of each element, what its bond-valence sum should be."""
    charges = Composition.of_atoms(symbols).formal_charges()
    return {element: float(abs(charge)) for element, charge in charges.items()}


def bond_lengths(symbols: list[str]) -> dict[tuple[str, str], float]:
    """Return R of every cation–anion pair of a composition, Å.

    Raises
    ------
    SettingsError
        If a pair has no parameter here or the composition is not neutral.
    """
    charges = Composition.of_atoms(symbols).formal_charges()
    pairs = [(a, b) for a in charges for b in charges if a < b and charges[a] * charges[b] < 0]
    unknown = ["-".join(p) for p in pairs if p not in BOND_VALENCE_LENGTHS_A]
    if unknown:
        raise SettingsError(
            f"bond valence: no parameter for {', '.join(unknown)}; known: "
            f"{', '.join('-'.join(p) for p in BOND_VALENCE_LENGTHS_A)}"
        )
    return {p: BOND_VALENCE_LENGTHS_A[p] for p in pairs}
