"""Chains of tagged records, such as the application bytes of LoRaWAN devices."""

from __future__ import annotations

from typing import Final

from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.mapping import Binary, PartType

_SIZES: Final[dict[PartType, int]] = {"u8": 1, "s8": 1, "u16": 2, "s16": 2, "u24": 3, "s24": 3, "u32": 4, "s32": 4}


class RecordReader:
    """Reads the numbers out of tagged records.

    Parameters
    ----------
    binary : Binary
        The records that the device sends.
    """

    __slots__ = ("_order", "_records", "_tag")

    def __init__(self, binary: Binary) -> None:
        self._order = binary.order
        self._records = {bytes.fromhex(record.tag): record for record in binary.records}
        self._tag = len(binary.records[0].tag) // 2

    def read(self, data: bytes) -> dict[str, int]:
        """The numbers by name; of a name that comes again, the last.

        Raises
        ------
        RefusedError
            A tag is not described, so that its length is unknown; or the last record is cut short.
        """
        found: dict[str, int] = {}
        place = 0
        while place < len(data):
            tag = data[place : place + self._tag]
            record = self._records.get(tag)
            if record is None:
                detail = f"byte {place}: the profile describes no record '{tag.hex()}', so its length is unknown"
                raise RefusedError(Reason.WRONG_SHAPE, detail)
            place += self._tag
            for part in record.parts:
                end = place + _SIZES[part.type]
                found[part.name] = int.from_bytes(data[place:end], self._order, signed=part.type.startswith("s"))
                place = end
            place += record.skip
        if place > len(data):
            raise RefusedError(Reason.WRONG_SHAPE, f"the last record lacks {place - len(data)} bytes")
        return found
