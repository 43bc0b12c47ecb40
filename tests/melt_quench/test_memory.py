"""How much a melt remembers of its packing."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from mlsim.errors import DataError
from mlsim.melt_quench import melt_memory


def gas(n: int, edge: float, seed: int) -> Atoms:
    points = np.random.default_rng(seed).random((n, 3)) * edge
    return Atoms(["Li"] * (n // 2) + ["Cl"] * (n - n // 2), positions=points, cell=[edge] * 3, pbc=True)


def test_what_has_not_moved_remembers_everything() -> None:
    start = gas(40, 12.0, 1)
    for now in (start, start.copy()):
        for memory in melt_memory(start, now).values():
            assert memory.displacement_A == pytest.approx(0, abs=1e-9)
            assert memory.overlap == pytest.approx(1) and not memory.forgotten


def test_drift_strain_and_wrapping_are_no_forgetting() -> None:
    start = gas(40, 12.0, 1)
    now = start.copy()
    now.set_cell(now.cell * 1.1, scale_atoms=True)
    now.positions += [3.0, -20.0, 7.0]
    for memory in melt_memory(start, now).values():
        assert memory.displacement_A == pytest.approx(0, abs=1e-9) and memory.overlap == pytest.approx(1)


def test_atoms_that_change_places_with_their_like_have_moved_but_forgotten_nothing() -> None:
    start = gas(60, 14.0, 2)
    now = start.copy()
    now.positions[:30] = np.roll(now.positions[:30], 1, axis=0)
    lithium = melt_memory(start, now)["Li"]
    assert lithium.displacement_A > 3 and lithium.overlap == pytest.approx(1)


def test_overlap_of_independent_gases_is_zero_within_its_error() -> None:
    """Mean over 40 pairs of gases: zero within 4 standard errors; scatter as the error says."""
    found = [melt_memory(gas(200, 16.0, 2 * s), gas(200, 16.0, 2 * s + 1))["Cl"] for s in range(40)]
    overlaps, error = np.array([m.overlap for m in found]), found[0].overlap_error
    assert abs(overlaps.mean()) < 4 * error / np.sqrt(40)
    assert overlaps.std(ddof=1) == pytest.approx(error, rel=4 / np.sqrt(80))
    assert sum(m.forgotten for m in found) >= 35


def test_small_vibrations_keep_the_places_and_large_ones_lose_them() -> None:
    start = gas(100, 18.0, 5)
    shares = []
    for width in (0.1, 0.6, 3.0):
        now = start.copy()
        now.rattle(width, seed=3)
        shares.append(melt_memory(start, now)["Li"].overlap)
    assert shares[0] == pytest.approx(1) and 0.4 < shares[1] < 1 and shares[2] < 0.15


def test_other_atoms_are_refused() -> None:
    start = gas(4, 9.0, 0)
    other = start.copy()
    other.symbols[0] = "O"
    with pytest.raises(DataError, match="melt memory: the two structures are not the same atoms in the same order"):
        melt_memory(start, other)
