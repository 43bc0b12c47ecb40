"""The figure for papers: written whole in three formats, the same bytes every time, missing panels said."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlsim.errors import SettingsError
from mlsim.io.series import Line, MeasuredCurve
from mlsim.report import publication_style, write_figure

Writer = Callable[..., Path]


@pytest.mark.parametrize(("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml")])
def test_the_figure_is_written_in_the_format_of_its_name(run_folder: Writer, suffix: str, magic: bytes) -> None:
    folder = run_folder()
    path = write_figure(folder, folder / f"figure{suffix}")
    assert path.read_bytes()[: len(magic)] == magic
    assert sorted(p.name for p in folder.iterdir()) == sorted([f"figure{suffix}", "result.json", "series.json"])


def test_the_same_run_gives_the_same_bytes(run_folder: Writer) -> None:
    folder = run_folder()
    assert write_figure(folder, folder / "a.svg").read_bytes() == write_figure(folder, folder / "b.svg").read_bytes()


def test_panels_name_the_published_values_and_missing_ones_say_so(run_folder: Writer) -> None:
    folder = run_folder()
    text = write_figure(folder, folder / "a.svg").read_text(encoding="utf-8")
    assert "published 1.35 mS/cm, 0.294 eV" in text and "publ. RMC" in text and "not computed" not in text
    folder = run_folder(g_pdf=None, partials={}, coordination=(), links=(), arrhenius=None)
    assert write_figure(folder, folder / "b.svg").read_text(encoding="utf-8").count("not computed") == 5


def test_a_users_dollar_signs_stay_text(run_folder: Writer) -> None:
    data = Line(x=(1.0, 2.0), y=(1.0, 0.0))
    curve = MeasuredCurve(quantity="g_pdf", radiation="xray", sample=r"$\frac{", source="", data=data)
    folder = run_folder(measured=(curve,))
    assert r"$\frac{" in write_figure(folder, folder / "a.svg").read_text(encoding="utf-8")


def test_another_format_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot draw a figure as '.gif'; expected one of .png, .pdf, .svg"):
        write_figure(tmp_path, tmp_path / "figure.gif")


def test_the_style_ends_with_its_block() -> None:
    import matplotlib

    before = matplotlib.rcParams["font.size"]
    with publication_style():
        assert matplotlib.rcParams["font.size"] == 8.0
    assert matplotlib.rcParams["font.size"] == before
