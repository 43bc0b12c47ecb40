"""g(r) of a teacher that is too slow for molecular dynamics, by reweighting the frames of another potential."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from mlsim.errors import DataError
from mlsim.scattering import partial_g_of_r

__all__ = ["DistributionCheck", "canonical_chains", "distribution_check", "ensemble_weights"]

Floats = NDArray[np.float64]

FEWEST_FRAMES = 20


@dataclass(frozen=True)
class DistributionCheck:
    """Partial g(r) of the ensembles of teacher and potential in one cell at one temperature.

    Attributes
    ----------
    chain, temperature_K, n_frames
        The trajectory whose frames carry labels.
    effective_frames
        Of teacher and potential: (Σ w)² / Σ w², how many frames of equal weight the weighted ones are worth.
    r_A
        Distances, Å, shape (m,).
    curves
        By pair of elements: g(r) of the teacher, of the potential, and the standard error of their difference.
    """

    chain: str
    temperature_K: float
    n_frames: int
    effective_frames: tuple[float, float]
    r_A: Floats
    curves: Mapping[tuple[str, str], tuple[Floats, Floats, Floats]]

    def chi_squared_per_point(self) -> dict[tuple[str, str], float]:
        """Return, by pair, the mean squared difference in its standard errors over bins where either curve is not 0."""
        found = {}
        for pair, (teacher, own, error) in self.curves.items():
            met = (error > 0) & ((teacher > 0) | (own > 0))
            found[pair] = float((((teacher - own)[met] / error[met]) ** 2).mean()) if met.any() else 0.0
        return found


def ensemble_weights(energies_eV: Floats, sampler_energies_eV: Floats, temperature_K: float) -> Floats:
    """Return the weights that turn frames of one canonical ensemble into those of another, with sum 1.

    w_k ∝ exp[−(U(x_k) − U₀(x_k)) / (k_B T)], U₀ the energy that drove the dynamics, U the wanted one. A constant
    between the two energies drops out.

    Parameters
    ----------
    energies_eV, sampler_energies_eV
        Of the same frames, shape (n,), eV per cell.
    temperature_K
        Of both ensembles.

    References
    ----------
    R. W. Zwanzig, J. Chem. Phys. 22, 1420 (1954), doi:10.1063/1.1740409.

    Examples
    --------
    >>> ensemble_weights(np.array([1.0, 1.0]), np.array([0.0, 0.0]), 300.0)
    array([0.5, 0.5])
    """
    exponent = -(energies_eV - sampler_energies_eV) / (units.kB * temperature_K)
    weights: Floats = np.exp(exponent - exponent.max())
    weights /= weights.sum()
    return weights


def canonical_chains(chains: Mapping[str, Sequence[Atoms]]) -> dict[str, list[Atoms]]:
    """Return the chains that are one trajectory at one temperature, long enough and with the energy that drove them."""
    fitting = {}
    for name, frames in chains.items():
        driven = [f for f in frames if "sampler_energy_eV" in f.info]
        temperatures = {float(f.info["temperature_K"]) for f in driven}
        if len(driven) >= FEWEST_FRAMES and len(temperatures) == 1:
            fitting[name] = driven
    return fitting


def distribution_check(
    frames: Sequence[Atoms],
    calculator: Any,
    *,
    r_max_A: float = 3.6,
    r_step_A: float = 0.1,
    n_draws: int = 200,
    seed: int = 1,
) -> DistributionCheck:
    """Compare the g(r) of teacher and potential, each by reweighting the same labelled trajectory.

    Parameters
    ----------
    frames
        A chain of `canonical_chains`: frames of one run at constant volume and temperature, far enough apart to be
        independent, with labels and `sampler_energy_eV`.
    calculator
        The potential; it need not be the one that drove the run.
    r_max_A, r_step_A
        Range and bins of g(r), Å.
    n_draws
        Bootstrap draws of frames, for the error of the difference.
    seed
        Of the draws.

    Raises
    ------
    DataError
        If the labels and the run overlap so little that less than five frames carry all weight.

    Notes
    -----
    Exact for many frames, with no dynamics by the teacher; useless where its energies differ from the sampler's by
    much more than k_B T in the whole cell, which is why cells are small.
    """
    chain, temperature = str(frames[0].info["chain"]), float(frames[0].info["temperature_K"])
    driven = np.array([float(f.info["sampler_energy_eV"]) for f in frames])
    weights = [
        ensemble_weights(np.array([f.get_potential_energy() for f in frames]), driven, temperature),
        ensemble_weights(np.array([_energy(f, calculator) for f in frames]), driven, temperature),
    ]
    effective = tuple(float(1 / (w**2).sum()) for w in weights)
    if min(effective) < 5:
        raise DataError(
            f"chain {chain}: {len(frames)} reweighted frames are worth {min(effective):.1f}, expected at least 5; "
            "sample it with a better potential, a smaller cell or a higher temperature"
        )
    each = [partial_g_of_r([_periodic(f)], r_max_A=r_max_A, r_step_A=r_step_A) for f in frames]
    draws = np.random.default_rng(seed).multinomial(len(frames), np.full(len(frames), 1 / len(frames)), size=n_draws)
    curves = {}
    for pair in each[0]:
        values = np.array([g[pair].y for g in each])
        teacher, own = (w @ values for w in weights)
        resampled = [(draws * w) @ values / (draws * w).sum(axis=1, keepdims=True) for w in weights]
        curves[pair] = (teacher, own, np.std(resampled[0] - resampled[1], axis=0, ddof=1))
    r = next(iter(each[0].values())).x
    return DistributionCheck(chain, temperature, len(frames), (effective[0], effective[1]), r, curves)


def _energy(frame: Atoms, calculator: Any) -> float:
    atoms = _periodic(frame)
    atoms.calc = calculator
    return float(atoms.get_potential_energy())


def _periodic(frame: Atoms) -> Atoms:
    return Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
