"""Quality checks. They mark, they never change a value; what is suspect is shown, and a person decides.

Only the plausible range takes a reading out of the figures: what no instrument can have measured. Spikes, jumps
and frozen values stay in (GB 3095-2026, 6.4: all valid data take part), counted as suspect beside the figure.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.readings import IMPLAUSIBLE, NORMAL, OVER

RANGE: Final = 1
"""Quality bit: outside the plausible range, or not a number under a flag of readings that count."""


def counted(flag: NDArray[np.uint8], quality: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether readings enter figures: normal ones, and those over range as lower bounds, if they are plausible."""
    good: NDArray[np.bool_] = ((flag == NORMAL) | (flag == OVER)) & ((quality & RANGE) == 0)
    return good


def over_range(
    flag: NDArray[np.uint8],
    value: NDArray[np.float64],
    upper: NDArray[np.float64] | float,
    high: NDArray[np.float64] | float,
) -> NDArray[np.bool_]:
    """Whether the true value may be higher: flag T, or a value above the measuring range or above all that is plausible.

    Parameters
    ----------
    flag, value : arrays (n,)
        Readings as they were sent, in the canonical unit.
    upper, high : float or array (n,)
        Ends of the measuring range and of what is plausible.
    """
    normal = flag == NORMAL
    wild = (normal | (flag == IMPLAUSIBLE)) & (value > high)
    found: NDArray[np.bool_] = (flag == OVER) | (normal & (value > upper)) | wild
    return found


def out_of_range(
    value: NDArray[np.float64], low: NDArray[np.float64] | float, high: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Whether values lie outside [low, high], bounds included; NaN does."""
    return ~((value >= low) & (value <= high))


def spikes(value: NDArray[np.float64], threshold: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    """Values that depart from both neighbours by more than the threshold, to the same side.

    Parameters
    ----------
    value : float64 array (..., n)
        Series in time order along the last axis. Beside NaN, and at the ends, nothing is a spike.
    threshold : float or array (..., 1)
        In the unit of the values; NaN switches the check off.

    References
    ----------
    Shaped after the QARTOD spike test (IOOS, 2020), but only the spike itself is marked, not its neighbours.
    """
    out = np.zeros(value.shape, np.bool_)
    left = value[..., 1:-1] - value[..., :-2]
    right = value[..., 1:-1] - value[..., 2:]
    with np.errstate(invalid="ignore"):
        out[..., 1:-1] = (np.minimum(np.abs(left), np.abs(right)) > threshold) & (left * right > 0)
    return out


def jumps(
    time: NDArray[np.int64], value: NDArray[np.float64], per_minute: NDArray[np.float64] | float
) -> NDArray[np.bool_]:
    """Values that changed from their predecessor faster than allowed.

    Parameters
    ----------
    time : int64 array (n,)
        Instants [ms], increasing.
    value : float64 array (..., n)
        Beside NaN nothing is a jump.
    per_minute : float or array (..., 1)
        Largest change [unit per minute], inclusive; NaN switches the check off.

    References
    ----------
    QARTOD rate-of-change test (IOOS, 2020).
    """
    out = np.zeros(value.shape, np.bool_)
    elapsed = np.diff(time) / 60_000
    with np.errstate(invalid="ignore"):
        out[..., 1:] = np.abs(np.diff(value, axis=-1)) > per_minute * elapsed
    return out


def flat(
    time: NDArray[np.int64], value: NDArray[np.float64], duration: int, tolerance: float = 0.0
) -> NDArray[np.bool_]:
    """Values that end a stretch of at least ``duration`` in which nothing moved by more than the tolerance.

    Parameters
    ----------
    time : int64 array (n,)
        Instants [ms], increasing.
    value : float64 array (n,)
        NaN interrupts a stretch.
    duration : int
        Length of the stretch [ms], inclusive.
    tolerance : float
        Largest spread within the stretch, in the unit of the values.

    References
    ----------
    QARTOD flat-line test (IOOS, 2020).
    """
    out = np.zeros(len(value), np.bool_)
    start = 0
    low = high = np.nan
    for i, x in enumerate(value):
        if np.isnan(x) or not (max(high, x) - min(low, x) <= tolerance):
            start = _restart(value, i, tolerance)
            stretch = value[start : i + 1]
            low, high = float(np.min(stretch)), float(np.max(stretch))
        else:
            low, high = min(low, x), max(high, x)
        out[i] = not np.isnan(x) and time[i] - time[start] >= duration
    return out


def _restart(value: NDArray[np.float64], i: int, tolerance: float) -> int:
    """First place from which up to ``i`` nothing moved by more than the tolerance."""
    low = high = value[i]
    j = i
    while j > 0:
        low, high = np.minimum(low, value[j - 1]), np.maximum(high, value[j - 1])
        if not high - low <= tolerance:
            break
        j -= 1
    return j
