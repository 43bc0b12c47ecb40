"""The calibrations with many seeds run only when asked for: `pytest -m slow`."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collection_modifyitems(config, items):
    if "slow" in config.option.markexpr:
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="minutes; run with -m slow"))
