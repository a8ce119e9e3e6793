"""What limits judge over a whole period where that is not its plain statistic: working time, hours of discharge, sound events."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import SHORT, Threshold
from greenmine.parameters import Averaging
from greenmine.processing.averaging import figure
from greenmine.processing.discharge import discharge
from greenmine.processing.events import SoundEvent, event_kind, sound_events
from greenmine.processing.exceedances import Beyond
from greenmine.processing.exclusion import Exclusion
from greenmine.processing.levels import TOLD_APART, corrected_levels
from greenmine.processing.panes import MINUTE, Panes
from greenmine.processing.slide import HOUR, Slider
from greenmine.processing.validity import enough, sufficient
from greenmine.processing.verdicts import Figure, Sufficiency, Verdict
from greenmine.processing.windows import moment_of
from greenmine.processing.working import WorkingMinutes
from greenmine.registry import Registry, Rule


@dataclass(frozen=True, slots=True)
class _DueHours:
    """The clock hours of a period, one an entry; ``weight`` is the flow, 0 where it is not known, or 1 without a meter."""

    value: NDArray[np.float64]
    valid: NDArray[np.bool_]
    """Due, with enough readings."""
    due: NDArray[np.bool_]
    weight: NDArray[np.float64]
    over: NDArray[np.bool_]
    flooded: NDArray[np.bool_]
    """Due, with a flow over range: such an hour may weigh more."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A window of up to an hour [minutes since 1970 UTC, half-open]; value and excess are NaN where it cannot be assessed."""

    start: int
    end: int
    value: float
    capture: float
    excess: float
    over: bool
    """A value was out of the range of its instrument."""


