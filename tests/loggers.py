"""A mine of data loggers, and loggers that speak HJ 212 over real TCP, for tests of both sides of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Self

from greenmine.collector.hj212.dialect import STANDARD, Dialect
from greenmine.collector.hj212.encode import encode_frame, encode_message
from greenmine.collector.hj212.frame import Framer
from greenmine.collector.hj212.message import Message, SegmentField, Value, read_message
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.sm4 import Sm4Key, unlocked
from tests.pit import device, write_pit

CHINA = timezone(timedelta(hours=8))
PASSWORD = "s3cr3t"
PROFILE = """
[[profiles]]
id = "logger"
format = "hj212"
zone = "Asia/Shanghai"
interval = "{interval}"
sends_flags = {flags}
[profiles.units]
pm10 = "ug/m3"
laeq = "dB"
pressure = "hPa"
equipment-state = "1"
[profiles.fields]
LA = "laeq"
SB1 = "equipment-state"
[profiles.hj212]
{more}
"""


def mn_of(number: int) -> str:
    return f"88888{number:07d}"


def logger_device(number: int, mn: str, parameters: Iterable[str], profile: str = "logger") -> str:
    """A logger at the gate of its number."""
    return device(f"logger-{number}", profile, parameters, f'mn = "{mn}"', station=f"gate-{number}")


def write_mine(
    directory: Path,
    *,
    loggers: int = 1,
    parameters: Iterable[str] = ("pm10", "laeq", "pressure", "equipment-state"),
    more: str = "",
    interval: str = "60s",
    flags: bool = False,
    fields: Mapping[str, str] | None = None,
) -> Path:
    """A registry with loggers at one site; ``more`` are lines of the profile's table ``hj212``, ``fields`` stand for SB1."""
    profile = PROFILE.format(interval=interval, flags=str(flags).lower(), more=more)
    if fields is not None:
        lines = "".join(f'{code} = "{parameter}"\n' for code, parameter in fields.items())
        profile = profile.replace('SB1 = "equipment-state"\n', lines)
    return write_pit(directory, profile, [logger_device(n, mn_of(n), parameters) for n in range(loggers)])


def stamp(instant: int) -> str:
    """DataTime of an instant [ms UTC]."""
    return datetime.fromtimestamp(instant / 1000, CHINA).strftime("%Y%m%d%H%M%S")


class TcpLogger:
    """A data logger on one connection; it carries out no requests unless told how."""

    __test__ = False

    def __init__(
        self,
        port: int,
        number: int = 0,
        *,
        password: str | None = PASSWORD,
        dialect: Dialect = STANDARD,
        key: Sm4Key | None = None,
    ) -> None:
        self._port = port
        self.mn = mn_of(number)
        self.password = password
        self.key = key
        """Encrypts what it sends, and opens what it gets; None: nothing is encrypted."""
        self._dialect = dialect
        self._qn = 20260801000000000
        self._framer = Framer(dialect)
        self._inbox: asyncio.Queue[Message | None] = asyncio.Queue()
        self.history: dict[str, list[Message]] | None = None
        """By CN, what it has stored; None: it answers no requests."""
        self.breaks_off = False
        """Whether it accepts requests for data and then says nothing more."""
        self.requests: list[Message] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._task = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        self._writer.transport.abort()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _listen(self) -> None:
        with suppress(OSError):
            while data := await self._reader.read(65536):
                for came in self._framer.feed(data):
                    frame, _ = unlocked(came, () if self.key is None else (self.key,), self._dialect)
                    assert frame.fault is None, frame
                    message = read_message(frame.segment, self._dialect)
                    if message.cn in {"9013", "9014"}:
                        await self._inbox.put(message)
                    else:
                        self.requests.append(message)
                        if self.history is not None:
                            await self._obey(message)
        await self._inbox.put(None)

    async def _obey(self, request: Message) -> None:
        self.write(self.message("9011", fields={"QnRtn": "1"}, qn=request.qn, flag=4))
        found = []
        if self.breaks_off and request.cn in self.history:
            return
        if request.cn in self.history:
            named = {field.name: str(field.text) for field in request.fields}
            begin, end = named["BeginTime"], named["EndTime"]
            found = [m for m in self.history[request.cn] if begin <= m.datatime <= end]
            for message in found:
                self.write(message)
        result = "1" if found or request.cn not in {"2051", "2061", "2031"} else "100"
        self.write(self.message("9012", fields={"ExeRtn": result}, qn=request.qn, flag=4))

    def message(
        self,
        cn: str,
        values: Mapping[str, object] | None = None,
        *,
        time: int | None = None,
        flags: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
        flag: int = 5,
        qn: str | None = None,
        st: str = "39",
    ) -> Message:
        """A message of this logger; values by code and kind, such as ``a34002-Rtd``."""
        if qn is None:
            self._qn += 1
            qn = str(self._qn)
        return Message(
            qn=qn,
            st=st,
            cn=cn,
            password=None if self.password is None else Secret(self.password),
            mn=self.mn,
            flag=flag,
            datatime=None if time is None else stamp(time),
            fields=tuple(SegmentField(name, text) for name, text in (fields or {}).items()),
            values=tuple(
                Value(*name.rsplit("-", 1), None, str(value), flag=(flags or {}).get(name.rsplit("-", 1)[0]))
                for name, value in (values or {}).items()
            ),
        )

    def frame(self, message: Message) -> bytes:
        return encode_frame(encode_message(message), self._dialect, self.key)

    def write(self, message: Message) -> None:
        self._writer.write(self.frame(message))

    def write_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def answer(self, seconds: float = 10.0) -> Message | None:
        """The next answer; None: the connection was closed. TimeoutError: nothing came."""
        async with asyncio.timeout(seconds):
            return await self._inbox.get()

    async def upload(self, message: Message) -> Message:
        """Send and wait for its answer; those to what was sent on request are passed over."""
        self.write(message)
        while True:
            answer = await self.answer()
            assert answer is not None, "the connection was closed"
            if answer.exchange == message.qn:
                return answer
