"""Random streams of the test mine, and disorder that stays inside an allowed lateness."""

from __future__ import annotations

import numpy as np

from greenmine.readings import Readings
from greenmine.registry import Registry
from tests.processing.mine import MINUTE, every

_LEVEL = {
    "tsp": (450.0, 500.0, 60.0),
    "pm10": (105.0, 40.0, 20.0),
    "laeq": (52.0, 9.0, 3.0),
    "lafmax": (57.0, 5.0, 3.0),
    "flow": (0.0, 0.0, 0.0),
    "do": (5.3, 0.6, 0.2),
    "ph": (7.5, 2.0, 0.1),
    "wind-speed": (3.6, 1.6, 0.6),
    "wind-direction": (10.0, 90.0, 15.0),
    "rain": (0.0, 0.0, 0.0),
    "air-temperature": (12.0, 6.0, 0.5),
    "equipment-state": (0.5, 0.5, 0.0),
}
"""Middle, size of the slow swings, and noise of every parameter."""


def stream(registry: Registry, rng: np.random.Generator, start: int, end: int, *, gaps: int = 2) -> Readings:
    """Readings of all channels in order of time, with gaps, flags, sentinels and values on the thresholds."""
    parts = [_channel(registry, rng, index, start, end, gaps) for index in range(len(registry.channels))]
    everything = Readings.concat(parts)
    return everything.take(np.argsort(everything.time, kind="stable"))


def _channel(registry: Registry, rng: np.random.Generator, index: int, start: int, end: int, gaps: int) -> Readings:
    channel = registry.channels[index]
    parameter = channel.parameter.id
    time = every(start + int(rng.integers(0, 120)) * MINUTE, end, channel.interval)
    for _ in range(int(rng.integers(0, gaps + 1))):
        first = int(rng.integers(start, end))
        time = time[(time < first) | (time > first + int(rng.integers(1, 200)) * MINUTE)]
    middle, swing, noise = _LEVEL[parameter]
    slow = np.sin(2 * np.pi * (time - start) / (int(rng.integers(90, 700)) * MINUTE) + rng.uniform(0, 6))
    value = middle + swing * slow + noise * rng.standard_normal(len(time))
    if rng.random() < 0.5:  # a stretch that lies exactly on round values
        value = np.where(rng.random() < 0.5, value, np.round(value, -1 if swing > 100 else 0))
    if parameter in {"rain", "flow"}:
        value = np.where((slow > 0.7) & (rng.random(len(time)) < 0.2), 0.4, 0.0)
    if parameter == "wind-direction":
        value %= 360
    if parameter == "equipment-state":
        value = (slow > 0).astype(np.float64)
    value = np.clip(np.round(value, 1), 0.0, None) + 0.0
    value = np.where(
        rng.random(len(time)) < 0.005, np.minimum(value * 8 + 1, 0.99 * channel.parameter.high), value
    )  # spikes
    flag = np.where(rng.random(len(time)) < 0.01, ord("M"), ord("N")).astype(np.uint8)
    value[rng.random(len(time)) < 0.003] = -9999.0
    value[rng.random(len(time)) < 0.002] = np.nan
    return Readings(np.full(len(time), index, np.int32), time, value, flag)


def disordered(some: Readings, rng: np.random.Generator, lateness: int) -> Readings:
    """Readings in another order: nothing comes after something that is newer by the lateness [ms] or more.

    A twentieth comes again, at any time.
    """
    arrival = some.time + rng.uniform(0, lateness - MINUTE, len(some))
    order = np.argsort(arrival, kind="stable")
    again = rng.choice(len(order), len(order) // 20)
    place = np.minimum(again + rng.integers(0, len(order), len(again)), len(order))
    return some.take(np.insert(order, place, order[again]))


def pieces(some: Readings, rng: np.random.Generator, count: int) -> list[Readings]:
    """A stream cut at random places."""
    cuts = np.sort(rng.integers(0, len(some) + 1, count - 1))
    return [some.take(part) for part in np.split(np.arange(len(some)), cuts) if len(part)]


def far_later(registry: Registry, time: int) -> Readings:
    """One reading of every channel, so late that all windows before it are issued; its values mean nothing."""
    n = len(registry.channels)
    value = np.array([c.parameter.low for c in registry.channels], np.float64)
    return Readings(np.arange(n, dtype=np.int32), np.full(n, time, np.int64), value, np.full(n, ord("M"), np.uint8))
