"""`mlsim convert-trajectory` and `mlsim lammps`: trajectories and schedules for other programs, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mlsim.cli.files import Force, require_absent
from mlsim.errors import SettingsError
from mlsim.shipped import DEFAULT_POTENTIAL

__all__ = ["convert_trajectory", "lammps"]


def convert_trajectory(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Trajectory: .h5, .extxyz, .traj, LAMMPS text dump.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help=".h5, .extxyz, .traj, .lammpstrj or .dump.")
    ],
    interval: Annotated[
        float | None, typer.Option("--interval-ps", help="Time between frames, where the file does not say.")
    ] = None,
    temperature: Annotated[float | None, typer.Option("--temperature-K", help="Temperature, to be noted.")] = None,
    first: Annotated[int, typer.Option(min=0, help="First frame, from 0.")] = 0,
    last: Annotated[int | None, typer.Option(help="Frame to end before.")] = None,
    stride: Annotated[int, typer.Option(min=1, help="Take each n-th frame.")] = 1,
    force: Force = False,
) -> None:
    """Write a trajectory in another format, a few frames in memory at a time."""
    from mlsim.io.convert import convert_trajectory as converted
    from mlsim.progress import PlainProgress

    require_absent(output, force)
    count = converted(
        file,
        output,
        interval_ps=interval,
        temperature_K=temperature,
        first=first,
        last=last,
        stride=stride,
        progress=PlainProgress(unit="frames"),
    )
    typer.echo(f"wrote {output}: {count} frames")


def lammps(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Structure to start from, as from `mlsim pack`.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for in.lammps, start.data.")],
    schedule: Annotated[
        str, typer.Option(metavar="FILE", help="quick, production, or a YAML file with segments.")
    ] = "quick",
    potential: Annotated[str, typer.Option(metavar="NAME", help="Shipped potential, or a model file.")] = (
        DEFAULT_POTENTIAL
    ),
    pair_style: Annotated[
        Literal["mliap", "mace"], typer.Option(help="mliap: ML-IAP in a Kokkos build; mace: MACE's own pair style.")
    ] = "mliap",
    interval: Annotated[
        float | None, typer.Option("--interval-ps", help="Time between frames of recorded segments.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Velocities and thermostats follow from it.")] = 1,
    force: Force = False,
) -> None:
    """Write the data file and the input with which LAMMPS runs a schedule on a MACE model.

    Its trajectory comes back with `mlsim convert-trajectory trajectory.lammpstrj --interval-ps DT -o trajectory.h5`.
    """
    from mlsim.cli.pipeline import schedule_named
    from mlsim.io.lammps_input import DATA_NAME, INPUT_NAME, write_lammps_run
    from mlsim.io.structures import read_structure
    from mlsim.potential import describe

    for name in (DATA_NAME, INPUT_NAME):
        require_absent(output / name, force)
    start, info = read_structure(file), describe(potential)
    info.require(tuple(dict.fromkeys(start.get_chemical_symbols())))
    if info.path.suffix == ".npz":
        raise SettingsError(f"potential '{info.name}': a compiled file holds no model for LAMMPS; name its source")
    written = write_lammps_run(
        output,
        start,
        schedule_named(schedule),
        str(info.path),
        seed=seed,
        pair_style=pair_style,
        frame_interval_ps=interval,
    )
    typer.echo(
        f"wrote {written} and {written.parent / DATA_NAME}; its first lines say how to convert the model and run"
    )
