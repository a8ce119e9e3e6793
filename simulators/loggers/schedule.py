"""What a simulated logger has to report, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from greenmine.simulators.clock import DAY_MS, MINUTE_MS, Clock
from greenmine.simulators.loggers.faults import WireFault

Command = Literal["2011", "2021", "2051", "2061", "2031"]
"""Kinds of report."""

Backlog = Literal["first", "last", "never"]
"""When what fell due without a connection is sent: before newer reports, beside them, or only when the platform asks."""

_HOUR: Final = 60 * MINUTE_MS
_BESIDE: Final = 1000
"""Distance of late reports that are sent beside newer ones [ms]."""


@dataclass(slots=True)
class Periods:
    """The instants or periods of a kind of report.

    Parameters
    ----------
    zone : str
        Zone in which days begin.
    rtd : int
        Distance of reports of instants [ms].
    minutes : int
        Length of the periods of 2051 [ms].
    """

    zone: str
    rtd: int
    minutes: int

    def length(self, command: Command) -> int:
        """Time from the DataTime of a report to the moment when it can be made [ms]."""
        return {"2051": self.minutes, "2061": _HOUR, "2031": DAY_MS}.get(command, 0)

    def first(self, command: Command, instant: int) -> int:
        """The first DataTime from an instant on [ms UTC]."""
        step = self.length(command) or self.rtd
        if command != "2031":
            return -(-instant // step) * step
        shift = self._offset(instant)
        return -(-(instant + shift) // DAY_MS) * DAY_MS - shift

    def after(self, command: Command, datatime: int) -> int:
        """The DataTime that follows."""
        return self.first(command, datatime + 1)

    def _offset(self, instant: int) -> int:
        return int(Clock(self.zone).offsets(np.array([instant]))[0]) * MINUTE_MS


@dataclass(slots=True, eq=False)
class _Series:
    command: Command
    datatime: int
    end: int | None = None
    """What was missed ends here, exclusive; None: goes on for ever."""
    due: int | None = None
    """When the next of what was missed is to be sent; None: as soon as it can be made."""


class Schedule:
    """The reports that are due, one after the other; it remembers only where each series stands.

    Parameters
    ----------
    commands : iterable of str
        Kinds of report that are sent without being asked for.
    periods : Periods
        Their instants; may change while the logger runs.
    start, end : int, int or None
        First DataTime, and the last, exclusive [ms UTC]; None: without end.
    at : callable
        The fault that touches an instant. Reports under ``catch-up`` are sent after newer ones.
    """

    def __init__(
        self,
        commands: tuple[Command, ...],
        periods: Periods,
        start: int,
        end: int | None,
        at: Callable[[int], WireFault | None],
    ) -> None:
        self._periods = periods
        self._end = end
        self._at = at
        self._series = [_Series(command, periods.first(command, start)) for command in commands]
        self._current: tuple[_Series, int] | None = None
        for series in tuple(self._series):
            self._settle(series)

    def next(self) -> tuple[int, Command, int] | None:
        """When the next report is due, what it is, and its DataTime; None: nothing will ever be."""
        if not self._series:
            return None
        series = min(self._series, key=self._due)
        self._current = series, series.datatime
        return self._due(series), series.command, series.datatime

    def done(self) -> None:
        """The report that ``next`` named is settled, whatever else has changed since."""
        if self._current is None:
            return
        series, datatime = self._current
        self._current = None
        if series not in self._series or series.datatime > datatime:
            return
        series.datatime = self._periods.after(series.command, datatime)
        if series.due is not None:
            series.due += _BESIDE
        self._settle(series)

    def realign(self, command: Command) -> None:
        """The interval of a kind of report has changed."""
        for series in self._series:
            if series.command == command:
                series.datatime = self._periods.first(command, series.datatime)

    def reconnected(self, now: int, backlog: Backlog) -> None:
        """There is a connection again: see to what fell due without one."""
        if backlog == "first":
            return
        for series in [series for series in self._series if series.end is None]:
            fresh = self._periods.first(series.command, now - self._periods.length(series.command))
            fresh = fresh if self._end is None else min(fresh, self._periods.first(series.command, self._end))
            if fresh > series.datatime:
                if backlog == "last":
                    self._series.append(_Series(series.command, self._unsent(series), fresh, now + _BESIDE))
                series.datatime = fresh
                self._settle(series)

    def _unsent(self, series: _Series) -> int:
        """The first DataTime of a series that is not under way."""
        under_way = self._current is not None and self._current[0] is series
        return self._periods.after(series.command, series.datatime) if under_way else series.datatime

    def _due(self, series: _Series) -> int:
        ready = series.datatime + self._periods.length(series.command)
        return ready if series.due is None else max(ready, series.due)

    def _settle(self, series: _Series) -> None:
        """Put aside what a fault keeps back, and take away a series that is at its end."""
        fault = self._at(series.datatime) if series.due is None else None
        if fault is not None and fault.kind == "catch-up":
            resumed = self._periods.first(series.command, fault.end)
            late = fault.end + self._periods.length(series.command) + _BESIDE
            end = resumed if self._end is None else min(resumed, self._end)
            self._series.append(_Series(series.command, series.datatime, end, late))
            series.datatime = resumed
        last = series.end if series.end is not None else self._end
        if last is not None and series.datatime >= last:
            self._series.remove(series)
