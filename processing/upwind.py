"""How much of what is measured at a station was already in the air upwind of the mine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenmine.limits import Window
from greenmine.processing.engine import Statistic
from greenmine.processing.wind import angle_between, bearing
from greenmine.registry import Registry

HourlyStatistics = Mapping[tuple[int, Window, int], Statistic]
"""By channel, window and start, as `greenmine.evidence.recompute.Recomputed.statistics`; those of the window ``hour`` are used."""


@dataclass(frozen=True, slots=True)
class UpwindShare:
    """The part of a concentration that came from upwind.

    ``share`` is at most 1: the sum of the hourly means upwind ÷ that of the station, over the same ``hours``.
    """

    share: float
    hours: int


def upwind_share(
    registry: Registry, channel: int, statistics: HourlyStatistics, spans: Sequence[tuple[int, int]]
) -> UpwindShare | None:
    """Compare a station with the station upwind of the mine, hour by hour.

    An hour counts if the wind, the station and another one of the same parameter have a valid hourly figure, the wind is strong
    enough to have a direction, and the other station lies upwind of the pit within the sector of the catalogue's conditions.
    Of several, the one that lies upwind most exactly is taken.

    Parameters
    ----------
    registry : Registry
        Positions, channels, and the bounds of wind speed and sector.
    channel : int
        Index of the station's channel; arithmetic means.
    statistics : HourlyStatistics
        All of the site.
    spans : sequence of (int, int)
        The windows of interest [minutes since 1970 UTC, half-open].

    Returns
    -------
    UpwindShare or None
        None without any such hour, and where the station has nothing in the air.

    References
    ----------
    GB 29620-2013, 4.5, and GB 4915-2013, 4.4 (the quality of the air is the duty of the local government). How the share is
    computed is a choice of this project.
    """
    here = registry.channels[channel]
    site = registry.site(here.site)
    by_parameter = {c.parameter.id: c.index for c in registry.site_channels(here.site)}
    if not {"wind-speed", "wind-direction"} <= by_parameter.keys():
        return None
    others = {
        c.index: bearing(site.position, registry.station(c.site, c.station).position)
        for c in registry.site_channels(here.site)
        if c.parameter.id == here.parameter.id and c.station != here.station
    }
    sector, calm = registry.conditions.difference_sector, registry.conditions.difference_wind_minimum
    total = upwind = 0.0
    hours = 0
    for (index, window, start), own in statistics.items():
        if index != channel or window != "hour" or not any(first <= start < last for first, last in spans):
            continue
        mean = _mean(own)
        speed, wind_from = (
            _mean(statistics.get((by_parameter[p], "hour", start))) for p in ("wind-speed", "wind-direction")
        )
        if mean is None or speed is None or wind_from is None or speed < calm:
            continue
        near = [
            (float(angle_between(wind_from, direction)), figure)
            for other, direction in others.items()
            if (figure := _mean(statistics.get((other, "hour", start)))) is not None
        ]
        near = [pair for pair in near if pair[0] <= sector]
        if near:
            total, upwind, hours = total + mean, upwind + min(near)[1], hours + 1
    if not hours or total <= 0:
        return None
    return UpwindShare(min(1.0, max(0.0, upwind / total)), hours)


def _mean(statistic: Statistic | None) -> float | None:
    return statistic.mean if statistic is not None and statistic.valid else None
