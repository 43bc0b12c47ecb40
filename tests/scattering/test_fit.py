"""A measured curve beside structures: what was put in comes out, with errors that hold, and peaks and coordination."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from random_atoms import random_cube

from mlsim.curve import Curve, Quantity, weighted_profile_r
from mlsim.errors import DataError, SettingsError
from mlsim.io.measurements import read_measurement
from mlsim.scattering import (
    box_truncated,
    converted,
    fitted_curve,
    g_pdf_of,
    peak_positions,
    running_coordination,
    smallest_q,
    total_scattering,
)

NICKEL = Path(__file__).resolve().parents[3] / "shared" / "data" / "ni-powder" / "Ni.gr"
Q = np.linspace(0.5, 20.0, 391)
R = np.linspace(1.5, 8.0, 131)
TRUTH = {"scale": 0.8, "q_damp": 0.06, "displacement": 0.09}


def rocksalt(stretch: float = 1.0) -> Atoms:
    return bulk("LiCl", "rocksalt", a=5.13 * stretch, cubic=True).repeat(2)


def displaced(atoms: Atoms, copies: int, width: float) -> list[Atoms]:
    """Copies in which every atom is displaced independently."""
    found = []
    for seed in range(copies):
        copy = atoms.copy()
        copy.positions += np.random.default_rng(seed).normal(scale=width, size=copy.positions.shape)
        found.append(copy)
    return found


def data_of(quantity: str, stretch: float = 1.0) -> Curve:
    """Curve of a perfect crystal with the parameters of TRUTH, step by step."""
    crystal = rocksalt(stretch)
    end = 0.99 * crystal.cell.lengths()[0]  # as far out as `total_scattering` goes for this range of r
    s = total_scattering([crystal], radiation="neutron", quantity="i_of_q", q=Q, r_max_A=end)
    thermal = np.exp(-((Q * TRUTH["displacement"]) ** 2))
    g = g_pdf_of(Curve(Quantity.I_OF_Q, Q, TRUTH["scale"] * s.y * thermal), R)
    damped = Curve(Quantity.G_PDF, R, g.y * np.exp(-((R * TRUTH["q_damp"]) ** 2) / 2))
    return converted(damped, quantity, number_density=len(crystal) / crystal.get_volume())


@pytest.mark.parametrize("quantity", ["g_pdf", "g_of_r", "t_of_r"])
def test_parameters_that_made_the_data_are_found_again(quantity: str) -> None:
    fit = fitted_curve([[rocksalt()]], data_of(quantity), radiation="neutron", vary=dict.fromkeys(TRUTH), q=Q)
    for name, value in TRUTH.items():
        assert fit.parameters[name].value == pytest.approx(value, rel=1e-3), name
    assert fit.rw_of_mean < 1e-4
    assert fit.at_bound == ()
    assert fit.chi_squared is None


def test_the_density_scales_the_whole_structure() -> None:
    fit = fitted_curve(
        [[rocksalt()]],
        data_of("g_pdf", stretch=1.01),
        radiation="neutron",
        vary=dict.fromkeys([*TRUTH, "density"]),
        q=Q,
    )
    own = rocksalt()
    density = own.get_masses().sum() / own.get_volume() * 1.66053907 / 1.01**3
    assert fit.parameters["density"].value == pytest.approx(density, rel=1e-4)
    assert fit.parameters["scale"].value == pytest.approx(TRUTH["scale"], rel=5e-3)


def test_errors_of_the_parameters_hold_for_independent_noise() -> None:
    """Deviations over claimed errors have variance 1: chi squared of 2 x 20 values, 99.9 % of which is 16 to 73."""
    crystal, noise = [[rocksalt()]], 0.05
    flat = Curve(Quantity.I_OF_Q, Q, np.ones_like(Q))
    pure = fitted_curve(crystal, flat, radiation="neutron").model.y * 0.9 * np.exp(-((Q * 0.08) ** 2))
    total = 0.0
    for seed in range(20):
        y = pure + np.random.default_rng(seed).normal(scale=noise, size=len(Q))
        data = Curve(Quantity.I_OF_Q, Q, y, np.full(len(Q), noise))
        fit = fitted_curve(crystal, data, radiation="neutron", vary={"scale": None, "displacement": None})
        assert fit.chi_squared == pytest.approx(1.0, abs=0.25)
        for name, truth in (("scale", 0.9), ("displacement", 0.08)):
            estimate = fit.parameters[name]
            assert estimate.standard_error is not None
            total += ((estimate.value - truth) / estimate.standard_error) ** 2
    assert 16 < total < 73


def test_without_parameters_nothing_is_fitted() -> None:
    data = data_of("g_pdf")
    fit = fitted_curve([[rocksalt()]], data, radiation="neutron", q=Q)
    assert fit.parameters == {}
    expected = total_scattering([rocksalt()], radiation="neutron", quantity="g_pdf", q=Q, r=R)
    np.testing.assert_allclose(fit.model.y, expected.y, rtol=1e-10, atol=1e-10)
    assert fit.rw_of_mean == pytest.approx(weighted_profile_r(expected, data))


def test_the_displacement_is_the_mean_over_displaced_copies() -> None:
    crystal, u = rocksalt(), 0.1
    options = {"radiation": "neutron", "quantity": "g_pdf", "q": Q, "r": R}
    each = np.array([total_scattering([copy], **options).y for copy in displaced(crystal, 24, u)])
    mean, error = each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(len(each))
    vary = {"displacement": (u * (1 - 1e-9), u * (1 + 1e-9))}
    fit = fitted_curve([[crystal]], Curve(Quantity.G_PDF, R, mean), radiation="neutron", vary=vary, q=Q)
    z = (mean - fit.model.y) / error
    assert np.abs(z).mean() < 1.2  # 0.8 for a normal distribution; neighbouring points are correlated


def test_the_terms_of_the_pairs_sum_to_the_deviation_from_the_limit() -> None:
    data = Curve(Quantity.T_OF_R, R, np.ones_like(R))
    fit = fitted_curve([[random_cube()], [random_cube()]], data, vary={"scale": None}, q=Q)
    atoms = random_cube()
    limit = 4 * np.pi * len(atoms) / atoms.get_volume() * R
    np.testing.assert_allclose(sum(t.y for t in fit.terms.values()) + limit, fit.model.y, rtol=1e-9, atol=1e-9)
    assert fit.rw.n_independent == 2
    assert len(fit.glasses) == 2


def test_a_parameter_at_its_bound_is_said() -> None:
    fit = fitted_curve([[rocksalt()]], data_of("g_pdf"), radiation="neutron", vary={"scale": (1.0, 1.5)}, q=Q)
    assert fit.at_bound == ("scale",)


def test_data_and_model_take_the_resolution_of_the_box_alike() -> None:
    large = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(4)
    large.rattle(0.15, seed=3)
    q = np.arange(smallest_q([large]) + 0.3, 20.0, 0.02)
    data = total_scattering([large], quantity="s_of_q", q=q, r_max_A=10.2)
    plain = fitted_curve([[large]], data, box_A=None)
    alike = fitted_curve([[large]], data, box_A=5.0)
    np.testing.assert_allclose(alike.data.y, box_truncated(data, 5.0).y)
    assert alike.rw_of_mean < 0.02
    assert np.abs(alike.model.y - plain.model.y).max() > 0.05  # the truncation did something
    short = total_scattering([large], quantity="s_of_q", q=q, r_max_A=5.0)
    np.testing.assert_allclose(alike.model.y, box_truncated(short, 5.0).y, atol=1e-9)


@pytest.mark.parametrize("quantity", ["f2_of_q", "f_keen"])
def test_other_functions_of_q_go_through_the_same_truncation(quantity: str) -> None:
    """S - 1 times a factor: its truncation is that of S - 1, times the factor, for the data as for the model."""
    atoms = rocksalt()
    data = total_scattering([atoms], quantity=quantity, q=Q, radiation="neutron", r_max_A=9.0)
    s = total_scattering([atoms], quantity="s_of_q", q=Q, radiation="neutron", r_max_A=9.0)
    fit = fitted_curve([[atoms]], data, radiation="neutron", box_A=5.0)
    fractions = {"Li": 0.5, "Cl": 0.5}
    expected = converted(box_truncated(s, 5.0), quantity, fractions=fractions, radiation="neutron")
    np.testing.assert_allclose(fit.data.y, expected.y, atol=1e-10)


@pytest.mark.skipif(not NICKEL.exists(), reason="the measured Ni powder G_PDF is not beside this checkout")
def test_measured_nickel_powder_is_fitted() -> None:
    data = read_measurement(NICKEL, "g_pdf", "xray", "Ni", fractions={"Ni": 1.0}).curve.between(1.5, 20.0)
    data = Curve(data.quantity, data.x[::4], data.y[::4])  # 0.04 Å, a third of π/Qmax
    crystal = bulk("Ni", "fcc", a=3.52, cubic=True).repeat(3)
    names = ("scale", "q_damp", "displacement", "density")
    fit = fitted_curve([[crystal]], data, vary=dict.fromkeys(names), q=np.linspace(0.5, 25.0, 491))
    assert fit.rw_of_mean < 0.07
    assert fit.at_bound == ()
    lattice = (4 * 58.6934 * 1.66053907 / fit.parameters["density"].value) ** (1 / 3)
    assert lattice == pytest.approx(3.524, abs=0.002)  # fcc Ni at room temperature
    assert fit.parameters["displacement"].value == pytest.approx(0.076, abs=0.01)


def test_peaks_and_coordination_are_means_over_glasses() -> None:
    glasses = [bulk("Ni", "fcc", a=a, cubic=True).repeat(2) for a in (3.50, 3.54)]
    radii = [2.0, 3.0, 3.7, 4.6]
    numbers = running_coordination([[g] for g in glasses], "Ni", "Ni", radii)
    assert [round(n.value, 6) for n in numbers] == [0, 12, 18, 42]
    assert all(n.n_independent == 2 for n in numbers)
    r = np.arange(2, 3, 0.01)
    peak = peak_positions([Curve(Quantity.G_PDF, r, np.exp(-((r - p) ** 2) / 0.02)) for p in (2.474, 2.502)], 2.2, 2.8)
    assert peak.value == pytest.approx(2.488, abs=1e-5)
    assert peak.standard_error == pytest.approx(0.014, abs=1e-5)
    assert (peak.n_independent, peak.unit) == (2, "Å")


def test_coordination_counts_from_the_center() -> None:
    fluorite = bulk("ZrO2", "fluorite", a=5.1, cubic=True)
    assert running_coordination([[fluorite]], "Zr", "O", [2.5])[0].value == pytest.approx(8)
    assert running_coordination([[fluorite]], "O", "Zr", [2.5])[0].value == pytest.approx(4)


FLAT = Curve(Quantity.G_PDF, R, np.ones_like(R))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fitted_curve([], FLAT, q=Q), DataError, "fit of a curve: no glasses given"),
        (
            lambda: fitted_curve([[rocksalt()]], Curve(Quantity.G_PDF, R, 0 * R), q=Q),
            DataError,
            "Rw of g_pdf: the data are zero throughout",
        ),
        (lambda: fitted_curve([[rocksalt()]], FLAT), SettingsError, "fit of g_pdf: give the grid of Q"),
        (
            lambda: fitted_curve([[rocksalt()]], Curve(Quantity.S_OF_Q, Q, Q), q=Q),
            SettingsError,
            "fit of s_of_q: give the grid of Q of the transform for a function of r, and only for one",
        ),
        (lambda: fitted_curve([[rocksalt()]], FLAT, q=Q, box_A=5.0), SettingsError, "the truncation by the box is"),
        (
            lambda: fitted_curve([[rocksalt()]], FLAT, q=Q, vary={"scal": None}),
            SettingsError,
            "parameter 'scal'; did you mean 'scale'",
        ),
        (
            lambda: fitted_curve([[rocksalt()]], FLAT, q=Q, vary={"scale": (2.0, 1.0)}),
            SettingsError,
            "scale between 2 and 1; expected 0 <= low < high",
        ),
        (lambda: peak_positions([], 1, 2), DataError, "position of a peak: no curves given"),
        (
            lambda: peak_positions([Curve(Quantity.G_PDF, R, R)], 2, 3),
            DataError,
            "peak of g_pdf between 2 and 3: highest at the end, 3",
        ),
        (
            lambda: running_coordination([[rocksalt()]], "Zr", "Cl", [3.0]),
            SettingsError,
            "running coordination number of Zr: known: Cl, Li",
        ),
        (lambda: running_coordination([[rocksalt()]], "Li", "Cl", [-1.0]), SettingsError, "radii must be finite"),
    ],
)
def test_bad_input_is_refused(call, error, message) -> None:
    with pytest.raises(error, match=message):
        call()
