"""Where a simulated logger has its readings from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import log10
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from greenmine.parameters import Parameter
from greenmine.registry import Device, Registry
from greenmine.simulators.clock import DAY_MS
from greenmine.simulators.mine import Columns, Mine
from greenmine.simulators.random_streams import Floats
from greenmine.units import normal_unit


@dataclass(frozen=True, slots=True)
class SentFactor:
    """One column of a source."""

    code: str
    """Factor code as sent."""
    parameter: Parameter
    """Says how it is averaged."""
    unit: str
    """Unit as sent, in the spelling of ``greenmine.units.normal_unit``."""
    decimals: int
    """Digits behind the point as sent."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings at n instants of k factors."""

    times: NDArray[np.int64]
    """True instants of measurement, shape (n,) [ms UTC]."""
    values: Floats
    """In the units that the device sends, shape (n, k); NaN for none."""
    flags: NDArray[np.uint8]
    """ASCII codes of the data flags, shape (n, k)."""


class ReadingSource(Protocol):
    """Readings that can be asked for again at any time: the memory of a logger costs nothing."""

    @property
    def factors(self) -> tuple[SentFactor, ...]:
        """The k columns."""

    @property
    def interval(self) -> int:
        """Distance of the readings [ms]."""

    @property
    def sends_flags(self) -> bool:
        """Whether data flags are sent."""

    def rows(self, start: int, end: int) -> Rows:
        """The readings from ``start`` to before ``end`` [ms UTC]."""


class MineSource:
    """What a device of a simulated mine measures, in the units of its profile.

    Parameters
    ----------
    registry : Registry
        Has the site.
    mine : Mine
        The simulated site.
    device : Device
        One of its devices.
    codes : mapping or None
        Factor codes by parameter, where they are not those of the catalogue.
    """

    def __init__(self, registry: Registry, mine: Mine, device: Device, codes: Mapping[str, str] | None = None) -> None:
        channels = mine.channels(device.id)
        profile = registry.profiles[device.profile]
        spoken = codes or {}
        self._mine, self._device = mine, device
        self._scale = np.array([channel.scale for channel in channels])
        self._offset = np.array([channel.offset for channel in channels])
        self._day = lru_cache(maxsize=3)(lambda day: mine.columns(device, day))
        self.interval = channels[0].interval
        self.sends_flags = profile.sends_flags
        self.factors = tuple(
            SentFactor(
                spoken.get(channel.parameter.id, _code(channel.parameter)),
                channel.parameter,
                normal_unit(profile.units[channel.parameter.id]),
                max(0, channel.parameter.decimals + round(log10(abs(channel.scale)))),
            )
            for channel in channels
        )

    def rows(self, start: int, end: int) -> Rows:
        """The readings from ``start`` to before ``end`` [ms UTC]."""
        days: list[Columns] = [self._day(day) for day in range(start // DAY_MS, -(-end // DAY_MS))]
        if not days:
            none = np.empty((0, len(self.factors)))
            return Rows(np.empty(0, np.int64), none, none.astype(np.uint8))
        times = np.concatenate([day.measured for day in days])
        part = slice(*np.searchsorted(times, (start, end)).tolist())
        values = np.concatenate([day.values for day in days])[part]
        flags = np.concatenate([day.flags for day in days])[part]
        return Rows(times[part], (values - self._offset) / self._scale, flags)


def _code(parameter: Parameter) -> str:
    return "SB1" if parameter.is_state else parameter.hj212
