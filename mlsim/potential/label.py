"""Labelling of a dataset by a teacher, in this Python environment or in another one that has the teacher."""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from ase.io import read, write

from mlsim.errors import DataError, SettingsError
from mlsim.potential.crystals import CUBIC_CRYSTALS, crystal_cell
from mlsim.potential.trust import cache_folder
from mlsim.progress import Progress, SilentProgress

__all__ = ["label_dataset", "teacher_lattice_constants"]

PAW_FOLDER = "paw"
"""Where a dataset keeps the PAW datasets of its labels."""

WORKER = Path(__file__).with_name("label_worker.py")
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_FRAME_LINE = re.compile(r"^(?P<chain>\S+)\.extxyz: (?P<done>\d+)/(?P<total>\d+) frames$")


def label_dataset(
    folder: Path,
    calculator: str,
    *,
    python: str = "",
    jobs: int = 1,
    chains: str = "*",
    progress: Progress | None = None,
) -> int:
    """Label every chain of `folder/frames` that `folder/labelled` does not hold; return how many chains were labelled.

    Parameters
    ----------
    folder
        Dataset, see `mlsim.potential.dataset`.
    calculator
        The teacher, such as ``gpaw`` (plane-wave PBE; its PAW datasets lie in `folder/paw`), ``sevennet:7net-l3i5`` or
        ``ase:module:factory`` for any ASE calculator; see `mlsim.potential.label_worker`.
    python
        Interpreter of the environment that has the teacher; this one when empty.
    jobs
        Worker processes of one thread each.
    chains
        Shell-style pattern: only chains whose name fits.

    Raises
    ------
    DataError
        If there are no frames, or a worker fails: its last line is quoted; finished chains are kept.
    """
    if calculator == "gpaw":
        calculator = f"gpaw:{folder / PAW_FOLDER}"
    sources = sorted((folder / "frames").glob(f"{chains}.extxyz"))
    if not sources:
        raise DataError(f"{folder}/frames: no frames of chains '{chains}'; run 'mlsim potential sample' first")
    target = folder / "labelled"
    target.mkdir(exist_ok=True)
    missing = [path for path in sources if not (target / path.name).exists()]
    if not missing:
        return 0
    # in an order that has nothing to do with names: whatever is done when we stop is a fair sample of the whole
    missing.sort(key=lambda path: hashlib.sha256(path.name.encode()).digest())
    # each worker gets all chains, another one first, and leaves those that others are at: none is idle before the end
    jobs = min(jobs, len(missing))
    starts = [k * len(missing) // jobs for k in range(jobs)]
    shares = [missing[start:] + missing[:start] for start in starts]
    total = sum(len(read(path, index=":")) for path in missing)
    workers = [_start(python or sys.executable, calculator, share, target) for share in shares]
    _follow(workers, total, progress or SilentProgress())
    return len(missing)


def teacher_lattice_constants(calculator: str, python: str = "") -> dict[str, float]:
    """Return the lattice constants of LiCl, Li2O and cubic ZrO2 that a teacher relaxes to, Å; see `label_dataset`."""
    if calculator == "gpaw":
        calculator = f"gpaw:{cache_folder() / PAW_FOLDER}"
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "crystals.extxyz", Path(folder) / "relaxed"
        write(source, [crystal_cell(name) for name in CUBIC_CRYSTALS], format="extxyz")
        worker = _start(python or sys.executable, calculator, [source], target, "--relax")
        _follow([worker], len(CUBIC_CRYSTALS), SilentProgress())
        crystals = read(target / source.name, index=":")
    return {name: float(atoms.cell.lengths().mean()) for name, atoms in zip(CUBIC_CRYSTALS, crystals, strict=True)}


def _start(python: str, calculator: str, share: list[Path], target: Path, *options: str) -> subprocess.Popen[str]:
    command = [python, str(WORKER), "--calculator", calculator, "--out", str(target), *options, *map(str, share)]
    try:
        return subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=dict(os.environ, **_ONE_THREAD)
        )
    except OSError as error:
        raise SettingsError(
            f"label: cannot start '{python}' ({error.strerror}); give --python of the teacher"
        ) from error


def _follow(workers: list[subprocess.Popen[str]], total: int, progress: Progress) -> None:
    """Pass on the progress of all workers until they end; on failure or interruption stop them all."""
    done, last = 0, {worker.pid: "no message" for worker in workers}
    try:
        for line, pid in _lines(workers):
            last[pid] = line
            if _FRAME_LINE.match(line):
                done += 1
                progress("label", done, total)
        for worker in workers:
            if worker.wait() != 0:
                raise DataError(f"label: a worker ended with code {worker.returncode}: {last[worker.pid]}")
    finally:
        for worker in workers:
            if worker.poll() is None:
                worker.terminate()
                worker.wait()


def _lines(workers: list[subprocess.Popen[str]]) -> Iterator[tuple[str, int]]:
    """Lines of all workers as they come, each with the process id, until every stream has ended."""
    arrived: queue.Queue[tuple[str, int]] = queue.Queue()

    def pump(worker: subprocess.Popen[str]) -> None:
        with worker.stderr or contextlib.nullcontext(()) as stream:
            for line in stream:
                arrived.put((line.rstrip(), worker.pid))
        arrived.put(("", -worker.pid))

    for worker in workers:
        threading.Thread(target=pump, args=(worker,), daemon=True).start()
    open_streams = len(workers)
    while open_streams:
        line, pid = arrived.get()
        if pid < 0:
            open_streams -= 1
        elif line:
            yield line, pid
