"""What a fit costs in energy, and the way back to a potential: relax what reverse Monte Carlo made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

from mlsim.errors import Interrupted
from mlsim.progress import Progress, SilentProgress, StopRequest

__all__ = ["EnergyCost", "energy_costs"]

_STEPS = 300
_FORCE_eV_A = 0.05


@dataclass(frozen=True, eq=False)
class EnergyCost:
    """Energies of one refined configuration, per atom, less that of the start.

    Attributes
    ----------
    as_refined_eV
        As it came out of the fit, eV.
    relaxed_eV
        After relaxation at constant cell, eV; None without.
    relaxed
        The relaxed configuration: a start for molecular dynamics or a new melt-quench.
    moved_A
        Root mean square displacement of the relaxation, Å.
    at_rest
        Whether no force exceeded 0.05 eV/Å in the end; None without relaxation.
    """

    as_refined_eV: float
    relaxed_eV: float | None = None
    relaxed: Atoms | None = None
    moved_A: float | None = None
    at_rest: bool | None = None


def energy_costs(
    start: Atoms,
    refined: Sequence[Atoms],
    calculator: Any,
    *,
    relax: bool = False,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
) -> list[EnergyCost]:
    """Return what each refined configuration costs in energy per atom on a potential.

    Parameters
    ----------
    start
        The configuration that the fits began with.
    refined
        From `refine`.
    calculator
        Any ASE calculator.
    relax
        Also relax at constant cell: FIRE, until no force exceeds 0.05 eV/Å, at most 300 steps.
    progress, stop
        See `mlsim.progress`; steps of the relaxation are counted.

    Raises
    ------
    Interrupted
        If `stop` became true during a relaxation.

    Notes
    -----
    A start that is itself no minimum of the potential (a random packing) makes the cost negative.
    """
    before = _energy_per_atom(start, calculator)
    costs = []
    for atoms in refined:
        as_refined = _energy_per_atom(atoms, calculator) - before
        if not relax:
            costs.append(EnergyCost(as_refined))
            continue
        moving, at_rest = _relaxed(atoms, calculator, progress or SilentProgress(), stop)
        energy = float(moving.get_potential_energy()) / len(moving) - before
        moving.calc = None
        moved = float(np.sqrt(np.mean(np.sum((moving.positions - atoms.positions) ** 2, axis=1))))
        costs.append(EnergyCost(as_refined, energy, moving, moved, at_rest))
    return costs


def _relaxed(atoms: Atoms, calculator: Any, progress: Progress, stop: StopRequest | None) -> tuple[Atoms, bool]:
    """Return a relaxed copy, its calculator attached, and whether it came to rest."""
    from ase.optimize import FIRE

    moving = atoms.copy()
    moving.calc = calculator
    optimizer = FIRE(moving, logfile=None)
    at_rest = False
    for converged in optimizer.irun(fmax=_FORCE_eV_A, steps=_STEPS):
        at_rest = bool(converged)
        if stop and not at_rest:
            raise Interrupted("stopped on request during a relaxation; the same command goes on with this run")
        progress("relax", optimizer.nsteps, _STEPS)
    progress("relax", _STEPS, _STEPS)
    return moving, at_rest


def _energy_per_atom(atoms: Atoms, calculator: Any) -> float:
    copy = atoms.copy()
    copy.calc = calculator
    return float(copy.get_potential_energy()) / len(copy)
