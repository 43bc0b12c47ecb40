"""`series.json`: every curve, histogram and history that the report draws.

`result.json` holds the numbers, this file what is plotted beside them. The study fills a `ReportSeries` part by
part; a part that could not be made stays empty and `missing` says why, in words that the report prints.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from mlsim.curve import Curve, Measurement, Quantity
from mlsim.errors import DataError
from mlsim.io.atomic import atomic_write_text
from mlsim.io.published import PublishedSample
from mlsim.io.results import first_problem

__all__ = [
    "ArrheniusPart",
    "ArrheniusPoint",
    "CoordinationHistogram",
    "Line",
    "MeasuredCurve",
    "MsdPart",
    "PotentialPart",
    "QuenchPart",
    "ReportSeries",
    "Section",
    "Share",
    "SnapshotPart",
    "ThermoPart",
    "read_series",
    "write_series",
]

Section = Literal[
    "scattering",
    "partials",
    "q_partials",
    "coordination",
    "links",
    "chlorine",
    "displacement",
    "arrhenius",
    "thermo",
    "measured",
    "snapshot",
    "committee",
]
"""Parts of the report whose absence `ReportSeries.missing` can explain."""


def _listed(value: Any) -> Any:
    """Turn a numpy array or scalar into plain Python numbers."""
    return value.tolist() if hasattr(value, "tolist") else value


Numbers = Annotated[tuple[FiniteFloat, ...], BeforeValidator(_listed)]
Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Part):
    """A function on a grid with, where known, its standard error; arrays of equal length."""

    x: Numbers
    y: Numbers
    sigma: Numbers | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        _same_length(x=self.x, y=self.y, sigma=self.sigma)
        return self

    @classmethod
    def of(cls, curve: Curve) -> Line:
        """Return the line of a curve; a sigma that is not finite everywhere is left out."""
        return cls.model_validate({"x": curve.x, "y": curve.y, "sigma": _finite_or_none(curve.sigma)})


class MeasuredCurve(_Part):
    """A curve of the user, and the model put through the same transform and grid.

    Attributes
    ----------
    quantity, radiation, sample, source
        As in `mlsim.curve.Measurement`.
    origin
        "synthetic" for a curve that was computed; it is then never called measured.
    data
        The curve as given.
    model
        The model on the grid of the data and with its Qmax and window; None draws the general model curve.
    """

    quantity: Quantity
    radiation: Literal["xray", "neutron"]
    sample: str
    source: str
    origin: Literal["measured", "synthetic"] = "measured"
    data: Line
    model: Line | None = None

    @classmethod
    def of(cls, measurement: Measurement, model: Curve | None = None) -> MeasuredCurve:
        """Return the part for a measurement and the model's curve on its grid."""
        return cls(
            quantity=measurement.curve.quantity,
            radiation=measurement.radiation,
            sample=measurement.sample,
            source=measurement.source,
            data=Line.of(measurement.curve),
            model=None if model is None else Line.of(model),
        )


class Share(_Part):
    """One bar: what it counts, its fraction (0 to 1) and standard error over glasses."""

    label: str
    fraction: NotNegative
    standard_error: NotNegative | None = None


class CoordinationHistogram(_Part):
    """How many centres have 0, 1, 2, ... neighbours of one element; `fraction` sums to one."""

    center: str
    neighbour: str
    n_neighbours: tuple[Annotated[int, Field(ge=0)], ...]
    fraction: Numbers
    standard_error: Numbers | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        _same_length(n_neighbours=self.n_neighbours, fraction=self.fraction, standard_error=self.standard_error)
        return self


