"""How to find readings in payloads of any kind: the ``mapping`` of a device profile."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from greenmine.tables import Number

PartType = Literal["u8", "s8", "u16", "s16", "u24", "s24", "u32", "s32", "f32", "f64"]
"""Whole numbers with or without sign, and numbers with a fraction (IEEE 754), by their bits."""


class MappedValue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the readings of one parameter stand, and what they mean. Expressions are JMESPath, on a sample."""

    parameter: str
    value: str
    """Expression: a number, a text that is one, or a list of these. Nothing there: the message has no such reading."""
    unit: str | None = None
    """Unit that the device sends."""
    unit_from: str | None = None
    """Expression: where the message says the unit; instead of ``unit``."""
    units: dict[str, str] = {}
    """What ``unit_from`` may find → unit; anything else is rejected."""
    scale: Number = 1.0
    """Factor from the number sent to the unit, such as 0.1 for tenths."""
    sentinels: dict[str, str] = {}
    """Number or text that stands for no value → data flag that says why."""
    time: str | None = None
    """Expression: time of this value, or a list of times; None: that of the mapping."""
    flag: str | None = None
    """Expression: data flag of this value; None: that of the mapping."""
    name: str | None = None
    """What stands at ``{name}`` in the topics of this value."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A number in a binary record."""

    name: str
    type: PartType


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A record in a binary payload: a tag, and what follows it."""

    tag: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{2})*\\Z")]
    """Its first bytes, in hexadecimal; empty where all records are of one kind and have none."""
    parts: tuple[Part, ...] = ()
    """The numbers after the tag, in order."""
    skip: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    """Bytes after them that are of no interest."""
    time: str | None = None
    """Name of the number that is the time of this record [s since 1970 UTC]: it is a sample of its own, from the past."""


class Binary(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A payload, or a text within one, that is a chain of tagged records."""

    source: str | None = None
    """Expression: the text that holds them; with ``payload = "bytes"`` it is the payload itself."""
    encoding: Literal["base64", "hex"] = "base64"
    """How that text is written."""
    order: Literal["little", "big"] = "little"
    """Which byte of a number comes first."""
    skip: Annotated[int, msgspec.Meta(ge=0, le=255)] = 0
    """Bytes before the first record."""
    records: Annotated[tuple[Record, ...], msgspec.Meta(min_length=1)]


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a payload becomes readings."""

    payload: Literal["json", "text", "bytes", "hj212"] = "json"
    """What expressions see: JSON; the payload as a text; nothing but ``binary``; what ``hj212 decode`` prints."""
    binary: Binary | None = None
    """What is decoded into the member ``binary``."""
    devices: str | None = None
    """Expression on the whole: a list of parts, each of one device, as a gateway sends them; None: all is of one."""
    address: str | None = None
    """Expression on the whole, or on such a part: the ``address`` of the device, where the topic does not tell devices apart."""
    ignore: str | None = None
    """Expression on the whole: if true, the message holds no readings and that is as it should be."""
    samples: str | None = None
    """Expression on the whole, or on a device's part: the list of samples, each with its time; None: it is the only one."""
    time: str | None = None
    """Expression on a sample: its time, or a list of times; None: it has none."""
    time_form: str = "iso"
    """``iso``; ``s`` or ``ms`` since 1970 UTC; an age at the time of receipt, ``ms-ago``, ``s-ago`` or ``min-ago``; or a form such
    as ``%d.%m.%Y %H:%M:%S``."""
    period: Literal["start", "end"] | None = None
    """Which end of an ISO interval ``start/end`` is the time of its reading; None: an interval is no time."""
    step: str | None = None
    """Time from one value to the next, where one time stands for a list of values: that of the first."""
    flag: str | None = None
    """Expression on a sample: its data flag, or a list of them; None: what a frame of HJ 212 says itself, else none."""
    flags: dict[str, str] = {}
    """What ``flag`` may find → letter of HJ 212; without it, ``flag`` must find the letters themselves."""
    values: tuple[MappedValue, ...] = ()
