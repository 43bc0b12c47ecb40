"""The figure of a study for papers and README files: scattering, partials, polyhedra and links, Arrhenius."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlsim.errors import SettingsError
from mlsim.io.atomic import atomic_path
from mlsim.io.series import ArrheniusPart, Line, ReportSeries, read_series
from mlsim.report.palette import ANION, DATA, MODEL, PUBLISHED, SERIES
from mlsim.report.published_line import published_diffusivities
from mlsim.report.structure_charts import JOINT_LINKS, LINK_NAMES, published_links
from mlsim.report.words import pair_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "publication_style", "undated", "write_figure"]

FORMATS: Final = (".png", ".pdf", ".svg")
_FIRST_PAIRS: Final[tuple[str, ...]] = ("O-Zr", "Cl-Zr", "Zr-Zr", "Li-O", "Cl-Li", "Li-Zr")
_LARGEST_R_A: Final = 8.0
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
    _scattering(figure.add_subplot(outer[0, 0]), series)
    _partials(figure.add_subplot(outer[0, 1]), series)
    _coordination(figure.add_subplot(inner[0, 0]), series)
    _links(figure.add_subplot(inner[0, 1]), series)
    _arrhenius(figure.add_subplot(outer[1, 1]), series)
    return figure


def _titled(axes: Axes, letter: str, title: str) -> None:
    axes.set_title(f"({letter}) {title}" if letter else title, loc="left")


def _absent(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=DATA)
    axes.set_xticks([])
    axes.set_yticks([])


def _with_band(axes: Axes, x: Any, line: Line, scale: float, shift: float, **style: Any) -> None:
    y = np.asarray(line.y) * scale + shift
    axes.plot(x, y, **style)
    if line.sigma is not None:
        error = np.asarray(line.sigma) * scale
        axes.fill_between(x, y - error, y + error, color=style["color"], alpha=0.25, linewidth=0)


def _scattering(axes: Axes, series: ReportSeries) -> None:
    glasses = f"{series.n_glasses} glass" + ("" if series.n_glasses == 1 else "es")
    _titled(axes, "a", f"X-ray $G_{{\\mathrm{{PDF}}}}$($r$), {glasses}")
    measured = [curve for curve in series.measured if str(curve.quantity) == "g_pdf"]
    if series.g_pdf is None and not measured:
        _absent(axes, "not computed")
        return
    for curve in measured:
        style: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markersize": 2,
            "markerfacecolor": "none",
            "color": DATA,
        }
        axes.plot(curve.data.x, curve.data.y, label=f"{curve.origin}: {_plain(curve.sample)}", **style)
    # beside data, the model that went through the transform of the data
    model = next((curve.model for curve in measured if curve.model is not None), series.g_pdf)
    if model is not None:
        _with_band(axes, model.x, model, 1.0, 0.0, color=MODEL, label="model ± 1 s.e.")
    axes.set(xlabel="$r$ (Å)", ylabel="$G_{\\mathrm{PDF}}$($r$) (1/Å$^2$)", xlim=(0, None))
    axes.legend(loc="best")


def _plain(text: str) -> str:
    """Matplotlib reads mathematics between dollar signs; what a user wrote must stay text."""
    return text.replace("$", r"\$")


def _partials(axes: Axes, series: ReportSeries) -> None:
    _titled(axes, "b", "Partial $g_{ij}$($r$), scaled to equal height")
    chosen = [pair for pair in _FIRST_PAIRS if pair in series.partials]
    chosen += [pair for pair in sorted(series.partials) if pair not in chosen]
    if not chosen:
        _absent(axes, "not computed")
        return
    right = min(_LARGEST_R_A, max(max(series.partials[pair].x) for pair in chosen))
    for i, pair in enumerate(chosen[: len(_FIRST_PAIRS)]):
        line = series.partials[pair]
        shift = -1.15 * i
        largest = max(line.y) or 1.0
        _with_band(axes, line.x, line, 1 / largest, shift, color=SERIES[i % len(SERIES)])
        name = _plain(pair_text(pair))
        axes.text(right, shift + 0.45, f"{name} (max. {largest:.2g})", ha="right", va="bottom", fontsize=7)
    axes.set(xlabel="$r$ (Å)", ylabel="$g_{ij}$($r$), shifted", xlim=(0, right), yticks=[])


def _coordination(axes: Axes, series: ReportSeries) -> None:
    from matplotlib.ticker import MaxNLocator

    _titled(axes, "c", "Neighbours of Zr")
    if not series.coordination:
        _absent(axes, "not computed")
        return
    width = 0.8 / len(series.coordination)
    for i, part in enumerate(series.coordination):
        at = np.asarray(part.n_neighbours) + (i - (len(series.coordination) - 1) / 2) * width
        error = None if part.standard_error is None else 100 * np.asarray(part.standard_error)
        colour = ANION.get(part.neighbour, SERIES[i % len(SERIES)])
        style: dict[str, Any] = {"color": colour, "ecolor": "0.4", "error_kw": {"linewidth": 0.7}}
        axes.bar(at, 100 * np.asarray(part.fraction), width, yerr=error, label=_plain(part.neighbour), **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="number", ylabel=f"share of {_plain(series.coordination[0].center)} (%)")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])  # a row for the legend, above the bars
    axes.legend(loc="upper right", ncols=len(series.coordination), handlelength=1.0)


def _links(axes: Axes, series: ReportSeries) -> None:
    _titled(axes, "", "Zr–Zr links")
    if not series.links:
        _absent(axes, "not computed")
        return
    published = published_links(series)
    ours = {LINK_NAMES.get(s.label, s.label): (s.fraction, s.standard_error or 0.0) for s in series.links}
    joint = [s.fraction for s in series.links if s.label in JOINT_LINKS]
    if "edge or face" in published and len(joint) == len(JOINT_LINKS):
        ours["edge or face"] = (sum(joint), 0.0)
    names = [*ours, *(name for name in published if name not in ours)]
    for i, name in enumerate(names):
        if name in ours:
            value, error = ours[name]
            kw = {"linewidth": 0.7, "ecolor": "0.4"}
            axes.barh(i - 0.2, 100 * value, 0.38, xerr=100 * error or None, color=MODEL, error_kw=kw)
        if name in published:
            axes.barh(i + 0.2, 100 * published[name], 0.38, color=PUBLISHED)
    axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -1.3)  # downwards, with a row for the legend
    axes.set(xlabel="share (%)", xlim=(0, None))
    axes.bar(0, 0, color=MODEL, label="model")
    if published:
        axes.bar(0, 0, color=PUBLISHED, label="publ. RMC")
    axes.legend(loc="upper right", ncols=2, handlelength=1.0, columnspacing=1.0)


def _arrhenius(axes: Axes, series: ReportSeries) -> None:
    _titled(axes, "d", "Li diffusion")
    part = series.arrhenius
    if part is None:
        _absent(axes, "not computed")
        return
    _arrhenius_fit(axes, part)
    hollow: dict[str, Any] = {"markerfacecolor": "none"}
    for points, style, label in (
        ([p for p in part.points if p.diffusive and p.used], {"marker": "o"}, "model"),
        ([p for p in part.points if p.diffusive and not p.used], {"marker": "o", **hollow}, "not in the fit"),
        ([p for p in part.points if not p.diffusive], {"marker": "v", **hollow}, "upper bound"),
    ):
        if points:
            x, y = [1000 / p.temperature_K for p in points], [p.diffusivity_cm2_s for p in points]
            error = [p.standard_error_cm2_s or 0.0 for p in points]
            axes.errorbar(x, y, yerr=error, linestyle="none", color=MODEL, label=label, **style)
    _published_point(axes, series, part)
    axes.set_yscale("log")
    axes.set(xlabel="1000 / $T$ (1/K)", ylabel="$D$ (cm$^2$/s)")
    axes.legend(loc="lower left")


def _arrhenius_fit(axes: Axes, part: ArrheniusPart) -> None:
    if part.line is None:
        return
    inverse = 1000 / np.asarray(part.line.x)
    axes.plot(inverse, part.line.y, color=MODEL, linewidth=1.0, label="fit")
    if part.line_low is not None and part.line_high is not None:
        axes.fill_between(inverse, part.line_low, part.line_high, color=MODEL, alpha=0.2, linewidth=0, label="68 %")


def _published_point(axes: Axes, series: ReportSeries, part: ArrheniusPart) -> None:
    hottest = max((p.temperature_K for p in part.points), default=1000.0)
    published = published_diffusivities(series.published, part.carriers_per_A3, hottest)
    if published is None:
        return
    if published.line is not None:
        inverse = 1000 / np.asarray(published.line.x)
        axes.plot(inverse, published.line.y, color=PUBLISHED, linewidth=1.0, linestyle="--")
    label = f"published {published.conductivity_mS_cm:g} mS/cm, {published.activation_energy_eV or 0:g} eV"
    if published.activation_energy_eV is None:
        label = f"published {published.conductivity_mS_cm:g} mS/cm"
    axes.plot([1000 / published.temperature_K], [published.diffusivity_cm2_s], "D", color=PUBLISHED, label=label)
