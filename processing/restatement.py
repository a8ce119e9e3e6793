"""Restatement: the windows of a site computed again from its stored readings, with what holds now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
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
from greenmine.registry import Registry, Rule, WorkingTime

_LONGEST: Final = DAY + 60
"""No window is longer [min]: a natural day on which clocks are put back."""
_STRETCH: Final = 12 * 60
"""Readings are taken in by stretches of this length [min]."""
_END: Final = 1 << 40
"""A minute after all readings."""

Fetch = Callable[[int, int, int], tuple[Readings, NDArray[np.uint8]]]
"""Stored readings of a channel between two instants [ms], half-open, sorted by time, with their quality bits."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """What was found anew; exceedances with the identity and revision under which they are to be stored."""

    statistics: list[Statistic] = field(default_factory=list)
    verdicts: list[Judged] = field(default_factory=list)
    sliding: list[SlidingHour] = field(default_factory=list)
    exceedances: list[Exceedance] = field(default_factory=list)


def restate(
    engine: Engine,
    fetch: Fetch,
    site: str,
    span: tuple[int, int],
    marks: Iterable[Mark],
    since: NDArray[np.int64],
    known: Sequence[Exceedance],
    next_id: int,
) -> Restatement:
    """Compute the issued windows that share a minute with a span, and the exceedances that it may touch.

    A second engine starts where no episode lasted, takes in what was stored in order of time, and goes on until both agree.

    Parameters
    ----------
    engine : Engine
        The one at work; it tells what has been issued, and is left as it is.
    fetch : Fetch
        Finds readings by the engine's channels.
    site : str
        Id of the site.
    span : tuple of int
        Minutes since 1970 UTC, half-open.
    marks : iterable of Mark
        The marks that hold now.
    since : int64 array (channels,)
        First hour issued for each channel of the engine [min]; -1 if none.
    known : sequence of Exceedance
        All stored episodes of the site's rules that were not withdrawn.
    next_id : int
        Identity for the first new episode.
    """
    part, channel, rule = site_part(engine.registry, site)
    count = len(part.channels)
    mine = slice(channel, channel + count)
    issued, rows = engine.issued[mine], np.arange(count)
    begun = np.where(since[mine] < 0, issued, since[mine])
    minutely = {r.index: by_minute(r) for r in part.rules}
    known, periods = (
        [e for e in known if minutely[e.rule - rule]],
        [e for e in known if not minutely[e.rule - rule] and _touches(part, e, part.rules[e.rule - rule], span)],
    )
    margin = max((_longest_run(alarm) for alarm in engine.alarms.slider.alarms.values()), default=0)
    begin = reached = _quiet(span[0], known, margin)

    def samples(index: int, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        readings, quality = fetch(channel + index, start, min(end, reached * MINUTE))
        valid = counted(readings.flag, quality)
        column = np.full(int(valid.sum()), index, np.intp)
        return readings.time[valid], again.calibrated(column, readings.time[valid], readings.value[valid])

    def stored(index: int, first: int, last: int) -> tuple[Readings, NDArray[np.uint8]]:
        readings, quality = fetch(channel + index, first * MINUTE, last * MINUTE)
        return replace(readings, channel=readings.channel - np.int32(channel)), quality

    again = Engine(part, unknown, samples, marks=marks)
    past = [stored(i, begin - again.panes.minutes, begin) for i in range(count)]
    again.restore(
        (p for p in past if len(p[0])),
        np.where(issued < 0, -1, np.maximum(again.hour_of(rows, np.full(count, span[0])), begun)),
        [replace(e, rule=e.rule - rule) for e in known if e.start < begin],
        next_id,
    )
    newest = int(engine.panes.head[mine].max(initial=-1))
    outcomes: list[Outcome] = []
    episodes: dict[int, Exceedance] = {}
    while reached <= newest:
        parts = [flagged(*stored(i, reached, reached + _STRETCH)) for i in range(count)]
        outcomes.append(again.ingest(Readings.concat(parts)))
        reached += _STRETCH
        episodes |= {e.id: e for e in outcomes[-1].exceedances}
        lasting = [*(e for e in episodes.values() if not e.withdrawn and minutely[e.rule]), *known]
        if reached > span[1] + _LONGEST + margin + 60 and _quiet(reached, lasting, margin) == reached:
            break
    else:
        reached = _END
    outcomes.append(_as_far_evaluated(engine, again, rule, reached))
    # An hour that is not over will be stored again in any case.
    whole = {r.index: (int(last) + 1) // 60 for r, last in zip(again.alarms.rules, again.alarms.evaluated, strict=True)}
    # What is silent is issued as far as it had been; of its episodes all has been said.
    final = nothing()
    again.go_on(rows, np.minimum(issued, reached) + again.grace, final)
    final.sliding.clear()
    out = Restatement()
    for outcome in (*outcomes, final):
        for s in outcome.statistics:
            if s.start < span[1] and s.end > span[0] and s.end <= issued[s.channel]:
                out.statistics.append(replace(s, channel=s.channel + channel, restated=True))
        for v in outcome.verdicts:
            reached_by = v.start - (HOUR if part.rules[v.rule].limit.hour == "any" else 0)
            if reached_by < span[1] and v.end > span[0] and v.end <= issued[part.rules[v.rule].channel]:
                out.verdicts.append(replace(v, rule=v.rule + rule, restated=True))
        out.sliding.extend(
            replace(h, rule=h.rule + rule) for h in outcome.sliding if span[0] // 60 <= h.hour < whole[h.rule]
        )
    for outcome in (outcomes[-1], final):
        episodes |= {e.id: e for e in outcome.exceedances}
    lasting = [replace(e, rule=e.rule + rule) for e in episodes.values() if not e.withdrawn]
    found = [e for e in lasting if minutely[e.rule - rule] and e.start >= begin]
    out.exceedances.extend(_reconciled([e for e in known if begin <= e.start < reached], found, next_id, _overlap))
    found = [e for e in lasting if not minutely[e.rule - rule] and _touches(part, e, part.rules[e.rule - rule], span)]
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
    alarms = again.alarms.evaluate({c: minute for c, minute in enumerate(until.tolist()) if minute >= 0}, until)
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
    zone, first = registry.site(rule.site).zone, exceedance.start + 1
    window: Window = "day" if rule.limit.allowed else rule.limit.window
    if window in SHORT:
        return first < span[1] and first + SHORT[window] > span[0]
    start, end = windows_touching(window, first, first + 1, zone, registry.conditions)[0]
    return start < span[1] and end > span[0]


def _same_period(a: Exceedance, b: Exceedance) -> bool:
    return a.start == b.start


def _shifted(working: WorkingTime | None, channel: int) -> WorkingTime | None:
    return working and replace(working, equipment=tuple(i - channel for i in working.equipment))


def site_part(registry: Registry, site: str) -> tuple[Registry, int, int]:
    """One site's part of a registry, with its first channel and rule in the whole."""
    channels = registry.site_channels(site)
    rules = [r for r in registry.rules if r.site == site]
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
