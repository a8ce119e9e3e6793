"""Bodies of requests, read to a bounded length; that they come in time is the business of `greenmine.api.http.pace`."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request

from greenmine.api.http.arguments import without_control
from greenmine.api.http.problems import Problem

JSON_BYTES: Final = 64_000

_T = TypeVar("_T", bound=msgspec.Struct)


async def body(request: Request, limit: int) -> bytes:
    """Body of a request.

    Raises
    ------
    Problem
        413 when it is longer than ``limit`` [bytes], by its own account or in fact.
    """
    too_long = Problem(413, f"The body is longer than {limit:,} bytes.")
    told = request.headers.get("content-length", "0")
    if not told.isascii() or not told.isdigit() or int(told) > limit:
        raise too_long
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > limit:
            raise too_long
    return bytes(content)


async def decoded(request: Request, kind: type[_T]) -> _T:
    """JSON body of a request as a struct.

    Raises
    ------
    Problem
        415 for another media type, 400 for what is not such an object, and as `body`.
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise Problem(415, "Content-Type: must be application/json")
    content = await body(request, JSON_BYTES)
    try:
        found = msgspec.json.decode(content, type=kind)
        _check(msgspec.json.decode(content))
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise Problem(400, f"body: {error}") from None
    return found


def _check(value: Any) -> None:
    """Refuse texts with control characters anywhere in a document."""
    if isinstance(value, str):
        without_control(value)
    elif isinstance(value, dict):
        _check([*value, *value.values()])
    elif isinstance(value, list):
        for one in value:
            _check(one)
