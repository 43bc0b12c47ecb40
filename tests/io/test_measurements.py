"""Curves in text files: what can be read is read, what cannot is named with its line."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, SettingsError
from mlsim.io.columns import read_columns
from mlsim.io.measurements import axis_of_file, read_measurement, write_curve_csv

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
ROWS = "1.0 10\n1.5 11\n2.0 12\n2.5 13\n3.0 14\n"
X, Y = [1.0, 1.5, 2.0, 2.5, 3.0], [10.0, 11.0, 12.0, 13.0, 14.0]


def _file(folder: Path, content: str | bytes, name: str = "data.gr") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        "# r G(r)\n" + ROWS,
        "! one\n% two\n; three\n// four\n\n" + ROWS,
        "r (Å)   G (1/Å2)\n" + ROWS,
        "[PDF]\nqmax = 25.0\ncomposition = Ni\n\n#### start data\n#S 1\n#L r($\\AA$)  G($\\AA^{-2}$)\n" + ROWS,
        "1 2\n3 4\n#L r G\n" + ROWS,
        "5\nG(r) of a glass 1.5 2.5\n" + ROWS,
        "5\n17 18\n" + ROWS,
        ROWS.replace(" ", "\t"),
        ROWS.replace(" ", ","),
        ROWS.replace(" ", " ; "),
        ROWS.replace("\n", "\r\n"),
        "﻿" + ROWS,
        ROWS.replace("10", "1.0D+01").replace("11", "1.1d1"),
        "# first\n" + ROWS.replace("2.0 12", "# a word in between\n2.0 12"),
    ],
    ids=[
        "bare",
        "comment",
        "comments",
        "named",
        "pdfgetx3",
        "numbers before #L",
        "two-line",
        "two-line of numbers",
        "tabs",
        "commas",
        "semicolons",
        "crlf",
        "bom",
        "fortran",
        "comment inside",
    ],
)
def test_the_same_table_is_read_from_every_usual_layout(tmp_path: Path, text: str) -> None:
    columns = read_columns(_file(tmp_path, text))
    np.testing.assert_allclose(columns.x, X)
    np.testing.assert_allclose(columns.y, Y)
    assert columns.sigma is None and columns.notes == ()


@pytest.mark.parametrize("coding", ["latin-1", "utf-16"])
def test_other_text_codings_are_read(tmp_path: Path, coding: str) -> None:
    columns = read_columns(_file(tmp_path, ("# r (Å)\n" + ROWS).encode(coding)))
    np.testing.assert_allclose(columns.y, Y)


@pytest.mark.parametrize("header", ["x,y,sigma", "#L r G(r) dG(r)", "# Q S(Q) err", "Q S(Q) e.s.d.", "# r G d_Gr"])
def test_an_uncertainty_is_read_where_the_header_names_it(tmp_path: Path, header: str) -> None:
    rows = "\n".join(f"{x} {y} 0.5" for x, y in zip(X, Y, strict=True))
    columns = read_columns(_file(tmp_path, f"{header}\n{rows}\n"))
    assert columns.sigma is not None
    np.testing.assert_allclose(columns.sigma, 0.5)


@pytest.mark.parametrize("header", ["", "# r G dr\n", "# Q S(Q) data\n"])
def test_a_third_column_without_such_a_name_is_left_out_and_said(tmp_path: Path, header: str) -> None:
    rows = "\n".join(f"{x} {y} 0.5" for x, y in zip(X, Y, strict=True))
    columns = read_columns(_file(tmp_path, f"{header}{rows}\n"))
    assert columns.sigma is None
    assert columns.notes == ("column 3 was not read: the header does not call it an uncertainty of y",)


def test_the_error_of_y_is_found_behind_the_error_of_r(tmp_path: Path) -> None:
    rows = "\n".join(f"{x} {y} 0 0.25" for x, y in zip(X, Y, strict=True))
    columns = read_columns(_file(tmp_path, f"#L r G(r) dr dG(r)\n{rows}\n"))
    assert columns.sigma is not None
    np.testing.assert_allclose(columns.sigma, 0.25)


def test_uncertainties_of_zero_are_not_used_and_said(tmp_path: Path) -> None:
    rows = "\n".join(f"{x} {y} 0" for x, y in zip(X, Y, strict=True))
    columns = read_columns(_file(tmp_path, f"x,y,sigma\n{rows}\n"))
    assert columns.sigma is None
    assert columns.notes == ("column 3, the uncertainty, was not used: not all of its values are positive",)


def test_negative_x_is_left_out_and_a_decreasing_x_turned_round_and_both_are_said(tmp_path: Path) -> None:
    columns = read_columns(_file(tmp_path, "3 1\n2.5 2\n2 3\n1.5 4\n1 5\n-0.1 6\n"))
    np.testing.assert_allclose(columns.x, [1, 1.5, 2, 2.5, 3])
    np.testing.assert_allclose(columns.y, [5, 4, 3, 2, 1])
    assert columns.notes == (
        "x decreases from line to line; the order was turned round",
        "1 points at negative x were left out (line 6)",
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (ROWS + "2.9 15\n3.5 16\n", "data.gr: line 6: x goes from 3 to 2.9, expected strictly increasing x"),
        (ROWS + "3.0 15\n3.0 16\n", "data.gr: line 6: x goes from 3 to 3 (and at 1 more lines), expected strictly"),
        ("# c\n" + ROWS.replace("12", "nan"), "data.gr: line 4: y is nan, expected a finite number; remove the line"),
        (ROWS.replace("1.5", "inf"), "data.gr: line 2: x is inf, expected a finite number"),
        (ROWS.replace("2.0 12", "2.0"), "data.gr: line 3: holds 1 number, expected at least 2 columns (x and y)"),
        (ROWS.replace("2.0 12", "2.0 12 5"), "data.gr: line 3: holds 3 numbers, most lines 2; mend the line or use"),
        (b"(Version 6f format configuration file)\nx", "data.gr: is a configuration of RMCProfile, which holds atoms;"),
        (ROWS.replace("2.0 12", "2.0 twelve"), "data.gr: line 3: '2.0 twelve' is no row of numbers; comment it out"),
        ("7\ntitle\n" + ROWS, "data.gr: line 1 says 7 points, the file holds 5; it may have been cut"),
        ("1 2\n2 3\n", "data.gr: holds 2 rows of numbers, expected at least 5"),
        ("-3 1\n-2 2\n-1 3\n0 4\n1 5\n2 6\n", "data.gr: holds 3 points at x >= 0, expected at least 5"),
        ("just a letter\nto a friend\n", "data.gr: holds no row of numbers; expected a text file of columns"),
        ("  \n\n", "data.gr: is empty; expected a text file of columns"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "data.gr: is a PNG image; expected a text file of columns"),
        (b"PK\x03\x04rest", "data.gr: is a zip archive or an Office document; expected a text file"),
        (b'{"x": [1, 2]}', "data.gr: is JSON; expected a text file of columns"),
        (b"<!DOCTYPE html>", "data.gr: is HTML or XML; expected a text file of columns"),
        (b"1 2\n3 4\n\x00\x01\x02", "data.gr: is a binary file; expected a text file of columns"),
    ],
)
def test_what_is_no_curve_is_one_line_with_the_line_number(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        read_columns(_file(tmp_path, content))
    assert "\n" not in str(caught.value)


REPAIRABLE = [
    ("sort", ROWS + "2.75 20\n3.5 16\n", [1, 1.5, 2, 2.5, 2.75, 3, 3.5], [10, 11, 12, 13, 20, 14, 16]),
    ("sort", ROWS + "2.5 17\n3.5 16\n", [1, 1.5, 2, 2.5, 3, 3.5], [10, 11, 12, 15, 14, 16]),
    ("drop-backward", ROWS + "2.75 20\n3 21\n3.5 16\n", [1, 1.5, 2, 2.5, 3, 3.5], [10, 11, 12, 13, 14, 16]),
    ("drop-nonfinite", ROWS + "3.5 nan\n4 16\n", [1, 1.5, 2, 2.5, 3, 4], [10, 11, 12, 13, 14, 16]),
    ("drop-bad-lines", ROWS + "3.5 oops\n4 16\n5 6 7\n", [1, 1.5, 2, 2.5, 3, 4], [10, 11, 12, 13, 14, 16]),
]
SAID = [
    ("x went back at 1 places (line 6); the points were sorted",),
    (
        "x went back at 1 places (line 6); the points were sorted",
        "1 points at an x that is there already were averaged into it",
    ),
    ("2 points that go back in x were left out (lines 6, 7)",),
    ("1 lines with NaN or infinity were left out (line 6)",),
    (
        "1 lines that are no numbers were left out (line 6)",
        "1 lines of other than 2 columns were left out (line 8)",
    ),
]


@pytest.mark.parametrize(
    ("rule", "text", "x", "y", "said"), [(*case, said) for case, said in zip(REPAIRABLE, SAID, strict=True)]
)
def test_each_repair_does_what_its_name_says_and_says_it(tmp_path: Path, rule, text, x, y, said) -> None:
    with pytest.raises(DataError, match=f"data.gr: line .* repair .*'{rule}'"):
        read_columns(_file(tmp_path, text))
    columns = read_columns(_file(tmp_path, text), [rule])
    np.testing.assert_allclose(columns.x, x)
    np.testing.assert_allclose(columns.y, y)
    assert columns.notes == said
    assert len(columns.lines) == len(x)


def test_points_know_their_lines_after_every_repair(tmp_path: Path) -> None:
    text = "# r G\n3 1\nbad\n2.5 2\n2 nan\n1.5 4\n1 5\n0.5 6\n"
    columns = read_columns(_file(tmp_path, text), ["drop-bad-lines", "drop-nonfinite"])
    assert columns.lines.tolist() == [8, 7, 6, 4, 2]


def test_an_unknown_repair_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="repair 'sorted': did you mean 'sort'"):
        read_columns(_file(tmp_path, ROWS), ["sorted"])


def test_the_third_column_of_gudrun_is_an_uncertainty_and_that_is_said(tmp_path: Path) -> None:
    rows = "".join(f" {x} {y} 0.25\n" for x, y in zip(X, Y, strict=True))
    columns = read_columns(_file(tmp_path, f"# sample.mint01\n#  14  1\n{rows}", "glass.mint01"))
    np.testing.assert_allclose(columns.sigma, 0.25)
    assert columns.notes == ("column 3 is the uncertainty of y, as in all files .mint01 of Gudrun",)


def test_settings_and_names_of_the_header_are_kept(tmp_path: Path) -> None:
    text = "[PDF]\nqmax = 25.0\noutputtype = gr\nbackgroundfile =\n#### start data\n#L r($\\AA$)  G($\\AA^{-2}$)\n"
    columns = read_columns(_file(tmp_path, text + ROWS))
    assert columns.header == {"qmax": "25.0", "outputtype": "gr"}
    assert columns.labels == ("r", "G")


@pytest.mark.parametrize(
    ("name", "header", "expected"),
    [
        ("a.dat", "# Q S(Q)\n", ("Q", "the column named 'Q'")),
        ("a.fq", "# r(A) G(r)\n", ("r", "the column named 'r'")),
        ("a.fq", "outputtype = gr\n", ("r", "outputtype = gr in the header")),
        ("a.gr", "", ("r", "the ending .gr")),
        ("a.mint01", "", ("Q", "the ending .mint01")),
        ("a.dat", "# one two\n", None),
    ],
)
def test_what_a_file_says_of_its_axis(tmp_path: Path, name: str, header: str, expected) -> None:
    path = _file(tmp_path, header + ROWS, name)
    assert axis_of_file(path, read_columns(path)) == expected


def _g_pdf_with_garbage() -> str:
    r = np.arange(1, 400) * 0.02
    ripple = np.where(r < 1.5, 0.6 * np.sin(12 * r), 0)
    y = 3 * np.exp(-((r - 2.1) ** 2) / 0.02) - 0.5 * np.minimum(r, 2.0) + ripple
    return "# r G(r)\n" + "".join(f"{a:.3f} {b:.5f}\n" for a, b in zip(r, y, strict=True))


def test_low_r_garbage_is_said_with_its_line_and_cut_on_request(tmp_path: Path) -> None:
    path = _file(tmp_path, _g_pdf_with_garbage())
    whole = read_measurement(path, "g_pdf", "xray", "s")
    assert len(whole.curve.x) == 399
    assert re.fullmatch(
        r"ripples of \d+% of the highest peak below the first contact, 1\.\d+ Å \(to line \d+\), .* 'cut-low-r' .*",
        whole.notes[0],
    )
    cut = read_measurement(path, "g_pdf", "xray", "s", repair=["cut-low-r"])
    assert 1.5 < cut.curve.x[0] < 2.1
    assert re.fullmatch(r"\d+ points below the first contact, .* were left out", cut.notes[0])
    assert read_measurement(path, "qi_of_q", "xray", "s").notes == ()


def test_decimal_commas_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=re.escape("line 1: decimal commas in '1,0 10,0'; write decimal points")):
        read_columns(_file(tmp_path, "1,0 10,0\n1,5 11,0\n2,0 12,0\n2,5 13,0\n3,0 14,0\n"))


def test_a_missing_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.gr: there is no such file"):
        read_columns(tmp_path / "none.gr")
    with pytest.raises(DataError, match="is a folder; expected a text file of columns"):
        read_columns(tmp_path)


def test_a_measurement_says_what_it_is(tmp_path: Path) -> None:
    measurement = read_measurement(_file(tmp_path, ROWS), "g_pdf", "xray", "a glass")
    assert measurement.curve.quantity is Quantity.G_PDF
    assert (measurement.radiation, measurement.sample, measurement.source) == ("xray", "a glass", "data.gr")
    assert (
        read_measurement(tmp_path / "data.gr", Quantity.S_OF_Q, "neutron", "s", "beam line 7").source == "beam line 7"
    )


def test_an_unknown_quantity_or_radiation_is_named(tmp_path: Path) -> None:
    path = _file(tmp_path, ROWS)
    with pytest.raises(DataError, match="quantity 'gofr' is not known; known: s_of_q, i_of_q, qi_of_q, f2_of_q, g_pdf"):
        read_measurement(path, "gofr", "xray", "s")
    with pytest.raises(DataError, match="radiation 'gamma' is not known; known: neutron, xray"):
        read_measurement(path, "g_pdf", "gamma", "s")  # type: ignore[arg-type]


@pytest.mark.parametrize("with_sigma", [False, True])
def test_a_curve_survives_the_round_trip_through_csv(tmp_path: Path, with_sigma: bool) -> None:
    x = np.arange(1, 40) * 0.02
    y = np.sin(7 * x) * 1e-7
    curve = Curve(Quantity.QI_OF_Q, x, y, np.full(39, 1.25e-9) if with_sigma else None)
    path = write_curve_csv(tmp_path / "deep" / "curve.csv", curve)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == ("x,y,sigma" if with_sigma else "x,y") and len(lines) == 40
    back = read_measurement(path, "qi_of_q", "xray", "s").curve
    np.testing.assert_allclose(back.x, x, rtol=1e-9)
    np.testing.assert_allclose(back.y, y, rtol=1e-9)
    if with_sigma:
        np.testing.assert_allclose(back.sigma, curve.sigma, rtol=1e-9)  # type: ignore[arg-type]
    else:
        assert back.sigma is None


@pytest.mark.skipif(not SHARED.is_dir(), reason="the measured files beside the checkout are not there")
@pytest.mark.parametrize(
    ("name", "points", "first", "last", "notes"),
    [
        ("ni-powder/Ni.gr", 6001, 0.0, 60.0, ()),
        ("mg2sio4-glass/derived_Mg2SiO4_glass_Gr.dat", 1500, 0.01, 15.0, ()),
        (
            "mg2sio4-glass/derived_Mg2SiO4_glass_SQ.dat",
            2849,
            0.005275,
            15.999543,
            ("1 points at negative x were left out (line 2)",),
        ),
    ],
)
def test_real_files_are_read_whole(name: str, points: int, first: float, last: float, notes: tuple[str, ...]) -> None:
    columns = read_columns(SHARED / name)
    assert len(columns.x) == points
    assert (columns.x[0], columns.x[-1]) == pytest.approx((first, last))
    assert columns.notes == notes
