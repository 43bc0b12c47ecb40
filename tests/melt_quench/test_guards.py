"""Runs that go wrong end with a reason, and answers that a run gives besides its structure."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.constraints import FixAtoms
from ase.io import read
from toys import ListRecorder, PairLiquid, Piston, argon

from mlsim.errors import DataError, NotConverged, SettingsError
from mlsim.melt_quench import Limits, Schedule, Segment, guards, run_schedule
from mlsim.units import G_CM3_PER_U_A3

HOLD = Schedule(segments=(Segment(name="hold", kind="hold", temperature_K=300, duration_ps=2),))


class Faulty(Calculator):
    """Ideal gas until call `after` (two of them warm up), then whatever `fault` makes of the results."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, fault, after=32):
        super().__init__()
        self.fault, self.after, self.calls = fault, after, 0

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        self.calls += 1
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}
        if self.calls > self.after:
            self.fault(self.results, atoms)


def failure(calculator, directory, schedule=HOLD, start=None):
    with pytest.raises(NotConverged) as caught:
        run_schedule(
            start if start is not None else argon(),
            schedule,
            calculator,
            directory=directory,
            seed=1,
            potential_sha256="toy",
            checkpoint_interval_s=0,
        )
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["energy", "forces", "stress"])
def test_values_that_are_not_finite_stop_the_run_and_leave_the_checkpoint(name, tmp_path):
    def fault(results, atoms):
        results[name] = results[name] + np.nan

    message = failure(Faulty(fault), tmp_path)
    assert message.startswith(f"{tmp_path}: hold 300 K, step 30: energy ")
    assert "expected finite energy, forces and stress; the potential fails here" in message
    assert (tmp_path / "checkpoint.npz").exists()


def test_a_temperature_that_runs_away_stops_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(guards, "OVERLAP_EVERY", 10**9)
    noise = np.random.default_rng(0)

    def fault(results, atoms):
        results["forces"] = 4.0 * noise.standard_normal((len(atoms), 3))

    message = failure(Faulty(fault), tmp_path)
    assert "K for 0.2 ps, expected 300 K; the potential fails here or the time step is too long" in message


def test_a_short_heat_spike_does_not_stop_the_run(tmp_path):
    """A packing that relaxes is hot for less than the guard's patience."""
    start = argon(lattice=7.0)

    def kick(results, atoms):
        results["forces"] = np.where(np.arange(len(atoms))[:, None] % 2, 8.0, -8.0) * np.ones(3)

    class Once(Faulty):
        def calculate(self, atoms=None, properties=None, system_changes=all_changes):
            super().calculate(atoms, properties, system_changes)
            if self.calls > self.after + 3:
                self.results["forces"][:] = 0

    segment = Segment(kind="hold", temperature_K=300, duration_ps=0.2, thermostat_time_ps=0.03)
    calculator = Once(kick)
    glass = run_schedule(
        start,
        Schedule(segments=(segment,), log_interval_ps=0.002),
        calculator,
        directory=tmp_path,
        seed=1,
        potential_sha256="x",
    )
    assert glass.log.temperature_K.max() > 1500


def test_atoms_that_fall_into_each_other_stop_the_run(tmp_path):
    start = argon()
    start.positions[1] = start.positions[0] + [0.8, 0, 0]
    message = failure(Piston(), tmp_path, start=start)
    assert "Ar 0 and Kr 1 at 0." in message or "Kr 1 and Ar 0 at 0." in message
    assert "Å, expected at least 1.00 Å; the potential fails here" in message


def test_a_cell_that_evaporates_stops_the_run(tmp_path):
    gas = Schedule(segments=(Segment(kind="hold", ensemble="npt", temperature_K=300, duration_ps=50),))
    message = failure(Piston(), tmp_path, gas)
    assert "of that at the start, expected 0.4 to 2.5; the cell evaporates: hold its volume there" in message


