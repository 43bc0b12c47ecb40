"""Soft constraints, move by move: coordination and bond valence, on arrays.

The penalty of a coordination constraint is ((value − target)/sigma)², with the value a mean coordination number or the
share of centres whose number is inside a window. That of bond valence is sum_atoms ((V − V0)/sigma)² with
V = sum_neighbours exp[(R − r)/b]. Penalties count like the misfit of data.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlsim.compiled import compiled
from mlsim.rmc.cells import near_bins, square

__all__ = ["Coordination", "Hood", "Limits", "Valence"]

VALENCE_SOFTNESS_A = 0.37


class Limits(NamedTuple):
    """Hard minimum distances, and how far soft constraints look."""

    square: Any  # float64 (element, element), Å²
    longest: Any  # float64: of the minimum distances, Å
    soft: Any  # float64: of the soft constraints, Å; 0 without any


class Coordination(NamedTuple):
    """Coordination constraints and where they stand."""

    centre: Any  # int64 (constraint,)
    neighbour: Any
    radius: Any  # float64, Å
    low: Any  # int64: window of the number; low > high asks for the mean
    high: Any
    target: Any  # float64: mean, or share of centres in the window
    precision: Any  # float64: 1/sigma²
    centres: Any  # float64: atoms of the central element
    number: Any  # int64 (constraint, atom): neighbours now
    total: Any  # float64 (constraint,): sum of the numbers, or centres in the window


class Valence(NamedTuple):
    """Bond-valence constraint and where it stands."""

    length: Any  # float64 (element, element): R, Å; 0 for pairs that do not bond
    radius: Any  # float64, Å
    expected: Any  # float64 (element,)
    precision: Any  # float64: 1/sigma², 0 without the constraint
    sums: Any  # float64 (atom,)


class Hood(NamedTuple):
    """Neighbours of a moving atom before or after its move, and what changes for each."""

    atom: Any  # int64 (neighbour,)
    before: Any  # float64: distances, Å
    after: Any
    valence: Any  # float64: change of the neighbour's bond-valence sum
    total: Any  # float64 (constraint,): change of `Coordination.total`


@compiled
def too_close(box: Any, bins: Any, limits: Any, found: Any, i: Any, other: Any, b: Any) -> Any:
    """Return whether atom i at b would break a minimum distance to any atom but itself and `other`."""
    n = near_bins(box, b[0], b[1], b[2], limits.longest, found)
    kind = bins.kind[i]
    for f in range(n):
        h = found[f]
        for k in range(bins.count[h]):
            j = bins.atom[h, k]
            d = square(box, np.int32(bins.x[h, k] - b[0]), np.int32(bins.y[h, k] - b[1]), np.int32(bins.z[h, k] - b[2]))
            if d < limits.square[kind, bins.kind[j]] and j != i and j != other:
                return True
    return False


@compiled
def surroundings(box: Any, bins: Any, radius: Any, found: Any, i: Any, other: Any, a: Any, b: Any, hood: Any) -> Any:
    """List the neighbours of atom i within `radius` at a or at b; return their number."""
    limit = radius * radius
    m = 0
    for side in range(2):
        p = a if side == 0 else b
        n = near_bins(box, p[0], p[1], p[2], radius, found)
        for f in range(n):
            h = found[f]
            for k in range(bins.count[h]):
                j = bins.atom[h, k]
                if j in (i, other):
                    continue
                x, y, z = bins.x[h, k], bins.y[h, k], bins.z[h, k]
                before = square(box, np.int32(x - a[0]), np.int32(y - a[1]), np.int32(z - a[2]))
                after = square(box, np.int32(x - b[0]), np.int32(y - b[1]), np.int32(z - b[2]))
                if (before < limit) if side == 0 else (after < limit and before >= limit):
                    hood.atom[m] = j
                    hood.before[m] = np.sqrt(before)
                    hood.after[m] = np.sqrt(after)
                    m += 1
    return m


@compiled
def _share(number: Any, low: Any, high: Any) -> Any:
    """What a centre with `number` neighbours adds to the total of its constraint."""
    if low > high:
        return np.float64(number)
    return 1.0 if low <= number <= high else 0.0


@compiled
def coordination_change(coordination: Any, kinds: Any, i: Any, hood: Any, n: Any) -> Any:
    """Return the change of the coordination penalties when atom i moves; leaves `hood.total`."""
    change = 0.0
    for c in range(coordination.centre.shape[0]):
        centre, neighbour, radius = coordination.centre[c], coordination.neighbour[c], coordination.radius[c]
        low, high = coordination.low[c], coordination.high[c]
        total, own = 0.0, np.int64(0)
        for k in range(n):
            j = hood.atom[k]
            step = np.int64(hood.after[k] < radius) - np.int64(hood.before[k] < radius)
            if step == 0:
                continue
            if kinds[i] == centre and kinds[j] == neighbour:
                own += step
            if kinds[i] == neighbour and kinds[j] == centre:
                number = coordination.number[c, j]
                total += _share(number + step, low, high) - _share(number, low, high)
        if own != 0:
            number = coordination.number[c, i]
            total += _share(number + own, low, high) - _share(number, low, high)
        hood.total[c] = total
        miss = coordination.total[c] / coordination.centres[c] - coordination.target[c]
        step_ = total / coordination.centres[c]
        change += coordination.precision[c] * step_ * (2 * miss + step_)
    return change


@compiled
def accept_coordination(coordination: Any, kinds: Any, i: Any, hood: Any, n: Any, sign: Any) -> None:
    """Make the move of atom i permanent (sign 1), or take it back (sign −1)."""
    for c in range(coordination.centre.shape[0]):
        centre, neighbour, radius = coordination.centre[c], coordination.neighbour[c], coordination.radius[c]
        for k in range(n):
            j = hood.atom[k]
            step = sign * (np.int64(hood.after[k] < radius) - np.int64(hood.before[k] < radius))
            if kinds[i] == centre and kinds[j] == neighbour:
                coordination.number[c, i] += step
            if kinds[i] == neighbour and kinds[j] == centre:
                coordination.number[c, j] += step
        coordination.total[c] += sign * hood.total[c]


@compiled
def valence_change(valence: Any, kinds: Any, i: Any, hood: Any, n: Any) -> Any:
    """Return the change of the bond-valence penalty when atom i moves; leaves `hood.valence`, the own one last."""
    change, own = 0.0, 0.0
    for k in range(n):
        j = hood.atom[k]
        length = valence.length[kinds[i], kinds[j]]
        d = 0.0
        if length > 0:
            if hood.after[k] < valence.radius:
                d += np.exp((length - hood.after[k]) / VALENCE_SOFTNESS_A)
            if hood.before[k] < valence.radius:
                d -= np.exp((length - hood.before[k]) / VALENCE_SOFTNESS_A)
        hood.valence[k] = d
        own += d
        change += d * (2 * (valence.sums[j] - valence.expected[kinds[j]]) + d)
    hood.valence[n] = own
    change += own * (2 * (valence.sums[i] - valence.expected[kinds[i]]) + own)
    return valence.precision * change


@compiled
def accept_valence(valence: Any, i: Any, hood: Any, n: Any, sign: Any) -> None:
    """Make the move of atom i permanent (sign 1), or take it back (sign −1)."""
    for k in range(n):
        valence.sums[hood.atom[k]] += sign * hood.valence[k]
    valence.sums[i] += sign * hood.valence[n]


@compiled
def coordination_numbers(box: Any, bins: Any, coordination: Any, found: Any) -> None:
    """Count all neighbours from the positions."""
    coordination.number[:] = 0
    coordination.total[:] = 0.0
    for c in range(coordination.centre.shape[0]):
        radius = coordination.radius[c]
        for i in range(bins.where.shape[0]):
            if bins.kind[i] != coordination.centre[c]:
                continue
            p = bins.where[i]
            n = near_bins(box, p[0], p[1], p[2], radius, found)
            for f in range(n):
                h = found[f]
                for k in range(bins.count[h]):
                    j = bins.atom[h, k]
                    if j == i or bins.kind[j] != coordination.neighbour[c]:
                        continue
                    d = _distance(box, bins, h, k, p)
                    if d < radius:
                        coordination.number[c, i] += 1
            coordination.total[c] += _share(coordination.number[c, i], coordination.low[c], coordination.high[c])


@compiled
def _distance(box: Any, bins: Any, h: Any, k: Any, p: Any) -> Any:
    x, y, z = bins.x[h, k], bins.y[h, k], bins.z[h, k]
    return np.sqrt(square(box, np.int32(x - p[0]), np.int32(y - p[1]), np.int32(z - p[2])))


@compiled
def valence_sums(box: Any, bins: Any, valence: Any, found: Any) -> None:
    """Sum all bond valences from the positions."""
    for i in range(bins.where.shape[0]):
        p = bins.where[i]
        total = 0.0
        n = near_bins(box, p[0], p[1], p[2], valence.radius, found)
        for f in range(n):
            h = found[f]
            for k in range(bins.count[h]):
                j = bins.atom[h, k]
                length = valence.length[bins.kind[i], bins.kind[j]]
                if j == i or length <= 0:
                    continue
                d = _distance(box, bins, h, k, p)
                if d < valence.radius:
                    total += np.exp((length - d) / VALENCE_SOFTNESS_A)
        valence.sums[i] = total
