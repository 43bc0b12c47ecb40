"""The arithmetic of a compiled MACE, forward and backward, over ranges of atoms.

For hidden features that are scalars only (k x 0e) one layer of MACE (I. Batatia et al., NeurIPS 2022, arXiv:2206.07697)
on atom i with neighbours j at r_ij = r n is

    A_lmc  = sum_j R_lc(r) Y_lm(n) h_jc                      message
    A'_lmc = sum_c' A_lmc' M_lc'c                            mixing of channels, one matrix per l (and element)
    B_c    = a_c A'_00c + sum_l q_lc sum_m A'_lmc^2 + sum_p w_pc I_p(A'_c)      product, cubic invariants I_p
    h'_c   = linear in B_c

and everything after B is linear up to the gate of the last readout. `extract` merges all linear maps, so that no
Clebsch-Gordan product is left. Radial functions are cubic Hermite interpolants on a uniform grid.

Conventions: arrays hold (l, m) in rows and channels in columns; spherical harmonics are e3nn's, "component"
normalised, y the polar axis. The number of channels, of angular momenta and of lanes reach the kernels as lengths of
tuples (`channels`, `n_l`, `w`), which the compiler knows. Channels are filled up with zeros to a multiple of the lanes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlsim.compiled import compiled
from mlsim.simd import load, positive_part, splat, store, sum4, zero

__all__ = ["Layer", "Tail", "first_layer", "first_layer_gradient", "second_layer"]

S3, S5, S7, S15, S105, S21_8, S35_8 = (float(np.sqrt(x)) for x in (3, 5, 7, 15, 105, 21 / 8, 35 / 8))

# rows of what is known per edge: Hermite weights of value (0 to 3) and slope (4 to 7), n, harmonics, gradients of l = 3
AXES, HARMONICS, GRADIENTS, ROWS = 8, 11, 26, 47


class Layer(NamedTuple):
    """Merged weights of one layer."""

    table: Any  # (tables * nodes, 2, n_l, C): value, and derivative times the grid step
    pair: Any  # int64 (element, element): first row of the table of that pair
    mix: Any  # (1 or element, n_l, C, C)
    mix_back: Any  # the transposed matrices
    linear: Any  # (element, C)
    square: Any  # (element, n_l, C)
    cubic: Any  # (element, path, C)
    terms: Any  # int64 (term, 4): path and three (l, m) rows
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


@compiled
def prepare(i: Any, species: Any, edges: Any, pair: Any, per_step: Any, places: Any, S: Any, n_l: Any, w: Any) -> None:
    """Write what the edges of atom i share over channels: rows of S, and places (table row, neighbour).

    Below the table (fraction < 0, first interval) radial functions go on as straight lines.
    """
    real = S.dtype.type
    first, n, cap = edges.first[i], np.int64(edges.count[i]), S.shape[1]
    size = edges.direction.shape[1]
    s = species[i]
    for e in range(n):
        j = edges.neighbour[first + e]
        places[0, e] = pair[s, species[j]] + edges.node[first + e]
        places[1, e] = j
    one, two, three, six = real(1), real(2), real(3), real(6)
    unit = zero(S, w) + one
    for e in range(0, n, len(w)):
        t = load(edges.fraction, first + e, w)
        u = positive_part(t)
        v = unit - u
        above = u * u * (unit * three - u * two)
        store(S, e, unit - above)
        store(S, cap + e, u * v * v + t - u)
        store(S, 2 * cap + e, above)
        store(S, 3 * cap + e, (u * u * u) - u * u)
        slope = u * v * (six * per_step)
        store(S, 4 * cap + e, zero(S, w) - slope)
        store(S, 5 * cap + e, v * (unit - u * three) * per_step)
        store(S, 6 * cap + e, slope)
        store(S, 7 * cap + e, u * (u * three - two) * per_step)
        x, y, z = (
            load(edges.direction, first + e, w),
            load(edges.direction, size + first + e, w),
            load(edges.direction, 2 * size + first + e, w),
        )
        store(S, AXES * cap + e, x)
        store(S, (AXES + 1) * cap + e, y)
        store(S, (AXES + 2) * cap + e, z)
        k = HARMONICS * cap + e
        store(S, k, x * real(S3))
        store(S, k + cap, y * real(S3))
        store(S, k + 2 * cap, z * real(S3))
        if len(n_l) > 2:
            xx, yy, zz = x * x, y * y, z * z
            store(S, k + 3 * cap, x * z * real(S15))
            store(S, k + 4 * cap, x * y * real(S15))
            store(S, k + 5 * cap, (yy - (xx + zz) * real(0.5)) * real(S5))
            store(S, k + 6 * cap, y * z * real(S15))
            store(S, k + 7 * cap, (zz - xx) * real(0.5 * S15))
        if len(n_l) > 3:
            prepare_degree3(S, e, x, y, z, w)


@compiled
def prepare_degree3(S: Any, e: Any, x: Any, y: Any, z: Any, w: Any) -> None:
    """Write the harmonics of degree 3 and their gradients as polynomials in x, y, z (seven rows for each axis)."""
    real, cap = S.dtype.type, S.shape[1]
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
    a, b, c, d = real(S35_8), real(S105), real(S21_8), real(0.5 * S7)
    two, three, four, six, half = real(2), real(3), real(4), real(6), real(0.5)
    k = (HARMONICS + 8) * cap + e
    store(S, k, x * (zz * three - xx) * a)
    store(S, k + cap, xy * z * b)
    store(S, k + 2 * cap, x * (yy * four - xx - zz) * c)
    store(S, k + 3 * cap, y * (yy * two - (xx + zz) * three) * d)
    store(S, k + 4 * cap, z * (yy * four - xx - zz) * c)
    store(S, k + 5 * cap, y * (zz - xx) * (b * half))
    store(S, k + 6 * cap, z * (zz - xx * three) * a)
    k, nothing = GRADIENTS * cap + e, zero(S, w)
    store(S, k, (zz - xx) * (three * a))
    store(S, k + cap, yz * b)
    store(S, k + 2 * cap, (yy * four - xx * three - zz) * c)
    store(S, k + 3 * cap, nothing - xy * (six * d))
    store(S, k + 4 * cap, nothing - xz * (two * c))
    store(S, k + 5 * cap, nothing - xy * b)
    store(S, k + 6 * cap, nothing - xz * (six * a))
    k += 7 * cap
    store(S, k, nothing)
    store(S, k + cap, xz * b)
    store(S, k + 2 * cap, xy * (real(8) * c))
    store(S, k + 3 * cap, (yy * two - xx - zz) * (three * d))
    store(S, k + 4 * cap, yz * (real(8) * c))
    store(S, k + 5 * cap, (zz - xx) * (b * half))
    store(S, k + 6 * cap, nothing)
    k += 7 * cap
    store(S, k, xz * (six * a))
    store(S, k + cap, xy * b)
    store(S, k + 2 * cap, nothing - xz * (two * c))
    store(S, k + 3 * cap, nothing - yz * (six * d))
    store(S, k + 4 * cap, (yy * four - xx - zz * three) * c)
    store(S, k + 5 * cap, yz * b)
    store(S, k + 6 * cap, (zz - xx) * (three * a))


@compiled
def radial(table: Any, at: Any, D: Any, S: Any, e: Any, w: Any) -> Any:
    """Return R of one l and some channels; a row of the table has 2 D numbers, the rows of r are next to each other."""
    cap = S.shape[1]
    low = splat(S, e, w) * load(table, at, w) + splat(S, cap + e, w) * load(table, at + D, w)
    return (
        low
        + splat(S, 2 * cap + e, w) * load(table, at + 2 * D, w)
        + splat(S, 3 * cap + e, w) * load(table, at + 3 * D, w)
    )


@compiled
def radial_slope(table: Any, at: Any, D: Any, S: Any, e: Any, w: Any) -> Any:
    """Return dR/dr of one l and some channels."""
    cap = S.shape[1]
    rise = splat(S, 6 * cap + e, w) * (load(table, at + 2 * D, w) - load(table, at, w))
    return (
        rise + splat(S, 5 * cap + e, w) * load(table, at + D, w) + splat(S, 7 * cap + e, w) * load(table, at + 3 * D, w)
    )


@compiled
def message(A: Any, n: Any, places: Any, S: Any, table: Any, senders: Any, channels: Any, n_l: Any, w: Any) -> None:
    """Write A of one atom from n prepared edges; places[1] is the row of `senders`."""
    C, cap = len(channels), S.shape[1]
    D = C * len(n_l)
    for c in range(0, C, len(w)):
        a0, a1, a2, a3, a4 = zero(A, w), zero(A, w), zero(A, w), zero(A, w), zero(A, w)
        a5, a6, a7, a8 = zero(A, w), zero(A, w), zero(A, w), zero(A, w)
        for e in range(n):
            t, k = places[0, e] * (2 * D) + c, HARMONICS * cap + e
            h = load(senders, places[1, e] * C + c, w)
            a0 = a0 + radial(table, t, D, S, e, w) * h
            r = radial(table, t + C, D, S, e, w) * h
            a1 = a1 + splat(S, k, w) * r
            a2 = a2 + splat(S, k + cap, w) * r
            a3 = a3 + splat(S, k + 2 * cap, w) * r
            if len(n_l) > 2:
                r = radial(table, t + 2 * C, D, S, e, w) * h
                a4 = a4 + splat(S, k + 3 * cap, w) * r
                a5 = a5 + splat(S, k + 4 * cap, w) * r
                a6 = a6 + splat(S, k + 5 * cap, w) * r
                a7 = a7 + splat(S, k + 6 * cap, w) * r
                a8 = a8 + splat(S, k + 7 * cap, w) * r
        store(A, c, a0)
        store(A, C + c, a1)
        store(A, 2 * C + c, a2)
        store(A, 3 * C + c, a3)
        if len(n_l) > 2:
            store(A, 4 * C + c, a4)
            store(A, 5 * C + c, a5)
            store(A, 6 * C + c, a6)
            store(A, 7 * C + c, a7)
            store(A, 8 * C + c, a8)
    if len(n_l) > 3:
        message_degree3(A, n, places, S, table, senders, channels, w)


@compiled
def message_degree3(A: Any, n: Any, places: Any, S: Any, table: Any, senders: Any, channels: Any, w: Any) -> None:
    """Write the rows of A with l = 3."""
    C, cap = len(channels), S.shape[1]
    D = 4 * C
    for c in range(0, C, len(w)):
        a0, a1, a2, a3 = zero(A, w), zero(A, w), zero(A, w), zero(A, w)
        a4, a5, a6 = zero(A, w), zero(A, w), zero(A, w)
        for e in range(n):
            k = (HARMONICS + 8) * cap + e
            h = load(senders, places[1, e] * C + c, w)
            r = radial(table, places[0, e] * (2 * D) + 3 * C + c, D, S, e, w) * h
            a0 = a0 + splat(S, k, w) * r
            a1 = a1 + splat(S, k + cap, w) * r
            a2 = a2 + splat(S, k + 2 * cap, w) * r
            a3 = a3 + splat(S, k + 3 * cap, w) * r
            a4 = a4 + splat(S, k + 4 * cap, w) * r
            a5 = a5 + splat(S, k + 5 * cap, w) * r
            a6 = a6 + splat(S, k + 6 * cap, w) * r
        store(A, 9 * C + c, a0)
        store(A, 10 * C + c, a1)
        store(A, 11 * C + c, a2)
        store(A, 12 * C + c, a3)
        store(A, 13 * C + c, a4)
        store(A, 14 * C + c, a5)
        store(A, 15 * C + c, a6)


@compiled
def message_gradient(
    g: Any,
    A: Any,
    n: Any,
    places: Any,
    S: Any,
    table: Any,
    senders: Any,
    d_senders: Any,
    channels: Any,
    n_l: Any,
    w: Any,
) -> None:
    """Write g[e], d energy / d (n, r) of each edge, from A = d energy / d A; add to d_senders if that has rows.

    The gradient by n is that of the polynomials r^l Y_lm, homogeneous of degree l: sum_m Y_lm A_lm is n . gradient / l.
    """
    real, C, cap = A.dtype.type, len(channels), S.shape[1]
    D, four, sends = C * len(n_l), (0, 0, 0, 0), len(d_senders) > 0
    for e in range(n):
        store(g, 4 * e, zero(g, four))
    for c in range(0, C, len(w)):
        A0 = load(A, c, w)
        A1, A2, A3 = load(A, C + c, w) * real(S3), load(A, 2 * C + c, w) * real(S3), load(A, 3 * C + c, w) * real(S3)
        Txx, Tyy, Tzz, Txy, Txz, Tyz = zero(A, w), zero(A, w), zero(A, w), zero(A, w), zero(A, w), zero(A, w)
        if len(n_l) > 2:
            # l = 2 is a symmetric traceless matrix T: sum_m Y_2m A_2m = n T n / 2
            Txz, Txy = load(A, 4 * C + c, w) * real(S15), load(A, 5 * C + c, w) * real(S15)
            Tyz, Tyy = load(A, 7 * C + c, w) * real(S15), load(A, 6 * C + c, w) * real(S5)
            Tzz = load(A, 8 * C + c, w) * real(S15)
            Txx, Tzz, Tyy = Txx - Tzz - Tyy, Tzz - Tyy, Tyy + Tyy
        for e in range(n):
            t, at, k = places[0, e] * (2 * D) + c, places[1, e] * C + c, AXES * cap + e
            h, x, y, z = load(senders, at, w), splat(S, k, w), splat(S, k + cap, w), splat(S, k + 2 * cap, w)
            by_h = A0 * radial(table, t, D, S, e, w)
            by_r = A0 * radial_slope(table, t, D, S, e, w)
            r, s = radial(table, t + C, D, S, e, w), x * A1 + y * A2 + z * A3
            by_h = by_h + r * s
            by_r = by_r + radial_slope(table, t + C, D, S, e, w) * s
            gx, gy, gz = r * A1, r * A2, r * A3
            if len(n_l) > 2:
                r = radial(table, t + 2 * C, D, S, e, w)
                dx = x * Txx + y * Txy + z * Txz
                dy = x * Txy + y * Tyy + z * Tyz
                dz = x * Txz + y * Tyz + z * Tzz
                s = (x * dx + y * dy + z * dz) * real(0.5)
                by_h = by_h + r * s
                by_r = by_r + radial_slope(table, t + 2 * C, D, S, e, w) * s
                gx, gy, gz = gx + r * dx, gy + r * dy, gz + r * dz
            store(g, 4 * e, load(g, 4 * e, four) + sum4(gx * h, gy * h, gz * h, by_r * h))
            if sends:
                store(d_senders, at, load(d_senders, at, w) + by_h)
    if len(n_l) > 3:
        message_gradient_degree3(g, A, n, places, S, table, senders, d_senders, channels, w)


@compiled
def message_gradient_degree3(
    g: Any, A: Any, n: Any, places: Any, S: Any, table: Any, senders: Any, d_senders: Any, channels: Any, w: Any
) -> None:
    """Add the share of l = 3 to what `message_gradient` writes."""
    real, C, cap = A.dtype.type, len(channels), S.shape[1]
    D, four, sends = 4 * C, (0, 0, 0, 0), len(d_senders) > 0
    for c in range(0, C, len(w)):
        for e in range(n):
            t, at, k = places[0, e] * (2 * D) + 3 * C + c, places[1, e] * C + c, AXES * cap + e
            h, x, y, z = load(senders, at, w), splat(S, k, w), splat(S, k + cap, w), splat(S, k + 2 * cap, w)
            k = GRADIENTS * cap + e
            dx, dy, dz = zero(A, w), zero(A, w), zero(A, w)
            for m in range(7):
                T = load(A, (9 + m) * C + c, w)
                dx = dx + splat(S, k + m * cap, w) * T
                dy = dy + splat(S, k + (m + 7) * cap, w) * T
                dz = dz + splat(S, k + (m + 14) * cap, w) * T
            r, s = radial(table, t, D, S, e, w), (x * dx + y * dy + z * dz) * real(1.0 / 3.0)
            rh = r * h
            by_r = radial_slope(table, t, D, S, e, w) * s * h
            store(g, 4 * e, load(g, 4 * e, four) + sum4(rh * dx, rh * dy, rh * dz, by_r))
            if sends:
                store(d_senders, at, load(d_senders, at, w) + r * s)


@compiled
def add_forces(i: Any, g: Any, edges: Any, start: Any, step: Any, forces: Any, virial: Any) -> None:
    """Add forces and virial of the edges of atom i from g = d energy / d (n, r)."""
    first = edges.first[i]
    fx, fy, fz = 0.0, 0.0, 0.0
    xx, yy, zz, yz, xz, xy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for e in range(np.int64(edges.count[i])):
        k = first + e
        x, y, z = (
            np.float64(edges.direction[0, k]),
            np.float64(edges.direction[1, k]),
            np.float64(edges.direction[2, k]),
        )
        gx, gy, gz = np.float64(g[4 * e]), np.float64(g[4 * e + 1]), np.float64(g[4 * e + 2])
        r = start + (edges.node[k] + np.float64(edges.fraction[k])) * step
        q = 1.0 / r
        radial = np.float64(g[4 * e + 3]) - q * (gx * x + gy * y + gz * z)
        gx, gy, gz = q * gx + radial * x, q * gy + radial * y, q * gz + radial * z
        j = edges.neighbour[k]
        forces[j, 0] -= gx
        forces[j, 1] -= gy
        forces[j, 2] -= gz
        fx += gx
        fy += gy
        fz += gz
        x, y, z = x * r, y * r, z * r
        xx += gx * x
        yy += gy * y
        zz += gz * z
        yz += gy * z
        xz += gx * z
        xy += gx * y
    forces[i, 0] += fx
    forces[i, 1] += fy
    forces[i, 2] += fz
    virial[0] += xx
    virial[1] += yy
    virial[2] += zz
    virial[3] += yz
    virial[4] += xz
    virial[5] += xy


@compiled
def times(x: Any, x_at: Any, matrix: Any, matrix_at: Any, out: Any, out_at: Any, n_in: Any, n_out: Any, w: Any) -> None:
    """out += x @ matrix, all from given places on."""
    N = len(n_out)
    for k in range(0, N, len(w)):
        even, odd = load(out, out_at + k, w), zero(out, w)
        for c in range(0, len(n_in), 2):
            even = even + splat(x, x_at + c, w) * load(matrix, matrix_at + c * N + k, w)
            odd = odd + splat(x, x_at + c + 1, w) * load(matrix, matrix_at + (c + 1) * N + k, w)
        store(out, out_at + k, even + odd)


@compiled
def mixed(A: Any, M: Any, M_at: Any, out: Any, out_at: Any, channels: Any, n_l: Any, w: Any) -> None:
    """out_lm = A_lm @ M_l for every (l, m)."""
    C = len(channels)
    for k in range(0, C, len(w)):
        for ell in range(len(n_l)):
            matrix, row = M_at + ell * C * C + k, ell * ell * C
            a, b, c, d = zero(A, w), zero(A, w), zero(A, w), zero(A, w)
            if ell == 0:
                for i in range(0, C, 4):
                    a = a + splat(A, i, w) * load(M, matrix + i * C, w)
                    b = b + splat(A, i + 1, w) * load(M, matrix + (i + 1) * C, w)
                    c = c + splat(A, i + 2, w) * load(M, matrix + (i + 2) * C, w)
                    d = d + splat(A, i + 3, w) * load(M, matrix + (i + 3) * C, w)
                store(out, out_at + k, (a + b) + (c + d))
            else:
                # 2 l + 1 rows at once; the first row goes last, alone or with two, four or six others
                e, f, g = zero(A, w), zero(A, w), zero(A, w)
                for i in range(C):
                    m = load(M, matrix + i * C, w)
                    a = a + splat(A, row + i, w) * m
                    b = b + splat(A, row + C + i, w) * m
                    c = c + splat(A, row + 2 * C + i, w) * m
                    if ell > 1:
                        d = d + splat(A, row + 3 * C + i, w) * m
                        e = e + splat(A, row + 4 * C + i, w) * m
                    if ell > 2:
                        f = f + splat(A, row + 5 * C + i, w) * m
                        g = g + splat(A, row + 6 * C + i, w) * m
                at = out_at + row + k
                store(out, at, a)
                store(out, at + C, b)
                store(out, at + 2 * C, c)
                if ell > 1:
                    store(out, at + 3 * C, d)
                    store(out, at + 4 * C, e)
                if ell > 2:
                    store(out, at + 5 * C, f)
                    store(out, at + 6 * C, g)


@compiled
def product(A: Any, A_at: Any, s: Any, layer: Any, out: Any, channels: Any, n_l: Any, w: Any) -> None:
    """Write B of one atom of element s from its mixed message."""
    C, L = len(channels), len(n_l)
    for c in range(0, C, len(w)):
        at = A_at + c
        b = load(layer.linear, s * C + c, w) * load(A, at, w)
        for ell in range(L):
            a = load(A, at + ell * ell * C, w)
            total = a * a
            for m in range(ell * ell + 1, (ell + 1) * (ell + 1)):
                a = load(A, at + m * C, w)
                total = total + a * a
            b = b + load(layer.square, (s * L + ell) * C + c, w) * total
        for t in range(len(layer.factors)):
            weight = load(layer.cubic, (s * layer.cubic.shape[1] + layer.terms[t, 0]) * C + c, w) * splat(
                layer.factors, t, w
            )
            x, y, z = layer.terms[t, 1] * C, layer.terms[t, 2] * C, layer.terms[t, 3] * C
            b = b + weight * load(A, at + x, w) * load(A, at + y, w) * load(A, at + z, w)
        store(out, c, b)


@compiled
def product_gradient(dB: Any, A: Any, A_at: Any, s: Any, layer: Any, out: Any, channels: Any, n_l: Any, w: Any) -> None:
    """Write d energy / d A' from d energy / d B."""
    C, L, two = len(channels), len(n_l), A.dtype.type(2)
    for c in range(0, C, len(w)):
        at, d = A_at + c, load(dB, c, w)
        for ell in range(L):
            q = load(layer.square, (s * L + ell) * C + c, w) * d * two
            for m in range(ell * ell, (ell + 1) * (ell + 1)):
                store(out, m * C + c, q * load(A, at + m * C, w))
        store(out, c, load(out, c, w) + d * load(layer.linear, s * C + c, w))
        for t in range(len(layer.factors)):
            weight = (
                load(layer.cubic, (s * layer.cubic.shape[1] + layer.terms[t, 0]) * C + c, w)
                * splat(layer.factors, t, w)
                * d
            )
            x, y, z = layer.terms[t, 1] * C, layer.terms[t, 2] * C, layer.terms[t, 3] * C
            a1, a2, a3 = load(A, at + x, w), load(A, at + y, w), load(A, at + z, w)
            store(out, x + c, load(out, x + c, w) + weight * a2 * a3)
            store(out, y + c, load(out, y + c, w) + weight * a1 * a3)
            store(out, z + c, load(out, z + c, w) + weight * a1 * a2)


