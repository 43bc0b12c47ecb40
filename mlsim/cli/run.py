"""`mlsim run`: the whole study."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["run"]


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
