"""Topology of a disordered cell: naive references, identities, invariances, estimates and bad input."""

from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest
from ase import Atoms

from mlsim.curve import Estimate
from mlsim.errors import DataError, SettingsError
from mlsim.topology import Topology, counted_pairs, counting_method, estimates_over_glasses, topology_of

CUTOFFS = {("Zr", "O"): 3.2, ("Zr", "Cl"): 3.9, ("Cl", "Li"): 3.3}


@pytest.fixture
def glass() -> Atoms:
    """76 atoms of Li3ZrCl4O1.5 at random, no two closer than 1.6 Å, some outside of the cell."""
    rng = np.random.default_rng(11)
    cell = np.array([[12.0, 0, 0], [3.0, 12.5, 0], [-2.0, 1.0, 13.0]])
    symbols = ["Li"] * 24 + ["Zr"] * 8 + ["Cl"] * 32 + ["O"] * 12
    atoms = Atoms("X", positions=[[0, 0, 0]], cell=cell, pbc=True)
    while len(atoms) < len(symbols):
        trial = atoms + Atoms("X", positions=[rng.random(3) @ cell])
        if trial.get_distances(-1, range(len(trial) - 1), mic=True).min() > 1.6:
            atoms = trial
    atoms.set_chemical_symbols(symbols)
    atoms.positions += rng.integers(-1, 2, (len(atoms), 3)) @ cell
    return atoms


def same(one: Topology, other: Topology) -> bool:
    assert one.links == pytest.approx(other.links)
    assert one.polyhedra == pytest.approx(other.polyhedra)
    assert one.mean_distances_A == pytest.approx(other.mean_distances_A)
    assert one.coordination_histograms.keys() == other.coordination_histograms.keys()
    for pair, histogram in one.coordination_histograms.items():
        np.testing.assert_allclose(histogram, other.coordination_histograms[pair])
    return True


