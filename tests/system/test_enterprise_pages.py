"""The pages on which an enterprise works: station, exceedances, data quality, downloads; in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import Engine, select

from greenmine.loading import load_registry
from greenmine.record import schema
from tests.api.filling import LOUD, fill
from tests.api.serving import serving
from tests.api.signing import accounts_in, ensure_user, now
from tests.records import record_in
from tests.system.browsing import chromium, faults_of, needs_chromium

pytestmark = needs_chromium


class Office(NamedTuple):
    context: BrowserContext
    address: str
    engine: Engine


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A filled record, a server, and a browser in which an administrator is signed in."""
    data = tmp_path_factory.mktemp("office")
    registry = load_registry()
    engine = fill(record_in(data), registry, time.time_ns() // 1_000_000, days=2)
    with accounts_in(data) as accounts:
        user = ensure_user(accounts, "boss", "administrator")
        cookie = accounts.sessions.begin(user, now(), address="127.0.0.1", agent="test")
    with serving(data, registry) as address, chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", accept_downloads=True)
        context.add_cookies([{"name": "greenmine", "value": cookie, "url": address}])
        yield Office(context, address, engine)
    engine.dispose()


@pytest.fixture
def page(office: Office) -> Iterator[Page]:
    """A page on which nothing may go wrong in silence."""
    page = office.context.new_page()
    faults = faults_of(page)
    yield page
    page.close()
    assert faults == []


def test_a_station_is_zoomed_into_and_its_table_follows(page: Page, office: Office) -> None:
    page.goto(f"{office.address}/sites/{LOUD}/stations/boundary?days=365&lang=en")
    plots = page.locator(".plot svg")
    expect(plots).to_have_count(page.locator("[data-parameter].plot").count(), timeout=30_000)
    shown = page.locator(".shown")
    before = shown.text_content()
    for _ in range(6):
        page.get_by_role("button", name="Zoom in").click()
    expect(shown).not_to_have_text(before or "")
    page.get_by_role("button", name="Whole period").click()
    expect(shown).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d – \d{4}"))
    page.get_by_role("link", name="7 days").click()
    rows = page.locator("[data-rows='tsp'] tr")
    expect(plots.first).to_be_visible(timeout=20_000)
    week = rows.count()
    assert week > 40
    box = plots.first.bounding_box()
    assert box is not None
    with page.expect_response(lambda answer: "/charts/tsp" in answer.url) as finer:
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
        page.keyboard.down("Control")
        page.mouse.wheel(0, -600)
        page.keyboard.up("Control")
    assert finer.value.status == 200
    expect(rows).not_to_have_count(week)
    assert 0 < rows.count() < week


def test_an_exceedance_is_acknowledged_and_handled(page: Page, office: Office, tmp_path: Path) -> None:
    page.goto(f"{office.address}/sites/{LOUD}/exceedances?lang=en")
    page.get_by_label("only those not acknowledged").check()
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("todo=true"))
    rows = page.locator(".events tbody tr")
    waiting = rows.count()
    rows.first.get_by_role("link").click()
    expect(page).to_have_url(re.compile(r"/exceedances/\d+$"))
    expect(page.locator(".plot svg")).to_be_visible(timeout=20_000)

    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".told")).to_have_text("Saved.")
    expect(page.locator(".timeline li.acknowledged")).to_contain_text("by boss")
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    page.get_by_label("Say the cause").fill("dry road <b>\n'quoted'")
    page.locator("form[data-kind='cause'] button").click()
    expect(page.locator("#part-facts")).to_contain_text("dry road <b>")
    picture = tmp_path / "road.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64))
    page.locator("input[type='file']").set_input_files(picture)
    page.get_by_role("button", name="Attach").click()
    link = page.get_by_role("link", name="road.png")
    with page.expect_download() as download:
        link.click()
    assert download.value.suggested_filename == "road.png"
    assert Path(download.value.path()).read_bytes() == picture.read_bytes()

    page.goto(f"{office.address}/sites/{LOUD}/exceedances?todo=true")
    expect(rows).to_have_count(waiting - 1)


def test_a_mark_is_asked_for(page: Page, office: Office) -> None:
    page.goto(f"{office.address}/sites/{LOUD}/quality?lang=en")
    page.get_by_label("Where").select_option("receptor/pm10")
    expect(page.get_by_label("Kind").locator("option[value=weather]")).to_be_disabled()
    page.get_by_label("Kind").select_option("calibration")
    page.get_by_label("Beginning").fill("2026-11-22T10:00")
    page.get_by_label("End", exact=True).fill("2026-11-22T11:30")
    page.get_by_label("Reason").fill("calibrator on")
    page.get_by_role("button", name="Make the mark").click()
    expect(page.locator(".asked")).to_contain_text("waiting for the worker")
    with office.engine.begin() as connection:
        row = connection.execute(select(schema.mark_request)).one()
    assert (row.station, row.parameter, row.kind) == ("receptor", "pm10", "calibration")
    assert (row.reason, row.author) == ("calibrator on", "boss")
    assert row.end - row.start == 90 * 60_000
    assert row.start == 1_795_312_800_000, "the time is one of the mine's clock, whatever the browser's"


def test_a_file_is_downloaded_without_scripts(office: Office) -> None:
    assert office.context.browser is not None
    context = office.context.browser.new_context(
        java_script_enabled=False, storage_state=office.context.storage_state(), accept_downloads=True
    )
    page = context.new_page()
    page.goto(f"{office.address}/sites/{LOUD}/downloads?lang=en")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download: Statistics").click()
    text = Path(download.value.path()).read_text("utf-8")
    assert text.startswith('"channel","window","start"')
    assert download.value.suggested_filename.endswith(".csv")
    page.goto(f"{office.address}/sites/{LOUD}/stations/boundary?lang=en")
    expect(page.locator("[data-rows='tsp'] tr").first).to_be_visible()
    context.close()
