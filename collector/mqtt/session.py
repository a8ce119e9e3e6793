"""The MQTT session: receive in batches, commit, and only then acknowledge."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import Any, Final

import numpy as np
import structlog
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from greenmine.backoff import delay
from greenmine.collector.gate import Account, Gate, beyond
from greenmine.collector.intake import BatchCommitter, Counters, Handler, Message, StoppedError, readings_bounds
from greenmine.collector.mqtt.inbound import InboundClient, Publish, PublishSocket
from greenmine.collector.mqtt.queue import BrokerQueue
from greenmine.collector.mqtt.subscription import TopicSubscriptions
from greenmine.collector.mqtt.tls import broker_tls
from greenmine.settings import Settings

TOPIC: Final = "greenmine/v1/+/+/readings"

_KEEPALIVE: Final = 60
_TICK: Final = 0.2
"""Longest time without a look at ``stop`` and at the keep-alive [s]."""
_FAREWELL: Final = 2.0
"""Longest time for the last acknowledgements to leave [s]."""
_TCP_ESTABLISHED: Final = 1
"""State in Linux's ``tcp_info`` (include/net/tcp_states.h)."""
_TAKEN_OVER: Final = 0x8E
"""Reason code of MQTT 5 for a session that another client has taken over."""
_SHORT: Final = 60.0
"""A connection that ends sooner than this after it was accepted was cut short [s]."""
_SUSPICIOUS: Final = 2
"""So many of them in a row have a cause."""
_NEVER: Final = 0xFFFFFFFF
"""Session expiry interval of MQTT 5 that means: never."""
_PUBACK: Final = 0x40020000
"""A PUBACK packet as one number, to which its identifier is added; MQTT 5 has the same for success."""
_VERSIONS: Final = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}

_log = structlog.get_logger(__name__)


