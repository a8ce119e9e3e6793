"""``greenmine run``: the worker (collector, processing, record), the web server, the notifier, the uplink by plan."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Final, Literal

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.providers import provider_of
from greenmine.api.http.addresses import check_addresses
from greenmine.cli.processes import Processes
from greenmine.collector.hj212.server.loggers import load_loggers
from greenmine.loading import load_registry
from greenmine.notify.service import check
from greenmine.notify.store import Notices
from greenmine.record.record import migrate, open_engine
from greenmine.registry import RegistryError
from greenmine.settings import Settings
from greenmine.uplink.plan import load_plan

UPLINK: Final = "greenmine.uplink.service:forward"
"""Task of the process that sends to the authority's platform."""


def run(
    *,
    data: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    only: Literal["worker", "web"] | None = None,
) -> None:
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
    only
        Run only the worker, with the archivist and the builder of bundles, or only the web server, so that a service manager can
        run each by itself.
    """
    given = {"data": data, "host": host, "port": port}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    try:
        check_addresses(settings)
        registry = load_registry(settings.registry)
        if settings.hj212_port is not None:
            load_loggers(registry, settings)
        if settings.uplink is not None:
            load_plan(settings.uplink, registry)
        check(settings)
        provider_of(settings, registry)
        prepare(settings)
    except (RegistryError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine run: {error}") from error
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Processes() as processes:
        if only != "web":
            processes.start("worker", "greenmine.cli.work:work", settings)
            processes.start("archivist", "greenmine.cli.archive:archivist", settings)
            processes.start_aside("builder", "greenmine.cli.builder:build_bundles", settings)
        if only != "worker":
            processes.start("web server", "greenmine.cli.web:web", settings)
        if only is None and settings.influx_url is not None:
            processes.start_aside("projection", "greenmine.cli.influx:project", settings)
        if only is None and settings.uplink is not None:
            processes.start("uplink", UPLINK, settings)
        if only is None:
            processes.start_aside("notifier", "greenmine.notify.service:run", settings)
        processes.watch(stop)


def prepare(settings: Settings) -> None:
    """Make the databases, before any process is started that would end for want of one.

    Raises
    ------
    SchemaError
        One was made by another version of greenmine.
    """
    engine = open_engine(settings.record)
    migrate(engine)
    engine.dispose()
    Accounts(settings).close()
    Notices(settings).close()
