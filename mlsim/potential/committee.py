"""A committee of models: one drives the atoms, the others say every k steps how far they disagree with it.

Members that learnt from different draws of the same data agree where the data decide and part where they do not
(H. S. Seung, M. Opper, H. Sompolinsky, COLT 1992, doi:10.1145/130385.130417). Their deviation is no error bar as it
stands; `calibration` sets it against true errors on held-out frames and takes the thresholds from there.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from numpy.typing import NDArray
from scipy.stats import spearmanr

from mlsim.atomic import atomic_write_text
from mlsim.errors import DataError, SettingsError
from mlsim.melt_quench.run import CHECKPOINT_GRID
from mlsim.potential.library import describe, file_sha256

__all__ = [
    "Calibration",
    "Committee",
    "calibration",
    "load_committee",
    "ratio_by_deviation",
    "read_committee_file",
    "write_committee_file",
]

Floats = NDArray[np.float64]
LARGEST_EXTRA_COST = 0.2  # of up to four others; what calling them costs comes on top, and both stay within 25 %
FALSE_ALARMS = 0.05


class Committee(Calculator):  # type: ignore[misc]
    """ASE calculator of one leading model, with the deviation over a committee every `deviation_interval` calls.

    Energy, forces and stress are always those of the leader, so that a run does not depend on when the others were
    asked, and resumes bit by bit. What a run finds here:

    - ``results["forces_std"]``, eV/Å, shape (atom, 3): standard deviation of each force component over all members. It
      is there only after a call that asked all members: one that says that everything changed (ASE's `all_changes`),
      as a run's first call and its first one after each checkpoint, and every `deviation_interval`-th after it. So a
      run that was resumed logs the same deviations as one that was not.
    - ``deviation_interval``: k. A run starts afresh every 20 steps and then asks all members, so that the others cost
      (members - 1) / 20 of the leader for each of the ceil(20 / k) times in between. The default k keeps that within
      20 % for up to five members, and is 20 for more.
    - ``forces_std(atoms)``: the same deviation on demand, for runs that count steps themselves.
    - ``calibration``: thresholds `warn_eV_A` and `stop_eV_A` for the largest atomic deviation, or None.

    The number that is compared with the thresholds is the largest over atoms of the norm of `forces_std` over xyz,
    `Committee.largest(forces_std)`.

    Parameters
    ----------
    leader
        Calculator that drives the atoms.
    others
        The other members; members of one compiled engine may come as one calculator (its `models` are counted).
    deviation_interval
        How many calls between two deviations; by default the smallest divisor of 20 that keeps (members - 1) / k
        within 20 %, and 20 where none does.
    calibration
        Thresholds, see `calibration`.
    """

    implemented_properties = ["energy", "free_energy", "forces", "stress"]  # noqa: RUF012  ASE's name

    def __init__(
        self,
        leader: Any,
        others: Sequence[Any],
        *,
        deviation_interval: int | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.sizes = [len(getattr(member, "models", (member,))) for member in others]
        self.n_members = 1 + sum(self.sizes)
        if self.n_members < 2:
            raise SettingsError(f"committee of {self.n_members} model, expected at least 2, better 4")
        if deviation_interval is not None and deviation_interval < 1:
            raise SettingsError(f"deviation_interval = {deviation_interval}, expected at least 1")
        self.leader, self.others, self.calibration = leader, list(others), calibration
        # a divisor of the grid on which runs start afresh: any other k would ask once more before each such step
        fitting = [k for k in range(1, CHECKPOINT_GRID) if CHECKPOINT_GRID % k == 0]
        cheap = (k for k in fitting if self.n_members - 1 <= LARGEST_EXTRA_COST * k)
        self.deviation_interval = deviation_interval or next(cheap, CHECKPOINT_GRID)
        self._calls = 0

    def __str__(self) -> str:
        """Return one line for logs: members, k and what they cost."""
        asked = math.ceil(CHECKPOINT_GRID / self.deviation_interval)  # between two fresh starts of a run
        share = 100 * (self.n_members - 1) * asked / CHECKPOINT_GRID
        every = f"deviation every k = {self.deviation_interval} steps"
        return f"committee of {self.n_members}: {every}, {share:.0f} % more evaluations"

    def check_state(self, atoms: Atoms, tol: float = 0.0) -> list[str]:
        """Return what differs from the structure of the results; ASE's own comparison takes a tenth of a step."""
        from mlsim.potential.engine.calculator import exact_changes  # slow to import: numba

        return exact_changes(self.atoms, atoms)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Let the leader answer, and all members when it is their turn."""
        if atoms is not None:
            self.atoms = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
        self.leader.calculate(self.atoms, list(properties), system_changes)
        self.results = dict(self.leader.results)
        if set(all_changes) <= set(system_changes):
            self._calls = 0
        if self._calls % self.deviation_interval == 0:
            self.results["forces_std"] = self._deviation(self.atoms, self.results["forces"])
        self._calls += 1

    def forces_std(self, atoms: Atoms) -> Floats:
        """Return the standard deviation of each force component over all members, eV/Å, shape (atom, 3)."""
        self.leader.calculate(atoms, ["forces"], list(all_changes))
        return self._deviation(atoms, self.leader.results["forces"])

    @staticmethod
    def largest(forces_std: Floats) -> float:
        """Return the largest norm over atoms of a deviation of shape (atom, 3), eV/Å."""
        return float(np.linalg.norm(forces_std, axis=1).max())

    def _deviation(self, atoms: Atoms, leading: Floats) -> Floats:
        means, spreads = [np.asarray(leading)], [np.zeros_like(leading)]
        for member in self.others:
            member.calculate(atoms, ["forces"], list(all_changes))
            means.append(np.asarray(member.results["forces"]))
            spreads.append(np.asarray(member.results.get("forces_std", np.zeros_like(leading))))
        weights = np.array([1, *self.sizes], dtype=float)[:, None, None] / self.n_members
        mean = (weights * means).sum(axis=0)
        variance: Floats = (weights * (np.square(spreads) + np.square(means - mean))).sum(axis=0)
        return np.sqrt(variance)


SYMMETRIC_EV_A = 0.01
"""Forces of frames that symmetry holds stay below, eV/Å: what a teacher's grid leaves."""


@dataclass(frozen=True)
class Calibration:
    """What the deviation of a committee is worth, measured on frames that no member learnt from.

    Attributes
    ----------
    rank_correlation
        Spearman's coefficient of atomic deviation and atomic force error.
    scale
        Root mean square of error / of deviation, over all atoms. No factor for a single atom: the same ratio is larger
        where the deviation is small, and smaller where it is large; see `ratio_by_deviation`.
    warn_eV_A
        Largest atomic deviation that 95 % of the held-out frames stay below: beyond it a structure is unlike them.
    stop_eV_A
        Deviation at which the expected error is as large as the held-out forces themselves (root mean square of their
        norms): from there on the model says nothing. Expected with the ratio of the tenth of atoms with the largest
        deviation. Never below `warn_eV_A`.
    n_frames, n_atoms
        How much it rests on.
    """

    rank_correlation: float
    scale: float
    warn_eV_A: float
    stop_eV_A: float
    n_frames: int
    n_atoms: int


def calibration(committee: Committee, frames: Sequence[Atoms]) -> tuple[Calibration, Floats, Floats]:
    """Return thresholds, and atomic deviation and error they come from, eV/Å, of held-out labelled frames.

    Deviation: norm over xyz of the standard deviation over the committee. Error: norm of the difference between the
    leader's force and the label. Frames in which symmetry holds all atoms, such as an ideal crystal, are left out:
    every model is right about them, and they would flatter the correlation.

    Raises
    ------
    DataError
        With fewer than 5 frames, or where the members do not differ or give forces that are not finite.
    """
    frames = [frame for frame in frames if np.abs(frame.get_forces()).max() > SYMMETRIC_EV_A]
    if len(frames) < 5:
        raise DataError(f"calibration: {len(frames)} held-out frames off symmetry, expected at least 5")
    deviations, errors, norms = [], [], []
    for frame in frames:
        bare = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
        with np.errstate(invalid="ignore"):  # said below
            spread = committee.forces_std(bare)
        deviations.append(np.linalg.norm(spread, axis=1))
        errors.append(np.linalg.norm(committee.leader.results["forces"] - frame.get_forces(), axis=1))
        norms.append(np.linalg.norm(frame.get_forces(), axis=1))
        if not (np.isfinite(deviations[-1]).all() and np.isfinite(errors[-1]).all()):
            raise DataError(
                f"calibration: a member gives forces that are not finite for a frame of chain "
                f"{frame.info.get('chain')}; train it again or leave it out"
            )
    deviation, error = np.concatenate(deviations), np.concatenate(errors)
    if not deviation.any() or np.ptp(error) == 0:
        raise DataError("calibration: the members agree to the last bit on every frame, or all errors are the same")
    scale = float(np.sqrt(np.mean(error**2) / np.mean(deviation**2)))
    warn = float(np.quantile([d.max() for d in deviations], 1 - FALSE_ALARMS))
    stop = float(np.sqrt(np.mean(np.concatenate(norms) ** 2)))
    stop /= ratio_by_deviation(deviation, error)[-1]
    rank = float(spearmanr(deviation, error).statistic)
    return Calibration(rank, scale, warn, max(stop, warn), len(frames), len(deviation)), deviation, error


def ratio_by_deviation(deviation: Floats, error: Floats, parts: int = 10) -> list[float]:
    """Return root mean square of error / of deviation in parts of equally many atoms, smallest deviation first.

    Examples
    --------
    >>> ratio_by_deviation(np.array([1.0, 2.0, 0.1, 0.2]), np.array([2.0, 4.0, 0.8, 1.6]), parts=2)
    [8.0, 2.0]
    """
    groups = np.array_split(np.argsort(deviation, kind="stable"), parts)
    with np.errstate(divide="ignore", invalid="ignore"):  # where no member differs
        return [float(np.sqrt(np.mean(error[g] ** 2) / np.mean(deviation[g] ** 2))) for g in groups if len(g)]


def load_committee(models: Sequence[str | Path], **options: Any) -> Committee:
    """Return a committee of models by name or path, the first one leading; compiled ones are evaluated in one pass.

    Parameters
    ----------
    models
        At least two, better four.
    options
        Keywords of `Committee`.

    Raises
    ------
    SettingsError
        If there are fewer than two, or one is there twice.
    """
    from mlsim.potential.engine import CompiledMACE
    from mlsim.potential.library import load

    _require_distinct(models, [describe(model).sha256 for model in models])
    calculators = [load(model) for model in models]
    if not calculators:
        raise SettingsError("committee of 0 models, expected at least 2, better 4")
    leader, others = calculators[0], calculators[1:]
    if others and all(isinstance(c, CompiledMACE) for c in others):
        others = [CompiledMACE([model for c in others for model in c.models])]
    return Committee(leader, others, **options)


def _require_distinct(models: Sequence[str | Path], sha256: Sequence[str]) -> None:
    """Raise SettingsError if a model is there twice, also in its compiled form: it would always agree with itself."""
    for index, (model, found) in enumerate(zip(models, sha256, strict=True)):
        if found in sha256[:index]:
            first = models[list(sha256).index(found)]
            raise SettingsError(
                f"committee: {model} is the same model as {first} (sha256 {found[:12]}...); name each member once"
            )


def write_committee_file(path: Path, models: Sequence[Path], found: Calibration) -> None:
    """Write a committee as JSON: files of its members relative to `path`, their sha256, and its calibration.

    Such a file can be used as a potential: its first member drives, and runs warn and stop at what was calibrated.

    Raises
    ------
    DataError
        If a number of the calibration is not finite; nothing is written.
    SettingsError
        If a member is there twice.
    """
    bad = [key for key, value in asdict(found).items() if not math.isfinite(value)]
    if bad:
        raise DataError(f"{path}: {', '.join(bad)} of the calibration is not finite; no committee is written")
    _require_distinct(models, [file_sha256(model) for model in models])
    members = [
        {"file": os.path.relpath(model.resolve(), path.resolve().parent), "sha256": file_sha256(model)}
        for model in models
    ]
    atomic_write_text(path, json.dumps({"members": members, "calibration": asdict(found)}, indent=1) + "\n")


def read_committee_file(path: Path) -> tuple[list[Path], Calibration]:
    """Return the members of a committee, the leader first, and its calibration.

    Raises
    ------
    DataError
        If the file is no committee, or a member is missing or another file than the one that was calibrated.
    """
    try:
        content = json.loads(path.read_text())
        found = Calibration(**content["calibration"])
        members = [(path.parent / member["file"], str(member["sha256"])) for member in content["members"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DataError(f"{path}: is no committee that `mlsim potential calibrate` wrote ({error!r})") from error
    if len(members) < 2:
        raise DataError(f"{path}: committee of {len(members)} models, expected at least 2, better 4")
    for model, sha256 in members:
        if not model.is_file():
            raise DataError(f"{path}: its member {model} is not there")
        if file_sha256(model) != sha256:
            raise DataError(
                f"{path}: {model} is not the file that was calibrated (its sha256 differs); calibrate again"
            )
    return [model for model, _ in members], found
