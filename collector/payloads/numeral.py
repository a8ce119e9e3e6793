"""Numbers as devices write them: as numbers of JSON, or as text."""

from __future__ import annotations

import re
from typing import Any, Final

_NUMERAL: Final = re.compile(r"\s*[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?\s*", re.ASCII)
_LONGEST: Final = 64
"""Longest text that is looked at."""


_LARGEST: Final = 2**53


def text(sent: Any) -> str | None:
    """A text, whole number or truth value as a text (``true``, ``false``); None for anything else."""
    if isinstance(sent, str):
        return sent
    if isinstance(sent, bool):
        return "true" if sent else "false"
    return str(sent) if isinstance(sent, int) and abs(sent) <= _LARGEST else None


def number(sent: Any) -> float | None:
    """The number that was sent; None if it is none. True and false are none, and neither are ``nan`` and ``1_000``.

    Examples
    --------
    >>> number("35.67"), number(5), number("5 ug"), number(True)
    (35.67, 5.0, None, None)
    """
    if isinstance(sent, str):
        return float(sent) if len(sent) <= _LONGEST and _NUMERAL.fullmatch(sent) else None
    if isinstance(sent, bool) or not isinstance(sent, int | float):
        return None
    try:
        return float(sent)
    except OverflowError:  # an integer of more than 308 digits
        return float("inf")