def test_a_calculator_without_stress_is_refused(tmp_path):
    class ForcesOnly(Faulty):
        implemented_properties = ("energy", "forces")

    with pytest.raises(SettingsError, match="calculator ForcesOnly: gives no stress; molecular dynamics needs it"):
        run_schedule(argon(), HOLD, ForcesOnly(None), directory=tmp_path, seed=1, potential_sha256="toy")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda a: a.set_pbc([1, 1, 0]), SettingsError, "run: the start is periodic along [True, True, False], expec"),
        (lambda a: a.set_constraint(FixAtoms([0])), SettingsError, "run: the start has constraints"),
        (lambda a: a.positions.__setitem__(0, np.nan), DataError, "run: positions or cell of the start are not finite"),
        (lambda a: a.set_cell(np.zeros((3, 3))), DataError, "run: the cell of the start has no volume"),
        (lambda a: a.__delitem__(slice(None)), SettingsError, "run: the start has no atoms"),
    ],
)
def test_impossible_starts_are_refused(change, error, message, tmp_path):
    start = argon()
    change(start)
    with pytest.raises(error) as caught:
        run_schedule(start, HOLD, PairLiquid(), directory=tmp_path, seed=1, potential_sha256="toy")
    assert str(caught.value).startswith(message)


def test_a_frame_interval_that_is_no_multiple_of_the_step_is_refused(tmp_path):
    options = {"directory": tmp_path, "seed": 1, "potential_sha256": "toy"}
    message = "run: frame_interval_ps is 0.005, expected a multiple of the time step 0.002 ps; use 0.004"
    with pytest.raises(SettingsError, match=message):
        run_schedule(argon(), HOLD, PairLiquid(), recorder=ListRecorder(), frame_interval_ps=0.005, **options)
    with pytest.raises(SettingsError, match="recorder and frame_interval_ps belong together"):
        run_schedule(argon(), HOLD, PairLiquid(), recorder=ListRecorder(), **options)


def test_an_ideal_gas_moves_by_its_thermal_speed_per_time(tmp_path):
    """Mean displacement per element without friction: <|v|> t = t sqrt(8 kT / (pi m)); here heavy friction lowers it
    nowhere near enough to notice, since the friction time is 1000 times longer than the run."""
    hold = Segment(kind="hold", temperature_K=300, duration_ps=0.2, thermostat_time_ps=200)
    start = argon(4, lattice=9.0)
    glass = run_schedule(
        start, Schedule(segments=(hold,)), Piston(), directory=tmp_path, seed=1, potential_sha256="toy"
    )
    speed = np.sqrt(8 * 8.314462618 * 300 / (np.pi * 39.948e-3)) * 1e-2  # m/s to Å/ps
    moved = glass.melt_displacement_A
    assert set(moved) == {"Ar", "Kr"}
    assert np.mean(list(moved.values())) == pytest.approx(0.2 * speed, rel=0.08)


def test_density_is_that_of_the_second_half_of_the_last_hold_at_constant_pressure(tmp_path):
    hold = {"kind": "hold", "temperature_K": 60, "duration_ps": 0.4}
    schedule = Schedule(
        log_interval_ps=0.02,
        segments=(Segment(**hold), Segment(ensemble="npt", **hold), Segment(**hold)),
    )
    glass = run_schedule(argon(), schedule, PairLiquid(), directory=tmp_path, seed=1, potential_sha256="toy")
    volumes = glass.log.volume_A3[(glass.log.time_ps > 0.601) & (glass.log.time_ps < 0.801)]
    expected = 32 * 39.948 / volumes.mean() * G_CM3_PER_U_A3
    assert len(volumes) == 10 and glass.density_g_cm3 == pytest.approx(expected, rel=1e-12)
    cold = run_schedule(argon(), HOLD, PairLiquid(), directory=tmp_path / "b", seed=1, potential_sha256="toy")
    assert cold.density_g_cm3 == pytest.approx(32 * 39.948 / 11.0**3 * G_CM3_PER_U_A3)


COLD = Schedule(segments=(Segment(kind="hold", temperature_K=20, duration_ps=0.2),), log_interval_ps=0.02)


