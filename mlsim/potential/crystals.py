"""The crystals of the Li–Zr–O–Cl system that anchor a training set: cells to strain, rattle and relax.

Cells are experimental or idealised starting points, good to a few hundredths of an Å; every use here relaxes or labels
them, so no result rests on the last digit. Sources stand beside each entry.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal

from mlsim.errors import SettingsError, did_you_mean

__all__ = ["CRYSTALS", "CUBIC_CRYSTALS", "PBE_LATTICE_A", "crystal_cell", "supercell_near", "supercell_wider_than"]


def _lithium_chloride() -> Atoms:
    return bulk("LiCl", "rocksalt", a=5.13, cubic=True)


def _lithium_oxide() -> Atoms:
    # antifluorite: O on the face-centred sites, Li on all tetrahedral ones
    return crystal(["O", "Li"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[4.62] * 3 + [90] * 3)


def _cubic_zirconia() -> Atoms:
    return crystal(["Zr", "O"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[5.09] * 3 + [90] * 3)


def _monoclinic_zirconia() -> Atoms:
    # C. J. Howard, R. J. Hill, B. E. Reichert, Acta Cryst. B 44, 116 (1988)
    sites = [(0.2754, 0.0395, 0.2083), (0.0700, 0.3317, 0.3447), (0.4496, 0.7569, 0.4792)]
    return crystal(["Zr", "O", "O"], sites, spacegroup=14, cellpar=[5.1505, 5.2116, 5.3173, 90, 99.23, 90])


def _lithium_zirconate() -> Atoms:
    # C2/c Li2ZrO3, a cation-ordered rocksalt: J. L. Hodeau et al., J. Solid State Chem. 45, 170 (1982)
    sites = [(0, 0.420, 0.25), (0, 0.747, 0.25), (0, 0.0908, 0.25), (0.25, 0.25, 0.0), (0.2703, 0.5753, 0.4888)]
    cellpar = [5.4218, 9.0216, 5.4187, 90, 112.71, 90]
    atoms = crystal(["Li", "Li", "Zr", "O", "O"], sites, spacegroup=15, cellpar=cellpar)
    return _whole_formula(atoms, {"Li": 8, "Zr": 4, "O": 12}, "Li2ZrO3")


def _zirconium_chloride() -> Atoms:
    # P2/c zigzag chains of edge-sharing octahedra: B. Krebs, Z. Anorg. Allg. Chem. 378, 263 (1970); Cl sites idealised
    sites = [(0.0, 0.162, 0.25), (0.2104, 0.0858, 0.0006), (0.2580, 0.3608, 0.3624)]
    atoms = crystal(["Zr", "Cl", "Cl"], sites, spacegroup=13, cellpar=[6.361, 7.407, 6.256, 90, 109.30, 90])
    return _whole_formula(atoms, {"Zr": 2, "Cl": 8}, "ZrCl4")


def _lithium_zirconium_chloride() -> Atoms:
    # trigonal, hcp anions, in the setting of Li3YCl6: A. Asano et al., Adv. Mater. 30, 1803075 (2018); Li on 6g only
    sites = [(0, 0, 0), (1 / 3, 2 / 3, 0.49), (0.340, 0.0, 0.0), (0.115, 0.885, 0.77), (0.222, 0.778, 0.27)]
    sites.append((0.441, 0.559, 0.76))
    cellpar = [10.97, 10.97, 5.93, 90, 90, 120]
    atoms = crystal(["Zr", "Zr", "Li", "Cl", "Cl", "Cl"], sites, spacegroup=164, cellpar=cellpar)
    return _whole_formula(atoms, {"Zr": 3, "Li": 6, "Cl": 18}, "Li2ZrCl6")


CRYSTALS: dict[str, Callable[[], Atoms]] = {
    "LiCl": _lithium_chloride,
    "Li2O": _lithium_oxide,
    "c-ZrO2": _cubic_zirconia,
    "m-ZrO2": _monoclinic_zirconia,
    "Li2ZrO3": _lithium_zirconate,
    "ZrCl4": _zirconium_chloride,
    "Li2ZrCl6": _lithium_zirconium_chloride,
}


CUBIC_CRYSTALS = ("LiCl", "Li2O", "c-ZrO2")
"""Those with a single lattice constant, by which a potential is compared with its teacher."""


PBE_LATTICE_A = {"LiCl": 5.159, "Li2O": 4.627, "c-ZrO2": 5.120}
"""Lattice constants of plane-wave PBE with the settings of our labels (`label_worker.PlaneWavePBE`), Å.

All-electron PBE: LiCl 5.15, c-ZrO2 about 5.12.
"""


def crystal_cell(name: str) -> Atoms:
    """Return the conventional cell of a crystal of `CRYSTALS`."""
    if name not in CRYSTALS:
        raise SettingsError(f"crystal '{name}': not known; {did_you_mean(name, CRYSTALS)}")
    atoms = CRYSTALS[name]()
    return Atoms(atoms.symbols, scaled_positions=atoms.get_scaled_positions(), cell=atoms.cell[:], pbc=True)


def supercell_near(atoms: Atoms, n_atoms: int) -> Atoms:
    """Return the most cube-like supercell with at most `n_atoms` atoms (the cell itself if it is larger)."""
    best, best_key = atoms, (0, 0.0)
    limit = max(1, n_atoms // len(atoms))
    for a in range(1, limit + 1):
        for b in range(1, limit // a + 1):
            for c in range(1, limit // (a * b) + 1):
                edges = atoms.cell.lengths() * np.array([a, b, c])
                key = (a * b * c, -float(edges.max() / edges.min()))
                if key > best_key:
                    best, best_key = atoms.repeat((a, b, c)), key
    return best


def supercell_wider_than(atoms: Atoms, width_A: float) -> tuple[int, int, int]:
    """Return the multiples of the smallest supercell whose opposite faces are at least `width_A` Å apart.

    Examples
    --------
    >>> supercell_wider_than(crystal_cell("LiCl"), 20.0)
    (4, 4, 4)
    """
    heights = 1 / np.linalg.norm(atoms.cell.reciprocal()[:], axis=1)
    a, b, c = (max(1, int(np.ceil(width_A / height - 1e-9))) for height in heights)
    return a, b, c


def _whole_formula(atoms: Atoms, expected: dict[str, int], name: str) -> Atoms:
    found = {e: atoms.get_chemical_symbols().count(e) for e in expected}
    if found != expected:
        raise SettingsError(f"crystal {name}: sites give {found} atoms, expected {expected}")
    return atoms
