"""A trajectory says the same in every format, and is never in memory as a whole."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from ase.io import read

from mlsim.cli import main
from mlsim.errors import DataError, SettingsError
from mlsim.io.convert import convert_trajectory
from mlsim.io.trajectories import TrajectoryRecorder, read_trajectory
from mlsim.melt_quench import Frame

ELEMENTS = ("Li", "Li", "Zr", "O", "Cl")
CELLS = {"cube": np.eye(3) * 7.0, "triclinic": np.array([[6.0, 1.0, 0.5], [-1.0, 7.0, 2.0], [0.3, -0.8, 8.0]])}


def recorded(folder: Path, cell: np.ndarray, n_frames: int = 7, n_atoms: int = 5) -> Path:
    rng = np.random.default_rng(1)
    recorder = TrajectoryRecorder(folder, (ELEMENTS * n_atoms)[:n_atoms], 0.02, 600.0)
    positions = rng.random((n_atoms, 3)) * 7 - 20  # far outside of the cell: unwrapped
    for k in range(n_frames):
        positions = positions + rng.normal(0, 0.1, positions.shape)
        strained = cell * (1 + 0.001 * k)
        recorder.append(Frame(10 * k, 0.02 * k, positions, strained, 600.0 + k, -3.5 * k, 0.1 * k, 0.01 * k))
    return recorder.finish()


def distances(trajectory, cell_of):
    return np.stack([np.linalg.norm(p[:, None] - p[None], axis=-1) for p in trajectory.positions])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("suffix", [".extxyz", ".traj", ".lammpstrj"])
def test_there_and_back_again_is_the_same_trajectory(suffix: str, cell: str, tmp_path: Path) -> None:
    source = recorded(tmp_path / "a", CELLS[cell])
    there, back = tmp_path / f"there{suffix}", tmp_path / "back.h5"
    assert convert_trajectory(source, there) == 7
    assert convert_trajectory(there, back, interval_ps=0.02, temperature_K=600.0) == 7
    first, second = read_trajectory(source), read_trajectory(back)
    assert second.elements == first.elements and second.temperature_K == 600.0
    assert second.interval_ps == pytest.approx(first.interval_ps)
    assert np.abs(np.linalg.det(second.cell) / np.linalg.det(first.cell) - 1).max() < 1e-6
    # a LAMMPS box may be turned, so distances between unwrapped atoms are compared
    assert np.abs(distances(first, cell) - distances(second, cell)).max() < 2e-5
    steps = [np.linalg.norm(np.diff(t.positions, axis=0), axis=2) for t in (first, second)]
    if cell == "cube":
        assert np.abs(steps[0] - steps[1]).max() < 2e-5


def test_extended_xyz_carries_what_the_run_knew(tmp_path: Path) -> None:
    convert_trajectory(recorded(tmp_path, CELLS["cube"]), tmp_path / "t.extxyz", first=1, last=6, stride=2)
    frames = read(tmp_path / "t.extxyz", ":")
    assert [f.info["temperature_K"] for f in frames] == [601.0, 603.0, 605.0]
    assert [f.info["potential_energy_eV"] for f in frames] == pytest.approx([-3.5, -10.5, -17.5])
    assert [f.info["pressure_GPa"] for f in frames] == pytest.approx([0.1, 0.3, 0.5])
    assert [f.info["committee_deviation_eV_A"] for f in frames] == pytest.approx([0.01, 0.03, 0.05])
    assert [f.info["time_ps"] for f in frames] == pytest.approx([0.0, 0.04, 0.08])


def test_a_lammps_dump_says_the_steps_and_the_unwrapped_positions(tmp_path: Path) -> None:
    source = recorded(tmp_path, CELLS["cube"])
    convert_trajectory(source, tmp_path / "t.dump", stride=3)
    lines = (tmp_path / "t.dump").read_text().splitlines()
    assert [lines[k + 1] for k, line in enumerate(lines) if line == "ITEM: TIMESTEP"] == ["0", "30", "60"]
    index, element, *place = lines[9].split()
    assert (index, element) == ("1", "Li")
    assert np.allclose(np.array(place, float), read_trajectory(source).positions[0, 0], atol=1e-6)


@pytest.mark.parametrize("suffix", [".h5", ".traj", ".lammpstrj", pytest.param(".extxyz", marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_trajectory(suffix: str, tmp_path: Path) -> None:
    """Of 40 frames more, less than a quarter of the positions is held at any time; 34 frames fill every block."""
    n_atoms, peaks = 500, {}
    for n_frames in (34, 74):
        source = recorded(tmp_path / f"{n_frames}", CELLS["cube"], n_frames, n_atoms)
        convert_trajectory(source, tmp_path / f"loaded{suffix}")  # what is imported or cached at the first call
        tracemalloc.start()
        try:
            convert_trajectory(source, tmp_path / f"t{suffix}")
            peaks[n_frames] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peaks[74] - peaks[34] < 40 * n_atoms * 3 * 4 / 4


def test_reading_other_formats_holds_the_fewer_frames_the_more_atoms_they_have(tmp_path: Path) -> None:
    """Of 16 frames more of 20 000 atoms, less than a quarter of the positions is held at any time."""
    n_atoms, peaks = 20_000, {}
    for n_frames in (8, 24):
        path = tmp_path / f"{n_frames}.traj"
        convert_trajectory(recorded(tmp_path / f"{n_frames}", np.eye(3) * 100.0, n_frames, n_atoms), path)
        read_trajectory(path, interval_ps=0.02, last=2)
        tracemalloc.start()
        try:
            read_trajectory(path, interval_ps=0.02)
            peaks[n_frames] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peaks[24] - peaks[8] < 16 * n_atoms * 3 * 8 / 4


def test_a_recorder_holds_no_more_than_what_waits_for_the_next_commit(tmp_path: Path) -> None:
    """9.6 MB of float32 positions in 40 commits, merged at the end; never more than a quarter of that in memory."""
    n_atoms, rng = 2000, np.random.default_rng(0)
    recorder = TrajectoryRecorder(tmp_path, ("Li",) * n_atoms, 0.02)
    tracemalloc.start()
    try:
        for k in range(400):
            recorder.append(Frame(10 * k, 0.02 * k, rng.random((n_atoms, 3)), np.eye(3) * 30, 300.0, 0.0, 0.0))
            if k % 10 == 9:
                recorder.commit()
        recorder.finish()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 400 * n_atoms * 3 * 4 / 4
    assert read_trajectory(tmp_path / "trajectory.h5").n_frames == 400


def test_bad_requests_are_one_clear_line_and_leave_nothing(tmp_path: Path) -> None:
    source = recorded(tmp_path, CELLS["cube"])
    with pytest.raises(SettingsError, match=r"t\.lamps: do not know how to write '\.lamps'"):
        convert_trajectory(source, tmp_path / "t.lamps")
    with pytest.raises(SettingsError, match=r"trajectory\.h5: is the trajectory to convert; name another file"):
        convert_trajectory(source, source)
    plain = tmp_path / "plain.traj"
    convert_trajectory(source, plain)
    with pytest.raises(DataError, match=r"frames are 0\.02 ps apart, not 0\.03; leave the interval out"):
        convert_trajectory(source, tmp_path / "new.extxyz", interval_ps=0.03)
    assert not list(tmp_path.glob("new*")) and not list(tmp_path.glob(".new*"))


def test_the_command_converts_and_replaces_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = recorded(tmp_path, CELLS["cube"]), tmp_path / "t.extxyz"
    codes = []
    for _ in range(2):
        with pytest.raises(SystemExit) as end:
            main(["convert-trajectory", str(source), "-o", str(target)])
        codes.append(end.value.code)
    assert codes == [0, 2]
    captured = capsys.readouterr()
    assert captured.out == f"wrote {target}: 7 frames\n"
    assert "is there already; choose another name or add --force to replace it" in captured.err


def test_frames_of_earlier_versions_have_no_deviation(tmp_path: Path) -> None:
    """A trajectory written before committees were recorded goes on in the same folder."""
    import h5py

    source = recorded(tmp_path, CELLS["cube"])
    with h5py.File(source, "a") as store:
        del store["committee_deviation_eV_A"]
    recorder = TrajectoryRecorder(tmp_path, ELEMENTS, 0.02, 600.0)
    recorder.append(Frame(70, 0.14, np.zeros((5, 3)), np.eye(3) * 7, 600.0, 0.0, 0.0, 0.5))
    with h5py.File(recorder.finish()) as store:
        deviation = store["committee_deviation_eV_A"][:]
    assert np.isnan(deviation[:7]).all() and deviation[7] == 0.5
