"""Training of a compact MACE with mace's own trainer: explicit E0s, pinned neighbour number, resumable."""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import write

from mlsim.atomic import atomic_path, atomic_write_text
from mlsim.errors import DataError, NotConverged, SettingsError
from mlsim.geometry import neighbour_pairs
from mlsim.potential.dataset import Split, by_chain, dataset_sha256, labelled_chains
from mlsim.potential.evaluate import predictions
from mlsim.potential.library import describe, file_sha256, shipped_potentials
from mlsim.potential.recipe import Recipe, TrainingSettings, round_model
from mlsim.potential.trainer import foundation_name, run_trainer, trainer_command
from mlsim.potential.trust import remember_trusted
from mlsim.progress import Progress, SilentProgress
from mlsim.shipped import shipped_folder

__all__ = ["atomic_reference_energies", "bootstrapped", "mean_neighbour_number", "start_model", "train"]


def train(
    recipe: Recipe,
    settings: TrainingSettings,
    split: Split,
    work: Path,
    output: Path,
    *,
    start_from: Path | str | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, object]:
    """Train, or go on training, and write the best model by validation error to `output`.

    Parameters
    ----------
    recipe
        Elements of the potential.
    settings
        Architecture and how long to train; `recipe.round(name).member(k)`.
    split
        Frames with labels, split by chain, checked by `mlsim.potential.label_checks`.
    work
        Folder of the trainer's checkpoints and logs; a killed training goes on from there.
    output
        Model file to write.
    start_from
        Model file, or name of a foundation model that mace loads; its E0s are kept or moved as `settings.e0s` says.
    device
        ``cpu`` or ``cuda``.

    Returns
    -------
    dict
        What was done, with E0s and `learning_curve`: epoch, validation loss, meV/atom, meV/Å.

    Raises
    ------
    NotConverged
        If the trainer fails or drops the replay head; the last line of its log is quoted and its checkpoints stay.
    """
    work, output = work.resolve(), output.resolve()  # the trainer runs in another folder
    for folder in (work, output.parent):
        folder.mkdir(parents=True, exist_ok=True)
    members = bootstrapped(split.train, settings.seed) if settings.bootstrap else list(split.train)
    energies = settings.e0s if isinstance(settings.e0s, dict) else atomic_reference_energies(members, recipe.elements)
    neighbours = mean_neighbour_number(members, settings.cutoff_A)
    for name, frames in (("train", members), ("validation", split.validation), *_replay(settings)):
        _write_for_mace(work / f"{name}.extxyz", frames, settings)
    record = _record(settings, split, members, start_from)
    record["mean_neighbour_number"] = neighbours
    if start_from is not None and settings.e0s != "keep" and settings.finetuning == "naive":
        start_from = _with_moved_zero(start_from, work / "start.model", settings, members, recipe.elements)
    command = trainer_command(settings, work, energies, neighbours, start_from, device)
    _refuse_other_run(work, {"command": command, "dataset_sha256": record["dataset_sha256"]})
    log = run_trainer(command, work, settings, progress or SilentProgress())
    model = work / "model.model"
    if not model.exists():
        raise NotConverged(f"train: the trainer left no {model}; see {work}/train.log")
    with atomic_path(output) as temporary:
        _write_own_head(model, temporary, log.E0s_eV, multihead=settings.finetuning == "multihead")
    remember_trusted(file_sha256(output), output)
    return record | {"E0s_eV": log.E0s_eV, "learning_curve": [list(astuple(epoch)) for epoch in log.epochs]}


def _record(
    settings: TrainingSettings, split: Split, members: Sequence[Atoms], start_from: Path | str | None
) -> dict[str, object]:
    return {
        "settings": settings.model_dump(mode="json"),
        "start_from": start_from.name if isinstance(start_from, Path) else start_from,
        "start_from_sha256": file_sha256(start_from) if isinstance(start_from, Path) else None,
        "frames": {"train": len(members), "validation": len(split.validation), "test": len(split.test)},
        "atoms": {"train": sum(map(len, members)), "validation": sum(map(len, split.validation))},
        "dataset_sha256": dataset_sha256((*split.train, *split.validation, *split.test)),
    }


