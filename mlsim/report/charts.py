"""The interactive plots, as plain dictionaries in plotly's form: data, layout, and how to lay out panels.

Nothing here needs the plotly package; the page brings plotly.js. Each function returns None for an empty part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mlsim.io.series import ArrheniusPart, Line, MeasuredCurve, MsdPart, ReportSeries
from mlsim.report.palette import ANION, DATA, DIFFERENCE, MODEL, PUBLISHED, SERIES, faded, temperature_colours
from mlsim.report.published_line import published_diffusivities

__all__ = ["Chart", "all_charts"]

Chart = dict[str, Any]

_MOST_POINTS: Final = 1200
_LINK_NAMES: Final = {
    "zr_zr_corner_o_fraction": "corner, O",
    "zr_zr_corner_cl_fraction": "corner, Cl",
    "zr_zr_edge_fraction": "edge",
    "zr_zr_face_fraction": "face",
}


def all_charts(series: ReportSeries) -> dict[str, Chart]:
    """Return every plot that the series has data for, by the name of its place in the page."""
    found: dict[str, Chart | None] = {
        "g_pdf": _scattering(series, "g_pdf"),
        "s_of_q": _scattering(series, "s_of_q"),
        "partials": _partials(series),
        "coordination": _coordination(series),
        "links": _links(series),
        "chlorine": _chlorine(series),
        "msd_log": _displacement(series, logarithmic=True),
        "msd_linear": _displacement(series, logarithmic=False),
        "arrhenius": _arrhenius(series),
        "thermo": _thermo(series),
    }
    for i, curve in enumerate(series.measured):
        if str(curve.quantity) not in ("g_pdf", "s_of_q"):
            found[f"measured_{i}"] = _measured_alone(curve)
    return {name: chart for name, chart in found.items() if chart is not None}


def _chart(data: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any], height: int = 380, **layout: Any) -> Chart:
    return {
        "data": data,
        "layout": {"xaxis": x, "yaxis": y, "height": height, **layout},
    }


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}, **more}


def _rounded(values: Sequence[float]) -> list[float]:
    return [float(f"{value:.6g}") for value in values]


def _thinned(*arrays: Sequence[float] | None) -> list[list[float] | None]:
    """Return arrays with at most `_MOST_POINTS` points, evenly taken, the last one kept."""
    length = next(len(array) for array in arrays if array is not None)
    if length <= _MOST_POINTS:
        picked = list(range(length))
    else:
        picked = np.unique(np.linspace(0, length - 1, _MOST_POINTS).round().astype(int)).tolist()
    return [None if array is None else _rounded([array[i] for i in picked]) for array in arrays]


def _line_with_band(line: Line, name: str, colour: str, **trace: Any) -> list[dict[str, Any]]:
    """Return the traces of a curve and, where it has errors, of the band of one standard error around it."""
    x, y = _rounded(line.x), _rounded(line.y)
    traces: list[dict[str, Any]] = []
    if line.sigma is not None and any(line.sigma):
        low = [a - b for a, b in zip(line.y, line.sigma, strict=True)]
        high = [a + b for a, b in zip(line.y, line.sigma, strict=True)]
        traces.append(
            {
                "type": "scatter",
                "x": x + x[::-1],
                "y": _rounded(high + low[::-1]),
                "fill": "toself",
                "fillcolor": faded(colour, 0.25),
                "line": {"width": 0},
                "name": "± 1 standard error",
                "legendgroup": name,
                "hoverinfo": "skip",
                "showlegend": trace.get("showlegend", True),
                **{key: value for key, value in trace.items() if key in ("xaxis", "yaxis")},
            }
        )
    traces.append(
        {
            "type": "scatter",
            "x": x,
            "y": y,
            "mode": "lines",
            "name": name,
            "legendgroup": name,
            "line": {"color": colour, "width": 1.8},
            **trace,
        }
    )
    return traces


_CURVE_AXES: Final = {
    "g_pdf": ("<i>r</i> (Å)", "<i>G</i><sub>PDF</sub>(<i>r</i>) (1/Å²)"),
    "s_of_q": ("<i>Q</i> (1/Å)", "<i>S</i>(<i>Q</i>)"),
    "i_of_q": ("<i>Q</i> (1/Å)", "<i>S</i>(<i>Q</i>) − 1"),
    "qi_of_q": ("<i>Q</i> (1/Å)", "<i>Q</i> [<i>S</i>(<i>Q</i>) − 1] (1/Å)"),
    "f2_of_q": ("<i>Q</i> (1/Å)", "(<i>S</i> − 1) ⟨<i>f</i>⟩²/⟨<i>f</i>²⟩"),
    "g_of_r": ("<i>r</i> (Å)", "<i>g</i>(<i>r</i>)"),
    "t_of_r": ("<i>r</i> (Å)", "<i>T</i>(<i>r</i>) (1/Å²)"),
}


def _scattering(series: ReportSeries, quantity: str) -> Chart | None:
    model: Line | None = getattr(series, quantity)
    measured = [curve for curve in series.measured if str(curve.quantity) == quantity]
    if model is None and not measured:
        return None
    data: list[dict[str, Any]] = []
    if model is not None:
        data += _line_with_band(model, "model", MODEL)
    for curve in measured:
        data += _data_and_difference(curve, model, draw_model=model is None)
    x_title, y_title = _CURVE_AXES[quantity]
    return _chart(data, _axis(x_title), _axis(y_title))


def _measured_alone(curve: MeasuredCurve) -> Chart:
    x_title, y_title = _CURVE_AXES[str(curve.quantity)]
    return _chart(_data_and_difference(curve, None, draw_model=True), _axis(x_title), _axis(y_title))


def _data_and_difference(curve: MeasuredCurve, general: Line | None, *, draw_model: bool) -> list[dict[str, Any]]:
    """Return the user's curve and, below it, data minus model where both are known."""
    x, y, _ = _thinned(curve.data.x, curve.data.y, None)
    label = f"{curve.origin}: {curve.sample}" + (f", {curve.source}" if curve.source else "")
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": x,
            "y": y,
            "mode": "markers",
            "name": _escaped(label),
            "marker": {"size": 4, "color": DATA, "symbol": "circle-open"},
        }
    ]
    model = curve.model or general
    if model is None:
        return traces
    if curve.model is not None:
        name = "model" if draw_model else "model on the data's grid"
        dash = {} if draw_model else {"line": {"color": MODEL, "width": 1.4, "dash": "dot"}}
        traces[:0] = _line_with_band(curve.model, name, MODEL, **dash)
    at = np.asarray(curve.data.x)
    inside = (at >= model.x[0]) & (at <= model.x[-1])
    if inside.any():
        difference = np.asarray(curve.data.y)[inside] - np.interp(at[inside], model.x, model.y)
        lowest = min(min(curve.data.y), min(model.y))
        offset = lowest - float(np.max(difference)) - 0.05 * (max(curve.data.y) - lowest)
        shown_x, shown_y, _ = _thinned(at[inside].tolist(), (difference + offset).tolist(), None)
        traces.append(
            {
                "type": "scatter",
                "x": shown_x,
                "y": shown_y,
                "mode": "lines",
                "name": "data − model (shifted)",
                "line": {"color": DIFFERENCE, "width": 1.2},
            }
        )
    return traces


