"""Energy, forces and stress of the current positions, held so that a restart finds them unchanged."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.abc import GetPropertiesMixin
from ase.calculators.calculator import all_changes
from numpy.typing import NDArray

from mlsim.errors import SettingsError

__all__ = ["HeldForces"]

Floats = NDArray[np.float64]
_NAMES = ("energy", "forces", "stress")
_MOVED = ["positions", "cell"]
_WARM_UP_CALLS = 2


class HeldForces(GetPropertiesMixin):  # type: ignore[misc]
    """Calculator for one run: asks the potential once per set of positions and keeps the answer.

    A potential may carry lists of neighbours from one call to the next, and then the order of its sums, hence the last
    bit, depends on the past. `start_afresh` makes the next call say that everything changed (ASE's `all_changes`), so
    that such lists are built anew. A run does so at fixed steps and writes checkpoints only there: what follows
    depends on the checkpoint alone.

    Parameters
    ----------
    calculator
        Any ASE calculator with energy, forces and stress.
    """

    def __init__(self, calculator: Any) -> None:
        lacking = [name for name in _NAMES if name not in getattr(calculator, "implemented_properties", _NAMES)]
        if lacking:
            kind = type(calculator).__name__
            raise SettingsError(f"calculator {kind}: gives no {' and no '.join(lacking)}; molecular dynamics needs it")
        self._calculator = calculator
        self._positions: Floats = np.empty((0, 3))
        self._cell: Floats = np.empty((0, 3))
        self._results: dict[str, Any] = {}
        self._fresh = True
        self._deviation = (float("nan"), 0)

    def start_afresh(self) -> None:
        """Make the next call to the potential forget all calls before it."""
        self._fresh = True

    def warm_up(self, atoms: Atoms) -> None:
        """Ask the potential and throw the answer away, once in each process.

        TorchScript answers a first call with other code than all later ones (with MACE, 3e-6 Å apart after 50 steps):
        a run that goes on in a new process must not take a first answer where an undisturbed one took a later one.
        """
        for _ in range(_WARM_UP_CALLS):
            self._calculator.calculate(atoms, list(_NAMES), all_changes)

    def get_property(self, name: str, atoms: Atoms, allow_calculation: bool = True) -> Any:
        """Return a property of `atoms`, from memory if neither positions nor cell have changed."""
        del allow_calculation
        self._update(atoms)
        value = self._results["energy" if name == "free_energy" else name]
        return value.copy() if isinstance(value, np.ndarray) else value

    @property
    def finite(self) -> bool:
        """Whether the last energy, forces and stress are finite numbers."""
        return all(bool(np.isfinite(value).all()) for value in self._results.values())

    @property
    def committee_deviation(self) -> tuple[float, int]:
        """How far a committee of potentials disagrees, eV/Å, and the atom where; nan without one, or not yet known.

        The largest over atoms of sqrt(sum over x, y, z of forces_std²), from `forces_std` in the calculator's results.
        """
        return self._deviation

    @property
    def energy(self) -> float:
        """The last potential energy, eV."""
        return float(self._results["energy"])

    @property
    def stress(self) -> Floats:
        """The last stress without the kinetic part, eV/Å3, ASE's sign, Voigt order."""
        return np.asarray(self._results["stress"])

    def state(self) -> dict[str, Floats]:
        """Return the last answer as arrays."""
        return {name: np.asarray(self._results[name], dtype=float) for name in _NAMES}

    def restore(self, atoms: Atoms, state: dict[str, Floats]) -> None:
        """Hold `state` as the answer for the positions and cell of `atoms`."""
        self._results = {"energy": float(state["energy"]), "forces": state["forces"], "stress": state["stress"]}
        self._positions, self._cell = atoms.positions.copy(), np.array(atoms.cell)
        self._fresh = True

    def _update(self, atoms: Atoms) -> None:
        cell = np.asarray(atoms.cell)
        if np.array_equal(atoms.positions, self._positions) and np.array_equal(cell, self._cell):
            return
        calculator = self._calculator
        calculator.calculate(atoms, list(_NAMES), all_changes if self._fresh else _MOVED)
        self._fresh = False
        found = calculator.results
        self._results = {
            "energy": float(found["energy"]),
            "forces": np.array(found["forces"], dtype=float),
            "stress": _voigt(np.array(found["stress"], dtype=float)),
        }
        self._positions, self._cell = atoms.positions.copy(), cell.copy()
        spread = found.get("forces_std")
        if spread is not None:
            squares = np.einsum("ij,ij->i", spread, spread)
            worst = int(np.argmax(squares))
            self._deviation = float(np.sqrt(squares[worst])), worst


def _voigt(stress: Floats) -> Floats:
    if stress.shape == (3, 3):
        return stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
    return stress
