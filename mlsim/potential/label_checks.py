"""Checks before anything is trained or judged on labels: elements, units, energies, the same structure on both sides.

Frames of one chain were labelled alike, so that each chain is judged by itself: a few frames of another unit would
disappear in the mean over a whole set.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.potential.dataset import Split
from mlsim.potential.duplicates import shared_structures

__all__ = ["check_energies", "check_split", "check_units", "require_elements", "shared_structures"]

Floats = NDArray[np.float64]
_PUSHED = ("contact", "core")  # pairs pushed together: energies and forces of any size are right
# Chains of condensed compounds up to 2200 K have 0.4 to 3 eV/Å and 0.002 to 0.14 eV/Å3, and fall outside in other
# units: eV/Å in kcal/mol/Å is 23 times as much, in kJ/mol/Å 96, in Hartree/Bohr 1/51; eV/Å3 in GPa is 160 times as
# much, in kbar 1602, in Hartree/Bohr3 1/184.
_FORCES_EV_A = (0.08, 8.0)
_STRESS_EV_A3 = (2e-4, 0.3)
_SMALLEST_SAMPLE = 3
_FEWEST_CHAINS = 5  # any fewer do not tell which of them is wrong
_ENERGY_EV, _ENERGY_DEVIATIONS = 1.0, 20.0


def check_split(split: Split, elements: Sequence[str]) -> None:
    """Check all parts of a split.

    Raises
    ------
    DataError
        If a frame holds an element that the potential does not know, the magnitudes of a chain say that its
        units are wrong, or the same structure is in the training or validation part and in the test part.
    """
    every = (*split.train, *split.validation, *split.test)
    require_elements(every, elements)
    check_units(every)
    check_energies(every)
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
    """Raise DataError if forces or stress of a chain are so large or small that their unit must be another.

    Pairs pushed together are left out. Crystals, relaxations, and one or two frames of unknown kind may be at rest:
    they cannot be too small.

    Examples
    --------
    >>> from ase.calculators.singlepoint import SinglePointCalculator
    >>> frames = [Atoms("LiCl", positions=[(0, 0, 0), (2, 0, 0)], cell=[5, 5, 5], pbc=True) for _ in range(3)]
    >>> for frame in frames:
    ...     frame.info["chain"] = "first-1"
    ...     hartree_per_bohr = [(0.01, 0, 0), (-0.01, 0, 0)]
    ...     frame.calc = SinglePointCalculator(frame, energy=0.0, forces=hartree_per_bohr, stress=[0.01] * 6)
    >>> check_units(frames)
    Traceback (most recent call last):
    mlsim.errors.DataError: labels: chain first-1: root-mean-square force 0.00577, expected 0.08 to 8 eV/Å; are they ...
    """
    for name, members in _judged_chains(frames).items():
        moving = _moving(members)
        for what, key, limits, unit, others in (
            ("force", "forces", _FORCES_EV_A, "eV/Å", "Hartree/Bohr, kcal/mol/Å, kJ/mol/Å or meV/Å"),
            ("stress", "stress", _STRESS_EV_A3, "eV/Å3", "GPa, kbar or Hartree/Bohr3"),
        ):
            # crystals at rest would hide what moves, and what moves decides alone where a chain has it
            value = _root_mean_square(moving or members, key)
            if value > limits[1] or (moving and value < limits[0]):
                raise DataError(
                    f"labels: chain {name}: root-mean-square {what} {value:.3g}, expected {limits[0]:g} to "
                    f"{limits[1]:g} {unit}; are they in {others}? Convert them to eV, Å and eV/Å3"
                )


def check_energies(frames: Sequence[Atoms]) -> None:
    """Raise DataError if the energy of a chain is far off what its elements have in the other chains.

    One energy per element is fitted to all chains; a chain must not be off it by more than 1 eV/atom and 20 times the
    median absolute deviation of chains. Pairs pushed together are left out; fewer than five chains are not judged.

    Notes
    -----
    An element or composition of one chain only is fitted to that chain, right or wrong.
    """
    chains = _judged_chains(frames)
    if len(chains) < _FEWEST_CHAINS:
        return
    energies = np.array([np.mean([f.get_potential_energy() / len(f) for f in members]) for members in chains.values()])
    elements = np.unique(np.concatenate([f.numbers for members in chains.values() for f in members]))
    shares = np.array(
        [np.mean([[np.mean(f.numbers == z) for z in elements] for f in members], axis=0) for members in chains.values()]
    )
    off = energies - shares @ _element_energies(shares, energies)
    off -= np.median(off)
    limit = max(_ENERGY_EV, _ENERGY_DEVIATIONS * float(np.median(np.abs(off))))
    worst = int(np.argmax(np.abs(off)))
    if abs(off[worst]) > limit:
        others = int(np.sum(np.abs(off) > limit)) - 1
        more = f" ({others} more are off)" if others else ""
        raise DataError(
            f"labels: chain {list(chains)[worst]}: energy {energies[worst]:.4g} eV/atom is {off[worst]:+.3g} eV/atom "
            f"off what its elements have in the other chains, expected within {limit:.2g}{more}; its unit (eV per cell "
            "is meant) or the zero of its energies may differ"
        )


def _element_energies(shares: Floats, energies: Floats) -> Floats:
    """Return the energy per element, eV, that makes the sum of absolute deviations of chains smallest.

    By reweighted least squares: plain ones would let one wrong chain pull all others off.
    """
    weights, found = np.ones(len(energies)), np.zeros(shares.shape[1])
    for _ in range(30):
        found = np.asarray(np.linalg.lstsq(shares * weights[:, None], energies * weights, rcond=None)[0], dtype=float)
        weights = 1 / np.sqrt(np.maximum(np.abs(energies - shares @ found), 1e-3))
    return found


def _judged_chains(frames: Sequence[Atoms]) -> dict[str, list[Atoms]]:
    """Return the frames of each chain but pairs pushed together."""
    chains: dict[str, list[Atoms]] = {}
    for frame in frames:
        if frame.info.get("kind") not in _PUSHED:
            chains.setdefault(str(frame.info.get("chain")), []).append(frame)
    return chains


def _moving(members: Sequence[Atoms]) -> list[Atoms]:
    """Return the frames that are surely not at rest."""
    few = len(members) < _SMALLEST_SAMPLE
    kinds = ("melt",) if few else ("melt", "unknown")
    return [f for f in members if f.info.get("kind", "unknown") in kinds and f.info.get("stage") != "relaxation"]


def _root_mean_square(frames: Sequence[Atoms], key: str) -> float:
    return float(np.sqrt(np.mean(np.concatenate([np.ravel(f.calc.results[key]) for f in frames]) ** 2)))
