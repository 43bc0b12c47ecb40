"""Text files of columns: what can be read is read, what is odd is named with its line and repaired only when asked to.

Read: columns separated by blanks, commas, semicolons or tabs; comments; PDFgetX3, xPDFsuite and SPEC headers
(`[PDF]`, `#L`); two-line headers of RMCProfile (number of points, title); .mint01 of Gudrun; more columns than two.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import DataError, SettingsError, did_you_mean

__all__ = ["REPAIRS", "Columns", "checked_repairs", "read_columns"]

Floats = NDArray[np.float64]

REPAIRS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sort": "order the points by x and average those at the same x",
        "drop-backward": "leave out points whose x is not larger than all before",
        "drop-nonfinite": "leave out lines with NaN or infinity",
        "drop-bad-lines": "leave out lines that are no numbers or have another number of columns",
        "cut-low-r": "leave out a function of r below the first contact",
    }
)
"""Named rules of repair; none is applied unless asked for."""

_FEWEST_POINTS: Final = 5
_LARGEST_FILE_BYTES: Final = 200_000_000
_COMMENT: Final = ("#", "!", "%", ";", "//", "'", '"')
_SEPARATORS: Final = re.compile(r"[,;\s]+")
_FORTRAN_EXPONENT: Final = re.compile(r"(?<=[\d.])[dD](?=[+-]?\d)")
_DECIMAL_COMMA: Final = re.compile(r"^\s*[+-]?\d+,\d+([eE][+-]?\d+)?[;\s]+[+-]?\d+,\d+")
_BRACKETS: Final = re.compile(r"\s*[(\[][^)\]]*[)\]]")
_SETTING: Final = re.compile(r"^[#!%\s]*([A-Za-z_]\w*)\s*=\s*(\S.*)$")
_ERROR_NAME: Final = re.compile(
    r"^(sigma\w*|sig|err(or)?s?|y_?err(or)?|esd|e\.s\.d\.?|std|stderr|standard_error|unc\w*|e|d_?(y|g|s|f|i|gr|sq|fq|iq))$",
    re.IGNORECASE,
)
_ERROR_IS_THIRD: Final = (".mint01", ".mdcs01", ".int01")
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
    (b"(Version 6f format configuration file)", "a configuration of RMCProfile, which holds atoms"),
)


@dataclass(frozen=True, eq=False)
class Columns:
    """What a text file of columns holds.

    Attributes
    ----------
    x, y
        First and second column, x strictly increasing, shape (point,).
    sigma
        Column of uncertainties, where the header or the format names one; None otherwise.
    notes
        What was left out or repaired and why, one sentence each.
    lines
        Line of the file that each point stands in, from 1; shape (point,).
    header
        Settings of the form `name = value` above the data, names in small letters.
    labels
        Names of the columns, where a header gives them.
    """

    x: Floats
    y: Floats
    sigma: Floats | None
    notes: tuple[str, ...]
    lines: NDArray[np.int64]
    header: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


def read_columns(path: str | os.PathLike[str], repair: Collection[str] = ()) -> Columns:
    """Return x, y and, where the header or the format names it, the uncertainty of a text file of columns.

    A third column is an uncertainty only when a header calls it one (sigma, err, esd, dG, ...) or the file is one of
    Gudrun (.mint01): guessing would change every weight of a fit. Points at negative x are left out, a wholly
    decreasing x is turned round; both are said in `Columns.notes`.

    Parameters
    ----------
    path
        The file.
    repair
        Names out of `REPAIRS`.

    Raises
    ------
    DataError
        When the file is missing, binary or no table, or x does not increase, or a number is not finite, and no
        repair was asked for.
    """
    rules = checked_repairs(repair)
    source = Path(path)
    notes: list[str] = []
    header, rows, numbers = _table(source, _text_of(source).splitlines(), rules, notes)
    table, lines = _rectangle(source, rows, numbers, rules, notes)
    table, lines = _finite(source, table, lines, rules, notes)
    if len(table) < _FEWEST_POINTS:
        raise DataError(f"{source}: holds {len(table)} rows of numbers, expected at least {_FEWEST_POINTS}")
    if (np.diff(table[:, 0]) < 0).all():
        table, lines = table[::-1], lines[::-1]
        notes.append("x decreases from line to line; the order was turned round")
    labels = _column_names(header, table.shape[1])
    error_column = _error_column(source, labels, table.shape[1], notes)
    table, lines = _increasing(source, table, lines, rules, notes)
    sigma = _uncertainty(table, error_column, notes)
    keep = table[:, 0] >= 0
    if not keep.all():
        notes.append(f"{int((~keep).sum())} points at negative x were left out ({_at_lines(lines[~keep])})")
        table, lines, sigma = table[keep], lines[keep], None if sigma is None else sigma[keep]
    if len(table) < _FEWEST_POINTS:
        raise DataError(f"{source}: holds {len(table)} points at x >= 0, expected at least {_FEWEST_POINTS}")
    settings = {m.group(1).lower(): m.group(2).strip() for line in header if (m := _SETTING.match(line))}
    names = next(iter(labels), ())
    return Columns(table[:, 0].copy(), table[:, 1].copy(), sigma, tuple(notes), lines, settings, tuple(names))


def checked_repairs(repair: Collection[str]) -> frozenset[str]:
    """Return the names of repairs as a set, or say which is not known."""
    for name in [repair] if isinstance(repair, str) else repair:
        if name not in REPAIRS:
            raise SettingsError(f"repair '{name}': {did_you_mean(name, REPAIRS)}")
    return frozenset([repair] if isinstance(repair, str) else repair)


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


def _table(
    source: Path, lines: Sequence[str], rules: frozenset[str], notes: list[str]
) -> tuple[list[str], list[list[float]], list[int]]:
    """Return header lines, rows of numbers and their line numbers (from 1)."""
    begin, promised = _start_of_data(lines)
    header, numbers, dropped = list(lines[:begin]), [], []
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
        if row is not None:
            rows.append(row)
            numbers.append(number)
        elif not rows:
            header.append(text)
        elif "drop-bad-lines" in rules:
            dropped.append(number)
        else:
            raise DataError(
                f"{source}: line {number}: '{text[:40]}' is no row of numbers; comment it out with #, remove it, "
                "or use the repair 'drop-bad-lines'"
            )
    if dropped:
        notes.append(f"{len(dropped)} lines that are no numbers were left out ({_at_lines(dropped)})")
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


def _rectangle(
    source: Path, rows: list[list[float]], numbers: list[int], rules: frozenset[str], notes: list[str]
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the rows that have as many columns as most of them, and their line numbers."""
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    odd = [(number, len(row)) for number, row in zip(numbers, rows, strict=True) if len(row) != width]
    if width < 2 or (odd and "drop-bad-lines" not in rules):
        number, found = odd[0] if odd and width >= 2 else (numbers[0], width)
        what = "number, expected at least 2 columns (x and y)" if found == 1 else f"numbers, most lines {width}"
        remedy = "; mend the line or use the repair 'drop-bad-lines'" if width >= 2 else ""
        raise DataError(f"{source}: line {number}: holds {found} {what}{remedy}")
    if odd:
        notes.append(f"{len(odd)} lines of other than {width} columns were left out ({_at_lines([n for n, _ in odd])})")
    kept = [(row, number) for row, number in zip(rows, numbers, strict=True) if len(row) == width]
    return np.array([row for row, _ in kept], dtype=float), np.array([number for _, number in kept])


