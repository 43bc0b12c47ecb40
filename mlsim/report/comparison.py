"""Our numbers beside the published ones: table rows, verdicts, and the paragraph that sums them up."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from scipy.special import stdtrit

from mlsim.io.results import QuantityRow, Result
from mlsim.io.series import ReportSeries
from mlsim.report.words import GROUPS, join_words, label_of, number_text, published_text, unit_text

__all__ = ["Comparison", "comparison_of", "comparisons", "critical_difference", "summary"]

CONFIDENCE: Final = 0.95
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
        Difference beyond which the two differ at 95 %, from Student's t for so few glasses.
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
    def compatible(self) -> bool | None:
        """Whether the two agree at 95 %; None when it cannot be said."""
        if self.difference is None or self.critical is None:
            return None
        return abs(self.difference) <= self.critical

    @property
    def verdict(self) -> str:
        """The comparison in one word or a few."""
        if not self.published:
            return "nothing to compare"
        if self.compatible is None:
            return "no error, no verdict"
        return "compatible" if self.compatible else "differs"


def comparison_of(row: QuantityRow) -> Comparison:
    """Return the table row of one quantity."""
    label, group = label_of(row.name, row.temperature_K)
    estimate, reference = row.estimate, row.reference
    difference = row.difference_in_standard_errors
    critical = None
    if difference is not None and reference is not None and estimate.standard_error is not None:
        critical = critical_difference(estimate.standard_error, estimate.n_independent, reference.standard_error)
    return Comparison(
        name=row.name,
        label=label,
        group=group,
        ours=number_text(estimate.value, estimate.standard_error),
        published="" if reference is None else published_text(reference.value, reference.standard_error),
        unit=unit_text(estimate.unit),
        source="" if reference is None else reference.source,
        n_independent=estimate.n_independent,
        method=row.method,
        difference=difference if critical is not None else None,
        critical=critical,
        without_published_error=reference is not None and reference.standard_error is None,
    )


def critical_difference(own_error: float, n_independent: int, reference_error: float | None) -> float | None:
    """Return the difference in combined standard errors beyond which two values differ at 95 %.

    Student's t with the degrees of freedom of Welch and Satterthwaite; ours come from n − 1, the published error
    is taken as well known (B. L. Welch, Biometrika 34, 28 (1947), doi:10.1093/biomet/34.1-2.28). None for n < 2
    or without any error.

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


def comparisons(result: Result) -> list[tuple[str, list[Comparison]]]:
    """Return all rows of a result, in groups in the order of the table; empty groups are left out."""
    rows = [comparison_of(row) for row in result.rows]
    return [(group, found) for group in GROUPS if (found := [row for row in rows if row.group == group])]


def summary(result: Result, series: ReportSeries) -> str:
    """Return the paragraph at the top of the report, made from the numbers."""
    sentences = [_made_of(result, series), _structure(result), _transport(result), _verdicts(result)]
    return " ".join(sentence for sentence in sentences if sentence)


def _made_of(result: Result, series: ReportSeries) -> str:
    n = series.n_glasses or max((row.estimate.n_independent for row in result.rows), default=0)
    count = _NUMBER_WORDS[n] if n < len(_NUMBER_WORDS) else str(n)
    size = "" if series.n_atoms is None else f" of {series.n_atoms} atoms"
    mover = "" if series.potential is None else f" with the potential {series.potential.name}"
    what = "independent glass" if n == 1 else "independent glasses"
    text = f"{count} {what}{size} of {series.composition} {'was' if n == 1 else 'were'} made{mover}"
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


def _transport(result: Result) -> str:
    conductivity, barrier = result.row("conductivity_298K_mS_cm"), result.row("activation_energy_eV")
    if conductivity is None or not math.isfinite(conductivity.estimate.value):
        return "No conductivity was determined."
    text = f"Extrapolated to 298 K, Li conducts {_value(conductivity)}{_beside(conductivity)}"
    if barrier is None or not math.isfinite(barrier.estimate.value):
        return text + "."
    return f"{text}, with an activation energy of {_value(barrier)}{_beside(barrier)}."


def _verdicts(result: Result) -> str:
    rows = [comparison_of(row) for row in result.rows if row.reference is not None]
    if not rows:
        return "No published value of this composition is at hand to compare with."
    agree = [row for row in rows if row.compatible is True]
    differ = sorted((row for row in rows if row.compatible is False), key=lambda row: -abs(row.difference or 0.0))
    open_rows = [row for row in rows if row.compatible is None]
    was = "quantity has" if len(rows) == 1 else "quantities have"
    text = f"{len(rows)} {was} a published value: {len(agree)} agree with it within 95 % confidence"
    text += f", {len(differ)} differ" + (f" ({join_words([row.label for row in differ])})" if differ else "")
    text += f", and {len(open_rows)} cannot be judged" if open_rows else ""
    return text + ". These errors are statistical; those of the potential, the size and the cooling rate come on top."


def _value(row: QuantityRow) -> str:
    unit = unit_text(row.estimate.unit)
    return number_text(row.estimate.value, row.estimate.standard_error) + (f" {unit}" if unit else "")


def _beside(row: QuantityRow) -> str:
    if row.reference is None:
        return ""
    return f" (published: {published_text(row.reference.value, row.reference.standard_error)})"
