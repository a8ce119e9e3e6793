"""The sliding statistic of limits: what a limit judges, over windows that move on by a minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.limits import Alarm, Limit, threshold_on
from greenmine.processing.averaging import figure, mean_of_sums
from greenmine.processing.discharge import Discharge, discharge
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.gas import DOUBTS, GasConversion
from greenmine.processing.levels import corrected_levels
from greenmine.processing.panes import MINUTE, Panes
from greenmine.processing.references import References
from greenmine.processing.sliding import sliding_count, sliding_maximum, sliding_sum
from greenmine.processing.standing import void_periods
from greenmine.processing.validity import enough, sufficient
from greenmine.processing.wind import DownwindDifference
from greenmine.processing.windows import minute_of, moment_of, windows_touching
from greenmine.registry import Registry, Rule
from greenmine.rounding import round_array

HOUR: Final = 60
"""[min]"""
_ALARM: Final = Alarm(sliding_minutes=HOUR)
"""For a limit that is judged by the minute and says nothing of alarms."""


def by_minute(rule: Rule) -> bool:
    """Whether verdicts and exceedances of a rule come from the same minutes: any hour, maxima, representative hours.

    All others are judged over their whole period, and their verdicts tell the exceedances: the period, or what in it exceeds.
    """
    limit = rule.limit
    by_hours = limit.period == "working" and rule.working is None
    maxima = limit.statistic == "maximum" and limit.event is None
    return limit.hour == "any" or by_hours or maxima


def first_minute(rule: Rule, minute: int) -> int:
    """Minute of the sliding statistic that belongs to a bound of a stored exceedance, in minutes since 1970 UTC.

    Where exceedances are told by the minute, their bounds are the instants at which minutes end; a period has its own bounds.
    """
    return minute - 1 if by_minute(rule) else minute


@dataclass(frozen=True, slots=True)
class Slid:
    """Sliding statistics of k rules over m minutes, shape (k, m); each window ends with its minute.

    Parameters
    ----------
    value : float64 array
        Rounded as the limit is compared; NaN where not assessable, but for what is ``masked``: as it was measured.
    capture : float64 array
        Valid readings as a share of those due, at most 1.
    assessable : bool array
        Enough data by the limit's own validity, a limit in force, and no value out of range that could hide an exceedance.
    above : bool array
        Assessable, and beyond the threshold.
    excess : float64 array
        How far beyond the threshold; larger is worse; NaN where not assessable.
    high, low : float64 array
        Thresholds in force; NaN where there is none.
    """

    value: NDArray[np.float64]
    capture: NDArray[np.float64]
    assessable: NDArray[np.bool_]
    above: NDArray[np.bool_]
    excess: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    masked: NDArray[np.bool_]
    """Measured above the threshold and too near to the background: not assessable (GB 12348-2008, 5.7.3)."""
    corrected: NDArray[np.bool_]
    """Corrected for the background."""
    over: NDArray[np.bool_]
    """A value was out of the range of its instrument: the statistic is a lower bound."""

    def cleared(self, hysteresis: float) -> NDArray[np.bool_]:
        """Where the statistic is on the safe side of the clearing level."""
        with np.errstate(invalid="ignore"):
            near = (self.value > self.high - hysteresis) | (self.value < self.low + hysteresis)
        cleared: NDArray[np.bool_] = self.assessable & ~near
        return cleared


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a window holds: readings, their share of those due, the statistic, whether it is valid, values out of range."""

    value: NDArray[np.float64]
    capture: NDArray[np.float64]
    valid: NDArray[np.bool_]
    over: NDArray[np.bool_]


