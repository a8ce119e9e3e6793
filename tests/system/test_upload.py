"""An enterprise hands in its loggers' files: in a real browser, with a server and a worker's desk."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import Engine, func, select

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.uploads import UploadDesk
from greenmine.record.writer import Pipeline
from tests.api.serving import serving
from tests.api.signing import accounts_in, bearer, ensure_user, now
from tests.records import record_in
from tests.system.browsing import chromium, faults_of, needs_chromium

pytestmark = needs_chromium
SITE = "kunyin"
START = datetime(2025, 3, 1)  # noqa: DTZ001  on the mine's clock
DAYS = 30


class Mine(NamedTuple):
    context: BrowserContext
    address: str
    engine: Engine
    data: Path
    token: str
    stranger: str


def degrees(i: int) -> float:
    """Temperature of the i-th quarter of an hour [degC]."""
    return round(12 + 4 * math.sin(i / 40) + i % 4, 1)


def dust(i: int) -> int:
    """PM10 of the i-th five minutes [ug/m3]."""
    return 40 + i % 12 + i // 288


def hobo() -> str:
    """A month of a HOBO that does not say its unit, and writes Fahrenheit."""
    lines = ['"Plot Title: Outfall"', '"#","Date Time, GMT+08:00","Temp (LGR S/N: 20111111, SEN S/N: 20111111)"']
    for i in range(DAYS * 96):
        moment = START + timedelta(minutes=15 * i)
        lines.append(f"{i + 1},{moment:%m/%d/%y %I:%M:%S %p},{degrees(i) * 9 / 5 + 32:.2f}")
    return "\n".join(lines) + "\n"


def dusttrak() -> str:
    """A month of a DustTrak with milligrams; its clock counts seconds since a start."""
    lines = [
        "Instrument Name,DustTrak II", "Model Number,8530", f"Test Start Time,{START:%H:%M:%S}",
        f"Test Start Date,{START:%d/%m/%Y}",
        "Date Format,DD/MM/YYYY", "Test Interval [M:S],5:00", "", "Elapsed Time [s],Mass [mg/m3],Alarms,Errors",
    ]  # fmt: skip
    lines += [f"{300 * i},{dust(i) / 1000:.3f},," for i in range(DAYS * 288)]
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mine]:
    """An empty record, a server, a desk that takes in what is handed in, and an enterprise's browser."""
    data = tmp_path_factory.mktemp("mine")
    registry = load_registry()
    engine = open_engine(record_in(data))
    migrate(engine)
    pipeline = Pipeline(registry, Record(engine, registry))
    desk, end = UploadDesk(pipeline, data / "uploads"), threading.Event()

    def work() -> None:
        while not end.wait(0.1):
            while desk.carry_on(now()):
                pass
            pipeline.wait(now() + 3_600_000)

    worker = threading.Thread(target=work)
    worker.start()
    enterprise, other = (registry.site(site).enterprise for site in (SITE, "hengjie"))
    with accounts_in(data) as accounts:
        user = ensure_user(accounts, "kunyin-li", "enterprise", enterprise)
        stranger = ensure_user(accounts, "hengjie-wang", "enterprise", other)
        cookie = accounts.sessions.begin(user, now(), address="127.0.0.1", agent="test")
        tokens = [bearer(accounts.tokens.add(who, "t", now(), days=1, write=True)) for who in (user, stranger)]
    try:
        with serving(data, registry) as address, chromium() as browser:
            context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
            context.add_cookies([{"name": "greenmine", "value": cookie, "url": address}])
            yield Mine(context, address, engine, data, *(token["Authorization"] for token in tokens))
    finally:
        end.set()
        worker.join()
        engine.dispose()


@pytest.fixture
def page(mine: Mine) -> Iterator[Page]:
    page = mine.context.new_page()
    faults = faults_of(page)
    yield page
    page.close()
    assert [fault for fault in faults if "status of 400" not in fault] == []


def stored(mine: Mine) -> int:
    with mine.engine.connect() as connection:
        return connection.scalar(select(func.sum(schema.reading_block.c.count))) or 0


def choose(page: Page, mine: Mine, station: str, file: Path) -> None:
    page.goto(f"{mine.address}/sites/{SITE}/stations/{station}?lang=en")
    page.get_by_role("link", name="Hand in a file").click()
    page.locator("input[type='file']").set_input_files(file)


def test_a_month_of_a_hobo_is_corrected_stored_and_shown(page: Page, mine: Mine, tmp_path: Path) -> None:
    file = tmp_path / "hobo.csv"
    file.write_text(hobo(), encoding="utf-8")
    before = stored(mine)
    choose(page, mine, "outfall", file)
    store = page.get_by_role("button", name="Store")
    expect(store).to_be_disabled()
    page.get_by_role("button", name="Show what it becomes").click()
    told = page.locator(".told")
    row = page.locator(".preview tbody tr")
    expect(told).to_contain_text("states no unit", timeout=20_000)
    expect(told).to_contain_text("unusual in degC, but usual in degF")
    expect(store).to_be_disabled()
    page.get_by_label("Water temperature: Unit").fill("degF")
    page.get_by_role("button", name="Show what it becomes").click()
    expect(row).to_contain_text("degF → °C")
    expect(row).to_contain_text(f"2025-03-01 00:00:00  {degrees(0):g}")
    expect(page.locator("[data-fact='stamp-zone']")).to_have_text("+08:00")
    assert stored(mine) == before, "a preview stores nothing"
    store.click()
    expect(told).to_contain_text(f"Done: {DAYS * 96} stored", timeout=60_000)
    with mine.engine.connect() as connection:
        marks = {name for (name,) in connection.execute(select(schema.reading_block.c.device).distinct())}
    assert any(mark.startswith("upload/") for mark in marks)

    page.goto(f"{mine.address}/sites/{SITE}/stations/outfall?from=2025-03-05&to=2025-03-05&lang=en")
    hour = [degrees(4 * 96 + 4 * 22 + i) for i in range(4)]
    row = page.locator("[data-rows='water-temperature'] tr").nth(1)
    expect(row).to_contain_text("22:00–23:00")
    expect(row.locator("td").first).to_have_text(f"{sum(hour) / 4:.1f}")


