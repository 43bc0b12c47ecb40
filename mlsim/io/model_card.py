"""Errors of a potential, as its `model_card.md` gives them: tables by part of the data set and class of frames."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlsim.errors import DataError

__all__ = ["CardError", "read_card_errors"]

_HEADING: Final = "## Errors on "
_COLUMNS: Final = ("energy RMSE", "force RMSE", "rms force")


@dataclass(frozen=True)
class CardError:
    """Errors on one class of frames.

    Attributes
    ----------
    part
        Part of the data set: "test frames", "validation frames".
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
            label, frames, atoms, energy, force, size = cells[:6]
            found.append(CardError(part, label, int(frames), int(atoms), float(energy), float(force), float(size)))
        except ValueError:
            expected = f"class, frames, atoms, {', '.join(_COLUMNS)}"
            raise DataError(f"{source}: line {number}: not a row of {expected}") from None
    return tuple(found)
