"""The session against a real Mosquitto: what is committed is acknowledged, what is not comes again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.collector.gate import Gate
from greenmine.collector.intake import Handler, Message
from greenmine.collector.mqtt.broker import Broker, start_broker
from greenmine.collector.mqtt.session import Session
from greenmine.errors import StoreError
from greenmine.loading import load_registry
from greenmine.settings import Settings

TOPIC = "greenmine/v1/pit/plain/readings"
PATIENCE = 60.0


class Record:
    """Keeps what it is given, after refusing the first ``refusals`` batches."""

    def __init__(self, refusals: int = 0) -> None:
        self.batches: list[list[Message]] = []
        self.refused: list[list[Message]] = []
        self.refusals = refusals

    def __call__(self, batch: list[Message]) -> None:
        if len(self.refused) < self.refusals:
            self.refused.append(batch)
            raise StoreError("the disk is full")
        self.batches.append(batch)

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for batch in self.batches for message in batch]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.005)


@contextmanager
def running(broker: Broker, handler: Handler, **settings: object) -> Iterator[Session]:
    """A session that runs and, at the end, stops in order."""
    stop = threading.Event()
    session = Session(Settings(broker_port=broker.port, **settings), handler, stop)
    thread = threading.Thread(target=session.run)
    thread.start()
    try:
        until(lambda: session.counters.connections > 0, "a connection")
        yield session
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def publish(broker: Broker, payloads: Sequence[bytes], qos: int = 1) -> None:
    """Publish and wait until the broker has acknowledged everything."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for info in [client.publish(TOPIC, payload, qos=qos) for payload in payloads]:
        info.wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()


def numbered(start: int, stop: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, stop)]


def subscribed(broker: Broker, **settings: object) -> None:
    """Leave an empty persistent session behind."""
    with running(broker, Record(), **settings) as session:
        until(lambda: session.counters.connected, "the subscription")


