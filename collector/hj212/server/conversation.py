"""What the centre says to a logger that has connected: the first link's requests, then asking gaps back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import structlog

from greenmine import times
from greenmine.collector.hj212.server.delivery import Gap
from greenmine.collector.hj212.server.link import LoggerLink
from greenmine.collector.hj212.server.logger_store import LoggerStore
from greenmine.collector.hj212.server.request import End
from greenmine.errors import StoreError
from greenmine.settings import Settings
from greenmine.times import local

_MINUTE: Final = 60_000
_HOUR: Final = 60 * _MINUTE
_ASKED: Final = 3
"""A gap that was asked for so often and is still open is given up."""

_log = structlog.get_logger(__name__)


class Conversation:
    """The requests on one link, one after another.

    Parameters
    ----------
    link : LoggerLink
        Whose logger has named itself.
    settings : Settings
        ``hj212_overtime_seconds``, ``hj212_resends`` and ``hj212_catchup_...``.
    store : LoggerStore or None
        Knows the gaps.
    search : callable
        Runs a method of the store in its thread, when those of other loggers are done.
    settled : callable
        Waits until what has come is committed.

    References
    ----------
    HJ 212-2017, 6.4.1 (first link), 6.6 (1000, 1012, 1061 to 1064, 2011 to 2022, 2051, 2061); HJ 212-2017, C.49 (both ends of the
    asked span are included, by the begin of the period).
    """

    def __init__(
        self,
        link: LoggerLink,
        settings: Settings,
        store: LoggerStore | None,
        search: Callable[..., Awaitable[Any]],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        assert link.logger is not None
        self._link, self._logger = link, link.logger
        self._settings = settings
        self._store = store
        self._search, self._settled = search, settled
        self._last = 0

    async def run(self) -> None:
        """Talk for as long as the logger answers; where it does not, it is left alone until it connects again."""
        if not await self._greet():
            _log.warning("the logger answers no requests; it is sent no more", mn=self._logger.mn)
            return
        await self._settled()  # its first reading says up to when something is missing
        while True:
            if self._settings.hj212_catchup_hours:
                try:
                    await self._catch_up()
                except StoreError as error:
                    _log.error("the record cannot tell gaps; later again", error=str(error))
            try:
                async with asyncio.timeout(self._settings.hj212_catchup_seconds):
                    await self._link.clock_wanted.wait()
            except TimeoutError:
                continue
            self._link.clock_wanted.clear()
            await self._set_clock()

    async def _greet(self) -> bool:
        """The requests of the first link; False: the logger answers none."""
        speech, settings = self._logger.speech, self._settings
        ends: list[End] = []
        if speech.sets_clock:
            self._link.clock_wanted.clear()
            ends.append(await self._set_clock())
        if "silent" in ends:
            return False
        overtime = str(max(1, min(99, round(settings.hj212_overtime_seconds))))
        ends.append(await self._ask("1000", ("OverTime", overtime), ("ReCount", str(max(1, settings.hj212_resends)))))
        if "silent" in ends:
            return False
        if speech.real_time_seconds is None:
            await self._ask("1061")
        else:
            await self._ask("1062", ("RtdInterval", str(speech.real_time_seconds)))
        if speech.sets_minutes:
            await self._ask("1064", ("MinInterval", str(speech.minutes)))
        else:
            await self._ask("1063")
        logger = self._logger
        for wanted, on, off in ((logger.real_time, "2011", "2012"), (logger.equipment_state, "2021", "2022")):
            if wanted is not None:
                await self._ask(on if wanted else off)
        return True

    async def _set_clock(self) -> End:
        return await self._ask("1012", ("SystemTime", self._stamp(times.now())))

    async def _catch_up(self) -> None:
        if self._store is None:
            return
        devices = (self._logger, *self._logger.others)
        gaps = [
            gap for one in devices for gap in await self._search(self._store.gaps, one.site, one.device, times.now())
        ]
        for gap in gaps:
            end = await self._fill(gap)
            await self._settled()
            final = end in {"done", "empty", "refused", "failed"} or gap.asked + 1 >= _ASKED
            await self._search(partial(self._store.settle, gap, times.now(), final=final))
            if end in {"silent", "broken-off"}:
                return

    async def _fill(self, gap: Gap) -> End:
        """Ask for the minutes of a gap in bounded steps, and for its whole hours."""
        every = self._logger.speech.minutes * _MINUTE
        step = max(self._settings.hj212_catchup_minutes * _MINUTE // every, 1) * every
        begin = gap.start // every * every
        end: End = "empty"
        while begin < gap.end:
            last = min(begin + step, gap.end) - 1
            end = await self._ask_span("2051", begin, last // every * every)
            if end not in {"done", "empty"}:
                return end
            begin += step
        first, behind = -(-gap.start // _HOUR) * _HOUR, gap.end // _HOUR * _HOUR
        if first < behind:
            hours = await self._ask_span("2061", first, behind - _HOUR)
            end = hours if hours in {"silent", "broken-off"} else end
        return end

    async def _ask_span(self, command: str, begin: int, last: int) -> End:
        return await self._ask(command, ("BeginTime", self._stamp(begin)), ("EndTime", self._stamp(last)))

    async def _ask(self, command: str, *fields: tuple[str, str]) -> End:
        self._last = max(times.now(), self._last + 1)
        end = await self._link.ask(self._stamp(self._last) + f"{self._last % 1000:03d}", command, *fields)
        if end not in {"done", "empty"}:
            _log.info("a request came to nothing", mn=self._logger.mn, cn=command, end=end)
        return end

    def _stamp(self, instant: int) -> str:
        return f"{local(instant, self._logger.dialect.zone):%Y%m%d%H%M%S}"
