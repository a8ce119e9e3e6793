"""Chains of records in bytes, such as the application bytes of LoRaWAN devices."""

from __future__ import annotations

import struct
from typing import Any, Final, NamedTuple

from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.mapping import Binary, PartType, Record

_SIZES: Final[dict[PartType, int]] = {
    "u8": 1, "s8": 1, "u16": 2, "s16": 2, "u24": 3, "s24": 3, "u32": 4, "s32": 4, "f32": 4, "f64": 8,
}  # fmt: skip
_FLOATS: Final = {("f32", "little"): "<f", ("f32", "big"): ">f", ("f64", "little"): "<d", ("f64", "big"): ">d"}

Numbers = dict[str, Any]
"""Numbers by name; of a name that came several times, a list of all."""


class Records(NamedTuple):
    """What a chain of records says."""

    now: Numbers
    """The numbers of records without a time of their own."""
    past: list[tuple[float, Numbers]]
    """Time [s since 1970 UTC] and numbers of each of the others, in order."""


class RecordReader:
    """Reads the numbers out of records.

    Parameters
    ----------
    binary : Binary
        The records that the device sends.
    """

    __slots__ = ("_order", "_records", "_skip", "_tag")

    def __init__(self, binary: Binary) -> None:
        self._order = binary.order
        self._records = {bytes.fromhex(record.tag): record for record in binary.records}
        self._tag = len(binary.records[0].tag) // 2
        self._skip = binary.skip

    def read(self, data: bytes) -> Records:
        """Take the numbers of all records; none of them is lost.

        Raises
        ------
        RefusedError
            A tag is not described, so that its length is unknown; or the last record is cut short.
        """
        now: Numbers = {}
        past: list[tuple[float, Numbers]] = []
        place = self._skip
        while place < len(data):
            tag = data[place : place + self._tag]
            record = self._records.get(tag)
            if record is None:
                detail = f"byte {place}: the profile describes no record '{tag.hex()}', so its length is unknown"
                raise RefusedError(Reason.WRONG_SHAPE, detail)
            numbers, place = self._numbers(record, data, place + self._tag)
            if record.time is not None:
                past.append((numbers[record.time], numbers))
                continue
            for name, number in numbers.items():
                now[name] = number if name not in now else [*_all(now[name]), number]
        if place > len(data):
            raise RefusedError(Reason.WRONG_SHAPE, f"the last record lacks {place - len(data)} bytes")
        return Records(now, past)

    def _numbers(self, record: Record, data: bytes, place: int) -> tuple[Numbers, int]:
        """The numbers of a record from ``place`` on, and where the next one begins."""
        numbers: Numbers = {}
        for part in record.parts:
            end = place + _SIZES[part.type]
            piece = data[place:end]
            form = _FLOATS.get((part.type, self._order))
            if form is None:
                numbers[part.name] = int.from_bytes(piece, self._order, signed=part.type.startswith("s"))
            else:
                numbers[part.name] = struct.unpack(form, piece.ljust(_SIZES[part.type], b"\0"))[0]
            place = end
        return numbers, place + record.skip


def _all(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]
