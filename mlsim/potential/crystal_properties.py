"""Crystals by a potential: relaxed cell, bulk modulus, phonons."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.cell import Cell
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE
from numpy.typing import NDArray

from mlsim.errors import NotConverged
from mlsim.potential.crystals import crystal_cell, supercell_wider_than
from mlsim.units import GPA_PER_EV_A3

__all__ = [
    "CrystalCheck",
    "CrystalPhonons",
    "VolumeCheck",
    "bulk_modulus",
    "crystal_check",
    "phonons",
    "relaxed_crystal",
    "volume_checks",
]


Floats = NDArray[np.float64]


@dataclass(frozen=True)
class CrystalPhonons:
    """Frequencies over the Brillouin zone; imaginary ones are given as negative.

    Attributes
    ----------
    lowest_THz, highest_THz
        Of the mesh; `lowest_THz` leaves out nothing: the acoustic branches reach 0 at Γ.
    n_supercell
        Atoms of the supercell in which atoms were displaced.
    path, path_THz
        Distance along lines between special points of the primitive cell, 1/Å, shape (p,), and the frequencies there,
        shape (p, branches).
    special_points
        (distance, label) of the special points along the path.
    dos_THz, dos
        Density of states, shape (d,) each, states per THz and primitive cell.
    """

    lowest_THz: float
    highest_THz: float
    n_supercell: int
    path: Floats
    path_THz: Floats
    special_points: tuple[tuple[float, str], ...]
    dos_THz: Floats
    dos: Floats

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


@dataclass(frozen=True)
class VolumeCheck:
    """Equation of state of one crystal by teacher and potential, on the same labelled structures.

    Attributes
    ----------
    name
        Of `mlsim.potential.crystals.CRYSTALS`.
    n_frames
        Volumes.
    scale, scale_of_teacher
        Cube root of the volume of least energy over that of the middle frame: lattice constants at fixed shape.
    bulk_modulus_GPa, bulk_modulus_of_teacher_GPa
        At these volumes.
    """

    name: str
    n_frames: int
    scale: float
    scale_of_teacher: float
    bulk_modulus_GPa: float
    bulk_modulus_of_teacher_GPa: float


def volume_checks(frames: Sequence[Atoms], calculator: Any) -> list[VolumeCheck]:
    """Return the equations of state in labelled frames of crystals at several volumes (`sample.VolumeGroup`).

    Both sides see the same structures, whose positions the sampler relaxed, not the teacher: bulk moduli are those
    along this path, for both.

    Raises
    ------
    NotConverged
        If an energy has no minimum among the volumes, or the teacher's k-point grid changes between them.
    """
    found = []
    for name in sorted({str(f.info["crystal"]) for f in frames if "linear_strain" in f.info}):
        some = sorted(
            (f for f in frames if f.info.get("crystal") == name and "linear_strain" in f.info),
            key=lambda f: f.get_volume(),
        )
        grids = sorted({str(f.info.get("kpoints", "")) for f in some})
        if len(grids) > 1:
            raise NotConverged(f"equation of state of {name}: k-point grids {' and '.join(grids)}, expected one")
        volumes = [f.get_volume() for f in some]
        own = []
        for frame in some:
            atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
            atoms.calc = calculator
            own.append(float(atoms.get_potential_energy()))
        middle = volumes[len(volumes) // 2]
        fits = [_birch_murnaghan(name, volumes, e) for e in (own, [f.get_potential_energy() for f in some])]
        scales = [float((volume / middle) ** (1 / 3)) for volume, _ in fits]
        found.append(VolumeCheck(name, len(some), scales[0], scales[1], fits[0][1], fits[1][1]))
    return found


def _birch_murnaghan(name: str, volumes: Sequence[float], energies: Sequence[float]) -> tuple[float, float]:
    """Return volume of least energy, Å3, and bulk modulus, GPa."""
    if len(volumes) < 4:
        raise NotConverged(f"equation of state of {name}: {len(volumes)} volumes, expected at least 4")
    low, high = min(volumes), max(volumes)
    outside = f"equation of state of {name}: no minimum of the energy near the frames, {low:.0f} to {high:.0f} Å3"
    try:
        volume, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit(warn=False)
    except RuntimeError as error:
        raise NotConverged(outside) from error
    # a fit may reach a little beyond its points
    if not low - (high - low) / 2 < volume < high + (high - low) / 2:
        raise NotConverged(outside)
    return float(volume), float(modulus) * GPA_PER_EV_A3


def crystal_check(name: str, calculator: Any) -> CrystalCheck:
    """Relax a crystal of ours with a potential; return its cell, bulk modulus and phonons."""
    start = crystal_cell(name)
    crystal = relaxed_crystal(start, calculator)
    a, b, c = (float(length) for length in crystal.cell.lengths())
    a0, b0, c0 = (float(length) for length in start.cell.lengths())
    found = phonons(crystal, calculator)
    return CrystalCheck(name, (a, b, c), (a0, b0, c0), bulk_modulus(crystal, calculator), found)


def relaxed_crystal(atoms: Atoms, calculator: Any, *, fmax_eV_A: float = 1e-3, steps: int = 5000) -> Atoms:
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

    Raises
    ------
    NotConverged
        If the energy has no minimum among the volumes.
    """
    volumes, energies = [], []
    for strain in np.linspace(-largest_strain, largest_strain, 7):
        atoms = crystal.copy()
        atoms.set_cell(crystal.cell[:] * (1 + strain), scale_atoms=True)
        atoms.calc = calculator
        FIRE(atoms, logfile=None).run(fmax=1e-3, steps=300)
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    return _birch_murnaghan(crystal.get_chemical_formula(empirical=True), volumes, energies)[1]


