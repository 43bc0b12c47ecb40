"""A recipe: what was sampled, who labels it, how it is split and trained; and the sampling of its chains."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from ase import Atoms
from ase.io import read, write
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlsim.atomic import atomic_path
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.potential.dataset import Split, part_of_chain, split_by_chain
from mlsim.potential.sample import ChainGroup, ContactGroup, CoreGroup, chain_frames, chain_names
from mlsim.progress import Progress, SilentProgress

__all__ = ["Recipe", "Round", "TrainingSettings", "read_recipe", "round_model", "sample_chains"]


class TrainingSettings(BaseModel):
    """What `mace_run_train` is told; the architecture is that of a compact MACE with scalar hidden features.

    A round that starts from a model keeps the architecture of that model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: int = 32
    layers: int = 2
    cutoff_A: float = 5.0
    l_max: int = 2
    correlation: int = 2
    radial_mlp: tuple[int, ...] = (32, 32)
    epochs: int = 100
    batch_size: int = 4
    learning_rate: float = 0.01
    final_learning_rate: float = 0.0005
    energy_weight: float = 5.0
    forces_weight: float = 10.0
    stress_weight: float = 50.0
    core_forces_weight: float = Field(
        default=1.0,
        description="Weight of the forces of core frames, relative to others; below 1, their energy and stress count 0",
    )
    contact_weight: float = Field(
        default=1.0,
        description="Weight of contact frames, relative to others: errors of a tenth of their forces of tens of eV/Å "
        "would outweigh all that equilibrium has to say, since the loss is quadratic",
    )
    ema_decay: float = 0.99
    finetuning: Literal["naive", "multihead"] = Field(
        default="naive",
        description="With start_from: go on with all weights, or train a second head beside replay data",
    )
    e0s: Literal["keep", "least squares"] | dict[str, float] = Field(
        default="keep",
        description="With start_from: its E0s, or those moved by a least-squares fit to what it misses on the training "
        "frames; from scratch always least squares. Or the energies of isolated atoms in eV, by element",
    )
    replay: str = Field(default="", description="Packed labels for the replay head: a file, or a folder name in data/")
    replay_frames: int = Field(default=200, description="How many of its frames are drawn, evenly over the chains")
    bootstrap: bool = Field(default=False, description="Draw training chains with replacement: a member of a committee")
    seed: int = 1
    dtype: str = "float32"


class Round(BaseModel):
    """One training: from scratch, or going on from an earlier round with more data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    start_from: str = Field(
        default="",
        description="An earlier round, a potential, a MACE model file, or a foundation model; from scratch when empty",
    )
    training: TrainingSettings = TrainingSettings()
    members: int = Field(default=1, ge=1, description="Models of a committee; all but the first bootstrap their chains")

    def member(self, index: int) -> TrainingSettings:
        """Return the training of member 0, 1, ...: other seeds, and bootstrapped chains for all but the first."""
        return self.training.model_copy(update={"seed": self.training.seed + index, "bootstrap": index > 0})


class Recipe(BaseModel):
    """Everything that is needed to make a potential again."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    elements: tuple[str, ...]
    teacher: str = Field(description="Calculator that labels, such as sevennet:7net-l3i5")
    groups: tuple[ChainGroup, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    rounds: tuple[Round, ...]
    largest_force_eV_A: float = Field(default=300.0, description="Frames beyond it are left out: no teacher knows them")
    leave_out: dict[str, tuple[int, ...]] = Field(
        default={},
        description="Frames, counted from 0, of the chains that fit a pattern, that no part takes: such as an ideal "
        "crystal that a test chain has as well",
    )

    def split(self, chains: Mapping[str, list[Atoms]]) -> Split:
        """Split labelled chains into training, validation and test as this recipe says.

        A pattern may fit chains of the recipe that are not labelled yet; one that fits none at all is refused.
        """
        planned = [name for group in self.groups for name in chain_names(group) if name not in chains]

        def due(patterns: tuple[str, ...]) -> list[str]:
            waiting = [p for p in patterns if any(fnmatchcase(name, p) for name in planned)]
            return [p for p in patterns if p not in waiting or any(fnmatchcase(name, p) for name in chains)]

        def kept(name: str, frames: list[Atoms]) -> list[Atoms]:
            unused = {k for pattern, which in self.leave_out.items() if fnmatchcase(name, pattern) for k in which}
            return [frame for k, frame in enumerate(frames) if k not in unused]

        used = {name: kept(name, frames) for name, frames in chains.items()}
        return split_by_chain(
            used, validation=due(self.validation), test=due(self.test), largest_force_eV_A=self.largest_force_eV_A
        )

    def part(self, chain: str) -> str:
        """Return the part of a chain by its name: train, validation or test."""
        return part_of_chain(chain, validation=self.validation, test=self.test)

    def round(self, name: str) -> Round:
        """Return a round by name; the last one when the name is empty."""
        for candidate in self.rounds:
            if candidate.name == name:
                return candidate
        if not name:
            return self.rounds[-1]
        raise SettingsError(
            f"recipe {self.name}: no round '{name}'; {did_you_mean(name, [r.name for r in self.rounds])}"
        )


def round_model(folder: Path, name: str, member: int = 0) -> Path:
    """Return where the model of a round lies in a dataset folder; committee members are numbered from 0."""
    return folder / "models" / (f"{name}-{member}.model" if member else f"{name}.model")


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file; unknown keys and wrong values are named in one line."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{path}: cannot read the recipe: {str(error).splitlines()[0]}") from error
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise SettingsError(f"{path}: {key}: {first['msg']}; got {first['input']!r:.80}") from error


