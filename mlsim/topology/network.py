"""The network of linked polyhedra: clusters, percolation, rings; and angles and cages that go with it."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError

from mlsim.topology.bonds import Bonds

__all__ = ["LARGEST_RING", "bond_angles", "clusters_of", "linked_centres", "network_numbers", "rings_of"]

Floats = NDArray[np.float64]
Image = tuple[int, int, int]
Graph = Mapping[int, Sequence[tuple[int, Image]]]

LARGEST_RING = 8


def linked_centres(bonds: Bonds, center: str, anions: Sequence[str]) -> dict[int, list[tuple[int, Image]]]:
    """Return for each centre those that share an anion with it, with their image, each once.

    Returns
    -------
    dict
        By atom index; a neighbour is (atom index, image as seen from the centre at home).
    """
    bridging = np.isin(bonds.symbols[bonds.first], list(anions)) & (bonds.symbols[bonds.second] == center)
    around: dict[int, list[tuple[int, Image]]] = defaultdict(list)
    rows = zip(bonds.first[bridging], bonds.second[bridging], bonds.images[bridging], strict=True)
    for anion, centre, image in rows:
        around[int(anion)].append((int(centre), (int(image[0]), int(image[1]), int(image[2]))))
    graph: dict[int, set[tuple[int, Image]]] = {int(i): set() for i in np.flatnonzero(bonds.symbols == center)}
    for neighbours in around.values():
        for (i, a), (j, b) in combinations(neighbours, 2):
            graph[i].add((j, _minus(b, a)))
            graph[j].add((i, _minus(a, b)))
    return {i: sorted(linked) for i, linked in graph.items()}


def clusters_of(graph: Graph) -> list[tuple[int, int]]:
    """Return size and number of percolating directions of each cluster of linked centres, largest first.

    A cluster percolates along as many independent directions as there are between the images of one of its centres
    that a path through the cluster joins: 1 a chain, 2 a layer, 3 a network.
    """
    home: dict[int, Image] = {}
    clusters = []
    for start in graph:
        if start in home:
            continue
        home[start] = (0, 0, 0)
        size, loops, waiting = 0, [], deque([start])
        while waiting:
            i = waiting.popleft()
            size += 1
            for j, image in graph[i]:
                there = _plus(home[i], image)
                if j not in home:
                    home[j] = there
                    waiting.append(j)
                elif there != home[j]:
                    loops.append(_minus(there, home[j]))
        clusters.append((size, int(np.linalg.matrix_rank(np.array(loops))) if loops else 0))
    return sorted(clusters, reverse=True)


def rings_of(graph: Graph, largest: int = LARGEST_RING) -> dict[int, float]:
    """Return the number of rings of each size per centre, sizes 3 to `largest`.

    A ring is, for a centre and two of its linked neighbours, a shortest way between the two that avoids the centre
    (King's criterion); size counts centres. Each pair of neighbours gives at most one size; counts are per centre.

    References
    ----------
    S. V. King, Nature 213, 1112 (1967), doi:10.1038/2131112a0.
    """
    counts = dict.fromkeys(range(3, largest + 1), 0)
    for centre, neighbours in graph.items():
        for one, other in combinations(neighbours, 2):
            size = _way_around(graph, (centre, (0, 0, 0)), one, other, largest - 2)
            if size is not None:
                counts[size + 2] += 1
    return {size: n / max(len(graph), 1) for size, n in counts.items()}


def bond_angles(bonds: Bonds, vectors: Floats, center: str, one: str, other: str) -> Floats:
    """Return all angles one–center–other at atoms of element `center`, in degrees.

    Parameters
    ----------
    bonds, vectors
        Bonds of a frame and the vector of each, Å, shape (bond, 3).
    center, one, other
        Elements.
    """
    by_centre: dict[int, list[int]] = defaultdict(list)
    wanted = (bonds.symbols[bonds.first] == center) & np.isin(bonds.symbols[bonds.second], [one, other])
    for k in np.flatnonzero(wanted):
        by_centre[int(bonds.first[k])].append(int(k))
    angles = []
    for rows in by_centre.values():
        for a, b in combinations(rows, 2):
            kinds = {bonds.symbols[bonds.second[a]], bonds.symbols[bonds.second[b]]}
            if kinds == {one, other}:
                cosine = vectors[a] @ vectors[b] / (bonds.distances[a] * bonds.distances[b])
                angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.array(angles)


def network_numbers(atoms: Atoms, bonds: Bonds, center: str, anions: Sequence[str], mobile: str) -> dict[str, float]:
    """Return the named numbers of one frame, see `estimates_over_glasses`; what it does not define has no entry."""
    c, m = center.lower(), mobile.lower()
    graph = linked_centres(bonds, center, anions)
    clusters = clusters_of(graph)
    numbers = {
        f"{c}_network_largest_fraction": clusters[0][0] / len(graph),
        f"{c}_network_percolating_directions": float(max(d for _, d in clusters)),
        f"{c}_cluster_mean_size": float(np.mean([size for size, _ in clusters])),
        f"{c}_isolated_fraction": sum(1 for neighbours in graph.values() if not neighbours) / len(graph),
    }
    numbers |= {f"{c}_rings_{size}_per_{c}": n for size, n in rings_of(graph).items()}
    cell = atoms.cell.array
    vectors = atoms.positions[bonds.second] + bonds.images @ cell - atoms.positions[bonds.first]
    for k, one in enumerate(anions):
        for other in anions[k:]:
            _put_mean(numbers, f"{one}_{c}_{other}_angle_deg".lower(), bond_angles(bonds, vectors, center, one, other))
        _put_mean(numbers, f"{c}_{one}_{c}_angle_deg".lower(), bond_angles(bonds, vectors, one, center, center))
    if mobile != center:
        _put_mean(numbers, f"{m}_cage_volume_A3", _cage_volumes(bonds, vectors, mobile, anions))
    return numbers


def _put_mean(numbers: dict[str, float], name: str, values: Floats) -> None:
    if len(values):
        numbers[name] = float(values.mean())


def _cage_volumes(bonds: Bonds, vectors: Floats, mobile: str, anions: Sequence[str]) -> Floats:
    """Volume of the hull of the anions around each mobile ion that has at least four, Å3."""
    rows = (bonds.symbols[bonds.first] == mobile) & np.isin(bonds.symbols[bonds.second], list(anions))
    volumes = []
    for ion in np.unique(bonds.first[rows]):
        corners = vectors[rows & (bonds.first == ion)]
        if len(corners) >= 4:
            try:
                volumes.append(float(ConvexHull(corners).volume))
            except QhullError:  # all in one plane
                volumes.append(0.0)
    return np.array(volumes)


def _way_around(
    graph: Graph, centre: tuple[int, Image], one: tuple[int, Image], other: tuple[int, Image], longest: int
) -> int | None:
    """Steps of the shortest way between two neighbours of a centre that avoids it; None beyond `longest`."""
    seen, waiting = {centre, one}, deque([(one, 0)])
    while waiting:
        (i, image), steps = waiting.popleft()
        if steps == longest:
            return None
        for j, further in graph[i]:
            there = (j, _plus(image, further))
            if there == other:
                return steps + 1
            if there not in seen:
                seen.add(there)
                waiting.append((there, steps + 1))
    return None


def _plus(a: Image, b: Image) -> Image:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _minus(a: Image, b: Image) -> Image:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])
