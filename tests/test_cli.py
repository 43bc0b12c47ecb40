"""The command line: each command once, its files, and its one line when something is wrong."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from toy_ions import ToySource
from toy_study import write_toy_study

import mlsim
from mlsim.cli import main
from mlsim.io.structures import read_structure, write_structure
from mlsim.units import G_CM3_PER_U_A3

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder with the toy as potential: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "mlsim.study.potentials.ModelFile.named", classmethod(lambda cls, name, device="auto": ToySource())
    )

    def command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return command


PACK = ("pack", "Li3ZrCl4O1.5", "--density-g-cm3", "1.9", "--seed", "1")
SHORT = """
segments:
  - {name: melt, kind: hold, temperature_K: 1000, duration_ps: 0.1}
  - {name: density, kind: hold, ensemble: npt, temperature_K: 1000, duration_ps: 0.1}
"""


def packed(run: Run, name: str = "packed.extxyz", atoms: int = 38, seed: int = 1) -> str:
    code, _, errors = run(*PACK[:2], "--atoms", str(atoms), "--density-g-cm3", "1.9", "--seed", str(seed), "-o", name)
    assert code == 0, errors
    return name


def test_the_version_is_that_of_the_package(run: Run) -> None:
    assert run("--version") == (0, f"mlsim {mlsim.__version__}\n", "")


@pytest.mark.parametrize(
    "command", ["run", "pack", "quench", "md", "scatter", "topology", "transport", "report", "potential"]
)
def test_every_command_of_the_contract_explains_itself(run: Run, command: str) -> None:
    code, output, _ = run(command, "--help")
    assert code == 0
    assert "Usage: mlsim " + command in output


def test_the_single_steps_lead_from_a_formula_to_transport(run: Run, tmp_path: Path) -> None:
    Path("short.yaml").write_text(SHORT, encoding="utf-8")
    packed(run)
    assert len(read_structure("packed.extxyz")) == 38
    assert run("quench", "packed.extxyz", "--schedule", "short.yaml", "--seed", "2", "-o", "q")[0] == 0
    assert {path.name for path in Path("q").iterdir()} >= {"glass.extxyz", "thermo.csv", "result.json"}
    quenched = {q["name"]: q["value"] for q in json.loads(Path("q/result.json").read_text())["quantities"]}
    glass = read_structure("q/glass.extxyz")
    density = glass.get_masses().sum() / glass.get_volume() * G_CM3_PER_U_A3
    assert density == pytest.approx(quenched["density_g_cm3"])  # the mean, not that of the last step
    arguments = ("--temperature-K", "1500", "--time-ps", "1", "--equilibration-ps", "0.1", "-o", "m")
    assert run("md", "q/glass.extxyz", *arguments)[0] == 0
    code, output, errors = run("transport", "m/trajectory.h5", "--element", "Li", "-o", "t.json")
    assert code == 0, errors
    names = [quantity["name"] for quantity in json.loads(Path("t.json").read_text())["quantities"]]
    assert "note: one temperature only: no activation energy and no conductivity at 298 K; give two or more" in errors
    assert names[:3] == ["li_diffusivity_cm2_s", "li_charge_diffusivity_cm2_s", "conductivity_mS_cm"]
    assert "wrote t.json" in output
    assert run("topology", "q/glass.extxyz", "-o", "o.json")[0] == 0
    assert "zr_o_coordination" in Path("o.json").read_text()


def test_a_quench_that_is_done_says_so_again_at_once(run: Run) -> None:
    Path("short.yaml").write_text(SHORT, encoding="utf-8")
    packed(run)
    command = ("quench", "packed.extxyz", "--schedule", "short.yaml", "-o", "q")
    first = run(*command)
    lines = first[1].splitlines()
    assert [line.split()[1] for line in lines if "overlap with the packing" in line] == ["Cl", "Li", "O", "Zr"]
    assert "rocksalt LiCl: 0.0 % of the atoms" in lines
    stamp = Path("q/checkpoint.npz").stat().st_mtime_ns
    assert run(*command)[:2] == first[:2]
    assert Path("q/checkpoint.npz").stat().st_mtime_ns == stamp
    code, _, errors = run(*command, "--seed", "9")
    assert code == 2
    assert errors.startswith("error: q/checkpoint.npz: made with other settings: seed was 1, is 9; ")


def test_a_run_does_not_replace_results_that_are_not_its_own(run: Run, tmp_path: Path) -> None:
    """The folder of somebody's glass, as with `mlsim md glass.extxyz -o .`, or a checkpoint that went."""
    assert run("pack", "Li3ZrCl4O1.5", "--atoms", "38", "--density-g-cm3", "1.9", "-o", "own/glass.extxyz")[0] == 0
    before = (tmp_path / "own" / "glass.extxyz").read_bytes()
    code, _, err = run("md", "own/glass.extxyz", "--temperature-K", "300", "--time-ps", "0.02", "-o", "own")
    assert code == 2
    assert err == (
        "error: own/glass.extxyz: is there already, without the checkpoint of a run; choose another folder with -o\n"
    )
    assert (tmp_path / "own" / "glass.extxyz").read_bytes() == before


