"""Random walks of ions whose diffusivity, collective diffusivity and Haven ratio are known exactly."""

from __future__ import annotations

import numpy as np

from mlsim.trajectory import Trajectory

CELL = np.diag([20.0, 20.0, 20.0])


def charged_walk(rng, n_frames, n_ions, diffusivity_A2_ps, *, haven=1.0, hop_A=None, cage_A=0.3, interval_ps=1.0):
    """Ions that take own steps and share a common one, and rattle in a cage.

    With own steps of variance share a and common ones of share b = 1 - a, D is the sum, and the sum over N ions has
    D_sigma = (a + N b) D, so haven = 1/(a + N b) gives b = (1/haven - 1)/(N - 1). Own steps are Gaussian, or hops of
    length `hop_A` at the rate 6 a D / hop_A².
    """
    common = (1 / haven - 1) / (n_ions - 1) if n_ions > 1 else 0.0
    variance = 2 * diffusivity_A2_ps * interval_ps
    if hop_A is None:
        steps = rng.normal(0, np.sqrt(variance * (1 - common)), (n_frames, n_ions, 3))
    else:
        hops = rng.poisson(3 * variance * (1 - common) / hop_A**2, (n_frames, n_ions))
        direction = rng.normal(size=(n_frames, n_ions, 3))
        direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
        steps = direction * (hop_A * np.sqrt(hops))[..., None]
    steps += rng.normal(0, np.sqrt(variance * common), (n_frames, 1, 3))
    positions = np.cumsum(steps, axis=0) + rng.normal(0, cage_A, (n_frames, n_ions, 3))
    return Trajectory(positions, CELL, ("Li",) * n_ions, interval_ps, 700.0)
