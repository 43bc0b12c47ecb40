"""A committee drives with its leader, measures its deviation now and then, and is calibrated against true errors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner

from mlsim.cli import app
from mlsim.errors import DataError, SettingsError
from mlsim.melt_quench import hold_schedule, run_schedule
from mlsim.potential import describe, load
from mlsim.potential.active_learning import add_to_dataset, chosen_by_disagreement, frame_deviations
from mlsim.potential.committee import Calibration, Committee, calibration, load_committee, write_committee_file
from mlsim.potential.engine import read_merged
from mlsim.potential.engine.merged import write_merged
from mlsim.shipped import shipped_folder
from mlsim.study import ModelFile


class Spring(Calculator):
    """Pulls every atom to the origin with stiffness k."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012  ASE's name

    def __init__(self, k: float) -> None:
        super().__init__()
        self.k, self.calls = k, 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        x = self.atoms.positions
        self.results = {"energy": self.k * (x**2).sum() / 2, "forces": -self.k * x, "stress": np.zeros(6)}


def cell(seed: int = 0, n: int = 6) -> Atoms:
    return Atoms(f"Li{n}", positions=np.random.default_rng(seed).uniform(0.5, 3, (n, 3)), cell=[9] * 3, pbc=True)


def labelled(seed: int, k: float) -> Atoms:
    atoms = cell(seed)
    atoms.calc = SinglePointCalculator(atoms, energy=0.0, forces=-k * atoms.positions, stress=np.zeros(6))
    return atoms


def test_energy_and_forces_are_those_of_the_leader() -> None:
    atoms, alone = cell(), cell()
    atoms.calc, alone.calc = Committee(LennardJones(), [Spring(1.0)]), LennardJones()
    assert atoms.get_potential_energy() == alone.get_potential_energy()
    assert np.array_equal(atoms.get_forces(), alone.get_forces())
    assert np.array_equal(atoms.get_stress(), alone.get_stress())


def test_the_deviation_is_the_standard_deviation_over_all_members() -> None:
    stiffness = [1.0, 1.4, 0.7, 2.0]
    committee = Committee(Spring(stiffness[0]), [Spring(k) for k in stiffness[1:]])
    atoms = cell()
    expected = np.std([-k * atoms.positions for k in stiffness], axis=0)
    assert np.allclose(committee.forces_std(atoms), expected, atol=1e-12)
    assert committee.largest(expected) == pytest.approx(np.linalg.norm(expected, axis=1).max())


def test_compiled_members_in_one_pass_deviate_as_they_do_one_by_one() -> None:
    from mlsim.potential.engine import CompiledMACE, read_merged

    path = describe("lzoc-base").compiled
    assert path is not None
    models = [read_merged(path)] * 3
    atoms = Atoms("Li2ZrCl6", positions=np.random.default_rng(1).uniform(0, 6, (9, 3)) * 1.1, cell=[7] * 3, pbc=True)
    one_pass = Committee(Spring(0.3), [CompiledMACE(models, dtype="float64")])
    one_by_one = Committee(Spring(0.3), [CompiledMACE(m, dtype="float64") for m in models])
    assert one_pass.n_members == one_by_one.n_members == 4
    assert one_pass.forces_std(atoms) == pytest.approx(one_by_one.forces_std(atoms), abs=1e-9)


def test_four_members_cost_at_most_a_quarter_more() -> None:
    committee = Committee(Spring(1.0), others := [Spring(k) for k in (1.1, 1.2, 1.3)])
    assert "k = 20 steps, 15 % more evaluations" in str(committee)
    atoms = cell()
    told = []
    for step in range(120):
        atoms.positions += 0.01
        committee.calculate(atoms, ["energy", "forces", "stress"], ["positions"] if step else list(all_changes))
        told.append("forces_std" in committee.results)
    assert [step for step, tells in enumerate(told) if tells] == list(range(0, 120, 20))
    assert sum(member.calls for member in others) / committee.leader.calls <= 0.2


