"""The stages of one glass, each resumable: packed cell, melt and quench, molecular dynamics at each temperature.

Everything of a glass lies in `glass-NN/`: `packed.extxyz`, `quench/`, `glass.extxyz` and `transport-<T>K/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from mlsim.composition import Composition
from mlsim.errors import Interrupted, SettingsError
from mlsim.io.structures import read_structure, write_structure
from mlsim.io.trajectories import MERGED_NAME, TrajectoryRecorder, read_trajectory
from mlsim.melt_quench import Glass, Schedule, hold_schedule, pack, run_schedule
from mlsim.progress import Progress, StopRequest
from mlsim.study.manifest import folder_lock
from mlsim.study.potentials import LoadedWhenNeeded, PotentialSource, committee_limits
from mlsim.study.settings import StudySettings, TransportSettings
from mlsim.trajectory import Trajectory
from mlsim.units import G_CM3_PER_U_A3

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "GlassTask",
    "finished_glass",
    "make_glass",
    "packed_cell",
    "structure_frames",
    "total_steps",
    "transport_trajectory",
]

_STRUCTURE_FRAMES: Final = 100  # of the last segment of the quench; the second half is analysed
_PACK, _QUENCH, _TRANSPORT = 0, 1, 2  # streams of random numbers; from the last on, one per mK
_CHECKPOINT_S: Final = 10.0
_WAIT_FOR_WORKER_S: Final = 60.0  # an orphan of a killed run ends within this time


@dataclass(frozen=True)
class GlassTask:
    """One glass of a study, number 1, 2, ..."""

    number: int
    settings: StudySettings
    directory: Path
    potential: PotentialSource

    @property
    def label(self) -> str:
        """Name for progress and messages."""
        return f"glass {self.number}"

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.directory / f"glass-{self.number:02d}"

    @property
    def log(self) -> Path:
        """Where its worker writes what libraries print."""
        return self.folder / "worker.log"

    @property
    def is_done(self) -> bool:
        """Whether all stages are done: a trajectory gets its final name when its run has ended."""
        transport = self.settings.transport
        folders = [] if transport is None else [self.transport_folder(t) for t in transport.temperatures_K]
        return all((folder / MERGED_NAME).exists() for folder in (self.folder / "quench", *folders))

    def seed(self, stream: int) -> int:
        """Return the seed of one stream of random numbers: independent for every glass and stage of a study."""
        sequence = np.random.SeedSequence([self.settings.seed, self.number, stream])
        return int(sequence.generate_state(1)[0])

    def transport_folder(self, temperature_K: float) -> Path:
        """Return where the trajectory at one temperature lies."""
        return self.folder / f"transport-{temperature_K:g}K"


def packed_cell(task: GlassTask) -> Atoms:
    """Return the random packing that a glass starts from."""
    glasses = task.settings.glasses
    return pack(
        Composition.parse(task.settings.composition),
        glasses.atoms,
        density_g_cm3=glasses.packing_density_g_cm3,
        seed=task.seed(_PACK),
    )


def total_steps(settings: StudySettings) -> int:
    """Return the time steps of one glass, all stages."""
    transport = settings.transport
    holds = [] if transport is None else [_transport_schedule(transport, t) for t in transport.temperatures_K]
    return settings.melt_quench.n_steps + sum(schedule.n_steps for schedule in holds)


def make_glass(task: GlassTask, progress: Progress, stop: StopRequest) -> None:
    """Do all stages of one glass that are not done yet; body of a worker."""
    with folder_lock(task.folder, wait_s=_WAIT_FOR_WORKER_S):
        stages = _Stages(task, progress, stop)
        glass = stages.quench()
        if task.settings.transport is not None:
            for temperature in task.settings.transport.temperatures_K:
                if stop:
                    raise Interrupted(f"{task.label}: stopped between two stages")
                stages.transport(glass, temperature)


class _Stages:
    """The stages of one glass in one worker: they share the calculator, loaded when first needed."""

    def __init__(self, task: GlassTask, progress: Progress, stop: StopRequest) -> None:
        self._task = task
        self._stop = stop
        self._progress = progress
        self._total = total_steps(task.settings)
        self._before = 0
        self._calculator = LoadedWhenNeeded(task.potential)

    def quench(self) -> Glass:
        """Melt and quench the packed cell, or return what was made before."""
        task, schedule = self._task, quench_schedule(self._task.settings)
        folder, interval = task.folder / "quench", structure_interval_ps(schedule)
        recorder = TrajectoryRecorder(folder, elements_of(task), interval, schedule.segments[-1].end_K)
        glass = self._run(read_structure(task.folder / "packed.extxyz"), schedule, folder, _QUENCH, recorder, interval)
        path = task.folder / "glass.extxyz"
        if not path.exists():
            write_structure(path, at_mean_density(glass))
        return glass

    def transport(self, glass: Glass, temperature_K: float) -> None:
        """Run the MD of the glass at one temperature, at the glass's own density."""
        settings = self._task.settings.transport
        if settings is None:
            raise SettingsError(f"{self._task.label}: the study has no transport")
        folder = self._task.transport_folder(temperature_K)
        schedule = _transport_schedule(settings, temperature_K)
        interval = settings.frame_interval_fs * 1e-3
        recorder = TrajectoryRecorder(folder, elements_of(self._task), interval, temperature_K)
        stream = _TRANSPORT + round(1000 * temperature_K)
        self._run(at_mean_density(glass), schedule, folder, stream, recorder, interval)

    def _run(
        self, atoms: Atoms, schedule: Schedule, folder: Path, stream: int, recorder: TrajectoryRecorder, interval: float
    ) -> Glass:
        self._progress("loading", self._before, self._total)
        glass = run_schedule(
            atoms,
            schedule,
            self._calculator,
            directory=folder,
            seed=self._task.seed(stream),
            potential_sha256=self._task.potential.sha256,
            recorder=recorder,
            frame_interval_ps=interval,
            progress=self._of_all_stages,
            stop=self._stop,
            checkpoint_interval_s=_CHECKPOINT_S,
            limits=committee_limits(self._task.potential),
        )
        recorder.finish()
        self._before += schedule.n_steps
        return glass

    def _of_all_stages(self, stage: str, done: float, total: float) -> None:
        self._progress(stage, self._before + done, self._total)


