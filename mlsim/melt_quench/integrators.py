"""Integrators of ASE whose temperature follows a ramp and whose whole state can be saved and restored.

==============  ===========  ==================================================================================
ensemble        thermostat   integrator
==============  ===========  ==================================================================================
nvt             langevin     BAOAB (doi:10.1063/1.4802990): configurations right to higher order in the time step
nvt             nose_hoover  Nosé-Hoover chain (doi:10.1063/1.463940): leaves diffusion undamped
npt             langevin     BAOAB with a stochastic piston (doi:10.1063/1.1755657): no ringing chains on a ramp
npt             nose_hoover  isotropic Martyna-Tobias-Klein (doi:10.1063/1.467468)
==============  ===========  ==================================================================================

The cell keeps its shape at constant pressure: a liquid or glass has no reason to choose another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from numpy.typing import NDArray

from mlsim.melt_quench.schedule import Segment
from mlsim.units import ASE_TIME_PER_FS, ASE_TIME_PER_PS, BOLTZMANN_EV_PER_K, EV_PER_A3_PER_GPA

__all__ = ["Integrator", "bring_to_rest", "draw_momenta", "integrator_of"]

Floats = NDArray[np.float64]


class Integrator(Protocol):
    """One ensemble on one set of atoms."""

    def step(self, temperature_K: float) -> None:
        """Advance the atoms by one time step at this target temperature."""

    def state(self) -> dict[str, Floats]:
        """Return all that the next step depends on, besides positions, momenta, cell, forces and the generator."""

    def restore(self, state: Mapping[str, Floats]) -> None:
        """Take back a state that `state` returned; the atoms must already have their positions and cell."""


def integrator_of(segment: Segment, atoms: Atoms, timestep_fs: float, generator: np.random.Generator) -> Integrator:
    """Return the integrator that a segment asks for, at the start of that segment.

    Parameters
    ----------
    segment
        Its start temperature sets the masses of thermostat and barostat, which then stay.
    atoms
        Moved in place. Under Nosé-Hoover their centre of mass must rest (`bring_to_rest`): the chain conserves that
        motion and would count it as heat.
    timestep_fs
        fs.
    generator
        Where a Langevin thermostat draws from.
    """
    if segment.thermostat == "langevin":
        return _Langevin(segment, atoms, timestep_fs, generator)
    return _NoseHoover(segment, atoms, timestep_fs)


def bring_to_rest(atoms: Atoms) -> None:
    """Take the motion of the centre of mass out of the momenta, in place."""
    momenta, masses = atoms.get_momenta(), atoms.get_masses()[:, None]
    atoms.set_momenta(momenta - masses * momenta.sum(axis=0) / masses.sum())


def draw_momenta(atoms: Atoms, temperature_K: float, generator: np.random.Generator) -> None:
    """Draw momenta from the Maxwell-Boltzmann distribution, in place; the centre of mass rests."""
    spread = np.sqrt(atoms.get_masses() * BOLTZMANN_EV_PER_K * temperature_K)[:, None]
    atoms.set_momenta(spread * generator.standard_normal((len(atoms), 3)))
    bring_to_rest(atoms)


class _Langevin:
    _NAMES = ("p_eps", "force_eps")

    def __init__(self, segment: Segment, atoms: Atoms, timestep_fs: float, generator: np.random.Generator) -> None:
        self._names = self._NAMES if segment.ensemble == "npt" else ()
        settings: dict[str, Any] = {}
        if segment.ensemble == "npt":
            period = segment.barostat_time_ps * ASE_TIME_PER_PS
            settings = {
                "externalstress": -(segment.pressure_GPa or 0.0) * EV_PER_A3_PER_GPA,
                "P_tau": period,
                "P_mass": _piston_mass(len(atoms), segment.start_K, period),
            }
        self._dynamics = LangevinBAOAB(
            atoms,
            timestep_fs * ASE_TIME_PER_FS,
            temperature_K=segment.start_K,
            T_tau=segment.thermostat_time_ps * ASE_TIME_PER_PS,
            hydrostatic=True,
            rng=generator,
            **settings,
        )

    def step(self, temperature_K: float) -> None:
        if temperature_K != self._dynamics.temperature_K:
            self._dynamics.set_temperature(temperature_K)
        self._dynamics.step()

    def state(self) -> dict[str, Floats]:
        return {name: np.asarray(getattr(self._dynamics, name), dtype=float) for name in self._names}

    def restore(self, state: Mapping[str, Floats]) -> None:
        for name in self._names:
            setattr(self._dynamics, name, float(state[name]))


class _NoseHoover:
    # ASE keeps these private and offers neither a temperature that changes nor a restart
    _THERMOSTAT = ("_eta", "_p_eta")
    _BAROSTAT = ("_xi", "_p_xi")
    _CELL = ("_cell0", "_volume0", "_eps", "_p_eps")

    def __init__(self, segment: Segment, atoms: Atoms, timestep_fs: float) -> None:
        self._atoms = atoms
        self._npt = segment.ensemble == "npt"
        chain = {
            "temperature_K": segment.start_K,
            "tdamp": segment.thermostat_time_ps * ASE_TIME_PER_PS,
        }
        step = timestep_fs * ASE_TIME_PER_FS
        if self._npt:
            self._dynamics = IsotropicMTKNPT(
                atoms,
                step,
                pressure_au=(segment.pressure_GPa or 0.0) * EV_PER_A3_PER_GPA,
                pdamp=segment.barostat_time_ps * ASE_TIME_PER_PS,
                **chain,
            )
        else:
            self._dynamics = NoseHooverChainNVT(atoms, step, **chain)

    def step(self, temperature_K: float) -> None:
        kT = BOLTZMANN_EV_PER_K * temperature_K
        n = len(self._atoms)
        # ASE's chain drives sum p²/m to 3 N kT; with the centre of mass at rest it must be 3 (N − 1) kT
        self._dynamics._thermostat._kT = kT * (n - 1) / n
        if self._npt:
            self._dynamics._barostat._kT = kT
        self._dynamics.step()

    def _parts(self) -> list[tuple[Any, str]]:
        parts = [(self._dynamics._thermostat, name) for name in self._THERMOSTAT]
        if self._npt:
            parts += [(self._dynamics._barostat, name) for name in self._BAROSTAT]
            parts += [(self._dynamics, name) for name in self._CELL]
        return parts

    def state(self) -> dict[str, Floats]:
        return {name.strip("_"): np.array(getattr(owner, name), dtype=float) for owner, name in self._parts()}

    def restore(self, state: Mapping[str, Floats]) -> None:
        for owner, name in self._parts():
            value = np.array(state[name.strip("_")], dtype=float)
            setattr(owner, name, value if value.ndim else float(value))


def _piston_mass(n_atoms: int, temperature_K: float, period: float) -> float:
    """W = 3 (N + 1) kT τ², in ASE units: the piston's thermal speed is then a strain of 1/sqrt(3N) per τ."""
    return 3 * (n_atoms + 1) * BOLTZMANN_EV_PER_K * temperature_K * period**2
