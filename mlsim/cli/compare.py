"""`mlsim compare`: two results side by side, with the significance of each difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import Force, require_absent

if TYPE_CHECKING:
    from mlsim.io.results import QuantityRow, Result
    from mlsim.io.run_folder import RunFolder
    from mlsim.report.differences import Difference

__all__ = ["compare"]

_SHOWN = 12


def compare(
    first: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run, or a result JSON of mlsim.")],
    second: Annotated[
        Path, typer.Argument(metavar="B", help="The same, or a published.yaml: its values of the composition of A.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="Differences B - A as a result.")
    ] = None,
    force: Force = False,
) -> None:
    """Set two studies side by side, or a study and published values, and test each difference.

    Differences are judged by Welch's t at 95 % in each group of the table, corrected for the number of quantities in
    it, those at a temperature apart; beside published values all are one group.
    """
    from mlsim.io.results import Provenance, write_result
    from mlsim.report.differences import differences

    if output is not None:
        require_absent(output, force)
    study, ours = _read(first)
    published = second.suffix in (".yaml", ".yml")
    other, theirs = (None, _published(second, study, ours)) if published else _read(second)
    found = differences(ours, theirs)
    typer.echo(f"A: {first} {_made_by(study, ours)}")
    typer.echo(f"B: {second}" if other is None else f"B: {second} {_made_by(other, theirs)}")
    for line in [] if other is None else _settings_that_differ(study, other):
        typer.echo(line)
    _print_differences(found, "" if published else " of its group, those at a temperature apart")
    for path, one, beside in ((first, ours, theirs), (second, theirs, ours)):
        alone = [row.name for row in one.rows if beside.row(row.name, row.temperature_K) is None]
        if alone:
            typer.echo(f"only in {path}: {', '.join(dict.fromkeys(alone))}")
    if output is not None:
        shared = {one.provenance.potential_sha256 for one in (ours, theirs)}
        made = Provenance.here(potential_sha256=shared.pop() if len(shared) == 1 else None)
        write_result(output, _rows(found), made)
        typer.echo(f"wrote {output}")


def _read(path: Path) -> tuple[RunFolder, Result]:
    """Return what lies in the folder of a run, or beside its result.json, and the numbers; without a refinement."""
    from mlsim.errors import SettingsError
    from mlsim.io.campaign import CAMPAIGN
    from mlsim.io.results import read_result
    from mlsim.io.run_folder import RunFolder
    from mlsim.io.series import read_series
    from mlsim.study import manifest_of

    numbers = path / "result.json" if path.is_dir() else path
    if path.is_dir() and not numbers.exists() and (path / CAMPAIGN).is_file():
        raise SettingsError(f"{path}: is the folder of a campaign; compare the folders of two of its systems")
    result = read_result(numbers)
    if numbers.name != "result.json":
        return RunFolder(path, result, None), result
    curves = numbers.parent / "series.json"
    series = read_series(curves) if curves.is_file() else None
    return RunFolder(path, result, series, manifest_of(numbers.parent)), result


def _published(path: Path, study: RunFolder, ours: Result) -> Result:
    """Return the published values of the composition of a study of glasses."""
    from mlsim.composition import Composition
    from mlsim.errors import SettingsError
    from mlsim.io.published import read_published
    from mlsim.report.differences import published_result

    samples = read_published(path)
    formula = _composition_of(study)
    if formula is None:
        raise SettingsError(
            f"{study.path}: does not say its composition; give the folder of a run to compare with {path}"
        )
    if study.series is not None and study.series.is_crystal:
        raise SettingsError(f"{study.path}: is a crystal of {formula}; the values in {path} are those of glasses")
    wanted = Composition.parse(formula).integer_formula_unit()
    for sample in samples:
        if Composition.parse(sample.formula).integer_formula_unit() == wanted:
            return published_result(sample, ours)
    known = ", ".join(sample.formula for sample in samples)
    raise SettingsError(f"{path}: nothing on {formula}, the composition of {study.path}; it has {known}")


def _composition_of(study: RunFolder) -> str | None:
    """Return the composition in study.json, or in series.json as the systems of a campaign have it."""
    if study.settings is not None:
        return str(study.settings["simulation"]["composition"])
    return None if study.series is None else study.series.composition


def _made_by(run: RunFolder, result: Result) -> str:
    """Return in brackets what made a result, and of what it is where that is known."""
    made = result.provenance
    potential = "" if made.potential_sha256 is None else f", potential {made.potential_sha256[:12]}"
    formula = _composition_of(run)
    phase = "crystal" if run.series is not None and run.series.is_crystal else "glass"
    return f"(mlsim {made.mlsim}{potential}{'' if formula is None else f', {phase} of {formula}'})"


def _settings_that_differ(first: RunFolder, second: RunFolder) -> list[str]:
    """Return one line per setting that two runs do not share, or the line that they cannot be compared.

    Two studies are compared in everything; else the parts that both have, for a crystal has no quench.
    """
    from mlsim.report.words import join_words
    from mlsim.study import settings_difference

    one, other = first.made_with, second.made_with
    if one is None or other is None:
        silent = [str(run.path) for run in (first, second) if run.made_with is None]
        return [f"settings of {join_words(silent)} are not known, so they were not compared"]
    if first.settings is not None and second.settings is not None:
        found = settings_difference(first.settings, second.settings)
    else:
        shared = [part for part in one if part in other]
        found = settings_difference({part: one[part] for part in shared}, {part: other[part] for part in shared})
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return [f"setting {line}" for line in found[:_SHOWN] + more]


def _print_differences(found: Sequence[Difference], family: str) -> None:
    """Print the table by group, in the order in which the groups first appear."""
    from mlsim.cli.display import print_table

    rows = []
    for group in dict.fromkeys(one.group for one in found):
        rows.append([group])
        rows += [_cells(one) for one in found if one.group == group]
    note = f"± one standard error; p: Welch's t, alone and corrected for the number of comparisons{family} (Holm)"
    note += "; differs: corrected p < 0.05"
    if any(one.without_published_error for one in found):
        note += "; † published without an error, taken as exact: differences look larger than they are"
    print_table(["quantity", "A", "B", "difference", "p", "corrected", ""], rows, note)


def _cells(one: Difference) -> list[str]:
    """Return the row of one difference as text."""
    from mlsim.report.differences import has_no_published_error
    from mlsim.report.words import number_text, unit_text, value_text

    values = [value_text(row) + (" †" if has_no_published_error(row) else "") for row in (one.first, one.second)]
    unit = unit_text(one.first.estimate.unit)
    change = "" if one.estimate is None else number_text(one.estimate.value, one.estimate.standard_error)
    change = f"ln ratio {change}" if one.estimate is not None and one.estimate.unit == "ln" else change
    chances = ["" if chance is None else f"{chance:.2g}" for chance in (one.probability, one.corrected)]
    return [f"  {one.label}{f', {unit}' if unit else ''}", *values, change, *chances, one.words]


def _rows(found: Sequence[Difference]) -> list[QuantityRow]:
    """Return the differences as rows of a result."""
    from mlsim.io.results import QuantityRow

    rows = []
    for one in found:
        if one.estimate is None:
            continue
        what = "ln(B/A)" if one.estimate.unit == "ln" else "B - A"
        name, kelvin = f"{one.first.name}_difference", one.first.temperature_K
        rows.append(QuantityRow(name, one.estimate, f"{what}, {_chance(one)}", kelvin))
    return rows


def _chance(one: Difference) -> str:
    """Return the probability of a difference alone and in its family, and the verdict, in words."""
    if one.probability is None or one.corrected is None:
        return "not tested"
    many = f"{one.n_compared} comparison{'' if one.n_compared == 1 else 's'}"
    chances = f"p = {one.probability:.2g} (Welch), {one.corrected:.2g} corrected for {many} (Holm)"
    return f"{chances}: {one.words}"
