"""The sliding statistic of every rule, minute by minute, and the exceedances that follow from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.exceedances import Beyond, Exceedance, episodes, latch, of_period, restated
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.panes import UNTOUCHED, Panes
from greenmine.processing.slide import Slid, Slider, by_minute
from greenmine.registry import Registry, Rule

_ROWS: Final = 256
"""Rules evaluated together; keeps the working set within the cache."""
_LASTING: Final = np.uint8(1)
"""State of a minute: an episode lasts."""
_ABOVE: Final = np.uint8(2)
"""State of a minute: the statistic is beyond the threshold."""
_BITS: Final = np.left_shift(np.uint64(1), np.arange(60, dtype=np.uint64))


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
        self._kind = [self.slider.kind(r) for r in self.rules]
        self._alarm = [self.slider.alarms[r.index] for r in self.rules]
        self.evaluated: NDArray[np.int64] = np.full(len(self.rules), -1, np.int64)
        """Last minute evaluated of each rule; -1 before the first."""
        longest = max((a.sliding_minutes + a.lost_minutes for a in self._alarm), default=0)
        self.length = panes.minutes + longest + 60
        """Of the ring of states [min]."""
        self._state: NDArray[np.uint8] = np.zeros((len(self.rules), self.length), np.uint8)
        """What each minute was found to be, in a ring that reaches as far as the panes and the waiting beyond them."""
        self._known: dict[int, list[Exceedance]] = defaultdict(list)
        """Episodes that may still change, by the index of their rule."""
        self.next_id = 1
        """Identity of the next new episode."""
        self._dependants: dict[int, list[int]] = defaultdict(list)
        weather = exclusion.weather_sources()
        for i, rule in enumerate(self.rules):
            for source in (rule.channel, *self.slider.sources(rule)):
                self._dependants[source].append(i)
        self._ahead: dict[int, int] = {}
        for source, noise in weather.items():
            self._ahead[source] = exclusion.span(source) - 1
            for channel in noise:
                self._dependants[source].extend(
                    i for i in self._dependants[channel] if i not in self._dependants[source]
                )

    def kept(self, rows: slice) -> dict[str, NDArray[Any]]:
        """Views of what is known of neighbouring rules' minutes, by name."""
        return {"state": self._state[rows], "evaluated": self.evaluated[rows]}

    def forget(self, channels: NDArray[np.intp]) -> None:
        """Forget the minutes of the rules that judge channels, so that `restore` finds them again."""
        some = np.flatnonzero(np.isin(self._channel, channels))
        self._state[some], self.evaluated[some] = 0, -1

    def restore(self, known: Iterable[Exceedance], next_id: int, rules: Collection[int] | None = None) -> None:
        """Take over the stored episodes of rules, or of all, then find their minutes again without reporting them.

        Where minutes of a rule are known already, only those are evaluated that were touched since then. What is newer than they
        are is left to the next evaluation, unless an episode is known there.
        """
        chosen = set(range(len(self.rules)))
        if rules is not None:
            chosen = {row for row in chosen if self.rules[row].index in rules}
        for index in list(self._known) if rules is None else rules:
            self._known.pop(index, None)
        for exceedance in known:
            self._known[exceedance.rule].append(exceedance)
        self.next_id = next_id
        touched = np.flatnonzero(self._panes.touched != UNTOUCHED)
        rows = self._dependent(dict(zip(touched.tolist(), (self._panes.touched[touched] - 1).tolist(), strict=True)))
        rows = {row: changed for row, changed in rows.items() if row in chosen and self._is_behind(row, changed)}
        some = np.array([row for row in sorted(chosen) if self.evaluated[row] < 0], np.intp)
        for row in some[self._panes.head[self._channel[some]] >= 0].tolist():
            first = self._earliest(row)
            alarm = self._alarm[row]
            active = any(
                e.start + alarm.delay_minutes <= first and (e.end is None or e.end + alarm.clear_minutes > first)
                for e in self._open(row, first - alarm.clear_minutes)
            )
            self._state[row, (first - 1) % self.length] = _LASTING if active else 0
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
        return self._evaluate(self._dependent(dirty), until, report=True)

    def _dependent(self, dirty: Mapping[int, int]) -> dict[int, int]:
        """Rules that rest on channels whose panes have changed since a minute, each with the earliest of these minutes."""
        rows: dict[int, int] = {}
        for channel in self._dependants.keys() & dirty.keys():
            minute = dirty[channel]
            for row in self._dependants[channel]:
                changed = minute - self._ahead.get(channel, 0)
                rows[row] = min(changed, rows.get(row, changed))
        return rows

    def _is_behind(self, row: int, changed: int) -> bool:
        """Whether known minutes of a rule are no longer right, or stored episodes know more of them."""
        evaluated = int(self.evaluated[row])
        return evaluated >= 0 and (changed <= evaluated or bool(self._open(row, changed - self._margin(row))))

    def _margin(self, row: int) -> int:
        """How long the longest run is that tells where an episode begins or ends [min]."""
        alarm = self._alarm[row]
        return max(alarm.delay_minutes, alarm.clear_minutes, alarm.lost_minutes)

    def _earliest(self, row: int) -> int:
        """First minute whose whole window the ring still shows: a full hour, or that of the channel's first reading."""
        channel = self._channel[row]
        oldest = int(self._panes.head[channel]) - self._panes.minutes + self._alarm[row].sliding_minutes
        return max(-(-oldest // 60) * 60, int(self._panes.tail[channel]))

    def _open(self, row: int, since: int) -> list[Exceedance]:
        """Episodes of a rule that may reach into the minutes from ``since`` on; none where periods are episodes."""
        if not by_minute(self.rules[row]):
            return []
        return [e for e in self._known[self.rules[row].index] if not e.withdrawn and (e.end is None or e.end >= since)]

    def _evaluate(self, rows: dict[int, int], until: NDArray[np.int64] | None, *, report: bool) -> Alarms:
        alarms = Alarms()
        groups: dict[tuple[int, int, int, tuple[object, ...]], list[tuple[int, int]]] = defaultdict(list)
        for row, changed in rows.items():
            channel = int(self._channel[row])
            head = int(self._panes.head[channel])
            if head < 0:
                continue
            alarm = self._alarm[row]
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
            margin = self._margin(row)
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
        alarm = self._alarm[rows[0]]
        slid = self.slider.slide([self.rules[r] for r in rows], base, last)
        above, cleared = slid.above, slid.cleared(alarm.hysteresis)
        places = np.arange(base - 1, last + 1) % self.length
        before = self._state[rows[:, None], places]
        before[np.arange(base - 1, last + 1) > self.evaluated[rows][:, None]] = 0
        stored = (before[:, : lead + 1] & _LASTING) != 0
        lasts = latch(above, cleared, slid.assessable, alarm, stored[:, -1], lead)
        lasts[:, :lead] = stored[:, 1:]
        self._state[rows[:, None], places[lead + 1 :]] = (lasts * _LASTING + above * _ABOVE)[:, lead:]
        self.evaluated[rows] = last
        if not report:
            return
        if by_minute(self.rules[rows[0]]):
            self._episodes(rows, span, slid, (above, cleared, lasts), stored[:, 0], before, alarms)
        alarms.hours.extend(self._hours(members, base, slid))

    def _episodes(
        self,
        rows: NDArray[np.intp],
        span: tuple[int, int, int],
        slid: Slid,
        states: tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]],
        lasted: NDArray[np.bool_],
        before: NDArray[np.uint8],
        alarms: Alarms,
    ) -> None:
        """Tell the episodes of rules of one kind; ``lasted`` and ``before`` are the states that the evaluation before left."""
        base, first, _ = span
        lead = first - base
        above, cleared, lasts = states
        alarm = self._alarm[rows[0]]
        known = np.array([bool(self._open(int(r), base)) for r in rows])
        for k in np.flatnonzero(lasts.any(axis=1) | known):
            cut = base > self._panes.tail[self._channel[rows[k]]]
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

    def _hours(self, members: Sequence[tuple[int, int]], base: int, slid: Slid) -> list[SlidingHour]:
        """The hours from each rule's first changed minute on, whole."""
        lead, minutes = base % 60, slid.value.shape[1]
        width = -(-(lead + minutes) // 60) * 60
        tail = width - lead - minutes
        pad = ((0, 0), (lead, tail))
        shape = (len(members), width // 60, 60)
        assessable = (np.pad(slid.assessable, pad).reshape(shape) * _BITS).sum(axis=2)
        beyond = (np.pad(slid.above, pad).reshape(shape) * _BITS).sum(axis=2)
        ranked = np.pad(np.where(slid.assessable, slid.excess, -np.inf), pad, constant_values=-np.inf).reshape(shape)
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
