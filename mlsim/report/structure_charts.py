"""Interactive plots of the structure: scattering, partials, coordination, links, Cl surroundings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mlsim.io.results import QuantityRow
from mlsim.io.series import Line, MeasuredCurve, ReportSeries
from mlsim.report.palette import ANION, DATA, DIFFERENCE, MODEL, PUBLISHED, SERIES
from mlsim.report.traces import Chart, axis, chart, error_bars, escaped, line_with_band, lowered, rounded, thinned
from mlsim.report.words import label_of, pair_text

__all__ = [
    "JOINT_LINKS",
    "JOINT_NAME",
    "LINK_NAMES",
    "chlorine",
    "coordination",
    "links",
    "measured_alone",
    "partials",
    "polyhedra",
    "published_links",
    "scattering",
]

LINK_NAMES: Final = {
    "zr_zr_corner_o_fraction": "corner, O",
    "zr_zr_corner_cl_fraction": "corner, Cl",
    "zr_zr_edge_fraction": "edge",
    "zr_zr_face_fraction": "face",
}
JOINT_LINKS: Final = ("zr_zr_edge_fraction", "zr_zr_face_fraction")
"""Published only as a sum, which is called `JOINT_NAME`."""
JOINT_LABEL: Final = "zr_zr_edge_or_face_fraction"
JOINT_NAME: Final = "edge + face"

_MOST_POLYHEDRA: Final = 10
_CURVE_AXES: Final = {
    "g_pdf": ("<i>r</i> (Å)", "<i>G</i><sub>PDF</sub>(<i>r</i>) (1/Å²)"),
    "s_of_q": ("<i>Q</i> (1/Å)", "<i>S</i>(<i>Q</i>)"),
    "i_of_q": ("<i>Q</i> (1/Å)", "<i>S</i>(<i>Q</i>) − 1"),
    "qi_of_q": ("<i>Q</i> (1/Å)", "<i>Q</i> [<i>S</i>(<i>Q</i>) − 1] (1/Å)"),
    "f2_of_q": ("<i>Q</i> (1/Å)", "(<i>S</i> − 1) ⟨<i>f</i>⟩²/⟨<i>f</i>²⟩"),
    "g_of_r": ("<i>r</i> (Å)", "<i>g</i>(<i>r</i>)"),
    "t_of_r": ("<i>r</i> (Å)", "<i>T</i>(<i>r</i>) (1/Å²)"),
}


_PARTIAL_AXES: Final = {
    False: ("<i>r</i> (Å)", "<i>g</i>(<i>r</i>)"),
    True: ("<i>Q</i> (1/Å)", "<i>A</i>(<i>Q</i>)"),
}


def scattering(series: ReportSeries, quantity: str) -> Chart | None:
    """S(Q) or G_PDF(r) of the model, with the user's curves and their difference."""
    model: Line | None = getattr(series, quantity)
    measured = [curve for curve in series.measured if str(curve.quantity) == quantity]
    if model is None and not measured:
        return None
    data: list[dict[str, Any]] = []
    if model is not None:
        data += line_with_band(model, "model", MODEL)
    for curve in measured:
        data += _data_and_difference(curve, model, draw_model=model is None)
    x_title, y_title = _CURVE_AXES[quantity]
    return chart(data, axis(x_title), axis(y_title))


def measured_alone(curve: MeasuredCurve) -> Chart:
    """A curve of the user that is neither S(Q) nor G_PDF(r), with the model on its grid."""
    x_title, y_title = _CURVE_AXES[str(curve.quantity)]
    return chart(_data_and_difference(curve, None, draw_model=True), axis(x_title), axis(y_title))


