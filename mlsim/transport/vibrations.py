r"""Vibrations from a trajectory: velocity autocorrelation, vibrational density of states, attempt frequency.

==================  ===============================================================================================
velocities          v(t) = [u(t + dt) − u(t − dt)]/(2 dt), central differences of positions
VACF                Z(t) = <v(t0 + t) · v(t0)>, over ions and time origins
VDOS                g(nu) = Fourier transform of Z, divided by [sin(2 pi nu dt)/(2 pi nu dt)]², which undoes the
                    difference; normalised to one per element
attempt frequency   mean of nu over g(nu) of the ions that hop, nu above 1 THz: how often they run against their cage
==================  ===============================================================================================

Differences of frames dt apart show frequencies below 1/(2 dt), and well only below half of that: 0.01 ps reaches
25 THz. Zr–O stretches of oxychlorides lie near 20 THz.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import DataError
from mlsim.trajectory import Trajectory
from mlsim.transport.displacement import displacement_paths

__all__ = ["Vibrations", "attempt_frequency", "vibrations", "vibrations_of_modes"]

Floats: TypeAlias = NDArray[np.float64]

_LONGEST_INTERVAL_PS = 0.0125  # the spectrum ends at _RELIABLE over it, 28 THz; that of O in glasses at 26 THz
_CORRELATED_PS = 2.0
_DIFFUSIVE_THZ = 1.0
_RELIABLE = 0.35  # of the frame rate: beyond it the correction for differences exceeds a factor of seven
_CHUNK = 32


@dataclass(frozen=True, eq=False)
class Vibrations:
    """Velocity autocorrelation and density of states of one element.

    Attributes
    ----------
    element
        Chemical symbol.
    time_ps, vacf
        Lags, ps, and Z(t)/Z(0), shape (lag,); empty for modes of a crystal.
    frequency_THz, vdos
        Frequencies, THz, and density of states, 1/THz with integral one, shape (frequency,).
    """

    element: str
    time_ps: Floats
    vacf: Floats
    frequency_THz: Floats
    vdos: Floats


def vibrations(trajectory: Trajectory, element: str, *, correlated_ps: float = _CORRELATED_PS) -> Vibrations:
    """Return the vibrations of one element.

    Parameters
    ----------
    trajectory
        Frames at most 0.0125 ps apart.
    element
        Chemical symbol.
    correlated_ps
        Longest lag, ps; the resolution is about half its inverse (the correlation is faded out by a Hann window).

    Raises
    ------
    DataError
        If frames are too far apart or too few.
    """
    dt = trajectory.interval_ps
    n_lags = round(correlated_ps / dt)
    if dt > _LONGEST_INTERVAL_PS * (1 + 1e-6):
        raise DataError(
            f"vibrations: frames are {dt:g} ps apart, expected at most {_LONGEST_INTERVAL_PS:g} ps; run a few ps of "
            "'mlsim md' with --interval-ps 0.008"
        )
    if trajectory.n_frames < 2 * n_lags + 2:
        raise DataError(
            f"vibrations: {trajectory.duration_ps:.3g} ps, expected at least {2 * correlated_ps:g} ps; run longer"
        )
    paths = displacement_paths(trajectory, element, "cell")
    total = np.zeros(n_lags)
    for start in range(0, len(paths), _CHUNK):
        chunk = paths[start : start + _CHUNK]
        velocity = (chunk[:, :, 2:] - chunk[:, :, :-2]) / (2 * dt)
        length = fft.next_fast_len(velocity.shape[2] + n_lags, real=True)
        power = (np.abs(fft.rfft(velocity, n=length, axis=-1)) ** 2).sum(axis=(0, 1))
        total += fft.irfft(power, n=length)[:n_lags]
    lags = np.arange(n_lags)
    vacf = total / (trajectory.n_frames - 2 - lags)
    window = 0.5 * (1 + np.cos(np.pi * lags / n_lags))
    faded = vacf * window
    mirrored = np.concatenate([faded, [0.0], faded[:0:-1]])
    frequency = np.asarray(fft.rfftfreq(len(mirrored), dt), dtype=float)
    smoothing = np.sinc(2 * frequency * dt)
    kept = frequency < _RELIABLE / dt
    density = fft.rfft(mirrored).real[kept] / smoothing[kept] ** 2
    density /= density.sum() * frequency[1]
    times = np.asarray(lags * dt, dtype=float)
    return Vibrations(element, times, np.asarray(vacf / vacf[0]), frequency[kept], density)


def vibrations_of_modes(element: str, frequency_THz: Floats, weight: Floats, *, width_THz: float = 0.25) -> Vibrations:
    """Return the density of states of the harmonic modes of a crystal, such as phonopy gives them.

    Parameters
    ----------
    element
        Chemical symbol.
    frequency_THz
        Modes, THz, shape (mode,); imaginary ones as negative numbers, which are left out.
    weight
        Sum of the squared eigenvector components of the element in each mode, shape (mode,).
    width_THz
        Standard deviation of the Gaussian that each mode is spread over, THz.
    """
    real = frequency_THz > 0
    if not (real & (weight > 0)).any():
        raise DataError(f"vibrations: no real mode with {element}; relax the crystal first")
    grid = np.arange(0.0, float(frequency_THz.max()) + 4 * width_THz, width_THz / 4)
    peaks = np.exp(-((grid[:, None] - frequency_THz[real]) ** 2) / (2 * width_THz**2)) @ weight[real]
    return Vibrations(element, np.empty(0), np.empty(0), grid, peaks / (peaks.sum() * grid[1]))


def attempt_frequency(found: Sequence[Vibrations]) -> Estimate:
    """Return the mean frequency above 1 THz over glasses, THz (what lies below is diffusion, not vibration).

    The first moment of the density of states; other definitions (its peak, or the rate at
    which an ion passes the middle of its cage) differ from it by some 10 %.
    """
    values = []
    for one in found:
        above = one.frequency_THz >= _DIFFUSIVE_THZ
        values.append(float((one.frequency_THz[above] * one.vdos[above]).sum() / one.vdos[above].sum()))
    return estimate_over(values, "THz")
