"""The arithmetic of a compiled MACE, forward and backward, as numba functions over ranges of atoms.

For hidden features that are scalars only (k x 0e) one layer of MACE (I. Batatia et al., NeurIPS 2022, arXiv:2206.07697)
on atom i with neighbours j at r_ij = r n is

    A_lmc  = sum_j R_lc(r) Y_lm(n) h_jc                      message
    A'_lmc = sum_c' A_lmc' M_lc'c                            mixing of channels, one matrix per l (and element)
    B_c    = a_c A'_00c + sum_l q_lc sum_m A'_lmc^2 + sum_p w_pc I_p(A'_c)      product, cubic invariants I_p
    h'_c   = linear in B_c

and everything after B is linear up to the gate of the last readout. `extract` merges all linear maps, so that no
Clebsch-Gordan product is left. Radial functions are cubic Hermite interpolants on a uniform grid.

Conventions: arrays hold (l, m) in rows and channels in columns; spherical harmonics are e3nn's, "component"
normalised, y the polar axis. The gradient of an edge is that of the energy with respect to r_ij. The number of
channels and of angular momenta reach the kernels as lengths of tuples, which the compiler knows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

__all__ = ["Edges", "Layer", "Tail", "find_edges", "first_layer", "first_layer_gradient", "pair_terms", "second_layer"]

OPTIONS: dict[str, Any] = {
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
    "cache": True,
    "error_model": "numpy",
    "nogil": True,
}

S3, S5, S15, S35_8, S105, S21_8, S7 = (float(np.sqrt(x)) for x in (3, 5, 15, 35 / 8, 105, 21 / 8, 7))


class Edges(NamedTuple):
    """Directed edges inside the cut-off: those of atom i lie at `first[i]` and the `count[i] - 1` places after it."""

    first: Any  # int64 (atom + 1,)
    count: Any  # int64 (atom,)
    neighbour: Any  # uint32 (edge,)
    direction: Any  # float (edge, 3), unit vectors n
    node: Any  # uint32 (edge,), grid interval of the radial table
    fraction: Any  # float (edge,), position inside the interval


class Layer(NamedTuple):
    """Merged weights of one layer."""

    table: Any  # (tables * nodes, 2 * n_l * C): values, then derivatives times the grid step
    pair: Any  # uint32 (element, element): first row of the table of that pair
    mix: Any  # (1 or element, n_l, C, C)
    mix_back: Any  # the transposed matrices
    linear: Any  # (element, C)
    square: Any  # (element, n_l, C)
    cubic: Any  # (element, path, C)
    terms: Any  # uint32 (term, 4): path and three (l, m) rows
    factors: Any  # (term,)


class Tail(NamedTuple):
    """Merged weights between and after the layers; energies carry the scale of the model."""

    sender: Any  # (element, C): features that the first layer sends
    up: Any  # (C, C): B of layer 1 to the features that the second layer sends
    up_back: Any
    up_shift: Any  # (element, C)
    energy: Any  # (C,): B of layer 1 to energy
    hidden1: Any  # (element, C, H): B of layer 1 to the readout's hidden layer
    hidden1_back: Any
    hidden2: Any  # (C, H)
    hidden2_back: Any
    hidden_shift: Any  # (element, H)
    out: Any  # (H,)
    atom: Any  # float64 (element,): energy of the atom alone
    gate: int  # 0 none, 1 silu, 2 tanh


@njit(**OPTIONS)
def find_edges(lo, hi, positions, first, candidate, shift_index, shifts, cutoff2, grid, edges, closest):
    """Write the edges of atoms lo to hi; `grid` is (start, 1/step, intervals); `closest` gets r^2 and the pair."""
    real = edges.fraction.dtype.type
    start, per_step, last = grid[0], grid[1], int(grid[2]) - 1
    nearest = cutoff2
    for i in range(lo, hi):
        k = first[i]
        x0, y0, z0 = positions[i, 0], positions[i, 1], positions[i, 2]
        for c in range(first[i], first[i + 1]):
            j = candidate[c]
            s = shift_index[c]
            x = positions[j, 0] + shifts[s, 0] - x0
            y = positions[j, 1] + shifts[s, 1] - y0
            z = positions[j, 2] + shifts[s, 2] - z0
            r2 = x * x + y * y + z * z
            if r2 < cutoff2:
                if r2 < nearest:
                    nearest = r2
                    closest[0] = r2
                    closest[1] = i
                    closest[2] = j
                r = np.sqrt(r2)
                t = (r - start) * per_step
                b = min(max(int(t), 0), last)
                edges.neighbour[k] = j
                edges.node[k] = b
                edges.fraction[k] = real(t - b)
                scale = 1.0 / max(r, 1e-30)
                edges.direction[k, 0] = real(x * scale)
                edges.direction[k, 1] = real(y * scale)
                edges.direction[k, 2] = real(z * scale)
                k += 1
        edges.count[i] = k - first[i]


@njit(**OPTIONS)
def pair_terms(lo, hi, species, edges, grid, wall, zbl, weights, reach, energies, forces, virial):
    """Add the ZBL repulsion (`zbl` holds its constants per pair of elements) and the wall under the table's start.

    Half of each pair goes to either atom. zbl[s, t] = (prefactor in eV Å, 1/a in 1/Å, reach in Å, envelope power).
    `weights` are those of ZBL's four exponentials. The wall is W (1 - r/r0)^3 for r < r0 = grid start.
    """
    start, step = grid[0], 1.0 / grid[1]
    for i in range(lo, hi):
        for e in range(edges.first[i], edges.first[i] + edges.count[i]):
            r = start + (edges.node[e] + np.float64(edges.fraction[e])) * step
            if r >= reach:
                continue
            constants = zbl[species[i], species[edges.neighbour[e]]]
            v = 0.0
            dv = 0.0
            if r < start:
                depth = 1.0 - r / start
                v += wall * depth**3
                dv -= 3.0 * wall * depth**2 / start
            if r < constants[2]:
                q = r * constants[1]
                e1, e2 = weights[0] * np.exp(-3.2 * q), weights[1] * np.exp(-0.9423 * q)
                e3, e4 = weights[2] * np.exp(-0.4028 * q), weights[3] * np.exp(-0.2016 * q)
                phi = e1 + e2 + e3 + e4
                dphi = -constants[1] * (3.2 * e1 + 0.9423 * e2 + 0.4028 * e3 + 0.2016 * e4)
                u = r / constants[2]
                p = constants[3]
                up = u ** (p - 1.0)
                f = 1.0 - u * up * ((p + 1) * (p + 2) / 2 - u * p * (p + 2) + u * u * p * (p + 1) / 2)
                df = -up * (p * (p + 1) * (p + 2) / 2) * (1.0 - u) ** 2 / constants[2]
                base = constants[0] / r
                v += base * phi * f
                dv += base * (dphi * f + phi * df - phi * f / r)
            energies[i] += 0.5 * v
            x, y, z = (
                np.float64(edges.direction[e, 0]),
                np.float64(edges.direction[e, 1]),
                np.float64(edges.direction[e, 2]),
            )
            forces[i, 0] += dv * x
            forces[i, 1] += dv * y
            forces[i, 2] += dv * z
            w = 0.5 * dv * r
            virial[0] += w * x * x
            virial[1] += w * y * y
            virial[2] += w * z * z
            virial[3] += w * y * z
            virial[4] += w * x * z
            virial[5] += w * x * y


@njit(**OPTIONS)
def times(x, matrix, out, n_in, n_out):
    """out += x @ matrix."""
    for c in range(len(n_in)):
        v = x[c]
        row = matrix[c]
        for k in range(len(n_out)):
            out[k] += v * row[k]


@njit(**OPTIONS)
def mixed(A, matrices, out, channels, n_l):
    """out_lm = A_lm @ matrices_l for every (l, m)."""
    C = len(channels)
    for l in range(len(n_l)):
        for m in range(l * l, (l + 1) * (l + 1)):
            o, a = out[m], A[m]
            for k in range(C):
                o[k] = o.dtype.type(0)
            for c in range(C):
                v = a[c]
                row = matrices[l, c]
                for k in range(C):
                    o[k] += v * row[k]


@njit(**OPTIONS)
def product(A, s, layer, out, channels, n_l):
    """B of one atom from its mixed message."""
    linear, square = layer.linear[s], layer.square[s]
    for c in range(len(channels)):
        out[c] = linear[c] * A[0, c]
    for l in range(len(n_l)):
        for m in range(l * l, (l + 1) * (l + 1)):
            a, q = A[m], square[l]
            for c in range(len(channels)):
                out[c] += q[c] * a[c] * a[c]
    for t in range(len(layer.factors)):
        f, w = layer.factors[t], layer.cubic[s, layer.terms[t, 0]]
        x, y, z = A[layer.terms[t, 1]], A[layer.terms[t, 2]], A[layer.terms[t, 3]]
        for c in range(len(channels)):
            out[c] += f * w[c] * x[c] * y[c] * z[c]


@njit(**OPTIONS)
def product_gradient(dB, A, s, layer, out, channels, n_l):
    """d energy / d A' from d energy / d B."""
    linear, square = layer.linear[s], layer.square[s]
    two = A.dtype.type(2)
    for l in range(len(n_l)):
        for m in range(l * l, (l + 1) * (l + 1)):
            a, q, o = A[m], square[l], out[m]
            for c in range(len(channels)):
                o[c] = two * dB[c] * q[c] * a[c]
    for c in range(len(channels)):
        out[0, c] += dB[c] * linear[c]
    for t in range(len(layer.factors)):
        f, w = layer.factors[t], layer.cubic[s, layer.terms[t, 0]]
        i, j, k = layer.terms[t, 1], layer.terms[t, 2], layer.terms[t, 3]
        x, y, z = A[i], A[j], A[k]
        for c in range(len(channels)):
            v = f * w[c] * dB[c]
            dx, dy, dz = v * y[c] * z[c], v * x[c] * z[c], v * x[c] * y[c]
            out[i, c] += dx
            out[j, c] += dy
            out[k, c] += dz


