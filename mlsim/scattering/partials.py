"""Partial pair distribution functions g_ij(r) and Faber–Ziman partial structure factors A_ij(Q) of one glass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import ArrayLike, NDArray

from mlsim.curve import Curve, Quantity
from mlsim.errors import SettingsError
from mlsim.scattering.instrument import IDEAL, Instrument
from mlsim.scattering.pair_sums import Frames, Pair, checked_frames, node_radii, pair_counts, pair_nodes
from mlsim.scattering.transforms import sine_sums, uniform_sphere

__all__ = ["partial_g_of_r", "partial_structure_factors", "smallest_q"]

Floats = NDArray[np.float64]

_STEP_TIMES_Q = 0.12
_LARGEST_STEP_A = 0.02


def partial_g_of_r(
    frames: Sequence[Atoms], *, r_max_A: float | None = None, r_step_A: float = 0.02
) -> dict[Pair, Curve]:
    """Return the partial pair distribution functions of one glass, averaged over its frames.

    g_ij(r) = V n_ij(r) / (N_i N_j v(r)), n_ij the ordered pairs in a bin, v its shell volume.

    Parameters
    ----------
    frames
        Frames of one glass, periodic; cells of any shape, which may change from frame to frame.
    r_max_A
        End of the last bin, Å; by default half the shortest lattice vector.
    r_step_A
        Width of the bins, Å.

    Returns
    -------
    dict
        Sorted pairs of elements, each once: Curve of g(r) at the centres of the bins. Tends to 1, for pairs of
        one element to 1 − 1/N_i, since an atom is no neighbour of itself.

    Raises
    ------
    DataError
        If a frame is not periodic, holds no atoms, or is made of other atoms than the first.

    Notes
    -----
    Beyond half the shortest lattice vector the neighbours are images: g(r) is then exact for the periodic structure,
    but no longer that of a glass. Time is linear in the number of pairs, memory in the number of atoms.

    References
    ----------
    D. A. Keen, J. Appl. Cryst. 34, 172 (2001), doi:10.1107/S0021889800019993.
    """
    arrays = checked_frames(frames)
    r_end = checked_radius(arrays, r_max_A)
    if not 0 < r_step_A <= r_end:
        raise SettingsError(f"partial g(r): bins of {r_step_A:g} Å up to {r_end:g} Å; expected 0 < step <= r_max")
    n_bins = int(np.floor(r_end / r_step_A * (1 + 1e-12)))
    histogram = pair_counts(arrays, n_bins, r_step_A)
    edges = np.arange(n_bins + 1) * r_step_A
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    centres = (edges[1:] + edges[:-1]) / 2
    return {
        pair: Curve(Quantity.G_OF_R, centres, factor * counts / shells)
        for pair, factor, counts in zip(arrays.pairs, _per_pair(arrays), histogram, strict=True)
    }


def partial_structure_factors(
    frames: Sequence[Atoms], q: ArrayLike, *, r_max_A: float | None = None
) -> dict[Pair, Curve]:
    """Return the Faber–Ziman partials A_ij(Q) of one glass, averaged over its frames.

    A_ij(Q) = 1 + 4 π ρ ∫_0^R r² [g_ij(r) − 1] sin(Qr)/(Qr) dr
            = 1 + N/(N_i N_j) sum_{ordered pairs, r < R} sin(Q r)/(Q r) − ρ ∫_0^R 4 π r² sin(Qr)/(Qr) dr

    The sum runs over the pairs themselves, not over a histogram of them; beyond R the density is uniform.

    Parameters
    ----------
    frames
        Frames of one glass, periodic; cells of any shape, which may change from frame to frame.
    q
        1/Å, strictly increasing, shape (Q,).
    r_max_A
        R, where the pair sum ends, Å; by default half the shortest lattice vector of the smallest frame.

    Returns
    -------
    dict
        Sorted pairs of elements, each once: Curve of A_ij(Q) (quantity s_of_q). Tends to 1 at large Q.

    Raises
    ------
    DataError
        If a frame is not periodic, holds no atoms, or is made of other atoms than the first.

    Notes
    -----
    Features narrower than about π/R are not resolved, and nothing below `smallest_q` belongs to the glass: values there
    are the transform of a truncated g(r).
    """
    grid = checked_q(q)
    arrays = checked_frames(frames)
    values = structure_factor_array(arrays, grid, checked_radius(arrays, r_max_A))
    return {pair: Curve(Quantity.S_OF_Q, grid, a) for pair, a in zip(arrays.pairs, values, strict=True)}


def structure_factor_array(frames: Frames, q: Floats, r_end: float, instrument: Instrument = IDEAL) -> Floats:
    """Return A_ij(Q) of checked frames, shape (pair, Q), pairs in the order of `frames.pairs`."""
    step = min(_LARGEST_STEP_A, _STEP_TIMES_Q / max(float(q[-1]), 1e-3))
    nodes = pair_nodes(frames, r_end, step)
    sums = sine_sums(nodes, node_radii(nodes.shape[1], step), q, instrument)
    factor = frames.n_atoms * _per_pair(frames)
    return np.asarray(1 + factor[:, None] * sums - frames.number_density * _uniform(q, r_end, step, instrument))


def _uniform(q: Floats, r_end: float, step: float, instrument: Instrument) -> Floats:
    """∫_0^R 4 π r² sin(Qr)/(Qr) E(Q, r) dr, by Simpson's rule where the instrument leaves no closed form."""
    if instrument.ideal:
        return uniform_sphere(q, r_end)
    r = np.linspace(0.0, r_end, 2 * int(np.ceil(r_end / step)) + 1)
    simpson = np.full(len(r), 2.0)
    simpson[1::2] = 4.0
    simpson[[0, -1]] = 1.0
    shell = 4 * np.pi * r**2 * simpson * (r[1] - r[0]) / 3
    return np.asarray(sine_sums(shell[None], r, q, instrument)[0])


