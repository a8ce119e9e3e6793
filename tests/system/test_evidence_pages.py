"""The pages of evidence in a real browser: a bundle is built, shared and verified, and an item assessed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from greenmine.cli.builder import build_bundles
from greenmine.evidence.verify import verify
from greenmine.loading import load_registry
from greenmine.settings import Settings
from tests.api.filling import fill
from tests.api.serving import serving
from tests.api.signing import accounts_in, ensure_user, now
from tests.system.browsing import Clicks, chromium, faults_of, needs_chromium
from tests.system.running import PATIENCE

pytestmark = needs_chromium
SITE = "jiuchi"


class Bureau(NamedTuple):
    context: BrowserContext
    address: str
    settings: Settings


@pytest.fixture(scope="module")
def bureau(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bureau]:
    """A filled record, a server, and a browser in which an administrator is signed in."""
    settings = Settings(data=tmp_path_factory.mktemp("bureau"))
    registry = load_registry()
    engine = fill(settings.record_place, registry, time.time_ns() // 1_000_000)
    engine.dispose()
    with accounts_in(settings.data) as accounts:
        user = ensure_user(accounts, "boss", "administrator")
        cookie = accounts.sessions.begin(user, now(), address="127.0.0.1", agent="test")
    with serving(settings.data, registry) as address, chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", accept_downloads=True)
        context.add_cookies([{"name": "greenmine", "value": cookie, "url": address}])
        yield Bureau(context, address, settings)


@pytest.fixture
def page(bureau: Bureau) -> Iterator[Page]:
    """A page on which nothing may go wrong in silence."""
    page = bureau.context.new_page()
    faults = faults_of(page)
    yield page
    page.close()
    assert faults == []


def test_a_bundle_is_built_shared_and_verified(page: Page, bureau: Bureau, capsys: pytest.CaptureFixture[str]) -> None:
    day = time.strftime("%Y-%m-%d", time.gmtime())
    owner = Clicks(page)
    page.goto(f"{bureau.address}/?lang=en")
    owner.click(page.locator(f"#name-{SITE} a"))
    owner.click(page.locator(".tabs").get_by_role("link", name="Evidence"))
    page.locator("input[name='first']").fill(day)
    page.locator("input[name='last']").fill(day)
    owner.click(page.locator("form.fields button"))
    row = page.locator(".bundles tbody tr").first
    expect(row).to_contain_text("waiting for its turn")
    stop = threading.Event()
    builder = threading.Thread(target=build_bundles, args=(bureau.settings, stop))
    builder.start()
    try:
        expect(row).to_contain_text("✓ done", timeout=PATIENCE * 1000)
    finally:
        stop.set()
        builder.join()
    owner.click(row.locator("th a"))
    page.get_by_label("For whom").fill("evaluation centre")
    owner.click(page.get_by_role("button", name="Share"))
    link = page.locator("code.secret").first.text_content()
    assert link is not None

    assert bureau.context.browser is not None
    outside = bureau.context.browser.new_context(accept_downloads=True, locale="en-GB")
    evaluator = Clicks(outside.new_page())
    evaluator.page.goto(link)
    expect(evaluator.page.locator("h1")).to_have_text("Evidence bundle")
    expect(evaluator.page.locator(".pairs")).to_contain_text(f"{day} to {day}")
    assert "#" not in evaluator.page.url
    with evaluator.page.expect_download() as download:
        evaluator.click(evaluator.page.get_by_role("button", name="Download the bundle"))
    assert download.value.suggested_filename == f"{SITE}-{day}-to-{day}.zip"
    assert verify(Path(download.value.path())).findings == []
    with capsys.disabled():
        print(f"\nA bundle built and shared: {owner.clicks} clicks, fetched to be verified: {evaluator.clicks}")  # noqa: T201 - what the issue asks for
    assert owner.clicks <= 5
    assert evaluator.clicks <= 1
    outside.close()


def test_an_item_is_assessed_with_a_document(page: Page, bureau: Bureau, tmp_path: Path) -> None:
    page.goto(f"{bureau.address}/sites/{SITE}/assessment?lang=en")
    card = page.locator(".checklist .panel").nth(2)
    card.locator("summary", has_text="Assess").click()
    card.get_by_label("State").select_option("underway")
    card.get_by_label("Note").fill("third <sprayer> ordered")
    card.get_by_role("button", name="Save").click()
    expect(card.locator(".told")).to_have_text("Saved.")
    expect(card.locator(".standing")).to_contain_text("under way")
    expect(card.locator(".said").first).to_have_text("third <sprayer> ordered")
    document = tmp_path / "order.pdf"
    document.write_bytes(b"%PDF-1.7 order")
    card.locator("input[type='file']").set_input_files(document)
    card.get_by_role("button", name="Attach").click()
    with page.expect_download() as download:
        card.get_by_role("link", name="order.pdf").click()
    assert Path(download.value.path()).read_bytes() == document.read_bytes()
    expect(page.locator("#part-counts")).to_contain_text("under way 1")
