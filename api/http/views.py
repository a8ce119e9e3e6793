"""What routes and pages show: rows of the record joined with the registry and the catalogues."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import msgspec

from greenmine.limits import LONG, Addressee, Threshold, addressee, threshold_on
from greenmine.processing.averaging import mean_of_figures
from greenmine.processing.headroom import headroom_under_way
from greenmine.processing.summary import conclude, last_tally, stands_now
from greenmine.processing.verdicts import Verdict
from greenmine.record.reader import ChannelHour, Newest, Queries, Row, Scope, narrowed
from greenmine.registry import Channel, Registry, Rule
from greenmine.times import DAY, HOUR, MINUTE, local


class VerdictView(msgspec.Struct, frozen=True):
    """A judgement on one limit, station and period."""

    rule: str
    site: str
    station: str
    limit: str
    start: datetime
    end: datetime
    verdict: str
    value: float | None
    judged: str | None
    low: float | None
    high: float | None
    capture: float
    reason: str
    standing: str
    reasons: list[str]
    """Why it is indicative; empty where it is statutory."""
    detail: Any
    revision: int
    change: str


class HeadroomView(msgspec.Struct, frozen=True):
    """How the window under way, ``start .. end``, stands; see `greenmine.processing.headroom.Headroom`.

    ``value`` is what the ``hours`` to come may average at most; null unless ``state`` is ``open``.
    """

    state: str
    value: float | None
    hours: int
    missing: int
    start: datetime
    end: datetime


class LimitView(msgspec.Struct, frozen=True):
    """A limit in force, and how its figure stands against it now.

    ``running`` is the limit's own statistic over the hours ``since .. until``: the last hour, the last 24 hours, or the
    day or night period under way; ``share`` is running ÷ high, ``margin`` the distance to the nearest bound, negative beyond it.
    """

    rule: str
    id: str
    name_zh: str
    name_en: str
    standard: str
    clause: str
    window: str
    kind: str
    addressee: Addressee
    indicative: bool
    unit: str
    low: float | None
    high: float | None
    open: bool
    """An exceedance of it lasts."""
    running: float | None
    since: datetime | None
    until: datetime | None
    share: float | None
    margin: float | None
    headroom: HeadroomView | None
    verdict: VerdictView | None


class Health(msgspec.Struct, frozen=True):
    """State of a channel: good, silent, frozen, skewed, implausible, flooding, or unknown before anything was said of it."""

    state: str
    since: datetime | None
    detail: str


class LatestView(msgspec.Struct, frozen=True):
    """The newest valid reading of a channel (value null: none), the newest of any flag, and the limits on it."""

    channel: str
    site: str
    station: str
    parameter: str
    unit: str
    decimals: int
    value: float | None
    time: datetime | None
    flag: str | None
    last_time: datetime | None
    last_flag: str | None
    health: Health
    limit: LimitView | None
    limits: list[LimitView]


class ExceedanceView(msgspec.Struct, frozen=True):
    """One episode above a limit; ``duration`` in minutes, to now while it is open."""

    id: int
    rule: str
    site: str
    station: str
    limit: str
    kind: str
    parameter: str
    name_zh: str
    name_en: str
    unit: str
    threshold: float | None
    start: datetime
    end: datetime | None
    duration: int
    minutes_above: int
    peak: float | None
    peak_time: datetime | None
    state: str
    revision: int
    changed: datetime
    standard: str
    clause: str
    cause: str
    handling: str
    acknowledged: datetime | None
    suggested_cause: str | None
    """Of dust that is over: computed, no finding; ``cause`` is what people say. Null: none, or it cannot be told."""
    suggested_share: float | None
    """Estimated part of the concentration that is due to it."""


def verdict_view(registry: Registry, row: Row) -> VerdictView:
    """A verdict as it is shown."""
    site, station, limit = row.rule.split("/", 2)
    zone = registry.site(site).zone
    return VerdictView(
        rule=row.rule,
        site=site,
        station=station,
        limit=limit,
        start=local(row.start, zone),
        end=local(row.end, zone),
        verdict=row.verdict,
        value=row.value,
        judged=row.judged,
        low=row.low,
        high=row.high,
        capture=row.capture,
        reason=row.reason,
        standing="indicative" if row.reasons else "statutory",
        reasons=row.reasons.split(),
        detail=msgspec.json.decode(row.detail) if row.detail else None,
        revision=row.revision,
        change=row.change,
    )


def exceedance_view(registry: Registry, row: Row, now: int) -> ExceedanceView:
    """An exceedance as it is shown; its rule may have left the registry since."""
    site, station, limit_key = row.rule.split("/", 2)
    zone = registry.site(site).zone
    limit = registry.limits.get(limit_key.split("#", 1)[0])
    rule = registry.rule(row.rule)
    if rule is not None:
        limit = rule.limit
    start = local(row.start, zone)
    threshold = threshold_on(rule.limit, start.date()) if rule is not None else None
    end = row.end if row.end is not None else max(now, row.start)
    return ExceedanceView(
        id=row.id,
        rule=row.rule,
        site=site,
        station=station,
        limit=limit_key,
        kind=limit.kind if limit else "",
        parameter=limit.parameter if limit else "",
        name_zh=limit.name_zh if limit else limit_key,
        name_en=limit.name_en if limit else limit_key,
        unit=limit.unit if limit else "",
        threshold=row.threshold,
        start=start,
        end=local(row.end, zone) if row.end is not None else None,
        duration=round((end - row.start) / 60_000),
        minutes_above=row.minutes,
        peak=row.peak,
        peak_time=local(row.peak_time, zone) if row.peak_time is not None else None,
        state=row.state,
        revision=row.revision,
        changed=local(row.changed, zone),
        standard=limit.standard if limit else "",
        clause=threshold.clause if threshold else "",
        cause=row.cause,
        handling=row.handling,
        acknowledged=local(row.acknowledged, zone) if row.acknowledged is not None else None,
        suggested_cause=row.suggested_cause,
        suggested_share=row.suggested_share,
    )


def latest(
    queries: Queries,
    scope: Scope,
    now: int,
    site: str | None = None,
    hours: dict[str, list[ChannelHour]] | None = None,
) -> list[LatestView]:
    """The state of every channel of the registry in scope, in the registry's order.

    Parameters
    ----------
    now : int
        Instant [ms UTC] at which limits must be in force.
    hours : dict, optional
        Hourly figures of the last 24 hours by channel key, where the caller has them already.
    """
    registry, scope = queries.registry, narrowed(scope, site)
    sites = [one.id for one in registry.sites if one.id in scope]
    keys = {number: channel.key for number, channel in queries.channels(scope).items()}
    newest = {keys[number]: found for number, found in queries.newest(scope).items()}
    health = queries.health(scope)
    verdicts = queries.last_verdicts(scope)
    lasting = queries.exceeding_rules(scope)
    if hours is None:
        hours = queries.hours(scope, now - DAY - HOUR, now)
    rules: dict[int, list[Rule]] = {}
    for rule in chain.from_iterable(map(registry.site_rules, sites)):
        rules.setdefault(rule.channel, []).append(rule)
    views = []
    for channel in chain.from_iterable(map(registry.site_channels, sites)):
        limits = [
            view
            for rule in rules.get(channel.index, [])
            if (
                view := _limit(
                    registry, rule, channel, hours.get(channel.key, []), verdicts, now, lasting=rule.key in lasting
                )
            )
            is not None
        ]
        views.append(_latest(registry, channel, newest.get(channel.key), health.get(channel.key), limits, now))
    return views


def views_by_site(views: Sequence[LatestView]) -> Mapping[str, list[LatestView]]:
    """Views of each site; none of a site without channels."""
    found: dict[str, list[LatestView]] = defaultdict(list)
    for view in views:
        found[view.site].append(view)
    return found


class Judgement(msgspec.Struct, frozen=True):
    """What a person is told of a theme for one addressee: the conclusion from the last verdict on each limit.

    ``behind`` are the limits that it comes from; ``running`` those that are exceeded by now, whatever the last verdict was:
    their exceedance lasts, or their figure of the period under way is beyond them.
    """

    verdict: str
    standing: str
    addressee: str
    reasons: tuple[str, ...]
    limits: int
    behind: list[tuple[LatestView, LimitView]]
    running: list[tuple[LatestView, LimitView]]


def theme_judgements(latest: Sequence[LatestView], theme: str, registry: Registry) -> list[Judgement]:
    """Conclusions on a theme from the last verdicts: the mine's own emissions, then the quality around it.

    Either is left out where no such limit applies. A limit that was never judged counts as not assessable: silence is
    never compliance. The rule is that of the first page of a bundle, `greenmine.processing.summary.conclude`.
    """
    bound = [
        (view, limit)
        for view in latest
        if registry.parameters[view.parameter].theme == theme
        for limit in view.limits
        if stands_now(limit.kind, limit.window)
    ]
    tallies = [
        last_tally(theme, limit.addressee, _told(limit.verdict) if limit.verdict else None, running=limit.open)
        for _, limit in bound
    ]
    found = []
    for one in conclude(tallies, 1.0):
        mine = [pair for pair in bound if pair[1].addressee == one.addressee]
        behind = [pair for pair in mine if _judged(pair[1]) == one.judgement]
        lawful = [pair for pair in behind if pair[1].verdict and pair[1].verdict.standing == "statutory"]
        found.append(
            Judgement(
                one.judgement,
                one.standing,
                one.addressee,
                one.reasons,
                one.rules,
                lawful if one.judgement == "exceeds" and lawful else behind,
                [pair for pair in mine if pair[1].open or (pair[1].margin is not None and pair[1].margin < 0)],
            )
        )
    return found


def _judged(limit: LimitView) -> str:
    return limit.verdict.verdict if limit.verdict else "not assessable"


def _told(view: VerdictView) -> Verdict:
    judgement: Any = view.verdict
    return Verdict(judgement, view.reason, view.judged, None, None, tuple(view.reasons))


def _latest(
    registry: Registry,
    channel: Channel,
    newest: Newest | None,
    health: Row | None,
    limits: list[LimitView],
    now: int,
) -> LatestView:
    zone = registry.site(channel.site).zone
    last = newest.last if newest else None
    good = newest.valid if newest else None
    return LatestView(
        channel=channel.key,
        site=channel.site,
        station=channel.station,
        parameter=channel.parameter.id,
        unit=channel.parameter.unit,
        decimals=channel.parameter.decimals,
        value=float(good["value"]) if good is not None else None,
        time=local(int(good["time"]), zone) if good is not None else None,
        flag=chr(good["flag"]) if good is not None else None,
        last_time=local(int(last["time"]), zone) if last is not None else None,
        last_flag=chr(last["flag"]) if last is not None else None,
        health=Health(
            health.state if health else "unknown",
            local(health.since, zone) if health else None,
            health.detail if health else "",
        ),
        limit=_governing(limits, local(now, zone), registry),
        limits=limits,
    )


def _governing(limits: list[LimitView], now: datetime, registry: Registry) -> LimitView | None:
    """The limit that a channel's row shows: a legal one before others, for sound the one of the present period."""
    conditions = registry.conditions
    present = "daytime" if conditions.day_start <= now.hour < conditions.night_start else "nighttime"
    absent = {"daytime": "nighttime", "nighttime": "daytime"}[present]

    def order(limit: LimitView) -> tuple[bool, bool, bool]:
        return limit.window == absent, limit.kind != "legal", limit.indicative

    return min(limits, key=order, default=None)


