"""`mlsim compare` on small results of two runs, and its one line when something is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlsim.cli import main
from mlsim.curve import Estimate
from mlsim.io.results import Provenance, QuantityRow, read_result, write_result
from mlsim.io.series import ReportSeries
from mlsim.shipped import shipped_folder


def _run(folder: Path, energy_eV: float, atoms: int, composition: str = "Li3ZrCl4O1.5") -> Path:
    folder.mkdir()
    rows = [
        QuantityRow("density_g_cm3", Estimate(2.05, 0.02, 4, "g/cm3"), "mean volume"),
        QuantityRow("activation_energy_eV", Estimate(energy_eV, 0.005, 4, "eV"), "line"),
        QuantityRow(f"only_{atoms}", Estimate(1.0, 0.1, 4, "1"), "m"),
    ]
    write_result(folder / "result.json", rows, Provenance())
    simulation = {"composition": composition, "glasses": {"atoms": atoms}}
    manifest = {"mlsim": "0", "potential": "p", "potential_sha256": "s", "simulation": simulation, "analysis": {}}
    (folder / "study.json").write_text(json.dumps(manifest))
    return folder


def _said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["compare", *map(str, arguments)])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_two_runs_stand_side_by_side_with_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = _run(tmp_path / "a", 0.25, 114), _run(tmp_path / "b", 0.31, 230)
    code, out, _ = _said(capsys, a, b, "-o", tmp_path / "d.json")
    assert code == 0
    assert "setting simulation.glasses.atoms was 114, now 230" in out
    assert f"only in {a}: only_114" in out and "differs" in out
    row = read_result(tmp_path / "d.json").row("activation_energy_eV_difference")
    assert row is not None and row.estimate.value == pytest.approx(0.06)
    code, _, err = _said(capsys, a, b, "-o", tmp_path / "d.json")
    assert code == 2 and "is there already" in err


def test_a_run_stands_beside_published_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _said(
        capsys, _run(tmp_path / "a", 0.25, 114), shipped_folder("data") / "li3zrcl4o1.5" / "published.yaml"
    )
    assert code == 0 and "0.2940 ± 0.0030" in out


def test_a_system_of_a_campaign_says_its_composition_in_its_curves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    system = _run(tmp_path / "x0.50", 0.25, 114)
    (system / "study.json").unlink()
    series = ReportSeries(title="x0.50", composition="Li3ZrCl4O1.5", preset="")
    (system / "series.json").write_text(series.model_dump_json(), encoding="utf-8")
    code, out, _ = _said(capsys, system, shipped_folder("data") / "li3zrcl4o1.5" / "published.yaml")
    assert code == 0 and "0.2940 ± 0.0030" in out and f"A: {system} (mlsim" in out


def test_a_composition_that_nobody_published_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published = shipped_folder("data") / "li3zrcl4o1.5" / "published.yaml"
    code, _, err = _said(capsys, _run(tmp_path / "a", 0.25, 114, "LiCl"), published)
    assert code == 2 and "nothing on LiCl" in err and err.count("\n") == 1


def test_a_missing_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _said(capsys, _run(tmp_path / "a", 0.25, 114), tmp_path / "nothing.json")
    assert code == 2 and "there is no such file" in err and err.count("\n") == 1
