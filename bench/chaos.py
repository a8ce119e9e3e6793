"""Every part is killed, the disk is full, the clock is wrong: what was acknowledged is there once, with the right figures."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import numpy as np

from bench.table import Row
from greenmine.cli.run import Part, prepare
from greenmine.loading import load_registry
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.simulators.mine import stream
from greenmine.simulators.publish import publish
from greenmine.times import now
from tests.influxing import RealInflux
from tests.loggers import PASSWORD, write_mine
from tests.ports import free_port
from tests.system.disturbed import DAY, Traffic, disturbed_traffic, traffic_of
from tests.system.running import COMMAND, SMALL, Process, RestartableBroker, Worker, until
from tests.system.stored import Stored, assert_same
from tests.system.test_logger_kill import STEP, VALUES, logger_life

MINUTES: Final = 15.0
_SHARES: Final = {"parts": 0.65, "loggers": 0.2}
"""Of the time; the rest is for clock and disk."""
_KEEP: Final = 3.0
"""See docs/decisions/0002-broker-persistence.md [s]."""
_DAYS: Final = 3
_LOGGERS: Final = 20
_ROOM: Final = 1_500_000
"""Of the disk that is full [bytes]."""
_FULL: Final = 6_000
"""Messages sent to it."""
_LEAPS: Final = ("-6m", "+6m", "-1d", "+1d")
"""Of the server's clock."""
_LEAP: Final = 13.0
"""How long each lasts, and what lies between them [s]."""
_FIGURES: Final = ("statistics", "verdicts", "sliding", "exceedances")
_LIBRARY: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")


def measure(minutes: float) -> Iterator[Row]:
    """Rows of the table, in about so many minutes."""
    registry = load_registry()
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        folder = Path(name)
        traffic = disturbed_traffic(registry, "yanjing", seed=20170113, days=_DAYS)
        calm = _calm(folder / "calm", registry, traffic)
        kills, found = _parts(folder / "parts", registry, traffic, 60 * minutes * _SHARES["parts"])
        yield from _compared(f"{kills} kills of every part", traffic, found, calm)
        yield from _loggers(folder / "loggers", 60 * minutes * _SHARES["loggers"])
        yield from _full_disk(folder / "disk", registry, traffic.part(_FULL))
        yield from _wrong_clock(folder / "clock", registry)


def _compared(what: str, traffic: Traffic, found: Stored, calm: Stored | None) -> Iterator[Row]:
    counts = Counter(found.instants())
    lost = len(traffic.instants - counts.keys() - found.late)
    doubled = counts.total() - len(counts)
    told = f"of {len(traffic.instants):,} readings"
    yield Row("chaos", f"{what}: lost", f"{lost} {told}", "none", float(lost), "<=", 0.0)
    yield Row("chaos", f"{what}: doubled", f"{doubled} {told}", "none", float(doubled), "<=", 0.0)
    if calm is not None:
        wrong = [figures for figures in _FIGURES if not _same(getattr(found, figures), getattr(calm, figures))]
        said = ", ".join(wrong) or "none"
        yield Row(
            "chaos", f"{what}: kinds of figures that differ", said, "an undisturbed run", float(len(wrong)), "<=", 0.0
        )


def _same(
    found: dict[tuple[object, ...], tuple[object, ...]], calm: dict[tuple[object, ...], tuple[object, ...]]
) -> bool:
    try:
        assert_same(found, calm)
    except AssertionError:
        return False
    return True


def _calm(folder: Path, registry: Registry, traffic: Traffic) -> Stored:
    with RestartableBroker(folder / "broker") as broker, Worker(folder, broker.port) as worker:
        worker.await_connection()
        broker.publish(traffic.messages)
        worker.await_all(lambda: worker.count("received"), traffic.received)
    return Stored(folder / "record.sqlite", registry)


def _parts(folder: Path, registry: Registry, traffic: Traffic, seconds: float) -> tuple[int, Stored]:
    """Kill one part after the other, or with the worker the broker, while a mine's days are sent."""
    rng = np.random.default_rng(14)
    folder.mkdir()
    prepare(Settings(data=folder))
    kills = 0
    with ExitStack() as stack:
        server = stack.enter_context(RealInflux(folder / "influx"))
        broker = stack.enter_context(RestartableBroker(folder / "broker"))
        worker = stack.enter_context(Worker(folder, broker.port, checkpoint_seconds=1))
        influx = {"influx_url": server.url, "influx_version": "1"}
        more: dict[Part, dict[str, object]] = {
            "archivist": {}, "builder": {}, "web": {"port": 0}, "notifier": {}, "projection": influx,
        }  # fmt: skip
        others = {
            name: stack.enter_context(Process(name, folder, broker.port, **given)) for name, given in more.items()
        }  # type: ignore[arg-type]
        victims: list[tuple[Process | RestartableBroker, ...]] = [(worker,), (broker,), (worker, broker)]
        victims += [(part,) for part in others.values()]
        worker.await_connection()
        time.sleep(_KEEP)  # by then the new session is saved
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(broker.publish, traffic.messages, keep=_KEEP, speed=_DAYS * DAY / 1000 / seconds)
            while not sending.done():
                before = worker.count("received")
                for place in rng.permutation(len(victims)):
                    time.sleep(rng.uniform(0.0, 0.8))
                    for part in victims[place]:
                        part.kill()
                    for part in reversed(victims[place]):
                        part.start()
                    kills += len(victims[place])
                # However long a part takes to start on a busy machine: each round is to find something at work.
                until(
                    lambda before=before: sending.done() or worker.count("received") > before, "readings to be stored"
                )
            worker.await_all(worker.accounted, len(traffic.instants))
            assert sending.result().messages == len(traffic.messages)
        assert all(part.alive() for part in others.values()), "one ended by itself"
        worker.stop()
    return kills, Stored(folder / "record.sqlite", registry)


