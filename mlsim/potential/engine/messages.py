"""Messages of a compiled MACE from edges, forward and backward; equations and conventions in `kernels`."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlsim.compiled import compiled
from mlsim.simd import load, positive_part, splat, store, sum4, zero

__all__ = ["ROWS", "message", "message_gradient", "prepare"]

S3, S5, S7, S15, S105, S21_8, S35_8 = (float(np.sqrt(x)) for x in (3, 5, 7, 15, 105, 21 / 8, 35 / 8))

# rows of what is known per edge: Hermite weights of value (0 to 3) and slope (4 to 7), n, harmonics, gradients of l = 3
AXES, HARMONICS, GRADIENTS, ROWS = 8, 11, 26, 47


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
