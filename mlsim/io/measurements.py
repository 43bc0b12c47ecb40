"""Measured curves in text files, and our own curves as CSV.

Read: columns separated by blanks, commas, semicolons or tabs; comments; PDFgetX3, xPDFsuite and SPEC headers
(`[PDF]`, `#L`); two-line headers of RMCProfile (number of points, title); files of more columns than two.
Nothing is repaired in silence: what cannot be a curve ends in one line with the line number, and what was left
out of a good file stands in `Columns.notes`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Curve, Measurement, Quantity
from mlsim.errors import DataError
from mlsim.io.atomic import atomic_write_text

__all__ = ["Columns", "read_columns", "read_measurement", "write_curve_csv"]

Floats = NDArray[np.float64]

_FEWEST_POINTS: Final = 5
_LARGEST_FILE_BYTES: Final = 200_000_000
_COMMENT: Final = ("#", "!", "%", ";", "//", "'", '"')
_SEPARATORS: Final = re.compile(r"[,;\s]+")
_FORTRAN_EXPONENT: Final = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
_DECIMAL_COMMA: Final = re.compile(r"^\s*[+-]?\d+,\d+([eE][+-]?\d+)?[;\s]+[+-]?\d+,\d+")
_BRACKETS: Final = re.compile(r"\s*[(\[][^)\]]*[)\]]")
_ERROR_NAME: Final = re.compile(
    r"^(sigma\w*|sig|err(or)?s?|y_?err(or)?|esd|e\.s\.d\.?|std|stderr|standard_error|unc\w*|e|d_?(y|g|s|f|i|gr|sq|fq|iq))$",
    re.IGNORECASE,
)
_MAGIC: Final = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an Office document"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"{", "JSON"),
    (b"<", "HTML or XML"),
)


@dataclass(frozen=True, eq=False)
class Columns:
    """What a text file of columns holds.

    Attributes
    ----------
    x, y
        First and second column, x strictly increasing, shape (point,).
    sigma
        Column of uncertainties, where the header names one; None otherwise.
    notes
        What was left out and why, one sentence each.
    """

    x: Floats
    y: Floats
    sigma: Floats | None
    notes: tuple[str, ...]


def read_measurement(
    path: str | os.PathLike[str],
    quantity: Quantity | str,
    radiation: Literal["xray", "neutron"],
    sample: str,
    source: str = "",
) -> Measurement:
    """Return the measured curve that a text file holds.

    Parameters
    ----------
    path
        Text file of columns: Q in 1/Å or r in Å, the function, further columns.
    quantity
        Which function the second column is; see `mlsim.curve.Quantity`.
    radiation
        "xray" or "neutron".
    sample
        What was measured, for labels.
    source
        Where it comes from: paper, beam line, file; the file name by default.

    Raises
    ------
    DataError
        When the file holds no such curve: one line with file, line number, and what was expected.
    """
    known = [str(q) for q in Quantity]
    if str(quantity) not in known:
        raise DataError(f"{Path(path)}: quantity '{quantity}' is not known; known: {', '.join(known)}")
    if radiation not in ("xray", "neutron"):
        raise DataError(f"{Path(path)}: radiation '{radiation}' is not known; known: neutron, xray")
    columns = read_columns(path)
    curve = Curve(Quantity(quantity), columns.x, columns.y, columns.sigma)
    return Measurement(curve, radiation, sample, source or Path(path).name)


def read_columns(path: str | os.PathLike[str]) -> Columns:
    """Return x, y and, where the header names it, the uncertainty of a text file of columns.

    A third column is an uncertainty only when a header calls it one (sigma, err, esd, dG, ...): guessing would
    change every weight of a fit. Points at negative x are left out, a wholly decreasing x is turned round; both
    are said in `Columns.notes`.

    Raises
    ------
    DataError
        When the file is missing, binary or no table, or x does not increase, or a number is not finite.
    """
    source = Path(path)
    header, rows, numbers = _table(source, _text_of(source).splitlines())
    notes: list[str] = []
    table = _rectangle(source, rows, numbers, notes)
    if len(table) < _FEWEST_POINTS:
        raise DataError(f"{source}: holds {len(table)} rows of numbers, expected at least {_FEWEST_POINTS}")
    x, y = table[:, 0], table[:, 1]
    if (np.diff(x) < 0).all():
        table, numbers = table[::-1], numbers[::-1]
        notes.append("x decreases from line to line; the order was turned round")
        x, y = table[:, 0], table[:, 1]
    _require_increasing(source, x, numbers)
    sigma = _uncertainty(header, table, notes)
    keep = x >= 0
    if not keep.all():
        notes.append(f"{int((~keep).sum())} points at negative x were left out")
        x, y, sigma = x[keep], y[keep], None if sigma is None else sigma[keep]
    if len(x) < _FEWEST_POINTS:
        raise DataError(f"{source}: holds {len(x)} points at x >= 0, expected at least {_FEWEST_POINTS}")
    return Columns(x.copy(), y.copy(), None if sigma is None else sigma.copy(), tuple(notes))


def write_curve_csv(path: str | os.PathLike[str], curve: Curve) -> Path:
    """Write a curve as CSV with the columns `x,y`, or `x,y,sigma` where it has a sigma, and return the path."""
    columns = [curve.x, curve.y] + ([] if curve.sigma is None else [curve.sigma])
    lines = ["x,y" if curve.sigma is None else "x,y,sigma"]
    lines += [",".join(_number_text(value) for value in row) for row in zip(*columns, strict=True)]
    target = Path(path)
    atomic_write_text(target, "\n".join(lines) + "\n")
    return target


def _number_text(value: float) -> str:
    return f"{value:.10g}" if math.isfinite(value) else ""


def _text_of(source: Path) -> str:
    try:
        if source.stat().st_size > _LARGEST_FILE_BYTES:
            size = source.stat().st_size / 1e6
            raise DataError(
                f"{source}: has {size:.0f} MB; expected a curve of at most {_LARGEST_FILE_BYTES / 1e6:.0f} MB"
            )
        content = source.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{source}: there is no such file") from None
    except IsADirectoryError:
        raise DataError(f"{source}: is a folder; expected a text file of columns") from None
    except OSError as error:
        raise DataError(f"{source}: cannot be read: {error.strerror or error}") from error
    if not content.strip():
        raise DataError(f"{source}: is empty; expected a text file of columns")
    for magic, name in _MAGIC:
        if content.lstrip()[: len(magic)] == magic:
            raise DataError(f"{source}: is {name}; expected a text file of columns")
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    if b"\x00" in content:
        raise DataError(f"{source}: is a binary file; expected a text file of columns")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _table(source: Path, lines: Sequence[str]) -> tuple[list[str], list[list[float]], list[int]]:
    """Return header lines, rows of numbers and their line numbers (from 1)."""
    begin, promised = _start_of_data(lines)
    header, numbers = list(lines[:begin]), []
    rows: list[list[float]] = []
    for number, line in enumerate(lines[begin:], start=begin + 1):
        text = line.strip()
        if not text:
            continue
        if text.startswith(_COMMENT):
            if not rows:
                header.append(text)
            continue
        if _DECIMAL_COMMA.match(text):
            raise DataError(f"{source}: line {number}: decimal commas in '{text[:30]}'; write decimal points")
        row = _row(text)
        if row is None:
            if not rows:
                header.append(text)
                continue
            raise DataError(
                f"{source}: line {number}: '{text[:40]}' is no row of numbers; comment it out with # or remove it"
            )
        rows.append(row)
        numbers.append(number)
    if not rows:
        raise DataError(f"{source}: holds no row of numbers; expected a text file of columns")
    if promised is not None and promised != len(rows):
        raise DataError(f"{source}: line 1 says {promised} points, the file holds {len(rows)}; it may have been cut")
    return header, rows, numbers


def _start_of_data(lines: Sequence[str]) -> tuple[int, int | None]:
    """Return the index of the first line after the header, and the number of points that the header promises."""
    filled = [line.strip() for line in lines[:2]]
    if len(filled) == 2 and re.fullmatch(r"\d+", filled[0]):
        return 2, int(filled[0])
    marks = [i for i, line in enumerate(lines) if line.startswith("#L") or "start data" in line.lower()]
    return (marks[0] + 1 if marks else 0), None


def _row(text: str) -> list[float] | None:
    """Return the numbers of one line, or None when a field is no number."""
    fields = [field for field in _SEPARATORS.split(_FORTRAN_EXPONENT.sub("e", text)) if field]
    try:
        return [float(field) for field in fields]
    except ValueError:
        return None


def _rectangle(source: Path, rows: list[list[float]], numbers: list[int], notes: list[str]) -> Floats:
    """Return rows cut to the number of columns that all of them have, every value of the first two finite."""
    width = min(len(row) for row in rows)
    if width < 2:
        number, row = next((n, row) for n, row in zip(numbers, rows, strict=True) if len(row) < 2)
        raise DataError(f"{source}: line {number}: holds {len(row)} number, expected at least 2 columns (x and y)")
    widest = max(len(row) for row in rows)
    if widest > width:
        notes.append(f"rows have {width} to {widest} columns; the first {width} were read")
    table = np.array([row[:width] for row in rows], dtype=float)
    bad = np.argwhere(~np.isfinite(table[:, :2]))
    if len(bad):
        row_index, column = bad[0]
        got = table[row_index, column]
        raise DataError(
            f"{source}: line {numbers[row_index]}: {'xy'[column]} is {got}, expected a finite number; remove the line"
        )
    return table


def _require_increasing(source: Path, x: Floats, numbers: Sequence[int]) -> None:
    bad = np.flatnonzero(np.diff(x) <= 0)
    if len(bad):
        i = int(bad[0])
        more = f" (and at {len(bad) - 1} more lines)" if len(bad) > 1 else ""
        raise DataError(
            f"{source}: line {numbers[i + 1]}: x goes from {x[i]:g} to {x[i + 1]:g}{more}, "
            "expected strictly increasing x; sort the lines and remove repeated ones"
        )


def _uncertainty(header: Sequence[str], table: Floats, notes: list[str]) -> Floats | None:
    width = table.shape[1]
    column = next(
        (i for names in _column_names(header, width) for i in range(2, width) if _ERROR_NAME.match(names[i])), None
    )
    unused = [str(i + 1) for i in range(2, width) if i != column]
    if unused:
        notes.append(f"column {', '.join(unused)} was not read: the header does not call it an uncertainty of y")
    if column is None:
        return None
    sigma = table[:, column]
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        notes.append(f"column {column + 1}, the uncertainty, was not used: not all of its values are positive")
        return None
    return sigma


def _column_names(header: Sequence[str], width: int) -> list[list[str]]:
    """Return the header lines that name as many columns as the table has, last line first."""
    found = []
    for line in reversed(header):
        bare = _BRACKETS.sub("", line.strip().lstrip("#!%;/'\" ").removeprefix("L "))
        names = [name for name in _SEPARATORS.split(bare) if name]
        if len(names) == width:
            found.append(names)
    return found
