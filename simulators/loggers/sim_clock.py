"""The time that a simulated logger lives in."""

from __future__ import annotations

import asyncio
import time
from typing import Final

_NAP: Final = 1.0
"""Longest sleep without looking at the clock again [s]."""


class SimClock:
    """Real time, or a time that runs faster from a given instant on.

    Parameters
    ----------
    speed : float
        Simulated seconds per second; ValueError unless above zero.
    since : int or None
        The simulated instant that is now [ms UTC]; None: the real one.
    """

    def __init__(self, speed: float = 1.0, since: int | None = None) -> None:
        if not speed > 0:
            raise ValueError(f"the speed is {speed}; a number above 0 would be right")
        self._speed = speed
        self._since = time.time_ns() // 1_000_000 if since is None else since
        self._origin = time.monotonic()

    def now(self) -> int:
        """The instant [ms UTC]."""
        return self._since + int((time.monotonic() - self._origin) * 1000 * self._speed)

    async def until(self, instant: int) -> None:
        """Sleep until an instant [ms UTC]."""
        while (left := instant - self.now()) > 0:  # noqa: ASYNC110 - nothing but time passes here
            await asyncio.sleep(min(_NAP, left / 1000 / self._speed + 0.001))
