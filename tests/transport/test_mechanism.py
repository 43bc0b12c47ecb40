"""Hops, van Hove functions, surroundings and channels of walks that are known."""

from __future__ import annotations

import numpy as np
import pytest
from walks import CELL

from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport import (
    anion_counts,
    hop_statistics,
    hops_of,
    ion_density,
    mobility_by_surroundings,
    non_gaussian_parameter,
    percolating_directions,
    percolation,
    van_hove,
)

TRICLINIC = np.array([[12.0, 0.0, 0.0], [3.0, 11.0, 0.0], [-2.0, 2.0, 10.0]])


def hopping(rng, n_frames=3000, n_ions=8, rate=0.01, length=3.0, back=0.0, cage=0.15):
    """Ions that rattle and hop along x, y or z; a hop undoes the one before with probability `back`."""
    positions = np.empty((n_frames, n_ions, 3))
    n_hops = 0
    for i in range(n_ions):
        site, last, wait, path = rng.uniform(0, 20, 3), None, 0, []
        for _ in range(n_frames):
            if wait <= 0 and rng.random() < rate:
                step = np.zeros(3)
                step[rng.integers(3)] = length * rng.choice([-1, 1])
                if last is not None and rng.random() < back:
                    step = -last
                site, last, wait, n_hops = site + step, step, 30, n_hops + 1
            wait -= 1
            path.append(site)
        positions[:, i] = path
    positions += rng.normal(0, cage, positions.shape)
    return Trajectory(positions, CELL, ("Li",) * n_ions, 0.1, 600.0), n_hops


def test_hops_are_counted_with_their_length_and_those_of_rattling_ions_are_none():
    trajectory, n_hops = hopping(np.random.default_rng(0))
    found = hops_of(trajectory, "Li")
    assert abs(len(found) - n_hops) <= 0.02 * n_hops + 2
    lengths = np.linalg.norm(found.vector_A, axis=1)
    assert np.median(lengths) == pytest.approx(3.0, abs=0.15)
    assert found.rate_per_ps == pytest.approx(n_hops / (8 * 300), rel=0.03)
    still, _ = hopping(np.random.default_rng(1), rate=0.0)
    assert len(hops_of(still, "Li")) == 0
    with pytest.raises(DataError, match="no ion hopped twice in 1 trajectories; run longer or hotter"):
        hop_statistics([hops_of(still, "Li")])


def test_hops_that_go_back_are_told_from_those_that_forget():
    rng = np.random.default_rng(2)
    forgetting = hop_statistics([hops_of(hopping(rng)[0], "Li") for _ in range(2)])
    returning = hop_statistics([hops_of(hopping(rng, back=0.8)[0], "Li") for _ in range(2)])
    assert forgetting.successive_cosine.value == pytest.approx(0.0, abs=0.12)
    assert forgetting.back_fraction.value == pytest.approx(1 / 6, abs=0.06)
    assert returning.back_fraction.value == pytest.approx(0.8 + 0.2 / 6, abs=0.08)
    assert returning.successive_cosine.value < -0.6
    assert forgetting.n_hops > 300


def test_the_correlation_factor_takes_the_diffusivity_of_each_glass():
    rng = np.random.default_rng(6)
    glasses = [hops_of(hopping(rng, rate=rate)[0], "Li") for rate in (0.01, 0.03)]
    each = [g.rate_per_ps * float((g.vector_A**2).sum(axis=1).mean()) / 6 for g in glasses]
    factor = hop_statistics(glasses, each).correlation_factor
    assert factor.value == pytest.approx(1.0, rel=1e-9)
    assert factor.standard_error == pytest.approx(0.0, abs=1e-9)
    assert hop_statistics(glasses).correlation_factor is None
    with pytest.raises(DataError, match=r"^hops: 1 diffusivities for 2 glasses; give one for each$"):
        hop_statistics(glasses, each[:1])


def test_frames_too_far_apart_for_hops_are_refused():
    trajectory = Trajectory(np.zeros((100, 2, 3)), CELL, ("Li", "Zr"), 0.5)
    with pytest.raises(DataError) as caught:
        hops_of(trajectory, "Li")
    assert str(caught.value) == (
        "hops: 100 frames 0.5 ps apart; expected at most 0.3 ps between frames and at least 2.4 ps in all"
    )


def gaussian(rng, n_frames=400, n=16, cell=TRICLINIC):
    start = rng.uniform(0, 1, (n, 3)) @ cell
    return Trajectory(start + np.cumsum(rng.normal(0, 0.2, (n_frames, n, 3)), axis=0), cell, ("Li",) * n, 1.0, 600.0)


