"""Errors of the potential in the report: every shipped card is read, and a committee is drawn with its limits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from conftest import made_up_series

from mlsim.errors import DataError
from mlsim.io.model_card import read_card_errors
from mlsim.io.run_folder import read_run
from mlsim.io.series import PotentialPart, ReportSeries, ThermoPart
from mlsim.report.alt_text import alternative_texts
from mlsim.report.charts import all_charts
from mlsim.report.potential_errors import potential_errors
from mlsim.report.view import view_of
from mlsim.shipped import shipped_folder

CARDS = sorted(shipped_folder("potentials").glob("*/model_card.md"))


def _with_committee(n_steps: int) -> ReportSeries:
    steps = np.arange(n_steps, dtype=float)
    deviation = np.full(n_steps, 0.1)
    deviation[n_steps // 3 + 1] = 0.7  # one step beyond the limit
    part = ThermoPart(
        label="glass 1", time_ps=steps, temperature_K=steps, density_g_cm3=steps, committee_eV_A=tuple(deviation)
    )
    return made_up_series().model_copy(update={"thermo": (part,)})


@pytest.mark.parametrize("n_steps", [40, 2999])
def test_a_committee_is_drawn_with_its_peaks_and_its_limits(n_steps: int) -> None:
    series = _with_committee(n_steps)
    history, warns, stops = all_charts(series, limits=(0.15, 0.5))["committee"]["data"]
    assert max(history["y"]) == 0.7 and len(history["y"]) <= 1200
    assert history["x"][history["y"].index(0.7)] == n_steps // 3 + 1
    assert [warns["y"], stops["y"]] == [[0.15, 0.15], [0.5, 0.5]]
    assert "committee" not in all_charts(made_up_series(), limits=(0.15, 0.5))
    assert alternative_texts(series)["committee"].endswith("glass 1 0.7 eV/Å.")


def test_a_crystal_is_not_said_to_have_had_a_single_model(full_folder: Path) -> None:
    said = {crystal: view_of(read_run(full_folder), crystal=crystal).reasons["committee"] for crystal in (False, True)}
    assert "a single model moved the atoms" in said[False]
    assert "a crystal has none" in said[True] and "single model" not in said[True]


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.parent.name)
def test_every_shipped_card_is_read_with_every_class(card: Path) -> None:
    rows, text = read_card_errors(card), card.read_text("utf-8")
    assert {row.part.split()[0] for row in rows} == {"test", "validation"}
    assert all(row.frames > 0 and row.force_eV_A > 0 for row in rows)
    for row in rows:
        assert f"| {row.label} | {row.frames} | {row.atoms} | {row.energy_meV_per_atom:.1f} " in text
    made = PotentialPart(name=card.parent.name, sha256=re.search(r"\((\w+)\)", text)[1])  # type: ignore[index]
    shown = potential_errors(made)
    assert shown.tables and all(part.startswith("test") for part, _ in shown.tables)
    assert (shown.limits is not None) is (card.parent / "committee.json").is_file()


def test_a_damaged_card_is_said_without_a_path_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model_card.md").write_text("# mine (abcdefabcdef)\n## Errors on test frames\n| melt | 3 |\n", "utf-8")
    (folder / "committee.json").write_text("{}", "utf-8")
    monkeypatch.setattr("mlsim.report.potential_errors.shipped_folder", lambda kind: tmp_path)
    mine = PotentialPart(name="mine", sha256="abcdefabcdef" + "0" * 52)
    with pytest.raises(DataError, match=r"committee.json: holds no limits of a committee \(KeyError\)"):
        potential_errors(mine)
    (folder / "committee.json").unlink()
    note = potential_errors(mine).note
    assert note.startswith("The model card of mine cannot be read: line 3: not a row of") and str(tmp_path) not in note


def test_a_damaged_card_is_one_line(tmp_path: Path) -> None:
    card = tmp_path / "model_card.md"
    card.write_text("## Errors on test frames, x\n| a | frames |\n|---|---|\n| melt | 3 |\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 4: not a row of class, frames, atoms, energy RMSE"):
        read_card_errors(card)
