"""Hourly statistics and sliding hours of a period, kept as columns: as objects they would take ten times the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isnan
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.alarms import SlidingHour
from greenmine.processing.engine import Statistic
from greenmine.processing.rolling import SlidingHours

_STATISTIC: Final = np.dtype(
    [
        ("start", "<i8"), ("end", "<i8"), ("mean", "<f8"), ("minimum", "<f8"), ("maximum", "<f8"), ("count", "<i4"),
        ("expected", "<f8"), ("capture", "<f8"), ("valid", "?"), ("excluded", "<i4"), ("over", "<i4"), ("suspect", "<i4"),
        ("levels", "<f8", 3), ("there", "?"),
    ]
)  # fmt: skip
"""No figure is NaN."""
_NAMES: Final = (_STATISTIC.names or ())[:-1]
_SLIDING: Final = np.dtype([("hour", "<i8"), ("assessable", "<u8"), ("above", "<u8"), ("worst", "<f8"), ("there", "?")])


class HourlyStatistics(Mapping[int, list[Statistic]]):
    """Statistics of the window ``hour`` by channel, in order.

    Parameters
    ----------
    start, end : int
        The period [minutes since 1970 UTC, half-open]; hours that begin in it are taken.
    """

    def __init__(self, start: int, end: int) -> None:
        self._start, self._count = start, -(-(end - start) // 60)
        self._rows: dict[int, NDArray[np.void]] = {}

    def put(self, s: Statistic) -> None:
        """Take an hour of the period in, in place of what was there of it."""
        if s.channel not in self._rows:
            self._rows[s.channel] = np.zeros(self._count, _STATISTIC)
        self._rows[s.channel][(s.start - self._start) // 60] = (
            s.start, s.end, s.mean, s.minimum, s.maximum, s.count, s.expected, s.capture, s.valid, s.excluded, s.over, s.suspect,
            s.levels, True,
        )  # fmt: skip

    def __getitem__(self, channel: int) -> list[Statistic]:
        rows = self._held(channel)
        told = zip(*(rows[name].tolist() for name in _NAMES), strict=True)
        return [
            Statistic(
                channel, "hour", start, end, _figure(mean), _figure(low), _figure(high), count, expected, capture, valid, None,
                excluded, over, suspect, (_figure(levels[0]), _figure(levels[1]), _figure(levels[2])), restated=False,
            )
            for start, end, mean, low, high, count, expected, capture, valid, excluded, over, suspect, levels in told
        ]  # fmt: skip

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All hours by channel and start: each field of a statistic that the window has, and ``channel``; no figure is NaN."""
        held = [self._held(channel) for channel in self]
        rows = np.concatenate([np.empty(0, _STATISTIC), *held])
        channel = np.repeat(np.array(list(self), np.int32), [len(some) for some in held])
        return {"channel": channel} | {name: rows[name] for name in rows.dtype.names or ()}

    def _held(self, channel: int) -> NDArray[np.void]:
        rows = self._rows[channel]
        held: NDArray[np.void] = rows[rows["there"]]
        return held


class SlidingStatistics:
    """Sliding hours by rule.

    Parameters
    ----------
    start, end : int
        The period [minutes since 1970 UTC, half-open]; hours that share a minute with it are taken.
    """

    def __init__(self, start: int, end: int) -> None:
        self._first, self._count = start // 60, -(-end // 60) - start // 60
        self._rows: dict[int, NDArray[np.void]] = {}

    def put(self, h: SlidingHour) -> None:
        """Take an hour in, in place of what was there of it; others than those of the period are left out."""
        place = h.hour - self._first
        if 0 <= place < self._count:
            if h.rule not in self._rows:
                self._rows[h.rule] = np.zeros(self._count, _SLIDING)
            self._rows[h.rule][place] = (h.hour, h.assessable, h.above, h.worst, True)

    def of(self, rule: int) -> SlidingHours:
        """The hours of a rule."""
        rows = self._rows.get(rule, np.zeros(0, _SLIDING))
        rows = rows[rows["there"]]
        return SlidingHours(*(rows[name] for name in ("hour", "assessable", "above", "worst")))


def _figure(value: float) -> float | None:
    return None if isnan(value) else value
