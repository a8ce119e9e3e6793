"""What the core found, as rows of the record: readings and ledger of a batch, statistics, verdicts, sliding hours, health."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from greenmine.batch import Batch
from greenmine.limits import Window
from greenmine.processing.alarms import SlidingHour
from greenmine.processing.engine import Judged, Outcome, Statistic
from greenmine.processing.flags import counted
from greenmine.processing.health import Change
from greenmine.processing.ledger import LedgerEntry, SequenceNews, entries
from greenmine.processing.panes import MINUTE
from greenmine.processing.restatement import Restatement, judged_period
from greenmine.processing.windows import is_window, longest, offset_minutes
from greenmine.readings import Readings
from greenmine.record import retry, schema
from greenmine.record.episodes import Episodes
from greenmine.record.record import Record
from greenmine.record.refused import RefusedRoom
from greenmine.record.rows import (
    ROW,
    AsideRow,
    CurrentRow,
    HealthRow,
    LedgerRow,
    LedgerTotalRow,
    RejectionRow,
    SequenceGapRow,
    SignedRow,
    SlidingHourRow,
    StatisticRow,
    VerdictRow,
)
from greenmine.registry import Registry, Site

UPLOADED: Final = "upload/"
"""Begin of the name of a device that is a file that somebody handed in; no id of the registry has a stroke."""
_SAME: Final = 1e-12
"""Figures that differ by less, relatively, differ only by the order of summation."""
_IN: Final = 500
"""Keys asked for in one query."""
_STATISTIC_ISSUE: Final = frozenset(
    {"channel", "window", "start", "revision", "latest", "end", "reason", "issued", "serial"}
)
"""Columns of a statistic that say which it is and why it was issued; the others are its content."""
_VERDICT_ISSUE: Final = frozenset({"rule", "start", "revision", "latest", "end", "change", "issued", "serial"})
"""Likewise of a verdict."""
_COUNTS: Final = frozenset(LedgerRow._fields) - {"site", "device", "day", "sequence_last", "serial"}
"""Columns of the ledger that are added up."""
_counts_of: Final[Callable[[LedgerEntry], tuple[Any, ...]]] = attrgetter(*LedgerRow._fields[:-1])
_TOTALS: Final = frozenset(LedgerTotalRow._fields) - {"site"}
"""Likewise of its sums."""
_totals_of: Final[Callable[[LedgerEntry], tuple[int, ...]]] = attrgetter(*LedgerTotalRow._fields[1:])
Revised = TypeVar("Revised", StatisticRow, VerdictRow)


@dataclass(frozen=True, slots=True)
class Issue:
    """What a transaction notes with the figures it stores."""

    now: int
    """The clock [ms UTC]."""
    reason: str
    """Why a figure that was issued before is issued again."""
    serial: int
    """Number of the transaction."""


class Results:
    """Stores what the core found, in a transaction that the caller begins and ends.

    Parameters
    ----------
    registry : Registry
        What the indices of channels and rules refer to.
    record : Record
        Bound to the same registry.
    episodes : Episodes
        Stores exceedances.
    room : RefusedRoom
        Budgets of what is kept of readings that were not taken.
    """

    def __init__(self, registry: Registry, record: Record, episodes: Episodes, room: RefusedRoom) -> None:
        self._registry, self._record, self._episodes, self._room = registry, record, episodes, room
        self._zone = {site.id: site.zone for site in registry.sites}

    def store_readings(
        self,
        connection: sa.Connection,
        batch: Batch,
        outcome: Outcome,
        news: Mapping[tuple[str, str], SequenceNews],
        issue: Issue,
    ) -> None:
        """Store readings, rejections and ledger of a batch."""
        readings, parts = batch.readings, outcome.parts
        received = int(batch.message_received.max()) if batch.messages else 0
        fresh = readings.take(parts.fresh)
        numbers = batch.message_seq[batch.message[parts.fresh]]
        self._record.insert_readings(connection, fresh, outcome.quality, received, numbers, sender_of(batch))
        self._store_newest(connection, fresh, outcome.quality)
        for table, index in ((schema.conflict, parts.conflicting), (schema.late, parts.late)):
            some = readings.take(self._room.rows(readings.channel, index, received))
            rows = [
                AsideRow(channel=n, time=t, value=None if v != v else v, flag=chr(f), received=received)  # noqa: PLR0124 - NaN becomes NULL
                for n, t, v, f in zip(
                    self._record.channel_ids[some.channel].tolist(),
                    some.time.tolist(),
                    some.value.tolist(),
                    some.flag.tolist(),
                    strict=True,
                )
            ]
            self._record.upsert(connection, table, rows, keep=True)
        signed = [SignedRow(**{name: getattr(one, name) for name in SignedRow._fields}) for one in batch.signed]
        self._record.upsert(connection, schema.signed, signed, keep=True)
        clock = any(r.reason == retry.CLOCK for r in batch.rejections)
        before = retry.highest(connection) if clock else 0
        self._record.insert(
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
        self._store_ledger(connection, entries(batch, outcome, self._offset(received)), news, issue)

    def store_outcome(self, connection: sa.Connection, found: Outcome | Restatement, issue: Issue) -> None:
        """Store statistics, verdicts, sliding hours, exceedances and health."""
        self._store_statistics(connection, found.statistics, issue)
        self._store_verdicts(connection, found.verdicts, issue)
        self._store_sliding(connection, found.sliding, issue)
        self._episodes.store(connection, found.exceedances, issue.now, issue.serial)
        if isinstance(found, Outcome):
            self._store_health(connection, found.health, issue)

    def store_current(
        self, connection: sa.Connection, found: Outcome | Restatement, sites: set[str], serial: int
    ) -> None:
        """Note the last verdict of each rule, and of which sites anything, and figures, have changed."""
        rules, channels = self._registry.rules, self._registry.channels
        last: dict[int, int] = {}
        for v in found.verdicts:
            last[v.rule] = max(v.start, last.get(v.rule, v.start))
        rows = [CurrentRow(rules[r].key, "verdict", rules[r].site, start * MINUTE) for r, start in last.items()]
        figures = {rules[x.rule].site for some in (found.verdicts, found.exceedances) for x in some}
        figures |= {channels[s.channel].site for s in found.statistics}
        if isinstance(found, Outcome):
            since = {c.channel: c.since for c in found.health}
            told = [(channels[c], since) for c, since in since.items()]
            rows += [CurrentRow(channel.key, "health", channel.site, time) for channel, time in told]
            figures |= {channel.site for channel, _ in told}
        rows += [CurrentRow(site, "figures", site, serial) for site in sorted(figures)]
        rows += [CurrentRow(site, "change", site, serial) for site in sorted(sites | figures)]
        self._record.upsert(connection, schema.current, rows, newer="time")

    def _offset(self, now: int) -> Any:
        zones = self._zone
        return lambda site: offset_minutes(zones.get(site, "UTC"), now // MINUTE) * MINUTE

    def _store_ledger(
        self,
        connection: sa.Connection,
        counted: Sequence[LedgerEntry],
        news: Mapping[tuple[str, str], SequenceNews],
        issue: Issue,
    ) -> None:
        newest = {(entry.site, entry.device): entry for entry in counted}  # the later of two days, around midnight
        for key, told in news.items():
            newest[key].sequence_last, newest[key].sequence_missing = told.last, told.missing
        counts = [LedgerRow._make((*_counts_of(entry), issue.serial)) for entry in counted]
        numbered = [row for row in counts if row.sequence_last >= 0]
        self._record.upsert(connection, schema.ledger, numbered, add=_COUNTS)
        # A batch without sequence numbers leaves the highest as it is: -1 is never above it.
        without = [row for row in counts if row.sequence_last < 0]
        self._record.upsert(connection, schema.ledger, without, add=_COUNTS, leave={"sequence_last"})
        of_site: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        for entry in counted:
            of_site[entry.site].append(_totals_of(entry))
        totals = [LedgerTotalRow(site, *map(sum, zip(*some, strict=True))) for site, some in of_site.items()]
        self._record.upsert(connection, schema.ledger_total, totals, add=_TOTALS)
        table = schema.sequence_gap
        for (site, device), told in news.items():
            if told.gaps is not None:
                connection.execute(sa.delete(table).where(table.c.site == site, table.c.device == device))
                gaps = [SequenceGapRow(site=site, device=device, first=first, last=last) for first, last in told.gaps]
                self._record.insert(connection, table, gaps)

    def _store_newest(self, connection: sa.Connection, fresh: Readings, quality: NDArray[np.uint8]) -> None:
        """Note the newest reading of each channel, and the newest valid one; readings are sorted by channel and time."""
        good = counted(fresh.flag, quality) & np.isfinite(fresh.value)
        for kind, chosen in (("reading", np.arange(len(fresh))), ("valid", np.flatnonzero(good))):
            last = chosen[np.append(np.diff(fresh.channel[chosen]) != 0, True)] if len(chosen) else chosen
            rows = np.empty(len(last), ROW)
            rows["time"], rows["value"] = fresh.time[last], fresh.value[last]
            rows["flag"], rows["quality"] = fresh.flag[last], quality[last]
            channels = [self._registry.channels[index] for index in fresh.channel[last].tolist()]
            newest = [
                CurrentRow(c.key, kind, c.site, time, row.tobytes())
                for c, time, row in zip(channels, rows["time"].tolist(), rows, strict=True)
            ]
            self._record.upsert(connection, schema.current, newest, newer="time")

    def _store_statistics(self, connection: sa.Connection, found: Sequence[Statistic], issue: Issue) -> None:
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
        self._record.insert(connection, schema.statistic, rows)

    @staticmethod
    def _revised(
        connection: sa.Connection,
        table: sa.Table,
        key: str,
        found: Sequence[Revised],
        of: Mapping[str, Any],
        issue: Issue,
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
            where = [table.c[name] == fixed for name, fixed in {**of, one: value}.items()]
            gone: list[dict[str, Any]] = []
            for first in range(0, len(group), _IN):
                some = group[first : first + _IN]
                stored = sa.select(table).where(*where, table.c[other].in_([getattr(row, other) for row in some]))
                newest = stored.order_by(table.c.revision)
                known = {row[other]: row for row in connection.execute(newest).mappings()}
                for row in some:
                    old = known.get(getattr(row, other))
                    if old is None:
                        new.append(row)
                    elif not old["latest"] or not _same(old, row, but=but):
                        gone.append({"other": getattr(row, other)})
                        new.append(row._replace(revision=old["revision"] + 1, **told))
            if gone:
                update = sa.update(table).where(*where, table.c.latest, table.c[other] == sa.bindparam("other"))
                connection.execute(update.values(latest=False), gone)
        return new

    def retire(self, connection: sa.Connection, site: Site, span: tuple[int, int], serial: int) -> None:
        """Let no figure be the latest of a window that shares a minute with a span [ms UTC] and is none by zone and limits.

        Such were issued under another zone, other hours of the night or another period of a limit; they are kept as history.
        """
        conditions = self._registry.conditions
        channels = [c.index for c in self._registry.site_channels(site.id)]
        numbers = self._record.channel_ids[np.array(channels, np.intp)].tolist()
        kinds: tuple[Window, ...] = "hour", "day", "daytime", "nighttime"
        some: list[tuple[sa.Table, Window, dict[str, Any]]]
        some = [(schema.statistic, window, {"channel": n, "window": window}) for n in numbers for window in kinds]
        some += [(schema.verdict, judged_period(r), {"rule": r.key}) for r in self._registry.site_rules(site.id)]
        for table, window, of in some:
            c = table.c
            within = c.start > span[0] - longest(window) * MINUTE, c.start < span[1], c.end > span[0], c.latest
            where = [c[name] == value for name, value in of.items()]
            stored = connection.execute(sa.select(c.start, c.end).where(*where, *within))
            gone = [
                {"at": start}
                for start, end in stored
                if not is_window(window, start // MINUTE, end // MINUTE, site.zone, conditions)
            ]
            if gone:
                update = sa.update(table).where(*where, c.latest, c.start == sa.bindparam("at"))
                connection.execute(update.values(latest=False, serial=serial), gone)
            if gone and table is schema.verdict:
                last = sa.select(sa.func.max(c.start)).where(*where, c.latest).scalar_subquery()
                told = schema.current.c.key == of["rule"], schema.current.c.kind == "verdict"
                connection.execute(sa.update(schema.current).where(*told).values(time=sa.func.coalesce(last, 0)))

    def _statistic_row(self, s: Statistic, issue: Issue) -> StatisticRow:
        l10, l50, l90 = s.levels
        return StatisticRow(
            channel=int(self._record.channel_ids[s.channel]), window=s.window, start=s.start * MINUTE, revision=0,
            latest=True, end=s.end * MINUTE, mean=s.mean, minimum=s.minimum, maximum=s.maximum, count=s.count,
            expected=s.expected, capture=s.capture, valid=s.valid, hours=s.hours, excluded=s.excluded, over=s.over,
            suspect=s.suspect,
            l10=l10, l50=l50, l90=l90, reason="first", issued=issue.now, serial=issue.serial,
        )  # fmt: skip

    def _store_verdicts(self, connection: sa.Connection, found: Sequence[Judged], issue: Issue) -> None:
        last = {(v.rule, v.start): v for v in found}
        first = {(v.rule, v.start) for v in found if not v.restated}
        rows: list[VerdictRow] = []
        again: list[VerdictRow] = []
        for key, v in last.items():
            row = self._verdict_row(v, issue)
            (rows if key in first else again).append(row)
        rows += self._revised(connection, schema.verdict, "rule", again, {}, issue)
        self._record.insert(connection, schema.verdict, rows)

    def _verdict_row(self, v: Judged, issue: Issue) -> VerdictRow:
        detail = msgspec.json.encode(
            {"have": v.verdict.have, "need": v.verdict.need, "clause": v.threshold.clause}
        ).decode()
        return VerdictRow(
            rule=self._registry.rules[v.rule].key, start=v.start * MINUTE, revision=0, latest=True, end=v.end * MINUTE,
            begin=v.begin * MINUTE, finish=v.finish * MINUTE, verdict=v.verdict.judgement, value=v.value,
            judged=v.verdict.judged, low=v.threshold.low, high=v.threshold.high, capture=v.capture, reason=v.verdict.reason,
            reasons=" ".join(v.verdict.reasons), detail=detail, change="first", issued=issue.now, serial=issue.serial,
        )  # fmt: skip

    def _store_sliding(self, connection: sa.Connection, found: Sequence[SlidingHour], issue: Issue) -> None:
        last = {(h.rule, h.hour): h for h in found}
        rows = [
            SlidingHourRow(
                rule=self._registry.rules[h.rule].key, hour=h.hour, assessable=h.assessable, above=h.above,
                worst=None if h.worst != h.worst else h.worst, serial=issue.serial,
            )
            for h in last.values()
        ]  # fmt: skip
        self._record.upsert(connection, schema.sliding_hour, rows)

    def _store_health(self, connection: sa.Connection, found: Sequence[Change], issue: Issue) -> None:
        last = {(c.channel, c.since): c for c in found}
        rows = [
            HealthRow(
                channel=int(self._record.channel_ids[c.channel]), state=c.state, since=c.since, detail=c.detail,
                serial=issue.serial,
            )
            for c in last.values()
        ]  # fmt: skip
        self._record.upsert(connection, schema.health, rows)


def sender_of(batch: Batch) -> str | None:
    """The file that somebody handed in, if the batch is of one."""
    return next((device for _, device in batch.devices if device.startswith(UPLOADED)), None)


def _same(old: sa.RowMapping, new: StatisticRow | VerdictRow, *, but: frozenset[str]) -> bool:
    return all(_equal(old[name], getattr(new, name)) for name in new._fields if name not in but)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b) <= _SAME * max(abs(a), abs(b), 1e-300)
    return bool(a == b)