def test_van_hove_of_brownian_ions_is_gaussian_and_their_neighbours_are_everywhere():
    rng = np.random.default_rng(3)
    (found,) = van_hove(gaussian(rng, n=60, n_frames=200), "Li", [25.0])
    variance = 25 * 0.04
    expected = 4 * np.pi * found.r_A**2 * np.exp(-(found.r_A**2) / (2 * variance)) / (2 * np.pi * variance) ** 1.5
    np.testing.assert_allclose(found.self_per_A, expected, atol=0.12)
    assert found.self_per_A.sum() * 0.1 == pytest.approx(1.0, abs=0.01)
    assert found.distinct[20:].mean() == pytest.approx(1.0, abs=0.05)
    assert found.lag_ps == 25.0


def test_distinct_part_at_lag_zero_is_g_of_r_by_hand():
    rng = np.random.default_rng(4)
    trajectory = gaussian(rng, n_frames=1, n=6)
    whole = Trajectory(np.repeat(trajectory.positions, 5, axis=0), TRICLINIC, trajectory.elements, 1.0)
    (found,) = van_hove(whole, "Li", [0.0])
    shifts = np.array(np.meshgrid(*[range(-2, 3)] * 3)).reshape(3, -1).T @ TRICLINIC
    p = trajectory.positions[0]
    apart = np.array([np.linalg.norm(p[j] - p[i] + shifts, axis=1).min() for i in range(6) for j in range(6) if i != j])
    edges = np.append(found.r_A - 0.05, found.r_A[-1] + 0.05)
    density = 6 / abs(np.linalg.det(TRICLINIC))
    expected = np.histogram(apart, edges)[0] / (6 * density * 4 * np.pi / 3 * np.diff(edges**3))
    np.testing.assert_allclose(found.distinct, expected, atol=1e-9)


def test_one_ion_takes_the_place_of_another():
    positions = np.zeros((20, 2, 3))
    positions[:, 0, 0] = np.where(np.arange(20) < 10, 0.05, 5.05)
    positions[:, 1, 0] = np.where(np.arange(20) < 10, 5.05, 10.05)
    (found,) = van_hove(Trajectory(positions, CELL, ("Li", "Li"), 1.0), "Li", [12.0])
    assert found.distinct[0] > 100


def test_non_gaussian_parameter_is_zero_for_brownian_and_large_for_rare_hops():
    lag, alpha = non_gaussian_parameter(gaussian(np.random.default_rng(5), n=60), "Li")
    assert abs(alpha[lag < 20]).max() < 0.1
    assert lag[-1] > 100
    trajectory, _ = hopping(np.random.default_rng(6), rate=0.002)
    assert max(non_gaussian_parameter(trajectory, "Li")[1]) > 1.0


def beside_anions(rng, slow=0.2):
    """Half of the Li sit next to an O that follows them, and hop more rarely by a factor `slow`."""
    rates = (0.02 * slow, 0.02)
    parts = [hopping(rng, n_frames=1500, n_ions=6, rate=rate, cage=0.1)[0].positions for rate in rates]
    lithium = np.concatenate(parts, axis=1)
    anions = lithium + np.array([1.9, 0.0, 0.0])
    elements = ("Li",) * 12 + ("O",) * 6 + ("Cl",) * 6
    return Trajectory(np.concatenate([lithium, anions], axis=1), CELL * 2, elements, 0.1, 600.0)


def test_an_anion_that_slows_ions_down_is_found():
    rng = np.random.default_rng(7)
    glasses = [beside_anions(rng) for _ in range(2)]
    hops = [hops_of(t, "Li", drift="none") for t in glasses]
    found = mobility_by_surroundings(glasses, hops, "Li", {"O": 2.5, "Cl": 2.5})
    assert found.time_fraction.value == pytest.approx(0.5, abs=0.02)
    # 3 ps of rest after a hop are part of the walk: rates 1/(50 + 30) and 1/(250 + 30) per frame
    assert abs(found.rate_ratio.value - 80 / 280) < 4 * found.rate_ratio.standard_error
    assert found.rate_ratio.standard_error < 0.15
    assert sum(e.value for e in found.changes.values()) == pytest.approx(1.0)
    assert found.anion_share_resting.value == pytest.approx(0.5, abs=0.02)
    assert found.anion_share_hopping.value < 0.4
    with pytest.raises(DataError, match="surroundings: no cut-off for S; got Cl, O"):
        mobility_by_surroundings(glasses, hops, "Li", {"O": 2.5, "Cl": 2.5}, near="S")


