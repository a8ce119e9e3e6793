"""A request of the centre to a logger, and what comes back: 9011, data, 9012; or 9013 where it is a notice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Literal

from greenmine.collector.hj212.message import Message
from greenmine.collector.hj212.request import DONE, NO_DATA, READY, fields_of

End = Literal["done", "empty", "refused", "failed", "silent", "broken-off"]
"""How a request ended: executed; executed, no data; refused by QnRtn; failed by ExeRtn; nothing came in spite of resends;
something came and then nothing more."""

_LASTING: Final = frozenset({"2011", "2021"})
"""Orders that are carried out from then on, so that being ready for them is all: 9012 may never come, and data that comes says
nothing, as it may have come before too."""
_IN_TIME: Final = frozenset({"2031", "2041", "2051", "2061"})
"""Data that a request may be answered with under QNs of their own."""


@dataclass(slots=True)
class Request:
    """One request under way.

    Parameters
    ----------
    qn : str
        Its QN, by which 9011 and 9012 refer to it.
    command : str
        Its CN, which data that answer it carry too.

    References
    ----------
    HJ 212-2017, 6.4 (exchanges), 6.5 (timeouts), Tables 5 and 6 (QnRtn, ExeRtn). 2012 and 2022 are notices.
    """

    qn: str
    command: str
    end: End | None = None
    _heard: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, message: Message) -> None:
        """Look at a message of the logger, which may belong to it."""
        mine = message.exchange == self.qn
        if message.cn == "9011" and mine:
            if fields_of(message).get("QnRtn") != READY:  # without it, nothing says that it will be done
                self.end = "refused"
            elif self.command in _LASTING:
                self.end = "done"
        elif message.cn == "9012" and mine:
            result = fields_of(message).get("ExeRtn")
            self.end = "done" if result == DONE else "empty" if result == NO_DATA else "failed"
        elif message.cn == "9013" and mine:
            self.end = "done"
        elif message.cn != self.command or (not mine and message.cn not in _IN_TIME):
            return
        self._heard.set()

    async def heard(self, seconds: float) -> bool:
        """Wait for the next message that belongs to it; False: none came in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._heard.wait()
        except TimeoutError:
            return False
        self._heard.clear()
        return True
