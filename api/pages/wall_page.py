"""The page for a screen on a wall: what calls for somebody, and a map of the mines."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.http.views import latest, views_by_site
from greenmine.api.pages.attention import LISTED, Attention, attention, waiting
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.pins import WIND, conclusions, site_pins
from greenmine.record.reader import Queries, Scope

router = APIRouter()


@router.get("/wall")
def wall(_: Given[arguments.PageArguments], page: RecordPageOf) -> Response:
    """Page for a screen on a wall."""
    queries, scope, registry = page.queries, page.scope, page.registry

    def conclude(some: Scope) -> dict[str, tuple[Attention, list[tuple[str, str]]]]:
        own = views_by_site(latest(queries, some, page.instant))
        return {site: (attention(own[site]), conclusions(own[site], registry)) for site in some}

    states = page.context.mine_states.of(queries, scope, page.instant, conclude)
    sites = [registry.site(site) for site in states]
    return page.render(
        "wall.html",
        attention=Attention.of_all(calls for calls, _ in states.values()),
        listed=LISTED,
        waits=waiting(queries, scope, page.context.settings.registry, page.instant),
        pins=site_pins(sites, {site: told for site, (_, told) in states.items()}, _winds(queries, scope)),
        names={site.id: page.wording.short_name(site) for site in sites},
        labels={site.id: page.wording.name(site) for site in sites},
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
