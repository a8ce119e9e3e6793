"""Durations as people write them: ``"60s"``, ``"15min"``, ``"1h"``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_MILLISECONDS: Final = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
_UNITS: Final = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))
_FORM: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(ms|s|min|h|d)")


def parse_duration(text: str) -> int:
    """Length of a duration.

    Parameters
    ----------
    text : str
        A positive number and one of the units ms, s, min, h, d; fractions such as ``"1.5h"`` are allowed as long
        as they give whole milliseconds.

    Returns
    -------
    int
        The duration [ms].

    Raises
    ------
    ValueError
        If the text has another form, or stands for zero or for a fraction of a millisecond.

    Examples
    --------
    >>> parse_duration("15min"), parse_duration("1.5h")
    (900000, 5400000)
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is not a duration; write a number and a unit, such as '500ms', '60s', '15min', '1h' or '1d'"
        )
    number, unit = match.groups()
    milliseconds = Decimal(number) * _MILLISECONDS[unit]
    if milliseconds != milliseconds.to_integral_value() or milliseconds == 0:
        raise ValueError(f"{text!r} is not a positive whole number of milliseconds")
    return int(milliseconds)


def show_duration(milliseconds: int) -> str:
    """Write a duration in the largest unit of which it has at least two, in whole ones; below two seconds in seconds.

    Examples
    --------
    >>> show_duration(95_000), show_duration(300_000), show_duration(290_000_000_000)
    ('95 s', '5 min', '3356 d')
    """
    unit, size = next((entry for entry in _UNITS if milliseconds >= 2 * entry[1]), _UNITS[-1])
    return f"{milliseconds // size} {unit}"
