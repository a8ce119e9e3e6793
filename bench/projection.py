"""From the record to InfluxDB: throughput, and catching up after an outage."""

from __future__ import annotations

import os
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
from greenmine.grafana.influx.feed import Feed
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.projection import Projection
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.readings import NORMAL, Readings
from greenmine.record.bucket_cursors import Cursor
from greenmine.record.follower import heads
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from tests.influxing import RealInflux
from tests.real.servers import ORG, StartedInfluxDB, shipped

CHANNELS: Final = 5_000
"""A province: 1,000 devices of five channels."""
_MINUTE: Final = 60_000
_OUTAGE: Final = 60
"""Minutes, a reading each of every channel."""
_TOGETHER: Final = 20
"""Minutes that devices which send in columns gather."""
_ENTERPRISES: Final = 50
_GRACE: Final = 3
"""Minutes behind the hour until it is issued."""
_ROUNDS: Final = 2
_PATIENCE: Final = 0.02
"""Part of the outage in which it should have caught up."""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    real = "INFLUXD_BIN" in os.environ
    if not real and (
        shutil.which("influxd") is None or shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None
    ):
        yield Row("projection", "points of an hour", "skipped: influxd and nginx are not installed", "", None)
        return
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        directory = Path(name)
        with _Server2(directory / "influx") if real else _Server1(directory / "influx") as server:
            for enterprises, together, target in ((1, 1, None), (_ENTERPRISES, _TOGETHER, None), (1, _TOGETHER, 0.8)):
                given = directory / f"{enterprises}-by-{together}"
                registry = load_registry(
                    write_registry(given / "registry", CHANNELS, interval="60s", enterprises=enterprises)
                )
                settings = Settings(data=given, registry=given / "registry", influx_url=server.url, **server.access)
                _fill(settings, registry, together)
                raw, projected, points = _rates(server, settings, registry)
                yield Row(
                    "projection",
                    f"an hour of {CHANNELS:,} channels of {enterprises} enterprises, committed by {together} min",
                    f"{projected:,.0f} points/s",
                    f"the same lines, raw, one connection: {raw:,.0f} points/s",
                    projected / raw,
                    ">=" if target else "",
                    target,
                )
        took = points / projected
        yield Row(
            "projection",
            f"catching up after {_OUTAGE} min, {points:,} points in two buckets",
            f"{took:.1f} s",
            f"the outage: {_OUTAGE * 60:,} s",
            took / (_OUTAGE * 60),
            "<=",
            _PATIENCE,
        )


class _Server1(RealInflux):
    """Debian's InfluxDB 1."""

    access: Final = {"influx_version": "1"}
    headers: Final[dict[str, str]] = {}

    def make(self, database: str) -> None:
        """Make a database."""
        self.query(f'CREATE DATABASE "{database}"')

    def drop(self, database: str) -> None:
        """Remove a database."""
        self.query(f'DROP DATABASE "{database}"')


class _Server2(StartedInfluxDB):
    """The InfluxDB 2 that INFLUXD_BIN names."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, shipped("influxdb"))
        self.access = {"influx_version": "2", "influx_org": ORG, "influx_admin_token": self.token}
        self.headers = {"Authorization": f"Token {self.token}"}

    def make(self, database: str) -> None:
        """Make a bucket."""
        org = self.call("GET", f"/api/v2/orgs?org={ORG}").json()["orgs"][0]["id"]
        assert (
            self.call("POST", "/api/v2/buckets", {"orgID": org, "name": database, "retentionRules": []}).status == 201
        )

    def drop(self, database: str) -> None:
        """Remove a bucket."""
        (bucket,) = self.call("GET", f"/api/v2/buckets?name={database}").json()["buckets"]
        assert self.call("DELETE", f"/api/v2/buckets/{bucket['id']}").status == 204


_Server = _Server1 | _Server2


def _rates(server: _Server, settings: Settings, registry: Registry) -> tuple[float, float, int]:
    """Points a second raw and projected, the best of some rounds that take turns, and how many points were projected."""
    bodies, points = _bodies(settings, registry)
    raw, projected = [], []
    for number in range(_ROUNDS):
        raw.append(points / _raw(server, f"raw_{number}", bodies))
        projected.append(2 * points / _projected(server, settings, registry))
    return max(raw), max(projected), 2 * points


def _fill(settings: Settings, registry: Registry, together: int) -> None:
    """An hour in commits of so many minutes, and the minutes that it takes to issue the hour."""
    engine = open_engine(settings.record_place)
    migrate(engine)
    pipeline = Pipeline(registry, Record(engine, registry))
    random = np.random.default_rng(5)
    channel = np.repeat(np.arange(CHANNELS, dtype=np.int32), together)
    flag = np.full(len(channel), NORMAL, np.uint8)
    for minute in range(0, _OUTAGE + _GRACE, together):
        instants = START + (minute + np.arange(together)) * _MINUTE
        value = random.normal(45.0, 4.0, len(channel)).round(1)
        readings = Readings(channel, np.tile(instants, CHANNELS), value, flag)
        pipeline.commit(batch_of(registry, readings), int(instants[-1]))
    engine.dispose()


def _bodies(settings: Settings, registry: Registry) -> tuple[list[bytes], int]:
    """What the projection sends for one bucket, ready to be sent."""
    engine = open_engine(settings.record_place, read_only=True)
    ends = heads(engine)
    feed = Feed(registry, engine, Cursor("raw"), None, hourly_statistics, settings.influx_batch, lambda: 0, {})
    lines = [line for portion in feed.portions(ends) for part in portion.of(None) for line in part.lines["ms"]]
    engine.dispose()
    size = settings.influx_batch
    return ["\n".join(lines[i : i + size]).encode() for i in range(0, len(lines), size)], len(lines)


def _raw(server: _Server, database: str, bodies: list[bytes]) -> float:
    """Seconds for a client that does nothing else."""
    server.make(database)
    http = urllib3.PoolManager()
    begun = time.perf_counter()
    for body in bodies:
        address = f"{server.url}/api/v2/write?org={ORG}&bucket={database}&precision=ms"
        answer = http.request("POST", address, body=body, headers=server.headers)
        assert answer.status == 204, answer.data
    took = time.perf_counter() - begun
    server.drop(database)
    return took


def _projected(server: _Server, settings: Settings, registry: Registry) -> float:
    """Seconds until a projection that was shut out for the hour has caught up."""
    fresh = settings.model_copy(update={"data": settings.data / "again"})
    shutil.rmtree(fresh.data, ignore_errors=True)
    fresh.data.mkdir()
    (fresh.data / settings.record_place.name).symlink_to(settings.record_place)
    provision(fresh, registry)
    projection = Projection(fresh, registry, hourly_statistics)
    for bucket in projection.buckets:  # it began long ago, with buckets that it found empty
        projection.cursors.begin(bucket, {})
    begun = time.perf_counter()
    while projection.turn():
        pass
    took = time.perf_counter() - begun
    for bucket in projection.buckets:
        server.drop(bucket)
    return took
