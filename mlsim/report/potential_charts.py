"""Plots of how a potential was made and judged: learning curve, parity, calibration of a committee."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsim.io.atomic import atomic_path
from mlsim.report.figure import publication_style
from mlsim.report.palette import DATA, MODEL, PUBLISHED, SERIES

__all__ = [
    "write_calibration",
    "write_distributions",
    "write_learning_curve",
    "write_pair_curves",
    "write_parity",
    "write_phonons",
]

Floats = NDArray[np.float64]
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "p", ">")  # with eight colours: eighty pairs before one repeats
_SHOWN_PERCENT = (0.5, 100.0)


@contextmanager
def _canvas(path: Path, columns: int, width: float = 3.2) -> Iterator[Any]:
    """Axes of a figure that is written to `path` in one step when the block ends."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with publication_style():
        figure = Figure(figsize=(width * columns, 2.8))
        FigureCanvasAgg(figure)
        yield figure.subplots(1, columns, squeeze=False)[0]
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=200)


def write_learning_curve(curve: Any, path: Path) -> None:
    """Draw validation errors over epochs; the epoch of the smallest loss, whose model is kept, is marked.

    Parameters
    ----------
    curve
        Rows of epoch, loss, energy error (meV/atom) and force error (meV/Å), as `train` returns them.
    path
        PNG to write.
    """
    rows = np.array(curve, dtype=float).reshape(-1, 4)
    if not len(rows):
        return
    best = rows[np.argmin(rows[:, 1]), 0]
    labels = ("validation loss", "energy RMSE / meV per atom", "force RMSE / meV Å$^{-1}$")
    with _canvas(path, 3, 2.6) as axes:
        for axis, column, label in zip(axes, (1, 2, 3), labels, strict=True):
            axis.plot(rows[:, 0], rows[:, column], color=MODEL)
            axis.axvline(best, color=PUBLISHED, linewidth=0.8, linestyle="--", label=f"kept: epoch {best:.0f}")
            axis.set(xlabel="epoch", ylabel=label, yscale="log")
        axes[0].legend()


def write_parity(points: Mapping[str, Mapping[str, tuple[Floats, Floats]]], path: Path) -> None:
    """Draw predicted against labelled values, one panel per quantity, one colour and marker per class.

    Parameters
    ----------
    points
        By quantity (its name with unit is the panel's title), by class: labelled and predicted values.
    path
        PNG to write.
    """
    with _canvas(path, len(points), 3.3) as axes:
        for axis, (quantity, classes) in zip(axes, points.items(), strict=True):
            both = np.concatenate([np.concatenate(pair) for pair in classes.values()])
            ends = (float(both.min()), float(both.max()))
            axis.plot(ends, ends, color=DATA, linewidth=0.8, zorder=0)
            for number, (name, (labelled, predicted)) in enumerate(classes.items()):
                colour, marker = _class_style(number)
                axis.plot(
                    labelled, predicted, marker, color=colour, markersize=3, markeredgewidth=0, alpha=0.7, label=name
                )
            axis.set(xlabel="DFT", ylabel="potential", title=quantity)
        handles, names = axes[0].get_legend_handles_labels()
        axes[0].figure.legend(handles, names, markerscale=2, loc="outside right center")


