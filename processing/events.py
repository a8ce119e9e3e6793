"""Sound events of a night: horns, blasts and knocks that stand out of the level around them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import Conditions

EventKind = Literal["frequent", "occasional"]


@dataclass(frozen=True, slots=True)
class SoundEvent:
    """One event: minutes since 1970 UTC, half-open, with its highest level [dB] and the minute of that."""

    start: int
    end: int
    peak: float
    peak_minute: int


def sound_events(highest: NDArray[np.float64], start: int, conditions: Conditions) -> list[SoundEvent]:
    """Find the events of a period.

    A minute belongs to an event if its maximum stands out of the median of the maxima around it, its own included, by
    ``event_excess``, or if nothing else was measured around it. Neighbouring minutes are one event. Steady work is none,
    however loud: it is its own surroundings.

    Parameters
    ----------
    highest : float64 array (m,)
        Maximum of each minute [dB]; NaN where nothing counts.
    start : int
        First minute of the period, since 1970 UTC.
    conditions : Conditions
        The excess and the reach of the surroundings.

    References
    ----------
    GB 12348-2008, 3.7 and 3.8 (frequent and occasional noise: short, strong). How an event is told is a choice of this project.
    """
    reach = conditions.event_surroundings
    padded = np.pad(highest, reach, constant_values=np.nan)
    heard = np.flatnonzero(~np.isnan(highest))
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)[heard]
    # Nine digits: a level exactly so much higher stands out.
    above = (
        (np.round(highest[heard] - np.nanmedian(around, axis=1), 9) >= conditions.event_excess)
        | ((~np.isnan(around)).sum(axis=1) == 1)
        if len(heard)
        else heard > 0
    )
    minutes = heard[above]
    runs = np.split(minutes, np.flatnonzero(np.diff(minutes) > 1) + 1) if len(minutes) else []
    events = []
    for run in runs:
        at = int(run[np.argmax(highest[run])])
        events.append(SoundEvent(start + int(run[0]), start + int(run[-1]) + 1, float(highest[at]), start + at))
    return events


def event_kind(events: Sequence[SoundEvent], start: int, conditions: Conditions) -> EventKind:
    """Tell whether the events of a period that begins at ``start`` are frequent: enough of them, in enough different hours.

    References
    ----------
    GB 12348-2008, 3.7 (often, time and interval with some regularity) and 3.8 (without regularity); the numbers are a choice
    of this project.
    """
    hours = {(event.start - start) // 60 for event in events}
    often = len(events) >= conditions.frequent_events and len(hours) >= conditions.frequent_hours
    return "frequent" if often else "occasional"
