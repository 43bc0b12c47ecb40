"""A running refinement in memory: arrays of the kernels, rebuilt alike at the start of every block of moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import SettingsError
from mlsim.rmc import misfit
from mlsim.rmc.bond_valence import VALENCE_RADIUS_A, bond_lengths, expected_valences
from mlsim.rmc.cells import Bins, bins_of, box_of, cartesian, grid_positions
from mlsim.rmc.cost import Cost
from mlsim.rmc.moves import Proposals, Tally, Terms, sweep
from mlsim.rmc.settings import RefineSettings
from mlsim.rmc.soft import Coordination, Hood, Limits, Valence, coordination_numbers, valence_sums

__all__ = ["State"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]


class State:
    """Positions, pair sums, step sizes and random numbers of one run.

    What follows a block of moves depends only on the grid positions, the random generator, the step sizes, the scales
    and the temperature (which divides the misfit of the data); pair sums and all else are functions of the positions,
    recomputed or exact. So a run that goes on from a checkpoint repeats an undisturbed one bit by bit.

    Parameters
    ----------
    atoms
        Start; positions are rounded to the grid of `cells`.
    cost
        The data; None for none.
    limits_A
        Minimum distance of every pair of elements, Å.
    settings
        See `RefineSettings`.
    random
        Generator of this run.
    """

    def __init__(
        self,
        atoms: Atoms,
        cost: Cost | None,
        limits_A: Mapping[Pair, float],
        settings: RefineSettings,
        random: np.random.Generator,
    ) -> None:
        self.symbols = atoms.get_chemical_symbols()
        self.elements = sorted(set(self.symbols))
        self.kind = np.array([self.elements.index(s) for s in self.symbols], dtype=np.int64)
        self.cell = np.ascontiguousarray(atoms.cell.array, dtype=float)
        self.cost = cost
        self.random = random
        self.settings = settings
        self.where = grid_positions(np.asarray(atoms.positions, dtype=float), self.cell)
        self.limits = _limits(self.elements, limits_A, settings)
        self.box = box_of(self.cell, len(self.symbols), max(self.limits.longest, self.limits.soft) / 2)
        self.steps = np.full(len(self.elements), settings.first_step_A)
        self.scales = np.ones(len(cost.mapped) if cost else 0)
        self.H = np.zeros((len(cost.pairs), len(cost.sinc)) if cost else (1, 1))
        self.temperature = 1.0
        self.tally = _tally(len(self.elements))
        self._swaps = _swaps(self.elements, settings)
        self._maps: tuple[bytes, Any] = (b"", _NO_DATA)
        if cost:
            self.H[:] = self.pair_sums()

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.symbols)

    def positions(self) -> Floats:
        """Return positions inside the cell, Å, shape (atom, 3)."""
        return cartesian(self.where, self.cell)

    def pair_sums(self) -> Floats:
        """Return the pair sums of the positions from scratch, shape (pair, node)."""
        bins, total = self._bins(), np.zeros_like(self.H)
        terms = self._terms(bins)
        misfit.fill_nodes(self.box, bins, terms.fit, self._scratch(bins, terms), np.zeros(99, np.int64), total)
        return total

    def waves(self) -> Floats:
        """Return F of the pair sums, shape (channel, wave)."""
        if self.cost is None:
            return np.zeros((0, 0))
        fit, exact = self._fit()
        misfit.waves_of(self.H, exact, fit.F)
        return np.array(fit.F)

    def run(self, n_moves: int) -> Tally:
        """Propose `n_moves` moves; return what became of them."""
        tally = _tally(len(self.elements))
        left = n_moves
        room = None
        while left > 0:
            bins = self._bins(room)
            terms = self._terms(bins)
            if self.cost is not None:
                misfit.waves_of(self.H, terms.exact, terms.fit.F)
                misfit.errors_of(terms.fit.F, terms.exact, terms.fit.error)
            scratch = self._scratch(bins, terms)
            left -= sweep(self.random, left, self.box, bins, terms, self._proposals(), scratch, tally)
            if self.cost is not None:
                misfit.refresh(terms.fit, terms.exact, tally.drift)
            self.where = bins.where
            room = 2 * bins.x.shape[1]
        return tally

    def compile(self) -> None:
        """Make the kernels ready, so that the first moves cost no more than all others."""
        bins = self._bins()
        terms = self._terms(bins)
        if self.cost is not None:
            misfit.refresh(terms.fit, terms.exact, np.zeros(2))
        sweep(self.random, 0, self.box, bins, terms, self._proposals(), self._scratch(bins, terms), self.tally)

    def penalty(self) -> float:
        """Return the sum of the soft penalties."""
        bins = self._bins()
        c, v = self._coordination(bins), self._valence(bins)
        total = float((c.precision * (c.total / c.centres - c.target) ** 2).sum())
        if v.precision > 0:
            total += float(v.precision * ((v.sums - v.expected[self.kind]) ** 2).sum())
        return total

    def _bins(self, room: int | None = None) -> Bins:
        return bins_of(self.where, self.kind, self.box, room)

    def _terms(self, bins: Bins) -> Terms:
        fit, exact = self._fit()
        if self.temperature != 1.0:
            cold = self.temperature**-0.5
            fit = fit._replace(lift=(fit.lift * np.float32(cold)).astype(np.float32))
            exact = exact._replace(lift=exact.lift * cold, target=exact.target * cold)
        return Terms(self.limits, self._coordination(bins), self._valence(bins), fit, exact, self.cost is not None)

    def _fit(self) -> tuple[Any, Any]:
        """Maps of the data with the present scales; F and errors in them are those of the last sweep."""
        if self.cost is not None and self._maps[0] != self.scales.tobytes():
            self._maps = (self.scales.tobytes(), self.cost.fit(self.scales, self.H))
        return self._maps[1]  # type: ignore[no-any-return]

    def _proposals(self) -> Proposals:
        numbers = np.bincount(self.kind).astype(np.int64)
        members = np.zeros((len(numbers), int(numbers.max())), dtype=np.int64)
        for e in range(len(numbers)):
            members[e, : numbers[e]] = np.flatnonzero(self.kind == e)
        share = self.settings.swap_share if len(self._swaps) else 0.0
        return Proposals(self.steps, share, self._swaps, members, numbers)

    def _coordination(self, bins: Bins) -> Coordination:
        targets = self.settings.coordination
        index = {e: k for k, e in enumerate(self.elements)}
        numbers = np.bincount(self.kind).astype(float)
        result = Coordination(
            centre=np.array([index[t.centre] for t in targets], dtype=np.int64),
            neighbour=np.array([index[t.neighbour] for t in targets], dtype=np.int64),
            radius=np.array([t.radius_A for t in targets], dtype=float),
            low=np.array([t.window[0] if t.window else 1 for t in targets], dtype=np.int64),
            high=np.array([t.window[1] if t.window else 0 for t in targets], dtype=np.int64),
            target=np.array([t.share if t.mean is None else t.mean for t in targets], dtype=float),
            precision=np.array([t.sigma**-2 for t in targets], dtype=float),
            centres=np.array([numbers[index[t.centre]] for t in targets], dtype=float),
            number=np.zeros((len(targets), self.n_atoms), dtype=np.int64),
            total=np.zeros(len(targets)),
        )
        coordination_numbers(self.box, bins, result, np.zeros(len(bins.count), np.int64))
        return result

    def _valence(self, bins: Bins) -> Valence:
        n = len(self.elements)
        length, expected, precision = np.zeros((n, n)), np.zeros(n), 0.0
        if self.settings.valence_sigma is not None:
            for (a, b), value in bond_lengths(self.symbols).items():
                i, j = self.elements.index(a), self.elements.index(b)
                length[i, j] = length[j, i] = value
            valences = expected_valences(self.symbols)
            expected = np.array([valences[e] for e in self.elements])
            precision = self.settings.valence_sigma**-2
        result = Valence(length, VALENCE_RADIUS_A, expected, precision, np.zeros(self.n_atoms))
        if precision > 0:
            valence_sums(self.box, bins, result, np.zeros(len(bins.count), np.int64))
        return result

    def _scratch(self, bins: Bins, terms: Terms) -> misfit.Scratch:
        pairs, nodes = terms.fit.H.shape
        channels, waves = terms.fit.F.shape
        rows = 4 * (-(-2 * len(self.elements) // 4) + 1)
        hoods = [
            Hood(
                np.zeros(self.n_atoms, np.int64),
                np.zeros(self.n_atoms),
                np.zeros(self.n_atoms),
                np.zeros(self.n_atoms + 1),
                np.zeros(max(1, len(self.settings.coordination))),
            )
            for _ in range(2)
        ]
        return misfit.Scratch(
            found=np.zeros(len(bins.count), np.int64),
            old=np.zeros(bins.x.size, np.int32),
            new=np.zeros(bins.x.size, np.int32),
            delta=np.zeros((pairs + 1, nodes), np.float32),
            touched=np.zeros(rows, np.int64),
            sums=np.zeros((rows, waves), np.float32),
            dF=np.zeros((channels, waves), np.float32),
            dz=np.zeros(len(terms.fit.error), np.float32),
            order=np.zeros(rows, np.int64),
            delta64=np.zeros((rows, nodes)),
            sums64=np.zeros((rows, waves)),
            dF64=np.zeros((channels, waves)),
            dz64=np.zeros(len(terms.fit.error)),
            first=hoods[0],
            second=hoods[1],
        )


def _limits(elements: Sequence[str], limits_A: Mapping[Pair, float], settings: RefineSettings) -> Limits:
    square = np.zeros((len(elements), len(elements)))
    for i, a in enumerate(elements):
        for j, b in enumerate(elements):
            square[i, j] = limits_A[min(a, b), max(a, b)] ** 2
    soft = [t.radius_A for t in settings.coordination]
    if settings.valence_sigma is not None:
        soft.append(VALENCE_RADIUS_A)
    for target in settings.coordination:
        for element in (target.centre, target.neighbour):
            if element not in elements:
                raise SettingsError(
                    f"coordination {target.centre}-{target.neighbour}: the start holds {', '.join(elements)} only"
                )
    return Limits(square, float(np.sqrt(square.max())), max(soft, default=0.0))


def _swaps(elements: Sequence[str], settings: RefineSettings) -> NDArray[np.int64]:
    for pair in settings.swaps:
        if pair[0] == pair[1] or any(e not in elements for e in pair):
            raise SettingsError(
                f"swap {'-'.join(pair)}: expected two different elements of the start, {', '.join(elements)}"
            )
    return np.array([[elements.index(a), elements.index(b)] for a, b in settings.swaps], np.int64).reshape(-1, 2)


def _tally(n_elements: int) -> Tally:
    proposed, refused, accepted = (np.zeros(n_elements + 1, np.int64) for _ in range(3))
    return Tally(proposed, refused, accepted, np.zeros(2))


def _empty_fit() -> tuple[misfit.Fit, misfit.Exact]:
    """Arrays of the kernels' types for a run without data."""
    one32, one = np.zeros((1, 1), np.float32), np.zeros((1, 1))
    fit = misfit.Fit(
        np.float32(1), 1, 1.0, one32, np.zeros((1, 1), np.int64), 0, one32, one32[None], one32, one, one, one[0]
    )
    return fit, misfit.Exact(one, one[None], one, one, one[0])


_NO_DATA: tuple[Any, Any] = _empty_fit()
