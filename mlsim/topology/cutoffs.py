"""Cut-offs of bonds: the first minimum of each partial g(r) after its first peak, and where that peak is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from mlsim.errors import DataError, SettingsError
from mlsim.geometry import neighbour_pairs

__all__ = ["BondCutoff", "bond_cutoffs", "chosen_cutoffs", "first_peak_A", "sorted_pairs"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]

_R_END_A = 6.0
_STEP_A = 0.02
_SMOOTHING_A = 0.1
_PEAK_SMOOTHING_A = 0.05
_FEWEST_PAIRS = 6
_SHARE_OF_HIGHEST = 0.3
_RISE = 0.15
_LONGEST_IN_PEAKS = 1.45
_COVALENT_FACTOR = 1.25


@dataclass(frozen=True)
class BondCutoff:
    """One cut-off and how it was found.

    Attributes
    ----------
    cutoff_A
        Two atoms closer than this are bonded, Å.
    peak_A
        Position of the first peak of g(r), Å; None when too few pairs show one.
    source
        ``given``; ``first minimum`` of g(r); ``peak``: 1.45 times the first peak, where g(r) has no minimum before
        that; ``covalent radii``: 1.25 times their sum, where g(r) has no peak.
    """

    cutoff_A: float
    peak_A: float | None
    source: Literal["given", "first minimum", "peak", "covalent radii"]


def bond_cutoffs(frames: Sequence[Atoms], *, fixed_A: Mapping[Pair, float] | None = None) -> dict[Pair, float]:
    """Return the cut-off of every pair of elements: the first minimum of its g(r) after the first peak, in Å.

    Parameters
    ----------
    frames
        Frames to pool; of several glasses where one set of cut-offs shall serve them all. Cells may differ.
    fixed_A
        Cut-offs to keep as they are, in Å; pairs in either order.

    Returns
    -------
    dict
        Sorted pairs of elements, each once.

    Notes
    -----
    g(r) up to 6 Å is smoothed with a Gaussian of 0.1 Å. Where it is flat near its minimum (a gap between shells) the
    middle of the flat part is taken. No cut-off is longer than 1.45 times the first peak. `chosen_cutoffs` says how
    each was found.
    """
    return {pair: round(choice.cutoff_A, 4) for pair, choice in chosen_cutoffs(frames, fixed_A=fixed_A).items()}


def chosen_cutoffs(frames: Sequence[Atoms], *, fixed_A: Mapping[Pair, float] | None = None) -> dict[Pair, BondCutoff]:
    """Return the cut-offs of `bond_cutoffs` with the peak and the rule behind each."""
    fixed = sorted_pairs(fixed_A or {})
    curves = _pooled_g(frames)
    for pair in fixed:
        if pair not in curves:
            known = ", ".join("-".join(p) for p in curves)
            raise SettingsError(f"cut-off for {'-'.join(pair)}: no such pair in the frames; they have {known}")
    return {pair: _choice(pair, g, n, fixed.get(pair)) for pair, (g, n) in curves.items()}


def sorted_pairs(cutoffs_A: Mapping[Pair, float]) -> dict[Pair, float]:
    """Return cut-offs with every pair of elements in sorted order.

    Raises
    ------
    SettingsError
        If a cut-off is no positive length, or a pair is given in both orders with different values.
    """
    result: dict[Pair, float] = {}
    for (a, b), cutoff in cutoffs_A.items():
        pair = (a, b) if a <= b else (b, a)
        if not (np.isfinite(cutoff) and cutoff > 0):
            raise SettingsError(f"cut-off for {a}-{b}: {cutoff:g} Å, expected a positive length")
        if result.get(pair, cutoff) != cutoff:
            raise SettingsError(
                f"cut-off for {a}-{b}: {cutoff:g} Å, and {result[pair]:g} Å in the other order; give it once"
            )
        result[pair] = float(cutoff)
    return result


def first_peak_A(distances: Floats, cutoff_A: float) -> float | None:
    """Return the position of the highest peak of g(r) below a cut-off, Å; None without enough distances.

    The histogram of distances divided by r² is smoothed with a Gaussian of 0.05 Å and its top fitted by a parabola.
    """
    near = distances[distances < cutoff_A]
    if len(near) < _FEWEST_PAIRS:
        return None
    edges = np.arange(0.0, cutoff_A + 6 * _PEAK_SMOOTHING_A, _STEP_A)
    counts, _ = np.histogram(near, bins=edges)
    centres = (edges[1:] + edges[:-1]) / 2
    return _parabola_top(centres, gaussian_filter1d(counts / centres**2, _PEAK_SMOOTHING_A / _STEP_A))


def _pooled_g(frames: Sequence[Atoms]) -> dict[Pair, tuple[Floats, int]]:
    """g(r) on bins of `_STEP_A` and the number of pairs in it, by sorted pair, averaged over frames."""
    if isinstance(frames, Atoms):
        raise DataError("topology: got one ase.Atoms, expected a sequence of frames; pass [atoms]")
    if not len(frames):
        raise DataError("topology: no frames given")
    edges = np.arange(round(_R_END_A / _STEP_A) + 1) * _STEP_A
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    sums: dict[Pair, list[tuple[Floats, int]]] = {}
    for k, atoms in enumerate(frames):
        if not atoms.pbc.all() or atoms.cell.rank < 3:
            raise DataError(f"topology: frame {k} is not periodic along all three vectors; give it a cell and pbc")
        found = neighbour_pairs(atoms.positions, atoms.cell.array, _R_END_A)
        elements, species = np.unique(atoms.get_chemical_symbols(), return_inverse=True)
        number = np.bincount(species)
        for i, a in enumerate(elements):
            for j in range(i, len(elements)):
                chosen = (species[found.first] == i) & (species[found.second] == j)
                counts, _ = np.histogram(found.distances[chosen], bins=edges)
                g = atoms.get_volume() * counts / (number[i] * number[j] * shells)
                sums.setdefault((str(a), str(elements[j])), []).append((g, int(counts.sum())))
    return {
        pair: (np.mean([g for g, _ in parts], axis=0), sum(n for _, n in parts)) for pair, parts in sorted(sums.items())
    }


def _choice(pair: Pair, g: Floats, n_pairs: int, fixed_A: float | None) -> BondCutoff:
    radii: Floats = np.asarray((np.arange(len(g)) + 0.5) * _STEP_A, dtype=np.float64)
    smooth = gaussian_filter1d(g, _SMOOTHING_A / _STEP_A)
    top = _first_top(smooth) if n_pairs >= _FEWEST_PAIRS else None
    if top is None:
        by_radii = _COVALENT_FACTOR * float(sum(covalent_radii[atomic_numbers[e]] for e in pair))
        return BondCutoff(fixed_A or by_radii, None, "given" if fixed_A else "covalent radii")
    peak = float(radii[top])
    if fixed_A:
        return BondCutoff(fixed_A, peak, "given")
    longest = _LONGEST_IN_PEAKS * peak
    minimum = _minimum_after(smooth, top, radii, longest)
    return BondCutoff(longest, peak, "peak") if minimum is None else BondCutoff(minimum, peak, "first minimum")


def _first_top(g: Floats) -> int | None:
    """Index of the first local maximum that is not small beside the highest."""
    tops = np.flatnonzero((g[1:-1] > g[:-2]) & (g[1:-1] >= g[2:])) + 1
    high = tops[g[tops] >= _SHARE_OF_HIGHEST * g.max()]
    return int(high[0]) if len(high) else None


def _minimum_after(g: Floats, top: int, radii: Floats, longest: float) -> float | None:
    """Middle of the flat part around the lowest g after a peak and before g rises again; None beyond `longest`."""
    rise = _RISE * min(float(g[top]), 2.0)
    end = int(np.searchsorted(radii, longest, side="right"))
    lowest = top
    for k in range(top + 1, end):
        if g[k] > g[lowest] + rise:
            break
        if g[k] < g[lowest]:
            lowest = k
    gap = 0.01 * g[top]
    if lowest == end - 1 and g[lowest] > gap:
        return None
    flat = g[:end] <= g[lowest] + gap
    left = right = lowest
    while left > top and flat[left - 1]:
        left -= 1
    while right + 1 < end and flat[right + 1]:
        right += 1
    return float((radii[left] + radii[right]) / 2)


def _parabola_top(x: Floats, y: Floats) -> float:
    k = int(np.clip(np.argmax(y), 1, len(y) - 2))
    below, at, above = y[k - 1], y[k], y[k + 1]
    curvature = below - 2 * at + above
    shift = 0.5 * (below - above) / curvature if curvature < 0 else 0.0
    return float(x[k] + np.clip(shift, -0.5, 0.5) * (x[1] - x[0]))
