"""`mlsim run` and `mlsim quench-series`: the whole study, and its glasses at several rates."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mlsim.study import QuenchRate

__all__ = ["quench_series", "run"]

_SHOWN = re.compile(
    r"density_g_cm3|potential_energy_eV_per_atom|\w+_coordination|\w+_(corner_[a-z]+|edge|face)_fraction"
)


def run(
    study: Annotated[
        Path | None, typer.Argument(metavar="STUDY.yaml", help="Settings; the Li3ZrCl4O1.5 study when left out.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="quick (minutes, the default) or production (publication).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; NAME-PRESET when left out.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Glasses at a time; one per processor when left out.")] = None,
) -> None:
    """Do the whole job: pack, melt, quench, scattering, topology, lithium transport, comparison, report.

    Interrupt it anywhere: the same command goes on where it stopped.
    """
    from mlsim.cli.display import announced, print_outcome, study_display
    from mlsim.progress import stop_on_signals
    from mlsim.study import read_study, run_study

    settings = read_study(study, preset=preset)
    directory = out if out is not None else Path(f"{settings.name}-{settings.preset}")
    announced(settings, directory)
    with stop_on_signals() as stop, study_display() as display:
        outcome = run_study(settings, directory, jobs=jobs, progress=display, stop=stop)
    print_outcome(outcome)


def quench_series(
    rates: Annotated[list[float], typer.Option("--rate-K-per-ps", help="Cooling rates: --rate-K-per-ps 100 50 25.")],
    study: Annotated[
        Path | None, typer.Argument(metavar="STUDY.yaml", help="Settings; the Li3ZrCl4O1.5 study when left out.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="quick (the default) or production.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; NAME-rates when left out.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Glasses at a time; one per processor when left out.")] = None,
) -> None:
    """Make the glasses of a study at several quench rates; what changes, with errors over glasses.

    Each rate is a study without transport in DIR/rate-<K/ps>/, glass n starts from the same packing in all of them.
    Interrupt it anywhere: the same command goes on where it stopped.
    """
    from mlsim.cli.display import study_display
    from mlsim.progress import stop_on_signals
    from mlsim.study import read_study, run_quench_series

    settings = read_study(study, preset=preset)
    directory = out if out is not None else Path(f"{settings.name}-rates")
    with stop_on_signals() as stop, study_display() as display:
        series = run_quench_series(settings, rates, directory, jobs=jobs, progress=display, stop=stop)
    _print_series(series)
    typer.echo(f"wrote {directory / 'rates.csv'} (all quantities) and {directory / 'result.json'} (changes per decade)")


def _print_series(series: tuple[QuenchRate, ...]) -> None:
    from mlsim.cli.display import print_table
    from mlsim.report.words import label_of, number_text, unit_text
    from mlsim.study import changes_per_decade

    changes = {row.name.removesuffix("_per_decade_of_rate"): row.estimate for row in changes_per_decade(series)}
    rows = []
    for name, change in changes.items():
        if not _SHOWN.fullmatch(name):
            continue
        found = [row.estimate for one in series for row in one.rows if row.name == name]
        texts = [number_text(e.value, e.standard_error) for e in (*found, change)]
        unit = unit_text(change.unit)
        rows.append([f"{label_of(name)[0]}{f', {unit}' if unit else ''}", *texts, ""])
    n = series[0].rows[0].estimate.n_independent
    print_table(
        ["quantity", *(f"{one.rate_K_per_ps:g} K/ps" for one in series), "per tenfold rate", ""],
        rows,
        f"± one standard error over {n} independent glasses at each rate",
    )
