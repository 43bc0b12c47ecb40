"""Constraints of a refinement: minimum distances, coordination, bond valence; what they are and where they stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlsim.composition import Composition
from mlsim.errors import DataError, SettingsError
from mlsim.geometry import neighbour_pairs
from mlsim.melt_quench import default_minimum_distances

__all__ = ["CoordinationTarget", "coordination_reached", "minimum_distances_for"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_OF_COVALENT = 0.75
_BELOW_CLOSEST = 0.98


class CoordinationTarget(BaseModel):
    """A soft constraint on how many neighbours the atoms of one element have.

    With a window the penalty is ((share of centres inside − share)/sigma)², without it
    ((mean number − mean)/sigma)².

    Attributes
    ----------
    centre, neighbour
        Elements.
    radius_A
        Neighbours are closer than this, Å.
    mean
        Wanted mean number of neighbours; or
    window
        fewest and most neighbours that count as inside, and
    share
        wanted share of the centres inside the window.
    sigma
        How strict: a miss of one sigma costs as much as one point of data that is off by its sigma.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    centre: str
    neighbour: str
    radius_A: Positive
    mean: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    window: tuple[int, int] | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    sigma: Positive = 0.01

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.mean is None) == (self.window is None):
            raise ValueError("a coordination target needs either a mean or a window")
        if self.window is not None and not 0 <= self.window[0] <= self.window[1]:
            raise ValueError(f"window {self.window[0]} to {self.window[1]}, expected 0 <= fewest <= most")
        return self


def coordination_reached(atoms: Atoms, target: CoordinationTarget) -> float:
    """Return what a configuration has where `target` asks: mean number of neighbours, or share of centres inside.

    Parameters
    ----------
    atoms
        Periodic, with the two elements of the target.
    target
        See `CoordinationTarget`.
    """
    found = neighbour_pairs(atoms.positions, atoms.cell.array, target.radius_A)
    symbols = np.array(atoms.get_chemical_symbols())
    chosen = (symbols[found.first] == target.centre) & (symbols[found.second] == target.neighbour)
    numbers = np.bincount(found.first[chosen], minlength=len(atoms))[symbols == target.centre]
    if target.window is None:
        return float(numbers.mean())
    fewest, most = target.window
    return float(((numbers >= fewest) & (numbers <= most)).mean())


def minimum_distances_for(atoms: Atoms, given_A: Mapping[Pair, float]) -> tuple[dict[Pair, float], tuple[str, ...]]:
    """Return the minimum distance of every pair of elements, Å, and what was assumed.

    Parameters
    ----------
    atoms
        The start.
    given_A
        By pair in either order. Others: those of `mlsim.melt_quench.default_minimum_distances`, or 0.75 of the sum of
        covalent radii where the formal charges are not known; and 0.98 of the shortest distance of the start where
        that is below.

    Raises
    ------
    DataError
        If two atoms of the start are closer than a given distance.
    SettingsError
        If a distance is no positive length, or its elements are not in the start.
    """
    symbols = atoms.get_chemical_symbols()
    elements = sorted(set(symbols))
    pairs = [(a, b) for i, a in enumerate(elements) for b in elements[i:]]
    given: dict[Pair, float] = {}
    for (a, b), value in given_A.items():
        if (min(a, b), max(a, b)) not in pairs:
            raise SettingsError(f"minimum distance {a}-{b}: the start holds {', '.join(elements)} only")
        if not (np.isfinite(value) and value > 0):
            raise SettingsError(f"minimum distance {a}-{b}: {value:g} Å, expected a positive length")
        given[min(a, b), max(a, b)] = float(value)
    limits = {**_default_distances(symbols, pairs), **given}
    closest = _closest(atoms, max(limits.values()))
    notes = []
    for pair in pairs:
        found, name = closest.get(pair, np.inf), "-".join(pair)
        if found >= limits[pair]:
            continue
        if pair in given:
            raise DataError(
                f"start: two atoms {name} are {found:.3f} Å apart, closer than the minimum distance of "
                f"{limits[pair]:g} Å; lower the minimum or relax the start"
            )
        limits[pair] = round(_BELOW_CLOSEST * found, 3)
        notes.append(f"{name} {limits[pair]:g} Å")
    if notes:
        return limits, (f"minimum distances lowered to fit the start: {', '.join(notes)}",)
    return limits, ()


def _default_distances(symbols: list[str], pairs: list[Pair]) -> dict[Pair, float]:
    try:
        return default_minimum_distances(Composition.of_atoms(symbols))
    except SettingsError:  # no formal charges known, or none that are neutral
        radii = {e: float(covalent_radii[atomic_numbers[e]]) for e in set(symbols)}
        return {(a, b): round(_OF_COVALENT * (radii[a] + radii[b]), 2) for a, b in pairs}


def _closest(atoms: Atoms, reach: float) -> dict[Pair, float]:
    """Shortest distance of every pair of elements that comes within `reach`, Å."""
    found = neighbour_pairs(atoms.positions, atoms.cell.array, reach)
    elements, kind = np.unique(atoms.get_chemical_symbols(), return_inverse=True)
    result: dict[Pair, float] = {}
    for i, a in enumerate(elements):
        for j in range(i, len(elements)):
            chosen = found.distances[(kind[found.first] == i) & (kind[found.second] == j)]
            if len(chosen):
                result[str(a), str(elements[j])] = float(chosen.min())
    return result
