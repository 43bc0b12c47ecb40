"""`campaign.json`: the systems of a composition series and where the numbers of each lie."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mlsim.composition import Composition
from mlsim.errors import DataError, SettingsError
from mlsim.io.results import first_problem

__all__ = ["CAMPAIGN", "CampaignSystem", "read_campaign"]

CAMPAIGN = "campaign.json"


class CampaignSystem(BaseModel):
    """One system of a series.

    Attributes
    ----------
    formula
        Its composition.
    x
        Place in the series Li(2+2x)ZrCl4O(1+x); None for one outside of it.
    phase
        amorphous or crystalline.
    result
        Its result.json, relative to the folder of campaign.json.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    formula: str
    x: FiniteFloat | None = None
    phase: Literal["amorphous", "crystalline"] = "amorphous"
    result: Annotated[str, Field(min_length=1)]

    @property
    def label(self) -> str:
        """Name in words."""
        return self.formula if self.phase == "amorphous" else f"{self.formula}, {self.phase}"


class _Campaign(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    systems: Annotated[tuple[CampaignSystem, ...], Field(min_length=1)]


def read_campaign(path: str | os.PathLike[str]) -> tuple[CampaignSystem, ...]:
    """Return the systems of a campaign, in the order of the file.

    Raises
    ------
    DataError
        When the file cannot be read, or a system lacks a key, names no composition, or is listed twice.
    """
    source = Path(path)
    try:
        body = _Campaign.model_validate(json.loads(source.read_text(encoding="utf-8")))
    except json.JSONDecodeError as error:
        raise DataError(f"{source}: line {error.lineno}: not JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as text ({type(error).__name__}); expected JSON") from error
    except ValidationError as error:
        raise DataError(f"{source}: {first_problem(error)}") from error
    seen: set[str] = set()
    for system in body.systems:
        try:
            Composition.parse(system.formula)
        except SettingsError as error:
            raise DataError(f"{source}: {error}") from error
        if system.label in seen:
            raise DataError(f"{source}: {system.label} is listed twice; keep one")
        seen.add(system.label)
    return body.systems
