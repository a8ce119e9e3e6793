"""Inbound packets: cut anywhere, they are the same; what is no MQTT ends the connection, and nothing before it is lost."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from greenmine.collector.intake import Message
from greenmine.collector.mqtt.broker import Broker
from greenmine.collector.mqtt.inbound import MalformedPacketError, Publish, PublishSocket, cut
from greenmine.collector.mqtt.session import Session
from greenmine.settings import Settings
from tests.collector.mqtt.test_session import PATIENCE, Record, publish, running, subscribed, until

PINGRESP = b"\xd0\x00"
SUBACK = b"\x90\x03\x00\x07\x01"


def length(number: int) -> bytes:
    """The length of what follows, in MQTT's form (2.2.3)."""
    out = bytearray()
    while True:
        number, rest = divmod(number, 128)
        out.append(rest | (128 if number else 0))
        if not number:
            return bytes(out)


def packet(found: Publish, version: int, properties: bytes = b"") -> bytes:
    """A PUBLISH packet as a broker sends it (3.3)."""
    topic = found.topic.encode()
    body = struct.pack(">H", len(topic)) + topic
    if found.mid:
        body += struct.pack(">H", found.mid)
    if version == 5:
        body += length(len(properties)) + properties
    body += found.payload
    first = 0x30 | (2 if found.mid else 0) | found.retained
    return bytes([first]) + length(len(body)) + body


PUBLISHES = st.builds(
    Publish,
    topic=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    payload=st.one_of(st.binary(max_size=40), st.integers(100, 20_000).map(lambda size: b"x" * size)),
    mid=st.integers(0, 65_535),
    retained=st.booleans(),
)
OTHERS = st.sampled_from([PINGRESP, SUBACK])


@given(st.lists(st.one_of(PUBLISHES, OTHERS), max_size=12), st.sampled_from([4, 5]), st.data())
def test_packets_are_the_same_wherever_the_stream_is_cut(
    sent: list[Publish | bytes], version: int, data: st.DataObject
) -> None:
    properties = st.sampled_from([b"", b"\x01\x01", b"\x26\x00\x01a\x00\x01b" * 30])
    stream = b"".join(
        s if isinstance(s, bytes) else packet(s, version, data.draw(properties) if version == 5 else b"") for s in sent
    )
    edges = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    publishes: list[Publish] = []
    control = bytearray()
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        connection = PublishSocket(here, version)
        for first, last in zip([0, *edges], [*edges, len(stream)], strict=True):
            there.sendall(stream[first:last])
            while connection.fill():
                publishes += connection.take()
            while connection.has_control:
                control += connection.recv(data.draw(st.integers(1, 7)))
    assert publishes == [s for s in sent if isinstance(s, Publish)]
    assert bytes(control) == b"".join(s for s in sent if isinstance(s, bytes))


def test_a_packet_comes_whole_when_its_bytes_come_one_by_one() -> None:
    one = Publish("greenmine/v1/pit/plain/readings", b"1" * 200, 77, False)
    for version in (4, 5):
        stream = packet(one, version) + PINGRESP
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            connection = PublishSocket(here, version)
            came = []
            for place in range(len(stream)):
                there.sendall(stream[place : place + 1])
                assert connection.fill()
                came += [(place, found) for found in connection.take()]
            assert came == [(len(stream) - 1 - len(PINGRESP), one)]
            assert connection.recv(9) == PINGRESP


BEFORE = Publish("a", b"before", 1, False)


@pytest.mark.parametrize(
    ("version", "wrong", "why"),
    [
        (4, b"\x30\xff\xff\xff\xff\x01", "more than four bytes"),
        (4, b"\x32\x02\x00\x00", "without a topic"),
        (4, b"\x30\x02\x00\x00", "without a topic"),
        (4, b"\x30\x00", "without a topic"),
        (4, b"\x30\x01\x00", "without a topic"),
        (4, b"\x32\x04\x00\x02ab", "shorter than it says"),
        (4, b"\x30\x03\x00\x02a", "shorter than it says"),
        (4, b"\x32\x05\x00\x01a\x00\x00", "identifier 0"),
        (4, b"\x34\x05\x00\x01a\x00\x01", "was not asked for"),
        (5, b"\x32\x05\x00\x01a\x00\x01", "length of its properties"),
        (5, b"\x32\x06\x00\x01a\x00\x01\x05", "longer than it"),
        (5, b"\x32\x0a\x00\x01a\x00\x01\xff\xff\xff\xff\x01", "length of its properties"),
        (5, b"\x32\x08\x00\x00\x00\x01\x03\x23\x00\x01", "without a topic"),  # a topic alias, which nobody allowed
    ],
)
def test_what_is_no_mqtt_ends_the_connection_after_what_came_before_it(version: int, wrong: bytes, why: str) -> None:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        connection = PublishSocket(here, version)
        there.sendall(packet(BEFORE, version) + PINGRESP + wrong + packet(BEFORE, version))
        while connection.fill():
            pass
        assert connection.take() == [BEFORE]
        assert connection.recv(9) == PINGRESP
        with pytest.raises(MalformedPacketError, match=why):
            connection.recv(1)


