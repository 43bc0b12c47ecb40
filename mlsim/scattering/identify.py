"""Which function a curve is, and in which normalisation: decided from its limits, its shape and the composition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlsim.curve import Curve, Estimate, Quantity, Radiation
from mlsim.errors import DataError
from mlsim.scattering.form_factors import mean_length_squared, mean_square_ratio
from mlsim.scattering.limits import (
    NEAR_LIMIT,
    Peak,
    bond_range,
    filled_points,
    first_contact,
    first_peak,
    line_through_origin,
    low_q,
    low_q_deviation,
)
from mlsim.scattering.probe import Probe
from mlsim.scattering.transforms import g_pdf_of

__all__ = ["Identification", "identified"]

Floats = NDArray[np.float64]
Axis = Literal["Q", "r"]
Confidence = Literal["high", "medium", "low"]

MEAN_SQUARED, SQUARED_MEAN, BARN = "<f^2>", "<f>^2", "barn"
_WORST = 3.0
"""Largest penalty of one test; a sum of squared deviations would let one bad region decide alone."""
_DENSITIES = (0.005, 0.25)
"""Atoms per Å3 between a gel and diamond."""
_LARGEST_Q = 45.0
_FINEST = 60.0
_FIRST_R_A = 0.4
_FAR = 2.0
"""A function so far behind the best is refused even where the best is not safe itself."""
_FITS_NOTHING = 4.5
"""Penalty beyond which the best function is none: more than one test fails altogether."""
_UNUSUAL = 0.15
"""Penalty of 1 + and Q times the <f²> form, which few programs write."""


@dataclass(frozen=True)
class Identification:
    """What a curve was found to be.

    Attributes
    ----------
    quantity
        The function that fits best.
    normalisation
        ``<f>^2``, ``<f^2>`` or ``barn``.
    x_min, x_max
        Range of the points, 1/Å or Å.
    evidence
        What spoke for it, one sentence each.
    confidence
        ``high``, ``medium`` or ``low``: how far the next best function is behind.
    alternatives
        The functions that come next, and how far they are behind.
    behind
        How far each function, in its usual normalisation, is behind the best.
    number_density
        Atoms per Å3 from the low-r slope, None where there is none.
    scale
        Measured over expected limit, 1 for a curve that is normalised rightly; None where there is none.
    doubts
        Why density or scale must not be trusted; empty when they may.
    fits
        False where even the best function fails too many tests: the curve is none of them.
    """

    quantity: Quantity
    normalisation: str
    x_min: float
    x_max: float
    evidence: tuple[str, ...]
    confidence: Confidence
    alternatives: tuple[tuple[str, float], ...]
    behind: Mapping[str, float]
    number_density: Estimate | None
    scale: Estimate | None
    doubts: tuple[str, ...]
    fits: bool = True

    @property
    def name(self) -> str:
        """Quantity and, where it is not the usual one of that quantity, its normalisation."""
        usual = MEAN_SQUARED if self.quantity == Quantity.F2_OF_Q else SQUARED_MEAN
        odd = not self.quantity.of_neutrons and self.normalisation != usual
        return f"{self.quantity} in the normalisation by {self.normalisation}" if odd else str(self.quantity)

    def contradicts(self, quantity: Quantity) -> bool:
        """Return whether the curve is another function with high confidence, and this one is far behind it."""
        far = self.behind.get(str(quantity), _WORST) >= _FAR
        return self.fits and self.confidence == "high" and far and self.name != str(quantity)

    def objection(self, quantity: Quantity) -> str:
        """Return why the curve is not that function, empty where the evidence is weak: see `require`."""
        if not self.fits:
            return (
                f"is given as {quantity}, but fits no function of total scattering of this composition "
                f"(nearest: {self.name}); normalise it first, or force the quantity if you know better"
            )
        far = self.behind.get(str(quantity), _WORST) >= _FAR
        if self.name == str(quantity) or (self.confidence == "low" and not far):
            return ""
        return (
            f"is given as {quantity}, but looks like {self.name} ({self.confidence} confidence: "
            f"{'; '.join(self.evidence)}); give it as that, or force the quantity if you know better"
        )

    def require(self, quantity: Quantity, where: str) -> None:
        """Refuse the use of a file against the evidence, unless that is weak.

        Raises
        ------
        DataError
            With the `objection`: another function with at least medium confidence, that quantity far behind the best,
            or no function fits.
        """
        if against := self.objection(quantity):
            raise DataError(f"{where}: {against}")


@dataclass
class _Candidate:
    quantity: Quantity
    normalisation: str
    penalty: float = 0.0
    words: list[str] = field(default_factory=list)
    limit_seen: bool = True

    def judge(self, deviation: float, words: str) -> None:
        """Add a deviation in units of its tolerance; words for what agrees."""
        self.penalty += min(_WORST, deviation**2)
        if deviation <= 1.2:
            self.words.append(words)

    @property
    def label(self) -> str:
        return f"{self.quantity} {self.normalisation}"

    @property
    def name(self) -> str:
        return str(self.quantity)

    @property
    def usual(self) -> bool:
        return self.normalisation != MEAN_SQUARED or self.quantity == Quantity.F2_OF_Q


@dataclass(frozen=True)
class _Sample:
    fractions: Mapping[str, float]
    probe: Probe
    number_density: float | None
    bonds: tuple[float, float]

    def ratio(self, q: Floats) -> Floats:
        """<f²>/<f>²; beyond the tabulated form factors the last value."""
        return mean_square_ratio(self.fractions, np.minimum(q, 75.0), self.probe)


def identified(
    x: ArrayLike,
    y: ArrayLike,
    fractions: Mapping[str, float],
    *,
    radiation: Radiation | Probe = "xray",
    number_density: float | None = None,
    axis: tuple[Axis, str] | None = None,
    reduction: str = "",
) -> Identification:
    """Return which function a curve is, with the evidence.

    Every function of the table in `mlsim.curve` is held against the curve: its limit at large x, its limit at small
    x (S − 1 -> −<f²>/<f>², or −1 where the normalisation is by <f²>; G_PDF -> −4 π ρ r), that no intensity and no
    density of neighbours is negative, and where the first neighbours then are. The function with the fewest
    deviations wins; the distance to the next says how safe that is.

    Parameters
    ----------
    x, y
        The curve, shape (point,).
    fractions
        Number fraction of each element.
    radiation
        ``xray``, ``neutron`` or a `Probe`.
    number_density
        Atoms per Å3, where known.
    axis
        What the file itself says x is, ``Q`` or ``r``, and where it says so.
    reduction
        Name of a program that shapes the low-r range by its own rule, so that its slope is no density.

    Raises
    ------
    DataError
        When there are fewer than 20 points.

    Notes
    -----
    The compressibility is neglected: the limit of a real S(Q) is higher by ρ kT χ, 0.01 to 0.1 for glasses.
    One element alone has <f²> = <f>²: its normalisation cannot be told, and does not matter.
    """
    curve_x, curve_y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if curve_x.shape != curve_y.shape or len(curve_x) < 20:
        raise DataError(f"identification: got {len(curve_x)} points, expected at least 20")
    probe, bonds = Probe.of(radiation), bond_range(fractions)
    sample = _Sample(fractions, probe, number_density, bonds)
    judge = _Sample(fractions, probe, None if reduction else number_density, bonds)
    inside = curve_x > 0
    curve_x, curve_y = curve_x[inside], curve_y[inside]
    of_q = [_judged_of_q(c, curve_x, curve_y, judge) for c in _candidates_of_q(sample)]
    of_r = [_judged_of_r(c, curve_x, curve_y, judge) for c in _candidates_of_r(sample)]
    for candidate in of_q + of_r:
        _judge_axis(candidate, curve_x, curve_y, axis)
    best, *others = sorted(of_q + of_r, key=lambda c: c.penalty)
    if len(fractions) == 1 and best.normalisation == SQUARED_MEAN:
        best.words.append("one element alone: <f^2> = <f>^2, the two normalisations are one")
    confidence = _confidence(best, others)
    density, scale, doubts = _estimates(best, curve_x, curve_y, sample, reduction)
    fits = best.penalty < _FITS_NOTHING
    if not fits:
        doubts.insert(0, "no function fits this curve; the one named is only the nearest")
    return Identification(
        quantity=best.quantity,
        normalisation=best.normalisation,
        x_min=float(curve_x[0]),
        x_max=float(curve_x[-1]),
        evidence=tuple(best.words),
        confidence=confidence,
        alternatives=tuple((c.label, round(float(c.penalty - best.penalty), 2)) for c in others[:3]),
        behind={c.name: round(float(c.penalty - best.penalty), 2) for c in of_q + of_r if c.usual},
        number_density=density,
        scale=scale,
        doubts=tuple(doubts),
        fits=fits,
    )


def _confidence(best: _Candidate, others: list[_Candidate]) -> Confidence:
    """How far the next function is behind, and the next one of the other axis: Q and r look alike at first sight."""
    margin = others[0].penalty - best.penalty
    axis = min(c.penalty for c in others if c.quantity.of_q != best.quantity.of_q) - best.penalty
    if not best.limit_seen or best.penalty >= _WORST:
        return "low"
    if margin >= 2.0 and axis >= 3.4:
        return "high"
    return "medium" if margin >= 1.0 and axis >= 2.4 else "low"


def _candidates_of_q(sample: _Sample) -> list[_Candidate]:
    functions = [Quantity.S_OF_Q, Quantity.I_OF_Q, Quantity.QI_OF_Q]
    found = [_Candidate(quantity, SQUARED_MEAN) for quantity in functions]
    if len(sample.fractions) > 1:
        found += [_Candidate(q, MEAN_SQUARED, penalty=_UNUSUAL) for q in (Quantity.S_OF_Q, Quantity.QI_OF_Q)]
        found += [_Candidate(Quantity.F2_OF_Q, MEAN_SQUARED)]
    if sample.probe.radiation == "neutron":
        found.append(_Candidate(Quantity.F_KEEN, BARN))
    return found


def _candidates_of_r(sample: _Sample) -> list[_Candidate]:
    found = [_Candidate(quantity, SQUARED_MEAN) for quantity in (Quantity.G_PDF, Quantity.G_OF_R, Quantity.T_OF_R)]
    if sample.probe.radiation == "neutron":
        keen = (Quantity.G_KEEN, Quantity.D_KEEN, Quantity.T_KEEN)
        found += [_Candidate(quantity, BARN, penalty=_UNUSUAL) for quantity in keen]
    return found


def _reduced_of(candidate: _Candidate, q: Floats, y: Floats, sample: _Sample) -> Floats:
    """S − 1 of the curve, if it were this candidate."""
    u = y - 1 if candidate.quantity == Quantity.S_OF_Q else y
    if candidate.quantity == Quantity.QI_OF_Q:
        u = u / q
    if candidate.quantity == Quantity.F_KEEN:
        return np.asarray(u / mean_length_squared(sample.fractions, sample.probe))
    return np.asarray(u * sample.ratio(q) if candidate.normalisation == MEAN_SQUARED else u)


def _judged_of_q(candidate: _Candidate, q: Floats, y: Floats, sample: _Sample) -> _Candidate:
    u = _reduced_of(candidate, q, y, sample)
    ratio = sample.ratio(q)
    tail = q >= q[-1] - (q[-1] - q[0]) / 3
    limit = "1" if candidate.quantity == Quantity.S_OF_Q else "0"
    mean = float(u[tail].mean())
    candidate.judge(abs(mean) / 0.06, f"tends to {limit} at large Q, within {abs(mean):.2g}")
    low = low_q(q, y)
    if low.any():
        seen = float((u[low] / ratio[low]).mean())
        words = f"S - 1 = {seen * float(ratio[low].mean()):.2f} below Q = {q[low][-1]:.2g} 1/Å, where -<f^2>/<f>^2 is "
        words += f"{-float(ratio[low].mean()):.2f}" + (_filled_words(q, y) if filled_points(q, y) else "")
        candidate.judge(low_q_deviation(seen, q, y), words)
        candidate.limit_seen = abs(seen + 1) <= NEAR_LIMIT
    else:
        candidate.limit_seen = False
        candidate.judge(1.0, "")
    negative = float(np.mean(u < -1.1 * ratio - 0.05))
    candidate.judge(negative / 0.02, "no intensity is negative")
    _judge_transform(candidate, q, u, sample)
    return candidate


def _filled_words(q: Floats, y: Floats) -> str:
    return f" (filled in by a program below Q = {q[filled_points(q, y) - 1]:.3g} 1/Å)"


def _judge_transform(candidate: _Candidate, q: Floats, u: Floats, sample: _Sample) -> None:
    """Judge the G_PDF(r) that the curve would have: its slope at low r and its first neighbours."""
    r = np.arange(0.05, 6.0, 0.02)
    if np.pi / float(np.diff(q).max()) < r[-1]:
        return
    g = g_pdf_of(Curve(Quantity.I_OF_Q, q, u), r, window="lorch")
    low = r < 0.8 * sample.bonds[0]
    density = -line_through_origin(r[low], g.y[low]).slope / (4 * np.pi)
    words = f"its transform starts as if the density were {density:.3f} atoms/Å3"
    candidate.judge(_density_deviation(density, sample), words)
    peak = first_peak(r, g.y, start=0.5 * sample.bonds[0], smooth=0.05)
    _judge_bond(candidate, peak, sample, "its transform")


def _density_deviation(density: float, sample: _Sample, *, scaled: bool = False) -> float:
    """Deviation of a density in units of its tolerance: 35 %, or a factor of e where the scale may be arbitrary."""
    if sample.number_density is not None and scaled:
        return abs(float(np.log(density / sample.number_density))) if density > 0 else 1.75
    if sample.number_density is not None:
        return abs(density / sample.number_density - 1) / 0.35
    low, high = _DENSITIES
    return 0.5 if low <= density <= high else 1.5


def _judge_bond(candidate: _Candidate, peak: Peak | None, sample: _Sample, what: str) -> None:
    shortest, longest = sample.bonds
    if peak is None:
        candidate.judge(1.5, "")
        return
    inside = shortest <= peak.position <= longest
    candidate.judge(
        0.3 if inside else 1.3,
        f"{what} has its first strong peak at {peak.position:.2f} Å, where bonds of "
        f"{', '.join(sorted(sample.fractions))} are ({shortest:.1f} to {longest:.1f} Å)",
    )


def _judged_of_r(candidate: _Candidate, r: Floats, y: Floats, sample: _Sample) -> _Candidate:
    square = mean_length_squared(sample.fractions, sample.probe) if candidate.quantity.of_neutrons else 1.0
    tail = r >= r[-1] - (r[-1] - r[0]) / 3
    height = float(y[r >= 1.0].max()) if (r >= 1.0).any() else float(y.max())
    if height <= 0:
        candidate.judge(2.0, "")
        return candidate
    _judge_tail(candidate, r[tail], y[tail] / square, height / square, sample)
    contact = first_contact(r, y) or sample.bonds[0]
    low = (r > 0.2 * contact) & (r < contact)
    if low.sum() >= 5:
        _judge_low_r(candidate, r[low], y[low] / square, height / square, sample)
    else:
        candidate.limit_seen = False
        candidate.judge(1.0, "")
    level = 1.0 if candidate.quantity == Quantity.G_OF_R else 0.0
    _judge_bond(candidate, first_peak(r, y - level, start=0.5 * sample.bonds[0], smooth=0.03), sample, "it")
    return candidate


def _judge_tail(candidate: _Candidate, r: Floats, y: Floats, height: float, sample: _Sample) -> None:
    mean = float(y.mean())
    if candidate.quantity in (Quantity.T_OF_R, Quantity.T_KEEN):
        density = float((y / r).mean()) / (4 * np.pi)
        scatter = float((y / r).std()) / max(abs(float((y / r).mean())), 1e-12)
        words = f"grows as 4 π r times {density:.3f} atoms/Å3 at large r"
        candidate.judge(max(scatter / 0.5, 1.5 * _density_deviation(density, sample)), words)
    elif candidate.quantity == Quantity.G_OF_R:
        candidate.judge(abs(mean - 1) / 0.06, f"tends to 1 at large r, within {abs(mean - 1):.2g}")
    else:
        words = f"tends to 0 at large r, within {abs(mean) / height:.1%} of its highest peak"
        candidate.judge(abs(mean) / height / 0.05, words)


def _judge_low_r(candidate: _Candidate, r: Floats, y: Floats, height: float, sample: _Sample) -> None:
    ripple = f"below the first contact ({r[-1]:.2f} Å)"
    if candidate.quantity in (Quantity.G_PDF, Quantity.D_KEEN):
        line = line_through_origin(r, y)
        density = -line.slope / (4 * np.pi)
        words = f"falls as -4 π r times {density:.3f} atoms/Å3 {ripple}"
        allowed = 0.5 + line.error / (4 * np.pi) / (0.35 * density) if density > 0 else 1.0
        candidate.judge(_density_deviation(density, sample, scaled=True) / max(1.0, allowed), words)
        return
    target = -1.0 if candidate.quantity == Quantity.G_KEEN else 0.0
    mean = float(y.mean())
    words = f"is {target:g} {ripple}, within {abs(mean - target):.2g}"
    candidate.judge(abs(mean - target) / (0.02 if filled_points(r, y) else max(0.1 * height, 0.15)), words)


def _judge_axis(candidate: _Candidate, x: Floats, y: Floats, axis: tuple[Axis, str] | None) -> None:
    """Judge whether x is Q or r."""
    own: Axis = "Q" if candidate.quantity.of_q else "r"
    if axis is not None:
        weight = 1.2 if "ending" in axis[1] else _WORST
        candidate.judge(0.0 if axis[0] == own else weight, f"{axis[1]} says that x is {own}")
    if x[-1] > _LARGEST_Q:
        candidate.judge(0.0 if own == "r" else 1.5, f"reaches x = {x[-1]:.0f}, too far for Q in 1/Å")
    if x[0] > _FIRST_R_A:
        candidate.judge(0.0 if own == "Q" else 1.6, f"starts at x = {x[0]:.2g}; a function of r would start near 0")
    rough = _roughness(x, y)
    if own == "r" and rough is not None:
        words = f"ripples finer than {2 * np.pi / _FINEST:.2f} Å, which no range of Q makes, are {rough:.1%} of it"
        candidate.judge(min(rough / 0.01, 1.3), words)
    peak = first_peak(x, y - np.median(y), start=0.8, smooth=0.1)
    relative = peak.width / peak.position if peak is not None else 0.18
    if relative < 0.045 or relative > 0.24:
        words = f"its first strong peak is {relative:.0%} wide relative to its position, as in Q"
        candidate.judge(0.0 if own == "Q" else 1.0, words)
    elif relative < 0.13:
        words = f"its first strong peak is {relative:.0%} wide relative to its position, as neighbours have in r"
        candidate.judge(0.0 if own == "r" else 1.0, words)


def _roughness(x: Floats, y: Floats) -> float | None:
    """Share of the amplitude in ripples finer than 2 π/60 Å, None for points too far apart to tell."""
    step = float(np.median(np.diff(x)))
    if step > 0.5 * np.pi / _FINEST:
        return None
    even = np.arange(x[0], x[-1], step)
    values = np.interp(even, x, y)
    values = (values - np.linspace(values[0], values[-1], len(values))) * np.hanning(len(values))
    power = np.abs(np.fft.rfft(values)) ** 2
    fine = 2 * np.pi * np.fft.rfftfreq(len(values), step) > _FINEST
    return float(np.sqrt(power[fine].sum() / max(power.sum(), 1e-300)))


def _estimates(
    best: _Candidate, x: Floats, y: Floats, sample: _Sample, reduction: str
) -> tuple[Estimate | None, Estimate | None, list[str]]:
    """Density from the low-r slope, scale from the low-Q limit or from the slope and a known density."""
    if best.quantity.of_q:
        return _estimates_of_q(best, x, y, sample)
    doubts = []
    square = mean_length_squared(sample.fractions, sample.probe) if best.quantity.of_neutrons else 1.0
    if best.quantity in (Quantity.T_OF_R, Quantity.T_KEEN):
        tail = x >= x[-1] / 2
        slope = (y[tail] / x[tail]).mean() / square
        density = Estimate(float(slope) / (4 * np.pi), None, 1, "1/Å3")
        return density, None, ["the density is that of the scale of the file, which is not known apart"]
    if best.quantity not in (Quantity.G_PDF, Quantity.D_KEEN):
        return None, None, [f"{best.quantity} holds neither density nor scale"]
    contact = first_contact(x, y)
    low = (x > 0) & (x < (contact or sample.bonds[0]))
    if low.sum() < 5:
        return None, None, ["too few points below the first contact for density and scale"]
    line = line_through_origin(x[low], y[low] / square)
    value, error = -line.slope / (4 * np.pi), line.error / (4 * np.pi)
    density = Estimate(value, error, 1, "1/Å3")
    if reduction:
        doubts.append(f"{reduction} shapes the low-r range by its own rule, so the slope is no density and no scale")
    if error > 0.2 * abs(value):
        doubts.append(f"the ripples below the first contact leave {error / abs(value):.0%} of the slope open")
    known = sample.number_density
    scale = None if known is None else Estimate(value / known, error / known, 1, "1")
    if known is not None and abs(value - known) > max(3 * error, 0.1 * known):
        doubts.append(f"the slope says {value:.4f} atoms/Å3 and the given density {known:.4f}: scale or density is off")
    return density, scale, doubts


def _estimates_of_q(
    best: _Candidate, q: Floats, y: Floats, sample: _Sample
) -> tuple[Estimate | None, Estimate | None, list[str]]:
    u = _reduced_of(best, q, y, sample)
    doubts, scale, density = [], None, None
    measured = np.arange(len(q)) >= filled_points(q, y)
    if filled_points(q, y):
        doubts.append(f"the values below Q = {q[~measured][-1]:.3g} 1/Å are filled in and say nothing about the scale")
    low = low_q(q, y) & measured
    if low.sum() >= 5:
        values = -u[low] / sample.ratio(q[low])
        scale = Estimate(float(values.mean()), float(values.std(ddof=1)), 1, "1")
        if values.std(ddof=1) > 0.1:
            doubts.append("S(Q) is not flat at its lowest Q, so the scale from its limit is only a guess")
    else:
        doubts.append("no measured points near the low-Q limit, so no scale")
    r = np.arange(0.02, 0.8 * sample.bonds[0], 0.02)
    if np.pi / float(np.diff(q).max()) > r[-1]:
        g = g_pdf_of(Curve(Quantity.I_OF_Q, q, u), r, window="lorch")
        line = line_through_origin(g.x, g.y)
        value, error = -line.slope / (4 * np.pi), line.error / (4 * np.pi)
        density = Estimate(value, error, 1, "1/Å3")
        if error > 0.2 * abs(value) or value <= 0:
            doubts.append("the low-r range of its transform is no straight line, so the density is not trusted")
    return density, scale, doubts
