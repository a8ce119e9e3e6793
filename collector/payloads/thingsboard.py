"""Payloads in the telemetry format of ThingsBoard devices."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from greenmine.collector.payloads.documents import decoded
from greenmine.collector.payloads.instant import UNREADABLE
from greenmine.collector.payloads.reading_buffer import ReadingBuffer
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.collector.payloads.source import Source
from greenmine.readings import NORMAL

Scalar = float | bool | str | None
Flat = dict[str, Scalar]


class Timed(msgspec.Struct, kw_only=True):
    """Values with their instant."""

    ts: Annotated[int, Meta(description="milliseconds since 1970-01-01T00:00Z")]
    values: Flat


_LARGEST: Final = 2**53


class ThingsboardDecoder:
    """Decodes what a device says in ThingsBoard telemetry.

    An entry with both ``ts`` and ``values`` is timed; any other object is flat, and its readings have the time of
    receipt if the profile allows it. The format has no data flags: all readings are normal, and a device whose
    profile promises flags has all of them rejected.

    Parameters
    ----------
    source : Source
        The device.
    buffer : ReadingBuffer
        Where its readings go.
    """

    __slots__ = ("_buffer", "_source")

    def __init__(self, source: Source, buffer: ReadingBuffer) -> None:
        self._source = source
        self._buffer = buffer

    def decode(self, payload: bytes, received: int) -> None:
        """Put the readings of a payload into the buffer; see ``greenmine.collector.payloads.reading_buffer.Decoder``."""
        by_receipt = self._source.receive_time and received != UNREADABLE
        parts = _parts(decoded(payload), received if by_receipt else None)
        total = sum(len(values) for _, values in parts)
        if not total:
            raise RefusedError(Reason.EMPTY, "the telemetry holds no reading")
        if self._source.sends_flags:
            detail = "ThingsBoard telemetry has no data flags, but the device's profile says that it sends them"
            raise RefusedError(Reason.MISSING_FLAG, detail, total)
        for time, values in parts:
            if time is not None:
                self._take(time, values)
            elif values:
                allowed = self._source.receive_time
                why = "nobody knows when this was sent" if allowed else "the profile forbids the time of receipt"
                detail = f"the entry has no 'ts', and {why}"
                self._buffer.refuse(Reason.NO_TIME, detail, len(values))

    def _take(self, time: int, values: dict[str, Any]) -> None:
        source, refuse = self._source, self._buffer.refuse
        for name, sent in values.items():
            channel = source.channels.get(name)
            if channel is None:
                refuse(Reason.UNKNOWN_PARAMETER, source.unknown(name))
            elif not isinstance(sent, int | float | None) or (isinstance(sent, bool) and name not in source.states):
                detail = f"'{name}' is {type(sent).__name__}, not a number; only states may be true or false"
                refuse(Reason.NOT_A_NUMBER, detail)
            else:
                self._buffer.put(channel, time, _number(sent), NORMAL)


def _parts(data: Any, otherwise: int | None) -> list[tuple[int | None, dict[str, Any]]]:
    """Instant [ms UTC], or what stands for a missing one, and values of each entry."""
    entries = data if isinstance(data, list) else [data]
    parts: list[tuple[int | None, dict[str, Any]]] = []
    for entry in entries:
        timed = isinstance(entry, dict) and "ts" in entry and "values" in entry
        values = entry["values"] if timed else entry
        if not isinstance(values, dict):
            detail = "telemetry is {name: number}, {'ts': ms, 'values': {name: number}}, or a list of these"
            raise RefusedError(Reason.WRONG_SHAPE, detail, len(entries))
        parts.append((_instant(entry["ts"]) if timed else otherwise, values))
    return parts


def _instant(ts: Any) -> int:
    return ts if type(ts) is int and -_LARGEST <= ts <= _LARGEST else UNREADABLE


def _number(sent: float | None) -> float | None:
    try:
        return sent if sent is None else float(sent)
    except OverflowError:  # an integer of more than 308 digits
        return float("inf")