class MsdPart(_Part):
    """Mean squared displacement of one element at one temperature.

    Attributes
    ----------
    temperature_K
        K.
    element
        Chemical symbol.
    lag_ps, msd_A2, standard_error_A2
        Lag times, mean squared displacement, its error over glasses; equally long.
    fit_from_ps, fit_to_ps
        Window of the fit; None when nothing was fitted.
    diffusive
        False when the slope of log MSD says that this is not yet diffusion.
    settling
        Share of each run, by its name, before its potential energy has settled, 0 to 0.5: from a quarter on it may
        still be settling at the end. None where it was not tested, as in files of earlier versions.
    """

    temperature_K: Positive
    element: str = "Li"
    lag_ps: Numbers
    msd_A2: Numbers
    standard_error_A2: Numbers | None = None
    fit_from_ps: NotNegative | None = None
    fit_to_ps: NotNegative | None = None
    diffusive: bool = True
    settling: dict[str, NotNegative] | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        _same_length(lag_ps=self.lag_ps, msd_A2=self.msd_A2, standard_error_A2=self.standard_error_A2)
        return self


class ArrheniusPoint(_Part):
    """Diffusivity at one temperature.

    Attributes
    ----------
    temperature_K, diffusivity_cm2_s, standard_error_cm2_s
        K and cm²/s; the diffusivity of a point that is not diffusive is its upper bound.
    diffusive
        False for an upper bound.
    used
        True when the fit uses the point.
    note
        Why a point is left out or to be doubted, or empty.
    log_slope
        b of the mean squared displacement ~ t^b in the window of the fit; None without a window, and in files of
        earlier versions.
    framework
        Whether the other elements rest, flow too (a liquid), or the runs are too short to tell; None in files of
        earlier versions.
    fastest, fastest_over_ion, fastest_is_bound
        The element of the framework that may move fastest, its diffusivity over that of the mobile ion, and whether
        that is only an upper bound (95 %). None where it is not known, and in files of earlier versions.
    """

    temperature_K: Positive
    diffusivity_cm2_s: Positive
    standard_error_cm2_s: NotNegative | None = None
    diffusive: bool = True
    used: bool = True
    note: str = ""
    log_slope: FiniteFloat | None = None
    framework: Literal["rests", "undecided", "flows"] | None = None
    fastest: str | None = None
    fastest_over_ion: NotNegative | None = None
    fastest_is_bound: bool | None = None

    @property
    def is_liquid(self) -> bool:
        """Whether the framework diffuses as well; in files of earlier versions the note says so."""
        return self.framework == "flows" or (self.framework is None and "diffuses as well" in self.note)


class ArrheniusPart(_Part):
    """Diffusivities against temperature, and the line through them.

    Attributes
    ----------
    points
        One per temperature.
    line
        x = T in K, y = D in cm²/s of the fitted line, down to 298 K; None when nothing was fitted.
    line_low, line_high
        68 % interval of the line, cm²/s, on the grid of `line`.
    line_low_95, line_high_95
        95 % interval, likewise; None in files of earlier versions.
    carriers_per_A3
        Number density of the mobile ion, 1/Å3; turns a published conductivity into a diffusivity
        (Nernst–Einstein, Haven ratio one) for the plot.
    """

    points: tuple[ArrheniusPoint, ...]
    line: Line | None = None
    line_low: Numbers | None = None
    line_high: Numbers | None = None
    line_low_95: Numbers | None = None
    line_high_95: Numbers | None = None
    carriers_per_A3: Positive | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        if self.line is not None:
            bounds = ("line_low", "line_high", "line_low_95", "line_high_95")
            _same_length(line=self.line.x, **{name: getattr(self, name) for name in bounds})
        return self


class QuenchPart(_Part):
    """Density and energy against the temperature of the ramp, and the lines that the glass transition is read from.

    Attributes
    ----------
    temperature_K
        Of the ramp, means over 10 K, hot to cold, K.
    density_g_cm3, energy_eV_per_atom
        Means over these steps.
    density_fit_g_cm3, energy_fit_eV_per_atom
        Two straight lines that meet (of the volume, for the density); one line where there is no kink.
    kink_by_volume_K, kink_by_energy_K
        Where they meet, K; None where there is no kink beyond the noise.
    """

    temperature_K: Numbers
    density_g_cm3: Numbers
    density_fit_g_cm3: Numbers
    energy_eV_per_atom: Numbers
    energy_fit_eV_per_atom: Numbers
    kink_by_volume_K: Positive | None = None
    kink_by_energy_K: Positive | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        names = [name for name in type(self).model_fields if not name.startswith("kink")]
        _same_length(**{name: getattr(self, name) for name in names})
        return self


