"""The same functions from another package, differences of convention taken out by name (benchmarks/scattering.py)."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms

from mlsim.scattering import partial_g_of_r, partial_structure_factors
from mlsim.scattering.transforms import uniform_sphere

scattering = pytest.importorskip("vitrum.scattering", reason="vitrum is not installed here (mlsim[bench])")


@pytest.fixture
def glass() -> Atoms:
    rng = np.random.default_rng(3)
    sites = np.stack(np.meshgrid(*[np.arange(8)] * 3), axis=-1).reshape(-1, 3)[:500] * 2.9
    symbols = rng.permutation(["Li"] * 150 + ["Zr"] * 50 + ["Cl"] * 220 + ["O"] * 80)
    cell = [[23.2, 0, 0], [3.0, 23.0, 0], [-2.0, 4.0, 23.5]]
    return Atoms(symbols, positions=sites + rng.normal(scale=0.3, size=sites.shape), cell=cell, pbc=True)


def test_partial_g_of_r_agrees_with_vitrum_to_rounding(glass: Atoms) -> None:
    other = scattering.Scattering(glass, rrange=10.0, nbin=500, disable_progress=True)
    for (a, b), curve in partial_g_of_r([glass], r_max_A=10.0, r_step_A=0.02).items():
        n = glass.get_chemical_symbols().count(a)
        like = 1 - 1 / n if a == b else 1.0  # vitrum divides by N (N - 1), not by N²
        np.testing.assert_allclose(other.get_partial_pdf((a, b)) * like, curve.y, rtol=1e-9, atol=1e-12)


def test_neutron_structure_factor_agrees_with_vitrum_to_1e_3(glass: Atoms) -> None:
    other = scattering.Scattering(glass, qmin=0.8, qmax=15.0, rrange=10.0, nbin=4000, disable_progress=True)
    q, density = other.qval, len(glass) / glass.get_volume()
    fractions = {e: glass.get_chemical_symbols().count(e) / len(glass) for e in ("Li", "Zr", "Cl", "O")}
    lengths = dict(zip([str(e) for e in other.species], other.b, strict=True))
    mean = sum(fractions[e] * lengths[e] for e in fractions)
    total, uniform = np.ones_like(q), density * uniform_sphere(q, 10.0)
    for (a, b), curve in partial_structure_factors([glass], q, r_max_A=10.0).items():
        like = 1 - 1 / (fractions[a] * len(glass)) if a == b else 1.0
        weight = (1 if a == b else 2) * fractions[a] * fractions[b] * lengths[a] * lengths[b] / mean**2
        total += weight * ((curve.y - 1 + uniform) / like - uniform)
    np.testing.assert_allclose(total, other.get_structure_factor("neutron"), atol=3e-3)
