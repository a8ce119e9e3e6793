"""An MQTT 3.1.1 session that only publishes, with QoS 1 and many messages in flight.

paho-mqtt builds several objects for every acknowledgement and writes every message with its own system call: about
75 us a message, 13,000 messages/s where five mines in full speed need more, and the machine is shared with the
collector. Publishing alone needs five kinds of packet, so this writes them in bulk (MQTT 3.1.1, chapter 3).
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from struct import pack
from typing import Final, TypedDict

_CONNECT, _PUBLISH, _PINGREQ, _DISCONNECT = 0x10, 0x32, b"\xc0\x00", b"\xe0\x00"
_CONNACK, _PUBACK, _PINGRESP = 0x20, 0x40, 0xD0
_REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it rejects the client identifier",
    3: "it is not available",
    4: "user name or password is wrong",
    5: "this user may not connect",
}
_KEEPALIVE = 60
_TIMEOUT = 10.0
"""For connecting [s]."""
_STALLED = 30.0
"""A broker that acknowledges nothing for this long is taken for dead [s]."""
_MOST = 0x8000
"""Most messages under way at once when many are sent again; there are 65,535 identifiers."""
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection(TypedDict, total=False):
    """How to reach a broker, besides host and port."""

    user: str | None
    password: str | None
    tls: ssl.SSLContext | None


class BrokerRefusedError(ConnectionError):
    """The broker does not want this client; trying again would change nothing."""


class SendingSession:
    """Sends messages and remembers each until the broker has it for certain; after a loss of the connection it sends them again.

    Mosquitto acknowledges what it has in memory and saves it up to two seconds later. So what was acknowledged within the
    last ``keep`` seconds before the broker's last sign of life is sent again too, before anything else; a receiver that
    knows a reading by its channel and instant takes no harm.

    Parameters
    ----------
    host, port : str, int
        The broker.
    client : str
        Client identifier; the session is clean, so it only has to be unique.
    user, password : str or None
        Credentials.
    tls : ssl.SSLContext or None
        None: no TLS.
    patience : float
        How long to try to reconnect before giving up [s].
    keep : float
        How long to remember a message after its acknowledgement [s].

    Raises
    ------
    ConnectionError
        If the broker cannot be reached at first, or not again within ``patience``; RefusedError if it refuses.
    """

    def __init__(
        self,
        host: str,
        port: int,
        client: str,
        *,
        user: str | None = None,
        password: str | None = None,
        tls: ssl.SSLContext | None = None,
        patience: float = 300.0,
        keep: float = 3.0,
    ) -> None:
        self._host, self._port, self._tls, self._patience, self._keep = host, port, tls, patience, keep
        self._hello = _connect_packet(client, user, password)
        self._waiting: deque[tuple[bytes, bytes]] = deque()
        self._unacknowledged: dict[int, tuple[bytes, bytes]] = {}
        self._kept: deque[tuple[float, tuple[bytes, bytes]]] = deque()
        self._heard = 0.0
        self._identifier = 0
        self.acknowledged = 0
        """Messages acknowledged so far, less those that are being sent again."""
        self.reconnects = 0
        """How often the connection was lost and found again."""
        try:
            self._open()
        except BrokerRefusedError:
            raise
        except OSError as error:
            raise ConnectionError(f"no MQTT broker answers at {host}:{port} ({error}); is it running?") from error

    @property
    def in_flight(self) -> int:
        """Messages not yet acknowledged."""
        return len(self._waiting) + len(self._unacknowledged)

    @property
    def unsettled(self) -> int:
        """Messages that would be sent again if the broker were lost now."""
        self._forget(time.monotonic())
        return self.in_flight + len(self._kept)

    def put(self, topic: str, payload: bytes) -> None:
        """Queue a message; ``service`` sends it. At most 32,768 are under way at once, the others wait."""
        self._waiting.append((topic.encode(), payload))

    def service(self, timeout: float) -> None:
        """Write what is queued and take acknowledgements, waiting up to ``timeout`` [s] for something to do."""
        try:
            self._service(timeout)
        except BrokerRefusedError:
            raise
        except OSError:
            self._reopen()

    def close(self) -> None:
        """Say goodbye; what is not acknowledged is forgotten."""
        try:
            self._socket.settimeout(1.0)
            self._socket.sendall(_DISCONNECT)
        except OSError:
            pass  # the broker has gone first
        self._socket.close()

    def _open(self) -> None:
        connection: socket.socket = socket.create_connection((self._host, self._port), timeout=_TIMEOUT)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_hostname=self._host)
            self._greet(connection)
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        self._input = bytearray()
        self._rest = memoryview(b"")
        self._output: list[bytes] = []
        # The session is clean, so these are new publications with new identifiers, in their old order.
        self._forget(self._heard)
        self.acknowledged -= len(self._kept)
        again = [message for _, message in self._kept] + list(self._unacknowledged.values())
        self._waiting.extendleft(reversed(again))
        self._kept.clear()
        self._unacknowledged.clear()
        self._written = self._heard = time.monotonic()

    def _greet(self, connection: socket.socket) -> None:
        connection.sendall(self._hello)
        answer = b""
        while len(answer) < 4:
            part = connection.recv(4 - len(answer))
            if not part:
                raise ConnectionResetError("the broker closed the connection")
            answer += part
        if answer[0] != _CONNACK:
            raise BrokerRefusedError(f"what answers at {self._host}:{self._port} is no MQTT broker")
        if answer[3]:
            reason = _REFUSALS.get(answer[3], f"code {answer[3]}")
            raise BrokerRefusedError(f"the broker at {self._host}:{self._port} refuses the connection: {reason}")
        connection.settimeout(0.0)

    def _reopen(self) -> None:
        self._socket.close()
        end, pause = time.monotonic() + self._patience, 0.1
        while True:
            try:
                self._open()
            except BrokerRefusedError:
                raise
            except OSError as error:
                if time.monotonic() + pause > end:
                    raise ConnectionError(
                        f"the MQTT broker at {self._host}:{self._port} has not answered for {self._patience:.0f} s "
                        f"({error}); {self.in_flight} messages are not acknowledged"
                    ) from error
                time.sleep(pause)
                pause = min(2 * pause, 5.0)
            else:
                self.reconnects += 1
                return

    def _forget(self, now: float) -> None:
        """Let go of what was acknowledged long enough before an instant."""
        while self._kept and self._kept[0][0] <= now - self._keep:
            self._kept.popleft()

    def _fill(self) -> None:
        """Give identifiers to messages that wait, and queue their packets."""
        while self._waiting and len(self._unacknowledged) < _MOST:
            identifier = self._identifier % 0xFFFF + 1
            while identifier in self._unacknowledged:
                identifier = identifier % 0xFFFF + 1
            self._identifier = identifier
            name, payload = self._unacknowledged[identifier] = self._waiting.popleft()
            body = pack(f"!H{len(name)}sH", len(name), name, identifier) + payload
            self._output.append(bytes([_PUBLISH]) + _length(len(body)) + body)

    def _service(self, timeout: float) -> None:
        self._fill()
        self._write()
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        waiting = [self._socket] if self._rest else []
        readable, writable, _ = select.select([self._socket], waiting, [], 0 if pending else timeout)
        if writable:
            self._write()
        if readable or pending:
            self._read()
        now = time.monotonic()
        if now - self._written > _KEEPALIVE / 2 and not self._rest:
            self._output.append(_PINGREQ)
            self._write()
        if self._unacknowledged and now - max(self._heard, self._written) > _STALLED:
            raise TimeoutError("the broker acknowledges nothing")

    def _write(self) -> None:
        while self._rest or self._output:
            if not self._rest:
                self._rest = memoryview(b"".join(self._output))
                self._output.clear()
            try:
                self._rest = self._rest[self._socket.send(self._rest) :]
            except _AGAIN:
                return
            self._written = time.monotonic()

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except _AGAIN:
            return
        if not data:
            raise ConnectionResetError("the broker closed the connection")
        now = self._heard = time.monotonic()
        buffer = self._input
        buffer += data
        at = 0
        while at + 2 <= len(buffer) and at + 2 + buffer[at + 1] <= len(buffer):
            if buffer[at] == _PUBACK:
                message = self._unacknowledged.pop(buffer[at + 2] << 8 | buffer[at + 3], None)
                if message is not None:
                    self.acknowledged += 1
                    self._kept.append((now, message))
            elif buffer[at] != _PINGRESP:
                raise BrokerRefusedError(
                    f"the broker sent a packet of type {buffer[at] >> 4}, which a publisher never gets"
                )
            at += 2 + buffer[at + 1]
        del buffer[:at]
        self._forget(now)


def _connect_packet(client: str, user: str | None, password: str | None) -> bytes:
    flags, fields = 0x02, [client]
    if user is not None:
        flags |= 0x80
        fields.append(user)
    if password is not None:
        flags |= 0x40
        fields.append(password)
    body = pack("!H4sBBH", 4, b"MQTT", 4, flags, _KEEPALIVE)
    body += b"".join(pack("!H", len(text.encode())) + text.encode() for text in fields)
    return bytes([_CONNECT]) + _length(len(body)) + body


def _length(number: int) -> bytes:
    """A packet's remaining length, seven bits to a byte (MQTT 3.1.1, 2.2.3)."""
    encoded = bytearray()
    while True:
        number, digit = divmod(number, 128)
        encoded.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(encoded)