def write_calibration(
    deviation: Floats, error: Floats, *, scale: float, rank_correlation: float, thresholds: Sequence[float], path: Path
) -> None:
    """Draw the true force error of each atom against the committee's deviation, both axes logarithmic.

    Parameters
    ----------
    deviation, error
        Per atom of the held-out frames: norm of the standard deviation of the force over the committee, and of the
        difference between its force and the label, eV/Å, shape (atom,).
    scale
        Root mean square of error / of deviation, over all atoms.
    rank_correlation
        Spearman's coefficient.
    thresholds
        Deviation of the warning and of the stop, eV/Å.
    path
        PNG to write.
    """
    order = np.argsort(deviation)
    bins = [b for b in np.array_split(order, max(3, min(12, len(order) // 20))) if len(b)]
    middle = [float(np.sqrt(np.mean(deviation[b] ** 2))) for b in bins]
    mean_error = [float(np.sqrt(np.mean(error[b] ** 2))) for b in bins]
    across, up = _shown(deviation), _shown(error)
    ends = np.array([across[0], max(across[1], *(1.3 * value for value in thresholds))])
    outside = int(np.sum((deviation < across[0]) | (error < up[0])))
    atoms = "atoms of held-out frames" + (f"; {outside} with less lie outside" if outside else "")
    with _canvas(path, 1, 6.0) as axes:
        axis = axes[0]
        axis.plot(deviation, error, ".", color=DATA, markersize=2.5, alpha=0.5, label=atoms)
        axis.plot(middle, mean_error, "o-", color=MODEL, label="root mean square in bins of equal size")
        axis.plot(
            ends,
            scale * ends,
            color=PUBLISHED,
            linewidth=0.9,
            label=f"root mean square of error / of deviation: {scale:.2g}",
        )
        for value, name, style in zip(thresholds, ("warn", "stop"), (":", "--"), strict=True):
            axis.axvline(value, color=SERIES[4], linestyle=style, linewidth=0.9, label=f"{name}: {value:.2g} eV/Å")
        axis.set(
            xscale="log", yscale="log", xlabel="committee deviation / eV Å$^{-1}$", ylabel="force error / eV Å$^{-1}$"
        )
        axis.set(xlim=ends, ylim=up)
        axis.set_title(f"rank correlation {rank_correlation:.2f}, {len(deviation)} atoms")
        axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def write_phonons(crystals: Mapping[str, Any], path: Path) -> None:
    """Draw, for each crystal, the branches along lines between special points, and the density of states beside them.

    Parameters
    ----------
    crystals
        By name: what `mlsim.potential.crystal_properties.phonons` returns.
    path
        PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = (len(crystals) + 1) // 2
    with publication_style():
        figure = Figure(figsize=(10.5, 2.7 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, 4, squeeze=False, gridspec_kw={"width_ratios": [3, 1, 3, 1]})
        for axis in grid.ravel()[2 * len(crystals) :]:
            axis.set_axis_off()
        for number, (name, waves) in enumerate(crystals.items()):
            bands, states = grid[number // 2][2 * (number % 2) : 2 * (number % 2) + 2]
            bands.plot(waves.path, waves.path_THz, color=MODEL, linewidth=0.7)
            ticks: dict[float, str] = {}
            for place, label in waves.special_points:
                label = "Γ" if label == "G" else label
                ticks[place] = f"{ticks[place]}|{label}" if place in ticks else label
                bands.axvline(place, color=DATA, linewidth=0.4)
            bands.set_xticks(list(ticks), list(ticks.values()), fontsize=6)
            states.plot(waves.dos, waves.dos_THz, color=MODEL, linewidth=0.8)
            for axis in (bands, states):
                axis.axhline(0, color=PUBLISHED, linewidth=0.6)
                axis.set_ylim(min(1.05 * waves.lowest_THz, -0.5), 1.05 * waves.highest_THz)
            bands.set(xlim=(0, waves.path[-1]), ylabel="frequency / THz", title=name)
            states.set(xlabel="states / THz$^{-1}$", yticklabels=[])
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=160)


def write_distributions(
    r: Floats, curves: Mapping[tuple[str, str], tuple[Floats, Floats, Floats]], title: str, path: Path
) -> None:
    """Draw partial g(r) of teacher and potential, one panel per pair, with the standard error of their difference.

    Parameters
    ----------
    r
        Distances, Å, shape (m,).
    curves
        By pair: g(r) of the teacher, of the potential, standard error of the difference, each of shape (m,).
    title
        What was simulated.
    path
        PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(curves) // 5)
    with publication_style():
        figure = Figure(figsize=(12, 2.4 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, 5, squeeze=False)
        for axis in grid.ravel()[len(curves) :]:
            axis.set_axis_off()
        for axis, ((first, second), (teacher, own, error)) in zip(grid.ravel(), curves.items(), strict=False):
            axis.plot(r, teacher, color=PUBLISHED, label="teacher")
            axis.fill_between(r, teacher - error, teacher + error, color=PUBLISHED, alpha=0.2, linewidth=0)
            axis.plot(r, own, color=MODEL, linestyle="--", label="potential")
            axis.set(title=f"{first}–{second}", xlabel="r / Å", ylabel="g(r)")
        grid[0][0].legend()
        figure.suptitle(title)
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=160)


def write_pair_curves(curves: Mapping[tuple[str, str], tuple[Floats, Floats]], path: Path) -> None:
    """Draw the energy of two atoms against their distance, 0.5 to 3.5 Å, one panel per pair.

    The energy axis is linear within 1 eV of zero and logarithmic beyond, so that the wall and the well are both seen.

    Parameters
    ----------
    curves
        By pair: distances, Å, and energies relative to the separate atoms, eV, each of shape (m,).
    path
        PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(curves) // 5)
    with publication_style():
        figure = Figure(figsize=(10.5, 2.3 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, 5, squeeze=False, sharex=True, sharey=True)
        for axis in grid.ravel()[len(curves) :]:
            axis.set_axis_off()
        for axis, ((first, second), (distance, energy)) in zip(grid.ravel(), curves.items(), strict=False):
            axis.axhline(0, color=DATA, linewidth=0.6)
            axis.plot(distance, energy, color=MODEL)
            axis.set_yscale("symlog", linthresh=1.0)
            axis.set(title=f"{first}–{second}", xlim=(0.5, 3.5))
        for row in grid:
            row[0].set_ylabel("energy / eV")
        for column in range(min(5, len(curves))):
            grid[(len(curves) - 1 - column) // 5][column].set_xlabel("distance / Å")
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format="png", dpi=160)


def _class_style(number: int) -> tuple[str, str]:
    """Return colour and marker of a class; the second round of colours comes with other markers."""
    return SERIES[number % len(SERIES)], _MARKERS[number % len(_MARKERS)]


def _shown(values: Floats) -> tuple[float, float]:
    """Return the range of positive values that is drawn: all but the smallest, such as those of symmetric atoms."""
    low, high = np.percentile(values[values > 0], _SHOWN_PERCENT)
    return float(low) / 1.3, float(high) * 1.3
