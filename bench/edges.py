"""Who holds connections, streams or guesses passwords as hard as one address can: how long do the others wait?"""

from __future__ import annotations

import asyncio
import http.client
import io
import itertools
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, redirect_stdout
from pathlib import Path
from socket import create_connection
from typing import Final

from bench import loggers
from bench.table import Row
from greenmine.collector.hj212.encode import encode_frame
from tests.ports import free_port
from tests.system.proxied import Proxy
from tests.system.running import until

_SECONDS: Final = 10.0
"""Of looking at others while an attack goes on."""
_EVERY: Final = 0.1
_BOUND: Final = 1.0
"""Longest that others may wait [s]."""
_SLOW: Final = 1_100
_STREAMS: Final = 510
_LOGGERS: Final = 5_000
_GUESSERS: Final = 8
_PATIENCE: Final = 180.0


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        with _demo(Path(name)) as (port, headers):
            yield from _pages(Path(name), port, headers)
        yield from _loggers(Path(name) / "loggers")


def _row(what: str, waits: list[float], said: str = "") -> Row:
    measured = f"worst {max(waits):.2f} s of {len(waits)}{said}"
    return Row("edges", what, measured, f"{_BOUND:g} s", max(waits) / _BOUND, "<=", 1)


@contextmanager
def _demo(directory: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The demo with a day of history: its port, and headers of an administrator."""
    port, data = free_port(), directory / "demo"
    program = [Path(sys.executable).with_name("greenmine"), "demo", "--data", data, "--port", str(port), "--days", "1"]
    with (directory / "demo.log").open("wb") as log, subprocess.Popen(program, stdout=log, stderr=log) as demo:
        try:
            until(lambda: b"History complete" in (directory / "demo.log").read_bytes(), "the demo", _PATIENCE)
            yield port, {"Authorization": f"Bearer {(data / 'demo-token').read_text().strip()}"}
        finally:
            demo.send_signal(signal.SIGINT)


def _watched(ask: Callable[[], None]) -> list[float]:
    """How long each of many asks took [s]."""
    waits = []
    end = time.perf_counter() + _SECONDS
    while (begun := time.perf_counter()) < end:
        ask()
        waits.append(time.perf_counter() - begun)
        time.sleep(_EVERY)
    return waits


def _pages(directory: Path, port: int, headers: dict[str, str]) -> Iterator[Row]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    def ask() -> None:
        for path in ("/sign-in", "/api/v1/latest"):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)) as connection:
                connection.request("GET", path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == 200, answer.status

    yield Row(
        "edges", "a page and the newest readings, nobody else there", f"worst {max(_watched(ask)):.2f} s", "", None
    )

    with redirect_stdout(io.StringIO()):
        proxy = Proxy(directory / "proxy", port)
    try:
        with ExitStack() as held:
            for number in range(_SLOW):
                held.callback(create_connection(("127.0.0.1", proxy.port), 10).close)
                if number % 10 == 0:
                    slow = proxy.connect()
                    held.callback(slow.close)
                    slow.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ")
            statuses: Counter[int] = Counter()

            def through() -> None:
                for path in ("/sign-in", "/api/v1/latest"):
                    statuses[proxy.get(path, source="127.0.0.2", more=lines).status] += 1

            waits = _watched(through)
        assert set(statuses) == {200}, statuses
        yield _row(f"pages for another address, {_SLOW:,} connections with half a head at the proxy", waits)
    finally:
        proxy.close()

    with ExitStack() as held:
        taken: Counter[int] = Counter()
        for _ in range(_STREAMS):
            stream = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
            held.callback(stream.close)
            stream.request("GET", "/api/v1/events", headers=headers)
            taken[stream.getresponse().status] += 1
        yield _row(f"pages, {_STREAMS} streams of one token", _watched(ask), f"; answers {dict(taken)}")

    done = threading.Event()
    tried: Counter[int] = Counter()

    names = itertools.cycle(("administrator", "supervisor", "kunyin", "nobody"))

    def guess() -> None:
        typed = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{port}"}
        while not done.is_set():
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)) as connection:
                connection.request("POST", "/sign-in", f"name={next(names)}&password=guess", typed)
                tried[connection.getresponse().status] += 1

    guessers = [threading.Thread(target=guess) for _ in range(_GUESSERS)]
    for guesser in guessers:
        guesser.start()
    waits = _watched(ask)
    done.set()
    for guesser in guessers:
        guesser.join()
    yield _row(f"pages, passwords guessed over {_GUESSERS} connections", waits, f"; answers {dict(tried)}")


def _loggers(directory: Path) -> Iterator[Row]:
    with loggers.station(directory) as port:
        for guesses, what in ((False, "that say nothing"), (True, "each with a wrong password")):
            waits, held = asyncio.run(_crowd(port, guesses=guesses))
            yield _row(f"answers to a logger, {_LOGGERS:,} connections {what}", waits, f"; {held:,} were let in")


async def _crowd(port: int, *, guesses: bool) -> tuple[list[float], int]:
    """How long a logger's answers took, and how many others were connected at the end."""
    life = await loggers.Life.begin(port, 0)
    await life.exchange()
    crowd: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def gather() -> None:
        for number in range(_LOGGERS):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                continue
            crowd.append((reader, writer))
            if guesses:
                text = (
                    f"QN=20261101000000000;ST=39;CN=2011;PW={number % 10**6:06d};MN={loggers.mn_of(1)};Flag=5;CP=&&&&"
                )
                writer.write(encode_frame(text.encode()))

    gathering = asyncio.create_task(gather())
    waits = []
    end = time.perf_counter() + _SECONDS
    while not gathering.done() or time.perf_counter() < end:
        waits.append(await life.exchange())
        await asyncio.sleep(_EVERY)
    await gathering
    held = sum(not (reader.at_eof() or writer.is_closing()) for reader, writer in crowd)
    for _, writer in crowd:
        writer.transport.abort()
    life.close()
    return waits, held
