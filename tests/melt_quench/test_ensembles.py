"""Integrators sample their ensembles: answers known from statistical mechanics."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from toys import Piston, Springs

from mlsim.melt_quench import Schedule, Segment, guards, run_schedule
from mlsim.units import BOLTZMANN_EV_PER_K, EV_PER_A3_PER_GPA

T = 300.0
KT = BOLTZMANN_EV_PER_K * T
P_GPA = 0.05
P = P_GPA * EV_PER_A3_PER_GPA


@pytest.fixture
def no_guards(monkeypatch):
    monkeypatch.setattr(guards, "VOLUME_RANGE", (0.0, np.inf))
    monkeypatch.setattr(guards, "OVERLAP_EVERY", 10**9)
    monkeypatch.setattr(guards, "OVERLAP_SCALE", 0.01)


def volumes(n, thermostat, calculator, duration_ps, start_volume, directory, *, barostat_time_ps):
    edge = start_volume ** (1 / 3)
    points = np.random.default_rng(0).random((n, 3)) * edge
    atoms = Atoms(f"Ar{n}", positions=points, cell=[edge] * 3, pbc=True)
    segment = Segment(
        kind="hold",
        ensemble="npt",
        temperature_K=T,
        pressure_GPa=P_GPA,
        duration_ps=duration_ps,
        thermostat=thermostat,
        thermostat_time_ps=0.05,
        barostat_time_ps=barostat_time_ps,
    )
    schedule = Schedule(timestep_fs=5, log_interval_ps=0.02, segments=(segment,))
    glass = run_schedule(atoms, schedule, calculator, directory=directory, seed=3, potential_sha256="toy")
    log = glass.log.volume_A3
    return log[len(log) // 10 :]


def mean_and_error(series, n_blocks=20):
    blocks = series[: len(series) // n_blocks * n_blocks].reshape(n_blocks, -1).mean(axis=1)
    return series.mean(), blocks.std(ddof=1) / np.sqrt(n_blocks)


def test_ideal_gas_under_the_langevin_piston_has_volume_N_plus_1_kT_over_P(no_guards, tmp_path):
    n = 8
    expected = (n + 1) * KT / P
    sample = volumes(n, "langevin", Piston(), 50, expected, tmp_path, barostat_time_ps=0.06)
    mean, error = mean_and_error(sample)
    assert error < 0.03 * expected
    assert abs(mean - expected) < 4 * error
    assert sample.std() == pytest.approx(expected / np.sqrt(n + 1), rel=0.15)


def test_ideal_gas_under_martyna_tobias_klein_has_volume_N_minus_1_times_N_plus_1_over_N_kT_over_P(no_guards, tmp_path):
    """Centre of mass at rest, but ASE's piston counts 3 N modes: exact is N kT/P, a part 1/N² of it is missing."""
    n = 8
    expected = (n - 1) * (n + 1) / n * KT / P
    sample = volumes(n, "nose_hoover", Piston(), 30, expected, tmp_path, barostat_time_ps=0.1)
    mean, error = mean_and_error(sample)
    assert error < 0.03 * expected
    assert abs(mean - expected) < 4 * error


def test_volume_of_a_stiff_cell_follows_its_boltzmann_distribution(no_guards, tmp_path):
    """Weight V^N exp(−[P V + B V0 (V/V0 − 1)²/2]/kT), integrated numerically: checks the sign and scale of stress."""
    n, modulus = 8, 0.002
    v0 = 0.5 * (n + 1) * KT / P
    grid = np.linspace(0.01, 6, 20_000) * v0
    log_weight = n * np.log(grid) - (P * grid + 0.5 * modulus * v0 * (grid / v0 - 1) ** 2) / KT
    weight = np.exp(log_weight - log_weight.max())
    expected = (weight * grid).sum() / weight.sum()
    spread = np.sqrt((weight * grid**2).sum() / weight.sum() - expected**2)
    sample = volumes(n, "langevin", Piston(modulus, v0), 40, v0, tmp_path, barostat_time_ps=0.1)
    mean, error = mean_and_error(sample)
    assert error < 0.02 * expected
    assert abs(mean - expected) < 4 * error
    assert sample.std() == pytest.approx(spread, rel=0.1)


@pytest.mark.parametrize("thermostat", ["langevin", "nose_hoover"])
def test_harmonic_modes_hold_half_kT_each(thermostat, tmp_path):
    """Springs between neighbours: <U> = 3 (N − 1) kT / 2, and the kinetic temperature is the target's."""
    spacing, n_side = 3.0, 3
    points = np.stack(np.meshgrid(*[np.arange(n_side) * spacing] * 3, indexing="ij"), -1).reshape(-1, 3)
    atoms = Atoms(f"Ar{len(points)}", positions=points, cell=[n_side * spacing] * 3, pbc=True)
    segment = Segment(kind="hold", temperature_K=T, duration_ps=40, thermostat=thermostat, thermostat_time_ps=0.1)
    schedule = Schedule(timestep_fs=5, log_interval_ps=0.05, segments=(segment,))
    springs = Springs(atoms, spacing)
    log = run_schedule(atoms, schedule, springs, directory=tmp_path, seed=1, potential_sha256="toy").log
    for sample, expected in (
        (log.potential_energy_eV[80:], 1.5 * (len(atoms) - 1) * KT),
        (log.temperature_K[80:], T),
    ):
        mean, error = mean_and_error(sample)
        assert error < 0.02 * expected
        assert abs(mean - expected) < 4 * error + 0.002 * expected  # 2nd order in the time step


def test_temperature_follows_a_ramp_step_by_step(tmp_path):
    points = np.stack(np.meshgrid(*[np.arange(4) * 3.0] * 3, indexing="ij"), -1).reshape(-1, 3)
    atoms = Atoms(f"Ar{len(points)}", positions=points, cell=[12.0] * 3, pbc=True)
    ramp = Segment(kind="ramp", from_K=900, to_K=300, rate_K_per_ps=50, thermostat_time_ps=0.05)
    schedule = Schedule(timestep_fs=5, log_interval_ps=0.005, segments=(ramp,))
    log = run_schedule(atoms, schedule, Springs(atoms, 3.0), directory=tmp_path, seed=1, potential_sha256="toy").log
    target = 900 - 50 * log.time_ps
    ratio = (log.temperature_K / target).reshape(-1)[: len(target) // 12 * 12].reshape(12, -1).mean(axis=1)
    assert np.abs(ratio - 1).max() < 0.08
