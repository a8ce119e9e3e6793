"""Records of simulated days, and a projection at work on them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Self

from greenmine.cli import configure_logging
from greenmine.cli.influx import project
from greenmine.collector.payloads.payload import BatchBuilder
from greenmine.grafana.influx.influx_provision import buckets
from greenmine.grafana.influx.projection import cursors_file
from greenmine.record.bucket_cursors import Cursor, stored_cursors
from greenmine.record.follower import heads
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.mine import stream
from tests.influxing import RealInflux, until

DAY = 86_400_000
MONDAY = 20_766 * DAY
"""A Monday 08:00 in Wanzhou [ms UTC]."""
_TOGETHER = 400
"""Messages in a batch."""
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload(["__main__", "greenmine.cli.influx"])


class Mines:
    """A record that simulated mines are written to, a stretch at a time, without a broker."""

    def __init__(self, folder: Path, registry: Registry, sites: Collection[str], days: float, seed: int = 7) -> None:
        self.registry = registry
        self.settings = Settings(data=folder)
        self.engine = open_engine(self.settings.record_place)
        migrate(self.engine)
        self.pipeline = Pipeline(registry, Record(self.engine, registry), now=MONDAY)
        self._batches = self._made(stream(registry, sites, seed, MONDAY, MONDAY + round(days * DAY)))

    def _made(self, messages: Iterator[Any]) -> Iterator[int]:
        builder = BatchBuilder(self.registry, self.settings)
        for number, message in enumerate(messages, start=1):
            builder.add(message.topic, message.payload, message.time_sent)
            if number % _TOGETHER == 0:
                self.pipeline.commit(builder.finish(), message.time_sent)
                yield message.time_sent
        self.pipeline.commit(builder.finish(), MONDAY + 30 * DAY)

    def go_on(self, batches: int | None = None) -> None:
        """Write some batches, or all that are left."""
        for number, _ in enumerate(self._batches, start=1):
            if number == batches:
                return


def projection_settings(folder: Path, server: RealInflux, **given: object) -> Settings:
    """Settings for a record in a folder and a real InfluxDB."""
    chosen = {"data": folder, "influx_url": server.url, "influx_version": "1", "influx_timeout_seconds": 2.0, **given}
    return Settings.model_validate(Settings().model_dump() | chosen)


def _run(settings: Settings, log: Path) -> None:
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), sys.stderr.fileno())
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    configure_logging()
    project(settings, stop)


class Projecting:
    """The projection in a process of its own, as `greenmine run` starts it."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._settings = settings
        self._names = buckets(registry)
        self.log = settings.data / "projection.log"
        self.start()

    def start(self) -> None:
        self.process = _PROCESSES.Process(target=_run, args=(self._settings, self.log))
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []

    def cursors(self) -> dict[str, Cursor]:
        return {c.bucket: c for c in stored_cursors(cursors_file(self._settings))}

    def caught_up(self, *names: str) -> bool:
        """Whether these buckets, or all, hold what the record does now."""
        assert self.process.is_alive(), self.lines()[-5:]
        ends = heads(open_engine(self._settings.record_place, read_only=True))
        found = self.cursors()
        return all(
            name in found and not found[name].clear and all(found[name].position(t) >= end for t, end in ends.items())
            for name in names or self._names
        )

    def await_all(self) -> None:
        until(self.caught_up, f"the projection; {self.lines()[-3:]}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join(20)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()


def idle(settings: Settings, stop: threading.Event) -> None:
    """A process that does nothing; it notes its number."""
    with (settings.data / "pids").open("a") as file:
        file.write(f"{os.getpid()}\n")
    stop.wait()
