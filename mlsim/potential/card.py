"""The model card of a potential: everything that was found about it, as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mlsim.potential.committee import Calibration
from mlsim.potential.crystal_properties import CrystalCheck, VolumeCheck
from mlsim.potential.evaluate import ClassError
from mlsim.potential.reweighting import DistributionCheck
from mlsim.potential.stability import EnergyDrift, MeltCheck

__all__ = ["Evaluation", "model_card"]


@dataclass(frozen=True)
class Evaluation:
    """What was found about a potential; a part that was not looked at is empty.

    Attributes
    ----------
    errors
        By part of the dataset and kind of class: the errors by class.
    lattice
        Lattice constant of the potential and of the teacher (None when not given), Å.
    repulsion
        Weakest repulsive force of each pair from 0.5 Å to 0.45 of its usual distance, eV/Å.
    crystals, volumes
        Relaxed crystals with bulk modulus and phonons; equations of state on labelled frames.
    distributions
        g(r) of teacher and potential on labelled trajectories.
    melts, drifts
        Runs of its own.
    committee
        What the deviation of its committee is worth.
    left_out
        What could not be found, and why, a line each.
    """

    errors: Mapping[str, Sequence[ClassError]] = field(default_factory=dict)
    lattice: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    repulsion: Mapping[tuple[str, str], float] = field(default_factory=dict)
    crystals: Sequence[CrystalCheck] = ()
    volumes: Sequence[VolumeCheck] = ()
    distributions: Sequence[DistributionCheck] = ()
    melts: Sequence[MeltCheck] = ()
    drifts: Sequence[EnergyDrift] = ()
    committee: Calibration | None = None
    left_out: Sequence[str] = ()


def model_card(
    title: str,
    command: str,
    found: Evaluation,
    figures: Sequence[tuple[str, str]] = (),
    sections: Sequence[str] = (),
) -> str:
    """Return the model card as Markdown: every number below the command that made it.

    Parameters
    ----------
    title, command
        Heading, and the command line that computed the numbers.
    found
        The numbers.
    figures
        (caption, file name) of plots that lie beside the card.
    sections
        Markdown of others, such as a comparison of architectures.
    """
    lines = [f"# {title}", "", "Made by", "", f"    {command}", ""]
    for part, rows in found.errors.items():
        lines += _errors(part, rows)
    lines += _lattice(found.lattice) + _volumes(found.volumes) + _crystals(found.crystals)
    if found.repulsion:
        lines += ["## Short range: weakest repulsion of a pair in vacuum, 0.5 Å to 0.45 of its usual distance", ""]
        rows_of = (f"| {a}–{b} | {force:.2f} |" for (a, b), force in found.repulsion.items())
        lines += ["| pair | eV/Å |", "|---|---|", *rows_of, ""]
    lines += _distributions(found.distributions) + _drifts(found.drifts) + _melts(found.melts)
    lines += _committee(found.committee)
    if found.left_out:
        lines += ["## Not found", "", *(f"- {line}" for line in found.left_out), ""]
    lines += [section.strip() + "\n" for section in sections]
    for caption, name in figures:
        lines += [f"![{caption}]({name})", ""]
    return "\n".join(lines).rstrip() + "\n"


def _errors(part: str, rows: Sequence[ClassError]) -> list[str]:
    head = (
        "| class | frames | atoms | energy meV/atom | force eV/Å | rms force eV/Å | stress GPa | bias meV/atom, GPa |"
    )
    lines = [
        f"## Errors on {part}, whole chains held out",
        "",
        "RMSE / MAE; bias: mean of predicted less labelled energy and pressure.",
        "",
        head,
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.name} | {r.n_frames} | {r.n_atoms} | {r.energy_meV:.1f} / {r.energy_mae_meV:.1f} "
        f"| {r.forces_eV_A:.3f} / {r.forces_mae_eV_A:.3f} | {r.forces_of_teacher_eV_A:.2f} "
        f"| {r.stress_GPa:.2f} / {r.stress_mae_GPa:.2f} | {r.energy_bias_meV:+.1f}, {r.pressure_bias_GPa:+.2f} |"
        for r in rows
    ]
    return [*lines, ""]


def _lattice(lattice: Mapping[str, tuple[float, float | None]]) -> list[str]:
    if not lattice:
        return []
    lines = ["## Lattice constants", "", "| crystal | this potential Å | teacher Å | difference |", "|---|---|---|---|"]
    for name, (own, teacher) in lattice.items():
        compared = f"{teacher:.3f} | {100 * (own / teacher - 1):+.2f} %" if teacher else "not given | "
        lines.append(f"| {name} | {own:.3f} | {compared} |")
    return [*lines, ""]


def _volumes(volumes: Sequence[VolumeCheck]) -> list[str]:
    if not volumes:
        return []
    lines = ["## Equations of state on labelled frames", ""]
    lines += ["Shape kept, positions relaxed by the sampler; potential and teacher on the same structures.", ""]
    lines += ["| crystal | volumes | lattice constants | bulk modulus GPa | teacher GPa |", "|---|---|---|---|---|"]
    for v in volumes:
        off = f"{100 * (v.scale / v.scale_of_teacher - 1):+.2f} %"
        moduli = f"{v.bulk_modulus_GPa:.1f} | {v.bulk_modulus_of_teacher_GPa:.1f}"
        lines.append(f"| {v.name} | {v.n_frames} | {off} | {moduli} |")
    return [*lines, ""]


def _crystals(crystals: Sequence[CrystalCheck]) -> list[str]:
    if not crystals:
        return []
    head = "| crystal | a, b, c Å | start a, b, c Å | bulk modulus GPa | phonons lowest / highest THz | supercell |"
    lines = ["## Relaxed crystals", "", "Frequencies over a mesh of the Brillouin zone; imaginary ones count negative."]
    lines += ["", head, "|---|---|---|---|---|---|"]
    for c in crystals:
        own, start = (", ".join(f"{x:.3f}" for x in lengths) for lengths in (c.lengths_A, c.start_lengths_A))
        waves = f"{c.phonons.lowest_THz:.2f} / {c.phonons.highest_THz:.1f}"
        lines.append(f"| {c.name} | {own} | {start} | {c.bulk_modulus_GPa:.0f} | {waves} | {c.phonons.n_supercell} |")
    return [*lines, ""]


def _distributions(checks: Sequence[DistributionCheck]) -> list[str]:
    lines: list[str] = []
    for check in checks:
        own, teacher = reversed(check.effective_frames)
        lines += ["## g(r) against the teacher's", ""]
        lines.append(
            f"{check.chain}, {check.temperature_K:g} K, {check.n_frames} labelled frames, reweighted to the ensemble "
            f"of the teacher (worth {teacher:.0f} frames) and of this potential ({own:.0f})."
        )
        lines += ["", "| pair | mean squared difference in standard errors |", "|---|---|"]
        lines += [
            f"| {a}–{b} | {f'{value:.2f}' if value else 'no such pair within reach'} |"
            for (a, b), value in check.chi_squared_per_point().items()
        ]
        lines.append("")
    return lines


def _drifts(drifts: Sequence[EnergyDrift]) -> list[str]:
    if not drifts:
        return []
    lines = ["## Constant energy", "", "| run | ps | step fs | seed | drift meV/atom | fluctuation meV/atom |"]
    lines.append("|---|---|---|---|---|---|")
    lines += [
        f"| {d.formula} {d.temperature_K:g} K | {d.duration_ps:g} | {d.timestep_fs:g} | {d.seed} "
        f"| {d.drift_meV:+.3f} | {d.fluctuation_meV:.3f} |"
        for d in drifts
    ]
    return [*lines, ""]


def _committee(found: Calibration | None) -> list[str]:
    if found is None:
        return []
    lines = ["## Committee", ""]
    lines.append(
        f"{found.n_atoms} atoms of {found.n_frames} held-out frames: rank correlation of deviation and force error "
        f"{found.rank_correlation:.2f}, root mean square of error / of deviation {found.scale:.1f}; runs warn at "
        f"{found.warn_eV_A:.3f} eV/Å and stop at {found.stop_eV_A:.3f} eV/Å."
    )
    return [*lines, ""]


def _melts(melts: Sequence[MeltCheck]) -> list[str]:
    if not melts:
        return []
    pairs = list(melts[0].closest)
    lines = ["## Its own melts: closest approach as a fraction of the usual first-shell distance", ""]
    lines += ["Holds: after the first ps no pair falls below 0.5, and the mean temperature is within 15 %.", ""]
    lines.append("| melt | ps | seed | mean T / K | " + " | ".join(f"{a}–{b}" for a, b in pairs) + " | holds |")
    lines.append("|---" * (len(pairs) + 5) + "|")
    for m in melts:
        values = " | ".join(f"{m.closest[p]:.2f}" for p in pairs)
        held = "yes" if m.holds else "no"
        head = f"{m.formula} {m.temperature_K:g} K | {m.duration_ps:g} | {m.seed} | {m.mean_temperature_K:.0f}"
        lines.append(f"| {head} | {values} | {held} |")
    return [*lines, ""]
