"""Where a mean squared displacement is a straight line, and the best straight line through it.

The rule, the same for every trajectory. Motion is diffusive (`diffusive_window`) from the shortest lag t at which

1. the mean squared displacement is at least half a hop length squared: every other ion has hopped, and
2. it grows as t^b between t and 4 t (or half of the trajectory, if that is sooner), where b differs from 1 by no
   more than 0.15 plus its own standard error, and never by more than 0.20 (an offset by cages lowers b, too, but
   does not bend the line).

Hops that are undone by the next bend the curve until an ion has forgotten where it came from. The line of single ions
therefore starts later (`settled_window`): where the displacement is three hop lengths squared, or at an eighth of the
trajectory if that is sooner; where the exponent there is beyond 0.20 by more than twice its standard error, nothing
diffuses. Windows end at four times their start, or at half of the trajectory. What is left is in the error:
`memory_of_hops` says what a memory of usual strength would add to the slope of a window, and `slope_change` whether the
slope still falls from the window to the next, later one. (That of the charge, see `mlsim.transport.diffusion`, starts
where motion becomes diffusive and ends 16 times later.)

Points of the curve at neighbouring lags are strongly correlated, because they come from the same steps; the line takes
their covariance for a Brownian walk that rattles into account (generalised least squares), so that adding longer,
noisier lags does no harm. The line has an intercept, so that the rattling of ions in their cages does not count as
diffusion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.transport.displacement import MeanSquaredDisplacement

__all__ = [
    "FitWindow",
    "diffusive_window",
    "grows_as_time",
    "line_weights",
    "memory_of_hops",
    "rattling",
    "relative_variance",
    "settled_window",
    "slope_change",
]

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]

SLOPE_TOLERANCE = 0.15
LARGEST_TOLERANCE = 0.20
SETTLED_HOPS = 3.0  # squared hop lengths: hops of which 30 % are undone raise the slope by 0.1 % from there on
USUAL_BACK_HOPS = 0.3  # undone by the next: 0.1 to 0.4 in our glasses and crystals
LEAST_EXPONENT = 0.9  # below it the offset of the line is over a fifth of 6 D t at the start of the window
MOST_EXPONENT = 1.1
_SPAN = 4.0
_LATEST_START = 0.125  # of the trajectory: the window then ends at half of it
_MOST_LAGS = 25
_FEWEST_LAGS = 3
_ENOUGH_WALKERS = 8


@dataclass(frozen=True)
class FitWindow:
    """Lags between which the straight line is fitted.

    Attributes
    ----------
    start_ps, stop_ps
        First and last lag, ps.
    log_slope
        Exponent b of MSD ~ t^b between them.
    start_msd_A2
        Mean squared displacement at the first lag, Å².
    """

    start_ps: float
    stop_ps: float
    log_slope: float
    start_msd_A2: float

    def __str__(self) -> str:
        return (
            f"{self.start_ps:.3g} to {self.stop_ps:.3g} ps (MSD ~ t^{self.log_slope:.2f}, "
            f"from {self.start_msd_A2:.3g} Å²)"
        )

    @property
    def proportional(self) -> bool:
        """False where D rests on the line's offset, or where something drifts: see `grows_as_time`."""
        return grows_as_time(self.log_slope)

    def extended(self, factor: float, longest_ps: float) -> FitWindow:
        """Return the window that ends `factor` times later, but not after the longest lag."""
        return replace(self, stop_ps=max(self.stop_ps, min(factor * self.stop_ps, longest_ps)))

    def holds(self, lag_ps: Floats) -> NDArray[np.bool_]:
        """True for the lags inside, shape (lag,)."""
        slack = 1e-9 * self.stop_ps
        return np.asarray((lag_ps >= self.start_ps - slack) & (lag_ps <= self.stop_ps + slack))


def grows_as_time(log_slope: float) -> bool:
    """Whether a displacement that grows as t to this power counts as proportional to time: from 0.9 to 1.1.

    Examples
    --------
    >>> grows_as_time(0.896), grows_as_time(0.9), grows_as_time(1.1), grows_as_time(1.12)
    (False, True, True, False)
    """
    return LEAST_EXPONENT <= log_slope <= MOST_EXPONENT


