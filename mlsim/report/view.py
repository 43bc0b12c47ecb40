"""What a report shows of one run, as plain values that the HTML and the Markdown template both print."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from mlsim.io.results import Provenance, QuantityRow, Result
from mlsim.io.run_folder import Refinement, RunFolder
from mlsim.io.series import ReportSeries, Section
from mlsim.report.alt_text import alternative_texts
from mlsim.report.charts import all_charts, refinement_charts
from mlsim.report.committee_chart import committee_in_words
from mlsim.report.comparison import Comparison, compared, comparisons, interval_95, summary, without_error_note
from mlsim.report.constraints import limits_of, xray_weights
from mlsim.report.convergence import convergence
from mlsim.report.ions import DEFAULT_IONS, Ions, ions_of
from mlsim.report.methods import all_settings, methods_text
from mlsim.report.mixed import refuse_mixed_piece
from mlsim.report.potential_errors import PotentialErrors, potential_errors
from mlsim.report.remarks import unsaid
from mlsim.report.scene import Scene, scene_of
from mlsim.report.traces import Chart
from mlsim.report.words import full_label, label_of

__all__ = ["Headline", "View", "headline_names", "view_of"]

_FIRST: Final = (
    "conductivity_298K_mS_cm",
    "activation_energy_eV",
    "haven_ratio",
    "density_g_cm3",
    "glass_transition_K",
)
_REASONS: Final[dict[Section, str]] = {
    "scattering": "No scattering curve: this run did not compute one.",
    "partials": "No partial pair distributions: this run did not compute them.",
    "q_partials": "No partial structure factors: this run did not compute them.",
    "coordination": "No coordination numbers: this run did not compute them.",
    "links": "No Zr–Zr links: this run did not compute them, or the glass has none.",
    "chlorine": "No Cl surroundings: this run did not compute them.",
    "displacement": "No displacements: this run did no transport.",
    "arrhenius": "No Arrhenius plot: this run has no diffusivity.",
    "thermo": "No history: this run did not record temperature and density.",
    "snapshot": "No atoms to show: this run did not keep a glass for the report.",
    "committee": "No committee: a single model moved the atoms, so it is not known how far models trained on the same "
    "data would disagree along the quench.",
}


@dataclass(frozen=True)
class Headline:
    """One row of the table on top: the comparison, and what limits our number."""

    row: Comparison
    limits: str


@dataclass(frozen=True)
class View:
    """Everything that is printed about one run.

    Attributes
    ----------
    prefix
        Put before the names of plots, so that several runs fit into one page.
    title, composition, preset, summary, convergence
        Words of the head; what has converged and what not, empty where nothing checks it.
    series
        Curves; an empty one where the run has none.
    headlines, groups
        The table on top, and all numbers by group.
    charts, alts
        Interactive plots and their alternative texts, by name.
    scene
        Shapes of one glass.
    reasons
        Why a section may be empty.
    potential
        Errors of the potential, or why there are none.
    committee_md
        How far a committee disagreed in the molecular dynamics, in words; empty where it is not known.
    methods, settings
        Methods text by paragraph; every setting as key and value.
    provenance
        None where the numbers are missing.
    absent
        Pieces of the run that are not there.
    refined
        Numbers of the refinement; empty where there is none.
    remarks
        What the commands of a campaign said beside the numbers, and `series.notes` do not.
    """

    prefix: str
    title: str
    composition: str
    preset: str
    summary: str
    convergence: tuple[tuple[str, str], ...]
    series: ReportSeries
    headlines: tuple[Headline, ...]
    groups: Sequence[tuple[str, list[Comparison]]]
    charts: Mapping[str, Chart]
    alts: Mapping[str, str]
    scene: Scene | None
    reasons: Mapping[str, str]
    potential: PotentialErrors
    committee_md: str
    methods: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    provenance: Provenance | None
    absent: tuple[str, ...] = ()
    refined: tuple[Comparison, ...] = field(default=())
    remarks: tuple[str, ...] = ()

    @property
    def ions(self) -> Ions:
        """Which ion moves, and around what the polyhedra are."""
        return ions_of(self.series)

    @property
    def without_error(self) -> str:
        """What the dagger in the table on top means; empty where there is none."""
        return without_error_note([line.row for line in self.headlines])

    @property
    def scene_alt(self) -> str:
        """Alternative text of the view of the glass."""
        if self.scene is None:
            return ""
        kinds = [int(kind) for kind in self.scene.faces[:, 3]]
        shown = [name for number, (name, _) in enumerate(self.scene.kinds) if number in kinds]
        return (
            f"{self.scene.label} with the polyhedra of {self.scene.center}, coloured by their number of anions of one "
            f"kind: {', '.join(shown) or 'none'}; {self.scene.n_home} atoms in the periodic cell."
        )


def view_of(
    run: RunFolder, *, prefix: str = "", title: str = "", crystal: bool = False, remarks: Sequence[str] = ()
) -> View:
    """Return what there is to show of a run.

    Parameters
    ----------
    run
        What lies in its folder.
    prefix, title
        For a report of several runs: before the names of its plots, and its name.
    crystal
        Whether it is of a crystal, where its curves do not say it; else it is of glasses.
    remarks
        What the commands of a campaign said beside its numbers.

    Raises
    ------
    SettingsError
        When pieces of different runs lie in one folder.
    """
    refuse_mixed_piece(run)
    series = run.series if run.series is not None else _without_curves(run, title)
    crystal = crystal or series.is_crystal
    result = run.result if run.result is not None else Result((), Provenance(mlsim="", versions={}))
    groups = comparisons(result, series)
    potential = potential_errors(series.potential)
    alts = {**alternative_texts(series), **_other_alts(run)}
    charts = {**all_charts(series, result, potential.limits), **refinement_charts(run.refinement)}
    words = "The numbers of this run are missing."
    words = words if run.result is None else summary(result, series, crystal=crystal)
    return View(
        prefix=prefix,
        title=title or series.title,
        composition=series.composition,
        preset=series.preset,
        summary=words,
        convergence=convergence(result, series, None if potential.limits is None else potential.limits[0]),
        series=series,
        headlines=_headlines(result, groups, series, run.refinement),
        groups=groups,
        charts={prefix + name: chart for name, chart in charts.items()},
        alts={prefix + name: text for name, text in alts.items()},
        scene=None if series.snapshot is None else scene_of(series.snapshot),
        reasons=_reasons(series, crystal=crystal),
        potential=potential,
        committee_md=committee_in_words(series.committee_md, potential.limits),
        methods=tuple(methods_text(run.settings, run.series, run.result, run.refinement)),
        settings=tuple(all_settings(_settings(run))),
        provenance=None if run.result is None else run.result.provenance,
        absent=run.absent,
        refined=_refined(run),
        remarks=unsaid(remarks, series.notes),
    )


def headline_names(rows: Sequence[QuantityRow], ions: Ions = DEFAULT_IONS) -> list[str]:
    """Return the names of the numbers that people ask for first, in that order.

    Conductivity and what it rests on, then the first shell, then whatever else has a published value or a fit.
    """
    names = [row.name for row in rows]
    anions = "|".join(anion.lower() for anion in ions.bridging)
    shell = re.compile(rf"{ions.center.lower()}_(?:{anions})_(?:coordination|distance_A|peak_A)")
    shells = [name for name in names if shell.fullmatch(name)]
    fits = [name for name in names if name.startswith("rw_") and not name.startswith("rw_start_")]
    compared = [row.name for row in rows if row.reference is not None]
    wanted = (*(name for name in _FIRST if name in names), *shells, *compared, *fits)
    return list(dict.fromkeys(wanted))


def _headlines(
    result: Result,
    groups: Sequence[tuple[str, list[Comparison]]],
    series: ReportSeries,
    refinement: Refinement | None,
) -> tuple[Headline, ...]:
    """Return the rows on top; how little X-rays see of a pair limits a number only where X-ray data entered."""
    verdicts = {} if refinement is None else refinement.verdicts
    fits = [] if refinement is None else [row.method for row in refinement.result.rows if row.name.startswith("rw_")]
    weights = xray_weights(series.composition) if any("xray" in method for method in fits) else {}
    by_label = {(row.name, row.label): row for _, rows in groups for row in rows}
    found = []
    for name in headline_names(result.rows, ions_of(series)):
        row = _headline_row(result.rows, name, series)
        limits = limits_of(row, weights, verdicts, interval_95(result, series))
        shown = by_label[name, label_of(name, row.temperature_K)[0]]
        # its group stands above it in the full table only
        found.append(Headline(replace(shown, label=full_label(shown.label, shown.group)), limits))
    return tuple(found)


def _headline_row(rows: Sequence[QuantityRow], name: str, series: ReportSeries) -> QuantityRow:
    """Return the row of a name; of several temperatures the hottest of the Arrhenius line."""
    found = [row for row in rows if row.name == name]
    points = () if series.arrhenius is None else series.arrhenius.points
    used = {point.temperature_K for point in points if point.used}
    on_line = [row for row in found if row.temperature_K in used]
    return max(on_line, key=lambda row: row.temperature_K or 0.0) if on_line else found[0]


def _without_curves(run: RunFolder, title: str) -> ReportSeries:
    """Return an empty series for numbers that stand alone; the settings say the composition where they are there."""
    simulation = {} if run.settings is None else run.settings["simulation"]
    named = title or run.path.stem
    why = dict.fromkeys(_REASONS, "series.json, which holds the curves, is not there")
    return ReportSeries(title=named, composition=str(simulation.get("composition", named)), preset="", missing=why)


def _settings(run: RunFolder) -> Mapping[str, Any] | None:
    return None if run.settings is None else {**run.settings["simulation"], **run.settings["analysis"]}


def _refined(run: RunFolder) -> tuple[Comparison, ...]:
    if run.refinement is None:
        return ()
    verdicts = run.refinement.verdicts
    rows = compared(run.refinement.result.rows)
    return tuple(replace(row, method=verdicts.get(row.name, row.method)) for row in rows)


def _other_alts(run: RunFolder) -> dict[str, str]:
    """Alternative texts of the plots whose data are not in the series."""
    alts = {f"measured_{i}": "User's curve and the model." for i in range(9)}
    rows = () if run.result is None else run.result.rows
    shares = sorted((row for row in rows if row.name.startswith("polyhedron_")), key=lambda row: -row.estimate.value)
    words = [f"{label_of(row.name)[0]} {100 * row.estimate.value:.0f} %" for row in shares[:4]]
    alts["polyhedra"] = f"Bars, share of each polyhedron, the most frequent first: {', '.join(words)}."
    for curve in () if run.refinement is None else run.refinement.curves:
        row = run.refinement.result.row(f"rw_{curve.name}") if run.refinement is not None else None
        said = "" if row is None else f", Rw {row.estimate.value:.3f}"
        alts[f"rmc_{curve.name}"] = f"{curve.name}: data, mean of the fits and their difference{said}."
    return alts


def _reasons(series: ReportSeries, *, crystal: bool) -> dict[str, str]:
    """Return why each section may be empty: the run's own words first."""
    why = "no file was given" if series.published is None else "no raw curve of this glass is public that we know of"
    own = "To see your own data here, name the file under “measurement:” in the study and run again."
    usual: dict[Section, str] = {**_REASONS, "links": _REASONS["links"].replace("Zr–Zr", ions_of(series).links)}
    said: dict[Section, str] = {**usual, "measured": f"No measured curve is drawn: {why}. {own}"}
    if crystal:
        said["committee"] = "Nothing is drawn along a quench: a crystal has none."
    said.update(series.missing)
    return {str(section): text for section, text in said.items()}
