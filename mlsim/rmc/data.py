"""Data sets of a refinement: which function, on which points, with which weight."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.composition import Composition
from mlsim.curve import Curve, Quantity, Radiation
from mlsim.errors import DataError, SettingsError
from mlsim.geometry import cell_heights
from mlsim.scattering import mean_square_ratio, smallest_q

__all__ = ["DataSet", "data_set", "largest_radius_A", "require_composition"]

Floats = NDArray[np.float64]

_DEFAULT_SHARE = 0.02
_SHORTEST_R_A = 1.0
_EDGE_A = 0.5
_FEWEST_POINTS = 10
_TAIL = 0.25
_FAR_FROM_LIMIT = 0.25
_CLOSE_TO_ONE = 0.1
_COMPOSITION = re.compile(r"^[#\s]*composition\s*[=:]\s*[\"']?([A-Za-z0-9. ]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, eq=False)
class DataSet:
    """One measured function as it enters the misfit.

    Attributes
    ----------
    name
        For results: ``rw_<name>``.
    curve
        The points that are fitted, in the function of the file, with sigma.
    radiation
        ``xray`` or ``neutron``.
    ions
        X-ray form factors of ions (True) or neutral atoms.
    q_min, q_max
        1/Å: the range of the sine transform behind a function of r; the points' own for a function of Q.
    window
        Of that transform.
    fit_scale
        Whether the data may be divided by a factor that is fitted along.
    notes
        What was left out and what was assumed, one sentence each.
    """

    name: str
    curve: Curve
    radiation: Radiation
    ions: bool = False
    q_min: float = 0.0
    q_max: float = 0.0
    window: Literal["step", "lorch"] = "step"
    fit_scale: bool = False
    notes: tuple[str, ...] = ()

    @property
    def sigma(self) -> Floats:
        """Standard errors of the points, in the unit of the file's function."""
        if self.curve.sigma is None:  # `data_set` never leaves it out
            raise DataError(f"data set {self.name}: the curve carries no sigma")
        return self.curve.sigma


def largest_radius_A(atoms: Atoms) -> float:
    """Return half the smallest height of the cell, Å: as far as pairs are summed."""
    return float(cell_heights(atoms.cell.array).min() / 2)


def data_set(
    name: str,
    curve: Curve,
    radiation: Radiation,
    atoms: Atoms,
    *,
    sigma: float | None = None,
    x_range: tuple[float, float] | None = None,
    q_range: tuple[float, float] | None = None,
    believe: bool = False,
    **options: object,
) -> DataSet:
    """Return a measured curve prepared for fitting the box of `atoms`.

    Parameters
    ----------
    name
        For results.
    curve
        As measured: any `Quantity`. Its own sigma is used unless `sigma` is given.
    radiation
        ``xray`` or ``neutron``.
    atoms
        The configuration to refine: sets the density and what the box supports.
    sigma
        Standard error of every point, in the function of the curve. Without it and without an own sigma: 2 % of the
        root mean square of Q [S − 1] (functions of Q, so that sigma of S falls as 1/Q) or of G_PDF.
    x_range
        Points to fit. By default all that the box supports: Q from `smallest_q` on, r from 1 Å to half the box.
    q_range
        Functions of r: Qmin and Qmax of the transform that made them.
    believe
        Take the values for the function they are said to be, whatever they look like.
    options
        `ions`, `window`, `fit_scale` of `DataSet`.

    Raises
    ------
    SettingsError
        If `x_range` asks for more than the box supports, Qmax is missing, or sigma is no positive number.
    DataError
        If too few points are left, or the values cannot be the function that they are said to be.
    """
    low, high, notes = _supported(name, curve, atoms, x_range)
    if not curve.quantity.of_q and q_range is None:
        raise SettingsError(
            f"{name}: {curve.quantity} needs the Qmax of the transform that made it; give it with --q-max"
        )
    kept = (curve.x >= low - 1e-9) & (curve.x <= high + 1e-9)
    if kept.sum() < _FEWEST_POINTS:
        raise DataError(
            f"{name}: {int(kept.sum())} points between {low:.4g} and {high:.4g} (file: {curve.x[0]:.4g} to "
            f"{curve.x[-1]:.4g}), expected at least {_FEWEST_POINTS}"
        )
    x, y = curve.x[kept], curve.y[kept]
    if not believe:
        ions = bool(options.get("ions", False))
        _require_normalisation(name, Curve(curve.quantity, x, y), radiation, atoms, curve, ions)
    error, note = _sigma(name, Curve(curve.quantity, x, y, None if curve.sigma is None else curve.sigma[kept]), sigma)
    spread = (float(x[0]), float(x[-1])) if curve.quantity.of_q else q_range
    q_min, q_max = spread if spread is not None else (0.0, 0.0)
    if not 0 <= q_min < q_max:
        raise SettingsError(f"{name}: Q from {q_min:g} to {q_max:g} 1/Å, expected 0 <= Qmin < Qmax")
    return DataSet(
        name,
        Curve(curve.quantity, x, y, error),
        radiation,
        q_min=q_min,
        q_max=q_max,
        notes=(*notes, *note),
        **options,  # type: ignore[arg-type]
    )


