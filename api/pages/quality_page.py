"""The page of data quality: is everything arriving, and what of it could not be used?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.http.marks import mark_items, request_item
from greenmine.api.http.views import latest
from greenmine.api.pages.page import RecordPageOf
from greenmine.processing.exclusion import EXCLUDING, KINDS, Mark, excluded_channels
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Registry, Site
from greenmine.times import DAY, local

router = APIRouter()

SHOWN: Final = 20
_COUNTS: Final = ("received", "stored", "duplicate", "conflict", "rejected", "late", "sequence_missing")


@router.get("/sites/{site}/quality")
def quality_page(site: str, given: Given[arguments.QualityArguments], page: RecordPageOf) -> Response:
    """Page of a mine's data quality."""
    queries, scope, instant, registry = page.queries, page.scope, page.instant, page.registry
    shown = page.site(site)
    start = instant - given.days * DAY
    views = {view.channel: view for view in latest(queries, scope, instant, site)}
    captures = queries.captures(scope, start, None, site)
    return page.render(
        "quality.html",
        site=shown,
        days=given.days,
        channels=[(channel, views[channel.key], captures.get(channel.key)) for channel in registry.site_channels(site)],
        ledger=_ledger(queries, scope, shown, instant, given.days),
        gaps=queries.gaps(scope, site=site, limit=SHOWN, after=None),
        conflicts=_local(
            shown,
            queries.aside(scope, "conflict", start, instant + DAY, site=site, key=None, limit=SHOWN, before=None),
        ),
        late=_local(
            shown, queries.aside(scope, "late", 0, instant + DAY, site=site, key=None, limit=SHOWN, before=None)
        ),
        rejections=[
            (local(row.received, shown.zone), row)
            for row in queries.rejections(scope, site=site, limit=SHOWN, before=None)
        ],
        health=[
            (local(row.since, shown.zone), channel, row)
            for channel, row in queries.health_changes(scope, start, instant + DAY, site=site, limit=SHOWN, before=None)
        ],
        marks=sorted(
            mark_items(queries, scope, queries.marks(scope, start, 1 << 62, site=site, limit=200)),
            key=lambda mark: mark.start,
            reverse=True,
        ),
        requests=[
            request_item(registry, row)
            for row in queries.mark_requests(scope, site=site, limit=SHOWN)
            if row.state == "claimed" or (row.state != "done" and row.made > instant - 7 * DAY)
        ],
        kinds=sorted(KINDS),
        places=_places(registry, shown),
        acts=page.caller.may_act(site),
        oversees=page.caller.oversees,
        events=f"/api/v1/events?site={site}",
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that can be marked, with the kinds of mark that say something there; parameter None: the whole station."""

    station: str
    parameter: str | None
    kinds: list[str]


def _places(registry: Registry, site: Site) -> list[_Place]:
    found = []
    for station in site.stations:
        measured = [c.parameter.id for c in registry.site_channels(site.id) if c.station == station.id]
        for parameter in (None, *measured):
            kinds = [
                kind
                for kind in sorted(KINDS)
                if kind not in EXCLUDING
                or excluded_channels(registry, Mark(site.id, station.id, parameter, 0, 0, kind))
            ]
            found.append(_Place(station.id, parameter, kinds))
    return found


def _ledger(queries: Queries, scope: Scope, site: Site, instant: int, days: int) -> dict[str, Any]:
    """Sums of each device over some days to today, and of all."""
    today = local(instant, site.zone).date()
    first = today - timedelta(days=days - 1)
    rows: dict[str, dict[str, int]] = {device.id: dict.fromkeys(_COUNTS, 0) for device in site.devices}
    for row in queries.ledger(scope, str(first), str(today), site=site.id, limit=arguments.MAX_PAGE, after=None):
        sums = rows.setdefault(row.device, dict.fromkeys(_COUNTS, 0))
        for name in _COUNTS:
            sums[name] += getattr(row, name)
    return {"rows": rows, "total": {name: sum(sums[name] for sums in rows.values()) for name in _COUNTS}}


def _local(site: Site, pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any, Any, Any]]:
    return [(channel, local(row.time, site.zone), local(row.received, site.zone), row) for channel, row in pairs]
