"""The report of a series: a campaign or several folders in one page, in the order of the axis, gaps said."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlsim.cli import app
from mlsim.composition import place_in_series
from mlsim.errors import DataError, SettingsError
from mlsim.io.campaign import read_campaign
from mlsim.io.results import read_result
from mlsim.io.series import read_series
from mlsim.report import write_report
from mlsim.report.series_charts import series_charts
from mlsim.report.series_comparisons import compared_systems
from mlsim.report.series_page import series_rows, write_series_report
from mlsim.report.series_points import Member, campaign_members, folder_members, places_of, points_of
from mlsim.report.series_summary import series_summary
from mlsim.report.words import number_text
from mlsim.shipped import shipped_folder

SYSTEMS: list[dict[str, Any]] = [
    {"name": "a", "formula": "Li2ZrCl4O", "x": 0, "phase": "amorphous", "result": "a/result.json", "extra": 1},
    {"name": "b", "formula": "Li3ZrCl4O1.5", "x": 0.5, "phase": "amorphous", "result": "b/result.json"},
    {"name": "c", "formula": "Li2ZrCl6", "x": None, "phase": "crystalline", "result": "c/result.json"},
    {"name": "d", "formula": "Li4ZrCl4O2", "x": 1, "phase": "amorphous", "missing": ["glass-2: quench not finished"]},
]


@pytest.fixture
def campaign(full_folder: Path) -> Path:
    folder = full_folder.parent / "campaign"
    for system, factor in zip(SYSTEMS[:3], (0.2, 1.0, 0.01), strict=True):
        copy = folder / str(system["name"])
        shutil.copytree(full_folder, copy)
        (copy / "study.json").unlink()
        body = json.loads((copy / "result.json").read_text(encoding="utf-8"))
        for row in body["quantities"]:
            if system["name"] != "b":
                row["reference"] = None
            if row["name"].startswith("conductivity"):
                row["value"], row["standard_error"] = factor * row["value"], 0.01 * factor
        (copy / "result.json").write_text(json.dumps(body), encoding="utf-8")
        series = json.loads((copy / "series.json").read_text(encoding="utf-8"))
        series.update(composition=system["formula"])
        (copy / "series.json").write_text(json.dumps(series), encoding="utf-8")
    shutil.rmtree(folder / "c" / "rmc")
    (folder / "c" / "series.json").unlink()
    body = {"title": "My series", "systems": SYSTEMS, "missing": ["no measurements"], "cost": {"processor_s": 7200}}
    (folder / "campaign.json").write_text(json.dumps(body), encoding="utf-8")
    return folder


def _summary(members: list[Member]) -> str:
    return " ".join(series_summary(members))


def test_places_follow_x_and_what_is_outside_stands_to_the_right(campaign: Path) -> None:
    _, members = campaign_members(campaign)
    assert [label for _, label in places_of(members).values()] == ["0", "0.5", "1", "Li2ZrCl6, crystal"]
    places = [point.place for point in points_of(members, "conductivity_298K_mS_cm")]
    assert places[:2] == [0.0, 0.5] and places[2] > 1.0


def test_the_summary_names_the_best_only_where_errors_allow(campaign: Path) -> None:
    _, members = campaign_members(campaign)
    text = _summary(members)
    assert "3 of 4 systems have results." in text
    assert "The highest is that of Li3ZrCl4O1.5." in text
    assert re.search(r"The lowest is that of \S+; .+ cannot be told apart from it at 95 %", text)
    assert "Published: Li3ZrCl4O1.5 1.35 ± 0.07 (ours is 0.67 times that: differs at 95 %)." in text


def test_the_summary_gives_the_interval_and_what_the_conductivity_assumes(campaign: Path) -> None:
    for name, ends in (("a", (0.1, 0.3)), ("b", (0.5, 1.9))):
        path = campaign / name / "result.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        row = next(row for row in body["quantities"] if row["name"] == "conductivity_298K_mS_cm")
        row["method"] = "Nernst-Einstein, extrapolated from 450 to 600 K"
        pairs = zip(("low", "high"), ends, strict=True)
        names = {f"conductivity_298K_95_{which}_mS_cm": end for which, end in pairs}
        kept = [one for one in body["quantities"] if one["name"] not in names]
        body["quantities"] = [*kept, *({**row, "name": key, "value": end} for key, end in names.items())]
        path.write_text(json.dumps(body), encoding="utf-8")
    text = _summary(campaign_members(campaign)[1])
    assert "; in brackets the 95 % interval) is Li2ZrCl4O " in text
    assert re.search(r"Li2ZrCl4O \S+ \(0.1 to 0.3\), Li3ZrCl4O1.5 \S+ \(0.5 to 1.9\)", text)
    assert "It is extrapolated from 450–600 K" in text and "assumes a Haven ratio of 1 (on the lines it is " in text


def _let_the_framework_flow(folder: Path) -> None:
    """Let the hottest point of the Arrhenius line be that of a liquid."""
    body = json.loads((folder / "series.json").read_text(encoding="utf-8"))
    hottest = max(body["arrhenius"]["points"], key=lambda point: point["temperature_K"])
    hottest.update(used=True, framework="flows")
    (folder / "series.json").write_text(json.dumps(body), encoding="utf-8")


def _plain(page: str) -> str:
    """Return a page without its lowered indices."""
    return page.replace("<sub>", "").replace("</sub>", "")


def test_the_summary_names_the_system_whose_line_is_that_of_a_liquid(campaign: Path) -> None:
    assert "that of a liquid" not in _summary(campaign_members(campaign)[1])
    _let_the_framework_flow(campaign / "a")
    text = _summary(campaign_members(campaign)[1])
    assert "Not counted: Li2ZrCl4O, whose framework flows, so that the line is that of a liquid." in text
    assert text.count("Li2ZrCl4O") == 1


def test_a_framework_that_may_flow_is_named_with_how_fast_it_may(campaign: Path) -> None:
    path = campaign / "b" / "series.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    for point, share in zip(body["arrhenius"]["points"], (0.04, 0.17, 0.2), strict=False):
        point.update(used=True, framework="undecided", fastest="Cl", fastest_over_ion=share, fastest_is_bound=True)
    path.write_text(json.dumps(body), encoding="utf-8")
    members = campaign_members(campaign)[1]
    assert "whether the framework flows too in Li3ZrCl4O1.5 (Cl up to 17 % as fast as Li)" in _summary(members)
    assert set(series_rows(members)[1].caveats.values()) == {"may be a liquid"}


def test_without_its_curves_it_is_not_known_whether_a_system_is_a_liquid(campaign: Path) -> None:
    (campaign / "b" / "series.json").unlink()
    members = campaign_members(campaign)[1]
    assert "whether the framework flows too in Li3ZrCl4O1.5 (its curves are not there)" in _summary(members)
    assert set(series_rows(members)[1].caveats.values()) == {"may be a liquid"}
    assert all(p.doubtful for p in points_of(members, "activation_energy_eV") if p.member.name == "b")


def test_the_conductivities_of_the_hottest_temperature_of_all_lines_stand_beside_those_at_298_K(campaign: Path) -> None:
    for name, value in (("a", 30.0), ("b", 50.0)):
        path = campaign / name / "result.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        for kelvin in (800.0, 900.0, 1200.0):  # the line ends at 900 K
            row = {"name": "conductivity_mS_cm", "unit": "mS/cm", "n_independent": 4, "method": "m", "reference": None}
            body["quantities"].append({**row, "value": value + kelvin, "standard_error": 2.0, "temperature_K": kelvin})
        path.write_text(json.dumps(body), encoding="utf-8")
    members = [member for member in campaign_members(campaign)[1] if member.name in ("a", "b")]
    said = "At 900 K, the hottest of all lines, the Nernst–Einstein one is Li2ZrCl4O 930.0 ± 2.0 and Li3ZrCl4O1.5 950.0"
    assert said in _summary(members)


def test_numbers_from_the_line_of_a_liquid_are_marked_wherever_they_stand(campaign: Path) -> None:
    _ask_for_comparison(campaign)
    _let_the_framework_flow(campaign / "a")
    members = campaign_members(campaign)[1]
    assert list(series_rows(members)[0].caveats.values()) == ["line of a liquid"] * 2
    assert not series_rows(members)[1].caveats
    names = {
        quantity: {trace["name"]: trace["marker"]["symbol"] for trace in series_charts(members)[chart]["data"]}
        for quantity, chart in (("energy", "series-x_activation_energy_eV"), ("density", "series-x_density_g_cm3"))
    }
    assert names["energy"]["glass or liquid"] == "circle-open" and names["energy"]["glass"] == "circle"
    assert "glass or liquid" not in names["density"]
    lines = [t for t in series_charts(members)["series-together_arrhenius"]["data"] if t.get("mode") == "lines"]
    looks = {trace["name"]: trace["line"].get("dash") for trace in lines}
    assert looks["Li<sub>2</sub>ZrCl<sub>4</sub>O (a liquid)"] == "dot"
    assert looks["Li<sub>3</sub>ZrCl<sub>4</sub>O<sub>1.5</sub>"] is None
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    for report in (_plain(page), text):
        assert re.search("The framework of Li2ZrCl4O flows at [0-9]+ K: its transport is that of a liquid.", report)
    row = next(line for line in text.splitlines() if line.startswith("| Li2ZrCl4O |"))
    assert row.count("(line of a liquid)") == 2 and page.count("<small>line of a liquid</small>") == 2
    assert page.index('id="trends"') < page.index('id="compared"') < page.index('id="systems"')


def test_what_has_not_converged_stands_on_top_by_system_without_its_details(campaign: Path) -> None:
    path = campaign / "a" / "series.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    melt = "distance moved in the melt and overlap (x): Cl 1.4 Å, 0.25 ± 0.06 (remembers: melt longer or hotter)"
    body["notes"] = ["900 K: too short to tell whether the framework diffuses as well", melt]
    path.write_text(json.dumps(body), encoding="utf-8")
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    top = text[: text.index("| system |")]
    line = next(line for line in top.splitlines() if line.startswith("**Not converged in Li2ZrCl4O:**"))
    assert line.endswith("the melt remembers the packing of Cl.") and "overlap" not in top
    assert "<b>Not converged in Li<sub>2</sub>ZrCl<sub>4</sub>O:</b>" in page[: page.index('id="numbers"')]


def test_where_the_committee_is_often_above_its_limit_is_said_once_for_all_systems(campaign: Path) -> None:
    potential = shipped_folder("potentials") / "lzoc-1"
    sha256 = re.search(r"\((\w+)\)", (potential / "model_card.md").read_text("utf-8").partition("\n")[0])
    assert sha256 is not None
    for name, top in (("a", 0.16), ("b", 0.3)):
        path = campaign / name / "series.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        kelvin = next(p["temperature_K"] for p in body["arrhenius"]["points"] if p.get("used", True))
        percentiles = [top * share / 100 for share in range(101)]
        body["committee_md"] = [{"temperature_K": kelvin, "percentiles_eV_A": percentiles}]
        body["potential"] = {"name": "lzoc-1", "sha256": sha256[1] + "0" * (64 - len(sha256[1]))}
        path.write_text(json.dumps(body), encoding="utf-8")
        numbers = campaign / name / "result.json"
        result = json.loads(numbers.read_text(encoding="utf-8"))
        result["provenance"]["potential_sha256"] = body["potential"]["sha256"]
        numbers.write_text(json.dumps(result), encoding="utf-8")
    (campaign / "c" / "result.json").unlink()
    text = write_series_report([campaign], formats=())[1].read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("**Potential:**"))
    assert re.search(r"limit in \d % \(Li2ZrCl4O\) and \d\d % \(Li3ZrCl4O1.5\) of the steps", line)


def test_the_dagger_is_explained_only_where_one_stands(campaign: Path) -> None:
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    assert "† Published without an error" in page and "† Published without an error" in text
    sample = {"formula": "Na2HfCl4O", "name": "a", "phase": "amorphous", "result": "a/result.json"}
    (campaign / "campaign.json").write_text(json.dumps({"systems": [sample]}), encoding="utf-8")
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    assert "† Published without an error" not in page and "† Published without an error" not in text


def test_one_page_holds_trends_and_every_system(campaign: Path) -> None:
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    charts = json.loads(page[page.index('id="charts">') + len('id="charts">') : page.index("</script>")])
    places = set(re.findall(r'id="plot-([^"]+)"', page))
    assert places == set(charts)
    assert {"series-x_conductivity_298K_mS_cm", "series-together_g_pdf", "s1-arrhenius", "s2-g_pdf"} <= places
    assert len(re.findall(r'<details class="system">', page)) == 3
    assert "Four independent runs of crystalline" in page
    assert "Four independent glasses of 114 atoms of Li<sub>2</sub>ZrCl<sub>4</sub>O" in page
    assert "(published 2.5 †; " in text and "published 2.5 †<" in page and "(published 0.294 ± 0.003;" in text
    for words in ("no numbers yet of Li4ZrCl4O2", "glass-2: quench not finished", "no measurements"):
        assert words in _plain(page) and words.replace("_", "\\_") in text
    assert len(re.findall(r' id="([^"]+)"', page)) == len(set(re.findall(r' id="([^"]+)"', page)))


def _ask_for_comparison(campaign: Path) -> None:
    """Let campaign.json ask for the first system, `a`, beside the crystal, `c`."""
    body = json.loads((campaign / "campaign.json").read_text(encoding="utf-8"))
    body["comparisons"] = [{"first": "a", "second": "c", "file": None}]
    (campaign / "campaign.json").write_text(json.dumps(body), encoding="utf-8")


def _same_but(campaign: Path, **values: tuple[float, float]) -> None:
    """Give both systems the same three numbers, of the second some with another value and error."""
    for name in ("a", "c"):
        path = campaign / name / "result.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        kept = ("conductivity_298K_mS_cm", "zr_o_coordination", "density_g_cm3")
        body["quantities"] = [row for row in body["quantities"] if row["name"] in kept]
        for row in body["quantities"]:
            row.update(value=1.0, standard_error=None if row["name"] == "density_g_cm3" else 0.02)
            if name == "c" and row["name"] in values:
                row["value"], row["standard_error"] = values[row["name"]]
        path.write_text(json.dumps(body), encoding="utf-8")


def test_glass_stands_beside_crystal_with_the_significance_of_each_difference(campaign: Path) -> None:
    _ask_for_comparison(campaign)
    _same_but(campaign, conductivity_298K_mS_cm=(0.05, 0.005), zr_o_coordination=(1.01, 0.02))
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    assert "Li2ZrCl4O beside Li2ZrCl6, crystal" in text and 'href="#compared"' in page
    answer = (
        "2 quantities were tested in 2 groups, each at 95 %; 1 differs: Conductivity at 298 K. Were all equal, "
        "some group would show a difference with a probability of up to 10 %."
    )
    assert answer in text and answer in page
    row = next(line for line in text.splitlines() if "× 0.050 (0.045 to 0.055)" in line)
    assert row.endswith("| Transport (1) | differs |")
    row = next(line for line in text.splitlines() if "0.010 ± 0.028" in line)
    assert row.endswith("| 0.74 | 0.74 | Structure (1) | no difference seen |")
    # both numbers, untested
    assert re.search(r"\| Mass density, g/cm³ \| .* \| – \| – \| – \| Structure \| not tested \|", text)


def test_a_comparison_of_the_report_is_that_of_the_command(campaign: Path, tmp_path: Path) -> None:
    _ask_for_comparison(campaign)
    file = tmp_path / "a--c.json"
    done = CliRunner().invoke(app, ["compare", str(campaign / "a"), str(campaign / "c"), "-o", str(file)])
    assert done.exit_code == 0, done.output
    written = {row.name.removesuffix("_difference"): row.method for row in read_result(file).rows}
    found, remarks = compared_systems(read_campaign(campaign / "campaign.json"), campaign_members(campaign)[1])
    conducts = next(row for row in found[0].rows if row.label == "Conductivity at 298 K")
    assert not remarks and conducts.verdict == "differs" and conducts.n_compared > 1
    chances = re.findall(r"(\d\S*) (?:\(Welch|corrected)", written["conductivity_298K_mS_cm"])
    assert [conducts.alone, conducts.corrected] == [number_text(float(chance)) for chance in chances]
    assert written["conductivity_298K_mS_cm"].endswith(f"{conducts.n_compared} comparisons (Holm): differs")


def test_a_comparison_with_numbers_that_are_not_there_is_said(campaign: Path) -> None:
    _ask_for_comparison(campaign)
    (campaign / "c" / "result.json").unlink()
    page = write_series_report([campaign], formats=())[0].read_text(encoding="utf-8")
    assert "Li2ZrCl4O beside Li2ZrCl6, crystal: the numbers of both are not there" in _plain(page)
    assert 'id="compared"' not in page


def test_what_the_analyses_said_stands_under_each_system(campaign: Path) -> None:
    body = json.loads((campaign / "campaign.json").read_text(encoding="utf-8"))
    body["systems"][0]["notes"] = ["mechanism: hops of a kind that nobody else has"]
    (campaign / "campaign.json").write_text(json.dumps(body), encoding="utf-8")
    for path in write_series_report([campaign], formats=()):
        assert path.read_text(encoding="utf-8").count("mechanism: hops of a kind that nobody else has") == 1


def test_both_reports_name_the_source_of_the_published_values_and_its_caveats(campaign: Path) -> None:
    series = read_series(campaign / "b" / "series.json")
    assert series.published is not None and series.published.notes
    for path in write_series_report([campaign], formats=()):
        text = path.read_text(encoding="utf-8")
        assert series.published.source.citation in text and series.published.source.doi in text
        assert "89.5 % amorphous" in text


def test_a_series_of_other_ions_names_them(campaign: Path) -> None:
    systems = [
        {"formula": formula, "x": x, "name": name, "phase": "amorphous", "result": f"{name}/result.json"}
        for name, formula, x in (("a", "NaAlCl4", 0.0), ("b", "Na2AlCl5", 1.0))
    ]
    (campaign / "campaign.json").write_text(json.dumps({"title": "t", "systems": systems}), encoding="utf-8")
    topology = {"mobile": "Na", "center": "Al", "bridging": ["Cl"]}
    for system in systems:
        path = campaign / str(system["name"]) / "series.json"
        body = json.loads(path.read_text(encoding="utf-8"))
        body.update(composition=system["formula"], published=None, settings={"topology": topology})
        path.write_text(json.dumps(body), encoding="utf-8")
        numbers = path.with_name("result.json")
        words = numbers.read_text(encoding="utf-8").replace('"zr_zr_', '"al_al_').replace('"zr_', '"al_')
        body = json.loads(words.replace('"li_', '"na_'))
        for row in body["quantities"]:
            row["reference"] = None
        numbers.write_text(json.dumps(body), encoding="utf-8")
    members = campaign_members(campaign)[1]
    assert [name for name in series_rows(members)[0].ours if name.startswith("al_")] == ["al_cl_coordination"]
    assert "series-x_al_al_edge_fraction" in series_charts(members)
    page, text = (path.read_text(encoding="utf-8") for path in write_series_report([campaign], formats=()))
    top = text[: text.index("## NaAlCl4")]
    assert "| Cl neighbours of Al / number |" in top and "Zr" not in top and "Li" not in top
    assert "At 298\u00a0K, Na conducts" in text or "At 298 K, Na conducts" in text
    assert "Transport of Na</h2>" in page and "Neighbours of Al</h3>" in page


def test_the_figures_of_a_series_are_drawn(campaign: Path) -> None:
    write_series_report([campaign], formats=(".svg",))
    names = {path.name for path in (campaign / "figures").iterdir()}
    assert {"series-conductivity.svg", "series-conductivity.png", "series-links.svg"} <= names


def test_x_of_a_formula() -> None:
    assert place_in_series("Li4ZrCl4O2") == 1.0 and place_in_series("Li6Zr2Cl8O3") == 0.5
    assert place_in_series("Li3ZrCl4O2") is None and place_in_series("LiCl") is None


def test_several_folders_need_a_folder_for_their_report(campaign: Path) -> None:
    with pytest.raises(SettingsError, match="--out is missing"):
        write_series_report([campaign / "a", campaign / "b"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", r"campaign.json: line 1: not JSON"),
        ('{"systems": []}', r"campaign.json: systems: .*at least 1 item"),
        ('{"systems": [{"x": 1}]}', r"campaign.json: systems.0.formula"),
        ('{"systems": [{"formula": "Xy2"}]}', r"campaign.json: .*Xy"),
        ('{"systems": [{"formula": "LiCl"}, {"formula": "LiCl"}]}', r"campaign.json: LiCl is listed twice; keep one"),
        (
            '{"systems": [{"name": "a", "formula": "LiCl"}], '
            '"comparisons": [{"first": "a", "second": "b", "file": "f"}]}',
            "campaign.json: comparisons: no system is called 'b'",
        ),
        ('{"systems": [{"formula": "LiCl", "phase": "liquid"}]}', r"campaign.json: systems.0.phase: .*'amorphous'"),
    ],
)
def test_a_bad_campaign_is_one_line(tmp_path: Path, body: str, message: str) -> None:
    (tmp_path / "campaign.json").write_text(body, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_campaign(tmp_path / "campaign.json")


def phase_of(folder: Path, phase: str) -> Path:
    """Say the phase of a run in its curves, and leave out what is published beside its numbers."""
    path = folder / "series.json"
    body = json.loads(path.read_text(encoding="utf-8"))
    body.update(phase=phase, published=None)
    path.write_text(json.dumps(body), encoding="utf-8")
    numbers = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    for row in numbers["quantities"]:
        row["reference"] = None
    (folder / "result.json").write_text(json.dumps(numbers), encoding="utf-8")
    return folder


def test_glass_and_crystal_of_one_composition_stand_side_by_side(campaign: Path) -> None:
    shutil.copytree(campaign / "b", campaign / "e")
    crystal, glass = phase_of(campaign / "e", "crystalline"), phase_of(campaign / "b", "amorphous")
    members = folder_members([crystal, glass])
    assert {member.label: member.phase for member in members} == {
        "Li3ZrCl4O1.5, crystal": "crystalline",
        "Li3ZrCl4O1.5, glass": "amorphous",
    }
    known = {member.phase: member.published("conductivity_298K_mS_cm") for member in members}
    assert known["crystalline"] is None
    assert known["amorphous"] is not None and known["amorphous"].value == 1.35
    page, _ = write_series_report([crystal, glass], campaign / "out", formats=())
    text = page.read_text(encoding="utf-8")
    assert "Four independent runs of 114 atoms of crystalline Li" in text
    assert "Four independent glasses of 114 atoms of Li" in text
    with pytest.raises(DataError, match=r"are both of Li3ZrCl4O1.5, crystal; `mlsim compare`"):
        folder_members([crystal, glass, crystal])


def test_the_report_of_one_crystal_speaks_of_runs_not_of_glasses(campaign: Path) -> None:
    text = write_report(phase_of(campaign / "b", "crystalline")).read_text(encoding="utf-8")
    assert "Four independent runs of 114 atoms of crystalline Li" in text
    assert "independent glasses of" not in text