def require_composition(name: str, header: str, atoms: Atoms) -> None:
    """Refuse a file whose header names another composition than that of the atoms.

    Parameters
    ----------
    name
        Of the file, for the message.
    header
        Its text; a line such as ``composition = Li3ZrCl4O1.5`` (PDFgetX3) is looked for.
    atoms
        The start.
    """
    found = _COMPOSITION.search(header[:20_000])
    if found is None:
        return
    try:
        said = Composition.parse(found.group(1).replace(" ", ""))
    except SettingsError:
        return
    own = Composition.of_atoms(atoms.get_chemical_symbols())
    off = [
        e for e in {*said.fractions, *own.fractions} if abs(said.fractions.get(e, 0) - own.fractions.get(e, 0)) > 0.01
    ]
    if off:
        raise DataError(
            f"{name}: its header says composition {said.formula}, the start is {own.formula}; take the start or the "
            "file that belongs to the other"
        )


def _supported(
    name: str, curve: Curve, atoms: Atoms, wanted: tuple[float, float] | None
) -> tuple[float, float, tuple[str, ...]]:
    """Range of x to fit, and what that leaves out."""
    first, last = float(curve.x[0]), float(curve.x[-1])
    if curve.quantity.of_q:
        low, high, unit = smallest_q([atoms]), math.inf, "1/Å"
        why = f"the box has no wave below {low:.3g} 1/Å (2π over its size)"
    else:
        low, high, unit = 0.0, largest_radius_A(atoms) - _EDGE_A, "Å"
        why = f"the box supports r up to {high:.4g} Å (half its height less {_EDGE_A:g} Å)"
    if wanted is not None:
        if not wanted[0] < wanted[1]:
            raise SettingsError(f"{name}: range {wanted[0]:g} to {wanted[1]:g} {unit}, expected low < high")
        if wanted[0] < low - 1e-6 or wanted[1] > high + 1e-6:
            raise SettingsError(
                f"{name}: range {wanted[0]:g} to {wanted[1]:g} {unit} asked for, but {why}; "
                "narrow the range or start from a larger box"
            )
        return wanted[0], wanted[1], ()
    if not curve.quantity.of_q and first < _SHORTEST_R_A:
        low = _SHORTEST_R_A
        why += f"; below {low:g} Å there are only errors of the reduction"
    start, end = max(first, low), min(last, high)
    if start > first or end < last:
        return start, end, (f"fitted from {start:.4g} to {end:.4g} {unit} of {first:.4g} to {last:.4g}: {why}",)
    return start, end, ()


def _sigma(name: str, curve: Curve, given: float | None) -> tuple[Floats, tuple[str, ...]]:
    """Standard error of every point, and what was assumed."""
    if given is not None:
        if not (math.isfinite(given) and given > 0):
            raise SettingsError(f"{name}: sigma is {given:g}, expected a positive number")
        return np.full(len(curve.x), float(given)), ()
    if curve.sigma is not None:
        if not (np.isfinite(curve.sigma).all() and (curve.sigma > 0).all()):
            raise DataError(
                f"{name}: not all sigma of the file are positive; give one with FILE:QUANTITY:RADIATION:SIGMA"
            )
        return np.array(curve.sigma), ()
    if curve.quantity.of_q:
        by_q = curve.x * reduced_values(curve)
        share = _DEFAULT_SHARE * float(np.sqrt(np.mean(by_q**2)))
        per_point = share if curve.quantity == Quantity.QI_OF_Q else share / np.maximum(curve.x, 1e-3)
        what = f"{share:.3g} 1/Å of Q [S − 1]"
    else:
        values = curve.y - curve.y.mean() if curve.quantity != Quantity.G_PDF else curve.y
        per_point = share = _DEFAULT_SHARE * float(np.sqrt(np.mean(values**2)))
        what = f"{share:.3g} of {curve.quantity}"
    if not share > 0:
        raise DataError(f"{name}: all values are the same; nothing to fit")
    return np.broadcast_to(per_point, curve.x.shape).copy(), (f"no sigma given: took {what}, 2 % of its size",)