@njit(**OPTIONS)
def harmonics(n, Y, n_l):
    """Write the real spherical harmonics of the unit vector n."""
    real = Y.dtype.type
    x, y, z = n[0], n[1], n[2]
    Y[0] = real(1)
    Y[1], Y[2], Y[3] = real(S3) * x, real(S3) * y, real(S3) * z
    if len(n_l) > 2:
        xx, yy, zz = x * x, y * y, z * z
        Y[4], Y[5], Y[7] = real(S15) * x * z, real(S15) * x * y, real(S15) * y * z
        Y[6] = real(S5) * (yy - real(0.5) * (xx + zz))
        Y[8] = real(0.5 * S15) * (zz - xx)
        if len(n_l) > 3:
            Y[9] = real(S35_8) * x * (real(3) * zz - xx)
            Y[10] = real(S105) * x * y * z
            Y[11] = real(S21_8) * x * (real(4) * yy - xx - zz)
            Y[12] = real(0.5 * S7) * y * (real(2) * yy - real(3) * (xx + zz))
            Y[13] = real(S21_8) * z * (real(4) * yy - xx - zz)
            Y[14] = real(0.5 * S105) * y * (zz - xx)
            Y[15] = real(S35_8) * z * (zz - real(3) * xx)


@njit(**OPTIONS)
def harmonics_gradient(n, G, n_l):
    """Write the gradients of the harmonics of degree 3 as polynomials in x, y, z: G[m - 9] = d Y_3m / d(x, y, z)."""
    if len(n_l) > 3:
        real = G.dtype.type
        x, y, z = n[0], n[1], n[2]
        xx, yy, zz = x * x, y * y, z * z
        a, b, c, d = real(S35_8), real(S105), real(S21_8), real(0.5 * S7)
        G[0, 0], G[0, 1], G[0, 2] = real(3) * a * (zz - xx), real(0), real(6) * a * x * z
        G[1, 0], G[1, 1], G[1, 2] = b * y * z, b * x * z, b * x * y
        G[2, 0], G[2, 1], G[2, 2] = c * (real(4) * yy - real(3) * xx - zz), real(8) * c * x * y, -real(2) * c * x * z
        G[3, 0], G[3, 1], G[3, 2] = -real(6) * d * x * y, real(3) * d * (real(2) * yy - xx - zz), -real(6) * d * y * z
        G[4, 0], G[4, 1], G[4, 2] = -real(2) * c * x * z, real(8) * c * y * z, c * (real(4) * yy - xx - real(3) * zz)
        G[5, 0], G[5, 1], G[5, 2] = -b * x * y, real(0.5) * b * (zz - xx), b * y * z
        G[6, 0], G[6, 1], G[6, 2] = -real(6) * a * x * z, real(0), real(3) * a * (zz - xx)