def test_hops_begin_in_the_surroundings_of_the_stay_and_not_of_the_way():
    rng = np.random.default_rng(12)
    # to and fro between two sites 3 Å apart, one of them beside O, in 1 ps each: half way no O is within 2.5 Å
    stays, way = 40, np.linspace(0, 1, 11)[1:-1]
    cycle = np.concatenate([np.zeros(stays), way, np.ones(stays), way[::-1]])
    along = np.stack([np.roll(np.tile(cycle, 20), shift) for shift in rng.integers(0, len(cycle), 6)], axis=1)
    lithium = np.zeros((*along.shape, 3))
    lithium[:, :, 0] = 3.0 * along
    lithium[:, :, 1] = 6.0 * np.arange(6)
    beside = [np.broadcast_to(lithium[0] * [0, 1, 0] + [x, 0, 0], lithium.shape) for x in (-1.9, 4.9)]
    positions = np.concatenate([lithium, *beside], axis=1)
    elements = ("Li",) * 6 + ("O",) * 6 + ("Cl",) * 6
    glass = Trajectory(positions + rng.normal(0, 0.05, positions.shape), CELL * 3, elements, 0.1, 600.0)
    found = mobility_by_surroundings([glass], [hops_of(glass, "Li", drift="none")], "Li", {"O": 2.5, "Cl": 2.5})
    for change in (("near", "away"), ("away", "near")):
        assert found.changes[change].value == pytest.approx(0.5, abs=0.03)


def test_neighbours_are_counted_by_kind():
    positions = np.array([[[0, 0, 0], [2.0, 0, 0], [0, 2.4, 0], [0, 0, 19.0]]])
    trajectory = Trajectory(positions, CELL, ("Li", "O", "Cl", "Cl"), 1.0)
    counts = anion_counts(trajectory, "Li", {"O": 2.1, "Cl": 2.5}, np.array([0]))
    assert counts["O"].tolist() == [[1]]
    assert counts["Cl"].tolist() == [[2]]


def test_density_integrates_to_the_number_of_ions_also_when_it_drifts():
    rng = np.random.default_rng(8)
    trajectory = gaussian(rng, n=5)
    assert ion_density(trajectory, "Li").mean() * abs(np.linalg.det(TRICLINIC)) == pytest.approx(5.0)
    rest = np.repeat(rng.uniform(0, 10, (1, 3, 3)), 50, axis=0) + np.arange(50)[:, None, None] * 0.3
    drifting = Trajectory(rest, CELL, ("Li", "Zr", "Zr"), 1.0)
    assert ion_density(drifting, "Li", drift="framework").max() > 20 * ion_density(drifting, "Li", drift="none").max()


def test_rods_sheets_and_winding_paths_percolate_in_their_directions():
    empty = np.zeros((6, 7, 5), dtype=bool)
    assert percolating_directions(empty) == 0
    ball = empty.copy()
    ball[2:4, 2:4, 2:4] = True
    assert percolating_directions(ball) == 0
    across = np.roll(ball, (3, 4, 2), (0, 1, 2))  # across the boundary, still a ball
    assert percolating_directions(across) == 0
    sheet = empty.copy()
    sheet[:, :, 1] = True
    assert percolating_directions(sheet) == 2
    two_rods = empty.copy()
    two_rods[:, 1, 1] = two_rods[4, :, 3] = True  # they do not touch
    assert percolating_directions(two_rods) == 1
    stairs = np.zeros((6, 6, 3), dtype=bool)
    for i in range(6):
        stairs[i, i, 0] = stairs[i, (i + 1) % 6, 0] = True  # winds along a + b only
    assert percolating_directions(stairs) == 1


def test_the_free_energy_of_percolation_is_that_of_the_bottleneck():
    density = np.full((12, 12, 12), 1e-9)
    density[:, 5:7, 5:7] = 1.0
    density[3, 5:7, 5:7] = 0.1
    found = percolation(density, 600.0, directions=1)
    assert found.free_energy_eV == pytest.approx(8.617333262e-5 * 600 * np.log(10), rel=1e-6)
    assert found.volume_fraction == pytest.approx(4 / 144)
    assert found.ion_fraction == pytest.approx(1.0, abs=0.01)
    density[density < 1e-6] = 0.0
    assert percolation(density, 600.0, directions=2) is None
    with pytest.raises(DataError, match="percolation: 4 directions, expected 1, 2 or 3"):
        percolation(density, 600.0, directions=4)
