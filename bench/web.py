"""The web server as it ships, in a process of its own, and what asks it."""

from __future__ import annotations

import gc
import http.client
import multiprocessing
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Connection as Database
from sqlalchemy import insert, select
from starlette.responses import Response

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.rows import ROW
from greenmine.registry import Registry
from greenmine.settings import Settings

HOUR: Final = 3_600_000
YEAR: Final = 365 * 24
"""Hours."""
TURNS: Final = 8
TURN: Final = 0.5
"""[s]"""
CLIENTS: Final = 4


@dataclass(frozen=True, slots=True)
class Web:
    """A running server.

    Parameters
    ----------
    port : int
        Of 127.0.0.1.
    process : int
        Its process id.
    pipe : Connection
        Takes the bytes that its bare route answers with.
    token : str
        Of an administrator.
    """

    port: int
    process: int
    pipe: Connection
    token: str

    def path(self, route: str, **query: Any) -> str:
        """A route with its parameters; ``from_`` is ``from``."""
        return f"{route}?{urlencode({name.rstrip('_'): value for name, value in query.items()})}"

    def open(self, path: str) -> http.client.HTTPResponse:
        """An answer whose body is still to be read."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", path, headers=self.headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return answer

    def get(self, path: str) -> tuple[bytes, float]:
        """Body of an answer, and the time until it was there [s]."""
        begin = time.perf_counter()
        body = self.open(path).read()
        return body, time.perf_counter() - begin

    def hold(self, body: bytes) -> None:
        """Have the bare route answer with a body."""
        self.pipe.send(body)
        self.pipe.recv()

    def rates(self, *paths: str) -> list[tuple[float, float]]:
        """For each path requests a second over a few connections, and the 99th percentile of their time [ms].

        The paths take turns, so that what else the machine does meets all of them.
        """
        times: list[list[float]] = [[] for _ in paths]
        for _ in range(TURNS):
            for path, own in zip(paths, times, strict=True):
                threads = [threading.Thread(target=self._ask, args=(path, own)) for _ in range(CLIENTS)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
        return [(len(own) / TURNS / TURN, float(np.percentile(own, 99) * 1000)) for own in times]

    def _ask(self, path: str, times: list[float]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        end = time.perf_counter() + TURN
        while (begin := time.perf_counter()) < end:
            connection.request("GET", path, headers=self.headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200
            times.append(time.perf_counter() - begin)

    @property
    def headers(self) -> Mapping[str, str]:
        """Of a request."""
        return {"Authorization": f"Bearer {self.token}"}


@contextmanager
def serving(data: Path) -> Iterator[Web]:
    """Serve the record of a data directory."""
    from tests.api.signing import token_for  # noqa: PLC0415 - only these benchmarks need an account

    token = token_for(data)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=_serve, args=(there, data))
    server.start()
    try:
        yield Web(here.recv(), server.pid or 0, here, token)
    finally:
        server.terminate()
        server.join()


def add_hours(database: Database, channel: int, end: int, rng: np.random.Generator) -> None:
    """Give a channel the hourly and daily figures of the year before an hour."""
    rows = []
    for window, step in (("hour", 1), ("day", 24)):
        for hour in range(end // HOUR - YEAR, end // HOUR, step):
            mean = float(rng.normal(60, 5))
            rows.append(
                {
                    "channel": channel, "window": window, "start": hour * HOUR, "revision": 0, "latest": True,
                    "end": (hour + step) * HOUR, "mean": mean, "minimum": mean - 9, "maximum": mean + 12,
                    "count": 3600 * step, "expected": 3600 * step, "capture": 1.0, "valid": True, "hours": None,
                    "excluded": 0, "suspect": 0, "l10": mean, "l50": mean, "l90": mean, "reason": "first", "issued": 0,
                }
            )  # fmt: skip
    database.execute(insert(schema.statistic), rows)


def add_readings(
    database: Database, channel: int, end: int, count: int, interval: int, rng: np.random.Generator
) -> None:
    """Give a channel so many readings, each ``interval`` [ms] after the other, before an hour."""
    first = end - count * interval
    assert first % HOUR == 0, "the readings begin with an hour"
    per_block = HOUR // interval
    blocks = []
    for start in range(0, count, per_block):
        rows = np.zeros(min(per_block, count - start), ROW)
        rows["time"] = first + (start + np.arange(len(rows))) * interval
        rows["value"], rows["flag"] = np.round(rng.normal(60, 5, len(rows)), 1), ord("N")
        hour = int(rows["time"][0]) // HOUR
        blocks.append({"channel": channel, "hour": hour, "count": len(rows), "received": 0, "data": rows.tobytes()})
        if len(blocks) == 500:
            database.execute(insert(schema.reading_block), blocks)
            blocks.clear()
    if blocks:
        database.execute(insert(schema.reading_block), blocks)
    key = database.scalar(select(schema.channel.c.key).where(schema.channel.c.id == channel))
    newest = {"key": key, "site": str(key).split("/")[0], "time": int(rows["time"][-1]), "data": rows[-1].tobytes()}
    database.execute(insert(schema.current), [newest | {"kind": kind} for kind in ("reading", "valid")])


def utc(time_: int) -> str:
    """Instant [ms UTC] as the API takes it."""
    return f"{np.datetime64(time_, 'ms')}Z"


def registry_of(data: Path) -> Registry:
    """Registry of a data directory; if there is none, that of the five mines."""
    path = data / "registry"
    return load_registry(path if path.exists() else None)


def _serve(pipe: Connection, data: Path) -> None:
    from greenmine.api.app import create_app  # noqa: PLC0415 - in the server's process only
    from greenmine.api.serve import Server  # noqa: PLC0415

    app = create_app(Settings(data=data, user_streams=2_000, address_streams=2_000), registry_of(data))
    held = b""
    bare = FastAPI()

    @bare.get("/bare")
    async def same_bytes() -> Response:
        return Response(held, media_type="application/json")

    async def both(scope: dict[str, object], receive: object, send: object) -> None:
        await (bare if scope.get("path") == "/bare" else app)(scope, receive, send)  # type: ignore[arg-type]

    server = Server(app)
    server.config = uvicorn.Config(both, port=0, access_log=False, log_level="error", lifespan="off")  # type: ignore[arg-type]

    def talk() -> None:
        nonlocal held
        while not server.started:
            time.sleep(0.02)
        pipe.send(server.servers[0].sockets[0].getsockname()[1])
        while True:
            held = pipe.recv()
            pipe.send("taken")

    threading.Thread(target=talk, daemon=True).start()
    gc.collect()
    gc.freeze()  # as the server at its start
    server.run()
