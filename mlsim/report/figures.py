"""The figures of a report as files for papers and repositories: one per section, in PNG, PDF and SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mlsim.errors import SettingsError, did_you_mean
from mlsim.io.atomic import atomic_path
from mlsim.io.run_folder import RefinedCurve
from mlsim.io.series import ReportSeries
from mlsim.report.figure import FORMATS, publication_style, undated
from mlsim.report.glass_panel import glass_panel
from mlsim.report.palette import DATA, DIFFERENCE, MODEL
from mlsim.report.panels import (
    arrhenius_panel,
    chlorine_panel,
    coordination_panel,
    displacement_panel,
    links_panel,
    partials_panel,
    plain,
    quench_panel,
    s_of_q_panel,
    scattering_panel,
)
from mlsim.report.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mlsim.curve import Estimate

__all__ = ["Drawing", "checked_formats", "drawn_figures", "save_figure"]

_DPI: Final = 220
_WIDTH_IN: Final = 7.0

Draw = Callable[["Figure"], None]
Planned = tuple[str, bool, str, list[str], Draw, float]


@dataclass(frozen=True)
class Drawing:
    """A figure: one line below it, words for those who cannot see it, what draws it, and its height in inches."""

    caption: str
    alt: str
    draw: Draw
    height_in: float


def checked_formats(names: str) -> tuple[str, ...]:
    """Return the suffixes of a list such as "pdf,svg".

    Examples
    --------
    >>> checked_formats("pdf, svg"), checked_formats("none")
    (('.pdf', '.svg'), ())

    Raises
    ------
    SettingsError
        For a format that is not drawn.
    """
    wanted = [name.strip().lower().lstrip(".") for name in names.split(",") if name.strip()]
    known = [suffix.lstrip(".") for suffix in FORMATS]
    if wanted == ["none"]:
        return ()
    for name in wanted:
        if name not in known:
            raise SettingsError(f"--figures '{name}': {did_you_mean(name, [*known, 'none'])}")
    return tuple(f".{name}" for name in dict.fromkeys(wanted))


def drawn_figures(
    view: View, refined: Sequence[RefinedCurve] = (), transition: Estimate | None = None
) -> dict[str, Drawing]:
    """Return the figures that a run has data for, by name.

    Parameters
    ----------
    view
        What the report shows of the run.
    refined
        Curves of a refinement.
    transition
        Glass transition, K.
    """
    series = view.series
    scene = view.scene
    alts = {name.removeprefix(view.prefix): text for name, text in view.alts.items()}

    found = _planned(series, transition)
    figures = {
        name: Drawing(caption, " ".join(alts[key] for key in keys if key in alts), draw, height)
        for name, there, caption, keys, draw, height in found
        if there
    }
    if scene is not None:
        caption = f"{scene.label.capitalize()} with the polyhedra of {scene.center}."
        figures["glass"] = Drawing(caption, view.scene_alt, lambda figure: glass_panel(figure.subplots(), scene), 4.2)
    for curve in refined:
        caption = f"Reverse Monte Carlo: {curve.name}, mean of the fits and the difference."
        figures[f"rmc-{curve.name}"] = Drawing(caption, alts.get(f"rmc_{curve.name}", caption), _refined(curve), 2.6)
    return figures


def _planned(series: ReportSeries, transition: Estimate | None) -> tuple[Planned, ...]:
    """Return name, whether there are data, caption, plots whose alternative texts it has, drawing and height."""

    def quench(axes: Any, series: Any) -> None:
        quench_panel(axes, series, transition=transition)

    return (
        (
            "scattering",
            bool(series.g_pdf or series.s_of_q or series.measured),
            "X-ray G_PDF(r) and S(Q), mean over glasses with a band of one standard error.",
            ["g_pdf", "s_of_q"],
            _row(series, scattering_panel, s_of_q_panel),
            2.6,
        ),
        (
            "partials",
            bool(series.partials),
            "Partial g(r), mean over glasses with a band of one standard error.",
            ["partials"],
            _row(series, partials_panel),
            3.4,
        ),
        (
            "polyhedra",
            bool(series.coordination or series.links or series.cl_by_zr),
            "Neighbours of Zr, links between polyhedra and surroundings of Cl, beside published shares.",
            ["coordination", "links", "chlorine"],
            _row(series, coordination_panel, links_panel, chlorine_panel),
            2.5,
        ),
        (
            "transport",
            bool(series.msd or series.arrhenius),
            "Mean squared displacement (thick: window of the fit), and Arrhenius line with its 68 % band.",
            ["msd_log", "arrhenius"],
            _row(series, displacement_panel, arrhenius_panel),
            3.0,
        ),
        (
            "quench",
            bool(series.thermo),
            "Density along the quench, and the glass transition where one was found.",
            ["quench"],
            _row(series, quench),
            2.8,
        ),
    )


def save_figure(draw: Draw, height_in: float, target: Path) -> Path:
    """Draw one figure into a file, whole or not at all, and return its path."""
    from matplotlib.figure import Figure

    with publication_style():
        figure = Figure(figsize=(_WIDTH_IN, height_in))
        draw(figure)
        with atomic_path(target) as temporary:
            figure.savefig(temporary, dpi=_DPI, metadata=undated(target))
    return target


def _row(series: Any, *panels: Callable[..., None]) -> Draw:
    """Return what draws panels side by side."""

    def draw(figure: Figure) -> None:
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            panel(axes, series)

    return draw


def _refined(curve: RefinedCurve) -> Draw:
    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        difference = curve.data - curve.model
        lowest = min(curve.data.min(), curve.model.min())
        shift = lowest - difference.max() - 0.05 * (curve.data.max() - lowest)
        axes.plot(curve.x, curve.data, "o", color=DATA, markersize=2, markerfacecolor="none", label="data")
        axes.plot(curve.x, curve.model, color=MODEL, label="mean of the fits")
        axes.plot(curve.x, difference + shift, color=DIFFERENCE, linewidth=0.8, label="data − fit, shifted")
        across = "$Q$ (1/Å)" if curve.of_q else "$r$ (Å)"
        axes.set(xlabel=across, ylabel=f"{plain(curve.name)} (unit of the file)")
        axes.legend(loc="best")

    return draw
