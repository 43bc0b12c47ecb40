"""LAMMPS text dumps, frame by frame through ASE's reader, with the image flags that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
from ase import Atoms

from mlsim.errors import DataError

__all__ = ["lammps_columns", "lammps_frames", "lammps_is_unwrapped"]

_IMAGE_FLAGS = ("ix", "iy", "iz")


def lammps_columns(file: Path) -> frozenset[str]:
    """Return the columns of a LAMMPS text dump; none if the file is something else.

    Raises
    ------
    DataError
        If the dump does not name its elements or does not tell its atoms apart.
    """
    with file.open("rb") as stream:
        head = stream.read(4096)
    if not head.startswith(b"ITEM: TIMESTEP"):
        return frozenset()
    named = next((line.split()[2:] for line in head.splitlines() if line.startswith(b"ITEM: ATOMS")), [])
    columns = frozenset(name.decode("ascii", "replace") for name in named)
    if columns and not columns & {"element", "mass"}:
        raise DataError(f"{file}: has no element column; write it with 'dump_modify ID element Li Zr Cl O'")
    if columns and "id" not in columns:
        raise DataError(f"{file}: has no id column, so atoms cannot be told apart; write 'dump ... id element x y z'")
    return columns


def lammps_is_unwrapped(columns: frozenset[str]) -> bool:
    """Return whether the positions that `lammps_frames` gives are unwrapped: xu, xsu, or x or xs with image flags."""
    if columns & {"x", "xs"}:
        return columns.issuperset(_IMAGE_FLAGS)
    return bool(columns & {"xu", "xsu"})


def lammps_frames(file: Path, columns: frozenset[str], start: int, stop: int | None) -> Iterator[Atoms]:
    """Yield the frames start <= i < stop of a dump one after the other, image flags applied where it has them."""
    from ase.io.lammpsrun import iread_lammps_dump_text

    flagged = bool(columns & {"x", "xs"}) and columns.issuperset(_IMAGE_FLAGS)
    with file.open(encoding="utf-8") as stream:
        for atoms in iread_lammps_dump_text(_FlagsNamed(stream), index=slice(start, stop)):
            if flagged:
                images = np.stack([atoms.arrays[f"i_{flag}"] for flag in _IMAGE_FLAGS], axis=1)
                atoms.positions += images @ atoms.cell.array
            yield atoms


class _FlagsNamed:
    """A dump whose image flags are called i_ix, i_iy, i_iz: names that ASE keeps as arrays of the atoms."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.tell = stream.tell
        self.seek = stream.seek

    def readline(self) -> str:
        line = self._stream.readline()
        if not line.startswith("ITEM: ATOMS"):
            return line
        return " ".join(f"i_{word}" if word in _IMAGE_FLAGS else word for word in line.split()) + "\n"
