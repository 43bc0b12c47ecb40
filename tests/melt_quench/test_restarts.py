"""Interrupt, kill, resume: the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toys import ListRecorder, PairLiquid, argon

from mlsim.errors import DataError, Interrupted, SettingsError
from mlsim.melt_quench import Schedule, Segment, run_schedule
from mlsim.progress import StopRequest

ENSEMBLES = [("nvt", "langevin"), ("nvt", "nose_hoover"), ("npt", "langevin"), ("npt", "nose_hoover")]


def schedule_for(ensemble, thermostat):
    common = {"ensemble": ensemble, "thermostat": thermostat}
    return Schedule(
        log_interval_ps=0.02,
        relax_steps=3,
        segments=(
            Segment(name="melt", kind="hold", temperature_K=150, duration_ps=0.1, record=False, **common),
            Segment(name="quench", kind="ramp", from_K=150, to_K=50, duration_ps=0.13, **common),
            Segment(name="cold", kind="hold", temperature_K=50, duration_ps=0.06, **common),
        ),
    )


def go(directory, schedule, **settings):
    chosen = {"seed": 5, "potential_sha256": "argon", **settings}
    start = chosen.pop("start", None)
    return run_schedule(start or argon(), schedule, PairLiquid(), directory=directory, **chosen)


def assert_same(one, other):
    for name in ("positions", "momenta", "cell"):
        a, b = (np.asarray(getattr(g.atoms, name, g.atoms.get_momenta())) for g in (one, other))
        assert a.tobytes() == b.tobytes(), name
    for name in one.log.__dataclass_fields__:
        assert getattr(one.log, name).tobytes() == getattr(other.log, name).tobytes(), name
    assert one.melt_displacement_A == other.melt_displacement_A


def assert_same_frames(one, other):
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in zip(a, b, strict=True))


class AlwaysStop(StopRequest):
    def __bool__(self) -> bool:
        return True


def test_a_run_is_repeatable_and_depends_on_its_seed(tmp_path):
    schedule = schedule_for("nvt", "langevin")
    first, again = go(tmp_path / "a", schedule), go(tmp_path / "b", schedule)
    assert_same(first, again)
    other = go(tmp_path / "c", schedule, seed=6)
    assert not np.allclose(first.atoms.positions, other.atoms.positions)


@pytest.mark.parametrize(("ensemble", "thermostat"), ENSEMBLES)
def test_a_run_interrupted_at_every_opportunity_gives_the_same_bits_and_frames(ensemble, thermostat, tmp_path):
    schedule = schedule_for(ensemble, thermostat)
    undisturbed, broken = ListRecorder(), ListRecorder()
    glass = go(tmp_path / "a", schedule, recorder=undisturbed, frame_interval_ps=0.004)
    for _ in range(schedule.n_steps // 20):
        with pytest.raises(Interrupted, match="the same command goes on from there"):
            go(tmp_path / "b", schedule, recorder=broken, frame_interval_ps=0.004, stop=AlwaysStop())
    resumed = go(tmp_path / "b", schedule, recorder=broken, frame_interval_ps=0.004)
    assert_same(glass, resumed)
    assert_same_frames(undisturbed.durable, broken.durable)


@pytest.mark.parametrize(("ensemble", "thermostat"), ENSEMBLES)
def test_a_run_killed_between_two_checkpoints_gives_the_same_bits(ensemble, thermostat, tmp_path):
    """SIGKILL at step 93, in the middle of the quench; the last checkpoint is of step 80."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_restarts import go, schedule_for
def kill(stage, done, total):
    if done == 93:
        os.kill(os.getpid(), signal.SIGKILL)
go(Path({str(tmp_path / "b")!r}), schedule_for({ensemble!r}, {thermostat!r}), progress=kill, checkpoint_interval_s=0)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    schedule = schedule_for(ensemble, thermostat)
    done = []
    resumed = go(tmp_path / "b", schedule, progress=lambda stage, n, total: done.append(n))
    assert done[0] == 81
    assert_same(go(tmp_path / "a", schedule), resumed)


def test_frames_after_the_last_checkpoint_are_taken_again_not_twice(tmp_path):
    schedule = schedule_for("nvt", "langevin")

    class Crash(Exception):
        pass

    def crash(stage, done, total):
        if done == 93:
            raise Crash

    whole, broken = ListRecorder(), ListRecorder()
    go(tmp_path / "a", schedule, recorder=whole, frame_interval_ps=0.004)
    options = {"recorder": broken, "frame_interval_ps": 0.004}
    with pytest.raises(Crash):
        go(tmp_path / "b", schedule, progress=crash, checkpoint_interval_s=0, **options)
    broken.commit()  # frames that reached the disk after the last checkpoint
    go(tmp_path / "b", schedule, **options)
    assert_same_frames(whole.durable, broken.durable)


