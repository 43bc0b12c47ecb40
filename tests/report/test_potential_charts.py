"""Plots of potentials: classes can be told apart, axes show what is there, each pair has its panel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from mlsim.report.potential_charts import write_calibration, write_pair_curves, write_parity


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Figures as they are saved."""
    figures: list[Any] = []
    save = Figure.savefig

    def keep(self: Any, *args: Any, **kwargs: Any) -> None:
        figures.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def test_ten_classes_have_ten_styles_and_a_legend_beside_the_data(tmp_path: Path, drawn: list[Any]) -> None:
    classes = {f"class {k}": (np.arange(3.0), np.arange(3.0) + k) for k in range(10)}
    write_parity({"energy": classes, "forces": classes}, tmp_path / "parity.png")
    lines = [line for line in drawn[0].axes[0].lines if line.get_label().startswith("class")]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 10
    assert all(axis.get_legend() is None for axis in drawn[0].axes)
    box = drawn[0].legends[0].get_window_extent()
    assert not any(axis.get_window_extent().overlaps(box) for axis in drawn[0].axes)


def test_a_few_symmetric_atoms_do_not_stretch_the_calibration(tmp_path: Path, drawn: list[Any]) -> None:
    rng = np.random.default_rng(0)
    deviation, error = np.exp(rng.normal(-3, 0.5, 2000)), np.exp(rng.normal(-2, 0.5, 2000))
    deviation[:3], error[:3] = 1e-7, 1e-7
    write_calibration(
        deviation, error, scale=2.4, rank_correlation=0.6, thresholds=(0.2, 0.7), path=tmp_path / "calibration.png"
    )
    axis = drawn[0].axes[0]
    assert axis.get_xlim()[0] > 1e-3 and axis.get_ylim()[0] > 1e-3
    assert axis.get_xlim()[1] > 0.7 and axis.get_ylim()[1] > error.max()
    outside = int(np.sum((deviation < axis.get_xlim()[0]) | (error < axis.get_ylim()[0])))
    labels = [text.get_text() for text in axis.get_legend().get_texts()]
    assert outside >= 3 and f"atoms of held-out frames; {outside} with less lie outside" in labels
    assert "root mean square of error / of deviation: 2.4" in labels


def test_each_pair_has_a_panel_with_its_wall_and_its_well(tmp_path: Path, drawn: list[Any]) -> None:
    r = np.linspace(0.5, 3.5, 50)
    curves = {(a, b): (r, 500 * np.exp(-4 * r) - np.exp(-((r - 2) ** 2))) for a in "ABCDE" for b in "XY"}
    write_pair_curves(curves, tmp_path / "pairs.png")
    axes = drawn[0].axes
    assert [axis.get_title() for axis in axes] == [f"{a}–{b}" for a, b in curves]
    assert all(axis.get_xlim() == (0.5, 3.5) and axis.get_yscale() == "symlog" for axis in axes)
