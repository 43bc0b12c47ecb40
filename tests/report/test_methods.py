"""The methods text and what limits each number: every setting is there, and numbers are those of the run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import made_up_rows, made_up_series, made_up_settings
from scipy.stats import t as student

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.io.results import Provenance, QuantityRow, Result
from mlsim.io.run_folder import read_run
from mlsim.io.series import QuenchPart, Share, ThermoPart
from mlsim.report.alt_text import alternative_texts
from mlsim.report.charts import all_charts
from mlsim.report.comparison import interval_95
from mlsim.report.constraints import extrapolated, limits_of, sampled, xray_weights
from mlsim.report.methods import all_settings, methods_text, series_methods
from mlsim.report.quench_charts import quench_means
from mlsim.report.view import view_of
from mlsim.transport import HOP_LENGTH_A, MeanSquaredDisplacement, fit_window
from mlsim.transport.displacement import lag_grid

RESULT = Result(tuple(made_up_rows()), Provenance(potential_sha256="a" * 64, versions={"numpy": "2.0"}))


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict) and value:
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def test_every_setting_is_listed_once() -> None:
    settings = json.loads(json.dumps({**made_up_settings()["simulation"], **made_up_settings()["analysis"]}))
    listed = all_settings(settings)
    assert len(listed) == len(_leaves(settings))
    assert len({key for key, _ in listed}) == len(listed)
    assert dict(listed)["melt_quench.segments.2.rate_K_per_ps"] == "25"


def test_the_text_names_what_a_reader_must_know_to_do_it_again() -> None:
    text = " ".join(methods_text(json.loads(json.dumps(made_up_settings())), made_up_series(), RESULT))
    for words in (
        "4 independent glasses of Li3ZrCl4O1.5 with 114 atoms",
        "quench from 1500 to 600 K at 25 K/ps at constant pressure (0.2 GPa)",
        "time step of 2 fs, a Langevin thermostat of 0.2 ps and a barostat of 0.5 ps",
        "Zr–Cl 3.00 Å and Zr–O 2.40 Å",
        "550, 625, 700 and 775 K",
        "a" * 64,
        "numpy 2.0",
    ):
        assert words in text, words


def test_the_text_has_the_rules_of_the_analysis_and_not_simpler_ones() -> None:
    settings = json.loads(json.dumps(made_up_settings()))
    one = " ".join(methods_text(settings, made_up_series(), RESULT))
    run = {"time_ps": 500.0, "equilibration_ps": 10.0, "timestep_fs": 2.0, "interval_ps": 0.1}
    many = " ".join(series_methods({"md": {**run, "temperatures_K": [450.0]}}))
    settled = fit_window.SETTLED_HOPS * HOP_LENGTH_A**2
    assert (fit_window._LATEST_START, fit_window._SPAN, fit_window.LARGEST_TOLERANCE) == (1 / 8, 4, 0.2)
    assert fit_window.SLOPE_TOLERANCE == 0.15
    for text in (one, many):
        assert f"a²/2 or more, with a = {HOP_LENGTH_A:g} Å, a hop" in text
        assert f"either come to 3a² = {settled:.0f} Å² or gone on for an eighth of the shortest trajectory" in text
        assert "a line with an intercept" in text and "b within 0.15 of one, plus the error of b, 0.2 at most" in text
        assert "ends at four times that time, or at half of the shortest trajectory if that is sooner" in text
        assert "t^b with b within 0.2 of one, plus twice the error of b" in text and "linearly" not in text
        assert "those at which the framework diffuses as well, and upper bounds are left out" in text
        assert "mean over the second half of the last hold at constant pressure" in text
    assert "for a crystal that of the cell relaxed at zero pressure and 0 K" in many
    assert "Every number is a mean" not in one and "a mean over the glasses whose quench shows a kink" in one
    settings["simulation"]["transport"]["include_above_glass_transition"] = True
    kept = " ".join(methods_text(settings, made_up_series(), RESULT))
    assert "those of a framework that diffuses, were kept" in kept and "left out" not in kept


@pytest.mark.parametrize(
    ("slope_A2_ps", "start_ps", "stop_ps"),
    [
        (2.0, 18.75 / 2.0, 4 * 18.75 / 2.0),  # three hops squared come first
        (0.3, 200 / 8, 200 / 2),  # an eighth of the 200 ps
        (0.08, 3.125 / 0.08, 200 / 2),  # diffusive only after an eighth: neither 19 Å² nor four times the start
    ],
)
def test_windows_follow_the_rule_that_the_text_states(slope_A2_ps: float, start_ps: float, stop_ps: float) -> None:
    lag = lag_grid(2000) * 0.1
    curve = np.tile(slope_A2_ps * lag, (12, 1))
    msd = MeanSquaredDisplacement(lag, curve, 12, 0.1, 2000, "framework", "Li")
    early, _ = fit_window.diffusive_window(msd, hop_length_A=HOP_LENGTH_A)
    assert early is not None and early.start_ps == pytest.approx(3.125 / slope_A2_ps, rel=0.05)
    window, _ = fit_window.settled_window(msd, early, hop_length_A=HOP_LENGTH_A)
    assert window is not None  # the lags are 4 % apart
    assert (window.start_ps, window.stop_ps) == (pytest.approx(start_ps, rel=0.05), pytest.approx(stop_ps, rel=0.05))


def test_without_settings_and_curves_the_text_keeps_to_what_is_known() -> None:
    text = methods_text(None, None, RESULT)
    assert len(text) == 2 and "independent glasses" in text[0] and "mlsim" in text[1]


def test_a_campaign_is_described_by_its_settings() -> None:
    run = {"time_ps": 500.0, "equilibration_ps": 10.0, "timestep_fs": 2.0, "interval_ps": 0.1}
    quench = json.loads(json.dumps(made_up_settings()))["simulation"]["melt_quench"]
    text = " ".join(
        series_methods({"quench": quench, "md": {**run, "temperatures_K": [450.0, 500.0]}, "potential": "p"})
    )
    assert "at 450 and 500 K, 10 ps to settle and 500 ps recorded every 0.1 ps" in text and "potential p" in text
    assert series_methods({}) == []


@pytest.mark.parametrize("n", [2, 3, 6, 11])
def test_the_width_that_few_glasses_leave_is_that_of_students_t(n: int) -> None:
    row = QuantityRow("density_g_cm3", Estimate(2.0, 0.01, n, "g/cm3"), "m")
    said = float(re.search(r"±([\d.]+) g/cm³", sampled(row))[1])  # type: ignore[index]
    assert said == pytest.approx(0.01 * student.ppf(0.975, n - 1), rel=0.06)


def test_weights_of_all_pairs_sum_to_one() -> None:
    assert sum(xray_weights("Li3ZrCl4O1.5").values()) == pytest.approx(1.0)
    assert xray_weights("no formula") == {}


def test_the_band_at_the_cold_end_scales_the_conductivity() -> None:
    series = made_up_series()
    row = QuantityRow("conductivity_298K_mS_cm", Estimate(2.0, 1.0, 4, "mS/cm"), "x, extrapolated from 600 to 900 K; y")
    assert series.arrhenius is not None
    wide = series.arrhenius.model_copy(update={"line_low_95": (1e-5, 2e-9), "line_high_95": (3e-5, 5e-8)})
    interval = interval_95(Result((row,), RESULT.provenance), series.model_copy(update={"arrhenius": wide}))
    assert extrapolated(row, interval) == "extrapolated from 600–900 K: 0.4 to 10 mS/cm at 95 %"
    assert "leaves" not in limits_of(row, {}, {}, interval)
    assert "line from 600 to 900 K" in limits_of(row, {}, {}, None)


def test_every_chart_has_an_alternative_text_with_a_number() -> None:
    series = made_up_series()
    alts, charts = alternative_texts(series), all_charts(series)
    assert set(charts) <= set(alts)
    for name in charts:
        assert re.search(r"\d", alts[name]), name
    assert "600 K below 4 × 10⁻⁷ cm²/s" in alts["arrhenius"]


def test_quench_means_take_rows_at_constant_pressure_only() -> None:
    density = (1.9, 1.9, 1.9, 1.6, 1.61, 1.7, 1.71)
    kelvin = (1500.0, 1500.0, 1500.0, 1501.0, 1503.0, 310.0, 312.0)
    part = ThermoPart(label="g", time_ps=tuple(range(7)), temperature_K=kelvin, density_g_cm3=density)
    temperature, means, energy = quench_means(part)
    np.testing.assert_allclose(means, [1.705, 1.605])
    np.testing.assert_allclose(temperature, [311.0, 1502.0])
    assert energy is None


def ramp(kink_K: float | None) -> QuenchPart:
    kelvin = np.linspace(1495.0, 305.0, 120)
    energy = -5 + 1e-4 * kelvin
    return QuenchPart(
        temperature_K=tuple(kelvin),
        density_g_cm3=tuple(2.1 - 2e-4 * kelvin),
        density_fit_g_cm3=tuple(2.1 - 2e-4 * kelvin),
        energy_eV_per_atom=tuple(energy),
        energy_fit_eV_per_atom=tuple(energy),
        kink_by_energy_K=kink_K,
    )


def test_the_plot_of_the_quench_is_the_curve_and_the_fit_that_the_transition_is_read_from() -> None:
    part = made_up_series().thermo[0]  # its own temperature begins at 2000 K
    glasses = tuple(part.model_copy(update={"quench": ramp(kink)}) for kink in (1144.0, None))
    temperature, density, energy = quench_means(glasses[0])
    assert temperature.max() == 1495.0 and len(temperature) == len(density) == 120
    assert energy is not None and len(energy) == 120
    chart = all_charts(made_up_series(thermo=glasses))["quench"]
    fits = [trace for trace in chart["data"] if trace["mode"] == "lines" and trace["yaxis"] == "y2"]
    assert [trace["line"]["dash"] for trace in fits] == ["solid", "dash"]
    assert [trace["name"] for trace in fits] == ["glass 1: kink at 1144 K", "glass 1: no kink"]
    assert max(max(trace["x"]) for trace in chart["data"]) == 1495.0


def test_a_glass_transition_says_in_how_many_glasses() -> None:
    method = "kink of the energy along the quench, in 1 of 4 glasses"
    row = QuantityRow("glass_transition_K", Estimate(1144.0, None, 1, "K"), method)
    assert limits_of(row, {}, {}) == "a kink in 1 of 4 glasses; n = 1: the spread is not known"


def test_the_first_haven_ratio_is_that_of_the_hottest_point_of_the_line(run_folder: Any) -> None:
    rows = [row for row in made_up_rows() if row.name != "haven_ratio"]
    for kelvin in (600.0, 900.0, 1200.0):  # the line has 900 K only
        rows.append(QuantityRow("haven_ratio", Estimate(kelvin / 2000, 0.1, 4, "1"), "made up", kelvin))
    shown = {line.row.name: line.row for line in view_of(read_run(run_folder(rows))).headlines}
    assert shown["haven_ratio"].label == "Haven ratio at 900 K" and shown["haven_ratio"].ours.startswith("0.45")


def test_edges_and_faces_together_have_the_error_over_glasses() -> None:
    series = made_up_series()
    joint = Share(label="zr_zr_edge_or_face_fraction", fraction=0.2, standard_error=0.07)
    for links, error in ((series.links, 0.0), ((*series.links, joint), 0.07)):
        bars = all_charts(series.model_copy(update={"links": links}))["links"]["data"][0]
        assert bars["x"][-1] == "edge + face" and len(bars["x"]) == 5
        assert bars["error_y"]["array"][-1] == error


def test_a_file_of_numbers_stands_alone(full_folder: Path) -> None:
    (full_folder / "result.json").rename(full_folder / "transport.json")
    run = read_run(full_folder / "transport.json")
    assert run.result is not None and run.series is None
    assert [line.partition(" ")[0] for line in run.absent] == ["series.json", "study.json"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("study.json", "[]", "not the settings of a run; expected keys simulation, analysis"),
        ("rmc/fit_sq.csv", "x\nword\n", "not a table of x,data,data_sigma,model,model_error"),
        ("rmc/influence.json", '[{"verdict": 1}]', "expected a list of entries with name and verdict"),
    ],
)
def test_a_damaged_piece_is_one_line(full_folder: Path, name: str, text: str, message: str) -> None:
    (full_folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_run(full_folder)
