"""Independent pieces of work in worker processes: one thread each, resumable, never orphaned.

A worker talks to the parent through one pipe: progress and its end go up, the request to stop comes down. When the
parent dies, the pipe closes and the worker stops at its next checkpoint; when a worker dies, the parent asks the
others to stop and says which one died. Signals go to the parent alone: a Ctrl-C reaches the whole process group, so
workers block it and wait for word from the parent.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final, Protocol

from mlsim.errors import Interrupted, MlsimError
from mlsim.progress import STOP_SIGNALS, Progress, StopRequest, stop_on_signals

__all__ = ["Task", "Work", "WorkerDied", "available_cpus", "run_in_workers"]

_ONE_THREAD: Final = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
_MESSAGE_INTERVAL_S: Final = 0.2
_POLL_S: Final = 0.2


class WorkerDied(MlsimError):
    """A worker process ended without a word: killed, or out of memory. State is on disk up to its last checkpoint."""


class Task(Protocol):
    """A piece of work; it is pickled to its worker."""

    @property
    def label(self) -> str:
        """Name for progress and messages."""

    @property
    def log(self) -> Path:
        """File that takes what the worker's libraries print."""


Work = Callable[[Any, Progress, StopRequest], None]
"""What a worker does: task, where to report progress, when to stop."""


@dataclass
class _Worker:
    label: str
    log: Path
    process: BaseProcess
    pipe: Connection
    finished: bool = False
    asked_to_stop: bool = False

    def ask_to_stop(self) -> None:
        if not self.asked_to_stop:
            self.asked_to_stop = True
            with contextlib.suppress(OSError):
                self.pipe.send("stop")


def available_cpus() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_in_workers(
    tasks: Sequence[Task],
    work: Work,
    *,
    jobs: int,
    progress: Callable[[str, str, float, float], None],
    stop: StopRequest,
) -> None:
    """Do each task in a process of its own, `jobs` of them at a time.

    Parameters
    ----------
    work
        Called in the worker; importable there (a function at the top of a module).
    progress
        Called here with label of the task, stage, done, total; at most five times a second for each worker.
    stop
        When it becomes true, workers are asked to write their checkpoints and end.

    Raises
    ------
    Interrupted
        When `stop` became true before all tasks were done.
    WorkerDied
        When a worker was killed.
    MlsimError, OSError
        What a worker raised, the others being stopped first.
    """
    crew = _Crew(tasks, work, jobs, progress, stop)
    try:
        while crew.busy:
            crew.start_what_fits()
            crew.pass_on_stop()
            crew.listen()
    finally:
        crew.end()
    if crew.failure is not None:
        raise crew.failure
    if crew.interrupted or stop:
        raise Interrupted("stopped on request, checkpoints are written; the same command goes on from there")


class _Crew:
    """Workers that run, tasks that wait, and what went wrong so far."""

    def __init__(
        self,
        tasks: Sequence[Task],
        work: Work,
        jobs: int,
        progress: Callable[[str, str, float, float], None],
        stop: StopRequest,
    ) -> None:
        self.failure: BaseException | None = None
        self.interrupted = False
        self._waiting = list(tasks)
        self._running: list[_Worker] = []
        self._work = work
        self._jobs = jobs
        self._progress = progress
        self._stop = stop

    @property
    def stopping(self) -> bool:
        """Whether no new work should begin."""
        return bool(self._stop) or self.failure is not None or self.interrupted

    @property
    def busy(self) -> bool:
        """Whether something runs or may still begin."""
        return bool(self._running) or (bool(self._waiting) and not self.stopping)

    def start_what_fits(self) -> None:
        """Start workers up to the number of jobs."""
        while self._waiting and len(self._running) < self._jobs and not self.stopping:
            self._running.append(_start(self._waiting.pop(0), self._work))

    def pass_on_stop(self) -> None:
        """Ask all workers to stop if that is due."""
        if self.stopping:
            for worker in self._running:
                worker.ask_to_stop()

    def listen(self) -> None:
        """Wait a moment for messages and deaths, and take note of them."""
        for worker in _ready(self._running):
            for kind, content in _messages(worker):
                if kind == "progress":
                    self._progress(worker.label, *content)
                elif kind == "interrupted":
                    self.interrupted = True
                elif kind == "failed" and self.failure is None:
                    self.failure = content
            if not worker.process.is_alive():
                self._bury(worker)

    def end(self) -> None:
        """End what still runs: only after an exception in this process, such as a second Ctrl-C."""
        for worker in self._running:
            worker.process.terminate()

    def _bury(self, worker: _Worker) -> None:
        self._running.remove(worker)
        worker.process.join()
        worker.pipe.close()
        if not worker.finished and self.failure is None:
            self.failure = WorkerDied(_death(worker))


