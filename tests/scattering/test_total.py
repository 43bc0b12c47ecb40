"""Total functions of one glass and means over glasses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from random_atoms import random_cube, random_triclinic

from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, SettingsError
from mlsim.scattering import (
    form_factor,
    g_pdf_of,
    mean_square_ratio,
    over_glasses,
    partial_structure_factors,
    total_scattering,
    weighted_sum,
    weights,
)

Q = np.linspace(0.4, 20.0, 99)
NI_POWDER = Path(__file__).parents[3] / "shared" / "data" / "ni-powder" / "Ni.gr"


@pytest.fixture
def triclinic_glass() -> Atoms:
    return random_triclinic()


@pytest.fixture
def small_glass() -> Atoms:
    return random_cube()


def rocksalt(seed: int = 0, copies: int = 5, width: float = 0.1) -> Atoms:
    atoms = bulk("LiCl", "rocksalt", a=5.13, cubic=True).repeat(copies)
    atoms.rattle(width, seed=seed)
    return atoms


def fractions_of(atoms: Atoms) -> dict[str, float]:
    symbols = atoms.get_chemical_symbols()
    return {e: symbols.count(e) / len(symbols) for e in set(symbols)}


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
def test_the_total_is_the_weighted_sum_of_the_partials(triclinic_glass: Atoms, radiation: str) -> None:
    partials = partial_structure_factors([triclinic_glass], Q)
    total = weighted_sum(partials, weights(fractions_of(triclinic_glass), Q, radiation))
    direct = total_scattering([triclinic_glass], radiation=radiation, q=Q)
    np.testing.assert_allclose(direct.y, total.y, rtol=1e-12)


def test_the_total_is_the_debye_sum_over_all_atoms(small_glass: Atoms) -> None:
    r_end = 6.0
    f = {e: form_factor(e, Q) for e in set(small_glass.get_chemical_symbols())}
    symbols = small_glass.get_chemical_symbols()
    wrapped = small_glass.get_positions(wrap=True)
    images = Atoms(symbols, wrapped, cell=small_glass.cell, pbc=True).repeat(3)
    lengths = np.linalg.norm(images.positions[None] - small_glass.cell.array.sum(axis=0) - wrapped[:, None], axis=-1)
    coherent = np.zeros_like(Q)
    for i, j in zip(*np.nonzero((lengths > 1e-9) & (lengths < r_end)), strict=True):
        coherent += f[symbols[i]] * f[symbols[j % len(symbols)]] * np.sinc(Q * lengths[i, j] / np.pi)
    mean = sum(f[s] for s in symbols) / len(symbols)
    uniform = 4 * np.pi * (np.sin(Q * r_end) - Q * r_end * np.cos(Q * r_end)) / Q**3
    density = len(symbols) / small_glass.get_volume()
    expected = 1 + coherent / len(symbols) / mean**2 - density * uniform
    np.testing.assert_allclose(total_scattering([small_glass], q=Q, r_max_A=r_end).y, expected, rtol=1e-7, atol=1e-8)


def test_functions_of_q_are_one_function_in_four_normalisations(triclinic_glass: Atoms) -> None:
    s, i, qi, f2 = (
        total_scattering([triclinic_glass], quantity=name, q=Q) for name in ("s_of_q", "i_of_q", "qi_of_q", "f2_of_q")
    )
    assert [c.quantity for c in (s, i, qi, f2)] == ["s_of_q", "i_of_q", "qi_of_q", "f2_of_q"]
    np.testing.assert_allclose(i.y, s.y - 1, atol=1e-14)
    np.testing.assert_allclose(qi.y, Q * (s.y - 1), atol=1e-12)
    np.testing.assert_allclose(f2.y * mean_square_ratio(fractions_of(triclinic_glass), Q), s.y - 1, atol=1e-12)


def test_functions_of_r_are_one_function_in_three_normalisations() -> None:
    atoms, r = rocksalt(copies=2), np.linspace(0.5, 8.0, 200)
    g, t, total = (total_scattering([atoms], quantity=name, r=r, q_max=20.0) for name in ("g_pdf", "t_of_r", "g_of_r"))
    uniform = 4 * np.pi * len(atoms) / atoms.get_volume() * r
    np.testing.assert_allclose(t.y, g.y + uniform, atol=1e-12)
    np.testing.assert_allclose(total.y * uniform, t.y, atol=1e-12)


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
def test_s_of_q_tends_to_one(radiation: str) -> None:
    frames = [rocksalt(seed, copies=3, width=0.15) for seed in range(3)]
    s = total_scattering(frames, radiation=radiation, q=np.linspace(40, 70, 301))
    assert abs(s.y.mean() - 1) < 2e-3
    assert np.abs(s.y - 1).max() < 0.1


@pytest.mark.parametrize(("radiation", "tolerance"), [("neutron", 0.002), ("xray", 0.05)])
def test_g_pdf_falls_with_four_pi_rho_below_the_first_contact(radiation: str, tolerance: float) -> None:
    # with X-rays the weights change with Q, so that each peak has tails that reach below the first contact
    frames = [rocksalt(seed, copies=4) for seed in range(2)]
    r = np.linspace(0.3, 1.6, 60)
    g = total_scattering(frames, radiation=radiation, quantity="g_pdf", q_max=45.0, r=r)
    slope = (g.y @ r) / (r @ r)
    assert slope == pytest.approx(-4 * np.pi * len(frames[0]) / frames[0].get_volume(), rel=tolerance)


def test_g_pdf_is_that_of_the_own_s_of_q_and_needs_no_pairs_far_beyond_r() -> None:
    atoms = rocksalt(copies=4, width=0.12)
    q, r = np.linspace(0, 25, 1251), np.linspace(0.5, 8.0, 151)
    by_hand = g_pdf_of(total_scattering([atoms], q=q, r_max_A=16.0), r, window="lorch")
    direct = total_scattering([atoms], quantity="g_pdf", q=q, r=r, window="lorch")
    np.testing.assert_allclose(direct.y, by_hand.y, atol=0.01 * np.abs(by_hand.y).max())


def test_g_pdf_of_one_element_is_the_pair_distribution_within_its_window() -> None:
    atoms = bulk("Ni", "fcc", a=3.52, cubic=True).repeat(4)
    atoms.rattle(0.12, seed=1)
    r = np.linspace(1.0, 6.0, 26)
    g = total_scattering([atoms], quantity="g_pdf", q_max=50.0, r=r)
    vectors = atoms.repeat(3).positions - atoms.cell.array.sum(axis=0)
    d = np.linalg.norm(vectors[None] - atoms.positions[:, None], axis=-1)
    d = d[(d > 0.1) & (d < 11)]
    kernel = (
        np.array([((np.sin(50 * (x - d)) / (x - d) - np.sin(50 * (x + d)) / (x + d)) / d).sum() for x in r]) / np.pi
    )
    density = len(atoms) / atoms.get_volume()
    reach = np.linspace(1e-6, 11, 22001)
    beyond = (
        reach
        * np.array([np.sinc(50 * (x - reach) / np.pi) - np.sinc(50 * (x + reach) / np.pi) for x in r])
        * 50
        / np.pi
    )
    expected = kernel / len(atoms) - 4 * np.pi * density * np.trapezoid(beyond, reach, axis=1)
    np.testing.assert_allclose(g.y, expected, atol=0.005)


def test_the_grid_of_q_starts_one_step_above_zero_or_at_q_min() -> None:
    atoms = rocksalt(copies=1)
    np.testing.assert_allclose(total_scattering([atoms], q_max=1.0, q_step=0.25).x, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(total_scattering([atoms], q_min=0.5, q_max=1.0, q_step=0.25).x, [0.5, 0.75, 1.0])
    assert len(total_scattering([atoms], q_max=25.0, q_step=0.02).x) == 1250


def test_the_grid_of_r_ends_at_half_the_box_or_at_r_max() -> None:
    atoms = rocksalt(copies=2)
    assert total_scattering([atoms], quantity="g_pdf", q_step=0.1).x[-1] == pytest.approx(5.12, abs=1e-9)
    assert total_scattering([atoms], quantity="g_pdf", q_step=0.1, r_max_A=9.0).x[-1] == pytest.approx(9.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "f_of_q"}, "quantity 'f_of_q': did you mean"),
        ({"r": [1.0]}, "s_of_q: a function of Q takes no grid of r"),
        ({"quantity": "g_pdf", "r": [1.0], "r_max_A": 2.0}, "give either r or r_max_A"),
        ({"quantity": "g_pdf", "r": [2.0, 1.0]}, "r must be a list of values >= 0 in Å that increase strictly"),
        ({"quantity": "g_of_r", "r": [0.0, 1.0]}, "g_of_r: r starts at 0 Å"),
        ({"q_max": 0.0}, "Q from 0 to 0 in steps of 0.02 1/Å"),
        ({"q_step": 0.0}, "Q from 0 to 25 in steps of 0 1/Å"),
        ({"q_max": 80.0}, "Q must be 0 to 75.4 1/Å"),
        ({"radiation": "electron"}, "radiation 'electron'"),
        ({"quantity": "g_pdf", "window": "hann"}, "window 'hann'"),
    ],
)
def test_bad_options_are_refused(options, message) -> None:
    with pytest.raises(SettingsError, match=message):
        total_scattering([rocksalt(copies=1)], **options)


def test_the_mean_over_glasses_carries_the_standard_error() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(1, 0.2, (6, 40))
    x = np.arange(1.0, 41.0)
    mean = over_glasses([Curve(Quantity.S_OF_Q, x, y) for y in values])
    np.testing.assert_allclose(mean.y, values.mean(axis=0))
    np.testing.assert_allclose(mean.sigma, values.std(axis=0, ddof=1) / np.sqrt(6))
    assert over_glasses([Curve(Quantity.S_OF_Q, x, values[0])]).sigma is None


def test_curves_of_r_are_cut_to_the_smallest_box_and_curves_of_q_are_not() -> None:
    x = np.arange(1.0, 6.0)
    short, long = Curve(Quantity.G_PDF, x[:3], x[:3]), Curve(Quantity.G_PDF, x, x)
    assert len(over_glasses([long, short]).x) == 3
    with pytest.raises(DataError, match="curve 1 is not on the grid of the first"):
        over_glasses([Curve(Quantity.S_OF_Q, x, x), Curve(Quantity.S_OF_Q, x[:3], x[:3])])
    with pytest.raises(DataError, match="curve 1 is not on the grid of the first"):
        over_glasses([long, Curve(Quantity.G_PDF, x + 0.5, x)])
    with pytest.raises(DataError, match="curve 1 is s_of_q, the first is g_pdf"):
        over_glasses([long, Curve(Quantity.S_OF_Q, x, x)])
    with pytest.raises(DataError, match="no curves given"):
        over_glasses([])


@pytest.mark.skipif(not NI_POWDER.exists(), reason="measured Ni powder G_PDF is not beside this checkout")
def test_measured_nickel_powder_is_reproduced() -> None:
    lines = NI_POWDER.read_text().splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("#L")) + 1
    r, measured = np.array([[float(word) for word in line.split()] for line in lines[start:]]).T
    inside = (r >= 1.5) & (r <= 20.0)
    r, measured = r[inside], measured[inside]
    crystal = bulk("Ni", "fcc", a=3.5248, cubic=True).repeat(6)
    crystal.rattle(0.0755, seed=0)
    q = np.linspace(0.5, 25.0, 1226)  # range of the measurement, from its header
    model = total_scattering([crystal], quantity="g_pdf", q=q, r=r).y * np.exp(-((r * 0.0574) ** 2) / 2)
    scale = (model @ measured) / (model @ model)
    assert np.sqrt(((measured - scale * model) ** 2).sum() / (measured**2).sum()) < 0.08
