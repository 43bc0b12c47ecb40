"""Schedules of temperature and pressure, as data.

A schedule is a list of segments, in YAML::

    name: my quench
    timestep_fs: 2.0
    segments:
      - {name: melt, kind: hold, ensemble: nvt, temperature_K: 1500, duration_ps: 6}
      - {name: quench, kind: ramp, ensemble: npt, from_K: 1500, to_K: 300, rate_K_per_ps: 50, pressure_GPa: 1.0e-4}
      - {name: density, kind: hold, ensemble: npt, temperature_K: 300, duration_ps: 10}
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlsim.errors import SettingsError, did_you_mean

__all__ = ["Schedule", "Segment", "hold_schedule", "production_schedule", "quick_schedule"]

AMBIENT_GPa = 1e-4
_COHESION_GPa = 0.2  # keeps the hot liquid from opening cavities; see quick_schedule
_SAME_K = 1e-6

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Temperature = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]


class Segment(BaseModel):
    """One part of a schedule: a temperature held, or a ramp from one to another.

    Attributes
    ----------
    name
        What it is for ("melt", "quench"); shown as progress.
    kind, ensemble
        `hold` wants temperature_K and duration_ps; `ramp` wants from_K, to_K and one of duration_ps and rate_K_per_ps
        (both positive, also on the way down). `npt` takes pressure_GPa, ambient (1e-4) unless given.
    thermostat
        `langevin`: random kicks and friction (BAOAB), forgets the past quickly and takes up heat in every mode: for
        melting, quenching and density. `nose_hoover`: deterministic chain that leaves the dynamics undamped: for
        transport, where friction would slow the diffusion that is to be measured.
    thermostat_time_ps
        1/friction, or the period of the chain. 0.2 ps follows a ramp of 100 K/ps with a lag of about 10 K and
        disturbs the liquid's own motion (collisions every 0.05 ps) little.
    barostat_time_ps
        Sets the mass of the barostat, and its friction under `langevin`: the volume of a glass of some 10 GPa rings
        with about a third of it and settles within about twice.
    record
        Whether frames go to the recorder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = ""
    kind: Literal["hold", "ramp"]
    ensemble: Literal["nvt", "npt"] = "nvt"
    temperature_K: Temperature | None = None
    from_K: Temperature | None = None
    to_K: Temperature | None = None
    duration_ps: Positive | None = None
    rate_K_per_ps: Positive | None = None
    pressure_GPa: Annotated[float, Field(ge=-10, le=1000, allow_inf_nan=False)] | None = None
    thermostat: Literal["langevin", "nose_hoover"] = "langevin"
    thermostat_time_ps: Positive = 0.2
    barostat_time_ps: Positive = 0.5
    record: bool = True

    @model_validator(mode="before")
    @classmethod
    def _ambient_unless_given(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("ensemble") == "npt" and data.get("pressure_GPa") is None:
            return {**data, "pressure_GPa": AMBIENT_GPa}
        return data

    @model_validator(mode="after")
    def _complete(self) -> Self:
        wanted = ("temperature_K", "duration_ps") if self.kind == "hold" else ("from_K", "to_K")
        missing = [key for key in wanted if getattr(self, key) is None]
        if missing:
            raise ValueError(f"a {self.kind} needs {' and '.join(missing)}")
        foreign = ("from_K", "to_K", "rate_K_per_ps") if self.kind == "hold" else ("temperature_K",)
        surplus = [key for key in foreign if getattr(self, key) is not None]
        if surplus:
            raise ValueError(f"a {self.kind} takes no {' or '.join(surplus)}; it has {' and '.join(wanted)}")
        if self.kind == "ramp":
            if (self.duration_ps is None) == (self.rate_K_per_ps is None):
                raise ValueError("a ramp needs exactly one of duration_ps and rate_K_per_ps")
            if self.from_K == self.to_K:
                raise ValueError(f"a ramp from {self.from_K:g} K to the same temperature; make it a hold")
        if self.ensemble == "nvt" and self.pressure_GPa is not None:
            raise ValueError("pressure_GPa has no meaning at constant volume; use ensemble: npt or leave it out")
        return self

    @property
    def start_K(self) -> float:
        """Temperature at the start, K."""
        return float((self.temperature_K if self.kind == "hold" else self.from_K) or 0.0)

    @property
    def end_K(self) -> float:
        """Temperature at the end, K."""
        return float((self.temperature_K if self.kind == "hold" else self.to_K) or 0.0)

    @property
    def total_ps(self) -> float:
        """Duration, ps."""
        if self.duration_ps is not None:
            return self.duration_ps
        return abs(self.end_K - self.start_K) / (self.rate_K_per_ps or 1.0)

    @property
    def title(self) -> str:
        """What progress shows: "melt 1500 K", "quench 1500 to 300 K"."""
        span = f"{self.start_K:g} K" if self.kind == "hold" else f"{self.start_K:g} to {self.end_K:g} K"
        return f"{self.name or self.kind} {span}"

    def temperature_at(self, fraction: float) -> float:
        """Return the target temperature in K after `fraction` (0 to 1) of the segment."""
        return self.start_K + fraction * (self.end_K - self.start_K)


class Schedule(BaseModel):
    """Segments one after the other, and how they are integrated.

    Attributes
    ----------
    timestep_fs
        At most 5 fs. The fastest motion here, the Zr-O stretch (about 20 THz), has a period of 50 fs; 2 fs is 1/25.
    relax_steps
        Steps of minimisation (FIRE) on the potential before the first segment: a random packing holds contacts that
        would otherwise heat the first 0.1 ps by thousands of K. 0 for a structure that is already a glass.
    log_interval_ps
        Time between two rows of the log.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "schedule"
    timestep_fs: Annotated[float, Field(gt=0, le=5, allow_inf_nan=False)] = 2.0
    relax_steps: Annotated[int, Field(ge=0, le=10_000)] = 0
    log_interval_ps: Positive = 0.05
    segments: Annotated[tuple[Segment, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _without_jumps(self) -> Self:
        for i, (before, after) in enumerate(zip(self.segments, self.segments[1:], strict=False)):
            if abs(before.end_K - after.start_K) > _SAME_K:
                raise ValueError(
                    f"segments[{i}] ends at {before.end_K:g} K but segments[{i + 1}] begins at {after.start_K:g} K; "
                    "put a ramp between them"
                )
        return self

    @classmethod
    def from_yaml_text(cls, text: str, where: str) -> Schedule:
        """Return the schedule that a YAML text holds.

        Parameters
        ----------
        text
            See the top of this module.
        where
            Name of its file, for error messages.

        Raises
        ------
        SettingsError
            If it is no YAML, has an unknown key, or a value is impossible.
        """
        try:
            data = yaml.load(text, Loader=_StrictLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
            raise SettingsError(f"{where}: {line}{error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise SettingsError(f"{where}: {' '.join(str(error).split())}") from None
        return cls.from_data(data, where)

    @classmethod
    def from_data(cls, data: Any, where: str) -> Schedule:
        """Return the schedule that a mapping (of a larger settings file) holds; errors name `where`."""
        if not isinstance(data, dict):
            raise SettingsError(f"{where}: expected a mapping with 'segments', got {type(data).__name__}")
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise SettingsError(f"{where}: {_first_complaint(error)}") from None

    def to_yaml_text(self) -> str:
        """Return YAML that `from_yaml_text` reads back to an equal schedule."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_none=True), sort_keys=False)

    def with_rate(self, rate_K_per_ps: float) -> Schedule:
        """Return the same schedule with another rate of all its ramps, for a series of quench rates.

        Parameters
        ----------
        rate_K_per_ps
            Positive, K/ps.

        Raises
        ------
        SettingsError
            If the rate is not positive, or there is no ramp.

        Examples
        --------
        >>> slow = quick_schedule().with_rate(5)
        >>> [round(s.total_ps) for s in slow.segments]
        [8, 180, 60, 10]
        """
        if not any(segment.kind == "ramp" for segment in self.segments):
            raise SettingsError(f"schedule {self.name}: has no ramp whose rate could be another")
        change = {"rate_K_per_ps": rate_K_per_ps, "duration_ps": None}
        segments = [s.model_dump() | (change if s.kind == "ramp" else {}) for s in self.segments]
        name = f"{self.name}, {rate_K_per_ps:g} K/ps"
        return Schedule.from_data({**self.model_dump(), "name": name, "segments": segments}, f"schedule {self.name}")

    @property
    def segment_steps(self) -> tuple[int, ...]:
        """Time steps of each segment."""
        return tuple(max(1, round(s.total_ps * 1e3 / self.timestep_fs)) for s in self.segments)

    @property
    def n_steps(self) -> int:
        """Time steps in all."""
        return sum(self.segment_steps)

    @property
    def total_ps(self) -> float:
        """Simulated time in all, ps."""
        return self.n_steps * self.timestep_fs * 1e-3

    @property
    def sha256(self) -> str:
        """Hash of everything that the schedule says, as sorted JSON."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def quick_schedule() -> Schedule:
    """Return the schedule for a first look: 33 000 steps of 2 fs, about a minute for 114 atoms on the compiled engine.

    Notes
    -----
    - melt, 8 ps at 1500 K and constant volume: Li moves about 8 Å there, Cl 5 Å, O 4 Å and Zr 3 Å
      (`Glass.melt_memory` says so for each run): the packing is forgotten by all but Zr, which moves less than
      one Zr–Zr distance. At ambient pressure a zirconium chloride melt would boil (ZrCl4 sublimes at 604 K).
    - quench at 25 K/ps, still far faster than any experiment. The volume is free from the start, under 0.2 GPa down to
      600 K and ambient pressure below: at ambient pressure the hot cell grows by up to a third at times and freezes at
      a low density. Densities of 114 atoms of Li3ZrCl4O1.5 with lzoc-base, mean ± standard deviation between glasses,
      g/cm3: 0.1 GPa 2.04 ± 0.07 (7 glasses), 0.2 GPa 2.08 ± 0.05 (8), 0.5 GPa 2.13 ± 0.07 (4); constant volume to
      900 K and ambient below 2.01 ± 0.08 (8). Packed at 1.8 and 2.2 g/cm3 (4 each) both ways end alike.
    - 0.2 GPa was picked among some ten variants on these same few glasses, so its scatter is flattered. The four
      glasses of the quick study, which had no part in the choice: 2.06 ± 0.08 with it, 1.96 ± 0.15 the other way. It
      may freeze in some 2 %, a trend of one or two standard errors: production numbers want a series of pressures.
    - density, 10 ps at 300 K and ambient pressure; the first half is discarded.
    """
    return Schedule(
        name="quick",
        relax_steps=50,
        log_interval_ps=0.02,
        segments=(
            Segment(name="melt", kind="hold", temperature_K=1500, duration_ps=8, record=False),
            _ramp(1500, 600, 25, _COHESION_GPa),
            _ramp(600, 300, 25, AMBIENT_GPa),
            Segment(name="density", kind="hold", ensemble="npt", temperature_K=300, duration_ps=10),
        ),
    )


def production_schedule() -> Schedule:
    """Return the schedule for publication: 400 ps, quench at 5 K/ps.

    Notes
    -----
    As `quick_schedule`, but: 50 ps of melt; 5 K/ps; 10 ps at 600 K to settle when the pressure is released; 100 ps
    for the density. Whether 5 K/ps is slow enough is a question for a series of rates, not a fact: compare with a
    schedule of half the rate before you publish.
    """
    return Schedule(
        name="production",
        relax_steps=50,
        log_interval_ps=0.1,
        segments=(
            Segment(name="melt", kind="hold", temperature_K=1500, duration_ps=50, record=False),
            _ramp(1500, 600, 5, _COHESION_GPa),
            Segment(name="settle", kind="hold", ensemble="npt", temperature_K=600, duration_ps=10, record=False),
            _ramp(600, 300, 5, AMBIENT_GPa),
            Segment(name="density", kind="hold", ensemble="npt", temperature_K=300, duration_ps=100),
        ),
    )


def hold_schedule(
    temperature_K: float,
    duration_ps: float,
    ensemble: Literal["nvt", "npt"] = "nvt",
    *,
    thermostat: Literal["langevin", "nose_hoover"] = "nose_hoover",
    equilibration_ps: float = 0.0,
    pressure_GPa: float | None = None,
    timestep_fs: float = 2.0,
    log_interval_ps: float = 0.1,
) -> Schedule:
    """Return a schedule that holds one temperature, for molecular dynamics of a finished structure.

    Parameters
    ----------
    temperature_K
        K.
    duration_ps
        Recorded time, ps.
    ensemble
        Constant volume or constant pressure, of all of it.
    thermostat
        Of the recorded part; Nosé–Hoover, which does not damp the dynamics, unless you say otherwise.
    equilibration_ps
        Time under a Langevin thermostat before, not recorded, ps.
    pressure_GPa
        For npt; ambient unless given.
    timestep_fs, log_interval_ps
        As in `Schedule`.

    Examples
    --------
    >>> hold_schedule(700, 20, equilibration_ps=2).n_steps
    11000
    """
    common = {"kind": "hold", "ensemble": ensemble, "temperature_K": temperature_K, "pressure_GPa": pressure_GPa}
    before = {**common, "name": "equilibrate", "duration_ps": equilibration_ps, "record": False}
    recorded = {**common, "name": "hold", "duration_ps": duration_ps, "thermostat": thermostat}
    data = {
        "name": f"hold {temperature_K:g} K",
        "timestep_fs": timestep_fs,
        "log_interval_ps": log_interval_ps,
        "segments": [before, recorded] if equilibration_ps else [recorded],
    }
    return Schedule.from_data(data, "hold schedule")


def _ramp(from_K: float, to_K: float, rate_K_per_ps: float, pressure_GPa: float) -> Segment:
    return Segment(
        name="quench",
        kind="ramp",
        ensemble="npt",
        from_K=from_K,
        to_K=to_K,
        rate_K_per_ps=rate_K_per_ps,
        pressure_GPa=pressure_GPa,
        record=False,
    )


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error, not a silent choice of the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line}: key '{key.value}' given twice; keep one of them")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _first_complaint(error: ValidationError) -> str:
    """One line on the first thing that is wrong: key, value given, value expected."""
    # a misspelt key shows up twice: as unknown and as missing; only the first says what to do
    first = min(error.errors(), key=lambda fault: fault["type"] == "missing")
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        model: type[BaseModel] = Segment if "segments" in first["loc"] else Schedule
        inside = path[: -len(key)].rstrip(".")
        place = f" in {inside}" if inside else ""
        return f"unknown key '{key}'{place}; {did_you_mean(key, model.model_fields)}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "value_error":
        return f"{path}: {message}" if path else message
    if first["type"] == "missing":
        return f"'{path}' is missing"
    return f"{path}: got {first['input']!r}, expected {message.removeprefix('Input should be ')}"
