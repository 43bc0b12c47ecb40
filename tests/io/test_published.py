"""The published values that come with mlsim are the ones of the paper, and say what they cannot be compared with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlsim.composition import Composition, oxyhalide_series
from mlsim.errors import DataError, SettingsError
from mlsim.io.published import published_sample, read_published
from mlsim.shipped import shipped_folder

BEST = "Li3ZrCl4O1.5"

# Zhang et al., J. Am. Chem. Soc. 2024, 146, 2977: value, error where one is given
PUBLISHED = {
    "zr_o_peak_A": (2.07, None),
    "zr_o_coordination": (2.5, None),
    "zr_cl_peak_A": (2.49, None),
    "zr_cl_coordination": (5.6, None),
    "zr_zr_corner_o_fraction": (0.37, None),
    "zr_zr_corner_cl_fraction": (0.55, None),
    "cl_terminal_fraction": (0.38, None),
    "activation_energy_eV": (0.294, 0.003),
    "conductivity_298K_mS_cm": (1.35, 0.07),
}


def test_the_values_of_the_best_composition_are_those_of_the_paper() -> None:
    sample = published_sample(BEST)
    assert sample is not None
    assert {v.name: (v.value, v.standard_error) for v in sample.quantities} == PUBLISHED


def test_every_reference_names_its_method_and_doi() -> None:
    sample = published_sample(BEST)
    assert sample is not None
    for name in PUBLISHED:
        reference = sample.reference_for(name)
        assert reference is not None and reference.source.endswith(", doi:10.1021/jacs.3c07343")
    assert sample.reference_for("zr_o_coordination").source.startswith("EXAFS")  # type: ignore[union-attr]
    assert sample.reference_for("cl_terminal_fraction").source.startswith("RMC")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "name", ["cl_no_zr_fraction", "cl_bridging_fraction", "zr_zr_edge_fraction", "haven_ratio", "density_g_cm3"]
)
def test_what_has_no_published_counterpart_has_no_reference(name: str) -> None:
    sample = published_sample(BEST)
    assert sample is not None and sample.reference_for(name) is None


def test_a_distance_from_exafs_stands_beside_the_peak_and_not_beside_the_mean_bond() -> None:
    sample = published_sample(BEST)
    assert sample is not None
    for anion in ("o", "cl"):
        assert sample.reference_for(f"zr_{anion}_peak_A").source.startswith("EXAFS")  # type: ignore[union-attr]
        assert sample.reference_for(f"zr_{anion}_distance_A") is None
    assert any("beside the peak of our g(r), not beside our mean bond" in note for note in sample.notes)


def test_cl_with_li_around_is_kept_apart_from_cl_without_zr() -> None:
    sample = published_sample(BEST)
    assert sample is not None
    entry = sample.value("cl_with_li_around_fraction")
    assert entry is not None and entry.value == 0.53 and "compared with nothing" in entry.note


def test_the_contradiction_of_the_two_readings_is_among_the_notes_and_its_arithmetic_holds() -> None:
    sample = published_sample(BEST)
    assert sample is not None
    note = next(text for text in sample.notes if "do not agree" in text)
    terminal = sample.value("cl_terminal_fraction").value  # type: ignore[union-attr]
    lithium = sample.value("cl_with_li_around_fraction").value  # type: ignore[union-attr]
    rest = 1 - terminal - lithium
    coordination = 4 * (terminal + 2 * rest)
    assert f"{coordination:.1f}" == "2.2" and "= 2.2 Cl neighbours" in note
    needed = (sample.value("zr_cl_coordination").value / 4 - terminal) / rest  # type: ignore[union-attr]
    assert round(needed) == 11 and "touch 11 Zr" in note


@pytest.mark.parametrize("x", [0, 0.25, 0.5, 0.75, 1])
def test_every_composition_of_the_series_is_known(x: float) -> None:
    sample = published_sample(oxyhalide_series(x))
    assert sample is not None and sample.notes


def test_a_composition_is_found_in_any_writing_and_unknown_ones_give_none() -> None:
    assert published_sample("O3Cl8Zr2Li6") == published_sample(Composition.parse(BEST))
    assert published_sample("LiCl") is None


def test_the_data_folder_explains_itself() -> None:
    text = (shipped_folder("data") / "li3zrcl4o1.5" / "README.md").read_text(encoding="utf-8")
    assert "10.1021/jacs.3c07343" in text and "not public" in text
    for name in PUBLISHED:
        assert name in text
    assert "li3zrcl4o1.5" in (shipped_folder("data") / "README.md").read_text(encoding="utf-8")


GOOD = """
source: {citation: A paper, doi: 10.1000/xyz}
compositions:
  LiCl:
    quantities:
      - {name: density_g_cm3, value: 2.07, unit: g/cm3, method: weighing}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("value: 2.07", "value: heavy", "compositions.LiCl.quantities.0.value: Input should be a valid number"),
        ("method: weighing", "metod: weighing", "compositions.LiCl.quantities.0.method: key is missing (and 1 more)"),
        ("doi: 10.1000/xyz", "doi: somewhere", "source.doi: String should match pattern"),
        ("LiCl:", "LiXx:", "formula 'LiXx': unknown element 'Xx'"),
        ("source: {", "source: [", "line 2: not YAML"),
    ],
)
def test_a_bad_file_is_one_line_that_names_the_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "published.yaml"
    path.write_text(GOOD.replace(old, new), encoding="utf-8")
    with pytest.raises((DataError, SettingsError), match=re.escape(message)) as caught:
        read_published(path)
    assert "\n" not in str(caught.value)


def test_a_quantity_given_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "published.yaml"
    row = "      - {name: density_g_cm3, value: 2.08, unit: g/cm3, method: again}\n"
    path.write_text(GOOD + row, encoding="utf-8")
    with pytest.raises(DataError, match=r"LiCl: 'density_g_cm3' is given twice; keep one"):
        read_published(path)
