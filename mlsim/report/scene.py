"""One glass as shapes: atoms, coordination polyhedra and the edges of the cell, ready to be drawn from any side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsim.io.series import SnapshotPart
from mlsim.report.palette import ANION, SERIES, between

__all__ = ["Scene", "scene_of"]

_FEWEST_CORNERS: Final = 4
_RADII_A: Final = {"Li": 0.40, "O": 0.42, "Cl": 0.52}
_COLOURS: Final = {**ANION, "Li": "#8e55c9", "Zr": "#8d99ab"}
_FEW: Final = (42, 127, 184)
_SOME: Final = (205, 195, 175)
_MANY: Final = (224, 138, 43)
_CORNERS: Final = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])


@dataclass(frozen=True)
class Scene:
    """Shapes around the origin, Å.

    Attributes
    ----------
    points
        Atoms, those of the cell first, then corners of polyhedra that lie outside of it; shape (point, 3).
    species
        Index into `elements` of each point.
    n_home
        Atoms in the cell.
    elements
        Symbol, colour and drawn radius in Å of each element.
    faces
        Triangles: three indices into `points` and the index into `kinds`; shape (face, 4).
    bonds
        Lines of centres that have too few corners for a polyhedron; shape (bond, 2).
    kinds
        Name and colour of each kind of polyhedron: by its number of the first bridging anion.
    frame
        Ends of the twelve edges of the cell, shape (12, 2, 3).
    center, label
        Element in the polyhedra, and name of the glass.
    """

    points: NDArray[np.float64]
    species: NDArray[np.int64]
    n_home: int
    elements: tuple[tuple[str, str, float], ...]
    faces: NDArray[np.int64]
    bonds: NDArray[np.int64]
    kinds: tuple[tuple[str, str], ...]
    frame: NDArray[np.float64]
    center: str
    label: str

    def as_json(self) -> Mapping[str, Any]:
        """Return the shapes as plain lists, lengths to 0.001 Å."""
        return {
            "points": self.points.round(3).tolist(),
            "species": self.species.tolist(),
            "home": self.n_home,
            "elements": [list(entry) for entry in self.elements],
            "faces": self.faces.tolist(),
            "bonds": self.bonds.tolist(),
            "kinds": [list(kind) for kind in self.kinds],
            "frame": self.frame.round(3).tolist(),
        }


def scene_of(snapshot: SnapshotPart) -> Scene:
    """Return the shapes of a glass.

    A polyhedron is the convex hull of the anions within the cut-offs of a centre, across the periodic boundary; one
    with fewer than four corners is drawn as lines.
    """
    from ase import Atoms

    from mlsim.topology.bonds import bonds_of

    cell = np.array(snapshot.cell_A)
    home = np.array(snapshot.positions_A).reshape(-1, 3)
    atoms = Atoms(list(snapshot.elements), home, cell=cell, pbc=True)
    cutoffs = {tuple(pair.split("-")): value for pair, value in snapshot.cutoffs_A.items()}
    bonds = bonds_of(atoms, {pair: v for pair, v in cutoffs.items() if snapshot.center in pair})  # type: ignore[misc]
    points = _Points(home, cell)
    first, anion = snapshot.bridging[0], np.isin(bonds.symbols, snapshot.bridging)
    faces: list[tuple[int, int, int, int]] = []
    lines: list[tuple[int, int]] = []
    for center in np.flatnonzero(bonds.symbols == snapshot.center):
        rows = np.flatnonzero((bonds.first == center) & anion[bonds.second])
        corners = [points.index(int(bonds.second[row]), tuple(bonds.images[row].tolist())) for row in rows]
        kind = int((bonds.symbols[bonds.second[rows]] == first).sum())
        triangles = _hull(points.array[corners]) if len(corners) >= _FEWEST_CORNERS else []
        faces += [(corners[a], corners[b], corners[c], kind) for a, b, c in triangles]
        lines += [(int(center), corner) for corner in corners] if not triangles else []
    elements = tuple(dict.fromkeys(snapshot.elements))
    owners = [elements.index(snapshot.elements[atom]) for atom in points.atoms]
    middle = cell.sum(axis=0) / 2
    return Scene(
        points.array - middle,
        np.array(owners, dtype=np.int64),
        len(home),
        tuple(_looks(element, i) for i, element in enumerate(elements)),
        np.array(faces, dtype=np.int64).reshape(-1, 4),
        np.array(lines, dtype=np.int64).reshape(-1, 2),
        _kinds(max((face[3] for face in faces), default=0), first),
        _edges(cell) - middle,
        snapshot.center,
        snapshot.label,
    )


class _Points:
    """Atoms of the cell, and images of them where polyhedra reach out of it."""

    def __init__(self, home: NDArray[np.float64], cell: NDArray[np.float64]) -> None:
        self._cell = cell
        self._rows = list(home)
        self._known: dict[tuple[int, tuple[int, ...]], int] = {(i, (0, 0, 0)): i for i in range(len(home))}
        self.atoms = list(range(len(home)))

    def index(self, atom: int, image: tuple[int, ...]) -> int:
        """Return the index of an atom in a cell, which is added when it is new."""
        key = (atom, image)
        if key not in self._known:
            self._known[key] = len(self._rows)
            self._rows.append(self._rows[atom] + np.array(image) @ self._cell)
            self.atoms.append(atom)
        return self._known[key]

    @property
    def array(self) -> NDArray[np.float64]:
        return np.array(self._rows)


def _hull(corners: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Triangles of the convex hull; none for corners in one plane."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        return [(a, b, c) for a, b, c in ConvexHull(corners).simplices.tolist()]
    except QhullError:
        return []


def _looks(element: str, number: int) -> tuple[str, str, float]:
    return element, _COLOURS.get(element, SERIES[number % len(SERIES)]), _RADII_A.get(element, 0.45)


def _kinds(most: int, anion: str) -> tuple[tuple[str, str], ...]:
    """Names and colours by number of an anion: from blue for none to orange for the most."""
    last = max(most, 1)
    return tuple((f"{n} {anion}", between(_FEW, _SOME, _MANY, n / last)) for n in range(most + 1))


def _edges(cell: NDArray[np.float64]) -> NDArray[np.float64]:
    pairs = [(a, b) for a in _CORNERS for b in _CORNERS if (b - a).sum() == 1 and (b - a).min() == 0]
    return np.array([[a @ cell, b @ cell] for a, b in pairs])
