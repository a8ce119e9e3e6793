"""The field side of a connection: frames out until they are answered, replies and requests in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.encode import encode_frame, encode_message
from greenmine.collector.hj212.frame import Frame, Framer
from greenmine.collector.hj212.message import Message, read_message
from greenmine.collector.hj212.rules import rule
from greenmine.collector.hj212.sm4 import Sm4Key, unlocked

REPLIES: Final = frozenset({"9013", "9014"})
"""Commands that answer what the field side has sent."""
_PIECE: Final = 65_536
_PAUSE: Final = 0.2
"""So long nothing must come for a frame without line end to be taken as whole [s]."""


class Unanswered(ConnectionError):  # noqa: N818 - it says what happened, as ConnectionRefused does
    """A message was not answered in time, nor any of its repetitions: the connection counts as unusable."""


@dataclass(slots=True)
class Terms:
    """How long to wait and how often to send again; the platform may change them by 1000.

    Parameters
    ----------
    overtime : float
        How long to wait for an answer [s].
    recount : int
        How often a message without an answer is sent again.
    """

    overtime: float = field(default_factory=lambda: rule("overtime"))
    recount: int = field(default_factory=lambda: int(rule("recount")))


class Line:
    """The way of frames to the other side and of answers back; a simulated one may do worse than this."""

    async def write(self, writer: asyncio.StreamWriter, frame: bytes, message: Message, attempt: int) -> None:
        """Send a frame.

        Parameters
        ----------
        writer : StreamWriter
            The connection.
        frame : bytes
            The frame.
        message : Message
            What it says.
        attempt : int
            How often it was sent before.
        """
        del message, attempt
        writer.write(frame)
        await writer.drain()

    def hears(self, message: Message, attempt: int) -> bool:
        """Whether the answer to a message that was sent ``attempt`` times before arrives."""
        del message, attempt
        return True


@dataclass(slots=True)
class _Waiting:
    message: Message
    answered: asyncio.Future[Message]
    attempt: int = 0


class Link:
    """One connection to a platform.

    Parameters
    ----------
    reader, writer : StreamReader, StreamWriter
        The connection.
    terms : Terms
        How long to wait for answers.
    heard : callable
        Given every sound message that answers nothing: the platform's requests and notices.
    line : Line or None
        How frames go out; None: as they should.
    dialect : Dialect
        How the platform speaks.
    counts : Counter or None
        Where to count; None: anew.
    keys : callable
        Gives the keys of SM4 that are valid now, the newest first; none: nothing is encrypted.

    Attributes
    ----------
    counts : Counter
        ``sent``, ``resent``, ``answered``, and of what came in and was left out: ``damaged`` frames and ``stray``
        answers that no message waits for.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        terms: Terms,
        heard: Callable[[Message], None],
        line: Line | None = None,
        dialect: Dialect = STANDARD,
        counts: Counter[str] | None = None,
        keys: Callable[[], Sequence[Sm4Key]] = tuple,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._terms = terms
        self._heard = heard
        self._line = line or Line()
        self._dialect = dialect
        self._keys = keys
        self._waiting: dict[str, _Waiting] = {}
        self.counts: Counter[str] = Counter() if counts is None else counts

    async def listen(self) -> None:
        """Take in what comes until the connection ends.

        Raises
        ------
        ConnectionError
            In the end, always.
        """
        framer = Framer(self._dialect)
        paused = True
        try:
            while True:
                try:
                    async with asyncio.timeout(None if paused else _PAUSE):
                        data = await self._reader.read(_PIECE)
                except TimeoutError:
                    paused = True
                    self._take(framer.pause())
                    continue
                if not data:
                    raise ConnectionResetError("the platform has ended the connection")
                self._take(framer.feed(data))
                paused = framer.pending == 0
        finally:
            for waiting in self._waiting.values():
                if not waiting.answered.done():
                    waiting.answered.set_exception(ConnectionResetError("the connection ended before an answer came"))
                    waiting.answered.exception()  # whoever waited may be gone already

    async def deliver(self, message: Message) -> Message:
        """Send a message until it is answered.

        Parameters
        ----------
        message : Message
            Has a QN that no other message under way has.

        Returns
        -------
        Message
            The answer.

        Raises
        ------
        Unanswered
            No answer after the last repetition.
        ConnectionError
            The connection ended.
        """
        assert message.qn is not None
        waiting = _Waiting(message, asyncio.get_running_loop().create_future())
        self._waiting[message.qn] = waiting
        try:
            for attempt in range(1 + self._terms.recount):
                waiting.attempt = attempt
                self.counts["resent" if attempt else "sent"] += 1
                await self._write(self._frame(message), message, attempt)
                done, _ = await asyncio.wait({waiting.answered}, timeout=self._terms.overtime)
                if done:
                    self.counts["answered"] += 1
                    return waiting.answered.result()
        finally:
            del self._waiting[message.qn]
        raise Unanswered(f"no answer to {message.cn} after {self._terms.recount} repetitions")

    async def send(self, message: Message) -> None:
        """Send a message that nobody answers."""
        self.counts["sent"] += 1
        await self._write(self._frame(message), message, 0)

    def _frame(self, message: Message) -> bytes:
        return encode_frame(encode_message(message), self._dialect, next(iter(self._keys()), None))

    async def _write(self, frame: bytes, message: Message, attempt: int) -> None:
        try:
            async with asyncio.timeout(self._terms.overtime):
                await self._line.write(self._writer, frame, message, attempt)
        except TimeoutError:
            raise Unanswered("the platform takes nothing from the connection") from None

    def _take(self, frames: list[Frame]) -> None:
        for came in frames:
            frame, _ = unlocked(came, self._keys(), self._dialect)
            if frame.fault is not None:
                self.counts["damaged"] += 1
                continue
            message = read_message(frame.segment, self._dialect)
            if message.cn not in REPLIES:
                self._heard(message)
                continue
            waiting = self._waiting.get(message.exchange or "")
            if waiting is None or message.mn not in {None, "", waiting.message.mn} or waiting.answered.done():
                self.counts["stray"] += 1
            elif self._line.hears(waiting.message, waiting.attempt):
                waiting.answered.set_result(message)
