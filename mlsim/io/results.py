"""`result.json`: every number that a command returns, with its error, its method and the published value beside it.

The form is a contract with scripts outside this package::

    {"quantities": [{"name", "value", "standard_error", "n_independent", "unit", "method",
                     "reference": {"value", "standard_error", "source"} | null}],
     "provenance": {"mlsim", "potential_sha256", "settings_sha256", "seed", "versions"}}

A quantity that belongs to one temperature carries `temperature_K` too. JSON knows no NaN: a value that is not
finite is written as null and read back as NaN, so that nobody takes it for a number.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from mlsim import __version__
from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.io.atomic import atomic_write_text

__all__ = [
    "UPPER_BOUND",
    "Provenance",
    "QuantityRow",
    "Reference",
    "Result",
    "first_problem",
    "provenance_as_json",
    "read_result",
    "row_as_json",
    "write_result",
]

_KEY_PROBLEMS: Final = {"extra_forbidden": "unknown key", "missing": "key is missing"}
UPPER_BOUND: Final = "upper bound"
"""How the method of a row begins whose value is only a bound from above."""

_SKEWED: Final = re.compile(r"(?!.*_with_).*(conductivity|diffusivity|prefactor)\w*_(mS_cm|cm2_s)")

_VERSIONS_OF: Final = ("ase", "mace-torch", "numba", "numpy", "scipy", "torch")


@dataclass(frozen=True)
class Reference:
    """A published or measured value to stand beside our own.

    Attributes
    ----------
    value
        In the unit of the quantity that it is compared with.
    standard_error
        As published; None where none was given.
    source
        Method and DOI or file, in words.
    """

    value: float
    standard_error: float | None
    source: str


@dataclass(frozen=True)
class QuantityRow:
    """One number of a result.

    Attributes
    ----------
    name
        Contract name, for example `zr_o_coordination`.
    estimate
        Value, standard error, number of independent glasses or runs, unit.
    method
        How it was obtained, one sentence.
    temperature_K
        Only for a quantity given per temperature, K.
    reference
        What it is compared with; None when nothing comparable is published.
    """

    name: str
    estimate: Estimate
    method: str
    temperature_K: float | None = None
    reference: Reference | None = None

    @property
    def is_upper_bound(self) -> bool:
        """True when the value is only a bound from above."""
        return self.method.startswith(UPPER_BOUND)

    @property
    def is_skewed(self) -> bool:
        """True for a diffusivity, a conductivity or a prefactor: positive, and its logarithm is what is Gaussian."""
        return _SKEWED.fullmatch(self.name) is not None and self.estimate.value > 0

    @property
    def interval_68(self) -> tuple[float, float] | None:
        """Ends of the 68 % interval, in the unit of the value: x exp(∓s) of a skewed number; None without an error."""
        estimate = self.estimate
        if self.is_skewed:
            s = estimate.log_error
            return None if s is None else (estimate.value * math.exp(-s), estimate.value * math.exp(s))
        error = estimate.standard_error
        return None if error is None else (estimate.value - error, estimate.value + error)

    @property
    def difference_in_standard_errors(self) -> float | None:
        """(Own value − reference) over both errors combined; None without a reference or without an own error.

        Of a skewed number it is that of the logarithms.
        """
        if self.reference is None or not math.isfinite(self.estimate.value):
            return None
        other = Estimate(self.reference.value, self.reference.standard_error, 0, self.estimate.unit)
        if self.is_skewed:
            if not other.value > 0:
                return None
            own = Estimate(math.log(self.estimate.value), self.estimate.log_error, self.estimate.n_independent, "ln")
            return own.difference_in_standard_errors(math.log(other.value), other.log_error)
        return self.estimate.difference_in_standard_errors(other.value, other.standard_error)


@dataclass(frozen=True)
class Provenance:
    """What made a result: enough to make it again.

    Attributes
    ----------
    mlsim
        Version of this package.
    potential_sha256
        Hash of the model file; None where no potential was used.
    settings_sha256
        Hash of the settings; None where there are none.
    seed
        Seed from which all random numbers follow; None where there are none.
    versions
        Versions of Python and of the packages that do arithmetic.
    """

    mlsim: str = __version__
    potential_sha256: str | None = None
    settings_sha256: str | None = None
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def here(
        cls, *, potential_sha256: str | None = None, settings_sha256: str | None = None, seed: int | None = None
    ) -> Provenance:
        """Return the provenance of a result made by this process: versions are those installed here."""
        versions = {"python": platform.python_version()}
        for package in _VERSIONS_OF:
            try:
                versions[package] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                continue
        return cls(__version__, potential_sha256, settings_sha256, seed, MappingProxyType(versions))


@dataclass(frozen=True)
class Result:
    """A result as read from its file."""

    rows: tuple[QuantityRow, ...]
    provenance: Provenance

    def row(self, name: str, temperature_K: float | None = None) -> QuantityRow | None:
        """Return the row of that name (and temperature), or None when the result has none."""
        found = (row for row in self.rows if row.name == name and row.temperature_K == temperature_K)
        return next(found, None)


def write_result(
    path: str | os.PathLike[str], rows: Sequence[QuantityRow], provenance: Provenance | Mapping[str, Any]
) -> Path:
    """Write a result in the contract's JSON form, in one step, and return its path.

    Parameters
    ----------
    path
        The file; one that exists is replaced in one step.
    rows
        The numbers, in the order in which they should be read.
    provenance
        What made them; a mapping must have the keys of `Provenance`, `versions` may be left out.

    Raises
    ------
    DataError
        When two rows have the same name and temperature, or the provenance has an unknown key.
    """
    target = Path(path)
    seen: set[tuple[str, float | None]] = set()
    for row in rows:
        key = (row.name, row.temperature_K)
        if key in seen:
            at = "" if row.temperature_K is None else f" at {row.temperature_K:g} K"
            raise DataError(f"{target}: quantity '{row.name}'{at} is given twice; give each name once per temperature")
        seen.add(key)
    body = {"quantities": [row_as_json(row) for row in rows], "provenance": provenance_as_json(target, provenance)}
    atomic_write_text(target, json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return target


def read_result(path: str | os.PathLike[str]) -> Result:
    """Return the result that a file holds, every field checked.

    Raises
    ------
    DataError
        When the file is missing, is no JSON or does not follow the contract: one line that names the field.
    """
    source = Path(path)
    body = _parsed(source)
    rows = tuple(_row_from_json(row) for row in body.quantities)
    made_by = body.provenance
    provenance = Provenance(
        made_by.mlsim,
        made_by.potential_sha256,
        made_by.settings_sha256,
        made_by.seed,
        MappingProxyType(dict(made_by.versions)),
    )
    return Result(rows, provenance)


def first_problem(error: ValidationError) -> str:
    """Return the first problem that pydantic found, as `field.path: what is wrong`, for a one-line message."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if problem["type"] in _KEY_PROBLEMS:
        return f"{place}: {_KEY_PROBLEMS[problem['type']]}{more}"
    got, message = problem["input"], problem["msg"].removeprefix("Value error, ")
    shown = f", got {got!r}"[:80] if isinstance(got, str | int | float) or got is None else ""
    return f"{place or 'top level'}: {message}{shown}{more}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _ReferenceJson(_Strict):
    value: FiniteFloat
    standard_error: Annotated[FiniteFloat, Field(ge=0)] | None
    source: str


