"""Where ions go: their density on a grid, and the channels along which it spans the cell.

Voxels above a density threshold form clusters; as the threshold falls, a cluster first reaches its own periodic image
(a channel), in one, two and finally three independent directions. What the threshold costs there is

    F = k_B T ln(rho_typical / rho_threshold),

rho_typical the density at which half of the ions lie: the free energy that an ion must gather, on a path that the run
explored, to go on for ever. It bounds the barrier from below where the run was long enough to visit the saddle, and
says nothing where ions never crossed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import Drift, displacement_paths
from mlsim.units import BOLTZMANN_EV_PER_K

__all__ = ["Percolation", "ion_density", "percolating_directions", "percolation"]

Floats: TypeAlias = NDArray[np.float64]

_SPACING_A = 0.4
_BLUR_A = 0.3
_STEPS = 24


@dataclass(frozen=True)
class Percolation:
    """The highest threshold at which the density spans the cell.

    Attributes
    ----------
    directions
        Independent directions asked for, 1 to 3.
    free_energy_eV
        F, see the top of this module, eV.
    volume_fraction
        Share of the cell above the threshold.
    ion_fraction
        Share of the ions' density above it.
    """

    directions: int
    free_energy_eV: float
    volume_fraction: float
    ion_fraction: float


def ion_density(
    trajectory: Trajectory,
    element: str,
    *,
    spacing_A: float = _SPACING_A,
    blur_A: float = _BLUR_A,
    drift: Drift = "auto",
) -> Floats:
    """Return the mean density of the ions of one element on a grid along the cell vectors, 1/Å3, shape (a, b, c).

    Parameters
    ----------
    trajectory, element, drift
        As for `mlsim.transport.mean_squared_displacement`; the framework's drift is taken off.
    spacing_A
        Largest distance between grid points along a cell vector, Å.
    blur_A
        Standard deviation of the Gaussian that each visit is spread over, Å.
    """
    cell = trajectory.cell if trajectory.cell.ndim == 2 else trajectory.cell.mean(axis=0)
    shape = np.maximum(1, np.ceil(np.linalg.norm(cell, axis=1) / spacing_A)).astype(int)
    start = trajectory.positions[0][trajectory.atoms_of(element)].astype(float)
    if trajectory.cell.ndim == 3:
        start = start @ np.linalg.solve(trajectory.cell[0], cell)
    paths = displacement_paths(trajectory, element, drift)
    counts = np.zeros(int(shape.prod()))
    inverse = np.linalg.inv(cell)
    for ion, path in enumerate(paths):
        voxel = np.floor(((start[ion] + path.T) @ inverse % 1.0) * shape).astype(int) % shape
        counts += np.bincount(np.ravel_multi_index(tuple(voxel.T), tuple(shape)), minlength=len(counts))
    sigma = blur_A * shape / np.linalg.norm(cell, axis=1)
    grid = ndimage.gaussian_filter(counts.reshape(shape), sigma, mode="wrap")
    voxel_volume = abs(float(np.linalg.det(cell))) / counts.size
    return np.asarray(grid / (trajectory.n_frames * voxel_volume))


def percolating_directions(occupied: NDArray[np.bool_]) -> int:
    """Return in how many independent directions a periodic cluster of occupied voxels reaches its own image.

    Examples
    --------
    >>> rod = np.zeros((4, 4, 4), dtype=bool)
    >>> rod[:, 1, 1] = True
    >>> percolating_directions(rod), percolating_directions(~rod)
    (1, 3)
    """
    labels, n = ndimage.label(occupied)
    links: list[set[tuple[int, int]]] = [set() for _ in range(n + 1)]
    for axis in range(3):
        last, first = labels.take(-1, axis).ravel(), labels.take(0, axis).ravel()
        both = (last > 0) & (first > 0)
        for a, b in set(zip(last[both].tolist(), first[both].tolist(), strict=True)):
            links[a].add((b, axis + 1))
            links[b].add((a, -axis - 1))
    best, seen = 0, [False] * (n + 1)
    for seed in range(1, n + 1):
        if not seen[seed]:
            best = max(best, _winding_rank(seed, links, seen))
    return best


def _winding_rank(seed: int, links: list[set[tuple[int, int]]], seen: list[bool]) -> int:
    """Rank of the lattice vectors by which the cluster of a label returns to itself."""
    image = {seed: np.zeros(3, dtype=int)}
    windings = [np.zeros(3, dtype=int)]
    waiting = deque([seed])
    seen[seed] = True
    while waiting:
        label = waiting.popleft()
        for other, step in links[label]:
            there = image[label].copy()
            there[abs(step) - 1] += 1 if step > 0 else -1
            if other not in image:
                image[other], seen[other] = there, True
                waiting.append(other)
            elif (there != image[other]).any():
                windings.append(there - image[other])
    return int(np.linalg.matrix_rank(np.array(windings)))


def percolation(density: Floats, temperature_K: float, *, directions: int = 3) -> Percolation | None:
    """Return the highest threshold at which the density spans the cell in so many directions, None if it never does.

    Parameters
    ----------
    density
        From `ion_density`, 1/Å3.
    temperature_K
        K.
    directions
        1 to 3.
    """
    if directions not in (1, 2, 3):
        raise DataError(f"percolation: {directions} directions, expected 1, 2 or 3")
    visited = np.sort(density[density > 0])[::-1]
    if not len(visited) or percolating_directions(density > 0) < directions:
        return None
    low, high = 0, len(visited) - 1  # fewest voxels that do not, most that do
    for _ in range(_STEPS):
        middle = (low + high) // 2
        if percolating_directions(density >= visited[middle]) >= directions:
            high = middle
        else:
            low = middle + 1
        if low >= high:
            break
    threshold = float(visited[high])
    share = np.cumsum(visited) / visited.sum()
    typical = float(visited[int(np.searchsorted(share, 0.5))])
    return Percolation(
        directions,
        BOLTZMANN_EV_PER_K * temperature_K * math.log(typical / threshold),
        float((density >= threshold).mean()),
        float(share[high]),
    )
