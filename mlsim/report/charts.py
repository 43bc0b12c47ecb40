"""The interactive plots, as plain dictionaries in plotly's form: data, layout, and how to lay out panels.

Nothing here needs the plotly package; the page brings plotly.js.
"""

from __future__ import annotations

from mlsim.io.results import Result
from mlsim.io.run_folder import Refinement
from mlsim.io.series import ReportSeries
from mlsim.report.committee_chart import committee_chart
from mlsim.report.palette import DATA, DIFFERENCE, MODEL
from mlsim.report.quench_charts import quench
from mlsim.report.structure_charts import (
    chlorine,
    coordination,
    links,
    measured_alone,
    partials,
    polyhedra,
    scattering,
)
from mlsim.report.traces import Chart, axis, chart, escaped, rounded
from mlsim.report.transport_charts import arrhenius, displacement, thermo

__all__ = ["all_charts", "refinement_charts"]


def all_charts(
    series: ReportSeries, result: Result | None = None, limits: tuple[float, float] | None = None
) -> dict[str, Chart]:
    """Return every plot that a run has data for, by the name of its place in the page.

    Parameters
    ----------
    series, result
        Curves and numbers of the run.
    limits
        Deviations at which its committee warns and stops, eV/Å.
    """
    rows = () if result is None else result.rows
    transition = None if result is None else result.row("glass_transition_K")
    found: dict[str, Chart | None] = {
        "g_pdf": scattering(series, "g_pdf"),
        "s_of_q": scattering(series, "s_of_q"),
        "partials": partials(series),
        "q_partials": partials(series, of_q=True),
        "coordination": coordination(series),
        "links": links(series),
        "chlorine": chlorine(series),
        "polyhedra": polyhedra(rows),
        "msd_log": displacement(series, logarithmic=True),
        "msd_linear": displacement(series, logarithmic=False),
        "arrhenius": arrhenius(series),
        "thermo": thermo(series),
        "quench": quench(series, None if transition is None else transition.estimate),
        "committee": committee_chart(series, limits),
    }
    for i, curve in enumerate(series.measured):
        if str(curve.quantity) not in ("g_pdf", "s_of_q"):
            found[f"measured_{i}"] = measured_alone(curve)
    return {name: chart for name, chart in found.items() if chart is not None}


def refinement_charts(refinement: Refinement | None) -> dict[str, Chart]:
    """Return one plot per data set of a refinement: data, mean of the fits, and their difference shifted below."""
    charts: dict[str, Chart] = {}
    for curve in () if refinement is None else refinement.curves:
        difference = curve.data - curve.model
        lowest = min(curve.data.min(), curve.model.min())
        shift = float(lowest - difference.max() - 0.05 * (curve.data.max() - lowest))
        x = rounded(curve.x.tolist())
        lines = (
            ("data", curve.data, {"mode": "markers", "marker": {"size": 4, "color": DATA, "symbol": "circle-open"}}),
            ("mean of the fits", curve.model, {"mode": "lines", "line": {"color": MODEL, "width": 1.6}}),
            ("data − fit, shifted", difference + shift, {"mode": "lines", "line": {"color": DIFFERENCE, "width": 1}}),
        )
        data = [{"type": "scatter", "x": x, "y": rounded(y.tolist()), "name": n, **look} for n, y, look in lines]
        across = "<i>Q</i> (1/Å)" if curve.of_q else "<i>r</i> (Å)"
        charts[f"rmc_{curve.name}"] = chart(data, axis(across), axis(f"{escaped(curve.name)} (unit of the file)"))
    return charts
