"""Replicas batched by torch-sim: the forces, the equations of motion, the ensembles and the restarts."""

from __future__ import annotations

import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.md.verlet import VelocityVerlet

from mlsim.composition import Composition
from mlsim.errors import Interrupted, SettingsError
from mlsim.io.structures import write_structure
from mlsim.io.trajectories import TrajectoryRecorder, read_trajectory
from mlsim.melt_quench import hold_schedule, pack
from mlsim.melt_quench.batch import Moment, Replica, run_batch
from mlsim.melt_quench.integrators import draw_momenta, integrator_of
from mlsim.melt_quench.schedule import Segment
from mlsim.units import ASE_TIME_PER_FS, BOLTZMANN_EV_PER_K

if importlib.util.find_spec("torch_sim") is None:
    pytest.skip("batches need torch-sim (Python 3.12 or newer)", allow_module_level=True)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mace  # noqa: F401  before e3nn
    import torch

from mlsim.potential import load
from mlsim.potential.batched import TorchSimDynamics, torch_sim_model

pytestmark = pytest.mark.filterwarnings("ignore")  # torch, warp and e3nn warn about each other's internals


@pytest.fixture(scope="module")
def model():
    return torch_sim_model("lzoc-base", device="cpu", dtype="float64")


@pytest.fixture(scope="module")
def cells() -> list[Atoms]:
    """Packings of two sizes, relaxed a little so that steps of 1 fs are short."""
    from ase.optimize import FIRE

    found = []
    for n, seed in ((38, 1), (76, 2)):
        atoms = pack(Composition.parse("Li3ZrCl4O1.5"), n, density_g_cm3=1.9, seed=seed)
        atoms.calc = load("lzoc-base")
        FIRE(atoms, logfile=None).run(fmax=1.0, steps=40)
        draw_momenta(atoms, 600.0, np.random.default_rng(seed))
        found.append(atoms)
    return found


def moment_of(cells: list[Atoms]) -> Moment:
    n = len(cells)
    positions = np.concatenate([a.positions for a in cells])
    momenta = np.concatenate([a.get_momenta() for a in cells])
    return Moment(positions, momenta, np.zeros(n), np.zeros((n, 3, 3)))


def test_a_batch_feels_what_each_structure_feels_alone(model, cells: list[Atoms]) -> None:
    dynamics = TorchSimDynamics(cells, model)
    dynamics.begin(Segment(kind="hold", temperature_K=600, duration_ps=1), 2.0, np.full(2, 600.0), moment_of(cells))
    moment, forces = dynamics.moment(), np.split(dynamics.state()["forces"], [38])
    alone = load("lzoc-base", device="cpu", dtype="float64", engine="mace")
    for number, atoms in enumerate(cells):
        one = atoms.copy()
        one.calc = alone
        assert moment.energies_eV[number] == pytest.approx(one.get_potential_energy(), abs=1e-9)
        assert np.abs(forces[number] - one.get_forces()).max() < 1e-10
        assert np.abs(moment.stresses_eV_A3[number] - one.get_stress(voigt=False)).max() < 1e-12


def test_without_friction_it_is_velocity_verlet_of_ase(model, cells: list[Atoms]) -> None:
    """Units of time, mass and force: BAOAB without heat bath and velocity Verlet are one map, up to rounding."""
    segment = Segment(kind="hold", temperature_K=600, duration_ps=1, thermostat_time_ps=1e12)
    dynamics = TorchSimDynamics(cells, model)
    dynamics.begin(segment, 1.0, np.full(2, 600.0), moment_of(cells))
    ours = [a.copy() for a in cells]
    calculator = load("lzoc-base", device="cpu", dtype="float64", engine="mace")
    for atoms in ours:
        atoms.calc = calculator
        VelocityVerlet(atoms, ASE_TIME_PER_FS, logfile=None).run(10)
    for _ in range(10):
        dynamics.step(np.full(2, 600.0))
    moved = np.concatenate([a.positions for a in ours])
    assert np.abs(moved - moment_of(cells).positions).max() > 0.05
    assert np.abs(dynamics.moment().positions - moved).max() < 1e-6  # the bath still gives sqrt(dt / tau) ~ 1e-8


