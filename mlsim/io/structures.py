"""Structures: one or several frames of atoms in any format that ASE reads, written as extended XYZ."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mlsim.atomic import atomic_path
from mlsim.errors import DataError, SettingsError

__all__ = ["checked_file", "problem_of", "read_structure", "read_structures", "reading", "write_structure"]

_WRITTEN = (".extxyz", ".xyz")
_LONGEST_MESSAGE = 160


def read_structure(path: str | os.PathLike[str], *, index: int | None = None) -> Atoms:
    """Return the structure of a file.

    Parameters
    ----------
    path
        File in any format that ASE reads.
    index
        Which one of several, from 0, or from the end if negative; by default the file must hold only one.

    Raises
    ------
    DataError
        If the file is missing, empty, of an unknown type or holds no usable structure; or several without `index`.
    """
    structures = read_structures(path)
    if index is None:
        if len(structures) > 1:
            raise DataError(f"{path}: holds {len(structures)} structures, expected one; say which, or split the file")
        return structures[0]
    if not -len(structures) <= index < len(structures):
        raise DataError(f"{path}: no structure {index}, it holds {len(structures)}, counted from 0")
    return structures[index]


def read_structures(path: str | os.PathLike[str]) -> list[Atoms]:
    """Return all structures of a file, in order.

    Parameters
    ----------
    path
        File in any format that ASE reads.

    Raises
    ------
    DataError
        If the file is missing, empty, of an unknown type, or holds no atoms, unknown elements or positions that are
        not finite.
    """
    file = checked_file(path)
    with reading(file, "structures"):
        from ase.io import read

        structures = read(file, index=":")
    if not structures:
        raise DataError(f"{file}: holds no structure")
    for number, atoms in enumerate(structures):
        problem = problem_of(atoms)
        if problem:
            where = f"structure {number}: " if len(structures) > 1 else ""
            raise DataError(f"{file}: {where}{problem}")
    return list(structures)


def write_structure(path: str | os.PathLike[str], atoms: Atoms | Sequence[Atoms]) -> Path:
    """Write one or several structures as extended XYZ, in one step, and return the path.

    Energies, forces and stress that a calculator already holds are written too; nothing is computed.

    Parameters
    ----------
    path
        File to write, ending in .extxyz or .xyz; one that exists is replaced.
    atoms
        Structure, or structures in order.
    """
    from ase.io import write

    target = Path(path)
    if target.suffix not in _WRITTEN:
        raise SettingsError(f"{target}: structures are written as extended XYZ; name the file *.extxyz")
    images = [atoms] if isinstance(atoms, Atoms) else list(atoms)
    if not images:
        raise DataError(f"{target}: no structures to write")
    for image in images:
        problem = problem_of(image)
        if problem:
            raise DataError(f"{target}: not written, {problem}")
    with atomic_path(target) as temporary:
        write(temporary, images, format="extxyz")
    return target


def checked_file(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is there, can be opened and is not empty."""
    file = Path(path)
    if not file.exists():
        raise DataError(f"{file}: no such file")
    if file.is_dir():
        raise DataError(f"{file}: is a folder, expected a file")
    if not os.access(file, os.R_OK):
        raise DataError(f"{file}: permission to read it denied")
    if file.stat().st_size == 0:
        raise DataError(f"{file}: the file is empty")
    return file


@contextmanager
def reading(file: Path, what: str) -> Iterator[None]:
    """Turn whatever a reader raises, of any type, into one line with the path; silence remarks about metadata."""
    from ase.io.formats import UnknownFileTypeError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataError, MemoryError):
        raise
    except UnknownFileTypeError as error:
        raise DataError(f"{file}: unknown file type; expected {what} in a format that ASE reads") from error
    except Exception as error:  # readers of foreign formats raise anything
        raise DataError(f"{file}: cannot be read as {what}: {_one_line(error)}") from error


def problem_of(atoms: Any) -> str | None:
    """Return what makes a structure unusable, in words, or None."""
    if not isinstance(atoms, Atoms) or not len(atoms):
        return "holds no atoms"
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        return f"positions of {len(bad)} atoms are not finite, the first is atom {bad[0]} (from 0)"
    if not np.isfinite(atoms.cell.array).all():
        return "the cell is not finite"
    unknown = np.flatnonzero(atoms.numbers <= 0)
    if len(unknown):
        return f"atom {unknown[0]} (from 0) has no known element"
    return None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 3] + "..."
