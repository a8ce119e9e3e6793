"""A batch becomes one transaction of the record: readings, ledger, statistics, verdicts, exceedances."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.errors import StoreError
from greenmine.processing.engine import DAY, Engine, Outcome
from greenmine.processing.exclusion import Mark
from greenmine.processing.flags import counted
from greenmine.processing.identity import Sorted
from greenmine.processing.ledger import SequenceNews, Sequences
from greenmine.processing.neighbours import shared
from greenmine.processing.panes import MINUTE
from greenmine.record import schema
from greenmine.record.basis import Basis, bases_of, take_over
from greenmine.record.checkpoint import Checkpoint
from greenmine.record.claims import Claims, stored_mark
from greenmine.record.episodes import Episodes
from greenmine.record.record import Record, among
from greenmine.record.refused import RefusedRoom
from greenmine.record.restatements import CHANGED, Restatements
from greenmine.record.results import Issue, Results, sender_of
from greenmine.record.rows import MetaRow
from greenmine.registry import Registry

Beside = Callable[[sa.Connection, int], None]
"""Stores more in the transaction of a batch, whose number it gets."""


@dataclass(frozen=True, slots=True)
class _Unstored:
    """What the engine has taken in and the record has not; without a batch, what the clock led to."""

    batch: Batch | None
    outcome: Outcome
    news: Mapping[tuple[str, str], SequenceNews]


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
    owner : str
        Where several processes use that file: who has the sites now.
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
        owner: str = "",
        room: RefusedRoom | None = None,
    ) -> None:
        self.registry = registry
        self.record = record
        self._options = {"lateness": lateness, "grace": grace, "silent_minutes": silent_minutes}
        self._patience = silent_minutes * MINUTE
        self._heard = {site.id: now for site in registry.sites}
        place = {site.id: number for number, site in enumerate(registry.sites)}
        self._site = np.array([place[c.site] for c in registry.channels], np.int64)
        self._zone = {site.id: site.zone for site in registry.sites}
        self._room = RefusedRoom(registry) if room is None else room
        self._room.restore(record, now)
        self._unstored: _Unstored | None = None
        self._unbuilt = set(self._zone)
        """Sites of which there is nothing in the engine yet."""
        self._stale: set[str] = set()
        """Sites whose state has to be built again."""
        self._sequences = Sequences()
        self._engine = Engine(registry, record.stored, self.samples, marks=self._marks(), begun=False, **self._options)
        self._episodes = Episodes(registry, record)
        self._results = Results(registry, record, self._episodes, self._room)
        self._claims = Claims(registry, record)
        self._restatements = Restatements(
            self._engine, record, self._results, self._episodes, self._claims, self._whole
        )
        bases = bases_of(registry)
        self._checkpoint = (
            None if checkpoint is None else Checkpoint(checkpoint, self._identity(), self._engine, bases, owner)
        )
        self._keep_after = checkpoint_seconds * 1000
        sites = list(enumerate(registry.sites))
        self._kept = {site.id: now - i * self._keep_after // len(sites) for i, site in sites}
        if self._checkpoint is not None:
            self._checkpoint.begin(self._position())
        self._take_over(bases, now)

    @property
    def engine(self) -> Engine:
        """The engine, with the state of all sites."""
        self._settle(self._zone)
        return self._engine

    @property
    def sequences(self) -> Sequences:
        """The sequence numbers of the devices of all sites."""
        self._settle(self._zone)
        return self._sequences

    def _identity(self) -> str:
        """A name of the record that no other one has."""
        table = schema.meta
        named = sa.select(table.c.value).where(table.c.key == "identity")
        with self.record.transaction() as connection:
            found: str | None = connection.scalar(named)
        if found is None:
            with self.record.transaction() as connection:
                self.record.upsert(connection, table, [MetaRow(key="identity", value=uuid4().hex)], keep=True)
            with self.record.transaction() as connection:
                found = connection.execute(named).scalar_one()
        return found

    def _positions(self, sites: Collection[str]) -> dict[str, int]:
        """Those of some sites that the checkpoint has brought into the engine, each with the block up to which it has."""
        if self._checkpoint is None:
            return {}
        found = self._checkpoint.read(sites, self._restatements.newest)
        divided = self.record.divided(
            {c.index: at for site, at in found.items() for c in self.registry.site_channels(site)}
        )
        for site in {self.registry.channels[index].site for index in divided}:
            self._engine.forget(self._channels_of([site]))
            del found[site]
        return found

    def _position(self) -> int:
        """Number of the newest block."""
        return self.record.highest(schema.reading_block.c.id)

    def keep(self, now: int, *, everything: bool = False) -> None:
        """Write the checkpoint of the sites whose turn it is, or of all of them; everything that was committed is in it then.

        Parameters
        ----------
        now : int
            The clock [ms UTC].
        everything : bool
            Of all sites, as at the end.
        """
        if self._checkpoint is None or self._unstored is not None:
            return
        apart = self._unbuilt | self._stale
        due = [
            site
            for site, kept in self._kept.items()
            if site not in apart and (everything or now - kept >= self._keep_after)
        ]
        position = self._position() if due else 0
        for site in due if everything else due[: 1 + len(self._kept) // 50]:
            self._checkpoint.write(site, position, self._restatements.newest.get(site, 0))
            self._kept[site] = now
        if everything:
            self._checkpoint.close()

    def _fill(self, sites: Collection[str], positions: Mapping[str, int] = MappingProxyType({})) -> None:
        """Build the state of sites from the record.

        Of those in ``positions`` the engine holds what was committed up to a block; of the others there is nothing in it yet.
        """
        engine, record = self._engine, self.record
        channels = self._channels_of(sites)
        for number in channels.tolist():
            if self.registry.channels[number].site not in positions:
                readings, quality = record.recent(number, engine.panes.minutes)
                if len(readings):
                    engine.fill(readings, quality)
        for readings, quality in record.since(
            {number: positions[site] for site in positions for number in self._channels_of([site]).tolist()}
        ):
            # What was handed in about the past may be older than the rings.
            minute, heads = readings.time // MINUTE, engine.panes.head.copy()
            np.maximum.at(heads, readings.channel, minute)
            within = minute > heads[readings.channel] - engine.panes.minutes
            engine.fill(readings.take(within), quality[within])
        issued = engine.issued.copy()
        issued[channels] = self._issued(channels)[channels]
        known = [e for site in sites for e in self._episodes.recent(site, self._newest(site))]
        engine.resume(
            issued, known, self._episodes.next_id(), {r.index for s in sites for r in self.registry.site_rules(s)}
        )
        health, newest, numbers = schema.health.c, schema.current, schema.channel.c
        keys = {self.registry.channels[number].key: number for number in channels.tolist()}
        told = sa.select(numbers.key, health.state, health.since).join_from(
            newest, schema.channel, sa.and_(newest.c.key == numbers.key, newest.c.kind == "health")
        )
        of = sa.and_(health.channel == numbers.id, health.since == newest.c.time)
        for row in record.rows(told.join(schema.health, of).where(among(newest.c.site, sites))):
            if row["key"] in keys:
                engine.health.restore(keys[row["key"]], row["state"], row["since"])
        gaps: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for row in record.rows(sa.select(schema.sequence_gap).where(among(schema.sequence_gap.c.site, sites))):
            gaps[row["site"], row["device"]].append((row["first"], row["last"]))
        for site in (s for s in self.registry.sites if s.id in sites and s.devices):
            served = {device.id for device in site.devices}
            for row in record.rows(_LAST_SEQUENCES, {"site": site.id}):
                if row["last"] is not None and row["device"] in served:
                    device = site.id, row["device"]
                    self._sequences.restore(device, row["last"], gaps.get(device, ()))

    def _channels_of(self, sites: Iterable[str]) -> NDArray[np.intp]:
        """Indices of the channels of sites, ascending."""
        return np.sort(np.array([c.index for site in sites for c in self.registry.site_channels(site)], np.intp))

    def _marks(self) -> list[Mark]:
        return [stored_mark(row) for row in self.record.rows(sa.select(schema.mark))]

    def _issued(self, channels: NDArray[np.intp], connection: sa.Connection | None = None) -> NDArray[np.int64]:
        """End of the last hour issued of channels [min]; -1 if none was, and of others."""
        c = schema.statistic.c
        hours = c.window == "hour"
        found = self.record.extremes(sa.func.max(c.start), c.channel, channels, hours, connection=connection)
        return np.where(found < 0, -1, found // MINUTE + 60)

    def _take_over(self, bases: Mapping[str, Basis], now: int) -> None:
        """Queue for restatement what limits, calibrations and instruments have changed since the record was last written."""
        with self.record.transaction() as connection:
            serial = self.record.serial(connection)
            changed = take_over(connection, bases, now, serial)
            self._episodes.end_without_limit(connection, now, serial)
            issued = self._issued(self._channels_of(changed), connection)
            for site, since in changed.items():
                last = issued[self._channels_of([site])].max(initial=-1)
                if last >= 0:
                    row = {"site": site, "start": since, "end": int(last) * MINUTE, "reason": CHANGED}
                    connection.execute(sa.insert(schema.restatement).values(row))

    def samples(self, channel: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Valid readings of a channel [ms UTC, half-open], those of the batch in work included: times, calibrated values."""
        rows = self.record.readings(channel, start, end)
        valid = counted(rows["flag"], rows["quality"])
        rows = rows[valid]
        columns = np.full(len(rows), channel, np.intp)
        return rows["time"], self._engine.calibrated(columns, rows["time"], rows["value"])

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
        batch = shared(self.registry, batch)
        if self._unstored is not None and not (self._unstored.batch and _same_batch(self._unstored.batch, batch)):
            self._store(now)
        if self._unstored is None:
            sites = _sites_of(batch)
            self._settle(sites | {rejection.site for rejection in batch.rejections})
            with self._whole(sites):
                outcome = self._engine.ingest(batch.readings, past=sender_of(batch) is not None)
                self._clocks(batch, outcome)
                self._restatements.take(sites, batch.readings.take(outcome.parts.fresh), outcome.quality)
                self._unstored = _Unstored(batch, outcome, self._sequences.take(batch))
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
        self._ready(now)
        heads = self._engine.panes.head
        live = np.array([int(heads[self._site == i].max(initial=-1)) for i in range(len(self.registry.sites))])
        quiet = np.array([now - heard > self._patience for heard in self._heard.values()])
        current = live * MINUTE > now - self._patience
        with self._whole(self._zone):
            outcome = self._engine.wait(now, (quiet | current)[self._site])
            self._unstored = _Unstored(None, outcome, {})
        self._store(now)
        return outcome

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
        self._ready(now)
        self._restatements.restate(site, start, end, now, reason)

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
        self._ready(now)
        self._restatements.mark(site, station, parameter, span, kind, reason, author, now)

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
        if self._unbuilt:
            self._settle([min(self._unbuilt)])
            return True
        self._ready(now)
        return self._restatements.step(now)

    def _ready(self, now: int) -> None:
        """Bring engine and record to the same state."""
        if self._unstored is not None:
            self._store(now)
        self._settle(self._zone)

    def _settle(self, sites: Collection[str]) -> None:
        """Build the state of those of some sites of which it was not built yet, or was left half done."""
        again, new = self._stale.intersection(sites), self._unbuilt.intersection(sites)
        if again:
            self._engine.forget(self._channels_of(again))
            self._fill(again)
            self._stale -= again
        if new:
            try:
                self._engine.panes.begin(self._channels_of(new))
                self._fill(new, self._positions(new))
            except BaseException:
                self._engine.forget(self._channels_of(new))
                raise
            self._unbuilt -= new

    @contextmanager
    def _whole(self, sites: Iterable[str]) -> Iterator[None]:
        """Whatever goes wrong in the block, the state of these sites is built again before anything else is done."""
        try:
            yield
        except BaseException:
            self._stale.update(sites)
            self._unstored = None
            self._restatements.abandon()
            raise

    def _store(self, now: int, beside: Beside | None = None) -> None:
        """Store what the engine has found; a `StoreError` leaves it to be stored later, for the engine has gone on already."""
        left = self._unstored
        assert left is not None
        try:
            with self.record.transaction() as connection:
                issue = Issue(now, "late data", self.record.serial(connection))
                if left.batch is not None:
                    self._results.store_readings(connection, left.batch, left.outcome, left.news, issue)
                    self._floods(left.batch, left.outcome)
                self._results.store_outcome(connection, left.outcome, issue)
                for site, (start, end) in left.outcome.apart.items():
                    self._restatements.queue(connection, site, (start * MINUTE, end * MINUTE), issue.reason)
                self._restatements.look_again(connection, left.outcome.verdicts)
                sites = set() if left.batch is None else _sites_of(left.batch)
                self._results.store_current(connection, left.outcome, sites, issue.serial)
                if beside is not None:
                    beside(connection, issue.serial)
        except StoreError:
            raise
        except BaseException:
            with self._whole(self._zone if left.batch is None else _sites_of(left.batch)):
                raise
        self._unstored = None

    def _newest(self, site: str) -> NDArray[np.int64]:
        """Newest minute of each channel of a site; -1 for none."""
        return self._engine.panes.newest[[c.index for c in self.registry.site_channels(site)]]

    def _floods(self, batch: Batch, outcome: Outcome) -> None:
        """Note the devices that send more than their budget."""
        received = int(batch.message_received.max()) if batch.messages else 0
        for device in self._room.overflowed(batch):
            outcome.health.extend(self._engine.health.flood(device, received))

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
            changes = self._engine.health.message(
                batch.devices[device], int(batch.message_received[message]), int(newest[message])
            )
            outcome.health.extend(changes)


