"""What is known of the errors of the potential that moved the atoms: its model card and its committee's limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlsim.errors import DataError
from mlsim.io.model_card import CardError, read_card_errors, read_committee_limits
from mlsim.io.series import PotentialPart
from mlsim.shipped import shipped_folder

__all__ = ["PotentialErrors", "potential_errors"]


@dataclass(frozen=True)
class PotentialErrors:
    """Errors on test frames by table of the card, why there are none, and when a committee warns and stops, eV/Å."""

    tables: tuple[tuple[str, tuple[CardError, ...]], ...] = ()
    note: str = ""
    limits: tuple[float, float] | None = None


def potential_errors(potential: PotentialPart | None) -> PotentialErrors:
    """Return what the folder of a shipped potential says; of another one, why it is not at hand."""
    if potential is None:
        return PotentialErrors(note="No potential is named, so its errors cannot be shown.")
    name = potential.name
    folder = shipped_folder("potentials") / name
    path = folder / "model_card.md"
    if name in (".", "..") or not path.is_file():
        return PotentialErrors(note=f"The potential {name} does not come with mlsim, so its model card is not at hand.")
    if potential.sha256[:12] not in path.read_text(encoding="utf-8").partition("\n")[0]:
        return PotentialErrors(note=f"The model card of {name} that is at hand is of another version of it.")
    committee = folder / "committee.json"
    limits = read_committee_limits(committee) if committee.is_file() else None
    try:
        rows = read_card_errors(path)
    except DataError as error:  # a report goes to others: no path of this machine
        return PotentialErrors(note=f"The model card of {name} cannot be read: {_problem(path, error)}.", limits=limits)
    rows = tuple(row for row in rows if row.part.startswith("test")) or rows
    parts = dict.fromkeys(row.part for row in rows)
    tables = tuple((part, tuple(row for row in rows if row.part == part)) for part in parts)
    return PotentialErrors(tables, "" if rows else f"The model card of {name} lists no errors.", limits)


def _problem(path: Path, error: DataError) -> str:
    return str(error).removeprefix(f"{path}: ")
