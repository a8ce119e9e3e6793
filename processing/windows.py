"""Legal windows: clock hours, natural days, day and night periods, in the site's zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from greenmine.limits import LONG, SHORT, Conditions, Window

_MINUTE = timedelta(minutes=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def minute_of(moment: datetime) -> int:
    """Minutes since 1970 UTC of an aware datetime."""
    return (moment - _EPOCH) // _MINUTE


def moment_of(minute: int, zone: str) -> datetime:
    """Local time at which a minute since 1970 UTC begins."""
    return (_EPOCH + minute * _MINUTE).astimezone(ZoneInfo(zone))


def offset_minutes(zone: str, minute: int) -> int:
    """What local time is ahead of UTC at a minute [min]."""
    offset = moment_of(minute, zone).utcoffset()
    assert offset is not None
    return offset // _MINUTE


@lru_cache(maxsize=4096)
def bounds(window: Window, day: date, zone: str, conditions: Conditions) -> tuple[int, int]:
    """First minute, and the minute after the last, of the window that begins on a local day.

    Parameters
    ----------
    window : {"day", "daytime", "nighttime"}
        ``nighttime`` is the continuous night that begins on the evening of ``day``.
    day : date
        Local day of the window's beginning.
    zone : str
        IANA name of the zone.
    conditions : Conditions
        The hours at which day and night begin.

    Returns
    -------
    tuple of int
        Minutes since 1970 UTC, half-open. A day with a clock change has 23 or 25 hours.

    References
    ----------
    GB 3095-2026, clause 3 (natural day); GB 12348-2008, clause 3 (day 06:00-22:00, night 22:00-06:00).
    """
    start, end = {
        "day": (time(0), (1, time(0))),
        "daytime": (time(conditions.day_start), (0, time(conditions.night_start))),
        "nighttime": (time(conditions.night_start), (1, time(conditions.day_start))),
    }[window]
    first = datetime.combine(day, start, ZoneInfo(zone))
    last = datetime.combine(day + timedelta(days=end[0]), end[1], ZoneInfo(zone))
    return minute_of(first), minute_of(last)


def windows_touching(window: Window, first: int, last: int, zone: str, conditions: Conditions) -> list[tuple[int, int]]:
    """Windows that share at least a minute with ``first .. last - 1`` (minutes since 1970 UTC), in order."""
    day = moment_of(first, zone).date() - timedelta(days=1)
    found = []
    if window in LONG:
        day = _beginning(window, moment_of(first, zone).date())
        while (start := _midnight(day, zone)) < last:
            day = _beginning(window, day + timedelta(days=_LONGEST[window]))
            found.append((start, _midnight(day, zone)))
        return found
    if window == "8h":
        return [part for whole in windows_touching("day", first, last, zone, conditions)
                for part in thirds(*whole, zone) if part[0] < last and part[1] > first]  # fmt: skip
    while (edge := bounds(window, day, zone, conditions))[0] < last:
        if edge[1] > first:
            found.append(edge)
        day += timedelta(days=1)
    return found


def longest(window: Window) -> int:
    """No such window is longer [min]."""
    return SHORT.get(window) or _LONGEST.get(window, 1) * 24 * 60 + 60


def is_window(window: Window, first: int, last: int, zone: str, conditions: Conditions) -> bool:
    """Whether ``first .. last - 1`` (minutes since 1970 UTC) is such a window."""
    if window in SHORT:
        return last - first == SHORT[window] and (first + offset_minutes(zone, first)) % SHORT[window] == 0
    return (first, last) in windows_touching(window, first, first + 1, zone, conditions)


def thirds(start: int, end: int, zone: str) -> list[tuple[int, int]]:
    """Return the eight hours of the clock that a natural day has, of a day with a clock change seven to nine."""
    day = moment_of(start, zone).date()
    inner = [minute_of(datetime.combine(day, time(hour), ZoneInfo(zone))) for hour in (8, 16)]
    return list(pairwise((start, *inner, end)))


_LONGEST: Final[dict[Window, int]] = {"month": 31, "quarter": 92, "year": 366}
"""Days after the beginning of a long window at which the next one has begun, and not yet the one after that."""


def _beginning(window: Window, day: date) -> date:
    """First day of the month, quarter or year that holds a day."""
    month = {"month": day.month, "quarter": (day.month - 1) // 3 * 3 + 1, "year": 1}[window]
    return day.replace(month=month, day=1)


def _midnight(day: date, zone: str) -> int:
    return minute_of(datetime.combine(day, time(), ZoneInfo(zone)))
