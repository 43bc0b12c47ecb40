"""Structures with known links, and one without."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal


@pytest.fixture
def rutile() -> Atoms:
    return crystal(
        ["Ti", "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136, cellpar=[4.594, 4.594, 2.959, 90, 90, 90]
    )


@pytest.fixture
def anatase() -> Atoms:
    return crystal(["Ti", "O"], [(0, 0, 0), (0, 0, 0.208)], spacegroup=141, cellpar=[3.785, 3.785, 9.514, 90, 90, 90])


@pytest.fixture
def fluorite() -> Atoms:
    """Cubic ZrO2, one formula unit: every Zr–Zr link leads to an image of the same atom."""
    return crystal(
        ["Zr", "O"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[5.09] * 3 + [90] * 3, primitive_cell=True
    )


@pytest.fixture
def face_sharing_chain() -> Atoms:
    """ZrCl3 as chains of octahedra along z, each sharing two faces of three Cl."""
    height, radius = 3.0, 2.0
    angles = np.radians([0, 120, 240])
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(3, height / 2)], axis=1)
    turned = np.stack([-ring[:, 0], -ring[:, 1], ring[:, 2] + height], axis=1)
    positions = np.vstack([[[0, 0, 0], [0, 0, height]], ring, turned])
    return Atoms("Zr2Cl6", positions, cell=[12.0, 12.0, 2 * height], pbc=True)


@pytest.fixture
def isolated_octahedra() -> Atoms:
    """One ZrCl6 and two Li beside a Cl, far from its images."""
    shell = 2.49 * np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])
    positions = np.vstack([[[0, 0, 0]], shell, [[4.9, 0, 0], [-4.9, 0, 0]]])
    return Atoms("ZrCl6Li2", positions, cell=[14.0, 14.0, 14.0], pbc=True)


@pytest.fixture
def glass() -> Atoms:
    """76 atoms of Li3ZrCl4O1.5 at random, no two closer than 1.6 Å, some outside of the cell."""
    rng = np.random.default_rng(11)
    cell = np.array([[12.0, 0, 0], [3.0, 12.5, 0], [-2.0, 1.0, 13.0]])
    symbols = ["Li"] * 24 + ["Zr"] * 8 + ["Cl"] * 32 + ["O"] * 12
    atoms = Atoms("X", positions=[[0, 0, 0]], cell=cell, pbc=True)
    while len(atoms) < len(symbols):
        trial = atoms + Atoms("X", positions=[rng.random(3) @ cell])
        if trial.get_distances(-1, range(len(trial) - 1), mic=True).min() > 1.6:
            atoms = trial
    atoms.set_chemical_symbols(symbols)
    atoms.positions += rng.integers(-1, 2, (len(atoms), 3)) @ cell
    return atoms
