"""A simulated data logger: reports over TCP until it is acknowledged, and does what the platform asks."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from greenmine.collector.hj212.caller import PlatformCaller
from greenmine.collector.hj212.compose import Numbers, Sender, compose, reply, say, write_time
from greenmine.collector.hj212.link import Line, Link, Terms
from greenmine.collector.hj212.message import Message, read_time
from greenmine.collector.hj212.request import CONDITION, DONE, NO_DATA, comply, fields_of, refusal
from greenmine.collector.hj212.rules import choices, rule
from greenmine.collector.hj212.secret import Secret
from greenmine.collector.hj212.sm4 import Sm4Key
from greenmine.simulators.clock import DAY_MS, MINUTE_MS
from greenmine.simulators.loggers.faults import WireFault, scales
from greenmine.simulators.loggers.report import Reporter
from greenmine.simulators.loggers.schedule import Backlog, Command, Periods, Schedule
from greenmine.simulators.loggers.sim_clock import SimClock
from greenmine.simulators.loggers.source import ReadingSource

_SLACK: Final = 2000
"""A clock this near to the platform's is not set: the way takes time and SystemTime has whole seconds [ms]."""
_ORDERS: Final = ("1000", "1011", "1012", "1061", "1062", "1063", "1064", "1072", "2012", "2022")
"""What it obeys besides requests for data."""
_PASSWORD: Final = 6
"""Signs of a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a logger is set up.

    Parameters
    ----------
    rtd : int or None
        Interval of 2011 [s]; None: that of its readings, but not outside what the standard allows.
    minutes : int
        Interval of 2051 [min].
    commands : tuple of str or None
        Kinds of report that it sends unasked; None: all that its factors have.
    answer : bool
        Whether it wants its reports acknowledged.
    backlog : {"first", "last", "never"}
        When it sends what fell due without a connection.
    heartbeat : float
        Distance of heartbeats [s], of the edition of 2025; 0: none.
    calibrate : bool
        Whether it asks for the time when it has connected.
    keep : int
        Days of which it still has the readings.
    """

    rtd: int | None = None
    minutes: int = 10
    commands: tuple[Command, ...] | None = None
    answer: bool = True
    backlog: Backlog = "first"
    heartbeat: float = 60.0
    calibrate: bool = True
    keep: int = 30


