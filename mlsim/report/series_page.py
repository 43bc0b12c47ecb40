"""The report of a series: its answer and its trends on top, every member folded below."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from mlsim.errors import SettingsError
from mlsim.io.atomic import atomic_write_text
from mlsim.io.campaign import CAMPAIGN, Campaign, CampaignCost
from mlsim.report.comparison import compared
from mlsim.report.convergence import COMMITTEE_ABOVE, share_above_warning
from mlsim.report.figure import FORMATS
from mlsim.report.figures import save_figure
from mlsim.report.ions import Ions
from mlsim.report.methods import all_settings, series_methods
from mlsim.report.mixed import refuse_mixed_series
from mlsim.report.page import page_text, scenes_of, templates
from mlsim.report.series_charts import axes_of, draw_against_composition, ions_of_members, series_alts, series_charts
from mlsim.report.series_comparisons import compared_systems
from mlsim.report.series_points import OF_LINE, Member, campaign_members, folder_members, points_of
from mlsim.report.series_summary import series_summary
from mlsim.report.view import View, view_of
from mlsim.report.words import join_words, published_text, value_text

__all__ = ["SeriesRow", "series_rows", "write_series_report"]

_DETAILS: Final = re.compile(r" \((?![\d., and]+ K\))[^()]*\)")
"""What stands in brackets, but for temperatures."""


@dataclass(frozen=True)
class SeriesRow:
    """One member in the table on top: numbers, published ones, differences and caveats as text, by quantity."""

    member: Member
    ours: dict[str, str]
    published: dict[str, str]
    difference: dict[str, str]
    caveats: dict[str, str]
    n: int


def write_series_report(
    directories: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str] | None = None,
    *,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write `report.html`, `report.md` and figures of a series, and return the paths of the two reports.

    Parameters
    ----------
    directories
        Folders of runs, or the one folder of a campaign, with campaign.json.
    out
        Folder of the report; that of the campaign when left out.
    formats
        Suffixes of the figures.

    Raises
    ------
    DataError
        When a file does not follow its form.
    SettingsError
        When runs differ in potential or settings, or `out` is missing for several folders.
    """
    folders = [Path(directory) for directory in directories]
    campaign: Campaign | None = None
    if len(folders) == 1:
        campaign, members = campaign_members(folders[0])
    else:
        nested = [folder for folder in folders if (folder / CAMPAIGN).is_file()]
        if nested:
            raise SettingsError(f"{nested[0]}: is the folder of a campaign; report it alone")
        members = folder_members(folders)
    if out is None and campaign is None:
        raise SettingsError("--out is missing: several folders need a folder for their common report")
    folder = folders[0] if out is None else Path(out)
    refuse_mixed_series([(member.label, member.run) for member in members if member.run is not None])
    words = _words(members, campaign)
    charts, scenes = dict(words["charts"]), {}
    for view in words["views"]:
        charts.update(view.charts)
        scenes.update(scenes_of(view))
    names = _figures(members, folder, formats)
    page, text = folder / "report.html", folder / "report.md"
    atomic_write_text(page, page_text("series.html.j2", words, charts, scenes))
    markdown = templates(html=False).get_template("series.md.j2").render(**words, figures=names)
    atomic_write_text(text, markdown.strip() + "\n")
    return [page, text]


def series_rows(members: Sequence[Member]) -> list[SeriesRow]:
    """Return the table on top, a row per member."""
    rows, columns = [], _columns(members)
    for member in members:
        found = {name: row for name in columns if (row := member.row(name)) is not None}
        ours = {name: value_text(row) for name, row in found.items()}
        known = {name: ref for name in columns if (ref := member.published(name)) is not None}
        published = {
            name: published_text(ref.value, ref.standard_error) + (" †" if ref.standard_error is None else "")
            for name, ref in known.items()
        }
        n = max((row.estimate.n_independent for row in found.values()), default=0)
        doubt = "line of a liquid" if member.liquid_K else "may be a liquid" if member.may_flow else ""
        caveats = {name: doubt for name in found if doubt and name in OF_LINE}
        rows.append(SeriesRow(member, ours, published, _differences(member, columns), caveats, n))
    return rows


def _columns(members: Sequence[Member]) -> tuple[str, ...]:
    """Return the quantities of the table on top."""
    return (*OF_LINE, "density_g_cm3", *_shell(ions_of_members(members)))


def _shell(ions: Ions) -> tuple[str, ...]:
    return tuple(f"{ions.center}_{anion}_coordination".lower() for anion in ions.bridging)


def _differences(member: Member, columns: Sequence[str]) -> dict[str, str]:
    """Return how far each number is from the published one, judged as in the member's own table."""
    result = None if member.run is None else member.run.result
    rows = compared(() if result is None else result.rows)
    return {
        row.name: f"{row.difference:+.1f}, {row.verdict}".replace("-", "−")
        for row in rows
        if row.name in columns and row.difference is not None
    }


