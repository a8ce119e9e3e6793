"""Whether values fit the unit that the profile names: a factor of a thousand must not pass in silence."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Final

from greenmine.registry import Channel
from greenmine.units import conversion

_MEMORY: Final = 15
"""Values of a channel that are judged together: one odd value after usual ones is no wrong unit."""


class UnitCheck:
    """Judges the values of one logger.

    A value is refused when it and the median of the newest values lie outside what is usual for the parameter, and in a
    unit with which the right one is often confused both would be usual. Zeros say nothing and are never refused.

    Parameters
    ----------
    channels : iterable of Channel
        Those of the logger.
    units : mapping
        Unit that it sends, by parameter.
    """

    def __init__(self, channels: Iterable[Channel], units: Mapping[str, str]) -> None:
        self._seen: dict[int, deque[float]] = {}
        self._bands: dict[int, tuple[str, float, float, dict[str, tuple[float, float]]]] = {}
        for channel in channels:
            parameter = channel.parameter
            usual = parameter.usual
            if usual is None:
                continue
            own = channel.scale, channel.offset
            others = {unit: conversion(unit, parameter.unit) for unit in (*usual.mistaken, parameter.unit)}
            others = {unit: factors for unit, factors in others.items() if factors != own}
            self._bands[channel.index] = (units[parameter.id], usual.low, usual.high, others)
            self._seen[channel.index] = deque(maxlen=_MEMORY)

    def fault(self, channel: Channel, sent: float) -> str | None:
        """What is wrong with the unit of a value; None: nothing that shows.

        Parameters
        ----------
        channel : Channel
            One of those given.
        sent : float
            As the logger sent it.
        """
        band = self._bands.get(channel.index)
        if band is None or not sent:
            return None
        unit, low, high, others = band
        seen = self._seen[channel.index]
        seen.append(sent)
        middle = median(seen)
        if any(low <= channel.scale * value + channel.offset <= high for value in (sent, middle)):
            return None
        for other, (scale, offset) in others.items():
            if all(low <= scale * value + offset <= high for value in (sent, middle)):
                return (
                    f"{channel.key}: {sent:g} {unit} is not usual, {sent:g} {other} would be; "
                    f"if that is what the logger sends, set the unit in its profile"
                )
        return None
