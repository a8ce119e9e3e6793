"""The way in before a real Mosquitto: who is let in, how fast, and what happens when its queue is full."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.collector.mqtt.broker import Broker
from greenmine.collector.mqtt.ingress import ingress
from greenmine.collector.mqtt.queue import BrokerQueue
from greenmine.settings import Settings
from tests.collector.mqtt.test_session import PATIENCE, TOPIC, Record, running, subscribed, until
from tests.ports import free_port


@contextmanager
def let_in(broker: Broker, **settings: object) -> Iterator[int]:
    """The way in to a broker; its port."""
    given = Settings(broker_port=broker.port, ingress_port=free_port(), **settings)
    assert given.ingress_port is not None
    stop = threading.Event()
    thread = threading.Thread(target=ingress, args=(given, stop))
    thread.start()

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", given.ingress_port)) == 0

    try:
        until(listens, "the way in")
        yield given.ingress_port
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def device(port: int) -> Iterator[Client]:
    client = Client(CallbackAPIVersion.VERSION2)
    client.max_inflight_messages_set(10_000)
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


def acknowledged(messages: list[MQTTMessageInfo]) -> int:
    return sum(message.is_published() for message in messages)


def test_a_full_queue_refuses_and_what_was_acknowledged_comes(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    payload = b"x" * 2_000
    with let_in(mosquitto, broker_queue=1_000_000, ingress_rate=1e6) as port, device(port) as client:
        sent = [client.publish(TOPIC, b"%06d" % number + payload, qos=1) for number in range(3_000)]
        until(lambda: acknowledged(sent) > 0, "an acknowledgement")
        before = -1
        while before != (before := acknowledged(sent)):  # until nothing more is taken
            threading.Event().wait(3)
        assert before < 2_500
        record = Record()
        with running(mosquitto, record):
            until(lambda: acknowledged(sent) == len(sent), "all acknowledgements, as there is room again")
            until(lambda: len(record.payloads) == len(sent), "all that was acknowledged")
    assert [int(each[:6]) for each in record.payloads] == list(range(len(sent)))


def test_who_sends_too_much_waits_and_no_other_does(mosquitto: Broker) -> None:
    subscribed(mosquitto)
    with let_in(mosquitto, ingress_rate=100_000) as port, device(port) as noisy, device(port) as quiet:
        flood = [noisy.publish(TOPIC, b"x" * 10_000, qos=1) for _ in range(300)]
        for number in range(20):
            quiet.publish(TOPIC, b"%d" % number, qos=1).wait_for_publish(PATIENCE)
        assert acknowledged(flood) < len(flood)


def test_an_address_has_so_many_connections_and_no_more(mosquitto: Broker) -> None:
    with let_in(mosquitto, ingress_connections=2) as port, device(port) as first, device(port) as second:
        until(lambda: first.is_connected() and second.is_connected(), "two connections")
        with socket.create_connection(("127.0.0.1", port)) as third:
            assert third.recv(1) == b""
        second.disconnect()
        until(lambda: not second.is_connected(), "the end of one")
        with device(port) as fourth:
            until(fourth.is_connected, "a place for another")


def test_who_comes_anew_again_and_again_is_refused(mosquitto: Broker) -> None:
    with let_in(mosquitto, ingress_connects="3/d") as port:  # one was the probe of this test
        kept = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        assert kept[2].recv(1) == b""
        for connection in kept:
            connection.close()


def test_the_queue_is_what_mosquitto_says_it_is() -> None:
    queue = BrokerQueue()
    assert queue.size is None
    assert queue.told("$SYS/broker/store/messages/count", b"10")
    assert not queue.filling(1)
    assert queue.told("$SYS/broker/store/messages/bytes", b"1000")
    assert queue.size == 10 * 420 + 1_000
    assert queue.filling(20_000)
    assert not queue.filling(21_000)
    assert not queue.told("$SYS/broker/uptime", b"1 seconds")
