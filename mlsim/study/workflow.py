"""Snakemake as the engine of a campaign: where it is, what it would run, and how long that should take."""

from __future__ import annotations

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.melt_quench.checkpoint import read_checkpoint
from mlsim.study.campaign import SETTINGS_FILE, CampaignSettings, shipped_campaign

__all__ = ["Job", "Plan", "Workflow", "snakemake_command"]

_RULE: Final = re.compile(r"^(?:local)?rule (\w+):")
_WILDCARDS: Final = re.compile(r"^ +wildcards: (.*)$")
_READS: Final = {  # what stages, by the beginning of their names, the analyses read
    "scatter": "structure",
    "topology": "structure",
    "transport": "md-",
    "mechanism": "md-",
    "system": "",
}
_STAGES: Final = ("quench", "structure", "md")
_ANALYSES: Final = ("scatter", "topology", "transport", "mechanism")
_ORDER: Final = (
    *("pack", "crystal", *_STAGES, *_ANALYSES, "rmc"),
    *("system", "compare", "collect", "report"),
)


@dataclass(frozen=True)
class Job:
    """One job that is to be run: its rule and its wildcards (system, run, temperature)."""

    rule: str
    wildcards: dict[str, str]

    @property
    def stage(self) -> str | None:
        """Folder of the run under that of its glass; None for a job that is no MD."""
        if self.rule == "md":
            return f"md-{self.wildcards['temperature']}K"
        return self.rule if self.rule in _STAGES else None


