"""What people do about exceedances: acknowledgement, cause, handling, comments, attached files."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.attachments import StoredFile, checked_name, disposition, path_of, store
from greenmine.api.http.audit import Audit, AuditOf
from greenmine.api.http.bodies import body, decoded
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, QueriesOf, ScopeOf
from greenmine.api.http.exports import entity_tag, tagged, unchanged
from greenmine.api.http.items import Attachment, EpisodeRevision, HandlingItem
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.schemas import file, single, taking, taking_file
from greenmine.api.http.suggestions import SuggestionItem, suggestion
from greenmine.api.http.views import ExceedanceView, exceedance_view
from greenmine.record.contributions import Step
from greenmine.record.reader import Queries, Row, Scope
from greenmine.times import local, now

router = APIRouter()

ENTRIES: Final = 500
"""Most entries in the history of an exceedance."""

Kind = Literal["acknowledged", "cause", "handling", "comment"]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to be added to the history of an exceedance; only an acknowledgement may go without a text."""

    kind: Kind
    text: Annotated[str, msgspec.Meta(max_length=4_000)] = ""


class ExceedanceDetail(msgspec.Struct, frozen=True):
    """An exceedance, its earlier forms, and what was done about it, each from the first on.

    ``suggestion`` is what may have caused it, of dust alone.
    """

    exceedance: ExceedanceView
    revisions: list[EpisodeRevision]
    handling: list[HandlingItem]
    suggestion: SuggestionItem | None


def exceedance_detail(queries: Queries, scope: Scope, number: int, time: int) -> ExceedanceDetail:
    """All about an exceedance at an instant [ms UTC].

    Raises
    ------
    Problem
        404, if it does not exist or is out of scope.
    """
    row = _visible(queries, scope, number)
    zone = queries.registry.site(row.site).zone
    return ExceedanceDetail(
        exceedance_view(queries.registry, row, time),
        [
            EpisodeRevision(
                old.revision,
                local(old.start, zone),
                local(old.end, zone) if old.end is not None else None,
                old.state,
                old.peak,
                old.minutes,
                local(old.changed, zone),
            )
            for old in queries.exceedance_revisions(scope, number)
        ],
        [_item(entry, zone) for entry in queries.handling(scope, number)],
        suggestion(queries, scope, row, time),
    )


@router.get("/api/v1/exceedances/{number}", responses=single(ExceedanceDetail))
def exceedance(number: int, _: NothingGiven, request: Request, scope: ScopeOf, queries: QueriesOf) -> Response:
    """An exceedance with its revisions and the history of its handling."""
    instant = now()
    tag = entity_tag(request, scope, queries.version("exceedance", "handling", "mark"), instant // 60_000)
    return unchanged(request, tag) or tagged(JSON(exceedance_detail(queries, scope, number, instant)), tag)


@router.post(
    "/api/v1/exceedances/{number}/handling",
    status_code=201,
    responses=single(HandlingItem, 201),
    openapi_extra=taking(Entry, {"kind": "cause", "text": "dry road"}),
)
async def handle(
    number: int, _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Add an acknowledgement, a cause, what is done about it, or a comment; nothing is ever taken back."""
    site = await run_in_threadpool(_site_of, context, caller.scope, number)
    entry = await decoded(request, Entry)
    if not (caller.may_comment(site) if entry.kind == "comment" else caller.may_act(site)):
        raise Problem(403, f"{caller.name} may not add {entry.kind!r} at {site!r}.")
    text = entry.text.strip()
    if not text and entry.kind != "acknowledged":
        raise Problem(400, "text: must say something")
    item = await run_in_threadpool(_add, context, caller, number, entry.kind, text, None)
    await run_in_threadpool(_note, audit, entry.kind, site, number)
    return JSON(item, 201)


@router.post(
    "/api/v1/exceedances/{number}/attachments",
    status_code=201,
    responses=single(HandlingItem, 201),
    openapi_extra=taking_file(),
)
async def attach(
    number: int,
    given: Given[arguments.AttachmentArguments],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    audit: AuditOf,
) -> Response:
    """Attach a file: the body is its content, ``name`` its name."""
    site = await run_in_threadpool(_site_of, context, caller.scope, number)
    if not caller.may_comment(site):
        raise Problem(403, f"{caller.name} may not attach anything at {site!r}.")
    checked_name(given.name)
    content = await body(request, context.settings.attachment_bytes)
    stored = await run_in_threadpool(store, context.settings.attachments, given.name, content)
    item = await run_in_threadpool(_add, context, caller, number, "attachment", "", stored)
    await run_in_threadpool(_note, audit, "attachment", site, number, file=stored.name, digest=stored.digest)
    return JSON(item, 201)


@router.get("/api/v1/exceedances/{number}/attachments/{entry}", responses=file())
def attachment(
    number: int, entry: int, _: NothingGiven, context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """An attached file, to be saved."""
    _visible(queries, scope, number)
    row = next((row for row in queries.handling(scope, number) if row.id == entry and row.digest is not None), None)
    path = path_of(context.settings.attachments, row.digest) if row is not None else None
    if row is None or path is None or not path.is_file():
        raise Problem(404, f"There is no attachment {entry} at exceedance {number}.")
    headers = {
        "Content-Disposition": disposition(row.name),
        "Cache-Control": "private, no-cache",
        "ETag": f'"{row.digest}"',
    }
    return FileResponse(path, media_type=row.media_type, headers=headers)


def _visible(queries: Queries, scope: Scope, number: int) -> Row:
    row = queries.exceedance(scope, number) if 0 <= number < 1 << 62 else None
    if row is None:
        raise Problem(404, f"There is no exceedance {number}; /api/v1/exceedances lists them.")
    return row


def _site_of(context: Context, scope: Scope, number: int) -> str:
    with context.record.queries() as queries:
        return str(_visible(queries, scope, number).site)


def _add(
    context: Context, caller: Caller, number: int, kind: Step, text: str, stored: StoredFile | None
) -> HandlingItem:
    values = {
        "made": now(), "author": caller.name,
        **({"name": stored.name, "media_type": stored.media_type, "size": stored.size, "digest": stored.digest} if stored else {}),
    }  # fmt: skip
    with context.record.contributions() as contributions:
        known = contributions.exceedance(number)
        if contributions.steps(number) >= ENTRIES:
            raise Problem(409, f"The history of exceedance {number} is full: it holds {ENTRIES} entries.")
        if kind == "acknowledged" and known.acknowledged is not None:
            raise Problem(409, f"Exceedance {number} has been acknowledged already.")
        added = contributions.handle(number, kind, text, values)
    return _item(added, context.registry.site(known.site).zone)


def _note(audit: Audit, action: str, site: str, number: int, **detail: str) -> None:
    audit.add(action, site=site, subject=f"exceedance {number}", **detail)


def _item(row: Row, zone: str) -> HandlingItem:
    kept = None
    if row.digest is not None:
        href = f"/api/v1/exceedances/{row.exceedance}/attachments/{row.id}"
        kept = Attachment(row.name, row.media_type, row.size, row.digest, href)
    return HandlingItem(row.id, local(row.made, zone), row.author, row.kind, row.text, kept)
