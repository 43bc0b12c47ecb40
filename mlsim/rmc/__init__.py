"""Reverse Monte Carlo: Glass + Measurements → refined glasses with error bars.

`data_set` (a measured curve, prepared for a box) → `refine` (one run) or `refine_ensemble` (many, with and without
data) → `influences` (what the data constrain), `energy_costs` (what the fit costs on a potential).
"""

from mlsim.rmc.bond_valence import BOND_VALENCE_LENGTHS_A, bond_valence_sums
from mlsim.rmc.constraints import CoordinationTarget, coordination_reached
from mlsim.rmc.convergence import Convergence
from mlsim.rmc.data import DataSet, data_set
from mlsim.rmc.ensemble import Ensemble, refine_ensemble
from mlsim.rmc.gradient import misfit_and_gradient
from mlsim.rmc.influence import Influence, influences
from mlsim.rmc.refine import Refined, refine
from mlsim.rmc.relaxation import EnergyCost, energy_costs
from mlsim.rmc.settings import RefineSettings

__all__ = [
    "BOND_VALENCE_LENGTHS_A",
    "Convergence",
    "CoordinationTarget",
    "DataSet",
    "EnergyCost",
    "Ensemble",
    "Influence",
    "RefineSettings",
    "Refined",
    "bond_valence_sums",
    "coordination_reached",
    "data_set",
    "energy_costs",
    "influences",
    "misfit_and_gradient",
    "refine",
    "refine_ensemble",
]
