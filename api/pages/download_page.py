"""The page of downloads: what there is, for which days, in which format."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, Given, ScopeOf, visible_channel, visible_site
from greenmine.api.http.formats import Format
from greenmine.api.http.problems import Problem
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.rendering import language_of
from greenmine.times import local

router = APIRouter()

FORMATS: Final[tuple[Format, ...]] = ("csv", "xlsx", "ndjson", "arrow", "parquet")


@router.get("/sites/{site}/downloads")
def download_page(site: str, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page of downloads of a mine."""
    shown = page.site(site)
    today = local(page.instant, shown.zone).date()
    before = today.replace(day=1) - timedelta(days=1)
    return page.render(
        "downloads.html",
        site=shown,
        channels=page.registry.site_channels(site),
        first=today - timedelta(days=7),
        last=today,
        month=(before.replace(day=1), before),
        parameters=list(dict.fromkeys(channel.parameter.id for channel in page.registry.site_channels(site))),
        formats=FORMATS,
    )


@router.get("/sites/{site}/download")
def download(
    site: str, given: Given[arguments.DownloadArguments], request: Request, context: ContextOf, scope: ScopeOf
) -> Response:
    """Lead from the form of the page to the file."""
    shown = visible_site(context.registry, scope, site)
    channel = visible_channel(context.registry, scope, given.channel).key if given.channel else ""
    if given.station and given.station not in {station.id for station in shown.stations}:
        raise Problem(404, f"There is no station {given.station!r} at {site!r}.")
    if channel and channel.split("/")[0] != site:
        raise Problem(404, f"There is no channel {channel!r} at {site!r}.")
    if given.what == "statistics" and not channel and not given.parameter:
        raise Problem(400, "channel: required for statistics, or a parameter")
    days = (given.first, given.last)
    query: dict[str, str] = {"format": given.format, "bom": "true"} if given.bom else {"format": given.format}
    if given.format == "xlsx":
        query["lang"] = language_of(request, None)
    if given.what == "ledger":
        query |= {"site": site, "from": days[0], "to": days[1]}
    else:
        query |= dict(zip(("from", "to"), _instants(days, shown.zone), strict=True))
        if channel and given.what in {"readings", "statistics"}:
            query["channel"] = channel
        else:
            query["site"] = site
        if given.what == "statistics":
            query["window"] = given.window
            if not channel:
                query["parameter"] = given.parameter
        elif given.what == "readings" and given.station and not channel:
            query["station"] = given.station
    return RedirectResponse(f"/api/v1/{given.what}?{urlencode(query)}", 303)


def _instants(days: tuple[str, str], zone: str) -> list[str]:
    """Beginning of the first day and end of the last, on a zone's clock."""
    try:
        edges = [date.fromisoformat(days[0]), date.fromisoformat(days[1]) + timedelta(days=1)]
    except (ValueError, OverflowError):
        raise Problem(400, "from, to: must be days of the calendar") from None
    if edges[0] >= edges[1]:
        raise Problem(400, "from, to: 'from' must not be after 'to'")
    walls = [datetime.combine(day, datetime.min.time(), ZoneInfo(zone)) for day in edges]
    return [f"{wall.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" for wall in walls]
