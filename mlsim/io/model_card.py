"""What the folder of a potential says of its errors: the tables of `model_card.md`, and the limits of a committee."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlsim.errors import DataError

__all__ = ["CardError", "read_card_errors", "read_committee_limits"]

_HEADING: Final = "## Errors on "
_COLUMNS: Final = ("energy RMSE", "force RMSE", "rms force")


@dataclass(frozen=True)
class CardError:
    """Errors on one class of frames.

    Attributes
    ----------
    part
        Part of the data set, and what sorts it: "test frames", "test frames by composition".
    label
        Class of the frames.
    frames, atoms
        How many.
    energy_meV_per_atom, force_eV_A
        Root mean square errors.
    rms_force_eV_A
        Size of the forces themselves.
    """

    part: str
    label: str
    frames: int
    atoms: int
    energy_meV_per_atom: float
    force_eV_A: float
    rms_force_eV_A: float


def read_card_errors(path: str | os.PathLike[str]) -> tuple[CardError, ...]:
    """Return all errors that a model card lists; empty when it lists none.

    A cell may hold the root mean square and the mean absolute error, `5.8 / 4.5`: the first is taken.

    Raises
    ------
    DataError
        If the file is not there or a table has a column less than ours.
    """
    source = Path(path)
    try:
        lines = source.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as a model card ({type(error).__name__})") from error
    found, part = [], ""
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            part = line.removeprefix(_HEADING).partition(",")[0] if line.startswith(_HEADING) else ""
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not part or not line.startswith("|") or set(line) <= set("|-: ") or not cells[-1][-1:].isdigit():
            continue
        try:
            label, frames, atoms = cells[:3]
            energy, force, size = (float(cell.partition("/")[0]) for cell in cells[3:6])
            found.append(CardError(part, label, int(frames), int(atoms), energy, force, size))
        except ValueError:
            expected = f"class, frames, atoms, {', '.join(_COLUMNS)}"
            raise DataError(f"{source}: line {number}: not a row of {expected}") from None
    return tuple(found)


def read_committee_limits(path: str | os.PathLike[str]) -> tuple[float, float]:
    """Return the deviations, eV/Å, at which a run warns and stops, from the `committee.json` of a potential.

    Raises
    ------
    DataError
        If the file cannot be read or does not hold them.
    """
    source = Path(path)
    try:
        calibration = json.loads(source.read_text(encoding="utf-8"))["calibration"]
        return float(calibration["warn_eV_A"]), float(calibration["stop_eV_A"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{source}: holds no limits of a committee ({type(error).__name__})") from error
