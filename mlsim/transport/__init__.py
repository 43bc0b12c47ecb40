"""Ion transport: displacement, diffusivity, conductivity, Arrhenius."""

from mlsim.transport.arrhenius import ROOM_TEMPERATURE_K, ArrheniusFit, Interval, arrhenius
from mlsim.transport.conductivity import (
    carriers_per_A3,
    charge_diffusivity,
    conductivity,
    conductivity_nernst_einstein,
    haven_ratio,
)
from mlsim.transport.diffusion import HOP_LENGTH_A, Diffusion, diffusivity
from mlsim.transport.displacement import (
    Drift,
    MeanSquaredDisplacement,
    charge_displacement,
    mean_squared_displacement,
)
from mlsim.transport.fit_window import FitWindow

__all__ = [
    "HOP_LENGTH_A",
    "ROOM_TEMPERATURE_K",
    "ArrheniusFit",
    "Diffusion",
    "Drift",
    "FitWindow",
    "Interval",
    "MeanSquaredDisplacement",
    "arrhenius",
    "carriers_per_A3",
    "charge_diffusivity",
    "charge_displacement",
    "conductivity",
    "conductivity_nernst_einstein",
    "diffusivity",
    "haven_ratio",
    "mean_squared_displacement",
]
