"""What the README shows works as shown."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsim import Composition, pack, total_scattering, write_structure
from mlsim.cli import main
from mlsim.shipped import DEFAULT_POTENTIAL
from mlsim.study import read_study

README = Path(__file__).parents[1] / "README.md"
DATA = Path("my_glass.gr")


def blocks(language: str) -> list[str]:
    text = README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packings where the README has glasses, and a synthetic curve, computed here, where it has the user's file."""
    monkeypatch.chdir(tmp_path)
    glass = Composition.parse("Li3ZrCl4O1.5")
    for seed in (1, 2, 3, 4):
        atoms = pack(glass, 114, density_g_cm3=1.9, seed=seed)
        write_structure(tmp_path / "li3zrcl4o1.5-quick" / f"glass-0{seed}" / "glass.extxyz", atoms)
    r = np.arange(0.02, 7.0, 0.02)
    curve = total_scattering([pack(glass, 114, density_g_cm3=1.9, seed=9)], quantity="g_pdf", r=r, q_max=22.5)
    np.savetxt(DATA, np.column_stack([curve.x, curve.y]), header="synthetic: computed from a random packing")
    return tmp_path


def test_the_python_example_is_short_and_gives_rw_and_a_figure(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    (example,) = blocks("python")
    assert len([line for line in example.splitlines() if line.strip()]) <= 15
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert re.fullmatch(r"Rw = \d\.\d\d\n", capsys.readouterr().out)
    assert (folder / "g_of_r.png").stat().st_size > 10_000
    assert names["model"].sigma is not None


def test_the_study_example_is_a_valid_study(folder: Path) -> None:
    (example,) = blocks("yaml")
    (folder / "my_study.yaml").write_text(example, encoding="utf-8")
    study = read_study(folder / "my_study.yaml")
    assert study.composition == "Li2ZrCl4O"
    assert study.measurement[0].label == "my_glass"
    assert study.potential == DEFAULT_POTENTIAL


def test_the_error_example_is_what_the_command_prints(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "my_study.yaml").write_text("composition: Li2ZrCl4O\nglases: {number: 4}\n", encoding="utf-8")
    with pytest.raises(SystemExit):
        main(["run", "my_study.yaml"])
    assert capsys.readouterr().err in README.read_text(encoding="utf-8")


def test_every_command_of_the_readme_exists_with_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [line.split("#")[0] for block in blocks("bash") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("mlsim ")]
    assert len(commands) >= 7
    for _, name, *arguments in commands:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        text = capsys.readouterr().out
        for option in (argument for argument in arguments if argument.startswith("-")):
            assert option in text, (name, option)


def test_every_file_that_the_readme_shows_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))
    assert "docs/quick.png" in links
    assert [link for link in links if not (README.parent / link).is_file()] == []
