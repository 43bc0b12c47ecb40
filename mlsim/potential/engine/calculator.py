"""ASE calculator that runs compiled MACE models without torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import DTypeLike, NDArray

from mlsim.errors import DataError, SettingsError
from mlsim.potential.engine import edges as pairs
from mlsim.potential.engine import kernels
from mlsim.potential.engine.merged import MergedModel, read_merged
from mlsim.potential.engine.neighbours import Candidates
from mlsim.potential.engine.simd import best_width

__all__ = ["CompiledMACE"]

Floats = NDArray[np.float64]
WALL_EV = 1000.0
MOST_LANES = 16
GATES = {"none": 0, "silu": 1, "tanh": 2}


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
        def ready(a: NDArray[Any]) -> NDArray[Any]:
            return np.ascontiguousarray(a, dtype=real)

        self.model = model
        lanes = 8 if model.channels <= 8 else best_width()
        C, H = -(-model.channels // lanes) * lanes, -(-len(model.out) // lanes) * lanes
        self.sizes = tuple((0,) * size for size in (C, model.l_max + 1, H, lanes))
        self.layers = []
        for layer in model.layers:
            table, mix = padded(layer.table, lanes, 4), padded(layer.mix, lanes, 2, 3)
            self.layers.append(
                kernels.Layer(
                    table=ready(table.reshape(-1, *table.shape[2:])),
                    pair=np.ascontiguousarray(model.pair_table * table.shape[1]),
                    mix=ready(mix),
                    mix_back=ready(mix.swapaxes(2, 3)),
                    linear=ready(padded(layer.linear, lanes, 1)),
                    square=ready(padded(layer.square, lanes, 2)),
                    cubic=ready(padded(layer.cubic, lanes, 2)),
                    terms=np.ascontiguousarray(layer.terms, dtype=np.int64),
                    factors=ready(layer.factors),
                )
            )
        up, hidden1 = padded(model.up, lanes, 0, 1), padded(model.hidden1, lanes, 1, 2)
        hidden2 = padded(model.hidden2, lanes, 0, 1)
        self.tail = kernels.Tail(
            sender=ready(padded(model.sender, lanes, 1)),
            up=ready(up),
            up_back=ready(up.T),
            up_shift=ready(padded(model.up_shift, lanes, 1)),
            energy=ready(padded(model.energy1, lanes, 0)),
            hidden1=ready(hidden1),
            hidden1_back=ready(hidden1.swapaxes(1, 2)),
            hidden2=ready(hidden2),
            hidden2_back=ready(hidden2.T),
            hidden_shift=ready(padded(model.hidden_shift, lanes, 1)),
            out=ready(padded(model.out, lanes, 0)),
            atom=np.ascontiguousarray(model.atom_energy),
            gate=GATES[model.gate],
        )
        n = len(model.numbers)
        self.zbl, self.zbl_weights = np.zeros((n, n, 4)), np.zeros(4)
        if model.zbl is not None:
            zbl, self.zbl_weights = model.zbl, model.zbl.weights
            self.zbl = np.stack(
                [zbl.prefactor_eV_A, zbl.inverse_a_per_A, zbl.reach_A, np.full((n, n), float(zbl.power))], axis=2
            )


class CompiledMACE(Calculator):  # type: ignore[misc]
    """Energy, energies, forces and stress of a compiled MACE, or the mean over a committee of them.

    Forces of the same positions are the same to the last bit, whatever was evaluated before: MD that starts again
    from a checkpoint repeats itself.

    Parameters
    ----------
    models
        File written by `compile_model` or what was read from it; or several that share elements, cut-off and grid.
    dtype
        "float32" (sums over atoms are float64 all the same) or "float64".
    skin_A
        How far the list of neighbours reaches beyond the cut-off, Å; changes speed only.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012  ASE's name

    def __init__(
        self,
        models: str | Path | MergedModel | Sequence[str | Path | MergedModel],
        *,
        dtype: Literal["float32", "float64"] = "float32",
        skin_A: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if dtype not in ("float32", "float64"):
            raise SettingsError(f"dtype {dtype!r}, expected 'float32' or 'float64'")
        given = [models] if isinstance(models, str | Path | MergedModel) else list(models)
        self.models = [m if isinstance(m, MergedModel) else read_merged(m) for m in given]
        self.dtype = np.dtype(dtype)
        self._weights = [Weights(model, self.dtype) for model in self.models]
        self._candidates = Candidates(self.models[0].cutoff_A, skin_A)
        self._index = np.full(120, -1)
        self._index[list(self.models[0].numbers)] = np.arange(len(self.models[0].numbers))
        self._warned = False

    @property
    def cutoff_A(self) -> float:
        """Cut-off of the messages, Å."""
        return self.models[0].cutoff_A

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate all properties at once."""
        super().calculate(atoms, properties, system_changes)
        positions, cell, species = self._checked()
        self._candidates.update(positions, cell, self.atoms.pbc)
        edges, grid = self._edges(positions)
        outputs = [self._evaluate(weights, species, edges, grid) for weights in self._weights]
        energies = np.mean([out[0] for out in outputs], axis=0)
        forces = np.mean([out[1] for out in outputs], axis=0)
        energy = float(energies.sum())
        self.results = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if self.atoms.pbc.all():
            self.results["stress"] = np.mean([out[2] for out in outputs], axis=0) / abs(np.linalg.det(cell))
        if len(outputs) > 1:
            self.results["forces_std"] = np.std([out[1] for out in outputs], axis=0)
            self.results["energies_std"] = np.std([out[0] for out in outputs], axis=0)
            self.results["energy_std"] = float(np.std([out[0].sum() for out in outputs]))

    def _checked(self) -> tuple[Floats, Floats, NDArray[np.int32]]:
        """Return positions, cell and element indices, or say what is wrong with the structure."""
        positions = np.ascontiguousarray(self.atoms.positions, dtype=np.float64)
        cell = np.ascontiguousarray(self.atoms.cell.array, dtype=np.float64)
        if not np.isfinite(positions).all():
            atom = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise DataError(
                f"atom {atom} ({self.atoms.symbols[atom]}) has the position {positions[atom].tolist()}, not finite"
            )
        if not np.isfinite(cell).all():
            raise DataError("the cell holds values that are not finite")
        species = self._index[self.atoms.numbers]
        if (species < 0).any():
            atom = int(np.flatnonzero(species < 0)[0])
            known = " ".join(Atoms(numbers=self.models[0].numbers).symbols)
            raise DataError(f"atom {atom} is {self.atoms.symbols[atom]}, but the potential knows {known} only")
        return positions, cell, species.astype(np.int32)

    def _edges(self, positions: Floats) -> tuple[pairs.Edges, Floats]:
        """Return the edges inside the cut-off and the radial grid (start, 1/step, intervals)."""
        model, found = self.models[0], self._candidates
        step = (model.cutoff_A - model.table_start_A) / model.intervals
        grid = np.array([model.table_start_A, 1.0 / step, model.intervals])
        edges = pairs.empty_edges(found.first, self.dtype, MOST_LANES)
        shortest, i, j = pairs.find_edges(
            0,
            len(positions),
            positions,
            (found.neighbour, found.shift_index),
            found.shifts,
            model.cutoff_A,
            grid,
            edges,
        )
        self._check_distance(shortest, i, j)
        return edges, grid

    def _check_distance(self, shortest: float, i: int, j: int) -> None:
        """Refuse atoms at the same place; warn once about atoms closer than the tables."""
        if shortest >= self.models[0].table_start_A:
            return
        symbols = self.atoms.symbols
        if shortest < 1e-3:
            raise DataError(f"atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) are at the same place")
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) are {shortest:.3f} Å apart, closer than the "
                f"{self.models[0].table_start_A} Å where the potential begins; a repulsive wall acts there",
                stacklevel=2,
            )

    def _evaluate(
        self, weights: Weights, species: NDArray[np.int32], edges: pairs.Edges, grid: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return energies (eV), forces (eV/Å) and the virial in Voigt order (eV) of one model."""
        n = len(species)
        C, L, H = (len(size) for size in weights.sizes[:3])
        out = np.zeros(n), np.zeros((n, 3)), np.zeros(6)
        state = (
            np.empty((n, L * L, C), self.dtype),
            np.empty((n, C), self.dtype),
            np.zeros((n, C), self.dtype),
            np.empty((n, H), self.dtype),
        )
        common, tail, layers = (0, n, species, edges), weights.tail, weights.layers
        pairs.pair_terms(*common, grid, WALL_EV, weights.zbl, weights.zbl_weights, out)
        kernels.first_layer(*common, layers[0], tail, grid, state, out[0], weights.sizes)
        if len(layers) == 2:
            kernels.second_layer(*common, layers[1], tail, grid, state, out, weights.sizes)
        kernels.first_layer_gradient(*common, layers[0], tail, grid, state, out, weights.sizes)
        return out
