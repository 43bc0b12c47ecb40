"""Random MACE models as mace_run_train builds them, and how far the engine is from them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mlsim.potential.engine import CompiledMACE
from mlsim.potential.engine.compiling import check_frames
from mlsim.potential.engine.extract import merge, reference_results

NUMBERS = (3, 8, 17, 40)


def random_model(
    *, k: int = 16, l_max: int = 2, seed: int = 0, first: str = "RealAgnosticInteractionBlock", **other: Any
) -> Any:
    """Return a float32 model; `first` is the interaction of layer 1 (mace_run_train's choice for --model MACE)."""
    import torch
    from e3nn import o3
    from mace import modules

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(seed)
    settings: dict[str, Any] = {
        "r_max": 4.2,
        "num_bessel": 6,
        "num_polynomial_cutoff": 5,
        "max_ell": l_max,
        "interaction_cls": modules.interaction_classes["RealAgnosticResidualInteractionBlock"],
        "interaction_cls_first": modules.interaction_classes[first],
        "num_interactions": 2,
        "num_elements": len(NUMBERS),
        "hidden_irreps": o3.Irreps(f"{k}x0e"),
        "MLP_irreps": o3.Irreps("8x0e"),
        "gate": torch.nn.functional.silu,
        "atomic_energies": np.array([-1.0, -2.0, -3.0, -4.0]),
        "avg_num_neighbors": 12.3,
        "atomic_numbers": list(NUMBERS),
        "correlation": 2,
        "radial_MLP": [8, 8],
        "pair_repulsion": True,
        "atomic_inter_scale": [3.0],
        "atomic_inter_shift": [0.13],
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return modules.ScaleShiftMACE(**settings | other)
    finally:
        torch.set_default_dtype(before)


def frames(numbers: Sequence[int] = NUMBERS) -> list[Atoms]:
    """Return a liquid, a triclinic cell thinner than the cut-off, a cluster, a dimer and a slab."""
    structures = check_frames(numbers, 4.2, seed=3)
    slab = structures[0].copy()
    slab.pbc = (True, True, False)
    return [*structures, slab]


def largest_deviations(model: Any, dtype: Any = "float32") -> dict[str, float]:
    """Return the largest deviation of each property from float64 torch over `frames`."""
    engine = CompiledMACE(merge(model), dtype=dtype)
    worst = dict.fromkeys(("energy", "energies", "forces", "stress"), 0.0)
    structures = frames([int(z) for z in model.atomic_numbers])
    for frame, exact in zip(structures, reference_results(model, structures), strict=True):
        engine.calculate(frame)
        for name in worst:
            if name in engine.results and (name != "stress" or frame.pbc.all()):
                difference = float(np.abs(engine.results[name] - exact[name]).max())
                worst[name] = max(worst[name], difference / (len(frame) if name == "energy" else 1))
    return worst


def write_model(path: Path, model: Any) -> Path:
    """Save a model as mace_run_train does."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(model, path)
    return path
