"""Options that name two elements, such as Zr-O=2.6."""

from __future__ import annotations

from collections.abc import Sequence

from mlsim.errors import SettingsError

__all__ = ["pair", "pair_lengths"]

Pair = tuple[str, str]


def pair(option: str, text: str) -> Pair:
    """Return the elements of a text such as O-Cl."""
    first, _, second = text.partition("-")
    if not (first and second):
        raise SettingsError(f"{option} {text}: expected two elements, such as O-Cl")
    return first, second


def pair_lengths(option: str, texts: Sequence[str] | None, example: str) -> dict[Pair, float]:
    """Return pairs and lengths in Å of texts such as Zr-O=2.6; the last one given of a pair counts."""
    return dict(_pair_length(option, text, example) for text in texts or [])


def _pair_length(option: str, text: str, example: str) -> tuple[Pair, float]:
    elements, _, length = text.partition("=")
    try:
        return pair(option, elements), float(length)
    except (ValueError, SettingsError):
        raise SettingsError(f"{option} {text}: expected a pair and its length in Å, such as {example}") from None
