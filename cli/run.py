"""``greenmine run``: the worker (collector, processing, record), the web server, the notifier, the uplink by plan."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

from cyclopts import Parameter

from greenmine.api.accounts.accounts import Accounts
from greenmine.api.accounts.providers import provider_of
from greenmine.api.http.addresses import check_addresses
from greenmine.api.watching import WatchedRegistry
from greenmine.cli.processes import Processes
from greenmine.collector.hj212.server.server import check_loggers
from greenmine.collector.jetstream.connection import addresses
from greenmine.collector.mqtt.tls import broker_tls
from greenmine.loading import load_registry
from greenmine.notify.service import check
from greenmine.notify.store import Notices
from greenmine.notify.witnesses import load_witnesses
from greenmine.record.archive.signing import fingerprints
from greenmine.record.partitions import settle_partitions
from greenmine.record.record import migrate, open_engine
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings
from greenmine.uplink.plan import load_plan

UPLINK: Final = "greenmine.uplink.service:forward"
"""Task of the process that sends to the authority's platform."""
Part = Literal["worker", "gateway", "archivist", "builder", "web", "projection", "uplink", "notifier"]
"""Processes of an installation."""
TASKS: Final[dict[Part, str]] = {
    "worker": "greenmine.cli.work:work",
    "gateway": "greenmine.cli.gateway:gateway",
    "archivist": "greenmine.cli.archive:archivist",
    "builder": "greenmine.cli.builder:build_bundles",
    "web": "greenmine.cli.web:web",
    "projection": "greenmine.cli.influx:project",
    "uplink": UPLINK,
    "notifier": "greenmine.notify.service:run",
}
"""What each does, in the order in which they start."""
ASIDE: Final = frozenset({"builder", "archivist", "projection", "uplink", "notifier"})
"""Those whose end does not end the others: each is started again, later and later while it keeps ending at once."""


NAMED: Final = frozenset({"gateway"})
"""Those that run only where they are named; without a record, if no other part is."""


def run(
    *,
    data: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    only: Annotated[list[Part] | None, Parameter(negative="")] = None,
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
        Run only this part; may be given several times, so that a service manager can run each by itself. The worker brings
        archivist and builder with it unless one of these is named too.
    """
    given = {"data": data, "host": host, "port": port}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    chosen = parts(settings, only or [])
    try:
        registry = load_registry(settings.registry)
        for part in chosen:
            _check(part, settings, registry)
        if not NAMED.issuperset(chosen):
            prepare(settings)
    except (RegistryError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine run: {error}") from error
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Processes() as processes:
        for part in chosen:
            start = processes.start_aside if part in ASIDE else processes.start
            start(part, TASKS[part], settings)
        processes.watch(stop, WatchedRegistry(settings.registry, registry))


def _check(part: Part, settings: Settings, registry: Registry) -> None:
    """See that a part can be started by its settings, so that what is wrong is told at once.

    Raises
    ------
    RegistryError, ValueError, OSError
        One of them is wrong.
    """
    match part:
        case "worker":
            broker_tls(settings)
            if settings.jetstream is not None:
                addresses(settings)
            elif settings.partitions > 1:
                raise ValueError("GREENMINE_PARTITIONS needs a log that workers share; set GREENMINE_JETSTREAM")
            if settings.partitions > 1 and settings.hj212_port is not None:
                raise ValueError(
                    "GREENMINE_HJ212_PORT: data loggers call one worker; with GREENMINE_PARTITIONS, call a gateway"
                )
            if settings.hj212_port is not None:
                check_loggers(registry, settings)
        case "gateway":
            broker_tls(settings)
            addresses(settings)
            check_loggers(registry, settings)
        case "archivist":
            load_witnesses(settings.witnesses)
        case "web":
            check_addresses(settings)
            provider_of(settings, registry)
            if settings.witness_for is not None:
                fingerprints(settings.witness_for)
        case "uplink":
            if settings.uplink is not None:
                load_plan(settings.uplink, registry)
        case "notifier":
            check(settings)
        case "builder" | "projection":
            pass


def parts(settings: Settings, only: Sequence[Part]) -> list[Part]:
    """Parts to start, in order.

    Raises
    ------
    SystemExit
        One is named that has no address or plan.
    """
    wanting: dict[Part, str] = {}
    if settings.influx_url is None:
        wanting["projection"] = "GREENMINE_INFLUX_URL"
    if settings.uplink is None:
        wanting["uplink"] = "GREENMINE_UPLINK"
    if settings.jetstream is None or settings.hj212_port is None:
        wanting["gateway"] = "GREENMINE_JETSTREAM and GREENMINE_HJ212_PORT"
    for part in only:
        if part in wanting:
            raise SystemExit(f"greenmine run: --only {part} needs {wanting[part]}")
    if not only:
        return [part for part in TASKS if part not in {*wanting, *NAMED}]
    named = set(only)
    if "worker" in named and not named & {"archivist", "builder"}:
        named |= {"archivist", "builder"}
    return [part for part in TASKS if part in named]


def prepare(settings: Settings) -> None:
    """Make the databases, before any process is started that would end for want of one.

    Raises
    ------
    SchemaError
        One was made by another version of greenmine.
    ValueError
        The record has another number of partitions.
    """
    engine = open_engine(settings.record_place)
    migrate(engine)
    settle_partitions(engine, settings.partitions)
    engine.dispose()
    Accounts(settings).close()
    Notices(settings).close()
