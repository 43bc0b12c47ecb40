"""Structures: round trips, and files that are wrong."""

from __future__ import annotations

import errno
import os
import stat

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator

from mlsim.atomic import atomic_path, atomic_write_bytes, atomic_write_text, remove_leftovers
from mlsim.errors import DataError, SettingsError
from mlsim.io.structures import read_structure, read_structures, write_structure


@pytest.fixture
def crystal():
    atoms = bulk("LiCl", "rocksalt", a=5.13) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    return atoms


def message(call, *arguments, error=DataError, **keywords):
    with pytest.raises(error) as caught:
        call(*arguments, **keywords)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_written_structure_is_read_back(tmp_path, crystal):
    path = write_structure(tmp_path / "new" / "licl.extxyz", crystal)
    found = read_structure(path)
    np.testing.assert_allclose(found.positions, crystal.positions, atol=1e-8)
    np.testing.assert_allclose(found.cell.array, crystal.cell.array, atol=1e-8)
    assert list(found.symbols) == list(crystal.symbols)
    assert found.pbc.all()


def test_results_that_are_there_are_written_and_nothing_is_computed(tmp_path, crystal):
    forces = np.arange(12.0).reshape(4, 3)
    crystal.calc = SinglePointCalculator(crystal, energy=-3.5, forces=forces)
    found = read_structure(write_structure(tmp_path / "a.extxyz", crystal))
    assert found.get_potential_energy() == pytest.approx(-3.5)
    np.testing.assert_allclose(found.get_forces(), forces)


def test_several_structures_need_an_index(tmp_path, crystal):
    other = crystal.copy()
    other.positions += 0.5
    path = write_structure(tmp_path / "two.extxyz", [crystal, other])
    assert len(read_structures(path)) == 2
    np.testing.assert_allclose(read_structure(path, index=-1).positions, other.positions, atol=1e-8)
    expected = f"{path}: holds 2 structures, expected one; say which, or split the file"
    assert message(read_structure, path) == expected
    assert message(read_structure, path, index=2) == f"{path}: no structure 2, it holds 2, counted from 0"


def test_other_formats_are_read(tmp_path, crystal):
    crystal.write(tmp_path / "POSCAR", format="vasp")
    assert sorted(read_structure(tmp_path / "POSCAR").get_chemical_symbols()) == ["Cl", "Cl", "Li", "Li"]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.extxyz", "", "the file is empty"),
        ("notes.txt", "hello\nworld\n", "unknown file type; expected structures in a format that ASE reads"),
        (
            "cut.extxyz",
            '4\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nLi 0 0 0\n',
            "cannot be read as",
        ),
        ("picture.png", "\x89PNG not really", "cannot be read as structures: "),
        (
            "nan.extxyz",
            '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nLi 0 0 0\nCl nan 0 0\n',
            "positions of 1 atoms are not finite, the first is atom 1 (from 0)",
        ),
        (
            "ghost.extxyz",
            '1\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3\nX 0 0 0\n',
            "atom 0 (from 0) has no known element",
        ),
    ],
)
def test_a_wrong_file_gives_one_line_with_its_path(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_text(content, encoding="latin-1")
    assert message(read_structures, path).startswith(f"{path}: {expected}")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert message(read_structure, tmp_path / "gone.extxyz") == f"{tmp_path / 'gone.extxyz'}: no such file"
    assert message(read_structure, tmp_path) == f"{tmp_path}: is a folder, expected a file"


def test_what_cannot_be_read_again_is_not_written(tmp_path, crystal):
    path = tmp_path / "a.extxyz"
    crystal.positions[2, 1] = np.inf
    expected = f"{path}: not written, positions of 1 atoms are not finite, the first is atom 2 (from 0)"
    assert message(write_structure, path, crystal) == expected
    assert message(write_structure, path, []) == f"{path}: no structures to write"
    assert message(write_structure, path, Atoms()) == f"{path}: not written, holds no atoms"
    wrong = tmp_path / "a.cif"
    expected = f"{wrong}: structures are written as extended XYZ; name the file *.extxyz"
    assert message(write_structure, wrong, crystal, error=SettingsError) == expected
    assert not list(tmp_path.iterdir())


def test_an_old_file_stays_whole_when_writing_fails(tmp_path):
    path = tmp_path / "result.json"
    atomic_write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.ENOSPC, "the disk is full; free some space and run the same command again"),
        (errno.EROFS, "the file system is read-only; choose another folder"),
        (errno.EACCES, "permission denied; choose another folder or mend its permissions"),
    ],
)
def test_a_full_disk_is_one_clear_line_and_leaves_nothing_behind(tmp_path, monkeypatch, code, advice):
    path = tmp_path / "a.txt"
    atomic_write_text(path, "old")

    def full(_handle):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    assert message(atomic_write_bytes, path, b"new") == f"{path}: cannot be written: {advice}"
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_path_through_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("x")
    expected = f"{tmp_path / 'file' / 'a.txt'}: cannot be written: a part of the path is a file, not a folder"
    assert message(atomic_write_text, tmp_path / "file" / "a.txt", "y") == expected
    expected = f"{tmp_path}: cannot be written: that is a folder; name a file"
    assert message(atomic_write_text, tmp_path, "y") == expected


def test_an_error_about_another_file_is_passed_on(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out" / "a.txt") as temporary:
        temporary.write_bytes((tmp_path / "elsewhere" / "missing.txt").read_bytes())


def test_new_files_have_the_usual_permissions_and_replaced_ones_keep_theirs(tmp_path):
    path = tmp_path / "a.txt"
    atomic_write_text(path, "1")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o640)
    atomic_write_text(path, "2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_leftovers_of_a_killed_run_are_removed_and_nothing_else(tmp_path):
    atomic_write_text(tmp_path / "keep.h5", "x")
    for name in (".trajectory.part-abc.h5", ".other.part-abc.json", "trajectory.part-abc.h5"):
        (tmp_path / name).write_text("half")
    assert remove_leftovers(tmp_path, "trajectory.h5") == 1
    assert remove_leftovers(tmp_path) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["keep.h5", "trajectory.part-abc.h5"]
    assert remove_leftovers(tmp_path / "gone") == 0