@compiled
def by_element(n: Any, species: Any, places: Any) -> None:
    """Let places[1] name the element instead of the atom: layer 1 sends features of elements."""
    for e in range(n):
        places[1, e] = species[places[1, e]]


@compiled
def first_layer(
    lo: Any, hi: Any, species: Any, edges: Any, layer: Any, tail: Any, grid: Any, state: Any, energies: Any, sizes: Any
) -> None:
    """Evaluate layer 1, add its energies; `state` is (mixed messages, sent features, their gradient, readout input)."""
    kept, sent, _, hidden = state
    channels, n_l, readout, w = sizes
    C, H, M, real = len(channels), len(readout), len(n_l) * len(n_l), kept.dtype.type
    cap = room(lo, hi, edges, w)
    S, places = np.empty((ROWS, cap), kept.dtype), np.empty((2, cap), np.int64)
    A, B = np.empty((M, C), kept.dtype), np.empty(C, kept.dtype)
    for i in range(lo, hi):
        s = np.int64(species[i])
        n = np.int64(edges.count[i])
        prepare(i, species, edges, layer.pair, real(grid[1]), places, S, n_l, w)
        by_element(n, species, places)
        message(A, n, places, S, layer.table, tail.sender, channels, n_l, w)
        mixed(A, layer.mix, (s % len(layer.mix)) * len(n_l) * C * C, kept, i * M * C, channels, n_l, w)
        product(kept, i * M * C, s, layer, B, channels, n_l, w)
        x = 0.0
        for c in range(C):
            sent[i, c] = tail.up_shift[s, c]
            x += np.float64(B[c]) * np.float64(tail.energy[c])
        for c in range(H):
            hidden[i, c] = tail.hidden_shift[s, c]
        if H > 0:
            times(B, 0, tail.up, 0, sent, i * C, channels, channels, w)
            times(B, 0, tail.hidden1, s * C * H, hidden, i * H, channels, readout, w)
        energies[i] += tail.atom[s] + x


