"""Two systems of a campaign side by side, judged as `mlsim compare` does: glass beside crystal, and along x."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.io.campaign import Campaign
from mlsim.io.results import Result
from mlsim.report.differences import CONFIDENCE, Difference, differences, family_of
from mlsim.report.ions import Ions
from mlsim.report.series_charts import axes_of, ions_of_members
from mlsim.report.series_points import Member
from mlsim.report.words import full_label, join_listed, join_words, number_text, unit_text, value_text

__all__ = ["ComparedRow", "ComparedSystems", "compared_systems"]


@dataclass(frozen=True)
class ComparedRow:
    """One quantity of two systems, as text: both numbers, second less first, its probabilities and the verdict.

    `alone` is the probability of this difference alone, `corrected` that among the `n_compared` differences of its
    `family` (see `mlsim.report.differences`); `n_compared` is 0 where none could be tested.
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
        """The family and, of what was tested, how many differences were in it, as it is printed."""
        return f"{self.family} ({self.n_compared})" if self.alone else self.family

    @property
    def differs(self) -> bool:
        """Whether the two differ at 95 %, the comparisons of its family counted."""
        return self.verdict.startswith("differs")


@dataclass(frozen=True)
class ComparedSystems:
    """Two systems by name in words, what people ask for first, all else that was compared, and which flow where."""

    first: str
    second: str
    rows: tuple[ComparedRow, ...]
    others: tuple[ComparedRow, ...]
    liquids: tuple[str, ...] = ()

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


def compared_systems(campaign: Campaign, members: Sequence[Member]) -> tuple[list[ComparedSystems], list[str]]:
    """Return the comparisons that a campaign asks for, and a remark on each that cannot be made.

    They are made from the numbers of the systems as they are now, not from what `mlsim compare` wrote earlier.
    """
    by_name = {member.name: member for member in members}
    order = _order(ions_of_members(members))
    found, remarks = [], []
    for pair in campaign.comparisons:
        first, second = (by_name[name] for name in (pair.first, pair.second))
        if first.run is None or second.run is None or first.run.result is None or second.run.result is None:
            remarks.append(f"{first.label} beside {second.label}: the numbers of both are not there")
            continue
        try:
            compared = _compared(first.label, second.label, first.run.result, second.run.result, order)
            found.append(replace(compared, liquids=_liquids(first, second)))
        except DataError as error:
            remarks.append(f"{first.label} beside {second.label}: {error}")
    return found, remarks


def _compared(first: str, second: str, ours: Result, theirs: Result, order: Mapping[str, int]) -> ComparedSystems:
    """Return one comparison; a quantity of the first table stands there untested too, so that its numbers are seen."""
    found = differences(ours, theirs)
    asked = sorted((one for one in found if one.first.name in order), key=lambda one: order[one.first.name])
    others = [one for one in found if one.first.name not in order and one.estimate is not None]
    return ComparedSystems(first, second, tuple(_row(one) for one in asked), tuple(_row(one) for one in others))


def _liquids(*members: Member) -> tuple[str, ...]:
    flows = [(m.label, join_words([f"{t:g}" for t in m.liquid_K])) for m in members if m.liquid_K]
    return tuple(
        f"The framework of {label} flows at {kelvin} K: its transport is that of a liquid." for label, kelvin in flows
    )


def _order(ions: Ions) -> dict[str, int]:
    """Return the place of each quantity that people ask for first."""
    moves = f"{ions.mobile.lower()}_diffusivity_cm2_s"
    first = ("conductivity_298K_mS_cm", "activation_energy_eV", moves, "haven_ratio")
    return {name: place for place, name in enumerate(dict.fromkeys((*first, *axes_of(ions))))}


def _row(one: Difference) -> ComparedRow:
    alone, corrected = ("" if chance is None else _chance(chance) for chance in (one.probability, one.corrected))
    return ComparedRow(
        label=full_label(one.label, one.group),
        unit=unit_text(one.first.estimate.unit),
        first=value_text(one.first),
        second=value_text(one.second),
        difference="" if one.estimate is None else _difference(one.estimate),
        alone=alone,
        corrected=corrected,
        verdict=one.words,
        family=family_of(one.first),
        n_compared=one.n_compared,
    )


def _chance(probability: float) -> str:
    return number_text(float(f"{probability:.2g}"))


def _difference(estimate: Estimate) -> str:
    """Return second less first, or of skewed numbers their ratio with its 68 % interval.

    Examples
    --------
    >>> _difference(Estimate(-0.42, 0.41, 4, "ln")), _difference(Estimate(0.2, 0.05, 4, "1"))
    ('× 0.66 (0.44 to 0.99)', '0.200 ± 0.050')
    """
    if estimate.unit != "ln":
        return number_text(estimate.value, estimate.standard_error)
    error = estimate.standard_error or 0.0
    ends = (_ratio(estimate.value + sign * error) for sign in (-1, 0, 1))
    low, middle, high = ends
    return f"× {middle} ({low} to {high})"


def _ratio(logarithm: float) -> str:
    """Return a ratio with two significant digits, zeros at the end kept."""
    ratio = float(f"{math.exp(max(-300.0, min(300.0, logarithm))):.2g}")
    return f"{ratio:.{max(0, 1 - math.floor(math.log10(ratio)))}f}" if 1e-3 <= ratio < 1e4 else number_text(ratio)
