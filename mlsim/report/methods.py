"""The methods text: what was done, with every setting, as sentences that can be pasted into a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlsim.io.results import Provenance, Result
from mlsim.io.run_folder import Refinement
from mlsim.io.series import ReportSeries
from mlsim.report.words import join_words, pair_text

__all__ = ["all_settings", "methods_text", "series_methods"]

_ENSEMBLES: Final = {"nvt": "at constant volume", "npt": "at constant pressure"}
_THERMOSTATS: Final = {"langevin": "Langevin", "nose-hoover": "Nosé–Hoover"}
_VOLUME_OF_GLASS: Final = "the mean over the second half of the last hold at constant pressure of its quench"
_VOLUME: Final = f"for a glass {_VOLUME_OF_GLASS}, for a crystal that of the cell relaxed at zero pressure and 0 K"
# as `mlsim.transport.fit_window` has it; a test compares the numbers, and windows that the rule gives with its own
_WINDOW: Final = (
    "Diffusivities are a sixth of the slope of a line with an intercept through the mean squared displacement, fitted "
    "with the covariance of a rattling walk. It begins where motion is diffusive (the displacement is a²/2 or more, "
    "with a = 2.5 Å, a hop, and grows up to four times that time as t^b with b within 0.15 of one, plus the error of "
    "b, 0.2 at most) and has besides either come to 3a² = 19 Å² or gone on for an eighth of the shortest trajectory. "
    "It ends at four times that time, or at half of the shortest trajectory if that is sooner. The displacement must "
    "grow there as t^b with b within 0.2 of one, plus twice the error of b; where it does not, an upper bound is "
    "given. "
)
_LEFT_OUT: Final = (
    "temperatures above the glass transition of the quench (the kink of the energy, or of the volume where the energy "
    "has none; mean over the glasses that show one), those at which the framework diffuses as well, and upper bounds "
    "are left out"
)
_SPARED: Final = ". (A framework that diffuses is no reason where fewer than two temperatures would remain.)"


def methods_text(
    settings: Mapping[str, Any] | None,
    series: ReportSeries | None,
    result: Result | None,
    refinement: Refinement | None = None,
) -> list[str]:
    """Return the paragraphs; one whose source is not there is left out.

    Parameters
    ----------
    settings
        Content of study.json.
    series, result, refinement
        As in `mlsim.io.run_folder.RunFolder`.
    """
    paragraphs: list[str] = []
    if settings is not None:
        simulation, analysis = settings["simulation"], settings["analysis"]
        paragraphs.append(_glasses(simulation, settings, series))
        paragraphs.append(_structure(analysis, series))
        if simulation.get("transport"):
            paragraphs.append(_transport(simulation["transport"], analysis, result))
    if refinement is not None:
        paragraphs.append(_refinement(refinement))
    paragraphs.append(_statistics(series))
    if result is not None:
        paragraphs.append(_software(result.provenance))
    return [paragraph for paragraph in paragraphs if paragraph]


def all_settings(settings: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return every setting as key and value, nested keys joined by dots.

    Examples
    --------
    >>> all_settings({"seed": 1, "glasses": {"atoms": 114}, "segments": [{"name": "melt"}], "measurement": []})
    [('seed', '1'), ('glasses.atoms', '114'), ('segments.1.name', 'melt'), ('measurement', 'none')]
    """
    return [] if settings is None else _flat(settings, "")