def _data_and_difference(curve: MeasuredCurve, general: Line | None, *, draw_model: bool) -> list[dict[str, Any]]:
    """Return the user's curve and, below it, data minus model where both are known."""
    x, y, _ = thinned(curve.data.x, curve.data.y, None)
    label = f"{curve.origin}: {curve.sample}" + (f", {curve.source}" if curve.source else "")
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": x,
            "y": y,
            "mode": "markers",
            "name": escaped(label),
            "marker": {"size": 4, "color": DATA, "symbol": "circle-open"},
        }
    ]
    model = curve.model or general
    if model is None:
        return traces
    if curve.model is not None:
        name = "model" if draw_model else "model on the data's grid"
        dash = {} if draw_model else {"line": {"color": MODEL, "width": 1.4, "dash": "dot"}}
        traces[:0] = line_with_band(curve.model, name, MODEL, **dash)
    at = np.asarray(curve.data.x)
    inside = (at >= model.x[0]) & (at <= model.x[-1])
    if inside.any():
        difference = np.asarray(curve.data.y)[inside] - np.interp(at[inside], model.x, model.y)
        lowest = min(min(curve.data.y), min(model.y))
        offset = lowest - float(np.max(difference)) - 0.05 * (max(curve.data.y) - lowest)
        shown_x, shown_y, _ = thinned(at[inside].tolist(), (difference + offset).tolist(), None)
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


def partials(series: ReportSeries, *, of_q: bool = False) -> Chart | None:
    """Return g_ij(r), or A_ij(Q), of every pair, each in a panel of its own."""
    lines = series.q_partials if of_q else series.partials
    x_title, y_title = _PARTIAL_AXES[of_q]
    if not lines:
        return None
    data: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i, (pair, line) in enumerate(sorted(lines.items())):
        number = "" if i == 0 else str(i + 1)
        data += line_with_band(
            line,
            escaped(pair_text(pair)),
            SERIES[i % len(SERIES)],
            showlegend=False,
            xaxis=f"x{number}",
            yaxis=f"y{number}",
        )
        annotations.append(
            {
                "text": f"<b>{escaped(pair_text(pair))}</b>",
                "xref": f"x{number} domain",
                "yref": f"y{number} domain",
                "x": 0.96,
                "y": 0.96,
                "xanchor": "right",
                "yanchor": "top",
                "showarrow": False,
            }
        )
        layout[f"xaxis{number}"] = {"title": {"text": x_title, "standoff": 4}, "nticks": 5}
        layout[f"yaxis{number}"] = {"rangemode": "normal" if of_q else "tozero", "nticks": 5}
        layout[f"yaxis{number}"]["title"] = {"text": y_title, "standoff": 4}
    layout.update({"annotations": annotations, "showlegend": False, "height": 460})
    return {"data": data, "layout": layout, "panels": {"number": len(lines), "wide": 5, "narrow": 2}}


def coordination(series: ReportSeries) -> Chart | None:
    """Shares of centres by their number of neighbours, one colour per anion."""
    if not series.coordination:
        return None
    data = [
        {
            "type": "bar",
            "x": list(part.n_neighbours),
            "y": rounded(part.fraction),
            "error_y": error_bars(part.standard_error),
            "name": escaped(f"{part.neighbour} around {part.center}"),
            "marker": {"color": ANION.get(part.neighbour, SERIES[i % len(SERIES)])},
        }
        for i, part in enumerate(series.coordination)
    ]
    center = escaped(series.coordination[0].center)
    return chart(
        data,
        axis("neighbours", dtick=1, zeroline=False),
        axis(f"share of {center}", rangemode="tozero", tickformat=".0%"),
        barmode="group",
    )


def links(series: ReportSeries) -> Chart | None:
    """Shares of the links between polyhedra, published ones beside them."""
    kinds = [share for share in series.links if share.label in LINK_NAMES] or list(series.links)
    if not kinds:
        return None
    names = [LINK_NAMES.get(share.label, escaped(share.label)) for share in kinds]
    values = [share.fraction for share in kinds]
    errors: list[float] | None = [share.standard_error or 0.0 for share in kinds]
    if all(share.standard_error is None for share in kinds):
        errors = None
    joint = joint_links(series)
    published = published_links(series)
    if JOINT_NAME in published and joint is not None:
        names.append(JOINT_NAME)
        values.append(joint[0])
        errors = None if errors is None else [*errors, joint[1]]
    data = [_bars(_broken(names), values, errors, f"model ({series.n_glasses} glasses)", MODEL)]
    if published:
        source = escaped(_published_label(series))
        data.append(_bars(_broken(list(published)), list(published.values()), None, source, PUBLISHED))
    return chart(
        data, axis("", tickangle=0), axis("share of Zr–Zr links", rangemode="tozero", tickformat=".0%"), barmode="group"
    )


