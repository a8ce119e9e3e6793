"""Suggested causes of dust episodes: computed from stored readings when somebody asks."""

from __future__ import annotations

from datetime import datetime
from functools import partial

import msgspec

from greenmine.api.http.explanations import received
from greenmine.processing.causes import suggest, window_of
from greenmine.record.claims import stored_mark
from greenmine.record.reader import Queries, Row, Scope
from greenmine.times import MINUTE, local


class SuggestionItem(msgspec.Struct, frozen=True):
    """A suggestion of what caused an episode; people say the cause.

    ``cause`` is ``outside`` (the air brought the dust), ``blasting``, ``dry`` (works while the sprayers stood still), ``works``,
    or null where the wind does not tell. ``share`` estimates its part of the concentration from ``start`` to ``end``. It rests on
    the wind, the mine's equipment in the sector it came from, how much of the time equipment ran, the station that shows the air
    from outside with its mean as a share of the station's own, and marked blasts.
    """

    cause: str | None
    share: float
    start: datetime
    end: datetime
    wind_from: float | None
    wind_speed: float | None
    sources: list[str]
    running: dict[str, float]
    outside: str | None
    outside_share: float | None
    blasts: list[datetime]


def suggestion(queries: Queries, scope: Scope, row: Row, now: int) -> SuggestionItem | None:
    """Suggest what caused an exceedance in scope; None where it is not of dust, its limit has left, or too little was measured."""
    registry = queries.registry
    rule = registry.rule(row.rule)
    if rule is None or registry.channels[rule.channel].parameter.theme != "dust" or row.peak_time is None:
        return None
    end = now if row.end is None else row.end
    found = suggest(
        registry,
        rule,
        window_of(rule, row.start // MINUTE, end // MINUTE, row.peak_time // MINUTE),
        partial(received, queries, scope, now),
        [stored_mark(mark) for mark in queries.marks_made(scope, rule.site, now)],
    )
    if found is None:
        return None
    zone = registry.site(rule.site).zone
    return SuggestionItem(
        cause=found.cause,
        share=found.share,
        start=local(found.begin * MINUTE, zone),
        end=local(found.end * MINUTE, zone),
        wind_from=found.wind_from,
        wind_speed=found.wind_speed,
        sources=list(found.sources),
        running=found.running,
        outside=found.outside,
        outside_share=found.outside_share,
        blasts=[local(start * MINUTE, zone) for start in found.blasts],
    )
