"""The merged weights of one MACE model and their file.

The file is an npz archive of float64 arrays and one JSON header, read without pickle, torch or mace.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsim.atomic import atomic_path
from mlsim.errors import DataError

__all__ = [
    "FORMAT",
    "VERSION",
    "ZBL",
    "MergedLayer",
    "MergedModel",
    "NotCompilable",
    "file_sha256",
    "read_merged",
    "write_merged",
]

FORMAT = "mlsim compiled MACE"
VERSION = 1

Floats = NDArray[np.float64]


class NotCompilable(DataError):
    """The model does not fit the compiled engine; it runs through MACECalculator."""


@dataclass(frozen=True)
class ZBL:
    """Ziegler-Biersack-Littmark repulsion of one model, as mace writes it.

    Attributes
    ----------
    prefactor_eV_A
        scale · 14.3996 Z_i Z_j, eV Å; shape (element, element).
    inverse_a_per_A
        1 / screening length, 1/Å; shape (element, element).
    reach_A
        Where the envelope ends (sum of covalent radii), Å; shape (element, element).
    weights
        Weights of the four exponentials; shape (4,).
    power
        Power p of the polynomial envelope.
    """

    prefactor_eV_A: Floats
    inverse_a_per_A: Floats
    reach_A: Floats
    weights: Floats
    power: int


@dataclass(frozen=True)
class MergedLayer:
    """Merged weights of one layer; see `mlsim.potential.engine.kernels` for the equations.

    Attributes
    ----------
    table
        Radial functions on the grid: value, and derivative times the grid step; shape (table, node, 2, l, channel).
    mix
        Mixing of channels; shape (1 or element, l, channel, channel).
    linear, square, cubic
        Weights of the product; shapes (element, channel), (element, l, channel), (element, path, channel).
    terms
        Monomials of the cubic invariants: path and three rows (l, m); shape (term, 4).
    factors
        Their coefficients; shape (term,).
    """

    table: Floats
    mix: Floats
    linear: Floats
    square: Floats
    cubic: Floats
    terms: NDArray[np.int64]
    factors: Floats


@dataclass(frozen=True)
class MergedModel:
    """Everything that the engine needs of one model.

    Attributes
    ----------
    numbers
        Atomic numbers in the order of the element index.
    cutoff_A, table_start_A
        Ends of the radial grid, Å.
    layers
        One or two layers.
    pair_table
        Index of the radial table of a pair of elements; shape (element, element).
    sender, atom_energy, energy1
        Features that layer 1 sends, energy of the atom alone (eV), weights of layer 1's product in the energy (eV).
    up, up_shift
        Layer 1's product to the features that layer 2 sends; empty with one layer.
    hidden1, hidden2, hidden_shift, out, gate
        The last readout: inputs from both products, output weights (eV) and its gate; empty with one layer.
    zbl
        Pair repulsion or None.
    provenance
        Source name and sha256, tolerance reached, versions.
    """

    numbers: tuple[int, ...]
    cutoff_A: float
    table_start_A: float
    layers: tuple[MergedLayer, ...]
    pair_table: NDArray[np.int64]
    sender: Floats
    atom_energy: Floats
    energy1: Floats
    up: Floats
    up_shift: Floats
    hidden1: Floats
    hidden2: Floats
    hidden_shift: Floats
    out: Floats
    gate: str
    zbl: ZBL | None
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.sender.shape[1])

    @property
    def l_max(self) -> int:
        """Largest angular momentum of the messages."""
        return int(self.layers[0].table.shape[3]) - 1

    @property
    def intervals(self) -> int:
        """Number of intervals of the radial grid."""
        return int(self.layers[0].table.shape[1]) - 1


ARRAYS = (
    "pair_table", "sender", "atom_energy", "energy1", "up", "up_shift", "hidden1", "hidden2", "hidden_shift", "out",
)  # fmt: skip


ZBL_ARRAYS = ("prefactor_eV_A", "inverse_a_per_A", "reach_A", "weights")


def file_sha256(path: str | Path) -> str:
    """Return the sha256 of a file as hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_merged(path: str | Path, model: MergedModel) -> None:
    """Write a merged model; the file appears whole or not at all."""
    path = Path(path)
    arrays: dict[str, NDArray[Any]] = {name: getattr(model, name) for name in ARRAYS}
    for t, layer in enumerate(model.layers):
        arrays |= {f"layer{t}_{f.name}": getattr(layer, f.name) for f in fields(MergedLayer)}
    if model.zbl is not None:
        arrays |= {f"zbl_{name}": getattr(model.zbl, name) for name in ZBL_ARRAYS}
    header = {
        "format": FORMAT,
        "version": VERSION,
        "numbers": list(model.numbers),
        "cutoff_A": model.cutoff_A,
        "table_start_A": model.table_start_A,
        "n_layers": len(model.layers),
        "gate": model.gate,
        "zbl_power": None if model.zbl is None else model.zbl.power,
        "arrays_sha256": arrays_sha256(arrays),
        "provenance": model.provenance,
    }
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_merged(path: str | Path) -> MergedModel:
    """Read a merged model.

    Raises
    ------
    DataError
        If the file is none of ours, of another version, or its arrays are not the ones that were written.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected one that `mlsim potential compile` wrote")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        header = json.loads(arrays.pop("header").tobytes())
        kind, version = header["format"], header["version"]
    except Exception as error:  # numpy and zipfile raise whatever they like on foreign bytes
        text = (str(error).splitlines() or [type(error).__name__])[0][:80]
        raise DataError(f"{path}: not a compiled potential ({text}); write it with `mlsim potential compile`") from None
    if kind != FORMAT:
        raise DataError(f"{path}: format {kind!r}, expected {FORMAT!r}")
    if version != VERSION:
        raise DataError(f"{path}: format version {version}, expected {VERSION}; compile the model again")
    if arrays_sha256(arrays) != header["arrays_sha256"]:
        raise DataError(f"{path}: arrays do not have the sha256 of the header, the file is damaged; compile it again")
    power = header["zbl_power"]
    zbl = None if power is None else ZBL(**{name: arrays[f"zbl_{name}"] for name in ZBL_ARRAYS}, power=power)
    return MergedModel(
        numbers=tuple(header["numbers"]),
        cutoff_A=header["cutoff_A"],
        table_start_A=header["table_start_A"],
        layers=tuple(
            MergedLayer(**{f.name: arrays[f"layer{t}_{f.name}"] for f in fields(MergedLayer)})
            for t in range(header["n_layers"])
        ),
        gate=header["gate"],
        zbl=zbl,
        provenance=header["provenance"],
        **{name: arrays[name] for name in ARRAYS},
    )


def arrays_sha256(arrays: dict[str, NDArray[Any]]) -> str:
    """Return the sha256 of names and values."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