def start_model(dataset: Path, name: str) -> Path | str | None:
    """Return what a round starts from: model of an earlier round, of a potential, a file, or a foundation's name."""
    if not name:
        return None
    earlier = round_model(dataset, name)
    if earlier.exists():
        return earlier
    if name in shipped_potentials() or Path(name).is_file():
        found = describe(name).path
        if found.suffix == ".npz":
            raise SettingsError(f"start_from '{name}': a compiled file has no weights to train; name its source")
        return found.resolve()
    return foundation_name(name)


def bootstrapped(frames: Sequence[Atoms], seed: int) -> list[Atoms]:
    """Return the frames of as many chains as there are, drawn with replacement: what one committee member learns from.

    Members that see different data disagree where the data do not decide, which different seeds alone do not ensure
    when all start from the same weights (L. Breiman, Machine Learning 24, 123 (1996), doi:10.1007/BF00058655).
    """
    chains = by_chain(frames)
    drawn = np.random.default_rng([seed, len(chains)]).choice(len(chains), len(chains))
    listed = list(chains.values())
    return [frame for k in drawn for frame in listed[k]]


def _replay(settings: TrainingSettings) -> list[tuple[str, list[Atoms]]]:
    """Frames of the replay head, every n-th of the chains in turn, and a fifth of them for its validation.

    Pairs pushed together are left out: their forces of hundreds of eV/Å would rule the loss.
    """
    if settings.finetuning != "multihead":
        return []
    if not settings.replay:
        raise SettingsError(
            "train: finetuning multihead needs replay data; give training.replay, such as lzoc-base-labels"
        )
    path = Path(settings.replay)
    if not path.exists():
        path = shipped_folder("data") / settings.replay / "labels.extxyz.xz"
    if not path.exists():
        raise SettingsError(f"train: no replay data '{settings.replay}', neither a file nor a folder of data/")
    frames = [
        frame
        for members in labelled_chains(path).values()
        for frame in members
        if frame.info.get("kind") not in ("core", "contact")
    ]
    drawn = frames[:: max(1, len(frames) // settings.replay_frames)]
    return [("replay", [f for k, f in enumerate(drawn) if k % 5]), ("replay-validation", drawn[::5])]


def _with_moved_zero(
    start_from: Path | str, output: Path, settings: TrainingSettings, frames: Sequence[Atoms], elements: Sequence[str]
) -> Path:
    """Write the start model with its energy zeros moved as `settings.e0s` says, and return its path.

    mace's trainer is told to keep the zeros of this file: told otherwise, it prints others, and then copies those of
    the start model over them (mace 0.3.16, `load_foundations_elements`).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from mace.calculators import MACECalculator  # before e3nn
        from mace.calculators.foundations_models import mace_mp

        if isinstance(start_from, Path):
            model = torch.load(start_from, map_location="cpu", weights_only=False)
        else:
            model = mace_mp(model=start_from, return_raw_model=True, device="cpu")
        known = {chemical_symbols[int(z)]: k for k, z in enumerate(model.atomic_numbers)}
        if absent := [element for element in elements if element not in known]:
            raise SettingsError(f"train: the start model does not know {', '.join(absent)}")
        zeros = model.atomic_energies_fn.atomic_energies
        if isinstance(settings.e0s, dict):
            moved = {e: settings.e0s[e] - float(zeros[..., known[e]].reshape(-1)[0]) for e in settings.e0s}
        else:
            calculator = MACECalculator(models=[copy.deepcopy(model)], device="cpu", default_dtype="float64")
            missing = [p.frame.get_potential_energy() - p.energy for p in predictions(calculator, frames)]
            moved = atomic_reference_energies(frames, elements, missing)
        for element, shift in moved.items():
            zeros[..., known[element]] += shift
        with atomic_path(output) as temporary:
            torch.save(model, temporary)
    return output


def _write_own_head(model: Path, output: Path, E0s_eV: Mapping[str, float], *, multihead: bool) -> None:
    """Write the model without its replay head: the form that every MACE calculator and our engine take.

    Raises
    ------
    NotConverged
        If its energy zeros are not those that the trainer printed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and e3nn warn about each other's internals on import and on loading
        import mace  # noqa: F401  before e3nn, or e3nn's own import order breaks
        import torch
        from mace.tools.scripts_utils import remove_pt_head

        trained = torch.load(model, map_location="cpu", weights_only=False)
        own = remove_pt_head(trained) if multihead else trained
        zeros = own.atomic_energies_fn.atomic_energies.reshape(-1).tolist()
        used = {chemical_symbols[int(z)]: zero for z, zero in zip(own.atomic_numbers, zeros, strict=True)}
        if any(abs(used[element] - zero) > 1e-3 for element, zero in E0s_eV.items()):
            raise NotConverged(f"train: the trainer printed the E0s {E0s_eV}, but its model has {used}; report this")
        if multihead:
            torch.save(own, output)
        else:
            output.write_bytes(model.read_bytes())


def atomic_reference_energies(
    frames: Sequence[Atoms], elements: Sequence[str], energies_eV: Sequence[float] | None = None
) -> dict[str, float]:
    """Return E0 of each element in eV: least squares of the total energies on the numbers of atoms.

    With `energies_eV`, one per frame, of those instead: what a start model misses, for example.

    The teacher's isolated atoms would be a larger zero than needed: only differences between compositions
    that occur here matter, and the fit leaves the smallest remainder for the network.

    Raises
    ------
    DataError
        If a frame holds another element.
    """
    counts = np.zeros((len(frames), len(elements)))
    for row, frame in enumerate(frames):
        for symbol in frame.get_chemical_symbols():
            if symbol not in elements:
                raise DataError(f"train: a frame holds {symbol}, the recipe has {', '.join(elements)}")
            counts[row, elements.index(symbol)] += 1
    given = [frame.get_potential_energy() for frame in frames] if energies_eV is None else energies_eV
    energies = np.array(given, dtype=float)
    # per atom, so that large and small cells count alike; contacts at tens of eV must not shift the zero
    weight = 1.0 / counts.sum(axis=1)
    for _ in range(3):
        fitted = np.linalg.lstsq(counts * weight[:, None], energies * weight, rcond=None)[0]
        residual = np.abs(energies - counts @ fitted) / counts.sum(axis=1)
        weight = 1.0 / counts.sum(axis=1) / np.maximum(1.0, residual / 0.2)
    return {element: float(e) for element, e in zip(elements, fitted, strict=True)}


def mean_neighbour_number(frames: Sequence[Atoms], cutoff: float) -> float:
    """Return the mean number of neighbours within `cutoff` Å per atom, over all atoms of the frames."""
    pairs = sum(len(neighbour_pairs(frame.positions, frame.cell[:], cutoff).first) for frame in frames)
    return pairs / sum(len(frame) for frame in frames)


def _write_for_mace(path: Path, frames: Sequence[Atoms], settings: TrainingSettings) -> None:
    renamed = []
    for frame in frames:
        atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
        atoms.info["REF_energy"] = frame.get_potential_energy()
        atoms.info["REF_stress"] = frame.get_stress(voigt=False)
        atoms.arrays["REF_forces"] = frame.get_forces()
        if frame.info.get("kind") == "contact" and settings.contact_weight < 1:
            atoms.info["config_weight"] = settings.contact_weight
        if frame.info.get("kind") == "core" and settings.core_forces_weight < 1:
            # a wall only has to be there: energies of 100 eV/atom must not compete with meV elsewhere
            atoms.info.update(
                config_energy_weight=0.0, config_forces_weight=settings.core_forces_weight, config_stress_weight=0.0
            )
        renamed.append(atoms)
    with atomic_path(path) as temporary:
        write(temporary, renamed, format="extxyz")


def _refuse_other_run(work: Path, run: dict[str, object]) -> None:
    """Checkpoints of other settings or data must not be continued by mistake."""
    path = work / "run.json"
    text = json.dumps(run, indent=1)
    if path.exists() and path.read_text() != text and any((work / "checkpoints").glob("*.pt")):
        raise DataError(f"{work}: holds checkpoints of a training with other settings or data; choose another folder")
    atomic_write_text(path, text)
