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
from mlsim.io.results import QuantityRow
from mlsim.io.series import ReportSeries
from mlsim.report.comparison import EXTRAPOLATED, compared, haven_over_line, interval_95
from mlsim.report.convergence import framework_pace
from mlsim.report.differences import CONFIDENCE, holm, probability_of_difference
from mlsim.report.figure import FORMATS
from mlsim.report.figures import save_figure
from mlsim.report.ions import Ions
from mlsim.report.methods import all_settings, series_methods
from mlsim.report.mixed import refuse_mixed_series
from mlsim.report.page import page_text, scenes_of, templates
from mlsim.report.series_charts import axes_of, draw_against_composition, ions_of_members, series_alts, series_charts
from mlsim.report.series_comparisons import compared_systems
from mlsim.report.series_points import OF_LINE, Member, Point, campaign_members, folder_members, points_of
from mlsim.report.view import View, view_of
from mlsim.report.words import join_words, number_text, published_text, value_text

__all__ = ["SeriesRow", "series_rows", "series_summary", "write_series_report"]

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
        ours = {name: _ours(member, row) for name, row in found.items()}
        known = {name: ref for name in columns if (ref := member.published(name)) is not None}
        published = {
            name: published_text(ref.value, ref.standard_error) + (" †" if ref.standard_error is None else "")
            for name, ref in known.items()
        }
        n = max((row.estimate.n_independent for row in found.values()), default=0)
        doubt = "line of a liquid" if member.liquid_K else "may be a liquid" if member.undecided_K else ""
        caveats = {name: doubt for name in found if doubt and name in OF_LINE}
        rows.append(SeriesRow(member, ours, published, _differences(member, columns), caveats, n))
    return rows


def _ours(member: Member, row: QuantityRow) -> str:
    """Return a number and its error; of one extrapolated the 68 % interval that was drawn by Monte Carlo."""
    interval = member.interval_68(row.name)
    if interval is None or interval == row.interval_68 or row.is_upper_bound:
        return value_text(row)
    value, low, high = (f"{x:#.2g}".removesuffix(".") for x in (row.estimate.value, *interval))
    return f"{value} ({low} to {high})"


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


def series_summary(members: Sequence[Member]) -> str:
    """Return the answer in one paragraph: how conductivity and activation energy go with composition."""
    there = [member for member in members if member.run is not None]
    text = f"{len(there)} of {len(members)} systems {'has' if len(there) == 1 else 'have'} results."
    axes = axes_of(ions_of_members(members))
    for name in OF_LINE:
        words, unit = axes[name]
        points = [p for p in points_of(members, name) if not (p.bound or p.member.liquid_K)]
        if not points:
            text += f" No {words} was determined."
            continue
        conducts = "conductivity" in name
        text += _conductivities(points, words, unit) if conducts else f" The {words} ({unit}) is {_listed(points)}."
        text += _extreme(points, "highest" if conducts else "lowest")
        known = [words for point in points if (words := _published(point))]
        text += f" Published: {join_words(known)}." if known else ""
    text += _liquids(there)
    if not any(points_of(members, name) for name in OF_LINE):
        return text
    text += " After ± stands one standard error; errors are statistical, over independent glasses"
    return text + "; those of the potential, the size and the cooling rate come on top."


def _published(point: Point) -> str:
    """Return what is published of a number, and how ours compares with it; empty where nothing is."""
    reference = point.member.published(point.row.name)
    if reference is None:
        return ""
    text = f"{point.member.label} {published_text(reference.value, reference.standard_error)}"
    verdict = next((row.verdict for row in compared(_rows(point.member)) if row.name == point.row.name), "")
    if not verdict or not reference.value > 0:
        return text
    return f"{text} (ours is {point.value / reference.value:.2g} times that: {verdict} at 95 %)"


def _rows(member: Member) -> tuple[QuantityRow, ...]:
    return () if member.run is None or member.run.result is None else member.run.result.rows


def _liquids(members: Sequence[Member]) -> str:
    """Say whose framework flows, and of whom it is not known."""
    text = ""
    for flows, begin, end in (
        (True, " Not counted:", ", whose framework flows, so that the line is that of a liquid."),
        (False, " Not known is whether the framework flows too in", "."),
    ):
        named = []
        for member in members:
            temperatures = member.liquid_K if flows else [] if member.liquid_K else member.undecided_K
            series = None if member.run is None else member.run.series
            if temperatures and series is not None:
                pace = framework_pace(series, temperatures)
                named.append(f"{member.label} ({pace})" if pace else member.label)
        text += f"{begin} {join_words(named)}{end}" if named else ""
    return text


