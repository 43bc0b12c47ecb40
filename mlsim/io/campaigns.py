"""`campaign.json`: the results of all samples of a campaign, side by side.

`mlsim collect` writes it, reports and scripts read it. The form is a contract, described in
`workflows/li-zr-o-cl/README.md`; every number is an `Estimate` over independent glasses or runs.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mlsim.errors import DataError
from mlsim.io.atomic import atomic_write_text
from mlsim.io.results import ProvenanceJson, QuantityRow, RowJson, first_problem, row_from_json

__all__ = [
    "Campaign",
    "CampaignCost",
    "CampaignMeasurement",
    "CampaignSample",
    "CampaignSeries",
    "ComparisonFile",
    "SeriesPoint",
    "read_campaign",
    "write_campaign",
]

FILE_NAME = "campaign.json"
Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
State = Literal["amorphous", "crystalline"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CampaignSample(_Part):
    """What is known of one sample.

    Attributes
    ----------
    name, formula, x, state
        Name of its folder, formula, x of Li(2+2x)ZrCl4O(1+x) where it has one, glass or crystal.
    n_runs, n_done, n_atoms
        Glasses (or runs of the crystal) wanted, those whose every MD has ended, atoms in each.
    temperatures_K
        Temperatures of the MD at which every run has ended, K.
    quantities
        Rows of its result, as they stand in `result.json`.
    files, rmc
        Files by what they are, and folders of the RMC, relative to the folder of the campaign.
    notes, missing
        Sentences: what a reader must know, and what is not there yet.
    """

    name: str
    formula: str
    x: FiniteFloat | None
    state: State
    n_runs: Count
    n_done: Count
    n_atoms: Count
    temperatures_K: tuple[Positive, ...] = ()
    quantities: tuple[RowJson, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)
    rmc: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[QuantityRow, ...]:
        """The quantities as rows of a result."""
        return tuple(row_from_json(row) for row in self.quantities)


class SeriesPoint(_Part):
    """One quantity of one sample."""

    sample: str
    x: FiniteFloat | None
    state: State
    value: FiniteFloat
    standard_error: NotNegative | None
    n_independent: Count
    upper_bound: bool


class CampaignSeries(_Part):
    """One quantity of all samples that have it."""

    name: str
    unit: str
    temperature_K: Positive | None
    points: tuple[SeriesPoint, ...]


class ComparisonFile(_Part):
    """Two samples and the result JSON of their differences, second − first."""

    first: str
    second: str
    file: str


class CampaignMeasurement(_Part):
    """A measured curve that a sample was refined against."""

    sample: str
    name: str
    file: str
    quantity: str
    radiation: Literal["xray", "neutron"]


class CampaignCost(_Part):
    """What all quenches and MD took, as far as it was written down (a killed start leaves no line).

    Attributes
    ----------
    processor_s, wall_s
        Summed over runs, s.
    steps, atom_steps_per_s
        Time steps, and atoms × steps per second of processor; None without steps.
    starts
        How often a run was started or went on.
    first, last
        Dates of the first and the last start, ISO 8601; empty when there was none.
    """

    processor_s: NotNegative = 0.0
    wall_s: NotNegative = 0.0
    steps: Count = 0
    atom_steps_per_s: Positive | None = None
    starts: Count = 0
    first: str = ""
    last: str = ""


class CampaignPotential(_Part):
    """The potential that moved all atoms."""

    name: str
    sha256: str


class Campaign(_Part):
    """Everything that `campaign.json` holds; see its parts."""

    title: str
    mobile: str = "Li"
    potential: CampaignPotential
    settings: dict[str, Any]
    samples: tuple[CampaignSample, ...]
    series: tuple[CampaignSeries, ...] = ()
    comparisons: tuple[ComparisonFile, ...] = ()
    measurements: tuple[CampaignMeasurement, ...] = ()
    cost: CampaignCost = CampaignCost()
    missing: tuple[str, ...] = ()
    provenance: ProvenanceJson

    def sample(self, name: str) -> CampaignSample | None:
        """Return the sample of that name, or None."""
        return next((sample for sample in self.samples if sample.name == name), None)

    def series_of(self, name: str, temperature_K: float | None = None) -> CampaignSeries | None:
        """Return one quantity of all samples, or None where fewer than two have it."""
        found = (s for s in self.series if s.name == name and s.temperature_K == temperature_K)
        return next(found, None)


def write_campaign(path: str | os.PathLike[str], campaign: Campaign) -> Path:
    """Write a campaign as JSON in one step, and return the path."""
    target = Path(path)
    body = campaign.model_dump(mode="json")
    atomic_write_text(target, json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return target


def read_campaign(path: str | os.PathLike[str]) -> Campaign:
    """Return the campaign that a file, or the `campaign.json` of a folder, holds, every field checked.

    Raises
    ------
    DataError
        When the file is missing, is no JSON or does not follow `Campaign`: one line that names the field.
    """
    source = Path(path) / FILE_NAME if Path(path).is_dir() else Path(path)
    try:
        return Campaign.model_validate(json.loads(source.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise DataError(f"{source}: there is no such file; `mlsim collect` of a campaign's folder writes it") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{source}: line {error.lineno}: not JSON: {error.msg}") from error
    except ValidationError as error:
        raise DataError(f"{source}: {first_problem(error)}; expected the form that mlsim collect writes") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as text ({type(error).__name__}); expected JSON") from error
