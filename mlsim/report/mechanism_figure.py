"""Figures of how ions move and vibrate: van Hove functions, residence, mobility by surroundings, density of states."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlsim.errors import SettingsError
from mlsim.io.atomic import atomic_path
from mlsim.report.figure import FORMATS, publication_style, undated
from mlsim.report.palette import SERIES, temperature_colours
from mlsim.transport import non_gaussian_parameter, van_hove

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from mlsim.trajectory import Trajectory
    from mlsim.transport import Hops, SurroundingsMobility, Vibrations

__all__ = ["write_mechanism_figure", "write_vibrations_figure"]

_SHARES_OF_RUN = (0.003, 0.02, 0.1, 0.4)


def write_mechanism_figure(
    path: str | os.PathLike[str],
    drawn: Sequence[tuple[float, Sequence[Trajectory], Sequence[Hops], SurroundingsMobility | None]],
    element: str,
) -> Path:
    """Draw how the ions of one element move, and return the path.

    Parameters
    ----------
    path
        File ending in .png, .pdf or .svg; one that exists is replaced in one step.
    drawn
        For each temperature (K): trajectories and hops of each glass, and mobility by surroundings. Van Hove functions
        are those of the first glass at the lowest temperature, the non-Gaussian parameter that of the first glass.
    element
        Chemical symbol of the ions.
    """
    from matplotlib.figure import Figure

    with publication_style():
        figure = Figure(figsize=(7.2, 4.8))
        axes = figure.subplots(2, 3)
        kelvin, trajectories, _, _ = min(drawn, key=lambda each: each[0])
        _van_hove(axes[0, 0], axes[0, 1], trajectories[0], element)
        axes[0, 0].set_title(f"(a) {element} self, {kelvin:g} K", loc="left")
        axes[0, 1].set_title(f"(b) {element}–{element} distinct, {kelvin:g} K", loc="left")
        for (kelvin, trajectories, hops, _), colour in zip(
            drawn, temperature_colours([each[0] for each in drawn]), strict=True
        ):
            axes[0, 2].plot(*non_gaussian_parameter(trajectories[0], element), color=colour)
            _residence(axes[1, 0], hops, colour, f"{kelvin:g} K")
            _cosines(axes[1, 1], hops, colour)
        axes[0, 2].set(xscale="log", xlabel="lag (ps)", ylabel="$\\alpha_2$")
        axes[0, 2].set_title("(c) non-Gaussian parameter", loc="left")
        axes[1, 0].set(yscale="log", xlabel="time (ps)", ylabel="share of stays that last longer")
        axes[1, 0].set_title("(d) residence, colours of (c) to (e)", loc="left")
        axes[1, 0].legend(loc="upper right")
        axes[1, 1].set(xlabel="cos(hop, next hop)", ylabel="density")
        axes[1, 1].set_title("(e) memory of hops", loc="left")
        _surroundings(axes[1, 2], drawn)
        return _saved(figure, path)


def write_vibrations_figure(path: str | os.PathLike[str], found: Mapping[str, Sequence[Vibrations]]) -> Path:
    """Draw the vibrational density of states of each element, means over glasses, and return the path."""
    from matplotlib.figure import Figure

    with publication_style():
        figure = Figure(figsize=(3.6, 2.7))
        axes = figure.subplots()
        for (element, each), colour in zip(found.items(), SERIES, strict=False):
            mean = np.mean([np.interp(each[0].frequency_THz, one.frequency_THz, one.vdos) for one in each], axis=0)
            axes.plot(each[0].frequency_THz, mean, color=colour, label=element)
        axes.set(xlabel="frequency (THz)", ylabel="density of states (1/THz)", xlim=(0, None), ylim=(0, None))
        axes.legend()
        return _saved(figure, path)


def _saved(figure: Figure, path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        raise SettingsError(
            f"{target}: cannot draw a figure as '{target.suffix}'; expected one of {', '.join(FORMATS)}"
        )
    with atomic_path(target) as temporary:
        figure.savefig(temporary, dpi=300, metadata=undated(target))
    return target


def _van_hove(left: Axes, right: Axes, trajectory: Trajectory, element: str) -> None:
    lags = [share * trajectory.duration_ps for share in _SHARES_OF_RUN]
    for one, colour in zip(van_hove(trajectory, element, lags), temperature_colours(lags), strict=True):
        left.plot(one.r_A, one.self_per_A, color=colour, label=f"{one.lag_ps:.3g} ps")
        smooth = np.convolve(one.distinct, np.ones(3) / 3, mode="same")
        right.plot(one.r_A[1:-1], smooth[1:-1], color=colour)
    left.set(xlabel="$r$ (Å)", ylabel="$4\\pi r^2 G_s$ (1/Å)", ylim=(0, None))
    left.legend()
    right.axhline(1.0, color="0.6", linewidth=0.7)
    right.set(xlabel="$r$ (Å)", ylabel="$G_d / \\rho$", ylim=(0, 4))


def _residence(axes: Axes, hops: Sequence[Hops], colour: str, label: str) -> None:
    times = np.sort(np.concatenate([h.residence_ps for h in hops]))
    axes.step(times, 1 - np.arange(len(times)) / max(1, len(times)), color=colour, label=label)


def _cosines(axes: Axes, hops: Sequence[Hops], colour: str) -> None:
    pairs = [h.pairs_of_successive() for h in hops]
    first, second = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
    if len(first):
        cosine = (first * second).sum(axis=1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
        axes.hist(cosine, np.linspace(-1, 1, 21).tolist(), density=True, histtype="step", color=colour)


def _surroundings(
    axes: Axes, drawn: Sequence[tuple[float, Sequence[Trajectory], Sequence[Hops], SurroundingsMobility | None]]
) -> None:
    told = [(kelvin, found) for kelvin, _, _, found in drawn if found is not None]
    if not told:
        axes.set_axis_off()
        return
    near = told[0][1].near
    for shift, name, colour in ((-0.2, f"near {near}", SERIES[6]), (0.2, f"no {near}", SERIES[2])):
        estimates = [f.rate_near_per_ps if shift < 0 else f.rate_away_per_ps for _, f in told]
        places, heights = np.arange(len(told)) + shift, [e.value for e in estimates]
        axes.bar(places, heights, 0.4, color=colour, label=name)
        for x, e in zip(places, estimates, strict=True):
            if e.standard_error:
                axes.errorbar(x, e.value, e.standard_error, color="black", linewidth=0.8)
    axes.set_xticks(range(len(told)), [f"{kelvin:g} K" for kelvin, _ in told])
    axes.set(ylabel="hops per ion and ps")
    axes.set_title("(f) hop rate by surroundings", loc="left")
    axes.legend()
