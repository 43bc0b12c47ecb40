"""Guards: reasons to stop a run whose atoms no longer do what a liquid or glass does."""

from __future__ import annotations

import numpy as np
from ase import Atoms

from mlsim.geometry import neighbour_pairs
from mlsim.melt_quench.forces import HeldForces

__all__ = ["Guards"]

RUNAWAY_FACTOR = 3.0
RUNAWAY_FLOOR_K = 500.0  # below, fluctuations of small cells and latent heat would trip the factor
RUNAWAY_PS = 0.2
OVERLAP_EVERY = 20
OVERLAP_SCALE = 0.45
VOLUME_RANGE = (0.4, 2.5)
_POTENTIAL_FAILS = "the potential fails here or the time step is too long"


class Guards:
    """Looks at a run after each step and says what is wrong, if anything is.

    - energy, forces or stress no longer finite;
    - temperature above 3 times its target (at least 500 K) during 0.2 ps on end;
    - a pair of atoms closer than 0.45 of the sum of their covalent radii, below any contact of a hot melt: the
      potential has a hole there (looked at every 20 steps);
    - the volume outside 0.4 to 2.5 of that at the start: the cell evaporates or collapses.

    Parameters
    ----------
    atoms
        The atoms at the start.
    timestep_fs
        fs.
    """

    def __init__(self, atoms: Atoms, timestep_fs: float) -> None:
        from ase.data import covalent_radii

        self._volume = float(atoms.get_volume())
        self._radii = OVERLAP_SCALE * covalent_radii[atoms.numbers]
        self._patience = max(1, round(RUNAWAY_PS * 1e3 / timestep_fs))
        self._hot_steps = 0

    def complaint(self, atoms: Atoms, held: HeldForces, step: int, temperature_K: float, target_K: float) -> str | None:
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
        return self._overlap(atoms) if step % OVERLAP_EVERY == 0 else None

    @property
    def hot_steps(self) -> int:
        """Steps on end that have been too hot; part of a checkpoint."""
        return self._hot_steps

    @hot_steps.setter
    def hot_steps(self, value: int) -> None:
        self._hot_steps = value

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
