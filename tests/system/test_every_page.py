"""Every page of the server in a real browser: no error, every chart drawn, nothing sticks out, nothing that axe finds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import insert, select

from greenmine.loading import load_registry
from greenmine.notify.store import Notices
from greenmine.notify.targets import WeCom
from greenmine.record import schema
from greenmine.registry import DEFAULT
from greenmine.settings import Settings
from greenmine.times import local
from tests.api.filling import LOUD, add_bundle, fill
from tests.api.operations import operations
from tests.api.serving import serving
from tests.api.signing import accounts_in, ensure_user, now
from tests.system.browsing import chromium, faults_of, needs_chromium

pytestmark = needs_chromium

AXE = Axe()
DESK, PHONE, PAPER = 1440, 390, 794
"""Widths: of a screen, a phone, and a sheet of A4 [px]."""
SIGNED_OUT = {"/sign-in", "/public", f"/public/{LOUD}", "/shared"}
VISITS = {
    "/": "/",
    "/account": "/account",
    "/audit": "/audit",
    "/bundles/{number}": "/bundles/1",
    "/comparison": "/comparison",
    "/evidence": "/evidence",
    "/exceedances": "/exceedances",
    "/exceedances/{number}": "/exceedances/9",
    "/explanation": "/explanation?{verdict}",
    "/notifications": "/notifications?kind=dingtalk",
    "/notifications/{number}": "/notifications/1",
    "/public": "/public",
    "/public/{site}": f"/public/{LOUD}",
    "/registry": "/registry",
    "/registry/file": f"/registry/file?name=sites/{LOUD}.toml",
    "/reports": "/reports",
    "/shared": "/shared",
    "/sign-in": "/sign-in",
    "/sites/{site}": f"/sites/{LOUD}",
    "/sites/{site}/assessment": f"/sites/{LOUD}/assessment",
    "/sites/{site}/downloads": f"/sites/{LOUD}/downloads",
    "/sites/{site}/file": f"/sites/{LOUD}/file",
    "/sites/{site}/evidence": f"/sites/{LOUD}/evidence",
    "/sites/{site}/exceedances": f"/sites/{LOUD}/exceedances",
    "/sites/{site}/quality": f"/sites/{LOUD}/quality",
    "/sites/{site}/stations/{station}": f"/sites/{LOUD}/stations/boundary?days=1",
    "/sites/{site}/stations/{station}/upload": f"/sites/{LOUD}/stations/boundary/upload",
    "/users": "/users",
    "/wall": "/wall",
}
"""Pages by the path of their route, and the address at which each is visited."""
NO_PAGES = {
    "/explanation/chart",
    "/sign-in/oidc",
    "/sign-in/oidc/callback",
    "/sites/{site}/charts/{parameter}",
    "/sites/{site}/download",
    "/sites/{site}/stations/{station}/charts/{parameter}",
    "/static/vega.js",
}
"""What pages fetch, and what leads elsewhere."""


class Server(NamedTuple):
    context: BrowserContext
    """An administrator is signed in."""
    address: str
    verdict: str
    """Query that names a verdict of the past days."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A filled record behind a server, with a bundle, a mark, a subscription with a message and a public mine."""
    data = tmp_path_factory.mktemp("visited")
    shutil.copytree(DEFAULT, data / "registry")
    settings = Settings(data=data)
    registry = load_registry(settings.registry)
    engine = fill(settings.record_place, registry, now())
    add_bundle(engine, settings.data, LOUD)
    mark = {
        "site": LOUD, "station": "boundary", "parameter": None, "kind": "maintenance", "reason": "inlet cleaned",
        "author": "li", "start": now() - 7_200_000, "end": now() - 3_600_000, "made": now(),
    }  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(schema.mark).values(mark))
        connection.execute(insert(schema.sequence_gap).values(site=LOUD, device="dust-1", first=3, last=5))
        verdict = connection.execute(select(schema.verdict).where(schema.verdict.c.rule.like(f"{LOUD}/%tsp%"))).first()
    engine.dispose()
    assert verdict is not None
    notices = Notices(settings)
    subscription = notices.subscriptions.add(
        None, "值班群", WeCom("key-of-the-robot"), now(), events=["station-silent"], author="boss"
    )
    notices.outbox.test(subscription, registry, now())
    notices.close()
    with accounts_in(settings.data) as accounts:
        user = ensure_user(accounts, "boss", "administrator")
        cookie = accounts.sessions.begin(user, now(), address="127.0.0.1", agent="test")
        accounts.publications.switch(LOUD, now(), public=True)
    start = local(verdict.start, registry.site(LOUD).zone).isoformat()
    with serving(settings.data, registry) as address, chromium() as browser:
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="zh-CN")
        context.add_cookies([{"name": "greenmine", "value": cookie, "url": address}])
        yield Server(context, address, urlencode({"rule": verdict.rule, "start": start}))


