"""A training set on disk: chains of frames, their labels, and the split by chain.

DATASET/frames/CHAIN.extxyz     structures, as sampled
DATASET/labelled/CHAIN.extxyz   the same with energy, forces and stress of the teacher
"""

from __future__ import annotations

import hashlib
import io
import lzma
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read, write

from mlsim.atomic import atomic_path
from mlsim.errors import DataError

__all__ = [
    "Split",
    "by_chain",
    "dataset_sha256",
    "labelled_chains",
    "part_of_chain",
    "read_frames",
    "split_by_chain",
    "write_packed",
]


@dataclass(frozen=True)
class Split:
    """Frames for training, for choosing the best model (validation) and for the held-out test."""

    train: tuple[Atoms, ...]
    validation: tuple[Atoms, ...]
    test: tuple[Atoms, ...]


def labelled_chains(dataset: Path, *, unfinished: bool = False) -> dict[str, list[Atoms]]:
    """Return all labelled frames by chain name, sorted by name, of a dataset folder or a packed file.

    Parameters
    ----------
    dataset
        Folder with `labelled/`, or one extended XYZ file, plain or .xz.
    unfinished
        Whether chains that are still being labelled count with the frames that are done.

    Raises
    ------
    DataError
        If there are none, a frame lacks labels, labels are not finite, or frames come from different teachers or from
        different settings of one.
    """
    patterns = ("*.extxyz", "*.extxyz.part") if unfinished else ("*.extxyz",)
    found = sorted(path for pattern in patterns for path in (dataset / "labelled").glob(pattern))
    frames = [frame for path in ([dataset] if dataset.is_file() else found) for frame in read_frames(path)]
    chains = by_chain(frames)
    if not chains:
        raise DataError(f"{dataset}: no labelled frames; run 'mlsim potential label {dataset}' first")
    for name, members in chains.items():
        for index, frame in enumerate(members):
            _check_labels(frame, f"{dataset}: chain {name} frame {index}")
    _require_one_setting(frames, dataset)
    return chains


def by_chain(frames: Iterable[Atoms]) -> dict[str, list[Atoms]]:
    """Return frames by the chain that they name, sorted by name."""
    chains: dict[str, list[Atoms]] = {}
    for frame in frames:
        chains.setdefault(str(frame.info["chain"]), []).append(frame)
    return dict(sorted(chains.items()))


def write_packed(path: Path, chains: dict[str, list[Atoms]]) -> None:
    """Write all chains to one compressed extended XYZ file; positions and labels to 1e-8."""
    with atomic_path(path) as temporary, lzma.open(temporary, "wt", preset=9) as stream:
        for frames in chains.values():
            write(stream, frames, format="extxyz")


def split_by_chain(
    chains: Mapping[str, list[Atoms]],
    *,
    validation: Sequence[str],
    test: Sequence[str],
    largest_force_eV_A: float = math.inf,
) -> Split:
    """Split whole chains by shell-style patterns on their names; frames of one chain never part.

    Frames with a force component beyond `largest_force_eV_A` are left out of every part: a teacher's labels are
    artefacts there. Frames of kind core stay: their large forces are those of the ZBL repulsion.

    Raises
    ------
    DataError
        If a pattern matches no chain, or training or validation would be empty.
    """
    for pattern in (*validation, *test):
        if not any(fnmatchcase(name, pattern) for name in chains):
            raise DataError(f"split: pattern '{pattern}' matches no chain of the {len(chains)} in the dataset")
    parts: dict[str, list[Atoms]] = {"train": [], "validation": [], "test": []}
    for name, frames in chains.items():
        part = part_of_chain(name, validation=validation, test=test)
        parts[part].extend(frame for frame in frames if _credible(frame, largest_force_eV_A))
    if not parts["train"] or not parts["validation"]:
        raise DataError(f"split: {len(parts['train'])} training and {len(parts['validation'])} validation frames")
    return Split(*(tuple(parts[p]) for p in ("train", "validation", "test")))


def part_of_chain(name: str, *, validation: Sequence[str], test: Sequence[str]) -> str:
    """Return the part of a chain: test if a test pattern fits its name, else validation, else train."""
    return "test" if _matches(name, test) else "validation" if _matches(name, validation) else "train"


def dataset_sha256(frames: Iterable[Atoms]) -> str:
    """Return a hash of elements, positions, cells and labels, independent of how the files are written."""
    digest = hashlib.sha256()
    for frame in frames:
        for values in (frame.numbers, frame.positions, frame.cell[:], frame.get_potential_energy(), frame.get_forces()):
            digest.update(np.round(np.asarray(values, dtype=float), 6).tobytes())
    return digest.hexdigest()


def read_frames(path: Path) -> list[Atoms]:
    """Return the frames of one extended XYZ file, plain or .xz; a frame that names no chain gets the file's name."""
    try:
        # unpacked at once: ASE seeks in the file, and each seek in a compressed one starts from its beginning
        content = path.read_bytes()
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode()
        frames = list(read(io.StringIO(text), index=":", format="extxyz")) if text else []
    except Exception as error:  # any reader fault means the same to the user
        raise DataError(f"{path}: cannot be read as extended XYZ ({type(error).__name__}: {error})") from error
    for frame in frames:
        frame.info.setdefault("chain", path.name.split(".extxyz")[0])
    return frames


def _require_one_setting(frames: Sequence[Atoms], dataset: Path) -> None:
    """Labels of two teachers, two settings or two PAW datasets of one element must not mix."""
    seen: dict[str, dict[str, str]] = {}
    for frame in frames:
        values = {"teacher": "unknown", "settings": "not recorded", **frame.info}
        for key in ("teacher", "settings", *(k for k in frame.info if k.startswith("paw_"))):
            seen.setdefault(key, {}).setdefault(str(values[key]), str(frame.info["chain"]))
    for key, values in seen.items():
        if len(values) > 1:
            what = "teachers" if key == "teacher" else key if key == "settings" else f"PAW datasets of {key[4:]}"
            listed = "; ".join(f"{value} (chain {chain})" for value, chain in sorted(values.items()))
            raise DataError(f"{dataset}: labels of different {what} must not mix, got {listed}")


def _credible(frame: Atoms, largest_force_eV_A: float) -> bool:
    return frame.info.get("kind") == "core" or float(np.abs(frame.get_forces()).max()) <= largest_force_eV_A


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, p) for p in patterns)


def _check_labels(frame: Atoms, where: str) -> None:
    results = frame.calc.results if frame.calc is not None else {}
    for key in ("energy", "forces", "stress"):
        if key not in results:
            raise DataError(f"{where}: carries no {key}; label it first")
        if not np.isfinite(results[key]).all():
            raise DataError(f"{where}: {key} is not finite")
