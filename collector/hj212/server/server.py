"""The server for data loggers: messages are answered when the record has them."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Coroutine, Sequence
from concurrent.futures import Executor
from typing import Any, Final, TypeVar

import structlog

from greenmine.backoff import delay
from greenmine.budgets import Callers
from greenmine.collector.gate import Gate
from greenmine.collector.hj212.keys import KeyRing
from greenmine.collector.hj212.server.columns import FrameBuilder
from greenmine.collector.hj212.server.conversation import Conversation
from greenmine.collector.hj212.server.counters import ServerCounters
from greenmine.collector.hj212.server.delivery import Delivery
from greenmine.collector.hj212.server.guard import Guesses, Places
from greenmine.collector.hj212.server.link import Arrival, DropLog, LoggerLink
from greenmine.collector.hj212.server.logger_store import LoggerStore
from greenmine.collector.hj212.server.loggers import load_loggers
from greenmine.errors import ListenError, StoreError
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.times import now
from greenmine.tls import show

T = TypeVar("T")

_BATCH: Final = 500
"""Messages in one commit; what comes meanwhile goes into the next one."""
_UNSENT: Final = 32_768
"""Bytes of answers that the system holds for a logger that does not read them."""
_STOP: Final = 0.1
"""How often the wish to stop is looked at [s]."""
_FAREWELL: Final = 5.0
"""Longest time for the last commit and its answers [s]."""
_LONGEST_DELAY: Final = 10.0
"""Between attempts to commit [s]."""

_log = structlog.get_logger(__name__)


class LoggerServer:
    """Receives the frames of data loggers over TCP.

    It runs in a thread of its own; what it has decoded is committed by the one thread that writes the record. What is
    not committed is not answered, so that the loggers send it again.

    Parameters
    ----------
    registry : Registry
        Names the loggers.
    settings : Settings
        ``hj212_...``.
    store : LoggerStore or None
        The record; None: `keep` keeps messages elsewhere, and no gaps are asked back.
    writer : Executor or None
        Runs what uses the store; None: any thread may.
    stop : threading.Event
        Ends ``run`` when set.
    gate : Gate, optional
        The loggers' budgets; without it there are none.

    Raises
    ------
    ValueError
        If a logger has no password, or certificate and key cannot be read.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        store: LoggerStore | None,
        writer: Executor | None,
        stop: threading.Event,
        gate: Gate | None = None,
    ) -> None:
        self.counters = ServerCounters()
        self.port = 0
        """The port, once it listens."""
        self._settings = settings
        self._store = store
        self._writer = writer
        self._stop = stop
        self._loggers = load_loggers(registry, settings)
        self._keys = _keys(settings, self._loggers)
        self._builder = FrameBuilder(registry, settings, gate)
        self._tls = _tls(settings)
        self._links: set[LoggerLink] = set()
        self._drops = DropLog()
        self._guesses = Guesses()
        self._callers = Callers(settings.hj212_connects)
        self._places = Places(settings.hj212_connections, settings.hj212_nameless)
        self._talks: dict[LoggerLink, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._searching: asyncio.Semaphore
        self._queue: asyncio.Queue[Arrival | asyncio.Future[None]]

    def run(self) -> None:
        """Serve until ``stop`` is set.

        Raises
        ------
        ListenError
            If the port cannot be listened on.
        Exception
            What the store raises besides ``StoreError``; what it was given is not answered.
        """
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        settings = self._settings
        self._searching = asyncio.Semaphore(1)
        self._queue = asyncio.Queue(settings.hj212_backlog)
        _allow_files(settings.hj212_connections)
        try:
            server = await asyncio.start_server(
                self._accept,
                settings.hj212_host,
                settings.hj212_port,
                backlog=1024,
                ssl=self._tls,
                ssl_handshake_timeout=settings.hj212_hello_seconds if self._tls else None,
            )
        except OSError as error:
            raise ListenError(
                f"cannot listen for data loggers on {settings.hj212_host}, port {settings.hj212_port}: {error.strerror}; "
                "GREENMINE_HJ212_HOST and GREENMINE_HJ212_PORT say where"
            ) from error
        for listening in server.sockets:  # accepted ones inherit it
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
        self.port = server.sockets[0].getsockname()[1]
        _log.info("listening for data loggers", port=self.port, loggers=len(self._loggers), tls=self._tls is not None)
        committing = asyncio.create_task(self._commit_all())
        try:
            while not self._stop.is_set() and not committing.done():
                await asyncio.wait({committing}, timeout=_STOP)
        finally:
            server.close()
            await self._end(committing)

    async def _end(self, committing: asyncio.Task[None]) -> None:
        """Commit and answer what has come, and close the connections."""
        for task in self._tasks:
            task.cancel()
        if not committing.done():
            try:
                async with asyncio.timeout(_FAREWELL):
                    await self.settled()
            except TimeoutError:
                _log.warning("stopped before the record took all frames; their loggers send them again")
            committing.cancel()
        for link in self._links:
            await link.drain()
        await asyncio.gather(committing, *self._tasks, return_exceptions=True)
        if not committing.cancelled():
            committing.result()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        counters = self.counters
        link = LoggerLink(
            self._loggers,
            self._settings,
            counters,
            reader,
            writer,
            self._queue.put,
            self._meet,
            self._drops,
            self._guesses,
            self._keys,
        )
        admitted = not self._stop.is_set() and self._callers.admits(link.address, now())
        leaving = self._places.enter(link, link.address) if admitted else link
        if leaving is link:
            counters.refused += 1
            writer.transport.abort()
            return
        if isinstance(leaving, LoggerLink):
            counters.closed["crowded out"] += 1
            leaving.close()
        counters.connections += 1
        counters.accepted += 1
        self._links.add(link)
        try:
            reason = await self._track(link.run())
        except asyncio.CancelledError:
            return
        finally:
            counters.connections -= 1
            self._places.leave(link)
            if (talk := self._talks.pop(link, None)) is not None:
                talk.cancel()
            if not self._stop.is_set():
                self._links.discard(link)
                link.close()
        counters.closed[reason] += 1
        if link.logger is None:
            self._drops.closed(reason, link.peer)
        else:
            _log.info("connection closed", peer=link.peer, mn=link.logger.mn, reason=reason)

    def _meet(self, link: LoggerLink) -> None:
        self.counters.loggers += 1
        self._places.name(link)
        self._callers.vouch(link.address, now())
        if link.logger is not None and link.logger.speech.obeys:
            conversation = Conversation(link, self._settings, self._store, self.search, self.settled)
            self._talks[link] = self._track(conversation.run())

    def _track(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        """A fault in what concerns one connection is told, and harms no other."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the work on a connection failed", exc_info=error)

    async def call(self, work: Callable[..., T], *arguments: Any) -> T:
        """Have something done in the thread that writes the record."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, work, *arguments)

    async def search(self, work: Callable[..., T], *arguments: Any) -> T:
        """The same for what takes long: one at a time, so that no commit waits for more than one."""
        async with self._searching:
            return await self.call(work, *arguments)

    async def settled(self) -> None:
        """Wait until everything that has come so far is committed."""
        mark = asyncio.get_running_loop().create_future()
        await self._queue.put(mark)
        await mark

    async def _commit_all(self) -> None:
        queue = self._queue
        while True:
            taken = [await queue.get()]
            while len(taken) < _BATCH and not queue.empty():
                taken.append(queue.get_nowait())
            arrivals = [one for one in taken if isinstance(one, Arrival)]
            if arrivals:
                await self.keep(arrivals)
            for one in taken:
                if isinstance(one, Arrival):
                    one.link.answer(one)
                elif not one.done():
                    one.set_result(None)

    async def keep(self, arrivals: Sequence[Arrival]) -> None:
        """Have messages kept durably, however often that has to be tried; then they are answered."""
        for arrival in arrivals:
            self._builder.add_message(arrival.logger, arrival.message, arrival.raw, arrival.received)
        await self._commit(self._builder.deliver())

    async def _commit(self, delivery: Delivery) -> None:
        assert self._store is not None
        failures = 0
        while True:
            try:
                await self.call(self._store.commit, delivery, now())
            except StoreError as error:
                self.counters.retries += 1
                _log.error("the record takes no frames; trying again", error=str(error), frames=delivery.batch.messages)
                failures += 1
                await asyncio.sleep(delay(failures, 0.2, _LONGEST_DELAY))
            else:
                return


def check_loggers(registry: Registry, settings: Settings) -> None:
    """See that the server can be started by its settings.

    Raises
    ------
    ValueError
        As from `LoggerServer`.
    """
    _keys(settings, load_loggers(registry, settings))
    _tls(settings)


def _keys(settings: Settings, loggers: Collection[str]) -> KeyRing:
    keys = KeyRing(settings.hj212_sm4_keys)
    if strangers := set(keys.numbers) - set(loggers):
        raise ValueError(
            f"{settings.hj212_sm4_keys}: no device of the registry has the MN {', '.join(sorted(strangers))}"
        )
    return keys


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.hj212_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    show(context, settings.hj212_certificate, settings.hj212_key, "GREENMINE_HJ212_CERTIFICATE")
    return context


def _allow_files(connections: int) -> None:
    """Raise the limit of open files for so many connections, as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 256
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard)
        )
