"""Compiled files: written whole, read without torch, refused when they are not what they should be."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numba import njit
from random_models import frames, random_model, write_model

from mlsim import compiled, simd
from mlsim.errors import DataError, SettingsError
from mlsim.potential.engine import (
    CompiledMACE,
    MergedModel,
    NotCompilable,
    compile_model,
    compiling,
    read_merged,
)
from mlsim.potential.engine.extract import merge
from mlsim.potential.engine.merged import file_sha256, write_merged
from mlsim.shipped import shipped_folder


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "random.model", random_model())


@pytest.fixture(scope="module")
def compiled_file(model_file: Path) -> Path:
    out = model_file.with_suffix(".npz")
    compile_model(model_file, out, frames=frames()[:1])
    return out


def header_of(path: Path) -> dict[str, object]:
    with np.load(path) as archive:
        return dict(json.loads(archive["header"].tobytes()))


def with_header(path: Path, out: Path, **changes: object) -> Path:
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["header"] = np.frombuffer(json.dumps(header_of(path) | changes).encode(), np.uint8)
    np.savez(out, allow_pickle=False, **arrays)
    return out


def test_report_and_file_say_what_was_compiled_and_how_exactly(model_file: Path, tmp_path: Path) -> None:
    report = compile_model(model_file, tmp_path / "out.npz")
    assert report.source_sha256 == file_sha256(model_file)
    assert report.description == "16x0e, 2 layers, l_max 2, cut-off 4.2 Å, ZBL; Li O Cl Zr"
    assert report.n_frames == 4
    assert 0 < report.energy_error_eV < 1e-6
    assert 0 < report.force_error_eV_A < 1e-4
    provenance = header_of(report.path)["provenance"]
    assert isinstance(provenance, dict)
    assert provenance["source_sha256"] == report.source_sha256
    assert provenance["energy_error_eV"] == report.energy_error_eV
    assert set(provenance["versions"]) == {"mlsim", "mace", "torch"}


def test_compiling_leaves_the_precision_of_torch_alone(model_file: Path, tmp_path: Path) -> None:
    import torch

    before = torch.get_default_dtype()
    compile_model(model_file, tmp_path / "out.npz")
    assert torch.get_default_dtype() == before


def test_nothing_is_overwritten_silently(model_file: Path, compiled_file: Path) -> None:
    with pytest.raises(SettingsError, match="exists already; choose another name or allow to overwrite it"):
        compile_model(model_file, compiled_file)


def test_inexact_form_is_refused(model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "FORCE_TOLERANCE_EV_A", 1e-12)
    with pytest.raises(
        NotCompilable, match=r"random.model: not compiled: deviates from float64 torch by .* eV/atom and"
    ):
        compile_model(model_file, tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_refusal_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    path = write_model(tmp_path / "deep.model", random_model(k=4, l_max=1, correlation=1, num_interactions=3))
    message = "deep.model: not compiled: model has 3 layers, expected 1 or 2; it runs through MACECalculator"
    with pytest.raises(NotCompilable, match=re.escape(message)):
        compile_model(path, tmp_path / "out.npz")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file, expected a model that mace_run_train wrote"),
        (b"not a model", "not a torch model ("),
    ],
)
def test_what_is_no_model_file_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "some.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
        compile_model(path, tmp_path / "out.npz")


def test_file_gives_back_what_was_merged(model_file: Path, compiled_file: Path) -> None:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.load(model_file, weights_only=False)
    before, after = merge(model), read_merged(compiled_file)
    atoms = frames()[0]
    energies = []
    for merged in (before, after):
        calculator = CompiledMACE(merged)
        calculator.calculate(atoms)
        energies.append(calculator.results["energies"])
    assert np.array_equal(*energies)
    assert isinstance(after, MergedModel)


def test_file_is_the_same_each_time(compiled_file: Path, tmp_path: Path) -> None:
    merged = read_merged(compiled_file)
    write_merged(tmp_path / "again.npz", merged)
    assert header_of(tmp_path / "again.npz") == header_of(compiled_file)


def test_files_of_others_and_damaged_ones_are_refused(compiled_file: Path, tmp_path: Path) -> None:
    def refused(path: Path, message: str) -> None:
        with pytest.raises(DataError, match=re.escape(f"{path}: {message}")):
            CompiledMACE(path)

    refused(tmp_path / "nothing.npz", "no such file, expected one that `mlsim potential compile` wrote")
    (tmp_path / "text.npz").write_text("hello")
    refused(tmp_path / "text.npz", "not a compiled potential (")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    refused(tmp_path / "other.npz", "not a compiled potential (")
    other = with_header(compiled_file, tmp_path / "format.npz", format="something else")
    refused(other, "format 'something else', expected 'mlsim compiled MACE'")
    newer = with_header(compiled_file, tmp_path / "version.npz", version=99)
    refused(newer, "format version 99, expected 1; compile the model again")
    wrong = with_header(compiled_file, tmp_path / "sha.npz", arrays_sha256="0" * 64)
    refused(wrong, "arrays do not have the sha256 of the header, the file is damaged; compile it again")
    half = tmp_path / "half.npz"
    half.write_bytes(compiled_file.read_bytes()[: compiled_file.stat().st_size // 2])
    refused(half, "not a compiled potential (")


def test_molecular_dynamics_needs_no_torch(compiled_file: Path) -> None:
    program = f"""
