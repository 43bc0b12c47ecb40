"""Our numbers beside the published ones: table rows, verdicts, and the paragraph that sums them up.

A difference is judged as `mlsim compare` judges one: Welch's t, skewed numbers as logarithms, corrected for the number
of rows that are compared in the table; see `mlsim.report.differences`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from mlsim.curve import Estimate
from mlsim.io.published import PublishedSample
from mlsim.io.results import QuantityRow, Result
from mlsim.io.series import ReportSeries
from mlsim.report.differences import CONFIDENCE, WELL_KNOWN, critical_difference, holm, probability_of_reference
from mlsim.report.words import GROUPS, join_words, label_of, published_text, unit_text, value_text

__all__ = ["Comparison", "compared", "comparisons", "summary"]

Verdict = Literal["", "no error", "one glass", "compatible", "undecided", "differs"]

_NORMAL_DIFFERENCE: Final = 1.96
_HARD_SPACE: Final = "\u00a0"
_NUMBER_WORDS: Final = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True)
class Comparison:
    """One row of the table, in words.

    Attributes
    ----------
    name, label, group
        Contract name, name in words, group of the table.
    ours, published, unit
        Numbers as text; `published` is empty when nothing comparable is published.
    source
        Method and source of the published value.
    n_independent
        Independent glasses or runs behind our number.
    method
        How ours was obtained.
    difference
        (Ours − published) in combined standard errors, of skewed numbers as logarithms; None when it cannot be said.
    probability
        Of a difference at least as large if both were equal, corrected for the rows compared with this one (Holm); None
        where ours rests on a single glass.
    critical
        Difference beyond which this row, alone, would differ at 95 %; None where ours rests on a single glass.
    without_published_error
        True when the combined error is our own alone, because none was published.
    """

    name: str
    label: str
    group: str
    ours: str
    published: str
    unit: str
    source: str
    n_independent: int
    method: str
    difference: float | None
    probability: float | None
    critical: float | None
    without_published_error: bool

    @property
    def verdict(self) -> Verdict:
        """The comparison in a word.

        "differs" when the corrected probability is below 5 %. "compatible" within 1.96 combined errors: between the two
        lies what so few glasses, or so many rows, cannot decide.
        """
        if not self.published:
            return ""
        if self.difference is None:
            return "no error"
        if self.probability is None:
            return "one glass"
        if self.probability < 1 - CONFIDENCE:
            return "differs"
        return "compatible" if abs(self.difference) <= _NORMAL_DIFFERENCE else "undecided"


def compared(rows: Sequence[QuantityRow], published: PublishedSample | None = None) -> list[Comparison]:
    """Return the table rows of quantities that stand in one table, in their order.

    Parameters
    ----------
    rows
        The quantities.
    published
        A source that is this publication is named by its method alone.
    """
    chances = [probability_of_reference(row) for row in rows]
    tested = [k for k, chance in enumerate(chances) if chance is not None]
    corrected = dict(zip(tested, holm([chances[k] or 0.0 for k in tested]), strict=True))
    return [_comparison(row, corrected.get(k), published) for k, row in enumerate(rows)]


def _comparison(row: QuantityRow, probability: float | None, published: PublishedSample | None) -> Comparison:
    label, group = label_of(row.name, row.temperature_K)
    reference = row.reference
    return Comparison(
        name=row.name,
        label=label,
        group=group,
        ours=value_text(row),
        published="" if reference is None else published_text(reference.value, reference.standard_error),
        unit=unit_text(row.estimate.unit),
        source="" if reference is None else _short_source(reference.source, published),
        n_independent=row.estimate.n_independent,
        method=row.method,
        difference=row.difference_in_standard_errors,
        probability=probability,
        critical=_critical_difference(row),
        without_published_error=reference is not None and reference.standard_error is None,
    )


def _critical_difference(row: QuantityRow) -> float | None:
    """Return the difference from the reference in combined standard errors beyond which p is below 5 %."""
    reference = row.reference
    if reference is None or row.estimate.n_independent < 2:
        return None
    other = Estimate(reference.value, reference.standard_error, WELL_KNOWN, row.estimate.unit)
    logarithms = row.is_skewed and other.value > 0
    own, theirs = ((e.log_error if logarithms else e.standard_error) or 0.0 for e in (row.estimate, other))
    return critical_difference(own, row.estimate.n_independent, theirs)


def comparisons(result: Result, series: ReportSeries) -> list[tuple[str, list[Comparison]]]:
    """Return all rows of a result, in groups in the order of the table; empty groups are left out."""
    rows = compared(result.rows, series.published)
    return [(group, found) for group in GROUPS if (found := [row for row in rows if row.group == group])]


def summary(result: Result, series: ReportSeries, *, crystal: bool = False) -> str:
    """Return the paragraph at the top of the report, made from the numbers; of runs of a crystal, or of glasses."""
    sentences = [
        _made_of(result, series, "run" if crystal else "glass"),
        _transport(result, series),
        _structure(result),
        _verdicts(result),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _made_of(result: Result, series: ReportSeries, noun: str) -> str:
    n = series.n_glasses or max((row.estimate.n_independent for row in result.rows), default=0)
    if n == 0:
        return f"This result of {series.composition} rests on no {noun}."
    size = "" if series.n_atoms is None else f" of {series.n_atoms} atoms"
    mover = "" if series.potential is None else f" with the potential {series.potential.name}"
    what = noun if n == 1 else f"{noun}es" if noun == "glass" else f"{noun}s"
    of = series.composition if noun == "glass" else f"crystalline {series.composition}"
    text = f"{_number_word(n)} independent {what}{size} of {of} {'was' if n == 1 else 'were'} made{mover}"
    text += f" (preset {series.preset})" if series.preset else ""
    density = result.row("density_g_cm3")
    if density is None or not math.isfinite(density.estimate.value):
        return text + "."
    return f"{text}; the mass density is {_value(density)}."


def _structure(result: Result) -> str:
    parts = []
    for anion in ("O", "Cl"):
        number = result.row(f"zr_{anion.lower()}_coordination")
        distance = result.row(f"zr_{anion.lower()}_distance_A")
        if number is None or not math.isfinite(number.estimate.value):
            continue
        at = "" if distance is None or not math.isfinite(distance.estimate.value) else f" at {_value(distance)}"
        parts.append(f"{_value(number)} {anion} neighbours{at}{_beside(number)}")
    return f"Zr has {join_words(parts)}." if parts else ""


def _transport(result: Result, series: ReportSeries) -> str:
    conductivity, barrier = result.row("conductivity_298K_mS_cm"), result.row("activation_energy_eV")
    if conductivity is None or not math.isfinite(conductivity.estimate.value):
        why = series.missing.get("arrhenius", "")
        return "No conductivity was determined" + (f": {why}." if why else ".")
    text = f"Extrapolated to 298 K, Li conducts {_value(conductivity)}{_beside(conductivity)}"
    if barrier is None or not math.isfinite(barrier.estimate.value):
        return text + _warned(series) + "."
    return f"{text}, with an activation energy of {_value(barrier)}{_beside(barrier)}{_warned(series)}."


def _warned(series: ReportSeries) -> str:
    """Return a warning when a point that the extrapolation rests on carries a note."""
    points = () if series.arrhenius is None else series.arrhenius.points
    doubtful = [f"{point.temperature_K:g}" for point in points if point.used and point.note]
    if not doubtful:
        return ""
    return f"; with caution, for the points at {join_words(doubtful)} K of that line carry a warning (see the caveats)"


def _verdicts(result: Result) -> str:
    rows = [row for row in compared(result.rows) if row.published]
    if not rows:
        return "No published value of anything determined here is at hand to compare with."
    agree = [row for row in rows if row.verdict == "compatible"]
    differ = sorted((row for row in rows if row.verdict == "differs"), key=lambda row: -abs(row.difference or 0.0))
    open_rows = [row for row in rows if row.verdict in ("undecided", "no error", "one glass")]
    was = "quantity has" if len(rows) == 1 else "quantities have"
    text = f"{_number_word(len(rows))} {was} a published value: {len(agree)} compatible with it at 95 %"
    text += f", {len(differ)} different" + (f" ({join_words([row.label for row in differ])})" if differ else "")
    text += f", {len(open_rows)} not to be decided" if open_rows else ""
    return text + ". These errors are statistical; those of the potential, the size and the cooling rate come on top."


def _number_word(n: int) -> str:
    return _NUMBER_WORDS[n] if n < len(_NUMBER_WORDS) else str(n)


def _short_source(source: str, published: PublishedSample | None) -> str:
    return source if published is None else source.removesuffix(f", doi:{published.source.doi}")


def _value(row: QuantityRow) -> str:
    unit = unit_text(row.estimate.unit)
    return (value_text(row) + (f" {unit}" if unit else "")).replace(" ", _HARD_SPACE)


def _beside(row: QuantityRow) -> str:
    if row.reference is None:
        return ""
    text = published_text(row.reference.value, row.reference.standard_error)
    return f" (published: {text.replace(' ', _HARD_SPACE)})"
