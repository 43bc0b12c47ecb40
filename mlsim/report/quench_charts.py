"""Interactive plots of the way from melt to glass: density and energy against temperature, committee deviation."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Estimate
from mlsim.io.series import ReportSeries, ThermoPart
from mlsim.report.palette import DATA, SERIES, faded
from mlsim.report.traces import Chart, axis, chart, escaped, rounded, thinned

__all__ = ["committee", "quench", "quench_means"]

_BIN_K: Final = 25.0

Floats = NDArray[np.float64]


def quench_means(part: ThermoPart) -> tuple[Floats, Floats, Floats | None]:
    """Return temperature (K), density (g/cm³) and energy (eV per atom, None where not kept) in bins of 25 K.

    Only rows at constant pressure count: those whose density is not that of the row before.
    """
    temperature, density = np.array(part.temperature_K), np.array(part.density_g_cm3)
    moving = np.flatnonzero(np.diff(density, prepend=density[:1]) != 0)
    if not moving.size:
        return np.empty(0), np.empty(0), None
    bins = np.floor(temperature[moving] / _BIN_K).astype(int)
    kept = [moving[bins == b] for b in np.unique(bins)]

    def means(values: Floats) -> Floats:
        return np.array([values[rows].mean() for rows in kept])

    energy = None if part.energy_eV_per_atom is None else means(np.array(part.energy_eV_per_atom))
    return means(temperature), means(density), energy


def quench(series: ReportSeries, transition: Estimate | None) -> Chart | None:
    """Density, and below it energy where it was kept, against temperature; the glass transition as a band."""
    parts = [(part, *quench_means(part)) for part in series.thermo]
    parts = [entry for entry in parts if len(entry[1]) > 1]
    if not parts:
        return None
    both = any(entry[3] is not None for entry in parts)
    data: list[dict[str, Any]] = []
    for i, (part, temperature, density, energy) in enumerate(parts):
        shared = {
            "type": "scatter",
            "mode": "lines+markers",
            "name": escaped(part.label),
            "legendgroup": part.label,
            "x": rounded(temperature.tolist()),
            "line": {"color": SERIES[i % len(SERIES)], "width": 1.4},
            "marker": {"size": 4},
        }
        data.append({**shared, "y": rounded(density.tolist())})
        if energy is not None:
            data.append({**shared, "y": rounded(energy.tolist()), "yaxis": "y2", "showlegend": False})
    layout: dict[str, Any] = {"shapes": _transition(transition)}
    if both:
        layout["yaxis2"] = axis("energy (eV per atom)", domain=[0.0, 0.45])
    x = axis("temperature (K)", **({"anchor": "y2"} if both else {}))
    domain = {"domain": [0.55, 1.0]} if both else {}
    return chart(data, x, axis("density (g/cm³)", **domain), height=480 if both else 340, **layout)


def _transition(estimate: Estimate | None) -> list[dict[str, Any]]:
    if estimate is None or not np.isfinite(estimate.value):
        return []
    half = estimate.standard_error or 0.0
    shape = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": {"width": 1, "color": DATA}}
    ends = {"x0": estimate.value - half, "x1": estimate.value + half}
    return [{**shape, **ends, "fillcolor": faded(DATA, 0.25)}]


def committee(series: ReportSeries) -> Chart | None:
    """Largest deviation among the members of a committee against time."""
    data: list[dict[str, Any]] = []
    for i, part in enumerate(series.thermo):
        if part.committee_eV_A is None:
            continue
        time, deviation = thinned(part.time_ps, part.committee_eV_A)
        line = {"color": SERIES[i % len(SERIES)], "width": 1.2}
        shown = {"type": "scatter", "mode": "lines", "name": escaped(part.label), "line": line}
        data.append({**shown, "x": time, "y": deviation})
    if not data:
        return None
    return chart(data, axis("time (ps)"), axis("largest deviation on an atom (eV/Å)", rangemode="tozero"), height=320)
