"""The intake from a log: read by position, commit with the position, and never acknowledge."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import uuid4

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error
from paho.mqtt.client import topic_matches_sub

from greenmine.backoff import delay
from greenmine.collector.gate import Gate
from greenmine.collector.intake import (
    BatchCommitter,
    Counters,
    LogHandler,
    LogPlace,
    Message,
    StoppedError,
    readings_bounds,
)
from greenmine.collector.jetstream.connection import (
    STREAM,
    JetStreamError,
    addresses,
    asked,
    closed,
    connected,
    stored_stamp,
    stream_info,
)
from greenmine.collector.jetstream.subjects import topic_of
from greenmine.collector.mqtt.queue import FILLING
from greenmine.collector.mqtt.session import TOPIC
from greenmine.settings import Settings
from greenmine.topics import OWN

_TICK: Final = 0.2
"""Longest time without a look at ``stop`` [s]."""
_PULL: Final = 5_000
"""Messages that are asked for at once."""
_EXPIRY: Final = 30
"""How long the server remembers what is asked for [s]."""
_BEAT: Final = 1
"""How often it says that it is alive meanwhile [s]."""
_SILENCE: Final = 5.0
"""Without a sign of life for so long the connection or the consumer is gone [s]."""
_CATCHING_UP: Final = 5.0
"""How long a log may seem shorter than what was read of it [s]."""
_FORGOTTEN: Final = 60
"""How long the server keeps a consumer that asks for nothing [s]."""
_REMEMBERED: Final = 10_000
"""Topics of which is remembered if they are wanted."""
_OWN: Final = OWN.partition("{")[0]
"""With what the topics of all devices of the registry begin."""
_SPENT: Final = frozenset({"Request Timeout", "Message Size Exceeds MaxBytes", "Batch Completed"})
"""Ends of a request that are as they should be."""
_NANO: Final = 1_000_000_000

_log = structlog.get_logger(__name__)


class _Waiting(NamedTuple):
    """A message that waits for its commit; None where nobody wants its topic."""

    position: int
    stamp: int
    message: Message | None


class LogSelection(NamedTuple):
    """What is read for some partitions."""

    subjects: list[str] | None = None
    """Of the log; None: all that there are."""
    elsewhere: frozenset[str] = frozenset()
    """Sites of which nothing is taken."""


class LogQueue:
    """What waits in the log, by what the server says with each message."""

    def __init__(self) -> None:
        self.messages = 0
        """Behind the newest that came."""
        self._mean = 0.0

    @property
    def size(self) -> int | None:
        """About how many bytes they are, as long on average as those of the newest batch; None: nothing came yet."""
        return round(self.messages * self._mean) if self._mean else None

    def filling(self, bound: int) -> bool:
        """Tell if so much waits [bytes] that the worker falls behind."""
        return self.size is not None and self.size >= bound / FILLING

    def measure(self, messages: int, size: int) -> None:
        """Take in how long the messages of a batch were together [bytes]."""
        self._mean = size / messages


class LogIntake:
    """Receives readings of some partitions from a log, in the order of the log.

    Partitions that are behind others, as where they had another reader, are read alone until they are as far.

    Nothing is acknowledged. The handler commits, in one transaction, what the messages led to and how far the log has been
    read; a start reads on from there. So a message is taken in once, whatever is killed, and needs no memory at the server.

    All work is done in the thread that calls ``run``, which reads nothing while it commits. Memory is bounded by twice
    ``batch_bytes`` and one message more: what waits, and what has been asked for.

    Parameters
    ----------
    settings : Settings
        Addresses, credentials and TLS of the servers, and the bounds of a batch.
    handler : LogHandler
        Called with each batch and the place after it.
    stop : threading.Event
        Ends ``run`` when set.
    places : sequence of LogPlace
        How far the log has been read for each of the partitions, by the record.
    tick : callable, optional
        Called after each turn of the loop, a few times a second when nothing comes; for work that the clock asks for.
    wanted : iterable of str
        Topics to take besides the devices' own, as filters of MQTT; others are passed over.
    gate : Gate, optional
        The senders' budgets.
    subjects : callable, optional
        Gives the subjects of some partitions, or None: all that there are; without it, all.

    Raises
    ------
    ValueError
        ``jetstream`` is no list of addresses.
    """

    def __init__(
        self,
        settings: Settings,
        handler: LogHandler,
        stop: threading.Event,
        places: Sequence[LogPlace],
        tick: Callable[[], None] = lambda: None,
        wanted: Iterable[str] = (),
        gate: Gate | None = None,
        selected: Callable[[Collection[int]], LogSelection] = lambda _: LogSelection(),
    ) -> None:
        addresses(settings)
        self.counters = Counters()
        self.queue = LogQueue()
        self._settings = settings
        self._handler = handler
        self._stop = stop
        self._places = list(places)
        self._place, self._goal = self._places[0], self._places[0]
        self._behind = self._reached = False
        """Whether the partitions that are read are behind others; whether they are no more."""
        self._selected = selected
        self._chosen = LogSelection()
        self._level()
        self._tick = tick
        self._filters = (TOPIC, *wanted)
        self._wanted: dict[str, bool] = {}
        self._gate = gate
        self._committer = BatchCommitter(settings, self.counters, stop)
        self._pending: list[_Waiting] = []
        self._readings = 0
        self._bytes = 0
        self._begun = 0.0
        self._attempts = 0
        # Of the consumer in use.
        self._arrival = asyncio.Event()
        self._trouble: str | None = None
        self._expected = 1
        """Number, by the consumer's own count, of the message that comes next."""
        self._newest = self._place.position
        """Number of the newest message that came."""
        self._due = 0
        """Messages that were asked for and may still come."""
        self._heard = 0.0

    def run(self) -> None:
        """Receive until ``stop`` is set, then commit what was received, and disconnect.

        Raises
        ------
        Exception
            Whatever the handler raises besides ``StoreError``; its batch is not committed.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        while not self._stop.is_set():
            if self._attempts:
                await self._rest(delay(self._attempts, 0.2, 30.0))
            self._attempts += 1
            try:
                await self._receive()
            except (JetStreamError, Error) as error:
                self.counters.failures += 1
                _log.warning(
                    "no connection to the log; trying again", servers=self._settings.jetstream, reason=str(error)
                )
            finally:
                self.counters.connected = False

    async def _rest(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stop.is_set():
            await self._pause(min(left, _TICK))
            self._tick()

    async def _pause(self, seconds: float) -> None:
        """Let time pass in which the connection says that it is alive."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and not self._stop.is_set():  # noqa: ASYNC110 - set by other threads
            await asyncio.sleep(min(left, _TICK))

    async def _receive(self) -> None:
        """Read from the place on, until ``stop`` is set or something is wrong with the connection."""
        self._level()
        client = await connected(self._settings)
        try:
            consumer = await self._seek(client)
            inbox = client.new_inbox()
            await client.subscribe(inbox, cb=self._on_message)
            self.counters.connections += 1
            self.counters.connected = True
            _log.info(
                "connected", server=client.connected_url.netloc if client.connected_url else "", after=self._newest
            )
            while not self._stop.is_set() and not self._is_broken(client) and not self._reached:
                await self._ask(client, consumer, inbox)
                await self._turn()
                begun = time.monotonic()
                self._tick()
                self._heard += time.monotonic() - begun  # nothing could be heard meanwhile
                self._attempts = 1
            await self._flush_all()
            if self._trouble is not None:
                raise JetStreamError(self._trouble)
            if self._reached and not self._pending and not self._stop.is_set():
                self._place = self._goal._replace(partitions=self._place.partitions)
                self._attempts = 0
        finally:
            # What was not committed is read again.
            self._pending, self._readings, self._bytes = [], 0, 0
            await closed(client)

    # The place in the log.

    def _level(self) -> None:
        """Choose what to read: the partitions that are furthest behind, up to where the next ones are."""
        read = set(self._place.partitions)
        self._places = [p for p in self._places if not read.issuperset(p.partitions)] + [self._place]
        groups: dict[int, list[LogPlace]] = {}
        for place in self._places:
            groups.setdefault(place.position, []).append(place)
        first, *others = sorted(groups)
        numbers = tuple(sorted(number for place in groups[first] for number in place.partitions))
        self._place = LogPlace(numbers, first, groups[first][0].stamp)
        self._behind, self._reached = bool(others), False
        self._goal = groups[others[0]][0] if others else self._place

    async def _seek(self, client: Client) -> str:
        """Make a consumer that begins after the place; its name."""
        first, _ = await _ends(client)
        await self._compare(client)
        self._chosen = self._selected(self._place.partitions)
        self._wanted.clear()
        name = f"{STREAM}-{self._place.partitions[0]}-{uuid4().hex[:12]}"
        # It lives in memory on one server: where that one is gone another consumer takes its place, by our position.
        consumer = {
            "name": name, "deliver_policy": "by_start_sequence", "opt_start_seq": self._place.position + 1, "ack_policy": "none",
            "replay_policy": "instant", "inactive_threshold": _FORGOTTEN * _NANO, "num_replicas": 1, "mem_storage": True,
            **({} if self._chosen.subjects is None else {"filter_subjects": self._chosen.subjects}),
        }  # fmt: skip
        made = await asked(client, f"CONSUMER.CREATE.{STREAM}.{name}", {"stream_name": STREAM, "config": consumer})
        self._reached = self._behind and not made["num_pending"]
        if (
            self._chosen.subjects is not None
            and (gone := first - self._place.position - 1) > 0
            and self._place.position
        ):
            self._missed(gone)
        self._trouble, self._expected, self._due = None, 1, 0
        self._newest = self._place.position
        self._heard = time.monotonic()
        return name

    async def _compare(self, client: Client) -> None:
        """See that the log is still the one that was read; else all of it is read again, which doubles no reading."""
        position, stamp = self._place.position, self._place.stamp
        if not position:
            return
        deadline = time.monotonic() + _CATCHING_UP
        while True:
            first, last = await _ends(client)
            if last >= position or time.monotonic() > deadline or self._stop.is_set():
                break
            await self._rest(_TICK)  # a server that has just become the leader may not have all of it at hand yet
        there = await stored_stamp(client, STREAM, position) if first <= position <= last else None
        if last < position or (there is not None and there != stamp):
            _log.error("the log is another one than was read before; reading all of it", position=position, last=last)
            self._place = LogPlace(self._place.partitions, max(first - 1, 0))

    # What comes.

    async def _ask(self, client: Client, consumer: str, inbox: str) -> None:
        if self._due or self._bytes >= self._settings.batch_bytes:
            return
        self._due = _PULL
        self._heard = time.monotonic()
        # At least one message of any length has to fit.
        most = max(self._settings.batch_bytes, client.max_payload + 100_000)
        request = {
            "batch": _PULL, "max_bytes": most, "expires": _EXPIRY * _NANO, "idle_heartbeat": _BEAT * _NANO
        }  # fmt: skip
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{consumer}", json.dumps(request).encode(), inbox)

    async def _on_message(self, message: Msg) -> None:
        self._heard = time.monotonic()
        self._arrival.set()
        if self._trouble is not None or self._reached:
            return
        if not message.reply.startswith("$JS.ACK."):
            self._told(message)
            return
        position, count, stamp, behind = _numbers(message.reply)
        if count != self._expected:
            self._trouble = f"message {self._expected} of the consumer did not come"
            return
        self._expected += 1
        self._due -= 1
        if self._behind:
            self._reached = position > self._goal.position or not behind
            if position > self._goal.position:
                return
        if self._chosen.subjects is None and position != self._newest + 1:
            self._missed(position - self._newest - 1)
        self._newest = position
        self.queue.messages = behind
        self._take(message, position, stamp)

    def _missed(self, messages: int) -> None:
        """Count messages that are gone; where only those of some partitions are read, they may be all of others."""
        self.counters.missing += messages
        _log.error("the log had no longer what was to be read", first=self._newest + 1, messages=messages)

    def _told(self, message: Msg) -> None:
        """Take in what the server says of the request."""
        headers = message.headers or {}
        status, said = headers.get("Status", ""), headers.get("Description", "")
        if status == "100":
            return
        self._due = 0
        if said not in _SPENT:
            self._trouble = f"{status} {said}"

    def _take(self, message: Msg, position: int, stamp: int) -> None:
        if not self._pending:
            self._begun = time.monotonic()
        topic, payload = topic_of(message.subject), message.data
        if not self._is_wanted(topic):
            self._pending.append(_Waiting(position, stamp, None))
            return
        received = stamp // 1_000_000
        (readings,) = readings_bounds([payload])
        account = None if self._gate is None else self._gate.account(topic)
        excess = account is not None and not account.admit(readings, len(payload), received)
        if excess:
            readings = 0
        taken = Message(topic, payload, 0, received, excess=excess, number=position, readings=readings)
        self._pending.append(_Waiting(position, stamp, taken))
        self._readings += readings
        self._bytes += len(payload)

    def _is_wanted(self, topic: str) -> bool:
        known = self._wanted.get(topic)
        if known is None:
            levels = topic.split("/", 3)
            of_others = topic.startswith(_OWN) and len(levels) > 2 and levels[2] in self._chosen.elsewhere
            known = not of_others and any(topic_matches_sub(text, topic) for text in self._filters)
            if len(self._wanted) < _REMEMBERED:
                self._wanted[topic] = known
        return known

    # The loop.

    async def _turn(self) -> None:
        """Wait for messages, and commit what is due."""
        if self._is_full() or await self._gathered():
            await self._flush()

    def _is_full(self) -> bool:
        return self._readings >= self._settings.batch_readings or self._bytes >= self._settings.batch_bytes

    async def _gathered(self) -> bool:
        """Let messages come; True: those that are there are due."""
        before, timeout = len(self._pending), _TICK
        if before:
            left = self._begun + self._committer.linger - time.monotonic()
            timeout = max(0.0, min(self._committer.pause, left))
        self._arrival.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._arrival.wait(), timeout)
        if not self._pending:
            return False
        waited = time.monotonic() - self._begun
        quiet = len(self._pending) == before and waited >= self._committer.pace
        return quiet or self._is_full() or waited >= self._committer.linger

    def _is_broken(self, client: Client) -> bool:
        """Look if something is wrong with the connection or the consumer."""
        if self._trouble is None and not client.is_connected:
            self._trouble = "the connection was lost"
        if self._trouble is None and self._due and time.monotonic() - self._heard > _SILENCE:
            self._trouble = f"nothing was heard for {_SILENCE:.0f} s"
        return self._trouble is not None

    async def _flush_all(self) -> None:
        while self._pending and await self._flush():
            pass

    async def _flush(self) -> bool:
        """Commit the next batch with the place after it; False: it was given up because the intake is to stop."""
        count = readings = size = 0
        batch: list[Message] = []
        for waiting in self._pending:
            count += 1
            if waiting.message is None:
                continue
            batch.append(waiting.message)
            readings += waiting.message.readings
            size += len(waiting.message.payload)
            if readings >= self._settings.batch_readings:
                break
        newest = self._pending[count - 1]
        place = LogPlace(self._place.partitions, newest.position, newest.stamp)
        if batch and not await self._commit(batch, size, place):
            self._pending = []
            return False
        self._place = place
        self._pending = self._pending[count:]
        self._readings -= readings
        self._bytes -= size
        self._begun = self._heard = time.monotonic()
        if batch:
            self.queue.measure(len(batch), size)
        return True

    async def _commit(self, batch: list[Message], size: int, place: LogPlace) -> bool:
        self._committer.begin(batch, size)
        try:
            while (pause := self._committer.attempt(partial(self._handler, batch, place), len(batch))) is not None:
                await self._pause(pause)
        except StoppedError:
            return False
        return True


async def _ends(client: Client) -> tuple[int, int]:
    """Numbers of the first and the last message of the log."""
    info = await stream_info(client, STREAM)
    if info is None:
        raise JetStreamError(f"there is no stream '{STREAM}'; greenmine cluster apply makes it")
    return int(info["state"]["first_seq"]), int(info["state"]["last_seq"])


def _numbers(reply: str) -> tuple[int, int, int, int]:
    """Read the address for an acknowledgement: position, number by the consumer's count, stamp [ns UTC], how many are behind.

    It is ``$JS.ACK.STREAM.CONSUMER.DELIVERED.POSITION.NUMBER.STAMP.BEHIND``; where the server has a domain, with two words more
    before the stream and one at the end.
    """
    words: list[Any] = reply.split(".")
    first = 5 if len(words) == 9 else 7
    position, count, stamp, behind = map(int, words[first : first + 4])
    return position, count, stamp, behind
