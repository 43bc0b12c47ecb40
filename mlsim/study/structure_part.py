"""Structure of the finished glasses: density, scattering, topology; as numbers and as what the report draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsim.composition import Composition
from mlsim.curve import Curve, Estimate, Measurement, Quantity, estimate_over, weighted_profile_r
from mlsim.errors import DataError
from mlsim.geometry import largest_exact_radius
from mlsim.io.measurements import read_measurement
from mlsim.io.results import QuantityRow, Reference
from mlsim.io.series import CoordinationHistogram, Line, MeasuredCurve, QuenchPart, Share, SnapshotPart, ThermoPart
from mlsim.melt_quench import Glass, quench_curve, rocksalt_domains
from mlsim.melt_quench.guards import thin_cell
from mlsim.scattering import (
    over_glasses,
    partial_g_of_r,
    partial_structure_factors,
    smallest_q,
    total_scattering,
)
from mlsim.study.settings import MeasurementSettings, ScatteringSettings, StudySettings
from mlsim.topology import Topology, bond_cutoffs, counting_method, estimates_over_glasses, topology_of
from mlsim.units import G_CM3_PER_U_A3

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "StructurePart",
    "density_row",
    "glass_notes",
    "measured_part",
    "scattering_series",
    "thermo_parts",
    "topology_part",
]

_LONGEST_THERMO: Final = 1500
_EVERY_DOMAIN: Final = 10  # frames between two looks for crystals
_Q_STEP_OF_PARTIALS: Final = 0.05  # 1/Å: fine enough for a plot


@dataclass(frozen=True)
class StructurePart:
    """Rows of the result, fields of the series and notes that one part of the analysis makes."""

    rows: tuple[QuantityRow, ...]
    series: dict[str, Any]
    notes: tuple[str, ...] = ()


def density_row(glasses: Sequence[Glass]) -> QuantityRow:
    """Return the mass density over independent glasses."""
    estimate = estimate_over([glass.density_g_cm3 for glass in glasses], "g/cm3")
    last = glasses[0].schedule.segments[-1]
    return QuantityRow("density_g_cm3", estimate, f"{last.ensemble.upper()} at {last.end_K:g} K after the quench")


def thermo_parts(glasses: Sequence[Glass]) -> tuple[ThermoPart, ...]:
    """Return temperature, density and energy against time of every glass, thinned to what a plot can show."""
    parts = []
    for number, glass in enumerate(glasses, start=1):
        log, n_atoms = glass.log, len(glass.atoms)
        every = slice(None, None, max(1, math.ceil(len(log) / _LONGEST_THERMO)))
        mass = float(glass.atoms.get_masses().sum())
        parts.append(
            ThermoPart(
                label=f"glass {number}",
                time_ps=_rounded(log.time_ps[every], 4),
                temperature_K=_rounded(log.temperature_K[every], 2),
                density_g_cm3=_rounded(mass / log.volume_A3[every] * G_CM3_PER_U_A3, 5),
                energy_eV_per_atom=_rounded(log.potential_energy_eV[every] / n_atoms, 6),
                committee_eV_A=_committee(log.committee_deviation_eV_A, every.step),
                quench=_quench_part(glass, mass / n_atoms),
            )
        )
    return tuple(parts)


def _quench_part(glass: Glass, mass_per_atom_u: float) -> QuenchPart | None:
    """Return the curves that the glass transition is read from; None for a quench too short for that."""
    try:
        energy = quench_curve(glass.log, len(glass.atoms), kind="energy")
        volume = quench_curve(glass.log, len(glass.atoms), kind="volume")
    except DataError:
        return None
    density, fit = (mass_per_atom_u / per_atom * G_CM3_PER_U_A3 for per_atom in (volume.values, volume.fitted))
    return QuenchPart(
        temperature_K=_rounded(energy.temperature_K, 2),
        density_g_cm3=_rounded(density, 5),
        density_fit_g_cm3=_rounded(fit, 5),
        energy_eV_per_atom=_rounded(energy.values, 6),
        energy_fit_eV_per_atom=_rounded(energy.fitted, 6),
        kink_by_volume_K=volume.kink_K if np.isfinite(volume.kink_K) else None,
        kink_by_energy_K=energy.kink_K if np.isfinite(energy.kink_K) else None,
    )


def _committee(deviation: NDArray[np.float64] | None, step: int) -> tuple[float, ...] | None:
    """Largest deviation of a committee in each stretch of a run; None where a single model moved the atoms."""
    if deviation is None or not np.isfinite(deviation).all():
        return None
    return _rounded(np.maximum.reduceat(deviation, np.arange(0, len(deviation), step)), 5)


def _rounded(values: NDArray[np.float64], decimals: int) -> tuple[float, ...]:
    """Return values to the digits that a plot can show, so that the file stays small."""
    return tuple(values.round(decimals).tolist())


def glass_notes(
    glasses: Sequence[Glass], ensembles: Sequence[Sequence[Atoms]], cutoff_A: float | None = None
) -> list[str]:
    """Return what is wrong with thin cells, what the melts remembered, and how much rocksalt LiCl the glasses hold."""
    smallest = min(glasses, key=lambda glass: float(glass.log.volume_A3.min()))
    atoms = smallest.atoms.copy()
    shrunk = float(smallest.log.volume_A3.min()) / float(atoms.get_volume())
    atoms.set_cell(atoms.cell * shrunk ** (1 / 3))
    thin = thin_cell(atoms, cutoff_A)
    notes = [] if thin is None else [f"at its smallest {thin}"]
    if all(glass.melt_memory for glass in glasses):
        words = []
        for element in glasses[0].melt_memory:
            memories = [glass.melt_memory[element] for glass in glasses]
            overlap = estimate_over([memory.overlap for memory in memories], "1")
            moved = estimate_over([memory.displacement_A for memory in memories], "Å")
            error = memories[0].overlap_error / len(memories) ** 0.5
            kept = " (remembers: melt longer or hotter)" if overlap.value > 3 * error else ""
            words.append(f"{element} {moved.value:.1f} Å, {overlap.value:.2f} ± {error:.2f}{kept}")
        notes.append(f"distance moved in the melt and overlap with the packing (0 when forgotten): {'; '.join(words)}")
    if {"Li", "Cl"} <= set(glasses[0].atoms.get_chemical_symbols()):
        shares = [
            sum(rocksalt_domains(atoms).fraction for atoms in frames[::_EVERY_DOMAIN]) / len(frames[::_EVERY_DOMAIN])
            for frames in ensembles
        ]
        notes.append(f"rocksalt LiCl: {100 * sum(shares) / len(shares):.1f} % of the atoms")
    return notes


def scattering_series(ensembles: Sequence[Sequence[Atoms]], settings: ScatteringSettings) -> dict[str, Any]:
    """Return X-ray S(Q), G_PDF(r) and the partial g(r) over glasses, for the report.

    Parameters
    ----------
    ensembles
        Frames of each glass.
    """
    box = min(largest_exact_radius(atoms.cell.array) for frames in ensembles for atoms in frames)
    r_max = box if settings.r_max_A is None else settings.r_max_A
    r = np.arange(0.02, r_max + 1e-9, 0.02)
    q_min = max(settings.q_min_per_A, settings.q_step_per_A)
    q = np.arange(q_min, settings.q_max_per_A + 1e-9, settings.q_step_per_A)
    ions = settings.form_factors == "ions"
    s = [total_scattering(frames, quantity=Quantity.S_OF_Q, q=q, ions=ions) for frames in ensembles]
    g = [
        total_scattering(frames, quantity=Quantity.G_PDF, q=q, r=r, window=settings.window, ions=ions)
        for frames in ensembles
    ]
    partials = [partial_g_of_r(frames, r_max_A=box, r_step_A=0.05) for frames in ensembles]
    lowest = min(max(smallest_q(frames) for frames in ensembles), settings.q_max_per_A)
    shown = over_glasses(s).between(lowest, settings.q_max_per_A)
    coarse = np.arange(max(lowest, q_min), settings.q_max_per_A + 1e-9, _Q_STEP_OF_PARTIALS)
    structure = [partial_structure_factors(frames, coarse) for frames in ensembles]
    return {
        "s_of_q": Line.of(shown),
        "g_pdf": Line.of(over_glasses(g)),
        "q_max_per_A": settings.q_max_per_A,
        "partials": {"-".join(pair): Line.of(over_glasses([p[pair] for p in partials])) for pair in partials[0]},
        "q_partials": {"-".join(pair): Line.of(over_glasses([p[pair] for p in structure])) for pair in structure[0]},
    }


def topology_part(
    ensembles: Sequence[Sequence[Atoms]], settings: StudySettings, references: dict[str, Reference | None]
) -> StructurePart:
    """Return coordination, linkage and anion environments over glasses.

    Cut-offs are found once, on the frames of all glasses, so that every glass is counted alike.
    """
    wanted = settings.topology
    fixed = {_pair(name): value for name, value in wanted.cutoffs_A.items()}
    cutoffs = bond_cutoffs([atoms for frames in ensembles for atoms in frames], fixed_A=fixed)
    glasses = [
        topology_of(frames, cutoffs_A=cutoffs, center=wanted.center, bridging=wanted.bridging, mobile=wanted.mobile)
        for frames in ensembles
    ]
    estimates = estimates_over_glasses(glasses)
    bridging = glasses[0].bridging
    methods = {
        name: counting_method(name, cutoffs, center=wanted.center, bridging=bridging, mobile=wanted.mobile)
        for name in estimates
    }
    rows = tuple(QuantityRow(name, e, methods[name], reference=references.get(name)) for name, e in estimates.items())
    series: dict[str, Any] = {
        "coordination": tuple(_histogram(glasses, wanted.center, anion) for anion in bridging),
        "links": tuple(
            Share(label=name, fraction=_share(e.value), standard_error=e.standard_error)
            for name, e in estimates.items()
            if name.startswith(f"{wanted.center}_{wanted.center}_".lower())
        )
        + _edges_and_faces(glasses, wanted.center),
    }
    series["snapshot"] = _snapshot(ensembles[0][-1], wanted.center, bridging, cutoffs)
    if "Cl" in bridging:
        series["cl_by_zr"] = _environments(glasses, "Cl")
    return StructurePart(rows, series)


def _snapshot(
    atoms: Atoms, center: str, bridging: Sequence[str], cutoffs: Mapping[tuple[str, str], float]
) -> SnapshotPart:
    """Return the last frame of the first glass, wrapped into its cell."""
    shown = atoms.copy()
    shown.wrap()
    return SnapshotPart(
        label="glass 1",
        elements=tuple(shown.get_chemical_symbols()),
        positions_A=tuple(tuple(row) for row in shown.positions.round(4).tolist()),
        cell_A=(tuple(shown.cell[0].tolist()), tuple(shown.cell[1].tolist()), tuple(shown.cell[2].tolist())),
        center=center,
        bridging=tuple(bridging),
        cutoffs_A={"-".join(pair): value for pair, value in cutoffs.items()},
    )


def measured(entry: MeasurementSettings, fractions: Mapping[str, float]) -> Measurement:
    """Return a measured curve of the settings, with at least one point in the range that is to be compared.

    Raises
    ------
    DataError
        If the file cannot be read as two or three columns, holds nothing in that range, or is another function.
    """
    measurement = read_measurement(
        entry.file,
        entry.quantity,
        entry.radiation,
        entry.sample,
        entry.source,
        repair=entry.repair,
        fractions=None if entry.force_quantity else fractions,
    )
    curve = measurement.curve
    try:
        curve.between(entry.from_x or 0.0, entry.to_x or float(curve.x[-1]))
    except DataError as error:
        raise DataError(f"{entry.file}: nothing to compare: {error}") from error
    return measurement


def measured_part(
    ensembles: Sequence[Sequence[Atoms]], entries: Sequence[MeasurementSettings], *, form_factors: str
) -> StructurePart:
    """Compare the glasses with measured curves, model and data through the same transform."""
    rows, curves = [], []
    notes: list[str] = []
    for entry in entries:
        measurement = measured(entry, Composition.of_atoms(ensembles[0][0].get_chemical_symbols()).fractions)
        notes += [f"{entry.label}: {note}" for note in measurement.notes]
        data = _compared_range(measurement.curve, entry, ensembles)
        models = [_model_of(frames, data, entry, ions=form_factors == "ions") for frames in ensembles]
        values = [weighted_profile_r(model, data) for model in models]
        source = entry.source or entry.file
        rows.append(
            QuantityRow(
                f"rw_{entry.label}",
                estimate_over(values, "1"),
                f"Rw of {entry.radiation} {entry.quantity.value} between {data.x[0]:g} and {data.x[-1]:g}, "
                f"no scale fitted; {source}",
            )
        )
        shown = Measurement(data, measurement.radiation, measurement.sample, measurement.source)
        curves.append(MeasuredCurve.of(shown, over_glasses(models)))
        if len(data.x) < len(measurement.curve.x):
            notes.append(f"{entry.label}: compared between {data.x[0]:g} and {data.x[-1]:g} only")
    return StructurePart(tuple(rows), {"measured": tuple(curves)}, tuple(notes))


def _compared_range(curve: Curve, entry: MeasurementSettings, ensembles: Sequence[Sequence[Atoms]]) -> Curve:
    """Cut a measured curve to what was asked for and what a box of this size can say."""
    low, high = entry.from_x or 0.0, entry.to_x or float(curve.x[-1])
    if curve.quantity.of_q:
        low = max(low, max(smallest_q(frames) for frames in ensembles))
    else:
        # the origin is a point of many files; no function of r is compared there
        low = max(low, 1e-6)
        high = min(high, min(largest_exact_radius(atoms.cell.array) for frames in ensembles for atoms in frames))
    try:
        return curve.between(low, high)
    except DataError as error:
        raise DataError(f"{entry.file}: nothing left to compare: {error}") from error


def _model_of(frames: Sequence[Atoms], data: Curve, entry: MeasurementSettings, *, ions: bool) -> Curve:
    if data.quantity.of_q:
        return total_scattering(frames, radiation=entry.radiation, quantity=data.quantity, q=data.x, ions=ions)
    q_max = entry.q_max_per_A or ScatteringSettings().q_max_per_A
    step = ScatteringSettings().q_step_per_A
    q = np.arange(max(entry.q_min_per_A, step), q_max + 1e-9, step)
    return total_scattering(
        frames, radiation=entry.radiation, quantity=data.quantity, q=q, r=data.x, window=entry.window, ions=ions
    )


def _histogram(glasses: Sequence[Topology], center: str, anion: str) -> CoordinationHistogram:
    histograms = [glass.coordination_histograms[center, anion] for glass in glasses]
    size = max(len(histogram) for histogram in histograms)
    table = np.array([np.pad(histogram, (0, size - len(histogram))) for histogram in histograms])
    estimates = [estimate_over(column, "1") for column in table.T]
    return CoordinationHistogram(
        center=center,
        neighbour=anion,
        n_neighbours=tuple(range(size)),
        fraction=tuple(e.value for e in estimates),
        standard_error=_errors(estimates),
    )


def _environments(glasses: Sequence[Topology], anion: str) -> tuple[Share, ...]:
    table = np.array([glass.anion_environments(anion) for glass in glasses])
    estimates = [estimate_over(column, "1") for column in table.T]
    return tuple(
        Share(label=label, fraction=_share(e.value), standard_error=e.standard_error)
        for label, e in zip(("0", "1", "2", "3"), estimates, strict=True)
    )


def _edges_and_faces(glasses: Sequence[Topology], center: str) -> tuple[Share, ...]:
    """Links through two anions or more, added up in each glass: their errors are not independent."""
    found = [shares["edge"] + shares["face"] for glass in glasses if (shares := glass.link_fractions())]
    if not found:
        return ()
    name, estimate = f"{center}_{center}_edge_or_face_fraction".lower(), estimate_over(found, "1")
    return (Share(label=name, fraction=_share(estimate.value), standard_error=estimate.standard_error),)


def _pair(name: str) -> tuple[str, str]:
    first, _, second = name.partition("-")
    return first, second


def _errors(estimates: Sequence[Estimate]) -> tuple[float, ...] | None:
    errors = [e.standard_error for e in estimates]
    return None if any(error is None for error in errors) else tuple(float(error or 0.0) for error in errors)


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)  # sums of fractions end a rounding error away from 1
