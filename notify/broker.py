"""Alarms at the broker: the newest state of each limit and station, kept for whoever subscribes later.

The topics lie beside those of the devices, whose rights do not reach them::

    greenmine/alarms/v1/enterprise/{enterprise}/{site}/{station}/{limit}
    greenmine/alarms/v1/district/{site}/{station}/{limit}

so that an account can be given those of one enterprise. An event about an older episode than the newest is published and not kept.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import msgspec
from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from greenmine.collector.mqtt.tls import broker_tls
from greenmine.notify.failure import DeliveryError
from greenmine.notify.outbox import Message
from greenmine.notify.subscriptions import Subscription
from greenmine.notify.webhook import cloud_event
from greenmine.notify.wording import NoticeWords
from greenmine.settings import Settings

ROOT: Final = "greenmine/alarms/v1"
CLIENT: Final = "greenmine-notifier"
"""Client identifier."""


def topic_of(subscription: Subscription, message: Message) -> str:
    """Topic of a message."""
    event = message.events[0]
    owner = "district" if subscription.enterprise is None else f"enterprise/{subscription.enterprise}"
    return f"{ROOT}/{owner}/{event.site}/{event.place}"


class AlarmBroker:
    """A connection to the broker, made when it is needed first; for one thread.

    Parameters
    ----------
    settings : Settings
        Where it is, and the account.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None

    def publish(self, subscription: Subscription, message: Message, wording: NoticeWords) -> None:
        """Publish a message, and wait for the broker's acknowledgement.

        Raises
        ------
        DeliveryError
            There was none in time.
        """
        payload = msgspec.json.encode(cloud_event(message, wording))
        client = self._connected()
        info: MQTTMessageInfo = client.publish(
            topic_of(subscription, message), payload, qos=1, retain=message.events[0].newest
        )
        try:
            info.wait_for_publish(self._settings.notify_timeout_seconds)
            done = info.is_published()
        except (RuntimeError, ValueError):
            done = False
        if not done:
            self.close()
            raise DeliveryError("the broker has not acknowledged it in time")

    def close(self) -> None:
        """End the connection."""
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def _connected(self) -> Client:
        if self._client is not None and self._client.is_connected():
            return self._client
        self.close()
        client = _client(self._settings)
        answered = threading.Event()
        refusal: list[str] = []

        def on_connect(_client: Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
            if reason.is_failure:
                refusal.append(str(reason))
            answered.set()

        client.on_connect = on_connect
        try:
            client.connect(self._settings.broker_host, self._settings.broker_port, keepalive=30)
        except (OSError, ValueError):
            raise DeliveryError("the broker cannot be reached") from None
        client.loop_start()
        self._client = client
        if not answered.wait(self._settings.notify_timeout_seconds) or refusal:
            self.close()
            raise DeliveryError(
                f"the broker refuses: {refusal[0]}" if refusal else "the broker does not answer in time"
            )
        return client


def _client(settings: Settings) -> Client:
    client = Client(CallbackAPIVersion.VERSION2, client_id=CLIENT, clean_session=True)
    client.connect_timeout = settings.notify_timeout_seconds
    if settings.notify_broker_user is not None:
        password = settings.notify_broker_password
        client.username_pw_set(settings.notify_broker_user, None if password is None else password.get_secret_value())
    tls = broker_tls(settings)
    if tls is not None:
        client.tls_set_context(tls)
    return client
