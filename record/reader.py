"""Reading the record: every query takes the scope, the sites that its caller may see."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NewType
from zlib import crc32

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, Select, Text, and_, case, cast, func, or_, select, tuple_

from greenmine.processing.flags import counted
from greenmine.processing.verdicts import Verdict
from greenmine.record import schema
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.follower import COMPARED, Positions, behind
from greenmine.record.partitions import partitions_in
from greenmine.record.rows import ROW
from greenmine.record.sharing import SharingWorker, sharing_workers
from greenmine.registry import Channel, Registry, Rule
from greenmine.times import DAY, HOUR

Scope = NewType("Scope", frozenset[str])
"""Ids of the sites that the caller may see."""


def narrowed(scope: Scope, site: str | None) -> Scope:
    """The one site of a scope that is asked for; the whole scope without one, and nothing for a site out of scope."""
    return scope if site is None else Scope(scope & {site})


Row = sa.Row[Any]
"""A row of the record, whose columns are read by name."""

Rows = NDArray[np.void]
"""Readings of one channel as rows of ``greenmine.record.rows.ROW``."""

_STALE = 30 * DAY
"""A valid reading this much older than its channel's newest one is none any more [ms]."""


def valid(rows: Rows) -> NDArray[np.bool_]:
    """Mask of the readings that may enter figures: normal or over range, a value, inside the plausible range."""
    mask: NDArray[np.bool_] = counted(rows["flag"], rows["quality"]) & np.isfinite(rows["value"])
    return mask


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest readings of a channel; ``valid`` is None where none was found within 30 days of the newest."""

    last: np.void
    valid: np.void | None


class ChannelHour(NamedTuple):
    """Figures of a channel in an hour; ``mean`` and ``maximum`` are numbers, or None without a reading that counts."""

    channel: int
    start: int
    end: int
    mean: Any
    maximum: Any
    readings: int
    valid: bool
    capture: float
    excluded: int
    suspect: int


class ChannelNumbers:
    """Numbers of channels in a record, kept from one connection to the next: they never change, and none leaves.

    They are read again only when the newest channel is another one.
    """

    def __init__(self) -> None:
        self._known: tuple[object, dict[str, int]] = None, {}

    def of(self, connection: Connection) -> dict[str, int]:
        """Number of each channel that ever had data, by its key."""
        every = select(schema.channel.c.id, schema.channel.c.key)
        newest = connection.execute(every.order_by(schema.channel.c.id.desc()).limit(1)).first()
        known, numbers = self._known
        if newest != known:
            numbers = {row.key: row.id for row in connection.execute(every)}
            self._known = newest, numbers
        return numbers


@dataclass(frozen=True, slots=True)
class Queries:
    """Queries on one connection.

    Parameters
    ----------
    _connection : Connection
        To the record; nothing is written. No caller gets at it: all that belongs to a mine is read with a scope.
    registry : Registry
        Says which channels and rules belong to which site.
    _blocks : Blocks
        Tells the content of blocks, those that were pruned among them.
    _numbers : ChannelNumbers
        Of the same record.
    """

    _connection: Connection
    registry: Registry
    _blocks: Blocks = field(default_factory=Blocks)
    _numbers: ChannelNumbers = field(default_factory=ChannelNumbers)

    # Channels and readings

    def channels(self, scope: Scope) -> dict[int, Channel]:
        """Channels in scope that ever had data, by their number in the record, in the registry's order."""
        numbers = self._numbers.of(self._connection)
        return {
            numbers[channel.key]: channel
            for site in self.registry.sites
            if site.id in scope
            for channel in self.registry.site_channels(site.id)
            if channel.key in numbers
        }

    def number(self, scope: Scope, key: str) -> int | None:
        """Number of a channel in the record; None where it has no data yet or is out of scope."""
        if key.split("/", 1)[0] not in scope:
            return None
        return self._numbers.of(self._connection).get(key)

    def readings(self, scope: Scope, key: str, start: int, end: int, limit: int | None = None) -> Rows:
        """Readings of a channel from ``start`` (inclusive) to ``end`` (exclusive) [ms], by time.

        With ``limit``, the first readings only, at least that many where there are as many.
        """
        number = self.number(scope, key)
        if number is None:
            return np.empty(0, ROW)
        block = schema.reading_block.c
        statement = (
            select(*COLUMNS)
            .where(block.channel == number, block.hour >= start // HOUR, block.hour <= end // HOUR)
            .order_by(block.hour, block.id)
        )
        parts: list[Rows] = []
        found = 0
        hour = None
        for row in self._connection.execute(statement):
            if limit is not None and found >= limit and row.hour != hour:
                break
            hour = row.hour
            rows = np.frombuffer(self._blocks.data(self._connection, row), ROW)
            rows = rows[(rows["time"] >= start) & (rows["time"] < end)]
            parts.append(rows)
            found += len(rows)
        return _by_time(parts)

    def whole_hours(
        self, scope: Scope, key: str, first: int, last: int, newest: int, limit: int
    ) -> tuple[Rows, int | None]:
        """Readings of a channel from one hour on, by time, and the hour to go on with; None: that was all up to ``last``.

        Of all hours but the first no more is read than ``limit`` blocks hold. What was committed after the block ``newest`` is
        left out.
        """
        number = self.number(scope, key)
        if number is None:
            return np.empty(0, ROW), None
        block = schema.reading_block.c
        mine = select(*COLUMNS).where(block.channel == number, func.coalesce(block.first, block.id) <= newest)
        some = mine.where(block.hour >= first, block.hour <= last).order_by(block.hour, block.id).limit(limit)
        found = self._connection.execute(some).all()
        more = None
        if len(found) == limit:  # of the last hour there may be more
            more = found[-1].hour
            found = [row for row in found if row.hour != more]
            if not found:
                found, more = list(self._connection.execute(mine.where(block.hour == more))), more + 1
        contents = [self._blocks.content(self._connection, row) for row in found]
        return _by_time([content.rows[content.number <= newest] for content in contents]), more

    def readings_received(self, scope: Scope, key: str, start: int, end: int, received: int) -> Rows:
        """Readings of a channel in [start, end) [ms UTC] that had been received by an instant, by time."""
        block = schema.reading_block.c
        found = self._connection.execute(
            select(*COLUMNS)
            .where(block.channel == self.number(scope, key))
            .where(block.hour >= start // HOUR, block.hour <= (end - 1) // HOUR)
        ).all()
        contents = [self._blocks.content(self._connection, row) for row in found]
        parts = [content.rows[content.received <= received] for content in contents]
        return _by_time([rows[(rows["time"] >= start) & (rows["time"] < end)] for rows in parts])

    def extent(self, scope: Scope, keys: Collection[str], start: int, end: int) -> tuple[int, int, int]:
        """Number of the newest block of some channels in a period, how many blocks there are, and how many readings.

        A few readings more are counted: all of the first and last hour.
        """
        block = schema.reading_block.c
        known = self._numbers.of(self._connection)
        numbers = [known[key] for key in keys if key in known and key.split("/", 1)[0] in scope]
        within = block.channel.in_(numbers), block.hour >= start // HOUR, block.hour <= end // HOUR
        found = select(func.max(block.id), func.count(), func.sum(block.count)).where(*within)
        newest, blocks, readings = self._connection.execute(found).one()
        return newest or 0, blocks, readings or 0

    def newest(self, scope: Scope, numbers: Iterable[int] | None = None) -> dict[int, Newest]:
        """Newest reading and newest valid reading of each channel in scope, or of some of them, by number."""
        chosen = self.channels(scope)
        if numbers is not None:
            chosen = {number: chosen[number] for number in numbers if number in chosen}
        sites = {channel.site for channel in chosen.values()}
        c = schema.current.c
        kept = select(c.key, c.kind, c.data).where(c.site.in_(sites), c.kind.in_(("reading", "valid")))
        rows = {(row.key, row.kind): np.frombuffer(row.data, ROW)[0] for row in self._connection.execute(kept)}
        found: dict[int, Newest] = {}
        for number, channel in chosen.items():
            last, good = rows.get((channel.key, "reading")), rows.get((channel.key, "valid"))
            if last is not None:
                found[number] = Newest(last, None if good is None or last["time"] - good["time"] > _STALE else good)
        return found

    def changed_channels(self, scope: Scope, after: int, last: int) -> list[int]:
        """Channels in scope with blocks above ``after`` up to ``last``."""
        block = schema.reading_block.c
        numbers = self._connection.scalars(select(block.channel).where(block.id > after, block.id <= last).distinct())
        visible = self.channels(scope)
        return [number for number in numbers if number in visible]

    def newest_between(self, scope: Scope, after: int, last: int) -> dict[int, Newest]:
        """Of the blocks above ``after`` up to ``last``, the newest readings of each channel in scope, by number."""
        block = schema.reading_block.c
        found = self._newest_of(select(*COLUMNS).where(block.id > after, block.id <= last))
        visible = self.channels(scope)
        return {number: newest for number, newest in found.items() if number in visible}

    def newest_block(self) -> int:
        """Highest block number, 0 for an empty record: where a new live stream begins."""
        return self._connection.scalar(select(func.max(schema.reading_block.c.id))) or 0

    def newest_times(self, scope: Scope) -> dict[str, int]:
        """Newest reading of each site in scope [ms UTC]."""
        c = schema.current.c
        newest = select(c.site, func.max(c.time).label("time")).where(c.site.in_(scope), c.kind == "reading")
        return {row.site: row.time for row in self._connection.execute(newest.group_by(c.site))}

    # Figures

    def statistics(
        self,
        scope: Scope,
        key: str,
        window: str,
        start: int,
        end: int,
        *,
        revisions: bool,
        limit: int,
        after: tuple[int, int] | None = None,
    ) -> Sequence[Row]:
        """Figures of a channel whose window begins in [start, end), by start and revision."""
        number = self.number(scope, key)
        if number is None:
            return []
        c = schema.statistic.c
        statement = select(schema.statistic).where(
            c.channel == number, c.window == window, c.start >= start, c.start < end
        )
        if not revisions:
            statement = statement.where(c.latest.is_(True))
        if after is not None:
            statement = statement.where(or_(c.start > after[0], and_(c.start == after[0], c.revision > after[1])))
        return self._connection.execute(statement.order_by(c.start, c.revision).limit(limit)).all()

    def hours(self, scope: Scope, start: int, end: int, site: str | None = None) -> dict[str, list[ChannelHour]]:
        """Latest hourly figures beginning in [start, end) of every channel in scope, by channel key and time."""
        channels = self.channels(narrowed(scope, site))
        c = schema.statistic.c
        columns = [c["count" if name == "readings" else name] for name in ChannelHour._fields]
        rows = self._connection.execute(
            select(*columns)
            .where(c.channel.in_(channels), c.window == "hour", c.start >= start, c.start < end, c.latest.is_(True))
            .order_by(c.channel, c.start)
        )
        assert rows.cursor is not None
        found: dict[int, list[ChannelHour]] = defaultdict(list)
        for row in map(ChannelHour._make, rows.cursor.fetchall()):  # as the driver gives them: a province has very many
            found[row.channel].append(row)
        rows.close()
        return {channels[number].key: own for number, own in found.items()}

    def hours_between(self, scope: Scope, key: str, start: int, end: int) -> Sequence[Row]:
        """Latest hourly statistics of a channel that share an instant with [start, end), by time."""
        c = schema.statistic.c
        columns: list[Any] = [c.start, c.mean, c.minimum, c.maximum, c.excluded]
        return self._connection.execute(
            select(*columns)
            .where(c.channel == self.number(scope, key), c.window == "hour", c.latest.is_(True))
            .where(c.start > start - HOUR, c.start < end)
            .order_by(c.start)
        ).all()

    def captures(self, scope: Scope, start: int, end: int | None, site: str) -> dict[str, Row]:
        """Sums over the latest hourly statistics of a site from ``start`` up to ``end``, by channel key.

        Each has ``readings``, ``expected``, and the minutes ``excluded`` and ``suspect``.
        """
        channels = self.channels(narrowed(scope, site))
        c = schema.statistic.c
        columns: list[Any] = [
            c.channel,
            func.sum(c.count).label("readings"),
            *(func.sum(c[name]).label(name) for name in ("expected", "excluded", "suspect")),
        ]
        statement = select(*columns).where(c.channel.in_(channels), c.window == "hour", c.latest.is_(True))
        statement = statement.where(c.start >= start)
        if end is not None:
            statement = statement.where(c.start < end)
        return {channels[row.channel].key: row for row in self._connection.execute(statement.group_by(c.channel))}

    def newest_hour(self, scope: Scope) -> int | None:
        """End of the newest hourly figure in scope [ms]; None without any."""
        c = schema.statistic.c
        newest = select(func.max(c.end)).where(c.channel == schema.channel.c.id, c.window == "hour").scalar_subquery()
        visible = self.channels(scope)
        rows = self._connection.execute(select(schema.channel.c.id, newest.label("end")))
        return max((row.end for row in rows if row.id in visible and row.end is not None), default=None)

    # Judgements

    def verdicts(
        self,
        scope: Scope,
        start: int,
        end: int,
        *,
        site: str | None,
        limit_id: str | None,
        limit: int,
        after: tuple[int, str, int] | None = None,
        key: str | None = None,
        revisions: bool = False,
    ) -> Sequence[Row]:
        """Latest verdicts, or all revisions, on periods beginning in [start, end), by start, rule and revision."""
        rules = [
            rule.key
            for rule in self._rules(scope, site)
            if limit_id in {None, rule.limit.id} and key in {None, rule.key}
        ]
        c = schema.verdict.c
        statement = select(schema.verdict).where(c.rule.in_(rules), c.start >= start, c.start < end)
        if not revisions:
            statement = statement.where(c.latest.is_(True))
        if after is not None:
            at, rule, revision = after
            later = or_(c.rule > rule, and_(c.rule == rule, c.revision > revision))
            statement = statement.where(or_(c.start > at, and_(c.start == at, later)))
        return self._connection.execute(statement.order_by(c.start, c.rule, c.revision).limit(limit)).all()

    def verdict_counts(self, scope: Scope, start: int, end: int, *, site: str) -> Sequence[Row]:
        """Number ``n`` of latest verdicts of a site by rule, verdict, reason and reasons, on periods beginning in [start, end)."""
        rules = [rule.key for rule in self._rules(scope, site)]
        c = schema.verdict.c
        kinds = (c.rule, c.verdict, c.reason, c.reasons)
        statement = select(*kinds, func.count().label("n")).where(
            c.rule.in_(rules), c.start >= start, c.start < end, c.latest.is_(True)
        )
        return self._connection.execute(statement.group_by(*kinds)).all()

    def verdict_revisions(self, scope: Scope, key: str, start: int) -> Sequence[Row]:
        """All revisions of one verdict, the first first; none where the rule is out of scope."""
        c = schema.verdict.c
        if key.split("/", 1)[0] not in scope:
            return []
        statement = select(schema.verdict).where(c.rule == key, c.start == start)
        return self._connection.execute(statement.order_by(c.revision)).all()

    def last_verdicts(self, scope: Scope) -> dict[str, Row]:
        """Verdict of the last period of each rule in scope, by rule key.

        Periods that began more than three days before the newest one of the record are not "last" any more.
        """
        c, last = schema.verdict.c, schema.current.c
        rows = self._connection.execute(
            select(schema.verdict)
            .join(schema.current, and_(c.rule == last.key, c.start == last.time))
            .where(last.site.in_(scope), last.kind == "verdict", last.time >= self._first_verdict(), c.latest.is_(True))
        )
        known = {rule.key for rule in self._rules(scope)}
        return {row.rule: row for row in rows if row.rule in known}

    def exceedances(
        self,
        scope: Scope,
        start: int,
        end: int,
        *,
        site: str | None = None,
        state: str | None = None,
        todo: bool = False,
        limit: int,
        before: tuple[int, int] | None = None,
    ) -> Sequence[Row]:
        """Exceedances that overlap [start, end), newest first; an open one reaches to the end of time.

        With ``todo`` only those that nobody has acknowledged, but for the withdrawn.
        """
        c = schema.exceedance.c
        statement = _exceedances_of(scope, site).where(c.start < end, or_(c.end.is_(None), c.end > start))
        if state is not None:
            statement = statement.where(c.state == state)
        if todo:
            statement = statement.where(c.acknowledged.is_(None), c.state != "withdrawn")
        if before is not None:
            statement = statement.where(or_(c.start < before[0], and_(c.start == before[0], c.id < before[1])))
        return self._connection.execute(statement.order_by(c.start.desc(), c.id.desc()).limit(limit)).all()

    def exceedance(self, scope: Scope, number: int) -> Row | None:
        """One exceedance; None where it does not exist or is out of scope."""
        c = schema.exceedance.c
        return self._connection.execute(_exceedances_of(scope, None).where(c.id == number)).first()

    def exceedance_revisions(self, scope: Scope, number: int) -> Sequence[Row]:
        """Earlier forms of an exceedance, the first first; none where it is out of scope."""
        c = schema.exceedance_revision.c
        statement = select(schema.exceedance_revision).where(c.id == number, _seen(scope, c.id)).order_by(c.revision)
        return self._connection.execute(statement).all()

    def handling(self, scope: Scope, number: int) -> Sequence[Row]:
        """Steps taken about an exceedance, the first first; none where it is out of scope."""
        c = schema.handling.c
        statement = select(schema.handling).where(c.exceedance == number, _seen(scope, c.exceedance)).order_by(c.id)
        return self._connection.execute(statement).all()

    def changed_exceedances(
        self, scope: Scope, after: tuple[int, int], last: tuple[int, int], limit: int
    ) -> Sequence[Row]:
        """Exceedances changed after a (serial, id) up to another, in the order of their change."""
        c = schema.exceedance.c
        change = tuple_(c.serial, c.id)
        return self._connection.execute(
            _exceedances_of(scope, None)
            .where(c.serial >= after[0], change > after, change <= last)
            .order_by(c.serial, c.id)
            .limit(limit)
        ).all()

    def newest_change(self) -> tuple[int, int]:
        """Serial and id of the newest change to an exceedance: where a new live stream begins."""
        c = schema.exceedance.c
        row = self._connection.execute(select(c.serial, c.id).order_by(c.serial.desc(), c.id.desc()).limit(1)).first()
        return (row.serial, row.id) if row else (0, 0)

    def sliding_hours(self, scope: Scope, start: int, site: str) -> dict[str, list[Row]]:
        """What the sliding statistics of a site did in the hours that end after ``start`` [ms], by rule key and hour."""
        c = schema.sliding_hour.c
        keys = [rule.key for rule in self._rules(scope, site)]
        rows = self._connection.execute(
            select(schema.sliding_hour).where(c.rule.in_(keys), c.hour >= start // HOUR).order_by(c.rule, c.hour)
        )
        found: dict[str, list[Row]] = {}
        for row in rows:
            found.setdefault(row.rule, []).append(row)
        return found

    def sliding_masks(self, scope: Scope, start: int, rules: Collection[str]) -> Sequence[Row]:
        """What the sliding statistics of some rules did in the hours that end after ``start`` [ms], by hour.

        Rules that did the same in an hour are told once.
        """
        c = schema.sliding_hour.c
        keys = [key for key in rules if (rule := self.registry.rule(key)) is not None and rule.site in scope]
        columns: list[Any] = [c.hour, c.assessable, c.above]
        return self._connection.execute(
            select(*columns).where(c.rule.in_(keys), c.hour >= start // HOUR).distinct().order_by(c.hour)
        ).all()

    def verdicts_since(self, scope: Scope, start: int, rules: Collection[str]) -> list[tuple[str, int, Verdict]]:
        """Rule, start and latest verdict on some rules, of periods from ``start`` [ms] on."""
        c = schema.verdict.c
        keys = [key for key in rules if (rule := self.registry.rule(key)) is not None and rule.site in scope]
        statement = select(c.rule, c.start, c.verdict, c.reason, c.judged, c.reasons)
        statement = statement.where(c.rule.in_(keys), c.start >= start, c.latest)
        return [
            (row.rule, row.start, Verdict(row.verdict, row.reason, row.judged, None, None, tuple(row.reasons.split())))
            for row in self._connection.execute(statement)
        ]

    # Bookkeeping

    def ledger(
        self,
        scope: Scope,
        first: str | None,
        last: str | None,
        *,
        site: str | None,
        limit: int,
        after: str | None,
        strangers: bool = False,
    ) -> Sequence[Row]:
        """Ledger rows of days ``first`` to ``last`` (both inclusive), by day, site and device; ``strangers`` as of `rejections`."""
        c = schema.ledger.c
        statement = select(schema.ledger).where(self._within(c.site, narrowed(scope, site), strangers=strangers))
        if site is not None:
            statement = statement.where(c.site == site)
        if first is not None:
            statement = statement.where(c.day >= first)
        if last is not None:
            statement = statement.where(c.day <= last)
        if after is not None:
            day, at, device = after.split("/", 2)
            later = or_(c.day > day, and_(c.day == day, or_(c.site > at, and_(c.site == at, c.device > device))))
            statement = statement.where(later)
        return self._connection.execute(statement.order_by(c.day, c.site, c.device).limit(limit)).all()

    def ledger_totals(self, scope: Scope, day: str | None = None) -> Sequence[Row]:
        """Sums of the ledger per site over all days, or of one local day."""
        total, c = schema.ledger_total, schema.ledger.c
        if day is None:
            return self._connection.execute(select(total).where(total.c.site.in_(scope)).order_by(total.c.site)).all()
        names = [column.name for column in total.columns if column is not total.c.site]
        sums = select(c.site, *(func.sum(c[name]).label(name) for name in names))
        sums = sums.where(c.site.in_(scope), c.day == day).group_by(c.site)
        return self._connection.execute(sums.order_by(c.site)).all()

    def stored_by_day(self, scope: Scope, first: str) -> dict[str, int]:
        """Readings stored on each day from a local day on, all sites together."""
        c = schema.ledger.c
        stored = func.sum(c.stored).label("stored")
        days = select(c.day, stored).where(c.site.in_(scope), c.day >= first).group_by(c.day)
        return {row.day: int(row.stored) for row in self._connection.execute(days)}

    def _within(self, site: Any, scope: Scope, *, strangers: bool) -> Any:
        """Whether a row is of a site of the scope, or with ``strangers`` of what no site of the registry is called."""
        if not strangers:
            return site.in_(scope)
        return or_(site.in_(scope), site.not_in([known.id for known in self.registry.sites]))

    def rejections(
        self,
        scope: Scope,
        *,
        site: str | None,
        limit: int,
        before: int | None,
        device: str | None = None,
        reason: str | None = None,
        strangers: bool = False,
    ) -> Sequence[Row]:
        """Rejections, newest first; with ``strangers`` also those of messages that name no site of the registry."""
        c = schema.rejection.c
        columns: list[Any] = [c.id, c.received, c.site, c.device, c.topic, c.reason, c.detail, c.readings, c.size]
        statement = select(*columns).where(self._within(c.site, narrowed(scope, site), strangers=strangers))
        if site is not None:
            statement = statement.where(c.site == site)
        if before is not None:
            statement = statement.where(c.id < before)
        if device is not None:
            statement = statement.where(c.device == device)
        if reason is not None:
            statement = statement.where(c.reason == reason)
        return self._connection.execute(statement.order_by(c.id.desc()).limit(limit)).all()

    def marks(
        self,
        scope: Scope,
        start: int,
        end: int,
        *,
        site: str | None = None,
        station: str | None = None,
        limit: int,
        after: int = 0,
    ) -> Sequence[Row]:
        """Marks that share an instant with [start, end), in the order in which they were made."""
        c = schema.mark.c
        statement = select(schema.mark).where(
            c.site.in_(narrowed(scope, site)), c.start < end, c.end > start, c.id > after
        )
        if station is not None:
            statement = statement.where(c.station == station)
        return self._connection.execute(statement.order_by(c.id).limit(limit)).all()

    def marks_made(self, scope: Scope, site: str, until: int) -> Sequence[Mapping[str, Any]]:
        """Marks of a site that had been made by an instant [ms UTC]."""
        c = schema.mark.c
        statement = select(schema.mark).where(c.site == site, c.site.in_(scope), c.made <= until)
        return [dict(row) for row in self._connection.execute(statement).mappings()]

    def issued_before(self, scope: Scope, mark: Row) -> bool:
        """Tell if statistics of a mark's period had been issued when it was made."""
        touched = [
            channel.key
            for channel in self.registry.channels
            if channel.site in scope
            and (channel.site, channel.station) == (mark.site, mark.station)
            and mark.parameter in {None, channel.parameter.id}
        ]
        c = schema.statistic.c
        numbers = select(schema.channel.c.id).where(schema.channel.c.key.in_(touched))
        first = select(c.start).where(
            c.channel.in_(numbers),
            c.window == "hour",
            c.start > mark.start - HOUR,
            c.start < mark.end,
            c.revision == 0,
            c.issued < mark.made,
        )
        return self._connection.execute(first.limit(1)).first() is not None

    def mark_requests(
        self, scope: Scope, *, site: str | None = None, limit: int, before: int | None = None, number: int | None = None
    ) -> Sequence[Row]:
        """Marks that were asked for, newest first; or the one of a number."""
        return self._newest(schema.mark_request, scope, site, limit, before, number)

    def registry_changes(self, after: int) -> Sequence[Row]:
        """What of registries and limits was changed, at all sites, in the order in which it was taken up, beyond a number."""
        c = schema.registry_change.c
        chosen = select(schema.registry_change).where(c.id > after, c.part != "").order_by(c.id)
        return self._connection.execute(chosen).all()

    def uploads(
        self, scope: Scope, *, site: str | None = None, limit: int, before: int | None = None, number: int | None = None
    ) -> Sequence[Row]:
        """Files that were handed in, newest first; or the one of a number."""
        return self._newest(schema.upload, scope, site, limit, before, number)

    def _newest(
        self, table: sa.Table, scope: Scope, site: str | None, limit: int, before: int | None, number: int | None
    ) -> Sequence[Row]:
        statement = select(table).where(table.c.site.in_(narrowed(scope, site)))
        if before is not None:
            statement = statement.where(table.c.id < before)
        if number is not None:
            statement = statement.where(table.c.id == number)
        return self._connection.execute(statement.order_by(table.c.id.desc()).limit(limit)).all()

    def uploads_version(self) -> tuple[int, ...]:
        """Number that changes whenever a file is handed in, taken in or refused."""
        return self.version("upload")

    def mark_requests_version(self) -> tuple[int, ...]:
        """Number that changes whenever a mark is asked for or answered."""
        c = schema.mark_request.c
        return self._told(*self._connection.execute(select(func.max(c.id), func.max(c.answered))).one())

    def assessments(self, scope: Scope, site: str, period: str) -> Sequence[Row]:
        """Entries of the self-assessment of a site for a period, the first first."""
        c = schema.assessment.c
        statement = select(schema.assessment).where(c.site == site, c.site.in_(scope), c.period == period)
        return self._connection.execute(statement.order_by(c.id)).all()

    def assessment_document(self, scope: Scope, number: int) -> Row | None:
        """Entry of a self-assessment that has a file attached; None where there is none in scope."""
        c = schema.assessment.c
        statement = select(schema.assessment).where(c.id == number, c.site.in_(scope), c.digest.is_not(None))
        return self._connection.execute(statement).first()

    def bundles(
        self,
        scope: Scope,
        handed: Collection[tuple[int, str]] = (),
        *,
        site: str | None = None,
        number: int | None = None,
        period: str | None = None,
        state: str | None = None,
        before: int | None = None,
        limit: int,
    ) -> Sequence[Row]:
        """Evidence bundles of sites in scope, and those handed to the caller by number and digest, newest first."""
        c = schema.bundle.c
        given = [and_(c.id == bundle, c.digest == digest) for bundle, digest in handed]
        statement = select(schema.bundle).where(or_(c.site.in_(scope), *given))
        known = [one.id for one in self.registry.sites if site in {None, one.id}]
        statement = statement.where(c.site.in_(known))
        for column, value in ((c.id, number), (c.period, period), (c.state, state)):
            if value is not None:
                statement = statement.where(column == value)
        if before is not None:
            statement = statement.where(c.id < before)
        return self._connection.execute(statement.order_by(c.id.desc()).limit(limit)).all()

    def sealed_days(self, scope: Scope, site: str, first: str, before: str) -> int:
        """Number of days of a site from ``first`` on and before another that the archive holds."""
        c = schema.sealed_day.c
        statement = select(func.count()).where(c.site == site, c.site.in_(scope), c.day >= first, c.day < before)
        return self._connection.scalar(statement) or 0

    def reported(
        self,
        scope: Scope,
        start: int | None,
        end: int | None,
        *,
        command: str | None,
        limit: int,
        after: tuple[int, int, str] | None,
    ) -> list[tuple[Channel, Row]]:
        """Aggregates that loggers reported of windows beginning in [start, end), by start, channel and command."""
        channels = self.channels(scope)
        c = schema.reported.c
        statement = select(schema.reported).where(
            c.channel.in_(channels), c.latest, *_touching(c.start, c.start, start, end)
        )
        if command is not None:
            statement = statement.where(c.command == command)
        if after is not None:
            statement = statement.where(tuple_(c.start, c.channel, c.command) > after)
        rows = self._connection.execute(statement.order_by(c.start, c.channel, c.command).limit(limit))
        return [(channels[row.channel], row) for row in rows]

    def logger_gaps(
        self,
        scope: Scope,
        start: int | None,
        end: int | None,
        *,
        state: str | None,
        limit: int,
        after: tuple[int, str, str] | None,
    ) -> Sequence[Row]:
        """Spans that overlap [start, end) in which a logger's readings are missing, by start, site and device."""
        c = schema.gap.c
        statement = select(schema.gap).where(c.site.in_(scope), *_touching(c.start, c.end - 1, start, end))
        if state is not None:
            statement = statement.where(c.state == state)
        if after is not None:
            statement = statement.where(tuple_(c.start, c.site, c.device) > after)
        return self._connection.execute(statement.order_by(c.start, c.site, c.device).limit(limit)).all()

    def information(self, scope: Scope, *, limit: int, before: int | None) -> Sequence[Row]:
        """Messages of loggers beside values, newest first."""
        c = schema.information.c
        statement = select(schema.information).where(c.site.in_(scope))
        if before is not None:
            statement = statement.where(c.id < before)
        return self._connection.execute(statement.order_by(c.id.desc()).limit(limit)).all()

    def aside(
        self,
        scope: Scope,
        table: Literal["conflict", "late"],
        start: int,
        end: int,
        *,
        site: str | None,
        key: str | None,
        limit: int,
        before: int | None,
    ) -> list[tuple[Channel, Row]]:
        """Readings kept in ``conflict`` or ``late``, newest receipt first."""
        channels = {
            number: channel
            for number, channel in self.channels(narrowed(scope, site)).items()
            if key in {None, channel.key}
        }
        aside = schema.metadata.tables[table]
        c = aside.c
        statement = select(aside).where(c.channel.in_(channels), c.time >= start, c.time < end)
        if before is not None:
            statement = statement.where(c.id < before)
        rows = self._connection.execute(statement.order_by(c.id.desc()).limit(limit))
        return [(channels[row.channel], row) for row in rows]

    def gaps(self, scope: Scope, *, site: str | None, limit: int, after: tuple[str, str, int] | None) -> Sequence[Row]:
        """Sequence numbers that never came, by site, device and number."""
        c = schema.sequence_gap.c
        statement = select(schema.sequence_gap).where(c.site.in_(narrowed(scope, site)))
        if after is not None:
            statement = statement.where(tuple_(c.site, c.device, c.first) > after)
        return self._connection.execute(statement.order_by(c.site, c.device, c.first).limit(limit)).all()

    def health_changes(
        self, scope: Scope, start: int, end: int, *, site: str | None, limit: int, before: tuple[int, int] | None
    ) -> list[tuple[Channel, Row]]:
        """Changes of health in [start, end), newest first."""
        channels = self.channels(narrowed(scope, site))
        c = schema.health.c
        statement = select(schema.health).where(c.channel.in_(channels), c.since >= start, c.since < end)
        if before is not None:
            statement = statement.where(tuple_(c.since, c.channel) < before)
        rows = self._connection.execute(statement.order_by(c.since.desc(), c.channel.desc()).limit(limit))
        return [(channels[row.channel], row) for row in rows]

    def version(self, *tables: str) -> tuple[int, ...]:
        """Numbers that change whenever one of some tables does: highest serial, else highest id."""
        named = [schema.metadata.tables[name] for name in tables]
        columns = [table.c.serial if "serial" in table.c else table.c.id for table in named]
        return self._told(*(self._connection.scalar(select(func.max(column))) for column in columns))

    def changes(self, scope: Scope) -> tuple[int, ...]:
        """Numbers that change whenever readings, figures, verdicts or health of the sites in scope do, and with no other's."""
        return self._newest_note(scope, "change")

    def figures(self, scope: Scope) -> tuple[int, ...]:
        """Likewise numbers that change with statistics, verdicts, exceedances and health, and not with readings alone."""
        return self._newest_note(scope, "figures")

    def figures_by_site(self, scope: Scope) -> dict[str, tuple[int, int]]:
        """Likewise for each site in scope of which there are figures."""
        c = schema.current.c
        first = self._first_verdict()
        told = select(
            c.site,
            func.max(case((c.kind == "figures", c.time), else_=0)),
            func.sum(case((and_(c.kind == "verdict", c.time >= first), 1), else_=0)),
        ).where(c.site.in_(scope), c.kind.in_(("figures", "verdict")))
        return {site: (serial, last) for site, serial, last in self._connection.execute(told.group_by(c.site))}

    def _first_verdict(self) -> int:
        """Start of a verdict's period before which it is none of the last any more."""
        newest = select(func.max(schema.current.c.time)).where(schema.current.c.kind == "verdict")
        return (self._connection.scalar(newest) or 0) - 3 * DAY

    def _newest_note(self, scope: Scope, kind: str) -> tuple[int, ...]:
        c = schema.current.c
        # The sum: of two sites, the change with the higher number may be committed first.
        told = select(func.sum(c.time), func.count()).where(c.site.in_(scope), c.kind == kind)
        return tuple(number or 0 for number in self._connection.execute(told).one())

    def open_exceedances(self, scope: Scope) -> dict[str, int]:
        """Number of open exceedances per site in scope; sites without any are left out."""
        return self._exceedances_by_site(scope, schema.exceedance.c.state == "open")

    def unacknowledged_exceedances(self, scope: Scope) -> dict[str, int]:
        """Number of exceedances per site in scope that nobody has acknowledged, but for the withdrawn; likewise."""
        c = schema.exceedance.c
        return self._exceedances_by_site(scope, c.acknowledged.is_(None), c.state != "withdrawn")

    def exceedances_since(self, scope: Scope, start: int) -> dict[str, int]:
        """Number of exceedances per site in scope that lasted beyond an instant [ms UTC], but for the withdrawn; likewise."""
        c = schema.exceedance.c
        return self._exceedances_by_site(scope, or_(c.end.is_(None), c.end > start), c.state != "withdrawn")

    def exceeding_rules(self, scope: Scope) -> set[str]:
        """Keys of the rules in scope of which an exceedance lasts."""
        c = schema.exceedance.c
        return set(self._connection.scalars(select(c.rule).where(c.site.in_(scope), c.state == "open")))

    def health(self, scope: Scope) -> dict[str, Row]:
        """State of health of each channel in scope, by channel key."""
        channels = self.channels(scope)
        c, last = schema.health.c, schema.current.c
        rows = self._connection.execute(
            select(schema.health)
            .join(schema.channel, schema.channel.c.id == c.channel)
            .join(schema.current, and_(schema.channel.c.key == last.key, c.since == last.time))
            .where(last.site.in_(scope), last.kind == "health")
        )
        return {channels[row.channel].key: row for row in rows if row.channel in channels}

    def workers(self) -> Sequence[Row]:
        """What the running collectors say of themselves."""
        return self._connection.execute(select(schema.worker).order_by(schema.worker.c.name)).all()

    def sharing(self) -> list[SharingWorker]:
        """Who has which partitions; empty where there is one. See `greenmine.record.sharing`."""
        return sharing_workers(self._connection, self.registry)

    def behind(self, positions: Positions) -> tuple[int | None, int]:
        """Age and number of the rows behind positions; see `greenmine.record.follower.behind`."""
        return behind(self._connection, positions)

    def compared(self) -> Positions | None:
        """How far our statistics have been set beside reports of data loggers; None where none were."""
        found = self._connection.scalar(select(schema.meta.c.value).where(schema.meta.c.key == COMPARED))
        return None if found is None else {"statistic": int(found)}

    # Helpers

    def _told(self, *numbers: int | None) -> tuple[int, ...]:
        """Numbers that only grow; where partitions write side by side, with one that differs after every transaction."""
        told = tuple(number or 0 for number in numbers)
        if self._connection.dialect.name == "sqlite" or partitions_in(self._connection) == 1:
            return told
        return (
            *told,
            crc32(self._connection.execute(select(cast(func.pg_current_snapshot(), Text))).scalar_one().encode()),
        )

    def _exceedances_by_site(self, scope: Scope, *where: ColumnElement[bool]) -> dict[str, int]:
        c = schema.exceedance.c
        rows = self._connection.execute(select(c.site, func.count()).where(c.site.in_(scope), *where).group_by(c.site))
        return {site: int(count) for site, count in rows}

    def _rules(self, scope: Scope, site: str | None = None) -> list[Rule]:
        chosen = narrowed(scope, site)
        registry = self.registry
        return [rule for one in registry.sites if one.id in chosen for rule in registry.site_rules(one.id)]

    def _newest_of(self, statement: Select[Any]) -> dict[int, Newest]:
        """Newest readings of channels by their number, of blocks in any order."""
        found: dict[int, Newest] = {}
        for block in self._connection.execute(statement):
            rows = np.frombuffer(self._blocks.data(self._connection, block), ROW)
            if len(rows):
                last = _last(rows)
                good = last if valid(last).all() else _last(rows[valid(rows)])
                newest = Newest(last[0], good[0] if len(good) else None)
                found[block.channel] = later(found.get(block.channel), newest)
        return found


def later(one: Newest | None, other: Newest) -> Newest:
    """The newest readings of two parts of a channel."""
    if one is None:
        return other
    last = one.last if one.last["time"] > other.last["time"] else other.last
    if one.valid is None or other.valid is None:
        return Newest(last, other.valid if one.valid is None else one.valid)
    return Newest(last, one.valid if one.valid["time"] > other.valid["time"] else other.valid)


def _seen(scope: Scope, number: ColumnElement[int]) -> ColumnElement[bool]:
    """Condition that a column names an exceedance in scope."""
    return number.in_(select(schema.exceedance.c.id).where(schema.exceedance.c.site.in_(scope)))


def _exceedances_of(scope: Scope, site: str | None) -> Select[Any]:
    """Exceedances, with what is suggested as cause of those of dust that are over."""
    c, s = schema.exceedance.c, schema.suggestion.c
    return (
        select(schema.exceedance, s.cause.label("suggested_cause"), s.share.label("suggested_share"))
        .join_from(schema.exceedance, schema.suggestion, s.exceedance == c.id, isouter=True)
        .where(c.site.in_(narrowed(scope, site)))
    )


def _touching(
    first: ColumnElement[int], last: ColumnElement[int], start: int | None, end: int | None
) -> list[ColumnElement[bool]]:
    """Conditions that the span from ``first`` to ``last``, both inclusive, shares an instant with [start, end)."""
    return [
        *([last >= start] if start is not None else []),
        *([first < end] if end is not None else []),
    ]


def _by_time(parts: Sequence[Rows]) -> Rows:
    rows = np.concatenate(parts) if parts else np.empty(0, ROW)
    time = rows["time"]
    return rows if np.all(time[1:] >= time[:-1]) else rows[np.argsort(time, kind="stable")]


def _last(rows: Rows) -> Rows:
    """The one reading of the greatest time, or none of none."""
    newest = int(np.argmax(rows["time"])) if len(rows) else 0
    return rows[newest : newest + 1]
