"""Messages committed by the whole worker, against a bare callback, a user's script and SQLite alone."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import shutil
import sqlite3
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from bench.publisher import publisher
from bench.sites import device_of, write_registry
from bench.table import Row
from bench.worker import worker
from greenmine.collector.mqtt.broker import start_broker
from greenmine.collector.mqtt.session import TOPIC
from greenmine.settings import Settings
from tests.ports import free_ports

DEVICES: Final = 100
START: Final = int(datetime(2026, 3, 2, tzinfo=UTC).timestamp() * 1000)
_MESSAGES: Final = 100_000
_BATCHED: Final = 20_000
"""Messages of `_ROWS` readings each."""
_ROWS: Final = 60
_SCRIPT: Final = 4_000
_CONSUMER: Final = "bench-consumer"
_ROUNDS: Final = 2
"""Each figure is the best of so many runs; measured and reference take turns."""


def topic(device: int) -> str:
    """Where a device of the bench registry publishes."""
    return "greenmine/v1/{}/{}/readings".format(*device_of(device))


def settings_for(directory: Path, port: int, devices: int = DEVICES) -> Settings:
    """Settings as shipped, in a directory of their own, with a registry of so many devices."""
    registry = directory / "registry"
    if not registry.exists():
        write_registry(registry, devices)
    return Settings(_env_file=None, data=directory / "data", registry=registry, broker_port=port)  # type: ignore[call-arg]


def measure() -> Iterator[Row]:
    """The rows of this subject."""
    with tempfile.TemporaryDirectory(prefix="greenmine-bench-") as name:
        directory = Path(name)
        drained, bare = _singles(directory, backlog=True)
        yield _rate("one reading per message, a backlog", drained, "bare paho callback", bare, 3.0)
        single, bare = _singles(directory, backlog=False)
        yield _rate("one reading per message, as it is published", single, "bare paho callback", bare, 1.0)
        yield _against_script(directory, single)
        batched, rows = _batches(directory)
        yield _rate(f"{_ROWS} readings per message, readings", batched, "SQLite executemany", rows, 0.8)


def _rate(what: str, measured: float, name: str, reference: float, target: float) -> Row:
    return Row(
        "collector", what, f"{measured:,.0f}/s", f"{name} {reference:,.0f}/s", measured / reference, ">=", target
    )


def _singles(directory: Path, *, backlog: bool) -> tuple[float, float]:
    random = np.random.default_rng(1)
    levels = np.round(random.normal(55.0, 6.0, _MESSAGES), 1).tolist()
    topics = [topic(i % DEVICES) for i in range(_MESSAGES)]
    payloads = [
        b'{"v":1,"seq":%d,"time":%d,"values":{"laeq":%.1f}}' % (i // DEVICES, START + 1000 * (i // DEVICES), level)
        for i, level in enumerate(levels)
    ]
    ours, bare = [], []
    for number in range(_ROUNDS):
        some = directory / f"{'backlog' if backlog else 'live'}-{number}"
        bare.append(_consumed(some / "bare", _count, topics, payloads, backlog=backlog))
        ours.append(_committed(some / "own", topics, payloads, backlog=backlog)[0])
    return max(ours), max(bare)


def _batches(directory: Path) -> tuple[float, float]:
    random = np.random.default_rng(2)
    levels = np.round(random.normal(55.0, 6.0, (_BATCHED, _ROWS)), 1)
    topics = [topic(i % DEVICES) for i in range(_BATCHED)]
    payloads = [
        b'{"v":1,"seq":%d,"start":%d,"step":1000,"columns":{"laeq":%s}}'
        % (i // DEVICES, START + 1000 * _ROWS * (i // DEVICES), json.dumps(row).encode())
        for i, row in enumerate(levels.tolist())
    ]
    ours, raw = [], []
    for number in range(_ROUNDS):
        raw.append(_sqlite(directory / f"raw-{number}.sqlite", levels))
        ours.append(_committed(directory / f"batched-{number}", topics, payloads)[1])
    return max(ours), max(raw)


def _committed(
    directory: Path, topics: list[str], payloads: list[bytes], *, backlog: bool = False
) -> tuple[float, float]:
    """Messages and readings a second that the worker commits, from the first receipt to the last commit."""
    directory.mkdir(parents=True, exist_ok=True)
    with start_broker(directory / "broker") as broker, publisher(broker.port, topics, payloads) as publishing:
        settings = settings_for(directory, broker.port)
        if backlog:
            _wait_at_the_broker(broker.port, settings.broker_client, publishing)
        with worker(settings, len(payloads)) as working:
            if not backlog:
                publishing.send("go")
            commits = working.recv()
            if not backlog:
                publishing.recv()
    took = commits.instant[-1] - commits.first[0]
    return sum(commits.messages) / took, sum(commits.stored) / took


def _wait_at_the_broker(port: int, client_id: str, publishing: Connection) -> None:
    """Have all messages published for a client that has subscribed and is away."""
    subscribe(port, client_id)
    publishing.send("go")
    publishing.recv()


def subscribe(port: int, client_id: str) -> None:
    """Have the broker keep messages for a client that is away."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=1)
    client.on_subscribe = lambda client, *_: client.disconnect()
    client.connect("127.0.0.1", port)
    client.loop_forever()


