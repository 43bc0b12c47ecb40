"""Labelled frames of two atoms for tests of datasets."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator


def labelled_frame(chain: str, seed: int, teacher: str = "T 1") -> Atoms:
    rng = np.random.default_rng(seed)
    atoms = Atoms("LiCl", positions=rng.uniform(0, 4, (2, 3)), cell=[5, 5, 5], pbc=True)
    atoms.info.update(chain=chain, kind="melt", teacher=teacher)
    atoms.calc = SinglePointCalculator(
        atoms, energy=float(rng.normal()), forces=rng.normal(size=(2, 3)), stress=rng.normal(size=6)
    )
    return atoms