def _start(task: Task, work: Work) -> _Worker:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=True)
    process = context.Process(target=_worker_main, args=(task, work, there, os.getpid()), name=task.label, daemon=True)
    with _one_thread_environment(), _signals_blocked():
        process.start()
    there.close()
    return _Worker(task.label, task.log, process, here)


def _ready(running: list[_Worker]) -> list[_Worker]:
    """Wait a moment for messages or deaths; return the workers that have either."""
    sources: dict[Any, _Worker] = {}
    for worker in running:
        sources[worker.pipe] = worker
        sources[worker.process.sentinel] = worker
    found = wait(list(sources), timeout=_POLL_S)
    return list({id(sources[source]): sources[source] for source in found}.values())


def _messages(worker: _Worker) -> Iterator[tuple[str, Any]]:
    with contextlib.suppress(EOFError, OSError):
        while worker.pipe.poll():
            kind, content = worker.pipe.recv()
            worker.finished = worker.finished or kind != "progress"
            yield kind, content


def _death(worker: _Worker) -> str:
    code = worker.process.exitcode or 0
    how = f"ended with exit code {code}"
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        how = f"was killed ({name})"
    return (
        f"{worker.label}: its worker process {how}; the same command goes on from the last checkpoint "
        f"(what it printed: {worker.log})"
    )


@contextlib.contextmanager
def _one_thread_environment() -> Iterator[None]:
    """Let child processes start with one thread in every numerical library."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _signals_blocked() -> Iterator[None]:
    """Hold back the signals that stop us, here and (inherited) in a process started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _PipeProgress:
    """Sends progress through a pipe, not more often than anybody can read."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = 0.0

    def __call__(self, stage: str, done: float, total: float) -> None:
        now = time.monotonic()
        if done < total and now - self._last < _MESSAGE_INTERVAL_S:
            return
        self._last = now
        with contextlib.suppress(OSError):
            self._pipe.send(("progress", (stage, done, total)))


def _worker_main(task: Task, work: Work, pipe: Connection, parent_pid: int) -> None:
    """Body of a worker process; it was started with the stop signals blocked."""
    with stop_on_signals(parent_pid) as stop, _printed_to(task.log):
        threading.Thread(target=_listen, args=(pipe, stop), daemon=True).start()
        if hasattr(signal, "pthread_sigmask"):
            # SIGINT stays blocked: a terminal sends it to everybody, the parent passes it on
            signal.pthread_sigmask(signal.SIG_UNBLOCK, set(STOP_SIGNALS) - {signal.SIGINT})
        try:
            work(task, _PipeProgress(pipe), stop)
            answer: tuple[str, Any] = ("done", None)
        except Interrupted as error:
            answer = ("interrupted", str(error))
        except (MlsimError, OSError) as error:
            answer = ("failed", error)
        except Exception:
            answer = ("failed", RuntimeError(f"{task.label} failed\n{traceback.format_exc()}"))
        with contextlib.suppress(OSError):
            pipe.send(answer)


@contextlib.contextmanager
def _printed_to(log: Path) -> Iterator[None]:
    """Send what anything in this process prints, C libraries included, to a file: the terminal is the parent's."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as stream:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        yield


def _listen(pipe: Connection, stop: StopRequest) -> None:
    """Wait for the word to stop, or for the death of the parent (the pipe closes)."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    stop.set()
