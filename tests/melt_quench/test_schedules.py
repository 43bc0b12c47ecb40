"""Schedules as data."""

from __future__ import annotations

import pytest

from mlsim.errors import SettingsError
from mlsim.melt_quench import Schedule, Segment, hold_schedule, production_schedule, quick_schedule

YAML = """
name: mine
segments:
  - {name: melt, kind: hold, temperature_K: 1500, duration_ps: 2}
  - {name: quench, kind: ramp, ensemble: npt, from_K: 1500, to_K: 300, rate_K_per_ps: 100, pressure_GPa: 1e-4}
"""


def complaint(text, where="quench.yaml"):
    with pytest.raises(SettingsError) as caught:
        Schedule.from_yaml_text(text, where)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_yaml_gives_segments_with_their_steps():
    schedule = Schedule.from_yaml_text(YAML, "quench.yaml")
    assert schedule.segment_steps == (1000, 6000)
    assert schedule.n_steps == 7000 and schedule.total_ps == pytest.approx(14.0)
    assert [s.title for s in schedule.segments] == ["melt 1500 K", "quench 1500 to 300 K"]
    assert schedule.segments[1].pressure_GPa == 1e-4


def test_a_ramp_is_linear_in_time():
    ramp = Segment(kind="ramp", from_K=1000, to_K=400, duration_ps=3)
    assert [ramp.temperature_at(f) for f in (0, 0.25, 1)] == [1000, 850, 400]


@pytest.mark.parametrize("schedule", [quick_schedule(), production_schedule(), hold_schedule(500, 3, "npt")])
def test_yaml_round_trip_is_exact(schedule):
    again = Schedule.from_yaml_text(schedule.to_yaml_text(), "again")
    assert again == schedule and again.sha256 == schedule.sha256


def test_hash_tells_schedules_apart():
    assert hold_schedule(500, 3).sha256 != hold_schedule(500, 4).sha256
    assert hold_schedule(500, 3).sha256 == hold_schedule(500, 3).sha256


def test_quick_takes_as_many_steps_as_its_docstring_says():
    assert quick_schedule().n_steps == 33_000


@pytest.mark.parametrize("schedule", [quick_schedule(), production_schedule()])
def test_shipped_schedules_end_with_a_recorded_hold_at_ambient_conditions(schedule):
    last = schedule.segments[-1]
    assert (last.kind, last.ensemble, last.temperature_K, last.pressure_GPa) == ("hold", "npt", 300, 1e-4)
    assert [s.record for s in schedule.segments[:-1]] == [False] * (len(schedule.segments) - 1) and last.record


def test_production_quenches_at_5_K_per_ps_or_slower():
    assert all(s.rate_K_per_ps <= 5 for s in production_schedule().segments if s.kind == "ramp")


def test_transport_runs_undamped_after_a_damped_equilibration():
    before, recorded = hold_schedule(700, 20, equilibration_ps=2).segments
    assert (before.thermostat, before.record) == ("langevin", False)
    assert (recorded.thermostat, recorded.record) == ("nose_hoover", True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "temperature_K: 1500",
            "temperture_K: 1500",
            "quench.yaml: unknown key 'temperture_K' in segments[0]; did you mean 'temperature_K'?",
        ),
        ("segments:", "segmnts:", "quench.yaml: unknown key 'segmnts'; did you mean 'segments'?"),
        ("name: mine", "nam: mine", "quench.yaml: unknown key 'nam'; did you mean 'name'?"),
        ("duration_ps: 2}", "duration_ps: 2, duration_ps: 3}", "quench.yaml: line 4: key 'duration_ps' given twice"),
        ("temperature_K: 1500, ", "", "quench.yaml: segments[0]: a hold needs temperature_K"),
        ("duration_ps: 2", "duration_ps: -2", "quench.yaml: segments[0].duration_ps: got -2, expected greater"),
        ("rate_K_per_ps: 100", "rate_K_per_ps: -100", "quench.yaml: segments[1].rate_K_per_ps: got -100, expected"),
        (
            "rate_K_per_ps: 100",
            "rate_K_per_ps: 100, duration_ps: 3",
            "quench.yaml: segments[1]: a ramp needs exactly one of duration_ps and rate_K_per_ps",
        ),
        (
            "from_K: 1500",
            "from_K: 1200",
            "quench.yaml: segments[0] ends at 1500 K but segments[1] begins at 1200 K; put a ramp between them",
        ),
        ("to_K: 300", "to_K: 1500", "quench.yaml: segments[1]: a ramp from 1500 K to the same temperature"),
        ("ensemble: npt", "ensemble: nvt", "quench.yaml: segments[1]: pressure_GPa has no meaning at constant volume"),
        ("kind: hold", "kind: hold, from_K: 3", "quench.yaml: segments[0]: a hold takes no from_K"),
        ("kind: hold", "kind: keep", "quench.yaml: segments[0].kind: got 'keep', expected 'hold'"),
        ("name: mine", "timestep_fs: 6", "quench.yaml: timestep_fs: got 6, expected less than"),
        ("name: mine", "name: {", "quench.yaml: line 4, column 3: expected the node content, but found '-'"),
    ],
)
def test_mistakes_in_yaml_are_named_with_file_and_key(old, new, message):
    assert old in YAML
    assert complaint(YAML.replace(old, new, 1)).startswith(message)


def test_texts_that_hold_no_schedule_are_refused():
    assert complaint("- 1") == "quench.yaml: expected a mapping with 'segments', got list"
    assert complaint("name: x") == "quench.yaml: 'segments' is missing"
    assert complaint("segments: []").startswith("quench.yaml: segments: got [], expected ")


def test_impossible_holds_are_refused():
    with pytest.raises(SettingsError, match=r"hold schedule: segments\[0\]\.temperature_K: got -5"):
        hold_schedule(-5, 3)
