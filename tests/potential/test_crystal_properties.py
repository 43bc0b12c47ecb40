"""Bulk modulus and phonons of crystals, against what other routes give for the same forces."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from mlsim.errors import NotConverged
from mlsim.potential.crystal_properties import bulk_modulus, phonons, relaxed_crystal
from mlsim.units import GPA_PER_EV_A3


@pytest.fixture(scope="module")
def copper() -> Atoms:
    return relaxed_crystal(bulk("Cu", "fcc", a=3.6, cubic=True), EMT())


def test_the_bulk_modulus_is_the_slope_of_the_pressure(copper: Atoms) -> None:
    pressures = []
    for strain in (-1e-3, 1e-3):
        atoms = copper.copy()
        atoms.set_cell(copper.cell[:] * (1 + strain), scale_atoms=True)
        atoms.calc = EMT()
        pressures.append(-atoms.get_stress()[:3].mean())
    slope = -(pressures[1] - pressures[0]) / (3 * 2e-3) * GPA_PER_EV_A3
    assert bulk_modulus(copper, EMT()) == pytest.approx(slope, rel=0.02)


def test_a_stable_crystal_has_no_imaginary_branch_and_an_unstable_one_has(copper: Atoms) -> None:
    assert phonons(copper, EMT(), width_A=7).stable
    square = bulk("Cu", "sc", a=2.4)  # simple cubic copper shears away
    assert not phonons(square, EMT(), width_A=7).stable


def test_the_highest_frequency_is_that_of_the_dynamical_matrix_at_the_zone_boundary(copper: Atoms) -> None:
    # longitudinal mode at X by hand: neighbouring (100) planes move against each other
    atoms, step = copper.copy(), 0.01
    planes = np.where(np.rint(2 * atoms.get_scaled_positions()[:, 0]) % 2 == 0, 1.0, -1.0)
    atoms.positions[:, 0] += step * planes
    atoms.calc = EMT()
    stiffness = -float((atoms.get_forces()[:, 0] * planes).mean()) / step
    angular = np.sqrt(stiffness / atoms.get_masses()[0] * 9648.53)  # eV/Å2/u in 1/ps2
    assert phonons(copper, EMT(), width_A=10.5).highest_THz == pytest.approx(angular / (2 * np.pi), rel=0.03)


def test_a_crystal_that_does_not_relax_is_refused() -> None:
    with pytest.raises(NotConverged, match=r"crystal Cu: not relaxed to 0\.001 eV/Å after 1 steps"):
        relaxed_crystal(bulk("Cu", "fcc", a=3.9, cubic=True), EMT(), steps=1)
