"""Every command of the documentation runs, or exists with its options.

A bash block that stands under `<!-- run -->` is run, in one folder for each page, with the files that the page
shows (`title="name"`) and a synthetic curve for the user's own. `<!-- run: old => new; ... -->` runs it with
replacements, and `<!-- run if snakemake -->` where Snakemake is installed. All commands of all blocks must exist with
all their options.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main

from mlsim import Composition, pack, total_scattering
from mlsim.cli import app
from mlsim.errors import SettingsError
from mlsim.shipped import shipped_folder
from mlsim.study.workflow import snakemake_command

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if "reference" not in path.parts]
RUN_PAGES = [path for path in PAGES if "<!-- run" in path.read_text(encoding="utf-8")]
BLOCK = re.compile(r"(?:^<!-- run( if snakemake)?(?:: (.*?))? -->\n)?^```(?:bash|sh)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.M | re.S)

QUENCH = """{relax_steps: 20, log_interval_ps: 0.01, segments: [
  {name: melt, kind: hold, temperature_K: 1200, duration_ps: 0.1},
  {name: quench, kind: ramp, from_K: 1200, to_K: 300, rate_K_per_ps: 9000},
  {name: density, kind: hold, ensemble: npt, temperature_K: 300, duration_ps: 0.1}]}"""
"""A quench of a moment: the pages say quick or nothing, and the test has seconds."""

SMALLER = (
    ("glasses: {number: 4, atoms: 114}", f"glasses: {{number: 2, atoms: 38}}\nmelt_quench: {QUENCH}"),
    ("glasses: {number: 6}", f"glasses: {{number: 1, atoms: 35}}\nmelt_quench: {QUENCH}\ntransport: null"),
    ("temperatures_K: [550, 625, 700, 775], time_ps: 60", "temperatures_K: [900], equilibration_ps: 0, time_ps: 0.4"),
    ("--schedule quick --seed", "--schedule moment.yaml --seed"),
    ("--atoms 105", "--atoms 35"),
    ("--atoms 216", "--atoms 27"),
    ("--temperature-K 600 --time-ps 50", "--temperature-K 600 --time-ps 0.2 --equilibration-ps 0"),
    ("--moves-per-atom 500 --runs 8", "--moves-per-atom 20 --runs 2 --jobs 1"),
)


@dataclass(frozen=True)
class Block:
    """A bash block: its lines, and whether and how it is run."""

    page: Path
    text: str
    runs: bool
    needs_snakemake: bool
    replacements: tuple[tuple[str, str], ...]

    @property
    def commands(self) -> list[list[str]]:
        """Words of each line that calls mlsim, without what a shell adds."""
        lines = self.text.replace("\\\n", " ").splitlines()
        words = [shlex.split(line, comments=True) for line in lines]
        return [line[line.index("mlsim") :] for line in words if "mlsim" in line[:1]]


def blocks(page: Path) -> Iterator[Block]:
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        condition, replacements, text = match.groups()
        pairs = tuple(tuple(pair.split(" => ")) for pair in (replacements or "").split("; ") if pair)
        marked = match.group(0).startswith("<!-- run")
        yield Block(page, text, marked, bool(condition), pairs)  # type: ignore[arg-type]


def name(page: Path) -> str:
    return str(page.relative_to(DOCS))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_exists_with_its_options(page: Path) -> None:
    tree = typer.main.get_command(app)
    for block in blocks(page):
        for words in block.commands:
            command: Any = tree
            rest = words[1:]
            while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
                known = command.commands
                assert rest[0] in known, f"{' '.join(words)}: no such command"
                command, rest = known[rest[0]], rest[1:]
            options = {
                option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
            }
            options |= {"--help", "-h"}
            for word in rest:
                if re.match(r"--?[A-Za-z]", word):
                    assert word.partition("=")[0] in options, f"{' '.join(words)}: no option {word}"


def test_pages_show_their_commands() -> None:
    assert {name(page) for page in RUN_PAGES} >= {"tutorial.md", "how-to/own-composition.md", "how-to/campaign.md"}
    assert sum(len(block.commands) for page in PAGES for block in blocks(page)) > 50
    for page in RUN_PAGES:
        assert any(block.runs for block in blocks(page))


def test_the_tutorial_refines_where_the_report_looks() -> None:
    commands = [words for block in blocks(DOCS / "tutorial.md") if block.runs for words in block.commands]
    called = [words[1] for words in commands]
    study = next(words[words.index("--out") + 1] for words in commands if words[1] == "run")
    refined = next(words[words.index("-o") + 1] for words in commands if words[1] == "rmc")
    assert refined == f"{study}/rmc" and "report" in called[called.index("rmc") :]


def prepare(page: Path, folder: Path) -> None:
    """Write the files that a page shows or speaks of."""
    for title, text in FILE.findall(page.read_text(encoding="utf-8")):
        (folder / title).write_text(smaller(text), encoding="utf-8")
    r = np.arange(0.02, 4.0, 0.02)
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 114, density_g_cm3=1.9, seed=9)
    curve = total_scattering([atoms], quantity="g_pdf", r=r, q_max=22.5)
    np.savetxt(folder / "my_glass.gr", np.column_stack([curve.x, curve.y]), header="synthetic: of a random packing")
    (folder / "moment.yaml").write_text(QUENCH, encoding="utf-8")
    shutil.copy(shipped_folder("data") / "li3zrcl4o1.5" / "published.yaml", folder)
    for file in ("tiny.yaml", "tiny-quench.yaml"):
        shutil.copy(shipped_folder("workflows") / "li-zr-o-cl" / file, folder)


def smaller(text: str) -> str:
    for old, new in SMALLER:
        text = text.replace(old, new)
    return text


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUN_PAGES, ids=name)
def test_the_marked_commands_run_as_shown(page: Path, tmp_path: Path) -> None:
    prepare(page, tmp_path)
    tool = tmp_path / ".bin"
    tool.mkdir()
    (tool / "mlsim").write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m mlsim.cli "$@"\n', encoding="utf-8")
    (tool / "mlsim").chmod(0o755)
    for block in blocks(page):
        if not block.runs:
            continue
        if block.needs_snakemake:
            try:
                snakemake_command()
            except SettingsError:
                continue
        text = block.text
        for old, new in block.replacements:
            text = text.replace(old, new)
        script = f'set -e\nexport PATH="{tool}:$PATH"\n{smaller(text)}'
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=850)
        assert done.returncode == 0, f"{text}\n{done.stdout[-1500:]}\n{done.stderr[-1500:]}"
    if name(page) == "tutorial.md":  # its promise: one page with the fit in it
        assert 'id="plot-rmc_' in (tmp_path / "my_study" / "report.html").read_text(encoding="utf-8")
