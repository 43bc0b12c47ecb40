"""Potentials: the only importer of torch and mace, and only when something here is used."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Committee": "committee",
    "PotentialInfo": "library",
    "TorchSimDynamics": "batched",
    "calibration": "committee",
    "describe": "library",
    "label_dataset": "label",
    "load": "library",
    "load_committee": "committee",
    "read_recipe": "recipe",
    "sample_chains": "recipe",
    "shipped_potentials": "library",
    "torch_sim_model": "batched",
    "train": "train",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"mlsim.potential.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mlsim.potential' has no attribute '{name}'")
