"""Frames of data loggers by way of a gateway and the log: the same figures as taken directly, and nothing answered is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from greenmine.loading import load_registry
from greenmine.record import schema
from greenmine.record.record import open_engine
from greenmine.registry import Registry
from tests.loggers import PASSWORD, TcpLogger, write_mine
from tests.nats_servers import NatsCluster
from tests.ports import free_port
from tests.records import record_in
from tests.system.running import PATIENCE, Process, Worker, until
from tests.system.stored import Stored

MINUTE = 60_000
PROFILE = 'obeys = false\nst = "39"\n'
Frames = list[tuple[int, str, dict[str, Any], dict[str, Any]]]


def mixed(now: int) -> Frames:
    """Messages of two loggers, by number, command and values: sound, repeated, unknown, flagged, wrong, reports, information."""
    at = now // MINUTE * MINUTE - 40 * MINUTE
    frames: Frames = []
    for n in range(30):
        values: dict[str, object] = {"a34002-Rtd": 50 + n, "LA-Rtd": 40 + n / 4, "a01006-Rtd": 1000 + n}
        values |= {"a99999-Rtd": 1} if n % 7 == 0 else {}
        flags = {"a34002": "D"} if n % 5 == 0 else {}
        frames.append((n % 2, "2011", values, {"time": at + n * MINUTE, "flags": flags}))
    frames += [frames[3], (0, "2011", {"a34002-Rtd": 99}, {"time": at + 4 * MINUTE})]
    frames.append((0, "2011", {"a34002-Rtd": 5}, {"time": at + 5 * MINUTE, "st": "32"}))
    frames.append((0, "2011", {"a34002-Rtd": "x"}, {"time": at + 6 * MINUTE + 1000}))
    frames.append((1, "2011", {"a34002-Rtd": 5}, {"time": at + 400_000 * MINUTE}))
    frames.append((1, "2051", {"a34002-Avg": 51.5, "a34002-Min": 50, "LA-Avg": 41}, {"time": at}))
    frames.append((1, "2031", {"LA-DayData": 41, "LA-NightData": 35}, {"time": at // 86_400_000 * 86_400_000}))
    frames.append((0, "3019", {}, {"fields": {"PolId": "a34002", "i13001-Info": "2026"}}))
    frames.append((0, "1013", {}, {}))
    return frames


async def sent(port: int, frames: Frames) -> None:
    """Send what is answered, each on the one connection of its logger, and wait for the answer."""
    async with TcpLogger(port, 0) as first, TcpLogger(port, 1) as second:
        for number, cn, values, more in frames:
            logger = (first, second)[number]
            await logger.upload(logger.message(cn, values, **more))


async def insisted(port: int, one: Frames) -> None:
    """Send as a logger does that connects again, and sends again, until it is answered."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await sent(port, one)
        except (OSError, AssertionError, TimeoutError):
            assert time.monotonic() < deadline, "no answer"
            await asyncio.sleep(0.05)


def await_port(part: Process) -> None:
    until(lambda: any("listening for data loggers" in line for line in part.lines()), "the port")


