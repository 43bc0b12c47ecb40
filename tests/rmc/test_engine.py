"""The engine: exact against the forward model, exact against itself, reproducible."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boxes import CUBE, END, SKEW, oxychloride, synthetic

from mlsim.curve import Curve, Quantity
from mlsim.errors import Interrupted
from mlsim.geometry import minimum_image
from mlsim.progress import StopRequest
from mlsim.rmc import (
    CoordinationTarget,
    DataSet,
    RefineSettings,
    bond_valence_sums,
    coordination_reached,
    influences,
    misfit_and_gradient,
    refine,
)
from mlsim.rmc.constraints import minimum_distances_for
from mlsim.rmc.cost import cost_of
from mlsim.rmc.refine import exact_model
from mlsim.rmc.state import State

KINDS = [
    ("s_of_q", "xray"),
    ("qi_of_q", "neutron"),
    ("f2_of_q", "xray"),
    ("g_pdf", "xray"),
    ("g_pdf", "neutron"),
    ("t_of_r", "xray"),
    ("g_of_r", "neutron"),
]
SETTINGS = RefineSettings(moves_per_atom=60, r_end_A=END, annealing=0.3)


def state_of(atoms, data, settings=SETTINGS, seed=0):  # type: ignore[no-untyped-def]
    limits, _ = minimum_distances_for(atoms, settings.minimum_distances_A)
    cost = cost_of(data, atoms, END, min(limits.values())) if data else None
    return State(atoms, cost, limits, settings, np.random.Generator(np.random.PCG64(seed)))


@pytest.mark.parametrize("cell", [CUBE, SKEW], ids=["cube", "skew"])
@pytest.mark.parametrize(("kind", "radiation"), KINDS)
def test_kept_curve_is_that_of_the_exact_forward_model(cell, kind, radiation) -> None:  # type: ignore[no-untyped-def]
    atoms = oxychloride(cell)
    data = synthetic(oxychloride(cell, seed=2), kind, radiation)
    state = state_of(atoms, [data])
    state.run(500)
    moved = atoms.copy()
    moved.positions = state.positions()
    exact = exact_model(moved, data, END)
    limit = {"s_of_q": 1.0, "g_of_r": 1.0}.get(kind, 0.0)
    if kind == "t_of_r":
        limit = 4 * np.pi * len(atoms) / atoms.get_volume() * exact.x
    kept = limit + state.cost.model(state.waves(), 0)
    assert np.abs(kept - exact.y).max() < 5e-4 * np.abs(exact.y - limit).max()


@pytest.mark.parametrize("q_max", [12.0, 16.0, 28.0])
def test_pair_sums_hold_every_pair_within_their_end_and_no_other(q_max: float) -> None:
    """Atoms left out and empty places lie far away in the code of a distance; it must have room for that."""
    atoms = oxychloride()
    q = np.arange(0.5, q_max, 0.05)
    d = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    for end in np.arange(5.5, 7.5, 0.1):
        data = DataSet("s", Curve(Quantity.S_OF_Q, q, np.ones_like(q), np.ones_like(q)), "xray", q_max=q_max)
        limits, _ = minimum_distances_for(atoms, {})
        cost = cost_of([data], atoms, end, min(limits.values()))
        state = State(atoms, cost, limits, SETTINGS, np.random.Generator(np.random.PCG64(0)))
        assert round(float(state.H.sum())) == (d < end).sum()


@pytest.mark.parametrize("cell", [CUBE, SKEW], ids=["cube", "skew"])
def test_pair_sums_kept_move_by_move_are_those_of_the_positions_bit_by_bit(cell) -> None:  # type: ignore[no-untyped-def]
    atoms = oxychloride(cell)
    data = [synthetic(oxychloride(cell, seed=2), k, r) for k, r in (("s_of_q", "xray"), ("g_pdf", "neutron"))]
    settings = SETTINGS.model_copy(update={"swaps": (("O", "Cl"), ("Li", "Zr")), "swap_share": 0.3})
    state = state_of(atoms, data, settings)
    tally = state.run(4000)
    assert tally.accepted[:-1].sum() > 100
    assert tally.accepted[-1] > 0
    assert np.array_equal(state.H, state.pair_sums())
    assert tally.drift[0] < 1e-11 * tally.drift[1]


def test_minimum_distances_hold_at_every_moment() -> None:
    atoms = oxychloride()
    limits, _ = minimum_distances_for(atoms, {})
    state = state_of(atoms, [], SETTINGS.model_copy(update={"swaps": (("O", "Cl"),)}))
    symbols = np.array(atoms.get_chemical_symbols())
    for _ in range(5):
        state.run(1000)
        x = state.positions()
        for (a, b), limit in limits.items():
            i, j = np.flatnonzero(symbols == a), np.flatnonzero(symbols == b)
            d = np.linalg.norm(minimum_image((x[i][:, None] - x[j][None]).reshape(-1, 3), CUBE), axis=1)
            assert d[d > 0].min() >= limit - 1e-6


def test_misfit_falls_to_noise_from_a_start_close_to_the_truth() -> None:
    truth = oxychloride()
    start = truth.copy()
    start.rattle(0.05, seed=3)
    data = [synthetic(truth), synthetic(truth, "g_pdf")]
    result = refine(start, data, SETTINGS.model_copy(update={"moves_per_atom": 300.0}), seed=1)
    assert all(result.rw[d.name] < 0.5 * result.rw_start[d.name] for d in data)
    assert result.drift < 1e-8
    assert result.chi_squared[-1].sum() < sum(len(d.curve.x) for d in data)


def test_coordination_and_bond_valence_are_brought_to_their_targets() -> None:
    atoms = oxychloride()
    target = CoordinationTarget(centre="Zr", neighbour="O", radius_A=2.6, mean=1.5, sigma=0.01)
    window = CoordinationTarget(centre="Li", neighbour="Cl", radius_A=3.0, window=(2, 3), share=0.5, sigma=0.01)
    settings = SETTINGS.model_copy(update={"coordination": (target, window), "first_step_A": 0.5})
    state = state_of(atoms, [], settings)
    before = state.penalty()
    state.run(20000)
    assert state.penalty() < 1e-2 * before
    moved = atoms.copy()
    moved.positions = state.positions()
    d = moved.get_all_distances(mic=True)
    symbols = np.array(atoms.get_chemical_symbols())
    zr_o = (d[symbols == "Zr"][:, symbols == "O"] < 2.6).sum(axis=1)
    li_cl = (d[symbols == "Li"][:, symbols == "Cl"] < 3.0).sum(axis=1)
    expected = ((zr_o.mean() - 1.5) / 0.01) ** 2 + ((np.isin(li_cl, [2, 3]).mean() - 0.5) / 0.01) ** 2
    assert state.penalty() == pytest.approx(expected, abs=1e-9)
    assert coordination_reached(moved, target) == pytest.approx(zr_o.mean())
    assert coordination_reached(moved, window) == pytest.approx(np.isin(li_cl, [2, 3]).mean())
    valence = state_of(atoms, [], SETTINGS.model_copy(update={"valence_sigma": 0.2}))
    before = valence.penalty()
    valence.run(20000)
    moved.positions = valence.positions()
    charges = {"Li": 1, "Zr": 4, "O": 2, "Cl": 1}
    misses = bond_valence_sums(moved) - np.array([charges[s] for s in symbols])
    assert valence.penalty() == pytest.approx(float((misses**2).sum() / 0.04), rel=1e-6)
    assert valence.penalty() < 0.3 * before


@pytest.mark.parametrize("cell", [CUBE, SKEW], ids=["cube", "skew"])
def test_gradient_is_that_of_the_exact_misfit_by_finite_differences(cell) -> None:  # type: ignore[no-untyped-def]
    atoms, other = oxychloride(cell), oxychloride(cell, seed=2)
    data = [synthetic(other, k, r) for k, r in (("s_of_q", "xray"), ("g_pdf", "xray"), ("qi_of_q", "neutron"))]

    def misfit(x):  # type: ignore[no-untyped-def]
        moved = atoms.copy()
        moved.positions = x
        models = [exact_model(moved, d, END) for d in data]
        return sum(float((((m.y - d.curve.y) / d.sigma) ** 2).sum()) for m, d in zip(models, data, strict=True))

    value, gradient = misfit_and_gradient(atoms, data, r_end_A=END)
    assert value == pytest.approx(misfit(atoms.positions), rel=1e-4)
    size = np.abs(gradient).max()
    assert np.abs(gradient.sum(axis=0)).max() < 1e-6 * size * len(atoms)
    for atom, axis in ((0, 0), (30, 1), (40, 2), (70, 0)):
        d, step = np.linalg.norm(minimum_image(atoms.positions - atoms.positions[atom], cell), axis=1), 1e-4
        assert np.abs(d - END).min() > 2 * step  # else a pair crosses the end of the sums
        up, down = atoms.positions.copy(), atoms.positions.copy()
        up[atom, axis] += step
        down[atom, axis] -= step
        assert gradient[atom, axis] == pytest.approx((misfit(up) - misfit(down)) / (2 * step), abs=2e-3 * size)


def test_a_stopped_run_goes_on_bit_by_bit(tmp_path: Path) -> None:
    atoms = oxychloride()
    data = [synthetic(oxychloride(seed=2), fit_scale=True)]
    whole = refine(atoms, data, SETTINGS, seed=5, run=2)

    class StopsLater(StopRequest):
        asked = 0

        def __bool__(self) -> bool:
            self.asked += 1
            return self.asked > 7

    for _ in range(10):
        try:
            result = refine(atoms, data, SETTINGS, seed=5, run=2, directory=tmp_path, stop=StopsLater())
            break
        except Interrupted:
            continue
    assert np.array_equal(result.atoms.positions, whole.atoms.positions)
    assert np.array_equal(result.chi_squared, whole.chi_squared)
    again = refine(atoms, data, SETTINGS, seed=5, run=2, directory=tmp_path)
    assert np.array_equal(again.atoms.positions, whole.atoms.positions)
    other = refine(atoms, data, SETTINGS, seed=5, run=3)
    assert not np.array_equal(other.atoms.positions, whole.atoms.positions)


@pytest.mark.parametrize("with_data", [True, False])
def test_a_run_stopped_before_its_first_move_goes_on(tmp_path: Path, with_data: bool) -> None:
    class StopsAtOnce(StopRequest):
        def __bool__(self) -> bool:
            return True

    atoms, settings = oxychloride(), SETTINGS.model_copy(update={"moves_per_atom": 3.0})
    data = [synthetic(oxychloride(seed=2))] if with_data else []
    with pytest.raises(Interrupted):
        refine(atoms, data, settings, seed=5, directory=tmp_path, stop=StopsAtOnce())
    result = refine(atoms, data, settings, seed=5, directory=tmp_path)
    assert np.array_equal(result.atoms.positions, refine(atoms, data, settings, seed=5).atoms.positions)


def test_a_factor_of_data_is_positive_even_where_a_start_is_against_them() -> None:
    data = synthetic(oxychloride(), fit_scale=True)
    curve = Curve(data.curve.quantity, data.curve.x, 2 - data.curve.y, data.curve.sigma)  # every peak a dip
    cost = cost_of([replace(data, curve=curve)], oxychloride(), END, 1.0)
    limits, _ = minimum_distances_for(oxychloride(), {})
    state = State(oxychloride(), cost, limits, SETTINGS, np.random.Generator(np.random.PCG64(0)))
    assert cost.best_scales(state.waves()) == [1.0]


def test_one_atom_more_in_all_of_two_runs_is_no_verdict() -> None:
    def verdict(fitted: float, free: float, runs: int) -> str:
        one, other = [{"n": fitted}] * runs, [{"n": free}] * runs
        return influences({}, one, other, one, {"n": "1"})[0].verdict

    assert verdict(2 / 12, 1 / 12, 2) == verdict(2 / 12, 1 / 12, 3) == "set by constraints"
    assert verdict(2 / 12, 1 / 12, 4) == "set by the data"


def test_the_start_is_left_alone() -> None:
    atoms = oxychloride()
    before = atoms.positions.copy()
    refine(atoms, [synthetic(oxychloride(seed=2))], SETTINGS, seed=1)
    assert np.array_equal(atoms.positions, before)
