"""The answer of a series in words: conductivity and activation energy, and which systems may be liquids."""

from __future__ import annotations

from collections.abc import Sequence

from mlsim.io.results import QuantityRow
from mlsim.io.series import ReportSeries
from mlsim.report.comparison import EXTRAPOLATED, compared, haven_over_line, interval_95
from mlsim.report.convergence import framework_pace
from mlsim.report.differences import CONFIDENCE, holm, probability_of_difference
from mlsim.report.series_charts import axes_of, ions_of_members
from mlsim.report.series_points import OF_LINE, Member, Point, points_of
from mlsim.report.words import join_words, number_text, published_text, value_text

__all__ = ["series_summary"]


def series_summary(members: Sequence[Member]) -> list[str]:
    """Return the answer by paragraph: conductivity and activation energy with composition, and who may be a liquid.

    A system whose framework flows is not ranked.
    """
    there = [member for member in members if member.run is not None]
    count = f"{len(there)} of {len(members)} systems {'has' if len(there) == 1 else 'have'} results."
    paragraphs = [_answer(members, name) for name in OF_LINE]
    paragraphs[0] = f"{count} {paragraphs[0]}"
    if not any(points_of(members, name) for name in OF_LINE):
        return [f"{count} No conductivity and no activation energy was determined."]
    errors = (
        "After ± stands one standard error; errors are statistical, over independent glasses; those of the potential, "
        "the size and the cooling rate come on top."
    )
    return [*paragraphs, " ".join(part for part in (_liquids(there), errors) if part)]


def _answer(members: Sequence[Member], name: str) -> str:
    """Return what is known of a quantity of the Arrhenius line in the systems that are not liquids."""
    words, unit = axes_of(ions_of_members(members))[name]
    points = [p for p in points_of(members, name) if not (p.bound or p.member.liquid_K)]
    if not points:
        return f"No {words} of a solid was determined."
    conducts = "conductivity" in name
    text = _conductivities(points, words, unit) if conducts else f"The {words} ({unit}) is {_listed(points)}."
    text += _extreme(points, "highest" if conducts else "lowest")
    known = [said for point in points if (said := _published(point))]
    return text + (f" Published: {join_words(known)}." if known else "")


def _published(point: Point) -> str:
    """Return what is published of a number, and how ours compares with it; empty where nothing is."""
    reference = point.member.published(point.row.name)
    if reference is None:
        return ""
    text = f"{point.member.label} {published_text(reference.value, reference.standard_error)}"
    verdict = next((row.verdict for row in compared(_rows(point.member)) if row.name == point.row.name), "")
    if verdict in ("no error", "one glass"):
        return f"{text} (not judged: {'one glass' if verdict == 'one glass' else 'our error is not known'})"
    if not verdict or not reference.value > 0:
        return text
    times = number_text(float(f"{point.value / reference.value:.2g}"))
    return f"{text} (ours is {times} times that: {verdict} at 95 %)"


def _rows(member: Member) -> tuple[QuantityRow, ...]:
    return () if member.run is None or member.run.result is None else member.run.result.rows


def _liquids(members: Sequence[Member]) -> str:
    """Say whose framework flows, and of whom it is not known."""
    flowing = [_paced(member, member.liquid_K) for member in members if member.liquid_K]
    unknown = [_paced(member, member.undecided_K) for member in members if member.may_flow and not member.liquid_K]
    text = (
        ""
        if not flowing
        else (f"Not counted: {join_words(flowing)}, whose framework flows, so that the line is that of a liquid.")
    )
    if unknown:
        text += f"{' ' if text else ''}It is not known whether the framework flows too in {join_words(unknown)}."
    return text


def _paced(member: Member, temperatures_K: Sequence[float]) -> str:
    series = None if member.run is None else member.run.series
    pace = "its curves are not there" if series is None else framework_pace(series, temperatures_K)
    return f"{member.label} ({pace})" if pace else member.label


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
    text = f"The {words} ({unit}; in brackets the 95 % interval) is {join_words(listed)}."
    text = text if known else f"The {words} ({unit}) is {_listed(points)}."
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
    return f" (on the lines it is {join_words(found)}; where it is below one, σ is higher)" if found else ""


def _where_simulated(points: Sequence[Point]) -> str:
    """Return the conductivities at the hottest temperature of all lines: they do not rest on extrapolation."""
    name = "conductivity_mS_cm"
    lines = [set(point.member.line_K) for point in points]
    for kelvin in sorted(set.intersection(*lines) if lines else (), reverse=True):
        found = [(point.member.label, point.member.row(name, kelvin)) for point in points]
        told = [f"{label} {value_text(row)}" for label, row in found if row is not None]
        if len(told) == len(found) > 1:
            return f" At {kelvin:g} K, the hottest of all lines, the Nernst–Einstein one is {join_words(told)}."
    return ""


def _interval(member: Member) -> tuple[str, str] | None:
    """Return the ends of the 95 % interval of the conductivity at 298 K, of a study from its notes."""
    if member.run is None or member.run.result is None:
        return None
    silent = ReportSeries(title=member.label, composition=member.formula, preset="")
    return interval_95(member.run.result, member.run.series or silent)


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
