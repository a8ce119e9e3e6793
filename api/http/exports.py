"""Lists as pages of JSON or as whole tables, with entity tags; one way for all routes that answer with a list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from fastapi import Request
from starlette.responses import Response, StreamingResponse

from greenmine.api.http.arguments import Tabular
from greenmine.api.http.audit import get_audit
from greenmine.api.http.context import Context
from greenmine.api.http.formats import MEDIA_TYPES, Format, TooManyRowsError, chosen
from greenmine.api.http.pagination import Page
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import listing
from greenmine.record.reader import Queries, Scope

if TYPE_CHECKING:  # Arrow takes time and memory, and files are seldom asked for
    from pyarrow import RecordBatch, Schema


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
            if given.lang is not None:
                raise Problem(400, "lang: belongs to worksheets; json is for programs")
            return tagged(listing(*page(queries, given.cursor, given.size)), tag)
    from greenmine.api.http.batches import arrow_schema, item_batches  # noqa: PLC0415 - loads Arrow

    columns = arrow_schema(kind)
    batches = item_batches(context, page, columns)
    return tagged(stream(request, context, given, format_, name, columns, batches, zone), tag)


def stream(
    request: Request,
    context: Context,
    given: Tabular,
    format_: Format,
    name: str,
    columns: Schema,
    batches: Iterable[RecordBatch],
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
    from greenmine.api.http.tables import written  # noqa: PLC0415 - loads Arrow

    if given.lang is not None:
        if format_ != "xlsx":
            raise Problem(400, f"lang: belongs to worksheets; {format_} is for programs")
        from greenmine.api.http.sheets import SheetWords  # noqa: PLC0415 - likewise

        columns, batches = SheetWords(given.lang, context.registry).table(columns, batches)
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
    get_audit(request, context, request.state.caller).add(
        "export", site=place, subject=name, query=request.url.query[:500]
    )
    return StreamingResponse(
        chain([first], pieces),
        media_type=MEDIA_TYPES[format_],
        headers={"Content-Disposition": f'attachment; filename="{name}.{format_}"'},
    )


def _headers(tag: str) -> dict[str, str]:
    return {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization, Cookie"}