def quench_schedule(settings: StudySettings) -> Schedule:
    """Return the schedule of the quench; frames are kept of its last segment only."""
    schedule = settings.melt_quench
    last = len(schedule.segments) - 1
    segments = tuple(s.model_copy(update={"record": i == last}) for i, s in enumerate(schedule.segments))
    return schedule.model_copy(update={"segments": segments})


def structure_interval_ps(schedule: Schedule) -> float:
    """Return the time between frames of the quench: a hundred of them in its last segment."""
    steps = max(1, schedule.segment_steps[-1] // _STRUCTURE_FRAMES)
    return steps * schedule.timestep_fs * 1e-3


def elements_of(task: GlassTask) -> tuple[str, ...]:
    """Return the chemical symbols of a glass, in the order of its packing."""
    counts = Composition.parse(task.settings.composition).counts(task.settings.glasses.atoms)
    return tuple(element for element, n in counts.items() for _ in range(n))


def at_mean_density(glass: Glass) -> Atoms:
    """Return the final structure, its cell scaled to the mean density of the glass.

    The last step of a constant-pressure run is one fluctuation; MD at constant volume belongs at the mean.
    """
    atoms = glass.atoms.copy()
    now = float(atoms.get_masses().sum()) / float(atoms.get_volume()) * G_CM3_PER_U_A3
    atoms.set_cell(atoms.cell * (now / glass.density_g_cm3) ** (1 / 3), scale_atoms=True)
    return atoms


def finished_glass(task: GlassTask) -> Glass:
    """Return a glass whose quench is done.

    Raises
    ------
    DataError
        When it is not.
    """
    schedule = quench_schedule(task.settings)
    folder, interval = task.folder / "quench", structure_interval_ps(schedule)
    return run_schedule(
        read_structure(task.folder / "packed.extxyz"),
        schedule,
        LoadedWhenNeeded(None),
        directory=folder,
        seed=task.seed(_QUENCH),
        potential_sha256=task.potential.sha256,
        recorder=TrajectoryRecorder(folder, elements_of(task), interval, schedule.segments[-1].end_K),
        frame_interval_ps=interval,
    )


def structure_frames(task: GlassTask) -> list[Atoms]:
    """Return the frames of a glass that its structure is averaged over: the second half of the last segment."""
    trajectory = read_trajectory(task.folder / "quench" / MERGED_NAME)
    return list(trajectory.frames(first=trajectory.n_frames // 2))


def transport_trajectory(task: GlassTask, temperature_K: float) -> Trajectory:
    """Return the recorded MD of a glass at one temperature."""
    return read_trajectory(task.transport_folder(temperature_K) / MERGED_NAME)


def _transport_schedule(transport: TransportSettings, temperature_K: float) -> Schedule:
    return hold_schedule(
        temperature_K,
        transport.time_ps,
        equilibration_ps=transport.equilibration_ps,
        timestep_fs=transport.timestep_fs,
    )
