"""What a diffractometer of finite resolution does to a total scattering function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlsim.errors import SettingsError

__all__ = ["IDEAL", "Instrument"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Instrument:
    """Resolution of a diffractometer.

    Attributes
    ----------
    q_damp_per_A
        Qdamp: width of a peak in Q, standard deviation in 1/Å, the same at all Q. G_PDF(r) is multiplied by
        exp(−(r Qdamp)²/2), which convolves Q [S − 1] with that Gaussian.
    q_broad
        Qbroad: width of a peak relative to Q. Each pair at r is spread by a Gaussian of standard deviation r Qbroad.

    Notes
    -----
    PDFgui multiplies Qbroad by the thermal width of the peak instead: sigma = sigma' sqrt(1 + r² Qbroad²).

    References
    ----------
    C. L. Farrow et al., J. Phys.: Condens. Matter 19, 335219 (2007), doi:10.1088/0953-8984/19/33/335219.
    """

    q_damp_per_A: float = 0.0
    q_broad: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("q_damp_per_A", self.q_damp_per_A), ("q_broad", self.q_broad)):
            if not (np.isfinite(value) and value >= 0):
                raise SettingsError(f"instrument: {name} is {value:g}, expected 0 or a positive number")

    @property
    def ideal(self) -> bool:
        """True without any broadening."""
        return self.q_damp_per_A == 0 and self.q_broad == 0

    def envelope(self, r: Floats) -> Floats:
        """Return exp(−(r Qdamp)²/2), shape (r,)."""
        return np.asarray(np.exp(-((r * self.q_damp_per_A) ** 2) / 2))

    def without_damping(self) -> Instrument:
        """Return the same instrument with Qdamp = 0."""
        return Instrument(0.0, self.q_broad)


IDEAL = Instrument()
