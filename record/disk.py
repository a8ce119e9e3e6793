"""How long the disk lasts, from what comes in a day."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_KEPT: Final = 62
"""What a reading takes in the record [bytes]; docs/benchmarks.md."""
_PRUNED: Final = 44
"""So much of it leaves with pruning [bytes]."""
_ARCHIVED: Final = 12
"""What it takes in the archive [bytes]."""


def lasting_days(free: int, stored: Mapping[str, int], raw_days: int) -> float | None:
    """Return how many days the disk lasts.

    Parameters
    ----------
    free : int
        [bytes]
    stored : mapping of str to int
        Readings stored on each day of the last week; the most of a day is what comes every day.
    raw_days : int
        So long readings stay in the record before they are pruned; 0: for ever.

    Returns
    -------
    float or None
        Days; None where nothing was stored.
    """
    most = max(stored.values(), default=0)
    if not most:
        return None
    full = most * (_KEPT + _ARCHIVED)
    if not raw_days or free <= raw_days * full:
        return free / full
    return raw_days + (free - raw_days * full) / (full - most * _PRUNED)
