"""The campaign: its settings, its plan, what Slurm would be given, and the whole graph at a tiny size."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlsim import Estimate
from mlsim.cli import main
from mlsim.errors import SettingsError
from mlsim.io.results import Provenance, QuantityRow, read_result, write_result
from mlsim.io.run_folder import RunFolder
from mlsim.io.series import PotentialPart, ReportSeries
from mlsim.melt_quench import hold_schedule
from mlsim.progress import StopRequest
from mlsim.report.mixed import refuse_mixed_series
from mlsim.study import ModelFile
from mlsim.study.campaign import (
    CampaignSettings,
    read_campaign_settings,
    require_same_trajectories,
    set_aside_refinements,
    shipped_campaign,
    write_campaign_settings,
)
from mlsim.study.collect import SystemFolder, collect_campaign, collect_system
from mlsim.study.cost import CostMeter, read_costs
from mlsim.study.system_series import made_with, series_of_system, study_of
from mlsim.study.workflow import Job, Plan, Workflow, snakemake_command

TINY = shipped_campaign() / "tiny.yaml"


def has_snakemake() -> bool:
    try:
        snakemake_command()
    except SettingsError:
        return False
    return True


needs_snakemake = pytest.mark.skipif(not has_snakemake(), reason="needs Snakemake: pip install 'mlsim[workflow]'")


def config(folder: Path, **changes: object) -> Path:
    """Write tiny.yaml with changes and the schedule beside it."""
    values = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    shutil.copy(TINY.with_name("tiny-quench.yaml"), folder)
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(values | changes), encoding="utf-8")
    return path


def begun(folder: Path, settings: CampaignSettings) -> ModelFile:
    """Make a folder of a campaign in which a run has begun."""
    source = ModelFile.named(settings.potential)
    write_campaign_settings(folder, settings, source)
    run = folder / "x0.50" / "glass-1" / "quench"
    run.mkdir(parents=True)
    (run / "checkpoint.npz").touch()
    return source


def test_the_shipped_series_is_the_published_one() -> None:
    settings = read_campaign_settings()
    series = {system.x: system.formula for system in settings.systems.values() if system.x is not None}
    assert list(series) == [0, 0.25, 0.5, 0.75, 1]
    assert series[0.75] == "Li3.5ZrCl4O1.75"
    assert {name for name, s in settings.systems.items() if s.formula == "Li2ZrCl6"} == {
        "li2zrcl6-glass",
        "li2zrcl6-crystal",
    }
    assert all(220 <= system.atoms <= 246 for system in settings.systems.values())
    assert min(system.runs for system in settings.systems.values() if system.crystal is None) >= 4
    assert settings.md.time_ps >= 500
    assert len(settings.md.temperatures_K) == 4
    assert {segment.rate_K_per_ps for segment in settings.quench.segments if segment.kind == "ramp"} == {10.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"potental": "x"}, "unknown key 'potental'; did you mean 'potential'?"),
        ({"quench": "gone.yaml"}, "gone.yaml: no such file"),
        ({"comparisons": [["x0.50", "x0.51"]]}, "no system is called 'x0.51'; did you mean 'x0.50'?"),
        ({"measurements": [{"system": "x0.50", "file": "no.gr", "quantity": "g_pdf"}]}, "no.gr: no such file"),
        ({"scattering": {"curves": ["xray-s_of_k"]}}, "unknown function 's_of_k'; did you mean 's_of_q'?"),
        ({"comparisons": [], "systems": {"a": {"formula": "LiZrCl4O"}}}, "systems.a: "),
        (
            {"comparisons": [], "systems": {"a": {"formula": "Li3ZrCl4O1.5", "x": 0.4}}},
            "has x = 0.5; x is given as 0.4",
        ),
        ({"comparisons": [], "systems": {"a": {"formula": "Li2ZrCl6", "x": 0.4}}}, "no member of Li(2+2x)ZrCl4O(1+x)"),
        (
            {
                "comparisons": [],
                "systems": {n: {"formula": f} for n, f in (("a", "Li3ZrCl4O1.5"), ("b", "Li6Zr2Cl8O3"))},
            },
            "systems.b: the same composition and phase as a",
        ),
        ({"center": "Al"}, "holds no Al, the center of the polyhedra"),
        (
            {"comparisons": [], "center": "O", "systems": {"a": {"formula": "Li2O", "crystal": "Li2S"}}},
            "crystal 'Li2S': not known",
        ),
        (
            {"comparisons": [], "center": "O", "systems": {"a": {"formula": "Li2O", "crystal": "my.cif"}}},
            "my.cif: no such file",
        ),
        (
            {"comparisons": [], "center": "O", "systems": {"a": {"formula": "Li2O", "crystal": "LiCl"}}},
            "is LiCl, the formula says Li2O",
        ),
    ],
)
def test_a_config_that_cannot_work_is_refused_in_one_line(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_campaign_settings(config(tmp_path, **changes))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_potential_is_refused_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["campaign", str(config(tmp_path, potential="lzoc-bse")), "--prepare", "-o", str(tmp_path / "series")])
    assert caught.value.code == 2
    assert "potential 'lzoc-bse': no such file or name; did you mean 'lzoc-base'?" in capsys.readouterr().err
    assert not (tmp_path / "series").exists()


def test_without_snakemake_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as caught:
        main(["campaign", "--dry-run"])
    assert caught.value.code == 2
    expected = "error: mlsim campaign needs Snakemake, which is not installed: pip install 'mlsim[workflow]'\n"
    assert capsys.readouterr().err == expected


def test_other_trajectories_are_refused_with_the_difference_and_more_of_the_same_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    settings = read_campaign_settings(TINY)
    source = begun(folder, settings)
    more = yaml.safe_load(TINY.read_text(encoding="utf-8"))
    more["md"]["temperatures_K"].append(1000)
    more["systems"]["x1.00"] = {"formula": "Li4ZrCl4O2", "x": 1}
    more["runs"] = 3
    require_same_trajectories(folder, read_campaign_settings(config(tmp_path, **more)), source)
    with pytest.raises(SettingsError, match=r"seed was 1, now 2; go back"):
        require_same_trajectories(folder, read_campaign_settings(config(tmp_path, seed=2)), source)
    longer = {**more["md"], "time_ps": 9}
    with pytest.raises(SettingsError, match=r"md.time_ps was 5.4, now 9"):
        require_same_trajectories(folder, read_campaign_settings(config(tmp_path, md=longer)), source)
    other = ModelFile("other", "f" * 64, source.elements)
    with pytest.raises(SettingsError, match=rf"potential_sha256 was {source.sha256[:12]}, now ffffffffffff"):
        require_same_trajectories(folder, settings, other)


def test_other_settings_are_refused_in_a_folder_that_keeps_results_only(tmp_path: Path) -> None:
    settings = read_campaign_settings(TINY)
    source = begun(tmp_path / "series", settings)
    run = tmp_path / "series" / "x0.50" / "glass-1" / "quench"
    (run / "checkpoint.npz").rename(run / "result.json")
    with pytest.raises(SettingsError, match=r"seed was 1, now 2; go back"):
        require_same_trajectories(tmp_path / "series", read_campaign_settings(config(tmp_path, seed=2)), source)


def test_a_run_is_left_out_for_a_reason(tmp_path: Path) -> None:
    systems = yaml.safe_load(TINY.read_text(encoding="utf-8"))["systems"]

    def settings_without(**runs: str) -> CampaignSettings:
        left_out = {name.replace("_", "-"): reason for name, reason in runs.items()}
        systems["x0.50"]["left_out"] = left_out
        return read_campaign_settings(config(tmp_path, systems=systems))

    assert settings_without(glass_2="crystallised").systems["x0.50"].run_names == ("glass-1",)
    with pytest.raises(SettingsError, match=r"no run is called 'glass-3'; did you mean"):
        settings_without(glass_3="crystallised")
    with pytest.raises(SettingsError, match=r"no run is left"):
        settings_without(glass_1="cracked", glass_2="crystallised")
    begun(tmp_path / "series", read_campaign_settings(TINY))
    source = ModelFile.named("lzoc-base")
    require_same_trajectories(tmp_path / "series", settings_without(glass_2="crystallised"), source)


def test_curves_of_one_system_have_one_range(tmp_path: Path) -> None:
    (tmp_path / "my glass.gr").write_text("1.0 0.1\n1.1 0.2\n", encoding="utf-8")
    curve = {"system": "x0.50", "file": "my glass.gr", "quantity": "g_pdf"}
    ranges = [curve | {"q_max_per_A": 20.0}, curve | {"q_max_per_A": 22.0}]
    with pytest.raises(SettingsError, match=r"measurements of x0.50: q_max_per_A differ"):
        read_campaign_settings(config(tmp_path, measurements=ranges))


def test_a_refinement_of_other_settings_is_set_aside_not_lost(tmp_path: Path) -> None:
    (tmp_path / "glass.gr").write_text("1.0 0.1\n1.1 0.2\n", encoding="utf-8")
    measurements = [{"system": "x0.50", "file": "glass.gr", "quantity": "g_pdf"}]
    folder = tmp_path / "series"
    settings = read_campaign_settings(config(tmp_path, measurements=measurements))
    begun(folder, settings)
    for system in ("x0.00", "x0.50"):
        (folder / system / "glass-1" / "rmc").mkdir(parents=True)
        (folder / system / "glass-1" / "rmc" / "result.json").touch()
    assert set_aside_refinements(folder, settings) == []
    (tmp_path / "glass.gr").write_text("1.0 0.1\n1.1 0.3\n", encoding="utf-8")
    other = read_campaign_settings(config(tmp_path, measurements=measurements))
    assert set_aside_refinements(folder, other) == [folder / "x0.50" / "glass-1" / "rmc-before-1"]
    assert (folder / "x0.50" / "glass-1" / "rmc-before-1" / "result.json").exists()
    assert (folder / "x0.00" / "glass-1" / "rmc").is_dir()


def test_seeds_do_not_depend_on_what_else_the_campaign_holds(tmp_path: Path) -> None:
    tiny, fewer = read_campaign_settings(TINY), yaml.safe_load(TINY.read_text(encoding="utf-8"))
    del fewer["systems"]["x0.00"]
    few = read_campaign_settings(config(tmp_path, **fewer))
    assert few.seed_of("x0.50", "glass-2") == tiny.seed_of("x0.50", "glass-2")
    seeds = {tiny.seed_of(name, run) for name, system in tiny.systems.items() for run in system.run_names}
    assert len(seeds) == sum(system.runs for system in tiny.systems.values())


def test_the_cost_of_a_run_is_that_between_its_first_and_last_step(tmp_path: Path) -> None:
    heard: list[float] = []
    for first, last in ((1, 20), (20, 50)):
        meter = CostMeter(tmp_path, 38, lambda stage, done, total: heard.append(done))
        meter.write()  # before any step: no line
        for step in range(first, last + 1):
            meter("hold", step, 50)
        meter.write()
    assert heard == [*range(1, 21), *range(20, 51)]
    costs = read_costs(tmp_path / "cost.csv")
    assert [(cost.atoms, cost.first_step, cost.last_step) for cost in costs] == [(38, 1, 20), (38, 20, 50)]
    assert sum(cost.steps for cost in costs) == 49


def test_the_least_time_is_that_of_the_longest_chain() -> None:
    jobs = [
        (Job("quench", {"system": "a", "run": "glass-1"}), 10.0),
        (Job("md", {"system": "a", "run": "glass-1", "temperature": "500"}), 30.0),
        (Job("md", {"system": "a", "run": "glass-1", "temperature": "600"}), 30.0),
        (Job("md", {"system": "b", "run": "run-1", "temperature": "500"}), 20.0),
        (Job("report", {}), 0.0),
    ]
    plan = Plan(*(tuple(column) for column in zip(*jobs, strict=True)))  # type: ignore[arg-type]
    assert plan.seconds(2.0, 1) == 45.0
    assert plan.seconds(2.0, 2) == 22.5
    assert plan.seconds(2.0, 100) == 20.0
    assert list(plan.counts) == ["quench", "md", "report"]


def finished(folder: Path, settings: CampaignSettings, values: dict[str, tuple[float, float]]) -> None:
    """Write results as the commands would: a crystal of one run and its transport, and glasses' density."""
    sha256 = ModelFile.named(settings.potential).sha256
    for name, (diffusivity, energy) in values.items():
        hold = settings.md
        for run in settings.systems[name].run_names:
            for kelvin in hold.temperatures_K:
                schedule = hold_schedule(
                    kelvin, hold.time_ps, equilibration_ps=hold.equilibration_ps, timestep_fs=hold.timestep_fs
                )
                made = Provenance.here(
                    potential_sha256=sha256, settings_sha256=schedule.sha256, seed=settings.seed_of(name, run)
                )
                density = QuantityRow("density_g_cm3", Estimate(2.0, None, 1, "g/cm3"), "this run")
                write_result(folder / name / run / f"md-{kelvin:g}K" / "result.json", [density], made)
        rows = [
            QuantityRow("li_diffusivity_cm2_s", Estimate(diffusivity, diffusivity / 5, 2, "cm2/s"), "fit", 900.0),
            QuantityRow("activation_energy_eV", Estimate(energy, 0.02, 2, "eV"), "line"),
        ]
        write_result(folder / name / "transport.json", rows, Provenance.here())


