"""Plain tables as CSV: what a spreadsheet or three lines of Python can read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mlsim.atomic import atomic_write_text
from mlsim.melt_quench import ThermoLog

__all__ = ["write_thermo_csv"]

_COLUMNS: Final = ("time_ps", "temperature_K", "potential_energy_eV", "pressure_GPa", "volume_A3", "segment")


def write_thermo_csv(path: str | os.PathLike[str], log: ThermoLog) -> Path:
    """Write temperature, energy, pressure and volume of a run, one row per logged step, and return the path."""
    target = Path(path)
    rows = zip(*(getattr(log, name).tolist() for name in _COLUMNS), strict=True)
    lines = [",".join(_COLUMNS), *(",".join(f"{value:.10g}" for value in row) for row in rows)]
    atomic_write_text(target, "\n".join(lines) + "\n")
    return target