def sample_chains(
    recipe: Recipe, folder: Path, *, groups: tuple[str, ...] = (), jobs: int = 1, progress: Progress | None = None
) -> list[str]:
    """Compute the chains of a recipe that `folder/frames` does not hold yet; return the names of the new ones.

    Parameters
    ----------
    recipe, folder
        What to sample, and the dataset folder.
    groups
        Names of the groups to sample; all when empty.
    jobs
        Processes, one thread each.

    Notes
    -----
    Groups are taken in the order of the recipe, because contacts start from frames of earlier groups.
    """
    say = progress or SilentProgress()
    known = [group.name for group in recipe.groups]
    for name in groups:
        if name not in known:
            raise SettingsError(f"recipe {recipe.name}: no group '{name}'; {did_you_mean(name, known)}")
    frames_folder = folder / "frames"
    frames_folder.mkdir(parents=True, exist_ok=True)
    new: list[str] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_one_thread) as pool:
        for group in recipe.groups:
            if groups and group.name not in groups:
                continue
            missing = [n for n in chain_names(group) if not _frames_file(folder, n).exists()]
            tasks = {pool.submit(_compute_chain, group, name, folder): name for name in missing}
            for done, task in enumerate(as_completed(tasks), 1):
                task.result()
                new.append(tasks[task])
                say(f"sample {group.name}", done, len(tasks))
    return new


def _frames_file(folder: Path, chain: str) -> Path:
    return folder / "frames" / f"{chain}.extxyz"


def _compute_chain(group: Any, name: str, folder: Path) -> None:
    calculator: Any = None
    parents: list[Atoms] = []
    if isinstance(group, ContactGroup | CoreGroup):
        files = sorted((folder / "frames").glob(f"{group.parents}*.extxyz"))
        parents = [frame for path in files for frame in read(path, index=":")]
        if not parents:
            raise DataError(f"group {group.name}: no chain '{group.parents}*' in {folder}/frames; sample it first")
    else:
        calculator = _sampler(group.sampler, folder)
    frames = chain_frames(group, name, calculator, parents)
    with atomic_path(_frames_file(folder, name)) as temporary:
        write(temporary, frames, format="extxyz")


def _sampler(name: str, folder: Path) -> Any:
    """Return the calculator that moves the atoms: chgnet, the model of an earlier round, or a potential."""
    if name == "chgnet":
        from mlsim.potential.label_worker import chgnet

        return chgnet("")[0]
    from mlsim.potential import load

    model = round_model(folder, name)
    return load(model if model.exists() else name)


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
