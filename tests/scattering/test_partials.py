"""g_ij(r) and A_ij(Q) against analytic results, a double loop, and what must not change them."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from random_atoms import random_cube, random_triclinic

from mlsim.errors import DataError, SettingsError
from mlsim.geometry import largest_exact_radius
from mlsim.scattering import partial_g_of_r, partial_structure_factors, smallest_q

Q = np.linspace(0.3, 25.0, 90)


@pytest.fixture
def triclinic_glass() -> Atoms:
    return random_triclinic()


@pytest.fixture
def small_glass() -> Atoms:
    return random_cube()


def distances_by_double_loop(atoms: Atoms, a: str, b: str, r_end: float) -> np.ndarray:
    """All ordered distances a -> b with every image that can matter."""
    symbols = np.array(atoms.get_chemical_symbols())
    cell = atoms.cell.array
    reach = (
        int(
            np.ceil(
                r_end / min(atoms.get_volume() / np.linalg.norm(np.cross(cell[i - 1], cell[i - 2])) for i in range(3))
            )
        )
        + 1
    )
    wrapped = atoms.get_positions(wrap=True)
    one, other = wrapped[symbols == a], wrapped[symbols == b]
    steps = np.arange(-reach, reach + 1)
    found = []
    for shift in np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) @ cell:
        d = np.linalg.norm(other[None] + shift - one[:, None], axis=-1).ravel()
        found.append(d[(d > 1e-9) & (d < r_end)])
    return np.concatenate(found)


def naive_structure_factor(atoms: Atoms, a: str, b: str, q: np.ndarray, r_end: float) -> np.ndarray:
    d = distances_by_double_loop(atoms, a, b, r_end)
    n_a, n_b = (atoms.get_chemical_symbols().count(e) for e in (a, b))
    sums = np.array([(np.sin(k * d) / (k * d)).sum() for k in q])
    uniform = 4 * np.pi * (np.sin(q * r_end) - q * r_end * np.cos(q * r_end)) / q**3
    return 1 + len(atoms) / (n_a * n_b) * sums - len(atoms) / atoms.get_volume() * uniform


@pytest.mark.parametrize("r_end", [6.5, 19.0])
def test_structure_factors_agree_with_a_double_sum_in_a_triclinic_cell(triclinic_glass: Atoms, r_end: float) -> None:
    for (a, b), curve in partial_structure_factors([triclinic_glass], Q, r_max_A=r_end).items():
        expected = naive_structure_factor(triclinic_glass, a, b, Q, r_end)
        np.testing.assert_allclose(curve.y, expected, rtol=1e-7, atol=1e-8, err_msg=f"{a}-{b}")


@pytest.mark.parametrize("q_max", [1.0, 10.0, 60.0])
def test_accuracy_of_the_sums_does_not_depend_on_the_largest_q(small_glass: Atoms, q_max: float) -> None:
    q = np.linspace(0.05, q_max, 40)
    curve = partial_structure_factors([small_glass], q, r_max_A=5.0)["Cl", "Zr"]
    np.testing.assert_allclose(curve.y, naive_structure_factor(small_glass, "Cl", "Zr", q, 5.0), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("r_end", [5.0, 14.0])
def test_g_of_r_agrees_with_a_double_loop(triclinic_glass: Atoms, r_end: float) -> None:
    for (a, b), curve in partial_g_of_r([triclinic_glass], r_max_A=r_end, r_step_A=0.1).items():
        edges = np.arange(len(curve.x) + 1) * 0.1
        counts, _ = np.histogram(distances_by_double_loop(triclinic_glass, a, b, r_end), bins=edges)
        n_a, n_b = (triclinic_glass.get_chemical_symbols().count(e) for e in (a, b))
        shells = 4 / 3 * np.pi * np.diff(edges**3)
        np.testing.assert_allclose(curve.y, triclinic_glass.get_volume() * counts / (n_a * n_b * shells), rtol=1e-9)


def test_one_pair_gives_sin_qr_over_qr() -> None:
    atoms = Atoms("LiCl", positions=[[0, 0, 0], [1.2, 1.6, 0]], cell=[50, 50, 50], pbc=True)
    curves = partial_structure_factors([atoms], Q, r_max_A=3.0)
    density = 2 / 50**3
    uniform = density * 4 * np.pi * (np.sin(3 * Q) - 3 * Q * np.cos(3 * Q)) / Q**3
    np.testing.assert_allclose(curves["Cl", "Li"].y, 1 + 2 * np.sin(2 * Q) / (2 * Q) - uniform, rtol=1e-8)
    np.testing.assert_allclose(curves["Li", "Li"].y, 1 - uniform, rtol=1e-12)


@pytest.mark.parametrize("shape", [np.diag([22.0, 22.0, 22.0]), np.array([[22.0, 0, 0], [9, 21, 0], [-7, 5, 23]])])
def test_ideal_gas_has_g_of_one_within_its_sigma(shape: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    frames = [Atoms("Li300Cl200", scaled_positions=rng.random((500, 3)), cell=shape, pbc=True) for _ in range(8)]
    volume = abs(np.linalg.det(shape))
    for (a, b), curve in partial_g_of_r(frames, r_step_A=0.1).items():
        n = {"Li": 300, "Cl": 200}
        mean = 1 - 1 / n[a] if a == b else 1.0
        shells = 4 / 3 * np.pi * ((curve.x + 0.05) ** 3 - (curve.x - 0.05) ** 3)
        pairs = len(frames) * n[a] * n[b] * shells / volume / (2 if a == b else 1)
        z = ((curve.y - mean) * np.sqrt(pairs))[pairs > 20]
        assert len(z) > 60
        assert abs(z.mean()) < 4 / np.sqrt(len(z))
        assert z.std() == pytest.approx(1.0, abs=4 / np.sqrt(2 * len(z)))


def test_structure_factors_tend_to_one_at_large_q(triclinic_glass: Atoms) -> None:
    q = np.linspace(65, 75, 200)
    rattled = [triclinic_glass.copy() for _ in range(4)]
    for seed, atoms in enumerate(rattled):
        atoms.rattle(0.3, seed=seed)
    for (a, b), curve in partial_structure_factors(rattled, q).items():
        fewest = min(triclinic_glass.get_chemical_symbols().count(e) for e in (a, b))
        assert abs(curve.y.mean() - 1) < 2 / fewest


@pytest.mark.parametrize("copies", [(2, 1, 1), (1, 3, 2)])
def test_a_supercell_has_the_same_partials(small_glass: Atoms, copies: tuple[int, int, int]) -> None:
    for quantity in (lambda a: partial_g_of_r(a, r_max_A=9.0), lambda a: partial_structure_factors(a, Q, r_max_A=9.0)):
        single, multiple = quantity([small_glass]), quantity([small_glass.repeat(copies)])
        for pair in single:
            np.testing.assert_allclose(multiple[pair].y, single[pair].y, rtol=1e-9, atol=1e-9)


def test_another_choice_of_cell_vectors_changes_nothing(triclinic_glass: Atoms) -> None:
    skewed = make_supercell(triclinic_glass, [[1, 0, 0], [2, 1, 0], [-1, 1, 1]])
    assert largest_exact_radius(skewed.cell.array) == pytest.approx(largest_exact_radius(triclinic_glass.cell.array))
    one, other = (partial_structure_factors([a], Q) for a in (triclinic_glass, skewed))
    for pair in one:
        np.testing.assert_allclose(other[pair].y, one[pair].y, rtol=1e-9, atol=1e-9)


def rotated(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.rotate(37.0, (1, 2, 3), rotate_cell=True)
    return copy


def moved(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.translate([3.3, -20.1, 7.7])
    return copy


def wrapped(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.wrap()
    return copy


def shuffled(atoms: Atoms) -> Atoms:
    return atoms[np.random.default_rng(3).permutation(len(atoms))]


def mirrored(atoms: Atoms) -> Atoms:
    copy = atoms.copy()
    copy.set_cell(-copy.cell.array, scale_atoms=True)
    return copy


@pytest.mark.parametrize("change", [rotated, moved, wrapped, shuffled, mirrored])
def test_partials_do_not_depend_on(change, small_glass: Atoms) -> None:
    one, other = (partial_structure_factors([a], Q, r_max_A=8.0) for a in (small_glass, change(small_glass)))
    for pair in one:
        np.testing.assert_allclose(other[pair].y, one[pair].y, rtol=1e-8, atol=1e-9)


def test_frames_are_averaged_each_with_its_own_volume(small_glass: Atoms) -> None:
    larger = small_glass.copy()
    larger.set_cell(1.03 * larger.cell.array, scale_atoms=True)
    frames = [small_glass, larger]
    for quantity in (lambda a: partial_g_of_r(a, r_max_A=5.0), lambda a: partial_structure_factors(a, Q, r_max_A=5.0)):
        both, one, other = quantity(frames), quantity(frames[:1]), quantity(frames[1:])
        for pair in both:
            np.testing.assert_allclose(both[pair].y, (one[pair].y + other[pair].y) / 2, rtol=1e-9, atol=1e-12)


def test_the_structure_factor_is_the_transform_of_g_of_r(triclinic_glass: Atoms) -> None:
    r_end, step = 7.0, 0.002
    q = np.linspace(0.3, 6.0, 30)
    g = partial_g_of_r([triclinic_glass], r_max_A=r_end, r_step_A=step)
    a = partial_structure_factors([triclinic_glass], q, r_max_A=r_end)
    density = len(triclinic_glass) / triclinic_glass.get_volume()
    for pair, curve in g.items():
        sinc = np.sin(np.outer(q, curve.x)) / np.outer(q, curve.x)
        integral = 4 * np.pi * density * step * sinc @ (curve.x**2 * (curve.y - 1))
        np.testing.assert_allclose(a[pair].y, 1 + integral, atol=2e-3)


def test_first_shell_of_rocksalt_holds_six_neighbours() -> None:
    crystal = bulk("LiCl", "rocksalt", a=5.13)
    g = partial_g_of_r([crystal], r_max_A=3.0, r_step_A=0.01)["Cl", "Li"]
    density_li = 1 / crystal.get_volume()
    neighbours = 4 / 3 * np.pi * density_li * (((g.x + 0.005) ** 3 - (g.x - 0.005) ** 3) * g.y).sum()
    assert neighbours == pytest.approx(6.0, rel=1e-9)
    assert g.x[g.y.argmax()] == pytest.approx(2.565, abs=0.006)


def test_input_is_not_changed(small_glass: Atoms) -> None:
    before = small_glass.copy()
    partial_g_of_r([small_glass])
    partial_structure_factors([small_glass], Q)
    assert (small_glass.positions == before.positions).all()
    assert (small_glass.cell.array == before.cell.array).all()


def test_the_smallest_q_of_a_box_is_its_shortest_reciprocal_vector() -> None:
    assert smallest_q([Atoms("Ar", cell=[10, 10, 10], pbc=True)]) == pytest.approx(2 * np.pi / 10)
    fcc = bulk("Ni", "fcc", a=3.52)
    assert smallest_q([fcc]) == pytest.approx(2 * np.pi * np.sqrt(3) / 3.52)
    frames = [Atoms("Ar", cell=[length] * 3, pbc=True) for length in (10, 8, 9)]
    assert smallest_q(frames) == pytest.approx(2 * np.pi / 8)


@pytest.mark.parametrize(
    ("frames", "options", "error", "message"),
    [
        ([], {}, DataError, "scattering: no frames given"),
        (Atoms("Ar", cell=[9, 9, 9], pbc=True), {}, DataError, r"got one ase.Atoms.* pass \[atoms\]"),
        ([Atoms(cell=[9, 9, 9], pbc=True)], {}, DataError, "scattering: frame 0 holds no atoms"),
        ([Atoms("Ar")], {}, DataError, "frame 0 is not periodic along all three vectors"),
        ([Atoms("Ar", cell=[9, 9, 9], pbc=(1, 1, 0))], {}, DataError, "frame 0 is not periodic"),
        (
            [Atoms("Ar", [[np.nan, 0, 0]], cell=[9, 9, 9], pbc=True)],
            {},
            DataError,
            "frame 0 holds positions that are not",
        ),
        (
            [Atoms("Ar", cell=[9, 9, 9], pbc=True), Atoms("Kr", cell=[9, 9, 9], pbc=True)],
            {},
            DataError,
            "frame 1 is Kr, the first is Ar",
        ),
        (
            [Atoms("Ar", cell=[9, 9, 9], pbc=True)],
            {"r_max_A": -1.0},
            SettingsError,
            "r_max_A is -1, expected a positive",
        ),
        ([Atoms("Ar", cell=[9, 9, 9], pbc=True)], {"r_step_A": 0.0}, SettingsError, "bins of 0 Å up to 4.5 Å"),
    ],
)
def test_bad_frames_are_refused(frames, options, error, message) -> None:
    with pytest.raises(error, match=message):
        partial_g_of_r(frames, **options)


@pytest.mark.parametrize("q", [[], [1.0, 1.0], [2.0, 1.0], [-1.0, 1.0], [np.nan], [[1.0]]])
def test_bad_grids_of_q_are_refused(q: list[float], small_glass: Atoms) -> None:
    with pytest.raises(SettingsError, match="q must be a list of values >= 0 in 1/Å that increase strictly"):
        partial_structure_factors([small_glass], q)


def test_bins_taken_from_an_earlier_pass_are_those_of_an_own_pass(small_glass: Atoms) -> None:
    partial_structure_factors([small_glass], Q, r_max_A=9.0)
    for step in (0.02, 0.05, 0.013):
        shared = partial_g_of_r([small_glass], r_max_A=9.0, r_step_A=step)
        own = partial_g_of_r([shuffled(small_glass)], r_max_A=9.0, r_step_A=step)
        for pair in shared:
            np.testing.assert_allclose(shared[pair].y, own[pair].y, rtol=1e-9)


def test_atoms_that_moved_are_counted_anew(small_glass: Atoms) -> None:
    before = partial_structure_factors([small_glass], Q, r_max_A=6.0)["Cl", "Zr"].y
    small_glass.positions[0] += 1e-3
    after = partial_structure_factors([small_glass], Q, r_max_A=6.0)
    expected = naive_structure_factor(small_glass, "Cl", "Zr", Q, 6.0)
    assert np.abs(before - after["Cl", "Zr"].y).max() > 0 or small_glass.symbols[0] not in ("Cl", "Zr")
    np.testing.assert_allclose(after["Cl", "Zr"].y, expected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("radiation", ["xray", "neutron"])
def test_the_total_of_a_triclinic_cell_agrees_with_the_debye_double_sum(triclinic_glass: Atoms, radiation: str) -> None:
    """All pairs one by one with their own f_i(Q) f_j(Q): no partials, no nodes."""
    from mlsim.scattering import scattering_amplitudes, total_scattering

    q, r_end = np.linspace(0.4, 20.0, 30), 7.5
    symbols = np.array(triclinic_glass.get_chemical_symbols())
    fractions = {e: float((symbols == e).mean()) for e in set(symbols)}
    f = scattering_amplitudes(fractions, q, radiation)  # type: ignore[arg-type]
    shifts = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3), axis=-1).reshape(-1, 3) @ triclinic_glass.cell.array
    wrapped_positions = triclinic_glass.get_positions(wrap=True)
    intensity = np.zeros_like(q)
    for i, own in enumerate(wrapped_positions):
        d = np.linalg.norm(wrapped_positions[:, None] + shifts - own, axis=-1)
        neighbour, image = np.nonzero((d < r_end) & (d > 1e-9))
        products = np.array([f[symbols[i]] * f[symbols[j]] for j in neighbour])
        intensity += (products * np.sinc(np.multiply.outer(d[neighbour, image], q) / np.pi)).sum(axis=0)
    mean = sum(c * f[e] for e, c in fractions.items())
    density = len(symbols) / triclinic_glass.get_volume()
    uniform = 4 * np.pi * density * (np.sin(q * r_end) - q * r_end * np.cos(q * r_end)) / q**3
    expected = 1 + intensity / len(symbols) / mean**2 - uniform
    got = total_scattering([triclinic_glass], q=q, r_max_A=r_end, radiation=radiation).y  # type: ignore[arg-type]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
