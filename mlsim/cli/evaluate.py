"""`mlsim potential evaluate`: the model card of a potential."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from mlsim.cli.files import require_absent

if TYPE_CHECKING:
    from ase import Atoms

    from mlsim.potential.card import Evaluation
    from mlsim.potential.evaluate import Prediction
    from mlsim.potential.recipe import Recipe

__all__ = ["evaluate"]

MELT_TEMPERATURES_K = (1500.0, 2000.0)
MELT_SEEDS = (1, 2, 3)
FORMULA = "Li3ZrCl4O1.5"

Found = TypeVar("Found")


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name or file of a potential.")],
    recipe: Annotated[Path, typer.Option(help="Recipe, for the split.")],
    dataset: Annotated[Path, typer.Option(help="Dataset folder or packed file.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Model card to write, Markdown; plots beside it, PNG.")],
    teacher_python: Annotated[
        str, typer.Option(help="Python that has the recipe's teacher, to compare its lattice constants.")
    ] = "",
    melt_ps: Annotated[
        float, typer.Option(min=0, help="Length of each of its own melts, six of 114 atoms; 0 for none.")
    ] = 100.0,
    drift_ps: Annotated[float, typer.Option(min=0, help="Length of its run at constant energy; 0 for none.")] = 20.0,
    crystals: Annotated[bool, typer.Option(help="Relax the crystals; bulk moduli and phonons as well.")] = True,
    refit_e0s: Annotated[
        bool, typer.Option(help="First move its energy zero per element to that of the training labels.")
    ] = False,
    section: Annotated[
        list[Path] | None, typer.Option(metavar="FILE.md", help="Markdown to put into the card; give several.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Load this model file although loading can run code in it; remembered.")
    ] = False,
) -> None:
    """Write the model card of a potential.

    Errors on held-out chains, lattice constants, equations of state, phonons, repulsion at short range, g(r) against
    the teacher's, drift at constant energy, and its own melts, which take longest.
    """
    from dataclasses import replace

    from mlsim.atomic import atomic_write_text
    from mlsim.potential import describe, load
    from mlsim.potential.card import model_card
    from mlsim.potential.recipe import read_recipe

    require_absent(out, force)
    settings, found = read_recipe(recipe), describe(model, trust=trust)
    # float32 forces are too coarse to relax a crystal to 1e-3 eV/Å and to differentiate
    exact = load(model, dtype="float64") if crystals else None
    loaded = load(model)
    calculator = getattr(loaded, "leader", loaded)  # of a committee, the one that moves the atoms
    texts = [_text_of(path) for path in section or ()]
    evaluation, judged = _against_labels(calculator, exact, settings, dataset, refit_e0s, teacher_python)
    evaluation = _own_runs(calculator, exact, evaluation, melt_ps, drift_ps)
    evaluation = replace(evaluation, committee=getattr(loaded, "calibration", None))
    figures = _figures(evaluation, judged, out)
    figures.append(_pair_figure(calculator, settings.elements, out))
    title, command = f"{found.name} ({found.sha256[:12]})", shlex.join(["mlsim", *sys.argv[1:]])
    atomic_write_text(out, model_card(title, command, evaluation, figures, texts))
    typer.echo(f"wrote {out}")


def _text_of(path: Path) -> str:
    from mlsim.errors import DataError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as Markdown ({type(error).__name__})") from None


def _against_labels(
    calculator: Any, exact: Any, settings: Recipe, dataset: Path, refit_e0s: bool, teacher_python: str
) -> tuple[Evaluation, list[Prediction]]:
    """Return what labels say about a potential, and its predictions on the test frames."""
    from mlsim.potential.card import Evaluation
    from mlsim.potential.crystal_properties import volume_checks
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
        temperature_class,
    )
    from mlsim.potential.label import teacher_lattice_constants
    from mlsim.potential.label_checks import check_split
    from mlsim.potential.reweighting import canonical_chains, distribution_check
    from mlsim.progress import PlainProgress

    chains = labelled_chains(dataset, unfinished=True)
    split = settings.split(chains)
    check_split(split, settings.elements)
    shifts = energy_shifts(calculator, split.train) if refit_e0s else {}
    say = PlainProgress(unit="frames")
    parts = {"validation": split.validation, "test": split.test}
    judged = {part: predictions(calculator, parts[part], say, energy_shifts_eV=shifts) for part in parts}
    pbe = PBE_LATTICE_A if settings.teacher == "gpaw" else {}
    known = teacher_lattice_constants(settings.teacher, teacher_python) if teacher_python else pbe
    left_out: list[str] = []
    evaluation = Evaluation(
        errors={
            f"{part} frames{what}": rows
            for part in judged
            for what, key in (
                (" by class", class_of),
                (" by composition", composition_of),
                (" of Li–Zr–O–Cl by temperature", temperature_class),
            )
            if (rows := errors_by(judged[part], key))
        },
        lattice={name: (own, known.get(name)) for name, own in lattice_constants(calculator).items()},
        repulsion=shortest_repulsion(calculator, settings.elements),
        volumes=_each(_volume_frames(chains), lambda some: volume_checks(some, exact or calculator)[0], left_out),
        distributions=_each(canonical_chains(chains), lambda some: distribution_check(some, calculator), left_out),
        left_out=left_out,
    )
    return evaluation, judged["test"]


def _volume_frames(chains: Mapping[str, Sequence[Atoms]]) -> dict[str, list[Atoms]]:
    """Return the frames of each crystal that were labelled at several volumes."""
    crystals: dict[str, list[Atoms]] = {}
    for frame in (f for frames in chains.values() for f in frames if "linear_strain" in f.info):
        crystals.setdefault(str(frame.info["crystal"]), []).append(frame)
    return crystals


def _each(
    groups: Mapping[str, Sequence[Atoms]], check: Callable[[Sequence[Atoms]], Found], left_out: list[str]
) -> list[Found]:
    """Return the check of each group of frames; one that fails is said and added to what was left out."""
    from mlsim.errors import MlsimError

    found = []
    for name, frames in groups.items():
        try:
            found.append(check(frames))
        except MlsimError as error:
            left_out.append(f"{name}: {error}")
            typer.echo(f"left out of the card: {name}: {error}", err=True)
    return found


def _own_runs(calculator: Any, exact: Any, evaluation: Evaluation, melt_ps: float, drift_ps: float) -> Evaluation:
    """Return the evaluation with crystals, melts and the run at constant energy added."""
    from dataclasses import replace

    from mlsim.errors import NotConverged
    from mlsim.potential.crystal_properties import crystal_check
    from mlsim.potential.crystals import CRYSTALS
    from mlsim.potential.stability import energy_drift, melt_check
    from mlsim.progress import PlainProgress

    say, checked, left_out = PlainProgress(), [], list(evaluation.left_out)
    for name in CRYSTALS if exact is not None else ():
        try:
            checked.append(crystal_check(name, exact))
        except NotConverged as error:
            left_out.append(f"relaxed {name}: {error}")
            typer.echo(f"left out of the card: {name}: {error}", err=True)
    drifts = [
        energy_drift(calculator, formula=FORMULA, temperature_K=t, duration_ps=drift_ps, seed=1, progress=say)
        for t in ((600.0,) if drift_ps else ())
    ]
    melts = [
        melt_check(calculator, formula=FORMULA, temperature_K=t, duration_ps=melt_ps, seed=s, progress=say)
        for t in (MELT_TEMPERATURES_K if melt_ps else ())
        for s in MELT_SEEDS
    ]
    return replace(evaluation, crystals=checked, drifts=drifts, melts=melts, left_out=left_out)


def _figures(evaluation: Evaluation, judged: Sequence[Prediction], out: Path) -> list[tuple[str, str]]:
    """Draw what can be drawn beside the card; return captions and file names."""
    from mlsim.report.potential_charts import write_distributions, write_phonons

    figures = [("Predicted against labelled: test frames", out.with_suffix(".png"))]
    _write_parity(judged, figures[0][1])
    if evaluation.crystals:
        figures.append(("Phonons: bands and density of states", out.with_name(f"{out.stem}-phonons.png")))
        write_phonons({c.name: c.phonons for c in evaluation.crystals}, figures[-1][1])
    for number, check in enumerate(evaluation.distributions, 1):
        figures.append((f"g(r) of {check.chain}", out.with_name(f"{out.stem}-g_of_r-{number}.png")))
        title = f"{check.chain}, {check.temperature_K:g} K"
        write_distributions(check.r_A, check.curves, title, figures[-1][1])
    return [(caption, path.name) for caption, path in figures]


def _pair_figure(calculator: Any, elements: Sequence[str], out: Path) -> tuple[str, str]:
    """Draw the energy of each pair of atoms in vacuum; return caption and file name."""
    from mlsim.potential.evaluate import pair_curves
    from mlsim.report.potential_charts import write_pair_curves

    path = out.with_name(f"{out.stem}-pairs.png")
    write_pair_curves(pair_curves(calculator, elements), path)
    return "Pairs of atoms in vacuum", path.name


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
