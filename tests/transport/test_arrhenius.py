"""Arrhenius: exact recovery, errors that hold after extrapolation, and points that are no numbers."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from walks import charged_walk

from mlsim.curve import Estimate
from mlsim.errors import DataError, NotConverged
from mlsim.io.results import QuantityRow
from mlsim.transport.arrhenius import ONE_SIGMA, arrhenius
from mlsim.transport.conductivity import conductivity_nernst_einstein
from mlsim.transport.diffusion import Diffusion, diffusivity
from mlsim.transport.over_glasses import error_over_glasses

K = 8.617333262e-5


def line(temperature_K, energy_eV=0.3, prefactor=2e-3):
    return prefactor * math.exp(-energy_eV / (K * temperature_K))


def points(temperatures, relative=0.1, n=3):
    return [(t, Estimate(line(t), relative * line(t), n, "cm2/s")) for t in temperatures]


def test_an_exact_line_is_recovered():
    fit = arrhenius(points([450, 600, 700, 800]))
    assert fit.activation_energy.value == pytest.approx(0.3, rel=1e-10)
    assert fit.prefactor.value == pytest.approx(2e-3, rel=1e-10)
    assert fit.diffusivity_at(298).value == pytest.approx(line(298), rel=1e-10)
    assert fit.error_scale == 1.0
    assert fit.flags == ()
    assert fit.activation_energy.n_independent == 3


def test_errors_are_those_of_the_textbook_line():
    temperatures = np.array([500.0, 600.0, 800.0])
    beta = 1 / (K * temperatures)
    s = math.sqrt(math.log1p(0.1**2))
    design = np.stack([np.ones(3), -beta], axis=1)
    covariance = np.linalg.inv(design.T @ design) * s**2
    fit = arrhenius(points(temperatures))
    assert fit.activation_energy.standard_error == pytest.approx(math.sqrt(covariance[1, 1]), rel=0.02)
    room = np.array([1.0, -1 / (K * 298)])
    ln_error = math.sqrt(room @ covariance @ room)
    interval = fit.diffusivity_interval(298, 0.95)
    assert math.log(interval.high / line(298)) == pytest.approx(1.96 * ln_error, rel=0.03)
    assert math.log(line(298) / interval.low) == pytest.approx(1.96 * ln_error, rel=0.03)
    assert fit.diffusivity_at(298).standard_error == pytest.approx(line(298) * math.sinh(ln_error), rel=0.03)


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    temperatures, relative = (600, 700, 800, 900), 0.15
    truth = math.log(line(298))
    z, inside = [], {0.68: 0, 0.95: 0}
    for seed in range(400):
        noisy = [
            (t, Estimate(d, relative * d, 3, "cm2/s"))
            for t in temperatures
            for d in [line(t) * math.exp(relative * rng.normal())]
        ]
        fit = arrhenius(noisy, seed=seed)
        room = fit.diffusivity_interval(298, 0.68)
        z.append((math.log(fit.diffusivity_at(298).value) - truth) / (math.log(room.high / room.low) / 2 / 0.9945))
        for level in inside:
            interval = fit.diffusivity_interval(298, level)
            inside[level] += interval.low <= line(298) <= interval.high
    assert 0.8 < np.sqrt(np.mean(np.square(z))) < 1.1
    assert 0.64 < inside[0.68] / 400 < 0.82  # errors are enlarged, never shrunk, by the scatter about the line
    assert inside[0.95] / 400 > 0.93


def test_the_extrapolated_error_is_skewed_and_large():
    fit = arrhenius(points([700, 800, 900], relative=0.3))
    interval = fit.diffusivity_interval(298)
    value = fit.diffusivity_at(298).value
    assert interval.high / value == pytest.approx(value / interval.low, rel=1e-2)
    assert interval.high - value > 10 * (value - interval.low)


def test_conductivity_follows_the_diffusivity():
    fit = arrhenius(points([500, 600, 700]))
    sigma = fit.conductivity_at(298, 0.013)
    assert sigma.unit == "mS/cm"
    assert sigma.value == pytest.approx(conductivity_nernst_einstein(line(298), 298, 0.013))
    low, high = (
        conductivity_nernst_einstein(d, 298, 0.013)
        for d in (fit.diffusivity_interval(298, 0.68).low, fit.diffusivity_interval(298, 0.68).high)
    )
    interval = fit.conductivity_interval(298, 0.013, level=0.68)
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert sigma.standard_error == pytest.approx((high - low) / 2, rel=0.01)


def test_precise_points_count_more():
    spoiled = [*points([500, 600, 700], 0.01), (800, Estimate(5 * line(800), 20 * line(800), 3, "cm2/s"))]
    assert arrhenius(spoiled).activation_energy.value == pytest.approx(0.3, abs=0.02)


def test_points_that_scatter_more_than_their_errors_enlarge_them():
    bent = [(t, Estimate(line(t) * f, 0.01 * line(t), 3, "cm2/s")) for t, f in ((500, 1), (600, 1.4), (700, 1))]
    fit = arrhenius(bent)
    assert fit.error_scale > 5
    assert len(fit.flags) == 1
    said = rf"points scatter \d+\.\d times as much as their errors say; errors enlarged {fit.error_scale:.1f} times"
    assert re.fullmatch(said, fit.flags[0])
    assert (
        fit.activation_energy.standard_error
        > 5 * arrhenius(points([500, 600, 700], 0.01)).activation_energy.standard_error
    )


def test_the_order_of_points_does_not_matter_and_the_seed_repeats():
    one, other = arrhenius(points([500, 600, 700])), arrhenius(points([700, 500, 600]))
    assert one.activation_energy == other.activation_energy
    assert one.diffusivity_interval(298) == other.diffusivity_interval(298)


def test_points_without_errors_get_the_scatter_about_the_line():
    bare = [
        (t, Estimate(line(t) * f, None, 1, "cm2/s")) for t, f in ((500, 1.05), (600, 0.95), (700, 0.97), (800, 1.03))
    ]
    fit = arrhenius(bare)
    assert fit.activation_energy.standard_error == pytest.approx(0.007, rel=0.7)
    exact = arrhenius([(t, Estimate(line(t), None, 1, "cm2/s")) for t in (500, 600, 700)])
    assert exact.activation_energy.standard_error == pytest.approx(0.0, abs=1e-10)


def walks_at(temperature_K, diffusivity_A2_ps):
    return diffusivity(
        [charged_walk(np.random.default_rng(int(temperature_K)), 300, 20, diffusivity_A2_ps)],
        "Li",
        temperature_K=temperature_K,
    )


def test_upper_bounds_are_left_out_and_named():
    diffusions = [walks_at(500, 1e-4), walks_at(600, 0.05), walks_at(700, 0.1), walks_at(800, 0.2)]
    fit = arrhenius(diffusions)
    assert list(fit.temperatures_K) == [600, 700, 800]
    assert any(f.startswith("500 K left out: not diffusive: MSD is 0.") for f in fit.flags)


def test_a_line_above_an_upper_bound_is_flagged():
    diffusions = [walks_at(650, 1e-4), walks_at(600, 0.05), walks_at(700, 0.1), walks_at(800, 0.2)]
    assert any(f.startswith("the line passes above the upper bound at 650 K") for f in arrhenius(diffusions).flags)


def test_two_temperatures_are_flagged_and_one_is_refused():
    fit = arrhenius(points([600, 700]))
    assert fit.flags == ("only 2 diffusive temperatures: nothing tests that the line is straight",)
    with pytest.raises(NotConverged) as caught:
        arrhenius([walks_at(500, 1e-4), walks_at(600, 0.05)])
    text = str(caught.value)
    assert text.startswith("arrhenius: 1 diffusive temperatures, at least 2 needed, better 3 or more (500 K left out: ")
    assert "\n" not in text


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            [*points([500, 600]), (700, Estimate(line(700), None, 1, "cm2/s"))],
            DataError,
            "arrhenius: 1 of 3 points have no standard error; give all or none",
        ),
        (
            [(500, Estimate(-1e-8, 1e-9, 1, "cm2/s")), *points([600, 700])],
            DataError,
            "arrhenius: temperatures and diffusivities must be positive numbers",
        ),
        (
            [(t, Estimate(line(t), None, 1, "cm2/s")) for t in (500, 600)],
            NotConverged,
            "arrhenius: 2 points without errors give no error; give errors or a third temperature",
        ),
        ([], NotConverged, "arrhenius: 0 diffusive temperatures, at least 2 needed, better 3 or more"),
    ],
)
def test_bad_points_give_one_clear_line(given, error, message):
    with pytest.raises(error) as caught:
        arrhenius(given)
    assert str(caught.value) == message


def test_a_falling_diffusivity_is_flagged():
    rising = [(t, Estimate(d, 0.05 * d, 3, "cm2/s")) for t, d in ((500, 3e-6), (600, 2e-6), (700, 1e-6))]
    assert any("is not positive" in f for f in arrhenius(rising).flags)


def diffusions(rng, between, temperatures=(450, 500, 550, 600), n=6, within=0.1):
    """Diffusivities of glasses, each faster or slower than the mean by one factor at all temperatures."""
    own = np.exp(rng.normal(0, between, n)) if between else np.ones(n)
    found = []
    for t in temperatures:
        values = line(t) * own * np.exp(rng.normal(0, within, n))
        spread = error_over_glasses(values, within * values)
        estimate = Estimate(float(values.mean()), spread, n, "cm2/s")
        found.append(
            Diffusion("Li", t, estimate, True, None, None, "", tuple(values), tuple(within * values), None, (), 1e4)
        )
    return found


def test_glasses_that_differ_at_all_temperatures_alike_leave_the_slope_sure():
    unlike = diffusions(np.random.default_rng(0), between=0.5)
    fit = arrhenius(unlike)
    assert fit.source == "points and glasses"
    alone = arrhenius([(p.temperature_K, p.diffusivity) for p in unlike])
    assert alone.source == "points"
    assert fit.activation_energy.standard_error < 0.8 * alone.activation_energy.standard_error
    wide, narrow = (f.diffusivity_interval(525, 0.68) for f in (fit, alone))
    assert math.log(wide.high / wide.low) > 1.5 * math.log(narrow.high / narrow.low)  # all temperatures off together


@pytest.mark.parametrize("between", [0.0, 0.15])
def test_errors_over_four_glasses_hold(between):
    rng = np.random.default_rng(5)
    z_energy, z_room = [], []
    for seed in range(70):
        fit = arrhenius(diffusions(rng, between, (500, 550, 600, 650), n=4, within=0.03), seed=seed)
        room = fit.diffusivity_interval(298, 0.6827)
        z_energy.append((fit.activation_energy.value - 0.3) / fit.activation_energy.standard_error)
        centre = math.log(fit.diffusivity_at(298).value) - between**2 / 2
        z_room.append((centre - math.log(line(298))) / (math.log(room.high / room.low) / 2))
    for z in (z_energy, z_room):
        assert 0.65 < np.sqrt(np.mean(np.square(z))) < 1.3


def test_errors_over_glasses_hold():
    rng = np.random.default_rng(4)
    z_energy, z_room = [], []
    for seed in range(150):
        fit = arrhenius(diffusions(rng, between=0.4, n=12), seed=seed)
        room = fit.diffusivity_interval(298, 0.6827)
        z_energy.append((fit.activation_energy.value - 0.3) / fit.activation_energy.standard_error)
        centre = math.log(fit.diffusivity_at(298).value)
        # the mean of a skewed spread lies above the typical glass by half its variance
        z_room.append((centre - 0.4**2 / 2 - math.log(line(298))) / (math.log(room.high / room.low) / 2))
    for z in (z_energy, z_room):
        assert 0.75 < np.sqrt(np.mean(np.square(z))) < 1.3


def test_temperatures_above_the_glass_transition_are_left_out_and_named():
    fit = arrhenius(points([450, 500, 550, 700]), glass_transition_K=600.0)
    assert list(fit.temperatures_K) == [450, 500, 550]
    assert fit.flags == ("700 K left out: above the glass transition at 600 K",)


def test_temperatures_left_out_for_another_reason_are_named_with_it():
    fit = arrhenius(points([450, 500, 550, 700]), left_out={700.0: "Cl diffuses as well", 900.0: "not there"})
    assert list(fit.temperatures_K) == [450, 500, 550]
    assert fit.flags == ("700 K left out: Cl diffuses as well",)


def test_points_whose_displacement_is_not_proportional_to_time_are_named():
    rng = np.random.default_rng(5)
    linear = diffusivity([charged_walk(rng, 2000, 20, 0.2, hop_A=2.5)], "Li")
    slow = replace(linear.window, log_slope=0.81)
    kelvin = (600.0, 700.0, 800.0)
    given = [replace(linear, temperature_K=t, window=slow if t < 750 else linear.window) for t in kelvin]
    assert not slow.proportional and linear.window.proportional
    said = [flag for flag in arrhenius(given).flags if "proportional" in flag]
    assert len(said) == 1 and "at 600 K (t^0.81), 700 K (t^0.81): a constant offset" in said[0]
    assert not [f for f in arrhenius([replace(d, window=linear.window) for d in given]).flags if "proportional" in f]
    assert "Ea too low and the conductivity at 298 K too high" in said[0]
    hot = [replace(linear, temperature_K=t, window=linear.window if t < 750 else slow) for t in kelvin]
    assert any("Ea too high and the conductivity at 298 K too low" in flag for flag in arrhenius(hot).flags)
    fast = replace(linear.window, log_slope=1.15)
    flags = arrhenius([replace(linear, temperature_K=t, window=fast) for t in kelvin]).flags
    assert [flag for flag in flags if "grows faster than time at 600 K (t^1.15)" in flag and "Ea" not in flag]
    off_line = arrhenius(given, left_out={600.0: "said so"})
    assert any("at 700 K (t^0.81): a constant" in flag for flag in off_line.flags)


def test_a_bent_line_is_found_and_a_straight_one_is_not_bent():
    kelvin = [350.0, 400.0, 450.0, 500.0, 600.0]
    bent = [(t, Estimate(d, 0.02 * d, 4, "cm2/s")) for t in kelvin for d in [math.exp(-0.08 / (K * (t - 200.0)))]]
    fit = arrhenius(bent)
    assert fit.vogel.probability > 0.99
    assert fit.vogel.t0_K == pytest.approx(200, abs=15)
    assert any(flag.startswith("ln D bends: Vogel-Fulcher-Tammann with T0 = ") for flag in fit.flags)
    interval = fit.diffusivity_interval(298, 0.95)
    assert interval.low < math.exp(-0.08 / (K * 98)) < interval.high
    straight = arrhenius(points(kelvin, 0.02))
    assert straight.vogel.probability < 0.1
    assert arrhenius(points([500, 600, 700])).vogel is None


@pytest.mark.parametrize(("t0_K", "error"), [(0, 0.05), (150, 0.05), (200, 0.1), (200, 0.05), (250, 0.05)])
def test_the_error_of_an_extrapolation_covers_its_interval_where_curves_bend(t0_K: float, error: float) -> None:
    kelvin = (500.0, 600.0, 700.0, 800.0, 1000.0)
    d = [1e-3 * math.exp(-0.15 / (K * (t - t0_K))) for t in kelvin]
    fit = arrhenius([(t, Estimate(x, error * x, 4, "cm2/s")) for t, x in zip(kelvin, d, strict=True)])
    row = QuantityRow("conductivity_298K_mS_cm", fit.conductivity_at(298.0, 0.02), "line")
    interval, found = fit.conductivity_interval(298.0, 0.02, level=ONE_SIGMA), row.interval_68
    assert found is not None
    assert found[0] <= interval.low * 1.001 and found[1] >= interval.high * 0.999
    if t0_K == 0:  # straight: no wider than it has to be
        assert math.log(found[1] / found[0]) < 1.2 * math.log(interval.high / interval.low)
