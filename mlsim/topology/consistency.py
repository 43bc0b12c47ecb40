"""Do reported numbers agree with each other? Bond counting, and what the choice of cut-offs does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ase import Atoms

from mlsim.errors import SettingsError
from mlsim.topology.glass import estimates_over_glasses, topology_of

__all__ = ["bond_counting", "cutoff_effects", "implied_coordination"]

Pair = tuple[str, str]


def implied_coordination(anions_per_center: float, shares: Mapping[int, float]) -> float:
    """Return the neighbours X of a centre that the shares of X with n centres around them imply.

    N_X/N_centre sum_n n f_n, since a bond has two ends.

    Parameters
    ----------
    anions_per_center
        N_X/N_centre.
    shares
        f_n by n; they sum to at most one.

    Examples
    --------
    >>> round(implied_coordination(4, {0: 0.53, 1: 0.38, 2: 0.09}), 2)
    2.24
    """
    total = sum(shares.values())
    if total > 1.001 or min(shares.values(), default=0.0) < 0:
        raise SettingsError(f"bond counting: shares sum to {total:g}, expected at most 1, none negative")
    return anions_per_center * sum(n * share for n, share in shares.items())


def bond_counting(
    bond: str, anions_per_center: float, none: float, terminal: float, coordination: float, tolerance: float = 0.1
) -> str:
    """Return a sentence on whether a coordination number and the surroundings of the anions agree.

    All anions with more than one centre are taken to bridge two: the implied number is then a lower bound, and the
    upper one follows when they all bridge three.

    Parameters
    ----------
    bond
        Such as Zr-Cl, for the sentence.
    anions_per_center
        N_X/N_centre.
    none, terminal
        Shares of the anions with no and with one centre.
    coordination
        Neighbours X of a centre, as counted or reported.
    tolerance
        By how much it may miss the bounds.

    Examples
    --------
    >>> bond_counting("Zr-Cl", 4, 0.53, 0.38, 5.6)
    'bond counting Zr-Cl: 4 anions per centre, 53 % on none, 38 % on one, 9 % on more imply 2.24 to 2.6 neighbours;
    given are 5.6: not consistent'
    """
    more = max(0.0, 1 - none - terminal)
    low = implied_coordination(anions_per_center, {0: none, 1: terminal, 2: more})
    high = implied_coordination(anions_per_center, {0: none, 1: terminal, 3: more})
    agrees = low - tolerance <= coordination <= high + tolerance
    return (
        f"bond counting {bond}: {anions_per_center:.3g} anions per centre, {none:.0%} on none, {terminal:.0%} on one, "
        f"{more:.0%} on more imply {low:.3g} to {high:.3g} neighbours; given are {coordination:.3g}: "
        f"{'consistent' if agrees else 'not consistent'}"
    ).replace("%", " %")


def cutoff_effects(
    glasses: Sequence[Sequence[Atoms]], cutoffs_A: Mapping[Pair, float], shift_A: float = 0.1, **roles: Any
) -> dict[str, tuple[float, float]]:
    """Return every number with all cut-offs shorter and with all longer by `shift_A`.

    Parameters
    ----------
    glasses
        Frames of each glass.
    cutoffs_A
        As used, Å.
    shift_A
        Å.
    roles
        `center`, `bridging` and `mobile` of `topology_of`.
    """
    found: list[dict[str, float]] = []
    for sign in (-1, 1):
        moved = {pair: cutoff + sign * shift_A for pair, cutoff in cutoffs_A.items()}
        estimates = estimates_over_glasses([topology_of(frames, cutoffs_A=moved, **roles) for frames in glasses])
        found.append({name: e.value for name, e in estimates.items()})
    return {name: (found[0][name], found[1][name]) for name in found[0] if name in found[1]}
