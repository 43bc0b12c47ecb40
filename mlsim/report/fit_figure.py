"""The figure of a measured curve beside a model: data, model, difference, and what each pair of elements adds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mlsim.curve import Quantity
from mlsim.errors import SettingsError
from mlsim.io.atomic import atomic_path
from mlsim.report.figure import FORMATS, publication_style, undated
from mlsim.report.palette import DATA, DIFFERENCE, MODEL, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mlsim.scattering import CurveFit

__all__ = ["write_fit_figure"]

_NAMES: Final = {
    Quantity.S_OF_Q: "$S$($Q$)",
    Quantity.I_OF_Q: "$S$($Q$) − 1",
    Quantity.QI_OF_Q: "$Q$[$S$($Q$) − 1] (1/Å)",
    Quantity.F2_OF_Q: "[$I$ − ⟨$f^2$⟩]/⟨$f^2$⟩",
    Quantity.F_KEEN: "$F_K$($Q$) (barn)",
    Quantity.G_PDF: "$G_{\\mathrm{PDF}}$($r$) (1/Å$^2$)",
    Quantity.G_OF_R: "$g$($r$)",
    Quantity.T_OF_R: "4π$ρrg$($r$) (1/Å$^2$)",
    Quantity.G_KEEN: "$G_K$($r$) (barn)",
    Quantity.D_KEEN: "$D$($r$) (barn/Å$^2$)",
    Quantity.T_KEEN: "$T$($r$) (barn/Å$^2$)",
}


def write_fit_figure(path: str | os.PathLike[str], fit: CurveFit, *, title: str = "") -> Path:
    """Draw data, model, their difference and the terms of the pairs to a file, and return its path.

    Parameters
    ----------
    path
        File ending in .png (300 dpi), .pdf or .svg; one that exists is replaced in one step.
    fit
        From `mlsim.scattering.fitted_curve`.
    title
        What was compared; text without mathematics.

    Raises
    ------
    SettingsError
        When the ending of `path` is another one.
    """
    from matplotlib.figure import Figure

    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise SettingsError(f"{target}: cannot draw a figure as '{target.suffix}'; expected one of {known}")
    several = len(fit.terms) > 1
    with publication_style():
        figure = Figure(figsize=(6.2, 4.8 if several else 3.6))
        if several:
            upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.5, 1.0))
            _terms(lower, fit)
        else:
            upper = lower = figure.subplots()
        _curves(upper, fit, title)
        lower.set_xlabel("$Q$ (1/Å)" if fit.data.quantity.of_q else "$r$ (Å)")
        with atomic_path(target) as temporary:
            figure.savefig(temporary, dpi=300, metadata=undated(target))
    return target


def _curves(axes: Axes, fit: CurveFit, title: str) -> None:
    x, data, model = fit.data.x, fit.data.y, fit.model.y
    circles: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 1.8, "markeredgewidth": 0.4}
    every = max(1, len(x) // 700)  # more circles only cover each other
    axes.plot(x[::every], data[::every], color=DATA, markerfacecolor="none", label="data", **circles)
    axes.plot(x, model, color=MODEL, linewidth=1.0, label=f"model, Rw = {fit.rw_of_mean:.3f}")
    if fit.model.sigma is not None:
        low, high = model - fit.model.sigma, model + fit.model.sigma
        axes.fill_between(x, low, high, color=MODEL, alpha=0.25, linewidth=0)
    lowest, span = min(data.min(), model.min()), np.ptp(data)
    difference = data - model
    level = lowest - 0.08 * span - max(float(difference.max()), 0.0)
    axes.axhline(level, color=DIFFERENCE, linewidth=0.4)
    axes.plot(x, difference + level, color=DIFFERENCE, linewidth=0.8, label="data − model")
    axes.set_ylabel(_NAMES[fit.data.quantity])
    axes.set_xlim(float(x[0]), float(x[-1]))
    if title:
        axes.set_title(title.replace("$", r"\$"), loc="left")
    axes.legend(loc="upper right", ncols=3)
    bottom, top = axes.get_ylim()
    axes.set_ylim(bottom, top + 0.1 * (top - bottom))  # a row for the legend, above the curves


def _terms(axes: Axes, fit: CurveFit) -> None:
    """The largest terms first, each shifted below the one before."""
    ordered = sorted(fit.terms.items(), key=lambda item: -float(np.ptp(item[1].y)))[: len(SERIES)]
    step = 0.75 * float(np.ptp(ordered[0][1].y))
    for i, ((first, second), curve) in enumerate(ordered):
        shift = -i * step * 0.5
        axes.plot(curve.x, curve.y + shift, color=SERIES[i], linewidth=0.9, label=f"{first}–{second}")
    axes.set_yticks([])
    axes.set_ylabel("terms of the pairs, shifted")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=1.2)