@dataclass(frozen=True)
class Plan:
    """What is left of a campaign.

    Attributes
    ----------
    jobs
        All jobs, in the order of Snakemake's plan.
    atom_steps
        For each job, atoms × time steps that are left of it; 0 for one that is no MD.
    """

    jobs: tuple[Job, ...]
    atom_steps: tuple[float, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of jobs by rule, in the order of the work."""
        rules = sorted({job.rule for job in self.jobs}, key=lambda rule: _ORDER.index(rule) if rule in _ORDER else 99)
        return {rule: sum(job.rule == rule for job in self.jobs) for rule in rules}

    def work(self, rule: str | None = None) -> float:
        """Return atoms × steps of a rule, or of all."""
        return sum(w for job, w in zip(self.jobs, self.atom_steps, strict=True) if rule in (None, job.rule))

    @property
    def longest_chain(self) -> float:
        """Atoms × steps of the longest quench and MD that must follow each other."""
        first: dict[tuple[str, str], float] = {}
        then: dict[tuple[str, str], float] = {}
        for job, work in zip(self.jobs, self.atom_steps, strict=True):
            if job.stage is None:
                continue
            key = (job.wildcards["system"], job.wildcards["run"])
            if job.rule == "quench":
                first[key] = work
            else:
                then[key] = max(work, then.get(key, 0.0))
        return max((first.get(key, 0.0) + then.get(key, 0.0) for key in first | then), default=0.0)

    def seconds(self, atom_steps_per_s: float, jobs_at_a_time: int) -> float:
        """Return the least time for all MD at a speed per job, s: no shorter than the longest chain."""
        return max(self.work() / jobs_at_a_time, self.longest_chain) / atom_steps_per_s


@dataclass(frozen=True)
class Workflow:
    """A Snakemake run of a campaign.

    Attributes
    ----------
    directory
        Folder of the campaign.
    settings
        Its settings.
    settings_file
        Where they are written.
    profile
        Name of a shipped profile, or a folder with a config.yaml.
    cores
        Instead of those of the profile.
    only
        Systems whose results are wanted; all and the report when empty.
    reanalyze
        Whether what is analysed already is analysed again, from the trajectories that are there.
    """

    directory: Path
    settings: CampaignSettings
    settings_file: Path
    profile: str = "laptop"
    cores: int | None = None
    only: tuple[str, ...] = ()
    reanalyze: bool = False

    @property
    def profile_folder(self) -> Path:
        """Folder of the profile."""
        shipped = shipped_campaign() / "profiles"
        for folder in (Path(self.profile), shipped / self.profile):
            if (folder / "config.yaml").is_file():
                return folder.resolve()
        names = [path.name for path in shipped.iterdir() if path.is_dir()]
        raise SettingsError(
            f"--profile {self.profile}: no such profile, and no folder with a config.yaml; "
            f"{did_you_mean(self.profile, names)}"
        )

    @property
    def profile_values(self) -> dict[str, Any]:
        """What the profile says."""
        path = self.profile_folder / "config.yaml"
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path}: not YAML ({' '.join(str(error).split())[:80]})") from None
        return values if isinstance(values, dict) else {}

    @property
    def is_local(self) -> bool:
        """Whether jobs run on this machine."""
        return bool(self.profile_values.get("executor", "local") == "local")

    @property
    def jobs_at_a_time(self) -> int:
        """How many jobs run at a time, at most."""
        values = self.profile_values
        given = self.cores or values.get("cores") if self.is_local else values.get("jobs")
        return int(given) if isinstance(given, int) and given > 0 else 1

    def command(self, *more: str) -> list[str]:
        """Return the command of Snakemake; the rules call the mlsim that runs now."""
        targets = [f"{name}/result.json" for name in self.only]
        cores = [] if self.cores is None else ["--cores", str(self.cores)]
        return [
            *snakemake_command(),
            *targets,
            "--snakefile",
            str(shipped_campaign() / "Snakefile"),
            "--directory",
            str(self.directory),
            "--configfile",
            str(self.settings_file.resolve()),
            "--replace-workflow-config",
            "--profile",
            str(self.profile_folder),
            *(("--forcerun", *_ANALYSES) if self.reanalyze else ()),
            "--nolock",  # the folder is locked by mlsim, whose lock ends with its process
            *cores,
            "--config",
            f"mlsim={shlex.quote(sys.executable)} -P -m mlsim.cli",
            *more,
        ]

    def plan(self) -> Plan:
        """Return what Snakemake would run.

        Raises
        ------
        SettingsError
            If a system of `only` is unknown, or Snakemake is absent.
        DataError
            If Snakemake finds no plan; the message is its own.
        """
        for name in self.only:
            if name not in self.settings.systems:
                hint = did_you_mean(name, self.settings.systems)
                raise SettingsError(f"--only {name}: no system is called that; {hint}")
        done = subprocess.run(self.command("--dry-run"), capture_output=True, text=True, check=False)
        text = done.stdout + done.stderr
        if done.returncode:
            raise DataError(f"Snakemake finds no plan: {_complaint(text)}")
        jobs = _jobs(text.splitlines())
        return Plan(jobs, tuple(self._atom_steps(job) for job in jobs))

    def require_trajectories(self, plan: Plan) -> None:
        """Raise SettingsError if an analysis is to be repeated from trajectories that are not kept.

        Snakemake deletes what a job makes before the job begins: numbers that cannot be made again would be lost.
        """
        from mlsim.study.collect import SystemFolder

        again = {(job.wildcards["system"], job.wildcards["run"], job.stage) for job in plan.jobs if job.stage}
        for job in plan.jobs:
            if job.rule not in _READS:
                continue
            system = SystemFolder(self.directory, job.wildcards["system"], self.settings, "")
            for stage in system.stages:
                for folder in system.without_trajectory(stage) if stage.startswith(_READS[job.rule]) else ():
                    if (system.name, folder.parent.name, stage) not in again:
                        raise SettingsError(
                            f"{folder}: keeps no trajectory, so the {job.rule} of {system.name} cannot be made again; "
                            "if nothing has changed say so with `snakemake --touch` (README of the campaign, 'Moved'), "
                            "else name the other systems with --only"
                        )

    def _atom_steps(self, job: Job) -> float:
        if job.stage is None:
            return 0.0
        settings = self.settings
        total = {
            "quench": settings.quench.n_steps,
            "structure": settings.structure.n_steps,
            "md": settings.md.n_steps,
        }[job.rule]
        system = job.wildcards["system"]
        checkpoint = read_checkpoint(self.directory / system / job.wildcards["run"] / job.stage)
        done = 0 if checkpoint is None else checkpoint.step
        return float(settings.systems[system].atoms * max(0, total - done))


def snakemake_command() -> list[str]:
    """Return how to call Snakemake: that of this environment, else the one on the path.

    Raises
    ------
    SettingsError
        If there is none, with the extra that brings it.
    """
    if importlib.util.find_spec("snakemake") is not None:
        return [sys.executable, "-m", "snakemake"]
    found = shutil.which("snakemake")
    if found is None:
        raise SettingsError("mlsim campaign needs Snakemake, which is not installed: pip install 'mlsim[workflow]'")
    return [found]


def _jobs(lines: Sequence[str]) -> tuple[Job, ...]:
    """Return the jobs that the output of a dry run lists, without the one that only gathers the others."""
    found: list[Job] = []
    for line in lines:
        if rule := _RULE.match(line):
            found.append(Job(rule.group(1), {}))
        elif found and (wildcards := _WILDCARDS.match(line)):
            pairs = [part.partition("=")[::2] for part in wildcards.group(1).split(", ")]
            found[-1].wildcards.update(dict(pairs))
    return tuple(job for job in found if job.rule != "all")


def _complaint(text: str) -> str:
    """Return the lines of Snakemake's output that say what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    start = next(
        (i for i, line in enumerate(lines) if re.search(r"\w(Error|Exception)\b", line)), max(0, len(lines) - 3)
    )
    return " ".join(lines[start : start + 4])[:400] or f"no message; see {SETTINGS_FILE}"
