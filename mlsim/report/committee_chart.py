"""How far the models of a committee disagree along the quench, with the limits that the committee was calibrated to."""

from __future__ import annotations

from typing import Any, Final

from mlsim.io.series import ReportSeries, ThermoPart
from mlsim.report.palette import DATA
from mlsim.report.quench_charts import committee
from mlsim.report.traces import Chart, peaks_kept

__all__ = ["committee_chart"]

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
