"""A platform as HJ 212 wants it, and as it must not be, on a free port of the loopback."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from greenmine.collector.hj212.compose import Numbers, Sender, reply, say
from greenmine.collector.hj212.dialect import STANDARD
from greenmine.collector.hj212.encode import encode_frame, encode_message
from greenmine.collector.hj212.frame import Framer
from greenmine.collector.hj212.message import Message, read_message
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.sm4 import Sm4Key, unlocked

PASSWORD = "123456"
_PATIENCE = 60.0
REPORTS = {"2011", "2021", "2051", "2061", "2031"}


@dataclass
class Exchange:
    """What came back for a request."""

    ready: str | None = None
    done: str | None = None
    data: list[Message] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Platform:
    """Answers as ``manner(message, times seen before)`` says: any of ``answer``, ``late``, ``twice``, ``wrong-qn``,
    ``wrong-crc``, ``garbage``, ``silent``, ``hang-up``, ``hang-up-unseen`` (the frame is not even taken). With keys of SM4 it takes
    nothing that they do not open, and encrypts what it says by the one that fitted last."""

    def __init__(
        self,
        manner: Callable[[Message, int], str] = lambda _message, _seen: "answer",
        delay: float = 0.05,
        keys: Sequence[Sm4Key] = (),
    ):
        self.manner, self.delay, self.keys = manner, delay, keys
        self._key: Sm4Key | None = None
        self.frames: list[bytes] = []
        self.faults: Counter[str] = Counter()
        self.arrivals: list[Message] = []
        """Every sound report, repetitions included."""
        self.taken: dict[tuple[str, str, str, str, str], tuple[str, str | None]] = {}
        """Text and flag by (MN, CN, DataTime, factor, kind)."""
        self.notices: list[Message] = []
        self.connections = 0
        self.news = asyncio.Condition()
        self._seen: Counter[tuple] = Counter()
        self._links: dict[str, asyncio.StreamWriter] = {}
        self._senders: dict[str, Sender] = {}
        self._exchanges: dict[str, Exchange] = {}
        self._numbers = Numbers()
        self._tasks: set[asyncio.Task] = set()

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for writer in self._links.values():
            writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE), self.news:
            await self.news.wait_for(holds)

    async def request(self, mn: str, cn: str, *, answer: bool = True, **fields: str) -> Exchange:
        sender = self._senders[mn]
        qn = self._numbers.next()
        exchange = self._exchanges[qn] = Exchange()
        await self._send(self._links[mn], say(sender, cn, qn, fields, st=sender.st, answer=answer))
        async with asyncio.timeout(_PATIENCE):
            await exchange.ended.wait()
        return exchange

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        self._tasks.add(task)
        framer = Framer()
        try:
            while data := await reader.read(65536):
                for came in framer.feed(data):
                    self.frames.append(came.raw)
                    frame, key = unlocked(came, self.keys, STANDARD)
                    if self.keys and key is None:
                        self.faults["plain"] += 1
                        continue
                    self._key = key
                    if frame.fault is not None:
                        self.faults[frame.fault] += 1
                        continue
                    if not await self._take(read_message(frame.segment), writer):
                        return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _take(self, message: Message, writer: asyncio.StreamWriter) -> bool:
        self._links[message.mn] = writer
        self._senders[message.mn] = Sender(message.mn, message.st, message.password or Secret(""), message.version)
        if message.cn in {"9011", "9012", "9013"}:
            self._conclude(message)
            return await self._tell()
        if message.cn not in REPORTS or (message.exchange in self._exchanges and not message.values):
            self.notices.append(message)
            if message.answer:
                await self._send(writer, self._reply(message, "9013"))
            return await self._tell()
        report = message.mn, message.cn, message.datatime, message.pno
        manner = self.manner(message, self._seen[report])
        self._seen[report] += 1
        if manner == "hang-up-unseen":
            return False
        self.arrivals.append(message)
        for value in message.values:
            key = (message.mn, message.cn, message.datatime, value.code, value.kind or "Flag")
            self.taken[key] = value.text, value.flag
        for exchange in self._exchanges.values():
            if not exchange.ended.is_set():
                exchange.data.append(message)
        await self._tell()
        return await self._answer(message, manner, writer)

    async def _answer(self, message: Message, manner: str, writer: asyncio.StreamWriter) -> bool:
        reply = self._reply(message, "9014")
        match manner:
            case "hang-up":
                return False
            case "silent":
                return True
            case "late":
                await asyncio.sleep(self.delay)
            case "garbage":
                writer.write(b"##00x1\x00\xff##9999nothing&&\r\n##")
                await writer.drain()
                return True
            case "wrong-crc":
                frame = encode_frame(encode_message(reply))
                writer.write(frame[:-6] + (b"0000" if frame[-6:-2] != b"0000" else b"1111") + b"\r\n")
                return True
            case "wrong-qn":
                reply = replace(reply, qn="20200101000000000")
            case "twice":
                await self._send(writer, reply)
            case "answer":
                pass
        if message.answer:
            await self._send(writer, reply)
        return True

    def _conclude(self, message: Message) -> None:
        exchange = self._exchanges.get(message.exchange)
        if exchange is None:
            return
        fields = {f.name: f.text for f in message.fields}
        if message.cn == "9011":
            exchange.ready = fields["QnRtn"]
        if message.cn == "9012":
            exchange.done = fields["ExeRtn"]
        if message.cn in {"9012", "9013"} or fields.get("QnRtn", "1") != "1":
            exchange.ended.set()

    def _reply(self, message: Message, cn: str) -> Message:
        return reply(self._senders[message.mn], cn, message.qn)

    async def _tell(self) -> bool:
        async with self.news:
            self.news.notify_all()
        return True

    async def _send(self, writer: asyncio.StreamWriter, message: Message) -> None:
        writer.write(encode_frame(encode_message(message), STANDARD, self._key))
        await writer.drain()
