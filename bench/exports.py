"""Memory of the web server while a file of any length is sent: fifty million readings in each format. Takes minutes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import numpy as np
import psutil

from bench.sites import write_registry
from bench.table import Row
from bench.web import HOUR, Web, add_readings, registry_of, serving, utc
from greenmine.record.record import Record, migrate, open_engine

READINGS: Final = 50_000_400
"""At one a second; whole hours."""
END: Final = 1_796_000_400_000 // HOUR * HOUR
GROWTH: Final = 1.25
"""Peak of memory over that of the first three seconds."""


def measure() -> Iterable[Row]:
    """Rows of the table."""
    with TemporaryDirectory() as folder:
        data = Path(folder)
        write_registry(data / "registry", 1)
        registry = registry_of(data)
        engine = open_engine(data / "record.sqlite")
        migrate(engine)
        record = Record(engine, registry)
        with engine.begin() as connection:
            number = int(record.channel_ids[0])
            add_readings(connection, number, END, READINGS, 1_000, np.random.default_rng(1))
        engine.dispose()
        with serving(data) as web:
            for kind in ("arrow", "parquet", "csv", "ndjson"):
                yield _export(web, registry.channels[0].key, kind)
            yield _refused(web, registry.channels[0].key)


def _path(web: Web, channel: str, kind: str) -> str:
    return web.path("/api/v1/readings", channel=channel, from_=utc(0), to=utc(END + HOUR), format=kind)


def _export(web: Web, channel: str, kind: str) -> Row:
    process = psutil.Process(web.process)
    peak = before = process.memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    answer = web.open(_path(web, channel, kind))
    size = middle = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
        if not middle and time.perf_counter() - begin > 3:
            middle = process.memory_info().rss
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    middle = middle or peak
    return Row(
        "exports",
        f"{READINGS / 1e6:.0f} million readings as {kind}",
        f"peak {peak / 1e6:.0f} MB, {size / 1e9:.1f} GB in {seconds:.0f} s",
        f"after 3 s {middle / 1e6:.0f} MB, before {before / 1e6:.0f} MB",
        peak / middle,
        "<=",
        GROWTH,
    )


def _refused(web: Web, channel: str) -> Row:
    """A worksheet cannot hold them: that is said at once, not after minutes of writing."""
    begin = time.perf_counter()
    address = f"http://127.0.0.1:{web.port}{_path(web, channel, 'xlsx')}"
    answer = httpx.get(address, headers=dict(web.headers), timeout=60)
    assert answer.status_code == 400, answer.status_code
    assert "a worksheet holds 1,048,576 rows" in answer.json()["detail"]
    seconds = time.perf_counter() - begin
    return Row("exports", "the same as xlsx", f"refused after {seconds:.2f} s", "1 s", seconds, "<=", 1.0)
