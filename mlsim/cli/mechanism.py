"""`mlsim mechanism` and `mlsim vibrations`: how ions move, and how they vibrate between two hops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import Force, require_absent
from mlsim.cli.transport import (
    Discard,
    Figure,
    Interval,
    Output,
    Temperatures,
    Trajectories,
    Unwrapped,
    by_temperature,
    row,
    write_rows,
)
from mlsim.shipped import DEFAULT_POTENTIAL

if TYPE_CHECKING:
    from mlsim.io.results import QuantityRow
    from mlsim.trajectory import Trajectory
    from mlsim.transport import Hops, HopStatistics, SurroundingsMobility, Vibrations

__all__ = ["mechanism", "vibrations"]


def mechanism(
    trajectories: Trajectories,
    output: Output,
    element: Annotated[str, typer.Option(help="The ion that moves.")] = "Li",
    anions: Annotated[str, typer.Option(help="Anions that it meets; the first against the others.")] = "O,Cl",
    cutoff: Annotated[
        list[str] | None, typer.Option(metavar="A-B=R", help="Bond length in Å; first minimum of g(r) when left out.")
    ] = None,
    temperature: Temperatures = None,
    interval: Interval = None,
    discard: Discard = None,
    unwrapped: Unwrapped = False,
    figure: Figure = None,
    force: Force = False,
) -> None:
    """Hops, residence, back hops, anions met, mobility by surroundings, channels; van Hove functions in the figure.

    Trajectories at one temperature count as independent glasses.
    """
    from mlsim.cli.pairs import pair_lengths
    from mlsim.errors import DataError
    from mlsim.transport import diffusivity, hop_statistics, hops_of
    from mlsim.units import CM2_S_PER_A2_PS

    require_absent(output, force)
    if figure is not None:
        require_absent(figure, force)
    met = _anions(anions)
    groups = by_temperature(trajectories, temperature or [], interval, discard, unwrapped=unwrapped, element=element)
    rows: list[QuantityRow] = []
    drawn = []
    for kelvin, group in sorted(groups.items()):
        lengths = _lengths(group, element, met, pair_lengths("--cutoff", cutoff, "Zr-O=2.6"))
        hops = [hops_of(t, element) for t in group]
        tracer = diffusivity(group, element, temperature_K=kelvin)
        each = [d / CM2_S_PER_A2_PS for d in tracer.per_glass_cm2_s]
        try:
            rows += _hop_rows(hop_statistics(hops, each), element, kelvin)
        except DataError as error:
            typer.echo(f"note: {kelvin:g} K: {error}", err=True)
        mobility = _mobility(group, hops, element, lengths)
        if mobility is not None:
            rows += _mobility_rows(mobility, element, lengths, kelvin)
        rows += _channel_rows(group, element, kelvin)
        drawn.append((kelvin, group, hops, mobility))
    write_rows(output, rows)
    if figure is not None:
        from mlsim.report.mechanism_figure import write_mechanism_figure

        write_mechanism_figure(figure, drawn, element)
        typer.echo(f"wrote {figure}")


def _anions(given: str) -> tuple[str, ...]:
    """Return the elements of a list such as "O,Cl"; those that a cell lacks do no harm."""
    from mlsim.composition import FORMAL_CHARGES
    from mlsim.errors import SettingsError, did_you_mean

    names = tuple(part.strip() for part in given.split(",") if part.strip())
    for name in names:
        if name not in FORMAL_CHARGES:
            raise SettingsError(f"--anions {given}: unknown element '{name}', {did_you_mean(name, FORMAL_CHARGES)}")
    return names


def _lengths(
    group: Sequence[Trajectory], element: str, anions: Sequence[str], fixed: Mapping[tuple[str, str], float]
) -> dict[str, float]:
    """Bond length to each anion that is there, Å."""
    from mlsim.topology import bond_cutoffs

    present = set(group[0].elements)
    frames = [next(t.frames(first)) for t in group for first in (0, t.n_frames // 2, t.n_frames - 1)]
    found = bond_cutoffs(frames, fixed_A=fixed)
    return {a: found.get((element, a), found.get((a, element), 0.0)) for a in anions if a in present}


def _hop_rows(found: HopStatistics, element: str, kelvin: float) -> list[QuantityRow]:
    ion, counted = element.lower(), f"{found.n_hops} hops counted"
    rows = [
        row(f"{ion}_hop_rate_per_ps", found.rate_per_ps, f"{counted}; cage to cage, more than 1.25 Å", kelvin),
        row(f"{ion}_hop_length_A", found.length_A, "root mean square, between the means of two stays", kelvin),
        row(f"{ion}_residence_time_ps", found.median_residence_ps, "median time between hops of an ion", kelvin),
        row(f"{ion}_successive_hop_cosine", found.successive_cosine, "angle between a hop and the next", kelvin),
        row(f"{ion}_back_hop_fraction", found.back_fraction, "hops that the next one undoes", kelvin),
    ]
    if found.correlation_factor is not None:
        text = "6 D / (hop rate x mean square hop length)"
        rows.append(row(f"{ion}_correlation_factor", found.correlation_factor, text, kelvin))
    return rows


def _mobility(
    group: Sequence[Trajectory], hops: Sequence[Hops], element: str, lengths: Mapping[str, float]
) -> SurroundingsMobility | None:
    """Mobility near the first anion against the others; None, with a note, where there is nothing to compare."""
    from mlsim.errors import DataError
    from mlsim.transport import mobility_by_surroundings

    if len(lengths) < 2:
        return None
    try:
        return mobility_by_surroundings(group, hops, element, lengths, near=next(iter(lengths)))
    except DataError as error:
        typer.echo(f"note: {error}", err=True)
        return None


def _mobility_rows(
    found: SurroundingsMobility, element: str, lengths: Mapping[str, float], kelvin: float
) -> list[QuantityRow]:
    ion, near = element.lower(), found.near.lower()
    bonds = ", ".join(f"{element}-{a} {r:.2f} Å" for a, r in lengths.items())
    text = f"bonds shorter than {bonds}"
    rows = [
        row(f"{ion}_time_near_{near}_fraction", found.time_fraction, f"time with {found.near} around; {text}", kelvin),
        row(f"{ion}_hop_rate_near_{near}_per_ps", found.rate_near_per_ps, f"hops that begin near {found.near}", kelvin),
        row(f"{ion}_hop_rate_away_from_{near}_per_ps", found.rate_away_per_ps, "hops that begin elsewhere", kelvin),
        row(f"{ion}_hop_rate_ratio_{near}", found.rate_ratio, f"near {found.near} over elsewhere", kelvin),
        row(f"{ion}_{near}_share_resting", found.anion_share_resting, f"{found.near} among anions, always", kelvin),
        row(f"{ion}_{near}_share_hopping", found.anion_share_hopping, f"{found.near} among anions, mid-hop", kelvin),
    ]
    for (before, after), share in found.changes.items():
        name = f"{ion}_hops_{before}_to_{after}_{near}_fraction"
        rows.append(row(name, share, f"hops from {before} to {after} {found.near}", kelvin))
    return rows


def _channel_rows(group: Sequence[Trajectory], element: str, kelvin: float) -> list[QuantityRow]:
    """Free energy of percolation in one and three directions, over the glasses whose channels span the cell."""
    from mlsim.curve import estimate_over
    from mlsim.transport import ion_density, percolation

    ion = element.lower()
    densities = [ion_density(t, element) for t in group]
    rows = []
    for directions in (1, 3):
        found = [p for p in (percolation(d, kelvin, directions=directions) for d in densities) if p is not None]
        if not found:
            typer.echo(f"note: {kelvin:g} K: {element} spans no cell in {directions} direction(s)", err=True)
            continue
        text = f"spans the cell in {directions} direction(s) in {len(found)} of {len(group)} runs"
        energy = estimate_over([p.free_energy_eV for p in found], "eV")
        volume = estimate_over([p.volume_fraction for p in found], "1")
        rows += [
            row(f"{ion}_percolation_{directions}d_eV", energy, f"free energy where the density {text}", kelvin),
            row(f"{ion}_channels_{directions}d_volume_fraction", volume, f"cell where the density {text}", kelvin),
        ]
    return rows


def vibrations(
    trajectories: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Trajectories, or crystals.")],
    output: Output,
    phonons: Annotated[bool, typer.Option("--phonons", help="Harmonic modes of relaxed crystals, by phonopy.")] = False,
    potential: Annotated[str, typer.Option(metavar="NAME", help="For --phonons.")] = DEFAULT_POTENTIAL,
    interval: Interval = None,
    figure: Figure = None,
    force: Force = False,
) -> None:
    """Vibrational density of states and attempt frequency of each element.

    Trajectories need frames 0.0125 ps apart or less (`mlsim md --interval-ps 0.008`), and count as independent glasses.
    """
    from mlsim.transport import attempt_frequency

    require_absent(output, force)
    if figure is not None:
        require_absent(figure, force)
    found = _of_crystals(trajectories, potential) if phonons else _of_trajectories(trajectories, interval)
    how = "harmonic modes by phonopy" if phonons else "velocity autocorrelation of finite differences"
    rows = [
        row(f"{element.lower()}_attempt_frequency_THz", attempt_frequency(each), f"mean frequency above 1 THz; {how}")
        for element, each in found.items()
    ]
    write_rows(output, rows)
    if figure is not None:
        from mlsim.report.mechanism_figure import write_vibrations_figure

        write_vibrations_figure(figure, found)
        typer.echo(f"wrote {figure}")


def _of_trajectories(files: Sequence[Path], interval_ps: float | None) -> dict[str, list[Vibrations]]:
    from ase import Atoms

    from mlsim.errors import SettingsError
    from mlsim.io.trajectories import read_trajectory
    from mlsim.transport import vibrations as of_trajectory

    read = [read_trajectory(file, interval_ps=interval_ps) for file in files]
    for file, trajectory in zip(files, read, strict=True):
        if trajectory.temperature_K != read[0].temperature_K:
            both = f"{read[0].temperature_K} and {trajectory.temperature_K} K"
            raise SettingsError(f"{files[0]}, {file}: {both}; vibrations change with temperature, give one at a time")
        formulas = [Atoms(t.elements).get_chemical_formula(empirical=True) for t in (read[0], trajectory)]
        if formulas[0] != formulas[1]:
            raise SettingsError(f"{files[0]}, {file}: {' and '.join(formulas)}; give one material at a time")
    return {e: [of_trajectory(t, e) for t in read] for e in sorted(set(read[0].elements))}


def _of_crystals(files: Sequence[Path], potential: str) -> dict[str, list[Vibrations]]:
    from mlsim.io.structures import read_structure
    from mlsim.potential import load
    from mlsim.transport import harmonic_vibrations

    calculator = load(potential)
    each = [harmonic_vibrations(read_structure(file), calculator) for file in files]
    return {e: [found[e] for found in each] for e in each[0]}
