"""The sliding statistic of every rule, minute by minute, and the exceedances that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import Alarm, Limit, threshold_on
from greenmine.processing.exceedances import Exceedance, episodes, latch, restated
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.levels import level
from greenmine.processing.panes import Panes
from greenmine.processing.rounding import round_array
from greenmine.processing.sliding import sliding_maximum, sliding_sum
from greenmine.processing.statistics import EPSILON
from greenmine.processing.wind import DownwindDifference
from greenmine.processing.windows import minute_of, moment_of, windows_touching
from greenmine.registry import Registry, Rule

_ROWS: Final = 256
"""Rules evaluated together; keeps the working set within the cache."""
_LASTING: Final = np.uint8(1)
"""State of a minute: an episode lasts."""
_ABOVE: Final = np.uint8(2)
"""State of a minute: the statistic is beyond the threshold."""
_BITS: Final = np.left_shift(np.uint64(1), np.arange(60, dtype=np.uint64))


def _alarm(rule: Rule) -> Alarm:
    assert rule.limit.alarm is not None
    return rule.limit.alarm


@dataclass(frozen=True, slots=True)
class SlidingHour:
    """One hour of one rule's sliding statistic; see `greenmine.processing.rolling.SlidingHours`."""

    rule: int
    hour: int
    assessable: int
    above: int
    worst: float


@dataclass(frozen=True, slots=True)
class Alarms:
    """What an evaluation found: hours to store anew, and exceedances that are new or changed."""

    hours: list[SlidingHour] = field(default_factory=list)
    exceedances: list[Exceedance] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Slid:
    """Sliding statistics of k rules over m minutes."""

    value: NDArray[np.float64]
    assessable: NDArray[np.bool_]
    high: NDArray[np.float64]
    low: NDArray[np.float64]


