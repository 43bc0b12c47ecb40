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
    """Return temperature (K), density (g/cm³) and energy (eV per atom, None where not kept) along the quench.

    Means over 10 K of the ramp, as the glass transition is read from. A series of an earlier version lacks them: then
    means over 25 K of the cell's own temperature, which scatters by √(2/3N) about the ramp and smears the kink, of
    rows at constant pressure, those whose density is not that of the row before.
    """
    if part.quench is not None:
        ramp = part.quench
        return np.array(ramp.temperature_K), np.array(ramp.density_g_cm3), np.array(ramp.energy_eV_per_atom)
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
    """Density, and below it energy where it was kept, against temperature, with the fits; the transition as a band."""
    parts = [(part, *quench_means(part)) for part in series.thermo]
    parts = [entry for entry in parts if len(entry[1]) > 1]
    if not parts:
        return None
    both = any(entry[3] is not None for entry in parts)
    data: list[dict[str, Any]] = []
    for i, (part, temperature, density, energy) in enumerate(parts):
        colour = SERIES[i % len(SERIES)]
        shared = {
            "type": "scatter",
            "mode": "lines+markers" if part.quench is None else "markers",
            "name": escaped(part.label),
            "legendgroup": part.label,
            "x": rounded(temperature.tolist()),
            "line": {"color": colour, "width": 1.4},
            "marker": {"size": 4, "color": colour},
        }
        data.append({**shared, "y": rounded(density.tolist())})
        if energy is not None:
            data.append({**shared, "y": rounded(energy.tolist()), "yaxis": "y2", "showlegend": False})
        data += _fits(part, colour)
    layout: dict[str, Any] = {"shapes": _transition(transition)}
    if both:
        layout["yaxis2"] = axis("energy (eV per atom)", domain=[0.0, 0.45])
    x = axis("temperature (K)", **({"anchor": "y2"} if both else {}))
    domain = {"domain": [0.55, 1.0]} if both else {}
    return chart(data, x, axis("density (g/cm³)", **domain), height=480 if both else 340, **layout)


def _fits(part: ThermoPart, colour: str) -> list[dict[str, Any]]:
    """Return the lines that look for a kink in one glass, dashed where there is none."""
    ramp = part.quench
    if ramp is None:
        return []
    lines = (
        ("y", ramp.density_fit_g_cm3, ramp.kink_by_volume_K),
        ("y2", ramp.energy_fit_eV_per_atom, ramp.kink_by_energy_K),
    )
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": escaped(f"{part.label}: {'no kink' if kink is None else f'kink at {kink:.0f} K'}"),
            "legendgroup": part.label,
            "showlegend": False,
            "x": rounded(ramp.temperature_K),
            "y": rounded(values),
            "yaxis": axis_name,
            "line": {"color": colour, "width": 1.6, "dash": "dash" if kink is None else "solid"},
        }
        for axis_name, values, kink in lines
    ]


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
