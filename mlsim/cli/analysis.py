"""`mlsim topology` and `mlsim transport`: what finished structures and trajectories say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import Files, Force, read_ensembles, require_absent

if TYPE_CHECKING:
    from mlsim.curve import Estimate
    from mlsim.io.results import QuantityRow
    from mlsim.trajectory import Trajectory
    from mlsim.transport import Diffusion

__all__ = ["topology", "transport"]


def topology(
    files: Files,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.json", help="Result.")],
    cutoff: Annotated[
        list[str] | None, typer.Option(metavar="A-B=R", help="Bond length in Å; first minimum of g(r) when left out.")
    ] = None,
    center: Annotated[str, typer.Option(help="Cation of the polyhedra.")] = "Zr",
    bridging: Annotated[str, typer.Option(help="Anions that link them.")] = "O,Cl",
    mobile: Annotated[str, typer.Option(help="Ion that moves.")] = "Li",
    force: Force = False,
) -> None:
    """Coordination, corner, edge and face links by bridging anion, surroundings of the anions, over glasses."""
    from mlsim.io.results import QuantityRow
    from mlsim.topology import bond_cutoffs, estimates_over_glasses, topology_of

    require_absent(output, force)
    fixed = dict(_cutoff(text) for text in cutoff or [])
    ensembles = read_ensembles(files)
    cutoffs = bond_cutoffs([atoms for frames in ensembles for atoms in frames], fixed_A=fixed)
    anions = tuple(part.strip() for part in bridging.split(",") if part.strip())
    glasses = [
        topology_of(frames, cutoffs_A=cutoffs, center=center, bridging=anions, mobile=mobile) for frames in ensembles
    ]
    used = ", ".join(f"{a}-{b} {value:.2f} Å" for (a, b), value in sorted(cutoffs.items()) if center in (a, b))
    rows = [QuantityRow(n, e, f"bonds shorter than {used}") for n, e in estimates_over_glasses(glasses).items()]
    _write_result(output, rows)


def transport(
    trajectories: Annotated[
        list[Path], typer.Argument(metavar="TRAJECTORY...", help="trajectory.h5 of mlsim, or what ASE reads.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE.json", help="Result.")],
    element: Annotated[str, typer.Option(help="The ion that moves.")] = "Li",
    temperature: Annotated[
        list[float] | None,
        typer.Option("--temperature-K", help="One for all trajectories, or one for each; left out: as the files say."),
    ] = None,
    interval: Annotated[
        float | None, typer.Option("--interval-ps", help="Time between frames, for files that do not say it.")
    ] = None,
    charge: Annotated[float, typer.Option(help="Charge of the ion, e.")] = 1.0,
    force: Force = False,
) -> None:
    """Diffusivity, conductivity, Haven ratio; with several temperatures the Arrhenius line down to 298 K.

    Trajectories at one temperature count as independent glasses.
    """
    from mlsim.errors import NotConverged
    from mlsim.transport import diffusivity, haven_ratio

    require_absent(output, force)
    groups = _by_temperature(trajectories, temperature or [], interval)
    rows: list[QuantityRow] = []
    points = []
    for kelvin, group in sorted(groups.items()):
        diffusion = diffusivity(group, element, temperature_K=kelvin)
        points.append(diffusion)
        rows += _transport_rows(diffusion, group, element, charge)
        ratio = haven_ratio(group, element, temperature_K=kelvin, tracer=diffusion)
        if ratio is not None:
            rows.append(_row("haven_ratio", ratio, "tracer over collective diffusivity", kelvin))
    if len(groups) > 1:
        try:
            rows += _arrhenius_rows(points, [t for group in groups.values() for t in group], element, charge)
        except NotConverged as error:
            typer.echo(f"note: {error}", err=True)
    _write_result(output, rows)


def _transport_rows(
    diffusion: Diffusion, group: Sequence[Trajectory], element: str, charge: float
) -> list[QuantityRow]:
    from mlsim.cli.display import UPPER_BOUND
    from mlsim.transport import carriers_per_A3, conductivity

    kelvin = diffusion.temperature_K
    method = diffusion.reason if diffusion.diffusive else f"{UPPER_BOUND} (95 %), {diffusion.reason}"
    sigma = conductivity(diffusion, carriers_per_A3(group, element), charge)
    return [
        _row(f"{element.lower()}_diffusivity_cm2_s", diffusion.diffusivity, method, kelvin),
        _row("conductivity_mS_cm", sigma, f"{method}; Nernst-Einstein", kelvin),
    ]


def _arrhenius_rows(
    points: Sequence[Diffusion], trajectories: Sequence[Trajectory], element: str, charge: float
) -> list[QuantityRow]:
    from mlsim.transport import arrhenius, carriers_per_A3

    fit = arrhenius(points)
    for flag in fit.flags:
        typer.echo(f"note: {flag}", err=True)
    span = f"{min(fit.temperatures_K):g} to {max(fit.temperatures_K):g} K"
    sigma = fit.conductivity_at(298.0, carriers_per_A3(trajectories, element), charge)
    return [
        _row("activation_energy_eV", fit.activation_energy, f"weighted Arrhenius line, {span}"),
        _row("conductivity_298K_mS_cm", sigma, f"Nernst-Einstein, extrapolated from {span}"),
    ]


def _row(name: str, estimate: Estimate, method: str, temperature_K: float | None = None) -> QuantityRow:
    from mlsim.io.results import QuantityRow

    return QuantityRow(name, estimate, method, temperature_K=temperature_K)


def _write_result(output: Path, rows: Sequence[QuantityRow]) -> None:
    from mlsim.cli.display import print_rows
    from mlsim.io.results import Provenance, write_result

    write_result(output, rows, Provenance.here())
    print_rows(rows)
    typer.echo(f"wrote {output}")


def _cutoff(text: str) -> tuple[tuple[str, str], float]:
    """Return pair and length of a text such as Zr-O=2.6."""
    from mlsim.errors import SettingsError

    pair, _, length = text.partition("=")
    first, _, second = pair.partition("-")
    try:
        if not (first and second):
            raise ValueError
        return (first, second), float(length)
    except ValueError:
        raise SettingsError(f"--cutoff {text}: expected a pair and its length in Å, such as Zr-O=2.6") from None


def _by_temperature(
    files: Sequence[Path], temperatures_K: Sequence[float], interval_ps: float | None
) -> dict[float, list[Trajectory]]:
    """Read trajectories and group them by temperature."""
    from mlsim.errors import SettingsError
    from mlsim.io.trajectories import read_trajectory

    if len(temperatures_K) not in (0, 1, len(files)):
        raise SettingsError(
            f"--temperature-K: {len(temperatures_K)} temperatures for {len(files)} trajectories; "
            "give one for all or one for each, in their order"
        )
    given = list(temperatures_K) * len(files) if len(temperatures_K) == 1 else list(temperatures_K)
    groups: dict[float, list[Trajectory]] = {}
    for number, file in enumerate(files):
        trajectory = read_trajectory(file, interval_ps=interval_ps, temperature_K=given[number] if given else None)
        if trajectory.temperature_K is None:
            raise SettingsError(f"{file}: does not say its temperature; give it with --temperature-K")
        groups.setdefault(trajectory.temperature_K, []).append(trajectory)
    return groups
