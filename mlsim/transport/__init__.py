"""Ion transport: displacement, diffusivity, conductivity, Arrhenius, and how the ions move."""

from mlsim.transport.arrhenius import ROOM_TEMPERATURE_K, ArrheniusFit, Interval, arrhenius
from mlsim.transport.conductivity import (
    carriers_per_A3,
    charge_diffusivity,
    conductivity,
    conductivity_nernst_einstein,
    haven_ratio,
)
from mlsim.transport.diffusion import HOP_LENGTH_A, Diffusion, diffusivities, diffusivity
from mlsim.transport.displacement import (
    Drift,
    MeanSquaredDisplacement,
    charge_displacement,
    mean_squared_displacement,
    tracer_and_charge,
)
from mlsim.transport.equilibration import ageing, equilibrated, equilibration_frame
from mlsim.transport.fit_window import FitWindow
from mlsim.transport.onsager import IonicConductivity, ionic_conductivity
from mlsim.transport.vogel import Vogel

__all__ = [
    "HOP_LENGTH_A",
    "ROOM_TEMPERATURE_K",
    "ArrheniusFit",
    "Diffusion",
    "Drift",
    "FitWindow",
    "Interval",
    "IonicConductivity",
    "MeanSquaredDisplacement",
    "Vogel",
    "ageing",
    "arrhenius",
    "carriers_per_A3",
    "charge_diffusivity",
    "charge_displacement",
    "conductivity",
    "conductivity_nernst_einstein",
    "diffusivities",
    "diffusivity",
    "equilibrated",
    "equilibration_frame",
    "haven_ratio",
    "ionic_conductivity",
    "mean_squared_displacement",
    "tracer_and_charge",
]
