"""The candidate list holds every pair that it must, sorted, at any time."""

from __future__ import annotations

import numpy as np
import pytest

from mlsim.errors import DataError
from mlsim.geometry import vesin_without_torch
from mlsim.potential.engine.neighbours import SHIFT_BITS, Bins, Candidates

CUTOFF, SKIN = 2.5, 0.8


def each(tasks):
    return [function(*arguments) for function, arguments in tasks]


TRICLINIC = np.array([[2.1, 0.0, 0.0], [0.9, 3.0, 0.0], [-0.7, 0.8, 5.5]])
ALL, SLAB, NONE = np.array([True] * 3), np.array([True, True, False]), np.array([False] * 3)


def naive(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> set[tuple[int, int, int, int, int]]:
    """All directed pairs by a double loop over atoms and many images."""
    reach = [np.arange(-6, 7) if p else np.zeros(1, int) for p in pbc]
    S = np.stack(np.meshgrid(*reach, indexing="ij"), -1).reshape(-1, 3)
    found = set()
    for i in range(len(positions)):
        for j in range(len(positions)):
            r = np.linalg.norm(positions[j] - positions[i] + S @ cell, axis=1)
            close = S[(r < cutoff) & ((i != j) | S.any(axis=1))]
            found |= {(i, j, *row) for row in close.tolist()}
    return found


def listed(candidates: Candidates, cell: np.ndarray) -> list[tuple[int, int, int, int, int]]:
    rows = []
    for i in range(len(candidates.first) - 1):
        for packed in candidates.pairs[candidates.first[i] : candidates.first[i + 1]]:
            shift = candidates.shifts[packed & ((1 << SHIFT_BITS) - 1)]
            S = np.rint(np.linalg.solve(cell.T, shift)).astype(int)
            rows.append((i, int(packed >> SHIFT_BITS), *S.tolist()))
    return rows


@pytest.mark.parametrize("pbc", [ALL, SLAB, NONE])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_pairs_are_those_of_a_naive_loop_in_order(n: int, pbc: np.ndarray) -> None:
    # some atoms lie outside of the cell, as in a run that never wraps
    positions = np.random.default_rng(n).normal(0, 3, (n, 3))
    candidates = Candidates(CUTOFF, SKIN)
    candidates.find(positions, TRICLINIC, pbc, each)
    rows = listed(candidates, TRICLINIC)
    expected = naive(
        positions - np.floor(positions @ np.linalg.inv(TRICLINIC) * pbc) @ TRICLINIC, TRICLINIC, pbc, CUTOFF + SKIN
    )
    assert len(rows) == len(expected)
    assert rows == sorted(rows)
    for i, j, *S in rows:
        assert np.linalg.norm(positions[j] - positions[i] + np.array(S) @ TRICLINIC) < CUTOFF + SKIN


def test_list_is_complete_whenever_it_says_so() -> None:
    rng = np.random.default_rng(0)
    start = rng.random((6, 3)) @ TRICLINIC
    candidates = Candidates(CUTOFF, SKIN)
    candidates.find(start, TRICLINIC, ALL, each)
    kept = 0
    for _ in range(60):
        strain = np.eye(3) + rng.normal(0, 0.05, (3, 3))
        cell = TRICLINIC @ strain
        positions = start @ strain + rng.normal(0, 0.1, start.shape)
        if candidates.complete(positions, cell, ALL):
            kept += 1
            assert naive(positions, cell, ALL, CUTOFF) <= set(listed(candidates, cell))
    assert 10 < kept < 60


def test_list_is_made_anew_for_other_atoms_or_boundaries() -> None:
    positions = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    candidates = Candidates(CUTOFF, SKIN)
    assert not candidates.complete(positions, TRICLINIC, ALL)
    candidates.find(positions, TRICLINIC, ALL, each)
    assert candidates.complete(positions, TRICLINIC, ALL)
    assert not candidates.complete(positions, TRICLINIC, SLAB)
    assert not candidates.complete(np.zeros((3, 3)), TRICLINIC, ALL)


def test_pairs_are_sorted_when_atoms_lie_many_cells_apart() -> None:
    rng = np.random.default_rng(0)
    here = rng.random((12, 3)) @ TRICLINIC
    away = rng.integers(-40, 41, here.shape)
    near, far = Candidates(CUTOFF, SKIN), Candidates(CUTOFF, SKIN)
    near.find(here, TRICLINIC, ALL, each)
    far.find(here + away @ TRICLINIC, TRICLINIC, ALL, each)
    rows = listed(far, TRICLINIC)
    assert rows == sorted(rows)
    back = {(i, j, *(np.array(S) + away[j] - away[i]).tolist()) for i, j, *S in rows}
    assert back == set(listed(near, TRICLINIC))


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("edges", [(9.0, 31.0, 17.0), (30.0, 6.0, 60.0)])
def test_pairs_of_many_atoms_are_those_of_vesin(edges: tuple[float, ...], threads: int) -> None:
    rng = np.random.default_rng(3)
    cell = np.diag(edges) + np.array([[0, 0, 0], [3.0, 0, 0], [-2.0, 1.5, 0]])
    positions = rng.normal(0, 0.7, (157, 3)) @ cell
    reach = CUTOFF + SKIN
    i, j, S = (
        vesin_without_torch()
        .NeighborList(cutoff=reach, full_list=True)
        .compute(points=positions, box=cell, periodic=ALL, quantities="ijS")
    )
    candidates = Candidates(CUTOFF, SKIN, threads)
    candidates.find(positions, cell, ALL, each)
    rows = listed(candidates, cell)
    assert rows == sorted((int(a), int(b), *map(int, s)) for a, b, s in zip(i, j, S, strict=True))
    assert len(rows) > 80


def test_few_atoms_in_a_large_box_need_few_bins() -> None:
    cell = np.eye(3) * 1e4
    positions = np.array([[0.0, 0.0, 0.0], [9999.0, 0.0, 0.0], [5000.0, 5000.0, 5000.0]])
    assert Bins.of(positions, cell, ALL, CUTOFF + SKIN).shape.prod() <= 8 * 3 + 64
    candidates = Candidates(CUTOFF, SKIN)
    candidates.find(positions, cell, ALL, each)
    assert listed(candidates, cell) == [(0, 1, -1, 0, 0), (1, 0, 1, 0, 0)]


def test_atoms_out_of_all_bounds_are_refused() -> None:
    positions = np.array([[0.0, 0.0, 0.0], [2e9, 0.0, 0.0]])
    with pytest.raises(DataError, match="atoms lie up to 2000000000 cells away: they have left all bounds"):
        Candidates(CUTOFF, SKIN).find(positions, np.eye(3), ALL, each)
    positions = np.array([[0.0, 0.0, 0.0], [1e6, -1e6, 1e6]])
    with pytest.raises(DataError, match=r"neighbours lie up to 10000.. cells apart: the atoms have left all bounds"):
        Candidates(CUTOFF, SKIN).find(positions, np.eye(3), ALL, each)
