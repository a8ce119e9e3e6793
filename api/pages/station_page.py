"""The page of one station: curves over any period beside their figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.curves import LONGEST, MINUTES_UP_TO, Curve, curve
from greenmine.api.http.dependencies import Given
from greenmine.api.http.marks import mark_items
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import JSON
from greenmine.api.http.views import latest
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.pages import limit_steps
from greenmine.api.pages.wording import Wording
from greenmine.evidence.charts import LimitStep, Note, Point, curve_chart
from greenmine.limits import LONG, SHORT, threshold_on
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Channel, Registry, Rule, Site, Station
from greenmine.times import DAY, HOUR, local, milliseconds, now
from greenmine.wording.words import NOTHING

router = APIRouter()

SPANS: Final = (1, 7, 30, 365)
"""Periods offered [days]."""
POINTS: Final = 1_500
_VERDICTS: Final = 10_000
"""Of a limit on a chart at most."""
_ROWS_BY_HOUR: Final = 7 * DAY
"""Longest period whose table has a row for each hour; beyond it a row is a day [ms]."""


@router.get("/sites/{site}/stations/{station}")
def station_page(site: str, station: str, given: Given[arguments.StationArguments], page: RecordPageOf) -> Response:
    """Page of one station."""
    queries, scope = page.queries, page.scope
    shown = page.site(site)
    place, channels = _channels(queries, shown, station)
    if given.at is not None:
        day = local(given.at, shown.zone).date().isoformat()
        given = given.model_copy(update={"first": day, "last": day})
    start, end = _period(given, shown.zone, page.instant)
    views = {view.channel: view for view in latest(queries, scope, page.instant, site)}
    rows = queries.marks(scope, start, end, site=site, station=station, limit=50)
    return page.render(
        "station.html",
        site=shown,
        station=place,
        start=local(start, shown.zone),
        end=local(end, shown.zone),
        last=local(end - 1, shown.zone),
        days=given.days if given.first is None else None,
        spans=SPANS,
        curves=[
            {
                "channel": channel,
                "view": views[channel.key],
                "rows": _rows(queries, scope, channel, start, end, page.wording),
            }
            for channel in channels
        ],
        marks=mark_items(queries, scope, rows),
        acts=page.caller.may_act(site),
        events=f"/api/v1/events?site={site}",
    )


@router.get("/sites/{site}/stations/{station}/charts/{parameter}")
def station_chart(
    site: str, station: str, parameter: str, given: Given[arguments.WallArguments], page: RecordPageOf
) -> Response:
    """A curve and the rows of its table over a period on the site's clock."""
    queries, scope = page.queries, page.scope
    shown = page.site(site)
    _, channels = _channels(queries, shown, station)
    channel = next((channel for channel in channels if channel.parameter.id == parameter), None)
    if channel is None:
        raise Problem(404, f"There is no chart of {parameter!r} at {station!r}.")
    end = _instant(given.end, shown.zone) if given.end is not None else now()
    start = _instant(given.start, shown.zone) if given.start is not None else end - DAY
    if not 0 < end - start <= LONGEST + DAY:
        raise Problem(400, "from, to: choose a period of at most 366 days, 'from' before 'to'")
    found = curve(queries, scope, channel, start, min(end, start + LONGEST), POINTS)
    return JSON(
        {
            "spec": _spec(queries, scope, shown, channel, found, (start, end), page.wording, given.limit),
            "rows": _rows(queries, scope, channel, start, end, page.wording),
        }
    )


def _channels(queries: Queries, site: Site, station: str) -> tuple[Station, list[Channel]]:
    place = next((place for place in site.stations if place.id == station), None)
    if place is None:
        raise Problem(404, f"There is no station {station!r} at {site.id!r}.")
    return place, [c for c in queries.registry.site_channels(site.id) if c.station == station]


def _period(given: arguments.StationArguments, zone: str, instant: int) -> tuple[int, int]:
    """Whole days that were asked for, else the last days to now [ms UTC]."""
    if given.first is None and given.last is None:
        return instant - given.days * DAY, instant
    first, last = (date.fromisoformat(day) for day in (given.first or given.last, given.last or given.first) if day)
    start = _instant(f"{first}T00:00", zone)
    end = _instant(f"{last + timedelta(days=1)}T00:00", zone)
    if not 0 < end - start <= LONGEST + DAY:
        raise Problem(400, "from, to: choose at most 366 days, 'from' not after 'to'")
    return start, end


def _instant(wall: str, zone: str) -> int:
    """Instant of a time on a zone's clock; of one that the clock shows twice, the first."""
    try:
        return milliseconds(datetime.fromisoformat(wall).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC))
    except (ValueError, OverflowError):
        raise Problem(400, f"from, to: {wall!r} is not a day or a time of the calendar") from None


