"""Plots of a series: quantities against composition, curves and Arrhenius lines of all members on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mlsim.composition import place_in_series
from mlsim.io.series import ArrheniusPart, Line
from mlsim.report.ions import DEFAULT_IONS, Ions, ions_of
from mlsim.report.palette import MODEL, PUBLISHED, SERIES
from mlsim.report.published_line import published_diffusivities
from mlsim.report.series_points import OF_LINE, Member, Point, places_of, points_of
from mlsim.report.traces import Chart, axis, chart, error_bars, escaped, lowered, ratio_bars, rounded, thinned
from mlsim.report.transport_charts import line_of_fit
from mlsim.report.words import join_words, ratio_errors, subscripts, value_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "against_composition",
    "axes_of",
    "curves_together",
    "draw_against_composition",
    "ions_of_members",
    "series_alts",
    "series_charts",
]

_AXES: Final = {
    "conductivity_298K_mS_cm": ("conductivity at 298 K", "mS/cm"),
    "activation_energy_eV": ("activation energy", "eV"),
    "density_g_cm3": ("mass density", "g/cm³"),
    "glass_transition_K": ("glass transition", "K"),
}

_LOGARITHMIC: Final = ("conductivity_298K_mS_cm",)
_LOOKS: Final = (
    ("glass", "amorphous", "", "circle", MODEL, "o"),
    ("crystal", "crystalline", "", "square", SERIES[3], "s"),
    ("glass", "amorphous", "doubtful", "circle-open", MODEL, "o"),
    ("crystal", "crystalline", "doubtful", "square-open", SERIES[3], "s"),
    ("glass", "amorphous", "bound", "triangle-down-open", MODEL, "v"),
    ("crystal", "crystalline", "bound", "triangle-down-open", SERIES[3], "v"),
)
"""Word, phase, kind (see `_kind`), plotly symbol, colour and matplotlib marker; those not to be trusted are open."""


def axes_of(ions: Ions) -> dict[str, tuple[str, str]]:
    """Return the quantities that are drawn against composition: name and unit for the axis.

    Examples
    --------
    >>> list(axes_of(Ions("Na", "Al", ("Cl",))))[4:7]
    ['al_cl_coordination', 'al_al_corner_cl_fraction', 'al_al_edge_fraction']
    """
    center, last = ions.center, ions.bridging[-1]
    pair = f"{center}_{center}".lower()
    axes = dict(_AXES)
    for anion in ions.bridging:
        axes[f"{center}_{anion}_coordination".lower()] = (f"{anion} neighbours of {center}", "number")
    for anion in ions.bridging:
        axes[f"{pair}_corner_{anion.lower()}_fraction"] = (f"{ions.links} corners, {anion}", "share of links")
    axes[f"{pair}_edge_fraction"] = (f"{ions.links} edges", "share of links")
    axes[f"{last.lower()}_terminal_fraction"] = (f"{last} on one {center}", f"share of {last}")
    axes[f"{last}_no_{center}_fraction".lower()] = (f"{last} on no {center}", f"share of {last}")
    return axes


def ions_of_members(members: Sequence[Member]) -> Ions:
    """Return the ions of a series: those of its members, which share them, and every anion that one of them has."""
    runs = [member.run.series for member in members if member.run is not None and member.run.series is not None]
    if not runs:
        return DEFAULT_IONS
    found = sorted((ions_of(series) for series in runs), key=lambda ions: -len(ions.bridging))
    return replace(found[0], bridging=tuple(dict.fromkeys(anion for ions in found for anion in ions.bridging)))


def series_charts(members: Sequence[Member]) -> dict[str, Chart]:
    """Return every plot that two members or more have data for."""
    found: dict[str, Chart | None] = {
        f"x_{name}": against_composition(members, name) for name in axes_of(ions_of_members(members))
    }
    found["together_g_pdf"] = curves_together(members, "g_pdf")
    found["together_s_of_q"] = curves_together(members, "s_of_q")
    found["together_arrhenius"] = _arrhenius_together(members)
    return {f"series-{name}": drawn for name, drawn in found.items() if drawn is not None}


def series_alts(members: Sequence[Member]) -> dict[str, str]:
    """Return the alternative text of each plot of `series_charts`."""
    alts: dict[str, str] = {}
    for name, (words, unit) in axes_of(ions_of_members(members)).items():
        points = points_of(members, name)
        said = [f"{p.member.label} {value_text(p.row)}{_caveat(p)}" for p in points]
        if said:
            alts[f"series-x_{name}"] = f"{words} in {unit} against composition: {join_words(said)}."
    labels = join_words([member.label for member in members])
    alts["series-together_g_pdf"] = f"G_PDF(r) of {labels}, shifted upwards one by one."
    alts["series-together_s_of_q"] = f"S(Q) of {labels}, shifted upwards one by one."
    alts["series-together_arrhenius"] = (
        f"Logarithm of the diffusivity against 1000/T of {labels}, with the 68 % band of each line."
    )
    return alts


def against_composition(members: Sequence[Member], name: str) -> Chart | None:
    """Return a quantity against composition, glass and crystal apart, published values beside it."""
    points = points_of(members, name)
    if len(points) < 2:
        return None
    data: list[dict[str, Any]] = []
    for word, phase, kind, symbol, colour, _ in _LOOKS:
        chosen = [p for p in points if p.member.phase == phase and _kind(p) == kind]
        if chosen:
            data.append(_markers(chosen, _legend(word, kind, name), symbol, colour))
    data += _published(points, name)
    words, unit = axes_of(ions_of_members(members))[name]
    places = places_of(members)
    ticks = {"tickvals": [place for place, _ in places.values()], "ticktext": [_broken(t) for _, t in places.values()]}
    log = {"type": "log", "exponentformat": "power", "dtick": "D2"} if name in _LOGARITHMIC else {}
    formula = "Li<sub>2+2<i>x</i></sub>ZrCl<sub>4</sub>O<sub>1+<i>x</i></sub>"
    x = axis(_x_title(members, "<i>x</i>", formula), **ticks, zeroline=False)
    return chart(data, x, axis(f"{words} ({unit})", **log), height=340)


def _kind(point: Point) -> str:
    return "bound" if point.bound else "doubtful" if point.doubtful else ""


def _legend(word: str, kind: str, name: str) -> str:
    """Return the name of a kind of points of a quantity: of one from the line, the doubt is whether it is a liquid."""
    doubt = f" or {'liquid' if word == 'glass' else 'melt'}" if name in OF_LINE else ", not converged"
    return word + {"": "", "bound": ", upper bound", "doubtful": doubt}[kind]


def _caveat(point: Point) -> str:
    return {"doubtful": " (in doubt)"}.get(_kind(point), "")


def _x_title(members: Sequence[Member], x: str, formula: str) -> str:
    """Return what is drawn to the right: of a series other than Li(2+2x)ZrCl4O(1+x) we do not know what its x means."""
    inside = [member for member in members if member.x is not None]
    if not inside:
        return "composition"
    return f"{x} in {formula}" if all(place_in_series(member.formula) == member.x for member in inside) else x


def _typeset(text: str) -> str:
    formula, comma, rest = text.replace("$", r"\$").partition(", ")
    return "".join(f"$_{{{part}}}$" if low else part for part, low in subscripts(formula)) + (
        f",\n{rest}" if comma else ""
    )


def _broken(text: str) -> str:
    return lowered(text).replace(", ", ",<br>")


def _markers(points: Sequence[Point], label: str, symbol: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": rounded([p.place for p in points]),
        "y": rounded([p.value for p in points]),
        "error_y": error_bars([p.errors[1] for p in points], [p.errors[0] for p in points]),
        "text": [lowered(p.member.label) for p in points],
        "name": label,
        "marker": {"size": 9, "symbol": symbol, "color": colour, "line": {"width": 1.5, "color": colour}},
    }


def _published(points: Sequence[Point], name: str) -> list[dict[str, Any]]:
    known = [(p, found) for p in points if (found := p.member.published(name)) is not None]
    if not known:
        return []
    values, errors = [found.value for _, found in known], [found.standard_error or 0.0 for _, found in known]
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": rounded([p.place for p, _ in known]),
            "y": rounded(values),
            "error_y": ratio_bars(values, errors) if name in _LOGARITHMIC else error_bars(errors),
            "text": [escaped(found.source) for _, found in known],
            "name": "published",
            "marker": {"size": 11, "symbol": "diamond", "color": PUBLISHED},
        }
    ]


def _colours(members: Sequence[Member]) -> list[str]:
    """Return the colour of each member, the same in every plot."""
    return [SERIES[i % len(SERIES)] for i in range(len(members))]


def curves_together(members: Sequence[Member], quantity: str) -> Chart | None:
    """Return one curve of every member, each shifted above the one before."""
    lines: list[tuple[str, Line, str]] = []
    for member, colour in zip(members, _colours(members), strict=True):
        line = None if member.run is None or member.run.series is None else getattr(member.run.series, quantity)
        if line is not None:
            lines.append((member.label, line, colour))
    if len(lines) < 2:
        return None
    step = 0.7 * max(max(line.y) - min(line.y) for _, line, _ in lines)
    data = []
    for i, (label, line, colour) in enumerate(lines):
        x, y = thinned(line.x, [value + i * step for value in line.y])
        look = {"color": colour, "width": 1.6}
        data.append({"type": "scatter", "mode": "lines", "x": x, "y": y, "name": lowered(label), "line": look})
    across, up = {
        "g_pdf": ("<i>r</i> (Å)", "<i>G</i><sub>PDF</sub>(<i>r</i>) (1/Å²), shifted"),
        "s_of_q": ("<i>Q</i> (1/Å)", "<i>S</i>(<i>Q</i>), shifted"),
    }[quantity]
    return chart(data, axis(across), axis(up), height=480)


def _arrhenius_together(members: Sequence[Member]) -> Chart | None:
    data: list[dict[str, Any]] = []
    for member, colour in zip(members, _colours(members), strict=True):
        part = None if member.run is None or member.run.series is None else member.run.series.arrhenius
        if part is None or not part.points:
            continue
        hot_first = sorted(part.points, key=lambda point: -point.temperature_K)
        values = [p.diffusivity_cm2_s for p in hot_first]
        symbols = [
            "circle" if p.diffusive and p.used else "circle-open" if p.diffusive else "triangle-down-open"
            for p in hot_first
        ]
        name = lowered(member.label) + (" (a liquid)" if member.liquid_K else "")
        shared = {"type": "scatter", "name": name, "legendgroup": member.label}
        fit = [{**trace, **shared, "showlegend": trace.get("mode") == "lines"} for trace in line_of_fit(part, colour)]
        if member.liquid_K:  # its line does not hold at 298 K, so no band that looks as if it did
            fit = [{**trace, "line": {**trace["line"], "dash": "dot"}} for trace in fit if trace["showlegend"]]
        data.append(
            {
                **shared,
                "showlegend": not fit,  # a line shows the colour better than a point, the first of which may be open
                "mode": "markers",
                "x": rounded([1000 / p.temperature_K for p in hot_first]),
                "y": rounded(values),
                "error_y": ratio_bars(values, [p.standard_error_cm2_s for p in hot_first]),
                "marker": {"size": 8, "color": colour, "symbol": symbols, "line": {"width": 1.4, "color": colour}},
            }
        )
        data += fit
        data += _published_point(member, part, colour)
    if not data:
        return None
    y = axis("<i>D</i> of Li (cm²/s)", type="log", exponentformat="power", dtick=1)
    return chart(data, axis("1000 / <i>T</i> (1/K)"), y, height=460)


def _published_point(member: Member, part: ArrheniusPart, colour: str) -> list[dict[str, Any]]:
    """Return the published conductivity as a diffusivity, in the colour of its member."""
    sample = None if member.run is None or member.run.series is None else member.run.series.published
    found = published_diffusivities(sample, part.carriers_per_A3, 0.0)
    if found is None:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "x": [round(1000 / found.temperature_K, 5)],
            "y": [float(f"{found.diffusivity_cm2_s:.6g}")],
            "text": [escaped(f"{found.conductivity_mS_cm:g} mS/cm at {found.temperature_K:g} K, doi:{found.doi}")],
            "name": f"{lowered(member.label)}, published",
            "legendgroup": member.label,
            "marker": {"size": 11, "symbol": "diamond", "color": colour},
        }
    ]


def _short_decade(value: float, _place: int) -> str:
    """Return the label of a tick of a logarithmic axis: a plain number, at 1, 2 and 5 of a decade."""
    return f"{value:g}" if f"{value:.0e}"[0] in "125" else ""


def draw_against_composition(figure: Figure, members: Sequence[Member], names: Sequence[str]) -> None:
    """Draw quantities against composition, side by side, for papers."""
    places = places_of(members)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        points = points_of(members, name)
        for word, phase, kind, _, colour, marker in _LOOKS:
            chosen = [p for p in points if p.member.phase == phase and _kind(p) == kind]
            if chosen:
                x, y = [p.place for p in chosen], [p.value for p in chosen]
                error = None if kind == "bound" else list(zip(*(p.errors for p in chosen), strict=True))
                fill = {"markerfacecolor": "none"} if kind else {}
                axes.errorbar(x, y, yerr=error, fmt=marker, color=colour, label=_legend(word, kind, name), **fill)
        known = [(p.place, found) for p in points if (found := p.member.published(name)) is not None]
        if known:
            values, errors = [f.value for _, f in known], [f.standard_error or 0.0 for _, f in known]
            at = [place for place, _ in known]
            arms = ratio_errors(values, errors) if name in _LOGARITHMIC else (errors, errors)
            axes.errorbar(at, values, yerr=arms, fmt="D", color=PUBLISHED, markersize=5, label="published")
        words, unit = axes_of(ions_of_members(members))[name]
        texts = [_typeset(text) for _, text in places.values()]
        axes.set_xticks([place for place, _ in places.values()], texts, fontsize=6.5)
        axes.margins(x=0.08)
        axes.set(xlabel=_x_title(members, "$x$", "Li$_{2+2x}$ZrCl$_4$O$_{1+x}$"), ylabel=f"{words} ({unit})")
        if name in _LOGARITHMIC:
            axes.set_yscale("log")
            for labelled in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
                labelled(_short_decade)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=2)
