"""Numbers of different potentials or settings are not put into one report; the message shows the difference."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from mlsim.errors import DataError, SettingsError
from mlsim.report import write_report
from mlsim.report.series_page import write_series_report

Change = Callable[[dict[str, Any]], None]


def changed(path: Path, change: Change) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))
    change(body)
    path.write_text(json.dumps(body), encoding="utf-8")


def sibling(folder: Path, name: str, formula: str) -> Path:
    """Copy a run as one of another composition."""
    copy = folder.parent / name
    shutil.copytree(folder, copy)
    changed(copy / "series.json", lambda body: body.update(composition=formula))
    changed(copy / "study.json", lambda body: body["simulation"].update(composition=formula))
    changed(copy / "result.json", lambda body: body["provenance"].update(settings_sha256=None))
    return copy


def test_numbers_of_another_potential_than_the_curves_are_refused(full_folder: Path) -> None:
    changed(full_folder / "result.json", lambda body: body["provenance"].update(potential_sha256="1" * 64))
    with pytest.raises(SettingsError, match=r"result.json: potential 1{12}, series.json: potential 0{12}, study"):
        write_report(full_folder)


def test_numbers_of_other_settings_than_the_folder_are_refused(full_folder: Path) -> None:
    changed(full_folder / "study.json", lambda body: body["simulation"].update(seed=7))
    with pytest.raises(SettingsError, match=r"result.json was made with settings .* study.json holds .*; run"):
        write_report(full_folder)


def test_curves_of_another_composition_are_refused(full_folder: Path) -> None:
    changed(full_folder / "series.json", lambda body: body.update(composition="Li2ZrCl4O"))
    with pytest.raises(SettingsError, match=r"series.json is of Li2ZrCl4O, study.json of Li3ZrCl4O1.5"):
        write_report(full_folder)


def test_a_refinement_of_another_composition_is_refused(full_folder: Path) -> None:
    structure = full_folder / "rmc" / "run_001.extxyz"
    write(structure, Atoms("Li6Zr2Cl8O3", positions=np.arange(57).reshape(19, 3) * 2.0, cell=[120] * 3, pbc=True))
    write_report(full_folder)
    write(structure, Atoms("Li2ZrCl6", positions=np.arange(27).reshape(9, 3) * 2.0, cell=[60] * 3, pbc=True))
    with pytest.raises(SettingsError, match=r"the run is of Li3ZrCl4O1.5, the refinement in rmc/ of Li2ZrCl6; move"):
        write_report(full_folder)


def test_a_series_of_two_potentials_is_refused(full_folder: Path) -> None:
    other = sibling(full_folder, "other", "Li2ZrCl4O")
    for name in ("result.json", "study.json", "series.json"):
        text = (other / name).read_text(encoding="utf-8")
        (other / name).write_text(text.replace("0" * 64, "2" * 64), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"two potentials: Li2ZrCl4O was made with 2{12}, Li3ZrCl4O1.5 with 0{12}"):
        write_series_report([full_folder, other], full_folder.parent / "out", formats=())


def test_a_series_of_two_quench_rates_is_refused_with_the_rates(full_folder: Path) -> None:
    other = sibling(full_folder, "other", "Li2ZrCl4O")

    def slower(body: dict[str, Any]) -> None:
        body["simulation"]["melt_quench"]["segments"][1]["rate_K_per_ps"] = 10.0

    changed(other / "study.json", slower)
    with pytest.raises(SettingsError, match=r"segments.1.rate_K_per_ps is 10.0 and 25.0; report them apart"):
        write_series_report([full_folder, other], full_folder.parent / "out", formats=())


def test_size_and_seed_may_differ_in_a_series(full_folder: Path) -> None:
    other = sibling(full_folder, "other", "Li2ZrCl4O")
    changed(other / "study.json", lambda body: body["simulation"].update(seed=9))
    changed(other / "study.json", lambda body: body["simulation"]["glasses"].update(atoms=96))
    page, _ = write_series_report([full_folder, other], full_folder.parent / "out", formats=())
    assert "Li<sub>2</sub>ZrCl<sub>4</sub>O" in page.read_text(encoding="utf-8")


def test_two_runs_of_one_composition_are_no_series(full_folder: Path) -> None:
    with pytest.raises(DataError, match=r"are both of Li3ZrCl4O1.5; `mlsim compare`"):
        write_series_report([full_folder, full_folder], full_folder.parent / "out", formats=())


def system(folder: Path, name: str, formula: str, phase: str = "amorphous", **made: Any) -> Path:
    """Copy a run as a system of a campaign: no study.json, its settings in series.json."""
    copy = sibling(folder, name, formula)
    (copy / "study.json").unlink()
    shutil.rmtree(copy / "rmc")
    changed(copy / "series.json", lambda body: body.update(phase=phase, settings=made, published=None))
    return copy


def test_systems_of_campaigns_with_other_settings_are_refused_with_the_difference(full_folder: Path) -> None:
    structure = {"temperature_K": 300.0, "time_ps": 20.0}
    first = system(full_folder, "a", "Li2ZrCl4O", structure=structure, temperatures_K=[500.0])
    other = system(full_folder, "b", "Li3ZrCl4O1.5", structure={**structure, "time_ps": 5.0}, temperatures_K=[600.0])
    with pytest.raises(SettingsError, match=r"Li2ZrCl4O and Li3ZrCl4O1.5, structure.time_ps is 20.0 and 5.0; report"):
        write_series_report([first, other], full_folder.parent / "out", formats=())


def test_a_system_of_a_campaign_beside_a_study_of_another_schedule_is_refused(full_folder: Path) -> None:
    schedule = json.loads((full_folder / "study.json").read_text(encoding="utf-8"))["simulation"]["melt_quench"]
    schedule["segments"][1]["rate_K_per_ps"] = 5.0
    other = system(full_folder, "a", "Li2ZrCl4O", melt_quench=schedule)
    with pytest.raises(SettingsError, match=r"melt_quench.segments.1.rate_K_per_ps is 5.0 and 25.0; report them apart"):
        write_series_report([full_folder, other], full_folder.parent / "out", formats=())


def test_a_crystal_has_no_quench_to_compare_and_hides_none_of_the_glasses(full_folder: Path) -> None:
    hold = {"time_ps": 20.0}
    slow, fast = ({"structure": hold, "melt_quench": {"rate": rate}} for rate in (1.0, 2.0))
    crystal = system(full_folder, "c", "Li2ZrCl6", "crystalline", structure=hold)
    glass = system(full_folder, "a", "Li2ZrCl6", **slow)
    out = full_folder.parent / "out"
    write_series_report([crystal, glass], out, formats=())
    other = system(full_folder, "b", "Li4ZrCl4O2", **fast)
    with pytest.raises(SettingsError, match=r"melt_quench.rate is "):
        write_series_report([crystal, glass, other], out, formats=())


def test_settings_that_are_not_known_are_said(full_folder: Path) -> None:
    other = system(full_folder, "a", "Li2ZrCl4O")
    _, report = write_series_report([full_folder, other], full_folder.parent / "out", formats=())
    text = report.read_text(encoding="utf-8")
    assert "Li2ZrCl4O: its settings are not known, so they were not compared" in text
    assert "Li3ZrCl4O1.5: its settings are not known" not in text
