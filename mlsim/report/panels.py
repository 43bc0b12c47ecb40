"""Panels of the figures for papers: each draws one thing on given axes, or says that it is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlsim.curve import Estimate
from mlsim.io.series import ArrheniusPart, Line, ReportSeries
from mlsim.report.palette import ANION, DATA, MODEL, PUBLISHED, SERIES, temperature_colours
from mlsim.report.published_line import published_diffusivities
from mlsim.report.quench_charts import quench_means
from mlsim.report.structure_charts import JOINT_NAME, LINK_NAMES, joint_links, published_links
from mlsim.report.words import pair_text, ratio_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "absent",
    "arrhenius_panel",
    "chlorine_panel",
    "coordination_panel",
    "displacement_panel",
    "links_panel",
    "partials_panel",
    "plain",
    "quench_panel",
    "s_of_q_panel",
    "scattering_panel",
    "titled",
    "with_band",
]

_FIRST_PAIRS: Final[tuple[str, ...]] = ("O-Zr", "Cl-Zr", "Zr-Zr", "Li-O", "Cl-Li", "Li-Zr")
_LARGEST_R_A: Final = 8.0


def titled(axes: Axes, letter: str, title: str) -> None:
    """Write the title of a panel at its left, after its letter where it has one."""
    axes.set_title(f"({letter}) {title}" if letter else title, loc="left")


def absent(axes: Axes, text: str) -> None:
    """Say in the middle of an empty panel why it is empty."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=DATA)
    axes.set_xticks([])
    axes.set_yticks([])


def with_band(axes: Axes, x: Any, line: Line, scale: float, shift: float, **style: Any) -> None:
    """Draw a curve times `scale` plus `shift`, with a band of one standard error."""
    y = np.asarray(line.y) * scale + shift
    axes.plot(x, y, **style)
    if line.sigma is not None:
        error = np.asarray(line.sigma) * scale
        axes.fill_between(x, y - error, y + error, color=style["color"], alpha=0.25, linewidth=0)


def scattering_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw G_PDF(r) of the model, and the user's curve where there is one."""
    glasses = f"{series.n_glasses} glass" + ("" if series.n_glasses == 1 else "es")
    titled(axes, letter, f"X-ray $G_{{\\mathrm{{PDF}}}}$($r$), {glasses}")
    measured = [curve for curve in series.measured if str(curve.quantity) == "g_pdf"]
    if series.g_pdf is None and not measured:
        absent(axes, "not computed")
        return
    for curve in measured:
        style: dict[str, Any] = {
            "linestyle": "none",
            "marker": "o",
            "markersize": 2,
            "markerfacecolor": "none",
            "color": DATA,
        }
        axes.plot(curve.data.x, curve.data.y, label=f"{curve.origin}: {plain(curve.sample)}", **style)
    # beside data, the model that went through the transform of the data
    model = next((curve.model for curve in measured if curve.model is not None), series.g_pdf)
    if model is not None:
        with_band(axes, model.x, model, 1.0, 0.0, color=MODEL, label="model ± 1 s.e.")
    axes.set(xlabel="$r$ (Å)", ylabel="$G_{\\mathrm{PDF}}$($r$) (1/Å$^2$)", xlim=(0, None))
    axes.legend(loc="best")


def plain(text: str) -> str:
    """Matplotlib reads mathematics between dollar signs; what a user wrote must stay text."""
    return text.replace("$", r"\$")


def partials_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw six partial g(r), each scaled to its own maximum."""
    titled(axes, letter, "Partial $g_{ij}$($r$), scaled to equal height")
    chosen = [pair for pair in _FIRST_PAIRS if pair in series.partials]
    chosen += [pair for pair in sorted(series.partials) if pair not in chosen]
    if not chosen:
        absent(axes, "not computed")
        return
    right = min(_LARGEST_R_A, max(max(series.partials[pair].x) for pair in chosen))
    for i, pair in enumerate(chosen[: len(_FIRST_PAIRS)]):
        line = series.partials[pair]
        shift = -1.15 * i
        largest = max(line.y) or 1.0
        with_band(axes, line.x, line, 1 / largest, shift, color=SERIES[i % len(SERIES)])
        name = plain(pair_text(pair))
        axes.text(right, shift + 0.45, f"{name} (max. {largest:.2g})", ha="right", va="bottom", fontsize=7)
    axes.set(xlabel="$r$ (Å)", ylabel="$g_{ij}$($r$), shifted", xlim=(0, right), yticks=[])


def coordination_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw the shares of centres by their number of neighbours."""
    from matplotlib.ticker import MaxNLocator

    titled(axes, letter, "Neighbours of Zr")
    if not series.coordination:
        absent(axes, "not computed")
        return
    width = 0.8 / len(series.coordination)
    for i, part in enumerate(series.coordination):
        at = np.asarray(part.n_neighbours) + (i - (len(series.coordination) - 1) / 2) * width
        error = None if part.standard_error is None else 100 * np.asarray(part.standard_error)
        colour = ANION.get(part.neighbour, SERIES[i % len(SERIES)])
        style: dict[str, Any] = {"color": colour, "ecolor": "0.4", "error_kw": {"linewidth": 0.7}}
        axes.bar(at, 100 * np.asarray(part.fraction), width, yerr=error, label=plain(part.neighbour), **style)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="number", ylabel=f"share of {plain(series.coordination[0].center)} (%)")
    axes.set_ylim(0, 1.15 * axes.get_ylim()[1])  # a row for the legend, above the bars
    axes.legend(loc="upper right", ncols=len(series.coordination), handlelength=1.0)


