"""One whole study, tiny and with a toy potential: what it writes, and what a second run says."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_ions import ToyIons, ToySource
from toy_study import write_toy_study

from mlsim.errors import DataError, Interrupted, SettingsError
from mlsim.io.series import read_series
from mlsim.io.structures import read_structure
from mlsim.progress import StopRequest
from mlsim.study import StudyOutcome, read_study, run_study
from mlsim.study.glass_stages import GlassTask
from mlsim.study.manifest import folder_lock
from mlsim.study.runner import analysis_of

CONTRACT_NAMES = {
    "density_g_cm3",
    "zr_o_distance_A",
    "zr_cl_distance_A",
    "zr_o_coordination",
    "zr_cl_coordination",
    "cl_terminal_fraction",
    "cl_bridging_fraction",
    "cl_no_zr_fraction",
    "li_diffusivity_cm2_s",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, StudyOutcome, list[tuple[str, str, float]]]:
    """A study that ran once: its file, its outcome, and the progress it told."""
    folder = tmp_path_factory.mktemp("study")
    told: list[tuple[str, str, float]] = []
    study = write_toy_study(folder)
    outcome = run_study(
        read_study(study),
        folder / "out",
        jobs=2,
        potential=ToySource(),
        progress=lambda label, stage, done, total: told.append((label, stage, done / total)),
    )
    return study, outcome, told


def test_a_study_gives_the_numbers_of_the_contract_with_errors_over_glasses(finished: Any) -> None:
    _, outcome, _ = finished
    rows = {row.name: row for row in outcome.rows}
    assert set(rows) >= CONTRACT_NAMES
    assert rows["density_g_cm3"].estimate.n_independent == 2
    assert rows["density_g_cm3"].estimate.standard_error is not None
    assert rows["zr_o_coordination"].reference is not None
    assert rows["zr_o_coordination"].reference.value == 2.5
    assert {row.temperature_K for row in outcome.rows if row.name == "li_diffusivity_cm2_s"} == {900.0, 1400.0}


def test_result_json_has_exactly_the_keys_of_the_contract(finished: Any) -> None:
    _, outcome, _ = finished
    content = json.loads(outcome.result.read_text(encoding="utf-8"))
    assert set(content) == {"quantities", "provenance"}
    keys = {"name", "value", "standard_error", "n_independent", "unit", "method", "reference"}
    for quantity in content["quantities"]:
        assert set(quantity) - {"temperature_K"} == keys
    assert set(content["provenance"]) == {"mlsim", "potential_sha256", "settings_sha256", "seed", "versions"}
    assert content["provenance"]["settings_sha256"] == read_study(finished[0]).sha256


def test_the_curves_of_a_study_say_that_they_are_of_a_glass(finished: Any) -> None:
    _, outcome, _ = finished
    assert read_series(outcome.directory / "series.json").phase == "amorphous"


def test_the_report_is_one_page_that_needs_no_network(finished: Any) -> None:
    _, outcome, _ = finished
    page = outcome.report.read_text(encoding="utf-8")
    assert "Li3ZrCl4O1.5" in page or "Li₃ZrCl₄O" in page
    assert 'src="http' not in page
    assert '<link href="http' not in page


@dataclass(frozen=True)
class LongSighted(ToySource):
    """The toy, said to see further than half of the small cell."""

    cutoff_A: float = 5.5


def test_a_cell_that_is_too_thin_is_said_on_the_terminal_once_and_in_the_notes(finished: Any, tmp_path: Path) -> None:
    study, outcome, _ = finished
    settings, stop = read_study(study), StopRequest()
    stop.set()
    what = r"the cell is 9\.\d\d Å thin, less than twice the cut-off of 5\.5 Å"
    with pytest.warns(UserWarning, match=what) as said, pytest.raises(Interrupted):
        run_study(settings, tmp_path / "out", jobs=1, potential=LongSighted(), stop=stop)
    assert len(said) == 1
    tasks = [GlassTask(n, settings, outcome.directory.resolve(), LongSighted()) for n in (1, 2)]
    _, series = analysis_of(tasks, LongSighted())
    assert sum("less than twice the cut-off of 5.5 Å" in note for note in series.notes) == 1
    assert not any("cut-off" in note for note in outcome.notes)


def test_notes_say_that_no_measured_curve_is_public(finished: Any) -> None:
    assert finished[1].notes[0] == (
        "no measured curve of Li3ZrCl4O1.5 is shipped (none is public that we know of); "
        "give your own with 'measurement:' in the study"
    )


def test_progress_of_each_glass_rises_to_the_end(finished: Any) -> None:
    _, _, told = finished
    for label in ("glass 1", "glass 2"):
        shares = [share for name, _, share in told if name == label]
        assert shares == sorted(shares)
        assert shares[-1] == 1.0


def test_glasses_are_independent_and_kept_at_their_mean_density(finished: Any) -> None:
    _, outcome, _ = finished
    first, second = (read_structure(outcome.directory / f"glass-0{n}" / "glass.extxyz") for n in (1, 2))
    assert abs(first.positions - second.positions).max() > 0.1
    masses, volumes = first.get_masses().sum(), [first.get_volume(), second.get_volume()]
    density = np.mean([masses / volume * 1.66053907 for volume in volumes])
    row = next(row for row in outcome.rows if row.name == "density_g_cm3")
    assert density == pytest.approx(row.estimate.value, rel=1e-6)


def test_a_second_run_says_done_and_changes_nothing(finished: Any) -> None:
    study, outcome, _ = finished
    before = {path: path.stat().st_mtime_ns for path in outcome.directory.rglob("*") if path.name != ".lock"}
    again = run_study(read_study(study), outcome.directory, potential=ToySource())
    assert again.already_done
    assert again.rows == outcome.rows
    assert before == {path: path.stat().st_mtime_ns for path in outcome.directory.rglob("*") if path.name != ".lock"}


def test_other_settings_in_the_same_folder_are_refused_with_the_difference(finished: Any, tmp_path: Path) -> None:
    _, outcome, _ = finished
    other = read_study(write_toy_study(tmp_path, "seed: 5\n"))
    with pytest.raises(SettingsError) as caught:
        run_study(other, outcome.directory, potential=ToySource())
    assert str(caught.value) == (
        f"{outcome.directory}: began with other settings: seed was 1, now 5; "
        "go back to the old settings or choose another folder with --out"
    )
    with pytest.raises(SettingsError, match=r"potential_sha256 was 000000000000, now 111111111111; go back"):
        run_study(read_study(finished[0]), outcome.directory, potential=ToySource(sha256="1" * 64))


def test_a_change_of_the_analysis_alone_is_analysed_again_without_new_md(finished: Any, tmp_path: Path) -> None:
    study, outcome, _ = finished
    density = next(row for row in outcome.rows if row.name == "density_g_cm3")
    other = read_study(write_toy_study(tmp_path, "topology: {cutoffs_A: {Zr-O: 1.0}}\n"))

    @dataclass(frozen=True)
    class NoPotential(ToySource):
        def load(self) -> ToyIons:
            raise AssertionError("no step was to be made")

    again = run_study(other, outcome.directory, jobs=1, potential=ToySource())
    assert not again.already_done
    rows = {row.name: row for row in again.rows}
    assert rows["zr_o_coordination"].estimate.value == 0
    assert rows["density_g_cm3"] == density
    back = run_study(read_study(study), outcome.directory, jobs=1, potential=ToySource())
    assert back.rows == outcome.rows


def test_a_further_temperature_adds_its_trajectories_and_keeps_the_others(finished: Any, tmp_path: Path) -> None:
    study, outcome, _ = finished
    shutil.copytree(outcome.directory, tmp_path / "out")
    text = study.read_text(encoding="utf-8").replace("[900, 1400]", "[900, 1400, 1200]")
    (tmp_path / "more.yaml").write_text(text, encoding="utf-8")
    again = run_study(read_study(tmp_path / "more.yaml"), tmp_path / "out", jobs=2, potential=ToySource())
    points = {row.temperature_K: row for row in again.rows if row.name == "li_diffusivity_cm2_s"}
    before = {row.temperature_K: row for row in outcome.rows if row.name == "li_diffusivity_cm2_s"}
    assert set(points) == {900.0, 1200.0, 1400.0}
    assert {t: points[t] for t in before} == before


def test_a_missing_element_in_the_potential_stops_before_anything_is_written(tmp_path: Path) -> None:
    source = ToySource(elements=("Li", "Cl"))
    with pytest.raises(SettingsError) as caught:
        run_study(read_study(write_toy_study(tmp_path)), tmp_path / "out", potential=source)
    assert str(caught.value) == (
        "potential toy ions of the tests: does not know Zr, O, wanted are Li, Zr, Cl, O; it knows Li, Cl; "
        "choose another potential or composition"
    )
    assert not (tmp_path / "out").exists()


def test_a_density_that_cannot_be_packed_stops_before_anything_is_written(tmp_path: Path) -> None:
    study = read_study(write_toy_study(tmp_path)).model_dump()
    study["glasses"] |= {"atoms": 19, "packing_density_g_cm3": 9.0}
    settings = type(read_study()).model_validate(study)
    with pytest.raises(SettingsError, match=r"^packing 19 atoms of Li3ZrCl4O1\.5 at 9 g/cm3: .*lower density_g_cm3"):
        run_study(settings, tmp_path / "out", potential=ToySource())
    assert not (tmp_path / "out").exists()


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious", encoding="utf-8")
    study = read_study(write_toy_study(tmp_path))
    with pytest.raises(SettingsError, match=r"holds files but no study\.json; choose another folder with --out$"):
        run_study(study, tmp_path, potential=ToySource())


def test_two_runs_in_one_folder_are_one_too_many(tmp_path: Path) -> None:
    study = read_study(write_toy_study(tmp_path))
    with folder_lock(tmp_path / "out"), pytest.raises(SettingsError, match="another mlsim run is working in this"):
        run_study(study, tmp_path / "out", potential=ToySource())


@dataclass(frozen=True)
class FullDisk(ToySource):
    """A worker that finds the disk full."""

    def load(self) -> ToyIons:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "trajectory.h5")


@dataclass(frozen=True)
class Broken(ToySource):
    """A worker that fails in a way that nobody foresaw."""

    def load(self) -> ToyIons:
        raise ZeroDivisionError("a bug")


def test_what_a_worker_raises_is_raised_here(tmp_path: Path) -> None:
    study = read_study(write_toy_study(tmp_path))
    with pytest.raises(OSError, match="No space left on device") as caught:
        run_study(study, tmp_path / "out", jobs=2, potential=FullDisk())
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "trajectory.h5")
    with pytest.raises(RuntimeError, match=r"(?s)^glass 1 failed.*ZeroDivisionError: a bug"):
        run_study(study, tmp_path / "out", jobs=1, potential=Broken())


def test_a_full_disk_while_the_result_is_written_is_one_line_and_loses_nothing(
    tmp_path: Path, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, outcome, _ = finished
    content = outcome.result.read_bytes()
    outcome.result.unlink()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("mlsim.atomic.os.fsync", full)
        with pytest.raises(DataError, match=r"cannot be written: the disk is full; free some space and run the same"):
            run_study(read_study(study), outcome.directory, potential=ToySource())
    run_study(read_study(study), outcome.directory, potential=ToySource())
    assert outcome.result.read_bytes() == content


def test_a_bad_measured_file_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "glass.gr").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    study = write_toy_study(tmp_path, "measurement: {file: glass.gr, quantity: g_pdf, q_max_per_A: 20}\n")
    with pytest.raises(DataError, match=r"glass\.gr"):
        run_study(read_study(study), tmp_path / "out", potential=ToySource())
    assert not (tmp_path / "out").exists()


def test_a_measured_file_without_points_in_the_range_asked_for_is_refused_first(tmp_path: Path) -> None:
    np.savetxt(tmp_path / "glass.gr", np.column_stack([np.linspace(1, 5, 50), np.ones(50)]))
    entry = (
        "measurement: {file: glass.gr, quantity: g_pdf, q_max_per_A: 20, from_x: 8, to_x: 9, force_quantity: true}\n"
    )
    with pytest.raises(DataError, match="nothing to compare: curve g_pdf: no point between 8 and 9"):
        run_study(read_study(write_toy_study(tmp_path, entry)), tmp_path / "out", potential=ToySource())
    assert not (tmp_path / "out").exists()
