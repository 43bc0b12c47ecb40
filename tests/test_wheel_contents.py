"""What the wheel ships beside the package: written down by name in pyproject.toml, so that results stay out."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
_GENERATED = ("results", "__pycache__", ".snakemake")


@pytest.mark.skipif(not (ROOT / "pyproject.toml").is_file(), reason="an installed package, not a checkout")
def test_every_file_of_the_workflows_is_in_the_wheel_and_no_result_is() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    shipped = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for source, target in shipped.items():
        assert (ROOT / source).exists(), source
        assert target == f"mlsim/_shipped/{source}"
    ours = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "workflows").rglob("*")
        if path.is_file() and path.name != ".gitkeep" and not set(path.parts) & set(_GENERATED)
    ]
    assert ours
    assert [path for path in ours if not any(path == key or path.startswith(f"{key}/") for key in shipped)] == []
    assert [key for key in shipped if "results" in key] == []
