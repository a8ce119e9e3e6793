"""Marks: what people state about periods, and the requests by which they do so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from greenmine.api.accounts.caller import Caller, CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.audit import Audit, AuditOf
from greenmine.api.http.bodies import decoded
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, QueriesOf, ScopeOf, visible_site
from greenmine.api.http.exports import answer
from greenmine.api.http.items import MarkItem, MarkRequestItem, RemovedItem
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.schemas import listed, single, taking
from greenmine.record.reader import Queries, Row, Scope, narrowed
from greenmine.registry import Registry
from greenmine.times import DAY, local, now, parse_time

router = APIRouter()

LONGEST: Final = 31 * DAY
"""A longer mark is made as several [ms]."""
AHEAD: Final = DAY
"""How far ahead of the clock a mark may end [ms]."""
WAITING: Final = 100
"""Most requests that may wait at a site."""
_END_OF_TIME: Final = 1 << 62

Kind = Literal["maintenance", "calibration", "stop", "fault", "blasting", "weather"]


class NewMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mark to be made at a station, or for one parameter there; times are ISO 8601 with offset, ``end`` is exclusive."""

    site: Annotated[str, msgspec.Meta(max_length=80)]
    station: Annotated[str, msgspec.Meta(max_length=80)]
    start: Annotated[str, msgspec.Meta(max_length=40)]
    end: Annotated[str, msgspec.Meta(max_length=40)]
    kind: Kind
    reason: Annotated[str, msgspec.Meta(max_length=1_000)]
    parameter: Annotated[str, msgspec.Meta(max_length=40)] | None = None


def mark_items(queries: Queries, scope: Scope, rows: Sequence[Row]) -> list[MarkItem]:
    """Marks as they are shown."""
    return [
        MarkItem(
            row.id,
            row.site,
            row.station,
            row.parameter,
            local(row.start, zone := queries.registry.site(row.site).zone),
            local(row.end, zone),
            row.kind,
            row.reason,
            row.author,
            local(row.made, zone),
            queries.issued_before(scope, row),
            row.confirmed_by,
        )
        for row in rows
    ]


def request_item(registry: Registry, row: Row) -> MarkRequestItem:
    """A mark that was asked for, as it is shown."""
    zone = registry.site(row.site).zone
    return MarkRequestItem(
        row.id,
        row.site,
        row.station,
        row.parameter,
        local(row.start, zone),
        local(row.end, zone),
        row.kind,
        row.reason,
        row.author,
        local(row.made, zone),
        row.state,
        row.answer,
        row.mark,
        local(row.answered, zone) if row.answered is not None else None,
        row.decided_by,
        [
            RemovedItem(
                one["rule"],
                local(one["start"], zone),
                local(one["end"], zone) if one["end"] is not None else None,
                one["value"],
                one["after"],
                one["judgement"],
            )
            for one in msgspec.json.decode(row.removes)
        ],
    )


