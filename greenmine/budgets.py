"""Budgets: how much a sender may send in a second and in a day, and meters that hold it to them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, NamedTuple

from pydantic import PlainSerializer, PlainValidator
from pydantic_settings import NoDecode

BURST: Final = 60_000
"""After a pause, this much time's worth of the rate is taken at once [ms]: a minute's."""
_REMEMBERED: Final = 10_000
"""Addresses that are remembered; beyond it all begin again."""
_DAY: Final = 86_400_000
"""A day of UTC [ms]."""
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)/([sd])")


class Rate(NamedTuple):
    """Most that is taken in a second, on average over a minute, and in a day; 0: no bound."""

    second: float = 0.0
    day: float = 0.0

    def times(self, factor: float) -> Rate:
        """The rate of so many senders together."""
        return Rate(self.second * factor, self.day * factor)


def parse_rate(given: Any) -> Rate:
    """Read a rate such as ``500/s 2000000/d``.

    Parameters
    ----------
    given : str or tuple
        Amounts a second (``/s``) and a day (``/d``), of which one may be left out; ``0``: no bound. A rate is taken as it is.

    Raises
    ------
    ValueError
        It is no such text.
    """
    if isinstance(given, tuple):
        return Rate(*given)
    text = str(given).strip()
    parts = [] if text == "0" else text.split()
    found = [_PART.fullmatch(part) for part in parts]
    named = [match[2] for match in found if match is not None]
    if len(named) != len(found) or len(set(named)) != len(named) or not text:
        raise ValueError(f"{text!r} is no budget; write such as '500/s 2000000/d', one of the two, or 0 for none")
    amounts = {match[2]: float(match[1]) for match in found if match is not None}
    return Rate(amounts.get("s", 0.0), amounts.get("d", 0.0))


def _written(rate: Rate) -> str:
    return " ".join(f"{amount:.15g}/{unit}" for amount, unit in zip(rate, "sd", strict=True) if amount) or "0"


Budget = Annotated[Rate, NoDecode, PlainValidator(parse_rate), PlainSerializer(_written)]
"""A rate as a setting; the environment gives its text, no JSON."""


class Meter:
    """Measures what is taken against a rate.

    The rate a second is held by the generic cell rate algorithm (ITU-T I.371, annex A): one instant says how far ahead of its
    rate the sender is. The rate a day is a count that begins again with each day.

    Parameters
    ----------
    rate : Rate
        What is allowed.
    """

    __slots__ = ("_ahead", "_day", "_gap", "used")

    def __init__(self, rate: Rate) -> None:
        self._gap = 1000 / rate.second if rate.second else 0.0
        self._day = rate.day or float("inf")
        self._ahead = 0.0
        self.used = 0.0
        """Taken since the day began."""

    def fits(self, amount: float, now: int) -> bool:
        """Tell if an amount is within the rate at an instant [ms]."""
        return self.used + amount <= self._day and self._lead(now) + amount * self._gap <= BURST

    def room(self, now: int) -> int:
        """The largest whole amount that is within the rate at an instant [ms]."""
        left = self._day - self.used
        if self._gap:
            left = min(left, (BURST - self._lead(now)) / self._gap)
        return int(min(max(left, 0), 2**31))

    def take(self, amount: float, now: int) -> None:
        """Count an amount that was taken."""
        self.used += amount
        self._ahead = now + self._lead(now) + amount * self._gap

    def give_back(self, amount: float, now: int) -> None:
        """Count an amount that was taken as not taken."""
        self.used = max(self.used - amount, 0)
        self._ahead = now + self._lead(now) - amount * self._gap

    def _lead(self, now: int) -> float:
        """How far the sender is ahead of its rate [ms]; far beyond what is ever taken the clock was set back: not at all."""
        lead = max(self._ahead - now, 0.0)
        return lead if lead <= 2 * BURST else 0.0


class Callers:
    """Measures how many connections each address opens; all begin again with each day of UTC.

    Parameters
    ----------
    rate : Rate
        What is allowed to an address.
    """

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._day = 0
        self._meters: dict[str, Meter] = {}

    def admits(self, address: str, now: int) -> bool:
        """Tell if an address may open one more connection at an instant [ms], and count it if so."""
        day = now // _DAY
        if day != self._day or len(self._meters) >= _REMEMBERED:
            self._day, self._meters = day, {}
        meter = self._meters.setdefault(address, Meter(self._rate))
        if not meter.fits(1, now):
            return False
        meter.take(1, now)
        return True

    def vouch(self, address: str, now: int) -> None:
        """Count a connection no longer: whoever opened it is known."""
        if (meter := self._meters.get(address)) is not None:
            meter.give_back(1, now)