def test_a_quench_at_another_rate_takes_as_long_as_that_rate_says(run: Run) -> None:
    ramp = "segments: [{kind: ramp, from_K: 1000, to_K: 400, rate_K_per_ps: 100}]\n"
    Path("ramp.yaml").write_text(ramp, encoding="utf-8")
    Path("short.yaml").write_text(SHORT, encoding="utf-8")
    packed(run)
    command = ("quench", "packed.extxyz", "--schedule", "ramp.yaml", "--rate-K-per-ps")
    assert run(*command, "3000", "-o", "fast")[0] == 0
    assert np.loadtxt("fast/thermo.csv", delimiter=",", skiprows=1)[-1, 0] == pytest.approx(0.2)
    code, _, errors = run(*command, "-5", "-o", "slow")
    assert code == 2 and "rate_K_per_ps: got -5.0, expected greater than 0" in errors
    code, _, errors = run(*command[:3], "short.yaml", "--rate-K-per-ps", "5", "-o", "slow")
    assert code == 2 and errors == "error: schedule schedule: has no ramp whose rate could be another\n"


def test_scatter_gives_sigma_only_for_several_glasses(run: Run) -> None:
    one, two = packed(run), packed(run, "second.extxyz", seed=2)
    assert run("scatter", one, "--quantity", "g_pdf", "--q-max", "20", "--r-max", "6", "-o", "one.csv")[0] == 0
    assert Path("one.csv").read_text().splitlines()[0] == "x,y"
    assert run("scatter", one, two, "--radiation", "neutron", "--quantity", "s_of_q", "-o", "both.csv")[0] == 0
    assert Path("both.csv").read_text().splitlines()[0] == "x,y,sigma"
    table = np.loadtxt("both.csv", delimiter=",", skiprows=1)
    assert table[-1, 0] == pytest.approx(25.0)
    assert table[-200:, 1].mean() == pytest.approx(1.0, abs=0.1)


def test_several_values_may_follow_one_option(run: Run) -> None:
    name = packed(run)
    assert run("topology", name, "--cutoff", "Zr-O=2.6", "Cl-Zr=3.1", "-o", "a.json")[0] == 0
    assert run("topology", name, "--cutoff", "Zr-O=2.6", "--cutoff", "Cl-Zr=3.1", "-o", "b.json")[0] == 0
    assert Path("a.json").read_text() == Path("b.json").read_text()
    assert "shorter than Cl-Zr 3.10 Å" in Path("a.json").read_text()
    assert "shorter than O-Zr 2.60 Å" in Path("a.json").read_text()