@given(st.binary(max_size=300), st.sampled_from([4, 5]))
def test_any_bytes_are_cut_or_refused(data: bytes, version: int) -> None:
    publishes: list[Publish] = []
    others: list[bytes] = []
    try:
        done, due = cut(data, version, publishes, others)
    except MalformedPacketError:
        return
    assert done <= len(data)
    assert (due == 0) == (done == len(data)) or due > len(data) - done
    assert sum(map(len, others)) <= done


def test_what_the_other_end_does_not_take_is_kept_and_goes_first() -> None:
    here, there = socket.socketpair()
    with here, there:
        here.setblocking(False)
        connection = PublishSocket(here, 4)
        blob = bytes(range(256)) * 8_000
        assert connection.send(blob) == len(blob)
        assert connection.unsent
        assert connection.send(b"behind") == len(b"behind")
        came = bytearray()
        while len(came) < len(blob) + len(b"behind"):
            came += there.recv(100_000)
            connection.flush()
        assert bytes(came) == blob + b"behind"
        assert not connection.unsent


@contextmanager
def broker_of(*connections: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A broker that says the same on each connection, whatever it hears, then hangs up; yields its port and what it heard."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for said in connections:
                peer, _ = server.accept()
                with peer:
                    peer.settimeout(1.0)
                    peer.sendall(b"\x20\x02\x01\x00\x90\x04\x00\x01\x01\x00" + said)
                    got = b""
                    try:
                        while data := peer.recv(1000):
                            got += data
                    except TimeoutError:
                        pass
                    heard.append(got)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(PATIENCE)
        assert not thread.is_alive()


def received(*connections: bytes) -> tuple[Record, list[bytes]]:
    """What a session commits, and what such a broker hears of it on each connection."""
    record, stop = Record(), threading.Event()
    with broker_of(*connections) as (port, heard):
        session = Session(Settings(broker_port=port), record, stop)
        thread = threading.Thread(target=session.run)
        thread.start()
        until(lambda: len(heard) == len(connections), "the end of the connections")
        stop.set()
        thread.join(PATIENCE)
    return record, heard


def test_what_is_no_mqtt_is_told_in_the_log_and_what_came_before_it_is_kept() -> None:
    with structlog.testing.capture_logs() as logs:
        record, heard = received(packet(BEFORE, 4) + b"\x32\x02\x00\x00", b"")
    assert record.payloads == [BEFORE.payload]
    assert len(heard) == 2, "it comes back"
    assert [entry["reason"] for entry in logs if "cannot be read" in entry["event"]] == [
        "a PUBLISH packet without a topic, or shorter than it says"
    ]


def test_a_connection_that_breaks_within_a_packet_gives_it_once() -> None:
    first, second = Publish("a", b"whole", 1, False), Publish("a", b"broken", 2, False)
    record, heard = received(packet(first, 4) + packet(second, 4)[:-3], packet(second, 4))
    assert record.payloads == [b"whole", b"broken"]
    assert b"\x40\x02\x00\x01" in heard[0]
    assert b"\x40\x02\x00\x02" not in heard[0]
    assert b"\x40\x02\x00\x02" in heard[1]


def test_an_identifier_that_is_used_again_is_acknowledged_each_time() -> None:
    same = [Publish("a", b"%d" % number, 7, False) for number in range(3)]
    record, heard = received(b"".join(packet(one, 4) for one in same))
    assert record.payloads == [b"0", b"1", b"2"]
    assert heard[0].count(b"\x40\x02\x00\x07") == 3


@pytest.mark.parametrize("version", ["3.1.1", "5"])
def test_a_very_large_message_comes_whole(mosquitto: Broker, version: str) -> None:
    large = bytes(range(256)) * 20_000
    subscribed(mosquitto, mqtt_version=version)
    record = Record()
    with running(mosquitto, record, mqtt_version=version, batch_bytes=1_000_000):
        publish(mosquitto, [b"before", large, b"after"])
        until(lambda: len(record.payloads) == 3, "three messages")
    assert record.payloads == [b"before", large, b"after"]
    assert len(record.batches) > 1


def test_messages_are_acknowledged_in_the_order_of_receipt() -> None:
    sent = [Publish("a", b"%d" % number, number, False) for number in range(1, 301)]
    record, heard = received(b"".join(packet(one, 4) for one in sent))
    acknowledged = b"".join(b"\x40\x02" + struct.pack(">H", number) for number in range(1, 301))
    assert acknowledged in heard[0]
    messages: list[Message] = [message for batch in record.batches for message in batch]
    assert [message.number for message in messages] == list(range(1, 301))
