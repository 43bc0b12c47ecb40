"""How numerical functions are compiled: once per machine where a folder can be written, else once per process."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

__all__ = ["compiled"]

# sums keep their order ("reassoc" is absent): the same positions give the same bits
OPTIONS: dict[str, Any] = {"fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy", "nogil": True}

Function = TypeVar("Function", bound=Callable[..., Any])
_uncached: list[str] = []


def compiled(function: Function) -> Function:
    """Return the function compiled by numba when first called, from numba's cache if it was compiled before.

    Notes
    -----
    numba looks at the source file of the function only: after a change in a module that it calls, remove `__pycache__`.
    """
    try:
        result: Function = njit(cache=True, **OPTIONS)(function)
    except RuntimeError:  # numba found no folder for its cache
        result = njit(**OPTIONS)(function)
        if not _uncached:
            warnings.warn(
                "no writable folder for compiled code: mlsim compiles anew in every process (about 10 s); "
                "set NUMBA_CACHE_DIR to a folder that can be written",
                stacklevel=2,
            )
        _uncached.append(function.__name__)
    return result
