"""A series of quench rates: the same study at each, and what changes with the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import SettingsError
from mlsim.io.results import Provenance, QuantityRow, write_result
from mlsim.io.tables import write_rates_csv
from mlsim.melt_quench import Glass
from mlsim.progress import StopRequest
from mlsim.study.glass_stages import GlassTask, finished_glass, total_steps
from mlsim.study.potentials import ModelFile, PotentialSource
from mlsim.study.runner import StudyProgress, run_study
from mlsim.study.settings import StudySettings

__all__ = ["QuenchRate", "changes_per_decade", "run_quench_series"]

ENERGY: Final = "potential_energy_eV_per_atom"
_DISCARDED: Final = 0.5  # of the last segment, as for the density


@dataclass(frozen=True)
class QuenchRate:
    """Glasses quenched at one rate.

    Attributes
    ----------
    rate_K_per_ps
        K/ps, of all ramps of the schedule.
    directory
        Folder of the study at this rate.
    rows
        Its numbers over glasses, and the potential energy per atom.
    """

    rate_K_per_ps: float
    directory: Path
    rows: tuple[QuantityRow, ...]


def run_quench_series(
    settings: StudySettings,
    rates_K_per_ps: Sequence[float],
    directory: Path | str,
    *,
    jobs: int | None = None,
    progress: StudyProgress | None = None,
    stop: StopRequest | None = None,
    potential: PotentialSource | None = None,
) -> tuple[QuenchRate, ...]:
    """Do a study without transport at each rate, fastest first, and write what changes with the rate.

    Each rate is a study of its own in `directory/rate-<K/ps>/`; glass n starts from the same packing at every rate.
    `directory/rates.csv` has one row per quantity and rate, `directory/result.json` the change of each quantity per
    tenfold rate.

    Parameters
    ----------
    settings
        From `read_study`; its schedule gets each rate in turn (`Schedule.with_rate`).
    rates_K_per_ps
        At least two, positive and different, K/ps.
    directory
        Folder of the series; what is there of it already is not done again.
    jobs, progress, stop, potential
        As in `run_study`; labels begin with the rate.

    Returns
    -------
    tuple of QuenchRate
        Fastest first.

    Raises
    ------
    SettingsError
        When the rates cannot be used, or a folder was begun with other settings.
    Interrupted
        When stopped; the same call goes on.

    Notes
    -----
    Glasses of one number share the melt at all rates. Errors are over glasses of one rate, and the error of the
    change takes the rates as independent.
    """
    rates = sorted({float(rate) for rate in rates_K_per_ps}, reverse=True)
    if len(rates) < 2 or len(rates) != len(rates_K_per_ps):
        shown = ", ".join(f"{rate:g}" for rate in rates_K_per_ps)
        raise SettingsError(f"quench series: rates {shown} K/ps, expected at least two that differ, each once")
    # all settings are made before the first step, so that a bad rate costs nothing
    studies = [_at_rate(settings, rate) for rate in rates]
    source = ModelFile.named(settings.potential) if potential is None else potential
    folder = Path(directory)
    done: list[QuenchRate] = []
    if progress is not None:  # so that the time left is that of the series
        for rate, study in zip(rates, studies, strict=True):
            for number in range(1, study.glasses.number + 1):
                _labelled(progress, rate)(f"glass {number}", "waiting", 0, total_steps(study))
    for rate, study in zip(rates, studies, strict=True):
        outcome = run_study(
            study,
            folder / f"rate-{rate:g}",
            jobs=jobs,
            progress=None if progress is None else _labelled(progress, rate),
            stop=stop,
            potential=source,
        )
        tasks = [GlassTask(n, study, outcome.directory.resolve(), source) for n in range(1, study.glasses.number + 1)]
        energy = estimate_over([_energy_per_atom_eV(finished_glass(task)) for task in tasks], "eV")
        row = QuantityRow(ENERGY, energy, "mean over the second half of the last segment")
        done.append(QuenchRate(rate, outcome.directory, (outcome.rows[0], row, *outcome.rows[1:])))
    changes = changes_per_decade(done)
    write_rates_csv(folder / "rates.csv", [(one.rate_K_per_ps, row) for one in done for row in one.rows])
    provenance = Provenance.here(potential_sha256=source.sha256, settings_sha256=studies[0].sha256, seed=settings.seed)
    write_result(folder / "result.json", changes, provenance)
    return tuple(done)


def changes_per_decade(series: Sequence[QuenchRate]) -> list[QuantityRow]:
    """Return by how much each quantity changes when the rate is ten times as high.

    The slope of an unweighted straight line in the decimal logarithm of the rate, b = sum a_i y_i with
    a_i = (x_i − x̄) / sum (x_j − x̄)², and its error, sqrt(sum a_i² s_i²), from the errors s_i over glasses.

    Parameters
    ----------
    series
        At least two rates. Quantities that one of them lacks are left out.

    Returns
    -------
    list of QuantityRow
        Named `<quantity>_per_decade_of_rate`; `n_independent` counts the glasses at all rates.
    """
    x = np.log10([one.rate_K_per_ps for one in series])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    tables = [{row.name: row.estimate for row in one.rows} for one in series]
    rows = []
    for name in tables[0]:
        if any(name not in table for table in tables):
            continue
        estimates = [table[name] for table in tables]
        errors = [estimate.standard_error for estimate in estimates]
        error = None if None in errors else float(np.sqrt(((weights * np.array(errors, dtype=float)) ** 2).sum()))
        values = np.array([estimate.value for estimate in estimates])
        slope = float(weights @ (values - values.mean()))  # weights add up to nothing, exactly only without rounding
        n = sum(estimate.n_independent for estimate in estimates)
        method = f"slope against the decimal logarithm of the quench rate, {len(series)} rates"
        rows.append(QuantityRow(f"{name}_per_decade_of_rate", Estimate(slope, error, n, estimates[0].unit), method))
    return rows


def _at_rate(settings: StudySettings, rate_K_per_ps: float) -> StudySettings:
    schedule = settings.melt_quench.with_rate(rate_K_per_ps)
    return settings.model_copy(update={"melt_quench": schedule, "transport": None})


def _labelled(progress: StudyProgress, rate_K_per_ps: float) -> StudyProgress:
    return lambda label, *state: progress(f"{rate_K_per_ps:g} K/ps, {label}", *state)


def _energy_per_atom_eV(glass: Glass) -> float:
    """Mean potential energy per atom at the end, over as long as the density is averaged."""
    last = glass.log.segment == len(glass.schedule.segments) - 1
    energy = glass.log.potential_energy_eV[last]
    return float(energy[int(_DISCARDED * len(energy)) :].mean()) / len(glass.atoms)
