"""A published conductivity is drawn as the diffusivity that gives it back by Nernst–Einstein."""

from __future__ import annotations

import math

import pytest

from mlsim.io.published import published_sample
from mlsim.report.published_line import published_diffusivities
from mlsim.units import BOLTZMANN_EV_PER_K


def test_the_diffusivity_is_sigma_k_t_over_n_e_squared() -> None:
    published = published_diffusivities(published_sample("Li3ZrCl4O1.5"), 0.0135, 900.0)
    assert published is not None
    # SI: 0.135 S/m, k T in J, n in 1/m3, e in C; m²/s to cm²/s
    expected = 0.135 * 1.380649e-23 * 298.15 / (0.0135e30 * 1.602176634e-19**2) * 1e4
    assert published.diffusivity_cm2_s == pytest.approx(expected, rel=1e-8)
    assert published.standard_error_cm2_s == pytest.approx(expected * 0.07 / 1.35, rel=1e-8)


def test_the_line_goes_through_the_point_with_the_published_slope() -> None:
    published = published_diffusivities(published_sample("Li3ZrCl4O1.5"), 0.0135, 900.0)
    assert published is not None and published.line is not None
    t, d = published.line.x, published.line.y
    assert (t[0], d[0]) == pytest.approx((298.15, published.diffusivity_cm2_s))
    slope = math.log(d[-1] / d[0]) / (1 / t[-1] - 1 / t[0])
    assert -slope * BOLTZMANN_EV_PER_K == pytest.approx(0.294)
    assert t[-1] == pytest.approx(900.0)


@pytest.mark.parametrize(("formula", "carriers"), [("Li3ZrCl4O1.5", None), ("Li2ZrCl4O", 0.01), ("LiCl", 0.01)])
def test_without_a_value_or_a_density_of_carriers_nothing_is_drawn(formula: str, carriers: float | None) -> None:
    assert published_diffusivities(published_sample(formula), carriers, 900.0) is None
