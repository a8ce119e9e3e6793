"""Where decoders put what they read: lists and arrays, filled at the speed of C."""

from __future__ import annotations

from array import array
from typing import Protocol

from greenmine.collector.payloads.reasons import Reason


class FormatDecoder(Protocol):
    """What understands a format of payloads, for one device."""

    def decode(self, payload: bytes, received: int, /) -> None:
        """Put the readings of a payload into the buffer that the decoder was made for.

        Parameters
        ----------
        payload : bytes
            One message.
        received : int
            When it came [ms UTC]; ``greenmine.collector.payloads.instant.UNREADABLE`` where that says nothing of the time of
            sending.

        Raises
        ------
        RefusedError
            Nothing of the message can be taken.
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError
            It cannot be decoded.
        """


class ReadingBuffer:
    """Columns of readings as sent, and what was refused of the message being decoded.

    Attributes
    ----------
    channel : list of int
        Index of the channel, one for each run of readings.
    run : list of int
        Length of each run.
    time : array of int64
        Instant [ms UTC]; ``greenmine.collector.payloads.instant.UNREADABLE`` where it could not be read.
    value : list of float or None
        Value in the unit that the device sends; None where it sent null.
    flag : bytearray
        Code of the flag's letter as sent.
    sequence : int
        Sequence number of the message; -1: none.
    refused : dict of Reason to (str, int)
        Detail of the first, and number, of the message's readings that were refused one by one.
    """

    __slots__ = ("channel", "flag", "refused", "run", "sequence", "time", "value")

    def __init__(self) -> None:
        self.channel: list[int] = []
        self.run: list[int] = []
        self.time: array[int] = array("q")
        self.value: list[float | None] = []
        self.flag = bytearray()
        self.sequence = -1
        self.refused: dict[Reason, tuple[str, int]] = {}

    def refuse(self, reason: Reason, detail: str, readings: int = 1) -> None:
        """Count readings of the message as rejected; the detail of the first of a reason is kept."""
        first, count = self.refused.get(reason, (detail, 0))
        self.refused[reason] = (first, count + readings)

    def put(self, channel: int, time: int, value: float | None, flag: int) -> None:
        """Take one reading."""
        self.channel.append(channel)
        self.run.append(1)
        self.time.append(time)
        self.value.append(value)
        self.flag.append(flag)

    def clear(self) -> None:
        """Forget all rows."""
        for column in (self.channel, self.run, self.value, self.flag):
            column.clear()
        del self.time[:]