def test_the_chain_is_the_chain_of_a_single_run(model, cells: list[Atoms]) -> None:
    """Both are Nosé-Hoover chains of three; ASE's first mass is 3 N kT τ², torch-sim's (3 N - 3) kT τ²: 1/N apart."""
    segment = Segment(kind="hold", temperature_K=300, duration_ps=1, thermostat="nose_hoover", thermostat_time_ps=0.02)
    dynamics = TorchSimDynamics(cells[:1], model)
    dynamics.begin(segment, 0.5, np.array([300.0]), moment_of(cells[:1]))
    atoms = cells[0].copy()
    atoms.calc = load("lzoc-base", device="cpu", dtype="float64", engine="mace")
    single = integrator_of(segment, atoms, 0.5, np.random.default_rng(1))
    free = cells[0].copy()
    free.calc = atoms.calc
    for _ in range(20):
        dynamics.step(np.array([300.0]))
        single.step(300.0)
    VelocityVerlet(free, 0.5 * ASE_TIME_PER_FS, logfile=None).run(20)
    momenta = dynamics.moment().momenta
    away = np.abs(free.get_momenta() - atoms.get_momenta()).max()
    assert away > 0.05  # what the thermostat did in 10 fs
    assert np.abs(momenta - atoms.get_momenta()).max() < 1.2 / len(atoms) * away


class Springs:
    """Model of torch-sim: each atom on a spring of 2 eV/Å2 to where it began."""

    device, dtype = torch.device("cpu"), torch.float64

    def __init__(self, replicas: list[Atoms]) -> None:
        self._home = torch.tensor(np.concatenate([a.positions for a in replicas]))

    def __call__(self, state):
        away = state.positions - self._home
        energy = torch.zeros(state.n_systems, dtype=self.dtype).index_add_(0, state.system_idx, (away**2).sum(1))
        return {"energy": energy, "forces": -2 * away, "stress": torch.zeros(state.n_systems, 3, 3, dtype=self.dtype)}


def gas(n: int) -> Atoms:
    grid = np.stack(np.meshgrid(*[np.arange(n) * 3.0] * 3), -1).reshape(-1, 3)
    return Atoms((["Li", "Cl"] * len(grid))[: len(grid)], grid, cell=[3.0 * n] * 3, pbc=True)


def test_langevin_gives_each_mode_of_each_replica_its_temperature(tmp_path: Path) -> None:
    """<p²/m> and k <x²> are kT; with a friction near critical a sample every 50 fs is independent to a good part."""
    replicas, targets = [gas(3), gas(4), gas(4)], np.array([200.0, 500.0, 900.0])
    dynamics = TorchSimDynamics(replicas, Springs(replicas), seed=4)
    segment = Segment(kind="hold", temperature_K=200, duration_ps=1, thermostat_time_ps=0.03)
    for atoms in replicas:
        atoms.set_momenta(np.zeros((len(atoms), 3)))
    dynamics.begin(segment, 2.0, targets, moment_of(replicas))
    home, masses = moment_of(replicas).positions, np.concatenate([a.get_masses() for a in replicas])[:, None]
    samples = []
    for step in range(1600):
        dynamics.step(targets)
        if step >= 200 and step % 25 == 0:
            moment = dynamics.moment()
            samples.append((moment.momenta**2 / masses, 2 * (moment.positions - home) ** 2))
    kinetic, potential = np.mean(samples, axis=0)
    bounds = np.cumsum([0, *map(len, replicas)])
    for target, first, last in zip(targets, bounds, bounds[1:], strict=False):
        n = 3 * (last - first) * len(samples)
        # variance of x² is 2; neighbouring samples share at most half, so n / 3 are independent
        for part in (kinetic, potential):
            assert abs(part[first:last].mean() / (BOLTZMANN_EV_PER_K * target) - 1) < 4 * np.sqrt(2 * 3 / n)


