"""Diffusivity of ions from independent glasses, with an error that holds, or an upper bound.

D is the slope of the mean squared displacement over six in the window that `mlsim.transport.fit_window` finds on the
mean over all glasses: for single ions where hops are forgotten, for the charge, whose error is ten times as large,
from where motion is diffusive on. Its error never comes from the scatter of correlated frames:

- within a glass it is the spread of the slopes of single ions; where there are few ions (or one path of the charge)
  it is the error that a random walk with hops of the given length would have; where there is one glass only, its
  blocks of time are compared as glasses are below,
- over glasses what they differ by is weighed against what the errors within them explain: `over_glasses`,
- for single ions, what hops that are undone would add to the slope in the window, at a usual share of them, is added;
  or, where that is more, the change of a slope that still falls from the window to later lags, by more than chance
  makes it in one case of a hundred.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import (
    Drift,
    MeanSquaredDisplacement,
    lag_grid,
    tracer_and_charge,
)
from mlsim.transport.fit_window import (
    FitWindow,
    diffusive_window,
    line_weights,
    memory_of_hops,
    rattling,
    relative_variance,
    settled_window,
    slope_change,
)
from mlsim.transport.over_glasses import error_over_glasses, variance_between
from mlsim.units import CM2_S_PER_A2_PS

__all__ = [
    "FEW_HOPS",
    "HOP_LENGTH_A",
    "Diffusion",
    "common_lags",
    "diffusivities",
    "diffusivity",
    "slope_estimate",
    "temperature_of",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

HOP_LENGTH_A = 2.5
"""Distance between neighbouring sites of Li in chlorides and oxychlorides, Å."""

FEW_HOPS = 100
"""Fewer hops than this in all glasses are said to be rare."""

_ENOUGH_IONS = 8
_ONE_SIDED_95 = 1.645
_RULE_OF_THREE = 3.0
_IMPROBABLE = 2.33  # standard errors: 1 % one-sided
_LAGS_OF_BLOCKS = 12
_LONGER_FOR_CHARGE = 4.0  # a single path: its window may hold longer lags, whose noise the line weighs
_MOST_BLOCKS, _FEWEST_BLOCKS = 10, 4


@dataclass(frozen=True, eq=False)
class Diffusion:
    """Diffusivity at one temperature.

    Attributes
    ----------
    label
        What moves: "Li", or "charge of Li".
    temperature_K
        Temperature, K.
    diffusivity
        D, cm²/s. Where `diffusive` is false its value is the upper bound and it has no standard error.
    diffusive
        True if the trajectories are long enough for D to be a number.
    upper_bound_cm2_s
        95 % upper bound of D where `diffusive` is false, cm²/s; None where it is true, and where displacements grow
        faster than diffusion (a drift), which bounds nothing.
    window
        Where the line was fitted; None where `diffusive` is false.
    reason
        One sentence: the window, or why there is none.
    per_glass_cm2_s, per_glass_error_cm2_s
        D and its error within each glass, cm²/s; empty where `diffusive` is false.
    notes
        Sentences on what should make the reader careful: a slope that still changes, few hops.
    correction
        Factor in D for hops that are not forgotten in the window: of the charge, see `diffusivities`; else one.
    n_hops
        Hops of the given length, all in independent directions, that would give this D: 6 D N t / a². Fewer than
        `FEW_HOPS` are said; the hops themselves are counted by `mlsim.transport.hops`.
    msd
        Mean squared displacement, walkers of all glasses together.
    """

    label: str
    temperature_K: float
    diffusivity: Estimate
    diffusive: bool
    upper_bound_cm2_s: float | None
    window: FitWindow | None
    reason: str
    per_glass_cm2_s: tuple[float, ...]
    per_glass_error_cm2_s: tuple[float, ...]
    msd: MeanSquaredDisplacement
    notes: tuple[str, ...] = ()
    n_hops: float = 0.0
    correction: float = 1.0

    @property
    def is_bounded(self) -> bool:
        """Whether it is an upper bound: displacements that grow faster than diffusion bound nothing."""
        return self.upper_bound_cm2_s is not None

    @property
    def drift(self) -> str:
        """The reference of the displacements: "framework", "cell" or "none"."""
        return self.msd.drift


def diffusivity(
    trajectories: Sequence[Trajectory],
    element: str,
    *,
    drift: Drift = "auto",
    temperature_K: float | None = None,
    hop_length_A: float = HOP_LENGTH_A,
) -> Diffusion:
    r"""Return the tracer diffusivity of an element at one temperature.

    .. math:: D = \lim_{t\to\infty} \frac{1}{6} \frac{d}{dt} \langle |u_i(t) - u_i(0)|^2 \rangle

    Parameters
    ----------
    trajectories
        Independent glasses (or runs) at one temperature, with equal time steps and atoms. One is enough.
    element
        Chemical symbol of the ions.
    drift
        Reference of the displacement, see `mlsim.transport.displacement`.
    temperature_K
        Temperature, K; by default that of the trajectories.
    hop_length_A
        Distance between neighbouring sites, Å; only the fit window and the error of few ions depend on it.

    Returns
    -------
    Diffusion
        With the fit window, or an upper bound where nothing diffuses yet.

    Notes
    -----
    Assumes equilibrium: cut the start of the trajectories first. No finite-size correction.
    """
    return diffusivities(trajectories, element, drift=drift, temperature_K=temperature_K, hop_length_A=hop_length_A)[0]


def diffusivities(
    trajectories: Sequence[Trajectory],
    element: str,
    *,
    drift: Drift = "auto",
    temperature_K: float | None = None,
    hop_length_A: float = HOP_LENGTH_A,
) -> tuple[Diffusion, Diffusion]:
    """Return tracer and charge diffusivity of an element, reading each trajectory once; see `diffusivity`.

    The charge diffusivity is that of `mlsim.transport.charge_diffusivity`. Its window starts where motion becomes
    diffusive, or a single path would leave too few displacements, and ends 16 times later; it is multiplied by the
    slope of single ions in their own, later window over that in this one. As ions together need not forget as single
    ones do, the whole correction is in the error, too.
    """
    temperature = temperature_of(trajectories, temperature_K)
    lags = common_lags(trajectories)
    pairs = [tracer_and_charge(t, element, drift=drift, lags=lags) for t in trajectories]
    curves = [tracer for tracer, _ in pairs]
    pooled = pool(curves)
    early, reason = diffusive_window(pooled, hop_length_A=hop_length_A)
    window = None
    if early is not None:
        window, reason = settled_window(pooled, early, hop_length_A=hop_length_A)
    blocks = _block_curves(trajectories[0], element, drift, early) if len(trajectories) == 1 else []
    given: dict[str, Any] = {"temperature_K": temperature, "hop_length_A": hop_length_A, "block_window": early}
    one = slope_estimate(curves, pooled, window, reason, **given, blocks=[block for block, _ in blocks], memory=True)
    one = replace(one, notes=one.notes + _short_runs(curves))
    charge = [together for _, together in pairs]
    given |= {"usual_cm2_s": one.diffusivity.value, "blocks": [block for _, block in blocks]}
    if window is None or early is None or not one.diffusive:
        return one, slope_estimate(charge, pool(charge), None, one.reason, **given)
    longer = early.extended(_LONGER_FOR_CHARGE, float(lags[-1]) * pooled.interval_ps)
    together = slope_estimate(charge, pool(charge), longer, f"diffusive: fitted from {longer}", **given)
    return one, _corrected(together, _slope_over_slope(pooled, window, longer))


def _short_runs(curves: Sequence[MeanSquaredDisplacement]) -> tuple[str, ...]:
    lengths = [c.n_frames * c.interval_ps for c in curves]
    if min(lengths) >= 0.7 * float(np.median(lengths)):
        return ()
    return (
        f"the shortest of {len(curves)} runs, {min(lengths):.3g} ps after any cut for its energy to settle, limits the "
        f"window of all (the longest has {max(lengths):.3g} ps); run it longer, or leave it out",
    )


def _slope_over_slope(msd: MeanSquaredDisplacement, window: FitWindow, other: FitWindow) -> float:
    """Slope in a window over that in another one."""
    rattle = rattling(msd, window)
    slopes = []
    for each in (window, other):
        inside = each.holds(msd.lag_ps)
        slopes.append(float(msd.msd_A2[inside] @ line_weights(msd.lag_frames[inside], msd.n_frames, rattle)))
    return slopes[0] / slopes[1]


def _corrected(charge: Diffusion, factor: float) -> Diffusion:
    """Return the charge diffusivity times what single ions slow down by once hops are forgotten."""
    d = charge.diffusivity
    if d.standard_error is None:
        return charge
    error = math.hypot(factor * d.standard_error, (1 - factor) * d.value)
    return replace(
        charge,
        diffusivity=Estimate(factor * d.value, error, d.n_independent, d.unit),
        per_glass_cm2_s=tuple(factor * v for v in charge.per_glass_cm2_s),
        per_glass_error_cm2_s=tuple(factor * e for e in charge.per_glass_error_cm2_s),
        reason=f"{charge.reason}; times {factor:.2f}, the slope of single ions in their own, later window over that in "
        "this one",
        correction=factor,
    )


def slope_estimate(
    curves: Sequence[MeanSquaredDisplacement],
    pooled: MeanSquaredDisplacement,
    window: FitWindow | None,
    reason: str,
    *,
    temperature_K: float,
    hop_length_A: float,
    usual_cm2_s: float = 0.0,
    blocks: Sequence[MeanSquaredDisplacement] = (),
    block_window: FitWindow | None = None,
    memory: bool = False,
) -> Diffusion:
    """Return D from the displacements of each glass in a given window, or an upper bound without a window.

    `blocks` are the displacements within blocks of time, for a single glass, compared in `block_window` (by default
    `window`). With `memory` the error holds what hops that are not forgotten may add to the slope; the path of a charge
    is too noisy for that, see `diffusivities`.

    Where the error is that of a model walk it is taken for a diffusivity of at least `usual_cm2_s`, so that a walk
    that happened to go slowly does not also claim a small error.
    """
    if window is None:
        return _upper_bound(curves, pooled, reason, temperature_K, hop_length_A)
    usual = usual_cm2_s / CM2_S_PER_A2_PS
    rattle = rattling(pooled, window)
    fits = [_slope(curve, window, rattle, hop_length_A, usual) for curve in curves]
    values = np.array([value for value, _ in fits]) * CM2_S_PER_A2_PS
    errors = np.array([error for _, error in fits]) * CM2_S_PER_A2_PS
    error = error_over_glasses(values, errors)
    if blocks:
        expected = max(abs(fits[0][0]), usual)
        variance = error**2 / _variance_of_walk(curves[0], window, rattle, hop_length_A, expected)
        within = block_window or window
        error = math.hypot(error, _error_over_blocks(blocks, within, rattle, hop_length_A, variance, usual))
    value = float(values.mean())
    bend, notes = 0.0, tuple[str, ...]()
    if memory:
        bend, notes = _bend(pooled, window)
        bend = max(bend, memory_of_hops(pooled, window, hop_length_A=hop_length_A, rattle=rattle))
    estimate = Estimate(value, math.hypot(error, bend * value), len(values), "cm2/s")
    if value <= 0:
        return _upper_bound(
            curves, pooled, f"not diffusive: slope {estimate} is not positive", temperature_K, hop_length_A
        )
    observed = sum(c.n_ions * c.n_frames * c.interval_ps for c in curves)
    n_hops = 6.0 * value / CM2_S_PER_A2_PS * observed / hop_length_A**2
    if n_hops < FEW_HOPS:
        notes += (f"rare hops: D rests on some {n_hops:.0f} hops of {hop_length_A:g} Å in all; run longer or hotter",)
    return Diffusion(
        label=pooled.label,
        temperature_K=temperature_K,
        diffusivity=estimate,
        diffusive=True,
        upper_bound_cm2_s=None,
        window=window,
        reason=reason,
        per_glass_cm2_s=tuple(float(v) for v in values),
        per_glass_error_cm2_s=tuple(float(e) for e in errors),
        msd=pooled,
        notes=notes,
        n_hops=n_hops,
    )


def common_lags(trajectories: Sequence[Trajectory]) -> Ints:
    """Return lags, in frames, that suit the shortest of several trajectories with equal time steps and compositions."""
    if not trajectories:
        raise DataError("diffusivity: no trajectories given")
    first = trajectories[0]
    for other in trajectories[1:]:
        if not math.isclose(other.interval_ps, first.interval_ps, rel_tol=1e-6):
            raise DataError(
                f"diffusivity: time steps of {first.interval_ps:g} and {other.interval_ps:g} ps; "
                "read the trajectories with strides that make them equal"
            )
        if _shares(other) != _shares(first):
            raise DataError(
                f"diffusivity: trajectories of {_formula(first)} and of {_formula(other)}; glasses at one temperature "
                "must have one composition, give other materials in a run of their own"
            )
    return lag_grid(min(t.n_frames for t in trajectories))


def _shares(trajectory: Trajectory) -> dict[str, Fraction]:
    return {e: Fraction(n, trajectory.n_atoms) for e, n in Counter(trajectory.elements).items()}


def _formula(trajectory: Trajectory) -> str:
    return "".join(f"{e}{n}" for e, n in sorted(Counter(trajectory.elements).items()))


def temperature_of(trajectories: Sequence[Trajectory], given_K: float | None) -> float:
    """Return the one temperature of the trajectories, K, or the given one."""
    if given_K is not None:
        if not (math.isfinite(given_K) and given_K > 0):
            raise DataError(f"diffusivity: temperature of {given_K} K, expected a positive number")
        return float(given_K)
    known = sorted({t.temperature_K for t in trajectories if t.temperature_K is not None})
    if not known:
        raise DataError("diffusivity: the trajectories do not say their temperature; give temperature_K")
    if len(known) > 1:
        listed = ", ".join(f"{t:g}" for t in known)
        raise DataError(f"diffusivity: trajectories at {listed} K; give those of one temperature at a time")
    return known[0]


def pool(curves: Sequence[MeanSquaredDisplacement]) -> MeanSquaredDisplacement:
    """Return the walkers of several glasses, at the same lags, as one."""
    walkers = np.concatenate([c.per_walker_A2 for c in curves])
    return replace(curves[0], per_walker_A2=walkers, n_frames=min(c.n_frames for c in curves))


def _slope(
    curve: MeanSquaredDisplacement, window: FitWindow, rattle: float, hop_length_A: float, usual: float
) -> tuple[float, float]:
    """D of one glass and its error within the glass, Å²/ps."""
    inside = window.holds(curve.lag_ps)
    lags = curve.lag_frames[inside]
    weights = line_weights(lags, curve.n_frames, rattle)
    walkers = curve.per_walker_A2[:, inside] @ weights / (6.0 * curve.interval_ps)
    n = len(walkers)
    value = float(walkers.mean())
    spread = float(walkers.std(ddof=1)) / math.sqrt(n) if n > 1 else 0.0
    if n >= _ENOUGH_IONS:
        return value, spread
    expected = max(abs(value), usual)
    return value, max(spread, expected * math.sqrt(_variance_of_walk(curve, window, rattle, hop_length_A, expected)))


def _variance_of_walk(
    curve: MeanSquaredDisplacement, window: FitWindow, rattle: float, hop_length_A: float, diffusivity_A2_ps: float
) -> float:
    """Variance of D over its square, for walkers that hop at random."""
    lags = curve.lag_frames[window.holds(curve.lag_ps)]
    weights = line_weights(lags, curve.n_frames, rattle)
    hops = 6.0 * diffusivity_A2_ps * curve.n_ions * curve.n_frames * curve.interval_ps / hop_length_A**2
    return relative_variance(weights, lags, curve.n_frames, rattle) / len(curve.per_walker_A2) + 1.0 / max(hops, 1.0)


def _error_over_blocks(
    blocks: Sequence[MeanSquaredDisplacement],
    window: FitWindow,
    rattle: float,
    hop_length_A: float,
    variance: float,
    usual: float,
) -> float:
    """Error that a mobility which changes from block to block adds to the error of a steady walk, cm²/s.

    `variance` is the error of the whole squared over what the model walk says for it: ions may hop less regularly.
    What slopes of blocks scatter more than that is taken for a change.
    """
    slopes = np.array([_slope(block, window, rattle, hop_length_A, usual)[0] for block in blocks]) * CM2_S_PER_A2_PS
    expected = max(abs(float(slopes.mean())) / CM2_S_PER_A2_PS, usual)
    in_block = _variance_of_walk(blocks[0], window, rattle, hop_length_A, expected)
    within = np.full(len(blocks), math.sqrt(variance * in_block))
    return math.sqrt(variance_between(slopes, within) / len(blocks))


def _bend(pooled: MeanSquaredDisplacement, window: FitWindow) -> tuple[float, tuple[str, ...]]:
    """Return the relative error that a slope which still falls adds, and a sentence about it.

    Only falling counts: the mean squared displacement of hops in equilibrium is concave, since what follows a hop can
    undo it but not foresee it.
    """
    found = slope_change(pooled, window)
    if found is None or abs(found[0]) < _IMPROBABLE * found[1]:
        return 0.0, ()
    change, error, later = found
    where = f"{later.start_ps:.3g} to {later.stop_ps:.3g} ps"
    if change > 0:
        return 0.0, (f"the slope rises: from {where} it is {change:+.0%} ± {error:.0%} off; noise, or a drift",)
    return abs(change), (
        f"the slope still changes: from {where} it is {change:+.0%} ± {error:.0%} off; that is added to the error",
    )


def _block_curves(
    trajectory: Trajectory, element: str, drift: Drift, window: FitWindow | None
) -> list[tuple[MeanSquaredDisplacement, MeanSquaredDisplacement]]:
    """Displacements within blocks of time that are long against the window; none where there is no room for four."""
    if window is None:
        return []
    lags = np.rint(np.geomspace(window.start_ps, window.stop_ps, _LAGS_OF_BLOCKS) / trajectory.interval_ps)
    lags = np.unique(lags.astype(np.int64))
    n_blocks = min(_MOST_BLOCKS, trajectory.n_frames // max(1, int(1.5 * lags[-1])))
    if n_blocks < _FEWEST_BLOCKS or len(lags) < 2:
        return []
    edges = np.linspace(0, trajectory.n_frames, n_blocks + 1).astype(int)
    pieces = [trajectory.between(int(a), int(b)) for a, b in pairwise(edges)]
    return [tracer_and_charge(piece, element, drift=drift, lags=lags) for piece in pieces]


def _upper_bound(
    curves: Sequence[MeanSquaredDisplacement],
    pooled: MeanSquaredDisplacement,
    reason: str,
    temperature_K: float,
    hop_length_A: float,
) -> Diffusion:
    """Bound D by MSD/(6 t) at the longest lag, with its error, and by what ions that never hop would leave unseen."""
    lag, msd = pooled.lag_ps[-1], pooled.msd_A2
    n_walkers = len(pooled.per_walker_A2)
    relative = relative_variance(np.array([1.0 / pooled.lag_frames[-1]]), pooled.lag_frames[-1:], pooled.n_frames)
    sigma = msd[-1] * math.sqrt(relative / n_walkers)
    if pooled.sigma_A2 is not None:
        sigma = max(sigma, pooled.sigma_A2[-1])
    glass_means = [c.msd_A2[-1] for c in curves]
    if len(curves) > 1:
        sigma = max(sigma, float(np.std(glass_means, ddof=1)) / math.sqrt(len(curves)))
    observed = sum(c.n_ions * c.n_frames * c.interval_ps for c in curves)
    unseen = _RULE_OF_THREE * hop_length_A**2 / observed
    bound = max((msd[-1] + _ONE_SIDED_95 * sigma) / lag, unseen) / 6.0 * CM2_S_PER_A2_PS
    half = int(np.searchsorted(pooled.lag_ps, lag / 2))
    faster = msd[half] > 0 and math.log(msd[-1] / msd[half]) > 1.3 * math.log(lag / pooled.lag_ps[half])
    estimate = Estimate(float(bound), None, len(curves), "cm2/s")
    return Diffusion(
        pooled.label,
        temperature_K,
        estimate,
        False,
        None if faster else float(bound),
        None,
        reason + ("; displacements grow faster than diffusion, look for a drift" if faster else ""),
        (),
        (),
        pooled,
    )
