"""Total scattering of a glass: partials, weights, S(Q) and G_PDF(r), and what is measured.

From distances to data, each step one function:

===============================  ==================================================================
`partial_g_of_r`                 g_ij(r)
`partial_structure_factors`      A_ij(Q), Faber–Ziman
`Probe`                          X-rays or neutrons; ions, isotopes, anomalous terms
`weights`                        w_ij(Q) = (2 − δ_ij) c_i c_j f_i f_j / <f>²
`weighted_sum`                   S(Q) = 1 + sum w_ij [A_ij − 1]
`g_pdf_of`                       (2/π) ∫_Qmin^Qmax Q [S − 1] M(Q) sin(Qr) dQ, for models and data alike
`qi_of_q_of`                     the way back
`total_scattering`               all of it in one call, any `Quantity`
`partial_contributions`          what each pair of elements adds to the total
`Instrument`                     Qdamp and Qbroad
`converted`                      any quantity into any other
`box_truncated`                  what a box shows of S(Q), for models and data alike
`identified`                     which function a measured curve is, with the evidence
`fitted_curve`                   a measured curve beside glasses: Rw, χ², bounded nuisance parameters
`peak_positions`                 over independent glasses, as `running_coordination`
`over_glasses`                   mean and standard error over independent glasses
`smallest_q`                     below which the box says nothing
===============================  ==================================================================
"""

from mlsim.scattering.conversions import converted
from mlsim.scattering.fit import CurveFit, fitted_curve
from mlsim.scattering.form_factors import (
    form_factor,
    mean_length_squared,
    mean_square_ratio,
    neutron_length,
    scattering_amplitudes,
    weights,
)
from mlsim.scattering.identify import Identification, identified
from mlsim.scattering.instrument import Instrument
from mlsim.scattering.partials import partial_g_of_r, partial_structure_factors, smallest_q
from mlsim.scattering.probe import Probe, anomalous_terms
from mlsim.scattering.shells import peak_position, peak_positions, running_coordination
from mlsim.scattering.total import over_glasses, partial_contributions, total_scattering, weighted_sum
from mlsim.scattering.transforms import box_truncated, g_pdf_of, qi_of_q_of, window_function

__all__ = [
    "CurveFit",
    "Identification",
    "Instrument",
    "Probe",
    "anomalous_terms",
    "box_truncated",
    "converted",
    "fitted_curve",
    "form_factor",
    "g_pdf_of",
    "identified",
    "mean_length_squared",
    "mean_square_ratio",
    "neutron_length",
    "over_glasses",
    "partial_contributions",
    "partial_g_of_r",
    "partial_structure_factors",
    "peak_position",
    "peak_positions",
    "qi_of_q_of",
    "running_coordination",
    "scattering_amplitudes",
    "smallest_q",
    "total_scattering",
    "weighted_sum",
    "weights",
    "window_function",
]
