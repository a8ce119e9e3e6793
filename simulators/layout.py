"""Where a mine's sources lie, and what kind of mine it is, told from its entry in the registry."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import cos, degrees, hypot, radians

import numpy as np

from greenmine.registry import Position, Site, Station

_METRES_PER_DEGREE = 111_320.0
_ORDINARY_OUTPUT = 20.0
_LARGEST_OUTPUT = 2.25
"""In ordinary ones: beyond it the boundary gets no dustier and no louder, for the works of a larger mine lie farther away."""
_DEFAULT_BOUNDARY = (-150.0, -180.0)


@dataclass(frozen=True, slots=True)
class LocalPoint:
    """A place relative to the centre of the pit [m east, m north, m above ground]."""

    east: float
    north: float
    height: float = 3.0

    def distance(self, other: LocalPoint) -> float:
        """Distance to another point [m], never less than one metre."""
        return max(1.0, hypot(self.east - other.east, self.north - other.north, self.height - other.height))


@dataclass(frozen=True, slots=True)
class Character:
    """What distinguishes one mine from another in the simulation."""

    output: float
    """Production relative to 200,000 t a year."""
    care: float
    """Emission relative to ordinary practice; 1 is ordinary, less is better run."""
    blasting: bool
    night_shift: bool
    retains: bool
    """The pond may not discharge: it overflows only when a rain is too much for it."""


@dataclass(frozen=True, slots=True)
class MineLayout:
    """Places of a mine's sources and stations."""

    pit: LocalPoint
    crusher: LocalPoint
    road: tuple[LocalPoint, ...]
    stations: dict[str, LocalPoint]
    prevailing: float
    """Direction from which the wind mostly blows [deg]."""


def character(site: Site) -> Character:
    """Tell the kind of mine from its registry entry.

    The first batch are the model mines, so they are the best run; limestone is won by blasting, shale by machines;
    a mine that feeds a cement works also runs at night.
    """
    number = re.search(r"\d+(?:\.\d+)?", site.scale)
    output = min(_LARGEST_OUTPUT, float(number.group()) / _ORDINARY_OUTPUT) if number else 1.0
    return Character(
        output=output,
        care={1: 0.3, 2: 0.8}.get(site.batch, 1.0),
        blasting="limestone" in site.product_en.lower(),
        night_shift="cement" in site.product_en.lower(),
        retains=any("zero-discharge" in station.limits for station in site.stations),
    )


def layout(site: Site) -> MineLayout:
    """Place the sources between the centre of the pit and the boundary stations.

    The crusher stands on the way to the first boundary station, the haul road leads towards the last; the wind mostly
    comes from where the first reference station stands, because that is how reference stations are chosen.
    """
    stations = {station.id: _point(site.position, station) for station in site.stations}
    boundary = [(p.east, p.north) for s, p in stations.items() if _role(site, s) == "boundary"] or [_DEFAULT_BOUNDARY]
    reference = [(p.east, p.north) for s, p in stations.items() if _role(site, s) == "reference"]
    upwind = reference[0] if reference else (-boundary[0][0], -boundary[0][1])
    return MineLayout(
        pit=LocalPoint(0.0, 0.0, 2.0),
        crusher=LocalPoint(0.4 * boundary[0][0], 0.4 * boundary[0][1], 6.0),
        road=tuple(LocalPoint(f * boundary[-1][0], f * boundary[-1][1], 1.5) for f in (0.15, 0.35, 0.55)),
        stations=stations,
        prevailing=degrees(np.arctan2(upwind[0], upwind[1])) % 360,
    )


def _role(site: Site, station: str) -> str:
    return next(s.role for s in site.stations if s.id == station)


def _point(centre: Position, station: Station) -> LocalPoint:
    east = (station.position.longitude - centre.longitude) * _METRES_PER_DEGREE * cos(radians(centre.latitude))
    north = (station.position.latitude - centre.latitude) * _METRES_PER_DEGREE
    return LocalPoint(east, north, station.position.height)
