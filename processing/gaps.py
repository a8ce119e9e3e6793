"""Spans in which readings are missing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

MINUTE: Final = 60_000
Span = tuple[int, int]
"""From and to [ms UTC, half-open, whole minutes]."""


def missing(time: NDArray[np.int64], start: int, end: int, tolerance: int, *, before: bool) -> list[Span]:
    """Whole minutes without a reading, where readings are further apart than they may be.

    Parameters
    ----------
    time : int64 array (n,)
        Instants of readings [ms UTC], in any order.
    start, end : int
        Where to look [ms UTC, half-open, whole minutes].
    tolerance : int
        Readings this far apart are not yet a gap [ms].
    before : bool
        Whether there are readings before ``start``; if not, nothing is missing before the first one.

    Returns
    -------
    list of (int, int)
        In order, without overlap; those at the edges included.

    Examples
    --------
    >>> missing(np.array([0, 60_000, 600_000]), 0, 660_000, 180_000, before=True)
    [(120000, 600000)]
    """
    inside = np.sort(time[(time >= start) & (time < end)])
    if not len(inside) and not before:
        return []
    first = [start - 1] if before else []
    points = np.concatenate([np.array(first, np.int64), inside, np.array([end], np.int64)])
    wide = np.flatnonzero(np.diff(points) > tolerance)
    spans = zip((points[wide] // MINUTE + 1).tolist(), (points[wide + 1] // MINUTE).tolist(), strict=True)
    return [(a * MINUTE, b * MINUTE) for a, b in spans if a < b]


def union(spans: Iterable[Span]) -> list[Span]:
    """Spans without overlap that cover the same, in order.

    Examples
    --------
    >>> union([(5, 9), (0, 3), (2, 4)])
    [(0, 4), (5, 9)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def without(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """What is left of spans without the others.

    Examples
    --------
    >>> without([(0, 10)], [(2, 4), (9, 12)])
    [(0, 2), (4, 9)]
    """
    left = union(spans)
    for start, end in others:
        left = [piece for a, b in left for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    return union(left)


def within(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """The parts of spans between two instants."""
    cut = [(max(a, start), min(b, end)) for a, b in spans]
    return union(span for span in cut if span[0] < span[1])


def minutes(spans: Iterable[Span]) -> int:
    """Minutes in spans that do not overlap."""
    return sum(end - start for start, end in spans) // MINUTE
