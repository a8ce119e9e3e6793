"""Figures of one series of readings over arbitrary windows.

Overlapping windows are put together from the stretches between all their edges, by additions alone: no differences of
running sums, so a loud hour leaves no rounding error in a quiet one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.parameters import Averaging
from greenmine.processing.averaging import reduced_means
from greenmine.zones import Zone

Times = NDArray[np.int64]
Values = NDArray[np.float64]

WINDOWS_AT_MOST: Final = 5_000_000
"""Rows beyond this are refused: they come from a stamp that is years off, not from a question somebody asks."""

_DAY: Final = 86_400_000
_OVERLAP: Final = 4
"""From so many windows for each reading on, carrying counts is faster than sorting each window."""
_LEVELS_AT_MOST: Final = 5_000


@dataclass(frozen=True, slots=True)
class Distinct:
    """The first reading of each instant, in order of time.

    Parameters
    ----------
    time : int64 array (n,)
        Strictly increasing [ms UTC].
    value : float64 array (n,)
        Value of the reading that came first.
    repeats : int
        Readings left out because their instant had come before.
    conflicts : int
        Those among the repeats whose value differs from the first.
    """

    time: Times
    value: Values
    repeats: int
    conflicts: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of m windows; NaN where a window holds no reading.

    Parameters
    ----------
    mean, minimum, maximum : float64 array (m,)
        In the unit of the values.
    count : int64 array (m,)
        Readings in the window.
    percentiles : float64 array (k, m)
        One row for each percentile asked for.
    """

    mean: Values
    minimum: Values
    maximum: Values
    count: Times
    percentiles: Values


