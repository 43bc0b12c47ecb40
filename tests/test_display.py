"""Progress in a log, and the table of results."""

from __future__ import annotations

import io

import pytest

from mlsim.cli.display import PlainStudyDisplay, print_rows
from mlsim.curve import Estimate
from mlsim.io.results import QuantityRow, Reference


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told() -> tuple[PlainStudyDisplay, Clock, io.StringIO]:
    clock, stream = Clock(), io.StringIO()
    return PlainStudyDisplay(stream, 20.0, clock=clock), clock, stream


def test_lines_give_rate_and_time_left_of_the_glass_and_of_the_study(
    told: tuple[PlainStudyDisplay, Clock, io.StringIO],
) -> None:
    display, clock, stream = told
    for clock.now, label, stage, done in (
        (0, "glass 1", "loading", 0),
        (0, "glass 2", "waiting", 0),
        (50, "glass 1", "melt 1500 K", 1),
        (60, "glass 1", "melt 1500 K", 501),
        (71, "glass 1", "melt 1500 K", 1051),
    ):
        display(label, stage, done, 3000)
    assert stream.getvalue().splitlines()[-2:] == [
        "glass 1  melt 1500 K  1/3000 steps    0 %  (study   0 %)",
        "glass 1  melt 1500 K  1051/3000 steps   35 %  50 steps/s  39 s left  (study  18 %  1 min 39 s left)",
    ]


def test_a_change_of_stage_is_told_at_once_and_a_long_stage_every_twenty_seconds(
    told: tuple[PlainStudyDisplay, Clock, io.StringIO],
) -> None:
    display, clock, stream = told
    for second in range(45):
        clock.now = second
        display("glass 1", "melt" if second < 3 else "quench", 10 * second, 1000)
    stages = [line.split()[2] for line in stream.getvalue().splitlines()]
    assert stages == ["melt", "quench", "quench", "quench"]


def test_the_table_has_published_values_only_where_there_are_some(capsys: pytest.CaptureFixture[str]) -> None:
    ours = Estimate(2.5, 0.1, 3, "1")
    print_rows([QuantityRow("zr_o_coordination", ours, "counted")])
    alone = capsys.readouterr().out
    assert "2.50 ± 0.10" in alone
    assert "published" not in alone
    print_rows([QuantityRow("zr_o_coordination", ours, "counted", reference=Reference(2.3, 0.1, "EXAFS"))])
    beside = capsys.readouterr().out
    assert "+1.4" in beside
    assert "EXAFS" in beside
    assert "compatible" in beside
