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
from mlsim.potential.engine import kernels
from mlsim.potential.engine.merged import MergedModel, read_merged
from mlsim.potential.engine.neighbours import Candidates

__all__ = ["CompiledMACE"]

Floats = NDArray[np.float64]
WALL_EV = 1000.0
LANES = 8
GATES = {"none": 0, "silu": 1, "tanh": 2}


def padded(a: NDArray[Any], *axes: int, to: int = LANES) -> NDArray[Any]:
    """Return an array with zeros at the end of the given axes, up to a multiple of `to`.

    Examples
    --------
    >>> padded(np.ones((2, 3)), 1, to=4)
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
        self.channels = (0,) * (-(-model.channels // LANES) * LANES)
        self.hidden = (0,) * (-(-len(model.out) // LANES) * LANES)
        self.layers = []
        for layer in model.layers:
            table = padded(layer.table, 4)
            mix = padded(layer.mix, 2, 3)
            self.layers.append(
                kernels.Layer(
                    table=ready(table.reshape(table.shape[0] * table.shape[1], -1)),
                    pair=(model.pair_table * table.shape[1]).astype(np.uint32),
                    mix=ready(mix),
                    mix_back=ready(mix.swapaxes(2, 3)),
                    linear=ready(padded(layer.linear, 1)),
                    square=ready(padded(layer.square, 2)),
                    cubic=ready(padded(layer.cubic, 2)),
                    terms=layer.terms.astype(np.uint32),
                    factors=ready(layer.factors),
                )
            )
        up, hidden1, hidden2 = padded(model.up, 0, 1), padded(model.hidden1, 1, 2), padded(model.hidden2, 0, 1)
        self.tail = kernels.Tail(
            sender=ready(padded(model.sender, 1)),
            up=ready(up),
            up_back=ready(up.T),
            up_shift=ready(padded(model.up_shift, 1)),
            energy=ready(padded(model.energy1, 0)),
            hidden1=ready(hidden1),
            hidden1_back=ready(hidden1.swapaxes(1, 2)),
            hidden2=ready(hidden2),
            hidden2_back=ready(hidden2.T),
            hidden_shift=ready(padded(model.hidden_shift, 1)),
            out=ready(padded(model.out, 0)),
            atom=np.ascontiguousarray(model.atom_energy),
            gate=GATES[model.gate],
        )
        n = len(model.numbers)
        self.zbl, self.zbl_weights = np.zeros((n, n, 4)), np.zeros(4)
        self.reach = model.table_start_A
        if model.zbl is not None:
            zbl, self.zbl_weights = model.zbl, model.zbl.weights
            self.zbl = np.stack(
                [zbl.prefactor_eV_A, zbl.inverse_a_per_A, zbl.reach_A, np.full((n, n), float(zbl.power))], axis=2
            )
            self.reach = max(self.reach, float(zbl.reach_A.max()))


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

    def _checked(self) -> tuple[Floats, Floats, NDArray[np.uint32]]:
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
        return positions, cell, species.astype(np.uint32)

    def _edges(self, positions: Floats) -> tuple[kernels.Edges, Floats]:
        """Return the edges inside the cut-off and the radial grid (start, 1/step, intervals)."""
        model, found = self.models[0], self._candidates
        n, size = len(positions), len(found.neighbour)
        step = (model.cutoff_A - model.table_start_A) / model.intervals
        grid = np.array([model.table_start_A, 1.0 / step, model.intervals])
        edges = kernels.Edges(
            first=found.first,
            count=np.empty(n, np.int64),
            neighbour=np.empty(size, np.uint32),
            direction=np.empty((size, 3), self.dtype),
            node=np.empty(size, np.uint32),
            fraction=np.empty(size, self.dtype),
        )
        closest = np.array([np.inf, 0.0, 0.0])
        kernels.find_edges(
            0,
            n,
            positions,
            found.first,
            found.neighbour,
            found.shift_index,
            found.shifts,
            model.cutoff_A**2,
            grid,
            edges,
            closest,
        )
        self._check_distance(float(closest[0]) ** 0.5, int(closest[1]), int(closest[2]))
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
        self, weights: Weights, species: NDArray[np.uint32], edges: kernels.Edges, grid: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Return energies (eV), forces (eV/Å) and the virial in Voigt order (eV) of one model."""
        n, C, H = len(species), len(weights.channels), len(weights.hidden)
        n_l = (0,) * (weights.model.l_max + 1)
        energies, forces, virial = np.zeros(n), np.zeros((n, 3)), np.zeros(6)
        kept = np.empty((n, len(n_l) ** 2, C), self.dtype)
        sent, d_sent = np.empty((n, C), self.dtype), np.zeros((n, C), self.dtype)
        hidden = np.empty((n, H), self.dtype)
        tail, layers = weights.tail, weights.layers
        kernels.pair_terms(
            0,
            n,
            species,
            edges,
            grid,
            WALL_EV,
            weights.zbl,
            weights.zbl_weights,
            weights.reach,
            energies,
            forces,
            virial,
        )
        kernels.first_layer(
            0,
            n,
            species,
            edges,
            layers[0],
            tail,
            grid,
            kept,
            sent,
            hidden,
            energies,
            weights.channels,
            n_l,
            weights.hidden,
        )
        if len(layers) == 2:
            kernels.second_layer(
                0,
                n,
                species,
                edges,
                layers[1],
                tail,
                grid,
                sent,
                d_sent,
                hidden,
                energies,
                forces,
                virial,
                weights.channels,
                n_l,
                weights.hidden,
            )
        kernels.first_layer_gradient(
            0,
            n,
            species,
            edges,
            layers[0],
            tail,
            grid,
            kept,
            d_sent,
            hidden,
            forces,
            virial,
            weights.channels,
            n_l,
            weights.hidden,
        )
        return energies, forces, virial
