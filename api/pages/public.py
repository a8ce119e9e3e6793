"""What anybody may see: the daily compliance of mines whose enterprise allows it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given, QueriesOf
from greenmine.api.http.problems import Problem
from greenmine.api.pages.page import PageOf
from greenmine.limits import addressee
from greenmine.processing.summary import conclude, tally
from greenmine.processing.verdicts import Verdict
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Site
from greenmine.times import local, milliseconds

router = APIRouter()

DAYS: Final = 14


class DayView(msgspec.Struct, frozen=True):
    """What is concluded of a theme from the verdicts of a day on the mine's own emissions.

    One window that could not be judged makes a day without any that exceeds `not assessable`, never `meets`. ``verdict`` is
    None where there is none at all.
    """

    verdict: str | None
    standing: str
    meets: int
    exceeds: int
    not_assessable: int


@router.get("/public")
def public_sites(_: Given[arguments.PageArguments], page: PageOf) -> Response:
    """Page of all mines that are public."""
    public = page.context.accounts.publications.sites()
    return page.render("public.html", sites=[site for site in page.registry.sites if site.id in public])


@router.get("/public/{site}")
def public_site(site: str, _: Given[arguments.PageArguments], page: PageOf, queries: QueriesOf) -> Response:
    """Page of the daily compliance of a mine; the same for everybody, signed in or not."""
    shown = next((found for found in page.registry.sites if found.id == site), None)
    if shown is None or site not in page.context.accounts.publications.sites():
        raise Problem(404, f"There is no public page of {site!r}; /public lists them.")
    days = daily_compliance(queries, shown, page.instant)
    return page.render(
        "public-site.html",
        site=shown,
        themes=[theme for theme in page.registry.judged_themes if any(day[theme.id].verdict for _, day in days)],
        days=days,
    )


def daily_compliance(queries: Queries, site: Site, instant: int) -> list[tuple[date, dict[str, DayView]]]:
    """Compliance on each of the last 14 days, newest first; periods belong to the day on which they begin.

    What the enterprise answers for counts: the quality around the mine and the enterprise's own targets are left out.
    """
    today = local(instant, site.zone).date()
    registry = queries.registry
    themes = {
        rule.key: registry.parameters[rule.limit.parameter].theme
        for rule in registry.site_rules(site.id)
        if addressee(rule.limit) == "emission"
    }
    verdicts: dict[date, dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
    begin = milliseconds(datetime.combine(today - timedelta(days=DAYS - 1), time(), ZoneInfo(site.zone)))
    for rule, start, verdict in queries.verdicts_since(Scope(frozenset({site.id})), begin, themes):
        verdicts[local(start, site.zone).date()][rule].append(verdict)
    days = [today - timedelta(days=back) for back in range(DAYS)]
    shown = [theme.id for theme in registry.judged_themes]
    return [(day, _day(verdicts[day], themes, shown)) for day in days]


def _day(verdicts: Mapping[str, list[Verdict]], themes: Mapping[str, str], shown: Sequence[str]) -> dict[str, DayView]:
    tallies = [tally(themes[rule], "emission", some, len(some)) for rule, some in verdicts.items()]
    found = {one.theme: one for one in conclude(tallies, 1.0)}
    return {
        theme: DayView(one.judgement, one.standing, one.meets, one.exceeds, one.due - one.meets - one.exceeds)
        if (one := found.get(theme))
        else DayView(None, "indicative", 0, 0, 0)
        for theme in shown
    }
