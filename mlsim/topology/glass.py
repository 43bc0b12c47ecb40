"""Topology of one glass, averaged over its frames, and estimates over independent glasses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlsim.curve import Estimate, estimate_over
from mlsim.errors import DataError, SettingsError
from mlsim.topology.bonds import Bonds, bonds_of, links_between, neighbour_counts, polyhedra_of
from mlsim.topology.cutoffs import first_peak_A, sorted_pairs
from mlsim.topology.network import network_numbers

__all__ = ["Topology", "estimates_over_glasses", "topology_of"]

Floats = NDArray[np.float64]
Pair = tuple[str, str]


@dataclass(frozen=True, eq=False)
class Topology:
    """Who is bonded to whom in one glass; every number is a mean over its frames.

    Attributes
    ----------
    center, bridging, mobile
        The polyhedra's central element, the anions that link them, the mobile ion. Anions that the glass lacks are
        left out of `bridging`.
    cutoffs_A
        Cut-offs that were used, by sorted pair, Å.
    n_atoms
        Atoms of each element.
    n_frames
        Frames averaged over.
    coordination_histograms
        By (a, b) in this direction: entry n is the fraction of the atoms a that have n neighbours b.
    mean_distances_A
        Mean length of the bonds shorter than the cut-off, by sorted pair, Å; no entry for a pair without bonds.
    first_peaks_A
        Position of the first peak of g(r), by sorted pair, Å; no entry for a pair with fewer than six distances.
    polyhedra
        Fraction of the centres with (a, b, ...) neighbours of the anions in the order of `bridging`.
    links
        Linked pairs of centres per centre, by the sorted elements of the anions that both share.
    network
        Clusters, rings, angles and cages by name, see `estimates_over_glasses`.
    """

    center: str
    bridging: tuple[str, ...]
    mobile: str
    cutoffs_A: Mapping[Pair, float]
    n_atoms: Mapping[str, int]
    n_frames: int
    coordination_histograms: Mapping[Pair, Floats]
    mean_distances_A: Mapping[Pair, float]
    first_peaks_A: Mapping[Pair, float]
    polyhedra: Mapping[tuple[int, ...], float]
    links: Mapping[tuple[str, ...], float]
    network: Mapping[str, float]

    def coordination(self, of: str, by: str) -> float:
        """Return the mean number of neighbours `by` around an atom `of`."""
        histogram = self._histogram(of, by)
        return float(histogram @ np.arange(len(histogram)))

    def fraction_with(self, of: str, by: str, fewest: int, most: int | None = None) -> float:
        """Return the fraction of the atoms `of` with `fewest` to `most` neighbours `by` (None: any larger number)."""
        end = None if most is None else most + 1
        return float(self._histogram(of, by)[fewest:end].sum())

    def anion_environments(self, anion: str) -> tuple[float, float, float, float]:
        """Return the fractions of an anion with 0, 1, 2, and 3 or more centres around it; they sum to one."""
        counts = [self.fraction_with(anion, self.center, n, n) for n in range(3)]
        return counts[0], counts[1], counts[2], self.fraction_with(anion, self.center, 3)

    def link_fractions(self) -> dict[str, float]:
        """Return the fractions of the linked pairs of centres: ``corner_<anion>`` each, ``edge`` and ``face``.

        A corner shares one anion, an edge two, a face three or more; they sum to one. Empty when nothing is linked.
        """
        total = sum(self.links.values())
        if not total:
            return {}
        fractions = {f"corner_{anion}": self.links.get((anion,), 0.0) / total for anion in self.bridging}
        fractions["edge"] = sum(n for shared, n in self.links.items() if len(shared) == 2) / total
        fractions["face"] = sum(n for shared, n in self.links.items() if len(shared) >= 3) / total
        return fractions

    def link_fractions_by_anions(self) -> dict[str, float]:
        """Return the fractions of the linked pairs by what they share: ``edge_cl_o``, ``face_cl_cl_cl`` and so on.

        Only edges and faces; with ``corner_<anion>`` they sum to one.
        """
        total = sum(self.links.values())
        kinds = {2: "edge", 3: "face"}
        return {
            "_".join([kinds[min(len(shared), 3)], *(e.lower() for e in shared)]): n / total
            for shared, n in self.links.items()
            if len(shared) > 1
        }

    def _histogram(self, of: str, by: str) -> Floats:
        if (of, by) not in self.coordination_histograms:
            raise DataError(f"topology: no neighbours counted for {of}-{by}; give a cut-off for this pair")
        return self.coordination_histograms[of, by]


def topology_of(
    frames: Sequence[Atoms],
    *,
    cutoffs_A: Mapping[Pair, float],
    center: str = "Zr",
    bridging: Sequence[str] = ("O", "Cl"),
    mobile: str = "Li",
) -> Topology:
    """Return the topology of one glass, averaged over its frames.

    Parameters
    ----------
    frames
        Frames of one glass, periodic, any cell, wrapped or not.
    cutoffs_A
        Å, pairs in either order, as from `bond_cutoffs`. Neighbours are counted for the pairs it holds; those of the
        center with each anion are required.
    center, bridging, mobile
        Elements, see `Topology`. Anions and the mobile ion may be absent from the glass, the center may not.

    Raises
    ------
    DataError
        If the frames hold no center or none of the anions, are not periodic, or are of different atoms.
    SettingsError
        If a cut-off is missing or impossible.

    Notes
    -----
    Exact in any cell: links are told apart by periodic image. Cost is linear in the number of atoms.
    """
    counts = _checked_counts(frames)
    anions = tuple(e for e in bridging if e in counts)
    if center not in counts or not anions:
        missing = center if center not in counts else " or ".join(bridging)
        raise DataError(f"topology: frames hold no {missing}; they hold {', '.join(sorted(counts))}")
    cutoffs = {p: c for p, c in sorted_pairs(cutoffs_A).items() if p[0] in counts and p[1] in counts}
    for anion in anions:
        if _sorted(center, anion) not in cutoffs:
            raise SettingsError(f"topology: no cut-off for {center}-{anion}; add one or take them from bond_cutoffs")
    all_bonds = [bonds_of(atoms, cutoffs) for atoms in frames]
    distances = {pair: _distances(all_bonds, pair) for pair in cutoffs}
    peaks = {pair: first_peak_A(d, cutoffs[pair]) for pair, d in distances.items()}
    links: Counter[tuple[str, ...]] = Counter()
    polyhedra: Counter[tuple[int, ...]] = Counter()
    for bonds in all_bonds:
        links.update(links_between(bonds, center, anions))
        polyhedra.update(polyhedra_of(bonds, center, anions))
    n_centres = counts[center] * len(all_bonds)
    return Topology(
        center=center,
        bridging=anions,
        mobile=mobile,
        cutoffs_A=cutoffs,
        n_atoms=counts,
        n_frames=len(all_bonds),
        coordination_histograms={
            directed: _histogram(all_bonds, *directed) for a, b in cutoffs for directed in ((a, b), (b, a))
        },
        mean_distances_A={pair: float(d.mean()) for pair, d in distances.items() if len(d)},
        first_peaks_A={pair: peak for pair, peak in peaks.items() if peak is not None},
        polyhedra={shell: n / n_centres for shell, n in sorted(polyhedra.items())},
        links={shared: n / n_centres for shared, n in sorted(links.items())},
        network=_mean_network(frames, all_bonds, center, anions, mobile),
    )


def estimates_over_glasses(glasses: Sequence[Topology]) -> dict[str, Estimate]:
    """Return mean and standard error of each number over independent glasses, by name.

    With Zr as center and X each bridging anion, lower case (``zr_o_coordination``, ``cl_terminal_fraction``, ...):

    ================================  ====================================================================
    ``zr_X_coordination``             neighbours X of a Zr
    ``zr_X_distance_A``               mean Zr–X bond length below the cut-off (not the peak of g(r)), Å
    ``zr_X_peak_A``                   first peak of g(r), Å
    ``zr_zr_corner_X_fraction``       share of the linked Zr pairs that share one anion, an X
    ``zr_zr_edge_fraction``           ... two anions
    ``zr_zr_face_fraction``           ... three or more
    ``X_no_zr_fraction``              share of the X with no Zr neighbour
    ``X_terminal_fraction``           ... with one
    ``X_bridging_fraction``           ... with two or more
    ``X_with_li_fraction``            ... with at least one mobile ion, whatever else is there
    ``polyhedron_zroAclB_fraction``   share of the Zr with A neighbours O and B neighbours Cl
    ``zr_zr_edge_X_Y_fraction``       share of the linked Zr pairs that share just an X and a Y; faces alike
    ``li_X_coordination``             neighbours X of a mobile ion
    ``li_cage_volume_A3``             hull of the anions around a mobile ion that has four or more, Å3
    ``X_zr_Y_angle_deg``              mean angle at Zr, and ``zr_X_zr_angle_deg`` at X, degrees
    ``zr_network_largest_fraction``   share of the Zr in the largest cluster of linked polyhedra
    ``zr_network_percolating_...``    directions along which the best cluster percolates, 0 to 3
    ``zr_cluster_mean_size``          polyhedra per cluster
    ``zr_isolated_fraction``          share of the Zr without a link
    ``zr_rings_N_per_zr``             rings of N polyhedra (3 to 8) per Zr, see `rings_of`
    ================================  ====================================================================

    A number that a glass does not define (no bond, no link) rests on the other glasses; one that no glass defines has
    no entry.
    """
    if not len(glasses):
        raise DataError("topology: no glasses to average")
    first = glasses[0]
    for k, glass in enumerate(glasses):
        if (glass.center, glass.bridging, glass.mobile) != (first.center, first.bridging, first.mobile):
            raise DataError(
                f"topology: glass {k} has another center, other anions or another mobile ion than the first"
            )
    shares = {name: 0.0 for glass in glasses for name in _shares(glass)}  # what a glass lacks has a share of zero
    values: dict[str, list[float]] = {}
    for glass in glasses:
        for name, value in (_named_values(glass) | shares | _shares(glass)).items():
            values.setdefault(name, []).append(value)
    return {name: estimate_over(list_, _unit(name)) for name, list_ in values.items()}


def _named_values(glass: Topology) -> dict[str, float]:
    center = glass.center.lower()
    values: dict[str, float] = {}
    for anion in glass.bridging:
        pair, bond = _sorted(glass.center, anion), f"{center}_{anion.lower()}"
        values[f"{bond}_coordination"] = glass.coordination(glass.center, anion)
        if pair in glass.mean_distances_A:
            values[f"{bond}_distance_A"] = glass.mean_distances_A[pair]
        if pair in glass.first_peaks_A:
            values[f"{bond}_peak_A"] = glass.first_peaks_A[pair]
    for kind, fraction in glass.link_fractions().items():
        values[f"{center}_{center}_{kind.lower()}_fraction"] = fraction
    for anion in glass.bridging:
        name = anion.lower()
        values[f"{name}_no_{center}_fraction"] = glass.fraction_with(anion, glass.center, 0, 0)
        values[f"{name}_terminal_fraction"] = glass.fraction_with(anion, glass.center, 1, 1)
        values[f"{name}_bridging_fraction"] = glass.fraction_with(anion, glass.center, 2)
        if (anion, glass.mobile) in glass.coordination_histograms:
            values[f"{name}_with_{glass.mobile.lower()}_fraction"] = glass.fraction_with(anion, glass.mobile, 1)
        if (glass.mobile, anion) in glass.coordination_histograms and glass.mobile != glass.center:
            values[f"{glass.mobile.lower()}_{name}_coordination"] = glass.coordination(glass.mobile, anion)
    return {**values, **glass.network}


def _shares(glass: Topology) -> dict[str, float]:
    """Shares of kinds that not every glass shows: polyhedra by shell, edges and faces by their anions."""
    center = glass.center.lower()
    values = {
        f"{center}_{center}_{kind}_fraction": fraction for kind, fraction in glass.link_fractions_by_anions().items()
    }
    for shell, share in glass.polyhedra.items():
        formula = "".join(f"{anion.lower()}{n}" for anion, n in zip(glass.bridging, shell, strict=True))
        values[f"polyhedron_{center}{formula}_fraction"] = share
    return values


def _mean_network(
    frames: Sequence[Atoms], all_bonds: Sequence[Bonds], center: str, anions: Sequence[str], mobile: str
) -> dict[str, float]:
    """Mean over frames of the numbers of the network; each over the frames that define it."""
    found: dict[str, list[float]] = {}
    for atoms, bonds in zip(frames, all_bonds, strict=True):
        for name, value in network_numbers(atoms, bonds, center, anions, mobile).items():
            found.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _unit(name: str) -> str:
    """Unit that the end of a name says."""
    return next((unit for end, unit in (("_A", "Å"), ("_A3", "Å3"), ("_deg", "degree")) if name.endswith(end)), "1")


def _checked_counts(frames: Sequence[Atoms]) -> dict[str, int]:
    if isinstance(frames, Atoms):
        raise DataError("topology: got one ase.Atoms, expected a sequence of frames; pass [atoms]")
    if not len(frames):
        raise DataError("topology: no frames given")
    counts = dict(Counter(frames[0].get_chemical_symbols()))
    for k, atoms in enumerate(frames):
        if not atoms.pbc.all() or atoms.cell.rank < 3:
            raise DataError(f"topology: frame {k} is not periodic along all three vectors; give it a cell and pbc")
        if Counter(atoms.get_chemical_symbols()) != counts:
            raise DataError(
                f"topology: frame {k} is {atoms.get_chemical_formula(mode='hill')}, the first is "
                f"{frames[0].get_chemical_formula(mode='hill')}; make one Topology for each glass"
            )
    return counts


def _distances(all_bonds: Sequence[Bonds], pair: Pair) -> Floats:
    """Lengths of the bonds between two elements over all frames, each bond twice for like elements."""
    parts = []
    for bonds in all_bonds:
        chosen = (bonds.symbols[bonds.first] == pair[0]) & (bonds.symbols[bonds.second] == pair[1])
        parts.append(bonds.distances[chosen])
    return np.concatenate(parts)


def _histogram(all_bonds: Sequence[Bonds], of: str, by: str) -> Floats:
    counts = np.concatenate([neighbour_counts(bonds, of, by) for bonds in all_bonds])
    histogram = np.bincount(counts) / len(counts)
    histogram.flags.writeable = False
    return np.asarray(histogram)


def _sorted(a: str, b: str) -> Pair:
    return (a, b) if a <= b else (b, a)
