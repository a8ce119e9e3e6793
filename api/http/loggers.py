"""What data loggers say beside readings: reported aggregates, gaps, information."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, ScopeOf, visible_site
from greenmine.api.http.exports import answer
from greenmine.api.http.items import InformationItem, LoggerGapItem, ReportedItem
from greenmine.api.http.pagination import Page
from greenmine.api.http.schemas import listed
from greenmine.record.reader import Queries, Scope
from greenmine.times import local

router = APIRouter()

_REPORTED: Final = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{4})")
_GAP: Final = re.compile(r"(\d{1,18})/([^/]{1,80})/([^/]{1,80})")


class ReportedArguments(arguments.SitePeriod):
    """Reported aggregates of a site, of one command; by the begin of their window."""

    command: Literal["2051", "2061", "2031"] | None = None


class GapsArguments(arguments.SitePeriod):
    """Gaps of a site in a state, that overlap the period."""

    state: Literal["open", "filled", "partly", "unfilled"] | None = None


@router.get("/api/v1/loggers/reported", responses=listed(ReportedItem, files=True))
def reported_aggregates(
    given: Annotated[ReportedArguments, Query()], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Aggregates that data loggers computed themselves, beside ours of the same window."""
    chosen = _sites(context, scope, given.site)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        match = arguments.cursor_parts(_REPORTED, cursor)
        after = None if match is None else (int(match[1]), int(match[2]), match[3])
        rows = queries.reported(chosen, given.start, given.end, command=given.command, limit=size + 1, after=after)
        items: list[Any] = []
        for channel, row in rows[:size]:
            zone = context.registry.site(channel.site).zone
            items.append(
                ReportedItem(
                    channel=channel.key,
                    command=row.command,
                    start=local(row.start, zone),
                    end=local(row.end, zone),
                    mean=row.mean,
                    minimum=row.minimum,
                    maximum=row.maximum,
                    total=row.total,
                    flag=row.flag,
                    unit=channel.parameter.unit,
                    revision=row.revision,
                    received=local(row.received, zone),
                    own_mean=row.own_mean,
                    own_count=row.own_count,
                    difference=row.difference,
                    compared=None if row.compared is None else local(row.compared, zone),
                )
            )
        last = rows[size - 1][1] if len(rows) > size else None
        return items, f"{last.start}-{last.channel}-{last.command}" if last is not None else None

    return _answer(request, context, scope, given, "reported", ReportedItem, page, "reported")


@router.get("/api/v1/loggers/gaps", responses=listed(LoggerGapItem, files=True))
def logger_gaps(
    given: Annotated[GapsArguments, Query()], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Spans in which a data logger's readings are missing, and what came when they were asked back."""
    chosen = _sites(context, scope, given.site)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        match = arguments.cursor_parts(_GAP, cursor)
        after = None if match is None else (int(match[1]), match[2], match[3])
        rows = queries.logger_gaps(chosen, given.start, given.end, state=given.state, limit=size + 1, after=after)
        items: list[Any] = []
        for row in rows[:size]:
            zone = context.registry.site(row.site).zone
            items.append(
                LoggerGapItem(
                    site=row.site,
                    device=row.device,
                    start=local(row.start, zone),
                    end=local(row.end, zone),
                    minutes=(row.end - row.start) // 60_000,
                    state=row.state,
                    filled=row.filled,
                    source=row.source or None,
                    asked=row.asked,
                    found=local(row.found, zone),
                    changed=local(row.changed, zone),
                )
            )
        last = rows[size - 1] if len(rows) > size else None
        return items, f"{last.start}/{last.site}/{last.device}" if last is not None else None

    return _answer(request, context, scope, given, "logger-gaps", LoggerGapItem, page, "gap")


@router.get("/api/v1/loggers/information", responses=listed(InformationItem, files=True))
def logger_information(
    given: Given[arguments.SiteListing], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Logs, states, serial numbers and the like that data loggers sent, newest first."""
    chosen = _sites(context, scope, given.site)

    def page(queries: Queries, cursor: str | None, size: int) -> tuple[list[Any], str | None]:
        rows = queries.information(chosen, limit=size + 1, before=arguments.number_of(cursor))
        items: list[Any] = []
        for row in rows[:size]:
            zone = context.registry.site(row.site).zone
            said = msgspec.json.decode(row.content, type=list[tuple[str, str]])
            items.append(
                InformationItem(
                    id=row.id,
                    received=local(row.received, zone),
                    site=row.site,
                    device=row.device,
                    command=row.command,
                    time=None if row.time is None else local(row.time, zone),
                    content=";".join(f"{name}={text}" for name, text in said),
                )
            )
        return items, str(items[-1].id) if len(rows) > size else None

    return _answer(request, context, scope, given, "information", InformationItem, page, "information")


def _answer(
    request: Request,
    context: Context,
    scope: Scope,
    given: arguments.SiteListing | arguments.SitePeriod,
    name: str,
    kind: type[msgspec.Struct],
    page: Page,
    table: str,
) -> Response:
    zone = "UTC" if given.site is None else context.registry.site(given.site).zone
    return answer(request, context, scope, given, name, kind, page, lambda queries: queries.version(table), zone)


def _sites(context: Context, scope: Scope, site: str | None) -> Scope:
    return scope if site is None else Scope(frozenset({visible_site(context.registry, scope, site).id}))