def _consumed(
    directory: Path, consumer: Callable[..., None], topics: list[str], payloads: list[bytes], *, backlog: bool = False
) -> float:
    """Messages a second that a consumer gets through."""
    context = multiprocessing.get_context("spawn")
    with start_broker(directory / "broker") as broker, publisher(broker.port, topics, payloads) as publishing:
        if backlog:
            _wait_at_the_broker(broker.port, _CONSUMER, publishing)
        here, there = context.Pipe()
        process = context.Process(target=consumer, args=(there, broker.port, len(payloads)))
        process.start()
        try:
            assert here.recv() == "ready"
            if not backlog:
                publishing.send("go")
            took = float(here.recv())
            if not backlog:
                publishing.recv()
        finally:
            process.terminate()
            process.join()
    return len(payloads) / took


def _subscribe(pipe: Connection, port: int, on_message: Callable[[Client, Any, MQTTMessage], None]) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=_CONSUMER, clean_session=False)
    client.on_connect = lambda client, *_: client.subscribe(TOPIC, qos=1)
    client.on_subscribe = lambda *_: pipe.send("ready")
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    return client


def _count(pipe: Connection, port: int, messages: int) -> None:
    """The reference: a callback that only counts."""
    seen = 0
    first = 0.0

    def on_message(client: Client, _data: Any, _message: MQTTMessage) -> None:
        nonlocal seen, first
        seen += 1
        if seen == 1:
            first = time.time()
        elif seen == messages:
            pipe.send(time.time() - first)
            client.disconnect()

    _subscribe(pipe, port, on_message).loop_forever()


def _write_lines(pipe: Connection, port: int, messages: int, influx: int) -> None:
    """The script that a user would write: a callback, json, one line per request."""
    seen = 0
    first = 0.0
    connection = http.client.HTTPConnection("127.0.0.1", influx)

    def on_message(client: Client, _data: Any, message: MQTTMessage) -> None:
        nonlocal seen, first
        if not seen:
            first = time.time()
        seen += 1
        sent = json.loads(message.payload)
        _, _, site, device, _ = message.topic.split("/")
        for parameter, value in sent["values"].items():
            line = f"readings,site={site},device={device},parameter={parameter} value={value} {sent['time']}"
            connection.request("POST", "/write?db=bench&precision=ms", line)
            connection.getresponse().read()
        if seen == messages:
            pipe.send(time.time() - first)
            client.disconnect()

    _subscribe(pipe, port, on_message).loop_forever()


def _against_script(directory: Path, single: float) -> Row:
    what = "one reading per message"
    program = shutil.which("influxd")
    if program is None:
        return Row("collector", what, "skipped: influxd is not installed", "script, a line per request", None, ">=", 20)
    topics = [topic(i % DEVICES) for i in range(_SCRIPT)]
    payloads = [
        b'{"v":1,"seq":%d,"time":%d,"values":{"laeq":55.1}}' % (i // DEVICES, START + 1000 * (i // DEVICES))
        for i in range(_SCRIPT)
    ]
    with _influxd(program, directory / "influx") as port:
        rates = [
            _consumed(directory / f"script-{number}", _Script(port), topics, payloads) for number in range(_ROUNDS)
        ]
    return _rate(what, single, "script, a line per request,", max(rates), 20)


class _Script:
    """`_write_lines` bound to a port; can be sent to another process."""

    def __init__(self, influx: int) -> None:
        self._influx = influx

    def __call__(self, pipe: Connection, port: int, messages: int) -> None:
        _write_lines(pipe, port, messages, self._influx)


@contextmanager
def _influxd(program: str, directory: Path) -> Iterator[int]:
    """A real InfluxDB 1 on free ports of the loopback interface; yields that of its HTTP API."""
    directory.mkdir(parents=True)
    http_port, rpc_port = free_ports(2)
    configuration = directory / "influxdb.conf"
    configuration.write_text(
        f'reporting-disabled = true\nbind-address = "127.0.0.1:{rpc_port}"\n'
        f'[meta]\ndir = "{directory}/meta"\n'
        f'[data]\ndir = "{directory}/data"\nwal-dir = "{directory}/wal"\nquery-log-enabled = false\n'
        f'[http]\nbind-address = "127.0.0.1:{http_port}"\nlog-enabled = false\n'
        "[monitor]\nstore-enabled = false\n"
    )
    with (directory / "influxd.log").open("wb") as log:
        server = subprocess.Popen([program, "-config", str(configuration)], stdout=log, stderr=log)
    try:
        _create_database(http_port)
        yield http_port
    finally:
        server.terminate()
        server.wait()


def _create_database(port: int) -> None:
    deadline = time.monotonic() + 30
    query = urllib.parse.urlencode({"q": "CREATE DATABASE bench"})
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", f"/query?{query}")
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _sqlite(file: Path, levels: np.ndarray) -> float:
    """Rows a second by executemany: WAL, durable commits, 5,000 a transaction."""
    messages, rows = levels.shape
    channel = np.repeat(np.arange(messages) % DEVICES, rows)
    instant = START + 1000 * (
        np.repeat(np.arange(messages) // DEVICES * rows, rows) + np.tile(np.arange(rows), messages)
    )
    table = list(zip(channel.tolist(), instant.tolist(), levels.reshape(-1).tolist(), ["N"] * levels.size, strict=True))
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE reading (channel INTEGER, time INTEGER, value REAL, flag TEXT)")
    begun = time.perf_counter()
    for k in range(0, len(table), 5000):
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO reading VALUES (?, ?, ?, ?)", table[k : k + 5000])
        connection.execute("COMMIT")
    took = time.perf_counter() - begun
    connection.close()
    return len(table) / took
