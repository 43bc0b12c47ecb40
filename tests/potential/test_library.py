"""Which calculator a potential gets, and clear words where the files around it do not fit one another."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest

from mlsim.errors import DataError, SettingsError
from mlsim.potential import library
from mlsim.potential.engine import CompiledMACE, NotCompilable, read_merged
from mlsim.potential.engine.merged import write_merged
from mlsim.shipped import shipped_folder

SHIPPED = shipped_folder("potentials") / "lzoc-base"
COMPILE = "mlsim.potential.engine.compile_model"


def test_compiled_form_of_another_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SHIPPED, tmp_path / "lzoc-base")
    merged = read_merged(SHIPPED / "lzoc-base.npz")
    other = dataclasses.replace(merged, provenance=merged.provenance | {"source_sha256": "0" * 64})
    target = tmp_path / "lzoc-base" / "lzoc-base.npz"
    write_merged(target, other)
    monkeypatch.setattr(library, "shipped_folder", lambda _: tmp_path)
    sha256 = json.loads((SHIPPED / "potential.json").read_text())["sha256"]
    message = re.escape(f"{target}: was made from a model with sha256 000000000000..., but that of ")
    with pytest.raises(DataError, match=f"{message}.*{sha256[:12]}...; compile it again"):
        library.load("lzoc-base")


def test_engine_that_cannot_run_it_is_named() -> None:
    with pytest.raises(SettingsError, match="engine 'compild': did you mean"):
        library.load("lzoc-base", engine="compild")  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=r"'lzoc-base.npz': a compiled file holds no model for MACECalculator"):
        library.load(SHIPPED / "lzoc-base.npz", engine="mace")


def test_damaged_form_in_the_cache_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Path] = []

    def compile_model(model: Path, out: Path, *, overwrite: bool) -> None:
        shutil.copy(SHIPPED / "lzoc-base.npz", out)
        made.append(out)

    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path))
    monkeypatch.setattr(COMPILE, compile_model, raising=False)
    # the shipped bytes under another name stand for a model of the user's own
    path = shutil.copy(SHIPPED / "lzoc-base.model", tmp_path / "own.model")
    assert isinstance(library.load(path), CompiledMACE)
    assert isinstance(library.load(path), CompiledMACE)
    assert len(made) == 1
    made[0].write_bytes(made[0].read_bytes()[:2000])
    assert isinstance(library.load(path), CompiledMACE)
    assert len(made) == 2


def test_model_without_compiled_form_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise NotCompilable("own.model: not compiled: model has 3 layers; it runs through MACECalculator")

    monkeypatch.setattr(COMPILE, refuse, raising=False)
    monkeypatch.setattr(library, "_mace_calculator", lambda *_: "MACECalculator")
    path = shutil.copy(SHIPPED / "lzoc-base.model", tmp_path / "own.model")
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path))
    with pytest.warns(
        UserWarning, match="^own.model: not compiled: model has 3 layers; it runs through MACECalculator$"
    ):
        assert library.load(path) == "MACECalculator"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLSIM_CACHE", str(tmp_path / "file"))  # no folder can be made in it
    message = r"own.model: no compiled form can be kept in .*compiled \(Not a directory\); set MLSIM_CACHE"
    with pytest.warns(UserWarning, match=message):
        assert library.load(path) == "MACECalculator"
    with pytest.raises(SettingsError, match=message):
        library.load(path, engine="compiled")
