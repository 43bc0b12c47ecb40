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
from mlsim.potential.engine.messages import ROWS, message, message_gradient, prepare
from mlsim.simd import load, splat, store, zero

__all__ = ["Layer", "Tail", "first_layer", "first_layer_gradient", "second_layer"]


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
