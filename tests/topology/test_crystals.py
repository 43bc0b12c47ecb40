"""Crystals and molecules whose coordination and links are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from mlsim.topology import Topology, bond_cutoffs, estimates_over_glasses, topology_of


@pytest.fixture
def rutile() -> Atoms:
    return crystal(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )


@pytest.fixture
def anatase() -> Atoms:
    return crystal(["Ti", "O"], [(0, 0, 0), (0, 0, 0.208)], spacegroup=141, cellpar=[3.785, 3.785, 9.514, 90, 90, 90])


@pytest.fixture
def fluorite() -> Atoms:
    """Cubic ZrO2, one formula unit: every Zr–Zr link leads to an image of the same atom."""
    return crystal(
        ["Zr", "O"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[5.09] * 3 + [90] * 3, primitive_cell=True
    )


@pytest.fixture
def face_sharing_chain() -> Atoms:
    """ZrCl3 as chains of octahedra along z, each sharing two faces of three Cl."""
    height, radius = 3.0, 2.0
    angles = np.radians([0, 120, 240])
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(3, height / 2)], axis=1)
    turned = np.stack([-ring[:, 0], -ring[:, 1], ring[:, 2] + height], axis=1)
    positions = np.vstack([[[0, 0, 0], [0, 0, height]], ring, turned])
    return Atoms("Zr2Cl6", positions, cell=[12.0, 12.0, 2 * height], pbc=True)


@pytest.fixture
def isolated_octahedra() -> Atoms:
    """One ZrCl6 and two Li beside a Cl, far from its images."""
    shell = 2.49 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    positions = np.vstack([[[0, 0, 0]], shell, [[4.9, 0, 0], [-4.9, 0, 0]]])
    return Atoms("ZrCl6Li2", positions, cell=[14.0, 14.0, 14.0], pbc=True)


def topology(atoms: Atoms, center: str, *bridging: str) -> Topology:
    return topology_of([atoms], cutoffs_A=bond_cutoffs([atoms]), center=center, bridging=bridging)


def test_rutile_shares_two_edges_and_eight_corners_per_octahedron(rutile: Atoms) -> None:
    found = topology(rutile, "Ti", "O")
    assert found.links == {("O",): 4.0, ("O", "O"): 1.0}
    assert found.link_fractions() == pytest.approx({"corner_O": 0.8, "edge": 0.2, "face": 0.0})
    assert found.polyhedra == {(6,): 1.0}
    assert found.anion_environments("O") == (0, 0, 0, 1)


def test_anatase_shares_four_edges_and_four_corners_per_octahedron(anatase: Atoms) -> None:
    found = topology(anatase, "Ti", "O")
    assert found.links == {("O",): 2.0, ("O", "O"): 2.0}
    assert found.polyhedra == {(6,): 1.0}


def test_fluorite_shares_twelve_edges_in_a_cell_with_one_zirconium(fluorite: Atoms) -> None:
    found = topology(fluorite, "Zr", "O")
    assert found.links == {("O", "O"): 6.0}
    assert found.coordination("Zr", "O") == 8
    assert found.coordination("O", "Zr") == 4
    assert found.mean_distances_A["O", "Zr"] == pytest.approx(5.09 * np.sqrt(3) / 4)
    assert found.first_peaks_A["O", "Zr"] == pytest.approx(5.09 * np.sqrt(3) / 4, abs=0.01)


def test_rocksalt_shares_twelve_edges_and_six_corners() -> None:
    found = topology(bulk("LiCl", "rocksalt", a=5.13), "Li", "Cl")
    assert found.links == {("Cl",): 3.0, ("Cl", "Cl"): 6.0}
    assert found.coordination("Li", "Cl") == found.coordination("Cl", "Li") == 6


def test_a_chain_of_octahedra_shares_faces_only(face_sharing_chain: Atoms) -> None:
    found = topology_of([face_sharing_chain], cutoffs_A={("Zr", "Cl"): 2.8}, bridging=("Cl",))
    assert found.links == {("Cl", "Cl", "Cl"): 1.0}
    assert found.link_fractions() == {"corner_Cl": 0.0, "edge": 0.0, "face": 1.0}
    assert found.anion_environments("Cl") == (0, 0, 1, 0)


def test_a_chain_with_one_centre_per_period_is_linked_to_its_own_images() -> None:
    atoms = Atoms("ZrO", [[0, 0, 0], [0, 0, 2.0]], cell=[9, 9, 4.0], pbc=True)
    found = topology_of([atoms], cutoffs_A={("Zr", "O"): 2.5}, bridging=("O",))
    assert found.links == {("O",): 1.0}
    assert found.polyhedra == {(2,): 1.0}


def test_two_centres_linked_through_different_images_are_two_links() -> None:
    # Zr-O-Zr-Cl-Zr along z: the same two Zr share an O on one side and a Cl on the other
    atoms = Atoms("ZrOZrCl", [[0, 0, 0], [0, 0, 2.0], [0, 0, 4.0], [0, 0, 6.5]], cell=[9, 9, 9.0], pbc=True)
    found = topology_of([atoms], cutoffs_A={("Zr", "O"): 2.6, ("Zr", "Cl"): 2.8})
    assert found.links == {("O",): 0.5, ("Cl",): 0.5}
    assert found.link_fractions() == {"corner_O": 0.5, "corner_Cl": 0.5, "edge": 0.0, "face": 0.0}
    assert found.polyhedra == {(1, 1): 1.0}


def test_a_mixed_edge_names_both_anions() -> None:
    atoms = Atoms("Zr2OCl", [[0, 0, 0], [3.4, 0, 0], [1.7, 1.1, 0], [1.7, -1.8, 0]], cell=[15, 15, 15], pbc=True)
    found = topology_of([atoms], cutoffs_A={("Zr", "O"): 2.6, ("Zr", "Cl"): 2.8})
    assert found.links == {("Cl", "O"): 0.5}
    assert found.link_fractions()["edge"] == 1.0


def test_isolated_octahedra_have_terminal_chlorine_and_no_links(isolated_octahedra: Atoms) -> None:
    found = topology_of([isolated_octahedra], cutoffs_A={("Zr", "Cl"): 3.2, ("Li", "Cl"): 2.6})
    assert found.bridging == ("Cl",)
    assert found.links == {}
    assert found.link_fractions() == {}
    assert found.polyhedra == {(6,): 1.0}
    assert found.anion_environments("Cl") == (0, 1, 0, 0)
    numbers = estimates_over_glasses([found])
    assert numbers["cl_terminal_fraction"].value == 1.0
    assert numbers["cl_with_li_fraction"].value == pytest.approx(2 / 6)
    assert numbers["zr_cl_distance_A"].value == pytest.approx(2.49)
    assert not [name for name in numbers if name.startswith("zr_zr")]


@pytest.mark.parametrize("copies", [(2, 2, 2), (1, 3, 1), (1, 1, 5)])
@pytest.mark.parametrize("name", ["rutile", "anatase", "fluorite"])
def test_a_supercell_has_the_same_links(
    name: str, copies: tuple[int, int, int], request: pytest.FixtureRequest
) -> None:
    structure = request.getfixturevalue(name)
    center = structure.get_chemical_symbols()[0]
    one, many = (topology(atoms, center, "O") for atoms in (structure, structure.repeat(copies)))
    assert many.links == pytest.approx(one.links)
    assert many.polyhedra == one.polyhedra
