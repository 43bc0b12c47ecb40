"""What runs cost: each start of a quench or an MD leaves a line in the `cost.csv` of its folder.

From these lines comes the speed by which the time of a campaign is estimated, and the cost in its results.
"""

from __future__ import annotations

import csv
import datetime
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mlsim.errors import DataError
from mlsim.progress import Progress

__all__ = ["COST_FILE", "Cost", "CostMeter", "measured_speed", "read_costs", "total_cost"]

COST_FILE: Final = "cost.csv"
_COLUMNS: Final = ("date", "atoms", "first_step", "last_step", "wall_s", "processor_s")
_SECONDS_OF_A_MEASUREMENT: Final = 3.0
_REST_OF_A_STEP: Final = 0.15
"""Integration, thermostat, checks and records of a time step, as a share of its forces."""


@dataclass(frozen=True)
class Cost:
    """One start of a run: date (ISO 8601), atoms, the steps it began and ended with, s of wall clock and processor."""

    date: str
    atoms: int
    first_step: int
    last_step: int
    wall_s: float
    processor_s: float

    @property
    def steps(self) -> int:
        """Time steps that this start did."""
        return self.last_step - self.first_step


class CostMeter:
    """A `Progress` that passes on what it hears and notes the cost from the first step to the last.

    Loading the potential and compiling it come before the first step and do not count.
    """

    def __init__(self, directory: Path, n_atoms: int, progress: Progress) -> None:
        self._path = directory / COST_FILE
        self._n_atoms = n_atoms
        self._progress = progress
        self._first: int | None = None
        self._last = 0
        self._began = (0.0, 0.0)
        self._ended = (0.0, 0.0)

    def __call__(self, stage: str, done: float, total: float) -> None:
        """Note the step and the clocks."""
        now = (time.monotonic(), time.process_time())
        if self._first is None:
            self._first, self._began = int(done), now
        self._last, self._ended = int(done), now
        self._progress(stage, done, total)

    def write(self) -> None:
        """Add the line of this start; none if it did fewer than two steps."""
        if self._first is None or self._last <= self._first:
            return
        new = not self._path.exists()
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        wall, processor = (end - begin for begin, end in zip(self._began, self._ended, strict=True))
        line = (date, self._n_atoms, self._first, self._last, f"{wall:.2f}", f"{processor:.2f}")
        with self._path.open("a", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            if new:
                writer.writerow(_COLUMNS)
            writer.writerow(line)


def read_costs(path: str | os.PathLike[str]) -> tuple[Cost, ...]:
    """Return the lines of a `cost.csv`.

    Raises
    ------
    DataError
        If a line is none of ours.
    """
    with Path(path).open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    try:
        return tuple(
            Cost(
                row["date"],
                *(int(row[name]) for name in _COLUMNS[1:4]),
                *(float(row[name]) for name in _COLUMNS[4:]),
            )
            for row in rows
        )
    except (KeyError, TypeError, ValueError):
        raise DataError(f"{path}: expected the columns {','.join(_COLUMNS)} and numbers below") from None


def total_cost(folders: Iterable[Path]) -> tuple[Cost, ...]:
    """Return the cost lines of all folders that have any."""
    return tuple(cost for folder in folders if (folder / COST_FILE).exists() for cost in read_costs(folder / COST_FILE))


def measured_speed(costs: Iterable[Cost]) -> float | None:
    """Return atoms × steps per second of processor over all lines; None without any.

    Examples
    --------
    >>> measured_speed([Cost("2026-01-01", 100, 0, 50, 1.2, 1.0), Cost("2026-01-02", 100, 50, 150, 4.0, 4.0)])
    3000.0
    """
    work, seconds = 0.0, 0.0
    for cost in costs:
        work += cost.atoms * cost.steps
        seconds += cost.processor_s
    return work / seconds if work > 0 and seconds > 0 else None


def speed_of(potential: str, formula: str, n_atoms: int, density_g_cm3: float, device: str | None = None) -> float:
    """Measure atoms × steps per second of a potential on this machine, by some seconds of forces of a random packing.

    Between two calls every atom moves by a little, as in a run. The rest of a time step, 10 to 20 % of its forces
    (docs/melt_quench.md), is added.
    """
    import numpy as np

    from mlsim.composition import Composition
    from mlsim.melt_quench import pack
    from mlsim.potential import load

    atoms = pack(Composition.parse(formula), n_atoms, density_g_cm3=density_g_cm3, seed=1)
    atoms.calc = load(potential, device=device)
    generator = np.random.default_rng(1)
    calls, began = -2, (0.0, 0.0)  # two calls to compile and to warm up
    while calls < 3 or time.monotonic() - began[0] < _SECONDS_OF_A_MEASUREMENT:
        if calls == 0:
            began = (time.monotonic(), time.process_time())
        atoms.positions += generator.normal(scale=0.01, size=atoms.positions.shape)
        atoms.get_forces()
        calls += 1
    return n_atoms * calls / max((1 + _REST_OF_A_STEP) * (time.process_time() - began[1]), 1e-9)
