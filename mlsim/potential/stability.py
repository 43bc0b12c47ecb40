"""How a potential holds in molecular dynamics of its own: closest approach in melts, drift of the energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.langevin import Langevin
from ase.md.velocitydistribution import thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.optimize import FIRE

from mlsim.composition import Composition
from mlsim.errors import NotConverged
from mlsim.melt_quench import pack
from mlsim.potential.sample import closest_fractions
from mlsim.progress import Progress, SilentProgress

__all__ = ["EnergyDrift", "MeltCheck", "energy_drift", "melt_check"]


@dataclass(frozen=True)
class MeltCheck:
    """What happened in one melt of the potential's own.

    Attributes
    ----------
    formula, temperature_K, duration_ps, seed
        The run.
    closest
        Shortest distance of each pair over the run as a fraction of its usual first-shell distance.
    mean_temperature_K
        Over the second half of the run.
    """

    formula: str
    temperature_K: float
    duration_ps: float
    seed: int
    closest: Mapping[tuple[str, str], float]
    mean_temperature_K: float

    @property
    def holds(self) -> bool:
        """True if no pair fell below half its first-shell distance and the thermostat held.

        Thermal collisions of Li reach 0.6 to 0.75 at 1500 K in the teacher as well; a collapse ends below 0.5.
        """
        return min(self.closest.values()) > 0.5 and abs(self.mean_temperature_K / self.temperature_K - 1) < 0.15


@dataclass(frozen=True)
class EnergyDrift:
    """What the total energy did in one run at constant energy.

    Attributes
    ----------
    formula, temperature_K, duration_ps, timestep_fs, seed
        The run; the temperature is that of the thermostat before it.
    drift_meV
        Slope of a straight line through the total energy, times the duration, meV per atom.
    fluctuation_meV
        Standard deviation about that line, meV per atom.
    """

    formula: str
    temperature_K: float
    duration_ps: float
    timestep_fs: float
    seed: int
    drift_meV: float
    fluctuation_meV: float


def melt_check(
    calculator: Any,
    *,
    formula: str,
    temperature_K: float,
    duration_ps: float,
    seed: int,
    density_g_cm3: float = 2.1,
    n_atoms: int = 114,
    timestep_fs: float = 2.0,
    settling_ps: float = 1.0,
    progress: Progress | None = None,
    keep: Callable[[Atoms], None] | None = None,
) -> MeltCheck:
    """Run a melt of a new packing and record how close each pair of elements came.

    Parameters
    ----------
    settling_ps
        Time before distances are watched: a random packing turns potential energy into hot spots first.
    keep
        Called with every frame in which a pair is below 0.8 of its usual distance, at most every 50 steps, so that
        the frames where the potential may be wrong can be labelled.

    Raises
    ------
    NotConverged
        When the temperature runs away.
    """
    say = progress or SilentProgress()
    atoms, dynamics = _started(calculator, formula, temperature_K, seed, density_g_cm3, n_atoms, timestep_fs)
    steps = round(1000 * duration_ps / timestep_fs)
    closest: dict[tuple[str, str], float] = {}
    temperatures, last_kept = [], -50
    for step in range(0, steps, 5):
        dynamics.run(5)
        if step * timestep_fs < 1000 * settling_ps:
            continue
        now = closest_fractions(atoms)
        closest = {pair: min(now.get(pair, 9.9), closest.get(pair, 9.9)) for pair in {*now, *closest}}
        temperatures.append(atoms.get_temperature())
        if not temperatures[-1] < 3 * temperature_K:
            raise NotConverged(
                f"melt {formula} at {temperature_K:g} K: ran away to {temperatures[-1]:.0f} K at step {step}"
            )
        if keep is not None and min(now.values()) < 0.8 and step - last_kept >= 50:
            last_kept = step
            keep(atoms)
        say(f"melt {formula} {temperature_K:g} K seed {seed}", step + 5, steps)
    mean = float(np.mean(temperatures[len(temperatures) // 2 :]))
    return MeltCheck(formula, temperature_K, duration_ps, seed, dict(sorted(closest.items())), mean)


def energy_drift(
    calculator: Any,
    *,
    formula: str,
    temperature_K: float,
    duration_ps: float,
    seed: int,
    density_g_cm3: float = 2.1,
    n_atoms: int = 114,
    timestep_fs: float = 2.0,
    settling_ps: float = 2.0,
    progress: Progress | None = None,
) -> EnergyDrift:
    """Run a relaxed packing at constant energy and return what its total energy did.

    Parameters
    ----------
    settling_ps
        Time under a thermostat before the thermostat is taken away.
    """
    say = progress or SilentProgress()
    atoms, dynamics = _started(calculator, formula, temperature_K, seed, density_g_cm3, n_atoms, timestep_fs)
    dynamics.run(round(1000 * settling_ps / timestep_fs))
    verlet = VelocityVerlet(atoms, timestep_fs * units.fs)
    steps, every = round(1000 * duration_ps / timestep_fs), 10
    times, energies = [], []
    for step in range(0, steps, every):
        verlet.run(every)
        times.append((step + every) * timestep_fs / 1000)
        energies.append(1000 * atoms.get_total_energy() / len(atoms))
        say(f"constant energy {formula} {temperature_K:g} K", step + every, steps)
    slope, offset = np.polyfit(times, energies, 1)
    spread = float(np.std(np.array(energies) - slope * np.array(times) - offset))
    return EnergyDrift(formula, temperature_K, duration_ps, timestep_fs, seed, float(slope) * duration_ps, spread)


def _started(
    calculator: Any,
    formula: str,
    temperature_K: float,
    seed: int,
    density_g_cm3: float,
    n_atoms: int,
    timestep_fs: float,
) -> tuple[Atoms, Langevin]:
    """Return a relaxed packing with momenta, and a thermostat for it."""
    composition = Composition.parse(formula)
    rng = np.random.default_rng([seed, round(temperature_K)])
    count = composition.nearest_atom_number(n_atoms)
    atoms = pack(composition, count, density_g_cm3=density_g_cm3, seed=seed)
    atoms.calc = calculator
    FIRE(atoms, logfile=None, maxstep=0.1).run(fmax=0.2, steps=300)
    thermalize_momenta(atoms, temperature_K=temperature_K, rng=rng)
    step = timestep_fs * units.fs
    return atoms, Langevin(atoms, step, temperature_K=temperature_K, friction=0.01 / units.fs, fixcm=False, rng=rng)
