"""One connection of a data logger: its frames in, answers and requests out."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from greenmine.collector.hj212.codes import VERSIONS, codes
from greenmine.collector.hj212.deviation import Deviation, Fault
from greenmine.collector.hj212.dialect import STANDARD
from greenmine.collector.hj212.encode import EncodeError, encode_frame, encode_message
from greenmine.collector.hj212.frame import Frame, Framer
from greenmine.collector.hj212.keys import KeyRing
from greenmine.collector.hj212.message import Message, SegmentField, read_message
from greenmine.collector.hj212.secret import hide
from greenmine.collector.hj212.server.counters import ServerCounters
from greenmine.collector.hj212.server.guard import Guesses
from greenmine.collector.hj212.server.loggers import Logger
from greenmine.collector.hj212.server.request import End, Request
from greenmine.collector.hj212.sm4 import Sm4Key, is_confidential, unlocked
from greenmine.settings import Settings

_CHUNK: Final = 65_536
_FIRST: Final = 4_096
"""The same until a known logger has named itself: what a stranger sends costs no more than that at a time."""
_PAUSE: Final = 0.3
"""A sender that pauses for this long has sent all of its frame, even if the line end is missing [s]."""
_DAMAGE: Final = 20
"""Frames in a row that are damaged or of nobody; then the connection is closed."""
_OPENING: Final = 65_536
"""Bytes in which the first frame of a known logger must be."""
_DROP_PAUSE: Final = 1.0
"""Between two lines of the log on the same [s]."""
_UNSENT: Final = 65_536
"""Bytes of answers that may wait for a logger to read them."""
_REPLIES: Final = frozenset({"9011", "9012", "9013", "9014"})
_REPORTS: Final = codes(VERSIONS[-1]).reports
"""What is answered with 9014."""
_NOTICES: Final = frozenset({"1013", "9015"})
"""What is answered with 9013: the wish for the time, and the heartbeat of 2025; data is answered with 9014."""
_CLOSED: Final = "closed by the logger"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on its way to the record, with the link that waits for its answer."""

    link: LoggerLink
    logger: Logger
    message: Message
    raw: bytes
    segment: bytes
    """Of the frame, decrypted."""
    received: int


class Refusal(Exception):  # noqa: N818 - it ends a connection, nothing has failed
    """The connection is to be closed; the text is the reason under which it is counted."""


class DropLog:
    """Tells of what strangers can cause, each kind at most once a second, so that nobody can fill the log."""

    def __init__(self) -> None:
        self._last = defaultdict[str, float](lambda: -_DROP_PAUSE)
        self._untold = Counter[str]()

    def dropped(self, what: str, peer: str, message: Message) -> None:
        """Log that a frame was dropped, without its password."""
        mn, cn = hide(message.mn or "")[:40], hide(message.cn or "")[:8]
        self._tell("a frame was dropped", reason=what, peer=peer, mn=mn, cn=cn)

    def closed(self, reason: str, peer: str) -> None:
        """Log that a connection ended on which no known logger had named itself."""
        self._tell("connection closed", reason=reason, peer=peer)

    def _tell(self, event: str, **told: str) -> None:
        now = time.monotonic()
        if now - self._last[event] < _DROP_PAUSE:
            self._untold[event] += 1
            return
        _log.warning(event, **told, untold=self._untold.pop(event, 0))
        self._last[event] = now


