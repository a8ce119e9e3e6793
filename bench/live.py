"""A thousand live streams: every exceedance once, in order, and how long it takes from the commit to the readers."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import psutil
from sqlalchemy import Engine, insert

from bench.table import Row
from bench.web import HOUR, Web, registry_of, serving
from greenmine.record import schema
from greenmine.record.record import Record, migrate, next_serial, open_engine
from greenmine.record.rows import ROW
from greenmine.registry import Registry

STREAMS: Final = 1_000
SECONDS: Final = 30
PER_SECOND: Final = 2
"""Commits: each with a reading of every channel and an exceedance at every site."""
SLOWEST: Final = 1.0
"""From the commit to 99 % of the readers [s]."""


@dataclass(slots=True)
class Heard:
    """What a stream was told: ids of exceedances, and the time from the commit to their arrival [s]."""

    site: str
    numbers: list[int] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    values: int = 0


def measure() -> Iterable[Row]:
    """Rows of the table."""
    with TemporaryDirectory() as folder:
        data = Path(folder)
        registry = registry_of(data)
        engine = open_engine(data / "record.sqlite")
        migrate(engine)
        record = Record(engine, registry)
        _readings(engine, record.channel_ids.tolist())
        with serving(data) as web:
            context = multiprocessing.get_context("spawn")
            here, there = context.Pipe()
            readers = context.Process(target=_listen, args=(there, web, [site.id for site in registry.sites]))
            readers.start()
            here.recv()
            before = _busy(web)
            told = _commit(engine, record.channel_ids.tolist(), registry)
            heard: list[Heard] = here.recv()
            readers.join()
            busy = _busy(web) - before
        engine.dispose()
    wrong = sum(stream.numbers != told[stream.site] for stream in heard)
    delays = np.concatenate([stream.delays for stream in heard])
    slow = float(np.percentile(delays, 99))
    yield Row(
        "live",
        f"streams of {STREAMS:,} that missed, repeated or disordered an exceedance",
        f"{wrong} (of {len(delays):,} told)",
        "none",
        float(wrong),
        "<=",
        0.0,
    )
    yield Row(
        "live",
        f"commit to reader, {STREAMS:,} streams, {PER_SECOND * len(told)} exceedances a second",
        f"median {np.median(delays):.2f} s, 99 % {slow:.2f} s",
        f"{SLOWEST:.0f} s",
        slow / SLOWEST,
        "<=",
        1.0,
    )
    values = np.median([stream.values for stream in heard]) / SECONDS
    yield Row(
        "live",
        f"CPU of the server, {values:.1f} lists of values a second to each stream too",
        f"{busy / SECONDS:.0%}",
        "",
        None,
    )


def _busy(web: Web) -> float:
    """CPU time of the server so far [s]."""
    times = psutil.Process(web.process).cpu_times()
    return float(times.user + times.system)


def _readings(engine: Engine, channels: list[int]) -> None:
    time_ = time.time_ns() // 1_000_000
    row = np.array([(time_, 50.0, ord("N"), 0)], ROW).tobytes()
    hour = {"hour": time_ // HOUR, "count": 1, "received": time_, "data": row}
    with engine.begin() as connection:
        connection.execute(insert(schema.reading_block), [{"channel": number} | hour for number in channels])


def _commit(engine: Engine, channels: list[int], registry: Registry) -> dict[str, list[int]]:
    """Commit for a while; the ids of the exceedances of each site. Their beginning is the instant of the commit."""
    rules = {rule.site: rule for rule in registry.rules}
    told: dict[str, list[int]] = {site: [] for site in rules}
    number = 0
    begin = time.monotonic()
    for turn in range(SECONDS * PER_SECOND):
        time.sleep(max(0.0, begin + turn / PER_SECOND - time.monotonic()))
        _readings(engine, channels)
        with engine.begin() as connection:
            serial = next_serial(connection)
            for site, rule in rules.items():
                number += 1
                told[site].append(number)
                instant = time.time_ns() // 1_000_000
                connection.execute(
                    insert(schema.exceedance).values(
                        id=number, rule=rule.key, site=site, start=instant, state="open", minutes=1, revision=0,
                        changed=instant, serial=serial,
                    )
                )  # fmt: skip
    return told


def _listen(pipe: Connection, web: Web, sites: list[str]) -> None:
    pipe.send(asyncio.run(_all(pipe, web, sites)))


async def _all(pipe: Connection, web: Web, sites: list[str]) -> list[Heard]:
    heard = [Heard(sites[i % len(sites)]) for i in range(STREAMS)]
    ready = asyncio.Semaphore(0)
    streams = [asyncio.create_task(_stream(web, own, ready)) for own in heard]
    for _ in heard:
        await ready.acquire()
    pipe.send("ready")
    await asyncio.gather(*streams)
    return heard


async def _stream(web: Web, own: Heard, ready: asyncio.Semaphore) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port, limit=1 << 20)
    headers = "".join(f"{name}: {value}\r\n" for name, value in web.headers.items())
    writer.write(f"GET /api/v1/events?site={own.site} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
    rest = b""
    while len(own.numbers) < SECONDS * PER_SECOND:
        *events, rest = (rest + await reader.read(1 << 16)).split(b"\n\n")
        for event in events:
            if b"event: exceedance" in event:
                own.numbers.append(int(event.partition(b'"id":')[2].partition(b",")[0]))
                started = event.partition(b'"start":"')[2].partition(b'"')[0].decode()
                own.delays.append(time.time() - datetime.fromisoformat(started).timestamp())
            elif b"event: ready" in event:
                ready.release()
            own.values += b"event: latest" in event
    writer.close()
