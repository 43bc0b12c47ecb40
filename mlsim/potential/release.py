"""Turn a trained round into a shipped potential: model, compiled form, description, dataset list."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from mlsim.atomic import atomic_path, atomic_write_text
from mlsim.errors import SettingsError
from mlsim.potential.crystal_properties import CrystalCheck
from mlsim.potential.dataset import dataset_sha256
from mlsim.potential.evaluate import ClassError, MeltCheck
from mlsim.potential.library import file_sha256
from mlsim.potential.recipe import Recipe

__all__ = ["dataset_list", "model_card", "release"]


def release(recipe: Recipe, model: Path, folder: Path, *, about: str, frames: Sequence[Atoms]) -> dict[str, Any]:
    """Copy a model to `folder`, compile it there and write its `potential.json`; return what that file holds.

    Parameters
    ----------
    recipe
        Gives elements and cut-off; its name must be that of the folder.
    model
        Model file of a round.
    about
        One line on its origin.
    frames
        Structures on which the compiled form is checked against float64.
    """
    from mlsim.potential.engine import compile_model

    if folder.name != recipe.name:
        raise SettingsError(f"release: folder '{folder.name}' must have the name of the recipe, '{recipe.name}'")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{recipe.name}.model"
    with atomic_path(target) as temporary:
        shutil.copyfile(model, temporary)
    report = compile_model(target, folder / f"{recipe.name}.npz", frames=frames, overwrite=True)
    card: dict[str, Any] = {
        "about": about,
        "model": target.name,
        "sha256": file_sha256(target),
        "compiled": f"{recipe.name}.npz",
        "compiled_deviation": {
            "energy_eV_per_atom": report.energy_error_eV,
            "forces_eV_A": report.force_error_eV_A,
            "stress_eV_A3": report.stress_error_eV_A3,
        },
        "elements": list(recipe.elements),
        "cutoff_A": recipe.rounds[-1].training.cutoff_A,
    }
    atomic_write_text(folder / "potential.json", json.dumps(card, indent=1) + "\n")
    return card


def dataset_list(recipe: Recipe, chains: Mapping[str, list[Atoms]]) -> dict[str, Any]:
    """Return, for each chain, its part, frames, atoms and sha256, and the sums."""
    split = recipe.split(chains)
    part_of = {
        str(frame.info["chain"]): part for part in ("train", "validation", "test") for frame in getattr(split, part)
    }
    rows = {
        name: {
            "part": part_of[name],
            "frames": len(frames),
            "atoms": sum(map(len, frames)),
            "sha256": dataset_sha256(frames),
        }
        for name, frames in chains.items()
    }
    every = [frame for frames in chains.values() for frame in frames]
    return {
        "teacher": str(every[0].info["teacher"]),
        "frames": len(every),
        "atoms": sum(map(len, every)),
        "atoms_per_frame": [min(map(len, every)), max(map(len, every))],
        "sha256": dataset_sha256(every),
        "chains": rows,
    }


def model_card(
    title: str,
    command: str,
    errors: Mapping[str, Sequence[ClassError]],
    lattice: Mapping[str, tuple[float, float | None]],
    repulsion: Mapping[tuple[str, str], float],
    melts: Sequence[MeltCheck],
    crystals: Sequence[CrystalCheck] = (),
) -> str:
    """Return the model card as Markdown: every number below the command that made it.

    Parameters
    ----------
    title, command
        Heading, and the command line that computed the numbers.
    errors
        By part of the dataset (validation, test): the errors by class.
    lattice
        Lattice constant of the potential and of the teacher (None when not given), Å.
    repulsion
        Weakest repulsive force of each pair from 0.5 Å to 0.45 of its usual distance, eV/Å.
    melts
        The melts that were run.
    crystals
        Relaxed crystals with bulk modulus and phonons.
    """
    lines = [f"# {title}", "", "Made by", "", f"    {command}", ""]
    lines += _error_lines(errors)
    lines += [
        "## Lattice constants",
        "",
        "| crystal | this potential Å | teacher Å | difference |",
        "|---|---|---|---|",
    ]
    for name, (own, teacher) in lattice.items():
        compared = f"{teacher:.3f} | {100 * (own / teacher - 1):+.2f} %" if teacher else "not given | "
        lines.append(f"| {name} | {own:.3f} | {compared} |")
    lines += _crystal_lines(crystals)
    lines += ["", "## Short range: weakest repulsion of a pair in vacuum, 0.5 Å to 0.45 of its usual distance", ""]
    lines += ["| pair | eV/Å |", "|---|---|", *(f"| {a}–{b} | {force:.2f} |" for (a, b), force in repulsion.items())]
    if melts:
        pairs = list(melts[0].closest)
        lines += ["", "## Its own melts: closest approach as a fraction of the usual first-shell distance", ""]
        lines += ["Holds: after the first ps no pair falls below 0.5, and the mean temperature is within 15 %.", ""]
        lines.append("| melt | ps | seed | mean T / K | " + " | ".join(f"{a}–{b}" for a, b in pairs) + " | holds |")
        lines.append("|---" * (len(pairs) + 5) + "|")
        for m in melts:
            values = " | ".join(f"{m.closest[p]:.2f}" for p in pairs)
            held = "yes" if m.holds else "no"
            head = f"{m.formula} {m.temperature_K:g} K | {m.duration_ps:g} | {m.seed} | {m.mean_temperature_K:.0f}"
            lines.append(f"| {head} | {values} | {held} |")
    return "\n".join(lines) + "\n"


def _crystal_lines(crystals: Sequence[CrystalCheck]) -> list[str]:
    if not crystals:
        return []
    head = "| crystal | a, b, c Å | start a, b, c Å | bulk modulus GPa | phonons lowest / highest THz | supercell |"
    lines = [
        "",
        "## Relaxed crystals",
        "",
        "Frequencies over a mesh of the Brillouin zone; imaginary ones count negative.",
    ]
    lines += ["", head, "|---|---|---|---|---|---|"]
    for c in crystals:
        own, start = (", ".join(f"{x:.3f}" for x in lengths) for lengths in (c.lengths_A, c.start_lengths_A))
        waves = f"{c.phonons.lowest_THz:.2f} / {c.phonons.highest_THz:.1f}"
        lines.append(f"| {c.name} | {own} | {start} | {c.bulk_modulus_GPa:.0f} | {waves} | {c.phonons.n_supercell} |")
    return lines


def _error_lines(errors: Mapping[str, Sequence[ClassError]]) -> list[str]:
    lines: list[str] = []
    for part, rows in errors.items():
        lines += [
            f"## Errors on {part}, whole chains held out",
            "",
            "RMSE / MAE.",
            "",
            "| class | frames | atoms | energy meV/atom | force eV/Å | rms force eV/Å | stress GPa |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {r.name} | {r.n_frames} | {r.n_atoms} | {r.energy_meV:.1f} / {r.energy_mae_meV:.1f} "
            f"| {r.forces_eV_A:.3f} / {r.forces_mae_eV_A:.3f} | {r.forces_of_teacher_eV_A:.2f} "
            f"| {r.stress_GPa:.2f} / {r.stress_mae_GPa:.2f} |"
            for r in rows
        ]
        lines.append("")
    return lines
