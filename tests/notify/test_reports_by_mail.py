"""Reports that are due go out by mail, each to whom it concerns."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from zipfile import ZipFile

import pytest

from greenmine.loading import load_registry
from greenmine.notify.event import REPORTS
from greenmine.notify.reports import due, ended
from greenmine.notify.store import Notices
from greenmine.notify.targets import Mail
from greenmine.times import local, now, parse_time
from tests.notify.notify_site import Mailbox, MailServer, Mine, notifying, settings_of, until

REGISTRY = load_registry()
MONDAY = "2027-01-04"


def at(clock: str) -> int:
    return parse_time(f"{MONDAY}T{clock}:00+08:00")


def test_a_report_is_due_from_its_hour_on_once_for_each_mine_and_the_district() -> None:
    told = {f"{kind}/{site}": "before" for kind in REPORTS for site in [*(s.id for s in REGISTRY.sites), "district"]}
    periods = dict(zip(REPORTS, ("2027-01-03", "2026-W53", "2026-12", "2026-Q4", "2026"), strict=True))
    events, states = due(REGISTRY, 8, at("08:00"), lambda _: told)
    assert {(event.site, event.kind, event.data["period"]) for event in events} == {
        (site, kind, periods[kind])
        for site in [*(s.id for s in REGISTRY.sites), "district"]
        for kind in REPORTS
    }  # fmt: skip
    assert due(REGISTRY, 8, at("23:00"), lambda _: states) == ([], {})
    early, _ = due(REGISTRY, 8, at("07:59"), lambda _: told)
    assert {event.data["period"] for event in early if event.kind in {"report-day", "report-week"}} == {
        "2027-01-02",
        "2026-W52",
    }


def test_nobody_is_sent_what_was_due_before_reports_were_looked_at() -> None:
    events, states = due(REGISTRY, 8, at("08:00"), lambda _: {})
    assert events == []
    assert states["report-month/kunyin"] == "2026-12"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Mine, Notices, Mailbox, dict[str, object]]]:
    mine, notices, box = Mine(tmp_path), Notices(settings_of(tmp_path)), Mailbox()
    server = MailServer(box, hostname="127.0.0.1", port=0)
    server.start()
    mail = {"smtp_host": "127.0.0.1", "smtp_port": server.port, "smtp_from": "mines@example.org", "smtp_tls": "none"}
    yield mine, notices, box, mail
    server.stop()
    notices.close()
    mine.engine.dispose()


def test_each_gets_the_reports_that_it_asked_for_of_its_own_mines(
    tmp_path: Path, place: tuple[Mine, Notices, Mailbox, dict[str, object]]
) -> None:
    mine, notices, box, mail = place
    asked = {
        "own": ("kunyin", ["report-day"], None),
        "other": ("jiuchi", ["report-month"], None),
        "all": (None, ["report-day"], None),
        "some": (None, ["report-day"], ["kunyin"]),
    }
    for name, (owner, events, sites) in asked.items():
        target = Mail([f"{name}@example.org"])
        notices.subscriptions.add(owner, name, target, now(), events=events, author="li", language="zh", sites=sites)
    sites = [*(site.id for site in mine.registry.sites), "district"]
    notices.outbox.begin(0, {f"report-day/{site}": "2026-01-01" for site in sites})
    with notifying(settings_of(tmp_path, **mail)):
        until(lambda: len(box.mails) == 3, "three mails")
    mails = {to[0].partition("@")[0]: mail for to, mail in box.mails}
    assert sorted(mails) == ["all", "own", "some"]
    (yesterday,) = {period for kind, period in ended(due_day(mine)).items() if kind == "report-day"}
    for name, site in (("own", "kunyin"), ("some", "kunyin"), ("all", "district")):
        pdf, xlsx = mails[name].iter_attachments()
        assert pdf.get_filename() == f"{site}-{yesterday}.pdf"
        assert pdf.get_content().startswith(b"%PDF-")
        assert xlsx.get_filename() == f"{site}-{yesterday}.xlsx"
        words = ZipFile(io.BytesIO(xlsx.get_content())).read("xl/sharedStrings.xml").decode()
        named = {s.id for s in mine.registry.sites if s.name_zh in words}
        assert named == ({s.id for s in mine.registry.sites} if site == "district" else {"kunyin"})
    assert mails["all"]["subject"] == "【监测日报】全区"
    assert "https://mines.example.org/reports?site=kunyin" in mails["own"].get_body().get_content()


def due_day(mine: Mine) -> date:
    return local(now() - 8 * 3_600_000, mine.registry.sites[0].zone).date()
