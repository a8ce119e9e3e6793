"""Concentration by the direction of the wind: means, and the conditional probability of high hours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.processing.wind import bearing
from greenmine.registry import Site

SECTORS: Final = 16
"""Directions that a rose tells apart."""
PERCENTILE: Final = 75
"""Above this percentile of its hours a concentration is high: a choice of this project."""


class Sector(msgspec.Struct, frozen=True):
    """Hours with wind from one direction."""

    direction: float
    """Middle of the sector, where the wind comes from [deg]."""
    hours: int
    mean: float | None
    """Mean of the hourly figures; None without hours."""
    high: int
    """Of these hours, those above the rose's threshold; divided by ``hours`` it is the conditional probability (CPF)."""


class Rose(msgspec.Struct, frozen=True):
    """Concentration of a channel by direction of the wind, of hours in which all of it is valid."""

    channel: str
    hours: int
    calm: int
    """Hours with less wind than is needed to tell upwind from downwind; in no sector."""
    threshold: float | None
    """Percentile `PERCENTILE` of all these hours, calm ones too [unit of the channel]; None without hours."""
    sectors: list[Sector]


def rose(
    channel: str, value: Mapping[int, float], speed: Mapping[int, float], direction: Mapping[int, float], least: float
) -> Rose:
    """Sort hours by the direction that the wind came from.

    Parameters
    ----------
    channel : str
        Key of the channel.
    value, speed, direction : mapping of int to float
        Valid hourly means by the hour's start: concentration, wind speed [m/s], direction that it comes from [deg].
    least : float
        Wind speed below which an hour is calm [m/s].

    References
    ----------
    The conditional probability function as openair defines it (``percentileRose``, method ``cpf``): the share of a sector's hours
    above a percentile of all hours. L. L. Ashbaugh, W. C. Malm, W. Z. Sadeh, A residence time probability analysis of sulfur
    concentrations at Grand Canyon National Park, Atmospheric Environment 19 (1985) 1263-1270.

    Examples
    --------
    >>> found = rose("m/s/tsp", {0: 10.0, 60: 90.0}, {0: 2.0, 60: 2.0}, {0: 0.0, 60: 90.0}, 1.0)
    >>> found.threshold, [(one.direction, one.hours, one.high) for one in found.sectors if one.hours]
    (70.0, [(0.0, 1, 0), (90.0, 1, 1)])
    """
    common = sorted(value.keys() & speed.keys() & direction.keys())
    values = np.array([value[hour] for hour in common], np.float64)
    threshold = float(np.percentile(values, PERCENTILE)) if len(values) else None
    blowing: NDArray[np.bool_] = np.array([speed[hour] >= least for hour in common], bool)
    width = 360 / SECTORS
    sector = np.array([round(direction[hour] / width) % SECTORS for hour in common], np.int64)
    sectors = []
    for n in range(SECTORS):
        mine = values[blowing & (sector == n)]
        high = 0 if threshold is None else int((mine > threshold).sum())
        sectors.append(Sector(n * width, len(mine), float(mine.mean()) if len(mine) else None, high))
    return Rose(channel, len(common), int((~blowing).sum()), threshold, sectors)


def source_bearings(site: Site, station: str) -> dict[str, float]:
    """Bearings of the mine's own sources, which are its equipment, from a station [deg clockwise from north], by id.

    Wind from a source blows from its bearing. Equipment at the very place of the station has none.
    """
    here = next(one.position for one in site.stations if one.id == station)
    return {
        one.id: bearing(here, one.position)
        for one in site.stations
        if one.role == "equipment"
        and (one.position.latitude, one.position.longitude) != (here.latitude, here.longitude)
    }
