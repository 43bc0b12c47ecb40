"""Colours of all plots: told apart with every kind of colour vision, readable on white and on dark grey.

After M. Okabe and K. Ito, Color Universal Design (2008), with black and yellow replaced by tones of middle
lightness, so that one palette serves screen, night screen and paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["ANION", "DATA", "DIFFERENCE", "MODEL", "PUBLISHED", "SERIES", "faded", "temperature_colours"]

MODEL: Final = "#2a7fb8"
PUBLISHED: Final = "#d1495b"
DATA: Final = "#8a8f98"
DIFFERENCE: Final = "#3a9d6e"
ANION: Final = {"O": "#d1495b", "Cl": "#3a9d6e"}
SERIES: Final = ("#2a7fb8", "#e08a2b", "#3a9d6e", "#a65fa3", "#8a6d4b", "#4bb3c4", "#d1495b", "#7f8ea3")

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
    return [_between(ranks[t] / last) for t in temperatures_K]


def _between(position: float) -> str:
    low, high, share = (_COLD, _MIDDLE, 2 * position) if position < 0.5 else (_MIDDLE, _HOT, 2 * position - 1)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(low, high, strict=True))
