"""From a MACE model file to a compiled one, checked against the float64 original."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

import mlsim
from mlsim.errors import SettingsError
from mlsim.potential.engine.calculator import CompiledMACE
from mlsim.potential.engine.merged import MergedModel, NotCompilable, file_sha256, write_merged

__all__ = ["ENERGY_TOLERANCE_EV", "FORCE_TOLERANCE_EV_A", "CompiledReport", "check_frames", "compile_model"]

ENERGY_TOLERANCE_EV = 1e-6
FORCE_TOLERANCE_EV_A = 1e-4


@dataclass(frozen=True)
class CompiledReport:
    """What was compiled and how exact it is.

    Attributes
    ----------
    path, source_sha256
        The compiled file, and the sha256 of the model that it was made from.
    description
        The model in a few words.
    n_frames
        Number of structures of the check.
    energy_error_eV, force_error_eV_A, stress_error_eV_A3
        Largest deviation of the float32 engine from float64 torch: energy per atom, a force component, a stress
        component.
    """

    path: Path
    source_sha256: str
    description: str
    n_frames: int
    energy_error_eV: float
    force_error_eV_A: float
    stress_error_eV_A3: float


def compile_model(
    model_path: str | Path,
    out_path: str | Path,
    *,
    frames: Sequence[Atoms] | None = None,
    overwrite: bool = False,
) -> CompiledReport:
    """Merge a MACE model and write it to a file that `CompiledMACE` runs without torch.

    Parameters
    ----------
    model_path
        File of the model as mace_run_train writes it (`.model`; loaded with pickle: trust its source).
    out_path
        File to write.
    frames
        Structures of the check beside the generated ones.
    overwrite
        Whether an existing file may be replaced.

    Raises
    ------
    NotCompilable
        If the model does not fit, with the reason, or if the engine deviates from float64 torch by more than
        1e-6 eV/atom or 1e-4 eV/Å.
    SettingsError
        If the file exists already.
    """
    from mlsim.potential.engine.extract import load_model, merge

    model_path, out_path = Path(model_path), Path(out_path)
    if out_path.exists() and not overwrite:
        raise SettingsError(f"{out_path}: exists already; choose another name or allow to overwrite it")
    model, digest = load_model(model_path), file_sha256(model_path)
    try:
        merged = merge(model)
    except NotCompilable as error:
        raise NotCompilable(f"{model_path.name}: not compiled: {error}; it runs through MACECalculator") from None
    structures = [*check_frames(merged.numbers, merged.cutoff_A), *(frames or ())]
    errors = deviations(model, merged, structures)
    reached = {name: float(f"{value:.3g}") for name, value in errors.items()}
    if not (errors["energy_error_eV"] <= ENERGY_TOLERANCE_EV and errors["force_error_eV_A"] <= FORCE_TOLERANCE_EV_A):
        raise NotCompilable(
            f"{model_path.name}: not compiled: deviates from float64 torch by {errors['energy_error_eV']:.1e} eV/atom "
            f"and {errors['force_error_eV_A']:.1e} eV/Å, allowed {ENERGY_TOLERANCE_EV:g} and {FORCE_TOLERANCE_EV_A:g}; "
            "it runs through MACECalculator"
        )
    provenance = {
        "source": model_path.name,
        "source_sha256": digest,
        "n_frames": len(structures),
        **reached,
        "versions": versions(),
    }
    write_merged(out_path, dataclasses.replace(merged, provenance=provenance))
    return CompiledReport(out_path, digest, described(merged), len(structures), **reached)


def described(model: MergedModel) -> str:
    """Return a model in a few words."""
    layers = f"{len(model.layers)} layer{'s' if len(model.layers) > 1 else ''}"
    zbl = ", ZBL" if model.zbl is not None else ""
    elements = " ".join(Atoms(numbers=model.numbers).symbols)
    return f"{model.channels}x0e, {layers}, l_max {model.l_max}, cut-off {model.cutoff_A:g} Å{zbl}; {elements}"


def versions() -> dict[str, str]:
    """Return the versions that made the file."""
    import mace
    import torch

    return {"mlsim": mlsim.__version__, "mace": mace.__version__, "torch": str(torch.__version__)}


def deviations(model: Any, merged: MergedModel, frames: Sequence[Atoms]) -> dict[str, float]:
    """Return the largest deviations of the float32 engine from the float64 model over the frames."""
    from mlsim.potential.engine.extract import reference_results

    engine = CompiledMACE(merged)
    errors = dict.fromkeys(("energy_error_eV", "force_error_eV_A", "stress_error_eV_A3"), 0.0)
    for frame, exact in zip(frames, reference_results(model, frames), strict=True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about short distances
            engine.calculate(frame.copy())
        found = {
            "energy_error_eV": abs(engine.results["energy"] - exact["energy"]) / len(frame),
            "force_error_eV_A": np.abs(engine.results["forces"] - exact["forces"]).max(),
        }
        if frame.pbc.all():
            found["stress_error_eV_A3"] = np.abs(engine.results["stress"] - exact["stress"]).max()
        # not max(): a NaN must stay
        errors |= {name: float(np.maximum(errors[name], value)) for name, value in found.items()}
    return errors


def check_frames(numbers: Sequence[int], cutoff_A: float, seed: int = 0) -> list[Atoms]:
    """Return structures with all elements: a liquid, a triclinic cell thinner than the cut-off, a cluster, a dimer.

    Atoms keep 0.9 times the sum of their covalent radii from each other.
    """
    rng = np.random.default_rng(seed)
    frames = []
    for shape, pbc, n in (
        (np.eye(3), True, 48),
        (np.array([[1, 0, 0], [0.3, 1, 0], [-0.2, 0.35, 1.2]]), True, 12),
        (np.eye(3), False, 24),
    ):
        chosen = np.resize(np.array(numbers), max(n, len(numbers)))
        radii = covalent_radii[chosen]
        volume = (4 / 3 * np.pi * (1.3 * radii) ** 3).sum() / 0.6
        cell = shape * (volume / np.linalg.det(shape)) ** (1 / 3)
        frames.append(packed(rng, chosen, radii, cell, pbc))
    pair = Atoms([numbers[0], numbers[-1]], positions=[[0, 0, 0], [0.6 * cutoff_A, 0.1, 0.2]])
    return [*frames, pair]


def packed(rng: np.random.Generator, chosen: Any, radii: Any, cell: Any, pbc: bool) -> Atoms:
    """Return atoms at random places of a cell; where one does not fit after many trials, the cell grows."""
    inverse = np.linalg.inv(cell)
    images = np.array([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]) @ cell
    places: list[Any] = []
    order = np.argsort(-radii, kind="stable")
    trials = 0
    while len(places) < len(chosen):
        trials += 1
        if trials > 500:
            return packed(rng, chosen, radii, cell * 1.05, pbc)
        place = rng.random(3) @ cell
        if places:
            d = (np.array(places) - place) @ inverse
            d = (d - np.round(d)) @ cell if pbc else d @ cell
            gap = np.sqrt(((d[:, None, :] + images) ** 2).sum(2)).min(1) if pbc else np.sqrt((d**2).sum(1))
            here = radii[order]
            if (gap < 0.9 * (here[: len(places)] + here[len(places)])).any():
                continue
        places.append(place)
        trials = 0
    return Atoms(numbers=chosen[order], positions=places, cell=cell, pbc=pbc)
