"""JSON routes of what data loggers say beside readings: reported aggregates, gaps, information."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import Row, select, tuple_
from starlette.responses import Response

from api import arguments
from api.context import ContextOf, QueriesOf, ScopeOf, visible_site
from api.problems import Problem
from api.queries import Queries, Scope
from api.responses import listing
from api.times import local
from greenmine.registry import Registry
from greenmine.storage import schema

router = APIRouter()

_REPORTED_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})-(\d{4})")
_GAP_CURSOR = re.compile(r"(\d{1,18})/([^/]{1,80})/([^/]{1,80})")
_INFORMATION_CURSOR = re.compile(r"(\d{1,18})")


class ReportedArguments(arguments.Period):
    """Reported aggregates of a site, of one command; by the begin of their window."""

    site: str | None = None
    command: Literal["2051", "2061", "2031"] | None = None


class GapsArguments(arguments.Period):
    """Gaps of a site in a state, that overlap the period."""

    site: str | None = None
    state: Literal["open", "filled", "partly", "unfilled"] | None = None


class InformationArguments(arguments.Listing):
    """What loggers of a site said."""

    site: str | None = None


@router.get("/api/v1/reported")
def reported(
    given: Annotated[ReportedArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Aggregates that loggers computed themselves, beside ours of the same window."""
    registry = context.registry
    chosen = _sites(registry, scope, given.site)
    cursor = _cursor(_REPORTED_CURSOR, given.cursor)
    channels = queries.channels(chosen)
    c = schema.reported.c
    statement = select(schema.reported).where(c.channel.in_(channels), c.latest, *_period(c.start, c.start, given))
    if given.command is not None:
        statement = statement.where(c.command == given.command)
    if cursor:
        place = int(cursor[1]), int(cursor[2]), cursor[3]
        statement = statement.where(tuple_(c.start, c.channel, c.command) > place)
    rows = queries.connection.execute(statement.order_by(c.start, c.channel, c.command).limit(given.size + 1)).all()
    items = []
    for row in rows[: given.size]:
        channel = channels[row.channel]
        zone = registry.site(channel.site).zone
        items.append(
            {
                "channel": channel.key,
                "command": row.command,
                "start": local(row.start, zone),
                "end": local(row.end, zone),
                "mean": row.mean,
                "minimum": row.minimum,
                "maximum": row.maximum,
                "total": row.total,
                "flag": row.flag,
                "unit": channel.parameter.unit,
                "revision": row.revision,
                "received": local(row.received, zone),
                "own_mean": row.own_mean,
                "own_count": row.own_count,
                "difference": row.difference,
                "compared": None if row.compared is None else local(row.compared, zone),
            }
        )
    last = _last(rows, given.size)
    return listing(items, f"{last.start}-{last.channel}-{last.command}" if last is not None else None)


@router.get("/api/v1/gaps")
def gaps(given: Annotated[GapsArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf) -> Response:
    """Spans in which a logger's readings are missing, and what came when they were asked back."""
    registry = context.registry
    chosen = _sites(registry, scope, given.site)
    cursor = _cursor(_GAP_CURSOR, given.cursor)
    c = schema.gap.c
    statement = select(schema.gap).where(c.site.in_(chosen), *_period(c.start, c.end - 1, given))
    if given.state is not None:
        statement = statement.where(c.state == given.state)
    if cursor:
        statement = statement.where(tuple_(c.start, c.site, c.device) > (int(cursor[1]), cursor[2], cursor[3]))
    rows = queries.connection.execute(statement.order_by(c.start, c.site, c.device).limit(given.size + 1)).all()
    items = []
    for row in rows[: given.size]:
        zone = registry.site(row.site).zone
        items.append(
            {
                "site": row.site,
                "device": row.device,
                "start": local(row.start, zone),
                "end": local(row.end, zone),
                "minutes": (row.end - row.start) // 60_000,
                "state": row.state,
                "filled": row.filled,
                "source": row.source or None,
                "asked": row.asked,
                "found": local(row.found, zone),
                "changed": local(row.changed, zone),
            }
        )
    last = _last(rows, given.size)
    return listing(items, f"{last.start}/{last.site}/{last.device}" if last is not None else None)


@router.get("/api/v1/information")
def information(
    given: Annotated[InformationArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Logs, states, serial numbers and the like that loggers sent, newest first."""
    registry = context.registry
    chosen = _sites(registry, scope, given.site)
    cursor = _cursor(_INFORMATION_CURSOR, given.cursor)
    rows = _information(queries, chosen, given.size + 1, int(cursor[1]) if cursor else None)
    items = [
        {
            "site": row.site,
            "device": row.device,
            "command": row.command,
            "received": local(row.received, registry.site(row.site).zone),
            "time": None if row.time is None else local(row.time, registry.site(row.site).zone),
            "content": msgspec.json.decode(row.content),
        }
        for row in rows[: given.size]
    ]
    last = _last(rows, given.size)
    return listing(items, str(last.id) if last is not None else None)


def _information(queries: Queries, scope: Scope, limit: int, before: int | None) -> Sequence[Row[Any]]:
    c = schema.information.c
    statement = select(schema.information).where(c.site.in_(scope))
    if before is not None:
        statement = statement.where(c.id < before)
    return queries.connection.execute(statement.order_by(c.id.desc()).limit(limit)).all()


def _period(start: Any, end: Any, given: arguments.Period) -> list[Any]:
    """Conditions that [start, end] touches the period asked for."""
    conditions = []
    if given.start is not None:
        conditions.append(end >= given.start)
    if given.end is not None:
        conditions.append(start < given.end)
    return conditions


def _sites(registry: Registry, scope: Scope, site: str | None) -> Scope:
    return scope if site is None else Scope(frozenset({visible_site(registry, scope, site).id}))


def _cursor(pattern: re.Pattern[str], text: str | None) -> re.Match[str] | None:
    match = None if text is None else pattern.fullmatch(text)
    if text is not None and match is None:
        raise Problem(400, f"cursor: {text!r} is not the 'next' of an answer of this route")
    return match


def _last(rows: Sequence[Row[Any]], size: int) -> Row[Any] | None:
    return rows[size - 1] if len(rows) > size else None