@njit(**OPTIONS)
def edge_message(A, below, above, w, h, Y, channels, n_l):
    """Add one edge to the message A; `below` and `above` are the table's rows around r, w the Hermite weights."""
    C = len(channels)
    D = C * len(n_l)
    v, d, V, G = w[0], w[1], w[2], w[3]
    for c in range(C):
        s = h[c]
        A[0, c] += s * (v * below[c] + d * below[D + c] + V * above[c] + G * above[D + c])
        t = s * (v * below[C + c] + d * below[D + C + c] + V * above[C + c] + G * above[D + C + c])
        A[1, c] += Y[1] * t
        A[2, c] += Y[2] * t
        A[3, c] += Y[3] * t
        if len(n_l) > 2:
            k = 2 * C + c
            t = s * (v * below[k] + d * below[D + k] + V * above[k] + G * above[D + k])
            A[4, c] += Y[4] * t
            A[5, c] += Y[5] * t
            A[6, c] += Y[6] * t
            A[7, c] += Y[7] * t
            A[8, c] += Y[8] * t
        if len(n_l) > 3:
            k = 3 * C + c
            t = s * (v * below[k] + d * below[D + k] + V * above[k] + G * above[D + k])
            A[9, c] += Y[9] * t
            A[10, c] += Y[10] * t
            A[11, c] += Y[11] * t
            A[12, c] += Y[12] * t
            A[13, c] += Y[13] * t
            A[14, c] += Y[14] * t
            A[15, c] += Y[15] * t


