"""Total scattering of one glass in the functions that experiments publish, and means over glasses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from mlsim.curve import Curve, Quantity, Radiation
from mlsim.errors import DataError, SettingsError
from mlsim.scattering.conversions import checked_quantity, converted, linear_factor, offset
from mlsim.scattering.form_factors import weights
from mlsim.scattering.instrument import IDEAL, Instrument
from mlsim.scattering.pair_sums import Frames, Pair, checked_frames
from mlsim.scattering.partials import checked_q, checked_radius, structure_factor_array
from mlsim.scattering.probe import Probe
from mlsim.scattering.transforms import Window, g_pdf_of

__all__ = ["over_glasses", "partial_contributions", "total_scattering", "weighted_sum"]

Floats = NDArray[np.float64]

_R_STEP_A = 0.02
_MARGIN_A = 5.0
_LEAST_MARGIN_A = 1.0
"""A function of r needs pairs beyond its last point: the transform with a finite Qmax spreads each pair."""


def weighted_sum(partials: Mapping[Pair, Curve], pair_weights: Mapping[Pair, Floats]) -> Curve:
    """Return S(Q) = 1 + sum_{i<=j} w_ij(Q) [A_ij(Q) − 1].

    Parameters
    ----------
    partials
        Faber–Ziman A_ij(Q) by sorted pair, all on one grid, from `partial_structure_factors`.
    pair_weights
        w_ij(Q) on the same grid, from `weights`.
    """
    if set(partials) != set(pair_weights):
        raise DataError(f"weighted sum: partials of {sorted(partials)}, weights of {sorted(pair_weights)}")
    grid = next(iter(partials.values())).x
    total = np.ones_like(grid)
    for pair, curve in partials.items():
        if curve.quantity != Quantity.S_OF_Q or not np.array_equal(curve.x, grid):
            raise DataError(
                f"weighted sum: partial {pair} is {curve.quantity}, expected s_of_q on the grid of the others"
            )
        total += pair_weights[pair] * (curve.y - 1)
    return Curve(Quantity.S_OF_Q, grid, total)


def total_scattering(
    frames: Sequence[Atoms],
    *,
    radiation: Radiation | Probe = "xray",
    quantity: Quantity | str = Quantity.S_OF_Q,
    q: ArrayLike | None = None,
    q_max: float = 25.0,
    q_step: float = 0.02,
    r: ArrayLike | None = None,
    r_max_A: float | None = None,
    window: Window = "step",
    ions: bool | Mapping[str, int] = False,
    q_min: float = 0.0,
    instrument: Instrument = IDEAL,
) -> Curve:
    """Return one function of the total scattering of one glass, averaged over its frames.

    S(Q) = 1 + sum_{i<=j} w_ij(Q) [A_ij(Q) − 1], see `weights` and `partial_structure_factors`; the others follow
    from it as the table of `mlsim.curve` says. G_PDF(r) is made as from data: S(Q) on a grid of Q, then the sine
    transform with a window over [Qmin, Qmax].

    Parameters
    ----------
    frames
        Frames of one glass, periodic; cells of any shape.
    radiation
        ``xray``, ``neutron``, or a `Probe` for isotopes and anomalous terms.
    quantity
        One of `Quantity`; those that end in ``_keen`` with neutrons only.
    q
        Own grid of Q in 1/Å, such as that of a measurement; instead of `q_min`, `q_max` and `q_step`.
    q_min, q_max, q_step
        Grid of Q in 1/Å, from q_min (a function of Q: from q_step, when q_min is 0) to q_max.
    r
        Own grid of r in Å, for a function of r; may reach beyond half the box, where the neighbours are images.
    r_max_A
        For a function of Q: where the pair sum ends and the uniform density takes over, by default half the shortest
        lattice vector. For a function of r, instead of `r`: the end of an even grid of 0.02 Å, by default the same;
        pairs are then summed 1 to 5 Å beyond the last r, with images, 5 Å unless an atom would meet its own image.
    window
        ``step`` or ``lorch``, for a function of r.
    ions
        X-rays: False for neutral atoms, True for ions, or the charges by element.
    instrument
        Qdamp and Qbroad; an ideal instrument by default.

    Returns
    -------
    Curve
        Without sigma: frames of one glass are not independent, see `over_glasses`. S -> 1 at large Q;
        G_PDF -> −4 π ρ r below the first contact; ``t_of_r`` in 1/Å², ``g_of_r`` -> 1.

    Raises
    ------
    DataError
        If a frame is not periodic, holds no atoms, or is made of other atoms than the first.
    SettingsError
        If the quantity is unknown or the grids are impossible.

    Notes
    -----
    Below `smallest_q` of the frames a function of Q is only the transform of a truncated g(r).
    """
    wanted = checked_quantity(quantity)
    arrays = checked_frames(frames)
    probe = Probe.of(radiation, ions)
    grid = checked_q(_q_grid(q_min, q_max, q_step, wanted) if q is None else q)
    if wanted.of_q:
        if r is not None:
            raise SettingsError(f"{wanted}: a function of Q takes no grid of r; use q, or ask for g_pdf")
        terms = _weighted(arrays, grid, checked_radius(arrays, r_max_A), probe, instrument)
        return _function_of_q(terms.sum(axis=0), grid, wanted, arrays, probe)
    if r is not None and r_max_A is not None:
        raise SettingsError(f"{wanted}: give either r or r_max_A, both say where the grid of r ends")
    distances = _r_grid(checked_radius(arrays, r_max_A)) if r is None else _checked_r(r)
    end = end_of_pairs(arrays, distances)
    terms = _weighted(arrays, grid, end, probe, instrument.without_damping())
    g = g_pdf_of(Curve(Quantity.I_OF_Q, grid, terms.sum(axis=0)), distances, window=window)
    return _function_of_r(g, wanted, arrays, probe, instrument)


def partial_contributions(
    frames: Sequence[Atoms],
    q: ArrayLike,
    *,
    quantity: Quantity | str = Quantity.I_OF_Q,
    radiation: Radiation | Probe = "xray",
    r: ArrayLike | None = None,
    r_max_A: float | None = None,
    window: Window = "step",
    instrument: Instrument = IDEAL,
) -> dict[Pair, Curve]:
    """Return what each pair of elements adds to the total; the sum over pairs is `total_scattering` itself.

    In Q the term of a pair is w_ij(Q) [A_ij(Q) − 1], times Q or another factor as the quantity says; in r it is the
    transform of that, so weights that depend on Q are treated exactly.

    Parameters
    ----------
    frames, q, radiation, r, r_max_A, window, instrument
        See `total_scattering`.
    quantity
        One that tends to zero: ``i_of_q``, ``qi_of_q``, ``f2_of_q``, ``f_keen``, ``g_pdf``, ``g_keen``, ``d_keen``.

    Returns
    -------
    dict
        Sorted pairs of elements, each once.
    """
    wanted = checked_quantity(quantity)
    if wanted in (Quantity.S_OF_Q, Quantity.G_OF_R, Quantity.T_OF_R, Quantity.T_KEEN):
        raise SettingsError(f"contributions to {wanted}: it does not tend to zero; use i_of_q, qi_of_q or g_pdf")
    if wanted.of_q == (r is not None):
        raise SettingsError(f"contributions to {wanted}: give r for a function of r, and only for one")
    arrays, probe, grid = checked_frames(frames), Probe.of(radiation), checked_q(q)
    if wanted.of_q:
        terms = _weighted(arrays, grid, checked_radius(arrays, r_max_A), probe, instrument)
        found = [_function_of_q(term, grid, wanted, arrays, probe) for term in terms]
    else:
        distances = _checked_r(r if r is not None else [])
        end = end_of_pairs(arrays, distances) if r_max_A is None else checked_radius(arrays, r_max_A)
        terms = _weighted(arrays, grid, end, probe, instrument.without_damping())
        curves = [g_pdf_of(Curve(Quantity.I_OF_Q, grid, term), distances, window=window) for term in terms]
        found = [_function_of_r(g, wanted, arrays, probe, instrument) for g in curves]
    return dict(zip(arrays.pairs, found, strict=True))


def over_glasses(curves: Sequence[Curve]) -> Curve:
    """Return the mean of the same function over independent glasses, sigma = standard error of that mean.

    Parameters
    ----------
    curves
        One per glass, each an average over the frames of that glass. Grids of r that are the same up to where the
        smaller boxes end are cut to the shortest.

    Returns
    -------
    Curve
        sigma is s/sqrt(n) with n − 1 in s, or None for a single glass.

    Examples
    --------
    >>> x = np.array([1.0, 2.0])
    >>> mean = over_glasses([Curve(Quantity.S_OF_Q, x, np.array(y)) for y in ([1.0, 1.0], [1.2, 1.0])])
    >>> mean.y, mean.sigma
    (array([1.1, 1. ]), array([0.1, 0. ]))
    """
    if not len(curves):
        raise DataError("mean over glasses: no curves given")
    first = curves[0]
    n_points = min(len(curve.x) for curve in curves)
    for k, curve in enumerate(curves):
        if curve.quantity != first.quantity:
            raise DataError(f"mean over glasses: curve {k} is {curve.quantity}, the first is {first.quantity}")
        cut = len(curve.x) != len(first.x)
        if (cut and curve.quantity.of_q) or not np.allclose(curve.x[:n_points], first.x[:n_points], rtol=0, atol=1e-9):
            raise DataError(f"mean over glasses: curve {k} is not on the grid of the first; compute all on one grid")
    values = np.array([curve.y[:n_points] for curve in curves])
    sigma = values.std(axis=0, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else None
    return Curve(first.quantity, first.x[:n_points], values.mean(axis=0), sigma)


def _weighted(frames: Frames, q: Floats, r_end: float, probe: Probe, instrument: Instrument) -> Floats:
    """w_ij(Q) [A_ij(Q) − 1], shape (pair, Q)."""
    pair_weights = weights(frames.fractions, q, probe)
    partials = structure_factor_array(frames, q, r_end, instrument)
    return np.array([pair_weights[pair] * (a - 1) for pair, a in zip(frames.pairs, partials, strict=True)])


def end_of_pairs(frames: Frames, r: Floats) -> float:
    """Where the pairs for a function of r end: beyond the last r, but short of the atoms' own images if possible."""
    last = float(r[-1])
    own_images = 2 * frames.exact_radius
    return max(last + _LEAST_MARGIN_A, min(last + _MARGIN_A, 0.99 * own_images))


