"""Sound at the stations: sources with a sound power, attenuation by distance, energy sum with the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenmine.simulators.activity import Activity
from greenmine.simulators.clock import Clock
from greenmine.simulators.layout import Character, MineLayout
from greenmine.simulators.random_streams import Floats, RandomStreams
from greenmine.simulators.weather import Weather

_CRUSHER = 111.0
_EXCAVATOR = 105.0
_TRUCK = 103.0
_PUMP = 92.0
"""Sound power levels [dB(A)]."""
_BLAST = 138.0
"""Sound power of the one second of a blast [dB(A)]."""
_ENCLOSURE = 12.0
"""What enclosing the crusher gains where a mine is well run [dB]."""
_QUIET = -30.0
"""Level of a source that is off [dB(A)]: nothing in any sum."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Minute columns by station [dB(A)]."""

    laeq: dict[str, Floats]
    lafmax: dict[str, Floats]


def at_distance(power: Floats, distance: float) -> Floats:
    """Level at a distance from a point source in free field: L = Lw - 20 lg r - 11 [dB], r in metres."""
    return np.asarray(power - 20 * np.log10(distance) - 11)


def energy_sum(levels: list[Floats]) -> Floats:
    """Level of several sources together: 10 lg of the sum of 10^(L/10) [dB], elementwise."""
    return np.asarray(10 * np.log10(np.sum(10 ** (np.stack(levels) / 10), axis=0)))


def sound(
    streams: RandomStreams,
    clock: Clock,
    kind: Character,
    places: MineLayout,
    air: Weather,
    work: Activity,
    spraying: NDArray[np.bool_],
    first: int,
) -> Sound:
    """Sound at every station over a span of minutes; see ``dust.dust`` for the parameters."""
    count = len(air.rain)
    hour = clock.local_minutes(first, count) % 1440 / 60
    size = 10 * np.log10(max(kind.output, 0.1))
    enclosure = _ENCLOSURE * (1 - min(kind.care, 1.0))
    unsteady = streams.smooth("machines", first, count, 8)
    load = 1.2 * streams.minutes("machines", first, count)
    crusher = np.where(work.crusher, _CRUSHER + size - enclosure + 0.8 * unsteady, _QUIET)
    excavator = np.where(work.working, _EXCAVATOR + 0.6 * size + 1.5 * unsteady + load, _QUIET)
    with np.errstate(divide="ignore"):
        flow = np.where(work.traffic > 0, 10 * np.log10(work.traffic / len(places.road)), _QUIET - _TRUCK)
    truck = _TRUCK + flow
    pump = np.where(spraying, _PUMP, _QUIET)
    blast = np.where(work.blast, _BLAST, _QUIET)
    waking = np.clip(np.sin(np.pi * (hour - 5.0) / 18.0), 0, 1)
    laeq, lafmax = {}, {}
    for station, point in places.stations.items():
        machines = [
            at_distance(crusher, places.crusher.distance(point)),
            at_distance(excavator, places.pit.distance(point)),
            at_distance(pump, places.crusher.distance(point)),
            *(at_distance(truck, place.distance(point)) for place in places.road),
        ]
        surroundings = 36.5 + 6.5 * waking + 1.6 * streams.smooth(f"life {station}", first, count, 12)
        weather = np.stack([18 + 25 * np.log10(1 + air.wind_speed), 30 + 12 * np.log10(1 + 60 * air.rain)]).max(axis=0)
        steady = energy_sum([*machines, surroundings, weather])
        bang = at_distance(blast, places.pit.distance(point))
        laeq[station] = energy_sum([steady, bang - 10 * np.log10(60.0)]) + 0.5 * streams.minutes(
            f"laeq {station}", first, count
        )
        peaks = 5.0 + 2.0 * np.abs(streams.minutes(f"lafmax {station}", first, count))
        lafmax[station] = np.maximum(laeq[station] + peaks, bang + 1.0)
    return Sound(laeq, lafmax)
