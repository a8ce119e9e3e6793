"""Dust at the stations: a regional background and Gaussian plumes from pit, crusher and haul road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenmine.simulators.activity import Activity
from greenmine.simulators.clock import Clock
from greenmine.simulators.layout import Character, LocalPoint, MineLayout
from greenmine.simulators.random_streams import Floats, RandomStreams, hold
from greenmine.simulators.weather import Weather

SPRAYER_FACTOR = 0.35
"""What running sprayers leave of the emission of pit, crusher and haul road."""
_INCIDENT_FACTOR = 1.8
"""How much more dust flies while dry stock is loaded without water."""
_AUTOMATIC_START = 550.0
"""TSP at a boundary station, were there no water, at which sprayers start by themselves [ug/m3]."""
_AUTOMATIC_MINUTES = 15
_MEANDER = np.tan(np.radians(9.0))
"""Widening of a plume by the turning of the wind within the averaging time."""
_CALM = 1.3
"""Wind speed below which a plume does not get denser any more [m/s]."""


@dataclass(frozen=True, slots=True)
class Emission:
    """A source's dust."""

    place: LocalPoint
    rate: Floats
    """TSP without water [g/s]."""
    pm10: float
    """Share of PM10 in TSP."""
    pm25: float
    """Share of PM2.5 in TSP."""


@dataclass(frozen=True, slots=True)
class Dust:
    """Minute columns by station, and the sprayers' state."""

    tsp: dict[str, Floats]
    """[ug/m3]"""
    pm10: dict[str, Floats]
    pm25: dict[str, Floats]
    scheduled: NDArray[np.bool_]
    """Sprayers run by schedule."""
    automatic: NDArray[np.bool_]
    """Sprayers run because dust was high."""

    @property
    def spraying(self) -> NDArray[np.bool_]:
        """Minutes in which water reduces the emission by ``SPRAYER_FACTOR``."""
        return self.scheduled | self.automatic


def plume(rate: Floats, wind_speed: Floats, wind_direction: Floats, source: LocalPoint, receiver: LocalPoint) -> Floats:
    """Concentration of a steady plume reflected at the ground, neutral stratification over open country.

    Parameters
    ----------
    rate : float64 array (n,)
        Emission [g/s].
    wind_speed : float64 array (n,)
        [m/s]
    wind_direction : float64 array (n,)
        Where the wind blows from [deg].
    source, receiver : LocalPoint
        Places [m].

    Returns
    -------
    float64 array (n,)
        Concentration [ug/m3]; 0 upwind of the source.

    References
    ----------
    G. A. Briggs, Diffusion estimation for small emissions, ATDL-106, 1973: open country, class D.
    """
    angle = np.radians(wind_direction)
    east, north = receiver.east - source.east, receiver.north - source.north
    downwind = -(east * np.sin(angle) + north * np.cos(angle))
    crosswind = east * np.cos(angle) - north * np.sin(angle)
    x = np.maximum(downwind, 5.0)
    sigma_y = np.hypot(0.08 * x / np.sqrt(1 + 0.0001 * x), _MEANDER * x)
    sigma_z = 0.06 * x / np.sqrt(1 + 0.0015 * x) + 2.0
    vertical = np.exp(-(((receiver.height - source.height) / sigma_z) ** 2) / 2) + np.exp(
        -(((receiver.height + source.height) / sigma_z) ** 2) / 2
    )
    lateral = np.exp(-((crosswind / sigma_y) ** 2) / 2)
    grams = rate / (2 * np.pi * np.maximum(wind_speed, _CALM) * sigma_y * sigma_z) * lateral * vertical
    return np.where(downwind > 0, grams * 1e6, 0.0)


def emissions(
    streams: RandomStreams, kind: Character, places: MineLayout, air: Weather, work: Activity, first: int
) -> list[Emission]:
    """Dust of each source without water: more when it is dry and windy, none where nothing moves."""
    count = len(air.rain)
    dry = (1 - 0.93 * air.wetness) * kind.care * np.sqrt(kind.output)
    dry = dry * np.where(work.incident, _INCIDENT_FACTOR, 1.0)
    lift = np.clip(air.wind_speed / 2.5, 0.3, 2.5)
    puff = np.exp(0.25 * streams.smooth("puff", first, count, 6) + 0.15 * streams.minutes("puff", first, count))
    blast = np.convolve(work.blast, [9.0, 5.0, 2.0, 1.0])[:count]
    pit = (1.1 * work.working + blast + 0.05) * lift
    road = 2.4 / len(places.road) * work.traffic * lift
    crusher = 1.5 * work.crusher
    return [
        Emission(places.pit, pit * dry * puff, 0.38, 0.07),
        Emission(places.crusher, crusher * dry * puff, 0.42, 0.09),
        *(Emission(place, road * dry * puff, 0.30, 0.05) for place in places.road),
    ]


def dust(
    streams: RandomStreams,
    region: RandomStreams,
    clock: Clock,
    kind: Character,
    places: MineLayout,
    guarded: list[str],
    air: Weather,
    work: Activity,
    first: int,
) -> Dust:
    """Dust at every station over a span of minutes.

    Parameters
    ----------
    streams, region : RandomStreams
        The site's own, and what the sites of the region share (the background).
    clock : Clock
        The site's wall clock.
    kind, places : Character, MineLayout
        The mine.
    guarded : list of str
        Stations whose dust starts the sprayers.
    air, work : Weather, Activity
        The same span of minutes.
    first : int
        First minute of the span since 1970 UTC.
    """
    count = len(air.rain)
    hour = clock.local_minutes(first, count) % 1440 / 60
    rush = np.exp(-(((hour - 8) / 1.8) ** 2)) + 0.8 * np.exp(-(((hour - 20) / 2.2) ** 2))
    haze = np.exp(0.28 * region.smooth("haze", first, count, 900) + 0.06 * streams.smooth("haze", first, count, 30))
    background = 62 * haze * (1 + 0.25 * rush) * (1 - 0.5 * air.wetness)

    sources = emissions(streams, kind, places, air, work, first)
    dry: dict[str, list[Floats]] = {
        station: [plume(s.rate, air.wind_speed, air.wind_direction, s.place, point) for s in sources]
        for station, point in places.stations.items()
    }
    usable = ~work.incident & (air.rain <= 0)
    threatened = np.zeros(count, bool)
    for station in guarded:
        threatened |= np.sum(dry[station], axis=0) > _AUTOMATIC_START
    scheduled = work.spray & usable & (air.wetness < 0.6)
    automatic = hold(threatened, _AUTOMATIC_MINUTES) & usable & ~scheduled
    water = np.where(scheduled | automatic, SPRAYER_FACTOR, 1.0)
    return Dust(
        tsp={s: background + np.sum(parts, axis=0) * water for s, parts in dry.items()},
        pm10={s: 0.68 * background + _share(parts, [e.pm10 for e in sources]) * water for s, parts in dry.items()},
        pm25={s: 0.42 * background + _share(parts, [e.pm25 for e in sources]) * water for s, parts in dry.items()},
        scheduled=scheduled,
        automatic=automatic,
    )


def _share(parts: list[Floats], shares: list[float]) -> Floats:
    return np.asarray(np.sum([part * share for part, share in zip(parts, shares, strict=True)], axis=0))
