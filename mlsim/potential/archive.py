"""A growing dataset as it is committed: labelled frames, frames still to be labelled, and a list with hashes.

FOLDER/labels.extxyz.xz    every labelled frame
FOLDER/pending.extxyz.xz   frames that were sampled and wait for their labels
FOLDER/paw/ELEMENT.PBE.xz  PAW datasets that were generated for the labels
FOLDER/dataset.json        each chain with its part of the split, frames, atoms and sha256; the settings of the labels

`restore` makes a working dataset of them again, and labelling goes on with the first frame that is pending.
"""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase import Atoms
from ase.io import write

from mlsim.atomic import atomic_path, atomic_write_text
from mlsim.errors import DataError
from mlsim.potential.dataset import by_chain, dataset_sha256, labelled_chains, read_frames, write_packed
from mlsim.potential.label import PAW_FOLDER
from mlsim.potential.recipe import Recipe

__all__ = ["archive", "restore"]

LABELS, PENDING, LIST = "labels.extxyz.xz", "pending.extxyz.xz", "dataset.json"


def archive(dataset: Path, folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Write all labelled and all pending frames of a working dataset to `folder`; return what `dataset.json` holds.

    Frames of unfinished chains count; frames that the labeller had to leave out are dropped for good.

    Raises
    ------
    DataError
        If nothing is labelled, labels disagree in their settings, or `folder` holds a labelled frame that the dataset
        does not: nothing that was labelled is ever lost.
    """
    chains = labelled_chains(dataset, unfinished=True)
    if (folder / LABELS).exists():
        _require_kept(labelled_chains(folder / LABELS), chains, folder / LABELS)
    pending = _pending(dataset, chains)
    folder.mkdir(parents=True, exist_ok=True)
    write_packed(folder / LABELS, chains)
    write_packed(folder / PENDING, pending)
    record = _record(recipe, chains, pending)
    for path in sorted((dataset / PAW_FOLDER).glob("*.PBE")):
        _pack_paw(path, folder / PAW_FOLDER / f"{path.name}.xz", record)
    atomic_write_text(folder / LIST, json.dumps(record, indent=1) + "\n")
    return record


def restore(folder: Path, dataset: Path) -> tuple[int, int]:
    """Make a working dataset of an archive; return the numbers of labelled and of pending frames.

    Raises
    ------
    DataError
        If the labels do not match the sha256 in `dataset.json`, or `dataset` exists and is not empty.
    """
    if dataset.exists() and any(dataset.iterdir()):
        raise DataError(f"{dataset}: is there already and not empty; name a new folder")
    if not (folder / LABELS).is_file():
        raise DataError(f"{folder}: holds no {LABELS}; name a folder that 'mlsim potential archive' wrote")
    chains = labelled_chains(folder / LABELS)
    listed = json.loads((folder / LIST).read_text())
    if dataset_sha256(frame for frames in chains.values() for frame in frames) != listed["sha256"]:
        raise DataError(f"{folder / LABELS}: does not match the sha256 in {LIST}; fetch the files again")
    pending = by_chain(read_frames(folder / PENDING))
    for path in sorted((folder / PAW_FOLDER).glob("*.PBE.xz")):
        _unpack_paw(path, dataset / PAW_FOLDER / path.stem, listed)
    for part in ("frames", "labelled"):
        (dataset / part).mkdir(parents=True)
    for name in sorted({*chains, *pending}):
        done, waiting = chains.get(name, []), pending.get(name, [])
        bare = [Atoms(f.symbols, positions=f.positions, cell=f.cell[:], pbc=True, info=f.info) for f in done]
        _write(dataset / "frames" / f"{name}.extxyz", [*bare, *waiting])
        if done:
            _write(dataset / "labelled" / (f"{name}.extxyz.part" if waiting else f"{name}.extxyz"), done)
    return sum(map(len, chains.values())), sum(map(len, pending.values()))


def _write(path: Path, frames: list[Atoms]) -> None:
    with atomic_path(path) as temporary:
        write(temporary, frames, format="extxyz")


def _pack_paw(source: Path, target: Path, record: Mapping[str, Any]) -> None:
    content = source.read_bytes()
    _require_own_paw(source, content, record)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        temporary.write_bytes(lzma.compress(content, preset=9))


def _unpack_paw(source: Path, target: Path, listed: Mapping[str, Any]) -> None:
    content = lzma.decompress(source.read_bytes())
    _require_own_paw(source, content, listed)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def _require_own_paw(path: Path, content: bytes, listed: Mapping[str, Any]) -> None:
    """Refuse a PAW dataset with which the labels were not made."""
    element = path.name.partition(".")[0]
    expected = listed.get(f"paw_{element}")
    if expected not in (None, hashlib.sha256(content).hexdigest()):
        raise DataError(f"{path}: is not the PAW dataset of {element} with which the labels were made ({expected})")


def _pending(dataset: Path, chains: Mapping[str, list[Atoms]]) -> dict[str, list[Atoms]]:
    pending = {}
    for path in sorted((dataset / "frames").glob("*.extxyz")):
        target = dataset / "labelled" / path.name
        if target.exists():
            continue
        skipped = target.with_name(target.name + ".skipped")
        left_out = len(skipped.read_text().splitlines()) if skipped.exists() else 0
        name = path.name.removesuffix(".extxyz")
        pending[name] = read_frames(path)[len(chains.get(name, [])) + left_out :]
    return {name: frames for name, frames in pending.items() if frames}


def _require_kept(old: Mapping[str, list[Atoms]], new: Mapping[str, list[Atoms]], where: Path) -> None:
    for name, frames in old.items():
        kept = new.get(name, [])[: len(frames)]
        if dataset_sha256(kept) != dataset_sha256(frames):
            raise DataError(f"{where}: holds labels of chain {name} that the dataset lacks; restore it and go on there")


def _record(recipe: Recipe, chains: Mapping[str, list[Atoms]], pending: Mapping[str, list[Atoms]]) -> dict[str, Any]:
    every = [frame for frames in chains.values() for frame in frames]
    parts = {name: recipe.part(name) for name in chains}
    settings = {k: str(v) for frame in every for k, v in frame.info.items() if k.startswith(("settings", "paw_"))}
    return {
        "teacher": str(every[0].info.get("teacher", "unknown")),
        **dict(sorted(settings.items())),
        "frames": len(every),
        "pending": sum(map(len, pending.values())),
        "atoms": sum(map(len, every)),
        "atoms_per_frame": [min(map(len, every)), max(map(len, every))],
        "frames_by_part": {
            part: sum(len(chains[n]) for n, p in parts.items() if p == part) for part in ("train", "validation", "test")
        },
        "sha256": dataset_sha256(every),
        "chains": {
            name: {
                "part": parts[name],
                "frames": len(frames),
                "pending": len(pending.get(name, [])),
                "atoms": sum(map(len, frames)),
                "sha256": dataset_sha256(frames),
            }
            for name, frames in chains.items()
        },
    }