def distinct(time: Times, value: Values) -> Distinct:
    """Order readings by time and keep the first of each instant.

    Parameters
    ----------
    time : int64 array (n,)
        Instants in the order of arrival [ms UTC].
    value : float64 array (n,)
        Values; NaN counts as a value, so filter before.

    Returns
    -------
    Distinct
        Of readings of the same instant, the one that arrived first.
    """
    order = np.argsort(time, kind="stable")
    ordered, values = time[order], value[order]
    first = np.ones(len(ordered), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    of_instant = np.cumsum(first) - 1
    kept = values[first]
    repeats = len(ordered) - len(kept)
    return Distinct(ordered[first], kept, repeats, int(np.count_nonzero(values != kept[of_instant])))


def capture(count: Times, starts: Times, ends: Times, interval: float) -> Values:
    """Share of the expected readings that are there, at most 1.

    Parameters
    ----------
    count : int64 array (m,)
        Readings in each window.
    starts, ends : int64 array (m,)
        Windows [ms].
    interval : float
        Distance between readings [ms].

    Returns
    -------
    float64 array (m,)
        ``count / (length / interval)``, cut at 1.
    """
    return np.minimum(1.0, count * interval / (ends - starts))


def window_bounds(first: int, last: int, window: int, every: int, zone: str) -> tuple[Times, Times]:
    """Windows that end at each multiple of ``every`` on the local clock, around readings from ``first`` to ``last``.

    Parameters
    ----------
    first, last : int
        First and last instant [ms UTC].
    window : int
        Length [ms]. Whole days are days on the wall clock, 23 or 25 hours long when the clocks change; anything else
        is elapsed time.
    every : int
        Distance of the ends [ms]. Whole days: local midnights (the first instant of a day where clocks skip
        midnight). Otherwise every instant at which the wall clock shows a multiple: counted from midnight if ``every``
        divides a day, else from 1970-01-01T00:00. A time that the clocks show twice ends two windows, one that they
        skip ends none.
    zone : str
        Time zone of the wall clock.

    Returns
    -------
    starts, ends : int64 array (m,)
        Half-open windows [start, end), in order of their ends [ms UTC]: from the first end after ``first`` to the
        first end after ``last``.

    Raises
    ------
    ValueError
        If a length is not positive, or there would be more than ``WINDOWS_AT_MOST`` windows.
    """
    if window <= 0 or every <= 0:
        raise ValueError(f"a window of {window} ms every {every} ms: both must be longer than nothing")
    if (last - first) // every > WINDOWS_AT_MOST:
        raise ValueError(f"readings over {(last - first) / _DAY:.0f} days give more than {WINDOWS_AT_MOST:,} windows")
    clock = Zone(zone)
    low, high = clock.local([first, last]).tolist()
    # Clocks may be put back or forward by hours between a reading and its end.
    wall = np.arange((low - _DAY) // every, (high + 2 * _DAY) // every + 3, dtype=np.int64) * every
    ends = clock.utc(wall)
    if every % _DAY:
        keep = (clock.local(ends) == wall) | (wall % _DAY == 0)
        again = clock.utc(wall, second=True)
        twice = keep & (again > ends)
        wall, ends = np.concatenate([wall[keep], wall[twice]]), np.concatenate([ends[keep], again[twice]])
    ends, index = np.unique(ends, return_index=True)
    chosen = slice(int(np.searchsorted(ends, first, side="right")), int(np.searchsorted(ends, last, side="right")) + 1)
    ends, wall = ends[chosen], wall[index][chosen]
    starts = ends - window if window % _DAY else clock.utc(wall - window)
    return starts, ends


def summarise(
    time: Times,
    value: Values,
    *,
    averaging: Averaging,
    windows: tuple[Times, Times],
    percentiles: tuple[float, ...] = (),
) -> Summary:
    """Figures of readings over windows.

    Parameters
    ----------
    time : int64 array (n,)
        Strictly increasing [ms].
    value : float64 array (n,)
        Finite values.
    averaging : str
        Way of averaging. ``arithmetic`` and ``state``: the mean; ``energy``: 10·lg of the mean of 10^(L/10);
        ``vector``: the direction of the mean unit vector in [0, 360) degrees, NaN if the directions cancel out;
        ``sum``: the total; ``maximum``: the largest.
    windows : (int64 array (m,), int64 array (m,))
        Starts and ends; half-open [start, end): a reading at the end belongs to the next window. Any windows will
        do: overlapping, apart or empty.
    percentiles : tuple of float
        In percent, with linear interpolation between the two nearest readings. The level exceeded N % of the time is
        the (100 - N)th.

    Returns
    -------
    Summary
        NaN where a window holds no reading. Minimum and maximum are of the plain numbers, for directions too.

    Raises
    ------
    ValueError
        If the instants do not strictly increase.

    Examples
    --------
    >>> hours = np.array([0]), np.array([3_600_000])
    >>> levels = summarise(np.array([0, 1000]), np.array([50.0, 60.0]), averaging="energy", windows=hours)
    >>> levels.mean.round(3).tolist(), levels.count.tolist()
    ([57.404], [2])
    """
    if np.any(time[1:] <= time[:-1]):
        raise ValueError("instants must strictly increase: order the readings and drop repeats first")
    first = np.searchsorted(time, windows[0]).astype(np.int64)
    last = np.maximum(first, np.searchsorted(time, windows[1]))
    stretches = _Stretches(first, last)
    count = last - first
    some = count > 0
    minimum = np.where(some, stretches.reduce(np.minimum, value, np.inf), np.nan)
    maximum = np.where(some, stretches.reduce(np.maximum, value, -np.inf), np.nan)
    divisor = np.where(some, count, 1)
    mean = reduced_means(averaging, value, lambda x: stretches.reduce(np.add, x, 0.0), divisor, (minimum, maximum))
    return Summary(np.where(some, mean, np.nan), minimum, maximum, count, _percentiles(value, first, last, percentiles))


class _Stretches:
    """The stretches of readings between all edges of windows, and which of them make up each window."""

    def __init__(self, first: Times, last: Times) -> None:
        self._edges = np.unique(np.concatenate([first, last]))
        self._first = np.searchsorted(self._edges, first)
        self._last = np.searchsorted(self._edges, last)

    def reduce(self, operation: np.ufunc, value: Values, neutral: float) -> Values:
        """Combine the values of each window with an associative operation; ``neutral`` where there is none."""
        result = np.full(len(self._first), neutral)
        if len(self._edges) < 2:
            return result
        level = operation.reduceat(value[: self._edges[-1]], self._edges[:-1])
        low, high = self._first.copy(), self._last.copy()
        # Level by level stretches are paired; a window takes an end that has no partner inside and passes on the pairs.
        while (low < high).any():
            odd = (low < high) & (low % 2 == 1)
            result[odd] = operation(result[odd], level[low[odd]])
            low += odd
            odd = (low < high) & (high % 2 == 1)
            high -= odd
            result[odd] = operation(result[odd], level[high[odd]])
            low //= 2
            high //= 2
            level = operation(level[0::2], np.append(level[1::2], [neutral] * (len(level) % 2)))
        return result


def _percentiles(value: Values, first: Times, last: Times, percentiles: tuple[float, ...]) -> Values:
    """Percentiles by rank: the values at the two ranks around each place, then a straight line between them."""
    count = last - first
    place = np.array(percentiles)[:, None] / 100.0 * (count - 1)
    below = np.maximum(place, 0.0).astype(np.int64)
    ranks = np.concatenate([below, np.minimum(below + 1, np.maximum(count - 1, 0))])
    windows = np.flatnonzero(count > 0)
    found = np.full(ranks.shape, np.nan)
    if len(percentiles) and len(windows):
        levels = np.unique(value) if count.sum() > _OVERLAP * len(value) else value
        forward = bool(np.all(np.diff(first[windows]) >= 0) and np.all(np.diff(last[windows]) >= 0))
        if forward and len(levels) <= min(_LEVELS_AT_MOST, len(value) - 1):
            found[:, windows] = _ranked_levels(value, levels, first[windows], last[windows], ranks[:, windows])
        else:
            for window in windows.tolist():
                found[:, window] = np.sort(value[first[window] : last[window]])[ranks[:, window]]
    low, high = np.split(found, 2)
    levels_found: Values = low + (high - low) * (place - below)
    return levels_found


def _ranked_levels(value: Values, levels: Values, first: Times, last: Times, ranks: Times) -> Values:
    """Values of given ranks in windows that move forward, when there are few different values.

    How often each value occurs is carried from window to window, in whole numbers: only what enters and leaves is
    counted, so the length of the windows costs nothing.
    """
    code = np.searchsorted(levels, value)
    found = np.empty(ranks.shape)
    counts = np.zeros(len(levels), np.int64)
    low = high = int(first[0])
    for column, (start, end) in enumerate(zip(first.tolist(), last.tolist(), strict=True)):
        counts += np.bincount(code[high:end], minlength=len(levels))
        counts -= np.bincount(code[low:start], minlength=len(levels))
        low, high = start, end
        found[:, column] = levels[np.searchsorted(np.cumsum(counts), ranks[:, column], side="right")]
    return found
