"""Replicas batched on one GPU (or CPU) by torch-sim: one call of the MACE model moves all of them.

torch-sim's integrators, with momenta, chains and forces of all replicas on the device:

===========  =====================================================================================
langevin     BAOAB (doi:10.1098/rspa.2016.0138)
nose_hoover  chain of three, 3 N − 3 degrees of freedom (doi:10.1080/00268979600100761)
===========  =====================================================================================
"""

from __future__ import annotations

import importlib.util
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import SettingsError
from mlsim.melt_quench.batch import Moment
from mlsim.melt_quench.schedule import Segment
from mlsim.potential.library import describe
from mlsim.units import ASE_TIME_PER_FS, ASE_TIME_PER_PS, BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["TorchSimDynamics", "require_torch_sim", "torch_sim_model"]

Floats = NDArray[np.float64]

_CHAIN = ("positions", "momenta", "masses", "kinetic_energy")
_CHAIN_LENGTH = _CHAIN_STEPS = _SUZUKI_YOSHIDA = 3


def require_torch_sim() -> None:
    """Raise SettingsError, with the way to get it, where torch-sim is not installed."""
    if importlib.util.find_spec("torch_sim") is not None:
        return
    version = ".".join(map(str, sys.version_info[:2]))
    python = "" if sys.version_info >= (3, 12) else f"Python 3.12 or newer (this is {version}) and "
    raise SettingsError(f"batches need {python}torch-sim: pip install 'mlsim[batch]'; `mlsim md` runs one at a time")


def torch_sim_model(
    potential: str | Path, *, device: str | None = None, dtype: Literal["float32", "float64"] = "float32"
) -> Any:
    """Return a MACE potential as a model of torch-sim.

    Parameters
    ----------
    potential
        Name of a shipped potential or a MACE model file.
    device
        ``cuda`` or ``cpu``; a GPU where there is one.
    dtype
        Precision of the model.

    Raises
    ------
    SettingsError
        If torch-sim is not installed, the device is not there, or a committee or a compiled file is named. Of a shipped
        committee the leader runs alone.
    """
    require_torch_sim()
    info = describe(potential)
    if info.committee is not None and info.committee == Path(potential):
        raise SettingsError(
            f"potential '{info.name}': a batch runs one model and would never ask a committee; name its leader, "
            "or use `mlsim md`"
        )
    if info.path.suffix == ".npz":
        raise SettingsError(f"potential '{info.name}': a compiled file holds no model for a batch; name its source")
    os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch, warp and e3nn warn about each other's internals on import
        import torch
        from mace.calculators.mace_torchsim import MaceTorchSimModel

        where = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if where == "cuda" and not torch.cuda.is_available():
            raise SettingsError(f"potential '{info.name}': device cuda asked for, but torch sees no GPU; use cpu")
        # NVIDIA's kernels for equivariant models, where they are installed; they change speed, not results
        fast = where == "cuda" and importlib.util.find_spec("cuequivariance_torch") is not None
        return MaceTorchSimModel(info.path, torch.device(where), getattr(torch, dtype), enable_cueq=fast)


