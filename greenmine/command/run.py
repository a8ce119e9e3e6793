"""``greenmine run``: the worker (collector, processing, record) and the web server."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

from api.addresses import check_addresses
from greenmine.command.processes import Processes
from greenmine.registry import RegistryError, load_registry
from greenmine.settings import Settings
from greenmine.storage.record import migrate, open_engine


def run(*, data: Path | None = None, host: str | None = None, port: int | None = None) -> None:
    """Collect, judge and store what the broker delivers, and serve the pages, until Ctrl-C.

    The broker, its credentials and all else are settings: environment variables GREENMINE_... or a file .env; see
    docs/settings.md.

    Parameters
    ----------
    data
        Directory of all state. Default: GREENMINE_DATA, or var.
    host
        Address of the web server; beyond loopback only behind a TLS proxy, see docs/accounts.md. Default:
        GREENMINE_HOST, or 127.0.0.1.
    port
        Its port. Default: GREENMINE_PORT, or 8000.
    """
    given = {"data": data, "host": host, "port": port}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    try:
        check_addresses(settings)
        load_registry(settings.registry)
        migrate(open_engine(settings.record))
    except (RegistryError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine run: {error}") from error
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Processes() as processes:
        processes.start("worker", "greenmine.command.work:work", settings)
        processes.start("web server", "greenmine.command.web:web", settings)
        processes.watch(stop)
