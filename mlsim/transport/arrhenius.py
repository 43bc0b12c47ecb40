"""Arrhenius fit of diffusivities, and what it says at other temperatures, with the uncertainty of going there.

ln D(T) = ln D0 - Ea / (k_B T), a weighted line. Its uncertainty is kept as a sample of lines, drawn by Monte Carlo, so
that everything derived from it (Ea, D0, D and sigma at 298 K) has intervals of the right, skewed shape: an
extrapolated conductivity is uncertain by a factor, not by plus or minus.

- Points with errors of their own: each point is moved by its error.
- The same glasses at all temperatures: a glass that is fast at one temperature is fast at the others, so points are
  moved by their errors within the glasses, and the whole line by what the lines of the glasses differ by
  (`mlsim.transport.glass_lines`).
- Four temperatures or more: the share of the sample that the Vogel–Fulcher–Tammann curve deserves by its likelihood
  follows that curve, so that the choice between straight and bent is part of the interval.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from mlsim.curve import Estimate
from mlsim.errors import DataError, NotConverged
from mlsim.transport.conductivity import conductivity_nernst_einstein
from mlsim.transport.diffusion import Diffusion
from mlsim.transport.glass_lines import GlassLines, glass_lines
from mlsim.transport.vogel import FEWEST_POINTS, Vogel, vogel
from mlsim.units import BOLTZMANN_EV_PER_K

__all__ = ["ROOM_TEMPERATURE_K", "ArrheniusFit", "Interval", "arrhenius"]

Floats: TypeAlias = NDArray[np.float64]

ROOM_TEMPERATURE_K = 298.0
ONE_SIGMA = 0.6826894921370859
_DRAWS = 20_000
_LARGEST_LN = 700.0
_SAME_K = 1e-6
_LARGEST_S = 30.0  # of an error of ln D: beyond it nothing is known
_IMPROBABLE = 0.01
_TRUST_IN_ERRORS = 4.0  # points' worth: two spare points scatter by chance, and alone would enlarge errors by a fifth


@dataclass(frozen=True)
class Interval:
    """Central interval that holds the value with probability `level`."""

    low: float
    high: float
    level: float


@dataclass(frozen=True, eq=False)
class ArrheniusFit:
    """The line ln D = ln D0 - Ea / (k_B T) and the sample of lines that its errors allow.

    Attributes
    ----------
    activation_energy
        Ea, eV.
    prefactor
        D0, cm²/s; its standard error is half of the 68 % interval, which is very skewed.
    temperatures_K, diffusivities_cm2_s
        Points that were fitted, shape (point,).
    relative_errors
        Standard errors of ln D of the points, shape (point,); without what glasses differ by where that is known.
    error_scale
        Factor by which the errors were enlarged because the points scatter about the line more than their errors
        say: sqrt((chi² + 4)/(points - 2 + 4)), never below 1; without errors, the scatter sqrt(chi²/(points - 2)).
    flags
        Sentences about what was left out and what should make the reader careful; empty when all is well.
    ln_prefactor
        ln of D0 in cm²/s.
    draws
        ln D0, Ea (eV) and T0 (K) of the sampled curves ln D0 - Ea / [k_B (T - T0)], shape (draw, 3); T0 is 0 for
        straight lines.
    source
        What the errors come from: "points", "points and glasses" (lines of single glasses) or "scatter" (about the
        line).
    vogel
        Comparison with the Vogel–Fulcher–Tammann curve; None for fewer than four points.
    """

    activation_energy: Estimate
    prefactor: Estimate
    temperatures_K: Floats
    diffusivities_cm2_s: Floats
    relative_errors: Floats
    error_scale: float
    flags: tuple[str, ...]
    ln_prefactor: float
    draws: Floats
    source: str = "points"
    vogel: Vogel | None = None

    def diffusivity_at(self, temperature_K: float) -> Estimate:
        """Return D of the line at a temperature, cm²/s, with an error x sinh(s) of the log-normal x exp(±s).

        s is the larger of the two distances of ln D from the ends of its 68 % interval, so that x exp(∓s) covers it:
        where curves with T0 > 0 have weight, the interval may lie far below the line.
        """
        interval = self.diffusivity_interval(temperature_K, ONE_SIGMA)
        ln_value = self.ln_prefactor - self.activation_energy.value * _inverse_energy(temperature_K)
        value = _exp(ln_value)
        ends = [abs(math.log(end) - ln_value) if end > 0 else _LARGEST_S for end in (interval.low, interval.high)]
        error = value * math.sinh(min(max(ends), _LARGEST_S))
        return Estimate(value, error, self.activation_energy.n_independent, "cm2/s")

    def diffusivity_interval(self, temperature_K: float, level: float = 0.95) -> Interval:
        """Return the central interval of D at a temperature, cm²/s."""
        _inverse_energy(temperature_K)
        ln_prefactor, energy, t0 = self.draws.T
        above = np.maximum(temperature_K - t0, _SAME_K)
        low, high = _central(ln_prefactor - energy / (BOLTZMANN_EV_PER_K * above), level)
        return Interval(_exp(low), _exp(high), level)

    def conductivity_at(self, temperature_K: float, carriers_per_A3: float, charge: float = 1) -> Estimate:
        """Return the Nernst–Einstein conductivity at a temperature, mS/cm; its error as in `diffusivity_at`."""
        factor = conductivity_nernst_einstein(1.0, temperature_K, carriers_per_A3, charge)
        d = self.diffusivity_at(temperature_K)
        return Estimate(factor * d.value, factor * (d.standard_error or 0.0), d.n_independent, "mS/cm")

    def conductivity_interval(
        self, temperature_K: float, carriers_per_A3: float, charge: float = 1, *, level: float = 0.95
    ) -> Interval:
        """Return the central interval of the Nernst–Einstein conductivity at a temperature, mS/cm."""
        factor = conductivity_nernst_einstein(1.0, temperature_K, carriers_per_A3, charge)
        d = self.diffusivity_interval(temperature_K, level)
        return Interval(factor * d.low, factor * d.high, level)


def arrhenius(
    points: Sequence[Diffusion | tuple[float, Estimate]],
    *,
    glass_transition_K: float | None = None,
    left_out: Mapping[float, str] | None = None,
    seed: int = 0,
) -> ArrheniusFit:
    r"""Return the weighted Arrhenius fit of diffusivities at several temperatures.

    .. math:: \ln D_i = \ln D_0 - E_a / (k_B T_i), \quad w_i = 1/\mathrm{Var}(\ln D_i)

    Parameters
    ----------
    points
        Diffusivities; upper bounds are left out, and the fit says so. Or pairs of temperature (K) and D (cm²/s).
        Either all points have errors or none has; without, at least three are needed.
    glass_transition_K
        Temperatures above it are left out, and the fit says so: a line through the liquid does not hold for the glass.
        None takes all.
    left_out
        Temperatures (K) that are left out for another reason, and the reason, which the fit repeats: such as what
        `mlsim.transport.liquid_reason` says.
    seed
        Seed of the Monte Carlo draws.

    Raises
    ------
    NotConverged
        If fewer than two temperatures are diffusive. With two the line is drawn, and flagged.

    Notes
    -----
    Errors at different temperatures are taken as independent where the points do not tell their glasses apart (not
    equally many at all temperatures, or one); glasses must come in the same order at each temperature.
    `activation_energy` and `prefactor` are those of the straight line.

    Examples
    --------
    >>> from mlsim.curve import Estimate
    >>> temperatures = (500, 600, 700)
    >>> values = [1e-3 * math.exp(-0.3 / (8.617333262e-5 * t)) for t in temperatures]
    >>> points = [(t, Estimate(d, 0.1 * d, 3, "cm2/s")) for t, d in zip(temperatures, values, strict=True)]
    >>> round(arrhenius(points).activation_energy.value, 6)
    0.3
    """
    used, flags = _usable(points, glass_transition_K, left_out or {})
    temperature = np.array([t for t, _ in used])
    value = np.array([d.value for _, d in used])
    if (value <= 0).any() or not np.isfinite(value).all() or (temperature <= 0).any():
        raise DataError("arrhenius: temperatures and diffusivities must be positive numbers")
    beta = np.array([_inverse_energy(t) for t in temperature])
    sigma = _errors_of_ln([d for _, d in used])
    glasses = None if sigma is None else _of_glasses(points, used)
    own = sigma if glasses is None else glasses.errors_of_mean
    line = _line_through(beta, np.ones(len(used)) if own is None else own**-2)
    ln_d = np.log(value)
    centre = line @ ln_d
    error, scale = _enlarged(ln_d - (centre[0] - centre[1] * beta), own)
    rng = np.random.default_rng(seed)
    draws, source = _draws(centre, line, error, rng), "scatter" if sigma is None else "points"
    if glasses is not None:
        between = glasses.covariance_between(line, beta, _inverse_energy(ROOM_TEMPERATURE_K))
        draws, source = _moved(draws, between, rng), "points and glasses"
    n = min(d.n_independent for _, d in used)
    (low, high), (least, most) = (_central(column, ONE_SIGMA) for column in draws.T)
    curve = None if sigma is None or len(used) < FEWEST_POINTS else vogel(temperature, ln_d, sigma, _DRAWS, rng)
    fit = ArrheniusFit(
        activation_energy=Estimate(float(centre[1]), (most - least) / 2, n, "eV"),
        prefactor=Estimate(_exp(centre[0]), (_exp(high) - _exp(low)) / 2, n, "cm2/s"),
        temperatures_K=temperature,
        diffusivities_cm2_s=value,
        relative_errors=error,
        error_scale=scale,
        flags=tuple(flags),
        ln_prefactor=float(centre[0]),
        draws=_mixed(draws, curve),
        source=source,
        vogel=curve,
    )
    return _flagged(fit, points)


def _enlarged(residual: Floats, sigma: Floats | None) -> tuple[Floats, float]:
    """Errors of ln D, enlarged (or, without errors, given) by the scatter about the line, and the factor."""
    unit = np.ones(len(residual)) if sigma is None else sigma
    spare, chi_squared = len(residual) - 2, float(((residual / unit) ** 2).sum())
    if sigma is None:
        scale = math.sqrt(chi_squared / spare)
    else:
        scale = max(1.0, math.sqrt((chi_squared + _TRUST_IN_ERRORS) / (spare + _TRUST_IN_ERRORS)))
    return scale * unit, scale


def _usable(
    points: Sequence[Diffusion | tuple[float, Estimate]],
    glass_transition_K: float | None,
    left_out: Mapping[float, str],
) -> tuple[list[tuple[float, Estimate]], list[str]]:
    """Return the points that are numbers in the glass, by temperature, and a sentence for each that is not."""
    used: list[tuple[float, Estimate]] = []
    refused = {round(t, 6): reason for t, reason in left_out.items()}
    flags: list[str] = []
    for point in points:
        kelvin = point.temperature_K if isinstance(point, Diffusion) else float(point[0])
        if glass_transition_K is not None and kelvin > glass_transition_K:
            flags.append(f"{kelvin:g} K left out: above the glass transition at {glass_transition_K:.0f} K")
            continue
        if round(kelvin, 6) in refused:
            flags.append(f"{kelvin:g} K left out: {refused[round(kelvin, 6)]}")
            continue
        if isinstance(point, Diffusion):
            if not point.diffusive:
                flags.append(f"{point.temperature_K:g} K left out: {point.reason}")
                continue
            used.append((point.temperature_K, point.diffusivity))
        else:
            used.append((float(point[0]), point[1]))
    distinct = len({t for t, _ in used})
    if distinct < 2:
        left = f" ({'; '.join(flags)})" if flags else ""
        raise NotConverged(f"arrhenius: {distinct} diffusive temperatures, at least 2 needed, better 3 or more{left}")
    if distinct == 2:
        flags.append("only 2 diffusive temperatures: nothing tests that the line is straight")
    return sorted(used, key=lambda pair: pair[0]), flags


def _errors_of_ln(diffusivities: Sequence[Estimate]) -> Floats | None:
    """Standard errors of ln D, shape (point,); None when no point has an error."""
    relative = np.array([(d.standard_error or 0.0) / d.value for d in diffusivities])
    missing = int((relative == 0).sum())
    if missing == len(relative):
        if len(relative) < 3:
            raise NotConverged("arrhenius: 2 points without errors give no error; give errors or a third temperature")
        return None
    if missing:
        raise DataError(f"arrhenius: {missing} of {len(relative)} points have no standard error; give all or none")
    return np.asarray(np.sqrt(np.log1p(relative**2)))


def _line_through(beta: Floats, weight: Floats) -> Floats:
    """Matrix that turns ln D of the points into ln D0 and Ea, shape (2, point)."""
    mean = (weight * beta).sum() / weight.sum()
    away = beta - mean
    slope = weight * away / (weight * away**2).sum()
    return np.stack([weight / weight.sum() - slope * mean, -slope])


def _draws(centre: Floats, line: Floats, error: Floats, rng: np.random.Generator) -> Floats:
    """Lines through points displaced by their errors, each drawn with its mirror image, shape (draw, 2)."""
    moved = (rng.standard_normal((_DRAWS // 2, len(error))) * error) @ line.T
    return np.concatenate([centre + moved, centre - moved])


def _moved(draws: Floats, covariance: Floats, rng: np.random.Generator) -> Floats:
    """Lines moved by what glasses differ by, each pair of mirror images by opposite amounts."""
    half = rng.multivariate_normal(np.zeros(2), covariance, len(draws) // 2, method="eigh")
    return np.asarray(draws + np.concatenate([half, -half]))


def _of_glasses(
    points: Sequence[Diffusion | tuple[float, Estimate]], used: Sequence[tuple[float, Estimate]]
) -> GlassLines | None:
    """What the glasses of the points that are used say, in their order."""
    fitted = {t for t, _ in used}
    told = [p for p in points if isinstance(p, Diffusion) and p.diffusive and p.temperature_K in fitted]
    return glass_lines(sorted(told, key=lambda p: p.temperature_K)) if len(told) == len(used) else None


def _mixed(lines: Floats, curve: Vogel | None) -> Floats:
    """Straight lines, of which the share that the curve deserves is replaced by curves, shape (draw, 3)."""
    draws = np.concatenate([lines, np.zeros((len(lines), 1))], axis=1)
    if curve is not None:
        taken = np.arange(len(draws)) % 1000 < round(1000 * curve.probability)
        draws[taken] = curve.draws[: len(draws)][taken]
    return draws


def _flagged(fit: ArrheniusFit, points: Sequence[Diffusion | tuple[float, Estimate]]) -> ArrheniusFit:
    """Add flags that need the fit."""
    flags = list(fit.flags)
    if fit.activation_energy.value <= 0:
        flags.append(f"activation energy {fit.activation_energy} is not positive")
    spare = len(fit.temperatures_K) - 2
    if spare > 0 and fit.source != "scatter":
        beta = np.array([_inverse_energy(t) for t in fit.temperatures_K])
        line = fit.ln_prefactor - fit.activation_energy.value * beta
        own = fit.relative_errors / fit.error_scale
        chi_squared = float((((np.log(fit.diffusivities_cm2_s) - line) / own) ** 2).sum())
        if chi2.sf(chi_squared, spare) < _IMPROBABLE:
            flags.append(
                f"points scatter {math.sqrt(chi_squared / spare):.1f} times as much as their errors say; errors "
                f"enlarged {fit.error_scale:.1f} times"
            )
    if fit.vogel is not None and fit.vogel.probability > 0.5:
        flags.append(
            f"ln D bends: Vogel-Fulcher-Tammann with T0 = {fit.vogel.t0_K:.0f} K is more likely than a straight line "
            f"({fit.vogel.probability:.0%}); intervals hold both"
        )
    flags += _not_proportional(points, fit)
    for point in points:
        if isinstance(point, Diffusion) and not point.diffusive and point.upper_bound_cm2_s is not None:
            low = fit.diffusivity_interval(point.temperature_K, 0.95).low
            if low > point.upper_bound_cm2_s:
                flags.append(
                    f"the line passes above the upper bound at {point.temperature_K:g} K "
                    f"({low:.2g} against {point.upper_bound_cm2_s:.2g} cm2/s): not Arrhenius, or not in equilibrium"
                )
    return replace(fit, flags=tuple(flags))


def _not_proportional(points: Sequence[Diffusion | tuple[float, Estimate]], fit: ArrheniusFit) -> list[str]:
    """Return sentences with the points of the line whose displacement is not proportional to time, or nothing."""
    on_line = {round(float(t), 6) for t in fit.temperatures_K}
    slopes = {
        p.temperature_K: p.window.log_slope
        for p in points
        if isinstance(p, Diffusion) and p.window is not None and not p.window.proportional
        if round(p.temperature_K, 6) in on_line
    }
    slow, fast = ({t: b for t, b in slopes.items() if (b < 1) is below} for below in (True, False))
    said = []
    if slow:
        said.append(
            f"the mean squared displacement is not proportional to time yet at {_powers(slow)}: a constant offset, by "
            "rattling and hops that are undone, leaves D right, but a slope that still falls makes D too large there, "
            f"{_consequence(fit, slow)}; longer runs tell"
        )
    if fast:
        said.append(
            f"the mean squared displacement grows faster than time at {_powers(fast)}: by chance in a short run, or by "
            "a drift; longer runs tell"
        )
    return said


def _powers(slopes: Mapping[float, float]) -> str:
    return ", ".join(f"{t:g} K (t^{b:.2f})" for t, b in slopes.items())


def _consequence(fit: ArrheniusFit, slow: Mapping[float, float]) -> str:
    """Return which way the line turns where D is too large at some of its points, more so the further b is from one."""
    beta = np.array([_inverse_energy(t) for t in fit.temperatures_K])
    error = fit.relative_errors if (fit.relative_errors > 0).all() else np.ones(len(beta))
    too_large = np.zeros(len(beta))  # of ln D, on a scale of its own: only signs are used
    for kelvin, power in slow.items():
        too_large[np.isclose(fit.temperatures_K, kelvin)] = 1 - power
    ln_prefactor, barrier = _line_through(beta, error**-2.0) @ too_large
    conductivity = ln_prefactor - barrier * _inverse_energy(ROOM_TEMPERATURE_K)
    ways = ["high" if shift > 0 else "low" for shift in (barrier, conductivity)]
    return f"Ea too {ways[0]} and the conductivity at 298 K too {ways[1]}"


def _central(values: Floats, level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise DataError(f"interval: level {level}, expected a probability between 0 and 1 such as 0.95")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _inverse_energy(temperature_K: float) -> float:
    """1/(k_B T) in 1/eV."""
    if not (math.isfinite(temperature_K) and temperature_K > 0):
        raise DataError(f"arrhenius: temperature of {temperature_K} K, expected a positive number")
    return 1.0 / (BOLTZMANN_EV_PER_K * temperature_K)


def _exp(exponent: float) -> float:
    """exp that saturates instead of overflowing, for hopelessly uncertain extrapolations."""
    return math.exp(min(max(float(exponent), -_LARGEST_LN), _LARGEST_LN))