class Committee(Faulty):
    """Ideal gas whose members disagree by 0.1 eV/Å, after call `after` by 3 eV/Å on atom 5."""

    cutoff_A = 2.0

    def __init__(self, after=60):
        super().__init__(lambda results, atoms: None, after)

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms)
        spread = np.zeros((len(atoms), 3))
        spread[2] = [0.06, 0.08, 0.0]
        if self.calls > self.after:
            spread[5] = [0.0, -3.0, 0.0]
        self.results["forces_std"] = spread


def test_a_committee_that_disagrees_too_much_stops_the_run_and_leaves_the_structure(tmp_path):
    with pytest.raises(NotConverged) as caught:
        run_schedule(
            argon(),
            COLD,
            Committee(),
            directory=tmp_path,
            seed=1,
            potential_sha256="toy",
            checkpoint_interval_s=0,
            limits=Limits(committee_stop_eV_A=1.0, committee_from_ps=0),
        )
    assert "the committee disagrees by 3.00 eV/Å on the force of Kr 5, allowed 1; label this structure" in str(
        caught.value
    )
    stopped = read(tmp_path / "stopped.extxyz")
    assert len(stopped) == 32 and (tmp_path / "checkpoint.npz").exists()
    glass = run_schedule(argon(), COLD, Committee(10**9), directory=tmp_path, seed=1, potential_sha256="toy")
    assert len(glass.log) == 11


def test_a_committee_that_disagrees_a_little_warns_once_and_is_recorded(tmp_path):
    recorder = ListRecorder()
    with pytest.warns(UserWarning, match=r"disagrees by 3\.00 eV/Å on the force of Kr 5, above 1; said once") as found:
        glass = run_schedule(
            argon(),
            COLD,
            Committee(),
            directory=tmp_path,
            seed=1,
            potential_sha256="toy",
            recorder=recorder,
            frame_interval_ps=0.02,
            limits=Limits(committee_warn_eV_A=1.0, committee_from_ps=0),
        )
    assert len(found) == 1
    assert glass.log.committee_deviation_eV_A[0] == pytest.approx(0.1)
    assert glass.log.committee_deviation_eV_A[-1] == pytest.approx(3.0)
    assert [f.committee_deviation_eV_A for f in recorder.durable[::10]] == pytest.approx([0.1, 3.0])


def test_a_single_potential_has_no_deviation(tmp_path):
    glass = run_schedule(argon(), COLD, Piston(), directory=tmp_path, seed=1, potential_sha256="toy")
    assert np.isnan(glass.log.committee_deviation_eV_A).all()


def test_a_glass_that_crystallises_stops_the_run(tmp_path):
    crystal = bulk("LiCl", "rocksalt", 5.13, cubic=True) * (2, 2, 2)
    cold = Schedule(segments=(Segment(kind="hold", temperature_K=5, duration_ps=0.2),))
    options = {"directory": tmp_path, "seed": 1, "potential_sha256": "toy"}
    with pytest.raises(
        NotConverged, match=r"100 % of the atoms are in rocksalt LiCl \(largest domain 64\), allowed 50 %"
    ):
        run_schedule(
            crystal, cold, Piston(), limits=Limits(rocksalt_stop_fraction=0.5, rocksalt_interval_ps=0.1), **options
        )


def test_a_thin_cell_is_named(tmp_path):
    short = Schedule(segments=(Segment(kind="hold", temperature_K=30, duration_ps=0.02),))
    potential = Piston()
    potential.cutoff_A = 6.0
    with pytest.warns(
        UserWarning, match=r"the cell is 11\.00 Å thin, less than twice the cut-off of 6 Å: an atom feels"
    ):
        run_schedule(argon(), short, potential, directory=tmp_path, seed=1, potential_sha256="toy")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"committee_stop_eV_A": -1.0}, "limits: committee_stop_eV_A is -1.0, expected a positive number"),
        (
            {"committee_warn_eV_A": 2.0, "committee_stop_eV_A": 1.0},
            "limits: committee_warn_eV_A 2 is above committee_s",
        ),
    ],
)
def test_impossible_limits_are_refused(given, message):
    with pytest.raises(SettingsError, match=message):
        Limits(**given)
