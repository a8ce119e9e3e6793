"""Reports that are filed, sent when they are due: of the day, week, month, quarter and year that ended last."""

from __future__ import annotations

from datetime import date, timedelta
from email.message import EmailMessage
from typing import Final

from greenmine.entries import ALL_SITES
from greenmine.notify.event import REPORTS, Event, EventKind
from greenmine.notify.events import Notified
from greenmine.notify.subscriptions import Language
from greenmine.record.access import RecordAccess
from greenmine.record.reader import Scope
from greenmine.registry import Registry
from greenmine.reporting import Reporting, parse_period
from greenmine.times import local

_HOUR: Final = 3_600_000
_OFFICE: Final = "vnd.openxmlformats-officedocument"


def ended(today: date) -> dict[EventKind, str]:
    """Name the period of each kind that ended last before a day.

    Examples
    --------
    >>> list(ended(date(2027, 1, 4)).values())
    ['2027-01-03', '2026-W53', '2026-12', '2026-Q4', '2026']
    """
    yesterday, week = today - timedelta(days=1), (today - timedelta(days=today.weekday() + 7)).isocalendar()
    month = today.replace(day=1) - timedelta(days=1)
    quarter = today.replace(month=(today.month - 1) // 3 * 3 + 1, day=1) - timedelta(days=1)
    names = (
        f"{yesterday}",
        f"{week.year}-W{week.week:02}",
        f"{month:%Y-%m}",
        f"{quarter.year}-Q{quarter.month // 3}",
        f"{today.year - 1}",
    )
    return dict(zip(REPORTS, names, strict=True))


def due(registry: Registry, hour: int, now: int, notified: Notified) -> tuple[list[Event], dict[str, str]]:
    """Reports that have become due, of each mine and of the district, and the states that are told with them.

    Parameters
    ----------
    registry : Registry
        The mines.
    hour : int
        Of the day after the period's last, on the clock of the mine, from which on a report is due.
    now : int
        The instant [ms UTC].
    notified : callable
        States that have been told. What has none yet begins with the period that ended last, and that is not told.
    """
    if not registry.sites:
        return [], {}
    events, states = [], {}
    zones = {site.id: site.zone for site in registry.sites} | {ALL_SITES: registry.sites[0].zone}
    names = {site: ended(local(now - hour * _HOUR, zone).date()) for site, zone in zones.items()}
    before = notified([f"{kind}/{site}" for site in names for kind in REPORTS])
    for site, periods in names.items():
        for kind, period in periods.items():
            subject = f"{kind}/{site}"
            if before.get(subject) == period:
                continue
            states[subject] = period
            if subject in before:
                href = "/reports" if site == ALL_SITES else f"/reports?site={site}"
                data = {"period": period, "href": href}
                events.append(Event(kind, site, f"{subject}/{period}", now, kind, newest=True, data=data))
    return events, states


def attach(
    mail: EmailMessage,
    event: Event,
    record: RecordAccess,
    registry: Registry,
    reporting: Reporting,
    language: Language,
    now: int,
) -> None:
    """Attach the report that an event tells of to a mail, as PDF and XLSX; as DOCX where there is no font for the PDF."""
    # What computes and lays out takes memory, which a notifier without such a mail need not have.
    from greenmine.evidence.filed.content import filed_report  # noqa: PLC0415
    from greenmine.evidence.filed.files import written  # noqa: PLC0415
    from greenmine.evidence.report.font import FontMissingError  # noqa: PLC0415

    district = event.site == ALL_SITES
    sites = registry.sites if district else (registry.site(event.site),)
    period = parse_period(event.data["period"], reporting)
    with record.queries() as queries:
        scope = Scope(frozenset(site.id for site in sites))
        report = filed_report(queries, scope, sites, period, reporting, language, now, district=district)
    name = f"{event.site}-{period.name}"
    try:
        mail.add_attachment(written(report, "pdf"), "application", "pdf", filename=f"{name}.pdf")
    except FontMissingError:
        mail.add_attachment(
            written(report, "docx"), "application", f"{_OFFICE}.wordprocessingml.document", filename=f"{name}.docx"
        )
    mail.add_attachment(
        written(report, "xlsx"), "application", f"{_OFFICE}.spreadsheetml.sheet", filename=f"{name}.xlsx"
    )
