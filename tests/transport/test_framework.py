"""A framework that flows is told from one that rattles, and from one that was not watched for long enough."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from walks import CELL

from mlsim.study.transport_part import _haven, _left_out
from mlsim.trajectory import Trajectory
from mlsim.transport import (
    diffusivities,
    diffusivity,
    fastest_in_framework,
    framework_diffusivities,
    framework_undecided,
    liquid_reason,
    liquids_to_leave_out,
)


def salt(rng, d_cl, n_frames=600):
    lithium = np.cumsum(rng.normal(0, np.sqrt(2 * 0.1), (n_frames, 20, 3)), axis=0)
    chlorine = np.cumsum(rng.normal(0, np.sqrt(2 * d_cl), (n_frames, 30, 3)), axis=0)
    positions = np.concatenate([lithium, chlorine, np.zeros((n_frames, 10, 3))], axis=1)
    positions += rng.normal(0, 0.2, positions.shape)
    return Trajectory(positions, CELL, ("Li",) * 20 + ("Cl",) * 30 + ("Zr",) * 10, 1.0, 700.0)


def test_chlorine_that_flows_makes_a_liquid():
    found = framework_diffusivities([salt(np.random.default_rng(0), 0.03)], "Li")
    assert [d.label for d in found] == ["Cl", "Zr"]
    reason = liquid_reason(found)
    assert reason.startswith("Cl diffuses as well (")
    assert reason.endswith(" cm2/s): a liquid on the time scale of these runs")
    assert not framework_undecided(found, diffusivity([salt(np.random.default_rng(0), 0.03)], "Li"))


def test_a_framework_at_rest_is_no_liquid_and_decided_once_its_bound_is_low():
    for n_frames, open_yet in ((600, False), (30, True)):
        run = [salt(np.random.default_rng(1), 0.0, n_frames)]
        found = framework_diffusivities(run, "Li")
        assert liquid_reason(found) is None
        assert framework_undecided(found, diffusivity(run, "Li")) is open_yet


def test_the_fastest_of_the_framework_is_measured_where_it_flows_and_bounded_where_it_rests():
    flowing, resting = ([salt(np.random.default_rng(5), d)] for d in (0.03, 0.0))
    label, ratio, bounded = fastest_in_framework(framework_diffusivities(flowing, "Li"), diffusivity(flowing, "Li"))
    assert (label, bounded) == ("Cl", False) and ratio == pytest.approx(0.3, rel=0.2)  # 0.03 against 0.1
    still, lithium = framework_diffusivities(resting, "Li"), diffusivity(resting, "Li")
    label, bound, bounded = fastest_in_framework(still, lithium)
    assert label in ("Cl", "Zr") and 0 < bound < 0.05 and bounded
    assert fastest_in_framework([], lithium) is None
    assert fastest_in_framework([still[0], replace(still[1], upper_bound_cm2_s=None)], lithium) is None
    hidden = replace(still[0], upper_bound_cm2_s=0.5 * lithium.diffusivity.value)  # may be faster than what is seen
    seen = replace(still[1], diffusive=True, diffusivity=replace(lithium.diffusivity, value=1e-9))
    assert fastest_in_framework([hidden, seen], lithium) == ("Cl", pytest.approx(0.5), True)


def test_a_cell_of_the_mobile_ion_only_has_no_framework():
    lone = Trajectory(np.zeros((50, 3, 3)), CELL, ("Li",) * 3, 1.0, 700.0)
    assert framework_diffusivities([lone], "Li") == []
    assert liquid_reason([]) is None


@pytest.mark.parametrize(
    ("flowing", "asked", "left_out", "said"),
    [
        ((800.0,), False, {800.0}, 0),
        ((700.0, 800.0), False, set(), 1),  # one temperature is no line
        ((800.0,), True, set(), 0),
        ((), False, set(), 0),
    ],
)
def test_a_study_leaves_the_liquid_out_as_long_as_a_line_remains(flowing, asked, left_out, said):
    moving = [salt(np.random.default_rng(2), 0.03)]
    lithium, still = diffusivity(moving, "Li"), framework_diffusivities([salt(np.random.default_rng(3), 0.0)], "Li")
    liquid = framework_diffusivities(moving, "Li")
    kelvins = (600.0, 700.0, 800.0)
    settings = SimpleNamespace(transport=SimpleNamespace(include_above_glass_transition=asked))
    others = {t: liquid if t in flowing else still for t in kelvins}
    found, notes = _left_out(dict.fromkeys(kelvins, lithium), others, settings)
    assert set(found) == left_out
    assert len(notes) == said


@pytest.mark.parametrize(
    ("line", "liquid", "hottest"),
    [
        ((600.0, 700.0), (800.0,), 700.0),  # the hottest of the line, though a liquid gives one as well
        ((), (800.0,), 700.0),  # no line: the hottest of the glass
        ((600.0, 700.0, 800.0), (), 800.0),
        ((), (600.0, 700.0, 800.0), 800.0),
    ],
)
def test_the_haven_ratio_of_a_study_is_that_of_the_hottest_point_of_the_line(line, liquid, hottest):
    pair = diffusivities([salt(np.random.default_rng(4), 0.0)], "Li")
    row = _haven(dict.fromkeys((600.0, 700.0, 800.0), pair), line, liquid)
    assert row.temperature_K == hottest
    assert row.method.endswith("; a liquid there") is (hottest in liquid)


def test_a_liquid_is_left_out_unless_fewer_than_two_temperatures_would_be_left():
    run = [salt(np.random.default_rng(0), 0.03)]
    points = [diffusivity(run, "Li", temperature_K=t) for t in (500.0, 600.0, 700.0)]
    assert all(point.diffusive for point in points)
    assert liquids_to_leave_out(points, {}) == ({}, None)
    assert liquids_to_leave_out(points, {700.0: "Cl"}) == ({700.0: "Cl"}, None)
    left_out, note = liquids_to_leave_out(points, {600.0: "Cl", 700.0: "Cl"})
    assert left_out == {} and note is not None and "fewer than two" in note
    assert liquids_to_leave_out(points[2:], {700.0: "Cl"}) == ({700.0: "Cl"}, None)  # one temperature has no line
