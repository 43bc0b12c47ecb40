"""result.json is a contract: its form is exact, it never holds NaN, and a bad file is named in one line."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

import mlsim
from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.io.results import Provenance, QuantityRow, Reference, read_result, write_result

BARRIER = QuantityRow(
    "activation_energy_eV",
    Estimate(0.31, 0.03, 4, "eV"),
    "Arrhenius line",
    reference=Reference(0.294, 0.003, "impedance, doi:10.1021/jacs.3c07343"),
)
DIFFUSIVITY = QuantityRow("li_diffusivity_cm2_s", Estimate(1.5e-6, None, 1, "cm2/s"), "slope", temperature_K=700.0)


def test_the_written_json_is_exactly_the_contract(tmp_path: Path) -> None:
    provenance = Provenance("0.1.0", "ab12", "cd34", 7, {"numpy": "2.0"})
    path = write_result(tmp_path / "result.json", [BARRIER, DIFFUSIVITY], provenance)
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "quantities": [
            {
                "name": "activation_energy_eV",
                "value": 0.31,
                "standard_error": 0.03,
                "n_independent": 4,
                "unit": "eV",
                "method": "Arrhenius line",
                "reference": {
                    "value": 0.294,
                    "standard_error": 0.003,
                    "source": "impedance, doi:10.1021/jacs.3c07343",
                },
            },
            {
                "name": "li_diffusivity_cm2_s",
                "value": 1.5e-6,
                "standard_error": None,
                "n_independent": 1,
                "unit": "cm2/s",
                "method": "slope",
                "reference": None,
                "temperature_K": 700.0,
            },
        ],
        "provenance": {
            "mlsim": "0.1.0",
            "potential_sha256": "ab12",
            "settings_sha256": "cd34",
            "seed": 7,
            "versions": {"numpy": "2.0"},
        },
    }


def test_keys_stand_in_the_order_of_the_contract(tmp_path: Path) -> None:
    path = write_result(tmp_path / "result.json", [BARRIER], Provenance())
    keys = list(json.loads(path.read_text(encoding="utf-8"))["quantities"][0])
    assert keys == ["name", "value", "standard_error", "n_independent", "unit", "method", "reference"]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    provenance = Provenance.here(potential_sha256="ab", settings_sha256="cd", seed=3)
    result = read_result(write_result(tmp_path / "r.json", [BARRIER, DIFFUSIVITY], provenance))
    assert result.rows == (BARRIER, DIFFUSIVITY)
    assert result.provenance.seed == 3
    assert result.provenance.mlsim == mlsim.__version__
    assert result.provenance.versions["numpy"]
    assert result.row("li_diffusivity_cm2_s", 700.0) == DIFFUSIVITY
    assert result.row("li_diffusivity_cm2_s") is None


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_becomes_null_and_reads_as_nan(tmp_path: Path, value: float) -> None:
    row = QuantityRow("haven_ratio", Estimate(value, value, 2, "1"), "m", reference=Reference(value, None, "s"))
    path = write_result(tmp_path / "r.json", [row], Provenance())
    text = path.read_text(encoding="utf-8")
    assert "NaN" not in text and "Infinity" not in text
    written = json.loads(text)["quantities"][0]
    assert written["value"] is None and written["standard_error"] is None and written["reference"] is None
    back = read_result(path).rows[0]
    assert math.isnan(back.estimate.value) and back.difference_in_standard_errors is None


def test_numpy_numbers_are_written_as_plain_numbers(tmp_path: Path) -> None:
    np = pytest.importorskip("numpy")
    row = QuantityRow("density_g_cm3", Estimate(np.float32(2.5), np.float64(0.1), np.int64(3), "g/cm3"), "npt")
    back = read_result(write_result(tmp_path / "r.json", [row], {"seed": 1})).rows[0].estimate
    assert (back.value, back.standard_error, back.n_independent) == (2.5, 0.1, 3)


def test_the_difference_combines_both_errors() -> None:
    assert BARRIER.difference_in_standard_errors == pytest.approx(0.016 / math.hypot(0.03, 0.003))
    assert DIFFUSIVITY.difference_in_standard_errors is None


def test_a_name_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"r.json: quantity 'li_diffusivity_cm2_s' at 700 K is given twice"):
        write_result(tmp_path / "r.json", [DIFFUSIVITY, DIFFUSIVITY], Provenance())
    assert not (tmp_path / "r.json").exists()


def test_an_unknown_key_of_the_provenance_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="provenance has the unknown key 'hash'; known: mlsim, potential_sha256"):
        write_result(tmp_path / "r.json", [], {"hash": "x"})


def _quantity(**changes: object) -> str:
    row = {
        "name": "density_g_cm3",
        "value": 2.0,
        "standard_error": 0.1,
        "n_independent": 2,
        "unit": "g/cm3",
        "method": "npt",
        "reference": None,
    }
    row.update(changes)
    provenance = {"mlsim": "0", "potential_sha256": None, "settings_sha256": None, "seed": None, "versions": {}}
    return json.dumps({"quantities": [row], "provenance": provenance})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{]", "r.json: line 1: not JSON: Expecting property name"),
        ("[]", "r.json: top level: Input should be"),
        (_quantity(value="two"), "r.json: quantities.0.value: Input should be a valid number"),
        (_quantity(value=math.nan), "r.json: holds NaN, which is no JSON; expected a number or null"),
        (_quantity(standard_error=-1), "r.json: quantities.0.standard_error: Input should be greater than"),
        (_quantity(sigma=1), "r.json: quantities.0.sigma: unknown key"),
        ('{"quantities": []}', "r.json: provenance: key is missing"),
    ],
)
def test_a_bad_file_is_named_with_its_field(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_result(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no such file; expected the result\.json of a finished run"):
        read_result(tmp_path / "result.json")
