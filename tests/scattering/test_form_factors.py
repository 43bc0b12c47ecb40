"""Form factors, neutron lengths and weights."""

from __future__ import annotations

import numpy as np
import pytest

from mlsim.composition import Composition
from mlsim.errors import DataError, SettingsError
from mlsim.scattering import form_factor, mean_square_ratio, neutron_length, scattering_amplitudes, weights

GLASS = Composition.parse("Li3ZrCl4O1.5").fractions
Q = np.linspace(0.0, 30.0, 31)


@pytest.mark.parametrize(("element", "charge", "electrons"), [("Li", 0, 3), ("Zr", 0, 40), ("Li", 1, 2), ("O", -2, 10)])
def test_form_factor_at_zero_is_the_number_of_electrons(element: str, charge: int, electrons: int) -> None:
    assert form_factor(element, 0.0, charge=charge) == pytest.approx(electrons, abs=0.03)


def test_form_factor_is_the_sum_of_the_tabulated_gaussians() -> None:
    # O2- of Waasmaier and Kirfel (1995), coefficients as printed there
    a, b, c = (
        [3.990247, 2.300563, 0.607200, 1.907882, 1.167080],
        [16.639956, 5.636819, 0.108493, 47.299709, 0.379984],
        0.025429,
    )
    s = Q / (4 * np.pi)
    by_hand = sum(ak * np.exp(-bk * s**2) for ak, bk in zip(a, b, strict=True)) + c
    np.testing.assert_allclose(form_factor("O", Q, charge=-2), by_hand, rtol=1e-5)


def test_ions_and_neutral_atoms_agree_above_q_of_6() -> None:
    high = np.linspace(6, 25, 20)
    for element, charge in (("Zr", 4), ("Cl", -1), ("O", -2), ("Li", 1)):
        np.testing.assert_allclose(form_factor(element, high, charge=charge), form_factor(element, high), rtol=0.035)


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
@pytest.mark.parametrize("formula", ["Li3ZrCl4O1.5", "ZrO2", "Ni", "LiCl"])
def test_partial_weights_sum_to_one(formula: str, radiation: str) -> None:
    total = sum(weights(Composition.parse(formula).fractions, Q, radiation).values())
    np.testing.assert_allclose(total, 1.0, rtol=1e-13)


def test_weights_of_the_glass_at_q_5_are_the_published_ones() -> None:
    w = {pair: float(values[0]) for pair, values in weights(GLASS, [5.0], ions=True).items()}
    expected = {
        ("Cl", "Zr"): 0.37,
        ("Cl", "Cl"): 0.26,
        ("Zr", "Zr"): 0.135,
        ("Cl", "O"): 0.069,
        ("Cl", "Li"): 0.060,
        ("O", "Zr"): 0.050,
        ("Li", "Zr"): 0.043,
        ("Li", "O"): 0.008,
        ("O", "O"): 0.005,
        ("Li", "Li"): 0.004,
    }
    assert set(w) == set(expected)
    for pair, value in expected.items():
        assert w[pair] == pytest.approx(value, abs=0.5 * 10 ** -len(str(value).split(".")[1]) * 1.01 + 5e-4), pair


def test_ratio_of_the_normalisations_is_that_of_ions() -> None:
    q = [0.5, 5.0, 12.0, 25.0]
    np.testing.assert_allclose(mean_square_ratio(GLASS, q, ions=True), [1.58, 1.93, 2.06, 2.38], atol=0.005)
    np.testing.assert_allclose(mean_square_ratio(GLASS, q), [1.65, 1.92, 2.06, 2.38], atol=0.005)


def test_ratio_is_one_for_a_single_element() -> None:
    np.testing.assert_allclose(mean_square_ratio({"Ni": 1.0}, Q), 1.0, rtol=1e-14)


def test_squared_mean_length_of_sf6_is_the_limit_of_keen() -> None:
    fractions = Composition.parse("SF6").fractions
    mean_fm = sum(c * neutron_length(e) for e, c in fractions.items())
    assert mean_fm**2 / 100 == pytest.approx(0.27593, abs=2e-5)  # barn; −G_K(0) of D. A. Keen (2001)


def test_ions_take_the_formal_charges() -> None:
    f = scattering_amplitudes(GLASS, [0.0], "xray", True)
    assert {e: round(float(v[0])) for e, v in f.items()} == {"Li": 2, "Zr": 36, "Cl": 18, "O": 10}


def test_ions_take_charges_that_are_given_and_leave_the_rest_neutral() -> None:
    f = scattering_amplitudes(GLASS, [0.0], "xray", {"Zr": 4})
    assert {e: round(float(v[0])) for e, v in f.items()} == {"Li": 3, "Zr": 36, "Cl": 17, "O": 8}


def test_an_element_with_several_charges_takes_the_neutral_combination() -> None:
    f = scattering_amplitudes(Composition.parse("FeO").fractions, [0.0], "xray", True)
    assert round(float(f["Fe"][0])) == 24


def test_neutron_lengths_do_not_depend_on_q_or_charge() -> None:
    lengths = scattering_amplitudes(GLASS, Q, "neutron", True)
    assert all((values == neutron_length(e)).all() for e, values in lengths.items())
    assert lengths["Li"][0] == -1.93


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: form_factor("Zr", [80.0]), SettingsError, "form factor of Zr: Q must be 0 to 75.4 1/Å"),
        (lambda: form_factor("Zr", [-1.0]), SettingsError, "form factor of Zr: Q must be 0 to 75.4 1/Å"),
        (lambda: form_factor("Zt", [1.0]), SettingsError, "unknown element 'Zt'"),
        (lambda: form_factor("Li", [1.0], charge=3), DataError, r"X-ray form factor of Li3\+: none is tabulated"),
        (lambda: neutron_length("Po"), DataError, "neutron scattering length of Po: none is tabulated"),
        (lambda: weights(GLASS, [1.0], "xrays"), SettingsError, "radiation 'xrays': did you mean 'xray'?"),
        (
            lambda: weights(GLASS, [1.0], "xray", {"Zn": 2}),
            SettingsError,
            "ions: charge given for Zn; known: Cl, Li, O, Zr",
        ),
        (lambda: weights({"Ar": 1.0}, [1.0], "xray", True), SettingsError, "ions: no formal charge known for Ar"),
    ],
)
def test_bad_input_is_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