class TorchSimDynamics:
    """All replicas on one device; a `mlsim.melt_quench.batch.BatchDynamics`.

    Parameters
    ----------
    replicas
        Structures, in the order of the batch.
    model
        From `torch_sim_model`; any model of torch-sim that gives energy, forces and stress. Positions and momenta are
        float64, whatever its precision.
    seed
        Of the random numbers of the thermostat, not negative.

    Notes
    -----
    On a CPU the same state gives the same bits. A GPU adds forces in no fixed order: a run that goes on from a
    checkpoint has exactly its state, and then drifts apart from an undisturbed one as two runs there always do.
    """

    def __init__(self, replicas: Sequence[Atoms], model: Any, *, seed: int = 1) -> None:
        require_torch_sim()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torch
            import torch_sim

        self._torch, self._ts = torch, torch_sim
        self._model = _Model(model)
        self._start = torch_sim.io.atoms_to_state(list(replicas), model.device, torch.float64)
        self._generator = torch.Generator(device=model.device).manual_seed(seed)
        self._state: Any = None
        self._segment: Segment | None = None
        self._dt = 0.0
        self._friction = 0.0
        self._warm = False

    def begin(self, segment: Segment, timestep_fs: float, temperatures_K: Floats, moment: Moment | None) -> None:
        """Start a segment with a thermostat at rest; positions and momenta are those of `moment`, or stay."""
        positions = self._state.positions if moment is None else self._tensor(moment.positions)
        momenta = self._state.momenta if moment is None else self._tensor(moment.momenta)
        start = self._start.clone()
        start.positions = positions
        self._warm_up(start)
        answer = self._model(start)
        self._set(segment, timestep_fs, start, momenta, answer["energy"], answer["forces"])
        if segment.thermostat == "nose_hoover":
            state = self._state
            kinetic = self._ts.calc_kinetic_energy(
                masses=state.masses, momenta=state.momenta, system_idx=state.system_idx
            )
            freedom = state.get_number_of_degrees_of_freedom()
            state.chain = state._chain_fns.initialize(freedom, kinetic, self._kT(temperatures_K))

    def step(self, temperatures_K: Floats) -> None:
        """Advance by one time step, each replica at its target temperature, K, shape (replica,)."""
        kT = self._kT(temperatures_K)
        try:
            if self._segment is not None and self._segment.thermostat == "nose_hoover":
                step = self._ts.integrators.nvt_nose_hoover_step
                self._state = step(self._state, self._model, dt=self._tensor(self._dt), kT=kT)
            else:
                step = self._ts.integrators.nvt_langevin_step
                friction = self._tensor(self._friction)
                self._state = step(self._state, self._model, dt=self._tensor(self._dt), kT=kT, gamma=friction)
        except self._torch.OutOfMemoryError:
            n_atoms, n = int(self._state.n_atoms), int(self._state.n_systems)
            raise SettingsError(
                f"batch: {n} replicas with {n_atoms} atoms do not fit on the device; take fewer at a time"
            ) from None

    def moment(self) -> Moment:
        """Return copies of the current state."""
        state = self._state
        return Moment(*(_array(value) for value in (state.positions, state.momenta, state.energy, self._model.stress)))

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next step depends on."""
        state = self._state
        found = {name: _array(getattr(state, name)) for name in ("positions", "momenta", "energy", "forces")}
        found["stress"] = _array(self._model.stress)
        found["generator"] = np.array(self._generator.get_state().cpu().numpy())
        if hasattr(state, "chain"):
            found |= {f"chain.{name}": _array(getattr(state.chain, name)) for name in _CHAIN}
        return found

    def restore(self, segment: Segment, timestep_fs: float, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned during that segment."""
        start = self._start.clone()
        start.positions = self._tensor(state["positions"])
        self._warm_up(start)
        energy, forces, stress = (
            self._torch.as_tensor(state[name], device=self._start.device, dtype=self._model.dtype)
            for name in ("energy", "forces", "stress")
        )
        self._set(segment, timestep_fs, start, self._tensor(state["momenta"]), energy, forces)
        self._model.stress = stress
        if segment.thermostat == "nose_hoover":
            chain = self._state._chain_fns.initialize(
                self._state.get_number_of_degrees_of_freedom(),
                self._tensor(state["chain.kinetic_energy"]),
                self._tensor(np.ones(int(self._start.n_systems))),
            )
            for name in _CHAIN:
                setattr(chain, name, self._tensor(state[f"chain.{name}"]))
            self._state.chain = chain
        self._generator.set_state(self._torch.as_tensor(state["generator"], dtype=self._torch.uint8))

    def _set(self, segment: Segment, timestep_fs: float, start: Any, momenta: Any, energy: Any, forces: Any) -> None:
        """Make the state that torch-sim's integrators move."""
        from torch_sim.integrators.md import MDState, construct_nose_hoover_chain
        from torch_sim.integrators.nvt import NVTNoseHooverState

        self._segment = segment
        self._dt = timestep_fs * ASE_TIME_PER_FS
        tau = segment.thermostat_time_ps * ASE_TIME_PER_PS
        self._friction = 1 / tau
        common = {"momenta": momenta, "energy": energy, "forces": forces}
        if segment.thermostat == "nose_hoover":
            functions = construct_nose_hoover_chain(
                self._tensor(self._dt), _CHAIN_LENGTH, _CHAIN_STEPS, _SUZUKI_YOSHIDA, self._tensor(tau)
            )
            self._state = NVTNoseHooverState.from_state(start, chain=None, _chain_fns=functions, **common)
        else:
            self._state = MDState.from_state(start, **common)
        self._state.rng = self._generator

    def _warm_up(self, start: Any) -> None:
        """Ask the model twice and throw the answers away: TorchScript answers its first calls with other code."""
        if not self._warm:
            for _ in range(2):
                self._model(start)
            self._warm = True

    def _kT(self, temperatures_K: Floats) -> Any:
        return self._tensor(BOLTZMANN_EV_PER_K * np.asarray(temperatures_K))

    def _tensor(self, value: Any) -> Any:
        return self._torch.as_tensor(value, dtype=self._torch.float64, device=self._start.device)


class _Model:
    """A model as torch-sim's integrators call it; keeps the stress, which they drop."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.device, self.dtype = model.device, model.dtype
        self.stress: Any = None

    def __call__(self, state: Any) -> Any:
        answer = self._model(state)
        self.stress = answer["stress"]
        return answer


def _array(value: Any) -> NDArray[Any]:
    return np.array(value.detach().cpu().numpy(), dtype=float)
