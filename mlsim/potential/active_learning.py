"""Which frames to label next: those of the model's own runs on which its committee disagrees most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write

from mlsim.atomic import atomic_path
from mlsim.errors import DataError
from mlsim.potential.committee import Committee
from mlsim.progress import Progress, SilentProgress

__all__ = ["add_to_dataset", "chosen_by_disagreement", "frame_deviations"]


def frame_deviations(committee: Committee, frames: Sequence[Atoms], progress: Progress | None = None) -> list[float]:
    """Return the largest atomic deviation of each frame, eV/Å."""
    say = progress or SilentProgress()
    found = []
    for done, frame in enumerate(frames, 1):
        bare = Atoms(frame.symbols, positions=frame.positions, cell=frame.cell[:], pbc=True)
        found.append(committee.largest(committee.forces_std(bare)))
        say("disagreement", done, len(frames))
    return found


def chosen_by_disagreement(
    chains: Mapping[str, Sequence[Atoms]], deviations: Mapping[str, Sequence[float]], *, number: int, per_chain: int = 1
) -> dict[str, list[int]]:
    """Return indices of the frames to label by chain: largest deviation first, at most `per_chain` of each chain.

    The compositions take turns, or the one with the largest forces would take all; frames of one chain are correlated,
    hence the limit.

    Raises
    ------
    DataError
        If there are no frames.
    """
    if not any(chains.values()):
        raise DataError("select: no frames to choose from; run 'mlsim potential sample' first")
    queues: dict[str, list[tuple[float, str, int]]] = {}
    for name, frames in chains.items():
        order = np.argsort(deviations[name])[::-1][:per_chain]
        for k in order:
            formula = frames[int(k)].get_chemical_formula(empirical=True)
            queues.setdefault(formula, []).append((float(deviations[name][int(k)]), name, int(k)))
    waiting = sorted((sorted(queue, reverse=True) for queue in queues.values()), reverse=True)
    chosen: dict[str, list[int]] = {}
    turn = 0
    while sum(map(len, chosen.values())) < number and any(waiting):
        queue = waiting[turn % len(waiting)]
        if queue:
            _, name, k = queue.pop(0)
            chosen.setdefault(name, []).append(k)
        turn += 1
    return {name: sorted(indices) for name, indices in sorted(chosen.items())}


def add_to_dataset(
    dataset: Path,
    candidates: Mapping[str, Sequence[Atoms]],
    deviations: Mapping[str, Sequence[float]],
    chosen: Mapping[str, Sequence[int]],
) -> None:
    """Write the chosen frames to `dataset/frames`, each with the deviation it was chosen for; never over a chain."""
    (dataset / "frames").mkdir(parents=True, exist_ok=True)
    for name, indices in chosen.items():
        path = dataset / "frames" / f"{name}.extxyz"
        if path.exists():
            raise DataError(f"{path}: is there already; choose from chains of other names")
        frames = []
        for k in indices:
            frame = candidates[name][k].copy()
            frame.info["committee_eV_A"] = round(float(deviations[name][k]), 4)
            frames.append(frame)
        with atomic_path(path) as temporary:
            write(temporary, frames, format="extxyz")
