"""The air quality index of the days at a mine's stations of homes, from the verdicts on the daily means there."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from greenmine.air_index import AirIndex, air_index, air_index_table
from greenmine.api.http import arguments
from greenmine.api.http.dependencies import QueriesOf, ScopeOf, visible_site
from greenmine.api.http.exports import entity_tag, tagged, unchanged
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import listing
from greenmine.api.http.schemas import listed
from greenmine.processing.flags import over_range
from greenmine.record.reader import Queries, Row, Scope
from greenmine.registry import Channel, Site
from greenmine.times import DAY, MINUTE, local, now

router = APIRouter()

_DAYS = 30
_LONGEST = 366


class AirDay(msgspec.Struct, frozen=True):
    """Air quality index of a day at a station; ``standing`` is always ``indicative``, as mines measure two of six pollutants.

    ``index.aqi`` is null (NA) while pollutants are missing and those that are measured give no more than 100.
    """

    site: str
    station: str
    day: date
    standard: str
    clause: str
    standing: str
    index: AirIndex


def air_days(queries: Queries, scope: Scope, site: Site, start: int, end: int) -> list[AirDay]:
    """Index of each day that begins in [start, end) [ms UTC], newest first.

    A pollutant takes part with the mean that the verdict on its day rests on. It is missing on days that cannot be judged, and
    where readings were over range: their mean is a lower bound, and of an index that is none.
    """
    registry, table = queries.registry, air_index_table()
    homes = {station.id for station in site.stations if station.role == "receptor"}
    rules = [
        rule
        for rule in registry.site_rules(site.id)
        if rule.station in homes
        and (rule.limit.kind, rule.limit.window, rule.limit.statistic) == ("legal", "day", "mean")
        and rule.limit.parameter in table.day
    ]
    means: dict[tuple[date, str], dict[str, float]] = {}
    for rule in rules:
        for row in queries.verdicts(scope, start, end, site=site.id, limit_id=None, key=rule.key, limit=_LONGEST + 1):
            day = local(row.start, site.zone).date()
            if row.value is None or row.verdict == "not assessable" or day < table.valid_from:
                continue
            # Over range, a mean that does not exceed is not assessable anyway.
            if row.verdict == "exceeds" and _holds_over_range(queries, scope, registry.channels[rule.channel], row):
                continue
            means.setdefault((day, rule.station), {})[rule.limit.parameter] = row.value
    return [
        AirDay(site.id, station, day, table.standard, table.clause, "indicative", air_index(table, some))
        for (day, station), some in sorted(means.items(), reverse=True)
    ]


def _holds_over_range(queries: Queries, scope: Scope, channel: Channel, row: Row) -> bool:
    found = queries.readings(scope, channel.key, row.start, row.end)
    return bool(over_range(found["flag"], found["value"], channel.upper, channel.parameter.high).any())


@router.get("/api/v1/air-index", responses=listed(AirDay))
def air_quality_index(
    given: Annotated[arguments.RollingArguments, Query()], request: Request, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Air quality index and primary pollutant of each day at the stations of homes (HJ 633-2026); by default of 30 days."""
    site = visible_site(queries.registry, scope, given.site)
    end = given.end if given.end is not None else now()
    start = given.start if given.start is not None else end - _DAYS * DAY
    if not 0 < end - start <= _LONGEST * DAY:
        raise Problem(400, "from, to: choose a period of at most 366 days, 'from' before 'to'")
    tag = entity_tag(
        request, scope, queries.version("verdict"), start // MINUTE, end // MINUTE, queries.registry.digest
    )
    return unchanged(request, tag) or tagged(listing(list(air_days(queries, scope, site, start, end))), tag)
