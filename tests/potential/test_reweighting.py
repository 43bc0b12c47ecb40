"""g(r) of an ensemble that was never sampled, and equations of state on labelled frames."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator

from mlsim.errors import DataError, NotConverged
from mlsim.potential.crystal_properties import volume_checks
from mlsim.potential.reweighting import canonical_chains, distribution_check, ensemble_weights
from mlsim.potential.stability import energy_drift

STIFFNESS = 2.0  # eV/Å2


def test_weights_turn_one_harmonic_ensemble_into_another() -> None:
    temperature = 600.0
    width = np.sqrt(units.kB * temperature / STIFFNESS)
    x = np.random.default_rng(1).normal(0, width, 40_000)
    weights = ensemble_weights(STIFFNESS * x**2 + 7.0, STIFFNESS * x**2 / 2, temperature)
    assert weights.sum() == pytest.approx(1)
    # twice the stiffness, half the variance; the variance of a Gaussian is known to sqrt(2/n) of n effective frames
    effective = 1 / (weights**2).sum()
    assert (weights * x**2).sum() == pytest.approx(width**2 / 2, rel=4 * np.sqrt(2 / effective))


def trajectory(n_frames: int, teacher: LennardJones, sampler: LennardJones) -> list[Atoms]:
    rng = np.random.default_rng(2)
    frames = []
    for _ in range(n_frames):
        atoms = Atoms("LiCl", positions=[(0, 0, 0), (2.2 + 0.05 * rng.normal(), 0, 0)], cell=[9] * 3, pbc=True)
        atoms.calc = sampler
        atoms.info.update(chain="c", temperature_K=900.0, sampler_energy_eV=float(atoms.get_potential_energy()))
        atoms.calc = teacher
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=forces)
        frames.append(atoms)
    return frames


def test_the_teacher_itself_gives_the_teachers_distribution_and_another_does_not() -> None:
    near, far = LennardJones(sigma=2.0, epsilon=0.05), LennardJones(sigma=2.1, epsilon=0.5)
    frames = trajectory(60, teacher=near, sampler=near)
    same = distribution_check(frames, near)
    assert same.n_frames == 60
    assert same.effective_frames == pytest.approx((60, 60))
    assert max(same.chi_squared_per_point().values()) == 0
    other = distribution_check(frames, far)
    assert other.effective_frames[1] < 60
    assert max(other.chi_squared_per_point().values()) > 1


def test_frames_that_share_nothing_with_the_teachers_ensemble_are_refused() -> None:
    near, far = LennardJones(sigma=2.0, epsilon=0.05), LennardJones(sigma=2.2, epsilon=50.0)
    with pytest.raises(DataError, match=r"30 reweighted frames are worth 1.*, expected at least 5"):
        distribution_check(trajectory(30, teacher=far, sampler=near), near)


def test_a_chain_counts_only_with_many_frames_of_one_temperature() -> None:
    lj = LennardJones()
    frames = trajectory(20, lj, lj)
    mixed = trajectory(20, lj, lj)
    mixed[3].info["temperature_K"] = 300.0
    assert list(canonical_chains({"good": frames, "short": frames[:5], "mixed": mixed})) == ["good"]


def copper(strain: float, factor: float) -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.6 * (1 + strain))
    atoms.calc = EMT()
    atoms.info.update(crystal="Cu", linear_strain=strain)
    atoms.calc = SinglePointCalculator(
        atoms, energy=factor * atoms.get_potential_energy(), forces=factor * atoms.get_forces()
    )
    return atoms


def test_an_equation_of_state_gives_lattice_constant_and_bulk_modulus_of_both_sides() -> None:
    frames = [copper(s, factor=2.0) for s in np.linspace(-0.02, 0.02, 5)]
    (check,) = volume_checks(frames, EMT())
    assert (check.name, check.n_frames) == ("Cu", 5)
    assert check.scale * 3.6 == pytest.approx(3.59, abs=0.005)  # EMT's own lattice constant
    assert check.scale_of_teacher == pytest.approx(check.scale, rel=1e-4)
    assert check.bulk_modulus_of_teacher_GPa == pytest.approx(2 * check.bulk_modulus_GPa, rel=1e-3)
    assert check.bulk_modulus_GPa == pytest.approx(134, rel=0.05)  # ASE's documentation of EMT


def test_volumes_far_from_the_least_energy_are_refused() -> None:
    frames = [copper(s, factor=1.0) for s in np.linspace(0.06, 0.09, 5)]
    with pytest.raises(NotConverged, match="equation of state of Cu: no minimum of the energy near the frames"):
        volume_checks(frames, EMT())


def test_volumes_on_several_k_point_grids_give_no_equation_of_state() -> None:
    frames = [copper(s, factor=1.0) for s in np.linspace(-0.02, 0.02, 5)]
    for frame, grid in zip(frames, ("2x2x2",) * 4 + ("1x1x2",), strict=True):
        frame.info["kpoints"] = grid
    with pytest.raises(NotConverged, match="equation of state of Cu: k-point grids 1x1x2 and 2x2x2, expected one"):
        volume_checks(frames, EMT())


def test_the_total_energy_drifts_more_with_a_longer_time_step() -> None:
    def drift(timestep_fs: float) -> float:
        run = energy_drift(
            LennardJones(sigma=2.0, epsilon=0.1, rc=3.5, smooth=True),
            formula="LiCl",
            temperature_K=300,
            duration_ps=0.5,
            settling_ps=0.05,
            seed=1,
            n_atoms=16,
            density_g_cm3=1.9,
            timestep_fs=timestep_fs,
        )
        assert run.duration_ps == 0.5
        return run.fluctuation_meV

    assert 0 < 4 * drift(0.5) < drift(4.0)
