"""The page for a screen on a wall: what calls for somebody, and a map of the mines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, QueriesOf, ScopeOf
from greenmine.api.http.health import service_health
from greenmine.api.http.views import LatestView, latest, theme_judgements
from greenmine.api.pages.attention import LISTED, attention, waiting
from greenmine.api.pages.pages import notice_of
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.registry import Registry, Site
from greenmine.times import now

router = APIRouter()

_WIDTH: Final = 640
_HEIGHT: Final = 420
_EDGE: Final = 70
"""Map, and what is left free around its mines [pixels]."""
_WORST: Final = (
    ("exceeds", "statutory"),
    ("exceeds", "indicative"),
    ("not assessable", "indicative"),
    ("not assessable", "statutory"),
    ("meets", "indicative"),
    ("meets", "statutory"),
)
"""Conclusions, the worst first: one that is indicative withholds the sign of compliance."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A mine on the map [pixels]; ``wind`` is the direction in which the wind blows [degrees clockwise from up]."""

    site: Site
    x: float
    y: float
    verdict: str
    standing: str
    wind: float | None
    left: bool
    """Its name stands to the left of it."""


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
    views = latest(queries, scope, instant)
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
        pins=pins([site for site in context.registry.sites if site.id in scope], views, context.registry),
        width=_WIDTH,
        height=_HEIGHT,
        events="/api/v1/events",
    )


def pins(sites: Sequence[Site], views: Sequence[LatestView], registry: Registry) -> list[Pin]:
    """Place mines on a map, north up, in the scale that shows all of them; a single one stands in the middle."""
    if not sites:
        return []
    latitude = [site.position.latitude for site in sites]
    longitude = [site.position.longitude for site in sites]
    squeeze = math.cos(math.radians((min(latitude) + max(latitude)) / 2))
    middle = (min(longitude) + max(longitude)) / 2, (min(latitude) + max(latitude)) / 2
    spans = (max(longitude) - min(longitude)) * squeeze, max(latitude) - min(latitude)
    scale = min(
        ((room - 2 * _EDGE) / span for room, span in zip((_WIDTH, _HEIGHT), spans, strict=True) if span), default=1.0
    )
    found = []
    for site in sites:
        own = [view for view in views if view.site == site.id]
        told = [
            (judgement.verdict, judgement.standing)
            for theme in registry.judged_themes
            for judgement in theme_judgements(own, theme.id, registry)
            if judgement.addressee == "emission"
        ]
        x = _WIDTH / 2 + (site.position.longitude - middle[0]) * squeeze * scale
        y = _HEIGHT / 2 - (site.position.latitude - middle[1]) * scale
        wind = next((v.value for v in own if v.parameter == "wind-direction" and v.value is not None), None)
        verdict, standing = next((one for one in _WORST if one in told), ("none", ""))
        blows = None if wind is None else (wind + 180) % 360
        # The name stands away from the arrow where there is room for it.
        left = x > _WIDTH - 2 * _EDGE or (blows is not None and blows < 180 and x > 2 * _EDGE)
        found.append(Pin(site, round(x, 1), round(y, 1), verdict, standing, blows, left))
    return found