def series_methods(settings: Mapping[str, Any]) -> list[str]:
    """Return the paragraphs on a campaign, from the settings in campaign.json; what they do not hold is left out."""
    paragraphs: list[str] = []
    if isinstance(schedule := settings.get("quench"), Mapping):
        packed = settings.get("packing_density_g_cm3")
        at = "" if packed is None else f" at {packed:g} g/cm³"
        paragraphs.append(f"Glasses were packed at random{at} and made with {_schedule(schedule)}.")
    paragraphs += _crystals(settings.get("systems"))
    for key, what in (("structure", "Structure and scattering"), ("md", "Transport")):
        run = settings.get(key)
        if isinstance(run, Mapping) and {"time_ps", "equilibration_ps", "timestep_fs", "interval_ps"} <= set(run):
            kelvin = run.get("temperatures_K") or [run.get("temperature_K")]
            temperatures = join_words([f"{t:g}" for t in kelvin if t is not None])
            paragraphs.append(
                f"{what}: molecular dynamics at constant volume at {temperatures} K, {run['equilibration_ps']:g} ps to "
                f"settle and {run['time_ps']:g} ps recorded every {run['interval_ps']:g} ps, with a time step of "
                f"{run['timestep_fs']:g} fs."
            )
    if settings.get("structure") or settings.get("md"):
        paragraphs.append(f"The constant volume is {_VOLUME}.")
    scattering = settings.get("scattering")
    if isinstance(scattering, Mapping) and isinstance(scattering.get("q_max_per_A"), int | float):
        paragraphs.append(
            "Scattering is the exact sum over pairs in the ⟨f⟩² normalisation (neutrons: ⟨b⟩²), with form factors of "
            f"neutral atoms, to {scattering['q_max_per_A']:g} 1/Å; G_PDF(r) is its sine transform to there."
        )
    if settings.get("md"):
        paragraphs.append(
            f"Trajectories were cut where the potential energy settles. {_WINDOW}From the Arrhenius line "
            f"{_LEFT_OUT}{_SPARED} Its errors are drawn by Monte Carlo over glasses."
        )
    rmc = settings.get("rmc")
    if settings.get("measurements") and isinstance(rmc, Mapping) and {"runs", "moves_per_atom"} <= set(rmc):
        paragraphs.append(
            f"Each glass was refined by {_count(rmc['runs'], 'run', 'runs')} of Reverse Monte Carlo with "
            f"{rmc['moves_per_atom']:g} proposals per atom against "
            f"{join_words([str(m['file']).rpartition('/')[2] for m in settings['measurements']])}; the fit that is "
            "drawn is that of the first glass, the numbers are means over all."
        )
    if settings.get("potential"):
        paragraphs.append(
            f"Atoms moved on the potential {settings['potential']}; seed {settings.get('seed', 'not given')}."
        )
    return paragraphs


def _crystals(systems: Any) -> list[str]:
    """Return a sentence on the systems that were not quenched."""
    if not isinstance(systems, Mapping):
        return []
    found = [s for s in systems.values() if isinstance(s, Mapping) and s.get("crystal")]
    named = [
        f"{s['formula']} ({_count(s['runs'], 'run', 'runs')} of at most {s['atoms']} atoms)"
        for s in found
        if {"formula", "runs", "atoms"} <= set(s)
    ]
    return [f"Crystals, cell and atoms relaxed at zero pressure: {join_words(named)}."] if named else []


def _flat(value: Any, key: str) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        return [pair for k, v in value.items() for pair in _flat(v, f"{key}.{k}" if key else str(k))]
    if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping | list | tuple):
        return [pair for n, v in enumerate(value, start=1) for pair in _flat(v, f"{key}.{n}")]
    if isinstance(value, list | tuple):
        return [(key, ", ".join(_plain(v) for v in value) or "none")]
    return [(key, "none" if value in ({}, None) else _plain(value))]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _glasses(simulation: Mapping[str, Any], settings: Mapping[str, Any], series: ReportSeries | None) -> str:
    glasses = simulation["glasses"]
    one = glasses["number"] == 1
    engine = "" if series is None or series.potential is None else series.potential.engine
    named = settings.get("potential", "of the hash given below") + (f" ({engine})" if engine else "")
    return (
        f"{_count(glasses['number'], 'independent glass', 'independent glasses')} of {simulation['composition']} with "
        f"{glasses['atoms']} atoms{' was' if one else ' each were'} made by molecular dynamics with the potential "
        f"{named}. Atoms were packed at random at {glasses['packing_density_g_cm3']:g} g/cm³ and ran through "
        f"{_schedule(simulation['melt_quench'])}. Seed {simulation['seed']} decides all random numbers."
    )


def _schedule(schedule: Mapping[str, Any]) -> str:
    """Return a schedule in words: its segments, time step, thermostats and barostat."""
    segments = schedule["segments"]
    kinds = {part["thermostat"]: part["thermostat_time_ps"] for part in segments}
    baths = [f"a {_THERMOSTATS.get(kind, kind)} thermostat of {time:g} ps" for kind, time in kinds.items()]
    pressures = sorted({part["barostat_time_ps"] for part in segments if part["ensemble"] == "npt"})
    baths += [f"a barostat of {time:g} ps" for time in pressures]
    steps = "; ".join(_segment(part) for part in segments)
    return (
        f"these steps: {schedule['relax_steps']} steps of relaxation; {steps}; "
        f"with a time step of {schedule['timestep_fs']:g} fs, {join_words(baths)}"
    )


def _segment(part: Mapping[str, Any]) -> str:
    where = _ENSEMBLES.get(part["ensemble"], part["ensemble"])
    pressure = part.get("pressure_GPa")
    at = f" ({pressure:g} GPa)" if pressure is not None else ""
    if part["kind"] == "ramp":
        rate = part.get("rate_K_per_ps")
        pace = f"at {rate:g} K/ps" if rate is not None else f"in {part['duration_ps']:g} ps"
        return f"{part['name']} from {part['from_K']:g} to {part['to_K']:g} K {pace} {where}{at}"
    return f"{part['name']} for {part['duration_ps']:g} ps at {part['temperature_K']:g} K {where}{at}"


