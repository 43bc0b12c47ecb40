"""A published conductivity on the scale of our diffusivities."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlsim.io.published import PublishedSample
from mlsim.io.series import Line
from mlsim.units import BOLTZMANN_EV_PER_K

__all__ = ["PublishedDiffusivity", "published_diffusivities"]


@dataclass(frozen=True)
class PublishedDiffusivity:
    """A published conductivity as the diffusivity that it means by Nernst–Einstein with a Haven ratio of one.

    Attributes
    ----------
    temperature_K, conductivity_mS_cm, method, doi
        As published.
    diffusivity_cm2_s, standard_error_cm2_s
        D = σ k T / (n e²), cm²/s; the error is that of the conductivity.
    activation_energy_eV
        As published, eV; None when it is not.
    line
        x = T in K, y = D in cm²/s: D(T) with that slope through the point; None without an activation energy.
    """

    temperature_K: float
    conductivity_mS_cm: float
    method: str
    doi: str
    diffusivity_cm2_s: float
    standard_error_cm2_s: float | None
    activation_energy_eV: float | None
    line: Line | None


def published_diffusivities(
    sample: PublishedSample | None, carriers_per_A3: float | None, hottest_K: float
) -> PublishedDiffusivity | None:
    """Return the published conductivity near room temperature as a diffusivity, or None when it cannot be given.

    Parameters
    ----------
    sample
        What is published about the composition.
    carriers_per_A3
        Number density n of the mobile ion, 1/Å3.
    hottest_K
        Temperature to which the line with the published activation energy is drawn, K.
    """
    from mlsim.transport.conductivity import conductivity_nernst_einstein

    if sample is None or carriers_per_A3 is None:
        return None
    conductivity, barrier = sample.value("conductivity_298K_mS_cm"), sample.value("activation_energy_eV")
    if conductivity is None:
        return None
    temperature = conductivity.temperature_K or 298.15
    per_diffusivity = conductivity_nernst_einstein(1.0, temperature, carriers_per_A3)
    diffusivity = conductivity.value / per_diffusivity
    error = conductivity.standard_error
    line = None
    if barrier is not None and hottest_K > temperature:
        inverse = np.linspace(1 / temperature, 1 / hottest_K, 40)
        values = diffusivity * np.exp(-barrier.value / BOLTZMANN_EV_PER_K * (inverse - 1 / temperature))
        line = Line.model_validate({"x": 1 / inverse, "y": values})
    return PublishedDiffusivity(
        temperature_K=temperature,
        conductivity_mS_cm=conductivity.value,
        method=conductivity.method,
        doi=sample.source.doi,
        diffusivity_cm2_s=diffusivity,
        standard_error_cm2_s=None if error is None or not math.isfinite(error) else error / per_diffusivity,
        activation_energy_eV=None if barrier is None else barrier.value,
        line=line,
    )
