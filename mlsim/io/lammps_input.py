"""A schedule as LAMMPS reads it: data file and input, for MACE through ML-IAP or its own pair style.

What differs from a run here: where we use a BAOAB integrator with a stochastic piston, LAMMPS gets `fix nph` with
`fix langevin` (same ensemble, another splitting); random numbers differ; frames fall on multiples of the frame
interval counted from the beginning. Temperatures, pressures, times and steps are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from ase import Atoms

from mlsim.atomic import atomic_path, atomic_write_text
from mlsim.errors import SettingsError
from mlsim.melt_quench import Schedule, Segment
from mlsim.units import BAR_PER_GPA

__all__ = ["DATA_NAME", "DUMP_NAME", "INPUT_NAME", "PairStyle", "lammps_input", "write_lammps_run"]

PairStyle = Literal["mliap", "mace"]

DATA_NAME: Final = "start.data"
INPUT_NAME: Final = "in.lammps"
DUMP_NAME: Final = "trajectory.lammpstrj"
_LARGEST_SEED: Final = 900_000_000  # LAMMPS wants a positive 32-bit number
_RELAXED_EV_A: Final = 1.0
_CONVERSION: Final = {
    "mliap": (
        "--format=mliap",
        "-mliap_lammps.pt",
        "lmp -k on g 1 -sf kk -pk kokkos newton on neigh half -in in.lammps",
    ),
    "mace": ("--format=libtorch", "-lammps.pt", "lmp -k on g 1 -sf kk -in in.lammps"),
}


def write_lammps_run(
    directory: Path,
    atoms: Atoms,
    schedule: Schedule,
    model: str,
    *,
    seed: int,
    pair_style: PairStyle = "mliap",
    frame_interval_ps: float | None = None,
) -> Path:
    """Write `start.data` and `in.lammps` for a schedule and return the path of the input.

    Parameters
    ----------
    directory
        Where they go; made if missing.
    atoms
        Start, periodic.
    schedule
        What to do.
    model
        MACE model file that will be converted for LAMMPS; the input says how.
    seed
        For velocities and Langevin thermostats, not negative.
    pair_style
        `mliap`: ML-IAP's unified interface in a Kokkos build; `mace`: the older pair style of MACE's own LAMMPS.
    frame_interval_ps
        Time between frames of recorded segments, ps; without frames if left out.

    Raises
    ------
    SettingsError
        If the start is not periodic in three directions, or the frame interval is no multiple of the time step.
    """
    if not bool(all(atoms.pbc)):
        raise SettingsError("LAMMPS input: the start is not periodic along all three cell vectors")
    elements = list(dict.fromkeys(atoms.get_chemical_symbols()))
    text = lammps_input(
        schedule, elements, model, seed=seed, pair_style=pair_style, frame_interval_ps=frame_interval_ps
    )
    from ase.io.lammpsdata import write_lammps_data

    plain = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    plain.set_masses(atoms.get_masses())
    plain.wrap()
    with atomic_path(directory / DATA_NAME) as temporary, temporary.open("w", encoding="utf-8") as stream:
        write_lammps_data(stream, plain, specorder=elements, masses=True, units="metal", atom_style="atomic")
    atomic_write_text(directory / INPUT_NAME, text)
    return directory / INPUT_NAME


def lammps_input(
    schedule: Schedule,
    elements: Sequence[str],
    model: str,
    *,
    seed: int,
    pair_style: PairStyle = "mliap",
    frame_interval_ps: float | None = None,
) -> str:
    """Return the LAMMPS input of a schedule; `elements` in the order of the data file's types."""
    flag, suffix, command = _CONVERSION[pair_style]
    converted = f"{Path(model).name}{suffix}"
    names = " ".join(elements)
    style = f"mliap unified {converted} 0" if pair_style == "mliap" else "mace no_domain_decomposition"
    coefficients = f"* * {names}" if pair_style == "mliap" else f"* * {converted} {names}"
    stride = _frame_stride(frame_interval_ps, schedule.timestep_fs)
    lines = [
        f"# {schedule.name}: {schedule.n_steps} steps of {schedule.timestep_fs:g} fs, written by mlsim",
        "# the model for LAMMPS, made in this folder on the machine that runs it:",
        f"#   cp {model} . && mace_create_lammps_model {Path(model).name} {flag}",
        f"# run: {command}",
        "units metal",
        "atom_style atomic",
        "atom_modify map yes",
        "newton on",
        "boundary p p p",
        f"read_data {DATA_NAME}",
        f"pair_style {style}",
        f"pair_coeff {coefficients}",
        f"timestep {schedule.timestep_fs * 1e-3:g}",
        f"thermo {max(1, round(schedule.log_interval_ps * 1e3 / schedule.timestep_fs))}",
        "thermo_style custom step time temp pe press vol",
        "",
    ]
    if schedule.relax_steps:
        lines += [
            "# a random packing holds contacts that would heat the first moments by thousands of K",
            "min_style fire",
            "min_modify norm max",
            f"minimize 0 {_RELAXED_EV_A:g} {schedule.relax_steps} {10 * schedule.relax_steps}",
            "reset_timestep 0",
            "",
        ]
    start_K = schedule.segments[0].start_K
    lines += [f"velocity all create {start_K:g} {_lammps_seed(seed, 0)} mom yes rot no dist gaussian loop all", ""]
    recording = False
    for number, (segment, steps) in enumerate(zip(schedule.segments, schedule.segment_steps, strict=True), 1):
        if stride and segment.record != recording:
            recording = segment.record
            lines += _dump_lines(stride, elements) if recording else ["undump frames", ""]
        lines += _segment_lines(segment, steps, _lammps_seed(seed, number))
    lines.append("write_data end.data")
    return "\n".join(lines) + "\n"


