"""Internal units and the only conversion factors of the package.

Inside mlsim: length Å, time ps, energy eV, mass u, temperature K, charge e. ASE's own time unit is
10.18 fs and its velocities are in sqrt(eV/u); `ASE_TIME_PER_PS` and `ASE_TIME_PER_FS` lead there.
Constants: CODATA 2018 (exact since the SI revision of 2019 for e, k_B and N_A).
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "ASE_TIME_PER_FS",
    "ASE_TIME_PER_PS",
    "BAR_PER_GPA",
    "BOLTZMANN_EV_PER_K",
    "CM2_S_PER_A2_PS",
    "COULOMB_CONSTANT_EV_A",
    "ELEMENTARY_CHARGE_C",
    "EV_PER_A3_PER_GPA",
    "GPA_PER_EV_A3",
    "G_CM3_PER_U_A3",
    "MS_CM_PER_S_M",
    "S_M_PER_E2_EV_A_PS",
]

BOLTZMANN_EV_PER_K: Final = 8.617333262e-5
ELEMENTARY_CHARGE_C: Final = 1.602176634e-19
_ATOMIC_MASS_KG: Final = 1.66053906660e-27

COULOMB_CONSTANT_EV_A: Final = 14.399645478
"""e² / (4 π ε0) in eV Å."""

G_CM3_PER_U_A3: Final = _ATOMIC_MASS_KG * 1e3 / 1e-24
"""Mass density: 1 u/Å3 = 1.66054 g/cm3."""

CM2_S_PER_A2_PS: Final = 1e-4
"""Diffusivity: 1 Å²/ps = 1e-16 cm² / 1e-12 s."""

GPA_PER_EV_A3: Final = ELEMENTARY_CHARGE_C / 1e-30 * 1e-9
"""Pressure: 1 eV/Å3 = 160.218 GPa."""

EV_PER_A3_PER_GPA: Final = 1.0 / GPA_PER_EV_A3

BAR_PER_GPA: Final = 1e4

ASE_TIME_PER_FS: Final = 1e-15 / (1e-10 * (_ATOMIC_MASS_KG / ELEMENTARY_CHARGE_C) ** 0.5)
"""ASE time units per fs (0.09823); a time step of dt fs is dt * ASE_TIME_PER_FS for ASE."""

ASE_TIME_PER_PS: Final = 1e3 * ASE_TIME_PER_FS

S_M_PER_E2_EV_A_PS: Final = ELEMENTARY_CHARGE_C / (1e-10 * 1e-12)
"""Conductivity: e² / (eV Å ps) in S/m; e²/eV = e C/J·(1/e) leaves one elementary charge over Å ps."""

MS_CM_PER_S_M: Final = 10.0
"""Conductivity: 1 S/m = 10 mS/cm."""