@compiled
def room(lo: Any, hi: Any, edges: Any, w: Any) -> Any:
    """Return the largest number of edges of an atom, filled up to whole vectors."""
    most = np.int64(0)
    for i in range(lo, hi):
        if edges.count[i] > most:
            most = np.int64(edges.count[i])
    return (most // len(w) + 1) * len(w)


@compiled
def second_layer(
    lo: Any, hi: Any, species: Any, edges: Any, layer: Any, tail: Any, grid: Any, state: Any, out: Any, sizes: Any
) -> None:
    """Evaluate layer 2 and go back through it; the readout input in `state` turns into d energy / d input."""
    _, sent, d_sent, hidden = state
    energies, forces, virial = out
    channels, n_l, readout, w = sizes
    C, H, M, real = len(channels), len(readout), len(n_l) * len(n_l), sent.dtype.type
    cap = room(lo, hi, edges, w)
    S, places, g = np.empty((ROWS, cap), sent.dtype), np.empty((2, cap), np.int64), np.empty(4 * cap, sent.dtype)
    A, T, B = np.empty((M, C), sent.dtype), np.empty((M, C), sent.dtype), np.empty(C, sent.dtype)
    one = real(1)
    for i in range(lo, hi):
        s = np.int64(species[i])
        n = np.int64(edges.count[i])
        matrix = (s % len(layer.mix)) * len(n_l) * C * C
        prepare(i, species, edges, layer.pair, real(grid[1]), places, S, n_l, w)
        message(A, n, places, S, layer.table, sent, channels, n_l, w)
        mixed(A, layer.mix, matrix, T, 0, channels, n_l, w)
        product(T, 0, s, layer, B, channels, n_l, w)
        times(B, 0, tail.hidden2, 0, hidden, i * H, channels, readout, w)
        x = 0.0
        for k in range(H):
            z = hidden[i, k]
            value, slope = z, one
            if tail.gate == 1:
                f = one / (one + np.exp(-z))
                value, slope = z * f, f * (one + z * (one - f))
            elif tail.gate == 2:
                value = np.tanh(z)
                slope = one - value * value
            x += np.float64(tail.out[k]) * np.float64(value)
            hidden[i, k] = tail.out[k] * slope
        energies[i] += x
        for c in range(C):
            B[c] = real(0)
        times(hidden, i * H, tail.hidden2_back, 0, B, 0, readout, channels, w)
        product_gradient(B, T, 0, s, layer, A, channels, n_l, w)
        mixed(A, layer.mix_back, matrix, T, 0, channels, n_l, w)
        message_gradient(g, T, n, places, S, layer.table, sent, d_sent, channels, n_l, w)
        add_forces(i, g, edges, grid[0], 1.0 / grid[1], forces, virial)


@compiled
def first_layer_gradient(
    lo: Any, hi: Any, species: Any, edges: Any, layer: Any, tail: Any, grid: Any, state: Any, out: Any, sizes: Any
) -> None:
    """Go back through layer 1 and add forces and virial."""
    kept, _, d_sent, d_hidden = state
    _, forces, virial = out
    channels, n_l, readout, w = sizes
    C, H, M, real = len(channels), len(readout), len(n_l) * len(n_l), kept.dtype.type
    cap = room(lo, hi, edges, w)
    S, places, g = np.empty((ROWS, cap), kept.dtype), np.empty((2, cap), np.int64), np.empty(4 * cap, kept.dtype)
    A, T, B = np.empty((M, C), kept.dtype), np.empty((M, C), kept.dtype), np.empty(C, kept.dtype)
    for i in range(lo, hi):
        s = np.int64(species[i])
        n = np.int64(edges.count[i])
        for c in range(C):
            B[c] = tail.energy[c]
        if H > 0:
            times(d_sent, i * C, tail.up_back, 0, B, 0, channels, channels, w)
            times(d_hidden, i * H, tail.hidden1_back, s * C * H, B, 0, readout, channels, w)
        product_gradient(B, kept, i * M * C, s, layer, A, channels, n_l, w)
        mixed(A, layer.mix_back, (s % len(layer.mix)) * len(n_l) * C * C, T, 0, channels, n_l, w)
        prepare(i, species, edges, layer.pair, real(grid[1]), places, S, n_l, w)
        by_element(n, species, places)
        message_gradient(g, T, n, places, S, layer.table, tail.sender, d_sent[:0], channels, n_l, w)
        add_forces(i, g, edges, grid[0], 1.0 / grid[1], forces, virial)
