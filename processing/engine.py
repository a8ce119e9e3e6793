"""The core: readings in, statistics, verdicts, exceedances and health out. No clock, no I/O: time comes with the readings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import SHORT, Limit, Threshold, Window, addressee, threshold_on
from greenmine.processing.alarms import AlarmEngine, SlidingHour
from greenmine.processing.calibration import Calibrations
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.exclusion import Exclusion, Mark
from greenmine.processing.flags import RANGE, counted, jumps, out_of_range, over_range, spikes
from greenmine.processing.health import Change, Health
from greenmine.processing.identity import Sorted, Stored, tell_apart
from greenmine.processing.levels import TOLD_APART, percentile_levels
from greenmine.processing.panes import MINUTE, UNTOUCHED, Block, Panes
from greenmine.processing.periods import PeriodFigures
from greenmine.processing.slide import HOUR, Slid, by_minute
from greenmine.processing.standing import Grounds
from greenmine.processing.statistics import Figures, figures
from greenmine.processing.validity import enough
from greenmine.processing.verdicts import Figure, Sufficiency, Verdict, judge
from greenmine.processing.wind import OBSTACLES
from greenmine.processing.windows import minute_of, moment_of, offset_minutes, thirds, windows_touching
from greenmine.readings import NORMAL, OVER, Readings
from greenmine.registry import Registry, Rule

DAY: Final = 1440
_MARGIN: Final = 240
"""What the ring holds beyond the longest window and the lateness [min]: full hours, and the durations of an alarm."""
_SEASONS: Final = (minute_of(datetime(2026, 1, 1, tzinfo=UTC)), minute_of(datetime(2026, 7, 1, tzinfo=UTC)))
"""When a zone's offset is looked at to tell the minute past the UTC hour at which its hours begin."""
_GAP: Final = 62 * DAY
"""Hours without any reading are issued over at most this long a gap [min]; beyond it a channel begins anew."""
_CELLS: Final = 1 << 18
"""Panes handled at once; keeps the working set within the cache."""
_AT_WORK: Final = np.isin(np.arange(256), np.frombuffer(b"MC", np.uint8))
"""Flags of readings taken while people work on the instrument."""
_FIELDS: Final = ("count", "total", "other", "low", "high", "over", "held")
_LN: Final = (10.0, 50.0, 90.0)

_NOTHING: Final = (np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.bool_))

