"""The study as a whole: glasses in parallel, then the analysis, then the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.io.published import published_sample
from mlsim.io.results import Provenance, QuantityRow, read_result, write_result
from mlsim.io.series import PotentialPart, ReportSeries, Section, read_series, write_series
from mlsim.io.structures import write_structure
from mlsim.melt_quench.guards import warn_of_thin_cell
from mlsim.progress import StopRequest
from mlsim.study.glass_stages import (
    GlassTask,
    finished_glass,
    make_glass,
    packed_cell,
    structure_frames,
    total_steps,
    transport_trajectory,
)
from mlsim.study.manifest import folder_lock, open_folder
from mlsim.study.potentials import ModelFile, PotentialSource, require_elements
from mlsim.study.settings import StudySettings
from mlsim.workers import available_cpus, run_in_workers

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["StudyOutcome", "StudyProgress", "run_study"]

StudyProgress = Callable[[str, str, float, float], None]
"""Called with the label of a glass, its stage, time steps done and in all."""


@dataclass(frozen=True)
class StudyOutcome:
    """What a study gave and where it is.

    Attributes
    ----------
    directory, result, report
        Folder, result.json and report.html.
    rows
        The numbers of result.json.
    notes
        What a reader must know about them.
    already_done
        True when nothing had to be done.
    """

    directory: Path
    result: Path
    report: Path
    rows: tuple[QuantityRow, ...]
    notes: tuple[str, ...]
    already_done: bool


def run_study(
    settings: StudySettings,
    directory: Path | str,
    *,
    jobs: int | None = None,
    progress: StudyProgress | None = None,
    stop: StopRequest | None = None,
    potential: PotentialSource | None = None,
) -> StudyOutcome:
    """Do a study, or what is left of it, and return its numbers.

    Parameters
    ----------
    settings
        From `read_study`.
    directory
        Folder of the study; when it holds a part of this study, that part is not done again.
    jobs
        Glasses at a time, each in a process with one thread; one per processor when left out.
    progress
        Called in this process, some times a second.
    stop
        When it becomes true, checkpoints are written and `Interrupted` is raised.
    potential
        Instead of the potential that the settings name.

    Raises
    ------
    SettingsError
        When the settings cannot work, or the folder was begun with others.
    Interrupted
        When stopped; the same call goes on.

    Notes
    -----
    Worker processes are spawned: a script that calls this needs the usual ``if __name__ == "__main__":``.
    """
    folder = Path(directory)
    request = StopRequest() if stop is None else stop
    source = ModelFile.named(settings.potential) if potential is None else potential
    require_elements(Composition.parse(settings.composition).elements, source)
    _require_measurements(settings)
    tasks = [GlassTask(n, settings, folder.resolve(), source) for n in range(1, settings.glasses.number + 1)]
    packed = [packed_cell(task) for task in tasks]
    warn_of_thin_cell(packed[0], source)  # workers say it too, but only to their logs
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder}: is a file; choose a folder with --out")
    result, report, series = folder / "result.json", folder / "report.html", folder / "series.json"
    with folder_lock(folder):
        analyse_again = open_folder(folder, settings, source.sha256)
        if not analyse_again and result.exists() and report.exists() and series.exists():
            return StudyOutcome(folder, result, report, read_result(result).rows, read_series(series).notes, True)
        _write_packed(tasks, packed)
        tell, steps = progress or _silent, total_steps(settings)
        for task in tasks:
            tell(task.label, *(("done", steps) if task.is_done else ("waiting", 0)), steps)
        unfinished = [task for task in tasks if not task.is_done]
        run_in_workers(unfinished, make_glass, jobs=jobs or available_cpus(), progress=tell, stop=request)
        rows, parts = analysis_of(tasks, source)
        write_series(series, parts)
        provenance = Provenance.here(
            potential_sha256=source.sha256, settings_sha256=settings.sha256, seed=settings.seed
        )
        write_result(result, rows, provenance)
        from mlsim.report import write_report

        write_report(folder)
    return StudyOutcome(folder, result, report, tuple(rows), parts.notes, False)


def _require_measurements(settings: StudySettings) -> None:
    """Read every measured file before any MD: a bad one must cost seconds, not hours."""
    if settings.measurement:
        from mlsim.study.structure_part import measured

        for entry in settings.measurement:
            measured(entry, Composition.parse(settings.composition).fractions)


def analysis_of(tasks: Sequence[GlassTask], source: PotentialSource) -> tuple[list[QuantityRow], ReportSeries]:
    """Return the numbers and the series of finished glasses."""
    # here, so that workers, which only make glasses, start without the analysis
    from mlsim.study.structure_part import (
        density_row,
        glass_notes,
        measured_part,
        scattering_series,
        thermo_parts,
        topology_part,
    )
    from mlsim.study.transport_part import transport_part

    settings = tasks[0].settings
    glasses = [finished_glass(task) for task in tasks]
    ensembles: list[list[Atoms]] = [structure_frames(task) for task in tasks]
    published = published_sample(settings.composition)
    references = {} if published is None else {v.name: published.reference_for(v.name) for v in published.quantities}
    rows = [density_row(glasses)]
    notes = [*_general_notes(settings), *glass_notes(glasses, ensembles, getattr(source, "cutoff_A", None))]
    missing: dict[Section, str] = {}
    fields: dict[str, Any] = scattering_series(ensembles, settings.scattering)
    structure = topology_part(ensembles, settings, references)
    measured = measured_part(ensembles, settings.measurement, form_factors=settings.scattering.form_factors)
    parts = [structure, measured]
    if settings.transport is None:
        missing["displacement"] = missing["arrhenius"] = "the study has no transport"
    else:
        trajectories = {t: [transport_trajectory(task, t) for task in tasks] for t in settings.transport.temperatures_K}
        parts.append(transport_part(trajectories, [glass.log for glass in glasses], settings, references))
    for part in parts:
        rows.extend(part.rows)
        notes.extend(part.notes)
        missing.update(part.series.pop("missing", {}))
        fields.update(part.series)
    if not settings.measurement:
        missing["measured"] = notes[0]
    series = ReportSeries(
        title=settings.name,
        composition=settings.composition,
        preset=settings.preset,
        phase="amorphous",
        potential=PotentialPart(name=source.name, sha256=source.sha256),
        n_glasses=settings.glasses.number,
        n_atoms=settings.glasses.atoms,
        notes=tuple(notes),
        published=published,
        thermo=thermo_parts(glasses),
        missing=missing,
        **fields,
    )
    return rows, series


def _general_notes(settings: StudySettings) -> list[str]:
    notes = []
    if not settings.measurement:
        notes.append(
            f"no measured curve of {settings.composition} is shipped (none is public that we know of); "
            "give your own with 'measurement:' in the study"
        )
    if settings.preset == "quick":
        notes.append(
            "preset quick is a first look: few small glasses, quenched fast, picoseconds of diffusion; "
            "--preset production is for numbers to publish"
        )
    return notes


def _write_packed(tasks: Sequence[GlassTask], packed: Sequence[Atoms]) -> None:
    for task, atoms in zip(tasks, packed, strict=True):
        path = task.folder / "packed.extxyz"
        if not path.exists():
            task.folder.mkdir(parents=True, exist_ok=True)
            write_structure(path, atoms)


def _silent(label: str, stage: str, done: float, total: float) -> None:
    """Say nothing."""
