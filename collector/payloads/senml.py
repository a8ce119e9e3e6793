"""Payloads in SenML JSON (RFC 8428)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from greenmine.collector.payloads.documents import refuse_repeats
from greenmine.collector.payloads.instant import UNREADABLE
from greenmine.collector.payloads.reading_buffer import ReadingBuffer
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.collector.payloads.source import Source
from greenmine.readings import NORMAL

UNITS: Final = {"Cel": "degC", "%RH": "%", "pH": "1", "/": "1", "l/s": "L/s"}
"""Names of the SenML units registry for units that profiles spell otherwise."""

_RELATIVE: Final = 2**28
"""Times below it are relative to now (RFC 8428, 4.5.3) [s]."""
_LATEST: Final = 1e13
"""Beyond it an instant cannot be held as integer milliseconds with certainty [s]."""
_VERSION: Final = 10
"""The version of SenML that RFC 8428 defines."""


class SenmlRecord(msgspec.Struct, kw_only=True):
    """One record of a pack; members that RFC 8428 does not define are ignored, as it demands."""

    bn: Annotated[str, Meta(description="base name")] | None = None
    bt: Annotated[float, Meta(description="base time [s]")] | None = None
    bu: Annotated[str, Meta(description="base unit")] | None = None
    bv: Annotated[float, Meta(description="base value")] | None = None
    bs: Annotated[float, Meta(description="base sum; sums are not taken")] | None = None
    bver: Annotated[int, Meta(ge=1, le=_VERSION, description="version")] | None = None
    n: Annotated[str, Meta(description="name: a parameter or a field of the profile, alone or behind / or :")] = ""
    u: Annotated[str, Meta(description="unit; must be the one that the profile states")] | None = None
    v: Annotated[float, Meta(description="value")] | None = None
    vb: Annotated[bool, Meta(description="boolean value, of states only")] | None = None
    vs: Annotated[str, Meta(description="string value; never a reading")] | None = None
    vd: Annotated[str, Meta(description="data value; never a reading")] | None = None
    s: Annotated[float, Meta(description="sum; not taken")] | None = None
    t: Annotated[float, Meta(description="time [s], added to the base time; below 2^28 relative to now")] = 0.0
    ut: Annotated[float, Meta(description="update time [s]")] | None = None


_pack = msgspec.json.Decoder(list[SenmlRecord]).decode
_labels = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode


@dataclass(slots=True)
class _Base:
    """Base values, in force until the next record sets them (RFC 8428, 4.1)."""

    name: str = ""
    time: float = 0.0
    unit: str | None = None
    value: float = 0.0

    def update(self, record: SenmlRecord) -> None:
        self.name = self.name if record.bn is None else record.bn
        self.time = self.time if record.bt is None else record.bt
        self.unit = self.unit if record.bu is None else record.bu
        self.value = self.value if record.bv is None else record.bv


class SenmlDecoder:
    """Decodes what a device says in SenML.

    SenML has no data flags: all readings are normal, and a device whose profile promises flags has all of them
    rejected.

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
        records = _pack(payload)
        refuse_repeats(payload, -1)
        if b'_"' in payload:
            _refuse_must_understand(payload, len(records))
        if self._source.sends_flags:
            detail = "SenML has no data flags, but the device's profile says that it sends them"
            raise RefusedError(Reason.MISSING_FLAG, detail, len(records))
        base = _Base()
        found = False
        for record in records:
            base.update(record)
            if record.n or _has_value(record) or not _has_base(record):
                found = True
                self._take(record, base, received)
        if not found:
            raise RefusedError(Reason.EMPTY, "the pack holds no reading")

    def _take(self, record: SenmlRecord, base: _Base, received: int) -> None:
        source, refuse = self._source, self._buffer.refuse
        name = base.name + record.n
        if name not in source.channels:
            name = name.replace(":", "/").rpartition("/")[2]
        channel = source.channels.get(name)
        if channel is None:
            refuse(Reason.UNKNOWN_PARAMETER, source.unknown(base.name + record.n))
            return
        unit = base.unit if record.u is None else record.u
        stated = source.units.get(name)
        if unit is not None and stated not in {unit, UNITS.get(unit)}:
            refuse(Reason.UNIT, f"'{name}' came in '{unit[:20]}'; the profile says '{stated}'")
            return
        if record.v is not None:
            value = base.value + record.v
        elif record.vb is not None and name in source.states:
            value = float(record.vb)
        else:
            refuse(Reason.NOT_A_NUMBER, f"'{name}' has no 'v'; only states may have 'vb'")
            return
        seconds = base.time + record.t
        if seconds < _RELATIVE and (not source.receive_time or received == UNREADABLE):
            why = (
                "nobody knows when this was sent" if source.receive_time else "the profile forbids the time of receipt"
            )
            refuse(Reason.NO_TIME, f"'{name}' has no absolute time, and {why}")
            return
        self._buffer.put(channel, _instant(seconds, received), value, NORMAL)


def _instant(seconds: float, received: int) -> int:
    if not abs(seconds) < _LATEST:
        return UNREADABLE
    return round(seconds * 1000) + (received if seconds < _RELATIVE else 0)


def _has_value(record: SenmlRecord) -> bool:
    return any(field is not None for field in (record.v, record.vb, record.vs, record.vd, record.s))


def _has_base(record: SenmlRecord) -> bool:
    bases = (record.bn, record.bt, record.bu, record.bv, record.bs, record.bver)
    return any(field is not None for field in bases)


def _refuse_must_understand(payload: bytes, readings: int) -> None:
    """Refuse a pack with a label that must be understood, one that ends in ``_`` (RFC 8428, 4.4)."""
    for record in _labels(payload):
        for label in record:
            if label.endswith("_"):
                detail = f"the label '{label[:80]}' must be understood, and is not"
                raise RefusedError(Reason.WRONG_SHAPE, detail, readings)
