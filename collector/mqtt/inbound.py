"""Inbound PUBLISH packets: read in blocks and cut up in one pass. All other packets are left to paho.

Packet by packet, a client in Python spends most of its time on reading: paho asks the socket three times for each.
"""

from __future__ import annotations

import socket
import ssl
from typing import Any, Final, NamedTuple, cast

from paho.mqtt.client import Client

_BLOCK: Final = 1 << 20
"""Read at once [bytes]."""
_PUBLISH: Final = 0x30
_QUALITY: Final = 0x06
_AT_LEAST_ONCE: Final = 0x02
_RETAIN: Final = 0x01
_KIND: Final = 0xF0
_LARGEST_HEADER: Final = 5
"""Type and flags, and at most four bytes of length."""
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Publish(NamedTuple):
    """A PUBLISH packet.

    Parameters
    ----------
    topic : str
        Its topic; empty where that is no UTF-8.
    payload : bytes
        Its content.
    mid : int
        Packet identifier; 0 where none is to be acknowledged (QoS 0).
    retained : bool
        Whether the broker had kept it.
    """

    topic: str
    payload: bytes
    mid: int
    retained: bool


class MalformedPacketError(ConnectionError):
    """What came is no MQTT, or nothing that was asked for; the connection is of no more use."""


def cut(data: bytes, version: int, publishes: list[Publish], others: list[bytes]) -> tuple[int, int]:
    """Cut what was received into packets (MQTT 3.1.1 and 5, clauses 2 and 3.3).

    Parameters
    ----------
    data : bytes
        From the beginning of a packet on.
    version : int
        4 for MQTT 3.1.1, 5 for MQTT 5.
    publishes : list of Publish
        Takes the PUBLISH packets.
    others : list of bytes
        Takes all other packets, whole.

    Returns
    -------
    tuple of int
        Bytes that were whole packets, and the length of the packet that begins behind them: 0 if none does, and as much as must be
        there to tell more of it while its length is not known.

    Raises
    ------
    MalformedPacketError
        With what came before it in the lists.
    """
    place, end = 0, len(data)
    new, take = tuple.__new__, publishes.append
    while place < end:
        body = place + 2
        if body > end:
            return place, 2
        first, length = data[place], data[place + 1]
        if length > 127:
            length &= 127
            shift = 7
            while True:
                if body - place == _LARGEST_HEADER:
                    raise MalformedPacketError("a packet whose length has more than four bytes")
                if body == end:
                    return place, body - place + 1
                more = data[body]
                body += 1
                length |= (more & 127) << shift
                if more < 128:
                    break
                shift += 7
        stop = body + length
        if stop > end:
            return place, stop - place
        if first & _KIND != _PUBLISH:
            others.append(data[place:stop])
            place = stop
            continue
        name = body + 2
        content = name + (data[body] << 8 | data[body + 1]) if length > 1 else stop + 1
        mid = 0
        quality = first & _QUALITY
        if quality:
            content += 2
        if content > stop or name + 2 * (quality > 0) == content:
            raise MalformedPacketError("a PUBLISH packet without a topic, or shorter than it says")
        topic = data[name:content]
        if quality:
            if quality != _AT_LEAST_ONCE:
                raise MalformedPacketError("a PUBLISH packet of a quality of service that was not asked for")
            topic = topic[:-2]
            mid = data[content - 2] << 8 | data[content - 1]
            if not mid:
                raise MalformedPacketError("a PUBLISH packet with the identifier 0")
        if version == 5:
            content = _behind_properties(data, content, stop)
        try:
            text = topic.decode()
        except UnicodeDecodeError:
            text = ""
        take(new(Publish, (text, data[content:stop], mid, first & _RETAIN != 0)))
        place = stop
    return place, 0


def _behind_properties(data: bytes, place: int, stop: int) -> int:
    """Where the payload of a PUBLISH packet of MQTT 5 begins: behind its properties, none of which matters here."""
    length = shift = 0
    while True:
        if place == stop or shift > 21:
            raise MalformedPacketError("a PUBLISH packet without the length of its properties")
        more = data[place]
        place += 1
        length |= (more & 127) << shift
        if more < 128:
            break
        shift += 7
    if place + length > stop:
        raise MalformedPacketError("a PUBLISH packet whose properties are longer than it")
    return place + length