def _finite(
    source: Path, table: Floats, lines: NDArray[np.int64], rules: frozenset[str], notes: list[str]
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the rows whose x and y are finite."""
    bad = ~np.isfinite(table[:, :2])
    rows = bad.any(axis=1)
    if not rows.any():
        return table, lines
    if "drop-nonfinite" not in rules:
        row, column = np.argwhere(bad)[0]
        raise DataError(
            f"{source}: line {lines[row]}: {'xy'[column]} is {table[row, column]}, expected a finite number; "
            "remove the line or use the repair 'drop-nonfinite'"
        )
    notes.append(f"{int(rows.sum())} lines with NaN or infinity were left out ({_at_lines(lines[rows])})")
    return table[~rows], lines[~rows]


def _increasing(
    source: Path, table: Floats, lines: NDArray[np.int64], rules: frozenset[str], notes: list[str]
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the rows with strictly increasing x."""
    x = table[:, 0]
    bad = np.flatnonzero(np.diff(x) <= 0)
    if not len(bad):
        return table, lines
    if "drop-backward" in rules:
        highest = np.maximum.accumulate(x)
        keep = np.concatenate([[True], x[1:] > highest[:-1]])
        notes.append(f"{int((~keep).sum())} points that go back in x were left out ({_at_lines(lines[~keep])})")
        return table[keep], lines[keep]
    if "sort" in rules:
        notes.append(f"x went back at {len(bad)} places ({_at_lines(lines[bad + 1])}); the points were sorted")
        return _sorted_and_averaged(table, lines, notes)
    i = int(bad[0])
    more = f" (and at {len(bad) - 1} more lines)" if len(bad) > 1 else ""
    raise DataError(
        f"{source}: line {lines[i + 1]}: x goes from {x[i]:g} to {x[i + 1]:g}{more}, "
        "expected strictly increasing x; mend the file or use the repair 'sort' or 'drop-backward'"
    )


def _sorted_and_averaged(table: Floats, lines: NDArray[np.int64], notes: list[str]) -> tuple[Floats, NDArray[np.int64]]:
    order = np.argsort(table[:, 0], kind="stable")
    table, lines = table[order], lines[order]
    x, first, count = np.unique(table[:, 0], return_index=True, return_counts=True)
    if len(x) < len(table):
        repeated = int((count - 1).sum())
        notes.append(f"{repeated} points at an x that is there already were averaged into it")
        table = np.add.reduceat(table, first, axis=0) / count[:, None]
        lines = lines[first]
    return table, lines


def _error_column(source: Path, labels: Sequence[Sequence[str]], width: int, notes: list[str]) -> int | None:
    """Return which column is the uncertainty of y, and note the columns that are not read."""
    column = next((i for names in labels for i in range(2, width) if _ERROR_NAME.match(names[i])), None)
    if column is None and width == 3 and source.suffix.lower() in _ERROR_IS_THIRD:
        column = 2
        notes.append(f"column 3 is the uncertainty of y, as in all files {source.suffix.lower()} of Gudrun")
    unused = [str(i + 1) for i in range(2, width) if i != column]
    if unused:
        notes.append(f"column {', '.join(unused)} was not read: the header does not call it an uncertainty of y")
    return column


def _uncertainty(table: Floats, column: int | None, notes: list[str]) -> Floats | None:
    if column is None:
        return None
    sigma = table[:, column]
    if not (np.isfinite(sigma) & (sigma > 0)).all():
        notes.append(f"column {column + 1}, the uncertainty, was not used: not all of its values are positive")
        return None
    return sigma.copy()


def _column_names(header: Sequence[str], width: int) -> list[list[str]]:
    """Return the header lines that name as many columns as the table has, last line first."""
    found = []
    for line in reversed(header):
        bare = _BRACKETS.sub("", line.strip().lstrip("#!%;/'\" ").removeprefix("L "))
        names = [name for name in _SEPARATORS.split(bare) if name]
        if len(names) == width:
            found.append(names)
    return found


def _at_lines(numbers: Sequence[int] | NDArray[np.int64]) -> str:
    """Line numbers in words, the first few of them."""
    shown = ", ".join(str(n) for n in numbers[:4])
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{', ...' if len(numbers) > 4 else ''}"
