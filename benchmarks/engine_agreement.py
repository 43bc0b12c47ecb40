"""How far the compiled engine is from float64 torch: every shipped model, and random ones of other widths.

    python benchmarks/engine_agreement.py [MODEL ...]

A shipped model (or MODEL) is looked at on ten frames of its own melt of 114 atoms at 2000 K; random models on generated
structures (a liquid, a triclinic cell thinner than the cut-off, a cluster, a dimer). MACECalculator in float32 stands
beside. Largest deviations: energy per atom (eV), a force component (eV/Å), a stress component (eV/Å3).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.optimize import FIRE

from mlsim.composition import Composition
from mlsim.melt_quench import pack
from mlsim.potential import describe, shipped_potentials
from mlsim.potential.engine import CompiledMACE
from mlsim.potential.engine.compiling import check_frames, described
from mlsim.potential.engine.extract import load_model, merge, reference_results

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "potential" / "engine"))
RANDOM: list[dict[str, Any]] = [
    {"k": 16},
    {"k": 24, "l_max": 3, "correlation": 3, "first": "RealAgnosticResidualInteractionBlock"},
    {"k": 48, "correlation": 3},
    {"k": 64, "l_max": 1, "num_interactions": 1, "r_max": 6.0},
    {"k": 96, "radial_MLP": [32, 32, 32], "num_bessel": 10},
    {"k": 128, "l_max": 3},
]


def melt_frames(merged: Any) -> list[Atoms]:
    """Return frames of a melt at 2000 K, 0.2 ps apart, made by the engine."""
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 114, density_g_cm3=2.1, seed=1)
    atoms.calc = CompiledMACE(merged)
    FIRE(atoms, logfile=None).run(fmax=1.0, steps=60)
    run = Langevin(atoms, 2 * units.fs, temperature_K=2000, friction=0.02, fixcm=False, rng=np.random.default_rng(1))
    frames: list[Atoms] = []
    run.run(1000)
    for _ in range(10):
        run.run(100)
        frames.append(Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True))
    return frames


def worst(frames: Sequence[Atoms], exact: Sequence[dict[str, Any]], results: Callable[[Atoms], dict[str, Any]]) -> str:
    """Return the largest deviations from the exact results, as table cells."""
    errors = np.zeros(3)
    for frame, true in zip(frames, exact, strict=True):
        found = results(frame.copy())
        row = [
            abs(found["energy"] - true["energy"]) / len(frame),
            np.abs(found["forces"] - true["forces"]).max(),
            np.abs(found["stress"] - true["stress"]).max() if frame.pbc.all() else 0.0,
        ]
        errors = np.maximum(errors, row)
    return " | ".join(f"{e:.0e}" for e in errors)


def rows(name: str, model: Any, model_file: Path, frames: Sequence[Atoms] | None) -> None:
    """Print what each way of evaluating one model deviates by."""
    from mace.calculators import MACECalculator

    merged = merge(model)
    chosen = frames if frames is not None else check_frames(merged.numbers, merged.cutoff_A)
    exact = reference_results(model, chosen)
    strongest = max(float(np.abs(result["forces"]).max()) for result in exact)
    print(f"| {name}: {described(merged)}; forces to {strongest:.1f} eV/Å | | | |")
    for label, calculator in (
        ("engine, float64 (the tables alone)", CompiledMACE(merged, dtype="float64")),
        ("engine, float32", CompiledMACE(merged)),
        ("MACECalculator, float32", MACECalculator(model_paths=str(model_file), device="cpu", default_dtype="float32")),
    ):

        def results(atoms: Atoms, calculator: Any = calculator) -> dict[str, Any]:
            calculator.calculate(atoms, ["energy", "forces", "stress"])
            return dict(calculator.results)

        print(f"| {label} | {worst(chosen, exact, results)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    settings = parser.parse_args()
    warnings.simplefilter("ignore")
    from random_models import random_model, write_model

    print("| | energy, eV/atom | force, eV/Å | stress, eV/Å3 |\n|---|---|---|---|")
    for path in settings.models or [describe(name).path for name in shipped_potentials()]:
        model = load_model(path)
        rows(path.stem, model, path, melt_frames(merge(model)))
    if settings.models:
        return
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(RANDOM):
            model = random_model(**kind)
            path = write_model(Path(folder) / f"random-{number}.model", model)
            rows(f"random {number + 1}", model, path, None)


if __name__ == "__main__":
    main()
