"""The pieces that all interactive plots are made of: axes, curves with bands, error bars, thinned arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from mlsim.io.series import Line
from mlsim.report.palette import faded
from mlsim.report.words import ratio_errors, subscripts

__all__ = [
    "Chart",
    "axis",
    "chart",
    "error_bars",
    "escaped",
    "line_with_band",
    "lowered",
    "peaks_kept",
    "ratio_bars",
    "rounded",
    "thinned",
]

Chart = dict[str, Any]
"""A plot in plotly's form: `data` and `layout`, and `panels` where the page lays out a grid of axes."""

_MOST_POINTS: Final = 1200


def chart(data: list[dict[str, Any]], x: dict[str, Any], y: dict[str, Any], height: int = 380, **layout: Any) -> Chart:
    """Return a plot of two axes."""
    return {
        "data": data,
        "layout": {"xaxis": x, "yaxis": y, "height": height, **layout},
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Return an axis with its title, which names the unit."""
    return {"title": {"text": title}, **more}


def rounded(values: Sequence[float]) -> list[float]:
    """Return numbers with six digits, which is what a plot shows."""
    return [float(f"{value:.6g}") for value in values]


def thinned(*arrays: Sequence[float] | None) -> list[list[float] | None]:
    """Return arrays with at most `_MOST_POINTS` points, evenly taken, the last one kept."""
    length = next(len(array) for array in arrays if array is not None)
    if length <= _MOST_POINTS:
        picked = list(range(length))
    else:
        picked = np.unique(np.linspace(0, length - 1, _MOST_POINTS).round().astype(int)).tolist()
    return [None if array is None else rounded([array[i] for i in picked]) for array in arrays]


def peaks_kept(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return at most `_MOST_POINTS` points of a history, of each stretch the highest: a short peak is what matters."""
    stretches = np.array_split(np.arange(len(y)), min(len(y), _MOST_POINTS))
    picked = [int(stretch[np.argmax(np.asarray(y)[stretch])]) for stretch in stretches if len(stretch)]
    return rounded([x[i] for i in picked]), rounded([y[i] for i in picked])


def line_with_band(curve: Line, name: str, colour: str, /, **trace: Any) -> list[dict[str, Any]]:
    """Return the traces of a curve and, where it has errors, of the band of one standard error around it."""
    x, y = rounded(curve.x), rounded(curve.y)
    traces: list[dict[str, Any]] = []
    if curve.sigma is not None and any(curve.sigma):
        low = [a - b for a, b in zip(curve.y, curve.sigma, strict=True)]
        high = [a + b for a, b in zip(curve.y, curve.sigma, strict=True)]
        traces.append(
            {
                "type": "scatter",
                "x": x + x[::-1],
                "y": rounded(high + low[::-1]),
                "fill": "toself",
                "fillcolor": faded(colour, 0.25),
                "line": {"width": 0},
                "name": "± 1 standard error",
                "legendrank": 1001,
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


def error_bars(up: Sequence[float] | None, down: Sequence[float] | None = None) -> dict[str, Any]:
    """Return error bars, down as long as up unless said; none where there are no errors."""
    if up is None:
        return {"visible": False}
    bars = {"type": "data", "array": rounded(up), "thickness": 1.2, "width": 4, "color": "#8a8f98"}
    return bars if down is None else {**bars, "symmetric": False, "arrayminus": rounded(down)}


def ratio_bars(values: Sequence[float], errors: Sequence[float | None]) -> dict[str, Any]:
    """Return error bars for a logarithmic axis."""
    down, up = ratio_errors(values, errors)
    return error_bars(up, down)


def lowered(text: str) -> str:
    """Return a text that begins with a formula, its indices as plotly writes them."""
    formula, comma, rest = text.partition(",")
    pieces = [f"<sub>{escaped(part)}</sub>" if low else escaped(part) for part, low in subscripts(formula)]
    return "".join(pieces) + comma + escaped(rest)


def escaped(text: str) -> str:
    """Plotly reads a little HTML in labels; what a user wrote must stay text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
