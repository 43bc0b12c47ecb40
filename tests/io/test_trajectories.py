"""Trajectories: what a killed run leaves behind, and files of other programs."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.io import write

from mlsim.errors import DataError
from mlsim.io.trajectories import TrajectoryRecorder, read_trajectory
from mlsim.melt_quench.frames import Frame, FrameRecorder

ELEMENTS = ("Li", "Li", "Zr", "Cl")
TRICLINIC = np.array([[9.0, 0.0, 0.0], [3.0, 8.0, 0.0], [-2.0, 2.0, 7.0]])


def frame(number, *, every=10, run=0):
    """Frame `number` of a run; every value tells which frame and run it belongs to."""
    positions = np.arange(12.0).reshape(4, 3) + number + 100 * run
    return Frame(number * every, 0.1 * number, positions, np.eye(3) * (10 + number), 300.0 + number, -number, 0.5)


def record(recorder, numbers, *, commit_every=3, run=0):
    for count, number in enumerate(numbers, start=1):
        recorder.append(frame(number, run=run))
        if count % commit_every == 0:
            recorder.commit()


def recorder_in(folder, **keywords):
    return TrajectoryRecorder(folder, ELEMENTS, 0.1, keywords.pop("temperature_K", 700.0))


def message(call, *arguments, **keywords):
    with pytest.raises(DataError) as caught:
        call(*arguments, **keywords)
    text = str(caught.value)
    assert "\n" not in text
    return text


def expected_positions(numbers, run=0):
    return np.array([frame(n, run=run).positions for n in numbers]).reshape(-1, 4, 3)


def test_frames_come_back_as_they_were_recorded(tmp_path):
    recorder: FrameRecorder = recorder_in(tmp_path)
    record(recorder, range(10))
    path = recorder.finish()
    assert path == tmp_path / "trajectory.h5"
    assert [p.name for p in tmp_path.iterdir()] == ["trajectory.h5"]
    found = read_trajectory(path)
    np.testing.assert_array_equal(found.positions, expected_positions(range(10)))
    np.testing.assert_array_equal(found.cell, [frame(n).cell for n in range(10)])
    assert found.elements == ELEMENTS
    assert found.interval_ps == pytest.approx(0.1)
    assert found.temperature_K == 700.0
    with h5py.File(path) as store:
        assert store["positions"].dtype == np.float32
        assert store["cell"].dtype == np.float64
        np.testing.assert_allclose(store["temperature_K"], 300.0 + np.arange(10))
        np.testing.assert_allclose(store["potential_energy_eV"], -np.arange(10.0))
        assert '"positions": "Å"' in store.attrs["units"]


def test_first_last_and_stride_take_python_slices(tmp_path):
    recorder = recorder_in(tmp_path)
    record(recorder, range(12))
    path = recorder.finish()
    found = read_trajectory(path, first=2, last=11, stride=4)
    np.testing.assert_array_equal(found.positions, expected_positions([2, 6, 10]))
    assert found.interval_ps == pytest.approx(0.4)
    assert found.cell.shape == (3, 3, 3)


def test_strides_across_blocks_take_the_same_frames(tmp_path, monkeypatch):
    recorder = recorder_in(tmp_path)
    record(recorder, range(23))
    path = recorder.finish()
    monkeypatch.setattr("mlsim.io.trajectories._BLOCK", 2)
    np.testing.assert_array_equal(read_trajectory(path, first=1, stride=3).positions[:, 0, 0], np.arange(1, 23, 3))


def test_what_was_committed_survives_a_kill_and_what_was_not_is_gone(tmp_path):
    record(recorder_in(tmp_path), range(8), commit_every=3)  # 6 durable, 2 in memory when the run dies
    again = recorder_in(tmp_path)
    assert again.n_frames == 6
    again.rewind(6)
    record(again, range(6, 9))
    np.testing.assert_array_equal(read_trajectory(again.finish()).positions, expected_positions(range(9)))


@pytest.mark.parametrize("checkpoint", range(10))
def test_frames_after_the_checkpoint_do_not_survive_a_rewind(tmp_path, checkpoint):
    record(recorder_in(tmp_path), range(9), commit_every=3, run=1)
    again = recorder_in(tmp_path)
    again.rewind(checkpoint)
    record(again, range(checkpoint, 11), commit_every=2)
    found = read_trajectory(again.finish()).positions
    expected = np.concatenate([expected_positions(range(checkpoint), run=1), expected_positions(range(checkpoint, 11))])
    np.testing.assert_array_equal(found, expected)
    assert [p.name for p in tmp_path.iterdir()] == ["trajectory.h5"]


def test_a_kill_during_a_rewind_is_mended_by_the_next(tmp_path, monkeypatch):
    record(recorder_in(tmp_path), range(12), commit_every=3, run=1)
    again = recorder_in(tmp_path)
    deleted = []
    original = type(tmp_path).unlink

    def killed_after_one(path, missing_ok=False):
        if path.name.startswith("frames-") and deleted:
            raise KeyboardInterrupt
        deleted.append(path)
        original(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "unlink", killed_after_one)
        with pytest.raises(KeyboardInterrupt):
            again.rewind(4)
    third = recorder_in(tmp_path)
    assert third.n_frames == 9
    third.rewind(4)
    record(third, range(4, 6))
    np.testing.assert_array_equal(read_trajectory(third.finish()).positions[4:], expected_positions([4, 5]))


def test_frames_that_wait_can_be_rewound_too(tmp_path):
    recorder = recorder_in(tmp_path)
    record(recorder, range(5), commit_every=3)
    recorder.rewind(4)
    assert recorder.commit() == 4
    recorder.rewind(0)
    assert recorder.n_frames == 0


def test_finishing_twice_and_going_on_after_finishing(tmp_path):
    recorder = recorder_in(tmp_path)
    record(recorder, range(4))
    assert recorder.finish() == recorder.finish()
    again = recorder_in(tmp_path)
    assert again.n_frames == 4
    again.rewind(4)
    assert again.finish() == tmp_path / "trajectory.h5"
    record(again, range(4, 7))
    np.testing.assert_array_equal(read_trajectory(again.finish()).positions, expected_positions(range(7)))


@pytest.mark.parametrize("n_frames", [0, 2])
def test_a_finished_trajectory_can_be_rewound(tmp_path, n_frames):
    recorder = recorder_in(tmp_path)
    record(recorder, range(5), run=1)
    recorder.finish()
    again = recorder_in(tmp_path)
    again.rewind(n_frames)
    assert recorder_in(tmp_path).n_frames == n_frames
    record(again, range(n_frames, 4))
    np.testing.assert_array_equal(
        read_trajectory(again.finish()).positions[n_frames:], expected_positions(range(n_frames, 4))
    )


def test_a_kill_between_merging_and_cleaning_duplicates_nothing(tmp_path, monkeypatch):
    recorder = recorder_in(tmp_path)
    record(recorder, range(6))

    def killed(path, missing_ok=False):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "unlink", killed)
        with pytest.raises(KeyboardInterrupt):
            recorder.finish()
    assert (tmp_path / "trajectory.parts").exists()
    again = recorder_in(tmp_path)
    assert again.n_frames == 6
    np.testing.assert_array_equal(read_trajectory(again.finish()).positions, expected_positions(range(6)))
    assert [p.name for p in tmp_path.iterdir()] == ["trajectory.h5"]


def test_half_written_files_of_a_killed_run_are_cleaned_up(tmp_path):
    record(recorder_in(tmp_path), range(3))
    half = tmp_path / "trajectory.parts" / ".frames-000000003.part-x1.npz"
    half.write_bytes(b"PK\x03")
    (tmp_path / ".trajectory.part-x2.h5").write_bytes(b"half")
    recorder_in(tmp_path).finish()
    assert [p.name for p in tmp_path.iterdir()] == ["trajectory.h5"]


def test_a_run_that_was_not_rewound_is_refused(tmp_path):
    record(recorder_in(tmp_path), range(6))
    text = message(recorder_in(tmp_path).append, frame(3))
    assert text == (
        f"{tmp_path / 'trajectory.h5'}: frame of step 30 (0.3 ps) after step 50 (0.5 ps), expected 0.1 ps between "
        "frames; rewind to the checkpoint, or start in an empty folder"
    )


def test_a_checkpoint_that_knows_more_frames_than_there_are_is_refused(tmp_path):
    record(recorder_in(tmp_path), range(3))
    assert message(recorder_in(tmp_path).rewind, 5) == (
        f"{tmp_path / 'trajectory.parts'}: 3 frames are there, the checkpoint counts 5; "
        "a part of the trajectory is missing: start this run again in an empty folder"
    )


def test_frames_of_other_atoms_and_damaged_chunks_are_refused(tmp_path):
    record(recorder_in(tmp_path), range(3))
    chunk = tmp_path / "trajectory.parts" / "frames-000000000.npz"
    text = message(TrajectoryRecorder, tmp_path, ("Li",) * 4, 0.1, None)
    assert text == f"{chunk}: frames of other atoms; start this run in an empty folder"
    chunk.write_bytes(chunk.read_bytes()[:200])
    assert message(recorder_in, tmp_path).startswith(f"{chunk}: damaged, cannot be read")


def test_bad_frames_are_refused(tmp_path):
    recorder = recorder_in(tmp_path)
    path = tmp_path / "trajectory.h5"
    wrong = frame(0)._replace(positions=np.zeros((3, 3)))
    assert message(recorder.append, wrong) == f"{path}: frame with positions of shape (3, 3), expected (4, 3)"
    wrong = frame(0)._replace(positions=np.full((4, 3), np.nan))
    assert message(recorder.append, wrong) == f"{path}: frame at step 0 holds positions that are not finite"
    assert message(recorder.finish).startswith(f"{path}: no frames were recorded")


def test_recorded_frames_are_copies(tmp_path):
    recorder = recorder_in(tmp_path)
    moving = frame(0)
    recorder.append(moving)
    moving.positions[:] = -1.0
    moving.cell[:] = -1.0
    found = read_trajectory(recorder.finish())
    np.testing.assert_array_equal(found.positions, expected_positions([0]))
    np.testing.assert_array_equal(found.cell, frame(0).cell)


def test_a_full_disk_while_merging_is_one_line_and_loses_nothing(tmp_path):
    resource = pytest.importorskip("resource", reason="limits on file size need a POSIX system")
    elements = ("Li",) * 2000
    recorder = TrajectoryRecorder(tmp_path, elements, 0.1, None)
    for number in range(20):
        recorder.append(frame(number)._replace(positions=np.full((2000, 3), float(number))))
        recorder.commit()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        text = message(recorder.finish)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert text.startswith(f"{tmp_path / 'trajectory.h5'}: cannot be written: ")
    assert [p.name for p in tmp_path.iterdir()] == ["trajectory.parts"]
    found = read_trajectory(TrajectoryRecorder(tmp_path, elements, 0.1, None).finish())
    np.testing.assert_array_equal(found.positions[:, 0, 0], np.arange(20))
    assert found.temperature_K is None


def wandering(n_frames=30, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 1, (1, 4, 3)) @ TRICLINIC
    return start + np.cumsum(rng.normal(0, 0.6, (n_frames, 4, 3)), axis=0)


def as_atoms(positions, cell=TRICLINIC, elements=ELEMENTS):
    return [Atoms(elements, positions=p, cell=cell, pbc=True) for p in positions]


@pytest.mark.parametrize(("name", "form"), [("a.extxyz", "extxyz"), ("a.traj", "traj"), ("XDATCAR", "vasp-xdatcar")])
def test_wrapped_files_of_others_are_unwrapped(tmp_path, name, form):
    positions = wandering()
    frames = as_atoms(positions)
    for atoms in frames:
        atoms.wrap()
    assert abs(frames[-1].positions - positions[-1]).max() > 3
    write(tmp_path / name, frames, format=form)
    found = read_trajectory(tmp_path / name, interval_ps=0.2, temperature_K=650.0)
    np.testing.assert_allclose(found.positions - found.positions[0], positions - positions[0], atol=2e-6)
    np.testing.assert_allclose(found.cell, TRICLINIC, atol=1e-6)
    assert found.elements == ELEMENTS
    assert (found.interval_ps, found.temperature_K) == (0.2, 650.0)


def test_striding_follows_atoms_through_the_frames_in_between(tmp_path, monkeypatch):
    positions = wandering(60)
    frames = as_atoms(positions)
    for atoms in frames:
        atoms.wrap()
    write(tmp_path / "a.traj", frames)
    monkeypatch.setattr("mlsim.io.trajectories._BLOCK", 7)
    found = read_trajectory(tmp_path / "a.traj", interval_ps=0.2, first=3, last=55, stride=10)
    expected = positions[3:55:10]
    np.testing.assert_allclose(found.positions - found.positions[0], expected - expected[0], atol=1e-9)
    assert found.interval_ps == pytest.approx(2.0)


def test_unwrapping_follows_a_cell_that_changes(tmp_path):
    scale = 1 + 0.05 * np.sin(np.arange(30))
    fractional = wandering() @ np.linalg.inv(TRICLINIC)
    frames = [
        Atoms(ELEMENTS, positions=(f % 1.0) @ (TRICLINIC * s), cell=TRICLINIC * s, pbc=True)
        for f, s in zip(fractional, scale, strict=True)
    ]
    write(tmp_path / "npt.traj", frames)
    found = read_trajectory(tmp_path / "npt.traj", interval_ps=0.2)
    assert found.cell.shape == (30, 3, 3)
    followed = np.einsum("fax,fxy->fay", found.positions, np.linalg.inv(found.cell))
    np.testing.assert_allclose(followed - followed[0], fractional - fractional[0], atol=1e-9)


def lammps_dump(path, positions, columns="id element xu yu zu", elements=ELEMENTS, steps=None, shuffle=True):
    lines = []
    for number, p in enumerate(positions):
        step = 100 * number if steps is None else steps[number]
        lines += ["ITEM: TIMESTEP", str(step), "ITEM: NUMBER OF ATOMS", str(len(p)), "ITEM: BOX BOUNDS pp pp pp"]
        lines += ["0.0 8.0"] * 3
        lines.append(f"ITEM: ATOMS {columns}")
        order = np.roll(np.arange(len(p)), number) if shuffle else np.arange(len(p))
        for i in order:
            words = {"id": i + 1, "element": elements[i], "type": 1, "mass": 6.9}
            words.update(zip(("x", "y", "z"), p[i], strict=True))
            words.update(zip(("xu", "yu", "zu"), p[i], strict=True))
            lines.append(" ".join(str(words[c]) for c in columns.split()))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_unwrapped_lammps_coordinates_are_taken_as_they_stand(tmp_path):
    positions = np.cumsum(np.random.default_rng(0).normal(0, 4.0, (20, 4, 3)), axis=0)  # steps of half a cell
    found = read_trajectory(lammps_dump(tmp_path / "a.lammpstrj", positions), interval_ps=0.5)
    np.testing.assert_allclose(found.positions, positions, atol=1e-9)
    assert found.elements == ELEMENTS


def test_wrapped_lammps_coordinates_are_followed_and_ids_put_in_order(tmp_path):
    positions = 4.0 + np.cumsum(np.random.default_rng(0).normal(0, 0.5, (20, 4, 3)), axis=0)
    path = lammps_dump(tmp_path / "a.dump", positions % 8.0, "id element x y z")
    found = read_trajectory(path, interval_ps=0.5)
    np.testing.assert_allclose(found.positions - found.positions[0], positions - positions[0], atol=1e-9)


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"columns": "id type x y z"}, "has no element column; write it with 'dump_modify ID element Li Zr Cl O'"),
        (
            {"columns": "element x y z"},
            "has no id column, so atoms cannot be told apart; write 'dump ... id element x y z'",
        ),
        ({"steps": [0, 100, 300]}, "frames are not equally far apart in time: gaps of 100 to 200"),
    ],
)
def test_lammps_dumps_that_leave_something_open_are_refused(tmp_path, keywords, expected):
    path = lammps_dump(tmp_path / "a.lammpstrj", np.zeros((3, 4, 3)), **keywords)
    assert message(read_trajectory, path, interval_ps=0.5) == f"{path}: {expected}"


def test_frames_too_far_apart_to_unwrap_are_refused_unless_said_to_be_unwrapped(tmp_path):
    path = tmp_path / "far.extxyz"
    write(path, as_atoms(np.random.default_rng(0).uniform(0, 1, (10, 4, 3)) @ TRICLINIC))
    text = message(read_trajectory, path, interval_ps=10.0)
    assert text.startswith(f"{path}: an atom moves by 0.")
    assert text.endswith("store frames more often, or say if they are unwrapped (wrapped=False, --unwrapped)")
    assert read_trajectory(path, interval_ps=10.0, wrapped=False).n_frames == 10


def test_the_time_between_frames_is_asked_for_or_taken_from_the_file(tmp_path):
    path = tmp_path / "a.extxyz"
    frames = as_atoms(wandering(6))
    write(path, frames)
    expected = f"{path}: does not say the time between frames; give interval_ps (--interval-ps)"
    assert message(read_trajectory, path) == expected
    for number, atoms in enumerate(frames):
        atoms.info["time_ps"] = 0.25 * number
    write(path, frames)
    assert read_trajectory(path).interval_ps == pytest.approx(0.25)
    text = message(read_trajectory, path, interval_ps=1.0)
    assert text == f"{path}: frames are 0.25 ps apart, not 1; leave the interval out"


def test_atoms_that_change_order_are_refused(tmp_path):
    path = tmp_path / "a.extxyz"
    frames = [*as_atoms(wandering(2)), *as_atoms(wandering(1), elements=("Li", "Zr", "Li", "Cl"))]
    write(path, frames)
    text = message(read_trajectory, path, interval_ps=0.1)
    assert text.startswith(f"{path}: frame 2: atoms differ from those of the first frame")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.h5", b"", "the file is empty"),
        ("notes.txt", b"hello\n", "unknown file type; expected a trajectory in a format that ASE reads"),
        ("a.xyz", b"1\n\nLi 0 0 0\n", "frame 0: no cell in three dimensions; transport needs one"),
        ("b.xyz", b'1\nLattice="5 0 0 0 5 0 0 0 5"\nLi nan 0 0\n', "frame 0: positions of 1 atoms are not finite"),
    ],
)
def test_a_wrong_file_gives_one_line_with_its_path(tmp_path, name, content, expected):
    path = tmp_path / name
    path.write_bytes(content)
    assert message(read_trajectory, path, interval_ps=0.1).startswith(f"{path}: {expected}")


def test_wrong_hdf5_files_are_told_apart(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as store:
        store["x"] = [1.0]
    assert message(read_trajectory, path) == f"{path}: is HDF5 but not a trajectory of mlsim"
    recorder = recorder_in(tmp_path)
    record(recorder, range(4))
    merged = recorder.finish()
    assert message(read_trajectory, merged, first=9) == f"{merged}: no frame from 9 on, it holds 4"
    text = message(read_trajectory, merged, interval_ps=0.3)
    assert text == f"{merged}: frames are 0.1 ps apart, not 0.3; leave the interval out"
    text = message(read_trajectory, merged, temperature_K=300.0)
    assert text == f"{merged}: is a run at 700 K, not 300; leave the temperature out"
    with h5py.File(merged, "a") as store:
        store.attrs["version"] = 99
    text = message(read_trajectory, merged)
    assert text == f"{merged}: written by a newer mlsim (format 99); update mlsim"
    merged.write_bytes(merged.read_bytes()[:3000])
    assert message(read_trajectory, merged).startswith(f"{merged}: cannot be read as a trajectory of mlsim: ")


@pytest.mark.parametrize("keywords", [{"stride": 0}, {"first": -1}, {"first": 3, "last": 3}, {"interval_ps": -1.0}])
def test_impossible_selections_are_refused(tmp_path, keywords):
    assert message(read_trajectory, tmp_path / "a.h5", **keywords).startswith(f"{tmp_path / 'a.h5'}: ")


def test_lammps_image_flags_are_applied(tmp_path):
    positions = np.cumsum(np.random.default_rng(0).normal(0, 4.0, (20, 4, 3)), axis=0)  # steps of half a cell
    images = np.floor(positions / 8.0).astype(int)
    path = lammps_dump(tmp_path / "a.dump", positions % 8.0, "id element x y z")
    lines = path.read_text().splitlines()
    numbers = iter(np.concatenate([np.roll(i, n, axis=0) for n, i in enumerate(images)]))
    for i, line in enumerate(lines):
        if line.startswith("ITEM: ATOMS"):
            lines[i] = line + " ix iy iz"
        elif len(line.split()) == 5 and "ITEM" not in line:
            lines[i] = " ".join([line, *map(str, next(numbers))])
    path.write_text("\n".join(lines) + "\n")
    np.testing.assert_allclose(read_trajectory(path, interval_ps=0.5).positions, positions, atol=1e-6)
    found = read_trajectory(path, interval_ps=0.5, first=3, last=11, stride=2).positions
    np.testing.assert_allclose(found, positions[3:11:2], atol=1e-6)


def test_positions_stay_on_disk(tmp_path):
    recorder = recorder_in(tmp_path)
    record(recorder, range(12))
    path = recorder.finish()
    own = read_trajectory(path, first=1, stride=2)
    write(tmp_path / "a.traj", as_atoms(wandering(9)))
    for found in (own, read_trajectory(tmp_path / "a.traj", interval_ps=0.1)):
        base = found.positions
        while base.base is not None and not isinstance(base, np.memmap):
            base = base.base
        assert isinstance(base, np.memmap)
    np.testing.assert_array_equal(own.potential_energy_eV, -np.arange(1.0, 12.0, 2.0))


def test_a_trajectory_of_many_atoms_can_be_written(tmp_path: Path) -> None:
    """The names of the atoms alone are more than the 64 KB that HDF5 gives an attribute by default."""
    n_atoms = 20_000
    recorder = TrajectoryRecorder(tmp_path, ("Li", "Cl") * (n_atoms // 2), 0.02)
    recorder.append(Frame(0, 0.0, np.zeros((n_atoms, 3)), np.eye(3) * 80, 300.0, 0.0, 0.0))
    trajectory = read_trajectory(recorder.finish())
    assert trajectory.elements == ("Li", "Cl") * (n_atoms // 2)


@pytest.mark.parametrize(("n_atoms", "n_frames"), [(3, 2), (500, 40), (6000, 3)])
def test_the_room_asked_of_the_disk_is_the_size_of_the_file(
    n_atoms: int, n_frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Less would let HDF5 fill the disk, which ends the process; twice as much would refuse a disk with room."""
    asked: list[int] = []
    monkeypatch.setattr("mlsim.io.recorder._reserve", lambda path, n_bytes: asked.append(n_bytes))
    recorder = TrajectoryRecorder(tmp_path, ("Li",) * n_atoms, 0.02)
    for k in range(n_frames):
        recorder.append(Frame(k, 0.02 * k, np.zeros((n_atoms, 3)), np.eye(3) * 80, 300.0, 0.0, 0.0))
    size = recorder.finish().stat().st_size
    assert size <= asked[-1] < size + 20_000 + 48 * n_atoms