@router.get("/api/v1/marks", responses=listed(MarkItem, files=True))
def marks(given: Given[arguments.MarksArguments], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Marks that share an instant with a period, in the order in which they were made."""
    zone = "UTC" if given.site is None else visible_site(context.registry, scope, given.site).zone
    start = given.start if given.start is not None else 0
    end = given.end if given.end is not None else _END_OF_TIME

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        after = arguments.number_of(cursor)
        rows = queries.marks(
            scope, start, end, site=given.site, station=given.station, limit=size + 1, after=after or 0
        )
        return mark_items(queries, scope, rows[:size]), str(rows[size - 1].id) if len(rows) > size else None

    def version(queries: Queries) -> object:
        return queries.version("mark"), queries.figures(narrowed(scope, given.site))

    return answer(request, context, scope, given, "marks", MarkItem, page, version, zone)


@router.post(
    "/api/v1/marks",
    status_code=202,
    responses=single(MarkRequestItem, 202),
    openapi_extra=taking(
        NewMark,
        {
            "site": "hengjie",
            "station": "boundary",
            "start": "2026-11-22T10:00:00+08:00",
            "end": "2026-11-22T11:30:00+08:00",
            "kind": "maintenance",
            "reason": "inlet cleaned",
        },
    ),
)
async def ask(_: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf) -> Response:
    """Ask for a mark: maintenance, calibration, stop, fault and weather take readings out of the figures, blasting explains.

    The worker makes it within seconds of its end and restates what it touches; ``Location`` tells how that went. One that would
    take an exceedance away is a claim: it waits until a supervisor confirms or refuses it.
    """
    asked = await decoded(request, NewMark)
    row = _checked(context, caller, asked)
    item = await run_in_threadpool(_add, context, audit, row)
    response = JSON(item, 202)
    response.headers["Location"] = f"/api/v1/mark-requests/{item.id}"
    return response


@router.get("/api/v1/mark-requests", responses=listed(MarkRequestItem, files=True))
def requests(given: Given[arguments.SiteListing], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Marks that were asked for, newest first, with what became of them."""
    zone = "UTC" if given.site is None else visible_site(context.registry, scope, given.site).zone

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        before = arguments.number_of(cursor)
        rows = queries.mark_requests(scope, site=given.site, limit=size + 1, before=before)
        items = [request_item(context.registry, row) for row in rows[:size]]
        return items, str(rows[size - 1].id) if len(rows) > size else None

    return answer(
        request, context, scope, given, "mark-requests", MarkRequestItem, page, Queries.mark_requests_version, zone
    )


@router.get("/api/v1/mark-requests/{number}", responses=single(MarkRequestItem))
def asked_for(number: int, _: NothingGiven, scope: ScopeOf, queries: QueriesOf) -> Response:
    """What became of a mark that was asked for."""
    rows = queries.mark_requests(scope, limit=1, number=number) if 0 <= number < 1 << 62 else []
    if not rows:
        raise Problem(404, f"There is no mark request {number}; /api/v1/mark-requests lists them.")
    return JSON(request_item(queries.registry, rows[0]))


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a supervisor says of a claim; a refusal has a reason."""

    decision: Literal["confirm", "refuse"]
    reason: Annotated[str, msgspec.Meta(max_length=1_000)] = ""


@router.post(
    "/api/v1/mark-requests/{number}/decision",
    responses=single(MarkRequestItem),
    openapi_extra=taking(Decision, {"decision": "confirm"}),
)
async def decide(
    number: int, _: NothingGiven, request: Request, context: ContextOf, caller: CallerOf, audit: AuditOf
) -> Response:
    """Confirm or refuse a claim: a mark that takes an exceedance away. Supervisors may, and nobody of their own."""
    said = await decoded(request, Decision)
    if said.decision == "refuse" and not said.reason.strip():
        raise Problem(400, "reason: must say why the claim is refused")
    return JSON(await run_in_threadpool(_decide, context, caller, audit, number, said))


def _decide(context: Context, caller: Caller, audit: Audit, number: int, said: Decision) -> MarkRequestItem:
    with context.record.queries() as queries:
        rows = queries.mark_requests(caller.scope, limit=1, number=number) if 0 <= number < 1 << 62 else []
    if not rows:
        raise Problem(404, f"There is no mark request {number}; /api/v1/mark-requests lists them.")
    if not caller.oversees:
        raise Problem(403, f"{caller.name} may not decide about claims; a supervisor may.")
    undecided = Problem(409, f"Mark request {number} is {rows[0].state}; only one that is claimed can be decided.")
    if rows[0].state != "claimed":
        raise undecided
    if rows[0].author.partition("/")[0] == caller.name.partition("/")[0]:
        raise Problem(403, f"{caller.name} may not decide about a claim of their own.")
    with context.record.contributions(rows[0].site) as contributions:
        refusal = said.reason.strip() if said.decision == "refuse" else None
        row = contributions.decide_claim(number, caller.name, now(), refusal)
        if row is None:
            raise undecided
        item = request_item(context.registry, row)
    audit.add(
        f"claim-{said.decision}",
        site=item.site,
        subject=f"mark request {item.id}",
        kind=item.kind,
        station=item.station,
    )
    return item


def _checked(context: Context, caller: Caller, asked: NewMark) -> dict[str, object]:
    site = visible_site(context.registry, caller.scope, asked.site)
    if not caller.may_act(site.id):
        raise Problem(403, f"{caller.name} may not make marks at {site.id!r}.")
    channels = [c for c in context.registry.site_channels(site.id) if c.station == asked.station]
    if asked.station not in {station.id for station in site.stations}:
        raise Problem(404, f"There is no station {asked.station!r} at {site.id!r}; /api/v1/stations lists them.")
    measured = sorted({c.parameter.id for c in channels})
    if asked.parameter is not None and asked.parameter not in measured:
        raise Problem(400, f"parameter: {asked.station} measures {', '.join(measured)}")
    try:
        start, end = parse_time(asked.start), parse_time(asked.end)
    except ValueError as error:
        raise Problem(400, f"start, end: {error}") from None
    instant = now()
    if not 0 < end - start <= LONGEST or end > instant + AHEAD or start < 0:
        raise Problem(400, "start, end: 'start' before 'end', at most 31 days long, and at most a day ahead")
    if not asked.reason.strip():
        raise Problem(400, "reason: must say something")
    return {
        "site": site.id, "station": asked.station, "parameter": asked.parameter, "start": start, "end": end,
        "kind": asked.kind, "reason": asked.reason.strip(), "author": caller.name, "made": instant,
    }  # fmt: skip


def _add(context: Context, audit: Audit, row: dict[str, object]) -> MarkRequestItem:
    with context.record.contributions(str(row["site"])) as contributions:
        if contributions.marks_waiting(str(row["site"])) >= WAITING:
            raise Problem(429, f"{WAITING} marks are waiting at {row['site']!r} already; is the worker running?")
        item = request_item(context.registry, contributions.ask_for_mark(row))
    audit.add("mark", site=item.site, subject=f"mark request {item.id}", kind=item.kind, station=item.station)
    return item
