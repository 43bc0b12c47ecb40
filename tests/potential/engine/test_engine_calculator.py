"""What a user of the calculator may rely on: physics, invariances, the same bits, and clear words about bad input."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
import warnings

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.md.verlet import VelocityVerlet
from random_models import frames, random_model

from mlsim.errors import DataError, SettingsError
from mlsim.potential.engine import CompiledMACE, MergedModel
from mlsim.potential.engine.compiling import check_frames
from mlsim.potential.engine.extract import merge


@pytest.fixture(scope="module")
def merged() -> MergedModel:
    return merge(random_model())


@pytest.fixture(scope="module")
def cubic() -> MergedModel:
    return merge(random_model(l_max=3, correlation=3, first="RealAgnosticResidualInteractionBlock"))


@pytest.fixture
def liquid() -> Atoms:
    return frames()[0]


def thin() -> Atoms:
    """A triclinic cell thinner than the cut-off."""
    return frames()[1]


def large(n: int = 200) -> Atoms:
    rng = np.random.default_rng(5)
    side = 1 + int(n ** (1 / 3))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 3)[:n] * 2.6
    numbers = np.resize([3, 8, 17, 3, 40], n)
    return Atoms(numbers=numbers, positions=grid + rng.normal(0, 0.2, (n, 3)), cell=np.full(3, side * 2.6), pbc=True)


def evaluated(calculator: CompiledMACE, atoms: Atoms) -> dict[str, np.ndarray]:
    calculator.calculate(atoms)
    return {name: np.copy(calculator.results[name]) for name in ("energy", "energies", "forces", "stress")}


# physics


def test_forces_are_minus_the_gradient_of_the_energy(cubic: MergedModel) -> None:
    calculator = CompiledMACE(cubic, dtype="float64")
    atoms = thin()
    forces = evaluated(calculator, atoms)["forces"]
    h = 1e-4
    for atom, axis in ((0, 0), (3, 1), (7, 2)):
        energies = []
        for step in (-h, h):
            moved = atoms.copy()
            moved.positions[atom, axis] += step
            energies.append(evaluated(calculator, moved)["energy"])
        assert -(energies[1] - energies[0]) / (2 * h) == pytest.approx(forces[atom, axis], abs=2e-6)


def test_stress_is_the_derivative_by_strain(cubic: MergedModel) -> None:
    calculator = CompiledMACE(cubic, dtype="float64")
    atoms = thin()
    stress = evaluated(calculator, atoms)["stress"]
    h = 1e-5
    for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        energies = []
        for step in (-h, h):
            strain = np.eye(3)
            strain[a, b] += step / 2
            strain[b, a] += step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            energies.append(evaluated(calculator, strained)["energy"])
        slope = (energies[1] - energies[0]) / (2 * h) / atoms.get_volume()
        assert slope == pytest.approx(stress[k], abs=2e-7)


def test_energy_is_conserved(merged: MergedModel, liquid: Atoms) -> None:
    liquid.calc = CompiledMACE(merged)
    rng = np.random.default_rng(2)
    liquid.set_momenta(rng.normal(size=(len(liquid), 3)) * np.sqrt(liquid.get_masses()[:, None] * units.kB * 600))
    totals = []
    run = VelocityVerlet(liquid, 0.5 * units.fs)
    run.attach(lambda: totals.append(liquid.get_total_energy() / len(liquid)), interval=10)
    run.run(400)
    later, sooner = np.mean(totals[-20:]), np.mean(totals[:20])
    assert abs(later - sooner) < 2e-5
    assert np.std(totals) < 1e-4


# invariances


def test_results_are_those_of_the_moved_turned_and_renumbered_structure(merged: MergedModel, liquid: Atoms) -> None:
    calculator = CompiledMACE(merged, dtype="float32")
    here = evaluated(calculator, liquid)
    order = np.random.default_rng(1).permutation(len(liquid))
    there = evaluated(calculator, liquid[order])
    assert np.abs(there["forces"] - here["forces"][order]).max() < 1e-5
    moved = liquid.copy()
    moved.positions += [3.3, -20.1, 7.0]
    moved.wrap()
    assert np.abs(evaluated(calculator, moved)["forces"] - here["forces"]).max() < 1e-5
    turned = liquid.copy()
    turned.rotate(37, (1, 2, -1), rotate_cell=True)
    turn = np.linalg.solve(liquid.cell.array, turned.cell.array)
    result = evaluated(calculator, turned)
    assert result["energy"] == pytest.approx(here["energy"], abs=1e-5)
    assert np.abs(result["forces"] - here["forces"] @ turn).max() < 1e-5


def test_supercell_has_the_energy_of_its_copies(merged: MergedModel) -> None:
    calculator = CompiledMACE(merged)
    one, eight = evaluated(calculator, thin()), evaluated(calculator, thin().repeat(2))
    assert eight["energy"] == pytest.approx(8 * one["energy"], abs=1e-5)
    assert np.abs(eight["stress"] - one["stress"]).max() < 1e-7


def test_input_is_left_alone(merged: MergedModel, liquid: Atoms) -> None:
    before = liquid.copy()
    CompiledMACE(merged).calculate(liquid)
    assert liquid == before


# the same bits


def test_results_do_not_depend_on_what_was_evaluated_before(merged: MergedModel) -> None:
    rng = np.random.default_rng(4)
    for start in (thin(), large(60)):
        calculator = CompiledMACE(merged)
        wanderer = start.copy()
        for size in (0.01, 0.05, 0.2, 0.02, 0.4):
            wanderer.positions += rng.normal(0, size, wanderer.positions.shape)
            strain = np.eye(3) + rng.normal(0, 0.1 * size, (3, 3))
            wanderer.set_cell(wanderer.cell.array @ strain, scale_atoms=True)
            used = evaluated(calculator, wanderer)
            fresh = evaluated(CompiledMACE(merged), wanderer)
            assert all(np.array_equal(used[name], fresh[name]) for name in used)
        assert 1 < calculator.engine.candidates.n_built < 5


def test_a_run_that_starts_again_repeats_itself(merged: MergedModel, liquid: Atoms) -> None:
    def run(atoms: Atoms, steps: int) -> Atoms:
        atoms.calc = CompiledMACE(merged)
        VelocityVerlet(atoms, 1.0 * units.fs).run(steps)
        return atoms

    liquid.set_velocities(np.random.default_rng(3).normal(0, 0.1, (len(liquid), 3)))
    whole = run(liquid.copy(), 60)
    parts = run(run(liquid.copy(), 25), 35)
    assert np.array_equal(whole.positions, parts.positions)
    assert np.array_equal(whole.get_momenta(), parts.get_momenta())


def test_threads_repeat_themselves_and_agree_with_one_thread(merged: MergedModel) -> None:
    atoms = large()
    one = evaluated(CompiledMACE(merged), atoms)
    two = evaluated(CompiledMACE(merged, threads=2), atoms)
    again = evaluated(CompiledMACE(merged, threads=2), atoms)
    assert all(np.array_equal(two[name], again[name]) for name in two)
    assert two["energy"] == pytest.approx(one["energy"], abs=1e-6)
    assert np.abs(two["forces"] - one["forces"]).max() < 1e-6
    assert np.abs(two["stress"] - one["stress"]).max() < 1e-8


def test_results_of_threads_do_not_depend_on_what_was_evaluated_before(merged: MergedModel) -> None:
    rng = np.random.default_rng(6)
    calculator = CompiledMACE(merged, threads=3)
    wanderer = large()
    for _ in range(8):
        wanderer.positions += rng.normal(0, 0.03, wanderer.positions.shape)
        used = evaluated(calculator, wanderer)
        fresh = evaluated(CompiledMACE(merged, threads=3), wanderer)
        assert all(np.array_equal(used[name], fresh[name]) for name in used)
    assert calculator.engine.candidates.n_built < 5


def test_smallest_move_is_noticed(merged: MergedModel, liquid: Atoms) -> None:
    liquid.calc = CompiledMACE(merged)
    liquid.get_forces()
    liquid.positions[0, 0] = np.nextafter(liquid.positions[0, 0], np.inf)
    assert liquid.calc.check_state(liquid) == ["positions"]


def test_calculators_can_be_copied_and_sent(merged: MergedModel) -> None:
    atoms = large()
    calculator = CompiledMACE(merged, threads=2)
    result = evaluated(calculator, atoms)
    for other in (copy.deepcopy(calculator), pickle.loads(pickle.dumps(calculator))):
        assert np.array_equal(evaluated(other, atoms)["forces"], result["forces"])


def test_reset_changes_nothing(merged: MergedModel, liquid: Atoms) -> None:
    calculator = CompiledMACE(merged)
    before = evaluated(calculator, liquid)
    calculator.reset()
    assert np.array_equal(evaluated(calculator, liquid)["forces"], before["forces"])


# committees


def test_committee_is_the_mean_of_its_members_with_their_spread(merged: MergedModel, liquid: Atoms) -> None:
    models = [merged, merge(random_model(seed=1)), merge(random_model(seed=2))]
    members = [evaluated(CompiledMACE(model), liquid) for model in models]
    committee = CompiledMACE(models)
    result = evaluated(committee, liquid)
    for name in ("energy", "energies", "forces", "stress"):
        assert result[name] == pytest.approx(np.mean([member[name] for member in members], axis=0), abs=1e-12)
    assert committee.results["forces_std"] == pytest.approx(np.std([m["forces"] for m in members], axis=0), abs=1e-12)
    assert committee.results["energy_std"] == pytest.approx(np.std([m["energy"] for m in members]))


def test_committee_of_different_cut_offs_is_refused(merged: MergedModel) -> None:
    other = dataclasses.replace(merged, cutoff_A=5.0)
    message = "committee: model 2 has cutoff_A = 5, but model 1 has 4.2; make them equal"
    with pytest.raises(SettingsError, match=re.escape(message)):
        CompiledMACE([merged, other])


# short distances


def dimer(r: float) -> Atoms:
    return Atoms("LiCl", positions=[[0, 0, 0], [r * 0.48, r * 0.6, r * 0.64]])


def test_wall_below_the_tables_is_smooth_and_repulsive() -> None:
    calculator = CompiledMACE(merge(random_model(pair_repulsion=False)), dtype="float32")
    distances = np.linspace(0.02, 0.34, 161)
    energies, pulls = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for r in distances:
            calculator.calculate(dimer(r))
            energies.append(calculator.results["energy"])
            pulls.append(calculator.results["forces"][1] @ [0.48, 0.6, 0.64])
    slope = -np.gradient(energies, distances, edge_order=2)
    assert np.abs(slope - pulls).max() < 0.01 * np.max(pulls)
    assert np.all(np.diff(energies)[distances[1:] < 0.2] < 0)
    assert np.max(energies) > 500


def test_short_distance_warns_once(merged: MergedModel) -> None:
    calculator = CompiledMACE(merged)
    message = (
        "atoms 0 (Li) and 1 (Cl) are 0.200 Å apart, closer than the 0.3 Å where the potential begins; a repulsive wall"
    )
    with pytest.warns(UserWarning, match=re.escape(message)):
        calculator.calculate(dimer(0.2))
    calculator.calculate(dimer(0.21))  # a second warning would be an error


# bad input


def test_bad_structures_are_named(merged: MergedModel, liquid: Atoms) -> None:
    calculator = CompiledMACE(merged)

    def refused(atoms: Atoms, message: str) -> None:
        with pytest.raises(DataError, match=re.escape(message)):
            calculator.calculate(atoms)

    bad = liquid.copy()
    bad.positions[3, 1] = np.nan
    refused(bad, f"atom 3 ({bad.symbols[3]}) has the position [")
    bad = liquid.copy()
    bad.positions[5] = bad.positions[2]
    refused(bad, "are 0 Å apart, at the same place; separate them")
    refused(Atoms(), "the structure holds no atoms, expected at least one")
    bad = liquid.copy()
    bad.numbers[7] = 11
    refused(bad, "atom 7 is Na, but the potential knows Li O Cl Zr only")
    bad = liquid.copy()
    bad.cell[0, 0] = np.inf
    refused(bad, "the cell is [[inf, ")
    bad = liquid.copy()
    bad.cell[2] = bad.cell[1]
    refused(bad, "the cell has a volume of 0 Å3, expected a positive one")
    bad = liquid.copy()
    bad.cell[2] = 0
    refused(bad, "the cell has no vector in a periodic direction; set the cell or switch pbc off there")
    calculator.calculate(liquid)  # and still works


def test_bad_settings_are_named(merged: MergedModel) -> None:
    with pytest.raises(SettingsError, match="dtype 'float16', expected 'float32' or 'float64'"):
        CompiledMACE(merged, dtype="float16")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="threads = 0, expected at least 1"):
        CompiledMACE(merged, threads=0)
    with pytest.raises(SettingsError, match="skin_A = 0, expected a positive length"):
        CompiledMACE(merged, skin_A=0)
    with pytest.raises(SettingsError, match="committee without models, expected at least one"):
        CompiledMACE([])


def test_single_atoms_and_empty_space(merged: MergedModel) -> None:
    calculator = CompiledMACE(merged)
    lonely = Atoms("Zr", positions=[[1, 2, 3]])
    calculator.calculate(lonely)
    assert np.array_equal(calculator.results["forces"], np.zeros((1, 3)))
    assert "stress" not in calculator.results
    crystal = bulk("LiCl", "rocksalt", a=5.1)
    calculator.calculate(crystal)
    assert np.abs(calculator.results["forces"]).max() < 1e-5


def test_generated_check_structures_hold_every_element() -> None:
    numbers = [3, 8, 14, 15, 16, 17, 40]
    for structure in check_frames(numbers, 5.0)[:3]:
        assert set(structure.numbers) == set(numbers)
