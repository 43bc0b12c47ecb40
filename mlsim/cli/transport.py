"""`mlsim transport`: diffusivity, conductivity, Haven ratio and the Arrhenius line from trajectories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlsim.cli.files import Force, require_absent

if TYPE_CHECKING:
    from mlsim.curve import Estimate
    from mlsim.io.results import QuantityRow
    from mlsim.trajectory import Trajectory
    from mlsim.transport import ArrheniusFit, Diffusion

__all__ = ["by_temperature", "transport"]

Groups = Mapping[float, "list[Trajectory]"]

Trajectories = Annotated[
    list[Path], typer.Argument(metavar="TRAJECTORY...", help="trajectory.h5 of mlsim, or what ASE reads.")
]
Output = Annotated[Path, typer.Option("-o", "--output", metavar="FILE.json", help="Result.")]
Temperatures = Annotated[
    list[float] | None,
    typer.Option("--temperature-K", help="One for all trajectories, or one for each; left out: as the files say."),
]
Interval = Annotated[
    float | None, typer.Option("--interval-ps", help="Time between frames, for files that do not say it.")
]
Discard = Annotated[
    float | None,
    typer.Option(
        "--discard-ps", min=0, help="Cut from the start; left out: until the potential energy has settled, if known."
    ),
]
Unwrapped = Annotated[
    bool, typer.Option("--unwrapped", help="Take positions of foreign files as they stand: they were never wrapped.")
]
Figure = Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw it too (.png, .pdf or .svg).")]

ROOM_K = 298.0


def transport(
    trajectories: Trajectories,
    output: Output,
    element: Annotated[str, typer.Option(help="The ion that moves.")] = "Li",
    temperature: Temperatures = None,
    interval: Interval = None,
    charge: Annotated[float | None, typer.Option(help="Charge of the ion, e; its formal charge when left out.")] = None,
    drift: Annotated[
        Literal["auto", "framework", "cell", "none"], typer.Option(help="What displacements are taken against.")
    ] = "auto",
    discard: Discard = None,
    unwrapped: Unwrapped = False,
    quench: Annotated[
        list[Path] | None,
        typer.Option("--quench", metavar="THERMO.csv", help="Logs of the quenches: find the glass transition."),
    ] = None,
    include_above_tg: Annotated[
        bool,
        typer.Option(
            "--include-above-tg",
            help="Fit temperatures of the liquid too: above the glass transition, or where the framework diffuses.",
        ),
    ] = False,
    figure: Figure = None,
    force: Force = False,
) -> None:
    """Diffusivity, conductivity, Haven ratio; with several temperatures the Arrhenius line down to 298 K.

    Trajectories at one temperature count as independent glasses; give them in the same order at each temperature.
    """
    from mlsim.transport import liquids_to_leave_out

    require_absent(output, force)
    if figure is not None:
        require_absent(figure, force)
    groups = by_temperature(trajectories, temperature or [], interval, discard, unwrapped=unwrapped, element=element)
    charges = _charges_in(groups, element, charge)
    rows, transition = _transition_rows(quench or [], groups)
    points, flowing = [], {}
    for kelvin, group in sorted(groups.items()):
        pair, found, reason = _at_one_temperature(group, kelvin, element, charges, drift)
        points.append(pair)
        rows += found
        if reason is not None:
            flowing[kelvin] = reason
    refused, note = ({}, None) if include_above_tg else liquids_to_leave_out(points, flowing)
    if note is not None:
        _say(note)
    limit = None if include_above_tg else transition
    fit, found = _arrhenius_rows(points, groups, element, charges[element], limit, refused)
    write_rows(output, rows + found)
    if figure is not None:
        from mlsim.report.transport_figure import write_transport_figure

        write_transport_figure(figure, points, fit)
        typer.echo(f"wrote {figure}")


def _at_one_temperature(
    group: Sequence[Trajectory],
    kelvin: float,
    element: str,
    charges: Mapping[str, float],
    drift: Literal["auto", "framework", "cell", "none"],
) -> tuple[Diffusion, list[QuantityRow], str | None]:
    """Return the tracer diffusivity, the rows, and why it is a liquid if it is one; say what needs care."""
    from mlsim.transport import diffusivities, framework_diffusivities, framework_undecided, liquid_reason

    pair = diffusivities(group, element, drift=drift, temperature_K=kelvin)
    rows = _rows_at(pair, group, element, charges)
    framework = framework_diffusivities(group, element, temperature_K=kelvin)
    rows += [
        row(f"{d.label.lower()}_diffusivity_cm2_s", d.diffusivity, _method(d, "single ions"), kelvin)
        for d in framework
        if d.diffusive or d.is_bounded
    ]
    for note in pair[0].notes:
        _say(f"{kelvin:g} K: {note}")
    reason = liquid_reason(framework)
    if reason is not None:
        _say(f"{kelvin:g} K: {reason}")
    elif framework_undecided(framework, pair[0]):
        _say(f"{kelvin:g} K: too short to tell whether the framework diffuses as well, at over 5 % of {element}")
    return pair[0], rows, reason


def _rows_at(
    pair: tuple[Diffusion, Diffusion], group: Sequence[Trajectory], element: str, charges: Mapping[str, float]
) -> list[QuantityRow]:
    """Return what is known at one temperature."""
    from mlsim.transport import ageing, carriers_per_A3, conductivity, haven_ratio

    tracer, together = pair
    kelvin, carriers, ion = tracer.temperature_K, carriers_per_A3(group, element), element.lower()
    charge = charges[element]

    alone, collective = _method(tracer, "single ions"), _method(together, f"all {element} together")
    rows = [
        row(f"{ion}_diffusivity_cm2_s", tracer.diffusivity, alone, kelvin),
        row(f"{ion}_charge_diffusivity_cm2_s", together.diffusivity, collective, kelvin),
        row("conductivity_mS_cm", conductivity(tracer, carriers, charge), f"{alone}; Nernst-Einstein", kelvin),
        row("conductivity_einstein_mS_cm", conductivity(together, carriers, charge), f"{collective}; Einstein", kelvin),
    ]
    ratio = haven_ratio(tracer, together)
    if ratio is not None:
        rows.append(row("haven_ratio", ratio, "tracer over collective diffusivity", kelvin))
    rows += _all_ions_rows(tracer, together, group, charges)
    slowing = ageing(group, tracer)
    if slowing is not None:
        text = "diffusivity in the second half of the runs over that in the first; below one: ageing"
        rows.append(row("ageing_ratio", slowing, text, kelvin))
        if slowing.standard_error and abs(slowing.value - 1) > 2 * slowing.standard_error:
            _say(f"{kelvin:g} K: not stationary, {element} in the second half moves {slowing} times as fast")
    return rows


def _method(found: Diffusion, of: str) -> str:
    """Return where a diffusivity comes from, and against what displacements were taken."""
    from mlsim.io.results import UPPER_BOUND

    said = found.reason if found.diffusive else f"{UPPER_BOUND} (95 %), {found.reason}"
    against = "" if found.drift == "none" else f"; against the {found.drift}"
    return f"{said}; {of}{against}"


def _charges_in(groups: Groups, element: str, given: float | None) -> dict[str, float]:
    """Return the formal charges of all elements, or that of the ion only where they are not known or overridden."""
    from mlsim.composition import FORMAL_CHARGES, Composition
    from mlsim.errors import MlsimError, SettingsError

    if given is not None and not (given and math.isfinite(given)):
        raise SettingsError(f"--charge {given:g}: expected a charge other than zero, e")
    elements = list(next(iter(groups.values()))[0].elements)
    try:
        formal: dict[str, float] = dict(Composition.of_atoms(elements).formal_charges())
    except MlsimError as error:
        formal = {}
        if len(set(elements)) > 1:
            _say(f"no conductivity of all ions together: {error}")
    usual = formal.get(element, FORMAL_CHARGES[element][0] if len(FORMAL_CHARGES.get(element, ())) == 1 else None)
    if given is None and usual is None:
        raise SettingsError(f"{element}: no formal charge known here; give --charge")
    if given is not None and usual not in (None, given):
        _say(f"--charge {given:g}: not the formal charge {usual:+g}, so no conductivity of all ions together")
        return {element: given}
    return formal | {element: float(given if given is not None else usual or 0)}


def _all_ions_rows(
    tracer: Diffusion, together: Diffusion, group: Sequence[Trajectory], charges: Mapping[str, float]
) -> list[QuantityRow]:
    """Return the conductivity of all ions and the share of each pair, where charges of all are known."""
    from mlsim.transport import ionic_conductivity

    if together.window is None or not tracer.diffusive or not set(group[0].elements) <= set(charges):
        return []
    kelvin = tracer.temperature_K
    found = ionic_conductivity(group, charges, together.window, temperature_K=kelvin, n_hops=tracer.n_hops)
    text = (
        f"Einstein, all ions with formal charges and their cross terms; {together.window}, not corrected for hops that "
        "are not forgotten there"
    )
    pair = "e² z_a z_b L_ab (twice for a and b unlike), against the centre of mass: only the sum is free of this choice"
    pairs = [
        row(f"conductivity_{a.lower()}_with_{b.lower()}_mS_cm", estimate, pair, kelvin)
        for (a, b), estimate in found.pairs.items()
    ]
    return [row("conductivity_all_ions_mS_cm", found.total, text, kelvin), *pairs]


def _transition_rows(files: Sequence[Path], groups: Groups) -> tuple[list[QuantityRow], float | None]:
    """Return the glass transition by energy and by volume, and the one that temperatures are compared with."""
    from mlsim.errors import MlsimError
    from mlsim.io.tables import read_thermo_csv
    from mlsim.melt_quench import glass_transition

    if not files:
        return [], None
    n_atoms = next(iter(groups.values()))[0].n_atoms
    logs = [read_thermo_csv(file) for file in files]
    rows: list[QuantityRow] = []
    for kind in ("energy", "volume"):
        try:
            found = glass_transition(logs, n_atoms, kind=kind)
        except MlsimError as error:  # a quench too short for a kink is no reason to lose the diffusivities
            _say(str(error))
            continue
        name = "glass_transition_K" if kind == "energy" else "glass_transition_by_volume_K"
        rows.append(row(name, found.temperature, found.method))
        if found.caution:
            _say(found.caution)
    first = rows[0].estimate.value if rows else None
    above = [f"{t:g}" for t in groups if first is not None and t > first]
    if above:
        _say(f"{', '.join(above)} K: above the glass transition at {first:.0f} K")
    return rows, first


def _arrhenius_rows(
    points: Sequence[Diffusion],
    groups: Groups,
    element: str,
    charge: float,
    limit_K: float | None,
    refused: Mapping[float, str],
) -> tuple[ArrheniusFit | None, list[QuantityRow]]:
    """Return the line through several temperatures and its rows; None, with a note, where there is none."""
    from mlsim.errors import NotConverged
    from mlsim.transport import arrhenius

    counts = sorted({len(group) for group in groups.values()})
    if len(counts) > 1:
        _say(
            f"{counts[0]} to {counts[-1]} trajectories a temperature: where there are fewer, less of what glasses "
            "differ by is in the error, and the line takes it for an effect of temperature"
        )
    if len(groups) == 1:
        _say("one temperature only: no activation energy and no conductivity at 298 K; give two or more, better four")
        return None, []
    try:
        fit = arrhenius(points, glass_transition_K=limit_K, left_out=refused)
    except NotConverged as error:
        _say(str(error))
        return None, []
    used = set(fit.temperatures_K)
    return fit, _rows_of_fit(fit, [t for k, group in groups.items() if k in used for t in group], element, charge)


def _rows_of_fit(
    fit: ArrheniusFit, trajectories: Sequence[Trajectory], element: str, charge: float
) -> list[QuantityRow]:
    from mlsim.curve import Estimate
    from mlsim.transport import carriers_per_A3

    for flag in fit.flags:
        _say(flag)
    span = f"{min(fit.temperatures_K):g} to {max(fit.temperatures_K):g} K"
    carriers = carriers_per_A3(trajectories, element)
    sigma = fit.conductivity_at(ROOM_K, carriers, charge)
    text = f"Nernst-Einstein, extrapolated from {span}, with the density of these runs"
    rows = [
        row("activation_energy_eV", fit.activation_energy, f"weighted Arrhenius line, {span}; errors of {fit.source}"),
        row("diffusivity_prefactor_cm2_s", fit.prefactor, f"D0 of that line, {span}"),
        row(
            "conductivity_298K_mS_cm",
            sigma,
            f"{text}; error: x sinh(s), where x exp(-s) to x exp(s) covers the 68 % interval",
        ),
    ]
    for level in (0.68, 0.95):
        interval = fit.conductivity_interval(ROOM_K, carriers, charge, level=level)
        for end, value in (("low", interval.low), ("high", interval.high)):
            bound = Estimate(value, None, sigma.n_independent, "mS/cm")
            rows.append(
                row(f"conductivity_298K_{100 * level:.0f}_{end}_mS_cm", bound, f"end of the {level:.0%} interval")
            )
    if fit.vogel is not None:
        likely = Estimate(fit.vogel.probability, None, sigma.n_independent, "1")
        rows.append(
            row("vogel_fulcher_probability", likely, f"ln D bends, T0 = {fit.vogel.t0_K:.0f} K, against straight")
        )
    return rows


def by_temperature(
    files: Sequence[Path],
    temperatures_K: Sequence[float],
    interval_ps: float | None,
    discard_ps: float | None,
    *,
    unwrapped: bool = False,
    element: str,
) -> dict[float, list[Trajectory]]:
    """Read trajectories of one material, cut what is not in equilibrium, and group them by temperature."""
    from ase import Atoms

    from mlsim.errors import SettingsError
    from mlsim.io.trajectories import read_trajectory
    from mlsim.transport import equilibrated

    if len(temperatures_K) not in (0, 1, len(files)):
        raise SettingsError(
            f"--temperature-K: {len(temperatures_K)} temperatures for {len(files)} trajectories; "
            "give one for all or one for each, in their order"
        )
    once = {file.resolve() for file in files}
    if len(once) < len(files):
        again = next(f for number, f in enumerate(files) if f.resolve() in {g.resolve() for g in files[:number]})
        raise SettingsError(f"{again}: given twice; trajectories count as independent glasses, give each once")
    given = list(temperatures_K) * len(files) if len(temperatures_K) == 1 else list(temperatures_K)
    groups: dict[float, list[Trajectory]] = {}
    expected = ""
    for number, file in enumerate(files):
        kelvin, wrapped = given[number] if given else None, False if unwrapped else None
        found = read_trajectory(file, interval_ps=interval_ps, temperature_K=kelvin, wrapped=wrapped)
        if found.temperature_K is None:
            raise SettingsError(f"{file}: does not say its temperature; give it with --temperature-K")
        if element not in found.elements:
            held = ", ".join(sorted(set(found.elements)))
            raise SettingsError(f"{file}: holds no {element}, only {held}; see --element")
        formula = Atoms(found.elements).get_chemical_formula(empirical=True)
        if formula != (expected := expected or formula):
            raise SettingsError(f"{files[0]}, {file}: {expected} and {formula}; give one material at a time")
        if discard_ps is None:
            found, said = equilibrated(found)
        else:
            if discard_ps >= found.duration_ps:
                raise SettingsError(f"--discard-ps {discard_ps:g}: {file} is {found.duration_ps:.3g} ps long")
            found = found.between(round(discard_ps / found.interval_ps), found.n_frames)
            said = f"the first {discard_ps:g} ps cut"
        _say(f"{file}: {said}")
        groups.setdefault(found.temperature_K or 0.0, []).append(found)
    return groups


def row(name: str, estimate: Estimate, method: str, temperature_K: float | None = None) -> QuantityRow:
    """Return a row of a result."""
    from mlsim.io.results import QuantityRow

    return QuantityRow(name, estimate, method, temperature_K=temperature_K)


def write_rows(output: Path, rows: Sequence[QuantityRow]) -> None:
    """Write a result and print it."""
    from mlsim.cli.display import print_rows
    from mlsim.io.results import Provenance, write_result

    write_result(output, rows, Provenance.here())
    print_rows([row for row in rows if "_with_" not in row.name])  # ten a temperature: in the file, and in reports
    typer.echo(f"wrote {output}")


def _say(note: str) -> None:
    typer.echo(f"note: {note}", err=True)