def _escaped(text: str) -> str:
    """Plotly reads a little HTML in labels; what a user wrote must stay text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _partials(series: ReportSeries) -> Chart | None:
    if not series.partials:
        return None
    data: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i, (pair, line) in enumerate(sorted(series.partials.items())):
        number = "" if i == 0 else str(i + 1)
        data += _line_with_band(
            line,
            _escaped(pair.replace("-", "–")),
            SERIES[i % len(SERIES)],
            showlegend=False,
            xaxis=f"x{number}",
            yaxis=f"y{number}",
        )
        annotations.append(
            {
                "text": f"<b>{_escaped(pair.replace('-', '–'))}</b>",
                "xref": f"x{number} domain",
                "yref": f"y{number} domain",
                "x": 0.96,
                "y": 0.96,
                "xanchor": "right",
                "yanchor": "top",
                "showarrow": False,
            }
        )
        layout[f"xaxis{number}"] = _axis("<i>r</i> (Å)", title_standoff=4, nticks=5)
        layout[f"yaxis{number}"] = {"rangemode": "tozero", "nticks": 5}
        layout[f"yaxis{number}"]["title"] = {"text": "<i>g</i>(<i>r</i>)", "standoff": 4}
    layout.update({"annotations": annotations, "showlegend": False, "height": 460})
    return {"data": data, "layout": layout, "panels": {"number": len(series.partials), "wide": 5, "narrow": 2}}


def _coordination(series: ReportSeries) -> Chart | None:
    if not series.coordination:
        return None
    data = [
        {
            "type": "bar",
            "x": list(part.n_neighbours),
            "y": _rounded(part.fraction),
            "error_y": _error_bars(part.standard_error),
            "name": _escaped(f"{part.neighbour} around {part.center}"),
            "marker": {"color": ANION.get(part.neighbour, SERIES[i % len(SERIES)])},
        }
        for i, part in enumerate(series.coordination)
    ]
    center = _escaped(series.coordination[0].center)
    return _chart(
        data,
        _axis("neighbours", dtick=1),
        _axis(f"share of {center}", rangemode="tozero", tickformat=".0%"),
        barmode="group",
    )


def _error_bars(errors: Sequence[float] | None) -> dict[str, Any]:
    if errors is None:
        return {"visible": False}
    return {"type": "data", "array": _rounded(errors), "thickness": 1.2, "width": 4, "color": "#8a8f98"}


def _links(series: ReportSeries) -> Chart | None:
    if not series.links:
        return None
    names = [_LINK_NAMES.get(share.label, _escaped(share.label)) for share in series.links]
    values = [share.fraction for share in series.links]
    errors: list[float] | None = [share.standard_error or 0.0 for share in series.links]
    if all(share.standard_error is None for share in series.links):
        errors = None
    joint = [share.fraction for share in series.links if share.label in tuple(_LINK_NAMES)[2:]]
    published = _published_links(series)
    if "edge or face" in published and len(joint) == 2:
        names.append("edge or face")
        values.append(sum(joint))
        errors = None if errors is None else [*errors, 0.0]
    data = [_bars(names, values, errors, f"model ({series.n_glasses} glasses)", MODEL)]
    if published:
        source = _escaped(_published_label(series))
        data.append(_bars(list(published), list(published.values()), None, source, PUBLISHED))
    return _chart(data, _axis(""), _axis("share of Zr–Zr links", rangemode="tozero", tickformat=".0%"), barmode="group")


def _bars(names: list[str], values: list[float], errors: list[float] | None, name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": names,
        "y": _rounded(values),
        "error_y": _error_bars(errors),
        "name": name,
        "marker": {"color": colour},
    }


def _published_links(series: ReportSeries) -> dict[str, float]:
    if series.published is None:
        return {}
    names = {**_LINK_NAMES, "zr_zr_edge_or_face_fraction": "edge or face"}
    entries = ((words, series.published.value(name)) for name, words in names.items())
    return {words: entry.value for words, entry in entries if entry is not None}


def _published_label(series: ReportSeries) -> str:
    return "published (RMC)" if series.published is None else f"published, RMC, doi:{series.published.source.doi}"


def _chlorine(series: ReportSeries) -> Chart | None:
    if not series.cl_by_zr:
        return None
    names = [_escaped(share.label) for share in series.cl_by_zr]
    known = [share.standard_error for share in series.cl_by_zr]
    errors = None if all(error is None for error in known) else [error or 0.0 for error in known]
    values = [share.fraction for share in series.cl_by_zr]
    data = [_bars(names, values, errors, f"model ({series.n_glasses} glasses)", MODEL)]
    terminal = None if series.published is None else series.published.value("cl_terminal_fraction")
    if terminal is not None:
        data.append(_bars(["1"], [terminal.value], None, _escaped(_published_label(series)), PUBLISHED))
    return _chart(
        data,
        _axis("Zr neighbours of Cl", type="category"),
        _axis("share of Cl", rangemode="tozero", tickformat=".0%"),
        barmode="group",
    )


def _displacement(series: ReportSeries, *, logarithmic: bool) -> Chart | None:
    if not series.msd:
        return None
    data: list[dict[str, Any]] = []
    colours = temperature_colours([part.temperature_K for part in series.msd])
    for part, colour in sorted(zip(series.msd, colours, strict=True), key=lambda pair: -pair[0].temperature_K):
        data += _msd_traces(part, colour, logarithmic=logarithmic)
    kind = {"type": "log", "exponentformat": "power", "dtick": 1} if logarithmic else {}
    element = _escaped(series.msd[0].element)
    return _chart(
        data,
        _axis("lag time (ps)", **kind),
        _axis(f"mean squared displacement of {element} (Å²)", **(kind or {"rangemode": "tozero"})),
    )


def _msd_traces(part: MsdPart, colour: str, *, logarithmic: bool) -> list[dict[str, Any]]:
    keep = [i for i, (t, m) in enumerate(zip(part.lag_ps, part.msd_A2, strict=True)) if not logarithmic or t * m > 0]
    lag, msd, error = _thinned(
        [part.lag_ps[i] for i in keep],
        [part.msd_A2[i] for i in keep],
        None if part.standard_error_A2 is None else [part.standard_error_A2[i] for i in keep],
    )
    if not lag or not msd:
        return []
    name = f"{part.temperature_K:g} K" + ("" if part.diffusive else " (not diffusive)")
    line = Line(x=tuple(lag), y=tuple(msd), sigma=None if error is None or logarithmic else tuple(error))
    traces = _line_with_band(line, name, colour)
    for trace in traces[:-1]:
        trace["showlegend"] = False
    if part.fit_from_ps is not None and part.fit_to_ps is not None:
        window = [i for i, t in enumerate(lag) if part.fit_from_ps <= t <= part.fit_to_ps]
        traces.append(
            {
                "type": "scatter",
                "x": [lag[i] for i in window],
                "y": [msd[i] for i in window],
                "mode": "lines",
                "name": f"fit window {part.fit_from_ps:g}–{part.fit_to_ps:g} ps",
                "legendgroup": name,
                "showlegend": False,
                "line": {"color": colour, "width": 6},
                "opacity": 0.45,
            }
        )
    return traces


def _arrhenius(series: ReportSeries) -> Chart | None:
    part = series.arrhenius
    if part is None:
        return None
    data = _arrhenius_line(part)
    groups = (
        ("model", [p for p in part.points if p.diffusive and p.used], "circle", MODEL),
        ("model, not in the fit", [p for p in part.points if p.diffusive and not p.used], "circle-open", MODEL),
        ("model, upper bound", [p for p in part.points if not p.diffusive], "triangle-down-open", MODEL),
    )
    for name, points, symbol, colour in groups:
        if points:
            data.append(
                {
                    "type": "scatter",
                    "x": _rounded([1000 / p.temperature_K for p in points]),
                    "y": _rounded([p.diffusivity_cm2_s for p in points]),
                    "error_y": _error_bars([p.standard_error_cm2_s or 0.0 for p in points]),
                    "text": [_escaped(f"{p.temperature_K:g} K {p.note}".strip()) for p in points],
                    "mode": "markers",
                    "name": name,
                    "marker": {"size": 9, "symbol": symbol, "color": colour, "line": {"width": 1.6, "color": colour}},
                }
            )
    data += _published_traces(series, part)
    return _chart(
        data,
        _axis("1000 / <i>T</i> (1/K)"),
        _axis("<i>D</i> of Li (cm²/s)", type="log", exponentformat="power", dtick=1),
        height=440,
    )


def _arrhenius_line(part: ArrheniusPart) -> list[dict[str, Any]]:
    if part.line is None:
        return []
    x = _rounded([1000 / t for t in part.line.x])
    traces: list[dict[str, Any]] = []
    if part.line_low is not None and part.line_high is not None:
        traces.append(
            {
                "type": "scatter",
                "x": x + x[::-1],
                "y": _rounded([*part.line_high, *part.line_low[::-1]]),
                "fill": "toself",
                "fillcolor": faded(MODEL, 0.2),
                "line": {"width": 0},
                "name": "68 % interval",
                "hoverinfo": "skip",
            }
        )
    fit = {"color": MODEL, "width": 1.6}
    traces.append({"type": "scatter", "x": x, "y": _rounded(part.line.y), "mode": "lines", "name": "fit", "line": fit})
    return traces


def _published_traces(series: ReportSeries, part: ArrheniusPart) -> list[dict[str, Any]]:
    hottest = max((p.temperature_K for p in part.points), default=1000.0)
    published = published_diffusivities(series.published, part.carriers_per_A3, hottest)
    if published is None:
        return []
    label = _escaped(f"published, {published.method}, doi:{published.doi}")
    traces: list[dict[str, Any]] = []
    if published.line is not None:
        traces.append(
            {
                "type": "scatter",
                "x": _rounded([1000 / t for t in published.line.x]),
                "y": _rounded(published.line.y),
                "mode": "lines",
                "name": f"slope of the published {published.activation_energy_eV:g} eV",
                "line": {"color": PUBLISHED, "width": 1.4, "dash": "dash"},
            }
        )
    traces.append(
        {
            "type": "scatter",
            "x": [round(1000 / published.temperature_K, 5)],
            "y": [float(f"{published.diffusivity_cm2_s:.6g}")],
            "error_y": _error_bars([published.standard_error_cm2_s or 0.0]),
            "text": [f"{published.conductivity_mS_cm:g} mS/cm at {published.temperature_K:g} K"],
            "mode": "markers",
            "name": label,
            "marker": {"size": 12, "symbol": "diamond", "color": PUBLISHED},
        }
    )
    return traces


def _thermo(series: ReportSeries) -> Chart | None:
    if not series.thermo:
        return None
    data: list[dict[str, Any]] = []
    for i, part in enumerate(series.thermo):
        time, temperature, density = _thinned(part.time_ps, part.temperature_K, part.density_g_cm3)
        colour = SERIES[i % len(SERIES)]
        shared = {"type": "scatter", "mode": "lines", "name": _escaped(part.label), "legendgroup": part.label}
        line = {"color": colour, "width": 1.2}
        data.append({**shared, "x": time, "y": temperature, "line": line})
        data.append({**shared, "x": time, "y": density, "line": line, "yaxis": "y2", "showlegend": False})
    longest = max(part.time_ps[-1] for part in series.thermo if part.time_ps)
    return {
        "data": data,
        "layout": {
            "height": 480,
            "xaxis": _axis("time (ps)", anchor="y2", range=[0, math.nextafter(longest, math.inf)]),
            "yaxis": _axis("temperature (K)", domain=[0.55, 1.0], rangemode="tozero"),
            "yaxis2": _axis("density (g/cm³)", domain=[0.0, 0.45]),
        },
    }
