"""The pages: all mines, and one mine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from greenmine.api.http import arguments
from greenmine.api.http.air_days import air_days
from greenmine.api.http.dependencies import ContextOf, Given, NothingGiven, context_of
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.rolling import rolling_statistics, site_weeks
from greenmine.api.http.views import LatestView, exceedance_view, latest, theme_judgements, views_by_site
from greenmine.api.pages.attention import BAD_HEALTH, attention, waiting
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.pins import station_pins
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.selection import selection
from greenmine.api.pages.sparkline import sparkline
from greenmine.api.pages.vega import bundle
from greenmine.api.pages.wording import Wording
from greenmine.evidence.charts import Bar, LimitStep, Note, Series, bar_chart, line_chart
from greenmine.limits import threshold_on
from greenmine.processing.rolling import SPANS
from greenmine.processing.rose import PERCENTILE, Rose, rose, source_bearings
from greenmine.processing.series import summarise, window_bounds
from greenmine.record.reader import ChannelHour, Queries, Scope, narrowed, valid
from greenmine.registry import Channel, Registry, Site
from greenmine.themes import Theme
from greenmine.times import DAY, HOUR, MINUTE, local, now

router = APIRouter()

EXCEEDANCES_SHOWN: Final = 20
_RAIL: Final = 4
"""Exceedances beside the cards of the mines: as many as stand beside one, and two more for each further."""
REJECTIONS_SHOWN: Final = 8
_CALLS: Final = 3
"""Entries of each list of what calls for somebody."""
_ROLES = ("boundary", "receptor", "reference", "outfall", "weather", "equipment")
_CHART_ORDER = ("tsp", "pm10", "pm2.5", "laeq", "ph", "ss", "turbidity", "cod", "nh3-n", "wind-speed", "rain")
_LEADING: Final = 3
_ROSE_DAYS: Final = 30
"""Days whose hours tell where dust comes from."""
_AIR_DAYS: Final = 8
"""Days whose air quality index is shown."""
_ISSUED_AFTER: Final = 3 * MINUTE
"""An hour whose figures have had this long to be issued, and are not there, has none [ms]."""


@router.get("/")
def overview(given: Given[arguments.SelectionArguments], page: RecordPageOf) -> Response:
    """Page of all mines, fifty at a time."""
    queries, instant = page.queries, page.instant
    chosen = selection(queries, page.scope, page.wording, given)
    sites, scope = chosen.sites, chosen.scope
    hours = queries.hours(scope, instant - DAY - HOUR, instant)
    views = latest(queries, scope, instant, hours=hours)
    weeks = site_weeks(queries, scope, sites, instant)
    own = views_by_site(views)
    cards = [_card(site, own[site.id], hours, page.registry, instant) | {"week": weeks[site.id]} for site in sites]
    return page.render(
        "overview.html",
        watched=page.service.state == "running",
        attention=attention(views),
        waits=waiting(queries, scope, page.context.settings.registry, instant),
        listed=_CALLS,
        cards=cards,
        selection=chosen,
        summary=_summary(queries, scope, cards, instant),
        exceedances=_exceedances(queries, scope, None, instant, _RAIL + 2 * max(0, len(sites) - 1)),
        events="/api/v1/events",
    )


@router.get("/sites/{site}")
def mine(site: str, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page of one mine."""
    queries, scope, instant, registry = page.queries, page.scope, page.instant, page.registry
    shown = page.site(site)
    hours = queries.hours(scope, instant - DAY - HOUR, instant, site)
    views = latest(queries, scope, instant, site, hours)
    today = f"{local(instant, shown.zone):%Y-%m-%d}"
    return page.render(
        "site.html",
        card=_card(shown, views, hours, registry, instant),
        views=views,
        stations=sorted(shown.stations, key=lambda station: _ROLES.index(station.role)),
        charts=[_hourly(registry, shown, parameter, hours, instant) for parameter in _charted(registry, site)],
        leading=_leading(registry, site),
        pins=station_pins(shown, views),
        names={station.id: page.wording.name(station) for station in shown.stations},
        roses=_roses(queries, scope, shown, instant),
        bearings={
            s.id: found for s in shown.stations if s.role == "boundary" and (found := source_bearings(shown, s.id))
        },
        air_days=air_days(queries, scope, shown, instant - _AIR_DAYS * DAY, instant),
        rose_days=_ROSE_DAYS,
        percentile=PERCENTILE,
        rolling=_rolling(queries, scope, shown, instant),
        weather=_weather(views),
        requirements=[page.context.evaluation.requirement(item) for item in shown.requirement_items],
        ledger=_ledger(queries, scope, shown, today),
        rejections=[
            (local(row.received, shown.zone), row)
            for row in queries.rejections(scope, site=site, limit=REJECTIONS_SHOWN, before=None)
        ],
        exceedances=_exceedances(queries, scope, site, instant, EXCEEDANCES_SHOWN),
        events=f"/api/v1/events?site={site}",
    )


