"""Glass: a quenched structure and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.melt_quench.memory import ElementMemory
from mlsim.melt_quench.schedule import Schedule
from mlsim.units import G_CM3_PER_U_A3

__all__ = ["Glass", "ThermoLog"]

Floats = NDArray[np.float64]

_DISCARDED = 0.5  # of the hold at constant pressure, before volumes count


@dataclass(frozen=True, eq=False)
class ThermoLog:
    """Thermodynamics along a run, one row per `Schedule.log_interval_ps`; read-only arrays of shape (row,).

    Attributes
    ----------
    time_ps
        Since the start, ps.
    temperature_K
        From the kinetic energy, K.
    potential_energy_eV
        Of the cell, eV.
    pressure_GPa
        GPa.
    volume_A3
        Of the cell, Å3.
    segment
        Index of the schedule's segment that led to the row.
    committee_deviation_eV_A
        As in `Frame`; nan without a committee.
    """

    time_ps: Floats
    temperature_K: Floats
    potential_energy_eV: Floats
    pressure_GPa: Floats
    volume_A3: Floats
    segment: NDArray[np.int64]
    committee_deviation_eV_A: Floats | None = None

    def __post_init__(self) -> None:
        if self.committee_deviation_eV_A is None:
            object.__setattr__(self, "committee_deviation_eV_A", np.full(len(self.time_ps), np.nan))
        for name in self.__dataclass_fields__:
            array = np.array(getattr(self, name))
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of_rows(cls, rows: Floats) -> ThermoLog:
        """Return the log whose columns, in the order of the attributes, are those of `rows`, shape (row, 6 or 7)."""
        time_ps, temperature_K, energy_eV, pressure_GPa, volume_A3, segment, *deviation = rows.T
        return cls(time_ps, temperature_K, energy_eV, pressure_GPa, volume_A3, segment.astype(np.int64), *deviation)

    def __len__(self) -> int:
        return len(self.time_ps)


@dataclass(frozen=True, eq=False)
class Glass:
    """A structure at the end of a schedule and where it comes from.

    Attributes
    ----------
    atoms
        Final structure with momenta, positions wrapped into the cell, no calculator.
    schedule, potential_sha256, seed
        What made it.
    log
        Temperature, energy, pressure and volume on the way.
    melt_memory
        By element, how far the ions moved from the start of the run to the end of its hottest segment, and how many
        of the start's places are still theirs (`mlsim.melt_quench.melt_memory`).
    """

    atoms: Atoms
    schedule: Schedule
    potential_sha256: str
    seed: int
    log: ThermoLog
    melt_memory: Mapping[str, ElementMemory] = field(default_factory=dict)

    @property
    def melt_displacement_A(self) -> dict[str, float]:
        """Mean distance moved by element, Å."""
        return {element: memory.displacement_A for element, memory in self.melt_memory.items()}

    @property
    def density_g_cm3(self) -> float:
        """Mass density in g/cm3.

        Over the second half of the last hold at constant pressure; of the final cell if there is none.
        """
        mass = float(self.atoms.get_masses().sum())
        holds = [i for i, s in enumerate(self.schedule.segments) if s.kind == "hold" and s.ensemble == "npt"]
        if holds:
            volumes = self.log.volume_A3[self.log.segment == holds[-1]]
            volumes = volumes[int(_DISCARDED * len(volumes)) :]
            if len(volumes):
                return mass / float(volumes.mean()) * G_CM3_PER_U_A3
        return mass / float(self.atoms.get_volume()) * G_CM3_PER_U_A3
