"""A glass as a still picture: the shapes of `mlsim.report.scene` from one side, the far ones first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from mlsim.report.scene import Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["glass_panel"]

_VIEW: Final = np.array([[0.88, 0.0, -0.47], [-0.2, 0.9, -0.37], [0.43, 0.42, 0.8]])
"""Rows: rightwards, upwards, towards the reader; the page opens with the same view."""


def glass_panel(axes: Axes, scene: Scene) -> None:
    """Draw atoms as discs and polyhedra as shaded faces, coloured by their number of the first bridging anion."""
    from matplotlib.patches import Circle, Polygon

    points = scene.points @ _VIEW.T
    shapes: list[tuple[float, Any]] = []
    for triangle in scene.faces:
        corners = points[triangle[:3]]
        colour = _shaded(scene.kinds[triangle[3]][1], corners)
        patch = Polygon(corners[:, :2], facecolor=(*colour, 0.65), edgecolor=(1, 1, 1, 0.4), linewidth=0.4)
        shapes.append((float(corners[:, 2].mean()), patch))
    for number, (point, species) in enumerate(zip(points, scene.species, strict=True)):
        _, colour, radius = scene.elements[species]
        pale = 1.0 if number < scene.n_home else 0.45
        disc = Circle(point[:2], radius, facecolor=colour, edgecolor="white", linewidth=0.3, alpha=pale)
        shapes.append((float(point[2]) + 0.3, disc))
    for ends in scene.frame @ _VIEW.T:
        axes.plot(ends[:, 0], ends[:, 1], color="0.6", linewidth=0.6, zorder=0)
    for order, (_, patch) in enumerate(sorted(shapes, key=lambda shape: shape[0]), start=1):
        patch.set_zorder(1 + order * 1e-4)
        axes.add_patch(patch)
    _legend(axes, scene)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.set_axis_off()


def _shaded(colour: str, corners: NDArray[np.float64]) -> tuple[float, ...]:
    """Darken a face that is seen from its edge."""
    normal = np.cross(corners[1] - corners[0], corners[2] - corners[0])
    light = 0.55 + 0.45 * abs(normal[2]) / (np.linalg.norm(normal) or 1.0)
    return tuple(light * int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))


def _legend(axes: Axes, scene: Scene) -> None:
    for element, colour, _ in scene.elements:
        axes.plot([], [], "o", color=colour, markersize=4, label=element)
    for name, colour in scene.kinds:
        axes.plot([], [], "s", color=colour, markersize=5, label=f"{scene.center} with {name}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
