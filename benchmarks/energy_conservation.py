"""Does a run at constant energy conserve it? Drift and ripple of the total energy of a melt, by time step.

    python benchmarks/energy_conservation.py [POTENTIAL] [--timestep-fs 1 2 3 4] [--time-ps 50] [--temperature-K 1500]

114 atoms of Li3ZrCl4O1.5 are packed at 2.1 g/cm3 and held at the temperature for 5 ps (Langevin). From that one state
each time step runs velocity Verlet without a thermostat. Drift: slope of a straight line through the total energy, its
error from the scatter of the slopes of five equal parts. Ripple: standard deviation about that line.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from mlsim.composition import Composition
from mlsim.melt_quench import Schedule, Segment, pack, run_schedule
from mlsim.potential import load

EQUILIBRATION_PS = 5.0
SAMPLE_FS = 10.0
PARTS = 5


def melt(potential: str, temperature_K: float, seed: int) -> Atoms:
    """Return a melt with momenta, held at the temperature for 5 ps."""
    packed = pack(Composition.parse("Li3ZrCl4O1.5"), 114, density_g_cm3=2.1, seed=seed)
    hold = Segment(kind="hold", temperature_K=temperature_K, duration_ps=EQUILIBRATION_PS)
    schedule = Schedule(relax_steps=50, segments=(hold,))
    with tempfile.TemporaryDirectory() as folder:
        return run_schedule(
            packed, schedule, load(potential), directory=Path(folder), seed=seed, potential_sha256=potential
        ).atoms


def energies(start: Atoms, potential: str, timestep_fs: float, time_ps: float) -> tuple[np.ndarray, ...]:
    """Return times (ps), total energy (eV/atom) and temperature (K) along a run at constant energy."""
    atoms = start.copy()
    atoms.calc = load(potential)
    every = max(1, round(SAMPLE_FS / timestep_fs))
    rows: list[tuple[float, float]] = []
    run = VelocityVerlet(atoms, timestep_fs * units.fs)
    run.attach(lambda: rows.append((atoms.get_total_energy() / len(atoms), atoms.get_temperature())), interval=every)
    run.run(round(time_ps * 1e3 / timestep_fs))
    energy, temperature = np.array(rows).T
    return np.arange(len(rows)) * every * timestep_fs * 1e-3, energy, temperature


def main() -> None:
    """Read the arguments and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("potential", nargs="?", default="lzoc-base")
    parser.add_argument("--timestep-fs", nargs="+", type=float, default=[1, 2, 3, 4])
    parser.add_argument("--time-ps", type=float, default=50)
    parser.add_argument("--temperature-K", type=float, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    settings = parser.parse_args()
    start = melt(settings.potential, settings.temperature_K, settings.seed)
    print("| time step, fs | mean temperature, K | drift, meV/atom/ps | ripple, meV/atom |\n|---|---|---|---|")
    for timestep in settings.timestep_fs:
        time, energy, temperature = energies(start, settings.potential, timestep, settings.time_ps)
        slope, offset = np.polyfit(time, energy, 1)
        cuts = (np.array_split(a, PARTS) for a in (time, energy))
        parts = [np.polyfit(t, e, 1)[0] for t, e in zip(*cuts, strict=True)]
        # the whole run pins its slope sqrt(PARTS^3) times better than one of its parts does
        error = np.std(parts, ddof=1) / PARTS**1.5
        ripple = np.std(energy - slope * time - offset)
        print(
            f"| {timestep:g} | {temperature.mean():.0f} | {1e3 * slope:.1e} ± {1e3 * error:.0e} | {1e3 * ripple:.3f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