class CommitteePart(_Part):
    """How far a committee disagreed during the molecular dynamics of all runs at one temperature.

    Attributes
    ----------
    temperature_K
        K.
    percentiles_eV_A
        Of the largest deviation on an atom over the logged steps, eV/Å: from the smallest to the largest in steps of
        one per cent, shape (101,).
    """

    temperature_K: Positive
    percentiles_eV_A: Annotated[Numbers, Field(min_length=101, max_length=101)]

    def share_above(self, limit_eV_A: float) -> float:
        """Return the share of the steps whose deviation is above a limit, to one per cent."""
        return sum(value > limit_eV_A for value in self.percentiles_eV_A[:-1]) / 100


class ThermoPart(_Part):
    """History of one glass from the melt on, all arrays against time equally long.

    Attributes
    ----------
    label
        Name of the glass.
    time_ps, temperature_K, density_g_cm3
        Temperature and mass density against time.
    energy_eV_per_atom
        Potential energy; None in files of earlier versions.
    committee_eV_A
        Largest deviation of a committee on an atom, eV/Å; None for a single model.
    quench
        Against the temperature of the ramp; None in files of earlier versions, and for quenches too short for a fit.
    """

    label: str
    time_ps: Numbers
    temperature_K: Numbers
    density_g_cm3: Numbers
    energy_eV_per_atom: Numbers | None = None
    committee_eV_A: Numbers | None = None
    quench: QuenchPart | None = None

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        names = [name for name in type(self).model_fields if name not in ("label", "quench")]
        _same_length(**{name: getattr(self, name) for name in names})
        return self


class SnapshotPart(_Part):
    """Atoms of one glass, for the view of its polyhedra.

    Attributes
    ----------
    label
        Name of the glass.
    elements
        Chemical symbols, one per atom.
    positions_A, cell_A
        Å, shapes (atom, 3) and (3, 3), vectors of the periodic cell in rows.
    center, bridging
        Cation of the polyhedra and the anions at their corners.
    cutoffs_A
        Longest bond by sorted pair of elements, for example "O-Zr", Å.
    """

    label: str
    elements: tuple[str, ...]
    positions_A: tuple[Numbers, ...]
    cell_A: tuple[Numbers, Numbers, Numbers]
    center: str
    bridging: tuple[str, ...]
    cutoffs_A: dict[str, Positive]

    @model_validator(mode="after")
    def _equally_long(self) -> Self:
        _same_length(elements=self.elements, positions_A=self.positions_A)
        if any(len(row) != 3 for row in (*self.positions_A, *self.cell_A)):
            raise ValueError("positions_A and cell_A need three numbers in every row")
        return self


class PotentialPart(_Part):
    """Which potential moved the atoms; `engine` says what evaluated it."""

    name: str
    sha256: str
    engine: str = ""


