"""series.json: checked when written and when read; arrays of one part are equally long."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from mlsim.curve import Curve, Measurement, Quantity
from mlsim.errors import DataError
from mlsim.io.published import published_sample
from mlsim.io.series import (
    ArrheniusPart,
    ArrheniusPoint,
    Line,
    MeasuredCurve,
    MsdPart,
    QuenchPart,
    ThermoPart,
    read_series,
    write_series,
)

SMALLEST = {"title": "t", "composition": "LiCl", "preset": "quick"}


def test_numpy_arrays_go_in_and_come_back(tmp_path: Path) -> None:
    x = np.linspace(0.1, 1.0, 5)
    body = {**SMALLEST, "s_of_q": {"x": x, "y": x**2, "sigma": 0.1 * x}, "published": published_sample("Li3ZrCl4O1.5")}
    series = read_series(write_series(tmp_path / "series.json", body))
    assert series.s_of_q is not None
    for got, given in zip((series.s_of_q.x, series.s_of_q.y, series.s_of_q.sigma), (x, x**2, 0.1 * x), strict=True):
        np.testing.assert_allclose(np.array(got), given, rtol=1e-6)  # seven digits are kept
    assert series.published == published_sample("Li3ZrCl4O1.5")
    assert read_series(write_series(tmp_path / "again.json", series)) == series


def test_a_curve_becomes_a_line_and_an_infinite_sigma_is_left_out() -> None:
    curve = Curve(Quantity.G_PDF, np.array([1.0, 2.0]), np.array([3.0, 4.0]), np.array([0.1, math.inf]))
    assert Line.of(curve) == Line(x=(1.0, 2.0), y=(3.0, 4.0))
    measured = MeasuredCurve.of(Measurement(curve, "neutron", "glass", "beam line"), curve)
    assert (measured.quantity, measured.radiation, measured.origin) == (Quantity.G_PDF, "neutron", "measured")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"titel": "x"}, "s.json: titel: unknown key"),
        ({"s_of_q": {"x": [1, 2], "y": [1]}}, "s.json: s_of_q: arrays must be equally long, got x 2, y 1"),
        ({"g_pdf": {"x": [1], "y": [math.nan]}}, "s.json: g_pdf.y.0: Input should be a finite number, got nan"),
        ({"n_glasses": -1}, "s.json: n_glasses: Input should be greater than or equal to 0, got -1"),
        ({"missing": {"scatering": "?"}}, "s.json: missing.scatering"),
        (
            {"links": [{"label": "edge", "fraction": "many"}]},
            "s.json: links.0.fraction: Input should be a valid number",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        write_series(tmp_path / "s.json", {**SMALLEST, **change})
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "s.json").exists()


def test_parts_check_their_lengths() -> None:
    with pytest.raises(ValueError, match="lag_ps 2, msd_A2 1"):
        MsdPart(temperature_K=700, lag_ps=(1.0, 2.0), msd_A2=(1.0,))
    point = ArrheniusPoint(temperature_K=700, diffusivity_cm2_s=1e-6)
    with pytest.raises(ValueError, match="line 2, line_low 1"):
        ArrheniusPart(points=(point,), line=Line(x=(1.0, 2.0), y=(1.0, 2.0)), line_low=(1.0,))
    with pytest.raises(ValueError, match="line 2, line_high_95 1"):
        ArrheniusPart(points=(point,), line=Line(x=(1.0, 2.0), y=(1.0, 2.0)), line_high_95=(1.0,))
    two, one = (1.0, 2.0), (1.0,)
    with pytest.raises(ValueError, match="temperature_K 2, density_g_cm3 2, density_fit_g_cm3 1"):
        QuenchPart(
            temperature_K=two,
            density_g_cm3=two,
            density_fit_g_cm3=one,
            energy_eV_per_atom=two,
            energy_fit_eV_per_atom=two,
        )


def test_a_series_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    history = {"label": "glass 1", "time_ps": [0, 1], "temperature_K": [900, 300], "density_g_cm3": [1.8, 2.0]}
    line = {"points": [], "line": {"x": [700, 298], "y": [1e-5, 1e-8]}, "line_low": [1e-5, 1e-9]}
    series = read_series(write_series(tmp_path / "s.json", {**SMALLEST, "thermo": [history], "arrhenius": line}))
    assert isinstance(series.thermo[0], ThermoPart) and series.thermo[0].quench is None
    assert series.arrhenius is not None and series.arrhenius.line_low_95 is None


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "line 1: not JSON"), (b"\xff\xfe\x00", "cannot be read as text"), (b"[]", "top level: Input should be")],
)
def test_a_bad_file_is_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "series.json"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_series(path)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no such file; expected the series\.json of a finished run"):
        read_series(tmp_path / "series.json")


def test_phase_and_settings_come_back_and_a_file_of_before_is_of_a_glass(tmp_path: Path) -> None:
    made = {"structure": {"time_ps": 0.2, "pressure_GPa": None}}
    series = read_series(write_series(tmp_path / "s.json", {**SMALLEST, "phase": "crystalline", "settings": made}))
    assert series.is_crystal and series.settings == made
    before = read_series(write_series(tmp_path / "s.json", SMALLEST))
    assert before.phase is None and not before.is_crystal and before.settings == {}


def test_a_crystal_of_a_file_of_before_is_known_by_its_missing_quench(tmp_path: Path) -> None:
    said = {**SMALLEST, "missing": {"thermo": "a crystal: nothing was quenched"}}
    assert read_series(write_series(tmp_path / "s.json", said)).is_crystal
    glass = {**said, "phase": "amorphous"}
    assert not read_series(write_series(tmp_path / "s.json", glass)).is_crystal
