"""What is going on at a mine: working hours, crusher, haul road, blasting, scheduled sprayers and incidents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenmine.simulators.clock import Clock
from greenmine.simulators.layout import Character
from greenmine.simulators.random_streams import MINUTES_PER_DAY, Floats, RandomStreams

_SUNDAY = 6
_FIRST_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""
_NIGHT_START, _NIGHT_END = 22 * 60 + 20, 26 * 60 + 30
_SPRAY_STARTS = (7 * 60 + 40, 10 * 60, 13 * 60 + 30, 16 * 60)
_SPRAY_MINUTES = 25

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Activity:
    """Minute columns of one span."""

    working: Mask
    """Machines dig and load in the pit."""
    crusher: Mask
    traffic: Floats
    """Trucks on the haul road, relative to a usual working minute."""
    blast: Mask
    """A blast is fired in this minute."""
    spray: Mask
    """Sprayers run by schedule."""
    incident: Mask
    """Sprayers are out of order while dry stock is being loaded."""
    night: Mask
    """A night shift works."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Intervals of one local day [min since its midnight; may pass the end of the day]."""

    work: tuple[tuple[int, int], ...]
    crusher: tuple[tuple[int, int], ...]
    blasts: tuple[int, ...]
    spray: tuple[tuple[int, int], ...]
    incident: tuple[tuple[int, int], ...]
    night: tuple[tuple[int, int], ...]


def activity(streams: RandomStreams, clock: Clock, kind: Character, first: int, count: int) -> Activity:
    """What goes on over a span of minutes.

    Parameters
    ----------
    streams : RandomStreams
        The site's own streams.
    clock : Clock
        The site's wall clock: working hours are local.
    kind : Character
        What kind of mine it is.
    first, count : int
        Minutes since 1970 UTC, and how many.
    """
    local = clock.local_minutes(first, count)
    columns = {name: np.zeros(count, bool) for name in ("work", "crusher", "spray", "incident", "night", "blast")}
    for day in range(int(local[0]) // MINUTES_PER_DAY - 1, int(local[-1]) // MINUTES_PER_DAY + 1):
        plan = _plan(streams, kind, day)
        minute = local - day * MINUTES_PER_DAY
        for name in ("work", "crusher", "spray", "incident", "night"):
            for start, end in getattr(plan, name):
                columns[name] |= (minute >= start) & (minute < end)
        columns["blast"] |= np.isin(minute, plan.blasts)
    busy = columns["work"] | columns["night"]
    trucks = np.clip(1 + 0.45 * streams.smooth("traffic", first, count, 25), 0.1, 2.2)
    passing = np.clip(1 + 0.3 * streams.minutes("trucks", first, count), 0, 2.5)
    return Activity(
        working=columns["work"],
        crusher=columns["crusher"] | columns["night"],
        traffic=np.where(busy, trucks * passing, 0.0),
        blast=columns["blast"],
        spray=columns["spray"],
        incident=columns["incident"],
        night=columns["night"],
    )


def _plan(streams: RandomStreams, kind: Character, day: int) -> _Plan:
    draw = streams.generator("plan", day)
    turn = int(streams.generator("turn").integers(3))
    start = 7 * 60 + int(draw.integers(0, 25))
    noon = 12 * 60 + int(draw.integers(0, 15))
    again = noon + 60 + int(draw.integers(0, 15))
    end = 18 * 60 - int(draw.integers(0, 40))
    stop = int(draw.integers(start + 60, noon - 60)), int(draw.integers(again + 60, end - 60))
    pause = int(draw.integers(10, 30)), int(draw.integers(10, 30))
    blasts = (noon - 8 - int(draw.integers(0, 10)), end - 5 - int(draw.integers(0, 10)))[: int(draw.integers(1, 3))]
    incident = (13 * 60 + 30 + int(draw.integers(0, 30)), 16 * 60 + int(draw.integers(0, 40)))
    resting = (day + _FIRST_WEEKDAY) % 7 == _SUNDAY
    if resting and not kind.night_shift:
        return _Plan((), (), (), (), (), ())
    ordinary = kind.care >= 0.5
    return _Plan(
        work=((start, noon), (again, end)),
        crusher=(
            (start + 20, stop[0]),
            (stop[0] + pause[0], noon),
            (again + 10, stop[1]),
            (stop[1] + pause[1], end - 15),
        ),
        blasts=blasts if kind.blasting else (),
        spray=tuple((s, s + _SPRAY_MINUTES) for s in _SPRAY_STARTS),
        incident=(incident,) if ordinary and (day + turn) % 3 == 0 else (),
        night=((_NIGHT_START, _NIGHT_END),) if kind.night_shift and (day + turn) % 3 == 1 else (),
    )
