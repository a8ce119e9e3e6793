"""The page for a screen on a wall: what calls for somebody, and a map of the mines."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf, ScopeOf
from greenmine.api.http.health import service_health
from greenmine.api.http.views import latest
from greenmine.api.pages.attention import LISTED, attention, waiting
from greenmine.api.pages.pages import notice_of
from greenmine.api.pages.pins import site_pins
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.times import now

router = APIRouter()


@router.get("/wall")
def wall(
    given: Given[arguments.PageArguments], request: Request, context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Page for a screen on a wall."""
    wording = Wording(language_of(request, given.lang), context.registry)
    instant = now()
    views = latest(queries, scope, instant)
    sites = [site for site in context.registry.sites if site.id in scope]
    return render(
        request,
        "wall.html",
        wording,
        given.lang,
        instant,
        notice=notice_of(wording, service_health(queries, instant)),
        attention=attention(views),
        listed=LISTED,
        waits=waiting(queries, scope, context.settings.registry, instant),
        pins=site_pins(sites, views, context.registry),
        names={site.id: wording.short_name(site) for site in sites},
        labels={site.id: wording.name(site) for site in sites},
        events="/api/v1/events",
    )
