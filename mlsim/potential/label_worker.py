"""Label frames with any ASE calculator; runs under any Python that has ase and that calculator, without mlsim.

    python label_worker.py --calculator sevennet:7net-l3i5 --out LABELLED_FOLDER FRAMES.extxyz ...

A teacher often needs libraries that do not fit beside MACE (SevenNet wants another e3nn), so this file imports
nothing of mlsim: `mlsim.potential.label` starts it in the environment that has the teacher.
Frames are labelled in order and appended to NAME.part, each with its own flush; a killed run goes on after the last
whole frame, and NAME appears in the folder only when every frame is done. A file that is there already is skipped.
A frame whose self-consistency does not converge is left out and named in NAME.skipped.
Every frame carries `teacher` and, where the calculator has them, its `settings`; a folder that holds labels of other
settings is refused.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import iread, read, write

PARENT = os.getppid()
NOT_CONVERGED = re.compile("converge", re.IGNORECASE)


class Refused(Exception):
    """One line for the user; nothing was changed."""


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


PAW_RECIPES = {
    "Li": ("-P", "1s,2s,0.0s,2p,0.5p,0.0d", "-r", "1.5"),
    "Zr": ("-P", "4s,5s,4p,5p,4d,d,F", "-r", "1.8"),
}
"""Projectors and radius (Bohr) of the PAW datasets made anew: those that gpaw-data 1.2.1 brings are too soft here.

With its Zr (radius 2.5 Bohr) forces at short Zr–O distances are wrong by 0.07 to 0.2 eV/Å, and its Li makes a of Li2O
1 % too large; these two give all-electron lattice constants within 0.3 %.
"""


SAME_DIGITS = {
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F X86_V4",  # its name before and since NumPy 2.4
}
"""Makes the generator of PAW datasets write the same bits on processors with AVX-512 as on those without.

Otherwise the last digits of a dataset, hence its sha256, depend on the machine that made it.
"""


class PlaneWavePBE(Calculator):  # type: ignore[misc]
    """Plane-wave PBE by GPAW, each structure from scratch, so that a label does not depend on those before it.

    700 eV, one k-point (1/4, 1/4, 1/4); crystals (kind "crystal") on Monkhorst–Pack grids with 2π/(a n) ≤ 0.65 1/Å,
    those of an equation of state (`linear_strain`) all on the grid of the unstrained one, since a change of grid shifts
    the energy;
    Fermi smearing 0.05 eV with the energy extrapolated to zero width; no point group; density converged to 1e-4,
    eigenstates to 1e-6. PAW datasets of Li and Zr are generated into `datasets` when absent.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012  ASE's name
    largest_spacing_per_A = 0.65
    summary = (
        "PBE, PW 700 eV, k-point (1/4,1/4,1/4), crystals Monkhorst-Pack 0.65/A, Fermi 0.05 eV at zero width, "
        "point group off, density 1e-4, eigenstates 1e-6"
    )

    def __init__(self, datasets: Path) -> None:
        super().__init__()
        from gpaw import setup_paths

        for element, recipe in PAW_RECIPES.items():
            generate_dataset(datasets / f"{element}.PBE", element, recipe)
        setup_paths.insert(0, str(datasets))

    def settings(self, atoms: Atoms) -> dict[str, str]:
        """Return what a frame's `info` records: settings, k-points and the sha256 of each element's PAW dataset."""
        grid = self.grid(atoms)
        kpoints = "(1/4,1/4,1/4)" if grid is None else "x".join(map(str, grid))
        hashes = {f"paw_{element}": paw_sha256(element) for element in sorted(set(atoms.get_chemical_symbols()))}
        return {"settings": self.summary, "kpoints": kpoints, **hashes}

    def grid(self, atoms: Atoms) -> tuple[int, int, int] | None:
        """Return the Monkhorst–Pack grid of a crystal; None stands for the one point of a glass."""
        if atoms.info.get("kind") != "crystal":
            return None
        lengths = np.linalg.norm(atoms.cell.reciprocal()[:], axis=1) * 2 * np.pi
        lengths *= 1 + float(atoms.info.get("linear_strain", 0.0))
        a, b, c = (max(1, int(np.ceil(length / self.largest_spacing_per_A - 1e-9))) for length in lengths)
        return a, b, c

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Solve the Kohn–Sham equations of `atoms`."""
        from gpaw import GPAW, PW, FermiDirac

        super().calculate(atoms, properties, system_changes)
        grid = self.grid(self.atoms)
        solver = GPAW(
            mode=PW(700),
            xc="PBE",
            kpts=[[0.25, 0.25, 0.25]] if grid is None else {"size": grid, "gamma": False},
            occupations=FermiDirac(0.05),
            symmetry={"point_group": False},
            convergence={"density": 1e-4, "eigenstates": 1e-6},
            txt=None,
        )
        one = Atoms(self.atoms.symbols, positions=self.atoms.positions, cell=self.atoms.cell[:], pbc=True)
        one.calc = solver
        self.results = {
            "energy": one.get_potential_energy(),
            "forces": one.get_forces(),
            "stress": one.get_stress(),
        }


def generate_dataset(path: Path, element: str, recipe: Sequence[str]) -> None:
    """Make a PAW dataset with GPAW's generator unless it is there."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, "-m", "gpaw", "dataset", element, "-f", "PBE", "-w", *recipe]
        environment = dict(os.environ, **SAME_DIGITS)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=environment)
        made = Path(folder) / path.name
        if done.returncode != 0 or not made.exists():
            raise Refused(f"cannot generate the PAW dataset of {element}: {(done.stderr or 'no output').split()[-1]}")
        made.replace(path)


