"""The page on which a logger's file of a station is handed in: what it becomes, corrections, and what became of earlier ones."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.http.problems import Problem
from greenmine.api.http.uploads import upload_item
from greenmine.api.pages.page import RecordPageOf

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
def upload_page(site: str, station: str, _: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page for handing in a logger's file of one station."""
    shown = page.site(site)
    place = next((place for place in shown.stations if place.id == station), None)
    if place is None:
        raise Problem(404, f"There is no station {station!r} at {site!r}.")
    if not page.caller.may_act(site):
        raise Problem(403, f"{page.caller.name} may not hand in files at {site!r}.")
    rows = page.queries.uploads(page.scope, site=site, limit=_SHOWN)
    return page.render(
        "upload.html",
        site=shown,
        station=place,
        channels=[c for c in page.registry.site_channels(site) if c.station == station],
        units=_UNITS,
        megabytes=page.context.settings.upload_bytes // 1_000_000,
        uploads=[upload_item(page.registry, row) for row in rows],
    )