def _function_of_q(i_of_q: Floats, q: Floats, wanted: Quantity, frames: Frames, probe: Probe) -> Curve:
    given = (wanted, q, frames.fractions, probe, frames.number_density)
    return Curve(wanted, q, linear_factor(*given) * i_of_q + offset(*given))


def _function_of_r(g: Curve, wanted: Quantity, frames: Frames, probe: Probe, instrument: Instrument) -> Curve:
    if wanted in (Quantity.G_OF_R, Quantity.G_KEEN) and g.x[0] <= 0:
        raise SettingsError(f"{wanted}: r starts at {g.x[0]:g} Å, where it is 0/0; expected r > 0")
    damped = Curve(Quantity.G_PDF, g.x, g.y * instrument.envelope(g.x))
    return converted(damped, wanted, fractions=frames.fractions, radiation=probe, number_density=frames.number_density)


def _q_grid(q_min: float, q_max: float, q_step: float, wanted: Quantity) -> Floats:
    if not (np.isfinite([q_min, q_max, q_step]).all() and 0 <= q_min < q_max and 0 < q_step <= q_max - q_min):
        raise SettingsError(
            f"{wanted}: Q from {q_min:g} to {q_max:g} in steps of {q_step:g} 1/Å; "
            "expected 0 <= q_min < q_max and a step that fits between them"
        )
    count = int(np.floor((q_max - q_min) / q_step * (1 + 1e-12) + 1e-9)) + 1
    grid = q_min + q_step * np.arange(count, dtype=np.float64)
    return np.asarray(grid[1:] if wanted.of_q and q_min == 0 else grid, dtype=np.float64)


def _r_grid(r_end: float) -> Floats:
    count = int(np.floor(r_end / _R_STEP_A * (1 + 1e-12)))
    if count < 1:
        raise SettingsError(f"function of r: grid ends at {r_end:g} Å, expected more than {_R_STEP_A:g} Å")
    return np.asarray(_R_STEP_A * np.arange(1, count + 1))


def _checked_r(r: ArrayLike) -> Floats:
    grid = np.asarray(r, dtype=float)
    if grid.ndim != 1 or not len(grid) or not np.isfinite(grid).all() or grid[0] < 0 or (np.diff(grid) <= 0).any():
        raise SettingsError("scattering: r must be a list of values >= 0 in Å that increase strictly")
    return grid
