"""Training of a compact MACE with mace's own trainer: explicit E0s, pinned neighbour number, resumable."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from ase.io import write

from mlsim.atomic import atomic_path, atomic_write_text
from mlsim.errors import DataError, NotConverged
from mlsim.geometry import neighbour_pairs
from mlsim.potential.dataset import Split, dataset_sha256
from mlsim.potential.recipe import Recipe, TrainingSettings
from mlsim.progress import Progress, SilentProgress

__all__ = ["atomic_reference_energies", "mean_neighbour_number", "train"]

_EPOCH_LINE = re.compile(r"Epoch (\d+):.*loss=\s*([0-9.eE+-]+)")


def train(
    recipe: Recipe,
    settings: TrainingSettings,
    split: Split,
    work: Path,
    output: Path,
    *,
    start_from: Path | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> dict[str, object]:
    """Train, or go on training, and write the best model by validation error to `output`.

    Parameters
    ----------
    recipe
        Elements of the potential.
    settings
        Architecture and how long to train; `recipe.round(name).training`.
    split
        Frames with labels, split by chain.
    work
        Folder of the trainer: checkpoints and logs. A killed training goes on from its last checkpoint there.
    output
        Model file to write.
    start_from
        An earlier model whose weights, E0s, scale and neighbour number are kept (naive fine-tuning).
    device
        ``cpu`` or ``cuda``.

    Returns
    -------
    dict
        What was done: settings, E0s in eV, neighbour number, numbers of frames and atoms, dataset hash.

    Raises
    ------
    NotConverged
        If the trainer fails; the last line of its log is quoted and its checkpoints stay.
    """
    work.mkdir(parents=True, exist_ok=True)
    energies = atomic_reference_energies(split.train, recipe.elements)
    neighbours = mean_neighbour_number(split.train, settings.cutoff_A)
    for name, frames in (("train", split.train), ("validation", split.validation)):
        _write_for_mace(work / f"{name}.extxyz", frames, settings.core_forces_weight)
    record: dict[str, object] = {
        "settings": settings.model_dump(mode="json"),
        "start_from": start_from.name if start_from else None,
        "E0s_eV": "those of start_from" if start_from else energies,
        "mean_neighbour_number": neighbours,
        "frames": {"train": len(split.train), "validation": len(split.validation), "test": len(split.test)},
        "atoms": {"train": sum(map(len, split.train)), "validation": sum(map(len, split.validation))},
        "dataset_sha256": dataset_sha256((*split.train, *split.validation, *split.test)),
    }
    command = _trainer_command(settings, work, energies, neighbours, start_from, device)
    _refuse_other_run(work, {"command": command, "dataset_sha256": record["dataset_sha256"]})
    _run_trainer(command, work, settings.epochs, progress or SilentProgress())
    model = work / "model.model"
    if not model.exists():
        raise NotConverged(f"train: the trainer left no {model}; see {work}/train.log")
    with atomic_path(output) as temporary:
        temporary.write_bytes(model.read_bytes())
    return record


def atomic_reference_energies(frames: Sequence[Atoms], elements: Sequence[str]) -> dict[str, float]:
    """Return E0 of each element in eV: least squares of the total energies on the numbers of atoms.

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
    energies = np.array([frame.get_potential_energy() for frame in frames])
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


def _write_for_mace(path: Path, frames: Sequence[Atoms], core_forces_weight: float) -> None:
    renamed = []
    for frame in frames:
        atoms = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
        atoms.info["REF_energy"] = frame.get_potential_energy()
        atoms.info["REF_stress"] = frame.get_stress(voigt=False)
        atoms.arrays["REF_forces"] = frame.get_forces()
        if frame.info.get("kind") == "core" and core_forces_weight < 1:
            # a wall only has to be there: energies of 100 eV/atom must not compete with meV elsewhere
            atoms.info.update(
                config_energy_weight=0.0, config_forces_weight=core_forces_weight, config_stress_weight=0.0
            )
        renamed.append(atoms)
    with atomic_path(path) as temporary:
        write(temporary, renamed, format="extxyz")


def _trainer_command(
    settings: TrainingSettings,
    work: Path,
    energies: dict[str, float],
    neighbours: float,
    start_from: Path | None,
    device: str,
) -> list[str]:
    decay = (settings.final_learning_rate / settings.learning_rate) ** (1.0 / settings.epochs)
    options: dict[str, object] = {
        "name": "model",
        "work_dir": work,
        "train_file": work / "train.extxyz",
        "valid_file": work / "validation.extxyz",
        "energy_key": "REF_energy",
        "forces_key": "REF_forces",
        "stress_key": "REF_stress",
        "model": "ScaleShiftMACE",
        "r_max": settings.cutoff_A,
        "num_interactions": settings.layers,
        "hidden_irreps": f"{settings.channels}x0e",
        "max_ell": settings.l_max,
        "correlation": settings.correlation,
        "radial_MLP": list(settings.radial_mlp),
        "scaling": "rms_forces_scaling",
        "loss": "universal",
        "energy_weight": settings.energy_weight,
        "forces_weight": settings.forces_weight,
        "stress_weight": settings.stress_weight,
        "batch_size": settings.batch_size,
        "valid_batch_size": 2 * settings.batch_size,
        "lr": settings.learning_rate,
        "scheduler": "ExponentialLR",
        "lr_scheduler_gamma": decay,
        "ema_decay": settings.ema_decay,
        "max_num_epochs": settings.epochs,
        "default_dtype": settings.dtype,
        "device": device,
        "seed": settings.seed,
        "error_table": "PerAtomRMSE",
        "plot": False,
        "eval_interval": 1,
    }
    if start_from is None:
        options["E0s"] = str({atomic_numbers[e]: value for e, value in energies.items()})
        # mace recomputes this number when it resumes; pinned, a resumed run trains the same model
        options.update(avg_num_neighbors=neighbours, compute_avg_num_neighbors=False)
    else:
        options.update(foundation_model=start_from, multiheads_finetuning=False, E0s="foundation")
    flags = ["--pair_repulsion", "--ema", "--restart_latest", "--save_cpu"]
    listed = [f"--{key}={value}" for key, value in options.items()]
    return [sys.executable, "-m", "mace.cli.run_train", *listed, *flags]


def _refuse_other_run(work: Path, run: dict[str, object]) -> None:
    """Checkpoints of other settings or data must not be continued by mistake."""
    path = work / "run.json"
    text = json.dumps(run, indent=1)
    if path.exists() and path.read_text() != text and any((work / "checkpoints").glob("*.pt")):
        raise DataError(f"{work}: holds checkpoints of a training with other settings or data; choose another folder")
    atomic_write_text(path, text)


def _run_trainer(command: list[str], work: Path, epochs: int, progress: Progress) -> None:
    environment = dict(os.environ, PYTHONWARNINGS="ignore", CUEQ_DISABLE="1")
    last = "no output"
    with (
        (work / "train.log").open("a") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=work
        ) as trainer,
    ):
        try:
            for line in trainer.stdout or ():
                log.write(line)
                log.flush()
                last = line.strip() or last
                if found := _EPOCH_LINE.search(line):
                    progress(f"train (validation loss {float(found[2]):.4g})", int(found[1]) + 1, epochs)
        except BaseException:
            trainer.terminate()
            raise
    if trainer.returncode != 0:
        raise NotConverged(f"train: the trainer ended with code {trainer.returncode}: {last}; see {work}/train.log")
