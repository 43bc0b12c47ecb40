"""How strongly an element scatters: X-ray form factors, neutron lengths, and the weights of the partials."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlsim.composition import FORMAL_CHARGES
from mlsim.curve import Radiation
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.scattering.probe import Probe

__all__ = [
    "form_factor",
    "mean_length_squared",
    "mean_square_ratio",
    "neutron_length",
    "scattering_amplitudes",
    "weights",
]

Floats = NDArray[np.float64]
Amplitudes = dict[str, NDArray[Any]]
Pair = tuple[str, str]

_FM2_PER_BARN = 100.0
_LARGEST_Q = 24 * np.pi
"""The tabulated form factors hold up to sin(θ)/λ = 6 1/Å."""


def form_factor(element: str, q: ArrayLike, *, charge: int = 0) -> Floats:
    """Return the X-ray form factor f0(Q) in electrons, without anomalous terms.

    f0(Q) = sum_k a_k exp[−b_k (Q/4π)²] + c, five Gaussians.

    Parameters
    ----------
    element
        Symbol.
    q
        1/Å, 0 to 75.4, any shape.
    charge
        Formal charge in e; 0 is the neutral atom.

    References
    ----------
    D. Waasmaier, A. Kirfel, Acta Cryst. A51, 416 (1995), doi:10.1107/S0108767394013292.

    Examples
    --------
    >>> form_factor("Zr", [0.0, 5.0]).round(2), form_factor("Cl", [0.0], charge=-1).round(2)
    (array([39.98, 23.65]), array([17.99]))
    """
    grid = np.asarray(q, dtype=float)
    if not (np.isfinite(grid).all() and (grid >= 0).all() and (grid <= _LARGEST_Q).all()):
        raise SettingsError(f"form factor of {element}: Q must be 0 to {_LARGEST_Q:.1f} 1/Å; cut the range of Q")
    formula = _gaussians(element, charge)
    a, b, c = formula
    return np.asarray(np.exp(-np.multiply.outer((grid / (4 * np.pi)) ** 2, b)) @ a + c)


def neutron_length(element: str, isotopes: Mapping[int, float] | None = None) -> float:
    """Return the coherent neutron scattering length of an element, in fm.

    Parameters
    ----------
    element
        Symbol.
    isotopes
        Share of each mass number; the natural mixture when left out.

    References
    ----------
    V. F. Sears, Neutron News 3, 26 (1992), with later revisions, as tabulated by periodictable.

    Examples
    --------
    >>> neutron_length("Li"), neutron_length("Zr"), neutron_length("Li", {7: 1.0})
    (-1.93, 7.16, -2.28)
    """
    import periodictable

    _known(element)
    natural = getattr(periodictable, element)
    if not isotopes:
        return _length(natural, element)
    known = {isotope.isotope: isotope for isotope in natural}
    for number in isotopes:
        if number not in known:
            stable = ", ".join(f"{i}{element}" for i in known if known[i].neutron.b_c is not None)
            raise SettingsError(f"isotope {number}{element}: not known; with a scattering length are {stable}")
    return sum(share * _length(known[number], f"{number}{element}") for number, share in isotopes.items())


def scattering_amplitudes(
    fractions: Mapping[str, float],
    q: ArrayLike,
    radiation: Radiation | Probe = "xray",
    ions: bool | Mapping[str, int] = False,
) -> Amplitudes:
    """Return f_i(Q) in electrons for X-rays or b_i in fm for neutrons, per element, shape (Q,).

    Parameters
    ----------
    fractions
        Number fraction of each element.
    q
        1/Å, shape (Q,).
    radiation
        ``xray``, ``neutron``, or a `Probe` for isotopes and anomalous terms.
    ions
        False: neutral atoms. True: ions with the usual formal charges (Li1+, Zr4+, O2-, Cl1-), those
        nearest to neutral where an element has several.
        A mapping: the charges given, 0 for elements that it leaves out. Nuclear lengths do not depend on it.
        Ion or neutral matters below Q of about 4 1/Å.

    Returns
    -------
    dict
        Real arrays; complex ones for a Probe with anomalous terms.
    """
    grid = np.atleast_1d(np.asarray(q, dtype=float))
    probe = Probe.of(radiation, ions)
    for name, given in (("isotopes", probe.isotopes), ("anomalous terms", probe.anomalous)):
        for element in given:
            if element not in fractions:
                raise SettingsError(f"{name}: given for {element}; {did_you_mean(element, fractions)}")
    if probe.radiation == "neutron":
        return {e: np.full(grid.shape, neutron_length(e, probe.isotopes.get(e))) for e in fractions}
    charges = _charges(fractions, probe.ions)
    found: Amplitudes = {e: form_factor(e, grid, charge=charges.get(e, 0)) for e in fractions}
    return {e: f + probe.anomalous.get(e, 0) for e, f in found.items()} if probe.anomalous else found


def weights(
    fractions: Mapping[str, float],
    q: ArrayLike,
    radiation: Radiation | Probe = "xray",
    ions: bool | Mapping[str, int] = False,
) -> dict[Pair, Floats]:
    """Return the Faber–Ziman weights of the partials; at each Q they sum to one.

    w_ij(Q) = (2 − δ_ij) c_i c_j f_i f_j / <f>², with <f> = sum_i c_i f_i; complex amplitudes: Re(f_i f_j*) / |<f>|²

    Parameters
    ----------
    fractions, q, radiation, ions
        See `scattering_amplitudes`.

    Returns
    -------
    dict
        Sorted pairs of elements, each once; arrays of shape (Q,).

    Notes
    -----
    With neutrons <f> can be near zero (null scatterers); the weights are then huge and S(Q) is no useful function.

    Examples
    --------
    >>> from mlsim.composition import Composition
    >>> glass = Composition.parse("Li3ZrCl4O1.5").fractions
    >>> w = weights(glass, [5.0], ions=True)
    >>> round(float(w["Cl", "Zr"][0]), 2), round(float(w["Zr", "Zr"][0]), 3)
    (0.37, 0.135)
    """
    amplitude = scattering_amplitudes(fractions, q, radiation, ions)
    square = _squared_mean(fractions, amplitude)
    elements = sorted(fractions)
    return {
        (a, b): (1 if a == b else 2) * fractions[a] * fractions[b] * _real_product(amplitude[a], amplitude[b]) / square
        for i, a in enumerate(elements)
        for b in elements[i:]
    }


def mean_square_ratio(
    fractions: Mapping[str, float],
    q: ArrayLike,
    radiation: Radiation | Probe = "xray",
    ions: bool | Mapping[str, int] = False,
) -> Floats:
    """Return <f²>/<f>², the factor between the two normalisations in use, shape (Q,).

    Parameters
    ----------
    fractions, q, radiation, ions
        See `scattering_amplitudes`.

    Examples
    --------
    >>> from mlsim.composition import Composition
    >>> glass = Composition.parse("Li3ZrCl4O1.5").fractions
    >>> mean_square_ratio(glass, [0.5, 5, 12, 25]).round(2)
    array([1.65, 1.92, 2.06, 2.38])
    >>> mean_square_ratio(glass, [0.5, 5, 12, 25], ions=True).round(2)
    array([1.58, 1.93, 2.06, 2.38])
    """
    amplitude = scattering_amplitudes(fractions, q, radiation, ions)
    square = sum(fractions[e] * _real_product(amplitude[e], amplitude[e]) for e in fractions)
    return np.asarray(square / _squared_mean(fractions, amplitude))


def mean_length_squared(fractions: Mapping[str, float], radiation: Radiation | Probe = "neutron") -> float:
    """Return <b>² = (sum_i c_i b_i)² in barn, the factor between the functions of Keen and the normalised ones.

    Examples
    --------
    >>> from mlsim.composition import Composition
    >>> round(mean_length_squared(Composition.parse("SF6").fractions), 4)
    0.2759
    """
    probe = Probe.of(radiation)
    if probe.radiation != "neutron":
        raise SettingsError(
            "functions of Keen in barn: defined for neutrons, whose lengths do not depend on Q; "
            "with X-rays use i_of_q, g_of_r - 1, g_pdf or t_of_r"
        )
    return float(_squared_mean(fractions, scattering_amplitudes(fractions, [0.0], probe))[0]) / _FM2_PER_BARN


def _real_product(one: NDArray[Any], other: NDArray[Any]) -> Floats:
    """Re(f_i f_j*)."""
    return np.asarray((one * np.conj(other)).real)


def _squared_mean(fractions: Mapping[str, float], amplitude: Amplitudes) -> Floats:
    """|<f>|²."""
    mean = np.asarray(sum(fractions[e] * amplitude[e] for e in fractions))
    if (np.abs(mean) < 1e-12).any():
        raise DataError("scattering weights: the mean amplitude <f> is zero; S(Q) is not defined for a null scatterer")
    return np.asarray(np.abs(mean) ** 2)


def _length(atom: Any, name: str) -> float:
    if atom.neutron.b_c is None:
        raise DataError(f"neutron scattering length of {name}: none is tabulated")
    return float(atom.neutron.b_c)


def _charges(fractions: Mapping[str, float], ions: bool | Mapping[str, int]) -> Mapping[str, int]:
    if isinstance(ions, Mapping):
        for element in ions:
            if element not in fractions:
                raise SettingsError(f"ions: charge given for {element}; {did_you_mean(element, fractions)}")
        return ions
    if not ions:
        return {}
    unknown = sorted(e for e in fractions if e not in FORMAL_CHARGES)
    if unknown:
        raise SettingsError(
            f"ions: no formal charge known for {', '.join(unknown)}; give the charges as a mapping such as {{'Zr': 4}}"
        )
    choices = [dict(zip(fractions, c, strict=True)) for c in product(*(FORMAL_CHARGES[e] for e in fractions))]
    return min(choices, key=lambda charge: abs(sum(c * charge[e] for e, c in fractions.items())))


def _known(element: str) -> None:
    from ase.data import atomic_numbers

    if element not in atomic_numbers or element == "X":
        raise SettingsError(f"unknown element '{element}'; {did_you_mean(element, ['Li', 'Zr', 'O', 'Cl'])}")


@lru_cache(maxsize=256)
def _gaussians(element: str, charge: int) -> tuple[Floats, Floats, float]:
    from periodictable import cromermann

    _known(element)
    name = element if charge == 0 else f"{element}{abs(charge)}{'+' if charge > 0 else '-'}"
    try:
        formula = cromermann.getCMformula(name)
    except KeyError:
        raise DataError(
            f"X-ray form factor of {name}: none is tabulated; use the neutral atom or another charge"
        ) from None
    return np.asarray(formula.a, dtype=float), np.asarray(formula.b, dtype=float), float(formula.c)
