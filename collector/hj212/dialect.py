"""What a device may do differently from the standard, as its profile says; nothing of it is found out by trying."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from typing import Final

from greenmine.collector.hj212.crc import CRC, Variant

CHINA: Final = timezone(timedelta(hours=8))
"""Zone of all times of the standard, which are sent without one (HJ 212-2017, clause 6)."""

_COMMAND: Final = re.compile(rb"(?:^|;)CN=([0-9]{4})(?:;|$)")
LONGEST: Final = 9999
"""Bytes of data segment that four digits can declare."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one device speaks; the defaults are the standard.

    Parameters
    ----------
    crc : {"hj212", "modbus-high", "modbus-low"}
        Its check sum.
    crc_of : tuple of (str, {"hj212", "modbus-high", "modbus-low"})
        Check sums of single commands CN, where they differ.
    zone : tzinfo
        Zone of its clock.
    limit : int
        Longest data segment taken from it [bytes]. The standard allows 1024; longer ones up to the limit are a
        deviation.
    sentinels : frozenset of float
        Numbers that mean "no value" to this device, beyond those that ``codes`` knows.
    plain_length : bool
        Whether the head of an encrypted frame tells the length of its plain segment, as the examples of HJ 212-2025, A.2 do; else
        that of what travels. Both are read.
    """

    crc: Variant = "hj212"
    crc_of: tuple[tuple[str, Variant], ...] = ()
    zone: tzinfo = CHINA
    limit: int = LONGEST
    sentinels: frozenset[float] = frozenset()
    plain_length: bool = True

    def checksum(self, segment: bytes) -> str:
        """The check sum of a plain data segment, four capital digits."""
        return CRC[self.variant(segment)](segment)

    def variant(self, segment: bytes) -> Variant:
        """The check sum that a data segment has, by its command."""
        if self.crc_of and (match := _COMMAND.search(segment)) is not None:
            return dict(self.crc_of).get(match[1].decode(), self.crc)
        return self.crc


STANDARD: Final = Dialect()
