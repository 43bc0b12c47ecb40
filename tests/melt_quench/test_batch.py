"""Batches: the loop over replicas with a toy that moves them, so that it needs neither torch nor a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from mlsim.cli import main
from mlsim.errors import Interrupted, NotConverged, SettingsError
from mlsim.io.trajectories import TrajectoryRecorder, read_trajectory
from mlsim.melt_quench import hold_schedule
from mlsim.melt_quench.batch import Moment, Replica, run_batch
from mlsim.melt_quench.schedule import Schedule
from mlsim.units import ASE_TIME_PER_FS, ASE_TIME_PER_PS, BOLTZMANN_EV_PER_K

SPRING = 2.0  # eV/Å2
INTERVAL_PS = 0.02


class Springs:
    """Each atom on a spring to where it began: BAOAB, and velocity Verlet instead of Nosé-Hoover."""

    def __init__(self, replicas: list[Replica], seed: int = 1, heat: float = 1.0) -> None:
        self.home = np.concatenate([r.atoms.positions for r in replicas])
        self.masses = np.concatenate([r.atoms.get_masses() for r in replicas])[:, None]
        self.owner = np.repeat(np.arange(len(replicas)), [len(r.atoms) for r in replicas])
        self.generator = np.random.default_rng(seed)
        self.heat = heat  # factor on the momenta of the last replica at each step

    def begin(self, segment, timestep_fs, temperatures_K, moment):
        self.dt, self.langevin = timestep_fs * ASE_TIME_PER_FS, segment.thermostat == "langevin"
        self.kept = np.exp(-self.dt / (segment.thermostat_time_ps * ASE_TIME_PER_PS))
        if moment is not None:
            self.x, self.p = moment.positions.copy(), moment.momenta.copy()

    def step(self, temperatures_K):
        kT = (BOLTZMANN_EV_PER_K * temperatures_K)[self.owner][:, None]
        self.p = self.p - SPRING * (self.x - self.home) * self.dt / 2
        self.x = self.x + self.p / self.masses * self.dt / 2
        if self.langevin:
            noise = self.generator.standard_normal(self.p.shape)
            self.p = self.kept * self.p + np.sqrt(kT * self.masses * (1 - self.kept**2)) * noise
        self.x = self.x + self.p / self.masses * self.dt / 2
        self.p = self.p - SPRING * (self.x - self.home) * self.dt / 2
        self.p[self.owner == self.owner[-1]] *= self.heat

    def moment(self):
        each = SPRING / 2 * ((self.x - self.home) ** 2).sum(axis=1)
        energies = np.bincount(self.owner, weights=each)
        return Moment(self.x.copy(), self.p.copy(), energies, np.zeros((len(energies), 3, 3)))

    def state(self):
        words = self.generator.bit_generator.state["state"]
        numbers = [words[k] >> s & 0xFFFFFFFFFFFFFFFF for k in ("state", "inc") for s in (0, 64)]
        return {"x": self.x, "p": self.p, "words": np.array(numbers, dtype=np.uint64)}

    def restore(self, segment, timestep_fs, state):
        self.begin(segment, timestep_fs, None, None)
        self.x, self.p = state["x"], state["p"]
        a, b, c, d = (int(w) for w in state["words"])
        full = self.generator.bit_generator.state
        full["state"] = {"state": a | b << 64, "inc": c | d << 64}
        self.generator.bit_generator.state = full


def two_sizes() -> dict[str, Atoms]:
    found = {}
    for name, n in (("small", 3), ("large", 4)):
        grid = np.stack(np.meshgrid(*[np.arange(n) * 3.0] * 3), -1).reshape(-1, 3)
        found[name] = Atoms(
            ["Li", "Cl"] * (len(grid) // 2) + ["Li"] * (len(grid) % 2), grid, cell=[3.0 * n] * 3, pbc=True
        )
    return found


def replicas_at(*temperatures: float, time_ps: float = 0.4) -> list[Replica]:
    return [
        Replica(f"{name}-{T:g}K", atoms, hold_schedule(T, time_ps, equilibration_ps=0.1))
        for name, atoms in two_sizes().items()
        for T in temperatures
    ]


def recorders_of(folder: Path, replicas: list[Replica]) -> list[TrajectoryRecorder]:
    return [
        TrajectoryRecorder(folder / r.name, r.atoms.get_chemical_symbols(), INTERVAL_PS, r.schedule.segments[-1].end_K)
        for r in replicas
    ]


def run(folder: Path, replicas: list[Replica], stop=None, every_s: float = 30.0, **toy):
    recorders = recorders_of(folder, replicas)
    glasses = run_batch(
        replicas,
        Springs(replicas, **toy),
        directory=folder,
        seed=3,
        potential_sha256="toy",
        recorders=recorders,
        frame_interval_ps=INTERVAL_PS,
        stop=stop,
        checkpoint_interval_s=every_s,
    )
    for recorder in recorders:
        recorder.finish()
    return glasses


def test_a_batch_stopped_at_every_opportunity_gives_the_bits_of_an_undisturbed_one(tmp_path: Path) -> None:
    replicas = replicas_at(300.0, 900.0)
    undisturbed = run(tmp_path / "a", replicas)
    stops = 0
    while True:
        try:
            stopped = run(tmp_path / "b", replicas, stop=True, seed=1)
            break
        except Interrupted as error:
            stops += 1
            assert "the same command goes on from there" in str(error)
    assert stops == 250 // 20
    for replica, one, other in zip(replicas, undisturbed, stopped, strict=True):
        assert np.array_equal(one.atoms.positions, other.atoms.positions)
        assert np.array_equal(one.atoms.get_momenta(), other.atoms.get_momenta())
        assert np.array_equal(one.log.potential_energy_eV, other.log.potential_energy_eV)
        frames = [read_trajectory(tmp_path / d / replica.name / "trajectory.h5") for d in "ab"]
        assert np.array_equal(frames[0].positions, frames[1].positions)
        # recording begins where the equilibration ends: 0.4 ps in steps of 0.02, both ends included
        assert frames[0].n_frames == 21 and frames[0].temperature_K == replica.schedule.segments[-1].end_K


def test_each_replica_has_its_own_temperature(tmp_path: Path) -> None:
    """Mean over a hold of 2 ps in the canonical ensemble; tolerance 5 sigma of n / 2 samples per mode and ps."""
    atoms = two_sizes()["large"]
    segment = {"kind": "hold", "duration_ps": 4.0, "thermostat_time_ps": 0.05}
    replicas = [
        Replica(f"{T}K", atoms, Schedule.from_data({"segments": [{**segment, "temperature_K": T}]}, "test"))
        for T in (200, 400, 800)
    ]
    for glass, target in zip(run(tmp_path, replicas), (200, 400, 800), strict=True):
        late = glass.log.temperature_K[len(glass.log) // 4 :]
        independent = 3 * len(atoms) * 3.0 / (2 * 0.05) / 2  # modes times correlation times
        assert abs(late.mean() / target - 1) < 5 * np.sqrt(2 / independent)


def test_a_replica_that_goes_wrong_is_named_and_its_structure_kept(tmp_path: Path) -> None:
    replicas = replicas_at(300.0, 500.0, time_ps=1.2)
    with pytest.raises(NotConverged, match=r"large-500K: .* temperature \d+ K for 0\.2 ps, expected 500 K; .* stays"):
        run(tmp_path, replicas, heat=1.004, every_s=0.0)
    assert len(read(tmp_path / "large-500K" / "stopped.extxyz")) == 64
    assert (tmp_path / "checkpoint.npz").exists()


def test_other_settings_are_refused_with_the_difference(tmp_path: Path) -> None:
    run(tmp_path, replicas_at(300.0))
    with pytest.raises(SettingsError, match=r"made with other settings: .*temperature_K was 300.*is 310"):
        replicas = [Replica(r.name.replace("310", "300"), r.atoms, r.schedule) for r in replicas_at(310.0)]
        run(tmp_path, replicas)


def test_what_cannot_move_together_is_refused(tmp_path: Path) -> None:
    one, *_ = replicas_at(300.0)
    free = hold_schedule(300.0, 0.4, "npt", equilibration_ps=0.1)
    for others, message in (
        ([one, one], "two replicas are called 'small-300K'"),
        (
            [Replica("b", one.atoms, free)],
            "b: its schedule relaxes or has constant pressure; batches run at constant v",
        ),
        ([one, Replica("b", one.atoms, hold_schedule(300.0, 1.0))], "b: its schedule differs from that of small-300K"),
        ([], "batch: has no replicas"),
    ):
        with pytest.raises(SettingsError, match=message):
            run_batch(
                others,
                Springs(others) if others else None,
                directory=tmp_path,
                seed=1,
                potential_sha256="toy",
                recorders=[None] * len(others),
                frame_interval_ps=INTERVAL_PS,
            )


def test_without_torch_sim_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as end:
        main(["md-batch", "a.extxyz", "--temperature-K", "600", "700", "--time-ps", "1", "-o", str(tmp_path / "out")])
    assert end.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("error: batches need ") and "torch-sim: pip install 'mlsim[batch]'" in line
    assert not (tmp_path / "out").exists()


def test_folders_are_named_so_that_none_is_used_twice(tmp_path: Path) -> None:
    from mlsim.cli.batch import _names

    assert _names([Path("a.extxyz"), Path("b.extxyz")]) == ["a", "b"]
    assert _names([Path("/x/g1/glass.extxyz"), Path("/x/g2/glass.extxyz")]) == ["g1-glass", "g2-glass"]
    assert _names([Path("/x/g/glass.extxyz"), Path("/y/g/glass.extxyz")]) == ["1-g-glass", "2-g-glass"]
