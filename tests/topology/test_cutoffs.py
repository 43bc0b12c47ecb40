"""Cut-offs from the first minimum of g(r)."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mlsim.errors import DataError, SettingsError
from mlsim.topology import bond_cutoffs, chosen_cutoffs, topology_of


def hot(structure: str, names: str, a: float, width: float, n_frames: int = 4) -> list[Atoms]:
    frames = [bulk(names, structure, a=a, cubic=True).repeat(3) for _ in range(n_frames)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(width, seed=seed)
    return frames


@pytest.mark.parametrize("width", [0.0, 0.05, 0.2])
def test_cutoffs_of_rocksalt_lie_between_the_first_two_shells(width: float) -> None:
    cutoffs = bond_cutoffs(hot("rocksalt", "LiCl", 5.13, width))
    assert 5.13 / 2 + 2 * width < cutoffs["Cl", "Li"] < 5.13 / 2 * np.sqrt(3)
    for like in (("Cl", "Cl"), ("Li", "Li")):
        assert 5.13 / np.sqrt(2) < cutoffs[like] < 5.13


def test_every_pair_of_elements_is_there_once_and_sorted() -> None:
    atoms = Atoms(
        "LiZrClO",
        positions=np.diag([0.0, 2, 4, 6])[:, :3] + [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1]],
        cell=[9] * 3,
        pbc=True,
    )
    cutoffs = bond_cutoffs([atoms])
    assert list(cutoffs) == sorted(cutoffs)
    assert len(cutoffs) == 10
    assert all(a <= b for a, b in cutoffs)


def test_the_rule_behind_each_cutoff_is_recorded() -> None:
    frames = hot("fluorite", "ZrO2", 5.09, 0.08)
    chosen = chosen_cutoffs(frames, fixed_A={("Zr", "O"): 2.6})
    assert chosen["O", "Zr"].source == "given"
    assert chosen["O", "Zr"].cutoff_A == 2.6
    assert chosen["O", "Zr"].peak_A == pytest.approx(2.2, abs=0.05)
    assert chosen["O", "O"].source == "first minimum"
    lone = Atoms("ZrO", [[0, 0, 0], [2, 0, 0]], cell=[15] * 3, pbc=True)
    by_radii = chosen_cutoffs([lone])["O", "Zr"]
    assert by_radii.source == "covalent radii"
    assert by_radii.peak_A is None
    assert by_radii.cutoff_A == pytest.approx(1.25 * (1.75 + 0.66))


def test_a_wide_gap_after_the_first_shell_does_not_make_a_long_cutoff() -> None:
    shell = 2.49 * np.vstack([np.eye(3), -np.eye(3)])
    atoms = Atoms("ZrCl6", np.vstack([[[0, 0, 0]], shell]), cell=[14] * 3, pbc=True)
    cutoff = bond_cutoffs([atoms])["Cl", "Zr"]
    assert 2.7 < cutoff <= 1.45 * 2.51


def test_an_ideal_gas_still_has_finite_cutoffs() -> None:
    rng = np.random.default_rng(0)
    atoms = Atoms("Zr40O80", positions=rng.uniform(0, 14, (120, 3)), cell=[14] * 3, pbc=True)
    assert all(0 < c <= 1.45 * 6 for c in bond_cutoffs([atoms]).values())


def test_frames_of_several_glasses_can_be_pooled() -> None:
    first, second = hot("rocksalt", "LiCl", 5.13, 0.1, 1), hot("rocksalt", "LiCl", 5.2, 0.1, 1)
    pooled = bond_cutoffs(first + second)
    assert 2.6 < pooled["Cl", "Li"] < 4.4
    assert topology_of(second, cutoffs_A=pooled, center="Li", bridging=("Cl",)).polyhedra == {(6,): 1.0}


@pytest.mark.parametrize(
    ("frames", "fixed", "error", "message"),
    [
        ([], None, DataError, "topology: no frames given"),
        (Atoms("Ar", cell=[9] * 3, pbc=True), None, DataError, "got one ase.Atoms"),
        ([Atoms("Ar")], None, DataError, "frame 0 is not periodic"),
        ([bulk("LiCl", "rocksalt", a=5.13)], {("Zr", "O"): 2.5}, SettingsError, "cut-off for O-Zr: no such pair"),
        ([bulk("LiCl", "rocksalt", a=5.13)], {("Li", "Cl"): 0.0}, SettingsError, "cut-off for Li-Cl: 0 Å, expected"),
    ],
)
def test_bad_input_is_refused(frames, fixed, error, message) -> None:
    with pytest.raises(error, match=message):
        bond_cutoffs(frames, fixed_A=fixed)
