"""The air quality index of days at homes, and laboratories' results beside the online hours; no verdict rests on the former."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import msgspec

from greenmine.air_index import AirIndex, air_index, air_index_table
from greenmine.limits import Window
from greenmine.processing.engine import Statistic
from greenmine.processing.upwind import Hours
from greenmine.processing.windows import minute_of, moment_of
from greenmine.registry import Registry, Site
from greenmine.reporting import Period

Statistics = Mapping[tuple[int, Window, int], Statistic]
"""By channel, window and start, as `greenmine.evidence.recompute.Recomputed.statistics`."""


class AirIndexDay(msgspec.Struct, frozen=True):
    """The air quality index of a day at homes, from what is measured there."""

    site: str
    station: str
    day: str
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


def air_index_days(registry: Registry, site: Site, period: Period, statistics: Statistics) -> list[AirIndexDay]:
    """Index of each day at stations of homes; a mean that is not valid, or a lower bound, is missing."""
    table = air_index_table()
    homes = {s.id for s in site.stations if s.role == "receptor"}
    means: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for (index, window, start), statistic in statistics.items():
        channel, day = registry.channels[index], moment_of(start, site.zone).date()
        if window != "day" or channel.station not in homes or channel.parameter.id not in table.day:
            continue
        within = max(period.first, table.valid_from) <= day <= period.last
        if within and statistic.mean is not None and statistic.valid and not statistic.over:
            means[channel.station, day.isoformat()][channel.parameter.id] = statistic.mean
    return [
        AirIndexDay(site.id, station, day, table.standard, table.clause, air_index(table, some))
        for (station, day), some in sorted(means.items())
    ]


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
