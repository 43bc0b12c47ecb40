"""`report.html`: one file that opens anywhere, also without a network, and says what a run found."""

from __future__ import annotations

import importlib.resources
import json
import os
from pathlib import Path
from typing import Any, Final

import jinja2
from markupsafe import Markup

from mlsim.io.atomic import atomic_write_text
from mlsim.io.results import read_result
from mlsim.io.series import ReportSeries, Section, read_series
from mlsim.report.charts import all_charts
from mlsim.report.comparison import Comparison, comparisons, summary
from mlsim.report.palette import MODEL, PUBLISHED
from mlsim.report.words import published_text, unit_text

__all__ = ["write_report"]

_GAUGE_END: Final = 6.0
_REASONS: Final[dict[Section, str]] = {
    "scattering": "No scattering curve: this run did not compute one.",
    "partials": "No partial pair distributions: this run did not compute them.",
    "coordination": "No coordination numbers: this run did not compute them.",
    "links": "No Zr–Zr links: this run did not compute them, or the glass has none.",
    "chlorine": "No Cl surroundings: this run did not compute them.",
    "displacement": "No displacements: this run did no transport.",
    "arrhenius": "No Arrhenius plot: this run has no diffusivity.",
    "thermo": "No history: this run did not record temperature and density.",
}


def write_report(directory: str | os.PathLike[str]) -> Path:
    """Write `report.html` from the `result.json` and `series.json` of a folder, and return its path.

    The page holds everything that it shows, plotly.js included (5 MB), and asks no other host for anything.
    A part for which there are no data says why.

    Raises
    ------
    DataError
        When one of the two files is missing or does not follow its form, or the page cannot be written.
    """
    folder = Path(directory)
    result, series = read_result(folder / "result.json"), read_series(folder / "series.json")
    charts = all_charts(series)
    text = _template().render(
        series=series,
        provenance=result.provenance,
        groups=comparisons(result, series),
        summary=summary(result, series),
        charts=charts,
        charts_json=_inert_json(charts),
        reasons=_reasons(series),
        measured_alt=_measured_alt(series),
        gauge=_gauge,
        published_text=published_text,
        unit_text=unit_text,
        style=Markup(_own_file("style.css")),
        script=Markup(_own_file("page.js")),
        plotly_js=Markup(_plotly_js()),
    )
    target = folder / "report.html"
    atomic_write_text(target, text)
    return target


def _reasons(series: ReportSeries) -> dict[Section, str]:
    """Return why each section may be empty: the run's own words first."""
    why = "no file was given" if series.published is None else "no raw curve of this glass is public that we know of"
    own = "To see your own data here, name the file under “measurement:” in the study and run again."
    return {**_REASONS, "measured": f"No measured curve is drawn: {why}. {own}", **series.missing}


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(_own_file("template.html.j2"))


def _own_file(name: str) -> str:
    return importlib.resources.files("mlsim.report").joinpath(name).read_text(encoding="utf-8")


def _plotly_js() -> str:
    return importlib.resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


def _inert_json(value: Any) -> Markup:
    """Return JSON that no browser can take for the end of its script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _measured_alt(series: ReportSeries) -> str:
    return ", with the curves of the user and the difference" if series.measured else ""


def _gauge(row: Comparison) -> Markup:
    """Return a small drawing: the span in which both values are compatible, and where the difference lies."""
    if row.difference is None:
        return Markup("")

    def at(value: float) -> float:
        return 60 + 54 * max(-_GAUGE_END, min(_GAUGE_END, value)) / _GAUGE_END

    span = row.critical or 0.0
    low, high, here = at(-span), at(span), at(row.difference)
    colour = PUBLISHED if row.verdict == "differs" else MODEL
    beyond = abs(row.difference) > _GAUGE_END
    turn = 1 if row.difference > 0 else -1
    mark = (
        f'<path d="M{here + 5 * turn:.1f} 9 l{-8 * turn} -5 v10 z" fill="{colour}"/>'
        if beyond
        else f'<circle cx="{here:.1f}" cy="9" r="4.5" fill="{colour}"/>'
    )
    return Markup(
        '<svg width="120" height="18" viewBox="0 0 120 18" aria-hidden="true">'
        f'<rect x="{low:.1f}" y="5" width="{high - low:.1f}" height="8" rx="4" style="fill:var(--span)"/>'
        '<path d="M60 2 v14" style="stroke:var(--faint)"/>' + mark + "</svg>"
    )
