"""Random packing: the cell that the melt starts from, and soon forgets."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii, vdw_radii
from numpy.typing import NDArray

from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.geometry import neighbour_pairs

__all__ = ["default_minimum_distances", "pack"]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

# About 0.85 of the first-neighbour distance in LiCl, Li2O, ZrO2, Li2ZrO3, Li2ZrCl6 and ZrCl4 (like charges: of the
# shortest such contact): short enough that a random packing at the glass density exists, long enough that the
# potential has seen it.
_KNOWN_A: Mapping[tuple[str, str], float] = {
    ("Cl", "Cl"): 2.9,
    ("Cl", "Li"): 2.0,
    ("Cl", "O"): 2.6,
    ("Cl", "Zr"): 2.15,
    ("Li", "Li"): 2.3,
    ("Li", "O"): 1.65,
    ("Li", "Zr"): 2.6,
    ("O", "O"): 2.4,
    ("O", "Zr"): 1.75,
    ("Zr", "Zr"): 3.0,
}
# The same fractions of tabulated radii, for elements outside the table.
_OF_COVALENT_OPPOSITE, _OF_COVALENT_CATIONS, _OF_VDW_ANIONS = 0.77, 0.85, 0.81

_STREAM = 0  # a run with the same seed draws from stream 1
_CANDIDATES = 12  # places tried for each atom; the emptiest is taken when none is free
_ATTEMPTS = 3  # fresh starts before the density counts as too high
_BISECTIONS = 6  # to say which density can be packed when the one asked for cannot
_ROUNDS = 1500  # rounds of pushing apart in one attempt
_WIDE = 1.15  # of the limits, about the distances in crystals: a packing at its limits lets the melt start too hot
_WIDE_ROUNDS = 200  # enough where there is room; where there is none, pairs come as near to it as they can
_STEP = (
    0.3  # of the overlap that one round removes from each atom of a pair; 0.5 would be all, but neighbours interfere
)
_LONGEST_MOVE_A = 0.3
_MARGIN = 1.02  # aim a little beyond a distance, so that it is reached and not only approached


def default_minimum_distances(composition: Composition) -> dict[tuple[str, str], float]:
    """Return the shortest distance in Å that `pack` allows for each pair of elements, pairs sorted by symbol.

    Li, Zr, Cl and O have a table of their own. Other pairs: 0.77 (opposite charges) or 0.85 (two cations) of the sum
    of covalent radii, 0.81 of the sum of van der Waals radii (two anions), by the composition's formal charges.

    Examples
    --------
    >>> default_minimum_distances(Composition.parse("Li2O"))
    {('Li', 'Li'): 2.3, ('Li', 'O'): 1.65, ('O', 'O'): 2.4}
    >>> round(default_minimum_distances(Composition.parse("NaBr"))["Br", "Na"], 2)
    2.2
    """
    charges = composition.formal_charges()
    elements = sorted(composition.elements)
    pairs = [(a, b) for i, a in enumerate(elements) for b in elements[i:]]
    return {p: _KNOWN_A[p] if p in _KNOWN_A else _from_radii(p, charges) for p in pairs}


def pack(
    composition: Composition,
    n_atoms: int,
    *,
    density_g_cm3: float,
    seed: int,
    min_distances_A: Mapping[tuple[str, str], float] | None = None,
) -> Atoms:
    """Return atoms packed at random in a periodic cube, no pair closer than its minimum distance.

    Atoms are inserted one after the other in random order, each at the emptiest of some random places (random
    sequential packing); pairs that are still too close are then pushed apart: to 1.15 of their minimum distances,
    about the distances in crystals, where the density leaves room for it, else as far as it does. All pair distances
    are verified at the end, periodic images included.

    Parameters
    ----------
    composition
        Charge neutral by its formal charges.
    n_atoms
        A multiple of the smallest formula unit.
    density_g_cm3
        Mass density, g/cm3.
    seed
        The same seed gives the same packing; not negative.
    min_distances_A
        Minimum distances in Å that replace those of `default_minimum_distances`, order within a pair free.

    Returns
    -------
    Atoms
        Ordered by element as in the formula, positions inside the cube.

    Raises
    ------
    SettingsError
        If the number of atoms does not fit the formula, the composition is not neutral, a distance is unusable, or
        the density cannot be packed; the message names the highest density reached.

    Notes
    -----
    Cost and memory are linear in the number of atoms (about 0.2 ms per atom, 0.4 where it is dense).

    Examples
    --------
    >>> atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 114, density_g_cm3=2.0, seed=1)
    >>> atoms.symbols.formula.count(), float(round(atoms.cell.lengths()[0], 2))
    ({'Li': 36, 'Zr': 12, 'Cl': 48, 'O': 18}, 14.04)
    """
    counts = composition.counts(n_atoms)
    where = f"packing {n_atoms} atoms of {composition.formula}"
    if not (math.isfinite(density_g_cm3) and density_g_cm3 > 0):
        raise SettingsError(f"{where}: density_g_cm3 is {density_g_cm3}, expected a positive number")
    if seed < 0:
        raise SettingsError(f"{where}: seed is {seed}, expected 0 or more")
    limits = _limit_matrix(composition, min_distances_A or {}, where)
    kinds = np.repeat(np.arange(len(counts)), list(counts.values()))
    edge = (n_atoms / composition.number_density(density_g_cm3=density_g_cm3)) ** (1 / 3)
    generator = np.random.default_rng([seed, _STREAM])
    closest, pair = 0.0, (0, 0)
    for _ in range(_ATTEMPTS):
        points = _pushed_apart(_inserted(kinds, limits, edge, generator), kinds, _WIDE * limits, edge, _WIDE_ROUNDS)
        points = _pushed_apart(points, kinds, limits, edge)
        ratio, worst = _closest_contact(points, kinds, limits, edge)
        if ratio >= 1:
            symbols = [element for element, n in counts.items() for _ in range(n)]
            return Atoms(symbols, positions=points, cell=[edge] * 3, pbc=True)
        if ratio > closest:
            closest, pair = ratio, worst
    a, b = (composition.elements[k] for k in pair)
    shortest = limits[pair]
    reached = density_g_cm3 * _largest_scale(kinds, limits, edge, closest, generator)
    raise SettingsError(
        f"{where} at {density_g_cm3:g} g/cm3: a pair {a}-{b} stays at {closest * shortest:.2f} Å, minimum "
        f"{shortest:g} Å; the highest density reached is {_rounded_down(reached)} g/cm3; "
        "lower density_g_cm3 or the minimum distances"
    )


def _from_radii(pair: tuple[str, str], charges: Mapping[str, int]) -> float:
    a, b = (atomic_numbers[e] for e in pair)
    if charges[pair[0]] < 0 and charges[pair[1]] < 0:
        return round(_OF_VDW_ANIONS * float(vdw_radii[a] + vdw_radii[b]), 2)
    opposite = charges[pair[0]] * charges[pair[1]] < 0
    share = _OF_COVALENT_OPPOSITE if opposite else _OF_COVALENT_CATIONS
    return round(share * float(covalent_radii[a] + covalent_radii[b]), 2)


def _limit_matrix(composition: Composition, given: Mapping[tuple[str, str], float], where: str) -> Floats:
    """Minimum distances in Å, shape (element, element), in the order of the formula."""
    limits = default_minimum_distances(composition)
    for pair, value in given.items():
        key = (min(pair), max(pair))
        if key not in limits:
            known = ", ".join("-".join(p) for p in limits)
            raise SettingsError(f"{where}: minimum distance for {'-'.join(pair)}, but its pairs are {known}")
        if not (math.isfinite(value) and value > 0):
            raise SettingsError(f"{where}: minimum distance {'-'.join(pair)} is {value}, expected a positive length")
        limits[key] = float(value)
    elements = composition.elements
    return np.array([[limits[min(a, b), max(a, b)] for b in elements] for a in elements])


def _inserted(kinds: Indices, limits: Floats, edge: float, generator: np.random.Generator) -> Floats:
    """Random sequential packing: points of shape (atom, 3); overlaps remain only where no candidate was free."""
    n_bins = int(edge // limits.max())
    n_bins = n_bins if n_bins >= 3 else 1  # with fewer than 3, neighbouring bins would be the same bin twice
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * 3), axis=-1).reshape(-1, 3) if n_bins > 1 else np.zeros((1, 3), int)
    bins = np.full((n_bins**3, 4), -1)
    filled = np.zeros(n_bins**3, dtype=int)
    points = np.zeros((len(kinds), 3))
    for atom in generator.permutation(len(kinds)):
        places = generator.random((_CANDIDATES, 3)) * edge
        triples = np.minimum((places / edge * n_bins).astype(int), n_bins - 1)
        around = (triples[:, None] + shifts) % n_bins
        others = bins[_flat(around, n_bins)].reshape(_CANDIDATES, -1)
        vectors = points[others] - places[:, None]
        vectors -= edge * np.round(vectors / edge)
        room = np.linalg.norm(vectors, axis=2) / limits[kinds[atom], kinds[others]]
        room[others < 0] = np.inf
        emptiest = int(np.argmax(np.minimum(room.min(axis=1), 1.0)))  # the first free one, else the least bad
        points[atom] = places[emptiest]
        home = int(_flat(triples[emptiest], n_bins))
        if filled[home] == bins.shape[1]:
            bins = np.pad(bins, ((0, 0), (0, bins.shape[1])), constant_values=-1)
        bins[home, filled[home]] = atom
        filled[home] += 1
    return points


def _flat(triples: Indices, n_bins: int) -> Indices:
    return np.asarray((triples[..., 0] * n_bins + triples[..., 1]) * n_bins + triples[..., 2])


def _pushed_apart(points: Floats, kinds: Indices, limits: Floats, edge: float, rounds: int = _ROUNDS) -> Floats:
    """Descend on the soft repulsion sum (limit − r)² over pairs that are too close, until none is."""
    box = edge * np.eye(3)
    reach = _MARGIN * float(limits.max())
    for _ in range(rounds):
        pairs = neighbour_pairs(points, box, reach)
        limit = limits[kinds[pairs.first], kinds[pairs.second]]
        if (pairs.distances >= limit).all():
            break
        overlap = _MARGIN * limit - pairs.distances
        close = overlap > 0
        pushes = -(_STEP * overlap[close] / pairs.distances[close])[:, None] * pairs.vectors[close]
        first = pairs.first[close]
        moves = np.stack([np.bincount(first, pushes[:, k], len(points)) for k in range(3)], axis=1)
        lengths = np.linalg.norm(moves, axis=1, keepdims=True)
        points = points + moves * np.minimum(1.0, _LONGEST_MOVE_A / np.maximum(lengths, 1e-12))
    return np.asarray(points % edge)


def _largest_scale(
    kinds: Indices, limits: Floats, edge: float, closest: float, generator: np.random.Generator
) -> float:
    """Largest fraction of the density that failed at which a packing was found, by bisection."""
    reached, failed = closest**3, 1.0  # the best packing, blown up by 1/closest, keeps every distance
    for _ in range(_BISECTIONS):
        scale = (reached + failed) / 2
        wider = edge * scale ** (-1 / 3)
        points = _pushed_apart(_inserted(kinds, limits, wider, generator), kinds, limits, wider)
        if _closest_contact(points, kinds, limits, wider)[0] >= 1:
            reached = scale
        else:
            failed = scale
    return reached


def _rounded_down(density: float) -> str:
    digits = 2 - math.floor(math.log10(density))
    return f"{math.floor(density * 10**digits) / 10**digits:g}"


def _closest_contact(points: Floats, kinds: Indices, limits: Floats, edge: float) -> tuple[float, tuple[int, int]]:
    """Smallest distance / limit over all pairs (at most 1.0 is of interest) and the kinds of that pair."""
    pairs = neighbour_pairs(points, edge * np.eye(3), float(limits.max()))
    if not len(pairs.first):
        return math.inf, (0, 0)
    a, b = kinds[pairs.first], kinds[pairs.second]
    ratios = pairs.distances / limits[a, b]
    worst = int(np.argmin(ratios))
    return float(ratios[worst]), (int(a[worst]), int(b[worst]))
