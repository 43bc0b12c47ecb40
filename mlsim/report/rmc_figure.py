"""Figures of a reverse Monte Carlo refinement: the fit, its trace, and what the data constrain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsim.io.atomic import atomic_path
from mlsim.report.figure import publication_style
from mlsim.report.palette import DATA, DIFFERENCE, MODEL, PUBLISHED
from mlsim.report.words import label_of

if TYPE_CHECKING:
    from mlsim.rmc import DataSet, Ensemble, Influence

__all__ = ["write_fit_figure", "write_influence_figure"]

_LABELS = {
    "s_of_q": ("Q (1/Å)", "S(Q)"),
    "i_of_q": ("Q (1/Å)", "S(Q) − 1"),
    "qi_of_q": ("Q (1/Å)", "Q [S(Q) − 1] (1/Å)"),
    "f2_of_q": ("Q (1/Å)", "(S − 1) <f>²/<f²>"),
    "g_pdf": ("r (Å)", "G_PDF(r) (1/Å²)"),
    "t_of_r": ("r (Å)", "T(r) (1/Å²)"),
    "g_of_r": ("r (Å)", "g(r)"),
}
_VERDICT_COLOUR = {
    "set by the data": MODEL,
    "set by the starting model": PUBLISHED,
    "set by constraints": DATA,
}


def write_fit_figure(path: Path, ensemble: Ensemble, sets: Sequence[DataSet]) -> Path:
    """Draw each data set with the mean of the fits, their difference, and the misfit along the runs."""
    from matplotlib.figure import Figure

    with publication_style():
        figure = Figure(figsize=(7.0, 2.2 * (len(sets) + 1)))
        axes = figure.subplots(len(sets) + 1, 1)
        for axis, data in zip(axes, sets, strict=False):
            _draw_fit(axis, ensemble, data)
        _draw_trace(axes[-1], ensemble, [len(d.curve.x) for d in sets], [d.name for d in sets])
        return _saved(figure, path)


def _draw_fit(axis: Any, ensemble: Ensemble, data: DataSet) -> None:
    from mlsim.rmc.refine import scaled

    models = np.array([scaled(r.models[data.name], r.scales[data.name]).y for r in ensemble.fitted])
    mean = models.mean(axis=0)
    x, y = data.curve.x, data.curve.y
    axis.plot(x, y, ".", color=DATA, ms=2.5, label=f"data, {data.radiation}")
    axis.plot(x, mean, color=MODEL, label=f"fit, mean of {len(models)}")
    low = min(y.min(), mean.min())
    shift = low - 1.5 * np.abs(y - mean).max() - 0.05 * np.ptp(y)
    axis.plot(x, y - mean + shift, color=DIFFERENCE, lw=0.8, label="data − fit, shifted")
    axis.axhline(shift, color=DIFFERENCE, lw=0.4)
    value = np.mean([r.rw[data.name] for r in ensemble.fitted])
    across, up = _LABELS[str(data.curve.quantity)]
    axis.set(xlabel=across, ylabel=up, title=f"{data.name}: Rw {value:.3f}")
    axis.legend(ncols=3)


def _draw_trace(axis: Any, ensemble: Ensemble, points: list[int], names: list[str]) -> None:
    colours = (MODEL, PUBLISHED, DIFFERENCE, DATA)
    for run in ensemble.fitted:
        moves = (np.arange(len(run.chi_squared)) + 1) / len(run.chi_squared) * run.moves / len(run.atoms)
        for k, n in enumerate(points):
            axis.semilogy(moves, run.chi_squared[:, k] / n, color=colours[k % 4], lw=0.7)
    for k, name in enumerate(names):
        axis.plot([], [], color=colours[k % 4], label=name)
    axis.set(xlabel="proposed moves per atom", ylabel="chi² per point", title="misfit along the runs")
    axis.legend(ncols=len(names))


def write_influence_figure(path: Path, found: Sequence[Influence]) -> Path:
    """Draw every number in the three ensembles, in units of the spread among runs without data."""
    from matplotlib.figure import Figure

    with publication_style():
        figure = Figure(figsize=(7.0, 0.8 + 0.24 * len(found)))
        axis = figure.subplots()
        for row, item in enumerate(found):
            _draw_row(axis, -row, item)
        axis.set_yticks([-k for k in range(len(found))], [f"{label_of(i.name)[0]}" for i in found])
        axis.set_xlabel("difference from the runs without data (± their standard deviation); arcsinh scale")
        axis.axvline(0, color="black", lw=0.4)
        axis.set_ylim(-len(found) + 0.4, 0.6)
        for marker, text in (("o", "fitted"), ("s", "refitted from the ends of those"), ("|", "start")):
            axis.plot([], [], marker, color="black", ms=4, label=text)
        for verdict, colour in _VERDICT_COLOUR.items():
            axis.plot([], [], color=colour, lw=3, label=verdict)
        figure.legend(ncols=3, loc="outside upper center")
        return _saved(figure, path)


def _draw_row(axis: Any, y: float, item: Influence) -> None:
    centre, colour = item.free.value, _VERDICT_COLOUR[item.verdict]
    spread = (item.free.standard_error or 0.0) * np.sqrt(item.free.n_independent) or 1e-3 * max(abs(centre), 1e-3)

    def at(value: float) -> float:
        return float(np.arcsinh((value - centre) / spread))

    axis.barh(y, 2 * at(centre + spread), left=-at(centre + spread), height=0.7, color="#e8e8e8")
    for estimate, marker, up in ((item.fitted, "o", 0.12), (item.refitted, "s", -0.12)):
        error = 2 * (estimate.standard_error or 0.0)
        axis.plot([at(estimate.value - error), at(estimate.value + error)], [y + up] * 2, color=colour, lw=1)
        axis.plot(at(estimate.value), y + up, marker, color=colour, ms=4)
    if item.start is not None:
        axis.plot(at(item.start), y, "|", color="black", ms=8)


def _saved(figure: Any, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=160, metadata={"Software": None})
    return path
