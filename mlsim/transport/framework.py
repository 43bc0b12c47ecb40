"""Does the framework move too? A glass whose anions diffuse within the run is a liquid on that time scale.

A second criterion beside the kink of the quench (`mlsim.melt_quench.glass_transition`), and the sounder one for small
cells: the kink of a few hundred atoms is uncertain by a hundred kelvin, while D of the framework is measured at the
very temperature that is in question.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mlsim.trajectory import Trajectory
from mlsim.transport.diffusion import Diffusion, diffusivity

__all__ = ["framework_diffusivities", "framework_undecided", "liquid_reason"]

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
