"""What the expressions of a mapping see of a payload."""

from __future__ import annotations

import base64
import codecs
import math
from collections import Counter
from typing import Any, Final, Literal, NamedTuple

import msgspec

from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.frame import read_line
from greenmine.collector.payloads.binary import Numbers, RecordReader
from greenmine.collector.payloads.documents import decoded
from greenmine.collector.payloads.reasons import PayloadDeviation, Reason, RefusedError
from greenmine.expression import Expression, ExpressionError, expression
from greenmine.mapping import Mapping

ELEMENTS: Final = 10_000
"""Most elements of a payload; expressions look at each of them several times, so that more would hold up everybody."""

PayloadKind = Literal["json", "text", "bytes", "hj212"]

_json = msgspec.json.Decoder().decode
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def tidied(payload: bytes, kind: PayloadKind, deviations: Counter[str]) -> bytes:
    r"""Take off what is around a payload and says nothing.

    Parameters
    ----------
    payload : bytes
        As it came.
    kind : {"json", "text", "bytes", "hj212"}
        What it is; of bytes nothing is taken off.
    deviations : Counter
        Counts what was tolerated, by ``PayloadDeviation``.

    Returns
    -------
    bytes
        The payload without a byte order mark and without zero bytes behind it, in UTF-8; JSON without the text that it
        was put in as a whole.

    Examples
    --------
    >>> tidied(b'{"pm10": 3}\0', "json", Counter())
    b'{"pm10": 3}'
    """
    if kind == "bytes" or (kind == "json" and payload[:1] == b"{" and payload[-1:] == b"}"):
        return payload
    if payload.startswith(_UTF16):
        try:
            payload = payload.decode("utf-16").encode()
        except UnicodeDecodeError:
            return payload
        deviations[PayloadDeviation.UTF16] += 1
    if payload.startswith(codecs.BOM_UTF8):
        payload = payload.removeprefix(codecs.BOM_UTF8)
        deviations[PayloadDeviation.BYTE_ORDER_MARK] += 1
    if payload.endswith((b"\0", b"\0\n", b"\0\r\n")):
        payload = payload.rstrip(b"\0\r\n")
        deviations[PayloadDeviation.TRAILING_ZERO] += 1
    if kind == "json" and payload[:100].lstrip().startswith(b'"'):
        try:
            text = msgspec.json.decode(payload, type=str).lstrip()
        except msgspec.MsgspecError:
            return payload
        if text.startswith(("{", "[")):
            payload = text.encode(errors="replace")
            deviations[PayloadDeviation.JSON_IN_TEXT] += 1
    return payload


class SentNumber(float):
    """A number of a frame of HJ 212 with the data flag of its factor; NaN where it is none."""

    __slots__ = ("flag", "text")

    flag: str | None
    text: str | None
    """What was sent where it is no number."""


class Opened(NamedTuple):
    """A payload as data."""

    document: Any
    """What expressions see."""
    past: list[tuple[float, Numbers]]
    """Time [s since 1970 UTC] and numbers of its records from the past."""


class PayloadContent:
    """Opens payloads.

    Parameters
    ----------
    mapping : Mapping
        What they are: JSON, a text, bytes, a frame of HJ 212, or JSON with bytes in a text.
    """

    __slots__ = ("_encoding", "_reader", "_source", "kind")

    def __init__(self, mapping: Mapping) -> None:
        binary = mapping.binary
        self.kind: PayloadKind = mapping.payload
        self._reader = RecordReader(binary) if binary else None
        self._source = expression(binary.source) if binary and binary.source else None
        self._encoding = binary.encoding if binary else "base64"

    def open(self, payload: bytes) -> Opened:
        """The payload, tidied before, as data of JSON.

        Raises
        ------
        RefusedError
            It is not of the kind, has too many elements, or an object of it a member twice.
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError
            It is not JSON, not UTF-8, or nested too deeply.
        """
        match self.kind:
            case "text":
                return Opened(payload.decode().strip(), [])
            case "hj212":
                return Opened(_frame(payload), [])
            case "bytes":
                assert self._reader is not None
                now, past = self._reader.read(payload)
                return Opened({"binary": now}, past)
        if payload.count(b",") >= ELEMENTS:
            raise RefusedError(Reason.TOO_LARGE, f"more than {ELEMENTS} elements; send less in one message")
        document = decoded(payload)
        past = []
        if self._source is not None and isinstance(document, dict):
            assert self._reader is not None
            text = evaluate(self._source, document, document)
            document["binary"] = None
            if text is not None:
                document["binary"], past = self._reader.read(self._bytes(text))
        return Opened(document, past)

    def _bytes(self, text: Any) -> bytes:
        try:
            return bytes.fromhex(text) if self._encoding == "hex" else base64.b64decode(text, validate=True)
        except (ValueError, TypeError):
            detail = f"what stands at the mapping's 'source' is not {self._encoding}"
            raise RefusedError(Reason.WRONG_SHAPE, detail) from None


def evaluate(compiled: Expression, document: Any, whole: Any) -> Any:
    """The value of an expression on a document, which is the whole of a message or a part of it.

    Raises
    ------
    RefusedError
        It cannot be evaluated on this one.
    """
    try:
        return compiled.search(document, whole)
    except ExpressionError as error:
        raise RefusedError(Reason.WRONG_SHAPE, str(error)) from None


def _frame(payload: bytes) -> Any:
    """What ``hj212 decode`` prints of a frame, the numbers of its values with their flags."""
    document = describe(read_line(payload.rstrip(b"\r\n")))
    if document.error is not None:
        raise RefusedError(Reason.WRONG_SHAPE, f"no sound frame of HJ 212: {document.error}")
    opened = _json(msgspec.json.encode(document))
    for value in opened["values"]:
        value["value"] = _sent(value)
    return opened


def _sent(value: dict[str, Any]) -> Any:
    found = value["value"]
    if isinstance(found, str):
        return found
    number = SentNumber(math.nan if found is None else found)
    number.flag, number.text = value["flag"], value.get("text")
    return number
