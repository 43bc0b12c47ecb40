"""`mlsim potential`: what potentials there are, and how one is made and judged."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import require_absent

if TYPE_CHECKING:
    from mlsim.potential.evaluate import MeltCheck

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Potentials: list, make, judge and compile them.")

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What is sampled, who labels, how it is trained.")]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder with frames/, labelled/ and models/.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]


@app.command()
def info(
    potential: Annotated[str, typer.Argument(metavar="[NAME|FILE]", help="All shipped ones when left out.")] = "",
) -> None:
    """Say what a potential is: elements, cut-off, sha256, compiled or not."""
    from mlsim.potential import describe, shipped_potentials

    for name in [potential] if potential else shipped_potentials():
        found = describe(name)
        form = "compiled" if found.compiled else "not compiled: runs through MACECalculator, or compile it"
        typer.echo(f"{found.name}: {found.about}")
        typer.echo(f"  elements {' '.join(found.elements)}, cut-off {found.cutoff_A:g} Å, {form}")
        typer.echo(f"  {found.path}\n  sha256 {found.sha256}")


@app.command()
def sample(
    recipe: Recipe,
    out: Annotated[Path, typer.Option("-o", "--out", help="Dataset folder; chains that it holds are kept.")],
    group: Annotated[list[str] | None, typer.Option(help="Only these groups of the recipe.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 1,
) -> None:
    """Compute the structures of a recipe that the dataset does not hold yet."""
    from mlsim.potential.recipe import read_recipe, sample_chains
    from mlsim.progress import PlainProgress

    settings = read_recipe(recipe)
    new = sample_chains(settings, out, groups=tuple(group or ()), jobs=jobs, progress=PlainProgress(unit="chains"))
    typer.echo(f"sampled {len(new)} chains into {out}/frames")


@app.command()
def label(
    dataset: Dataset,
    calculator: Annotated[
        str,
        typer.Option(
            help="gpaw (plane-wave PBE), sevennet:MODEL, chgnet, mace:FILE or ase:MODULE:FACTORY (any other)."
        ),
    ],
    python: Annotated[str, typer.Option(help="Python of the environment that has the teacher.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Processes, one thread each.")] = 1,
) -> None:
    """Give every frame of a dataset energy, forces and stress of a teacher; goes on where it was stopped."""
    from mlsim.potential.label import label_dataset
    from mlsim.progress import PlainProgress

    done = label_dataset(dataset, calculator, python=python, jobs=jobs, progress=PlainProgress(unit="frames"))
    typer.echo(f"labelled {done} chains into {dataset}/labelled")


@app.command()
def archive(
    dataset: Dataset,
    recipe: Annotated[Path, typer.Option(help="Recipe, for the split.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder for labels, pending frames and their list.")],
) -> None:
    """Pack a growing dataset: labelled frames, frames still to be labelled, and their list with hashes."""
    from mlsim.potential.archive import archive as write_archive
    from mlsim.potential.recipe import read_recipe

    record = write_archive(dataset, out, read_recipe(recipe))
    parts = ", ".join(f"{n} {part}" for part, n in record["frames_by_part"].items())
    typer.echo(f"{out}: {record['frames']} labelled frames ({parts}), {record['pending']} pending")


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(metavar="ARCHIVE", help="Folder that `archive` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Dataset folder to make.")],
) -> None:
    """Unpack an archive into a dataset folder, where labelling goes on with the first pending frame."""
    from mlsim.potential.archive import restore as read_archive

    labelled, pending = read_archive(archive, out)
    typer.echo(f"{out}: {labelled} labelled frames, {pending} pending")


@app.command()
def train(
    recipe: Recipe,
    dataset: Dataset,
    round_name: Annotated[str, typer.Option("--round", help="Round of the recipe; the last when left out.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train one round with mace's trainer; a killed training goes on from its last checkpoint."""
    import json

    from mlsim.atomic import atomic_write_text
    from mlsim.errors import SettingsError
    from mlsim.potential.dataset import labelled_chains
    from mlsim.potential.recipe import read_recipe, round_model
    from mlsim.potential.train import train as train_round
    from mlsim.progress import PlainProgress

    settings = read_recipe(recipe)
    chosen = settings.round(round_name)
    start = round_model(dataset, chosen.start_from) if chosen.start_from else None
    if start is not None and not start.exists():
        raise SettingsError(f"round {chosen.name} starts from {start}, which is not there; train that round first")
    split = settings.split(labelled_chains(dataset))
    target = round_model(dataset, chosen.name)
    progress = PlainProgress(unit="epochs", interval_s=0)
    work = dataset / "work" / chosen.name
    record = train_round(
        settings, chosen.training, split, work, target, start_from=start, device=device, progress=progress
    )
    atomic_write_text(target.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
    typer.echo(f"E0s: {record['E0s_eV']}")
    typer.echo(f"wrote {target}")


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or file of a potential.")],
    recipe: Annotated[Path, typer.Option(help="Recipe, for the split.")],
    dataset: Annotated[Path, typer.Option(help="Dataset folder or packed file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model card to write, Markdown.")],
    teacher_python: Annotated[
        str, typer.Option(help="Python that has the recipe's teacher, to compare its lattice constants.")
    ] = "",
    melts: Annotated[bool, typer.Option(help="Run the four 20 ps melts of 114 atoms as well.")] = True,
    force: Force = False,
) -> None:
    """Write the model card: errors by class on held-out chains, lattice constants, short range, its own melts."""
    from mlsim.atomic import atomic_write_text
    from mlsim.potential import describe, load
    from mlsim.potential.dataset import labelled_chains
    from mlsim.potential.evaluate import class_errors, lattice_constants, shortest_repulsion
    from mlsim.potential.label import teacher_lattice_constants
    from mlsim.potential.recipe import read_recipe
    from mlsim.potential.release import model_card
    from mlsim.progress import PlainProgress

    require_absent(out, force)
    settings, found, calculator = read_recipe(recipe), describe(model), load(model)
    split = settings.split(labelled_chains(dataset))
    say = PlainProgress()
    errors = {part: class_errors(calculator, getattr(split, part), say) for part in ("validation", "test")}
    teacher = teacher_lattice_constants(settings.teacher, teacher_python) if teacher_python else {}
    lattice = {name: (own, teacher.get(name)) for name, own in lattice_constants(calculator).items()}
    repulsion = shortest_repulsion(calculator, settings.elements)
    runs = _melts(calculator) if melts else []
    command = shlex.join(["mlsim", *sys.argv[1:]])
    title = f"{found.name} ({found.sha256[:12]})"
    atomic_write_text(out, model_card(title, command, errors, lattice, repulsion, runs))
    typer.echo(f"wrote {out}")