class _RowJson(_Strict):
    name: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.\-]*$")]
    value: FiniteFloat | None
    standard_error: Annotated[FiniteFloat, Field(ge=0)] | None
    n_independent: Annotated[int, Field(ge=0)]
    unit: str
    method: str
    reference: _ReferenceJson | None
    temperature_K: Annotated[FiniteFloat, Field(gt=0)] | None = None


class _ProvenanceJson(_Strict):
    mlsim: str
    potential_sha256: str | None
    settings_sha256: str | None
    seed: int | None
    versions: dict[str, str]


class _ResultJson(_Strict):
    quantities: list[_RowJson]
    provenance: _ProvenanceJson


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def row_as_json(row: QuantityRow) -> dict[str, Any]:
    """Return a row as it stands in a file."""
    reference = row.reference
    body: dict[str, Any] = {
        "name": row.name,
        "value": _finite(row.estimate.value),
        "standard_error": _finite(row.estimate.standard_error),
        "n_independent": int(row.estimate.n_independent),
        "unit": row.estimate.unit,
        "method": row.method,
        "reference": None
        if reference is None or _finite(reference.value) is None
        else {
            "value": float(reference.value),
            "standard_error": _finite(reference.standard_error),
            "source": reference.source,
        },
    }
    if row.temperature_K is not None:
        body["temperature_K"] = float(row.temperature_K)
    return body


def _row_from_json(row: _RowJson) -> QuantityRow:
    value = math.nan if row.value is None else row.value
    reference = None
    if row.reference is not None:
        reference = Reference(row.reference.value, row.reference.standard_error, row.reference.source)
    estimate = Estimate(value, row.standard_error, row.n_independent, row.unit)
    return QuantityRow(row.name, estimate, row.method, row.temperature_K, reference)


def provenance_as_json(target: Path, provenance: Provenance | Mapping[str, Any]) -> dict[str, Any]:
    """Return a provenance as it stands in the file `target`."""
    if isinstance(provenance, Mapping):
        known = Provenance.__dataclass_fields__
        unknown = sorted(set(provenance) - set(known))
        if unknown:
            raise DataError(f"{target}: provenance has the unknown key '{unknown[0]}'; known: {', '.join(known)}")
        provenance = Provenance(**provenance)
    return {
        "mlsim": provenance.mlsim,
        "potential_sha256": provenance.potential_sha256,
        "settings_sha256": provenance.settings_sha256,
        "seed": provenance.seed,
        "versions": dict(provenance.versions),
    }


def _parsed(source: Path) -> _ResultJson:
    try:
        text = source.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise DataError(f"{source}: there is no such file; expected the result.json of a finished run") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as text ({type(error).__name__}); expected JSON") from error
    try:
        return _ResultJson.model_validate(json.loads(text, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        raise DataError(f"{source}: line {error.lineno}: not JSON: {error.msg}") from error
    except ValidationError as error:
        raise DataError(f"{source}: {first_problem(error)}; expected the form that mlsim writes") from error
    except ValueError as error:
        raise DataError(f"{source}: {error}") from error


def _no_constant(name: str) -> float:
    raise ValueError(f"holds {name}, which is no JSON; expected a number or null")
