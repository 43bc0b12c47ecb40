"""Atoms at random that several tests of scattering share."""

from __future__ import annotations

import numpy as np
from ase import Atoms

TRICLINIC = np.array([[16.0, 0.0, 0.0], [4.0, 15.0, 0.0], [-3.0, 5.0, 17.0]])


def random_triclinic() -> Atoms:
    """300 atoms of four elements at random in a triclinic cell."""
    rng = np.random.default_rng(5)
    symbols = ["Li"] * 95 + ["Zr"] * 35 + ["Cl"] * 120 + ["O"] * 50
    return Atoms(symbols, scaled_positions=rng.random((300, 3)), cell=TRICLINIC, pbc=True)


def random_cube() -> Atoms:
    """57 atoms of four elements at random in a cube, some outside of the cell."""
    rng = np.random.default_rng(7)
    symbols = ["Li"] * 18 + ["Zr"] * 6 + ["Cl"] * 24 + ["O"] * 9
    return Atoms(symbols, positions=rng.uniform(-5, 15, (57, 3)), cell=[11.0, 11.5, 12.0], pbc=True)
