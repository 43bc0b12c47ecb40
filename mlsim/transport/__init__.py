"""Ion transport: displacement, diffusivity, conductivity, Arrhenius, and how the ions move."""

from mlsim.transport.arrhenius import ROOM_TEMPERATURE_K, ArrheniusFit, Interval, arrhenius
from mlsim.transport.channels import Percolation, ion_density, percolating_directions, percolation
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
from mlsim.transport.framework import (
    fastest_in_framework,
    framework_diffusivities,
    framework_undecided,
    liquid_reason,
    liquids_to_leave_out,
)
from mlsim.transport.hops import Hops, HopStatistics, hop_statistics, hops_of
from mlsim.transport.onsager import IonicConductivity, ionic_conductivity
from mlsim.transport.phonons import harmonic_vibrations
from mlsim.transport.surroundings import SurroundingsMobility, anion_counts, mobility_by_surroundings
from mlsim.transport.van_hove import VanHove, non_gaussian_parameter, van_hove
from mlsim.transport.vibrations import Vibrations, attempt_frequency, vibrations
from mlsim.transport.vogel import Vogel

__all__ = [
    "HOP_LENGTH_A",
    "ROOM_TEMPERATURE_K",
    "ArrheniusFit",
    "Diffusion",
    "Drift",
    "FitWindow",
    "HopStatistics",
    "Hops",
    "Interval",
    "IonicConductivity",
    "MeanSquaredDisplacement",
    "Percolation",
    "SurroundingsMobility",
    "VanHove",
    "Vibrations",
    "Vogel",
    "ageing",
    "anion_counts",
    "arrhenius",
    "attempt_frequency",
    "carriers_per_A3",
    "charge_diffusivity",
    "charge_displacement",
    "conductivity",
    "conductivity_nernst_einstein",
    "diffusivities",
    "diffusivity",
    "equilibrated",
    "equilibration_frame",
    "fastest_in_framework",
    "framework_diffusivities",
    "framework_undecided",
    "harmonic_vibrations",
    "haven_ratio",
    "hop_statistics",
    "hops_of",
    "ion_density",
    "ionic_conductivity",
    "liquid_reason",
    "liquids_to_leave_out",
    "mean_squared_displacement",
    "mobility_by_surroundings",
    "non_gaussian_parameter",
    "percolating_directions",
    "percolation",
    "tracer_and_charge",
    "van_hove",
    "vibrations",
]
