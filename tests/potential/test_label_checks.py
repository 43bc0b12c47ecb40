"""Bad labels are refused before anything is trained on them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mlsim.errors import DataError
from mlsim.potential.dataset import Split
from mlsim.potential.label_checks import check_split, check_units, require_elements, shared_structures


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


def split_of(train: list[Atoms], test: list[Atoms]) -> Split:
    return Split(tuple(train), (thermal(100, "v"),), tuple(test))


def test_sound_labels_pass() -> None:
    check_split(split_of([thermal(k) for k in range(4)], [thermal(9, "b")]), ("Li", "Zr", "Cl", "O"))


@pytest.mark.parametrize("factor", [1 / 51.42, 1000.0, 96.5, 23.06], ids=["Hartree/Bohr", "meV", "kJ/mol", "kcal/mol"])
def test_forces_in_another_unit_are_refused(factor: float) -> None:
    frames = in_unit([thermal(k) for k in range(4)], "forces", factor)
    with pytest.raises(DataError, match=r"labels: root-mean-square force .*, expected 0.08 to 15 eV/Å; are they in"):
        check_units(frames)


@pytest.mark.parametrize("factor", [160.2, 1602.0, 1 / 183.6], ids=["GPa", "kbar", "Hartree/Bohr3"])
def test_stress_in_another_unit_is_refused(factor: float) -> None:
    frames = in_unit([thermal(k) for k in range(4)], "stress", factor)
    with pytest.raises(
        DataError, match=r"labels: root-mean-square stress .*, expected 0.0007 to 0.5 eV/Å3; are they in"
    ):
        check_units(frames)


def test_relaxed_crystals_do_not_look_like_another_unit() -> None:
    frames = in_unit([thermal(k) for k in range(4)], "forces", 1e-5)
    for frame in frames:
        frame.info["kind"] = "crystal"
    check_units(frames)


@pytest.mark.parametrize("change", ["none", "wrapped", "shifted", "noise of 1 mÅ"])
def test_a_structure_in_training_and_test_alike_is_refused(change: str) -> None:
    train, twin = [thermal(k) for k in range(3)], thermal(1, "b")
    if change == "wrapped":
        twin.positions[2] += twin.cell[0]
    if change == "shifted":
        twin.positions += [0.7, -3.0, 9.0]
    if change.startswith("noise"):
        twin.positions += np.random.default_rng(0).normal(0, 1e-3, twin.positions.shape)
    twin.calc.atoms = twin.copy()  # the labels go along
    assert shared_structures(train, [twin]) == [(1, 0)]
    with pytest.raises(
        DataError, match="1 structures are in train and in test alike, such as one of chain a and one of"
    ):
        check_split(split_of(train, [twin]), ("Li", "Zr", "Cl", "O"))


def test_an_element_that_the_potential_does_not_know_is_named() -> None:
    with pytest.raises(DataError, match=r"frame 1 \(chain a\): holds Ta; the potential knows Li, Zr, Cl, O"):
        require_elements([thermal(1), thermal(2, symbols="LiTaCl6")], ("Li", "Zr", "Cl", "O"))
