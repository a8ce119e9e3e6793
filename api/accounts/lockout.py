"""Lock-out by rate: guessing is slow, and nobody can lock an account out for good.

Attempts are counted in moving windows. An address that an account's user has signed in from before counts apart from all others:
whoever guesses from elsewhere shuts the account for elsewhere only, and for a while.
"""

from __future__ import annotations

import ipaddress
import time
from typing import Final

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

BY_ADDRESS: Final = parse("60 per 5 minutes")
BY_ACCOUNT: Final = parse("10 per 15 minutes")
KNOWN_DAYS: Final = 90
"""An address is known while its user has signed in from it within so many days."""


class Lockout:
    """Counts attempts to sign in, in the memory of the server."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def attempt(self, account: str, address: str, *, known: bool) -> int:
        """Count an attempt.

        Parameters
        ----------
        account : str
            Name that was given, in its plain form, whether it exists or not.
        address : str
            Address that the attempt came from.
        known : bool
            Whether the account's user has signed in from it lately.

        Returns
        -------
        int
            0 if the password may be looked at; else seconds until it may again.
        """
        keys: tuple[tuple[RateLimitItem, tuple[str, ...]], ...] = (
            (BY_ADDRESS, ("address", network(address))),
            (BY_ACCOUNT, self._account(account, address, known=known)),
        )
        for limit, key in keys:
            if not self._limiter.hit(limit, *key):
                reset = self._limiter.get_window_stats(limit, *key).reset_time
                return max(1, round(reset - time.time()))
        return 0

    def succeeded(self, account: str, address: str, *, known: bool) -> None:
        """Forget the attempts on an account from where its user signed in."""
        self._limiter.clear(BY_ACCOUNT, *self._account(account, address, known=known))

    @staticmethod
    def _account(account: str, address: str, *, known: bool) -> tuple[str, ...]:
        return ("account", account, network(address) if known else "elsewhere")


def network(address: str) -> str:
    """What one subscriber has of an address: all of IPv4, the first 64 bits of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))
