"""Local time of a site, for working hours and diurnal patterns."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

MINUTE_MS = 60_000
DAY_MS = 86_400_000
_STEP_MS = 15 * MINUTE_MS
"""Zones change their offset at whole quarters of an hour."""


class Clock:
    """Wall clock of a zone.

    Parameters
    ----------
    zone : str
        IANA name, such as ``Asia/Shanghai``.
    """

    def __init__(self, zone: str) -> None:
        self._zone = zone

    def offsets(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Offset from UTC [min] at each instant [ms UTC], shape (n,)."""
        pieces, where = np.unique(times // _STEP_MS, return_inverse=True)
        return np.array([_offset(self._zone, piece) for piece in pieces.tolist()], np.int64)[where]

    def local_minutes(self, first: int, count: int) -> NDArray[np.int64]:
        """Minutes of the wall clock since 1970-01-01 local, for minutes since 1970 UTC, shape (count,)."""
        minute = np.arange(first, first + count)
        return minute + self.offsets(minute * MINUTE_MS)


@lru_cache(maxsize=4096)
def _offset(zone: str, piece: int) -> int:
    offset = datetime.fromtimestamp(piece * _STEP_MS / 1000, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() // 60)
