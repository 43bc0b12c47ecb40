"""What one move changes: kernels on nodes, structure factors and the misfit.

Everything here is private arithmetic on arrays; `refine` prepares and checks them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlsim.compiled import compiled
from mlsim.rmc.cells import ABSENT, KIND_SHIFT, near_bins
from mlsim.rmc.nodes import ROWS
from mlsim.simd import load, splat, store, zero

W8 = (0,) * 8
_CODE = np.int32((1 << KIND_SHIFT) - 1)
_ROW_BITS = 10


class Fit(NamedTuple):
    """How pair sums become the misfit, and where it stands."""

    scale: Any  # float32: distance in Å to steps of the table of weights
    code_end: Any  # int: end of the pair sums in those steps
    r_end: Any  # float64, Å
    spline: Any  # float32 (ROWS, 8)
    pair: Any  # int64 (element, element): row of H
    first: Any  # int: first node that can be occupied
    sinc: Any  # float32 (node, wave): splines of sin(Qr)/(Qr)
    weight: Any  # float32 (channel, pair, wave): H to F
    lift: Any  # float32 (channel * wave, z): F to z, the misfit is |z − target|²
    H: Any  # float64 (pair, node)
    F: Any  # float64 (channel, wave): S(Q) − 1 of each radiation
    error: Any  # float64 (z,): z − target


class Exact(NamedTuple):
    """The same maps in float64, to recompute F from H."""

    sinc: Any  # (node, wave)
    weight: Any  # (channel, pair, wave)
    lift: Any  # (channel * wave, z)
    offset: Any  # (channel, wave): F without any pair
    target: Any  # (z,)


class Scratch(NamedTuple):
    """Working memory of a sweep."""

    found: Any  # int64 (bin,)
    old: Any  # int32 (slots,): code of each atom's distance before and after
    new: Any
    delta: Any  # float32 (pair + 1, node): change of H; the last row stays zero
    touched: Any  # int64 (pair + 3,): rows of it that change
    sums: Any  # float32 (pair + 3, wave)
    dF: Any  # float32 (channel, wave)
    dz: Any  # float32 (z,)
    order: Any  # int64 (pair + 3,): 0, 1, 2 ...
    delta64: Any  # float64 (pair + 3, node): the rows that change
    sums64: Any  # float64 (pair + 3, wave)
    dF64: Any  # float64 (channel, wave)
    dz64: Any  # float64 (z,)
    first: Any  # `soft.Hood` of the atom that moves
    second: Any  # and of the one that it is exchanged with


@compiled
def codes_around(box: Any, bins: Any, scale: Any, found: Any, n: Any, a: Any, b: Any, old: Any, new: Any) -> Any:
    """Write element and distance from the points a and b of all atoms in the bins found; return their number.

    A code is element << KIND_SHIFT plus the distance in steps of the table of weights.
    """
    s = box.step32
    ax, ay, az = np.int32(a[0]), np.int32(a[1]), np.int32(a[2])
    bx, by, bz = np.int32(b[0]), np.int32(b[1]), np.int32(b[2])
    m = 0
    for f in range(n):
        h = found[f]
        lanes = (bins.count[h] + 7) // 8 * 8
        X, Y, Z, A, K = bins.x[h], bins.y[h], bins.z[h], bins.away[h], bins.kinds[h]
        out_old, out_new = old[m : m + lanes], new[m : m + lanes]
        for k in range(lanes):
            x, y, z = X[k], Y[k], Z[k]
            u, v, w = np.float32(np.int32(x - ax)), np.float32(np.int32(y - ay)), np.float32(np.int32(z - az))
            dx = u * s[0, 0] + v * s[1, 0] + w * s[2, 0]
            dy = u * s[0, 1] + v * s[1, 1] + w * s[2, 1]
            dz = u * s[0, 2] + v * s[1, 2] + w * s[2, 2]
            out_old[k] = np.int32(np.int32(np.sqrt(dx * dx + dy * dy + dz * dz + A[k]) * scale) | K[k])
            u, v, w = np.float32(np.int32(x - bx)), np.float32(np.int32(y - by)), np.float32(np.int32(z - bz))
            dx = u * s[0, 0] + v * s[1, 0] + w * s[2, 0]
            dy = u * s[0, 1] + v * s[1, 1] + w * s[2, 1]
            dz = u * s[0, 2] + v * s[1, 2] + w * s[2, 2]
            out_new[k] = np.int32(np.int32(np.sqrt(dx * dx + dy * dy + dz * dz + A[k]) * scale) | K[k])
        m += lanes
    return m


@compiled
def inside(codes: Any, n: Any, end: Any) -> Any:
    """Move the codes of pairs within the end of the sums to the front; return their number."""
    kept = np.int64(0)
    for k in range(n):
        code = codes[k]
        codes[kept] = code
        kept += np.int64((code & _CODE) < end)
    return kept


@compiled
def deposit(codes: Any, n: Any, base: Any, spline: Any, delta: Any, w: Any) -> None:
    """Add pairs to the nodes; `base` holds the flat offset of the row of each element."""
    for k in range(n):
        code = np.int64(codes[k])
        at = base[code >> KIND_SHIFT] + ((code & _CODE) >> _ROW_BITS)
        store(delta, at, load(delta, at, w) + load(spline, (code & (ROWS - 1)) * 8, w))


@compiled
def withdraw(codes: Any, n: Any, base: Any, spline: Any, delta: Any, w: Any) -> None:
    """Take pairs from the nodes."""
    for k in range(n):
        code = np.int64(codes[k])
        at = base[code >> KIND_SHIFT] + ((code & _CODE) >> _ROW_BITS)
        store(delta, at, load(delta, at, w) - load(spline, (code & (ROWS - 1)) * 8, w))


@compiled
def move_on_nodes(box: Any, bins: Any, fit: Any, move: Any, back: Any, scratch: Any, base: Any) -> None:
    """Add the change of H when atom i goes from a to b, or atom j from b to a (`back`), to `scratch.delta`.

    The distance between i and j does not change, so that each is left out for the other.
    """
    i, a, b = (move.j, move.b, move.a) if back else (move.i, move.a, move.b)
    n = near_bins(box, a[0], a[1], a[2], fit.r_end + move.reach, scratch.found)
    bins.away[bins.home[move.i], bins.slot[move.i]] = ABSENT
    if move.j >= 0:
        bins.away[bins.home[move.j], bins.slot[move.j]] = ABSENT
    m = codes_around(box, bins, fit.scale, scratch.found, n, a, b, scratch.old, scratch.new)
    bins.away[bins.home[move.i], bins.slot[move.i]] = 0
    if move.j >= 0:
        bins.away[bins.home[move.j], bins.slot[move.j]] = 0
    width = scratch.delta.shape[1]
    for e in range(fit.pair.shape[0]):
        base[e] = fit.pair[bins.kind[i], e] * width
    withdraw(scratch.old, inside(scratch.old, m, fit.code_end), base, fit.spline, scratch.delta, W8)
    deposit(scratch.new, inside(scratch.new, m, fit.code_end), base, fit.spline, scratch.delta, W8)


@compiled
def node_products(delta: Any, rows: Any, n_rows: Any, first: Any, sinc: Any, sums: Any, w: Any) -> None:
    """Multiply rows of H, four at a time, by the table of sin(Qr)/(Qr); `rows` is filled up to a multiple of four."""
    nodes, waves = sinc.shape
    for c in range(0, waves, 16):
        for g in range(0, n_rows, 4):
            r0, r1, r2, r3 = rows[g] * nodes, rows[g + 1] * nodes, rows[g + 2] * nodes, rows[g + 3] * nodes
            a0, a1, a2, a3 = zero(delta, w), zero(delta, w), zero(delta, w), zero(delta, w)
            b0, b1, b2, b3 = zero(delta, w), zero(delta, w), zero(delta, w), zero(delta, w)
            for n in range(first, nodes):
                s, t = load(sinc, n * waves + c, w), load(sinc, n * waves + c + 8, w)
                d0, d1 = splat(delta, r0 + n, w), splat(delta, r1 + n, w)
                a0, b0, a1, b1 = a0 + s * d0, b0 + t * d0, a1 + s * d1, b1 + t * d1
                d2, d3 = splat(delta, r2 + n, w), splat(delta, r3 + n, w)
                a2, b2, a3, b3 = a2 + s * d2, b2 + t * d2, a3 + s * d3, b3 + t * d3
            k = g * waves + c
            store(sums, k, a0)
            store(sums, k + 8, b0)
            store(sums, k + waves, a1)
            store(sums, k + waves + 8, b1)
            store(sums, k + 2 * waves, a2)
            store(sums, k + 2 * waves + 8, b2)
            store(sums, k + 3 * waves, a3)
            store(sums, k + 3 * waves + 8, b3)


@compiled
def lifted(lift: Any, dF: Any, dz: Any, w: Any) -> None:
    """Multiply the change of F by the map from F to z."""
    n, size = lift.shape
    for c in range(0, size, 32):
        a0, a1, a2, a3 = zero(dz, w), zero(dz, w), zero(dz, w), zero(dz, w)
        for k in range(n):
            f = splat(dF, k, w)
            at = k * size + c
            a0 = a0 + load(lift, at, w) * f
            a1 = a1 + load(lift, at + 8, w) * f
            a2 = a2 + load(lift, at + 16, w) * f
            a3 = a3 + load(lift, at + 24, w) * f
        store(dz, c, a0)
        store(dz, c + 8, a1)
        store(dz, c + 16, a2)
        store(dz, c + 24, a3)


@compiled
def misfit_change(fit: Any, scratch: Any, n_rows: Any) -> Any:
    """Return the change of |z − target|² that `scratch.delta` makes; leaves dF and dz in the working memory."""
    rows = scratch.touched
    node_products(scratch.delta, rows, n_rows, fit.first, fit.sinc, scratch.sums, W8)
    waves = fit.sinc.shape[1]
    for c in range(fit.weight.shape[0]):
        d = scratch.dF[c]
        d[:] = 0
        for g in range(n_rows):
            if rows[g] < fit.weight.shape[1]:
                weight, row = fit.weight[c, rows[g]], scratch.sums[g]
                for k in range(waves):
                    d[k] += weight[k] * row[k]
    lifted(fit.lift, scratch.dF, scratch.dz, W8)
    change = 0.0
    for k in range(scratch.dz.shape[0]):
        d = np.float64(scratch.dz[k])
        change += d * (2 * fit.error[k] + d)
    return change


@compiled
def accept_misfit(fit: Any, exact: Any, scratch: Any, n_rows: Any) -> None:
    """Make the change permanent, in float64: what is kept carries no error of the float32 that decides."""
    rows, exact_rows, sums = scratch.touched, scratch.delta64, scratch.sums64
    waves = fit.F.shape[1]
    for g in range(n_rows):
        scratch.order[g] = g
        exact_rows[g] = scratch.delta[rows[g]]
        if rows[g] < fit.H.shape[0]:
            fit.H[rows[g]] += exact_rows[g]
    node_products(exact_rows, scratch.order, n_rows, fit.first, exact.sinc, sums, W8)
    for c in range(fit.F.shape[0]):
        d = scratch.dF64[c]
        d[:] = 0.0
        for g in range(n_rows):
            if rows[g] < fit.H.shape[0]:
                weight, row = exact.weight[c, rows[g]], sums[g]
                for k in range(waves):
                    d[k] += weight[k] * row[k]
        for k in range(waves):
            fit.F[c, k] += d[k]
    lifted(exact.lift, scratch.dF64, scratch.dz64, W8)
    for k in range(fit.error.shape[0]):
        fit.error[k] += scratch.dz64[k]


@compiled
def waves_of(H: Any, exact: Any, F: Any) -> None:
    """Write F of the pair sums H."""
    channels, pairs, waves = exact.weight.shape
    rows = np.zeros((pairs + 3) // 4 * 4, dtype=np.int64)  # filled up with row 0, whose product is then not used
    rows[:pairs] = np.arange(pairs)
    sums = np.empty((len(rows), waves))
    node_products(H, rows, len(rows), 0, exact.sinc, sums, W8)
    F[:] = exact.offset
    for c in range(channels):
        for p in range(pairs):
            for k in range(waves):
                F[c, k] += exact.weight[c, p, k] * sums[p, k]


@compiled
def errors_of(F: Any, exact: Any, error: Any) -> None:
    """Write z − target of F."""
    size = exact.target.shape[0]
    for m in range(size):
        error[m] = -exact.target[m]
    waves = F.shape[1]
    for c in range(F.shape[0]):
        for k in range(waves):
            f = F[c, k]
            for m in range(size):
                error[m] += exact.lift[c * waves + k, m] * f


@compiled
def refresh(fit: Any, exact: Any, drift: Any) -> None:
    """Recompute F and z from H, whose sums are exact, and note how far the kept F was off."""
    F = np.empty_like(fit.F)
    waves_of(fit.H, exact, F)
    for c in range(F.shape[0]):
        for k in range(F.shape[1]):
            drift[0] = max(drift[0], abs(F[c, k] - fit.F[c, k]))
            drift[1] = max(drift[1], abs(F[c, k]))
            fit.F[c, k] = F[c, k]
    errors_of(fit.F, exact, fit.error)


@compiled
def fill_nodes(box: Any, bins: Any, fit: Any, scratch: Any, base: Any, total: Any) -> None:
    """Add every pair to `total`, shape (pair, node), from the positions alone."""
    width = scratch.delta.shape[1]
    point = np.empty(3, dtype=np.int32)
    for i in range(bins.where.shape[0]):
        point[:] = bins.where[i]
        n = near_bins(box, point[0], point[1], point[2], fit.r_end, scratch.found)
        home, slot = bins.home[i], bins.slot[i]
        bins.away[home, slot] = ABSENT
        m = codes_around(box, bins, fit.scale, scratch.found, n, point, point, scratch.old, scratch.new)
        bins.away[home, slot] = 0
        for e in range(fit.pair.shape[0]):
            base[e] = e * width
        scratch.delta[: fit.pair.shape[0]] = 0
        deposit(scratch.new, inside(scratch.new, m, fit.code_end), base, fit.spline, scratch.delta, W8)
        for e in range(fit.pair.shape[0]):
            row = fit.pair[bins.kind[i], e]
            for k in range(width):
                total[row, k] += 0.5 * scratch.delta[e, k]
    scratch.delta[:] = 0
