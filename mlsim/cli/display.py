"""What a run shows while it goes and when it ends: bars on a terminal, plain lines in a log file."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

from mlsim.progress import duration_text

if TYPE_CHECKING:
    from mlsim.io.results import QuantityRow
    from mlsim.report.comparison import Comparison
    from mlsim.study import StudyOutcome, StudySettings

__all__ = ["PlainStudyDisplay", "announced", "print_outcome", "print_rows", "print_table", "study_display"]

_RATE_WINDOW_S: Final = 60.0
_TABLE_WIDTH: Final = 134  # in a file
_WIDEST_TABLE: Final = 200  # in a file, of words that must not be cut
_LABEL_WIDTH: Final = 34  # what the first column keeps where there is that much room
_ROOM_FOR_VERDICT, _ROOM_FOR_SOURCE = 116, 132


@dataclass
class _Pace:
    """Where one glass is, and how fast it went during the last minute."""

    unit: str = "steps"
    stage: str = "waiting"
    done: float = 0.0
    total: float = 0.0
    history: deque[tuple[float, float]] = field(default_factory=deque)

    def update(self, stage: str, done: float, total: float, now: float) -> None:
        if self.stage in ("waiting", "loading"):
            self.history.clear()  # the clock starts with the first step
        self.stage, self.done, self.total = stage, done, total
        self.history.append((now, done))
        while now - self.history[0][0] > _RATE_WINDOW_S and len(self.history) > 2:
            self.history.popleft()

    @property
    def rate(self) -> float:
        (start, first), (end, last) = self.history[0], self.history[-1]
        return (last - first) / (end - start) if end > start else 0.0

    @property
    def text(self) -> str:
        share = 100 * self.done / self.total if self.total else 100.0
        text = f"{share:3.0f} %"
        if self.rate > 0 and self.done < self.total:
            text += f"  {self.rate:.3g} {self.unit}/s  {duration_text((self.total - self.done) / self.rate)} left"
        return text


class _Overall:
    """Keeps the pace of all glasses and says how the study as a whole stands."""

    def __init__(self, clock: Any = time.monotonic, unit: str = "steps") -> None:
        self._clock = clock
        self._unit = unit
        self.paces: dict[str, _Pace] = {}

    def update(self, label: str, stage: str, done: float, total: float) -> _Pace:
        pace = self.paces.setdefault(label, _Pace(self._unit))
        pace.update(stage, done, total, self._clock())
        return pace

    @property
    def text(self) -> str:
        done = sum(pace.done for pace in self.paces.values())
        total = sum(pace.total for pace in self.paces.values())
        rate = sum(pace.rate for pace in self.paces.values() if pace.done < pace.total)
        left = f"  {duration_text((total - done) / rate)} left" if rate > 0 and done < total else ""
        return f"{100 * done / total if total else 0:3.0f} %{left}"


class PlainStudyDisplay:
    """Plain lines for a log: one per glass every `interval_s` seconds and at every change of stage.

    Parameters
    ----------
    stream
        Where lines go.
    interval_s
        Shortest time between two lines about the same stage of the same glass, s.
    """

    def __init__(
        self,
        stream: TextIO,
        interval_s: float = 20.0,
        *,
        one_run: bool = False,
        unit: str = "steps",
        clock: Any = time.monotonic,
    ) -> None:
        self._unit = unit
        self._one_run = one_run
        self._stream = stream
        self._interval_s = interval_s
        self._clock = clock
        self._overall = _Overall(clock, unit)
        self._last: dict[str, tuple[str, float]] = {}

    def __call__(self, label: str, stage: str, done: float, total: float) -> None:
        """Note where a glass is; print a line when it is time for one."""
        pace = self._overall.update(label, stage, done, total)
        now = self._clock()
        before, when = self._last.get(label, ("", float("-inf")))
        if stage == before and done < total and now - when < self._interval_s:
            return
        self._last[label] = (stage, now)
        overall = "" if self._one_run else f"  (study {self._overall.text})"
        self._stream.write(f"{label}  {stage}  {done:.0f}/{total:.0f} {self._unit}  {pace.text}{overall}\n")
        self._stream.flush()

    def say(self, text: str) -> None:
        """Print a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()