import sys
import numpy as np
from ase import Atoms
from mlsim.potential.engine import CompiledMACE
calculator = CompiledMACE({str(compiled_file)!r})
calculator.calculate(Atoms("LiCl", positions=[[0, 0, 0], [2, 0.5, 0]], cell=[4, 4, 4], pbc=True))
assert np.isfinite(calculator.results["forces"]).all()
print(sorted({{"torch", "mace", "e3nn"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("folder", sorted(p.parent.name for p in shipped_folder("potentials").glob("*/*.model")))
def test_shipped_potentials_compile_to_the_file_beside_them(folder: str, tmp_path: Path) -> None:
    (model,) = (shipped_folder("potentials") / folder).glob("*.model")
    report = compile_model(model, tmp_path / "again.npz")
    shipped = read_merged(model.with_suffix(".npz"))
    assert shipped.provenance["source_sha256"] == report.source_sha256
    results = []
    for path in (model.with_suffix(".npz"), report.path):
        calculator = CompiledMACE(path)
        calculator.calculate(frames(shipped.numbers)[0])
        results.append(calculator.results["forces"])
    assert results[0] == pytest.approx(results[1], abs=1e-5)


def test_machine_without_a_folder_for_the_cache_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def uncachable(**options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(compiled, "njit", uncachable)
    monkeypatch.setattr(compiled, "_uncached", [])
    with pytest.warns(UserWarning, match="no writable folder for compiled code: mlsim compiles anew in every process"):
        first = compiled.compiled(lambda x: x + 1)
    second = compiled.compiled(lambda x: x + 2)  # a second warning would be an error
    assert first(1) + second(1) == 5


@pytest.mark.parametrize("lanes", [8, 16])
def test_vectors_do_what_numpy_does(lanes: int) -> None:
    w = (0,) * lanes

    @njit
    def operations(a, b, out):  # type: ignore[no-untyped-def]
        x, y = simd.load(a, 3, w), simd.load(b, 0, w)
        simd.store(out, 0, (x * y + simd.splat(b, 2, w)) - simd.positive_part(y) * np.float32(0.5))
        simd.store(out, lanes, simd.sum4(x, y, x * y, simd.zero(a, w)))

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 24)).astype(np.float32)
    out = np.zeros(lanes + 4, np.float32)
    operations(a, b, out)
    x, y = a[3 : 3 + lanes], b[:lanes]
    assert out[:lanes] == pytest.approx(x * y + b[2] - np.maximum(y, 0) * 0.5, abs=1e-6)
    assert out[lanes:] == pytest.approx([x.sum(), y.sum(), (x * y).sum(), 0], abs=1e-5)
