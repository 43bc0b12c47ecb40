"""The shapes of a glass: polyhedra close over the periodic boundary, and have the faces that geometry says."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import made_up_snapshot

from mlsim.io.series import SnapshotPart
from mlsim.report.scene import scene_of


def test_six_neighbours_make_an_octahedron_across_the_boundary() -> None:
    scene = scene_of(made_up_snapshot())
    assert len(scene.faces) == 8 and set(scene.faces[:, 3]) == {2}
    assert [name for name, _ in scene.kinds] == ["0 O", "1 O", "2 O"]
    centre = scene.points[0]
    corners = np.unique(scene.faces[:, :3])
    assert len(corners) == 6
    distances = np.sort(np.linalg.norm(scene.points[corners] - centre, axis=1))
    np.testing.assert_allclose(distances, [2.0, 2.0, 2.5, 2.5, 2.5, 2.5])
    assert scene.n_home == 8 and len(scene.points) == 11  # three corners are images of atoms on the other side


def test_every_edge_of_a_polyhedron_has_two_faces_and_every_face_looks_outwards_once() -> None:
    scene = scene_of(made_up_snapshot())
    edges = [tuple(sorted((face[i], face[j]))) for face in scene.faces for i, j in ((0, 1), (1, 2), (2, 0))]
    assert all(edges.count(edge) == 2 for edge in edges)
    assert len(set(edges)) - len(scene.faces) == 6 - 2  # Euler: edges − faces = corners − 2


def test_a_centre_with_three_neighbours_is_drawn_as_lines() -> None:
    snapshot = made_up_snapshot().model_copy(update={"cutoffs_A": {"O-Zr": 2.4}})
    scene = scene_of(snapshot)
    assert len(scene.faces) == 0 and len(scene.bonds) == 2


def test_corners_in_one_plane_are_no_polyhedron() -> None:
    flat = [(5.0, 5.0, 5.0), (7.0, 5, 5), (3.0, 5, 5), (5.0, 7, 5), (5.0, 3, 5)]
    cell = ((10.0, 0.0, 0.0), (0.0, 10.0, 0.0), (0.0, 0.0, 10.0))
    snapshot = SnapshotPart(
        label="flat",
        elements=("Zr", "O", "O", "O", "O"),
        positions_A=flat,
        cell_A=cell,
        center="Zr",
        bridging=("O",),
        cutoffs_A={"O-Zr": 2.4},
    )
    assert len(scene_of(snapshot).faces) == 0 and len(scene_of(snapshot).bonds) == 4


def test_the_cell_has_twelve_edges_of_the_lengths_of_its_vectors() -> None:
    frame = scene_of(made_up_snapshot()).frame
    assert frame.shape == (12, 2, 3)
    np.testing.assert_allclose(np.linalg.norm(frame[:, 1] - frame[:, 0], axis=1), 10.0)
    np.testing.assert_allclose(frame.reshape(-1, 3).mean(axis=0), 0.0, atol=1e-12)


def test_rows_of_a_snapshot_need_three_numbers() -> None:
    with pytest.raises(ValueError, match="three numbers in every row"):
        SnapshotPart(**{**made_up_snapshot().model_dump(), "positions_A": [(0.0, 0.0)] * 8})
