"""Documents of JSON, of which no object may have a member twice: decoders keep the last value alone, and others would vanish."""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from greenmine.collector.payloads.reasons import Reason, RefusedError

_decode: Final = msgspec.json.Decoder().decode


def decoded(payload: bytes) -> Any:
    """Decode a document.

    Raises
    ------
    RefusedError
        If an object has a member twice.
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError
        If it is no JSON, or nested too deeply.
    """
    document = _decode(payload)
    refuse_repeats(payload, _quotes(document))
    return document


def refuse_repeats(payload: bytes, quotes: int) -> None:
    """Refuse a document of which an object has a member twice.

    Parameters
    ----------
    payload : bytes
        Sound JSON.
    quotes : int
        Quotation marks around what was decoded of it; only where the payload has others is it read once more.
    """
    if payload.count(b'"') != quotes:
        json.loads(payload, object_pairs_hook=_unique, parse_int=str, parse_float=str)


def _quotes(document: Any) -> int:
    if isinstance(document, str):
        return 2
    if isinstance(document, dict):
        return 2 * len(document) + sum(map(_quotes, document.values()))
    return sum(map(_quotes, document)) if isinstance(document, list) else 0


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        twice = next(name for i, (name, _) in enumerate(pairs) if name in dict(pairs[:i]))
        raise RefusedError(
            Reason.WRONG_SHAPE, f"an object has the member '{twice[:80]}' twice; each name may stand once", len(pairs)
        )
    return members
