"""What of a run has converged and what has not, briefly: from its numbers, their methods and its notes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from mlsim.io.results import QuantityRow, Result
from mlsim.io.series import ArrheniusPoint, ReportSeries
from mlsim.melt_quench.glass_transition import kinks_agree
from mlsim.report.constraints import kinks
from mlsim.report.ions import ions_of
from mlsim.report.words import join_words, value_text
from mlsim.transport.equilibration import has_settled
from mlsim.transport.fit_window import grows_as_time

__all__ = [
    "COMMITTEE_ABOVE",
    "convergence",
    "framework_pace",
    "liquid_temperatures_K",
    "share_above_warning",
    "transition_is_known",
    "undecided_temperatures_K",
]

# what numbers in the series say now, where a file of an earlier version has it only in words
_EXPONENT: Final = re.compile(r"MSD ~ t\^([\d.]+)")
_UNDECIDED: Final = re.compile(r"([\d., ]+) K: too short to tell whether the framework diffuses")
_MEMORY: Final = re.compile(r"([A-Z][a-z]?) [\d.]+ Å, (-?[\d.]+) ± [\d.]+( \(remembers)?")
_NO_KINK: Final = "glass transition: no kink"
_SPREAD: Final = 0.05
"""Standard error of the glass transition over its value, below which the glasses agree on it."""

COMMITTEE_ABOVE: Final = "its committee is above its warning limit in"
_OFTEN_PERCENT: Final = 5
"""Of the steps: a limit that 95 % of calibrated frames stay below is passed by the others."""

Checked = tuple[list[str], list[str]]
"""What has converged, and what has not."""


def convergence(result: Result, series: ReportSeries, warns_eV_A: float | None = None) -> tuple[tuple[str, str], ...]:
    """Return "Converged" and "Not converged", each with what is, of what the run checks; empty where it checks nothing.

    At the temperatures of the Arrhenius line the displacement of the mobile ion, the potential energy and the rest of
    the framework; the kink of the quench, and the memory of the melt. Cell size and cooling rate take other runs to
    check and are not in it. "Potential" comes third where its committee, which warns from a limit on (eV/Å), often is
    above it.
    """
    checks = (
        _displacement(result, series),
        _energy(series),
        _framework(series),
        _transition(result, series),
        _melt(series),
    )
    settled = [words for good, _ in checks for words in good]
    open_ones = [words for _, bad in checks for words in bad]
    share = share_above_warning(series, warns_eV_A)
    doubts = [f"{COMMITTEE_ABOVE} {share} of the steps, so that it may be off here"] if share else []
    named = (("Converged", settled), ("Not converged", open_ones), ("Potential", doubts))
    return tuple((what, "; ".join(found)) for what, found in named if found)


def _points(series: ReportSeries) -> tuple[ArrheniusPoint, ...]:
    return () if series.arrhenius is None else series.arrhenius.points


def _line_K(series: ReportSeries) -> list[float]:
    """Return the temperatures of the Arrhenius line; all of them where there is no line."""
    points = _points(series)
    return [p.temperature_K for p in points if p.used] or [p.temperature_K for p in points]


def liquid_temperatures_K(series: ReportSeries) -> list[float]:
    """Return the temperatures of the Arrhenius line at which the framework flows: there it is the line of a liquid."""
    return [p.temperature_K for p in _points(series) if p.used and p.is_liquid]


def _displacement(result: Result, series: ReportSeries) -> Checked:
    """Return at which temperatures the displacement grows as that of diffusion, in time to the power of one."""
    ion = ions_of(series).mobile
    slopes = {p.temperature_K: p.log_slope for p in _points(series)}
    read = [(kelvin, slopes.get(kelvin) or _slope_in_words(result, ion, kelvin)) for kelvin in _line_K(series)]
    found = [(kelvin, slope) for kelvin, slope in read if slope is not None]
    settled = [entry for entry in found if grows_as_time(entry[1])]
    slow = [entry for entry in found if entry not in settled]
    grows = f"the displacement of {ion} grows with time to the power of "
    return (
        [f"{grows}{_span([e for _, e in settled])} ({_kelvin([k for k, _ in settled])})"] if settled else [],
        [f"{grows}{_span([e for _, e in slow])}, not 1 ({_kelvin([k for k, _ in slow])})"] if slow else [],
    )


def _slope_in_words(result: Result, ion: str, kelvin: float) -> float | None:
    row = result.row(f"{ion.lower()}_diffusivity_cm2_s", kelvin)
    exponent = None if row is None else _EXPONENT.search(row.method)
    return float(exponent[1]) if exponent else None


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return low if low == high else f"{low} to {high}"


def _kelvin(temperatures: list[float]) -> str:
    return f"{join_words([f'{t:g}' for t in temperatures])} K"


def _energy(series: ReportSeries) -> Checked:
    """Return at which temperatures the potential energy has settled in every run, and where it may not have."""
    line = _line_K(series)
    shares = {part.temperature_K: part.settling for part in series.msd if part.settling and part.temperature_K in line}
    late = {
        t: [f"{100 * share:.0f} % of {name}" for name, share in found.items() if not has_settled(share)]
        for t, found in shares.items()
    }
    longest = {t: max(found.values()) for t, found in shares.items() if not late[t]}
    cut = f", after {100 * max(longest.values()):.0f} % of a run at most" if any(longest.values()) else ""
    still = [f"{t:g} K (over {join_words(names)} at least)" for t, names in late.items() if names]
    return (
        [f"the potential energy has settled ({_kelvin(list(longest))}{cut})"] if longest else [],
        [f"the potential energy may still be settling at {join_words(still)}"] if still else [],
    )


def _framework(series: ReportSeries) -> Checked:
    """Return whether the framework rests at the temperatures of the line; nothing where no transport was analysed."""
    points = {p.temperature_K: p for p in _points(series)}
    line, unknown = _line_K(series), undecided_temperatures_K(series)
    flows = [t for t in line if points[t].is_liquid]
    rests = [t for t in line if t not in unknown and t not in flows and points[t].diffusive]
    bad = [f"whether the framework flows too ({_kelvin(unknown)}){_paced(series, unknown)}"] if unknown else []
    bad += [f"the framework flows, so this is a liquid ({_kelvin(flows)}){_paced(series, flows)}"] if flows else []
    return ([f"the framework rests ({_kelvin(rests)})"] if rests else []), bad


def undecided_temperatures_K(series: ReportSeries) -> list[float]:
    """Return the temperatures of the Arrhenius line at which it is not known whether the framework flows."""
    points = {p.temperature_K: p for p in _points(series)}
    told = (_UNDECIDED.match(note) for note in series.notes)
    undecided = {float(kelvin) for found in told if found for kelvin in found[1].split(",")}
    undecided = {t for t in undecided if t in points and points[t].framework is None}
    undecided |= {t for t, point in points.items() if point.framework == "undecided"}
    return [t for t in _line_K(series) if t in undecided and not points[t].is_liquid]


def framework_pace(series: ReportSeries, temperatures_K: Sequence[float]) -> str:
    """Return how fast the fastest element of the framework may move, such as "Cl up to 17 % as fast as Li".

    Empty where it is not known at one of the temperatures.
    """
    points = [p for p in _points(series) if p.temperature_K in temperatures_K]
    known = [(p.fastest_over_ion, p.fastest, p.fastest_is_bound) for p in points]
    shares = [100 * ratio for ratio, _, _ in known if ratio is not None]
    if not shares or len(shares) < len(known):
        return ""
    low, high = f"{min(shares):.0f}", f"{max(shares):.0f}"
    names = join_words(list(dict.fromkeys(name or "" for _, name, _ in known)))
    bounded = any(is_bound for _, _, is_bound in known)
    span = f"up to {high}" if bounded else high if low == high else f"{low} to {high}"
    return f"{names} {span} % as fast as {ions_of(series).mobile}"


def _paced(series: ReportSeries, temperatures_K: Sequence[float]) -> str:
    pace = framework_pace(series, temperatures_K)
    return f", {pace}" if pace else ""


def transition_is_known(result: Result, series: ReportSeries) -> bool:
    """Return whether all quenches show a kink and agree on the glass transition, by energy and by volume."""
    return not _transition(result, series)[1]


def share_above_warning(series: ReportSeries, warns_eV_A: float | None) -> str:
    """Return in how many steps of the line the committee is above its warning limit, if often, as "6 to 25 %"."""
    parts = [part for part in series.committee_md if part.temperature_K in _line_K(series)]
    if warns_eV_A is None or not parts:
        return ""
    shares = [round(100 * part.share_above(warns_eV_A)) for part in parts]
    if max(shares) <= _OFTEN_PERCENT:
        return ""
    return f"{min(shares)} %" if min(shares) == max(shares) else f"{min(shares)} to {max(shares)} %"


def _transition(result: Result, series: ReportSeries) -> Checked:
    """Return whether every quench has a kink, the glasses agree on it, and so do energy and volume where both are."""
    rows = {k: result.row(f"glass_transition{end}_K") for k, end in (("energy", ""), ("volume", "_by_volume"))}
    found = {kind: row for kind, row in rows.items() if row is not None}
    absent = [kind for kind in rows if any(note.startswith(f"{_NO_KINK} of the {kind}") for note in series.notes)]
    if not found:
        return [], ["the glass transition (no quench shows a kink)"] if absent else []
    counts = {kind: kinks(row.method) or _counted(row, series) for kind, row in found.items()}
    told = [f"{value_text(row)} K by the {kind}, a kink in {_of(*counts[kind])}" for kind, row in found.items()]
    told += [f"no kink of the {kind}" for kind in absent if kind not in found]
    estimates = [row.estimate for row in found.values()]
    settled = len(told) == len(found) and all(n == of > 1 for n, of in counts.values())
    settled = settled and all((e.standard_error or 0.0) < _SPREAD * e.value for e in estimates)
    settled = settled and (len(estimates) < 2 or kinks_agree(*estimates))
    words = f"the glass transition ({'; '.join(told)})"
    return ([words], []) if settled else ([], [words])


def _counted(row: QuantityRow, series: ReportSeries) -> tuple[int, int]:
    """Return how many quenches show a kink, and of how many, where the method, of an earlier version, does not say."""
    n = row.estimate.n_independent
    return n, max(series.n_glasses, n)


def _of(n: int, of: int) -> str:
    return f"{n} of {of} quench{'' if of == 1 else 'es'}"


def _melt(series: ReportSeries) -> Checked:
    notes = [note for note in series.notes if note.startswith("distance moved in the melt")]
    found = [entry for note in notes for entry in _MEMORY.findall(note)]
    gone = [element for element, _, remembers in found if not remembers]
    kept = [f"{element} (overlap {overlap})" for element, overlap, remembers in found if remembers]
    return (
        [f"the melt has forgotten the packing of {join_words(gone)}"] if gone else [],
        [f"the melt remembers the packing of {join_words(kept)}"] if kept else [],
    )
