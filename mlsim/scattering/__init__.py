"""Total scattering of a glass: partials, weights, S(Q) and G_PDF(r).

From distances to data, each step one function:

===============================  ==================================================================
`partial_g_of_r`                 g_ij(r)
`partial_structure_factors`      A_ij(Q), Faber–Ziman
`weights`                        w_ij(Q) = (2 − δ_ij) c_i c_j f_i f_j / <f>²
`weighted_sum`                   S(Q) = 1 + sum w_ij [A_ij − 1]
`g_pdf_of`                       (2/π) ∫_Qmin^Qmax Q [S − 1] M(Q) sin(Qr) dQ, for models and data alike
`total_scattering`               all of it in one call, any `Quantity`
`over_glasses`                   mean and standard error over independent glasses
`smallest_q`                     below which the box says nothing
===============================  ==================================================================
"""

from mlsim.scattering.form_factors import (
    form_factor,
    mean_square_ratio,
    neutron_length,
    scattering_amplitudes,
    weights,
)
from mlsim.scattering.partials import partial_g_of_r, partial_structure_factors, smallest_q
from mlsim.scattering.total import over_glasses, total_scattering, weighted_sum
from mlsim.scattering.transforms import g_pdf_of, window_function

__all__ = [
    "form_factor",
    "g_pdf_of",
    "mean_square_ratio",
    "neutron_length",
    "over_glasses",
    "partial_g_of_r",
    "partial_structure_factors",
    "scattering_amplitudes",
    "smallest_q",
    "total_scattering",
    "weighted_sum",
    "weights",
    "window_function",
]
