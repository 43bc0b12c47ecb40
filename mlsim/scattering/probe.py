"""What scatters at the atoms: X-rays or neutrons, neutral atoms or ions, isotopes, anomalous terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from mlsim.curve import Radiation
from mlsim.errors import DataError, SettingsError, did_you_mean

__all__ = ["Probe", "anomalous_terms"]


@dataclass(frozen=True)
class Probe:
    """Radiation and what it sees; wherever a function takes ``radiation``, it takes a Probe too.

    Attributes
    ----------
    radiation
        ``xray`` or ``neutron``.
    ions
        X-rays: False for neutral atoms, True for ions of the usual formal charges, or the charges by element.
    isotopes
        Neutrons: share of each mass number by element, ``{"Li": {7: 1.0}}``; elements left out are natural.
    anomalous
        X-rays: f' + i f'' in electrons by element, from `anomalous_terms` or another table; 0 for those left out.

    Notes
    -----
    Amplitudes are f_i = f0_i(Q) + f'_i + i f''_i or the mean b_i over isotopes. Weights then hold Re(f_i f_j*) and
    |<f>|². Absorption, which gives 6Li and some others an imaginary length too, is not in b_i.

    Examples
    --------
    >>> Probe("neutron", isotopes={"Li": {7: 1.0}, "Cl": {37: 1.0}}).radiation
    'neutron'
    """

    radiation: Radiation = "xray"
    ions: bool | Mapping[str, int] = False
    isotopes: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    anomalous: Mapping[str, complex] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.radiation not in ("xray", "neutron"):
            hint = did_you_mean(str(self.radiation), ["xray", "neutron"])
            raise SettingsError(f"radiation '{self.radiation}': {hint}")
        if self.radiation == "xray" and self.isotopes:
            raise SettingsError("isotopes: X-rays do not see them; leave them out or use neutrons")
        if self.radiation == "neutron" and self.anomalous:
            raise SettingsError("anomalous terms: neutrons have none here; leave them out or use X-rays")
        for element, shares in self.isotopes.items():
            total = sum(shares.values())
            if not shares or min(shares.values()) < 0 or abs(total - 1) > 1e-6:
                raise SettingsError(
                    f"isotopes of {element}: shares sum to {total:g}, expected not negative and summing to 1"
                )

    @classmethod
    def of(cls, radiation: Radiation | Probe, ions: bool | Mapping[str, int] = False) -> Probe:
        """Return the probe that the arguments of a function of scattering name."""
        if not isinstance(radiation, Probe):
            return cls(radiation, ions)
        if ions is not False:
            raise SettingsError("ions: given beside a Probe; put them into the Probe")
        return radiation


def anomalous_terms(elements: Iterable[str], *, wavelength_A: float) -> dict[str, complex]:
    """Return f' + i f'' of neutral atoms at a wavelength, in electrons, per element.

    Parameters
    ----------
    elements
        Symbols.
    wavelength_A
        Of the X-rays, Å; from 0.413 Å (30 keV), where the table ends.

    Raises
    ------
    DataError
        If the table does not reach that wavelength.

    Notes
    -----
    f1 − Z is returned as f', so it holds the small relativistic term. The terms are interpolated between tabulated
    energies: near an edge they depend on the chemistry and must be measured. At 60 keV and more they are below
    0.1 electrons for the elements up to Zr, and usually left out.

    References
    ----------
    B. L. Henke, E. M. Gullikson, J. C. Davis, At. Data Nucl. Data Tables 54, 181 (1993),
    doi:10.1006/adnd.1993.1013, as tabulated by periodictable.

    Examples
    --------
    >>> f = anomalous_terms(["Ni"], wavelength_A=1.5406)["Ni"]
    >>> round(f.real, 1), round(f.imag, 1)
    (-3.0, 0.5)
    """
    import periodictable

    if not (np.isfinite(wavelength_A) and wavelength_A > 0):
        raise SettingsError(f"anomalous terms: wavelength is {wavelength_A:g} Å, expected a positive length")
    terms = {}
    for element in elements:
        known = getattr(periodictable, element, None)
        if known is None:
            raise SettingsError(f"unknown element '{element}'; {did_you_mean(element, ['Li', 'Zr', 'O', 'Cl'])}")
        f1, f2 = known.xray.scattering_factors(wavelength=float(wavelength_A))
        if f1 is None or not (np.isfinite(f1) and np.isfinite(f2)):
            energy = 12.398 / wavelength_A
            raise DataError(
                f"anomalous terms of {element} at {energy:.3g} keV: the table does not reach there (30 keV at most); "
                "leave them out or give them by element in Probe(anomalous=...)"
            )
        terms[element] = complex(float(f1) - known.number, float(f2))
    return terms
