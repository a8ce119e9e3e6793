"""What data loggers deliver: a batch of readings, and beside it what is no reading."""

from __future__ import annotations

from dataclasses import dataclass, field

from greenmine.batch import Batch


@dataclass(frozen=True, slots=True)
class Report:
    """An aggregate that a logger computed itself, of one channel and window; NaN where it has none.

    Parameters
    ----------
    channel : int
        Index of the channel.
    command : str
        2051 minutes, 2061 hour, 2031 day.
    start, end : int
        The window [ms UTC, half-open].
    mean, minimum, maximum : float
        In the canonical unit.
    total : float
        Amount, in the unit of the logger.
    flag : str
        Data flag, one letter.
    received : int
        When it came [ms UTC].
    """

    channel: int
    command: str
    start: int
    end: int
    mean: float
    minimum: float
    maximum: float
    total: float
    flag: str
    received: int


@dataclass(frozen=True, slots=True)
class Information:
    """What a logger says beside values; ``content`` is JSON of names and texts as sent, without passwords."""

    received: int
    site: str
    device: str
    command: str
    time: int | None
    content: str


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A frame as it came, its password and keys as ``***``."""

    received: int
    site: str
    device: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is committed together, and answered then."""

    batch: Batch
    reports: list[Report] = field(default_factory=list)
    information: list[Information] = field(default_factory=list)
    frames: list[RawFrame] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Gap:
    """A span without readings of a logger [ms UTC, half-open, whole minutes], and how often it was asked for."""

    site: str
    device: str
    start: int
    end: int
    asked: int = 0
