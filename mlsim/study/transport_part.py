"""Lithium transport of the finished glasses: diffusivities, Arrhenius line, conductivity at 298 K, Haven ratio."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np

from mlsim.composition import Composition
from mlsim.curve import Estimate
from mlsim.errors import MlsimError, NotConverged
from mlsim.io.results import UPPER_BOUND, QuantityRow, Reference
from mlsim.io.series import ArrheniusPart, ArrheniusPoint, Line, MsdPart, Section
from mlsim.melt_quench import ThermoLog, glass_transition
from mlsim.melt_quench.glass_transition import kinks_agree
from mlsim.study.settings import StudySettings
from mlsim.study.structure_part import StructurePart
from mlsim.trajectory import Trajectory
from mlsim.transport import (
    ArrheniusFit,
    Diffusion,
    arrhenius,
    carriers_per_A3,
    diffusivities,
    fastest_in_framework,
    framework_diffusivities,
    framework_undecided,
    haven_ratio,
    liquid_reason,
    liquids_to_leave_out,
)
from mlsim.transport.equilibration import settling_share

__all__ = ["transport_part"]

_ROOM_K: Final = 298.0
_ONE_SIGMA: Final = 0.6826894921370859


def transport_part(
    trajectories: Mapping[float, Sequence[Trajectory]],
    quenches: Sequence[ThermoLog],
    settings: StudySettings,
    references: Mapping[str, Reference | None],
    settling: Mapping[float, Mapping[str, float]] | None = None,
    seed: int | None = None,
) -> StructurePart:
    """Return diffusivity at every temperature, and what follows at 298 K.

    Parameters
    ----------
    trajectories
        By temperature in K: one trajectory per glass.
    quenches
        Log of the quench of each glass; their glass transition decides which temperatures enter the Arrhenius line.
    settling
        By temperature in K and name of the run: the share of it that was cut, because its potential energy had not
        settled. None for trajectories that are whole: then it is read from them.
    seed
        Of the Monte Carlo draws of the Arrhenius line; by default that of the settings.
    """
    ion = settings.topology.mobile
    temperatures = sorted(trajectories)
    pairs = {t: diffusivities(trajectories[t], ion, temperature_K=t) for t in temperatures}
    mobile = {t: tracer for t, (tracer, _) in pairs.items()}
    others = {t: framework_diffusivities(trajectories[t], ion, temperature_K=t) for t in temperatures}
    framework = {t: _fastest(found) for t, found in others.items()}
    carriers = float(np.mean([carriers_per_A3(trajectories[t], ion) for t in temperatures]))
    charge = Composition.parse(settings.composition).formal_charges()[ion]
    rows, notes = _transition(quenches, trajectories[temperatures[0]][0].n_atoms)
    limit = rows[0].estimate.value if rows and not _takes_all(settings) else None
    rows += [_diffusivity_row(mobile[t], ion) for t in temperatures]
    rows += [_diffusivity_row(d, d.label) for t in temperatures for d in others[t] if d.diffusive or d.is_bounded]
    notes += _notes(mobile, framework, ion) + _undecided(mobile, others, ion)
    notes += [f"{t:g} K: {note}" for t in temperatures for note in mobile[t].notes]
    left_out, said = _left_out(mobile, others, settings)
    notes += said
    fit, missing = _line(list(mobile.values()), limit, left_out, settings.seed if seed is None else seed)
    if fit is None:
        notes.append(f"no activation energy and no conductivity at 298 K: {missing['arrhenius']}")
    else:
        rows += _fit_rows(fit, carriers, charge, references)
        notes.append(_interval_note(fit, carriers, charge))
        notes.extend(f"Arrhenius line: {flag}" for flag in fit.flags)
    liquid = {t for t in temperatures if framework[t] is not None or (limit is not None and t > limit)}
    haven = _haven(pairs, () if fit is None else fit.temperatures_K.tolist(), liquid)
    if haven is not None:
        rows.append(haven)
    settled = settling if settling is not None else {t: _settling(trajectories[t]) for t in temperatures}
    series: dict[str, Any] = {
        "msd": tuple(_msd_part(mobile[t], ion, settled.get(t)) for t in temperatures),
        "arrhenius": _arrhenius_part(mobile, others, fit, carriers),
        "missing": missing,
    }
    return StructurePart(tuple(rows), series, tuple(notes))


def _line(
    points: Sequence[Diffusion], limit_K: float | None, left_out: Mapping[float, str], seed: int
) -> tuple[ArrheniusFit | None, dict[Section, str]]:
    """Return the Arrhenius line through points by temperature, or why there is none."""
    try:
        return arrhenius(points, glass_transition_K=limit_K, left_out=left_out, seed=seed), {}
    except NotConverged as error:  # the reasons at each temperature are notes of their own
        return None, {"arrhenius": str(error).partition(" (")[0]}


def _takes_all(settings: StudySettings) -> bool:
    return settings.transport is not None and settings.transport.include_above_glass_transition


def _transition(quenches: Sequence[ThermoLog], n_atoms: int) -> tuple[list[QuantityRow], list[str]]:
    """Return the glass transition by the kink of the energy, and of the volume; notes say what is wrong with it."""
    notes: list[str] = []
    rows: list[QuantityRow] = []
    kinds: tuple[tuple[Literal["energy", "volume"], str], ...] = (("energy", ""), ("volume", "_by_volume"))
    for kind, ending in kinds:
        try:
            found = glass_transition(quenches, n_atoms, kind=kind)
        except MlsimError as error:
            notes.append(str(error))
            continue
        notes += [found.caution] if found.caution else []
        rows.append(QuantityRow(f"glass_transition{ending}_K", found.temperature, found.method))
    if len(rows) == 2 and not kinks_agree(rows[0].estimate, rows[1].estimate):
        energy, volume = (row.estimate for row in rows)
        notes.append(
            f"glass transition: {_rounded(energy)} by the energy and {_rounded(volume)} by the volume disagree, so it "
            "is not known to better than that; temperatures are judged by that of the energy"
        )
    return rows, list(dict.fromkeys(notes))


def _rounded(kelvin: Estimate) -> str:
    error = "" if kelvin.standard_error is None else f" ± {kelvin.standard_error:.0f}"
    return f"{kelvin.value:.0f}{error} K"


def _left_out(
    mobile: Mapping[float, Diffusion], others: Mapping[float, Sequence[Diffusion]], settings: StudySettings
) -> tuple[dict[float, str], list[str]]:
    """Return the temperatures at which the framework flows, unless too few are left for a line, and a note then."""
    if _takes_all(settings):
        return {}, []
    flowing = {t: reason for t, found in others.items() if (reason := liquid_reason(found)) is not None}
    left_out, note = liquids_to_leave_out(list(mobile.values()), flowing)
    return left_out, [] if note is None else [note]


def _fastest(found: Sequence[Diffusion]) -> Diffusion | None:
    """Return the fastest element, if one of them diffuses at all."""
    moving = [d for d in found if d.diffusive]
    return max(moving, key=lambda d: d.diffusivity.value) if moving else None


def _diffusivity_row(diffusion: Diffusion, ion: str) -> QuantityRow:
    name = f"{ion.lower()}_diffusivity_cm2_s"
    method = diffusion.reason if diffusion.diffusive else f"{UPPER_BOUND} (95 %), {diffusion.reason}"
    return QuantityRow(name, diffusion.diffusivity, method, temperature_K=diffusion.temperature_K)


def _fit_rows(
    fit: ArrheniusFit, carriers: float, charge: int, references: Mapping[str, Reference | None]
) -> list[QuantityRow]:
    span = f"{min(fit.temperatures_K):g} to {max(fit.temperatures_K):g} K"
    sigma = fit.conductivity_at(_ROOM_K, carriers, charge)
    return [
        QuantityRow(
            "activation_energy_eV",
            fit.activation_energy,
            f"weighted Arrhenius line, {span}",
            reference=references.get("activation_energy_eV"),
        ),
        QuantityRow(
            "conductivity_298K_mS_cm",
            sigma,
            f"Nernst-Einstein, extrapolated from {span}; error: x sinh(s), where x exp(-s) to x exp(s) covers the 68 % "
            "interval",
            temperature_K=None,
            reference=references.get("conductivity_298K_mS_cm"),
        ),
    ]


def _interval_note(fit: ArrheniusFit, carriers: float, charge: int) -> str:
    interval = fit.conductivity_interval(_ROOM_K, carriers, charge, level=0.95)
    return (
        f"conductivity at 298 K is extrapolated from {min(fit.temperatures_K):g} to {max(fit.temperatures_K):g} K "
        f"(Nernst-Einstein, Haven ratio one): between {interval.low:.2g} and {interval.high:.2g} mS/cm with 95 % "
        "probability if the line is straight"
    )


def _haven(
    pairs: Mapping[float, tuple[Diffusion, Diffusion]], line_K: Collection[float], liquid: Collection[float]
) -> QuantityRow | None:
    """Return the Haven ratio at the hottest temperature of the line that gives one: there the statistics are best.

    Where no temperature of the line does, at the hottest other one of the glass, and only then of the liquid.
    """
    order = sorted(pairs, key=lambda t: (t in line_K, t not in liquid, t), reverse=True)
    for temperature in order:
        ratio = haven_ratio(*pairs[temperature])
        if ratio is not None:
            method = "tracer over collective diffusivity"
            method += "; a liquid there" if temperature in liquid else ""
            return QuantityRow("haven_ratio", ratio, method, temperature_K=temperature)
    return None


def _notes(mobile: Mapping[float, Diffusion], framework: Mapping[float, Diffusion | None], ion: str) -> list[str]:
    notes = []
    for temperature, diffusion in mobile.items():
        if not diffusion.diffusive:
            notes.append(f"{temperature:g} K: {ion} is {diffusion.reason}; D given there is an upper bound")
    liquid = {t: d for t, d in framework.items() if d is not None}
    if liquid:
        listed = "; ".join(
            f"{t:g} K: {d.label} {d.diffusivity.value:.1e} against {ion} {mobile[t].diffusivity.value:.1e} cm2/s"
            for t, d in liquid.items()
        )
        notes.append(
            f"the framework diffuses as well at {', '.join(f'{t:g}' for t in liquid)} K ({listed}): a liquid on the "
            "time scale of these runs, whatever the kink of the quench says, and a line from there does not hold for "
            "the glass at 298 K"
        )
    return notes


def _undecided(mobile: Mapping[float, Diffusion], others: Mapping[float, Sequence[Diffusion]], ion: str) -> list[str]:
    """Say at which temperatures the runs are too short to tell a glass from a liquid."""
    open_at = [f"{t:g}" for t, found in others.items() if framework_undecided(found, mobile[t])]
    if not open_at:
        return []
    return [
        f"{', '.join(open_at)} K: too short to tell whether the framework diffuses as well (its diffusivity may exceed "
        f"5% of that of {ion}), so these may be liquid too"
    ]


def _settling(trajectories: Sequence[Trajectory]) -> dict[str, float]:
    shares = {f"glass-{number}": settling_share(t) for number, t in enumerate(trajectories, start=1)}
    return {name: share for name, share in shares.items() if share is not None}


def _msd_part(diffusion: Diffusion, ion: str, settling: Mapping[str, float] | None) -> MsdPart:
    msd, window = diffusion.msd, diffusion.window
    sigma = msd.sigma_A2
    return MsdPart(
        temperature_K=diffusion.temperature_K,
        element=ion,
        lag_ps=tuple(msd.lag_ps.tolist()),
        msd_A2=tuple(msd.msd_A2.tolist()),
        standard_error_A2=None if sigma is None else tuple(sigma.tolist()),
        fit_from_ps=None if window is None else window.start_ps,
        fit_to_ps=None if window is None else window.stop_ps,
        diffusive=diffusion.diffusive,
        settling=dict(settling) if settling else None,
    )


def _doubt(diffusion: Diffusion, moving: Diffusion | None) -> str:
    """Why a point of the Arrhenius plot should be doubted, or nothing; the caveats say more."""
    if moving is not None:
        return f"{moving.label} diffuses as well: liquid"
    window = diffusion.window
    if window is None or window.proportional:
        return ""
    return f"MSD ~ t^{window.log_slope:.2f}" + (" only" if window.log_slope < 1 else ", faster than time")


def _point(temperature: float, diffusion: Diffusion, framework: Sequence[Diffusion], used: bool) -> ArrheniusPoint:
    moving, window = _fastest(framework), diffusion.window
    state: Literal["rests", "undecided", "flows"] = "rests" if moving is None else "flows"
    if framework_undecided(framework, diffusion):
        state = "undecided"
    fastest, ratio, bounded = fastest_in_framework(framework, diffusion) or (None, None, None)
    return ArrheniusPoint(
        temperature_K=temperature,
        diffusivity_cm2_s=diffusion.diffusivity.value,
        standard_error_cm2_s=diffusion.diffusivity.standard_error,
        diffusive=diffusion.diffusive,
        used=used,
        note=_doubt(diffusion, moving),
        log_slope=None if window is None or not math.isfinite(window.log_slope) else window.log_slope,
        framework=state,
        fastest=fastest,
        fastest_over_ion=ratio,
        fastest_is_bound=bounded,
    )


def _arrhenius_part(
    mobile: Mapping[float, Diffusion],
    others: Mapping[float, Sequence[Diffusion]],
    fit: ArrheniusFit | None,
    carriers: float,
) -> ArrheniusPart:
    used = set() if fit is None else {float(t) for t in fit.temperatures_K}
    positive = {t: d for t, d in mobile.items() if math.isfinite(d.diffusivity.value) and d.diffusivity.value > 0}
    points = [_point(t, diffusion, others[t], t in used) for t, diffusion in positive.items()]
    if fit is None:
        return ArrheniusPart(points=tuple(points), carriers_per_A3=carriers)
    inverse = np.linspace(1 / max(mobile), 1 / _ROOM_K, 60)
    grid = 1 / inverse
    intervals = [fit.diffusivity_interval(float(t), _ONE_SIGMA) for t in grid]
    wide = [fit.diffusivity_interval(float(t), 0.95) for t in grid]
    return ArrheniusPart(
        points=tuple(points),
        line=Line(x=tuple(grid.tolist()), y=tuple(fit.diffusivity_at(float(t)).value for t in grid)),
        line_low=tuple(interval.low for interval in intervals),
        line_high=tuple(interval.high for interval in intervals),
        line_low_95=tuple(interval.low for interval in wide),
        line_high_95=tuple(interval.high for interval in wide),
        carriers_per_A3=carriers,
    )
