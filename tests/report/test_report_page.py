"""report.html stands alone, shows every number, says what is missing, and takes no user text for code."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlsim.errors import DataError
from mlsim.io.series import Line, MeasuredCurve, write_series
from mlsim.report import write_report
from mlsim.report.page import own_file, templates

Writer = Callable[..., Path]


class Page(HTMLParser):
    """What a browser would see: attributes that load something, visible text, the charts."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.places: list[str] = []
        self.scripts: list[str] = []
        self.text = ""
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))
        self.charts: dict[str, Any] = json.loads(self.scripts[0])

    @property
    def only_links_to_papers(self) -> bool:
        """Whether every address is a place in the page, or a DOI to click."""
        return all(address.startswith(("#", "https://doi.org/10.")) for address in self.addresses)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = tag
        values = {name: value or "" for name, value in attrs}
        self.addresses += [values[name] for name in ("src", "href", "srcset", "data", "action") if name in values]
        if values.get("id", "").startswith("plot-"):
            self.places.append(values["id"].removeprefix("plot-"))
            assert values["aria-label"], "a figure without words for those who cannot see it"

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        elif self._inside == "style":
            assert "url(" not in data and "@import" not in data
        else:
            self.text += data


def _page(folder: Path) -> Page:
    return Page(write_report(folder))


