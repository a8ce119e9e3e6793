"""Every page of the demo in a real browser: five mines with a week of readings, live, in both languages."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import httpx
import numpy as np
from playwright.sync_api import BrowserContext, sync_playwright

from bench.pictures import CHROMIUM, LANGUAGES, SIZE, Demo, running
from bench.table import Row
from greenmine.cli.visitors import TOKEN
from tests.api.filling import LOUD
from tests.api.signing import accounts_in, now
from tests.influxing import until
from tests.system.test_every_page import SIGNED_OUT, VISITS

DAYS: Final = 7
PAGE_AT_MOST: Final = 1.0
"""From asking for a page until it is loaded and the charts in sight are drawn [s]."""
ROUNDS: Final = 3
_DRAWN: Final = """() => [...document.querySelectorAll(".plot")].every((plot) => {
  const { top, bottom } = plot.getBoundingClientRect();
  return top > innerHeight || bottom < 0 || (plot.querySelector("svg, .empty") && plot.ariaBusy !== "true");
})"""


def measure() -> Iterable[Row]:
    """Rows of the table."""
    with running(DAYS) as demo, sync_playwright() as playwright:
        visits = _visits(demo)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for language, locale in LANGUAGES.items():
            known, stranger = (browser.new_context(viewport=SIZE, locale=locale) for _ in range(2))
            demo.sign_in(known.new_page())
            times = {
                path: [_visit(stranger if path in SIGNED_OUT else known, demo, path) for _ in range(ROUNDS)]
                for path in visits
            }
            slowest = max(times, key=lambda path: max(times[path]))
            worst, median = max(times[slowest]), float(np.median([one for each in times.values() for one in each]))
            yield Row(
                "demo", f"{len(times)} pages of five mines and a week, {language}, {ROUNDS} visits each; slowest {slowest}",
                f"median {median:.2f} s, worst {worst:.2f} s", f"{PAGE_AT_MOST:.0f} s", worst / PAGE_AT_MOST, "<=", 1.0,
            )  # fmt: skip
        browser.close()


def _visits(demo: Demo) -> list[str]:
    """Addresses of all pages, with an exceedance, a verdict, a bundle, a subscription and a public mine to be seen."""
    headers = {"Authorization": f"Bearer {(demo.data / TOKEN).read_text().strip()}"}
    wanted = {"name": "bench", "target": {"kind": "mqtt"}, "events": ["station-silent"]}
    made = httpx.post(
        f"{demo.address}/api/v1/subscriptions", headers=headers, json=wanted, timeout=60
    ).raise_for_status()
    with accounts_in(demo.data) as accounts:
        accounts.publications.switch(LOUD, now(), public=True)
    until(lambda: [one for one in demo.items("bundles") if one["state"] == "done"], "the demo's bundle", 300)
    verdict = demo.items(f"verdicts?site={LOUD}")[0]
    visits = VISITS | {
        "/exceedances/{number}": f"/exceedances/{demo.items('exceedances')[0]['id']}",
        "/notifications/{number}": f"/notifications/{made.json()['subscription']['id']}",
        "/explanation": str(httpx.URL("/explanation", params={"rule": verdict["rule"], "start": verdict["start"]})),
    }
    return list(visits.values())


def _visit(context: BrowserContext, demo: Demo, path: str) -> float:
    """Time that a page takes [s]."""
    page = context.new_page()
    begun = time.perf_counter()
    answer = page.goto(f"{demo.address}{path}")
    page.wait_for_function(_DRAWN)
    took = time.perf_counter() - begun
    assert answer is not None
    assert answer.status == 200, path
    page.close()
    return took
