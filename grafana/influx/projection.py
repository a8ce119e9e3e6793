"""The projection: what is committed to the record goes to InfluxDB, for each enterprise and for the district."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, TypeVar, get_args

import msgspec
import sqlalchemy as sa
import structlog

from greenmine import times
from greenmine.backoff import delay
from greenmine.grafana.influx.conclusions import standing_lines
from greenmine.grafana.influx.feed import Feed, Portion, Rolling
from greenmine.grafana.influx.influx import (
    Influx,
    InfluxError,
    RefusedError,
    Tokens,
    UnavailableError,
    admin_token,
    load_tokens,
)
from greenmine.grafana.influx.influx_provision import provision
from greenmine.grafana.influx.influx_schema import BY_NAME, DISTRICT, MEASUREMENTS, Precision, bucket_of
from greenmine.grafana.influx.lines import Encoder
from greenmine.record import schema
from greenmine.record.blocks import Blocks
from greenmine.record.bucket_cursors import FILE, Cursor, Cursors
from greenmine.record.follower import Attempts, Positions, behind, heads
from greenmine.record.reader import Queries
from greenmine.record.record import open_engine
from greenmine.registry import Registry
from greenmine.settings import Settings

_POLL: Final = 0.5
"""How often the record is looked at when nothing is left to do [s]."""
_TURN: Final = 20
"""Portions of buckets at one place before the others have their turn."""
_WRITERS: Final = 4
"""Buckets of a batch that are written to at once."""
_WIDEST: Final = 100_000
"""Points of a portion at most, however many buckets it is for."""
_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
"""Between two attempts while InfluxDB cannot [s]."""
_STANDING: Final = 60.0
"""Least time between two looks at what stands [s]."""
_RARELY: Final = 30
"""And at least so many times as long as a look takes."""
_DAY: Final = 86_400_000
_MARGIN: Final = 3_600_000
"""Points are left out so long before InfluxDB would refuse them as too old [ms]."""

_RESTORING: Final = threading.Lock()
"""One makes the buckets at a time."""

T = TypeVar("T")
_log = structlog.get_logger(__name__)


def cursors_file(settings: Settings) -> Path:
    """Where the cursors of all buckets are kept."""
    return settings.data / FILE


class Projection:
    """Follows the record and keeps all buckets up to date; those at the same place of it get the same lines.

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
        self._settings = settings
        self._registry = registry
        self._rolling = rolling
        self._engine = open_engine(settings.record_place, read_only=True)
        owners = {DISTRICT: None, **{bucket_of(e.id): e.id for e in registry.enterprises}}
        self._standing = _Standing()
        self._buckets = [
            _Bucket(bucket, enterprise, settings, registry, self._engine, self.cursors, self._standing, sample)
            for bucket, enterprise in owners.items()
        ]
        self._batches: dict[tuple[tuple[str, int], ...], _Batch] = {}
        self.buckets = list(owners)
        self._again = 0.0
        self._attempts = Attempts("projection")

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
            self._keep_batches(())
            for bucket in self._buckets:
                bucket.close()

    def turn(self) -> bool:
        """Give every bucket its turn; whether there is more to do at once."""
        if self._attempts.resting or time.monotonic() < self._again:
            return False
        done = busy = False
        with self._attempts.attempt():  # a file may be busy
            try:
                busy = self._turn()
                done = True
            except _SilentError as error:  # it does not answer: so the others need not wait for it in vain
                self._again = time.monotonic() + error.pause
        if not done:
            self._keep_batches(())
        return busy

    def _turn(self) -> bool:
        ends = heads(self._engine)
        with self._engine.connect() as connection:
            self._standing.look(Queries(connection, self._registry), ends)
        ready = [bucket for bucket in self._buckets if bucket.ready(ends)]
        busy = False
        for batch in self._assembled(ready):
            busy |= batch.turn(ends)
        for bucket in ready:
            bucket.settle()
        return busy

    def _assembled(self, ready: Iterable[_Bucket]) -> list[_Batch]:
        """The buckets that are ready, those at the same place together; what has not changed goes on as it was."""
        places: dict[tuple[object, ...], list[_Bucket]] = {}
        for bucket in ready:
            places.setdefault(bucket.cursor.place, []).append(bucket)
        batches = {}
        for buckets in places.values():
            key = tuple((bucket.name, bucket.cursor.generation) for bucket in buckets)
            batch = self._batches.get(key)
            if batch is None or batch.closed:
                batch = _Batch(buckets, self._settings, self._registry, self._rolling, self._engine)
            batches[key] = batch
        self._keep_batches(batches)
        self._batches = batches
        return list(batches.values())

    def _keep_batches(self, keys: Collection[tuple[tuple[str, int], ...]]) -> None:
        for key in [key for key in self._batches if key not in keys]:
            self._batches.pop(key).close()