def _unsettled(views: Sequence[View]) -> list[tuple[str, str]]:
    """Return what has not converged in each system, without numbers in brackets, and where the potential is unsure."""
    found = [
        (f"Not converged in {v.title}", text) for v in views for what, text in v.convergence if what == "Not converged"
    ]
    lines = [(label, _DETAILS.sub("", text)) for label, text in found]
    shares = [(v.title, share_above_warning(v.series, (v.potential.limits or (None,))[0])) for v in views]
    often = [f"{share} ({title})" for title, share in shares if share]
    doubt = (
        [("Potential", f"{COMMITTEE_ABOVE} {join_words(often)} of the steps, so that it may be off there")]
        if often
        else []
    )
    return lines + doubt


def _words(members: Sequence[Member], campaign: Campaign | None) -> dict[str, Any]:
    views: list[View] = []
    said = {} if campaign is None else {system.name: system.notes for system in campaign.systems}
    for number, member in enumerate(members, start=1):
        if member.run is not None:
            crystal = member.phase == "crystalline"
            notes = said.get(member.name, ())
            views.append(view_of(member.run, prefix=f"s{number}-", title=member.label, crystal=crystal, remarks=notes))
    waiting = [member.label for member in members if member.run is None]
    remarks = [f"no numbers yet of {join_words(waiting)}"] if waiting else []
    remarks += [f"{member.label}: {remark}" for member in members for remark in member.remarks]
    comparisons, absent = ([], []) if campaign is None else compared_systems(campaign, members)
    remarks += absent + ([] if campaign is None else list(campaign.missing))
    silent = [m.label for m in members if m.run is not None and _potential(m) is None]
    if silent:
        remarks.append(f"not known with which potential {join_words(silent)} was made")
    rows, axes = series_rows(members), axes_of(ions_of_members(members))
    return {
        "title": "Composition series" if campaign is None else campaign.title,
        "summary": series_summary(members),
        "unsettled": _unsettled(views),
        "rows": rows,
        "dagger": any("†" in text for row in rows for text in row.published.values()),
        "columns": [(name, *axes[name]) for name in _columns(members)],
        "charts": series_charts(members),
        "alts": series_alts(members),
        "prefix": "",
        "views": views,
        "comparisons": comparisons,
        "remarks": remarks,
        "methods": [] if campaign is None else series_methods(campaign.settings),
        "settings": [] if campaign is None else all_settings(campaign.settings),
        "cost": None if campaign is None or campaign.cost is None else _cost_words(campaign.cost),
    }


def _cost_words(cost: CampaignCost) -> str:
    """Return what a campaign took and when, in one sentence; empty when nothing is known.

    Examples
    --------
    >>> first, last = "2026-05-02T12:07:07+00:00", "2026-05-03T02:00:00+02:00"
    >>> _cost_words(CampaignCost(steps=14_100_000, processor_s=30168, first=first, last=last))
    '14.1 million time steps, 8.4 processor hours, from 2026-05-02 12:07 UTC to 2026-05-03 00:00 UTC.'
    """
    parts = [] if cost.steps is None else [f"{cost.steps / 1e6:.3g} million time steps"]
    parts += [] if cost.processor_s is None else [f"{float(f'{cost.processor_s / 3600:.2g}'):g} processor hours"]
    parts += [] if cost.first is None or cost.last is None else [f"from {_minute(cost.first)} to {_minute(cost.last)}"]
    return f"{', '.join(parts)}." if parts else ""


def _minute(time: str) -> str:
    """Return a moment in UTC without its seconds; what is no moment as it is."""
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return time


def _potential(member: Member) -> str | None:
    result = None if member.run is None else member.run.result
    return None if result is None else result.provenance.potential_sha256


def _figures(members: Sequence[Member], folder: Path, formats: Sequence[str]) -> list[tuple[str, str, str]]:
    """Draw the figures of the series; return name, caption and alternative text of each."""
    alts, drawn = series_alts(members), []
    ions = ions_of_members(members)
    axes, pair = axes_of(ions), f"{ions.center}_{ions.center}".lower()
    pairs = (
        ("conductivity", OF_LINE),
        ("shell", _shell(ions)),
        ("links", (f"{pair}_corner_{ions.bridging[0].lower()}_fraction", f"{pair}_edge_fraction")),
        ("density", ("density_g_cm3", "glass_transition_K")),
    )
    for name, quantities in pairs if formats else ():
        there = [quantity for quantity in quantities if len(points_of(members, quantity)) > 1]
        if not there:
            continue

        def draw(figure: Any, there: Sequence[str] = there) -> None:
            draw_against_composition(figure, members, there)

        for suffix in dict.fromkeys((".png", *formats)):
            save_figure(draw, 3.2, folder / "figures" / f"series-{name}{suffix}")
        words = " ".join(alts[f"series-x_{quantity}"] for quantity in there)
        drawn.append((f"series-{name}", f"{join_words([axes[q][0] for q in there])} against composition.", words))
    return drawn
