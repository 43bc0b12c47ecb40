"""Structures worth labelling: contacts, crystals, chains that can be computed again."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from mlsim import Composition
from mlsim.errors import SettingsError
from mlsim.geometry import neighbour_pairs
from mlsim.melt_quench import pack
from mlsim.potential.crystals import CRYSTALS, crystal_cell, supercell_near
from mlsim.potential.label_worker import core_labelled, zbl
from mlsim.potential.sample import (
    ContactGroup,
    CoreGroup,
    MeltGroup,
    chain_frames,
    chain_names,
    closest_fractions,
    shoved_pair,
)


@pytest.fixture(scope="module")
def glass() -> Atoms:
    return pack(Composition.parse("Li3ZrCl4O1.5"), 38, density_g_cm3=2.0, seed=3)


@pytest.mark.parametrize("pair", [("Cl", "O"), ("Zr", "Zr"), ("Li", "O")])
def test_a_shoved_pair_stands_at_the_distance_asked_for(glass: Atoms, pair: tuple[str, str]) -> None:
    before = glass.positions.copy()
    shoved = shoved_pair(glass, *pair, 1.3, np.random.default_rng(0))
    assert shoved is not None
    pairs = neighbour_pairs(shoved.positions, shoved.cell[:], 1.31)
    symbols = np.array(shoved.get_chemical_symbols())
    assert {tuple(sorted((symbols[i], symbols[j]))) for i, j in zip(pairs.first, pairs.second, strict=True)} >= {pair}
    assert np.isclose(pairs.distances, 1.3).any()
    assert (np.abs(shoved.positions - before).max(axis=1) > 0).sum() == 2
    assert np.array_equal(glass.positions, before)


def test_a_pair_that_does_not_occur_gives_none() -> None:
    salt = crystal_cell("LiCl")
    assert shoved_pair(salt, "Zr", "O", 1.0, np.random.default_rng(0)) is None


def test_contacts_cover_all_ten_pairs(glass: Atoms) -> None:
    group = ContactGroup(name="c", parents="g", frames_per_pair=1)
    frames = chain_frames(group, "c-s1", None, [glass])
    assert len({frame.info["shoved"].split()[0] for frame in frames}) == 10
    assert all(frame.info["chain"] == "c-s1" and frame.info["kind"] == "contact" for frame in frames)


def test_a_chain_is_the_same_when_computed_again() -> None:
    group = MeltGroup(
        name="m", formulas=("LiCl",), densities_g_cm3=(1.5,), n_atoms=16, temperatures_K=(600, 300), ps_each=0.02
    )
    assert chain_names(group) == ["m-LiCl-1.5-s1"]
    once, again = (chain_frames(group, "m-LiCl-1.5-s1", LennardJones(sigma=2.0, epsilon=0.1)) for _ in range(2))
    assert len(once) == 3 + 2 * 3
    for a, b in zip(once, again, strict=True):
        assert np.array_equal(a.positions, b.positions)


@pytest.mark.parametrize("name", sorted(CRYSTALS))
def test_every_crystal_has_its_formula_and_no_atoms_on_top_of_each_other(name: str) -> None:
    atoms = crystal_cell(name)
    wanted = Composition.parse(name.split("-")[-1]).fractions
    assert Composition.of_atoms(atoms.get_chemical_symbols()).fractions == pytest.approx(wanted)
    assert min(closest_fractions(atoms).values()) > 0.5


def test_the_supercell_is_the_largest_that_fits() -> None:
    assert len(supercell_near(crystal_cell("LiCl"), 70)) == 64
    assert supercell_near(crystal_cell("LiCl"), 70).cell.lengths() == pytest.approx([10.26] * 3)


def test_an_unknown_crystal_is_named() -> None:
    with pytest.raises(SettingsError, match="crystal 'c-ZrO': not known; did you mean 'c-ZrO2'"):
        crystal_cell("c-ZrO")


def test_the_label_of_a_pressed_pair_joins_the_teacher_and_is_its_own_gradient() -> None:
    group = CoreGroup(name="k", parents="g", distances=3)
    frames = [f for f in chain_frames(group, "k-s1", None, [crystal_cell("LiCl").repeat(2)]) if len(f) == 2]
    frame = next(f for f in frames if f.info["shoved"].startswith("Cl-Zr"))
    teacher = LennardJones(sigma=1.2, epsilon=0.3, rc=5.0)

    def label(distance: float) -> tuple[float, float]:
        moved = frame.copy()
        moved.set_distance(0, 1, distance, fix=0.5)
        result = core_labelled(moved, teacher, "LJ").calc.results
        return result["energy"], result["forces"][1, 0]

    trusted = float(frame.info["trusted_A"])
    apart = frame.copy()
    apart.set_distance(0, 1, trusted, fix=0.5)
    apart.calc = teacher
    assert label(trusted) == pytest.approx((apart.get_potential_energy(), apart.get_forces()[1, 0]))
    step, distance = 1e-5, 0.8
    slope = (label(distance + step)[0] - label(distance - step)[0]) / (2 * step)
    assert label(distance)[1] == pytest.approx(-slope, rel=1e-6)


def test_the_zbl_energy_of_two_bare_nuclei_is_coulombs_law() -> None:
    energy, slope = zbl(40, 17, 1e-4)
    assert energy == pytest.approx(14.399645 * 40 * 17 / 1e-4, rel=0.01)
    assert slope == pytest.approx(-energy / 1e-4, rel=0.01)
