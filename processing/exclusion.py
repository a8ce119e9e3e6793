"""Minutes that do not count: bad weather for noise, and marks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.panes import MINUTE, Block, Panes
from greenmine.processing.sliding import sliding_maximum
from greenmine.registry import Registry, Rule

_INSTRUMENT: Final = frozenset({"maintenance", "calibration", "fault"})
"""Kinds of mark about an instrument: they take readings of any theme out."""
EXCLUDING: Final = _INSTRUMENT | {"stop", "weather"}
"""Kinds of mark that take readings out of the figures, of all themes or of some; the others only explain."""
KINDS: Final = EXCLUDING | {"blasting"}
"""All kinds of mark."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A statement about a period [minutes since 1970 UTC, half-open] of a station, or of one parameter there."""

    site: str
    station: str
    parameter: str | None
    start: int
    end: int
    kind: str


def excluded_channels(registry: Registry, mark: Mark) -> list[int]:
    """Return the indices of the channels whose readings a mark takes out; none at a site that is not in the registry.

    References
    ----------
    GB 12348-2008, 5.2.1 and 5.2.2 (weather, normal work); GB 3095-2026, 6.4 (all valid data take part). Which kinds touch a theme
    is in the catalogue of themes.
    """
    if all(site.id != mark.site for site in registry.sites):
        return []
    return [
        c.index
        for c in registry.site_channels(mark.site)
        if c.station == mark.station
        and mark.parameter in {None, c.parameter.id}
        and (mark.kind in _INSTRUMENT or mark.kind in registry.themes[c.parameter.theme].marks)
    ]


def carried(registry: Registry, mark: Mark) -> list[Mark]:
    """Return a mark of a weather station as it holds at the sites that borrow its weather, where it takes anything out there."""
    found = [
        replace(mark, site=site, station=registry.neighbours[site].id)
        for site in registry.borrowers(mark.site, mark.station)
    ]
    return [one for one in found if mark.kind in EXCLUDING and excluded_channels(registry, one)]


def rests_on(registry: Registry, rule: Rule) -> set[int]:
    """Return the channels whose readings may decide a rule: its own, references, flow, equipment, and the weather of its site."""
    found = {rule.channel, *rule.references}
    if rule.flow is not None:
        found.add(rule.flow)
    if rule.working is not None:
        found.update(rule.working.equipment)
    limit = rule.limit
    if limit.exclude_weather or limit.state is not None or limit.statistic == "difference":
        found.update(c.index for c in registry.site_channels(rule.site) if c.parameter.theme == "weather")
    return found