def _spec(
    queries: Queries,
    scope: Scope,
    site: Site,
    channel: Channel,
    found: Curve,
    span: tuple[int, int],
    wording: Wording,
    limit: str | None,
) -> dict[str, Any]:
    parameter = channel.parameter
    columns = zip(found.time.tolist(), found.mean.tolist(), found.low.tolist(), found.high.tolist(), strict=True)
    points = [
        Point(local(time, site.zone), *(None if figure != figure else figure for figure in figures))  # noqa: PLR0124
        for time, *figures in columns
    ]
    marks = mark_items(queries, scope, queries.marks(scope, *span, site=site.id, station=channel.station, limit=200))
    excluded = [
        Note(local(a, site.zone), local(b, site.zone), wording.t("station.excluded"))
        for a, b in found.excluded.tolist()
    ]
    excluded += [
        Note(mark.start, mark.end, wording.t("station.mark", kind=wording.t(f"mark.{mark.kind}"), reason=mark.reason))
        for mark in marks
        if mark.parameter in {None, parameter.id}
    ]
    flagged = [
        Note(local(a, site.zone), local(b, site.zone), wording.t("station.flagged", meaning=wording.t(f"flag.{flag}")))
        for a, b, flag in found.flagged
    ]
    names = ("time", "mean", "low", "high", "note", "judged", "limit")
    return curve_chart(
        points,
        _limits(queries, site, channel, span, wording, limit),
        {"excluded": excluded, "flagged": flagged},
        (local(span[0], site.zone), local(span[1], site.zone)),
        title=wording.t(
            "station.description",
            station=wording.station(site.id, channel.station),
            parameter=wording.parameter(parameter.id),
            start=wording.date_time(local(span[0], site.zone)),
            end=wording.date_time(local(span[1], site.zone)),
        ),
        columns={name: wording.t(f"station.{name}") for name in names},
        decimals=parameter.decimals,
        from_zero=parameter.unit not in {"dB(A)", "1", "kPa", "degC"},
        directions=parameter.is_direction,
        judged=_judged(queries, scope, site, channel, span, wording, limit),
    )


def _drawn(registry: Registry, channel: Channel, only: str | None) -> list[Rule]:
    """Rules whose limits stand on the scale of a channel's readings, if need be only that of one limit."""
    rules = (rule for rule in registry.site_rules(channel.site) if rule.channel == channel.index)
    return [
        rule
        for rule in rules
        if rule.limit.kind == "legal" and rule.limit.statistic != "difference" and only in {None, rule.limit.id}
    ]


def _judged(
    queries: Queries,
    scope: Scope,
    site: Site,
    channel: Channel,
    span: tuple[int, int],
    wording: Wording,
    only: str | None,
) -> list[LimitStep]:
    """Figures that were judged by legal limits, if need be by one only; beyond a week those of hours are too narrow to be seen."""
    steps = {}
    for rule in _drawn(queries.registry, channel, only):
        limit = rule.limit
        if limit.window in SHORT and span[1] - span[0] > MINUTES_UP_TO:
            continue
        begun = span[0] - (LONGEST if limit.window in LONG else DAY)
        rows = queries.verdicts(scope, begun, span[1], site=site.id, limit_id=limit.id, key=rule.key, limit=_VERDICTS)
        for row in rows:
            begin, finish = (row.begin, row.finish) if row.finish else (row.start, row.end)
            if row.value is not None and row.judged is not None and finish > span[0]:
                text = wording.t("station.judged-of", limit=wording.name(limit), value=row.judged)
                step = LimitStep(text, local(begin, site.zone), local(finish, site.zone), row.value)
                steps[begin, finish, row.value] = step
    return list(steps.values())


def _limits(
    queries: Queries, site: Site, channel: Channel, span: tuple[int, int], wording: Wording, only: str | None
) -> Sequence[LimitStep]:
    """Limit lines, if need be of one limit only.

    Beyond a week, day and night can no longer be told apart and each limit is one line a threshold.
    """
    registry = queries.registry
    if span[1] - span[0] <= MINUTES_UP_TO:
        return limit_steps(registry, site, {channel.index}, *span, wording, only)
    first, last = local(span[0], site.zone), local(span[1], site.zone)
    steps = []
    for rule in _drawn(registry, channel, only):
        limit = rule.limit
        days = (first.date() + timedelta(days=n) for n in range((last.date() - first.date()).days + 1))
        for threshold in dict.fromkeys(filter(None, (threshold_on(limit, day) for day in days))):
            begin = max(first, datetime.combine(threshold.valid_from, datetime.min.time(), first.tzinfo))
            finish = last
            if threshold.valid_to is not None:
                over = datetime.combine(threshold.valid_to + timedelta(days=1), datetime.min.time(), first.tzinfo)
                finish = min(last, over)
            for value in (threshold.low, threshold.high):
                if value is not None:
                    words = {"window": wording.t(f"window.{limit.window}"), "value": wording.plain(value)}
                    steps.append(LimitStep(wording.t("site.limit-label", **words), begin, finish, value))
    return steps


def _rows(queries: Queries, scope: Scope, channel: Channel, start: int, end: int, wording: Wording) -> list[list[str]]:
    """Table of a period, newest first: hours or days with mean, extremes, capture, and what was left out."""
    zone = queries.registry.site(channel.site).zone
    window = "hour" if end - start <= _ROWS_BY_HOUR else "day"
    found = queries.statistics(
        scope, channel.key, window, start - (HOUR if window == "hour" else DAY) + 1, end, revisions=False, limit=400
    )
    rows = []
    for row in reversed(found):
        at = local(row.start, zone)
        figures = [wording.figure(value, channel.parameter) for value in (row.mean, row.minimum, row.maximum)]
        if channel.parameter.is_direction:  # a circle has no smallest direction
            figures[1:] = [NOTHING, NOTHING]
        if not row.valid and row.mean is not None:
            figures[0] = wording.t("hourly.invalid", value=figures[0])
        left_out = []
        if row.excluded:
            left_out.append(wording.t("hourly.excluded", n=row.excluded))
        if row.suspect:
            left_out.append(wording.t("hourly.suspect", n=row.suspect))
        label = wording.hour(at) if window == "hour" else f"{at:%Y-%m-%d}"
        rows.append([label, *figures, wording.part(row.capture), wording.t("hourly.separator").join(left_out)])
    return rows
