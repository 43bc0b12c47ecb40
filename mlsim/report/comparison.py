"""Our numbers beside the published ones: table rows, verdicts, and the paragraph that sums them up.

A difference is judged as `mlsim compare` judges one: Welch's t, skewed numbers as logarithms, corrected for the number
of rows that are compared in the table; see `mlsim.report.differences`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from mlsim.curve import Estimate
from mlsim.io.published import PublishedSample
from mlsim.io.results import QuantityRow, Result
from mlsim.io.series import ReportSeries
from mlsim.report.convergence import liquid_temperatures_K
from mlsim.report.differences import CONFIDENCE, WELL_KNOWN, critical_difference, holm, probability_of_reference
from mlsim.report.ions import Ions, ions_of
from mlsim.report.words import (
    full_label,
    group_place,
    join_listed,
    join_words,
    label_of,
    number_text,
    published_text,
    unit_text,
    value_text,
)

__all__ = [
    "EXTRAPOLATED",
    "Comparison",
    "compared",
    "comparisons",
    "haven_over_line",
    "interval_95",
    "summary",
    "without_error_note",
]

Verdict = Literal["", "no error", "one glass", "compatible", "undecided", "differs"]

_NORMAL_DIFFERENCE: Final = 1.96
_HARD_SPACE: Final = "\u00a0"
_CONDUCTIVITY: Final = "conductivity_298K_mS_cm"
EXTRAPOLATED: Final = re.compile(r"extrapolated from ([\d.]+) to ([\d.]+) K")
_BETWEEN: Final = re.compile(r"conductivity at 298 K is .* between (\S+) and (\S+) mS/cm with 95 %")
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
    groups = sorted(dict.fromkeys(row.group for row in rows), key=group_place)
    return [(group, [row for row in rows if row.group == group]) for group in groups]


def summary(result: Result, series: ReportSeries, *, crystal: bool = False) -> str:
    """Return the paragraph at the top of the report, the answer first; of runs of a crystal, or of glasses."""
    sentences = [
        _transport(result, series),
        _made_of(result, series, "run" if crystal else "glass"),
        _structure(result, ions_of(series)),
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


def _structure(result: Result, ions: Ions) -> str:
    parts = []
    for anion in ions.bridging:
        pair = f"{ions.center}_{anion}".lower()
        number, distance = result.row(f"{pair}_coordination"), result.row(f"{pair}_distance_A")
        if number is None or not math.isfinite(number.estimate.value):
            continue
        at = "" if distance is None or not math.isfinite(distance.estimate.value) else f" at {_value(distance)}"
        parts.append(f"{_value(number)} {anion} neighbours{at}{_beside(number)}")
    return f"{ions.center} has {join_words(parts)}." if parts else ""


def _transport(result: Result, series: ReportSeries) -> str:
    """Return the answer: the conductivity, with its 95 % interval where it is known, and the activation energy."""
    conductivity, barrier = result.row(_CONDUCTIVITY), result.row("activation_energy_eV")
    if conductivity is None or not math.isfinite(conductivity.estimate.value):
        why = series.missing.get("arrhenius", "").removeprefix("arrhenius: ")
        return "No conductivity was determined" + (f": {why}." if why else ".")
    shown, interval, apart = f"{_value(conductivity)}{_beside(conductivity)}", interval_95(result, series), ""
    if interval is not None:
        shown, apart = _with_interval(conductivity, interval), _outside_and_undecided(result, conductivity, interval)
    span = EXTRAPOLATED.search(conductivity.method)
    over = f"extrapolated from {span[1]}–{span[2]} K" if span else "extrapolated"
    liquid = liquid_temperatures_K(series)
    over += f" (a liquid at {join_words([f'{t:g}' for t in liquid])} K)" if liquid else ""
    text = f"At 298 K, {ions_of(series).mobile} conducts {shown}, {over} {_haven(result, conductivity, series)}.{apart}"
    if barrier is None or not math.isfinite(barrier.estimate.value):
        return text
    return f"{text} The activation energy is {_value(barrier)}{_beside(barrier)}."


def interval_95(result: Result, series: ReportSeries) -> tuple[str, str] | None:
    """Return the ends of the 95 % interval at 298 K: of rows, as a campaign has them, or where the line ends.

    A study of before the line had this interval has it in a note.
    """
    rows = [result.row(f"conductivity_298K_95_{end}_mS_cm") for end in ("low", "high")]
    if rows[0] is not None and rows[1] is not None:
        return f"{rows[0].estimate.value:.2g}", f"{rows[1].estimate.value:.2g}"
    row, line = result.row(_CONDUCTIVITY), series.arrhenius
    if row is not None and line is not None and line.line is not None and line.line_low_95 and line.line_high_95:
        ends = (row.estimate.value * bound[-1] / line.line.y[-1] for bound in (line.line_low_95, line.line_high_95))
        low, high = (f"{end:.2g}" for end in ends)
        return low, high
    found = next((found for note in series.notes if (found := _BETWEEN.search(note))), None)
    return None if found is None else (found[1], found[2])


def _with_interval(row: QuantityRow, interval: tuple[str, str]) -> str:
    """Return a number with its 95 % interval and the published one in the same brackets."""
    reference, unit = row.reference, unit_text(row.estimate.unit)
    beside = "" if reference is None else f"; published: {published_text(reference.value, reference.standard_error)}"
    return f"{row.estimate.value:.2g}{_HARD_SPACE}{unit} ({interval[0]} to {interval[1]} at 95{_HARD_SPACE}%{beside})"


def _outside_and_undecided(result: Result, row: QuantityRow, interval: tuple[str, str]) -> str:
    """Say why a published value that is outside the interval may still be undecided; empty where it is not so."""
    reference = row.reference
    if reference is None or float(interval[0]) <= reference.value <= float(interval[1]):
        return ""
    verdict = next(found.verdict for found in compared(result.rows) if found.name == row.name)
    if verdict not in ("undecided", "compatible"):
        return ""
    n = row.estimate.n_independent
    return (
        " The published conductivity is outside the interval, which takes the errors of the points as known, yet "
        f"{verdict}: the verdict allows for only n = {n} glasses by Student's t, and for the number of comparisons."
    )


def _haven(result: Result, conductivity: QuantityRow, series: ReportSeries) -> str:
    """Say that the ions were taken as independent, and what the Haven ratio that was seen would change.

    It is measured far above 298 K: where one is within its 95 % interval nothing is turned into a conductivity.
    """
    assumed = "assuming a Haven ratio of 1"
    found = haven_over_line(result, series)
    if found is None:
        return assumed
    ratio, temperatures, liquid = found
    at = f" at {temperatures} K" if temperatures else ""
    at += ", in the liquid" if liquid else ""
    value, error = ratio.value, ratio.standard_error or 0.0
    held = f"{number_text(value, ratio.standard_error)}{at}".replace(" ", _HARD_SPACE)
    factor = None if ratio.n_independent < 2 else critical_difference(error, ratio.n_independent, 0.0)
    if factor is None:
        return f"{assumed} ({held}, its error not known)"
    if abs(value - 1) <= factor * error:
        return f"{assumed} ({held}, compatible with it at 95{_HARD_SPACE}%)"
    seen = f"{conductivity.estimate.value / value:.2g} {unit_text(conductivity.estimate.unit)}"
    return f"{assumed} ({held}; if it held at 298 K, impedance would see about {seen.replace(' ', _HARD_SPACE)})"


def haven_over_line(result: Result, series: ReportSeries) -> tuple[Estimate, str, bool] | None:
    """Return the Haven ratio, the temperatures (K) it is from, and whether the framework flows at one of them.

    One temperature is too uncertain to set the ratio apart from one, so it is the mean of ln H over the temperatures of
    the Arrhenius line, weighted by 1/s² of its errors s; they are enlarged by √(χ²/(m - 1)) where the m temperatures
    differ by more. n is the number of glasses, the same at all temperatures, so that a test by Student's t is cautious.
    Where the line has fewer than two, that of the hottest temperature, of the glass if it can be.
    """
    rows = [row for row in result.rows if row.name == "haven_ratio" and row.estimate.value > 0]
    if not rows:
        return None
    points = () if series.arrhenius is None else series.arrhenius.points
    line = {point.temperature_K for point in points if point.used}
    liquid = {point.temperature_K for point in points if point.is_liquid}
    pooled = [row for row in rows if row.temperature_K in line and row.estimate.standard_error]
    if len(pooled) < 2:
        row = max(rows, key=lambda r: (r.temperature_K in line, r.temperature_K not in liquid, r.temperature_K or 0))
        return row.estimate, "" if row.temperature_K is None else f"{row.temperature_K:g}", row.temperature_K in liquid
    logarithms = np.log([row.estimate.value for row in pooled])
    errors = np.array([row.estimate.log_error for row in pooled], dtype=float)
    weights = errors**-2 / (errors**-2).sum()
    mean = float(weights @ logarithms)
    chi_squared = float((((logarithms - mean) / errors) ** 2).sum())
    scale = max(1.0, math.sqrt(chi_squared / (len(pooled) - 1)))
    ratio = math.exp(mean)
    kelvin = sorted(row.temperature_K or 0.0 for row in pooled)
    n = min(row.estimate.n_independent for row in pooled)
    error = ratio * scale * float((errors**-2).sum()) ** -0.5
    span = f"{kelvin[0]:g}–{kelvin[-1]:g}"
    return Estimate(ratio, error, n, "1"), span, any(t in liquid for t in kelvin)


def _verdicts(result: Result) -> str:
    rows = [row for row in compared(result.rows) if row.published]
    if not rows:
        return "No published value of anything determined here is at hand to compare with."
    agree = [row for row in rows if row.verdict == "compatible"]
    differ = sorted((row for row in rows if row.verdict == "differs"), key=lambda row: -abs(row.difference or 0.0))
    open_rows = [row for row in rows if row.verdict in ("undecided", "no error", "one glass")]
    was = "quantity has" if len(rows) == 1 else "quantities have"
    text = f"{_number_word(len(rows))} {was} a published value: {len(agree)} compatible with it at 95 %"
    text += f", {len(open_rows)} not to be decided" if open_rows else ""
    text += f", {len(differ)} different"
    text += f": {join_listed([full_label(row.label, row.group) for row in differ])}" if differ else ""
    text += f".{_taken_as_exact(differ)} These errors are statistical"
    return text + "; those of the potential, the size and the cooling rate come on top."


def _taken_as_exact(differ: Sequence[Comparison]) -> str:
    """Say how many of the values that ours differ from were published without an error."""
    n = sum(row.without_published_error for row in differ)
    if not n:
        return ""
    if len(differ) == 1:
        return " That value was published without an error, so taken as exact."
    every = "Both" if n == 2 else f"All {_number_word(n).lower()}"
    which = f"{every} of these" if n == len(differ) else f"{_number_word(n)} of these values"
    return f" {which} {'was' if n == 1 else 'were'} published without an error, so taken as exact."


def without_error_note(rows: Sequence[Comparison]) -> str:
    """Return what the dagger at a published value means; empty where no row has one."""
    marked = [row for row in rows if row.published and row.without_published_error]
    if not marked:
        return ""
    text = f"published without an error ({len(marked)} of {sum(bool(row.published) for row in rows)} values): taken as "
    text += "exact, so the difference is in our errors alone and looks larger than it is."
    fitted = [row.name for row in marked if "EXAFS" in row.source]
    usual = []
    if any(name.endswith("_coordination") for name in fitted):
        usual.append("coordination numbers to 10 to 20 %")
    if any(name.endswith(("_peak_A", "_distance_A")) for name in fitted):
        usual.append("distances to 0.01 to 0.02 Å")
    return text + (f" EXAFS is commonly good for {join_words(usual)}." if usual else "")


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
