"""A frame in the log: what a gateway puts there, and what a worker finds."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from greenmine.collector.hj212.secret import hide_in_segment
from greenmine.collector.hj212.segment import read_text


class LoggedFrame(NamedTuple):
    """A frame as it came, and its data segment; passwords and keys are ``***``."""

    raw: bytes
    segment: bytes


class _Packed(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    frame: str
    segment: str | None = None
    """Where it is not in the frame, as it was encrypted."""
    begin: int = 0
    end: int = 0
    """Where it is in the frame [characters]."""


def packed(raw: bytes, segment: bytes) -> bytes:
    """Return a frame and its decrypted data segment as a message of the log, without passwords."""
    frame, plain = (hide_in_segment(read_text(data)[0]) for data in (raw, segment))
    begin = frame.find(plain)
    said = _Packed(frame, plain) if begin < 0 else _Packed(frame, begin=begin, end=begin + len(plain))
    return msgspec.json.encode(said)


def unpacked(payload: bytes) -> LoggedFrame | None:
    """Return what `packed` made a message of; None: it did not make this one."""
    try:
        said = msgspec.json.decode(payload, type=_Packed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    segment = said.frame[said.begin : said.end] if said.segment is None else said.segment
    return LoggedFrame(said.frame.encode(), segment.encode())
