"""One feed on its way to its platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

import structlog

from greenmine.collector.hj212.caller import PlatformCaller
from greenmine.collector.hj212.compose import Numbers, compose, reply, say, write_time
from greenmine.collector.hj212.dialect import Dialect
from greenmine.collector.hj212.link import Link
from greenmine.collector.hj212.message import Message, read_time
from greenmine.collector.hj212.request import CONDITION, DONE, NO_DATA, comply, fields_of, refusal
from greenmine.collector.hj212.rules import rule
from greenmine.errors import StoreError
from greenmine.record.follower import Attempts
from greenmine.record.rows import HOUR
from greenmine.uplink.figures import DAY, UplinkFigures
from greenmine.uplink.outbox import UplinkOutbox
from greenmine.uplink.plan import UplinkRoute

_POLL: Final = 1.0
"""How often the record is looked at [s]."""
_REFUSED: Final = ("1012", "1062", "1064", "1072")
"""Orders that would change the clock, the intervals or the password, which are the operator's to set."""
_STOPS: Final = {"2012": "2011", "2022": "2021"}
"""Notices that stop reports."""

_log = structlog.get_logger(__name__)


class Client:
    """Sends what a feed has to report until it is acknowledged, and answers the platform.

    Parameters
    ----------
    route : Route
        The feed.
    outbox : Outbox
        Holds what waits.
    figures : Figures
        Reads the record.
    now : callable
        The clock [ms UTC].
    """

    def __init__(
        self, route: UplinkRoute, outbox: UplinkOutbox, figures: UplinkFigures, now: Callable[[], int]
    ) -> None:
        self.feed = route.id
        self._route, self._outbox, self._figures, self._now = route, outbox, figures, now
        self._terms = replace(route.terms)
        self._numbers = Numbers(now)
        self._stopped: set[str] = set()
        """Which of 2011 and 2021 wait: 2012 and 2022 stop them, they themselves as requests let them go on."""
        self._news = asyncio.Event()
        self.caller = PlatformCaller(
            route.host,
            route.port,
            self._terms,
            (self._upload, self._beat),
            self._answer,
            tls=route.tls,
            longest=route.longest_pause,
            keys=lambda: route.keys.of(route.sender.mn),
            dialect=Dialect(plain_length=route.plain_length),
        )

    async def follow(self) -> None:
        """Let wait what changes in the record, for ever."""
        attempts = Attempts(f"uplink {self.feed}")
        while True:
            more = False
            if not attempts.resting:
                with attempts.attempt():
                    more = self._look()
            await asyncio.sleep(0 if more else _POLL)

    def _look(self) -> bool:
        """Let wait what a portion of the record changes; whether there is more behind it."""
        cursor = self._outbox.cursor(self.feed)
        if cursor is None:
            cursor = self._figures.start(self._route.since, self._now())
            self._outbox.begin(self.feed, cursor)
        news = self._figures.news(self._route, cursor)
        if news.cursor != cursor:
            self._outbox.enlist(self.feed, news.reports, news.cursor, self._now())
            self._news.set()
        return news.more

    async def _upload(self, link: Link) -> None:
        while True:
            self._news.clear()
            try:
                waiting = self._outbox.next(self.feed, self._now(), self._stopped)
                if waiting is None:
                    await self._rest()
                    continue
                acknowledged = False
                late = self._now() - waiting.due > self._period(waiting.command)
                for message in self._messages(waiting.command, waiting.start, answer=True, backfilled=late):
                    await link.deliver(message)
                    acknowledged = True
                self._outbox.settle(self.feed, waiting, self._now(), acknowledged=acknowledged)
            except StoreError as error:
                _log.error("the uplink cannot send; trying again", feed=self.feed, error=str(error))
                await asyncio.sleep(_POLL)

    async def _beat(self, link: Link) -> None:
        sender = self._route.sender
        while self._route.heartbeat is not None:
            await asyncio.sleep(self._route.heartbeat)
            await link.send(say(sender, "9015", self._numbers.next(), st=sender.st))

    async def _rest(self) -> None:
        """Wait for news, or for a while: something may have become due."""
        try:
            async with asyncio.timeout(_POLL):
                await self._news.wait()
        except TimeoutError:
            return

    def _period(self, command: str) -> int:
        """After this time the next report is due, and what is sent then is filled in afterwards [ms]."""
        route = self._route
        return {"2051": route.minutes, "2061": HOUR, "2031": DAY}.get(command, route.rtd)

    def _messages(self, command: str, start: int, *, answer: bool, backfilled: bool) -> list[Message]:
        values = self._figures.report(self._route, command, start)
        return compose(self._route.sender, command, start, values, self._numbers, answer=answer, backfilled=backfilled)

    async def _answer(self, link: Link, request: Message) -> None:
        sender = self._route.sender
        known = {"1000", "1011", "1061", "1063", *self._route.commands}
        known |= {stop for stop, command in _STOPS.items() if command in known}
        refused = refusal(sender, request, known, _REFUSED)
        if request.cn in _STOPS and refused is None:
            self._stopped.add(_STOPS[request.cn])
            await link.send(reply(sender, "9013", request.qn or ""))
            return
        await comply(link, sender, request, refused, lambda: self._carry_out(link, request))

    async def _carry_out(self, link: Link, request: Message) -> AsyncIterator[str]:
        fields = fields_of(request)
        route = self._route
        match request.cn:
            case "1000":
                overtime, recount = fields.get("OverTime", ""), fields.get("ReCount", "")
                if _within(overtime, "overtime") and _within(recount, "recount"):
                    self._terms.overtime, self._terms.recount = float(overtime), int(recount)
                    yield DONE
                else:
                    yield CONDITION
            case "1011":
                await self._tell(link, request, "SystemTime", write_time(self._now()))
                yield DONE
            case "1061":
                await self._tell(link, request, "RtdInterval", str(route.rtd // 1000))
                yield DONE
            case "1063":
                await self._tell(link, request, "MinInterval", str(route.minutes // 60_000))
                yield DONE
            case str() as command:
                async for outcome in self._history(link, request, command):
                    yield outcome

    async def _history(self, link: Link, request: Message, command: str) -> AsyncIterator[str]:
        """Reports from BeginTime to EndTime, both included; 2011 and 2021 without them: what waits goes on."""
        fields = fields_of(request)
        begin, end = (read_time(fields.get(name, "")) for name in ("BeginTime", "EndTime"))
        if begin is None or end is None:
            goes_on = command in _STOPS.values() and not fields.keys() & {"BeginTime", "EndTime"}
            if goes_on:
                self._stopped.discard(command)
                self._news.set()
            yield DONE if goes_on else CONDITION
            return
        yield NO_DATA
        try:
            for start in self._figures.starts(self._route, command, begin, min(end, self._now())):
                for message in self._messages(command, start, answer=request.answer, backfilled=True):
                    if request.answer:
                        await link.deliver(message)
                    else:
                        await link.send(message)
                    yield DONE
        except StoreError as error:
            _log.error("the uplink cannot answer a request", feed=self.feed, error=str(error))
            yield "2"

    async def _tell(self, link: Link, request: Message, name: str, text: str) -> None:
        sender = self._route.sender
        await link.send(reply(sender, request.cn or "", request.qn or "", {name: text}, st=sender.st))


def _within(text: str, name: str) -> bool:
    whole = text.isascii() and text.isdigit() and len(text) < 6
    return whole and rule(f"{name}-least") <= int(text) <= rule(f"{name}-most")