@pytest.fixture(scope="module")
def stranger(server: Server) -> BrowserContext:
    """Nobody is signed in."""
    assert server.context.browser is not None
    return server.context.browser.new_context(locale="zh-CN")


def test_every_page_is_visited() -> None:
    pages = {one.path for one in operations() if one.id == f"GET {one.path}"}
    assert pages == VISITS.keys() | NO_PAGES


@pytest.mark.parametrize("address", VISITS.values(), ids=VISITS)
def test_a_page_runs_fits_and_is_accessible_in_every_form(
    server: Server, stranger: BrowserContext, address: str
) -> None:
    """In both languages at a desk, on a phone and on paper, by day and by night; axe sees each language, width and scheme."""
    page = (stranger if address in SIGNED_OUT else server.context).new_page()
    faults = faults_of(page)
    place = server.address + address.format(verdict=server.verdict)
    for language, scheme, width in (("en", "dark", PHONE), ("zh", "light", DESK)):
        _show(page, width, color_scheme=scheme)
        answer = page.goto(f"{place}{'&' if '?' in place else '?'}lang={language}")
        assert answer is not None
        assert answer.status == 200
        assert "sign-in" not in page.url or address == "/sign-in"
        expect(page.locator("html")).to_have_attribute("lang", re.compile(f"^{language}"))
        expect(page.get_by_role("heading", level=1)).to_be_attached()
        for plot in page.locator(".plot").all():
            plot.scroll_into_view_if_needed()
            expect(plot.locator("svg, .empty").first).to_be_attached()
            expect(plot).not_to_have_attribute("aria-busy", "true")
        if page.locator("#live").count():
            expect(page.locator("#live")).to_have_attribute("data-state", "on")
        page.locator("details").evaluate_all("all => all.forEach(one => { one.open = true; })")
        found = AXE.run(page, options={"resultTypes": ["violations"]})
        assert found.violations_count == 0, (language, found.generate_report())
        for other in ("light", "dark"):
            for size in (DESK, PHONE):
                _show(page, size, color_scheme=other)
            _show(page, PAPER, color_scheme=other, media="print")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            assert max(page.evaluate("getComputedStyle(document.body).color.match(/\\d+/g).map(Number)")[:3]) < 64
            page.emulate_media(media="screen")
    page.close()
    assert faults == []


def test_the_page_of_an_error_fits_and_is_accessible(server: Server) -> None:
    page = server.context.new_page()
    page.goto(f"{server.address}/sites/nowhere?lang=en")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    for width, scheme in ((DESK, "light"), (PHONE, "dark")):
        _show(page, width, color_scheme=scheme)
        assert AXE.run(page).violations_count == 0
    page.close()


def _show(page: Page, width: int, **media: Any) -> None:
    """Give a page a width and a medium, in which nothing may stick out; the layout follows in its own time."""
    page.emulate_media(**media)
    page.set_viewport_size({"width": width, "height": 900})
    page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
