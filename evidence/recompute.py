"""Statistics, verdicts and exceedances of a site over a period, from sealed days alone."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from greenmine.evidence.hours import HourlyStatistics, SlidingStatistics
from greenmine.limits import Window, threshold_on
from greenmine.processing.averaging import summand
from greenmine.processing.engine import Engine, Judged, Outcome, Statistic, nothing
from greenmine.processing.exceedances import Exceedance
from greenmine.processing.exclusion import Mark
from greenmine.processing.flags import counted
from greenmine.processing.identity import unknown
from greenmine.processing.long_periods import long_verdicts, period_exceedance
from greenmine.processing.panes import MINUTE
from greenmine.processing.references import References
from greenmine.processing.slide import by_minute
from greenmine.processing.standing import Grounds
from greenmine.processing.verdicts import Figure, judge
from greenmine.processing.windows import minute_of, moment_of
from greenmine.readings import IMPLAUSIBLE, NORMAL, Readings
from greenmine.registry import Registry, Site
from greenmine.reporting import Period

LEAD: Final = 2
"""Days before the period that are taken in first: sliding windows and episodes reach back into them."""
TRAIL: Final = 1
"""Days after it: the night of the last day ends there."""
_KEPT: Final = 3
"""Days whose readings are at hand for percentile levels of hours with excluded minutes."""
_FLAGS: Final = 256

COLUMNS: Final = ("kind", "channel", "time", "value", "flag", "quality")
"""Columns of a sealed table that `readings_of` needs."""

_NONE: Final = (np.empty(0, np.int64), np.empty(0, np.float64))

DayReadings = Callable[[date], Readings]
"""Readings of a local day, in any order, by the channels of the registry."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What the core finds; windows and episodes that begin within the period, in minutes since 1970 UTC."""

    start: int
    """First minute of the period."""
    end: int
    """The minute behind its last."""
    hours: HourlyStatistics
    statistics: dict[tuple[int, Window, int], Statistic]
    """Of all windows but the hour, by channel, window and start."""
    verdicts: dict[tuple[int, int], Judged]
    """By rule and start."""
    sliding: SlidingStatistics
    exceedances: list[Exceedance]
    """Those that share a minute with the period, by rule and start."""
    flags: dict[tuple[int, str], int]
    """Readings within the period by channel and flag."""
    minutes: dict[int, NDArray[np.float64]]
    """Mean of each minute of the period, for the watched channels: of the energies 10^(L/10) of sound, NaN where nothing counts."""
    episodes: list[Exceedance] = field(default_factory=list)
    """All exceedances of the days that were taken in, by rule and start."""

    @classmethod
    def empty(cls, start: int, end: int) -> Recomputed:
        """Nothing, of a period [minutes since 1970 UTC, half-open]."""
        return cls(start, end, HourlyStatistics(start, end), {}, {}, SlidingStatistics(start, end), [], {}, {})


def days_needed(period: Period) -> list[date]:
    """Days whose readings `recompute` asks for."""
    count = (period.last - period.first).days + 1 + LEAD + TRAIL
    return [period.first + timedelta(days=n - LEAD) for n in range(count)]


