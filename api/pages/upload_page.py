"""The page on which a logger's file of a station is handed in: what it becomes, corrections, and what became of earlier ones."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from greenmine.api.accounts.caller import CallerOf
from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf, visible_site
from greenmine.api.http.health import service_health
from greenmine.api.http.problems import Problem
from greenmine.api.http.uploads import upload_item
from greenmine.api.pages.pages import notice_of
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.times import now

router = APIRouter()

_SHOWN = 20
_UNITS = (
    "ug/m3",
    "mg/m3",
    "mg/L",
    "ug/L",
    "dB(A)",
    "degC",
    "m/s",
    "km/h",
    "hPa",
    "kPa",
    "%",
    "deg",
    "mm",
    "NTU",
    "uS/cm",
    "L/s",
    "m3/h",
)
"""Units that are offered; any other that is known may be written."""


@router.get("/sites/{site}/stations/{station}/upload")
def upload_page(
    site: str,
    station: str,
    given: Given[arguments.PageArguments],
    request: Request,
    context: ContextOf,
    caller: CallerOf,
    queries: QueriesOf,
) -> Response:
    """Page for handing in a logger's file of one station."""
    shown = visible_site(context.registry, caller.scope, site)
    place = next((place for place in shown.stations if place.id == station), None)
    if place is None:
        raise Problem(404, f"There is no station {station!r} at {site!r}.")
    if not caller.may_act(site):
        raise Problem(403, f"{caller.name} may not hand in files at {site!r}.")
    wording = Wording(language_of(request, given.lang), context.registry)
    instant = now()
    rows = queries.uploads(caller.scope, site=site, limit=_SHOWN)
    return render(
        request,
        "upload.html",
        wording,
        given.lang,
        instant,
        notice=notice_of(wording, service_health(queries, instant)),
        site=shown,
        station=place,
        channels=[c for c in context.registry.site_channels(site) if c.station == station],
        units=_UNITS,
        megabytes=context.settings.upload_bytes // 1_000_000,
        events="",
        uploads=[upload_item(context.registry, row) for row in rows],
    )
