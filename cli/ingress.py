"""``greenmine ingress``: let devices in to the broker."""

from __future__ import annotations

import signal
import threading

from greenmine.collector.mqtt import ingress as way
from greenmine.settings import Settings


def ingress() -> None:
    """Let devices in to the broker, none faster than GREENMINE_INGRESS_RATE and none while its queue is full, until Ctrl-C.

    Connections to GREENMINE_INGRESS_PORT are passed on as they are; see docs/deploy.md.
    """
    settings = Settings()
    if settings.ingress_port is None:
        raise SystemExit("greenmine ingress: GREENMINE_INGRESS_PORT is needed")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        way.ingress(settings, stop)
    except OSError as error:
        raise SystemExit(f"greenmine ingress: {error}") from error
