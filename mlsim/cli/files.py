"""Rules about files that every command keeps, and the structures that several read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mlsim.errors import SettingsError

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["Files", "Force", "read_ensembles", "require_absent", "require_own_folder"]

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")]
Files = Annotated[
    list[Path], typer.Argument(metavar="FILE...", help="One glass each: a structure, several frames of it, or a .h5.")
]


def require_absent(path: Path, force: bool) -> None:
    """Refuse to replace a file unless asked to."""
    if path.is_dir():
        raise SettingsError(f"{path}: is a folder; name a file with -o")
    if path.exists() and not force:
        raise SettingsError(f"{path}: is there already; choose another name or add --force to replace it")


def read_ensembles(files: Sequence[Path]) -> list[list[Atoms]]:
    """Return the frames of each file."""
    from mlsim.io.structures import read_structures
    from mlsim.io.trajectories import read_trajectory

    return [
        list(read_trajectory(file).frames()) if file.suffix in (".h5", ".hdf5") else read_structures(file)
        for file in files
    ]


def require_own_folder(folder: Path, checkpoint: Path) -> None:
    """Raise SettingsError if a run would replace results that are not its own: they lie there without a checkpoint."""
    if checkpoint.exists():
        return  # whose run it is, its settings say
    for name in ("glass.extxyz", "thermo.csv", "result.json", "trajectory.h5"):
        if (folder / name).exists():
            raise SettingsError(
                f"{folder / name}: is there already, without the checkpoint of a run; choose another folder with -o"
            )