@pytest.mark.parametrize("n_others", [1, 2, 3, 4, 7])
def test_a_run_asks_the_others_as_often_as_the_committee_says(tmp_path: Path, n_others: int) -> None:
    committee = Committee(Spring(1.0), others := [Spring(1.1) for _ in range(n_others)])
    start = Atoms("Ar", positions=[[0.1, 0, 0]], cell=[12] * 3, pbc=True)
    run_schedule(
        start, hold_schedule(10, 0.2, thermostat="langevin"), committee, directory=tmp_path, seed=1, potential_sha256=""
    )
    # without the answers before the first step, of which two are thrown away
    share = 100 * (sum(member.calls for member in others) - 3 * n_others) / 100
    assert f", {share:.0f} % more evaluations" in str(committee)
    assert share <= 20 or n_others > 4


def test_a_single_model_is_no_committee() -> None:
    with pytest.raises(SettingsError, match="committee of 1 model, expected at least 2"):
        Committee(Spring(1.0), [])


def test_a_calibration_finds_the_scale_and_its_thresholds_stand_for_what_they_say() -> None:
    # labels of stiffness 1.5; members 1.0 and 1.2: deviation 0.1 |x|, error 0.5 |x|, force 1.5 |x|
    committee = Committee(Spring(1.0), [Spring(1.2)])
    frames = [labelled(seed, 1.5) for seed in range(20)]
    found, deviation, error = calibration(committee, frames)
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.scale == pytest.approx(5.0)
    below = [committee.largest(committee.forces_std(frame)) <= found.warn_eV_A for frame in frames]
    assert sum(below) == 19
    norms = np.concatenate([np.linalg.norm(frame.get_forces(), axis=1) for frame in frames])
    assert found.stop_eV_A == pytest.approx(max(found.warn_eV_A, np.sqrt(np.mean(norms**2)) / 5.0))
    assert error == pytest.approx(5 * deviation)
    at_rest = labelled(1, 0.0)  # an ideal crystal: no force, and no doubt
    assert calibration(committee, [*frames, at_rest])[0] == found


def test_a_member_given_twice_is_refused_also_as_a_copy_or_compiled(tmp_path: Path) -> None:
    info = describe("lzoc-base")
    assert info.compiled is not None
    shutil.copy(info.compiled, tmp_path / "copy.npz")
    for twice in ([info.compiled, tmp_path / "copy.npz"], ["lzoc-base", info.compiled]):
        with pytest.raises(SettingsError, match=r"is the same model as .*; name each member once"):
            load_committee(twice)
    with pytest.raises(SettingsError, match=r"copy\.npz is the same model as"):
        write_committee_file(tmp_path / "c.json", [info.compiled, tmp_path / "copy.npz"], FOUND)
    assert not (tmp_path / "c.json").exists()


@pytest.mark.parametrize("stiffness", [np.nan, np.inf])
def test_forces_that_are_not_finite_calibrate_nothing(stiffness: float) -> None:
    frames = [labelled(seed, 1.5) for seed in range(6)]
    with pytest.raises(DataError, match="calibration: a member gives forces that are not finite"):
        calibration(Committee(Spring(1.0), [Spring(stiffness)]), frames)


def test_members_that_never_differ_calibrate_nothing() -> None:
    with pytest.raises(DataError, match="calibration: the members agree to the last bit"):
        calibration(Committee(Spring(1.0), [Spring(1.0)]), [labelled(seed, 1.5) for seed in range(6)])


def test_a_calibration_that_is_not_finite_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"c\.json: scale of the calibration is not finite; no committee is written"):
        write_committee_file(tmp_path / "c.json", [], replace(FOUND, scale=np.inf))
    assert not (tmp_path / "c.json").exists()


def test_calibrate_checks_the_split_as_training_does(tmp_path: Path) -> None:
    data = shipped_folder("data") / "lzoc-dft"
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text((data / "recipe.yaml").read_text().replace("elements: [Li, O, Cl, Zr]", "elements: [Li, O, Cl]"))
    potentials = shipped_folder("potentials")
    models = [str(potentials / "lzoc-1" / f"lzoc-1{k}.npz") for k in ("", "-1")]
    command = ["potential", "calibrate", *models, "--recipe", str(recipe)]
    out = tmp_path / "c.json"
    done = CliRunner().invoke(app, [*command, "--dataset", str(data / "labels.extxyz.xz"), "-o", str(out)])
    assert isinstance(done.exception, DataError)
    assert "holds Zr; the potential knows Li, O, Cl" in str(done.exception)
    assert not out.exists()


