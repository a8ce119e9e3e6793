"""What the expressions of a mapping see of a payload."""

from __future__ import annotations

import base64
from typing import Any, Final

import msgspec

from greenmine.collector.hj212.document import describe
from greenmine.collector.hj212.frame import read_line
from greenmine.collector.payloads.binary import RecordReader
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.expression import Expression, ExpressionError, expression
from greenmine.mapping import Mapping

ELEMENTS: Final = 10_000
"""Most elements of a payload; expressions look at each of them several times, so that more would hold up everybody."""

_json = msgspec.json.Decoder().decode


class Content:
    """Opens payloads.

    Parameters
    ----------
    mapping : Mapping
        What they are: JSON, a text, bytes, a frame of HJ 212, or JSON with bytes in a text.
    """

    __slots__ = ("_encoding", "_kind", "_reader", "_source")

    def __init__(self, mapping: Mapping) -> None:
        binary = mapping.binary
        self._kind = mapping.payload
        self._reader = RecordReader(binary) if binary else None
        self._source = expression(binary.source) if binary and binary.source else None
        self._encoding = binary.encoding if binary else "base64"

    def open(self, payload: bytes) -> Any:
        """The payload as data of JSON.

        Raises
        ------
        RefusedError
            It is not of the kind, or has too many elements.
        msgspec.MsgspecError, UnicodeDecodeError, RecursionError
            It is not JSON, not UTF-8, or nested too deeply.
        """
        match self._kind:
            case "text":
                return payload.decode().strip()
            case "hj212":
                return _frame(payload)
            case "bytes":
                return {"binary": self._read(payload)}
        if payload.count(b",") >= ELEMENTS:
            raise RefusedError(Reason.TOO_LARGE, f"more than {ELEMENTS} elements; send less in one message")
        document = _json(payload)
        if self._source is not None and isinstance(document, dict):
            text = evaluate(self._source, document)
            document["binary"] = None if text is None else self._read(self._bytes(text))
        return document

    def _read(self, data: bytes) -> dict[str, int]:
        assert self._reader is not None
        return self._reader.read(data)

    def _bytes(self, text: Any) -> bytes:
        try:
            return bytes.fromhex(text) if self._encoding == "hex" else base64.b64decode(text, validate=True)
        except (ValueError, TypeError):
            detail = f"what stands at the mapping's 'source' is not {self._encoding}"
            raise RefusedError(Reason.WRONG_SHAPE, detail) from None


def evaluate(compiled: Expression, document: Any) -> Any:
    """The value of an expression on a document.

    Raises
    ------
    RefusedError
        It cannot be evaluated on this one.
    """
    try:
        return compiled.search(document)
    except ExpressionError as error:
        raise RefusedError(Reason.WRONG_SHAPE, str(error)) from None


def _frame(payload: bytes) -> Any:
    """What ``hj212 decode`` prints of a frame."""
    document = describe(read_line(payload.rstrip(b"\r\n")))
    if document.error is not None:
        raise RefusedError(Reason.WRONG_SHAPE, f"no sound frame of HJ 212: {document.error}")
    return _json(msgspec.json.encode(document))
