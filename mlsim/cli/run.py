"""`mlsim run` and `mlsim report`: the whole study, and its page again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report", "run"]


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


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished `mlsim run`.")],
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the four-panel figure: .png, .pdf or .svg.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the figure if it is there.")] = False,
) -> None:
    """Write DIR/report.html again from DIR/result.json and DIR/series.json."""
    from mlsim.cli.files import require_absent
    from mlsim.report import write_figure, write_report

    if figure is not None:
        require_absent(figure, force)
    if (directory / "campaign.json").is_file():
        typer.echo(f"wrote {_contents_page(directory)}")
        return
    typer.echo(f"wrote {write_report(directory)}")
    if figure is not None:
        typer.echo(f"wrote {write_figure(directory, figure)}")


def _contents_page(directory: Path) -> Path:
    """Write the report of each system of a campaign, and a page that leads to them."""
    import json
    from html import escape

    from mlsim.io.atomic import atomic_write_text
    from mlsim.report import write_report

    body = json.loads((directory / "campaign.json").read_text(encoding="utf-8"))
    lines = [f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{escape(body['title'])}</title><ul>"]
    for system in body["systems"]:
        page = write_report(directory / system["name"])
        link = escape(page.relative_to(directory).as_posix())
        lines.append(f"<li><a href='{link}'>{escape(system['name'])}: {escape(system['formula'])}</a></li>")
    target = directory / "report.html"
    atomic_write_text(target, "\n".join([*lines, "</ul></html>", ""]))
    return target
