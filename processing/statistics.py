"""Figures over windows, from panes: by the parameter's way of averaging, with capture and validity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.averaging import window_means
from greenmine.processing.panes import Block
from greenmine.processing.validity import sufficient


@dataclass(frozen=True, slots=True)
class Figures:
    """One figure a row; float64 unless said otherwise, NaN where there is none.

    ``count`` (int64) valid readings used; ``capture`` valid ÷ expected readings, at most 1; ``hours`` (int64) valid hours in
    the window; ``valid`` (bool) whether it may be judged; ``excluded`` (int64) minutes left out for weather or a mark;
    ``over`` (int64) minutes with a value beyond the range of its instrument, so that mean and maximum are lower bounds.
    """

    mean: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]
    count: NDArray[np.int64]
    capture: NDArray[np.float64]
    hours: NDArray[np.int64]
    valid: NDArray[np.bool_]
    excluded: NDArray[np.int64]
    over: NDArray[np.int64]


def figures(
    block: Block,
    excluded: NDArray[np.bool_] | None,
    kind: NDArray[np.str_],
    expected: NDArray[np.float64],
    minutes_per_hour: int,
    hours_needed: int | None,
) -> Figures:
    """Figures over windows of whole hours.

    An hour's mean is that of its readings. Over longer windows, arithmetic and energy means are means of the valid hours'
    figures, each hour with the same weight; directions, sums and extremes are taken over all readings.

    Parameters
    ----------
    block : Block
        Panes (k, 60·h), from the first minute of the window.
    excluded : bool array (k, 60·h) or None
        Minutes that do not count.
    kind : str array (k,)
        Way of averaging of each row.
    expected : float64 array (k,)
        Readings due in an hour.
    minutes_per_hour : int
        Valid minutes that make an hour valid; as a share of 60 it applies to the readings due.
    hours_needed : int or None
        Valid hours that make the window valid; None for windows of one hour.

    Returns
    -------
    Figures
        k rows. A window without valid hours has no mean, unless it is itself one hour with some readings.

    References
    ----------
    GB 3095-2026, clause 3 and Table 4 (24-hour mean of hourly means); HJ 906-2017, clause 7 (Ld, Ln from hourly Leq);
    HJ 212-2017, Annex D (75 % of the due readings).
    """
    count, total, other, low, high, over = block.count, block.total, block.other, block.low, block.high, block.over
    held = block.held
    left_out = np.zeros(len(count), np.int64)
    if excluded is not None and excluded.any():
        left_out = excluded.sum(axis=1)
        count = np.where(excluded, 0, count)
        total, other = np.where(excluded, 0.0, total), np.where(excluded, 0.0, other)
        low, high = np.where(excluded, np.inf, low), np.where(excluded, -np.inf, high)
        over, held = over & ~excluded, np.where(excluded, 0.0, held)
    rows = len(count)
    hourly = count.reshape(rows, -1, 60).sum(axis=2, dtype=np.int64)
    held = held.reshape(rows, -1, 60).sum(axis=2)
    sums = total.reshape(rows, -1, 60).sum(axis=2)
    hours = hourly.shape[1]
    valid = sufficient(held, expected[:, None], minutes_per_hour) & (hourly > 0)
    used = valid if hours > 1 else hourly > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        capture = np.minimum(1.0, held.sum(axis=1) / (expected * hours))
    all_counts = hourly.sum(axis=1)
    minimum, maximum = low.min(axis=1), high.max(axis=1)
    turned = np.broadcast_to(other, total.shape).reshape(rows, -1, 60).sum(axis=2)
    mean = window_means(kind, (hourly, sums, turned), used, maximum)
    empty = all_counts == 0
    valid_hours = valid.sum(axis=1)
    return Figures(
        mean=np.where(empty, np.nan, mean),
        minimum=np.where(empty, np.nan, minimum),
        maximum=np.where(empty, np.nan, maximum),
        count=all_counts,
        capture=capture,
        hours=valid_hours,
        valid=valid_hours >= (1 if hours_needed is None else hours_needed),
        excluded=left_out,
        over=over.sum(axis=1, dtype=np.int64),
    )
