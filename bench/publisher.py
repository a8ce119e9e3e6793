"""A QoS 1 publisher in a process of its own: packets made beforehand, pushed through a raw socket."""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Final

_PUBLISH_QOS1: Final = 0x32
_PUBACK: Final = 0x40
_UNDER_WAY: Final = 60_000
"""Messages sent and not acknowledged; there are only 65535 packet identifiers."""
_CHUNK: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Publication:
    """What became of a stream of messages: first instant, last acknowledgement [s since 1970], CPU used [s]."""

    begun: float
    ended: float
    cpu: float


@contextmanager
def publisher(port: int, topics: Sequence[str], payloads: Sequence[bytes]) -> Iterator[Connection]:
    """Prepare a process that publishes everything as fast as the broker takes it.

    Yields a connection: send anything to begin, receive the `Publication`.
    """
    with _process(_push, port, topics, payloads) as connection:
        yield connection


@contextmanager
def paced_publisher(
    port: int, topics: Sequence[str], template: bytes, rate: int, seconds: float
) -> Iterator[Connection]:
    """Prepare a process that publishes at an even rate, topic by topic, with the instant [ms] in place of ``%d``."""
    with _process(_pace, port, topics, template, rate, seconds) as connection:
        yield connection


@contextmanager
def _process(target: object, *arguments: object) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=target, args=(there, *arguments))  # type: ignore[arg-type]
    process.start()
    there.close()
    try:
        assert here.recv() == "ready"
        yield here
    finally:
        process.join(10)
        process.terminate()
        process.join()


def _publish(topic: str, payload: bytes, mid: int) -> bytes:
    name = topic.encode()
    length = len(name) + len(payload) + 4
    head = bytearray([_PUBLISH_QOS1])
    while True:
        length, digit = divmod(length, 128)
        head.append(digit | (0x80 if length else 0))
        if not length:
            break
    return bytes(head) + len(name).to_bytes(2) + name + mid.to_bytes(2) + payload


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    name = b"bench-publisher"
    body = b"\x00\x04MQTT\x04\x02\x00\x00" + len(name).to_bytes(2) + name
    sock.sendall(b"\x10" + bytes([len(body)]) + body)
    answer = sock.recv(4)
    if answer != b"\x20\x02\x00\x00":
        raise OSError(f"the broker answered {answer!r} to the connection; 20 02 00 00 was due")
    return sock


class _Acknowledgements:
    """Counts PUBACK packets, which are 4 bytes each in MQTT 3.1.1."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._bytes = 0

    @property
    def count(self) -> int:
        return self._bytes // 4

    def read(self) -> None:
        data = self._sock.recv(_CHUNK)
        if not data or (self._bytes % 4 == 0 and data[0] != _PUBACK):
            raise OSError("the broker ended the publisher's connection")
        self._bytes += len(data)


def _push(pipe: Connection, port: int, topics: Sequence[str], payloads: Sequence[bytes]) -> None:
    packets = [_publish(t, p, i % 65_535 + 1) for i, (t, p) in enumerate(zip(topics, payloads, strict=True))]
    step = max(1, _CHUNK // max(map(len, packets)))
    chunks = [b"".join(packets[k : k + step]) for k in range(0, len(packets), step)]
    total = len(packets)
    del packets
    sock = _connect(port)
    acknowledged = _Acknowledgements(sock)
    sock.setblocking(False)  # noqa: FBT003
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
    pipe.send("ready")
    pipe.recv()
    begun, cpu = time.time(), time.process_time()
    sent, rest = 0, memoryview(b"")
    while acknowledged.count < total:
        room = rest or (sent < len(chunks) and (sent + 1) * step - acknowledged.count <= _UNDER_WAY)
        selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if room else 0))
        for _, events in selector.select(5.0):
            if events & selectors.EVENT_READ:
                acknowledged.read()
            if events & selectors.EVENT_WRITE:
                if not rest:
                    rest, sent = memoryview(chunks[sent]), sent + 1
                rest = rest[sock.send(rest) :]
    pipe.send(Publication(begun, time.time(), time.process_time() - cpu))
    sock.close()


def _pace(pipe: Connection, port: int, topics: Sequence[str], template: bytes, rate: int, seconds: float) -> None:
    sock = _connect(port)
    acknowledged = _Acknowledgements(sock)
    total = int(rate * seconds)
    pipe.send("ready")
    pipe.recv()
    begun, cpu = time.time(), time.process_time()
    clock = time.monotonic()
    sent = 0
    while sent < total:
        due = min(total, int((time.monotonic() - clock) * rate) + 1)
        while sent < due:
            stamp = template.replace(b"%d", b"%d" % (time.time_ns() // 1_000_000))
            sock.sendall(_publish(topics[sent % len(topics)], stamp, sent % 65_535 + 1))
            sent += 1
        while sent - acknowledged.count > _UNDER_WAY // 2:
            acknowledged.read()
        time.sleep(max(0.0, clock + sent / rate - time.monotonic()))
    while acknowledged.count < total:
        acknowledged.read()
    pipe.send(Publication(begun, time.time(), time.process_time() - cpu))
    sock.close()
