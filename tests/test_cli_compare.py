"""`mlsim compare` on small results of two runs, and its one line when something is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest

from mlsim.cli import main
from mlsim.curve import Estimate
from mlsim.io.results import Provenance, QuantityRow, read_result, write_result
from mlsim.io.series import ReportSeries, write_series
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


def test_in_a_file_no_word_of_a_verdict_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = _said(capsys, _run(tmp_path / "a", 0.25, 114), _run(tmp_path / "b", 0.255, 230))
    line = next(line for line in out.splitlines() if "Activation energy" in line)
    assert line.rstrip().endswith("no difference seen")
    assert "(Holm); differs: corrected p < 0.05" in out


def test_the_folder_of_a_campaign_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "campaign.json").write_text("{}")
    code, _, err = _said(capsys, tmp_path, tmp_path)
    assert code == 2 and err.endswith("is the folder of a campaign; compare the folders of two of its systems\n")


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


def _system(folder: Path, composition: str, phase: Literal["amorphous", "crystalline"], **made: Any) -> Path:
    """Make a run as a system of a campaign: no study.json, its settings in series.json."""
    _run(folder, 0.25, 114, composition)
    (folder / "study.json").unlink()
    series = ReportSeries(title="s", composition=composition, preset="", phase=phase, settings=made)
    write_series(folder / "series.json", series)
    return folder


def test_systems_of_campaigns_say_their_phase_and_the_settings_that_differ(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    glass = _system(tmp_path / "a", "Li2ZrCl6", "amorphous", structure={"time_ps": 20}, melt_quench={"rate": 1})
    crystal = _system(tmp_path / "b", "Li2ZrCl6", "crystalline", structure={"time_ps": 5})
    code, out, _ = _said(capsys, glass, crystal)
    assert code == 0 and "glass of Li2ZrCl6)" in out and "crystal of Li2ZrCl6)" in out
    assert [line for line in out.splitlines() if line.startswith("setting")] == [
        "setting structure.time_ps was 20, now 5"
    ]
    again = _said(capsys, glass / "result.json", crystal / "result.json")[1]
    assert "setting structure.time_ps was 20, now 5" in again  # as the workflow calls it


def test_settings_that_are_not_known_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    system = _system(tmp_path / "b", "Li2ZrCl6", "amorphous")
    _, out, _ = _said(capsys, _run(tmp_path / "a", 0.25, 114), system)
    assert f"settings of {system} are not known, so they were not compared" in out


def test_published_values_of_a_glass_do_not_stand_beside_a_crystal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crystal = _system(tmp_path / "b", "Li3ZrCl4O1.5", "crystalline")
    code, out, err = _said(capsys, crystal, shipped_folder("data") / "li3zrcl4o1.5" / "published.yaml")
    assert code == 2 and not out and err.count("\n") == 1
    assert "is a crystal of Li3ZrCl4O1.5; the values in" in err and "those of glasses" in err


def test_the_table_has_its_groups_both_probabilities_and_marks_what_has_no_published_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = _run(tmp_path / "a", 0.25, 114)
    rows = [
        QuantityRow("zr_zr_corner_o_fraction", Estimate(0.2, 0.01, 4, "1"), "links"),
        QuantityRow("activation_energy_eV", Estimate(0.25, 0.005, 4, "eV"), "line"),
        QuantityRow("zr_o_coordination", Estimate(2.6, 0.04, 4, "1"), "bonds"),
    ]
    write_result(study / "result.json", rows, Provenance())
    _, out, _ = _said(capsys, study, shipped_folder("data") / "li3zrcl4o1.5" / "published.yaml", "-o", tmp_path / "d")
    lines = [line.strip() for line in out.splitlines()]
    assert "Zr–Zr links" in lines and lines.index("Zr–Zr links") < lines.index("Transport")
    corner = next(line for line in lines if line.startswith("corner, through one O"))
    assert "0.37 †" in corner and corner.endswith("differs (our error alone)")
    energy = next(line for line in lines if line.startswith("Activation energy"))
    assert "†" not in energy and energy.endswith("differs")
    assert "† published without an error" in " ".join(out.split())
    written = read_result(tmp_path / "d").row("zr_zr_corner_o_fraction_difference")
    assert written is not None
    assert re.fullmatch(
        r"B - A, p = \S+ \(Welch\), \S+ corrected for 3 comparisons \(Holm\): differs \(our error alone\)",
        written.method,
    )
