"""A series of quench rates: the same study at each rate, and the change of each quantity per tenfold rate."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from toy_ions import ToySource
from toy_study import write_toy_study

from mlsim.cli import main
from mlsim.curve import Estimate
from mlsim.errors import SettingsError
from mlsim.io.results import QuantityRow, read_result
from mlsim.io.structures import read_structure
from mlsim.study import QuenchRate, changes_per_decade, read_study, run_quench_series


def at_rate(rate: float, value: float, error: float | None) -> QuenchRate:
    row = QuantityRow("density_g_cm3", Estimate(value, error, 4, "g/cm3"), "test")
    return QuenchRate(rate, Path(), (row,))


def test_the_change_per_decade_is_the_slope_of_a_straight_line_with_its_propagated_error() -> None:
    """y = 2 - 0.1 log10(rate) exactly; of two points a decade apart the error is that of a difference."""
    (row,) = changes_per_decade([at_rate(rate, 2 - 0.1 * np.log10(rate), 0.0) for rate in (100, 50, 20, 3)])
    assert row.name == "density_g_cm3_per_decade_of_rate" and row.estimate.n_independent == 16
    assert row.estimate.value == pytest.approx(-0.1) and row.estimate.standard_error == 0
    (row,) = changes_per_decade([at_rate(100, 2.0, 0.03), at_rate(10, 2.1, 0.04)])
    assert row.estimate.value == pytest.approx(-0.1) and row.estimate.standard_error == pytest.approx(0.05)
    (row,) = changes_per_decade([at_rate(100, 2.0, None), at_rate(10, 2.1, 0.04)])
    assert row.estimate.standard_error is None


def test_errors_of_the_change_agree_with_its_scatter() -> None:
    rng, rates = np.random.default_rng(1), (200.0, 80.0, 20.0, 5.0)
    errors = (0.05, 0.02, 0.04, 0.03)
    rows = [
        changes_per_decade([at_rate(r, rng.normal(2.0, s), s) for r, s in zip(rates, errors, strict=True)])[0].estimate
        for _ in range(4000)
    ]
    scatter = np.std([row.value for row in rows])
    assert scatter == pytest.approx(rows[0].standard_error, rel=4 / np.sqrt(2 * 4000))


def test_a_series_is_one_study_per_rate_from_the_same_packings(tmp_path: Path) -> None:
    study = write_toy_study(tmp_path)
    short = study.read_text().replace("duration_ps: 0.3", "duration_ps: 0.05")
    short = short.replace(
        "ensemble: npt, temperature_K: 300, duration_ps: 0.2, pressure_GPa: 1", "temperature_K: 300, duration_ps: 0.1"
    )
    study.write_text(short)
    settings = read_study(study)
    done = run_quench_series(settings, [15000, 45000], tmp_path / "out", jobs=2, potential=ToySource())
    assert [one.rate_K_per_ps for one in done] == [45000, 15000]
    packed = [read_structure(one.directory / "glass-02" / "packed.extxyz").positions for one in done]
    assert np.array_equal(*packed)
    with (tmp_path / "out" / "rates.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for one in done:
        quantities = {r["quantity"]: r for r in rows if float(r["rate_K_per_ps"]) == one.rate_K_per_ps}
        assert {"density_g_cm3", "potential_energy_eV_per_atom", "zr_o_coordination"} <= set(quantities)
        assert quantities["density_g_cm3"]["n_independent"] == "2" and quantities["density_g_cm3"]["standard_error"]
    names = {row.name for row in read_result(tmp_path / "out" / "result.json").rows}
    assert "zr_o_coordination_per_decade_of_rate" in names
    # again: nothing is run, the same numbers
    assert [
        one.rows == other.rows
        for one, other in zip(
            done, run_quench_series(settings, [45000, 15000], tmp_path / "out", potential=ToySource()), strict=True
        )
    ] == [True, True]


@pytest.mark.parametrize("rates", [[25.0], [25.0, 25.0], [25.0, 0.0], [25.0, -5.0]])
def test_rates_that_make_no_series_are_refused_before_any_run(rates: list[float], tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"quench series: rates|rate_K_per_ps: got (0|-5)"):
        run_quench_series(read_study(), rates, tmp_path / "out", potential=ToySource())
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["quench-series", "--rate-K-per-ps", "25", "--out", str(tmp_path / "out")])
    assert end.value.code == 2
    assert (
        capsys.readouterr().err == "error: quench series: rates 25 K/ps, expected at least two that differ, each once\n"
    )
