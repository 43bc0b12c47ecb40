"""A run that is interrupted, killed, or loses a worker: it says so, loses nothing, and goes on to the same bits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_study import write_toy_study

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")

SCRIPT = Path(__file__).parent / "toy_study.py"
SLOW_S = 0.005
LONGEST_S = 120.0


def start(study: Path, seconds_per_step: float, *options: str) -> subprocess.Popen[str]:
    """`mlsim run` with the toy, in a session of its own."""
    command = [
        sys.executable,
        str(SCRIPT),
        str(seconds_per_step),
        "run",
        str(study),
        "--out",
        str(study.parent / "out"),
    ]
    return subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_for_line(run: subprocess.Popen[str], text: str) -> None:
    """Read progress until a line holds `text`."""
    assert run.stderr is not None
    seen = []
    for line in run.stderr:
        seen.append(line)
        if text in line:
            return
    raise AssertionError(f"no '{text}' in {seen}")


def workers_of(run: subprocess.Popen[str]) -> list[int]:
    """Process numbers of the workers, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if parent == run.pid and b"spawn_main" in command:
                found.append(int(entry.name))
    return sorted(found)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST_S
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def finish(study: Path) -> bytes:
    """Let the same command go on to the end; return its result."""
    run = start(study, 0.0)
    _, errors = run.communicate(timeout=LONGEST_S)
    assert run.returncode == 0, errors
    return (study.parent / "out" / "result.json").read_bytes()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One study that all tests of this file disturb, each where the one before left it."""
    return write_toy_study(tmp_path_factory.mktemp("disturbed"))


def checkpoints(study: Path) -> int:
    return len(list((study.parent / "out").glob("glass-*/quench/checkpoint.npz")))


def test_ctrl_c_in_a_terminal_exits_75_with_one_line_and_checkpoints(study: Path) -> None:
    run = start(study, SLOW_S)
    wait_for_line(run, "quench")
    os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to the workers too
    output, errors = run.communicate(timeout=LONGEST_S)
    assert run.returncode == 75, errors
    assert errors.splitlines()[-1] == (
        "interrupted: stopped on request, checkpoints are written; the same command goes on from there"
    )
    assert "Traceback" not in output + errors
    assert checkpoints(study) == 2


def test_sigterm_to_the_parent_alone_stops_the_workers_too(study: Path) -> None:
    run = start(study, SLOW_S)
    wait_for_line(run, "quench")
    workers = workers_of(run)
    run.terminate()
    _, errors = run.communicate(timeout=LONGEST_S)
    assert run.returncode == 75, errors
    assert all(gone(pid) for pid in workers)


def test_workers_stop_by_themselves_when_the_parent_is_killed(study: Path) -> None:
    run = start(study, SLOW_S)
    wait_for_line(run, "density")
    workers = workers_of(run)
    assert len(workers) == 2
    before = [path.stat().st_mtime_ns for path in (study.parent / "out").glob("glass-*/quench/checkpoint.npz")]
    os.kill(run.pid, signal.SIGKILL)
    run.communicate()
    wait_until(lambda: all(gone(pid) for pid in workers))
    after = [path.stat().st_mtime_ns for path in (study.parent / "out").glob("glass-*/quench/checkpoint.npz")]
    assert before != after


def test_a_killed_worker_is_one_line_and_exit_code_2(study: Path) -> None:
    run = start(study, SLOW_S)
    wait_for_line(run, "equilibrate 900 K")
    victim, other = workers_of(run)
    os.kill(victim, signal.SIGKILL)
    output, errors = run.communicate(timeout=LONGEST_S)
    assert run.returncode == 2
    last = errors.splitlines()[-1]
    assert last.startswith("error: glass ")
    assert ": its worker process was killed (SIGKILL); the same command goes on from the last checkpoint" in last
    assert "Traceback" not in output + errors
    wait_until(lambda: gone(other))


def test_after_all_of_this_the_same_command_reaches_the_same_bits(study: Path, tmp_path: Path) -> None:
    assert finish(study) == finish(write_toy_study(tmp_path))
