"""Restatement: the windows of a site computed again from its stored readings, step by step, with what holds now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import SHORT, Alarm, Window
from greenmine.processing.alarms import SlidingHour
from greenmine.processing.engine import DAY, Engine, Judged, Outcome, Statistic, nothing
from greenmine.processing.exceedances import Exceedance, restated
from greenmine.processing.exclusion import Mark
from greenmine.processing.flags import counted
from greenmine.processing.identity import unknown
from greenmine.processing.panes import MINUTE
from greenmine.processing.slide import HOUR, by_minute
from greenmine.processing.windows import windows_touching
from greenmine.readings import IMPLAUSIBLE, NORMAL, Readings
from greenmine.registry import Registry, Rule, Site, WorkingTime

_LONGEST: Final = DAY + 60
"""No window is longer [min]: a natural day on which clocks are put back."""
_STRETCHES: Final = (120, 60, 30, 15, 5)
"""Readings are taken in by stretches of one of these lengths [min]."""
_TOGETHER: Final = 3_000
"""A stretch has at most so many minutes of all channels together, but for the shortest: commits wait for it."""
_BACK: Final = 4 * DAY
"""Episodes that ended longer before the first minute than this touch nothing that is computed again [min]."""
_END: Final = 1 << 40
"""A minute after all readings."""

Fetch = Callable[[int, int, int], tuple[Readings, NDArray[np.uint8]]]
"""Stored readings of a channel between two instants [ms], half-open, sorted by time, with their quality bits."""
FetchSome = Callable[[range, int, int], tuple[Readings, NDArray[np.uint8]]]
"""The same of neighbouring channels, sorted by channel and time."""


Known = Callable[[int], Sequence[Exceedance]]
"""Stored episodes of the site's rules that last or ended after a minute and were not withdrawn, as they are now."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """What was found anew; exceedances with the identity and revision under which they are to be stored."""

    statistics: list[Statistic] = field(default_factory=list)
    verdicts: list[Judged] = field(default_factory=list)
    sliding: list[SlidingHour] = field(default_factory=list)
    exceedances: list[Exceedance] = field(default_factory=list)