@router.get("/sites/{site}/charts/{parameter}")
def chart(site: str, parameter: str, given: Given[arguments.ChartArguments], page: RecordPageOf) -> Response:
    """Vega-Lite specification of a parameter at all stations of a mine."""
    shown = page.site(site)
    if parameter not in _charted(page.registry, site):
        raise Problem(404, f"There is no chart of {parameter!r} at {site!r}.")
    return JSON(_chart(page.queries, page.scope, shown, parameter, given.days, page.wording, now()))


@router.get("/static/vega.js")
def vega(_: NothingGiven, context: ContextOf) -> Response:
    """Vega, Vega-Lite and Vega-Embed, as vl-convert ships them."""
    return FileResponse(bundle(context.settings.data), media_type="text/javascript")


def error_page(request: Request, problem: Problem) -> Response:
    """What a browser shows instead of problem details."""
    context = context_of(request)
    wording = Wording(language_of(request, None), context.registry)
    status = problem.status if problem.status in {400, 401, 403, 404, 413, 503} else 500
    page = render(
        request, "error.html", wording, None, now(), notice=None, status=status, detail=_cause(problem), events=""
    )
    page.status_code = problem.status
    return page


def _cause(problem: Problem) -> str:
    """What was wrong, by the parameter; of a fault of the server only the log tells."""
    if problem.errors:
        return "; ".join(f"{error['parameter']}: {error['detail']}" for error in problem.errors)
    return problem.detail if problem.status < 500 else ""


def _visible(registry: Registry, scope: Scope) -> list[Site]:
    return [site for site in registry.sites if site.id in scope]


def _card(
    site: Site, own: Sequence[LatestView], hours: dict[str, list[ChannelHour]], registry: Registry, instant: int
) -> dict[str, Any]:
    bad = [view for view in own if view.health.state in BAD_HEALTH]
    return {
        "site": site,
        "themes": [_theme(theme, own, hours, registry, instant) for theme in registry.judged_themes],
        "channels": len(own),
        "bad": bad,
        "unknown": sum(view.health.state == "unknown" for view in own),
        "newest": max((view.last_time for view in own if view.last_time is not None), default=None),
    }


def _theme(
    theme: Theme, own: Sequence[LatestView], hours: dict[str, list[ChannelHour]], registry: Registry, instant: int
) -> dict[str, Any]:
    judgements = theme_judgements(own, theme.id, registry)
    rows = [view for view in own if registry.parameters[view.parameter].theme == theme.id and view.limits]
    rows.sort(key=_urgency, reverse=True)
    chosen = next((view for view in rows if view.limit is not None and hours.get(view.channel)), None)
    spark = None
    if chosen is not None and chosen.limit is not None:
        start = instant - DAY - HOUR
        points = [((row.end - start) / (DAY + HOUR), row.mean) for row in hours[chosen.channel]]
        spark = sparkline(points, chosen.limit.low, chosen.limit.high, from_zero=chosen.unit not in {"dB(A)", "1"})
    return {
        "theme": theme,
        "main": judgements[0] if judgements else None,
        "second": judgements[1] if len(judgements) > 1 else None,
        "rows": rows,
        "unit": rows[0].unit if len({view.unit for view in rows}) == 1 else None,
        "chosen": chosen,
        "spark": spark,
    }