@cache
def paw_sha256(element: str) -> str:
    """Return the sha256 of the PAW dataset of an element as GPAW reads it (unpacked)."""
    from gpaw.setup_data import search_for_file

    return hashlib.sha256(search_for_file(f"{element}.PBE")[1]).hexdigest()


def gpaw(datasets: str) -> tuple[Any, str]:
    """Return plane-wave PBE by GPAW with PAW datasets kept in the folder `datasets`, and what it is."""
    what = f"GPAW {version('gpaw')}, gpaw-data {version('gpaw-data')}, Li and Zr PAW regenerated"
    return PlaneWavePBE(Path(datasets)), what


MAKERS = {"sevennet": sevennet, "chgnet": chgnet, "mace": mace, "gpaw": gpaw, "ase": ase_calculator}


def version(package: str) -> str:
    """Return the installed version of a package."""
    return importlib.metadata.version(package)


def whole_frames(path: Path, *, cut: bool = True) -> int:
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
    if cut:
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
    result.info.update(teacher=description, **frame_settings(calculator, frame))
    result.calc = SinglePointCalculator(
        result, energy=float(energy), forces=np.array(forces, float), stress=np.array(stress, float)
    )
    return result


def frame_settings(calculator: Any, frame: Atoms) -> dict[str, str]:
    """Return what a frame records of the calculator's settings: its own account, or its ASE parameters."""
    if hasattr(calculator, "settings"):
        return dict(calculator.settings(frame))
    parameters = getattr(calculator, "parameters", None)
    return {"settings": ", ".join(f"{k}={v}" for k, v in sorted(parameters.items()))} if parameters else {}


def require_same_settings(folder: Path, names: Sequence[str], calculator: Any, description: str) -> None:
    """Refuse to add to files whose first frame was labelled by something else."""
    for path in sorted(folder.glob("*.extxyz*")):
        if path.name.endswith(".part") and path.name.removesuffix(".part") not in names:
            continue  # another worker may be writing its first frame
        if not path.name.endswith((".extxyz", ".part")) or whole_frames(path, cut=False) == 0:
            continue
        first = next(iter(iread(path, index=":1", format="extxyz")))
        own = {"teacher": description, **frame_settings(calculator, first)}
        for key in ("teacher", "settings", *(k for k in own if k.startswith("paw_"))):
            theirs = str(first.info.get(key, own.get(key)))
            if key in own and theirs != own[key]:
                what = f"PAW dataset of {key[4:]}" if key.startswith("paw_") else key
                raise Refused(f"{path}: was labelled with {what} '{theirs}', not '{own[key]}'; use another dataset")


