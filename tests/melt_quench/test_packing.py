"""Random packing."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.melt_quench import default_minimum_distances, pack
from mlsim.units import G_CM3_PER_U_A3

GLASS = Composition.parse("Li3ZrCl4O1.5")


def shortest_distances(atoms):
    """Naive: every pair, every image, own images included."""
    edge = atoms.cell.lengths()[0]
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) * edge
    found = {}
    for i in range(len(atoms)):
        for j in range(i, len(atoms)):
            vectors = atoms.positions[j] - atoms.positions[i] + images
            distances = np.linalg.norm(vectors, axis=1)
            distance = distances[distances > 0].min() if i == j else distances.min()
            pair = tuple(sorted((atoms.symbols[i], atoms.symbols[j])))
            found[pair] = min(found.get(pair, np.inf), distance)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("density", [1.6, 2.0, 2.6])
def test_no_pair_is_closer_than_its_minimum_for_any_seed(seed, density):
    atoms = pack(GLASS, 57, density_g_cm3=density, seed=seed)
    limits = default_minimum_distances(GLASS)
    assert all(distance >= limits[pair] for pair, distance in shortest_distances(atoms).items())


@pytest.mark.parametrize("formula", ["Li2ZrCl6", "Li3ZrCl4O1.5", "Li4ZrCl4O2"])
def test_where_there_is_room_neighbours_are_as_far_as_in_crystals(formula):
    """At their minimum distances they would be so hot in the melt that several Cl fall into each other."""
    composition = Composition.parse(formula)
    atoms = pack(composition, composition.nearest_atom_number(100), density_g_cm3=1.9, seed=7)
    limits = default_minimum_distances(composition)
    assert all(distance >= 1.14 * limits[pair] for pair, distance in shortest_distances(atoms).items())


@pytest.mark.parametrize("formula", ["Li2ZrCl6", "LiCl", "Li2O", "ZrO2", "NaAlCl4", "Li3PS4", "Li3YBr6"])
def test_other_ionic_compositions_pack(formula):
    composition = Composition.parse(formula)
    atoms = pack(composition, composition.nearest_atom_number(80), density_g_cm3=1.5, seed=4)
    limits = default_minimum_distances(composition)
    assert all(distance >= limits[pair] for pair, distance in shortest_distances(atoms).items())


def test_a_cell_of_one_formula_unit_keeps_distance_from_its_own_images():
    atoms = pack(GLASS, 19, density_g_cm3=2.0, seed=0)
    limits = default_minimum_distances(GLASS)
    assert all(distance >= limits[pair] for pair, distance in shortest_distances(atoms).items())


def test_density_counts_and_order_are_those_asked_for():
    atoms = pack(GLASS, 114, density_g_cm3=2.1, seed=1)
    assert atoms.get_masses().sum() / atoms.get_volume() * G_CM3_PER_U_A3 == pytest.approx(2.1, rel=1e-6)
    assert atoms.get_chemical_symbols() == ["Li"] * 36 + ["Zr"] * 12 + ["Cl"] * 48 + ["O"] * 18
    assert atoms.pbc.all() and (atoms.positions >= 0).all() and (atoms.positions <= atoms.cell.lengths()[0]).all()


def test_the_same_seed_gives_the_same_packing_and_another_seed_another():
    first, again, other = (pack(GLASS, 57, density_g_cm3=2.0, seed=s).positions for s in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_own_minimum_distances_hold_in_either_order_of_the_pair():
    atoms = pack(GLASS, 57, density_g_cm3=2.0, seed=2, min_distances_A={("Zr", "Zr"): 4.5, ("O", "Li"): 1.9})
    shortest = shortest_distances(atoms)
    assert shortest["Zr", "Zr"] >= 4.5 and shortest["Li", "O"] >= 1.9


def test_a_packing_is_disordered():
    """Pair distances of Cl beyond contact spread over all lengths: their g(r) has no crystal's gaps."""
    atoms = pack(GLASS, 228, density_g_cm3=2.0, seed=5)
    distances = atoms[atoms.symbols == "Cl"].get_all_distances(mic=True)
    counts, _ = np.histogram(distances[np.triu_indices_from(distances, 1)], bins=np.arange(3.5, 8.0, 0.25))
    assert counts.min() > 10


def test_memory_and_time_are_linear_in_the_number_of_atoms():
    import tracemalloc

    peaks = []
    for n in (570, 2280):
        tracemalloc.start()
        pack(GLASS, n, density_g_cm3=2.0, seed=1)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0]


def test_a_density_that_cannot_be_packed_names_one_that_can():
    with pytest.raises(SettingsError) as caught:
        pack(GLASS, 57, density_g_cm3=8.0, seed=1)
    message = str(caught.value)
    assert message.startswith("packing 57 atoms of Li3ZrCl4O1.5 at 8 g/cm3: a pair ") and "\n" not in message
    assert message.endswith("lower density_g_cm3 or the minimum distances")
    reached = float(re.search(r"highest density reached is ([\d.]+) g/cm3", message).group(1))
    assert 2.6 < reached < 8.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"density_g_cm3": 0.0}, "packing 57 atoms of Li3ZrCl4O1.5: density_g_cm3 is 0.0, expected a positive number"),
        ({"seed": -1}, "packing 57 atoms of Li3ZrCl4O1.5: seed is -1, expected 0 or more"),
        ({"n_atoms": 58}, "58 atoms of Li3ZrCl4O1.5: expected a multiple of 19; use 57 or 76"),
        (
            {"min_distances_A": {("Zr", "F"): 2.0}},
            "packing 57 atoms of Li3ZrCl4O1.5: minimum distance for Zr-F, but its pairs are Cl-Cl, Cl-Li, Cl-O, "
            "Cl-Zr, Li-Li, Li-O, Li-Zr, O-O, O-Zr, Zr-Zr",
        ),
        (
            {"min_distances_A": {("Zr", "O"): -1.0}},
            "packing 57 atoms of Li3ZrCl4O1.5: minimum distance Zr-O is -1.0, expected a positive length",
        ),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, message):
    given = {"n_atoms": 57, "density_g_cm3": 2.0, "seed": 1, **arguments}
    with pytest.raises(SettingsError) as caught:
        pack(GLASS, given.pop("n_atoms"), **given)
    assert str(caught.value) == message


def test_a_composition_that_is_not_neutral_is_refused():
    with pytest.raises(SettingsError, match="not charge neutral"):
        pack(Composition.parse("Li2ZrCl5"), 80, density_g_cm3=2.0, seed=1)
