"""Results of the runs of a campaign, put together: numbers and curves of each system, then all systems side by side.

Everything is read from the files that single commands wrote. A run of another potential, or made with other settings
than its campaign's, is refused with the difference; what is not there yet is said, and the rest is collected.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlsim.atomic import atomic_write_text
from mlsim.curve import estimate_over
from mlsim.errors import DataError, SettingsError
from mlsim.io.published import published_sample
from mlsim.io.results import Provenance, QuantityRow, Result, provenance_as_json, read_result, row_as_json, write_result
from mlsim.io.series import read_series, write_series
from mlsim.io.structures import read_structure
from mlsim.io.trajectories import MERGED_NAME
from mlsim.melt_quench import Schedule, hold_schedule
from mlsim.melt_quench.checkpoint import FILE_NAME as CHECKPOINT_FILE
from mlsim.melt_quench.checkpoint import read_checkpoint
from mlsim.study.campaign import CampaignSettings, RunSettings, campaign_of
from mlsim.study.cost import measured_speed, total_cost
from mlsim.study.manifest import settings_difference
from mlsim.units import G_CM3_PER_U_A3

__all__ = ["CAMPAIGN_FILE", "SystemFolder", "collect_campaign", "collect_system"]

CAMPAIGN_FILE: Final = "campaign.json"
_ANALYSES: Final = ("topology", "transport", "mechanism")
_COLUMNS: Final = ("system", "x", "phase", "value", "standard_error", "n_independent", "upper_bound")
_SHOWN: Final = 4  # differences in one error line


@dataclass(frozen=True)
class SystemFolder:
    """One system of a campaign and its folder.

    Attributes
    ----------
    directory
        Folder of the campaign.
    name
        Of the system.
    settings, potential_sha256
        Of the campaign.
    """

    directory: Path
    name: str
    settings: CampaignSettings
    potential_sha256: str

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.directory / self.name

    @property
    def is_glass(self) -> bool:
        """Whether it is quenched, not taken from a crystal."""
        return self.settings.systems[self.name].crystal is None

    @property
    def run_folders(self) -> tuple[Path, ...]:
        """Folders of its glasses or runs."""
        return tuple(self.folder / run for run in self.settings.systems[self.name].run_names)

    @property
    def stages(self) -> dict[str, Schedule]:
        """Name of the folder of each stage of a run, and its schedule."""
        stages = {"quench": self.settings.quench} if self.is_glass else {}
        stages["structure"] = _hold(self.settings.structure, self.settings.structure.temperature_K)
        return stages | {f"md-{t:g}K": _hold(self.settings.md, t) for t in self.settings.md.temperatures_K}

    def ended(self, stage: str) -> list[Path]:
        """Return the folders of a stage, one per run, whose run has ended."""
        return [run / stage for run in self.run_folders if (run / stage / "result.json").exists()]

    @property
    def n_done(self) -> int:
        """Runs whose every stage has ended."""
        return sum(all((run / stage / "result.json").exists() for stage in self.stages) for run in self.run_folders)

    def is_outdated(self, analysis: str) -> bool:
        """Whether a run that the analysis is made from has ended since."""
        made = (self.folder / f"{analysis}.json").stat().st_mtime_ns
        stages = ("structure",) if analysis == "topology" else tuple(s for s in self.stages if s.startswith("md-"))
        return any((run / "result.json").stat().st_mtime_ns > made for stage in stages for run in self.ended(stage))

    def without_trajectory(self, stage: str) -> list[Path]:
        """Return the folders of ended runs whose frames (of a quench: the log in its checkpoint) are not kept."""
        kept = CHECKPOINT_FILE if stage == "quench" else MERGED_NAME
        return [folder for folder in self.ended(stage) if not (folder / kept).exists()]

    def changed_settings(self) -> list[str]:
        """Return how the settings of `result.json` differ from those wanted now, as `key was X, now Y`."""
        from mlsim.study.system_series import made_with  # the analysis is slow to import

        path = self.folder / "series.json"
        made = read_series(path).settings if path.exists() else None
        wanted = json.loads(json.dumps(made_with(self)))
        return [] if made is None else settings_difference(json.loads(json.dumps(made)), wanted)

    @property
    def is_collected(self) -> bool:
        """Whether `result.json` and `series.json` are there, made with these settings, and no run has ended since."""
        own = [self.folder / name for name in ("result.json", "series.json")]
        if not all(path.exists() for path in own) or self.changed_settings():
            return False
        made_from = [
            *(folder / "result.json" for stage in (*self.stages, "rmc") for folder in self.ended(stage)),
            *(path for name in _ANALYSES if (path := self.folder / f"{name}.json").exists()),
        ]
        made = min(path.stat().st_mtime_ns for path in own)
        return all(path.stat().st_mtime_ns <= made for path in made_from)

    def require_own_runs(self) -> None:
        """Raise SettingsError if a run was made with another potential or schedule than the campaign says."""
        for stage, schedule in self.stages.items():
            for folder in self.ended(stage):
                made = read_result(folder / "result.json").provenance
                seed = self.settings.seed_of(self.name, folder.parent.name)
                differences = _differences(folder, made, self.potential_sha256, schedule, seed)
                if differences:
                    more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
                    raise SettingsError(
                        f"{folder}: was made with other settings than this campaign's: "
                        f"{'; '.join(differences[:_SHOWN])}{more}; results of both cannot stand together: move it away"
                    )

    def missing(self) -> list[str]:
        """Return what is not there, a sentence each."""
        lines = []
        for stage in self.stages:
            absent = [run.name for run in self.run_folders if not (run / stage / "result.json").exists()]
            if absent:
                lines.append(f"{stage}: not finished in {', '.join(absent)}")
        for name in _ANALYSES:
            if not (self.folder / f"{name}.json").exists():
                lines.append(f"{name}.json is not there")
            elif self.is_outdated(name):
                lines.append(
                    f"{name}.json is older than a run that it is made from; make it again if it lacks that run"
                )
        changed = self.changed_settings()
        if changed:
            more = f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
            lines.append(f"its numbers were made with other settings: {'; '.join(changed[:_SHOWN])}{more}")
        measured = {entry.system for entry in self.settings.measurements}
        if measured and self.name not in measured:
            lines.append("no RMC: the campaign names no measured curve of this system")
        elif measured:
            absent = [run.name for run in self.run_folders if not (run / "rmc" / "result.json").exists()]
            lines += [f"RMC not finished in {', '.join(absent)}"] if absent else []
        return lines


def collect_system(directory: Path, name: str) -> list[QuantityRow]:
    """Write `result.json` and `series.json` of one system from what is there, and return its numbers.

    Raises
    ------
    DataError
        If the folder is no campaign's, or a file cannot be read.
    SettingsError
        If there is no such system, or a run was made with another potential or other settings.
    """
    settings, sha256 = campaign_of(directory)
    if name not in settings.systems:
        raise SettingsError(f"{directory}: no system is called '{name}'; it has {', '.join(settings.systems)}")
    system = SystemFolder(directory, name, settings, sha256)
    system.require_own_runs()
    rows = _with_references(_rows(system), settings.systems[name].formula if system.is_glass else None)
    if not rows:
        raise DataError(f"{system.folder}: no run has ended yet; nothing to collect")
    from mlsim.study.system_series import series_of_system  # the analysis is slow to import

    write_series(system.folder / "series.json", series_of_system(system))
    write_result(system.folder / "result.json", rows, _provenance(settings, sha256))
    return rows


def collect_campaign(directory: Path) -> Path:
    """Write `campaign.json` and the tables of a campaign from the results of its systems, and return its path.

    Raises
    ------
    DataError
        If the folder is no campaign's, or a file cannot be read.
    SettingsError
        If a run was made with another potential or other settings.
    """
    settings, sha256 = campaign_of(directory)
    systems = [SystemFolder(directory, name, settings, sha256) for name in settings.systems]
    for system in systems:
        system.require_own_runs()
    results = {
        system.name: read_result(system.folder / "result.json")
        for system in systems
        if (system.folder / "result.json").exists()
    }
    missing = []
    if not settings.measurements:
        missing.append(
            "no measured curve was given, so nothing was refined by RMC and no Rw is known; name yours under "
            "'measurements' in the config"
        )
    open_pairs = [f"{a} with {b}" for a, b in settings.comparisons if not {a, b} <= results.keys()]
    missing += [f"not compared yet: {', '.join(open_pairs)}"] if open_pairs else []
    series = _series(settings, results)
    body = {
        "title": settings.title,
        "mobile": settings.mobile,
        "potential": {"name": Path(settings.potential).name, "sha256": sha256},
        "settings": settings.model_dump(mode="json"),
        "systems": [_system_json(system) for system in systems],
        "series": series,
        "comparisons": [_comparison_json(directory, a, b) for a, b in settings.comparisons if {a, b} <= results.keys()],
        "measurements": [
            {"system": m.system, "file": m.file, "quantity": str(m.quantity), "radiation": m.radiation}
            for m in settings.measurements
        ],
        "cost": _cost_json(systems),
        "missing": missing,
        "provenance": provenance_as_json(directory / CAMPAIGN_FILE, _provenance(settings, sha256)),
    }
    _write_tables(directory / "tables", series)
    target = directory / CAMPAIGN_FILE
    atomic_write_text(target, json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return target


def _comparison_json(directory: Path, first: str, second: str) -> dict[str, str | None]:
    file = f"comparisons/{first}--{second}.json"
    return {"first": first, "second": second, "file": file if (directory / file).exists() else None}


def _hold(run: RunSettings, temperature_K: float) -> Schedule:
    return hold_schedule(temperature_K, run.time_ps, equilibration_ps=run.equilibration_ps, timestep_fs=run.timestep_fs)


def _differences(folder: Path, made: Provenance, sha256: str, schedule: Schedule, seed: int) -> list[str]:
    """Return how a run differs from what the campaign says, each as `key was X, now Y`."""
    if made.potential_sha256 == sha256 and made.settings_sha256 == schedule.sha256 and made.seed == seed:
        return []
    wanted = {"potential_sha256": sha256, "seed": seed, "schedule": schedule.model_dump(mode="json")}
    checkpoint = read_checkpoint(folder)
    if checkpoint is not None:
        found = {key: checkpoint.settings.get(key) for key in wanted}
    else:
        found = {**wanted, "potential_sha256": made.potential_sha256, "seed": made.seed}
        if made.settings_sha256 != schedule.sha256:
            found["schedule"] = made.settings_sha256
            wanted["schedule"] = schedule.sha256
    return settings_difference(found, wanted) or [f"settings_sha256 was {made.settings_sha256}"]


def _rows(system: SystemFolder) -> list[QuantityRow]:
    """Return the numbers of all analyses that are there: density, structure, transport, mechanism, refinement."""
    rows = _density(system)
    for name in _ANALYSES:
        path = system.folder / f"{name}.json"
        if path.exists():
            rows += read_result(path).rows
    found: dict[tuple[str, float | None], QuantityRow] = {}
    for row in (*rows, *_refinement(system, {row.name for row in rows})):
        found.setdefault((row.name, row.temperature_K), row)
    return list(found.values())


def _density(system: SystemFolder) -> list[QuantityRow]:
    if system.is_glass:
        results = [read_result(folder / "result.json").row("density_g_cm3") for folder in system.ended("quench")]
        values = [row.estimate.value for row in results if row is not None]
        last = system.settings.quench.segments[-1]
        method = f"{last.ensemble.upper()} at {last.end_K:g} K after the quench"
        return [QuantityRow("density_g_cm3", estimate_over(values, "g/cm3"), method)] if values else []
    path = system.folder / "crystal.extxyz"
    if not path.exists():
        return []
    atoms = read_structure(path)
    density = float(atoms.get_masses().sum()) / float(atoms.get_volume()) * G_CM3_PER_U_A3
    return [QuantityRow("density_g_cm3", estimate_over([density], "g/cm3"), "cell relaxed at 0 K")]


def _refinement(system: SystemFolder, known: Collection[str]) -> list[QuantityRow]:
    """Return means over glasses of what the refinements gave: rw_..., and rmc_... of the numbers known of the glass."""
    results = [read_result(path) for run in system.run_folders if (path := run / "rmc" / "result.json").exists()]
    every: dict[tuple[str, float | None], QuantityRow] = {}
    for result in results:
        for row in result.rows:
            every.setdefault((row.name, row.temperature_K), row)
    rows = []
    for row in every.values():
        if not (row.name.startswith("rw_") or row.name in known):
            continue
        found = [(result, result.row(row.name, row.temperature_K)) for result in results]
        there = [
            0.0 if own is None else own.estimate.value
            for result, own in found
            if own is not None or _counted_otherwise(row, result)
        ]
        name = row.name if row.name.startswith("rw_") else f"rmc_{row.name}"
        method = f"RMC of {len(there)} glasses: {row.method}"
        rows.append(QuantityRow(name, estimate_over(there, row.estimate.unit), method, row.temperature_K))
    return rows


def _counted_otherwise(row: QuantityRow, result: Result) -> bool:
    """Whether a result counted polyhedra and found none of this one, which it does not name then."""
    kind = "polyhedron_"
    return row.name.startswith(kind) and any(other.name.startswith(kind) for other in result.rows)


def _with_references(rows: Iterable[QuantityRow], formula: str | None) -> list[QuantityRow]:
    """Return the rows with the published values of a glass beside them."""
    published = None if formula is None else published_sample(formula)
    if published is None:
        return list(rows)
    return [
        replace(row, reference=row.reference or (published.reference_for(row.name) if not row.temperature_K else None))
        for row in rows
    ]


def _provenance(settings: CampaignSettings, sha256: str) -> Provenance:
    from mlsim.melt_quench.checkpoint import settings_sha256

    return Provenance.here(
        potential_sha256=sha256, settings_sha256=settings_sha256(settings.trajectories), seed=settings.seed
    )


def _system_json(system: SystemFolder) -> dict[str, Any]:
    settings = system.settings.systems[system.name]
    start = system.folder / "crystal.extxyz"
    first = next(iter(system.ended("quench")), None)
    structure = start if not system.is_glass and start.exists() else None if first is None else first / "glass.extxyz"
    files = {name: system.folder / f"{name}.json" for name in _ANALYSES}
    files |= {f"{name}_figure": system.folder / f"{name}.png" for name in ("transport", "mechanism")}
    files |= {f"{name}_notes": system.folder / f"{name}.txt" for name in ("transport", "mechanism")}
    files |= {curve: system.folder / "scattering" / f"{curve}.csv" for curve in system.settings.scattering.curves}
    if structure is not None:
        files["structure"] = structure
    n_runs = len(system.run_folders)
    return {
        "name": system.name,
        "formula": settings.formula,
        "x": settings.x,
        "phase": "amorphous" if system.is_glass else "crystalline",
        "result": f"{system.name}/result.json",
        "n_runs": n_runs,
        "n_done": system.n_done,
        "n_atoms": settings.atoms if structure is None else len(read_structure(structure)),
        "temperatures_K": [t for t in system.settings.md.temperatures_K if len(system.ended(f"md-{t:g}K")) == n_runs],
        "files": {name: str(path.relative_to(system.directory)) for name, path in files.items() if path.exists()},
        "rmc": [
            f"{system.name}/{run.name}/rmc" for run in system.run_folders if (run / "rmc" / "result.json").exists()
        ],
        "notes": [f"{name}: {line}" for name in ("transport", "mechanism") for line in _notes(system.folder, name)],
        "missing": system.missing() if (system.folder / "result.json").exists() else [],
    }


def _notes(folder: Path, name: str) -> list[str]:
    """Return the sentences that a command had to say beside its numbers."""
    path = folder / f"{name}.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    own = [line.removeprefix("note: ") for line in lines if line.startswith("note: ")]
    return [line for line in own if "trajectory.h5" not in line]


def _series(settings: CampaignSettings, results: Mapping[str, Result]) -> list[dict[str, Any]]:
    """Return every quantity that two systems or more have, in the order of the first that has it."""
    keys = dict.fromkeys((row.name, row.temperature_K) for result in results.values() for row in result.rows)
    series = []
    for name, temperature in keys:
        points, units = [], set()
        for system, result in results.items():
            row = result.row(name, temperature)
            if row is None or not math.isfinite(row.estimate.value):
                continue
            units.add(row.estimate.unit)
            body = row_as_json(row)
            points.append(
                {
                    "system": system,
                    "x": settings.systems[system].x,
                    "phase": "amorphous" if settings.systems[system].crystal is None else "crystalline",
                    **{key: body[key] for key in ("value", "standard_error", "n_independent")},
                    "upper_bound": row.is_upper_bound,
                }
            )
        if len(units) > 1:
            raise DataError(
                f"{name}: given in {' and in '.join(sorted(units))} by different systems; collect them again"
            )
        if len(points) > 1:
            series.append({"name": name, "unit": units.pop(), "temperature_K": temperature, "points": points})
    return series


def _write_tables(folder: Path, series: Sequence[Mapping[str, Any]]) -> None:
    """Write each quantity of all systems as CSV; tables of ours of quantities that are gone go too."""
    kept = {_write_table(folder, one) for one in series}
    for path in set(folder.glob("*.csv")) - kept:
        if path.read_text(encoding="utf-8", errors="replace").partition("\n")[0] == ",".join(_COLUMNS):
            path.unlink()


def _write_table(folder: Path, series: Mapping[str, Any]) -> Path:
    """Write one quantity of all systems as CSV and return its path."""
    at = "" if series["temperature_K"] is None else f"_{series['temperature_K']:g}K"
    lines = [",".join(_COLUMNS)]
    for point in series["points"]:
        lines.append(",".join(_cell(point[column]) for column in _COLUMNS))
    path = folder / f"{series['name']}{at}.csv"
    atomic_write_text(path, "\n".join(lines) + "\n")
    return path


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return (
        f"{value:.10g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
    )


def _cost_json(systems: Sequence[SystemFolder]) -> dict[str, Any]:
    costs = total_cost(run / stage for system in systems for run in system.run_folders for stage in system.stages)
    dates = sorted(cost.date for cost in costs)
    return {
        "processor_s": sum(cost.processor_s for cost in costs),
        "wall_s": sum(cost.wall_s for cost in costs),
        "steps": sum(cost.steps for cost in costs),
        "atom_steps_per_s": measured_speed(costs),
        "starts": len(costs),
        "first": dates[0] if dates else "",
        "last": dates[-1] if dates else "",
    }