def _melts(calculator: object) -> list[MeltCheck]:
    from mlsim.potential.evaluate import melt_check
    from mlsim.progress import PlainProgress

    say = PlainProgress()
    runs = [(2000.0, 1), (2000.0, 2), (2000.0, 3), (1500.0, 1)]
    return [
        melt_check(calculator, formula="Li3ZrCl4O1.5", temperature_K=t, duration_ps=20, seed=s, progress=say)
        for t, s in runs
    ]


@app.command(name="compile")
def compile_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A MACE model file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Compiled file to write (.npz).")],
    force: Force = False,
) -> None:
    """Compile a MACE model with scalar features, so that it runs without torch; says why another does not fit."""
    from mlsim.potential.engine import compile_model

    require_absent(out, force)
    report = compile_model(model, out, overwrite=force)
    typer.echo(f"{report.path}: {report.description}")
    typer.echo(
        f"largest deviation from float64 torch on {report.n_frames} structures: {report.energy_error_eV:.1e} eV/atom, "
        f"{report.force_error_eV_A:.1e} eV/Å, {report.stress_error_eV_A3:.1e} eV/Å3"
    )


@app.command()
def release(
    recipe: Recipe,
    dataset: Dataset,
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder potentials/NAME.")],
    about: Annotated[str, typer.Option(help="One line on the origin of the potential.")],
    packed: Annotated[Path | None, typer.Option(help="Also pack all labelled chains into this .extxyz.xz.")] = None,
    round_name: Annotated[str, typer.Option("--round", help="Round of the recipe; the last when left out.")] = "",
) -> None:
    """Make a shipped potential of a trained round: model, compiled form, description and dataset list."""
    import json

    from mlsim.atomic import atomic_write_text
    from mlsim.potential.dataset import labelled_chains, write_packed
    from mlsim.potential.recipe import read_recipe, round_model
    from mlsim.potential.release import dataset_list
    from mlsim.potential.release import release as release_model

    settings = read_recipe(recipe)
    chains = labelled_chains(dataset)
    split = settings.split(chains)
    model = round_model(dataset, settings.round(round_name).name)
    # pairs pushed together have forces of 1000 eV/Å, where a bound of 1e-4 eV/Å is below the precision of float32
    calm = [frame for frame in split.test if frame.info.get("kind") not in ("contact", "core")]
    card = release_model(settings, model, out, about=about, frames=calm[:: max(1, len(calm) // 12)])
    atomic_write_text(out / "dataset.json", json.dumps(dataset_list(settings, chains), indent=1) + "\n")
    if packed is not None:
        write_packed(packed, chains)
    typer.echo(f"released {out}, sha256 {card['sha256']}")
