"""The figure of a study for papers and README files: scattering, partials, polyhedra and links, Arrhenius."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsim.errors import SettingsError
from mlsim.io.atomic import atomic_path
from mlsim.io.series import ReportSeries, read_series
from mlsim.report.panels import arrhenius_panel, coordination_panel, links_panel, partials_panel, scattering_panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "publication_style", "undated", "write_figure"]

FORMATS: Final = (".png", ".pdf", ".svg")
_STYLE: Final[Any] = {
    "figure.constrained_layout.use": True,
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 7.0,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    "errorbar.capsize": 2.0,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "mlsim",
}


@contextmanager
def publication_style() -> Iterator[None]:
    """Use the style of our figures inside the block: 8 pt, thin open axes, text that stays text in PDF and SVG."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def write_figure(directory: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Draw the four-panel figure of the `series.json` in a folder to a file, and return the path of the file.

    (a) G_PDF(r) of the model, with the user's curve where there is one; (b) partial g(r), each scaled to its own
    maximum; (c) neighbours of Zr and Zr–Zr links beside the published ones; (d) Arrhenius with the published
    conductivity. A panel without data says so.

    Parameters
    ----------
    directory
        Folder of a run, with `series.json`.
    path
        File ending in .png (300 dpi), .pdf or .svg; one that exists is replaced in one step.

    Raises
    ------
    SettingsError
        When the ending of `path` is another one.
    DataError
        When `series.json` is missing or does not follow its form, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise SettingsError(f"{target}: cannot draw a figure as '{target.suffix}'; expected one of {known}")
    series = read_series(Path(directory) / "series.json")
    with publication_style():
        drawn = _figure(series)
        with atomic_path(target) as temporary:
            drawn.savefig(temporary, dpi=300, metadata=undated(target))
    return target


def undated(target: Path) -> dict[str, Any]:
    """Return the metadata that make two drawings of the same data the same file."""
    known: dict[str, dict[str, Any]] = {
        ".png": {"Software": None},
        ".pdf": {"CreationDate": None},
        ".svg": {"Date": None},
    }
    return known[target.suffix.lower()]


def _figure(series: ReportSeries) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 5.6))
    outer = figure.add_gridspec(2, 2)
    inner = outer[1, 0].subgridspec(1, 2, width_ratios=(1.0, 1.25))
    scattering_panel(figure.add_subplot(outer[0, 0]), series, "a")
    partials_panel(figure.add_subplot(outer[0, 1]), series, "b")
    coordination_panel(figure.add_subplot(inner[0, 0]), series, "c")
    links_panel(figure.add_subplot(inner[0, 1]), series)
    arrhenius_panel(figure.add_subplot(outer[1, 1]), series, "d")
    return figure
