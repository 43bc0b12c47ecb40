"""Datasets: split by chain, checks of labels, packing."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write
from toy_labels import labelled_frame

from mlsim.errors import DataError
from mlsim.potential.dataset import dataset_sha256, labelled_chains, split_by_chain, write_packed


def dataset(folder: Path, chains: dict[str, list[Atoms]]) -> Path:
    (folder / "labelled").mkdir(parents=True)
    for name, frames in chains.items():
        write(folder / "labelled" / f"{name}.extxyz", frames, format="extxyz")
    return folder


def test_frames_of_one_chain_never_part() -> None:
    chains = {f"a-s{k}": [labelled_frame(f"a-s{k}", 10 * k + n) for n in range(3)] for k in (1, 2, 8, 9)}
    split = split_by_chain(chains, validation=["*-s8"], test=["*-s9"])
    names = [{frame.info["chain"] for frame in part} for part in (split.train, split.validation, split.test)]
    assert names == [{"a-s1", "a-s2"}, {"a-s8"}, {"a-s9"}]


def test_a_pattern_that_matches_nothing_is_refused() -> None:
    chains = {"a-s1": [labelled_frame("a-s1", 1)], "a-s8": [labelled_frame("a-s8", 2)]}
    with pytest.raises(DataError, match=r"split: pattern '\*-s7' matches no chain of the 2 in the dataset"):
        split_by_chain(chains, validation=["*-s8"], test=["*-s7"])


def test_labels_of_two_teachers_never_mix(tmp_path: Path) -> None:
    chains = {"a-s1": [labelled_frame("a-s1", 1)], "b-s1": [labelled_frame("b-s1", 2, teacher="U 2")]}
    with pytest.raises(
        DataError, match=r"of different teachers must not mix, got T 1 \(chain a-s1\); U 2 \(chain b-s1\)"
    ):
        labelled_chains(dataset(tmp_path, chains))


@pytest.mark.parametrize(("key", "what"), [("settings", "settings"), ("paw_Zr", "PAW datasets of Zr")])
def test_labels_of_two_settings_never_mix(tmp_path: Path, key: str, what: str) -> None:
    frames = [labelled_frame("a-s1", 1), labelled_frame("a-s1", 2)]
    for frame, value in zip(frames, ("one", "other"), strict=True):
        frame.info[key] = value
    with pytest.raises(DataError, match=rf"labels of different {what} must not mix, got one \(chain a-s1\); other"):
        labelled_chains(dataset(tmp_path, {"a-s1": frames}))


def test_a_frame_without_settings_does_not_mix_with_one_that_has_them(tmp_path: Path) -> None:
    frames = [labelled_frame("a-s1", 1), labelled_frame("a-s1", 2)]
    frames[0].info["settings"] = "PW 700 eV"
    with pytest.raises(DataError, match="labels of different settings must not mix"):
        labelled_chains(dataset(tmp_path, {"a-s1": frames}))


def test_an_unlabelled_frame_is_refused(tmp_path: Path) -> None:
    bare = Atoms("LiCl", positions=[(0, 0, 0), (2, 0, 0)], cell=[5, 5, 5], pbc=True, info={"chain": "a-s1"})
    with pytest.raises(DataError, match="chain a-s1 frame 0: carries no energy; label it first"):
        labelled_chains(dataset(tmp_path, {"a-s1": [bare]}))


def test_an_empty_folder_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labelled frames; run 'mlsim potential label"):
        labelled_chains(tmp_path)


def test_a_packed_file_holds_the_same_chains_and_labels(tmp_path: Path) -> None:
    chains = {name: [labelled_frame(name, seed + n) for n in range(2)] for seed, name in ((1, "a-s1"), (5, "b-s1"))}
    folder = dataset(tmp_path / "d", chains)
    read_back = labelled_chains(folder)
    write_packed(tmp_path / "all.extxyz.xz", read_back)
    packed = labelled_chains(tmp_path / "all.extxyz.xz")
    assert list(packed) == ["a-s1", "b-s1"]
    for name, frames in read_back.items():
        assert dataset_sha256(packed[name]) == dataset_sha256(frames)


def test_the_hash_sees_labels_as_well_as_positions() -> None:
    one, other = labelled_frame("a", 1), labelled_frame("a", 1)
    assert dataset_sha256([one]) == dataset_sha256([other])
    other.calc.results["forces"][0, 0] += 1e-3
    assert dataset_sha256([one]) != dataset_sha256([other])
