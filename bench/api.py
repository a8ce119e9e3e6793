"""The web server: answers beside the same bytes from a bare route, and a station's year on screen."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from playwright.sync_api import Error, sync_playwright

from bench.sites import write_registry
from bench.table import Row
from bench.web import HOUR, YEAR, Web, add_hours, add_readings, registry_of, serving, utc
from greenmine.record.record import Record, migrate, open_engine
from greenmine.registry import Registry

CHANNELS: Final = 100
"""A mine's worth; the first has a year of readings, one a minute, and their figures, the others the last hour."""
CHROMIUM: Final = "/usr/bin/chromium"
YEAR_AT_MOST: Final = 1.0
"""For a year on screen, and for the chart's part of it [s]."""
KEPT: Final = 0.6
"""Of the rate of the bare route, for a chart that is kept."""


def measure() -> Iterable[Row]:
    """Rows of the table."""
    end = time.time_ns() // 1_000_000 // HOUR * HOUR
    with TemporaryDirectory() as folder:
        data = Path(folder)
        write_registry(data / "registry", CHANNELS, interval="1min")
        registry = registry_of(data)
        _fill(data, registry, end)
        with serving(data) as web:
            yield from _year(web, registry, end)
            yield from _rates(web, registry, end)


def _year(web: Web, registry: Registry, end: int) -> Iterator[Row]:
    channel = registry.channels[0]
    page = f"/sites/{channel.site}/stations/{channel.station}"
    wall = {"from_": _wall(end - YEAR * HOUR), "to": _wall(end)}
    web.get("/static/vega.js")  # made at the first start of a server, not at the first visit
    for what, path in (
        ("chart of a year, first time", web.path("/api/v1/chart", channel=channel.key, **_period(end))),
        ("the page's drawing of a year", web.path(f"{page}/charts/{channel.parameter.id}", **wall)),
        ("the page of a year", web.path(page, days=365)),
    ):
        body, seconds = web.get(path)
        yield _within(f"{what}, {len(body) / 1000:,.0f} kB", seconds)
    yield _on_screen(web, web.path(page, days=365))


def _on_screen(web: Web, path: str) -> Row:
    """From the address to the drawn curve, in a browser that has the scripts already, as at the second visit."""
    with suppress(Error), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(extra_http_headers=dict(web.headers), viewport={"width": 1440, "height": 900})
        taken = []
        for _ in range(4):
            begin = time.perf_counter()
            page.goto(f"http://127.0.0.1:{web.port}{path}", wait_until="commit")
            page.wait_for_selector(".plot svg", timeout=60_000)
            taken.append(time.perf_counter() - begin)
        browser.close()
        return _within(f"a year drawn in Chromium (first visit {taken[0]:.2f} s)", min(taken[1:]))
    return Row("api", "a year drawn in Chromium", f"skipped: no Chromium at {CHROMIUM}", "", None)


def _within(what: str, seconds: float) -> Row:
    return Row("api", what, f"{seconds:.2f} s", f"{YEAR_AT_MOST:.0f} s", seconds / YEAR_AT_MOST, "<=", 1.0)


def _rates(web: Web, registry: Registry, end: int) -> Iterator[Row]:
    year = _period(end) | {"channel": registry.channels[0].key}
    paths = {
        "latest": web.path("/api/v1/latest", site=registry.sites[0].id),
        "statistics, a year of days": web.path("/api/v1/statistics", **year, window="day"),
        "chart of a year": web.path("/api/v1/chart", **year),
    }
    for name, path in paths.items():
        body, _ = web.get(path)
        web.hold(body)
        (own, own_tail), (bare, bare_tail) = web.rates(path, "/bare")
        yield Row(
            "api",
            f"{name}, {len(body) / 1000:,.0f} kB",
            f"{own:,.0f}/s, 99 % {own_tail:.1f} ms",
            f"bare route {bare:,.0f}/s, 99 % {bare_tail:.1f} ms",
            own / bare,
            ">=",
            KEPT,
        )


def _period(end: int) -> dict[str, str]:
    return {"from_": utc(end - YEAR * HOUR), "to": utc(end)}


def _wall(time_: int) -> str:
    """Instant [ms UTC] on the mine's clock, to the minute."""
    return str(np.datetime64(time_ + 8 * HOUR, "ms"))[:16]


def _fill(data: Path, registry: Registry, end: int) -> None:
    engine = open_engine(data / "record.sqlite")
    migrate(engine)
    record = Record(engine, registry)
    rng = np.random.default_rng(1)
    with engine.begin() as connection:
        first, *others = record.channel_ids.tolist()
        add_hours(connection, first, end, rng)
        add_readings(connection, first, end, YEAR * 60, HOUR // 60, rng)
        for number in others:
            add_readings(connection, number, end, 60, HOUR // 60, rng)
    engine.dispose()