def diffusive_window(msd: MeanSquaredDisplacement, *, hop_length_A: float) -> tuple[FitWindow | None, str]:
    """Return the fit window that the rule gives, or None, and a sentence that says which or why not.

    Parameters
    ----------
    msd
        Mean squared displacement, over ions and glasses.
    hop_length_A
        Distance between neighbouring sites of the ion, Å.
    """
    lag, curve = msd.lag_ps, msd.msd_A2
    wanted = 0.5 * hop_length_A**2
    far = curve >= wanted
    for start in np.flatnonzero(far):
        stop = min(_SPAN * lag[start], lag[-1])
        inside = (lag >= lag[start]) & (lag <= stop * (1 + 1e-9))
        if stop < 2 * lag[start] * (1 - 1e-9) or inside.sum() < _FEWEST_LAGS:
            break
        slope, error = _log_slope(lag[inside], msd.per_walker_A2[:, inside])
        if abs(slope - 1) <= min(SLOPE_TOLERANCE + error, LARGEST_TOLERANCE):
            window = FitWindow(float(lag[start]), float(lag[inside][-1]), slope, float(curve[start]))
            return window, f"diffusive: fitted from {window}"
    if not far.any() or 2 * lag[far][0] > lag[-1]:
        return None, (
            f"not diffusive: MSD is {curve[-1]:.3g} Å² at {lag[-1]:.3g} ps, half a hop length squared is "
            f"{wanted:.3g} Å² and must be passed by {lag[-1] / 2:.3g} ps; run longer or hotter"
        )
    last = (lag >= lag[-1] / 2) & (curve > 0)
    slope = _log_slope(lag[last], msd.per_walker_A2[:, last])[0] if last.sum() > 1 else float("nan")
    return None, f"not diffusive: MSD ~ t^{slope:.2f} up to {lag[-1]:.3g} ps, expected t^1; run longer"


def settled_window(
    msd: MeanSquaredDisplacement, early: FitWindow, *, hop_length_A: float
) -> tuple[FitWindow | None, str]:
    """Return the window that starts where hops are forgotten, or as late as the trajectory allows, and a sentence.

    Parameters
    ----------
    msd
        Mean squared displacement, over ions and glasses.
    early
        Where motion begins to be diffusive, from `diffusive_window`: the window starts there or later.
    hop_length_A
        Distance between neighbouring sites of the ion, Å.

    Returns
    -------
    tuple
        None where the displacement does not go on as t^1 there: ions that are confined, or that drift.
    """
    lag, curve = msd.lag_ps, msd.msd_A2
    latest = _LATEST_START * msd.n_frames * msd.interval_ps
    wanted = (lag >= early.start_ps * (1 - 1e-9)) & ((curve >= SETTLED_HOPS * hop_length_A**2) | (lag >= latest))
    if not wanted.any():
        return early, f"diffusive: fitted from {early}"
    start = int(np.flatnonzero(wanted)[0])
    inside = (lag >= lag[start]) & (lag <= _SPAN * lag[start] * (1 + 1e-9))
    if lag[inside][-1] < 2 * lag[start] * (1 - 1e-9) or inside.sum() < _FEWEST_LAGS:
        return early, f"diffusive: fitted from {early}"
    slope, error = _log_slope(lag[inside], msd.per_walker_A2[:, inside])
    window = FitWindow(float(lag[start]), float(lag[inside][-1]), slope, float(curve[start]))
    told = len(msd.per_walker_A2) >= _ENOUGH_WALKERS  # or the error of the exponent is itself unknown
    if told and not abs(slope - 1) <= LARGEST_TOLERANCE + 2 * error:
        why = "look for a drift" if slope > 1 else "ions are confined, or run longer"
        return None, f"not diffusive: expected t^1, found {window}; {why}"
    return window, f"diffusive: fitted from {window}"


def memory_of_hops(
    msd: MeanSquaredDisplacement,
    window: FitWindow,
    *,
    hop_length_A: float,
    rattle: float = 0.0,
    back_hops: float = USUAL_BACK_HOPS,
) -> float:
    r"""Return by how much hops that are undone raise the slope in a window, divided by the slope.

    Hops of length a at a rate Γ, of which a share p leads straight back and the others anywhere, have

    .. math:: \mathrm{MSD}(t) = a^2 \left[ \frac{1-p}{1+p} Γ t + \frac{2p}{(1+p)^2} (1 - e^{-(1+p) Γ t}) \right]

    so the slope is 6 D only after the exponential. Γ is taken from the slope in the window.

    Parameters
    ----------
    msd
        Mean squared displacement that the line is fitted to.
    window
        Where.
    hop_length_A
        a, Å.
    rattle
        As for `line_weights`.
    back_hops
        p.
    """
    inside = window.holds(msd.lag_ps)
    lags = msd.lag_frames[inside]
    weights = line_weights(lags, msd.n_frames, rattle)
    slope = float(msd.msd_A2[inside] @ weights)
    if slope <= 0:
        return 0.0
    rate = slope / hop_length_A**2 * (1 + back_hops) / (1 - back_hops)  # hops per frame
    excess = 2 * back_hops / (1 + back_hops) ** 2 * (1 - np.exp(-(1 + back_hops) * rate * lags))
    return float(excess @ weights) * hop_length_A**2 / slope


