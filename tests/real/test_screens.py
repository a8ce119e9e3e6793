"""Every board in both languages in a browser: no panel with an error, no other host, and a picture of each to look at."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Request, Response, sync_playwright

from tests.influxing import PATIENCE
from tests.real.conftest import Installation, Provisioned
from tests.real.servers import ADMIN
from tests.system.browsing import CHROMIUM

WIDTH = 1440
_SHORT = 1000
"""Height of the window until that of the board is known [px]."""
_TALL = "Math.max(...[...document.querySelectorAll('body, main, html')].map((part) => part.scrollHeight))"
_DRAWN = """[...document.querySelectorAll('[data-testid="data-testid panel content"]')]
    .every((panel) => panel.innerText.trim() || panel.querySelector('canvas'))
    && !document.querySelector('[aria-label="Panel loading bar"]')"""
"""Whether each panel has its picture, its figures or its word for none, and none is being filled."""
_CALM = 3
"""Looks in a row, a second apart, at which all panels are drawn."""
_CUT = """() => {
    const beyond = (cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        const [text, room] = [range.getBoundingClientRect(), cell.getBoundingClientRect()];
        return text.left < room.left - 1 || text.right > room.right + 1;
    };
    const named = (part) => part.closest('section')?.getAttribute('data-testid') + ': ' + part.innerText.slice(0, 40);
    return [
        ...[...document.querySelectorAll('section h2')].filter((title) => title.scrollWidth > title.clientWidth + 1),
        ...[...document.querySelectorAll('[role=grid]')].filter((grid) => grid.scrollWidth > grid.clientWidth + 1),
        ...[...document.querySelectorAll('[role=gridcell]')].filter((cell) => cell.innerText.trim() && beyond(cell)),
    ].map(named);
}"""
"""Titles that are cut, tables whose columns are not all in sight, and cells whose figure or words are cut at a side."""
_BROKEN = "An unexpected error happened"
"""In the place of a panel that the browser cannot draw."""
BOARDS = ("overview", "wall", "mine", "dust", "noise", "water", "exceedances", "operation")


@pytest.fixture(scope="module")
def context(provisioned: Provisioned) -> Iterator[BrowserContext]:
    """A browser that is signed in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(base_url=provisioned.grafana.url, timezone_id="Asia/Shanghai")
        given = {"user": ADMIN, "password": provisioned.grafana.password}
        assert context.request.post("/login", data=given).ok
        yield context
        browser.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go."""
    named = os.environ.get("GREENMINE_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screens")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def draw(
    provisioned: Provisioned, installation: Installation, context: BrowserContext, pictures: Path
) -> Callable[..., None]:
    """Draw a board at its full height beside the menu, take its picture, and fail on what is wrong with it."""

    def drawn(uid: str, picture: str, more: str = "", org: int = 1) -> None:
        faults: list[str] = []

        def heed(answer: Response) -> None:
            if (answer.status >= 400 and "/api/ds/" in answer.url) or "/datasources/proxy/" in answer.url:
                faults.append(f"{answer.status} {answer.url}")

        def watch(request: Request) -> None:
            if not request.url.startswith((provisioned.grafana.url, "data:", "blob:")):
                faults.append(f"a request to another host: {request.url}")

        page = context.new_page()
        page.set_viewport_size({"width": WIDTH, "height": _SHORT})
        page.on("response", heed)
        page.on("request", watch)
        page.goto(f"/d/{uid}?orgId={org}&from={installation.start}&to={installation.end}{more}", timeout=120_000)
        page.get_by_test_id("data-testid panel content").first.wait_for(timeout=120_000)
        height = 0
        while (
            found := page.evaluate(_TALL)
        ) > height:  # panels are asked for when they come into sight, rows repeated then
            height = found
            page.set_viewport_size({"width": WIDTH, "height": height})
            page.wait_for_timeout(2_000)
            calm = 0
            until = time.monotonic() + PATIENCE
            while calm < _CALM:
                assert time.monotonic() < until, f"panels of {uid} are not drawn"
                page.wait_for_timeout(1_000)
                calm = calm + 1 if page.evaluate(_DRAWN) else 0
            page.wait_for_load_state("networkidle", timeout=120_000)
        page.wait_for_timeout(3_000)  # maps are drawn last
        page.screenshot(path=pictures / f"{picture}.png")
        bad = page.get_by_test_id("data-testid Panel status error").count() + page.get_by_text(_BROKEN).count()
        cut = page.evaluate(_CUT)
        page.close()
        assert faults == []
        assert cut == [] or uid.endswith("-en")  # the names of limits are longer in English than a column may be
        assert bad == 0

    return drawn


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_drawn_without_an_error(draw: Callable[..., None], name: str, language: str) -> None:
    uid = f"greenmine-{name}-{language}"
    draw(uid, uid, "&var-site=kunyin" if name == "mine" else "")


def test_levels_of_a_mine_that_exceeds_at_law_are_drawn(draw: Callable[..., None]) -> None:
    draw("greenmine-noise-zh", "kunyin-exceeds-noise-zh", "&var-site=kunyin&var-station=boundary")


@pytest.mark.parametrize("name", ["overview", "dust"])
def test_a_board_is_drawn_in_the_light_theme(draw: Callable[..., None], name: str) -> None:
    draw(f"greenmine-{name}-zh", f"greenmine-{name}-zh-light", "&theme=light")


@pytest.mark.parametrize("name", ["mine", "exceedances"])
def test_a_board_is_drawn_in_the_organisation_of_an_enterprise(
    draw: Callable[..., None], provisioned: Provisioned, name: str
) -> None:
    org = provisioned.grafana.organisations()["kunyin"]
    draw(f"greenmine-{name}-zh", f"kunyin-{name}-zh", org=org)
