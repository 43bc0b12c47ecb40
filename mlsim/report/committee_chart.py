"""How far the models of a committee disagree along the quench, with the limits that the committee was calibrated to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mlsim.io.series import CommitteePart, ReportSeries, ThermoPart
from mlsim.report.palette import DATA
from mlsim.report.quench_charts import committee
from mlsim.report.traces import Chart, peaks_kept
from mlsim.report.words import join_words

__all__ = ["committee_chart", "committee_in_words"]

_LIMITS: Final = (("warns", "dot"), ("stops", "dash"))


def committee_chart(series: ReportSeries, limits: tuple[float, float] | None) -> Chart | None:
    """Return the largest deviation on an atom against time; None for a single model.

    Parameters
    ----------
    series
        Curves of the run.
    limits
        Deviations at which a run warns and stops, eV/Å; None where they are not at hand.
    """
    drawn = committee(series.model_copy(update={"thermo": tuple(map(_peaks, series.thermo))}))
    if drawn is None or limits is None:
        return drawn
    ends = [min(trace["x"][0] for trace in drawn["data"]), max(trace["x"][-1] for trace in drawn["data"])]
    return {**drawn, "data": [*drawn["data"], *_lines(limits, ends)]}


def committee_in_words(parts: Sequence[CommitteePart], limits: tuple[float, float] | None) -> str:
    """Return how far a committee disagreed during the molecular dynamics; empty where that is not known."""
    if not parts:
        return ""
    largest = max(parts, key=lambda part: part.percentiles_eV_A[-1])
    text = (
        "In the molecular dynamics behind the transport the largest disagreement on an atom was "
        f"{largest.percentiles_eV_A[-1]:.2g} eV/Å, at {largest.temperature_K:g} K"
    )
    if limits is None:
        return f"{text}."
    shares = [f"{100 * part.share_above(limits[0]):.0f} %" for part in parts]
    limit = f"the warning limit of {limits[0]:.2g} eV/Å"
    if set(shares) == {"0 %"}:
        return f"{text}, below {limit}."
    kelvin = join_words([f"{part.temperature_K:g}" for part in parts])
    return (
        f"{text}; {join_words(shares)} of the steps at {kelvin} K were above {limit}. It was calibrated on small "
        "frames: the largest of the many atoms of a cell passes it sooner."
    )


def _peaks(part: ThermoPart) -> ThermoPart:
    """Return a history whose peaks survive the thinning of a plot: a limit is passed in single steps."""
    if not part.committee_eV_A:
        return part
    time, deviation = peaks_kept(part.time_ps, part.committee_eV_A)
    return part.model_copy(update={"time_ps": time, "committee_eV_A": deviation})


def _lines(limits: tuple[float, float], ends: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "type": "scatter",
            "x": ends,
            "y": [value, value],
            "mode": "lines",
            "name": f"a run {verb} at {value:.2g} eV/Å",
            "line": {"color": DATA, "width": 2.2, "dash": dash},
        }
        for (verb, dash), value in zip(_LIMITS, limits, strict=True)
    ]