class LoggerLink:
    """A connection.

    Parameters
    ----------
    loggers : dict of str to Logger
        By MN.
    settings : Settings
        Limits and timeouts.
    counters : ServerCounters
        Those of the server.
    reader, writer
        The connection.
    take : callable
        Called with each message that is to be committed; waits while too many are.
    met : callable
        Called when a logger has named itself.
    drops : DropLog
        That of the server.
    guesses : Guesses
        Likewise.
    keys : KeyRing
        Those of all loggers.
    """

    def __init__(
        self,
        loggers: dict[str, Logger],
        settings: Settings,
        counters: ServerCounters,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        take: Callable[[Arrival], Awaitable[None]],
        met: Callable[[LoggerLink], None],
        drops: DropLog,
        guesses: Guesses,
        keys: KeyRing,
    ) -> None:
        self.logger: Logger | None = None
        """The first one that named itself here."""
        self.clock_wanted = asyncio.Event()
        """Set when the logger has asked for the time."""
        self._loggers = loggers
        self._settings = settings
        self._counters = counters
        self._reader, self._writer = reader, writer
        self._take, self._met, self._drops, self._guesses = take, met, drops, guesses
        self._keys = keys
        self._used: dict[str, Sm4Key] = {}
        """By MN, the key of the newest frame: around a change a logger knows only the one that it uses."""
        self._dialect = STANDARD
        self._framer = Framer(STANDARD)
        self._opening: bytearray | None = bytearray()
        self._version_bits = 1
        self._bad = 0
        self._st = "91"
        self._request: Request | None = None
        self._asking = asyncio.Lock()
        self._since = {"opened": time.monotonic(), "heard": time.monotonic(), "frame": 0.0, "unsent": 0.0}

    @property
    def peer(self) -> str:
        """Address of the other end."""
        address = self._writer.get_extra_info("peername")
        return f"{address[0]}:{address[1]}" if address else "unknown"

    @property
    def address(self) -> str:
        """Address of the other end, without its port."""
        address = self._writer.get_extra_info("peername")
        return str(address[0]) if address else "unknown"

    async def run(self) -> str:
        """Receive until the connection ends; why it did."""
        try:
            while True:
                await self._receive()
        except Refusal as refusal:
            return str(refusal)
        except (OSError, asyncio.IncompleteReadError):
            return _CLOSED

    async def drain(self) -> None:
        """Let the last answers leave, and close the connection."""
        try:
            async with asyncio.timeout(1.0):
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.close()

    def close(self) -> None:
        """Close the connection without waiting for what the other end has not read."""
        self._writer.transport.abort()

    # In.

    async def _receive(self) -> None:
        try:
            async with asyncio.timeout(self._patience()):
                data = await self._reader.read(_CHUNK if self.logger else _FIRST)
        except TimeoutError:
            await self._take_frames(self._framer.pause() if self._framer.pending else [])
            self._check_times()
            return
        if not data:
            await self._take_frames(self._framer.close())
            raise Refusal(_CLOSED)
        if self._opening is not None:
            self._opening += data
            if len(self._opening) > _OPENING:
                raise Refusal("nobody")
        await self._take_frames(self._framer.feed(data))
        self._check_times()

    def _patience(self) -> float:
        settings = self._settings
        if self._framer.pending or self._since["unsent"]:
            return _PAUSE
        return settings.hj212_idle_seconds if self.logger else min(settings.hj212_hello_seconds, 1.0)

    def _check_times(self) -> None:
        """Close what is idle, too slow in sending or in reading, or does not say who it is."""
        now, since, settings = time.monotonic(), self._since, self._settings
        if self.logger is None and now - since["opened"] >= settings.hj212_hello_seconds:
            raise Refusal("nobody")
        if now - since["heard"] >= settings.hj212_idle_seconds:
            raise Refusal("idle")
        since["frame"] = (since["frame"] or now) if self._framer.pending else 0.0
        since["unsent"] = (since["unsent"] or now) if self._writer.transport.get_write_buffer_size() else 0.0
        for name in ("frame", "unsent"):
            if since[name] and now - since[name] >= settings.hj212_frame_seconds:
                raise Refusal("slow")

    async def _take_frames(self, frames: list[Frame]) -> None:
        waiting = deque(frames)
        while waiting:
            self._since["frame"] = 0.0
            frame = waiting.popleft()
            if self._opening is not None and (again := self._adapt(frame)) is not None:
                waiting = deque(again)
                continue
            await self._take_frame(frame)

    def _adapt(self, frame: Frame) -> list[Frame] | None:
        """Read the opening again in the dialect of the logger that it names; None: it is read as it should be."""
        named = self._loggers.get(read_message(frame.segment).mn or "") if frame.found else None
        if named is None:
            return None
        opening, self._opening = bytes(self._opening or b""), None
        self._dialect = named.dialect
        self._framer = Framer(named.dialect)
        return self._framer.feed(opening)

    async def _take_frame(self, frame: Frame) -> None:
        counters = self._counters
        if frame.fault is not None:
            counters.damaged[frame.fault.value] += 1
            self._count_bad("damaged")
            return
        message = read_message(frame.segment, self._dialect)
        logger = self._loggers.get(message.mn or "")
        if logger is None:
            counters.strangers += 1
            self._refuse("no device of the registry has this MN", message, "stranger")
            return
        if logger.dialect is not self._dialect:
            message = read_message(frame.segment, logger.dialect)
        now = time.monotonic()
        if self.logger is not logger and self._guesses.wait(self.address, logger.mn, now):
            counters.passwords += 1
            self._refuse("too many wrong passwords from this address; not looked at", message, "guessing")
            return
        if not logger.admits(message, self.address):
            counters.passwords += 1
            self._guesses.failed(self.address, logger.mn, now)
            self._refuse("wrong password", message, "password")
            return
        opened = self._open(frame, message, logger)
        if opened is None:
            return
        frame, message = opened
        self._bad = 0
        self._since["heard"] = time.monotonic()
        self._st = message.st or self._st
        counters.frames += 1
        counters.deviations.update(deviation.value for deviation in (*frame.deviations, *message.deviations))
        counters.backfilled += any(field.name == "RF" and field.text == "1" for field in message.fields)
        counters.newest = received = time.time_ns() // 1_000_000
        if message.flag is not None:
            self._version_bits = message.flag >> 2
        if self.logger is None:
            self.logger = logger
            self._guesses.succeeded(self.address, logger.mn)
            self._met(self)
        if self._request is not None:
            self._request.take(message)
        if message.cn in _REPLIES:
            return
        if message.cn == "1013":
            self.clock_wanted.set()
        if wait := logger.pace.take(time.monotonic()):
            counters.paused += 1
            await asyncio.sleep(wait)
        await self._take(Arrival(self, logger, message, frame.raw, frame.segment, received))

    def _open(self, frame: Frame, message: Message, logger: Logger) -> tuple[Frame, Message] | None:
        """The frame and its message, decrypted; None: no key of the logger fits, and it is dropped."""
        counters, keys = self._counters, self._keys.of(logger.mn)
        if not frame.encrypted:
            if keys and is_confidential(frame.segment):
                counters.deviations[Deviation.NOT_ENCRYPTED.value] += 1
            return frame, message
        frame, key = unlocked(frame, keys, logger.dialect)
        if key is None:
            counters.keyless += 1
            counters.damaged[Fault.KEY.value] += 1
            self._drops.dropped(frame.text or "", self.peer, message)
            self._count_bad("damaged")
            return None
        self._used[logger.mn] = key
        return frame, read_message(frame.segment, logger.dialect)

    def _refuse(self, what: str, message: Message, reason: str) -> None:
        self._drops.dropped(what, self.peer, message)
        if self.logger is None:
            raise Refusal(reason)
        self._count_bad(reason)

    def _count_bad(self, reason: str) -> None:
        self._bad += 1
        if self._bad >= _DAMAGE:
            raise Refusal(reason)

    # Out.

    def answer(self, arrival: Arrival) -> None:
        """Answer a message whose commit is durable, if it asks for that."""
        message = arrival.message
        if not message.answer:
            return
        if message.cn not in _NOTICES and message.cn not in _REPORTS:
            self._counters.misunderstood += 1
            return
        command = "9013" if message.cn in _NOTICES else "9014"
        bits = VERSIONS.index(message.version) if message.version else (message.flag or 0) >> 2
        fields: tuple[tuple[str, str], ...] = ()
        if not bits:  # 2005 looks for the QN in CP; who sends its Flag and else follows a later edition, before it
            fields = (("QN", message.qn),) if message.qn else ()
            fields += (("CN", message.cn or ""),) if command == "9014" else ()
        if self._send(arrival.logger, message.qn, "91", command, bits << 2, fields):
            self._counters.answered += 1
        else:
            self._counters.unanswered += 1

    async def ask(self, qn: str, command: str, *fields: tuple[str, str]) -> End:
        """Send a request, again where no reply comes, and wait until it is executed.

        Parameters
        ----------
        qn : str
            Its QN; never used before.
        command : str
            CN.
        fields : (str, str)
            Names and texts in CP.
        """
        assert self.logger is not None
        settings, logger = self._settings, self.logger
        async with self._asking:
            request = self._request = Request(qn, command)
            try:
                for _ in range(1 + settings.hj212_resends):
                    self._counters.requests += 1
                    # Of 2005 only the low bits count; in the later editions a request wants an answer: Flag=5 and 9.
                    flag = self._version_bits << 2 | 1
                    if not self._send(logger, qn, logger.speech.st or self._st, command, flag, fields):
                        request.end = "broken-off"
                        break
                    if await request.heard(settings.hj212_overtime_seconds):
                        break
                else:
                    request.end = "silent"
                while request.end is None:
                    if not await request.heard(settings.hj212_overtime_seconds):
                        request.end = request.end or "broken-off"
            finally:
                self._request = None
        self._counters.outcomes[request.end] += 1
        return request.end

    def _send(
        self, logger: Logger, qn: str | None, st: str, command: str, flag: int, fields: tuple[tuple[str, str], ...]
    ) -> bool:
        transport = self._writer.transport
        if transport.is_closing():
            return False
        if transport.get_write_buffer_size() > _UNSENT:
            self.close()
            self._counters.closed["slow"] += 1
            return False
        message = Message(
            qn=qn,
            st=st,
            cn=command,
            password=logger.password,
            mn=logger.mn,
            flag=flag,
            fields=tuple(SegmentField(name, text) for name, text in fields),
        )
        try:
            keys = self._keys.of(logger.mn)
            used = self._used.get(logger.mn)
            key = used if used in keys else keys[0] if keys else None
            data = encode_frame(encode_message(message), logger.dialect, key)
        except EncodeError:  # a QN that no frame can carry
            return False
        self._writer.write(data)
        return True
