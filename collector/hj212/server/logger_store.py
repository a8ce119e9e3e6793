"""What the server for data loggers needs of the record."""

from __future__ import annotations

from typing import Protocol

from greenmine.collector.hj212.server.delivery import Delivery, Gap


class LoggerStore(Protocol):
    """The record, called in the one thread that writes it; every method may raise ``StoreError``."""

    def commit(self, delivery: Delivery, now: int) -> None:
        """Store all of it durably, or nothing; the clock is ``now`` [ms UTC]."""

    def gaps(self, site: str, device: str, now: int) -> list[Gap]:
        """Look for spans in which the logger's readings are missing, note them, and return those to be asked for."""

    def settle(self, gap: Gap, now: int, *, final: bool) -> None:
        """Note that a gap was asked for, and what is still missing of it; ``final``: asking again is no use."""
