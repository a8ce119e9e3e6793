"""A province on one machine: the start, how long commits wait for a mark, the bytes of a reading, the pages of many mines."""

from __future__ import annotations

import gc
import itertools
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import sqlalchemy as sa

from bench.batches import batch_of
from bench.collector import subscribe
from bench.publisher import paced_publisher
from bench.sites import device_of, write_registry
from bench.table import Row
from bench.web import Web, serving
from bench.worker import Commits, worker
from greenmine.cli.work import STEPS
from greenmine.collector.mqtt.broker import start_broker
from greenmine.loading import load_registry
from greenmine.readings import NORMAL, Readings
from greenmine.record import schema
from greenmine.record.archive.archive import Archive, grow, seal
from greenmine.record.archive.pruning import prune
from greenmine.record.archive.signing import SigningKey
from greenmine.record.hour_blocks import merge
from greenmine.record.record import Record, migrate, open_engine
from greenmine.record.writer import Pipeline
from greenmine.registry import Registry
from greenmine.settings import Settings

_HOUR: Final = 3_600_000
_MINUTE: Final = 60_000
_RESTART: Final = 30_000
"""Channels."""
_READINGS: Final = (1_000_000, 50_000_000)
"""In the record."""
_START_AT_MOST: Final = 10.0
"""[s]"""
_SAME: Final = 1.25
_RESTARTED: Final = 40
"""How long devices send from the start of the worker on [s]."""
_MARKED: Final = 9_990
"""Channels."""
_WAIT_AT_MOST: Final = 0.2
"""For a commit [s]."""
_STORED: Final = 1_000
"""Channels, for a day."""
_BYTES: Final = {"kept": 30, "left": 3, "archived": 12}
"""For a reading, at most."""
_MINES: Final = 1_000
_PER_MINE: Final = 10
"""Channels."""
_PAGE_AT_MOST: Final = 1.0
"""For 99 of 100 answers [s]."""
_FLAT: Final = 1.1
_NUMBERS: Final = itertools.count(1)
"""Of messages: each device counts on, so that none seems to be missing."""
_ASKED: Final = 30
"""How often each page is asked for."""
_BETWEEN: Final = 0.1
"""Two pages [s]."""
_STEADY: Final = ((30_000, 60, 0.15), (9_990, 1, 1.0))
"""Channels, their interval [s], and the longest that 99 of 100 readings may take to their commit [s]."""
_LASTING: Final = 120
"""How long they send [s]."""
_WARM: Final = 10
"""Not counted of that [s]."""
_CORE_AT_MOST: Final = 0.15
"""Of a core, at the first of them."""
_CALIBRATION: Final = """
[[calibrations]]
station = "device-00"
parameter = "pm10"
valid_from = 2020-01-01T00:00:00+08:00
slope = 1.1
offset = 0.0
certificate = "bench"
"""