class _Standing:
    """What stands now, computed again when the record has changed."""

    def __init__(self) -> None:
        self.edition = 0
        self._lines: dict[str, list[str]] = {}
        self._seen: list[int] = []
        self._again = -math.inf

    def look(self, queries: Queries, ends: Positions) -> None:
        """Compute it, unless nothing has changed, or that was done only a moment ago."""
        seen = [ends[table] for table in ("statistic", "verdict", "exceedance")]
        begun = time.monotonic()
        if seen == self._seen or begun < self._again:
            return
        self._lines, self._seen = standing_lines(queries), seen
        self.edition += 1
        now = time.monotonic()
        self._again = now + max(_STANDING, _RARELY * (now - begun))

    def of(self, enterprise: str | None) -> list[str]:
        """Lines that concern an enterprise; None: all."""
        if enterprise is None:
            return list(chain.from_iterable(self._lines.values()))
        return self._lines.get(enterprise, [])


class _SilentError(Exception):
    """InfluxDB does not answer at all."""

    def __init__(self, pause: float) -> None:
        super().__init__()
        self.pause = pause


class _Batch:
    """Buckets at the same place of the record, which is read and put into lines once for all of them."""

    def __init__(
        self, buckets: Sequence[_Bucket], settings: Settings, registry: Registry, rolling: Rolling, engine: sa.Engine
    ) -> None:
        self._buckets = buckets
        self._portions: Generator[Portion] | None = None
        self.closed = False
        silent = _known_by_all(buckets, registry)
        for bucket in buckets:
            bucket.silent = silent
        self._writers = ThreadPoolExecutor(min(_WRITERS, len(buckets)))
        whole = any(bucket.enterprise is None for bucket in buckets)
        self._feed = Feed(
            registry,
            engine,
            buckets[0].cursor,
            None if whole else {bucket.enterprise for bucket in buckets if bucket.enterprise},
            rolling,
            min(_WIDEST, settings.influx_batch * len(buckets)),
            buckets[0].oldest,
            silent,
            Blocks(registry, settings.archive_place),
        )

    def turn(self, ends: Positions) -> bool:
        """Write some portions; whether there are more to write at once.

        Raises
        ------
        _SilentError
            InfluxDB does not answer at all; what else goes wrong concerns one bucket only and is tried again later.
        """
        if self._portions is None:
            self._portions = _ahead(self._feed.portions(ends))
        for _ in range(_TURN):
            portion = next(self._portions, None)
            if portion is None:
                self._portions = None
                return False
            taken = self._writers.map(lambda bucket, some=portion: bucket.take(some), self._buckets)
            if not all([*taken]):  # whoever falls out of step goes on alone until it is where the others are
                self.close()
                return True
        return True

    def close(self) -> None:
        """End what reads ahead and what writes; nobody goes on from here."""
        self.closed = True
        self._writers.shutdown()
        if self._portions is not None:
            self._portions.close()
            self._portions = None


@dataclass(slots=True)
class _Tally:
    """What one portion led to."""

    written: int = 0
    refused: int = 0
    example: str = ""

    def refuse(self, example: str) -> None:
        """Count something that InfluxDB will never do."""
        self.refused += 1
        self.example = example