def slope_change(msd: MeanSquaredDisplacement, window: FitWindow) -> tuple[float, float, FitWindow] | None:
    """Return how the slope changes from the window to the one that starts at twice its start, and that window.

    Returns
    -------
    tuple or None
        Change divided by the slope in the window, its standard error over walkers, the later window; None where the
        trajectory is too short for one or there are too few walkers.
    """
    start = 2 * window.start_ps
    later = FitWindow(start, min(_SPAN * start, float(msd.lag_ps[-1])), float("nan"), float("nan"))
    early, late = window.holds(msd.lag_ps), later.holds(msd.lag_ps)
    n = len(msd.per_walker_A2)
    if later.stop_ps < 2 * start * (1 - 1e-9) or late.sum() < _FEWEST_LAGS or n < _ENOUGH_WALKERS:
        return None
    slope = msd.per_walker_A2[:, early] @ line_weights(msd.lag_frames[early], msd.n_frames)
    change = msd.per_walker_A2[:, late] @ line_weights(msd.lag_frames[late], msd.n_frames) - slope
    scale = float(slope.mean())
    if scale <= 0:
        return None
    return float(change.mean()) / scale, float(change.std(ddof=1)) / np.sqrt(n) / scale, later


def line_weights(lags: Ints, n_frames: int, rattle: float = 0.0) -> Floats:
    """Return the weights w whose sum with the mean squared displacements is the slope per frame of the line.

    The line is fitted with the covariance that a Brownian walk of `n_frames` frames has at these lags. The weights
    sum to zero (an offset does not matter), and sum w_k lag_k = 1.

    Parameters
    ----------
    lags
        Frames, ascending, at least two, shape (lag,).
    n_frames
        Frames of the trajectory.
    rattle
        Variance of the rattling over that of a step from frame to frame, in one direction: positions are those of the
        walk plus independent noise.
    """
    kept = lags[np.unique(np.linspace(0, len(lags) - 1, min(len(lags), _MOST_LAGS)).round().astype(int))]
    scale = float(kept[-1])
    inverse = np.linalg.pinv(
        _brownian_covariance(tuple(int(n) for n in kept), n_frames, rattle), rcond=1e-10, hermitian=True
    )
    design = np.stack([np.ones(len(kept)), kept / scale], axis=1)
    solved = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse)[1] / scale
    weights = np.zeros(len(lags))
    weights[np.searchsorted(lags, kept)] = solved
    return weights


def relative_variance(weights: Floats, lags: Ints, n_frames: int, rattle: float = 0.0) -> float:
    """Return the variance of a diffusivity divided by its square, for one Brownian walker in three dimensions.

    The diffusivity is sum w_k MSD(lag_k) / 6 with weights such as those of `line_weights`.
    """
    used = weights != 0
    covariance = _brownian_covariance(tuple(int(n) for n in lags[used]), n_frames, rattle)
    return float(weights[used] @ covariance @ weights[used] / 3.0)


@lru_cache(maxsize=64)
def _brownian_covariance(lags: tuple[int, ...], n_frames: int, rattle: float = 0.0) -> Floats:
    """Covariance of the time-averaged squared displacements of a one-dimensional walk with unit steps.

    Two displacements that share v steps have covariance v, and that of the rattling at the ends that they share, so
    their squares have twice its square; this is summed over all pairs of time origins.
    """
    size = len(lags)
    covariance = np.empty((size, size))
    for a, short in enumerate(lags):
        for b, long in enumerate(lags[a:], start=a):
            offset = np.arange(-long, short + 1)
            shared = np.maximum(np.minimum(short, offset + long) - np.maximum(0, offset), 0)
            ends = (offset == 0) * 1.0 + (offset + long == short) - (offset == short) - (offset + long == 0)
            last = np.minimum(n_frames - short, n_frames - long - offset)
            pairs = np.maximum(last - np.maximum(0, -offset), 0)
            total = 2.0 * (pairs * (shared + rattle * ends) ** 2).sum()
            covariance[a, b] = covariance[b, a] = total / ((n_frames - short) * (n_frames - long))
    return covariance


def rattling(msd: MeanSquaredDisplacement, window: FitWindow) -> float:
    """Return the variance of the rattling over that of a step, from the offset at a tenth of the window's start."""
    inside = window.holds(msd.lag_ps)
    lags = msd.lag_frames[inside]
    slope = float(msd.msd_A2[inside] @ line_weights(lags, msd.n_frames))
    if slope <= 0:
        return 0.0
    early = int(np.searchsorted(msd.lag_ps, window.start_ps / 10))
    offset = max(0.0, float(msd.msd_A2[early] - slope * msd.lag_frames[early]))
    return float(f"{offset / (2 * slope):.0e}")  # one digit: covariances are kept for the next curve that is alike


def _log_slope(lag: Floats, per_walker: Floats) -> tuple[float, float]:
    """Exponent b of MSD ~ t^b and its standard error over walkers, from shapes (lag,) and (walker, lag)."""
    curve = per_walker.mean(axis=0)
    if (curve <= 0).any():
        return float("nan"), 0.0
    away = np.log(lag) - np.log(lag).mean()
    weights = away / (away**2).sum()
    shares = (per_walker / curve) @ weights
    error = float(shares.std(ddof=1) / np.sqrt(len(shares))) if len(shares) > 1 else 0.0
    return float(weights @ np.log(curve)), error