def test_files_are_not_replaced_unless_asked(run: Run) -> None:
    name = packed(run)
    before = Path(name).read_bytes()
    arguments = ("pack", "LiCl", "--atoms", "8", "--density-g-cm3", "1.5", "-o", name)
    assert run(*arguments)[0::2] == (
        2,
        "error: packed.extxyz: is there already; choose another name or add --force to replace it\n",
    )
    assert Path(name).read_bytes() == before
    assert run(*arguments, "--force")[0] == 0
    assert len(read_structure(name)) == 8


BAD_COMMANDS: dict[tuple[str, ...], str] = {
    ("run", "--foo"): "mlsim run: No such option: --foo",
    ("pack", "LiCl", "--atoms", "many", "--density-g-cm3", "2", "-o", "a.extxyz"): "mlsim pack: Invalid value for",
    ("rum",): "mlsim: No such command 'rum'",
    ("run", "none.yaml"): "none.yaml: no such file; expected a YAML file with settings\n",
    ("pack", "LiCl2", "--atoms", "9", "--density-g-cm3", "2", "-o", "a.extxyz"): (
        "LiCl2: not charge neutral, sum -1 e with Li+1, Cl-1; expected 0, mend the amounts\n"
    ),
    ("pack", "LiCl", "--atoms", "9", "--density-g-cm3", "2", "-o", "a.extxyz"): (
        "9 atoms of LiCl: expected a multiple of 2; use 8 or 10\n"
    ),
    ("pack", "LiCl", "--atoms", "8", "--density-g-cm3", "2", "-o", "a.cif"): (
        "a.cif: structures are written as extended XYZ; name the file *.extxyz\n"
    ),
    ("scatter", "none.extxyz", "-o", "a.csv"): "none.extxyz: no such file\n",
    ("topology", "toy.yaml", "-o", "a.json"): "toy.yaml: unknown file type; expected structures in a format",
    ("topology", "toy.yaml", "--cutoff", "Zr=2", "-o", "a.json"): (
        "--cutoff Zr=2: expected a pair and its length in Å, such as Zr-O=2.6\n"
    ),
    ("transport", "toy.yaml", "-o", "a.json"): "toy.yaml: unknown file type; expected a trajectory in a format",
    ("transport", "a.h5", "b.h5", "c.h5", "--temperature-K", "300", "400", "-o", "a.json"): (
        "--temperature-K: 2 temperatures for 3 trajectories; give one for all or one for each, in their order\n"
    ),
    ("report", "nothing"): "nothing",
    ("quench", "toy.yaml", "-o", "q"): "toy.yaml: unknown file type; expected structures in a format",
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    BAD_COMMANDS.items(),
    ids=lambda part: "" if isinstance(part, str) else " ".join(part)[:40],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    write_toy_study(tmp_path)
    code, output, errors = run(*arguments)
    assert (code, output) == (2, "")
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"toy.yaml"}


