"""The server's own clock, doubted where it leaps, or where most devices agree with each other and not with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Final

from greenmine.times import now

_LEAP: Final = 60_000
"""A clock that goes on by so much more or less than time does has been set [ms]."""
AGREE: Final = 60_000
"""Devices whose clocks differ by less agree [ms]."""
_FEWEST: Final = 3
"""So many devices are asked, at least, of more than one site: those of one may share a gateway, whose clock it is then."""
_MANY: Final = 100
"""Of more devices the middle is looked for only now and then."""
_PAUSE: Final = 5_000
"""[ms]"""
_SPAN: Final = 600_000
"""What a device's stamps said counts for this long [ms]."""


def _clocks() -> tuple[int, int]:
    return now(), time.monotonic_ns() // 1_000_000


class ServerClock:
    """Tells by how much the server's clock is behind.

    Parameters
    ----------
    tolerance : int
        Stamps may be ahead of the clock by so much [ms].
    clocks : callable
        Returns the clock that can be set [ms UTC], and one that only goes on [ms].
    """

    def __init__(self, tolerance: int, clocks: Callable[[], tuple[int, int]] = _clocks) -> None:
        self._tolerance = tolerance
        self._clocks = clocks
        self._apart: int | None = None
        self._ahead: dict[tuple[str, str], tuple[int, int]] = {}
        """How far the stamps of each device (site, device) are ahead [ms], and when that was."""
        self.behind = 0
        """By so much the clock is behind [ms]; below 0 it is ahead."""
        self._trusted = self._doubting = False
        """Whether devices agree with the clock; they may have found it wrong before this process began."""
        self._mended = self._begun = False
        self._leapt = 0
        self._due = 0

    def hear(self, devices: Iterable[tuple[tuple[str, str], int]]) -> None:
        """Look at the clocks, and take in how far the newest stamps of devices (site, device) are ahead of the server's [ms]."""
        self._look()
        _, steady = self._clocks()
        self._ahead.update({device: (ahead, steady) for device, ahead in devices})
        if len(self._ahead) > _MANY and steady < self._due:
            return
        self._due = steady + _PAUSE
        self._ahead = {d: told for d, told in self._ahead.items() if steady - told[1] <= _SPAN}
        middle = int(median([ahead for ahead, _ in self._ahead.values()] or [0]))
        agree = [device for device, (ahead, _) in self._ahead.items() if abs(ahead - middle) <= AGREE]
        if len(agree) >= _FEWEST and 2 * len(agree) > len(self._ahead) and len({site for site, _ in agree}) > 1:
            self.behind = middle
            self._judge()

    @property
    def doubted(self) -> bool:
        """Whether the clock is so far behind that stamps ahead of it are held."""
        return self.behind > self._tolerance

    def explains(self, ahead: int) -> bool:
        """Tell if it is the server's clock, rather than the device's, for which a stamp is so far ahead [ms]."""
        return self.doubted and abs(ahead - self.behind) <= AGREE

    def has_been_mended(self) -> bool:
        """Tell, once, if the clock is found right for the first time, or since stamps were ahead of it."""
        self._look()
        mended, self._mended = self._mended, False
        return mended

    def doubt_has_begun(self) -> bool:
        """Tell, once, if the clock has come to be doubted: stamps just before were taken for those of wrong devices."""
        begun, self._begun = self._begun, False
        return begun

    def leapt(self) -> int:
        """By how much the clock was set since this was asked last [ms]."""
        self._look()
        leapt, self._leapt = self._leapt, 0
        return leapt

    def _look(self) -> None:
        wall, steady = self._clocks()
        apart = wall - steady
        leap = 0 if self._apart is None else apart - self._apart
        self._apart = apart
        if abs(leap) > _LEAP:
            self._leapt += leap
            self.behind -= leap
            self._ahead.clear()  # told of the clock as it was
            self._judge()

    def _judge(self) -> None:
        self._mended = not self.doubted and (self._mended or not self._trusted)
        self._begun = self.doubted and (self._begun or not self._doubting)
        self._trusted, self._doubting = not self.doubted, self.doubted