def _dump_lines(stride: int, elements: Sequence[str]) -> list[str]:
    """Lines that begin to write frames."""
    return [
        f"dump frames all custom {stride} {DUMP_NAME} id element xu yu zu",
        f"dump_modify frames element {' '.join(elements)} sort id append yes",
        "",
    ]


def _segment_lines(segment: Segment, steps: int, seed: int) -> list[str]:
    """Fixes, run and what undoes them, for one segment."""
    temperatures = f"{segment.start_K:g} {segment.end_K:g}"
    bath = f"{temperatures} {segment.thermostat_time_ps:g}"
    bar = BAR_PER_GPA * (segment.pressure_GPa or 0.0)
    piston = f"iso {bar:g} {bar:g} {segment.barostat_time_ps:g}"
    fixes = {
        ("nvt", "langevin"): {"move": "nve", "bath": f"langevin {bath} {seed}"},
        ("npt", "langevin"): {"move": f"nph {piston}", "bath": f"langevin {bath} {seed}"},
        ("nvt", "nose_hoover"): {"move": f"nvt temp {bath}"},
        ("npt", "nose_hoover"): {"move": f"npt temp {bath} {piston}"},
    }[segment.ensemble, segment.thermostat]
    lines = [f"# {segment.title}: {segment.total_ps:g} ps, {segment.ensemble}, {segment.thermostat}"]
    if segment.thermostat == "nose_hoover":  # the chain conserves the motion of the centre of mass
        lines.append("velocity all zero linear")
    lines += [f"fix {name} all {what}" for name, what in fixes.items()]
    lines.append(f"run {steps}")
    return [*lines, *(f"unfix {name}" for name in reversed(fixes)), ""]


def _frame_stride(interval_ps: float | None, timestep_fs: float) -> int:
    if interval_ps is None:
        return 0
    stride = round(interval_ps * 1e3 / timestep_fs)
    if stride < 1 or abs(stride * timestep_fs - interval_ps * 1e3) > 1e-6 * timestep_fs:
        raise SettingsError(
            f"LAMMPS input: frame interval of {interval_ps:g} ps, expected a multiple of the time step "
            f"{timestep_fs * 1e-3:g} ps"
        )
    return stride


def _lammps_seed(seed: int, stream: int) -> int:
    """Return a seed that LAMMPS takes, different for each stream."""
    import numpy as np

    return int(np.random.default_rng([seed, stream]).integers(1, _LARGEST_SEED))