class SimulatedLogger:
    """One simulated logger.

    Parameters
    ----------
    sender : Sender
        Its number, password, system and edition.
    source : ReadingSource
        Its readings.
    reporter : Reporter
        Makes values of them.
    host, port : str, int
        The platform.
    start, end : int, int or None
        First DataTime, and the last, exclusive [ms UTC]. What lies in the past is sent at once.
    clock : SimClock or None
        Its time; None: real.
    habits : Habits
        How it is set up.
    zone : str
        Zone in which its days begin.
    at : callable
        The fault that touches an instant, or None.
    line : Line or None
        Does the faults of the line.
    terms : Terms or None
        How long it waits for answers.
    tls : ssl.SSLContext or None
        Encryption of the connection.
    keys : callable
        Gives its keys of SM4 that are valid now, the newest first; none: nothing is encrypted.
    """

    def __init__(
        self,
        sender: Sender,
        source: ReadingSource,
        reporter: Reporter,
        host: str,
        port: int,
        start: int,
        end: int | None = None,
        *,
        clock: SimClock | None = None,
        habits: Habits | None = None,
        zone: str = "Asia/Shanghai",
        at: Callable[[int], WireFault | None] = lambda _: None,
        line: Line | None = None,
        terms: Terms | None = None,
        tls: ssl.SSLContext | None = None,
        keys: Callable[[], Sequence[Sm4Key]] = tuple,
    ) -> None:
        self.sender = sender
        self._source, self._reporter = source, reporter
        self._clock = clock or SimClock()
        self._habits = habits or Habits()
        self._at, self._end = at, end
        self._terms = terms or Terms()
        self._caller = PlatformCaller(
            host, port, self._terms, (self._report, self._live), self._answer, line=line, tls=tls, keys=keys
        )
        self._noise = all(factor.parameter.theme == "noise" for factor in source.factors)
        self._state = all(factor.parameter.is_state for factor in source.factors)
        rtd = max(rule("rtd-least"), min(rule("rtd-most"), source.interval / 1000))
        fixed = self._noise and sender.version == 2025
        self._minutes = choices("minute-intervals-noise-2025" if fixed else "minute-intervals")
        least = max(self._habits.minutes, source.interval // MINUTE_MS)
        minutes = next((minutes for minutes in self._minutes if minutes >= least), self._minutes[-1])
        self._periods = Periods(zone, int(self._habits.rtd or rtd) * 1000, minutes * MINUTE_MS)
        commands = self.commands if self._habits.commands is None else self._habits.commands
        self._schedule = Schedule(commands, self._periods, start, end, at)
        self._numbers = Numbers(self._device_now)
        self._corrected: dict[int | None, int] = {}
        """What orders have made of the clock's error, by the start of the fault that had made it wrong; None: no fault."""
        self._instant = True
        """Whether instants are reported: 2012 and 2022 stop it, 2011 and 2021 start it again."""
        self._under_way: list[Message] = []
        self._changed = asyncio.Event()

    @property
    def counts(self) -> Counter[str]:
        """What happened so far; see ``PlatformCaller``."""
        return self._caller.counts

    @property
    def commands(self) -> tuple[Command, ...]:
        """Kinds of report that its factors have."""
        if self._state:
            return ("2021",)
        if self._noise and self.sender.version == 2025:
            return ("2011", "2051", "2031")
        return ("2011", "2051", "2061", "2031")

    async def run(self, stop: asyncio.Event | None = None) -> None:
        """Report until ``stop`` is set, or all up to the end is acknowledged."""
        stop = stop or asyncio.Event()
        work = asyncio.create_task(self._work())
        halt = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, halt}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, halt):
                task.cancel()
            await asyncio.gather(work, halt, return_exceptions=True)

    async def _work(self) -> None:
        await self._caller.run(before=self._power)

    async def _power(self) -> None:
        """Wait until there is power, and see what there is to report."""
        outage = self._outage()
        if outage is not None:
            await self._clock.until(outage.end)

    def _outage(self) -> WireFault | None:
        """The loss of power of now; a logger whose time has passed only sends what it holds and has none."""
        now = self._clock.now()
        fault = self._at(now) if self._end is None or now < self._end else None
        return fault if fault is not None and fault.kind == "catch-up" else None

    async def _live(self, link: Link) -> None:
        """Heartbeats, and the end of the connection when the power is lost."""
        beat = self._habits.heartbeat if self.sender.version == 2025 else 0.0
        waited = 0.0
        while True:
            await asyncio.sleep(min(1.0, beat or 1.0))
            waited += min(1.0, beat or 1.0)
            if self._outage() is not None:
                raise ConnectionAbortedError("the power is lost")
            if beat and waited >= beat:
                waited = 0.0
                await link.send(say(self.sender, "9015", self._numbers.next(), st=self.sender.st))

    async def _report(self, link: Link) -> None:
        self._schedule.reconnected(self._clock.now(), self._habits.backlog)
        if self._habits.calibrate:
            await link.deliver(say(self.sender, "1013", self._numbers.next(), st=self.sender.st, answer=True))
        while True:
            while self._under_way:
                await self._send(link, self._under_way[0])
                del self._under_way[0]
                if not self._under_way:
                    self._schedule.done()
            found = self._schedule.next()
            if found is None:
                return
            due, command, datatime = found
            self._changed.clear()
            if due > self._clock.now():
                waits = asyncio.create_task(self._changed.wait())
                due_task = asyncio.create_task(self._clock.until(due))
                try:
                    await asyncio.wait({waits, due_task}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waits.cancel()
                    due_task.cancel()
                if self._changed.is_set():
                    continue
            if self._instant or command not in {"2011", "2021"}:
                self._under_way = self._compose(command, datatime)
            if not self._under_way:
                self._schedule.done()

    async def _send(self, link: Link, message: Message) -> None:
        if message.answer:
            await link.deliver(message)
        else:
            await link.send(message)

    def _compose(self, command: Command, datatime: int, *, answer: bool | None = None) -> list[Message]:
        """The messages of a report; ``time`` of a message is the true instant, DataTime that of the logger's clock."""
        fault = self._at(datatime)
        factors = scales(fault, self._source)
        if length := self._periods.length(command):
            values = self._reporter.period(datatime, datatime + length, factors, day=command == "2031")
        else:
            values = self._reporter.instant(datatime, factors)
        most = int(fault.parameters["factors"]) if fault is not None and fault.kind == "packets" else None
        answer = self._habits.answer if answer is None else answer
        due = datatime + (length or self._periods.rtd)
        late = self._clock.now() - due > (length or self._periods.rtd)
        messages = compose(
            self.sender, command, datatime, values, self._numbers, answer=answer, most=most, backfilled=late
        )
        error = self._error(datatime)
        shown = write_time(datatime + error)
        return [replace(message, datatime=shown) for message in messages] if error else messages

    def _device_now(self) -> int:
        now = self._clock.now()
        return now + self._error(now)

    def _skew(self, instant: int) -> WireFault | None:
        fault = self._at(instant)
        return fault if fault is not None and fault.kind == "clock-off" else None

    def _error(self, instant: int) -> int:
        """How far the logger's clock is from the truth [ms]."""
        skew = self._skew(instant)
        start, offset = (None, 0) if skew is None else (skew.start, int(skew.parameters["offset"]))
        return self._corrected.get(start, offset)

    def _set_clock(self, told: int) -> None:
        now = self._clock.now()
        skew = self._skew(now)
        error = told - now
        error = 0 if abs(error) <= _SLACK else round(error / 1000) * 1000
        self._corrected[None if skew is None else skew.start] = error

    async def _answer(self, link: Link, request: Message) -> None:
        sender = self.sender
        refused = refusal(sender, request, (*_ORDERS, *self.commands))
        if request.cn in {"2012", "2022"} and refused is None:
            self._instant = False
            await link.send(reply(sender, "9013", request.qn or ""))
            return
        await comply(link, sender, request, refused, lambda: self._carry_out(link, request))

    async def _carry_out(self, link: Link, request: Message) -> AsyncIterator[str]:
        """Do what a request asks; the last ExeRtn yielded counts."""
        fields = fields_of(request)
        match request.cn:
            case "1000":
                terms = _number(fields, "OverTime", "overtime"), _number(fields, "ReCount", "recount")
                if terms[0] is None or terms[1] is None:
                    yield CONDITION
                else:
                    self._terms.overtime, self._terms.recount = float(terms[0]), terms[1]
                    yield DONE
            case "1011":
                await self._tell(link, request, {"SystemTime": write_time(self._device_now())})
                yield DONE
            case "1012":
                told = read_time(fields.get("SystemTime", ""))
                if told is not None:
                    self._set_clock(told)
                yield CONDITION if told is None else DONE
            case "1061":
                await self._tell(link, request, {"RtdInterval": str(self._periods.rtd // 1000)})
                yield DONE
            case "1062":
                rtd = _number(fields, "RtdInterval", "rtd")
                if rtd is not None:
                    self._periods.rtd = rtd * 1000
                    self._realign("2011", "2021")
                yield CONDITION if rtd is None else DONE
            case "1063":
                await self._tell(link, request, {"MinInterval": str(self._periods.minutes // MINUTE_MS)})
                yield DONE
            case "1064":
                minutes = {str(minutes): minutes for minutes in self._minutes}.get(fields.get("MinInterval", ""))
                if minutes is not None:
                    self._periods.minutes = minutes * MINUTE_MS
                    self._realign("2051")
                yield CONDITION if minutes is None else DONE
            case "1072":
                word = fields.get("NewPW", "")
                yield DONE if len(word) == _PASSWORD else CONDITION
                if len(word) == _PASSWORD:
                    self.sender = replace(self.sender, password=Secret(word))
            case "2011" | "2021" | "2051" | "2061" | "2031" as command:
                async for outcome in self._history(link, request, command, fields):
                    yield outcome

    async def _history(
        self, link: Link, request: Message, command: Command, fields: Mapping[str, str]
    ) -> AsyncIterator[str]:
        """Reports from BeginTime to EndTime, both included; instants without them: the newest, and reporting goes on."""
        now = self._clock.now()
        length = self._periods.length(command)
        begin, end = (read_time(fields.get(name, "")) for name in ("BeginTime", "EndTime"))
        if begin is None or end is None:
            if length or "BeginTime" in fields or "EndTime" in fields:
                yield CONDITION
                return
            self._instant = True
            begin = end = now // self._periods.rtd * self._periods.rtd
        yield NO_DATA
        datatime = self._periods.first(command, max(begin, now - self._habits.keep * DAY_MS))
        while datatime <= end and datatime + length <= now:
            for message in self._compose(command, datatime, answer=request.answer):
                await self._send(link, message)
                yield DONE
            datatime = self._periods.after(command, datatime)

    async def _tell(self, link: Link, request: Message, fields: Mapping[str, str]) -> None:
        assert request.qn is not None
        assert request.cn is not None
        await link.send(reply(self.sender, request.cn, request.qn, fields, st=request.st or self.sender.st))

    def _realign(self, *commands: Command) -> None:
        for command in commands:
            self._schedule.realign(command)
        self._changed.set()


def _number(fields: Mapping[str, str], name: str, range_: str) -> int | None:
    """A whole number of a request; None if it is none or outside its range."""
    text = fields.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        return None
    return int(text) if rule(f"{range_}-least") <= int(text) <= rule(f"{range_}-most") else None
