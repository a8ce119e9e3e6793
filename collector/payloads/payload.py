"""From the payloads of many messages to one batch of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from greenmine.batch import Batch, Rejection, SignedMessage
from greenmine.collector.payloads.content import PayloadKind, tidied
from greenmine.collector.payloads.instant import UNREADABLE
from greenmine.collector.payloads.mapped import MappedDecoder
from greenmine.collector.payloads.own import OwnDecoder
from greenmine.collector.payloads.reading_buffer import FormatDecoder, ReadingBuffer
from greenmine.collector.payloads.reasons import Reason, RefusedError
from greenmine.collector.payloads.routing import Router
from greenmine.collector.payloads.senml import SenmlDecoder
from greenmine.collector.payloads.server_clock import ServerClock
from greenmine.collector.payloads.signature import Signed, in_force, parted, signer
from greenmine.collector.payloads.source import Source
from greenmine.collector.payloads.thingsboard import ThingsboardDecoder
from greenmine.durations import show_duration
from greenmine.readings import FLAGS, NORMAL, Readings
from greenmine.registry import Registry
from greenmine.settings import Settings
from greenmine.times import day_end, local
from greenmine.topics import OWN
from greenmine.units import converted

MAGNITUDE: Final = 1e9
"""No quantity in its canonical unit comes near it; a larger number is a fault of transmission or of the device."""
EARLIEST: Final = 946_684_800_000
"""2000-01-01T00:00Z [ms UTC]; an earlier time is an unset clock."""
LATEST: Final = 4_102_444_800_000
"""2100-01-01T00:00Z [ms UTC]; a later time tells of no clock."""

_FORMATS: Final[dict[str, Callable[[Source, ReadingBuffer], FormatDecoder]]] = {
    "greenmine": OwnDecoder,
    "senml": SenmlDecoder,
    "thingsboard": ThingsboardDecoder,
}
_Message = tuple[str, bytes, int, int, int, int, int, int]
"""Topic, payload, time of receipt, index of the device, sequence number, rows, bytes that are counted, readings found."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NAME: Final = 80
"""Characters of a name from a topic that the record keeps."""
_REMEMBERED: Final = 10_000
"""Topics of which is remembered if their messages are taken."""
_STRANGERS: Final = 100
"""Devices outside the registry that the ledger names; the others are counted together."""
EXCESS: Final = "more than the device's budget of messages, readings or bytes; see GREENMINE_DEVICE_MESSAGES"
_KNOWN_FLAG: Final = np.isin(np.arange(256), [ord(letter) for letter in FLAGS])
_ROW_REASONS: Final = (
    Reason.FUTURE,
    Reason.ANCIENT,
    Reason.BAD_TIME,
    Reason.NOT_FINITE,
    Reason.NULL_WITHOUT_FLAG,
    Reason.BAD_FLAG,
)
"""What is found of single readings when the batch is finished; a later one goes before an earlier one."""
_FUTURE: Final = 1 + _ROW_REASONS.index(Reason.FUTURE)


class _Elsewhere:
    """In place of a decoder, for devices of another part of the registry, whose messages are not taken."""

    def decode(self, payload: bytes, received: int, /) -> None:
        """Take nothing."""


