"""The misfit of several data sets as one quadratic form of pair sums.

Every data set is linear in S(Q) − 1 of its radiation, and S(Q) − 1 is linear in the pair sums H of `nodes`:

    F_c(q_k) = sum_{i<=j} w_ij(q_k) [A_ij(q_k) − 1],        q_k = (k + 1/2) π/(R + 4 Å)
    model of data set d at point p = sum_k L_d(p, k) F_c(q_k)

Between the waves q_k the function is interpolated: pairs end at R and form factors are smooth, so that F is known from
waves π/(R + 4 Å) apart. L_d holds the interpolation, and for functions of r the sine transform with its window and
Qmax as well. The misfit of all points of all data sets is then

    chi² = sum_d sum_p ([s_d L_d F − y_d]/sigma_d)² = |U F − t|² + constant

with about R Qmax/π rows in U, however many points were measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.curve import Quantity
from mlsim.errors import SettingsError
from mlsim.rmc.cells import ABSENT, KIND_SHIFT
from mlsim.rmc.data import DataSet, reduced_values
from mlsim.rmc.misfit import Exact, Fit
from mlsim.rmc.nodes import ROWS, node_step, sinc_on_nodes, spline_weights
from mlsim.scattering import mean_square_ratio, weights, window_function
from mlsim.scattering.transforms import uniform_sphere

__all__ = ["Cost", "cost_of"]

Floats = NDArray[np.float64]

_MARGIN_A = 4.0
_WAVES_BEYOND = 8
_TRANSFORM_STEP = 0.02
_INTERPOLATION_STEP_A = 0.1
_LEAST_SINGULAR = 1e-8
_LEAST_SQUARE = 1e-13
_WAVES_TOGETHER, _ROWS_TOGETHER = 16, 32
_FARTHEST_A = 1.1 * float(np.sqrt(ABSENT))
"""No slot is farther: those left out are at least sqrt(ABSENT) away, and atoms in bins within R much less."""


@dataclass(frozen=True, eq=False)
class _Mapped:
    """One data set as a linear map: target ~ scale * matrix @ F[channel]."""

    data: DataSet
    channel: int
    matrix: Floats  # (point, wave), divided by sigma
    target: Floats  # (point,), divided by sigma
    square: Floats  # matrix.T @ matrix
    mixed: Floats  # matrix.T @ target


@dataclass(frozen=True, eq=False)
class Cost:
    """Data sets prepared for one kind of box: composition, density and R are fixed.

    Attributes
    ----------
    elements
        Sorted symbols.
    pairs
        Sorted pairs of elements in the order of the rows of H.
    r_end_A
        R: pairs are summed up to here, beyond the density is uniform.
    waves
        q_k, 1/Å.
    """

    elements: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    r_end_A: float
    waves: Floats
    step_A: float
    first: int
    sinc: Floats
    weight: Floats
    offset: Floats
    mapped: tuple[_Mapped, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(m.data.name for m in self.mapped)

    def model(self, F: Floats, index: int) -> Floats:
        """Return the model of a data set at its points, less the limit of the function, shape (point,)."""
        m = self.mapped[index]
        return np.asarray((m.matrix @ F[m.channel]) * m.data.sigma)

    def chi_squared(self, F: Floats, scales: Floats) -> Floats:
        """Return sum_p ((s model − data)/sigma)² of each data set, shape (data set,)."""
        values = [s * (m.matrix @ F[m.channel]) - m.target for m, s in zip(self.mapped, scales, strict=True)]
        return np.array([float(v @ v) for v in values])

    def best_scales(self, F: Floats) -> Floats:
        """Return the scales that minimise the misfit, 1 where none is asked for or it would not be positive."""
        scales = np.ones(len(self.mapped))
        for k, m in enumerate(self.mapped):
            if m.data.fit_scale:
                f = F[m.channel]
                best = float(f @ m.mixed) / max(float(f @ m.square @ f), 1e-300)
                scales[k] = best if best > 0 else 1.0
        return scales

    def fit(self, scales: Floats, H: Floats) -> tuple[Fit, Exact]:
        """Return the arrays of the kernels, with F and the errors still to be computed from H."""
        channels, waves = self.offset.shape
        square = np.zeros((channels * waves, channels * waves))
        mixed = np.zeros(channels * waves)
        for m, s in zip(self.mapped, scales, strict=True):
            at = slice(m.channel * waves, (m.channel + 1) * waves)
            square[at, at] += s * s * m.square
            mixed[at] += s * m.mixed
        values, vectors = np.linalg.eigh(square)
        kept = values > _LEAST_SQUARE * values[-1]
        size = -(-int(kept.sum()) // _ROWS_TOGETHER) * _ROWS_TOGETHER
        lift, target = np.zeros((channels * waves, size)), np.zeros(size)
        root = np.sqrt(values[kept])
        lift[:, : len(root)] = vectors[:, kept] * root
        target[: len(root)] = (mixed @ vectors[:, kept]) / root
        per_angstrom = ROWS / self.step_A
        if not self.r_end_A < 0.5 * _FARTHEST_A or _FARTHEST_A * per_angstrom >= 1 << KIND_SHIFT:
            raise SettingsError(
                f"pair sums up to {self.r_end_A:g} Å with waves up to {self.waves[-1]:.0f} 1/Å asked for; distances "
                f"are kept up to {0.5 * _FARTHEST_A:.0f} Å, and only for waves up to 140 1/Å; lower --r-max or --q-max"
            )
        n = len(self.elements)
        index = np.zeros((n, n), dtype=np.int64)
        for k, (i, j) in enumerate(zip(*np.triu_indices(n), strict=True)):
            index[i, j] = index[j, i] = k
        fit = Fit(
            scale=np.float32(per_angstrom),
            code_end=round(self.r_end_A * per_angstrom),
            r_end=self.r_end_A,
            spline=spline_weights(),
            pair=index,
            first=self.first,
            sinc=self.sinc.astype(np.float32),
            weight=self.weight.astype(np.float32),
            lift=lift.astype(np.float32),
            H=H,
            F=np.zeros((channels, waves)),
            error=np.zeros(size),
        )
        return fit, Exact(self.sinc, self.weight, lift, self.offset, target)


def cost_of(data: Sequence[DataSet], atoms: Atoms, r_end_A: float, shortest_A: float) -> Cost:
    """Return the misfit of data sets, for boxes like `atoms`.

    Parameters
    ----------
    data
        From `data_set`.
    atoms
        Sets composition, number of atoms and density.
    r_end_A
        R, at most half of every height of the cell, Å.
    shortest_A
        No pair comes closer than this, Å.
    """
    symbols = atoms.get_chemical_symbols()
    elements = tuple(sorted(set(symbols)))
    counts = {e: symbols.count(e) for e in elements}
    fractions = {e: n / len(symbols) for e, n in counts.items()}
    pairs = tuple((a, b) for i, a in enumerate(elements) for b in elements[i:])
    q_max = max(d.q_max for d in data)
    spacing = np.pi / (r_end_A + _MARGIN_A)
    n_waves = -(-(int(q_max / spacing) + _WAVES_BEYOND) // _WAVES_TOGETHER) * _WAVES_TOGETHER
    waves = np.asarray((np.arange(n_waves) + 0.5) * spacing, dtype=np.float64)
    channels = sorted({(d.radiation, d.ions and d.radiation == "xray") for d in data})
    by_channel = [weights(fractions, waves, radiation, ions) for radiation, ions in channels]
    factor = {(a, b): len(symbols) * (2 if a == b else 1) / (counts[a] * counts[b]) for a, b in pairs}
    density = len(symbols) / atoms.get_volume()
    mapped = []
    for d in data:
        channel = channels.index((d.radiation, d.ions and d.radiation == "xray"))
        mapped.append(_mapped(d, channel, by_channel[channel], fractions, waves, r_end_A, density))
    step = node_step(float(waves[-1]), r_end_A)
    return Cost(
        elements=elements,
        pairs=pairs,
        r_end_A=r_end_A,
        waves=waves,
        step_A=step,
        first=int(shortest_A / step),
        sinc=np.ascontiguousarray(sinc_on_nodes(waves, r_end_A, step)),
        weight=np.array([[w[p] * factor[p] for p in pairs] for w in by_channel]),
        offset=np.tile(-density * uniform_sphere(waves, r_end_A), (len(channels), 1)),
        mapped=tuple(mapped),
    )


def _mapped(
    data: DataSet, channel: int, by_pair: Any, fractions: dict[str, float], waves: Floats, r_end: float, density: float
) -> _Mapped:
    ions = data.ions and data.radiation == "xray"
    curve = data.curve
    if curve.quantity.of_q:
        q = curve.x
        matrix = _interpolation(by_pair, weights(fractions, q, data.radiation, ions), waves, q, r_end)
        target = reduced_values(curve)
        if curve.quantity == Quantity.QI_OF_Q:
            matrix, target = matrix * q[:, None], curve.y
        elif curve.quantity == Quantity.F2_OF_Q:
            matrix = matrix / mean_square_ratio(fractions, q, data.radiation, ions)[:, None]
    else:
        q = transform_grid(data.q_min, data.q_max)
        between = _interpolation(by_pair, weights(fractions, q, data.radiation, ions), waves, q, r_end)
        matrix = _sine_transform(q, curve.x, data) @ between
        target = curve.y
        uniform = 4 * np.pi * density * curve.x
        if curve.quantity == Quantity.T_OF_R:
            target = curve.y - uniform
        elif curve.quantity == Quantity.G_OF_R:
            matrix, target = matrix / uniform[:, None], curve.y - 1
    matrix, target = matrix / data.sigma[:, None], target / data.sigma
    return _Mapped(data, channel, matrix, target, matrix.T @ matrix, matrix.T @ target)


def transform_grid(q_min: float, q_max: float) -> Floats:
    """Return the grid of Q behind a function of r, 1/Å, about 0.02 apart from Qmin to Qmax."""
    return np.linspace(q_min, q_max, max(2, round((q_max - q_min) / _TRANSFORM_STEP) + 1))


def _sine_transform(q: Floats, r: Floats, data: DataSet) -> Floats:
    """Return the matrix from S(Q) − 1 to G_PDF(r): (2/π) Q M(Q) sin(Qr) dQ, shape (r, Q)."""
    step = np.full(len(q), q[1] - q[0])
    step[[0, -1]] /= 2
    window = window_function(q, float(q[-1]), data.window)
    return np.asarray(2 / np.pi * np.sin(np.multiply.outer(r, q)) * (q * window * step))


def _interpolation(at_waves: Any, at_q: Any, waves: Floats, q: Floats, r_end: float) -> Floats:
    """Return the matrix from F at the waves to F at q: right for every pair of elements at every distance up to R."""
    r = np.append(np.arange(0.3, r_end, _INTERPOLATION_STEP_A), r_end)
    known = [np.sinc(np.multiply.outer(r, waves) / np.pi) * r[:, None] * waves * at_waves[p] for p in at_waves]
    wanted = [np.sinc(np.multiply.outer(r, q) / np.pi) * r[:, None] * q * at_q[p] for p in at_waves]
    known.append((uniform_sphere(waves, r_end) * waves)[None] / r_end)
    wanted.append((uniform_sphere(q, r_end) * q)[None] / r_end)
    solution = np.linalg.lstsq(np.concatenate(known), np.concatenate(wanted), rcond=_LEAST_SINGULAR)[0]
    return np.asarray((solution.T * waves) / np.maximum(q, 1e-6)[:, None])