def smallest_q(frames: Sequence[Atoms]) -> float:
    """Return the length of the shortest reciprocal lattice vector in 1/Å, 2π/L in a cube; the largest over frames.

    Below it a periodic box has no density wave, so no function of Q computed from it says anything about the glass
    there: a calculated curve is then only the smooth transform of a truncated g(r).

    Examples
    --------
    >>> round(smallest_q([Atoms("Ar", cell=[10, 12, 15], pbc=True)]), 4)
    0.4189
    """
    shortest = []
    for cell in checked_frames(frames).cells:
        reciprocal = 2 * np.pi * np.linalg.inv(cell).T
        reduced, _ = minkowski_reduce(reciprocal)
        shortest.append(float(np.linalg.norm(reduced, axis=1).min()))
    return max(shortest)


def _per_pair(frames: Frames) -> Floats:
    """Ordered pairs over unordered pairs (2 for like species), over N_i N_j; shape (pair,)."""
    i, j = np.triu_indices(len(frames.elements))
    return np.asarray(np.where(i == j, 2.0, 1.0) / (frames.counts[i] * frames.counts[j]))


def checked_radius(frames: Frames, r_max_A: float | None) -> float:
    """Return where the pair sum ends, half the shortest lattice vector by default, or say what is wrong with it."""
    if r_max_A is None:
        return frames.exact_radius
    if not (np.isfinite(r_max_A) and r_max_A > 0):
        raise SettingsError(f"scattering: r_max_A is {r_max_A:g}, expected a positive length in Å")
    return float(r_max_A)


def checked_q(q: ArrayLike) -> Floats:
    """Return a grid of Q as an array, or say what is wrong with it."""
    grid = np.asarray(q, dtype=float)
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or grid[0] < 0 or (np.diff(grid) <= 0).any():
        raise SettingsError("scattering: q must be a list of values >= 0 in 1/Å that increase strictly")
    return grid