def test_messages_come_with_topic_payload_and_time_of_receipt(mosquitto: Broker) -> None:
    record = Record()
    subscribed(mosquitto)
    before = time.time_ns() // 1_000_000
    with running(mosquitto, record) as session:
        publish(mosquitto, numbered(0, 100))
        until(lambda: len(record.payloads) == 100, "100 messages")
        counters = session.counters
        until(lambda: counters.batches == len(record.batches), "the last acknowledgement")
    assert record.payloads == numbered(0, 100)
    messages = [message for batch in record.batches for message in batch]
    assert {message.topic for message in messages} == {TOPIC}
    assert all(before <= message.received <= time.time_ns() // 1_000_000 for message in messages)
    assert (counters.messages, counters.bytes) == (100, sum(map(len, numbered(0, 100))))
    assert counters.last_message == messages[-1].received
    assert counters.connections == 1
    assert 0 < counters.commit_quantile(0.5) <= counters.commit_quantile(0.99) < PATIENCE
    assert not counters.connected


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_what_is_published_while_it_is_away_comes_when_it_is_back(mosquitto: Broker, version: str) -> None:
    subscribed(mosquitto, mqtt_version=version)
    publish(mosquitto, numbered(0, 3000))
    record = Record()
    with running(mosquitto, record, mqtt_version=version):
        until(lambda: len(record.payloads) >= 3000, "3000 messages")
    assert record.payloads == numbered(0, 3000)


def test_what_was_committed_does_not_come_again(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    first, second = Record(), Record()
    with running(mosquitto, first):
        publish(mosquitto, numbered(0, 200))
        until(lambda: len(first.payloads) == 200, "200 messages")
    with running(mosquitto, second):
        publish(mosquitto, [b"after"])
        until(lambda: len(second.payloads) >= 1, "the message after")
    assert second.payloads == [b"after"]


def test_what_the_handler_failed_on_comes_again(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    publish(mosquitto, numbered(0, 50))
    seen: list[Message] = []

    def fail(batch: list[Message]) -> None:
        seen.extend(batch)
        raise ArithmeticError("a fault in the handler")

    session = Session(Settings(broker_port=mosquitto.port), fail, threading.Event())
    with pytest.raises(ArithmeticError):
        session.run()
    assert seen
    record = Record()
    with running(mosquitto, record):
        until(lambda: len(record.payloads) >= 50, "50 messages")
    assert record.payloads == numbered(0, 50)


COMMIT_AND_DIE = """
import os, sys, threading
from pathlib import Path
from greenmine.collector.mqtt.session import Session
from greenmine.settings import Settings

def commit_and_die(batch):
    Path(sys.argv[2]).write_bytes(b"\\n".join(message.payload for message in batch))
    os._exit(9)

Session(Settings(broker_port=int(sys.argv[1])), commit_and_die, threading.Event()).run()
"""


def test_acknowledgements_come_after_the_commit(mosquitto: Broker, tmp_path: Path) -> None:
    subscribed(mosquitto)
    publish(mosquitto, numbered(0, 50))
    committed = tmp_path / "committed"
    command = [sys.executable, "-c", COMMIT_AND_DIE, str(mosquitto.port), str(committed)]
    assert subprocess.run(command, timeout=PATIENCE, check=False).returncode == 9
    before_death = committed.read_bytes().split(b"\n")
    assert before_death == numbered(0, len(before_death))
    record = Record()
    with running(mosquitto, record):
        until(lambda: len(record.payloads) >= 50, "50 messages")
    assert record.payloads == numbered(0, 50)


def test_a_batch_that_the_record_refuses_is_tried_again_until_it_is_taken(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    publish(mosquitto, numbered(0, 20))
    record, after = Record(refusals=3), Record()
    with running(mosquitto, record) as session:
        until(lambda: len(record.payloads) == 20, "20 messages")
    assert record.payloads == numbered(0, 20)
    assert record.refused == [record.batches[0]] * 3
    assert session.counters.retries == 3
    with running(mosquitto, after):
        publish(mosquitto, [b"after"])
        until(lambda: len(after.payloads) >= 1, "the message after")
    assert after.payloads == [b"after"]


def test_it_stops_while_the_record_refuses_and_the_batch_comes_again(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    publish(mosquitto, numbered(0, 20))
    refusing, record = Record(refusals=1000), Record()
    with running(mosquitto, refusing):
        until(lambda: len(refusing.refused) >= 2, "two refusals")
    with running(mosquitto, record):
        until(lambda: len(record.payloads) >= 20, "20 messages")
    assert refusing.payloads == []
    assert record.payloads == numbered(0, 20)


@pytest.mark.parametrize(
    ("settings", "payload", "most"),
    [
        ({"batch_readings": 10}, b"1", 10),
        ({"batch_readings": 100}, b"[1,2,3,4,5,6,7,8,9,10,11,12]", 12),
        ({"batch_bytes": 100}, b"x" * 40, 3),
    ],
)
def test_batches_are_bounded(mosquitto: Broker, settings: dict[str, object], payload: bytes, most: int) -> None:
    subscribed(mosquitto)
    publish(mosquitto, [payload] * 200)
    record = Record()
    with running(mosquitto, record, linger_ms=60_000, idle_ms=200, **settings):
        until(lambda: len(record.payloads) == 200, "200 messages")
    assert max(map(len, record.batches)) == most


@pytest.mark.parametrize("settings", [{"linger_ms": 60_000}, {"idle_ms": 60_000}])
def test_a_pause_or_the_linger_ends_a_batch(mosquitto: Broker, settings: dict[str, object]) -> None:
    record = Record()
    subscribed(mosquitto)
    with running(mosquitto, record, **settings):
        publish(mosquitto, [b"alone"])
        until(lambda: record.payloads == [b"alone"], "the message alone")


def test_a_sender_with_a_backlog_does_not_make_another_wait(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    publish(mosquitto, [b"[" + b"1," * 99 + b"1]"] * 50)
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(mosquitto.host, mosquitto.port)
    client.loop_start()
    client.publish("greenmine/v1/jiuchi/boundary-noise/readings", b"quiet", qos=1).wait_for_publish(PATIENCE)
    client.disconnect()
    record, stop = Record(), threading.Event()
    settings = Settings(broker_port=mosquitto.port, batch_readings=200, linger_ms=1000, idle_ms=500)
    session = Session(settings, record, stop, gate=Gate(load_registry(), settings))
    thread = threading.Thread(target=session.run)
    thread.start()
    until(lambda: len(record.payloads) >= 51, "51 messages")
    stop.set()
    thread.join(PATIENCE)
    assert b"quiet" in [message.payload for message in record.batches[0]]
    assert len(record.batches) > 10
    again = Record()
    with running(mosquitto, again):
        publish(mosquitto, [b"new"])
        until(lambda: again.payloads, "a message")
    assert again.payloads == [b"new"], "all was acknowledged"


def test_a_message_beyond_the_budget_is_marked(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    publish(mosquitto, numbered(0, 5))
    record, stop = Record(), threading.Event()
    settings = Settings(broker_port=mosquitto.port, device_messages="2/d")
    session = Session(settings, record, stop, gate=Gate(load_registry(), settings))
    thread = threading.Thread(target=session.run)
    thread.start()
    until(lambda: len(record.payloads) >= 5, "5 messages")
    stop.set()
    thread.join(PATIENCE)
    assert [m.excess for batch in record.batches for m in batch] == [False, False, True, True, True]


def test_a_message_of_quality_0_is_taken_and_not_acknowledged(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    record = Record()
    with running(mosquitto, record) as session:
        publish(mosquitto, numbered(0, 10), qos=0)
        publish(mosquitto, [b"certain"])
        until(lambda: len(record.payloads) == 11, "11 messages")
    messages = [message for batch in record.batches for message in batch]
    assert {message.payload: message.mid > 0 for message in messages} == dict.fromkeys(numbered(0, 10), False) | {
        b"certain": True
    }
    assert session.counters.connections == 1


@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
def test_it_comes_back_after_the_broker_was_restarted(tmp_path: Path, mosquitto: Broker, death: signal.Signals) -> None:
    record = Record()
    subscribed(mosquitto)
    time.sleep(2.5)  # until the session is saved, which a restart after SIGKILL needs
    with running(mosquitto, record) as session:
        publish(mosquitto, numbered(0, 50))
        assert mosquitto.pid is not None
        os.kill(mosquitto.pid, death)
        mosquitto.stop()
        until(lambda: not session.counters.connected, "the loss of the connection")
        with start_broker(tmp_path / "broker", mosquitto.port) as again:
            until(lambda: session.counters.connected, "a new connection")
            publish(again, numbered(50, 100))
            until(lambda: set(numbered(0, 100)) <= set(record.payloads), "100 messages")
    assert session.counters.connections == 2
    assert session.counters.failures >= 1


def test_a_batch_whose_connection_was_lost_is_committed_and_not_acknowledged(tmp_path: Path, mosquitto: Broker) -> None:
    subscribed(mosquitto)
    publish(mosquitto, numbered(0, 30))
    time.sleep(2.5)  # until they are saved
    batches: list[list[bytes]] = []

    def lose_the_broker_once(batch: list[Message]) -> None:
        batches.append([message.payload for message in batch])
        if len(batches) == 1:
            assert mosquitto.pid is not None
            os.kill(mosquitto.pid, signal.SIGKILL)
            mosquitto.stop()

    with running(mosquitto, lose_the_broker_once) as session:
        until(lambda: session.counters.unacknowledged > 0, "a batch without acknowledgement")
        with start_broker(tmp_path / "broker", mosquitto.port) as again:
            until(lambda: sum(map(len, batches[1:])) >= 30, "all of them again")
            publish(again, [b"after"])
            until(lambda: batches[-1][-1] == b"after", "the message after")
            until(lambda: session.counters.batches == len(batches), "the last acknowledgement")
    assert {payload for batch in batches for payload in batch} == {*numbered(0, 30), b"after"}


def test_what_a_dead_broker_has_delivered_to_the_socket_is_not_lost(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    record, busy, dead = Record(), threading.Event(), threading.Event()

    def handle(batch: list[Message]) -> None:
        busy.set()
        assert dead.wait(PATIENCE)
        record(batch)

    with running(mosquitto, handle, batch_readings=2):
        publish(mosquitto, [b"first"])
        assert busy.wait(PATIENCE)
        publish(mosquitto, numbered(0, 9))  # few enough to be delivered while nobody reads
        assert mosquitto.pid is not None
        os.kill(mosquitto.pid, signal.SIGKILL)
        mosquitto.stop()
        dead.set()
        until(lambda: len(record.payloads) == 10, "10 messages")
    assert record.payloads == [b"first", *numbered(0, 9)]


def test_it_tries_until_a_broker_is_there(tmp_path: Path, mosquitto: Broker) -> None:
    mosquitto.stop()
    stop = threading.Event()
    session = Session(Settings(broker_port=mosquitto.port), Record(), stop)
    thread = threading.Thread(target=session.run)
    thread.start()
    until(lambda: session.counters.failures >= 2, "two failures")
    with start_broker(tmp_path / "broker", mosquitto.port):
        until(lambda: session.counters.connected, "a connection")
        stop.set()
        thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_refused_account_is_no_reason_to_give_up() -> None:
    """A server that answers 'not authorized' (CONNACK code 5) and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        answered = []

        def refuse() -> None:
            for _ in range(2):
                peer, _address = server.accept()
                with peer:
                    answered.append(peer.recv(1000))
                    peer.sendall(struct.pack("!BBBB", 0x20, 2, 0, 5))

        guard = threading.Thread(target=refuse)
        guard.start()
        stop = threading.Event()
        settings = Settings(broker_port=server.getsockname()[1], broker_user="gate", broker_password="secret")
        session = Session(settings, Record(), stop)
        thread = threading.Thread(target=session.run)
        thread.start()
        until(lambda: session.counters.failures >= 2, "two refusals")
        stop.set()
        thread.join(PATIENCE)
        guard.join(PATIENCE)
    assert not thread.is_alive()
    assert session.counters.connections == 0
    assert all(b"gate" in packet and b"secret" in packet for packet in answered)


@pytest.mark.parametrize("version", ["3.1", "4", ""])
def test_an_unknown_protocol_version_fails_at_once(version: str) -> None:
    with pytest.raises(ValueError, match=r"'3\.1\.1' or '5'"):
        Settings(mqtt_version=version)


def test_it_speaks_tls(tmp_path: Path, mosquitto: Broker) -> None:
    request = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", *request.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    mosquitto.stop()
    configuration = tmp_path / "broker" / "mosquitto.conf"
    with configuration.open("a") as more:
        more.write(f"listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n")
    record = Record()
    secret = replace(mosquitto, port=port)
    settings: dict[str, object] = {"broker_tls": True, "broker_ca": certificate}
    with started([str(program()), "-c", str(configuration)], port):
        subscribed(mosquitto)
        with running(secret, record, **settings):
            publish(mosquitto, [b"%5000d" % number for number in range(300)])
            until(lambda: len(record.payloads) == 300, "300 messages")
    assert record.payloads == [b"%5000d" % number for number in range(300)]


def program() -> str | None:
    return shutil.which("mosquitto", path="/usr/bin:/usr/sbin:/usr/local/sbin")


@contextmanager
def started(command: list[str], port: int) -> Iterator[None]:
    """A server that runs until the end."""
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: accepts(port), "the server")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def accepts(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_of_two_clients_with_one_id_the_log_names_the_cause(mosquitto: Broker, version: str) -> None:
    told = "another client with the client id 'twin'"
    given = {"broker_client": "twin", "mqtt_version": version}
    with (
        structlog.testing.capture_logs() as logs,
        running(mosquitto, Record(), **given),
        running(mosquitto, Record(), **given),
    ):
        until(lambda: any(told in str(entry.get("reason")) for entry in logs), "the cause in the log")


def test_a_connection_that_breaks_once_has_no_twin(mosquitto: Broker) -> None:
    with structlog.testing.capture_logs() as logs, running(mosquitto, Record()) as session:
        until(lambda: session.counters.connected, "the subscription")
        mosquitto.stop()
        until(lambda: session.counters.failures > 0, "the loss")
    assert not any("client id" in str(entry.get("reason")) for entry in logs)