def recompute(
    registry: Registry,
    site: Site,
    period: Period,
    readings: DayReadings,
    marks: Iterable[Mark],
    progress: Callable[[int, int], None] | None = None,
    watched: Collection[int] = (),
) -> Recomputed:
    """Judge a period anew.

    Parameters
    ----------
    registry : Registry
        Holds this site only.
    site : Site
        The site.
    period : Period
        Local days.
    readings : DayReadings
        Asked for each of `days_needed`, in order.
    marks : iterable of Mark
        Marks that hold; all of the days needed.
    progress : callable, optional
        Told days done and their number.
    watched : collection of int, optional
        Channels whose minutes are wanted, too.

    Returns
    -------
    Recomputed
        The same as live processing of the same readings in any order of arrival.
    """
    recent: dict[int, list[tuple[NDArray[np.int64], NDArray[np.float64]]]] = defaultdict(list)

    def samples(channel: int, first: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        times, values = (
            (np.concatenate(some) for some in zip(*recent[channel], strict=True)) if recent[channel] else _NONE
        )
        inside = (times >= first) & (times < last)
        return times[inside], values[inside]

    engine = Engine(registry, unknown, samples, marks=marks)
    zone = ZoneInfo(site.zone)
    start, end = midnight(period.first, zone), midnight(period.last + timedelta(days=1), zone)
    found = Recomputed.empty(start, end)
    found.minutes.update({c: np.full(end - start, np.nan) for c in sorted(watched)})
    episodes: dict[int, Exceedance] = {}
    days = days_needed(period)
    for done, day in enumerate(days):
        if progress is not None:
            progress(done, len(days))
        batch = readings(day)
        if not len(batch):
            continue
        outcome = engine.ingest(batch)
        _collect(found, episodes, outcome)
        if period.first <= day <= period.last:
            _count_flags(found.flags, batch)
        good = _good(engine, batch.take(outcome.parts.fresh), outcome.quality)
        _keep(recent, *good)
        _mean_minutes(found, registry, *good)
    closing = nothing()
    rows = np.flatnonzero(engine.panes.head >= 0)
    until = np.full(len(engine.panes), midnight(days[-1] + timedelta(days=1), zone) + engine.grace, np.int64)
    engine.go_on(rows, until, closing)
    _collect(found, episodes, closing)
    _exclude(found, engine)
    alone = _results_alone(registry, engine.alarms.slider.references, found)
    for verdict in [*alone, *long_verdicts(registry, found.statistics.values(), start, end)]:
        found.verdicts[verdict.rule, verdict.start] = verdict
        if verdict.verdict.judgement == "exceeds":
            number = max(episodes, default=0) + 1
            episodes[number] = period_exceedance(number, verdict)
            if by_minute(registry.rules[verdict.rule]):
                episodes[number] = replace(episodes[number], start=verdict.start, end=verdict.end)
    lasting = (e for e in episodes.values() if not e.withdrawn)
    found.episodes.extend(sorted(lasting, key=lambda e: (e.rule, e.start)))
    found.exceedances.extend(e for e in found.episodes if e.start + 1 < end and (e.end is None or e.end + 1 > start))
    return found


def _results_alone(registry: Registry, references: References, found: Recomputed) -> list[Judged]:
    """Verdicts of hours before a channel's first reading, or far from any, for which a laboratory has a result."""
    grounds = Grounds(registry)
    out = []
    for rule in registry.rules:
        for hour, result in references.of(rule.index).items():
            day = moment_of(hour, registry.site(rule.site).zone).date()
            threshold = threshold_on(rule.limit, day)
            if not found.start <= hour < found.end or (rule.index, hour) in found.verdicts or threshold is None:
                continue
            span = result.begin, result.finish
            verdict = judge(rule.limit, threshold, Figure(result.value, 1.0))
            verdict = replace(verdict, reasons=grounds.of(rule.index, threshold, day, span, confirmed=True))
            out.append(
                Judged(rule.index, hour, hour + 60, *span, result.value, 1.0, threshold, verdict, restated=False)
            )
    return out


def readings_of(table: pa.Table, index: dict[str, int]) -> Readings:
    """The readings of a sealed table, in its order; those of channels that are not in the index are left out.

    What was found outside the plausible range when it came has the code R here.
    """
    rows = table.filter(pc.equal(table["kind"].cast(pa.string()), "reading")).unify_dictionaries().combine_chunks()
    if not rows.num_rows:
        return Readings.empty()
    channel = _codes(rows["channel"], lambda key: index.get(key, -1)).astype(np.int32)
    flag = _codes(rows["flag"], ord).astype(np.uint8)
    quality = rows["quality"].to_numpy()
    flag = np.where((quality != 0) & (flag == NORMAL), np.uint8(IMPLAUSIBLE), flag)
    time = rows["time"].cast(pa.int64()).to_numpy()
    readings = Readings(channel, time, rows["value"].to_numpy(), flag)
    return readings.take(channel >= 0)


def _codes(column: pa.ChunkedArray, code: Callable[[str], int]) -> NDArray[np.int64]:
    encoded = column.combine_chunks()
    table = np.array([code(text) for text in encoded.dictionary.to_pylist()], np.int64)
    codes: NDArray[np.int64] = table[encoded.indices.to_numpy()]
    return codes


def _collect(found: Recomputed, episodes: dict[int, Exceedance], outcome: Outcome) -> None:
    for s in outcome.statistics:
        if found.start <= s.start < found.end:
            if s.window == "hour":
                found.hours.put(s)
            else:
                found.statistics[s.channel, s.window, s.start] = replace(s, restated=False) if s.restated else s
    for v in outcome.verdicts:
        if found.start <= v.start < found.end:
            found.verdicts[v.rule, v.start] = replace(v, restated=False) if v.restated else v
    for h in outcome.sliding:
        found.sliding.put(h)
    episodes.update({e.id: e for e in outcome.exceedances})


def _count_flags(flags: dict[tuple[int, str], int], readings: Readings) -> None:
    codes = np.bincount(readings.channel.astype(np.int64) * _FLAGS + readings.flag)
    for code in np.flatnonzero(codes).tolist():
        key = code // _FLAGS, chr(code % _FLAGS)
        flags[key] = flags.get(key, 0) + int(codes[code])


def _good(
    engine: Engine, fresh: Readings, quality: NDArray[np.uint8]
) -> tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.float64]]:
    """Channels, times and calibrated values of the readings that count."""
    good = counted(fresh.flag, quality)
    channel, time = fresh.channel[good].astype(np.intp), fresh.time[good]
    return channel, time, engine.calibrated(channel, time, fresh.value[good])


