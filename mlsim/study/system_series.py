"""What a report draws of one system of a campaign: the same `series.json` that `mlsim run` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsim.composition import Composition
from mlsim.errors import MlsimError
from mlsim.io.published import published_sample
from mlsim.io.series import CommitteePart, PotentialPart, ReportSeries, Section
from mlsim.io.structures import read_structure
from mlsim.io.tables import read_thermo_csv
from mlsim.io.trajectories import MERGED_NAME, read_trajectory
from mlsim.melt_quench import ElementMemory, Glass, ThermoLog
from mlsim.melt_quench.checkpoint import read_checkpoint
from mlsim.study.settings import GlassSettings, ScatteringSettings, StudySettings, TopologySettings, TransportSettings
from mlsim.study.structure_part import glass_notes, scattering_series, thermo_parts, topology_part
from mlsim.study.transport_part import transport_part
from mlsim.transport.equilibration import equilibrated, settling_share

if TYPE_CHECKING:
    from pathlib import Path

    from ase import Atoms

    from mlsim.io.results import Reference
    from mlsim.study.collect import SystemFolder
    from mlsim.trajectory import Trajectory

__all__ = ["made_with", "series_of_system", "study_of"]


def series_of_system(system: SystemFolder) -> ReportSeries:
    """Return curves, histograms and histories of what has ended; what has not is named under `missing`.

    Trajectories are cut where their potential energy settles, as `mlsim transport` cuts them.
    """
    own = system.settings.systems[system.name]
    settings = study_of(system)
    published = published_sample(own.formula) if system.is_glass else None
    references = {} if published is None else {v.name: published.reference_for(v.name) for v in published.quantities}
    ensembles = [_frames(folder) for folder in system.ended("structure")]
    glasses = [_glass(folder) for folder in system.ended("quench")] if system.is_glass else []
    fields: dict[str, Any] = {}
    missing: dict[Section, str] = {"measured": "no measured curve was given for this system"}
    notes = [f"{run} is left out of every number: {reason}" for run, reason in own.left_out.items()]
    notes += glass_notes(glasses, ensembles) if glasses and ensembles else ()
    if ensembles:
        fields |= scattering_series(ensembles, settings.scattering)
        fields |= topology_part(ensembles, settings, references).series
    else:
        missing["scattering"] = missing["partials"] = (
            f"no run at {system.settings.structure.temperature_K:g} K has ended yet"
        )
    fields["committee_md"] = _committee(system)
    transport, said = _transport(system, glasses, settings, references)
    missing |= transport.pop("missing", {})
    fields |= transport
    if not system.is_glass:
        missing["thermo"] = "a crystal: nothing was quenched"
    return ReportSeries(
        title=system.name,
        composition=own.formula,
        preset="",
        phase="amorphous" if system.is_glass else "crystalline",
        settings=made_with(system),
        potential=PotentialPart(name=system.settings.potential, sha256=system.potential_sha256),
        n_glasses=len(ensembles) or len(glasses),
        n_atoms=len(ensembles[0][0]) if ensembles else own.atoms,
        notes=(*notes, *said),
        published=published,
        thermo=thermo_parts(glasses) if glasses else (),
        missing=missing,
        **fields,
    )


def study_of(system: SystemFolder) -> StudySettings:
    """Return the settings of one system of a campaign in the form that the parts of a study take."""
    campaign, own = system.settings, system.settings.systems[system.name]
    md = campaign.md
    return StudySettings(
        name=system.name,
        composition=own.formula,
        preset="campaign",
        potential=campaign.potential,
        seed=campaign.seed,
        glasses=GlassSettings(
            number=len(own.run_names),
            atoms=_whole(own.formula, own.atoms),
            packing_density_g_cm3=campaign.packing_density_g_cm3,
        ),
        melt_quench=campaign.quench,
        transport=TransportSettings(
            temperatures_K=md.temperatures_K,
            equilibration_ps=md.equilibration_ps,
            time_ps=md.time_ps,
            timestep_fs=md.timestep_fs,
            frame_interval_fs=md.interval_ps * 1000,
        ),
        topology=TopologySettings(
            center=campaign.center,
            bridging=tuple(anion for anion in campaign.bridging if anion in Composition.parse(own.formula).elements),
            mobile=campaign.mobile,
        ),
        scattering=ScatteringSettings(q_max_per_A=campaign.scattering.q_max_per_A),
    )


def made_with(system: SystemFolder) -> dict[str, Any]:
    """Return what decides the numbers of a system, besides the potential, by part as study.json names the parts."""
    settings = study_of(system)
    made = {**settings.simulation, "structure": system.settings.structure.model_dump(mode="json")}
    made |= {part: settings.analysis[part] for part in ("temperatures_K", "scattering", "topology")}
    # those of the campaign: a system without one of the anions was still made with the same settings as the others
    made["topology"] = {**made["topology"], "bridging": list(system.settings.bridging)}
    made["runs"] = [folder.name for folder in system.run_folders]
    if not system.is_glass:  # nothing was packed and quenched
        del made["glasses"], made["melt_quench"]
    return made


def _whole(formula: str, atoms: int) -> int:
    return Composition.parse(formula).nearest_atom_number(atoms)


def _transport(
    system: SystemFolder, glasses: Sequence[Glass], settings: StudySettings, references: Mapping[str, Reference | None]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the fields of the transport part, and its notes."""
    trajectories: dict[float, list[Trajectory]] = {}
    settling: dict[float, dict[str, float]] = {}
    for kelvin in system.settings.md.temperatures_K:
        for folder in system.ended(f"md-{kelvin:g}K"):
            whole = read_trajectory(folder / MERGED_NAME)
            trajectories.setdefault(kelvin, []).append(equilibrated(whole)[0])
            if (share := settling_share(whole)) is not None:
                settling.setdefault(kelvin, {})[folder.parent.name] = share
    if not trajectories:
        why = "no run of the MD has ended yet"
        return {"missing": {"displacement": why, "arrhenius": why}}, ()
    logs = [glass.log for glass in glasses]
    try:
        part = transport_part(trajectories, logs, settings, references, settling, seed=0)  # as `mlsim transport` draws
    except MlsimError as error:
        return {"missing": {"displacement": str(error), "arrhenius": str(error)}}, ()
    return dict(part.series), part.notes


