"""Conductivity of all ions together, with the cross terms between them.

=============  ============================================================================================
u_a            sum of the displacements of all ions of element a, against the centre of mass of the cell
L_ab           lim d/dt <u_a(t) · u_b(t)> / (6 V k_B T): Onsager coefficients, symmetric
sigma          e² sum_ab z_a z_b L_ab: exact linear response
t_a            z_a sum_b z_b L_ab / sum_ab z_a z_b L_ab: transference number of a in this frame
=============  ============================================================================================

In a glass only the mobile ion moves over long times and sigma is its diagonal term; in a melt anions and cations push
each other and cross terms are large.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import path_products, weighted_path
from mlsim.transport.fit_window import FitWindow, line_weights, relative_variance
from mlsim.transport.over_glasses import error_over_glasses
from mlsim.units import BOLTZMANN_EV_PER_K, MS_CM_PER_S_M, S_M_PER_E2_EV_A_PS

__all__ = ["IonicConductivity", "ionic_conductivity"]

Floats: TypeAlias = NDArray[np.float64]

_MOST_LAGS = 20


@dataclass(frozen=True)
class IonicConductivity:
    """Conductivity of all ions and the share of each pair of elements.

    Attributes
    ----------
    total
        sigma, mS/cm.
    pairs
        e² z_a z_b L_ab (twice that for a ≠ b, so that they add up to the total), mS/cm, by pair of elements.
    transference
        Share of each element, in the frame of the centre of mass; they add up to one.
    """

    total: Estimate
    pairs: Mapping[tuple[str, str], Estimate]
    transference: Mapping[str, float]


def ionic_conductivity(
    trajectories: Sequence[Trajectory],
    charges: Mapping[str, float],
    window: FitWindow,
    *,
    temperature_K: float,
    n_hops: float = math.inf,
) -> IonicConductivity:
    """Return the conductivity of all ions, cross terms included.

    Parameters
    ----------
    trajectories
        Independent glasses at one temperature.
    charges
        Formal charge of every element of the cell, e; the cell must be neutral, so that the frame does not matter.
    window
        Lags of the fit, best that of the charge of the mobile ion (`mlsim.transport.charge_diffusivity`).
    temperature_K
        K.
    n_hops
        Hops that all trajectories hold (`Diffusion.n_hops`): few hops make the walk rougher than a Brownian one.

    Raises
    ------
    DataError
        If an element has no charge, or the cell is not neutral.

    Notes
    -----
    Each trajectory holds one path of each sum, so errors are those of a random walk within a trajectory; over glasses
    see `mlsim.transport.over_glasses`.
    """
    if not trajectories:
        raise DataError("ionic conductivity: no trajectories given")
    if not n_hops > 0:
        raise DataError(f"ionic conductivity: {n_hops:g} hops, expected some")
    elements = tuple(sorted(set(trajectories[0].elements)))
    _check_charges(trajectories[0], elements, charges)
    pairs = list(combinations_with_replacement(elements, 2))
    rough = len(trajectories) / n_hops  # relative variance that single hops add in one trajectory
    found = [_one_glass(t, elements, charges, window, temperature_K, rough) for t in trajectories]
    values = np.array([[glass[0][pair] for pair in pairs] for glass in found])
    errors = np.array([[glass[1][pair] for pair in pairs] for glass in found])
    n = len(found)

    def estimate(value: Floats, error: Floats) -> Estimate:
        return Estimate(float(value.mean()), error_over_glasses(value, error), n, "mS/cm")

    of_pairs = {pair: estimate(values[:, i], errors[:, i]) for i, pair in enumerate(pairs)}
    total = estimate(values.sum(axis=1), np.array([glass[2] for glass in found]))
    whole = total.value or float("nan")
    share = {
        a: sum(of_pairs[pair].value * (1.0 if pair[0] == pair[1] else 0.5) for pair in pairs if a in pair) / whole
        for a in elements
    }
    return IonicConductivity(total, of_pairs, share)


def _check_charges(trajectory: Trajectory, elements: Sequence[str], charges: Mapping[str, float]) -> None:
    missing = [e for e in elements if e not in charges]
    if missing:
        raise DataError(f"ionic conductivity: no charge for {', '.join(missing)}; give one for every element")
    net = sum(charges[e] for e in trajectory.elements)
    if abs(net) > 1e-6 * trajectory.n_atoms:
        raise DataError(f"ionic conductivity: the cell has a net charge of {net:g} e, expected none; check the charges")


def _one_glass(
    trajectory: Trajectory,
    elements: Sequence[str],
    charges: Mapping[str, float],
    window: FitWindow,
    temperature_K: float,
    rough: float,
) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], float], float]:
    """Conductivity of each pair, its error, and the error of the sum, mS/cm."""
    low, high = window.start_ps / trajectory.interval_ps, window.stop_ps / trajectory.interval_ps
    lags = np.unique(np.rint(np.geomspace(low, min(high, (trajectory.n_frames - 1) / 2), _MOST_LAGS)).astype(np.int64))
    weights = line_weights(lags, trajectory.n_frames)
    noise = math.sqrt(relative_variance(weights, lags, trajectory.n_frames) + rough)
    per_slope = S_M_PER_E2_EV_A_PS * MS_CM_PER_S_M / (6 * trajectory.mean_volume * BOLTZMANN_EV_PER_K * temperature_K)
    per_slope /= trajectory.interval_ps
    masses = trajectory.masses
    centre = weighted_path(trajectory, np.arange(trajectory.n_atoms), masses / masses.sum())
    paths = {}
    for e in elements:
        atoms = trajectory.atoms_of(e)
        paths[e] = charges[e] * (weighted_path(trajectory, atoms, np.ones(len(atoms))) - len(atoms) * centre)

    def slope(a: Floats, b: Floats) -> float:
        return float(path_products(a, b, lags) @ weights) * per_slope

    own = {e: abs(slope(paths[e], paths[e])) for e in elements}
    value, error = {}, {}
    for a, b in combinations_with_replacement(elements, 2):
        twice = 1.0 if a == b else 2.0
        value[a, b] = twice * slope(paths[a], paths[b])
        # variance of a product of two correlated Gaussian walks: (L_aa L_bb + L_ab²)/2 in units of that of a square
        error[a, b] = noise * math.sqrt((twice**2 * own[a] * own[b] + value[a, b] ** 2) / 2)
    together = np.sum(list(paths.values()), axis=0)
    return value, error, noise * abs(slope(together, together))
