"""A toy for tests of the frame: soft ions that melt, quench and diffuse in no time. It describes no material."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from mlsim.geometry import neighbour_pairs

CHARGES = {"Li": 0.6, "Zr": 2.4, "Cl": -0.6, "O": -1.2}
RADII = {"Li": 0.9, "Zr": 0.85, "Cl": 1.7, "O": 1.3}
COULOMB, RANGE, CUTOFF, STEEP, HEIGHT = 14.4, 2.5, 5.0, 0.25, 0.25


class ToyIons(Calculator):
    """Born-Mayer walls and screened charges, cut off at 5 Å with energy and force continuous."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, seconds_per_step: float = 0.0) -> None:
        super().__init__()
        self._seconds = seconds_per_step

    def calculate(self, atoms: Atoms | None = None, properties: Any = None, system_changes: Any = all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        assert atoms is not None
        symbols = atoms.get_chemical_symbols()
        charge = np.array([CHARGES[s] for s in symbols])
        radius = np.array([RADII[s] for s in symbols])
        pairs = neighbour_pairs(atoms.positions, atoms.cell.array, CUTOFF)
        i, j, r = pairs.first, pairs.second, pairs.distances
        contact, strength = radius[i] + radius[j], charge[i] * charge[j] * COULOMB

        def energy_and_slope(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            wall = HEIGHT * np.exp((contact - x) / STEEP)
            screened = strength * np.exp(-x / RANGE) / x
            return wall + screened, -wall / STEEP - screened * (1 / RANGE + 1 / x)

        energy, slope = energy_and_slope(r)
        end, end_slope = energy_and_slope(np.full_like(r, CUTOFF))
        energy = energy - end - end_slope * (r - CUTOFF)
        on_first = (slope - end_slope)[:, None] * pairs.vectors / r[:, None]
        forces = np.stack([np.bincount(i, on_first[:, k], len(atoms)) for k in range(3)], axis=1)
        virial = np.einsum("pa,pb->ab", pairs.vectors, on_first) / 2 / atoms.get_volume()
        self.results = {
            "energy": float(energy.sum() / 2),
            "forces": forces,
            "stress": virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]],
        }
        time.sleep(self._seconds)


@dataclass(frozen=True)
class ToySource:
    """What a study asks of a potential, with the toy behind it."""

    name: str = "toy ions of the tests"
    sha256: str = "0" * 64
    elements: tuple[str, ...] = ("Li", "Zr", "Cl", "O")
    seconds_per_step: float = 0.0

    def load(self) -> ToyIons:
        return ToyIons(self.seconds_per_step)
