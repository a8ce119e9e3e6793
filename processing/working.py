"""Working time: minutes in which the noise sources of a site work, told by equipment or by a timetable."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.exclusion import Exclusion
from greenmine.processing.panes import MINUTE
from greenmine.processing.sliding import sliding_maximum
from greenmine.processing.windows import offset_minutes
from greenmine.registry import Registry, Rule

_DAY = 1440
_ON = 0.5
"""Mean state of a minute from which on the equipment is on."""


class WorkingMinutes:
    """Finds the working minutes of rules on working time.

    Parameters
    ----------
    registry : Registry
        Zones and intervals.
    exclusion : Exclusion
        Where the state of equipment is read; marked minutes tell none.

    References
    ----------
    GB 12348-2008, 5.2.2 (measured while the source works normally), 5.4.3 (the whole normal working period).
    """

    def __init__(self, registry: Registry, exclusion: Exclusion) -> None:
        self._exclusion = exclusion
        self._zone = {site.id: site.zone for site in registry.sites}
        self._span = [max(1, c.interval // MINUTE) for c in registry.channels]

    def minutes(self, rule: Rule, start: int, width: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Working minutes, and those of which it is known whether they are; shapes (width,).

        The site works while one of its equipment is on. A reading of the state holds for its interval, which ends at its
        stamp. While no equipment is on and one of them is silent, the timetable decides; without one it is not known.
        """
        known, working = np.zeros(width, np.bool_), np.zeros(width, np.bool_)
        time = rule.working
        if time is None:
            return working, known
        if time.equipment:
            heard = np.ones(width, np.bool_)
            for channel in time.equipment:
                on, told = self._state(channel, start, width)
                working |= on
                heard &= told
            known = working | heard
        if time.hours:
            working |= ~known & self._timetable(rule, start, width)
            known[:] = True
        return working, known

    def _state(self, channel: int, start: int, width: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        span = self._span[channel]
        block = self._exclusion.unmarked(np.array([channel]), np.array([start]), width + span - 1)
        count, total = block.count[0], block.total[0]
        on = (count > 0) & (total >= _ON * count)
        held = [sliding_maximum(x.astype(np.float64), span) > 0 for x in (on, count > 0)]
        return held[0], held[1]

    def _timetable(self, rule: Rule, start: int, width: int) -> NDArray[np.bool_]:
        assert rule.working is not None
        zone = self._zone[rule.site]
        hour = np.arange(width) // 60
        offset = np.array([offset_minutes(zone, start + 60 * h) for h in range(int(hour[-1]) + 1)], np.int64)
        local = (start + np.arange(width) + offset[hour]) % _DAY
        inside = np.zeros(width, np.bool_)
        for first, last in rule.working.hours:
            inside |= ((local >= first) & (local < last)) | (local + _DAY < last)
        return inside
