"""JSON routes: registry, readings, figures, judgements, live stream."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any

import msgspec
import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from greenmine.api.accounts.caller import CallerOf, still_admitted, unauthenticated
from greenmine.api.accounts.lockout import network
from greenmine.api.http import arguments
from greenmine.api.http.addresses import from_this_machine
from greenmine.api.http.answers import kept_answer
from greenmine.api.http.arguments import cursor_parts
from greenmine.api.http.audit import client_address
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import (
    ContextOf,
    Given,
    NothingGiven,
    QueriesOf,
    ScopeOf,
    visible_channel,
    visible_site,
)
from greenmine.api.http.exports import answer, entity_tag, stream, tagged, unchanged
from greenmine.api.http.formats import XLSX_ROWS, chosen
from greenmine.api.http.health import ServiceHealth, service_health
from greenmine.api.http.items import (
    ChannelItem,
    ReadingItem,
    RuleItem,
    SiteItem,
    StationItem,
    StatisticItem,
    VerdictRevision,
    WindowItem,
)
from greenmine.api.http.metrics import metrics
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON, listing, listing_bytes
from greenmine.api.http.rolling import RollingView, rolling_statistics
from greenmine.api.http.schemas import listed, problems, single
from greenmine.api.http.views import ExceedanceView, LatestView, exceedance_view, latest, verdict_view
from greenmine.api.live.events import Cursor
from greenmine.durations import parse_duration
from greenmine.processing.calibration import Calibrations
from greenmine.processing.series import summarise, window_bounds
from greenmine.record.reader import Queries, Rows, Scope, narrowed, valid
from greenmine.registry import Channel, Registry
from greenmine.times import DAY, MINUTE, local, now

router = APIRouter()

_END_OF_TIME = 1 << 62
_LEGAL_WINDOWS = ("hour", "day", "daytime", "nighttime")
_MAX_WINDOWS = 10_000
_MAX_SPAN = 31 * DAY
_LONGEST = 366 * DAY
_READING_CURSOR = re.compile(r"(\d{1,18})")
_PAIR_CURSOR = re.compile(r"(\d{1,18})-(\d{1,18})")
_STATISTIC_CURSOR = re.compile(r"(\d{1,4})-(\d{1,18})-(\d{1,9})")
_VERDICT_CURSOR = re.compile(r"(\d{1,18})-(\d{1,9})-(.{1,200})")
_FIGURES = set(StatisticItem.__struct_fields__) - {"channel", "start", "end", "issued", "unit"}
_COMPARED = ("verdict", "value", "judged", "low", "high", "capture", "reason")


@router.get("/healthz", responses={status: single(ServiceHealth, status)[status] for status in (200, 503)})
def healthz(_: NothingGiven, queries: QueriesOf, caller: CallerOf) -> Response:
    """Health: 200 while a worker reports, 503 otherwise; what workers say of themselves is for those who see all mines."""
    health = service_health(queries, now())
    if not caller.oversees:
        health = msgspec.structs.replace(health, workers=[])
    return JSON(health, 200 if health.state == "running" else 503)


@router.get("/metrics", response_class=PlainTextResponse, responses=problems())
def metrics_text(
    _: NothingGiven, request: Request, context: ContextOf, queries: QueriesOf, caller: CallerOf
) -> Response:
    """Metrics of the sites that you see in the Prometheus text format, and those of the workers for who sees all mines."""
    scope, workers = caller.scope, caller.oversees
    if caller.role == "public":
        if not context.settings.metrics_loopback or not from_this_machine(request):
            raise unauthenticated()
        scope, workers = Scope(frozenset(site.id for site in context.registry.sites)), True
    return Response(
        metrics(
            queries,
            scope,
            now(),
            context.settings.data,
            context.notices.outbox,
            context.broadcast.faults,
            workers=workers,
            sites=context.settings.metrics_sites,
        ),
        media_type="text/plain; version=1.0.0; charset=utf-8",
    )


@router.get("/api/v1/sites", responses=listed(SiteItem))
def sites(_: NothingGiven, request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Sites, as in the registry."""
    tag = entity_tag(request, scope, context.registry.digest)
    items: list[Any] = [
        SiteItem(
            site=site.id,
            stations=[station.id for station in site.stations],
            **{name: getattr(site, name) for name in SiteItem.__struct_fields__ if name not in {"site", "stations"}},
        )
        for site in context.registry.sites
        if site.id in scope
    ]
    return unchanged(request, tag) or tagged(listing(items), tag)


