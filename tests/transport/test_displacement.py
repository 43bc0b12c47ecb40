"""Displacements: analytic walks, a naive double loop, cells that change, references."""

from __future__ import annotations

import numpy as np
import pytest

from mlsim.errors import DataError, SettingsError
from mlsim.geometry import unwrapped
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import charge_displacement, lag_grid, mean_squared_displacement

CELL = np.diag([20.0, 20.0, 20.0])
TRICLINIC = np.array([[18.0, 0.0, 0.0], [7.0, 16.0, 0.0], [-5.0, 4.0, 15.0]])


def walk(n_frames, n_ions, step=0.3, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(0, step, (n_frames, n_ions, 3)), axis=0)


def lithium(positions, cell=CELL, interval_ps=0.5):
    return Trajectory(positions, cell, ("Li",) * positions.shape[1], interval_ps)


def naive(positions, lag):
    """Mean over origins by two loops, shape (ion,)."""
    n_frames, n_ions, _ = positions.shape
    result = []
    for ion in range(n_ions):
        squares = [
            float(((positions[start + lag, ion] - positions[start, ion]) ** 2).sum()) for start in range(n_frames - lag)
        ]
        result.append(sum(squares) / len(squares))
    return np.array(result)


@pytest.mark.parametrize("n_frames", [4, 5, 16, 37, 64, 101])
def test_fft_equals_a_double_loop_over_time_origins(n_frames):
    positions = walk(n_frames, 3) + 1000.0  # far from the origin, where cancellation would show
    msd = mean_squared_displacement(lithium(positions), "Li")
    for k, lag in enumerate(msd.lag_frames):
        np.testing.assert_allclose(msd.per_walker_A2[:, k], naive(positions, lag), rtol=1e-9)


def test_ballistic_motion_gives_v_squared_t_squared():
    velocity = np.array([[1.0, 2.0, -2.0], [0.0, 3.0, 4.0]])  # 3 and 5 Å/ps
    time = 0.5 * np.arange(41)
    msd = mean_squared_displacement(lithium(time[:, None, None] * velocity), "Li")
    np.testing.assert_allclose(msd.per_walker_A2, np.outer([9.0, 25.0], msd.lag_ps**2), rtol=1e-10)
    np.testing.assert_allclose(msd.msd_A2, 17.0 * msd.lag_ps**2, rtol=1e-10)


def test_brownian_motion_gives_6_D_t():
    n_frames, n_ions, step = 2000, 100, 0.3  # D = step²/(2 dt) = 0.09 Å²/ps
    msd = mean_squared_displacement(lithium(walk(n_frames, n_ions, step)), "Li")
    short = msd.lag_frames <= 20
    expected = 6 * 0.09 * msd.lag_ps[short]
    sigma = expected * np.sqrt(4 * msd.lag_frames[short] / (9 * n_frames * n_ions))
    assert (abs(msd.msd_A2[short] - expected) < 5 * sigma).all()


def test_wrapping_and_unwrapping_in_a_triclinic_cell_changes_nothing():
    positions = walk(60, 4)
    folded = (positions @ np.linalg.inv(TRICLINIC) % 1.0) @ TRICLINIC
    assert abs(folded - positions).max() > 5
    direct = mean_squared_displacement(lithium(positions, TRICLINIC), "Li")
    followed = mean_squared_displacement(lithium(unwrapped(folded, TRICLINIC), TRICLINIC), "Li")
    np.testing.assert_allclose(followed.msd_A2, direct.msd_A2, rtol=1e-9)


def test_rotation_translation_and_permutation_change_nothing():
    positions = walk(50, 5)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))
    base = mean_squared_displacement(lithium(positions), "Li")
    moved = mean_squared_displacement(lithium(positions[:, ::-1] @ rotation + 7.0, CELL @ rotation), "Li")
    np.testing.assert_allclose(moved.msd_A2, base.msd_A2, rtol=1e-9)
    np.testing.assert_allclose(moved.per_walker_A2, base.per_walker_A2[::-1], rtol=1e-9)


def test_atoms_that_only_follow_a_breathing_cell_are_not_displaced():
    rng = np.random.default_rng(2)
    cells = TRICLINIC * (1 + 0.02 * rng.normal(size=40))[:, None, None]
    fractional = rng.uniform(-3, 3, (1, 6, 3))  # some are several cells away from the origin
    msd = mean_squared_displacement(lithium(fractional @ cells, cells), "Li")
    assert msd.msd_A2.max() < 1e-20


def test_diffusion_in_a_breathing_cell_is_that_at_the_mean_cell():
    rng = np.random.default_rng(3)
    scale = 1 + 0.02 * rng.normal(size=40)
    mean_cell = TRICLINIC * scale.mean()
    at_rest = walk(40, 6)
    breathing = Trajectory(
        at_rest @ np.linalg.inv(mean_cell) @ (TRICLINIC * scale[:, None, None]),
        TRICLINIC * scale[:, None, None],
        ("Li",) * 6,
        0.5,
    )
    found = mean_squared_displacement(breathing, "Li")
    np.testing.assert_allclose(found.msd_A2, mean_squared_displacement(lithium(at_rest), "Li").msd_A2, rtol=1e-9)


