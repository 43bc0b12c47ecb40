"""Every named function into every other and back; what instrument and box do; the terms of the pairs."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from ase.build import bulk
from random_atoms import random_cube, random_triclinic

from mlsim.composition import Composition
from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, SettingsError
from mlsim.scattering import (
    Instrument,
    box_truncated,
    converted,
    g_pdf_of,
    partial_contributions,
    qi_of_q_of,
    total_scattering,
)

FRACTIONS = Composition.parse("Li3ZrCl4O1.5").fractions
OF_Q = [q for q in Quantity if q.of_q]
OF_R = [q for q in Quantity if not q.of_q]
ALL = {"fractions": FRACTIONS, "radiation": "neutron", "number_density": 0.0412}


@pytest.mark.parametrize(("first", "second"), [*product(OF_Q, OF_Q), *product(OF_R, OF_R)])
def test_round_trips_within_q_and_within_r_are_exact(first: Quantity, second: Quantity) -> None:
    x = np.linspace(0.3, 12.0, 60)
    curve = Curve(first, x, np.sin(3 * x) / x, 0.1 / x)
    back = converted(converted(curve, second, **ALL), first, **ALL)
    assert back.quantity is first
    np.testing.assert_allclose(back.y, curve.y, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(back.sigma, curve.sigma, rtol=1e-12)


@pytest.mark.parametrize("n", [97, 128, 255, 256])
@pytest.mark.parametrize(("first", "second"), [("qi_of_q", "g_pdf"), ("s_of_q", "d_keen"), ("f_keen", "g_of_r")])
def test_round_trips_through_the_transform_are_exact_on_matching_grids(n: int, first: str, second: str) -> None:
    rng = np.random.default_rng(n)
    step = 0.05
    q, r = step * np.arange(1, n + 1), np.pi / step / n * np.arange(1, n + 1)
    # sin(Qr) = 0 at Qmax and all r: nothing of the last point arrives
    curve = Curve(Quantity(first), q, np.append(rng.normal(size=n - 1), 1.0 if first == "s_of_q" else 0.0))
    back = converted(converted(curve, second, grid=r, **ALL), first, grid=q, **ALL)
    np.testing.assert_allclose(back.y, curve.y, rtol=1e-9, atol=1e-9 * np.abs(curve.y).max())


def test_the_way_back_holds_the_lorch_window() -> None:
    q = np.pi / 40 * np.arange(1, 401)
    r = 40 / 400 * np.arange(1, 401)
    curve = Curve(Quantity.QI_OF_Q, q, np.sin(2.3 * q) * np.exp(-((0.1 * q) ** 2)))
    back = qi_of_q_of(g_pdf_of(curve, r, window="lorch"), q)
    np.testing.assert_allclose(back.y, curve.y * np.sinc(q / q[-1]), atol=1e-12)


def test_functions_that_are_zero_at_the_origin_keep_their_first_point() -> None:
    x = np.linspace(0.0, 2.0, 5)
    assert converted(Curve(Quantity.G_PDF, x, 0 * x), "t_of_r", **ALL).y[0] == 0
    assert converted(Curve(Quantity.S_OF_Q, x, 0 * x), "qi_of_q").y[0] == 0


@pytest.mark.parametrize(
    ("have", "want", "options", "error", "message"),
    [
        ("qi_of_q", "s_of_q", {}, DataError, "qi_of_q to s_of_q: Q starts at 0 1/Å, where it is 0/0; cut the curve"),
        ("g_pdf", "g_of_r", {"number_density": 0.04}, DataError, "g_pdf to g_of_r: r starts at 0 Å"),
        ("g_pdf", "g_of_r", {}, SettingsError, "g_pdf: depends on the number density, got None"),
        ("s_of_q", "f2_of_q", {}, SettingsError, "f2_of_q: depends on the composition"),
        ("s_of_q", "g_pdf", {}, SettingsError, "s_of_q to g_pdf: goes through a sine transform; give the grid"),
        ("g_pdf", "qi_of_q", {"grid": [9.0]}, SettingsError, "Q up to 9 1/Å, expected at most π/dr = 6.28319 1/Å"),
        (
            "s_of_q",
            "f_keen",
            {"fractions": FRACTIONS},
            SettingsError,
            "functions of Keen in barn: defined for neutrons",
        ),
        ("s_of_q", "fofq", {}, SettingsError, "quantity 'fofq'"),
    ],
)
def test_what_a_conversion_lacks_is_named(have, want, options, error, message) -> None:
    x = np.linspace(0.0, 2.0, 5)
    with pytest.raises(error, match=message):
        converted(Curve(Quantity(have), x, x), want, **options)


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
@pytest.mark.parametrize("window", ["step", "lorch"])
def test_the_terms_of_the_pairs_sum_to_the_total(radiation: str, window: str) -> None:
    glass = [random_triclinic()]
    q, r = np.linspace(0.5, 18.0, 301), np.linspace(0.5, 6.0, 60)
    instrument = Instrument(0.04, 0.01)
    for quantity in (
        "i_of_q",
        "qi_of_q",
        "f2_of_q",
        "g_pdf",
        *(["f_keen", "g_keen"] if radiation == "neutron" else []),
    ):
        grid = {} if Quantity(quantity).of_q else {"r": r, "window": window}
        options = {"quantity": quantity, "radiation": radiation, "q": q, "instrument": instrument, **grid}
        parts = partial_contributions(glass, **options)
        total = total_scattering(glass, **options).y
        assert len(parts) == 10
        np.testing.assert_allclose(
            sum(c.y for c in parts.values()), total, rtol=1e-10, atol=1e-12 * np.abs(total).max(), err_msg=quantity
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "s_of_q"}, "contributions to s_of_q: it does not tend to zero"),
        ({"quantity": "g_pdf"}, "contributions to g_pdf: give r for a function of r"),
        ({"quantity": "i_of_q", "r": [1.0]}, "contributions to i_of_q: give r for a function of r, and only for one"),
    ],
)
def test_bad_contributions_are_refused(options, message) -> None:
    with pytest.raises(SettingsError, match=message):
        partial_contributions([random_cube()], np.linspace(1, 5, 9), **options)


def pairs_of(atoms, r_end: float) -> np.ndarray:
    """All ordered distances below r_end of a cube, naively."""
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3) @ atoms.cell.array
    vectors = atoms.positions[None, :, None] - atoms.positions[:, None, None] + shifts
    d = np.linalg.norm(vectors, axis=-1).ravel()
    return d[(d > 1e-6) & (d < r_end)]


def test_the_instrument_acts_on_each_pair_as_the_double_sum_says() -> None:
    atoms = bulk("Ni", "fcc", a=3.52, cubic=True).repeat(2)
    atoms.rattle(0.1, seed=2)
    q, damp, broad, end = np.linspace(0.4, 15.0, 40), 0.05, 0.02, 6.0
    d = pairs_of(atoms, end)
    density = len(atoms) / atoms.get_volume()
    resolution = np.exp(-((d * damp) ** 2) / 2 - (np.outer(q, d) * broad) ** 2 / 2)
    r = np.linspace(1e-9, end, 20001)
    uniform = np.exp(-((r * damp) ** 2) / 2 - (np.outer(q, r) * broad) ** 2 / 2) * np.sinc(np.outer(q, r) / np.pi)
    expected = (np.sinc(np.outer(q, d) / np.pi) * resolution).sum(axis=1) / len(atoms) - density * np.trapezoid(
        4 * np.pi * r**2 * uniform, r, axis=1
    )
    got = total_scattering([atoms], quantity="i_of_q", q=q, r_max_A=end, instrument=Instrument(damp, broad))
    np.testing.assert_allclose(got.y, expected, rtol=1e-5, atol=1e-6)


def test_qdamp_multiplies_g_pdf_by_its_envelope() -> None:
    glass, r = [random_cube()], np.linspace(0.5, 5.0, 40)
    plain = total_scattering(glass, quantity="g_pdf", r=r)
    damped = total_scattering(glass, quantity="g_pdf", r=r, instrument=Instrument(0.06))
    np.testing.assert_allclose(damped.y, plain.y * np.exp(-((0.06 * r) ** 2) / 2), rtol=1e-12)


def test_qbroad_widens_a_peak_by_r_times_qbroad() -> None:
    atoms = bulk("Ni", "fcc", a=3.52, cubic=True).repeat(3)
    atoms.rattle(0.06, seed=1)
    r = np.linspace(2.0, 3.0, 201)

    def variance(instrument: Instrument) -> float:
        g = total_scattering([atoms], quantity="t_of_r", q_max=60.0, r=r, instrument=instrument).y
        middle = np.trapezoid(g * r, r) / np.trapezoid(g, r)
        return float(np.trapezoid(g * (r - middle) ** 2, r) / np.trapezoid(g, r))

    widened = variance(Instrument(0.0, 0.03)) - variance(Instrument())
    assert widened == pytest.approx((2.489 * 0.03) ** 2, rel=0.1)


def test_a_negative_resolution_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"instrument: q_broad is -0\.1, expected 0 or a positive number"):
        Instrument(0.0, -0.1)


@pytest.mark.parametrize("quantity", ["s_of_q", "i_of_q", "qi_of_q"])
def test_truncation_by_the_box_is_transform_cut_and_transform_back(quantity: str) -> None:
    q = np.linspace(0.2, 20.0, 991)
    curve = converted(
        Curve(Quantity.QI_OF_Q, q, np.sin(2.4 * q) * np.exp(-((0.12 * q) ** 2)) + np.sin(9 * q) / (1 + q)), quantity
    )
    r = np.linspace(0, 7.0, 14001)
    there_and_back = converted(converted(curve, "g_pdf", grid=r), quantity, grid=q)
    # sums over r in steps of 0.0005 Å against the closed form
    np.testing.assert_allclose(box_truncated(curve, 7.0).y, there_and_back.y, atol=2e-4)


def test_a_model_that_ends_at_the_box_loses_nothing_but_its_window() -> None:
    q = np.linspace(0.02, 40.0, 2000)
    r0, radius = 2.4, 8.0
    curve = Curve(Quantity.QI_OF_Q, q, np.sin(r0 * q) * np.exp(-((0.12 * q) ** 2) / 2))
    np.testing.assert_allclose(box_truncated(curve, radius).y, curve.y, atol=2e-3)
    far = Curve(Quantity.QI_OF_Q, q, np.sin(12.0 * q) * np.exp(-((0.12 * q) ** 2) / 2))
    assert np.abs(box_truncated(far, radius).y).max() < 2e-3


@pytest.mark.parametrize(
    ("quantity", "start", "radius", "error", "message"),
    [
        ("g_pdf", 0.1, 5.0, DataError, "truncation of g_pdf: expected s_of_q, i_of_q or qi_of_q"),
        ("s_of_q", 0.0, 5.0, DataError, "truncation of s_of_q: Q starts at 0 1/Å, expected Q > 0"),
        ("s_of_q", 0.1, -1.0, SettingsError, "truncation by the box: r_max_A is -1"),
        ("s_of_q", 0.1, 900.0, SettingsError, "r up to 900 Å, expected at most π/dQ"),
    ],
)
def test_bad_truncations_are_refused(quantity, start, radius, error, message) -> None:
    q = np.linspace(start, 10.0, 200)
    with pytest.raises(error, match=message):
        box_truncated(Curve(Quantity(quantity), q, q), radius)


def test_keen_t_of_r_needs_no_density() -> None:
    """T(r) of both kinds differs by <b>² alone."""
    t = Curve(Quantity.T_OF_R, [1.0, 2.0, 3.0], [0.0, 2.0, 5.0])
    barn = converted(t, "t_keen", fractions={"S": 1 / 7, "F": 6 / 7}, radiation="neutron")
    assert barn.y == pytest.approx(0.27594 * t.y, rel=1e-4)
    with pytest.raises(SettingsError, match="depends on the number density"):
        converted(t, "g_pdf")
