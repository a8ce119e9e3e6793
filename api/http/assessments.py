"""Self-assessment: what an enterprise says of each requirement item of a mine, with documents, by reporting period."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

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
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, QueriesOf, ScopeOf, visible_site
from greenmine.api.http.items import Attachment
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON, listing
from greenmine.api.http.schemas import file, listed, single, taking, taking_file
from greenmine.evidence.evaluation import Evaluation, Requirement
from greenmine.record.reader import Queries, Row, Scope
from greenmine.registry import Site
from greenmine.reporting import Period, Reporting, around, parse_period
from greenmine.times import local, now

router = APIRouter()

ENTRIES: Final = 2_000
"""Most entries of a site in a period."""

ItemState = Literal["open", "underway", "met", "inapplicable"]
STATES: Final[tuple[ItemState, ...]] = ("open", "underway", "met", "inapplicable")


class NewAssessment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of a requirement item; without ``period``, in the reporting period under way."""

    site: Annotated[str, msgspec.Meta(max_length=80)]
    item: Annotated[str, msgspec.Meta(max_length=80)]
    state: ItemState
    text: Annotated[str, msgspec.Meta(max_length=4_000)] = ""
    period: Annotated[str, msgspec.Meta(max_length=40)] | None = None


class AssessmentEntry(msgspec.Struct, frozen=True):
    """Something that was said of an item, or a file that was attached to it; nothing is taken back."""

    id: int
    made: datetime
    author: str
    state: ItemState | None
    text: str
    attachment: Attachment | None


class ItemView(msgspec.Struct, frozen=True):
    """A requirement item with what its enterprise says of it: the last word, and all that led to it.

    ``proof_zh`` and ``proof_en`` say what readings prove of the item; empty where documents alone do.
    ``state`` is ``open`` until something was said. It is the enterprise's own word, which no figure of this system stands for.
    """

    site: str
    period: str
    item: str
    name_en: str
    proof_zh: str
    proof_en: str
    state: ItemState
    text: str
    author: str | None
    made: datetime | None
    attachments: list[Attachment]
    history: list[AssessmentEntry]


def assessment_of(queries: Queries, scope: Scope, evaluation: Evaluation, site: Site, period: Period) -> list[ItemView]:
    """Requirement items of a site in scope, in the order of the registry."""
    entries: dict[str, list[AssessmentEntry]] = {}
    for row in queries.assessments(scope, site.id, period.name):
        entries.setdefault(row.item, []).append(_entry(row, site.zone))
    return [_item(site, period, evaluation.requirement(item), entries.get(item, [])) for item in site.requirement_items]


def period_named(reporting: Reporting, site: Site, name: str | None, instant: int) -> Period:
    """The reporting period of a name; without one, that under way.

    Raises
    ------
    Problem
        400, if it names no reporting period.
    """
    if name is None:
        return around(local(instant, site.zone).date(), reporting)[1]
    try:
        period = parse_period(name, reporting)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    if name.partition("-")[2] not in {p.id for p in reporting.periods}:
        raise Problem(400, f"period {name!r}: must be a reporting period, such as 2026-{reporting.periods[0].id}")
    return period


