"""What must not stand in one report: numbers of different potentials or settings."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.io.run_folder import RunFolder
from mlsim.io.studies import settings_difference

__all__ = ["refuse_mixed_piece", "refuse_mixed_series"]

_SHOWN: Final = 6
_SHARED: Final = ("melt_quench", "structure", "transport", "scattering", "topology")
"""Parts of the settings that the runs of a series must have in common."""


def refuse_mixed_piece(run: RunFolder) -> None:
    """Raise SettingsError when the pieces of one folder were made with different potentials or settings."""
    potentials = _potentials(run)
    if len(set(potentials.values())) > 1:
        listed = ", ".join(f"{name}: potential {sha[:12]}" for name, sha in potentials.items())
        raise SettingsError(f"{run.path}: {listed}; pieces of different runs; make them again with `mlsim run`")
    made = None if run.result is None else run.result.provenance.settings_sha256
    now = run.settings_sha256
    if made is not None and now is not None and made != now:
        raise SettingsError(
            f"{run.path}: result.json was made with settings {made[:12]}, study.json holds {now[:12]}; "
            "run `mlsim run` with the same study again, which brings both together"
        )
    if run.series is not None and run.settings is not None:
        said, meant = run.series.composition, run.settings["simulation"].get("composition")
        if said != meant:
            raise SettingsError(f"{run.path}: series.json is of {said}, study.json of {meant}; they are of two runs")
    if run.series is not None and run.refinement is not None and run.refinement.elements:
        of_run = Composition.parse(run.series.composition)
        refined = Composition.of_atoms(list(run.refinement.elements))
        if of_run.integer_formula_unit() != refined.integer_formula_unit():
            raise SettingsError(
                f"{run.path}: the run is of {run.series.composition}, the refinement in rmc/ of {refined.formula}; "
                "move it away"
            )


def refuse_mixed_series(runs: Sequence[tuple[str, RunFolder]]) -> None:
    """Raise SettingsError when runs of one series have different potentials, or settings that are not their own.

    Composition, seed, number of glasses and of atoms and packing density may differ. A part of the settings is compared
    among runs that have it: the quench among glasses only. The message shows the difference.

    Parameters
    ----------
    runs
        Name and folder of each.
    """
    known = [(label, run, next(iter(_potentials(run).values()), None)) for label, run in runs]
    named = [entry for entry in known if entry[2] is not None]
    for label, _, sha in named[1:]:
        if sha != named[0][2]:
            raise SettingsError(
                f"one report of two potentials: {named[0][0]} was made with {str(named[0][2])[:12]}, {label} with "
                f"{str(sha)[:12]}; report them apart, or set two of them side by side with `mlsim compare`"
            )
    described = [(label, made) for label, run in runs if (made := run.made_with) is not None]
    for (first, made), (label, other) in itertools.combinations(described, 2):
        found = settings_difference(_shared(made, other), _shared(other, made))
        if found:
            more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
            listed = "; ".join(line.replace(" was ", " is ").replace(", now ", " and ") for line in found[:_SHOWN])
            raise SettingsError(
                f"one report of different settings: between {first} and {label}, {listed}{more}; "
                "report them apart, or set two of them side by side with `mlsim compare`"
            )


def _potentials(run: RunFolder) -> dict[str, str]:
    """Hash of the potential in each piece that names one."""
    found = {
        "result.json": None if run.result is None else run.result.provenance.potential_sha256,
        "series.json": None if run.series is None or run.series.potential is None else run.series.potential.sha256,
        "study.json": None if run.settings is None else run.settings["potential_sha256"],
    }
    return {name: sha for name, sha in found.items() if sha is not None}


def _shared(made: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parts of some settings that both runs have and that must be the same."""
    return {part: made[part] for part in _SHARED if part in made and part in other}
