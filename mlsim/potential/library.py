"""Potentials by name or path: where they lie, what they are, and the fastest calculator that is exact for each.

potentials/NAME/NAME.model      the model as mace's trainer wrote it
potentials/NAME/NAME.npz        the same, compiled; runs without torch
potentials/NAME/potential.json  name, elements, cut-off, sha256 of the model
potentials/NAME/committee.json  where there is one: its members (NAME-1.npz, ...), which watch NAME, and its calibration
potentials/NAME/model_card.md   how good it is, with the commands
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ase.data import chemical_symbols

from mlsim.errors import DataError, SettingsError, did_you_mean
from mlsim.potential.trust import cache_folder, remember_trusted, require_trusted
from mlsim.shipped import shipped_folder

__all__ = ["PotentialInfo", "describe", "file_sha256", "load", "shipped_potentials"]

Engine = Literal["auto", "compiled", "mace"]


@dataclass(frozen=True)
class PotentialInfo:
    """What a potential is.

    Attributes
    ----------
    name
        Name of a shipped potential, or the file name.
    path
        The model file.
    compiled
        The compiled form, when there is one.
    sha256
        Of the model file; results carry it.
    elements
        Chemical symbols that it knows.
    cutoff_A
        Radius of one message, Å.
    about
        One line on its origin.
    deviations_eV_A
        Of a committee: the atomic deviations at which a run should warn and stop, eV/Å.
    committee
        Of a committee: the file that names its members.
    """

    name: str
    path: Path
    compiled: Path | None
    sha256: str
    elements: tuple[str, ...]
    cutoff_A: float
    about: str
    deviations_eV_A: tuple[float, float] | None = None
    committee: Path | None = None

    def require(self, elements: tuple[str, ...]) -> None:
        """Raise SettingsError if the potential does not know one of these elements."""
        missing = [e for e in elements if e not in self.elements]
        if missing:
            known = ", ".join(self.elements)
            raise SettingsError(
                f"potential '{self.name}': does not know {', '.join(missing)}; it was trained on {known}"
            )


def shipped_potentials() -> list[str]:
    """Return the names of the potentials that come with mlsim."""
    return sorted(path.parent.name for path in shipped_folder("potentials").glob("*/potential.json"))


def describe(name_or_path: str | Path, *, trust: bool = False) -> PotentialInfo:
    """Return what a potential is; a shipped one is described without loading torch.

    Parameters
    ----------
    name_or_path
        Name of a shipped potential, a MACE model file, a file made by ``mlsim potential compile``, or a committee made
        by ``mlsim potential calibrate``, which is described by its leader.
    trust
        Load a model file of any origin, and remember its sha256; see `mlsim.potential.trust`.

    Raises
    ------
    SettingsError
        If there is no potential of that name and no such file, or the file is not trusted.
    DataError
        If the file is no MACE model, or a shipped file does not match its recorded sha256.
    """
    folder = shipped_folder("potentials") / str(name_or_path)
    if (folder / "potential.json").is_file():
        return _described_by_card(folder)
    path = Path(name_or_path)
    if not path.is_file():
        names = shipped_potentials()
        raise SettingsError(
            f"potential '{name_or_path}': no such file or name; {did_you_mean(str(name_or_path), names)}"
        )
    return _described_by_file(path, trust)


def load(
    name_or_path: str | Path,
    *,
    device: str | None = None,
    dtype: Literal["float32", "float64"] = "float32",
    engine: Engine = "auto",
    threads: int = 1,
    trust: bool = False,
) -> Any:
    """Return an ASE calculator: the compiled engine where it is exact for the model, MACE's own otherwise.

    Parameters
    ----------
    name_or_path
        Name of a shipped potential, a MACE model file, a file made by ``mlsim potential compile``, or a committee made
        by ``mlsim potential calibrate``, for which device, dtype and engine stay at their defaults. A shipped
        committee gives its leader alone where one of them is asked for.
    device
        ``cpu`` or ``cuda``; a GPU is used when there is one and the model is not compiled. The compiled engine is CPU.
    dtype
        Precision of the arithmetic; energies are summed in float64 either way.
    engine
        ``auto``, or one by name: ``compiled`` or ``mace``.
    threads
        Threads of the compiled engine.
    trust
        Load a model file of any origin, although that can run code that is in it; see `mlsim.potential.trust`.

    Raises
    ------
    SettingsError
        If the potential does not exist, its file is not trusted, or the engine asked for cannot run it.
    DataError
        If a file is damaged, or a compiled form was made from another model.
    """
    if engine not in get_args(Engine):
        raise SettingsError(f"engine '{engine}': {did_you_mean(engine, get_args(Engine))}")
    info = describe(name_or_path, trust=trust)
    plain = device in (None, "cpu") and dtype == "float32" and engine == "auto" and threads == 1
    if info.committee is not None and (plain or info.committee == Path(name_or_path)):
        from mlsim.potential.committee import load_committee, read_committee_file

        if not plain:
            raise SettingsError(
                f"potential '{info.name}': a committee takes no device, dtype, engine or threads, "
                f"got {device}, {dtype}, {engine}, {threads}; name its leader"
            )
        members, found = read_committee_file(info.committee)
        return load_committee(members, calibration=found)
    wants_cpu = device in (None, "cpu")
    if engine != "mace" and wants_cpu:
        compiled = info.compiled or _compiled_in_cache(info, required=engine == "compiled")
        if compiled is not None:
            return _compiled_calculator(info, compiled, dtype, threads)
    if engine == "compiled":
        raise SettingsError(f"potential '{info.name}': the compiled engine runs on the CPU, got device {device}")
    if info.path.suffix == ".npz":
        raise SettingsError(
            f"potential '{info.name}': a compiled file holds no model for MACECalculator; name its source"
        )
    return _mace_calculator(info, device, dtype)


def _compiled_calculator(
    info: PotentialInfo, compiled: Path, dtype: Literal["float32", "float64"], threads: int
) -> Any:
    from mlsim.potential.engine import CompiledMACE, read_merged

    merged = read_merged(compiled)
    source = str(merged.provenance.get("source_sha256"))
    if source != info.sha256:
        raise DataError(
            f"{compiled}: was made from a model with sha256 {source[:12]}..., but that of {info.path} is "
            f"{info.sha256[:12]}...; compile it again"
        )
    return CompiledMACE(merged, dtype=dtype, threads=threads)


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _described_by_card(folder: Path) -> PotentialInfo:
    card = json.loads((folder / "potential.json").read_text())
    path = folder / card["model"]
    if not path.is_file() or file_sha256(path) != card["sha256"]:
        raise DataError(f"{path}: is missing or does not match the sha256 in {folder}/potential.json; reinstall mlsim")
    compiled = folder / card["compiled"] if card.get("compiled") else None
    info = PotentialInfo(
        folder.name, path, compiled, card["sha256"], tuple(card["elements"]), float(card["cutoff_A"]), card["about"]
    )
    committee = folder / "committee.json"
    return _of_committee(info, committee) if committee.is_file() else info


def _of_committee(leader: PotentialInfo, path: Path) -> PotentialInfo:
    from mlsim.potential.committee import read_committee_file

    members, measured = read_committee_file(path)
    moving = leader.compiled or leader.path
    if members[0].resolve() != moving.resolve():
        raise DataError(
            f"{path}: is led by {members[0].name}, not by {moving.name}; calibrate again, {moving.name} first"
        )
    return replace(leader, deviations_eV_A=(measured.warn_eV_A, measured.stop_eV_A), committee=path)


def _described_by_file(path: Path, trust: bool) -> PotentialInfo:
    if path.suffix == ".json":
        from mlsim.potential.committee import read_committee_file

        members, _ = read_committee_file(path)
        leader, *_ = [_described_by_file(member, trust) for member in members]
        about = f"committee of {len(members)}, led by {members[0].name}"
        return _of_committee(replace(leader, name=path.name, about=about), path)
    if path.suffix == ".npz":
        from mlsim.potential.engine import read_merged

        merged = read_merged(path)
        elements = tuple(chemical_symbols[z] for z in merged.numbers)
        sha256 = str(merged.provenance["source_sha256"])
        return PotentialInfo(path.name, path, path, sha256, elements, merged.cutoff_A, "compiled MACE model")
    found = file_sha256(path)
    if not trust:
        require_trusted(path, found)
    model = _torch_model(path)
    if trust:
        remember_trusted(found, path)
    elements = tuple(chemical_symbols[int(z)] for z in model.atomic_numbers)
    return PotentialInfo(path.name, path, None, found, elements, float(model.r_max), "MACE model file")


def _compiled_in_cache(info: PotentialInfo, *, required: bool) -> Path | None:
    """Compile a model file once per user; None, with a message, when it does not fit the engine."""
    from mlsim.potential.engine import NotCompilable, compile_model, read_merged

    target = cache_folder() / "compiled" / f"{info.sha256[:32]}.npz"
    with contextlib.suppress(DataError):  # absent, damaged or of an older version: made anew
        read_merged(target)
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        compile_model(info.path, target, overwrite=True)
    except NotCompilable as error:
        if required:
            raise
        warnings.warn(str(error), stacklevel=3)
        return None
    except OSError as error:
        message = f"{info.name}: no compiled form can be kept in {target.parent} ({error.strerror})"
        if required:
            raise SettingsError(f"{message}; set MLSIM_CACHE to a folder that can be written") from error
        warnings.warn(f"{message}; set MLSIM_CACHE; it runs through MACECalculator", stacklevel=3)
        return None
    return target


def _torch_model(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and e3nn warn about each other's internals on import and on loading
        import mace  # noqa: F401  before e3nn, or e3nn's own import order breaks
        import torch

        try:
            model = torch.load(path, map_location="cpu", weights_only=False)
            _ = model.atomic_numbers, model.r_max
        except Exception as error:  # any pickle fault means the same to the user
            raise DataError(f"{path}: is no MACE model that this mace can read ({type(error).__name__})") from error
    return model


def _mace_calculator(info: PotentialInfo, device: str | None, dtype: str) -> Any:
    os.environ.setdefault("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch and e3nn warn about each other's internals on import
        import torch
        from mace.calculators import MACECalculator

        chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
        if chosen == "cuda" and not torch.cuda.is_available():
            raise SettingsError(f"potential '{info.name}': device cuda asked for, but torch sees no GPU; use cpu")
        # NVIDIA's kernels for equivariant models, where they are installed; they change speed, not results
        fast = chosen == "cuda" and importlib.util.find_spec("cuequivariance_torch") is not None
        return MACECalculator(model_paths=str(info.path), device=chosen, default_dtype=dtype, enable_cueq=fast)
