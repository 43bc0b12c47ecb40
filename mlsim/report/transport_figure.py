"""The figure of an analysis of transport: displacements with their windows, local slopes, Arrhenius with intervals."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlsim.errors import SettingsError
from mlsim.io.atomic import atomic_path
from mlsim.report.figure import FORMATS, publication_style, undated
from mlsim.report.palette import MODEL, temperature_colours
from mlsim.report.words import ratio_errors

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mlsim.transport import ArrheniusFit, Diffusion

__all__ = ["write_transport_figure"]


def write_transport_figure(path: str | os.PathLike[str], points: Sequence[Diffusion], fit: ArrheniusFit | None) -> Path:
    """Draw mean squared displacements, their logarithmic slope and the Arrhenius line, and return the path.

    Parameters
    ----------
    path
        File ending in .png, .pdf or .svg; one that exists is replaced in one step.
    points
        Diffusivity at each temperature.
    fit
        Arrhenius line; None where there is none.
    """
    from matplotlib.figure import Figure

    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise SettingsError(
            f"{target}: cannot draw a figure as '{target.suffix}'; expected one of {', '.join(FORMATS)}"
        )
    with publication_style():
        figure = Figure(figsize=(7.2, 2.7))
        left, middle, right = figure.subplots(1, 3)
        colours = temperature_colours([p.temperature_K for p in points])
        for point, colour in zip(points, colours, strict=True):
            _displacement(left, point, colour)
            _slope(middle, point, colour)
        left.set(xscale="log", yscale="log", xlabel="lag (ps)", ylabel="MSD of one ion (Å$^2$)")
        left.set_title("(a) displacement, thick: fit window", loc="left")
        left.legend()
        middle.axhline(1.0, color="0.6", linewidth=0.7)
        middle.set(xscale="log", xlabel="lag (ps)", ylabel="d ln MSD / d ln t", ylim=(0, 1.3))
        middle.set_title("(b) its growth; 1: diffusion", loc="left")
        _arrhenius(right, points, fit)
        with atomic_path(target) as temporary:
            figure.savefig(temporary, dpi=300, metadata=undated(target))
    return target


def _displacement(axes: Axes, point: Diffusion, colour: str) -> None:
    lag, msd = point.msd.lag_ps, point.msd.msd_A2
    axes.plot(lag, msd, color=colour, label=f"{point.temperature_K:g} K" + ("" if point.diffusive else " (bound)"))
    if point.window is not None:
        inside = point.window.holds(lag)
        axes.plot(lag[inside], msd[inside], color=colour, linewidth=4, alpha=0.5, solid_capstyle="butt")


def _slope(axes: Axes, point: Diffusion, colour: str) -> None:
    lag = np.geomspace(point.msd.lag_ps[0], point.msd.lag_ps[-1], 25)
    curve = np.interp(lag, point.msd.lag_ps, point.msd.msd_A2)
    axes.plot(np.sqrt(lag[1:] * lag[:-1]), np.diff(np.log(curve)) / np.diff(np.log(lag)), color=colour)


def _arrhenius(axes: Axes, points: Sequence[Diffusion], fit: ArrheniusFit | None) -> None:
    axes.set_title("(c) Arrhenius, 68 % and 95 %", loc="left")
    fitted = set() if fit is None else {float(t) for t in fit.temperatures_K}
    for p in points:
        d = p.diffusivity
        if not p.diffusive:
            axes.plot(1000 / p.temperature_K, d.value, marker="v", color=MODEL, fillstyle="none", linestyle="none")
            continue
        fill = "full" if p.temperature_K in fitted else "none"
        error = ratio_errors([d.value], [d.standard_error])
        axes.errorbar(
            [1000 / p.temperature_K], [d.value], error, marker="o", color=MODEL, fillstyle=fill, linestyle="none"
        )
    if fit is not None:
        kelvin = 1 / np.linspace(1 / max(p.temperature_K for p in points), 1 / 298.0, 40)
        x = 1000 / kelvin
        for level, alpha in ((0.95, 0.15), (0.68, 0.25)):
            ends = [fit.diffusivity_interval(float(t), level) for t in kelvin]
            axes.fill_between(x, [e.low for e in ends], [e.high for e in ends], color=MODEL, alpha=alpha, linewidth=0)
        axes.plot(x, [fit.diffusivity_at(float(t)).value for t in kelvin], color=MODEL, linewidth=0.9)
        value = fit.diffusivity_at(298.0).value
        top = max(p.diffusivity.value for p in points)
        axes.set_ylim(max(value * 1e-3, fit.diffusivity_interval(298.0, 0.95).low / 3), 3 * top)
    axes.set(yscale="log", xlabel="1000 / $T$ (1/K)", ylabel="$D$ (cm$^2$/s)")
