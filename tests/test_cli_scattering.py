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
    np.testing.assert_allclose(table("back.csv"), table("s.csv"), rtol=1e-8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
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
    code, output, errors = run(*arguments.split())
    assert (code, output) == (2, "")
    assert errors.startswith(f"error: {message}")
    assert errors.count("\n") == 1
    assert not Path("a.csv").exists()
