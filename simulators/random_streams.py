"""Random numbers that can be drawn again: each follows from a seed, a name and an absolute index."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

MINUTES_PER_DAY = 1440
_KNOTS = 64
"""Knots of a smooth process that are drawn together."""

Floats = NDArray[np.float64]


class RandomStreams:
    """Random numbers that depend on a seed and on names only, never on what was drawn before.

    Parameters
    ----------
    seed : int
        Seed of the simulation.
    *scope : str
        Names that set this source apart, such as a site.
    """

    def __init__(self, seed: int, *scope: str) -> None:
        self._seed = seed
        self._scope = scope

    def generator(self, *key: str | int) -> np.random.Generator:
        """A generator that is the same for the same seed, scope and key."""
        text = repr((self._seed, self._scope, key)).encode()
        return np.random.default_rng(int.from_bytes(blake2b(text, digest_size=16).digest()))

    def normal(self, name: str, day: int, count: int = MINUTES_PER_DAY) -> Floats:
        """Standard normal numbers of one UTC day, shape (count,)."""
        return self.generator(name, day).standard_normal(count)

    def minutes(self, name: str, first: int, count: int) -> Floats:
        """Standard normal numbers of the minutes ``first .. first + count - 1`` since 1970 UTC, shape (count,)."""
        last = first + count - 1
        days = range(first // MINUTES_PER_DAY, last // MINUTES_PER_DAY + 1)
        start = first - days[0] * MINUTES_PER_DAY
        return np.concatenate([self.normal(name, day) for day in days])[start : start + count]

    def smooth(self, name: str, first: int, count: int, step: int) -> Floats:
        """A slowly changing number of about unit variance, a cubic through normal knots every ``step`` minutes.

        Parameters
        ----------
        name : str
            Name of the process.
        first, count : int
            Minutes since 1970 UTC, and how many.
        step : int
            Distance of the knots [min].

        Returns
        -------
        float64 array (count,)
        """
        minute = np.arange(first, first + count)
        knot = minute // step
        lowest = (int(knot[0]) - 1) // _KNOTS
        blocks = range(lowest, (int(knot[-1]) + 2) // _KNOTS + 1)
        values = np.concatenate([self.generator(name, "knots", b).standard_normal(_KNOTS) for b in blocks])
        at = knot - lowest * _KNOTS
        x = (minute % step) / step
        before, left, right, after = values[at - 1], values[at], values[at + 1], values[at + 2]
        slope, slope_right = (right - before) / 2, (after - left) / 2
        return np.asarray(
            (2 * x**3 - 3 * x**2 + 1) * left
            + (x**3 - 2 * x**2 + x) * slope
            + (3 * x**2 - 2 * x**3) * right
            + (x**3 - x**2) * slope_right
        )


def decay(inflow: Floats, time_constant: float) -> Floats:
    """Sum of all earlier inflow, each part fading exponentially.

    Parameters
    ----------
    inflow : float64 array (n,)
        What is added in each step.
    time_constant : float
        Steps after which 1/e of it is left.

    Returns
    -------
    float64 array (n,)
        The first element starts from an empty store.
    """
    keep = float(np.exp(-1 / time_constant))
    store, level = [], 0.0
    for added in inflow.tolist():
        level = level * keep + added
        store.append(level)
    return np.array(store)


def hold(mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """True where ``mask`` is true or was within the ``count`` steps before."""
    total = np.cumsum(np.concatenate([np.zeros(count + 1, np.int64), mask]))
    return total[count + 1 :] > total[: -count - 1]


def runs(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Half-open index ranges in which ``mask`` is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
