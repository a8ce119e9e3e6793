from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from contextlib import contextmanager

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion


class Ear:
    """What a subscriber heard, in order: (topic, payload, retained)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.subscribed = False

    def payloads(self) -> list[bytes]:
        return [payload for _, payload, _ in self.heard]


@contextmanager
def listening(port: int, topics: str = "greenmine/v1/#"):
    ear = Ear()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=f"ear-{uuid.uuid4().hex[:8]}", clean_session=False)
    client.reconnect_delay_set(0.1, 0.5)
    client.on_connect = lambda c, *_: c.subscribe(topics, qos=1)
    client.on_subscribe = lambda *_: setattr(ear, "subscribed", True)
    client.on_message = lambda _c, _u, m: ear.heard.append((m.topic, m.payload, m.retain))
    client.connect("127.0.0.1", port)
    client.loop_start()
    until(lambda: ear.subscribed)
    try:
        yield ear
    finally:
        client.disconnect()
        client.loop_stop()


def until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
