"""Compiled engine for MACE models with scalar features: `compile_model` once, then `CompiledMACE` without torch."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "CompiledMACE": "calculator",
    "CompiledReport": "compiling",
    "MergedModel": "merged",
    "NotCompilable": "merged",
    "compile_model": "compiling",
    "read_merged": "merged",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"mlsim.potential.engine.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'mlsim.potential.engine' has no attribute '{name}'")
