"""``greenmine influx``: the projection of the record in InfluxDB."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, Final

import cyclopts
import structlog
from cyclopts import Parameter

from greenmine.errors import StoreError
from greenmine.files import locked
from greenmine.grafana.influx.influx import InfluxError, UnavailableError, load_tokens, tokens_file
from greenmine.grafana.influx.influx_provision import Step, buckets, provision
from greenmine.grafana.influx.influx_schema import DISTRICT, bucket_of
from greenmine.grafana.influx.projection import Projection, cursors_file
from greenmine.loading import load_registry
from greenmine.processing.rolling import hourly_statistics
from greenmine.record.bucket_cursors import Cursors
from greenmine.record.follower import Positions, heads
from greenmine.record.record import DatabaseError, open_engine, there_is
from greenmine.registry import Registry, RegistryError
from greenmine.settings import Settings
from greenmine.times import parse_time

app = cyclopts.App(name="influx", help="The projection of the record in InfluxDB, which Grafana reads.")

_LOCK: Final = "projection.lock"
_LOOK: Final = 0.5
"""How often a rebuild looks how far the projection is that runs elsewhere [s]."""
_PATIENCE: Final = 60.0
"""Longest time that provisioning waits for the server [s]."""
_log = structlog.get_logger(__name__)


def project(settings: Settings, stop: threading.Event) -> None:
    """Keep InfluxDB up to date until ``stop`` is set: a process of ``greenmine run``."""
    registry = load_registry(settings.registry)
    with _alone(settings) as alone:
        if not alone:
            _log.warning("another process keeps InfluxDB up to date; waiting for it to end")
            while not stop.wait(_LOOK):
                with _alone(settings) as now:
                    if now:
                        Projection(settings, registry, hourly_statistics).run(stop)
                        return
            return
        Projection(settings, registry, hourly_statistics).run(stop)


@app.command(name="project")
def project_here(*, data: Path | None = None) -> None:
    """Keep InfluxDB up to date with the record, until Ctrl-C; `greenmine run` does so by itself.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    """
    settings = _settings(data)
    registry = _registry(settings)
    if not there_is(settings.record_place):
        raise SystemExit(f"greenmine influx project: no record at {settings.record_place}; start with `greenmine run`")
    stop = _stop()
    with _alone(settings) as alone:
        if not alone:
            raise SystemExit("greenmine influx project: another process does so already, such as `greenmine run`")
        Projection(settings, registry, hourly_statistics).run(stop)


@app.command
def rebuild(
    *,
    data: Path | None = None,
    enterprise: str | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
) -> None:
    """Make InfluxDB anew from the record, and wait until that is done. While it lasts, panels fill from the beginning.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    enterprise
        Id of the enterprise whose bucket is made anew, or `district` for the bucket that holds all. Default: all buckets.
    from_
        Only points from this time on, such as 2026-11-01T00:00:00+08:00. Default: everything.
    """
    settings = _settings(data)
    registry = _registry(settings)
    try:
        since = None if from_ is None else parse_time(from_)
        names = _chosen(registry, enterprise)
        engine = open_engine(settings.record_place, read_only=True)
        ends = heads(engine)
        cursors = Cursors(cursors_file(settings))
        for name in names:
            cursors.reset(name, ends, since)
    except (ValueError, InfluxError, StoreError, DatabaseError) as error:
        raise SystemExit(f"greenmine influx rebuild: {error}") from error
    stop = _stop()

    def done() -> bool:
        return all(_reached(cursors, name, ends) for name in names)

    while not done() and not stop.is_set():
        with _alone(settings) as alone:
            if alone:
                Projection(settings, registry, hourly_statistics).run(stop, done)
        stop.wait(_LOOK)
    if not done():
        raise SystemExit("greenmine influx rebuild: ended before it was done; the projection will go on with it")
    sys.stdout.write("".join(f"{c.bucket}: {c.written} points\n" for c in cursors.all() if c.bucket in names))


@app.command(name="provision")
def provision_here(*, data: Path | None = None, show: Annotated[bool, Parameter(negative=())] = False) -> None:
    """Make what is missing in InfluxDB: for each enterprise and the district a bucket, a write token and a read token.

    Needs the operator's token (GREENMINE_INFLUX_ADMIN_TOKEN or its file). Done twice, the second time changes nothing. A server
    that does not answer yet is waited for, up to a minute.

    Parameters
    ----------
    data
        Directory of the installation. Default: GREENMINE_DATA, or var.
    show
        Print the tokens too.
    """
    settings = _settings(data)
    registry = _registry(settings)
    try:
        steps = _awaited(settings, registry)
        tokens = load_tokens(settings)
    except (InfluxError, ValueError, OSError) as error:
        raise SystemExit(f"greenmine influx provision: {error}") from error
    sys.stdout.write("".join(f"{step.bucket}: {step.what}\n" for step in steps) or "Nothing was missing.\n")
    if tokens:
        sys.stdout.write(f"The tokens are in {tokens_file(settings)}.\n")
    if show:
        for name in sorted(tokens):
            sys.stdout.write(f"{name} write {tokens[name].write}\n{name} read {tokens[name].read}\n")


def _awaited(settings: Settings, registry: Registry) -> list[Step]:
    """Provision as soon as the server answers."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return provision(settings, registry)
        except UnavailableError as error:
            if not error.silent or time.monotonic() >= deadline:
                raise
        time.sleep(_LOOK)


def _chosen(registry: Registry, enterprise: str | None) -> Sequence[str]:
    if enterprise is None:
        return buckets(registry)
    known = [e.id for e in registry.enterprises]
    if enterprise == "district":
        return [DISTRICT]
    if enterprise not in known:
        raise ValueError(f"there is no enterprise {enterprise!r}; there are {', '.join(known)}, and district")
    return [bucket_of(enterprise)]


def _reached(cursors: Cursors, bucket: str, ends: Positions) -> bool:
    cursor = cursors.get(bucket)
    assert cursor is not None
    return not cursor.clear and all(cursor.position(table) >= end for table, end in ends.items())


def _alone(settings: Settings) -> AbstractContextManager[bool]:
    """Whether no other process writes to InfluxDB for this data directory; while the block lasts, none begins to."""
    settings.data.mkdir(parents=True, exist_ok=True)
    return locked(settings.data / _LOCK, wait=False)


def _settings(data: Path | None) -> Settings:
    settings = Settings() if data is None else Settings(data=data)
    if settings.influx_url is None:
        raise SystemExit("greenmine influx: no InfluxDB is named; set GREENMINE_INFLUX_URL, see docs/influx.md")
    return settings


def _registry(settings: Settings) -> Registry:
    try:
        return load_registry(settings.registry)
    except RegistryError as error:
        raise SystemExit(f"greenmine influx: {error}") from error


def _stop() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop
