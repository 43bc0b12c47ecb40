"""Settings of a campaign: several systems, several glasses of each, several temperatures; and its folder.

`campaign-settings.json` in the folder holds the config, completed; the Snakefile of `workflows/li-zr-o-cl` reads it.
Systems, glasses and temperatures may be added to a folder that has begun; what decides a trajectory may not change.
"""

from __future__ import annotations

import itertools
import json
import os
import zlib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlsim import __version__
from mlsim.atomic import atomic_write_text
from mlsim.composition import Composition, place_in_series
from mlsim.curve import Quantity
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.io.studies import checked_settings, file_sha256, read_schedule, read_settings
from mlsim.melt_quench import Schedule, production_schedule, quick_schedule
from mlsim.shipped import shipped_folder
from mlsim.study.manifest import settings_difference
from mlsim.study.potentials import PotentialSource, require_elements

__all__ = [
    "SETTINGS_FILE",
    "CampaignSettings",
    "RunSettings",
    "SystemSettings",
    "campaign_of",
    "read_campaign_settings",
    "require_same_trajectories",
    "set_aside_refinements",
    "shipped_campaign",
    "write_campaign_settings",
]

SETTINGS_FILE: Final = "campaign-settings.json"
QUENCH_FILE: Final = "quench.yaml"
_FORMAT: Final = "mlsim campaign 1"
_SCHEDULES: Final = {"quick": quick_schedule, "production": production_schedule}
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1000)]
CurveName = Annotated[str, Field(pattern=r"^(xray|neutron)-[a-z0-9_]+$")]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SystemSettings(_Settings):
    """One system of a campaign.

    Attributes
    ----------
    formula
        Charge neutral.
    x
        Of Li(2+2x)ZrCl4O(1+x), the axis of the series figures; None for a system beside the series.
    runs
        Independent glasses, or runs of the crystal.
    atoms
        In each cell; the multiple of the formula unit (of the crystal: the supercell) that is nearest.
    crystal
        Name of a crystal that mlsim knows, or a structure file; None for a glass.
    left_out
        Runs that do not count, each with the reason, which the report repeats: {glass-2: crystallised}.
    """

    formula: str
    x: float | None = None
    runs: Count
    atoms: Annotated[int, Field(ge=1)]
    crystal: str | None = None
    left_out: dict[str, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict)

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of the folders of its glasses or runs, without those left out."""
        return tuple(name for name in self._numbered if name not in self.left_out)

    @property
    def _numbered(self) -> tuple[str, ...]:
        kind = "glass" if self.crystal is None else "run"
        return tuple(f"{kind}-{n}" for n in range(1, self.runs + 1))

    @model_validator(mode="after")
    def _one_counts(self) -> Self:
        for name in self.left_out:
            if name not in self._numbered:
                raise ValueError(f"left_out: no run is called '{name}'; {did_you_mean(name, self._numbered)}")
        if not self.run_names:
            raise ValueError("left_out: no run is left")
        return self


class RunSettings(_Settings):
    """Length and resolution of an MD at constant volume; frames are `interval_ps` apart."""

    time_ps: Positive
    equilibration_ps: NotNegative
    timestep_fs: Annotated[float, Field(gt=0, le=5)]
    interval_ps: Positive

    @property
    def n_steps(self) -> int:
        """Time steps of one run."""
        return round((self.time_ps + self.equilibration_ps) * 1000 / self.timestep_fs)

    @model_validator(mode="after")
    def _whole_steps(self) -> Self:
        steps = self.interval_ps * 1000 / self.timestep_fs
        if steps < 1 - 1e-9 or abs(steps - round(steps)) > 1e-6:
            raise ValueError(f"interval_ps {self.interval_ps:g} is no multiple of timestep_fs {self.timestep_fs:g}")
        return self


class StructureSettings(RunSettings):
    """The run that structure and scattering are averaged over."""

    temperature_K: Positive


class MdSettings(RunSettings):
    """The runs that transport is computed from."""

    temperatures_K: Annotated[tuple[Positive, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.temperatures_K)) < len(self.temperatures_K):
            raise ValueError(f"temperatures_K {list(self.temperatures_K)} names one twice; give each once")
        return self


class ScatteringCurves(_Settings):
    """Which curves are computed, as radiation-function: xray-s_of_q, neutron-g_pdf; and the largest Q, 1/Å."""

    q_max_per_A: Positive = 25.0
    curves: tuple[CurveName, ...] = ("xray-s_of_q", "xray-g_pdf")

    @model_validator(mode="after")
    def _known(self) -> Self:
        for curve in self.curves:
            name = curve.partition("-")[2]
            if name not in [str(quantity) for quantity in Quantity]:
                raise ValueError(f"curves: unknown function '{name}'; {did_you_mean(name, map(str, Quantity))}")
        return self


class RmcSettings(_Settings):
    """Refinements from each glass: how many, and proposals per atom."""

    runs: Count = 4
    moves_per_atom: Positive = 500.0


class CampaignMeasurementSettings(_Settings):
    """A measured curve of one system, for the RMC; `sigma` is the error of a point where the file has none."""

    system: str
    file: str
    quantity: Quantity
    radiation: Literal["xray", "neutron"] = "xray"
    sigma: Positive | None = None
    q_max_per_A: Positive | None = None
    sha256: str = ""


class CampaignSettings(_Settings):
    """Everything that a config may say; `quench` is quick, production, a file or a schedule written out.

    `center`, `bridging` and `mobile` are the cation of the polyhedra, the anions that link them and the ion that moves.
    """

    title: str
    potential: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    center: str = "Zr"
    bridging: tuple[str, ...] = ("O", "Cl")
    mobile: str = "Li"
    packing_density_g_cm3: Positive
    quench: Schedule
    systems: dict[Annotated[str, Field(pattern=_NAME)], SystemSettings]
    structure: StructureSettings
    md: MdSettings
    scattering: ScatteringCurves = ScatteringCurves()
    measurements: tuple[CampaignMeasurementSettings, ...] = ()
    rmc: RmcSettings = RmcSettings()
    comparisons: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.systems:
            raise ValueError("systems: none is named")
        named = [n for pair in self.comparisons for n in pair] + [m.system for m in self.measurements]
        for name in named:
            if name not in self.systems:
                raise ValueError(f"no system is called '{name}'; {did_you_mean(name, self.systems)}")
        for name, system in self.systems.items():
            try:
                composition = Composition.parse(system.formula)
                composition.formal_charges()
                if system.crystal is None:
                    composition.counts(system.atoms)
            except SettingsError as error:
                raise ValueError(f"systems.{name}: {error}") from error
            if not set(self.bridging) & set(composition.elements):
                raise ValueError(
                    f"systems.{name}: {system.formula} holds no bridging anion ({', '.join(self.bridging)})"
                )
            for element, what in ((self.mobile, "the mobile ion"), (self.center, "the center of the polyhedra")):
                if element not in composition.elements:
                    raise ValueError(f"systems.{name}: {system.formula} holds no {element}, {what}")
        return self

    def seed_of(self, system: str, run: str) -> int:
        """Return the seed of one glass or run: the same whatever else the campaign holds."""
        return zlib.crc32(f"{self.seed} {system} {run}".encode())

    def refinement_of(self, system: str) -> tuple[Any, ...]:
        """Return what decides the refinements of a system, besides its glasses."""
        curves = [
            (Path(m.file).stem, m.model_dump(mode="json", exclude={"file"}))  # a refinement names its curves by file
            for m in self.measurements
            if m.system == system
        ]
        return self.rmc.model_dump(), curves

    @property
    def trajectories(self) -> dict[str, Any]:
        """What decides each trajectory, besides the potential, as plain values."""
        values = self.model_dump(mode="json", include={"seed", "packing_density_g_cm3", "quench", "structure", "md"})
        values["md"].pop("temperatures_K")
        systems = self.model_dump(mode="json", include={"systems"})["systems"]
        values["systems"] = {
            name: {key: system[key] for key in ("formula", "atoms", "crystal")} for name, system in systems.items()
        }
        return values


def _require_distinct(settings: CampaignSettings) -> None:
    """Refuse two systems that a report could not tell apart, and two ranges for the refinement of one system."""
    phases: dict[tuple[Any, ...], str] = {}
    for name, system in settings.systems.items():
        unit = tuple(sorted(Composition.parse(system.formula).integer_formula_unit().items()))
        other = phases.setdefault((unit, system.crystal is None), name)
        if other != name:
            raise SettingsError(f"systems.{name}: the same composition and phase as {other}; one campaign each")
    limits: dict[str, float | None] = {}
    for entry in settings.measurements:
        if limits.setdefault(entry.system, entry.q_max_per_A) != entry.q_max_per_A:
            raise SettingsError(
                f"measurements of {entry.system}: q_max_per_A differ; a refinement has one, give it with each curve"
            )


def _require_place(name: str, system: SystemSettings) -> None:
    found = place_in_series(system.formula)
    if system.x is not None and (found is None or abs(system.x - found) > 1e-6):
        where = "is no member of Li(2+2x)ZrCl4O(1+x)" if found is None else f"has x = {found:g}"
        raise SettingsError(f"systems.{name}: {system.formula} {where}; x is given as {system.x:g}")


def _require_crystal(name: str, system: SystemSettings) -> None:
    """Refuse a crystal that is neither known nor a file, or of another composition than its system."""
    if system.crystal is None:
        return
    from mlsim.io.structures import read_structure
    from mlsim.potential.crystals import crystal_cell  # slow to import

    path = Path(system.crystal)
    if path.suffix and not path.is_file():
        raise SettingsError(f"systems.{name}: crystal {path}: no such file")
    cell = read_structure(path) if path.is_file() else crystal_cell(system.crystal)
    found = Composition.of_atoms(cell.get_chemical_symbols())
    if found.integer_formula_unit() != Composition.parse(system.formula).integer_formula_unit():
        raise SettingsError(
            f"systems.{name}: crystal {system.crystal} is {found.formula}, the formula says {system.formula}"
        )


def shipped_campaign() -> Path:
    """Return the folder of the campaign that comes with mlsim: Snakefile, configs and profiles."""
    return shipped_folder("workflows") / "li-zr-o-cl"


def read_campaign_settings(path: str | os.PathLike[str] | None = None) -> CampaignSettings:
    """Return the settings of a config, completed: numbers of atoms, schedules and paths written out.

    Parameters
    ----------
    path
        The config; the shipped series when left out.

    Raises
    ------
    SettingsError
        One line with the file, the key and what to do.

    Examples
    --------
    >>> settings = read_campaign_settings()
    >>> settings.systems["x0.50"].formula, settings.systems["x0.50"].runs
    ('Li3ZrCl4O1.5', 4)
    """
    file = shipped_campaign() / "config.yaml" if path is None else Path(path)
    values = read_settings(file)
    runs, atoms = values.pop("runs", 4), values.pop("atoms", 228)
    systems = values.get("systems")
    if isinstance(systems, dict):
        values["systems"] = {str(name): _system(system, runs, atoms, file) for name, system in systems.items()}
    quench = values.get("quench")
    if isinstance(quench, str) and quench in _SCHEDULES:
        values["quench"] = _SCHEDULES[quench]()
    elif isinstance(quench, str):
        values["quench"] = read_schedule(_beside(file, quench, "quench"))
    potential = values.get("potential")
    if isinstance(potential, str) and (file.parent / potential).is_file():
        values["potential"] = str((file.parent / potential).resolve())
    measured = values.get("measurements")
    if isinstance(measured, list):
        values["measurements"] = [_measurement(entry, file) for entry in measured]
    settings = checked_settings(CampaignSettings, values, where=str(file))
    # only of what is asked for: a folder that began before a rule was there can still be collected
    _require_distinct(settings)
    for name, system in settings.systems.items():
        _require_place(name, system)
        _require_crystal(name, system)
    return settings


def require_same_trajectories(directory: Path, settings: CampaignSettings, source: PotentialSource) -> None:
    """Raise SettingsError if settings do not fit a potential or what a folder was begun with, with the difference.

    Parameters
    ----------
    directory
        Folder of the campaign; it may be new.
    settings
        What is wanted now. Systems, glasses and temperatures may differ from those of the folder.
    source
        The potential.
    """
    for system in settings.systems.values():
        require_elements(Composition.parse(system.formula).elements, source)
    path = directory / SETTINGS_FILE
    if directory.exists() and not directory.is_dir():
        raise SettingsError(f"{directory}: is a file; choose a folder with -o")
    if not path.exists():
        if directory.is_dir() and any(not item.name.startswith(".") for item in directory.iterdir()):
            raise SettingsError(f"{directory}: holds files but no {SETTINGS_FILE}; choose another folder with -o")
        return
    before = _read(path)
    then = {"potential_sha256": before["potential_sha256"], **_settings_in(before, path).trajectories}
    now = {"potential_sha256": source.sha256, **settings.trajectories}
    both = then["systems"].keys() & now["systems"].keys()
    for values in (then, now):
        values["systems"] = {name: values["systems"][name] for name in sorted(both)}
    differences = settings_difference(json.loads(json.dumps(then)), json.loads(json.dumps(now)))
    # a folder that was moved has results but no checkpoints
    if differences and any(next(directory.glob(f"*/*/*/{name}"), None) for name in ("result.json", "checkpoint.npz")):
        raise SettingsError(
            f"{directory}: began with other settings: {'; '.join(differences)}; "
            "go back to the old settings or choose another folder with -o"
        )


def set_aside_refinements(directory: Path, settings: CampaignSettings) -> list[Path]:
    """Rename the refinements that other settings or data made than those wanted now, and return the new names.

    A refinement goes on only with what it began with; nothing is deleted.
    """
    path = directory / SETTINGS_FILE
    if not path.is_file():
        return []
    before = _settings_in(_read(path), path)
    renamed = []
    for name in settings.systems:
        if name not in before.systems or before.refinement_of(name) == settings.refinement_of(name):
            continue
        for folder in sorted((directory / name).glob("*/rmc")):
            number = next(n for n in itertools.count(1) if not folder.with_name(f"rmc-before-{n}").exists())
            renamed.append(folder.rename(folder.with_name(f"rmc-before-{number}")))
    return renamed


def write_campaign_settings(directory: Path, settings: CampaignSettings, source: PotentialSource) -> Path:
    """Write what the Snakefile and `mlsim collect` read, and return the path; what says the same already stays."""
    body = {
        "format": _FORMAT,
        "mlsim_version": __version__,
        "potential_sha256": source.sha256,
        **settings.model_dump(mode="json"),
        "seeds": {
            name: {run: settings.seed_of(name, run) for run in system.run_names}
            for name, system in settings.systems.items()
        },
    }
    path = directory / SETTINGS_FILE
    text = json.dumps(body, indent=1) + "\n"
    for target, wanted in ((path, text), (directory / QUENCH_FILE, settings.quench.to_yaml_text())):
        if not target.exists() or target.read_text(encoding="utf-8") != wanted:
            atomic_write_text(target, wanted)
    return path


def campaign_of(directory: Path) -> tuple[CampaignSettings, str]:
    """Return the settings of a campaign's folder and the sha256 of its potential.

    Raises
    ------
    DataError
        If the folder is no campaign's.
    """
    path = directory / SETTINGS_FILE
    if not path.is_file():
        raise DataError(f"{directory}: holds no {SETTINGS_FILE}; expected a folder that `mlsim campaign` made")
    body = _read(path)
    return _settings_in(body, path), str(body["potential_sha256"])


def _system(system: Any, runs: Any, atoms: Any, file: Path) -> Any:
    """Return a system with its number of runs and of atoms, and the path of its structure file."""
    if not isinstance(system, dict):
        return system
    given = {"runs": runs, "atoms": atoms, **system}
    crystal = given.get("crystal")
    if isinstance(crystal, str) and (file.parent / crystal).is_file():
        given["crystal"] = str((file.parent / crystal).resolve())
    if crystal is None and "atoms" not in system and isinstance(given["atoms"], int):
        try:
            composition = Composition.parse(str(system.get("formula")))
            composition.formal_charges()
            given["atoms"] = composition.nearest_atom_number(given["atoms"])
        except SettingsError:
            pass  # said with the key when the settings are checked
    return given


def _measurement(entry: Any, file: Path) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        return entry
    path = _beside(file, entry["file"], "measurements.file")
    return {**entry, "file": str(path), "sha256": file_sha256(path)}


def _beside(file: Path, name: str, key: str) -> Path:
    path = (file.parent / name).resolve()
    if not path.is_file():
        raise SettingsError(f"{file}: {key}: {path}: no such file")
    return path


def _read(path: Path) -> dict[str, Any]:
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["format"] == _FORMAT:
            return dict(body)
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        pass
    raise DataError(f"{path}: not the settings of a campaign; move the folder away or choose another with -o")


def _settings_in(body: dict[str, Any], path: Path) -> CampaignSettings:
    plain = {k: v for k, v in body.items() if k not in ("format", "mlsim_version", "potential_sha256", "seeds")}
    return checked_settings(CampaignSettings, plain, where=str(path))
