"""Which bonds a number of the topology counts: the cut-offs that must be known to count it again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlsim.topology.cutoffs import sorted_pairs

__all__ = ["counted_pairs", "counting_method"]

Pair = tuple[str, str]


def counted_pairs(name: str, *, center: str, bridging: Sequence[str], mobile: str) -> tuple[Pair, ...]:
    """Return the sorted pairs of elements whose cut-offs a number of `estimates_over_glasses` depends on.

    Parameters
    ----------
    name
        Of the number.
    center, bridging, mobile
        Elements, as in `mlsim.topology.Topology`.

    Returns
    -------
    tuple
        Of polyhedra, links, clusters and rings the pairs of the centre with every anion: an anion of one kind that is
        or is not shared turns a corner by the other kind into an edge.

    Examples
    --------
    >>> roles = {"center": "Zr", "bridging": ("O", "Cl"), "mobile": "Li"}
    >>> counted_pairs("zr_cl_coordination", **roles), counted_pairs("cl_with_li_fraction", **roles)
    ((('Cl', 'Zr'),), (('Cl', 'Li'),))
    >>> counted_pairs("li_cage_volume_A3", **roles), counted_pairs("zr_zr_corner_o_fraction", **roles)
    ((('Li', 'O'), ('Cl', 'Li')), (('O', 'Zr'), ('Cl', 'Zr')))
    """
    words, c, m = name.split("_"), center.lower(), mobile.lower()
    cation = mobile if m in words and c not in words else center
    named = [anion for anion in bridging if anion.lower() in words]
    linked = words[:2] == [c, c] or words[0] == "polyhedron"
    anions = named if named and not linked else bridging
    return tuple((min(cation, anion), max(cation, anion)) for anion in anions)


def counting_method(
    name: str, cutoffs_A: Mapping[Pair, float], *, center: str, bridging: Sequence[str], mobile: str
) -> str:
    """Return how a number of `estimates_over_glasses` was counted, with the cut-offs in Å that it depends on.

    Parameters
    ----------
    name, center, bridging, mobile
        As for `counted_pairs`.
    cutoffs_A
        Å, pairs in either order, as from `bond_cutoffs`.

    Examples
    --------
    >>> roles = {"center": "Zr", "bridging": ("O", "Cl"), "mobile": "Li"}
    >>> cutoffs = {("O", "Zr"): 2.67, ("Cl", "Zr"): 3.36, ("Cl", "Li"): 3.4}
    >>> counting_method("li_cl_coordination", cutoffs, **roles)
    'bonds shorter than Cl-Li 3.40 Å'
    >>> counting_method("zr_o_distance_A", cutoffs, **roles), counting_method("zr_o_peak_A", cutoffs, **roles)
    ('mean length of bonds shorter than O-Zr 2.67 Å', 'highest peak of g(r) below O-Zr 2.67 Å')
    """
    known = sorted_pairs(cutoffs_A)
    pairs = [p for p in counted_pairs(name, center=center, bridging=bridging, mobile=mobile) if p in known]
    shown = ", ".join(f"{'-'.join(pair)} {known[pair]:.2f} Å" for pair in pairs)
    if name.endswith("_distance_A"):
        return f"mean length of bonds shorter than {shown}"
    return f"highest peak of g(r) below {shown}" if name.endswith("_peak_A") else f"bonds shorter than {shown}"