class BatchBuilder:
    """Decodes messages, one after another, into a batch.

    It never raises for what a message contains: everything received is accepted or becomes a rejection.

    Parameters
    ----------
    registry : Registry
        Says which devices exist and how each speaks.
    settings : Settings
        ``payload_limit`` and ``future_seconds`` are used.
    whole : Registry, optional
        What the registry is a part of: messages of the sites of other parts are passed over.
    strangers : bool
        Whether messages of nobody in the whole registry are taken, and rejected.

    Attributes
    ----------
    deviations : Counter
        What was tolerated in payloads since the builder was made, by ``greenmine.collector.payloads.reasons.PayloadDeviation``.
    """

    def __init__(
        self, registry: Registry, settings: Settings, whole: Registry | None = None, *, strangers: bool = True
    ) -> None:
        whole = registry if whole is None else whole
        self._limit = settings.payload_limit
        self._future = settings.future_seconds * 1000
        self._keys = [channel.key for channel in registry.channels]
        self._scale = np.array([channel.scale for channel in registry.channels], np.float64)
        self._offset = np.array([channel.offset for channel in registry.channels], np.float64)
        self._foreign = (self._scale != 1.0) | (self._offset != 0.0)
        """Channels whose devices send another unit."""
        self._buffer = ReadingBuffer()
        self._devices = [(site.id, device.id) for site in registry.sites for device in site.devices]
        self._decoders: dict[str, tuple[int, FormatDecoder, PayloadKind]] = {}
        for index, (site, device) in enumerate(self._devices):
            if registry.device(site, device).mn:
                continue  # a data logger has a connection of its own
            mapping = registry.profiles[registry.device(site, device).profile].mapping
            self._decoders[OWN.format(site=site, device=device)] = (
                index,
                _decoder(registry, site, device, self._buffer),
                "json" if mapping is None else mapping.payload,
            )
        self.deviations: Counter[str] = Counter()
        self._index = {names: index for index, names in enumerate(self._devices)}
        self._router = Router(
            whole,
            lambda route: (
                _decoder(registry, route.site, route.device, self._buffer, route.name)
                if (route.site, route.device) in self._index
                else _Elsewhere()
            ),
            self.deviations,
        )
        self._sites = frozenset(site.id for site in registry.sites)
        self._elsewhere = frozenset(site.id for site in whole.sites) - self._sites
        self._strangers_too = strangers
        self._taken: dict[str, bool] = {}
        self._messages: list[_Message] = []
        self._rejections: list[Rejection] = []
        self._keys_of = {
            index: (registry.device(site, device).keys, registry.site(site).zone)
            for index, (site, device) in enumerate(self._devices)
            if registry.device(site, device).keys
        }
        self._signed: list[tuple[int, Signed]] = []
        """Messages of the batch that their device signed, by their index."""
        self._strangers: set[tuple[str, str]] = set()
        self.clock = ServerClock(self._future)

    def takes(self, topic: str) -> bool:
        """Whether messages on a topic are this builder's: of its sites, or where it takes strangers', of nobody's."""
        if not self._elsewhere and self._strangers_too:
            return True
        known = self._taken.get(topic)
        if known is None:
            if len(self._taken) >= _REMEMBERED:
                self._taken.clear()
            known = self._taken[topic] = self._looks_taken(topic)
        return known

    def _looks_taken(self, topic: str) -> bool:
        site, _ = _names(topic)
        owners = {site} if site else {route.site for route in self._router.owners(topic)}
        return bool(owners & self._sites) or (self._strangers_too and not owners & self._elsewhere)

    def __len__(self) -> int:
        """Messages added since the last batch was finished; one that is of several devices counts for each."""
        return len(self._messages)

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
        """Decode a message.

        Parameters
        ----------
        topic : str
            Topic it was published on.
        payload : bytes
            Its content, whatever it is.
        received : int
            When it was received [ms UTC].
        retained : bool
            Whether the broker had kept it: then nobody knows when it was sent, and ``received`` dates none of its readings.
        excess : bool
            Whether it is beyond its sender's budget: it is rejected, and not decoded.
        dated : int, optional
            The instant of readings without a time of their own [ms UTC], where that is not ``received``: as of a message that is
            taken in again.
        """
        dated = UNREADABLE if retained else received if dated is None else dated
        buffer, counted = self._buffer, len(payload)
        sent = parted(payload)
        content = payload if sent is None else sent.content
        for device, take in self._shares(topic, content, excess=excess):
            start = len(buffer.time)
            buffer.sequence = -1
            signed = False
            try:
                if not excess and device in self._keys_of:
                    signed = self._signed_by_device(topic, sent, device, received)
                take(dated)
                if signed and sent is not None:
                    self._signed.append((len(self._messages), sent))
            except RefusedError as refused:
                buffer.refuse(refused.reason, refused.detail, refused.readings)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                buffer.refuse(*_undecodable(payload, error))
            self._close(topic, payload, received, device, start, counted)
            counted = 0

    def _signed_by_device(self, topic: str, sent: Signed | None, device: int, received: int) -> bool:
        """Whether a device that has keys signed a message; `RefusedError` if it had to and did not."""
        keys, zone = self._keys_of[device]
        day = local(received, zone).date()
        if not any(in_force(key, day) for key in keys):
            return False
        if sent is None:
            raise RefusedError(
                Reason.UNSIGNED, f"the device has a key in force on {day}; no signature is behind the payload"
            )
        signer(topic, sent, keys, day)
        return True

    def _close(
        self, topic: str, payload: bytes, received: int, device: int, start: int, counted: int | None = None
    ) -> None:
        """Note the message whose readings are in the buffer from row ``start`` on, and what was refused of it."""
        buffer = self._buffer
        counted = len(payload) if counted is None else counted
        rows = len(buffer.time) - start
        found = rows + sum(count for _, count in buffer.refused.values()) if buffer.refused else rows
        self._messages.append((topic, payload, received, device, buffer.sequence, rows, counted, found))
        if buffer.refused:
            message = len(self._messages) - 1
            for reason, (detail, count) in buffer.refused.items():
                self._reject(message, reason, detail, count)
            buffer.refused.clear()

    def _shares(self, topic: str, payload: bytes, *, excess: bool) -> list[tuple[int, Callable[[int], None]]]:
        """Index of each device that a message is of, and what takes its readings; of nobody, one that says why."""
        known = self._decoders.get(topic)
        if known is None and not self.takes(topic):
            return []
        if excess:
            sender = self._sender(topic) if known is None else known[0]
            return [(sender, partial(_refuse, RefusedError(Reason.OVER_BUDGET, EXCESS)))]
        if len(payload) > self._limit:
            detail = f"{len(payload)} bytes; at most {self._limit} are decoded"
            error: Exception = RefusedError(Reason.TOO_LARGE, detail)
            return [(-1 if known is None else known[0], partial(_refuse, error))]
        if known is not None:
            device, decoder, kind = known
            content = tidied(payload, kind, self.deviations)
            return [(device, partial(decoder.decode, content))]
        try:
            found = self._router.find(topic, payload)
        except (RefusedError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
            return [(-1, partial(_refuse, fault))]
        if found is None:
            return [(-1, partial(_refuse, _unknown_topic(topic)))]
        return [
            (-1 if share.route is None else self._index[share.route.site, share.route.device], share.take)
            for share in found
        ]

    def _sender(self, topic: str) -> int:
        """Device that the topic alone names; -1 where it names none."""
        route = self._router.named(topic)
        return -1 if route is None else self._index[route.site, route.device]

    def finish(self) -> Batch:
        """Close the batch, check every reading, and start the next batch.

        Returns
        -------
        Batch
            All messages added since the last call.
        """
        buffer = self._buffer
        columns = zip(*self._messages, strict=True) if self._messages else [()] * 8
        _, _, *numbers = columns
        received, device, sequence, rows, counted, found = (np.array(column, np.int64) for column in numbers)
        message = np.repeat(np.arange(len(rows), dtype=np.int32), rows)
        sent = np.array(buffer.value, np.float64)
        channel = np.repeat(np.array(buffer.channel, np.int32), np.array(buffer.run, np.int64))
        value = sent
        foreign = self._foreign[channel]
        if foreign.any():
            there = channel[foreign]
            value = sent.copy()
            value[foreign] = converted(sent[foreign], self._scale[there], self._offset[there])
        readings = Readings(
            channel, np.array(buffer.time, np.int64), value, np.frombuffer(bytes(buffer.flag), np.uint8)
        )
        fault = _faults(readings, received[message] + self._future)
        ahead = _newest_ahead(readings.time, message, device, received)
        self.clock.hear((self._devices[number], some) for number, some in ahead)
        if fault.any():
            self._reject_rows(readings, message, fault)
            good = fault == 0
            readings, message = readings.take(good), message[good]
        seen, position = np.unique(device[device >= 0], return_inverse=True)
        device[device >= 0] = position
        batch = Batch(
            readings=readings,
            message=message,
            devices=[self._devices[index] for index in seen],
            message_device=device.astype(np.int32),
            message_seq=sequence,
            message_received=received,
            message_bytes=counted,
            message_readings=found,
            rejections=sorted(self._rejections, key=lambda rejection: rejection.message),
            signed=self._signed_messages(readings.time, message),
        )
        buffer.clear()
        self._messages.clear()
        self._rejections.clear()
        self._signed.clear()
        return batch

    def _signed_messages(self, time: NDArray[np.int64], message: NDArray[np.int32]) -> list[SignedMessage]:
        """Those of the signed messages of which readings were taken, once for each local day of these."""
        found = []
        for number, sent in self._signed:
            rows = slice(*np.searchsorted(message, (number, number + 1)))
            if rows.start == rows.stop:
                continue
            topic, _, received, device, sequence, *_ = self._messages[number]
            site, name = self._devices[device]
            zone = self._keys_of[device][1]
            for start, end in _by_day(time[rows], zone):
                found.append(SignedMessage(site, name, topic, received, sequence, start, end, *sent, number))
        return found

    def _reject_rows(self, readings: Readings, message: NDArray[np.int32], fault: NDArray[np.uint8]) -> None:
        bad = np.flatnonzero(fault)
        group = message[bad].astype(np.int64) * 256 + fault[bad]
        _, first, of, count = np.unique(group, return_index=True, return_inverse=True, return_counts=True)
        newest = np.full(len(first), -1, np.int64)
        np.maximum.at(newest, of, readings.time[bad])
        for row, number, latest in zip(bad[first], count.tolist(), newest.tolist(), strict=True):
            reason = _ROW_REASONS[fault[row] - 1]
            at = int(message[row])
            if reason is Reason.FUTURE and self.clock.explains(latest - self._messages[at][2]):
                reason = Reason.SERVER_CLOCK
            detail = self._row_detail(readings, row, reason, self._messages[at][2])
            self._reject(at, reason, detail, number, latest if fault[row] == _FUTURE else -1)

    def _row_detail(self, readings: Readings, row: int, reason: Reason, received: int) -> str:
        key, time = self._keys[readings.channel[row]], int(readings.time[row])
        match reason:
            case Reason.BAD_TIME:
                return f"{key}: the time is no instant; milliseconds UTC or ISO 8601 date and time are"
            case Reason.FUTURE | Reason.SERVER_CLOCK:
                ahead = show_duration(time - received)
                return f"{key}: {_shown(time)} is {ahead} ahead of the time of receipt; at most {self._future // 1000} s may be"
            case Reason.ANCIENT:
                return f"{key}: {_shown(time)} is before the year 2000"
            case Reason.NOT_FINITE:
                return f"{key}: {readings.value[row]:g} is not a finite number below {MAGNITUDE:g} in size"
            case Reason.NULL_WITHOUT_FLAG:
                return f"{key}: null needs a flag other than N that says why"
            case _:
                return f"{key}: the flag is none of {', '.join(sorted(FLAGS))}"

    def _reject(self, message: int, reason: Reason, detail: str, readings: int, newest: int = -1) -> None:
        topic, payload, received, index, *_ = self._messages[message]
        site, device = self._devices[index] if index >= 0 else self._stranger_names(topic)
        self._rejections.append(
            Rejection(
                received=received,
                site=site[:_NAME],
                device=device[:_NAME],
                topic=topic,
                reason=reason.value,
                detail=detail,
                readings=readings,
                size=len(payload),
                payload=payload,
                message=message,
                newest=newest,
            )
        )

    def _stranger_names(self, topic: str) -> tuple[str, str]:
        """Site and device that a topic names which is no registered device's; empty for those beyond the first few."""
        names = _names(topic)
        if names not in self._strangers:
            if len(self._strangers) >= _STRANGERS:
                return "", ""
            self._strangers.add(names)
        return names


def _decoder(
    registry: Registry, site: str, device: str, buffer: ReadingBuffer, name: str | None = None
) -> FormatDecoder:
    """What decodes the messages of a device that carry values of a name, or all of them."""
    profile = registry.profiles[registry.device(site, device).profile]
    source = Source.of(registry, site, device)
    if profile.mapping is None:
        return _FORMATS[profile.format](source, buffer)
    parameters = {name: channel.parameter for name, channel in registry.device_channels(site, device).items()}
    address = registry.device(site, device).address
    return MappedDecoder(source, buffer, profile.mapping, parameters, name, address)


def _by_day(time: NDArray[np.int64], zone: str) -> Iterator[tuple[int, int]]:
    """First and last instant of each local day that some instants [ms UTC] lie in."""
    left = np.sort(time)
    while len(left):
        inside = np.searchsorted(left, day_end(int(left[0]), zone))
        yield int(left[0]), int(left[inside - 1])
        left = left[inside:]


def _refuse(error: Exception, _received: int) -> None:
    raise error


def _faults(readings: Readings, latest: NDArray[np.int64]) -> NDArray[np.uint8]:
    """1 + position in ``_ROW_REASONS`` of what is wrong with each reading; 0: nothing."""
    null = np.isnan(readings.value)
    tests = (
        readings.time > latest,
        readings.time < EARLIEST,
        readings.time == UNREADABLE,
        ~null & ~(np.abs(readings.value) < MAGNITUDE),
        null & (readings.flag == NORMAL),
        ~_KNOWN_FLAG[readings.flag],
    )
    fault = np.zeros(len(readings), np.uint8)
    for number, test in enumerate(tests, start=1):
        fault[test] = number
    return fault


def _newest_ahead(
    time: NDArray[np.int64], message: NDArray[np.int32], device: NDArray[np.int64], received: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """For each known device that sent readings with a time, how far the newest of its last message is ahead of receipt [ms]."""
    newest = np.full(len(received), UNREADABLE, np.int64)
    np.maximum.at(newest, message, time)
    told = np.flatnonzero((newest > EARLIEST) & (newest < LATEST) & (device >= 0))
    return list(dict(zip(device[told].tolist(), (newest - received)[told].tolist(), strict=True)).items())


def _shown(instant: int) -> str:
    """An instant [ms UTC] as a date and time, or where the calendar has none as it is."""
    try:
        return f"{_EPOCH + timedelta(milliseconds=instant):%Y-%m-%dT%H:%M:%SZ}"
    except OverflowError:
        return f"{instant} ms UTC, a time that no calendar has,"


def _names(topic: str) -> tuple[str, str]:
    """Site and device that a topic names; empty where it names none."""
    levels = topic.split("/")
    right = len(levels) == 5 and levels[:2] == ["greenmine", "v1"] and levels[4] == "readings"
    return (levels[2], levels[3]) if right else ("", "")


def _unknown_topic(topic: str) -> RefusedError:
    site, device = _names(topic)
    if not site or not device:
        detail = "readings are published on greenmine/v1/{site}/{device}/readings"
        return RefusedError(Reason.UNKNOWN_TOPIC, detail)
    return RefusedError(Reason.UNKNOWN_DEVICE, f"the registry has no device '{device[:_NAME]}' at '{site[:_NAME]}'")


def _undecodable(payload: bytes, error: Exception) -> tuple[Reason, str]:
    """Say why a payload could not be decoded."""
    if isinstance(error, RecursionError):
        return Reason.TOO_DEEP, "nested too deeply; no format needs more than a few levels"
    if isinstance(error, msgspec.ValidationError):
        return Reason.WRONG_SHAPE, str(error)
    try:
        payload.decode()
    except UnicodeDecodeError as fault:
        return Reason.NOT_UTF8, f"byte {fault.start} is not UTF-8"
    return Reason.NOT_JSON, str(error)
