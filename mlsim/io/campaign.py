"""`campaign.json` as a report reads it: the systems of a composition series and where the numbers of each lie."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mlsim.composition import Composition
from mlsim.errors import DataError, SettingsError
from mlsim.io.results import first_problem

__all__ = ["CAMPAIGN", "Campaign", "CampaignComparison", "CampaignCost", "CampaignSystem", "read_campaign"]

CAMPAIGN = "campaign.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class CampaignSystem(_Part):
    """One system of a series.

    Attributes
    ----------
    name
        Name of its folder; empty when none is given.
    formula
        Its composition.
    x
        Place in the series Li(2+2x)ZrCl4O(1+x); None for one outside of it.
    phase
        amorphous or crystalline.
    result
        Its result.json, relative to the folder of campaign.json; series.json beside it holds the curves.
    n_runs, n_done
        Glasses or runs, and how many have ended.
    rmc
        Folders of refinements.
    notes, missing
        Sentences for the reader.
    """

    name: str = ""
    formula: str
    x: FiniteFloat | None = None
    phase: Literal["amorphous", "crystalline"] = "amorphous"
    result: Annotated[str, Field(min_length=1)] | None = None
    n_runs: int | None = None
    n_done: int | None = None
    rmc: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name in words."""
        return self.formula if self.phase == "amorphous" else f"{self.formula}, crystal"


class CampaignComparison(_Part):
    """Two systems by name, and the file of `mlsim compare`, second less first, relative to campaign.json; or None."""

    first: str
    second: str
    file: str | None = None


class CampaignCost(_Part):
    """Processor time and wall time, s, and time steps of all runs; dates of the first and the last."""

    processor_s: FiniteFloat | None = None
    wall_s: FiniteFloat | None = None
    steps: FiniteFloat | None = None
    first: str | None = None
    last: str | None = None


class Campaign(_Part):
    """A series of systems made with one potential and one set of settings."""

    title: str = "Composition series"
    systems: Annotated[tuple[CampaignSystem, ...], Field(min_length=1)]
    settings: dict[str, Any] = Field(default_factory=dict)
    comparisons: tuple[CampaignComparison, ...] = ()
    cost: CampaignCost | None = None
    missing: tuple[str, ...] = ()


def read_campaign(path: str | os.PathLike[str]) -> Campaign:
    """Return a campaign, its systems in the order of the file.

    Raises
    ------
    DataError
        When the file cannot be read, a system lacks a key, names no composition, or is listed twice, or a comparison
        names a system that is not there.
    """
    source = Path(path)
    try:
        campaign = Campaign.model_validate(json.loads(source.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise DataError(f"{source}: line {error.lineno}: not JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as text ({type(error).__name__}); expected JSON") from error
    except ValidationError as error:
        raise DataError(f"{source}: {first_problem(error)}") from error
    seen: set[str] = set()
    for system in campaign.systems:
        try:
            Composition.parse(system.formula)
        except SettingsError as error:
            raise DataError(f"{source}: {error}") from error
        if system.label in seen:
            raise DataError(f"{source}: {system.label} is listed twice; keep one")
        seen.add(system.label)
    names = {system.name for system in campaign.systems}
    for pair in campaign.comparisons:
        if unknown := {pair.first, pair.second} - names:
            raise DataError(f"{source}: comparisons: no system is called '{unknown.pop()}'")
    return campaign
