"""One refinement: a configuration, data and constraints in; a configuration that agrees with both out."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.curve import Curve, Quantity
from mlsim.errors import DataError, Interrupted, NotConverged, SettingsError
from mlsim.melt_quench.checkpoint import Checkpoint, check_settings, read_checkpoint, write_checkpoint
from mlsim.progress import Progress, SilentProgress, StopRequest
from mlsim.rmc.bond_valence import VALENCE_RADIUS_A
from mlsim.rmc.constraints import minimum_distances_for
from mlsim.rmc.convergence import Convergence, judged
from mlsim.rmc.cost import Cost, cost_of, transform_grid
from mlsim.rmc.data import DataSet, largest_radius_A
from mlsim.rmc.settings import RefineSettings
from mlsim.rmc.state import State
from mlsim.scattering import g_pdf_of, total_scattering

__all__ = [
    "Refined",
    "exact_model",
    "finished_runs",
    "pair_sum_end_A",
    "refine",
    "refinement_settings",
    "require_reach",
    "rw",
]

Floats = NDArray[np.float64]

LARGEST_DRIFT = 1e-8
_LONGEST_DEFAULT_A = 20.0
_BEYOND_DATA_A = 1.0
_LARGEST_BLOCK = 2000
_SMALLEST_BLOCK = 200
_BLOCKS = 50
_CHECK_EVERY = 50
_SCALE_EVERY = 10
_CHECKPOINT_S = 20.0
_ADAPTATION = 0.5


@dataclass(frozen=True, eq=False)
class Refined:
    """What one run leaves.

    Attributes
    ----------
    atoms
        The refined configuration, wrapped into the cell.
    models
        Exact curve of the refined configuration on the points of each data set, by name.
    rw, rw_start
        R value of each data set at the end and at the start, see `rw`.
    chi_squared
        sum ((scale model − data)/sigma)² over the points of each data set along the run, shape (block, data set).
    penalty
        Sum of the soft penalties along the run, shape (block,).
    scales
        Factor of each model, 1 unless it was fitted.
    acceptance
        Share of all proposals that were accepted.
    refused
        Share of all proposals that broke a minimum distance.
    moves
        Proposals in all.
    moves_per_second
        Proposals per second of processor time of one thread.
    steps_A
        Step of each element at the end, Å.
    drift
        Largest relative difference between what was kept move by move and a full recomputation.
    convergence
        The verdict on the run.
    r_end_A
        Where the pair sums ended, Å.
    notes
        What was assumed.
    """

    atoms: Atoms
    models: dict[str, Curve]
    rw: dict[str, float]
    rw_start: dict[str, float]
    chi_squared: Floats
    penalty: Floats
    scales: dict[str, float]
    acceptance: float
    refused: float
    moves: int
    moves_per_second: float
    steps_A: dict[str, float]
    drift: float
    convergence: Convergence
    r_end_A: float
    notes: tuple[str, ...]


def refine(
    atoms: Atoms,
    data: Sequence[DataSet],
    settings: RefineSettings,
    *,
    seed: int,
    run: int = 0,
    directory: Path | None = None,
    progress: Progress | None = None,
    stop: StopRequest | None = None,
) -> Refined:
    """Refine a configuration against data and constraints by reverse Monte Carlo.

    Parameters
    ----------
    atoms
        Start: a glass, a packing, anything periodic. Cells of any shape; not changed.
    data
        From `data_set`; none makes the ensemble that the constraints alone allow.
    settings
        See `RefineSettings`.
    seed, run
        Everything random follows from the two together; runs of one seed are independent.
    directory
        Where the checkpoint goes; a run found there goes on. None: no checkpoint.
    progress, stop
        See `mlsim.progress`.

    Raises
    ------
    DataError
        If the start is not periodic, or two atoms are closer than a minimum distance.
    SettingsError
        If settings do not fit the start, or a checkpoint was made with others.
    Interrupted
        If `stop` became true; the checkpoint is written.
    NotConverged
        If the state kept move by move differs from a recomputation by more than 1e-8.

    Notes
    -----
    Time per move: about 25 µs for 2000 atoms, S(Q) to 25 1/Å and pairs up to 18 Å; it grows with the number of
    neighbours within R and with Qmax R, not with the number of atoms or of points.

    References
    ----------
    R. L. McGreevy, L. Pusztai, Mol. Simul. 1, 359 (1988), doi:10.1080/08927028808080958;
    M. G. Tucker, D. A. Keen, M. T. Dove, A. L. Goodwin, Q. Hui, J. Phys.: Condens. Matter 19, 335218 (2007),
    doi:10.1088/0953-8984/19/33/335218.
    """
    job = _Run(atoms, data, settings, seed, run, directory)
    return job.finish(progress or SilentProgress(), stop)


def finished_runs(
    runs: Sequence[tuple[Atoms, Sequence[DataSet], RefineSettings, int, int, Path]],
) -> tuple[Refined, ...]:
    """Return runs of one ensemble that are complete in their folders, as `refine` would, preparing the data once.

    Parameters
    ----------
    runs
        Start, data, settings, seed, run and directory of each, as given to `refine`.
    """
    found = []
    cost: Cost | None = None
    for start, data, settings, seed, run, directory in runs:
        job = _Run(start, data, settings, seed, run, directory, cost if data else None)
        cost = job.cost or cost
        found.append(job.finish(SilentProgress(), None))
    return tuple(found)


def pair_sum_end_A(atoms: Atoms, data: Sequence[DataSet], settings: RefineSettings) -> float:
    """Return where the pair sums end: as asked for, or half the smallest height of the cell but not beyond need, Å."""
    support = largest_radius_A(atoms)
    last = max((float(d.curve.x[-1]) for d in data if not d.curve.quantity.of_q), default=0.0)
    if settings.r_end_A is None:
        return min(support, max(_LONGEST_DEFAULT_A, last + _BEYOND_DATA_A))
    if settings.r_end_A > support + 1e-9:
        raise SettingsError(
            f"pair sums up to {settings.r_end_A:g} Å asked for, but half the smallest height of the cell is "
            f"{support:.4g} Å; lower it or start from a larger box"
        )
    if settings.r_end_A < last:
        raise SettingsError(
            f"pair sums up to {settings.r_end_A:g} Å asked for, but data go to {last:g} Å; cut the data or sum farther"
        )
    return settings.r_end_A


def require_reach(atoms: Atoms, settings: RefineSettings) -> None:
    """Refuse soft constraints that look farther than the nearest image of every atom.

    Raises
    ------
    SettingsError
        If the radius of a coordination target, or of bond valences, is more than half the smallest height of the cell.
    """
    support = largest_radius_A(atoms)
    reaches = [(f"coordination {t.centre}-{t.neighbour}", t.radius_A) for t in settings.coordination]
    if settings.valence_sigma is not None:
        reaches.append(("bond valence", VALENCE_RADIUS_A))
    for what, radius in reaches:
        if radius > support + 1e-9:
            raise SettingsError(
                f"{what}: looks {radius:g} Å far, but half the smallest height of the cell is {support:.4g} Å; "
                "lower it or start from a larger box"
            )


def rw(model: Curve, data: Curve) -> float:
    """Return sqrt(sum (y_data − y_model)² / sum y_data²), limits taken off and functions of Q taken times Q.

    For S(Q) this is the R value of Q [S(Q) − 1], for g(r) that of g(r) − 1; no weights by sigma.
    """
    limit = 1.0 if data.quantity in (Quantity.S_OF_Q, Quantity.G_OF_R) else 0.0
    by = data.x if data.quantity.of_q and data.quantity != Quantity.QI_OF_Q else np.ones_like(data.x)
    difference, size = by * (data.y - model.y), by * (data.y - limit)
    return float(np.sqrt((difference @ difference) / (size @ size)))


def exact_model(atoms: Atoms, data: DataSet, r_end_A: float) -> Curve:
    """Return the curve of a configuration on the points of a data set by `mlsim.scattering`, pairs ending at R."""
    kind = data.curve.quantity
    common: dict[str, Any] = {"radiation": data.radiation, "ions": data.ions, "r_max_A": r_end_A}
    if kind.of_q:
        return total_scattering([atoms], quantity=kind, q=data.curve.x, **common)
    s = total_scattering([atoms], quantity=Quantity.I_OF_Q, q=transform_grid(data.q_min, data.q_max), **common)
    g = g_pdf_of(s, data.curve.x, window=data.window)
    uniform = 4 * np.pi * len(atoms) / atoms.get_volume() * g.x
    if kind == Quantity.T_OF_R:
        return Curve(kind, g.x, g.y + uniform)
    return Curve(kind, g.x, 1 + g.y / uniform) if kind == Quantity.G_OF_R else g


def refinement_settings(
    atoms: Atoms, data: Sequence[DataSet], settings: RefineSettings, seed: int, run: int
) -> dict[str, Any]:
    """Return what makes a run what it is, as JSON data: a checkpoint made with anything else is refused."""
    start = hashlib.sha256()
    for part in (atoms.numbers, atoms.positions, atoms.cell.array):
        start.update(np.ascontiguousarray(part).tobytes())
    return {
        "start_sha256": start.hexdigest(),
        "seed": seed,
        "run": run,
        "settings": settings.model_dump(mode="json"),
        "data": {d.name: _described(d) for d in data},
    }


def _described(data: DataSet) -> dict[str, Any]:
    curve = data.curve
    points = hashlib.sha256(np.stack([curve.x, curve.y, data.sigma]).tobytes()).hexdigest()
    return {
        "quantity": str(curve.quantity),
        "radiation": data.radiation,
        "points": len(curve.x),
        "first": float(curve.x[0]),
        "last": float(curve.x[-1]),
        "sigma": float(np.median(data.sigma)),
        "points_sha256": points,
        "ions": data.ions,
        "q_min": data.q_min,
        "q_max": data.q_max,
        "window": data.window,
        "fit_scale": data.fit_scale,
    }


class _Run:
    """One run between its start and its end."""

    def __init__(
        self,
        atoms: Atoms,
        data: Sequence[DataSet],
        settings: RefineSettings,
        seed: int,
        run: int,
        directory: Path | None,
        cost: Cost | None = None,
    ) -> None:
        if not len(atoms) or not atoms.pbc.all() or atoms.cell.rank < 3:
            raise DataError("start: not periodic along all three vectors; give it a cell and pbc")
        names = [d.name for d in data]
        if len(set(names)) < len(names):
            raise SettingsError(f"data sets: two are called {max(names, key=names.count)}; rename one of the files")
        self.start, self.data, self.directory = atoms, tuple(data), directory
        limits, self.notes = minimum_distances_for(atoms, settings.minimum_distances_A)
        self.r_end = pair_sum_end_A(atoms, data, settings)
        require_reach(atoms, settings)
        if cost is None and data:
            cost = cost_of(data, atoms, self.r_end, min(limits.values()))
        self.cost = cost
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, run])))
        self.state = State(atoms, self.cost, limits, settings, random)
        self.settings = settings
        self.facts = refinement_settings(atoms, data, settings, seed, run)
        self.block = _block(round(settings.moves_per_atom * len(atoms)), len(atoms))
        self.n_blocks = max(1, round(settings.moves_per_atom * len(atoms) / self.block))
        self.rows: list[list[float]] = []
        self.drift = self.seconds = 0.0
        self.finished = False
        self.first_chi = self._chi_squared()

    def finish(self, progress: Progress, stop: StopRequest | None) -> Refined:
        """Do what is left of the run."""
        self._resume()
        if not self.finished:
            self.state.compile()
        saved = time.monotonic()
        name = "refine" if self.data else "refine without data"
        while len(self.rows) < self.n_blocks:
            progress(name, len(self.rows) * self.block, self.n_blocks * self.block)
            if stop:
                self._save()
                raise Interrupted("stopped on request, the checkpoint is written; the same command goes on from there")
            self._one_block()
            if self.directory is not None and time.monotonic() - saved > _CHECKPOINT_S:
                self._save()
                saved = time.monotonic()
        if not self.finished:
            self._check()
            self.finished = True
            self._save()
        progress(name, self.n_blocks * self.block, self.n_blocks * self.block)
        return self._refined()

    def _one_block(self) -> None:
        state, number = self.state, len(self.rows)
        if self.cost is not None and number % _SCALE_EVERY == 0:
            state.scales = self.cost.best_scales(state.waves())
        state.temperature = self._temperature(number)
        before = time.thread_time()
        tally = state.run(self.block)
        self.seconds += time.thread_time() - before
        if tally.drift[1] > 0:
            self.drift = max(self.drift, float(tally.drift[0] / tally.drift[1]))
        proposed = np.maximum(tally.proposed[:-1], 1)
        rate = tally.accepted[:-1] / proposed
        factor = np.exp(_ADAPTATION * (rate - self.settings.acceptance))
        state.steps = np.clip(state.steps * factor, self.settings.shortest_step_A, self.settings.longest_step_A)
        counts = [tally.proposed.sum(), tally.refused.sum(), tally.accepted.sum()]
        self.rows.append([*(float(c) for c in counts), state.penalty(), *self._chi_squared()])
        if (number + 1) % _CHECK_EVERY == 0:
            self._check()

    def _temperature(self, block: int) -> float:
        """Divisor of the misfit: from chi squared per atom of the start down to 1 over the annealing."""
        cooling = self.settings.annealing * self.n_blocks
        hottest = max(1.0, sum(self.first_chi) / len(self.start))
        return float(hottest ** (1 - block / cooling)) if block < cooling else 1.0

    def _chi_squared(self) -> list[float]:
        if self.cost is None:
            return []
        return [float(v) for v in self.cost.chi_squared(self.state.waves(), self.state.scales)]

    def _check(self) -> None:
        """Compare the kept pair sums with a recomputation from the positions."""
        if self.cost is None:
            return
        fresh = self.state.pair_sums()
        off = float(np.abs(fresh - self.state.H).max() / np.abs(fresh).max())
        self.drift = max(self.drift, off)
        if self.drift > LARGEST_DRIFT:
            raise NotConverged(
                f"refine: the state kept move by move is off by {self.drift:.1e} of its recomputation, more than "
                f"{LARGEST_DRIFT:.0e}; please report this start and these data"
            )

    def _save(self) -> None:
        if self.directory is None:
            return
        state = self.state
        arrays = {
            "where": state.where,
            "steps": state.steps,
            "scales": state.scales,
            "rows": np.array(self.rows, dtype=float).reshape(len(self.rows), 4 + len(self.data)),
            "drift": np.array([self.drift, self.seconds]),
        }
        generator = dict(state.random.bit_generator.state)
        mark = int(self.finished)  # a checkpoint of a finished run holds one "frame": its result
        write_checkpoint(self.directory, Checkpoint(self.facts, len(self.rows), mark, generator, {}, arrays))

    def _resume(self) -> None:
        found = None if self.directory is None else read_checkpoint(self.directory)
        if found is None or self.directory is None:
            return
        check_settings(self.directory, found.settings, self.facts)
        state = self.state
        state.where = np.ascontiguousarray(found.arrays["where"])
        state.steps, state.scales = found.arrays["steps"], found.arrays["scales"]
        state.random.bit_generator.state = dict(found.generator)
        self.rows = [list(map(float, row)) for row in found.arrays["rows"]]
        self.drift, self.seconds = (float(v) for v in found.arrays["drift"])
        self.finished = bool(found.n_frames)
        if self.cost is not None:
            state.H[:] = state.pair_sums()

    def _refined(self) -> Refined:
        state = self.state
        rows = np.array(self.rows)
        atoms = Atoms(state.symbols, positions=state.positions(), cell=state.cell, pbc=True)
        scales = {d.name: float(s) for d, s in zip(self.data, state.scales, strict=True)}
        models = {d.name: exact_model(atoms, d, self.r_end) for d in self.data}
        proposed, refused, accepted = (float(v) for v in rows[:, :3].sum(axis=0))
        chi_squared = rows[:, 4:]
        last = rows[-max(1, len(rows) // 10) :]
        settled = rows[math.ceil(self.settings.annealing * self.n_blocks) :]
        return Refined(
            atoms=atoms,
            models=models,
            rw={d.name: rw(scaled(models[d.name], scales[d.name]), d.curve) for d in self.data},
            rw_start={d.name: rw(exact_model(self.start, d, self.r_end), d.curve) for d in self.data},
            chi_squared=chi_squared,
            penalty=rows[:, 3],
            scales=scales,
            acceptance=accepted / proposed,
            refused=refused / proposed,
            moves=int(proposed),
            moves_per_second=proposed / max(self.seconds, 1e-9),
            steps_A=dict(zip(state.elements, (float(s) for s in state.steps), strict=True)),
            drift=self.drift,
            convergence=judged(settled[:, 3:].sum(axis=1), float(last[:, 2].sum() / last[:, 0].sum())),
            r_end_A=self.r_end,
            notes=(*self.notes, *(f"{d.name}: {note}" for d in self.data for note in d.notes)),
        )


def _block(moves: int, n_atoms: int) -> int:
    """Moves between two looks at the state: one per atom, at least 2000, fewer where that leaves under 50 blocks."""
    return max(_SMALLEST_BLOCK, min(max(_LARGEST_BLOCK, n_atoms), moves // _BLOCKS))


def scaled(model: Curve, scale: float) -> Curve:
    """Return a model times the scale of its data set; the limit of S(Q) and g(r) stays."""
    limit = 1.0 if model.quantity in (Quantity.S_OF_Q, Quantity.G_OF_R) else 0.0
    return Curve(model.quantity, model.x, limit + scale * (model.y - limit))
