"""Rolling figures of all channels at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from greenmine.processing.levels import energy, level
from greenmine.processing.panes import Index, Panes

_CELLS: Final = 1 << 16
"""Panes handled at once; keeps the working set within the cache."""


@dataclass(frozen=True, slots=True)
class Current:
    """Figures of k channels over w windows that end now; shapes (w, k), NaN where a window holds no reading.

    ``mean`` is by the parameter's way of averaging, Leq for sound; ``share`` is that of the minutes with readings
    whose own mean lies above the threshold (not for directions: NaN); ``count`` (int64) are readings.
    """

    mean: NDArray[np.float64]
    share: NDArray[np.float64]
    count: NDArray[np.int64]


def current_figures(
    panes: Panes, channel: Index, minute: int, widths: Sequence[int], threshold: NDArray[np.float64]
) -> Current:
    """Figures over the windows that end with a minute.

    Parameters
    ----------
    panes : Panes
        Where the readings are.
    channel : int array (k,)
        Channels, averaged arithmetically, by energy or as directions.
    minute : int
        Last minute of the windows since 1970, inclusive.
    widths : sequence of int
        Lengths of the windows [min], increasing; none longer than the ring.
    threshold : float64 array (k,)
        In the unit of each channel; a minute above it counts for ``share``. NaN: no minute does.

    Returns
    -------
    Current
        The nested windows are added up from the shortest on, so each pane is read once.
    """
    shape = (len(widths), len(channel))
    sums, other, count = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64)
    above, filled = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    sound, vector = panes.sound[channel], panes.vector[channel]
    turning = bool(vector.any())
    bound = np.where(sound, energy(threshold), threshold)
    begin = minute - widths[-1] + 1
    edges = {0, *(widths[-1] - width for width in widths), widths[-1]}
    # Where the ring begins anew, a stretch would have to be copied together.
    edges.add(min(widths[-1], panes.minutes - begin % panes.minutes))
    for first, last in pairwise(sorted(edges)):
        row = sum(width < widths[-1] - first for width in widths)
        step = max(1, _CELLS // (last - first))
        for k in range(0, len(channel), step):
            part = slice(k, k + step)
            some = channel[part]
            counts, totals, sines = panes.sums(some, np.full(len(some), begin + first), last - first)
            sums[row, part] += totals.sum(axis=1)
            count[row, part] += counts.sum(axis=1, dtype=np.uint32)
            filled[row, part] += _how_many(counts > 0)
            above[row, part] += _how_many(totals > counts * bound[part, None])
            if turning:
                other[row, part] += sines.sum(axis=1)
    for nested in (sums, other, count, filled, above):
        np.cumsum(nested, axis=0, out=nested)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = sums / count
        share = np.where(vector, np.nan, above / filled)
    mean[:, sound] = level(mean[:, sound])
    mean[:, vector] = np.degrees(np.arctan2(other[:, vector], sums[:, vector])) % 360.0
    return Current(np.where(count > 0, mean, np.nan), np.where(filled > 0, share, np.nan), count)


def _how_many(x: NDArray[np.bool_]) -> NDArray[np.uint32]:
    """True values a row; numpy counts bytes faster than truth values."""
    number: NDArray[np.uint32] = x.view(np.uint8).sum(axis=1, dtype=np.uint32)
    return number
