"""Answers kept for whoever asks the same again, within bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Final

MOST: Final = 32_000_000
"""Bytes of all bodies together."""


class Kept:
    """Encoded bodies by entity tag; those not asked for longest make room.

    A tag changes with whatever its answer rests on, the caller's scope included, so what is kept is never wrong.

    Parameters
    ----------
    most : int
        Bytes of all bodies together; a larger body is not kept.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._size = 0
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._lock = Lock()

    def get(self, tag: str) -> bytes | None:
        """Body of a tag, if it is kept."""
        with self._lock:
            if tag in self._bodies:
                self._bodies.move_to_end(tag)
            return self._bodies.get(tag)

    def put(self, tag: str, body: bytes) -> None:
        """Keep a body."""
        with self._lock:
            self._size += len(body) - len(self._bodies.pop(tag, b""))
            self._bodies[tag] = body
            while self._size > self._most:
                self._size -= len(self._bodies.popitem(last=False)[1])