class ReportSeries(_Part):
    """Everything that the report draws.

    Attributes
    ----------
    title, composition, preset
        Title of the study, formula, name of the preset.
    phase
        Glass or crystal; None in a file of before there was this key: then `is_crystal` tells.
    settings
        What made the numbers, by part, as study.json names the parts; empty where study.json lies beside this file.
    potential
        None when no potential was used.
    n_glasses, n_atoms
        Independent glasses, and atoms in each.
    notes
        What a reader must know about this run, one sentence each.
    published
        What is published about this composition (`mlsim.io.published.published_sample`).
    s_of_q, g_pdf
        X-ray S(Q) and G_PDF(r) of the model over glasses (sigma = standard error).
    q_max_per_A
        Upper limit of the sine transform of `g_pdf`, 1/Å.
    measured
        The user's curves; empty when none was given.
    partials, q_partials
        g_ij(r) and the Faber–Ziman A_ij(Q) by pair, for example "O-Zr".
    snapshot
        One glass, for the view of its polyhedra.
    coordination, links, cl_by_zr
        Histograms and bars over glasses. Labels of `links`: the contract names `zr_zr_..._fraction`;
        labels of `cl_by_zr`: the number of Zr neighbours, "0", "1", "2", ...
    msd, arrhenius, thermo
        Transport and histories.
    committee_md
        How far the committee disagreed in the molecular dynamics behind the transport; empty without one.
    missing
        For a section that is empty: why, in one sentence.
    """

    title: str
    composition: str
    preset: str
    phase: Literal["amorphous", "crystalline"] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    potential: PotentialPart | None = None
    n_glasses: Annotated[int, Field(ge=0)] = 0
    n_atoms: Annotated[int, Field(ge=1)] | None = None
    notes: tuple[str, ...] = ()
    published: PublishedSample | None = None
    s_of_q: Line | None = None
    g_pdf: Line | None = None
    q_max_per_A: Positive | None = None
    measured: tuple[MeasuredCurve, ...] = ()
    partials: dict[str, Line] = Field(default_factory=dict)
    q_partials: dict[str, Line] = Field(default_factory=dict)
    snapshot: SnapshotPart | None = None
    coordination: tuple[CoordinationHistogram, ...] = ()
    links: tuple[Share, ...] = ()
    cl_by_zr: tuple[Share, ...] = ()
    msd: tuple[MsdPart, ...] = ()
    arrhenius: ArrheniusPart | None = None
    thermo: tuple[ThermoPart, ...] = ()
    committee_md: tuple[CommitteePart, ...] = ()
    missing: dict[Section, str] = Field(default_factory=dict)

    @property
    def is_crystal(self) -> bool:
        """Whether it is of a crystal; without a phase, when it says that it has no quench because it is one."""
        if self.phase is not None:
            return self.phase == "crystalline"
        return self.missing.get("thermo", "").startswith("a crystal:")  # what such files of a campaign say


def write_series(path: str | os.PathLike[str], series: ReportSeries | Mapping[str, Any]) -> Path:
    """Check a series, write it as JSON in one step, with seven digits of each number, and return its path.

    Raises
    ------
    DataError
        When a mapping does not follow `ReportSeries`, or a number is not finite: one line that names the field.
    """
    target = Path(path)
    checked = series if isinstance(series, ReportSeries) else _validated(target, dict(series))
    body = _rounded(checked.model_dump(mode="json", exclude_none=True))
    atomic_write_text(target, json.dumps(body, ensure_ascii=False, allow_nan=False) + "\n")
    return target


def _rounded(value: Any) -> Any:
    """Return plain values with floats to seven digits: more than a plot shows, in half the bytes."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def read_series(path: str | os.PathLike[str]) -> ReportSeries:
    """Return the series that a file holds, every field checked.

    Raises
    ------
    DataError
        When the file is missing, is no JSON or does not follow `ReportSeries`: one line that names the field.
    """
    source = Path(path)
    try:
        body = json.loads(source.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{source}: there is no such file; expected the series.json of a finished run") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{source}: line {error.lineno}: not JSON: {error.msg}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{source}: cannot be read as text ({type(error).__name__}); expected JSON") from error
    return _validated(source, body)


def _validated(path: Path, body: Any) -> ReportSeries:
    try:
        return ReportSeries.model_validate(body)
    except ValidationError as error:
        raise DataError(f"{path}: {first_problem(error)}") from error


def _same_length(**arrays: tuple[Any, ...] | None) -> None:
    lengths = {name: len(array) for name, array in arrays.items() if array is not None}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {n}" for name, n in lengths.items())
        raise ValueError(f"arrays must be equally long, got {listed}")


def _finite_or_none(sigma: Any) -> Any:
    if sigma is None or not all(value == value and abs(value) != float("inf") for value in sigma.tolist()):
        return None
    return sigma
