"""What glasses add to the error of the Arrhenius line: a glass that is fast at one temperature is fast at the others.

Each glass has a line of its own. What their lines differ by beyond the errors within the glasses, in ln D at the middle
of the temperatures, in ln D at room temperature and in Ea (`mlsim.transport.over_glasses` for each), is the covariance
that the mean of the lines has besides the errors of the single points.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.transport.diffusion import Diffusion
from mlsim.transport.over_glasses import error_over_glasses, variance_between

__all__ = ["GlassLines", "glass_lines"]

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GlassLines:
    """Diffusivities of the same glasses at several temperatures.

    Attributes
    ----------
    ln_d
        ln D (D in cm²/s), shape (point, glass).
    errors
        Errors within a glass of ln D, root mean square over glasses, shape (point,).
    errors_of_mean
        Errors of ln of the mean over glasses but for what the glasses differ by, shape (point,).
    """

    ln_d: Floats
    errors: Floats
    errors_of_mean: Floats

    def covariance_between(self, line: Floats, beta: Floats, room_beta: float) -> Floats:
        """Return the covariance of ln D0 and Ea of the mean line that comes from differences between glasses.

        Parameters
        ----------
        line
            Matrix that turns ln D of the points into ln D0 and Ea, shape (2, point).
        beta, room_beta
            1/(k_B T) of the points and of room temperature, 1/eV.
        """
        lines = (line @ self.ln_d).T
        within = (line * self.errors**2) @ line.T
        middle, away = float(beta.mean()), room_beta - float(beta.mean())

        def between(direction: tuple[float, float], scale: float) -> float:
            d = np.array(direction)
            own = np.full(len(lines), math.sqrt(float(d @ within @ d)))
            return variance_between(lines @ d, own, scale) / len(lines)

        here, room = between((1.0, -middle), 1.0), between((1.0, -room_beta), 1.0)
        slope = between((0.0, 1.0), 1.0 / middle)  # a barrier that makes ln D differ as much as it usually does
        # Var(here − away Ea) = Var(room) gives how both go together, as far as a covariance can
        most = math.sqrt(here * slope)
        mixed = min(most, max(-most, (here + away**2 * slope - room) / (2 * away)))
        to_line = np.array([[1.0, middle], [0.0, 1.0]])
        return np.asarray(to_line @ np.array([[here, mixed], [mixed, slope]]) @ to_line.T)


def glass_lines(points: Sequence[Diffusion]) -> GlassLines | None:
    """Return what the glasses say; None if they are fewer than two, not equally many everywhere, or without errors."""
    counts = {len(p.per_glass_cm2_s) for p in points}
    if len(counts) != 1 or min(counts) < 2:
        return None
    value = np.array([p.per_glass_cm2_s for p in points])
    error = np.array([p.per_glass_error_cm2_s for p in points])
    if (value <= 0).any() or (error <= 0).any():
        return None
    mean = value.mean(axis=1)
    within = (error**2).mean(axis=1)
    together = np.array([error_over_glasses(v, e) for v, e in zip(value, error, strict=True)])
    claimed = np.array([p.diffusivity.standard_error or 0.0 for p in points])
    # what hops that are not forgotten may add; taken as independent at each temperature, though of one sign
    bend = np.maximum(claimed**2 - together**2, 0.0)
    of_mean = within / value.shape[1] + bend
    return GlassLines(np.log(value), np.sqrt(within) / mean, np.sqrt(of_mean) / mean)
