"""Records the frames of a run so that `kill -9` at any moment loses nothing that was committed.

While the run goes on, each `commit` writes one chunk file into `trajectory.parts/`, under a temporary name that is
then renamed. `finish` merges the chunks into `trajectory.h5` in one step and removes them. A run that resumes from a
checkpoint calls `rewind` with the number of frames that the checkpoint knows of: frames that were committed after it
would be recorded a second time, so they are removed, from the end backwards.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.atomic import atomic_path, remove_leftovers
from mlsim.errors import DataError

if TYPE_CHECKING:
    from mlsim.melt_quench.frames import Frame

__all__ = ["FORMAT", "MERGED_NAME", "VERSION", "TrajectoryRecorder"]

Arrays: TypeAlias = dict[str, NDArray[Any]]

FORMAT = "mlsim trajectory"
VERSION = 1
MERGED_NAME = "trajectory.h5"
_PARTS_NAME = "trajectory.parts"
_BLOCK_VALUES = 400_000  # coordinates read at a time
_HEADER_BYTES, _BYTES_PER_NAME = 16_384, 48  # what HDF5 adds, at most
_UNITS = {
    "positions": "Å",
    "cell": "Å",
    "time_ps": "ps",
    "temperature_K": "K",
    "potential_energy_eV": "eV",
    "pressure_GPa": "GPa",
    "committee_deviation_eV_A": "eV/Å",
}
_TYPES = {"positions": np.float32, "step": np.int64}
_ADDED = ("committee_deviation_eV_A",)  # absent from files of earlier versions
_FIELDS = ("step", "time_ps", "positions", "cell", "temperature_K", "potential_energy_eV", "pressure_GPa", *_ADDED)


class TrajectoryRecorder:
    """Takes the frames of one run and makes them durable; a `mlsim.melt_quench.FrameRecorder`.

    Parameters
    ----------
    directory
        Folder of the run. What an earlier, interrupted run recorded there is found and continued.
    elements
        Chemical symbols, one per atom.
    interval_ps
        Time between frames, ps.
    temperature_K
        Temperature that the thermostat holds, K; None where it changes.

    Raises
    ------
    DataError
        If the folder holds frames of other atoms, or a damaged file.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        elements: Sequence[str],
        interval_ps: float,
        temperature_K: float | None = None,
    ) -> None:
        if not (math.isfinite(interval_ps) and interval_ps > 0):
            raise DataError(f"trajectory recorder: interval of {interval_ps} ps, expected a positive time")
        self._merged = Path(directory) / MERGED_NAME
        self._parts = Path(directory) / _PARTS_NAME
        self._elements = tuple(elements)
        self._interval_ps = float(interval_ps)
        self._temperature_K = temperature_K
        self._waiting: list[Frame] = []
        remove_leftovers(self._merged.parent, MERGED_NAME)
        remove_leftovers(self._parts)
        self._n_merged = self._frames_merged()
        self._starts = self._found_chunks()

    @property
    def n_frames(self) -> int:
        """Frames that are durable, without those that wait for `commit`."""
        return self._starts[-1][1] if self._starts else self._n_merged

    def append(self, frame: Frame) -> None:
        """Take one frame; it stays in memory until `commit`."""
        positions = np.array(frame.positions, dtype=float)
        if positions.shape != (len(self._elements), 3):
            expected = (len(self._elements), 3)
            raise DataError(f"{self._merged}: frame with positions of shape {positions.shape}, expected {expected}")
        if not np.isfinite(positions).all():
            raise DataError(f"{self._merged}: frame at step {frame.step} holds positions that are not finite")
        self._check_distance(frame)
        self._waiting.append(frame._replace(positions=positions, cell=np.array(frame.cell, dtype=float)))

    def commit(self) -> int:
        """Make everything appended so far durable and return the number of durable frames."""
        if self._waiting:
            start = self.n_frames
            arrays = {
                name: np.array([getattr(frame, name) for frame in self._waiting], dtype=_TYPES.get(name, float))
                for name in _FIELDS
            }
            self._write_chunk(start, arrays)
            self._starts.append((start, start + len(self._waiting)))
            self._waiting.clear()
        return self.n_frames

    def rewind(self, n_frames: int) -> None:
        """Forget all frames after the first `n_frames`, also those on disk.

        Raises
        ------
        DataError
            If fewer frames are there than should remain: part of the trajectory was lost.
        """
        known = self.n_frames + len(self._waiting)
        if not 0 <= n_frames <= known:
            raise DataError(
                f"{self._parts}: {known} frames are there, the checkpoint counts {n_frames}; "
                "a part of the trajectory is missing: start this run again in an empty folder"
            )
        del self._waiting[max(0, n_frames - self.n_frames) :]
        while self._starts and self._starts[-1][1] > n_frames:
            start, _ = self._starts[-1]
            if start >= n_frames:
                self._chunk(start).unlink(missing_ok=True)
                self._starts.pop()
            else:
                self._write_chunk(start, {k: v[: n_frames - start] for k, v in self._read_chunk(start).items()})
                self._starts[-1] = (start, n_frames)
        if n_frames < self._n_merged:
            self._cut_merged(n_frames)

    def finish(self) -> Path:
        """Commit, merge all frames into `trajectory.h5`, remove the chunks and return its path; harmless to repeat."""
        self.commit()
        if not self.n_frames:
            raise DataError(f"{self._merged}: no frames were recorded; the run was shorter than the frame interval")
        if self._starts:
            self._write_merged(self.n_frames)
            self._n_merged = self.n_frames
            for start, _ in reversed(self._starts):
                self._chunk(start).unlink(missing_ok=True)
            self._starts.clear()
        with contextlib.suppress(OSError):
            self._parts.rmdir()
        return self._merged

    def _check_distance(self, frame: Frame) -> None:
        """Frames follow each other at the interval; anything else means that a resumed run was not rewound."""
        last = self._last_mark()
        if last is None:
            return
        gap = frame.time_ps - last[1]
        if frame.step <= last[0] or not math.isclose(gap, self._interval_ps, rel_tol=0.01, abs_tol=1e-9):
            raise DataError(
                f"{self._merged}: frame of step {frame.step} ({frame.time_ps:g} ps) after step {last[0]} "
                f"({last[1]:g} ps), expected {self._interval_ps:g} ps between frames; "
                "rewind to the checkpoint, or start in an empty folder"
            )

    def _last_mark(self) -> tuple[int, float] | None:
        """Step and time of the last frame."""
        if self._waiting:
            return self._waiting[-1].step, self._waiting[-1].time_ps
        if self._starts:
            chunk = self._read_chunk(self._starts[-1][0], ("step", "time_ps"))
            return int(chunk["step"][-1]), float(chunk["time_ps"][-1])
        if self._n_merged:
            with self._opened() as store:
                return int(store["step"][-1]), float(store["time_ps"][-1])
        return None

    def _chunk(self, start: int) -> Path:
        return self._parts / f"frames-{start:09d}.npz"

    def _write_chunk(self, start: int, arrays: Arrays) -> None:
        with atomic_path(self._chunk(start)) as temporary, temporary.open("wb") as stream:
            np.savez(stream, elements=np.array(self._elements), **arrays)  # type: ignore[arg-type]

    def _read_chunk(self, start: int, names: Sequence[str] = _FIELDS) -> Arrays:
        path = self._chunk(start)
        try:
            with path.open("rb") as stream, np.load(stream) as stored:
                if tuple(stored["elements"]) != self._elements:
                    raise DataError(f"{path}: frames of other atoms; start this run in an empty folder")
                return {
                    name: np.full(len(stored["step"]), np.nan) if _is_new(name, stored) else stored[name]
                    for name in names
                }
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(f"{path}: damaged, cannot be read; start this run again in an empty folder") from error

    def _found_chunks(self) -> list[tuple[int, int]]:
        """First frame of each chunk on disk and the first after it; chunks merged already are removed."""
        found: list[tuple[int, int]] = []
        for path in sorted(self._parts.glob("frames-*.npz")):
            start = int(path.stem.removeprefix("frames-"))
            if start < self._n_merged:
                path.unlink()
                continue
            expected = found[-1][1] if found else self._n_merged
            if start != expected:
                raise DataError(f"{path}: frame {expected} expected next; start this run again in an empty folder")
            found.append((start, start + len(self._read_chunk(start, ("step",))["step"])))
        return found

    def _opened(self) -> Any:
        import h5py

        return h5py.File(self._merged, "r")

    def _frames_merged(self) -> int:
        if not self._merged.exists():
            return 0
        try:
            with self._opened() as store:
                elements = tuple(str(e) for e in store.attrs["elements"])
                count = len(store["positions"])
        except (OSError, KeyError) as error:
            raise DataError(f"{self._merged}: exists but is no trajectory of mlsim; move it away") from error
        if elements != self._elements:
            raise DataError(f"{self._merged}: frames of other atoms; start this run in an empty folder")
        return count

    def _cut_merged(self, n_frames: int) -> None:
        if n_frames:
            self._write_merged(n_frames)
        else:
            self._merged.unlink()
        self._n_merged = n_frames

    def _write_merged(self, n_frames: int) -> None:
        """Write the first `n_frames` frames, merged ones and chunks, to a new file that replaces `trajectory.h5`."""
        import h5py

        shapes = {name: (n_frames, *shape) for name, shape in self._frame_shapes().items()}
        with atomic_path(self._merged) as temporary:
            sizes = [math.prod(shape) * np.dtype(_TYPES.get(name, float)).itemsize for name, shape in shapes.items()]
            _reserve(temporary, sum(sizes) + _HEADER_BYTES + _BYTES_PER_NAME * len(self._elements))
            # the form before 1.8 has no room for the names of more than some thousand atoms
            with h5py.File(temporary, "w", libver=("v108", "latest")) as store:
                store.attrs["format"], store.attrs["version"] = FORMAT, VERSION
                store.attrs["elements"] = list(self._elements)
                store.attrs["units"] = json.dumps(_UNITS, ensure_ascii=False, sort_keys=True)
                if self._temperature_K is not None:
                    store.attrs["temperature_K"] = float(self._temperature_K)
                for name, shape in shapes.items():
                    store.create_dataset(name, shape, _TYPES.get(name, np.float64))
                done = 0
                for arrays in self._all_arrays():
                    taken = min(len(arrays["step"]), n_frames - done)
                    for name in _FIELDS:
                        store[name][done : done + taken] = arrays[name][:taken]
                    done += taken
                times = store["time_ps"]
                measured = (times[-1] - times[0]) / (n_frames - 1) if n_frames > 1 else self._interval_ps
                store.attrs["interval_ps"] = float(measured)

    def _frame_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(_FIELDS, ())
        return shapes | {"positions": (len(self._elements), 3), "cell": (3, 3)}

    def _all_arrays(self) -> Iterator[Arrays]:
        if self._n_merged:
            with self._opened() as store:
                block = max(1, _BLOCK_VALUES // (3 * len(self._elements)))
                for start in range(0, self._n_merged, block):
                    stop = min(start + block, self._n_merged)
                    yield {
                        name: np.full(stop - start, np.nan) if _is_new(name, store) else store[name][start:stop]
                        for name in _FIELDS
                    }
        for start, _ in self._starts:
            yield self._read_chunk(start)


def _is_new(name: str, stored: Any) -> bool:
    """Whether a file of an earlier version lacks a field that came later."""
    return name in _ADDED and name not in stored


def _reserve(path: Path, n_bytes: int) -> None:
    """Raise OSError if the disk has no room for `n_bytes` more; HDF5 itself brings the process down when it fills."""
    if not hasattr(os, "posix_fallocate"):
        return
    with path.open("r+b") as stream:
        os.posix_fallocate(stream.fileno(), 0, n_bytes)
        stream.truncate(0)
