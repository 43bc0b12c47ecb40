"""A measured curve beside structures: Rw, χ², and the bounded nuisance parameters of the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from mlsim.curve import Curve, Estimate, Quantity, Radiation, chi_squared, estimate_over, weighted_profile_r
from mlsim.errors import DataError, NotConverged, SettingsError, did_you_mean
from mlsim.scattering.conversions import converted, linear_factor, offset
from mlsim.scattering.form_factors import weights
from mlsim.scattering.instrument import IDEAL, Instrument
from mlsim.scattering.pair_sums import Frames, checked_frames
from mlsim.scattering.partials import checked_q, structure_factor_array
from mlsim.scattering.probe import Probe
from mlsim.scattering.total import end_of_pairs, over_glasses
from mlsim.scattering.transforms import Window, box_truncated, g_pdf_of
from mlsim.units import G_CM3_PER_U_A3

__all__ = ["NUISANCES", "CurveFit", "fitted_curve"]

Floats = NDArray[np.float64]
Bounds = tuple[float, float]

NUISANCES: Final[Mapping[str, tuple[str, str]]] = {
    "scale": ("1", "factor on what differs from the limit of the function: S - 1, G_PDF, g - 1"),
    "q_damp": ("1/Å", "Qdamp of the instrument"),
    "displacement": ("Å", "mean displacement along one axis that is added to every atom, independently"),
    "density": ("g/cm3", "mass density; the whole structure is scaled"),
}
"""Parameters that may be fitted: unit and meaning."""

_DEFAULTS: Final[Mapping[str, Bounds]] = {"scale": (0.3, 1.5), "q_damp": (0.0, 0.15), "displacement": (0.0, 0.3)}
_DENSITY_MARGIN = 0.08
_AT_BOUND = 1e-3


@dataclass(frozen=True, eq=False)
class CurveFit:
    """A measured curve and the structures beside it.

    Attributes
    ----------
    data, model
        The compared range, and the mean over the glasses on the same points (with its standard error).
    glasses
        The model of each glass.
    terms
        What each pair of elements adds to the model's deviation from its limit, at the fitted parameters.
    parameters
        Fitted values with standard errors.
    at_bound
        Names of those that ended at a bound, so that their error means nothing.
    rw
        Rw of each glass with the common parameters: mean and standard error over glasses.
    rw_of_mean
        Rw of the mean over glasses.
    chi_squared
        Mean of the squared deviation in sigma, None where the data carry none.
    """

    data: Curve
    model: Curve
    glasses: tuple[Curve, ...]
    terms: Mapping[tuple[str, str], Curve]
    parameters: Mapping[str, Estimate]
    at_bound: tuple[str, ...]
    rw: Estimate
    rw_of_mean: float
    chi_squared: float | None


def fitted_curve(
    ensembles: Sequence[Sequence[Atoms]],
    data: Curve,
    *,
    radiation: Radiation | Probe = "xray",
    vary: Mapping[str, Bounds | None] | None = None,
    q: ArrayLike | None = None,
    window: Window = "step",
    instrument: Instrument = IDEAL,
    box_A: float | None = None,
) -> CurveFit:
    """Return a measured curve beside the same function of glasses, with nuisance parameters fitted if asked to.

    Least squares of [y_data − y_model(p)]/sigma, all points alike where the data carry no sigma; one set of
    parameters for all glasses, fitted to their mean. Nothing is fitted that is not named in `vary`.

    Parameters
    ----------
    ensembles
        Frames of each glass.
    data
        Measured curve, cut to the range that is to be compared.
    radiation
        ``xray``, ``neutron`` or a `Probe`.
    vary
        Names out of `NUISANCES` with their bounds, None for the usual ones: scale 0.3 to 1.5, q_damp 0 to 0.15 1/Å,
        displacement 0 to 0.3 Å, density within 8 % of that of the structures.
    q
        For a function of r: grid of Q in 1/Å of the sine transform that made the data.
    window
        Of that transform.
    instrument
        Where q_damp is not fitted.
    box_A
        For a function of Q: where the pair sum ends, Å. Where given, model and data go through `box_truncated` with
        it alike, so that both have the resolution of the box.

    Raises
    ------
    SettingsError
        When a parameter is unknown, its bounds are no range, or the grid of Q is missing.
    NotConverged
        When the least squares do not converge.

    Notes
    -----
    The displacement multiplies S − 1 by exp(−(Q u)²): exactly the mean over infinitely many copies in which every atom
    is displaced independently by a Gaussian of standard deviation u along each axis; real neighbours move together,
    so their first peak is narrower. Leave it out for frames of MD, which hold the motion already.

    Errors come from the curvature at the minimum and the size of the residuals. Points closer than π/Qmax in r, or
    π/R in Q, count as one, except in Q where the data carry a sigma of each point. Systematic misfit is in the
    residuals, but no model error beyond them.
    """
    model = _Model(ensembles, data, Probe.of(radiation), q, window, instrument, box_A)
    bounds = _checked_bounds(vary or {}, model)
    target = model.treated(data)
    fitted, errors = _least_squares(model, target, bounds)
    curves = [Curve(data.quantity, data.x, y) for y in model.of_glasses(fitted)]
    mean = over_glasses(curves)
    names = list(bounds)
    return CurveFit(
        data=target,
        model=mean,
        glasses=tuple(curves),
        terms=model.terms(fitted),
        parameters={
            n: Estimate(fitted[n], errors[i] if errors is not None else None, len(curves), NUISANCES[n][0])
            for i, n in enumerate(names)
        },
        at_bound=tuple(n for n in names if _at_bound(fitted[n], bounds[n])),
        rw=estimate_over([weighted_profile_r(curve, target) for curve in curves], "1"),
        rw_of_mean=weighted_profile_r(mean, target),
        chi_squared=None if target.sigma is None else chi_squared(mean, target),
    )


class _Model:
    """The measured function of all glasses, given the nuisance parameters."""

    def __init__(
        self,
        ensembles: Sequence[Sequence[Atoms]],
        data: Curve,
        probe: Probe,
        q: ArrayLike | None,
        window: Window,
        instrument: Instrument,
        box_A: float | None,
    ) -> None:
        if not len(ensembles):
            raise DataError("fit of a curve: no glasses given")
        self.glasses: list[Frames] = [checked_frames(frames) for frames in ensembles]
        self.quantity, self.x, self.probe, self.window = data.quantity, data.x, probe, window
        self.instrument, self.box_A = instrument, box_A
        if data.quantity.of_q == (q is not None):
            raise SettingsError(
                f"fit of {data.quantity}: give the grid of Q of the transform for a function of r, and only for one"
            )
        if box_A is not None and not data.quantity.of_q:
            raise SettingsError(f"fit of {data.quantity}: the truncation by the box is that of a function of Q")
        self.q = checked_q(data.x if q is None else q)
        atoms = ensembles[0][0]
        self.density_g_cm3 = float(atoms.get_masses().sum() / atoms.get_volume() * G_CM3_PER_U_A3)
        self._partials: dict[tuple[int, float, float], Floats] = {}

    def treated(self, data: Curve) -> Curve:
        """The data, through the truncation by the box where that is asked for."""
        if self.box_A is None:
            return data
        given = self._given(self.glasses[0], {})
        factor, limit = linear_factor(*given), offset(*given)
        if data.x[0] <= 0:
            raise DataError(f"truncation of {data.quantity}: Q starts at {data.x[0]:g} 1/Å, expected Q > 0")
        seen = box_truncated(Curve(Quantity.I_OF_Q, data.x, (data.y - limit) / factor), self.box_A)
        return Curve(data.quantity, data.x, limit + factor * seen.y, data.sigma)

    def of_glasses(self, parameters: Mapping[str, float]) -> list[Floats]:
        """The function of each glass, shape (point,)."""
        found = []
        for k, frames in enumerate(self.glasses):
            i_of_q = self._weighted(k, frames, parameters).sum(axis=0)
            given = self._given(frames, parameters)
            limit = offset(*given)
            found.append(limit + self._deviation(i_of_q, frames, parameters))
        return found

    def mean(self, parameters: Mapping[str, float]) -> Floats:
        """The function averaged over glasses, shape (point,)."""
        return np.asarray(np.mean(self.of_glasses(parameters), axis=0))

    def terms(self, parameters: Mapping[str, float]) -> dict[tuple[str, str], Curve]:
        """What each pair adds to the deviation from the limit, averaged over glasses."""
        pairs = self.glasses[0].pairs
        per_glass = [
            [self._deviation(term, frames, parameters) for term in self._weighted(k, frames, parameters)]
            for k, frames in enumerate(self.glasses)
        ]
        return {
            pair: Curve(self.quantity, self.x, np.mean([glass[i] for glass in per_glass], axis=0))
            for i, pair in enumerate(pairs)
        }

    def independent_points(self) -> float:
        """Points of the data that the window or the box lets differ."""
        span = float(self.x[-1] - self.x[0])
        reach = self._end(self.glasses[0]) if self.quantity.of_q else float(self.q[-1])
        return float(np.clip(span * reach / np.pi, 2.0, len(self.x)))

    def _end(self, frames: Frames) -> float:
        if not self.quantity.of_q:
            return end_of_pairs(frames, self.x)
        return frames.exact_radius if self.box_A is None else self.box_A

    def _weighted(self, k: int, frames: Frames, parameters: Mapping[str, float]) -> Floats:
        """w_ij(Q) [A_ij(Q) − 1] of one glass, scaled to the density and with the displacement, shape (pair, Q)."""
        stretch = (self.density_g_cm3 / parameters.get("density", self.density_g_cm3)) ** (1 / 3)
        damp = parameters.get("q_damp", self.instrument.q_damp_per_A) if self.quantity.of_q else 0.0
        key = (k, stretch, damp)
        if key not in self._partials:
            self._partials = {other: a for other, a in self._partials.items() if other[1:] == key[1:]}
            # a structure stretched by s at Q is the unstretched one at s Q
            seen = Instrument(damp * stretch, self.instrument.q_broad)
            self._partials[key] = structure_factor_array(frames, self.q * stretch, self._end(frames), seen)
        thermal = np.exp(-((self.q * parameters.get("displacement", 0.0)) ** 2))
        pair_weights = weights(frames.fractions, self.q, self.probe)
        partials = self._partials[key]
        return np.array([pair_weights[p] * (a - 1) * thermal for p, a in zip(frames.pairs, partials, strict=True)])

    def _deviation(self, i_of_q: Floats, frames: Frames, parameters: Mapping[str, float]) -> Floats:
        """What a part of S − 1 adds to the function, times the scale."""
        scale = parameters.get("scale", 1.0)
        given = self._given(frames, parameters)
        if self.quantity.of_q:
            curve = Curve(self.quantity, self.q, linear_factor(*given) * i_of_q)
            if self.box_A is not None:
                reduced = Curve(Quantity.I_OF_Q, self.q, i_of_q)
                return np.asarray(scale * linear_factor(*given) * box_truncated(reduced, self.box_A).y)
            return np.asarray(scale * curve.y)
        damp = parameters.get("q_damp", self.instrument.q_damp_per_A)
        g = g_pdf_of(Curve(Quantity.I_OF_Q, self.q, i_of_q), self.x, window=self.window)
        damped = Curve(Quantity.G_PDF, g.x, g.y * Instrument(damp).envelope(g.x))
        wanted = converted(damped, self.quantity, fractions=given[2], radiation=self.probe, number_density=given[4])
        return np.asarray(scale * (wanted.y - offset(*given)))

    def _given(
        self, frames: Frames, parameters: Mapping[str, float]
    ) -> tuple[Quantity, Floats, dict[str, float], Probe, float]:
        factor = parameters.get("density", self.density_g_cm3) / self.density_g_cm3
        return self.quantity, self.x, frames.fractions, self.probe, frames.number_density * factor


def _checked_bounds(vary: Mapping[str, Bounds | None], model: _Model) -> dict[str, Bounds]:
    usual = dict(_DEFAULTS)
    usual["density"] = ((1 - _DENSITY_MARGIN) * model.density_g_cm3, (1 + _DENSITY_MARGIN) * model.density_g_cm3)
    found = {}
    for name, bounds in vary.items():
        if name not in NUISANCES:
            raise SettingsError(f"fit of a curve: parameter '{name}'; {did_you_mean(name, NUISANCES)}")
        low, high = usual[name] if bounds is None else bounds
        if not (np.isfinite([low, high]).all() and 0 <= low < high and (name != "density" or low > 0)):
            raise SettingsError(f"fit of a curve: {name} between {low:g} and {high:g}; expected 0 <= low < high")
        found[name] = (float(low), float(high))
    return found


def _least_squares(model: _Model, data: Curve, bounds: Mapping[str, Bounds]) -> tuple[dict[str, float], Floats | None]:
    """Fitted parameters and their standard errors."""
    from scipy.optimize import least_squares

    names = list(bounds)
    if not names:
        return {}, None
    sigma = np.ones_like(data.y) if data.sigma is None else data.sigma

    def residuals(values: Floats) -> Floats:
        return np.asarray((model.mean(dict(zip(names, values, strict=True))) - data.y) / sigma)

    low, high = np.array([bounds[n] for n in names]).T
    start = np.array([_start(n, bounds[n], model) for n in names])
    steps = np.full(len(names), 1e-4)
    solution = least_squares(residuals, start, bounds=(low, high), x_scale=(high - low) / 4, diff_step=steps, xtol=1e-6)
    if not solution.success:
        raise NotConverged(f"fit of a curve: {solution.message}")
    values = {n: float(v) for n, v in zip(names, solution.x, strict=True)}
    counted = data.sigma is not None and data.quantity.of_q
    independent = float(len(data.x)) if counted else model.independent_points()
    jacobian = np.asarray(solution.jac, dtype=float)
    return values, _standard_errors(jacobian, solution.fun, independent, data.sigma is not None)


def _standard_errors(jacobian: Floats, residuals: Floats, independent: float, weighted: bool) -> Floats:
    """sqrt of the diagonal of (JᵀJ)⁻¹ times the mean squared residual and the points per independent point."""
    n_points, n_parameters = jacobian.shape
    variance = float(residuals @ residuals) / max(n_points - n_parameters, 1)
    if weighted:
        variance = max(variance, 1.0)
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * variance * n_points / independent
    return np.asarray(np.sqrt(np.diag(covariance)))


def _start(name: str, bounds: Bounds, model: _Model) -> float:
    usual = {"scale": 1.0, "q_damp": 0.04, "displacement": 0.07, "density": model.density_g_cm3}[name]
    margin = 0.02 * (bounds[1] - bounds[0])
    return float(np.clip(usual, bounds[0] + margin, bounds[1] - margin))


def _at_bound(value: float, bounds: Bounds) -> bool:
    return min(value - bounds[0], bounds[1] - value) < _AT_BOUND * (bounds[1] - bounds[0])
