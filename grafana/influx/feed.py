"""Rows of the record as lines for buckets that stand at the same place of it, in portions."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from itertools import chain, compress, repeat
from operator import itemgetter
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlencode

import msgspec
import numpy as np
import sqlalchemy as sa

from greenmine.grafana.influx.influx_schema import BY_NAME, Precision, finding_of
from greenmine.grafana.influx.lines import Encoder
from greenmine.limits import Threshold, addressee, threshold_on
from greenmine.processing.averaging import direction, figure_of_parts
from greenmine.processing.rolling import SPANS, LimitHour, RollingFigures
from greenmine.processing.slide import first_minute
from greenmine.processing.standing import Grounds
from greenmine.processing.summary import conclude, tally
from greenmine.processing.verdicts import Verdict
from greenmine.readings import NORMAL
from greenmine.record import schema
from greenmine.record.blocks import COLUMNS, Blocks
from greenmine.record.bucket_cursors import Cursor
from greenmine.record.exceedance_standing import exceedance_standing
from greenmine.record.follower import BY_ID, BY_SERIAL, Positions
from greenmine.record.rows import HOUR, ROW
from greenmine.registry import Registry, Rule
from greenmine.times import local, midnight
from greenmine.wording.messages import LANGUAGES
from greenmine.wording.words import Words

MINUTE: Final = 60_000
"""[ms]"""
LONGEST_SPAN: Final = 720
"""Longest span of rolling exceedance statistics [h]."""

_LONGEST_DAY: Final = 25 * HOUR
"""[ms]"""
_OPEN: Final = 1 << 40
"""End of an episode that lasts [min]."""
_SUBMILLISECOND: Final = 1_000_000
_FETCHED: Final = 250
"""Rows that are fetched together: blocks of an hour at one reading a second have 65 kB."""
_TOGETHER: Final = 500
"""Rules whose verdicts and episodes are loaded together, and hours of a mine."""
_SITES_TOGETHER: Final = 20
"""Mines the hours of whose rules are loaded together."""
_CARRIED: Final = 48
"""How long a limit that is no longer followed counts among the limits of its mine [h]."""
_SECTORS: Final = 8
"""Directions that roses tell apart."""
_BLOWN: Final = {"pm10": "boundary", "wind-direction": "weather", "wind-speed": "weather"}
"""What roses are drawn from: parameters, and the role of the stations that measure them there."""
_STATES: Final = {"good": 0, "silent": 1, "frozen": 2, "skewed": 3, "implausible": 4, "flooding": 5}

Tags = tuple[tuple[str, str], ...]


class Rolling(Protocol):
    """Rolling exceedance statistics of one limit; see `greenmine.processing.rolling.hourly_statistics`."""

    def __call__(
        self,
        rows: Sequence[LimitHour],
        episodes: Sequence[tuple[int, int]],
        at: Iterable[int],
        *,
        lower: bool,
    ) -> Iterable[tuple[str, int, RollingFigures]]:
        """Span, hour and fields of ``rolling`` for each hour of ``at`` and each span."""
        ...


@dataclass(frozen=True, slots=True)
class Deletion:
    """Points to be removed before a portion is written: fields that have no value any more would otherwise stay."""

    measurement: str
    tags: Tags
    start: int
    end: int


@dataclass(slots=True)
class Part:
    """What a portion has of one enterprise."""

    lines: dict[Precision, list[str]] = field(default_factory=lambda: {"ms": [], "ns": []})
    deletions: list[Deletion] = field(default_factory=list)

    def add(self, line: str, precision: Precision = "ms") -> None:
        """Take a line, unless it is empty."""
        if line:
            self.lines[precision].append(line)


@dataclass(slots=True)
class Portion:
    """Lines made from the rows of a table up to a position."""

    table: str
    position: int
    parts: defaultdict[str, Part] = field(default_factory=lambda: defaultdict(Part))
    """By enterprise; what cannot be told to be of any is under the empty name."""
    hour: int = -1
    """Newest hour of a sliding statistic so far; to be stored before it is written."""

    def of(self, enterprise: str | None) -> list[Part]:
        """What concerns an enterprise; None: everything."""
        if enterprise is None:
            return list(self.parts.values())
        return [self.parts[enterprise]] if enterprise in self.parts else []


class _ReadBlock(NamedTuple):
    """A block of readings with its content."""

    id: int
    channel: int
    hour: int
    data: bytes


@dataclass(slots=True)
class _Channel:
    series: str
    """Beginning of its lines."""
    value: str
    """The same, up to the value of a reading that counts."""
    tags: tuple[str, str, str, str]
    rules: tuple[Rule, ...]
    limited: int = -1
    """Hour for which the limits in force were given last."""


class Feed:
    """Reads on behalf of buckets at one place. It remembers what it has read: after a failed write, make another from the cursor.

    Parameters
    ----------
    registry : Registry
        Tells enterprise, limit and theme; rows of channels and rules that it does not know are left out.
    engine : Engine
        Of the record; is only read.
    cursor : Cursor
        From where; that of any of the buckets.
    enterprises : collection of str or None
        Whose rows; None: all, also those that cannot be told to be of any enterprise.
    rolling : Rolling
        Computes rolling exceedance statistics.
    size : int
        Points of a portion; more where one transaction wrote more.
    oldest : callable
        Points before this instant [ms UTC] are left out.
    silent : dict of str to int
        For rules the newest hour of which the buckets are known to hold no worst value; kept up by the feeds of a bucket.
    blocks : Blocks, optional
        Tells the content of blocks that were pruned.
    """

    def __init__(
        self,
        registry: Registry,
        engine: sa.Engine,
        cursor: Cursor,
        enterprises: Collection[str] | None,
        rolling: Rolling,
        size: int,
        oldest: Callable[[], int],
        silent: dict[str, int],
        blocks: Blocks | None = None,
    ) -> None:
        self._content = Blocks() if blocks is None else blocks
        self._registry = registry
        self._engine = engine
        self._cursor = cursor
        self._rolling = rolling
        self._size = size
        self._oldest = oldest
        self._sites = {s.id: s for s in registry.sites if enterprises is None or s.enterprise in enterprises}
        self._all = enterprises is None
        self._rules = {r.key: r for r in registry.rules if r.site in self._sites}
        self._legal: dict[str, list[str]] = defaultdict(list)
        """Keys of the legal limits of each mine."""
        for rule in self._rules.values():
            if rule.limit.kind == "legal":
                self._legal[rule.site].append(rule.key)
        self._grounds = Grounds(registry)
        self._words = {language: Words(language, registry) for language in LANGUAGES}
        self._encoders = {name: Encoder(measurement) for name, measurement in BY_NAME.items()}
        self._positions = {t.name: cursor.position(t.name) for t in (*BY_ID, *BY_SERIAL)}
        self._channels: dict[int, _Channel | None] = {}
        self._blown: dict[str, dict[int, str]] = defaultdict(dict)
        """Parameters by the number of the channel, of what roses of each mine are drawn from."""
        self._beginnings: dict[tuple[str, ...], str] = {}
        self._tags: dict[str, tuple[str, ...]] = {}
        self._open: dict[int, tuple[int, int]] = {}
        self._silent = silent
        self._hour = cursor.hour
        table = schema.sliding_hour.c
        before = sa.select(table.rule, sa.func.max(table.hour).label("last")).group_by(table.rule)
        before = before.where(table.serial <= self._positions["sliding_hour"])
        with engine.connect() as connection:
            self._passed = {row.rule: row.last for row in connection.execute(before)}
            """Last hour of each rule up to which this feed has come: all later ones are still to come."""
        self._shapes: dict[str, Callable[[sa.Connection, Sequence[Any], Portion], None]] = {
            "exceedance": self._exceedances,
            "health": self._health,
            "verdict": self._verdicts,
            "statistic": self._statistics,
            "mark": self._marks,
            "rejection": self._rejections,
            "ledger": self._ledger,
            "sliding_hour": self._sliding,
            "reading_block": self._readings,
        }

    def portions(self, heads: Positions) -> Iterator[Portion]:
        """What the record holds up to ``heads`` beyond what was read before; what alarms first, the mass of readings last."""
        for name in self._shapes:
            while self._positions[name] < heads[name]:
                portion = self._next(name, heads[name])
                self._positions[name] = portion.position
                yield portion

    def _next(self, name: str, head: int) -> Portion:
        table = schema.metadata.tables[name]
        position = self._positions[name]
        with self._engine.connect() as connection:
            if name in {t.name for t in BY_ID}:
                some = _selection(name).where(table.c.id > position, table.c.id <= head).order_by(table.c.id)
                rows: Sequence[Any] = self._some(connection, some.limit(self._size), in_blocks=name == "reading_block")
                end = rows[-1].id if len(rows) else head
            else:
                serial = table.c.serial
                within = (serial > position, serial <= head)
                last = sa.select(serial).where(*within).order_by(serial).limit(1).offset(self._size - 1)
                end = connection.scalar(last)
                end = head if end is None else end
                rows = connection.execute(
                    _selection(name).where(serial > position, serial <= end).order_by(serial)
                ).all()
            portion = Portion(name, end)
            self._shapes[name](connection, rows, portion)
        return portion

    def _some(self, connection: sa.Connection, statement: sa.Select[Any], *, in_blocks: bool) -> list[Any]:
        """Rows of about as many points as a portion has, numbers first; a block has as many as it holds readings."""
        rows: list[Any] = []
        points = 0
        for part in connection.execute(statement).partitions(_FETCHED):
            rows.extend([self._block(connection, row) for row in part] if in_blocks else part)
            points += sum(row.readings for row in part) if in_blocks else len(part)
            if points >= self._size:
                break
        return rows

    def _block(self, connection: sa.Connection, row: Any) -> _ReadBlock:
        return _ReadBlock(row.id, row.channel, row.hour, self._content.data(connection, row))

    def _wanted(self, table: str, number: int, time: int, oldest: int) -> bool:
        """Whether a row's point is to be written: recent enough, and not one that a partial rebuild left in place."""
        since = self._cursor.since
        return time >= oldest and (since is None or time >= since or number > self._cursor.anew(table))

    def _may_hold(self, table: str, number: int) -> bool:
        """Whether the bucket may hold an earlier form of a row's point."""
        return number > self._cursor.anew(table)

    # Readings, and the limits in force beside them.

    def _readings(self, connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        if not rows:
            return
        by_enterprise: dict[str, list[tuple[Any, _Channel]]] = defaultdict(list)
        for row in rows:
            channel = self._channel(connection, row.channel)
            if channel is not None:
                by_enterprise[channel.tags[0]].append((row, channel))
        for enterprise, blocks in by_enterprise.items():
            self._blocks(blocks, portion.parts[enterprise])

    def _blocks(self, some: Sequence[tuple[Any, _Channel]], part: Part) -> None:
        """Readings of one enterprise."""
        rows, channels = zip(*some, strict=True)
        numbers, _, hours, blocks = zip(*rows, strict=True)
        oldest = self._oldest()
        data = np.frombuffer(b"".join(blocks), ROW)
        time, value, flag = data["time"], data["value"], data["flag"]
        counts = [len(block) // ROW.itemsize for block in blocks]
        wanted = time >= oldest
        if self._cursor.since is not None:
            again = np.array(numbers, np.int64) <= self._cursor.anew("reading_block")
            wanted &= ~np.repeat(again, counts) | (time >= self._cursor.since)
        counted = (flag == NORMAL) & (data["quality"] == 0) & np.isfinite(value)
        beginnings = chain.from_iterable(repeat(c.value, n) for c, n in zip(channels, counts, strict=True))
        lines = part.lines["ms"]
        each = zip(beginnings, value.tolist(), time.tolist(), strict=True)
        lines.extend([f"{beginning}{v} {t}" for beginning, v, t in compress(each, (wanted & counted).tolist())])
        place = np.repeat(np.arange(len(channels)), counts)
        for i in np.flatnonzero(wanted & ~counted).tolist():
            fields = self._encoders["reading"].fields((None, float(value[i]), chr(flag[i])))
            lines.append(f"{channels[place[i]].series}{fields} {time[i]}")
        for number, channel, hour in zip(numbers, channels, hours, strict=True):
            if channel.limited != hour:
                channel.limited = hour
                if self._wanted("reading_block", number, hour * HOUR, oldest):
                    self._limits(channel.rules, hour, part)

    def _limits(self, rules: Iterable[Rule], hour: int, part: Part) -> None:
        for rule in rules:
            threshold = self._threshold(rule, hour * HOUR)
            if threshold is not None:
                values = (threshold.low, threshold.high, threshold.citation)
                part.add(self._line("limit", self._rule_tags(rule), values, hour * HOUR))

    def _channel(self, connection: sa.Connection, number: int) -> _Channel | None:
        if number not in self._channels:  # the worker numbers new channels when it starts
            keys = {row.id: row.key for row in connection.execute(sa.select(schema.channel))}
            channels = {c.key: c for c in self._registry.channels if c.site in self._sites}
            rules: dict[int, list[Rule]] = defaultdict(list)
            for rule in self._rules.values():
                rules[rule.channel].append(rule)
            for n, key in keys.items():
                channel = channels.get(key)
                if channel is None:
                    self._channels[n] = None
                else:
                    tags = (self._sites[channel.site].enterprise, channel.site, channel.station, channel.parameter.id)
                    beginning = self._encoders["reading"].series(*tags)
                    self._channels[n] = _Channel(beginning, f"{beginning}value=", tags, tuple(rules[channel.index]))
                    role = self._registry.station(channel.site, channel.station).role
                    if _BLOWN.get(channel.parameter.id) == role and not channel.origin:
                        self._blown[channel.site][n] = channel.parameter.id
        return self._channels.get(number)

    # Figures and judgements: what stands, and every revision.

    def _statistics(self, connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        blown: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            channel = self._channel(connection, row.channel)
            if channel is None or not self._wanted("statistic", row.serial, row.start, oldest):
                continue
            figures = _FIGURES(row)
            tags = (*channel.tags, row.window)
            part = portion.parts[tags[0]]
            part.add(
                self._line(
                    "statistic_revision", (*tags, str(row.revision)), (*figures, row.reason, row.issued), row.start
                )
            )
            if row.latest:
                if row.vanished and self._may_hold("statistic", row.serial):
                    part.deletions.append(_deletion("statistic", tags, row.start))
                part.add(self._line("statistic", tags, (*figures, row.revision), row.start))
                if row.window == "hour" and row.channel in self._blown[tags[1]]:
                    blown[tags[1]].add(row.start)
            elif row.retired and self._may_hold("statistic", row.serial):
                part.deletions.append(_deletion("statistic", tags, row.start))
                if row.window == "hour" and row.channel in self._blown[tags[1]]:
                    of_site = ("enterprise", tags[0]), ("site", tags[1])
                    part.deletions.append(Deletion("wind_dust", of_site, row.start, row.start))
        for site, starts in blown.items():
            for some in _parts(sorted(starts), _TOGETHER):
                self._wind_and_dust(connection, site, some, portion)

    def _wind_and_dust(self, connection: sa.Connection, site: str, starts: Sequence[int], portion: Portion) -> None:
        """Hours of a mine of which dust or wind changed, from all their figures in the record."""
        s, channels = schema.statistic.c, self._blown[site]
        columns = (s.channel, s.start, s.mean, s.valid, s.revision)
        within = (s.latest, s.window == "hour", s.channel.in_(channels), s.start.in_(starts))
        found: dict[int, dict[str, list[float]]] = {start: {name: [] for name in _BLOWN} for start in starts}
        restated = set()
        for row in connection.execute(sa.select(*columns).where(*within)):
            if row.revision:
                restated.add(row.start)
            if row.valid and row.mean is not None:
                found[row.start][channels[row.channel]].append(row.mean)
        enterprise = self._sites[site].enterprise
        part = portion.parts[enterprise]
        for start, figures in found.items():
            sector, values = _blown_by(figures)
            for n in range(_SECTORS):
                if n == sector:
                    part.add(self._line("wind_dust", (enterprise, site, str(n)), (1, *values), start))
                elif start in restated:  # it may have been in this sector before
                    part.add(self._line("wind_dust", (enterprise, site, str(n)), (0, *[0.0] * len(values)), start))

    def _verdicts(self, connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        days: dict[str, set[date]] = defaultdict(set)
        exceeding: dict[str, list[Any]] = defaultdict(list)
        for row in rows:
            rule = self._rules.get(row.rule)
            if rule is None or not self._wanted("verdict", row.serial, row.start, oldest):
                continue
            clause = msgspec.json.decode(row.detail).get("clause", "")
            threshold = self._threshold(rule, row.start)
            cited = threshold.citation if threshold is not None and threshold.clause == clause else clause
            lawful = rule.limit.kind == "legal"  # a mine's own targets have no standing at law
            standing = "indicative" if row.reasons else "statutory"
            told = row.judged and self._words["zh"].compared(rule.limit, row.value, row.judged, row.low, row.high)
            figures = (
                row.verdict, finding_of(row.verdict, standing, lawful=lawful), row.value, told, row.low, row.high,
                row.capture, row.reason, standing if lawful else None, cited, row.end, _asked(row),
            )  # fmt: skip
            tags = self._rule_tags(rule)
            part = portion.parts[tags[0]]
            part.add(
                self._line(
                    "verdict_revision", (*tags, str(row.revision)), (*figures, row.change, row.issued), row.start
                )
            )
            if row.latest:
                if row.vanished and self._may_hold("verdict", row.serial):
                    part.deletions.append(_deletion("verdict", tags, row.start))
                part.add(self._line("verdict", tags, (*figures, row.revision), row.start))
                if lawful and (row.verdict == "exceeds" or row.revision):
                    exceeding[row.rule].append(row)
                if addressee(rule.limit) == "emission":
                    days[rule.site].add(local(row.start, self._sites[rule.site].zone).date())
            elif row.retired and self._may_hold("verdict", row.serial):
                part.deletions.append(_deletion("verdict", tags, row.start))
                if addressee(rule.limit) == "emission":
                    # The day that it was part of began at the midnight of another zone.
                    before = row.start - _LONGEST_DAY
                    of_site = ("enterprise", tags[0]), ("site", tags[1])
                    part.deletions.append(Deletion("day", of_site, before, row.start))
                    first, last = (local(at, self._sites[rule.site].zone).date() for at in (before, row.start))
                    days[rule.site] |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
        self._conclude_days(connection, days, oldest, portion)
        self._judge_episodes(connection, exceeding, oldest, portion)

    def _conclude_days(
        self, connection: sa.Connection, days: Mapping[str, Collection[date]], oldest: int, portion: Portion
    ) -> None:
        """Conclusions of the days of which verdicts changed, from all their verdicts in the record."""
        if not days:
            return
        rules = {k: r for k, r in self._rules.items() if r.site in days and addressee(r.limit) == "emission"}
        spans = {
            (site, day): tuple(midnight(d, self._sites[site].zone) for d in (day, day + timedelta(days=1)))
            for site, some in days.items()
            for day in some
        }
        found: dict[tuple[str, date], dict[str, list[Verdict]]] = defaultdict(lambda: defaultdict(list))
        v = schema.verdict.c
        within = (v.latest, v.start >= min(s for s, _ in spans.values()), v.start < max(e for _, e in spans.values()))
        columns = (v.rule, v.start, v.verdict, v.reason, v.reasons)
        for keys in _parts(sorted(rules), _TOGETHER):
            for row in connection.execute(sa.select(*columns).where(v.rule.in_(keys), *within)):
                site = rules[row.rule].site
                day = local(row.start, self._sites[site].zone).date()
                if (site, day) in spans:
                    told = Verdict(row.verdict, row.reason, None, None, None, tuple(row.reasons.split()))
                    found[site, day][row.rule].append(told)
        for (site, day), by_rule in found.items():
            time, enterprise = spans[site, day][0], self._sites[site].enterprise
            if time < oldest:
                continue
            themes = {key: self._rule_tags(rules[key])[-1] for key in by_rule}
            tallies = [tally(themes[key], "emission", some, len(some)) for key, some in by_rule.items()]
            for one in conclude(tallies, 1.0):
                values = (finding_of(one.judgement, one.standing), one.due)
                portion.parts[enterprise].add(self._line("day", (enterprise, site, one.theme), values, time))

    def _judge_episodes(
        self, connection: sa.Connection, exceeding: Mapping[str, Sequence[Any]], oldest: int, portion: Portion
    ) -> None:
        """Standing of the episodes behind which verdicts changed; nothing else of their points."""
        e = schema.exceedance
        for keys in _parts(sorted(exceeding), _TOGETHER):
            first = min(row.start for key in keys for row in exceeding[key])
            last = max(row.end for key in keys for row in exceeding[key])
            lasting = sa.or_(e.c.end.is_(None), e.c.end > first)
            for row in connection.execute(sa.select(e).where(e.c.rule.in_(keys), e.c.start < last, lasting)):
                rule = self._rules[row.rule]
                if self._wanted("exceedance", row.serial, row.start, oldest):
                    tags = (*self._rule_tags(rule), str(row.id))
                    found = {"finding": self._finding(connection, rule, row)}
                    values = [found.get(f.name) for f in BY_NAME["exceedance"].fields]
                    portion.parts[tags[0]].add(self._line("exceedance", tags, values, row.start))

    def _finding(self, connection: sa.Connection, rule: Rule, row: Any) -> int | None:
        standing = exceedance_standing(connection, self._registry, self._grounds, rule, row)
        return finding_of("exceeds", standing, lawful=rule.limit.kind == "legal")

    # Episodes above a limit, and what rolls over them.

    def _exceedances(self, connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        old = schema.exceedance_revision
        restated = [row.id for row in rows if row.revision]
        earlier: dict[int, list[Any]] = defaultdict(list)
        for some in _parts(restated, _TOGETHER):
            for form in connection.execute(sa.select(old).where(old.c.id.in_(some)).order_by(old.c.revision)):
                earlier[form.id].append(form)
        oldest = self._oldest()
        changed: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            rule = self._rules.get(row.rule)
            if rule is None:
                continue
            tags = (*self._rule_tags(rule), str(row.id))
            part = portion.parts[tags[0]]
            for form in earlier[row.id]:
                if form.start != row.start and self._wanted("exceedance", row.serial, form.start, oldest):
                    if self._may_hold("exceedance", row.serial):
                        part.deletions.append(_deletion("exceedance", tags, form.start))
                    gone = (
                        "superseded", 0, None, form.start, form.end, form.peak, None, None, form.minutes, _duration(form),
                        form.revision, *[None] * 6,
                    )  # fmt: skip
                    part.add(self._line("exceedance", tags, gone, form.start))
            if self._wanted("exceedance", row.serial, row.start, oldest):
                if row.revision and self._may_hold("exceedance", row.serial):
                    part.deletions.append(_deletion("exceedance", tags, row.start))
                threshold = self._threshold(rule, row.start)
                values = (
                    row.state, int(row.state == "open"), self._finding(connection, rule, row), row.start, row.end, row.peak,
                    row.peak_time, row.threshold, row.minutes, _duration(row), row.revision, row.cause, row.handling,
                    "" if threshold is None else threshold.citation, *self._told(rule, row),
                )  # fmt: skip
                part.add(self._line("exceedance", tags, values, row.start))
            changed[row.rule].update(self._touched(row, [form.start for form in earlier[row.id]]))
        self._roll(connection, changed, portion)

    def _told(self, rule: Rule, row: Any) -> tuple[str, ...]:
        """Peak as people read it, and station and limit in each language."""
        station = self._registry.station(rule.site, rule.station)
        peak = self._words["zh"].figure(row.peak, self._registry.parameters[rule.limit.parameter], row.threshold)
        return peak, *(f"{words.name(station)} {words.name(rule.limit)}" for words in self._words.values())

    def _touched(self, row: Any, starts: Collection[int]) -> range:
        """Hours at which rolling statistics change with an episode; that an open one goes on changes none."""
        same = self._open.get(row.id) == (row.start, row.revision)
        if row.end is None:
            self._open[row.id] = (row.start, row.revision)
        else:
            self._open.pop(row.id, None)
        passed = self._passed.get(row.rule, -1)
        if same and row.end is None:
            return range(0)
        first = row.end if same else min([row.start, *starts])
        return range(first // HOUR, passed + 1)

    def _sliding(self, connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        changed: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            rule = self._rules.get(row.rule)
            if rule is None:
                continue
            passed = self._passed.get(row.rule, -1)
            if row.hour > passed:
                changed[row.rule].add(row.hour)
            else:
                changed[row.rule].update(range(row.hour, min(passed, row.hour + LONGEST_SPAN) + 1))
            if self._wanted("sliding_hour", row.serial, row.hour * HOUR, oldest):
                tags = self._rule_tags(rule)
                part = portion.parts[tags[0]]
                if self._worst_may_be_left(row):
                    part.deletions.append(_deletion("sliding", tags, row.hour * HOUR))
                values = (row.assessable.bit_count(), row.above.bit_count(), row.worst)
                part.add(self._line("sliding", tags, values, row.hour * HOUR))
        self._roll(connection, changed, portion)
        for row in rows:
            self._passed[row.rule] = max(row.hour, self._passed.get(row.rule, -1))
        portion.hour = self._hour = max([self._hour, *(row.hour for row in rows)])

    def _worst_may_be_left(self, row: Any) -> bool:
        """Whether the point of an hour that has no worst value may have had one; noted for the newest hour of a rule."""
        if row.worst is not None:
            self._silent.pop(row.rule, None)
            return False
        if row.hour > self._hour:
            self._silent[row.rule] = row.hour
            return False
        return self._silent.get(row.rule) != row.hour and self._may_hold("sliding_hour", row.serial)

    def _roll(self, connection: sa.Connection, changed: Mapping[str, Collection[int]], portion: Portion) -> None:
        """Rolling statistics at the hours that changed and that the limit was followed in, and those of the mines."""
        touched: dict[str, dict[str, Collection[int]]] = defaultdict(dict)
        for key, some in changed.items():
            if some:
                touched[self._rules[key].site][key] = some
        for sites in _parts(sorted(touched), _SITES_TOGETHER):
            mine = {site: {*touched[site], *self._beside(site, touched[site])} for site in sites}
            keys = sorted(chain.from_iterable(mine.values()))
            spans = [(min(some), max(some)) for site in sites for some in touched[site].values()]
            first = min(start for start, _ in spans) - LONGEST_SPAN - _CARRIED
            hours = self._hours(connection, keys, first, max(end for _, end in spans) + _CARRIED)
            episodes = self._episodes(connection, keys, first)
            for site in sites:
                self._rolled(site, {key: (hours[key], episodes[key]) for key in mine[site]}, touched[site], portion)

    def _beside(self, site: str, touched: Collection[str]) -> Collection[str]:
        """All legal limits of a mine, where one of them is touched."""
        legal = self._legal[site]
        return legal if not set(legal).isdisjoint(touched) else ()

    def _rolled(
        self,
        site: str,
        known: Mapping[str, tuple[Sequence[LimitHour], Sequence[tuple[int, int]]]],
        changed: Mapping[str, Collection[int]],
        portion: Portion,
    ) -> None:
        """Rolling statistics of one mine from hours and episodes of its limits."""
        part = portion.parts[self._sites[site].enterprise]
        followed = {key: [one.hour for one in hours] for key, (hours, _) in known.items()}
        standing = _standing_at({key: followed[key] for key in self._legal[site] if key in known}, changed)
        figures: dict[tuple[str, str, int], RollingFigures] = {}
        for key, (hours, episodes) in known.items():
            rule = self._rules[key]
            own = set(changed.get(key, ())).intersection(followed[key])
            at = sorted(own.union(some[key] for some in standing.values() if key in some))
            lower = all(threshold.high is None for threshold in rule.limit.thresholds)
            for span, hour, values in self._rolling(hours, episodes, at, lower=lower):
                figures[key, span, hour] = values
                if hour in own:
                    self._rolling_line("rolling", (*self._rule_tags(rule), span), values, hour, part)
        tags = (self._sites[site].enterprise, site)
        for hour, some in standing.items():
            for span in SPANS:
                of_limits = [figures[key, span, at] for key, at in some.items()]
                shares = [one.share for one in of_limits if one.share is not None]
                count, above = sum(one.episodes for one in of_limits), sum(one.minutes_above for one in of_limits)
                of_site = (count, above, max(shares, default=None))
                self._rolling_line("rolling_site", (*tags, span), of_site, hour, part)

    def _rolling_line(
        self, measurement: str, tags: tuple[str, ...], values: Sequence[Any], hour: int, part: Part
    ) -> None:
        time, since = hour * HOUR, self._cursor.since
        if time < self._oldest() or (since is not None and time < since and self._making_anew()):
            return
        if None in values and hour <= self._hour and not self._making_anew():
            part.deletions.append(_deletion(measurement, tags, time))
        part.add(self._line(measurement, tags, values, time))

    def _making_anew(self) -> bool:
        return any(self._positions[t] < self._cursor.anew(t) for t in ("sliding_hour", "exceedance"))

    @staticmethod
    def _hours(connection: sa.Connection, keys: Sequence[str], first: int, last: int) -> dict[str, list[LimitHour]]:
        table = schema.sliding_hour.c
        found: dict[str, list[LimitHour]] = {key: [] for key in keys}
        columns = (table.rule, table.hour, table.assessable, table.above, table.worst)
        within = (table.rule.in_(keys), table.hour >= first, table.hour <= last)
        for row in connection.execute(sa.select(*columns).where(*within).order_by(table.rule, table.hour)):
            worst = float("nan") if row.worst is None else row.worst
            found[row.rule].append(LimitHour(row.hour, row.assessable, row.above, worst))
        return found

    def _episodes(self, connection: sa.Connection, keys: Sequence[str], first: int) -> dict[str, list[tuple[int, int]]]:
        table = schema.exceedance.c
        found: dict[str, list[tuple[int, int]]] = {key: [] for key in keys}
        lasting = sa.or_(table.end.is_(None), table.end > first * HOUR)
        within = (table.rule.in_(keys), table.state != "withdrawn", lasting)
        for row in connection.execute(sa.select(table.rule, table.start, table.end).where(*within)):
            rule = self._rules[row.rule]
            end = _OPEN if row.end is None else first_minute(rule, row.end // MINUTE)
            found[row.rule].append((first_minute(rule, row.start // MINUTE), end))
        return found

    # The rest.

    def _health(self, connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        for row in rows:
            channel = self._channel(connection, row.channel)
            if channel is not None and self._wanted("health", row.serial, row.since, oldest):
                values = (row.state, _STATES.get(row.state), row.detail)
                portion.parts[channel.tags[0]].add(self._line("health", channel.tags, values, row.since))

    def _ledger(self, _connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        for row in rows:
            site = self._sites.get(row.site)
            if site is None:
                continue
            time = midnight(date.fromisoformat(row.day), site.zone)
            if self._wanted("ledger", row.serial, time, oldest):
                latency = row.latency_sum / row.stored if row.stored else None
                values = (
                    row.messages, row.received, row.stored, row.duplicate, row.conflict, row.rejected, row.late, row.reordered,
                    row.sequence_missing, latency,
                )  # fmt: skip
                portion.parts[site.enterprise].add(
                    self._line("ledger", (site.enterprise, site.id, row.device), values, time)
                )

    def _rejections(self, _connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        for row in rows:
            site = self._sites.get(row.site)
            if site is None and not self._all:
                continue
            known = site is not None and any(d.id == row.device for d in site.devices)
            # Only the registry's names become tags: whoever invents names shall not fill InfluxDB with series.
            tags = (
                "" if site is None else site.enterprise,
                "" if site is None else site.id,
                row.device if known else "",
            )
            if self._wanted("rejection", row.id, row.received, oldest):
                values = (row.readings, row.size, row.topic, row.detail)
                time = row.received * _SUBMILLISECOND + row.id % _SUBMILLISECOND
                portion.parts[tags[0]].add(self._line("rejection", (*tags, row.reason), values, time), "ns")

    def _marks(self, _connection: sa.Connection, rows: Sequence[Any], portion: Portion) -> None:
        oldest = self._oldest()
        for row in rows:
            site = self._sites.get(row.site)
            if site is not None and self._wanted("mark", row.id, row.start, oldest):
                values = (row.end, row.reason, row.author, row.parameter or "")
                time = row.start * _SUBMILLISECOND + row.id % _SUBMILLISECOND
                portion.parts[site.enterprise].add(
                    self._line("mark", (site.enterprise, site.id, row.station, row.kind), values, time), "ns"
                )

    # Common to all.

    def _line(self, measurement: str, tags: tuple[str, ...], values: Sequence[Any], time: int) -> str:
        key = (measurement, *tags)
        beginning = self._beginnings.get(key)
        if beginning is None:
            beginning = self._encoders[measurement].series(*tags)
            if measurement != "exceedance":  # each of its points is a series of its own
                self._beginnings[key] = beginning
        return self._encoders[measurement].line(beginning, values, time)

    def _rule_tags(self, rule: Rule) -> tuple[str, ...]:
        tags = self._tags.get(rule.key)
        if tags is None:
            tags = self._tags[rule.key] = rule_tags(self._registry, rule)
        return tags

    def _threshold(self, rule: Rule, time: int) -> Threshold | None:
        """The threshold in force at an instant [ms UTC]; None, too, where no calendar reaches."""
        try:
            return threshold_on(rule.limit, local(time, self._sites[rule.site].zone).date())
        except (ValueError, OverflowError, OSError):
            return None


def _blown_by(figures: Mapping[str, Sequence[float]]) -> tuple[int | None, tuple[float, ...]]:
    """Sector from which the wind came in an hour, with dust, speed and its parts from north and east; None where any is missing."""
    if not all(figures.values()):
        return None, (math.nan,) * 4
    turns = np.radians(figures["wind-direction"])
    turn = float(direction(np.cos(turns).sum(), np.sin(turns).sum(), np.array(len(turns))))
    if math.isnan(turn):
        return None, (math.nan,) * 4
    dust, speed = (figure_of_parts("arithmetic", figures[name]) for name in ("pm10", "wind-speed"))
    sector = int((turn + 180 / _SECTORS) // (360 / _SECTORS)) % _SECTORS
    return sector, (dust, speed, speed * math.cos(math.radians(turn)), speed * math.sin(math.radians(turn)))


def _standing_at(
    followed: Mapping[str, Sequence[int]], changed: Mapping[str, Collection[int]]
) -> dict[int, dict[str, int]]:
    """For each hour of a mine at which something changed, the newest hour of each of its limits that is not too old.

    Parameters
    ----------
    followed : mapping of sequence of int
        By limit the hours in which it was followed, in order.
    changed : mapping of collection of int
        By limit the hours at which its statistics changed.
    """
    together = sorted({hour for hours in followed.values() for hour in hours})
    found: dict[int, dict[str, int]] = {}
    for key, own in followed.items():
        for hour in changed.get(key, ()):
            place = bisect_left(own, hour)
            if place < len(own) and own[place] == hour:  # it stands until it is followed again, or is too old
                end = min([hour + _CARRIED, *own[place + 1 : place + 2]])
                for at in together[bisect_left(together, hour) : bisect_left(together, end)]:
                    found[at] = {}
    for at, some in found.items():
        for key, own in followed.items():
            place = bisect_right(own, at)
            if place and own[place - 1] > at - _CARRIED:
                some[key] = own[place - 1]
    return found


def rule_tags(registry: Registry, rule: Rule) -> tuple[str, ...]:
    """Return the tags of a limit at a station: enterprise, site, station, parameter, limit, kind, theme."""
    parameter = registry.channels[rule.channel].parameter
    limit = rule.key.rsplit("/", 1)[1]
    enterprise = registry.site(rule.site).enterprise
    return (enterprise, rule.site, rule.station, parameter.id, limit, rule.limit.kind, parameter.theme)


def _selection(name: str) -> sa.Select[Any]:
    """The columns of a table that are needed; of restated figures also whether one was lost that an earlier revision had."""
    table = schema.metadata.tables[name]
    if name == "reading_block":
        return sa.select(*COLUMNS)
    if name == "rejection":
        return sa.select(*(column for column in table.c if column.name != "payload"))
    if name not in _OPTIONAL:
        return sa.select(table)
    keys, optional = _OPTIONAL[name]
    earlier = table.alias()
    vanished = sa.exists().where(
        *(earlier.c[key] == table.c[key] for key in keys),
        earlier.c.revision < table.c.revision,
        sa.or_(*(table.c[name].is_(None) & earlier.c[name].is_not(None) for name in optional)),
    )
    newer = sa.exists().where(*(earlier.c[key] == table.c[key] for key in keys), earlier.c.revision > table.c.revision)
    retired = sa.and_(sa.not_(table.c.latest), sa.not_(newer))  # its window is none any more: the mine has another zone
    return sa.select(table, sa.and_(table.c.revision > 0, vanished).label("vanished"), retired.label("retired"))


_FIGURES: Final = itemgetter(
    *(schema.statistic.columns.keys().index(f.name) for f in BY_NAME["statistic"].fields if f.name != "revision")
)
"""The fields of a statistic, but for its revision, from its row."""
_OPTIONAL: Final = {
    "statistic": (("channel", "window", "start"), ("mean", "minimum", "maximum", "l10", "l50", "l90", "hours")),
    "verdict": (("rule", "start"), ("value", "judged", "low", "high")),
}
"""Identity of a restated row, and its columns that may be without a value."""


def _deletion(measurement: str, tags: Sequence[str], time: int) -> Deletion:
    names = [tag.name for tag in BY_NAME[measurement].tags]
    return Deletion(measurement, tuple((n, v) for n, v in zip(names, tags, strict=True) if v), time, time)


def _duration(row: Any) -> int | None:
    return None if row.end is None else (row.end - row.start) // MINUTE


def _parts(some: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for i in range(0, len(some), size):
        yield some[i : i + size]


def _asked(row: Any) -> str:
    return urlencode({"rule": row.rule, "start": local(row.start, UTC).isoformat()})