@contextmanager
def only_writer(part: Path, *, wait: bool) -> Iterator[TextIO | None]:
    """Open a partial file to append, or give None while another process does.

    With `wait` it waits: a worker that was left over finishes its frame first.
    """
    with part.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield stream
    if part.exists() and part.stat().st_size == 0:
        part.unlink()


def label_file(
    source: Path, target: Path, calculator: Any, description: str, relax: bool, *, wait: bool = True
) -> bool:
    """Label all frames of one file, relaxed first if asked; goes on after the last whole frame of a killed attempt.

    Returns
    -------
    bool
        False if another process is at it, and `wait` is false.
    """
    part, skipped = target.with_name(target.name + ".part"), target.with_name(target.name + ".skipped")
    with only_writer(part, wait=wait) as stream:
        if stream is None:
            return False
        if target.exists():
            return True
        frames = read(source, index=":")
        left_out = skipped.read_text().count("\n") if skipped.exists() else 0
        for index in range(whole_frames(part) + left_out, len(frames)):
            frame = relaxed(frames[index], calculator) if relax else frames[index]
            label = core_labelled if "trusted_A" in frame.info else labelled
            try:
                write(stream, label(frame, calculator, description), format="extxyz")
                stream.flush()
            except Exception as error:
                if not NOT_CONVERGED.search(type(error).__name__):
                    raise
                with skipped.open("a") as note:
                    note.write(f"frame {index}: {type(error).__name__}\n")
            if os.getppid() != PARENT:
                raise Refused("the process that started this worker has gone; the frame is kept")
            sys.stderr.write(f"{source.name}: {index + 1}/{len(frames)} frames\n")
            sys.stderr.flush()
        os.fsync(stream.fileno())
        part.replace(target)
    return True


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
    parser.add_argument(
        "--calculator",
        required=True,
        help="gpaw:FOLDER_OF_PAW_DATASETS, sevennet:MODEL, chgnet, mace:FILE, ase:module:factory",
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--relax", action="store_true", help="relax cells first and label the relaxed crystals")
    choice = parser.parse_args()
    kind, _, model = choice.calculator.partition(":")
    if kind not in MAKERS:
        sys.stderr.write(f"label: unknown calculator '{kind}'; known: {', '.join(sorted(MAKERS))}\n")
        return 2
    if kind not in ("ase", "gpaw") and importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(choice.threads)
    try:
        label_all(choice, *MAKERS[kind](model))
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        advice = "; pip install 'mlsim[dft]', or give --python of an environment that has it" if kind == "gpaw" else ""
        sys.stderr.write(f"label: calculator '{choice.calculator}' is not installed here ({error}){advice}\n")
        return 2
    except Refused as error:
        sys.stderr.write(f"label: {error}\n")
        return 2
    return 0


def label_all(choice: argparse.Namespace, calculator: Any, description: str) -> None:
    """Label the files of the command line; those that another process is at come last."""
    choice.out.mkdir(parents=True, exist_ok=True)
    require_same_settings(choice.out, [path.name for path in choice.frames], calculator, description)
    began = time.monotonic()
    waiting = list(choice.frames)
    for wait in (False, True):
        busy = []
        for source in waiting:
            target = choice.out / source.name
            if target.exists():
                continue
            if not label_file(source, target, calculator, description, choice.relax, wait=wait):
                busy.append(source)
        waiting = busy
    sys.stderr.write(f"labelled {len(choice.frames)} files in {time.monotonic() - began:.0f} s\n")


if __name__ == "__main__":
    raise SystemExit(main())
