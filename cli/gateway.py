"""The gateway for data loggers as a process of its own, on any machine that reaches the log."""

from __future__ import annotations

import threading
from typing import Final

import structlog

from greenmine.collector.hj212.server.gateway import LoggerGateway
from greenmine.collector.hj212.server.thread import ServerThread
from greenmine.errors import ListenError
from greenmine.loading import load_registry
from greenmine.settings import Settings

_TOLD: Final = 60.0
"""How often the gateway says how it is [s]."""

_log = structlog.get_logger(__name__)


def gateway(settings: Settings, stop: threading.Event) -> None:
    """Take frames of data loggers into the log until ``stop`` is set.

    Raises
    ------
    SystemExit
        With the reason, if the port for data loggers cannot be listened on.
    """
    server = LoggerGateway(load_registry(settings.registry), settings, stop)
    thread = ServerThread(server, stop)
    thread.start()
    while not stop.wait(_TOLD):
        _log.info("data loggers", **server.counters.figures())
    try:
        thread.end()
    except ListenError as error:
        raise SystemExit(f"greenmine: {error}") from None
