"""Which function a curve is: model curves whose function is known, real files, and files under a wrong name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mlsim.composition import Composition
from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError
from mlsim.io.columns import read_columns
from mlsim.io.measurements import identified_file, read_measurement
from mlsim.melt_quench import pack
from mlsim.scattering import converted, identified, total_scattering
from mlsim.scattering.limits import bond_range, filled_points, first_contact, first_peak, line_through_origin

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
NICKEL = SHARED / "ni-powder" / "Ni.gr"
GLASS_S = SHARED / "mg2sio4-glass" / "derived_Mg2SiO4_glass_SQ.dat"
GLASS_G = SHARED / "mg2sio4-glass" / "derived_Mg2SiO4_glass_Gr.dat"
FORSTERITE = Composition.parse("Mg2SiO4").fractions
FORSTERITE_DENSITY = 0.0809
real_data = pytest.mark.skipif(not NICKEL.exists(), reason="the measured files beside the checkout are not there")


@cache
def packed(formula: str, density: float) -> Atoms:
    composition = Composition.parse(formula)
    return pack(composition, composition.nearest_atom_number(500), density_g_cm3=density, seed=1)


def model_curve(atoms: Atoms, quantity: Quantity, radiation: str, q_min: float) -> Curve:
    q = np.arange(q_min, 20.0, 0.02)
    grid = {} if quantity.of_q else {"r": np.arange(0.02, atoms.cell.lengths()[0] / 2, 0.02)}
    return total_scattering([atoms], radiation=radiation, quantity=quantity, q=q, **grid)


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
@pytest.mark.parametrize(("formula", "density"), [("SiO2", 2.2), ("Li3ZrCl4O1.5", 2.1)])
def test_a_model_curve_is_never_taken_for_another_function_with_confidence(
    formula: str, density: float, radiation: str
) -> None:
    atoms = packed(formula, density)
    right = 0
    kinds = [q for q in Quantity if radiation == "neutron" or not q.of_neutrons]
    for quantity in kinds:
        curve = model_curve(atoms, quantity, radiation, 0.6)
        found = identified(
            curve.x,
            curve.y,
            Composition.parse(formula).fractions,
            radiation=radiation,
            number_density=len(atoms) / atoms.get_volume(),
            axis=("Q" if quantity.of_q else "r", "the header"),
        )
        right += found.quantity == quantity
        assert found.name == quantity or found.confidence == "low", (quantity, found)
        assert found.quantity.of_q == quantity.of_q
    assert right > len(kinds) / 2


@pytest.mark.parametrize(("quantity", "limit"), [("s_of_q", -0.65), ("i_of_q", -1.65), ("f2_of_q", -1.0)])
def test_the_low_q_limit_tells_the_normalisation(quantity: str, limit: float) -> None:
    """Low Q as it should be for Li3ZrCl4O1.5: S - 1 = -<f²>/<f>² = -1.65, or -1 in the other normalisation."""
    glass = Composition.parse("Li3ZrCl4O1.5").fractions
    q = np.arange(0.2, 22.0, 0.02)
    rise = 1 / (1 + np.exp(-(q - 1.9) / 0.12))
    shells = sum(w * np.sin(q * r) / (q * r) * np.exp(-((s * q) ** 2) / 2) for w, r, s in SHELLS)
    from mlsim.scattering import mean_square_ratio

    s = Curve(Quantity.S_OF_Q, q, 1 + rise * shells - (1 - rise) * mean_square_ratio(glass, q))
    curve = converted(s, quantity, fractions=glass)
    assert curve.y[0] == pytest.approx(limit, abs=0.03)
    found = identified(curve.x, curve.y, glass, axis=("Q", "the header"))
    assert found.name == quantity
    assert found.confidence != "low"
    assert found.scale is not None
    assert found.scale.value == pytest.approx(1.0, abs=0.02)
    assert any("S - 1 = -1.6" in words for words in found.evidence)


SHELLS = ((2.5, 2.05, 0.08), (6.0, 2.48, 0.1), (4.0, 3.6, 0.2))


@real_data
@pytest.mark.parametrize(
    ("path", "formula", "number_density", "quantity"),
    [
        (NICKEL, "Ni", None, "g_pdf"),
        (NICKEL, "Ni", 0.0914, "g_pdf"),
        (GLASS_G, "Mg2SiO4", None, "g_pdf"),
        (GLASS_G, "Mg2SiO4", FORSTERITE_DENSITY, "g_pdf"),
        (GLASS_S, "Mg2SiO4", None, "s_of_q"),
        (GLASS_S, "Mg2SiO4", FORSTERITE_DENSITY, "s_of_q"),
    ],
)
def test_real_files_are_identified(path: Path, formula: str, number_density: float | None, quantity: str) -> None:
    fractions = Composition.parse(formula).fractions
    found = identified_file(path, read_columns(path), fractions, radiation="xray", number_density=number_density)
    assert (found.name, found.normalisation, found.confidence) == (quantity, "<f>^2", "high")


@real_data
@pytest.mark.parametrize(
    ("path", "formula", "wrong_name", "quantity"),
    [
        (NICKEL, "Ni", "wrong.sq", "g_pdf"),
        (GLASS_G, "Mg2SiO4", "wrong.fq", "g_pdf"),
        (GLASS_S, "Mg2SiO4", "wrong.gr", "s_of_q"),
    ],
)
def test_files_without_header_and_under_a_wrong_name_are_identified_all_the_same(
    tmp_path: Path, path: Path, formula: str, wrong_name: str, quantity: str
) -> None:
    columns = read_columns(path)
    copy = tmp_path / wrong_name
    copy.write_text("".join(f"{a:.6f} {b:.6f}\n" for a, b in zip(columns.x, columns.y, strict=True)))
    found = identified_file(copy, read_columns(copy), Composition.parse(formula).fractions, radiation="xray")
    assert found.quantity == quantity
    fractions = Composition.parse(formula).fractions
    for given in ("s_of_q", "qi_of_q") if quantity == "g_pdf" else ("g_of_r", "g_pdf"):
        with pytest.raises(DataError, match=f"{wrong_name}: is given as {given}, but looks like {quantity} "):
            read_measurement(copy, given, "xray", formula, fractions=fractions)
        forced = read_measurement(copy, given, "xray", formula)  # without a composition it is held against nothing
        assert forced.curve.quantity == given


@real_data
@pytest.mark.parametrize("quantity", ["i_of_q", "qi_of_q", "f2_of_q", "g_of_r", "t_of_r"])
def test_the_real_glass_in_other_functions_is_not_mistaken(quantity: str) -> None:
    path = GLASS_S if Quantity(quantity).of_q else GLASS_G
    given = Quantity.S_OF_Q if Quantity(quantity).of_q else Quantity.G_PDF
    columns = read_columns(path)
    curve = converted(
        Curve(given, columns.x, columns.y), quantity, fractions=FORSTERITE, number_density=FORSTERITE_DENSITY
    )
    found = identified(curve.x, curve.y, FORSTERITE, axis=("Q" if curve.quantity.of_q else "r", "the header"))
    assert found.name == quantity


@real_data
def test_the_density_of_the_glass_is_found_from_its_slope_and_the_doubt_is_said() -> None:
    columns = read_columns(GLASS_G)
    found = identified(columns.x, columns.y, FORSTERITE, number_density=FORSTERITE_DENSITY)
    assert found.number_density is not None and found.scale is not None
    assert abs(found.number_density.value - FORSTERITE_DENSITY) < 2 * found.number_density.standard_error
    assert any(re.match(r"the ripples below the first contact leave \d+% of the slope open", d) for d in found.doubts)


def test_a_file_used_as_what_it_is_not_is_refused_with_the_evidence() -> None:
    r = np.arange(0.01, 12.0, 0.01)
    g = 30 * np.exp(-((r - 2.5) ** 2) / 0.01) - 1.15 * np.minimum(r, 2.4) * np.exp(-np.maximum(r - 2.4, 0))
    found = identified(r, g, {"Ni": 1.0}, number_density=0.0914)
    assert found.name == "g_pdf"
    with pytest.raises(DataError, match=r"a\.gr: is given as g_of_r, but looks like g_pdf .*force the quantity"):
        found.require(Quantity.G_OF_R, "a.gr")
    found.require(Quantity.G_PDF, "a.gr")


def test_the_density_of_a_model_is_found_from_the_slope_of_its_g_pdf() -> None:
    atoms = packed("SiO2", 2.2)
    curve = model_curve(atoms, Quantity.G_PDF, "neutron", 0.02)
    density = len(atoms) / atoms.get_volume()
    found = identified(curve.x, curve.y, Composition.parse("SiO2").fractions, radiation="neutron")
    assert found.number_density is not None
    assert found.number_density.value == pytest.approx(density, abs=3 * found.number_density.standard_error)


def test_a_prepeak_lifts_the_low_q_limit_and_no_right_function_is_refused() -> None:
    """S(Q) of a glass whose density fluctuates: far above -<f²>/<f>² at every Q below its first peak."""
    glass = Composition.parse("Li3ZrCl4O1.5").fractions
    q = np.arange(0.5, 20.0, 0.02)
    rise = 1 / (1 + np.exp(-(q - 1.6) / 0.1))
    shells = sum(w * np.sin(q * r) / (q * r) * np.exp(-((s * q) ** 2) / 2) for w, r, s in SHELLS)
    s = Curve(Quantity.S_OF_Q, q, 1 + rise * shells - (1 - rise) * (0.7 - 0.25 * np.exp(-((q - 0.8) ** 2) / 0.04)))
    for quantity in (Quantity.S_OF_Q, Quantity.I_OF_Q, Quantity.QI_OF_Q, Quantity.F2_OF_Q):
        curve = converted(s, quantity, fractions=glass)
        found = identified(curve.x, curve.y, glass, axis=("Q", "the header"))
        assert found.confidence == "low"
        found.require(quantity, "file")


@pytest.mark.parametrize("kind", ["counts", "constant", "line"])
def test_what_is_no_function_of_total_scattering_is_refused(kind: str) -> None:
    x = np.arange(0.5, 20.0, 0.02)
    y = {"counts": 1000 * np.exp(-x / 3) * (1 + 0.2 * np.sin(3 * x) / x), "constant": np.ones_like(x), "line": x}[kind]
    found = identified(x, y, Composition.parse("SiO2").fractions)
    assert found.doubts[0] == "no function fits this curve; the one named is only the nearest"
    with pytest.raises(DataError, match=r"a\.sq: is given as s_of_q, but fits no function of total scattering"):
        found.require(Quantity.S_OF_Q, "a.sq")


def test_fewer_than_20_points_are_refused() -> None:
    with pytest.raises(DataError, match="identification: got 5 points, expected at least 20"):
        identified(np.arange(5), np.arange(5), {"Ni": 1.0})


def test_filled_points_are_those_on_a_constant_or_a_line() -> None:
    x = np.linspace(0.1, 10, 100)
    y = np.sin(x)
    assert filled_points(x, y) == 0
    y[:12] = -1.0
    assert filled_points(x, y) == 12
    y[:20] = -0.3 * x[:20]
    assert filled_points(x, y) == 20


def test_the_first_contact_is_the_foot_of_the_first_strong_peak() -> None:
    r = np.arange(0.01, 6, 0.01)
    y = np.exp(-((r - 2.4) ** 2) / 0.02) + 0.3 * np.exp(-((r - 1.5) ** 2) / 0.01) - 0.1 * r
    contact = first_contact(r, y)
    assert contact is not None and 1.7 < contact < 2.2
    assert first_contact(r, -np.ones_like(r)) is None


def test_width_and_position_of_a_gaussian_peak_are_found() -> None:
    x = np.arange(0.0, 8.0, 0.01)
    peak = first_peak(x, np.exp(-((x - 3) ** 2) / 2 / 0.2**2), start=0.5, smooth=0.02)
    assert peak is not None
    assert peak == pytest.approx((3.0, 0.471), abs=0.03)


def test_the_slope_of_a_line_with_ripples_is_within_its_error() -> None:
    x = np.linspace(0.01, 2, 300)
    line = line_through_origin(x, -1.3 * x + 0.2 * np.sin(15 * x))
    assert abs(line.slope + 1.3) < 2 * line.error < 0.2


def test_bonds_span_the_covalent_radii() -> None:
    assert bond_range({"Ni"}) == pytest.approx((1.86, 3.22), abs=0.01)
