"""Atoms of a periodic box on a grid of integers, sorted into bins.

A coordinate along a cell vector is a 32-bit integer, 2³² to the vector: differences wrap round to the nearest image by
themselves, and they are exact, so that a distance computed from either of its two atoms has the same bits. The grid is
finer than 1e-8 Å. All distances asked for must be shorter than half of every height of the cell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlsim.compiled import compiled
from mlsim.geometry import cell_heights

__all__ = ["Bins", "Box", "bins_of", "box_of", "cartesian", "grid_positions", "near_bins", "relocate", "square"]

Floats = NDArray[np.float64]
Grid = NDArray[np.int32]

PERIOD = 2.0**32
LANES = 8
ABSENT = np.float32(1e5)
"""Added to the squared distance of slots that are empty or left out, Å²: farther than any pair sum reaches."""

_ATOMS_PER_BIN = 14.0


class Box(NamedTuple):
    """Shape of the cell and of its bins."""

    step: Any  # float64 (3, 3): Å per unit of the integer coordinates, rows are cell vectors
    step32: Any  # the same in float32
    units: Any  # float64 (3, 3): integer units per Å, displacement @ units
    bins: Any  # int64 (3,): along each cell vector
    thickness: Any  # float64 (3,): of a bin, Å
    orthogonal: Any  # bool


class Bins(NamedTuple):
    """Who is where; slots of a bin are filled from the front."""

    where: Any  # int32 (atom, 3)
    kind: Any  # int64 (atom,): index of the element
    home: Any  # int64 (atom,): bin
    slot: Any  # int64 (atom,): place in the bin
    count: Any  # int64 (bin,)
    atom: Any  # int32 (bin, slot)
    kinds: Any  # int32 (bin, slot): index of the element, shifted left by KIND_SHIFT
    x: Any  # int32 (bin, slot)
    y: Any
    z: Any
    away: Any  # float32 (bin, slot): 0 for an atom, ABSENT for none


KIND_SHIFT = 25
"""Bits of a distance in steps of the table of weights: enough for slots left out. Leaves room for 64 elements."""


def box_of(cell: Floats, n_atoms: int, shortest_bin_A: float) -> Box:
    """Return the box with bins of about 14 atoms, none thinner than `shortest_bin_A`."""
    heights = cell_heights(cell)
    width = max(shortest_bin_A, (_ATOMS_PER_BIN * abs(float(np.linalg.det(cell))) / n_atoms) ** (1 / 3))
    bins = np.maximum(1, np.floor(heights / width)).astype(np.int64)
    step = np.ascontiguousarray(cell) / PERIOD
    off_diagonal = cell @ cell.T - np.diag(np.diag(cell @ cell.T))
    orthogonal = bool(np.abs(off_diagonal).max() < 1e-10 * np.abs(cell).max() ** 2)
    return Box(step, step.astype(np.float32), np.linalg.inv(step), bins, heights / bins, orthogonal)


def grid_positions(positions: Floats, cell: Floats) -> Grid:
    """Return positions as integer coordinates, shape (atom, 3)."""
    fractional = np.linalg.solve(cell.T, positions.T).T
    units = np.floor((fractional - np.floor(fractional)) * PERIOD).astype(np.int64)
    return np.asarray(units.astype(np.uint32).view(np.int32))


def cartesian(where: Grid, cell: Floats) -> Floats:
    """Return integer coordinates as positions inside the cell, Å, shape (atom, 3)."""
    return np.asarray((where.view(np.uint32) / PERIOD) @ cell)


def bins_of(where: Grid, kind: NDArray[np.int64], box: Box, capacity: int | None = None) -> Bins:
    """Return atoms sorted into bins, in the order of their indices."""
    fraction = where.view(np.uint32).astype(np.int64)
    index = (fraction * box.bins) >> 32
    home = np.ascontiguousarray((index[:, 0] * box.bins[1] + index[:, 1]) * box.bins[2] + index[:, 2])
    n_bins = int(np.prod(box.bins))
    count = np.bincount(home, minlength=n_bins).astype(np.int64)
    order = np.argsort(home, kind="stable")
    slot = np.empty(len(home), dtype=np.int64)
    slot[order] = np.arange(len(home)) - np.repeat(np.cumsum(count) - count, count)
    room = max(capacity or 0, 2 * int(count.max()) + LANES)
    room = -(-room // LANES) * LANES
    atom = np.full((n_bins, room), -1, dtype=np.int32)
    kinds, x, y, z = (np.zeros((n_bins, room), dtype=np.int32) for _ in range(4))
    away = np.full((n_bins, room), ABSENT, dtype=np.float32)
    atom[home, slot] = np.arange(len(home))
    kinds[home, slot] = kind << KIND_SHIFT
    x[home, slot], y[home, slot], z[home, slot] = where.T
    away[home, slot] = 0
    return Bins(where.copy(), kind.astype(np.int64), home, slot, count, atom, kinds, x, y, z, away)


@compiled
def near_bins(box: Any, px: Any, py: Any, pz: Any, radius: Any, found: Any) -> Any:
    """List the bins that may hold an atom within `radius` of a point; return their number."""
    nx, ny, nz = box.bins
    mask = np.int64(0xFFFFFFFF)
    ux, uy, uz = (np.int64(px) & mask) * nx, (np.int64(py) & mask) * ny, (np.int64(pz) & mask) * nz
    bx, by, bz = ux >> 32, uy >> 32, uz >> 32
    fx, fy, fz = (ux & mask) / 2.0**32, (uy & mask) / 2.0**32, (uz & mask) / 2.0**32
    limit = radius * radius
    n = 0
    for i in range(nx):
        gx = _gap(i, fx, nx) * box.thickness[0]
        if gx >= radius:
            continue
        hx = (bx + i) % nx
        for j in range(ny):
            gy = _gap(j, fy, ny) * box.thickness[1]
            if gy >= radius or (box.orthogonal and gx * gx + gy * gy >= limit):
                continue
            hy = (by + j) % ny
            for k in range(nz):
                gz = _gap(k, fz, nz) * box.thickness[2]
                if gz >= radius or (box.orthogonal and gx * gx + gy * gy + gz * gz >= limit):
                    continue
                found[n] = (hx * ny + hy) * nz + (bz + k) % nz
                n += 1
    return n


@compiled
def _gap(offset: Any, inside: Any, n: Any) -> Any:
    """Return how many bin widths lie between a point in bin 0 and bin `offset`, the shorter way round."""
    if offset == 0:
        return 0.0
    return min(offset - inside, n - offset - 1 + inside)


@compiled
def square(box: Any, dx: Any, dy: Any, dz: Any) -> Any:
    """Return the squared length of a difference of integer coordinates (as int32), Å²."""
    s = box.step
    x = dx * s[0, 0] + dy * s[1, 0] + dz * s[2, 0]
    y = dx * s[0, 1] + dy * s[1, 1] + dz * s[2, 1]
    z = dx * s[0, 2] + dy * s[1, 2] + dz * s[2, 2]
    return x * x + y * y + z * z


@compiled
def relocate(box: Any, bins: Any, i: Any, nx: Any, ny: Any, nz: Any) -> Any:
    """Put atom i at new coordinates; return False, with nothing changed, where its new bin is full."""
    mask = np.int64(0xFFFFFFFF)
    hx = ((np.int64(nx) & mask) * box.bins[0]) >> 32
    hy = ((np.int64(ny) & mask) * box.bins[1]) >> 32
    hz = ((np.int64(nz) & mask) * box.bins[2]) >> 32
    new = (hx * box.bins[1] + hy) * box.bins[2] + hz
    old, s = bins.home[i], bins.slot[i]
    if new != old:
        t = bins.count[new]
        if t == bins.x.shape[1]:
            return False
        last = bins.count[old] - 1
        moved = bins.atom[old, last]
        bins.atom[old, s], bins.kinds[old, s] = moved, bins.kinds[old, last]
        bins.x[old, s], bins.y[old, s], bins.z[old, s] = bins.x[old, last], bins.y[old, last], bins.z[old, last]
        bins.slot[moved] = s
        bins.away[old, last] = ABSENT
        bins.count[old] = last
        bins.atom[new, t], bins.kinds[new, t], bins.away[new, t] = i, bins.kind[i] << KIND_SHIFT, 0
        bins.count[new] = t + 1
        bins.home[i], bins.slot[i] = new, t
        s = t
    bins.where[i, 0], bins.where[i, 1], bins.where[i, 2] = nx, ny, nz
    bins.x[new, s], bins.y[new, s], bins.z[new, s] = nx, ny, nz
    return True
