"""Settings of a campaign: several samples, several glasses of each, several temperatures; and its folder.

`campaign-settings.json` in the folder holds the config, completed; the Snakefile of `workflows/li-zr-o-cl` reads it.
Samples, glasses and temperatures may be added to a folder that has begun; what decides a trajectory may not change.
"""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlsim import __version__
from mlsim.atomic import atomic_write_text
from mlsim.composition import Composition
from mlsim.curve import Quantity
from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.io.studies import checked_settings, file_sha256, read_schedule, read_settings
from mlsim.melt_quench import Schedule, production_schedule, quick_schedule
from mlsim.shipped import shipped_folder
from mlsim.study.manifest import settings_difference
from mlsim.study.potentials import ModelFile, PotentialSource, require_elements

__all__ = [
    "SETTINGS_FILE",
    "CampaignSettings",
    "RunSettings",
    "SampleSettings",
    "campaign_of",
    "open_campaign",
    "read_campaign_settings",
    "shipped_campaign",
]

SETTINGS_FILE: Final = "campaign-settings.json"
_FORMAT: Final = "mlsim campaign 1"
_SCHEDULES: Final = {"quick": quick_schedule, "production": production_schedule}
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$"

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=1000)]
CurveName = Annotated[str, Field(pattern=r"^(xray|neutron)-[a-z0-9_]+$")]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SampleSettings(_Settings):
    """One sample of a campaign.

    Attributes
    ----------
    formula
        Charge neutral.
    x
        Of Li(2+2x)ZrCl4O(1+x), the axis of the series figures; None for a sample beside the series.
    runs
        Independent glasses, or runs of the crystal.
    atoms
        In each cell; the multiple of the formula unit (of the crystal: the supercell) that is nearest.
    crystal
        Name of a crystal that mlsim knows, or a structure file; None for a glass.
    """

    formula: str
    x: float | None = None
    runs: Count
    atoms: Annotated[int, Field(ge=1)]
    crystal: str | None = None

    @property
    def run_names(self) -> tuple[str, ...]:
        """Names of the folders of its glasses or runs."""
        kind = "glass" if self.crystal is None else "run"
        return tuple(f"{kind}-{n}" for n in range(1, self.runs + 1))


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
    """A measured curve of one sample, for the RMC; `sigma` is the error of a point where the file has none."""

    sample: str
    file: str
    quantity: Quantity
    radiation: Literal["xray", "neutron"] = "xray"
    sigma: Positive | None = None
    q_max_per_A: Positive | None = None
    sha256: str = ""