def naive_links(atoms: Atoms, cutoffs: dict[tuple[str, str], float]) -> Counter[tuple[str, ...]]:
    """Links by looking at every pair of Zr images and every anion image in a block of cells."""
    symbols = np.array(atoms.get_chemical_symbols())
    wrapped = atoms.get_positions(wrap=True)
    shifts = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])
    wide = np.array([[i, j, k] for i in range(-2, 3) for j in range(-2, 3) for k in range(-2, 3)])
    anions = [
        (symbols[a], wrapped[a] + s @ atoms.cell.array)
        for a in range(len(atoms))
        for s in wide
        if symbols[a] in ("O", "Cl")
    ]
    elements = np.array([e for e, _ in anions])
    limits = np.array([cutoffs["Zr", e] for e in elements])
    points = np.array([p for _, p in anions])
    centres = np.flatnonzero(symbols == "Zr")
    links: Counter[tuple[str, ...]] = Counter()
    for i in centres:
        near_i = np.linalg.norm(points - wrapped[i], axis=1) < limits
        for j in centres:
            for s in shifts:
                if i == j and not s.any():
                    continue
                near_j = np.linalg.norm(points - wrapped[j] - s @ atoms.cell.array, axis=1) < limits
                shared = tuple(sorted(str(e) for e in elements[near_i & near_j]))
                if shared:
                    links[shared] += 1
    return Counter({shared: n // 2 for shared, n in links.items()})


def test_links_agree_with_a_search_over_all_images(glass: Atoms) -> None:
    wide = {("Zr", "O"): 4.2, ("Zr", "Cl"): 4.8}
    expected = naive_links(glass, wide)
    assert {len(shared) for shared in expected} >= {1, 2, 3}
    found = topology_of([glass], cutoffs_A=wide)
    assert {shared: round(n * 8) for shared, n in found.links.items()} == expected


def test_bonds_counted_from_chlorine_are_those_counted_from_zirconium(glass: Atoms) -> None:
    found = topology_of([glass], cutoffs_A=CUTOFFS)
    for anion, number in (("Cl", 32), ("O", 12)):
        assert number * found.coordination(anion, "Zr") == pytest.approx(8 * found.coordination("Zr", anion))


def test_anions_between_two_centres_make_all_the_links(glass: Atoms) -> None:
    found = topology_of([glass], cutoffs_A=CUTOFFS)
    shared = sum(len(elements) * n for elements, n in found.links.items()) * 8
    from_anions = 0.0
    for anion, number in (("Cl", 32), ("O", 12)):
        histogram = found.coordination_histograms[anion, "Zr"]
        from_anions += number * sum(h * n * (n - 1) / 2 for n, h in enumerate(histogram))
    assert shared == pytest.approx(from_anions)


def test_fractions_sum_to_one(glass: Atoms) -> None:
    found = topology_of([glass], cutoffs_A=CUTOFFS)
    assert sum(found.polyhedra.values()) == pytest.approx(1)
    assert sum(found.link_fractions().values()) == pytest.approx(1)
    assert sum(found.anion_environments("Cl")) == pytest.approx(1)
    assert all(h.sum() == pytest.approx(1) for h in found.coordination_histograms.values())


def test_polyhedra_add_up_to_the_coordination(glass: Atoms) -> None:
    found = topology_of([glass], cutoffs_A=CUTOFFS)
    for k, anion in enumerate(("O", "Cl")):
        assert sum(shell[k] * n for shell, n in found.polyhedra.items()) == pytest.approx(
            found.coordination("Zr", anion)
        )


def test_coordination_and_distance_agree_with_a_double_loop(glass: Atoms) -> None:
    found = topology_of([glass], cutoffs_A=CUTOFFS)
    symbols = np.array(glass.get_chemical_symbols())
    block = glass.copy()
    block.wrap()
    home = block.positions[symbols == "Zr"]
    images = block.repeat(3)
    images.positions -= glass.cell.array.sum(axis=0)
    chlorine = images.positions[np.array(images.get_chemical_symbols()) == "Cl"]
    d = np.linalg.norm(chlorine[None] - home[:, None], axis=-1)
    counts = (d < 3.9).sum(axis=1)
    np.testing.assert_allclose(found.coordination_histograms["Zr", "Cl"], np.bincount(counts) / len(counts))
    assert found.mean_distances_A["Cl", "Zr"] == pytest.approx(d[d < 3.9].mean())


def test_wrapping_moving_turning_and_shuffling_change_nothing(glass: Atoms) -> None:
    reference = topology_of([glass], cutoffs_A=CUTOFFS)
    wrapped, moved, turned = glass.copy(), glass.copy(), glass.copy()
    wrapped.wrap()
    moved.translate([1.7, 20.0, -5.0])
    turned.rotate(31.0, (1, -2, 1), rotate_cell=True)
    shuffled = glass[np.random.default_rng(1).permutation(len(glass))]
    for other in (wrapped, moved, turned, shuffled):
        assert same(topology_of([other], cutoffs_A=CUTOFFS), reference)


@pytest.mark.parametrize("copies", [(2, 1, 1), (2, 2, 2)])
def test_a_supercell_has_the_same_topology(glass: Atoms, copies: tuple[int, int, int]) -> None:
    assert same(topology_of([glass.repeat(copies)], cutoffs_A=CUTOFFS), topology_of([glass], cutoffs_A=CUTOFFS))


def test_frames_are_averaged(glass: Atoms) -> None:
    other = glass.copy()
    other.rattle(0.3, seed=4)
    both, one, two = (topology_of(frames, cutoffs_A=CUTOFFS) for frames in ([glass, other], [glass], [other]))
    assert both.n_frames == 2
    assert both.coordination("Zr", "Cl") == pytest.approx(
        (one.coordination("Zr", "Cl") + two.coordination("Zr", "Cl")) / 2
    )
    for shared in set(one.links) | set(two.links):
        assert both.links[shared] == pytest.approx((one.links.get(shared, 0) + two.links.get(shared, 0)) / 2)


def test_the_order_of_elements_in_a_cutoff_does_not_matter(glass: Atoms) -> None:
    turned = {(b, a): cutoff for (a, b), cutoff in CUTOFFS.items()}
    assert same(topology_of([glass], cutoffs_A=turned), topology_of([glass], cutoffs_A=CUTOFFS))


def test_input_is_not_changed_and_a_topology_can_be_pickled(glass: Atoms) -> None:
    before = glass.positions.copy()
    found = topology_of([glass], cutoffs_A=CUTOFFS)
    assert (glass.positions == before).all()
    assert same(pickle.loads(pickle.dumps(found)), found)


def test_estimates_are_means_over_glasses_with_their_standard_error(glass: Atoms) -> None:
    others = [glass.copy() for _ in range(3)]
    for seed, atoms in enumerate(others):
        atoms.rattle(0.3, seed=seed)
    glasses = [topology_of([atoms], cutoffs_A=CUTOFFS) for atoms in others]
    numbers = estimates_over_glasses(glasses)
    values = [g.mean_distances_A["O", "Zr"] for g in glasses]
    assert numbers["zr_o_distance_A"].value == pytest.approx(np.mean(values))
    assert numbers["zr_o_distance_A"].standard_error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3))
    assert numbers["zr_o_distance_A"].unit == "Å"
    assert numbers["zr_o_coordination"].n_independent == 3


def test_estimates_carry_the_names_of_the_contract(glass: Atoms) -> None:
    numbers = estimates_over_glasses([topology_of([glass], cutoffs_A=CUTOFFS)])
    assert set(numbers) >= {
        "zr_o_distance_A",
        "zr_cl_distance_A",
        "zr_o_coordination",
        "zr_cl_coordination",
        "zr_zr_corner_o_fraction",
        "zr_zr_corner_cl_fraction",
        "zr_zr_edge_fraction",
        "zr_zr_face_fraction",
        "cl_terminal_fraction",
        "cl_bridging_fraction",
        "cl_no_zr_fraction",
    }
    kinds = [numbers[f"cl_{kind}_fraction"].value for kind in ("no_zr", "terminal", "bridging")]
    assert sum(kinds) == pytest.approx(1)
    assert all(isinstance(n, Estimate) and n.standard_error is None for n in numbers.values())


