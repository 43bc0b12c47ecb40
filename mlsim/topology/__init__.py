"""Topology of a mixed-anion glass: coordination, links between polyhedra, surroundings of the anions.

`bond_cutoffs` (g(r) -> cut-offs) -> `topology_of` (frames of one glass -> `Topology`) -> `estimates_over_glasses`.
"""

from mlsim.topology.bonds import Bonds, bonds_of, links_between, neighbour_counts, polyhedra_of
from mlsim.topology.consistency import bond_counting, cutoff_effects, implied_coordination
from mlsim.topology.counted import counted_pairs, counting_method
from mlsim.topology.cutoffs import BondCutoff, bond_cutoffs, chosen_cutoffs
from mlsim.topology.glass import Topology, estimates_over_glasses, topology_of
from mlsim.topology.network import bond_angles, clusters_of, linked_centres, rings_of
from mlsim.topology.roles import roles_of

__all__ = [
    "BondCutoff",
    "Bonds",
    "Topology",
    "bond_angles",
    "bond_counting",
    "bond_cutoffs",
    "bonds_of",
    "chosen_cutoffs",
    "clusters_of",
    "counted_pairs",
    "counting_method",
    "cutoff_effects",
    "estimates_over_glasses",
    "implied_coordination",
    "linked_centres",
    "links_between",
    "neighbour_counts",
    "polyhedra_of",
    "rings_of",
    "roles_of",
    "topology_of",
]
