"""Subscriptions besides the devices' own topics, against a real Mosquitto."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.collector.mqtt.broker import Broker
from greenmine.collector.mqtt.session import Session
from greenmine.collector.mqtt.subscription import TopicSubscriptions
from greenmine.settings import Settings
from tests.collector.mqtt.test_session import PATIENCE, Record, until

OWN = "greenmine/v1/pit/plain/readings"


@contextmanager
def subscribed(broker: Broker, record: Record, file: Path, *topics: str, **settings: object) -> Iterator[None]:
    """A session that has what it wants, and nothing else."""
    stop = threading.Event()
    subscriptions = TopicSubscriptions(topics, "collector", file)
    session = Session(Settings(broker_port=broker.port, **settings), record, stop, subscriptions=subscriptions)
    thread = threading.Thread(target=session.run)
    thread.start()
    try:
        until(lambda: session.counters.connections > 0, "a connection")
        until(lambda: publish(broker, (OWN, b"canary")) and b"canary" in record.payloads, "the subscription")
        until(lambda: not subscriptions.stale(), "the end of old subscriptions")
        yield
    finally:
        stop.set()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def publish(broker: Broker, *messages: tuple[str, bytes], retain: bool = False) -> bool:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect(broker.host, broker.port)
    client.loop_start()
    for topic, payload in messages:
        client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE)
    client.disconnect()
    client.loop_stop()
    return True


def received(record: Record) -> list[bytes]:
    return [payload for payload in record.payloads if payload != b"canary"]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_what_is_no_longer_wanted_no_longer_comes(mosquitto: Broker, tmp_path: Path, version: str) -> None:
    file = tmp_path / "data" / "subscriptions.json"
    first, second = Record(), Record()
    with subscribed(mosquitto, first, file, "tele/+/SENSOR", "plant/#", mqtt_version=version):
        publish(mosquitto, ("tele/a/SENSOR", b"1"), ("plant/x/y", b"2"), ("tele/a/STATE", b"3"), (OWN, b"4"))
        until(lambda: received(first) == [b"1", b"2", b"4"], "what is wanted")
    with subscribed(mosquitto, second, file, "plant/#", mqtt_version=version):
        publish(mosquitto, ("tele/a/SENSOR", b"5"), ("plant/x", b"6"), (OWN, b"7"))
        until(lambda: received(second) == [b"6", b"7"], "what is wanted still")
    assert TopicSubscriptions(["plant/#"], "collector", file).stale() == []
    assert TopicSubscriptions([], "collector", file).stale() == ["plant/#"]


def test_what_came_while_it_was_away_is_there_when_it_is_back(mosquitto: Broker, tmp_path: Path) -> None:
    first, second = Record(), Record()
    file = tmp_path / "subscriptions.json"
    with subscribed(mosquitto, first, file, "tele/+/SENSOR"):
        pass
    publish(mosquitto, *(("tele/a/SENSOR", b"%d" % number) for number in range(100)))
    with subscribed(mosquitto, second, file, "tele/+/SENSOR"):
        until(lambda: len(received(second)) == 100, "100 messages")
    assert received(second) == [b"%d" % number for number in range(100)]


def test_subscriptions_of_another_session_are_not_of_this_one(tmp_path: Path) -> None:
    file = tmp_path / "subscriptions.json"
    TopicSubscriptions(["a"], "one", file).begin()
    assert TopicSubscriptions(["b"], "other", file).stale() == []
    assert TopicSubscriptions(["b"], "one", file).stale() == ["a"]


def test_what_was_begun_and_not_settled_is_remembered(tmp_path: Path) -> None:
    file = tmp_path / "subscriptions.json"
    TopicSubscriptions(["a"], "one", file).begin()
    TopicSubscriptions(["b"], "one", file).begin()
    assert TopicSubscriptions(["c"], "one", file).stale() == ["b", "a"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff"])
def test_a_damaged_file_stops_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "subscriptions.json"
    file.write_bytes(content)
    subscriptions = TopicSubscriptions(["a"], "one", file)
    assert subscriptions.stale() == []
    subscriptions.begin()
    assert TopicSubscriptions([], "one", file).stale() == ["a"]


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    subscriptions = TopicSubscriptions(["a"], "one", tmp_path / "data" / "subscriptions.json")
    subscriptions.begin()
    subscriptions.settle()
    assert subscriptions.stale() == []


def test_without_other_topics_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "subscriptions.json"
    subscriptions = TopicSubscriptions([], "one", file)
    subscriptions.begin()
    subscriptions.settle()
    assert not file.exists()


def test_a_message_that_the_broker_had_kept_is_told_from_one_that_comes_live(mosquitto: Broker, tmp_path: Path) -> None:
    publish(mosquitto, ("node/state", b"kept"), retain=True)
    record = Record()
    with subscribed(mosquitto, record, tmp_path / "subscriptions.json", "node/state"):
        publish(mosquitto, ("node/state", b"live"), retain=True)
        until(lambda: received(record) == [b"kept", b"live"], "both")
    messages = [message for batch in record.batches for message in batch if message.topic == "node/state"]
    assert [message.retained for message in messages] == [True, False]
