"""Two systems of a campaign side by side, as `mlsim compare` judged them: glass beside crystal, and along x."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlsim.curve import Estimate
from mlsim.io.campaign import Campaign
from mlsim.io.results import QuantityRow, Result, read_result
from mlsim.report.differences import CONFIDENCE, family_of
from mlsim.report.ions import Ions
from mlsim.report.series_charts import axes_of, ions_of_members
from mlsim.report.series_points import Member
from mlsim.report.words import full_label, join_listed, label_of, number_text, unit_text, value_text

__all__ = ["ComparedRow", "ComparedSystems", "compared_systems"]

_ENDING: Final = "_difference"
_CHANCES: Final = re.compile(r"p = (\S+) \(Welch\), (\S+) corrected for (\d+) comparisons? \(Holm\): (.*)")
_CORRECTED: Final = re.compile(r"p = (\S+) \(Welch, Holm\)")
"""As files of earlier versions say it: without the probability alone."""


@dataclass(frozen=True)
class ComparedRow:
    """One quantity of two systems, as text: both numbers, second less first, its probabilities and the verdict.

    `alone` is the probability of this difference alone, `corrected` that among the `n_compared` differences of its
    `family` (see `mlsim.report.differences`); `n_compared` is 0 where it is not known.
    """

    label: str
    unit: str
    first: str
    second: str
    difference: str
    alone: str
    corrected: str
    verdict: str
    family: str
    n_compared: int

    @property
    def group(self) -> str:
        """The family and how many differences were tested in it, as it is printed."""
        return f"{self.family} ({self.n_compared})" if self.n_compared else self.family

    @property
    def differs(self) -> bool:
        """Whether the two differ at 95 %, the comparisons of its family counted."""
        return self.verdict.startswith("differs")


@dataclass(frozen=True)
class ComparedSystems:
    """Two systems by name in words, what people ask for first, and all else that was compared."""

    first: str
    second: str
    rows: tuple[ComparedRow, ...]
    others: tuple[ComparedRow, ...]

    @property
    def answer(self) -> str:
        """How many quantities were tested in how many groups, and which of them differ."""
        tested = [row for row in (*self.rows, *self.others) if row.verdict != "not tested"]
        if not tested:
            return "No difference could be tested: that takes two glasses or runs on each side."
        groups = len({row.family for row in tested})
        differ = [row.label for row in tested if row.differs]
        named = f": {join_listed(differ)}" if 0 < len(differ) <= 8 else ""
        counted = "1 quantity was" if len(tested) == 1 else f"{len(tested)} quantities were"
        where = "" if len(tested) == 1 else " in 1 group" if groups == 1 else f" in {groups} groups, each at 95 %"
        text = f"{counted} tested{where}; {len(differ) or 'none'} differ{'s' if len(differ) == 1 else ''}"
        text += f"{'' if groups > 1 else ' at 95 %'}{named}."
        if groups == 1 or not differ:
            return text
        most = min(100, round(100 * (1 - CONFIDENCE) * groups))
        return f"{text} Were all equal, some group would show a difference with a probability of up to {most} %."


def compared_systems(
    folder: Path, campaign: Campaign, members: Sequence[Member]
) -> tuple[list[ComparedSystems], list[str]]:
    """Return the comparisons of a campaign, and a remark on each whose numbers are not there.

    Raises
    ------
    DataError
        When a file does not follow its form.
    """
    labels = {system.name: system.label for system in campaign.systems}
    by_label = {member.label: member for member in members}
    order = _order(ions_of_members(members))
    found, remarks = [], []
    for pair in campaign.comparisons:
        first, second = (by_label[labels[name]] for name in (pair.first, pair.second))
        results = [None if member.run is None else member.run.result for member in (first, second)]
        file = folder / pair.file
        if results[0] is None or results[1] is None or not file.is_file():
            remarks.append(f"{first.label} beside {second.label}: the numbers of both or {pair.file} are not there")
            continue
        found.append(_compared(first.label, second.label, results[0], results[1], read_result(file), order))
    return found, remarks


def _compared(
    first: str, second: str, ours: Result, theirs: Result, differences: Result, order: Mapping[str, int]
) -> ComparedSystems:
    """Return one comparison; a quantity of the first table stands there untested too, so that its numbers are seen."""
    known = {(row.name.removesuffix(_ENDING), row.temperature_K): row for row in differences.rows}
    rows: list[tuple[QuantityRow, ComparedRow]] = []
    for row in ours.rows:
        other, found = theirs.row(row.name, row.temperature_K), known.get((row.name, row.temperature_K))
        if other is not None and (found is not None or row.name in order):
            rows.append((row, _row(row, other, found)))
    asked = sorted((entry for entry in rows if entry[0].name in order), key=lambda entry: order[entry[0].name])
    others = [shown for row, shown in rows if row.name not in order]
    return ComparedSystems(first, second, tuple(shown for _, shown in asked), tuple(others))


def _order(ions: Ions) -> dict[str, int]:
    """Return the place of each quantity that people ask for first."""
    moves = f"{ions.mobile.lower()}_diffusivity_cm2_s"
    first = ("conductivity_298K_mS_cm", "activation_energy_eV", moves, "haven_ratio")
    return {name: place for place, name in enumerate(dict.fromkeys((*first, *axes_of(ions))))}


def _row(first: QuantityRow, second: QuantityRow, found: QuantityRow | None) -> ComparedRow:
    label, group = label_of(first.name, first.temperature_K)
    alone, corrected, n_compared, verdict = ("", "", 0, "not tested") if found is None else _judged(found.method)
    return ComparedRow(
        label=full_label(label, group),
        unit=unit_text(first.estimate.unit),
        first=value_text(first),
        second=value_text(second),
        difference="" if found is None else _difference(found.estimate),
        alone=alone,
        corrected=corrected,
        verdict=verdict,
        family=family_of(first),
        n_compared=n_compared,
    )


def _judged(method: str) -> tuple[str, str, int, str]:
    """Return the probabilities, the number of comparisons that were counted, and the verdict, as they were written."""
    if found := _CHANCES.search(method):
        return _chance(found[1]), _chance(found[2]), int(found[3]), found[4]
    if found := _CORRECTED.search(method):
        return "", _chance(found[1]), 0, "differs" if float(found[1]) < 0.05 else "no difference seen"
    return "", "", 0, "not tested"


def _chance(text: str) -> str:
    return number_text(float(text))


def _difference(estimate: Estimate) -> str:
    """Return second less first, or of skewed numbers their ratio with its 68 % interval.

    Examples
    --------
    >>> _difference(Estimate(-0.42, 0.41, 4, "ln")), _difference(Estimate(0.2, 0.05, 4, "1"))
    ('× 0.66 (0.44 to 0.99)', '0.200 ± 0.050')
    """
    if estimate.unit != "ln":
        return number_text(estimate.value, estimate.standard_error).replace("-", "−")
    error = estimate.standard_error or 0.0
    ends = (_ratio(estimate.value + sign * error) for sign in (-1, 0, 1))
    low, middle, high = ends
    return f"× {middle} ({low} to {high})"


def _ratio(logarithm: float) -> str:
    """Return a ratio with two significant digits, zeros at the end kept."""
    ratio = float(f"{math.exp(max(-300.0, min(300.0, logarithm))):.2g}")
    return f"{ratio:.{max(0, 1 - math.floor(math.log10(ratio)))}f}" if 1e-3 <= ratio < 1e4 else number_text(ratio)
