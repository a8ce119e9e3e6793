"""Instants at the border: milliseconds UTC inside, ISO 8601 with the site's offset outside."""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _LAST = (
    (datetime(year, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1) for year in (2, 9999)
)  # beyond them there are zones in which an instant has no date
_LOST_PLUS = re.compile(r" (?=\d\d:?\d\d$)")


def now() -> int:
    """The present instant [ms UTC]."""
    return time.time_ns() // 1_000_000


def local(instant: int, zone: str | tzinfo) -> datetime:
    """Instant [ms UTC] as an aware time of a zone."""
    return (_EPOCH + timedelta(milliseconds=instant)).astimezone(_zone(zone))


def _zone(zone: str | tzinfo) -> tzinfo:
    return ZoneInfo(zone) if isinstance(zone, str) else zone


def iso(instant: int) -> str:
    """Instant [ms UTC] as RFC 3339 has it."""
    return local(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(moment: datetime) -> int:
    """Aware time as an instant [ms UTC]."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def utc_text(instant: int) -> str:
    """Instant [ms UTC] to the second, for people who work at the machine."""
    return local(instant, UTC).isoformat(timespec="seconds")


@lru_cache(maxsize=4096)
def midnight(day: date, zone: str | tzinfo) -> int:
    """Instant at which a local day begins [ms UTC]."""
    return milliseconds(datetime(day.year, day.month, day.day, tzinfo=_zone(zone)))


def day_end(instant: int, zone: str) -> int:
    """End of the local day that holds an instant [ms UTC]."""
    return midnight(local(instant, zone).date() + timedelta(days=1), zone)


def parse_time(text: object) -> int:
    """Instant [ms UTC] of an ISO 8601 time with offset.

    A ``+`` that a query string turned into a space is put back.

    Raises
    ------
    ValueError
        The text is not such a time, or has no offset: a zone is never guessed.
    """
    fault = f"{text!r} is not an ISO 8601 time with offset, such as 2026-11-22T10:00:00+08:00 or 2026-11-22T02:00:00Z"
    try:
        moment = datetime.fromisoformat(_LOST_PLUS.sub("+", str(text)))
    except ValueError:
        raise ValueError(fault) from None
    if moment.tzinfo is None:
        raise ValueError(fault)
    instant = milliseconds(moment)
    if not _FIRST <= instant <= _LAST:
        raise ValueError(f"{text!r} is too near the end of the calendar; the years 0002 to 9998 are read")
    return instant
