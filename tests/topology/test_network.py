"""Clusters, rings, angles and cages of linked polyhedra, on structures whose answer is known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mlsim.topology import (
    bond_counting,
    bonds_of,
    clusters_of,
    cutoff_effects,
    estimates_over_glasses,
    implied_coordination,
    linked_centres,
    rings_of,
    topology_of,
)


def perovskite(repeats: tuple[int, int, int]) -> Atoms:
    """ReO3: corner-sharing octahedra in a simple cubic network."""
    half = 0.5
    points = [(0, 0, 0), (half, 0, 0), (0, half, 0), (0, 0, half)]
    return Atoms("ZrO3", scaled_positions=points, cell=[4.0] * 3, pbc=True).repeat(repeats)


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 2, 2), (3, 1, 2)])
def test_simple_cubic_network_percolates_along_three_directions_in_any_cell(repeats: tuple[int, int, int]) -> None:
    graph = linked_centres(bonds_of(perovskite(repeats), {("O", "Zr"): 2.2}), "Zr", ["O"])
    assert all(len(neighbours) == 6 for neighbours in graph.values())
    assert clusters_of(graph) == [(int(np.prod(repeats)), 3)]


@pytest.mark.parametrize("repeats", [(1, 1, 1), (2, 2, 2), (3, 3, 3)])
def test_simple_cubic_network_has_twelve_squares_and_three_hexagons_less_per_centre(
    repeats: tuple[int, int, int],
) -> None:
    rings = rings_of(linked_centres(bonds_of(perovskite(repeats), {("O", "Zr"): 2.2}), "Zr", ["O"]))
    # 12 of the 15 pairs of neighbours are at right angles and close a square; the 3 opposite pairs close over two steps
    # aside, two on and two back: a way of 4 steps that avoids the centre
    assert rings[4] == 12
    assert rings[6] == 3
    assert sum(rings.values()) == 15


def test_a_chain_percolates_along_one_direction_and_pairs_along_none() -> None:
    chain = Atoms("ZrO", positions=[(0, 0, 0), (2, 0, 0)], cell=[4, 20, 20], pbc=True)
    graph = linked_centres(bonds_of(chain, {("O", "Zr"): 2.2}), "Zr", ["O"])
    assert clusters_of(graph) == [(1, 1)]
    dimer = Atoms("Zr2O", positions=[(0, 0, 0), (4, 0, 0), (2, 0, 0)], cell=[20, 20, 20], pbc=True)
    lone = dimer + Atoms("Zr", positions=[(10, 10, 10)])
    graph = linked_centres(bonds_of(lone, {("O", "Zr"): 2.2}), "Zr", ["O"])
    assert clusters_of(graph) == [(2, 0), (1, 0)]


def test_angles_links_by_anion_and_cages_of_known_structures() -> None:
    glass = topology_of([perovskite((2, 2, 2))], cutoffs_A={("O", "Zr"): 2.2}, bridging=("O",), mobile="Li")
    assert glass.network["zr_o_zr_angle_deg"] == pytest.approx(180)
    assert glass.network["o_zr_o_angle_deg"] == pytest.approx((12 * 90 + 3 * 180) / 15)
    salt = bulk("LiCl", "rocksalt", a=5.13, cubic=True)
    cage = topology_of([salt], cutoffs_A={("Cl", "Li"): 3.0}, center="Li", bridging=("Cl",), mobile="Li")
    assert "li_cage_volume_A3" not in cage.network  # the centre itself
    salt.symbols[0] = "Zr"
    mixed = topology_of([salt], cutoffs_A={("Cl", "Li"): 3.0, ("Cl", "Zr"): 3.0}, bridging=("Cl",), mobile="Li")
    assert mixed.network["li_cage_volume_A3"] == pytest.approx(4 / 3 * (5.13 / 2) ** 3)  # octahedron


def test_shares_of_polyhedra_and_of_links_sum_to_one() -> None:
    rng = np.random.default_rng(1)
    cell = [16.0] * 3
    glasses = []
    for _ in range(3):
        atoms = Atoms("Zr20Cl50O20Li30", positions=rng.random((120, 3)) * 16, cell=cell, pbc=True)
        glasses.append(topology_of([atoms], cutoffs_A={("Cl", "Zr"): 3.4, ("O", "Zr"): 3.0, ("Cl", "Li"): 3.0}))
    estimates = estimates_over_glasses(glasses)
    assert sum(e.value for n, e in estimates.items() if n.startswith("polyhedron_zr")) == pytest.approx(1)
    edges = [e.value for n, e in estimates.items() if n.startswith("zr_zr_edge_") and n != "zr_zr_edge_fraction"]
    assert sum(edges) == pytest.approx(estimates["zr_zr_edge_fraction"].value)
    assert all(e.n_independent == 3 for n, e in estimates.items() if n.startswith("polyhedron_zr"))


def test_counting_bonds_from_either_end_agrees_with_the_coordination_counted() -> None:
    rng = np.random.default_rng(2)
    atoms = Atoms("Zr20Cl80", positions=rng.random((100, 3)) * 14, cell=[14.0] * 3, pbc=True)
    glass = topology_of([atoms], cutoffs_A={("Cl", "Zr"): 3.2})
    histogram = glass.coordination_histograms["Cl", "Zr"]
    assert implied_coordination(4, dict(enumerate(histogram))) == pytest.approx(glass.coordination("Zr", "Cl"))
    assert bond_counting("Zr-Cl", 4, 0.1, 0.4, 6.0).endswith("given are 6: consistent")


def test_longer_cutoffs_count_more_neighbours() -> None:
    rng = np.random.default_rng(3)
    atoms = Atoms("Zr20Cl80", positions=rng.random((100, 3)) * 14, cell=[14.0] * 3, pbc=True)
    low, high = cutoff_effects([[atoms]], {("Cl", "Zr"): 3.0}, shift_A=0.3)["zr_cl_coordination"]
    middle = topology_of([atoms], cutoffs_A={("Cl", "Zr"): 3.0}).coordination("Zr", "Cl")
    assert low < middle < high