@njit(**OPTIONS)
def edge_gradient(g, G, below, above, w, h, dh, n, Z, channels, n_l, sends):
    """Write g, the gradient of the energy by r n: (gradient by n, 3 numbers; derivative by r); add to dh if it sends.

    G is d energy / d A; w holds the Hermite weights of the value and, from 4 on, of the derivative. The sum over m of
    Y_lm G_lm is n . grad / l because Y_lm is homogeneous of degree l.
    """
    real = G.dtype.type
    C = len(channels)
    D = C * len(n_l)
    w0, w1, w2, w3, p0, p1, p2, p3 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    x, y, z = n[0], n[1], n[2]
    ax, ay, az = real(S15) * x, real(S15) * y, real(S15) * z
    bx, by, bz = real(S5) * x, real(2 * S5) * y, real(S5) * z
    cx, cy, cz = real(S3) * x, real(S3) * y, real(S3) * z
    half, third, one = real(0.5), real(1.0 / 3.0), real(S3)
    gx, gy, gz, gr = real(0), real(0), real(0), real(0)
    for c in range(C):
        s = h[c]
        a, b, A, B = below[c], below[D + c], above[c], above[D + c]
        q = G[0, c]
        by_h = (w0 * a + w1 * b + w2 * A + w3 * B) * q
        by_r = (p0 * a + p1 * b + p2 * A + p3 * B) * q
        k = C + c
        a, b, A, B = below[k], below[D + k], above[k], above[D + k]
        r = w0 * a + w1 * b + w2 * A + w3 * B
        q = cx * G[1, c] + cy * G[2, c] + cz * G[3, c]
        by_h += r * q
        by_r += (p0 * a + p1 * b + p2 * A + p3 * B) * q
        r *= s * one
        gx += r * G[1, c]
        gy += r * G[2, c]
        gz += r * G[3, c]
        if len(n_l) > 2:
            k = 2 * C + c
            a, b, A, B = below[k], below[D + k], above[k], above[D + k]
            r = w0 * a + w1 * b + w2 * A + w3 * B
            dx = az * G[4, c] + ay * G[5, c] - ax * G[8, c] - bx * G[6, c]
            dy = ax * G[5, c] + az * G[7, c] + by * G[6, c]
            dz = ax * G[4, c] + ay * G[7, c] + az * G[8, c] - bz * G[6, c]
            q = half * (x * dx + y * dy + z * dz)
            by_h += r * q
            by_r += (p0 * a + p1 * b + p2 * A + p3 * B) * q
            r *= s
            gx += r * dx
            gy += r * dy
            gz += r * dz
        if len(n_l) > 3:
            k = 3 * C + c
            a, b, A, B = below[k], below[D + k], above[k], above[D + k]
            r = w0 * a + w1 * b + w2 * A + w3 * B
            g9, g10, g11, g12, g13, g14, g15 = G[9, c], G[10, c], G[11, c], G[12, c], G[13, c], G[14, c], G[15, c]
            dx = (
                Z[0, 0] * g9
                + Z[1, 0] * g10
                + Z[2, 0] * g11
                + Z[3, 0] * g12
                + Z[4, 0] * g13
                + Z[5, 0] * g14
                + Z[6, 0] * g15
            )
            dy = Z[1, 1] * g10 + Z[2, 1] * g11 + Z[3, 1] * g12 + Z[4, 1] * g13 + Z[5, 1] * g14
            dz = (
                Z[0, 2] * g9
                + Z[1, 2] * g10
                + Z[2, 2] * g11
                + Z[3, 2] * g12
                + Z[4, 2] * g13
                + Z[5, 2] * g14
                + Z[6, 2] * g15
            )
            q = third * (x * dx + y * dy + z * dz)
            by_h += r * q
            by_r += (p0 * a + p1 * b + p2 * A + p3 * B) * q
            r *= s
            gx += r * dx
            gy += r * dy
            gz += r * dz
        gr += s * by_r
        if len(sends) > 0:
            dh[c] += by_h
    g[0], g[1], g[2], g[3] = gx, gy, gz, gr


