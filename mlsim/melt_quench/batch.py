"""Replicas that move together, with one force call for all: structures and temperatures batched on one GPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.errors import DataError, NotConverged, SettingsError
from mlsim.melt_quench.checkpoint import (
    FILE_NAME,
    Checkpoint,
    check_settings,
    read_checkpoint,
    write_checkpoint,
    write_stopped,
)
from mlsim.melt_quench.frames import Frame, FrameRecorder
from mlsim.melt_quench.glass import Glass, ThermoLog
from mlsim.melt_quench.guards import OVERLAP_EVERY, Guards
from mlsim.melt_quench.integrators import bring_to_rest, draw_momenta
from mlsim.melt_quench.run import run_to_end
from mlsim.melt_quench.schedule import Schedule, Segment
from mlsim.melt_quench.start import check_start, frame_is_due, frame_stride, start_sha256
from mlsim.progress import Progress, StopRequest
from mlsim.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_A3

__all__ = ["BatchDynamics", "Moment", "Replica", "run_batch"]

Floats = NDArray[np.float64]

_STREAM = 1  # as in a single run
_LOG_COLUMNS = 6  # as in ThermoLog, without a committee


@dataclass(frozen=True, eq=False)
class Replica:
    """One structure of a batch.

    Attributes
    ----------
    name
        Its folder inside that of the batch.
    atoms
        Start, periodic in three directions; not changed.
    schedule
        At constant volume throughout. All replicas have the same time step and segments, but for the temperatures.
    """

    name: str
    atoms: Atoms
    schedule: Schedule


@dataclass(frozen=True, eq=False)
class Moment:
    """All replicas between two steps, copies, one replica after the other.

    Attributes
    ----------
    positions, momenta
        Å, unwrapped, and ASE's units, shape (atom of all replicas, 3).
    energies_eV
        Potential energies, eV, shape (replica,).
    stresses_eV_A3
        Without the kinetic part, ASE's sign, eV/Å3, shape (replica, 3, 3).
    """

    positions: Floats
    momenta: Floats
    energies_eV: Floats
    stresses_eV_A3: Floats


class BatchDynamics(Protocol):
    """Integrates all replicas at constant volume; what runs it is not known here."""

    def begin(self, segment: Segment, timestep_fs: float, temperatures_K: Floats, moment: Moment | None) -> None:
        """Start a segment with a thermostat at rest; positions and momenta are those of `moment`, or stay."""

    def step(self, temperatures_K: Floats) -> None:
        """Advance by one time step, each replica at its target temperature, K, shape (replica,)."""

    def moment(self) -> Moment:
        """Return copies of the current state."""

    def state(self) -> dict[str, NDArray[Any]]:
        """Return everything that the next step depends on."""

    def restore(self, segment: Segment, timestep_fs: float, state: Mapping[str, NDArray[Any]]) -> None:
        """Take back what `state` returned during that segment."""


def run_batch(
    replicas: Sequence[Replica],
    dynamics: BatchDynamics,
    *,
    directory: Path,
    seed: int,
    potential_sha256: str,
    recorders: Sequence[FrameRecorder],
    frame_interval_ps: float,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
    checkpoint_interval_s: float = 30.0,
) -> list[Glass]:
    """Return what the schedules make of the replicas; goes on from `directory/checkpoint.npz` if that is there.

    Parameters
    ----------
    replicas
        With different names; of any sizes and compositions.
    dynamics
        Made for the atoms of these replicas, in this order.
    directory
        Where the one checkpoint of the batch lives; made if missing.
    seed
        For velocities and thermostat, not negative.
    potential_sha256
        Identity of the potential; a checkpoint of another one is refused.
    recorders, frame_interval_ps
        Who takes the frames of each replica, and the time between two, a multiple of the time step.
    progress, stop, checkpoint_interval_s
        As in `run_schedule`.

    Raises
    ------
    SettingsError, DataError, Interrupted
        As in `run_schedule`; SettingsError also when the replicas cannot move together.
    NotConverged
        If a guard sees a replica go wrong; the message names it, its structure lies in its folder's `stopped.extxyz`.

    Notes
    -----
    Replicas draw from one stream of random numbers: a replica repeats its path only among the same companions.
    Guards look every 20 steps. No steps of minimisation and no constant pressure.
    """
    batch = _Batch(replicas, dynamics, Path(directory), seed, potential_sha256, recorders, frame_interval_ps)
    batch.begin_or_resume()
    run_to_end(batch, batch.n_steps, progress, stop, checkpoint_interval_s)
    return batch.glasses()


class _Held:
    """What a guard asks of the forces: of a batch, energies and stresses of one replica."""

    committee_deviation = (float("nan"), 0)

    def __init__(self, energy_eV: float, stress_eV_A3: Floats, forces_finite: bool) -> None:
        self.energy = energy_eV
        self.finite = forces_finite and bool(np.isfinite(energy_eV)) and bool(np.isfinite(stress_eV_A3).all())


class _Batch:
    """State of a batch between two steps."""

    def __init__(
        self,
        replicas: Sequence[Replica],
        dynamics: BatchDynamics,
        directory: Path,
        seed: int,
        potential_sha256: str,
        recorders: Sequence[FrameRecorder],
        frame_interval_ps: float,
    ) -> None:
        _check_replicas(replicas, recorders, seed)
        self.directory = directory
        self.step = 0
        self.saved = False
        self._replicas = list(replicas)
        self._recorders = list(recorders)
        self._dynamics = dynamics
        self._seed = seed
        self._potential_sha256 = potential_sha256
        first = replicas[0].schedule
        self._timestep_fs = first.timestep_fs
        self.n_steps = first.n_steps
        self._segments = [[replica.schedule.segments[k] for replica in replicas] for k in range(len(first.segments))]
        self._ends = np.cumsum(first.segment_steps)
        self._recorded = [segment.record for segment in first.segments]
        self._frame_stride = frame_stride(frame_interval_ps, first.timestep_fs, recorders[0])
        self._log_stride = max(1, round(first.log_interval_ps * 1e3 / first.timestep_fs))
        self._settings = {
            "replicas": {
                replica.name: {
                    "schedule": replica.schedule.model_dump(mode="json"),
                    "start_sha256": start_sha256(replica.atoms),
                }
                for replica in replicas
            },
            "order": [replica.name for replica in replicas],
            "seed": seed,
            "potential_sha256": potential_sha256,
            "frame_interval_ps": frame_interval_ps,
        }
        self._atoms = [
            Atoms(r.atoms.numbers, positions=r.atoms.positions, cell=r.atoms.cell, pbc=True) for r in replicas
        ]
        for mine, replica in zip(self._atoms, replicas, strict=True):
            mine.set_masses(replica.atoms.get_masses())
        self._bounds = np.cumsum([0, *map(len, self._atoms)])
        self._guards = [
            Guards(atoms, OVERLAP_EVERY * self._timestep_fs, directory / replica.name)
            for atoms, replica in zip(self._atoms, replicas, strict=True)
        ]
        self._log = np.full((self.n_steps // self._log_stride + 1, len(replicas), _LOG_COLUMNS), np.nan)
        self._rows = 0

    @property
    def title(self) -> str:
        """What the segment that led to the current step is called."""
        segments = self._segments[self._segment_before()]
        temperatures = sorted({segment.end_K for segment in segments})
        span = f"{temperatures[0]:g}" if len(temperatures) == 1 else f"{temperatures[0]:g} to {temperatures[-1]:g}"
        return f"{segments[0].name or segments[0].kind} {span} K, {len(self._replicas)} replicas"

    def begin_or_resume(self) -> None:
        """Take up the checkpoint, or draw velocities."""
        checkpoint = read_checkpoint(self.directory)
        if checkpoint is not None:
            check_settings(self.directory, checkpoint.settings, self._settings)
            self._restore(checkpoint)
            return
        try:
            for replica in self._replicas:
                (self.directory / replica.name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{error.filename}: cannot make this folder ({error.strerror})") from None
        for recorder in self._recorders:
            recorder.rewind(0)
        for number, (atoms, segment) in enumerate(zip(self._atoms, self._segments[0], strict=True)):
            draw_momenta(atoms, segment.start_K, np.random.default_rng([self._seed, _STREAM, number]))
        n = len(self._replicas)
        moment = Moment(
            np.concatenate([atoms.positions for atoms in self._atoms]),
            np.concatenate([atoms.get_momenta() for atoms in self._atoms]),
            np.zeros(n),
            np.zeros((n, 3, 3)),
        )
        self._dynamics.begin(self._segments[0][0], self._timestep_fs, self._starts(0), moment)
        self._observe(self._starts(0))

    def advance(self) -> None:
        """Do one time step of all replicas, look at the result and note it."""
        index = int(np.searchsorted(self._ends, self.step, side="right"))
        segments = self._segments[index]
        begin = int(self._ends[index - 1]) if index else 0
        if self.step == begin and index:
            self._dynamics.begin(segments[0], self._timestep_fs, self._starts(index), self._at_rest(segments[0]))
        fraction = (self.step - begin + 1) / (int(self._ends[index]) - begin)
        targets = np.array([segment.temperature_at(fraction) for segment in segments])
        self._dynamics.step(targets)
        self.step += 1
        self.saved = False
        self._observe(targets)

    def before_checkpoint(self) -> None:
        """Do nothing: the model builds its neighbour lists anew at every step."""

    def save(self) -> None:
        """Make the frames of all replicas durable, then write the checkpoint that counts them."""
        n_frames = {recorder.commit() for recorder in self._recorders}
        arrays: dict[str, NDArray[Any]] = {
            "log": self._log[: self._rows],
            "hot_steps": np.array([guards.hot_steps for guards in self._guards]),
        }
        arrays |= {f"dynamics.{name}": value for name, value in self._dynamics.state().items()}
        write_checkpoint(self.directory, Checkpoint(self._settings, self.step, max(n_frames), {}, {}, arrays))
        self.saved = True

    def glasses(self) -> list[Glass]:
        """Return the replicas as they are now."""
        self._take(self._dynamics.moment())
        found = []
        for number, (replica, atoms) in enumerate(zip(self._replicas, self._atoms, strict=True)):
            final = atoms.copy()
            final.wrap()
            log = ThermoLog.of_rows(self._log[: self._rows, number])
            found.append(Glass(final, replica.schedule, self._potential_sha256, self._seed, log))
        return found

    def _restore(self, checkpoint: Checkpoint) -> None:
        arrays = checkpoint.arrays
        try:
            self.step = checkpoint.step
            self._rows = len(arrays["log"])
            self._log[: self._rows] = arrays["log"]
            for guards, hot_steps in zip(self._guards, arrays["hot_steps"], strict=True):
                guards.hot_steps = int(hot_steps)
            state = {name[9:]: value for name, value in arrays.items() if name.startswith("dynamics.")}
            self._dynamics.restore(self._segments[self._segment_before()][0], self._timestep_fs, state)
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            path = self.directory / FILE_NAME
            raise DataError(f"{path}: damaged ({error}); delete it to start this batch from its beginning") from None
        for recorder in self._recorders:
            recorder.rewind(checkpoint.n_frames)
        self.saved = True

    def _at_rest(self, segment: Segment) -> Moment | None:
        """Under Nosé-Hoover the centre of mass of each replica must rest; None where nothing changes."""
        if segment.thermostat != "nose_hoover":
            return None
        moment = self._dynamics.moment()
        self._take(moment)
        for atoms in self._atoms:
            bring_to_rest(atoms)
        momenta = np.concatenate([atoms.get_momenta() for atoms in self._atoms])
        return Moment(moment.positions, momenta, moment.energies_eV, moment.stresses_eV_A3)

    def _observe(self, targets_K: Floats) -> None:
        """Guard, log and record the current step; the state is asked for only when one of them is due."""
        log_due = self.step % self._log_stride == 0
        frame_due = frame_is_due(self._recorded, self._ends, self.step, self._frame_stride)
        guard_due = self.step % OVERLAP_EVERY == 0 or self.step == self.n_steps
        if not (log_due or frame_due or guard_due):
            return
        moment = self._dynamics.moment()
        self._take(moment)
        guard_due = guard_due or not np.isfinite(moment.positions).all()
        index = self._segment_before()
        resting = 1 if self._segments[index][0].thermostat == "nose_hoover" or self.step == 0 else 0
        time_ps = self.step * self._timestep_fs * 1e-3
        for number, atoms in enumerate(self._atoms):
            kinetic = float(atoms.get_kinetic_energy())
            temperature = 2 * kinetic / (3 * max(1, len(atoms) - resting) * BOLTZMANN_EV_PER_K)
            energy, stress = float(moment.energies_eV[number]), moment.stresses_eV_A3[number]
            if guard_due:
                finite = bool(np.isfinite(atoms.positions).all())
                self._guard(number, _Held(energy, stress, finite), temperature, float(targets_K[number]))
            volume = float(atoms.get_volume())
            pressure = (2 * kinetic / volume - float(np.trace(stress))) / 3 * GPA_PER_EV_A3
            if log_due:
                self._log[self._rows, number] = time_ps, temperature, energy, pressure, volume, index
            if frame_due:
                positions, cell = atoms.positions.copy(), np.array(atoms.cell)
                frame = Frame(self.step, time_ps, positions, cell, temperature, energy, pressure)
                self._recorders[number].append(frame)
        self._rows += log_due

    def _guard(self, number: int, held: _Held, temperature_K: float, target_K: float) -> None:
        atoms, replica = self._atoms[number], self._replicas[number]
        complaint = self._guards[number].complaint(atoms, held, self.step, temperature_K, target_K)
        if complaint:
            folder = self.directory / replica.name
            write_stopped(folder, atoms)
            raise NotConverged(
                f"{folder}: {self.title}, step {self.step}: {complaint}; the last checkpoint of the batch stays"
            )

    def _take(self, moment: Moment) -> None:
        """Put the state of each replica into its atoms."""
        for atoms, first, last in zip(self._atoms, self._bounds, self._bounds[1:], strict=False):
            atoms.positions[:] = moment.positions[first:last]
            atoms.set_momenta(moment.momenta[first:last])

    def _starts(self, index: int) -> Floats:
        return np.array([segment.start_K for segment in self._segments[index]])

    def _segment_before(self) -> int:
        """Index of the segment that led to the current step (the first one at step 0)."""
        return int(np.searchsorted(self._ends, self.step, side="left"))


def _check_replicas(replicas: Sequence[Replica], recorders: Sequence[FrameRecorder], seed: int) -> None:
    if not replicas:
        raise SettingsError("batch: has no replicas")
    if len(recorders) != len(replicas):
        raise SettingsError(f"batch: {len(recorders)} recorders for {len(replicas)} replicas, expected one for each")
    names = [replica.name for replica in replicas]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SettingsError(f"batch: two replicas are called '{twice}'; each needs a folder of its own")
    first = _shape_of(replicas[0].schedule)
    for replica in replicas:
        check_start(replica.atoms, seed)
        schedule = replica.schedule
        if schedule.relax_steps or any(segment.ensemble != "nvt" for segment in schedule.segments):
            raise SettingsError(
                f"batch: {replica.name}: its schedule relaxes or has constant pressure; batches run at constant volume"
            )
        if _shape_of(schedule) != first:
            raise SettingsError(
                f"batch: {replica.name}: its schedule differs from that of {names[0]} in more than temperatures"
            )


def _shape_of(schedule: Schedule) -> tuple[Any, ...]:
    """All that replicas of a batch must share."""
    kept = [(s.thermostat, s.thermostat_time_ps, s.record) for s in schedule.segments]
    return schedule.timestep_fs, schedule.log_interval_ps, schedule.segment_steps, tuple(kept)
