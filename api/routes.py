"""JSON routes."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from api import arguments, events
from api.addresses import from_this_machine
from api.caller import CallerOf, still_admitted, unauthenticated
from api.context import ContextOf, QueriesOf, ScopeOf, now, visible_channel, visible_site
from api.health import service_health
from api.metrics import metrics
from api.problems import Problem
from api.queries import Queries, Rows, Scope, valid
from api.responses import JSON, listing
from api.rolling import rolling_statistics
from api.times import DAY, local
from api.views import exceedance_view, latest, verdict_view
from greenmine.durations import parse_duration
from greenmine.registry import Channel, Registry
from processing.series import summarise, window_bounds

router = APIRouter()

_END_OF_TIME = 1 << 62
_LEGAL_WINDOWS = ("hour", "day", "daytime", "nighttime")
_MAX_WINDOWS = 10_000
_MAX_SPAN = 31 * DAY
_READING_CURSOR = re.compile(r"(\d{1,18})")
_PAIR_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})")
_VERDICT_CURSOR = re.compile(r"(\d{1,18})-(.{1,200})")
_LEDGER_CURSOR = re.compile(r"(\d{4}-\d\d-\d\d/[^/]+/[^/]+)")


@router.get("/healthz")
def healthz(_: Annotated[arguments.NoArguments, Query()], queries: QueriesOf, caller: CallerOf) -> Response:
    """Health: 200 while a worker reports, 503 otherwise; what workers say of themselves is for those who see all mines."""
    health = service_health(queries, now())
    if not caller.oversees:
        health = msgspec.structs.replace(health, workers=[])
    return JSON(health, 200 if health.state == "running" else 503)


@router.get("/metrics")
def metrics_text(
    _: Annotated[arguments.NoArguments, Query()],
    request: Request,
    context: ContextOf,
    queries: QueriesOf,
    caller: CallerOf,
) -> Response:
    """Metrics of the sites that you see in the Prometheus text format, and those of the workers for who sees all mines."""
    scope, workers = caller.scope, caller.oversees
    if caller.role == "public":
        if not context.settings.metrics_loopback or not from_this_machine(request):
            raise unauthenticated()
        scope, workers = Scope(frozenset(site.id for site in context.registry.sites)), True
    return Response(
        metrics(queries, scope, now(), workers=workers), media_type="text/plain; version=1.0.0; charset=utf-8"
    )


@router.get("/api/v1/sites")
def sites(_: Annotated[arguments.NoArguments, Query()], context: ContextOf, scope: ScopeOf) -> Response:
    """Sites, as in the registry."""
    return listing(
        [
            {
                "site": site.id,
                "name_zh": site.name_zh,
                "name_en": site.name_en,
                "enterprise": site.enterprise,
                "zone": site.zone,
                "township_zh": site.township_zh,
                "product_zh": site.product_zh,
                "product_en": site.product_en,
                "scale": site.scale,
                "batch": site.batch,
                "batch_years": site.batch_years,
                "requirement_items": site.requirement_items,
                "position": site.position,
                "stations": [station.id for station in site.stations],
            }
            for site in context.registry.sites
            if site.id in scope
        ]
    )


@router.get("/api/v1/stations")
def stations(given: Annotated[arguments.SiteArguments, Query()], context: ContextOf, scope: ScopeOf) -> Response:
    """Stations with their channels and rules."""
    registry = context.registry
    chosen = _sites(registry, scope, given.site)
    items: list[dict[str, Any]] = []
    for site in registry.sites:
        if site.id not in chosen:
            continue
        channels = registry.site_channels(site.id)
        items.extend(
            {
                "site": site.id,
                "station": station.id,
                "name_zh": station.name_zh,
                "name_en": station.name_en,
                "role": station.role,
                "position": station.position,
                "noise_class": station.noise_class,
                "channels": [
                    {
                        "channel": channel.key,
                        "parameter": channel.parameter.id,
                        "name_zh": channel.parameter.name_zh,
                        "name_en": channel.parameter.name_en,
                        "unit": channel.parameter.unit,
                        "device": channel.device,
                        "interval_s": channel.interval / 1000,
                    }
                    for channel in channels
                    if channel.station == station.id
                ],
                "rules": [
                    {"rule": rule.key, "limit": rule.limit.id, "channel": registry.channels[rule.channel].key}
                    for rule in registry.rules
                    if rule.site == site.id and rule.station == station.id
                ],
            }
            for station in site.stations
        )
    return listing(items)


@router.get("/api/v1/latest")
def latest_readings(
    given: Annotated[arguments.SiteArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Newest valid reading of each channel, its health, and the limits on it."""
    chosen = _sites(context.registry, scope, given.site)
    return listing(list(latest(queries, chosen, now())))


