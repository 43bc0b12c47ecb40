"""Ensembles: many seeded runs over all processors, resumable run by run, the same whatever the number of workers.

Three kinds of runs answer three questions. *Fitted* runs go from the start to the data. *Free* runs go from the start
with the same constraints and moves but without data: what the constraints alone allow. *Refitted* runs go from the
ends of the free runs to the data: whether the answer remembers the start.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from ase import Atoms

from mlsim.errors import SettingsError
from mlsim.melt_quench.checkpoint import check_settings, read_checkpoint
from mlsim.progress import Progress, StopRequest
from mlsim.rmc.constraints import minimum_distances_for
from mlsim.rmc.data import DataSet
from mlsim.rmc.refine import Refined, finished_runs, refine, refinement_settings, require_reach
from mlsim.rmc.settings import RefineSettings
from mlsim.workers import available_cpus, run_in_workers

__all__ = ["Ensemble", "refine_ensemble"]

Kind = Literal["fitted", "free", "refitted"]
EnsembleProgress = Callable[[str, str, float, float], None]

_FIRST_NUMBER: Final = {"fitted": 0, "free": 1_000_000, "refitted": 2_000_000}
"""Runs of different kinds draw from different streams of the seed."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Runs of one refinement.

    Attributes
    ----------
    start
        The configuration that they started from.
    fitted
        Runs against the data.
    free
        Runs without data; empty when not asked for.
    refitted
        Runs against the data from the ends of the free runs.
    notes
        What was assumed.
    """

    start: Atoms
    fitted: tuple[Refined, ...]
    free: tuple[Refined, ...] = ()
    refitted: tuple[Refined, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Task:
    """One run, as it goes to its worker."""

    kind: Kind
    number: int
    start: Atoms
    data: tuple[DataSet, ...]
    settings: RefineSettings
    seed: int
    folder: Path
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "log", self.folder / "log.txt")

    @property
    def label(self) -> str:
        return f"{self.kind} {self.number:03d}"

    @property
    def stream(self) -> int:
        return _FIRST_NUMBER[self.kind] + self.number


def refine_ensemble(
    atoms: Atoms,
    data: Sequence[DataSet],
    settings: RefineSettings,
    *,
    runs: int,
    free_runs: int,
    seed: int,
    directory: Path,
    jobs: int | None = None,
    progress: EnsembleProgress | None = None,
    stop: StopRequest | None = None,
) -> Ensemble:
    """Refine a configuration many times with different random numbers.

    Parameters
    ----------
    atoms, data, settings
        As in `refine`.
    runs
        Fitted runs.
    free_runs
        Runs without data, and as many refitted ones; 0 for none.
    seed
        With the number of a run, everything random follows from it.
    directory
        Checkpoints go to ``fitted-001`` and so on in it; runs that are there are not done again.
    jobs
        Runs at a time, each in a process with one thread; one per processor when left out.
    progress
        Called with label, stage, moves done, moves in all.
    stop
        When it becomes true, checkpoints are written and `Interrupted` is raised.

    Raises
    ------
    SettingsError
        If a run in the folder was made with other settings: the message shows what differs.
    Interrupted
        If stopped; the same call goes on.

    Notes
    -----
    Worker processes are spawned: a script that calls this needs the usual ``if __name__ == "__main__":``.
    """
    if runs < 1 or free_runs < 0:
        raise SettingsError(f"ensemble: {runs} runs and {free_runs} free runs, expected at least one run")
    request = StopRequest() if stop is None else stop
    limits, notes = minimum_distances_for(atoms, settings.minimum_distances_A)
    require_reach(atoms, settings)
    settings = settings.model_copy(update={"minimum_distances_A": limits})  # the same for every start of a run

    def tasks(kind: Kind, number: int, starts: Sequence[Atoms]) -> list[_Task]:
        chosen = () if kind == "free" else tuple(data)
        return [
            _Task(kind, n + 1, starts[n % len(starts)], chosen, settings, seed, directory / f"{kind}-{n + 1:03d}")
            for n in range(number)
        ]

    def done(batch: list[_Task]) -> tuple[Refined, ...]:
        for task in batch:
            _require_own(task)
        run_in_workers(
            [task for task in batch if not _is_done(task)],
            _work,
            jobs=jobs or available_cpus(),
            progress=progress or _silent,
            stop=request,
        )
        return finished_runs([(t.start, t.data, t.settings, t.seed, t.stream, t.folder) for t in batch])

    first = tasks("fitted", runs, [atoms]) + tasks("free", free_runs, [atoms])
    finished = done(first)
    fitted, free = finished[:runs], finished[runs:]
    refitted = done(tasks("refitted", free_runs, [run.atoms for run in free])) if free_runs else ()
    return Ensemble(atoms, fitted, free, refitted, notes)


def _require_own(task: _Task) -> None:
    """Refuse a checkpoint of other settings before any work is done."""
    found = read_checkpoint(task.folder)
    if found is not None:
        wanted = refinement_settings(task.start, task.data, task.settings, task.seed, task.stream)
        check_settings(task.folder, found.settings, wanted)


def _is_done(task: _Task) -> bool:
    found = read_checkpoint(task.folder)
    return found is not None and bool(found.n_frames)


def _work(task: _Task, progress: Progress, stop: StopRequest) -> None:
    refine(
        task.start,
        task.data,
        task.settings,
        seed=task.seed,
        run=task.stream,
        directory=task.folder,
        progress=progress,
        stop=stop,
    )


def _silent(label: str, stage: str, done: float, total: float) -> None:
    """Say nothing."""
