"""Colours of all plots: told apart with every kind of colour vision, readable on white and on dark grey.

After M. Okabe and K. Ito, Color Universal Design (2008), with black and yellow replaced by tones of middle
lightness, so that one palette serves screen, night screen and paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = [
    "ANION",
    "DATA",
    "DIFFERENCE",
    "MODEL",
    "PUBLISHED",
    "SERIES",
    "Colour",
    "between",
    "faded",
    "temperature_colours",
]

MODEL: Final = "#2a7fb8"
PUBLISHED: Final = "#d1495b"
DATA: Final = "#8a8f98"
DIFFERENCE: Final = "#e08a2b"
ANION: Final = {"O": "#c8374b", "Cl": "#6cbf9b"}
SERIES: Final = ("#2a7fb8", "#e08a2b", "#6cbf9b", "#8a6a52", "#8e55c9", "#4bb3c4", "#c8374b", "#7f8ea3")

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

_COLD: Final = (58, 110, 190)
_MIDDLE: Final = (200, 130, 150)
_HOT: Final = (214, 90, 40)


def faded(colour: str, opacity: float) -> str:
    """Return a hexadecimal colour with an opacity, as CSS and plotly take it.

    Examples
    --------
    >>> faded("#2a7fb8", 0.2)
    'rgba(42,127,184,0.2)'
    """
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def temperature_colours(temperatures_K: Sequence[float]) -> list[str]:
    """Return one colour per temperature, from blue (coldest) to orange (hottest).

    Examples
    --------
    >>> temperature_colours([600.0]), temperature_colours([600.0, 900.0])
    (['#3a6ebe'], ['#3a6ebe', '#d65a28'])
    """
    ranks = {t: i for i, t in enumerate(sorted(set(temperatures_K)))}
    last = max(len(ranks) - 1, 1)
    return [between(_COLD, _MIDDLE, _HOT, ranks[t] / last) for t in temperatures_K]


def between(low: Colour, middle: Colour, high: Colour, position: float) -> str:
    """Return the colour at a place between three: 0 is the first, 1 the last.

    Examples
    --------
    >>> between((0, 0, 0), (100, 100, 100), (255, 255, 255), 0.25)
    '#323232'
    """
    first, last, share = (low, middle, 2 * position) if position < 0.5 else (middle, high, 2 * position - 1)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(first, last, strict=True))