def test_nothing_is_loaded_from_outside(run_folder: Writer) -> None:
    page = _page(run_folder())
    assert page.addresses and page.only_links_to_papers
    assert not {"link", "img", "iframe", "object", "embed", "base"} & set(page.tags)
    assert "plotly.js" in page.scripts[2] and len(page.scripts) == 5
    text = (run_folder() / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    for own in page.scripts[3:]:
        assert "http" not in own and "fetch(" not in own and "import(" not in own


def test_every_quantity_stands_in_the_page_with_its_number_and_the_published_one(run_folder: Writer) -> None:
    folder = run_folder()
    page = _page(folder)
    for row in json.loads((folder / "result.json").read_text(encoding="utf-8"))["quantities"]:
        assert row["name"] in page.text
        assert row["method"] in page.text
    for shown in (
        "2.000 ± 0.020",
        "0.294 ± 0.003",
        "1.35 ± 0.07",
        "(2.10 ± 0.30) × 10⁻⁵",
        "< 4 × 10⁻⁷",
        "g/cm³",
        "−16.0",
    ):
        assert shown in page.text.replace("\u00a0", " "), shown


def test_every_chart_has_a_place_and_every_place_a_chart(run_folder: Writer) -> None:
    page = _page(run_folder())
    assert sorted(page.places) == sorted(page.charts)
    expected = {"g_pdf", "s_of_q", "partials", "q_partials", "coordination", "links", "chlorine"}
    assert set(page.charts) == expected | {"msd_log", "msd_linear", "arrhenius", "thermo", "quench"}


def test_every_axis_has_a_title(run_folder: Writer) -> None:
    for name, chart in _page(run_folder()).charts.items():
        axes = {key: axis for key, axis in chart["layout"].items() if re.fullmatch(r"[xy]axis\d*", key)}
        assert axes
        for key, axis in axes.items():
            assert axis["title"]["text"] or (name, key) == ("links", "xaxis"), f"{name}: {key}"


def test_the_notes_and_the_contradiction_of_the_published_readings_are_printed(run_folder: Writer) -> None:
    text = _page(run_folder()).text
    assert "All numbers are made up." in text
    assert "Two published readings of this glass do not agree" in text
    assert "= 2.2 Cl neighbours" in text
    assert "cl_with_li_around_fraction" in text


def test_the_provenance_is_printed(run_folder: Writer) -> None:
    text = _page(run_folder()).text
    for shown in ("0" * 64, "b" * 64, "none-at-all", "numpy", "11"):
        assert shown in text


@pytest.mark.parametrize(
    ("text", "link"),
    [
        ("JACS 2024, doi:10.1021/jacs.3c07343.", "10.1021/jacs.3c07343"),
        ("(B. L. Welch, doi:10.1093/biomet/34.1-2.28).", "10.1093/biomet/34.1-2.28"),
    ],
)
def test_a_doi_can_be_clicked_and_the_rest_stays_text(text: str, link: str) -> None:
    filled = templates(html=True).from_string("{{ text|linked }}").render(text=f"<b>{text}")
    assert f'<a href="https://doi.org/{link}" rel="noopener">doi:{link}</a>' in filled
    assert filled.startswith("&lt;b&gt;") and filled.endswith(text.partition(link)[2])


def test_on_paper_the_glass_keeps_its_shape_and_everything_is_unfolded() -> None:
    style, script = own_file("style.css"), own_file("page.js")
    printed = style[style.index("@media print") :]
    assert "object-fit: contain" in printed  # the canvas holds the pixels of the screen
    assert "folded.filter(function (part) { return !part.open; })" in script


def test_without_a_measurement_the_page_says_how_to_give_one(run_folder: Writer) -> None:
    text = _page(run_folder()).text
    assert "no raw curve of this glass is public that we know of" in text
    assert "“measurement:” in the study" in text


def test_a_measured_curve_is_drawn_with_its_difference_and_named(run_folder: Writer) -> None:
    data = Line(x=(1.0, 2.0, 3.0), y=(1.0, 0.0, 1.0))
    model = Line(x=(1.0, 2.0, 3.0), y=(0.5, 0.5, 0.5))
    curve = MeasuredCurve(
        quantity="g_pdf", radiation="neutron", sample="my glass", source="beam line 7", data=data, model=model
    )
    page = _page(run_folder(measured=(curve,)))
    traces = {trace["name"]: trace for trace in page.charts["g_pdf"]["data"]}
    assert traces["measured: my glass, beam line 7"]["y"] == [1.0, 0.0, 1.0]
    shifted = np.array(traces["data − model (shifted)"]["y"])
    np.testing.assert_allclose(shifted - shifted[0], [0.0, -1.0, 0.0])
    assert "No measured curve" not in page.text and "my glass, neutron, g_pdf, from beam line 7" in page.text


def test_a_computed_curve_is_never_called_measured(run_folder: Writer) -> None:
    data = Line(x=(1.0, 2.0), y=(1.0, 0.0))
    curve = MeasuredCurve(
        quantity="qi_of_q", radiation="xray", sample="from a model", source="", data=data, origin="synthetic"
    )
    page = _page(run_folder(measured=(curve,)))
    assert page.charts["measured_0"]["data"][0]["name"] == "synthetic: from a model"
    assert "measured: from a model" not in page.text
    assert "This curve was computed; it is no measurement." in page.text


EVIL = '<img src="http://example.org/x" onerror=alert(1)></script><script>alert(2)</script> & "quotes"'


def test_what_a_user_wrote_stays_text(run_folder: Writer) -> None:
    data = Line(x=(1.0, 2.0), y=(1.0, 0.0))
    curve = MeasuredCurve(quantity="g_pdf", radiation="xray", sample=EVIL, source=EVIL, data=data)
    page = _page(run_folder(title=EVIL, notes=(EVIL,), preset=EVIL, measured=(curve,), partials={"<b>-Zr": data}))
    assert page.only_links_to_papers and "img" not in page.tags
    assert page.tags.count("script") == 5
    assert page.text.count(EVIL) >= 4
    names = [trace["name"] for chart in page.charts.values() for trace in chart["data"]]
    assert not any("<img" in name or "<b>" in name for name in names)


EMPTY: dict[str, Any] = {
    "s_of_q": None,
    "g_pdf": None,
    "partials": {},
    "q_partials": {},
    "snapshot": None,
    "coordination": (),
    "links": (),
    "cl_by_zr": (),
    "msd": (),
    "arrhenius": None,
    "thermo": (),
    "published": None,
    "potential": None,
    "notes": (),
}


def test_a_run_without_any_curve_says_what_is_missing(run_folder: Writer) -> None:
    page = _page(run_folder(rows=[], **EMPTY))
    assert page.charts == {} and page.places == []
    for shown in (
        "The result holds no quantity.",
        "No scattering curve: this run did not compute one.",
        "No partial pair distributions",
        "No coordination numbers",
        "No Zr–Zr links",
        "No Cl surroundings",
        "No displacements: this run did no transport.",
        "No Arrhenius plot",
        "No history",
        "No partial structure factors",
        "No atoms to show",
        "No refinement",
        "No potential is named",
        "No committee",
        "No measured curve is drawn: no file was given",
        "None were recorded.",
    ):
        assert shown in page.text, shown


def test_the_reason_that_the_run_gives_is_printed_instead_of_the_general_one(run_folder: Writer) -> None:
    missing = {"arrhenius": "only one temperature is diffusive", "displacement": "the study has no transport"}
    text = _page(run_folder(msd=(), arrhenius=None, missing=missing)).text
    assert "only one temperature is diffusive" in text and "the study has no transport" in text
    assert "this run did no transport" not in text


def test_a_single_glass_gets_no_verdict(run_folder: Writer) -> None:
    from mlsim.curve import Estimate
    from mlsim.io.results import QuantityRow, Reference

    row = QuantityRow("zr_o_coordination", Estimate(2.0, None, 1, "1"), "m", None, Reference(2.5, None, "EXAFS"))
    text = _page(run_folder(rows=[row], n_glasses=1)).text
    assert "no error" in text and "One independent glass of 114 atoms" in text


def test_the_answer_stands_before_everything_else(run_folder: Writer) -> None:
    text = write_report(run_folder()).read_text(encoding="utf-8")
    places = [text.index(part) for part in ("<h1>", 'class="lead"', 'class="head"', 'id="scattering"', 'id="caveats"')]
    assert places == sorted(places)
    head = text[text.index('class="head"') : text.index("</table>")]
    assert head.index("Conductivity at 298 K") < head.index("Mass density") < head.index("O neighbours of Zr")
    assert "Zr–Zr links: corner, through one O" in head and "polyhedron" not in head
    assert "n = 4 leaves ±0.064 g/cm³ (3 %) at 95 %" in head
    assert "of the X-ray total" not in text  # no X-ray data entered


def test_the_weight_of_a_pair_limits_a_number_only_where_x_ray_data_entered(full_folder: Path) -> None:
    assert "Zr–Cl is 37 % of the X-ray total" in _page(full_folder).text


def test_the_dagger_and_the_line_on_convergence_are_not_folded(run_folder: Writer) -> None:
    note = "distance moved in the melt and overlap: Cl 5.2 Å, 0.02 ± 0.02; Zr 3.5 Å, 0.11 ± 0.02 (remembers: longer)"
    text = write_report(run_folder(notes=(note,))).read_text(encoding="utf-8")
    open_text = re.sub(r"<details.*?</details>", "", text, flags=re.S)
    assert "† published without an error (" in open_text
    assert "<b>Converged:</b> the framework rests (900 K); the melt has forgotten the packing of Cl." in open_text
    assert "<b>Not converged:</b> " in open_text and "remembers the packing of Zr (overlap 0.11)" in open_text


def test_every_number_is_in_the_folded_table(run_folder: Writer) -> None:
    text = write_report(run_folder()).read_text(encoding="utf-8")
    folded = text[text.index('<details class="all">') :]
    for row in json.loads((run_folder() / "result.json").read_text(encoding="utf-8"))["quantities"]:
        assert f"<code>{row['name']}</code>" in folded


def test_a_damaged_file_is_one_line(run_folder: Writer) -> None:
    folder = run_folder()
    (folder / "series.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"series.json: line 1: not JSON"):
        write_report(folder)


def test_long_histories_are_thinned_for_the_page_only(run_folder: Writer) -> None:
    n = 5000
    time = tuple(float(i) for i in range(n))
    part = {"label": "glass", "time_ps": time, "temperature_K": time, "density_g_cm3": time}
    page = _page(run_folder(thermo=(part,)))
    drawn = page.charts["thermo"]["data"][0]
    assert len(drawn["x"]) <= 1200 and drawn["x"][0] == 0 and drawn["x"][-1] == n - 1


def test_the_page_is_made_again_from_the_same_files_byte_by_byte(run_folder: Writer) -> None:
    folder = run_folder()
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first
    write_series(folder / "series.json", {"title": "other", "composition": "LiCl", "preset": ""})
    assert write_report(folder).read_bytes() != first
