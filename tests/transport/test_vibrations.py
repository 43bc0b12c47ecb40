"""Vibrations: oscillators of known frequency, by finite differences and by phonopy."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from walks import CELL

from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport import attempt_frequency, harmonic_vibrations, vibrations


def oscillators(rng, frequencies_THz, n=40, n_frames=4000, dt=0.008):
    time = np.arange(n_frames) * dt
    phase = rng.uniform(0, 2 * np.pi, (len(frequencies_THz), n, 3))
    paths = sum(
        np.cos(2 * np.pi * f * time[:, None, None] + p) / f for f, p in zip(frequencies_THz, phase, strict=True)
    )
    return Trajectory(paths, CELL, ("Li",) * n, dt, 300.0)


@pytest.mark.parametrize("frequency", [5.0, 12.0, 25.0])
def test_an_oscillator_shows_its_frequency(frequency):
    found = vibrations(oscillators(np.random.default_rng(0), [frequency]), "Li")
    assert found.frequency_THz[np.argmax(found.vdos)] == pytest.approx(frequency, abs=0.3)
    assert found.vdos.sum() * found.frequency_THz[1] == pytest.approx(1.0)
    assert attempt_frequency([found]).value == pytest.approx(frequency, abs=0.3)
    assert found.vacf[0] == 1.0


def test_finite_differences_do_not_change_the_weight_of_fast_and_slow_modes():
    # amplitudes 1/f: equal velocities, so equal weights, although differences damp the faster one by a third
    found = vibrations(oscillators(np.random.default_rng(1), [5.0, 25.0]), "Li")
    slow = found.vdos[found.frequency_THz < 15].sum()
    assert slow / found.vdos.sum() == pytest.approx(0.5, abs=0.02)


def test_what_cannot_show_vibrations_is_refused():
    rng = np.random.default_rng(2)
    coarse = oscillators(rng, [5.0], n=2, n_frames=100, dt=0.05)
    with pytest.raises(DataError) as caught:
        vibrations(coarse, "Li")
    assert str(caught.value) == (
        "vibrations: frames are 0.05 ps apart, expected at most 0.0125 ps; run a few ps of 'mlsim md' with "
        "--interval-ps 0.008"
    )
    # at 0.02 ps the spectrum would end at 17.5 THz and lose the half of O, without a word
    with pytest.raises(DataError, match=r"frames are 0.02 ps apart, expected at most 0.0125 ps"):
        vibrations(oscillators(rng, [5.0, 22.0], n=2, n_frames=400, dt=0.02), "Li")
    with pytest.raises(DataError, match=r"vibrations: 0.792 ps, expected at least 4 ps; run longer"):
        vibrations(oscillators(rng, [5.0], n=2, n_frames=100), "Li")


def test_phonons_of_copper_agree_with_its_dynamics():
    copper = bulk("Cu", cubic=True, a=3.59)
    harmonic = harmonic_vibrations(copper, EMT(), supercell=(2, 2, 2), mesh=(6, 6, 6))["Cu"]
    supercell = copper.repeat((2, 2, 2))
    supercell.calc = EMT()
    force = supercell.get_forces()
    assert abs(force).max() < 1e-8
    # the same crystal cooled to a small amplitude: mean square frequency from forces, <F · u> = −m <omega²> <u²>
    rng = np.random.default_rng(3)
    squares = []
    for _ in range(20):
        moved = supercell.copy()
        u = rng.normal(0, 0.005, (len(moved), 3))
        u -= u.mean(axis=0)
        moved.positions += u
        moved.calc = EMT()
        squares.append(-(moved.get_forces() * u).sum() / (63.546 * (u**2).sum()))
    thz = np.sqrt(np.mean(squares) * 9648.533) / (2 * np.pi)  # eV/(u Å²) in 1/ps²
    rms = np.sqrt((harmonic.frequency_THz**2 * harmonic.vdos).sum() * harmonic.frequency_THz[1])
    assert rms == pytest.approx(thz, rel=0.03)


def test_phonons_of_a_strained_molecule_are_refused():
    pair = Atoms("Cu2", [[0, 0, 0], [2.0, 0, 0]], cell=[10, 10, 10], pbc=True)
    with pytest.raises(DataError, match=r"phonons: largest force .* eV/Å, expected below 0.02; relax it"):
        harmonic_vibrations(pair, EMT())
