"""`mlsim pack`, `mlsim quench` and `mlsim md`: the steps that make a glass and let it move."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlsim.cli.files import require_absent, require_own_folder
from mlsim.cli.pairs import pair_lengths
from mlsim.errors import SettingsError
from mlsim.progress import leading_process
from mlsim.shipped import DEFAULT_POTENTIAL

if TYPE_CHECKING:
    from mlsim.melt_quench import Glass, Limits, Schedule
    from mlsim.progress import Progress, StopRequest
    from mlsim.study import PotentialSource

__all__ = ["OutputFolder", "Potential", "Seed", "md", "pack", "quench", "watched", "write_run"]

_WAIT_FOR_ORPHAN_S = 60.0  # a run whose campaign was killed stops within this time

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
Potential = Annotated[
    str, typer.Option(metavar="NAME", help="Shipped potential by name, a model file, or a committee (.json).")
]
Device = Annotated[
    Literal["auto", "cpu", "cuda"], typer.Option(help="Where forces are computed; auto: the compiled engine if it can.")
]
Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]
CommitteeWarn = Annotated[
    float | None, typer.Option("--committee-warn-eV-A", help="Warn once the members of a committee differ by more.")
]
CommitteeStop = Annotated[
    float | None, typer.Option("--committee-stop-eV-A", help="Stop there, with the structure in stopped.extxyz.")
]
OutputFolder = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the results.")]


def pack(
    formula: Annotated[str, typer.Argument(metavar="FORMULA", help="Charge neutral, such as Li3ZrCl4O1.5.")],
    atoms: Annotated[int, typer.Option("--atoms", help="Atoms in the cell: a multiple of the formula unit.")],
    density: Annotated[float, typer.Option("--density-g-cm3", help="Mass density.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Structure, *.extxyz.")],
    min_distance: Annotated[
        list[str] | None, typer.Option("--min-distance", metavar="A-B=R", help="No pair closer, Å; instead of a table.")
    ] = None,
    seed: Seed = 1,
    force: Force = False,
) -> None:
    """Pack atoms at random into a periodic cube, no pair closer than its minimum distance."""
    from mlsim.composition import Composition
    from mlsim.io.structures import write_structure
    from mlsim.melt_quench import pack as packed

    require_absent(output, force)
    limits = pair_lengths("--min-distance", min_distance, "Zr-O=1.7")
    structure = packed(Composition.parse(formula), atoms, density_g_cm3=density, seed=seed, min_distances_A=limits)
    write_structure(output, structure)
    typer.echo(f"wrote {output}: {len(structure)} atoms, edge {structure.cell.lengths()[0]:.3f} Å")


def quench(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Structure to melt, as from `mlsim pack`.")],
    output: OutputFolder,
    schedule: Annotated[
        str, typer.Option(metavar="FILE", help="quick, production, or a YAML file with segments.")
    ] = "quick",
    rate: Annotated[
        float | None, typer.Option("--rate-K-per-ps", help="Cooling rate of all ramps, instead of the schedule's.")
    ] = None,
    potential: Potential = DEFAULT_POTENTIAL,
    device: Device = "auto",
    seed: Seed = 1,
    committee_warn: CommitteeWarn = None,
    committee_stop: CommitteeStop = None,
    rocksalt_stop: Annotated[
        float | None, typer.Option(help="Stop when more than this fraction of atoms is in rocksalt LiCl.")
    ] = None,
) -> None:
    """Melt and quench a structure; writes glass.extxyz, thermo.csv and result.json.

    Interrupt it anywhere: the same command goes on where it stopped.
    """
    from mlsim.study import ModelFile

    plan = schedule_named(schedule)
    if rate is not None:
        plan = plan.with_rate(rate)
    asked = (committee_warn, committee_stop, rocksalt_stop)
    _run(file, output, plan, ModelFile.named(potential, device), seed, frame_interval_ps=None, asked=asked)


def md(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Structure, such as the glass of `mlsim quench`.")],
    temperature: Annotated[float, typer.Option("--temperature-K", help="Temperature.")],
    time: Annotated[float, typer.Option("--time-ps", help="Recorded time.")],
    output: OutputFolder,
    equilibration: Annotated[float, typer.Option("--equilibration-ps", min=0, help="Time before, not recorded.")] = 1.0,
    ensemble: Annotated[Literal["nvt", "npt"], typer.Option(help="Constant volume or ambient pressure.")] = "nvt",
    interval: Annotated[float, typer.Option("--interval-ps", help="Time between two frames.")] = 0.02,
    timestep: Annotated[float, typer.Option("--timestep-fs", help="Time step.")] = 2.0,
    potential: Potential = DEFAULT_POTENTIAL,
    device: Device = "auto",
    seed: Seed = 1,
    committee_warn: CommitteeWarn = None,
    committee_stop: CommitteeStop = None,
) -> None:
    """Molecular dynamics at one temperature; writes trajectory.h5 and thermo.csv.

    Interrupt it anywhere: the same command goes on where it stopped.
    """
    from mlsim.melt_quench import hold_schedule
    from mlsim.study import ModelFile

    plan = hold_schedule(temperature, time, ensemble, equilibration_ps=equilibration, timestep_fs=timestep)
    asked = (committee_warn, committee_stop, None)
    source = ModelFile.named(potential, device)
    _run(file, output, plan, source, seed, frame_interval_ps=interval, temperature_K=temperature, asked=asked)


def schedule_named(name: str) -> Schedule:
    """Return the schedule called quick or production, or that of a file."""
    from mlsim.io.studies import read_schedule
    from mlsim.melt_quench import production_schedule, quick_schedule

    named = {"quick": quick_schedule, "production": production_schedule}
    return named[name]() if name in named else read_schedule(name)


def _limits(source: PotentialSource, asked: tuple[float | None, float | None, float | None]) -> Limits:
    """Return the limits of a run: warning, stop and rocksalt as asked for, else as the committee was calibrated to."""
    from mlsim.melt_quench import Limits
    from mlsim.study import committee_limits

    calibrated = committee_limits(source)
    warn, stop, rocksalt = asked
    if getattr(source, "deviations_eV_A", None) is None and (warn is not None or stop is not None):
        name = "--committee-warn-eV-A" if stop is None else "--committee-stop-eV-A"
        raise SettingsError(
            f"{name}: potential {source.name} is a single model, which never disagrees; give --potential a committee "
            "(`mlsim potential calibrate` makes one), or leave this out"
        )
    if warn is not None and stop is None and warn > (calibrated.committee_stop_eV_A or warn):
        raise SettingsError(
            f"--committee-warn-eV-A is {warn:g}, above the {calibrated.committee_stop_eV_A:g} eV/Å at which "
            f"{source.name} was calibrated to stop; give a higher --committee-stop-eV-A too"
        )
    stop = calibrated.committee_stop_eV_A if stop is None else stop
    if warn is None and calibrated.committee_warn_eV_A is not None:
        warn = min(calibrated.committee_warn_eV_A, stop or calibrated.committee_warn_eV_A)
    return Limits(warn, stop, rocksalt)


def _run(
    file: Path,
    output: Path,
    schedule: Schedule,
    source: PotentialSource,
    seed: int,
    *,
    frame_interval_ps: float | None,
    temperature_K: float | None = None,
    asked: tuple[float | None, float | None, float | None],
) -> None:
    """Run a schedule on a structure and write what it gives."""
    from mlsim.io.structures import read_structure
    from mlsim.io.trajectories import TrajectoryRecorder
    from mlsim.melt_quench import run_schedule
    from mlsim.melt_quench.checkpoint import FILE_NAME as CHECKPOINT_NAME
    from mlsim.study import LoadedWhenNeeded, folder_lock, require_elements

    start = read_structure(file)
    require_elements(start.get_chemical_symbols(), source)
    limits = _limits(source, asked)
    calculator = LoadedWhenNeeded(source)
    if getattr(source, "deviations_eV_A", None) is not None:
        typer.echo(str(calculator.loaded()))  # how often the members are asked, and at what cost
    if output.exists() and not output.is_dir():
        raise SettingsError(f"{output}: is a file; choose a folder with -o")
    with folder_lock(output, wait_s=0.0 if leading_process() is None else _WAIT_FOR_ORPHAN_S):
        require_own_folder(output, output / CHECKPOINT_NAME)
        recorder = None
        if frame_interval_ps is not None:
            recorder = TrajectoryRecorder(output, start.get_chemical_symbols(), frame_interval_ps, temperature_K)
        with watched(output, len(start)) as (progress, stop):
            glass = run_schedule(
                start,
                schedule,
                calculator,
                directory=output,
                seed=seed,
                potential_sha256=source.sha256,
                recorder=recorder,
                frame_interval_ps=frame_interval_ps,
                progress=progress,
                stop=stop,
                limits=limits,
            )
        if recorder is not None:
            recorder.finish()
        write_run(output, glass)
    if frame_interval_ps is None:
        _say_what_the_glass_is(glass)
    typer.echo(f"{output}: done, {schedule.total_ps:g} ps, density {glass.density_g_cm3:.3f} g/cm3")


def _say_what_the_glass_is(glass: Glass) -> None:
    """Print what the melt remembered of the packing, and how much rocksalt there is."""
    from mlsim.melt_quench import rocksalt_domains

    for element, memory in glass.melt_memory.items():
        verdict = "places forgotten" if memory.forgotten else "places REMEMBERED: melt longer or hotter"
        typer.echo(
            f"melt: {element} moved {memory.displacement_A:.1f} Å, overlap with the packing "
            f"{memory.overlap:.2f} ± {memory.overlap_error:.2f}: {verdict}"
        )
    if {"Li", "Cl"} <= set(glass.atoms.get_chemical_symbols()):
        typer.echo(f"rocksalt LiCl: {100 * rocksalt_domains(glass.atoms).fraction:.1f} % of the atoms")


def write_run(output: Path, glass: Glass) -> None:
    """Write glass.extxyz, thermo.csv and result.json of a run."""
    from mlsim.curve import Estimate
    from mlsim.io.results import Provenance, QuantityRow, write_result
    from mlsim.io.structures import write_structure
    from mlsim.io.tables import write_thermo_csv
    from mlsim.study.glass_stages import at_mean_density

    write_structure(output / "glass.extxyz", at_mean_density(glass))
    write_thermo_csv(output / "thermo.csv", glass.log)
    estimate = Estimate(glass.density_g_cm3, None, 1, "g/cm3")
    provenance = Provenance.here(
        potential_sha256=glass.potential_sha256, settings_sha256=glass.schedule.sha256, seed=glass.seed
    )
    write_result(output / "result.json", [QuantityRow("density_g_cm3", estimate, "this run")], provenance)


@contextlib.contextmanager
def watched(output: Path, n_atoms: int) -> Iterator[tuple[Progress, StopRequest]]:
    """Progress of one run, which also notes its cost however it ends, and the request to stop it."""
    from mlsim.cli.display import study_display
    from mlsim.progress import stop_on_signals
    from mlsim.study.cost import CostMeter

    with stop_on_signals(leading_pid=leading_process()) as stop, study_display(one_run=True) as display:
        meter = CostMeter(output, n_atoms, lambda stage, done, total: display("run", stage, done, total))
        try:
            yield meter, stop
        finally:
            with contextlib.suppress(OSError):  # a full disk: what the run itself says matters more
                meter.write()
