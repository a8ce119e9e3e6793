"""The broadcast: one reader of the record for all live streams, however many there are.

It looks up what is new a few times a second, and only if something was committed; every event is encoded once for all who may
see it, and put into the queues of their subscribers. A subscriber whose reader is slow is not waited for and does not grow: it
falls behind, and catches up from the record as one does who comes back with ``Last-Event-ID``.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import suppress
from threading import Event as Flag
from typing import Final

import structlog
from fastapi.concurrency import run_in_threadpool

from greenmine.api.live.events import PAGE, Cursor, Event, events_between, newest_cursor, ready
from greenmine.backoff import delay
from greenmine.record.access import RecordAccess
from greenmine.record.follower import Attempts, passes
from greenmine.record.reader import Newest, Scope
from greenmine.record.record import DatabaseError
from greenmine.times import now

LOOK_SECONDS: Final = 0.2
CHECK_SECONDS: Final = 10.0
"""How often a stream makes sure that its session goes on or its token is good, and says so if it has nothing else to say."""
QUEUE: Final = 64
"""Events that wait for a reader."""
_FIRST_REST: Final = 4.0
_LONGEST_REST: Final = 300.0
"""Rests after faults that last, in a row [s]."""

_log = structlog.get_logger(__name__)


class Subscriber:
    """The place of one stream in the broadcast.

    Parameters
    ----------
    scope : Scope
        Sites of which it is told.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.behind = True
        """Whether it has to catch up from the record before its queue counts."""
        self._queue: list[Event] = []
        self._woken = asyncio.Event()

    def offer(self, events: Iterable[Event] | None) -> None:
        """Put events into the queue; None: there may be some that nobody read for its scope."""
        if events is not None:
            self._queue += events
        if events is None or len(self._queue) > QUEUE:
            self.behind = True
            self._queue.clear()
        if self.behind or self._queue:
            self._woken.set()

    def wake(self) -> None:
        """Have the stream look around."""
        self._woken.set()

    async def taken(self) -> list[Event]:
        """Events that came, as soon as there are some or there is something else to see; none after a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await self._woken.wait()
        return self._take()

    def catch_up(self) -> None:
        """Begin to count on the queue again."""
        self.behind = False
        self._take()

    def _take(self) -> list[Event]:
        self._woken.clear()
        taken, self._queue = self._queue, []
        return taken


class Broadcast:
    """Tells all streams of an application what is new.

    Parameters
    ----------
    record : RecordAccess
        What is followed.
    closing : threading.Event
        Set when the server shuts down.
    """

    def __init__(self, record: RecordAccess, closing: Flag) -> None:
        self._record = record
        self._closing = closing
        self._subscribers: set[Subscriber] = set()
        self._cursor: Cursor | None = None
        self._number: int | None = None
        self._known: tuple[Scope, dict[int, Newest]] = Scope(frozenset()), {}
        """Newest readings up to the cursor, of the sites that are looked at."""
        self._following: asyncio.Task[None] | None = None
        self._again = 0.0
        self._in_a_row = 0
        self.faults = 0
        """Times that all streams were ended by a fault that does not pass by itself."""

    async def stream(
        self,
        scope: Scope,
        last: Cursor | None,
        admitted: Callable[[], Awaitable[bool]],
        ticket: object = None,  # noqa: ARG002 - held for as long as the stream lasts
    ) -> AsyncIterator[bytes]:
        """Events of a scope, from the one behind ``last`` on, else from now on.

        It ends with the server, and with the right to see it. A record that cannot be read now is waited for. A fault that does
        not pass ends all streams: readers are told to come again later and later, and until then they get nothing else.

        Parameters
        ----------
        admitted : callable
            Tells whether who reads it still may.
        ticket : object
            Held until the end.
        """
        yield b"retry: 2000\n\n"
        subscriber = Subscriber(scope)
        self._subscribers.add(subscriber)
        clock = asyncio.get_running_loop().time
        checked = clock()
        cursor = last
        try:
            while not self._closing.is_set():
                if (rest := self._again - time.monotonic()) > 0:
                    yield b"retry: %d\n\n" % (1000 * rest)
                    return
                if self._following is None:
                    self._following = asyncio.create_task(self._follow())
                if subscriber.behind and self._cursor is not None:
                    fresh = await self._missed(subscriber, cursor, self._cursor)
                else:
                    taken = await subscriber.taken()
                    fresh = [event for event in taken if cursor is not None and event.cursor.beyond(cursor)]
                if fresh:
                    cursor = fresh[-1].cursor
                    yield b"".join(event.text for event in fresh)
                if clock() - checked >= CHECK_SECONDS:
                    checked = clock()
                    if not await admitted():
                        return
                    if not fresh:
                        yield b": still here\n\n"
        finally:
            self._subscribers.discard(subscriber)

    async def _follow(self) -> None:
        """Follow the record as long as anybody listens."""
        attempts = Attempts("live stream")
        try:
            while self._subscribers and not self._closing.is_set():
                number = self._record.changes.number()
                if (self._cursor is None or number != self._number) and not attempts.resting:
                    scopes = {subscriber.scope for subscriber in self._subscribers}
                    with attempts.attempt():
                        self._cursor, events = await run_in_threadpool(self._new, scopes, self._cursor)
                        self._number = number
                        for subscriber in self._subscribers:
                            subscriber.offer(events.get(subscriber.scope))
                    self._in_a_row = 0
                await asyncio.sleep(LOOK_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told and counted, and readers come again
            self._rest(error)
        finally:
            self._cursor = self._following = None
            for subscriber in self._subscribers:
                subscriber.wake()

    def _rest(self, error: Exception) -> None:
        """End all streams for a while."""
        self.faults += 1
        self._in_a_row += 1
        self._again = time.monotonic() + delay(self._in_a_row, _FIRST_REST, _LONGEST_REST)
        trace = "".join(traceback.format_exception(error))
        _log.error("live streams end, as their record cannot be followed", error=str(error), trace=trace)

    def _new(self, scopes: set[Scope], after: Cursor | None) -> tuple[Cursor, dict[Scope, list[Event]]]:
        last = self._record.end(newest_cursor)
        with self._record.queries() as queries:
            everything = Scope(frozenset().union(*scopes))
            if after is None or after.beyond(last):  # the latter: the record was replaced
                self._known = everything, {}
                return last, {}
            if everything != self._known[0]:
                self._known = everything, {}
            return last, events_between(queries, scopes, after, last, now(), known=self._known[1])

    async def _missed(self, subscriber: Subscriber, after: Cursor | None, last: Cursor) -> list[Event]:
        """What a subscriber missed up to the cursor of the broadcast, at most a page of it; from there on its queue counts."""
        subscriber.catch_up()
        try:
            events = await run_in_threadpool(self._read, subscriber.scope, after, last)
        except DatabaseError as error:
            if not passes(error):
                self._rest(error)
            subscriber.behind = True
            await asyncio.sleep(LOOK_SECONDS)
            return []
        subscriber.behind |= len(events) >= PAGE
        return events

    def _read(self, scope: Scope, after: Cursor | None, last: Cursor) -> list[Event]:
        with self._record.queries() as queries:
            if after is None or after.beyond(newest_cursor(queries)):
                return [ready(last)]
            return events_between(queries, [scope], after, last, now(), pages=1)[scope]