def _feed(pipeline: Pipeline, start: int, minutes: int, stretch: int = 60) -> None:
    """Commit one reading a channel and minute, a stretch of minutes of a few hundred devices at once."""
    random = np.random.default_rng(3)
    channels = len(pipeline.registry.channels)
    together = max(1, 20_000 // stretch)
    for minute in range(0, minutes, stretch):
        number = next(_NUMBERS)
        instants = start + (minute + np.arange(min(stretch, minutes - minute))) * _MINUTE
        for k in range(0, channels, together):
            some = np.arange(k, min(channels, k + together), dtype=np.int32)
            channel = np.repeat(some, len(instants))
            value = np.round(random.normal(60.0, 9.0, len(channel)), 1)
            flag = np.full(len(channel), NORMAL, np.uint8)
            readings = Readings(channel, np.tile(instants, len(some)), value, flag)
            batch = batch_of(pipeline.registry, readings)
            batch.message_seq[:] = number
            batch.message_received[:] += random.integers(5_000)
            pipeline.commit(batch, int(instants[-1]))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _opened(folder: Path, registry: Registry) -> Record:
    engine = open_engine(folder / "record.sqlite")
    migrate(engine)
    return Record(engine, registry)


def restart(scale: float, kept: Path | None = None) -> Iterable[Row]:
    """Rows about the start of the worker; ``scale`` is a share of the stated size, ``kept`` a folder for records to use again."""
    channels = max(100, int(_RESTART * scale))
    took = {}
    for readings in _READINGS:
        with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
            folder = Path(name) if kept is None else kept / f"{readings * scale:.0f}"
            minutes = _stopped(folder, channels, max(10, int(readings * scale) // channels))
            commits, begun = _started(folder, channels)
        took[readings] = commits.instant[0] - begun
        size = f"{channels:,} channels, {channels * minutes / 1e6:.2g} million readings"
        yield Row(
            "restart", f"from its start to its first commit, {size}", f"{took[readings]:.1f} s, {commits.busy[0]:.1f} s CPU",
            f"{_START_AT_MOST:.0f} s", took[readings] / _START_AT_MOST, "<=", 1.0,
        )  # fmt: skip
        instant, waited = np.array(commits.instant), np.array([late.max() for late in commits.latency])
        behind = instant[waited > 1000 * _PAGE_AT_MOST].max(initial=begun)
        yield Row("restart", "until no reading waits longer than a second", f"{behind - begun:.1f} s", "", None)
    few, many = (took[readings] for readings in _READINGS)
    yield Row("restart", "with fifty times the readings", f"{many:.1f} s", f"{few:.1f} s", many / few, "<=", _SAME)


def _stopped(folder: Path, channels: int, minutes: int) -> int:
    """Make what a worker leaves that was killed just now, four minutes after its checkpoint; minutes that the record holds."""
    files = folder / "registry"
    new = not files.exists()
    if new:
        folder.mkdir(parents=True, exist_ok=True)
        write_registry(files, channels, parameter="pm10", interval="1min")
    registry = load_registry(files)
    record = _opened(folder, registry)
    pipeline = Pipeline(registry, record, checkpoint=folder / "rings.checkpoint")
    if new:
        _feed(pipeline, _now() // _MINUTE * _MINUTE - minutes * _MINUTE, minutes)
    # Filling took a while.
    for left in (4, 0):
        last = int(pipeline.engine.panes.head.max())
        _feed(pipeline, (last + 1) * _MINUTE, _now() // _MINUTE - left - last)
        if left:
            pipeline.keep(_now(), everything=True)
    heads, tails = pipeline.engine.panes.head, pipeline.engine.panes.tail
    record.engine.dispose()
    minutes = int((heads - tails).max()) + 1
    del pipeline, heads, tails
    gc.collect()  # the worker needs as much memory again
    return minutes


def _started(folder: Path, channels: int) -> tuple[Commits, float]:
    """Start the worker while devices send, each once a minute; its commits, and when it was started [s since 1970]."""
    topics = ["greenmine/v1/{}/{}/readings".format(*device_of(number)) for number in range(channels)]
    np.random.default_rng(4).shuffle(topics)
    rate, template = channels // 60, b'{"v":1,"time":%d,"values":{"pm10":55.1}}'
    with start_broker(folder / "broker") as broker:
        settings = Settings(_env_file=None, data=folder, registry=folder / "registry", broker_port=broker.port)  # type: ignore[call-arg]
        subscribe(broker.port, settings.broker_client)
        with paced_publisher(broker.port, topics, template, rate, _RESTARTED) as publishing:
            publishing.send("go")
            begun = time.time()
            with worker(settings, rate * _RESTARTED) as working:
                commits: Commits = working.recv()
            publishing.recv()
    return commits, begun


def steady(scale: float) -> Iterable[Row]:
    """Rows about readings that come as they are measured, each alone; ``scale`` is a share of the stated size."""
    for stated, interval, slowest in _STEADY:
        channels = max(100, int(stated * scale))
        with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
            folder = Path(name)
            registry = write_registry(folder / "registry", channels, parameter="pm10", interval=f"{interval}s")
            topics = ["greenmine/v1/{}/{}/readings".format(*device_of(number)) for number in range(channels)]
            template = b'{"v":1,"time":%d,"values":{"pm10":55.1}}'
            rate = channels // interval
            with start_broker(folder / "broker") as broker:
                settings = Settings(_env_file=None, data=folder / "data", registry=registry, broker_port=broker.port)  # type: ignore[call-arg]
                with (
                    worker(settings, rate * _LASTING) as working,
                    paced_publisher(broker.port, topics, template, rate, _LASTING) as publishing,
                ):
                    publishing.send("go")
                    commits = working.recv()
                    publishing.recv()
        p50, p99 = np.percentile(np.concatenate(commits.latency)[rate * _WARM :], [50, 99]) / 1000
        what = f"{channels:,} channels, a reading every {interval} s each, {rate:,} messages/s"
        yield Row(
            "steady", f"{what}: publish to commit", f"median {p50 * 1000:.0f} ms, 99 % {p99 * 1000:.0f} ms", f"{slowest:g} s",
            p99 / slowest, "<=", 1.0,
        )  # fmt: skip
        warm = int(np.searchsorted(commits.instant, commits.instant[0] + _WARM))
        share = (commits.busy[-1] - commits.busy[warm]) / (commits.instant[-1] - commits.instant[warm])
        busy, judged = f"{share:.0%} of a core", interval > 1
        yield Row(
            "steady", f"{what}: CPU of the worker", busy, f"{_CORE_AT_MOST:.0%}", share / _CORE_AT_MOST, "<=" if judged else "",
            1.0 if judged else None,
        )  # fmt: skip


def mark(scale: float) -> Iterable[Row]:
    """Rows about how long a commit waits while figures are restated; ``scale`` is a share of the stated size."""
    channels = max(100, int(_MARKED * scale))
    minutes = 12 * 60
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        folder = Path(name)
        files = write_registry(folder / "registry", channels, parameter="pm10", interval="1min")
        registry = load_registry(files)
        begin = _now() // _HOUR * _HOUR - minutes * _MINUTE
        pipeline = Pipeline(registry, _opened(folder, registry))
        _feed(pipeline, begin, minutes)
        site, station = registry.channels[0].site, registry.channels[0].station
        row = {
            "site": site, "station": station, "parameter": None, "start": begin + _HOUR, "end": begin + 9 * _HOUR,
            "kind": "maintenance", "reason": "bench", "author": "bench", "made": begin, "state": "waiting", "answer": "",
        }  # fmt: skip
        with pipeline.record.transaction() as connection:
            connection.execute(sa.insert(schema.mark_request).values(row))
        live = begin + minutes * _MINUTE
        yield _waited("a mark of 8 hours", pipeline, live)
        pipeline.record.engine.dispose()
        del pipeline
        gc.unfreeze()
        with (files / "sites" / f"{site}.toml").open("a", encoding="utf-8") as file:
            file.write(_CALIBRATION)
        changed = load_registry(files)
        pipeline = Pipeline(changed, _opened(folder, changed))
        yield _waited("a calibration of 12 hours", pipeline, live + _HOUR)
        pipeline.record.engine.dispose()


def _waited(what: str, pipeline: Pipeline, live: int) -> Row:
    """Restate as the worker does, with a minute of all devices committed between two turns."""
    gc.freeze()  # as the worker after its start
    waits, done, minute = [], False, 0
    while not done:
        begun, busy = time.perf_counter(), time.process_time()
        while time.perf_counter() - begun < STEPS and not done:
            done = not pipeline.carry_on(live)
        waits.append((time.perf_counter() - begun, time.process_time() - busy))
        _feed(pipeline, live + minute * _MINUTE, 1, stretch=1)
        minute += 1
    (longest, _), channels = max(waits), len(pipeline.registry.channels)
    worked = max(busy for _, busy in waits)
    what = f"longest wait of a commit for {what}, {channels:,} channels, {len(waits)} turns"
    measured = f"{longest * 1000:.0f} ms, {worked * 1000:.0f} ms CPU"
    return Row("mark", what, measured, f"{_WAIT_AT_MOST * 1000:.0f} ms", longest / _WAIT_AT_MOST, "<=", 1.0)


def disk(scale: float) -> Iterable[Row]:
    """Rows about the bytes of a reading that came alone, up to the archive; ``scale`` is a share of the stated size."""
    channels = max(100, int(_STORED * scale))
    minutes = 24 * 60
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        folder = Path(name)
        registry = load_registry(write_registry(folder / "registry", channels, parameter="pm10", interval="1min"))
        record = _opened(folder, registry)
        midnight = (_now() // (24 * _HOUR) - 4) * 24 * _HOUR - 8 * _HOUR
        _feed(Pipeline(registry, record), midnight, minutes, stretch=1)
        readings, now = channels * minutes, midnight + 72 * _HOUR
        committed, whole = _used(record.engine)
        yield Row("disk", f"a reading as it was committed, {readings:,}", f"{committed / readings:.1f} bytes", "", None)
        archive, key = Archive(folder / "archive"), SigningKey(folder / "keys")
        for site in registry.sites:
            root = grow(record.engine, site, now)
            for _ in merge(record.engine, site.id, root.through.block, now, everything=True):
                pass
        kept, whole_kept = _used(record.engine)
        yield _bytes("kept, in blocks of an hour", "kept", kept / readings)
        entries = list(seal(record.engine, registry.sites, archive, key, now, 24 * _HOUR))
        yield _bytes("in the archive", "archived", sum(entry.size for entry in entries) / readings)
        place = str(folder / "archive")
        pruned = sum(p.readings for p in prune(record.engine, registry, place, key.public, now, 1, registry.sites))
        left, whole_left = _used(record.engine)
        yield _bytes(f"left after pruning of {pruned:,}", "left", left / readings)
        figures = ", ".join(f"{size / readings:.1f}" for size in (whole, whole_kept, whole_left))
        yield Row("disk", "the whole record, its figures and accounts too: the same", f"{figures} bytes", "", None)
        record.engine.dispose()


def _used(engine: sa.Engine) -> tuple[int, int]:
    """Bytes of the pages that readings take with their index, and of all pages in use."""
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").all()
    sizes = {name: int(size) for name, size in pages}
    return sizes["reading_block"] + sizes["ix_reading_block_channel_hour"], sum(sizes.values())


def _bytes(what: str, bound: str, measured: float) -> Row:
    most = _BYTES[bound]
    return Row("disk", f"a reading {what}", f"{measured:.1f} bytes", f"{most} bytes", measured / most, "<=", 1.0)


def pages(scale: float) -> Iterable[Row]:
    """Rows about the pages of many mines under live commits; ``scale`` is a share of the stated size."""
    mines = max(60, int(_MINES * scale))
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        folder = Path(name)
        files = folder / "registry"
        write_registry(files, mines * _PER_MINE, parameter="pm10", interval="1min", per_site=_PER_MINE)
        registry = load_registry(files)
        pipeline = Pipeline(registry, _opened(folder, registry))
        minutes = 26 * 60
        begin = _now() // _MINUTE * _MINUTE - minutes * _MINUTE
        _feed(pipeline, begin, minutes)
        stop = threading.Event()

        def commits() -> None:
            minute = minutes
            while not stop.wait(1.0):
                _feed(pipeline, begin + minute * _MINUTE, 1, stretch=1)
                minute += 1

        with serving(folder) as web:
            paths = [
                "/", "/?page=2", "/comparison", "/wall", "/evidence", "/public", "/exceedances",
                f"/sites/{registry.sites[-1].id}", "/api/v1/latest", "/metrics",
            ]  # fmt: skip
            server = psutil.Process(web.process)
            for path in paths:
                web.get(path)
            before = server.memory_info().rss
            live = threading.Thread(target=commits)
            live.start()
            try:
                asked = _asked(web, server, paths)
            finally:
                stop.set()
                live.join()
            after = server.memory_info().rss
        pipeline.record.engine.dispose()
    yield from _answers(asked, mines)
    yield Row(
        "pages", "memory of the server", f"{after / 1e6:.0f} MB", f"{before / 1e6:.0f} MB", after / before, "<=", _FLAT
    )


def _asked(web: Web, server: psutil.Process, paths: Sequence[str]) -> dict[str, tuple[list[float], float]]:
    """Time of each answer, and the CPU time of the server for one [s].

    The paths take turns, slower than the commits come: no answer is one of a record at rest.
    """
    times: dict[str, list[float]] = {path: [] for path in paths}
    busy = dict.fromkeys(paths, 0.0)
    for _ in range(_ASKED):
        for path in paths:
            before = sum(server.cpu_times()[:2])
            times[path].append(web.get(path)[1])
            busy[path] += sum(server.cpu_times()[:2]) - before
            time.sleep(_BETWEEN)
    return {path: (times[path], busy[path] / _ASKED) for path in paths}


def _answers(asked: dict[str, tuple[list[float], float]], mines: int) -> Iterator[Row]:
    for path, (times, busy) in asked.items():
        slow = float(np.percentile(times, 99))
        yield Row(
            "pages", f"{path} of {mines:,} mines, under commits",
            f"median {np.median(times):.2f} s, 99 % {slow:.2f} s, {busy:.2f} s CPU", f"{_PAGE_AT_MOST:.0f} s",
            slow / _PAGE_AT_MOST, "<=", 1.0,
        )  # fmt: skip
