"""Whole visits of an enterprise, at a desk and on a phone, in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Route, expect

from greenmine.loading import load_registry
from tests.api.filling import LOUD, fill
from tests.api.serving import serving
from tests.api.signing import PASSWORD, accounts_in, ensure_user, now
from tests.records import record_in
from tests.system.browsing import chromium, faults_of, needs_chromium

pytestmark = needs_chromium
DESK: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "color_scheme": "dark",
    "is_mobile": True,
    "has_touch": True,
    "device_scale_factor": 2,
}


class House(NamedTuple):
    browser: Browser
    address: str
    data: Path


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A filled record behind a server, accounts, and a browser."""
    data = tmp_path_factory.mktemp("visited")
    registry = load_registry()
    engine = fill(record_in(data), registry, time.time_ns() // 1_000_000)
    with accounts_in(data) as accounts:
        ensure_user(accounts, "zhang", "enterprise", LOUD, password=PASSWORD)
    with serving(data, registry) as address, chromium() as browser:
        yield House(browser, address, data)
    engine.dispose()


@pytest.mark.parametrize("device", [DESK, PHONE], ids=["desk", "phone"])
def test_an_enterprise_comes_looks_handles_takes_and_leaves(house: House, device: dict[str, Any]) -> None:
    context = house.browser.new_context(**device, locale="zh-CN", accept_downloads=True)
    page = context.new_page()
    faults = faults_of(page)

    page.goto(f"{house.address}/sites/{LOUD}/stations/boundary")
    page.get_by_label("用户名").fill("zhang")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    expect(page).to_have_url(f"{house.address}/sites/{LOUD}/stations/boundary")

    chart = page.locator(".plot svg").first
    expect(chart).to_be_visible(timeout=20_000)
    shown = page.locator(".shown")
    whole = shown.text_content() or ""
    page.get_by_role("button", name="放大").click()
    expect(shown).not_to_have_text(whole)
    expect(page.get_by_role("img", name=re.compile("TSP")).first).to_be_visible()
    page.emulate_media(media="print")
    cut = "tables => tables.filter(table => table.scrollHeight > table.clientHeight + 1).length"
    assert page.locator(".beside").evaluate_all(cut) == 0, "on paper a table is as long as it is"
    page.emulate_media(media="screen")

    page.goto(f"{house.address}/sites/{LOUD}/exceedances?todo=true")
    page.locator(".events tbody tr").first.get_by_role("link").click()
    page.get_by_role("button", name="确认").click()
    expect(page.locator(".timeline li.acknowledged")).to_contain_text("zhang")
    page.get_by_label("填写处理措施").fill("洒水降尘")
    page.locator("form[data-kind='handling'] button").click()
    expect(page.locator("#part-facts")).to_contain_text("洒水降尘")

    page.goto(f"{house.address}/sites/{LOUD}/downloads")
    with page.expect_download() as download:
        page.get_by_role("button", name="超标事件").click()
    assert "洒水降尘" in Path(download.value.path()).read_text("utf-8")

    page.get_by_role("link", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Downloads")
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(f"{house.address}/sign-in")
    page.goto(f"{house.address}/sites/{LOUD}")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert faults == []
    context.close()


def test_no_form_is_shown_before_it_is_heeded(house: House) -> None:
    with accounts_in(house.data) as accounts:
        user = accounts.users.named("zhang")
        assert user is not None
        cookie = accounts.sessions.begin(user, now(), address="127.0.0.1", agent="test")
    context = house.browser.new_context(locale="en-GB")
    context.add_cookies([{"name": "greenmine", "value": cookie, "url": house.address}])
    page = context.new_page()
    page.goto(f"{house.address}/sites/{LOUD}/exceedances")
    place = page.locator(".events tbody tr").last.get_by_role("link").get_attribute("href")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/static/forms.js*", hold)
    page.goto(f"{house.address}{place}", wait_until="commit")
    page.wait_for_timeout(500)
    assert page.locator("form[data-post]").count() == 0
    held[0].continue_()
    page.locator("form[data-kind='comment'] textarea").fill("seen from the road")
    page.locator("form[data-kind='comment'] button").click()
    expect(page.locator(".timeline")).to_contain_text("seen from the road")
    context.close()
