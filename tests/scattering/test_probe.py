"""Isotopes, anomalous terms, and the functions of Keen."""

from __future__ import annotations

import numpy as np
import periodictable
import pytest
from random_atoms import random_cube

from mlsim.composition import Composition
from mlsim.errors import DataError, SettingsError
from mlsim.scattering import (
    Probe,
    anomalous_terms,
    form_factor,
    mean_length_squared,
    mean_square_ratio,
    neutron_length,
    total_scattering,
    weights,
)

GLASS = Composition.parse("Li3ZrCl4O1.5").fractions
Q = np.linspace(0.5, 20.0, 40)


@pytest.mark.parametrize(
    ("element", "mass", "length"), [("Li", 6, 2.27), ("Li", 7, -2.28), ("Cl", 35, 11.7), ("Cl", 37, 3.08)]
)
def test_isotopes_have_the_tabulated_lengths(element: str, mass: int, length: float) -> None:
    assert neutron_length(element, {mass: 1.0}) == pytest.approx(length, abs=0.005)


@pytest.mark.parametrize("element", ["Li", "Cl", "Zr"])
def test_the_natural_mixture_of_isotopes_has_about_the_natural_length(element: str) -> None:
    natural = getattr(periodictable, element)
    shares = {i.isotope: i.abundance / 100 for i in natural if i.abundance}
    total = sum(shares.values())
    mixed = neutron_length(element, {mass: share / total for mass, share in shares.items()})
    assert mixed == pytest.approx(
        neutron_length(element), abs=0.15
    )  # tables of isotopes and of elements differ by that


def test_weights_are_linear_in_a_mixture_of_isotopes() -> None:
    def product(share: float) -> np.ndarray:
        probe = Probe("neutron", isotopes={"Li": {6: share, 7: 1 - share}})
        return weights(GLASS, Q, probe)["Li", "Zr"] * mean_length_squared(GLASS, probe)

    np.testing.assert_allclose(product(0.3), 0.3 * product(1.0) + 0.7 * product(0.0), rtol=1e-12)


@pytest.mark.parametrize(
    "probe",
    [
        Probe("neutron", isotopes={"Li": {7: 1.0}, "Cl": {35: 0.5, 37: 0.5}}),
        Probe("xray", anomalous={"Zr": -3.1 + 2.2j, "Cl": 0.3 + 0.7j}),
        Probe("xray", ions=True, anomalous={"Zr": -3.1 + 2.2j}),
    ],
)
def test_weights_sum_to_one_for_every_probe(probe: Probe) -> None:
    np.testing.assert_allclose(sum(weights(GLASS, Q, probe).values()), 1.0, rtol=1e-13)
    assert (mean_square_ratio(GLASS, Q, probe) >= 1).all()


def test_anomalous_terms_enter_as_complex_amplitudes() -> None:
    f = {"Zr": form_factor("Zr", Q) - 3 + 2j, "O": form_factor("O", Q) + 0.1j}
    mean = f["Zr"] / 3 + 2 * f["O"] / 3
    probe = Probe("xray", anomalous={"Zr": -3 + 2j, "O": 0.1j})
    expected = 2 * (1 / 3) * (2 / 3) * (f["Zr"] * f["O"].conj()).real / np.abs(mean) ** 2
    np.testing.assert_allclose(weights(Composition.parse("ZrO2").fractions, Q, probe)["O", "Zr"], expected, rtol=1e-12)


def test_anomalous_terms_of_copper_radiation_are_those_of_the_international_tables() -> None:
    # International Tables for Crystallography C, table 4.2.6.8: Ni at Cu K alpha 1: f' = -2.956, f'' = 0.509
    term = anomalous_terms(["Ni"], wavelength_A=1.54056)["Ni"]
    assert term.real == pytest.approx(-2.956, abs=0.1)
    assert term.imag == pytest.approx(0.509, abs=0.03)


def test_without_anomalous_terms_nothing_changes() -> None:
    plain, zero = weights(GLASS, Q), weights(GLASS, Q, Probe("xray", anomalous={"Zr": 0j}))
    for pair in plain:
        np.testing.assert_array_equal(zero[pair], plain[pair])


def test_keens_limits_for_sf6() -> None:
    # D. A. Keen, J. Appl. Cryst. 34, 172 (2001): G(0) = -(sum c b)^2 = -0.27593 barn
    fractions = Composition.parse("SF6").fractions
    assert mean_length_squared(fractions) == pytest.approx(0.27593, abs=2e-5)


def test_the_functions_of_keen_are_the_normalised_ones_times_the_squared_mean_length() -> None:
    glass = [random_cube()]
    probe = Probe("neutron", isotopes={"Li": {7: 1.0}})
    square = mean_length_squared(GLASS, probe)
    r = np.linspace(0.5, 5.0, 46)
    density = len(glass[0]) / glass[0].get_volume()

    def of(quantity: str) -> np.ndarray:
        return total_scattering(
            glass, radiation=probe, quantity=quantity, **({"q": Q} if quantity in ("f_keen", "i_of_q") else {"r": r})
        ).y

    np.testing.assert_allclose(of("f_keen"), square * of("i_of_q"), rtol=1e-12)
    np.testing.assert_allclose(of("g_keen"), square * (of("g_of_r") - 1), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(of("d_keen"), 4 * np.pi * density * r * of("g_keen"), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(of("t_keen"), of("d_keen") + 4 * np.pi * density * r * square, rtol=1e-10)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Probe("neutron", isotopes={"Li": {7: 0.9}}), SettingsError, "isotopes of Li: shares sum to 0.9"),
        (lambda: Probe("neutron", isotopes={"Li": {}}), SettingsError, "isotopes of Li: shares sum to 0"),
        (lambda: Probe("xray", isotopes={"Li": {7: 1.0}}), SettingsError, "isotopes: X-rays do not see them"),
        (lambda: Probe("neutron", anomalous={"Li": 1j}), SettingsError, "anomalous terms: neutrons have none"),
        (lambda: Probe("gamma"), SettingsError, "radiation 'gamma'"),
        (
            lambda: neutron_length("Li", {8: 1.0}),
            DataError,
            "neutron scattering length of 8Li: none is tabulated",
        ),
        (lambda: neutron_length("Li", {99: 1.0}), SettingsError, "isotope 99Li: not known; with .* are 6Li, 7Li"),
        (
            lambda: weights(GLASS, Q, Probe("neutron", isotopes={"Na": {23: 1.0}})),
            SettingsError,
            "isotopes: given for Na; known: Cl, Li, O, Zr",
        ),
        (lambda: weights(GLASS, Q, Probe("xray"), ions=True), SettingsError, "ions: given beside a Probe"),
        (
            lambda: anomalous_terms(["Zr"], wavelength_A=0.1836),
            DataError,
            "anomalous terms of Zr at 67.5 keV: the table does not reach there",
        ),
        (lambda: anomalous_terms(["Zr"], wavelength_A=0.0), SettingsError, "wavelength is 0 Å"),
        (lambda: mean_length_squared(GLASS, "xray"), SettingsError, "functions of Keen in barn: defined for neutrons"),
        (
            lambda: total_scattering([random_cube()], quantity="d_keen", q_step=0.1),
            SettingsError,
            "functions of Keen in barn: defined for neutrons",
        ),
    ],
)
def test_bad_probes_are_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