def collected(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Collect systems, without the curves, and the campaign."""
    monkeypatch.setattr("mlsim.study.collect.write_series", lambda path, series: path)
    monkeypatch.setattr("mlsim.study.system_series.series_of_system", lambda system: None)
    for name in ("x0.50", "li2zrcl6-crystal"):
        collect_system(folder, name)
    return json.loads(collect_campaign(folder).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def test_campaign_json_holds_series_and_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_campaign_settings(TINY)
    write_campaign_settings(tmp_path, settings, ModelFile.named(settings.potential))
    finished(tmp_path, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})
    body = collected(tmp_path, monkeypatch)
    empty, glass, crystal = body["systems"]  # type: ignore[misc]
    assert (empty["name"], empty["n_done"], empty["missing"]) == ("x0.00", 0, [])
    assert (glass["phase"], glass["x"], crystal["phase"], crystal["x"]) == ("amorphous", 0.5, "crystalline", None)
    assert glass["temperatures_K"] == [900.0, 1200.0]
    assert "quench: not finished in glass-1, glass-2" in glass["missing"]
    assert any("no measured curve was given" in line for line in body["missing"])  # type: ignore[attr-defined]
    series = {(s["name"], s["temperature_K"]): s for s in body["series"]}  # type: ignore[attr-defined]
    energy = series["activation_energy_eV", None]
    assert [(p["system"], p["value"], p["standard_error"]) for p in energy["points"]] == [
        ("x0.50", 0.3, 0.02),
        ("li2zrcl6-crystal", 0.4, 0.02),
    ]
    table = (tmp_path / "tables" / "activation_energy_eV.csv").read_text(encoding="utf-8").splitlines()
    assert table[1] == "x0.50,0.5,amorphous,0.3,0.02,2,false"
    reference = read_result(tmp_path / "x0.50" / "result.json").row("activation_energy_eV").reference  # type: ignore[union-attr]
    assert reference is not None
    assert reference.value == 0.294
    assert read_result(tmp_path / "li2zrcl6-crystal" / "result.json").row("activation_energy_eV").reference is None  # type: ignore[union-attr]


def test_tables_of_quantities_that_are_gone_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_campaign_settings(TINY)
    write_campaign_settings(tmp_path, settings, ModelFile.named(settings.potential))
    finished(tmp_path, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})
    collected(tmp_path, monkeypatch)
    tables = tmp_path / "tables"
    shutil.copy(tables / "activation_energy_eV.csv", tables / "gone.csv")
    (tables / "mine.csv").write_text("a,b\n", encoding="utf-8")
    collected(tmp_path, monkeypatch)
    assert {"activation_energy_eV.csv", "mine.csv"} <= {path.name for path in tables.iterdir()}
    assert not (tables / "gone.csv").exists()


def test_the_curves_of_a_system_say_its_phase_and_its_settings(tmp_path: Path) -> None:
    settings = read_campaign_settings(TINY)
    glass, crystal = (
        series_of_system(SystemFolder(tmp_path, name, settings, "0" * 64)) for name in ("x0.50", "li2zrcl6-crystal")
    )
    assert (glass.phase, crystal.phase) == ("amorphous", "crystalline")
    quench = settings.quench.model_dump(mode="json")
    assert glass.settings["melt_quench"] == quench and "melt_quench" not in crystal.settings
    for series in (glass, crystal):
        assert series.settings["structure"] == settings.structure.model_dump(mode="json")
        assert series.settings["transport"]["time_ps"] == settings.md.time_ps
        assert series.settings["scattering"]["q_max_per_A"] == 15


def test_an_analysis_older_than_its_runs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_campaign_settings(TINY)
    write_campaign_settings(tmp_path, settings, ModelFile.named(settings.potential))
    finished(tmp_path, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})
    late = (tmp_path / "x0.50" / "transport.json").stat().st_mtime + 10
    os.utime(tmp_path / "x0.50" / "glass-2" / "md-900K" / "result.json", (late, late))
    body = collected(tmp_path, monkeypatch)
    glass = body["systems"][1]  # type: ignore[index]
    assert [line for line in glass["missing"] if line.startswith("transport.json is older than a run")]
    assert not [line for line in body["systems"][2]["missing"] if "older" in line]  # type: ignore[index]
    assert read_result(tmp_path / "x0.50" / "result.json").row("activation_energy_eV") is not None


def moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> CampaignSettings:
    """Collect a campaign whose trajectories are not kept."""
    settings = read_campaign_settings(TINY)
    write_campaign_settings(folder, settings, ModelFile.named(settings.potential))
    finished(folder, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})
    monkeypatch.setattr("mlsim.study.system_series._transport", lambda *parts: ({}, ()))
    for name in ("x0.50", "li2zrcl6-crystal"):
        collect_system(folder, name)
    return settings


def test_systems_without_trajectories_are_collected_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    moved(tmp_path, monkeypatch)
    before = {path: path.read_bytes() for path in tmp_path.glob("*/result.json")}
    assert len(before) == 2
    late = max(path.stat().st_mtime for path in before) + 10
    os.utime(tmp_path / "x0.50" / "transport.json", (late, late))  # a copy has any time
    monkeypatch.setattr("mlsim.study.collect.collect_system", lambda folder, name: pytest.fail("collected again"))
    with pytest.raises(SystemExit) as caught:
        main(["collect", str(tmp_path)])
    assert not caught.value.code
    assert "x0.50: numbers taken as they are" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in before} == before
    assert (tmp_path / "campaign.json").exists()


def test_numbers_of_other_runs_than_those_wanted_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_campaign_settings(TINY)
    source = ModelFile.named(settings.potential)
    write_campaign_settings(tmp_path, settings, source)
    finished(tmp_path, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})
    glass = SystemFolder(tmp_path, "x0.50", settings, source.sha256)
    monkeypatch.setattr("mlsim.study.system_series._transport", lambda *parts: ({}, ()))
    collect_system(tmp_path, "x0.50")
    assert glass.is_collected and glass.changed_settings() == []
    systems = dict(settings.systems)
    systems["x0.50"] = systems["x0.50"].model_copy(update={"left_out": {"glass-2": "crystallised"}})
    fewer = settings.model_copy(update={"systems": systems})
    write_campaign_settings(tmp_path, fewer, source)
    now = SystemFolder(tmp_path, "x0.50", fewer, source.sha256)
    assert not now.is_collected
    with pytest.raises(SystemExit):
        main(["collect", str(tmp_path)])
    body = json.loads((tmp_path / "campaign.json").read_text(encoding="utf-8"))
    said = [line for line in body["systems"][1]["missing"] if "made with other settings" in line]
    assert len(said) == 1 and "runs" in said[0]


def with_settings(made: dict[str, Any]) -> RunFolder:
    series = ReportSeries(
        title="", composition="", preset="", potential=PotentialPart(name="p", sha256="0" * 64), n_glasses=1, n_atoms=1
    )
    return RunFolder(Path(), None, series.model_copy(update={"settings": made}))


def test_systems_with_and_without_oxygen_stand_in_one_report(tmp_path: Path) -> None:
    settings = read_campaign_settings()
    named = [
        (name, with_settings(made_with(SystemFolder(tmp_path, name, settings, ""))))
        for name in ("x0.50", "li2zrcl6-glass", "li2zrcl6-crystal")
    ]
    refuse_mixed_series(named)
    other = settings.model_copy(update={"bridging": ("Cl",)})
    named.append(("other", with_settings(made_with(SystemFolder(tmp_path, "x0.00", other, "")))))
    with pytest.raises(SettingsError, match=r"topology.bridging is \['O', 'Cl'\] and \['Cl'\]"):
        refuse_mixed_series(named)


def test_an_analysis_that_cannot_be_made_again_is_not_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = moved(tmp_path, monkeypatch)
    flow = workflow(tmp_path, settings)
    repeated = Job("transport", {"system": "x0.50"})
    with pytest.raises(SettingsError, match=r"keeps no trajectory, so the transport of x0.50 cannot be made again"):
        flow.require_trajectories(Plan((repeated,), (0.0,)))
    flow.require_trajectories(Plan((Job("topology", {"system": "x0.50"}),), (0.0,)))  # no structure run has ended
    runs = [
        Job("md", {"system": "x0.50", "run": run, "temperature": f"{kelvin:g}"})
        for run in settings.systems["x0.50"].run_names
        for kelvin in settings.md.temperatures_K
    ]
    flow.require_trajectories(Plan((repeated, *runs), (0.0,) * 5))  # each is made again before


def test_a_glass_without_a_polyhedron_counts_as_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_campaign_settings(TINY)
    write_campaign_settings(tmp_path, settings, ModelFile.named(settings.potential))
    finished(tmp_path, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})

    def share(kind: str, value: float) -> QuantityRow:
        return QuantityRow(f"polyhedron_{kind}_fraction", Estimate(value, None, 1, "1"), "counted")

    rows = [share("zro2cl4", 0.7), share("zrocl5", 0.3)]
    write_result(tmp_path / "x0.50" / "topology.json", rows, Provenance.here())
    for run, found in {"glass-1": [share("zro2cl4", 1.0)], "glass-2": [share("zrocl5", 0.4)]}.items():
        write_result(tmp_path / "x0.50" / run / "rmc" / "result.json", found, Provenance.here())
    collected(tmp_path, monkeypatch)
    result = read_result(tmp_path / "x0.50" / "result.json")
    refined = {row.name: row.estimate.value for row in result.rows if row.name.startswith("rmc_")}
    assert refined == {"rmc_polyhedron_zro2cl4_fraction": 0.5, "rmc_polyhedron_zrocl5_fraction": 0.2}


def test_a_run_of_another_potential_is_not_collected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_campaign_settings(TINY)
    write_campaign_settings(tmp_path, settings, ModelFile.named(settings.potential))
    finished(tmp_path, settings, {"x0.50": (2e-5, 0.3), "li2zrcl6-crystal": (1e-5, 0.4)})
    path = tmp_path / "x0.50" / "glass-2" / "md-900K" / "result.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(body).replace(body["provenance"]["potential_sha256"], "e" * 64), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"md-900K: .* potential_sha256 was eeeeeeeeeeee, now .* move it away"):
        collected(tmp_path, monkeypatch)


def workflow(folder: Path, settings: CampaignSettings) -> Workflow:
    file = write_campaign_settings(folder, settings, ModelFile.named(settings.potential))
    return Workflow(folder, settings, file)


def test_a_system_is_analysed_with_its_own_network_and_mobile_ion(tmp_path: Path) -> None:
    settings = read_campaign_settings(
        config(tmp_path, comparisons=[], center="Al", mobile="Na", systems={"a": {"formula": "Na3AlCl4O"}})
    )
    network = study_of(SystemFolder(tmp_path, "a", settings, "")).topology
    assert (network.center, network.bridging, network.mobile) == ("Al", ("O", "Cl"), "Na")


@needs_snakemake
def test_the_plan_has_every_job_and_a_new_temperature_adds_only_its_own(tmp_path: Path) -> None:
    tiny = read_campaign_settings(TINY)
    folder = tmp_path / "series"
    plan = workflow(folder, tiny).plan()
    analyses = dict.fromkeys(("scatter", "topology", "transport", "mechanism", "system"), 3)
    expected = {"pack": 3, "crystal": 1, "quench": 3, "structure": 4, "md": 8, **analyses}
    assert plan.counts == {**expected, "compare": 1, "collect": 1, "report": 1}
    assert plan.work("md") == (40 + 2 * 38 + 27) * 2 * 2750
    names = {"pack": "packed.extxyz", "quench": "quench/result.json", "structure": "structure/result.json"}
    for name in tiny.systems:
        (folder / name).mkdir()
    (folder / "li2zrcl6-crystal" / "crystal.extxyz").touch()
    for job in plan.jobs:  # everything is there but the analyses
        if job.rule in ("pack", "quench", "structure", "md"):
            run = folder / job.wildcards["system"] / job.wildcards["run"]
            done = run / names.get(job.rule, f"{job.stage}/result.json")
            done.parent.mkdir(parents=True, exist_ok=True)
            done.touch()
    more = yaml.safe_load(TINY.read_text(encoding="utf-8"))["md"]
    more["temperatures_K"].append(1000)
    plan = workflow(folder, read_campaign_settings(config(tmp_path, md=more))).plan()
    assert plan.counts == {"md": 4, **analyses, "compare": 1, "collect": 1, "report": 1}
    assert {job.wildcards["temperature"] for job in plan.jobs if job.rule == "md"} == {"1000"}


@needs_snakemake
def test_a_system_that_is_not_there_is_planned_however_new_the_campaign_is(tmp_path: Path) -> None:
    tiny = read_campaign_settings(TINY)
    folder = tmp_path / "series"
    flow = workflow(folder, tiny)
    for name in ("campaign.json", "report.html"):  # as a copy of results has them
        (folder / name).touch()
    assert {job.wildcards["system"] for job in flow.plan().jobs if job.rule == "md"} == set(tiny.systems)


@needs_snakemake
def test_reanalyze_plans_the_analyses_of_a_finished_system_and_no_md(tmp_path: Path) -> None:
    settings = read_campaign_settings(config(tmp_path, systems={"a": {"formula": "Li2ZrCl6"}}, comparisons=[], runs=1))
    flow = workflow(tmp_path, settings)
    for job in flow.plan().jobs:
        for path in outputs_of(job, settings):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).touch()
    subprocess.run(flow.command("--touch"), check=True, capture_output=True)
    assert not flow.plan().jobs
    again = replace(flow, reanalyze=True).plan()
    assert set(again.counts) == {"scatter", "topology", "transport", "mechanism", "system", "collect", "report"}
    assert again.work() == 0


def outputs_of(job: Job, settings: CampaignSettings) -> list[str]:
    """Return the files that a job of the campaign declares."""
    name, run = job.wildcards.get("system", ""), job.wildcards.get("run", "")
    if job.stage is not None:
        return [f"{name}/{run}/{job.stage}/result.json"]
    return {
        "pack": [f"{name}/{run}/packed.extxyz"],
        "scatter": [f"{name}/scattering/{curve}.csv" for curve in settings.scattering.curves],
        "topology": [f"{name}/topology.json"],
        "transport": [f"{name}/transport.json", f"{name}/transport.png"],
        "mechanism": [f"{name}/mechanism.json", f"{name}/mechanism.png"],
        "system": [f"{name}/result.json", f"{name}/series.json"],
        "collect": ["campaign.json"],
        "report": ["report.html"],
    }[job.rule]


SBATCH = """#!{python}
import pathlib, sys
with pathlib.Path("{log}").open("a") as log:
    log.write(" ".join(sys.argv[1:]).replace("\\n", " ") + "\\n")
sys.exit("no queue here")
"""


@pytest.mark.slow
@needs_snakemake
def test_slurm_is_asked_for_one_gpu_a_limit_and_a_signal_before_it(tmp_path: Path) -> None:
    tools, folder, log = tmp_path / "bin", tmp_path / "series", tmp_path / "submitted"
    tools.mkdir()
    (tools / "sbatch").write_text(SBATCH.format(python=sys.executable, log=log), encoding="utf-8")
    for name in ("sacct", "sacctmgr", "sshare", "sinfo", "squeue", "scontrol", "scancel"):
        (tools / name).write_text("#!/bin/sh\necho your-account\necho gpu\n", encoding="utf-8")
    for tool in tools.iterdir():
        tool.chmod(0o755)
    profile = tmp_path / "profile"
    profile.mkdir()
    text = (shipped_campaign() / "profiles" / "slurm" / "config.yaml").read_text(encoding="utf-8")
    assert "retries: 5" in text
    (profile / "config.yaml").write_text(text.replace("retries: 5", "retries: 0"), encoding="utf-8")
    settings = read_campaign_settings(TINY)
    write_campaign_settings(folder, settings, ModelFile.named(settings.potential))
    for done in ("glass-1/packed.extxyz", "glass-1/quench/checkpoint.npz", "glass-1/quench/result.json"):
        (folder / "x0.00" / done).parent.mkdir(parents=True, exist_ok=True)
        (folder / "x0.00" / done).touch()
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "mlsim.cli", "campaign", str(TINY), "-o", str(folder), "--profile", str(profile)]
    done_ = subprocess.run(command, capture_output=True, text=True, timeout=230, env=environment)
    if "invalid choice: 'slurm'" in done_.stderr:
        pytest.skip("needs snakemake-executor-plugin-slurm")
    assert done_.returncode == 2, done_.stderr
    jobs = log.read_text(encoding="utf-8").splitlines()
    md = [job for job in jobs if "--allowed-rules md " in job]
    assert len(md) == 2
    for job in md:
        for option in ("-t 480 ", "--mem 16000 ", "--gpus=1 ", "--signal=TERM@180 ", "-p gpu ", "-A your-account "):
            assert option in job
    assert any("--allowed-rules quench " in job and "-t 240 " in job for job in jobs)
    assert not any("--allowed-rules pack " in job for job in jobs)  # seconds: done where the campaign runs


@pytest.mark.slow
@pytest.mark.timeout(1200)
@needs_snakemake
def test_the_whole_graph_runs_survives_a_kill_and_ends_in_one_report(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    command = [sys.executable, "-m", "mlsim.cli", "campaign", str(TINY), "-o", str(folder), "--cores", "2"]
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(folder.glob("*/glass-*/md-*K/checkpoint.npz")) and first.poll() is None:
        time.sleep(0.2)
    first.send_signal(signal.SIGKILL)
    first.wait()
    # a job that ended as the campaign died was not seen to end, so its result is written again from its checkpoint
    markers = (folder / ".snakemake" / "incomplete").iterdir()
    unseen = {folder / base64.urlsafe_b64decode(marker.name).decode() for marker in markers}
    ended = set(folder.glob("*/*/*/result.json")) - unseen
    before = {path: path.stat().st_mtime_ns for path in ended}
    done = subprocess.run(command, capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ended
    assert all(path.stat().st_mtime_ns == when for path, when in before.items())
    body = json.loads((folder / "campaign.json").read_text(encoding="utf-8"))
    assert [system["n_done"] for system in body["systems"]] == [1, 2, 1]
    assert body["cost"]["steps"] > 8 * 1700
    assert any(series["name"] == "density_g_cm3" for series in body["series"])
    assert (folder / "comparisons" / "x0.50--li2zrcl6-crystal.json").exists()
    assert (folder / "report.html").exists()
    again = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, timeout=200)
    assert "all is done; nothing to run" in again.stdout


def test_a_run_stops_when_the_campaign_that_leads_it_has_died() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as leader:
        stop = StopRequest(leading_pid=leader.pid)
        assert not stop
        leader.kill()
        leader.wait()
        assert stop
