"""Fine-tuning: where a round starts, what its members see, and a replay head that must not vanish unnoticed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase.data import chemical_symbols
from toy_labels import labelled_frame

from mlsim.errors import DataError, NotConverged, SettingsError
from mlsim.potential import describe, load
from mlsim.potential.dataset import labelled_chains
from mlsim.potential.evaluate import predictions
from mlsim.potential.library import file_sha256
from mlsim.potential.recipe import Recipe, Round, TrainingSettings, round_model
from mlsim.potential.sample import MeltGroup
from mlsim.potential.train import _with_moved_zero, bootstrapped, start_model
from mlsim.potential.trainer import Epoch, TrainerLog, foundation_name, trainer_command
from mlsim.potential.trust import remember_trusted
from mlsim.shipped import shipped_folder

EPOCH = "INFO: Epoch 3: head: Default, loss=0.05, RMSE_E_per_atom=   12.5 meV, RMSE_F=   88.0 meV / A, RMSE_stress= 1.0"


def command(settings: TrainingSettings, start: Path | str | None, work: Path) -> dict[str, str]:
    listed = trainer_command(settings, work, {"Li": -1.5, "Cl": -3.0}, 20.0, start, "cpu")
    return dict(part[2:].split("=", 1) for part in listed if "=" in part)


def test_a_round_starts_from_an_earlier_round_a_potential_a_file_or_a_foundation_model(tmp_path: Path) -> None:
    base = describe("lzoc-base").path
    earlier = round_model(tmp_path, "r0")
    earlier.parent.mkdir()
    earlier.touch()
    assert start_model(tmp_path, "") is None
    assert start_model(tmp_path, "r0") == earlier
    assert start_model(tmp_path, "lzoc-base") == base
    assert start_model(tmp_path, str(base)) == base
    assert start_model(tmp_path, "mace-mpa-0") == "medium-mpa-0"
    with pytest.raises(
        SettingsError, match="no round, potential, file or foundation model; did you mean 'mace-omat-0'"
    ):
        start_model(tmp_path, "mace-omta-0")


def test_every_foundation_name_of_ours_is_one_that_mace_knows() -> None:
    from mace.calculators.foundations_models import mace_mp_names

    assert {foundation_name(n) for n in ("mace-mp-0", "mace-mpa-0", "mace-omat-0", "mace-matpes-pbe-0")} <= set(
        mace_mp_names
    )


def test_the_energy_zeros_are_kept_fitted_or_given(tmp_path: Path) -> None:
    scratch = command(TrainingSettings(), None, tmp_path)
    assert scratch["E0s"] == "{3: -1.5, 17: -3.0}"
    assert "foundation_model" not in scratch
    assert command(TrainingSettings(), "small", tmp_path)["E0s"] == "foundation"
    # without a second head they are moved in the start model, and the trainer keeps them
    assert command(TrainingSettings(e0s="least squares"), "small", tmp_path)["E0s"] == "foundation"
    multihead = TrainingSettings(e0s="least squares", finetuning="multihead")
    assert command(multihead, "small", tmp_path)["E0s"] == "estimated"
    isolated = TrainingSettings(e0s={"Li": -1.5, "Cl": -3.0}, finetuning="multihead")
    assert command(isolated, "small", tmp_path)["E0s"] == "{3: -1.5, 17: -3.0}"


def test_naive_fine_tuning_starts_from_a_model_whose_energy_zeros_were_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "cache"))
    frames = labelled_chains(shipped_folder("data") / "lzoc-dft" / "labels.extxyz.xz")["first-0"]
    base, elements = describe("lzoc-base").path, ("Li", "O", "Cl", "Zr")

    def zeros(path: Path) -> dict[str, float]:
        calculator = load(path, engine="mace")
        numbers = calculator.models[0].atomic_numbers.tolist()
        values = calculator.models[0].atomic_energies_fn.atomic_energies.reshape(-1).tolist()
        return {chemical_symbols[z]: value for z, value in zip(numbers, values, strict=True)}

    given = TrainingSettings(e0s={"Li": -1.0, "O": -2.0, "Cl": -3.0, "Zr": -4.0})
    moved = _with_moved_zero(base, tmp_path / "given.model", given, frames, elements)
    remember_trusted(file_sha256(moved), moved)
    assert zeros(moved) == pytest.approx(given.e0s, abs=1e-5)
    fitted = _with_moved_zero(base, tmp_path / "f.model", TrainingSettings(e0s="least squares"), frames, elements)
    remember_trusted(file_sha256(fitted), fitted)
    errors = {}
    for name, path in (("base", base), ("fitted", fitted)):
        found = predictions(load(path, engine="mace"), frames)
        errors[name] = np.array([(p.energy - p.frame.get_potential_energy()) / len(p.frame) for p in found])
    assert abs(errors["fitted"].mean()) < 0.01 < abs(errors["base"].mean())


def test_a_resumed_learning_curve_lists_each_epoch_once() -> None:
    log = TrainerLog(multihead=False)
    for number, loss in ((3, "0.05"), (4, "0.04"), (4, "0.03")):
        log.read(EPOCH.replace("Epoch 3", f"Epoch {number}").replace("0.05", loss))
    assert [(e.epoch, e.loss) for e in log.epochs] == [(3, 0.05), (4, 0.03)]


def test_a_compiled_file_is_no_start_of_a_training(tmp_path: Path) -> None:
    compiled = describe("lzoc-base").compiled
    with pytest.raises(SettingsError, match="a compiled file has no weights to train; name its source"):
        start_model(tmp_path, str(compiled))


def test_naive_fine_tuning_says_so_and_multihead_names_its_replay_data(tmp_path: Path) -> None:
    assert command(TrainingSettings(), "small", tmp_path)["multiheads_finetuning"] == "False"
    multihead = command(TrainingSettings(finetuning="multihead"), "small", tmp_path)
    assert multihead["multiheads_finetuning"] == "True"
    assert multihead["pt_train_file"] == str(tmp_path / "replay.extxyz")
    assert multihead["force_mh_ft_lr"] == "True"


def test_a_dropped_replay_head_is_refused() -> None:
    TrainerLog(multihead=True).read("INFO: Using heads: ['Default', 'pt_head']")
    TrainerLog(multihead=False).read("INFO: Using heads: ['Default']")
    with pytest.raises(NotConverged, match="multihead fine-tuning was asked for, but mace has switched it off"):
        TrainerLog(multihead=True).read("INFO: Using heads: ['Default']")


def test_the_log_gives_the_learning_curve_and_the_energy_zeros_of_the_head_that_is_trained_for() -> None:
    log = TrainerLog(multihead=True)
    log.read("INFO: Atomic Energies used (z: eV) for head Default: {3: -1.8, 17: -4.2}")
    log.read("INFO: Atomic Energies used (z: eV) for head pt_head: {3: -9.0, 17: -9.0}")
    log.read(EPOCH)
    log.read(EPOCH.replace("Default", "pt_head").replace("88.0", "10.0"))
    assert log.E0s_eV == {"Li": -1.8, "Cl": -4.2}
    assert log.epochs == [Epoch(3, 0.05, 12.5, 88.0)]


def test_bootstrapped_members_see_whole_chains_and_differ() -> None:
    frames = [labelled_frame(f"c{k}", 10 * k + n) for k in range(12) for n in range(2)]
    draws = [[frame.info["chain"] for frame in bootstrapped(frames, seed)] for seed in (1, 2)]
    assert draws[0] != draws[1]
    for draw in draws:
        assert len(draw) == 24
        assert draw[::2] == draw[1::2]
        assert 5 <= len(set(draw)) < 12  # of 12, 7.8 are expected with replacement
    assert [f.info["chain"] for f in bootstrapped(frames, 1)] == draws[0]


def test_only_the_first_member_of_a_round_sees_every_chain() -> None:
    chosen = Round(name="r1", members=3)
    members = [chosen.member(k) for k in range(3)]
    assert [m.bootstrap for m in members] == [False, True, True]
    assert len({m.seed for m in members}) == 3
    assert np.unique([round_model(Path("d"), "r1", k).name for k in range(3)]).size == 3


def test_a_pattern_may_wait_for_chains_of_the_recipe_but_not_for_unknown_ones() -> None:
    group = MeltGroup(name="a", formulas=("LiCl",), densities_g_cm3=(1.5,), seeds=(1, 8, 9))
    recipe = Recipe(
        name="x",
        elements=("Li", "Cl"),
        teacher="gpaw",
        groups=(group,),
        validation=("*-s8",),
        test=("*-s9",),
        rounds=(),
    )
    chains = {f"a-LiCl-1.5-s{k}": [labelled_frame(f"a-LiCl-1.5-s{k}", k)] for k in (1, 8)}
    split = recipe.split(chains)
    assert (len(split.train), len(split.validation), len(split.test)) == (1, 1, 0)
    with pytest.raises(DataError, match=r"pattern '\*-s7' matches no chain"):
        recipe.model_copy(update={"test": ("*-s7",)}).split(chains)
