"""`mlsim compare`: two results side by side, with the significance of each difference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.cli.files import Force, require_absent

if TYPE_CHECKING:
    from mlsim.io.results import QuantityRow, Result
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

    Differences are judged by Welch's t, corrected for the number of quantities compared.
    """
    from mlsim.io.results import Provenance, write_result
    from mlsim.report.differences import differences

    if output is not None:
        require_absent(output, force)
    ours = _result_of(first)
    theirs = _published(second, first, ours) if second.suffix in (".yaml", ".yml") else _result_of(second)
    found = differences(ours, theirs)
    published = theirs.provenance is ours.provenance
    typer.echo(f"A: {first} {_made_by(ours)}\nB: {second}{'' if published else f' {_made_by(theirs)}'}")
    for line in _settings_that_differ(first, second):
        typer.echo(f"setting {line}")
    _print_differences(found)
    for path, one, other in ((first, ours, theirs), (second, theirs, ours)):
        alone = [row.name for row in one.rows if other.row(row.name, row.temperature_K) is None]
        if alone:
            typer.echo(f"only in {path}: {', '.join(dict.fromkeys(alone))}")
    if output is not None:
        shared = {one.provenance.potential_sha256 for one in (ours, theirs)}
        made = Provenance.here(potential_sha256=shared.pop() if len(shared) == 1 else None)
        write_result(output, _rows(found), made)
        typer.echo(f"wrote {output}")


def _result_of(path: Path) -> Result:
    from mlsim.io.results import read_result

    return read_result(path / "result.json" if path.is_dir() else path)


def _published(path: Path, study: Path, ours: Result) -> Result:
    """Return the published values of the composition of a study."""
    from mlsim.composition import Composition
    from mlsim.errors import SettingsError
    from mlsim.io.published import read_published
    from mlsim.report.differences import published_result

    samples = read_published(path)
    formula = _composition_of(study)
    if formula is None:
        raise SettingsError(f"{study}: does not say its composition; give the folder of a run to compare with {path}")
    wanted = Composition.parse(formula).integer_formula_unit()
    for sample in samples:
        if Composition.parse(sample.formula).integer_formula_unit() == wanted:
            return published_result(sample, ours)
    known = ", ".join(sample.formula for sample in samples)
    raise SettingsError(f"{path}: nothing on {formula}, the composition of {study}; it has {known}")


def _composition_of(study: Path) -> str | None:
    """Return the composition in study.json, or in series.json as the systems of a campaign have it."""
    from mlsim.io.series import read_series
    from mlsim.study import manifest_of

    manifest = manifest_of(study) if study.is_dir() else None
    if manifest is not None:
        return str(manifest["simulation"]["composition"])
    curves = study / "series.json"
    return read_series(curves).composition if curves.is_file() else None


def _made_by(result: Result) -> str:
    """Return in brackets what made a result."""
    made = result.provenance
    potential = "" if made.potential_sha256 is None else f", potential {made.potential_sha256[:12]}"
    return f"(mlsim {made.mlsim}{potential})"


def _settings_that_differ(first: Path, second: Path) -> list[str]:
    """Return one line per setting that two runs do not share; none where one of them is no folder of a run."""
    from mlsim.study import manifest_of, settings_difference

    one, other = (manifest_of(path) if path.is_dir() else None for path in (first, second))
    if one is None or other is None:
        return []
    found = settings_difference(one, other)
    return found[:_SHOWN] + ([f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else [])


def _print_differences(found: Sequence[Difference]) -> None:
    from mlsim.cli.display import print_table
    from mlsim.report.words import number_text, unit_text, value_text

    rows = []
    for one in found:
        texts = [value_text(row) for row in (one.first, one.second)]
        unit = unit_text(one.first.estimate.unit)
        change = "" if one.estimate is None else number_text(one.estimate.value, one.estimate.standard_error)
        change = f"ln ratio {change}" if one.estimate is not None and one.estimate.unit == "ln" else change
        chance = "" if one.corrected is None else f"{one.corrected:.2g}"
        rows.append([f"{one.label}{f', {unit}' if unit else ''}", *texts, change, chance, one.verdict])
    tested = sum(one.corrected is not None for one in found)
    print_table(
        ["quantity", "A", "B", "difference", "p", ""],
        rows,
        f"± one standard error; p: Welch's t, corrected for {tested} comparisons (Holm); differs: p < 0.05",
    )


def _rows(found: Sequence[Difference]) -> list[QuantityRow]:
    """Return the differences as rows of a result."""
    from mlsim.io.results import QuantityRow

    rows = []
    for one in found:
        if one.estimate is None:
            continue
        what = "ln(B/A)" if one.estimate.unit == "ln" else "B - A"
        chance = "not tested" if one.corrected is None else f"p = {one.corrected:.2g} (Welch, Holm)"
        rows.append(
            QuantityRow(f"{one.first.name}_difference", one.estimate, f"{what}, {chance}", one.first.temperature_K)
        )
    return rows
