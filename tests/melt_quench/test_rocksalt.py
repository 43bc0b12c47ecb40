"""Rocksalt is found where it is, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.melt_quench import pack, rocksalt_domains


def crystal(n: int = 3) -> Atoms:
    return bulk("LiCl", "rocksalt", 5.13, cubic=True) * (n, n, n)


@pytest.mark.parametrize("rattle", [0.0, 0.1, 0.2])
def test_a_crystal_is_rocksalt_also_when_it_vibrates(rattle: float) -> None:
    atoms = crystal()
    atoms.rattle(rattle, seed=1)
    found = rocksalt_domains(atoms)
    assert found.fraction > 0.99 and len(found.sizes) == 1


def test_the_answer_does_not_depend_on_rotation_order_or_cell() -> None:
    atoms = crystal()
    atoms.rattle(0.15, seed=2)
    atoms.rotate(33, (1, 2, 3), rotate_cell=True)
    order = np.random.default_rng(0).permutation(len(atoms))
    assert rocksalt_domains(atoms[order]).fraction == rocksalt_domains(atoms).fraction == 1.0
    assert rocksalt_domains(crystal(1)).fraction == 1.0


@pytest.mark.parametrize("formula", ["Li3ZrCl4O1.5", "LiCl"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_random_packing_holds_none(formula: str, seed: int) -> None:
    n = 114 if "Zr" in formula else 216
    atoms = pack(Composition.parse(formula), n, density_g_cm3=1.9, seed=seed)
    assert rocksalt_domains(atoms).fraction == 0.0


@pytest.mark.parametrize("structure", ["cesiumchloride", "zincblende"])
def test_other_structures_of_the_same_salt_are_not_rocksalt(structure: str) -> None:
    lattice = {"cesiumchloride": 3.2, "zincblende": 5.6}[structure]
    assert rocksalt_domains(bulk("LiCl", structure, lattice, cubic=True) * (4, 4, 4)).fraction == 0.0


def test_a_crystallite_in_vacuum_is_one_domain_with_its_surface() -> None:
    """A cube of 4³ atoms: the 2³ inside are centres, their neighbours (4 on each of 6 faces) are the surface."""
    atoms = crystal(2)
    atoms.set_cell([30.0] * 3)
    found = rocksalt_domains(atoms)
    assert found.sizes == (8 + 24,) and found.members.sum() == 32 and found.fraction == 0.5


def test_two_crystallites_are_two_domains() -> None:
    atoms = crystal(2)
    atoms.set_cell([60.0, 30.0, 30.0])
    other = atoms.copy()
    other.positions += [30.0, 0, 0]
    assert rocksalt_domains(atoms + other).sizes == (32, 32)


def test_one_element_is_no_salt() -> None:
    with pytest.raises(SettingsError, match="rocksalt domains: cation and anion are both Li, expected two elements"):
        rocksalt_domains(crystal(1), "Li", "Li")
