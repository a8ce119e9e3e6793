"""Instants as devices write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

UNREADABLE: Final = -(2**62)
"""Stands in a column of times for one that could not be read."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_instant(text: str, zone: ZoneInfo | None) -> int:
    """Read an ISO 8601 date and time.

    Parameters
    ----------
    text : str
        ``YYYY-MM-DDThh:mm[:ss[.fff]][offset]``; a blank may stand for the T.
    zone : ZoneInfo or None
        Zone in which a time without an offset is read; of an hour that the zone has twice, the first. None: such a time is
        unreadable.

    Returns
    -------
    int
        Instant [ms UTC], parts of a millisecond cut off; ``UNREADABLE`` if the text is no such instant.

    Examples
    --------
    >>> parse_instant("2026-11-22T10:00:00+08:00", ZoneInfo("UTC"))
    1795312800000
    >>> parse_instant("2026-11-22 10:00:00", ZoneInfo("Asia/Shanghai"))
    1795312800000
    >>> parse_instant("2026-11-22", ZoneInfo("UTC")) == UNREADABLE
    True
    """
    if text[10:11] not in {"T", " "} or text[13:14] != ":":
        return UNREADABLE
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            if zone is None:
                return UNREADABLE
            moment = moment.replace(tzinfo=zone)
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return UNREADABLE
