"""Settings of one study: what `study.yaml` may say, and the two presets that everything not said comes from.

A study file names a composition and whatever should differ from its preset. The presets stand in the shipped
study `workflows/li-zr-o-cl/study.yaml`, and nowhere else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlsim.composition import Composition
from mlsim.curve import Quantity
from mlsim.errors import SettingsError, did_you_mean
from mlsim.io.studies import checked_settings, file_sha256, read_schedule, read_settings
from mlsim.melt_quench import Schedule, production_schedule, quick_schedule
from mlsim.shipped import shipped_folder

__all__ = [
    "GlassSettings",
    "MeasurementSettings",
    "ScatteringSettings",
    "StudySettings",
    "TopologySettings",
    "TransportSettings",
    "read_study",
    "shipped_study",
]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]

_FEWEST_FRAMES = 4  # the mean squared displacement needs them; short runs above it give upper bounds
_SCHEDULES = {"quick": quick_schedule, "production": production_schedule}


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class GlassSettings(_Settings):
    """How many independent glasses, and what each starts from.

    Attributes
    ----------
    number
        Independent glasses; every error in the result is the scatter over them.
    atoms
        Atoms in each cell: a multiple of the formula unit.
    packing_density_g_cm3
        Density of the random packing that is melted; the glass finds its own density under NPT.
    """

    number: Annotated[int, Field(ge=1, le=1000)]
    atoms: Annotated[int, Field(ge=1)]
    packing_density_g_cm3: Positive


class TransportSettings(_Settings):
    """Constant-temperature MD of every glass, for the diffusion of the mobile ion.

    Attributes
    ----------
    temperatures_K
        At least two for an activation energy; take them below the glass transition, but where the ion moves.
    equilibration_ps, time_ps
        Heating and settling that is thrown away, then the recorded time, at each temperature.
    timestep_fs
        Time step of the MD.
    frame_interval_fs
        Time between two recorded frames: a multiple of the time step.
    include_above_glass_transition
        Whether temperatures above the glass transition of the quench enter the Arrhenius line.
    """

    temperatures_K: Annotated[tuple[Positive, ...], Field(min_length=1)]
    equilibration_ps: NotNegative
    time_ps: Positive
    timestep_fs: Annotated[float, Field(gt=0, le=5)] = 2.0
    frame_interval_fs: Positive = 20.0
    include_above_glass_transition: bool = False

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if len(set(self.temperatures_K)) != len(self.temperatures_K):
            raise ValueError(f"temperatures_K {list(self.temperatures_K)} names one twice; give each once")
        steps = self.frame_interval_fs / self.timestep_fs
        if steps < 1 or abs(steps - round(steps)) > 1e-9:
            raise ValueError(
                f"frame_interval_fs {self.frame_interval_fs:g} is no multiple of timestep_fs {self.timestep_fs:g}"
            )
        if 1000 * self.time_ps < _FEWEST_FRAMES * self.frame_interval_fs:
            raise ValueError(
                f"time_ps {self.time_ps:g} holds fewer than {_FEWEST_FRAMES} frames of {self.frame_interval_fs:g} fs; "
                "run longer"
            )
        return self


class ScatteringSettings(_Settings):
    """X-ray S(Q) and G_PDF(r) of the model in the report.

    Attributes
    ----------
    q_min_per_A, q_max_per_A, q_step_per_A
        Grid of S(Q) and limits of the sine transform, 1/Å.
    r_max_A
        End of g(r) and G_PDF(r), Å; half the shortest cell vector when left out.
    window
        Of the sine transform: step, or Lorch.
    form_factors
        Of neutral atoms or of ions.
    """

    q_min_per_A: NotNegative = 0.5
    q_max_per_A: Positive = 25.0
    q_step_per_A: Positive = 0.02
    r_max_A: Positive | None = None
    window: Literal["step", "lorch"] = "step"
    form_factors: Literal["neutral", "ions"] = "neutral"

    @model_validator(mode="after")
    def _range_of_q(self) -> Self:
        if self.q_min_per_A + self.q_step_per_A >= self.q_max_per_A:
            raise ValueError(f"q_min_per_A {self.q_min_per_A:g} is not below q_max_per_A {self.q_max_per_A:g}")
        return self


class TopologySettings(_Settings):
    """Which elements make the network.

    Attributes
    ----------
    center, bridging, mobile
        Cation of the polyhedra, anions that link them, ion that moves.
    cutoffs_A
        Bond lengths by pair, for example {Zr-O: 2.8}; pairs left out end at the first minimum of g(r).
    """

    center: str = "Zr"
    bridging: tuple[str, ...] = ("O", "Cl")
    mobile: str = "Li"
    cutoffs_A: dict[Annotated[str, Field(pattern=r"^[A-Z][a-z]?-[A-Z][a-z]?$")], Positive] = Field(default_factory=dict)


class MeasurementSettings(_Settings):
    """A measured curve to compare with.

    Attributes
    ----------
    file
        Two or three columns of text (x, y and perhaps its error); the path is relative to the study file.
    quantity
        Which function it is: s_of_q, i_of_q, qi_of_q, f2_of_q, g_pdf, ... (`mlsim.curve.Quantity`).
    radiation
        xray or neutron.
    name
        Its name in the result (`rw_<name>`); the name of the file when left out.
    sample, source
        What was measured, and where the file comes from.
    q_min_per_A, q_max_per_A, window
        For a function of r: the sine transform that made it, so that the model goes through the same.
    from_x, to_x
        Part of the curve that is compared, 1/Å or Å; all that the model covers when left out.
    repair
        Rules by which an odd file is mended: sort, drop-backward, drop-nonfinite, drop-bad-lines, cut-low-r.
    force_quantity
        Use the file as `quantity` even where its limits say that it is another function.
    """

    file: str
    quantity: Quantity
    radiation: Literal["xray", "neutron"] = "xray"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]+$")] | None = None
    sample: str = ""
    source: str = ""
    q_min_per_A: NotNegative = 0.0
    q_max_per_A: Positive | None = None
    window: Literal["step", "lorch"] = "step"
    from_x: NotNegative | None = None
    to_x: Positive | None = None
    repair: tuple[Literal["sort", "drop-backward", "drop-nonfinite", "drop-bad-lines", "cut-low-r"], ...] = ()
    force_quantity: bool = False
    sha256: str = ""

    @model_validator(mode="after")
    def _transform_is_known(self) -> Self:
        if not self.quantity.of_q and self.q_max_per_A is None:
            raise ValueError(
                f"{self.quantity} needs q_max_per_A, the upper limit of the sine transform that made the file"
            )
        if self.quantity.of_neutrons and self.radiation != "neutron":
            raise ValueError(f"{self.quantity} is defined for neutrons; radiation is {self.radiation}")
        return self

    @property
    def label(self) -> str:
        """Name of the curve in the result."""
        return self.name or Path(self.file).stem


class StudySettings(_Settings):
    """Everything that decides the result of a study.

    Attributes
    ----------
    name
        Name of the study; the folder of its results starts with it.
    composition
        Formula, charge neutral, such as Li3ZrCl4O1.5.
    preset
        Name of the preset that everything left out comes from.
    potential
        Name of a shipped potential or path of a model file.
    seed
        All random numbers of all glasses follow from it.
    glasses, melt_quench, transport, scattering, topology, measurement
        The stages; `melt_quench` is quick, production, a file or a schedule written out, `transport: null` leaves
        the diffusion out.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]*$")]
    composition: str
    preset: str
    potential: str
    seed: Seed = 1
    glasses: GlassSettings
    melt_quench: Schedule
    transport: TransportSettings | None
    scattering: ScatteringSettings = ScatteringSettings()
    topology: TopologySettings = TopologySettings()
    measurement: tuple[MeasurementSettings, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        try:
            composition = Composition.parse(self.composition)
            composition.formal_charges()
            composition.counts(self.glasses.atoms)
        except SettingsError as error:
            raise ValueError(str(error)) from error
        for key, element in (("center", self.topology.center), ("mobile", self.topology.mobile)):
            if element not in composition.elements:
                raise ValueError(
                    f"topology.{key} is {element}, which {self.composition} does not hold; "
                    f"choose among {', '.join(composition.elements)}"
                )
        self._require_known_pairs(composition.elements)
        labels = [entry.label for entry in self.measurement]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(f"measurement: two curves are called '{label}'; give each a name")
        return self

    def _require_known_pairs(self, elements: tuple[str, ...]) -> None:
        """Bonds and cut-offs of elements that are not there would only be missed when all MD is done."""
        wanted = {"topology.bridging": self.topology.bridging} if "bridging" in self.topology.model_fields_set else {}
        wanted |= {f"topology.cutoffs_A {pair}": tuple(pair.split("-")) for pair in self.topology.cutoffs_A}
        for where, names in wanted.items():
            unknown = [name for name in names if name not in elements]
            if unknown:
                raise ValueError(
                    f"{where}: {self.composition} holds no {', '.join(unknown)}; choose among {', '.join(elements)}"
                )
        if not any(anion in elements for anion in self.topology.bridging):
            raise ValueError(
                f"topology.bridging {', '.join(self.topology.bridging)}: {self.composition} holds none of them; "
                f"choose among {', '.join(elements)}"
            )

    @property
    def simulation(self) -> dict[str, Any]:
        """What decides each trajectory, besides the potential, as plain values: a change means a new run."""
        include = {"composition", "seed", "glasses", "melt_quench", "transport"}
        values = self.model_dump(mode="json", include=include)
        if self.transport is None:
            values.pop("transport")
        else:
            values["transport"].pop("temperatures_K")
        return values

    @property
    def analysis(self) -> dict[str, Any]:
        """What decides which trajectories there are and how they are analysed: a change goes on from what is there."""
        values = self.model_dump(mode="json", include={"name", "scattering", "topology", "measurement"})
        for entry in values["measurement"]:
            entry.pop("file")  # its hash says what is in it, wherever it lies
        return {**values, "temperatures_K": [] if self.transport is None else list(self.transport.temperatures_K)}

    @property
    def sha256(self) -> str:
        """Hash of all settings as JSON with sorted keys; files count by what is in them, the potential apart."""
        text = json.dumps({**self.simulation, **self.analysis}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def shipped_study() -> Path:
    """Return the path of the study of Li3ZrCl4O1.5 that comes with mlsim."""
    return shipped_folder("workflows") / "li-zr-o-cl" / "study.yaml"


def read_study(path: str | os.PathLike[str] | None = None, *, preset: str | None = None) -> StudySettings:
    """Return the settings of a study file, completed from its preset.

    Parameters
    ----------
    path
        The study file; the shipped study of Li3ZrCl4O1.5 when left out.
    preset
        quick, production, or one that the file itself defines under `presets`; it wins over the file's `preset`.

    Raises
    ------
    SettingsError
        One line with the file, the key and what to do.

    Examples
    --------
    >>> study = read_study(preset="quick")
    >>> study.composition, study.glasses.atoms
    ('Li3ZrCl4O1.5', 114)
    """
    shipped = shipped_study()
    file = shipped if path is None else Path(path)
    content = read_settings(file)
    presets = _presets(read_settings(shipped), shipped)
    if file != shipped:
        presets = _merged(presets, _presets(content, file))
    own = {key: value for key, value in content.items() if key != "presets"}
    name = preset or own.get("preset", "quick")
    if name not in presets:
        raise SettingsError(f"{file}: unknown preset '{name}'; {did_you_mean(str(name), presets)}")
    values = _merged(presets[name], {**own, "preset": name})
    values.setdefault("name", str(values.get("composition", "study")).strip().lower())
    _complete(values, file)
    if not (isinstance(own.get("glasses"), dict) and "atoms" in own["glasses"]):
        values["glasses"] = _whole_formula_units(values)
    return checked_settings(StudySettings, values, where=str(file))


def _presets(content: Mapping[str, Any], file: Path) -> dict[str, dict[str, Any]]:
    presets = content.get("presets", {})
    if not isinstance(presets, dict) or not all(isinstance(part, dict) for part in presets.values()):
        raise SettingsError(f"{file}: presets: expected 'name: settings' entries")
    return presets


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` on top, mappings merged key by key; a schedule is replaced as a whole."""
    result = dict(base)
    for key, value in changes.items():
        below = result.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and key != "melt_quench":
            result[key] = _merged(below, value)
        else:
            result[key] = value
    return result


def _whole_formula_units(values: Mapping[str, Any]) -> Any:
    """Return the preset's glasses with the number of atoms nearest to it that is a multiple of the formula unit."""
    glasses = values.get("glasses")
    try:
        composition = Composition.parse(str(values.get("composition")))
        composition.formal_charges()
    except SettingsError:
        return glasses  # said with the key when the settings are checked
    if not (isinstance(glasses, dict) and isinstance(glasses.get("atoms"), int)):
        return glasses
    return {**glasses, "atoms": composition.nearest_atom_number(glasses["atoms"])}


def _complete(values: dict[str, Any], file: Path) -> None:
    """Turn names and relative paths in raw settings into what they mean."""
    schedule = values.get("melt_quench")
    if isinstance(schedule, str):
        if schedule in _SCHEDULES:
            values["melt_quench"] = _SCHEDULES[schedule]()
        elif schedule.endswith((".yaml", ".yml")):
            values["melt_quench"] = read_schedule(file.parent / schedule)
        else:
            hint = did_you_mean(schedule, _SCHEDULES)
            raise SettingsError(f"{file}: melt_quench: '{schedule}' is no schedule and no .yaml file; {hint}")
    potential = values.get("potential")
    if isinstance(potential, str) and (file.parent / potential).is_file():
        values["potential"] = str((file.parent / potential).resolve())
    measured = values.get("measurement")
    if isinstance(measured, dict):
        measured = [measured]
    if isinstance(measured, list):
        values["measurement"] = [_with_file(entry, file) for entry in measured]


def _with_file(entry: Any, file: Path) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("file"), str):
        return entry
    path = (file.parent / entry["file"]).resolve()
    if not path.is_file():
        raise SettingsError(f"{file}: measurement.file: {path}: no such file")
    return {**entry, "file": str(path), "sha256": file_sha256(path)}
