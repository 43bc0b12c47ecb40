r"""How often the intervals of D at 298 K hold the truth, for a few glasses that differ in D and in barrier.

    python benchmarks/interval_coverage.py

Sets of glasses at 450, 525, 600 and 700 K along 0.3 eV; errors of ln D within a glass of 0.13, 0.08, 0.055 and 0.04,
about those of the shipped series. Glasses differ in ln D at all temperatures and in Ea by the given standard
deviations; barriers of single glasses of the shipped series scatter by 0.02 to 0.04 eV, their own errors included.
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from mlsim.curve import Estimate
from mlsim.transport import ArrheniusFit, Diffusion, arrhenius
from mlsim.transport.arrhenius import ONE_SIGMA, ROOM_TEMPERATURE_K
from mlsim.transport.over_glasses import error_over_glasses
from mlsim.units import BOLTZMANN_EV_PER_K

_BARRIER_EV, _MIDDLE_K = 0.3, 560.0
_POINTS = ((450.0, 0.13), (525.0, 0.08), (600.0, 0.055), (700.0, 0.04))
_CASES = (  # glasses, spread of ln D, spread of Ea (eV)
    (4, 0.0, 0.0),
    (4, 0.15, 0.0),
    (4, 0.15, 0.01),
    (4, 0.15, 0.02),
    (4, 0.3, 0.02),
    (4, 0.07, 0.03),
    (4, 0.07, 0.04),
    (3, 0.15, 0.01),
    (2, 0.15, 0.01),
)


def _ln_d(temperature_K: float, shift: float | np.ndarray = 0.0, barrier: float | np.ndarray = 0.0) -> np.ndarray:
    """Return ln D of glasses whose lines are moved and turned about the middle of the temperatures."""
    away = 1 / temperature_K - 1 / _MIDDLE_K
    return math.log(1e-3) + shift - (_BARRIER_EV / temperature_K + barrier * away) / BOLTZMANN_EV_PER_K


def fit_of_a_set(rng: np.random.Generator, n: int, spread: float, barrier_spread: float) -> ArrheniusFit:
    """Draw glasses and what one run of each says at each temperature, and fit the line."""
    shift, barrier = rng.normal(0, spread, n), rng.normal(0, barrier_spread, n)
    points = []
    for kelvin, within in _POINTS:
        values = np.exp(_ln_d(kelvin, shift, barrier) + rng.normal(0, within, n))
        errors = within * values
        mean = Estimate(float(values.mean()), error_over_glasses(values, errors), n, "cm2/s")
        told = (tuple(values), tuple(errors), None)
        points.append(Diffusion("Li", kelvin, mean, True, None, None, "", *told, n_hops=1e4))
    return arrhenius(points, seed=int(rng.integers(2**31)))


def main() -> None:
    """Print the share of the intervals that hold the truth."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1500)
    sets = parser.parse_args().sets
    truth = float(np.exp(_ln_d(ROOM_TEMPERATURE_K)))
    print("| glasses | spread of ln D | spread of Ea / eV | in the 68 % interval | in the 95 % interval |")
    print("|---|---|---|---|---|")
    for n, spread, barrier_spread in _CASES:
        rng = np.random.default_rng(7)
        inside = dict.fromkeys((ONE_SIGMA, 0.95), 0)
        for _ in range(sets):
            fit = fit_of_a_set(rng, n, spread, barrier_spread)
            for level in inside:
                interval = fit.diffusivity_interval(ROOM_TEMPERATURE_K, level)
                inside[level] += interval.low <= truth <= interval.high
        shares = " | ".join(f"{100 * count / sets:.1f} %" for count in inside.values())
        print(f"| {n} | {spread:g} | {barrier_spread:g} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