@njit(**OPTIONS)
def hermite(u, per_step, w):
    """Weights of (value, derivative) below and above for the value (0 to 3) and for d/dr (4 to 7) at u in [0, 1).

    Below the table (u < 0, first interval) the function goes on as a straight line.
    """
    real = w.dtype.type
    one, two, three, four, six = real(1), real(2), real(3), real(4), real(6)
    if u < real(0):
        w[0], w[1], w[2], w[3] = one, u, real(0), real(0)
        w[4], w[5], w[6], w[7] = real(0), per_step, real(0), real(0)
        return
    v = one - u
    w[2] = u * u * (three - two * u)
    w[0] = one - w[2]
    w[1] = u * v * v
    w[3] = -u * u * v
    w[6] = six * u * v * per_step
    w[4] = -w[6]
    w[5] = v * (one - three * u) * per_step
    w[7] = u * (three * u - two) * per_step


@njit(**OPTIONS)
def edge_force(i, j, g, n, r, forces, virial):
    """Add the forces and the virial of one edge with gradient g = (by n, by r)."""
    nx, ny, nz = np.float64(n[0]), np.float64(n[1]), np.float64(n[2])
    gx, gy, gz = np.float64(g[0]), np.float64(g[1]), np.float64(g[2])
    q = 1.0 / max(r, 1e-3)
    radial = np.float64(g[3]) - q * (gx * nx + gy * ny + gz * nz)
    gx = q * gx + radial * nx
    gy = q * gy + radial * ny
    gz = q * gz + radial * nz
    forces[i, 0] += gx
    forces[i, 1] += gy
    forces[i, 2] += gz
    forces[j, 0] -= gx
    forces[j, 1] -= gy
    forces[j, 2] -= gz
    virial[0] += gx * nx * r
    virial[1] += gy * ny * r
    virial[2] += gz * nz * r
    virial[3] += gy * nz * r
    virial[4] += gx * nz * r
    virial[5] += gx * ny * r


@njit(**OPTIONS)
def message(i, A, species, edges, layer, senders, by_species, per_step, channels, n_l):
    """Write A of atom i; `senders` are the features by atom or, if `by_species`, by element."""
    A[:] = A.dtype.type(0)
    w, Y = np.empty(8, A.dtype), np.empty(16, A.dtype)
    for e in range(edges.first[i], edges.first[i] + edges.count[i]):
        j = edges.neighbour[e]
        t = layer.pair[species[i], species[j]] + edges.node[e]
        hermite(edges.fraction[e], per_step, w)
        harmonics(edges.direction[e], Y, n_l)
        h = senders[species[j]] if by_species else senders[j]
        edge_message(A, layer.table[t], layer.table[t + 1], w, h, Y, channels, n_l)


@njit(**OPTIONS)
def message_gradient(i, G, species, edges, layer, senders, grid, d_senders, forces, virial, channels, n_l, sends):
    """Add forces and virial of atom i's edges, and d energy / d senders if `sends` is not empty."""
    real = G.dtype.type
    start, per_step, step = grid[0], real(grid[1]), 1.0 / grid[1]
    w, Z, g = np.empty(8, G.dtype), np.empty((7, 3), G.dtype), np.empty(4, G.dtype)
    for e in range(edges.first[i], edges.first[i] + edges.count[i]):
        j = edges.neighbour[e]
        n = edges.direction[e]
        t = layer.pair[species[i], species[j]] + edges.node[e]
        hermite(edges.fraction[e], per_step, w)
        harmonics_gradient(n, Z, n_l)
        h = senders[j] if len(sends) > 0 else senders[species[j]]
        dh = d_senders[j] if len(sends) > 0 else d_senders[0]
        edge_gradient(g, G, layer.table[t], layer.table[t + 1], w, h, dh, n, Z, channels, n_l, sends)
        edge_force(i, j, g, n, start + (edges.node[e] + np.float64(edges.fraction[e])) * step, forces, virial)


