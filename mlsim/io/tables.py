"""Plain tables as CSV: what a spreadsheet or three lines of Python can read."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsim.atomic import atomic_write_text
from mlsim.errors import DataError
from mlsim.io.results import QuantityRow
from mlsim.melt_quench import ThermoLog

__all__ = ["read_thermo_csv", "write_rates_csv", "write_table_csv", "write_thermo_csv"]

_COLUMNS: Final = ("time_ps", "temperature_K", "potential_energy_eV", "pressure_GPa", "volume_A3", "segment")
_COMMITTEE: Final = "committee_deviation_eV_A"


def write_thermo_csv(path: str | os.PathLike[str], log: ThermoLog) -> Path:
    """Write temperature, energy, pressure and volume of a run, one row per logged step, and return the path.

    A run with a committee of potentials has its disagreement in a last column.
    """
    columns = (*_COLUMNS, _COMMITTEE) if np.isfinite(getattr(log, _COMMITTEE)).any() else _COLUMNS
    return write_table_csv(path, {name: getattr(log, name) for name in columns})


def write_table_csv(path: str | os.PathLike[str], columns: Mapping[str, NDArray[Any]]) -> Path:
    """Write columns of equal length under their names, and return the path."""
    target = Path(path)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [",".join(columns), *(",".join(f"{value:.10g}" for value in row) for row in rows)]
    atomic_write_text(target, "\n".join(lines) + "\n")
    return target


def write_rates_csv(path: str | os.PathLike[str], rows: Sequence[tuple[float, QuantityRow]]) -> Path:
    """Write numbers of glasses quenched at several rates, one line per rate and quantity, and return the path."""
    target = Path(path)
    lines = ["rate_K_per_ps,quantity,value,standard_error,n_independent,unit"]
    for rate, row in rows:
        estimate = row.estimate
        error = "" if estimate.standard_error is None else f"{estimate.standard_error:.6g}"
        lines.append(f"{rate:g},{row.name},{estimate.value:.8g},{error},{estimate.n_independent},{estimate.unit}")
    atomic_write_text(target, "\n".join(lines) + "\n")
    return target


def read_thermo_csv(path: str | os.PathLike[str]) -> ThermoLog:
    """Return the log that `write_thermo_csv` wrote.

    Raises
    ------
    DataError
        If the file has other columns, or values that are no numbers.
    """
    source = Path(path)
    text = source.read_text(encoding="utf-8", errors="replace")
    head, *lines = text.splitlines() or [""]
    columns = next((c for c in (_COLUMNS, (*_COLUMNS, _COMMITTEE)) if head.strip() == ",".join(c)), None)
    if columns is None:
        raise DataError(
            f"{source}: first line is '{head[:60]}', expected the thermo.csv of mlsim: {','.join(_COLUMNS)}"
        )
    try:
        rows = np.array([[float(word) for word in line.split(",")] for line in lines])
    except ValueError as error:
        raise DataError(f"{source}: {error}; expected numbers in every line below the first") from None
    if rows.ndim != 2 or rows.shape[1] != len(columns):
        raise DataError(f"{source}: {len(lines)} lines of data, not all of {len(columns)} numbers")
    return ThermoLog.of_rows(rows)