def test_too_few_held_out_frames_calibrate_nothing() -> None:
    with pytest.raises(DataError, match="calibration: 2 held-out frames off symmetry, expected at least 5"):
        calibration(Committee(Spring(1.0), [Spring(1.2)]), [labelled(1, 1.0), labelled(2, 1.0)])


FOUND = Calibration(rank_correlation=0.6, scale=2.0, warn_eV_A=0.2, stop_eV_A=0.5, n_frames=20, n_atoms=300)


def other_origin(model: Path, copy: Path) -> None:
    """Write the same weights as if they came from another model."""
    merged = read_merged(model)
    write_merged(copy, replace(merged, provenance=merged.provenance | {"source_sha256": "b" * 64}))


def committee_file(folder: Path) -> Path:
    model = describe("lzoc-base").compiled
    assert model is not None
    members = [folder / "a.npz", folder / "b.npz"]
    shutil.copy(model, members[0])
    other_origin(model, members[1])
    write_committee_file(folder / "committee.json", members, FOUND)
    return folder / "committee.json"


def test_a_committee_file_is_a_potential_with_its_thresholds(tmp_path: Path) -> None:
    path = committee_file(tmp_path)
    info = describe(path)
    assert (info.name, info.about) == ("committee.json", "committee of 2, led by a.npz")
    assert info.elements == describe("lzoc-base").elements
    assert info.deviations_eV_A == (0.2, 0.5)
    with pytest.raises(SettingsError, match="a committee takes no device, dtype, engine or threads, got"):
        load(path, dtype="float64")
    committee = load(path)
    assert committee.n_members == 2
    assert committee.calibration == FOUND
    atoms, alone = cell(n=4), cell(n=4)
    atoms.calc, alone.calc = committee, load("lzoc-base")
    assert np.array_equal(atoms.get_forces(), alone.get_forces())


def test_a_shipped_committee_moves_and_watches_and_lends_its_leader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "lzoc-base"
    shutil.copytree(shipped_folder("potentials") / "lzoc-base", own)
    other_origin(own / "lzoc-base.npz", own / "lzoc-base-1.npz")
    write_committee_file(own / "committee.json", [own / "lzoc-base.npz", own / "lzoc-base-1.npz"], FOUND)
    monkeypatch.setattr("mlsim.potential.library.shipped_folder", lambda _: tmp_path)
    assert describe("lzoc-base").deviations_eV_A == (0.2, 0.5)
    assert describe("lzoc-base").sha256 == json.loads((own / "potential.json").read_text())["sha256"]
    committee = load("lzoc-base")
    assert committee.n_members == 2 and committee.calibration == FOUND
    for leader in (load("lzoc-base", dtype="float64"), load("lzoc-base", threads=2), load("lzoc-base", engine="mace")):
        assert not hasattr(leader, "n_members")
    assert ModelFile.named("lzoc-base").deviations_eV_A == (0.2, 0.5)
    assert ModelFile.named("lzoc-base", "cuda").deviations_eV_A is None
    write_committee_file(own / "committee.json", [own / "lzoc-base-1.npz", own / "lzoc-base.npz"], FOUND)
    with pytest.raises(DataError, match=r"committee\.json: is led by lzoc-base-1\.npz, not by lzoc-base\.npz"):
        load("lzoc-base")
    (own / "lzoc-base-1.npz").unlink()
    with pytest.raises(DataError, match=r"its member .*lzoc-base-1\.npz is not there"):
        load("lzoc-base")


def test_dynamics_with_a_committee_file_log_its_deviation_and_take_its_thresholds(tmp_path: Path) -> None:
    start = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(2)
    write(tmp_path / "start.extxyz", start)
    out = tmp_path / "md"
    command = ["md", str(tmp_path / "start.extxyz"), "--temperature-K", "300", "--time-ps", "0.05", "-o", str(out)]
    done = CliRunner().invoke(app, [*command, "--equilibration-ps", "0", "--potential", str(committee_file(tmp_path))])
    assert done.exit_code == 0, done.output
    assert "committee of 2: deviation every k = 5 steps, 20 % more evaluations" in done.output
    rows = (out / "thermo.csv").read_text().splitlines()
    column = rows[0].split(",").index("committee_deviation_eV_A")
    # two copies of one model never disagree
    assert {float(row.split(",")[column]) for row in rows[1:]} == {0.0}


