"""Equilibration: what is cut, what is left, and whether ions slow down."""

from __future__ import annotations

import numpy as np
import pytest
from walks import CELL, charged_walk

from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.diffusion import diffusivity
from mlsim.transport.equilibration import (
    ageing,
    equilibrated,
    equilibration_frame,
    has_settled,
    settling_share,
    statistical_inefficiency,
)


def autoregressive(rng, n, memory):
    noise = rng.normal(size=n)
    series = np.empty(n)
    series[0] = noise[0]
    for i in range(1, n):
        series[i] = memory * series[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return series


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_inefficiency_of_an_autoregressive_series_is_that_of_theory(memory):
    rng = np.random.default_rng(0)
    found = [statistical_inefficiency(autoregressive(rng, 4000, memory)) for _ in range(20)]
    assert np.mean(found) == pytest.approx(
        (1 + memory) / (1 - memory), rel=0.25
    )  # its own noise is summed up to the first zero


def test_a_decay_is_cut_and_a_stationary_series_is_not():
    rng = np.random.default_rng(1)
    noise = autoregressive(rng, 2000, 0.8)
    decay = 15 * np.exp(-np.arange(2000) / 60)
    assert 100 <= equilibration_frame(noise + decay) <= 500
    cuts = [equilibration_frame(autoregressive(rng, 2000, 0.8)) for _ in range(20)]
    assert np.median(cuts) <= 250


def with_energy(energy):
    return Trajectory(np.zeros((len(energy), 1, 3)), CELL, ("Li",), 0.5, 700.0, energy)


def test_what_was_cut_is_said():
    noise = np.random.default_rng(2).normal(size=1000)
    noise[:200] += 20
    cut, said = equilibrated(with_energy(noise))
    assert cut.n_frames == len(cut.potential_energy_eV) <= 800
    assert said == f"the first {0.5 * (1000 - cut.n_frames):.3g} ps cut, where the potential energy settles"
    bare = Trajectory(np.zeros((9, 1, 3)), CELL, ("Li",), 0.5)
    assert equilibrated(bare) == (bare, "equilibration not tested: the trajectory carries no energies")
    with pytest.raises(DataError, match="equilibration: series of shape"):
        equilibration_frame(np.array([1.0, np.nan]))


def test_an_energy_that_drifts_to_the_end_has_not_settled():
    rng = np.random.default_rng(7)
    drift = np.arange(1001) / 1001
    for size in (1.0, 3.0, 10.0):  # over the scatter
        shares = [settling_share(with_energy(rng.normal(size=1001) + size * drift)) for _ in range(40)]
        assert np.mean([not has_settled(share) for share in shares]) > 0.8
    steady = [settling_share(with_energy(autoregressive(rng, 1001, 0.98))) for _ in range(100)]
    assert np.mean([not has_settled(share) for share in steady]) < 0.12  # 4 % are expected: within four errors
    assert settling_share(Trajectory(np.zeros((9, 1, 3)), CELL, ("Li",), 0.5)) is None


def test_ions_that_slow_down_are_seen_and_steady_ones_are_not():
    rng = np.random.default_rng(3)
    steady, slowing = [], []
    for _ in range(20):
        fast, slow = (charged_walk(rng, 400, 36, d, cage_A=0.0).positions for d in (0.06, 0.03))
        joined = np.concatenate([fast, fast[-1] + slow])
        slowing.append(ageing([t := Trajectory(joined, CELL, ("Li",) * 36, 1.0, 700.0)], diffusivity([t], "Li")))
        t = charged_walk(rng, 800, 36, 0.04)
        steady.append(ageing([t], diffusivity([t], "Li")))
    assert np.mean([e.value for e in slowing]) == pytest.approx(0.5, abs=0.06)
    z = [(e.value - 1) / e.standard_error for e in steady]
    assert np.sqrt(np.mean(np.square(z))) < 1.5
    still = charged_walk(rng, 100, 36, 1e-6)
    assert ageing([still], diffusivity([still], "Li")) is None
