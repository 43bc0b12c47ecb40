"""Potentials as a study sees them: a name, a hash, elements, and a calculator that is loaded when it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from mlsim.errors import DataError, SettingsError
from mlsim.melt_quench import Limits

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

__all__ = ["LoadedWhenNeeded", "ModelFile", "PotentialSource", "committee_limits", "require_elements"]


class PotentialSource(Protocol):
    """What a study needs to know of a potential, and how a worker gets it; it is pickled to the workers."""

    @property
    def name(self) -> str:
        """Name for the result."""

    @property
    def sha256(self) -> str:
        """Hash of the model file."""

    @property
    def elements(self) -> Sequence[str]:
        """Elements that it knows."""

    def load(self) -> Calculator:
        """Return the calculator; called in the worker."""


@dataclass(frozen=True)
class ModelFile:
    """A potential by name or path; of a committee also the deviations at which runs warn and stop, eV/Å."""

    name: str
    sha256: str
    elements: tuple[str, ...]
    cutoff_A: float | None = None
    device: str | None = None
    deviations_eV_A: tuple[float, float] | None = None

    @classmethod
    def named(cls, name: str, device: Literal["auto", "cpu", "cuda"] = "auto") -> ModelFile:
        """Return the potential of that name or path; `auto` is the fastest that is exact (`mlsim.potential.load`)."""
        from mlsim.potential import describe

        info = describe(name)
        chosen = None if device == "auto" else device
        watched = info.deviations_eV_A if device != "cuda" else None  # on a GPU the leader runs alone
        return cls(name, info.sha256, tuple(info.elements), info.cutoff_A, chosen, watched)

    def load(self) -> Calculator:
        """Return the calculator."""
        from mlsim.potential import load

        return load(self.name, device=self.device)


class LoadedWhenNeeded:
    """Calculator that loads the potential at the first step, so that finished stages cost nothing."""

    implemented_properties: Final = ("energy", "forces", "stress")

    def __init__(self, source: PotentialSource | None) -> None:
        self._source = source
        self._loaded: Calculator | None = None
        self.results: dict[str, Any] = {}

    @property
    def cutoff_A(self) -> float | None:
        """Cut-off of the potential, Å, where it is known."""
        return getattr(self._source, "cutoff_A", None)

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str]) -> None:
        """Let the potential answer."""
        loaded = self.loaded()
        loaded.calculate(atoms, properties, system_changes)
        self.results = loaded.results

    def loaded(self) -> Calculator:
        """Return the calculator itself."""
        if self._source is None:
            raise DataError("a stage of this study is not finished; run the same command again")
        if self._loaded is None:
            self._loaded = self._source.load()
        return self._loaded


def committee_limits(source: PotentialSource) -> Limits:
    """Return the limits that a committee was calibrated to; none for a single model."""
    warn, stop = getattr(source, "deviations_eV_A", None) or (None, None)
    return Limits(warn, stop)


def require_elements(wanted: Iterable[str], source: PotentialSource) -> None:
    """Raise SettingsError if a potential does not know all elements that are wanted."""
    elements = list(dict.fromkeys(wanted))
    missing = [element for element in elements if element not in source.elements]
    if missing:
        raise SettingsError(
            f"potential {source.name}: does not know {', '.join(missing)}, wanted are {', '.join(elements)}; "
            f"it knows {', '.join(source.elements)}; choose another potential or composition"
        )