class PublishSocket:
    """A connection between paho and its socket: PUBLISH packets stay here, all others go on to paho.

    It takes all that is written, at once; what the other end does not take is kept, and goes first when there is room.

    Parameters
    ----------
    sock : socket
        Connected; of TLS, too.
    version : int
        4 for MQTT 3.1.1, 5 for MQTT 5.
    """

    def __init__(self, sock: socket.socket, version: int) -> None:
        self._sock = sock
        self._version = version
        self._parts: list[bytes] = []
        """What came of the packet that is not whole yet."""
        self._there = 0
        self._due = 1
        """Bytes that must be there before anything more can be told of it."""
        self._publishes: list[Publish] = []
        self._control = bytearray()
        """What paho has to read."""
        self._end: OSError | None = None
        self._ended = False
        self._unsent = bytearray()

    # For the session.

    def fill(self) -> bool:
        """Read a block; False: nothing is there now. The end of the connection is for paho to find."""
        if self._ended:
            return False
        try:
            data = self._sock.recv(max(_BLOCK, self._due - self._there))
        except _NOT_NOW:
            return False
        except OSError as error:
            self._ended, self._end = True, error
            return True
        if not data:
            self._ended = True
            return True
        self._there += len(data)
        self._parts.append(data)
        if self._there >= self._due:
            self._cut()
        return True

    def _cut(self) -> None:
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        others: list[bytes] = []
        try:
            done, self._due = cut(data, self._version, self._publishes, others)
        except MalformedPacketError as error:
            done, self._ended, self._end = len(data), True, error
        self._control += b"".join(others)
        self._due = self._due or 1
        self._there = len(data) - done
        self._parts = [data[done:]] if self._there else []

    def take(self) -> list[Publish]:
        """Return the packets that have come since the last call."""
        taken, self._publishes = self._publishes, []
        return taken

    @property
    def has_control(self) -> bool:
        """Whether paho has something to read: packets, or the end of the connection."""
        return bool(self._control) or self._ended

    @property
    def fault(self) -> str:
        """What came that is no MQTT, or nothing that was asked for; empty while all is well."""
        return str(self._end) if isinstance(self._end, MalformedPacketError) else ""

    @property
    def pending(self) -> bool:
        """Whether TLS has decrypted more than was read; a selector cannot know."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    @property
    def unsent(self) -> bool:
        """Whether there is something to write once the other end takes it."""
        return bool(self._unsent)

    def flush(self) -> None:
        """Write what the other end takes now; `OSError` if it takes nothing any more."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except _NOT_NOW:
                return
            del self._unsent[:sent]

    # What paho asks of a socket.

    def recv(self, size: int) -> bytes:
        """Return what came for paho; as a socket that does not block, and as the socket itself where that has ended."""
        if self._control:
            data = bytes(self._control[:size])
            del self._control[:size]
            return data
        if self._end is not None:
            raise self._end
        if self._ended:
            return b""
        raise BlockingIOError

    def send(self, data: bytes) -> int:
        """Take all of it; `OSError` if the other end takes nothing any more."""
        self._unsent += data
        self.flush()
        return len(data)

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def fileno(self) -> int:
        """Return the socket's file descriptor; -1 once it is closed."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - as sockets have it
        """Let the socket block or not."""
        self._sock.setblocking(flag)

    def setsockopt(self, level: int, name: int, value: int) -> None:
        """Set an option of the socket."""
        self._sock.setsockopt(level, name, value)

    def getsockopt(self, level: int, name: int, size: int) -> bytes:
        """Return an option of the socket."""
        return self._sock.getsockopt(level, name, size)


class InboundClient(Client):
    """paho's client, whose inbound PUBLISH packets are read from its `PublishSocket`."""

    def _create_socket(self) -> Any:
        return PublishSocket(super()._create_socket(), int(self.protocol))  # type: ignore[arg-type]

    @property
    def connection(self) -> PublishSocket | None:
        """Its connection; None while there is none."""
        found: Any = self.socket()
        return None if found is None else cast(PublishSocket, found)