class Restating:
    """Computes the issued windows that share a minute with a span again, and the exceedances that it may touch, step by step.

    A second engine starts where no episode lasted, takes in what was stored in order of time, and goes on until both agree.
    Between two steps the engine at work may take in readings, if `take` is given those of the site.

    Parameters
    ----------
    engine : Engine
        The one at work; it tells what has been issued, and is left as it is.
    fetch : FetchSome
        Finds readings by the engine's channels.
    site : str
        Id of the site.
    span : tuple of int
        Minutes since 1970 UTC, half-open.
    marks : iterable of Mark
        The marks that hold now.
    since : int64 array (channels,)
        First hour issued for each channel of the site [min]; -1 if none.
    known : Known
        Asked for at the beginning, and when the end may be reached.
    """

    def __init__(
        self,
        engine: Engine,
        fetch: FetchSome,
        site: str,
        span: tuple[int, int],
        marks: Iterable[Mark],
        since: NDArray[np.int64],
        known: Known,
    ) -> None:
        self._engine, self._fetch, self._span, self._marks, self._known = engine, fetch, span, tuple(marks), known
        self._part, self._channel, self._rule = site_part(engine.registry, site)
        count = len(self._part.channels)
        self._mine = slice(self._channel, self._channel + count)
        self._rows = np.arange(count)
        issued = engine.issued[self._mine]
        self._begun = np.where(since < 0, issued, since)
        self._minutely = {r.index: by_minute(r) for r in self._part.rules}
        self._margin = max((_longest_run(alarm) for alarm in engine.alarms.slider.alarms.values()), default=0)
        self._stretch = next((n for n in _STRETCHES if n * count <= _TOGETHER), _STRETCHES[-1])
        self._reached = self._filled = 0
        self._steps = self._work()

    def step(self) -> Restatement | None:
        """Go on a little; what was found, once all of it was."""
        return next(self._steps)

    def take(self, readings: Readings, quality: NDArray[np.uint8]) -> None:
        """Take in new readings of the engine at work, sorted by channel and time, as far as their time was passed already."""
        mine = (readings.channel >= self._mine.start) & (readings.channel < self._mine.start + self._filled)
        mine &= readings.time < self._reached * MINUTE
        if self._filled:
            mine &= readings.time >= (self._begin - self._again.panes.minutes) * MINUTE
        if mine.any():
            some = readings.take(np.flatnonzero(mine))
            some = replace(some, channel=some.channel - np.int32(self._channel))
            if self._resumed:
                self._ingest(flagged(some, quality[mine]))
            else:
                self._again.fill(some, quality[mine])

    def _work(self) -> Iterator[Restatement | None]:
        while True:
            self._begin = self._reached = self._quiet_before(self._span[0])
            self._since = min(self._begin - _BACK, self._first_period())
            known = self._by_minute(self._known(self._since))
            yield from self._fill(known)
            while not self._is_through():
                every = range(len(self._rows))
                self._ingest(flagged(*self._stored(every, self._reached, self._reached + self._stretch)))
                self._reached += self._stretch
                yield None
            stored = self._known(self._since)
            if _quiet(self._begin, self._by_minute(stored), self._margin) == self._begin:
                yield self._found(stored)
                return
            # An episode has come up meanwhile that lasted at the beginning.

    def _quiet_before(self, minute: int) -> int:
        """The last full hour up to a minute at which no stored episode lasts, or is about to begin, or has just ended."""
        while True:
            since = minute - _BACK
            minute = _quiet(minute, self._by_minute(self._known(since)), self._margin)
            if minute - self._margin > since:
                return minute

    def _first_period(self) -> int:
        """A minute before all judged periods that share one with the span."""
        first = self._span[0]
        windows = {judged_period(rule) for rule in self._part.rules if not self._minutely[rule.index]}
        found = [_windows(self._part, self._part.sites[0], window, first) for window in windows]
        return min([start for some in found for start, _ in some], default=first) - HOUR

    def _by_minute(self, known: Iterable[Exceedance]) -> list[Exceedance]:
        return [e for e in known if self._minutely[e.rule - self._rule]]

    def _stored(self, some: range, first: int, last: int) -> tuple[Readings, NDArray[np.uint8]]:
        mine = range(self._channel + some.start, self._channel + some.stop)
        readings, quality = self._fetch(mine, first * MINUTE, last * MINUTE)
        return replace(readings, channel=readings.channel - np.int32(self._channel)), quality

    def _samples(self, index: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        at = self._channel + index
        readings, quality = self._fetch(range(at, at + 1), start, min(end, self._reached * MINUTE))
        valid = counted(readings.flag, quality)
        column = np.full(int(valid.sum()), index, np.intp)
        return readings.time[valid], self._again.calibrated(column, readings.time[valid], readings.value[valid])

    def _fill(self, known: Sequence[Exceedance]) -> Iterator[None]:
        """Begin with the ring as it stood before the first minute."""
        engine, rows = self._engine, self._rows
        self._again = again = Engine(self._part, unknown, self._samples, lateness=engine.lateness, marks=self._marks)
        self._episodes: dict[int, Exceedance] = {}
        self._outcomes: list[Outcome] = []
        self._filled, self._resumed = 0, False
        for i in rows.tolist():
            readings, quality = self._stored(range(i, i + 1), self._begin - again.panes.minutes, self._begin)
            if len(readings):
                again.fill(readings, quality)
            self._filled += 1
            yield None
        issued = engine.issued[self._mine]
        first = np.maximum(again.hour_of(rows, np.full(len(rows), self._span[0])), self._begun)
        again.resume(
            np.where(issued < 0, -1, first),
            [replace(e, rule=e.rule - self._rule) for e in known if e.start < self._begin],
            engine.alarms.next_id,
        )
        self._resumed = True

    def _ingest(self, readings: Readings) -> None:
        outcome = self._again.ingest(readings)
        self._outcomes.append(outcome)
        self._episodes |= {e.id: e for e in outcome.exceedances}

    def _is_through(self) -> bool:
        """Whether all readings were taken in, or the rest can change nothing any more."""
        reached = self._reached
        if reached > int(self._engine.panes.head[self._mine].max(initial=-1)):
            self._reached = _END
            return True
        if reached <= self._span[1] + _LONGEST + self._margin + 60 or reached % 60:
            return False
        own = [e for e in self._episodes.values() if not e.withdrawn and self._minutely[e.rule]]
        lasting = [*own, *self._by_minute(self._known(reached - self._margin - 1))]
        return _quiet(reached, lasting, self._margin) == reached

    def _found(self, stored: Sequence[Exceedance]) -> Restatement:
        engine, again, part, span = self._engine, self._again, self._part, self._span
        channel, rule, reached, begin, minutely = self._channel, self._rule, self._reached, self._begin, self._minutely
        issued = engine.issued[self._mine]
        known = self._by_minute(stored)
        periods = [
            e
            for e in stored
            if not minutely[e.rule - rule] and _touches(part, e, part.rules[e.rule - rule], span)
        ]  # fmt: skip
        last = _as_far_evaluated(engine, again, rule, reached)
        # An hour that is not over will be stored again in any case.
        whole = {r.index: (int(e) + 1) // 60 for r, e in zip(again.alarms.rules, again.alarms.evaluated, strict=True)}
        # What is silent is issued as far as it had been; of its episodes all has been said.
        final = nothing()
        again.go_on(self._rows, np.minimum(issued, reached) + again.grace, final)
        final.sliding.clear()
        out = Restatement()
        for outcome in (*self._outcomes, last, final):
            for s in outcome.statistics:
                if s.start < span[1] and s.end > span[0] and s.end <= issued[s.channel]:
                    out.statistics.append(replace(s, channel=s.channel + channel, restated=True))
            for v in outcome.verdicts:
                reached_by = v.start - (HOUR if part.rules[v.rule].limit.hour == "any" else 0)
                if reached_by < span[1] and v.end > span[0] and v.end <= issued[part.rules[v.rule].channel]:
                    out.verdicts.append(replace(v, rule=v.rule + rule, restated=True))
            out.sliding.extend(
                h._replace(rule=h.rule + rule) for h in outcome.sliding if span[0] // 60 <= h.hour < whole[h.rule]
            )
        for outcome in (last, final):
            self._episodes |= {e.id: e for e in outcome.exceedances}
        lasting = [replace(e, rule=e.rule + rule) for e in self._episodes.values() if not e.withdrawn]
        found = [e for e in lasting if minutely[e.rule - rule] and e.start >= begin]
        next_id = engine.alarms.next_id
        known = [e for e in known if begin <= e.start < reached]
        out.exceedances.extend(_reconciled(known, found, next_id, _overlap))
        found = [
            e for e in lasting if not minutely[e.rule - rule] and _touches(part, e, part.rules[e.rule - rule], span)
        ]
        out.exceedances.extend(_reconciled(periods, found, next_id + len(lasting), _same_period))
        return out


def _longest_run(alarm: Alarm) -> int:
    return max(alarm.delay_minutes, alarm.clear_minutes, alarm.lost_minutes)


def _quiet(minute: int, episodes: Iterable[Exceedance], margin: int) -> int:
    """The last full hour up to a minute at which no episode lasts, or is about to begin, or has just ended."""
    minute = minute // 60 * 60
    for e in sorted(episodes, key=lambda e: -e.start):
        if e.start - margin <= minute and (e.end is None or e.end + margin >= minute):
            minute = (e.start - margin - 1) // 60 * 60
    return minute


def flagged(readings: Readings, quality: NDArray[np.uint8]) -> Readings:
    """What was found implausible when it came stays so."""
    return replace(
        readings, flag=np.where((quality != 0) & (readings.flag == NORMAL), IMPLAUSIBLE, readings.flag).astype(np.uint8)
    )


def _as_far_evaluated(engine: Engine, again: Engine, rule: int, reached: int) -> Outcome:
    """Let the alarms of silent channels go on as far as the engine at work had let them, but not beyond ``reached``."""
    outcome = nothing()
    evaluated = dict(zip((r.index for r in engine.alarms.rules), engine.alarms.evaluated.tolist(), strict=True))
    until = np.full(len(again.panes), -1, np.int64)
    for r in again.alarms.rules:
        until[r.channel] = max(int(until[r.channel]), min(evaluated[r.index + rule] + 1, reached))
    heard = np.flatnonzero(until >= 0)
    alarms = again.alarms.evaluate(heard, until[heard], until)
    outcome.sliding.extend(alarms.hours)
    outcome.exceedances.extend(alarms.exceedances)
    return outcome


def _reconciled(
    known: Sequence[Exceedance],
    found: Sequence[Exceedance],
    next_id: int,
    same: Callable[[Exceedance, Exceedance], bool],
) -> list[Exceedance]:
    """What is to be stored so that the known episodes become those that were found."""
    changes: list[Exceedance] = []
    left = list(known)
    for new in sorted(found, key=lambda e: (e.rule, e.start)):
        match = next((e for e in left if e.rule == new.rule and same(e, new)), None)
        if match is None:
            changes.append(replace(new, id=next_id, revision=0))
            next_id += 1
            continue
        left.remove(match)
        changed = restated(match, replace(new, revision=match.revision))
        if changed is not None:
            changes.append(changed)
    changes.extend(replace(gone, withdrawn=True, revision=gone.revision + 1) for gone in left)
    return changes


def _overlap(a: Exceedance, b: Exceedance) -> bool:
    return (a.end is None or a.end >= b.start) and (b.end is None or b.end >= a.start)


def _touches(registry: Registry, exceedance: Exceedance, rule: Rule, span: tuple[int, int]) -> bool:
    """Whether the judged period in which an exceedance begins shares a minute with a span."""
    for start, end in _windows(registry, registry.site(rule.site), judged_period(rule), exceedance.start + 1):
        return start < span[1] and end > span[0]
    # It was found in a period of another zone, or of other hours of the night.
    return exceedance.start + 1 < span[1] and (exceedance.end is None or exceedance.end >= span[0])


def judged_period(rule: Rule) -> Window:
    """What a rule's verdicts are on: where some windows may lie beyond the threshold, the day."""
    return "day" if rule.limit.allowed else rule.limit.window


def _windows(registry: Registry, site: Site, window: Window, minute: int) -> list[tuple[int, int]]:
    """The judged period that holds a minute, or if it is a short one begins with it; none where a day is judged in parts."""
    if window in SHORT:
        return [(minute, minute + SHORT[window])]
    return windows_touching(window, minute, minute + 1, site.zone, registry.conditions)[:1]


def _same_period(a: Exceedance, b: Exceedance) -> bool:
    return a.start == b.start


def _shifted(working: WorkingTime | None, channel: int) -> WorkingTime | None:
    return working and replace(working, equipment=tuple(i - channel for i in working.equipment))


def site_part(registry: Registry, site: str) -> tuple[Registry, int, int]:
    """One site's part of a registry, with its first channel and rule in the whole."""
    channels = registry.site_channels(site)
    rules = registry.site_rules(site)
    channel = channels[0].index if channels else 0
    rule = rules[0].index if rules else 0
    part = replace(
        registry,
        sites=(registry.site(site),),
        channels=tuple(replace(c, index=c.index - channel) for c in channels),
        rules=tuple(
            replace(
                r,
                index=r.index - rule,
                channel=r.channel - channel,
                references=tuple(i - channel for i in r.references),
                working=_shifted(r.working, channel),
                flow=None if r.flow is None else r.flow - channel,
            )
            for r in rules
        ),
    )
    return part, channel, rule
