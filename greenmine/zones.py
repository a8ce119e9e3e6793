"""Local time of a zone for whole arrays of instants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

Times = NDArray[np.int64]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = 1000
_DAY: Final = 86_400_000
_OFFSET: Final = re.compile(r"(?P<sign>[+-])(?P<hour>\d\d):?(?P<minute>\d\d)")


class Zone:
    """A time zone that converts arrays, exact at every change of its clocks.

    Parameters
    ----------
    name : str
        A name of the IANA database (``Asia/Shanghai``) or a fixed offset (``+08:00``).

    Raises
    ------
    ValueError
        If there is no such zone.

    Notes
    -----
    Changes of the clocks are found for the range of the array at hand, by looking at every day; a zone that changed
    twice within a day would be seen wrongly, and none has since 1970.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._zone = _zone(name)

    def local(self, time: ArrayLike) -> Times:
        """Wall-clock time of instants.

        Parameters
        ----------
        time : int64 array
            Instants [ms UTC].

        Returns
        -------
        int64 array
            Wall-clock time, counted as if the wall clock were UTC [ms].
        """
        instants = np.asarray(time, np.int64)
        changes, offsets = self._changes(instants)
        return instants + offsets[np.searchsorted(changes, instants, side="right")]

    def utc(self, local: ArrayLike, *, second: bool = False) -> Times:
        """Instants of wall-clock times.

        Parameters
        ----------
        local : int64 array
            Wall-clock time, counted as if the wall clock were UTC [ms].
        second : bool
            For a wall-clock time that occurs twice: take the second pass. A time that the clocks skip is read with
            the offset before the change, or after it when ``second`` is set (PEP 495, fold).

        Returns
        -------
        int64 array
            Instants [ms UTC].
        """
        wall = np.asarray(local, np.int64)
        changes, offsets = self._changes(wall)
        pick = np.minimum if second else np.maximum
        thresholds = changes + pick(offsets[:-1], offsets[1:])
        return wall - offsets[np.searchsorted(thresholds, wall, side="right")]

    def text(self, time: Times) -> list[str]:
        """ISO 8601 texts with offset of instants [ms UTC]; milliseconds only where some instant has them."""
        local = self.local(time)
        unit: Literal["ms", "s"] = "ms" if np.any(local % _SECOND) else "s"
        stamps = np.datetime_as_string(local.astype("datetime64[ms]"), unit=unit).tolist()
        minutes = (local - time) // 60_000
        values, inverse = np.unique(minutes, return_inverse=True)
        signs = [f"{'-' if m < 0 else '+'}{abs(m) // 60:02}:{abs(m) % 60:02}" for m in values.tolist()]
        return [stamp + signs[i] for stamp, i in zip(stamps, inverse.tolist(), strict=True)]

    def _changes(self, times: Times) -> tuple[Times, Times]:
        """Instants at which the offset changes around ``times``, and the offsets before, between and after them."""
        if not times.size:
            return np.empty(0, np.int64), np.zeros(1, np.int64)
        first, last = (_year(int(time)) for time in (times.min() - 2 * _DAY, times.max() + 2 * _DAY))
        changes = [change for year in range(first, last + 1) for change in _changes_in(self._zone, year)]
        offsets = [_offset(self._zone, _new_year(first)), *(after for _, after in changes)]
        return np.array([instant for instant, _ in changes], np.int64), np.array(offsets, np.int64)


@lru_cache(maxsize=4096)
def _changes_in(zone: tzinfo, year: int) -> tuple[tuple[int, int], ...]:
    """Changes of the offset in a year UTC: the instant, and the offset from then on [ms]."""
    days = range(_new_year(year), _new_year(year + 1) + 1, _DAY)
    offsets = [_offset(zone, day) for day in days]
    return tuple(
        (_change(zone, day - _DAY, day, before), after)
        for day, before, after in zip(days[1:], offsets, offsets[1:], strict=False)
        if before != after
    )


def _change(zone: tzinfo, low: int, high: int, before: int) -> int:
    """Find the instant in (low, high] at which the offset is no longer ``before``."""
    while high - low > _SECOND:
        middle = (low + high) // 2 // _SECOND * _SECOND
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: tzinfo, time: int) -> int:
    offset = (_EPOCH + timedelta(milliseconds=time)).astimezone(zone).utcoffset() or timedelta()
    return round(offset.total_seconds()) * _SECOND


def _year(time: int) -> int:
    return (_EPOCH + timedelta(milliseconds=time)).year


def _new_year(year: int) -> int:
    return round((datetime(year, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds()) * _SECOND


def _zone(name: str) -> tzinfo:
    if name in {"UTC", "Z"}:
        return UTC
    if match := _OFFSET.fullmatch(name):
        size = timedelta(hours=int(match["hour"]), minutes=int(match["minute"]))
        if size < timedelta(days=1):
            return timezone(-size if match["sign"] == "-" else size)
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # a bad path, a folder of the database, an unknown name
        right = "a name such as Asia/Shanghai, or an offset such as +08:00"
        raise ValueError(f"{name!r} is not a time zone: {right}") from None
