"""The potentials that come with mlsim keep the contract of every calculator, and are what their cards say."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms, units
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.md.langevin import Langevin

from mlsim import Composition
from mlsim.errors import DataError, SettingsError
from mlsim.melt_quench import pack
from mlsim.potential import describe, library, load, shipped_potentials
from mlsim.potential.crystals import PBE_LATTICE_A
from mlsim.potential.dataset import labelled_chains
from mlsim.potential.evaluate import lattice_constants, shortest_repulsion
from mlsim.potential.label_checks import check_split
from mlsim.potential.recipe import read_recipe
from mlsim.shipped import DEFAULT_POTENTIAL, shipped_folder

NAMES = ("lzoc-1", "lzoc-base")


@pytest.fixture(scope="module")
def packed() -> Atoms:
    return pack(Composition.parse("Li3ZrCl4O1.5"), 19, density_g_cm3=2.0, seed=4)


def test_there_are_shipped_potentials_for_the_shipped_study() -> None:
    assert shipped_potentials() == list(NAMES)
    assert DEFAULT_POTENTIAL == "lzoc-1"
    for name in NAMES:
        describe(name).require(("Li", "Zr", "Cl", "O"))


def test_the_default_is_a_committee_that_runs_stop_for() -> None:
    committee = load(DEFAULT_POTENTIAL)
    assert committee.n_members == 4
    found = committee.calibration
    assert 0 < found.warn_eV_A <= found.stop_eV_A and found.n_frames >= 80
    assert describe(DEFAULT_POTENTIAL).deviations_eV_A == (found.warn_eV_A, found.stop_eV_A)


@pytest.mark.parametrize("name", NAMES)
def test_the_compiled_form_was_made_of_the_model_that_is_shipped(name: str) -> None:
    from mlsim.potential.engine import read_merged

    info = describe(name)
    assert info.compiled is not None
    assert read_merged(info.compiled).provenance["source_sha256"] == info.sha256


@pytest.mark.parametrize("name", NAMES)
def test_forces_and_stress_are_the_gradient_of_the_energy(packed: Atoms, name: str) -> None:
    atoms = packed.copy()
    atoms.calc = load(name, dtype="float64")
    numerical = calculate_numerical_forces(atoms, eps=1e-4, iatoms=[0, 7, 12, 18])
    assert np.allclose(atoms.get_forces()[[0, 7, 12, 18]], numerical, atol=2e-4)
    assert np.allclose(atoms.get_stress(), calculate_numerical_stress(atoms, eps=1e-5), atol=2e-5)


def test_the_calculator_leaves_the_structure_alone(packed: Atoms) -> None:
    atoms = packed.copy()
    atoms.calc = load("lzoc-base")
    before = atoms.positions.copy(), atoms.cell[:].copy(), atoms.numbers.copy()
    atoms.get_forces()
    after = atoms.positions, atoms.cell[:], atoms.numbers
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_engine_and_mace_agree_on_the_shipped_potential(packed: Atoms, name: str) -> None:
    compiled, torch_made = packed.copy(), packed.copy()
    compiled.calc = load(name, engine="compiled")
    torch_made.calc = load(name, engine="mace", dtype="float64", device="cpu")
    difference = compiled.get_potential_energy() - torch_made.get_potential_energy()
    assert abs(difference) / len(packed) < 1e-6
    assert np.allclose(compiled.get_forces(), torch_made.get_forces(), atol=1e-4)


def test_threads_that_are_asked_for_reach_the_engine() -> None:
    assert [load("lzoc-base", **given).engine.threads for given in ({}, {"threads": 2})] == [1, 2]


@pytest.mark.parametrize("name", NAMES)
def test_every_pair_repels_from_half_an_angstrom_on(name: str) -> None:
    assert min(shortest_repulsion(load(name, engine="compiled"), ("Li", "O", "Cl", "Zr")).values()) > 0


def test_lattice_constants_are_close_to_the_teachers() -> None:
    teacher = {"LiCl": 5.149, "Li2O": 4.649, "c-ZrO2": 5.147}  # model_card.md
    assert lattice_constants(load("lzoc-base")) == pytest.approx(teacher, rel=0.015)
    assert lattice_constants(load("lzoc-1", engine="compiled")) == pytest.approx(PBE_LATTICE_A, rel=0.01)


def test_replicas_in_the_threads_of_one_process_walk_as_they_would_alone(packed: Atoms) -> None:
    def walk(seed: int) -> np.ndarray:
        atoms = packed.copy()
        atoms.calc = load("lzoc-base")
        friction = 0.05 / units.fs
        rng = np.random.default_rng(seed)
        Langevin(atoms, units.fs, temperature_K=600, friction=friction, fixcm=False, rng=rng).run(40)
        return atoms.positions

    alone = [walk(seed) for seed in (1, 2, 3)]
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(walk, (1, 2, 3)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.gpu
def test_mace_on_a_gpu_agrees_with_the_engine(packed: Atoms) -> None:
    on_gpu, on_cpu = packed.copy(), packed.copy()
    on_gpu.calc = load("lzoc-base", device="cuda", dtype="float64")
    on_cpu.calc = load("lzoc-base", dtype="float64")
    assert np.allclose(on_gpu.get_forces(), on_cpu.get_forces(), atol=1e-4)


def test_an_unknown_name_suggests_the_right_one() -> None:
    with pytest.raises(SettingsError, match="potential 'lzoc-bsae': no such file or name; did you mean 'lzoc-base'"):
        load("lzoc-bsae")


def test_missing_elements_are_named() -> None:
    with pytest.raises(SettingsError, match="potential 'lzoc-base': does not know Ta; it was trained on Li, O, Cl, Zr"):
        describe("lzoc-base").require(("Li", "Ta"))


def test_a_model_that_was_tampered_with_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(shipped_folder("potentials") / "lzoc-base", tmp_path / "lzoc-base")
    with (tmp_path / "lzoc-base" / "lzoc-base.model").open("ab") as stream:
        stream.write(b"x")
    monkeypatch.setattr(library, "shipped_folder", lambda name: tmp_path)
    with pytest.raises(DataError, match="does not match the sha256"):
        load("lzoc-base")


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glass.model"
    path.write_text("Li3ZrCl4O1.5")
    with pytest.raises(DataError, match=r"glass.model: is no MACE model that this mace can read"):
        load(path, trust=True)


def test_a_model_of_another_version_of_mace_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mace and e3nn on import; torch finds no source of a class that is made here
        import mace.modules.models as models
        import torch

        class MACEOfTomorrow:
            __module__, __qualname__ = "mace.modules.models", "MACEOfTomorrow"

        monkeypatch.setattr(models, "MACEOfTomorrow", MACEOfTomorrow, raising=False)
        torch.save(MACEOfTomorrow(), tmp_path / "new.model")
    monkeypatch.delattr(models, "MACEOfTomorrow")
    with pytest.raises(DataError, match=r"new\.model: is no MACE model that this mace can read \(AttributeError\)"):
        describe(tmp_path / "new.model", trust=True)


def test_a_model_file_of_unknown_origin_is_never_unpickled_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    ran = tmp_path / "ran"

    class Payload:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (os.mkdir, (str(ran),))

    path = tmp_path / "evil.model"
    path.write_bytes(pickle.dumps(Payload()))
    with pytest.raises(
        SettingsError, match=r"a MACE model file is a pickle, .* mlsim potential info .*evil.model --trust"
    ):
        load(path)
    assert not ran.exists()


def test_a_model_file_is_trusted_once_it_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "own.model"
    shutil.copyfile(describe("lzoc-base").path, own)
    with own.open("ab") as stream:
        stream.write(b" ")  # another sha256, the same model: what follows the archive is not read
    with pytest.raises(SettingsError, match="is not on the list of trusted model files"):
        describe(own)
    assert describe(own, trust=True).elements == ("Li", "O", "Cl", "Zr")
    assert describe(own).cutoff_A == 5.0


def test_a_model_file_of_the_users_own_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    own = tmp_path / "own.model"
    shutil.copyfile(describe("lzoc-base").path, own)
    assert type(load(own)).__name__ == "CompiledMACE"
    made = list((tmp_path / "cache" / "compiled").iterdir())
    stamp = made[0].stat().st_mtime_ns
    load(own)
    assert len(made) == 1
    assert made[0].stat().st_mtime_ns == stamp


@pytest.mark.parametrize(("name", "frames", "atoms"), [("lzoc-base", 700, 30_000), ("lzoc-1", 400, 7_000)])
def test_the_list_of_the_data_set_agrees_with_the_requirements(name: str, frames: int, atoms: int) -> None:
    listed = json.loads((shipped_folder("potentials") / name / "dataset.json").read_text())
    assert listed["frames"] == sum(chain["frames"] for chain in listed["chains"].values())
    assert listed["frames"] >= frames
    assert listed["atoms"] >= atoms
    assert {chain["part"] for chain in listed["chains"].values()} == {"train", "validation", "test"}


@pytest.mark.parametrize(("potential", "labels"), [("lzoc-1", "lzoc-dft"), ("lzoc-base", "lzoc-base-labels")])
def test_a_shipped_recipe_splits_its_labels_without_a_shared_structure(potential: str, labels: str) -> None:
    folder = shipped_folder("data") / labels
    of_potential = shipped_folder("potentials") / potential / "recipe.yaml"
    recipe = read_recipe(of_potential if of_potential.exists() else folder / "recipe.yaml")
    check_split(recipe.split(labelled_chains(folder / "labels.extxyz.xz")), recipe.elements)
