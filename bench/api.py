"""The web server: answers beside the same bytes from a bare route, and memory while a file of any length is sent."""

from __future__ import annotations

import http.client
import multiprocessing
import threading
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlencode

import numpy as np
import psutil
import uvicorn
from fastapi import FastAPI
from sqlalchemy import insert
from starlette.responses import Response

from bench.sites import write_registry
from bench.table import Row
from greenmine.registry import Registry, load_registry
from greenmine.settings import Settings
from greenmine.storage import schema
from greenmine.storage.record import ROW, Record, migrate, open_engine

HOUR: Final = 3_600_000
YEAR: Final = 365 * 24
END: Final = 1_796_000_400_000 // HOUR * HOUR
READINGS: Final = 50_000_000
CHANNELS: Final = 100
"""A mine's worth; the first has a year of figures, the second fifty million readings."""
SECONDS: Final = 4.0
CLIENTS: Final = 4


def measure() -> Iterable[Row]:
    """Rows of the table."""
    with TemporaryDirectory() as folder:
        data = Path(folder)
        registry = load_registry(write_registry(data / "registry", CHANNELS))
        token = _fill(data, registry)
        first, second = registry.channels[0].key, registry.channels[1].key
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        server = context.Process(target=_serve, args=(there, data))
        server.start()
        try:
            port = here.recv()
            year = {"channel": first, "from": _utc(END - YEAR * HOUR), "to": _utc(END)}
            paths = {
                "latest": f"/api/v1/latest?{urlencode({'site': registry.sites[0].id})}",
                "statistics, a year of days": f"/api/v1/statistics?{urlencode(year | {'window': 'day'})}",
                "chart of a year": f"/api/v1/chart?{urlencode(year)}",
            }
            bodies = {path: _get(port, path, token) for path in paths.values()}
            for name, path in paths.items():
                here.send(bodies[path])
                here.recv()
                own, own_tail = _rate(port, path, token)
                bare, bare_tail = _rate(port, "/bare", token)
                target = 0.6 if name.startswith("chart") else None
                yield Row(
                    "api",
                    f"{name}, {len(bodies[path]) / 1000:,.0f} kB",
                    f"{own:,.0f}/s, 99 % {own_tail:.1f} ms",
                    f"bare route {bare:,.0f}/s, 99 % {bare_tail:.1f} ms",
                    own / bare,
                    ">=" if target else "",
                    target,
                )
            for kind in ("arrow", "parquet", "csv"):
                yield _export(port, server.pid or 0, second, kind, token)
        finally:
            server.terminate()
            server.join()


def _export(port: int, process: int, channel: str, kind: str, token: str) -> Row:
    query = urlencode({"channel": channel, "from": _utc(0), "to": _utc(END + HOUR), "format": kind})
    peak = before = psutil.Process(process).memory_info().rss
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, psutil.Process(process).memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", f"/api/v1/readings?{query}", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    size = 0
    middle = 0
    while piece := answer.read(1 << 20):
        size += len(piece)
        if not middle and time.perf_counter() - begin > 3:
            middle = psutil.Process(process).memory_info().rss
    seconds = time.perf_counter() - begin
    done.set()
    watcher.join()
    return Row(
        "api",
        f"{READINGS / 1e6:.0f} million readings as {kind}",
        f"peak {peak / 1e6:.0f} MB, {size / 1e9:.1f} GB in {seconds:.0f} s",
        f"after 3 s {(middle or peak) / 1e6:.0f} MB, before {before / 1e6:.0f} MB",
        peak / (middle or peak),
        "<=",
        1.25,
    )


