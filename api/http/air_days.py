"""The air quality index of the days at a mine's stations of homes, from the record's statistics of days there."""

from __future__ import annotations

from typing import Literal

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given, QueriesOf, ScopeOf, visible_site
from greenmine.api.http.exports import entity_tag, tagged, unchanged
from greenmine.api.http.problems import Problem
from greenmine.api.http.responses import listing
from greenmine.api.http.schemas import listed
from greenmine.evidence.air import AirIndexDay, air_index_days, takes_part
from greenmine.record.reader import Queries, Scope, narrowed
from greenmine.registry import Site
from greenmine.times import DAY, MINUTE, local, now

router = APIRouter()

_DAYS = 30
_LONGEST = 366


class AirDay(AirIndexDay, frozen=True):
    """Air quality index of a day at a station; ``standing`` is always ``indicative``, as mines measure two of six pollutants."""

    standing: Literal["indicative"] = "indicative"


def air_days(queries: Queries, scope: Scope, site: Site, start: int, end: int) -> list[AirDay]:
    """Index of each day that begins in [start, end) [ms UTC], newest first, as `greenmine.evidence.air` gives it."""
    registry = queries.registry
    figures = (
        (channel, local(row.start, site.zone).date(), row)
        for channel in registry.site_channels(site.id)
        if takes_part(registry, channel)
        for row in queries.statistics(scope, channel.key, "day", start, end, revisions=False, limit=_LONGEST + 1)
    )
    found = sorted(air_index_days(registry, figures), key=lambda one: (one.day, one.station), reverse=True)
    return [AirDay(**msgspec.structs.asdict(one)) for one in found]


@router.get("/api/v1/air-index", responses=listed(AirDay))
def air_quality_index(
    given: Given[arguments.RollingArguments], request: Request, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Air quality index and primary pollutant of each day at the stations of homes (HJ 633-2026); by default of 30 days."""
    site = visible_site(queries.registry, scope, given.site)
    end = given.end if given.end is not None else now()
    start = given.start if given.start is not None else end - _DAYS * DAY
    if not 0 < end - start <= _LONGEST * DAY:
        raise Problem(400, "from, to: choose a period of at most 366 days, 'from' before 'to'")
    tag = entity_tag(
        request,
        scope,
        queries.figures(narrowed(scope, site.id)),
        start // MINUTE,
        end // MINUTE,
        queries.registry.digest,
    )
    return unchanged(request, tag) or tagged(listing(list(air_days(queries, scope, site, start, end))), tag)
