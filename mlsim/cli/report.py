"""`mlsim report`: the page of one run, or of a series of runs, its Markdown and its figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    directories: Annotated[
        list[Path],
        typer.Argument(metavar="DIR...", help="Folder of a run, several of them, or the folder of a campaign."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report of a series; DIR itself for one run or a campaign.")
    ] = None,
    figures: Annotated[str, typer.Option(help="Formats in DIR/figures: some of png,pdf,svg, or none.")] = "png,pdf,svg",
    figure: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the four-panel figure: .png, .pdf or .svg.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Write report.html, report.md and figures from the results that lie in DIR.

    One run: result.json, series.json, study.json and rmc/ of `mlsim run` and `mlsim rmc`; what is missing is said in
    the report. Several runs, or campaign.json: one report of the series. Runs of different potentials or settings are
    refused with the difference.
    """
    from mlsim.cli.files import require_absent
    from mlsim.errors import SettingsError
    from mlsim.io.campaign import CAMPAIGN
    from mlsim.report import write_figure, write_markdown_report, write_report
    from mlsim.report.figures import checked_formats
    from mlsim.report.series_page import write_series_report

    formats = checked_formats(figures)
    if figure is not None:
        require_absent(figure, force)
    series = len(directories) > 1 or (directories[0] / CAMPAIGN).is_file()
    if series and figure is not None:
        raise SettingsError("--figure draws one run; give a single folder")
    if series:
        for path in write_series_report(directories, out, formats=formats):
            typer.echo(f"wrote {path}")
        return
    if out is not None:
        raise SettingsError("--out is for the report of a series; that of one run lies in its folder")
    typer.echo(f"wrote {write_report(directories[0])}")
    typer.echo(f"wrote {write_markdown_report(directories[0], formats=formats)}")
    if formats:
        typer.echo(f"wrote {directories[0] / 'figures'}/")
    if figure is not None:
        typer.echo(f"wrote {write_figure(directories[0], figure)}")