def _broken(names: list[str]) -> list[str]:
    """Return names over two lines, so that they stand side by side in a small plot."""
    return [name.replace(", ", ",<br>").replace(" or ", " or<br>") for name in names]


def _bars(names: list[str], values: list[float], errors: list[float] | None, name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "bar",
        "x": names,
        "y": rounded(values),
        "error_y": error_bars(errors),
        "name": name,
        "marker": {"color": colour},
    }


def polyhedra(rows: Sequence[QuantityRow]) -> Chart | None:
    """Return the most frequent polyhedra as bars, what the others add up to as the last."""
    found = [row for row in rows if row.name.startswith("polyhedron_") and row.estimate.value > 0]
    found.sort(key=lambda row: -row.estimate.value)
    if not found:
        return None
    names = [label_of(row.name)[0] for row in found[:_MOST_POLYHEDRA]]
    values = [row.estimate.value for row in found[:_MOST_POLYHEDRA]]
    errors = [row.estimate.standard_error or 0.0 for row in found[:_MOST_POLYHEDRA]]
    if rest := found[_MOST_POLYHEDRA:]:
        names.append(f"{len(rest)} other" + ("s" if len(rest) > 1 else ""))
        values.append(sum(row.estimate.value for row in rest))
        errors.append(0.0)
    return chart(
        [_bars([_lowered(name) for name in names], values, errors, "model", MODEL)],
        axis("polyhedron", type="category"),
        axis("share of polyhedra", rangemode="tozero", tickformat=".0%"),
        showlegend=False,
    )


def _lowered(formula: str) -> str:
    """Return a formula in square brackets with its indices as plotly writes them."""
    if not formula.startswith("["):
        return escaped(formula)
    return lowered(formula)


def joint_links(series: ReportSeries) -> tuple[float, float] | None:
    """Return the share of links by edges and faces together and its standard error, 0 where it is not known."""
    for share in series.links:
        if share.label == JOINT_LABEL:
            return share.fraction, share.standard_error or 0.0
    parts = [share.fraction for share in series.links if share.label in JOINT_LINKS]
    return (sum(parts), 0.0) if len(parts) == len(JOINT_LINKS) else None


def published_links(series: ReportSeries) -> dict[str, float]:
    """Return the published shares of links by their name in words."""
    if series.published is None:
        return {}
    names = {**LINK_NAMES, JOINT_LABEL: JOINT_NAME}
    entries = ((words, series.published.value(name)) for name, words in names.items())
    return {words: entry.value for words, entry in entries if entry is not None}


def _published_label(series: ReportSeries) -> str:
    return "published (RMC)" if series.published is None else f"published, RMC, doi:{series.published.source.doi}"


def chlorine(series: ReportSeries) -> Chart | None:
    """Shares of Cl by their number of Zr, the published terminal one beside it."""
    if not series.cl_by_zr:
        return None
    names = [escaped(share.label) for share in series.cl_by_zr]
    known = [share.standard_error for share in series.cl_by_zr]
    errors = None if all(error is None for error in known) else [error or 0.0 for error in known]
    values = [share.fraction for share in series.cl_by_zr]
    data = [_bars(names, values, errors, f"model ({series.n_glasses} glasses)", MODEL)]
    terminal = None if series.published is None else series.published.value("cl_terminal_fraction")
    if terminal is not None:
        data.append(_bars(["1"], [terminal.value], None, escaped(_published_label(series)), PUBLISHED))
    return chart(
        data,
        axis("Zr neighbours of Cl", type="category"),
        axis("share of Cl", rangemode="tozero", tickformat=".0%"),
        barmode="group",
    )
