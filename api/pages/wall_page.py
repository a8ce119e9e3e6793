"""The page for a screen on a wall: what calls for somebody, and a map of the mines."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.http.views import latest
from greenmine.api.pages.attention import LISTED, attention, waiting
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.pins import site_pins

router = APIRouter()


@router.get("/wall")
def wall(_: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page for a screen on a wall."""
    scope = page.scope
    views = latest(page.queries, scope, page.instant)
    sites = page.sites
    return page.render(
        "wall.html",
        attention=attention(views),
        listed=LISTED,
        waits=waiting(page.queries, scope, page.context.settings.registry, page.instant),
        pins=site_pins(sites, views, page.registry),
        names={site.id: page.wording.short_name(site) for site in sites},
        labels={site.id: page.wording.name(site) for site in sites},
        events="/api/v1/events",
    )
