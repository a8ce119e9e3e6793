"""The projection: what is committed to the record goes to InfluxDB, for each enterprise and for the district."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa
import structlog

from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.storage import schema
from greenmine.storage.blocks import Blocks
from greenmine.storage.cursors import FILE, Cursor, Cursors, Positions, behind, heads
from greenmine.storage.feed import Feed, Portion, Rolling
from greenmine.storage.influx import (
    Influx,
    InfluxError,
    RefusedError,
    Tokens,
    UnavailableError,
    admin_token,
    load_tokens,
)
from greenmine.storage.influx_provision import provision
from greenmine.storage.influx_schema import BY_NAME, DISTRICT, MEASUREMENTS, Precision, bucket_of
from greenmine.storage.lines import Encoder
from greenmine.storage.record import open_engine

_POLL: Final = 0.5
"""How often the record is looked at when nothing is left to do [s]."""
_TURN: Final = 20
"""Portions of a bucket before the others have their turn."""
_LONGEST_PAUSE: Final = 30.0
"""Between two attempts while InfluxDB cannot [s]."""
_SILENT: Final = {0, 502, 503, 504}
"""No answer, or that of a proxy which gets none."""
_DAY: Final = 86_400_000
_MARGIN: Final = 3_600_000
"""Points are left out so long before InfluxDB would refuse them as too old [ms]."""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


def cursors_file(settings: Settings) -> Path:
    """Where the cursors of all buckets are kept."""
    return settings.data / FILE


class Projection:
    """Follows the record and keeps all buckets up to date, one after the other.

    Parameters
    ----------
    settings : Settings
        With ``influx_url``.
    registry : Registry
        Whose enterprises get buckets.
    rolling : Rolling
        Computes rolling exceedance statistics.
    sample : float
        How often lag and workers are sampled, and buckets looked at whether they were emptied [s].
    """

    def __init__(self, settings: Settings, registry: Registry, rolling: Rolling, *, sample: float = 10.0) -> None:
        self.cursors = Cursors(cursors_file(settings))
        self._engine = open_engine(settings.record, read_only=True)
        owners = {DISTRICT: None, **{bucket_of(e.id): e.id for e in registry.enterprises}}
        self._lanes = [
            _Lane(bucket, enterprise, settings, registry, rolling, self._engine, self.cursors, sample)
            for bucket, enterprise in owners.items()
        ]
        self.buckets = list(owners)
        self._again = 0.0

    def run(self, stop: threading.Event, finished: Callable[[], bool] = lambda: False) -> None:
        """Go on until ``stop`` is set or all is done that the caller waits for.

        Parameters
        ----------
        stop : Event
            Set from elsewhere.
        finished : callable
            Asked when there is nothing to do, or nothing can be done.
        """
        try:
            while not stop.is_set():
                if not self.turn() and (finished() or stop.wait(_POLL)):
                    break
        finally:
            for lane in self._lanes:
                lane.close()

    def turn(self) -> bool:
        """Give every bucket its turn; whether there is more to do at once."""
        try:
            with self._engine.connect() as connection:
                ends = heads(connection)
        except sa.exc.DBAPIError as error:  # the record's file may be busy; ours it is only to read
            _log.warning("the record cannot be read; trying again", error=str(error.orig))
            return False
        if time.monotonic() < self._again:
            return False
        busy = False
        for lane in self._lanes:
            try:
                busy |= lane.turn(ends)
            except UnavailableError as error:  # it does not answer: so the others need not wait for it in vain
                self._again = time.monotonic() + lane.failed(error)
                return False
        return busy


@dataclass(slots=True)
class _Tally:
    """What one portion led to."""

    written: int = 0
    refused: int = 0
    example: str = ""


class _Lane:
    """One bucket."""

    def __init__(
        self,
        bucket: str,
        enterprise: str | None,
        settings: Settings,
        registry: Registry,
        rolling: Rolling,
        engine: sa.Engine,
        cursors: Cursors,
        sample: float,
    ) -> None:
        self.bucket = bucket
        self._every = sample
        self._enterprise = enterprise
        self._settings = settings
        self._registry = registry
        self._rolling = rolling
        self._engine = engine
        self._cursors = cursors
        self._influx: Influx | None = None
        self._feed: Feed | None = None
        self._portions: Generator[Portion] | None = None
        self._generation = -1
        self._silent: dict[str, int] = {}
        self._pause = 0.0
        self._again = 0.0
        self._sampled = -math.inf

    def turn(self, ends: Positions) -> bool:
        """Write some portions; whether there are more to write at once.

        Raises
        ------
        UnavailableError
            InfluxDB does not answer at all; what else goes wrong concerns this bucket only and is tried again later.
        """
        if time.monotonic() < self._again:
            return False
        try:
            cursor = self._cursors.begin(self.bucket, ends)
            cursor = self._prepared(cursor, ends)
            cursor, more = self._written(cursor, ends)
            self._sample(cursor)
        except InfluxError as error:
            if isinstance(error, UnavailableError) and error.status in _SILENT:
                raise
            self._again = time.monotonic() + self.failed(error)
            return False
        except sa.exc.DBAPIError as error:
            _log.warning("record or cursors cannot be used; trying again", bucket=self.bucket, error=str(error.orig))
            self._forget()
            return False
        if self._pause:
            _log.info("InfluxDB takes points again", bucket=self.bucket)
        self._pause = 0.0
        return more

    @property
    def influx(self) -> Influx:
        """The connection, with the token that the file of tokens holds when it is made."""
        if self._influx is None:
            token = load_tokens(self._settings).get(self.bucket, Tokens()).write or admin_token(self._settings)
            self._influx = Influx(self._settings, token)
        return self._influx

    def _prepared(self, cursor: Cursor, ends: Positions) -> Cursor:
        """See that the bucket holds what the cursor says, and that our feed stands where the cursor does."""
        if cursor.samples and time.monotonic() - self._sampled >= self._every and self._emptied(cursor):
            _log.warning("the bucket was emptied; it is made anew from the record", bucket=self.bucket)
            cursor = self._cursors.reset(self.bucket, ends)
        if cursor.clear:
            for measurement in MEASUREMENTS:
                if not measurement.sample:
                    self.influx.delete(self.bucket, measurement.name, (), cursor.since, None)
            cursor = replace(cursor, clear=False)
            self._cursors.keep(cursor)
        if self._generation != cursor.generation:
            self._forget()
            self._generation = cursor.generation
        if self._feed is None:
            self._feed = Feed(
                self._registry,
                self._engine,
                cursor,
                self._enterprise,
                self._rolling,
                self._settings.influx_batch,
                self._oldest,
                self._silent,
                Blocks(self._registry, self._settings.archive_place),
            )
        return cursor

    def _written(self, cursor: Cursor, ends: Positions) -> tuple[Cursor, bool]:
        assert self._feed is not None
        if self._portions is None:
            self._portions = _ahead(self._feed.portions(ends))
        for _ in range(_TURN):
            portion = next(self._portions, None)
            if portion is None:
                self._portions = None
                return cursor, False
            if portion.hour > cursor.hour:
                cursor = replace(cursor, hour=portion.hour)
                self._cursors.keep(cursor)
            tally = self._write(portion)
            cursor = replace(
                cursor,
                positions={**cursor.positions, portion.table: portion.position},
                written=cursor.written + tally.written,
                refused=cursor.refused + tally.refused,
                trouble=tally.example,
            )
            if not self._cursors.keep(cursor):  # it is being made anew
                return cursor, True
        return cursor, True

    def _write(self, portion: Portion) -> _Tally:
        tally = _Tally()
        for deletion in portion.deletions:
            self.influx.delete(self.bucket, deletion.measurement, deletion.tags, deletion.start, deletion.end)
        size = self._settings.influx_batch
        for precision, lines in portion.lines.items():
            for i in range(0, len(lines), size):
                self._write_lines(lines[i : i + size], precision, tally)
        if tally.refused:
            _log.warning("InfluxDB refused points", bucket=self.bucket, points=tally.refused, example=tally.example)
        return tally

    def _write_lines(self, lines: Sequence[str], precision: Precision, tally: _Tally) -> None:
        """Write lines; where some are refused, halve until all others are written."""
        try:
            self.influx.write(self.bucket, lines, precision)
        except RefusedError as error:
            if len(lines) == 1 or error.retention:
                # Of points that are too old only those are left out; how many does not matter.
                tally.refused += 1
                tally.example = f"{error}: {lines[0][:200]}" if len(lines) == 1 else str(error)
            else:
                middle = len(lines) // 2
                self._write_lines(lines[:middle], precision, tally)
                self._write_lines(lines[middle:], precision, tally)
        else:
            tally.written += len(lines)

    def _emptied(self, cursor: Cursor) -> bool:
        """Whether the sample before the last is gone; it had been there when the last was written."""
        statement = (  # a bucket's name is made of an enterprise's id
            f'SELECT "written" FROM "projection" WHERE "bucket" = \'{self.bucket}\' AND time = {cursor.samples[0]}ms'  # noqa: S608
        )
        return not self.influx.ask(self.bucket, statement)

    def _sample(self, cursor: Cursor) -> None:
        """Write how far the bucket is behind, to the district's bucket how far all are, and note when."""
        if time.monotonic() - self._sampled < self._every:
            return
        now = _now()
        with self._engine.connect() as connection:
            if self._enterprise is None:
                lines = [_lag_line(connection, one, now) for one in self._cursors.all()]
                lines += map(_worker_line, connection.execute(sa.select(schema.worker)))
            else:
                lines = [_lag_line(connection, cursor, now)]
        self.influx.write(self.bucket, lines, "ms")
        self._cursors.keep(replace(cursor, samples=(*cursor.samples[-1:], now)))
        self._sampled = time.monotonic()

    def failed(self, error: InfluxError) -> float:
        """Note a failure; how long to wait before the next attempt [s], which begins from the cursor and the files."""
        if not self._pause:
            _log.warning("InfluxDB takes no points; trying again", bucket=self.bucket, error=str(error))
        self._pause = min(_LONGEST_PAUSE, max(0.5, self._pause * 2))
        self._sampled = -math.inf  # it may come back empty
        self._forget()
        if isinstance(error, UnavailableError) and error.status == 404:
            self._restore()
        cursor = self._cursors.get(self.bucket)
        if cursor is not None:
            self._cursors.keep(replace(cursor, failures=cursor.failures + 1, trouble=str(error)))
        return self._pause * random.uniform(0.75, 1.25)  # noqa: S311 - spreads the attempts

    def _restore(self) -> None:
        """Make the bucket where there is none, if we may."""
        try:
            provision(self._settings, self._registry)
        except (InfluxError, OSError) as error:
            _log.warning("the bucket cannot be made; `greenmine influx provision` would", error=str(error))

    def _forget(self) -> None:
        self.close()
        self._feed = None

    def close(self) -> None:
        """Close the connection, and what reads ahead."""
        if self._portions is not None:
            self._portions.close()
            self._portions = None
        if self._influx is not None:
            self._influx.close()
            self._influx = None

    def _oldest(self) -> int:
        days = self._settings.influx_retention_days
        return _now() - days * _DAY + _MARGIN if days else -(2**62)


def _ahead(some: Iterator[T]) -> Generator[T]:
    """The same, the next one being made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, some, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, some, None)
            yield item


def _lag_line(connection: sa.Connection, cursor: Cursor, now: int) -> str:
    oldest, backlog = behind(connection, cursor.positions)
    lag = 0.0 if oldest is None else max(0, now - oldest) / 1000
    encoder = Encoder(BY_NAME["projection"])
    values = (lag, backlog, cursor.written, cursor.refused, cursor.failures)
    return encoder.line(encoder.series(cursor.bucket), values, now)


def _worker_line(row: Any) -> str:
    """What a process says of itself, as far as the schema knows it; durations in ms."""
    said: dict[str, Any] = msgspec.json.decode(row.status)
    said["uptime"] = (row.updated - said["started"]) / 1000 if "started" in said else None
    for name in ("commit_p50", "commit_p99"):
        if said.get(name) is not None:
            said[name] *= 1000
    measurement = BY_NAME["worker"]
    encoder = Encoder(measurement)
    return encoder.line(encoder.series(row.name), [said.get(f.name) for f in measurement.fields], row.updated)


def _now() -> int:
    return time.time_ns() // 1_000_000