def _urgency(view: LatestView) -> tuple[bool, float]:
    """Rows with the figure nearest to, or furthest beyond, its limit come first."""
    limit = view.limit
    if limit is None or limit.running is None:
        return False, 0.0
    if limit.share is not None and limit.low is None:
        return True, limit.share
    return True, float(limit.margin is not None and limit.margin < 0)


def _summary(queries: Queries, scope: Scope, cards: list[dict[str, Any]], instant: int) -> dict[str, Any]:
    totals = dict.fromkeys(("received", "stored", "duplicate", "rejected", "late"), 0)
    days: dict[str, set[str]] = {}
    for site in _visible(queries.registry, scope):
        days.setdefault(f"{local(instant, site.zone):%Y-%m-%d}", set()).add(site.id)
    for today, same in days.items():
        for row in queries.ledger_totals(Scope(frozenset(same)), today):
            for name in totals:
                totals[name] += getattr(row, name)
    mains = [[theme["main"].verdict for theme in card["themes"] if theme["main"]] for card in cards]
    return {
        "sites": len(cards),
        "exceeding": sum("exceeds" in verdicts for verdicts in mains),
        "unknown": sum("not assessable" in verdicts for verdicts in mains),
        "open": sum(queries.open_exceedances(scope).values()),
        "channels": sum(card["channels"] for card in cards),
        "bad": sum(len(card["bad"]) for card in cards),
        "ledger": totals,
    }


def _roses(queries: Queries, scope: Scope, site: Site, instant: int) -> list[tuple[Channel, Rose]]:
    """Concentration by wind of the past days at each channel of dust that a legal limit judges."""
    registry = queries.registry
    channels = {c.parameter.id: c for c in registry.own_channels(site.id)}
    if not {"wind-speed", "wind-direction"} <= channels.keys():
        return []
    judged = {rule.channel for rule in registry.site_rules(site.id) if rule.limit.kind == "legal"}

    def hours(channel: Channel) -> dict[int, float]:
        rows = queries.statistics(
            scope, channel.key, "hour", instant - _ROSE_DAYS * DAY, instant, revisions=False, limit=24 * _ROSE_DAYS + 1
        )
        return {row.start: row.mean for row in rows if row.valid and row.mean is not None}

    speed, direction = hours(channels["wind-speed"]), hours(channels["wind-direction"])
    least = registry.conditions.difference_wind_minimum
    found = [
        (c, rose(c.key, hours(c), speed, direction, least))
        for c in registry.site_channels(site.id)
        if c.index in judged and c.parameter.theme == "dust"
    ]
    return [(channel, one) for channel, one in found if one.hours > one.calm]


def _rolling(queries: Queries, scope: Scope, site: Site, instant: int) -> list[dict[str, Any]]:
    """For each span the legal limits in force, with their statistics or None where there are none yet."""
    views = {(view.rule, view.span): view for view in rolling_statistics(queries, scope, site, instant)}
    today = local(instant, site.zone).date()
    order = {station.id: _ROLES.index(station.role) for station in site.stations}
    rules = [
        (rule, threshold)
        for rule in queries.registry.site_rules(site.id)
        if rule.limit.kind == "legal" and (threshold := threshold_on(rule.limit, today))
    ]
    rules.sort(key=lambda pair: order[pair[0].station])
    return [
        {"span": span, "rows": [(rule, threshold, views.get((rule.key, span))) for rule, threshold in rules]}
        for span in SPANS
    ]


def _hourly(
    registry: Registry, site: Site, parameter: str, hours: dict[str, list[ChannelHour]], instant: int
) -> dict[str, Any]:
    """Hourly figures of a parameter over 24 hours, newest first, a column for each station; gaps stay visible."""
    channels = [c for c in registry.site_channels(site.id) if c.parameter.id == parameter]
    last = (instant - _ISSUED_AFTER) // HOUR * HOUR
    wanted = range(last - HOUR, last - DAY - HOUR, -HOUR)
    figures = [{row.start: row for row in hours.get(channel.key, [])} for channel in channels]
    shown = [[row for start in wanted if (row := column.get(start)) is not None] for column in figures]
    return {
        "parameter": parameter,
        "stations": [channel.station for channel in channels],
        "rows": [
            (local(start, site.zone), [column.get(start) for column in figures]) for start in wanted if any(shown)
        ],
        "left_out": [
            (channel.station, sum(row.excluded for row in rows), sum(row.suspect for row in rows))
            for channel, rows in zip(channels, shown, strict=True)
        ],
    }


