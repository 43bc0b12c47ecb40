"""The interactive plots, as plain dictionaries in plotly's form: data, layout, and how to lay out panels.

Nothing here needs the plotly package; the page brings plotly.js.
"""

from __future__ import annotations

from mlsim.io.series import ReportSeries
from mlsim.report.structure_charts import chlorine, coordination, links, measured_alone, partials, scattering
from mlsim.report.traces import Chart
from mlsim.report.transport_charts import arrhenius, displacement, thermo

__all__ = ["all_charts"]


def all_charts(series: ReportSeries) -> dict[str, Chart]:
    """Return every plot that the series has data for, by the name of its place in the page."""
    found: dict[str, Chart | None] = {
        "g_pdf": scattering(series, "g_pdf"),
        "s_of_q": scattering(series, "s_of_q"),
        "partials": partials(series),
        "coordination": coordination(series),
        "links": links(series),
        "chlorine": chlorine(series),
        "msd_log": displacement(series, logarithmic=True),
        "msd_linear": displacement(series, logarithmic=False),
        "arrhenius": arrhenius(series),
        "thermo": thermo(series),
    }
    for i, curve in enumerate(series.measured):
        if str(curve.quantity) not in ("g_pdf", "s_of_q"):
            found[f"measured_{i}"] = measured_alone(curve)
    return {name: chart for name, chart in found.items() if chart is not None}
