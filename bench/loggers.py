"""How long a thousand data loggers wait for the answers of the worker, which come after the commit."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import resource
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Self

import numpy as np
import structlog

from bench.sites import device_of
from bench.table import Row
from greenmine.cli.work import work
from greenmine.collector.hj212.encode import encode_frame
from greenmine.parameters import Parameter, load_parameters
from greenmine.settings import Settings
from tests.ports import free_port

LOGGERS: Final = 1_000
_PARAMETERS: Final = (
    "pm10", "pm2.5", "tsp", "laeq", "lafmax", "wind-speed", "wind-direction", "air-temperature", "humidity", "pressure",
    "rain", "ss", "cod", "nh3-n", "do",
)  # fmt: skip
_INTERVAL: Final = 30.0
"""Between the frames of a logger [s]."""
_ROUNDS: Final = 3
"""Frames of each logger: a minute from the first to the last."""
_OVERTIME: Final = 10.0
"""What the standard lets a logger wait before it sends again [s] (HJ 212-2017, 6.5)."""
_PASSWORD: Final = "bench1"
_PROFILE: Final = """
[[profiles]]
id = "logger"
format = "hj212"
zone = "Asia/Shanghai"
interval = "30s"
sends_flags = true
[profiles.units]
{units}
[profiles.hj212]
obeys = false
"""
_SITE: Final = """
id = "{site}"
enterprise = "bench"
name_zh = "测试矿"
name_en = "Bench mine"
zone = "Asia/Shanghai"
product_zh = "页岩"
product_en = "Shale"
scale = "1"
batch = 1
batch_years = "2017–2018"
requirement_items = []
source = "made for measuring"
position = {{ latitude = 30.86, longitude = 108.33 }}
"""
_DEVICE: Final = """
[[stations]]
id = "{device}"
name_zh = "测点"
name_en = "Station"
role = "boundary"
position = {{ latitude = 30.86, longitude = 108.33 }}
noise_class = "2"
limits = ["gb12348-class2-day", "gb12348-class2-night"]
[[devices]]
id = "{device}"
profile = "logger"
station = "{device}"
parameters = [{parameters}]
mn = "{mn}"
"""


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    for spread, how in ((_INTERVAL, "one after the other"), (0.0, "all at the same instant")):
        with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
            waits = _run(Path(name), spread)
        p50, p99, worst = np.quantile(waits, [0.5, 0.99, 1.0])
        what = f"answers to {LOGGERS:,} loggers, {len(_PARAMETERS)} factors each {_INTERVAL:g} s, {how}"
        measured = f"median {1000 * p50:,.0f} ms, 99 % {1000 * p99:,.0f} ms, worst {1000 * worst:,.0f} ms"
        yield Row("loggers", what, measured, f"timeout of the standard {_OVERTIME:g} s", p99 / _OVERTIME, "<=", 1)


@contextmanager
def station(directory: Path) -> Iterator[int]:
    """The worker with loggers in its registry and no broker; the port at which it hears them."""
    port = free_port()
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        data=directory / "data",
        registry=_write_registry(directory / "registry"),
        broker_port=1,  # there is none: loggers need no broker
        hj212_port=port,
        hj212_password=_PASSWORD,  # type: ignore[arg-type]
    )
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(settings,))
    server.start()
    try:
        while True:
            assert server.is_alive(), "the worker has ended"
            try:
                socket.create_connection(("127.0.0.1", port)).close()
            except OSError:
                time.sleep(0.2)
            else:
                break
        yield port
    finally:
        server.terminate()
        server.join()


def _run(directory: Path, spread: float) -> list[float]:
    """How long each answer took [s]."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    with station(directory) as port:
        clients = context.Process(target=_send, args=(there, port, spread))
        clients.start()
        try:
            while not here.poll(1.0):
                assert clients.is_alive(), "the loggers have ended"
            waits: list[float] = here.recv()
        finally:
            clients.terminate()
            clients.join()
    return waits


def _serve(settings: Settings) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    work(settings, threading.Event())


def _send(pipe: Connection, port: int, spread: float) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pipe.send(asyncio.run(_fleet(port, spread)))


async def _fleet(port: int, spread: float) -> list[float]:
    ready = asyncio.Barrier(LOGGERS)
    lives = [_life(port, number, spread * number / LOGGERS, ready) for number in range(LOGGERS)]
    return [wait for life in await asyncio.gather(*lives) for wait in life]


async def _life(port: int, number: int, delay: float, ready: asyncio.Barrier) -> list[float]:
    """Connect, name oneself, wait for all others, and send each interval; how long each answer took [s]."""
    await asyncio.sleep(number / 500)
    life = await Life.begin(port, number)
    waits: list[float] = []
    await life.exchange()
    await ready.wait()
    begun = time.perf_counter() + 1.0 + delay
    for n in range(_ROUNDS):
        await asyncio.sleep(max(0.0, begun + n * _INTERVAL - time.perf_counter()))
        waits.append(await life.exchange())
    life.close()
    return waits


class Life:
    """A logger that is connected."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number = number
        self._reader = reader
        self._writer = writer
        self._sent = 0

    @classmethod
    async def begin(cls, port: int, number: int) -> Self:
        """Connect."""
        return cls(number, *await asyncio.open_connection("127.0.0.1", port))

    async def exchange(self) -> float:
        """Send a frame; how long its answer took [s]."""
        stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + 8 * 3600))
        shown = 50 + (self._number + self._sent) % 9
        values = ";".join(f"{p.hj212}-Rtd={shown},{p.hj212}-Flag=N" for p in _parameters())
        head = f"QN={stamp}{self._sent % 1000:03d};ST=39;CN=2011;PW={_PASSWORD};MN={mn_of(self._number)};Flag=5;"
        self._sent += 1
        self._writer.write(encode_frame(f"{head}CP=&&DataTime={stamp};{values}&&".encode()))
        begun = time.perf_counter()
        answer = await self._reader.readuntil(b"\r\n")
        assert b"CN=9014" in answer
        return time.perf_counter() - begun

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


@cache
def _parameters() -> list[Parameter]:
    catalogue = load_parameters()
    return [catalogue[name] for name in _PARAMETERS]


def mn_of(number: int) -> str:
    """Number of a logger."""
    return f"BENCH{number:07d}"


def _write_registry(directory: Path) -> Path:
    (directory / "sites").mkdir(parents=True)
    (directory / "enterprises.toml").write_text('[[enterprises]]\nid = "bench"\nname_zh = "测试"\nname_en = "Bench"\n')
    units = "\n".join(f'"{parameter.id}" = "{parameter.unit}"' for parameter in _parameters())
    (directory / "profiles.toml").write_text(_PROFILE.format(units=units))
    named = ", ".join(f'"{name}"' for name in _PARAMETERS)
    files: dict[str, str] = {}
    for number in range(LOGGERS):
        site, device = device_of(number)
        text = files.setdefault(site, _SITE.format(site=site))
        files[site] = text + _DEVICE.format(device=device, parameters=named, mn=mn_of(number))
    for site, text in files.items():
        (directory / "sites" / f"{site}.toml").write_text(text, encoding="utf-8")
    return directory
