"""A growing dataset is archived and restored without loss."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import read, write
from toy_labels import labelled_frame

from mlsim.errors import DataError
from mlsim.potential.archive import archive, restore
from mlsim.potential.dataset import dataset_sha256, labelled_chains
from mlsim.potential.recipe import Recipe

RECIPE = Recipe(
    name="x", elements=("Li", "Cl"), teacher="gpaw", groups=(), validation=("*-s8",), test=("*-s9",), rounds=()
)


def growing(folder: Path) -> Path:
    """One finished chain, one with two of three frames labelled, one not begun."""
    for part in ("frames", "labelled"):
        (folder / part).mkdir(parents=True)
    for start, chain, done in ((1, "a-s1", 3), (11, "a-s9", 2), (21, "b-s1", 0)):
        frames = [labelled_frame(chain, start + k) for k in range(3)]
        bare = [
            Atoms(f.symbols, positions=f.positions, cell=f.cell[:], pbc=True, info={"chain": chain}) for f in frames
        ]
        write(folder / "frames" / f"{chain}.extxyz", bare, format="extxyz")
        if done:
            name = f"{chain}.extxyz" if done == 3 else f"{chain}.extxyz.part"
            write(folder / "labelled" / name, frames[:done], format="extxyz")
    return folder


def test_a_restored_dataset_is_the_one_that_was_archived(tmp_path: Path) -> None:
    record = archive(growing(tmp_path / "d"), tmp_path / "packed", RECIPE)
    assert (record["frames"], record["pending"]) == (5, 4)
    assert record["frames_by_part"] == {"train": 3, "validation": 0, "test": 2}
    assert restore(tmp_path / "packed", tmp_path / "again") == (5, 4)
    for path in sorted((tmp_path / "d").glob("*/*")):
        old, new = (
            read(p, index=":", format="extxyz") for p in (path, tmp_path / "again" / path.parent.name / path.name)
        )
        assert [a.positions.tolist() for a in new] == [a.positions.tolist() for a in old]
        assert [a.info["chain"] for a in new] == [a.info["chain"] for a in old]
    old, new = (labelled_chains(tmp_path / name, unfinished=True) for name in ("d", "again"))
    assert {n: dataset_sha256(f) for n, f in new.items()} == {n: dataset_sha256(f) for n, f in old.items()}


def test_the_paw_datasets_travel_with_their_labels_and_no_others_do(tmp_path: Path) -> None:
    folder = growing(tmp_path / "d")
    content = b"<paw_dataset/>"
    for path in (folder / "labelled").iterdir():
        frames = read(path, index=":", format="extxyz")
        for frame in frames:
            frame.info["paw_Li"] = hashlib.sha256(content).hexdigest()
        write(path, frames, format="extxyz")
    (folder / "paw").mkdir()
    (folder / "paw" / "Li.PBE").write_bytes(content)
    archive(folder, tmp_path / "packed", RECIPE)
    restore(tmp_path / "packed", tmp_path / "again")
    assert (tmp_path / "again" / "paw" / "Li.PBE").read_bytes() == content
    (folder / "paw" / "Li.PBE").write_bytes(content + b" ")
    with pytest.raises(DataError, match=r"Li\.PBE: is not the PAW dataset of Li with which the labels were made"):
        archive(folder, tmp_path / "packed", RECIPE)


def test_an_archive_never_loses_labels(tmp_path: Path) -> None:
    folder = growing(tmp_path / "d")
    archive(folder, tmp_path / "packed", RECIPE)
    (folder / "labelled" / "a-s9.extxyz.part").unlink()
    with pytest.raises(
        DataError, match="holds labels of chain a-s9 that the dataset lacks; restore it and go on there"
    ):
        archive(folder, tmp_path / "packed", RECIPE)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    archive(growing(tmp_path / "d"), tmp_path / "packed", RECIPE)
    text = (tmp_path / "packed" / "dataset.json").read_text()
    (tmp_path / "packed" / "dataset.json").write_text(text.replace('"sha256": "', '"sha256": "0', 1))
    with pytest.raises(DataError, match=r"does not match the sha256 in dataset\.json; fetch the files again"):
        restore(tmp_path / "packed", tmp_path / "again")


def test_a_folder_without_an_archive_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"holds no labels\.extxyz\.xz; name a folder that 'mlsim potential archive' wrote"
    ):
        restore(tmp_path, tmp_path / "again")


def test_a_folder_that_holds_something_is_not_written_over(tmp_path: Path) -> None:
    archive(growing(tmp_path / "d"), tmp_path / "packed", RECIPE)
    with pytest.raises(DataError, match="is there already and not empty; name a new folder"):
        restore(tmp_path / "packed", tmp_path / "d")
