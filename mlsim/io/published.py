"""Published values of a sample, as shipped in `data/<sample>/published.yaml`.

Only what can be compared number by number stands under `quantities` and becomes a `Reference`; what is published
but has no counterpart among our quantities stands under `context`, and what a reader must know about the values
(where two of them contradict each other) under `notes`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mlsim.composition import Composition
from mlsim.errors import DataError
from mlsim.io.results import Reference, first_problem
from mlsim.shipped import shipped_folder

__all__ = ["PublishedSample", "PublishedSource", "PublishedValue", "published_sample", "read_published"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedSource(_Part):
    """The publication that values are quoted from."""

    citation: str
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")]


class PublishedValue(_Part):
    """One published number.

    Attributes
    ----------
    name
        Contract name of the quantity, or a name of its own under `context`.
    value
        In `unit`.
    standard_error
        As published; None where none was given.
    unit
        "1" for a pure number.
    method
        What was measured or fitted: EXAFS, PDF, RMC, impedance, NMR.
    temperature_K
        Temperature of the sample, K; None where it does not matter or is not given.
    note
        What to bear in mind, or empty.
    """

    name: str
    value: FiniteFloat
    standard_error: Annotated[FiniteFloat, Field(gt=0)] | None = None
    unit: str
    method: str
    temperature_K: Annotated[FiniteFloat, Field(gt=0)] | None = None
    note: str = ""


class PublishedSample(_Part):
    """What one publication says about one composition.

    Examples
    --------
    >>> sample = published_sample("Li3ZrCl4O1.5")
    >>> sample.reference_for("activation_energy_eV").value
    0.294
    >>> sample.reference_for("cl_no_zr_fraction") is None
    True
    """

    formula: str
    source: PublishedSource
    quantities: tuple[PublishedValue, ...] = ()
    context: tuple[PublishedValue, ...] = ()
    notes: tuple[str, ...] = ()

    def value(self, name: str) -> PublishedValue | None:
        """Return the published value of that name, from `quantities` or `context`; None when there is none."""
        return next((entry for entry in (*self.quantities, *self.context) if entry.name == name), None)

    def reference_for(self, name: str) -> Reference | None:
        """Return what our quantity of that name is compared with; None when nothing comparable is published."""
        for entry in self.quantities:
            if entry.name == name:
                return Reference(entry.value, entry.standard_error, f"{entry.method}, doi:{self.source.doi}")
        return None


class _SampleFile(_Part):
    source: PublishedSource
    compositions: dict[str, _SampleBody]


class _SampleBody(_Part):
    quantities: tuple[PublishedValue, ...] = ()
    context: tuple[PublishedValue, ...] = ()
    notes: tuple[str, ...] = ()


_SampleFile.model_rebuild()


def read_published(path: str | os.PathLike[str]) -> tuple[PublishedSample, ...]:
    """Return the samples that a `published.yaml` holds, in the order of the file.

    Raises
    ------
    DataError
        When the file is missing, is no YAML or has an unknown or missing key: one line that names it.
    """
    source = Path(path)
    try:
        content = yaml.safe_load(source.read_text(encoding="utf-8"))
        body = _SampleFile.model_validate(content)
    except FileNotFoundError:
        raise DataError(f"{source}: there is no such file; expected a published.yaml") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as text ({type(error).__name__}); expected YAML") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise DataError(f"{source}: {line}not YAML: {getattr(error, 'problem', None) or 'cannot be parsed'}") from error
    except ValidationError as error:
        raise DataError(f"{source}: {first_problem(error)}") from error
    samples = tuple(
        PublishedSample(formula=formula, source=body.source, **dict(part))
        for formula, part in body.compositions.items()
    )
    for sample in samples:
        _reject_repeats(source, sample)
        Composition.parse(sample.formula)
    return samples


def published_sample(
    composition: Composition | str, folder: str | os.PathLike[str] | None = None
) -> PublishedSample | None:
    """Return what is published about a composition, or None when the data folder knows nothing of it.

    Parameters
    ----------
    composition
        The composition or its formula; the order of elements and the size of the formula unit do not matter.
    folder
        Where `<sample>/published.yaml` files lie; the data folder that comes with mlsim by default.
    """
    wanted = Composition.parse(composition) if isinstance(composition, str) else composition
    root = shipped_folder("data") if folder is None else Path(folder)
    for path in sorted(root.glob("*/published.yaml")):
        for sample in read_published(path):
            if _unit(Composition.parse(sample.formula)) == _unit(wanted):
                return sample
    return None


def _unit(composition: Composition) -> dict[str, int]:
    return composition.integer_formula_unit()


def _reject_repeats(source: Path, sample: PublishedSample) -> None:
    seen: set[str] = set()
    for entry in (*sample.quantities, *sample.context):
        if entry.name in seen:
            raise DataError(f"{source}: {sample.formula}: '{entry.name}' is given twice; keep one")
        seen.add(entry.name)