class _Bucket:
    """One bucket, and where it stands."""

    def __init__(
        self,
        bucket: str,
        enterprise: str | None,
        settings: Settings,
        registry: Registry,
        engine: sa.Engine,
        cursors: Cursors,
        standing: _Standing,
        sample: float,
    ) -> None:
        self.name = bucket
        self.enterprise = enterprise
        self.cursor = Cursor(bucket)
        self.silent: dict[str, int] = {}
        """See `Feed`."""
        self._every = sample
        self._settings = settings
        self._registry = registry
        self._engine = engine
        self._cursors = cursors
        self._influx: Influx | None = None
        self._failures = 0
        """In a row."""
        self._again = 0.0
        self._sampled = -math.inf
        self._placed = -1
        """Day of which the bucket is known to hold the places of stations, since 1970 UTC."""
        self._standing = standing
        self._told = 0
        """Edition of what stands that the bucket is known to hold."""
        self._missing = False
        """Whether the sample before was seen to be missing at the last look."""

    def ready(self, ends: Positions) -> bool:
        """See that the bucket holds what its cursor says, and write the samples that are due; whether it can be written to."""
        if time.monotonic() < self._again:
            return False
        self.cursor = self._cursors.begin(self.name, ends)
        return self._tried(self._prepare)

    def take(self, portion: Portion) -> bool:
        """Write what a portion has for this bucket, and move the cursor; False if it is not where the portion ends."""
        return self._tried(lambda: self._take(portion))

    def settle(self) -> None:
        """At the end of a turn: what did not fail in it need not wait any longer."""
        if self._failures and time.monotonic() >= self._again:
            _log.info("InfluxDB takes points again", bucket=self.name)
            self._failures = 0

    def _tried(self, step: Callable[[], bool]) -> bool:
        """Do a step with InfluxDB; False, and the bucket has to wait, if that fails.

        Raises
        ------
        _SilentError
            InfluxDB does not answer at all.
        """
        try:
            return step()
        except InfluxError as error:
            pause = self._failed(error)
            if isinstance(error, UnavailableError) and error.silent:
                raise _SilentError(pause) from error
            self._again = time.monotonic() + pause
            return False

    @property
    def influx(self) -> Influx:
        """The connection, with the token that the file of tokens holds when it is made."""
        if self._influx is None:
            token = load_tokens(self._settings).get(self.name, Tokens()).write or admin_token(self._settings)
            self._influx = Influx(self._settings, token)
        return self._influx

    def _prepare(self) -> bool:
        if self.cursor.clear:  # a person asked for it
            for measurement in MEASUREMENTS:
                if not measurement.sample:
                    self.influx.delete(self.name, measurement.name, (), self.cursor.since, None)
            self.cursor = replace(self.cursor, clear=False)
            self._cursors.keep(self.cursor)
        if time.monotonic() - self._sampled >= self._every:
            # Before any point: a bucket without samples could be emptied and nobody would notice.
            self._sample()
        if self._told != self._standing.edition:
            lines, size = self._standing.of(self.enterprise), self._settings.influx_batch
            for i in range(0, len(lines), size):
                self.influx.write(self.name, lines[i : i + size], "ms")
            self._told = self._standing.edition
        return True

    def _take(self, portion: Portion) -> bool:
        if portion.hour > self.cursor.hour:
            self.cursor = replace(self.cursor, hour=portion.hour)
            self._cursors.keep(self.cursor)
        tally = self._write(portion)
        self.cursor = replace(
            self.cursor,
            positions={**self.cursor.positions, portion.table: portion.position},
            written=self.cursor.written + tally.written,
            refused=self.cursor.refused + tally.refused,
            trouble=tally.example,
        )
        return self._cursors.keep(self.cursor)  # if not, it is to be made anew

    def _write(self, portion: Portion) -> _Tally:
        tally = _Tally()
        parts = portion.of(self.enterprise)
        for deletion in chain.from_iterable(part.deletions for part in parts):
            try:
                self.influx.delete(self.name, deletion.measurement, deletion.tags, deletion.start, deletion.end)
            except RefusedError as error:  # for good: asking again would hold up the bucket for ever
                tally.refuse(f"{error}: deletion from {deletion.measurement}")
        size = self._settings.influx_batch
        for precision in get_args(Precision):
            lines = list(chain.from_iterable(part.lines[precision] for part in parts))
            for i in range(0, len(lines), size):
                self._write_lines(lines[i : i + size], precision, tally)
        if tally.refused:
            _log.warning("InfluxDB refused", bucket=self.name, times=tally.refused, example=tally.example)
        return tally

    def _write_lines(self, lines: Sequence[str], precision: Precision, tally: _Tally) -> None:
        """Write lines; where some are refused, halve until all others are written."""
        try:
            self.influx.write(self.name, lines, precision)
        except RefusedError as error:
            if len(lines) == 1 or error.retention:
                # Of points that are too old only those are left out; how many does not matter.
                tally.refuse(f"{error}: {lines[0][:200]}" if len(lines) == 1 else str(error))
            else:
                middle = len(lines) // 2
                self._write_lines(lines[:middle], precision, tally)
                self._write_lines(lines[middle:], precision, tally)
        else:
            tally.written += len(lines)

    def _sample(self) -> None:
        """Write how far the bucket is behind, to the district's bucket how far all are, and read it again.

        A bucket counts as emptied when, at two looks, the sample just written is there and the one before it is not. It is
        then filled again from the record. Nothing is removed for that: no answer of InfluxDB ever leads to a deletion.
        """
        now = times.now()
        with self._engine.connect() as connection:
            if self.enterprise is None:
                lines = [_lag_line(connection, one, now) for one in self._cursors.all()]
                lines += map(_worker_line, connection.execute(sa.select(schema.worker)))
            else:
                lines = [_lag_line(connection, self.cursor, now)]
        places = _place_lines(self._registry, self.enterprise, now // _DAY * _DAY)
        if now // _DAY != self._placed:
            lines += places
        self.influx.write(self.name, lines, "ms")
        self._placed = now // _DAY
        held = self._held(self.cursor.sample or now, now)
        if now not in held:
            raise UnavailableError(f"{self.name}: InfluxDB does not hold what it has just taken")
        missing = self.cursor.sample is not None and self.cursor.sample not in held
        if missing and self._missing:
            _log.warning("the bucket was emptied; it is filled again from the record", bucket=self.name)
            self.cursor = self._cursors.refill(self.name)
            self.influx.write(self.name, places, "ms")
            self._told = 0
        if not missing or self._missing:
            self.cursor = replace(self.cursor, sample=now)
            self._cursors.keep(self.cursor)
        self._missing = missing and not self._missing
        self._sampled = time.monotonic()

    def _held(self, first: int, last: int) -> set[int]:
        """Times of the samples that the bucket holds, between two instants [ms UTC]."""
        statement = (  # a bucket's name is made of an enterprise's id
            f'SELECT "written" FROM "projection" WHERE "bucket" = \'{self.name}\' AND time >= {first}ms AND time <= {last}ms'
        )
        return {row["time"] for row in self.influx.ask(self.name, statement)}

    def _failed(self, error: InfluxError) -> float:
        """Note a failure; how long to wait before the next attempt [s], which begins from the cursor and the files."""
        if not self._failures:
            _log.warning("InfluxDB takes no points; trying again", bucket=self.name, error=str(error))
        self._failures += 1
        self._sampled = -math.inf  # it may come back empty
        self._placed = -1
        self._told = 0
        self._missing = False
        self.close()
        if isinstance(error, UnavailableError) and error.status == 404:
            self._restore()
        cursor = self._cursors.get(self.name)
        if cursor is not None:
            self._cursors.keep(replace(cursor, failures=cursor.failures + 1, trouble=str(error)))
        return delay(self._failures, _FIRST_PAUSE, _LONGEST_PAUSE)

    def _restore(self) -> None:
        """Make the bucket where there is none, if we may."""
        try:
            with _RESTORING:
                provision(self._settings, self._registry)
        except (InfluxError, OSError) as error:
            _log.warning("the bucket cannot be made; `greenmine influx provision` would", error=str(error))

    def close(self) -> None:
        """Close the connection."""
        if self._influx is not None:
            self._influx.close()
            self._influx = None

    def oldest(self) -> int:
        """Points before this instant are not taken [ms UTC]."""
        days = self._settings.influx_retention_days
        return times.now() - days * _DAY + _MARGIN if days else -(2**62)


def _known_by_all(buckets: Iterable[_Bucket], registry: Registry) -> dict[str, int]:
    """What is known of a limit's newest hour in each bucket that has the limit."""
    by_enterprise = {bucket.enterprise: bucket.silent for bucket in buckets}
    sites = {site.id: site.enterprise for site in registry.sites}
    known = {}
    for rule in registry.rules:
        said = {by_enterprise[e].get(rule.key) for e in (None, sites[rule.site]) if e in by_enterprise}
        if len(said) == 1 and (hour := said.pop()) is not None:
            known[rule.key] = hour
    return known


def _ahead(some: Iterator[T]) -> Generator[T]:
    """The same, the next one being made while one is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, some, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, some, None)
            yield item


def _lag_line(connection: sa.Connection, cursor: Cursor, now: int) -> str:
    oldest, backlog = behind(connection, cursor.whole)
    lag = 0.0 if oldest is None else max(0, now - oldest) / 1000
    encoder = Encoder(BY_NAME["projection"])
    values = (lag, backlog, cursor.written, cursor.refused, cursor.failures)
    return encoder.line(encoder.series(cursor.bucket), values, now)


def _place_lines(registry: Registry, enterprise: str | None, day: int) -> list[str]:
    """Where the stations of an enterprise are; None: those of all."""
    encoder = Encoder(BY_NAME["place"])
    return [
        encoder.line(
            encoder.series(site.enterprise, site.id, station.id),
            (station.position.latitude, station.position.longitude),
            day,
        )
        for site in registry.sites
        if enterprise in {None, site.enterprise}
        for station in site.stations
    ]


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
