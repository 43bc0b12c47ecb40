"""Measured curves in text files, and our own curves as CSV.

Nothing is repaired in silence: what cannot be a curve ends in one line with the line number, and what was left out of
a good file, or looks odd in it, stands in the notes. See `mlsim.io.columns` for the layouts that are read.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Curve, Measurement, Quantity, Radiation
from mlsim.errors import DataError
from mlsim.io.atomic import atomic_write_text
from mlsim.io.columns import Columns, checked_repairs, read_columns
from mlsim.scattering import Identification, Probe, identified
from mlsim.scattering.limits import first_contact, line_through_origin

__all__ = ["axis_of_file", "identified_file", "read_measurement", "write_curve_csv"]

Floats = NDArray[np.float64]

_R_SUFFIXES: Final = (".gr", ".dofr", ".rdf")
_Q_SUFFIXES: Final = (".sq", ".fq", ".iq", ".soq", ".mint01", ".mdcs01", ".int01")
_NOTICEABLE: Final = 0.1


def read_measurement(
    path: str | os.PathLike[str],
    quantity: Quantity | str,
    radiation: Radiation | Probe,
    sample: str,
    source: str = "",
    repair: Collection[str] = (),
    fractions: Mapping[str, float] | None = None,
    number_density: float | None = None,
) -> Measurement:
    """Return the measured curve that a text file holds.

    Parameters
    ----------
    path
        Text file of columns: Q in 1/Å or r in Å, the function, further columns.
    quantity
        Which function the second column is; see `mlsim.curve.Quantity`.
    radiation
        "xray" or "neutron"; a `Probe` where isotopes or ions matter to the judgement by `fractions`.
    sample
        What was measured, for labels.
    source
        Where it comes from: paper, beam line, file; the file name by default.
    repair
        Names out of `mlsim.io.columns.REPAIRS`: sort, drop-backward, drop-nonfinite, drop-bad-lines, cut-low-r.
    fractions
        Number fraction of each element. Where given, the file is held against it and refused when it is another
        function, see `mlsim.scattering.identified`; leave it out to force the quantity.
    number_density
        Atoms per Å3, for that judgement.

    Raises
    ------
    DataError
        When the file holds no such curve: one line with file, line number, and what was expected.
    """
    known = [str(q) for q in Quantity]
    if str(quantity) not in known:
        raise DataError(f"{Path(path)}: quantity '{quantity}' is not known; known: {', '.join(known)}")
    beam = radiation.radiation if isinstance(radiation, Probe) else radiation
    if beam not in ("xray", "neutron"):
        raise DataError(f"{Path(path)}: radiation '{radiation}' is not known; known: neutron, xray")
    columns = read_columns(path, repair)
    kind = Quantity(quantity)
    curve = Curve(kind, columns.x, columns.y, columns.sigma)
    notes = list(columns.notes)
    if fractions:
        found = identified_file(path, columns, fractions, radiation=radiation, number_density=number_density)
        found.require(kind, str(Path(path)))
    if not kind.of_q:
        curve = _judged_at_low_r(curve, columns, notes, cut="cut-low-r" in checked_repairs(repair))
    return Measurement(curve, beam, sample, source or Path(path).name, tuple(notes))


def axis_of_file(path: str | os.PathLike[str], columns: Columns) -> tuple[Literal["Q", "r"], str] | None:
    """Return what a file says its x is, ``Q`` or ``r``, and where it says so; None where it does not.

    Looked at in this order: the name of the first column, the `outputtype` of PDFgetX3, the ending of the name.
    """
    first = columns.labels[0].lower() if columns.labels else ""
    if first.startswith(("q", "r(", "r")) and len(first) <= 8:
        return ("Q" if first.startswith("q") else "r"), f"the column named '{columns.labels[0]}'"
    kind = columns.header.get("outputtype", "").lower()
    if kind in ("gr", "sq", "fq", "iq"):
        return ("r" if kind == "gr" else "Q"), f"outputtype = {kind} in the header"
    suffix = Path(path).suffix.lower()
    if suffix in _R_SUFFIXES + _Q_SUFFIXES:
        return ("r" if suffix in _R_SUFFIXES else "Q"), f"the ending {suffix}"
    return None


def identified_file(
    path: str | os.PathLike[str],
    columns: Columns,
    fractions: Mapping[str, float],
    *,
    radiation: Radiation | Probe,
    number_density: float | None = None,
) -> Identification:
    """Return which function a file holds, from its numbers, header and name; see `mlsim.scattering.identified`."""
    pdfgetx3 = "rpoly" in columns.header
    return identified(
        columns.x,
        columns.y,
        fractions,
        radiation=radiation,
        number_density=number_density,
        axis=axis_of_file(path, columns),
        reduction=f"PDFgetX3 (rpoly = {columns.header['rpoly']})" if pdfgetx3 else "",
    )


def _judged_at_low_r(curve: Curve, columns: Columns, notes: list[str], *, cut: bool) -> Curve:
    """Say what a function of r holds below the first contact, where there are no atoms, or cut it away."""
    contact = first_contact(curve.x, curve.y)
    low = curve.x < (contact or 0.0)
    if contact is None or low.sum() < 3:
        return curve
    where = f"below the first contact, {contact:.2f} Å (to line {int(columns.lines[low].max())})"
    if cut:
        notes.append(f"{int(low.sum())} points {where} were left out")
        return curve.between(contact, float(curve.x[-1]))
    y = curve.y[low]
    smooth = y - line_through_origin(curve.x[low], y).slope * curve.x[low]
    if curve.quantity in (Quantity.G_OF_R, Quantity.G_KEEN):
        smooth = y - (0.0 if curve.quantity == Quantity.G_OF_R else y.mean())
    ripple = float(np.sqrt(np.mean(smooth**2))) / float(curve.y[~low].max())
    if ripple > _NOTICEABLE:
        notes.append(
            f"ripples of {ripple:.0%} of the highest peak {where}, where no atoms are: errors of the reduction; "
            "the repair 'cut-low-r' leaves them out"
        )
    return curve


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