def phonons(
    crystal: Atoms, calculator: Any, *, width_A: float = 20.0, displacement_A: float = 0.02, mesh: int = 8
) -> CrystalPhonons:
    """Return the phonon frequencies of a relaxed crystal by finite displacements (phonopy).

    Parameters
    ----------
    crystal
        Relaxed with the same calculator.
    calculator
        The potential.
    width_A
        Least distance between opposite faces of the supercell, Å. An atom of a MACE with two layers feels twice the
        cut-off far; in a cell thinner than twice that, it meets its own images, and branches turn imaginary that are
        not.
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

    multiples = supercell_wider_than(crystal, width_A)
    unit = PhonopyAtoms(
        symbols=crystal.get_chemical_symbols(), cell=crystal.cell[:], scaled_positions=crystal.get_scaled_positions()
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # phonopy announces changes of its own interface
        lattice = Phonopy(unit, supercell_matrix=np.diag(multiples), primitive_matrix="auto")
        lattice.generate_displacements(distance=displacement_A)
        lattice.forces = [_forces(cell, calculator) for cell in lattice.supercells_with_displacements]
        lattice.produce_force_constants()
        lattice.symmetrize_force_constants()
        lattice.run_mesh([mesh] * 3, is_gamma_center=True)
        frequencies = np.asarray(lattice.get_mesh_dict()["frequencies"])
        lattice.run_total_dos(sigma=0.1)
        path, path_THz, points = _along_path(lattice)
        density = lattice.get_total_dos_dict()
    return CrystalPhonons(
        lowest_THz=float(frequencies.min()),
        highest_THz=float(frequencies.max()),
        n_supercell=len(crystal) * int(np.prod(multiples)),
        path=path,
        path_THz=path_THz,
        special_points=points,
        dos_THz=np.asarray(density["frequency_points"]),
        dos=np.asarray(density["total_dos"]),
    )


def _along_path(lattice: Any, n_points: int = 160) -> tuple[Floats, Floats, tuple[tuple[float, str], ...]]:
    """Return distance, frequencies and special points along ASE's path for the primitive cell."""
    path = Cell(lattice.primitive.cell).bandpath(npoints=n_points, eps=1e-3)
    distance, ticks, labels = path.get_linear_kpoint_axis()
    lattice.run_qpoints(path.kpts)
    frequencies = np.asarray(lattice.get_qpoints_dict()["frequencies"])
    return distance, frequencies, tuple(zip(map(float, ticks), labels, strict=True))


def _forces(cell: Any, calculator: Any) -> Any:
    atoms = Atoms(cell.symbols, scaled_positions=cell.scaled_positions, cell=cell.cell, pbc=True)
    atoms.calc = calculator
    return atoms.get_forces()
