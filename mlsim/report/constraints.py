"""What limits each number: the few glasses, the extrapolation, or how little the data see of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Final

from scipy.special import stdtrit

from mlsim.composition import Composition
from mlsim.errors import MlsimError
from mlsim.io.results import QuantityRow
from mlsim.report.words import number_text, pair_text, unit_text

__all__ = ["extrapolated", "kinks", "limits_of", "pair_behind", "sampled", "xray_weights"]

Q_OF_WEIGHTS: Final = 5.0
"""1/Å: in the middle of what a total scattering experiment sees well."""

_SPAN: Final = re.compile(r"(?:extrapolated from|line,) ([\d.]+) to ([\d.]+) K")
_KINKS: Final = re.compile(r"kink .* in (\d+) of (\d+) glasses")
_PAIR: Final = re.compile(r"([a-z]{1,2})_([a-z]{1,2})_(?:distance_A|coordination|peak_A|.*fraction)")
_ANION: Final = re.compile(r"([a-z]{1,2})_(?:terminal|bridging|no_[a-z]+|with_([a-z]+))_fraction")


def limits_of(
    row: QuantityRow, weights: Mapping[str, float], verdicts: Mapping[str, str], interval: tuple[str, str] | None = None
) -> str:
    """Return in words how far the sampling, the data and the extrapolation constrain a number.

    Parameters
    ----------
    row
        The number.
    weights
        From `xray_weights`; empty where the composition is not known.
    verdicts
        By name: what sets the number in a refinement, as `mlsim rmc` judges it.
    interval
        Ends of the 95 % interval of the conductivity at 298 K.
    """
    parts = [extrapolated(row, interval) or sampled(row)]
    if (found := _SPAN.search(row.method)) and not parts[0].startswith("extrapolated"):
        parts.append(f"line from {found[1]} to {found[2]} K")
    if counted := kinks(row.method):
        parts.insert(0, f"a kink in {counted[0]} of {counted[1]} glasses")
    pair = pair_behind(row.name)
    if pair in weights:
        parts.append(f"{pair_text(pair)} is {_percent(weights[pair])} of the X-ray total")
    if row.name in verdicts:
        parts.append(f"refined: {verdicts[row.name]}")
    return "; ".join(part for part in parts if part)


def kinks(method: str) -> tuple[int, int] | None:
    """Return in how many glasses the glass transition was seen, and in how many it was looked for, where it says so.

    Examples
    --------
    >>> kinks("kink of the energy along the quench, in 3 of 4 glasses")
    (3, 4)
    """
    found = _KINKS.search(method)
    return None if found is None else (int(found[1]), int(found[2]))


def sampled(row: QuantityRow) -> str:
    """Return the half width of the 95 % interval that so few glasses or runs leave, by Student's t.

    Examples
    --------
    >>> from mlsim.curve import Estimate
    >>> sampled(QuantityRow("density_g_cm3", Estimate(2.0, 0.02, 4, "g/cm3"), ""))
    'n = 4 leaves ±0.064 g/cm³ (3 %) at 95 %'
    """
    estimate = row.estimate
    if not math.isfinite(estimate.value):
        return "not determined"
    if estimate.n_independent < 2 or estimate.standard_error is None:
        return "n = 1: the spread is not known" if estimate.n_independent == 1 else "no error is known"
    if estimate.standard_error == 0:
        return f"the same in all of n = {estimate.n_independent}"
    factor = float(stdtrit(estimate.n_independent - 1, 0.975))
    if row.is_skewed and (s := estimate.log_error) is not None:
        times = number_text(float(f"{math.exp(min(factor * s, 300.0)):.2g}"))
        return f"n = {estimate.n_independent} leaves a factor of {times} to either side at 95 %"
    half = factor * estimate.standard_error
    share = half / abs(estimate.value) if estimate.value and estimate.unit != "1" else 1.0
    width = " ".join(part for part in (f"±{number_text(float(f'{half:.2g}'))}", unit_text(estimate.unit)) if part)
    relative = f" ({_percent(share)})" if share < 1 else ""
    return f"n = {estimate.n_independent} leaves {width}{relative} at 95 %"


def extrapolated(row: QuantityRow, interval: tuple[str, str] | None) -> str:
    """Return from where a number is extrapolated, and the 95 % interval of a conductivity at 298 K; else nothing."""
    found = _SPAN.search(row.method)
    if found is None or "298K" not in row.name or interval is None:
        return ""
    unit = unit_text(row.estimate.unit)
    return f"extrapolated from {found[1]}–{found[2]} K: {interval[0]} to {interval[1]} {unit} at 95 %"


def pair_behind(name: str) -> str:
    """Return the sorted pair of elements whose partial a structural number is read from; empty for others.

    Examples
    --------
    >>> pair_behind("zr_o_coordination"), pair_behind("zr_zr_edge_fraction"), pair_behind("cl_terminal_fraction")
    ('O-Zr', 'Zr-Zr', 'Cl-Zr')
    >>> pair_behind("density_g_cm3"), pair_behind("cl_with_li_fraction")
    ('', 'Cl-Li')
    """
    if found := _ANION.fullmatch(name):
        return "-".join(sorted((found[1].capitalize(), (found[2] or "zr").capitalize())))
    if found := _PAIR.fullmatch(name):
        return "-".join(sorted((found[1].capitalize(), found[2].capitalize())))
    return ""


def xray_weights(formula: str) -> dict[str, float]:
    """Return the share of each pair in the X-ray total at Q = 5 1/Å, by sorted pair; empty for no formula.

    Examples
    --------
    >>> {pair: round(w, 3) for pair, w in xray_weights("Li3ZrCl4O1.5").items() if "Li" in pair}
    {'Cl-Li': 0.06, 'Li-Li': 0.003, 'Li-O': 0.008, 'Li-Zr': 0.043}
    """
    from mlsim.scattering import weights

    try:
        fractions = Composition.parse(formula).fractions
        found = weights(fractions, [Q_OF_WEIGHTS])
    except MlsimError:
        return {}
    return {"-".join(pair): float(value[0]) for pair, value in found.items()}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0095 else f"{100 * share:.1f} %"
