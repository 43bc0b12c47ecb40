"""Does the framework move too? A glass whose anions diffuse within the run is a liquid on that time scale.

A second criterion beside the kink of the quench (`mlsim.melt_quench.glass_transition`), and the sounder one for small
cells: the kink of a few hundred atoms is uncertain by a hundred kelvin, while D of the framework is measured at the
very temperature that is in question.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mlsim.trajectory import Trajectory
from mlsim.transport.diffusion import Diffusion, diffusivity

__all__ = [
    "fastest_in_framework",
    "framework_diffusivities",
    "framework_undecided",
    "liquid_reason",
    "liquids_to_leave_out",
]

_SMALL = 0.05


def framework_diffusivities(
    trajectories: Sequence[Trajectory], element: str, *, temperature_K: float | None = None
) -> list[Diffusion]:
    """Return the diffusivity of each element but the mobile one, against the centre of mass of the cell.

    Parameters
    ----------
    trajectories
        Independent glasses at one temperature.
    element
        The mobile ion.
    temperature_K
        K; by default that of the trajectories.

    Returns
    -------
    list of Diffusion
        By element; empty where the trajectories hold the mobile ion only.
    """
    others = sorted(set(trajectories[0].elements) - {element}) if trajectories else []
    return [diffusivity(trajectories, other, drift="cell", temperature_K=temperature_K) for other in others]


def liquid_reason(framework: Sequence[Diffusion]) -> str | None:
    """Return a sentence with the fastest element of a framework that diffuses; None where it does not."""
    moving = [d for d in framework if d.diffusive]
    if not moving:
        return None
    fastest = max(moving, key=lambda d: d.diffusivity.value)
    return (
        f"{fastest.label} diffuses as well ({fastest.diffusivity.value:.1e} cm2/s): a liquid on the time scale of "
        "these runs"
    )


def framework_undecided(framework: Sequence[Diffusion], mobile: Diffusion) -> bool:
    """True if no framework element is seen to diffuse, but one may, at over a twentieth of the mobile ion's D."""
    return not any(d.diffusive for d in framework) and any(
        (d.upper_bound_cm2_s or math.inf) > _SMALL * mobile.diffusivity.value for d in framework
    )


def fastest_in_framework(framework: Sequence[Diffusion], mobile: Diffusion) -> tuple[str, float, bool] | None:
    """Return the element that may move fastest, its D over that of the mobile ion, and whether that is only a bound.

    Of an element that is not seen to diffuse the 95 % upper bound counts. None where the mobile ion has no D, or an
    element has no bound.
    """
    known = [(d.diffusivity.value if d.diffusive else d.upper_bound_cm2_s, not d.diffusive, d.label) for d in framework]
    there = [(value, bounded, label) for value, bounded, label in known if value is not None]
    if not mobile.diffusive or not mobile.diffusivity.value > 0 or not there or len(there) < len(known):
        return None
    value, bounded, label = max(there)
    return label, value / mobile.diffusivity.value, bounded


def liquids_to_leave_out(
    mobile: Sequence[Diffusion], reasons: Mapping[float, str]
) -> tuple[dict[float, str], str | None]:
    """Return the temperatures that an Arrhenius line should leave out as a liquid's, and a note where it cannot.

    Parameters
    ----------
    mobile
        The mobile ion at each temperature.
    reasons
        By temperature in K, why it is a liquid's (`liquid_reason`).

    Returns
    -------
    tuple
        What `arrhenius` takes as `left_out`; empty, with the note, where fewer than two diffusive temperatures would be
        left, since a line that is said to be a liquid's tells more than none.
    """
    diffusive = [d.temperature_K for d in mobile if d.diffusive]
    if not reasons or len(diffusive) < 2 or sum(t not in reasons for t in diffusive) >= 2:
        return dict(reasons), None
    return {}, "the Arrhenius line takes temperatures of the liquid too: without them fewer than two are left"
