"""Topology of a mixed-anion glass: coordination, links between polyhedra, surroundings of the anions.

`bond_cutoffs` (g(r) -> cut-offs) -> `topology_of` (frames of one glass -> `Topology`) -> `estimates_over_glasses`.
"""

from mlsim.topology.bonds import Bonds, bonds_of, links_between, neighbour_counts, polyhedra_of
from mlsim.topology.cutoffs import BondCutoff, bond_cutoffs, chosen_cutoffs
from mlsim.topology.glass import Topology, estimates_over_glasses, topology_of
from mlsim.topology.roles import roles_of

__all__ = [
    "BondCutoff",
    "Bonds",
    "Topology",
    "bond_cutoffs",
    "bonds_of",
    "chosen_cutoffs",
    "estimates_over_glasses",
    "links_between",
    "neighbour_counts",
    "polyhedra_of",
    "roles_of",
    "topology_of",
]
