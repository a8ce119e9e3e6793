"""Times as the profile of a device says that they are written."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from greenmine.collector.payloads.instant import UNREADABLE, parse_instant
from greenmine.collector.payloads.numeral import number
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.mapping import Mapping

_UTC: Final = ZoneInfo("UTC")
_LARGEST: Final = 2**53
_FACTORS: Final = {"s": 1000.0, "ms": 1.0}
_AGES: Final = {"ms-ago": 1.0, "s-ago": 1000.0, "min-ago": 60_000.0}


class PayloadStampReader:
    """Reads times.

    Parameters
    ----------
    mapping : Mapping
        Their form.
    zone : ZoneInfo or None
        Zone of times without an offset; None: the profile does not say, and they are refused.
    """

    __slots__ = ("_form", "_period", "_text", "_zone")

    def __init__(self, mapping: Mapping, zone: ZoneInfo | None) -> None:
        self._form = mapping.time_form
        self._period = mapping.period
        self._zone = zone
        self._text: Callable[[str, ZoneInfo], int] = parse_instant if self._form == "iso" else self._formed

    def read(self, sent: Any, received: int) -> int:
        """An instant [ms UTC]; ``UNREADABLE`` if it is none of the form. No age is below zero.

        Raises
        ------
        RefusedError
            The time has no offset, and the profile no zone; or it is an age, and nobody knows when that was said.
        """
        if self._form in _AGES:
            age = number(sent)
            if received == UNREADABLE:
                raise RefusedError(Reason.NO_TIME, "an age, and nobody knows when this retained message was sent")
            milliseconds = math.nan if age is None else age * _AGES[self._form]
            return received - round(milliseconds) if 0 <= milliseconds <= _LARGEST else UNREADABLE
        if self._form in _FACTORS:
            value = number(sent)
            milliseconds = math.nan if value is None else value * _FACTORS[self._form]
            return round(milliseconds) if abs(milliseconds) <= _LARGEST else UNREADABLE
        if not isinstance(sent, str):
            return UNREADABLE
        if self._period is not None and "/" in sent:
            start, _, end = sent.partition("/")
            sent = start if self._period == "start" else end
        if self._zone is not None:
            return self._text(sent, self._zone)
        instant = self._text(sent, _UTC)
        if instant != UNREADABLE and instant != self._text(sent, _ELSEWHERE):
            detail = (
                f"'{sent[:40]}' has no offset, and the profile states no zone; say zone = \"Asia/Shanghai\" or the like"
            )
            raise RefusedError(Reason.NO_ZONE, detail)
        return instant

    def _formed(self, text: str, zone: ZoneInfo) -> int:
        try:
            moment = datetime.strptime(text, self._form)  # noqa: DTZ007 -- a form may have %z; the zone follows
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            return math.floor(moment.astimezone(UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            return UNREADABLE


_ELSEWHERE: Final = ZoneInfo("Asia/Shanghai")
"""A time without an offset is another instant there."""
