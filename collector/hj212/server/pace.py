"""How fast frames are taken from one logger."""

from __future__ import annotations

from typing import Final

_BURST: Final = 5.0
"""What a pause saves up [s of frames]: a backlog may begin at full speed."""


class FramePace:
    """A bucket of tokens: so many frames a second, and a few seconds of them at once after a pause.

    Parameters
    ----------
    rate : float
        Frames a second.
    """

    __slots__ = ("_rate", "_since", "_tokens")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._tokens = rate * _BURST
        self._since = 0.0

    def take(self, now: float) -> float:
        """Take one frame at an instant of a steady clock [s]; how long to wait before the next one [s].

        Examples
        --------
        >>> pace = FramePace(1.0)
        >>> [pace.take(100.0) for _ in range(7)]
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0]
        """
        self._tokens = min(self._tokens + (now - self._since) * self._rate, self._rate * _BURST) - 1
        self._since = now
        return max(0.0, -self._tokens / self._rate)
