"""Label frames with any ASE calculator; runs under any Python that has ase and that calculator, without mlsim.

    python label_worker.py --calculator sevennet:7net-l3i5 --out LABELLED_FOLDER FRAMES.extxyz ...

A teacher often needs libraries that do not fit beside MACE (SevenNet wants another e3nn), so this file imports
nothing of mlsim: `mlsim.potential.label` starts it in the environment that has the teacher.
Frames are labelled in order and appended to NAME.part, each with its own flush; a killed run goes on after the last
whole frame, and NAME appears in the folder only when every frame is done. A file that is there already is skipped.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write


def sevennet(model: str) -> tuple[Any, str]:
    """Return the SevenNet calculator of one of its packaged models, and what it is."""
    from sevenn.calculator import SevenNetCalculator

    modal = {"modal": "PBE"} if "mf" in model else {}
    return SevenNetCalculator(model, device="cpu", **modal), f"SevenNet {model}, sevenn {version('sevenn')}"


def chgnet(model: str) -> tuple[Any, str]:
    """Return the CHGNet calculator (PBE with U as in the Materials Project), and what it is."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    network = CHGNet.load(model_name=model or "0.3.0", verbose=False, use_device="cpu")
    return CHGNetCalculator(network, use_device="cpu"), f"CHGNet {model or '0.3.0'}, chgnet {version('chgnet')}"


def mace(model: str) -> tuple[Any, str]:
    """Return MACE's own calculator of a model file in float64, and what it is."""
    from mace.calculators import MACECalculator

    return MACECalculator(model_paths=model, device="cpu", default_dtype="float64"), f"MACE {Path(model).name}"


def ase_calculator(target: str) -> tuple[Any, str]:
    """Return what `target` = package.module:factory makes, for VASP, CP2K, Quantum ESPRESSO and others."""
    import importlib

    module, _, factory = target.partition(":")
    return getattr(importlib.import_module(module), factory)(), target


MAKERS = {"sevennet": sevennet, "chgnet": chgnet, "mace": mace, "ase": ase_calculator}


def version(package: str) -> str:
    """Return the installed version of a package."""
    return importlib.metadata.version(package)


def whole_frames(path: Path) -> int:
    """Return how many whole frames a partial file holds, and cut off a torn last one."""
    if not path.exists():
        return 0
    kept, good_bytes = 0, 0
    with path.open("rb") as stream:
        while head := stream.readline():
            body = [stream.readline() for _ in range(int(head) + 1)] if head.strip().isdigit() else []
            if not body or not body[-1].endswith(b"\n"):
                break
            kept, good_bytes = kept + 1, stream.tell()
    with path.open("r+b") as stream:
        stream.truncate(good_bytes)
    return kept


def zbl(z1: int, z2: int, distance: float) -> tuple[float, float]:
    """Return energy (eV) and its derivative (eV/Å) of the universal ZBL repulsion of two atoms at `distance` Å.

    V = Z1 Z2 e²/(4 π ε0 r) φ(r/a), a = 0.46850 Å / (Z1^0.23 + Z2^0.23)
    (J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Solids, Pergamon 1985).
    """
    weights = np.array([0.18175, 0.50986, 0.28022, 0.02817])
    decays = np.array([3.19980, 0.94229, 0.40290, 0.20162])
    length = 0.46850 / (z1**0.23 + z2**0.23)
    terms = weights * np.exp(-decays * distance / length)
    charge = 14.399645 * z1 * z2
    energy = charge / distance * terms.sum()
    return energy, -energy / distance - charge / distance * (decays / length * terms).sum()


