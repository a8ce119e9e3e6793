"""A batch becomes one transaction of the record: readings, ledger, statistics, verdicts, exceedances."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from uuid import uuid4

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.errors import StoreError
from greenmine.processing.alarms import SlidingHour
from greenmine.processing.engine import DAY, Engine, Judged, Outcome, Statistic
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.exclusion import EXCLUDING, KINDS, Mark, excluded_channels
from greenmine.processing.flags import counted
from greenmine.processing.health import Change
from greenmine.processing.identity import Sorted
from greenmine.processing.ledger import LedgerEntry, SequenceNews, Sequences, entries
from greenmine.processing.panes import MINUTE
from greenmine.processing.restatement import Restatement, Restating
from greenmine.processing.windows import offset_minutes
from greenmine.readings import Readings
from greenmine.record import retry, schema
from greenmine.record.basis import Basis, bases_of, take_over
from greenmine.record.checkpoint import Checkpoint
from greenmine.record.claims import REVIEW, Claims, stored_mark
from greenmine.record.record import Record
from greenmine.record.refused import RefusedRoom
from greenmine.record.rows import (
    ROW,
    AsideRow,
    CurrentRow,
    EpisodeRow,
    HealthRow,
    LedgerRow,
    RejectionRow,
    SequenceGapRow,
    SignedRow,
    SlidingHourRow,
    StatisticRow,
    VerdictRow,
)
from greenmine.registry import Registry

_SAME: Final = 1e-12
"""Figures that differ by less, relatively, differ only by the order of summation."""

_AT_ONCE: Final = 7 * DAY * MINUTE
"""So much of a span is restated in one transaction [ms]; less where a mine has many channels, for commits wait for it."""
_AT_ONCE_CHANNELS: Final = 14
"""At most so many channels are restated by `_AT_ONCE`."""
_IN: Final = 500
"""Keys asked for in one query."""
_STATISTIC_ISSUE: Final = frozenset(
    {"channel", "window", "start", "revision", "latest", "end", "reason", "issued", "serial"}
)
"""Columns of a statistic that say which it is and why it was issued; the others are its content."""
_VERDICT_ISSUE: Final = frozenset({"rule", "start", "revision", "latest", "end", "change", "issued", "serial"})
"""Likewise of a verdict."""
Revised = TypeVar("Revised", StatisticRow, VerdictRow)
Beside = Callable[[sa.Connection, int], None]
"""Stores more in the transaction of a batch, whose number it gets."""

_COUNTS: Final = frozenset(LedgerRow._fields) - {"site", "device", "day", "sequence_last", "serial"}
"""Columns of the ledger that are added up."""


@dataclass(frozen=True, slots=True)
class _Issue:
    """What a transaction notes beside the figures it stores."""

    now: int
    """The clock [ms UTC]."""
    reason: str
    """Why a figure that was issued before is issued again."""
    serial: int
    """Number of the transaction."""


@dataclass(frozen=True, slots=True)
class _Unstored:
    """What the engine has taken in and the record has not; without a batch, what the clock led to."""

    batch: Batch | None
    outcome: Outcome
    news: Mapping[tuple[str, str], SequenceNews]


@dataclass(frozen=True, slots=True)
class _Job:
    """A restatement that is underway, up to ``until`` of its span [ms UTC]; with the mark and the request that it is for."""

    restating: Restating
    site: str
    span: tuple[int, int]
    reason: str
    until: int | None = None
    mark: dict[str, Any] | None = None
    request: int | None = None
    queued: int | None = None


_LAST: Final = 1 << 40
"""A minute after all readings."""
UPLOADED: Final = "upload/"
"""Begin of the name of a device that is a file that somebody handed in; no id of the registry has a stroke."""


class Pipeline:
    """The processing of one partition of sites, with its record.

    Parameters
    ----------
    registry : Registry
        What the batches' channel indices refer to.
    record : Record
        Bound to the same registry.
    lateness : int
        Allowed lateness [min].
    grace : int
        A window is issued when its channel has moved this far past its end [min].
    silent_minutes : int
        See `greenmine.processing.health.Health`.
    now : int
        The clock at the start [ms UTC].
    checkpoint : Path, optional
        File from which a start is short; see `greenmine.record.checkpoint`.
    checkpoint_seconds : int
        How old a site's part of it becomes [s].
    room : RefusedRoom, optional
        Budgets of what is kept of readings that were not taken; without it all is kept.
    """

    def __init__(
        self,
        registry: Registry,
        record: Record,
        *,
        lateness: int = DAY,
        grace: int = 2,
        silent_minutes: int = 15,
        now: int = 0,
        checkpoint: Path | None = None,
        checkpoint_seconds: int = 240,
        room: RefusedRoom | None = None,
    ) -> None:
        self.registry = registry
        self.record = record
        self._rule_index = {rule.key: rule.index for rule in registry.rules}
        self._options = {"lateness": lateness, "grace": grace, "silent_minutes": silent_minutes}
        self._patience = silent_minutes * MINUTE
        self._heard = {site.id: now for site in registry.sites}
        self._site = np.array([[s.id for s in registry.sites].index(c.site) for c in registry.channels], np.int64)
        self._zone = {site.id: site.zone for site in registry.sites}
        self._room = RefusedRoom(registry) if room is None else room
        self._room.restore(record, now)
        self._unstored: _Unstored | None = None
        self._stale: set[str] = set()
        self._job: _Job | None = None
        self._tried = 0
        self.sequences = Sequences()
        self.engine = Engine(registry, record.stored, self.samples, marks=self._marks(), **self._options)
        self._claims = Claims(registry, record)
        self._changed = self._highest(schema.exceedance.c.changed)
        bases = bases_of(registry)
        self._checkpoint = None if checkpoint is None else Checkpoint(checkpoint, self._identity(), self.engine, bases)
        told = schema.current.c
        restated = record.rows(sa.select(told.site, told.time).where(told.kind == "restated"))
        self._restated = {row["site"]: row["time"] for row in restated}
        """Transaction of the newest restatement of each site that had one."""
        self._keep_after = checkpoint_seconds * 1000
        sites = list(enumerate(registry.sites))
        self._kept = {site.id: now - i * self._keep_after // len(sites) for i, site in sites}
        self._fill(set(self._zone), self._positions())
        self._take_over(bases, now)

    def _identity(self) -> str:
        """A name of the record that no other one has."""
        with self.record.transaction() as connection:
            table = schema.meta
            found: str | None = connection.execute(sa.select(table.c.value).where(table.c.key == "identity")).scalar()
            if found is None:
                found = uuid4().hex
                connection.execute(sa.insert(table).values(key="identity", value=found))
        return found

    def _positions(self) -> dict[str, int]:
        """Sites that the checkpoint has brought into the engine, each with the block up to which it has."""
        if self._checkpoint is None:
            return {}
        found = self._checkpoint.read(self._position(), self._restated)
        divided = self.record.divided({c.index: found[c.site] for c in self.registry.channels if c.site in found})
        for site in {self.registry.channels[index].site for index in divided}:
            self.engine.forget(np.array([c.index for c in self.registry.site_channels(site)], np.intp))
            del found[site]
        return found

    def _position(self) -> int:
        """Number of the newest block."""
        return self._highest(schema.reading_block.c.id)

    def keep(self, now: int, *, everything: bool = False) -> None:
        """Write the checkpoint of the sites whose turn it is, or of all of them; everything that was committed is in it then.

        Parameters
        ----------
        now : int
            The clock [ms UTC].
        everything : bool
            Of all sites, as at the end.
        """
        if self._checkpoint is None or self._unstored is not None or self._stale:
            return
        due = [site for site, kept in self._kept.items() if everything or now - kept >= self._keep_after]
        position = self._position() if due else 0
        for site in due if everything else due[: 1 + len(self._kept) // 50]:
            self._checkpoint.write(site, position, self._restated.get(site, 0))
            self._kept[site] = now
        if everything:
            self._checkpoint.close()

    def _fill(self, sites: Collection[str], positions: Mapping[str, int] = MappingProxyType({})) -> None:
        """Build the state of sites from the record.

        Of those in ``positions`` the engine holds what was committed up to a block; of the others there is nothing in it yet.
        """
        engine, record = self.engine, self.record
        channels = [c.index for c in self.registry.channels if c.site in sites]
        for c in self.registry.channels:
            if c.site in sites and c.site not in positions:
                readings, quality = record.recent(c.index, engine.panes.minutes)
                if len(readings):
                    engine.fill(readings, quality)
        for readings, quality in record.since(
            {c.index: positions[c.site] for c in self.registry.channels if c.site in positions}
        ):
            # What was handed in about the past may be older than the rings.
            minute, heads = readings.time // MINUTE, engine.panes.head.copy()
            np.maximum.at(heads, readings.channel, minute)
            within = minute > heads[readings.channel] - engine.panes.minutes
            engine.fill(readings.take(within), quality[within])
        issued = engine.issued.copy()
        issued[channels] = self._hours(sa.func.max(schema.statistic.c.start), 60)[channels]
        known = [e for site in sites for e in self._recent_episodes(site)]
        engine.resume(issued, known, self._next_id(), {r.index for r in self.registry.rules if r.site in sites})
        health, newest, numbers = schema.health.c, schema.current, schema.channel.c
        keys = {c.key: c.index for c in self.registry.channels if c.site in sites}
        told = sa.select(numbers.key, health.state, health.since).join_from(
            newest, schema.channel, sa.and_(newest.c.key == numbers.key, newest.c.kind == "health")
        )
        of = sa.and_(health.channel == numbers.id, health.since == newest.c.time)
        for row in record.rows(told.join(schema.health, of)):
            if row["key"] in keys:
                engine.health.restore(keys[row["key"]], row["state"], row["since"])
        gaps: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for row in record.rows(sa.select(schema.sequence_gap)):
            gaps[row["site"], row["device"]].append((row["first"], row["last"]))
        ledger = schema.ledger.c
        for site in (s for s in self.registry.sites if s.id in sites and s.devices):
            own = sa.values(sa.column("id", sa.String), name="own").data([(d.id,) for d in site.devices]).cte()
            mine = ledger.site == site.id, ledger.device == own.c.id, ledger.sequence_last >= 0
            last = sa.select(ledger.sequence_last).where(*mine).order_by(ledger.day.desc()).limit(1).scalar_subquery()
            for row in record.rows(sa.select(own.c.id, last.label("last"))):
                if row["last"] is not None:
                    self.sequences.restore((site.id, row["id"]), row["last"], gaps.get((site.id, row["id"]), ()))

    def _marks(self) -> list[Mark]:
        return [stored_mark(row) for row in self.record.rows(sa.select(schema.mark))]

    def _hours(self, of_start: sa.ColumnElement[int], after: int) -> NDArray[np.int64]:
        """A minute this long after the first or last hour issued of each channel [min]; -1 if none was."""
        table = schema.statistic.c
        found = self.record.extremes(of_start, table.channel, table.window == "hour")
        return np.where(found < 0, -1, found // MINUTE + after)

    def _highest(self, column: sa.Column[int]) -> int:
        return int(self.record.rows(sa.select(sa.func.max(column).label("highest")))[0]["highest"] or 0)

    def _next_id(self) -> int:
        return self._highest(schema.exceedance.c.id) + 1

    def _recent_episodes(self, site: str) -> list[Exceedance]:
        """The stored episodes of a site that may still change."""
        newest = self.engine.panes.newest[[c.index for c in self.registry.site_channels(site)]]
        return self._episodes_since(site, int(newest[newest >= 0].min(initial=2**62)) - 4 * DAY * MINUTE)

    def _episodes_since(self, site: str, instant: int) -> list[Exceedance]:
        """The stored episodes of a site that last or ended after an instant [ms UTC]."""
        table = schema.exceedance.c
        return self._episodes(sa.and_(table.site == site, sa.or_(table.end.is_(None), table.end > instant)))

    def _take_over(self, bases: Mapping[str, Basis], now: int) -> None:
        """Queue for restatement what limits, calibrations and instruments have changed since the record was last written."""
        with self.record.transaction() as connection:
            changed = take_over(connection, bases, now, self.record.serial(connection))
            for site, since in changed.items():
                last = self.engine.issued[[c.index for c in self.registry.site_channels(site)]].max(initial=-1)
                if last >= 0:
                    row = {"site": site, "start": since, "end": int(last) * MINUTE, "reason": "limits or instruments"}
                    connection.execute(sa.insert(schema.restatement).values(row))

    def _episodes(self, condition: sa.ColumnElement[bool]) -> list[Exceedance]:
        """The stored episodes of rules that still exist, without those that were withdrawn."""
        index = self._rule_index
        statement = sa.select(schema.exceedance).where(schema.exceedance.c.state != "withdrawn", condition)
        return [
            Exceedance(
                row["id"],
                index[row["rule"]],
                _minute(row["start"]),
                None if row["end"] is None else _minute(row["end"]),
                float("nan") if row["peak"] is None else row["peak"],
                _minute(row["peak_time"]),
                float("nan") if row["threshold"] is None else row["threshold"],
                row["minutes"],
                row["revision"],
            )
            for row in self.record.rows(statement)
            if row["rule"] in index
        ]

    def samples(self, channel: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Valid readings of a channel [ms UTC, half-open], those of the batch in work included: times, calibrated values."""
        rows = self.record.readings(channel, start, end)
        valid = counted(rows["flag"], rows["quality"])
        rows = rows[valid]
        columns = np.full(len(rows), channel, np.intp)
        return rows["time"], self.engine.calibrated(columns, rows["time"], rows["value"])

    @property
    def parts(self) -> Sorted:
        """What becomes of the readings of the batch that is being stored."""
        assert self._unstored is not None
        return self._unstored.outcome.parts

    def commit(self, batch: Batch, now: int, beside: Beside | None = None) -> Outcome:
        """Process a batch and store all of it, durably, or nothing.

        Parameters
        ----------
        batch : Batch
            What came.
        now : int
            The clock [ms UTC], noted as the time of issue.
        beside : callable, optional
            Given the connection and the number of the transaction, stores what belongs into the same one.

        Raises
        ------
        StoreError
            If the record cannot take it. Nothing is stored then; the batch may be given again, and what it led to is stored
            before anything else.
        """
        self._settle()
        if self._unstored is not None and not (self._unstored.batch and _same_batch(self._unstored.batch, batch)):
            self._store(now)
        if self._unstored is None:
            sites = _sites_of(batch)
            with self._whole(sites):
                outcome = self.engine.ingest(batch.readings, past=_sender(batch) is not None)
                self._clocks(batch, outcome)
                if self._job is not None and self._job.site in sites:
                    self._job.restating.take(batch.readings.take(outcome.parts.fresh), outcome.quality)
                self._unstored = _Unstored(batch, outcome, self.sequences.take(batch))
        outcome = self._unstored.outcome
        self._store(now, beside)
        for site, _ in batch.devices:
            self._heard[site] = now
        return outcome

    def wait(self, now: int, leapt: int = 0) -> Outcome:
        """Let the clock move on [ms UTC]: windows of channels that have fallen silent are issued.

        A channel is waited for no longer when nothing has come from its site for a while, or when its site's other channels
        are up to date; while a site sends a backlog, its channels are given time.

        ``leapt`` is by how much the clock was set since the last time [ms]: nobody has fallen silent by that.
        """
        self._heard = {site: heard + leapt for site, heard in self._heard.items()}
        self._settle()
        if self._unstored is not None:
            self._store(now)
        heads = self.engine.panes.head
        live = np.array([int(heads[self._site == i].max(initial=-1)) for i in range(len(self.registry.sites))])
        quiet = np.array([now - heard > self._patience for heard in self._heard.values()])
        current = live * MINUTE > now - self._patience
        with self._whole(self._zone):
            outcome = self.engine.wait(now, (quiet | current)[self._site])
            self._unstored = _Unstored(None, outcome, {})
        self._store(now)
        return outcome

    def _settle(self) -> None:
        """Build again what was left half done."""
        if self._stale:
            self.engine.forget(np.array([c.index for c in self.registry.channels if c.site in self._stale], np.intp))
            self._fill(self._stale)
            self._stale = set()

    @contextmanager
    def _whole(self, sites: Iterable[str]) -> Iterator[None]:
        """Whatever goes wrong in the block, the state of these sites is built again before anything else is done."""
        try:
            yield
        except BaseException:
            self._stale.update(sites)
            self._unstored = self._job = None
            raise

    def _store(self, now: int, beside: Beside | None = None) -> None:
        """Store what the engine has found; a `StoreError` leaves it to be stored later, for the engine has gone on already."""
        left = self._unstored
        assert left is not None
        try:
            with self.record.transaction() as connection:
                issue = _Issue(now, "late data", self.record.serial(connection))
                if left.batch is not None:
                    self._store_readings(connection, left.batch, left.outcome, left.news, issue)
                self._store_outcome(connection, left.outcome, issue)
                for site, (start, end) in left.outcome.apart.items():
                    self._queue(connection, site, (start * MINUTE, end * MINUTE), issue.reason)
                self._look_again(connection, left.outcome.verdicts)
                sites = set() if left.batch is None else _sites_of(left.batch)
                self._store_current(connection, left.outcome, sites, issue.serial)
                if beside is not None:
                    beside(connection, issue.serial)
        except StoreError:
            raise
        except BaseException:
            with self._whole(self._zone if left.batch is None else _sites_of(left.batch)):
                raise
        self._unstored = None

    def _queue(self, connection: sa.Connection, site: str, span: tuple[int, int], reason: str) -> None:
        """Queue a span [ms UTC] for restatement, as one with what waits for the same reason not far from it."""
        table = schema.restatement
        c = table.c
        beside = sa.and_(c.start <= span[1] + DAY * MINUTE, c.end >= span[0] - DAY * MINUTE)
        underway = -1 if self._job is None or self._job.queued is None else self._job.queued
        same = sa.and_(c.site == site, c.reason == reason, c.id != underway, beside)
        some = connection.execute(sa.select(table).where(same)).all()
        connection.execute(sa.delete(table).where(same))
        start, end = min([span[0], *(row.start for row in some)]), max([span[1], *(row.end for row in some)])
        connection.execute(sa.insert(table).values(site=site, start=start, end=end, reason=reason))

    def restate(self, site: str, start: int, end: int, now: int, reason: str) -> None:
        """Compute windows again from the stored readings, with the marks, calibrations and limits that hold now.

        What comes out differently is stored as a new revision.

        Parameters
        ----------
        site : str
            Id of the site.
        start, end : int
            Windows that share a minute with this span are computed again [ms UTC, half-open].
        now : int
            The clock [ms UTC].
        reason : str
            Why, in at most 40 characters; stored with every new revision.

        Raises
        ------
        KeyError
            If there is no such site.
        StoreError
            If the record cannot take it; nothing has changed then.
        """
        self._at_once(_Job(self._restating(site, (start, end)), site, (start, end), reason), now)

    def mark(
        self,
        site: str,
        station: str,
        parameter: str | None,
        span: tuple[int, int],
        kind: str,
        reason: str,
        author: str,
        now: int,
    ) -> None:
        """Store a mark and restate what it touches.

        Parameters
        ----------
        site, station : str
            Where it holds.
        parameter : str or None
            For which parameter; None for all of the station.
        span : tuple of int
            From when to when [ms UTC, half-open].
        kind : str
            ``maintenance``, ``calibration``, ``stop``, ``fault`` and ``weather`` take readings out of the figures;
            ``blasting`` explains.
        reason, author : str
            Why, and who says so.
        now : int
            The clock [ms UTC].

        Raises
        ------
        ValueError
            If there is no such station, the kind is none of these, the parameter is not measured there, or the span is empty.
        StoreError
            If the record cannot take it; nothing has changed then.
        """
        if fault := self._fault(site, station, parameter, span, kind):
            raise ValueError(fault)
        row = {
            "site": site, "station": station, "parameter": parameter, "start": span[0], "end": span[1], "kind": kind,
            "reason": reason, "author": author,
        }  # fmt: skip
        self._at_once(self._marking(row), now)

    def _fault(self, site: str, station: str, parameter: str | None, span: tuple[int, int], kind: str) -> str:
        """Why a mark cannot be made; empty if it can."""
        if all(s.id != station for known in self.registry.sites if known.id == site for s in known.stations):
            return f"there is no station {site}/{station}"
        measured = [c.parameter.id for c in self.registry.site_channels(site) if c.station == station]
        if kind not in KINDS:
            return f"mark of the kind {kind!r}: must be one of {', '.join(sorted(KINDS))}"
        if parameter is not None and parameter not in measured:
            return f"mark for {parameter!r}: {site}/{station} measures {', '.join(measured)}"
        if kind in EXCLUDING and not excluded_channels(
            self.registry, Mark(site, station, parameter, span[0] // MINUTE, span[1] // MINUTE, kind)
        ):
            return f"mark of the kind {kind!r}: takes nothing out of {', '.join(measured) if parameter is None else parameter}"
        if span[0] >= span[1]:
            return f"mark from {span[0]} to {span[1]}: must end after its beginning"
        return ""

    def carry_on(self, now: int) -> bool:
        """Go one short step on with what is to be restated: for marks that were asked for, and for what the registry changed.

        A mark that nobody confirmed and that would take an exceedance away becomes a claim: nothing changes until a supervisor
        confirms it (生态环境监测条例, decree 820, article 25). One that takes readings out is looked at when its period is over.

        Between two steps anything may be committed. A request for a mark is answered in the transaction that stores the mark
        and the figures of its first days, so that a crash leaves it either waiting or done; it is refused with the reason if it
        cannot be met. What is left of a long span is queued in the same transaction.

        Parameters
        ----------
        now : int
            The clock [ms UTC].

        Returns
        -------
        bool
            Whether there may be more to do.

        Raises
        ------
        StoreError
            If the record cannot be read or written; what was underway begins again, after others.
        """
        self._settle()
        if self._unstored is not None:
            self._store(now)
        if self._job is None:
            return self._take_up(now)
        job = self._job
        try:
            found = job.restating.step()
            if found is not None:
                self._finish(job, found, now)
                self._job = None
        except BaseException:
            self._job = None
            raise
        return True

    def _take_up(self, now: int) -> bool:
        """Begin the mark that has been asked for longest, or else a restatement that is queued."""
        table, queue = schema.mark_request, schema.restatement
        # What is still to come cannot be told yet.
        ready = sa.or_(table.c.end <= now, table.c.decided_by.is_not(None), table.c.kind.not_in(sorted(EXCLUDING)))
        waiting = self.record.rows(
            sa.select(table).where(table.c.state == "waiting", ready).order_by(table.c.id).limit(1)
        )
        for row in waiting:
            if fault := self._fault(
                row["site"], row["station"], row["parameter"], (row["start"], row["end"]), row["kind"]
            ):
                refused = {"state": "refused", "answer": fault, "answered": now}
                with self.record.transaction() as connection:
                    refused["serial"] = self.record.serial(connection)
                    connection.execute(sa.update(table).where(table.c.id == row["id"]).values(**refused))
                return True
            names = "site", "station", "parameter", "start", "end", "kind", "reason", "author"
            mark = {name: row[name] for name in names} | {"confirmed_by": row["decided_by"]}
            # Whether it takes an exceedance away is told of its whole span.
            whole = row["decided_by"] is None and row["kind"] in EXCLUDING
            most = None if whole else self._at_most(row["site"])
            self._job = self._marking(mark, row["id"], most)
            return True
        queued = sa.select(queue).where(queue.c.site.in_(self._zone)).order_by(queue.c.id <= self._tried, queue.c.id)
        for row in self.record.rows(queued.limit(1)):
            self._tried = row["id"]
            since = self._first_hours(row["site"])
            start = max(row["start"], int(since[since >= 0].min(initial=row["end"] // MINUTE)) * MINUTE)
            span = start, min(row["end"], start + self._at_most(row["site"]))
            restating = self._restating(row["site"], span, confirmed=row["reason"] == REVIEW)
            self._job = _Job(restating, row["site"], (start, row["end"]), row["reason"], span[1], queued=row["id"])
            return True
        return False

    def _at_most(self, site: str) -> int:
        """So much of a span is restated in one transaction [ms]: whole days."""
        share = _AT_ONCE_CHANNELS / max(_AT_ONCE_CHANNELS, len(self.registry.site_channels(site)))
        return max(DAY, int(_AT_ONCE // MINUTE * share) // DAY * DAY) * MINUTE

    def _marking(self, mark: dict[str, Any], request: int | None = None, most: int | None = None) -> _Job:
        """The work that a mark makes, at most for ``most`` [ms] of its span at first."""
        start, end = mark["start"], mark["end"]
        until = end if most is None else min(end, start + most)
        restating = self._restating(mark["site"], (start, until), stored_mark(mark))
        return _Job(restating, mark["site"], (start, end), f"mark: {mark['kind']}", until, mark, request)

    def _restating(self, site: str, span: tuple[int, int], *more: Mark, confirmed: bool = False) -> Restating:
        """The work of a span with all marks and some more; ``confirmed``: with those alone that a supervisor confirmed."""
        c = schema.mark.c
        mine = sa.and_(c.site == site, c.confirmed_by.is_not(None)) if confirmed else c.site == site
        marks = [stored_mark(row) for row in self.record.rows(sa.select(schema.mark).where(mine))]
        return Restating(
            self.engine,
            self.record.readings_of,
            site,
            (span[0] // MINUTE, -(-span[1] // MINUTE)),
            [*marks, *more],
            self._first_hours(site),
            lambda since: self._episodes_since(site, _instant(since)),
        )

    def _first_hours(self, site: str) -> NDArray[np.int64]:
        """First hour issued of each channel of a site, or of its first reading, which may have come later [min]; -1: none was."""
        table, block = schema.statistic.c, schema.reading_block.c
        channels = np.array([c.index for c in self.registry.site_channels(site)], np.intp)
        issued = sa.select(sa.func.min(table.start)).where(
            table.window == "hour", table.channel == sa.bindparam("number")
        )
        stored = sa.select(sa.func.min(block.hour)).where(block.channel == sa.bindparam("number"))
        found = []
        with self.record.transaction() as connection:
            for number in self.record.channel_ids[channels].tolist():
                start = connection.scalar(issued, {"number": number})
                hour = None if start is None else connection.scalar(stored, {"number": number})
                found.append((-1 if start is None else start // MINUTE, _LAST if hour is None else hour * 60))
        first, minute = np.array(found, np.int64).reshape(-1, 2).T
        return np.where(first < 0, -1, np.minimum(first, self.engine.hour_of(channels, minute)))

    def _at_once(self, job: _Job, now: int) -> None:
        self._settle()
        if self._unstored is not None:
            self._store(now)
        while (found := job.restating.step()) is None:
            pass
        self._finish(job, found, now)

    def _dequeue(self, connection: sa.Connection, job: _Job) -> None:
        """Take what was done from the queue, and leave the rest of a long span in it."""
        queue = schema.restatement
        connection.execute(sa.delete(queue).where(queue.c.id == job.queued))
        if job.until is not None and job.until < job.span[1]:
            rest = {"site": job.site, "start": job.until, "end": job.span[1], "reason": job.reason}
            connection.execute(sa.insert(queue).values(rest))

    def _finish(self, job: _Job, found: Restatement, now: int) -> None:
        if job.request is not None and job.mark is not None and job.mark["confirmed_by"] is None:
            removes = self._claims.removed(found.verdicts)
            removes += self._withdrawn(found, {window["rule"] for window in removes})
            if removes:
                asked = schema.mark_request.c.id == job.request
                claimed = {"state": "claimed", "removes": json.dumps(removes), "answered": now}
                with self.record.transaction() as connection:
                    claimed["serial"] = self.record.serial(connection)
                    connection.execute(sa.update(schema.mark_request).where(asked).values(**claimed))
                return
        if job.reason == REVIEW:
            self._review(job, found, now)
            return
        made = None
        with self.record.transaction() as connection:
            if job.mark is not None:
                made = connection.execute(sa.insert(schema.mark), job.mark | {"made": now}).inserted_primary_key
                assert made is not None
                done = {"state": "done", "mark": made[0], "answered": now, "serial": self.record.serial(connection)}
                asked = schema.mark_request.c.id == job.request
                connection.execute(sa.update(schema.mark_request).where(asked).values(**done))
            self._dequeue(connection, job)
            issue = _Issue(now, job.reason, self.record.serial(connection))
            self._store_statistics(connection, found.statistics, issue)
            self._store_verdicts(connection, found.verdicts, issue)
            self._store_sliding(connection, found.sliding, issue)
            self._store_exceedances(connection, found.exceedances, issue)
            self._store_current(connection, found, {job.site}, issue.serial)
            if job.mark is None:
                self._look_again(connection, found.verdicts)
            told = CurrentRow(job.site, "restated", job.site, issue.serial)
            self.record.upsert(connection, schema.current, [told], newer="time")
        self._restated[job.site] = issue.serial
        with self._whole({job.site}):
            if job.mark is not None and made is not None:
                self.engine.exclusion.add(stored_mark(job.mark))
                self._claims.add(job.mark | {"id": made[0], "confirmed_by": job.mark.get("confirmed_by")})
            alarms, rules = self.engine.alarms, {r.index for r in self.registry.site_rules(job.site)}
            alarms.forget(np.array([c.index for c in self.registry.site_channels(job.site)], np.intp))
            alarms.restore(self._recent_episodes(job.site), self._next_id(), rules)

    def _look_again(self, connection: sa.Connection, verdicts: Iterable[Judged]) -> None:
        """Queue a review of the marks that may take away what verdicts do not say."""
        for site, span in self._claims.spans(verdicts):
            self._queue(connection, site, span, REVIEW)

    def _review(self, job: _Job, found: Restatement, now: int) -> None:
        """Make claims of the marks that take something away by now; ``found`` is what holds without those that nobody confirmed."""
        hidden = self._claims.hidden(found.verdicts)
        with self.record.transaction() as connection:
            self._dequeue(connection, job)
            withheld = self._claims.withhold(connection, hidden, now)
            if withheld:
                first, last = min(m.start for m in withheld), max(m.end for m in withheld)
                self._queue(connection, job.site, (first * MINUTE, last * MINUTE), "mark: claim")
        with self._whole({job.site}):
            self._claims.forget(hidden)
            for mark in withheld:
                self.engine.exclusion.remove(mark)

    def _withdrawn(self, found: Restatement, told: Collection[str]) -> list[dict[str, Any]]:
        """Exceedances that leave, but of the rules of which is told already."""
        gone = [(self.registry.rules[e.rule].key, e) for e in found.exceedances if e.withdrawn]
        return [
            {"rule": key, "start": _instant(e.start), "end": None if e.end is None else _instant(e.end), "value": e.peak,
             "after": None, "judgement": ""}
            for key, e in gone if key not in told
        ]  # fmt: skip

    def _clocks(self, batch: Batch, outcome: Outcome) -> None:
        """Compare the devices' clocks with ours; a stamp from the future was rejected, and tells of the clock too."""
        newest = np.full(batch.messages, -1, np.int64)
        if len(batch.message):
            np.maximum.at(newest, batch.message, batch.readings.time)
        for rejection in batch.rejections:
            newest[rejection.message] = max(newest[rejection.message], rejection.newest)
        told = np.flatnonzero((newest >= 0) & (batch.message_device >= 0))
        told = told[np.argsort(newest[told], kind="stable")]
        newest_of_device = dict(zip(batch.message_device[told].tolist(), told.tolist(), strict=True))
        for device, message in newest_of_device.items():
            changes = self.engine.health.message(
                batch.devices[device], int(batch.message_received[message]), int(newest[message])
            )
            outcome.health.extend(changes)

    def _store_readings(
        self,
        connection: sa.Connection,
        batch: Batch,
        outcome: Outcome,
        news: Mapping[tuple[str, str], SequenceNews],
        issue: _Issue,
    ) -> None:
        readings, parts = batch.readings, outcome.parts
        received = int(batch.message_received.max()) if batch.messages else 0
        fresh = readings.take(parts.fresh)
        numbers = batch.message_seq[batch.message[parts.fresh]]
        self.record.insert_readings(connection, fresh, outcome.quality, received, numbers, _sender(batch))
        self._store_newest(connection, fresh, outcome.quality)
        for table, index in ((schema.conflict, parts.conflicting), (schema.late, parts.late)):
            some = readings.take(self._room.rows(readings.channel, index, received))
            rows = [
                AsideRow(channel=n, time=t, value=None if v != v else v, flag=chr(f), received=received)  # noqa: PLR0124 - NaN becomes NULL
                for n, t, v, f in zip(
                    self.record.channel_ids[some.channel].tolist(),
                    some.time.tolist(),
                    some.value.tolist(),
                    some.flag.tolist(),
                    strict=True,
                )
            ]
            self.record.upsert(connection, table, rows, keep=True)
        signed = [SignedRow(**{name: getattr(one, name) for name in SignedRow._fields}) for one in batch.signed]
        self.record.upsert(connection, schema.signed, signed, keep=True)
        clock = any(r.reason == retry.CLOCK for r in batch.rejections)
        before = retry.highest(connection) if clock else 0
        self.record.insert(
            connection,
            schema.rejection,
            [
                RejectionRow(
                    received=r.received,
                    site=r.site,
                    device=r.device,
                    topic=r.topic,
                    reason=r.reason,
                    detail=r.detail,
                    readings=r.readings,
                    size=r.size,
                    payload=kept,
                )
                for r in batch.rejections
                if (kept := self._room.payload(r.site, r.device, r.payload, received)) is not None
            ],
        )
        if clock:
            retry.hold(connection, before, issue.now)
        for device in self._room.overflowed(batch):
            outcome.health.extend(self.engine.health.flood(device, received))
        self._store_ledger(connection, entries(batch, outcome, self._offset(received)), news, issue)

    def _offset(self, now: int) -> Any:
        zones = self._zone
        return lambda site: offset_minutes(zones.get(site, "UTC"), now // MINUTE) * MINUTE

    def _store_ledger(
        self,
        connection: sa.Connection,
        counted: Sequence[LedgerEntry],
        news: Mapping[tuple[str, str], SequenceNews],
        issue: _Issue,
    ) -> None:
        newest = {(entry.site, entry.device): entry for entry in counted}  # the later of two days, around midnight
        for key, told in news.items():
            newest[key].sequence_last, newest[key].sequence_missing = told.last, told.missing
        counts = [LedgerRow(**asdict(entry), serial=issue.serial) for entry in counted]
        numbered = [row for row in counts if row.sequence_last >= 0]
        self.record.upsert(connection, schema.ledger, numbered, add=_COUNTS)
        # A batch without sequence numbers leaves the highest as it is: -1 is never above it.
        without = [row for row in counts if row.sequence_last < 0]
        self.record.upsert(connection, schema.ledger, without, add=_COUNTS, leave={"sequence_last"})
        table = schema.sequence_gap
        for (site, device), told in news.items():
            if told.gaps is not None:
                connection.execute(sa.delete(table).where(table.c.site == site, table.c.device == device))
                gaps = [SequenceGapRow(site=site, device=device, first=first, last=last) for first, last in told.gaps]
                self.record.insert(connection, table, gaps)

    def _store_newest(self, connection: sa.Connection, fresh: Readings, quality: NDArray[np.uint8]) -> None:
        """Note the newest reading of each channel, and the newest valid one; readings are sorted by channel and time."""
        good = counted(fresh.flag, quality) & np.isfinite(fresh.value)
        for kind, chosen in (("reading", np.arange(len(fresh))), ("valid", np.flatnonzero(good))):
            last = chosen[np.append(np.diff(fresh.channel[chosen]) != 0, True)] if len(chosen) else chosen
            rows = np.empty(len(last), ROW)
            rows["time"], rows["value"] = fresh.time[last], fresh.value[last]
            rows["flag"], rows["quality"] = fresh.flag[last], quality[last]
            channels = [self.registry.channels[index] for index in fresh.channel[last].tolist()]
            newest = [
                CurrentRow(c.key, kind, c.site, time, row.tobytes())
                for c, time, row in zip(channels, rows["time"].tolist(), rows, strict=True)
            ]
            self.record.upsert(connection, schema.current, newest, newer="time")

    def _store_current(
        self, connection: sa.Connection, found: Outcome | Restatement, sites: set[str], serial: int
    ) -> None:
        """Note the last verdict of each rule, and which sites have changed."""
        rules, channels = self.registry.rules, self.registry.channels
        last: dict[int, int] = {}
        for v in found.verdicts:
            last[v.rule] = max(v.start, last.get(v.rule, v.start))
        rows = [CurrentRow(rules[r].key, "verdict", rules[r].site, start * MINUTE) for r, start in last.items()]
        touched = sites | {rules[x.rule].site for some in (found.verdicts, found.exceedances) for x in some}
        touched |= {channels[s.channel].site for s in found.statistics}
        if isinstance(found, Outcome):
            since = {c.channel: c.since for c in found.health}
            told = [(channels[c], since) for c, since in since.items()]
            rows += [CurrentRow(channel.key, "health", channel.site, time) for channel, time in told]
            touched |= {channel.site for channel, _ in told}
        rows += [CurrentRow(site, "change", site, serial) for site in sorted(touched)]
        self.record.upsert(connection, schema.current, rows, newer="time")

    def _store_outcome(self, connection: sa.Connection, outcome: Outcome, issue: _Issue) -> None:
        self._store_statistics(connection, outcome.statistics, issue)
        self._store_verdicts(connection, outcome.verdicts, issue)
        self._store_sliding(connection, outcome.sliding, issue)
        self._store_exceedances(connection, outcome.exceedances, issue)
        self._store_health(connection, outcome.health, issue)

    def _store_statistics(self, connection: sa.Connection, found: Sequence[Statistic], issue: _Issue) -> None:
        last = {(s.channel, s.window, s.start): s for s in found}
        first = {(s.channel, s.window, s.start) for s in found if not s.restated}
        rows: list[StatisticRow] = []
        again: dict[str, list[StatisticRow]] = defaultdict(list)
        for key, s in last.items():
            row = self._statistic_row(s, issue)
            if key in first:
                rows.append(row)
            else:
                again[s.window].append(row)
        for window, some in again.items():
            rows += self._revised(connection, schema.statistic, "channel", some, {"window": window}, issue)
        self.record.insert(connection, schema.statistic, rows)

    @staticmethod
    def _revised(
        connection: sa.Connection,
        table: sa.Table,
        key: str,
        found: Sequence[Revised],
        of: Mapping[str, Any],
        issue: _Issue,
    ) -> list[Revised]:
        """Tell which of the rows say something new, with their revision and reason; the stored ones are the latest no longer.

        Rows are told apart by ``key`` and start, among the stored ones that have the values ``of``.
        """
        reason, but = ("reason", _STATISTIC_ISSUE) if table is schema.statistic else ("change", _VERDICT_ISSUE)
        told: dict[str, Any] = {reason: issue.reason}
        one, other = sorted((key, "start"), key=lambda name: len({getattr(row, name) for row in found}))
        groups: dict[Any, list[Revised]] = defaultdict(list)
        for row in found:
            groups[getattr(row, one)].append(row)
        new: list[Revised] = []
        for value, group in groups.items():
            where = [table.c[name] == fixed for name, fixed in {**of, one: value, "latest": True}.items()]
            gone: list[dict[str, Any]] = []
            for first in range(0, len(group), _IN):
                some = group[first : first + _IN]
                stored = sa.select(table).where(*where, table.c[other].in_([getattr(row, other) for row in some]))
                known = {row[other]: row for row in connection.execute(stored).mappings()}
                for row in some:
                    old = known.get(getattr(row, other))
                    if old is None:
                        new.append(row)
                    elif not _same(old, row, but=but):
                        gone.append({"other": getattr(row, other)})
                        new.append(row._replace(revision=old["revision"] + 1, **told))
            if gone:
                update = sa.update(table).where(*where, table.c[other] == sa.bindparam("other")).values(latest=False)
                connection.execute(update, gone)
        return new

    def _statistic_row(self, s: Statistic, issue: _Issue) -> StatisticRow:
        l10, l50, l90 = s.levels
        return StatisticRow(
            channel=int(self.record.channel_ids[s.channel]), window=s.window, start=s.start * MINUTE, revision=0,
            latest=True, end=s.end * MINUTE, mean=s.mean, minimum=s.minimum, maximum=s.maximum, count=s.count,
            expected=s.expected, capture=s.capture, valid=s.valid, hours=s.hours, excluded=s.excluded, over=s.over,
            suspect=s.suspect,
            l10=l10, l50=l50, l90=l90, reason="first", issued=issue.now, serial=issue.serial,
        )  # fmt: skip

    def _store_verdicts(self, connection: sa.Connection, found: Sequence[Judged], issue: _Issue) -> None:
        last = {(v.rule, v.start): v for v in found}
        first = {(v.rule, v.start) for v in found if not v.restated}
        rows: list[VerdictRow] = []
        again: list[VerdictRow] = []
        for key, v in last.items():
            row = self._verdict_row(v, issue)
            (rows if key in first else again).append(row)
        rows += self._revised(connection, schema.verdict, "rule", again, {}, issue)
        self.record.insert(connection, schema.verdict, rows)

    def _verdict_row(self, v: Judged, issue: _Issue) -> VerdictRow:
        detail = msgspec.json.encode(
            {"have": v.verdict.have, "need": v.verdict.need, "clause": v.threshold.clause}
        ).decode()
        return VerdictRow(
            rule=self.registry.rules[v.rule].key, start=v.start * MINUTE, revision=0, latest=True, end=v.end * MINUTE,
            begin=v.begin * MINUTE, finish=v.finish * MINUTE, verdict=v.verdict.judgement, value=v.value,
            judged=v.verdict.judged, low=v.threshold.low, high=v.threshold.high, capture=v.capture, reason=v.verdict.reason,
            reasons=" ".join(v.verdict.reasons), detail=detail, change="first", issued=issue.now, serial=issue.serial,
        )  # fmt: skip

    def _store_sliding(self, connection: sa.Connection, found: Sequence[SlidingHour], issue: _Issue) -> None:
        last = {(h.rule, h.hour): h for h in found}
        rows = [
            SlidingHourRow(
                rule=self.registry.rules[h.rule].key, hour=h.hour, assessable=h.assessable, above=h.above,
                worst=None if h.worst != h.worst else h.worst, serial=issue.serial,
            )
            for h in last.values()
        ]  # fmt: skip
        self.record.upsert(connection, schema.sliding_hour, rows)

    def _store_exceedances(self, connection: sa.Connection, found: Sequence[Exceedance], issue: _Issue) -> None:
        last = {e.id: e for e in found}
        if last:  # strictly growing from commit to commit: it is the cursor of those who follow
            self._changed = max(issue.now, self._changed + 1)
        table, old = schema.exceedance, schema.exceedance_revision
        kept = [c.name for c in old.columns]
        for e in last.values():
            if e.revision:
                connection.execute(
                    sa.insert(old).from_select(
                        kept,
                        sa.select(*(table.c[c] for c in kept)).where(table.c.id == e.id, table.c.revision < e.revision),
                    )
                )
        rows = [
            EpisodeRow(
                id=e.id, rule=self.registry.rules[e.rule].key, site=self.registry.rules[e.rule].site, start=_instant(e.start),
                end=None if e.end is None else _instant(e.end),
                state="withdrawn" if e.withdrawn else "open" if e.end is None else "closed",
                peak=e.peak, peak_time=_instant(e.peak_minute), threshold=e.threshold, minutes=e.minutes, revision=e.revision,
                changed=self._changed, serial=issue.serial,
            )
            for e in last.values()
        ]  # fmt: skip
        self.record.upsert(connection, table, rows)

    def _store_health(self, connection: sa.Connection, found: Sequence[Change], issue: _Issue) -> None:
        last = {(c.channel, c.since): c for c in found}
        rows = [
            HealthRow(
                channel=int(self.record.channel_ids[c.channel]), state=c.state, since=c.since, detail=c.detail,
                serial=issue.serial,
            )
            for c in last.values()
        ]  # fmt: skip
        self.record.upsert(connection, schema.health, rows)


def _instant(minute: int) -> int:
    """Instant [ms] at which the window of a sliding statistic's minute ends."""
    return (minute + 1) * MINUTE


def _minute(instant: int) -> int:
    return instant // MINUTE - 1


def _sender(batch: Batch) -> str | None:
    """The file that somebody handed in, if the batch is of one."""
    return next((device for _, device in batch.devices if device.startswith(UPLOADED)), None)


def _sites_of(batch: Batch) -> set[str]:
    """Sites of which a batch holds a message."""
    return {batch.devices[device][0] for device in np.unique(batch.message_device).tolist() if device >= 0}


def _same_batch(a: Batch, b: Batch) -> bool:
    """Whether two batches say the same of the same messages."""
    arrays = [(getattr(a.readings, n), getattr(b.readings, n)) for n in ("channel", "time", "value", "flag")]
    arrays += [(getattr(a, n), getattr(b, n)) for n in ("message", "message_device", "message_seq", "message_received")]
    known = a.devices == b.devices and a.rejections == b.rejections
    return known and all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in arrays)


def _same(old: sa.RowMapping, new: StatisticRow | VerdictRow, *, but: frozenset[str]) -> bool:
    return all(_equal(old[name], getattr(new, name)) for name in new._fields if name not in but)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= _SAME * max(abs(a), abs(b), 1e-300)
    return bool(a == b)
