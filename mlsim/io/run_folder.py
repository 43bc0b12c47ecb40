"""What the folder of a run holds for a report: numbers, curves, settings, and the refinement where there is one.

result.json   numbers                 `mlsim run`, `mlsim transport`, ...
series.json   curves and histories    `mlsim run`
study.json    settings                `mlsim run`
rmc/          refinement              `mlsim rmc ... -o DIR/rmc`
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.io.results import Result, read_result
from mlsim.io.series import ReportSeries, read_series
from mlsim.io.structures import read_structure

__all__ = ["RefinedCurve", "Refinement", "RunFolder", "read_refinement", "read_run"]

_PIECES: Final = {
    "result.json": "the numbers and their provenance",
    "series.json": "every curve and the atoms",
    "study.json": "the settings",
}


@dataclass(frozen=True)
class RefinedCurve:
    """One data set of a refinement: columns x, data, data_sigma, model, model_error of `fit_<name>.csv`.

    Attributes
    ----------
    name
        Name of the data set.
    of_q
        Whether x is Q in 1/Å; else it is r in Å.
    x, data, model, model_error
        Arrays of shape (point,).
    """

    name: str
    of_q: bool
    x: NDArray[np.float64]
    data: NDArray[np.float64]
    model: NDArray[np.float64]
    model_error: NDArray[np.float64]


@dataclass(frozen=True)
class Refinement:
    """What `mlsim rmc` wrote.

    Attributes
    ----------
    result
        Its numbers.
    curves
        Data and mean model, one per data set.
    verdicts
        What sets each number: "set by the data", "set by constraints" or "set by the starting model"; empty when no
        runs without data were made.
    elements
        Chemical symbols of the atoms of a refined structure; empty when there is none beside the numbers.
    """

    result: Result
    curves: tuple[RefinedCurve, ...] = ()
    verdicts: Mapping[str, str] = field(default_factory=dict)
    elements: tuple[str, ...] = ()


@dataclass(frozen=True)
class RunFolder:
    """What is there of a run.

    Attributes
    ----------
    path
        The folder, or the file of numbers when only that was given.
    result, series, settings, refinement
        None where the piece is not there.
    absent
        One sentence per piece that is not there.
    """

    path: Path
    result: Result | None
    series: ReportSeries | None
    settings: Mapping[str, Any] | None = None
    refinement: Refinement | None = None
    absent: tuple[str, ...] = ()

    @property
    def made_with(self) -> Mapping[str, Any] | None:
        """Settings by part: those of study.json, or of a system of a campaign in series.json; None where neither is."""
        if self.settings is not None:
            return {**self.settings["simulation"], **self.settings["analysis"]}
        return None if self.series is None else self.series.settings or None

    @property
    def settings_sha256(self) -> str | None:
        """Hash of the settings in study.json, made as `mlsim run` makes that in result.json."""
        if self.settings is None:
            return None
        return hashlib.sha256(json.dumps(self.made_with, sort_keys=True).encode()).hexdigest()


def read_run(path: str | os.PathLike[str]) -> RunFolder:
    """Return what a folder, or a single file of numbers, holds of a run.

    Raises
    ------
    DataError
        When there is neither result.json nor series.json, or one that is there cannot be read.
    """
    source = Path(path)
    folder = source if source.is_dir() else source.parent
    numbers = source if source.is_file() else folder / "result.json"
    there = {"result.json": numbers, "series.json": folder / "series.json", "study.json": folder / "study.json"}
    if numbers.name != "result.json":  # a file such as transport.json stands alone
        there = {"result.json": numbers}
    found = {name: file for name, file in there.items() if file.is_file()}
    if not {"result.json", "series.json"} & set(found):
        raise DataError(f"{source}: there is no result.json and no series.json; expected the folder of a finished run")
    return RunFolder(
        source,
        read_result(found["result.json"]) if "result.json" in found else None,
        read_series(found["series.json"]) if "series.json" in found else None,
        _settings(found["study.json"]) if "study.json" in found else None,
        read_refinement(folder / "rmc") if "series.json" in there else None,
        tuple(f"{name} is not there: {what} are missing" for name, what in _PIECES.items() if name not in found),
    )


def read_refinement(folder: Path) -> Refinement | None:
    """Return what `mlsim rmc` wrote to a folder; None where there is none.

    Raises
    ------
    DataError
        When one of its files cannot be read.
    """
    numbers = folder / "result.json"
    if not numbers.is_file():
        return None
    result = read_result(numbers)
    curves = tuple(_refined_curve(file, result) for file in sorted(folder.glob("fit_*.csv")))
    refined = sorted(folder.glob("run_*.extxyz"))
    elements = tuple(read_structure(refined[0]).get_chemical_symbols()) if refined else ()
    return Refinement(result, curves, _verdicts(folder / "influence.json"), elements)


def _refined_curve(path: Path, result: Result) -> RefinedCurve:
    name = path.stem.removeprefix("fit_")
    row = result.row(f"rw_{name}")
    try:
        table = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        x, data, _, model, error = table.T
    except (ValueError, OSError) as problem:
        raise DataError(f"{path}: not a table of x,data,data_sigma,model,model_error ({problem})") from problem
    return RefinedCurve(name, row is not None and "Q [S" in row.method, x, data, model, error)


def _verdicts(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    try:
        return {str(entry["name"]): str(entry["verdict"]) for entry in _json(path)}
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: expected a list of entries with name and verdict") from error


def _settings(path: Path) -> Mapping[str, Any]:
    content = _json(path)
    if not isinstance(content, dict) or not {"simulation", "analysis", "potential_sha256"} <= set(content):
        raise DataError(f"{path}: not the settings of a run; expected keys simulation, analysis and potential_sha256")
    return content


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({type(error).__name__}); expected JSON") from error
