"""The pages in a real browser."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from greenmine.loading import load_registry
from tests.api.filling import LOUD, add_exceedance, add_reading, fill
from tests.api.serving import serving
from tests.api.signing import PASSWORD, accounts_in, bearer, ensure_user, token_for
from tests.records import record_in
from tests.system.browsing import chromium, faults_of, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page(viewport={"width": 1440, "height": 900}, locale="zh-CN")


def test_an_officer_watches_switches_language_and_opens_a_mine(page: Page, tmp_path: Path) -> None:
    registry = load_registry()
    now = time.time_ns() // 1_000_000
    engine = fill(record_in(tmp_path), registry, now)
    channel = next(channel for channel in registry.channels if channel.key == f"{LOUD}/boundary/tsp")
    rule = next(rule for rule in registry.rules if rule.site == LOUD)
    with accounts_in(tmp_path) as accounts:
        ensure_user(accounts, "inspector", "supervisor", password=PASSWORD)
    faults = faults_of(page)

    with serving(tmp_path, registry) as address:
        page.goto(address)
        expect(page).to_have_url(f"{address}/sign-in?next=%2F")
        page.get_by_label("用户名").fill("inspector")
        page.get_by_label("密码").fill(PASSWORD)
        page.get_by_role("button", name="登录").click()
        expect(page).to_have_url(f"{address}/")
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        expect(page.locator("article.card")).to_have_count(5)
        value = page.locator(f'.card [data-channel="{channel.key}"]')
        expect(value).not_to_have_text("777.7")

        add_reading(engine, channel, now + 1_000, 777.7)
        expect(value).to_have_text("777.7", timeout=5_000)

        shown = page.locator(".rail li.open")
        expect(shown).to_have_count(1)
        add_exceedance(engine, rule, now, now + 2_000)
        expect(shown).to_have_count(2, timeout=5_000)
        expect(page.locator("#announcer")).to_contain_text("2")

        page.get_by_role("link", name="English").click()
        expect(page.get_by_role("heading", name="Exceedances")).to_be_visible()
        page.locator("article.card").get_by_role("link", name=registry.site(LOUD).name_en).first.click()
        expect(page).to_have_url(re.compile(f"/sites/{LOUD}$"))
        expect(page.get_by_role("heading", level=1)).to_have_text(registry.site(LOUD).name_en)
        page.locator(".charts").last.scroll_into_view_if_needed()
        expect(page.locator(".plot svg").first).to_be_visible(timeout=20_000)
        week = page.locator("button[data-days='7']")
        week.click()
        expect(week).to_have_attribute("aria-pressed", "true")

        here = page.locator(f'[data-channel="{channel.key}"]').first
        for number, text in enumerate(("811.1", "822.2", "833.3")):
            add_reading(engine, channel, now + 2_000 + number, float(text))
            expect(here).to_have_text(text, timeout=5_000)

        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.locator("#live")).to_have_attribute("data-state", "on")
        assert faults == []

    expect(page.locator("#lost")).to_be_visible(timeout=15_000)
    engine.dispose()


class Filled(NamedTuple):
    mine: str
    headers: dict[str, str]


@pytest.fixture(scope="module")
def filled(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    data = tmp_path_factory.mktemp("filled")
    registry = load_registry()
    engine = fill(record_in(data), registry, time.time_ns() // 1_000_000)
    headers = bearer(token_for(data))
    page.set_extra_http_headers(headers)
    with serving(data, registry) as address:
        yield Filled(f"{address}/sites/{LOUD}?lang=en", headers)
    engine.dispose()


def test_every_chart_is_drawn_without_scrolling_and_prints_dark_on_white(page: Page, filled: Filled) -> None:
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="dark")
    page.goto(filled.mine)
    plots = page.locator(".plot").count()
    assert plots > 5
    expect(page.locator(".plot svg")).to_have_count(plots, timeout=30_000)
    line = page.locator(".plot svg [stroke='var(--series-1)']").first
    by_night = line.evaluate("element => getComputedStyle(element).stroke")
    page.emulate_media(media="print")
    assert line.evaluate("element => getComputedStyle(element).stroke") != by_night
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media(media="screen", color_scheme="light")


def test_the_span_of_the_statistics_is_chosen(page: Page, filled: Filled) -> None:
    page.goto(filled.mine)
    shown = page.locator(".rolling tbody:visible")
    expect(shown).to_have_count(1)
    expect(shown).to_have_attribute("data-span", "7d")
    page.get_by_role("button", name="Last 30 days").click()
    expect(shown).to_have_attribute("data-span", "30d")


def test_without_scripts_the_tables_hold_the_figures(page: Page, filled: Filled) -> None:
    assert page.context.browser is not None
    context = page.context.browser.new_context(java_script_enabled=False, extra_http_headers=filled.headers)
    plain = context.new_page()
    plain.goto(filled.mine)
    expect(plain.locator("noscript .banner")).to_be_visible()
    expect(plain.locator(".charts:visible")).to_have_count(0)
    expect(plain.locator(".rolling tbody:visible")).to_have_count(3)
    plain.locator("#hourly-laeq summary").click()
    rows = plain.locator("#hourly-laeq tbody tr")
    expect(rows).to_have_count(24)
    expect(rows.nth(2)).to_contain_text(re.compile(r"\d\d\.\d"))
    context.close()
