"""`report.md` and its figures: the report for a repository, where a page of HTML is not shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from mlsim.io.atomic import atomic_write_text
from mlsim.io.run_folder import read_run
from mlsim.report.figure import FORMATS
from mlsim.report.figures import drawn_figures, save_figure
from mlsim.report.page import templates
from mlsim.report.view import view_of

__all__ = ["FOLDER", "write_markdown_report"]

FOLDER: Final = "figures"


def write_markdown_report(directory: str | os.PathLike[str], *, formats: Sequence[str] = FORMATS) -> Path:
    """Write `report.md` and the folder `figures` from what lies in the folder of a run; return the path of the text.

    Parameters
    ----------
    directory
        Folder of a run, as for `mlsim.report.write_report`.
    formats
        Suffixes of the figures; PNG is what the text shows and is always drawn with others, none draws no figure.

    Raises
    ------
    DataError, SettingsError
        As `mlsim.report.write_report`.
    """
    folder = Path(directory)
    run = read_run(folder)
    view = view_of(run)
    row = None if run.result is None else run.result.row("glass_transition_K")
    refined = () if run.refinement is None else run.refinement.curves
    figures = drawn_figures(view, refined, None if row is None else row.estimate) if formats else {}
    wanted = tuple(dict.fromkeys((".png", *formats)))
    for name, drawing in figures.items():
        for suffix in wanted:
            save_figure(drawing.draw, drawing.height_in, folder / FOLDER / f"{name}{suffix}")
    shown = [(name, drawing.caption, drawing.alt) for name, drawing in figures.items()]
    kinds = [suffix.lstrip(".").upper() for suffix in wanted if suffix != ".png"] or ["PNG"]
    text = templates(html=False).get_template("report.md.j2").render(v=view, figures=shown, formats=kinds)
    target = folder / "report.md"
    atomic_write_text(target, text.strip() + "\n")
    return target
