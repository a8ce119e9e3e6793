"""The gate before the decoders: each sender has its budget, and what is beyond it costs no one else anything."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from greenmine.budgets import Meter, Rate
from greenmine.registry import Registry
from greenmine.routes import Table, routes
from greenmine.settings import Settings
from greenmine.times import HOUR, day_end
from greenmine.topics import FRAMES, OWN

_LONGEST_DAY: Final = 25 * HOUR
"""[ms]"""
_REMEMBERED: Final = 10_000
"""Topics whose sender is remembered."""


class Account:
    """The budgets of a sender: messages, readings and bytes, its own and those of its site.

    Parameters
    ----------
    rates : tuple of Rate
        Of messages, readings and bytes.
    zone : str
        The clock by which its day begins again.
    site : Account, optional
        That of its site.
    """

    __slots__ = ("_ends", "_meters", "_rates", "_site", "_zone", "lock")

    def __init__(self, rates: tuple[Rate, ...], zone: str, site: Account | None = None) -> None:
        self._rates = rates
        self._zone = zone
        self._site = site
        self.lock: threading.Lock = threading.Lock() if site is None else site.lock
        """Of a site and its devices: messages come by MQTT and data loggers by TCP, each in a thread of its own."""
        self._ends = 0
        self._meters = [Meter(rate) for rate in rates]

    def admit(self, readings: int, size: int, now: int, messages: int = 1) -> bool:
        """Take messages if they are within all budgets; else nothing is counted.

        Parameters
        ----------
        readings : int
            How many they may hold at most.
        size : int
            Length of their payloads [bytes].
        now : int
            When they came [ms UTC].
        messages : int
            How many they are.
        """
        amounts = (messages, readings, size)
        site = self._site
        with self.lock:
            if not self.fits(amounts, now) or (site is not None and not site.fits(amounts, now)):
                return False
            self.take(amounts, now)
            if site is not None:
                site.take(amounts, now)
            return True

    def restore(self, messages: int, readings: int, now: int) -> None:
        """Count what was taken earlier on this day."""
        self._turn(now)
        for meter, amount in zip(self._meters, (messages, readings), strict=False):
            meter.used += amount
        if self._site is not None:
            self._site.restore(messages, readings, now)

    def fits(self, amounts: tuple[int, ...], now: int) -> bool:
        """Tell if messages, readings and bytes are within the account's own budgets at an instant [ms UTC]."""
        self._turn(now)
        messages, readings, size = self._meters
        return messages.fits(amounts[0], now) and readings.fits(amounts[1], now) and size.fits(amounts[2], now)

    def take(self, amounts: tuple[int, ...], now: int) -> None:
        """Count messages, readings and bytes that were taken."""
        for meter, amount in zip(self._meters, amounts, strict=True):
            meter.take(amount, now)

    def _turn(self, now: int) -> None:
        """Begin the day's counts again if the day has ended, or has not begun, as the clock was set back."""
        if self._ends - _LONGEST_DAY <= now < self._ends:
            return
        for meter in self._meters:
            meter.used = 0.0
        self._ends = day_end(now, self._zone)


class Gate:
    """Finds the account of the sender of a message by its topic alone, before anything is decoded.

    Devices whose topic does not tell them apart share an account that is so many times as large. All topics that are no
    device's share one that is as large as a device's.

    Parameters
    ----------
    registry : Registry
        Which devices there are, and how they speak.
    settings : Settings
        ``device_messages``, ``device_readings``, ``device_bytes`` and ``site_devices`` are used.
    """

    def __init__(self, registry: Registry, settings: Settings) -> None:
        self._rates = (settings.device_messages, settings.device_readings, settings.device_bytes)
        sites = {s.id: Account(self._times(settings.site_devices), s.zone) for s in registry.sites}
        self._accounts = {
            (site.id, device.id): Account(self._rates, site.zone, sites[site.id])
            for site in registry.sites
            for device in site.devices
        }
        self._own = {
            topic.format(site=site, device=device): account
            for (site, device), account in self._accounts.items()
            for topic in (OWN, FRAMES)
        }
        self._tables = routes(registry)
        self._shared: dict[str, Account] = {}
        self._strangers = Account(self._rates, "UTC")
        self._found: dict[str, Account] = {}

    def account(self, topic: str) -> Account:
        """The account that a message on a topic is charged to."""
        account = self._own.get(topic) or self._found.get(topic)
        if account is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            account = self._found[topic] = self._look(topic)
        return account

    def accounts(self, topics: Sequence[str]) -> list[Account]:
        """Return the accounts that messages on these topics are charged to."""
        own, look = self._own.get, self.account
        return [own(topic) or look(topic) for topic in topics]

    def account_of(self, site: str, device: str) -> Account:
        """The account of a device of the registry; KeyError if there is none."""
        return self._accounts[site, device]

    def restore(self, site: str, device: str, messages: int, readings: int, now: int) -> None:
        """Count what a device sent earlier on this day, as after a start; a device that is not registered is passed over."""
        account = self._accounts.get((site, device))
        if account is not None:
            account.restore(messages, readings, now)

    def _look(self, topic: str) -> Account:
        for table in self._tables:
            said = table.pattern.match(topic)
            if said is not None:
                return self._sharing(table, said)
        return self._strangers

    def _sharing(self, table: Table, said: tuple[str, ...]) -> Account:
        senders = {(r.site, r.device) for key, r in table.routes.items() if key[: len(said)] == said}
        if not senders:
            return self._strangers
        if len(senders) == 1:
            return self._accounts[senders.pop()]
        key = "\n".join((table.pattern.text, *said))
        return self._shared.setdefault(key, Account(self._times(len(senders)), "UTC"))

    def _times(self, factor: float) -> tuple[Rate, ...]:
        return tuple(rate.times(factor) for rate in self._rates)


def beyond(accounts: Sequence[Account], readings: Sequence[int], sizes: Sequence[int], now: int) -> list[bool]:
    """Tell which of messages that came together are beyond their senders' budgets, and charge the others.

    Parameters
    ----------
    accounts : sequence of Account
        Of the sender of each.
    readings : sequence of int
        How many each may hold at most.
    sizes : sequence of int
        Length of each payload [bytes].
    now : int
        When they came [ms UTC].
    """
    sums: dict[Account, list[int]] = {}
    for account, count, size in zip(accounts, readings, sizes, strict=True):
        if account in sums:
            found = sums[account]
            found[0] += 1
            found[1] += count
            found[2] += size
        else:
            sums[account] = [1, count, size]
    # What fits as a whole fits message by message.
    apart = {account for account, (many, count, size) in sums.items() if not account.admit(count, size, now, many)}
    if not apart:
        return [False] * len(accounts)
    return [
        account in apart and not account.admit(count, size, now)
        for account, count, size in zip(accounts, readings, sizes, strict=True)
    ]