def reduced_values(curve: Curve) -> Floats:
    """Return a function of Q less its limit at large Q; Q [S − 1] is divided by Q."""
    if curve.quantity == Quantity.S_OF_Q:
        return np.asarray(curve.y - 1)
    if curve.quantity == Quantity.QI_OF_Q:
        return np.asarray(curve.y / np.maximum(curve.x, 1e-6))
    return curve.y


def _require_normalisation(
    name: str, kept: Curve, radiation: Radiation, atoms: Atoms, whole: Curve, ions: bool
) -> None:
    """Refuse values that cannot be the function that they are said to be."""
    if kept.quantity.of_q:
        _require_limit(name, kept)
        _require_positive_intensity(name, kept, radiation, atoms, ions)
    else:
        _require_oscillation(name, whole, len(atoms) / atoms.get_volume())


def _require_limit(name: str, curve: Curve) -> None:
    """At large Q the function must have come to its limit."""
    tail = curve.x > curve.x[-1] - _TAIL * (curve.x[-1] - curve.x[0])
    level = float(np.mean(reduced_values(curve)[tail]))
    last = curve.y[tail]
    if curve.quantity == Quantity.QI_OF_Q and np.hypot(last.mean() - 1, last.std()) < _CLOSE_TO_ONE:
        raise DataError(f"{name}: said to be qi_of_q, which goes around 0, but it tends to 1, as s_of_q does")
    if abs(level) <= _FAR_FROM_LIMIT:
        return
    limit = 1.0 if curve.quantity == Quantity.S_OF_Q else 0.0
    found = level + limit
    hint = ""
    if curve.quantity == Quantity.S_OF_Q and abs(found) < _FAR_FROM_LIMIT:
        hint = "; it tends to 0: S(Q) − 1 is i_of_q, Q [S(Q) − 1] is qi_of_q"
    elif abs(found - 1) < _FAR_FROM_LIMIT:
        hint = "; it tends to 1, as s_of_q does"
    raise DataError(
        f"{name}: said to be {curve.quantity}, which tends to {limit:g}, but its last {_TAIL:.0%} of Q average "
        f"{found:.3g}{hint}"
    )


def _require_positive_intensity(name: str, curve: Curve, radiation: Radiation, atoms: Atoms, ions: bool) -> None:
    """The coherent intensity per atom, <f>² (S − 1) + <f²>, cannot be negative: that bounds S − 1 from below."""
    symbols = atoms.get_chemical_symbols()
    fractions = {e: symbols.count(e) / len(symbols) for e in sorted(set(symbols))}
    ratio = mean_square_ratio(fractions, curve.x, radiation, ions)
    values = reduced_values(curve)
    if curve.quantity == Quantity.F2_OF_Q:
        values = values * ratio
    below = float(np.mean(values < -1.3 * ratio))
    if below > 0.02:
        raise DataError(
            f"{name}: said to be {curve.quantity}, but {below:.0%} of its points mean negative intensity; "
            "check the normalisation (<f>² or <f²>) and the composition"
        )


def _require_oscillation(name: str, curve: Curve, number_density: float) -> None:
    """G_PDF goes around 0, g(r) around 1, T(r) around 4 π ρ r."""
    far = curve.x > 0.5 * (curve.x[0] + curve.x[-1])
    x, y = curve.x[far], curve.y[far]
    uniform = 4 * np.pi * number_density * x
    expected = {Quantity.G_PDF: np.zeros_like(x), Quantity.T_OF_R: uniform, Quantity.G_OF_R: np.ones_like(x)}
    misses = {
        kind: float(np.sqrt(np.mean((y - level) ** 2)) / _size(kind, uniform)) for kind, level in expected.items()
    }
    best = min(misses, key=lambda kind: misses[kind])
    if misses[curve.quantity] > 0.5 and misses[best] < 0.5 * misses[curve.quantity]:
        raise DataError(
            f"{name}: said to be {curve.quantity}, but at large r it goes around "
            f"{'4 π ρ r' if best == Quantity.T_OF_R else '1' if best == Quantity.G_OF_R else '0'}, as {best} does"
        )


def _size(kind: Quantity, uniform: Floats) -> float:
    return 1.0 if kind == Quantity.G_OF_R else float(np.sqrt(np.mean(uniform**2)))
