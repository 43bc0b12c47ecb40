"""Bad labels are refused before anything is trained on them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlsim.errors import DataError
from mlsim.potential.dataset import Split, labelled_chains
from mlsim.potential.label_checks import check_energies, check_split, check_units, require_elements, shared_structures
from mlsim.shipped import shipped_folder


def thermal(seed: int, chain: str = "a", symbols: str = "Li2ZrCl4O", force: float = 0.8) -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms(symbols, cell=[7.0, 7.5, 8.0], pbc=True, info={"chain": chain, "kind": "melt"})
    atoms.positions = rng.uniform(0, 7, (len(atoms), 3))
    results = {"energy": -38.0, "forces": rng.normal(0, force, (len(atoms), 3)), "stress": rng.normal(0, 0.02, 6)}
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def in_unit(frames: list[Atoms], key: str, factor: float) -> list[Atoms]:
    for frame in frames:
        frame.calc.results[key] = frame.calc.results[key] * factor
    return frames


@pytest.fixture(scope="module")
def good() -> list[Atoms]:
    labels = shipped_folder("data") / "lzoc-dft" / "labels.extxyz.xz"
    return [frame for frames in labelled_chains(labels).values() for frame in frames]


def chain_in_unit(frames: list[Atoms], factors: dict[str, float]) -> list[Atoms]:
    """Copies of the first three thermal frames, as another chain in another unit."""
    copies = []
    for frame in [f for f in frames if f.info["kind"] == "melt"][:3]:
        copy = frame.copy()
        copy.info["chain"] = "late-1"
        results = {key: value * factors.get(key, 1.0) for key, value in frame.calc.results.items()}
        copy.calc = SinglePointCalculator(copy, **results)
        copies.append(copy)
    return copies


def split_of(train: list[Atoms], test: list[Atoms]) -> Split:
    return Split(tuple(train), (thermal(100, "v"),), tuple(test))


def test_sound_labels_pass() -> None:
    check_split(split_of([thermal(k) for k in range(4)], [thermal(9, "b")]), ("Li", "Zr", "Cl", "O"))


@pytest.mark.parametrize("factor", [1 / 51.42, 1000.0, 96.5, 23.06], ids=["Hartree/Bohr", "meV", "kJ/mol", "kcal/mol"])
def test_forces_in_another_unit_are_refused(factor: float) -> None:
    frames = in_unit([thermal(k) for k in range(4)], "forces", factor)
    with pytest.raises(
        DataError, match=r"labels: chain a: root-mean-square force .*, expected 0.08 to 8 eV/Å; are they in"
    ):
        check_units(frames)


@pytest.mark.parametrize("factor", [160.2, 1602.0, 1 / 183.6], ids=["GPa", "kbar", "Hartree/Bohr3"])
def test_stress_in_another_unit_is_refused(factor: float) -> None:
    frames = in_unit([thermal(k) for k in range(4)], "stress", factor)
    with pytest.raises(
        DataError, match=r"labels: chain a: root-mean-square stress .*, expected 0.0002 to 0.3 eV/Å3; are they in"
    ):
        check_units(frames)


def test_relaxed_crystals_do_not_look_like_another_unit() -> None:
    frames = in_unit([thermal(k) for k in range(4)], "forces", 1e-5)
    for frame in frames:
        frame.info["kind"] = "crystal"
    check_units(frames)


@pytest.mark.parametrize("change", ["none", "wrapped", "shifted", "noise of 1 mÅ", "other order", "other cell"])
def test_a_structure_in_training_and_test_alike_is_refused(change: str) -> None:
    train, twin = [thermal(k) for k in range(3)], thermal(1, "b")
    if change == "wrapped":
        twin.positions[2] += twin.cell[0]
    if change == "shifted":
        twin.positions += [0.7, -3.0, 9.0]
    if change.startswith("noise"):
        twin.positions += np.random.default_rng(0).normal(0, 1e-3, twin.positions.shape)
    if change == "other order":
        order = np.random.default_rng(0).permutation(len(twin))
        moved = twin[order]
        moved.calc = SinglePointCalculator(
            moved, energy=-38.0, forces=twin.get_forces()[order], stress=twin.get_stress()
        )
        moved.positions += [0.3, 0.0, 5.0]
        twin = moved
    if change == "other cell":  # the same lattice by other vectors, and turned
        twin.cell[1] += twin.cell[0]
        twin.rotate(35, (1, 2, 3), rotate_cell=True)
    twin.calc.atoms = twin.copy()  # the labels go along
    assert shared_structures(train, [twin]) == [(1, 0)]
    with pytest.raises(
        DataError, match="1 structures are in train and in test alike, such as one of chain a and one of"
    ):
        check_split(split_of(train, [twin]), ("Li", "Zr", "Cl", "O"))


def test_an_element_that_the_potential_does_not_know_is_named() -> None:
    with pytest.raises(DataError, match=r"frame 1 \(chain a\): holds Ta; the potential knows Li, Zr, Cl, O"):
        require_elements([thermal(1), thermal(2, symbols="LiTaCl6")], ("Li", "Zr", "Cl", "O"))


def test_the_shipped_labels_pass(good: list[Atoms]) -> None:
    check_units(good)
    check_energies(good)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"forces": 1 / 51.42}, "root-mean-square force"),
        ({"stress": 160.2}, "root-mean-square stress"),
        (
            {"energy": 1 / 27.2114},
            r"energy -0\.\d+ eV/atom is \+\d.* eV/atom off what its elements have in the other chains",
        ),
        ({"energy": 23.06}, "energy -.*; its unit .* or the zero of its energies may differ"),
    ],
    ids=["Hartree/Bohr", "GPa", "Hartree", "kcal/mol"],
)
def test_three_frames_in_another_unit_among_five_hundred_are_refused(
    good: list[Atoms], factors: dict[str, float], message: str
) -> None:
    split = Split((*good, *chain_in_unit(good, factors)), (), ())
    with pytest.raises(DataError, match=f"^labels: chain late-1: {message}"):
        check_split(split, ("Li", "Zr", "Cl", "O"))


def test_energies_of_another_zero_are_refused_and_pairs_pushed_together_are_not() -> None:
    frames = [thermal(k, f"c{k}") for k in range(8)]
    for k, frame in enumerate(frames):
        frame.calc.results["energy"] += 0.4 * k
    check_energies(frames)
    frames[3].calc.results["energy"] -= 8 * 30
    with pytest.raises(DataError, match=r"labels: chain c3: energy .* is -\d+ eV/atom off"):
        check_energies(frames)
    frames[3].info["kind"] = "core"
    check_energies(frames)


def test_frames_of_one_composition_and_cell_are_not_the_same() -> None:
    assert shared_structures([thermal(k) for k in range(20)], [thermal(k) for k in range(20, 40)]) == []
