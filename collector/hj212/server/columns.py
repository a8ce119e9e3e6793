"""From the messages of data loggers to what is committed together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from greenmine.collector.gate import Gate
from greenmine.collector.hj212.deviation import Deviation
from greenmine.collector.hj212.equipment import read_state
from greenmine.collector.hj212.message import Message, SegmentField, Value, read_message
from greenmine.collector.hj212.secret import hide, hide_in_segment
from greenmine.collector.hj212.segment import read_text
from greenmine.collector.hj212.server.delivery import Delivery, Information, RawFrame, Report
from greenmine.collector.hj212.server.logged import unpacked
from greenmine.collector.hj212.server.loggers import Logger
from greenmine.collector.payloads.payload import EXCESS, BatchBuilder
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.readings import NORMAL
from greenmine.registry import Channel, Registry
from greenmine.settings import Settings
from greenmine.times import local
from greenmine.topics import FRAMES
from greenmine.units import converted_number

MINUTE: Final = 60_000
_SPANS: Final = {"2061": 60, "2031": 1440}
"""Commands of aggregates and their windows [min]; that of 2051 is in the profile."""
_INSTANT: Final = ("Rtd",)
_MEANS: Final = ("Avg", "Rtd", "Data")
_TOTALS: Final = ("Cou", *_MEANS)
_BY_DAY: Final = "DayData"
"""Kind of what a day's report says of the day hours alone."""
_BY_NIGHT: Final = "NightData"
"""The same of the night; which night of the two that touch the day is not said, so that it is compared with none."""
_STATE: Final = ("RS",)
_LEVELS: Final = frozenset({"L5", "L10", "L50", "L90", "L95", "LMn", "LMx", "Ld", "Ln", "Ldn", "LA"})
"""Levels that come beside the equivalent one, and of which no channel is made."""
_LONGEST: Final = 4_000
"""Characters of information that are kept of a message; the standard allows 1024 bytes."""


