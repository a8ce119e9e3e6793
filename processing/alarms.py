"""The sliding statistic of every rule, minute by minute, and the exceedances that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.exceedances import Beyond, Exceedance, episodes, latch, of_period, restated
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.panes import UNTOUCHED, Panes
from greenmine.processing.slide import Slid, Slider, by_minute
from greenmine.registry import Registry, Rule

_CELLS: Final = 1 << 17
"""Minutes of rules evaluated together; keeps the working set within the cache."""
_STEP: Final = 6
"""Minutes of a piece of an hour, with which an evaluation begins; divides 60."""
_LASTING: Final = np.uint8(1)
"""State of a minute: an episode lasts."""
_ABOVE: Final = np.uint8(2)
"""State of a minute: the statistic is beyond the threshold."""

T = TypeVar("T", bound=np.generic)


class SlidingHour(NamedTuple):
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


class AlarmEngine:
    """One alarm engine for live data and replay.

    Limits that are judged by the minute have their exceedances from here; those of a whole period have them from their
    verdicts, and what slides here is an early warning.

    Parameters
    ----------
    registry : Registry
        Its rules whose limit slides are watched.
    panes : Panes
        Shared with the statistics.
    exclusion : Exclusion
        Minutes that do not count.
    """

    def __init__(self, registry: Registry, panes: Panes, exclusion: Exclusion) -> None:
        self._panes = panes
        self.slider = Slider(registry, panes, exclusion)
        self.rules: tuple[Rule, ...] = tuple(r for r in registry.rules if r.index in self.slider.alarms)
        self._channel = np.array([r.channel for r in self.rules], np.intp)
        self._index = np.array([r.index for r in self.rules], np.intp)
        self._row = {rule.index: row for row, rule in enumerate(self.rules)}
        self._minutely = np.array([by_minute(r) for r in self.rules], np.bool_)
        self._alarm = [self.slider.alarms[r.index] for r in self.rules]
        self._width = np.array([a.sliding_minutes for a in self._alarm], np.int64)
        self._lost = np.array([a.lost_minutes for a in self._alarm], np.int64)
        self._margin = np.array([max(a.delay_minutes, a.clear_minutes, a.lost_minutes) for a in self._alarm], np.int64)
        """How long the longest run is that tells where an episode of each rule begins or ends [min]."""
        self.evaluated: NDArray[np.int64] = np.full(len(self.rules), -1, np.int64)
        """Last minute evaluated of each rule; -1 before the first."""
        longest = max((a.sliding_minutes + a.lost_minutes for a in self._alarm), default=0)
        self.length = panes.minutes + longest + 60
        """Of the ring of states [min]."""
        self._state: NDArray[np.uint8] = np.zeros((len(self.rules), self.length), np.uint8)
        """What each minute was found to be, in a ring that reaches as far as the panes and the waiting beyond them."""
        self._marked: NDArray[np.int64] = np.full(len(self.rules), -1, np.int64)
        """Last minute of each rule whose state is not 0; -1 if there is none. A later one than that after a restatement."""
        count = len(self.rules)
        self._hour: NDArray[np.int64] = np.full(count, -1, np.int64)
        """Hour since 1970 in which each rule was evaluated last, and of which is kept what tells it whole from a later piece on;
        -1 if there is none."""
        self._words: NDArray[np.uint64] = np.zeros((2, count), np.uint64)
        """Minutes of that hour that were assessable, and above, a bit each."""
        self._worst: NDArray[np.float64] = np.full((2, count, 60 // _STEP), np.nan)
        """The worst excess of each of its pieces, and the value of the same minute; NaN where nothing was assessable."""
        self._known: dict[int, list[Exceedance]] = defaultdict(list)
        """Episodes that may still change, by the index of their rule."""
        self.next_id = 1
        """Identity of the next new episode."""
        dependants: list[set[int]] = [set() for _ in registry.channels]
        for i, rule in enumerate(self.rules):
            for source in (rule.channel, *self.slider.sources(rule)):
                dependants[source].add(i)
        weather = exclusion.weather_sources()
        self._ahead = np.array([exclusion.span(c) - 1 if c in weather else 0 for c in range(len(dependants))], np.int64)
        for source, noise in weather.items():
            dependants[source].update(*(dependants[channel] for channel in noise))
        self._fan = np.array([len(some) for some in dependants], np.intp)
        self._fan_start = np.cumsum(self._fan) - self._fan
        self._dependants = np.array([i for some in dependants for i in sorted(some)], np.intp)
        """Rows of the rules that rest on a channel; those of channel c are `_fan[c]` entries from `_fan_start[c]` on."""

    def kept(self, rows: slice) -> dict[str, NDArray[Any]]:
        """Views of what is known of neighbouring rules' minutes, by name."""
        return {"state": self._state[rows], "evaluated": self.evaluated[rows], "marked": self._marked[rows]}

    def forget(self, channels: NDArray[np.intp]) -> None:
        """Forget the minutes of the rules that judge channels, so that `restore` finds them again."""
        some = np.flatnonzero(np.isin(self._channel, channels))
        self._state[some], self.evaluated[some], self._marked[some], self._hour[some] = 0, -1, -1, -1

    def restore(self, known: Iterable[Exceedance], next_id: int, rules: Collection[int] | None = None) -> None:
        """Take over the stored episodes of rules, or of all, then find their minutes again without reporting them.

        Where minutes of a rule are known already, only those are evaluated that were touched since then. What is newer than they
        are is left to the next evaluation, unless an episode is known there.
        """
        chosen = set(range(len(self.rules)) if rules is None else (self._row[i] for i in rules if i in self._row))
        for index in list(self._known) if rules is None else rules:
            self._known.pop(index, None)
        for exceedance in known:
            self._known[exceedance.rule].append(exceedance)
        self.next_id = next_id
        touched = np.flatnonzero(self._panes.touched != UNTOUCHED)
        since = self._dependent(touched, self._panes.touched[touched] - 1)
        for row in np.flatnonzero(since != UNTOUCHED).tolist():
            if row not in chosen or not self._is_behind(row, int(since[row])):
                since[row] = UNTOUCHED
        some = np.array([row for row in sorted(chosen) if self.evaluated[row] < 0], np.intp)
        some = some[self._panes.head[self._channel[some]] >= 0]
        for row, first in zip(some.tolist(), self._earliest(some).tolist(), strict=True):
            alarm = self._alarm[row]
            active = any(
                e.start + alarm.delay_minutes <= first and (e.end is None or e.end + alarm.clear_minutes > first)
                for e in self._open(row, first - alarm.clear_minutes)
            )
            self._state[row, (first - 1) % self.length] = _LASTING if active else 0
            self._marked[row] = first - 1 if active else -1
            self.evaluated[row] = first - 1
            since[row] = first
        self._evaluate(since, None, report=False)

    def evaluate(
        self, channel: NDArray[np.intp], dirty: NDArray[np.int64], until: NDArray[np.int64] | None = None
    ) -> Alarms:
        """Evaluate the complete minutes that new readings touched.

        Parameters
        ----------
        channel : int array (n,)
            Channels with new readings, each once.
        dirty : int64 array (n,)
            The earliest minute of each that changed.
        until : int64 array (channels,), optional
            Minute up to which a channel without news is taken as complete; the head of its panes if not given.
        """
        return self._evaluate(self._dependent(channel, dirty), until, report=True)

    def _dependent(self, channel: NDArray[np.intp], minute: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each rule the earliest minute that may have changed, of those that rest on channels changed since a minute."""
        since = np.full(len(self.rules), UNTOUCHED, np.int64)
        fan = self._fan[channel]
        place = np.repeat(self._fan_start[channel] - np.cumsum(fan) + fan, fan) + np.arange(fan.sum())
        np.minimum.at(since, self._dependants[place], np.repeat(minute - self._ahead[channel], fan))
        return since

    def _is_behind(self, row: int, changed: int) -> bool:
        """Whether known minutes of a rule are no longer right, or stored episodes know more of them."""
        evaluated = int(self.evaluated[row])
        return evaluated >= 0 and (changed <= evaluated or bool(self._open(row, changed - int(self._margin[row]))))

    def _earliest(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """First minutes whose whole window the ring still shows: a full hour, or that of the channel's first reading."""
        channel = self._channel[rows]
        oldest = self._panes.head[channel] - self._panes.minutes + self._width[rows]
        earliest: NDArray[np.int64] = np.maximum(-(-oldest // 60) * 60, self._panes.tail[channel])
        return earliest

    def _with_known(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Which rules have episodes that may still change."""
        known = [index for index, some in self._known.items() if some]
        if not known:
            return np.zeros(len(rows), np.bool_)
        found: NDArray[np.bool_] = np.isin(self._index[rows], known) & self._minutely[rows]
        return found

    def _open(self, row: int, since: int) -> list[Exceedance]:
        """Episodes of a rule that may reach into the minutes from ``since`` on; none where periods are episodes."""
        if not self._minutely[row]:
            return []
        return [e for e in self._known[int(self._index[row])] if not e.withdrawn and (e.end is None or e.end >= since)]

    def _evaluate(self, since: NDArray[np.int64], until: NDArray[np.int64] | None, *, report: bool) -> Alarms:
        """Evaluate rules from the minutes on since which they may have changed; `UNTOUCHED` where nothing did."""
        alarms = Alarms()
        rows = np.flatnonzero(since != UNTOUCHED)
        rows = rows[self._panes.head[self._channel[rows]] >= 0]
        channel = self._channel[rows]
        head, evaluated = self._panes.head[channel], self.evaluated[rows]
        evaluated = np.where(evaluated < 0, self._panes.tail[channel] - 1, evaluated)
        self.evaluated[rows] = evaluated
        last = np.maximum(head - 1, evaluated)
        if until is not None:
            # Later than this nothing can be assessed any more, and every episode has ended.
            settled = head + self._width[rows] + self._lost[rows]
            last = np.maximum(last, np.minimum(until[channel] - 1, settled))
        earliest = self._earliest(rows)
        dirty = np.maximum(np.minimum(since[rows], evaluated + 1), earliest)
        due = np.flatnonzero(dirty <= last)
        rows, last, earliest, dirty = rows[due], last[due], earliest[due], dirty[due]
        first, margin = dirty.copy(), self._margin[rows]
        lasting = self._with_known(rows)
        for k in np.flatnonzero(lasting).tolist():
            still = self._open(int(rows[k]), int(dirty[k] - margin[k]))
            lasting[k] = bool(still)
            first[k] = min([int(dirty[k]), *(e.start - int(margin[k]) for e in still)])
        step = np.where(self._hour[rows] == first // 60, _STEP, 60)
        first = np.maximum(first // step * step, earliest)
        base = np.maximum(first - margin, earliest)
        # Nothing was above, and no episode lasted, in the longest run before: what comes now stands alone.
        quiet = ~lasting & (base < first) & (self._marked[rows] < first - margin)
        base = np.where(quiet, first, base)
        keys = np.stack([base, first, last, self.slider.kind[self._index[rows]], quiet])
        order = np.lexsort(keys[::-1])
        keys = keys[:, order]
        edges = np.flatnonzero(np.logical_or.reduce(keys[:, 1:] != keys[:, :-1])) + 1
        for members in np.split(order, edges) if len(order) else ():
            one = members[0]
            span = int(base[one]), int(first[one]), int(last[one])
            size = max(1, _CELLS // (int(self._width[rows[one]]) + span[2] - span[0]))
            for k in range(0, len(members), size):
                some = members[k : k + size]
                self._evaluate_group(rows[some], dirty[some], span, alarms, quiet=bool(quiet[one]), report=report)
        return alarms

    def _evaluate_group(
        self,
        rows: NDArray[np.intp],
        dirty: NDArray[np.int64],
        span: tuple[int, int, int],
        alarms: Alarms,
        *,
        quiet: bool,
        report: bool,
    ) -> None:
        """Evaluate rules of one kind from ``first`` to ``last``; from ``base`` on, their past is needed to tell runs.

        ``quiet`` tells that nothing was above in their past, so that none of it is needed.
        """
        base, first, last = span
        lead = first - base
        alarm = self._alarm[rows[0]]
        slid = self.slider.slide(self._index[rows], base, last)
        if report and quiet and not slid.above.any() and not self._with_known(rows).any():
            if (self._marked[rows] >= first - self.length).any():
                self._state[rows[:, None], np.arange(first, last + 1) % self.length] = 0
                self._marked[rows] = np.minimum(self._marked[rows], first - 1)
            self.evaluated[rows] = last
            alarms.hours.extend(self._hours(rows, dirty, span, slid))
            return
        above, cleared = slid.above, slid.cleared(alarm.hysteresis)
        places = np.arange(base - 1, last + 1) % self.length
        before = self._state[rows[:, None], places]
        before[np.arange(base - 1, last + 1) > self.evaluated[rows][:, None]] = 0
        stored = (before[:, : lead + 1] & _LASTING) != 0
        lasts = latch(above, cleared, slid.assessable, alarm, stored[:, -1], lead)
        lasts[:, :lead] = stored[:, 1:]
        state = (lasts * _LASTING + above * _ABOVE)[:, lead:]
        self._state[rows[:, None], places[lead + 1 :]] = state
        self._mark(rows, first, state)
        self.evaluated[rows] = last
        if not report:
            self._hour[rows] = -1
            return
        if self._minutely[rows[0]]:
            self._episodes(rows, span, slid, (above, cleared, lasts), stored[:, 0], before, alarms, quiet=quiet)
        alarms.hours.extend(self._hours(rows, dirty, span, slid))

    def _mark(self, rows: NDArray[np.intp], first: int, state: NDArray[np.uint8]) -> None:
        """Note the last minute with a state, of which those from ``first`` on are new; if none of these has one, it lay before."""
        there = state != 0
        newest = first + there.shape[1] - 1 - there[:, ::-1].argmax(axis=1)
        self._marked[rows] = np.where(there.any(axis=1), newest, np.minimum(self._marked[rows], first - 1))

    def _episodes(
        self,
        rows: NDArray[np.intp],
        span: tuple[int, int, int],
        slid: Slid,
        states: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
        lasted: NDArray[np.bool_],
        before: NDArray[np.uint8],
        alarms: Alarms,
        *,
        quiet: bool,
    ) -> None:
        """Tell the episodes of rules of one kind; ``lasted`` and ``before`` are the states that the evaluation before left."""
        base, first, _ = span
        lead = first - base
        above, cleared, lasts = states
        alarm = self._alarm[rows[0]]
        for k in np.flatnonzero(lasts.any(axis=1) | self._with_known(rows)):
            if not lasts[k].any() and not self._open(int(rows[k]), base):
                continue
            cut = base > self._panes.tail[self._channel[rows[k]]] and not quiet
            active = bool(lasted[k])
            found = episodes(
                lasts[k], above[k], cleared[k], slid.excess[k], alarm, active=active, lead=lead, cut=bool(cut)
            )
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

    def period(self, rule: int, start: int, end: int, found: Sequence[Beyond]) -> list[Exceedance]:
        """Tell what the verdict over a whole period means for the exceedances of its rule.

        Parameters
        ----------
        rule : int
            Index of the rule.
        start, end : int
            The period [minutes since 1970 UTC, half-open].
        found : sequence of Beyond
            What exceeds in it; nothing where the verdict is not ``exceeds``.

        Returns
        -------
        list of Exceedance
            Episodes that are new, changed or withdrawn.
        """
        known = self._known[rule]
        left = {e.start: e for e in known if start <= e.start + 1 < end}
        changes: list[Exceedance] = []
        for one in found:
            new = of_period(self.next_id, rule, one)
            old = left.pop(new.start, None)
            changed = new if old is None else restated(old, new)
            if old is None:
                self.next_id += 1
                known.append(new)
            elif changed is not None:
                known[known.index(old)] = changed
            if changed is not None:
                changes.append(changed)
        for gone in left.values():
            known.remove(gone)
            changes.append(replace(gone, withdrawn=True, revision=gone.revision + 1))
        known[:] = [e for e in known if e.start > start - 2 * self._panes.minutes]
        return changes

    def _reconcile(
        self, row: int, base: int, first: int, found: list[Exceedance], was_above: NDArray[np.bool_]
    ) -> list[Exceedance]:
        """Match what was found from ``first`` on with what is known: new, changed and withdrawn episodes.

        ``was_above`` tells of the minutes from ``base`` on how they stood at the evaluation before.
        """
        candidates, known = self._open(row, base), self._known[self.rules[row].index]
        changes = []
        for new in found:
            end = new.end
            match = next(
                (e for e in candidates if (end is None or e.start <= end) and (e.end is None or e.end >= new.start)),
                None,
            )
            if match is None:
                kept = replace(new, id=self.next_id)
                self.next_id += 1
                known.append(kept)
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
                known[known.index(match)] = changed
                changes.append(changed)
        for gone in candidates:
            if gone.start >= first:
                changed = replace(gone, withdrawn=True, revision=gone.revision + 1)
            elif gone.end is None:
                changed = replace(gone, end=first)
            else:
                continue
            known.remove(gone)
            changes.append(changed)
        horizon = first - 2 * self._panes.minutes
        known[:] = [e for e in known if e.end is None or e.end > horizon]
        return changes

    def _hours(
        self, rows: NDArray[np.intp], dirty: NDArray[np.int64], span: tuple[int, int, int], slid: Slid
    ) -> Iterable[SlidingHour]:
        """The hours from each rule's first changed minute on, whole; the last one only if it is not as it was told before."""
        base, first, last = span
        begin = max(first, int(dirty.min()) // 60 * 60)
        hour, lead = divmod(begin, 60)
        hours = hour + np.arange(last // 60 - hour + 1)
        known = self._hour[rows] == hour
        if len(hours) == 1 and known.all() and not self._words[:, rows].any() and not slid.assessable.any():
            return ()  # nothing was assessable in this hour, and nothing is

        def spread(x: NDArray[T], empty: float, size: int) -> NDArray[T]:
            """Minutes from `begin` on, in stretches of a size."""
            before, count = lead % size, last + 1 - begin
            padded = np.full((len(rows), -(-(before + count) // size) * size), empty, x.dtype)
            padded[:, before : before + count] = x[:, begin - base :]
            return padded.reshape(len(rows), -1, size)

        words = np.stack([_words(spread(x, 0.0, 60)) for x in (slid.assessable, slid.above)])
        words[:, :, 0] |= np.where(known, self._words[:, rows] & np.uint64((1 << lead) - 1), np.uint64(0))
        pieces = np.full((2, len(rows), len(hours) * 60 // _STEP), np.nan)
        now = _worst(np.stack([spread(x, np.nan, _STEP) for x in (slid.excess, slid.value)]))
        place = lead // _STEP
        pieces[:, known, :place] = self._worst[:, rows[known], :place]
        pieces[:, :, place : place + now.shape[2]] = now
        value = _worst(pieces.reshape(2, len(rows), len(hours), -1))[1]
        newest = pieces[:, :, -60 // _STEP :]
        same = (self._hour[rows] == hours[-1]) & (self._words[:, rows] == words[:, :, -1]).all(axis=0)
        if same.any():
            before = self._worst[:, rows[same]]
            kept = (before == newest[:, same]) | np.isnan(before) & np.isnan(newest[:, same])
            same[same] = kept.all(axis=(0, 2))
        self._hour[rows], self._words[:, rows], self._worst[:, rows] = hours[-1], words[:, :, -1], newest
        due = hours >= (dirty // 60)[:, None]
        due[:, -1] &= ~same
        row, at = np.nonzero(due)
        columns = self._index[rows[row]], hours[at], words[0, row, at], words[1, row, at], value[row, at]
        return map(SlidingHour._make, zip(*(column.tolist() for column in columns), strict=True))


def _worst(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of pairs of excess and value, shape (2, ..., n), the first with the largest excess, shape (2, ...); NaN without any."""
    at = np.where(np.isnan(pairs[0]), -np.inf, pairs[0]).argmax(axis=-1)[None, ..., None]
    worst: NDArray[np.float64] = np.take_along_axis(pairs, at, axis=-1)[..., 0]
    return worst


def _words(minutes: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Hours of bools, shape (..., 60), as words with a bit a minute."""
    words: NDArray[np.uint64] = np.packbits(minutes, axis=-1, bitorder="little").view("<u8")[..., 0]
    return words
