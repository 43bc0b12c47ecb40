"""Checks before anything is trained or judged on labels: elements, units, and the same structure on both sides."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.potential.dataset import Split

__all__ = ["check_split", "check_units", "require_elements", "shared_structures"]

_SAME_A = 0.01
_UNSTRAINED = ("melt", "unknown")
# Thermal structures of any condensed compound lie well inside, every other common unit well outside: Hartree/Bohr is
# 51 eV/Å, kcal/mol/Å 0.043, kJ/mol/Å 0.0104, meV/Å 0.001; GPa is 0.00624 eV/Å3, kbar 0.000624, Hartree/Bohr3 184.
_FORCES_EV_A = (0.08, 15.0)
_STRESS_EV_A3 = (7e-4, 0.5)
_SMALLEST_SAMPLE = 3


def check_split(split: Split, elements: Sequence[str]) -> None:
    """Check all parts of a split.

    Raises
    ------
    DataError
        If a frame holds an element that the potential does not know, magnitudes say that units are wrong, or the same
        structure is in the training or validation part and in the test part.
    """
    every = (*split.train, *split.validation, *split.test)
    require_elements(every, elements)
    check_units(every)
    for part in ("train", "validation"):
        pairs = shared_structures(getattr(split, part), split.test)
        if pairs:
            first, second = (
                frames[k].info.get("chain")
                for frames, k in zip((getattr(split, part), split.test), pairs[0], strict=True)
            )
            raise DataError(
                f"split: {len(pairs)} structures are in {part} and in test alike, such as one of chain {first} and one "
                f"of chain {second}; give both chains to the same part"
            )


def require_elements(frames: Sequence[Atoms], elements: Sequence[str]) -> None:
    """Raise DataError if a frame holds an element other than these."""
    for index, frame in enumerate(frames):
        foreign = sorted(set(frame.get_chemical_symbols()) - set(elements))
        if foreign:
            raise DataError(
                f"frame {index} (chain {frame.info.get('chain')}): holds {', '.join(foreign)}; the potential knows "
                f"{', '.join(elements)}"
            )


def check_units(frames: Sequence[Atoms]) -> None:
    """Raise DataError if forces or stress of thermal frames are so large or small that their unit must be another.

    Frames of relaxed crystals, pushed pairs and pairs at the core are left out; fewer than three frames are not judged.

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> frames = [Atoms("LiCl", positions=[(0, 0, 0), (2, 0, 0)], cell=[5, 5, 5], pbc=True) for _ in range(3)]
    >>> for frame in frames:
    ...     hartree_per_bohr = [(0.01, 0, 0), (-0.01, 0, 0)]
    ...     frame.calc = SinglePointCalculator(frame, energy=0.0, forces=hartree_per_bohr, stress=[0.01] * 6)
    >>> check_units(frames)
    Traceback (most recent call last):
    mlsim.errors.DataError: labels: root-mean-square force 0.00577, expected 0.08 to 15 eV/Å; are they in ...
    """
    thermal = [f for f in frames if str(f.info.get("kind", "unknown")) in _UNSTRAINED and "stage" not in f.info]
    if len(thermal) < _SMALLEST_SAMPLE:
        return
    forces = float(np.sqrt(np.mean(np.concatenate([f.get_forces().ravel() for f in thermal]) ** 2)))
    stress = float(np.sqrt(np.mean([f.get_stress() ** 2 for f in thermal])))
    for what, value, (low, high), unit, others in (
        ("root-mean-square force", forces, _FORCES_EV_A, "eV/Å", "Hartree/Bohr, meV/Å or kJ/mol/Å"),
        ("root-mean-square stress", stress, _STRESS_EV_A3, "eV/Å3", "GPa, kbar or Hartree/Bohr3"),
    ):
        if not low <= value <= high:
            raise DataError(
                f"labels: {what} {value:.3g}, expected {low:g} to {high:g} {unit}; are they in {others}? "
                "Convert them to eV, Å and eV/Å3"
            )


def shared_structures(first: Sequence[Atoms], second: Sequence[Atoms]) -> list[tuple[int, int]]:
    """Return the pairs of indices of structures that agree to 0.01 Å, wrapped or shifted as a whole.

    Atoms must be in the same order.
    """
    return [(i, j) for i, a in enumerate(first) for j, b in enumerate(second) if _same(a, b)]


def _same(a: Atoms, b: Atoms) -> bool:
    if len(a) != len(b) or not np.array_equal(a.numbers, b.numbers):
        return False
    if not np.allclose(a.cell[:], b.cell[:], atol=_SAME_A):
        return False
    moved: NDArray[np.float64] = a.get_scaled_positions() - b.get_scaled_positions()
    moved -= moved[0]
    moved -= np.round(moved)
    distance: NDArray[np.float64] = np.abs((moved - moved.mean(axis=0)) @ a.cell[:])
    return bool(distance.max() < _SAME_A)
