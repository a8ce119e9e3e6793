"""Lists as pages of JSON or as whole tables, with entity tags; one way for all routes that answer with a list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain
from typing import Any, Final, get_args, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa
from fastapi import Request
from sqlalchemy import select
from starlette.responses import Response, StreamingResponse

from api.arguments import Tabular
from api.context import Context
from api.formats import MEDIA_TYPES, Format, TooManyRowsError, chosen, written
from api.problems import Problem
from api.queries import Queries, Rows, Scope
from api.responses import listing
from api.times import HOUR
from api.trail import get_trail
from greenmine.registry import Channel
from greenmine.storage import schema
from greenmine.storage.record import ROW

Page = Callable[[Queries, str | None, int], tuple[list[Any], str | None]]
"""Items from a cursor on, at most so many, and the cursor of the next page."""

_PAGE: Final = 5_000
_BLOCKS: Final = 256
_BATCH: Final = 1 << 16

READINGS: Final = pa.schema(
    [
        ("channel", pa.string()),
        ("time", pa.timestamp("ms", "UTC")),
        ("value", pa.float64()),
        ("flag", pa.string()),
        ("quality", pa.int64()),
    ]
)
_ARROW: Final = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("ms", "UTC"),
}


def entity_tag(request: Request, scope: Scope, *versions: object) -> str:
    """Tag of an answer: it changes with the request, the scope, and the versions of what the answer rests on."""
    parts = (str(request.url), request.headers.get("accept", ""), sorted(scope), versions)
    return f'W/"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """Answer 304 if the caller holds what has this tag; None otherwise."""
    held = {part.strip() for part in request.headers.get("if-none-match", "").split(",")}
    return Response(status_code=304, headers=_headers(tag)) if tag in held or "*" in held else None


def tagged(response: Response, tag: str) -> Response:
    """Response with its tag: whoever keeps it asks before using it again."""
    response.headers.update(_headers(tag))
    return response


def answer(
    request: Request,
    context: Context,
    scope: Scope,
    given: Tabular,
    name: str,
    kind: type[msgspec.Struct],
    page: Page,
    version: Callable[[Queries], object],
    zone: str,
) -> Response:
    """Answer with a page of JSON, or with all of a list in another format.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    kind : type
        Of the items; its fields are the columns.
    page : callable
        Gives the items.
    version : callable
        What changes whenever the list changes.
    zone : str
        Clock of CSV files and worksheets.
    """
    format_ = chosen(given.format, request.headers.get("accept", ""))
    with context.record.queries() as queries:
        tag = entity_tag(request, scope, version(queries), context.registry.digest)
        if (same := unchanged(request, tag)) is not None:
            return same
        if format_ == "json":
            return tagged(listing(*page(queries, given.cursor, given.size)), tag)
    columns = arrow_schema(kind)
    return tagged(stream(request, context, given, format_, name, columns, _batches(context, page, columns), zone), tag)


def stream(
    request: Request,
    context: Context,
    given: Tabular,
    format_: Format,
    name: str,
    columns: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    zone: str,
) -> Response:
    """Answer with a table as a file to be saved; faults before its first piece are problems. It is noted in the audit log.

    Raises
    ------
    Problem
        A page was asked for, or a worksheet cannot hold so many rows.
    """
    for field in ("size", "cursor"):
        if field in given.model_fields_set:
            raise Problem(400, f"{field}: belongs to pages of JSON; {format_} holds the whole list")
    pieces = written(format_, columns, batches, zone, bom=given.bom)
    try:
        first = next(pieces, b"")
    except TooManyRowsError:
        raise Problem(
            400,
            "format: a worksheet holds 1,048,576 rows and this list is longer; choose csv, parquet or a shorter period",
        ) from None
    about = next((value for name in ("site", "channel", "rule") if (value := getattr(given, name, None))), "")
    place = about.split("/")[0] or None
    get_trail(request, context, request.state.caller).add(
        "export", site=place, subject=name, query=request.url.query[:500]
    )
    return StreamingResponse(
        chain([first], pieces),
        media_type=MEDIA_TYPES[format_],
        headers={"Content-Disposition": f'attachment; filename="{name}.{format_}"'},
    )


def arrow_schema(kind: type[msgspec.Struct]) -> pa.Schema:
    """Columns of a list of structs; what is neither text, number, truth value nor time becomes JSON text."""
    return pa.schema([(name, _arrow_type(hint)) for name, hint in get_type_hints(kind).items()])


def reading_batches(
    context: Context, scope: Scope, channels: Sequence[Channel], start: int, end: int, newest: int
) -> Iterator[pa.RecordBatch]:
    """Readings of channels in [start, end) [ms], channel after channel, each by time.

    Parameters
    ----------
    newest : int
        Number of the newest block that is read: what is committed meanwhile does not appear.

    Yields
    ------
    RecordBatch
        At most 65,536 rows. Between batches no connection is held, so that a slow reader does not hold up the record.
    """
    for channel in channels:
        place: tuple[int, int] | None = (start // HOUR, 0)
        rest = np.empty(0, ROW)
        while place is not None:
            with context.record.queries() as queries:
                parts, place = queries.reading_blocks(scope, channel.key, place, end // HOUR, newest, _BLOCKS)
            rows = np.concatenate([rest, *parts]) if parts else rest
            rows = rows[np.argsort(rows["time"], kind="stable")]
            # Of the last hour more blocks may follow.
            whole = len(rows) if place is None else int(np.searchsorted(rows["time"], place[0] * HOUR))
            rest = rows[whole:]
            rows = rows[:whole]
            rows = rows[(rows["time"] >= start) & (rows["time"] < end)]
            for first in range(0, len(rows), _BATCH):
                yield _reading_batch(channel.key, rows[first : first + _BATCH])


def newest_block(queries: Queries, scope: Scope, channels: Iterable[Channel], start: int, end: int) -> tuple[int, int]:
    """Number of the newest block of some channels in a period, and the number of their readings there, or a few more."""
    block = schema.reading_block.c
    numbers = [number for number, channel in queries.channels(scope).items() if channel in set(channels)]
    found = [
        queries.connection.execute(
            select(block.id, block.count).where(
                block.channel == number, block.hour >= start // HOUR, block.hour <= end // HOUR
            )
        )
        for number in numbers
    ]
    newest = total = 0
    for rows in found:
        for number, count in rows:
            newest = max(newest, number)
            total += count
    return newest, total


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}


def _reading_batch(channel: str, rows: Rows) -> pa.RecordBatch:
    letters = pa.array([chr(code) for code in range(256)], pa.string())
    columns = [
        pa.array([channel], pa.string()).take(pa.array(np.zeros(len(rows), np.int32))),
        pa.array(np.ascontiguousarray(rows["time"])).cast(READINGS.field("time").type),
        pa.array(np.ascontiguousarray(rows["value"]), from_pandas=True),
        letters.take(pa.array(np.ascontiguousarray(rows["flag"]))),
        pa.array(rows["quality"].astype(np.int64)),
    ]
    return pa.record_batch(columns, schema=READINGS)


def _batches(context: Context, page: Page, columns: pa.Schema) -> Iterator[pa.RecordBatch]:
    cursor: str | None = None
    while True:
        with context.record.queries() as queries:
            items, cursor = page(queries, cursor, _PAGE)
        if items:
            yield pa.record_batch([_column(items, field) for field in columns], schema=columns)
        if cursor is None:
            return


def _column(items: Sequence[Any], field: pa.Field) -> pa.Array:
    values = [getattr(item, field.name) for item in items]
    if field.type == pa.string():
        values = [
            value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()
            for value in values
        ]
    return pa.array(values, field.type, from_pandas=True)


def _arrow_type(hint: Any) -> pa.DataType:
    kinds = [kind for kind in (get_args(hint) or (hint,)) if kind is not type(None)]
    return _ARROW.get(kinds[0], pa.string()) if len(kinds) == 1 else pa.string()
