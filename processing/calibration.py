"""Calibrations: dated corrections of a channel's values; the raw values stay as they are."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.registry import Registry

Steps = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]
"""Instants [ms], and slope and offset before and from each instant on: one more than instants."""

_NONE: Final[Steps] = (np.empty(0, np.int64), np.ones(1), np.zeros(1))


class Calibrations:
    """The calibrations of a registry.

    Parameters
    ----------
    registry : Registry
        Its sites carry them; channels are told by their index in it.
    """

    def __init__(self, registry: Registry) -> None:
        found: dict[int, list[tuple[int, float, float]]] = defaultdict(list)
        for site in registry.sites:
            by_key = {(c.station, c.parameter.id): c.index for c in registry.site_channels(site.id)}
            for entry in site.calibrations:
                since = int(entry.valid_from.timestamp() * 1000)
                found[by_key[entry.station, entry.parameter]].append((since, entry.slope, entry.offset))
        self._steps: dict[int, Steps] = {}
        for index, entries in found.items():
            entries.sort()
            instants = np.array([step[0] for step in entries], np.int64)
            slopes = np.array([1.0, *(step[1] for step in entries)])
            self._steps[index] = (instants, slopes, np.array([0.0, *(step[2] for step in entries)]))

    def steps(self, channel: int) -> Steps:
        """Corrections of a channel; without any, slope 1 and offset 0 for ever."""
        return self._steps.get(channel, _NONE)

    def applied(
        self, channel: NDArray[np.intp], time: NDArray[np.int64], value: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Values after the calibration in force at each instant; ``channel`` is sorted."""
        if not self._steps:
            return value
        out = value
        present = channel[np.flatnonzero(np.append(True, channel[1:] != channel[:-1]))] if len(channel) else channel
        for c in np.intersect1d(present, list(self._steps)):
            if out is value:
                out = value.copy()
            mine = slice(*np.searchsorted(channel, (c, c + 1)))
            since, slope, offset = self._steps[int(c)]
            step = np.searchsorted(since, time[mine], side="right")
            out[mine] = value[mine] * slope[step] + offset[step]
        return out
