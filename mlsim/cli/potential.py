"""`mlsim potential`: what potentials there are, and how one is made and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mlsim.cli.evaluate import evaluate
from mlsim.cli.files import require_absent
from mlsim.errors import SettingsError, did_you_mean

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Potentials: list, make, judge and compile them.")
app.command()(evaluate)

Recipe = Annotated[Path, typer.Argument(metavar="RECIPE.yaml", help="What is sampled, who labels, how it is trained.")]
Dataset = Annotated[Path, typer.Argument(metavar="DATASET", help="Folder with frames/, labelled/ and models/.")]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Load this model file although loading can run code in it; remembered by sha256."),
]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]


@app.command()
def info(
    potential: Annotated[str, typer.Argument(metavar="[NAME|FILE]", help="All shipped ones when left out.")] = "",
    trust: Trust = False,
) -> None:
    """Say what a potential is: elements, cut-off, sha256, compiled or not."""
    from mlsim.potential import describe, shipped_potentials

    for name in [potential] if potential else shipped_potentials():
        found = describe(name, trust=trust)
        form = "compiled" if found.compiled else "compiled at first use if it fits, else runs through MACECalculator"
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
    chains: Annotated[str, typer.Option(help="Only chains whose name fits this pattern, such as 'a1-*'.")] = "*",
) -> None:
    """Give every frame of a dataset energy, forces and stress of a teacher; goes on where it was stopped."""
    from mlsim.potential.label import label_dataset
    from mlsim.progress import PlainProgress

    say = PlainProgress(unit="frames")
    done = label_dataset(dataset, calculator, python=python, jobs=jobs, chains=chains, progress=say)
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
def select(
    pool: Annotated[Path, typer.Argument(metavar="POOL", help="Folder with frames/ to choose from.")],
    model: Annotated[list[Path], typer.Option(help="Members of the committee; once for each, the leader first.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Dataset that the chosen frames are added to.")],
    number: Annotated[int, typer.Option(min=1, help="How many frames.")] = 30,
    per_chain: Annotated[int, typer.Option(min=1, help="At most this many of one chain.")] = 2,
    chains: Annotated[str, typer.Option(help="Only chains whose name fits this pattern.")] = "*",
) -> None:
    """Choose the frames on which a committee disagrees most, and add them to a dataset to be labelled."""
    from mlsim.potential.active_learning import add_to_dataset, chosen_by_disagreement, frame_deviations
    from mlsim.potential.committee import load_committee
    from mlsim.potential.dataset import read_frames
    from mlsim.progress import PlainProgress

    committee = load_committee(model)
    candidates = {
        path.name.removesuffix(".extxyz"): read_frames(path)
        for path in sorted((pool / "frames").glob(f"{chains}.extxyz"))
        if not (out / "frames" / path.name).exists()
    }
    say = PlainProgress(unit="frames")
    deviations = {name: frame_deviations(committee, frames, say) for name, frames in candidates.items()}
    chosen = chosen_by_disagreement(candidates, deviations, number=number, per_chain=per_chain)
    add_to_dataset(out, candidates, deviations, chosen)
    for name, indices in chosen.items():
        typer.echo(f"{name}: frames {indices}, deviations {[round(deviations[name][k], 3) for k in indices]} eV/Å")
    typer.echo(f"{out}: {sum(map(len, chosen.values()))} frames of {len(chosen)} chains added")


@app.command()
def calibrate(
    model: Annotated[
        list[Path], typer.Argument(metavar="MODEL...", help="Members of the committee, the leader first.")
    ],
    recipe: Annotated[Path, typer.Option(help="Recipe, for the split.")],
    dataset: Annotated[Path, typer.Option(help="Dataset folder or packed file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Thresholds to write (.json); plot beside it (.png).")],
    part: Annotated[str, typer.Option(help="validation or test frames, or both: held-out.")] = "held-out",
    force: Force = False,
) -> None:
    """Set the deviation of a committee against true errors on held-out frames, and take its thresholds from there.

    The file that it writes is a potential: `mlsim quench ... --potential committee.json`.
    """
    from mlsim.potential.committee import calibration, load_committee, ratio_by_deviation, write_committee_file
    from mlsim.potential.dataset import labelled_chains
    from mlsim.potential.label_checks import check_split
    from mlsim.potential.recipe import read_recipe
    from mlsim.report.potential_charts import write_calibration

    require_absent(out, force)
    settings = read_recipe(recipe)
    split = settings.split(labelled_chains(dataset, unfinished=True))
    parts = {"validation": split.validation, "test": split.test, "held-out": (*split.validation, *split.test)}
    if part not in parts:
        raise SettingsError(f"part '{part}': {did_you_mean(part, parts)}")
    check_split(split, settings.elements)
    committee = load_committee(model)
    found, deviation, error = calibration(committee, parts[part])
    write_committee_file(out, model, found)
    thresholds = (found.warn_eV_A, found.stop_eV_A)
    write_calibration(
        deviation,
        error,
        scale=found.scale,
        rank_correlation=found.rank_correlation,
        thresholds=thresholds,
        path=out.with_suffix(".png"),
    )
    typer.echo(str(committee))
    ratios = ratio_by_deviation(deviation, error)
    typer.echo(
        f"{found.n_atoms} atoms of {found.n_frames} frames: rank correlation {found.rank_correlation:.2f}, "
        f"warn at {found.warn_eV_A:.3f}, stop at {found.stop_eV_A:.3f} eV/Å"
    )
    typer.echo(
        f"root mean square of error / of deviation: {found.scale:.2f} over all atoms, {ratios[0]:.2g} in the tenth "
        f"with the smallest deviation, {ratios[-1]:.2g} in that with the largest"
    )


@app.command()
def train(
    recipe: Recipe,
    dataset: Dataset,
    round_name: Annotated[str, typer.Option("--round", help="Round of the recipe; the last when left out.")] = "",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
) -> None:
    """Train one round with mace's trainer, every member of its committee; a killed training goes on.

    Writes the model with the best validation error, a record beside it (.json) and its learning curve (.png).
    """
    import json

    from mlsim.atomic import atomic_write_text
    from mlsim.potential.dataset import labelled_chains
    from mlsim.potential.label_checks import check_split
    from mlsim.potential.recipe import read_recipe, round_model
    from mlsim.potential.train import start_model
    from mlsim.potential.train import train as train_round
    from mlsim.progress import PlainProgress
    from mlsim.report.potential_charts import write_learning_curve

    settings = read_recipe(recipe)
    chosen = settings.round(round_name)
    start = start_model(dataset, chosen.start_from)
    split = settings.split(labelled_chains(dataset, unfinished=True))
    check_split(split, settings.elements)
    for member in range(chosen.members):
        target = round_model(dataset, chosen.name, member)
        if target.exists():
            typer.echo(f"{target}: is there already")
            continue
        record = train_round(
            settings,
            chosen.member(member),
            split,
            dataset / "work" / target.stem,
            target,
            start_from=start,
            device=device,
            progress=PlainProgress(unit="epochs", interval_s=0),
        )
        atomic_write_text(target.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
        write_learning_curve(record["learning_curve"], target.with_suffix(".png"))
        typer.echo(f"E0s / eV: {record['E0s_eV']}")
        typer.echo(f"wrote {target}")


@app.command(name="compile")
def compile_(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A MACE model file, or the name of a shipped one.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Compiled file to write (.npz).")],
    force: Force = False,
    trust: Trust = False,
) -> None:
    """Compile a MACE model with scalar features, so that it runs without torch; says why another does not fit."""
    from mlsim.potential import describe
    from mlsim.potential.engine import compile_model

    require_absent(out, force)
    report = compile_model(describe(str(model), trust=trust).path, out, overwrite=force)
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
    """Make a shipped potential of a trained round: model, compiled form, description and dataset list.

    Of a committee, `mlsim potential calibrate OUT/NAME.npz OUT/NAME-1.npz ... -o OUT/committee.json` comes after.
    """
    import json

    from mlsim.atomic import atomic_write_text
    from mlsim.potential.dataset import labelled_chains, write_packed
    from mlsim.potential.recipe import read_recipe, round_model
    from mlsim.potential.release import dataset_list
    from mlsim.potential.release import release as release_model

    settings = read_recipe(recipe)
    chains = labelled_chains(dataset)
    split = settings.split(chains)
    made = settings.round(round_name)
    models = [round_model(dataset, made.name, member) for member in range(made.members)]
    # pairs pushed together have forces of 1000 eV/Å, where a bound of 1e-4 eV/Å is below the precision of float32
    calm = [frame for frame in split.test if frame.info.get("kind") not in ("contact", "core")]
    card = release_model(settings, models, out, about=about, frames=calm[:: max(1, len(calm) // 12)])
    atomic_write_text(out / "dataset.json", json.dumps(dataset_list(settings, chains), indent=1) + "\n")
    if packed is not None:
        write_packed(packed, chains)
    typer.echo(f"released {out}, sha256 {card['sha256']}")
