"""Colours that are used together stay apart with every kind of colour vision, and can be read on both pages."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from mlsim.report.palette import ANION, DATA, DIFFERENCE, MODEL, PUBLISHED, SERIES, temperature_colours

# G. M. Machado, M. M. Oliveira, L. A. F. Fernandes, IEEE Trans. Vis. Comput. Graph. 15, 1291 (2009), severity 1
VISION = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritan": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TOGETHER = {
    "model, published": (MODEL, PUBLISHED),
    "data, model, difference": (DATA, MODEL, DIFFERENCE),
    "anions": tuple(ANION.values()),
    "first four of a series": SERIES[:4],
    "two temperatures": tuple(temperature_colours([300.0, 900.0])),
}
APART = 18.0  # of CIE 1976 colour difference, for which 2.3 can just be seen


def linear(colour: str) -> NDArray[np.float64]:
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    x, y, z = np.cbrt(to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("use", TOGETHER)
def test_colours_used_together_stay_apart(use: str, vision: str) -> None:
    seen = [lab(np.array(VISION[vision]) @ linear(colour)) for colour in TOGETHER[use]]
    assert min(np.linalg.norm(a - b) for a, b in combinations(seen, 2)) > APART


@pytest.mark.parametrize("paper", ["#ffffff", "#14171c"])
def test_lines_can_be_seen_on_the_page_in_light_and_dark(paper: str) -> None:
    def luminance(colour: str) -> float:
        return float(linear(colour) @ np.array([0.2126, 0.7152, 0.0722]))

    for colour in (MODEL, PUBLISHED, DIFFERENCE, DATA, *SERIES[:4]):
        bright, dim = sorted((luminance(colour), luminance(paper)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) > 2.0, colour
