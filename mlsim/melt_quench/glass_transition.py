"""Glass transition of a quench: the kink of volume or energy against temperature.

A straight line below, a steeper one above::

    y(T) = a + b T + c max(T − Tg, 0) + d [pressure of the later part],   c > 0

fitted by least squares to means over 10 K, for Tg on a grid. At 10 K/ps the glass leaves equilibrium some hundred
kelvin above the laboratory's transition, and the kink is as wide as that: a Tg of such a quench tells where *this*
simulated system is a liquid, not what a calorimeter would read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import DataError, NotConverged
from mlsim.melt_quench.glass import ThermoLog

__all__ = ["GlassTransition", "QuenchCurve", "glass_transition", "kinks_agree", "quench_curve"]

Floats: TypeAlias = NDArray[np.float64]
Property = Literal["volume", "energy"]

_BIN_K = 10.0
_SMALLEST_FALL_K = 50.0
_STEADY = -0.9  # correlation of temperature with time: a ramp, not a melt that cools down from a hot start
_MARGIN = 0.15
_GRID = 200
_FEWEST_BINS = 12
_LEAST_F = 10.0
_BORDER_K = 30.0  # a kink so near to the next segment may be the change of pressure there


@dataclass(frozen=True, eq=False)
class QuenchCurve:
    """One property along the quench of one glass, and the two straight lines through it.

    Attributes
    ----------
    temperature_K
        Of the ramp, K, means over 10 K, hot to cold, shape (bin,).
    values, fitted
        Means of the property and the fit to them, Å3 or eV per atom, shape (bin,). Without a kink the fit is one line.
    kink_K
        Where the lines meet, K; nan where there is no kink beyond the noise.
    borders_K
        Where the ramp goes from one segment of the schedule to the next, K.
    """

    temperature_K: Floats
    values: Floats
    fitted: Floats
    kink_K: float
    borders_K: tuple[float, ...] = ()

    @property
    def kink_at_border(self) -> bool:
        """Whether the kink lies within 30 K of where the schedule goes to its next segment, often of other pressure."""
        return any(abs(self.kink_K - border) <= _BORDER_K for border in self.borders_K)


@dataclass(frozen=True, eq=False)
class GlassTransition:
    """Where the quench leaves the liquid's line.

    Attributes
    ----------
    temperature
        Tg, K, over the glasses that show a kink.
    kind
        "volume" or "energy".
    per_glass_K
        Tg of each glass; nan where its curve has no kink beyond the noise.
    temperature_K, values, fitted
        The curve of each glass, means over 10 K, and the fit: K, and Å3 or eV per atom; one array per glass.
    n_at_border
        Glasses whose kink lies within 30 K of where the schedule goes to its next segment.
    """

    temperature: Estimate
    kind: Property
    per_glass_K: tuple[float, ...]
    temperature_K: tuple[Floats, ...]
    values: tuple[Floats, ...]
    fitted: tuple[Floats, ...]
    n_at_border: int = 0

    @property
    def n_glasses(self) -> int:
        """Glasses that were looked at."""
        return len(self.per_glass_K)

    @property
    def n_kinks(self) -> int:
        """Glasses that show a kink: only they are in `temperature`."""
        return int(np.isfinite(self.per_glass_K).sum())

    @property
    def method(self) -> str:
        """How the temperature was found and on how many glasses it rests, as the method of a result."""
        return f"kink of the {self.kind} along the quench, in {self.n_kinks} of {self.n_glasses} glasses"

    @property
    def caution(self) -> str:
        """What to bear in mind: glasses without a kink, and kinks of the volume at a change of pressure; or nothing."""
        said = []
        if self.n_kinks < self.n_glasses:
            said.append(f"rests on the {self.n_kinks} of {self.n_glasses} glasses that show a kink")
        if self.n_at_border and self.kind == "volume":  # a new pressure hardly moves the energy
            said.append(
                f"rests on kinks of which {self.n_at_border} of {self.n_kinks} lie within {_BORDER_K:g} K of "
                "where the quench goes to its next segment, where a change of pressure would feign one"
            )
        named = f"glass transition by the {self.kind}: {self.temperature.value:.0f} K "
        return named + "; ".join(said) if said else ""


def glass_transition(logs: Sequence[ThermoLog], n_atoms: int, *, kind: Property = "energy") -> GlassTransition:
    """Return the glass transition of quenches by the kink of volume or of potential energy.

    Parameters
    ----------
    logs
        One per glass. The quench is every segment along which the temperature falls by 50 K or more.
    n_atoms
        Atoms in the cell, for values per atom.
    kind
        Which property. A change of pressure on the way (a new segment) shifts the volume by several per cent and the
        energy hardly; either gets its own offset.

    Raises
    ------
    DataError
        If a log has no quench, or too short a one.
    NotConverged
        If no glass shows a kink: the improvement over a straight line has F < 10.
    """
    if not logs:
        raise DataError("glass transition: no quenches given")
    curves = [quench_curve(log, n_atoms, kind=kind) for log in logs]
    found = [curve.kink_K for curve in curves if np.isfinite(curve.kink_K)]
    if not found:
        raise NotConverged(f"glass transition: no kink of the {kind} in {len(logs)} quenches; quench slower or longer")
    return GlassTransition(
        estimate_over(found, "K"),
        kind,
        tuple(curve.kink_K for curve in curves),
        tuple(curve.temperature_K for curve in curves),
        tuple(curve.values for curve in curves),
        tuple(curve.fitted for curve in curves),
        sum(curve.kink_at_border for curve in curves),
    )


def kinks_agree(energy: Estimate, volume: Estimate) -> bool:
    """Whether the glass transitions by energy and by volume are one within two combined standard errors.

    Without an error they are only where they are equal.

    Examples
    --------
    >>> kinks_agree(Estimate(900.0, 30.0, 4, "K"), Estimate(850.0, 20.0, 4, "K"))
    True
    >>> kinks_agree(Estimate(1137.0, 115.0, 4, "K"), Estimate(664.0, 52.0, 4, "K"))
    False
    """
    error = np.hypot(energy.standard_error or 0.0, volume.standard_error or 0.0)
    return bool(abs(energy.value - volume.value) <= 2 * error)


def quench_curve(log: ThermoLog, n_atoms: int, *, kind: Property = "energy") -> QuenchCurve:
    """Return a property against the temperature of the ramp for one quench, and the fit that looks for its kink.

    Parameters
    ----------
    log
        Of one glass. The quench is every segment along which the temperature falls by 50 K or more.
    n_atoms
        Atoms in the cell, for values per atom.
    kind
        Which property.

    Raises
    ------
    DataError
        If the log has no quench, or too short a one.
    """
    temperature, value, part = _binned(log, n_atoms, kind)
    kink, fitted = _kink(temperature, value, part)
    change = np.flatnonzero(np.diff(part))
    borders = (temperature[change] + temperature[change + 1]) / 2
    return QuenchCurve(temperature, value, fitted, kink, tuple(float(border) for border in borders))


def _binned(log: ThermoLog, n_atoms: int, kind: Property) -> tuple[Floats, Floats, Floats]:
    """Temperature, value per atom and index of the segment, means over `_BIN_K`, hot to cold."""
    source = log.volume_A3 if kind == "volume" else log.potential_energy_eV
    temperature, value, part = [], [], []
    for segment in np.unique(log.segment):
        rows = log.segment == segment
        time, kelvin = log.time_ps[rows], log.temperature_K[rows]
        if rows.sum() < _FEWEST_BINS:
            continue
        slope, start = np.polyfit(time, kelvin, 1)
        fall = -slope * float(np.ptp(time))
        if fall < _SMALLEST_FALL_K or np.corrcoef(time, kelvin)[0, 1] > _STEADY:
            continue
        ramp = start + slope * time  # the cell's own temperature scatters by sqrt(2/3N), its ramp does not
        n_bins = max(1, round(fall / _BIN_K))
        for piece in np.array_split(np.arange(len(time)), n_bins):
            temperature.append(ramp[piece].mean())
            value.append(source[rows][piece].mean() / n_atoms)
            part.append(float(segment))
    if len(temperature) < _FEWEST_BINS:
        raise DataError(
            f"glass transition: the log holds a quench of {len(temperature)} steps of {_BIN_K:g} K, at least "
            f"{_FEWEST_BINS} needed; give the thermo.csv of a quench"
        )
    return np.array(temperature), np.array(value), np.array(part)


def _kink(temperature: Floats, value: Floats, part: Floats) -> tuple[float, Floats]:
    """Tg (nan where there is no kink) and the fitted values."""
    scaled = temperature / 1000.0
    columns = [np.ones_like(scaled), scaled]
    columns += [(part == p).astype(float) for p in np.unique(part)[1:]]
    straight, rest = _least_squares(np.stack(columns, axis=1), value)
    span = float(np.ptp(temperature))
    grid = np.linspace(temperature.min() + _MARGIN * span, temperature.max() - _MARGIN * span, _GRID)
    best = (float("nan"), straight, rest)
    for tg in grid:
        design = np.stack([*columns, np.maximum(temperature - tg, 0.0) / 1000.0], axis=1)
        solution = np.linalg.lstsq(design, value, rcond=None)[0]
        chi2 = float(((value - design @ solution) ** 2).sum())
        if solution[-1] > 0 and chi2 < best[2]:
            best = (float(tg), design @ solution, chi2)
    spare = len(value) - len(columns) - 2
    improvement = (rest - best[2]) / 2 / max(best[2] / spare, 1e-300)
    at_edge = not grid[0] < best[0] < grid[-1]
    return (float("nan"), straight) if improvement < _LEAST_F or at_edge else best[:2]


def _least_squares(design: Floats, value: Floats) -> tuple[Floats, float]:
    fitted = design @ np.linalg.lstsq(design, value, rcond=None)[0]
    return fitted, float(((value - fitted) ** 2).sum())
