"""Crystals by a potential: relaxed cell, bulk modulus, phonons."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from mlsim.errors import NotConverged
from mlsim.potential.crystals import crystal_cell, supercell_near
from mlsim.units import GPA_PER_EV_A3

__all__ = ["CrystalCheck", "CrystalPhonons", "bulk_modulus", "crystal_check", "phonons", "relaxed_crystal"]


@dataclass(frozen=True)
class CrystalPhonons:
    """Frequencies over the Brillouin zone; imaginary ones are given as negative.

    Attributes
    ----------
    lowest_THz, highest_THz
        Of the mesh; `lowest_THz` leaves out nothing: the acoustic branches reach 0 at Γ.
    n_supercell
        Atoms of the supercell in which atoms were displaced.
    """

    lowest_THz: float
    highest_THz: float
    n_supercell: int

    @property
    def stable(self) -> bool:
        """Whether no branch is imaginary by more than 0.1 THz, what finite displacements leave of the acoustic zero."""
        return self.lowest_THz > -0.1


@dataclass(frozen=True)
class CrystalCheck:
    """What a potential makes of one crystal.

    Attributes
    ----------
    name
        Of `mlsim.potential.crystals.CRYSTALS`.
    lengths_A, start_lengths_A
        Cell vectors as relaxed, and those of the experimental or idealised cell it started from, Å.
    bulk_modulus_GPa
        See `bulk_modulus`.
    phonons
        See `phonons`.
    """

    name: str
    lengths_A: tuple[float, float, float]
    start_lengths_A: tuple[float, float, float]
    bulk_modulus_GPa: float
    phonons: CrystalPhonons


def crystal_check(name: str, calculator: Any) -> CrystalCheck:
    """Relax a crystal of ours with a potential; return its cell, bulk modulus and phonons."""
    start = crystal_cell(name)
    crystal = relaxed_crystal(start, calculator)
    a, b, c = (float(length) for length in crystal.cell.lengths())
    a0, b0, c0 = (float(length) for length in start.cell.lengths())
    found = phonons(crystal, calculator)
    return CrystalCheck(name, (a, b, c), (a0, b0, c0), bulk_modulus(crystal, calculator), found)


def relaxed_crystal(atoms: Atoms, calculator: Any, *, fmax_eV_A: float = 1e-3, steps: int = 1000) -> Atoms:
    """Return a copy with cell and positions relaxed.

    Raises
    ------
    NotConverged
        If forces and stress are not below `fmax_eV_A` after so many steps.
    """
    copy = atoms.copy()
    copy.calc = calculator
    if not FIRE(FrechetCellFilter(copy), logfile=None).run(fmax=fmax_eV_A, steps=steps):
        name = copy.get_chemical_formula(empirical=True)
        raise NotConverged(f"crystal {name}: not relaxed to {fmax_eV_A:g} eV/Å after {steps} steps")
    return copy


def bulk_modulus(crystal: Atoms, calculator: Any, *, largest_strain: float = 0.02) -> float:
    """Return the bulk modulus of a relaxed crystal, GPa: B = V d²E/dV² of a Birch–Murnaghan fit.

    Positions are relaxed at each of seven volumes with the shape of the cell kept; in crystals of low symmetry that
    makes B an upper bound, since the shape would adapt as well.

    Parameters
    ----------
    crystal
        Relaxed with the same calculator; see `relaxed_crystal`.
    calculator
        The potential.
    largest_strain
        Of a cell vector, on either side.
    """
    volumes, energies = [], []
    for strain in np.linspace(-largest_strain, largest_strain, 7):
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell[:] * (1 + strain), scale_atoms=True)
        atoms.calc = calculator
        FIRE(atoms, logfile=None).run(fmax=1e-3, steps=300)
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    return float(EquationOfState(volumes, energies, eos="birchmurnaghan").fit()[2]) * GPA_PER_EV_A3


def phonons(
    crystal: Atoms, calculator: Any, *, n_atoms: int = 200, displacement_A: float = 0.02, mesh: int = 8
) -> CrystalPhonons:
    """Return the phonon frequencies of a relaxed crystal by finite displacements (phonopy).

    Parameters
    ----------
    crystal
        Relaxed with the same calculator.
    calculator
        The potential.
    n_atoms
        Largest supercell.
    displacement_A
        Of each displaced atom, Å.
    mesh
        Points per direction of the Brillouin zone, Γ included.

    Notes
    -----
    Without the non-analytical term: no splitting of longitudinal and transverse optical branches at Γ.

    References
    ----------
    A. Togo, J. Phys. Soc. Jpn. 92, 012001 (2023), doi:10.7566/JPSJ.92.012001.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    multiples = np.rint(supercell_near(crystal, n_atoms).cell.lengths() / crystal.cell.lengths()).astype(int)
    unit = PhonopyAtoms(
        symbols=crystal.get_chemical_symbols(), cell=crystal.cell[:], scaled_positions=crystal.get_scaled_positions()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # phonopy announces changes of its own interface
        lattice = Phonopy(unit, supercell_matrix=np.diag(multiples))
        lattice.generate_displacements(distance=displacement_A)
        lattice.forces = [_forces(cell, calculator) for cell in lattice.supercells_with_displacements]
        lattice.produce_force_constants()
        lattice.symmetrize_force_constants()
        lattice.run_mesh([mesh] * 3, is_gamma_center=True)
        frequencies = np.asarray(lattice.get_mesh_dict()["frequencies"])
    return CrystalPhonons(float(frequencies.min()), float(frequencies.max()), len(crystal) * int(np.prod(multiples)))


def _forces(cell: Any, calculator: Any) -> Any:
    atoms = Atoms(cell.symbols, scaled_positions=cell.scaled_positions, cell=cell.cell, pbc=True)
    atoms.calc = calculator
    return atoms.get_forces()