@pytest.mark.parametrize(
    ("potential", "limits", "message"),
    [
        ("lzoc-base", ["--committee-warn-eV-A", "0.1"], "--committee-warn-eV-A: potential lzoc-base is a single model"),
        ("lzoc-base", ["--committee-stop-eV-A", "0.1"], "--committee-stop-eV-A: potential lzoc-base is a single model"),
        ("", ["--committee-warn-eV-A", "3"], "is 3, above the 0.5 eV/Å at which "),
    ],
)
def test_limits_that_could_never_speak_are_refused(
    tmp_path: Path, potential: str, limits: list[str], message: str
) -> None:
    write(tmp_path / "start.extxyz", bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(2))
    command = ["md", str(tmp_path / "start.extxyz"), "--temperature-K", "300", "--time-ps", "0.05"]
    named = potential or str(committee_file(tmp_path))
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "md"), "--potential", named, *limits])
    assert isinstance(done.exception, SettingsError) and message in str(done.exception)
    assert not (tmp_path / "md").exists()


def test_what_runs_one_model_refuses_a_committee_or_a_compiled_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlsim.potential import batched

    monkeypatch.setattr(batched, "require_torch_sim", lambda: None)
    path = committee_file(tmp_path)
    with pytest.raises(
        SettingsError, match=r"'committee\.json': a batch runs one model and would never ask a committee"
    ):
        batched.torch_sim_model(path)
    write(tmp_path / "start.extxyz", bulk("LiCl", "rocksalt", a=5.13, cubic=True))
    command = ["lammps", str(tmp_path / "start.extxyz"), "-o", str(tmp_path / "lammps"), "--potential", str(path)]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, SettingsError)
    assert "a compiled file holds no model for LAMMPS; name its source" in str(done.exception)


def test_the_members_are_asked_after_each_fresh_start_whatever_came_before() -> None:
    committee = Committee(Spring(1.0), [Spring(1.2)], deviation_interval=5)
    atoms = cell()
    asked = []
    for changes in (all_changes, ["positions"], ["positions"], all_changes, *[["positions"]] * 5):
        committee.calculate(atoms, ["forces"], changes)
        asked.append("forces_std" in committee.results)
    assert asked == [True, False, False, True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text('{"scale": 1}'), r"committee\.json: is no committee that `mlsim potential calib"),
        (lambda path: (path.parent / "b.npz").unlink(), r"committee\.json: its member .*b\.npz is not there"),
        (lambda path: (path.parent / "b.npz").write_bytes(b"x"), r"b\.npz is not the file that was calibrated"),
    ],
)
def test_a_committee_file_that_is_not_whole_is_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    path = committee_file(tmp_path)
    spoil(path)
    with pytest.raises(DataError, match=message):
        load(path)


def test_frames_are_chosen_by_disagreement_and_compositions_take_turns(tmp_path: Path) -> None:
    chains = {"a": [cell(1), cell(2), cell(3)], "b": [cell(4)], "c": [cell(5, n=7), cell(6, n=7)]}
    for name in ("c",):
        for frame in chains[name]:
            frame.symbols[0] = "Cl"
    deviations = {"a": [0.5, 0.9, 0.8], "b": [0.7], "c": [0.1, 0.2]}
    assert chosen_by_disagreement(chains, deviations, number=3) == {"a": [1], "b": [0], "c": [1]}
    assert chosen_by_disagreement(chains, deviations, number=2, per_chain=2) == {"a": [1], "c": [1]}
    chosen = chosen_by_disagreement(chains, deviations, number=9, per_chain=2)
    assert chosen == {"a": [1, 2], "b": [0], "c": [0, 1]}
    add_to_dataset(tmp_path, chains, deviations, chosen)
    with pytest.raises(DataError, match="is there already; choose from chains of other names"):
        add_to_dataset(tmp_path, chains, deviations, chosen)


def test_the_deviation_of_a_frame_is_its_largest_atomic_one() -> None:
    committee, frames = Committee(Spring(1.0), [Spring(1.2)]), [cell(1), cell(2)]
    expected = [0.1 * np.linalg.norm(frame.positions, axis=1).max() for frame in frames]
    assert frame_deviations(committee, frames) == pytest.approx(expected)
