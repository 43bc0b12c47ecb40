"""mace's own trainer as a child process: its command line, its log, and what must not go unnoticed there."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ase.data import atomic_numbers, chemical_symbols

from mlsim.errors import NotConverged, SettingsError, did_you_mean
from mlsim.potential.recipe import TrainingSettings
from mlsim.progress import Progress

__all__ = ["FOUNDATIONS", "Epoch", "TrainerLog", "foundation_name", "run_trainer", "trainer_command"]

FOUNDATIONS = {
    "mace-mp-0": "medium",
    "mace-mpa-0": "medium-mpa-0",
    "mace-omat-0": "medium-omat-0",
    "mace-matpes-pbe-0": "mace-matpes-pbe-0",
    "mace-matpes-r2scan-0": "mace-matpes-r2scan-0",
}
"""Usual names of MACE foundation models, and what mace's trainer calls them; its own names are taken as they are."""

_EPOCH = re.compile(
    r"Epoch (?P<epoch>\d+): head: (?P<head>[^,]+), loss=\s*(?P<loss>[0-9.eE+-]+), "
    r"RMSE_E_per_atom=\s*(?P<energy>[0-9.eE+-]+) meV, RMSE_F=\s*(?P<forces>[0-9.eE+-]+)"
)
_E0S = re.compile(r"Atomic Energies used \(z: eV\) for head (?P<head>\S+): (?P<values>\{.*\})")
_HEADS = re.compile(r"Using heads: (?P<heads>\[.*\])")


@dataclass(frozen=True)
class Epoch:
    """Validation error after one epoch: energy in meV/atom, forces in meV/Å, root mean square."""

    epoch: int
    loss: float
    energy_meV: float
    forces_meV_A: float


@dataclass
class TrainerLog:
    """What the trainer's log says so far.

    Attributes
    ----------
    multihead
        Whether two heads were asked for. mace can drop the second one with no more than a line in its log
        (https://github.com/ACEsuit/mace/issues/1443); then `read` raises `NotConverged`.
    epochs
        Validation errors of the head that is trained for, one per epoch.
    E0s_eV
        Reference energy of each element that the trainer uses for it, eV.
    """

    multihead: bool
    epochs: list[Epoch] = field(default_factory=list)
    E0s_eV: dict[str, float] = field(default_factory=dict)

    def read(self, line: str) -> None:
        """Take in one line."""
        heads = _HEADS.search(line)
        if heads and self.multihead and "pt_head" not in ast.literal_eval(heads["heads"]):
            raise NotConverged(
                "train: multihead fine-tuning was asked for, but mace has switched it off (its log names the heads "
                f"{heads['heads']}); nothing was trained: give replay data that mace accepts, or finetuning: naive"
            )
        found = _E0S.search(line)
        if found and found["head"] != "pt_head":
            values = ast.literal_eval(found["values"])
            self.E0s_eV = {chemical_symbols[int(z)]: float(value) for z, value in values.items()}
        epoch = _EPOCH.search(line)
        if epoch and epoch["head"] != "pt_head":
            values = (float(epoch[key]) for key in ("loss", "energy", "forces"))
            now = Epoch(int(epoch["epoch"]), *values)
            # a resumed training does the epoch again in which it was killed
            self.epochs = [*(e for e in self.epochs if e.epoch < now.epoch), now]


def foundation_name(name: str) -> str:
    """Return what mace's trainer calls a foundation model.

    Raises
    ------
    SettingsError
        If neither we nor mace know the name.
    """
    from mace.calculators.foundations_models import mace_mp_names

    known = {*FOUNDATIONS, *(n for n in mace_mp_names if n)}
    if name not in known:
        raise SettingsError(
            f"start_from '{name}': no round, potential, file or foundation model; {did_you_mean(name, known)}"
        )
    return FOUNDATIONS.get(name, name)


def trainer_command(
    settings: TrainingSettings,
    work: Path,
    energies: Mapping[str, float],
    neighbours: float,
    start_from: Path | str | None,
    device: str,
) -> list[str]:
    """Return the command line of mace's trainer; `energies` are the E0s in eV, used as `settings.e0s` says."""
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
    explicit = str({atomic_numbers[e]: value for e, value in energies.items()})
    if start_from is None:
        # mace recomputes this number when it resumes; pinned, a resumed run trains the same model
        options.update(E0s=explicit, avg_num_neighbors=neighbours, compute_avg_num_neighbors=False)
    else:
        e0s = "foundation"  # `train` has moved those of the start model
        if settings.finetuning == "multihead" and settings.e0s != "keep":
            e0s = "estimated" if settings.e0s == "least squares" else explicit
        options.update(foundation_model=start_from, multiheads_finetuning=settings.finetuning == "multihead", E0s=e0s)
    if settings.finetuning == "multihead":
        options.update(
            pt_train_file=work / "replay.extxyz", pt_valid_file=work / "replay-validation.extxyz", force_mh_ft_lr=True
        )
    flags = ["--pair_repulsion", "--ema", "--restart_latest", "--save_cpu"]
    listed = [f"--{key}={value}" for key, value in options.items()]
    return [sys.executable, "-m", "mace.cli.run_train", *listed, *flags]


def run_trainer(command: Sequence[str], work: Path, settings: TrainingSettings, progress: Progress) -> TrainerLog:
    """Run the trainer in `work`, keep its output in `train.log` and return what it said, earlier attempts included.

    Raises
    ------
    NotConverged
        If the trainer fails, or trains something else than was asked for.
    """
    # torch 2.6 and later refuse whole models, and mace's trainer loads its own; the file was checked before
    environment = dict(os.environ, PYTHONWARNINGS="ignore", CUEQ_DISABLE="1", TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD="1")
    log, path, last = TrainerLog(settings.finetuning == "multihead"), work / "train.log", "no output"
    if path.exists():
        for line in path.read_text().splitlines():
            log.read(line)
    with (
        path.open("a") as stream,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, cwd=work
        ) as trainer,
    ):
        try:
            for line in trainer.stdout or ():
                stream.write(line)
                stream.flush()
                last = line.strip() or last
                before = log.epochs
                log.read(line)
                if log.epochs is not before:
                    now = log.epochs[-1]
                    progress(f"train {work.name}", now.epoch + 1, settings.epochs)
        except BaseException:
            trainer.terminate()
            raise
    if trainer.returncode != 0:
        raise NotConverged(f"train: the trainer ended with code {trainer.returncode}: {last}; see {path}")
    return log
