"""The intake against a real nats-server: what is committed has its place, and what is not is read again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.collector.intake import LogPlace, Message
from greenmine.collector.jetstream.connection import SOURCE, STREAM, nanoseconds
from greenmine.collector.jetstream.log_intake import LogIntake, LogSelection
from greenmine.collector.mqtt.credentials import NOTIFIER, SIMULATOR
from greenmine.errors import StoreError
from greenmine.loading import load_registry
from greenmine.settings import Settings
from tests.nats_servers import NatsCluster
from tests.system.running import until

DEVICE = "yanjing/boundary-dust"
OWN = f"greenmine/v1/{DEVICE}/readings"


class LogBook:
    """Keeps what it is given, after refusing the first ``refusals`` batches."""

    def __init__(self, refusals: int = 0) -> None:
        self.messages: list[Message] = []
        self.places: list[LogPlace] = []
        self.refusals = refusals

    def __call__(self, batch: list[Message], place: LogPlace) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreError("the disk is full")
        self.messages += batch
        self.places.append(place)

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with NatsCluster(tmp_path_factory.mktemp("log"), load_registry()) as running:
        yield running


@contextmanager
def device(log: NatsCluster, user: str, password: str) -> Iterator[Callable[..., None]]:
    """A function that publishes and waits for the acknowledgement."""
    client = Client(CallbackAPIVersion.VERSION2, client_id=user)
    client.username_pw_set(user, password)
    client.connect("127.0.0.1", log.port)
    client.loop_start()

    def send(payload: bytes, topic: str = OWN, **how: Any) -> None:
        sent = client.publish(topic, payload, **{"qos": 1, **how})
        sent.wait_for_publish(60)
        assert sent.is_published()

    yield send
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def send(log: NatsCluster) -> Iterator[Callable[..., None]]:
    """Publishes as the simulator, who may play any device."""
    with device(log, SIMULATOR, log.passwords[SIMULATOR]) as publish:
        yield publish


@contextmanager
def reading(
    log: NatsCluster,
    book: LogBook,
    place: LogPlace,
    wanted: tuple[str, ...] = (),
    selection: LogSelection | None = None,
) -> Iterator[LogIntake]:
    stop, chosen = threading.Event(), selection or LogSelection()
    intake = LogIntake(Settings(**log.settings()), book, stop, [place], wanted=wanted, selected=lambda _: chosen)
    thread = threading.Thread(target=intake.run)
    thread.start()
    try:
        yield intake
    finally:
        stop.set()
        thread.join()


def end(log: NatsCluster) -> LogPlace:
    """Where the log ends."""
    last = log.settled()
    if not last:
        return LogPlace((0,))
    time = log.ask(f"STREAM.MSG.GET.{STREAM}", {"seq": last})["message"]["time"]
    return LogPlace((0,), last, nanoseconds(time))


def test_messages_come_in_order_with_their_place_and_their_time_of_receipt(
    log: NatsCluster, send: Callable[..., None]
) -> None:
    begin, book = end(log), LogBook()
    for number in range(20):
        send(b"%d" % number)
    with reading(log, book, begin) as intake:
        until(lambda: len(book.messages) == 20, "twenty messages")
    assert book.payloads == [b"%d" % number for number in range(20)]
    assert {message.topic for message in book.messages} == {OWN}
    assert book.places[-1] == end(log)
    assert book.messages[-1].received == book.places[-1].stamp // 1_000_000
    assert (intake.counters.messages, intake.counters.missing, intake.queue.messages) == (20, 0, 0)


def test_what_the_record_refuses_is_tried_again_and_nothing_after_it_goes_before(
    log: NatsCluster, send: Callable[..., None]
) -> None:
    begin, book = end(log), LogBook(refusals=2)
    with reading(log, book, begin) as intake:
        for number in range(5):
            send(b"%d" % number)
        until(lambda: len(book.messages) == 5, "five messages")
    assert book.payloads == [b"%d" % number for number in range(5)]
    assert intake.counters.retries == 2


def test_reading_goes_on_after_the_place_and_not_before_it(log: NatsCluster, send: Callable[..., None]) -> None:
    begin, book = end(log), LogBook()
    for number in range(4):
        send(b"%d" % number)
    with reading(log, book, begin):
        until(lambda: len(book.messages) == 4, "four messages")
    send(b"4")
    again = LogBook()
    with reading(log, again, book.places[-1]):
        until(lambda: bool(again.messages), "the fifth")
    assert again.payloads == [b"4"]


def test_a_server_that_is_killed_is_read_again_from_the_same_place(log: NatsCluster) -> None:
    begin, book = end(log), LogBook()
    with reading(log, book, begin) as intake:
        with device(log, SIMULATOR, log.passwords[SIMULATOR]) as send:
            send(b"before")
            until(lambda: bool(book.messages), "the first message")
        log.kill()
        log.start()
        until(lambda: intake.counters.connections == 2, "another connection")
        with device(log, SIMULATOR, log.passwords[SIMULATOR]) as send:
            send(b"after")
        until(lambda: len(book.messages) == 2, "the second message")
    assert book.payloads == [b"before", b"after"]
    assert intake.counters.failures >= 1


def test_topics_that_nobody_wants_are_passed_over(log: NatsCluster, send: Callable[..., None]) -> None:
    begin, book = end(log), LogBook()
    send(b"status", topic=f"greenmine/v1/{DEVICE}/status")
    send(b"reading")
    with reading(log, book, begin):
        until(lambda: bool(book.messages), "the reading")
    assert book.payloads == [b"reading"]
    assert book.places[-1].position == begin.position + 2


def test_topics_of_other_makers_are_taken_where_they_are_wanted(log: NatsCluster, send: Callable[..., None]) -> None:
    begin, book = end(log), LogBook()
    send(b"status", topic=f"greenmine/v1/{DEVICE}/status")
    with reading(log, book, begin, ("greenmine/v1/+/+/status",)):
        until(lambda: bool(book.messages), "the status")
    assert book.messages[0].topic == f"greenmine/v1/{DEVICE}/status"


def test_a_retained_message_comes_once_and_one_without_quality_of_service_not_at_all(
    log: NatsCluster, send: Callable[..., None]
) -> None:
    begin, book = end(log), LogBook()
    send(b"unsure", qos=0)
    send(b"retained", retain=True)
    send(b"exactly once", qos=2)
    for place in (begin, begin):
        book.messages.clear()
        with reading(log, book, place):
            until(lambda: len(book.messages) == 2, "both messages")
        assert book.payloads == [b"retained", b"exactly once"]
        assert not book.messages[0].retained


def test_who_reads_what_is_of_no_site_passes_over_those_of_others(log: NatsCluster, send: Callable[..., None]) -> None:
    begin, book = end(log), LogBook()
    send(b"of others")
    send(b"of nobody", topic="greenmine/v1/nowhere/weather/readings")
    send(b"own", topic="greenmine/v1/huanglong/weather/readings")
    selection = LogSelection(elsewhere=frozenset({"yanjing"}))
    with reading(log, book, begin, selection=selection) as intake:
        until(lambda: len(book.messages) == 2, "both messages")
    assert book.payloads == [b"of nobody", b"own"]
    assert (book.places[-1].position, intake.counters.missing) == (begin.position + 3, 0)


def test_another_log_is_read_from_its_beginning(log: NatsCluster, send: Callable[..., None]) -> None:
    send(b"last")
    there, book = end(log), LogBook()
    with structlog.testing.capture_logs() as said, reading(log, book, there._replace(stamp=there.stamp - 1)):
        until(lambda: book.payloads[-1:] == [b"last"], "all of it")
    assert len(book.messages) > 1
    assert "the log is another one than was read before; reading all of it" in [entry["event"] for entry in said]


def test_a_log_that_is_shorter_than_what_was_read_of_it_is_read_from_its_beginning(
    log: NatsCluster, send: Callable[..., None]
) -> None:
    send(b"made anew")
    there, book = end(log), LogBook()
    with reading(log, book, LogPlace((0,), there.position + 1000, there.stamp)):
        until(lambda: book.payloads[-1:] == [b"made anew"], "all of it")


def test_what_the_log_no_longer_has_is_counted_and_told(log: NatsCluster, send: Callable[..., None]) -> None:
    begin, book = end(log), LogBook()
    for number in range(5):
        send(b"%d" % number)
    log.ask(f"STREAM.PURGE.{STREAM}", {"seq": end(log).position - 1})
    with structlog.testing.capture_logs() as said, reading(log, book, begin) as intake:
        until(lambda: len(book.messages) == 2, "what is left")
    assert intake.counters.missing == 3
    assert "the log had no longer what was to be read" in [entry["event"] for entry in said]


def test_a_device_publishes_on_its_own_topics_and_reads_nothing(log: NatsCluster) -> None:
    password = log.device(DEVICE)
    begin, book, heard = end(log), LogBook(), []
    client = Client(CallbackAPIVersion.VERSION2, client_id="listener")
    client.username_pw_set(DEVICE, password)
    client.on_message = lambda *_: heard.append(1)
    client.connect("127.0.0.1", log.port)
    client.loop_start()
    client.subscribe([("greenmine/#", 1), ("#", 0), ("$MQTT/msgs/#", 0), ("$MQTT/sub/#", 0)])
    with device(log, DEVICE, password) as send:
        send(b"foreign", topic="greenmine/v1/yanjing/weather/readings")
        send(b"deeper", topic="$MQTT/msgs/greenmine/v1/yanjing/weather/readings")
        send(b"own")
    with reading(log, book, begin):
        until(lambda: bool(book.messages), "its own reading")
    client.disconnect()
    client.loop_stop()
    assert book.payloads == [b"own"]
    assert not heard


def test_the_stream_that_nats_server_makes_by_itself_becomes_one_that_keeps_everything(tmp_path: Path) -> None:
    with NatsCluster(tmp_path, load_registry(), streams=False) as alone:
        with device(alone, SIMULATOR, alone.passwords[SIMULATOR]) as send:
            send(b"lost: nobody keeps it yet")
            assert alone.info(SOURCE)["config"]["retention"] == "interest"
            assert alone.make_streams()
            assert alone.info(SOURCE)["config"]["retention"] == "limits"
            assert alone.make_streams() == []
            send(b"kept")
        until(lambda: alone.info(STREAM)["state"]["messages"] == 1, "the second message, and no other")


def test_a_reader_of_alarms_gets_those_of_its_enterprise_and_no_others(log: NatsCluster) -> None:
    mine, other = "alarms@hengjie", "greenmine/alarms/v1/enterprise/elsewhere/yanjing"
    password, heard = log.device(mine), []
    client = Client(CallbackAPIVersion.VERSION2, client_id=mine)
    client.username_pw_set(mine, password)
    client.on_message = lambda _client, _data, message: heard.append((message.topic, message.payload))
    subscribed: list[int] = []
    client.on_subscribe = lambda _client, _data, _mid, reasons, _properties: subscribed.extend(r.value for r in reasons)
    client.connect("127.0.0.1", log.port)
    client.loop_start()
    own = "greenmine/alarms/v1/enterprise/hengjie/yanjing"
    client.subscribe([("greenmine/alarms/v1/enterprise/hengjie/#", 1)])
    until(lambda: bool(subscribed), "the answer to the subscription")
    assert subscribed == [1]
    client.subscribe([(other, 1), ("$MQTT/sub/#", 0)])
    with device(log, NOTIFIER, log.passwords[NOTIFIER]) as send:
        send(b"not ours", topic=other)
        send(b"ours", topic=own)
        send(b"no alarm", topic=OWN)
    until(lambda: bool(heard), "the alarm")
    client.disconnect()
    client.loop_stop()
    assert heard == [(own, b"ours")]
