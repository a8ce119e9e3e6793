"""The calendar of reporting dates: what is due when, and whether the data for it are there."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Query
from sqlalchemy import func, select
from starlette.responses import Response

from api import arguments
from api.context import ContextOf, QueriesOf, ScopeOf, now, visible_site
from api.queries import Queries, Scope
from api.responses import listing
from api.schemas import listed
from api.times import HOUR, local, milliseconds
from greenmine.registry import Site
from greenmine.reporting import Period, Reporting, around
from greenmine.storage import schema

router = APIRouter()


class ReportingDate(msgspec.Struct, frozen=True):
    """A reporting date of a site, which is the ``last`` day of its period.

    ``days_left`` is negative once it has passed; ``near`` while so few days are left that it is time to see to it. Of the
    ``days_due``, the days of the period whose lateness has passed, ``days_missing`` are not in the archive: nothing came, or
    they have not been sealed. ``capture`` is the share of the readings of judged channels expected in the hours so far that are
    there and valid; null before the first hour. ``bundle`` is the newest bundle of the period that is there.
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


def reporting_dates(
    queries: Queries, scope: Scope, site: Site, reporting: Reporting, instant: int, lateness: int
) -> list[ReportingDate]:
    """The reporting period of a site that ended last, the one under way, and the next.

    Parameters
    ----------
    queries : Queries
        On the record.
    scope : Scope
        The site must lie in it.
    site : Site
        Whose.
    reporting : Reporting
        The catalogue.
    instant : int
        The clock [ms UTC].
    lateness : int
        How long after its end a day is due to be sealed [ms].
    """
    assert site.id in scope
    today = local(instant, site.zone).date()
    due = local(instant - lateness, site.zone).date()  # the first day that is not due
    return [
        _reporting_date(queries, scope, site, period, (today, due), instant, reporting.remind_days)
        for period in around(today, reporting)
    ]


def _reporting_date(
    queries: Queries, scope: Scope, site: Site, period: Period, clock: tuple[date, date], instant: int, remind: int
) -> ReportingDate:
    today, due = clock
    left = (period.last - today).days
    state: Literal["ended", "running", "coming"] = "ended" if left < 0 else "running"
    if period.first > today:
        state = "coming"
    days_due = max(0, (min(due, period.last + timedelta(days=1)) - period.first).days)
    sealed, bundle = schema.sealed_day.c, schema.bundle.c
    within = sealed.site == site.id, sealed.day >= period.first.isoformat(), sealed.day <= period.last.isoformat()
    held = queries.connection.scalar(select(func.count()).where(*within, sealed.day < due.isoformat())) or 0
    mine = bundle.site == site.id, bundle.period == period.name, bundle.state == "done"
    return ReportingDate(
        site.id,
        period.name,
        period.first.isoformat(),
        period.last.isoformat(),
        state,
        left,
        state == "running" and left <= remind,
        days_due,
        days_due - held,
        None if state == "coming" else _capture(queries, scope, site, period, instant),
        queries.connection.scalar(select(func.max(bundle.id)).where(*mine)),
    )


def _capture(queries: Queries, scope: Scope, site: Site, period: Period, instant: int) -> float | None:
    """Share of the readings of judged channels expected in the whole hours of a period so far that are there and valid."""
    start = _midnight(period.first, site.zone)
    end = min(_midnight(period.last + timedelta(days=1), site.zone), instant // HOUR * HOUR)
    judged = {rule.channel for rule in queries.registry.rules if rule.site == site.id}
    expected = sum((end - start) / queries.registry.channels[index].interval for index in judged)
    if expected <= 0:
        return None
    numbers = [n for n, c in queries.channels(scope).items() if c.index in judged]
    c = schema.statistic.c
    valid = queries.connection.scalar(
        select(func.sum(c.count)).where(
            c.channel.in_(numbers), c.window == "hour", c.start >= start, c.start < end, c.latest.is_(True)
        )
    )
    return min(1.0, (valid or 0) / expected)


def _midnight(day: date, zone: str) -> int:
    return milliseconds(datetime.combine(day, time(), ZoneInfo(zone)))


@router.get("/api/v1/reporting", responses=listed(ReportingDate))
def reporting(
    given: Annotated[arguments.SiteArguments, Query()], context: ContextOf, scope: ScopeOf, queries: QueriesOf
) -> Response:
    """Reporting dates of each site: the last, the one that comes next, and the one after it, with what is there for them."""
    if given.site is not None:
        visible_site(context.registry, scope, given.site)
    instant = now()
    lateness = context.settings.lateness_hours * HOUR
    items: list[Any] = [
        item
        for site in context.registry.sites
        if site.id in scope and given.site in {None, site.id}
        for item in reporting_dates(queries, scope, site, context.reporting, instant, lateness)
    ]
    return listing(items)