@router.get("/api/v1/assessments", responses=listed(ItemView))
def assessments(
    given: Given[arguments.AssessmentArguments], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Requirement items of a site with what its enterprise says of them in a reporting period."""
    site = visible_site(context.registry, scope, given.site)
    items: list[Any] = list(
        assessment_of(
            queries, scope, context.evaluation, site, period_named(context.reporting, site, given.period, now())
        )
    )
    return listing(items)


@router.post(
    "/api/v1/assessments",
    status_code=201,
    responses=single(AssessmentEntry, 201),
    openapi_extra=taking(
        NewAssessment, {"site": "hengjie", "item": "降尘降噪", "state": "underway", "text": "third sprayer ordered"}
    ),
)
async def assess(_: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf) -> Response:
    """Say how it stands with a requirement item; the last word holds, earlier ones stay."""
    asked = await decoded(request, NewAssessment)
    site, period = _assessable(context, caller, asked.site, asked.period, asked.item)
    row: dict[str, object] = {"state": asked.state, "text": asked.text.strip()}
    entry = await run_in_threadpool(_add, context, caller, site, period, asked.item, row)
    await run_in_threadpool(_note, audit, "assessment", site, period, asked.item, state=asked.state)
    return JSON(entry, 201)


@router.post(
    "/api/v1/assessments/attachments",
    status_code=201,
    responses=single(AssessmentEntry, 201),
    openapi_extra=taking_file(),
)
async def attach_proof(
    given: Given[arguments.ProofArguments], request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Attach a file to a requirement item: the body is its content, ``name`` its name."""
    site, period = _assessable(context, caller, given.site, given.period, given.item)
    checked_name(given.name)
    content = await body(request, context.settings.attachment_bytes)
    stored = await run_in_threadpool(store, context.settings.attachments, given.name, content)
    entry = await run_in_threadpool(_add, context, caller, site, period, given.item, _columns(stored))
    await run_in_threadpool(
        _note, audit, "assessment-file", site, period, given.item, file=stored.name, digest=stored.digest
    )
    return JSON(entry, 201)


@router.get("/api/v1/assessments/{number}/attachment", responses=file())
def proof(number: int, _: NothingGiven, context: ContextOf, scope: ScopeOf, queries: QueriesOf) -> Response:
    """A file that was attached to a requirement item, to be saved."""
    row = _attached(queries, scope, number)
    path = path_of(context.settings.attachments, row.digest) if row is not None else None
    if row is None or path is None or not path.is_file():
        raise Problem(404, f"There is no attachment {number}; /api/v1/assessments lists them.")
    headers = {
        "Content-Disposition": disposition(row.name),
        "Cache-Control": "private, no-cache",
        "ETag": f'"{row.digest}"',
    }
    return FileResponse(path, media_type=row.media_type, headers=headers)


def _attached(queries: Queries, scope: Scope, number: int) -> Row | None:
    return queries.assessment_document(scope, number) if 0 <= number < 1 << 62 else None


def _assessable(context: Context, caller: Caller, site: str, period: str | None, item: str) -> tuple[Site, Period]:
    shown = visible_site(context.registry, caller.scope, site)
    if not caller.may_act(site):
        raise Problem(403, f"{caller.name} may not assess {site!r}: its enterprise does.")
    if item not in shown.requirement_items:
        raise Problem(404, f"There is no requirement item {item!r} at {site!r}; /api/v1/sites lists them.")
    return shown, period_named(context.reporting, shown, period, now())


def _add(
    context: Context, caller: Caller, site: Site, period: Period, item: str, values: dict[str, object]
) -> AssessmentEntry:
    row = {"site": site.id, "period": period.name, "item": item, "made": now(), "author": caller.name, **values}
    with context.record.contributions(site.id) as contributions:
        if contributions.assessed(site.id, period.name) >= ENTRIES:
            raise Problem(409, f"The assessment of {site.id!r} for {period.name} is full: it holds {ENTRIES} entries.")
        return _entry(contributions.assess(row), site.zone)


def _columns(stored: StoredFile) -> dict[str, object]:
    return {
        "state": "", "text": "", "name": stored.name, "media_type": stored.media_type, "size": stored.size,
        "digest": stored.digest,
    }  # fmt: skip


def _note(audit: Audit, action: str, site: Site, period: Period, item: str, **detail: str) -> None:
    audit.add(action, site=site.id, subject=item, period=period.name, **detail)


def _entry(row: Row, zone: str) -> AssessmentEntry:
    kept = None
    if row.digest is not None:
        kept = Attachment(row.name, row.media_type, row.size, row.digest, f"/api/v1/assessments/{row.id}/attachment")
    return AssessmentEntry(row.id, local(row.made, zone), row.author, row.state or None, row.text, kept)


def _item(site: Site, period: Period, requirement: Requirement, entries: Sequence[AssessmentEntry]) -> ItemView:
    last = next((entry for entry in reversed(entries) if entry.state is not None), None)
    return ItemView(
        site.id,
        period.name,
        requirement.item,
        requirement.name_en,
        requirement.text_zh,
        requirement.text_en,
        "open" if last is None or last.state is None else last.state,
        "" if last is None else last.text,
        None if last is None else last.author,
        None if last is None else last.made,
        [entry.attachment for entry in entries if entry.attachment is not None],
        list(entries),
    )