def _ledger(queries: Queries, scope: Scope, site: Site, day: str) -> dict[str, Any]:
    """Ledger of a day: every device of the registry, None where nothing came, and whoever else sent; and the sums."""
    found = {
        row.device: row for row in queries.ledger(scope, day, day, site=site.id, limit=arguments.MAX_PAGE, after=None)
    }
    devices = list(dict.fromkeys([*(device.id for device in site.devices), *found]))
    names = ("received", "stored", "duplicate", "conflict", "rejected", "late", "sequence_missing")
    return {
        "rows": [(device, found.get(device)) for device in devices],
        "total": {name: sum(getattr(row, name) for row in found.values()) for name in names} if found else None,
    }


def _exceedances(queries: Queries, scope: Scope, site: str | None, instant: int, shown: int) -> dict[str, Any]:
    """Open ones first, then the newest; counts are over seven days."""
    shown = min(shown, EXCEEDANCES_SHOWN)
    far = instant + 365 * DAY
    under_way = queries.exceedances(scope, 0, far, site=site, state="open", limit=arguments.MAX_PAGE)
    week = queries.exceedances_since(narrowed(scope, site), instant - 7 * DAY)
    recent = [row for row in queries.exceedances(scope, 0, far, site=site, limit=shown) if row.state != "open"]
    rows = [*under_way, *recent][: max(shown, len(under_way))]
    return {
        "items": [exceedance_view(queries.registry, row, instant) for row in rows],
        "week": sum(week.values()),
        "open": len(under_way),
    }


def _weather(views: Sequence[LatestView]) -> list[LatestView]:
    names = ("wind-speed", "wind-direction", "air-temperature", "humidity", "pressure", "rain")
    return [view for name in names for view in views if view.parameter == name]


def _charted(registry: Registry, site: str) -> list[str]:
    measured = {channel.parameter.id for channel in registry.site_channels(site)}
    return [parameter for parameter in _CHART_ORDER if parameter in measured]


def _leading(registry: Registry, site: str) -> list[str]:
    """Charts that a mine's page begins with: the first of each judged theme, then others, as many as stand in a row."""
    charted = _charted(registry, site)
    found: dict[str, str] = {}
    for parameter in charted:
        found.setdefault(registry.parameters[parameter].theme, parameter)
    chosen = [found[theme.id] for theme in registry.judged_themes if theme.id in found]
    return [*chosen, *(parameter for parameter in charted if parameter not in chosen)][:_LEADING]


def _chart(
    queries: Queries, scope: Scope, site: Site, parameter_id: str, days: int, wording: Wording, instant: int
) -> dict[str, Any]:
    registry = queries.registry
    parameter = registry.parameters[parameter_id]
    channels = [c for c in registry.site_channels(site.id) if c.parameter.id == parameter_id]
    start = instant - days * DAY
    unit = wording.unit(parameter.unit)
    columns = (wording.t("site.time"), wording.t("site.series"))
    title = wording.t(
        "site.chart-description", site=wording.name(site), parameter=wording.parameter(parameter_id), days=days
    )
    hours = queries.hours(scope, start, instant, site.id)
    if days == 1 and not (parameter.is_total or parameter.is_state):
        points = {c.key: _quarters(queries, scope, c, start, instant, site.zone) for c in channels}
    else:
        points = {c.key: [(local(row.end, site.zone), row.mean) for row in hours.get(c.key, [])] for c in channels}
    if parameter.is_total:
        bars = [
            Bar(local(row.start, site.zone), local(row.end, site.zone), row.mean)
            for c in channels
            for row in hours.get(c.key, [])
            if row.mean is not None
        ]
        return bar_chart(bars, title=title, unit=unit, columns=columns)
    series = [Series(wording.station(site.id, c.station), points[c.key]) for c in channels if points[c.key]]
    limits = limit_steps(registry, site, {c.index for c in channels}, start, instant, wording) if series else []
    return line_chart(
        series,
        limits,
        _excluded(site, [(c.station, hours.get(c.key, [])) for c in channels], wording),
        title=title,
        unit=unit,
        columns=columns,
        decimals=parameter.decimals,
        from_zero=parameter.unit not in {"dB(A)", "1"},
    )


