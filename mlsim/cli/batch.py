"""`mlsim md-batch`: molecular dynamics of several structures at several temperatures, all on one GPU at a time."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlsim.cli.files import require_own_folder
from mlsim.cli.pipeline import OutputFolder, Potential, Seed, watched, write_run
from mlsim.shipped import DEFAULT_POTENTIAL

if TYPE_CHECKING:
    from ase import Atoms

    from mlsim.melt_quench.batch import Replica

__all__ = ["md_batch"]


def md_batch(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Structures, such as glasses.")],
    temperatures: Annotated[
        list[float], typer.Option("--temperature-K", help="Temperatures: --temperature-K 600 700 800.")
    ],
    time: Annotated[float, typer.Option("--time-ps", help="Recorded time.")],
    output: OutputFolder,
    replicas: Annotated[int, typer.Option(min=1, help="Runs of each structure at each temperature.")] = 1,
    equilibration: Annotated[float, typer.Option("--equilibration-ps", min=0, help="Time before, not recorded.")] = 1.0,
    interval: Annotated[float, typer.Option("--interval-ps", help="Time between two frames.")] = 0.02,
    timestep: Annotated[float, typer.Option("--timestep-fs", help="Time step.")] = 2.0,
    potential: Potential = DEFAULT_POTENTIAL,
    seed: Seed = 1,
    device: Annotated[
        Literal["cuda", "cpu"] | None, typer.Option(help="A GPU where there is one, when left out.")
    ] = None,
) -> None:
    """Molecular dynamics at constant volume of all structures at all temperatures, in one batch on one GPU.

    Needs torch-sim: pip install 'mlsim[batch]' with Python 3.12 or newer. Each run lies in DIR/NAME-<T>K/ as `mlsim
    md` would have written it. Interrupt it anywhere: the same command goes on where it stopped.
    """
    from mlsim.io.structures import read_structure
    from mlsim.io.trajectories import TrajectoryRecorder
    from mlsim.melt_quench.batch import run_batch
    from mlsim.melt_quench.checkpoint import FILE_NAME as CHECKPOINT_NAME
    from mlsim.melt_quench.guards import warn_of_thin_cell
    from mlsim.potential.batched import TorchSimDynamics, require_torch_sim, torch_sim_model
    from mlsim.study import ModelFile, folder_lock, require_elements

    require_torch_sim()
    starts = {name: read_structure(file) for name, file in zip(_names(files), files, strict=True)}
    batch = _replicas(starts, temperatures, replicas, time, equilibration, timestep)
    source = ModelFile.named(potential)
    require_elements([symbol for start in starts.values() for symbol in start.get_chemical_symbols()], source)
    for start in starts.values():
        warn_of_thin_cell(start, source)
    n_atoms = sum(len(r.atoms) for r in batch)
    with folder_lock(output), watched(output, n_atoms) as (progress, stop):  # from here on, also while the model loads
        for replica in batch:
            require_own_folder(output / replica.name, output / CHECKPOINT_NAME)
        recorders = [
            TrajectoryRecorder(output / r.name, r.atoms.get_chemical_symbols(), interval, r.schedule.segments[-1].end_K)
            for r in batch
        ]
        model = torch_sim_model(potential, device=device)
        dynamics = TorchSimDynamics([r.atoms for r in batch], model, seed=seed)
        glasses = run_batch(
            batch,
            dynamics,
            directory=output,
            seed=seed,
            potential_sha256=source.sha256,
            recorders=recorders,
            frame_interval_ps=interval,
            progress=progress,
            stop=stop,
        )
        for replica, glass, recorder in zip(batch, glasses, recorders, strict=True):
            recorder.finish()
            write_run(output / replica.name, glass)
    n = len(batch)
    typer.echo(f"{output}: done, {n} run{'' if n == 1 else 's'} of {batch[0].schedule.total_ps:g} ps")


def _names(files: list[Path]) -> list[str]:
    """Return a name for each file: its own, with that of its folder or its number before it where several share it."""
    stems = [file.stem for file in files]
    if len(set(stems)) < len(stems):
        stems = [f"{file.resolve().parent.name}-{file.stem}" for file in files]
    if len(set(stems)) < len(stems):
        stems = [f"{number}-{stem}" for number, stem in enumerate(stems, start=1)]
    return stems


def _replicas(
    starts: dict[str, Atoms],
    temperatures_K: list[float],
    n: int,
    time_ps: float,
    equilibration_ps: float,
    timestep_fs: float,
) -> list[Replica]:
    from mlsim.melt_quench import hold_schedule
    from mlsim.melt_quench.batch import Replica

    found = []
    for name, atoms in starts.items():
        for temperature in temperatures_K:
            plan = hold_schedule(temperature, time_ps, equilibration_ps=equilibration_ps, timestep_fs=timestep_fs)
            for number in range(1, n + 1):
                more = f"-{number}" if n > 1 else ""
                found.append(Replica(f"{name}-{temperature:g}K{more}", atoms, plan))
    return found
