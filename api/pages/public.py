"""What anybody may see: the daily compliance of mines whose enterprise allows it."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import ContextOf, QueriesOf
from greenmine.api.http.problems import Problem
from greenmine.api.pages.rendering import language_of, render
from greenmine.api.pages.wording import Wording
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Site
from greenmine.times import local, milliseconds, now

router = APIRouter()

DAYS: Final = 14


class DayView(msgspec.Struct, frozen=True):
    """Verdicts of a day on all legal limits of a theme.

    ``verdict`` is the worst of them: one that exceeds makes the day exceed; one that could not be judged makes a day without any
    such `not assessable`, never `meets`. None where there is no verdict at all.
    """

    verdict: str | None
    meets: int
    exceeds: int
    not_assessable: int


@router.get("/public")
def public_sites(given: Annotated[arguments.PageArguments, Query()], request: Request, context: ContextOf) -> Response:
    """Page of all mines that are public."""
    public = context.accounts.publications.sites()
    return render(
        request,
        "public.html",
        Wording(language_of(request, given.lang), context.registry),
        given.lang,
        now(),
        notice=None,
        events="",
        sites=[site for site in context.registry.sites if site.id in public],
    )


@router.get("/public/{site}")
def public_site(
    site: str,
    given: Annotated[arguments.PageArguments, Query()],
    request: Request,
    context: ContextOf,
    queries: QueriesOf,
) -> Response:
    """Page of the daily compliance of a mine; the same for everybody, signed in or not."""
    shown = next((found for found in context.registry.sites if found.id == site), None)
    if shown is None or site not in context.accounts.publications.sites():
        raise Problem(404, f"There is no public page of {site!r}; /public lists them.")
    instant = now()
    days = daily_compliance(queries, shown, instant)
    return render(
        request,
        "public-site.html",
        Wording(language_of(request, given.lang), context.registry),
        given.lang,
        instant,
        notice=None,
        events="",
        site=shown,
        themes=[theme for theme in context.registry.judged_themes if any(day[theme.id].verdict for _, day in days)],
        days=days,
    )


def daily_compliance(queries: Queries, site: Site, instant: int) -> list[tuple[date, dict[str, DayView]]]:
    """Compliance on each of the last 14 days, newest first; periods belong to the day on which they begin.

    Limits for which the law knows no automatic method, and the enterprise's own targets, are left out.
    """
    today = local(instant, site.zone).date()
    registry = queries.registry
    themes = {
        rule.key: registry.parameters[rule.limit.parameter].theme
        for rule in registry.rules
        if rule.site == site.id and rule.limit.kind == "legal" and not rule.limit.indicative
    }
    counts: dict[tuple[date, str], Counter[str]] = {}
    begin = milliseconds(datetime.combine(today - timedelta(days=DAYS - 1), time(), ZoneInfo(site.zone)))
    for rule, start, verdict in queries.verdicts_since(Scope(frozenset({site.id})), begin, themes):
        counts.setdefault((local(start, site.zone).date(), themes[rule]), Counter())[verdict] += 1
    days = [today - timedelta(days=back) for back in range(DAYS)]
    shown = [theme.id for theme in registry.judged_themes]
    return [(day, {theme: _day(counts.get((day, theme), Counter())) for theme in shown}) for day in days]


def _day(counts: Counter[str]) -> DayView:
    worst = next((verdict for verdict in ("exceeds", "not assessable", "meets") if counts[verdict]), None)
    return DayView(worst, counts["meets"], counts["exceeds"], counts["not assessable"])