@router.get("/api/v1/readings")
def readings(
    given: Annotated[arguments.ReadingsArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Readings of a channel as they came, by time."""
    channel = visible_channel(context.registry, scope, given.channel)
    start, end = _last_day(given)
    cursor = _cursor(_READING_CURSOR, given.cursor)
    if cursor:
        start = max(start, int(cursor[1]))
    rows = queries.readings(scope, channel.key, start, end, given.size + 1)
    following = str(rows["time"][given.size]) if len(rows) > given.size else None
    return listing(_reading_items(context.registry, channel, rows[: given.size]), following)


@router.get("/api/v1/statistics")
def statistics(
    given: Annotated[arguments.StatisticsArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Figures of a channel over legal windows, or computed now over windows of any length."""
    channel = visible_channel(context.registry, scope, given.channel)
    if given.window not in _LEGAL_WINDOWS:
        return _any_window(queries, scope, channel, given)
    if given.every is not None:
        raise Problem(400, f"every: belongs to a window such as 15min, not to {given.window!r}")
    zone = context.registry.site(channel.site).zone
    cursor = _cursor(_PAIR_CURSOR, given.cursor)
    rows = queries.statistics(
        scope,
        channel.key,
        given.window,
        given.start if given.start is not None else 0,
        given.end if given.end is not None else _END_OF_TIME,
        revisions=given.revisions == "all",
        limit=given.size + 1,
        after=(int(cursor[1]), int(cursor[2])) if cursor else None,
    )
    items = [
        {
            "channel": channel.key,
            "window": row.window,
            "start": local(row.start, zone),
            "end": local(row.end, zone),
            "mean": row.mean,
            "minimum": row.minimum,
            "maximum": row.maximum,
            "count": row._mapping["count"],  # noqa: SLF001 - a row is a tuple, whose count is a method
            "expected": row.expected,
            "capture": row.capture,
            "valid": row.valid,
            "hours": row.hours,
            "excluded": row.excluded,
            "suspect": row.suspect,
            "l10": row.l10,
            "l50": row.l50,
            "l90": row.l90,
            "unit": channel.parameter.unit,
            "revision": row.revision,
            "latest": row.latest,
            "reason": row.reason,
            "issued": local(row.issued, zone),
        }
        for row in rows[: given.size]
    ]
    last = rows[given.size - 1] if len(rows) > given.size else None
    return listing(items, f"{last.start}-{last.revision}" if last is not None else None)


@router.get("/api/v1/verdicts")
def verdicts(
    given: Annotated[arguments.VerdictsArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Verdicts with their reasons, by period."""
    _sites(context.registry, scope, given.site)
    if given.limit_id is not None and given.limit_id not in context.registry.limits:
        raise Problem(404, f"There is no limit {given.limit_id!r}; docs/limits.md lists them.")
    cursor = _cursor(_VERDICT_CURSOR, given.cursor)
    rows = queries.verdicts(
        scope,
        given.start if given.start is not None else 0,
        given.end if given.end is not None else _END_OF_TIME,
        site=given.site,
        limit_id=given.limit_id,
        limit=given.size + 1,
        after=(int(cursor[1]), cursor[2]) if cursor else None,
    )
    last = rows[given.size - 1] if len(rows) > given.size else None
    return listing(
        [verdict_view(context.registry, row) for row in rows[: given.size]],
        f"{last.start}-{last.rule}" if last is not None else None,
    )


@router.get("/api/v1/exceedances")
def exceedances(
    given: Annotated[arguments.ExceedancesArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Exceedances, newest first."""
    _sites(context.registry, scope, given.site)
    cursor = _cursor(_PAIR_CURSOR, given.cursor)
    rows = queries.exceedances(
        scope,
        given.start if given.start is not None else 0,
        given.end if given.end is not None else _END_OF_TIME,
        site=given.site,
        state=given.state,
        limit=given.size + 1,
        before=(int(cursor[1]), int(cursor[2])) if cursor else None,
    )
    last = rows[given.size - 1] if len(rows) > given.size else None
    return listing(
        [exceedance_view(context.registry, row, now()) for row in rows[: given.size]],
        f"{last.start}-{last.id}" if last is not None else None,
    )


@router.get("/api/v1/exceedance-statistics")
def limit_statistics(
    given: Annotated[arguments.OneSiteArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """How often, how long and how far each limit was exceeded over 24 hours, 7 days and 30 days."""
    site = visible_site(context.registry, scope, given.site)
    return listing(list(rolling_statistics(queries, scope, site, now())))


@router.get("/api/v1/ledger")
def ledger(
    given: Annotated[arguments.LedgerArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Ledger of each device and day: received = stored + duplicate + rejected + late."""
    _sites(context.registry, scope, given.site)
    cursor = _cursor(_LEDGER_CURSOR, given.cursor)
    rows = queries.ledger(
        scope,
        given.start,
        given.end,
        site=given.site,
        limit=given.size + 1,
        after=cursor[1] if cursor else None,
    )
    last = rows[given.size - 1] if len(rows) > given.size else None
    items: list[dict[str, Any]] = []
    for row in rows[: given.size]:
        item = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
        latency = item.pop("latency_sum")
        items.append({**item, "mean_latency_ms": latency / row.stored if row.stored else None})
    return listing(items, f"{last.day}/{last.site}/{last.device}" if last is not None else None)


@router.get("/api/v1/rejections")
def rejections(
    given: Annotated[arguments.RejectionsArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """What could not be taken, newest first."""
    _sites(context.registry, scope, given.site)
    cursor = _cursor(_READING_CURSOR, given.cursor)
    rows = queries.rejections(scope, site=given.site, limit=given.size + 1, before=int(cursor[1]) if cursor else None)
    last = rows[given.size - 1] if len(rows) > given.size else None
    items = [
        {**row._mapping, "received": local(row.received, context.registry.site(row.site).zone)}  # noqa: SLF001
        for row in rows[: given.size]
    ]
    return listing(items, str(last.id) if last is not None else None)


@router.get("/api/v1/events")
async def live(
    given: Annotated[arguments.EventsArguments, Query()], request: Request, context: ContextOf, caller: CallerOf
) -> Response:
    """Live stream; an interrupted one goes on behind its ``Last-Event-ID``."""
    chosen = _sites(context.registry, caller.scope, given.site)
    header = request.headers.get("last-event-id")
    cursor = events.Cursor.parse(header) if header is not None else None
    if header is not None and cursor is None:
        raise Problem(400, f"Last-Event-ID: {header!r} is not the id of an event of this stream")
    return StreamingResponse(
        events.stream(context, chosen, cursor, partial(still_admitted, request, caller)),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _sites(registry: Registry, scope: Scope, site: str | None) -> Scope:
    if site is None:
        return scope
    return Scope(frozenset({visible_site(registry, scope, site).id}))


def _cursor(pattern: re.Pattern[str], text: str | None) -> re.Match[str] | None:
    if text is None:
        return None
    match = pattern.fullmatch(text)
    if match is None:
        raise Problem(400, f"cursor: {text!r} is not the 'next' of an answer of this route")
    return match


def _last_day(given: arguments.Period) -> tuple[int, int]:
    end = given.end if given.end is not None else now()
    return given.start if given.start is not None else end - DAY, end


def _reading_items(registry: Registry, channel: Channel, rows: Rows) -> list[dict[str, Any]]:
    zone = registry.site(channel.site).zone
    return [
        {"time": local(time, zone), "value": value, "flag": chr(flag), "quality": quality}
        for time, value, flag, quality in rows.tolist()
    ]


def _any_window(queries: Queries, scope: Scope, channel: Channel, given: arguments.StatisticsArguments) -> Response:
    for name in ("cursor", "revisions"):
        if name in given.model_fields_set:
            raise Problem(400, f"{name}: belongs to the windows {', '.join(_LEGAL_WINDOWS)}; choose 'from' and 'to'")
    try:
        window = parse_duration(given.window)
        every = parse_duration(given.every) if given.every is not None else window
    except ValueError as error:
        raise Problem(400, f"window, every: {error}, nor one of {', '.join(_LEGAL_WINDOWS)}") from None
    start, end = _last_day(given)
    if not 0 < end - start <= _MAX_SPAN or window > _MAX_SPAN or (end - start) / every > _MAX_WINDOWS:
        raise Problem(
            400, f"from, to: choose a period of at most 31 days with at most {_MAX_WINDOWS} windows, 'from' before 'to'"
        )
    zone = queries.registry.site(channel.site).zone
    rows = queries.readings(scope, channel.key, start - window, end)
    rows = rows[valid(rows)]
    sound = channel.parameter.averaging == "energy"
    starts, ends = window_bounds(start, end, window, every, zone)
    inside = (starts >= start) & (ends <= end)
    starts, ends = starts[inside], ends[inside]
    levels = (10, 50, 90) if sound else ()  # L10 is exceeded for 10 % of the time: the 90th percentile
    summary = summarise(
        rows["time"],
        rows["value"],
        averaging=channel.parameter.averaging,
        windows=(starts, ends),
        percentiles=tuple(100.0 - level for level in levels),
    )
    items: list[dict[str, Any]] = []
    for i, (first, last) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        item = {
            "channel": channel.key,
            "start": local(first, zone),
            "end": local(last, zone),
            "mean": float(summary.mean[i]),
            "minimum": float(summary.minimum[i]),
            "maximum": float(summary.maximum[i]),
            "count": int(summary.count[i]),
            "capture": int(summary.count[i]) / ((last - first) / channel.interval),
            "unit": channel.parameter.unit,
        }
        items.append(item | {f"l{level}": float(summary.percentiles[j][i]) for j, level in enumerate(levels)})
    return listing(items)