def _sites_of(batch: Batch) -> set[str]:
    """Sites of which a batch holds a message."""
    return {batch.devices[device][0] for device in np.unique(batch.message_device).tolist() if device >= 0}


def _last_sequences(site: sa.ColumnElement[str]) -> sa.Select[Any]:
    """The devices of a site in the ledger, each found behind the one before it, with the last sequence number of each."""
    ledger = schema.ledger.c
    first = sa.select(sa.func.min(ledger.device).label("device")).where(ledger.site == site).cte(recursive=True)
    following = sa.select(sa.func.min(ledger.device)).where(ledger.site == site, ledger.device > first.c.device)
    served = first.union_all(sa.select(following.scalar_subquery()).where(first.c.device.is_not(None)))
    mine = ledger.site == site, ledger.device == served.c.device, ledger.sequence_last >= 0
    last = sa.select(ledger.sequence_last).where(*mine).order_by(ledger.day.desc()).limit(1).scalar_subquery()
    return sa.select(served.c.device, last.label("last"))


_LAST_SEQUENCES: Final = _last_sequences(sa.bindparam("site", type_=sa.String))


def _same_batch(a: Batch, b: Batch) -> bool:
    """Whether two batches say the same of the same messages."""
    arrays = [(getattr(a.readings, n), getattr(b.readings, n)) for n in ("channel", "time", "value", "flag")]
    arrays += [(getattr(a, n), getattr(b, n)) for n in ("message", "message_device", "message_seq", "message_received")]
    known = a.devices == b.devices and a.rejections == b.rejections
    return known and all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in arrays)
