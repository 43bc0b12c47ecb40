"""Numbers, names and sentences as a reader wants them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Final

from ase.data import atomic_numbers

from mlsim.curve import Estimate
from mlsim.io.results import QuantityRow

__all__ = [
    "GROUPS",
    "Label",
    "full_label",
    "group_place",
    "join_listed",
    "join_words",
    "label_of",
    "number_text",
    "pair_text",
    "published_text",
    "ratio_errors",
    "subscripts",
    "unit_text",
    "value_text",
]

Label = tuple[str, str]
"""Name of a quantity in words, and the group of the table in which it stands."""

_LINKS: Final = "Zr–Zr links"

GROUPS: Final = (
    "Structure",
    _LINKS,
    "Polyhedra",
    "Anion surroundings",
    "Transport",
    "Conductivity by pairs",
    "Mechanism",
    "Fit to data",
    "Other",
)

_LABELS: Final[dict[str, Label]] = {
    "density_g_cm3": ("Mass density", "Structure"),
    "potential_energy_eV_per_atom": ("Potential energy per atom", "Structure"),
    "zr_o_distance_A": ("Zr–O distance, mean of all bonds", "Structure"),
    "zr_o_coordination": ("O neighbours of Zr", "Structure"),
    "zr_cl_distance_A": ("Zr–Cl distance, mean of all bonds", "Structure"),
    "zr_cl_coordination": ("Cl neighbours of Zr", "Structure"),
    "zr_zr_corner_o_fraction": ("corner, through one O", "Zr–Zr links"),
    "zr_zr_corner_cl_fraction": ("corner, through one Cl", "Zr–Zr links"),
    "zr_zr_edge_fraction": ("edge, two shared anions", "Zr–Zr links"),
    "zr_zr_face_fraction": ("face, three or more shared anions", "Zr–Zr links"),
    "cl_terminal_fraction": ("Cl on one centre (terminal)", "Anion surroundings"),
    "cl_bridging_fraction": ("Cl on two or more centres (bridging)", "Anion surroundings"),
    "cl_no_zr_fraction": ("Cl on no Zr", "Anion surroundings"),
    "li_diffusivity_cm2_s": ("Li diffusivity", "Transport"),
    "activation_energy_eV": ("Activation energy of diffusion", "Transport"),
    "conductivity_298K_mS_cm": ("Conductivity at 298 K", "Transport"),
    "conductivity_mS_cm": ("Conductivity of the mobile ion, Nernst–Einstein", "Transport"),
    "conductivity_einstein_mS_cm": ("Conductivity of the mobile ion, Einstein", "Transport"),
    "conductivity_all_ions_mS_cm": ("Conductivity, all ions", "Transport"),
    "conductivity_298K_68_low_mS_cm": ("Conductivity at 298 K, 68 % from", "Transport"),
    "conductivity_298K_68_high_mS_cm": ("Conductivity at 298 K, 68 % to", "Transport"),
    "conductivity_298K_95_low_mS_cm": ("Conductivity at 298 K, 95 % from", "Transport"),
    "conductivity_298K_95_high_mS_cm": ("Conductivity at 298 K, 95 % to", "Transport"),
    "diffusivity_prefactor_cm2_s": ("Prefactor of diffusion", "Transport"),
    "vogel_fulcher_probability": ("Probability that ln D bends", "Transport"),
    "glass_transition_K": ("Glass transition, energy", "Transport"),
    "glass_transition_by_volume_K": ("Glass transition, volume", "Transport"),
    "ageing_ratio": ("D of second half over first", "Transport"),
    "haven_ratio": ("Haven ratio", "Transport"),
}

_PATTERNS: Final = tuple(
    (re.compile(pattern), words, group)
    for pattern, words, group in (
        (r"([a-z]+)_([a-z]+)_distance_A", "{0}–{1} distance, mean of all bonds", "Structure"),
        (r"([a-z]+)_([a-z]+)_peak_A", "{0}–{1} peak of g(r)", "Structure"),
        (r"([a-z]+)_([a-z]+)_coordination", "{1} neighbours of {0}", "Structure"),
        (r"([a-z]+)_terminal_fraction", "{0} on one centre (terminal)", "Anion surroundings"),
        (r"([a-z]+)_bridging_fraction", "{0} on two or more centres (bridging)", "Anion surroundings"),
        (r"([a-z]+)_no_([a-z]+)_fraction", "{0} on no {1}", "Anion surroundings"),
        (r"([a-z]+)_with_([a-z]+)_fraction", "{0} with at least one {1}", "Anion surroundings"),
        (r"([a-z]+)_hop_rate_per_ps", "{0} hops", "Mechanism"),
        (r"([a-z]+)_hop_length_A", "{0} hop length", "Mechanism"),
        (r"([a-z]+)_residence_time_ps", "{0} residence time", "Mechanism"),
        (r"([a-z]+)_successive_hop_cosine", "cosine of successive {0} hops", "Mechanism"),
        (r"([a-z]+)_back_hop_fraction", "{0} hops undone by the next", "Mechanism"),
        (r"([a-z]+)_correlation_factor", "{0} correlation factor", "Mechanism"),
        (r"([a-z]+)_time_near_([a-z]+)_fraction", "{0} time near {1}", "Mechanism"),
        (r"([a-z]+)_hop_rate_near_([a-z]+)_per_ps", "{0} hops begun near {1}", "Mechanism"),
        (r"([a-z]+)_hop_rate_away_from_([a-z]+)_per_ps", "{0} hops begun away from {1}", "Mechanism"),
        (r"([a-z]+)_hop_rate_ratio_([a-z]+)", "{0} hop rate near {1} over away", "Mechanism"),
        (r"([a-z]+)_([a-z]+)_share_resting", "{1} among anions of {0}", "Mechanism"),
        (r"([a-z]+)_([a-z]+)_share_hopping", "{1} among anions of {0}, mid-hop", "Mechanism"),
        (r"([a-z]+)_percolation_(\dd)_eV", "{0} free energy of percolation, {1}", "Mechanism"),
        (r"([a-z]+)_channels_(\dd)_volume_fraction", "volume of {0} channels, {1}", "Mechanism"),
        (r"([a-z]+)_hops_([a-z]+)_to_([a-z]+)_([a-z]+)_fraction", "{0} hops, {1} to {2} {3}", "Mechanism"),
        (r"([a-z]+)_attempt_frequency_THz", "{0} attempt frequency", "Mechanism"),
        (r"([a-z]+)_([a-z]+)_([a-z]+)_angle_deg", "{0}–{1}–{2} angle", "Structure"),
        (r"([a-z]+)_cage_volume_A3", "volume of the cage of {0}", "Structure"),
        (r"([a-z]+)_network_largest_fraction", "{0} in the largest cluster", "Zr–Zr links"),
        (r"([a-z]+)_network_percolating_directions", "directions in which {0} polyhedra percolate", "Zr–Zr links"),
        (r"([a-z]+)_cluster_mean_size", "mean size of the clusters of {0}", "Zr–Zr links"),
        (r"([a-z]+)_isolated_fraction", "{0} without a link", "Zr–Zr links"),
        (r"([a-z]+)_rings_(\d)_per_[a-z]+", "rings of {1} {0}, per {0}", "Zr–Zr links"),
        (r"([a-z]+)_\1_corner_([a-z]+)_fraction", "corner, through one {1}", "Zr–Zr links"),
        (r"([a-z]+)_\1_edge_fraction", "edge, two shared anions", "Zr–Zr links"),
        (r"([a-z]+)_\1_face_fraction", "face, three or more shared anions", "Zr–Zr links"),
        (r"([a-z]+)_[a-z]+_edge_([a-z]+)_([a-z]+)_fraction", "edge, through {1} and {2}", "Zr–Zr links"),
        (r"([a-z]+)_[a-z]+_face_([a-z]+)_([a-z]+)_([a-z]+)_fraction", "face, through {1}, {2} and {3}", "Zr–Zr links"),
        (r"conductivity_([a-z]+)_with_([a-z]+)_mS_cm", "Conductivity, {0} with {1}", "Conductivity by pairs"),
        (r"([a-z]+)_charge_diffusivity_cm2_s", "{0} charge diffusivity", "Transport"),
        (r"([a-z]+)_diffusivity_cm2_s", "{0} diffusivity", "Transport"),
    )
)

_POLYHEDRON: Final = re.compile(r"polyhedron_([a-z]+\d\w*)_fraction")
_WIDE: Final = 0.2
"""Relative error beyond which a skewed number is given with its interval: its two sides differ by a fifth and more."""
_WIDEST: Final = 1e6
"""Ratio of the ends of an interval beyond which they say nothing."""

_SUPERSCRIPT: Final = str.maketrans("0123456789-+", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺")
_ANIONS: Final = frozenset({"N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I"})
_UNITS: Final = {
    "1": "",
    "": "",
    "g/cm3": "g/cm³",
    "cm2/s": "cm²/s",
    "1/A": "1/Å",
    "A": "Å",
    "1/A2": "1/Å²",
    "Å3": "Å³",
    "degree": "°",
}


def label_of(name: str, temperature_K: float | None = None) -> Label:
    """Return what to call a quantity, and its group.

    Examples
    --------
    >>> label_of("li_diffusivity_cm2_s", 700.0)
    ('Li diffusivity at 700 K', 'Transport')
    >>> label_of("rw_gofr"), label_of("anything_else")
    (('Rw of gofr', 'Fit to data'), ('anything else', 'Other'))
    >>> label_of("cl_with_li_fraction"), label_of("hf_o_coordination")
    (('Cl with at least one Li', 'Anion surroundings'), ('O neighbours of Hf', 'Structure'))
    >>> label_of("zr_rings_4_per_zr"), label_of("zr_zr_edge_cl_o_fraction")
    (('rings of 4 Zr, per Zr', 'Zr–Zr links'), ('edge, through Cl and O', 'Zr–Zr links'))
    >>> label_of("al_al_corner_cl_fraction")
    ('corner, through one Cl', 'Al–Al links')
    >>> label_of("polyhedron_zro2cl4_fraction"), label_of("rmc_zr_o_coordination")
    (('[ZrO2Cl4]', 'Polyhedra'), ('O neighbours of Zr, refined', 'Structure'))
    """
    if name.startswith("rmc_"):
        words, group = label_of(name.removeprefix("rmc_"))
        words += ", refined"
    elif name.startswith("rw_start_"):
        words, group = f"Rw of {name.removeprefix('rw_start_')} before the fit", "Fit to data"
    elif name.startswith("rw_"):
        words, group = f"Rw of {name.removeprefix('rw_')}", "Fit to data"
    else:
        words, group = _LABELS.get(name) or _general_label(name)
    return (words if temperature_K is None else f"{words} at {temperature_K:g} K"), group


def full_label(label: str, group: str) -> str:
    """Return a label that can stand outside of its group: of links it does not say alone what is linked.

    Examples
    --------
    >>> full_label("corner, through one O", "Zr–Zr links"), full_label("Haven ratio", "Transport")
    ('Zr–Zr links: corner, through one O', 'Haven ratio')
    """
    return f"{group}: {label}" if _is_links(group) else label


def group_place(group: str) -> int:
    """Return the place of a group in the table; links of any cation stand where those of Zr do.

    Examples
    --------
    >>> group_place("Al–Al links") == group_place("Zr–Zr links"), group_place("unheard of") == group_place("Other")
    (True, True)
    """
    known = _LINKS if _is_links(group) else group
    return GROUPS.index(known if known in GROUPS else "Other")


def _is_links(group: str) -> bool:
    return group.endswith(" links")


def _general_label(name: str) -> Label:
    """Return the label of a name that follows a pattern, for elements that the table above does not name."""
    if found := _POLYHEDRON.fullmatch(name):
        return f"[{_formula(found[1])}]", "Polyhedra"
    for pattern, words, group in _PATTERNS:
        if found := pattern.fullmatch(name):
            parts = [part.capitalize() for part in found.groups()]
            return words.format(*parts), group.replace("Zr", parts[0]) if group == _LINKS else group
    return name.replace("_", " "), "Other"


def _formula(lower: str) -> str:
    """Return a formula such as zro2cl4 with capitals, the centre before the first anion; none and one are left out.

    Examples
    --------
    >>> _formula("zro2cl4"), _formula("sio4"), _formula("zro0cl6"), _formula("zro1cl5")
    ('ZrO2Cl4', 'SiO4', 'ZrCl6', 'ZrOCl5')
    """
    first, rest = re.match(r"([a-z]+)(.*)", lower).groups()  # type: ignore[union-attr]
    splits = [(first[:k].capitalize(), first[k:].capitalize()) for k in range(1, len(first))]
    centre, anion = next((pair for pair in splits if set(pair) <= set(atomic_numbers)), (first.capitalize(), ""))
    written = f" {anion}" + re.sub(r"[a-z]+", lambda found: f" {found[0].capitalize()}", rest)
    kept = [part for part in written.split() if not re.fullmatch(r"[A-Za-z]+0", part)]
    return centre + "".join(re.sub(r"(?<=[a-z])1$|(?<=^[A-Z])1$", "", part) for part in kept)


def subscripts(formula: str) -> list[tuple[str, bool]]:
    """Return a formula in pieces, each with whether it is an index.

    Examples
    --------
    >>> subscripts("Li3ZrCl4O1.5")
    [('Li', False), ('3', True), ('ZrCl', False), ('4', True), ('O', False), ('1.5', True)]
    >>> subscripts("LiO(1+x)")
    [('LiO', False), ('1+x', True)]
    """
    pieces = re.split(r"(?<=[A-Za-z)])(\d+(?:\.\d+)?|\(\d+\+\d*x\))", formula)
    return [(piece.strip("()") if n % 2 else piece, n % 2 == 1) for n, piece in enumerate(pieces) if piece]


def ratio_errors(values: Sequence[float], errors: Sequence[float | None]) -> tuple[list[float], list[float]]:
    """Return how far error bars reach down and up on a logarithmic axis: value × exp(±s), s that of `log_error`.

    They end where the 68 % interval does that is printed beside. Both arms are equally long in the plot, and the lower
    one never reaches zero.

    Examples
    --------
    >>> down, up = ratio_errors([2.0], [1.0])
    >>> [round(arm[0], 3) for arm in (down, up)]
    [0.764, 1.236]
    """
    pairs = list(zip(values, errors, strict=True))
    widths = [Estimate(value, error, 0, "").log_error or 0.0 for value, error in pairs]
    down = [-value * math.expm1(-s) for value, s in zip(values, widths, strict=True)]
    return down, [value * math.expm1(s) for value, s in zip(values, widths, strict=True)]


def unit_text(unit: str) -> str:
    """Return a unit as it is printed; empty for a pure number."""
    return _UNITS.get(unit, unit)


def number_text(value: float, standard_error: float | None = None) -> str:
    """Return a number with two significant digits of its error, or three digits where it has none.

    Examples
    --------
    >>> number_text(2.0712, 0.0312), number_text(0.294), number_text(1.234e-7, 0.12e-7)
    ('2.071 ± 0.031', '0.294', '(1.23 ± 0.12) × 10⁻⁷')
    >>> number_text(float("nan")), number_text(0.1, 0.0)
    ('not determined', '0.1 (no spread)')
    >>> number_text(-42.0, 15.0), number_text(-4.2e-5), number_text(-0.0001, 0.05)
    ('−42 ± 15', '−4.2 × 10⁻⁵', '0.000 ± 0.050')
    """
    if not math.isfinite(value):
        return "not determined"
    if value < 0 or (value == 0 and math.copysign(1.0, value) < 0):
        text = number_text(-value, standard_error)
        if not any(digit in "123456789" for digit in text.partition("±")[0].partition("×")[0]):
            return text  # rounds to zero
        return f"(−{text[1:]}" if text.startswith("(") else f"−{text}"
    error = standard_error if standard_error is not None and math.isfinite(standard_error) else None
    largest = max(value, error or 0.0)
    if largest and not 1e-3 <= largest < 1e4:
        exponent = math.floor(math.log10(largest))
        power = f" × 10{str(exponent).translate(_SUPERSCRIPT)}"
        inner = number_text(value / 10**exponent, None if error is None else error / 10**exponent)
        return f"({inner}){power}" if error is not None else f"{inner}{power}"
    if error is None:
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    if error == 0:
        return f"{value:.4g} (no spread)"
    digits = min(6, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def value_text(row: QuantityRow) -> str:
    """Return a number and its error: of a skewed one whose error is above a fifth of it, the 68 % interval.

    Examples
    --------
    >>> from mlsim.curve import Estimate
    >>> value_text(QuantityRow("conductivity_298K_mS_cm", Estimate(9.5, 17.0, 4, "mS/cm"), ""))
    '9.5 (2.5 to 36)'
    >>> value_text(QuantityRow("conductivity_298K_mS_cm", Estimate(9.5, 0.4, 4, "mS/cm"), ""))
    '9.50 ± 0.40'
    >>> value_text(QuantityRow("diffusivity_cm2_s", Estimate(9.5e-9, None, 4, "cm2/s"), "upper bound"))
    '< 9.5 × 10⁻⁹'
    """
    estimate, interval = row.estimate, row.interval_68
    if row.is_upper_bound and math.isfinite(estimate.value):
        return f"< {number_text(estimate.value)}"
    if not row.is_skewed or interval is None or (estimate.standard_error or 0.0) <= _WIDE * estimate.value:
        return number_text(estimate.value, estimate.standard_error)
    if interval[1] > _WIDEST * interval[0]:
        return f"{number_text(estimate.value)} (uncertain by more than a factor of {math.sqrt(_WIDEST):g})"
    exponent = 0 if interval[0] >= 1e-3 and interval[1] < 1e4 else math.floor(math.log10(estimate.value))
    value, low, high = (_two_digits(x / 10**exponent) for x in (estimate.value, *interval))
    text = f"{value} ({low} to {high})"
    return f"[{text}] × 10{str(exponent).translate(_SUPERSCRIPT)}" if exponent else text


def _two_digits(value: float) -> str:
    """Return a positive number with two significant digits, zeros at the end kept."""
    shown = float(f"{value:.2g}")
    return f"{shown:.{max(0, 1 - math.floor(math.log10(shown)))}f}"


def published_text(value: float, standard_error: float | None = None) -> str:
    """Return a published number with the digits that it was published with.

    Examples
    --------
    >>> published_text(1.35, 0.07), published_text(2.5), published_text(0.294, 0.003), published_text(7.1e-10)
    ('1.35 ± 0.07', '2.5', '0.294 ± 0.003', '7.1 × 10⁻¹⁰')
    """
    if value and not 1e-3 <= abs(value) < 1e4:
        return number_text(value, standard_error)
    return f"{value:g}" if standard_error is None else f"{value:g} ± {standard_error:g}"


def pair_text(pair: str) -> str:
    """Return a pair of elements as it is written: the anion last.

    Examples
    --------
    >>> pair_text("O-Zr"), pair_text("Cl-Cl"), pair_text("Cl-Li"), pair_text("Li-Zr")
    ('Zr–O', 'Cl–Cl', 'Li–Cl', 'Li–Zr')
    """
    first, _, second = pair.partition("-")
    if first in _ANIONS and second and second not in _ANIONS:
        first, second = second, first
    return f"{first}–{second}" if second else first


def join_words(words: list[str]) -> str:
    """Return words joined as in a sentence.

    Examples
    --------
    >>> join_words(["a"]), join_words(["a", "b"]), join_words(["a", "b", "c"])
    ('a', 'a and b', 'a, b and c')
    """
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


def join_listed(labels: list[str]) -> str:
    """Return labels as a list in a sentence that can be counted: some hold commas of their own.

    Examples
    --------
    >>> join_listed(["Haven ratio", "edge, two shared anions"])
    'Haven ratio; edge, two shared anions'
    """
    return "; ".join(labels)
