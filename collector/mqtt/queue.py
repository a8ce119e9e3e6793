"""What waits at the broker, by what Mosquitto tells of itself."""

from __future__ import annotations

from typing import Final

OVERHEAD: Final = 420
"""Memory of Mosquitto 2.0 for a message besides its payload; docs/decisions/0002-broker-persistence.md [bytes]."""
FILLING: Final = 4
"""At this part of its bound the queue is an alarm, long before it is full."""
UPTIME: Final = "$SYS/broker/uptime"
"""Told every few seconds, whatever happens: a sign of life."""


class BrokerQueue:
    """The messages that the broker keeps, most of all those that wait for the collector."""

    TOPIC: Final = "$SYS/broker/store/messages/+"

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    @property
    def size(self) -> int | None:
        """Memory that they take [bytes]; None: the broker has not told it."""
        if len(self._told) < 2:
            return None
        return self._told["bytes"] + OVERHEAD * self._told["count"]

    def filling(self, bound: int) -> bool:
        """Tell if it has come so near its bound [bytes] that devices are to send less."""
        return self.size is not None and self.size >= bound / FILLING

    def told(self, topic: str, payload: bytes) -> bool:
        """Take up what the broker tells; False: the topic is of something else."""
        where, _, figure = topic.rpartition("/")
        if where != self.TOPIC[:-2]:
            return False
        if figure in {"count", "bytes"} and payload.isdigit():
            self._told[figure] = int(payload)
        return True