def kept(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What the record has beside readings, without the moments of receipt."""
    tables = {
        schema.rejection: ("site", "device", "topic", "reason", "detail", "readings", "payload"),
        schema.information: ("site", "device", "command", "time", "content"),
        schema.frame: ("site", "device", "data", "sha256"),
        schema.reported: ("channel", "command", "start", "end", "mean", "minimum", "maximum", "total", "flag"),
        schema.ledger: (
            "day",
            "site",
            "device",
            "messages",
            "received",
            "stored",
            "duplicate",
            "conflict",
            "rejected",
            "late",
        ),
    }
    engine = open_engine(record_in(folder), read_only=True)
    with engine.connect() as connection:
        found = {
            table.name: sorted(map(tuple, connection.execute(sa.select(*(table.c[name] for name in names)))), key=repr)
            for table, names in tables.items()
        }
    engine.dispose()
    return found


class Way:
    """A gateway, the log and a worker; each can be killed and started again."""

    def __init__(self, folder: Path, registry: Registry, path: Path) -> None:
        self.folder, self.port = folder, free_port()
        common = {"registry": path, "hj212_frame_days": 1, "hj212_password": PASSWORD}
        self.log = NatsCluster(folder / "log", registry)
        given = self.log.settings()
        self.worker = Worker(folder, self.log.port, **common, **given)
        self.gateway = Process(
            "gateway", folder, self.log.port, record=None, hj212_port=self.port, **common, **given,
            jetstream_gateway_password=self.log.passwords["gateway"],
        )  # fmt: skip

    def disturb(self, what: str) -> None:
        """Kill one of them, and start it again."""
        if what == "log":
            self.log.kill()
            self.log.start()
        else:
            part = getattr(self, what)
            part.kill()
            part.start()


@pytest.fixture(scope="module")
def frames() -> Frames:
    return mixed(time.time_ns() // 1_000_000)


@pytest.fixture(scope="module")
def registry_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_mine(tmp_path_factory.mktemp("loggers") / "registry", loggers=2, more=PROFILE)


@pytest.fixture(scope="module")
def direct(registry_path: Path, frames: Frames, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where frames went that the worker took itself."""
    folder, port = tmp_path_factory.mktemp("direct"), free_port()
    settings = {"registry": registry_path, "hj212_port": port, "hj212_password": PASSWORD, "hj212_frame_days": 1}
    with Worker(folder, free_port(), **settings) as worker:
        await_port(worker)
        asyncio.run(sent(port, frames))
        worker.stop()
    return folder


@pytest.fixture(scope="module")
def way(registry_path: Path, frames: Frames, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    """The way by a gateway, which the same frames have gone."""
    registry = load_registry(registry_path)
    one = Way(tmp_path_factory.mktemp("by-gateway"), registry, registry_path)
    with one.log, one.worker, one.gateway:
        await_port(one.gateway)
        asyncio.run(sent(one.port, frames))
        one.worker.await_all(lambda: one.worker.count("messages"), len(frames))
        yield one


def test_frames_by_way_of_the_log_become_what_they_become_directly(direct: Path, way: Way, registry_path: Path) -> None:
    registry = load_registry(registry_path)
    by_log, taken = (Stored(record_in(folder), registry) for folder in (way.folder, direct))
    assert {key: rows.tolist() for key, rows in by_log.blocks.items()} == {
        key: rows.tolist() for key, rows in taken.blocks.items()
    }
    assert len(by_log.instants()) > 80
    found, expected = kept(way.folder), kept(direct)
    for table, rows in expected.items():
        assert rows, table
        assert found[table] == rows, table


def test_the_log_has_no_password(way: Way) -> None:
    files = [path for path in (way.folder / "log").rglob("*.blk") if path.is_file()]
    content = b"".join(path.read_bytes() for path in files)
    assert b"a34002-Rtd" in content
    assert PASSWORD.encode() not in content


def test_what_was_answered_is_in_the_record_whatever_is_killed(way: Way, registry_path: Path) -> None:
    began = time.time_ns() // 1_000_000_000 * 1000 - 1_000_000
    answered: list[int] = []
    over = threading.Event()

    async def send_on() -> None:
        while not over.is_set():
            at = began + 1000 * len(answered)
            await insisted(way.port, [(len(answered) % 2, "2011", {"a34002-Rtd": 10 + len(answered)}, {"time": at})])
            answered.append(at)

    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(lambda: asyncio.run(send_on()))
        for what in ("gateway", "log", "worker", "gateway"):
            before = len(answered)
            until(lambda before=before: len(answered) > before, "an answer")
            way.disturb(what)
        over.set()
        sending.result()
    way.worker.await_all(lambda: way.worker.count("messages"), way.log.settled())
    way.worker.stop()
    assert set(answered) <= {at for _, at in Stored(record_in(way.folder), load_registry(registry_path)).instants()}
