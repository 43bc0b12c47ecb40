"""`mlsim topology`: what finished structures say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import Files, Force, read_ensembles, require_absent
from mlsim.cli.pairs import pair_lengths

if TYPE_CHECKING:
    from ase import Atoms

    from mlsim.curve import Estimate

__all__ = ["bond_counting_lines", "topology"]

_READ_AS = "published values, 'with Li around it' read as 'no centre': "


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
    from mlsim.topology import bond_cutoffs, counting_method, cutoff_effects, estimates_over_glasses, topology_of

    require_absent(output, force)
    fixed = pair_lengths("--cutoff", cutoff, "Zr-O=2.6")
    ensembles = read_ensembles(files)
    cutoffs = bond_cutoffs([atoms for frames in ensembles for atoms in frames], fixed_A=fixed)
    anions = tuple(part.strip() for part in bridging.split(",") if part.strip())
    glasses = [
        topology_of(frames, cutoffs_A=cutoffs, center=center, bridging=anions, mobile=mobile) for frames in ensembles
    ]
    estimates = estimates_over_glasses(glasses)
    effects = cutoff_effects(ensembles, cutoffs, center=center, bridging=anions, mobile=mobile)
    present = glasses[0].bridging
    methods = {
        name: counting_method(name, cutoffs, center=center, bridging=present, mobile=mobile) for name in estimates
    }
    rows = [QuantityRow(name, e, f"{methods[name]}{_effect(effects.get(name))}") for name, e in estimates.items()]
    write_rows(output, rows)
    for line in bond_counting_lines(estimates, ensembles[0][0], center, anions):
        typer.echo(line)


def bond_counting_lines(
    estimates: Mapping[str, Estimate], atoms: Atoms, center: str, anions: Sequence[str]
) -> list[str]:
    """Return what bond counting says of our own numbers, and of the published ones of this composition.

    A published share of anions without any centre is read from ``X_with_li_around_fraction``, as the source has it.
    """
    from mlsim.composition import Composition
    from mlsim.io.published import published_sample
    from mlsim.topology import bond_counting

    symbols = atoms.get_chemical_symbols()
    published = published_sample(Composition.of_atoms(symbols))
    known = {} if published is None else {v.name: v.value for v in (*published.quantities, *published.context)}
    lines = []
    for source, values in (("", {n: e.value for n, e in estimates.items()}), (_READ_AS, known)):
        for anion in anions:
            a, c = anion.lower(), center.lower()
            none = values.get(f"{a}_no_{c}_fraction", values.get(f"{a}_with_li_around_fraction"))
            terminal, coordination = values.get(f"{a}_terminal_fraction"), values.get(f"{c}_{a}_coordination")
            if none is None or terminal is None or coordination is None:
                continue
            ratio = symbols.count(anion) / symbols.count(center)
            lines.append(source + bond_counting(f"{center}-{anion}", ratio, none, terminal, coordination))
    return lines


def _effect(found: tuple[float, float] | None) -> str:
    """What moving the cut-offs does, for the method of a row."""
    return "" if found is None else f"; {found[0]:.4g} to {found[1]:.4g} with all cut-offs 0.1 Å shorter to longer"
