"""Labelling in another process, resumption, and a small training that mace's trainer really does."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from mlsim.errors import DataError, SettingsError
from mlsim.potential import describe, load
from mlsim.potential.crystals import crystal_cell
from mlsim.potential.dataset import dataset_sha256, labelled_chains, split_by_chain
from mlsim.potential.label import label_dataset
from mlsim.potential.label_worker import PlaneWavePBE, whole_frames
from mlsim.potential.recipe import Recipe, Round, TrainingSettings, read_recipe
from mlsim.potential.train import atomic_reference_energies, train
from mlsim.shipped import shipped_folder

TEACHER = "ase:ase.calculators.lj:LennardJones"


def salt_frames(chain: str, n: int, seed: int) -> list[Atoms]:
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(n):
        grid = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), -1).reshape(-1, 3) * 1.3
        atoms = Atoms("LiClClLiClLiLiCl", positions=grid + rng.normal(0, 0.08, grid.shape), cell=[2.6] * 3, pbc=True)
        atoms.info["chain"] = chain
        frames.append(atoms)
    return frames


def sampled(folder: Path) -> Path:
    (folder / "frames").mkdir(parents=True)
    for k, chain in enumerate(("a-s1", "a-s2", "a-s8", "a-s9")):
        write(folder / "frames" / f"{chain}.extxyz", salt_frames(chain, 4, k), format="extxyz")
    return folder


def test_labels_are_those_of_the_teacher_and_a_second_call_does_nothing(tmp_path: Path) -> None:
    folder = sampled(tmp_path)
    assert label_dataset(folder, TEACHER, python=sys.executable, jobs=2) == 4
    frame = labelled_chains(folder)["a-s1"][2]
    own = frame.copy()
    own.calc = LennardJones()
    assert np.allclose(frame.get_forces(), own.get_forces(), atol=1e-6)
    assert label_dataset(folder, TEACHER) == 0


def test_a_torn_last_frame_is_cut_and_whole_ones_are_kept(tmp_path: Path) -> None:
    part = tmp_path / "a.extxyz.part"
    write(part, salt_frames("a", 3, 1), format="extxyz")
    whole = part.read_bytes()
    part.write_bytes(whole[:-40])
    assert whole_frames(part) == 2
    assert len(read(part, index=":", format="extxyz")) == 2


def test_labelling_killed_with_its_workers_goes_on_after_the_last_whole_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_ions.py").write_text(
        "import time\nfrom ase.calculators.lj import LennardJones\n"
        "class Slow(LennardJones):\n"
        "    def calculate(self, *given):\n        time.sleep(0.15)\n        super().calculate(*given)\n"
        "    def settings(self, atoms):\n        return {'settings': 'slow'}\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    teacher, broken, whole = "ase:slow_ions:Slow", sampled(tmp_path / "broken"), sampled(tmp_path / "whole")
    code = (
        f"import pathlib; from mlsim.potential import label_dataset as l; l(pathlib.Path({str(broken)!r}), {teacher!r})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL, start_new_session=True)
    while not any(path.stat().st_size for path in broken.glob("labelled/*.part")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    label_dataset(broken, teacher, jobs=2)
    label_dataset(whole, teacher)
    chains, expected = labelled_chains(broken), labelled_chains(whole)
    assert chains.keys() == expected.keys()
    for name, frames in expected.items():
        assert [f.info["settings"] for f in chains[name]] == ["slow"] * 4
        assert dataset_sha256(chains[name]) == dataset_sha256(frames)


def test_a_worker_leaves_the_chain_that_another_is_at_and_takes_the_others(tmp_path: Path) -> None:
    folder = sampled(tmp_path)
    part = folder / "labelled" / "a-s1.extxyz.part"
    part.parent.mkdir()
    with part.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code = f"import pathlib; from mlsim.potential import label_dataset as l; l(pathlib.Path({str(folder)!r}), "
        code += f"{TEACHER!r})"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
        while not all((part.parent / f"a-{n}.extxyz").exists() for n in ("s2", "s8", "s9")):
            assert process.poll() is None
            time.sleep(0.02)
        assert part.exists()
        assert process.poll() is None  # it waits for the last one
    assert process.wait(timeout=60) == 0
    assert len(labelled_chains(folder)) == 4
    assert not part.exists()


def test_labels_of_another_calculator_are_not_added_to_a_dataset(tmp_path: Path) -> None:
    folder = sampled(tmp_path)
    label_dataset(folder, TEACHER)
    (folder / "labelled" / "a-s1.extxyz").unlink()
    with pytest.raises(DataError, match=r"was labelled with teacher 'ase.calculators.lj:LennardJones', not 'ase.calc"):
        label_dataset(folder, "ase:ase.calculators.emt:EMT")


def test_labels_with_another_paw_dataset_are_refused_before_the_first_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_paw.py").write_text(
        "import os\nfrom ase.calculators.lj import LennardJones\n"
        "class PAW(LennardJones):\n"
        "    def settings(self, atoms):\n"
        "        return {'settings': 'PBE', **{'paw_' + e: os.environ['PAW'] for e in set(atoms.symbols)}}\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}")
    monkeypatch.setenv("PAW", "one")
    folder = sampled(tmp_path / "d")
    label_dataset(folder, "ase:with_paw:PAW", chains="a-s1")
    monkeypatch.setenv("PAW", "other")
    with pytest.raises(DataError, match=r"was labelled with PAW dataset of \w+ 'one', not 'other'"):
        label_dataset(folder, "ase:with_paw:PAW")
    assert len(list((folder / "labelled").iterdir())) == 1


@pytest.mark.skipif(importlib.util.find_spec("gpaw") is not None, reason="GPAW is installed here")
def test_without_gpaw_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DataError, match=r"not installed here \(.*gpaw.*\); pip install 'mlsim\[dft\]'"):
        label_dataset(sampled(tmp_path), "gpaw")


def test_crystals_get_a_denser_grid_and_glasses_one_point() -> None:
    pbe = object.__new__(PlaneWavePBE)
    salt = crystal_cell("LiCl")
    assert pbe.grid(salt) is None
    salt.info["kind"] = "crystal"
    assert pbe.grid(salt) == (2, 2, 2)
    assert pbe.grid(salt.repeat((2, 1, 1))) == (1, 2, 2)
    wide = Atoms(cell=[9.7, 9.7, 5.0], info={"kind": "crystal"})
    assert pbe.grid(wide) == (1, 1, 2)
    wide.info["linear_strain"] = 0.02  # its unstrained cell is below the limit: one grid for the whole curve
    assert pbe.grid(wide) == (2, 2, 2)


def test_an_unknown_teacher_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown calculator 'vaps'; known: ase, chgnet, gpaw, mace, sevennet"):
        label_dataset(sampled(tmp_path), "vaps")


def test_a_missing_interpreter_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot start '/no/python'"):
        label_dataset(sampled(tmp_path), TEACHER, python="/no/python")


def test_reference_energies_are_recovered_from_sums() -> None:
    frames = salt_frames("a", 3, 1)
    frames[0].numbers[0] = 17  # a first frame of Cl5Li3, or the two elements could not be told apart
    for frame in frames:
        symbols = frame.get_chemical_symbols()
        energy = -2.0 * symbols.count("Li") - 5.0 * symbols.count("Cl")
        frame.calc = SinglePointCalculator(frame, energy=energy)
    assert atomic_reference_energies(frames, ("Li", "Cl")) == pytest.approx({"Li": -2.0, "Cl": -5.0})


def test_the_trainer_makes_a_model_that_goes_on_and_refuses_other_data(tmp_path: Path) -> None:
    folder = sampled(tmp_path)
    label_dataset(folder, TEACHER)
    settings = TrainingSettings(channels=4, layers=1, cutoff_A=2.5, l_max=1, radial_mlp=(8,), epochs=2, batch_size=4)
    recipe = Recipe(
        name="tiny",
        elements=("Li", "Cl"),
        teacher=TEACHER,
        groups=(),
        validation=("*-s8",),
        test=("*-s9",),
        rounds=(Round(name="r0", training=settings),),
    )
    split = split_by_chain(labelled_chains(folder), validation=recipe.validation, test=recipe.test)
    model, work = tmp_path / "models" / "r0.model", tmp_path / "work"
    seen: list[tuple[float, float]] = []
    record = train(recipe, settings, split, work, model, progress=lambda stage, done, total: seen.append((done, total)))
    assert model.stat().st_size > 1000
    assert (2, 2) in seen
    assert record["frames"] == {"train": 8, "validation": 4, "test": 4}
    fewer = split_by_chain(
        {name: frames for name, frames in labelled_chains(folder).items() if name != "a-s2"},
        validation=recipe.validation,
        test=recipe.test,
    )
    with pytest.raises(DataError, match="holds checkpoints of a training with other settings or data"):
        train(recipe, settings, fewer, work, model)


def test_a_recipe_with_an_unknown_key_names_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "name: x\nelements: [Li]\nteacher: chgnet\ngroups: []\nvalidation: []\ntest: []\nrounds: []\nepoch: 3\n"
    )
    with pytest.raises(SettingsError, match=r"recipe.yaml: epoch: Extra inputs are not permitted"):
        read_recipe(path)


def gpaw_python() -> str:
    return os.environ.get("MLSIM_GPAW_PYTHON") or (sys.executable if importlib.util.find_spec("gpaw") else "")


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not gpaw_python(), reason="no GPAW here; name an interpreter that has it in MLSIM_GPAW_PYTHON")
def test_gpaw_gives_the_labels_of_the_shipped_dataset_again(tmp_path: Path) -> None:
    shipped = labelled_chains(shipped_folder("data") / "lzoc-dft" / "labels.extxyz.xz")["first-0"][:1]
    (tmp_path / "frames").mkdir()
    bare = [Atoms(f.symbols, positions=f.positions, cell=f.cell[:], pbc=True, info={"chain": "a"}) for f in shipped]
    write(tmp_path / "frames" / "a.extxyz", bare, format="extxyz")
    label_dataset(tmp_path, "gpaw", python=gpaw_python())
    (again,) = labelled_chains(tmp_path)["a"]
    same = [key for key in again.info if key == "settings" or key.startswith("paw_")]
    assert {key: again.info[key] for key in same} == {key: shipped[0].info[key] for key in same}
    assert again.get_potential_energy() == pytest.approx(shipped[0].get_potential_energy(), abs=1e-4)
    assert np.allclose(again.get_forces(), shipped[0].get_forces(), atol=2e-3)
    assert np.allclose(again.get_stress(), shipped[0].get_stress(), atol=5e-5)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_fine_tuning_with_replay_keeps_one_head_that_the_engine_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    first = labelled_chains(shipped_folder("data") / "lzoc-dft" / "labels.extxyz.xz")
    chains = {name: first[name] for name in ("first-0", "first-1", "first-2", "first-5", "first-6")}
    split = split_by_chain(chains, validation=["first-5"], test=["first-6"])
    base = describe("lzoc-base").path
    settings = TrainingSettings(
        epochs=2,
        learning_rate=1e-3,
        final_learning_rate=5e-4,
        finetuning="multihead",
        e0s="least squares",
        replay="lzoc-base-labels",
        replay_frames=20,
    )
    recipe = Recipe(
        name="x", elements=("Li", "O", "Cl", "Zr"), teacher="gpaw", groups=(), validation=(), test=(), rounds=()
    )
    output = tmp_path / "r.model"
    record = train(recipe, settings, split, tmp_path / "work", output, start_from=base)
    assert len(record["learning_curve"]) == 2
    assert set(record["E0s_eV"]) == {"Li", "O", "Cl", "Zr"}
    frame = chains["first-6"][0]
    errors = {}
    for name, model in (("base", base), ("tuned", output)):
        atoms = frame.copy()
        atoms.calc = load(model, engine="compiled")
        errors[name] = np.sqrt(np.mean((atoms.get_forces() - frame.get_forces()) ** 2))
    assert errors["tuned"] < errors["base"]