def links_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw the shares of the links between polyhedra beside the published ones."""
    titled(axes, letter, "Zr–Zr links")
    if not series.links:
        absent(axes, "not computed")
        return
    published = published_links(series)
    kinds = [s for s in series.links if s.label in LINK_NAMES] or series.links
    ours = {LINK_NAMES.get(s.label, s.label): (s.fraction, s.standard_error or 0.0) for s in kinds}
    joint = joint_links(series)
    if JOINT_NAME in published and joint is not None:
        ours[JOINT_NAME] = joint
    names = [*ours, *(name for name in published if name not in ours)]
    for i, name in enumerate(names):
        if name in ours:
            value, error = ours[name]
            kw = {"linewidth": 0.7, "ecolor": "0.4"}
            axes.barh(i - 0.2, 100 * value, 0.38, xerr=100 * error or None, color=MODEL, error_kw=kw)
        if name in published:
            axes.barh(i + 0.2, 100 * published[name], 0.38, color=PUBLISHED)
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -1.3)  # downwards, with a row for the legend
    axes.set(xlabel="share (%)", xlim=(0, None))
    axes.bar(0, 0, color=MODEL, label="model")
    if published:
        axes.bar(0, 0, color=PUBLISHED, label="publ. RMC")
    axes.legend(loc="upper right", ncols=2, handlelength=1.0, columnspacing=1.0)


def arrhenius_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw diffusivities, the line through them with its 68 % band, and the published conductivity."""
    titled(axes, letter, "Li diffusion")
    part = series.arrhenius
    if part is None:
        absent(axes, "not computed")
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
            error = ratio_errors(y, [p.standard_error_cm2_s for p in points])
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


def s_of_q_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw S(Q) of the model, and the user's curve where there is one."""
    titled(axes, letter, "X-ray $S$($Q$)")
    if series.s_of_q is None:
        absent(axes, "not computed")
        return
    for curve in series.measured:
        if str(curve.quantity) == "s_of_q":
            axes.plot(curve.data.x, curve.data.y, "o", ms=2, mfc="none", color=DATA, label=plain(curve.sample))
    with_band(axes, series.s_of_q.x, series.s_of_q, 1.0, 0.0, color=MODEL, label="model ± 1 s.e.")
    axes.set(xlabel="$Q$ (1/Å)", ylabel="$S$($Q$)", xlim=(0, None))
    axes.legend(loc="best")


def chlorine_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw the shares of Cl by their number of Zr."""
    titled(axes, letter, "Cl by number of Zr")
    if not series.cl_by_zr:
        absent(axes, "not computed")
        return
    at = np.arange(len(series.cl_by_zr))
    error = [100 * (share.standard_error or 0.0) for share in series.cl_by_zr]
    kw: dict[str, Any] = {"linewidth": 0.7, "ecolor": "0.4"}
    axes.bar(at - 0.2, [100 * s.fraction for s in series.cl_by_zr], 0.38, yerr=error, color=MODEL, error_kw=kw)
    terminal = None if series.published is None else series.published.value("cl_terminal_fraction")
    if terminal is not None:
        axes.bar(1.2, 100 * terminal.value, 0.38, color=PUBLISHED, label="publ. RMC")
        axes.legend(loc="best")
    axes.set_xticks(at, [plain(share.label) for share in series.cl_by_zr])
    axes.set(xlabel="Zr neighbours", ylabel="share of Cl (%)")


def displacement_panel(axes: Axes, series: ReportSeries, letter: str = "") -> None:
    """Draw the mean squared displacement on logarithmic scales; thick is the window of the fit."""
    titled(axes, letter, "Mean squared displacement")
    if not series.msd:
        absent(axes, "not computed")
        return
    colours = temperature_colours([part.temperature_K for part in series.msd])
    for part, colour in sorted(zip(series.msd, colours, strict=True), key=lambda pair: -pair[0].temperature_K):
        lag, msd = np.array(part.lag_ps), np.array(part.msd_A2)
        kept = (lag > 0) & (msd > 0)
        bound = "" if part.diffusive else " (bound)"
        axes.plot(lag[kept], msd[kept], color=colour, label=f"{part.temperature_K:g} K{bound}")
        if part.fit_from_ps is not None and part.fit_to_ps is not None:
            window = kept & (lag >= part.fit_from_ps) & (lag <= part.fit_to_ps)
            axes.plot(lag[window], msd[window], color=colour, linewidth=3.5, alpha=0.4)
    element = plain(series.msd[0].element)
    axes.set(xscale="log", yscale="log", xlabel="lag time (ps)", ylabel=f"MSD of {element} (Å$^2$)")
    axes.legend(loc="upper left")


def quench_panel(axes: Axes, series: ReportSeries, letter: str = "", *, transition: Estimate | None = None) -> None:
    """Draw the density along the quench, the lines that look for a kink, and the glass transition as a grey band."""
    titled(axes, letter, "Density along the quench")
    drawn = [(part, *quench_means(part)[:2]) for part in series.thermo]
    drawn = [entry for entry in drawn if len(entry[1]) > 1]
    if not drawn:
        absent(axes, "not recorded")
        return
    for i, (part, temperature, density) in enumerate(drawn):
        style, colour = (".-" if part.quench is None else "."), SERIES[i % len(SERIES)]
        axes.plot(temperature, density, style, color=colour, markersize=3, label=plain(part.label))
        if part.quench is not None:
            dashes = "--" if part.quench.kink_by_volume_K is None else "-"
            axes.plot(temperature, part.quench.density_fit_g_cm3, dashes, color=colour, linewidth=0.9)
    if transition is not None and np.isfinite(transition.value):
        half = transition.standard_error or 0.0
        ends = (transition.value - half, transition.value + half)
        axes.axvspan(*ends, color=DATA, alpha=0.3, label="glass transition (energy)")
    axes.set(xlabel="temperature (K)", ylabel="density (g/cm$^3$)")
    axes.legend(loc="best")
