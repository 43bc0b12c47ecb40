"""LAMMPS is told the same temperatures, pressures, times and steps that a run here would use."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from mlsim.cli import main
from mlsim.composition import Composition
from mlsim.errors import SettingsError
from mlsim.io.lammps_input import lammps_input, write_lammps_run
from mlsim.io.structures import write_structure
from mlsim.melt_quench import Schedule, Segment, pack, production_schedule, quick_schedule

ELEMENTS = ("Li", "Zr", "Cl", "O")


def commands(text: str, name: str) -> list[list[str]]:
    return [line.split()[1:] for line in text.splitlines() if line.split()[:1] == [name]]


@pytest.mark.parametrize("schedule", [quick_schedule(), production_schedule()])
def test_steps_temperatures_and_pressures_are_those_of_the_schedule(schedule: Schedule) -> None:
    text = lammps_input(schedule, ELEMENTS, "m.model", seed=1)
    assert [int(words[0]) for words in commands(text, "run")] == list(schedule.segment_steps)
    assert float(commands(text, "timestep")[0][0]) == pytest.approx(schedule.timestep_fs * 1e-3)
    baths = [words for words in commands(text, "fix") if words[2] == "langevin"]
    assert [(float(w[3]), float(w[4])) for w in baths] == [(s.start_K, s.end_K) for s in schedule.segments]
    assert [float(w[5]) for w in baths] == [s.thermostat_time_ps for s in schedule.segments]
    pistons = [words for words in commands(text, "fix") if words[2] == "nph"]
    pressures = [1e4 * s.pressure_GPa for s in schedule.segments if s.pressure_GPa is not None]
    assert [float(w[4]) for w in pistons] == [float(w[5]) for w in pistons] == pytest.approx(pressures)
    assert len({w[6] for w in baths}) == len(baths)  # a seed of its own for each


@pytest.mark.parametrize(
    ("ensemble", "thermostat", "fixes"),
    [
        ("nvt", "langevin", ["nve", r"langevin 700 700 0\.2 \d+"]),
        ("npt", "langevin", [r"nph iso 5000 5000 0\.5", r"langevin 700 700 0\.2 \d+"]),
        ("nvt", "nose_hoover", [r"nvt temp 700 700 0\.2"]),
        ("npt", "nose_hoover", [r"npt temp 700 700 0\.2 iso 5000 5000 0\.5"]),
    ],
)
def test_each_ensemble_has_its_fixes_and_they_are_undone(ensemble: str, thermostat: str, fixes: list[str]) -> None:
    pressure = {"pressure_GPa": 0.5} if ensemble == "npt" else {}
    hold = Segment(kind="hold", ensemble=ensemble, thermostat=thermostat, temperature_K=700, duration_ps=1, **pressure)
    text = lammps_input(Schedule(segments=(hold,)), ELEMENTS, "m.model", seed=1)
    written = commands(text, "fix")
    assert len(written) == len(fixes)
    assert all(re.fullmatch(f"all {f}", " ".join(words[1:])) for words, f in zip(written, fixes, strict=True))
    assert {words[0] for words in written} == {words[0] for words in commands(text, "unfix")}
    assert ("velocity all zero linear" in text) == (thermostat == "nose_hoover")


def test_frames_come_from_recorded_segments_only_and_once() -> None:
    hold = {"kind": "hold", "temperature_K": 700, "duration_ps": 1}
    segments = [Segment(**hold, record=r) for r in (False, True, True, False)]
    text = lammps_input(Schedule(segments=segments), ELEMENTS, "m.model", seed=1, frame_interval_ps=0.02)
    order = [line.split()[0] for line in text.splitlines() if line.startswith(("run", "dump ", "undump"))]
    assert order == ["run", "dump", "run", "run", "undump", "run"]
    assert "dump frames all custom 10 trajectory.lammpstrj id element xu yu zu" in text
    with pytest.raises(
        SettingsError, match=r"frame interval of 0\.003 ps, expected a multiple of the time step 0\.002"
    ):
        lammps_input(Schedule(segments=segments), ELEMENTS, "m.model", seed=1, frame_interval_ps=0.003)


def test_both_pair_styles_name_the_converted_model_and_the_elements() -> None:
    new, old = (lammps_input(quick_schedule(), ELEMENTS, "a/m.model", seed=1, pair_style=s) for s in ("mliap", "mace"))
    assert "pair_style mliap unified m.model-mliap_lammps.pt 0\npair_coeff * * Li Zr Cl O\n" in new
    assert "pair_style mace no_domain_decomposition\npair_coeff * * m.model-lammps.pt Li Zr Cl O\n" in old
    assert "--format=mliap" in new and "--format=libtorch" in old


def test_the_data_file_holds_the_start_with_types_in_the_order_of_the_input(tmp_path: Path) -> None:
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 38, density_g_cm3=1.9, seed=1)
    atoms.positions += 50.0  # unwrapped starts are put back
    write_lammps_run(tmp_path, atoms, quick_schedule(), "m.model", seed=1)
    back = read(tmp_path / "start.data", format="lammps-data", units="metal", atom_style="atomic")
    atoms.wrap()
    assert (back.numbers == atoms.numbers).all()
    assert np.abs(back.positions - atoms.positions).max() < 1e-6 and np.allclose(back.cell, atoms.cell)


def test_the_command_writes_both_files_and_replaces_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    atoms = pack(Composition.parse("Li3ZrCl4O1.5"), 38, density_g_cm3=1.9, seed=1)
    start = write_structure(tmp_path / "p.extxyz", atoms)
    codes = []
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            main(["lammps", str(start), "-o", str(tmp_path / "run")])
        codes.append(end.value.code)
    assert codes == [0, 2]
    assert "pair_coeff * * Li Zr Cl O" in (tmp_path / "run" / "in.lammps").read_text()
    assert "is there already" in capsys.readouterr().err
