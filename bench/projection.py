"""From the record to InfluxDB: throughput, and catching up after an outage."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import urllib3

from bench.batches import batch_of
from bench.core import START
from bench.sites import write_registry
from bench.table import Row
from greenmine.readings import NORMAL, Readings
from greenmine.registry import Registry, load_registry
from greenmine.settings import Settings
from greenmine.storage.cursors import Cursor, heads
from greenmine.storage.feed import Feed
from greenmine.storage.influx_provision import provision
from greenmine.storage.projection import Projection
from greenmine.storage.record import Record, migrate, open_engine
from processing.pipeline import Pipeline
from processing.rolling import hourly_statistics
from tests.influxing import RealInflux

CHANNELS: Final = 5_000
"""A province: 1,000 devices of five channels."""
_MINUTE: Final = 60_000
_OUTAGE: Final = 60
"""Minutes, a reading each of every channel."""
_ROUNDS: Final = 2
_PATIENCE: Final = 0.02
"""Part of the outage in which it should have caught up."""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    if shutil.which("influxd") is None or shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        for what in ("points of an hour", "catching up"):
            yield Row("projection", what, "skipped: influxd and nginx are not installed", "", None)
        return
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        directory = Path(name)
        registry = load_registry(write_registry(directory / "registry", CHANNELS, interval="60s"))
        settings = Settings(data=directory / "data", registry=directory / "registry")
        _fill(settings, registry)
        with RealInflux(directory / "influx") as server:
            settings = settings.model_copy(update={"influx_url": server.url, "influx_version": "1"})
            bodies, points = _bodies(settings, registry)
            raw, projected = [], []
            for number in range(_ROUNDS):
                raw.append(points / _raw(server, f"raw_{number}", bodies))
                projected.append(2 * points / _projected(server, settings, registry))
        yield Row(
            "projection",
            f"points of an hour, {CHANNELS:,} channels, two buckets",
            f"{max(projected):,.0f} points/s",
            f"raw lines, the same, one connection: {max(raw):,.0f} points/s",
            max(projected) / max(raw),
            ">=",
            0.8,
        )
        took = 2 * points / max(projected)
        yield Row(
            "projection",
            f"catching up after {_OUTAGE} min, {2 * points:,} points",
            f"{took:.1f} s",
            f"the outage: {_OUTAGE * 60:,} s",
            took / (_OUTAGE * 60),
            "<=",
            _PATIENCE,
        )


def _fill(settings: Settings, registry: Registry) -> None:
    """An hour as it is committed live, a minute at a time, and the minutes that it takes to issue the hour."""
    engine = open_engine(settings.record)
    migrate(engine)
    pipeline = Pipeline(registry, Record(engine, registry))
    random = np.random.default_rng(5)
    channel = np.arange(CHANNELS, dtype=np.int32)
    flag = np.full(CHANNELS, NORMAL, np.uint8)
    for minute in range(_OUTAGE + 3):
        now = START + minute * _MINUTE
        readings = Readings(
            channel, np.full(CHANNELS, now, np.int64), random.normal(45.0, 4.0, CHANNELS).round(1), flag
        )
        pipeline.commit(batch_of(registry, readings), now)
    engine.dispose()


def _bodies(settings: Settings, registry: Registry) -> tuple[list[bytes], int]:
    """What the projection sends for one bucket, ready to be sent."""
    engine = open_engine(settings.record, read_only=True)
    with engine.connect() as connection:
        ends = heads(connection)
    feed = Feed(registry, engine, Cursor("raw"), None, hourly_statistics, settings.influx_batch, lambda: 0, {})
    lines = [line for portion in feed.portions(ends) for line in portion.lines["ms"]]
    engine.dispose()
    size = settings.influx_batch
    return ["\n".join(lines[i : i + size]).encode() for i in range(0, len(lines), size)], len(lines)


def _raw(server: RealInflux, database: str, bodies: list[bytes]) -> float:
    """Seconds for a client that does nothing else."""
    server.query(f"CREATE DATABASE {database}")
    http = urllib3.PoolManager()
    begun = time.perf_counter()
    for body in bodies:
        answer = http.request("POST", f"{server.url}/api/v2/write?bucket={database}&precision=ms", body=body)
        assert answer.status == 204, answer.data
    took = time.perf_counter() - begun
    server.query(f"DROP DATABASE {database}")
    return took


def _projected(server: RealInflux, settings: Settings, registry: Registry) -> float:
    """Seconds until a projection that was shut out for the hour has caught up."""
    fresh = settings.model_copy(update={"data": settings.data / "again"})
    shutil.rmtree(fresh.data, ignore_errors=True)
    fresh.data.mkdir()
    (fresh.data / settings.record.name).symlink_to(settings.record)
    provision(fresh, registry)
    projection = Projection(fresh, registry, hourly_statistics)
    begun = time.perf_counter()
    while projection.turn():
        pass
    took = time.perf_counter() - begun
    for bucket in projection.buckets:
        server.query(f'DROP DATABASE "{bucket}"')
    return took
