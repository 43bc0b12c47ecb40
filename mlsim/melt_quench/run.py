"""Run a schedule: melt, quench, hold; stop and go on anywhere with the same bits."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.optimize import FIRE
from numpy.typing import NDArray

from mlsim.errors import DataError, Interrupted, NotConverged
from mlsim.melt_quench.checkpoint import (
    FILE_NAME,
    Checkpoint,
    check_settings,
    read_checkpoint,
    write_checkpoint,
    write_stopped,
)
from mlsim.melt_quench.forces import HeldForces
from mlsim.melt_quench.frames import Frame, FrameRecorder
from mlsim.melt_quench.glass import Glass, ThermoLog
from mlsim.melt_quench.guards import Guards, Limits, warn_of_thin_cell
from mlsim.melt_quench.integrators import Integrator, bring_to_rest, draw_momenta, integrator_of
from mlsim.melt_quench.memory import ElementMemory, melt_memory
from mlsim.melt_quench.schedule import Schedule
from mlsim.melt_quench.start import check_start, frame_is_due, frame_stride, start_sha256
from mlsim.progress import Progress, SilentProgress, StopRequest
from mlsim.units import BOLTZMANN_EV_PER_K, GPA_PER_EV_A3

__all__ = ["CHECKPOINT_GRID", "Resumable", "run_schedule", "run_to_end"]

Floats = NDArray[np.float64]

CHECKPOINT_GRID = 20
"""Checkpoints are written only at multiples of this step, where the potential starts afresh (`HeldForces`)."""

_RELAXED_EV_A = 1.0
_STREAM = 1  # packing draws from stream 0 of the same seed
_LOG_COLUMNS = 7  # as in ThermoLog


def run_schedule(
    atoms: Atoms,
    schedule: Schedule,
    calculator: Any,
    *,
    directory: Path,
    seed: int,
    potential_sha256: str,
    recorder: FrameRecorder | None = None,
    frame_interval_ps: float | None = None,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
    checkpoint_interval_s: float = 30.0,
    limits: Limits | None = None,
) -> Glass:
    """Return what a schedule makes of a structure; goes on from `directory/checkpoint.npz` if that is there.

    Initial velocities are drawn from the Maxwell-Boltzmann distribution of the first temperature. The target
    temperature follows a ramp at every step. A run that was killed at any moment and is started again gives the same
    bits as one that was not, on the same machine.

    Parameters
    ----------
    atoms
        Start, periodic in three directions; not changed.
    schedule
        What to do.
    calculator
        ASE calculator with energy, forces and stress.
    directory
        Where the checkpoint lives; made if missing. One run, one folder.
    seed
        For velocities and thermostat, not negative.
    potential_sha256
        Identity of the potential; a checkpoint of another one is refused.
    recorder, frame_interval_ps
        Who takes frames, and the time between two, a multiple of the time step; both or none. Only segments with
        `record` give frames, the first one at their start.
    progress
        Told after each step how many of all steps are done.
    stop
        Looked at every 20 steps.
    checkpoint_interval_s
        Shortest time between two checkpoints, s.
    limits
        When a committee of potentials disagrees too much, and when a glass counts as crystallised; none by default.
        They may change from one start of a run to the next.

    Raises
    ------
    SettingsError
        If the input is impossible, or the checkpoint was made with other settings (the message lists them).
    DataError
        If the checkpoint is damaged or cannot be written.
    NotConverged
        If a guard sees the run go wrong (`mlsim.melt_quench.guards`); the last checkpoint stays, and the structure
        that it did not like lies in `directory/stopped.extxyz`.
    Interrupted
        If asked to stop; the checkpoint is written.

    Warns
    -----
    UserWarning
        If the cell is thinner than twice the cut-off (`cutoff_A` or `r_max` of the calculator), and by `limits`.
    """
    run = _Run(atoms, schedule, calculator, Path(directory), seed, potential_sha256, recorder, frame_interval_ps)
    run.guards.limits = limits if limits is not None else Limits()
    run.begin_or_resume()
    run_to_end(run, schedule.n_steps, progress, stop, checkpoint_interval_s)
    return run.glass()


class Resumable(Protocol):
    """A run between two steps, as `run_to_end` sees it."""

    step: int
    saved: bool
    directory: Path

    @property
    def title(self) -> str:
        """What the current segment is called."""

    def advance(self) -> None:
        """Do one time step."""

    def before_checkpoint(self) -> None:
        """Make what follows depend on nothing that a checkpoint does not hold."""

    def save(self) -> None:
        """Write a checkpoint."""


def run_to_end(
    run: Resumable, n_steps: int, progress: Progress | None, stop: StopRequest | None, checkpoint_interval_s: float
) -> None:
    """Advance to step `n_steps`, writing checkpoints; Interrupted, with a checkpoint written, when asked to stop."""
    tell = progress if progress is not None else SilentProgress()
    written = time.monotonic()
    while run.step < n_steps:
        run.advance()
        tell(run.title, run.step, n_steps)
        if run.step % CHECKPOINT_GRID or run.step == n_steps:
            continue
        run.before_checkpoint()
        if stop:
            run.save()
            raise Interrupted(
                f"{run.directory}: stopped at step {run.step} of {n_steps} ({run.title}); "
                "the same command goes on from there"
            )
        if time.monotonic() - written >= checkpoint_interval_s:
            run.save()
            written = time.monotonic()
    if not run.saved:
        run.save()


class _Run:
    """State of a run between two steps, and the moves between states."""

    def __init__(
        self,
        atoms: Atoms,
        schedule: Schedule,
        calculator: Any,
        directory: Path,
        seed: int,
        potential_sha256: str,
        recorder: FrameRecorder | None,
        frame_interval_ps: float | None,
    ) -> None:
        check_start(atoms, seed)
        self.schedule = schedule
        self.directory = directory
        self.step = 0
        self.saved = False
        self._start = atoms
        self._seed = seed
        self._potential_sha256 = potential_sha256
        self._recorder = recorder
        self._frame_stride = frame_stride(frame_interval_ps, schedule.timestep_fs, recorder)
        self._log_stride = max(1, round(schedule.log_interval_ps * 1e3 / schedule.timestep_fs))
        self._settings = {
            "schedule": schedule.model_dump(mode="json"),
            "seed": seed,
            "potential_sha256": potential_sha256,
            "start_sha256": start_sha256(atoms),
            "frame_interval_ps": frame_interval_ps,
        }
        self._ends = np.cumsum(schedule.segment_steps)
        self._recorded = [segment.record for segment in schedule.segments]
        self._log = np.full((schedule.n_steps // self._log_stride + 1, _LOG_COLUMNS), np.nan)
        self._rows = 0
        self._melt_memory: dict[str, ElementMemory] = {}
        self.held = HeldForces(calculator)
        self.atoms = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
        self.atoms.set_masses(atoms.get_masses())
        self.atoms.calc = self.held
        warn_of_thin_cell(atoms, calculator)
        self.guards = Guards(self.atoms, schedule.timestep_fs, directory)
        self._generator = np.random.default_rng([seed, _STREAM])
        self._integrator: Integrator | None = None

    @property
    def title(self) -> str:
        """Title of the segment that led to the current step."""
        return self.schedule.segments[self._segment_before()].title

    def begin_or_resume(self) -> None:
        """Take up the checkpoint, or relax the start and draw velocities."""
        checkpoint = read_checkpoint(self.directory)
        if checkpoint is not None:
            check_settings(self.directory, checkpoint.settings, self._settings)
            self._restore(checkpoint)
            if self.step < self.schedule.n_steps:
                self.held.warm_up(self.atoms)
            return
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.directory}: cannot make this folder ({error.strerror})") from None
        if self._recorder is not None:
            self._recorder.rewind(0)
        self.held.warm_up(self.atoms)
        if self.schedule.relax_steps:
            FIRE(self.atoms, logfile=None).run(fmax=_RELAXED_EV_A, steps=self.schedule.relax_steps)
            self.held.start_afresh()
        temperature = self.schedule.segments[0].start_K
        draw_momenta(self.atoms, temperature, self._generator)
        self.atoms.get_potential_energy()
        self._observe(temperature)

    def advance(self) -> None:
        """Do one time step, look at the result and note it."""
        index = int(np.searchsorted(self._ends, self.step, side="right"))
        segment, n_steps = self.schedule.segments[index], self.schedule.segment_steps[index]
        first = int(self._ends[index]) - n_steps
        if self._integrator is None or self.step == first:
            if segment.thermostat == "nose_hoover":
                bring_to_rest(self.atoms)
            self._integrator = integrator_of(segment, self.atoms, self.schedule.timestep_fs, self._generator)
        target = segment.temperature_at((self.step - first + 1) / n_steps)
        self._integrator.step(target)
        self.step += 1
        self.saved = False
        if self.step == self._melt_end():
            self._melt_memory = dict(melt_memory(self._start, self.atoms))
        self._observe(target)

    def before_checkpoint(self) -> None:
        """Let the potential start afresh: every grid step, whether a checkpoint is written there or not."""
        self.held.start_afresh()

    def save(self) -> None:
        """Make frames durable, then write the checkpoint that counts them."""
        n_frames = self._recorder.commit() if self._recorder is not None else 0
        arrays: dict[str, NDArray[Any]] = {
            "positions": self.atoms.positions,
            "momenta": self.atoms.get_momenta(),
            "cell": np.asarray(self.atoms.cell),
            "log": self._log[: self._rows],
            "hot_steps": np.asarray(self.guards.hot_steps),
        }
        arrays |= {f"held.{name}": value for name, value in self.held.state().items()}
        if self._integrator is not None and self.step not in self._ends:  # a new segment starts a new integrator
            arrays |= {f"integrator.{name}": value for name, value in self._integrator.state().items()}
        memory = {element: asdict(value) for element, value in self._melt_memory.items()}
        checkpoint = Checkpoint(
            self._settings, self.step, n_frames, self._generator.bit_generator.state, memory, arrays
        )
        write_checkpoint(self.directory, checkpoint)
        self.saved = True

    def glass(self) -> Glass:
        """Return the current state as a glass."""
        atoms = self.atoms.copy()
        atoms.calc = None
        atoms.wrap()
        log = ThermoLog.of_rows(self._log[: self._rows])
        return Glass(atoms, self.schedule, self._potential_sha256, self._seed, log, dict(self._melt_memory))

    def _restore(self, checkpoint: Checkpoint) -> None:
        arrays = checkpoint.arrays
        try:
            self.atoms.set_cell(arrays["cell"])
            self.atoms.positions[:] = arrays["positions"]
            self.atoms.set_momenta(arrays["momenta"])
            self.held.restore(self.atoms, {k[5:]: v for k, v in arrays.items() if k.startswith("held.")})
            self.guards.hot_steps = int(arrays["hot_steps"])
            self._rows = len(arrays["log"])
            self._log[: self._rows, : arrays["log"].shape[1]] = arrays["log"]
            self._generator.bit_generator.state = checkpoint.generator
            self.step = checkpoint.step
            self._melt_memory = {e: ElementMemory(**values) for e, values in checkpoint.melt_memory.items()}
            if self.step < self.schedule.n_steps and self.step not in self._ends and self.step > 0:
                segment = self.schedule.segments[self._segment_before()]
                self._integrator = integrator_of(segment, self.atoms, self.schedule.timestep_fs, self._generator)
                self._integrator.restore({k[11:]: v for k, v in arrays.items() if k.startswith("integrator.")})
        except (KeyError, ValueError, TypeError) as error:
            path = self.directory / FILE_NAME
            raise DataError(f"{path}: damaged ({error}); delete it to start this run from its beginning") from None
        if self._recorder is not None:
            self._recorder.rewind(checkpoint.n_frames)
        self.saved = True

    def _observe(self, target_K: float) -> None:
        """Guard, log and record the current step."""
        kinetic = float(self.atoms.get_kinetic_energy())
        segment = self.schedule.segments[self._segment_before()]
        resting = 1 if segment.thermostat == "nose_hoover" or self.step == 0 else 0
        temperature = 2 * kinetic / (3 * max(1, len(self.atoms) - resting) * BOLTZMANN_EV_PER_K)
        complaint = self.guards.complaint(self.atoms, self.held, self.step, temperature, target_K)
        if complaint:
            write_stopped(self.directory, self.atoms)
            raise NotConverged(
                f"{self.directory}: {segment.title}, step {self.step}: {complaint}; the last checkpoint stays"
            )
        log_due = self.step % self._log_stride == 0
        frame_due = self._frame_stride > 0 and frame_is_due(self._recorded, self._ends, self.step, self._frame_stride)
        if not (log_due or frame_due):
            return
        deviation, _ = self.held.committee_deviation
        volume = float(self.atoms.get_volume())
        pressure = (2 * kinetic / volume - float(self.held.stress[:3].sum())) / 3 * GPA_PER_EV_A3
        time_ps = self.step * self.schedule.timestep_fs * 1e-3
        if log_due:
            row = (time_ps, temperature, self.held.energy, pressure, volume, self._segment_before(), deviation)
            self._log[self._rows] = row
            self._rows += 1
        if frame_due and self._recorder is not None:
            positions, cell = self.atoms.positions.copy(), np.array(self.atoms.cell)
            energy = self.held.energy
            self._recorder.append(Frame(self.step, time_ps, positions, cell, temperature, energy, pressure, deviation))

    def _segment_before(self) -> int:
        """Index of the segment that led to the current step (the first one at step 0)."""
        return int(np.searchsorted(self._ends, self.step, side="left"))

    def _melt_end(self) -> int:
        ends = [s.end_K for s in self.schedule.segments]
        hottest = max(i for i, end in enumerate(ends) if end == max(ends))
        return int(self._ends[hottest])
