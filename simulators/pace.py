"""Pace: when a simulated instant is due on the wall clock."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from typing import Literal

from greenmine.registry import Registry
from greenmine.simulators.faults import KINDS
from greenmine.simulators.messages import Message
from greenmine.simulators.mine import stream

Speed = float | Literal["max"]
"""Simulated seconds per second, or as fast as possible."""


class PlaybackPace:
    """Says how long to wait for an instant; what lies in the past is due at once.

    Parameters
    ----------
    speed : float or "max"
        Simulated seconds per second; ValueError unless above zero.
    since : int or None
        The simulated instant that is now [ms UTC]; None: the first one asked for.
    """

    def __init__(self, speed: Speed, since: int | None = None) -> None:
        if speed != "max" and not speed > 0:
            raise ValueError(f"the speed is {speed}; a number above 0 or 'max' would be right")
        self._speed = speed
        self._since = since
        self._origin = time.monotonic()

    def wait(self, instant: int) -> float:
        """Seconds until the instant [ms UTC] is due; 0 if it is."""
        if self._speed == "max":
            return 0.0
        if self._since is None:
            self._since, self._origin = instant, time.monotonic()
        due = self._origin + (instant - self._since) / 1000 / self._speed
        return max(0.0, due - time.monotonic())


def live(
    registry: Registry,
    seed: int,
    start: int,
    speed: Speed = 1.0,
    sites: Collection[str] | None = None,
    faults: Collection[str] = KINDS,
) -> Iterator[Message]:
    """The endless stream from ``start`` on, each message yielded when it is due.

    The first message is due at once, unless ``speed`` is 1 and ``start`` lies in the past: then all that is older than
    now comes at once and the rest in real time, without a seam.

    Parameters
    ----------
    registry : Registry
        Mines to simulate.
    seed : int
        Seed of the simulation.
    start : int
        First instant of measurement [ms UTC].
    speed : float or "max"
        Simulated seconds per second.
    sites : collection of str or None
        None: all.
    faults : collection of str
        Kinds of fault to inject.
    """
    chosen = [site.id for site in registry.sites] if sites is None else sites
    pace = PlaybackPace(speed, time.time_ns() // 1_000_000 if speed == 1.0 else None)
    for message in stream(registry, chosen, seed, start, None, faults):
        wait = pace.wait(message.time_sent)
        if wait > 0:
            time.sleep(wait)
        yield message
