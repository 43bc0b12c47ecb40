"""Progress of long work, and the request to stop it.

Physics code takes a `Progress` and never knows whether a terminal, a log file or another process listens.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol, TextIO

__all__ = ["PlainProgress", "Progress", "SilentProgress", "StopRequest", "leading_process", "stop_on_signals"]

LEADING_PROCESS = "MLSIM_LEADING_PROCESS"
"""Variable of the environment in which `mlsim campaign` gives its process id to the runs that it leads."""

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name))


class Progress(Protocol):
    """What long work calls to say how far it is."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Say that `done` of `total` parts of `stage` are finished; cheap enough for every MD step."""


class SilentProgress:
    """Says nothing."""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Do nothing."""


class PlainProgress:
    """Plain lines with rate and time left, at most one every `interval_s` seconds and one at the end of a stage.

    Parameters
    ----------
    stream
        Where lines go; standard error by default.
    interval_s
        Shortest time between two lines of one stage, in s.
    unit
        What is counted, for the rate.
    """

    def __init__(self, stream: TextIO | None = None, interval_s: float = 15.0, unit: str = "steps") -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._interval_s = interval_s
        self._unit = unit
        self._start: dict[str, tuple[float, float]] = {}
        self._last: dict[str, float] = {}

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Print a line if the last one of this stage is old enough or the stage is finished."""
        now = time.monotonic()
        if stage not in self._start:
            self._start[stage], self._last[stage] = (now, done), now
        finished = done >= total
        if not finished and now - self._last[stage] < self._interval_s:
            return
        self._last[stage] = now
        began, first = self._start[stage]
        rate = (done - first) / (now - began) if now > began else 0.0
        left = f", {duration_text((total - done) / rate)} left" if rate > 0 and not finished else ""
        share = 100 * done / total if total else 100.0
        self._stream.write(
            f"{stage}: {done:g}/{total:g} {self._unit} ({share:.0f} %), {rate:.3g} {self._unit}/s{left}\n"
        )
        self._stream.flush()
        if finished:
            del self._start[stage]


def duration_text(seconds: float) -> str:
    """Return a duration as people read it.

    Examples
    --------
    >>> duration_text(42), duration_text(754), duration_text(7260)
    ('42 s', '12 min 34 s', '2 h 01 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class StopRequest:
    """Becomes true once somebody asked this process to stop; long loops look at it between two steps.

    Also true when the parent that started this process has died, or the process that leads it, so that a killed run
    leaves no orphans computing.
    """

    def __init__(self, parent_pid: int | None = None, leading_pid: int | None = None) -> None:
        self._event = threading.Event()
        self._parent_pid = parent_pid
        self._leading_pid = leading_pid

    def set(self) -> None:
        """Ask for the stop."""
        self._event.set()

    def __bool__(self) -> bool:
        if self._parent_pid is not None and os.getppid() != self._parent_pid:
            self._event.set()
        if self._leading_pid is not None and not _alive(self._leading_pid):
            self._event.set()
        return self._event.is_set()


def leading_process() -> int | None:
    """Return the process id of the campaign that this process works for; None where there is none."""
    text = os.environ.get(LEADING_PROCESS, "")
    return int(text) if text.isdigit() else None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # of another user: alive
        return True
    return True


@contextmanager
def stop_on_signals(
    parent_pid: int | None = None, *, leading_pid: int | None = None, also: Callable[[], None] | None = None
) -> Iterator[StopRequest]:
    """Turn Ctrl-C, SIGTERM and SIGUSR1 into a `StopRequest` while the block runs.

    A second signal of the same kind acts as usual, so an impatient Ctrl-C Ctrl-C still ends the process at once.

    Parameters
    ----------
    parent_pid
        If given, the death of that parent process counts as a request too.
    leading_pid
        The same for a process further up, as `leading_process` gives it.
    also
        Called in the signal handler as well, to pass the request on.
    """
    request = StopRequest(parent_pid, leading_pid)
    before = {s: signal.getsignal(s) for s in STOP_SIGNALS}

    def handle(number: int, frame: FrameType | None) -> None:
        request.set()
        if also is not None:
            also()
        signal.signal(number, before[signal.Signals(number)])

    for number in STOP_SIGNALS:
        signal.signal(number, handle)
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
