"""`mlsim rmc`: reverse Monte Carlo of a structure against measured curves, many runs at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from mlsim.cli.pairs import pair, pair_lengths

if TYPE_CHECKING:
    from ase import Atoms

    from mlsim.curve import Curve
    from mlsim.rmc import CoordinationTarget, DataSet, Ensemble, RefineSettings

__all__ = ["rmc"]

_QUANTITIES = ("s_of_q", "i_of_q", "qi_of_q", "f2_of_q", "g_pdf", "t_of_r", "g_of_r")


class _Named(NamedTuple):
    """One --data option, read."""

    name: str
    path: Path
    curve: Curve
    radiation: Literal["xray", "neutron"]
    sigma: float | None


def rmc(
    start: Annotated[Path, typer.Argument(metavar="START.extxyz", help="Configuration to refine.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the results.")],
    data: Annotated[
        list[str], typer.Option(metavar="FILE:QUANTITY:RADIATION[:SIGMA]", help="Measured curve; give several.")
    ],
    min_distance: Annotated[
        list[str] | None, typer.Option("--min-distance", metavar="A-B=R", help="Hard minimum distance, Å.")
    ] = None,
    moves_per_atom: Annotated[float, typer.Option("--moves-per-atom", help="Proposals per atom in a run.")] = 500.0,
    runs: Annotated[int, typer.Option(min=1, help="Independent runs.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Everything random follows from it.")] = 1,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at a time; one per processor when left out.")] = None,
    fit_range: Annotated[
        list[str] | None, typer.Option("--range", metavar="NAME=LOW:HIGH", help="Points to fit of a data set.")
    ] = None,
    q_max: Annotated[
        float | None, typer.Option("--q-max", help="Qmax behind functions of r; that of the S(Q) given when left out.")
    ] = None,
    q_min: Annotated[float | None, typer.Option("--q-min", help="Qmin behind functions of r.")] = None,
    window: Annotated[Literal["step", "lorch"], typer.Option(help="Of the transform behind functions of r.")] = "step",
    ions: Annotated[bool, typer.Option("--ions", help="X-ray form factors of ions.")] = False,
    force_quantity: Annotated[
        bool, typer.Option("--force-quantity", help="Believe QUANTITY even against the limits and shape of a curve.")
    ] = False,
    fit_scale: Annotated[
        list[str] | None, typer.Option("--fit-scale", metavar="NAME", help="Fit a factor of this data set along.")
    ] = None,
    coordination: Annotated[
        list[str] | None,
        typer.Option(
            metavar="A-B=N@R[:SIGMA]", help="Soft target: mean number N of B around A within R Å; N..M for a window."
        ),
    ] = None,
    bond_valence: Annotated[
        float | None, typer.Option("--bond-valence", metavar="SIGMA", help="Soft bond-valence term.")
    ] = None,
    swap: Annotated[list[str] | None, typer.Option(metavar="A-B", help="Also exchange atoms A and B.")] = None,
    r_max: Annotated[float | None, typer.Option("--r-max", help="End of the pair sums, Å.")] = None,
    free_runs: Annotated[
        int | None,
        typer.Option("--free-runs", min=0, help="Runs without data, to tell what the data constrain; 4 or RUNS."),
    ] = None,
    cutoff: Annotated[
        list[str] | None, typer.Option(metavar="A-B=R", help="Bond length in Å; first minimum of g(r) when left out.")
    ] = None,
    center: Annotated[str | None, typer.Option(help="Cation of the polyhedra; highest charge when left out.")] = None,
    potential: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also say what the fit costs in energy on this potential.")
    ] = None,
    relax: Annotated[bool, typer.Option("--relax", help="With --potential: relax each refined configuration.")] = False,
) -> None:
    """Fit S(Q) and G(r) together from many seeds, with constraints; polyhedra, links and what the data constrain.

    Writes result.json, run_001.extxyz and so on, and the fitted curves as CSV. Interrupt it anywhere: the same command
    goes on where it stopped.
    """
    from mlsim.cli.rmc_results import Wanted, write_results
    from mlsim.errors import SettingsError
    from mlsim.io.structures import read_structure
    from mlsim.rmc import RefineSettings
    from mlsim.study import folder_lock

    if output.exists() and not output.is_dir():
        raise SettingsError(f"{output}: is a file; choose a folder with -o")
    if relax and potential is None:
        raise SettingsError("--relax: needs --potential NAME")
    atoms = read_structure(start)
    named = [_read(text) for text in data]
    q_ranges = {r: _transform_range(named, r, q_min, q_max) for r in ("xray", "neutron")}
    sets = _data_sets(named, atoms, fit_range or [], fit_scale or [], q_ranges, (window, ions, force_quantity))
    for n in [] if force_quantity else named:
        _require_function(n, atoms, ions)
    settings = RefineSettings(
        moves_per_atom=moves_per_atom,
        minimum_distances_A=pair_lengths("--min-distance", min_distance, "Zr-O=1.7"),
        coordination=tuple(_coordination(text) for text in coordination or []),
        valence_sigma=bond_valence,
        swaps=tuple(pair("--swap", text) for text in swap or []),
        r_end_A=r_max,
    )
    cutoffs = pair_lengths("--cutoff", cutoff, "Zr-O=2.6")
    _require_before_work(atoms, cutoffs, center, potential)
    for note in [f"{d.name}: {note}" for d in sets for note in d.notes]:
        typer.echo(f"note: {note}", err=True)
    with folder_lock(output):
        ensemble = _refined(atoms, sets, settings, output, runs, seed, jobs, free_runs)
        write_results(output, ensemble, sets, settings, Wanted(seed, cutoffs, center, potential, relax))


def _require_before_work(
    atoms: Atoms, cutoffs: dict[tuple[str, str], float], center: str | None, potential: str | None
) -> None:
    """Refuse now what would only be found wrong after all runs."""
    from mlsim.study import ModelFile, require_elements
    from mlsim.topology import bond_cutoffs, roles_of

    if center is not None:
        roles_of(atoms, center=center)
    if cutoffs:
        bond_cutoffs([atoms], fixed_A=cutoffs)
    if potential is not None:
        require_elements(atoms.get_chemical_symbols(), ModelFile.named(potential))


def _refined(
    atoms: Atoms,
    sets: Sequence[DataSet],
    settings: RefineSettings,
    output: Path,
    runs: int,
    seed: int,
    jobs: int | None,
    free_runs: int | None,
) -> Ensemble:
    from mlsim.cli.display import study_display
    from mlsim.progress import stop_on_signals
    from mlsim.rmc import refine_ensemble

    free = free_runs if free_runs is not None else (min(runs, 4) if runs > 1 else 0)
    with stop_on_signals() as stop, study_display(unit="moves") as display:
        return refine_ensemble(
            atoms,
            sets,
            settings,
            runs=runs,
            free_runs=free,
            seed=seed,
            directory=output,
            jobs=jobs,
            progress=display,
            stop=stop,
        )


def _read(text: str) -> _Named:
    """Return the curve of a text such as FILE:QUANTITY:RADIATION[:SIGMA]."""
    from mlsim.errors import SettingsError
    from mlsim.io.measurements import read_measurement

    fields = text.split(":")
    sigma: float | None = None
    if len(fields) > 3 and fields[-1] not in ("xray", "neutron"):
        last = fields.pop()
        try:
            sigma = float(last)
        except ValueError:
            raise SettingsError(f"--data {text}: SIGMA is '{last}', expected a number") from None
    if len(fields) < 3:
        raise SettingsError(
            f"--data {text}: expected FILE:QUANTITY:RADIATION[:SIGMA], such as glass_sq.dat:s_of_q:xray; "
            f"quantities: {', '.join(_QUANTITIES)}"
        )
    path, quantity, radiation = ":".join(fields[:-2]), fields[-2], fields[-1]
    found = read_measurement(path, quantity, radiation, sample="")  # type: ignore[arg-type]
    return _Named(Path(path).stem, Path(path), found.curve, found.radiation, sigma)


def _require_function(named: _Named, atoms: Atoms, ions: bool) -> None:
    """Refuse a file that is surely another function of this composition; say so where that is only likely."""
    from mlsim.errors import DataError
    from mlsim.io.columns import read_columns
    from mlsim.io.measurements import identified_file
    from mlsim.scattering import Probe

    symbols = atoms.get_chemical_symbols()
    found = identified_file(
        named.path,
        read_columns(named.path),
        {e: symbols.count(e) / len(symbols) for e in sorted(set(symbols))},
        radiation=Probe(named.radiation, ions and named.radiation == "xray"),
        number_density=len(atoms) / atoms.get_volume(),
    )
    against = found.objection(named.curve.quantity).replace("force the quantity", "use --force-quantity")
    if found.contradicts(named.curve.quantity):
        raise DataError(f"{named.path}: {against}")
    if against:
        typer.echo(f"note: {named.path}: {against}", err=True)


def _transform_range(
    named: Sequence[_Named], radiation: str, q_min: float | None, q_max: float | None
) -> tuple[float, float] | None:
    """Q range behind functions of r: as given, else that of the first function of Q of that radiation, or of any."""
    first = sorted((n for n in named if n.curve.quantity.of_q), key=lambda n: n.radiation != radiation)
    of_q = [n.curve for n in first]
    if q_max is None and not of_q:
        return None
    low = q_min if q_min is not None else (float(of_q[0].x[0]) if of_q else 0.0)
    return low, q_max if q_max is not None else float(of_q[0].x[-1])


def _data_sets(
    named: Sequence[_Named],
    atoms: Atoms,
    ranges: Sequence[str],
    scaled: Sequence[str],
    q_ranges: Mapping[str, tuple[float, float] | None],
    assumed: tuple[Literal["step", "lorch"], bool, bool],
) -> list[DataSet]:
    """Return the data sets; `assumed`: window, ions for atoms, quantities are what they are said to be."""
    from mlsim.errors import SettingsError, did_you_mean
    from mlsim.rmc import data_set
    from mlsim.rmc.data import require_composition

    window, ions, believe = assumed
    names = [n.name for n in named]
    if len(set(names)) < len(names):
        named = [n._replace(name=f"{n.name}_{n.curve.quantity}_{n.radiation}") for n in named]
        names = [n.name for n in named]
    limits = dict(_range(text) for text in ranges)
    for option, name in [("--range", n) for n in limits] + [("--fit-scale", n) for n in scaled]:
        if name not in names:
            raise SettingsError(f"{option} {name}: no data set of that name; {did_you_mean(name, names)}")
    sets = []
    for n in named:
        require_composition(n.path.name, n.path.read_text(encoding="utf-8", errors="replace"), atoms)
        sets.append(
            data_set(
                n.name,
                n.curve,
                n.radiation,
                atoms,
                sigma=n.sigma,
                x_range=limits.get(n.name),
                q_range=q_ranges[n.radiation],
                believe=believe,
                window=window,
                ions=ions,
                fit_scale=n.name in scaled,
            )
        )
    return sets


def _range(text: str) -> tuple[str, tuple[float, float]]:
    from mlsim.errors import SettingsError

    name, _, span = text.rpartition("=")
    low, _, high = span.partition(":")
    try:
        return name, (float(low), float(high))
    except ValueError:
        raise SettingsError(f"--range {text}: expected NAME=LOW:HIGH, such as glass_gr=1:10") from None


def _coordination(text: str) -> CoordinationTarget:
    """Return the target of a text such as Si-O=4@2.1:0.01 or Si-O=4..4@2.1."""
    from pydantic import ValidationError

    from mlsim.errors import SettingsError
    from mlsim.rmc import CoordinationTarget

    elements, _, rest = text.partition("=")
    number, _, reach = rest.partition("@")
    radius, _, sigma = reach.partition(":")
    try:
        centre, neighbour = pair("--coordination", elements)
        fields = {"centre": centre, "neighbour": neighbour, "radius_A": float(radius)}
        if ".." in number:
            low, _, high = number.partition("..")
            fields["window"] = (int(low), int(high))
        else:
            fields["mean"] = float(number)
        if sigma:
            fields["sigma"] = float(sigma)
        return CoordinationTarget.model_validate(fields)
    except (ValueError, SettingsError, ValidationError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "not of this form"
        raise SettingsError(
            f"--coordination {text}: {reason}; expected A-B=N@R[:SIGMA], such as Zr-O=2.5@2.6, or Si-O=4..4@2.1"
        ) from None
