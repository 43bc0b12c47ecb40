"""What the commands of a campaign said beside its numbers, without what the notes of the run say already."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["unsaid"]

_COMMAND: Final = re.compile(r"^(?:transport|mechanism): ")
_AT: Final = re.compile(r"^(?:Arrhenius line: )?([\d.]+(?:, [\d.]+)*) K(?: left out)?: (.*)")
_FLOWS: Final = re.compile(r"^the framework (diffuses as well) at ([\d.]+(?:, [\d.]+)*) K")
_WHICH: Final = re.compile(r"^[A-Z][a-z]? (?=diffuses as well)")


@dataclass(frozen=True)
class _Statement:
    """What is said of some temperatures: up to the first bracket, comma or colon, where the details begin."""

    temperatures: frozenset[float]
    head: str


def unsaid(remarks: Sequence[str], notes: Sequence[str]) -> tuple[str, ...]:
    """Return the remarks that no note holds, once each.

    A command speaks of one temperature at a time, a note of several at once and with other details: such a remark is
    left out when a note says the same of its temperature.

    Examples
    --------
    >>> notes = ["450, 525 K: too short to tell whether it flows (its ...)", "Arrhenius line: 700 K left out: why"]
    >>> unsaid(["transport: 450 K: too short to tell whether it flows", "transport: 700 K left out: why"], notes)
    ()
    >>> unsaid(["transport: 600 K: too short to tell whether it flows", "mechanism: few hops"], notes)
    ('transport: 600 K: too short to tell whether it flows', 'mechanism: few hops')
    """
    known = [statement for note in notes if (statement := _statement(note)) is not None]
    return tuple(remark for remark in dict.fromkeys(remarks) if not _is_said(_COMMAND.sub("", remark), notes, known))


def _is_said(remark: str, notes: Sequence[str], known: Sequence[_Statement]) -> bool:
    whole = re.compile(r"(?<![\w.])" + re.escape(remark))  # "50 K: ..." is not said by "450 K: ..."
    if any(whole.search(note) for note in notes):
        return True
    own = _statement(remark)
    return own is not None and any(own.head == one.head and own.temperatures <= one.temperatures for one in known)


def _statement(text: str) -> _Statement | None:
    """Return what a sentence says of temperatures; None where it does not begin with any."""
    if found := _FLOWS.match(text):
        return _Statement(_kelvin(found[2]), found[1])
    if found := _AT.match(text):
        head = re.split(r" \(|[,:;]", found[2], maxsplit=1)[0]
        return _Statement(_kelvin(found[1]), _WHICH.sub("", head))
    return None


def _kelvin(listed: str) -> frozenset[float]:
    return frozenset(float(kelvin) for kelvin in listed.split(", "))
