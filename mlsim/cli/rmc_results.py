"""What `mlsim rmc` writes: numbers with their errors, configurations, curves, and what the data constrain."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import typer

if TYPE_CHECKING:
    from ase import Atoms

    from mlsim.io.results import QuantityRow
    from mlsim.progress import Progress, StopRequest
    from mlsim.rmc import DataSet, Ensemble, Influence, Refined, RefineSettings

__all__ = ["Wanted", "write_results"]

Pair = tuple[str, str]
_COSTS = ("as_refined_eV", "relaxed_eV", "moved_A", "at_rest")


class Wanted(NamedTuple):
    """Options about what is said of the runs."""

    seed: int
    cutoffs_A: Mapping[Pair, float]
    center: str | None
    potential: str | None
    relax: bool


def write_results(
    output: Path, ensemble: Ensemble, sets: Sequence[DataSet], settings: RefineSettings, wanted: Wanted
) -> None:
    """Write everything into the folder and print the table."""
    from mlsim.cli.display import print_rows
    from mlsim.io.results import Provenance, write_result
    from mlsim.io.structures import write_structure
    from mlsim.melt_quench.checkpoint import settings_sha256
    from mlsim.report.rmc_figure import write_fit_figure, write_influence_figure
    from mlsim.rmc.refine import refinement_settings

    for number, run in enumerate(ensemble.fitted, start=1):
        write_structure(output / f"run_{number:03d}.extxyz", run.atoms)
        _write_curves(output, number, run, sets)
    _write_means(output, ensemble, sets)
    rows = _fit_rows(ensemble, sets) + _soft_rows(ensemble, settings)
    topology, found = _topology(ensemble, wanted)
    rows += _with_verdicts(topology, found)
    sha = None
    if wanted.potential is not None:
        cost, sha = _energy_rows(output, ensemble, wanted)
        rows += cost
    digest = settings_sha256(refinement_settings(ensemble.start, sets, settings, wanted.seed, 0))
    provenance = Provenance.here(potential_sha256=sha, settings_sha256=digest, seed=wanted.seed)
    write_fit_figure(output / "fit.png", ensemble, sets)
    if found:
        _write_influence(output / "influence.json", found)
        write_influence_figure(output / "influence.png", found)
    write_result(output / "result.json", rows, provenance)
    print_rows(rows)
    for line in _bond_counting(ensemble, topology, wanted):
        typer.echo(line)
    _say(ensemble, found)
    typer.echo(f"wrote {output / 'result.json'}")


def _write_curves(output: Path, number: int, run: Refined, sets: Sequence[DataSet]) -> None:
    from mlsim.io.measurements import write_curve_csv
    from mlsim.rmc.refine import scaled

    for data in sets:
        model = scaled(run.models[data.name], run.scales[data.name])
        write_curve_csv(output / f"run_{number:03d}_{data.name}.csv", model)


def _write_means(output: Path, ensemble: Ensemble, sets: Sequence[DataSet]) -> None:
    """Data and mean model side by side: x, data, sigma of the data, model, its standard error over runs."""
    from mlsim.atomic import atomic_write_text
    from mlsim.rmc.refine import scaled

    for data in sets:
        models = np.array([scaled(run.models[data.name], run.scales[data.name]).y for run in ensemble.fitted])
        error = models.std(axis=0, ddof=1) / np.sqrt(len(models)) if len(models) > 1 else np.zeros(len(models[0]))
        lines = ["x,data,data_sigma,model,model_error"]
        for row in zip(data.curve.x, data.curve.y, data.sigma, models.mean(axis=0), error, strict=True):
            lines.append(",".join(f"{value:.8g}" for value in row))
        atomic_write_text(output / f"fit_{data.name}.csv", "\n".join(lines) + "\n")


def _fit_rows(ensemble: Ensemble, sets: Sequence[DataSet]) -> list[QuantityRow]:
    from mlsim.curve import estimate_over
    from mlsim.io.results import QuantityRow

    runs = ensemble.fitted
    rows = []
    for data in sets:
        curve = data.curve
        by = "Q [S − 1]" if curve.quantity.of_q else str(curve.quantity)
        span = f"{data.radiation}, {curve.x[0]:.4g} to {curve.x[-1]:.4g}, pairs to {runs[0].r_end_A:.4g} Å"
        method = f"R value of {by}, {span}; exact curve of the final configuration"
        rows.append(QuantityRow(f"rw_{data.name}", estimate_over([r.rw[data.name] for r in runs], "1"), method))
        start = estimate_over([runs[0].rw_start[data.name]], "1")
        rows.append(QuantityRow(f"rw_start_{data.name}", start, f"R value of {by} of the start"))
        index = sets.index(data)
        chi = [float(r.chi_squared[-1, index]) / len(curve.x) for r in runs]
        rows.append(QuantityRow(f"chi_squared_per_point_{data.name}", estimate_over(chi, "1"), "mean of (miss/sigma)²"))
        if data.fit_scale:
            rows.append(
                QuantityRow(f"scale_{data.name}", estimate_over([r.scales[data.name] for r in runs], "1"), "fitted")
            )
    speed = [r.moves_per_second for r in runs]
    rows += [
        QuantityRow("moves_per_second", estimate_over(speed, "1/s"), "proposed moves per second of one thread"),
        QuantityRow("acceptance", estimate_over([r.acceptance for r in runs], "1"), "accepted of all proposed moves"),
        QuantityRow("refused_fraction", estimate_over([r.refused for r in runs], "1"), "broke a minimum distance"),
        QuantityRow(
            "largest_drift",
            estimate_over([max(r.drift for r in runs)], "1"),
            "kept state against recomputation, relative; largest of all runs",
        ),
        QuantityRow(
            "converged_fraction",
            estimate_over([float(r.convergence.converged) for r in runs], "1"),
            "; ".join(sorted({r.convergence.reason for r in runs})[:3]),
        ),
    ]
    return rows


def _soft_rows(ensemble: Ensemble, settings: RefineSettings) -> list[QuantityRow]:
    """Where the soft constraints ended: what each coordination target reached, and the penalty of all together."""
    from mlsim.curve import estimate_over
    from mlsim.io.results import QuantityRow
    from mlsim.rmc import coordination_reached

    rows = []
    for number, target in enumerate(settings.coordination, start=1):
        pair, within = f"{target.centre}-{target.neighbour}", f"within {target.radius_A:g} Å"
        wanted = f"mean number {within}; asked: {target.mean} ± {target.sigma:g}"
        if target.window is not None:
            span = f"{target.window[0]} to {target.window[1]} {target.neighbour} {within}"
            wanted = f"share of {target.centre} with {span}; asked: {target.share:g} ± {target.sigma:g}"
        reached = [coordination_reached(run.atoms, target) for run in ensemble.fitted]
        name = f"coordination_target_{number}_{pair.lower().replace('-', '_')}"
        rows.append(QuantityRow(name, estimate_over(reached, "1"), wanted))
    if settings.coordination or settings.valence_sigma is not None:
        penalties = [float(run.penalty[-1]) for run in ensemble.fitted]
        method = "sum of (miss/sigma)² of coordination targets and bond valences at the end"
        rows.append(QuantityRow("soft_penalty", estimate_over(penalties, "1"), method))
    return rows


def _topology(ensemble: Ensemble, wanted: Wanted) -> tuple[list[QuantityRow], list[Influence]]:
    """Numbers of the topology over fitted runs, and what the other ensembles say about them."""
    from mlsim.errors import MlsimError
    from mlsim.io.results import QuantityRow
    from mlsim.rmc import influences
    from mlsim.topology import (
        bond_cutoffs,
        counting_method,
        cutoff_effects,
        estimates_over_glasses,
        roles_of,
        topology_of,
    )

    frames = [run.atoms for run in ensemble.fitted]
    try:
        roles = roles_of(ensemble.start, center=wanted.center)
    except MlsimError as error:
        typer.echo(f"note: no topology: {error}", err=True)
        return [], []
    cutoffs = bond_cutoffs(frames, fixed_A=wanted.cutoffs_A)

    def glass(atoms: Atoms) -> Any:
        return topology_of([atoms], cutoffs_A=cutoffs, **roles)

    def numbers(runs: Sequence[Refined]) -> list[dict[str, float]]:
        return [{n: e.value for n, e in estimates_over_glasses([glass(run.atoms)]).items()} for run in runs]

    estimates = estimates_over_glasses([glass(atoms) for atoms in frames])
    effects = cutoff_effects([[atoms] for atoms in frames], cutoffs, **roles)
    rows = []
    for name, estimate in estimates.items():
        low, high = effects.get(name, (np.nan, np.nan))
        effect = f"{low:.4g} to {high:.4g} with all cut-offs 0.1 Å shorter to longer"
        rows.append(QuantityRow(name, estimate, f"{counting_method(name, cutoffs, **roles)}; {effect}"))
    if not ensemble.free:
        return rows, []
    start = {n: e.value for n, e in estimates_over_glasses([glass(ensemble.start)]).items()}
    found = influences(
        start,
        numbers(ensemble.fitted),
        numbers(ensemble.free),
        numbers(ensemble.refitted),
        {n: e.unit for n, e in estimates.items()},
    )
    return rows, found


def _bond_counting(ensemble: Ensemble, rows: Sequence[QuantityRow], wanted: Wanted) -> list[str]:
    from mlsim.cli.analysis import bond_counting_lines
    from mlsim.topology import roles_of

    if not rows:
        return []
    roles = roles_of(ensemble.start, center=wanted.center)
    return bond_counting_lines({r.name: r.estimate for r in rows}, ensemble.start, roles["center"], roles["bridging"])


def _with_verdicts(rows: Sequence[QuantityRow], found: Sequence[Influence]) -> list[QuantityRow]:
    from dataclasses import replace

    verdicts = {i.name: f"{i.verdict} (without data {i.free.value:.4g}); " for i in found}
    return [replace(row, method=verdicts.get(row.name, "") + row.method) for row in rows]


def _write_influence(path: Path, found: Sequence[Influence]) -> None:
    from mlsim.atomic import atomic_write_text

    def number(value: float | None) -> float | None:
        return None if value is None or not np.isfinite(value) else float(value)

    entries = [
        {
            "name": i.name,
            "verdict": i.verdict,
            "start": number(i.start),
            "spread_ratio": number(i.spread_ratio),
            "shift_ratio": number(i.shift_ratio),
            **{
                kind: {"value": e.value, "standard_error": number(e.standard_error), "n_independent": e.n_independent}
                for kind, e in (("fitted", i.fitted), ("free", i.free), ("refitted", i.refitted))
            },
        }
        for i in found
    ]
    atomic_write_text(path, json.dumps(entries, indent=1) + "\n")


def _energy_rows(output: Path, ensemble: Ensemble, wanted: Wanted) -> tuple[list[QuantityRow], str]:
    """What the fits cost in energy; relaxed configurations are written one by one and not made twice."""
    from mlsim.cli.display import study_display
    from mlsim.curve import estimate_over
    from mlsim.io.results import QuantityRow
    from mlsim.progress import stop_on_signals
    from mlsim.study import ModelFile

    source = ModelFile.named(str(wanted.potential))
    calculator, found = source.load(), []
    with stop_on_signals() as stop, study_display(unit="steps") as display:
        for number, run in enumerate(ensemble.fitted, start=1):
            path = output / f"run_{number:03d}_relaxed.extxyz"

            def progress(stage: str, done: float, total: float, label: str = f"fitted {number:03d}") -> None:
                display(label, stage, done, total)

            key = f"{source.sha256[:16]} {_sha256_of(ensemble.start, run.atoms)}"
            cost = _cost_of(path, key) if wanted.relax else None
            found.append(cost or _new_cost(path, key, ensemble.start, run.atoms, calculator, wanted, (progress, stop)))
    method = f"energy of the refined less that of the start, per atom, {source.name}"
    as_refined = estimate_over([cost["as_refined_eV"] for cost in found], "eV")
    rows = [QuantityRow("fit_energy_cost_eV_per_atom", as_refined, method)]
    if wanted.relax:
        rest = sum(bool(cost["at_rest"]) for cost in found)
        method = f"the same after relaxation at constant cell; {rest} of {len(found)} came to rest in 300 steps"
        relaxed = estimate_over([cost["relaxed_eV"] for cost in found], "eV")
        rows.append(QuantityRow("relaxed_energy_cost_eV_per_atom", relaxed, method))
        moved = estimate_over([cost["moved_A"] for cost in found], "Å")
        rows.append(QuantityRow("relaxation_displacement_A", moved, "root mean square over atoms"))
    return rows, source.sha256


def _new_cost(
    path: Path,
    key: str,
    start: Atoms,
    refined: Atoms,
    calculator: Any,
    wanted: Wanted,
    watched: tuple[Progress, StopRequest],
) -> dict[str, float]:
    from mlsim.io.structures import write_structure
    from mlsim.rmc import energy_costs

    progress, stop = watched
    (cost,) = energy_costs(start, [refined], calculator, relax=wanted.relax, progress=progress, stop=stop)
    if cost.relaxed is None:
        return {"as_refined_eV": cost.as_refined_eV}
    numbers = {name: float(getattr(cost, name)) for name in _COSTS}
    cost.relaxed.info.update(relaxed_of=key, **numbers)
    write_structure(path, cost.relaxed)
    return numbers


def _cost_of(path: Path, key: str) -> dict[str, float] | None:
    """What an earlier command noted in a relaxed configuration, if it is of this run and this potential."""
    from mlsim.io.structures import read_structure

    if not path.exists():
        return None
    info = read_structure(path).info
    return {name: float(info[name]) for name in _COSTS} if info.get("relaxed_of") == key else None


def _sha256_of(*structures: Atoms) -> str:
    digest = hashlib.sha256()
    for atoms in structures:
        digest.update(np.ascontiguousarray(atoms.positions).tobytes())
    return digest.hexdigest()[:16]


def _say(ensemble: Ensemble, found: Sequence[Influence]) -> None:
    for note in ensemble.notes:
        typer.echo(f"note: {note}", err=True)
    for number, run in enumerate(ensemble.fitted, start=1):
        if not run.convergence.converged:
            typer.echo(f"note: run {number} has not converged: {run.convergence.reason}", err=True)
    if found:
        typer.echo("what the data constrain (fitted | without data | refitted from there)")
        for i in found:
            typer.echo(f"  {i.name}: {i.fitted} | {i.free} | {i.refitted}: {i.verdict}")
    elif len(ensemble.fitted) > 1:
        typer.echo("note: no runs without data (--free-runs 0): what the data constrain is not judged", err=True)
