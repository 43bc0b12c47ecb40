"""The sine transform to G_PDF, its windows and its limits."""

from __future__ import annotations

import numpy as np
import pytest

from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, SettingsError
from mlsim.scattering import g_pdf_of, window_function

R = np.linspace(0.0, 12.0, 241)


def damped_sine(q: np.ndarray, r0: float, width: float) -> Curve:
    """Q [S − 1] of a Gaussian shell at r0, whose transform is known."""
    return Curve(Quantity.QI_OF_Q, q, np.sin(q * r0) * np.exp(-((q * width) ** 2) / 2))


@pytest.mark.parametrize("n_points", [1000, 1001, 1013])
def test_a_gaussian_shell_comes_back_as_two_gaussians(n_points: int) -> None:
    curve = damped_sine(np.linspace(0, 60, n_points), 3.0, 0.15)
    normal = np.sqrt(2 * np.pi) * 0.15
    expected = (np.exp(-((R - 3) ** 2) / 2 / 0.15**2) - np.exp(-((R + 3) ** 2) / 2 / 0.15**2)) / normal
    np.testing.assert_allclose(g_pdf_of(curve, R).y, expected, atol=1e-9)


@pytest.mark.parametrize("q_max", [12.0, 25.0])
def test_an_undamped_shell_comes_back_as_the_kernel_of_the_finite_range(q_max: float) -> None:
    q = np.linspace(0, q_max, 20001)
    r = R[1:] + 1e-3
    expected = (np.sin(q_max * (r - 3)) / (r - 3) - np.sin(q_max * (r + 3)) / (r + 3)) / np.pi
    np.testing.assert_allclose(g_pdf_of(Curve(Quantity.QI_OF_Q, q, np.sin(3 * q)), r).y, expected, atol=2e-4)


def test_a_cut_at_q_min_takes_away_just_the_range_below_it() -> None:
    q = np.linspace(0, 30, 3001)
    whole = damped_sine(q, 2.5, 0.1)
    above, below = whole.between(1.0, 30.0), whole.between(0.0, 1.0)
    np.testing.assert_allclose(g_pdf_of(above, R).y + g_pdf_of(below, R).y, g_pdf_of(whole, R).y, atol=1e-12)


def test_the_same_function_under_three_names_has_one_transform() -> None:
    q = np.linspace(0.5, 20, 400)
    i_of_q = np.exp(-q / 5) * np.cos(2 * q)
    curves = [
        Curve(Quantity.S_OF_Q, q, 1 + i_of_q),
        Curve(Quantity.I_OF_Q, q, i_of_q),
        Curve(Quantity.QI_OF_Q, q, q * i_of_q),
    ]
    first, *others = (g_pdf_of(c, R, window="lorch").y for c in curves)
    for other in others:
        np.testing.assert_allclose(other, first, atol=1e-12)


def test_the_lorch_window_is_one_at_zero_and_zero_at_q_max() -> None:
    q = np.linspace(0, 25, 11)
    lorch = window_function(q, 25.0, "lorch")
    assert lorch[0] == 1
    assert abs(lorch[-1]) < 1e-15
    np.testing.assert_allclose(lorch[1:], np.sin(np.pi * q[1:] / 25) / (np.pi * q[1:] / 25), rtol=1e-12, atol=1e-15)
    assert (window_function(q, 25.0, "step") == 1).all()


def test_the_lorch_window_lowers_the_ripples() -> None:
    q = np.linspace(0, 20, 2001)
    curve = Curve(Quantity.QI_OF_Q, q, np.sin(3 * q))
    far = R[R > 5]
    assert np.abs(g_pdf_of(curve, far, window="lorch").y).max() < 0.1 * np.abs(g_pdf_of(curve, far).y).max()


def test_an_uneven_grid_is_weighted_by_its_spacing() -> None:
    t = np.linspace(0, 1, 4001)
    q = 40 * (t + 0.3 * t * (1 - t))
    even = g_pdf_of(damped_sine(np.linspace(0, 40, 4001), 3.0, 0.15), R)
    np.testing.assert_allclose(g_pdf_of(damped_sine(q, 3.0, 0.15), R).y, even.y, atol=1e-4)


def test_long_tables_are_made_in_blocks_without_a_seam() -> None:
    q = np.linspace(0, 30, 3001)
    r = np.linspace(0.01, 20, 1500)
    curve = damped_sine(q, 2.0, 0.1)
    parts = np.concatenate([g_pdf_of(curve, part).y for part in np.array_split(r, 7)])
    np.testing.assert_allclose(g_pdf_of(curve, r).y, parts, atol=1e-12)


@pytest.mark.parametrize(
    ("curve", "r", "window", "error", "message"),
    [
        (
            Curve(Quantity.F2_OF_Q, [1.0, 2.0], [0.0, 0.0]),
            [1.0],
            "step",
            DataError,
            "G_PDF of f2_of_q: expected s_of_q",
        ),
        (Curve(Quantity.S_OF_Q, [1.0], [0.0]), [1.0], "step", DataError, "1 point, expected at least two"),
        (Curve(Quantity.S_OF_Q, [1.0, 2.0], [0.0, 0.0]), [4.0], "step", SettingsError, "at most π/dQ = 3.14159 Å"),
        (Curve(Quantity.S_OF_Q, [1.0, 2.0], [0.0, 0.0]), [1.0], "hann", SettingsError, "window 'hann'"),
    ],
)
def test_bad_input_is_refused(curve, r, window, error, message) -> None:
    with pytest.raises(error, match=message):
        g_pdf_of(curve, np.array(r), window=window)