def _limit(
    registry: Registry,
    rule: Rule,
    channel: Channel,
    hours: list[ChannelHour],
    verdicts: dict[str, Row],
    now: int,
    *,
    lasting: bool,
) -> LimitView | None:
    zone = registry.site(rule.site).zone
    threshold = threshold_on(rule.limit, local(now, zone).date())
    if threshold is None:
        return None
    used = _hours_of(registry, rule, hours, now) if _told_by_hours(rule) else []
    running = _running(rule, channel, threshold, used) if used else None
    margins = (
        []
        if running is None
        else [
            *([threshold.high - running] if threshold.high is not None else []),
            *([running - threshold.low] if threshold.low is not None else []),
        ]
    )
    row = verdicts.get(rule.key)
    return LimitView(
        rule=rule.key,
        id=rule.limit.id,
        name_zh=rule.limit.name_zh,
        name_en=rule.limit.name_en,
        standard=rule.limit.standard,
        clause=threshold.clause,
        window=rule.limit.window,
        kind=rule.limit.kind,
        addressee=addressee(rule.limit),
        indicative=rule.limit.indicative,
        unit=rule.limit.unit,
        low=threshold.low,
        high=threshold.high,
        open=lasting,
        running=running,
        since=local(used[0].start, zone) if used else None,
        until=local(used[-1].end, zone) if used else None,
        share=running / threshold.high if running is not None and threshold.high else None,
        margin=min(margins, default=None),
        headroom=_headroom(registry, rule, hours, now),
        verdict=verdict_view(registry, row) if row is not None else None,
    )


