"""Delays between attempts."""

from __future__ import annotations

import random


def delay(failures: int, first: float, longest: float) -> float:
    """Return how long to wait before the next attempt [s].

    Parameters
    ----------
    failures : int
        Attempts that have failed in a row, at least 1.
    first, longest : float
        Delay after the first failure, which doubles with each up to the longest [s]. Up to half of it is taken off by chance,
        so that many clients do not come back at one instant.
    """
    return float(min(first * 2.0 ** min(failures - 1, 60), longest) * random.uniform(0.5, 1.0))  # noqa: S311 - no secret depends on it
