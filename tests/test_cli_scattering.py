"""`mlsim scatter`, `identify` and `convert`: files in, files out, and one line when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mlsim.cli import main
from mlsim.composition import Composition
from mlsim.io.structures import write_structure
from mlsim.melt_quench import pack
from mlsim.scattering import Instrument, Probe, total_scattering

Run = Callable[..., tuple[int, str, str]]
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
GLASS_S = SHARED / "mg2sio4-glass" / "derived_Mg2SiO4_glass_SQ.dat"
GLASS_G = SHARED / "mg2sio4-glass" / "derived_Mg2SiO4_glass_Gr.dat"
real_data = pytest.mark.skipif(not GLASS_S.exists(), reason="the measured files beside the checkout are not there")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def command(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(a) for a in arguments])
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, captured.out, captured.err

    return command


@pytest.fixture
def glass(tmp_path: Path) -> Atoms:
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 190, density_g_cm3=2.1, seed=1)
    write_structure(tmp_path / "glass.extxyz", atoms)
    return atoms


def table(path: str) -> np.ndarray:
    return np.loadtxt(path, delimiter=",", skiprows=1)


def test_scatter_takes_isotopes_and_instrument_and_says_below_which_q_the_box_is_silent(run: Run, glass: Atoms) -> None:
    options = ("--radiation", "neutron", "--isotope", "7Li", "--isotope", "37Cl", "--q-max", "10", "--q-damp", "0.05")
    code, _, errors = run("scatter", "glass.extxyz", "--quantity", "f_keen", *options, "-o", "f.csv")
    assert code == 0, errors
    assert errors.startswith("note: below Q = 0.38")
    probe = Probe("neutron", isotopes={"Li": {7: 1.0}, "Cl": {37: 1.0}})
    expected = total_scattering([glass], radiation=probe, quantity="f_keen", q_max=10, instrument=Instrument(0.05))
    np.testing.assert_allclose(table("f.csv")[:, 1], expected.y, rtol=1e-6, atol=1e-8)


def test_scatter_adds_anomalous_terms_where_a_wavelength_is_given(run: Run, glass: Atoms) -> None:
    assert run("scatter", "glass.extxyz", "-o", "plain.csv")[0] == 0
    assert run("scatter", "glass.extxyz", "--wavelength-A", "0.71", "-o", "mo.csv")[0] == 0
    difference = np.abs(table("plain.csv") - table("mo.csv"))[:, 1].max()
    assert 1e-4 < difference < 0.3


@real_data
def test_identify_prints_the_contract(run: Run) -> None:
    code, output, errors = run("identify", GLASS_S, "--composition", "Mg2SiO4", "--density-g-cm3", "2.7")
    assert code == 0, errors
    answer = json.loads(output)
    assert (answer["quantity"], answer["normalisation"]) == ("s_of_q", "<f>^2")
    assert (answer["x_min"], answer["x_max"]) == (0.005275, 15.999543)
    assert answer["confidence"] == "high"
    assert answer["notes"] == ["1 points at negative x were left out (line 2)"]
    assert "tends to 1 at large Q, within 0.013" in answer["evidence"]


@real_data
def test_the_given_g_of_the_real_glass_is_the_transform_of_its_s(run: Run) -> None:
    options = ("--from", "s_of_q", "--to", "g_pdf", "--composition", "Mg2SiO4", "--r-max", "15")
    code, output, errors = run("convert", GLASS_S, *options, "-o", "g.csv")
    assert code == 0, errors
    assert output == "wrote g.csv: g_pdf, 1500 points from 0.01 to 15\n"
    given = np.loadtxt(GLASS_G)
    # Qmax 16 1/Å, step window
    np.testing.assert_allclose(table("g.csv")[:, 1], given[:, 1], atol=0.02 * np.abs(given[:, 1]).max())


@real_data
def test_a_file_given_as_what_it_is_not_is_refused_unless_forced(run: Run) -> None:
    options = ("--from", "g_of_r", "--to", "t_of_r", "--composition", "Mg2SiO4", "--density-g-cm3", "2.7")
    code, _, errors = run("convert", GLASS_G, *options, "-o", "t.csv")
    assert code == 2
    assert errors.count("\n") == 1
    assert "is given as g_of_r, but looks like g_pdf (high confidence: tends to 0 at large r" in errors
    assert not Path("t.csv").exists()
    assert run("convert", GLASS_G, *options, "--force-quantity", "-o", "t.csv")[0] == 0


def test_conversions_there_and_back_give_the_file_again(run: Run, glass: Atoms) -> None:
    assert (
        run("scatter", "glass.extxyz", "--quantity", "s_of_q", "--q-min", "0.5", "--q-max", "15", "-o", "s.csv")[0] == 0
    )
    same = ("--composition", "Li3ZrCl4O1.5", "--force-quantity")
    assert run("convert", "s.csv", "--from", "s_of_q", "--to", "f2_of_q", *same, "-o", "f.csv")[0] == 0
    assert run("convert", "f.csv", "--from", "f2_of_q", "--to", "s_of_q", *same, "-o", "back.csv")[0] == 0
    np.testing.assert_allclose(table("back.csv"), table("s.csv"), rtol=1e-8, atol=1e-9)


def test_fit_curve_writes_numbers_curves_and_a_figure(run: Run, glass: Atoms) -> None:
    write_structure(Path("second.extxyz"), pack(Composition.parse("Li3ZrCl4O1.5"), 190, density_g_cm3=2.1, seed=2))
    q = np.arange(0.5, 15.0, 0.02)  # the grid of the command
    data = total_scattering([glass], quantity="g_pdf", q=q, r=np.arange(0.05, 8.0, 0.05))
    header = f"qmin = {q[0]}\nqmax = {q[-1]}\n#L r G\n"
    ripples = 0.6 * np.sin(12 * data.x) * (data.x < 1.4)  # below what is fitted, for the note
    rows = zip(data.x, 0.8 * data.y + ripples, strict=True)
    Path("data.gr").write_text(header + "".join(f"{a:.4f} {b:.6f}\n" for a, b in rows))
    top = data.between(2.0, 7.0).x[data.between(2.0, 7.0).y.argmax()]
    peak = f"{top - 0.3:g}:{top + 0.3:g}"
    options = ("--vary", "scale", "q_damp=0:0.2", "--from", "1.5", "--peak", peak, "--coordination", "Zr-O=2.7")
    code, output, errors = run("fit-curve", "glass.extxyz", "--data", "data.gr:g_pdf:xray", *options, "-o", "one")
    assert code == 0, errors
    numbers = {q["name"]: q for q in json.loads(Path("one/result.json").read_text())["quantities"]}
    peak_name = f"peak_{peak.replace(':', '_')}"
    assert list(numbers) == ["rw_data", "fit_scale", "fit_q_damp", peak_name, "zr_o_coordination"]
    assert numbers["rw_data"]["value"] < 0.01
    assert numbers["fit_scale"]["value"] == pytest.approx(0.8, abs=0.01)
    assert numbers[peak_name]["reference"]["value"] == pytest.approx(numbers[peak_name]["value"], abs=0.02)
    assert numbers["fit_q_damp"]["value"] < 0.01  # the data have none
    assert "note: data.gr: ripples of " in errors
    assert Path("one/curve.csv").read_text().splitlines()[0].startswith("x,data,model,difference,Cl-Cl,Cl-Li")
    assert Path("one/figure.png").read_bytes()[:4] == b"\x89PNG"
    assert "fit_scale = " in output and "wrote one/result.json" in output
    both = ("glass.extxyz", "second.extxyz")
    assert run("fit-curve", *both, "--data", "data.gr:g_pdf:xray", "--from", "1.5", "-o", "two")[0] == 0
    rw = json.loads(Path("two/result.json").read_text())["quantities"][0]
    assert (rw["name"], rw["n_independent"]) == ("rw_data", 2)
    assert rw["standard_error"] > 0
    assert run("fit-curve", *both, "--data", "data.gr:g_pdf:xray", "-o", "two")[2].startswith("error: two/result.json")


def test_fit_curve_treats_data_and_model_alike_where_it_truncates(run: Run, glass: Atoms) -> None:
    curve = total_scattering([glass], quantity="s_of_q", q=np.arange(0.3, 15.0, 0.05))
    Path("d.sq").write_text(
        "#L Q S err\n" + "".join(f"{a:.4f} {b:.6f} 0.01\n" for a, b in zip(curve.x, curve.y, strict=True))
    )
    options = ("--truncate", "--from", "0.2", "--force-quantity")
    code, _, errors = run("fit-curve", "glass.extxyz", "--data", "d.sq:s_of_q:xray", *options, "-o", "s")
    assert code == 0, errors
    assert errors == "note: below Q = 0.384 1/Å the box holds no density wave; compared from there\n"
    names = [q["name"] for q in json.loads(Path("s/result.json").read_text())["quantities"]]
    assert names == ["rw_d", "chi_squared_d"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("fit-curve glass.extxyz --data x.gr -o a", "--data x.gr: expected FILE:QUANTITY:RADIATION"),
        ("fit-curve glass.extxyz --data x.gr:gpdf:xray -o a", "--data x.gr:gpdf:xray: quantity 'gpdf': did you mean"),
        ("fit-curve glass.extxyz --data x.gr:g_pdf:x -o a", "--data x.gr:g_pdf:x: radiation 'x': "),
        (
            "fit-curve glass.extxyz --data good.gr:g_pdf:xray --force-quantity -o a",
            "good.gr: does not say the largest Q of its transform, which the model must share; give it with --q-max",
        ),
        (
            "fit-curve glass.extxyz --data good.gr:g_pdf:xray --force-quantity --q-max 20 --vary skale -o a",
            "fit of a curve: parameter 'skale'; did you mean 'scale'",
        ),
        (
            "fit-curve glass.extxyz --data good.gr:g_pdf:xray --force-quantity --q-max 20 --peak 2 -o a",
            "--peak 2: expected two numbers as LOW:HIGH",
        ),
        (
            "fit-curve glass.extxyz --data good.gr:g_pdf:xray --force-quantity --q-max 20 --coordination Zr-O -o a",
            "--coordination Zr-O: expected pair and radius in Å, such as Zr-O=2.6",
        ),
        ("scatter glass.extxyz --isotope Li7 -o a.csv", "--isotope Li7: expected mass number and element such as 7Li"),
        ("scatter glass.extxyz --isotope 7Li -o a.csv", "isotopes: X-rays do not see them"),
        (
            "scatter glass.extxyz --radiation neutron --isotope 6Li=0.5 -o a.csv",
            "isotopes of Li: shares sum to 0.5, expected not negative and summing to 1",
        ),
        ("scatter glass.extxyz --wavelength-A 0.18 -o a.csv", "anomalous terms of Cl at 68.9 keV: the table does not"),
        ("scatter glass.extxyz --radiation neutron --wavelength-A 1 -o a.csv", "--wavelength-A: neutrons have no"),
        ("scatter glass.extxyz --quantity d_keen -o a.csv", "functions of Keen in barn: defined for neutrons"),
        ("identify none.gr --composition Ni", "none.gr: there is no such file"),
        ("identify bad.gr --composition Ni", "bad.gr: line 3: y is nan, expected a finite number; remove the line or"),
        ("identify bad.gr --composition Ni --repair mend", "repair 'mend': known: cut-low-r, drop-backward, drop-bad-"),
        ("identify bad.gr --composition Nickel", "formula 'Nickel': "),
        (
            "convert bad.gr --from s_of_q --to g_of_r --composition Ni -o a.csv --repair drop-nonfinite",
            "bad.gr: holds 4",
        ),
    ],
)
def test_a_wrong_command_is_one_line(run: Run, glass: Atoms, arguments: str, message: str) -> None:
    Path("bad.gr").write_text("1 1\n2 1\n3 nan\n4 1\n5 1\n")
    Path("good.gr").write_text("".join(f"{r / 10} {np.exp(-((r / 10 - 2.5) ** 2))}\n" for r in range(1, 80)))
    code, output, errors = run(*arguments.split())
    assert (code, output) == (2, "")
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1
    assert not Path("a.csv").exists()
