"""The page for a screen on a wall: what calls for somebody, and a map of the mines."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, QueriesOf, ScopeOf
from greenmine.api.http.health import service_health
from greenmine.api.http.views import latest, views_by_site
from greenmine.api.pages.attention import LISTED, Attention, attention, waiting
from greenmine.api.pages.pages import notice_of
from greenmine.api.pages.pins import WIND, conclusions, site_pins
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.record.reader import Queries, Scope
from greenmine.times import now

router = APIRouter()


@router.get("/wall")
def wall(
    given: Annotated[arguments.PageArguments, Query()],
    request: Request,
    context: ContextOf,
    scope: ScopeOf,
    queries: QueriesOf,
) -> Response:
    """Page for a screen on a wall."""
    wording = Wording(language_of(request, given.lang), context.registry)
    instant = now()
    registry = context.registry

    def conclude(some: Scope) -> dict[str, tuple[Attention, list[tuple[str, str]]]]:
        own = views_by_site(latest(queries, some, instant))
        return {site: (attention(own[site]), conclusions(own[site], registry)) for site in some}

    states = context.mine_states.of(queries, scope, instant, conclude)
    sites = [registry.site(site) for site in states]
    return render(
        request,
        "wall.html",
        wording,
        given.lang,
        instant,
        notice=notice_of(wording, service_health(queries, instant)),
        attention=Attention.of_all(calls for calls, _ in states.values()),
        listed=LISTED,
        waits=waiting(queries, scope, context.settings.registry, instant),
        pins=site_pins(sites, {site: told for site, (_, told) in states.items()}, _winds(queries, scope)),
        names={site.id: wording.short_name(site) for site in sites},
        labels={site.id: wording.name(site) for site in sites},
        events="/api/v1/events",
    )


def _winds(queries: Queries, scope: Scope) -> dict[str, float]:
    """Where the wind comes from at each mine that says so, by its first channel in the registry's order [degrees]."""
    channels = {number: c for number, c in queries.channels(scope).items() if c.parameter.id == WIND}
    found: dict[str, float] = {}
    for number, newest in queries.newest(scope, channels).items():
        if newest.valid is not None:
            found.setdefault(channels[number].site, float(newest.valid["value"]))
    return found
