"""The worker is killed again and again under fifty data loggers that send again what was not answered."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from greenmine.cli.work import work
from greenmine.collector.hj212.sm4 import Sm4Key
from greenmine.loading import load_registry
from greenmine.settings import Settings
from tests.loggers import PASSWORD, TcpLogger, mn_of, write_mine
from tests.ports import free_port
from tests.records import record_in
from tests.system.running import COMMAND, PATIENCE, Worker, until
from tests.system.stored import Stored

LOGGERS = 50
FRAMES = 120
"""Of each logger."""
KILLS = 6
VALUES = {"a34002-Rtd": 50.5, "LA-Rtd": 55.0, "a01006-Rtd": 1001}
OVERTIME = 2.0
"""How long a logger waits for an answer before it sends again [s]."""
STEP = 10_000
"""Between the instants of its frames [ms]."""


OLD, NEW = "000102030405060708090a0b0c0d0e0f", "fedcba98765432100123456789abcdef"
"""Keys by which every other logger encrypts; they change amid the kills."""


class Sent(NamedTuple):
    """What the loggers did; ``keys`` counts their answered frames by the key of each."""

    frames: int
    resent: int
    keys: Counter[str]


async def logger_life(port: int, number: int, start: int, key: Callable[[], str] = str, frames: int = FRAMES) -> Sent:
    """Send all frames in order, each until it is answered: to a new connection if need be, never one that was answered."""
    sent, n, keys = 0, 0, Counter[str]()
    while n < frames:
        with suppress(OSError, TimeoutError, AssertionError):
            async with TcpLogger(port, number) as logger:
                while n < frames:
                    qn = f"{20260801000000000 + n}"
                    message = logger.message("2011", VALUES, time=start + n * STEP, qn=qn)
                    logger.key = Sm4Key(used) if (used := key()) else None
                    logger.write(message)
                    sent += 1
                    while (answer := await logger.answer(OVERTIME)) is None or answer.qn != qn:
                        assert answer is not None
                    n += 1
                    keys[used] += 1
        await asyncio.sleep(0.05)
    return Sent(n, sent - n, keys)


class Killed(NamedTuple):
    """What is left when all loggers have been answered."""

    stored: Stored
    sent: Sent
    start: int
    interrupted: int


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    folder: Path = tmp_path_factory.mktemp("loggers-killed")
    registry = write_mine(
        folder / "registry", loggers=LOGGERS, parameters=("pm10", "laeq", "pressure"), more="obeys = false"
    )
    port = free_port()
    start = time.time_ns() // 1_000_000 // 60_000 * 60_000 - FRAMES * STEP
    pauses = np.random.default_rng(212).uniform(0.05, 0.4, KILLS)
    held = folder / "keys"
    held.write_text("".join(f"{mn_of(number)} = {OLD}\n" for number in range(0, LOGGERS, 2)))
    given = {
        "registry": registry, "hj212_port": port, "hj212_password": PASSWORD, "hj212_rate": 1000.0, "hj212_sm4_keys": held,
    }  # fmt: skip
    interrupted, current = 0, OLD

    async def live(worker: Worker) -> Sent:
        nonlocal interrupted, current
        lives = asyncio.gather(
            *(logger_life(port, number, start, str if number % 2 else lambda: current) for number in range(LOGGERS))
        )
        for kill, pause in enumerate(pauses):
            if (
                kill == KILLS // 2
            ):  # loggers change as soon as the file has both, before the server has looked at it again
                held.write_text(held.read_text() + held.read_text().replace(OLD, NEW))
                current = NEW
            before = worker.count("stored")
            await asyncio.to_thread(
                until, lambda before=before: worker.count("stored") > before, "readings to be stored"
            )
            await asyncio.sleep(pause)
            interrupted += not lives.done()
            await asyncio.to_thread(worker.kill)
            worker.start()
        parts = await asyncio.wait_for(lives, 2 * PATIENCE)
        keys = sum((part.keys for part in parts), Counter[str]())
        return Sent(sum(part.frames for part in parts), sum(part.resent for part in parts), keys)

    with Worker(folder, free_port(), **given) as worker:
        sent = asyncio.run(live(worker))
        worker.stop()
    return Killed(Stored(record_in(folder), load_registry(registry)), sent, start, interrupted)


def test_the_kills_found_the_loggers_at_work(killed: Killed) -> None:
    assert killed.interrupted == KILLS
    assert killed.sent.frames == LOGGERS * FRAMES
    assert killed.sent.resent > 0
    assert set(killed.sent.keys) == {"", OLD, NEW}
    assert killed.sent.keys.total() == LOGGERS * FRAMES


def test_every_answered_frame_is_stored_once(killed: Killed) -> None:
    counts = Counter(killed.stored.instants())
    assert set(counts.values()) == {1}
    assert counts.keys() == {
        (f"pit/gate-{number}/{parameter}", killed.start + n * STEP)
        for number in range(LOGGERS)
        for parameter in ("pm10", "laeq", "pressure")
        for n in range(FRAMES)
    }


def test_the_ledger_of_the_loggers_adds_up(killed: Killed) -> None:
    ledger = killed.stored.ledger
    assert ledger["stored"] == LOGGERS * FRAMES * len(VALUES)
    assert ledger["received"] == ledger["stored"] + ledger["duplicate"]
    assert ledger["received"] == ledger["messages"] * len(VALUES)
    assert killed.sent.frames <= ledger["messages"] <= killed.sent.frames + killed.sent.resent
    assert all(received == sum(parts) for received, *parts in killed.stored.ledger_rows)
    assert len(killed.stored.ledger_rows) == LOGGERS


def test_a_port_in_use_ends_the_worker_with_the_reason(tmp_path: Path) -> None:
    registry = write_mine(tmp_path / "registry")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        given = {"data": tmp_path, "registry": registry, "broker_port": free_port(), "hj212_port": port}
        with pytest.raises(SystemExit, match=rf"port {port}: .*address already in use; GREENMINE_HJ212_HOST"):
            work(Settings.model_validate({**given, "hj212_password": PASSWORD}), threading.Event())


def test_the_worker_tells_of_its_loggers(tmp_path: Path) -> None:
    registry = write_mine(tmp_path / "registry", more="obeys = false")
    given = {"registry": registry, "hj212_port": free_port(), "hj212_password": PASSWORD}

    def told() -> str:
        with closing(sqlite3.connect(f"file:{worker.record}?mode=ro", uri=True)) as connection:
            return str(connection.execute("select status from worker").fetchone())

    with Worker(tmp_path, free_port(), **given) as worker:
        until(lambda: any("listening for data loggers" in line for line in worker.lines()), "the server")
        asyncio.run(logger_life(given["hj212_port"], 0, time.time_ns() // 1_000_000 - FRAMES * STEP))  # type: ignore[arg-type]
        until(lambda: f'"answered":{FRAMES}' in told(), "the status")
        said = subprocess.run(
            [COMMAND, "status"],
            env=os.environ | {"GREENMINE_DATA": str(tmp_path), "GREENMINE_REGISTRY": str(registry)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (said.returncode, said.stderr) == (0, "")
        shown = " ".join(said.stdout.split())
        assert "The worker runs, no broker needed" in shown
        assert f"{FRAMES} answered" in shown
        assert PASSWORD not in told()
        worker.stop()
    assert PASSWORD not in "".join(worker.lines())
