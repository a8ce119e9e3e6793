"""The field side of the protocol over any number of connections: it calls, and calls again when the line is lost."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.link import Line, Link, Terms
from greenmine.collector.hj212.message import Message
from greenmine.collector.hj212.request import is_request
from greenmine.collector.hj212.sm4 import Sm4Key

_PENDING: Final = 32
"""Requests that wait; what comes beyond is not answered, as by a logger that is too busy."""
_BACKOFF: Final = (0.2, 30.0)
"""First and longest pause before the next connection [s]."""

Task = Callable[[Link], Awaitable[None]]


class PlatformCaller:
    """Connects, and does its tasks until the first of them has done its work.

    Parameters
    ----------
    host, port : str, int
        The platform.
    terms : Terms
        How long to wait for a connection and for answers.
    tasks : sequence of callable
        Done at the same time on every connection. The first is the work: when it returns, all is done. An error of the
        connection ends them all, and after a pause they begin anew on the next one.
    answer : callable
        Given each request of the platform, one after the other.
    line : Line or None
        How frames go out.
    tls : ssl.SSLContext or None
        Encryption.
    longest : float
        Longest pause before the next connection [s].
    keys : callable
        Gives the keys of SM4 that are valid now; see ``Link``.
    dialect : Dialect
        How the platform speaks.

    Attributes
    ----------
    counts : Counter
        Those of ``Link``, summed over all connections, and ``connections``, ``failures``, ``requests``.
    connected : bool
        Whether there is a connection now.
    trouble : str
        Why the last connection ended or did not come about.
    """

    def __init__(
        self,
        host: str,
        port: int,
        terms: Terms,
        tasks: Sequence[Task],
        answer: Callable[[Link, Message], Awaitable[None]],
        *,
        line: Line | None = None,
        tls: ssl.SSLContext | None = None,
        longest: float = _BACKOFF[1],
        keys: Callable[[], Sequence[Sm4Key]] = tuple,
        dialect: Dialect = STANDARD,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._terms, self._tasks, self._answer, self._line = terms, tasks, answer, line
        self._longest = longest
        self._keys, self._dialect = keys, dialect
        self.counts: Counter[str] = Counter()
        self.connected = False
        self.trouble = ""

    async def run(self, before: Callable[[], Awaitable[None]] | None = None) -> None:
        """Call until the work is done.

        Parameters
        ----------
        before : callable or None
            Awaited before each connection.
        """
        pause = _BACKOFF[0]
        while True:
            if before is not None:
                await before()
            answered = self.counts["answered"]
            try:
                if await self._call():
                    return
            except OSError as error:  # a refused connection, a time-out, a failure of TLS
                self.trouble = str(error) or type(error).__name__
            self.counts["failures"] += 1
            if self.counts["answered"] > answered:
                pause = _BACKOFF[0]
            await asyncio.sleep(min(pause, self._longest))
            pause *= 2 if pause < self._longest else 1

    async def _call(self) -> bool:
        """One connection; whether the work is done."""
        async with asyncio.timeout(self._terms.overtime):
            reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
        self.counts["connections"] += 1
        self.connected = True
        requests: asyncio.Queue[Message] = asyncio.Queue(_PENDING)

        def hear(message: Message) -> None:
            if is_request(message):
                with contextlib.suppress(asyncio.QueueFull):
                    requests.put_nowait(message)

        async def obey() -> None:
            while True:
                request = await requests.get()
                self.counts["requests"] += 1
                await self._answer(link, request)

        async def perform(task: Task) -> None:
            await task(link)

        link = Link(reader, writer, self._terms, hear, self._line, self._dialect, self.counts, self._keys)
        done = False
        try:
            async with asyncio.TaskGroup() as group:
                others = [group.create_task(link.listen()), group.create_task(obey())]
                others += [group.create_task(perform(task)) for task in self._tasks[1:]]
                await self._tasks[0](link)
                done = True
                for other in others:
                    other.cancel()
        except* OSError as errors:
            self.trouble = str(errors.exceptions[0])
        finally:
            self.connected = False
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        task = asyncio.current_task()
        if task is not None and task.cancelling():  # a group that has failed forgets that it was cancelled as well
            raise asyncio.CancelledError
        return done