def test_a_number_that_one_glass_does_not_define_rests_on_the_others(glass: Atoms) -> None:
    apart = Atoms("ZrOClLi", [[0, 0, 0], [2, 0, 0], [0, 2.5, 0], [5, 5, 5]], cell=[14, 14, 14], pbc=True)
    numbers = estimates_over_glasses([topology_of([a], cutoffs_A=CUTOFFS) for a in (apart, glass, glass)])
    assert numbers["zr_zr_edge_fraction"].n_independent == 2
    assert numbers["zr_o_coordination"].n_independent == 3


ZIRCON = Atoms("ZrO", [[0, 0, 0], [2, 0, 0]], cell=[9, 9, 9], pbc=True)


@pytest.mark.parametrize(
    ("frames", "cutoffs", "error", "message"),
    [
        ([], CUTOFFS, DataError, "topology: no frames given"),
        (ZIRCON, CUTOFFS, DataError, r"got one ase.Atoms.* pass \[atoms\]"),
        ([Atoms("ZrO", [[0, 0, 0], [2, 0, 0]])], CUTOFFS, DataError, "frame 0 is not periodic along all three"),
        ([Atoms("LiCl", cell=[9, 9, 9], pbc=True)], CUTOFFS, DataError, "frames hold no Zr; they hold Cl, Li"),
        ([Atoms("ZrLi", cell=[9, 9, 9], pbc=True)], CUTOFFS, DataError, "frames hold no O or Cl; they hold Li, Zr"),
        ([ZIRCON, ZIRCON.repeat(2)], CUTOFFS, DataError, "frame 1 is O8Zr8, the first is OZr"),
        ([ZIRCON], {}, SettingsError, "no cut-off for Zr-O; add one or take them from bond_cutoffs"),
        ([ZIRCON], {("Zr", "O"): -1.0}, SettingsError, "cut-off for Zr-O: -1 Å, expected a positive length"),
        (
            [ZIRCON],
            {("Zr", "O"): 2.0, ("O", "Zr"): 2.5},
            SettingsError,
            "cut-off for O-Zr: 2.5 Å, and 2 Å in the other",
        ),
    ],
)
def test_bad_input_is_refused(frames, cutoffs, error, message) -> None:
    with pytest.raises(error, match=message):
        topology_of(frames, cutoffs_A=cutoffs)


def test_neighbours_of_a_pair_without_cutoff_are_not_made_up(glass: Atoms) -> None:
    with pytest.raises(DataError, match="no neighbours counted for O-Li; give a cut-off for this pair"):
        topology_of([glass], cutoffs_A=CUTOFFS).coordination("O", "Li")


def test_glasses_of_different_kind_are_not_averaged(glass: Atoms) -> None:
    one = topology_of([glass], cutoffs_A=CUTOFFS)
    other = topology_of([glass], cutoffs_A=CUTOFFS, mobile="Na")
    with pytest.raises(DataError, match="glass 1 has another center, other anions or another mobile ion"):
        estimates_over_glasses([one, other])
    with pytest.raises(DataError, match="topology: no glasses to average"):
        estimates_over_glasses([])


def test_a_method_names_every_pair_whose_cutoff_changes_the_number(glass: Atoms) -> None:
    roles = {"center": "Zr", "bridging": ("O", "Cl"), "mobile": "Li"}
    cutoffs = {("O", "Zr"): 3.2, ("Cl", "Zr"): 3.9, ("Cl", "Li"): 3.3, ("Li", "O"): 3.1, ("Li", "Zr"): 3.5}
    before = estimates_over_glasses([topology_of([glass], cutoffs_A=cutoffs, **roles)])
    counted = {name: counted_pairs(name, **roles) for name in before}
    touched: set[tuple[str, str]] = set()
    for pair in cutoffs:
        for factor in (0.8, 1.2):
            moved = {**cutoffs, pair: factor * cutoffs[pair]}
            after = estimates_over_glasses([topology_of([glass], cutoffs_A=moved, **roles)])
            changed = [n for n, e in before.items() if n not in after or after[n].value != pytest.approx(e.value)]
            assert all(pair in counted[name] for name in changed), pair
            touched |= {pair} if changed else set()
    assert touched == set(cutoffs) - {("Li", "Zr")}
    said = counting_method("li_o_coordination", cutoffs, **roles)
    assert said == "bonds shorter than Li-O 3.10 Å"
    assert counting_method("cl_terminal_fraction", cutoffs, **roles) == "bonds shorter than Cl-Zr 3.90 Å"
    assert counting_method("zr_rings_4_per_zr", cutoffs, **roles) == "bonds shorter than O-Zr 3.20 Å, Cl-Zr 3.90 Å"
