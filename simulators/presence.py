"""Presence: the retained status of each device, with a last will for when the simulator dies."""

from __future__ import annotations

import ssl
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_KEEPALIVE = 60
_TIMEOUT = 5.0


@contextmanager
def presence(
    topics: Iterable[str],
    host: str,
    port: int,
    *,
    user: str | None = None,
    password: str | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[None]:
    """Keep each status topic "online" within the context and "offline" after it, also if the process is killed.

    A connection has one last will, so each topic has its own connection, as each real device would.

    Parameters
    ----------
    topics : iterable of str
        Status topics, see ``messages.topic``.
    host, port : str, int
        The broker.
    user, password, tls : str, str, ssl.SSLContext or None
        Credentials and encryption.

    Raises
    ------
    ConnectionError
        If the broker cannot be reached.
    """
    clients: list[tuple[mqtt.Client, str]] = []
    try:
        for topic in topics:
            client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"greenmine-presence-{uuid.uuid4().hex[:12]}")
            client.user_data_set(topic)
            client.on_connect = _announce
            client.will_set(topic, b"offline", qos=1, retain=True)
            if user is not None:
                client.username_pw_set(user, password)
            if tls is not None:
                client.tls_set_context(tls)
            try:
                client.connect(host, port, _KEEPALIVE)
            except OSError as error:
                raise ConnectionError(f"no MQTT broker answers at {host}:{port} ({error}); is it running?") from error
            client.loop_start()
            clients.append((client, topic))
        yield
    finally:
        for client, topic in clients:
            if client.is_connected():
                client.publish(topic, b"offline", qos=1, retain=True).wait_for_publish(_TIMEOUT)
            client.disconnect()
            client.loop_stop()


def _announce(client: mqtt.Client, topic: str, _flags: mqtt.ConnectFlags, reason: object, _properties: object) -> None:
    if not getattr(reason, "is_failure", False):
        client.publish(topic, b"online", qos=1, retain=True)
