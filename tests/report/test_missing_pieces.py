"""Whatever is missing, the report says so and shows the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlsim.errors import DataError
from mlsim.report import write_markdown_report, write_report

PIECES = {
    "result.json": "result.json is not there: the numbers and their provenance are missing",
    "series.json": "series.json is not there: every curve and the atoms are missing",
    "study.json": "study.json is not there: the settings are missing",
    "rmc/result.json": "No refinement: no measured curve was fitted.",
}
FIELDS = {
    "s_of_q": None,
    "g_pdf": None,
    "partials": "No partial pair distributions",
    "q_partials": "No partial structure factors",
    "snapshot": "No atoms to show",
    "coordination": "No coordination numbers",
    "links": "No Zr–Zr links",
    "cl_by_zr": "No Cl surroundings",
    "msd": "No displacements",
    "arrhenius": "No Arrhenius plot",
    "thermo": "No history",
    "published": "No measured curve is drawn: no file was given",
    "potential": "No potential is named",
    "notes": None,
    "n_atoms": None,
}


def _both(folder: Path) -> tuple[str, str]:
    page = write_report(folder).read_text(encoding="utf-8")
    return page, write_markdown_report(folder, formats=()).read_text(encoding="utf-8")


def test_a_full_run_misses_nothing(full_folder: Path) -> None:
    page, text = _both(full_folder)
    for words in (*PIECES.values(), *(words for words in FIELDS.values() if words)):
        assert words not in page
    assert "set by the data" in page and 'id="plot-rmc_sq"' in page
    assert "refined: set by the data" in page and "refined: set by the data" in text


@pytest.mark.parametrize("piece", PIECES)
def test_without_a_file_the_rest_is_shown(full_folder: Path, piece: str) -> None:
    (full_folder / piece).unlink()
    page, text = _both(full_folder)
    assert PIECES[piece] in page
    assert ("Conductivity at 298 K" in page) == (piece != "result.json")
    assert ('id="plot-arrhenius"' in page) == (piece != "series.json")
    assert ("glasses.packing_density_g_cm3" in page) == (piece != "study.json")
    if not piece.startswith("rmc"):
        assert PIECES[piece].partition(":")[0] in text.replace("\\", "")


@pytest.mark.parametrize("field", FIELDS)
def test_without_a_part_of_the_curves_the_rest_is_shown(full_folder: Path, field: str) -> None:
    path = full_folder / "series.json"
    body: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    del body[field]
    path.write_text(json.dumps(body), encoding="utf-8")
    page, _ = _both(full_folder)
    words = FIELDS[field]
    assert words is None or words in page
    assert "Conductivity at 298 K" in page


def test_without_anything_the_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"there is no result.json and no series.json; expected the folder of a fin"):
        write_report(tmp_path)
