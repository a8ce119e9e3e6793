"""How much of what is measured at a station was already in the air upwind of the mine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenmine.processing.engine import Statistic
from greenmine.processing.wind import angle_between, bearing
from greenmine.registry import Registry

Hours = Mapping[int, Sequence[Statistic]]
"""Hourly statistics by index of the channel, in order."""


@dataclass(frozen=True, slots=True)
class UpwindShare:
    """The part of a concentration that came from upwind.

    ``share`` is at most 1: the sum of the hourly means upwind ÷ that of the station, over the same ``hours``.
    """

    share: float
    hours: int


def upwind_share(
    registry: Registry, channel: int, hours: Hours, spans: Sequence[tuple[int, int]]
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
    hours : Hours
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
    by_parameter = {c.parameter.id: c.index for c in registry.own_channels(here.site)}
    if not {"wind-speed", "wind-direction"} <= by_parameter.keys():
        return None
    others = {
        c.index: bearing(site.position, registry.station(c.site, c.station).position)
        for c in registry.site_channels(here.site)
        if c.parameter.id == here.parameter.id and c.station != here.station
    }
    sector, calm = registry.conditions.difference_sector, registry.conditions.difference_wind_minimum
    means = {one: valid_means(hours, one) for one in others}
    speeds, directions = (valid_means(hours, by_parameter[p]) for p in ("wind-speed", "wind-direction"))
    total = upwind = 0.0
    count = 0
    for start, mean in valid_means(hours, channel).items():
        if not any(first <= start < last for first, last in spans):
            continue
        speed, wind_from = speeds.get(start), directions.get(start)
        if speed is None or wind_from is None or speed < calm:
            continue
        near = [
            (float(angle_between(wind_from, direction)), means[other][start])
            for other, direction in others.items()
            if start in means[other]
        ]
        near = [pair for pair in near if pair[0] <= sector]
        if near:
            total, upwind, count = total + mean, upwind + min(near)[1], count + 1
    if not count or total <= 0:
        return None
    return UpwindShare(min(1.0, max(0.0, upwind / total)), count)


def valid_means(hours: Hours, channel: int) -> dict[int, float]:
    """Means of the valid hours of a channel by their start [minutes since 1970 UTC]."""
    return {s.start: s.mean for s in hours.get(channel, ()) if s.valid and s.mean is not None}