def test_frames_come_at_equal_times_from_recorded_segments_only(tmp_path):
    recorder = ListRecorder()
    go(tmp_path, schedule_for("nvt", "langevin"), recorder=recorder, frame_interval_ps=0.01)
    steps = [frame.step for frame in recorder.durable]
    assert steps == list(range(50, 146, 5))
    frame = recorder.durable[-1]
    assert frame.time_ps == pytest.approx(0.29) and frame.positions.shape == (32, 3) and frame.cell.shape == (3, 3)


def test_a_finished_run_returns_the_same_glass_without_a_step(tmp_path):
    schedule = schedule_for("npt", "langevin")
    glass = go(tmp_path, schedule)
    calls = []
    assert_same(glass, go(tmp_path, schedule, progress=lambda *a: calls.append(a)))
    assert not calls


def test_progress_counts_the_steps_of_the_whole_schedule(tmp_path):
    calls = []
    go(tmp_path, schedule_for("nvt", "langevin"), progress=lambda *a: calls.append(a))
    assert [c[1] for c in calls] == list(range(1, 146)) and {c[2] for c in calls} == {145}
    assert (calls[0][0], calls[60][0], calls[-1][0]) == ("melt 150 K", "quench 150 to 50 K", "cold 50 K")


def test_the_start_is_not_changed(tmp_path):
    start = argon()
    before = start.positions.copy()
    go(tmp_path, schedule_for("npt", "langevin"), start=start)
    assert np.array_equal(start.positions, before) and start.calc is None


def test_the_potential_keeps_its_lists_between_restart_points(tmp_path):
    """Bit-identity is not bought with a search at every step."""
    liquid = PairLiquid()
    schedule = Schedule(segments=(Segment(kind="hold", temperature_K=20, duration_ps=0.4),))
    run_schedule(argon(), schedule, liquid, directory=tmp_path, seed=1, potential_sha256="argon")
    assert liquid.searches < 25


def interrupted(tmp_path, schedule, **settings):
    with pytest.raises(Interrupted):
        go(tmp_path, schedule, stop=AlwaysStop(), **settings)


def test_changed_settings_are_refused_with_the_difference(tmp_path):
    schedule = schedule_for("nvt", "langevin")
    interrupted(tmp_path, schedule)
    slower = schedule.model_copy(update={"log_interval_ps": 0.04})
    with pytest.raises(SettingsError) as caught:
        go(tmp_path, slower, seed=6, potential_sha256="krypton")
    assert str(caught.value) == (
        f"{tmp_path / 'checkpoint.npz'}: made with other settings: potential_sha256 was argon, is krypton; "
        "schedule.log_interval_ps was 0.02, is 0.04; seed was 5, is 6; restore them, or use another folder"
    )
    moved = argon()
    moved.positions[0, 0] += 1e-9
    with pytest.raises(SettingsError, match="start_sha256 was"):
        go(tmp_path, schedule, start=moved)
    go(tmp_path, schedule)


@pytest.mark.parametrize("damage", ["truncate", "flip", "text", "foreign", "lacking", "empty"])
def test_a_damaged_or_foreign_checkpoint_is_one_clear_line(damage, tmp_path):
    schedule = schedule_for("npt", "nose_hoover")
    interrupted(tmp_path, schedule)
    path = tmp_path / "checkpoint.npz"
    content = path.read_bytes()
    if damage == "truncate":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        middle = content.index(b"positions.npy") + 400
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif damage == "text":
        path.write_text("not ours")
    elif damage == "foreign":
        np.savez(path, x=np.arange(3))
    elif damage == "lacking":
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files if name != "integrator.eps"}
        np.savez(path, **arrays)
    else:
        path.write_bytes(b"")
    with pytest.raises(DataError) as caught:
        go(tmp_path, schedule)
    message = str(caught.value)
    assert message.startswith(f"{path}: damaged") and "\n" not in message
    assert message.endswith("delete it to start this run from its beginning")


def test_a_full_disk_is_one_clear_line_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    schedule = schedule_for("nvt", "langevin")
    interrupted(tmp_path, schedule)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_disk)
        with pytest.raises(DataError) as caught:
            go(tmp_path, schedule, stop=AlwaysStop())
    assert str(caught.value) == (
        f"{tmp_path / 'checkpoint.npz'}: cannot be written: the disk is full; free some space and run the same "
        "command again; the last checkpoint is intact"
    )
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert_same(go(tmp_path, schedule), go(tmp_path / "undisturbed", schedule))


def full_disk(handle):
    raise OSError(28, "No space left on device")


def test_halves_of_a_checkpoint_that_a_killed_run_left_are_removed(tmp_path):
    left = tmp_path / ".checkpoint.part-abc.npz"
    left.write_bytes(b"half")
    interrupted(tmp_path, schedule_for("nvt", "langevin"))
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.npz"]


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot make this folder"):
        go(tmp_path / "file" / "run", schedule_for("nvt", "langevin"))
