"""mlsim: amorphous solid electrolytes from composition to conductivity, beside the experiment.

Objects and functions load when first used, so that `import mlsim` stays fast. The potential is apart, because it
alone needs torch: ``from mlsim.potential import load``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlsim.composition import *  # noqa: F403
    from mlsim.curve import *  # noqa: F403
    from mlsim.errors import DataError, Interrupted, MlsimError, NotConverged, SettingsError  # noqa: F401
    from mlsim.io.measurements import read_measurement, write_curve_csv  # noqa: F401
    from mlsim.io.published import published_sample  # noqa: F401
    from mlsim.io.results import read_result  # noqa: F401
    from mlsim.io.structures import read_structure, read_structures, write_structure  # noqa: F401
    from mlsim.io.studies import read_schedule  # noqa: F401
    from mlsim.io.trajectories import TrajectoryRecorder, read_trajectory  # noqa: F401
    from mlsim.melt_quench import *  # noqa: F403
    from mlsim.report import write_report  # noqa: F401
    from mlsim.rmc import *  # noqa: F403
    from mlsim.scattering import *  # noqa: F403
    from mlsim.study import StudySettings, read_study, run_quench_series, run_study  # noqa: F401
    from mlsim.topology import *  # noqa: F403
    from mlsim.trajectory import *  # noqa: F403
    from mlsim.transport import *  # noqa: F403

__version__ = "0.1.0"

# module: the names that it gives to `import mlsim`; a test holds this list against the modules' own
_NAMES = {
    "composition": "Composition oxyhalide_series",
    "curve": "Curve Estimate Measurement Quantity chi_squared estimate_over weighted_profile_r",
    "errors": "DataError Interrupted MlsimError NotConverged SettingsError",
    "io.measurements": "read_measurement write_curve_csv",
    "io.published": "published_sample",
    "io.results": "read_result",
    "io.structures": "read_structure read_structures write_structure",
    "io.studies": "read_schedule",
    "io.trajectories": "TrajectoryRecorder read_trajectory",
    "melt_quench": "BatchDynamics ElementMemory Frame FrameRecorder Glass GlassTransition Limits Moment QuenchCurve "
    "Replica RocksaltDomains Schedule Segment ThermoLog default_minimum_distances glass_transition hold_schedule "
    "melt_memory pack production_schedule quench_curve quick_schedule rocksalt_domains run_batch run_schedule",
    "report": "write_report",
    "rmc": "BOND_VALENCE_LENGTHS_A Convergence CoordinationTarget DataSet EnergyCost Ensemble Influence RefineSettings "
    "Refined bond_valence_sums data_set energy_costs influences misfit_and_gradient refine refine_ensemble",
    "scattering": "CurveFit Identification Instrument Probe anomalous_terms box_truncated converted fitted_curve "
    "form_factor g_pdf_of identified mean_length_squared mean_square_ratio neutron_length over_glasses "
    "partial_contributions partial_g_of_r partial_structure_factors peak_position peak_positions "
    "qi_of_q_of running_coordination scattering_amplitudes smallest_q total_scattering weighted_sum "
    "weights window_function",
    "study": "StudySettings read_study run_quench_series run_study",
    "topology": "BondCutoff Bonds Topology bond_angles bond_counting bond_cutoffs bonds_of chosen_cutoffs clusters_of "
    "counted_pairs counting_method cutoff_effects estimates_over_glasses implied_coordination "
    "linked_centres links_between neighbour_counts polyhedra_of rings_of roles_of topology_of",
    "trajectory": "Trajectory",
    "transport": "ArrheniusFit Diffusion Drift FitWindow HOP_LENGTH_A HopStatistics Hops Interval "
    "IonicConductivity MeanSquaredDisplacement Percolation ROOM_TEMPERATURE_K SurroundingsMobility "
    "VanHove Vibrations Vogel ageing anion_counts arrhenius attempt_frequency carriers_per_A3 "
    "charge_diffusivity charge_displacement conductivity conductivity_nernst_einstein diffusivities "
    "diffusivity equilibrated equilibration_frame fastest_in_framework framework_diffusivities framework_undecided "
    "harmonic_vibrations haven_ratio hop_statistics "
    "hops_of ion_density ionic_conductivity liquid_reason liquids_to_leave_out mean_squared_displacement "
    "mobility_by_surroundings "
    "non_gaussian_parameter percolating_directions percolation tracer_and_charge van_hove vibrations",
}
_HOMES = {name: f"mlsim.{module}" for module, names in _NAMES.items() for name in names.split()}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mlsim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
