"""`report.html`: one file that opens anywhere, also without a network, and says what a run found."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
from ase.data import atomic_numbers
from markupsafe import Markup, escape

from mlsim import __version__
from mlsim.io.atomic import atomic_write_text
from mlsim.io.run_folder import read_run
from mlsim.report.comparison import Comparison
from mlsim.report.palette import MODEL, PUBLISHED
from mlsim.report.scene import Scene
from mlsim.report.traces import Chart
from mlsim.report.view import View, view_of
from mlsim.report.words import published_text, subscripts, unit_text

__all__ = ["own_file", "page_text", "templates", "write_report"]

_GAUGE_END: Final = 6.0
_FORMULA: Final = re.compile(r"\b(?=[A-Za-z]*\(?\d)((?:[A-Z][a-z]?(?:\d+(?:\.\d+)?|\(\d+\+\d*x\))?){2,})(?![\w-])")
_DOI: Final = re.compile(r"doi:(10\.\d{4,9}/[^\s,;<>\"]*[^\s,;<>\".)])")
_SECTIONS: Final = (
    ("numbers", "answer"),
    ("scattering", "scattering"),
    ("rmc", "refinement"),
    ("topology", "polyhedra"),
    ("view", "glass"),
    ("transport", "transport"),
    ("thermo", "density"),
    ("potential", "potential"),
    ("caveats", "caveats"),
    ("methods", "methods"),
    ("provenance", "provenance"),
)


def write_report(directory: str | os.PathLike[str]) -> Path:
    """Write `report.html` from what lies in the folder of a run, and return its path.

    The page holds everything that it shows, plotly.js included (5 MB), and asks no other host for anything.
    A part for which there are no data says why.

    Raises
    ------
    DataError
        When there is neither result.json nor series.json, a file does not follow its form, or the page cannot be
        written.
    SettingsError
        When the files were made with different potentials or settings.
    """
    folder = Path(directory)
    view = view_of(read_run(folder))
    words = {"v": view, "title": view.title, "sections": _SECTIONS}
    target = folder / "report.html"
    atomic_write_text(target, page_text("one.html.j2", words, view.charts, scenes_of(view)))
    return target


def page_text(template: str, words: Mapping[str, Any], charts: Mapping[str, Chart], scenes: Mapping[str, Scene]) -> str:
    """Return a whole page: a template that extends `page.html.j2`, with the plots and shapes that it draws."""
    return (
        templates(html=True)
        .get_template(template)
        .render(
            **words,
            version=__version__,
            charts_json=_inert_json(charts),
            scenes_json=_inert_json({name: scene.as_json() for name, scene in scenes.items()}),
            style=Markup(own_file("style.css")),
            viewer=Markup(own_file("viewer.js")),
            script=Markup(own_file("page.js")),
            plotly_js=Markup(_plotly_js()),
        )
    )


def scenes_of(view: View) -> dict[str, Scene]:
    """Return the shapes of a view by the name of their place in the page."""
    return {} if view.scene is None else {f"{view.prefix}scene": view.scene}


def templates(*, html: bool) -> jinja2.Environment:
    """Return the environment of our templates; values are escaped in HTML only."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(own_file),
        autoescape=html,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(gauge=_gauge, published_text=published_text, unit_text=unit_text)
    environment.filters.update(lowered=_lowered, formulas=_formulas, cell=_cell, linked=_linked)
    return environment


def _lowered(formula: str) -> Markup:
    """Return a formula with its indices lowered."""
    pieces = [Markup("<sub>{}</sub>").format(text) if low else escape(text) for text, low in subscripts(formula)]
    return Markup("").join(pieces)


def _formulas(text: str) -> Markup:
    """Return a text in which the formulas have their indices lowered."""
    pieces = _FORMULA.split(text)  # every second one is a formula
    return Markup("").join(
        _lowered(piece) if number % 2 and _is_formula(piece) else escape(piece) for number, piece in enumerate(pieces)
    )


def _linked(text: str) -> Markup:
    """Return a text in which a DOI can be clicked; nothing is loaded before that."""
    pieces = _DOI.split(text)  # every second one is a DOI
    link = Markup('<a href="https://doi.org/{0}" rel="noopener">doi:{0}</a>')
    return Markup("").join(link.format(piece) if number % 2 else escape(piece) for number, piece in enumerate(pieces))


def _is_formula(text: str) -> bool:
    """Whether a word is made of symbols of elements, at least one of them a common anion: Li2O, not PBE0 or NVT300."""
    elements = re.findall(r"[A-Z][a-z]?", text)
    return set(elements) <= set(atomic_numbers) and bool({"O", "F", "S", "Cl", "Br", "I", "N"} & set(elements))


def _cell(text: str) -> str:
    """Return text that neither ends a cell of a Markdown table nor is read as HTML or emphasis."""
    flat = " ".join(str(text).split())
    return "".join(f"\\{sign}" if sign in "|*_`[]<>" else sign for sign in flat)


def own_file(name: str) -> str:
    """Return the text of a file among our templates."""
    return importlib.resources.files("mlsim.report").joinpath("templates", name).read_text(encoding="utf-8")


def _plotly_js() -> str:
    return importlib.resources.files("plotly").joinpath("package_data", "plotly.min.js").read_text(encoding="utf-8")


def _inert_json(value: Any) -> Markup:
    """Return JSON that no browser can take for the end of its script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


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