class Session:
    """Receives readings from the broker in batches.

    The session on the broker is persistent and everything is delivered at least once: messages are acknowledged
    after the handler has committed them, so that whatever happens before is delivered again.

    All work, callbacks included, is done in the thread that calls ``run``; paho's thread is not used. paho connects, subscribes
    and keeps the connection alive; messages are read and acknowledged many at a time (`greenmine.collector.mqtt.inbound`). Memory
    is bounded by ``batch_bytes``, what is read at once, and one message more: beyond it nothing is read, and the broker keeps the
    rest. Where more waits than ``batch_readings``, whoever has sent more than half of it waits for all others, not they for it.

    Parameters
    ----------
    settings : Settings
        The broker's address, credentials and TLS, the protocol version, and the bounds of a batch.
    handler : Handler
        Called with each batch, in order of receipt.
    stop : threading.Event
        Ends ``run`` when set.
    tick : callable, optional
        Called after each turn of the loop, a few times a second when nothing comes; for work that the clock asks for.
    subscriptions : Subscriptions, optional
        Topics to receive besides the devices' own.
    gate : Gate, optional
        The senders' budgets; without it all messages are of one sender, who may send whatever he likes.
    """

    def __init__(
        self,
        settings: Settings,
        handler: Handler,
        stop: threading.Event,
        tick: Callable[[], None] = lambda: None,
        subscriptions: TopicSubscriptions | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.counters = Counters()
        self.queue = BrokerQueue()
        self._settings = settings
        self._handler = handler
        self._stop = stop
        self._tick = tick
        self._subscriptions = TopicSubscriptions() if subscriptions is None else subscriptions
        self._gate = gate
        self._pending: list[Message] = []
        self._unacknowledged: list[Message] = []
        self._count = 0
        self._readings = 0
        self._bytes = 0
        self._begun = 0.0
        self._committer = BatchCommitter(settings, self.counters, stop)
        self._attempts = 0
        """Since the last connection, which counts as one."""
        self._accepted = -_SHORT
        self._shorts = 0
        self._selector = selectors.DefaultSelector()
        self._client = self._make_client()

    def run(self) -> None:
        """Receive until ``stop`` is set, then commit and acknowledge what was received, and disconnect.

        Raises
        ------
        Exception
            Whatever the handler raises besides ``StoreError``; its batch is not acknowledged.
        """
        try:
            while not self._stop.is_set():
                if self._client.socket() is None:
                    self._flush_all()  # it cannot be acknowledged and will come again, which changes nothing
                    self._connect()
                else:
                    self._turn()
                self._tick()
            self._flush_all()
        finally:
            self._close()

    def _make_client(self) -> InboundClient:
        settings = self._settings
        version = _VERSIONS[settings.mqtt_version]
        client = InboundClient(
            CallbackAPIVersion.VERSION2,
            client_id=settings.broker_client,
            clean_session=None if version == MQTTProtocolVersion.MQTTv5 else False,
            protocol=version,
        )
        if settings.broker_user is not None:
            password = settings.broker_password
            client.username_pw_set(settings.broker_user, None if password is None else password.get_secret_value())
        tls = broker_tls(settings)
        if tls is not None:
            client.tls_set_context(tls)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        return client

    # Callbacks: they only note what happened, so that they cannot fail.

    def _on_connect(
        self, client: Client, _data: Any, flags: ConnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if reason.is_failure:
            _log.error("the broker refuses the connection", broker=self._address, reason=str(reason))
            return
        self.counters.connections += 1
        self._accepted = time.monotonic()
        _log.info("connected", broker=self._address, session_present=flags.session_present)
        self._subscriptions.begin()
        # By QoS 0, as nobody wants to know later how full the queue was.
        client.subscribe([*((topic, 1) for topic in (TOPIC, *self._subscriptions.wanted)), (BrokerQueue.TOPIC, 0)])
        stale = self._subscriptions.stale()
        if stale:
            _log.info("giving up subscriptions that no device needs", topics=stale)
            client.unsubscribe(stale)

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self.counters.connected = False
        if not self._stop.is_set():
            self._failed(self._cause(reason))

    def _cause(self, reason: ReasonCode) -> str:
        """Why the connection ended; MQTT 3.1.1 has no word for a session that another client has taken over."""
        client = f"another client with the client id '{self._settings.broker_client}'"
        if reason.value == _TAKEN_OVER:
            return f"{reason}: {client} has connected; GREENMINE_BROKER_CLIENT gives each program an id of its own"
        short = time.monotonic() - self._accepted < _SHORT
        self._shorts = self._shorts + 1 if short else 0
        if self._shorts >= _SUSPICIOUS:
            return f"{reason}, {self._shorts} times soon after it was accepted: {client} may take the session over each time"
        return str(reason)

    def _on_subscribe(
        self, client: Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        refused = [
            topic
            for topic, reason in zip((TOPIC, *self._subscriptions.wanted), reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            _log.error("the broker refuses the subscription; the account needs read access", topic=refused)
        if TOPIC in refused:
            client.disconnect()
        else:
            self.counters.connected = True
            self._attempts = 1

    def _on_unsubscribe(
        self, _client: Client, _data: Any, _mid: int, _reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._subscriptions.settle()

    def _on_socket_open(self, _client: Client, _data: Any, sock: Any) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(sock, selectors.EVENT_READ)

    def _on_socket_close(self, _client: Client, _data: Any, sock: Any) -> None:
        self._selector.unregister(sock)

    # The connection.

    @property
    def _address(self) -> str:
        return f"{self._settings.broker_host}:{self._settings.broker_port}"

    def _connect(self) -> None:
        if self._attempts:
            self._stop.wait(delay(self._attempts, 0.2, 30.0))
        self._attempts += 1
        client, settings = self._client, self._settings
        try:
            if client.protocol == MQTTProtocolVersion.MQTTv5:
                properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
                properties.SessionExpiryInterval = _NEVER
                client.connect(
                    settings.broker_host, settings.broker_port, _KEEPALIVE, clean_start=False, properties=properties
                )
            else:
                client.connect(settings.broker_host, settings.broker_port, _KEEPALIVE)
        except OSError as error:
            self._failed(str(error))

    def _failed(self, reason: str) -> None:
        self.counters.failures += 1
        _log.warning("no connection to the broker; trying again", broker=self._address, reason=reason)

    def _close(self) -> None:
        deadline = time.monotonic() + _FAREWELL
        while (sock := self._client.connection) is not None and sock.unsent and time.monotonic() < deadline:
            self._write()
            time.sleep(0.01)
        if self._client.connection is not None:
            self._client.disconnect()
            self._client.loop_write()
        if (left := self._client.connection) is not None:
            left.close()
        self._selector.close()

    # The loop.

    def _turn(self) -> None:
        """Wait for packets, take what is there, and commit what is due."""
        full = self._bytes >= self._settings.batch_bytes
        due = full or (self._read() if self._wait() else bool(self._pending))
        self._write()
        if due:
            self._flush()
        self._client.loop_misc()

    def _wait(self) -> bool:
        """Wait until there is something to read or to write; False: nothing came, not even in the time of a pause."""
        sock = self._client.connection
        if sock is None or sock.pending:
            return sock is not None
        timeout = _TICK
        if self._pending:
            left = self._begun + self._committer.linger - time.monotonic()
            timeout = max(0.0, min(self._committer.pause, left))
        self._selector.modify(sock, selectors.EVENT_READ | (selectors.EVENT_WRITE if sock.unsent else 0))
        return bool(self._selector.select(timeout))

    def _read(self) -> bool:
        """Take what is there, up to the bounds of a batch; True: the batch is due."""
        settings, sock = self._settings, self._client.connection
        while sock is not None and sock.fill():
            self._take(sock.take())
            if sock.fault:
                _log.error("the broker sent what cannot be read; ending the connection", reason=sock.fault)
            while self._client.connection is sock and sock.has_control:
                self._client.loop_read()
            if self._client.connection is not sock:
                break
            due = self._bytes >= settings.batch_bytes or time.monotonic() - self._begun >= self._committer.linger
            if self._pending and due:
                return True
        # All that came is here. To gather for as long as a commit takes leaves time to read between commits; but where half a
        # batch waits, the broker may wait for its acknowledgements before it sends the other half.
        half = self._readings >= settings.batch_readings // 2
        return bool(self._pending) and (half or time.monotonic() - self._begun >= self._committer.pace)

    def _take(self, came: list[Publish]) -> None:
        """Take messages in, each within its sender's budget or marked as excess."""
        if aside := [publish for publish in came if publish.topic.startswith("$SYS/")]:
            for topic, payload, _, _ in aside:
                self.queue.told(topic, payload)
            came = [publish for publish in came if not publish.topic.startswith("$SYS/")]
        if not came:
            return
        if not self._pending:
            self._begun = time.monotonic()
        now = time.time_ns() // 1_000_000
        topics, payloads = [publish[0] for publish in came], [publish[1] for publish in came]
        mids, retained = [publish[2] for publish in came], [publish[3] for publish in came]
        sizes = list(map(len, payloads))
        readings = readings_bounds(payloads)
        accounts: Sequence[Account | None] = [None] * len(came)
        excess = [False] * len(came)
        if self._gate is not None:
            accounts = senders = self._gate.accounts(topics)
            excess = beyond(senders, readings, sizes, now)
            if any(excess):
                readings = [0 if over else count for over, count in zip(excess, readings, strict=True)]
        numbers = range(self._count + 1, self._count + 1 + len(came))
        columns = topics, payloads, mids, repeat(now), retained, excess, numbers, readings, accounts
        self._pending.extend(map(Message._make, zip(*columns, strict=False)))
        self._count += len(came)
        self._readings += sum(readings)
        self._bytes += sum(sizes)

    def _write(self) -> None:
        """Write what paho has queued, and what the other end did not take before."""
        client = self._client
        if client.want_write():
            client.loop_write()
        self._send(b"")

    def _send(self, data: bytes) -> None:
        """Write; where the connection is lost, reading tells."""
        if (sock := self._client.connection) is not None:
            with suppress(OSError):
                sock.send(data)

    def _flush_all(self) -> None:
        while self._pending and self._flush():
            pass

    def _flush(self) -> bool:
        """Commit what is due of what was received, then acknowledge it if the connection it came by still stands.

        Returns
        -------
        bool
            False: the batch was given up because the session is to stop.
        """
        if not self._pending:
            return True
        batch, sock = self._next_batch(), self._client.connection
        size = sum([len(message.payload) for message in batch])
        if not self._commit(batch, size):
            self._pending, self._readings, self._bytes = [], 0, 0
            return False
        self._readings -= sum([message.readings for message in batch])
        self._bytes -= size
        self._begun = time.monotonic()
        if sock is None or self._client.connection is not sock or not _established(sock):
            self.counters.unacknowledged += len(batch) + len(self._unacknowledged)
            self._unacknowledged = []
            return True
        # In the order of receipt, as MQTT wants it: what was committed before its turn waits for what came before it.
        due = self._unacknowledged + batch
        if self._pending or self._unacknowledged:
            due.sort(key=lambda message: message.number)
        first = self._pending[0].number if self._pending else self._count + 1
        self._unacknowledged = [message for message in due if message.number > first] if self._pending else []
        mids = np.array([message.mid for message in due[: len(due) - len(self._unacknowledged)]], ">u4")
        self._send((mids[mids > 0] + _PUBACK).astype(">u4").tobytes())
        self._write()
        return True

    def _next_batch(self) -> list[Message]:
        """Take the next batch from what waits: all of it, or as much as makes a batch, in the order of receipt.

        A sender of more than half of what waits comes after all others. No other order is changed: figures of one channel may
        rest on another's, such as wind or weather.
        """
        pending, most, largest = self._pending, self._settings.batch_readings, self._settings.batch_bytes
        if (self._readings <= most and self._bytes <= largest) or len(pending) == 1:
            self._pending = []
            return pending
        sent: defaultdict[Account | None, int] = defaultdict(int)
        for message in pending:
            sent[message.account] += message.readings
        greedy = {account for account, readings in sent.items() if 2 * readings > self._readings}
        taken: set[int] = set()
        readings = size = 0
        for place in sorted(range(len(pending)), key=lambda place: pending[place].account in greedy):
            taken.add(place)
            readings += pending[place].readings
            size += len(pending[place].payload)
            if readings >= most or size >= largest:
                break
        self._pending = [message for place, message in enumerate(pending) if place not in taken]
        return [pending[place] for place in sorted(taken)]

    def _commit(self, batch: list[Message], size: int) -> bool:
        """Have the batch handled, however long that takes; False: given up because the session is to stop."""
        self._committer.begin(batch, size)
        try:
            while (pause := self._committer.attempt(partial(self._handler, batch), len(batch))) is not None:
                self._keep_alive(pause)
        except StoppedError:
            return False
        return True

    def _keep_alive(self, seconds: float) -> None:
        """Let time pass without reading.

        After two minutes without reading paho misses the broker's sign of life and closes the connection; the broker
        keeps the session, and the batch stays here.
        """
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stop.wait(min(left, _TICK)):
            self._client.loop_misc()
            self._write()


def _established(sock: PublishSocket) -> bool:
    """Whether the other end still listens.

    When it does not, writing to it would make paho close the socket and lose what is there to be read.
    """
    state: int = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == _TCP_ESTABLISHED
