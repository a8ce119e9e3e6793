"""Exceedances: episodes above a limit, told from its sliding statistic on event time."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from greenmine.limits import Alarm


@dataclass(frozen=True, slots=True)
class Beyond:
    """The part of a judged period that is beyond the limit, or all of it [minutes since 1970 UTC, half-open]."""

    start: int
    end: int
    peak: float
    peak_minute: int
    threshold: float


@dataclass(frozen=True, slots=True)
class Exceedance:
    """One episode. Minutes are minutes since 1970 UTC at which the sliding statistic's window ended.

    ``end`` is None while it lasts; ``minutes`` counts the minutes beyond the threshold; ``revision`` counts restatements.
    """

    id: int
    rule: int
    start: int
    end: int | None
    peak: float
    peak_minute: int
    threshold: float
    minutes: int
    revision: int = 0
    withdrawn: bool = False


def of_period(number: int, rule: int, found: Beyond) -> Exceedance:
    """Return the exceedance that a judged period, or a part of it, is; its bounds are put as those of minutes are."""
    return Exceedance(
        id=number,
        rule=rule,
        start=found.start - 1,
        end=found.end - 1,
        peak=found.peak,
        peak_minute=found.peak_minute,
        threshold=found.threshold,
        minutes=found.end - found.start,
    )


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode as it stands in one stretch of a series; places in the stretch, half-open, ``end`` None at its edge."""

    start: int
    end: int | None
    peak: int
    minutes: int
    continues: bool
    """It had begun before the stretch."""


def latch(
    above: NDArray[np.bool_],
    cleared: NDArray[np.bool_],
    assessable: NDArray[np.bool_],
    alarm: Alarm,
    active: NDArray[np.bool_],
    lead: int = 0,
) -> NDArray[np.bool_]:
    """Whether an episode lasts, minute by minute.

    It begins when the statistic has been above for ``delay_minutes`` in a row, and ends when it has been under the clearing
    level for ``clear_minutes``, or could not be assessed for ``lost_minutes``. In between it stays as it was.

    Parameters
    ----------
    above, cleared, assessable : bool array (k, m)
        Beyond the threshold; on the safe side of the clearing level; assessable at all.
    alarm : Alarm
        The three durations [min].
    active : bool array (k,)
        Whether an episode lasted just before the place ``lead``.
    lead : int
        Places at the beginning that only serve to tell how long something had lasted.

    Returns
    -------
    bool array (k, m)
        True from the minute at which an episode is established to the minute before it is known to have ended; without
        meaning in the lead.
    """
    if not above.any() and not active.any():
        return np.zeros(above.shape, np.bool_)
    on = _run(above, alarm.delay_minutes)
    off = _run(cleared, alarm.clear_minutes) | _run(~assessable, alarm.lost_minutes)
    place = np.where(on | off, np.arange(above.shape[1]), -1)
    place[:, :lead] = -1
    last = np.maximum.accumulate(place, axis=1)
    state = np.take_along_axis(on, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, state, active[:, None])


def _run(x: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    """Whether the last ``length`` places up to here were all True; before the stretch nothing was."""
    place = np.arange(x.shape[1])
    last_false = np.maximum.accumulate(np.where(x, -1, place), axis=1)
    return place - last_false >= length


def episodes(
    lasts: NDArray[np.bool_],
    above: NDArray[np.bool_],
    cleared: NDArray[np.bool_],
    excess: NDArray[np.float64],
    alarm: Alarm,
    *,
    active: bool,
    lead: int = 0,
    cut: bool = False,
) -> list[Episode]:
    """Episodes of one rule in a stretch of m minutes.

    Start and end are put back to event time: the first minute above, and the first minute after it.

    Parameters
    ----------
    lasts : bool array (m,)
        From `latch`.
    above, cleared : bool array (m,)
        As there.
    excess : float64 array (m,)
        How far beyond the threshold; larger is worse; NaN where not assessable.
    alarm : Alarm
        As there.
    active : bool
        Whether an episode lasted just before the stretch.
    lead : int
        Episodes known to have ended before this place are left out.
    cut : bool
        The series had begun before the stretch, so what is above at its first place may have been so before.
    """
    edges = np.diff(np.concatenate([[active], lasts, [False]]).astype(np.int8))
    starts: list[int] = np.flatnonzero(edges == 1).tolist()
    ends: list[int] = np.flatnonzero(edges == -1).tolist()
    if active:
        starts.insert(0, 0)
    found = []
    for k, (established, known) in enumerate(zip(starts, ends, strict=True)):
        if known < lead:
            continue
        start = established - alarm.delay_minutes + 1
        continues = (active and k == 0) or start < 0 or (cut and start == 0)
        start = 0 if continues else start
        end = None if known == len(lasts) else _event_end(known, cleared, alarm)
        stretch = slice(start, len(lasts) if end is None else max(end, start))
        worst = np.where(above[stretch], excess[stretch], -np.inf)
        peak = start + int(np.argmax(worst)) if len(worst) else start
        found.append(Episode(start, end, peak, int(above[stretch].sum()), continues))
    return found


def _event_end(known: int, cleared: NDArray[np.bool_], alarm: Alarm) -> int:
    length = alarm.clear_minutes if cleared[known] else alarm.lost_minutes
    return max(0, known - length + 1)


def restated(old: Exceedance, new: Exceedance) -> Exceedance | None:
    """The episode to store in place of an old one, or None if nothing changed.

    That an open episode grows, or ends, is its natural course; any other change is a restatement, a new revision.
    """
    same = replace(new, id=old.id, revision=old.revision)
    if math.isclose(same.peak, old.peak, rel_tol=0.0, abs_tol=1.5e-9):  # they differ by the order of summation
        same = replace(same, peak=old.peak)
    if same == old:
        return None
    natural = old.end is None and same.start == old.start and same.minutes >= old.minutes and not old.withdrawn
    return same if natural else replace(same, revision=old.revision + 1)