class FrameBuilder(BatchBuilder):
    """Takes the messages of loggers, one after another, into a delivery.

    It never raises for what a message contains. Every value of a known factor becomes a reading, a rejection, or a part
    of a reported aggregate.

    Parameters
    ----------
    registry : Registry
        What the loggers were made from.
    settings : Settings
        As for ``BatchBuilder``; ``hj212_frame_days`` says whether frames are kept.
    gate : Gate, optional
        The loggers' budgets: a message beyond them is answered, counted and not taken. Without it there are none.
    loggers : mapping of str to Logger
        By MN, those whose frames come from a log.
    whole, strangers
        As for ``BatchBuilder``.
    """

    def __init__(
        self,
        registry: Registry,
        settings: Settings,
        gate: Gate | None = None,
        loggers: Mapping[str, Logger] | None = None,
        whole: Registry | None = None,
        *,
        strangers: bool = True,
    ) -> None:
        super().__init__(registry, settings, whole, strangers=strangers)
        self._loggers = loggers or {}
        self._topics = {FRAMES.format(site=logger.site, device=logger.device) for logger in self._loggers.values()}
        self._registry = registry
        self._gate = gate
        self._keeps = settings.hj212_frame_days > 0
        self._reports: list[Report] = []
        self._information: list[Information] = []
        self._frames: list[RawFrame] = []

    def add(
        self,
        topic: str,
        payload: bytes,
        received: int,
        *,
        retained: bool = False,
        excess: bool = False,
        dated: int | None = None,
    ) -> None:
        """Take a message of MQTT, or a frame from the log."""
        frame = unpacked(payload) if topic in self._topics else None
        logger = None if frame is None else self._loggers.get(read_message(frame.segment).mn or "")
        if frame is None or logger is None:
            super().add(topic, payload, received, retained=retained, excess=excess, dated=dated)
            return
        message = read_message(frame.segment, logger.dialect)
        self.add_message(logger, message, frame.raw, received if dated is None else dated, excess=excess)

    def add_message(self, logger: Logger, message: Message, raw: bytes, received: int, *, excess: bool = False) -> None:
        """Take a message.

        Parameters
        ----------
        logger : Logger
            Who sent it.
        message : Message
            What it says.
        raw : bytes
            Its frame.
        received : int
            When it was received [ms UTC].
        excess : bool
            Whether it was found to be beyond its logger's budget already.
        """
        buffer = self._buffer
        shown = hide_in_segment(read_text(raw)[0]).encode()
        topic, counted = f"hj212/{logger.mn}/{hide(message.cn or '')[:20]}", len(shown)
        account = None if self._gate is None else self._gate.account_of(logger.site, logger.device)
        if account is not None and not account.admit(len(message.values), len(raw), received):
            excess = True
        for device, share in logger.shares(message):
            start = len(buffer.time)
            buffer.sequence = -1
            try:
                if excess:
                    raise RefusedError(Reason.OVER_BUDGET, EXCESS, len(share.values))  # noqa: TRY301 - as what is wrong with it
                self._check(device, share)
                self._take(device, share, received)
            except RefusedError as refused:
                buffer.refuse(refused.reason, refused.detail, refused.readings)
            self._close(topic, shown, received, device.number, start, counted)
            counted = 0
        if self._keeps and not excess:
            self._frames.append(RawFrame(received, logger.site, logger.device, shown))

    def deliver(self) -> Delivery:
        """Close the delivery and start the next."""
        delivery = Delivery(self.finish(), self._reports, self._information, self._frames)
        self._reports, self._information, self._frames = [], [], []
        return delivery

    @staticmethod
    def _check(logger: Logger, message: Message) -> None:
        speech = logger.speech
        if speech.version is not None and message.version != speech.version:
            detail = f"a frame of {message.version or 'an unknown edition'}; the profile says {speech.version}"
            raise RefusedError(Reason.WRONG_VERSION, detail, len(message.values))
        if speech.st and message.st != speech.st and message.values:
            detail = f"ST is {hide(message.st or 'absent')[:20]}; the profile says {speech.st}"
            raise RefusedError(Reason.WRONG_SYSTEM, detail, len(message.values))

    def _take(self, logger: Logger, message: Message, received: int) -> None:
        command = message.cn or ""
        if command == logger.speech.readings_from:
            self._read(logger, message, received)
        elif command == "2051" or command in _SPANS:
            self._report(logger, message, received)
        elif command == "2021" and any(logger.channel(value.code) for value in message.values):
            self._read(logger, message, received)
        elif command != "2011":
            self._inform(logger, message, received, message.values)

    def _read(self, logger: Logger, message: Message, received: int) -> None:
        """Values become readings; of several kinds of a factor, one does."""
        time = message.time if message.time is not None or not logger.receive_time else received
        chosen: dict[int, tuple[int, Channel, list[Value]]] = {}
        unknown: dict[str, None] = {}
        for value, channel, rank in self._ranked(logger, message):
            if channel is None:
                unknown[value.code] = None
                continue
            best = chosen.get(channel.index)
            if best is None or rank < best[0]:
                chosen[channel.index] = (rank, channel, [value])
            elif rank == best[0]:
                best[2].append(value)
        count = sum(len(values) for _, _, values in chosen.values())
        if not count and not unknown:
            raise RefusedError(Reason.EMPTY, "the message holds no value that could be a reading")
        if Deviation.SEVERAL_TIMES in message.deviations:
            detail = "the message holds more than one DataTime, and does not say which value is of which"
            raise RefusedError(Reason.BAD_TIME, detail, count + len(unknown))
        if time is None:
            bad = any(field.name.lower() == "datatime" for field in message.fields)
            reason = Reason.BAD_TIME if bad else Reason.NO_TIME
            raise RefusedError(reason, "DataTime is to be a time of 14 digits, later than 1970", count + len(unknown))
        for code in unknown:
            self._buffer.refuse(Reason.UNKNOWN_PARAMETER, logger.unknown(code))
        for _, channel, values in chosen.values():
            for value in values:
                self._put(logger, channel, value, time)

    @staticmethod
    def _ranked(logger: Logger, message: Message) -> Iterator[tuple[Value, Channel | None, int]]:
        """Values that may be readings, their channel, and how well their kind suits: a lower rank suits better."""
        for value in message.values:
            exact = logger.channel(f"{value.code}-{value.kind}")
            if exact is not None:
                yield value, exact, -1
                continue
            channel = logger.channel(value.code)
            kinds: tuple[str, ...] = _INSTANT if message.cn == "2011" else _STATE if message.cn == "2021" else _MEANS
            if channel is not None and channel.parameter.is_total and kinds is _MEANS:
                kinds = _TOTALS
            if value.kind is None:
                rank = len(kinds)
            elif value.kind in kinds:
                rank = kinds.index(value.kind)
            else:
                continue
            if channel is None and (value.code in logger.speech.ignored or message.cn == "2021"):
                continue
            yield value, channel, rank

    def _put(self, logger: Logger, channel: Channel, value: Value, time: int) -> None:
        flag = value.flag
        if value.kind == "RS" and isinstance(value.value, float):
            number, flag = read_state(value.value)
        else:
            number = value.value if isinstance(value.value, float) else None
            if channel.parameter.is_state and flag in {None, "N"}:
                number = _state(logger, value)
            if flag is None and logger.sends_flags:
                detail = f"{channel.key}: the profile says that the logger sends flags; there is none"
                self._buffer.refuse(Reason.MISSING_FLAG, detail)
                return
        if number is None and flag in {None, "N"}:
            why = value.reason or "no number"
            detail = f"{channel.key}: '{hide(value.text)[:40]}' is no value ({why}), and no flag other than N says why"
            self._buffer.refuse(Reason.NULL_WITHOUT_FLAG, detail)
            return
        if number is not None and flag in {None, "N"} and (fault := logger.units.fault(channel, number)):
            self._buffer.refuse(Reason.UNIT, fault)
            return
        letter = NORMAL if flag is None else ord(flag) if len(flag) == 1 and flag.isascii() else 0
        self._buffer.put(channel.index, time, number, letter)

    def _report(self, logger: Logger, message: Message, received: int) -> None:
        """Values become reported aggregates, which are no readings and do not count as such in the ledger."""
        command, start = message.cn or "", message.time
        if start is None or start > received + self._future:
            reason = Reason.NO_TIME if start is None else Reason.FUTURE
            self._buffer.refuse(reason, "the begin of the reported window is not known, or in the future", 0)
            return
        whole = start, start + _SPANS.get(command, logger.speech.minutes) * MINUTE
        parts: dict[tuple[int, tuple[int, int]], tuple[Channel, dict[str, Value]]] = {}
        rest: list[Value] = []
        for value in message.values:
            by_day = value.kind == _BY_DAY
            channel = logger.channel(value.code)
            if channel is None and by_day:
                channel = logger.channel(f"{value.code}-{_BY_DAY}")
            if channel is None or value.kind == _BY_NIGHT:
                rest.append(value)
                continue
            span = self._day_hours(logger, start) if by_day else whole
            parts.setdefault((channel.index, span), (channel, {}))[1].setdefault(value.kind or "", value)
        if rest and command == "2031":
            self._inform(logger, message, received, rest)
        else:
            for code in dict.fromkeys(value.code for value in rest):
                if code not in logger.speech.ignored and code not in _LEVELS:
                    self._buffer.refuse(Reason.UNKNOWN_PARAMETER, logger.unknown(code), 0)
        for (_, (begin, end)), (channel, kinds) in parts.items():
            mean = next((kinds[kind] for kind in (*_MEANS, _BY_DAY) if kind in kinds), None)
            flags = [value.flag for value in kinds.values() if value.flag]
            self._reports.append(
                Report(
                    channel=channel.index,
                    command=command,
                    start=begin,
                    end=end,
                    mean=_canonical(channel, mean),
                    minimum=_canonical(channel, kinds.get("Min")),
                    maximum=_canonical(channel, kinds.get("Max")),
                    total=_number(kinds.get("Cou")),
                    flag=flags[0][:1] if flags else "N",
                    received=received,
                )
            )

    def _day_hours(self, logger: Logger, start: int) -> tuple[int, int]:
        """The day hours of a local day that has begun [ms UTC, half-open]."""
        zone, hours = ZoneInfo(self._registry.site(logger.site).zone), self._registry.conditions
        day = local(start, zone).date()
        begin, end = (datetime.combine(day, time(hour), zone) for hour in (hours.day_start, hours.night_start))
        return round(begin.timestamp()) * 1000, round(end.timestamp()) * 1000

    def _inform(self, logger: Logger, message: Message, received: int, values: Iterable[Value]) -> None:
        said = [_shown(field) for field in (*message.header, *message.fields)]
        said += [(f"{value.code}-{value.kind or 'Flag'}", hide(value.text or value.flag or "")) for value in values]
        content = msgspec.json.encode(said[:200]).decode()
        if len(content) > _LONGEST:
            content = msgspec.json.encode([("cut", content[:_LONGEST])]).decode()
        command = hide(message.cn or "")[:4]
        self._information.append(Information(received, logger.site, logger.device, command, message.time, content))


def _state(logger: Logger, value: Value) -> float | None:
    """State of equipment as a number, a mark of working conditions, or a current or power; None: none of them.

    References
    ----------
    HJ 212-2025: ST 44 (electricity), ST 45 (working conditions).
    """
    marked = logger.speech.states.get(value.text)
    if marked is not None:
        return float(marked == "on")
    number = value.value if isinstance(value.value, float) else None
    least = logger.speech.on_above.get(value.code)
    if number is not None and least is not None:
        return float(number > least)
    return number if number in {0.0, 1.0} else None


def _shown(field: SegmentField) -> tuple[str, str | None]:
    return hide(field.name), None if field.text is None else hide(str(field.text))


def _number(value: Value | None) -> float:
    return value.value if value is not None and isinstance(value.value, float) else math.nan


def _canonical(channel: Channel, value: Value | None) -> float:
    return converted_number(_number(value), channel.scale, channel.offset)
