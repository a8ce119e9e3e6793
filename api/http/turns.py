"""Turns: of those that wait for what only one can have at a time, who has had least of it goes first."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from typing import Final

from greenmine.api.http.problems import Problem

_MOST: Final = 3
"""Of one owner that may wait."""


class Turns:
    """One turn at a time. Time that an owner had counts as long as anybody waits; among equals the first goes first."""

    def __init__(self) -> None:
        self._busy = False
        self._waiting: list[tuple[Hashable, asyncio.Future[None]]] = []
        self._had: dict[Hashable, float] = {}

    @asynccontextmanager
    async def of(self, owner: Hashable) -> AsyncIterator[None]:
        """Wait for a turn, and have it.

        Raises
        ------
        Problem
            429, if as many of the owner's wait already as may.
        """
        if self._busy:
            if sum(one == owner for one, _ in self._waiting) >= _MOST:
                raise Problem(
                    429,
                    f"{_MOST} files of this enterprise are waiting already; try again.",
                    headers={"Retry-After": "30"},
                )
            await self._wait(owner)
        self._busy = True
        begun = time.monotonic()
        try:
            yield
        finally:
            self._had[owner] = self._had.get(owner, 0.0) + time.monotonic() - begun
            self._hand_on()

    async def _wait(self, owner: Hashable) -> None:
        mine = owner, asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine[1]
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:  # it was called in the same moment
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        self._busy = bool(self._waiting)
        if not self._waiting:
            self._had.clear()
            return
        chosen = min(self._waiting, key=lambda one: self._had.get(one[0], 0.0))
        self._waiting.remove(chosen)
        chosen[1].set_result(None)
