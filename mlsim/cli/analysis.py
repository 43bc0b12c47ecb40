"""`mlsim topology`: what finished structures say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import Files, Force, read_ensembles, require_absent

if TYPE_CHECKING:
    pass

__all__ = ["cutoffs_given", "topology"]


def topology(
    files: Files,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.json", help="Result.")],
    cutoff: Annotated[
        list[str] | None, typer.Option(metavar="A-B=R", help="Bond length in Å; first minimum of g(r) when left out.")
    ] = None,
    center: Annotated[str, typer.Option(help="Cation of the polyhedra.")] = "Zr",
    bridging: Annotated[str, typer.Option(help="Anions that link them.")] = "O,Cl",
    mobile: Annotated[str, typer.Option(help="Ion that moves.")] = "Li",
    force: Force = False,
) -> None:
    """Coordination, corner, edge and face links by bridging anion, surroundings of the anions, over glasses."""
    from mlsim.cli.transport import write_rows
    from mlsim.io.results import QuantityRow
    from mlsim.topology import bond_cutoffs, estimates_over_glasses, topology_of

    require_absent(output, force)
    fixed = cutoffs_given(cutoff)
    ensembles = read_ensembles(files)
    cutoffs = bond_cutoffs([atoms for frames in ensembles for atoms in frames], fixed_A=fixed)
    anions = tuple(part.strip() for part in bridging.split(",") if part.strip())
    glasses = [
        topology_of(frames, cutoffs_A=cutoffs, center=center, bridging=anions, mobile=mobile) for frames in ensembles
    ]
    used = ", ".join(f"{a}-{b} {value:.2f} Å" for (a, b), value in sorted(cutoffs.items()) if center in (a, b))
    rows = [QuantityRow(n, e, f"bonds shorter than {used}") for n, e in estimates_over_glasses(glasses).items()]
    write_rows(output, rows)


def cutoffs_given(texts: Sequence[str] | None) -> dict[tuple[str, str], float]:
    """Return the bond lengths that `--cutoff` gave, Å."""
    return dict(_cutoff(text) for text in texts or [])


def _cutoff(text: str) -> tuple[tuple[str, str], float]:
    """Return pair and length of a text such as Zr-O=2.6."""
    from mlsim.errors import SettingsError

    pair, _, length = text.partition("=")
    first, _, second = pair.partition("-")
    try:
        if not (first and second):
            raise ValueError
        return (first, second), float(length)
    except ValueError:
        raise SettingsError(f"--cutoff {text}: expected a pair and its length in Å, such as Zr-O=2.6") from None
