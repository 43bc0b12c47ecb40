"""Words for those who cannot see a figure: what it shows, and its main numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from mlsim.io.series import ArrheniusPart, Line, ReportSeries, Share
from mlsim.report.structure_charts import LINK_NAMES
from mlsim.report.words import join_words, number_text, pair_text

__all__ = ["alternative_texts", "highest", "shares_text"]

_CURVES: Final = {"g_pdf": ("G_PDF(r)", "r", "Å"), "s_of_q": ("S(Q)", "Q", "1/Å")}


def alternative_texts(series: ReportSeries) -> dict[str, str]:
    """Return the alternative text of each plot that a series has data for, by the name of the plot."""
    texts: dict[str, str] = {}
    for name, (words, across, unit) in _CURVES.items():
        line: Line | None = getattr(series, name)
        if line is not None:
            texts[name] = f"{words} of the model against {across}: {highest(line, across, unit)}"
            texts[name] += "; with the user's curve and the difference." if series.measured else "."
    for name, words, across, unit in (
        ("partials", "Partial g(r)", "r", "Å"),
        ("q_partials", "Faber–Ziman partial A(Q)", "Q", "1/Å"),
    ):
        lines: dict[str, Line] = getattr(series, name)
        if lines:
            tops = [f"{pair_text(pair)} {highest(line, across, unit)}" for pair, line in sorted(lines.items())]
            texts[name] = f"{words} of every pair of elements against {across}. {'; '.join(tops)}."
    if series.coordination:
        texts["coordination"] = f"Bars: {'; '.join(_histogram_words(series))}."
    if series.links:
        four = [share for share in series.links if share.label in LINK_NAMES]
        words = shares_text([share.model_copy(update={"label": LINK_NAMES[share.label]}) for share in four])
        texts["links"] = f"Bars, share of the links between polyhedra: {words}; published shares beside them if known."
    if series.cl_by_zr:
        named = [share.model_copy(update={"label": f"{share.label} Zr"}) for share in series.cl_by_zr]
        texts["chlorine"] = f"Bars, share of Cl by its number of Zr: {shares_text(named)}."
    texts.update(_motion(series))
    return texts


def highest(line: Line, across: str, unit: str) -> str:
    """Return where a curve is highest.

    Examples
    --------
    >>> highest(Line(x=(1.0, 2.0, 3.0), y=(0.0, 5.0, 1.0)), "r", "Å")
    'highest, 5, at r = 2 Å'
    """
    top = int(np.argmax(line.y))
    return f"highest, {line.y[top]:.3g}, at {across} = {line.x[top]:.3g} {unit}"


def shares_text(shares: Sequence[Share]) -> str:
    """Return shares as per cent in a sentence.

    Examples
    --------
    >>> shares_text([Share(label="edge", fraction=0.25, standard_error=0.03), Share(label="face", fraction=0.0)])
    'edge 25 ± 3 % and face 0 %'
    """
    words = []
    for share in shares:
        error = "" if not share.standard_error else f" ± {100 * share.standard_error:.0f}"
        words.append(f"{share.label} {100 * share.fraction:.0f}{error} %")
    return join_words(words) if words else "none"


def _histogram_words(series: ReportSeries) -> list[str]:
    words = []
    for part in series.coordination:
        mean = sum(n * share for n, share in zip(part.n_neighbours, part.fraction, strict=True))
        most = part.n_neighbours[int(np.argmax(part.fraction))]
        words.append(
            f"{part.center} has {mean:.2f} {part.neighbour} on average, most often {most} "
            f"({100 * max(part.fraction):.0f} %)"
        )
    return words


def _motion(series: ReportSeries) -> dict[str, str]:
    texts: dict[str, str] = {}
    if series.msd:
        ends = [f"{p.temperature_K:g} K {p.msd_A2[-1]:.3g} Å² after {p.lag_ps[-1]:.3g} ps" for p in series.msd]
        words = f"Mean squared displacement of {series.msd[0].element} against lag time, a line per temperature: "
        texts["msd_log"] = f"{words}{join_words(ends)}; logarithmic scales."
        texts["msd_linear"] = f"{words}{join_words(ends)}; linear scales with error bands."
    if series.arrhenius is not None:
        texts["arrhenius"] = _arrhenius(series.arrhenius)
    if series.thermo:
        ends = [f"{part.label} {part.density_g_cm3[-1]:.2f} g/cm³" for part in series.thermo]
        texts["thermo"] = f"Temperature and density against time from the melt on; at the end {join_words(ends)}."
        texts["quench"] = f"Density and energy against temperature during the quench; at the end {join_words(ends)}."
        known = [part for part in series.thermo if part.committee_eV_A]
        if known:
            largest = [f"{part.label} {max(part.committee_eV_A or ()):.2g} eV/Å" for part in known]
            texts["committee"] = f"Largest deviation of the committee along the quench: {join_words(largest)}."
    return texts


def _arrhenius(part: ArrheniusPart) -> str:
    if not part.points:
        return "Arrhenius plot without a point."
    listed = []
    for point in part.points:
        value = number_text(point.diffusivity_cm2_s, point.standard_error_cm2_s)
        bound = "" if point.diffusive else "below "
        left = "" if point.used or not point.diffusive else ", not in the fit"
        listed.append(f"{point.temperature_K:g} K {bound}{value} cm²/s{left}")
    cold = ""
    if part.line is not None:
        cold = f" The fitted line ends at {part.line.y[-1]:.2g} cm²/s at {part.line.x[-1]:.0f} K"
        if part.line_low is not None and part.line_high is not None:
            cold += f", 68 % between {part.line_low[-1]:.2g} and {part.line_high[-1]:.2g}"
        cold += "."
    return f"Logarithm of the diffusivity against 1000/T: {join_words(listed)}.{cold}"
