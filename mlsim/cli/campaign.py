"""`mlsim campaign` and `mlsim collect`: several systems, glasses and temperatures, by Snakemake."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mlsim.study import PotentialSource
    from mlsim.study.campaign import CampaignSettings
    from mlsim.study.workflow import Plan, Workflow

__all__ = ["campaign", "collect"]

_LOG = "campaign.log"
_SHOWN = re.compile(r"^(\d+ of \d+ steps|error: |interrupted: |Exception in )")
_WHAT = {
    "pack": "random packings",
    "crystal": "relaxation of the crystal",
    "quench": "melt and quench",
    "structure": "structure at {structure:g} K",
    "md": "molecular dynamics",
    "scatter": "scattering curves",
    "topology": "coordination and links",
    "transport": "diffusivity, conductivity, Arrhenius lines",
    "mechanism": "hops and channels",
    "rmc": "reverse Monte Carlo of a glass",
    "system": "results of a system",
    "compare": "comparisons of two systems",
    "collect": "all systems side by side",
    "report": "report",
}
_WAIT_FOR_LOCK_S = 60.0


def campaign(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.yaml", help="Settings; the shipped series when left out.")
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder of the campaign.")] = Path(
        "series"
    ),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would run and how long it should take; change nothing.")
    ] = False,
    cores: Annotated[int | None, typer.Option(min=1, help="Jobs at a time here, instead of the profile's.")] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="laptop, slurm, or a folder with a Snakemake profile of yours.")
    ] = "laptop",
    only: Annotated[
        list[str] | None, typer.Option(metavar="SYSTEM", help="Results of this system only; give several.")
    ] = None,
    reanalyze: Annotated[
        bool,
        typer.Option("--reanalyze", help="Make the analyses again, as after an update of mlsim; no MD for that."),
    ] = False,
    prepare: Annotated[
        bool, typer.Option("--prepare", help="Write the settings into the folder and stop: to call Snakemake yourself.")
    ] = False,
) -> None:
    """Do a whole series: every system, glass and temperature, from packing to one report, with Snakemake.

    Stop it or kill it: the same command goes on. What is there is not computed again.
    """
    from mlsim.study import ModelFile, folder_lock
    from mlsim.study.campaign import (
        read_campaign_settings,
        require_same_trajectories,
        set_aside_refinements,
        write_campaign_settings,
    )
    from mlsim.study.workflow import Workflow, snakemake_command

    if not prepare:
        snakemake_command()
    settings = read_campaign_settings(config)
    source = ModelFile.named(settings.potential, settings.device)
    require_same_trajectories(output, settings, source)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        file = write_campaign_settings(scratch, settings, source)
        folder = output if output.is_dir() else scratch
        wanted = (profile, cores, tuple(only or ()), reanalyze)
        if not prepare and folder == output:  # before the folder takes the new settings
            before = Workflow(folder.resolve(), settings, file, *wanted)
            before.require_trajectories(before.plan())
        if not dry_run:
            folder = output
            lock = stack.enter_context(folder_lock(output, wait_s=_WAIT_FOR_LOCK_S))
            for kept in set_aside_refinements(output, settings):
                typer.echo(f"refinement of other settings or data, kept as {kept}", err=True)
            file = write_campaign_settings(output, settings, source)
        if prepare:
            typer.echo(f"wrote {file}")
            return
        workflow = Workflow(folder.resolve(), settings, file, *wanted)
        plan = workflow.plan()
        _say_plan(workflow, plan, source, output)
        if not dry_run and plan.jobs:
            _run(workflow, lock)


def collect(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of `mlsim campaign`, finished or not.")],
    system: Annotated[str | None, typer.Option(metavar="NAME", help="Only this system: its result.json.")] = None,
) -> None:
    """Put the results of a campaign together: numbers of each system, then all of them in campaign.json and tables.

    Systems whose numbers are up to date are taken as they are; so are those whose trajectories are not kept.
    """
    from mlsim.study.campaign import campaign_of
    from mlsim.study.collect import SystemFolder, collect_campaign, collect_system

    if system is not None:
        rows = collect_system(directory, system)
        typer.echo(f"wrote {directory / system / 'result.json'}: {len(rows)} numbers")
        return
    settings, sha256 = campaign_of(directory)
    for name in settings.systems:
        folder = SystemFolder(directory, name, settings, sha256)
        if folder.is_collected or not any(folder.ended(stage) for stage in folder.stages):
            continue
        gone = [path for stage in folder.stages for path in folder.without_trajectory(stage)]
        if gone and (folder.folder / "result.json").exists():
            typer.echo(f"{name}: numbers taken as they are; {gone[0]} keeps no trajectory", err=True)
            continue
        collect_system(directory, name)
    typer.echo(f"wrote {collect_campaign(directory)}")


def _say_plan(workflow: Workflow, plan: Plan, source: PotentialSource, output: Path) -> None:
    """Print what will run and how long it should take."""
    from mlsim.progress import duration_text

    settings = workflow.settings
    n_runs = sum(len(system.run_names) for system in settings.systems.values())
    typer.echo(
        f"{settings.title}, in {output}: {len(settings.systems)} systems, {n_runs} glasses or runs, "
        f"{len(settings.md.temperatures_K)} temperatures, potential {source.name} ({source.sha256[:12]})"
    )
    if not plan.jobs:
        typer.echo("all is done; nothing to run")
        return
    speed, origin = _speed(workflow, plan)
    for rule, number in plan.counts.items():
        what = _WHAT.get(rule, rule).format(structure=settings.structure.temperature_K)
        work = plan.work(rule)
        time = f", {duration_text(work / speed)} of processor" if speed is not None and work else ""
        typer.echo(f"  {rule:<10} {number:>4} job{'s' if number > 1 else ' '}  {what}{time}")
    if not settings.measurements:
        typer.echo("no RMC: the config names no measured curve under 'measurements'")
    if speed is None:
        return
    at_a_time = workflow.jobs_at_a_time
    total, wall = duration_text(plan.work() / speed), duration_text(plan.seconds(speed, at_a_time))
    typer.echo(f"speed: {speed:.3g} atoms x steps per second of one core, {origin}")
    typer.echo(
        f"molecular dynamics: {total} of processor; about {wall} with {at_a_time} job{'s' if at_a_time > 1 else ''} "
        f"at a time if each has a core to itself; {'RMC comes on top, ' if settings.measurements else ''}"
        "other analyses add seconds to minutes each"
    )


def _speed(workflow: Workflow, plan: Plan) -> tuple[float | None, str]:
    """Return atoms × steps per second, and where that is from; None where no MD is left."""
    from mlsim.study.cost import COST_FILE, measured_speed, read_costs, speed_of

    if not plan.work():
        return None, ""
    costs = [cost for path in sorted(workflow.directory.glob(f"*/*/*/{COST_FILE}")) for cost in read_costs(path)]
    found = measured_speed(costs)
    if found is not None:
        return found, f"from {len(costs)} earlier starts in this folder"
    settings: CampaignSettings = workflow.settings
    system = next(iter(settings.systems.values()))
    device = None if settings.device == "auto" else settings.device
    typer.echo("measuring the speed of the potential on this machine ...", err=True)
    found = speed_of(settings.potential, system.formula, system.atoms, settings.packing_density_g_cm3, device)
    return found, f"measured now with {system.atoms} atoms during some seconds"


def _run(workflow: Workflow, lock: int | None) -> None:
    """Let Snakemake run, its output in a log file, and stop it with all its jobs when asked to."""
    from mlsim.errors import DataError, Interrupted
    from mlsim.progress import LEADING_PROCESS, stop_on_signals

    environment = {key: value for key, value in os.environ.items() if key != LEADING_PROCESS}
    if workflow.is_local:
        environment[LEADING_PROCESS] = str(os.getpid())
    log = workflow.directory / _LOG
    faults: list[str] = []
    with log.open("a", encoding="utf-8") as stream:
        process = subprocess.Popen(
            workflow.command(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            preexec_fn=_die_with_parent,
            start_new_session=True,  # a signal to us is passed on once, to Snakemake and its jobs alike
            pass_fds=() if lock is None else (lock,),  # the folder stays locked as long as Snakemake lives
        )
        typer.echo(f"running; everything that the jobs say is in {log}")
        with stop_on_signals(also=lambda: _interrupt(process.pid)) as stop:
            for line in process.stdout or ():
                stream.write(line)
                stream.flush()
                if _SHOWN.match(line):
                    typer.echo(line.rstrip())
                if line.startswith(("error: ", "Exception in ")):
                    faults.append(line.removeprefix("error: ").strip())
            code = process.wait()
    if stop:
        raise Interrupted(f"{workflow.directory}: stopped; the same command goes on")
    if code:
        first = f": {faults[0]}" if faults else ""
        raise DataError(
            f"{workflow.directory}: not all jobs ended well{first}; see {log}; the same command tries them again, and "
            "`mlsim collect` puts together what is there"
        )
    typer.echo(f"{workflow.directory}: done")


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies; elsewhere nothing, and Snakemake goes on starting jobs."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _interrupt(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGINT)
