"""Conductivity against hand numbers, and the Haven ratio of walks that know theirs."""

from __future__ import annotations

import numpy as np
import pytest
from walks import CELL, charged_walk

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.conductivity import (
    carriers_per_A3,
    charge_diffusivity,
    conductivity,
    conductivity_nernst_einstein,
    haven_ratio,
)
from mlsim.transport.diffusion import diffusivities, diffusivity


def test_nernst_einstein_by_hand():
    # n = 0.013 / Å3 = 1.3e22 / cm3, D = 1e-8 cm2/s, T = 298.15 K, z = 1:
    # e² = (1.602177e-19 C)² = 2.566970e-38 C²;  k T = 1.380649e-23 x 298.15 = 4.116405e-21 J
    # sigma = 1.3e22 x 2.566970e-38 x 1e-8 / 4.116405e-21 = 8.10676e-4 S/cm = 0.810676 mS/cm
    assert conductivity_nernst_einstein(1e-8, 298.15, 0.013) == pytest.approx(0.810676, rel=1e-5)


def test_nernst_einstein_scales_with_charge_squared_density_and_inverse_temperature():
    base = conductivity_nernst_einstein(1e-7, 300.0, 0.01)
    assert conductivity_nernst_einstein(1e-7, 300.0, 0.01, charge=2) == pytest.approx(4 * base)
    assert conductivity_nernst_einstein(3e-7, 600.0, 0.02) == pytest.approx(3 * base)


def test_the_published_conductivity_needs_the_diffusivity_that_it_should():
    # 1.35 mS/cm at 298 K with 36 Li of a 114-atom cell of 2770 Å3: D = sigma kT / (n e²)
    # = 1.35e-3 x 4.114334e-21 / (1.299639e22 x 2.566970e-38) = 1.66490e-8 cm2/s
    assert conductivity_nernst_einstein(1.66490e-8, 298.0, 36 / 2770) == pytest.approx(1.35, rel=1e-4)


@pytest.mark.parametrize(("n_glasses", "seeds"), [(1, 150), (3, 80)])
def test_haven_ratio_and_collective_diffusivity_of_correlated_walkers(n_glasses, seeds):
    rng = np.random.default_rng(20 + n_glasses)
    together, ratios = [], []
    for _ in range(seeds):
        glasses = [charged_walk(rng, 400, 36, 0.05, haven=2 / 3) for _ in range(n_glasses)]
        tracer, charge = diffusivities(glasses, "Li")
        together.append(charge.diffusivity)
        ratios.append(haven_ratio(tracer, charge))
    for found, truth in ((together, 1.5 * 0.05e-4), (ratios, 2 / 3)):
        values = np.array([e.value for e in found])
        z = (values - truth) / np.array([e.standard_error for e in found])
        # three walks that are alike cannot be known to be: their errors hold the doubt
        assert (0.8 if n_glasses == 1 else 0.6) < np.sqrt(np.mean(z**2)) < 1.25
        assert abs(np.median(values) / truth - 1) < 0.06


def test_independent_ions_have_a_haven_ratio_of_one():
    rng = np.random.default_rng(3)
    ratio = haven_ratio(*diffusivities([charged_walk(rng, 2000, 20, 0.2, hop_A=2.5) for _ in range(4)], "Li"))
    assert abs(ratio.value - 1) < 3.5 * ratio.standard_error
    assert ratio.unit == "1"
    assert ratio.n_independent == 4


def test_haven_ratio_of_ions_that_do_not_diffuse_is_none():
    assert haven_ratio(*diffusivities([charged_walk(np.random.default_rng(0), 200, 10, 1e-6)], "Li")) is None


def test_both_diffusivities_at_once_are_those_one_by_one():
    glasses = [charged_walk(np.random.default_rng(1), 300, 20, 0.1)]
    tracer, charge = diffusivities(glasses, "Li")
    assert tracer.diffusivity == diffusivity(glasses, "Li").diffusivity
    assert charge.diffusivity == charge_diffusivity(glasses, "Li").diffusivity
    assert charge.label == "charge of Li"


def test_conductivity_carries_the_error_of_the_diffusivity():
    result = diffusivity([charged_walk(np.random.default_rng(1), 300, 20, 0.1)], "Li")
    sigma = conductivity(result, 0.013)
    assert sigma.unit == "mS/cm"
    assert sigma.value == pytest.approx(conductivity_nernst_einstein(result.diffusivity.value, 700.0, 0.013))
    relative = result.diffusivity.standard_error / result.diffusivity.value
    assert sigma.standard_error / sigma.value == pytest.approx(relative)
    bound = conductivity(diffusivity([charged_walk(np.random.default_rng(1), 300, 20, 1e-6)], "Li"), 0.013)
    assert isinstance(bound, Estimate)
    assert bound.standard_error is None


def test_carriers_are_counted_at_the_mean_volume():
    cells = np.stack([CELL * s for s in (0.9, 1.0, 1.1, 1.0)])
    trajectory = Trajectory(np.zeros((4, 3, 3)), cells, ("Li", "Li", "Cl"), 1.0)
    volume = 8000 * np.mean([0.729, 1.0, 1.331, 1.0])
    assert carriers_per_A3([trajectory], "Li") == pytest.approx(2 / volume)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1e-8, 0.0, 0.01), "conductivity: temperature_K = 0.0, expected a positive number"),
        ((1e-8, 300.0, -1), "conductivity: carriers_per_A3 = -1, expected a positive number"),
        ((1e-8, 300.0, 0.01, 0.0), "conductivity: charge = 0.0, expected a number other than 0"),
        ((1e-8, 300.0, 0.01, float("nan")), "conductivity: charge = nan, expected a number other than 0"),
    ],
)
def test_impossible_conditions_are_refused(arguments, message):
    with pytest.raises(DataError) as caught:
        conductivity_nernst_einstein(*arguments)
    assert str(caught.value) == message