def _keep(
    recent: dict[int, list[tuple[NDArray[np.int64], NDArray[np.float64]]]],
    channel: NDArray[np.intp],
    time: NDArray[np.int64],
    value: NDArray[np.float64],
) -> None:
    for c in np.unique(channel).tolist():
        mine = slice(*np.searchsorted(channel, (c, c + 1)))
        recent[c].append((time[mine], value[mine]))
        del recent[c][:-_KEPT]


def _mean_minutes(
    found: Recomputed,
    registry: Registry,
    channel: NDArray[np.intp],
    time: NDArray[np.int64],
    value: NDArray[np.float64],
) -> None:
    for c, means in found.minutes.items():
        mine = slice(*np.searchsorted(channel, (c, c + 1)))
        minute = time[mine] // MINUTE - found.start
        inside = (minute >= 0) & (minute < len(means))
        if not inside.any():
            continue
        minute, chosen = minute[inside], value[mine][inside]
        chosen = summand(registry.channels[c].parameter.averaging, chosen)
        first = int(minute[0])
        count = np.bincount(minute - first)
        filled = np.flatnonzero(count)
        means[first + filled] = np.bincount(minute - first, chosen)[filled] / count[filled]


def _exclude(found: Recomputed, engine: Engine) -> None:
    """Take minutes under an excluding mark out."""
    for c, means in found.minutes.items():
        for mark in engine.exclusion.marks.get(c, ()):
            means[max(0, mark.start - found.start) : max(0, mark.end - found.start)] = np.nan


def marks_of(tables: Iterable[pa.Table]) -> dict[int, dict[str, Any]]:
    """The marks in tables with rows of that kind only, by their number; a mark stands in every day that it touches."""
    found: dict[int, dict[str, Any]] = {}
    for rows in tables:
        starts, made = (rows[name].cast(pa.int64()).to_pylist() for name in ("time", "received"))
        for start, when, text in zip(starts, made, rows["detail"].to_pylist(), strict=True):
            mark = json.loads(text)
            found[mark["number"]] = mark | {"start": start, "made": when}
    return found


def midnight(day: date, zone: ZoneInfo) -> int:
    """Minute since 1970 UTC at which a local day begins."""
    return minute_of(datetime.combine(day, time(), zone).astimezone(UTC))
