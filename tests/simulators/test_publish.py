from __future__ import annotations

import socket
import threading
import time
from functools import partial

import pytest

from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.mine import stream
from greenmine.simulators.pace import PlaybackPace, live
from greenmine.simulators.presence import presence
from greenmine.simulators.publish import connection
from greenmine.simulators.publish import publish as publish_and_settle
from greenmine.simulators.session import SendingSession
from tests.simulators.broker_ear import listening, until

TOPIC = "greenmine/v1/kunyin/weather/readings"


publish = partial(publish_and_settle, keep=0.0)
"""Without the three seconds at the end in which nothing happens."""


def numbered(count, step=0):
    return [Message(i * step, TOPIC, b"%d" % i) for i in range(count)]


def test_a_broker_gets_every_message_in_order(broker, registry, sites, monday):
    messages = list(stream(registry, sites, 1, monday, monday + 3 * 3_600_000))
    assert len(messages) > 5000
    with listening(broker.port) as ear:
        done = publish(messages, "127.0.0.1", broker.port)
        until(lambda: len(ear.heard) >= len(messages))
    assert done.messages == len(messages)
    assert [(topic, payload) for topic, payload, _ in ear.heard] == [(m.topic, m.payload) for m in messages]


def test_a_restart_of_the_broker_loses_nothing(broker):
    count = 30_000

    def interrupted():
        for number, message in enumerate(numbered(count)):
            if number in {7_000, 20_000}:
                broker.restart()
            yield message

    with listening(broker.port) as ear:
        done = publish(interrupted(), "127.0.0.1", broker.port)
        until(lambda: len(set(ear.payloads())) == count)
    assert done.reconnects == 2
    assert done.messages == count


@pytest.mark.parametrize(("keep", "again", "copies"), [(0.0, 0, 1), (30.0, 100, 2)])
def test_what_was_acknowledged_shortly_before_a_loss_is_sent_again_in_order(broker, keep, again, copies):
    session = SendingSession("127.0.0.1", broker.port, "device", keep=keep)

    def send(first, last):
        for number in range(first, last):
            session.put(TOPIC, b"%d" % number)
        while session.in_flight:
            session.service(0.1)

    with listening(broker.port) as ear:
        send(0, 100)
        until(lambda: len(ear.heard) == 100)
        broker.restart()
        send(100, 150)
        until(lambda: ear.payloads()[-1] == b"149")
    session.close()
    assert session.acknowledged == 150
    # What the ear's acknowledgement had not reached came again before all else; that was never more than the last few.
    assert ear.payloads()[-50 - again :] == [b"%d" % number for number in [*range(again), *range(100, 150)]]
    assert ear.payloads().count(b"0") == copies


def test_a_publication_stays_until_nothing_would_be_sent_again(broker):
    started = time.monotonic()
    done = publish(numbered(10), "127.0.0.1", broker.port, keep=0.5)
    assert done.seconds < 0.5 <= time.monotonic() - started


def test_publishing_costs_little_enough_for_twenty_thousand_messages_a_second(broker):
    messages = numbered(40_000)
    costs = []
    for _ in range(3):
        before = time.process_time()  # not the wall clock: the broker and other tests share the machine
        publish(messages, "127.0.0.1", broker.port)
        costs.append((time.process_time() - before) / len(messages))
    assert min(costs) < 1 / 20_000


@pytest.mark.parametrize("in_flight", [1, 7, 300])
def test_no_more_than_the_allowed_messages_are_in_flight(broker, in_flight):
    done = publish(numbered(1000), "127.0.0.1", broker.port, in_flight=in_flight)
    assert done.messages == 1000


def test_a_large_message_arrives_whole(broker):
    payload = bytes(range(256)) * 20_000
    with listening(broker.port) as ear:
        publish([Message(0, TOPIC, payload)], "127.0.0.1", broker.port)
        until(lambda: ear.heard)
    assert ear.payloads() == [payload]


def test_a_speed_paces_the_messages(broker):
    started = time.monotonic()
    publish(numbered(11, step=100), "127.0.0.1", broker.port, speed=2.0)
    assert time.monotonic() - started >= 0.5


