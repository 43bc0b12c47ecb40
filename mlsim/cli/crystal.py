"""`mlsim crystal`: a crystal relaxed with a potential, as the start of molecular dynamics."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlsim.cli.files import Force, require_absent
from mlsim.cli.pipeline import Device, Potential
from mlsim.shipped import DEFAULT_POTENTIAL

__all__ = ["crystal"]


def crystal(
    structure: Annotated[
        str, typer.Argument(metavar="CRYSTAL", help="One that mlsim knows, such as Li2ZrCl6, or a file (CIF, extxyz).")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Structure, *.extxyz.")],
    atoms: Annotated[
        int, typer.Option("--atoms", min=1, help="The most cube-like supercell of at most so many.")
    ] = 228,
    potential: Potential = DEFAULT_POTENTIAL,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Supercell of a crystal, cell and atoms relaxed with a potential at zero pressure."""
    from mlsim.composition import Composition
    from mlsim.io.structures import read_structure, write_structure
    from mlsim.potential.crystal_properties import relaxed_crystal
    from mlsim.potential.crystals import crystal_cell, supercell_near
    from mlsim.study import ModelFile, require_elements

    require_absent(output, force)
    cell = read_structure(structure) if Path(structure).is_file() else crystal_cell(structure)
    source = ModelFile.named(potential, device)
    require_elements(cell.get_chemical_symbols(), source)
    start = supercell_near(cell, atoms)
    relaxed = relaxed_crystal(start, source.load(), fmax_eV_A=0.01)
    relaxed.calc = None
    write_structure(output, relaxed)
    lengths = " × ".join(f"{length:.2f}" for length in relaxed.cell.lengths())
    change = 100 * (relaxed.get_volume() / start.get_volume() - 1)
    formula = Composition.of_atoms(relaxed.get_chemical_symbols()).formula
    typer.echo(f"wrote {output}: {formula}, {len(relaxed)} atoms, {lengths} Å, volume {change:+.1f} % by relaxation")
