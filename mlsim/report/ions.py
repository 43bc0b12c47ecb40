"""Which ion moves and which cation holds the polyhedra, as the settings or the curves of a run say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlsim.io.series import ReportSeries

__all__ = ["DEFAULT_IONS", "Ions", "ions_of"]


@dataclass(frozen=True)
class Ions:
    """The ion that moves, the cation of the polyhedra and the anions at their corners, as chemical symbols."""

    mobile: str
    center: str
    bridging: tuple[str, ...]

    @property
    def links(self) -> str:
        """The links of the polyhedra in words."""
        return f"{self.center}–{self.center}"


DEFAULT_IONS: Final = Ions("Li", "Zr", ("O", "Cl"))
"""Of a run that does not say it; those of the default settings."""


def ions_of(series: ReportSeries | None) -> Ions:
    """Return the ions of a run; a study keeps its settings apart, but its curves and its glass name them too.

    Examples
    --------
    >>> topology = {"mobile": "Na", "center": "Al", "bridging": ["Cl"]}
    >>> ions_of(ReportSeries(title="t", composition="NaAlCl4", preset="", settings={"topology": topology}))
    Ions(mobile='Na', center='Al', bridging=('Cl',))
    >>> ions_of(None) == DEFAULT_IONS
    True
    """
    if series is None:
        return DEFAULT_IONS
    said = series.settings.get("topology", {})
    glass = series.snapshot
    moves = series.msd[0].element if series.msd else DEFAULT_IONS.mobile
    center = DEFAULT_IONS.center if glass is None else glass.center
    bridging = DEFAULT_IONS.bridging if glass is None else glass.bridging
    return Ions(said.get("mobile", moves), said.get("center", center), tuple(said.get("bridging", bridging)))