def test_what_was_due_is_sent_at_once_and_the_rest_in_time(broker):
    messages = [*numbered(5000, step=100), Message(500_600, TOPIC, b"last")]
    with listening(broker.port) as ear:
        started = time.monotonic()
        publish(messages, "127.0.0.1", broker.port, speed=1.0, since=500_000)
        assert 0.6 <= time.monotonic() - started < 60
        until(lambda: len(ear.heard) == 5001)
    assert ear.payloads()[-1] == b"last"


def test_progress_ends_with_the_count_and_the_newest_instant(broker):
    reports = []
    publish(numbered(3000, step=10), "127.0.0.1", broker.port, progress=lambda *report: reports.append(report))
    assert reports[-1] == (3000, 29_990)


def test_a_stop_ends_an_endless_publication(broker, registry, monday):
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    started = time.monotonic()
    done = publish(stream(registry, ["kunyin"], 1, monday, None), "127.0.0.1", broker.port, stop=stop)
    assert time.monotonic() - started < 60
    assert done.messages > 0


def test_without_a_broker_there_is_an_error_that_says_so():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        with pytest.raises(ConnectionError, match=rf"no MQTT broker answers at 127\.0\.0\.1:{port}.*running"):
            publish(numbered(1), "127.0.0.1", port)


def test_a_broker_that_stays_away_is_given_up(broker):
    def abandoned():
        yield numbered(1)[0]
        broker.stop()
        yield from numbered(2000)

    with pytest.raises(ConnectionError, match=r"has not answered for 1 s.*not acknowledged"):
        publish(abandoned(), "127.0.0.1", broker.port, patience=1.0)
    broker.start()


def test_something_that_is_no_broker_is_named():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            peer, _ = server.accept()
            with peer:
                peer.recv(100)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        threading.Thread(target=answer).start()
        with pytest.raises(ConnectionError, match="no MQTT broker"):
            publish(numbered(1), "127.0.0.1", server.getsockname()[1])


def test_devices_are_online_while_they_run_and_offline_after(broker):
    topics = [f"greenmine/v1/kunyin/{device}/status" for device in ("a", "b")]
    with listening(broker.port) as ear:
        with presence(topics, "127.0.0.1", broker.port):
            until(lambda: len(ear.heard) == 2)
            assert sorted((t, p) for t, p, _ in ear.heard) == [(topic, b"online") for topic in topics]
        until(lambda: len(ear.heard) == 4)
    with listening(broker.port) as late:
        until(lambda: len(late.heard) == 2)
    assert sorted(late.heard) == [(topic, b"offline", True) for topic in topics]


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (None, ("127.0.0.1", 1883)),
        ("mqtt.example:8883", ("mqtt.example", 8883)),
        ("mqtt.example", ("mqtt.example", 1883)),
    ],
)
def test_the_address_of_the_broker(address, expected):
    assert connection(Settings(), address)[:2] == expected


@pytest.mark.parametrize("address", ["", ":1883", "host:port", "host:0", "host:70000"])
def test_a_wrong_address_is_refused(address):
    with pytest.raises(ValueError, match="HOST:PORT"):
        connection(Settings(), address)


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_must_be_above_zero(speed):
    with pytest.raises(ValueError, match="above 0"):
        PlaybackPace(speed)


def test_live_gives_the_past_at_once(registry):
    now = time.time_ns() // 1_000_000
    start = now - 30 * 60_000
    messages = live(registry, 1, start, 1.0, ["kunyin"], ())
    found = [next(messages) for _ in range(100)]
    assert time.time_ns() // 1_000_000 - now < 20_000
    assert found == [m for m, _ in zip(stream(registry, ["kunyin"], 1, start, None, ()), range(100), strict=False)]


def test_live_does_not_run_ahead_of_the_clock(registry, monday):
    messages = live(registry, 1, monday, 60.0, ["kunyin"], ())
    started, first = time.monotonic(), next(messages)
    latest = [next(messages) for _ in range(15)][-1]
    elapsed = time.monotonic() - started
    assert elapsed >= (latest.time_sent - first.time_sent) / 60_000 - 0.05
