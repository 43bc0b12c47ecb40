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
from mlsim.potential.dataset import dataset_sha256
from mlsim.potential.library import file_sha256
from mlsim.potential.recipe import Recipe

__all__ = ["dataset_list", "release"]


def release(
    recipe: Recipe, models: Sequence[Path], folder: Path, *, about: str, frames: Sequence[Atoms]
) -> dict[str, Any]:
    """Copy a model to `folder`, compile it there and write its `potential.json`; return what that file holds.

    The other members of its committee are compiled beside it, as NAME-1.npz and so on; `calibrate` joins them.

    Parameters
    ----------
    recipe
        Gives elements and cut-off; its name must be that of the folder.
    models
        Model files of a round, the leader first.
    about
        One line on its origin.
    frames
        Structures on which the compiled form is checked against float64.
    """
    from mlsim.potential.engine import compile_model

    if folder.name != recipe.name:
        raise SettingsError(f"release: folder '{folder.name}' must have the name of the recipe, '{recipe.name}'")
    folder.mkdir(parents=True, exist_ok=True)
    for old in (folder / "committee.json", *folder.glob(f"{recipe.name}-*.npz")):  # of the models before
        old.unlink(missing_ok=True)
    target = folder / f"{recipe.name}.model"
    with atomic_path(target) as temporary:
        shutil.copyfile(models[0], temporary)
    report = compile_model(target, folder / f"{recipe.name}.npz", frames=frames, overwrite=True)
    for number, member in enumerate(models[1:], start=1):
        compile_model(member, folder / f"{recipe.name}-{number}.npz", frames=frames, overwrite=True)
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
