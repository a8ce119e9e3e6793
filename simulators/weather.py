"""Weather of a site: wind as a slowly turning vector, temperature, humidity, pressure and rain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from greenmine.simulators.clock import Clock
from greenmine.simulators.random_streams import MINUTES_PER_DAY, Floats, RandomStreams, decay

_SPELL = 3 * MINUTES_PER_DAY
"""Weather comes in spells of three days, each with one rain at least, so that every week holds some."""
_TIP = 0.1
"""Rain that tips the gauge's bucket [mm]."""
_DRYING = 6 * 60
"""Time in which a wet surface dries to 1/e [min]."""


@dataclass(frozen=True, slots=True)
class Weather:
    """Minute columns of one span."""

    wind_speed: Floats
    """[m/s]"""
    wind_direction: Floats
    """Where it blows from [deg]."""
    temperature: Floats
    """[degC]"""
    humidity: Floats
    """[%]"""
    pressure: Floats
    """[kPa]"""
    rain: Floats
    """Fallen in the minute, in tips of the gauge [mm]."""
    wetness: Floats
    """Of the ground, 0 dry to 1 wet."""


def rain(region: RandomStreams, first: int, count: int) -> Floats:
    """Rain of each minute in tips of the gauge [mm], shape (count,); the same for all sites of the region."""
    spells = range(first // _SPELL, (first + count - 1) // _SPELL + 1)
    start = first - spells[0] * _SPELL
    return np.concatenate([_spell(region, spell) for spell in spells])[start : start + count]


def weather(
    region: RandomStreams, local: RandomStreams, clock: Clock, prevailing: float, first: int, count: int
) -> Weather:
    """Weather of a site over a span of minutes.

    Parameters
    ----------
    region, local : RandomStreams
        What the sites of a region share, and what is the site's own.
    clock : Clock
        The site's wall clock.
    prevailing : float
        Direction from which the wind mostly blows [deg].
    first, count : int
        Minutes since 1970 UTC, and how many.
    """
    hour = clock.local_minutes(first, count) % MINUTES_PER_DAY / 60
    year = np.arange(first, first + count) / (365.25 * MINUTES_PER_DAY) % 1

    lookback = _SPELL
    fallen = rain(region, first - lookback, lookback + count)
    store = decay(fallen, _DRYING)[lookback:]
    wetness = 1 - np.exp(-store / 1.0)
    falling = np.clip(decay(fallen, 15)[lookback:] / 1.5, 0, 1)

    strength = np.clip(1.05 + 0.45 * region.smooth("windiness", first, count, MINUTES_PER_DAY), 0.4, 2.2)
    along = strength * (0.9 + 2.0 * np.exp(-(((hour - 14.5) / 3.6) ** 2)))
    along = along + 1.2 * falling + 0.35 * local.smooth("along", first, count, 20)
    across = (
        0.7 * region.smooth("across", first, count, 240)
        + 0.4 * local.smooth("across", first, count, 45)
        + 0.12 * local.minutes("across", first, count)
    )
    along = along + 0.12 * local.minutes("along", first, count)
    sunshine = np.clip(1 - 0.8 * wetness, 0.1, 1)
    temperature = (
        17.5
        - 10.5 * np.cos(2 * np.pi * (year - 0.04))
        + (1 + 3.5 * sunshine) * np.sin(2 * np.pi * (hour - 9) / 24)
        + 1.8 * region.smooth("temperature", first, count, MINUTES_PER_DAY)
        + 0.3 * local.smooth("temperature", first, count, 40)
        - 2 * falling
    )
    humidity = (
        70
        - 13 * sunshine * np.sin(2 * np.pi * (hour - 9) / 24)
        + 20 * falling
        + 6 * region.smooth("humidity", first, count, 360)
        + 1.5 * local.smooth("humidity", first, count, 30)
    )
    pressure = 97.4 + 0.5 * region.smooth("pressure", first, count, 1200) + 0.12 * np.cos(2 * np.pi * (hour - 10) / 12)
    return Weather(
        wind_speed=np.hypot(along, across),
        wind_direction=(prevailing + np.degrees(np.arctan2(across, along))) % 360,
        temperature=temperature,
        humidity=np.clip(humidity, 20, 99),
        pressure=pressure,
        rain=fallen[lookback:],
        wetness=wetness,
    )


def _spell(region: RandomStreams, spell: int) -> Floats:
    streams = region.generator("rain", spell)
    intensity = np.zeros(_SPELL)
    for _ in range(1 + int(streams.random() < 0.35)):
        duration = int(streams.integers(90, 330))
        start = int(streams.integers(0, _SPELL - duration))
        depth = streams.uniform(6, 22)
        shape = np.sin(np.pi * (np.arange(duration) + 0.5) / duration) * streams.gamma(2.0, 0.5, duration)
        intensity[start : start + duration] += depth * shape / shape.sum()
    tips = np.floor(np.cumsum(intensity) / _TIP)
    return np.asarray(np.diff(tips, prepend=0.0) * _TIP)
