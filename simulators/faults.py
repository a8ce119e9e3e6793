"""Faults that are put into the data on purpose, each with its ground truth."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from greenmine.registry import Channel, Registry
from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.random_streams import Floats, RandomStreams
from greenmine.simulators.truth import InjectedFault, Kind

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""All kinds of fault."""

_HOUR = 60
_EVERY: Final[dict[Kind, int]] = {
    "late": 1,
    "duplicate": 1,
    "reordered": 1,
    "gap": 1,
    "frozen": 2,
    "drift": 3,
    "clock-skew": 2,
    "unit-slip": 2,
    "power-loss": 2,
}
"""Days between two faults of a kind in the whole installation."""
_SLIPPING = frozenset({"pm10", "pm2.5", "tsp", "ss", "turbidity", "cod", "nh3-n", "conductivity"})
"""Parameters with units a thousand apart in use."""
_DRIFTING = frozenset({"pm10", "pm2.5", "tsp", "ss", "turbidity", "cod", "conductivity"})
_TRIES = 50
_LEAST_READINGS = 8
"""A fault lasts this many readings at least."""


class Plans:
    """Plans the faults of each UTC day, the same for the same registry and seed.

    Parameters
    ----------
    registry : Registry
        All sites take part, whichever are simulated.
    seed : int
        Seed of the simulation.
    """

    def __init__(self, registry: Registry, seed: int) -> None:
        self._channels = registry.channels
        self._streams = RandomStreams(seed, "faults")
        self.day: Callable[[int], tuple[InjectedFault, ...]] = lru_cache(maxsize=64)(self._day)

    def _day(self, day: int) -> tuple[InjectedFault, ...]:
        faults: list[InjectedFault] = []
        for turn, kind in enumerate(KINDS):
            if (day + turn) % _EVERY[kind]:
                continue
            draw = self._streams.generator(kind, day)
            candidates = [channel for channel in self._channels if _possible(kind, channel)]
            for _ in range(_TRIES if candidates else 0):
                fault = _draw(kind, draw, candidates[int(draw.integers(len(candidates)))], day)
                if not any(_collide(fault, other) for other in faults):
                    faults.append(fault)
                    break
        return tuple(faults)


def frozen(fault: InjectedFault, times: NDArray[np.int64], values: Floats) -> Floats:
    """Hold the first value of the fault's span to its end; what is NaN stays NaN."""
    touched = within(fault, times) & np.isfinite(values)
    held = values.copy()
    if touched.any():
        held[touched] = values[touched][0]
    return held


def drifted(fault: InjectedFault, times: NDArray[np.int64], values: Floats) -> Floats:
    """Let the values of the fault's span grow away from the truth by ``slope`` of themselves per hour."""
    hours = (times - fault.start) / (_HOUR * MINUTE_MS)
    return np.where(within(fault, times), values * (1 + fault.parameters["slope"] * hours), values)


def slipped(fault: InjectedFault, times: NDArray[np.int64], values: Floats) -> Floats:
    """Multiply the values of the fault's span by ``factor``, as a wrong unit does."""
    return np.where(within(fault, times), values * fault.parameters["factor"], values)


def skewed(fault: InjectedFault, times: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shift the instants of the fault's span by ``offset`` [ms], as a wrong clock does."""
    return np.where(within(fault, times), times + int(fault.parameters["offset"]), times)


def within(fault: InjectedFault, times: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which instants [ms UTC] the fault touches."""
    return (times >= fault.start) & (times < fault.end)


def _possible(kind: Kind, channel: Channel) -> bool:
    match kind:
        case "frozen":
            longest = channel.parameter.checks.frozen_minutes
            return longest is not None and longest <= 8 * _HOUR and channel.parameter.has_mean
        case "drift":
            return channel.parameter.id in _DRIFTING
        case "unit-slip":
            return channel.parameter.id in _SLIPPING
        case "late" | "duplicate" | "reordered" | "gap" | "clock-skew" | "power-loss":
            return True


def _draw(kind: Kind, draw: np.random.Generator, channel: Channel, day: int) -> InjectedFault:
    parameters: dict[str, float] = {}
    minutes = float(draw.uniform(30, 120))
    match kind:
        case "late":
            long = bool(draw.random() < 0.5)
            parameters["delay"] = (
                int(draw.uniform(26 * _HOUR, 30 * _HOUR) if long else draw.uniform(15, 180)) * MINUTE_MS
            )
        case "duplicate":
            parameters["delay"] = int(draw.integers(1, 120)) * 1000
        case "gap":
            minutes = float(draw.uniform(20, 90))
        case "frozen":
            minutes = float(draw.uniform(2.0, 2.5)) * max(_HOUR, channel.parameter.checks.frozen_minutes or 0)
        case "drift":
            minutes = float(draw.uniform(10, 16)) * _HOUR
            parameters["slope"] = round(float(draw.uniform(0.01, 0.03)), 4)
        case "clock-skew":
            minutes = float(draw.uniform(60, 180))
            parameters["offset"] = int(draw.integers(400, 1800)) * 1000 * int(draw.choice([-1, 1]))
        case "unit-slip":
            minutes = float(draw.uniform(60, 180))
            parameters["factor"] = float(draw.choice([1000.0, 0.001]))
        case "power-loss":
            minutes = float(draw.uniform(40, 100))
            parameters["backlog"] = float(draw.integers(0, 2))
        case "reordered":
            pass
    length = max(round(minutes), -(-_LEAST_READINGS * channel.interval // MINUTE_MS)) * MINUTE_MS
    start = day * DAY_MS + int(draw.integers(0, (DAY_MS - length) // MINUTE_MS)) * MINUTE_MS
    return InjectedFault(
        kind=kind,
        site=channel.site,
        device="" if kind == "power-loss" else channel.device,
        channel=channel.key if kind in {"frozen", "drift", "unit-slip"} else "",
        start=start,
        end=start + length,
        parameters=parameters,
    )


def _collide(one: InjectedFault, other: InjectedFault) -> bool:
    """Two faults never touch the same readings, so that each does exactly what its truth says."""
    same = one.site == other.site and (one.device == other.device or not (one.device and other.device))
    return same and one.start < other.end and other.start < one.end
