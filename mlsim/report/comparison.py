"""Our numbers beside the published ones: table rows, verdicts, and the paragraph that sums them up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from scipy.special import stdtrit

from mlsim.io.published import PublishedSample
from mlsim.io.results import QuantityRow, Result
from mlsim.io.series import ReportSeries
from mlsim.report.words import GROUPS, join_words, label_of, number_text, published_text, unit_text

__all__ = ["Comparison", "comparison_of", "comparisons", "critical_difference", "summary"]

Verdict = Literal["", "no error", "one glass", "compatible", "undecided", "differs"]

CONFIDENCE: Final = 0.95
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
        (Ours − published) in combined standard errors; None when it cannot be said.
    critical
        Difference beyond which the two differ at 95 %, from Student's t for so few glasses; None for a single one.
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
    critical: float | None
    without_published_error: bool

    @property
    def verdict(self) -> Verdict:
        """The comparison in a word.

        "differs" beyond the critical difference at 95 %. "compatible" within that of well-known errors (1.96):
        between the two lies what so few glasses cannot decide.
        """
        if not self.published:
            return ""
        if self.difference is None:
            return "no error"
        if self.critical is None:
            return "one glass"
        if abs(self.difference) > self.critical:
            return "differs"
        return "compatible" if abs(self.difference) <= _NORMAL_DIFFERENCE else "undecided"


def comparison_of(
    row: QuantityRow, published: PublishedSample | None = None, *, upper_bound: bool = False
) -> Comparison:
    """Return the table row of one quantity.

    Parameters
    ----------
    row
        The quantity.
    published
        A source that is this publication is named by its method alone.
    upper_bound
        True when the value is only a bound from above.
    """
    label, group = label_of(row.name, row.temperature_K)
    estimate, reference = row.estimate, row.reference
    difference = row.difference_in_standard_errors
    critical = None
    if difference is not None and reference is not None and estimate.standard_error is not None:
        critical = critical_difference(estimate.standard_error, estimate.n_independent, reference.standard_error)
    ours = number_text(estimate.value, estimate.standard_error)
    return Comparison(
        name=row.name,
        label=label,
        group=group,
        ours=f"< {ours}" if upper_bound and math.isfinite(estimate.value) else ours,
        published="" if reference is None else published_text(reference.value, reference.standard_error),
        unit=unit_text(estimate.unit),
        source="" if reference is None else _short_source(reference.source, published),
        n_independent=estimate.n_independent,
        method=row.method,
        difference=difference,
        critical=critical,
        without_published_error=reference is not None and reference.standard_error is None,
    )


def critical_difference(own_error: float, n_independent: int, reference_error: float | None) -> float | None:
    """Return the difference in combined standard errors beyond which two values differ at 95 %.

    Student's t with the degrees of freedom of Welch and Satterthwaite; ours come from n − 1, the published error
    is taken as well known (B. L. Welch, Biometrika 34, 28 (1947), doi:10.1093/biomet/34.1-2.28). None for n < 2
    or without any error. Cautious for transport, whose errors rest on the ions within a glass too.

    Examples
    --------
    >>> round(critical_difference(0.1, 2, None), 1), round(critical_difference(0.1, 6, None), 2)
    (12.7, 2.57)
    >>> round(critical_difference(0.001, 2, 0.1), 2)
    1.96
    """
    if n_independent < 2 or not own_error > 0:
        return None
    total = own_error**2 + (reference_error or 0.0) ** 2
    freedom = min((n_independent - 1) * (total / own_error**2) ** 2, 1e6)
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def comparisons(result: Result, series: ReportSeries) -> list[tuple[str, list[Comparison]]]:
    """Return all rows of a result, in groups in the order of the table; empty groups are left out."""
    points = () if series.arrhenius is None else series.arrhenius.points
    bounds = {point.temperature_K for point in points if not point.diffusive}
    rows = [
        comparison_of(
            row,
            series.published,
            upper_bound=row.temperature_K in bounds and row.name.endswith("_diffusivity_cm2_s"),
        )
        for row in result.rows
    ]
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
    rows = [comparison_of(row) for row in result.rows if row.reference is not None]
    if not rows:
        return "No published value of anything determined here is at hand to compare with."
    agree = [row for row in rows if row.verdict == "compatible"]
    differ = sorted((row for row in rows if row.verdict == "differs"), key=lambda row: -abs(row.difference or 0.0))
    open_rows = [row for row in rows if row.verdict in ("undecided", "no error", "one glass")]
    was = "quantity has" if len(rows) == 1 else "quantities have"
    text = f"{_number_word(len(rows))} {was} a published value: {len(agree)} compatible with it at 95 %"
    text += f", {len(differ)} different" + (f" ({join_words([row.label for row in differ])})" if differ else "")
    text += f", {len(open_rows)} not to be decided with so few glasses" if open_rows else ""
    return text + ". These errors are statistical; those of the potential, the size and the cooling rate come on top."


def _number_word(n: int) -> str:
    return _NUMBER_WORDS[n] if n < len(_NUMBER_WORDS) else str(n)


def _short_source(source: str, published: PublishedSample | None) -> str:
    return source if published is None else source.removesuffix(f", doi:{published.source.doi}")


def _value(row: QuantityRow) -> str:
    unit = unit_text(row.estimate.unit)
    text = number_text(row.estimate.value, row.estimate.standard_error) + (f" {unit}" if unit else "")
    return text.replace(" ", _HARD_SPACE)


def _beside(row: QuantityRow) -> str:
    if row.reference is None:
        return ""
    text = published_text(row.reference.value, row.reference.standard_error)
    return f" (published: {text.replace(' ', _HARD_SPACE)})"
