"""The page on which those who oversee all mines compare them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given
from greenmine.api.http.problems import Problem
from greenmine.api.http.rolling import site_weeks
from greenmine.api.http.views import LatestView, latest, theme_judgements, views_by_site
from greenmine.api.pages.page import RecordPageOf
from greenmine.api.pages.selection import selection
from greenmine.record.reader import ChannelHour
from greenmine.registry import Registry, Site
from greenmine.times import DAY, HOUR

router = APIRouter()

_BAD = {"silent", "frozen", "skewed", "implausible", "flooding"}


@router.get("/comparison")
def comparison_page(given: Given[arguments.SelectionArguments], page: RecordPageOf) -> Response:
    """Page that compares all mines, fifty at a time; on a page the one with the largest share of time above a limit first."""
    queries, scope, instant = page.queries, page.scope, page.instant
    if not page.caller.oversees:
        raise Problem(404, "There is no such page.")
    chosen = selection(queries, scope, page.wording, given)
    scope = chosen.scope
    hours = queries.hours(scope, instant - DAY - HOUR, instant)
    views = latest(queries, scope, instant, hours=hours)
    own, weeks = views_by_site(views), site_weeks(queries, scope, chosen.sites, instant)
    lasting, waiting = queries.open_exceedances(scope), queries.unacknowledged_exceedances(scope)
    rows = [
        _row(page.registry, site, own[site.id], hours)
        | {"week": weeks[site.id], "open": lasting.get(site.id, 0), "waiting": waiting.get(site.id, 0)}
        for site in chosen.sites
    ]
    if given.group is None:
        rows.sort(key=lambda row: row["week"].share or 0.0, reverse=True)
    return page.render(
        "comparison.html",
        rows=rows,
        selection=chosen,
        themes=page.registry.judged_themes,
        events="/api/v1/events",
    )


def _row(
    registry: Registry, site: Site, own: Sequence[LatestView], hours: dict[str, list[ChannelHour]]
) -> dict[str, Any]:
    judgements = {theme.id: theme_judgements(own, theme.id, registry) for theme in registry.judged_themes}
    captures = [row.capture for view in own for row in hours.get(view.channel, [])]
    return {
        "site": site,
        "themes": {theme: found[0] if found else None for theme, found in judgements.items()},
        "capture": sum(captures) / len(captures) if captures else None,
        "bad": sum(view.health.state in _BAD for view in own),
        "channels": len(own),
        "newest": max((view.last_time for view in own if view.last_time is not None), default=None),
    }
