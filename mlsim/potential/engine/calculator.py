"""ASE calculator that runs compiled MACE models without torch."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray

from mlsim.errors import DataError, SettingsError
from mlsim.potential.engine.engine import Engine
from mlsim.potential.engine.merged import MergedModel, read_merged

__all__ = ["CompiledMACE"]

Floats = NDArray[np.float64]
SAME_PLACE_A = 1e-3


class CompiledMACE(Calculator):  # type: ignore[misc]
    """Energy, energies, forces and stress of a compiled MACE, or the mean over a committee of them.

    Forces of the same positions are the same to the last bit, whatever was evaluated before (for the same number of
    threads, on the same machine): MD that starts again from a checkpoint repeats itself.

    A committee adds `energy_std`, `energies_std` and `forces_std`, standard deviations over its members, to `results`.

    Parameters
    ----------
    models
        File written by `compile_model` or what was read from it; or several that share elements, sizes and grid.
    dtype
        "float32" (sums over atoms are float64 all the same) or "float64".
    threads
        How many threads share the atoms of a large structure.
    skin_A
        How far the list of neighbours reaches beyond the cut-off, Å; changes speed only.

    Raises
    ------
    DataError
        From any evaluation: if there are no atoms, positions or cell are not finite, an element is unknown, or two
        atoms are at the same place.

    Warns
    -----
    UserWarning
        Once, when atoms come closer than the start of the radial tables (0.3 Å); the radial functions go on as straight
        lines there and a repulsive wall W (1 - r/r0)^3, W = 1000 eV, is added.
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012  ASE's name

    def __init__(
        self,
        models: str | Path | MergedModel | Sequence[str | Path | MergedModel],
        *,
        dtype: Literal["float32", "float64"] = "float32",
        threads: int = 1,
        skin_A: float = 0.75,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if dtype not in ("float32", "float64"):
            raise SettingsError(f"dtype {dtype!r}, expected 'float32' or 'float64'")
        if threads < 1:
            raise SettingsError(f"threads = {threads}, expected at least 1")
        if not skin_A > 0:
            raise SettingsError(f"skin_A = {skin_A}, expected a positive length")
        given = [models] if isinstance(models, str | Path | MergedModel) else list(models)
        self.models = [m if isinstance(m, MergedModel) else read_merged(m) for m in given]
        self.engine = Engine(self.models, dtype, skin_A, threads)
        self._index = np.full(256, -1, np.int32)
        self._index[list(self.models[0].numbers)] = np.arange(len(self.models[0].numbers))
        self._warned = False

    @property
    def cutoff_A(self) -> float:
        """Cut-off of the messages, Å."""
        return self.models[0].cutoff_A

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements that the potential knows."""
        return tuple(Atoms(numbers=self.models[0].numbers).symbols)

    def reset(self) -> None:
        """Forget results and the list of neighbours; the next evaluation gives the same numbers."""
        super().reset()
        self.engine.forget()

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Return what differs from the structure of the results, to the last bit and without ASE's slow comparison."""
        return exact_changes(self.atoms, atoms)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Evaluate all properties at once."""
        if atoms is not None:
            self.atoms = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        positions, cell, species = self._checked()
        outputs = self.engine.evaluate(positions, cell, self.atoms.pbc, species, self._check_distance)
        first = outputs[0]
        if len(outputs) == 1:
            energies, forces, virial = first
        else:
            energies, forces, virial = (np.mean([out[k] for out in outputs], axis=0) for k in range(3))
        energy = float(energies.sum())
        self.results = {"energy": energy, "free_energy": energy, "energies": energies, "forces": forces}
        if self.atoms.pbc.all():
            self.results["stress"] = virial / volume(cell)
        if len(outputs) > 1:
            self.results["energy_std"] = float(np.std([out.energies.sum() for out in outputs]))
            self.results["energies_std"] = np.std([out.energies for out in outputs], axis=0)
            self.results["forces_std"] = np.std([out.forces for out in outputs], axis=0)

    def _checked(self) -> tuple[Floats, Floats, NDArray[np.int32]]:
        """Return positions, cell and element indices, or say what is wrong with the structure."""
        atoms = self.atoms
        if not len(atoms):
            raise DataError("the structure holds no atoms, expected at least one")
        positions = np.ascontiguousarray(atoms.positions, dtype=np.float64)
        cell = np.ascontiguousarray(atoms.cell.array, dtype=np.float64)
        if not np.isfinite(positions).all():
            k = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise DataError(
                f"atom {k} ({atoms.symbols[k]}) has the position {positions[k].tolist()}, expected finite numbers"
            )
        if not np.isfinite(cell).all():
            raise DataError(f"the cell is {cell.tolist()}, expected finite numbers")
        if (atoms.pbc & ~cell.any(axis=1)).any():
            raise DataError("the cell has no vector in a periodic direction; set the cell or switch pbc off there")
        if not atoms.pbc.all():
            cell = atoms.cell.complete().array
        if not volume(cell) > 1e-6:
            raise DataError(f"the cell has a volume of {volume(cell):g} Å3, expected a positive one")
        species = self._index[atoms.numbers]
        if (species < 0).any():
            k = int(np.flatnonzero(species < 0)[0])
            raise DataError(f"atom {k} is {atoms.symbols[k]}, but the potential knows {' '.join(self.elements)} only")
        return positions, cell, species

    def _check_distance(self, shortest: float, i: int, j: int) -> None:
        """Refuse atoms at the same place; warn once about atoms closer than the tables."""
        start = self.models[0].table_start_A
        if shortest >= start:
            return
        names = [f"{k} ({self.atoms.symbols[k]})" for k in (i, j)]
        if shortest < SAME_PLACE_A:
            raise DataError(
                f"atoms {names[0]} and {names[1]} are {shortest:.1g} Å apart, at the same place; separate them"
            )
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"atoms {names[0]} and {names[1]} are {shortest:.3f} Å apart, closer than the {start} Å where the "
                "potential begins; a repulsive wall acts there",
                stacklevel=2,
            )


def exact_changes(last: Atoms | None, atoms: Atoms) -> list[str]:
    """Return what differs between two structures, in ASE's words, to the last bit."""
    if last is None or len(last) != len(atoms):
        return list(all_changes)
    changes = [name for name in ("positions", "numbers") if not np.array_equal(last.arrays[name], atoms.arrays[name])]
    changes += [name for name in ("cell", "pbc") if not np.array_equal(getattr(last, name), getattr(atoms, name))]
    return changes


def volume(cell: Floats) -> float:
    """Return the volume of a cell, Å3."""
    (a, b, c), (d, e, f), (g, h, i) = cell.tolist()
    return float(abs(a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)))