@pytest.mark.parametrize("drift", ["framework", "cell"])
def test_a_drift_of_everything_is_removed(drift):
    ions, frame = walk(80, 4), np.zeros((80, 5, 3))
    still = np.concatenate([ions, frame], axis=1)
    drifting = still + walk(80, 1, step=2.0, seed=9)
    elements = ("Li",) * 4 + ("Zr",) * 5
    expected = mean_squared_displacement(Trajectory(still, CELL, elements, 0.5), "Li", drift=drift)
    found = mean_squared_displacement(Trajectory(drifting, CELL, elements, 0.5), "Li", drift=drift)
    np.testing.assert_allclose(found.msd_A2, expected.msd_A2, rtol=1e-8)
    assert found.drift == drift


def test_the_reference_is_the_framework_where_there_is_one_and_is_recorded():
    positions = walk(20, 4)
    with_framework = Trajectory(positions, CELL, ("Li", "Li", "Zr", "Cl"), 0.5)
    assert mean_squared_displacement(with_framework, "Li").drift == "framework"
    assert mean_squared_displacement(lithium(positions), "Li").drift == "none"


def test_charge_of_one_ion_moves_like_the_ion():
    positions = walk(60, 1)
    tracer = mean_squared_displacement(lithium(positions), "Li")
    np.testing.assert_allclose(charge_displacement(lithium(positions), "Li").msd_A2, tracer.msd_A2, rtol=1e-9)


def test_charge_displacement_equals_the_sum_over_ions_by_hand():
    positions = walk(30, 4)
    trajectory = Trajectory(positions, CELL, ("Li", "Li", "Cl", "Zr"), 0.5)
    path = positions[:, :2].sum(axis=1) - 2.0 * positions[:, 2]
    found = charge_displacement(trajectory, {"Li": 1.0, "Cl": -2.0}, drift="none")
    expected = [naive(path[:, None], lag)[0] / 6.0 for lag in found.lag_frames]  # sum of z² = 1 + 1 + 4
    np.testing.assert_allclose(found.msd_A2, expected, rtol=1e-9)


def test_for_a_neutral_cell_the_reference_does_not_matter_to_the_charge():
    trajectory = Trajectory(walk(30, 4), CELL, ("Li", "Li", "Li", "Zr"), 0.5)
    charges = {"Li": 1.0, "Zr": -3.0}
    none = charge_displacement(trajectory, charges, drift="none")
    np.testing.assert_allclose(charge_displacement(trajectory, charges, drift="cell").msd_A2, none.msd_A2, rtol=1e-9)


def test_ions_that_move_together_carry_n_times_the_charge_displacement():
    positions = np.repeat(walk(40, 1), 5, axis=1)
    tracer = mean_squared_displacement(lithium(positions), "Li")
    np.testing.assert_allclose(charge_displacement(lithium(positions), "Li").msd_A2, 5 * tracer.msd_A2, rtol=1e-9)


def test_chunks_of_atoms_change_nothing(monkeypatch):
    trajectory = Trajectory(walk(33, 7), CELL, ("Li",) * 5 + ("Zr",) * 2, 0.5)
    whole = mean_squared_displacement(trajectory, "Li")
    monkeypatch.setattr("mlsim.transport.displacement._CHUNK_BYTES", 1.0)
    np.testing.assert_allclose(mean_squared_displacement(trajectory, "Li").msd_A2, whole.msd_A2, rtol=1e-10)


def test_input_is_not_changed():
    positions = walk(30, 3)
    kept = positions.copy()
    trajectory = Trajectory(positions, CELL, ("Li", "Li", "Zr"), 0.5)
    mean_squared_displacement(trajectory, "Li")
    charge_displacement(trajectory, "Li")
    np.testing.assert_array_equal(positions, kept)


def test_lags_are_those_asked_for():
    msd = mean_squared_displacement(lithium(walk(30, 2)), "Li", lags=np.array([0, 3, 7]))
    np.testing.assert_allclose(msd.lag_ps, [0.0, 1.5, 3.5])
    assert msd.msd_A2[0] == pytest.approx(0.0, abs=1e-12)


def test_lag_grid_is_every_lag_when_short_and_logarithmic_when_long():
    assert list(lag_grid(9)) == [1, 2, 3, 4]
    long = lag_grid(20000)
    assert long[0] == 1
    assert long[-1] == 9999
    assert len(long) <= 200
    assert (np.diff(long) > 0).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda t: mean_squared_displacement(t, "Na"), DataError, "trajectory: holds no Na; it has Li"),
        (
            lambda t: mean_squared_displacement(t, "Li", drift="framework"),
            DataError,
            "drift: the trajectory holds nothing but Li, so no framework; take 'cell' or 'none'",
        ),
        (
            lambda t: mean_squared_displacement(t, "Li", drift="frame"),
            SettingsError,
            "drift: unknown choice 'frame'; did you mean 'framework'?",
        ),
        (
            lambda t: mean_squared_displacement(t, "Li", lags=np.array([1, 20])),
            DataError,
            "mean squared displacement: lag of 20 frames in a trajectory of 20; take shorter lags",
        ),
        (
            lambda t: mean_squared_displacement(t.between(0, 3), "Li"),
            DataError,
            "mean squared displacement: 3 frames are too few, at least 4 needed",
        ),
        (
            lambda t: charge_displacement(t, {"Li": 0.0}),
            SettingsError,
            "charge displacement: expected a charge other than 0 for each element, got {'Li': 0.0}",
        ),
    ],
)
def test_bad_requests_give_one_clear_line(call, error, message):
    with pytest.raises(error) as caught:
        call(lithium(walk(20, 2)))
    assert str(caught.value) == message
