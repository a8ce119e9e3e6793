"""Rolling exceedance statistics: how often, how long and how far a limit was exceeded over the last days."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SPANS: Final = {"24h": 1440, "7d": 7 * 1440, "30d": 30 * 1440}
"""Spans that are always given [min]; the reporting period comes beside them."""


@dataclass(frozen=True, slots=True)
class SlidingHours:
    """What a sliding statistic did, an hour a row, sorted by hour.

    Parameters
    ----------
    hour : int64 array (n,)
        Hours since 1970 UTC.
    assessable, above : uint64 array (n,)
        Bit i is minute i of the hour: the statistic was assessable; it was beyond the threshold.
    worst : float64 array (n,)
        Value furthest from compliance among the assessable minutes; NaN if none.
    """

    hour: NDArray[np.int64]
    assessable: NDArray[np.uint64]
    above: NDArray[np.uint64]
    worst: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ExceedanceStatistics:
    """Figures over ``start .. end`` (minutes since 1970 UTC, half-open).

    ``share`` is minutes above ÷ assessable minutes, None without any; ``capture`` assessable ÷ all minutes; ``longest`` the longest
    episode within the span [min]; ``worst`` is taken over the clock hours that the span touches.
    """

    start: int
    end: int
    episodes: int
    minutes_above: int
    minutes_assessable: int
    share: float | None
    longest: int
    worst: float | None
    capture: float


def exceedance_statistics(
    hours: SlidingHours, episodes: NDArray[np.int64], start: int, end: int, *, lower: bool = False
) -> ExceedanceStatistics:
    """Exceedance statistics of one limit at one station over a span.

    Parameters
    ----------
    hours : SlidingHours
        Rows outside the span are ignored.
    episodes : int64 array (k, 2)
        First minute, and the minute after the last, of each exceedance; an open one ends at ``end``.
    start, end : int
        The span [minutes since 1970 UTC], half-open.
    lower : bool
        True where small values are the bad ones (dissolved oxygen).
    """
    inside = (hours.hour * 60 < end) & (hours.hour * 60 + 60 > start)
    first = hours.hour[inside] * 60
    mask = _bits(np.clip(start - first, 0, 60), np.clip(end - first, 0, 60))
    assessable = int(np.bitwise_count(hours.assessable[inside] & mask).sum())
    above = int(np.bitwise_count(hours.above[inside] & mask).sum())
    worst = hours.worst[inside]
    worst = worst[~np.isnan(worst)]
    cut = np.clip(episodes, start, end)
    lengths = cut[:, 1] - cut[:, 0]
    lengths = lengths[lengths > 0]
    return ExceedanceStatistics(
        start=start,
        end=end,
        episodes=len(lengths),
        minutes_above=above,
        minutes_assessable=assessable,
        share=above / assessable if assessable else None,
        longest=int(lengths.max(initial=0)),
        worst=float(worst.min() if lower else worst.max()) if len(worst) else None,
        capture=assessable / (end - start),
    )


class LimitHour(NamedTuple):
    """One hour of a limit's sliding statistic; see `SlidingHours`."""

    hour: int
    assessable: int
    above: int
    worst: float


class RollingFigures(NamedTuple):
    """Figures of a limit over a span; see `ExceedanceStatistics`."""

    episodes: int
    minutes_above: int
    longest: int
    share: float | None
    capture: float
    worst: float | None


def hourly_statistics(
    rows: Sequence[LimitHour],
    episodes: Sequence[tuple[int, int]],
    at: Iterable[int],
    *,
    lower: bool,
) -> Iterator[tuple[str, int, RollingFigures]]:
    """Exceedance statistics of one limit over every span that ends at the beginning of some clock hours.

    The same figures as `exceedance_statistics`, for many limits and hours, where a span consists of whole hours.

    Parameters
    ----------
    rows : sequence of LimitHour
        Sorted by hour.
    episodes, lower
        As in `exceedance_statistics`; an open episode has its end far in the future.
    at : iterable of int
        Hours since 1970 UTC.

    Yields
    ------
    span, hour, figures
        Name of the span; the hour at whose beginning it ends; what was found.
    """
    # Most often it is one hour of one limit: plain lists are quicker then than arrays.
    hour = [row.hour for row in rows]
    assessable = [0, *accumulate(row.assessable.bit_count() for row in rows)]
    above = [0, *accumulate(row.above.bit_count() for row in rows)]
    best, further = (math.inf, min) if lower else (-math.inf, max)
    worst = [best if math.isnan(row.worst) else row.worst for row in rows]
    for end in at:
        last = bisect_left(hour, end)
        for span, minutes in SPANS.items():
            first = bisect_left(hour, end - minutes // 60)
            could, did = assessable[last] - assessable[first], above[last] - above[first]
            most = further(worst[first:last], default=best)
            cut = [min(b, end * 60) - max(a, end * 60 - minutes) for a, b in episodes]
            lengths = [length for length in cut if length > 0]
            yield (
                span,
                end,
                RollingFigures(
                    episodes=len(lengths),
                    minutes_above=did,
                    longest=max(lengths, default=0),
                    share=did / could if could else None,
                    capture=could / minutes,
                    worst=None if math.isinf(most) else most,
                ),
            )


def _bits(low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Words with bits ``low .. high - 1`` set; 0 <= low <= high <= 60."""
    one = np.uint64(1)
    return np.left_shift(one, high.astype(np.uint64)) - np.left_shift(one, low.astype(np.uint64))
