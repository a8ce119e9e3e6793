"""Payloads of any kind, read as the mapping of the device's profile says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from greenmine.collector.payloads.content import Opened, PayloadContent, SentNumber, evaluate
from greenmine.collector.payloads.instant import UNREADABLE
from greenmine.collector.payloads.numeral import number, text
from greenmine.collector.payloads.reading_buffer import ReadingBuffer
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.collector.payloads.source import Source
from greenmine.collector.payloads.stamp import PayloadStampReader
from greenmine.durations import parse_duration
from greenmine.expression import Expression, expression
from greenmine.mapping import MappedValue, Mapping
from greenmine.parameters import Parameter
from greenmine.readings import FLAGS, NORMAL
from greenmine.units import conversion, converted_number

_LATEST: Final = 2**40
"""Seconds since 1970 beyond which there is no time."""
_UNKNOWN_FLAG: Final = 0
"""Stands for a flag that is none; the check of all readings rejects it."""


class MappedDecoder:
    """Decodes what a device says as a mapping tells.

    Each sample gives the readings of all values whose expression finds something in it. What no expression finds is not
    read; a message in which none finds anything is rejected as empty, unless the mapping's ``ignore`` says that this is as
    it should be.

    Parameters
    ----------
    source : Source
        The device.
    buffer : ReadingBuffer
        Where its readings go.
    mapping : Mapping
        How its profile finds readings.
    parameters : dict of str to Parameter
        The parameters of the device.
    name : str or None
        What the topic says at ``{name}``: only values of this name are read. None: values without a name.
    address : str
        The device's own; empty: what a gateway says of any device is taken.
    """

    __slots__ = (
        "_address",
        "_buffer",
        "_content",
        "_find_address",
        "_find_devices",
        "_ignore",
        "_samples",
        "_source",
        "_stamps",
        "_step",
        "_time",
        "_values",
    )

    def __init__(
        self,
        source: Source,
        buffer: ReadingBuffer,
        mapping: Mapping,
        parameters: dict[str, Parameter],
        name: str | None = None,
        address: str = "",
    ) -> None:
        self._source = source
        self._buffer = buffer
        self._content = PayloadContent(mapping)
        self._ignore = _compiled(mapping.ignore)
        self._find_devices = _compiled(mapping.devices)
        self._find_address = _compiled(mapping.address)
        self._address = address
        self._samples = _compiled(mapping.samples)
        self._time = _compiled(mapping.time)
        self._step = parse_duration(mapping.step) if mapping.step else 0
        self._stamps = PayloadStampReader(mapping, source.zone)
        self._values = [
            _Value.of(value, mapping, source, parameters[value.parameter])
            for value in mapping.values
            if value.parameter in parameters and value.name == name
        ]

    def decode(self, payload: bytes, received: int) -> None:
        """Put the readings of a payload into the buffer; see ``greenmine.collector.payloads.reading_buffer.Decoder``."""
        opened = self._content.open(payload)
        parts = [opened.document]
        if self._find_devices is not None and not is_ignored(self._ignore, opened.document):
            parts = device_parts(self._find_devices, opened.document)
            if self._find_address is not None and self._address:
                parts = [part for part in parts if self._is_mine(part, opened.document)]
        self.take(opened, parts, received)

    def take(self, opened: Opened, parts: list[Any], received: int) -> None:
        """Put the readings of the parts of a message that are of this device into the buffer.

        Raises
        ------
        RefusedError
            There are none.
        """
        found = False
        whole = opened.document
        for time, numbers in opened.past:
            found |= self._take({"binary": numbers}, whole, received, self._past(time))
        if is_ignored(self._ignore, whole):
            return
        for part in parts:
            for sample in self._parts(part, whole):
                found |= self._take(sample, whole, received)
        if not found:
            names = ", ".join(value.parameter for value in self._values) or "nothing, as the topic names no value"
            raise RefusedError(Reason.EMPTY, f"the profile's expressions find nothing in it; they look for {names}")

    def _is_mine(self, part: Any, whole: Any) -> bool:
        assert self._find_address is not None
        said = text(evaluate(self._find_address, part, whole))
        if said != self._address:
            self._buffer.refuse(Reason.UNKNOWN_DEVICE, f"a part is of '{str(said)[:80]}'; this is {self._address}")
        return said == self._address

    def _parts(self, part: Any, whole: Any) -> list[Any]:
        if self._samples is None:
            return [part]
        samples = evaluate(self._samples, part, whole)
        if not isinstance(samples, list):
            detail = f"{self._samples.text!r} finds no list of samples"
            raise RefusedError(Reason.WRONG_SHAPE if samples is not None else Reason.EMPTY, detail)
        return samples

    def _take(self, sample: Any, whole: Any, received: int, time: int | None = None) -> bool:
        """Take the readings of a sample, all of one time if it is given; False: it has none."""
        columns: list[tuple[_Value, list[Any]]] = []
        refused_some = False
        for value in self._values:
            try:
                sent = evaluate(value.find, sample, whole)
            except RefusedError as refused:
                self._buffer.refuse(refused.reason, f"{value.parameter}: {refused.detail}")
                refused_some = True
                continue
            if sent is None or sent == []:
                continue
            columns.append((value, sent if isinstance(sent, list) else [sent]))
        common: int | list[int] | RefusedError | None = time
        for value, rows in columns:
            try:
                if value.find_time is not None and time is None:
                    times = self._times(value.find_time, sample, whole, received)
                else:
                    if common is None:
                        common = self._common(sample, whole, received)
                    if isinstance(common, RefusedError):
                        raise common
                    times = common
                self._put(sample, whole, value, rows, times)
            except RefusedError as refused:
                self._buffer.refuse(refused.reason, f"{value.parameter}: {refused.detail}", len(rows))
        return refused_some or bool(columns)

    def _common(self, sample: Any, whole: Any, received: int) -> int | list[int] | RefusedError:
        """The time of a sample's values that have none of their own, or why there is none."""
        try:
            return self._times(self._time, sample, whole, received)
        except RefusedError as refused:
            return refused

    def _times(self, find: Expression | None, sample: Any, whole: Any, received: int) -> int | list[int]:
        """The time that an expression finds, or those of the values."""
        sent = None if find is None else evaluate(find, sample, whole)
        if sent is None:
            if not self._source.receive_time:
                where = "it has none" if find is None else f"{find.text!r} finds none"
                raise RefusedError(Reason.NO_TIME, f"no time ({where}), and the profile forbids the time of receipt")
            if received == UNREADABLE:
                raise RefusedError(Reason.NO_TIME, "no time, and nobody knows when this retained message was sent")
            return received
        read = self._stamps.read
        return [read(one, received) for one in sent] if isinstance(sent, list) else read(sent, received)

    @staticmethod
    def _past(seconds: float) -> int:
        """The time of a record from the past [ms UTC]."""
        return round(seconds * 1000) if abs(seconds) <= _LATEST else UNREADABLE

    def _put(self, sample: Any, whole: Any, value: _Value, rows: list[Any], times: int | list[int]) -> None:
        refuse = self._buffer.refuse
        if isinstance(times, int):
            if len(rows) > 1 and not self._step:
                detail = (
                    f"{value.parameter}: {value.find.text!r} finds {len(rows)} values for one time; "
                    "the profile must say which, or a step"
                )
                refuse(Reason.WRONG_SHAPE, detail, len(rows))
                return
            step = self._step if times != UNREADABLE else 0
            times = [times + row * step for row in range(len(rows))]
        if len(times) != len(rows):
            detail = f"{value.parameter} has {len(rows)} values; it needs {len(times)}, one for each time"
            refuse(Reason.LENGTHS_DIFFER, detail, len(rows))
            return
        flags = value.flags(sample, whole, rows)
        factor, offset = value.unit(sample, whole)
        for time, sent, flag in zip(times, rows, flags, strict=True):
            sentinel = value.sentinel(sent)
            if sent is None or sentinel or (isinstance(sent, SentNumber) and math.isnan(sent)):
                self._buffer.put(value.channel, time, None, sentinel if sentinel and flag == NORMAL else flag)
                continue
            found = float(sent) if value.is_state and isinstance(sent, bool) else number(sent)
            if found is None:
                detail = f"{value.parameter}: {_shown(sent)} is no number; only states may be true or false"
                refuse(Reason.NOT_A_NUMBER, detail)
            else:
                self._buffer.put(value.channel, time, converted_number(found, factor, offset), flag)