def _excluded(site: Site, figures: Sequence[tuple[str, list[ChannelHour]]], wording: Wording) -> list[Note]:
    """A note for each hour of which some minutes were excluded at some station."""
    texts: dict[tuple[int, int], list[str]] = {}
    for station, rows in figures:
        for row in rows:
            if row.excluded:
                name = wording.station(site.id, station)
                texts.setdefault((row.start, row.end), []).append(
                    wording.t("hourly.band", station=name, n=row.excluded)
                )
    separator = wording.t("hourly.separator")
    return [
        Note(local(start, site.zone), local(end, site.zone), separator.join(found))
        for (start, end), found in sorted(texts.items())
    ]


def _quarters(
    queries: Queries, scope: Scope, channel: Channel, start: int, end: int, zone: str
) -> list[tuple[datetime, float | None]]:
    """Means over quarters of an hour, at their ends; None where there was no valid reading."""
    rows = queries.readings(scope, channel.key, start, end)
    rows = rows[valid(rows)]
    if not len(rows):
        return []
    length = max(15 * 60_000, channel.interval)
    starts, ends = window_bounds(start, end, length, length, zone)
    inside = ends <= end
    starts, ends = starts[inside], ends[inside]
    figures = summarise(
        rows["time"], rows["value"], averaging=channel.parameter.averaging, windows=(starts, ends), percentiles=()
    )
    return [
        (local(instant, zone), None if np.isnan(mean) else mean)
        for instant, mean in zip(ends.tolist(), figures.mean.tolist(), strict=True)
    ]


def limit_steps(
    registry: Registry,
    site: Site,
    channels: set[int],
    start: int,
    end: int,
    wording: Wording,
    only: str | None = None,
) -> list[LimitStep]:
    """Limit lines over a chart, if need be of one limit only: for sound each day and night period has its own height."""
    steps: dict[tuple[str, datetime, float], LimitStep] = {}
    first, last = local(start, site.zone), local(end, site.zone)
    hours = [local(time, site.zone) for time in range(start // HOUR * HOUR + HOUR, end, HOUR)]
    for rule in registry.site_rules(site.id):
        if rule.channel not in channels or rule.limit.kind != "legal" or rule.limit.statistic == "difference":
            continue
        if only not in {None, rule.limit.id}:
            continue
        for begin, finish in _runs(rule.limit.window, hours, first, last, registry):
            threshold = threshold_on(rule.limit, begin.date())
            if threshold is None:
                continue
            for value in (threshold.low, threshold.high):
                if value is not None:
                    name = wording.t(
                        "site.limit-label",
                        window=wording.t(f"window.{rule.limit.window}"),
                        value=wording.plain(value),
                    )
                    steps[name, begin, value] = LimitStep(name, begin, finish, value)
    return list(steps.values())


def _runs(
    window: str, hours: list[datetime], first: datetime, last: datetime, registry: Registry
) -> list[tuple[datetime, datetime]]:
    """Stretches between two instants in which a limit of a window applies."""
    if window not in {"daytime", "nighttime"}:
        return [(first, last)]
    conditions = registry.conditions
    runs: list[tuple[datetime, datetime]] = []
    edges = [first, *hours, last]
    for begin, finish in pairwise(edges):
        by_day = conditions.day_start <= begin.hour < conditions.night_start
        if by_day == (window == "daytime"):
            if runs and runs[-1][1] == begin:
                runs[-1] = (runs[-1][0], finish)
            else:
                runs.append((begin, finish))
    return runs
