"""The settling pond: rain and washing stir it up, settling clears it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenmine.simulators.clock import Clock
from greenmine.simulators.layout import Character
from greenmine.simulators.random_streams import MINUTES_PER_DAY, Floats, RandomStreams, decay
from greenmine.simulators.weather import Weather, rain

_SETTLING = 7 * 60
"""Time in which the suspended solids of a flood settle to 1/e [min]."""
_RUNOFF = 2.5 * 60
"""Time in which the runoff of a rain fades to 1/e [min]."""
_FREEBOARD = 8.0
"""Rain that a retaining pond has room for [mm]."""
_LOOKBACK = 2 * MINUTES_PER_DAY
"""After this long a flood has left no trace (e^-7)."""


@dataclass(frozen=True, slots=True)
class Water:
    """Minute columns at the outlet of the pond."""

    ss: Floats
    """[mg/L]"""
    turbidity: Floats
    """[NTU]"""
    ph: Floats
    cod: Floats
    """[mg/L]"""
    ammonia: Floats
    """As nitrogen [mg/L]."""
    conductivity: Floats
    """[uS/cm]"""
    oxygen: Floats
    """[mg/L]"""
    temperature: Floats
    """[degC]"""
    flow: Floats
    """[L/s]"""


def water(
    streams: RandomStreams,
    region: RandomStreams,
    clock: Clock,
    kind: Character,
    air: Weather,
    first: int,
) -> Water:
    """Water at the outlet of the pond over a span of minutes; see ``dust.dust`` for the parameters."""
    count = len(air.rain)
    hour = clock.local_minutes(first, count) % MINUTES_PER_DAY / 60
    fallen = rain(region, first - _LOOKBACK, _LOOKBACK + count)
    load = decay(fallen, _SETTLING)[_LOOKBACK:]
    runoff = decay(fallen, _RUNOFF)[_LOOKBACK:]
    washing = np.clip(0.5 + 0.5 * np.sin(np.pi * (hour - 8) / 10), 0, 1) * np.where((hour > 8) & (hour < 19), 1, 0)

    solids = np.exp(0.10 * streams.smooth("solids", first, count, 120))
    ss = (14 + 12 * washing * kind.care + 26 * kind.care**1.5 * load) * solids
    body = air.temperature * 0.55 + 8.5 + 0.4 * streams.smooth("body", first, count, 300)
    dilution = 1 / (1 + 0.05 * load)
    outflow = (
        0.8 + 1.4 * washing + 2.6 * runoff * np.sqrt(kind.output) + 0.05 * streams.smooth("flow", first, count, 20)
    )
    if kind.retains:
        outflow = 2.6 * np.sqrt(kind.output) * np.maximum(runoff - _FREEBOARD, 0)
    return Water(
        ss=ss,
        turbidity=1.25 * ss * np.exp(0.04 * streams.smooth("turbid", first, count, 60)),
        ph=7.85
        - 0.03 * load
        + 0.12 * streams.smooth("ph", first, count, 480)
        + 0.1 * np.sin(2 * np.pi * (hour - 9) / 24),
        cod=(16 + 0.6 * load + 2 * washing) * np.exp(0.08 * streams.smooth("cod", first, count, 360)),
        ammonia=0.42 * dilution * np.exp(0.12 * streams.smooth("ammonia", first, count, 360)),
        conductivity=640 * dilution * np.exp(0.03 * streams.smooth("conductivity", first, count, 480)),
        oxygen=14.6 - 0.39 * body + 0.0062 * body**2 - 0.9 + 0.5 * np.sin(2 * np.pi * (hour - 9) / 24),
        temperature=body,
        flow=outflow,
    )