class Slider:
    """Computes sliding statistics of rules.

    Parameters
    ----------
    registry : Registry
        Channels, rules, conditions.
    panes : Panes
        Readings by the minute.
    exclusion : Exclusion
        Minutes that do not count.
    """

    def __init__(self, registry: Registry, panes: Panes, exclusion: Exclusion) -> None:
        self._registry = registry
        self._panes = panes
        self._exclusion = exclusion
        self.differences: dict[int, DownwindDifference] = {
            r.index: DownwindDifference(registry, r) for r in registry.rules if r.limit.statistic == "difference"
        }
        self.references = References(registry)
        self.gas = {r.index: found for r in registry.rules if (found := self._conversion(r)) is not None}
        """Conversions to the state of gas of rules whose limit has one and whose instruments report the actual state."""
        self.void = {r.index: periods for r in registry.rules if (periods := void_periods(registry, r))}
        """Periods of rules in which nothing can be judged: the checks of their instrument drifted apart."""
        self._zone = {r.index: registry.site(r.site).zone for r in registry.rules}
        self.alarms: dict[int, Alarm] = {r.index: a for r in registry.rules if (a := _alarm(registry, r)) is not None}
        """How each rule slides and alarms, by its index; rules of which nothing slides are not there."""
        self._channel = np.array([r.channel for r in registry.rules], np.intp)
        self._due = np.array([MINUTE / c.interval for c in registry.channels])
        """Readings due in a minute of each channel."""
        limits: dict[int, int] = {}
        self._limit = np.array([limits.setdefault(id(r.limit), len(limits)) for r in registry.rules], np.intp)
        """Number of each rule's limit; their thresholds are looked up once."""
        self._converted = np.array([r.index in self.gas for r in registry.rules], np.bool_)
        self._settled = np.array([r.index in self.void or r.index in self.references for r in registry.rules], np.bool_)
        """Rules of which laboratories or checks of instruments have settled some hours."""
        self._backed = np.array([bool(r.backgrounds) for r in registry.rules], np.bool_)
        kinds: dict[tuple[object, ...], int] = {}
        self.kind = np.array([kinds.setdefault(self._shared(r), len(kinds)) for r in registry.rules], np.intp)
        """Number of each rule's kind; rules of one kind are computed together."""

    def _conversion(self, rule: Rule) -> GasConversion | None:
        if rule.index in self.differences:
            return self.differences[rule.index].gas
        channel = self._registry.channels[rule.channel]
        actual = self._registry.device(channel.site, channel.device).state == "actual"
        return GasConversion(self._registry, rule.site, rule.limit.state) if rule.limit.state and actual else None

    def sources(self, rule: Rule) -> set[int]:
        """Channels besides its own on which the statistic of a rule rests."""
        difference, gas = self.differences.get(rule.index), self.gas.get(rule.index)
        found = {*rule.references, *(difference.channels if difference else ()), *(gas.channels if gas else ())}
        if rule.flow is not None:
            found.add(rule.flow)
        return found - {rule.channel}

    def conversion(self, rule: int, begin: int, finish: int) -> tuple[float, str]:
        """Return the factor to the state of a rule's limit over a window, and why that state is not reached, or nothing."""
        if rule not in self.gas:
            return 1.0, ""
        span = finish - 1, 1, finish - begin
        if rule in self.differences:  # its parts are converted one by one
            return 1.0, DOUBTS[int(self.differences[rule].slide(self._exclusion, *span).doubt[0])]
        found = self.gas[rule].slide(self._exclusion, *span)
        return float(found.factor[0]), DOUBTS[int(found.doubt[0])]

    def _shared(self, rule: Rule) -> tuple[object, ...]:
        """What rules must share to be computed together."""
        limit, channel = rule.limit, self._registry.channels[rule.channel]
        return (
            limit.statistic,
            limit.window,
            limit.hour,
            limit.period,
            by_minute(rule),
            rule.flow is None,
            self.alarms.get(rule.index),
            limit.validity,
            limit.rounding,
            channel.parameter.averaging,
            channel.interval,
            self._zone[rule.index],
        )

    def slide(self, indices: NDArray[np.intp], first: int, last: int, width: int | None = None) -> Slid:
        """Compute the sliding statistics of rules of one kind for the minutes ``first .. last``.

        Parameters
        ----------
        indices : int array (k,)
            Of the rules.
        first, last : int
            Minutes since 1970 UTC.
        width : int, optional
            Of the window [min]; that of the rules' alarm if not given.
        """
        rules = self._registry.rules
        limit, zone = rules[indices[0]].limit, self._zone[int(indices[0])]
        if width is None:
            width = self.alarms[int(indices[0])].sliding_minutes
        count = last - first + 1
        if limit.statistic == "difference":
            found = self._differences(indices, first, count, width)
        else:
            found = self._means(indices, first, count, width)
            for row in np.flatnonzero(self._converted[indices]):
                found.value[row] *= self.gas[int(indices[row])].slide(self._exclusion, first, count, width).factor
            if limit.statistic == "county-difference":
                self._subtract(found, indices, first, count, width)
        for row in np.flatnonzero(self._settled[indices]):
            for start, end in self.void.get(int(indices[row]), ()):
                found.valid[row, max(0, start - first) : max(0, end + width - 1 - first)] = False
            if limit.hour == "any":
                self._mix(found, int(indices[row]), int(row), first, count)
            for hour, result in self.references.within(int(indices[row]), first, count):
                found.value[row, hour], found.capture[row, hour] = result.value, 1.0
                found.valid[row, hour], found.over[row, hour] = True, False
        high, low = self._bounds(indices, zone, first, count)
        if not found.valid.any():
            none, nothing = np.full(found.value.shape, np.nan), np.zeros(found.value.shape, np.bool_)
            return Slid(none, found.capture, nothing, nothing, none, high, low, nothing, nothing, found.over)
        # Nine digits even for a comparison of full values: the order of summation must not decide.
        value = round_array(found.value, limit.rounding.digits if limit.rounding.compare == "rounded" else 9)
        masked, corrected = np.zeros(value.shape, np.bool_), np.zeros(value.shape, np.bool_)
        assessable = found.valid & ~(np.isnan(high) & np.isnan(low))
        for row in np.flatnonzero(self._backed[indices]):
            measured = backgrounds(rules[indices[row]], zone, first, count)
            level_of_source = corrected_levels(value[row], measured)
            masked[row] = assessable[row] & np.isnan(level_of_source) & (value[row] > high[row])
            corrected[row] = level_of_source < value[row]
            rounded = round_array(level_of_source, limit.rounding.digits)
            value[row, corrected[row]] = rounded[corrected[row]]
        assessable &= ~masked
        with np.errstate(invalid="ignore"):
            above = assessable & ((value > high) | ((value < low) & ~found.over))
            # A value out of range may have been higher: what lies under an upper limit may have been above it.
            assessable &= above | ~found.over | (np.isnan(high) & ~(value < low))
            excess = np.where(assessable, np.fmax(value - high, low - value), np.nan)
        return Slid(
            np.where(assessable | masked, value, np.nan),
            found.capture,
            assessable,
            above,
            excess,
            high,
            low,
            masked,
            corrected,
            found.over,
        )

    def _mix(self, found: _Sums, rule: int, row: int, first: int, count: int) -> None:
        """Lower hours that hold a part of a laboratory's hour to what they are with its result in place of its readings.

        A result that is higher than the readings condemns its own hour alone: of these others nobody took a sample.
        """
        for result in self.references.of(rule).values():
            for minute in range(max(first, result.begin), min(first + count, result.finish + HOUR - 1)):
                begin = minute - HOUR + 1
                before, after = (begin, result.begin), (result.finish, minute + 1)
                start, end = before if begin < result.begin else after
                value, minutes = self._beside(rule, start, end)
                whole = HOUR - max(0, end - start)
                mixed = (result.value * whole + value * minutes) / (whole + minutes)
                found.value[row, minute - first] = np.minimum(found.value[row, minute - first], mixed)

    def _beside(self, rule: int, start: int, end: int) -> tuple[float, float]:
        """Mean or difference of the readings of less than an hour, in the state of the limit, and how many minutes are in it."""
        if start >= end:
            return 0.0, 0.0
        if rule in self.differences:
            slid = self.differences[rule].slide(self._exclusion, end - 1, 1, end - start)
            formed = slid.obstacle[0] == 0
            return (float(slid.value[0]), float(slid.capture[0]) * (end - start)) if formed else (0.0, 0.0)
        channel = self._channel[[rule]]
        block = self._panes.block(channel, np.array([start]), end - start)
        excluded = self._exclusion.minutes(channel, np.array([start]), end - start)
        used = np.ones((1, end - start), np.bool_) if excluded is None else ~excluded
        readings = int(block.count[used].sum())
        if not readings:
            return 0.0, 0.0
        minutes = min(float(end - start), float(block.held[used].sum()) / self._due[channel[0]])
        return float(block.total[used].sum()) / readings * self.conversion(rule, start, end)[0], minutes

    def _bounds(
        self, indices: NDArray[np.intp], zone: str, first: int, count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Thresholds in force of k rules, upper and lower, shape (k, count); not to be written to."""
        number, shape = self._limit[indices], (len(indices), count)
        if (number == number[0]).all():
            upper, lower = thresholds(self._registry.rules[indices[0]].limit, zone, first, count)
            return np.broadcast_to(upper, shape), np.broadcast_to(lower, shape)
        high, low = np.empty(shape), np.empty(shape)
        for one, row in zip(*np.unique(number, return_index=True), strict=True):
            mine = number == one
            high[mine], low[mine] = thresholds(self._registry.rules[indices[row]].limit, zone, first, count)
        return high, low

    def _differences(self, indices: NDArray[np.intp], first: int, count: int, width: int) -> _Sums:
        slid = [self.differences[r].slide(self._exclusion, first, count, width) for r in indices.tolist()]
        capture = np.nan_to_num(np.stack([s.capture for s in slid]))
        need = self._registry.rules[indices[0]].limit.validity.minutes_per_hour / HOUR
        formed = np.stack([s.obstacle == 0 for s in slid])
        over = np.stack([s.over for s in slid])
        return _Sums(
            np.stack([s.value for s in slid]),
            capture,
            formed & enough(capture, need),
            over,
        )

    def _means(self, indices: NDArray[np.intp], first: int, count: int, width: int) -> _Sums:
        limit = self._registry.rules[indices[0]].limit
        channel = self._channel[indices]
        start = np.full(len(indices), first - width + 1)
        span = count + width - 1
        keep = self._period(limit, self._zone[int(indices[0])], first - width + 1, span)
        if not keep.any():  # by day nothing of a night is to be found
            shape = (len(indices), count)
            return _Sums(np.full(shape, np.nan), np.zeros(shape), np.zeros(shape, np.bool_), np.zeros(shape, np.bool_))
        block = self._panes.block(channel, start, span)
        excluded = self._exclusion.minutes(channel, start, span)
        used = np.broadcast_to(keep, block.count.shape) if excluded is None else keep & ~excluded
        everything = bool(used.all())
        counts = block.count if everything else np.where(used, block.count, np.uint16(0))
        due = self._due[channel][:, None]
        held = block.held if everything else np.where(used, block.held, 0.0)
        over = self._over(block.over & used, width)
        parameter = self._registry.channels[channel[0]].parameter
        averaging = parameter.averaging
        if limit.statistic == "maximum" or parameter.is_peak:
            # A maximum beyond the limit stands however little data there is around it.
            held = sliding_sum(held, width)
            value = sliding_maximum(np.where(used, block.high, -np.inf), width)
            return _Sums(np.where(held > 0, value, np.nan), np.minimum(1.0, held / (due * width)), held > 0, over)
        total = block.total if everything else np.where(used, block.total, 0.0)
        hour = min(width, HOUR)
        # One minute's window is summed in one order, whatever stretch it is computed with.
        phase = width - first
        readings = sliding_count(counts, hour)
        kept = readings if (held == counts).all() else sliding_sum(held, hour, phase)
        valid = (readings > 0) & sufficient(kept, due * hour, limit.validity.minutes_per_hour)
        sums = sliding_sum(total, hour, phase)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = mean_of_sums(averaging, sums, readings)
            water = self._discharge(indices, first - width + 1, span, hour)
            if water is not None:
                valid &= water.due
            if width > HOUR:  # the mean of its valid hours, each with the same weight, or weighted by flow
                hours = width // HOUR
                needed = np.full((len(indices), 1), float(min(limit.validity.hours or 1, hours)))
                if water is not None:
                    valid &= water.weight > 0
                    needed = np.maximum(_strided(water.due, hours, count), 1.0)
                weight = np.where(valid, 1.0 if water is None else water.weight, 0.0)
                weighted = _strided(np.where(valid, value * weight, 0.0), hours, count)
                value = mean_of_sums(averaging, weighted, _strided(weight, hours, count))
                kept = _strided(kept, hours, count)
                valid = _strided(valid, hours, count) >= needed
            value = figure(averaging, value)
        return _Sums(np.where(valid, value, np.nan), np.minimum(1.0, kept / (due * width)), valid, over)

    def _subtract(self, found: _Sums, indices: NDArray[np.intp], first: int, count: int, width: int) -> None:
        """Take the county's means over the same windows off; without a valid one there is no difference."""
        rules = [self._registry.rules[r] for r in indices]
        county = np.array([r.references[0] for r in rules])
        block = self._exclusion.unmarked(county, np.full(len(rules), first - width + 1), count + width - 1)
        due = self._due[county][:, None]
        there = sufficient(sliding_sum(block.held, width), due * width, rules[0].limit.validity.minutes_per_hour)
        # A county's value out of range may have been higher, and the difference lower.
        there &= ~self._over(block.over, width)
        with np.errstate(divide="ignore", invalid="ignore"):
            found.value[:] -= sliding_sum(block.total, width) / sliding_count(block.count, width)
        found.valid[:] &= there

    def _discharge(self, indices: NDArray[np.intp], first: int, span: int, hour: int) -> Discharge | None:
        """What the flow meters of rules tell of the hours that end with the minutes of a span; None where all hours are due."""
        rules = self._registry.rules
        if rules[indices[0]].flow is None:
            return None
        flow = np.array([rules[r].flow for r in indices], np.intp)
        block = self._exclusion.unmarked(flow, np.full(len(flow), first), span)
        due = HOUR * self._due[flow][:, None]
        return discharge(
            sliding_count(block.count, hour),
            sliding_sum(block.total, hour),
            sliding_sum(block.held, hour) / due,
            sliding_maximum((block.low < 0).astype(np.float64), hour) > 0,
            rules[indices[0]].limit.validity.minutes_per_hour,
        )

    @staticmethod
    def _over(over: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
        if not over.any():
            return np.zeros((len(over), over.shape[1] - width + 1), np.bool_)
        return sliding_maximum(over.astype(np.float64), width) > 0

    def _period(self, limit: Limit, zone: str, first: int, count: int) -> NDArray[np.bool_]:
        """Minutes of the day or night period, for limits that only hold then."""
        if limit.window not in {"daytime", "nighttime"}:
            return np.ones(count, np.bool_)
        inside = np.zeros(count, np.bool_)
        for start, end in windows_touching(limit.window, first, first + count, zone, self._registry.conditions):
            inside[max(0, start - first) : end - first] = True
        return inside


def _alarm(registry: Registry, rule: Rule) -> Alarm | None:
    """The alarm of a rule; None where nothing slides.

    Where verdicts come from the same minutes nothing may be waited for: one minute above is above. A reading of a maximum
    speaks for its interval, a mean for its hour.
    """
    limit = rule.limit
    if not by_minute(rule):
        return limit.alarm
    width = max(1, registry.channels[rule.channel].interval // MINUTE) if limit.statistic == "maximum" else HOUR
    return msgspec.structs.replace(limit.alarm or _ALARM, sliding_minutes=width, delay_minutes=1)


def _strided(x: NDArray[np.bool_] | NDArray[np.float64], hours: int, count: int) -> NDArray[np.float64]:
    """Sums of the values an hour apart: of ``hours`` hours that end with each of the last ``count`` minutes."""
    out = np.zeros((len(x), count))
    for hour in range(hours):
        out += x[:, hour * HOUR : hour * HOUR + count]
    return out


def backgrounds(rule: Rule, zone: str, first: int, count: int) -> NDArray[np.float64]:
    """Background level of a rule at each minute [dB]; NaN where none had been measured."""
    out = np.full(count, np.nan)
    for start, day in _local_days(zone, first, count):
        level_then = rule.background_on(day)
        out[max(0, start - first) :] = np.nan if level_then is None else level_then
    return out


def _local_days(zone: str, first: int, count: int) -> Iterator[tuple[int, date]]:
    """Local days that share a minute with a span, each with its first minute."""
    day = moment_of(first, zone).date()
    while (start := minute_of(datetime.combine(day, time(0), ZoneInfo(zone)))) < first + count:
        yield start, day
        day += timedelta(days=1)


def thresholds(limit: Limit, zone: str, first: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Upper and lower thresholds in force at each minute; NaN where the limit has none."""
    high, low = np.full(count, np.nan), np.full(count, np.nan)
    for start, day in _local_days(zone, first, count):
        threshold = threshold_on(limit, day)
        piece = slice(max(0, start - first), None)
        high[piece] = np.nan if threshold is None or threshold.high is None else threshold.high
        low[piece] = np.nan if threshold is None or threshold.low is None else threshold.low
    return high, low
