"""Quiet hours: when a receiver is not to be disturbed, on the clock of the site concerned."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from datetime import time as time_of_day
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec

from greenmine.times import local

_Time = Annotated[str, msgspec.Meta(max_length=5)]
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


class QuietHours(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``start`` (inclusive) to ``end`` (exclusive), ``HH:MM``; over midnight where the end comes first."""

    start: _Time
    end: _Time

    def __post_init__(self) -> None:
        if not _CLOCK.fullmatch(self.start) or not _CLOCK.fullmatch(self.end):
            raise ValueError("quiet: two times such as 22:00 and 07:00 would be right")
        if self.start == self.end:
            raise ValueError("quiet: start and end are the same; leave it out, or name two times")


def quiet_until(quiet: QuietHours | None, now: int, zone: str) -> int | None:
    """When the quiet hours end that last at an instant.

    Parameters
    ----------
    quiet : QuietHours or None
        None: there are none.
    now : int
        The instant [ms UTC].
    zone : str
        Zone of the site.

    Returns
    -------
    int or None
        [ms UTC]; None if the instant is in no quiet hours. Where the clock is put forward over the end, it is the
        instant of the change.

    Examples
    --------
    >>> quiet_until(QuietHours("22:00", "07:00"), 1_795_269_600_000, "Asia/Shanghai")  # 22:00
    1795302000000
    """
    if quiet is None:
        return None
    start, end = time_of_day.fromisoformat(quiet.start), time_of_day.fromisoformat(quiet.end)
    here = local(now, zone)
    clock = here.time().replace(tzinfo=None)
    over_midnight = end < start
    inside = clock >= start or clock < end if over_midnight else start <= clock < end
    if not inside:
        return None
    day = here.date() + timedelta(days=1 if over_midnight and clock >= start else 0)
    return round(datetime.combine(day, end, ZoneInfo(zone)).timestamp() * 1000)
