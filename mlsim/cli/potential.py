"""`mlsim potential`: what potentials there are, and how one is made and judged."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlsim.cli.files import require_absent
from mlsim.errors import SettingsError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsim.potential.crystal_properties import CrystalCheck
    from mlsim.potential.evaluate import MeltCheck, Prediction

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Potentials: list, make, judge and compile them.")

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
    """Set the deviation of a committee against true errors on held-out frames, and take its thresholds from there."""
    from mlsim.potential.committee import calibration, load_committee, write_calibration_file
    from mlsim.potential.dataset import labelled_chains
    from mlsim.potential.recipe import read_recipe
    from mlsim.report.potential_charts import write_calibration

    require_absent(out, force)
    split = read_recipe(recipe).split(labelled_chains(dataset, unfinished=True))
    parts = {"validation": split.validation, "test": split.test, "held-out": (*split.validation, *split.test)}
    if part not in parts:
        raise SettingsError(f"part '{part}': {did_you_mean(part, parts)}")
    committee = load_committee(model, calibration=None)
    found, deviation, error = calibration(committee, parts[part])
    write_calibration_file(found, out)
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
    typer.echo(
        f"{found.n_atoms} atoms of {found.n_frames} frames: rank correlation {found.rank_correlation:.2f}, "
        f"error = {found.scale:.2f} x deviation, warn at {found.warn_eV_A:.3f}, stop at {found.stop_eV_A:.3f} eV/Å"
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


@app.command()
def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or file of a potential.")],
    recipe: Annotated[Path, typer.Option(help="Recipe, for the split.")],
    dataset: Annotated[Path, typer.Option(help="Dataset folder or packed file.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Model card to write, Markdown; parity plot beside it, PNG.")
    ],
    teacher_python: Annotated[
        str, typer.Option(help="Python that has the recipe's teacher, to compare its lattice constants.")
    ] = "",
    melts: Annotated[bool, typer.Option(help="Run the four 20 ps melts of 114 atoms as well.")] = True,
    crystals: Annotated[bool, typer.Option(help="Relax the crystals; bulk moduli and phonons as well.")] = True,
    refit_e0s: Annotated[
        bool, typer.Option(help="First move its energy zero per element to that of the training labels.")
    ] = False,
    force: Force = False,
    trust: Trust = False,
) -> None:
    """Write the model card: errors on held-out chains, lattice constants, short range, its own melts."""
    from mlsim.atomic import atomic_write_text
    from mlsim.potential import describe, load
    from mlsim.potential.crystals import PBE_LATTICE_A
    from mlsim.potential.dataset import labelled_chains
    from mlsim.potential.evaluate import (
        class_of,
        composition_of,
        energy_shifts,
        errors_by,
        lattice_constants,
        predictions,
        shortest_repulsion,
    )
    from mlsim.potential.label import teacher_lattice_constants
    from mlsim.potential.label_checks import check_split
    from mlsim.potential.recipe import read_recipe
    from mlsim.potential.release import model_card
    from mlsim.progress import PlainProgress

    require_absent(out, force)
    settings, found, calculator = read_recipe(recipe), describe(model, trust=trust), load(model)
    split = settings.split(labelled_chains(dataset, unfinished=True))
    check_split(split, found.elements)
    shifts = energy_shifts(calculator, split.train) if refit_e0s else {}
    say = PlainProgress(unit="frames")
    parts = {"validation": split.validation, "test": split.test}
    judged = {part: predictions(calculator, parts[part], say, energy_shifts_eV=shifts) for part in parts}
    errors = {
        f"{part} frames by {what}": errors_by(judged[part], key)
        for part in judged
        for what, key in (("class", class_of), ("composition", composition_of))
    }
    pbe = PBE_LATTICE_A if settings.teacher == "gpaw" else {}
    known = teacher_lattice_constants(settings.teacher, teacher_python) if teacher_python else pbe
    lattice = {name: (own, known.get(name)) for name, own in lattice_constants(calculator).items()}
    # float32 forces are too coarse to relax a crystal to 1e-3 eV/Å and to differentiate
    checked = _crystals(load(model, dtype="float64")) if crystals else []
    repulsion, runs = shortest_repulsion(calculator, settings.elements), _melts(calculator) if melts else []
    _write_parity(judged["test"], out.with_suffix(".png"))
    title, command = f"{found.name} ({found.sha256[:12]})", shlex.join(["mlsim", *sys.argv[1:]])
    atomic_write_text(out, model_card(title, command, errors, lattice, repulsion, runs, checked))
    typer.echo(f"wrote {out}")


def _write_parity(judged: Sequence[Prediction], path: Path) -> None:
    """Draw energy per atom (each composition about its mean), force components and stress of the test frames."""
    import numpy as np

    from mlsim.potential.evaluate import composition_of
    from mlsim.report.potential_charts import write_parity
    from mlsim.units import GPA_PER_EV_A3

    points: dict[str, Any] = {
        "energy about the mean / meV per atom": {},
        "forces / eV Å$^{-1}$": {},
        "stress / GPa": {},
    }
    for name in sorted({composition_of(p.frame) for p in judged}):
        some = [p for p in judged if composition_of(p.frame) == name]
        energies = 1e3 * np.array(
            [(p.frame.get_potential_energy() / len(p.frame), p.energy / len(p.frame)) for p in some]
        )
        energies -= energies[:, 0].mean()
        labelled = [np.concatenate([p.frame.get_forces().ravel() for p in some])]
        labelled.append(GPA_PER_EV_A3 * np.concatenate([p.frame.get_stress() for p in some]))
        predicted = [np.concatenate([p.forces.ravel() for p in some])]
        predicted.append(GPA_PER_EV_A3 * np.concatenate([p.stress for p in some]))
        values = [(energies[:, 0], energies[:, 1]), *zip(labelled, predicted, strict=True)]
        for classes, pair in zip(points.values(), values, strict=True):
            classes[name] = pair
    write_parity(points, path)


def _crystals(calculator: object) -> list[CrystalCheck]:
    from mlsim.errors import NotConverged
    from mlsim.potential.crystal_properties import crystal_check
    from mlsim.potential.crystals import CRYSTALS

    checked = []
    for name in CRYSTALS:
        try:
            checked.append(crystal_check(name, calculator))
        except NotConverged as error:
            typer.echo(f"{name}: left out of the card: {error}", err=True)
    return checked


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
