"""Labelling in another process, resumption, and a small training that mace's trainer really does."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from mlsim.errors import DataError, SettingsError
from mlsim.potential.dataset import labelled_chains, split_by_chain
from mlsim.potential.label import label_dataset
from mlsim.potential.label_worker import whole_frames
from mlsim.potential.recipe import Recipe, Round, TrainingSettings, read_recipe
from mlsim.potential.train import atomic_reference_energies, train

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


def test_an_unknown_teacher_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="unknown calculator 'vaps'; known: ase, chgnet, mace, sevennet"):
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
