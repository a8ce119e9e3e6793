"""Payloads in the project's own JSON, version 1."""

from __future__ import annotations

from array import array
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import Meta

from greenmine.collector.payloads.documents import refuse_repeats
from greenmine.collector.payloads.instant import UNREADABLE, parse_instant
from greenmine.collector.payloads.reading_buffer import ReadingBuffer
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.collector.payloads.source import Source
from greenmine.readings import FLAGS, NORMAL

_LARGEST: Final = 2**53

Milliseconds = Annotated[int, Meta(ge=-_LARGEST, le=_LARGEST, description="milliseconds since 1970-01-01T00:00Z")]
Text = Annotated[
    str, Meta(description="ISO 8601 date and time; without an offset it is read in the zone of the device's profile")
]
Instant = Milliseconds | Text
Sequence_ = Annotated[int, Meta(ge=0, le=_LARGEST, description="counts the device's messages")]
Letter = Annotated[str, Meta(description="HJ 212 data flag", extra_json_schema={"enum": sorted(FLAGS)})]
Letters = Annotated[
    str,
    Meta(
        description="HJ 212 data flags, one letter for each value of the column",
        extra_json_schema={"pattern": f"^[{''.join(sorted(FLAGS))}]*$"},
    ),
]
Value = float | None


class _Message(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    v: Literal[1]
    seq: Sequence_ | None = None


class Single(_Message):
    """Readings of one instant."""

    time: Instant
    values: dict[str, Value]
    flags: dict[str, Letter] | None = None


class Listed(_Message):
    """Readings in columns, each row with its own time."""

    times: list[Instant]
    columns: dict[str, list[Value]]
    flags: dict[str, Letters] | None = None


class Stepped(_Message):
    """Readings in columns at equal distances."""

    start: Instant
    step: Annotated[int, Meta(ge=1, le=86_400_000, description="milliseconds from one row to the next")]
    columns: dict[str, list[Value]]
    flags: dict[str, Letters] | None = None


_single = msgspec.json.Decoder(Single).decode
_listed = msgspec.json.Decoder(Listed).decode
_stepped = msgspec.json.Decoder(Stepped).decode

_CODES: Final = {chr(code): code for code in range(1, 128)}


class OwnDecoder:
    """Decodes what a device says in the project's own JSON.

    Parameters
    ----------
    source : Source
        The device.
    buffer : ReadingBuffer
        Where its readings go.
    """

    __slots__ = ("_buffer", "_channels", "_put", "_sends_flags", "_source")

    def __init__(self, source: Source, buffer: ReadingBuffer) -> None:
        self._source = source
        self._buffer = buffer
        self._channels = source.channels
        self._sends_flags = source.sends_flags
        self._put = (
            buffer.channel.append,
            buffer.run.append,
            buffer.time.append,
            buffer.value.append,
            buffer.flag.append,
        )

    def decode(self, payload: bytes, _received: int) -> None:
        """Put the readings of a payload into the buffer; see ``greenmine.collector.payloads.reading_buffer.Decoder``."""
        # The names of its members tell the form; a payload that misleads here breaks the form's schema.
        if payload.find(b'"columns"') < 0:
            single = _single(payload)
            flags = single.flags
            members = 3 + (single.seq is not None) + (flags is not None) + len(single.values)
            if flags:
                members += 2 * len(flags)
            if payload.count(b'"') != 2 * (
                members + (single.time.__class__ is str)
            ):  # written out: every reading comes by here
                refuse_repeats(payload, -1)
            self._single(single)
        elif b'"times"' in payload:
            listed = _listed(payload)
            times = listed.times
            refuse_repeats(payload, _quotes(listed, listed.columns, listed.flags, *times))
            if str in set(map(type, times)):
                times = [*map(self._instant, times)]
            self._series(listed, array("q", times).tobytes(), len(times))  # type: ignore[type-var]
        else:
            stepped = _stepped(payload)
            refuse_repeats(payload, _quotes(stepped, stepped.columns, stepped.flags, stepped.start))
            start = self._instant(stepped.start)
            step = 0 if start == UNREADABLE else stepped.step
            rows = max(map(len, stepped.columns.values()), default=0)
            self._series(stepped, (start + step * np.arange(rows, dtype=np.int64)).tobytes(), rows)

    def _instant(self, time: int | str) -> int:
        return parse_instant(time, self._source.zone) if isinstance(time, str) else time

    def _single(self, message: Single) -> None:
        values, flags, time = message.values, message.flags, message.time
        if message.seq is not None:
            self._buffer.sequence = message.seq
        if time.__class__ is str:
            time = self._instant(time)
        if flags is not None or self._sends_flags:
            _check_flags(flags, values, len(values))
        if not values:
            raise RefusedError(Reason.EMPTY, "'values' holds no reading")
        channel, run, instant, number, flag = self._put
        for name, value in values.items():
            index = self._channels.get(name)
            if index is None:
                self._buffer.refuse(Reason.UNKNOWN_PARAMETER, self._source.unknown(name))
                continue
            channel(index)
            run(1)
            instant(time)  # type: ignore[arg-type]
            number(value)
            flag(NORMAL if flags is None or name not in flags else _CODES.get(flags[name], 0))

    def _series(self, message: Listed | Stepped, times: bytes, rows: int) -> None:
        buffer, columns = self._buffer, message.columns
        if message.seq is not None:
            buffer.sequence = message.seq
        total = sum(map(len, columns.values()))
        flags = message.flags
        if flags is not None or self._sends_flags:
            _check_flags(flags, columns, total)
        _check_lengths(columns, flags or {}, rows, total)
        if not total:
            raise RefusedError(Reason.EMPTY, "'columns' hold no reading")
        normal = b"N" * rows
        for name, values in columns.items():
            index = self._channels.get(name)
            if index is None:
                buffer.refuse(Reason.UNKNOWN_PARAMETER, self._source.unknown(name), rows)
                continue
            buffer.channel.append(index)
            buffer.run.append(rows)
            buffer.time.frombytes(times)
            buffer.value.extend(values)
            buffer.flag += normal if flags is None or name not in flags else flags[name].encode("ascii", "replace")


def _quotes(message: _Message, values: dict[str, Any], flags: dict[str, str] | None, *times: int | str) -> int:
    """Quotation marks of a message without escapes, in the form that schemas show."""
    members = 3 + (message.seq is not None) + (flags is not None) + (message.__class__ is Stepped)
    return 2 * (members + len(values) + (2 * len(flags) if flags else 0) + [*map(type, times)].count(str))


def _check_flags(flags: dict[str, str] | None, values: dict[str, Any], readings: int) -> None:
    if flags is None:
        detail = "the device's profile says that it sends flags, so a message needs 'flags', be it empty: all normal"
        raise RefusedError(Reason.MISSING_FLAG, detail, readings)
    if not flags.keys() <= values.keys():
        stray = min(flags.keys() - values.keys())[:80]
        raise RefusedError(Reason.BAD_FLAG, f"'flags' names '{stray}', which has no value here", readings)


def _check_lengths(columns: dict[str, list[Value]], flags: dict[str, str], rows: int, readings: int) -> None:
    for kind, parts in (("values", columns), ("flags", flags)):
        for name, part in parts.items():
            if len(part) != rows:
                detail = f"'{name[:80]}' has {len(part)} {kind}; it needs {rows}, one for each time"
                raise RefusedError(Reason.LENGTHS_DIFFER, detail, readings)