def _running(rule: Rule, channel: Channel, threshold: Threshold, used: list[ChannelHour]) -> float:
    """A limit's figure so far, of the hours of its present period."""
    if rule.limit.statistic == "maximum":
        return max(float(row.maximum) for row in used)
    if rule.limit.statistic == "range":
        high, low = threshold.high, threshold.low
        return max(
            (float(row.mean) for row in used),
            key=lambda mean: max(-math.inf if high is None else mean - high, -math.inf if low is None else low - mean),
        )
    return mean_of_figures(channel.parameter.averaging, [row.mean for row in used], [row.readings for row in used])


def _told_by_hours(rule: Rule) -> bool:
    """Return whether the hours alone make a limit's figure: no difference, event, working time,
    hours of discharge or longer period does.
    """
    limit = rule.limit
    if limit.window in LONG or limit.allowed or limit.window in {"5min", "15min"}:
        return False
    return limit.statistic != "difference" and not limit.event and rule.working is None and rule.flow is None


def _headroom(registry: Registry, rule: Rule, hours: list[ChannelHour], now: int) -> HeadroomView | None:
    """Headroom of the limit's window under way; None where it has none."""
    under_way = headroom_under_way(registry, rule, hours, now)
    if under_way is None:
        return None
    found, window = under_way
    start, end = (local(minute * MINUTE, registry.site(rule.site).zone) for minute in window)
    return HeadroomView(found.state, found.value, found.hours, found.missing, start, end)


def _hours_of(registry: Registry, rule: Rule, hours: list[ChannelHour], now: int) -> list[ChannelHour]:
    """Hourly figures that the present period of a limit rests on: none when they are more than two hours old."""
    usable = [row for row in hours if row.mean is not None and row.readings > 0]
    if not usable or usable[-1].end < now - 2 * HOUR:
        return []
    if rule.limit.window == "hour":
        return usable[-1:]
    if rule.limit.window == "day":
        return [row for row in usable if row.start >= usable[-1].end - DAY]
    zone = registry.site(rule.site).zone
    conditions = registry.conditions
    night = rule.limit.window == "nighttime"
    chosen: list[ChannelHour] = []
    for row in reversed(usable):
        hour = local(row.start, zone).hour
        if (conditions.day_start <= hour < conditions.night_start) == night:
            break
        chosen.insert(0, row)
    return chosen
