"""`mlsim scatter`: what a diffractometer would see of structures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlsim.cli.files import Files, Force, read_ensembles, require_absent

__all__ = ["scatter"]


def scatter(
    files: Files,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.csv", help="Curve: x,y and sigma.")],
    radiation: Annotated[Literal["xray", "neutron"], typer.Option(help="Weights of the pairs.")] = "xray",
    quantity: Annotated[
        Literal["s_of_q", "i_of_q", "qi_of_q", "f2_of_q", "g_pdf", "t_of_r", "g_of_r"],
        typer.Option(help="Which function."),
    ] = "s_of_q",
    q_max: Annotated[float, typer.Option("--q-max", help="Largest Q, 1/Å.")] = 25.0,
    q_step: Annotated[float, typer.Option("--q-step", help="Step of Q, 1/Å.")] = 0.02,
    q_min: Annotated[float, typer.Option("--q-min", help="Smallest Q, 1/Å.")] = 0.0,
    r_max: Annotated[
        float | None,
        typer.Option(
            "--r-max", help="End of the curve (function of r) or of the pair sum (function of Q), Å; half the cell."
        ),
    ] = None,
    window: Annotated[Literal["step", "lorch"], typer.Option(help="Of the sine transform, for r.")] = "step",
    ions: Annotated[bool, typer.Option("--ions", help="X-ray form factors of ions, not of neutral atoms.")] = False,
    force: Force = False,
) -> None:
    """Total scattering of one glass, or mean and standard error over several."""
    from mlsim.io.measurements import write_curve_csv
    from mlsim.scattering import over_glasses, total_scattering

    require_absent(output, force)
    curves = [
        total_scattering(
            frames,
            radiation=radiation,
            quantity=quantity,
            q_max=q_max,
            q_step=q_step,
            q_min=q_min,
            r_max_A=r_max,
            window=window,
            ions=ions,
        )
        for frames in read_ensembles(files)
    ]
    curve = over_glasses(curves)
    write_curve_csv(output, curve)
    typer.echo(f"wrote {output}: {quantity}, {len(curve.x)} points, {len(curves)} glasses")
