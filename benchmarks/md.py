"""MD steps per second: the compiled engine beside MACECalculator, in one run, on one thread and on two.

    python benchmarks/md.py [MODEL] [--atoms 114 912 7296] [--fast]

Both move the same atoms by velocity Verlet at about 1500 K through ASE; neighbour lists and ASE are in the times.
Times are the smallest of several blocks, of CPU time on one thread; the column "two threads" is the gain in wall time.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from mlsim.composition import Composition
from mlsim.melt_quench import pack
from mlsim.potential.engine import CompiledMACE, compile_model
from mlsim.shipped import shipped_folder

TIMESTEP_FS = 2.0


def cpu_name() -> str:
    """Return the processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    vectors = [name for name in ("avx2", "avx512f") if any(name in line.split() for line in lines)]
    return f"{names[0] if names else platform.machine()} ({', '.join(vectors) or 'no AVX2'})"


def melt(compiled: Path) -> Atoms:
    """Return 114 atoms of Li3ZrCl4O1.5, relaxed a little and at 1500 K."""
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 114, density_g_cm3=2.1, seed=1)
    atoms.calc = CompiledMACE(compiled)
    FIRE(atoms, logfile=None).run(fmax=1.0, steps=60)
    heat(atoms, seed=0)
    VelocityVerlet(atoms, TIMESTEP_FS * units.fs).run(100)
    atoms.calc = None
    return atoms


def heat(atoms: Atoms, seed: int) -> None:
    """Draw momenta for 1500 K."""
    rng = np.random.default_rng(seed)
    atoms.set_momenta(rng.normal(size=(len(atoms), 3)) * np.sqrt(1500 * units.kB * atoms.get_masses())[:, None])


def enlarged(atoms: Atoms, n: int) -> Atoms:
    """Return at least n atoms: copies of the cell with momenta of their own."""
    side = max(1, round((n / len(atoms)) ** (1 / 3)))
    result = atoms.repeat(side)
    heat(result, seed=side)
    return result


def step_time_us(atoms: Atoms, calculator: object, steps: int, blocks: int, clock: Callable[[], float]) -> float:
    """Return microseconds per atom and step, the smallest over the blocks."""
    moving = atoms.copy()
    moving.calc = calculator
    run = VelocityVerlet(moving, TIMESTEP_FS * units.fs)
    run.run(2)
    best = np.inf
    for _ in range(blocks):
        start = clock()
        run.run(steps)
        best = min(best, clock() - start)
    return best / steps / len(atoms) * 1e6


def mace_calculator(model: Path) -> object:
    """Return MACECalculator in float32 on one thread."""
    import torch
    from mace.calculators import MACECalculator

    torch.set_num_threads(1)
    return MACECalculator(model_paths=str(model), device="cpu", default_dtype="float32")


def in_new_process(compiled: Path, n: int) -> tuple[float, float]:
    """Return seconds to the first forces and the peak memory per atom (B) of a fresh process with n atoms."""
    command = [sys.executable, __file__, "--worker", str(compiled), str(n)]
    first, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return float(first), float(peak)


def worker(compiled: str, n: str) -> None:
    """Print the time to the first forces of a small cell, and what the calculator of a large one needs at most."""
    rng = np.random.default_rng(0)
    start = time.process_time()
    small = Atoms("LiCl", positions=[[0, 0, 0], [2.5, 1.5, 1.4]], cell=[5, 3.2, 2.8], pbc=True)
    CompiledMACE(compiled).calculate(small)
    first = time.process_time() - start
    large = small.repeat(round((int(n) / 2) ** (1 / 3)))
    large.rattle(0.1, seed=0)
    moved(CompiledMACE(compiled), small.repeat(3), rng)  # loads all code
    Path("/proc/self/clear_refs").write_text("5")  # the peak of starting up is not the calculator's
    before = process_memory_B("VmRSS")
    calculator = CompiledMACE(compiled)
    moved(calculator, large, rng)
    print(first, (process_memory_B("VmHWM") - before) / len(large))


def moved(calculator: CompiledMACE, atoms: Atoms, rng: np.random.Generator) -> None:
    """Evaluate atoms that move far enough for the list of neighbours to be made anew each time."""
    for _ in range(6):
        calculator.calculate(atoms)
        atoms.positions += rng.normal(0, 0.15, atoms.positions.shape)


def process_memory_B(kind: str) -> int:
    """Return a memory figure of this process; not ru_maxrss, which starts from the parent's."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return 1024 * int(lines[kind].split()[0])


def table(model: Path, compiled: Path, sizes: list[int], fast: bool) -> None:
    """Print the rows."""
    base = melt(compiled)
    reference = mace_calculator(model)
    print("| atoms | MACECalculator float32, µs/atom/step | engine, µs/atom/step | ratio | two threads | ΔF, eV/Å |")
    print("|---|---|---|---|---|---|")
    for n in sizes:
        atoms = enlarged(base, n)
        blocks = 2 if fast else 5
        engine = step_time_us(atoms, CompiledMACE(compiled), max(10, 60_000 // len(atoms)), blocks, time.process_time)
        mace = step_time_us(atoms, reference, max(2, 3000 // len(atoms)), blocks, time.process_time)
        walls = [np.inf, np.inf]
        for _ in range(blocks):  # in turns: what disturbs one disturbs the other
            for t in (1, 2):
                calculator = CompiledMACE(compiled, threads=t)
                once = step_time_us(atoms, calculator, max(10, 60_000 // len(atoms)), 1, time.perf_counter)
                walls[t - 1] = min(walls[t - 1], once)
        ours = CompiledMACE(compiled)
        ours.calculate(atoms)
        reference.calculate(atoms, ["forces"])  # type: ignore[attr-defined]
        difference = np.abs(ours.results["forces"] - reference.results["forces"]).max()  # type: ignore[attr-defined]
        print(
            f"| {len(atoms)} | {mace:.1f} | {engine:.1f} | {mace / engine:.0f} | {walls[0] / walls[1]:.2f} | "
            f"{difference:.1e} |",
            flush=True,
        )


def main() -> None:
    """Read the arguments and print machine, table, start-up and memory."""
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "model", nargs="?", type=Path, default=shipped_folder("potentials") / "lzoc-base/lzoc-base.model"
    )
    parser.add_argument("--atoms", nargs="+", type=int, default=[114, 912, 7296])
    parser.add_argument("--fast", action="store_true", help="fewer repetitions")
    settings = parser.parse_args()
    warnings.simplefilter("ignore")
    names = ("numba", "numpy", "ase", "torch", "mace-torch")
    print("machine:", cpu_name(), "·", platform.system(), "· python", platform.python_version())
    print("versions:", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
    with tempfile.TemporaryDirectory() as folder:
        compiled = Path(folder) / "compiled.npz"
        report = compile_model(settings.model, compiled)
        print(
            f"model: {settings.model.name}: {report.description}; off float64 torch by {report.energy_error_eV:.1e} "
            f"eV/atom, {report.force_error_eV_A:.1e} eV/Å",
            flush=True,
        )
        table(settings.model, compiled, settings.atoms, settings.fast)
        for n in (2000, 54_000):
            first, memory = in_new_process(compiled, n)
            print(f"new process, {n} atoms at 0.045 1/Å3: {memory:.0f} B per atom at most", flush=True)
        print(f"first forces of a new process with compiled code in the cache: {first:.2f} s of CPU time")


if __name__ == "__main__":
    main()