def _loggers(folder: Path, seconds: float) -> Iterator[Row]:
    """Kill the server for data loggers while they send what is not answered again and again."""
    folder.mkdir()
    registry = write_mine(
        folder / "registry", loggers=_LOGGERS, parameters=("pm10", "laeq", "pressure"), more="obeys = false"
    )
    port = free_port()
    frames = max(100, int(seconds * 2))
    start = time.time_ns() // 60_000_000_000 * 60_000 - frames * STEP
    given = {"registry": registry, "hj212_port": port, "hj212_password": PASSWORD, "hj212_rate": 1000.0}
    rng = np.random.default_rng(212)

    async def live(worker: Worker) -> int:
        lives = asyncio.gather(*(logger_life(port, number, start, frames=frames) for number in range(_LOGGERS)))
        kills, ending = 0, time.monotonic() + seconds
        while time.monotonic() < ending and not lives.done():
            before = worker.count("stored")
            await asyncio.to_thread(
                until, lambda before=before: lives.done() or worker.count("stored") > before, "readings to be stored"
            )
            await asyncio.sleep(rng.uniform(0.05, 0.4))
            await asyncio.to_thread(worker.kill)
            worker.start()
            kills += 1
        await lives
        return kills

    with Worker(folder, free_port(), **given) as worker:
        kills = asyncio.run(live(worker))
        worker.stop()
    counts = Counter(Stored(folder / "record.sqlite", load_registry(registry)).instants())
    sent = _LOGGERS * frames * len(VALUES)
    what = f"{kills} kills of the server for data loggers"
    lost, doubled = sent - len(counts), counts.total() - len(counts)
    yield Row("chaos", f"{what}: lost", f"{lost} of {sent:,} answered readings", "none", float(lost), "<=", 0.0)
    yield Row("chaos", f"{what}: doubled", f"{doubled} of {sent:,}", "none", float(doubled), "<=", 0.0)


def _full_disk(folder: Path, registry: Registry, part: Traffic) -> Iterator[Row]:
    """Send to a small file system that becomes full, kill the worker there, and make room."""
    disk = folder / "disk"
    disk.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        yield Row("chaos", "full disk", "skipped: may not mount a file system", "", None)
        return
    try:
        with (
            RestartableBroker(folder / "broker") as broker,
            Worker(folder, broker.port, data=disk, batch_readings=300) as worker,
        ):
            worker.await_connection()
            broker.publish(part.messages)
            for times in range(1, 4):
                until(lambda: sum("takes no readings" in line for line in worker.lines()) >= times, "a full disk")  # noqa: B023
                worker.kill()
                worker.start()
            subprocess.run(["mount", "-o", "remount,size=500m", str(disk)], check=True)
            worker.await_all(worker.accounted, len(part.instants))
            worker.stop()
            found = Stored(worker.record, registry)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    yield from _compared("full disk, worker killed 3 times there", part, found, None)


class _Clocked(Worker):
    """A worker, as the command starts it, whose clock is set by a file."""

    def __init__(self, folder: Path, port: int) -> None:
        self._clock = folder / "clock"
        self._environment = {
            **os.environ, "LD_PRELOAD": str(_LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(self._clock), "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1", "GREENMINE_DATA": str(folder), "GREENMINE_BROKER_PORT": str(port),
            "GREENMINE_BATCH_READINGS": str(SMALL),
        }  # fmt: skip
        self.set("+0")
        super().__init__(folder, port)

    def set(self, offset: str) -> None:
        """Set its clock off the machine's, such as ``-6m``."""
        self._clock.write_text(offset)

    def start(self) -> None:
        with self.log.open("ab") as log:
            command = [COMMAND, "run", "--only", "worker"]
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)  # type: ignore[assignment]

    def alive(self) -> bool:
        return self._popen.poll() is None

    def _ended(self) -> int | None:
        return self._popen.wait(60)

    @property
    def _popen(self) -> subprocess.Popen[bytes]:
        return self.process  # type: ignore[return-value]


def _wrong_clock(folder: Path, registry: Registry) -> Iterator[Row]:
    """Set the server's clock wrong, and right again, while devices of all mines send what they measure now."""
    if not _LIBRARY.exists():
        yield Row("chaos", "wrong clock", "skipped: apt-get install faketime", "", None)
        return
    folder.mkdir()
    calm = folder / "calm"
    with RestartableBroker(folder / "broker") as broker, _Clocked(folder, broker.port) as worker:
        worker.await_connection()
        begin = now()
        sites = [site.id for site in registry.sites]
        traffic = traffic_of(
            registry, stream(registry, sites, 5, begin, begin + round(2000 * _LEAP * (len(_LEAPS) + 1)))
        )
        with ThreadPoolExecutor() as pool:
            sending = pool.submit(publish, traffic.messages, "127.0.0.1", broker.port, speed=1.0, since=begin)
            for leap in _LEAPS:
                for offset in ("+0", leap):
                    worker.set(offset)
                    time.sleep(_LEAP)
            worker.set("+0")
            sending.result()
        worker.await_all(worker.accounted, len(traffic.instants))
        worker.stop()
        found = Stored(worker.record, registry)
    what = f"the server's clock set by {', '.join(_LEAPS)} and back"
    yield from _compared(what, traffic, found, _calm(calm, registry, traffic))
