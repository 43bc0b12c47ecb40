"""How strongly an element scatters: X-ray form factors, neutron lengths, and the weights of the partials."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mlsim.composition import FORMAL_CHARGES
from mlsim.curve import Radiation
from mlsim.errors import DataError, SettingsError, did_you_mean

__all__ = ["form_factor", "mean_square_ratio", "neutron_length", "scattering_amplitudes", "weights"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]

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


def neutron_length(element: str) -> float:
    """Return the coherent neutron scattering length of the natural element, in fm.

    References
    ----------
    V. F. Sears, Neutron News 3, 26 (1992), with later revisions, as tabulated by periodictable.

    Examples
    --------
    >>> neutron_length("Li"), neutron_length("Zr")
    (-1.93, 7.16)
    """
    import periodictable

    _known(element)
    length = getattr(periodictable, element).neutron.b_c
    if length is None:
        raise DataError(f"neutron scattering length of {element}: none is tabulated")
    return float(length)


def scattering_amplitudes(
    fractions: Mapping[str, float],
    q: ArrayLike,
    radiation: Radiation = "xray",
    ions: bool | Mapping[str, int] = False,
) -> dict[str, Floats]:
    """Return f_i(Q) in electrons for X-rays or b_i in fm for neutrons, per element, shape (Q,).

    Parameters
    ----------
    fractions
        Number fraction of each element.
    q
        1/Å, shape (Q,).
    radiation
        ``xray`` or ``neutron``.
    ions
        False: neutral atoms. True: ions with the usual formal charges (Li1+, Zr4+, O2-, Cl1-), those
        nearest to neutral where an element has several.
        A mapping: the charges given, 0 for elements that it leaves out. Nuclear lengths do not depend on it.
        Ion or neutral matters below Q of about 4 1/Å.
    """
    grid = np.atleast_1d(np.asarray(q, dtype=float))
    if radiation == "neutron":
        return {e: np.full(grid.shape, neutron_length(e)) for e in fractions}
    if radiation != "xray":
        raise SettingsError(f"radiation '{radiation}': {did_you_mean(str(radiation), ['xray', 'neutron'])}")
    charges = _charges(fractions, ions)
    return {e: form_factor(e, grid, charge=charges.get(e, 0)) for e in fractions}


def weights(
    fractions: Mapping[str, float],
    q: ArrayLike,
    radiation: Radiation = "xray",
    ions: bool | Mapping[str, int] = False,
) -> dict[Pair, Floats]:
    """Return the Faber–Ziman weights of the partials; at each Q they sum to one.

    w_ij(Q) = (2 − δ_ij) c_i c_j f_i f_j / <f>², with <f> = sum_i c_i f_i

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
    mean = _mean(fractions, amplitude)
    elements = sorted(fractions)
    return {
        (a, b): np.asarray((1 if a == b else 2) * fractions[a] * fractions[b] * amplitude[a] * amplitude[b] / mean**2)
        for i, a in enumerate(elements)
        for b in elements[i:]
    }


def mean_square_ratio(
    fractions: Mapping[str, float],
    q: ArrayLike,
    radiation: Radiation = "xray",
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
    square = sum(fractions[e] * amplitude[e] ** 2 for e in fractions)
    return np.asarray(square / _mean(fractions, amplitude) ** 2)


def _mean(fractions: Mapping[str, float], amplitude: Mapping[str, Floats]) -> Floats:
    mean = np.asarray(sum(fractions[e] * amplitude[e] for e in fractions))
    if (np.abs(mean) < 1e-12).any():
        raise DataError("scattering weights: the mean amplitude <f> is zero; S(Q) is not defined for a null scatterer")
    return mean


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
