"""The calendar of reporting dates: what is due when, and whether the data for it are there."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.context import Context
from greenmine.api.http.dependencies import ContextOf, Given, QueriesOf, ScopeOf, visible_site
from greenmine.api.http.responses import listing
from greenmine.api.http.schemas import listed
from greenmine.record.reader import Queries, Scope
from greenmine.registry import Site
from greenmine.reporting import Period, around
from greenmine.times import HOUR, MINUTE, local, milliseconds, now

router = APIRouter()

_ISSUED: Final = 10 * MINUTE
"""How long after its end the figures of an hour are there for certain [ms]."""


class ReportingDate(msgspec.Struct, frozen=True):
    """A reporting date of a site, which is the ``last`` day of its period.

    ``days_left`` is negative once it has passed; ``near`` while so few days are left that it is time to see to it. Of the
    ``days_due``, the days of the period whose lateness has passed, ``days_missing`` are not in the archive: nothing came, or
    they have not been sealed. ``capture`` is the share of the readings of judged channels expected in the hours so far that are
    there and valid, told anew every hour; null before the first. ``bundle`` is the newest bundle of the period that is there.
    """

    site: str
    period: str
    first: str
    last: str
    state: Literal["ended", "running", "coming"]
    days_left: int
    near: bool
    days_due: int
    days_missing: int
    capture: float | None
    bundle: int | None


def reporting_dates(context: Context, queries: Queries, scope: Scope, site: Site, instant: int) -> list[ReportingDate]:
    """The reporting period of a site that ended last, the one under way, and the next.

    Parameters
    ----------
    context : Context
        Has the catalogue of periods, says when a day is due to be sealed, and remembers what costs much to count.
    queries : Queries
        On the record.
    scope : Scope
        The site must lie in it.
    site : Site
        Whose.
    instant : int
        The clock [ms UTC].
    """
    assert site.id in scope
    today = local(instant, site.zone).date()
    due = local(instant - context.settings.lateness_hours * HOUR, site.zone).date()  # the first day that is not due
    return [
        _reporting_date(context, queries, scope, site, period, (today, due), instant)
        for period in around(today, context.reporting)
    ]


def _reporting_date(
    context: Context,
    queries: Queries,
    scope: Scope,
    site: Site,
    period: Period,
    clock: tuple[date, date],
    instant: int,
) -> ReportingDate:
    today, due = clock
    left = (period.last - today).days
    state: Literal["ended", "running", "coming"] = "ended" if left < 0 else "running"
    if period.first > today:
        state = "coming"
    first_not_due = min(due, period.last + timedelta(days=1))
    held = queries.sealed_days(scope, site.id, period.first.isoformat(), first_not_due.isoformat())
    newest = next(iter(queries.bundles(scope, site=site.id, period=period.name, state="done", limit=1)), None)
    days_due = max(0, (first_not_due - period.first).days)
    return ReportingDate(
        site.id,
        period.name,
        period.first.isoformat(),
        period.last.isoformat(),
        state,
        left,
        state == "running" and left <= context.reporting.remind_days,
        days_due,
        days_due - held,
        _capture(context, queries, scope, site, period, instant),
        None if newest is None else newest.id,
    )


def _capture(
    context: Context, queries: Queries, scope: Scope, site: Site, period: Period, instant: int
) -> float | None:
    """Share of the readings of judged channels expected in the whole hours of a period so far that are there and valid."""
    start = _midnight(period.first, site.zone)
    hour = (instant - _ISSUED) // HOUR
    end = min(_midnight(period.last + timedelta(days=1), site.zone), hour * HOUR)
    judged = {rule.channel for rule in queries.registry.site_rules(site.id)}
    expected = sum((end - start) / queries.registry.channels[index].interval for index in judged)
    if expected <= 0:
        return None
    tag = f"capture {site.id} {period.name} {hour}"
    kept = context.bodies.get(tag)
    if kept is not None:
        return msgspec.json.decode(kept, type=float)
    keys = {queries.registry.channels[index].key for index in judged}
    valid: int = sum(row.readings for key, row in queries.captures(scope, start, end, site.id).items() if key in keys)
    capture = min(1.0, valid / expected)
    context.bodies.put(tag, msgspec.json.encode(capture))
    return capture


def _midnight(day: date, zone: str) -> int:
    return milliseconds(datetime.combine(day, time(), ZoneInfo(zone)))


@router.get("/api/v1/reporting", responses=listed(ReportingDate))
def reporting(
    given: Given[arguments.SiteArguments], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Reporting dates of each site: the last, the one that comes next, and the one after it, with what is there for them."""
    if given.site is not None:
        visible_site(context.registry, scope, given.site)
    instant = now()
    items: list[Any] = [
        item
        for site in context.registry.sites
        if site.id in scope and given.site in {None, site.id}
        for item in reporting_dates(context, queries, scope, site, instant)
    ]
    return listing(items)
