"""When a run has settled, and whether its ions still slow down.

Two different questions. The potential energy settles within some ps of a change of temperature; what comes before is
cut. Ageing goes on: a glass that was heated keeps finding deeper minima for as long as one can simulate, and its ions
slow down with them. It is measured, as the diffusivity of the second half of a run over that of the first, and said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.diffusion import HOP_LENGTH_A, Diffusion
from mlsim.transport.displacement import mean_squared_displacement
from mlsim.transport.fit_window import diffusive_window, line_weights
from mlsim.transport.over_glasses import error_over_glasses

__all__ = [
    "ageing",
    "equilibrated",
    "equilibration_frame",
    "has_settled",
    "settling_share",
    "statistical_inefficiency",
]

Floats: TypeAlias = NDArray[np.float64]

_CANDIDATES = 40
_LATEST = 0.5
_SETTLED_BY = 0.25
_FEWEST_LAGS = 3
_SURE = 2.0


def statistical_inefficiency(series: ArrayLike) -> float:
    r"""Return how many values of a series in equilibrium count as one independent value.

    .. math:: g = 1 + 2 \sum_{t \geq 1} (1 - t/n) C(t) / C(0)

    The sum ends where the autocorrelation C first becomes negative.

    Examples
    --------
    >>> statistical_inefficiency([1.0, -1.0] * 50)
    1.0
    """
    values = np.asarray(series, dtype=float)
    n = len(values)
    away = values - values.mean()
    variance = float((away**2).mean())
    if n < 2 or variance <= 1e-300:
        return 1.0
    spectrum = fft.rfft(away, n=fft.next_fast_len(2 * n, real=True))
    products = fft.irfft(np.abs(spectrum) ** 2, n=fft.next_fast_len(2 * n, real=True))[:n]
    correlation = products / (n - np.arange(n)) / variance
    negative = np.flatnonzero(correlation < 0)
    end = int(negative[0]) if len(negative) else n
    lags = np.arange(1, end)
    return float(max(1.0, 1.0 + 2.0 * ((1.0 - lags / n) * correlation[1:end]).sum()))


def equilibration_frame(series: ArrayLike) -> int:
    """Return the frame from which on a series is in equilibrium.

    The earliest frame after which the first fifth of the rest has the mean of the last half, within twice the standard
    error of the difference (J. Geweke's test, doi:10.21034/sr.148; errors by `statistical_inefficiency` of the last
    half). By chance alone one settled run in twenty is cut, one in six where the energy wanders for a twentieth of the
    run: that costs some length, while a drift that is left in costs the truth. Frames up to the middle are tried: a
    series that settles later than that is too short.
    """
    values = np.asarray(series, dtype=float)
    n = len(values)
    if values.ndim != 1 or n < 2 or not np.isfinite(values).all():
        raise DataError(f"equilibration: series of shape {values.shape}, expected finite numbers, one per frame")
    starts = np.unique(np.linspace(0, _LATEST * n, _CANDIDATES).astype(int))
    late = values[n // 2 :]
    variance, g = float(late.var()), statistical_inefficiency(late)
    for start in starts:
        first = values[start : start + max(1, (n - start) // 5)]
        error = math.sqrt(variance * g * (1 / len(first) + 1 / len(late)))
        if abs(first.mean() - late.mean()) <= _SURE * error:
            return int(start)
    return int(starts[-1])


def equilibrated(trajectory: Trajectory) -> tuple[Trajectory, str]:
    """Return a trajectory without the frames before its potential energy has settled, and a sentence about it.

    Where the trajectory carries no energies nothing is cut, and the sentence says so.
    """
    if trajectory.potential_energy_eV is None:
        return trajectory, "equilibration not tested: the trajectory carries no energies"
    start = equilibration_frame(trajectory.potential_energy_eV)
    if start == 0:
        return trajectory, "potential energy in equilibrium from the first frame on"
    cut = trajectory.between(start, trajectory.n_frames)
    return cut, f"the first {start * trajectory.interval_ps:.3g} ps cut, where the potential energy settles"


def settling_share(trajectory: Trajectory) -> float | None:
    """Return the share of a run, 0 to 0.5, before its potential energy has settled; None without energies."""
    if trajectory.potential_energy_eV is None:
        return None
    return equilibration_frame(trajectory.potential_energy_eV) / trajectory.n_frames


def has_settled(share: float) -> bool:
    """Whether an energy that takes this share of its run to settle is known to have settled at all.

    A drift that goes on to the end raises the scatter of the last half, so that the test passes between a quarter of
    the run and its half; of settled runs one in twenty-five at most is cut so late.

    Examples
    --------
    >>> has_settled(0.2), has_settled(0.44)
    (True, False)
    """
    return share < _SETTLED_BY


def ageing(
    trajectories: Sequence[Trajectory], diffusion: Diffusion, *, hop_length_A: float = HOP_LENGTH_A
) -> Estimate | None:
    """Return D of the second half of the runs over D of the first, same window; None where halves are too short.

    Below one: ions slow down while the glass relaxes (ageing), or the run began in a faster state. The window starts
    where motion becomes diffusive: the memory of hops that it holds is that of both halves. One over a number with the
    relative error e is too large by e² on average, which is taken off.

    Parameters
    ----------
    trajectories
        Those that `diffusion` was taken from.
    diffusion
        Tracer diffusivity of one element, of at least two ions.
    hop_length_A
        As for `diffusion`.
    """
    reference = diffusion.msd
    window, _ = diffusive_window(reference, hop_length_A=hop_length_A)
    if window is None or reference.n_ions < 2 or not diffusion.diffusive:
        return None
    half = min(t.n_frames for t in trajectories) // 2
    lags = reference.lag_frames[window.holds(reference.lag_ps)]
    lags = lags[lags < 0.75 * half]
    if len(lags) < _FEWEST_LAGS or lags[-1] < 2 * lags[0]:
        return None
    weights = line_weights(lags, half)
    drift = reference.drift
    first: list[Floats] = []
    second: list[Floats] = []
    for t in trajectories:
        for part, found in ((t.between(0, half), first), (t.between(half, 2 * half), second)):
            curve = mean_squared_displacement(part, diffusion.label, drift=drift, lags=lags)  # type: ignore[arg-type]
            found.append(curve.per_walker_A2 @ weights)
    scale = float(np.mean([d.mean() for d in first]))
    if scale <= 0:
        return None
    ratio = float(np.mean([d.mean() for d in second])) / scale
    rest = [late - ratio * early for early, late in zip(first, second, strict=True)]
    within = np.array([float(r.std(ddof=1)) / math.sqrt(len(r)) for r in rest])
    spread = error_over_glasses(np.array([float(r.mean()) for r in rest]), within, scale) / scale
    error_of_first = error_over_glasses(
        np.array([float(d.mean()) for d in first]), np.array([float(d.std(ddof=1)) / math.sqrt(len(d)) for d in first])
    )
    unbiased = 1 / (1 + (error_of_first / scale) ** 2)
    return Estimate(ratio * unbiased, spread * unbiased, len(trajectories), "1")
