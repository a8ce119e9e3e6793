"""A batch: the readings and rejections of many messages, ready to be processed and committed together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from greenmine.readings import Readings


@dataclass(frozen=True, slots=True)
class Rejection:
    """Readings of one message that could not be taken, for one reason.

    Parameters
    ----------
    received : int
        When the message was received [ms UTC].
    site, device : str
        The device of the registry that sent it, or else what the topic names, as sent (cut to 80 characters); empty where
        it names none.
    topic : str
        Topic of the message.
    reason : str
        One of ``greenmine.collector.payloads.reasons.Reason``.
    detail : str
        What was wrong and what would be right.
    readings : int
        How many readings it stands for in the ledger; an undecodable message counts as one.
    size : int
        Length of the whole payload [bytes].
    payload : bytes
        The whole payload; the record keeps it within the device's budget of rejections.
    message : int
        Index of the message in its batch.
    newest : int
        Newest stamp of readings that come from the future [ms UTC]; -1: of another reason.
    """

    received: int
    site: str
    device: str
    topic: str
    reason: str
    detail: str
    readings: int
    size: int
    payload: bytes
    message: int
    newest: int = -1


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """A message that its device signed, and of which readings of a local day were taken.

    Parameters
    ----------
    site, device : str
        The device of the registry by whose key it is signed.
    topic : str
        That it was published on.
    received : int
        [ms UTC]
    sequence : int
        Its number; -1 where it has none.
    start, end : int
        Time of its first and last reading of that day [ms UTC].
    payload : bytes
        Without the signature.
    signature : bytes
        64 bytes.
    message : int
        Index of the message in its batch.
    """

    site: str
    device: str
    topic: str
    received: int
    sequence: int
    start: int
    end: int
    payload: bytes
    signature: bytes
    message: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What m messages contained: n accepted readings, and the rest as rejections.

    The readings received in a message are its rows in ``readings`` plus the ``readings`` of its rejections.

    Parameters
    ----------
    readings : Readings
        The accepted readings, in canonical units, in order of receipt.
    message : int32 array (n,)
        Index of the message that each reading came in.
    devices : list of (site, device)
        Devices of the registry that sent at least one of the messages.
    message_device : int32 array (m,)
        Index into ``devices``; -1 where the topic names no device of the registry.
    message_seq : int64 array (m,)
        Sequence number of the message; -1 where it has none.
    message_received : int64 array (m,)
        When each message was received [ms UTC].
    message_bytes : int64 array (m,)
        Length of each payload [bytes].
    message_readings : int64 array (m,)
        Readings found in each message, as counted where it was decoded, before anything became of them.
    rejections : list of Rejection
        In order of messages; at most one per message and reason.
    signed : list of SignedMessage
        Messages whose signature was checked.
    """

    readings: Readings
    message: NDArray[np.int32]
    devices: list[tuple[str, str]]
    message_device: NDArray[np.int32]
    message_seq: NDArray[np.int64]
    message_received: NDArray[np.int64]
    message_bytes: NDArray[np.int64]
    message_readings: NDArray[np.int64]
    rejections: list[Rejection]
    signed: list[SignedMessage] = field(default_factory=list)

    @property
    def messages(self) -> int:
        """Number of messages."""
        return len(self.message_received)

    @property
    def received(self) -> int:
        """Number of readings received: accepted and rejected."""
        return len(self.readings) + sum(rejection.readings for rejection in self.rejections)