@router.get("/api/v1/stations", responses=listed(StationItem))
def stations(given: Given[arguments.SiteArguments], request: Request, context: ContextOf, scope: ScopeOf) -> Response:
    """Stations with their channels and rules."""
    registry = context.registry
    chosen_sites = _sites(registry, scope, given.site)
    tag = entity_tag(request, scope, registry.digest)
    items: list[Any] = [
        StationItem(
            site.id,
            station.id,
            station.name_zh,
            station.name_en,
            station.role,
            station.position,
            station.noise_class,
            [
                ChannelItem(
                    channel.key,
                    channel.parameter.id,
                    channel.parameter.name_zh,
                    channel.parameter.name_en,
                    channel.parameter.unit,
                    channel.device,
                    channel.interval / 1000,
                )
                for channel in registry.site_channels(site.id)
                if channel.station == station.id
            ],
            [
                RuleItem(rule.key, rule.limit.id, registry.channels[rule.channel].key)
                for rule in registry.site_rules(site.id)
                if rule.station == station.id
            ],
        )
        for site in registry.sites
        if site.id in chosen_sites
        for station in site.stations
    ]
    return unchanged(request, tag) or tagged(listing(items), tag)


@router.get("/api/v1/latest", responses=listed(LatestView))
def latest_readings(
    given: Given[arguments.LatestArguments], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Newest valid reading of each channel, its health, and the limits on it, in the registry's order."""
    registry, chosen_sites = context.registry, _sites(context.registry, scope, given.site)
    channels = [channel for channel in registry.channels if channel.site in chosen_sites]
    if given.cursor is not None:
        last = registry.channel(given.cursor)
        if last is None or last.site not in chosen_sites:
            raise Problem(400, f"cursor: {given.cursor!r} is not the 'next' of an answer of this route")
        channels = channels[channels.index(last) + 1 :]
    page = [channel.key for channel in channels[: given.size]]
    shown = Scope(frozenset(channel.site for channel in channels[: given.size]))
    following = page[-1] if len(channels) > given.size else None
    instant = now()

    def version(queries: Queries) -> object:
        return queries.changes(shown)

    def make(queries: Queries) -> bytes:
        views = {view.channel: view for view in latest(queries, shown, instant)}
        return listing_bytes([views[key] for key in page], following)

    minute = instant // MINUTE
    return kept_answer(request, context, scope, version, make, minute, until=(minute + 1) * MINUTE)


@router.get("/api/v1/readings", responses=listed(ReadingItem, files=True))
def readings(
    given: Given[arguments.ReadingsArguments], request: Request, context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Readings as they came, by time: pages of one channel, or files of a channel, a station or a site."""
    channels = _channels_of(context, scope, given)
    start, end = _last_day(given)
    newest, _, count = queries.extent(scope, {channel.key for channel in channels}, start, end)
    tag = entity_tag(request, scope, newest, count, start if given.start is None else None)
    if (same := unchanged(request, tag)) is not None:
        return same
    format_ = chosen(given.format, request.headers.get("accept", ""))
    zone = context.registry.site(channels[0].site).zone
    if format_ != "json":
        if format_ == "xlsx" and count >= 2 * XLSX_ROWS:
            raise Problem(
                400, f"format: a worksheet holds 1,048,576 rows and these are about {count:,}; choose csv or parquet"
            )
        from greenmine.api.http.batches import READINGS, reading_batches  # noqa: PLC0415 - loads Arrow

        name = "-".join(("readings", *(part for part in (given.channel or given.site, given.station) if part)))
        batches = reading_batches(context, scope, channels, start, end, newest)
        return tagged(stream(request, context, given, format_, name.replace("/", "-"), READINGS, batches, zone), tag)
    if given.channel is None:
        raise Problem(
            400, "channel: required for pages of JSON; a site or station is given out as csv, xlsx, arrow, parquet"
        )
    cursor = cursor_parts(_READING_CURSOR, given.cursor)
    if cursor:
        start = max(start, int(cursor[1]))
    rows = queries.readings(scope, channels[0].key, start, end, given.size + 1)
    following = str(rows["time"][given.size]) if len(rows) > given.size else None
    return tagged(listing(_reading_items(zone, rows[: given.size]), following), tag)


@router.get("/api/v1/statistics", responses=listed(StatisticItem, WindowItem, files=True))
def statistics(
    given: Given[arguments.StatisticsArguments], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Figures of a channel, or of a parameter at all stations of a site, over legal windows; of a channel over any others."""
    channels = _measured_channels(context, scope, given)
    if given.window not in _LEGAL_WINDOWS:
        if given.channel is None:
            raise Problem(400, "channel: required for a window of any length")
        return _any_window(context, scope, channels[0], given)
    if given.every is not None:
        raise Problem(400, f"every: belongs to a window such as 15min, not to {given.window!r}")
    zone = context.registry.site(channels[0].site).zone

    def page(queries: Queries, at: str | None, size: int) -> tuple[list[Any], str | None]:
        cursor = cursor_parts(_STATISTIC_CURSOR, at)
        first, *after = (int(part) for part in cursor.groups()) if cursor else (0, 0, -1)
        items: list[Any] = []
        for place, channel in enumerate(channels[first:], start=first):
            room = size - len(items)
            if not room:
                return items, f"{place}-0-0"
            rows = queries.statistics(
                scope,
                channel.key,
                given.window,
                *_period(given),
                revisions=given.revisions == "all",
                limit=room + 1,
                after=(after[0], after[1]) if place == first and cursor else None,
            )
            items += [_statistic_item(channel, zone, row) for row in rows[:room]]
            if len(rows) > room:
                return items, f"{place}-{rows[room - 1].start}-{rows[room - 1].revision}"
        return items, None

    def version(queries: Queries) -> object:
        return queries.figures(narrowed(scope, channels[0].site))

    if chosen(given.format, request.headers.get("accept", "")) == "json":

        def make(queries: Queries) -> bytes:
            return listing_bytes(*page(queries, given.cursor, given.size))

        return kept_answer(request, context, scope, version, make)
    told = given.channel or f"{given.site}/{given.parameter}"
    name = f"statistics-{told.replace('/', '-')}-{given.window}"
    return answer(request, context, scope, given, name, StatisticItem, page, version, zone)


@router.get("/api/v1/verdicts", responses=listed(VerdictRevision, files=True))
def verdicts(
    given: Given[arguments.VerdictsArguments], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Verdicts with their reasons, by period; with ``revisions=all`` every revision, and what changed and why."""
    registry = context.registry
    _sites(registry, scope, given.site)
    if given.limit_id is not None and given.limit_id not in registry.limits:
        raise Problem(404, f"There is no limit {given.limit_id!r}; docs/limits.md lists them.")
    rule = None if given.rule is None else registry.rule(given.rule)
    if given.rule is not None and (rule is None or rule.site not in scope):
        raise Problem(404, f"There is no rule {given.rule!r}; /api/v1/stations lists them as site/station/limit.")
    site = given.site if given.site is not None else (given.rule or "").split("/")[0]

    def page(queries: Queries, at: str | None, size: int) -> tuple[list[Any], str | None]:
        cursor = cursor_parts(_VERDICT_CURSOR, at)
        rows = queries.verdicts(
            scope,
            *_period(given),
            site=given.site,
            limit_id=given.limit_id,
            key=given.rule,
            revisions=given.revisions == "all",
            limit=size + 1,
            after=(int(cursor[1]), cursor[3], int(cursor[2])) if cursor else None,
        )
        last = rows[size - 1] if len(rows) > size else None
        items: list[Any] = [verdict_revision(queries, scope, row) for row in rows[:size]]
        return items, f"{last.start}-{last.revision}-{last.rule}" if last is not None else None

    def version(queries: Queries) -> object:
        return queries.figures(narrowed(scope, site or None))

    zone = registry.site(site).zone if site else "UTC"
    return answer(request, context, scope, given, "verdicts", VerdictRevision, page, version, zone)


def verdict_revision(queries: Queries, scope: Scope, row: Any) -> VerdictRevision:
    """A verdict with what is other than in its revision before."""
    view = verdict_view(queries.registry, row)
    before = None
    if row.revision:
        older = queries.verdict_revisions(scope, row.rule, row.start)
        before = next((r for r in older if r.revision == row.revision - 1), None)
    return VerdictRevision(
        rule=view.rule,
        site=view.site,
        station=view.station,
        limit=view.limit,
        start=view.start,
        end=view.end,
        revision=view.revision,
        latest=row.latest,
        verdict=view.verdict,
        standing=view.standing,
        value=view.value,
        judged=view.judged,
        low=view.low,
        high=view.high,
        capture=view.capture,
        reason=view.reason,
        detail=view.detail,
        change=view.change,
        issued=local(row.issued, queries.registry.site(view.site).zone),
        differs=[name for name in _COMPARED if before is not None and getattr(before, name) != getattr(row, name)],
    )


@router.get("/api/v1/exceedances", responses=listed(ExceedanceView, files=True))
def exceedances(
    given: Given[arguments.ExceedancesArguments], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Exceedances, newest first."""
    _sites(context.registry, scope, given.site)
    instant = now()

    def page(queries: Queries, at: str | None, size: int) -> tuple[list[Any], str | None]:
        cursor = cursor_parts(_PAIR_CURSOR, at)
        rows = queries.exceedances(
            scope,
            *_period(given),
            site=given.site,
            state=given.state,
            limit=size + 1,
            before=(int(cursor[1]), int(cursor[2])) if cursor else None,
        )
        last = rows[size - 1] if len(rows) > size else None
        items: list[Any] = [exceedance_view(context.registry, row, instant) for row in rows[:size]]
        return items, f"{last.start}-{last.id}" if last is not None else None

    def version(queries: Queries) -> object:
        return queries.version("exceedance", "suggestion"), instant // MINUTE

    zone = context.registry.site(given.site).zone if given.site else "UTC"
    return answer(request, context, scope, given, "exceedances", ExceedanceView, page, version, zone)


@router.get("/api/v1/exceedance-statistics", responses=listed(RollingView))
def limit_statistics(
    given: Given[arguments.RollingArguments], request: Request, context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """How often, how long and how far each limit was exceeded over 24 hours, 7 days, 30 days, and a period."""
    site = visible_site(context.registry, scope, given.site)
    instant = now()
    period = None
    if given.start is not None or given.end is not None:
        end = min(given.end if given.end is not None else instant, instant)
        start = given.start if given.start is not None else end - 30 * DAY
        if not 0 < end - start <= _LONGEST:
            raise Problem(400, "from, to: choose a period of at most 366 days, 'from' before 'to', not in the future")
        period = start, end
    version = queries.changes(narrowed(scope, site.id))
    tag = entity_tag(request, scope, version, instant // MINUTE, context.registry.digest)
    return unchanged(request, tag) or tagged(
        listing(list(rolling_statistics(queries, scope, site, instant, period))), tag
    )


@router.get("/api/v1/events")
async def live(
    given: Given[arguments.EventsArguments], request: Request, context: ContextOf, caller: CallerOf
) -> Response:
    """Live stream; an interrupted one goes on behind its ``Last-Event-ID``."""
    chosen = _sites(context.registry, caller.scope, given.site)
    header = request.headers.get("last-event-id")
    cursor = Cursor.parse(header) if header is not None else None
    if header is not None and cursor is None:
        raise Problem(400, f"Last-Event-ID: {header!r} is not the id of an event of this stream")
    settings, address = context.settings, network(client_address(request))
    bounds: dict[Hashable, int] = {("address", address): settings.address_streams}
    if caller.user is not None:
        bounds["user", caller.user] = settings.user_streams
    ticket = context.crowd.enter(bounds)
    return StreamingResponse(
        context.broadcast.stream(chosen, cursor, partial(still_admitted, request, caller), ticket),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


def _sites(registry: Registry, scope: Scope, site: str | None) -> Scope:
    if site is None:
        return scope
    return Scope(frozenset({visible_site(registry, scope, site).id}))


def _channels_of(context: Context, scope: Scope, given: arguments.ReadingsArguments) -> list[Channel]:
    """The channel, or the channels of a site or station."""
    channel = visible_channel(context.registry, scope, given.channel) if given.channel is not None else None
    site = visible_site(context.registry, scope, given.site) if given.site is not None else None
    if channel is not None and site is None and given.station is None:
        return [channel]
    if channel is not None or site is None:
        raise Problem(400, "channel: required, or 'site', or 'site' and 'station'")
    found = [c for c in context.registry.site_channels(site.id) if given.station in {None, c.station}]
    if not found:
        raise Problem(404, f"There is no station {given.station!r} with channels at {site.id!r}.")
    return found


def _period(given: arguments.Period) -> tuple[int, int]:
    return given.start if given.start is not None else 0, given.end if given.end is not None else _END_OF_TIME


def _last_day(given: arguments.Period) -> tuple[int, int]:
    end = given.end if given.end is not None else now()
    return given.start if given.start is not None else end - DAY, end


def _reading_items(zone: str, rows: Rows) -> list[Any]:
    return [
        ReadingItem(local(time, zone), value if value == value else None, chr(flag), quality)  # noqa: PLR0124 - NaN
        for time, value, flag, quality in rows.tolist()
    ]


def _statistic_item(channel: Channel, zone: str, row: Any) -> StatisticItem:
    columns = row._mapping  # noqa: SLF001 - a row is a tuple, whose count is a method
    figures = {name: columns[name] for name in _FIGURES}
    return StatisticItem(
        channel=channel.key,
        start=local(row.start, zone),
        end=local(row.end, zone),
        issued=local(row.issued, zone),
        unit=channel.parameter.unit,
        **figures,
    )


def _measured_channels(context: Context, scope: Scope, given: arguments.StatisticsArguments) -> Sequence[Channel]:
    """The channel that was asked for, or those of a parameter at a site."""
    channel = visible_channel(context.registry, scope, given.channel) if given.channel is not None else None
    site = visible_site(context.registry, scope, given.site) if given.site is not None else None
    if channel is not None and site is None and given.parameter is None:
        return [channel]
    if channel is not None or site is None or given.parameter is None:
        raise Problem(400, "channel: required, or 'site' and 'parameter'")
    found = [c for c in context.registry.site_channels(site.id) if c.parameter.id == given.parameter]
    if not found:
        raise Problem(404, f"There is no channel of {given.parameter!r} at {site.id!r}.")
    return found


def _any_window(context: Context, scope: Scope, channel: Channel, given: arguments.StatisticsArguments) -> Response:
    for name in ("cursor", "revisions", "format", "bom"):
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
    zone = context.registry.site(channel.site).zone
    with context.record.queries() as queries:
        rows = queries.readings(scope, channel.key, start - window, end)
    rows = rows[valid(rows)]
    number = np.full(len(rows), channel.index)
    values = Calibrations(context.registry).applied(number, rows["time"], rows["value"])
    sound = channel.parameter.is_level
    starts, ends = window_bounds(start, end, window, every, zone)
    inside = (starts >= start) & (ends <= end)
    starts, ends = starts[inside], ends[inside]
    levels = (10, 50, 90) if sound else ()  # L10 is exceeded for 10 % of the time: the 90th percentile
    summary = summarise(
        rows["time"],
        values,
        averaging=channel.parameter.averaging,
        windows=(starts, ends),
        percentiles=tuple(100.0 - level for level in levels),
    )
    figures = zip(
        starts.tolist(), ends.tolist(), summary.mean.tolist(), summary.minimum.tolist(), summary.maximum.tolist(),
        summary.count.tolist(), strict=True,
    )  # fmt: skip
    items: list[Any] = []
    for i, (first, last, mean, low, high, count) in enumerate(figures):
        item = WindowItem(
            channel=channel.key,
            start=local(first, zone),
            end=local(last, zone),
            mean=mean if count else None,
            minimum=low if count else None,
            maximum=high if count else None,
            count=count,
            capture=count / ((last - first) / channel.interval),
            unit=channel.parameter.unit,
        )
        percentiles = {f"l{level}": float(summary.percentiles[j][i]) for j, level in enumerate(levels)}
        items.append(msgspec.structs.replace(item, **percentiles))
    return listing(items)
