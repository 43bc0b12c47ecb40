"""Glass transition: kinks that are known, none where there is none, and logs that hold no quench."""

from __future__ import annotations

import numpy as np
import pytest

from mlsim.curve import estimate_over
from mlsim.errors import DataError, NotConverged
from mlsim.melt_quench import ThermoLog, glass_transition, quench_curve


def quench_log(rng, tg=800.0, kink=0.5, step=0.0, noise=1.0, rows=4000):
    """A melt that cools from a hot start, a ramp in two parts with a jump between them, and a hold."""
    time = np.arange(rows + 500) * 0.05
    kelvin = np.concatenate([np.full(250, 1500.0), np.linspace(1500, 300, rows), np.full(250, 300.0)])
    segment = np.repeat([0, 1, 2, 3], [250, rows * 3 // 4, rows - rows * 3 // 4, 250])
    energy = kelvin + kink * np.maximum(kelvin - tg, 0) + step * (segment >= 2) + rng.normal(0, 20 * noise, len(time))
    shown = kelvin * (1 + rng.normal(0, 0.05, len(time)))
    shown[:100] += 800
    return ThermoLog(time, shown, energy, 0 * time, 10 * energy, segment)


def test_known_kinks_come_back_with_an_error_that_holds():
    rng = np.random.default_rng(0)
    found = [glass_transition([quench_log(rng, step=40.0) for _ in range(4)], 1) for _ in range(12)]
    values = np.array([g.temperature.value for g in found])
    assert values.mean() == pytest.approx(800, abs=4 * values.std() / np.sqrt(12) + 2)
    z = (values - 800) / np.array([g.temperature.standard_error for g in found])
    assert np.median(np.abs(z)) < 1.5
    assert found[0].temperature == estimate_over(found[0].per_glass_K, "K")
    assert all(f.shape == t.shape for f, t in zip(found[0].fitted, found[0].temperature_K, strict=True))


def test_volume_and_energy_are_told_apart():
    log = quench_log(np.random.default_rng(1))
    volume = glass_transition([log], 10, kind="volume")
    energy = glass_transition([log], 10, kind="energy")
    assert volume.temperature.value == pytest.approx(energy.temperature.value)  # ten times the same curve
    np.testing.assert_allclose(volume.values[0], 10 * energy.values[0])


def test_a_straight_line_has_no_glass_transition():
    log = quench_log(np.random.default_rng(2), kink=0.0)
    with pytest.raises(NotConverged) as caught:
        glass_transition([log, log], 1)
    assert str(caught.value) == "glass transition: no kink of the energy in 2 quenches; quench slower or longer"


def test_a_log_without_quench_is_refused():
    time = np.arange(100) * 0.1
    hold = ThermoLog(time, 300 + 0 * time, time, time, time, 0 * time)
    with pytest.raises(DataError) as caught:
        glass_transition([hold], 1)
    assert str(caught.value) == (
        "glass transition: the log holds a quench of 0 steps of 10 K, at least 12 needed; "
        "give the thermo.csv of a quench"
    )
    with pytest.raises(DataError, match="no quenches given"):
        glass_transition([], 1)


def test_how_many_glasses_show_a_kink_is_said():
    rng = np.random.default_rng(3)
    bent, straight = quench_log(rng), [quench_log(rng, kink=0.0) for _ in range(3)]
    one = glass_transition([bent, *straight], 1)
    assert (one.n_kinks, one.n_glasses, one.temperature.n_independent) == (1, 4, 1)
    assert one.method == "kink of the energy along the quench, in 1 of 4 glasses"
    assert one.caution == (
        f"glass transition by the energy: {one.temperature.value:.0f} K rests on the 1 of 4 glasses that show a kink"
    )
    all_of_them = glass_transition([bent, bent], 1)
    assert all_of_them.method.endswith("in 2 of 2 glasses") and all_of_them.caution == ""


def test_a_kink_of_the_volume_at_a_change_of_pressure_is_distrusted():
    rng = np.random.default_rng(5)
    near, far = quench_log(rng, tg=610.0), quench_log(rng)  # the second part of the ramp begins at 600 K
    curve = quench_curve(near, 1, kind="volume")
    assert curve.borders_K == pytest.approx((600.0,), abs=5) and curve.kink_at_border
    found = glass_transition([near, far, far], 1, kind="volume")
    assert found.n_at_border == 1 and "1 of 3 lie within 30 K" in found.caution
    assert glass_transition([near, far, far], 1).caution == ""  # the energy hardly sees the pressure


def test_the_curve_of_one_glass_is_the_one_that_the_transition_is_read_from():
    rng = np.random.default_rng(4)
    logs = [quench_log(rng), quench_log(rng, kink=0.0)]
    found = glass_transition(logs, 1)
    for log, kelvin, fitted, kink in zip(logs, found.temperature_K, found.fitted, found.per_glass_K, strict=True):
        curve = quench_curve(log, 1)
        np.testing.assert_array_equal(curve.temperature_K, kelvin)
        np.testing.assert_array_equal(curve.fitted, fitted)
        np.testing.assert_equal(curve.kink_K, kink)
        assert kelvin.max() <= 1505  # of the ramp: the cell's own temperature scatters by 5 % about it
