"""What the ways in have in common: messages, places in a log, counters, and commits that are tried until they succeed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import structlog

from greenmine.backoff import delay
from greenmine.collector.gate import Account
from greenmine.errors import StoreError
from greenmine.settings import Settings

_LONGEST_LINGER: Final = 1.0
"""Longest time that messages are gathered for one commit, however long commits take [s]."""
_SHARE: Final = 8
"""Messages that keep coming are gathered for so many times as long as a commit takes, where that is within the linger."""
_PAUSE: Final = 0.06
"""A pause in the stream is waited for at most this part of the linger."""

_log = structlog.get_logger(__name__)


class Message(NamedTuple):
    """A message as it came in.

    Parameters
    ----------
    topic : str
        Topic it was published on.
    payload : bytes
        Its content.
    mid : int
        Packet identifier on this connection; 0 where none is to be acknowledged (QoS 0, or read from a log).
    received : int
        When it was received; from a log, when it was put into it [ms UTC].
    retained : bool
        Whether the broker had kept it, for how long nobody knows, and sent it because of the subscription.
    excess : bool
        Whether it is beyond its sender's budget: it is to be counted, and not to be decoded.
    number : int
        Counts all messages of the session in order of receipt; from a log, its number there.
    readings : int
        How many it may hold at most; 0 where it is not decoded.
    account : Account, optional
        Its sender's.
    """

    topic: str
    payload: bytes
    mid: int
    received: int
    retained: bool = False
    excess: bool = False
    number: int = 0
    readings: int = 0
    account: Account | None = None


class LogPlace(NamedTuple):
    """How far a log has been read.

    Parameters
    ----------
    partitions : tuple of int
        Which parts of the log.
    position : int
        Number of the newest message that was read; 0: none was.
    stamp : int
        When that one was put into the log [ns UTC]; another stamp at the same number is of another log.
    """

    partitions: tuple[int, ...]
    position: int = 0
    stamp: int = 0


Handler = Callable[[list[Message]], None]
"""Decodes, processes and commits messages; raises ``StoreError`` when the record cannot take them now."""
LogHandler = Callable[[list[Message], LogPlace], None]
"""The same, and commits in the same transaction how far the log has been read with them."""


@dataclass(slots=True)
class Counters:
    """What a way in has done since it was made; written by its thread, read by any."""

    connected: bool = False
    """Whether what is published from now on will come: the broker has accepted connection and subscription."""
    messages: int = 0
    """Messages received."""
    bytes: int = 0
    """Bytes of their payloads."""
    batches: int = 0
    """Batches committed."""
    unacknowledged: int = 0
    """Messages committed whose connection was lost before the acknowledgement; the broker sends them again."""
    connections: int = 0
    """Connections accepted; all but the first are reconnects."""
    failures: int = 0
    """Attempts to connect that failed, and connections lost."""
    retries: int = 0
    """Commits that the record refused."""
    missing: int = 0
    """Messages that a log no longer had when they were to be read."""
    last_message: int = 0
    """When the newest message was received [ms UTC]; 0: none yet."""
    commits: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    """Durations of the newest commits [s]."""

    def commit_quantile(self, share: float) -> float:
        """Duration within which this share (0..1) of the newest commits was done [s]; NaN before the first."""
        durations = list(self.commits)
        return float(np.quantile(durations, share)) if durations else float("nan")


class StoppedError(Exception):
    """A batch was given up because the program is to end; whoever kept it brings it again."""


class BatchCommitter:
    """Commits batches, and learns from how long that takes how long to gather the next one.

    Parameters
    ----------
    settings : Settings
        ``linger_ms`` and ``idle_ms`` are used.
    counters : Counters
        Where messages, commits and retries are counted.
    stop : threading.Event
        When set, a batch that the record refuses is given up.

    Attributes
    ----------
    linger : float
        Longest time from the first message of a batch to its commit while others keep coming [s].
    pace : float
        Shortest time of gathering, unless the batch is full [s].
    pause : float
        When nothing has come for this long, nothing is waited for [s].
    """

    def __init__(self, settings: Settings, counters: Counters, stop: threading.Event) -> None:
        self._counters = counters
        self._stop = stop
        self._least = settings.linger_ms / 1000, settings.idle_ms / 1000
        self._failures = 0
        self.linger, self.pace = self._least
        self.pause = self.pace

    def begin(self, batch: list[Message], size: int) -> None:
        """Count a batch that is to be committed, whose payloads are so long together [bytes]."""
        counters = self._counters
        counters.messages += len(batch)
        counters.bytes += size
        counters.last_message = batch[-1].received
        self._failures = 0

    def attempt(self, commit: Callable[[], None], messages: int) -> float | None:
        """Try to commit what was begun.

        Parameters
        ----------
        commit : callable
            Commits the batch; raises ``StoreError`` where the record cannot take it now. What else it raises is passed on.
        messages : int
            How many they are, for the log.

        Returns
        -------
        float or None
            None: it is committed. Else how long to wait before the next attempt [s].

        Raises
        ------
        StoppedError
            The record refuses the batch, and ``stop`` is set.
        """
        begun = time.monotonic()
        try:
            commit()
        except StoreError as error:
            self._counters.retries += 1
            if not self._failures:
                _log.error("the record takes no readings; trying again", error=str(error), messages=messages)
            self._failures += 1
            if self._stop.is_set():
                _log.warning("stopped before the record took the batch; the broker keeps it", messages=messages)
                raise StoppedError from error
            return delay(self._failures, 0.2, 10.0)
        took = time.monotonic() - begun
        self._counters.commits.append(took)
        self._counters.batches += 1
        # Gathering for as long as a commit takes shares its fixed cost among more messages when there is a backlog. Where it takes
        # less, a message may come while one commit runs, be gathered, and wait for the next: all of that within the linger.
        linger, idle = self._least
        self.linger = max(linger, min(took, _LONGEST_LINGER))
        self.pace = max(idle, took, min(_SHARE * took, linger - 3 * took))
        # To wait for others as long as they would save is at worst to wait twice.
        self.pause = max(idle, min(took, _PAUSE * linger))
        if self._failures:
            _log.info("the record takes readings again", messages=messages)
        return None


def readings_bounds(payloads: Iterable[bytes]) -> list[int]:
    """Return how many readings each payload may hold at most, without decoding it.

    Commas part values, and at least two part other members.
    """
    return [count if (count := payload.count(b",") - 2) > 1 else 1 for payload in payloads]