def _committee(system: SystemFolder) -> tuple[CommitteePart, ...]:
    """Return how far the committee disagreed at each temperature of the MD; nothing of runs whose logs are not kept."""
    parts = []
    for kelvin in system.settings.md.temperatures_K:
        logs = [folder / "thermo.csv" for folder in system.ended(f"md-{kelvin:g}K")]
        deviations = [read_thermo_csv(log).committee_deviation_eV_A for log in logs if log.exists()]
        known = np.concatenate([d[np.isfinite(d)] for d in deviations if d is not None] or [np.empty(0)])
        if known.size:
            values = np.percentile(known, np.arange(101))
            parts.append(CommitteePart(temperature_K=kelvin, percentiles_eV_A=tuple(values.tolist())))
    return tuple(parts)


def _frames(folder: Path) -> list[Atoms]:
    return list(read_trajectory(folder / MERGED_NAME).frames())


def _glass(folder: Path) -> Glass:
    """Return the glass at the end of a quench that has ended."""
    from mlsim.errors import DataError
    from mlsim.melt_quench import Schedule

    checkpoint = read_checkpoint(folder)
    if checkpoint is None:
        raise DataError(f"{folder}: no checkpoint is there any more; the history of this glass is lost")
    made = checkpoint.settings
    return Glass(
        read_structure(folder / "glass.extxyz"),
        Schedule.from_data(made["schedule"], str(folder)),
        str(made["potential_sha256"]),
        int(made["seed"]),
        ThermoLog.of_rows(checkpoint.arrays["log"]),
        {element: ElementMemory(**values) for element, values in checkpoint.melt_memory.items()},
    )
