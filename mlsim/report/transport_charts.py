"""Interactive plots of the motion: mean squared displacement, Arrhenius, history of temperature and density."""

from __future__ import annotations

import math
from typing import Any

from mlsim.io.series import ArrheniusPart, Line, MsdPart, ReportSeries
from mlsim.report.palette import MODEL, PUBLISHED, SERIES, faded, temperature_colours
from mlsim.report.published_line import published_diffusivities
from mlsim.report.traces import Chart, axis, chart, escaped, line_with_band, ratio_bars, rounded, thinned

__all__ = ["arrhenius", "displacement", "line_of_fit", "thermo"]


def displacement(series: ReportSeries, *, logarithmic: bool) -> Chart | None:
    """Mean squared displacement against lag time, a line per temperature; thick where D was fitted."""
    if not series.msd:
        return None
    data: list[dict[str, Any]] = []
    colours = temperature_colours([part.temperature_K for part in series.msd])
    for part, colour in sorted(zip(series.msd, colours, strict=True), key=lambda pair: -pair[0].temperature_K):
        data += _msd_traces(part, colour, logarithmic=logarithmic)
    kind = {"type": "log", "exponentformat": "power", "dtick": 1} if logarithmic else {}
    element = escaped(series.msd[0].element)
    return chart(
        data,
        axis("lag time (ps)", **kind),
        axis(f"MSD of {element} (Å²)", **(kind or {"rangemode": "tozero"})),
    )


def _msd_traces(part: MsdPart, colour: str, *, logarithmic: bool) -> list[dict[str, Any]]:
    keep = [i for i, (t, m) in enumerate(zip(part.lag_ps, part.msd_A2, strict=True)) if not logarithmic or t * m > 0]
    lag, msd, error = thinned(
        [part.lag_ps[i] for i in keep],
        [part.msd_A2[i] for i in keep],
        None if part.standard_error_A2 is None else [part.standard_error_A2[i] for i in keep],
    )
    if not lag or not msd:
        return []
    name = f"{part.temperature_K:g} K" + ("" if part.diffusive else " (not diffusive)")
    line = Line(x=tuple(lag), y=tuple(msd), sigma=None if error is None or logarithmic else tuple(error))
    traces = line_with_band(line, name, colour)
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


def arrhenius(series: ReportSeries) -> Chart | None:
    """Diffusivities against 1000/T, the line with its 68 % band, and the published conductivity."""
    part = series.arrhenius
    if part is None:
        return None
    data = line_of_fit(part, MODEL)
    groups = (
        ("model", [p for p in part.points if p.diffusive and p.used], "circle", MODEL),
        ("model, not in the fit", [p for p in part.points if p.diffusive and not p.used], "circle-open", MODEL),
        ("model, upper bound", [p for p in part.points if not p.diffusive], "triangle-down-open", MODEL),
    )
    for name, points, symbol, colour in groups:
        if points:
            values = [p.diffusivity_cm2_s for p in points]
            data.append(
                {
                    "type": "scatter",
                    "x": rounded([1000 / p.temperature_K for p in points]),
                    "y": rounded(values),
                    "error_y": ratio_bars(values, [p.standard_error_cm2_s for p in points]),
                    "text": [escaped(f"{p.temperature_K:g} K {p.note}".strip()) for p in points],
                    "mode": "markers",
                    "name": name,
                    "marker": {"size": 9, "symbol": symbol, "color": colour, "line": {"width": 1.6, "color": colour}},
                }
            )
    data += _published_traces(series, part)
    return chart(
        data,
        axis("1000 / <i>T</i> (1/K)"),
        axis("<i>D</i> of Li (cm²/s)", type="log", exponentformat="power", dtick=1),
        height=440,
    )


def line_of_fit(part: ArrheniusPart, colour: str) -> list[dict[str, Any]]:
    """Return the Arrhenius line and its 68 % band; nothing where there is none."""
    if part.line is None:
        return []
    x = rounded([1000 / t for t in part.line.x])
    traces: list[dict[str, Any]] = []
    if part.line_low is not None and part.line_high is not None:
        traces.append(
            {
                "type": "scatter",
                "x": x + x[::-1],
                "y": rounded([*part.line_high, *part.line_low[::-1]]),
                "fill": "toself",
                "fillcolor": faded(colour, 0.2),
                "line": {"width": 0},
                "name": "68 % interval",
                "hoverinfo": "skip",
            }
        )
    fit = {"color": colour, "width": 1.6}
    traces.append({"type": "scatter", "x": x, "y": rounded(part.line.y), "mode": "lines", "name": "fit", "line": fit})
    return traces


def _published_traces(series: ReportSeries, part: ArrheniusPart) -> list[dict[str, Any]]:
    hottest = max((p.temperature_K for p in part.points), default=1000.0)
    published = published_diffusivities(series.published, part.carriers_per_A3, hottest)
    if published is None:
        return []
    label = escaped(f"published, {published.method}, doi:{published.doi}")
    traces: list[dict[str, Any]] = []
    if published.line is not None:
        traces.append(
            {
                "type": "scatter",
                "x": rounded([1000 / t for t in published.line.x]),
                "y": rounded(published.line.y),
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
            "error_y": ratio_bars([published.diffusivity_cm2_s], [published.standard_error_cm2_s]),
            "text": [f"{published.conductivity_mS_cm:g} mS/cm at {published.temperature_K:g} K"],
            "mode": "markers",
            "name": label,
            "marker": {"size": 12, "symbol": "diamond", "color": PUBLISHED},
        }
    )
    return traces


def thermo(series: ReportSeries) -> Chart | None:
    """Temperature and density of every glass against time."""
    if not series.thermo:
        return None
    data: list[dict[str, Any]] = []
    for i, part in enumerate(series.thermo):
        time, temperature, density = thinned(part.time_ps, part.temperature_K, part.density_g_cm3)
        colour = SERIES[i % len(SERIES)]
        shared = {"type": "scatter", "mode": "lines", "name": escaped(part.label), "legendgroup": part.label}
        line = {"color": colour, "width": 1.2}
        data.append({**shared, "x": time, "y": temperature, "line": line})
        data.append({**shared, "x": time, "y": density, "line": line, "yaxis": "y2", "showlegend": False})
    longest = max(part.time_ps[-1] for part in series.thermo if part.time_ps)
    return {
        "data": data,
        "layout": {
            "height": 480,
            "xaxis": axis("time (ps)", anchor="y2", range=[0, math.nextafter(longest, math.inf)]),
            "yaxis": axis("temperature (K)", domain=[0.55, 1.0], rangemode="tozero"),
            "yaxis2": axis("density (g/cm³)", domain=[0.0, 0.45]),
        },
    }
