"""A series of runs: its members, and one quantity of all of them along the composition."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mlsim.composition import place_in_series
from mlsim.errors import DataError
from mlsim.io.campaign import CAMPAIGN, Campaign, CampaignSystem, read_campaign
from mlsim.io.published import published_sample
from mlsim.io.results import QuantityRow, Reference
from mlsim.io.run_folder import RunFolder, read_refinement, read_run
from mlsim.report.convergence import liquid_temperatures_K, transition_is_known, undecided_temperatures_K

__all__ = ["OF_LINE", "Member", "Point", "campaign_members", "folder_members", "places_of", "points_of"]

OF_LINE: Final = ("conductivity_298K_mS_cm", "activation_energy_eV")
"""Quantities that come from the Arrhenius line."""

_STEP_OUTSIDE: Final = 0.3


@dataclass(frozen=True)
class Member:
    """One run of a series.

    Attributes
    ----------
    label
        Name in words; glass or crystal is in it where the series holds both of one formula.
    formula, x, phase
        Composition, place in the series (None outside of it), amorphous or crystalline.
    run
        What is there of it; None where nothing is.
    remarks
        Sentences on what is missing or odd.
    name
        Of the system in a campaign; empty where there is none.
    """

    label: str
    formula: str
    x: float | None
    phase: str
    run: RunFolder | None
    remarks: tuple[str, ...] = ()
    name: str = ""

    @property
    def transition_is_known(self) -> bool:
        """Whether all its quenches show a kink and agree."""
        if self.run is None or self.run.series is None or self.run.result is None:
            return False
        return transition_is_known(self.run.result, self.run.series)

    @property
    def line_K(self) -> list[float]:
        """Temperatures of its Arrhenius line, K."""
        part = None if self.run is None or self.run.series is None else self.run.series.arrhenius
        return [] if part is None else [point.temperature_K for point in part.points if point.used]

    def row(self, name: str, temperature_K: float | None = None) -> QuantityRow | None:
        """Return a number of the run, of one that has a temperature that at it; None where it is not there."""
        return None if self.run is None or self.run.result is None else self.run.result.row(name, temperature_K)

    @property
    def liquid_K(self) -> list[float]:
        """Temperatures of its Arrhenius line at which the framework flows, K; none when it is the line of a solid."""
        series = None if self.run is None else self.run.series
        return [] if series is None else liquid_temperatures_K(series)

    @property
    def undecided_K(self) -> list[float]:
        """Temperatures of its Arrhenius line at which it is not known whether the framework flows, K."""
        series = None if self.run is None else self.run.series
        return [] if series is None else undecided_temperatures_K(series)

    @property
    def may_flow(self) -> bool:
        """Whether its framework flows on the line or may: not known either where the curves are not there."""
        return bool(self.liquid_K or self.undecided_K or (self.run is not None and self.run.series is None))

    def published(self, name: str) -> Reference | None:
        """Return what is published about that number for this composition: of a glass only."""
        row = self.row(name)
        if row is not None and row.reference is not None:
            return row.reference
        sample = published_sample(self.formula) if self.phase == "amorphous" else None
        return None if sample is None else sample.reference_for(name)


@dataclass(frozen=True)
class Point:
    """One number of one member at its place on the axis of compositions."""

    member: Member
    place: float
    row: QuantityRow

    @property
    def value(self) -> float:
        """The number, in the unit of its row."""
        return self.row.estimate.value

    @property
    def bound(self) -> bool:
        """Whether it is only a bound from above."""
        return self.row.is_upper_bound

    @property
    def doubtful(self) -> bool:
        """Whether the framework flows or may flow on the line that it comes from, or it is a transition not known."""
        if self.row.name in OF_LINE:
            return self.member.may_flow
        return self.row.name == "glass_transition_K" and not self.member.transition_is_known

    @property
    def errors(self) -> tuple[float, float]:
        """How far the 68 % interval reaches down and up from the value; zeros where no error is known."""
        interval = None if self.bound else self.row.interval_68
        return (0.0, 0.0) if interval is None else (self.value - interval[0], interval[1] - self.value)


def campaign_members(folder: Path) -> tuple[Campaign, list[Member]]:
    """Return a campaign and its members in the order of x; one whose numbers are not there yet has no run."""
    campaign = read_campaign(folder / CAMPAIGN)
    systems = sorted(campaign.systems, key=lambda system: math.inf if system.x is None else system.x)
    return campaign, _told_apart([_member(folder, system) for system in systems])


def _told_apart(members: Sequence[Member]) -> list[Member]:
    """Return the members; the glass of a formula whose crystal is there too says that it is one."""
    crystals = {member.formula for member in members if member.phase == "crystalline"}
    return [
        replace(m, label=f"{m.formula}, glass") if m.phase == "amorphous" and m.formula in crystals else m
        for m in members
    ]


def _member(folder: Path, system: CampaignSystem) -> Member:
    remarks = [*system.missing]
    run: RunFolder | None = None
    if system.result is not None and (folder / system.result).is_file():
        run = read_run(folder / system.result)
        refined = [found for part in system.rmc if (found := read_refinement(folder / part)) is not None]
        absent = tuple(line for line in run.absent if not line.startswith("study.json"))  # campaign.json has them
        run = replace(run, refinement=refined[0] if refined else run.refinement, absent=absent)
    return Member(system.label, system.formula, system.x, system.phase, run, tuple(remarks), system.name)


def folder_members(directories: Sequence[str | os.PathLike[str]]) -> list[Member]:
    """Return the members of a series that is given as folders of runs.

    Raises
    ------
    DataError
        When a folder does not say its composition, or two are of the same one and the same phase.
    """
    members: list[Member] = []
    for directory in directories:
        run = read_run(directory)
        formula = _formula(run)
        if formula is None:
            raise DataError(
                f"{directory}: does not say its composition (no series.json, no study.json); list it in a {CAMPAIGN}"
            )
        crystal = run.series is not None and run.series.is_crystal
        label = f"{formula}, crystal" if crystal else formula
        taken = [member.run.path for member in members if member.run is not None and member.label == label]
        if taken:
            raise DataError(f"{directory} and {taken[0]} are both of {label}; `mlsim compare` sets two beside")
        phase = "crystalline" if crystal else "amorphous"
        remarks = () if run.made_with is not None else ("its settings are not known, so they were not compared",)
        members.append(Member(label, formula, place_in_series(formula), phase, run, remarks))
    return sorted(_told_apart(members), key=lambda member: math.inf if member.x is None else member.x)


def _formula(run: RunFolder) -> str | None:
    if run.series is not None:
        return run.series.composition
    return None if run.settings is None else str(run.settings["simulation"]["composition"])


def places_of(members: Sequence[Member]) -> dict[str, tuple[float, str]]:
    """Return place and tick label of each member: x, or to the right of all x for one outside of the series."""
    inside = [member.x for member in members if member.x is not None]
    last = max(inside, default=-_STEP_OUTSIDE)
    places: dict[str, tuple[float, str]] = {}
    for member in members:
        if member.x is None:
            last += _STEP_OUTSIDE
            places[member.label] = (last, member.label)
        else:
            places[member.label] = (member.x, f"{member.x:g}")
    return places


def points_of(members: Sequence[Member], name: str) -> list[Point]:
    """Return a quantity of every member that has it, in the order of the members."""
    places = places_of(members)
    points = []
    for member in members:
        row = member.row(name)
        if row is None or not math.isfinite(row.estimate.value):
            continue
        points.append(Point(member, places[member.label][0], row))
    return points
