"""The builder as a process of its own: makes the evidence bundles that people asked for, one after the other."""

from __future__ import annotations

import threading
import time
from typing import Final

import structlog

from greenmine import times
from greenmine.files import locked
from greenmine.loading import load_registry
from greenmine.record.bundles import Workbench, file_of, period_of
from greenmine.record.reader import Row
from greenmine.record.record import DatabaseError, Engine, open_engine
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.tables import DataFileError

_LOOK: Final = 1.0
"""How often it is looked whether something was asked for [s]."""
_IDLE: Final = 5.0
"""How long after its last bundle a builder with nothing to do ends, so that the memory that bundles took is free [s]."""
_SAY: Final = 500
"""How often progress is written into the record [ms]."""
_HOUR: Final = 3_600_000

_log = structlog.get_logger(__name__)


class _Stopped(Exception):  # noqa: N818 - no error: the installation shuts down
    """Building ends with the process; the next start goes on with the queue."""


def build_bundles(settings: Settings, stop: threading.Event) -> None:
    """Build what is asked for until ``stop`` is set; whoever else does so at this installation waits.

    The record is there already, with all its tables. A builder that has built and has nothing more to do ends after a while: a new
    one takes its place, with little memory.
    """
    registry = load_registry(settings.registry)
    engine = open_engine(settings.record_place)
    settings.bundles.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(settings.bundles / ".lock", stop) as mine:
        if not mine:
            return
        bench = Workbench(engine, settings.bundles)
        last = float("inf")
        while not stop.is_set() and time.monotonic() < last + _IDLE:
            try:
                bench.take_up(times.now())
                if (row := bench.next()) is not None:
                    _build(settings, registry, engine, bench, row, stop)
                    last = time.monotonic()
                    continue
                if settings.bundle_days:
                    bench.remove(times.now() - settings.bundle_days * 24 * _HOUR)
            except DatabaseError as error:
                _log.error("the record cannot be written; trying again", error=str(error))
            stop.wait(_LOOK)


def _build(
    settings: Settings, registry: Registry, engine: Engine, bench: Workbench, row: Row, stop: threading.Event
) -> None:
    # What figures are computed with is loaded when the first bundle is asked for.
    from greenmine.evidence.bundle import Installation, build  # noqa: PLC0415
    from greenmine.record.archive.archive import Archive  # noqa: PLC0415
    from greenmine.record.archive.chain import ChainError  # noqa: PLC0415
    from greenmine.record.archive.signing import SigningKey  # noqa: PLC0415

    due = 0

    def progress(step: str, done: int, total: int) -> None:
        nonlocal due
        if stop.is_set():
            raise _Stopped
        if times.now() >= due:
            bench.report(row.id, step, done, total)
            due = times.now() + _SAY

    try:
        if row.site not in {site.id for site in registry.sites}:
            raise ValueError(f"there is no site {row.site!r} in the registry any more")  # noqa: TRY301 - as all that fails here
        archive, key = Archive(settings.archive_place), SigningKey(settings.keys)
        here = Installation(engine, registry, settings.registry, archive, key, settings.lateness_hours * _HOUR)
        target = file_of(settings.bundles, row.id)
        manifest = build(here, row.site, period_of(row), target, times.now(), progress, language=row.language)
        bench.finish(row.id, manifest.provisional, times.now())
    except _Stopped:
        bench.put_back(row.id)
    except DatabaseError:
        bench.put_back(row.id)
        raise
    except (ChainError, DataFileError, ValueError, OSError) as error:
        _log.error("a bundle cannot be built", bundle=row.id, site=row.site, error=str(error))
        bench.fail(row.id, str(error), times.now())
    else:
        _log.info("bundle built", bundle=row.id, site=row.site, period=row.period)