class _TerminalStudyDisplay:
    """One bar per glass and one for the study."""

    def __init__(self, bars: Progress, *, one_run: bool = False, unit: str = "steps") -> None:
        self._bars = bars
        self._overall = _Overall(unit=unit)
        self._ids: dict[str, TaskID] = {}
        self._study = None if one_run else bars.add_task("study", total=1.0, stage="", text="")

    def __call__(self, label: str, stage: str, done: float, total: float) -> None:
        pace = self._overall.update(label, stage, done, total)
        if label not in self._ids:
            self._ids[label] = self._bars.add_task(label, total=total, stage=stage, text="")
        self._bars.update(self._ids[label], completed=done, total=total, stage=stage, text=pace.text)
        if self._study is None:
            return
        paces = self._overall.paces.values()
        self._bars.update(
            self._study,
            completed=sum(pace.done for pace in paces),
            total=sum(pace.total for pace in paces),
            text=self._overall.text,
        )

    def say(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False)


@contextlib.contextmanager
def study_display(*, one_run: bool = False, unit: str = "steps") -> Iterator[PlainStudyDisplay | _TerminalStudyDisplay]:
    """Yield what `run_study` tells its progress to: bars on a terminal, plain lines otherwise.

    Parameters
    ----------
    one_run
        True for a single run, which needs no line for all together.
    unit
        What is counted.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainStudyDisplay(sys.stderr, one_run=one_run, unit=unit)
        return
    columns = (
        TextColumn("{task.description:<9}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[text]}"),
        TextColumn("{task.fields[stage]}", style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as bars:
        yield _TerminalStudyDisplay(bars, one_run=one_run, unit=unit)


def announced(settings: StudySettings, directory: Path) -> None:
    """Say in one line what is about to run."""
    glasses = settings.glasses
    sys.stderr.write(
        f"{settings.name}, preset {settings.preset}: {glasses.number} glasses of {glasses.atoms} atoms "
        f"of {settings.composition}, potential {settings.potential} -> {directory}/\n"
    )


def print_outcome(outcome: StudyOutcome) -> None:
    """Print the comparison table, the notes and where the report is."""
    from mlsim.io.results import read_result
    from mlsim.io.series import read_series
    from mlsim.report.comparison import comparisons

    console = _console()
    if outcome.already_done:
        say = f"{outcome.directory}: already done; delete {outcome.result.name} there to analyse again"
        console.print(say, markup=False)
    series = read_series(outcome.directory / "series.json")
    groups = comparisons(read_result(outcome.result), series)
    source = "" if series.published is None else f"; published: doi:{series.published.source.doi}"
    console.print(_table([row for _, rows in groups for row in rows], console.width, source))
    for note in outcome.notes:
        console.print(f"- {note}", markup=False)
    console.print(f"report: {outcome.report}", markup=False)


def print_rows(rows: Sequence[QuantityRow]) -> None:
    """Print numbers as a table."""
    from mlsim.report.comparison import compared
    from mlsim.report.words import group_place

    console = _console()
    shown = compared(rows)
    shown.sort(key=lambda row: group_place(row.group))
    console.print(_table(shown, console.width))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> None:
    """Print words and numbers as a table, the first and the last column to the left; a row of one cell is a heading."""
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, caption=caption, caption_justify="left")
    console = _console(_WIDEST_TABLE)
    label = max((len(row[0]) for row in rows), default=0) if console.width >= _TABLE_WIDTH else 0
    table.add_column(columns[0], min_width=min(label, _LABEL_WIDTH))
    for number, name in enumerate(columns[1:], start=1):
        table.add_column(name, justify="right" if number < len(columns) - 1 else "left")
    for row in rows:
        table.add_row(*row, style="bold" if len(row) == 1 else None)
    console.print(table)


def _table(rows: Sequence[Comparison], width: int, source: str = "") -> Table:
    """Return the table of our numbers beside the published ones, with as many columns as fit."""
    compared = any(row.published for row in rows)
    caption = "± one standard error over n independent glasses or runs"
    if compared:
        caption = f"± one standard error over n independent glasses; difference in standard errors{source}"
    table = Table(box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("quantity", no_wrap=width >= _ROOM_FOR_VERDICT)
    for name in ("ours", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    if compared:
        table.add_column("published", justify="right", no_wrap=True)
        table.add_column("difference", justify="right", no_wrap=True)
    if compared and width >= _ROOM_FOR_VERDICT:
        table.add_column("", no_wrap=True)
    if compared and width >= _ROOM_FOR_SOURCE:
        table.add_column("published by", no_wrap=True)
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            table.add_row(group, style="bold")
        difference = "" if row.difference is None else f"{row.difference:+.1f}"
        cells = [f"  {row.label}", f"{row.ours} {row.unit}".strip(), str(row.n_independent), row.published, difference]
        table.add_row(*[*cells, row.verdict, row.source][: len(table.columns)])
    return table


def _console(width: int = _TABLE_WIDTH) -> Console:
    """Return a console as wide as the terminal, in a file of a given width."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=width)