def _rate(port: int, path: str, token: str) -> tuple[float, float]:
    """Requests a second, and the 99th percentile of their time [ms], over a few connections."""
    times: list[list[float]] = [[] for _ in range(CLIENTS)]

    def ask(own: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        end = time.perf_counter() + SECONDS
        while (begin := time.perf_counter()) < end:
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            own.append(time.perf_counter() - begin)

    threads = [threading.Thread(target=ask, args=(own,)) for own in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = np.concatenate([np.array(own) for own in times])
    return len(every) / SECONDS, float(np.percentile(every, 99) * 1000)


def _get(port: int, path: str, token: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    return answer.read()


def _fill(data: Path, registry: Registry) -> str:
    from tests.api.signing import token_for  # noqa: PLC0415 - only this benchmark needs an account

    engine = open_engine(data / "record.sqlite")
    migrate(engine)
    record = Record(engine, registry)
    rng = np.random.default_rng(1)
    hours = np.arange(END // HOUR - YEAR, END // HOUR)
    statistics = []
    for window, step in (("hour", 1), ("day", 24)):
        for hour in hours[::step].tolist():
            mean = float(rng.normal(60, 5))
            statistics.append(
                {
                    "channel": int(record.channel_ids[0]), "window": window, "start": hour * HOUR, "revision": 0,
                    "latest": True, "end": (hour + step) * HOUR, "mean": mean, "minimum": mean - 9, "maximum": mean + 12,
                    "count": 3600 * step, "expected": 3600 * step, "capture": 1.0, "valid": True, "hours": None,
                    "excluded": 0, "suspect": 0, "l10": mean, "l50": mean, "l90": mean, "reason": "first", "issued": 0,
                }
            )  # fmt: skip
    with engine.begin() as connection:
        connection.execute(insert(schema.statistic), statistics)
        blocks = []
        last = END // HOUR
        for hour in range(last - READINGS // 3600, last + 1):
            rows = np.zeros(min(3600, READINGS - 3600 * (hour - last + READINGS // 3600)), ROW)
            rows["time"] = hour * HOUR + np.arange(len(rows)) * 1000
            rows["value"], rows["flag"] = np.round(rng.normal(60, 5, len(rows)), 1), ord("N")
            blocks.append(
                {
                    "channel": int(record.channel_ids[1]), "hour": hour, "count": len(rows), "received": 0,
                    "data": rows.tobytes(),
                }
            )  # fmt: skip
            if len(blocks) == 500:
                connection.execute(insert(schema.reading_block), blocks)
                blocks.clear()
        if blocks:
            connection.execute(insert(schema.reading_block), blocks)
        for number in record.channel_ids[2:].tolist():
            rows = np.zeros(3600, ROW)
            rows["time"], rows["value"], rows["flag"] = END - HOUR + np.arange(3600) * 1000, 60.0, ord("N")
            block = {"channel": number, "hour": END // HOUR - 1, "count": 3600, "received": 0, "data": rows.tobytes()}
            connection.execute(insert(schema.reading_block).values(**block))
    engine.dispose()
    return token_for(data)


def _serve(pipe: Connection, data: Path) -> None:
    from api.app import create_app  # noqa: PLC0415 - in the server's process only

    registry = load_registry(data / "registry")
    app = create_app(Settings(data=data, registry=data / "registry"), registry)
    held = b""
    bare = FastAPI()

    @bare.get("/bare")
    async def same_bytes() -> Response:
        return Response(held, media_type="application/json")

    async def both(scope: dict[str, object], receive: object, send: object) -> None:
        await (bare if scope.get("path") == "/bare" else app)(scope, receive, send)  # type: ignore[arg-type]

    server = uvicorn.Server(uvicorn.Config(both, host="127.0.0.1", port=0, log_level="error", lifespan="off"))

    def talk() -> None:
        nonlocal held
        while not server.started:
            time.sleep(0.02)
        pipe.send(server.servers[0].sockets[0].getsockname()[1])
        while True:
            held = pipe.recv()
            pipe.send("taken")

    threading.Thread(target=talk, daemon=True).start()
    server.run()


def _utc(time_: int) -> str:
    return f"{np.datetime64(time_, 'ms')}Z"