def _structure(analysis: Mapping[str, Any], series: ReportSeries | None) -> str:
    scattering, topology = analysis["scattering"], analysis["topology"]
    text = (
        "Structure was averaged over the second half of the last segment. X-ray S(Q) is the exact sum over pairs in "
        f"the ⟨f⟩² normalisation with form factors of {_factors(scattering['form_factors'])}, from "
        f"{scattering['q_min_per_A']:g} to {scattering['q_max_per_A']:g} 1/Å in steps of "
        f"{scattering['q_step_per_A']:g} 1/Å; G_PDF(r) is its sine transform with a {scattering['window']} window. "
    )
    text += f"{topology['center']} is the centre of the polyhedra, {join_words(list(topology['bridging']))} bridge"
    cutoffs = {} if series is None or series.snapshot is None else series.snapshot.cutoffs_A
    pairs = {"-".join(sorted((topology["center"], anion))) for anion in topology["bridging"]}
    bonds = [f"{pair_text(pair)} {value:.2f} Å" for pair, value in sorted(cutoffs.items()) if pair in pairs]
    how = "the first minimum of g(r)" if not topology["cutoffs_A"] else "the settings, else the first minimum of g(r)"
    return f"{text}; bonds end at {how}{f' ({join_words(bonds)})' if bonds else ''}."


def _factors(kind: str) -> str:
    return "neutral atoms" if kind == "neutral" else "ions"


def _transport(transport: Mapping[str, Any], analysis: Mapping[str, Any], result: Result | None) -> str:
    temperatures = join_words([f"{t:g}" for t in analysis["temperatures_K"]])
    text = (
        f"Every glass then ran at constant volume ({_VOLUME_OF_GLASS}) at {temperatures} K: "
        f"{transport['equilibration_ps']:g} ps to settle, {transport['time_ps']:g} ps recorded every "
        f"{transport['frame_interval_fs']:g} fs, with a time step of {transport['timestep_fs']:g} fs. {_WINDOW}"
    )
    above = transport["include_above_glass_transition"]
    kept = "Temperatures above the glass transition of the quench, and those of a framework that diffuses, were kept. "
    text += kept if above else ""
    row = None if result is None else result.row("conductivity_298K_mS_cm")
    if row is None:
        return text.strip()
    rule = "" if above else f", from which {_LEFT_OUT}"
    spared = "" if above else _SPARED.removeprefix(".")
    return f"{text}The conductivity at 298 K follows from a weighted Arrhenius line{rule}: {row.method}.{spared}"


def _refinement(refinement: Refinement) -> str:
    fits = [row for row in refinement.result.rows if row.name.startswith("rw_") and "start" not in row.name]
    named = [f"{row.name.removeprefix('rw_')} ({row.method.partition(';')[0]})" for row in fits]
    runs = max((row.estimate.n_independent for row in fits), default=0)
    return f"Reverse Monte Carlo fitted {join_words(named)} in {_count(runs, 'run', 'runs')}." if named else ""


def _statistics(series: ReportSeries | None) -> str:
    n = 0 if series is None else series.n_glasses
    noun = "runs" if series is not None and series.is_crystal else "glasses"
    over = f"the {n} {noun}" if n > 1 else f"independent {noun}"
    return (
        f"Numbers are means over {over} with the standard error, but for the glass transition, a mean over the glasses "
        "whose quench shows a kink, the diffusivities, whose errors hold more than that scatter, and what is read from "
        "the Arrhenius line (activation energy, prefactor, conductivity at 298 K), with errors by Monte Carlo. "
        "A difference from a published value is judged "
        "at 95 % by Welch's t for so few glasses, diffusivities and conductivities as logarithms, corrected for the "
        "number of comparisons (Holm). The interval of the conductivity at 298 K takes the errors of the points of the "
        "Arrhenius line as known, without Student's t, so that a published value outside it may still be undecided. "
        "Errors of the potential, the cell size and the cooling rate are not in it."
    )


def _software(provenance: Provenance) -> str:
    versions = [f"{name} {version}" for name, version in provenance.versions.items()]
    text = f"mlsim {provenance.mlsim}" + (f" with {join_words(versions)}" if versions else "")
    hashes: Sequence[tuple[str, str | None]] = (
        ("potential", provenance.potential_sha256),
        ("settings", provenance.settings_sha256),
    )
    named = [f"{what} SHA-256 {sha}" for what, sha in hashes if sha]
    return f"{text}{'; ' if named else ''}{'; '.join(named)}."


def _count(n: int, one: str, many: str) -> str:
    return f"{n} {one if n == 1 else many}"
