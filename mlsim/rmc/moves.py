"""Moves and the one test that accepts them: a sweep over many proposals, compiled.

A proposal is refused before any data are touched when it breaks a minimum distance. Otherwise it is accepted with
probability min(1, exp[−(change of misfit and penalties)/2]): data and constraints together, one random number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mlsim.compiled import compiled
from mlsim.rmc.cells import relocate
from mlsim.rmc.misfit import accept_misfit, misfit_change, move_on_nodes
from mlsim.rmc.soft import (
    accept_coordination,
    accept_valence,
    coordination_change,
    surroundings,
    too_close,
    valence_change,
)

__all__ = ["Proposals", "Tally", "Terms", "sweep"]


class Proposals(NamedTuple):
    """What is proposed."""

    step: Any  # float64 (element,): radius of the ball of displacements, Å
    swap_share: Any  # float64: share of the proposals that exchange two atoms
    swaps: Any  # int64 (swap, 2): elements that may be exchanged
    members: Any  # int64 (element, atom): atoms of each element
    numbers: Any  # int64 (element,): atoms of each element


class Tally(NamedTuple):
    """What became of the proposals, by element; the last entry is that of exchanges."""

    proposed: Any  # int64 (element + 1,)
    refused: Any  # int64: broke a minimum distance
    accepted: Any  # int64
    drift: Any  # float64 (2,): largest |F kept − F recomputed|, largest |F|


class Terms(NamedTuple):
    """Everything that the test weighs."""

    limits: Any
    coordination: Any
    valence: Any
    fit: Any
    exact: Any
    with_data: Any  # bool


class Move(NamedTuple):
    """One proposal: atom i from a to b, and atom j from b to a if j is not −1."""

    i: Any
    j: Any
    a: Any  # int32 (3,)
    b: Any
    reach: Any  # float64: how far, Å
    row: Any  # of the tally


@compiled
def _proposal(random: Any, box: Any, bins: Any, proposals: Any, a: Any, b: Any) -> Any:
    if proposals.swap_share > 0 and random.random() < proposals.swap_share:
        pair = proposals.swaps[np.int64(random.random() * proposals.swaps.shape[0])]
        i = proposals.members[pair[0], np.int64(random.random() * proposals.numbers[pair[0]])]
        j = proposals.members[pair[1], np.int64(random.random() * proposals.numbers[pair[1]])]
        a[:], b[:] = bins.where[i], bins.where[j]
        return Move(i, j, a, b, 1e3, proposals.numbers.shape[0])
    i = np.int64(random.random() * bins.where.shape[0])
    a[:] = bins.where[i]
    kind = bins.kind[i]
    reach = proposals.step[kind]
    while True:
        x, y, z = 2 * random.random() - 1, 2 * random.random() - 1, 2 * random.random() - 1
        if x * x + y * y + z * z <= 1:
            break
    for c in range(3):
        units = reach * (x * box.units[0, c] + y * box.units[1, c] + z * box.units[2, c])
        b[c] = np.int32(np.int64(a[c]) + np.int64(np.rint(units)))
    return Move(i, np.int64(-1), a, b, reach, kind)


@compiled
def _refused(box: Any, bins: Any, limits: Any, found: Any, move: Any) -> Any:
    if too_close(box, bins, limits, found, move.i, move.j, move.b):
        return True
    return move.j >= 0 and too_close(box, bins, limits, found, move.j, move.i, move.a)


@compiled
def _soft_part(terms: Any, kinds: Any, i: Any, hood: Any, n: Any) -> Any:
    change = coordination_change(terms.coordination, kinds, i, hood, n)
    if terms.valence.precision > 0:
        change += valence_change(terms.valence, kinds, i, hood, n)
    return change


@compiled
def _accept_soft(terms: Any, kinds: Any, i: Any, hood: Any, n: Any, sign: Any) -> None:
    accept_coordination(terms.coordination, kinds, i, hood, n, sign)
    if terms.valence.precision > 0:
        accept_valence(terms.valence, i, hood, n, sign)


@compiled
def _soft_change(box: Any, bins: Any, terms: Any, found: Any, move: Any, first: Any, second: Any) -> Any:
    """Return the change of all penalties and the numbers of neighbours; makes the first half of an exchange."""
    radius, n, m = terms.limits.soft, 0, 0
    if radius <= 0:
        return 0.0, n, m
    n = surroundings(box, bins, radius, found, move.i, move.j, move.a, move.b, first)
    change = _soft_part(terms, bins.kind, move.i, first, n)
    if move.j >= 0:
        _accept_soft(terms, bins.kind, move.i, first, n, 1)
        m = surroundings(box, bins, radius, found, move.j, move.i, move.b, move.a, second)
        change += _soft_part(terms, bins.kind, move.j, second, m)
    return change, n, m


@compiled
def _settle_soft(terms: Any, kinds: Any, move: Any, scratch: Any, n: Any, m: Any, accepted: Any) -> None:
    """Make the missing half of the change, or take back the first half of a refused exchange."""
    if terms.limits.soft <= 0:
        return
    if move.j < 0:
        if accepted:
            _accept_soft(terms, kinds, move.i, scratch.first, n, 1)
    elif accepted:
        _accept_soft(terms, kinds, move.j, scratch.second, m, 1)
    else:
        _accept_soft(terms, kinds, move.i, scratch.first, n, -1)


@compiled
def _data_change(box: Any, bins: Any, fit: Any, move: Any, scratch: Any, base: Any) -> Any:
    """Return the change of the misfit and the number of rows of H that change, filled up to a multiple of four."""
    rows, n = scratch.touched, 0
    for e in range(fit.pair.shape[0]):
        rows[n] = fit.pair[bins.kind[move.i], e]
        n += 1
    move_on_nodes(box, bins, fit, move, False, scratch, base)
    if move.j >= 0:
        for e in range(fit.pair.shape[0]):
            if e != bins.kind[move.i]:
                rows[n] = fit.pair[bins.kind[move.j], e]
                n += 1
        move_on_nodes(box, bins, fit, move, True, scratch, base)
    while n % 4:
        rows[n] = fit.H.shape[0]
        n += 1
    return misfit_change(fit, scratch, n), n


@compiled
def sweep(random: Any, n_moves: Any, box: Any, bins: Any, terms: Any, proposals: Any, scratch: Any, tally: Any) -> Any:
    """Propose `n_moves` moves; return how many were made, fewer only where a bin got full."""
    a, b = np.empty(3, dtype=np.int32), np.empty(3, dtype=np.int32)
    base = np.zeros(proposals.numbers.shape[0] + 1, dtype=np.int64)
    room = bins.x.shape[1] - 2
    for done in range(n_moves):
        move = _proposal(random, box, bins, proposals, a, b)
        tally.proposed[move.row] += 1
        if _refused(box, bins, terms.limits, scratch.found, move):
            tally.refused[move.row] += 1
            continue
        change, n, m = _soft_change(box, bins, terms, scratch.found, move, scratch.first, scratch.second)
        rows = 0
        if terms.with_data:
            more, rows = _data_change(box, bins, terms.fit, move, scratch, base)
            change += more
        if change <= 0 or random.random() < np.exp(-0.5 * change):
            tally.accepted[move.row] += 1
            _settle_soft(terms, bins.kind, move, scratch, n, m, True)
            if terms.with_data:
                accept_misfit(terms.fit, terms.exact, scratch, rows)
            relocate(box, bins, move.i, b[0], b[1], b[2])
            if move.j >= 0:
                relocate(box, bins, move.j, a[0], a[1], a[2])
        else:
            _settle_soft(terms, bins.kind, move, scratch, n, m, False)
        for g in range(rows):
            scratch.delta[scratch.touched[g]] = 0
        if bins.count[bins.home[move.i]] >= room:
            return done + 1
    return n_moves
