"""mlsim: amorphous solid electrolytes from composition to conductivity, beside the experiment.

Objects and functions load when first used, so that `import mlsim` stays fast.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "Composition": "mlsim.composition",
    "Curve": "mlsim.curve",
    "Estimate": "mlsim.curve",
    "Measurement": "mlsim.curve",
    "Quantity": "mlsim.curve",
    "Trajectory": "mlsim.trajectory",
    "estimate_over": "mlsim.curve",
    "oxyhalide_series": "mlsim.composition",
    "weighted_profile_r": "mlsim.curve",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mlsim' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
