"""What a device may do differently from the standard, as its profile says; nothing of it is found out by trying."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Final

from greenmine.collector.hj212.crc import Variant

CHINA: Final = timezone(timedelta(hours=8))
"""Zone of all times of the standard, which are sent without one (HJ 212-2017, clause 6)."""

LONGEST: Final = 9999
"""Bytes of data segment that four digits can declare."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one device speaks; the defaults are the standard.

    Parameters
    ----------
    crc : {"hj212", "modbus-high", "modbus-low"}
        Its check sum.
    zone : tzinfo
        Zone of its clock.
    limit : int
        Longest data segment taken from it [bytes]. The standard allows 1024; longer ones up to the limit are a
        deviation.
    sentinels : frozenset of float
        Numbers that mean "no value" to this device, beyond those that ``codes`` knows.
    """

    crc: Variant = "hj212"
    zone: tzinfo = CHINA
    limit: int = LONGEST
    sentinels: frozenset[float] = frozenset()


STANDARD: Final = Dialect()