def is_ignored(ignore: Expression | None, document: Any) -> bool:
    """Whether a message holds no readings, and that is as it should be."""
    return ignore is not None and _is_true(evaluate(ignore, document, document))


def device_parts(find: Expression, document: Any) -> list[Any]:
    """The parts of a gateway's message, each of one device.

    Raises
    ------
    RefusedError
        There is no list of them.
    """
    parts = evaluate(find, document, document)
    if isinstance(parts, list) and parts:
        return parts
    detail = f"{find.text!r} finds no list of devices"
    raise RefusedError(Reason.EMPTY if parts is None or parts == [] else Reason.WRONG_SHAPE, detail)


@dataclass(frozen=True, slots=True)
class _Value:
    """A value of a mapping, compiled for a device."""

    parameter: str
    channel: int
    find: Expression
    is_state: bool
    find_time: Expression | None
    find_unit: Expression | None
    units: dict[str | None, tuple[float, float]]
    """Factor and offset to the canonical unit, by what ``find_unit`` finds."""
    sentinels: dict[str | float, int]
    find_flag: Expression | None
    letters: dict[str, str]
    sends_flags: bool

    @staticmethod
    def of(value: MappedValue, mapping: Mapping, source: Source, parameter: Parameter) -> _Value:
        units: dict[str | None, str] = {None: value.unit} if value.unit is not None else dict(value.units.items())
        sentinels: dict[str | float, int] = {}
        for sent, letter in value.sentinels.items():
            as_number = number(sent)
            sentinels[sent if as_number is None else as_number] = ord(letter)
        return _Value(
            parameter=value.parameter,
            channel=source.channels[value.parameter],
            find=expression(value.value),
            is_state=value.parameter in source.states,
            find_time=_compiled(value.time),
            find_unit=_compiled(value.unit_from),
            units={name: _scaled(conversion(unit, parameter.unit), value.scale) for name, unit in units.items()},
            sentinels=sentinels,
            find_flag=_compiled(value.flag or mapping.flag),
            letters=mapping.flags,
            sends_flags=source.sends_flags,
        )

    def unit(self, sample: Any, whole: Any) -> tuple[float, float]:
        """Factor and offset from the number sent to the canonical unit."""
        if self.find_unit is None:
            return self.units[None]
        sent = evaluate(self.find_unit, sample, whole)
        known = self.units.get(sent) if isinstance(sent, str) else None
        if known is None:
            names = ", ".join(str(name) for name in self.units)
            said = "no unit" if sent is None else f"the unit {_shown(sent)}"
            raise RefusedError(Reason.UNIT, f"{self.find_unit.text!r} finds {said}; the profile knows {names}")
        return known

    def sentinel(self, sent: Any) -> int:
        """Code of the flag if the number or text stands for no value; 0: it does not."""
        if not self.sentinels:
            return 0
        as_number = number(sent)
        key = as_number if as_number is not None else sent
        return self.sentinels.get(key, 0) if isinstance(key, str | float) else 0

    def flags(self, sample: Any, whole: Any, rows: list[Any]) -> list[int]:
        """Code of the flag of each row."""
        if self.find_flag is None and isinstance(rows[0], SentNumber):
            return [self._own_flag(row) for row in rows]
        sent = None if self.find_flag is None else evaluate(self.find_flag, sample, whole)
        if isinstance(sent, list) and len(sent) == 1 and len(rows) == 1:
            sent = sent[0]
        if sent is None or sent == []:
            return [self._own_flag(None)] * len(rows)
        if not isinstance(sent, list):
            return [self._code(sent)] * len(rows)
        if len(sent) != len(rows):
            raise RefusedError(Reason.LENGTHS_DIFFER, f"{len(sent)} flags for {len(rows)} values")
        return [self._code(flag) for flag in sent]

    def _own_flag(self, sent: Any) -> int:
        """Code of the flag that a number brings with it."""
        flag = getattr(sent, "flag", None)
        if flag is not None:
            return self._code(flag)
        if self.sends_flags:
            raise RefusedError(Reason.MISSING_FLAG, "no flag found, and the profile says that the device sends them")
        return NORMAL

    def _code(self, sent: Any) -> int:
        said = text(sent)
        letter = self.letters.get(said or "") if self.letters else said
        return ord(letter) if letter in FLAGS else _UNKNOWN_FLAG


def _compiled(text: str | None) -> Expression | None:
    return None if text is None else expression(text)


def _scaled(unit: tuple[float, float], scale: float) -> tuple[float, float]:
    factor, offset = unit
    return factor * scale, offset


def _is_true(found: Any) -> bool:
    """As JMESPath sees it: false, null and what is empty are not true; 0 is."""
    return found is not None and found is not False and found not in ("", [], {})


def _shown(sent: Any) -> str:
    return repr(sent[:40]) if isinstance(sent, str) else type(sent).__name__
