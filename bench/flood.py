"""One device sends as fast as it can; how long do the others wait, and how much does the record grow?"""

from __future__ import annotations

import json
import multiprocessing
import sqlite3
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from socket import create_connection
from typing import Final, NamedTuple

import numpy as np
import psutil
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from bench.table import Row
from greenmine.cli.work import work
from greenmine.collector.mqtt.broker import start_broker
from greenmine.collector.mqtt.ingress import ingress
from greenmine.loading import load_registry
from greenmine.settings import Settings
from greenmine.times import DAY, now
from tests.nats_servers import NatsCluster
from tests.ports import free_port

SECONDS: Final = 60.0
NOISY: Final = ("kunyin", "boundary-dust")
QUIET: Final = ("jiuchi", "boundary-noise")
_ROWS: Final = 2_000
_TOGETHER: Final = 65_536
"""Sent at once, or one message if that is longer [bytes]."""
_PATIENCE: Final = 60.0


def _columns(start: int, step: int) -> bytes:
    values = b",".join([b"0.1"] * _ROWS)
    return b'{"v":1,"start":%d,"step":%d,"columns":{"pm10":[%b]},"flags":{}}' % (start, step, values)


def _reading(begun: int, number: int) -> bytes:
    return b'{"v":1,"time":%d,"values":{"pm10":0.1,"tsp":0.2},"flags":{}}' % (begun - DAY // 2 + number * 10)


KINDS: Final[dict[str, Callable[[int, int], bytes]]] = {
    "rubbish": lambda _begun, _number: b"\xff" + b"x" * 1_999,
    "readings": _reading,
    "columns": lambda begun, number: _columns(begun - DAY // 2 + number * _ROWS, 1),
    "late columns": lambda begun, number: _columns(begun - 60 * DAY + number * _ROWS, 1),
    "huge payloads": lambda _begun, _number: b"[" + b"1," * 450_000 + b"1]",
    "100,000 topics": lambda _begun, _number: b"{}",
}
"""What the noisy device sends: payload by the instant at which it began [ms UTC] and the message's number."""


def _length(size: int) -> bytes:
    """Remaining length of a packet (MQTT 3.1.1, 2.2.3)."""
    coded = bytearray()
    while True:
        size, low = divmod(size, 128)
        coded.append(low | (128 if size else 0))
        if not size:
            return bytes(coded)


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _length(len(body)) + body


def _text(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def flood(
    port: int,
    kind: str,
    qos: int,
    seconds: float,
    sent: multiprocessing.sharedctypes.Synchronized[int],
    account: tuple[str, str] | None = None,
) -> None:
    """Publish as fast as the broker takes it, without waiting for anything."""
    make, begun, number = KINDS[kind], now(), 0
    with create_connection(("127.0.0.1", port)) as connection:
        named = b"" if account is None else b"".join(_text(part.encode()) for part in account)
        flags = b"\4\2\0\0" if account is None else b"\4\xc2\0\0"
        connection.sendall(_packet(0x10, _text(b"MQTT") + flags + _text(b"noisy") + named))
        connection.recv(4)
        threading.Thread(target=_drain, args=(connection,), daemon=True).start()
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            several = bytearray()
            while len(several) < _TOGETHER:
                site, device = (f"site-{number % 100_000}", "x") if kind == "100,000 topics" else NOISY
                identifier = struct.pack(">H", number % 65_535 + 1) if qos else b""
                topic = _text(f"greenmine/v1/{site}/{device}/readings".encode())
                several += _packet(0x30 | qos << 1, topic + identifier + make(begun, number))
                number += 1
            connection.sendall(several)
            sent.value = number


def _drain(connection: object) -> None:
    try:
        while connection.recv(1 << 16):  # type: ignore[attr-defined]
            pass
    except OSError:
        pass


@dataclass(frozen=True, slots=True)
class Flooded:
    """What a flood did.

    ``sent`` messages of the noisy device; ``acknowledged`` and ``stored`` readings of the quiet one; ``waits`` of the quiet one
    from publication to commit [s]; ``growth`` of the record [bytes]; ``memory`` of the broker at most [bytes]; ``ledger`` of the
    noisy device (or of strangers).
    """

    sent: int
    acknowledged: int
    stored: int
    waits: list[float]
    growth: int
    memory: int
    ledger: dict[str, int]
    states: list[str]


def _work(settings: Settings) -> None:
    work(settings, threading.Event())


def _let_in(settings: Settings) -> None:
    ingress(settings, threading.Event())


class Entrance(NamedTuple):
    """Where devices come in: port, process of the broker, what it keeps on disk, and accounts by name, if they need any."""

    port: int
    broker: int
    store: Path
    accounts: dict[str, tuple[str, str]]


@contextmanager
def collecting(folder: Path, **settings: object) -> Iterator[tuple[Entrance, Settings]]:
    """Run Mosquitto, what is before it, and a worker with the registry that ships."""
    with start_broker(folder / "broker") as broker:
        port = free_port()
        given = Settings(data=folder / "data", broker_port=broker.port, ingress_port=port, **settings)  # type: ignore[arg-type]
        assert broker.pid is not None
        with _running(given, _work, _let_in):
            yield Entrance(port, broker.pid, folder / "broker", {}), given


@contextmanager
def logging(folder: Path) -> Iterator[tuple[Entrance, Settings]]:
    """Run nats-server as `greenmine cluster` sets it up, and a worker with the registry that ships."""
    with NatsCluster(folder / "log", load_registry()) as log:
        accounts = {name: (name, log.device(name)) for name in ("/".join(NOISY), "/".join(QUIET))}
        given = Settings(data=folder / "data", **log.settings())
        with _running(given, _work):
            yield Entrance(log.port, log.process("n0"), folder / "log", accounts), given


@contextmanager
def _running(given: Settings, *tasks: Callable[[Settings], None]) -> Iterator[None]:
    given.data.mkdir()
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=task, args=(given,)) for task in tasks]
    for process in processes:
        process.start()
    try:
        _await(
            partial(_asked, given.record_place, "select count(*) from worker where status like '%connected\":true%'")
        )
        yield
    finally:
        for process in processes:
            process.terminate()
            process.join()


def flooded(entrance: Entrance, settings: Settings, kind: str, qos: int, seconds: float) -> Flooded:
    """Flood for some seconds, meanwhile publishing one reading after another from the quiet device.

    Raises
    ------
    TimeoutError
        A reading of the quiet device did not come.
    """
    context = multiprocessing.get_context("spawn")
    sent = context.Value("q", 0)
    noisy = context.Process(
        target=flood, args=(entrance.port, kind, qos, seconds, sent, entrance.accounts.get("/".join(NOISY)))
    )
    quiet = Client(CallbackAPIVersion.VERSION2)
    if account := entrance.accounts.get("/".join(QUIET)):
        quiet.username_pw_set(*account)
    quiet.connect("127.0.0.1", entrance.port)
    quiet.loop_start()
    stored = "select coalesce(sum(stored),0) from ledger where site='{}' and device='{}'".format(*QUIET)
    before, already, memory = _size(settings.record_place), _asked(settings.record_place, stored), 0
    waits: list[float] = []
    noisy.start()
    _await(lambda: sent.value or not noisy.is_alive())
    while noisy.is_alive():
        begun = time.monotonic()
        payload = json.dumps({"v": 1, "time": now(), "values": {"laeq": 50.0}, "flags": {}})
        quiet.publish("greenmine/v1/{}/{}/readings".format(*QUIET), payload, qos=1).wait_for_publish(_PATIENCE)
        _await(lambda: _asked(settings.record_place, stored) > already + len(waits))
        waits.append(time.monotonic() - begun)
        memory = max(memory, psutil.Process(entrance.broker).memory_info().rss)
        time.sleep(0.05)
    quiet.disconnect()
    site = NOISY[0] if kind != "100,000 topics" else ""
    with closing(sqlite3.connect(f"file:{settings.record_place}?mode=ro", uri=True, timeout=30)) as record:
        record.row_factory = sqlite3.Row
        sums = "sum(messages) messages, sum(stored) stored, sum(rejected) rejected, sum(late) late, count(*) rows"
        query = f"select {sums} from ledger where site = '{site}' or '{site}' = ''"
        ledger = {k: v or 0 for k, v in dict(record.execute(query).fetchone()).items()}
        states = [
            row["state"]
            for row in record.execute("select state from health where detail like '%budget%' order by since")
        ]
    return Flooded(
        sent.value,
        len(waits),
        _asked(settings.record_place, stored) - already,
        waits,
        _size(settings.record_place) - before,
        memory,
        ledger,
        states,
    )


def measure() -> Iterator[Row]:
    """Rows of the table: by Mosquitto, and by nats-server, where an account of a device has no other topics."""
    cases = [("", collecting, kind, qos) for kind in KINDS for qos in (0, 1)]
    cases += [(" by nats-server", logging, kind, 1) for kind in KINDS if "topics" not in kind]
    for by, running, kind, qos in cases:
        with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (entrance, settings):
            found = flooded(entrance, settings, kind, qos, SECONDS)
            kept = sum(file.stat().st_size for file in entrance.store.rglob("*") if file.is_file())
        what = f"flood of {kind}{by}, QoS {qos}, {SECONDS:g} s"
        slow = float(np.percentile(found.waits, 99))
        waits = f"median {np.median(found.waits) * 1000:.0f} ms, 99 % {slow * 1000:.0f} ms"
        yield Row("flood", f"{what}: wait of another mine", waits, "1 s", slow, "<=", 1.0)
        lost = found.acknowledged - found.stored
        yield Row(
            "flood", f"{what}: readings of it lost", f"{lost} of {found.acknowledged}", "0", float(lost), "<=", 0.0
        )
        grown = found.growth / 1e6
        about = (
            f"{grown:.0f} MB, {found.sent:,} sent, broker {found.memory / 1e6:.0f} MB, {kept / 1e6:.0f} MB on its disk"
        )
        yield Row("flood", f"{what}: growth of the record", about, "100 MB", grown, "<=", 100.0)


def _size(record: Path) -> int:
    """Bytes of the record without its journal, which is filled again and again."""
    return _asked(record, "pragma page_count") * _asked(record, "pragma page_size")


def _asked(record: Path, query: str) -> int:
    if not record.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{record}?mode=ro", uri=True, timeout=30)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:  # its tables are being made
        return 0


def _await(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("a reading did not come")
        time.sleep(0.01)
