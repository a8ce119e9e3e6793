"""Rolling exceedance statistics: of each limit, as route and page show them, and of a whole site in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.processing.rolling import SPANS, ExceedanceStatistics, SlidingHours, exceedance_statistics
from greenmine.processing.slide import first_minute
from greenmine.record.reader import Queries, Scope, narrowed
from greenmine.registry import Rule, Site
from greenmine.times import MINUTE, local

_END_OF_TIME: Final = 1 << 62
_MAX_EPISODES: Final = 10_000
_WEEK: Final = SPANS["7d"]


class RollingView(msgspec.Struct, frozen=True):
    """Exceedance statistics of a limit over a span; durations in minutes, shares of 1."""

    rule: str
    span: str
    start: datetime
    end: datetime
    episodes: int
    minutes_above: int
    minutes_assessable: int
    share: float | None
    longest_minutes: int
    worst: float | None
    capture: float


def rolling_statistics(
    queries: Queries, scope: Scope, site: Site, now: int, period: tuple[int, int] | None = None
) -> list[RollingView]:
    """Statistics of each rule of a site that was ever followed, over 24 hours, 7 and 30 days to ``now`` [ms UTC].

    With a period [ms UTC, half-open, not beyond ``now``] over that too, under the span ``period``.
    """
    end = now // MINUTE
    spans = {name: (end - span, end) for name, span in SPANS.items()}
    if period is not None:
        spans["period"] = period[0] // MINUTE, max(period[0] // MINUTE + 1, period[1] // MINUTE)
    start = min(first for first, _ in spans.values()) * MINUTE
    hours = queries.sliding_hours(scope, start, site.id)
    episodes = _episodes(queries, narrowed(scope, site.id), start, end)
    views: list[RollingView] = []
    for rule in queries.registry.site_rules(site.id):
        if rule.key not in hours:
            continue
        rows = hours[rule.key]
        sliding = SlidingHours(
            np.array([row.hour for row in rows], np.int64),
            np.array([row.assessable for row in rows], np.uint64),
            np.array([row.above for row in rows], np.uint64),
            np.array([np.nan if row.worst is None else row.worst for row in rows]),
        )
        lower = all(threshold.high is None for threshold in rule.limit.thresholds)
        pairs = _pairs(episodes.get(rule.key, []))
        views.extend(
            _view(rule, name, site.zone, exceedance_statistics(sliding, pairs, first, last, lower=lower))
            for name, (first, last) in spans.items()
        )
    return views


def site_weeks(queries: Queries, scope: Scope, sites: Sequence[Site], now: int) -> dict[str, ExceedanceStatistics]:
    """Seven days of each site: the minutes in which any legal limit was exceeded, among those in which any was assessable.

    ``episodes`` counts those of all of them; ``worst`` is None, as limits have different units.
    """
    end = now // MINUTE
    episodes = _episodes(queries, Scope(scope & {site.id for site in sites}), (end - _WEEK) * MINUTE, end)
    return {site.id: _week(queries, scope, site, episodes, end) for site in sites}


def _week(
    queries: Queries, scope: Scope, site: Site, episodes: dict[str, list[tuple[int, int]]], end: int
) -> ExceedanceStatistics:
    start = (end - _WEEK) * MINUTE
    legal = {rule.key: rule for rule in queries.registry.site_rules(site.id) if rule.limit.kind == "legal"}
    rows = queries.sliding_masks(scope, start, legal)
    hour = np.array([row.hour for row in rows], np.int64)
    first = np.flatnonzero(np.diff(hour, prepend=-1))
    masks = [
        np.bitwise_or.reduceat(np.array(bits, np.uint64), first) if len(rows) else np.empty(0, np.uint64)
        for bits in ([row.assessable for row in rows], [row.above for row in rows])
    ]
    return exceedance_statistics(
        SlidingHours(hour[first], masks[0], masks[1], np.full(len(first), np.nan)),
        _pairs([pair for key in legal for pair in episodes.get(key, [])]),
        end - _WEEK,
        end,
    )


def _episodes(queries: Queries, scope: Scope, start: int, end: int) -> dict[str, list[tuple[int, int]]]:
    """First minute and the minute behind the last of each exceedance, by rule; ``start`` [ms], ``end`` [min]."""
    episodes: dict[str, list[tuple[int, int]]] = {}
    for row in queries.exceedances(scope, start, _END_OF_TIME, limit=_MAX_EPISODES * max(1, len(scope))):
        rule = queries.registry.rule(row.rule)
        if row.state != "withdrawn" and rule is not None:
            last = first_minute(rule, row.end // MINUTE if row.end is not None else end)
            episodes.setdefault(row.rule, []).append((first_minute(rule, row.start // MINUTE), last))
    return episodes


def _pairs(episodes: list[tuple[int, int]]) -> NDArray[np.int64]:
    return np.array(episodes, np.int64).reshape(-1, 2)


def _view(rule: Rule, span: str, zone: str, figures: ExceedanceStatistics) -> RollingView:
    return RollingView(
        rule=rule.key,
        span=span,
        start=local(figures.start * MINUTE, zone),
        end=local(figures.end * MINUTE, zone),
        episodes=figures.episodes,
        minutes_above=figures.minutes_above,
        minutes_assessable=figures.minutes_assessable,
        share=figures.share,
        longest_minutes=figures.longest,
        worst=figures.worst,
        capture=figures.capture,
    )
