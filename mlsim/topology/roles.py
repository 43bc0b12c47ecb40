"""Who is what in a glass: the centre of the polyhedra, the anions that link them, the ion that moves."""

from __future__ import annotations

from typing import TypedDict

from ase import Atoms

from mlsim.composition import Composition
from mlsim.errors import DataError

__all__ = ["Roles", "roles_of"]


class Roles(TypedDict):
    """Arguments of `topology_of`."""

    center: str
    bridging: tuple[str, ...]
    mobile: str


def roles_of(atoms: Atoms, *, center: str | None = None) -> Roles:
    """Return the roles by formal charge: highest cation, all anions, lowest cation.

    Parameters
    ----------
    atoms
        The glass.
    center
        Another element as centre of the polyhedra.

    Raises
    ------
    SettingsError
        If formal charges are not known or do not add up to zero.
    DataError
        If `center` is no cation of the glass or there is no anion.

    Examples
    --------
    >>> roles_of(Atoms("Li6Zr2Cl8O3"))
    {'center': 'Zr', 'bridging': ('O', 'Cl'), 'mobile': 'Li'}
    """
    charges = Composition.of_atoms(atoms.get_chemical_symbols()).formal_charges()
    cations = sorted((e for e, q in charges.items() if q > 0), key=lambda e: (-charges[e], e))
    anions = tuple(sorted((e for e, q in charges.items() if q < 0), key=lambda e: (charges[e], e)))
    if not cations or not anions:
        raise DataError(f"topology: {', '.join(charges)} are no cations and anions; nothing is linked")
    if center is not None and center not in cations:
        raise DataError(f"topology: center {center} is no cation of the glass; it has {', '.join(cations)}")
    chosen = center or cations[0]
    others = [e for e in cations if e != chosen]
    return Roles(center=chosen, bridging=anions, mobile=others[-1] if others else chosen)