Samples = Callable[[int, int, int], tuple[NDArray[np.int64], NDArray[np.float64]]]
"""Valid readings of a channel between two instants [ms], half-open: their times and calibrated values."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure over a legal window. Times are minutes since 1970 UTC, half-open; None where there is no figure.

    ``restated`` tells that the window may have been issued before.
    """

    channel: int
    window: Window
    start: int
    end: int
    mean: float | None
    minimum: float | None
    maximum: float | None
    count: int
    expected: float
    capture: float
    valid: bool
    hours: int | None
    excluded: int
    over: int
    suspect: int
    levels: tuple[float | None, float | None, float | None]
    restated: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict for one rule and legal period, ``start .. end``.

    ``begin .. finish`` is what was judged: the highest hour that ends in the period where any hour counts, else the period.
    """

    rule: int
    start: int
    end: int
    begin: int
    finish: int
    value: float | None
    capture: float
    threshold: Threshold
    verdict: Verdict
    restated: bool


@dataclass(frozen=True, slots=True)
class _Worst:
    """The worst valid hour of a period, and the minute with which it ends."""

    value: float
    capture: float
    minute: int
    corrected: bool


@dataclass(slots=True)
class Outcome:
    """What a batch led to.

    ``parts`` tells its readings apart; ``quality`` (uint8) goes with ``parts.fresh``, as does ``reordered`` (bool): older than
    the channel's newest reading before the batch. ``apart``: spans of sites [minutes since 1970 UTC, half-open] whose figures
    rest on channels that came further apart than the ring holds; they have to be restated from stored readings.
    """

    parts: Sorted
    quality: NDArray[np.uint8]
    reordered: NDArray[np.bool_]
    statistics: list[Statistic] = field(default_factory=list)
    verdicts: list[Judged] = field(default_factory=list)
    sliding: list[SlidingHour] = field(default_factory=list)
    exceedances: list[Exceedance] = field(default_factory=list)
    health: list[Change] = field(default_factory=list)
    apart: dict[str, tuple[int, int]] = field(default_factory=dict)


def nothing() -> Outcome:
    """An outcome without readings."""
    none = np.empty(0, np.intp)
    return Outcome(Sorted(none, none, none, none), np.empty(0, np.uint8), np.empty(0, np.bool_))


class Engine:
    """Statistics core of one partition of sites.

    Parameters
    ----------
    registry : Registry
        Channels, rules, conditions.
    stored : Stored
        Finds readings committed before.
    samples : Samples
        Finds raw readings where a percentile level cannot come from the histograms.
    lateness : int
        A reading this much older than its channel's newest still counts [min].
    grace : int
        A window is issued when its channel has moved this far past its end [min].
    silent_minutes : int
        See `greenmine.processing.health.Health`.
    marks : iterable of Mark
        Marks that are known at the start.
    begun : bool
        False: each channel is begun by ``panes.begin`` or by `forget`, before anything else is asked for it.

    Raises
    ------
    ValueError
        If the clocks of a site's zone change by a part of an hour (Australia/Lord_Howe is the only such zone).
    """

    def __init__(
        self,
        registry: Registry,
        stored: Stored,
        samples: Samples,
        *,
        lateness: int = DAY,
        grace: int = 2,
        silent_minutes: int = 15,
        marks: Iterable[Mark] = (),
        begun: bool = True,
    ) -> None:
        channels = registry.channels
        self.registry = registry
        self._stored = stored
        self._samples = samples
        self.grace = grace
        self.lateness = lateness
        shift = np.array([_shift(registry.site(c.site).zone) for c in channels], np.int64)
        self._shift = shift
        ring = DAY + -(-lateness // 60) * 60 + _MARGIN
        interval = np.array([c.interval for c in channels], np.int64)
        self.panes = Panes([c.parameter.averaging for c in channels], ring, shift, lateness, interval, begun=begun)
        # Readings are taken in by stretches so short that no window leaves the ring before it is issued.
        self._step = min(12 * 60, (ring - DAY - _MARGIN // 2) // 2)
        self.exclusion = Exclusion(registry, self.panes, marks)
        self.alarms = AlarmEngine(registry, self.panes, self.exclusion)
        self.periods = PeriodFigures(registry, self.panes, self.exclusion, self.alarms.slider)
        self.health = Health(registry, silent_minutes)
        self.issued: NDArray[np.int64] = np.full(len(channels), -1, np.int64)
        """End of the last hour issued for each channel [min]; -1 before the first reading."""
        self._low = np.array([c.parameter.low for c in channels])
        self._high = np.array([c.parameter.high for c in channels])
        self._upper = np.array([c.upper for c in channels])
        self._kind = np.array([c.parameter.averaging for c in channels], dtype=np.str_)
        self._due = np.array([60 * MINUTE / c.interval for c in channels])
        self._zone = [registry.site(c.site).zone for c in channels]
        self._spike = np.array([c.parameter.checks.spike or np.nan for c in channels])
        self._rate = np.array([c.parameter.checks.rate or np.nan for c in channels])
        self._slips = np.array([c.parameter.theme in ("dust", "water") for c in channels])
        self._span = np.minimum(-(-interval // MINUTE), HOUR)
        self._noise = np.array([c.parameter.theme == "noise" for c in channels])
        self._grounds = Grounds(registry)
        self.wild: NDArray[np.int64] = np.zeros((len(channels), 2), np.int64)
        self._calibrations = Calibrations(registry)
        self._current = _NOTHING
        self._rules: dict[tuple[int, Window], list[int]] = defaultdict(list)
        self._after = np.zeros(len(channels), np.int64)
        """How long after a minute the hours still hold it [min]: where any hour counts, the next clock hour's verdict does."""
        for rule in registry.rules:
            self._rules[rule.channel, _judged_with(rule.limit)].append(rule.index)
            if rule.limit.hour == "any":
                self._after[rule.channel] = HOUR - 1
        dependants = self._resting()
        self._fan = np.array([len(some) for some in dependants], np.intp)
        self._fan_start = np.cumsum(self._fan) - self._fan
        self._dependants = np.array([d for some in dependants for d in sorted(some)], np.intp)
        """Channels whose windows rest on another one; those of channel c are `_fan[c]` entries from `_fan_start[c]` on."""
        self._ahead = np.array([self.exclusion.span(c) - 1 for c in range(len(channels))], np.int64)
        self._apart = ring - DAY - _MARGIN + HOUR
        """So far apart [min] may a channel and those on which it rests come: the rings hold all windows of both."""
        pairs = sorted({pair for c, some in enumerate(dependants) for d in some for pair in ((c, d), (d, d))})
        self._touching, self._touched = (np.array([pair[k] for pair in pairs], np.intp) for k in (0, 1))

    def _resting(self) -> list[set[int]]:
        """For each channel those whose windows rest on it, besides itself."""
        dependants: list[set[int]] = [set() for _ in self.registry.channels]
        for rule in self.registry.rules:
            for source in self.alarms.slider.sources(rule):
                dependants[source].add(rule.channel)
            for source in rule.working.equipment if rule.working is not None else ():
                dependants[source].add(rule.channel)
        for source, noise in self.exclusion.weather_sources().items():
            dependants[source].update(noise)
        return dependants

    def calibrated(
        self, channel: NDArray[np.intp], time: NDArray[np.int64], value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Values after the calibration in force at each instant, sorted by channel; the raw values stay as they are."""
        return self._calibrations.applied(channel, time, value)

    def restore(
        self,
        readings: Iterable[tuple[Readings, NDArray[np.uint8]]],
        issued: NDArray[np.int64],
        exceedances: Iterable[Exceedance],
        next_id: int,
    ) -> None:
        """Build the panes again from stored readings, and take up the work where the record stands.

        Parameters
        ----------
        readings : iterable of (Readings, uint8 array)
            Sorted by channel and time, with their quality bits; the last days of every channel.
        issued : int64 array (channels,)
            End of the last hour issued [min], -1 if none.
        exceedances : iterable of Exceedance
            The stored episodes that are open or ended within the ring.
        next_id : int
            Identity for the next new episode.
        """
        for part, quality in readings:
            self.fill(part, quality)
        self.resume(issued, exceedances, next_id)

    def fill(self, readings: Readings, quality: NDArray[np.uint8]) -> None:
        """Take stored readings, sorted by channel and time, with their quality bits, into the panes, and issue nothing."""
        c = readings.channel.astype(np.intp)
        valid = counted(readings.flag, quality)
        value, over = self._bounded(c, readings)
        self.panes.add(c, readings.time, self.calibrated(c, readings.time, value), valid, over)
        self._hear(c, readings.time, readings, valid)

    def resume(
        self,
        issued: NDArray[np.int64],
        exceedances: Iterable[Exceedance],
        next_id: int,
        rules: Collection[int] | None = None,
    ) -> None:
        """Take up the work where the record stands, once the panes are filled; parameters as of `restore`.

        ``rules`` are the indices of the rules whose alarms are taken up; None: all. See `AlarmEngine.restore`.
        """
        # Where hours began otherwise in the zone of before, the one that was begun there is still to come.
        self.issued[:] = np.where(issued < 0, -1, self.hour_of(np.arange(len(issued)), issued))
        begun = (issued < 0) & (self.panes.head >= 0)
        self.issued[begun] = self.hour_of(np.flatnonzero(begun), self.panes.tail[begun])
        self.alarms.restore(exceedances, next_id, rules)

    def forget(self, channels: NDArray[np.intp]) -> None:
        """Empty the panes, the alarms and the health of channels, to be filled again."""
        self.panes.clear(channels)
        self.alarms.forget(channels)
        self.health.clear(channels)
        self.wild[channels] = 0
        self.issued[channels] = -1

    def ingest(self, readings: Readings, *, past: bool = False) -> Outcome:
        """Take in a batch in any order; finite times, channels of the registry.

        ``past``: the batch is a statement about the past. What is older than the lateness is no less new then: the spans are
        named in ``apart``, to be restated once it is stored.
        """
        parts = tell_apart(readings, self.panes, self._stored)
        behind = parts.late if past else parts.late[:0]
        parts = parts.accepted(readings) if len(behind) else parts
        fresh = readings.take(parts.fresh)
        channel, time = fresh.channel.astype(np.intp), fresh.time
        normal = (fresh.flag == NORMAL) | (fresh.flag == OVER)
        value, over = self._bounded(channel, fresh)
        wild = normal & out_of_range(value, self._low[channel], self._high[channel])
        outcome = Outcome(parts, wild.astype(np.uint8) * np.uint8(RANGE), time < self.panes.newest[channel])
        if len(behind):
            inside = self.panes.holds(channel, time // MINUTE)
            self._note_past(channel[~inside], time[~inside] // MINUTE, outcome)
            fresh = fresh.take(inside)
            channel, time, value = channel[inside], time[inside], value[inside]
            normal, over, wild = normal[inside], over[inside], wild[inside]
        if not len(time):
            return outcome
        value = self.calibrated(channel, time, value)
        valid = normal & ~wild
        if wild.any():
            np.add.at(self.wild, (channel[wild], 0), 1)
        self.wild[:, 1] += np.bincount(channel, minlength=len(self.wild))
        self._current = (channel, time, value, valid)
        step = self._step * MINUTE
        if time.min() // step == time.max() // step:
            self._take(channel, time, value, valid, over, outcome)
        else:
            stretch = time // step
            for number in np.unique(stretch):
                now = stretch == number
                self._take(channel[now], time[now], value[now], valid[now], over[now], outcome)
        self._current = _NOTHING  # stored from now on
        outcome.health.extend(self._hear(channel, time, fresh, valid))
        return outcome

    def _note_past(self, channel: NDArray[np.intp], minute: NDArray[np.int64], outcome: Outcome) -> None:
        """Note the spans that readings older than the lateness reach over, with what rests on their channels."""
        for number in np.unique(channel).tolist():
            mine = minute[channel == number]
            site = self.registry.channels[number].site
            begin, end = outcome.apart.get(site, (UNTOUCHED, -1))
            first = int(mine.min() - self._ahead[number])
            outcome.apart[site] = min(begin, first), max(end, int(mine.max()) + 1)

    def _bounded(self, channel: NDArray[np.intp], readings: Readings) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Values, and which of them are over range; those are cut to the end of the measuring or plausible range: lower bounds.

        A value above all that is plausible is none, and none is made of it; but where it came from the true one may be high.
        """
        flagged = readings.flag == OVER
        upper, high = self._upper[channel], self._high[channel]
        end = np.minimum(upper, high)
        cut = ((readings.flag == NORMAL) & (readings.value > upper)) | (flagged & (readings.value > end))
        over = over_range(readings.flag, readings.value, upper, high)
        return np.where(cut, end, readings.value) if cut.any() else readings.value, over

    def _hear(
        self, channel: NDArray[np.intp], time: NDArray[np.int64], readings: Readings, valid: NDArray[np.bool_]
    ) -> list[Change]:
        """Tell the health of valid readings, and of those under maintenance or calibration: work there is no silence."""
        if valid.all():
            return self.health.readings(channel, time, readings.value)
        heard = np.flatnonzero(valid | _AT_WORK[readings.flag])
        value = np.where(valid, readings.value, np.nan)
        return self.health.readings(channel[heard], time[heard], value[heard])

    def wait(self, now: int, waiting: NDArray[np.bool_]) -> Outcome:
        """Let time pass for channels from which nothing comes: their windows are issued, not assessable for lack of data.

        Parameters
        ----------
        now : int
            The clock [ms UTC].
        waiting : bool array (channels,)
            Channels that need not be waited for any longer, if nothing has come from them for a while.
        """
        outcome = nothing()
        overdue = waiting & (self.panes.head >= 0) & (now - self.panes.head * MINUTE > self.health.patience)
        rows = np.flatnonzero(overdue)
        if len(rows):
            self.go_on(rows, np.where(overdue, now // MINUTE, -1), outcome)
        outcome.health.extend(self.health.clock(now, waiting))
        return outcome

    def go_on(self, rows: NDArray[np.intp], until: NDArray[np.int64], outcome: Outcome) -> None:
        """Let channels from which nothing comes go on to a minute: what ends by then is issued."""
        none = np.empty((0, 2), np.int64)
        last_day = self.panes.head + DAY + 2 * 60 + self.grace
        self._issue(rows, none, outcome, np.minimum(until, last_day))  # whole, however long the gap
        self._issue(rows, none, outcome, until)
        alarms = self.alarms.evaluate(rows, until[rows], until)
        outcome.sliding.extend(alarms.hours)
        outcome.exceedances.extend(alarms.exceedances)

    def _take(
        self,
        channel: NDArray[np.intp],
        time: NDArray[np.int64],
        value: NDArray[np.float64],
        valid: NDArray[np.bool_],
        over: NDArray[np.bool_],
        outcome: Outcome,
    ) -> None:
        minute = time // MINUTE
        first = np.append(0, np.flatnonzero(channel[1:] != channel[:-1]) + 1)
        rows = channel[first]
        head = self.panes.head[rows]
        leap = (head >= 0) & (minute[first] > head + self._step)
        if leap.any():  # a long gap: what came before it would leave the ring
            until = np.full(len(self.panes), -1, np.int64)
            until[rows[leap]] = minute[first][leap]
            self.go_on(rows[leap], until, outcome)
        tail = self.panes.tail[rows]
        self.panes.add(channel, time, value, valid, over)
        self._drift(rows, minute[first], np.append(minute[first[1:] - 1], minute[-1]), outcome)
        new = self.issued[rows] < 0
        self.issued[rows[new]] = self.hour_of(rows[new], minute[first][new])
        again = np.empty((0, 2), np.int64)
        if ((minute[first] <= self.issued[rows]) | (self._fan[rows] > 0)).any():
            again = self._touched_again(channel, minute)
        if (self.panes.tail[rows] < tail).any():
            again = np.unique(np.concatenate([again, self._before_the_first(rows, tail)]), axis=0)
        self._issue(rows, again, outcome, None)
        alarms = self.alarms.evaluate(rows, self.panes.changed_since(rows, minute[first]))
        outcome.sliding.extend(alarms.hours)
        outcome.exceedances.extend(alarms.exceedances)

    def _drift(
        self, rows: NDArray[np.intp], first: NDArray[np.int64], last: NDArray[np.int64], outcome: Outcome
    ) -> None:
        """Note where a channel and one that rests on it have come too far apart for the rings; ``rows`` have new readings."""
        head, never = self.panes.head, np.int64(-1)
        if int((first - self._ahead[rows]).min()) >= int(head.max()) - self._apart:
            return
        sources = np.full(len(head), never)
        np.maximum.at(sources, self._touched, np.where(self._touching == self._touched, never, head[self._touching]))
        since, until = np.full(len(head), UNTOUCHED), np.full(len(head), never)
        since[rows], until[rows] = first - self._ahead[rows], last + 1
        of, to = self._touching, self._touched
        # What comes late for its own channel is held as long as it is accepted.
        newest = np.where(of == to, sources[to], np.maximum(sources, head)[to]) - self._apart
        for pair in np.flatnonzero((since[of] < newest) & (head[to] >= 0)).tolist():
            source, channel = int(of[pair]), int(to[pair])
            # From there on, it is evaluated again by sources that are further than their rings.
            again = min(int(head[channel]) + 1, int(sources[channel]) - self._apart)
            site = self.registry.channels[channel].site
            begin, end = outcome.apart.get(site, (UNTOUCHED, -1))
            outcome.apart[site] = min(begin, int(since[source])), max(end, int(until[source]), again)

    def hour_of(self, channel: NDArray[np.intp], minute: NDArray[np.int64]) -> NDArray[np.int64]:
        """First minute of the local hour that holds a minute."""
        shift = self._shift[channel]
        return (minute + shift) // 60 * 60 - shift

    def _touched_again(self, channel: NDArray[np.intp], minute: NDArray[np.int64]) -> NDArray[np.int64]:
        """Hours already issued that new readings touch, those of dependent channels included: rows (channel, start)."""
        distinct = np.flatnonzero(np.append(True, (channel[1:] != channel[:-1]) | (minute[1:] != minute[:-1])))
        channel, minute = channel[distinct], minute[distinct]
        fan = self._fan[channel]
        others = np.flatnonzero((minute <= self.issued[channel]) | (fan > 0))
        channel, minute, fan = channel[others], minute[others], fan[others]
        # Neighbouring minutes tell spikes and jumps, so the first and the last minute of an hour touch two hours.
        # A reading decides how many of those beside it count, too.
        steps = (-2, 0, 2, self._span[channel], self._after[channel])
        own = np.concatenate([self.hour_of(channel, minute + step) for step in steps])
        pairs = [np.stack([np.tile(channel, len(steps)), own], axis=1)]
        if fan.any():
            place = np.repeat(self._fan_start[channel] - np.cumsum(fan) + fan, fan) + np.arange(fan.sum())
            dependant = self._dependants[place]
            # A reading of the weather speaks for the minutes before it, too.
            pairs.extend(
                np.stack([dependant, self.hour_of(dependant, np.repeat(m, fan))], axis=1)
                for m in (minute, minute - self._ahead[channel])
            )
            touched = np.repeat(minute, fan) + self._after[dependant]
            pairs.append(np.stack([dependant, self.hour_of(dependant, touched)], axis=1))
        found = np.concatenate(pairs)
        c, start = found.T
        inside = (start < self.issued[c]) & (start > self.panes.head[c] - self.panes.minutes)
        inside &= (self.panes.tail[c] >= 0) & (start + 60 > self.panes.tail[c])
        return np.unique(found[inside], axis=0) if inside.any() else np.empty((0, 2), np.int64)

    def _before_the_first(self, rows: NDArray[np.intp], tail: NDArray[np.int64]) -> NDArray[np.int64]:
        """Hours from a channel's new first reading on, where it came after what followed it: rows (channel, start)."""
        now = self.hour_of(rows, self.panes.tail[rows])
        steps = np.where(tail < 0, 0, (self.hour_of(rows, tail) - now) // 60)
        back = np.repeat(steps - np.cumsum(steps), steps) + np.arange(steps.sum())
        return np.stack([np.repeat(rows, steps), np.repeat(now, steps) + 60 * back], axis=1)

    def _issue(
        self, rows: NDArray[np.intp], again: NDArray[np.int64], outcome: Outcome, until: NDArray[np.int64] | None
    ) -> None:
        """Issue the hours that are complete now, the hours touched again, and the longer windows of both."""
        reach = self.panes.head[rows] if until is None else np.maximum(self.panes.head[rows], until[rows])
        before = self.issued[rows]
        closing = np.maximum(before, self.hour_of(rows, reach - self.grace))
        begin = np.maximum(before, closing - _GAP)
        self.issued[rows] = closing
        counts = (closing - begin) // 60
        new_rows = np.repeat(rows, counts)
        offsets = np.arange(len(new_rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        new_starts = np.repeat(begin, counts) + 60 * offsets
        if len(new_rows):
            self._hours(new_rows, new_starts, outcome, restated=False)
        if len(again):
            self._hours(again[:, 0].astype(np.intp), again[:, 1], outcome, restated=True)
        if len(new_rows) or len(again):
            self._longer(rows, begin, closing, again, outcome)

    def _hours(self, channel: NDArray[np.intp], start: NDArray[np.int64], outcome: Outcome, *, restated: bool) -> None:
        for k in range(0, len(channel), _CELLS // 64):
            c, s = channel[k : k + _CELLS // 64], start[k : k + _CELLS // 64]
            wide = self.panes.block(c, s - 1, 62)
            block = Block(*(getattr(wide, f)[:, 1:61] for f in _FIELDS))
            excluded = self.exclusion.minutes(c, s, 60)
            found = figures(
                block, excluded, self._kind[c], self._due[c], self.registry.conditions.minutes_per_hour, None
            )
            suspect = self._suspect(c, wide)
            if not restated:
                outcome.health.extend(self._plausible(c, s, block))
            self._emit("hour", c, s, 60, found, suspect, outcome, restated=restated)

    def _suspect(self, channel: NDArray[np.intp], wide: Block) -> NDArray[np.int64]:
        """Minutes of each hour whose mean looks like a spike or a jump."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = wide.total / wide.count
            mean = np.where(self.panes.sound[channel][:, None], 10 * np.log10(mean), mean)
        minutes = np.arange(62) * MINUTE
        odd = spikes(mean, self._spike[channel][:, None]) | jumps(minutes, mean, self._rate[channel][:, None])
        found: NDArray[np.int64] = odd[:, 1:61].sum(axis=1)
        return found

    def _plausible(self, channel: NDArray[np.intp], start: NDArray[np.int64], block: Block) -> list[Change]:
        """Compare the quarters of dust and water hours with the day before: a unit slip shows as a factor of a thousand."""
        rows = np.flatnonzero(self._slips[channel])
        changes: list[Change] = []
        for k in range(0, len(rows), _CELLS // DAY):
            some = rows[k : k + _CELLS // DAY]
            c = channel[some]
            before = self.panes.block(c, start[some] - DAY, DAY)
            usual = _median(_means(before, 60))
            quarters = _means(Block(*(getattr(block, f)[some] for f in _FIELDS)), 15)
            with np.errstate(divide="ignore", invalid="ignore"):
                departure = np.nan_to_num(np.abs(np.log(np.abs(quarters / usual[:, None]))), nan=-1.0, posinf=-1.0)
                wild = self.wild[c, 0] / self.wild[c, 1]
            oddest = departure.argmax(axis=1)
            for i in np.flatnonzero(~np.isnan(usual) | (wild > 0)):
                quarter = int(oddest[i])
                since = (int(start[some[i]]) + 15 * quarter) * MINUTE
                mean = float(quarters[i, quarter])
                changes.extend(self.health.hour(int(c[i]), since, mean, float(usual[i]), float(wild[i])))
            self.wild[c] = 0
        return changes

    def _longer(
        self,
        rows: NDArray[np.intp],
        begin: NDArray[np.int64],
        closing: NDArray[np.int64],
        again: NDArray[np.int64],
        outcome: Outcome,
    ) -> None:
        wanted: dict[tuple[Window, int, bool], list[tuple[int, int]]] = defaultdict(list)
        listed: dict[tuple[Window, str, int, int], list[tuple[int, int]]] = {}

        def windows(window: Window, zone: str, first: int, last: int) -> list[tuple[int, int]]:
            key = (window, zone, first, last)
            if key not in listed:
                listed[key] = windows_touching(window, first, last, zone, self.registry.conditions)
            return listed[key]

        for c, first, last in zip(rows.tolist(), begin.tolist(), closing.tolist(), strict=True):
            if last > first:
                for window in self._windows_of(c):
                    for start, end in windows(window, self._zone[c], first, last):
                        if first < end <= last:
                            wanted[window, end - start, False].append((c, start))
        for c, hour in again.tolist():
            oldest = self.panes.head[c] - self.panes.minutes
            for window in self._windows_of(c):
                for start, end in windows(window, self._zone[c], hour, hour + 60):
                    if end <= self.issued[c] and start > oldest:
                        wanted[window, end - start, True].append((c, start))
        for (window, width, restated), pairs in wanted.items():
            chosen = np.array(sorted(set(pairs)), np.int64)
            for k in range(0, len(chosen), max(1, _CELLS // width)):
                c, s = chosen[k : k + max(1, _CELLS // width)].T
                self._window(window, c.astype(np.intp), s, width, outcome, restated=restated)

    def _windows_of(self, channel: int) -> tuple[Window, ...]:
        return ("day", "daytime", "nighttime") if self._noise[channel] else ("day",)

    def _window(
        self,
        window: Window,
        channel: NDArray[np.intp],
        start: NDArray[np.int64],
        width: int,
        outcome: Outcome,
        *,
        restated: bool,
    ) -> None:
        conditions = self.registry.conditions
        need = {
            "day": conditions.day_hours,
            "daytime": conditions.daytime_hours,
            "nighttime": conditions.nighttime_hours,
        }
        block = self.panes.block(channel, start, width)
        excluded = self.exclusion.minutes(channel, start, width)
        found = figures(
            block, excluded, self._kind[channel], self._due[channel], conditions.minutes_per_hour, need[window]
        )
        suspect = np.zeros(len(channel), np.int64)
        self._emit(window, channel, start, width, found, suspect, outcome, restated=restated)

    def _emit(
        self,
        window: Window,
        channel: NDArray[np.intp],
        start: NDArray[np.int64],
        width: int,
        found: Figures,
        suspect: NDArray[np.int64],
        outcome: Outcome,
        *,
        restated: bool,
    ) -> None:
        levels = self._levels(channel, start, width, found)
        hours = found.hours.tolist() if window != "hour" else [None] * len(channel)
        rows = zip(
            channel.tolist(),
            start.tolist(),
            found.mean.tolist(),
            found.minimum.tolist(),
            found.maximum.tolist(),
            found.count.tolist(),
            found.capture.tolist(),
            found.valid.tolist(),
            hours,
            found.excluded.tolist(),
            found.over.tolist(),
            suspect.tolist(),
            levels.tolist(),
            strict=True,
        )
        minutely: list[tuple[int, Statistic]] = []
        for c, s, mean, low, high, count, capture, valid, whole, left_out, over, odd, ln in rows:
            outcome.statistics.append(
                Statistic(
                    c,
                    window,
                    s,
                    s + width,
                    _figure(mean),
                    _figure(low),
                    _figure(high),
                    count,
                    float(self._due[c]) * width / 60,
                    capture,
                    valid,
                    whole,
                    left_out,
                    over,
                    odd,
                    (_figure(ln[0]), _figure(ln[1]), _figure(ln[2])),
                    restated,
                )
            )
            for index in self._rules.get((c, window), ()):
                rule = self.registry.rules[index]
                if rule.limit.window == "8h":
                    for first, last in thirds(s, s + width, self._zone[c]):
                        self._judge(index, replace(outcome.statistics[-1], start=first, end=last), outcome)
                elif not rule.limit.allowed and SHORT.get(rule.limit.window, HOUR) < HOUR:
                    self._judge_parts(rule, outcome.statistics[-1], outcome)
                elif self._by_hours(rule, s, s + width):
                    minutely.append((index, outcome.statistics[-1]))
                else:
                    self._judge(index, outcome.statistics[-1], outcome)
        self._judge_by_minute(minutely, outcome)

    def _levels(
        self, channel: NDArray[np.intp], start: NDArray[np.int64], width: int, found: Figures
    ) -> NDArray[np.float64]:
        """L10, L50, L90 of sound rows; from the samples where minutes were excluded or levels lie beyond the histogram."""
        out = np.full((len(channel), len(_LN)), np.nan)
        sound = np.flatnonzero(self.panes.sound[channel] & (found.count > 0))
        if not len(sound):
            return out
        c, s = channel[sound], start[sound]
        out[sound] = percentile_levels(self.panes.histogram(c, (s + self._shift[c]) // 60, width // 60), _LN)
        for row in sound[(found.excluded[sound] > 0) | np.isnan(out[sound]).any(axis=1)]:
            first, last = int(start[row]), int(start[row]) + width
            time, value = self._all_samples(int(channel[row]), first * MINUTE, last * MINUTE)
            excluded = self.exclusion.minutes(channel[row : row + 1], start[row : row + 1], width)
            if excluded is not None:
                value = value[~excluded[0, time // MINUTE - first]]
            if len(value):
                out[row] = np.percentile(value, [100.0 - p for p in _LN])
        return out

    def _all_samples(self, channel: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Stored samples, and those of the batch in work, which is not stored yet."""
        stored_time, stored_value = self._samples(channel, start, end)
        rows, time, value, valid = self._current
        mine = slice(*np.searchsorted(rows, (channel, channel + 1)))
        chosen = valid[mine] & (time[mine] >= start) & (time[mine] < end)
        return np.append(stored_time, time[mine][chosen]), np.append(stored_value, value[mine][chosen])

    def _judge_parts(self, rule: Rule, hour: Statistic, outcome: Outcome) -> None:
        """Judge the windows of minutes that an hour holds."""
        for part in self.periods.windows(rule, hour.start, hour.end):
            figure = _figure(part.value)
            self._judge(
                rule.index,
                replace(hour, start=part.start, end=part.end, mean=figure, capture=part.capture, over=int(part.over)),
                outcome,
            )

    def _by_hours(self, rule: Rule, start: int, end: int) -> bool:
        """Whether the worst hour of a period decides: any hour, or a period whose working time is not known."""
        if rule.working is None:
            return by_minute(rule) and rule.limit.statistic != "maximum"
        known = self.periods.working.minutes(rule, start, end - start)[1]
        return not enough(known.sum(), len(known) * self.registry.conditions.known_share)

    def _judge_by_minute(self, judged: Sequence[tuple[int, Statistic]], outcome: Outcome) -> None:
        """Judge periods by the worst of the hours, told by the minute, that end in them.

        References
        ----------
        GB 16297-1996, 8.2, and GB 29620-2013, 4.4 (any one-hour mean); GB 12348-2008, 5.4.3 (representative period).
        """
        spans: dict[int, list[Statistic]] = defaultdict(list)
        for index, statistic in judged:
            spans[index].append(statistic)
        groups: dict[tuple[int, int, int], list[tuple[int, list[Statistic]]]] = defaultdict(list)
        for index, some in spans.items():
            for run in _adjoining(some):
                groups[int(self.alarms.slider.kind[index]), run[0].start, run[-1].end].append((index, run))
        for (_, first, end), members in groups.items():
            size = max(1, _CELLS // (end - first))
            for k in range(0, len(members), size):
                some_members = members[k : k + size]
                rules = np.array([index for index, _ in some_members], np.intp)
                slid = self.alarms.slider.slide(rules, first, end - 1, HOUR)
                worst = np.nan_to_num(slid.excess, nan=-np.inf)
                for row, (index, run) in enumerate(some_members):
                    for statistic in run:
                        here = slice(statistic.start - first, statistic.end - first)
                        # Of equal ones the last: the clock hour itself rather than one that only ends in it.
                        at = here.stop - 1 - int(worst[row, here][::-1].argmax())
                        found, hidden = None, slid.masked[row, here]
                        if hidden.any():
                            loudest = np.where(hidden, slid.value[row, here], -np.inf)
                            masked = _hour(slid, row, here.start + int(loudest.argmax()), first)
                        else:
                            masked = None
                        if slid.assessable[row, at]:
                            found = _hour(slid, row, at, first)
                        self._judge(index, statistic, outcome, found, by_hours=True, masked=masked)

    def _judge(
        self,
        index: int,
        statistic: Statistic,
        outcome: Outcome,
        worst: _Worst | None = None,
        *,
        by_hours: bool = False,
        masked: _Worst | None = None,
    ) -> None:
        """Judge a period by its own figure, or by that of its worst hour.

        ``by_hours`` tells that its worst hour decides; ``worst`` is None then if no hour of it is valid. ``masked``: the
        loudest of the hours that are above the limit and cannot be told from their background.
        """
        rule = self.registry.rules[index]
        limit = rule.limit
        day = moment_of(statistic.start, self._zone[rule.channel]).date()
        threshold = threshold_on(limit, day)
        if threshold is None:
            return
        begin, finish = statistic.start, statistic.end
        figure = self._figure_for(rule, statistic, threshold, by_hours=by_hours)
        if any(start < finish and begin < end for start, end in self.alarms.slider.void.get(index, ())):
            figure = Figure(None, figure.capture, figure.hours, "calibration-drift")
        verdict = judge(limit, threshold, figure)
        if worst is not None:
            hourly = limit.window == "hour"
            highest = Figure(
                worst.value,
                worst.capture if hourly else statistic.capture,
                statistic.hours,
                over=figure.over and not hourly,
                corrected=worst.corrected,
                stands=True,
            )
            found = judge(limit, threshold, highest)
            # The worst hour condemns the period; to acquit it, its own data must suffice.
            if found.judgement == "exceeds" or not hourly or verdict.judgement != "not assessable":
                verdict, figure, begin, finish = found, highest, worst.minute - HOUR + 1, worst.minute + 1
        if masked is not None and verdict.judgement != "exceeds":
            background = rule.background_on(day)
            assert background is not None
            short = Sufficiency("background-too-high", masked.value - background, TOLD_APART)
            figure = Figure(masked.value, masked.capture, statistic.hours, sufficiency=short)
            verdict, begin, finish = judge(limit, threshold, figure), masked.minute - HOUR + 1, masked.minute + 1
        result = self.alarms.slider.references.ending_in(index, statistic.start)
        conditions: tuple[str, ...] = ()
        if result is not None:
            figure, begin, finish = Figure(result.value, 1.0), result.begin, result.finish
            verdict = judge(limit, threshold, figure)
        else:
            # One hour is enough to exceed; to meet takes all of the period.
            seen = (begin, finish) if verdict.judgement == "exceeds" else (statistic.start, statistic.end)
            conditions = self._reasons(rule, verdict, *seen, by_hours=by_hours)
        grounds = self._grounds.of(index, threshold, day, (begin, finish), confirmed=result is not None)
        verdict = replace(verdict, reasons=(*grounds, *conditions))
        outcome.verdicts.append(
            Judged(
                index,
                statistic.start,
                statistic.end,
                begin,
                finish,
                figure.value,
                figure.capture,
                threshold,
                verdict,
                statistic.restated,
            )
        )
        if not by_minute(rule):
            beyond = (
                self.periods.beyond(rule, statistic.start, statistic.end, verdict, threshold)
                if verdict.judgement == "exceeds"
                else []
            )
            outcome.exceedances.extend(self.alarms.period(index, statistic.start, statistic.end, beyond))

    def _reasons(self, rule: Rule, verdict: Verdict, begin: int, finish: int, *, by_hours: bool) -> tuple[str, ...]:
        """Why a verdict over the minutes ``begin .. finish - 1`` is indicative; nothing where it could not be judged.

        References
        ----------
        GB 12348-2008, 5.2.1 (no rain or snow, wind under 5 m/s): to be shown, not supposed; 5.2.2 (while the source works).
        """
        found = verdict.reasons
        if verdict.judgement == "not assessable" or addressee(rule.limit) == "own":
            return found
        if rule.limit.exclude_weather:
            used = self.periods.used(rule, begin, finish, working=not by_hours)
            known = used & self.exclusion.weather_known(rule.channel, begin, finish - begin)
            if not enough(known.sum(), used.sum() * self.registry.conditions.known_share):
                found = (*found, "weather-not-shown")
        if by_hours and rule.limit.period == "working":
            found = (*found, "working-time-unknown")
        _, state = self.alarms.slider.conversion(rule.index, begin, finish)
        if state:
            found = (*found, state)
        if rule.limit.statistic == "difference" and self.registry.conditions.suitability is not None:
            found = (*found, "stability-unknown")
        return found

    def _figure_for(self, rule: Rule, statistic: Statistic, threshold: Threshold, *, by_hours: bool) -> Figure:
        limit = rule.limit
        if limit.statistic == "difference":
            difference = self.alarms.slider.differences[rule.index]
            slid = difference.slide(self.exclusion, statistic.end - 1, 1, statistic.end - statistic.start)
            obstacle = OBSTACLES[int(slid.obstacle[0])] or None
            capture = float(np.nan_to_num(slid.capture[0]))
            return Figure(_figure(float(slid.value[0])), capture, None, obstacle, over=bool(slid.over[0]))
        over = statistic.over > 0
        if limit.allowed:
            return self.periods.counted(rule, statistic.start, statistic.end)
        if limit.statistic == "county-difference":
            return self.periods.less_county(rule, statistic.start, statistic.end, over=over)
        if self.periods.by_own_hours(rule):
            return self.periods.over_due_hours(rule, statistic.start, statistic.end, threshold)
        if rule.working is not None and not by_hours:
            return self.periods.at_work(rule, statistic.start, statistic.end, threshold)
        if by_hours:
            # No hour of the period is valid, so that there is nothing to judge.
            return Figure(
                self._converted(rule, statistic) if limit.window == "hour" else None,
                statistic.capture,
                statistic.hours,
                over=over,
            )
        if limit.event is not None:
            peaks = [event.peak for event in self.periods.events(rule, statistic.start, statistic.end)]
            return Figure(max(peaks, default=None), statistic.capture, statistic.hours, over=over, nothing=not peaks)
        value = statistic.maximum if limit.statistic == "maximum" else self._converted(rule, statistic)
        return Figure(value, statistic.capture, statistic.hours, over=over)

    def _converted(self, rule: Rule, statistic: Statistic) -> float | None:
        """Mean of a window in the state of gas of a rule's limit."""
        if statistic.mean is None or rule.index not in self.alarms.slider.gas:
            return statistic.mean
        return statistic.mean * self.alarms.slider.conversion(rule.index, statistic.start, statistic.end)[0]


def _hour(slid: Slid, row: int, at: int, first: int) -> _Worst:
    """The hour that ends with one of the minutes from ``first`` on."""
    return _Worst(
        value=float(slid.value[row, at]),
        capture=float(slid.capture[row, at]),
        minute=first + at,
        corrected=bool(slid.corrected[row, at]),
    )


def _judged_with(limit: Limit) -> Window:
    """The window with whose statistic the verdicts of a limit are issued."""
    if limit.allowed or limit.window == "8h":
        return "day"
    return "hour" if limit.window in SHORT else limit.window


def _adjoining(statistics: Iterable[Statistic]) -> list[list[Statistic]]:
    """The same in order of time, a list for each run without a gap."""
    runs: list[list[Statistic]] = []
    for statistic in sorted(statistics, key=lambda s: s.start):
        if runs and runs[-1][-1].end == statistic.start:
            runs[-1].append(statistic)
        else:
            runs.append([statistic])
    return runs


def _means(block: Block, width: int) -> NDArray[np.float64]:
    """Means over consecutive stretches of ``width`` panes; NaN where there is nothing."""
    shape = (len(block.count), -1, width)
    with np.errstate(divide="ignore", invalid="ignore"):
        means: NDArray[np.float64] = block.total.reshape(shape).sum(axis=2) / block.count.reshape(shape).sum(axis=2)
    return means


def _median(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower median of each row without its NaN; NaN for a row of nothing else."""
    ordered = np.sort(x, axis=1)
    middle = np.maximum((~np.isnan(x)).sum(axis=1) - 1, 0) // 2
    median: NDArray[np.float64] = np.take_along_axis(ordered, middle[:, None], axis=1)[:, 0]
    return median


def _shift(zone: str) -> int:
    first, second = (offset_minutes(zone, minute) % 60 for minute in _SEASONS)
    if first != second:
        raise ValueError(
            f"zone {zone}: its clocks change by {abs(first - second)} minutes; only whole hours can be handled"
        )
    return first


def _figure(value: float) -> float | None:
    return None if np.isnan(value) else value