class PeriodFigures:
    """Figures of rules over periods [minutes since 1970 UTC, half-open] of whole hours.

    Parameters
    ----------
    registry : Registry
        Channels, stations, conditions.
    panes : Panes
        Readings by the minute.
    exclusion : Exclusion
        Minutes that do not count.
    slider : Slider
        Means over the windows of minutes.
    """

    def __init__(self, registry: Registry, panes: Panes, exclusion: Exclusion, slider: Slider) -> None:
        self._registry = registry
        self._panes = panes
        self._exclusion = exclusion
        self._slider = slider
        self.working = WorkingMinutes(registry, exclusion)
        self._due = [HOUR * MINUTE / c.interval for c in registry.channels]

    def by_own_hours(self, rule: Rule) -> bool:
        """Whether a rule chooses or validates the hours of its window in its own way, so that its figure is not the plain one."""
        limit, parameter = rule.limit, self._registry.channels[rule.channel].parameter
        stricter = limit.validity.minutes_per_hour != self._registry.conditions.minutes_per_hour
        mean = limit.statistic == "mean" and limit.window != "hour" and limit.period == "whole"
        parts = limit.window == "8h" or limit.statistic == "range"
        return parts or rule.flow is not None or (stricter and mean and parameter.has_mean)

    def used(self, rule: Rule, begin: int, finish: int, *, working: bool) -> NDArray[np.bool_]:
        """Minutes whose readings are judged; ``working``: of known working time alone."""
        row, start, width = np.array([rule.channel]), np.array([begin]), finish - begin
        used: NDArray[np.bool_] = self._panes.sums(row, start, width)[0][0] > 0
        excluded = self._exclusion.minutes(row, start, width)
        if excluded is not None:
            used &= ~excluded[0]
        if working and rule.working is not None:
            used &= self.working.minutes(rule, begin, width)[0]
        return used

    def at_work(self, rule: Rule, begin: int, finish: int, threshold: Threshold) -> Figure:
        """Level of the working time of a period, corrected for its background.

        References
        ----------
        GB 12348-2008, 5.4.3: Leq of the whole normal working period; 5.4.2 and 3.11: a minute of a steady source; 5.7:
        background. The least durations are choices of this project.
        """
        working = self.working.minutes(rule, begin, finish - begin)[0]
        if not working.any():
            return Figure(None, 0.0, obstacle="not-working")
        block = self._panes.block(np.array([rule.channel]), np.array([begin]), finish - begin)
        used = self.used(rule, begin, finish, working=True)
        count = int(block.count[0, used].sum())
        due = self._due[rule.channel]
        minutes = float(block.held[0, used].sum()) * HOUR / due
        averaging = self._registry.channels[rule.channel].parameter.averaging
        value = float(figure(averaging, np.array([block.total[0, used].sum() / max(count, 1)]))[0])
        conditions = self._registry.conditions
        need = conditions.working_minutes
        if self._is_steady(averaging, block.total[0, used], block.count[0, used]):
            need = min(need, conditions.steady_minutes)
        background = rule.background_on(moment_of(begin, self._registry.site(rule.site).zone).date())
        source = value
        if background is not None:
            source = float(corrected_levels(np.array([value]), np.array([background]))[0])
        masked = np.isnan(source) and threshold.high is not None and round(value, 9) > threshold.high
        corrected = source < value
        judged = source if corrected else value
        enough_time = Sufficiency("too-short-working-time", minutes, need)
        hidden = Sufficiency("background-too-high", value - (background or 0.0), TOLD_APART)
        return Figure(
            None if np.isnan(judged) else judged,
            min(1.0, minutes / int(working.sum())),
            sufficiency=hidden if masked and minutes >= need else enough_time,
            over=bool(block.over[0, used].any()),
            corrected=corrected,
        )

    def _is_steady(self, averaging: Averaging, total: NDArray[np.float64], count: NDArray[np.uint16]) -> bool:
        """Whether the levels of the minutes that have one vary so little that the source is steady."""
        there = count > 0
        levels = figure(averaging, total[there] / count[there])
        return bool(len(levels)) and round(float(np.ptp(levels)), 9) <= self._registry.conditions.steady_variation

    def beyond(self, rule: Rule, begin: int, finish: int, verdict: Verdict, threshold: Threshold) -> list[Beyond]:
        """What exceeds in a period: its single events or hours, or all of it."""
        assert verdict.have is not None
        assert verdict.need is not None
        if rule.limit.allowed:
            return self._windows_beyond(rule, begin, finish, verdict.need)
        if rule.limit.statistic == "range":
            return self._hours_beyond(rule, begin, finish, threshold)
        if rule.limit.event is not None:
            return [
                Beyond(event.start, event.end, event.peak, event.peak_minute, verdict.need)
                for event in self.events(rule, begin, finish)
                if round(event.peak, 9) > verdict.need
            ]
        return [Beyond(begin, finish, verdict.have, finish - 1, verdict.need)]

    def windows(self, rule: Rule, begin: int, finish: int) -> list[_Part]:
        """The windows of up to an hour in a period."""
        width = SHORT[rule.limit.window]
        slid = self._slider.slide(np.array([rule.index]), begin + width - 1, finish - 1, width)
        starts = range(begin, finish, width)
        columns = (x[0, ::width].tolist() for x in (slid.value, slid.capture, slid.excess, slid.over))
        return [_Part(start, start + width, *row) for start, *row in zip(starts, *columns, strict=True)]

    def counted(self, rule: Rule, begin: int, finish: int) -> Figure:
        """The worst window of a period after those that are allowed to be beyond the limit.

        How many windows must be valid is a choice of this project: the share that the limit asks of an hour. A window out of
        range that is not beyond the limit may have been: it keeps the period from meeting where it would be one too many.
        """
        windows = self.windows(rule, begin, finish)
        valid = sorted((w for w in windows if not np.isnan(w.excess)), key=lambda w: -w.excess)
        need = len(windows) * rule.limit.validity.minutes_per_hour / HOUR
        doubtful = sum(w.over and np.isnan(w.excess) for w in windows)
        return Figure(
            valid[min(rule.limit.allowed, len(valid) - 1)].value if valid else None,
            len(valid) / len(windows),
            sufficiency=Sufficiency("too-few-windows", len(valid), need),
            over=sum(w.excess > 0 for w in valid) + doubtful > rule.limit.allowed,
            stands=len(valid) > rule.limit.allowed,
        )

    def less_county(self, rule: Rule, begin: int, finish: int, *, over: bool) -> Figure:
        """Mean of an hour less that of the county's station; none where either has too little."""
        (hour,) = self.windows(rule, begin, finish)
        if np.isnan(hour.value):
            there = bool(enough(hour.capture, rule.limit.validity.minutes_per_hour / HOUR))
            obstacle = ("over-range" if over else "no-county-data") if there else None
            return Figure(None, hour.capture, obstacle=obstacle)
        return Figure(hour.value, hour.capture, over=over)

    def _windows_beyond(self, rule: Rule, begin: int, finish: int, bound: float) -> list[Beyond]:
        """Each window beyond the limit, those that are allowed included: all of them together exceed."""
        return [
            Beyond(w.start, w.end, w.value, w.end - 1, bound) for w in self.windows(rule, begin, finish) if w.excess > 0
        ]

    def _due_hours(self, rule: Rule, begin: int, finish: int, threshold: Threshold) -> _DueHours:
        """The clock hours of a period of a rule that goes by its own hours; of sound, their mean energies.

        Of a range, the value of an hour is the reading nearest to its bounds, or furthest beyond them: as it was measured.

        References
        ----------
        GB 8978-1996, 5.2 (by the production cycle); Table 4 (pH as a range).
        """
        start, width = np.array([begin]), finish - begin
        row, least = np.array([rule.channel]), rule.limit.validity.minutes_per_hour
        block = self._panes.block(row, start, width)
        used = np.ones((1, width), np.bool_)
        excluded = self._exclusion.minutes(row, start, width)
        if excluded is not None:
            used &= ~excluded
        count, total = (np.where(used, x, 0).reshape(-1, HOUR).sum(axis=1) for x in (block.count, block.total))
        expected = self._due[rule.channel]
        held = np.where(used, block.held, 0.0).reshape(-1, HOUR).sum(axis=1)
        valid = (count > 0) & sufficient(held, expected, least)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = total / count
        if rule.limit.statistic == "range":
            low = np.where(used, block.low, np.inf).reshape(-1, HOUR).min(axis=1)
            high = np.where(used, block.high, -np.inf).reshape(-1, HOUR).max(axis=1)
            every = np.ones(len(value), np.bool_)
            value = np.where(_excess(low, every, threshold) > _excess(high, every, threshold), low, high)
        value = np.where(valid, value, np.nan)
        due, weight = np.ones(len(value), np.bool_), np.ones(len(value))
        flooded: NDArray[np.bool_] = np.zeros(len(value), np.bool_)
        over = (block.over & used).reshape(-1, HOUR).any(axis=1)
        if rule.flow is not None:
            flow = self._exclusion.unmarked(np.array([rule.flow]), start, width)
            readings, flowed, told_of = (x.reshape(-1, HOUR).sum(axis=1) for x in (flow.count, flow.total, flow.held))
            below = flow.low.reshape(-1, HOUR).min(axis=1) < 0
            told = discharge(readings.astype(np.float64), flowed, told_of / self._due[rule.flow], below, least)
            due, weight = told.due, told.weight
            # More water than was measured may have come in such an hour: what weighs with it is not known.
            flooded |= flow.over.reshape(-1, HOUR).any(axis=1)
        return _DueHours(value, valid & due, due, weight, (over | flooded) & due, flooded & due)

    def over_due_hours(self, rule: Rule, begin: int, finish: int, threshold: Threshold) -> Figure:
        """Mean of the due hours weighted by flow, or the worst of them."""
        hours = self._due_hours(rule, begin, finish, threshold)
        if not hours.due.any():
            return Figure(None, 0.0, obstacle="no-discharge")
        as_range = rule.limit.statistic == "range"
        averaging = self._registry.channels[rule.channel].parameter.averaging
        used = hours.valid if as_range else hours.valid & (hours.weight > 0)
        have, due = int(used.sum()), int(hours.due.sum())
        value = None
        if have and as_range:
            value = float(hours.value[_excess(hours.value, used, threshold).argmax()])
        elif have:
            mean = np.average(hours.value[used], weights=hours.weight[used])
            value = float(figure(averaging, np.array([mean]))[0])
        # With more water than was measured the mean comes nearer to that of such an hour: it exceeds only if these do, too.
        inside = hours.flooded & hours.valid & ~(_excess(hours.value, hours.flooded, threshold) > 0)
        return Figure(
            value,
            have / due,
            have,
            obstacle="over-range" if inside.any() and not as_range else None,
            over=bool(hours.over.any()),
            # No hour of discharge is made up for: one that was not measured, or of unknown flow, may have been the dirty one.
            sufficiency=Sufficiency(
                "too-few-hours", have, due if rule.flow is not None else min(due, rule.limit.validity.hours or due)
            ),
            stands=as_range,
        )

    def _hours_beyond(self, rule: Rule, begin: int, finish: int, threshold: Threshold) -> list[Beyond]:
        """Runs of clock hours whose values lie outside a range."""
        hours = self._due_hours(rule, begin, finish, threshold)
        excess = _excess(hours.value, hours.valid, threshold)
        outside = np.flatnonzero(np.round(excess, 9) > 0)
        found = []
        for run in np.split(outside, np.flatnonzero(np.diff(outside) > 1) + 1):
            worst = run[excess[run].argmax()]
            value = float(hours.value[worst])
            bound = threshold.low if threshold.low is not None and value < threshold.low else threshold.high
            assert bound is not None
            start, end = (begin + HOUR * int(h) for h in (run[0], run[-1] + 1))
            found.append(Beyond(start, end, value, begin + HOUR * int(worst) + HOUR - 1, bound))
        return found

    def events(self, rule: Rule, begin: int, finish: int) -> list[SoundEvent]:
        """Sound events of a period that the rule's limit is about."""
        conditions, width = self._registry.conditions, finish - begin
        block = self._panes.block(np.array([rule.channel]), np.array([begin]), width)
        used = self.used(rule, begin, finish, working=False)
        events = sound_events(np.where(used, block.high[0], np.nan), begin, conditions)
        decided = self._registry.station(rule.site, rule.station).night_events
        kind = decided or event_kind(events, begin, conditions)
        return events if rule.limit.event in {"any", kind} else []


def _excess(value: NDArray[np.float64], used: NDArray[np.bool_], threshold: Threshold) -> NDArray[np.float64]:
    """How far values lie beyond a threshold; negative within it, -inf where a value is not used."""
    above = -np.inf if threshold.high is None else value - threshold.high
    below = -np.inf if threshold.low is None else threshold.low - value
    return np.where(used, np.maximum(above, below), -np.inf)
