"""Ionic conductivity from diffusivities, and the Haven ratio.

=====================  ====================================================================================
Nernst–Einstein        sigma = n z² e² D / (k_B T), D of single ions: as if they moved independently
Einstein (collective)  sigma = n z² e² D_sigma / (k_B T), D_sigma from the displacement of all charge: exact
Haven ratio            H = D / D_sigma; below 1 where ions push each other along
=====================  ====================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mlsim.curve import Estimate
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.diffusion import HOP_LENGTH_A, Diffusion, diffusivities
from mlsim.transport.displacement import Drift
from mlsim.transport.over_glasses import error_over_glasses
from mlsim.units import BOLTZMANN_EV_PER_K, CM2_S_PER_A2_PS, MS_CM_PER_S_M, S_M_PER_E2_EV_A_PS

__all__ = [
    "carriers_per_A3",
    "charge_diffusivity",
    "conductivity",
    "conductivity_nernst_einstein",
    "haven_ratio",
]


def conductivity_nernst_einstein(
    diffusivity_cm2_s: float, temperature_K: float, carriers_per_A3: float, charge: float = 1
) -> float:
    """Return sigma = n z² e² D / (k_B T) in mS/cm.

    Parameters
    ----------
    diffusivity_cm2_s
        Of single ions (Nernst–Einstein), or of the charge (then sigma is exact), cm²/s.
    temperature_K
        K.
    carriers_per_A3
        Number density of the ions, 1/Å3.
    charge
        Charge of an ion, e.

    Examples
    --------
    >>> round(conductivity_nernst_einstein(1e-8, 298.15, 0.013), 4)
    0.8107
    """
    for name, value in (("temperature_K", temperature_K), ("carriers_per_A3", carriers_per_A3)):
        if not (math.isfinite(value) and value > 0):
            raise DataError(f"conductivity: {name} = {value}, expected a positive number")
    if not (math.isfinite(charge) and charge):
        raise DataError(f"conductivity: charge = {charge}, expected a number other than 0")
    per_volume = carriers_per_A3 * charge**2 * diffusivity_cm2_s / CM2_S_PER_A2_PS  # e²/(Å ps)
    return per_volume / (BOLTZMANN_EV_PER_K * temperature_K) * S_M_PER_E2_EV_A_PS * MS_CM_PER_S_M


def conductivity(diffusion: Diffusion, carriers_per_A3: float, charge: float = 1) -> Estimate:
    """Return the conductivity in mS/cm that belongs to a diffusivity, with its error.

    By Nernst–Einstein for the diffusivity of an element, exact for that of the charge. Where the diffusivity is an
    upper bound, so is this, without an error.
    """
    factor = conductivity_nernst_einstein(1.0, diffusion.temperature_K, carriers_per_A3, charge)
    d = diffusion.diffusivity
    error = None if d.standard_error is None else factor * d.standard_error
    return Estimate(factor * d.value, error, d.n_independent, "mS/cm")


def carriers_per_A3(trajectories: Sequence[Trajectory], element: str) -> float:
    """Return the number density of an element, 1/Å3, at the mean volume of the trajectories."""
    if not trajectories:
        raise DataError("number density: no trajectories given")
    return float(np.mean([len(t.atoms_of(element)) / t.mean_volume for t in trajectories]))


def charge_diffusivity(
    trajectories: Sequence[Trajectory],
    element: str,
    *,
    drift: Drift = "auto",
    temperature_K: float | None = None,
    hop_length_A: float = HOP_LENGTH_A,
) -> Diffusion:
    r"""Return the diffusivity D_sigma of the charge that the ions of one element carry together.

    .. math:: D_\sigma = \lim_{t\to\infty} \frac{1}{6 N} \frac{d}{dt} \langle |\sum_i [u_i(t) - u_i(0)]|^2 \rangle

    Parameters
    ----------
    trajectories, element, drift, temperature_K, hop_length_A
        As for `diffusivity`; window and correction are described at `diffusivities`.

    Notes
    -----
    One trajectory holds one path of the charge: a single run gives D_sigma to 15–30 % at best. Pool glasses, and take
    it with the tracer's from `diffusivities`, which reads the trajectories once.
    """
    found = diffusivities(trajectories, element, drift=drift, temperature_K=temperature_K, hop_length_A=hop_length_A)
    return found[1]


def haven_ratio(tracer: Diffusion, charge: Diffusion) -> Estimate | None:
    """Return H = D / D_sigma, or None where either is not a number but a bound.

    Parameters
    ----------
    tracer, charge
        Both from `diffusivities`.

    Notes
    -----
    Nearly all of its error is that of D_sigma. What makes a glass faster than the others changes both and drops out:
    over glasses the error is that of D_g − H D_sigma,g, and of the correction of D_sigma. One over a number with the
    relative error e is too large by e² on average, which is taken off.
    """
    if not (tracer.diffusive and charge.diffusive):
        return None
    d, d_sigma = tracer.diffusivity, charge.diffusivity
    ratio = d.value / d_sigma.value
    own, collective = np.array(tracer.per_glass_cm2_s), np.array(charge.per_glass_cm2_s)
    own_error, collective_error = np.array(tracer.per_glass_error_cm2_s), np.array(charge.per_glass_error_cm2_s)
    if len(own) > 1:
        rest = error_over_glasses(own - ratio * collective, np.hypot(own_error, ratio * collective_error), d.value)
        relative = math.hypot(rest / d.value, 1 - charge.correction)
    else:
        relative = math.hypot(d.standard_error or 0.0, ratio * (d_sigma.standard_error or 0.0)) / d.value
    unbiased = ratio / (1.0 + relative**2)
    return Estimate(unbiased, unbiased * relative, d.n_independent, "1")