def _listed(points: Sequence[Point]) -> str:
    return join_words([f"{point.member.label} {value_text(point.row)}" for point in points])


def _conductivities(points: Sequence[Point], words: str, unit: str) -> str:
    """Return the conductivities with their 95 % intervals, and what they assume."""
    ends = [_interval(point.member) for point in points]
    listed = [
        f"{point.member.label} {value_text(point.row)}, without one"
        if end is None
        else f"{point.member.label} {point.value:.2g} ({end[0]} to {end[1]})"
        for point, end in zip(points, ends, strict=True)
    ]
    known = any(end is not None for end in ends)
    text = f" The {words} ({unit}; in brackets the 95 % interval) is {join_words(listed)}."
    text = text if known else f" The {words} ({unit}) is {_listed(points)}."
    found = [EXTRAPOLATED.search(point.row.method) for point in points]
    spans = list(dict.fromkeys(f"{span[1]}–{span[2]} K" for span in found if span))
    start = f" from {join_words(spans)}" if spans else ""
    return f"{text} It is extrapolated{start} and assumes a Haven ratio of 1{_haven(points)}.{_where_simulated(points)}"


def _haven(points: Sequence[Point]) -> str:
    """Return the Haven ratios at the temperatures of the lines, in brackets; empty where none is known."""
    found = []
    for member in (point.member for point in points):
        if member.run is None or member.run.result is None or member.run.series is None:
            continue
        ratio = haven_over_line(member.run.result, member.run.series)
        if ratio is not None:
            found.append(f"{member.label} {number_text(ratio[0].value, ratio[0].standard_error)}")
    return (
        f" (seen where it was simulated: {join_words(found)}; the lower, the more is σ underestimated)" if found else ""
    )


def _where_simulated(points: Sequence[Point]) -> str:
    """Return the conductivities at the hottest temperature of all lines: they do not rest on extrapolation."""
    name = "conductivity_mS_cm"
    lines = [set(point.member.line_K) for point in points]
    for kelvin in sorted(set.intersection(*lines) if lines else (), reverse=True):
        found = [(point.member.label, point.member.row(name, kelvin)) for point in points]
        told = [f"{label} {value_text(row)}" for label, row in found if row is not None]
        if len(told) == len(found) > 1:
            return f" At {kelvin:g} K, where all were simulated, it is {join_words(told)}."
    return ""


def _interval(member: Member) -> tuple[str, str] | None:
    """Return the ends of the 95 % interval of the conductivity at 298 K, of a study from its notes."""
    if member.run is None or member.run.result is None:
        return None
    silent = ReportSeries(title=member.label, composition=member.formula, preset="")
    return interval_95(member.run.result, member.run.series or silent)


def _unsettled(views: Sequence[View]) -> list[tuple[str, str]]:
    """Return what has not converged of each system, without the numbers in brackets that stand with the system."""
    words = [(view.title, text) for view in views for what, text in view.convergence if what == "Not converged"]
    return [(label, _DETAILS.sub("", text)) for label, text in words]


def _extreme(points: Sequence[Point], which: str) -> str:
    """Say which member is at the top, when a test at 95 % sets it apart from each of the others."""
    if len(points) < 2:
        return ""
    first, *others = sorted(points, key=lambda point: point.value, reverse=which == "highest")
    chances = [probability_of_difference(first.row, point.row) for point in others]
    if any(chance is None for chance in chances):
        return f" The {which} is that of {first.member.label}, but errors to judge it by are missing."
    corrected = holm([chance for chance in chances if chance is not None])
    close = [point.member.label for point, p in zip(others, corrected, strict=True) if p >= 1 - CONFIDENCE]
    if not close:
        return f" The {which} is that of {first.member.label}."
    return f" The {which} is that of {first.member.label}; {join_words(close)} cannot be told apart from it at 95 %."


def _words(members: Sequence[Member], campaign: Campaign | None) -> dict[str, Any]:
    views: list[View] = []
    said = {} if campaign is None else {system.label: system.notes for system in campaign.systems}
    for number, member in enumerate(members, start=1):
        if member.run is not None:
            crystal = member.phase == "crystalline"
            notes = said.get(member.label, ())
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
    parts += [] if cost.processor_s is None else [f"{cost.processor_s / 3600:.2g} processor hours"]
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
