"""Publishing messages to a broker, at any speed, until all are acknowledged."""

from __future__ import annotations

import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from greenmine.collector.mqtt.tls import broker_tls
from greenmine.settings import Settings
from greenmine.simulators.messages import Message
from greenmine.simulators.pace import PlaybackPace, Speed
from greenmine.simulators.session import Connection, SendingSession

_CHUNK = 256
"""Messages handed to the socket at a time."""
_REPORT_EVERY = 0.2
"""Distance of the reports of progress [s]."""
_LAST_WORD = 5.0
"""How long to wait for acknowledgements after being told to stop [s]."""
_NAP = 0.5
"""Longest wait without looking whether to stop [s]."""
_GLANCE = 0.05
"""Longest wait at the end without looking whether all is settled [s]."""

Progress = Callable[[int, int], None]
"""Told the number of messages acknowledged, and the ``time_sent`` of the newest message sent [ms UTC]."""


@dataclass(frozen=True, slots=True)
class Published:
    """What a publication came to."""

    messages: int
    """Acknowledged by the broker."""
    seconds: float
    """Until the last acknowledgement."""
    reconnects: int


def publish(
    messages: Iterable[Message],
    host: str,
    port: int,
    *,
    speed: Speed = "max",
    since: int | None = None,
    progress: Progress | None = None,
    user: str | None = None,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
    in_flight: int = 2000,
    patience: float = 300.0,
    keep: float = 3.0,
    stop: threading.Event | None = None,
) -> Published:
    """Publish messages with QoS 1 and return when the broker has acknowledged them all.

    Order is kept. After a restart of the broker whatever it has not acknowledged is sent again, and what it acknowledged
    shortly before, so it gets some messages twice and misses none: see docs/decisions/0002-broker-persistence.md.

    Parameters
    ----------
    messages : iterable of Message
        In the order of ``time_sent``; taken only as fast as they can be sent.
    host, port : str, int
        The broker.
    speed : float or "max"
        Simulated seconds per second.
    since : int or None
        The simulated instant that is now [ms UTC]: what was due before is sent at once, the rest at ``speed``.
        None: the first message's.
    progress : callable or None
        Called a few times a second, and once at the end.
    user, password, tls : str, str, ssl.SSLContext or None
        Credentials and encryption.
    in_flight : int
        Most messages sent and not yet acknowledged.
    patience : float
        How long to try to reach a broker that was lost [s].
    keep : float
        How long a message is remembered after its acknowledgement, to be sent again if the broker is lost; so long the
        publication stays after its last acknowledgement [s]. A stop does not wait for it.
    stop : threading.Event or None
        When set, no further message is sent.

    Raises
    ------
    ConnectionError
        If the broker cannot be reached, or not again within ``patience``.
    """
    started = time.monotonic()
    pace = PlaybackPace(speed, since)
    client = f"greenmine-simulator-{uuid.uuid4().hex[:8]}"
    session = SendingSession(host, port, client, user=user, password=password, tls=tls, patience=patience, keep=keep)
    newest, reported = 0, 0.0
    source: Iterator[Message] = iter(messages)
    held: Message | None = None
    exhausted = False
    try:
        while not exhausted and not (stop is not None and stop.is_set()):
            wait = 0.0
            for _ in range(min(_CHUNK, in_flight - session.in_flight)):
                if held is None:
                    held = next(source, None)
                if held is None:
                    exhausted = True
                    break
                wait = pace.wait(held.time_sent)
                if wait > 0:
                    break
                session.put(held.topic, held.payload)
                newest, held = held.time_sent, None
            full = session.in_flight >= in_flight
            session.service(_NAP if full else min(wait, _NAP))
            if progress is not None and time.monotonic() - reported > _REPORT_EVERY:
                progress(session.acknowledged, newest)
                reported = time.monotonic()
        deadline = time.monotonic() + _LAST_WORD
        while session.in_flight and not (stop is not None and stop.is_set() and time.monotonic() > deadline):
            session.service(_NAP)
        seconds = time.monotonic() - started
        while session.unsettled and not (stop is not None and stop.is_set()):
            session.service(_GLANCE)
        if progress is not None:
            progress(session.acknowledged, newest)
        return Published(session.acknowledged, seconds, session.reconnects)
    finally:
        session.close()


def connection(settings: Settings, broker: str | None = None) -> tuple[str, int, Connection]:
    """Tell from the settings how to reach the broker.

    Parameters
    ----------
    settings : Settings
        ``broker_...`` are used.
    broker : str or None
        ``HOST:PORT`` or ``HOST`` instead of the settings'.

    Raises
    ------
    ValueError
        If ``broker`` is no such text.
    """
    host, port = settings.broker_host, settings.broker_port
    if broker is not None:
        name, _, number = broker.rpartition(":") if ":" in broker else (broker, "", str(port))
        if not name or not number.isdecimal() or not 0 < int(number) < 65536:
            raise ValueError(f"the broker '{broker}' is no HOST:PORT, such as 127.0.0.1:1883")
        host, port = name.strip("[]"), int(number)
    password = settings.broker_password
    return (
        host,
        port,
        Connection(
            user=settings.broker_user,
            password=password.get_secret_value() if password else None,
            tls=broker_tls(settings),
        ),
    )
