"""The commands that start everything, as a stranger starts them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import httpx
import msgspec
import psutil
import pytest
import sqlalchemy as sa
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.cli.mines import STORY, past
from greenmine.collector.mqtt.broker import start_broker
from greenmine.record import schema
from greenmine.record.record import migrate, open_engine
from greenmine.record.status import WorkerStatus
from greenmine.settings import Settings
from tests.ports import free_port
from tests.system.running import COMMAND, PATIENCE, Environment, until

pytestmark = pytest.mark.usefixtures("brokers")

MINES = ["jiuchi", "kunyin", "yanjing", "hengjie", "jianggao"]
MEMORY = 600_000_000
"""Of the whole demo [bytes]."""


class Demo:
    """A running `greenmine demo` and its processes."""

    def __init__(self, environment: Environment, data: Path, *options: str) -> None:
        self.data = data
        self.port = free_port()
        self.log = data.with_suffix(".log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [COMMAND, "demo", "--data", data, "--port", str(self.port), *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=data.parent,
                env=environment.variables({}),
                start_new_session=True,
            )

    def get(self, path: str, **headers: str) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers, timeout=10, trust_env=False)
        except httpx.TransportError:
            return None

    def served(self) -> bool:
        """Whether the pages answer; a demo that has ended says at once why."""
        assert self.process.poll() is None, self.log.read_text()
        answer = self.get("/healthz")
        return answer is not None and answer.status_code == 200

    def family(self) -> list[psutil.Process]:
        """All its processes, also those whose parent is gone: they name the data directory or belong to its session."""
        return [p for p in psutil.process_iter() if self._mine(p)]

    def memory(self) -> int:
        """Proportional share of memory of all processes [bytes]."""
        total = 0
        for process in self.family():
            with suppress(psutil.NoSuchProcess):  # ended since it was listed
                total += process.memory_full_info().pss
        return total

    def _mine(self, process: psutil.Process) -> bool:
        try:
            of_session = os.getsid(process.pid) == self.process.pid
            named = str(self.data) in " ".join(process.cmdline())
            return (of_session or named) and process.status() != psutil.STATUS_ZOMBIE
        except (psutil.Error, ProcessLookupError):
            return False


@pytest.fixture
def demo(environment: Environment, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Demo]:
    """The live demo with a history of some days, which is in, and its page served."""
    running = Demo(environment, tmp_path / "var", "--days", request.param)
    try:
        until(running.served, "the page to be served")
        until(lambda: "History complete" in running.log.read_text(), f"the history: {running.log.read_text()}")
        yield running
    finally:
        for process in running.family():
            process.kill()
        running.process.wait(PATIENCE)


@pytest.mark.parametrize("demo", ["0.2"], indirect=True)
def test_it_shows_five_mines_with_live_values_in_little_memory_until_ctrl_c(demo: Demo) -> None:
    token = (demo.data / "demo-token").read_text().strip()
    sites = demo.get("/api/v1/sites", Authorization=f"Bearer {token}")
    assert sites is not None
    assert sorted(site["site"] for site in sites.json()["items"]) == sorted(MINES)

    def newest() -> int:
        with closing(sqlite3.connect(f"file:{demo.data / 'record.sqlite'}?mode=ro", uri=True)) as record:
            return int(record.execute("select max(id) from reading_block").fetchone()[0])

    before = newest()
    until(lambda: newest() > before, "a live reading")
    # Once for each version of vl-convert, in a process of its own that ends.
    until(lambda: any((demo.data / "cache").glob("vega-*.js")), "the charts' JavaScript to be bundled")
    until(lambda: "/shared#" in demo.log.read_text(), f"the evaluator's link: {demo.log.read_text()}")
    until(lambda: 50_000_000 < demo.memory() < MEMORY, "the builder to give back what the bundle took")
    link = demo.log.read_text().split("/shared#", 1)[1].split()[0]
    address = f"http://127.0.0.1:{demo.port}"
    own = {"Origin": address}
    page = httpx.post(f"{address}/shared", data={"code": link}, headers=own, timeout=10, trust_env=False)
    assert page.status_code == 200

    os.killpg(demo.process.pid, signal.SIGINT)
    assert demo.process.wait(PATIENCE) == 0
    until(lambda: not demo.family(), "its processes to end", PATIENCE)


@pytest.mark.parametrize("demo", ["0.01"], indirect=True)
def test_killed_it_leaves_no_process_behind(demo: Demo) -> None:
    assert len(demo.family()) >= 5  # itself, Mosquitto, the worker, the web server, the simulator
    demo.process.kill()
    assert demo.process.wait(PATIENCE) == -signal.SIGKILL
    until(lambda: not demo.family(), "its processes to end", 20)


def test_without_live_it_fills_the_history_and_ends(environment: Environment, tmp_path: Path) -> None:
    filled = Demo(environment, tmp_path / "var", "--days", "0.2", "--no-live")
    assert filled.process.wait(2 * PATIENCE) == 0, filled.log.read_text()
    until(lambda: not filled.family(), "its processes to end", PATIENCE)
    with closing(sqlite3.connect(f"file:{tmp_path / 'var' / 'record.sqlite'}?mode=ro", uri=True)) as record:
        stored, received, duplicate, rejected, late = record.execute(
            "select sum(stored), sum(received), sum(duplicate), sum(rejected), sum(late) from ledger"
        ).fetchone()
        sites = {row[0] for row in record.execute("select site from ledger")}
        (statistics,) = record.execute("select count(*) from statistic where \"window\" = 'hour' and valid").fetchone()
    assert sites == set(MINES)
    assert stored > 10_000
    assert received == stored + duplicate + rejected + late
    assert statistics > 100
    assert stat.S_IMODE((tmp_path / "var" / "demo-token").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var" / "accounts.sqlite").stat().st_mode) == 0o600


def test_the_mines_send_nothing_before_the_worker_is_subscribed(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, data=tmp_path / "var")  # type: ignore[call-arg]
    record = open_engine(settings.record_place)
    migrate(record)
    now = time.time_ns() // 1_000_000
    (settings.data / STORY).write_text(json.dumps({"start": now - now % 60_000 - 600_000, "seed": 1}))
    heard: list[str] = []

    def say(*, connected: bool) -> None:
        fields = dict.fromkeys(WorkerStatus.__struct_fields__, 0)
        fields |= {
            "connected": connected,
            "broker": "",
            "registry": "",
            "loggers": None,
            "deviations": {},
            "behind": False,
            "doubted": False,
        }
        status = msgspec.json.encode(WorkerStatus(**fields)).decode()
        with record.begin() as connection:
            connection.execute(sa.delete(schema.worker))
            updated = time.time_ns() // 1_000_000 + 1000
            connection.execute(sa.insert(schema.worker).values(name="worker", updated=updated, status=status))

    with start_broker(settings.data / "broker") as broker:
        listener = Client(CallbackAPIVersion.VERSION2)
        listener.on_message = lambda *arguments: heard.append(arguments[2].topic)
        listener.connect(broker.host, broker.port)
        listener.subscribe("greenmine/v1/+/+/readings", 1)
        listener.loop_start()
        mines = threading.Thread(
            target=past, args=(settings.model_copy(update={"broker_port": broker.port}), threading.Event())
        )
        mines.start()
        for connected in (None, False):
            if connected is not None:
                say(connected=connected)
            time.sleep(0.5)
            assert heard == []
        say(connected=True)
        until(lambda: heard, "a message")
        mines.join(PATIENCE)
        listener.disconnect()
        listener.loop_stop()
    record.dispose()


@pytest.mark.parametrize("command", ["demo", "run"])
@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1"])
def test_an_address_that_others_could_reach_is_refused(
    environment: Environment, tmp_path: Path, command: str, host: str
) -> None:
    done = subprocess.run(
        [COMMAND, command, "--data", tmp_path / "var"],
        cwd=tmp_path,
        env=environment.variables({"host": host}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode != 0
    assert host in done.stderr
    assert "this machine only" in done.stderr
    assert "Traceback" not in done.stderr