def test_a_month_of_a_dusttrak_is_stored_once_and_never_overwritten(page: Page, mine: Mine, tmp_path: Path) -> None:
    file = tmp_path / "dusttrak.csv"
    file.write_text(dusttrak(), encoding="utf-8")
    choose(page, mine, "receptor", file)
    page.get_by_role("button", name="Show what it becomes").click()
    expect(page.locator(".told")).to_contain_text("'Mass [mg/m3]' may be any of pm10, pm2.5", timeout=20_000)
    page.get_by_label("PM10: Column").fill("Mass [mg/m3]")
    page.get_by_role("button", name="Show what it becomes").click()
    row = page.locator(".preview tbody tr")
    expect(row).to_contain_text("mg/m3 →", timeout=20_000)
    expect(row).to_contain_text(f"{dust(0)}")
    store, told = page.get_by_role("button", name="Store"), page.locator(".told")
    store.click()
    expect(told).to_contain_text(f"Done: {DAYS * 288} stored", timeout=60_000)
    before = stored(mine)

    changed = tmp_path / "again.csv"
    changed.write_text(dusttrak().replace("\n0,0.040,", "\n0,0.140,"), encoding="utf-8")
    page.reload()
    page.locator("input[type='file']").set_input_files(changed)
    page.get_by_text("Correct unit, column or time").click()
    page.get_by_label("PM10: Column").fill("Mass [mg/m3]")
    page.get_by_role("button", name="Show what it becomes").click()
    expect(page.locator("[data-fact='already']")).to_contain_text("1 with another value", timeout=20_000)
    store.click()
    expect(told).to_contain_text("Done: 0 stored", timeout=60_000)
    assert stored(mine) == before
    page.goto(f"{mine.address}/sites/{SITE}/stations/receptor?from=2025-03-02&to=2025-03-02&lang=en")
    row = page.locator("[data-rows='pm10'] tr").first
    expect(row).to_contain_text("23:00–24:00")
    expect(row.locator("td").nth(1)).to_have_text(f"{dust(288 + 276)}.0")
    expect(row.locator("td").nth(2)).to_have_text(f"{dust(288 + 287)}.0")


@pytest.mark.parametrize(
    "content",
    [
        b"nothing",
        b"",
        b"PK\x03\x04damaged",
        b"time,PM10\n2025-03-01 01:00,1\n2025-03-01 02:00,x\n2025-03-01 03:00,y\n",
        b"\x1f\x8b\x08",
    ],
    ids=["no table", "empty", "damaged zip", "words", "cut gzip"],
)
def test_a_wrong_file_changes_nothing(mine: Mine, content: bytes) -> None:
    before, kept = stored(mine), len(list((mine.data / "uploads").glob("*")))
    given = {"site": SITE, "station": "receptor", "name": "wrong.csv"}
    for path in ("/api/v1/uploads/preview", "/api/v1/uploads"):
        answer = httpx.post(
            mine.address + path, params=given, content=content, headers={"Authorization": mine.token}, timeout=30
        )
        assert answer.status_code == 400, answer.text
        assert answer.json()["detail"].startswith("wrong.csv: ")
    assert stored(mine) == before
    assert len(list((mine.data / "uploads").glob("*"))) == kept


def test_nobody_hands_in_files_at_anothers_mine_and_the_size_is_bounded(mine: Mine) -> None:
    given = {"site": SITE, "station": "receptor", "name": "log.csv"}
    stranger = httpx.post(
        f"{mine.address}/api/v1/uploads", params=given, content=b"x", headers={"Authorization": mine.stranger}
    )
    assert stranger.status_code == 404
    headers = {"Authorization": mine.token}
    large = httpx.post(
        f"{mine.address}/api/v1/uploads", params=given, content=bytes(20_000_001), headers=headers, timeout=30
    )
    assert large.status_code == 413


def test_what_was_handed_in_is_in_the_audit_log(mine: Mine) -> None:
    rows = "".join(f"2025-02-01 0{hour}:00,{hour + 20}\n" for hour in range(8))
    headers, given = {"Authorization": mine.token}, {"site": SITE, "station": "boundary", "name": "noise.csv"}
    answer = httpx.post(
        f"{mine.address}/api/v1/uploads",
        params=given,
        content=f"time,LAeq\n{rows}".encode(),
        headers=headers,
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    number = answer.json()["id"]
    deadline = time.monotonic() + 60
    while (item := httpx.get(f"{mine.address}/api/v1/uploads/{number}", headers=headers).json())["state"] == "waiting":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (item["state"], item["stored"], item["device"]) == ("done", 8, f"upload/{number}")
    log = httpx.get(f"{mine.address}/api/v1/audit", params={"action": "upload"}, headers=headers).json()
    assert json.dumps(log).count(item["digest"]) == 1
