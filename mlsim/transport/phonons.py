"""Harmonic vibrations of a crystal, by finite displacements through phonopy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlsim.errors import DataError
from mlsim.geometry import cell_heights
from mlsim.transport.vibrations import Vibrations, vibrations_of_modes

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

__all__ = ["harmonic_vibrations"]

_LARGEST_FORCE = 0.02
_THICK_A = 10.0


def harmonic_vibrations(
    atoms: Atoms,
    calculator: Calculator,
    *,
    supercell: tuple[int, int, int] | None = None,
    mesh: tuple[int, int, int] = (4, 4, 4),
    displacement_A: float = 0.01,
) -> dict[str, Vibrations]:
    """Return the vibrational density of states of each element of a relaxed crystal.

    Parameters
    ----------
    atoms
        Relaxed cell.
    calculator
        Any ASE calculator.
    supercell
        Cells along each vector in which forces are found; by default as many as make it 10 Å thick, twice the reach
        of the usual potential.
    mesh
        Wave vectors along each reciprocal vector.
    displacement_A
        Finite displacement, Å.

    Raises
    ------
    DataError
        If the cell is not relaxed (a force above 0.02 eV/Å).

    Notes
    -----
    phonopy: A. Togo et al., doi:10.1088/1361-648X/acd831. Imaginary modes are left out.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    start = atoms.copy()
    start.calc = calculator
    largest = float(np.linalg.norm(start.get_forces(), axis=1).max())
    if largest > _LARGEST_FORCE:
        raise DataError(f"phonons: largest force {largest:.3g} eV/Å, expected below {_LARGEST_FORCE}; relax it")
    if supercell is None:
        along = np.ceil(_THICK_A / cell_heights(atoms.cell.array)).astype(int)
        supercell = (int(along[0]), int(along[1]), int(along[2]))
    symbols = atoms.get_chemical_symbols()
    cell = PhonopyAtoms(symbols=symbols, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions())
    phonons = Phonopy(cell, supercell_matrix=np.diag(supercell), primitive_matrix=np.eye(3), log_level=0)
    _find_forces(phonons, calculator, displacement_A)
    phonons.produce_force_constants()
    phonons.symmetrize_force_constants()
    phonons.run_mesh(mesh, with_eigenvectors=True, is_mesh_symmetry=False)
    frequency = np.asarray(phonons.mesh.frequencies, dtype=float)
    squared = np.abs(np.asarray(phonons.mesh.eigenvectors)) ** 2  # (q, component, band)
    vibrating = {}
    for element in sorted(set(symbols)):
        components = np.repeat(np.array(symbols) == element, 3)
        weight = squared[:, components, :].sum(axis=1)
        vibrating[element] = vibrations_of_modes(element, frequency.ravel(), weight.ravel())
    return vibrating


def _find_forces(phonons: Any, calculator: Calculator, displacement_A: float) -> None:
    """Give phonopy the forces of the displacements that it asks for."""
    from ase import Atoms

    phonons.generate_displacements(distance=displacement_A)
    forces = []
    for moved in phonons.supercells_with_displacements:
        displaced = Atoms(moved.symbols, cell=moved.cell, scaled_positions=moved.scaled_positions, pbc=True)
        displaced.calc = calculator
        forces.append(displaced.get_forces())
    phonons.forces = forces