class AlarmEngine:
    """One alarm engine for live data and replay.

    Parameters
    ----------
    registry : Registry
        Its rules with an alarm are watched.
    panes : Panes
        Shared with the statistics.
    exclusion : Exclusion
        Minutes that do not count.
    """

    def __init__(self, registry: Registry, panes: Panes, exclusion: Exclusion) -> None:
        self._registry = registry
        self._panes = panes
        self._exclusion = exclusion
        self.rules: tuple[Rule, ...] = tuple(r for r in registry.rules if r.limit.alarm is not None)
        self._row = {r.index: i for i, r in enumerate(self.rules)}
        self._channel = np.array([r.channel for r in self.rules], np.intp)
        self._zone = [registry.site(r.site).zone for r in self.rules]
        self._differences = {
            i: DownwindDifference(registry, r) for i, r in enumerate(self.rules) if r.limit.statistic == "difference"
        }
        self._kind = [_kind(registry, r) for r in self.rules]
        self.evaluated: NDArray[np.int64] = np.full(len(self.rules), -1, np.int64)
        """Last minute evaluated of each rule; -1 before the first."""
        longest = max((_alarm(r).sliding_minutes + _alarm(r).lost_minutes for r in self.rules), default=0)
        self._length = panes.minutes + longest + 60
        self._state: NDArray[np.uint8] = np.zeros((len(self.rules), self._length), np.uint8)
        """What each minute was found to be, in a ring that reaches as far as the panes and the waiting beyond them."""
        self._known: dict[int, list[Exceedance]] = defaultdict(list)
        self._next_id = 1
        self._dependants: dict[int, list[int]] = defaultdict(list)
        weather = exclusion.weather_sources()
        for i, rule in enumerate(self.rules):
            sources = self._differences[i].channels if i in self._differences else (rule.channel,)
            for source in sources:
                self._dependants[source].append(i)
        self._ahead: dict[int, int] = {}
        for source, noise in weather.items():
            self._ahead[source] = exclusion.span(source) - 1
            for channel in noise:
                self._dependants[source].extend(
                    i for i in self._dependants[channel] if i not in self._dependants[source]
                )

    def restore(self, known: Iterable[Exceedance], next_id: int) -> None:
        """Take over the stored episodes, then find the state of the ring again without reporting it."""
        for exceedance in known:
            if exceedance.rule in self._row:
                self._known[self._row[exceedance.rule]].append(exceedance)
        self._next_id = next_id
        rows: dict[int, int] = {}
        for row in map(int, np.flatnonzero(self._panes.head[self._channel] >= 0)):
            first = self._earliest(row)
            alarm = _alarm(self.rules[row])
            active = any(
                e.start + alarm.delay_minutes <= first and (e.end is None or e.end + alarm.clear_minutes > first)
                for e in self._open(row, first - alarm.clear_minutes)
            )
            self._state[row, (first - 1) % self._length] = _LASTING if active else 0
            self.evaluated[row] = first - 1
            rows[row] = first
        self._evaluate(rows, None, report=False)

    def evaluate(self, dirty: dict[int, int], until: NDArray[np.int64] | None = None) -> Alarms:
        """Evaluate the complete minutes that new readings touched.

        Parameters
        ----------
        dirty : dict of int to int
            For each channel with new readings, the earliest minute that changed.
        until : int64 array (channels,), optional
            Minute up to which a channel without news is taken as complete; the head of its panes if not given.
        """
        rows: dict[int, int] = {}
        for channel in self._dependants.keys() & dirty.keys():
            minute = dirty[channel]
            for row in self._dependants[channel]:
                changed = minute - self._ahead.get(channel, 0)
                rows[row] = min(changed, rows.get(row, changed))
        return self._evaluate(rows, until, report=True)

    def _earliest(self, row: int) -> int:
        """First minute whose whole window the ring still shows: a full hour, or that of the channel's first reading."""
        channel = self._channel[row]
        oldest = int(self._panes.head[channel]) - self._panes.minutes + _alarm(self.rules[row]).sliding_minutes
        return max(-(-oldest // 60) * 60, int(self._panes.tail[channel]))

    def _open(self, row: int, since: int) -> list[Exceedance]:
        """Episodes of a rule that may reach into the minutes from ``since`` on."""
        return [e for e in self._known[row] if not e.withdrawn and (e.end is None or e.end >= since)]

    def _evaluate(self, rows: dict[int, int], until: NDArray[np.int64] | None, *, report: bool) -> Alarms:
        alarms = Alarms()
        groups: dict[tuple[int, int, int, tuple[object, ...]], list[tuple[int, int]]] = defaultdict(list)
        for row, changed in rows.items():
            channel = int(self._channel[row])
            head = int(self._panes.head[channel])
            if head < 0:
                continue
            alarm = _alarm(self.rules[row])
            if self.evaluated[row] < 0:
                self.evaluated[row] = int(self._panes.tail[channel]) - 1
            last = max(head - 1, int(self.evaluated[row]))
            if until is not None:
                # Later than this nothing can be assessed any more, and every episode has ended.
                settled = head + alarm.sliding_minutes + alarm.lost_minutes
                last = max(last, min(int(until[channel]) - 1, settled))
            if min(changed, int(self.evaluated[row]) + 1) > last:
                continue
            earliest = self._earliest(row)
            dirty = max(min(changed, int(self.evaluated[row]) + 1), earliest)
            if dirty > last:
                continue
            margin = max(alarm.delay_minutes, alarm.clear_minutes, alarm.lost_minutes)
            first = min([dirty, *(e.start - margin for e in self._open(row, dirty - margin))])
            first = max(first // 60 * 60, earliest)
            base = max(first - margin, earliest)
            groups[base, first, last, self._kind[row]].append((row, dirty))
        for (base, first, last, _), members in groups.items():
            for k in range(0, len(members), _ROWS):
                self._evaluate_group(members[k : k + _ROWS], (base, first, last), alarms, report=report)
        return alarms

    def _evaluate_group(
        self, members: Sequence[tuple[int, int]], span: tuple[int, int, int], alarms: Alarms, *, report: bool
    ) -> None:
        """Evaluate rules of one kind from ``first`` to ``last``; from ``base`` on, their past is needed to tell runs."""
        base, first, last = span
        lead = first - base
        rows = np.array([m[0] for m in members], np.intp)
        alarm = _alarm(self.rules[rows[0]])
        slid = self._slide(rows, base, last)
        with np.errstate(invalid="ignore"):
            above = slid.assessable & ((slid.value > slid.high) | (slid.value < slid.low))
            cleared = slid.assessable & ~(
                (slid.value > slid.high - alarm.hysteresis) | (slid.value < slid.low + alarm.hysteresis)
            )
            excess = np.fmax(slid.value - slid.high, slid.low - slid.value)
        places = np.arange(base - 1, last + 1) % self._length
        before = self._state[rows[:, None], places]
        before[np.arange(base - 1, last + 1) > self.evaluated[rows][:, None]] = 0
        stored = (before[:, : lead + 1] & _LASTING) != 0
        lasts = latch(above, cleared, slid.assessable, alarm, stored[:, -1], lead)
        lasts[:, :lead] = stored[:, 1:]
        self._state[rows[:, None], places[lead + 1 :]] = (lasts * _LASTING + above * _ABOVE)[:, lead:]
        self.evaluated[rows] = last
        if not report:
            return
        known = np.array([bool(self._open(int(r), base)) for r in rows])
        for k in np.flatnonzero(lasts.any(axis=1) | known):
            cut = base > self._panes.tail[self._channel[rows[k]]]
            active = bool(stored[k, 0])
            found = episodes(lasts[k], above[k], cleared[k], excess[k], alarm, active=active, lead=lead, cut=bool(cut))
            bounds = np.where(slid.value[k] < slid.low[k], slid.low[k], slid.high[k])
            restated_now = [
                Exceedance(
                    id=-1 if e.continues else 0,
                    rule=self.rules[rows[k]].index,
                    start=base + e.start,
                    end=None if e.end is None else base + e.end,
                    peak=float(slid.value[k, e.peak]),
                    peak_minute=base + e.peak,
                    threshold=float(bounds[e.start]),
                    minutes=e.minutes,
                )
                for e in found
            ]
            was_above = (before[k, 1:] & _ABOVE) != 0
            alarms.exceedances.extend(self._reconcile(int(rows[k]), base, first, restated_now, was_above))
        alarms.hours.extend(self._hours(members, base, slid, above, excess))

    def _reconcile(
        self, row: int, base: int, first: int, found: list[Exceedance], was_above: NDArray[np.bool_]
    ) -> list[Exceedance]:
        """Match what was found from ``first`` on with what is known: new, changed and withdrawn episodes.

        ``was_above`` tells of the minutes from ``base`` on how they stood at the evaluation before.
        """
        candidates = self._open(row, base)
        changes = []
        for new in found:
            end = new.end
            match = next(
                (e for e in candidates if (end is None or e.start <= end) and (e.end is None or e.end >= new.start)),
                None,
            )
            if match is None:
                kept = replace(new, id=self._next_id)
                self._next_id += 1
                self._known[row].append(kept)
                changes.append(kept)
                continue
            candidates.remove(match)
            if new.id < 0:  # it began before what the ring can show: its first part stands as it was
                worse = (
                    new.peak
                    if new.minutes and abs(new.peak - new.threshold) > abs(match.peak - match.threshold)
                    else match.peak
                )
                minute = new.peak_minute if worse != match.peak else match.peak_minute
                counted = int(was_above[: None if match.end is None else max(match.end - base, 0)].sum())
                new = replace(  # noqa: PLW2901 - the same episode, completed
                    new,
                    start=match.start,
                    peak=worse,
                    peak_minute=minute,
                    threshold=match.threshold,
                    minutes=match.minutes - counted + new.minutes,
                )
            changed = restated(match, new)
            if changed is not None:
                self._known[row][self._known[row].index(match)] = changed
                changes.append(changed)
        for gone in candidates:
            if gone.start >= first:
                changed = replace(gone, withdrawn=True, revision=gone.revision + 1)
            elif gone.end is None:
                changed = replace(gone, end=first)
            else:
                continue
            self._known[row].remove(gone)
            changes.append(changed)
        horizon = first - 2 * self._panes.minutes
        self._known[row] = [e for e in self._known[row] if e.end is None or e.end > horizon]
        return changes

    def _hours(
        self,
        members: Sequence[tuple[int, int]],
        base: int,
        slid: _Slid,
        above: NDArray[np.bool_],
        excess: NDArray[np.float64],
    ) -> list[SlidingHour]:
        """The hours from each rule's first changed minute on, whole."""
        lead = base % 60
        width = -(-(lead + above.shape[1]) // 60) * 60
        tail = width - lead - above.shape[1]
        pad = ((0, 0), (lead, tail))
        shape = (len(members), width // 60, 60)
        assessable = (np.pad(slid.assessable, pad).reshape(shape) * _BITS).sum(axis=2)
        beyond = (np.pad(above, pad).reshape(shape) * _BITS).sum(axis=2)
        ranked = np.pad(np.where(slid.assessable, excess, -np.inf), pad, constant_values=-np.inf).reshape(shape)
        values = np.pad(slid.value, pad, constant_values=np.nan).reshape(shape)
        place = ranked.argmax(axis=2)
        worst = np.take_along_axis(values, place[:, :, None], axis=2)[:, :, 0]
        worst = np.where(assessable > 0, worst, np.nan)
        out: list[SlidingHour] = []
        hour = base // 60
        for k, (row, dirty) in enumerate(members):
            rule = self.rules[row].index
            since = max(dirty // 60 - hour, 0)
            out.extend(
                SlidingHour(rule, hour + j, int(assessable[k, j]), int(beyond[k, j]), float(worst[k, j]))
                for j in range(since, shape[1])
            )
        return out

    def _slide(self, rows: NDArray[np.intp], first: int, last: int) -> _Slid:
        """Sliding statistic, its validity and the thresholds for the minutes ``first .. last``."""
        limit = self.rules[rows[0]].limit
        width, count = _alarm(self.rules[rows[0]]).sliding_minutes, last - first + 1
        if limit.statistic == "difference":
            value, assessable = self._slide_differences(rows, first, count, width)
        else:
            value, assessable = self._slide_means(rows, first, count, width)
        # Nine digits even for a comparison of full values: the order of summation must not decide.
        value = round_array(value, limit.rounding.digits if limit.rounding.compare == "rounded" else 9)
        high, low = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
        for zone, name in {(self._zone[r], self.rules[r].limit) for r in rows}:
            mine = [self._zone[r] == zone and self.rules[r].limit == name for r in rows]
            high[mine], low[mine] = _thresholds(name, zone, first, count)
        in_force = ~(np.isnan(high) & np.isnan(low))
        return _Slid(value, assessable & in_force, high, low)

    def _slide_differences(
        self, rows: NDArray[np.intp], first: int, count: int, width: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        slid = [self._differences[int(r)].slide(self._panes, first, count, width) for r in rows]
        need = np.array([_least_share(self.rules[r].limit, width) for r in rows])
        share = np.stack([s.share for s in slid])
        formed = np.stack([s.obstacle == 0 for s in slid])
        return np.stack([s.value for s in slid]), formed & (share >= need[:, None] * (1 - EPSILON))

    def _slide_means(
        self, rows: NDArray[np.intp], first: int, count: int, width: int
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        limit = self.rules[rows[0]].limit
        channel = self._channel[rows]
        start = np.full(len(rows), first - width + 1)
        span = count + width - 1
        block = self._panes.block(channel, start, span)
        keep = self._period(limit, self._zone[rows[0]], first - width + 1, span)
        excluded = self._exclusion.minutes(channel, start, span)
        used = np.broadcast_to(keep, block.count.shape) if excluded is None else keep & ~excluded
        everything = bool(used.all())
        counts = sliding_sum(np.where(used, block.count, 0).astype(np.float64), width)
        due = np.array([60_000 / self._registry.channels[c].interval for c in channel]) * width
        need = np.array([_least_share(self.rules[r].limit, width) for r in rows])
        assessable = (counts > 0) & (counts >= (due * need)[:, None] * (1 - EPSILON))
        averaging = self._registry.channels[channel[0]].parameter.averaging
        if limit.statistic == "maximum" or averaging == "maximum":
            value = sliding_maximum(np.where(used, block.high, -np.inf), width)
            # A maximum beyond the limit stands however little data there is around it.
            assessable = counts > 0
        else:
            total = sliding_sum(block.total if everything else np.where(used, block.total, 0.0), width)
            with np.errstate(divide="ignore", invalid="ignore"):
                value = total if averaging == "sum" else total / counts
            if averaging == "energy":
                value = level(value)
        return np.where(assessable, value, np.nan), assessable

    def _period(self, limit: Limit, zone: str, first: int, count: int) -> NDArray[np.bool_]:
        """Minutes of the day or night period, for limits that only hold then."""
        if limit.window not in {"daytime", "nighttime"}:
            return np.ones(count, np.bool_)
        inside = np.zeros(count, np.bool_)
        for start, end in windows_touching(limit.window, first, first + count, zone, self._registry.conditions):
            inside[max(0, start - first) : end - first] = True
        return inside


def _kind(registry: Registry, rule: Rule) -> tuple[object, ...]:
    """What rules must share to be evaluated together."""
    limit, channel = rule.limit, registry.channels[rule.channel]
    zone = registry.site(rule.site).zone
    return (
        limit.statistic,
        limit.window,
        limit.alarm,
        limit.validity,
        limit.rounding,
        channel.parameter.averaging,
        channel.interval,
        zone,
    )


def _least_share(limit: Limit, width: int) -> float:
    """Share of the due readings that makes a sliding statistic assessable, after the limit's own validity rule."""
    share = limit.validity.minutes_per_hour / 60
    if width > 60 and limit.validity.hours is not None:
        share *= min(1.0, limit.validity.hours / (width / 60))
    return share


def _thresholds(limit: Limit, zone: str, first: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Thresholds in force at each minute; NaN where the limit has none."""
    high, low = np.full(count, np.nan), np.full(count, np.nan)
    minute = first
    while minute < first + count:
        local = moment_of(minute, zone)
        midnight = datetime.combine(local.date() + timedelta(days=1), time(0), ZoneInfo(zone))
        nxt = minute_of(midnight)
        threshold = threshold_on(limit, local.date())
        if threshold is not None:
            piece = slice(minute - first, nxt - first)
            high[piece] = np.nan if threshold.high is None else threshold.high
            low[piece] = np.nan if threshold.low is None else threshold.low
        minute = nxt
    return high, low