def test_the_chain_holds_three_n_minus_three_degrees_of_freedom(tmp_path: Path) -> None:
    """The chain's mean of 2 K is kT (3 N - 3); for 8 atoms, 3 N would be 14 % more, what 2.4 ps leave open is 6 %."""
    replicas, targets = [gas(2), gas(3)], np.array([300.0, 700.0])
    for atoms, target in zip(replicas, targets, strict=True):
        draw_momenta(atoms, target, np.random.default_rng(len(atoms)))
    dynamics = TorchSimDynamics(replicas, Springs(replicas))
    segment = Segment(kind="hold", temperature_K=300, duration_ps=1, thermostat="nose_hoover", thermostat_time_ps=0.05)
    dynamics.begin(segment, 2.0, targets, moment_of(replicas))
    masses = np.concatenate([a.get_masses() for a in replicas])[:, None]
    kinetic = []
    for _ in range(1500):
        dynamics.step(targets)
        twice = (dynamics.moment().momenta ** 2 / masses).sum(axis=1)
        kinetic.append([twice[:8].sum(), twice[8:].sum()])
    for target, n, mean in zip(targets, (8, 27), np.mean(kinetic[300:], axis=0), strict=True):
        assert mean / ((3 * n - 3) * BOLTZMANN_EV_PER_K * target) == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("thermostat", ["langevin", "nose_hoover"])
def test_a_batch_stopped_at_every_opportunity_gives_the_bits_of_an_undisturbed_one(
    thermostat: str, tmp_path: Path, cells: list[Atoms]
) -> None:
    batch = [
        Replica(f"{len(a)}-{T}K", a, hold_schedule(T, 0.1, thermostat=thermostat, equilibration_ps=0.02))
        for a, T in zip(cells, (300.0, 800.0), strict=True)
    ]

    def run(folder: Path, stop: bool):
        recorders = [TrajectoryRecorder(folder / r.name, r.atoms.get_chemical_symbols(), 0.01) for r in batch]
        dynamics = TorchSimDynamics(cells, torch_sim_model("lzoc-base", device="cpu"), seed=2)
        common = {"seed": 1, "potential_sha256": "x", "recorders": recorders, "frame_interval_ps": 0.01}
        glasses = run_batch(batch, dynamics, directory=folder, stop=stop, **common)
        for recorder in recorders:
            recorder.finish()
        return glasses

    undisturbed = run(tmp_path / "a", False)
    stops = 0
    while True:
        try:
            stopped = run(tmp_path / "b", True)
            break
        except Interrupted:
            stops += 1
    assert stops == 2  # at steps 20 and 40 of 60
    for replica, one, other in zip(batch, undisturbed, stopped, strict=True):
        assert np.array_equal(one.atoms.positions, other.atoms.positions)
        assert np.array_equal(one.atoms.get_momenta(), other.atoms.get_momenta())
        frames = [read_trajectory(tmp_path / d / replica.name / "trajectory.h5").positions for d in "ab"]
        assert np.array_equal(*frames)


def test_the_command_leaves_what_mlsim_md_would(tmp_path: Path, cells: list[Atoms]) -> None:
    from mlsim.cli import main

    files = []
    for name, atoms in zip(("small", "large"), cells, strict=True):
        files.append(str(tmp_path / f"{name}.extxyz"))
        plain = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
        write_structure(tmp_path / f"{name}.extxyz", plain)
    out = tmp_path / "out"
    options = ["--time-ps", "0.04", "--equilibration-ps", "0.02", "--interval-ps", "0.01", "--device", "cpu"]
    with pytest.raises(SystemExit) as end:
        main(["md-batch", *files, "--temperature-K", "400", "600", *options, "-o", str(out)])
    assert not end.value.code
    for name in ("small-400K", "small-600K", "large-400K", "large-600K"):
        assert {p.name for p in (out / name).iterdir()} == {
            "trajectory.h5",
            "thermo.csv",
            "result.json",
            "glass.extxyz",
        }
        trajectory = read_trajectory(out / name / "trajectory.h5")
        assert trajectory.n_frames == 5 and trajectory.temperature_K == float(name[-4:-1])


def test_a_device_or_file_that_is_not_there_is_one_line() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(SettingsError, match="device cuda asked for, but torch sees no GPU; use cpu"):
            torch_sim_model("lzoc-base", device="cuda")
    with pytest.raises(SettingsError, match="no such file or name"):
        torch_sim_model("lzoc-bse", device="cpu")
