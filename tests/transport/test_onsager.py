"""Conductivity of all ions: its parts add up, frames do not matter, and walks give back their own."""

from __future__ import annotations

import numpy as np
import pytest
from walks import CELL

from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.conductivity import conductivity_nernst_einstein
from mlsim.transport.fit_window import FitWindow
from mlsim.transport.onsager import ionic_conductivity

WINDOW = FitWindow(5.0, 20.0, 1.0, 3.0)
CHARGES = {"Li": 1.0, "Cl": -1.0}


def salt(rng, n=16, n_frames=400, d_li=0.05, d_cl=0.0, pair=0.0, drift=0.0):
    """Li and Cl with independent steps and, for `pair`, steps that the i-th Li and the i-th Cl take together."""
    own = [rng.normal(0, np.sqrt(2 * d), (n_frames, n, 3)) for d in (d_li, d_cl)]
    shared = rng.normal(0, np.sqrt(2 * pair), (n_frames, n, 3))
    steps = np.concatenate([own[0] + shared, own[1] + shared], axis=1) + rng.normal(0, drift, (n_frames, 1, 3))
    return Trajectory(np.cumsum(steps, axis=0), CELL, ("Li",) * n + ("Cl",) * n, 1.0, 600.0)


def test_the_parts_add_up_and_the_frame_does_not_matter():
    rng = np.random.default_rng(0)
    one = salt(rng, pair=0.02, d_cl=0.03)
    found = ionic_conductivity([one], CHARGES, WINDOW, temperature_K=600.0)
    assert sum(e.value for e in found.pairs.values()) == pytest.approx(found.total.value)
    assert sum(found.transference.values()) == pytest.approx(1.0)
    shift = np.cumsum(rng.normal(0, 0.3, (one.n_frames, 1, 3)), axis=0)
    moved = Trajectory(one.positions + shift, CELL, one.elements, 1.0, 600.0)
    again = ionic_conductivity([moved], CHARGES, WINDOW, temperature_K=600.0)
    assert again.total.value == pytest.approx(found.total.value, rel=1e-9)


def test_pairs_that_move_together_carry_no_current():
    rng = np.random.default_rng(1)
    runs = [salt(rng, d_li=0.0, d_cl=0.0, pair=0.05) for _ in range(4)]
    found = ionic_conductivity(runs, CHARGES, WINDOW, temperature_K=600.0)
    assert found.total.value == pytest.approx(0.0, abs=1e-9 * found.pairs["Li", "Li"].value)
    assert found.pairs["Cl", "Li"].value == pytest.approx(-2 * found.pairs["Li", "Li"].value)


@pytest.mark.parametrize("n_glasses", [1, 3])
def test_the_error_of_the_total_holds(n_glasses):
    rng = np.random.default_rng(2)
    truth = sum(conductivity_nernst_einstein(d * 1e-4, 600.0, 16 / 8000) for d in (0.05, 0.02))
    z, values = [], []
    for _ in range(60):
        runs = [salt(rng, d_cl=0.02) for _ in range(n_glasses)]
        total = ionic_conductivity(runs, CHARGES, WINDOW, temperature_K=600.0).total
        values.append(total.value)
        z.append((total.value - truth) / total.standard_error)
    assert np.mean(values) == pytest.approx(truth, abs=4 * np.std(values) / np.sqrt(60))
    least = 0.7 if n_glasses == 1 else 0.3  # three runs that are alike cannot be known to be
    assert least < np.median(np.abs(z)) / 0.674 < 1.4


def test_charges_that_do_not_fit_are_refused():
    run = salt(np.random.default_rng(3))
    for charges, message in (
        ({"Li": 1.0}, "ionic conductivity: no charge for Cl; give one for every element"),
        ({"Li": 1.0, "Cl": -2.0}, "ionic conductivity: the cell has a net charge of -16 e, expected none; check"),
    ):
        with pytest.raises(DataError, match=message):
            ionic_conductivity([run], charges, WINDOW, temperature_K=600.0)
    with pytest.raises(DataError, match="no trajectories given"):
        ionic_conductivity([], CHARGES, WINDOW, temperature_K=600.0)
