"""A file that is not the function it is said to be: refused when that is sure, never when it is right."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from boxes import oxychloride, synthetic
from test_command import one_line

from mlsim.cli import _exit_code
from mlsim.composition import Composition
from mlsim.curve import Curve, Quantity
from mlsim.io.measurements import read_measurement, write_curve_csv
from mlsim.io.structures import write_structure
from mlsim.melt_quench import pack
from mlsim.scattering import converted, identified

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "mg2sio4-glass"
FORSTERITE = Composition.parse("Mg2SiO4")
DENSITY = 0.0809
KINDS = ("s_of_q", "i_of_q", "qi_of_q", "f2_of_q", "g_pdf", "t_of_r", "g_of_r")
real_data = pytest.mark.skipif(not SHARED.exists(), reason="the measured files beside the checkout are not there")


def measured(kind: str) -> Curve:
    """The measured curve, written as that function."""
    file, given = ("SQ", "s_of_q") if Quantity(kind).of_q else ("Gr", "g_pdf")
    curve = read_measurement(SHARED / f"derived_Mg2SiO4_glass_{file}.dat", given, "xray", "Mg2SiO4").curve
    return converted(curve, kind, fractions=FORSTERITE.fractions, number_density=DENSITY)


@real_data
def test_the_measured_glass_is_known_in_every_function() -> None:
    """All but S − 1 by <f>² and by <f²>, which differ by 5 % here."""
    for kind in KINDS:
        curve = measured(kind)
        found = identified(curve.x, curve.y, FORSTERITE.fractions, number_density=DENSITY)
        refused = {said for said in KINDS if found.contradicts(Quantity(said))}
        assert refused == (set() if kind in ("i_of_q", "f2_of_q") else set(KINDS) - {kind})


@real_data
def test_a_wrong_name_is_refused_with_what_the_file_looks_like_and_believed_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_structure("start.extxyz", pack(FORSTERITE, 70, density_g_cm3=2.7, seed=1))
    write_curve_csv("glass.csv", measured("qi_of_q"))
    command = ["rmc", "start.extxyz", "--data", "glass.csv:i_of_q:xray", "--moves-per-atom", "3", "-o", "out"]
    message = one_line(capsys, command)
    assert message.startswith("glass.csv: is given as i_of_q, but looks like qi_of_q (high confidence: tends to 0 ")
    assert message.endswith("; give it as that, or use --force-quantity if you know better")
    assert not (tmp_path / "out").exists()
    assert _exit_code([*command, "--force-quantity"]) == 0
    capsys.readouterr()
    right = [part.replace("i_of_q", "qi_of_q") for part in command]
    assert _exit_code([*right[:-1], "right"]) == 0
    assert "looks like" not in capsys.readouterr().err


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_no_curve_of_a_model_is_refused_under_its_own_name(kind: str, radiation: str, noise: float) -> None:
    for seed in (1, 2):
        atoms: Atoms = oxychloride(seed=seed)
        curve = synthetic(atoms, kind, radiation).curve
        y = curve.y + noise * np.random.default_rng(seed).normal(size=len(curve.x))
        symbols = atoms.get_chemical_symbols()
        fractions = {e: symbols.count(e) / len(symbols) for e in set(symbols)}
        density = len(atoms) / atoms.get_volume()
        for given in (density, 1.2 * density, None):
            found = identified(curve.x, y, fractions, radiation=radiation, number_density=given)  # type: ignore[arg-type]
            assert not found.contradicts(curve.quantity), (kind, radiation, found)
