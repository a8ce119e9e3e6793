"""Who may have a connection, and who may try a password: by address, so that nobody shuts out the others."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Final

FREE: Final = 5
"""Wrong passwords that cost nothing."""
_LONGEST: Final = 900.0
"""Longest time in which no password of an address is looked at [s]."""
_LONGEST_KNOWN: Final = 4.0
"""The same where the logger has named itself rightly before: it is to get in again soon [s]."""
_REMEMBERED: Final = 10_000
"""Addresses that are remembered."""


@dataclass(slots=True)
class _Record:
    failures: int = 0
    until: float = 0.0


class Guesses:
    """Wrong passwords by address, each beyond the first few followed by a longer time in which none is looked at.

    A logger that has named itself rightly from an address has a count of its own: one who guesses there does not shut it out.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def wait(self, address: str, mn: str, now: float) -> float:
        """How long no password is looked at [s]; 0: it is.

        Parameters
        ----------
        address, mn : str
            Where the frame came from, and whose it says it is.
        now : float
            A steady clock [s].
        """
        record = self._records.get(self._key(address, mn))
        return 0.0 if record is None else max(0.0, record.until - now)

    def failed(self, address: str, mn: str, now: float) -> None:
        """Count a wrong password."""
        key = self._key(address, mn)
        record = self._records.setdefault(key, _Record())
        self._records.move_to_end(key)
        record.failures += 1
        if record.failures > FREE:
            longest = _LONGEST_KNOWN if key[1] else _LONGEST
            record.until = now + min(2.0 ** min(record.failures - FREE, 20), longest)
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)

    def succeeded(self, address: str, mn: str) -> None:
        """Note that a logger has named itself rightly from an address; what others guessed there still counts."""
        self._records[address, mn] = _Record()
        self._records.move_to_end((address, mn))
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)

    def _key(self, address: str, mn: str) -> tuple[str, str]:
        return (address, mn) if (address, mn) in self._records else (address, "")


class Places:
    """Places for connections: those of known loggers are theirs, and who has not named itself makes room for who comes.

    Parameters
    ----------
    most : int
        Connections at the same time.
    nameless : int
        Of these, from one address, on which nobody has named himself.
    """

    def __init__(self, most: int, nameless: int) -> None:
        self._most = most
        self._nameless = nameless
        self._waiting: OrderedDict[object, str] = OrderedDict()
        self._named: set[object] = set()
        self._by_address: defaultdict[str, OrderedDict[object, None]] = defaultdict(OrderedDict)

    def enter(self, link: object, address: str) -> object | None:
        """Give a connection a place.

        Returns
        -------
        object or None
            The connection that has to go: the longest nameless one, of the same address or of all; this one itself; or none.
        """
        full = len(self._waiting) + len(self._named) >= self._most
        crowd = self._by_address.get(address, OrderedDict())
        if full and not self._waiting:
            return link
        leaving = None
        if full or len(crowd) >= self._nameless:
            leaving = next(iter(crowd if len(crowd) >= self._nameless else self._waiting))
            self.leave(leaving)
        self._waiting[link] = address
        self._by_address[address][link] = None
        return leaving

    def name(self, link: object) -> None:
        """Note that a known logger has named itself on a connection."""
        if link in self._waiting:
            self.leave(link)
            self._named.add(link)

    def leave(self, link: object) -> None:
        """Give a place free."""
        self._named.discard(link)
        address = self._waiting.pop(link, None)
        if address is not None:
            del self._by_address[address][link]
            if not self._by_address[address]:
                del self._by_address[address]