@njit(**OPTIONS)
def first_layer(lo, hi, species, edges, layer, tail, grid, kept, sent, hidden, energies, channels, n_l, readout):
    """Evaluate layer 1: mixed messages `kept`, features for layer 2 `sent`, readout input `hidden`, energies (+=)."""
    real = kept.dtype.type
    n_m = len(n_l) * len(n_l)
    A, B = np.empty((n_m, len(channels)), kept.dtype), np.empty(len(channels), kept.dtype)
    for i in range(lo, hi):
        s = species[i]
        message(i, A, species, edges, layer, tail.sender, True, real(grid[1]), channels, n_l)
        mixed(A, layer.mix[s % len(layer.mix)], kept[i], channels, n_l)
        product(kept[i], s, layer, B, channels, n_l)
        x = real(0)
        for c in range(len(channels)):
            sent[i, c] = tail.up_shift[s, c]
            x += B[c] * tail.energy[c]
        for c in range(len(readout)):
            hidden[i, c] = tail.hidden_shift[s, c]
        times(B, tail.up, sent[i], channels, channels)
        times(B, tail.hidden1[s], hidden[i], channels, readout)
        energies[i] += tail.atom[s] + x


@njit(**OPTIONS)
def second_layer(
    lo, hi, species, edges, layer, tail, grid, sent, d_sent, hidden, energies, forces, virial, channels, n_l, readout
):
    """Evaluate layer 2 and go back through it; `hidden` turns into d energy / d hidden."""
    real = sent.dtype.type
    n_m = len(n_l) * len(n_l)
    A, M = np.empty((n_m, len(channels)), sent.dtype), np.empty((n_m, len(channels)), sent.dtype)
    B = np.empty(len(channels), sent.dtype)
    one = real(1)
    for i in range(lo, hi):
        s = species[i]
        message(i, A, species, edges, layer, sent, False, real(grid[1]), channels, n_l)
        mixed(A, layer.mix[s % len(layer.mix)], M, channels, n_l)
        product(M, s, layer, B, channels, n_l)
        z = hidden[i]
        times(B, tail.hidden2, z, channels, readout)
        x = real(0)
        for k in range(len(readout)):
            value, slope = z[k], one
            if tail.gate == 1:
                f = one / (one + np.exp(-z[k]))
                value, slope = z[k] * f, f * (one + z[k] * (one - f))
            elif tail.gate == 2:
                value = np.tanh(z[k])
                slope = one - value * value
            x += tail.out[k] * value
            z[k] = tail.out[k] * slope
        energies[i] += x
        for c in range(len(channels)):
            B[c] = real(0)
        times(z, tail.hidden2_back, B, readout, channels)
        product_gradient(B, M, s, layer, A, channels, n_l)
        mixed(A, layer.mix_back[s % len(layer.mix)], M, channels, n_l)
        message_gradient(i, M, species, edges, layer, sent, grid, d_sent, forces, virial, channels, n_l, (0,))


@njit(**OPTIONS)
def first_layer_gradient(
    lo, hi, species, edges, layer, tail, grid, kept, d_sent, d_hidden, forces, virial, channels, n_l, readout
):
    """Go back through layer 1 and add forces and virial."""
    n_m = len(n_l) * len(n_l)
    A, M = np.empty((n_m, len(channels)), kept.dtype), np.empty((n_m, len(channels)), kept.dtype)
    B = np.empty(len(channels), kept.dtype)
    for i in range(lo, hi):
        s = species[i]
        for c in range(len(channels)):
            B[c] = tail.energy[c]
        times(d_sent[i], tail.up_back, B, channels, channels)
        times(d_hidden[i], tail.hidden1_back[s], B, readout, channels)
        product_gradient(B, kept[i], s, layer, A, channels, n_l)
        mixed(A, layer.mix_back[s % len(layer.mix)], M, channels, n_l)
        message_gradient(i, M, species, edges, layer, tail.sender, grid, d_sent, forces, virial, channels, n_l, ())
