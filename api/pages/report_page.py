"""The page of reports: which mine or the district, which period, as which file."""

from __future__ import annotations

from datetime import date, timedelta

from fastapi import APIRouter
from starlette.responses import Response

from greenmine.api.http import arguments
from greenmine.api.http.dependencies import Given, visible_site
from greenmine.api.pages.page import RecordPageOf
from greenmine.reporting import Reporting, around
from greenmine.times import local

router = APIRouter()


@router.get("/reports")
def report_page(given: Given[arguments.ReportPageArguments], page: RecordPageOf) -> Response:
    """Page of the reports that a page.caller may have."""
    if given.site:
        visible_site(page.registry, page.scope, given.site)
    sites = page.sites
    today = local(page.instant, sites[0].zone if sites else "UTC").date()
    return page.render(
        "reports.html",
        sites=sites,
        subject=given.site,
        periods=periods(today, page.context.reporting),
        names={period.id: period for period in page.context.reporting.periods},
    )


def periods(today: date, reporting: Reporting) -> list[tuple[str, str]]:
    """Return kind and name of the periods that a day lies in, and of those before, the finished one first.

    Examples
    --------
    >>> from greenmine.reporting import load_reporting
    >>> periods(date(2026, 1, 2), load_reporting())[:4]
    [('day', '2026-01-01'), ('day', '2026-01-02'), ('week', '2025-W52'), ('week', '2026-W01')]
    """
    found = []
    for day, kind in ((today - timedelta(days=1), "day"), (today, "day")):
        found.append((kind, f"{day}"))
    for day in (today - timedelta(days=7), today):
        year, week, _ = day.isocalendar()
        found.append(("week", f"{year}-W{week:02d}"))
    first = today.replace(day=1)
    found += [("month", f"{day:%Y-%m}") for day in (first - timedelta(days=1), first)]
    quarter = first.replace(month=3 * ((first.month - 1) // 3) + 1)
    found += [("quarter", f"{day.year}-Q{-(-day.month // 3)}") for day in (quarter - timedelta(days=1), quarter)]
    found += [("year", f"{year}") for year in (today.year - 1, today.year)]
    return found + [("half", period.name) for period in around(today, reporting)[:2]]
