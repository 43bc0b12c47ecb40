"""Evaluate merged models on arrays: neighbours, kernels, threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlsim.errors import SettingsError
from mlsim.potential.engine import edges as pairs
from mlsim.potential.engine import kernels
from mlsim.potential.engine.merged import MergedModel
from mlsim.potential.engine.neighbours import Candidates
from mlsim.simd import best_width

__all__ = ["Engine", "Output"]

Floats = NDArray[np.float64]
WALL_EV = 1000.0
ATOMS_PER_THREAD = 64
GATES = {"none": 0, "silu": 1, "tanh": 2}


class Output(NamedTuple):
    """What one model says about one structure."""

    energies: Floats  # eV, shape (atom,)
    forces: Floats  # eV/Å, shape (atom, 3)
    virial: Floats  # eV, sum of r outer d energy / d r in Voigt order (xx, yy, zz, yz, xz, xy)


def padded(a: NDArray[Any], to: int, *axes: int) -> NDArray[Any]:
    """Return an array with zeros at the end of the given axes, up to a multiple of `to`.

    Examples
    --------
    >>> padded(np.ones((2, 3)), 4, 1)
    array([[1., 1., 1., 0.],
           [1., 1., 1., 0.]])
    """
    widths = [(0, 0)] * a.ndim
    for axis in axes:
        widths[axis] = (0, -a.shape[axis] % to)
    return np.pad(a, widths)


class Weights:
    """One model in the form and precision that the kernels take."""

    def __init__(self, model: MergedModel, real: DTypeLike) -> None:
        lanes = best_width()
        C, H = -(-model.channels // lanes) * lanes, max(-(-len(model.out) // lanes), 1) * lanes
        self.sizes = tuple((0,) * size for size in (C, model.l_max + 1, H, lanes))
        self.layers = [packed_layer(model, layer, lanes, real) for layer in model.layers]
        self.tail = packed_tail(model, C, H, lanes, real)
        n = len(model.numbers)
        self.zbl, self.zbl_weights = np.zeros((n, n, 4)), np.zeros(4)
        if model.zbl is not None:
            zbl, self.zbl_weights = model.zbl, model.zbl.weights
            power = np.full((n, n), float(zbl.power))
            self.zbl = np.stack([zbl.prefactor_eV_A, zbl.inverse_a_per_A, zbl.reach_A, power], axis=2)


def packed_layer(model: MergedModel, layer: Any, lanes: int, real: DTypeLike) -> kernels.Layer:
    """Return a layer with channels filled up to whole vectors."""
    table, mix = padded(layer.table, lanes, 4), padded(layer.mix, lanes, 2, 3)
    arrays = {
        "table": table.reshape(-1, *table.shape[2:]),
        "mix": mix,
        "mix_back": mix.swapaxes(2, 3),
        "linear": padded(layer.linear, lanes, 1),
        "square": padded(layer.square, lanes, 2),
        "cubic": padded(layer.cubic, lanes, 2),
        "factors": layer.factors,
    }
    return kernels.Layer(
        pair=np.ascontiguousarray(model.pair_table * table.shape[1], dtype=np.int64),
        terms=np.ascontiguousarray(layer.terms, dtype=np.int64),
        **{name: np.ascontiguousarray(a, dtype=real) for name, a in arrays.items()},
    )


def packed_tail(model: MergedModel, C: int, H: int, lanes: int, real: DTypeLike) -> kernels.Tail:
    """Return the maps around the layers with channels filled up to whole vectors."""
    n = len(model.numbers)
    up = padded(model.up, lanes, 0, 1)
    hidden1, hidden2 = padded(model.hidden1, lanes, 1, 2), padded(model.hidden2, lanes, 0, 1)
    shift, out = padded(model.hidden_shift, lanes, 1), padded(model.out, lanes, 0)
    if not len(model.out):  # one layer: a readout of zeros
        hidden1, hidden2, shift, out = np.zeros((n, C, H)), np.zeros((C, H)), np.zeros((n, H)), np.zeros(H)
    arrays = {
        "sender": padded(model.sender, lanes, 1),
        "up": up,
        "up_back": up.T,
        "up_shift": padded(model.up_shift, lanes, 1),
        "energy": padded(model.energy1, lanes, 0),
        "hidden1": hidden1,
        "hidden1_back": hidden1.swapaxes(1, 2),
        "hidden2": hidden2,
        "hidden2_back": hidden2.T,
        "hidden_shift": shift,
        "out": out,
    }
    return kernels.Tail(
        **{name: np.ascontiguousarray(a, dtype=real) for name, a in arrays.items()},
        atom=np.ascontiguousarray(model.atom_energy),
        gate=GATES[model.gate],
    )


class Engine:
    """Merged models that share elements and radial grid, evaluated in one pass over the neighbours.

    Parameters
    ----------
    models
        One or several merged models.
    dtype
        Precision of the arithmetic; energies, forces and virial are summed in float64.
    skin_A
        How far the list of neighbours reaches beyond the cut-off, Å.
    threads
        How many threads share the atoms of a large structure.
    """

    def __init__(self, models: Sequence[MergedModel], dtype: DTypeLike, skin_A: float, threads: int) -> None:
        check_committee(models)
        first = models[0]
        self.dtype = np.dtype(dtype)
        self.threads = threads
        self.candidates = Candidates(first.cutoff_A, skin_A, threads)
        self._weights = [Weights(model, self.dtype) for model in models]
        self._cutoff_A = first.cutoff_A
        step = (first.cutoff_A - first.table_start_A) / first.intervals
        self._grid = np.array([first.table_start_A, 1.0 / step, first.intervals])
        self._buffers: tuple[pairs.Edges, list[Any]] | None = None
        self._pool: ThreadPoolExecutor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave threads and scratch arrays behind when copied or sent to another process."""
        return self.__dict__ | {"_pool": None, "_buffers": None}

    def forget(self) -> None:
        """Drop the list of neighbours and the scratch arrays; results do not depend on them."""
        self.candidates.n_built = 0
        self._buffers = None

    def evaluate(
        self,
        positions: Floats,
        cell: Floats,
        pbc: NDArray[np.bool_],
        species: NDArray[np.int32],
        check: Callable[[float, int, int], None],
    ) -> list[Output]:
        """Return what each model says; `check` sees the shortest distance (Å) and its atoms before anything is summed.

        Parameters
        ----------
        positions
            Å, shape (atom, 3).
        cell
            Å, rows are the vectors; those of directions that are not periodic may be any that span space.
        pbc
            Which directions are periodic.
        species
            Index of the element of each atom.
        check
            Called once; what it raises ends the evaluation.
        """
        if not self.candidates.complete(positions, cell, pbc):
            self._buffers = None  # before the search, which needs the memory
            self.candidates.find(positions, cell, pbc, self._each)
        if self._buffers is None:
            self._buffers = self._empty_buffers(len(positions))
        edges, states = self._buffers
        found = self.candidates
        lattice = (positions, found.first, found.pairs, found.shifts, self._cutoff_A, self._grid, edges)
        nearest = self._each([(pairs.find_edges, (*r, *lattice)) for r in self._ranges(found.first)])
        check(*min(nearest))
        # by edges, not by pairs of the list: each thread's sums must not depend on when the list was made
        ranges = self._ranges(np.append(0, np.cumsum(edges.count)))
        return [self._one(weights, species, ranges, edges, states) for weights in self._weights]

    def _one(self, weights: Weights, species: Any, ranges: Any, edges: Any, states: Any) -> Output:
        """Return what one model says about the edges."""
        n, T = len(species), len(ranges)
        energies, forces, virial = np.zeros(n), np.zeros((T, n, 3)), np.zeros((T, 6))
        kept, sent, d_sent, hidden = states
        d_sent[:] = 0
        tasks: list[list[Any]] = [[], [], []]
        for t, (lo, hi) in enumerate(ranges):
            out = energies, forces[t], virial[t]
            state = kept, sent, d_sent[t], hidden
            atoms = (lo, hi, species, edges)
            tasks[0].append((first_pass, (atoms, weights, self._grid, state, out)))
            tasks[1].append((second_pass, (atoms, weights, self._grid, state, out)))
            tasks[2].append((third_pass, (atoms, weights, self._grid, (kept, sent, d_sent[0], hidden), out)))
        self._each(tasks[0])
        if len(weights.layers) == 2:
            self._each(tasks[1])
            for t in range(1, T):
                d_sent[0] += d_sent[t]
        else:
            hidden[:] = 0
        self._each(tasks[2])
        for t in range(1, T):
            forces[0] += forces[t]
            virial[0] += virial[t]
        return Output(energies, forces[0], virial[0])

    def _each(self, tasks: list[tuple[Callable[..., Any], tuple[Any, ...]]]) -> list[Any]:
        """Return the results of tasks that run at the same time."""
        if len(tasks) == 1:
            return [tasks[0][0](*tasks[0][1])]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="mlsim-engine")
        return [future.result() for future in [self._pool.submit(f, *args) for f, args in tasks]]

    def _ranges(self, first: NDArray[np.int64]) -> list[tuple[int, int]]:
        """Return the atoms (lo, hi) of each thread, as many neighbours each; those of atom i begin at `first[i]`."""
        n = len(first) - 1
        T = max(1, min(self.threads, n // ATOMS_PER_THREAD))
        marks = np.searchsorted(first, np.arange(1, T) * (int(first[-1]) / T)).tolist()
        bounds = [0, *marks, n]
        return list(itertools.pairwise(bounds))

    def _empty_buffers(self, n: int) -> tuple[pairs.Edges, list[Any]]:
        """Return edges and the state of the layers, without values, wide enough for each model."""
        T = len(self._ranges(self.candidates.first))
        spare = 16 * (T + 1)
        edges = pairs.empty_edges(n, int(self.candidates.first[-1]) + spare, self.dtype)
        C, L, H, _ = (max(len(w.sizes[k]) for w in self._weights) for k in range(4))
        shapes = (n, L * L, C), (n, C), (T, n, C), (n, H)
        return edges, [np.empty(shape, self.dtype) for shape in shapes]


def first_pass(atoms: Any, weights: Weights, grid: Floats, state: Any, out: Any) -> None:
    """Add pair terms and the energy of layer 1."""
    lo, hi, species, edges = atoms
    layer, tail, sizes = weights.layers[0], weights.tail, weights.sizes
    pairs.pair_terms(lo, hi, species, edges, grid, WALL_EV, weights.zbl, weights.zbl_weights, out)
    kernels.first_layer(lo, hi, species, edges, layer, tail, grid, state, out[0], sizes)


def second_pass(atoms: Any, weights: Weights, grid: Floats, state: Any, out: Any) -> None:
    """Add the energy and the gradient of layer 2."""
    lo, hi, species, edges = atoms
    layer, tail, sizes = weights.layers[1], weights.tail, weights.sizes
    kernels.second_layer(lo, hi, species, edges, layer, tail, grid, state, out, sizes)


def third_pass(atoms: Any, weights: Weights, grid: Floats, state: Any, out: Any) -> None:
    """Add the gradient of layer 1."""
    lo, hi, species, edges = atoms
    layer, tail, sizes = weights.layers[0], weights.tail, weights.sizes
    kernels.first_layer_gradient(lo, hi, species, edges, layer, tail, grid, state, out, sizes)


def check_committee(models: Sequence[MergedModel]) -> None:
    """Refuse an empty committee, and one whose members cannot share the neighbours."""
    if not models:
        raise SettingsError("committee without models, expected at least one")
    first = models[0]
    for k, model in enumerate(models[1:], 2):
        for name in ("numbers", "cutoff_A", "table_start_A", "intervals", "channels", "l_max"):
            ours, theirs = getattr(model, name), getattr(first, name)
            if ours != theirs:
                got, expected = (f"{x:g}" if isinstance(x, float) else f"{x}" for x in (ours, theirs))
                raise SettingsError(
                    f"committee: model {k} has {name} = {got}, but model 1 has {expected}; make them equal"
                )
