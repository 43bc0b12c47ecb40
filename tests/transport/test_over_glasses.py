"""Error over glasses: right over all that its prior holds likely, and in both limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlsim.transport.over_glasses import USUAL_SPREAD, error_over_glasses, variance_between


@pytest.mark.parametrize("n", [2, 3, 4, 8])
@pytest.mark.parametrize("within", [0.02, 0.1])
def test_the_mean_square_of_z_is_one_over_runs_that_are_alike_and_glasses_that_differ(n, within):
    rng = np.random.default_rng(n)
    draws = 3000
    differ = USUAL_SPREAD * np.abs(np.tan(math.pi * (rng.random(draws) - 0.5)))  # half-Cauchy
    differ = np.where(rng.random(draws) < 0.5, 0.0, np.clip(differ, 0.01, 3.0))
    z = []
    for tau in differ:
        values = 1 + rng.normal(0, tau, n) + rng.normal(0, within, n)
        z.append((values.mean() - 1) / error_over_glasses(values, np.full(n, within), scale=1.0))
    z = np.array(z)
    # the fewer the glasses, the longer the tails: more than 68 % within one error
    assert np.sqrt(np.mean(z**2)) == pytest.approx(1.0, abs=0.15)
    assert 0.64 < np.mean(np.abs(z) < 1) < 0.95


@pytest.mark.parametrize("within", [0.015, 0.1])
def test_four_glasses_that_differ_by_fifteen_percent_get_errors_that_hold(within):
    rng = np.random.default_rng(1)
    values = 1 + math.hypot(0.15, within) * rng.normal(size=(2000, 4))
    z = [(v.mean() - 1) / error_over_glasses(v, np.full(4, within)) for v in values]
    assert 0.8 < np.sqrt(np.mean(np.square(z))) < 1.25


def test_many_glasses_that_differ_have_the_error_of_their_spread_and_many_alike_that_of_their_own_errors():
    rng = np.random.default_rng(2)
    unlike = 1 + 0.3 * rng.normal(size=200)
    spread = unlike.std(ddof=1) / math.sqrt(200)
    assert error_over_glasses(unlike, np.full(200, 0.02)) == pytest.approx(spread, rel=0.03)
    alike = 1 + 0.02 * rng.normal(size=200)
    assert error_over_glasses(alike, np.full(200, 0.02)) == pytest.approx(0.02 / math.sqrt(200), rel=0.1)


def test_the_unit_does_not_matter_and_one_glass_has_its_own_error():
    values, errors = np.array([1.0, 1.3, 0.9]), np.array([0.1, 0.2, 0.1])
    assert error_over_glasses(1e-6 * values, 1e-6 * errors) == pytest.approx(1e-6 * error_over_glasses(values, errors))
    assert error_over_glasses(values[:1], errors[:1]) == pytest.approx(0.1)
    assert variance_between(values[:1], errors[:1]) == 0.0
    assert error_over_glasses(np.zeros(3), np.zeros(3)) == 0.0


def test_glasses_without_errors_of_their_own_have_the_error_of_their_spread():
    values = np.array([1.0, 1.1, 0.9, 1.05, 0.95, 1.0, 1.02, 0.97])
    found = error_over_glasses(values, np.zeros(8))
    assert values.std(ddof=1) / math.sqrt(8) < found < 1.25 * values.std(ddof=1) / math.sqrt(8)