class Exclusion:
    """Knows for every channel which minutes do not count.

    Parameters
    ----------
    registry : Registry
        Noise channels are tied to the wind and rain channels of their site; without these nothing is excluded.
    panes : Panes
        Where the weather is read.
    marks : iterable of Mark
        All marks that may touch a window. Those of sites that are not in the registry touch nothing.
    """

    def __init__(self, registry: Registry, panes: Panes, marks: Iterable[Mark] = ()) -> None:
        self._registry = registry
        self._panes = panes
        self._wind_bound = registry.conditions.wind_invalid
        count = len(registry.channels)
        self.wind: NDArray[np.intp] = np.full(count, -1, np.intp)
        self.rain: NDArray[np.intp] = np.full(count, -1, np.intp)
        self._span = np.array([max(1, c.interval // MINUTE) for c in registry.channels], np.int64)
        for site in registry.sites:
            channels = registry.site_channels(site.id)
            noise = [c.index for c in channels if c.parameter.theme == "noise"]
            weather = [c for c in channels if site.weather in (None, c.station)]
            for parameter, target in (("wind-speed", self.wind), ("rain", self.rain)):
                source = next((c.index for c in weather if c.parameter.id == parameter), -1)
                target[noise] = source
        self.marks: dict[int, list[Mark]] = {}
        for mark in marks:
            self.add(mark)

    def add(self, mark: Mark) -> list[int]:
        """Take in a mark; returns the indices of the channels that it excludes."""
        touched = excluded_channels(self._registry, mark)
        for index in touched:
            self.marks.setdefault(index, []).append(mark)
        return touched

    def remove(self, mark: Mark) -> None:
        """Leave out a mark that was taken in; one of those that are equal."""
        for index in excluded_channels(self._registry, mark):
            self.marks[index].remove(mark)
            if not self.marks[index]:
                del self.marks[index]

    def span(self, channel: int) -> int:
        """Minutes for which a reading of a channel speaks; they end at its stamp."""
        return int(self._span[channel])

    def weather_sources(self) -> dict[int, list[int]]:
        """For each wind or rain channel, the noise channels that depend on it."""
        out: dict[int, list[int]] = {}
        for column in (self.wind, self.rain):
            for noise in np.flatnonzero(column >= 0):
                out.setdefault(int(column[noise]), []).append(int(noise))
        return out

    def minutes(self, channel: NDArray[np.intp], start: NDArray[np.int64], width: int) -> NDArray[np.bool_] | None:
        """Excluded minutes of k rows, shape (k, width), or None where there are none.

        References
        ----------
        GB 12348-2008, 5.2 (no rain or snow, wind under 5 m/s); bounds from the catalogue's conditions.
        """
        out: NDArray[np.bool_] | None = None
        for source, is_bad in ((self.wind[channel], self._windy), (self.rain[channel], self._rainy)):
            rows = np.flatnonzero(source >= 0)
            if len(rows):
                bad = is_bad(source[rows], start[rows], width)
                if bad.any():
                    out = np.zeros((len(channel), width), np.bool_) if out is None else out
                    out[rows] |= bad
        marked = self._marked(channel, start, width)
        return marked if out is None else out if marked is None else out | marked

    def _marked(self, channel: NDArray[np.intp], start: NDArray[np.int64], width: int) -> NDArray[np.bool_] | None:
        out: NDArray[np.bool_] | None = None
        if self.marks:
            for row in np.flatnonzero(np.isin(channel, list(self.marks))):
                for mark in self.marks[int(channel[row])]:
                    first, last = mark.start - int(start[row]), mark.end - int(start[row])
                    if last > 0 and first < width:
                        out = np.zeros((len(channel), width), np.bool_) if out is None else out
                        out[row, max(0, first) : last] = True
        return out

    def weather(self, channel: int, start: int, width: int) -> dict[str, NDArray[np.bool_]]:
        """Minutes of a channel that the weather takes out, shape (width,), by its cause: ``wind`` and ``rain``."""
        causes = (("wind", self.wind, self._windy), ("rain", self.rain, self._rainy))
        return {
            cause: is_bad(source[[channel]], np.array([start]), width)[0]
            for cause, source, is_bad in causes
            if source[channel] >= 0
        }

    def unmarked(self, channel: NDArray[np.intp], start: NDArray[np.int64], width: int) -> Block:
        """Panes of channels on which those of others rest, such as flow or the state of equipment; marked minutes are empty."""
        block = self._panes.block(channel, start, width)
        out = self._marked(channel, start, width)
        if out is None:
            return block
        return Block(
            np.where(out, np.uint16(0), block.count),
            np.where(out, 0.0, block.total),
            np.where(out, 0.0, block.other),
            np.where(out, np.inf, block.low),
            np.where(out, -np.inf, block.high),
            block.over & ~out,
            np.where(out, 0.0, block.held),
        )

    def weather_known(self, channel: int, start: int, width: int) -> NDArray[np.bool_]:
        """Minutes of a noise channel for which both wind and rain were measured, shape (width,).

        A station that is silent shows no good weather, nor does a site without the instrument.
        """
        known = np.ones(width, np.bool_)
        for source in (int(self.wind[channel]), int(self.rain[channel])):
            if source < 0:
                return np.zeros(width, np.bool_)
            span = self.span(source)
            block = self.unmarked(np.array([source]), np.array([start]), width + span - 1)
            # A value over range under the bound may have been above it.
            told = (block.count[0] > 0) & ~block.over[0]
            known &= sliding_maximum(told.astype(np.float64), span) > 0
        return known

    def _windy(self, source: NDArray[np.intp], start: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
        return self._bad(source, start, width, rain=False)

    def _rainy(self, source: NDArray[np.intp], start: NDArray[np.int64], width: int) -> NDArray[np.bool_]:
        return self._bad(source, start, width, rain=True)

    def _bad(self, source: NDArray[np.intp], start: NDArray[np.int64], width: int, *, rain: bool) -> NDArray[np.bool_]:
        """A reading speaks for its interval, which ends at its stamp."""
        out = np.zeros((len(source), width), np.bool_)
        for span in np.unique(self._span[source]).tolist():
            rows = self._span[source] == span
            block = self.unmarked(source[rows], start[rows], width + span - 1)
            if rain:
                bad = block.total > 0
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    # Nine digits: the order of summation must not decide.
                    bad = np.round(block.total / block.count, 9) >= self._wind_bound
            out[rows] = bad if span == 1 else sliding_maximum(bad.astype(np.float64), span) > 0
        return out
