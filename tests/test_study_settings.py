"""Settings of a study: presets, overrides, and what is said about a file that cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlsim.errors import SettingsError
from mlsim.melt_quench import production_schedule, quick_schedule
from mlsim.study import StudySettings, read_study, shipped_study
from mlsim.study.glass_stages import total_steps
from mlsim.study.manifest import settings_difference


def study(folder: Path, text: str, **options: str) -> StudySettings:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read_study(path, **options)


def complaint(folder: Path, text: str, **options: str) -> str:
    """The message about a study file, without its folder."""
    with pytest.raises(SettingsError) as caught:
        study(folder, text, **options)
    return str(caught.value).replace(f"{folder}/", "")


def test_the_shipped_study_is_the_oxychloride_glass_with_preset_quick() -> None:
    settings = read_study()
    assert (settings.composition, settings.preset, settings.name) == ("Li3ZrCl4O1.5", "quick", "li3zrcl4o1.5")
    assert settings.melt_quench == quick_schedule()
    assert settings.glasses.number >= 2
    assert settings.glasses.atoms == 114


def test_quick_is_at_most_15_minutes_on_two_cores_at_2_ms_a_step() -> None:
    study = read_study()
    assert total_steps(study) * study.glasses.number * 0.002 / 2 < 15 * 60


def test_production_is_what_a_publication_needs() -> None:
    settings = read_study(preset="production")
    assert settings.melt_quench == production_schedule()
    assert settings.glasses.number >= 6
    assert 450 <= settings.glasses.atoms <= 550
    assert settings.transport is not None
    assert len(settings.transport.temperatures_K) >= 4
    assert settings.transport.time_ps >= 1000


def test_a_study_of_one_line_takes_everything_else_from_quick(tmp_path: Path) -> None:
    settings = study(tmp_path, "composition: Li2ZrCl4O\nglasses: {atoms: 96}\n")
    assert settings.name == "li2zrcl4o"
    assert settings.glasses.atoms == 96
    assert settings.glasses.number == read_study().glasses.number
    assert settings.transport == read_study().transport


def test_the_preset_of_the_command_wins_over_that_of_the_file(tmp_path: Path) -> None:
    text = "composition: Li3ZrCl4O1.5\npreset: quick\n"
    assert study(tmp_path, text, preset="production").melt_quench == production_schedule()


def test_a_file_may_define_a_preset_and_change_a_shipped_one(tmp_path: Path) -> None:
    text = "composition: Li3ZrCl4O1.5\npreset: mine\npresets:\n  mine: {potential: p, glasses: {number: 3, atoms: 19, "
    text += "packing_density_g_cm3: 1.5}, melt_quench: quick, transport: null}\n  quick: {seed: 7}\n"
    assert study(tmp_path, text).glasses.number == 3
    assert study(tmp_path, text).transport is None
    assert study(tmp_path, text, preset="quick").seed == 7


def test_a_schedule_file_is_found_beside_the_study(tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text(production_schedule().to_yaml_text(), encoding="utf-8")
    assert study(tmp_path, "composition: Li3ZrCl4O1.5\nmelt_quench: slow.yaml\n").melt_quench == production_schedule()


def test_the_hash_follows_every_setting_but_not_the_name_of_the_preset(tmp_path: Path) -> None:
    base = study(tmp_path, "composition: Li3ZrCl4O1.5\n")
    assert base.sha256 == study(tmp_path, "composition: Li3ZrCl4O1.5\npreset: quick\n").sha256
    assert base.sha256 != study(tmp_path, "composition: Li3ZrCl4O1.5\nseed: 2\n").sha256
    assert base.sha256 != study(tmp_path, "composition: Li3ZrCl4O1.5\nscattering: {window: lorch}\n").sha256


BAD_STUDIES = {
    "composition: Li3ZrCl4O1.5\nglases: {number: 3}\n": "study.yaml: unknown key 'glases'; did you mean 'glasses'?",
    "composition: Li3ZrCl4O1.5\nglasses: {numbr: 3}\n": (
        "study.yaml: unknown key 'glasses.numbr'; did you mean 'number'?"
    ),
    "composition: Li3ZrCl4O1.5\ntransport: {temperature_K: [600]}\n": (
        "study.yaml: unknown key 'transport.temperature_K'; did you mean 'temperatures_K'?"
    ),
    "composition: Li3ZrCl4Q1.5\n": (
        "study.yaml: formula 'Li3ZrCl4Q1.5': unknown element 'Q'; use element symbols such as Li, Zr, Cl, O"
    ),
    "composition: Li3ZrCl4O2\n": (
        "study.yaml: Li3ZrCl4O2: not charge neutral, sum -1 e with Li+1, Zr+4, Cl-1, O-2; expected 0, mend the amounts"
    ),
    "composition: 12\n": "study.yaml: composition is 12, expected a valid string",
    "seed: 3\n": "study.yaml: 'composition' is missing",
    "composition: Li3ZrCl4O1.5\nglasses: {atoms: 100}\n": (
        "study.yaml: 100 atoms of Li3ZrCl4O1.5: expected a multiple of 19; use 95 or 114"
    ),
    "composition: Li3ZrCl4O1.5\nglasses: {number: 0}\n": (
        "study.yaml: glasses.number is 0, expected greater than or equal to 1"
    ),
    "composition: Li3ZrCl4O1.5\nseed: 1\nseed: 2\n": "study.yaml: line 3: key 'seed' is given twice",
    "composition: [Li3ZrCl4O1.5\n": "study.yaml: line 2: expected ',' or ']', but got '<stream end>'",
    "- Li3ZrCl4O1.5\n": ("study.yaml: expected 'key: value' lines, got list; see workflows/li-zr-o-cl/study.yaml"),
    "composition: Li3ZrCl4O1.5\nmelt_quench: quik\n": (
        "study.yaml: melt_quench: 'quik' is no schedule and no .yaml file; did you mean 'quick'?"
    ),
    "composition: Li3ZrCl4O1.5\ntopology: {center: Hf}\n": (
        "study.yaml: topology.center is Hf, which Li3ZrCl4O1.5 does not hold; choose among Li, Zr, Cl, O"
    ),
    "composition: Li3ZrCl4O1.5\ntransport: {frame_interval_fs: 5}\n": (
        "study.yaml: transport: frame_interval_fs 5 is no multiple of timestep_fs 2"
    ),
    "composition: Li3ZrCl4O1.5\nmeasurement: {file: no.gr, quantity: g_pdf}\n": (
        "study.yaml: measurement.file: no.gr: no such file"
    ),
}


@pytest.mark.parametrize(("text", "message"), BAD_STUDIES.items())
def test_a_bad_study_is_one_line_that_says_what_to_do(tmp_path: Path, text: str, message: str) -> None:
    assert complaint(tmp_path, text) == message


def test_an_unknown_preset_is_named_with_the_known_ones(tmp_path: Path) -> None:
    text = "composition: Li3ZrCl4O1.5\n"
    assert complaint(tmp_path, text, preset="qick") == "study.yaml: unknown preset 'qick'; did you mean 'quick'?"


def test_a_measured_pdf_needs_the_limit_of_its_transform(tmp_path: Path) -> None:
    (tmp_path / "a.gr").write_text("1 2\n", encoding="utf-8")
    text = "composition: Li3ZrCl4O1.5\nmeasurement: {file: a.gr, quantity: g_pdf}\n"
    assert complaint(tmp_path, text) == (
        "study.yaml: measurement.0: g_pdf needs q_max_per_A, the upper limit of the sine transform that made the file"
    )


def test_a_file_that_is_no_text_or_not_there_is_one_line(tmp_path: Path) -> None:
    picture = tmp_path / "study.png"
    picture.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(SettingsError, match=r"study\.png: not text \(byte 0\); expected a YAML file with settings$"):
        read_study(picture)
    with pytest.raises(SettingsError, match=r"none\.yaml: no such file; expected a YAML file with settings$"):
        read_study(tmp_path / "none.yaml")


def test_the_difference_of_two_settings_names_key_old_and_new_value() -> None:
    before = {"a": {"b": [1, 2]}, "segments": [{"to_K": 300}], "seed": 1}
    now = {"a": {"b": [1, 3]}, "segments": [{"to_K": 310}], "seed": 1, "new": True}
    assert settings_difference(before, now) == [
        "a.b was [1, 2], now [1, 3]",
        "segments.0.to_K was 300, now 310",
        "new was nothing, now True",
    ]


def test_the_shipped_study_explains_itself() -> None:
    text = shipped_study().read_text(encoding="utf-8")
    assert "presets:" in text
    assert "quick:" in text
    assert "production:" in text


def test_the_hash_does_not_depend_on_where_files_lie(tmp_path: Path) -> None:
    text = "composition: Li3ZrCl4O1.5\nmeasurement: {name: g, file: a.gr, quantity: g_pdf, q_max_per_A: 20}\n"
    hashes = []
    for folder, content in (("here", "1 2\n"), ("there", "1 2\n"), ("other", "1 3\n")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.gr").write_text(content, encoding="utf-8")
        hashes.append(study(tmp_path / folder, text).sha256)
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_bad_schedule_file_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "slow.yaml").write_text("segments: [{kind: hold, temperatur_K: 3, duration_ps: 1}]\n", encoding="utf-8")
    message = complaint(tmp_path, "composition: Li3ZrCl4O1.5\nmelt_quench: slow.yaml\n")
    assert message == "slow.yaml: unknown key 'temperatur_K' in segments[0]; did you mean 'temperature_K'?"


def test_the_preset_takes_the_number_of_atoms_nearest_to_its_own_that_is_whole(tmp_path: Path) -> None:
    assert study(tmp_path, "composition: Li2ZrCl6\n").glasses.atoms == 117
    assert "expected a multiple of 9; use 108 or 117" in complaint(
        tmp_path, "composition: Li2ZrCl6\nglasses: {atoms: 114}\n"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topology: {cutoffs_A: {Zr-Br: 2.5}}", "topology.cutoffs_A Zr-Br: Li3ZrCl4O1.5 holds no Br"),
        ("topology: {bridging: [O, Br]}", "topology.bridging: Li3ZrCl4O1.5 holds no Br"),
        ("scattering: {q_min_per_A: 30}", "q_min_per_A 30 is not below q_max_per_A 25"),
        ("transport: {time_ps: 0.0001}", "time_ps 0.0001 holds fewer than 4 frames of 20 fs"),
    ],
)
def test_what_the_analysis_cannot_do_is_refused_before_any_md(tmp_path: Path, text: str, message: str) -> None:
    assert message in complaint(tmp_path, f"composition: Li3ZrCl4O1.5\n{text}\n")