def test_a_full_disk_is_one_line_and_leaves_no_half_a_file(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("mlsim.atomic.os.fsync", full)
    code, _, errors = run(*PACK[:2], "--atoms", "19", *PACK[2:], "-o", "a.extxyz")
    assert code == 2
    assert errors == (
        "error: a.extxyz: cannot be written: the disk is full; free some space and run the same command again\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_run_prints_the_table_the_notes_and_where_the_report_is(run: Run, tmp_path: Path) -> None:
    study = write_toy_study(tmp_path)
    lines = study.read_text(encoding="utf-8").splitlines()
    study.write_text("\n".join(["transport: null", *lines[:-1]]), encoding="utf-8")
    code, output, errors = run("run", str(study), "--out", "out", "--jobs", "2")
    assert code == 0, errors
    assert errors.startswith("toy, preset quick: 2 glasses of 38 atoms of Li3ZrCl4O1.5, potential lzoc-1 -> out/\n")
    assert "glass 2" in errors
    assert "O neighbours of Zr" in output
    assert "EXAFS fit" in output
    assert output.endswith(f"report: {Path('out/report.html')}\n")
    code, output, _ = run("run", str(study), "--out", "out")
    assert code == 0
    assert output.startswith("out: already done; delete result.json there to analyse again\n")
    written = f"wrote {Path('out/report.html')}\nwrote {Path('out/report.md')}\n"
    assert run("report", "out", "--figures", "none")[:2] == (0, written)


def random_walk(path: str, temperature_K: float, seed: int, *, energy_eV: float = 0.2) -> str:
    """Write ions that diffuse with D = exp(1 − Ea/kT) Å²/ps beside a framework at rest, wrapped, one frame per ps."""
    generator = np.random.default_rng(seed)
    spread = np.sqrt(2 * np.exp(1 - energy_eV / (8.617333262e-5 * temperature_K)))
    steps = generator.standard_normal((400, 24, 3)) * spread
    steps[:, 16:] = 0
    walk = generator.random((24, 3)) * 12 + np.cumsum(steps, axis=0)
    frames = [Atoms("Li16Zr8", positions=positions, cell=[12] * 3, pbc=True) for positions in walk]
    for atoms in frames:
        atoms.wrap()
    write_structure(path, frames)
    return path


def test_transport_gives_back_the_activation_energy_of_random_walks(run: Run) -> None:
    kelvins = ("500", "500", "600", "600", "800", "800")
    files = [random_walk(f"walk-{n}.extxyz", float(kelvin), n) for n, kelvin in enumerate(kelvins)]
    arguments = ("--element", "Li", "--temperature-K", *kelvins, "--interval-ps", "1", "-o", "t.json")
    code, output, errors = run("transport", *files, *arguments)
    assert code == 0, errors
    rows = json.loads(Path("t.json").read_text())["quantities"]
    energy = next(row for row in rows if row["name"] == "activation_energy_eV")
    assert abs(energy["value"] - 0.2) < 4 * energy["standard_error"] < 0.1
    assert {row["n_independent"] for row in rows} == {2}
    assert [row["temperature_K"] for row in rows if row["name"] == "li_diffusivity_cm2_s"] == [500, 600, 800]
    assert "Activation energy" in output


def test_a_foreign_trajectory_without_time_steps_or_temperature_says_what_is_missing(run: Run) -> None:
    file = random_walk("walk.extxyz", 600, 1)
    assert run("transport", file, "-o", "t.json")[2] == (
        "error: walk.extxyz: does not say the time between frames; give interval_ps (--interval-ps)\n"
    )
    assert run("transport", file, "--interval-ps", "1", "-o", "t.json")[2] == (
        "error: walk.extxyz: does not say its temperature; give it with --temperature-K\n"
    )


def test_a_trajectory_given_twice_is_no_second_glass(run: Run) -> None:
    file = random_walk("walk.extxyz", 600, 1)
    given = ("--temperature-K", "600", "--interval-ps", "1", "-o", "t.json")
    code, _, errors = run("transport", file, f"./{file}", *given)
    assert (code, errors) == (
        2,
        "error: walk.extxyz: given twice; trajectories count as independent glasses, give each once\n",
    )


def test_mechanism_and_vibrations_of_walks(run: Run) -> None:
    generator = np.random.default_rng(5)
    hops = generator.poisson(0.02, (600, 6, 1)) * generator.choice([-2.5, 2.5], (600, 6, 3)) / 3**0.5
    lithium = generator.random((6, 3)) * 20 + np.cumsum(hops, axis=0) + generator.normal(0, 0.1, (600, 6, 3))
    rest = generator.random((12, 3)) * 20 + np.zeros((600, 1, 1))
    frames = [Atoms("Li6O4Cl4Zr4", p, cell=[20] * 3, pbc=True) for p in np.concatenate([lithium, rest], axis=1)]
    write_structure(Path("walk.extxyz"), frames)
    given = ("walk.extxyz", "--temperature-K", "600", "--interval-ps", "0.1", "-o")
    bonds = ("--cutoff", "Li-O=5", "Li-Cl=5")
    code, output, errors = run("mechanism", *given, "m.json", *bonds, "--figure", "m.png")
    assert code == 0, errors
    rows = {row["name"]: row["value"] for row in json.loads(Path("m.json").read_text())["quantities"]}
    assert rows["li_hop_length_A"] == pytest.approx(2.5, abs=0.7)
    assert 0 < rows["li_time_near_o_fraction"] < 1
    assert Path("m.png").stat().st_size > 10_000
    assert "Li hops at 600 K" in output
    assert run("vibrations", "walk.extxyz", "--interval-ps", "0.1", "-o", "v.json")[2].startswith(
        "error: vibrations: frames are 0.1 ps apart, expected at most 0.0125 ps"
    )
    assert run("vibrations", "walk.extxyz", "--interval-ps", "0.01", "-o", "v.json", "--figure", "v.png")[0] == 0
    assert {row["unit"] for row in json.loads(Path("v.json").read_text())["quantities"]} == {"THz"}


def test_mechanism_and_vibrations_refuse_what_they_would_mix_or_drop(run: Run) -> None:
    file = random_walk("walk.extxyz", 600, 1)
    given = ("--temperature-K", "600", "--interval-ps", "0.01", "-o", "m.json")
    assert run("mechanism", file, "--anions", "O,Clo", *given)[2] == (
        "error: --anions O,Clo: unknown element 'Clo', did you mean 'Cl'?\n"
    )
    frames = [Atoms("Li2Cl2", np.random.default_rng(n).random((4, 3)), cell=[12] * 3, pbc=True) for n in range(9)]
    write_structure(Path("other.extxyz"), frames)
    code, _, errors = run("vibrations", file, "other.extxyz", "--interval-ps", "0.01", "-o", "v.json")
    assert (code, errors) == (
        2,
        "error: walk.extxyz, other.extxyz: Li2Zr and ClLi; give one material at a time\n",
    )
    kelvins = ("--temperature-K", "600", "700", "--interval-ps", "1", "-o", "t.json")
    assert run("transport", file, "other.extxyz", *kelvins)[2].endswith(
        "error: walk.extxyz, other.extxyz: Li2Zr and ClLi; give one material at a time\n"
    )
    assert run("transport", file, "--element", "Na", "--temperature-K", "600", "--interval-ps", "1", "-o", "t.json")[
        2
    ].endswith("error: walk.extxyz: holds no Na, only Li, Zr; see --element\n")
    assert run("transport", file, "--charge", "0", "--temperature-K", "600", "--interval-ps", "1", "-o", "t.json")[
        2
    ].endswith("error: --charge 0: expected a charge other than zero, e\n")


def test_the_charge_is_formal_unless_given_and_pairs_of_ions_are_in_the_file(run: Run) -> None:
    generator = np.random.default_rng(3)
    paths = generator.random((24, 3)) * 12 + np.cumsum(generator.normal(0, 0.4, (400, 24, 3)), axis=0)
    write_structure(Path("salt.extxyz"), [Atoms("Mg8Cl16", p, cell=[12] * 3, pbc=True) for p in paths])
    given = ("salt.extxyz", "--element", "Mg", "--temperature-K", "600", "--interval-ps", "1", "--unwrapped", "-o")
    assert run("transport", *given, "two.json")[0] == 0
    code, output, errors = run("transport", *given, "one.json", "--charge", "1")
    assert code == 0
    assert "note: --charge 1: not the formal charge +2, so no conductivity of all ions together" in errors
    two, one = (
        {row["name"]: row["value"] for row in json.loads(Path(name).read_text())["quantities"]}
        for name in ("two.json", "one.json")
    )
    assert two["conductivity_mS_cm"] == pytest.approx(4 * one["conductivity_mS_cm"])
    pairs = [two[f"conductivity_{pair}_mS_cm"] for pair in ("mg_with_mg", "cl_with_mg", "cl_with_cl")]
    assert sum(pairs) == pytest.approx(two["conductivity_all_ions_mS_cm"])
    assert not any("_with_" in name for name in one)
    assert "with" not in output


def test_a_temperature_without_hops_costs_the_others_nothing(run: Run) -> None:
    generator = np.random.default_rng(5)
    rest = generator.random((12, 3)) * 20 + np.zeros((300, 1, 1))
    still = generator.random((6, 3)) * 20 + generator.normal(0, 0.1, (300, 6, 3))
    hops = generator.poisson(0.04, (300, 6, 1)) * generator.choice([-2.5, 2.5], (300, 6, 3)) / 3**0.5
    for name, lithium in (("cold", still), ("hot", still + np.cumsum(hops, axis=0))):
        frames = [Atoms("Li6Cl8Zr4", p, cell=[20] * 3, pbc=True) for p in np.concatenate([lithium, rest], axis=1)]
        write_structure(Path(f"{name}.extxyz"), frames)
    given = ("cold.extxyz", "hot.extxyz", "--temperature-K", "300", "600", "--interval-ps", "0.1", "-o", "m.json")
    code, _, errors = run("mechanism", *given, "--cutoff", "Li-Cl=5", "--figure", "m.png")
    assert code == 0, errors
    assert "note: 300 K: hops: no ion hopped twice in 1 trajectories; run longer or hotter" in errors
    rows = json.loads(Path("m.json").read_text())["quantities"]
    assert {row["temperature_K"] for row in rows if row["name"] == "li_hop_rate_per_ps"} == {600}


def test_temperatures_above_the_glass_transition_are_left_out_unless_asked(run: Run) -> None:
    kelvins = ("500", "600", "800")
    files = [random_walk(f"walk-{n}.extxyz", float(kelvin), n) for n, kelvin in enumerate(kelvins)]
    time = np.arange(3000) * 0.05
    ramp = np.linspace(1500, 300, 3000)
    energy = ramp + 0.5 * np.maximum(ramp - 700, 0)
    table = np.stack([time, ramp, energy, 0 * time, energy, 0 * time], axis=1)
    head = "time_ps,temperature_K,potential_energy_eV,pressure_GPa,volume_A3,segment"
    np.savetxt("thermo.csv", table, delimiter=",", header=head, comments="")
    given = (*files, "--temperature-K", *kelvins, "--interval-ps", "1", "--quench", "thermo.csv", "-o")
    code, _, errors = run("transport", *given, "t.json", "--figure", "t.png")
    assert code == 0, errors
    rows = {row["name"]: row for row in json.loads(Path("t.json").read_text())["quantities"]}
    assert rows["glass_transition_K"]["value"] == pytest.approx(700, abs=6)
    assert "500 to 600 K" in rows["activation_energy_eV"]["method"]
    assert "note: 800 K left out: above the glass transition at 70" in errors
    assert "equilibration not tested: the trajectory carries no energies" in errors
    assert Path("t.png").stat().st_size > 10_000
    assert run("transport", *given, "u.json", "--include-above-tg")[0] == 0
    rows = {row["name"]: row for row in json.loads(Path("u.json").read_text())["quantities"]}
    assert "500 to 800 K" in rows["activation_energy_eV"]["method"]
    Path("thermo.csv").write_text("time,x\n1,2\n", encoding="utf-8")
    assert (
        run("transport", *given, "v.json")[2]
        .splitlines()[-1]
        .startswith(
            "error: thermo.csv: first line is 'time,x', expected the thermo.csv of mlsim: time_ps,temperature_K"
        )
    )
    np.savetxt("thermo.csv", table[:20], delimiter=",", header=head, comments="")
    code, _, errors = run("transport", *given, "x.json")  # too short for a kink: the diffusivities stand
    assert code == 0 and "note: glass transition: the log holds a quench of" in errors
    rows = {row["name"] for row in json.loads(Path("x.json").read_text())["quantities"]}
    assert "conductivity_298K_mS_cm" in rows and "glass_transition_K" not in rows
    short = (files[0], "--temperature-K", "500", "--interval-ps", "1", "--discard-ps", "900", "-o", "w.json")
    assert run("transport", *short)[2] == "error: --discard-ps 900: walk-0.extxyz is 399 ps long\n"


def test_a_framework_that_flows_is_a_liquid_and_left_out_unless_asked(run: Run) -> None:
    kelvins = ("500", "600", "800")
    files = [random_walk(f"walk-{n}.extxyz", float(kelvin), n) for n, kelvin in enumerate(kelvins)]
    generator = np.random.default_rng(9)
    flowing = generator.random((24, 3)) * 12 + np.cumsum(generator.normal(0, 0.4, (400, 24, 3)), axis=0)
    write_structure(Path(files[2]), [Atoms("Li16Zr8", p, cell=[12] * 3, pbc=True) for p in flowing])
    given = (*files, "--temperature-K", *kelvins, "--interval-ps", "1", "-o")
    code, _, errors = run("transport", *given, "t.json")
    assert code == 0, errors
    assert "note: 800 K left out: Zr diffuses as well (" in errors
    assert "): a liquid on the time scale of these runs" in errors
    rows = {row["name"]: row for row in json.loads(Path("t.json").read_text())["quantities"]}
    assert rows["zr_diffusivity_cm2_s"]["value"] > 0 and rows["zr_diffusivity_cm2_s"]["temperature_K"] == 800
    assert "500 to 600 K" in rows["activation_energy_eV"]["method"]
    assert run("transport", *given, "u.json", "--include-above-tg")[0] == 0
    rows = {row["name"]: row for row in json.loads(Path("u.json").read_text())["quantities"]}
    assert "500 to 800 K" in rows["activation_energy_eV"]["method"]


def test_trajectories_that_mislead_are_one_line_and_leave_no_result(run: Run) -> None:
    generator = np.random.default_rng(0)
    paths = np.cumsum(generator.normal(0, 3.0, (40, 24, 3)), axis=0)
    frames = [Atoms("Li16Zr8", p, cell=[12] * 3, pbc=True) for p in paths]
    write_structure(Path("paths.extxyz"), frames)
    for atoms in frames:
        atoms.wrap()
    write_structure(Path("far.extxyz"), frames)
    write_structure(Path("few.extxyz"), frames[:1] * 3)
    frames[7] = frames[7][::-1]
    write_structure(Path("mixed.extxyz"), frames[:8])
    given = ("--temperature-K", "600", "--interval-ps", "1", "-o", "t.json")
    for name, expected in (
        (
            "far",
            r"far\.extxyz: an atom moves by 0\.\d\d of the cell from one frame to the next, too far to be followed",
        ),
        ("few", r".*: 3 frames are too few, at least 4 needed"),
        ("mixed", r"mixed\.extxyz: frame 7: atoms differ from those of the first frame in number, element or order"),
    ):
        code, output, errors = run("transport", f"{name}.extxyz", *given)
        assert (code, output) == (2, "")
        last = errors.splitlines()[-1]
        assert re.match(f"error: {expected}", last), errors
        assert not Path("t.json").exists()
    code, _, errors = run("transport", "paths.extxyz", "--unwrapped", *given)
    assert code == 0, errors
    assert "note: one temperature only: no activation energy and no conductivity at 298 K" in errors


def test_a_warning_is_one_line_without_the_place_in_the_source(capsys: pytest.CaptureFixture[str]) -> None:
    import warnings

    from mlsim.cli import _warning_line

    before = warnings.formatwarning
    with pytest.raises(SystemExit):
        main(["--version"])
    assert warnings.formatwarning is before
    assert _warning_line("the cell\nis thin", UserWarning, "run.py", 3) == "warning: the cell is thin\n"
