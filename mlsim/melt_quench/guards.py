"""Guards: reasons to stop a run whose atoms no longer do what a liquid or glass does."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from mlsim.errors import SettingsError
from mlsim.geometry import neighbour_pairs
from mlsim.melt_quench.rocksalt import rocksalt_domains

__all__ = ["Guards", "Limits", "thin_cell", "warn_of_thin_cell"]

RUNAWAY_FACTOR = 3.0
RUNAWAY_FLOOR_K = 500.0  # below, fluctuations of small cells and latent heat would trip the factor
RUNAWAY_PS = 0.2
OVERLAP_EVERY = 20
OVERLAP_SCALE = 0.45
VOLUME_RANGE = (0.4, 2.5)
_POTENTIAL_FAILS = "the potential fails here or the time step is too long"


@dataclass(frozen=True)
class Limits:
    """What a run may do before its guards speak; nothing is limited unless set.

    Attributes
    ----------
    committee_warn_eV_A, committee_stop_eV_A
        Largest disagreement of a committee on the force of an atom (`Frame.committee_deviation_eV_A`) above which the
        run warns once, or stops, eV/Å.
    rocksalt_stop_fraction
        Fraction of atoms in rocksalt domains (`rocksalt_domains`) above which the run stops.
    rocksalt_interval_ps
        Time between two looks at the structure, ps.
    salt
        Cation and anion of the rocksalt.
    committee_from_ps
        Time from which on the committee's disagreement counts, ps: a random packing that has just been relaxed is
        foreign to any potential until it has melted.

    Raises
    ------
    SettingsError
        If a limit is not positive, or stops before it warns.
    """

    committee_warn_eV_A: float | None = None
    committee_stop_eV_A: float | None = None
    rocksalt_stop_fraction: float | None = None
    rocksalt_interval_ps: float = 1.0
    salt: tuple[str, str] = ("Li", "Cl")
    committee_from_ps: float = 1.0

    def __post_init__(self) -> None:
        names = ("committee_warn_eV_A", "committee_stop_eV_A", "rocksalt_stop_fraction", "rocksalt_interval_ps")
        for name in names:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise SettingsError(f"limits: {name} is {value}, expected a positive number")
        warn, stop = self.committee_warn_eV_A, self.committee_stop_eV_A
        if warn is not None and stop is not None and warn > stop:
            raise SettingsError(
                f"limits: committee_warn_eV_A {warn:g} is above committee_stop_eV_A {stop:g}; swap them"
            )


def warn_of_thin_cell(atoms: Atoms, calculator: Any) -> None:
    """Warn if a cell is thinner than twice the cut-off that the calculator names (`cutoff_A`, or `r_max` of MACE)."""
    cutoff = getattr(calculator, "cutoff_A", None) or getattr(calculator, "r_max", None)
    what = thin_cell(atoms, None if cutoff is None else float(cutoff))
    if what is not None:
        warnings.warn(what, stacklevel=3)


def thin_cell(atoms: Atoms, cutoff_A: float | None) -> str | None:
    """Return what is wrong with a cell thinner than twice the cut-off; None if it is not, or the cut-off unknown.

    The thickness is the shortest distance between opposite faces, min over i of 1/|b_i|, b_i the reciprocal vectors.
    """
    if cutoff_A is None:
        return None
    thickness = float(np.min(1 / np.linalg.norm(np.asarray(atoms.cell.reciprocal()), axis=1)))
    if thickness >= 2 * cutoff_A:
        return None
    return (
        f"the cell is {thickness:.2f} Å thin, less than twice the cut-off of {cutoff_A:g} Å: an atom feels "
        "another one and its image at once, so forces are right but the liquid is ordered by its own period; "
        "take a larger cell"
    )


class Answer(Protocol):
    """What the guards ask of the last answer of a potential."""

    @property
    def finite(self) -> bool:
        """Whether energy, forces and stress are finite numbers."""

    @property
    def energy(self) -> float:
        """Potential energy, eV."""

    @property
    def committee_deviation(self) -> tuple[float, int]:
        """As `HeldForces.committee_deviation`."""


class Guards:
    """Looks at a run after each step and says what is wrong, if anything is.

    - energy, forces or stress no longer finite;
    - temperature above 3 times its target (at least 500 K) during 0.2 ps on end;
    - a pair of atoms closer than 0.45 of the sum of their covalent radii, below any contact of a hot melt: the
      potential has a hole there (looked at every 20 steps);
    - the volume outside 0.4 to 2.5 of that at the start: the cell evaporates or collapses;
    - what `limits` say about a committee's disagreement and rocksalt domains.

    Parameters
    ----------
    atoms
        The atoms at the start.
    timestep_fs
        fs.
    where
        Folder of the run, for warnings.
    """

    def __init__(self, atoms: Atoms, timestep_fs: float, where: Path = Path()) -> None:
        from ase.data import covalent_radii

        self._volume = float(atoms.get_volume())
        self._radii = OVERLAP_SCALE * covalent_radii[atoms.numbers]
        self._patience = max(1, round(RUNAWAY_PS * 1e3 / timestep_fs))
        self._hot_steps = 0
        self.limits = Limits()
        self._timestep_ps = timestep_fs * 1e-3
        self._where = where
        self._warned = False

    def complaint(self, atoms: Atoms, held: Answer, step: int, temperature_K: float, target_K: float) -> str | None:
        """Return what is wrong after this step: got, expected, what to do; None if nothing is."""
        if not (held.finite and np.isfinite(temperature_K)):
            got = f"energy {held.energy:g} eV, temperature {temperature_K:g} K"
            return f"{got}, expected finite energy, forces and stress; {_POTENTIAL_FAILS}"
        limit = RUNAWAY_FACTOR * max(target_K, RUNAWAY_FLOOR_K)
        self._hot_steps = self._hot_steps + 1 if temperature_K > limit else 0
        if self._hot_steps > self._patience:
            got = f"temperature {temperature_K:.0f} K for {RUNAWAY_PS:g} ps"
            return f"{got}, expected {target_K:.0f} K; {_POTENTIAL_FAILS}, or the start was far from equilibrium"
        growth = float(atoms.get_volume()) / self._volume
        if not VOLUME_RANGE[0] <= growth <= VOLUME_RANGE[1]:
            low, high = VOLUME_RANGE
            return (
                f"volume {growth:.2f} of that at the start, expected {low:g} to {high:g}; the cell "
                f"{'evaporates: hold its volume there, or raise the pressure' if growth > 1 else 'collapses'}"
                ", or start nearer to the final density"
            )
        settled = step * self._timestep_ps >= self.limits.committee_from_ps
        found = self._disagreement(atoms, held) if settled else None
        if found is None and step % OVERLAP_EVERY == 0:
            found = self._overlap(atoms)
        return found if found is not None else self._crystal(atoms, step)

    @property
    def hot_steps(self) -> int:
        """Steps on end that have been too hot; part of a checkpoint."""
        return self._hot_steps

    @hot_steps.setter
    def hot_steps(self, value: int) -> None:
        self._hot_steps = value

    def _disagreement(self, atoms: Atoms, held: Answer) -> str | None:
        warn, stop = self.limits.committee_warn_eV_A, self.limits.committee_stop_eV_A
        if warn is None and stop is None:
            return None
        deviation, atom = held.committee_deviation
        got = f"the committee disagrees by {deviation:.2f} eV/Å on the force of {atoms.symbols[atom]} {atom}"
        if stop is not None and deviation > stop:
            return f"{got}, allowed {stop:g}; label this structure and train on it, or raise the limit"
        if warn is not None and deviation > warn and not self._warned:
            self._warned = True
            warnings.warn(f"{self._where}: {got}, above {warn:g}; said once", stacklevel=2)
        return None

    def _crystal(self, atoms: Atoms, step: int) -> str | None:
        limit = self.limits.rocksalt_stop_fraction
        every = max(1, round(self.limits.rocksalt_interval_ps / self._timestep_ps))
        if limit is None or step % every:
            return None
        domains = rocksalt_domains(atoms, *self.limits.salt)
        if domains.fraction <= limit:
            return None
        salt = "".join(self.limits.salt)
        return (
            f"{100 * domains.fraction:.0f} % of the atoms are in rocksalt {salt} (largest domain {domains.sizes[0]}), "
            f"allowed {100 * limit:g} %; quench faster, or raise the limit if crystals are what you want"
        )

    def _overlap(self, atoms: Atoms) -> str | None:
        pairs = neighbour_pairs(atoms.positions, np.asarray(atoms.cell), 2 * float(self._radii.max()))
        limits = self._radii[pairs.first] + self._radii[pairs.second]
        inside = np.flatnonzero(pairs.distances < limits)
        if not len(inside):
            return None
        worst = inside[np.argmin(pairs.distances[inside] / limits[inside])]
        i, j = int(pairs.first[worst]), int(pairs.second[worst])
        names = f"{atoms.symbols[i]} {i} and {atoms.symbols[j]} {j}"
        expected = f"expected at least {limits[worst]:.2f} Å; {_POTENTIAL_FAILS}"
        return f"{names} at {pairs.distances[worst]:.2f} Å, {expected}"
