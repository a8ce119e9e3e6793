"""The air quality index of days at homes, and laboratories' results beside the online hours; no verdict rests on the former."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Protocol

import msgspec

from greenmine.evidence.air_index import AirIndex, air_index, air_index_table
from greenmine.limits import Window
from greenmine.processing.engine import Statistic
from greenmine.processing.upwind import Hours
from greenmine.processing.windows import minute_of, moment_of
from greenmine.registry import Channel, Registry, Site
from greenmine.reporting import Period

Statistics = Mapping[tuple[int, Window, int], Statistic]
"""By channel, window and start, as `greenmine.evidence.recompute.Recomputed.statistics`."""


class DayFigure(Protocol):
    """The statistic of a natural day, as the core finds it and as the record keeps it."""

    @property
    def mean(self) -> float | None:
        """Mean of the valid hours [the parameter's unit]."""

    @property
    def valid(self) -> bool:
        """Whether hours enough are valid."""

    @property
    def over(self) -> int:
        """Minutes over range: with any, the mean is a lower bound."""


class AirIndexDay(msgspec.Struct, frozen=True):
    """The air quality index of a day at homes, from what is measured there.

    ``index.aqi`` is None (NA) while pollutants are missing and those that are measured give no more than 100.
    """

    site: str
    station: str
    day: date
    standard: str
    clause: str
    index: AirIndex


class ReferenceFigures(msgspec.Struct, frozen=True):
    """A laboratory's result for an hour, beside the online mean of the same hour."""

    channel: str
    start: str
    end: str
    value: float
    online: float | None
    """None where the online hour is not valid, or a lower bound, or is none of the clock."""
    laboratory: str
    certificate: str
    method: str
    document: str


def takes_part(registry: Registry, channel: Channel) -> bool:
    """Tell if a channel measures a pollutant of the index at homes."""
    measured = channel.parameter.id in air_index_table().day
    return measured and registry.station(channel.site, channel.station).role == "receptor"


def air_index_days(registry: Registry, figures: Iterable[tuple[Channel, date, DayFigure]]) -> list[AirIndexDay]:
    """Give the index of each day at each station of homes, by station and day.

    A mean that is not valid, or a lower bound, is missing. Days before the table is in force, or without any mean, are left out.

    Parameters
    ----------
    registry : Registry
        Knows the stations.
    figures : iterable of (Channel, date, DayFigure)
        Of any channels; one for each channel and local day.
    """
    table = air_index_table()
    means: dict[tuple[str, str, date], dict[str, float]] = defaultdict(dict)
    for channel, day, figure in figures:
        if day < table.valid_from or not takes_part(registry, channel):
            continue
        if figure.mean is not None and figure.valid and not figure.over:
            means[channel.site, channel.station, day][channel.parameter.id] = figure.mean
    return [
        AirIndexDay(site, station, day, table.standard, table.clause, air_index(table, some))
        for (site, station, day), some in sorted(means.items())
    ]


def period_air_index(registry: Registry, period: Period, statistics: Statistics) -> list[AirIndexDay]:
    """Give the index of the days of a period, from statistics of a registry's sites."""
    days = (
        (channel, moment_of(start, registry.site(channel.site).zone).date(), statistic)
        for (index, window, start), statistic in statistics.items()
        if window == "day"
        for channel in (registry.channels[index],)
    )
    return air_index_days(registry, (one for one in days if period.first <= one[1] <= period.last))


def reference_figures(registry: Registry, site: Site, period: Period, hours: Hours) -> list[ReferenceFigures]:
    """Results of laboratories for hours of a period, by channel and time."""
    channels = {channel.key: channel for channel in registry.site_channels(site.id)}
    found = []
    for result in site.references:
        first = minute_of(result.start)
        if not period.first <= moment_of(first, site.zone).date() <= period.last:
            continue
        channel = channels[f"{site.id}/{result.station}/{result.parameter}"]
        hour = next((s for s in hours.get(channel.index, ()) if s.start == first), None)
        online = hour.mean if hour is not None and hour.valid and not hour.over else None
        start, end = (moment_of(minute_of(edge), site.zone).isoformat() for edge in (result.start, result.end))
        found.append(
            ReferenceFigures(
                channel.key, start, end, result.value, online, result.laboratory, result.certificate, result.method,
                result.document,
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: (one.channel, one.start))
