"""`mlsim rmc` as a user meets it: results, resuming, and one clear line for everything that cannot work."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from boxes import END, oxychloride, synthetic

import mlsim
from mlsim.cli import _exit_code
from mlsim.cli.rmc import _Named, _transform_range
from mlsim.curve import Curve, Quantity
from mlsim.io.measurements import write_curve_csv
from mlsim.io.structures import read_structure, write_structure

COMMAND = [sys.executable, "-c", "import sys; from mlsim.cli import main; main(sys.argv[1:])"]


@dataclass(frozen=True)
class PairSource:
    """What a command asks of a potential, with pair forces that describe no material behind it."""

    name: str = "pairs"
    sha256: str = "0" * 64
    elements: tuple[str, ...] = ("Li", "Zr", "Cl", "O")

    def load(self) -> Calculator:
        return LennardJones(sigma=1.9, epsilon=0.1, rc=5.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    truth, start = oxychloride(), oxychloride()
    start.rattle(0.05, seed=1)
    write_structure("start.extxyz", start)
    for kind in ("s_of_q", "g_pdf"):
        write_curve_csv(f"{kind}.csv", synthetic(truth, kind).curve)
    return tmp_path


def command(*more: str, out: str = "out", moves: str = "60") -> list[str]:
    data = ["--data", "s_of_q.csv:s_of_q:xray", "--data", "g_pdf.csv:g_pdf:xray:0.02"]
    end = ["--r-max", str(END), "--moves-per-atom", moves, "-o", out]
    return ["rmc", "start.extxyz", *data, *end, *more]


def configurations(folder: Path) -> list[bytes]:
    return [np.asarray(read_structure(p).positions).tobytes() for p in sorted(folder.glob("run_???.extxyz"))]


def test_one_run_writes_numbers_configuration_and_curves(folder: Path) -> None:
    assert _exit_code(command(moves="200")) == 0
    rows = {r["name"]: r for r in json.loads((folder / "out/result.json").read_text())["quantities"]}
    for name in ("rw_s_of_q", "rw_g_pdf"):
        assert rows[name]["value"] < 0.5 * rows[f"rw_start_{name.removeprefix('rw_')}"]["value"]
    assert rows["moves_per_second"]["value"] > 0
    assert 0 < rows["acceptance"]["value"] < 1
    assert rows["largest_drift"]["value"] < 1e-8
    assert {"zr_o_coordination", "cl_terminal_fraction"} <= set(rows)
    assert (folder / "out/run_001_s_of_q.csv").read_text().startswith("x,y\n")
    assert (folder / "out/fit_g_pdf.csv").read_text().startswith("x,data,data_sigma,model,model_error\n")
    assert (folder / "out/fit.png").stat().st_size > 10_000
    before = (folder / "out/run_001.extxyz").read_bytes()
    assert _exit_code(command(moves="200")) == 0  # done already: the same again
    assert (folder / "out/run_001.extxyz").read_bytes() == before


def test_a_fit_says_what_it_costs_in_energy_and_goes_back_to_molecular_dynamics(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = PairSource()
    monkeypatch.setattr("mlsim.study.potentials.ModelFile.named", classmethod(lambda cls, name, device="auto": source))
    options = ["--runs", "2", "--free-runs", "0", "--jobs", "1", "--potential", "toy", "--relax"]
    assert _exit_code(command(*options, moves="20")) == 0
    rows = {r["name"]: r for r in json.loads((folder / "out/result.json").read_text())["quantities"]}
    start = energy_per_atom(read_structure("start.extxyz"))
    refined = [energy_per_atom(read_structure(folder / f"out/run_00{k}.extxyz")) - start for k in (1, 2)]
    relaxed = [read_structure(folder / f"out/run_00{k}_relaxed.extxyz") for k in (1, 2)]
    cost, lower = rows["fit_energy_cost_eV_per_atom"], rows["relaxed_energy_cost_eV_per_atom"]
    assert cost["value"] == pytest.approx(np.mean(refined), abs=1e-6)
    assert cost["n_independent"] == lower["n_independent"] == 2
    assert lower["value"] == pytest.approx(np.mean([energy_per_atom(a) - start for a in relaxed]), abs=1e-6)
    assert lower["value"] < cost["value"]
    assert rows["relaxation_displacement_A"]["value"] > 0

    def broken(self: PairSource) -> Calculator:
        class Broken(LennardJones):
            def calculate(self, *arguments: object, **options: object) -> None:
                raise AssertionError("relaxed twice")

        return Broken()

    monkeypatch.setattr(PairSource, "load", broken)
    assert _exit_code(command(*options, moves="20")) == 0  # relaxed configurations are there already
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("mlsim.study.potentials.ModelFile.named", classmethod(lambda cls, name, device="auto": source))
    for file, out in (("out/run_001_relaxed.extxyz", "md"), ("out/run_002.extxyz", "md2")):
        md = ["md", file, "--temperature-K", "300", "--time-ps", "0.02", "--equilibration-ps", "0", "-o", out]
        assert _exit_code(md) == 0
        assert (folder / out / "trajectory.h5").exists()


def energy_per_atom(atoms: Atoms) -> float:
    atoms.calc = LennardJones(sigma=1.9, epsilon=0.1, rc=5.0)
    return float(atoms.get_potential_energy()) / len(atoms)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--potential", "none.model"], "potential 'none.model': no such file or name; "),
        (["--center", "Xe"], "topology: center Xe is no cation of the glass; it has "),
        (["--cutoff", "Zr-Xe=2"], "cut-off for Xe-Zr: no such pair"),
        (["--cutoff", "Zr=2"], "--cutoff Zr=2: expected a pair and its length in Å, such as Zr-O=2.6"),
        (["--relax"], "--relax: needs --potential NAME"),
    ],
)
def test_what_is_said_of_the_runs_is_checked_before_they_are_made(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert one_line(capsys, command(*arguments)).startswith(message)
    assert not (folder / "out").exists()


def test_bond_counting_is_said_of_our_numbers_and_of_the_published_ones(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_structure("glass.extxyz", oxychloride())
    assert _exit_code(["topology", "glass.extxyz", "--cutoff", "Zr-O=3", "Zr-Cl=3.4", "-o", "t.json"]) == 0
    said = capsys.readouterr().out
    assert "\nbond counting Zr-Cl: 4 anions per centre, " in said
    assert said.count(": consistent") == 2
    assert "imply 2.24 to 2.6 neighbours; given are 5.6: not consistent" in said


def test_ensemble_is_the_same_for_any_number_of_workers_and_says_what_the_data_constrain(folder: Path) -> None:
    assert _exit_code(command("--runs", "2", "--jobs", "2", out="two")) == 0
    (folder / "one").mkdir()
    for kind in ("fitted", "free", "refitted"):  # a worker's checkpoint moved elsewhere: the same command finds it done
        (folder / f"two/{kind}-001").rename(folder / f"one/{kind}-001")
    assert _exit_code(command("--runs", "2", "--jobs", "1", out="one")) == 0
    assert configurations(folder / "two") == configurations(folder / "one")
    assert len(set(configurations(folder / "two"))) == 2
    found = json.loads((folder / "two/influence.json").read_text())
    assert {"set by the data", "set by the starting model", "set by constraints"} >= {i["verdict"] for i in found}
    assert (folder / "two/influence.png").stat().st_size > 10_000


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_and_resumed_ensemble_is_bit_identical_to_an_undisturbed_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["--runs", "8", "--jobs", "2", "--free-runs", "0"]
    monkeypatch.setenv("PYTHONPATH", str(Path(mlsim.__file__).parents[1]))
    assert subprocess.run([*COMMAND, *command(*options, out="whole", moves="4000")], check=False).returncode == 0
    half = [*COMMAND, *command(*options, out="half", moves="4000")]
    for stop in (signal.SIGTERM, signal.SIGKILL):
        with subprocess.Popen(half, start_new_session=True) as process:
            time.sleep(12)
            if stop == signal.SIGKILL:
                os.killpg(process.pid, stop)
            else:
                process.send_signal(stop)
            assert process.wait(60) in (75, -9, 0)
    assert subprocess.run(half, check=False).returncode == 0
    assert configurations(folder / "whole") == configurations(folder / "half")


def one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert _exit_code(arguments) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0].removeprefix("error: ")


def test_atoms_closer_than_a_given_minimum_distance(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = one_line(capsys, command("--min-distance", "Zr-O=4.5"))
    assert message.startswith("start: two atoms O-Zr are ")
    assert message.endswith("Å apart, closer than the minimum distance of 4.5 Å; lower the minimum or relax the start")


def test_ranges_beyond_what_the_box_supports(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert one_line(capsys, command("--range", "g_pdf=1:12")) == (
        "g_pdf: range 1 to 12 Å asked for, but the box supports r up to 7 Å (half its height less 0.5 Å); "
        "narrow the range or start from a larger box"
    )
    assert one_line(capsys, command("--range", "s_of_q=0.1:9")).startswith(
        "s_of_q: range 0.1 to 9 1/Å asked for, but the box has no wave below 0.419 1/Å"
    )
    far = [*command()[:-2], "--r-max", "9", "-o", "out"]
    assert one_line(capsys, far).startswith("pair sums up to 9 Å asked for, but half the smallest height of the cell")


def test_a_normalisation_that_contradicts_the_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["rmc", "start.extxyz", "--data", "s_of_q.csv:i_of_q:xray", "-o", "out"]
    message = one_line(capsys, arguments)
    assert message.startswith("s_of_q: said to be i_of_q, which tends to 0, but its last 25% of Q average ")
    assert message.endswith("; it tends to 1, as s_of_q does")


def test_a_structure_factor_is_not_taken_for_its_oscillating_part_unless_told_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["rmc", "start.extxyz", "--data", "s_of_q.csv:qi_of_q:xray", "--moves-per-atom", "3", "-o", "out"]
    message = one_line(capsys, arguments)
    assert message == "s_of_q: said to be qi_of_q, which goes around 0, but it tends to 1, as s_of_q does"
    arguments[3] = "s_of_q.csv:i_of_q:xray"
    assert _exit_code([*arguments, "--force-quantity"]) == 0


def test_a_composition_that_does_not_match_the_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (folder / "g_pdf.csv").read_text()
    (folder / "other.gr").write_text("# composition = Li2ZrCl6\n" + text.replace("x,y,sigma", "# r g"))
    arguments = ["rmc", "start.extxyz", "--data", "other.gr:g_pdf:xray", "--q-max", "12", "-o", "out"]
    assert one_line(capsys, arguments).startswith("other.gr: its header says composition Li2ZrCl6, the start is ")


def test_a_stale_checkpoint_with_other_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exit_code(command()) == 0
    message = one_line(capsys, command(moves="70"))
    assert message == (
        "out/fitted-001/checkpoint.npz: made with other settings: settings.moves_per_atom was 60.0, is 70.0; "
        "restore them, or use another folder"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "s_of_q.csv:s_of_q"], "--data s_of_q.csv:s_of_q: expected FILE:QUANTITY:RADIATION[:SIGMA], "),
        (["--data", "s_of_q.csv:s_of_q:xray:much"], "--data s_of_q.csv:s_of_q:xray:much: SIGMA is 'much'"),
        (["--data", "s_of_q.csv:s_of_q:xray:-1"], "s_of_q: sigma is -1, expected a positive number"),
        (["--data", "none.dat:s_of_q:xray"], "none.dat: there is no such file"),
        (["--data", "g_pdf.csv:g_pdf:xray"], "g_pdf: g_pdf needs the Qmax of the transform that made it; "),
        (["--data", "s_of_q.csv:s_of_q:xray", "--swap", "O-Xe"], "swap O-Xe: expected two different elements"),
        (["--data", "s_of_q.csv:s_of_q:xray", "--coordination", "Zr-O=x@2"], "--coordination Zr-O=x@2: "),
        (["--data", "s_of_q.csv:s_of_q:xray", "--coordination", "Zr-O=4@8"], "coordination Zr-O: looks 8 Å far, but "),
        (["--data", "s_of_q.csv:s_of_q:xray", "--min-distance", "Zr=2"], "--min-distance Zr=2: expected a pair"),
        (["--data", "s_of_q.csv:s_of_q:xray", "--range", "sq=1:2"], "--range sq: no data set of that name; "),
    ],
)
def test_options_that_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert one_line(capsys, ["rmc", "start.extxyz", *arguments, "-o", "out"]).startswith(message)


def test_the_transform_of_a_function_of_r_is_that_of_its_own_radiation() -> None:
    def curve(radiation: str, q_max: float) -> _Named:
        q = np.linspace(0.5, q_max, 50)
        return _Named("s", Path("s"), Curve(Quantity.S_OF_Q, q, np.ones(50)), radiation, None)  # type: ignore[arg-type]

    both = [curve("neutron", 30.0), curve("xray", 16.0)]
    assert _transform_range(both, "xray", None, None) == (0.5, 16.0)
    assert _transform_range(both, "neutron", None, None) == (0.5, 30.0)
    assert _transform_range(both[:1], "xray", None, None) == (0.5, 30.0)
    assert _transform_range(both, "xray", 1.0, 20.0) == (1.0, 20.0)
    assert _transform_range([], "xray", None, None) is None


def test_a_start_without_cell(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_structure("bare.extxyz", Atoms("LiCl", positions=[[0, 0, 0], [2.5, 0, 0]]))
    arguments = ["rmc", "bare.extxyz", "--data", "s_of_q.csv:s_of_q:xray", "-o", "out"]
    assert "periodic" in one_line(capsys, arguments)
