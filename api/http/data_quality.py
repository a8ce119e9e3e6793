"""What became of everything that was received: ledger, gaps, conflicts, late readings, rejections, health."""

from __future__ import annotations

import re
from typing import Any, Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from greenmine.api.accounts.caller import CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.audit import reads_all
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, ScopeOf, visible_channel, visible_site
from greenmine.api.http.exports import answer
from greenmine.api.http.items import GapItem, HealthItem, LedgerItem, RejectionItem, SideItem
from greenmine.api.http.schemas import listed
from greenmine.record.reader import Queries, Scope
from greenmine.times import local

router = APIRouter()

_END_OF_TIME = 1 << 62
_PAIR = re.compile(r"(\d{1,18})-(\d{1,18})")
_LEDGER = re.compile(r"(\d{4}-\d\d-\d\d/[^/]*/.*)")
_GAP = re.compile(r"([^/]+)/([^/]+)/(\d{1,18})")


@router.get("/api/v1/ledger", responses=listed(LedgerItem, files=True))
def ledger(
    given: Given[arguments.LedgerArguments], request: Request, context: ContextOf, caller: CallerOf, scope: ScopeOf
) -> Response:
    """Ledger of each device and day: received = stored + duplicate + rejected + late; administrators see what names no mine."""
    zone = _zone(context, scope, given.site)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        match = arguments.cursor_parts(_LEDGER, cursor)
        rows = queries.ledger(
            scope,
            given.start,
            given.end,
            site=given.site,
            limit=size + 1,
            after=match[1] if match else None,
            strangers=reads_all(caller),
        )
        items = [
            LedgerItem(
                **{name: getattr(row, name) for name in LedgerItem.__struct_fields__ if name != "mean_latency_ms"},
                mean_latency_ms=row.latency_sum / row.stored if row.stored else None,
            )
            for row in rows[:size]
        ]
        last = items[-1] if len(rows) > size else None
        return items, f"{last.day}/{last.site}/{last.device}" if last is not None else None

    return answer(request, context, scope, given, "ledger", LedgerItem, page, _version("ledger"), zone)


@router.get("/api/v1/gaps", responses=listed(GapItem, files=True))
def gaps(given: Given[arguments.SiteListing], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Messages that never came, told by their sequence numbers."""
    zone = _zone(context, scope, given.site)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        match = arguments.cursor_parts(_GAP, cursor)
        after = (match[1], match[2], int(match[3])) if match else None
        rows = queries.gaps(scope, site=given.site, limit=size + 1, after=after)
        items = [GapItem(row.site, row.device, row.first, row.last, row.last - row.first + 1) for row in rows[:size]]
        last = items[-1] if len(rows) > size else None
        return items, f"{last.site}/{last.device}/{last.first}" if last is not None else None

    # A gap opens or closes with the count of missing messages in the ledger.
    return answer(request, context, scope, given, "gaps", GapItem, page, _version("ledger"), zone)


@router.get("/api/v1/conflicts", responses=listed(SideItem, files=True))
def conflicts(given: Given[arguments.SidePeriod], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Other values for instants already stored, newest receipt first: kept, shown, not used."""
    return _aside(request, context, scope, given, "conflict", "conflicts")


@router.get("/api/v1/late", responses=listed(SideItem, files=True))
def late(given: Given[arguments.SidePeriod], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Readings later than the allowed lateness, newest receipt first: kept, shown, not used."""
    return _aside(request, context, scope, given, "late", "late")


@router.get("/api/v1/rejections", responses=listed(RejectionItem, files=True))
def rejections(
    given: Given[arguments.RejectionsArguments], request: Request, context: ContextOf, scope: ScopeOf, caller: CallerOf
) -> Response:
    """What could not be taken, newest first; administrators see messages that name no mine of the registry, too."""
    zone = _zone(context, scope, given.site)
    zones = {site.id: site.zone for site in context.registry.sites}

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        before = arguments.number_of(cursor)
        rows = queries.rejections(scope, site=given.site, limit=size + 1, before=before, strangers=reads_all(caller))
        items = [
            RejectionItem(
                row.id,
                local(row.received, zones.get(row.site, zone)),
                *(row.site, row.device, row.topic, row.reason, row.detail, row.readings, row.size),
            )
            for row in rows[:size]
        ]
        return items, str(items[-1].id) if len(rows) > size else None

    version = _version("rejection")
    return answer(request, context, scope, given, "rejections", RejectionItem, page, version, zone)


@router.get("/api/v1/health", responses=listed(HealthItem, files=True))
def health(given: Given[arguments.SitePeriod], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Changes of the channels' health, newest first; the newest of a channel is its state."""
    zone = _zone(context, scope, given.site)
    start, end = _period(given)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        match = arguments.cursor_parts(_PAIR, cursor)
        before = (int(match[1]), int(match[2])) if match else None
        rows = queries.health_changes(scope, start, end, site=given.site, limit=size + 1, before=before)
        items = [
            HealthItem(channel.key, row.state, local(row.since, context.registry.site(channel.site).zone), row.detail)
            for channel, row in rows[:size]
        ]
        last = rows[size - 1][1] if len(rows) > size else None
        return items, f"{last.since}-{last.channel}" if last is not None else None

    return answer(request, context, scope, given, "health", HealthItem, page, _version("health"), zone)


def _aside(
    request: Request,
    context: Context,
    scope: Scope,
    given: arguments.SidePeriod,
    table: Literal["conflict", "late"],
    name: str,
) -> Response:
    zone = _zone(context, scope, given.site)
    if given.channel is not None:
        zone = context.registry.site(visible_channel(context.registry, scope, given.channel).site).zone
    start, end = _period(given)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        rows = queries.aside(
            scope,
            table,
            start,
            end,
            site=given.site,
            key=given.channel,
            limit=size + 1,
            before=arguments.number_of(cursor),
        )
        items = []
        for channel, row in rows[:size]:
            own = context.registry.site(channel.site).zone
            items.append(
                SideItem(row.id, channel.key, local(row.time, own), row.value, row.flag, local(row.received, own))
            )
        return items, str(items[-1].id) if len(rows) > size else None

    return answer(request, context, scope, given, name, SideItem, page, _version(table), zone)


def _zone(context: Context, scope: Scope, site: str | None) -> str:
    """Clock of a site; of several, UTC."""
    return "UTC" if site is None else visible_site(context.registry, scope, site).zone


def _period(given: arguments.Period) -> tuple[int, int]:
    return given.start if given.start is not None else 0, given.end if given.end is not None else _END_OF_TIME


def _version(table: str) -> Any:
    """Highest serial or number of a table; rows of it are never taken away."""

    def version(queries: Queries) -> object:
        return queries.version(table)

    return version
