"""Edges inside the cut-off, and the energies that depend on pairs alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlsim.compiled import compiled
from mlsim.potential.engine.neighbours import SHIFT_BITS

__all__ = ["Edges", "empty_edges", "find_edges", "pair_terms"]


class Edges(NamedTuple):
    """Directed edges inside the cut-off: those of atom i lie at `first[i]` and the `count[i] - 1` places after it."""

    first: Any  # int64 (atom,)
    count: Any  # int32 (atom,)
    neighbour: Any  # int32 (place,)
    direction: Any  # real (3, place): unit vectors n
    node: Any  # int32 (place,): interval of the radial grid
    fraction: Any  # real (place,): position inside the interval


def empty_edges(n_atoms: int, places: int, real: Any) -> Edges:
    """Return edges without values; kernels may read some places behind the last edge, where values do not matter."""
    return Edges(
        first=np.zeros(n_atoms, np.int64),
        count=np.zeros(n_atoms, np.int32),
        neighbour=np.empty(places, np.int32),
        direction=np.empty((3, places), real),
        node=np.empty(places, np.int32),
        fraction=np.empty(places, real),
    )


@compiled
def find_edges(
    lo: Any, hi: Any, positions: Any, first: Any, pairs: Any, shifts: Any, cutoff: Any, grid: Any, edges: Any
) -> Any:
    """Write the edges of atoms lo to hi; return the shortest (r, i, j).

    `first`, `pairs` and `shifts` are those of `Candidates`; `grid` is (start, 1/step, intervals).
    """
    real = edges.fraction.dtype.type
    start, per_step, last = grid[0], grid[1], int(grid[2]) - 1
    cutoff2, nearest, nearest_i, nearest_j = cutoff * cutoff, cutoff * cutoff, 0, 0
    k = first[lo]
    for i in range(lo, hi):
        edges.first[i] = k
        x0, y0, z0 = positions[i, 0], positions[i, 1], positions[i, 2]
        for c in range(first[i], first[i + 1]):
            j, s = pairs[c] >> SHIFT_BITS, pairs[c] & ((1 << SHIFT_BITS) - 1)
            x = (positions[j, 0] - x0) + shifts[s, 0]
            y = (positions[j, 1] - y0) + shifts[s, 1]
            z = (positions[j, 2] - z0) + shifts[s, 2]
            r2 = x * x + y * y + z * z
            if r2 < cutoff2:
                if r2 < nearest:
                    nearest, nearest_i, nearest_j = r2, i, j
                r = np.sqrt(r2)
                t = (r - start) * per_step
                b = min(max(int(t), 0), last)
                edges.neighbour[k] = j
                edges.node[k] = b
                edges.fraction[k] = real(t - b)
                scale = 1.0 / max(r, 1e-30)
                edges.direction[0, k] = real(x * scale)
                edges.direction[1, k] = real(y * scale)
                edges.direction[2, k] = real(z * scale)
                k += 1
        edges.count[i] = k - edges.first[i]
    return np.sqrt(nearest), nearest_i, nearest_j


@compiled
def zbl_energy(r: Any, constants: Any, weights: Any) -> Any:
    """Return the ZBL energy with its envelope and the derivative by r."""
    q = r * constants[1]
    e1, e2 = weights[0] * np.exp(-3.2 * q), weights[1] * np.exp(-0.9423 * q)
    e3, e4 = weights[2] * np.exp(-0.4028 * q), weights[3] * np.exp(-0.2016 * q)
    phi = e1 + e2 + e3 + e4
    d_phi = -constants[1] * (3.2 * e1 + 0.9423 * e2 + 0.4028 * e3 + 0.2016 * e4)
    u, p = r / constants[2], constants[3]
    power = u ** (p - 1.0)
    f = 1.0 - u * power * ((p + 1) * (p + 2) / 2 - u * p * (p + 2) + u * u * p * (p + 1) / 2)
    d_f = -power * (p * (p + 1) * (p + 2) / 2) * (1.0 - u) ** 2 / constants[2]
    base = constants[0] / r
    return base * phi * f, base * (d_phi * f + phi * d_f - phi * f / r)


@compiled
def pair_terms(
    lo: Any, hi: Any, species: Any, edges: Any, grid: Any, wall: Any, zbl: Any, weights: Any, out: Any
) -> None:
    """Add the ZBL repulsion and the wall under the table's start to `out` = (energies, forces, virial).

    Half of each pair goes to either atom. zbl[s, t] = (prefactor in eV Å, 1/a in 1/Å, reach in Å, envelope power);
    `weights` are those of ZBL's four exponentials. The wall is W (1 - r/r0)^3 for r < r0 = grid start.
    """
    energies, forces, virial = out
    start, step = grid[0], 1.0 / grid[1]
    reach = start
    for s in range(len(zbl)):
        for t in range(len(zbl)):
            reach = max(reach, zbl[s, t, 2])
    xx, yy, zz, yz, xz, xy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(lo, hi):
        for e in range(edges.first[i], edges.first[i] + edges.count[i]):
            r = start + (edges.node[e] + np.float64(edges.fraction[e])) * step
            if r >= reach:
                continue
            constants = zbl[species[i], species[edges.neighbour[e]]]
            v, dv = 0.0, 0.0
            if r < constants[2]:
                v, dv = zbl_energy(r, constants, weights)
            if r < start:
                depth = 1.0 - r / start
                v += wall * depth**3
                dv -= 3.0 * wall * depth**2 / start
            x, y, z = edges.direction[0, e], edges.direction[1, e], edges.direction[2, e]
            energies[i] += 0.5 * v
            forces[i, 0] += dv * x
            forces[i, 1] += dv * y
            forces[i, 2] += dv * z
            w = 0.5 * dv * r
            xx += w * x * x
            yy += w * y * y
            zz += w * z * z
            yz += w * y * z
            xz += w * x * z
            xy += w * x * y
    virial[0] += xx
    virial[1] += yy
    virial[2] += zz
    virial[3] += yz
    virial[4] += xz
    virial[5] += xy
