"""Does ln D bend? The straight Arrhenius line against the Vogel–Fulcher–Tammann curve, by likelihood.

ln D(T) = ln D0 − B / [k_B (T − T0)]; T0 = 0 is the Arrhenius line with Ea = B.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.units import BOLTZMANN_EV_PER_K

__all__ = ["FEWEST_POINTS", "HIGHEST_T0_K", "PRIOR", "Vogel", "vogel"]

Floats: TypeAlias = NDArray[np.float64]

HIGHEST_T0_K = 250.0
"""Below room temperature: the ions of a solid electrolyte move there, and D(T) ends at T0."""

PRIOR = 0.05
"""Probability of a bent line before looking: below the glass transition ions of a glass follow straight lines, and four
points over 150 K say little; equal odds would make every interval at room temperature a guess about T0."""

FEWEST_POINTS = 4
_GRID = 51


@dataclass(frozen=True, eq=False)
class Vogel:
    """The Vogel–Fulcher–Tammann curve beside the Arrhenius line.

    Attributes
    ----------
    probability
        Of the curve against the line: prior odds of `PRIOR` times the mean likelihood over T0 between 0 and
        `HIGHEST_T0_K` over the likelihood of the line.
    t0_K
        Most likely T0, K.
    improvement
        Fall of chi² from the line to the best curve (one parameter more).
    draws
        ln D0 (D0 in cm²/s), B (eV) and T0 (K) of curves that the errors allow, shape (draw, 3).
    """

    probability: float
    t0_K: float
    improvement: float
    draws: Floats


def vogel(temperatures_K: Floats, ln_d: Floats, sigma: Floats, draws: int, rng: np.random.Generator) -> Vogel:
    """Return the comparison for points of ln D with standard errors, arrays of shape (point,), at least four.

    T0 is drawn by its likelihood on a grid, the other two parameters from the line that belongs to it; B is positive.
    """
    grid = np.linspace(0.0, min(HIGHEST_T0_K, 0.9 * float(temperatures_K.min())), _GRID)
    weight = sigma**-2
    x = 1.0 / (BOLTZMANN_EV_PER_K * (temperatures_K[None, :] - grid[:, None]))
    mean_x, mean_y = (x @ weight) / weight.sum(), float(weight @ ln_d) / weight.sum()
    away = x - mean_x[:, None]
    spread = (away**2) @ weight
    slope = -((away * (ln_d - mean_y)) @ weight) / spread
    residual = ln_d - mean_y + slope[:, None] * away
    chi2 = (residual**2) @ weight
    likelihood = np.exp(-(chi2 - chi2.min()) / 2)
    evidence = PRIOR * float(likelihood.mean())
    probability = evidence / (evidence + (1 - PRIOR) * float(likelihood[0]))
    picked = rng.choice(_GRID, draws, p=likelihood / likelihood.sum())
    b = np.abs(slope[picked] + rng.standard_normal(draws) / np.sqrt(spread[picked]))
    middle = mean_y + rng.standard_normal(draws) / np.sqrt(weight.sum())
    sample = np.stack([middle + b * mean_x[picked], b, grid[picked]], axis=1)
    return Vogel(probability, float(grid[int(np.argmin(chi2))]), float(chi2[0] - chi2.min()), sample)