class CampaignSettings(_Settings):
    """Everything that a config may say; `quench` is quick, production, a file or a schedule written out."""

    title: str
    potential: str
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    mobile: str = "Li"
    packing_density_g_cm3: Positive
    quench: Schedule
    samples: dict[Annotated[str, Field(pattern=_NAME)], SampleSettings]
    structure: StructureSettings
    md: MdSettings
    scattering: ScatteringCurves = ScatteringCurves()
    measurements: tuple[CampaignMeasurementSettings, ...] = ()
    rmc: RmcSettings = RmcSettings()
    comparisons: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.samples:
            raise ValueError("samples: none is named")
        named = [n for pair in self.comparisons for n in pair] + [m.sample for m in self.measurements]
        for name in named:
            if name not in self.samples:
                raise ValueError(f"no sample is called '{name}'; {did_you_mean(name, self.samples)}")
        for name, sample in self.samples.items():
            try:
                composition = Composition.parse(sample.formula)
                composition.formal_charges()
                if sample.crystal is None:
                    composition.counts(sample.atoms)
            except SettingsError as error:
                raise ValueError(f"samples.{name}: {error}") from error
            if self.mobile not in composition.elements:
                raise ValueError(f"samples.{name}: {sample.formula} holds no {self.mobile}, the mobile ion")
        return self

    def seed_of(self, sample: str, run: str) -> int:
        """Return the seed of one glass or run: the same whatever else the campaign holds."""
        return zlib.crc32(f"{self.seed} {sample} {run}".encode())

    @property
    def trajectories(self) -> dict[str, Any]:
        """What decides each trajectory, besides the potential, as plain values."""
        values = self.model_dump(mode="json", include={"seed", "packing_density_g_cm3", "quench", "structure", "md"})
        values["md"].pop("temperatures_K")
        samples = self.model_dump(mode="json", include={"samples"})["samples"]
        values["samples"] = {
            name: {key: sample[key] for key in ("formula", "atoms", "crystal")} for name, sample in samples.items()
        }
        return values


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
    >>> settings.samples["x0.50"].formula, settings.samples["x0.50"].runs
    ('Li3ZrCl4O1.5', 4)
    """
    file = shipped_campaign() / "config.yaml" if path is None else Path(path)
    values = read_settings(file)
    runs, atoms = values.pop("runs", 4), values.pop("atoms", 228)
    samples = values.get("samples")
    if isinstance(samples, dict):
        values["samples"] = {str(name): _sample(sample, runs, atoms, file) for name, sample in samples.items()}
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
    return checked_settings(CampaignSettings, values, where=str(file))


def open_campaign(directory: Path, settings: CampaignSettings, source: PotentialSource | None = None) -> None:
    """Write the settings into the folder of a campaign, after a look at those that it was begun with.

    Parameters
    ----------
    source
        Instead of the potential that the settings name.

    Raises
    ------
    SettingsError
        If the potential is unknown or does not know an element; or the folder was begun with another potential or with
        settings that give other trajectories: the difference is in the message.
    """
    found = ModelFile.named(settings.potential) if source is None else source
    for sample in settings.samples.values():
        require_elements(Composition.parse(sample.formula).elements, found)
    path = directory / SETTINGS_FILE
    if directory.exists() and not directory.is_dir():
        raise SettingsError(f"{directory}: is a file; choose a folder with -o")
    if path.exists():
        before, now = _read(path), {"potential_sha256": found.sha256, **settings.trajectories}
        then = {"potential_sha256": before["potential_sha256"], **_settings_in(before, path).trajectories}
        both = then["samples"].keys() & now["samples"].keys()
        for values in (then, now):
            values["samples"] = {name: values["samples"][name] for name in sorted(both)}
        differences = settings_difference(json.loads(json.dumps(then)), json.loads(json.dumps(now)))
        if differences and any(directory.glob("*/*/*/checkpoint.npz")):
            raise SettingsError(
                f"{directory}: began with other settings: {'; '.join(differences)}; "
                "go back to the old settings or choose another folder with -o"
            )
    elif directory.is_dir() and any(not item.name.startswith(".") for item in directory.iterdir()):
        raise SettingsError(f"{directory}: holds files but no {SETTINGS_FILE}; choose another folder with -o")
    body = {
        "format": _FORMAT,
        "mlsim_version": __version__,
        "potential_sha256": found.sha256,
        **settings.model_dump(mode="json"),
        "seeds": {
            name: {run: settings.seed_of(name, run) for run in sample.run_names}
            for name, sample in settings.samples.items()
        },
    }
    text = json.dumps(body, indent=1) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        atomic_write_text(path, text)


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


def _sample(sample: Any, runs: Any, atoms: Any, file: Path) -> Any:
    """Return a sample with its number of runs and of atoms, and the path of its structure file."""
    if not isinstance(sample, dict):
        return sample
    given = {"runs": runs, "atoms": atoms, **sample}
    crystal = given.get("crystal")
    if isinstance(crystal, str) and (file.parent / crystal).is_file():
        given["crystal"] = str((file.parent / crystal).resolve())
    if crystal is None and "atoms" not in sample and isinstance(given["atoms"], int):
        try:
            composition = Composition.parse(str(sample.get("formula")))
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