def core_labelled(frame: Atoms, calculator: Any, description: str) -> Atoms:
    """Return labels for a pair below the teacher's reach: teacher at the trusted distance, ZBL from there inwards.

    With d0 the trusted distance, F0 the teacher's force along the bond there and V the ZBL energy, the pair has the
    force F0 − V'(d) + V'(d0); its integral is added to the teacher's energy at d0; other forces are those at d0.
    """
    first, second = frame.info["shoved_atoms"]
    trusted = float(frame.info["trusted_A"])
    bond = frame.get_distance(first, second, mic=True, vector=True)
    distance = float(np.linalg.norm(bond))
    along = bond / distance
    apart = frame.copy()
    apart.positions[first] -= along * (trusted - distance) / 2
    apart.positions[second] += along * (trusted - distance) / 2
    result = labelled(apart, calculator, description)
    energy, forces, stress = (result.calc.results[key] for key in ("energy", "forces", "stress"))
    z1, z2 = frame.numbers[[first, second]]
    (inner, inner_slope), (outer, outer_slope) = zbl(z1, z2, distance), zbl(z1, z2, trusted)
    gain = outer_slope - inner_slope
    forces[first] -= gain * along
    forces[second] += gain * along
    teacher_force = float((forces[second] - forces[first]) @ along / 2 - gain)
    energy += inner - outer + (outer_slope + teacher_force) * (trusted - distance)
    tensor = -gain * distance * np.outer(along, along) / frame.get_volume()
    stress += tensor[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    core = frame.copy()
    core.info["teacher"] = description
    core.calc = SinglePointCalculator(core, energy=float(energy), forces=forces, stress=stress)
    return core


def labelled(frame: Atoms, calculator: Any, description: str) -> Atoms:
    """Return a copy of a frame that carries energy, forces and stress; the frame's own info is kept."""
    atoms = frame.copy()
    atoms.calc = calculator
    energy, forces, stress = atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
    result = frame.copy()
    result.info["teacher"] = description
    result.calc = SinglePointCalculator(
        result, energy=float(energy), forces=np.array(forces, float), stress=np.array(stress, float)
    )
    return result


def label_file(source: Path, target: Path, calculator: Any, description: str, relax: bool) -> None:
    """Label all frames of one file, relaxed first if asked; goes on after the last whole frame of a killed attempt."""
    part = target.with_name(target.name + ".part")
    frames = read(source, index=":")
    done = whole_frames(part)
    with part.open("a") as stream:
        for index in range(done, len(frames)):
            frame = relaxed(frames[index], calculator) if relax else frames[index]
            label = core_labelled if "trusted_A" in frame.info else labelled
            write(stream, label(frame, calculator, description), format="extxyz")
            stream.flush()
            sys.stderr.write(f"{source.name}: {index + 1}/{len(frames)} frames\n")
            sys.stderr.flush()
        os.fsync(stream.fileno())
    part.replace(target)


def relaxed(frame: Atoms, calculator: Any) -> Atoms:
    """Return a copy of a crystal with cell and positions relaxed to 0.005 eV/Å."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    atoms = frame.copy()
    atoms.calc = calculator
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=0.005, steps=300)
    result = frame.copy()
    result.set_cell(atoms.cell)
    result.set_positions(atoms.positions)
    return result


def main() -> int:
    """Label files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path, nargs="+", help="extended XYZ files")
    parser.add_argument("--out", type=Path, required=True, help="folder for the labelled files, same names")
    parser.add_argument("--calculator", required=True, help="sevennet:MODEL, chgnet, mace:FILE, ase:module:factory")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--relax", action="store_true", help="relax cells first and label the relaxed crystals")
    choice = parser.parse_args()
    kind, _, model = choice.calculator.partition(":")
    if kind not in MAKERS:
        sys.stderr.write(f"label: unknown calculator '{kind}'; known: {', '.join(sorted(MAKERS))}\n")
        return 2
    if kind != "ase" and importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(choice.threads)
    try:
        calculator, description = MAKERS[kind](model)
    except ImportError as error:
        sys.stderr.write(f"label: calculator '{choice.calculator}' is not installed here ({error})\n")
        return 2
    choice.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    for source in choice.frames:
        target = choice.out / source.name
        if not target.exists():
            label_file(source, target, calculator, description, choice.relax)
    sys.stderr.write(f"labelled {len(choice.frames)} files in {time.monotonic() - began:.0f} s\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
